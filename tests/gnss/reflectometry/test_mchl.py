"""The real station MCHL: row by row the results of gnssrefl 4.2.3."""

import io
import tarfile

import numpy as np
import pytest

from tilth.core.flags import is_flagged
from tilth.gnss.reflectometry.heights import accepted, reflector_heights
from tilth.gnss.reflectometry.periodogram import fine_peak, grid_peak
from tilth.gnss.reflectometry.refraction import Air, Refraction
from tilth.gnss.reflectometry.results_files import read_results, write_results
from tilth.gnss.reflectometry.settings import read_settings
from tilth.gnss.reflectometry.signals import SIGNALS, wavelength
from tilth.gnss.reflectometry.snr_files import read_snr

pytestmark = pytest.mark.realdata

FILES = {
    10: "mchl0100.25.snr66.gz",
    11: "mchl0110.25.snr66.gz",
    12: "mchl0120_first2h.25.snr66.gz",
}
#: Rounding of the printed columns: half a unit of the last digit; some hours are cut.
ROUNDING = {
    "reflector_height": 5.01e-4,
    "gps_hour": 1.01e-3,
    "azimuth": 5.01e-3,
    "amplitude": 5.01e-3,
    "elevation_min": 5.01e-3,
    "elevation_max": 5.01e-3,
    "edot_factor": 5.01e-6,
    "peak_to_noise": 5.01e-3,
    "duration": 5.01e-3,
}


@pytest.fixture(scope="module")
def found():
    """Return a function that analyses a day, kept for the module."""
    kept = {}

    def find(folder, doy, settings="mchl.json", **changes):
        key = doy, settings, tuple(sorted(changes))
        if key not in kept:
            chosen = read_settings(
                folder / settings, folder / "mchl_refr.txt", **changes
            )
            near = {
                name: read_snr(folder / FILES[doy + step])
                for name, step in (("previous", -1), ("following", 1))
                if doy + step in FILES
            }
            day = read_snr(folder / FILES[doy])
            kept[key] = reflector_heights(day, settings=chosen, **near)
        return kept[key]

    return find


def paired(ours, theirs):
    """Return places of our arcs and theirs: satellite, signal, rise, time."""
    pairs = []
    for j in range(theirs.sizes["arc"]):
        same = np.ones(ours.sizes["arc"], bool)
        for name in ("satellite", "signal", "rise"):
            same &= ours[name].values == theirs[name].values[j]
        apart = np.abs(ours["gps_hour"].values - theirs["gps_hour"].values[j])
        same &= apart < 0.05
        assert same.sum() == 1
        pairs.append((int(np.argmax(same)), j))
    return np.array(pairs).T


@pytest.mark.parametrize(("doy", "counts"), [(10, (46, 33, 24)), (11, (48, 37, 26))])
def test_on_gnssrefls_grid_every_number_is_gnssrefls(dataset, found, doy, counts):
    folder = dataset("mchl-reflections")
    ours = accepted(found(folder, doy, peak="grid"))
    theirs = read_results(folder / f"expected/gps_{doy:03d}.txt")
    per_signal = [int((ours["signal"] == code).sum()) for code in (1, 20, 5)]
    assert tuple(per_signal) == counts
    assert ours.sizes["arc"] == theirs.sizes["arc"]
    i, j = paired(ours, theirs)
    for name, half_a_digit in ROUNDING.items():
        apart = np.abs(ours[name].values[i] - theirs[name].values[j])
        assert apart.max() <= half_a_digit, name
    assert (ours["observations"].values[i] == theirs["observations"].values[j]).all()


@pytest.mark.parametrize("doy", [10, 11])
def test_rejected_arcs_are_gnssrefls_too_and_carry_a_reason(dataset, found, doy):
    folder = dataset("mchl-reflections")
    every = found(folder, doy, peak="grid")
    measured = every.isel(arc=~is_flagged(every["quality_flag"], "few_samples").values)
    ours = measured.isel(arc=measured["quality_flag"].values != 0)
    rows = np.genfromtxt(folder / f"expected/gps_failqc_{doy:03d}.txt", comments="%")
    assert len(rows) == ours.sizes["arc"]
    # Satellite, signal, rise, samples and minutes; theirs have no height.
    names = ("satellite", "signal", "rise", "observations", "duration")
    theirs = sorted(map(tuple, rows[:, [3, 10, 11, 9, 14]]))
    assert sorted(zip(*(ours[name].values for name in names), strict=True)) == theirs


def test_reasons_count_down_as_gnssrefl_prints_them(dataset, found):
    # gnssrefl 4.2.3, day 011: freq 1 92 arcs -> ediff 69 -> delT 48; 20: 68, 55, 37;
    # 5: 50, 39, 26.
    every = found(dataset("mchl-reflections"), 11)
    chain = {}
    for code in (1, 20, 5):
        flag = every["quality_flag"].values[every["signal"].values == code]
        bits = dict(
            zip(
                every["quality_flag"].attrs["flag_meanings"].split(),
                every["quality_flag"].attrs["flag_masks"],
                strict=True,
            )
        )
        flag = flag[flag & bits["few_samples"] == 0]
        ends = bits["low_end_missing"] | bits["high_end_missing"]
        chain[code] = (
            flag.size,
            int((flag & ends == 0).sum()),
            int((flag & (ends | bits["long_duration"]) == 0).sum()),
        )
    assert chain == {1: (92, 69, 48), 20: (68, 55, 37), 5: (50, 39, 26)}


@pytest.mark.parametrize("doy", [10, 11])
def test_between_the_steps_heights_stay_within_one_step(dataset, found, doy):
    folder = dataset("mchl-reflections")
    ours = accepted(found(folder, doy))
    theirs = read_results(folder / f"expected/gps_{doy:03d}.txt")
    assert ours.sizes["arc"] == theirs.sizes["arc"]
    i, j = paired(ours, theirs)
    limits = {"reflector_height": 0.0031, "amplitude": 0.02, "peak_to_noise": 0.03}
    for name, limit in limits.items():
        apart = np.abs(ours[name].values[i] - theirs[name].values[j])
        assert apart.max() <= limit, name


def test_the_classical_periodogram_is_told_from_ours(dataset, found):
    folder = dataset("mchl-reflections")
    ours = accepted(found(folder, 11, peak="grid"))
    name = "expected/gps_011_lspscipy_NEGATIVE_CONTROL.txt"
    wrong = read_results(folder / name)
    i, j = paired(ours, wrong)
    height = np.abs(
        ours["reflector_height"].values[i] - wrong["reflector_height"].values[j]
    )
    amplitude = np.abs(ours["amplitude"].values[i] - wrong["amplitude"].values[j])
    # 14 of the 111 accepted heights move by a step, amplitudes by up to 0.08.
    assert (height > 0.0041).sum() >= 10
    assert amplitude.max() > 0.02


def test_rounded_air_keeps_heights_within_a_step(dataset, found):
    folder = dataset("mchl-reflections")
    air = Refraction("bennett", Air(958.968, 20.951))
    ours = accepted(found(folder, 11, peak="grid", refraction=air))
    theirs = read_results(folder / "expected/gps_011.txt")
    i, j = paired(ours, theirs)
    apart = ours["reflector_height"].values[i] - theirs["reflector_height"].values[j]
    assert np.abs(apart).max() <= 0.005


#: Signal -> accepted arcs of day 011 and their mean height (m), amplitude and peak to
#: noise; printed by gnssrefl 4.2.3 with mchl_allgnss.json and these three files.
ALL_SIGNALS = {
    1: (48, 1.67463, 7.70667, 5.23354),
    5: (26, 1.70923, 24.7873, 6.05115),
    20: (37, 1.70116, 11.2341, 5.70514),
    101: (38, 1.69155, 14.5403, 5.81026),
    102: (38, 1.71376, 13.235, 6.08921),
    201: (23, 1.68357, 10.3539, 5.87217),
    205: (22, 1.71141, 19.5536, 6.58136),
    206: (23, 1.6893, 20.7096, 6.46652),
    207: (23, 1.70165, 18.76, 6.41522),
    208: (21, 1.7069, 26.7871, 6.80762),
}


def test_all_signals_of_all_constellations_are_those_of_gnssrefl(dataset, found):
    ours = accepted(
        found(dataset("mchl-reflections"), 11, "mchl_allgnss.json", peak="grid")
    )
    got = {}
    for code in np.unique(ours["signal"]):
        one = ours.isel(arc=ours["signal"].values == code)
        # Theirs were rounded one by one.
        got[int(code)] = (
            one.sizes["arc"],
            one["reflector_height"].values.round(3).mean(),
            one["amplitude"].values.round(2).mean(),
            one["peak_to_noise"].values.round(2).mean(),
        )
    assert set(got) == set(ALL_SIGNALS)
    for code, (arcs, height, amplitude, peak) in ALL_SIGNALS.items():
        assert got[code][0] == arcs
        # One arc one step away would move the mean by 0.1 mm.
        assert got[code][1] == pytest.approx(height, abs=3e-5)
        assert got[code][2] == pytest.approx(amplitude, abs=1e-3)
        assert got[code][3] == pytest.approx(peak, abs=1e-3)


def test_more_signals_leave_the_rows_of_the_others_alone(dataset, found):
    folder = dataset("mchl-reflections")
    few = found(folder, 11)
    many = found(folder, 11, "mchl_allgnss.json")
    same = many.isel(arc=np.isin(many["signal"].values, (1, 20, 5)))
    assert same.sizes["arc"] == few.sizes["arc"]
    for name in few.data_vars:
        np.testing.assert_array_equal(same[name].values, few[name].values)


def test_each_signal_sees_the_ground_at_its_own_depth(dataset, found):
    # Means of gnssrefl 4.2.3 on day 011: L1 1.675, L2C 1.701, L5 1.709 m.
    ours = accepted(found(dataset("mchl-reflections"), 11))
    means = {
        code: float(
            ours["reflector_height"].values[ours["signal"].values == code].mean()
        )
        for code in (1, 20, 5)
    }
    expected = {1: 1.675, 20: 1.701, 5: 1.709}
    assert means == pytest.approx(expected, abs=0.001)


def test_saved_arcs_give_their_heights_without_the_rest_of_the_chain(dataset):
    folder = dataset("mchl-reflections")
    theirs = read_results(folder / "expected/gps_011.txt")
    seen, heights, amplitudes, peaks, between = 0, [], [], [], []
    codes = {"L1": 1, "L2C": 20, "L5": 5}
    with tarfile.open(folder / "expected/arcs_011.tar.gz") as archive:
        for member in archive.getmembers():
            if not member.name.endswith(".txt") or "failQC" in member.name:
                continue
            satellite, _, name = member.name.split("/")[-1].split("_")[:3]
            stream = archive.extractfile(member)
            rows = np.loadtxt(io.BytesIO(stream.read()), comments="%")
            elevation, y, second = rows.T[:3]
            hour = second.mean() / 3600.0
            code, number = codes[name], int(satellite[3:])
            apart = np.abs(theirs["gps_hour"].values - hour)
            own = (theirs["satellite"].values == number) & (apart < 0.05)
            j = int(np.flatnonzero(own & (theirs["signal"].values == code))[0])
            x = 2.0 * np.sin(np.radians(elevation)) / wavelength(number, code)
            found = grid_peak(x, y - y.mean(), 0.5, 8.0, 0.005, 0.5, 8.0)
            fine = fine_peak(x, y - y.mean(), 0.5, 8.0, 0.005, 0.5, 8.0)
            heights.append(found[0] - theirs["reflector_height"].values[j])
            between.append(fine[0] - theirs["reflector_height"].values[j])
            amplitudes.append(found[1] - theirs["amplitude"].values[j])
            peaks.append(found[1] / found[2] - theirs["peak_to_noise"].values[j])
            seen += 1
    assert seen == 111
    # Stored with seven digits the length of the grid can differ: one step, no more.
    assert np.abs(heights).max() <= 0.005
    assert np.abs(between).max() <= 0.005
    assert np.abs(amplitudes).max() <= 0.0065
    assert np.abs(peaks).max() <= 0.0095


def test_results_are_written_as_gnssrefl_writes_them(dataset, found, tmp_path):
    folder = dataset("mchl-reflections")
    ours = found(folder, 11, peak="grid")
    write_results(ours, tmp_path / "011.txt")
    again = read_results(tmp_path / "011.txt")
    theirs = read_results(folder / "expected/gps_011.txt")
    i, j = paired(again, theirs)
    assert again.sizes == theirs.sizes
    for name in ("reflector_height", "amplitude", "peak_to_noise", "elevation_max"):
        np.testing.assert_array_equal(again[name].values[i], theirs[name].values[j])
    apart = np.abs(again["time"].values[i] - theirs["time"].values[j])
    assert apart.max() <= np.timedelta64(4, "s")  # hours are printed to 0.001


def test_without_neighbours_the_first_and_last_arcs_are_warned_of(dataset):
    folder = dataset("mchl-reflections")
    chosen = read_settings(folder / "mchl.json", folder / "mchl_refr.txt")
    alone = reflector_heights(read_snr(folder / FILES[11]), settings=chosen)
    warned = is_flagged(alone["warning_flag"], "missing_neighbour").values
    hour = alone["gps_hour"].values
    assert warned.any()
    assert ((hour[warned] < 2.5) | (hour[warned] > 21.5)).all()
    # Arcs at midnight that were whole with the neighbours are lost or shortened.
    whole = reflector_heights(
        read_snr(folder / FILES[11]),
        previous=read_snr(folder / FILES[10]),
        following=read_snr(folder / FILES[12]),
        settings=chosen,
    )
    assert not is_flagged(whole["warning_flag"], "missing_neighbour").any()
    assert accepted(alone).sizes["arc"] < accepted(whole).sizes["arc"]
    # Far from midnight no more than a sample at the end of a pass can change.
    alone, whole = accepted(alone), accepted(whole)
    middle = (alone["gps_hour"].values > 3) & (alone["gps_hour"].values < 21)
    alone = alone.isel(arc=middle)
    i, j = paired(whole, alone)
    apart = whole["reflector_height"].values[i] - alone["reflector_height"].values[j]
    assert (np.abs(apart) < alone["reflector_height_se"].values[j]).all()
    assert (apart == 0).mean() > 0.8


def test_known_signals_of_the_settings_are_all_there(dataset):
    folder = dataset("mchl-reflections")
    chosen = read_settings(folder / "mchl_allgnss.json", folder / "mchl_refr.txt")
    assert set(chosen.signals) == set(SIGNALS) - {2}
