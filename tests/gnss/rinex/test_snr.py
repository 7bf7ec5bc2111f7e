"""From files of a receiver to the height of its antenna, and every trap on the way."""

import datetime

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.gnss.reflectometry.heights import accepted, reflector_heights
from tilth.gnss.reflectometry.refraction import Refraction
from tilth.gnss.reflectometry.settings import Settings
from tilth.gnss.reflectometry.signals import wavelength
from tilth.gnss.reflectometry.snr_days import check_day
from tilth.gnss.reflectometry.snr_files import read_snr, write_snr
from tilth.gnss.rinex.observations import read_observations
from tilth.gnss.rinex.orbits import open_orbits
from tilth.gnss.rinex.snr import choose_observables, rinex_to_snr

HEIGHT = 2.345
OBSERVABLES = {"G": ["C1C", "S1C", "S2L", "S2W", "S5Q"], "E": ["S1C", "S5Q"]}
DAY = np.datetime64("2018-07-19", "ns")
FIRST = 4 * 86400.0
SETTINGS = Settings(
    signals=(1, 20, 5, 201, 205),
    refraction=Refraction("none"),
    detrend_elevations=(5.0, 30.0),
)


def strength(satellite, signal, elevation, height, phase):
    """dB-Hz of a direct and a reflected wave, as a function of elevation."""
    sine = np.sin(np.radians(np.maximum(elevation, 0.0)))
    swing = np.cos(4 * np.pi * height / wavelength(satellite, signal) * sine + phase)
    volts = 150.0 * (1.0 + 0.8 * sine) + 10.0 * swing
    return 20.0 * np.log10(volts)


@pytest.fixture(scope="module")
def simulated(sky, write_rinex, tmp_path_factory):
    """A day every 30 s over a plane 2.345 m below the antenna, and its orbits."""
    folder = tmp_path_factory.mktemp("simulated")
    second = np.arange(0.0, 86400.0, 30.0)
    records = [[] for _ in second]
    for k, satellite in enumerate(sky.elements):
        elevation, _ = sky.sight(satellite, FIRST + second)
        # Another phase in every pass, rising and setting: see the first test.
        phase = 2.4 * k + 1.7 * (np.gradient(elevation) > 0)
        if satellite < 100:
            a, b, c = (
                strength(satellite, code, elevation, HEIGHT, phase + code)
                for code in (1, 20, 5)
            )
            table = np.column_stack([np.full(second.size, 2.3e7), a, b, b - 9.0, c])
        else:
            a, b = (
                strength(satellite, code, elevation, HEIGHT, phase + code)
                for code in (201, 205)
            )
            table = np.column_stack([a, b])
        for i in np.flatnonzero(elevation > 2.0):
            records[i].append((satellite, table[i].round(3)))
    moments = DAY + (second * 1e9).astype("timedelta64[ns]")
    epochs = list(zip(moments, records, strict=True))
    path = write_rinex(folder / "made.rnx", OBSERVABLES, epochs, position=sky.station)
    return (
        path,
        sky.write_sp3(folder / "made.sp3"),
        sky.write_messages(folder / "made.n"),
    )


@pytest.fixture(scope="module", params=["precise", "broadcast"])
def day(simulated, request):
    rinex, sp3, messages = simulated
    orbits = open_orbits([sp3 if request.param == "precise" else messages])
    return rinex_to_snr(read_observations(rinex), orbits)


def test_the_height_is_found_from_the_files_of_a_receiver(day):
    arcs = accepted(reflector_heights(day, settings=SETTINGS))
    found = arcs["reflector_height"].values - HEIGHT
    for code in SETTINGS.signals:
        own = found[arcs["signal"].values == code]
        assert own.size > (30 if code < 100 else 5)
    # An arc has 5 to 8 waves: by its phase the peak is off by some mm either way, most
    # for the longest wave; over all phases this is no bias.
    assert np.abs(found).max() < 0.010
    assert np.abs(found.mean()) < 0.001


def test_heights_are_those_of_exact_angles(day, sky):
    """The files' own digits and the interpolation of orbits cost no 0.1 mm."""
    exact = day.copy(deep=True)
    for satellite in sky.elements:
        rows = np.flatnonzero(day["satellite"].values == satellite)
        angle, _ = sky.sight(satellite, FIRST + day["second"].values[rows])
        exact["elevation"].values[rows] = angle
    one, other = (reflector_heights(d, settings=SETTINGS) for d in (day, exact))
    np.testing.assert_array_equal(one["quality_flag"], other["quality_flag"])
    np.testing.assert_allclose(
        accepted(one)["reflector_height"],
        accepted(other)["reflector_height"],
        atol=1e-4,
    )


def test_angles_in_the_day_are_those_of_the_sky(day, sky):
    for satellite in sky.elements:
        rows = np.flatnonzero(day["satellite"].values == satellite)
        second = day["second"].values[rows]
        elevation, azimuth = sky.sight(satellite, FIRST + second)
        np.testing.assert_allclose(day["elevation"].values[rows], elevation, atol=1e-6)
        np.testing.assert_allclose(day["azimuth"].values[rows], azimuth, atol=1e-4)
    assert day.attrs["date"] == "2018-07-19"
    assert day.attrs["station"] == "made"
    assert day.attrs["without_orbit"] == ""
    check_day(day)


def test_a_day_goes_through_its_file(day, tmp_path):
    path = write_snr(day, tmp_path, 66)
    assert path.name == "made2000.18.snr66.gz"
    back = read_snr(path)
    low = day.isel(observation=np.flatnonzero(day["elevation"].values <= 30))
    assert back.sizes == low.sizes
    np.testing.assert_allclose(back["s2"], low["s2"], atol=0.0051)
    np.testing.assert_allclose(back["elevation_rate"], low["elevation_rate"], atol=1e-6)


def test_the_second_band_is_l2c_where_there_is_any(day, simulated):
    rows = read_observations(simulated[0])
    chosen = choose_observables(rows)
    assert chosen[1, "s2"] == "S2L"
    assert "GPS s2: S2L of 12" in day.attrs["observables"]
    assert not is_flagged(day["quality_flag"]).any()


def changed(simulated, **columns):
    """Observations with columns replaced, and orbits."""
    rows = read_observations(simulated[0])
    for name, values in columns.items():
        if values is None:
            rows = rows.drop_vars(name)
        else:
            rows[name] = ("observation", values(rows))
    return rows, open_orbits([simulated[1]])


def test_one_satellite_has_one_observable_for_the_whole_day(simulated):
    def few(rows):
        kept = np.arange(rows.sizes["observation"]) % 5 == 0
        lost = (rows["satellite"].values == 10) & ~kept
        return np.where(lost, np.nan, rows["S2L"].values)

    rows, orbits = changed(simulated, S2L=few)
    day = rinex_to_snr(rows, orbits)
    assert choose_observables(rows)[10, "s2"] == "S2W"
    own = day["satellite"].values == 10
    wanted = rows["S2W"].values[rows["satellite"].values == 10]
    np.testing.assert_array_equal(day["s2"].values[own], wanted)
    # 10 sends L2C since 2015: its P(Y) would be taken for L2C.
    flagged = is_flagged(day["quality_flag"], "second_band_semicodeless").values
    assert flagged[own].all()
    assert not flagged[~own].any()


def test_the_second_band_of_rinex_2_is_flagged_as_unknown(
    simulated, sky, write_rinex, tmp_path
):
    rows = read_observations(simulated[0])
    moments = np.unique(rows["time"].values)[:40]
    epochs = []
    for moment in moments:
        own = rows.isel(observation=np.flatnonzero(rows["time"].values == moment))
        gps = np.flatnonzero(own["satellite"].values < 100)
        epochs.append(
            (moment, [(int(own["satellite"][i]), [float(own["S1C"][i]),
                      float(own["S2L"][i])]) for i in gps])
        )  # fmt: skip
    path = write_rinex(
        tmp_path / "a.18o", ["S1", "S2"], epochs, version=2.11, position=sky.station
    )
    day = rinex_to_snr(read_observations(path), open_orbits([simulated[1]]))
    assert is_flagged(day["quality_flag"], "second_band_unknown").all()
    assert not is_flagged(day["quality_flag"], "rounded").any()
    np.testing.assert_array_equal(
        day["s2"].values, [v[1] for _, records in epochs for _, v in records]
    )


def test_ratios_in_whole_decibels_are_flagged(simulated):
    rows, orbits = changed(
        simulated, S1C=lambda r: np.rint(r["S1C"].values), S2L=None, S2W=None, S5Q=None
    )
    day = rinex_to_snr(rows, orbits)
    assert day["s1"].attrs["resolution"] == 1.0
    assert is_flagged(day["quality_flag"], "rounded").all()


def test_digits_in_place_of_decibels_are_refused(simulated):
    rows, orbits = changed(
        simulated,
        S1C=lambda r: np.floor(r["S1C"].values / 6),
        S2L=None, S2W=None, S5Q=None,
    )  # fmt: skip
    with pytest.raises(InputError, match="digits from 0 to 9"):
        rinex_to_snr(rows, orbits)
    rows, orbits = changed(simulated, S1C=None, S2L=None, S2W=None, S5Q=None)
    with pytest.raises(InputError, match="no signal strengths"):
        rinex_to_snr(rows, orbits)


@pytest.mark.realdata
def test_a_real_file_that_speaks_of_digits_but_has_decibels_is_flagged_as_rounded(
    dataset, simulated
):
    rows = read_observations(dataset("rinex-examples") / "york0440.15d")
    # No orbits of that day are at hand: the sky is moved there by whole weeks and days.
    shift = np.datetime64("2018-07-19") - np.datetime64("2015-02-13")
    rows["time"] = rows["time"] + shift
    day = rinex_to_snr(rows, open_orbits([simulated[1]]))
    assert day["s1"].attrs["resolution"] == 1.0
    assert is_flagged(day["quality_flag"], "rounded").all()
    assert is_flagged(day["quality_flag"], "second_band_unknown").any()
    assert day.attrs["station"] == "york"


def test_rows_without_orbit_are_left_out_and_counted(simulated):
    rows, orbits = changed(
        simulated,
        satellite=lambda r: np.where(
            r["satellite"].values == 201, 230, r["satellite"].values
        ),
    )
    day = rinex_to_snr(rows, orbits)
    lost = int((rows["satellite"].values == 230).sum())
    assert day.attrs["without_orbit"] == f"E30:{lost}"
    assert day.sizes["observation"] == rows.sizes["observation"] - lost


def test_orbits_of_another_day_are_refused(simulated):
    rows, orbits = changed(
        simulated, time=lambda r: r["time"].values + np.timedelta64(9, "D")
    )
    with pytest.raises(InputError, match=r"know none .* on 2018-07-28"):
        rinex_to_snr(rows, orbits)


def test_several_days_need_a_date(simulated):
    rows, orbits = changed(
        simulated, time=lambda r: r["time"].values - np.timedelta64(6, "h")
    )
    with pytest.raises(InputError, match="several days, 2018-07-18 to 2018-07-19"):
        rinex_to_snr(rows, orbits)
    day = rinex_to_snr(rows, orbits, date=datetime.date(2018, 7, 19))
    assert day.attrs["other_days"] > 0
    assert (
        day.sizes["observation"] + day.attrs["other_days"] == rows.sizes["observation"]
    )
    with pytest.raises(InputError, match="no observation is of 2018-07-25"):
        rinex_to_snr(rows, orbits, date="2018-07-25")


def test_a_file_without_position_or_name_needs_them(simulated, sky):
    rows, orbits = changed(simulated)
    del rows.attrs["position"]
    with pytest.raises(InputError, match="no position of the antenna"):
        rinex_to_snr(rows, orbits)
    near = sky.station + np.array([30.0, -20.0, 10.0])
    day = rinex_to_snr(rows, orbits, position=near, station="abcd")
    exact = rinex_to_snr(rows, orbits, position=sky.station)
    assert day.attrs["station"] == "abcd"
    # 37 m over the distance of the satellite, and over the radius of the earth, by
    # which the vertical turns: 1.1e-4 + 3.4e-4 degrees.
    np.testing.assert_allclose(day["elevation"], exact["elevation"], atol=4.5e-4)
    rows.attrs["station"] = ""
    with pytest.raises(InputError, match="names no station"):
        rinex_to_snr(rows, orbits, position=near)


def test_channels_of_the_file_go_before_those_of_messages(simulated):
    rows, orbits = changed(simulated)
    orbits.glonass_channels = {1: 5, 2: 6}
    rows.attrs["glonass_channels"] = "1:-4"
    assert rinex_to_snr(rows, orbits).attrs["glonass_channels"] == "1:-4 2:6"


@pytest.mark.realdata
def test_a_real_receiver_saw_no_satellite_below_the_horizon_of_its_own_messages(
    dataset,
):
    """The one real day with messages of its own: seven Galileo satellites."""
    folder = dataset("rinex-examples")
    rows = read_observations(folder / "CEDA00USA_R_20182100000_23H_15S_MO.rnx.gz")
    orbits = open_orbits([folder / "CEDA00USA_R_20182100000_01D_MN.rnx.gz"])
    day = rinex_to_snr(rows, orbits)
    assert np.unique(day["satellite"]).tolist() == [202, 203, 205, 207, 208, 219, 230]
    assert day.sizes["observation"] > 7_000
    elevation = day["elevation"].values
    assert 0.0 < elevation.min() < 5.0
    assert 80.0 < elevation.max() < 90.0
    # A satellite high up is received better than a low one: 12 dB of the antenna.
    high, low = (day["s1"].values[m] for m in (elevation > 60, elevation < 10))
    assert np.nanmedian(high) - np.nanmedian(low) > 6.0
    assert "R14:364" in day.attrs["without_orbit"]
