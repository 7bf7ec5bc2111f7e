"""Daily series and offsets: published numbers, known truth, honest errors."""

import functools

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.bias import remove_offsets, signal_offsets
from tilth.gnss.reflectometry.daily import daily_heights
from tilth.gnss.reflectometry.heights import reflector_heights
from tilth.gnss.reflectometry.settings import read_settings
from tilth.gnss.reflectometry.snr_files import read_snr
from tilth.gnss.reflectometry.tracks import gps_days, pass_numbers, track_numbers

OFFSETS = {1: 0.0, 20: 0.021, 5: 0.030}


def made_up(
    days=60, seed=0, noise=0.03, of_pass=0.02, of_track=0.02, outliers=0.0,
    surface=None, signals=(1, 20, 5), tracks=40,
):  # fmt: skip
    """Arcs over a moving surface with offsets, errors of passes and outliers."""
    rng = np.random.default_rng(seed)
    height = np.full(days, 2.0) if surface is None else surface
    offset = rng.normal(0.0, of_track, tracks)
    rows = []
    for day in range(days):
        for track in range(tracks):
            if rng.random() < 0.1:
                continue
            common = rng.normal(0.0, of_pass)
            hour = (track * 24.0 / tracks - day * 0.0657) % 24.0
            for k, code in enumerate(signals):
                if code == 20 and track % 3 == 0:
                    continue  # older satellites
                error = common + rng.normal(0.0, noise)
                if rng.random() < outliers:
                    error += rng.choice([-0.5, 0.7])
                rows.append((day, track, code, hour + k / 100, error))
    day, track, code, hour, error = (np.array(c) for c in zip(*rows, strict=True))
    truth = np.array([OFFSETS[c] for c in code]) + offset[track]
    time = np.datetime64("2019-07-01", "ns") + ((day * 24.0 + hour) * 3600e9).astype(
        "timedelta64[ns]"
    )
    variables = {
        "satellite": (track % 32 + 1).astype("int16"),
        "signal": code.astype("int16"),
        "rise": np.where(track % 2, 1, -1).astype("int8"),
        "azimuth": (track * 51.7 + rng.normal(0.0, 0.4, track.size)) % 360.0,
        "reflector_height": height[day] + truth + error,
        "amplitude": 12.0 + rng.normal(0.0, 1.0, track.size),
        "quality_flag": np.zeros(track.size, "int32"),
    }
    arcs = xr.Dataset({n: ("arc", v) for n, v in variables.items()})
    return arcs.assign_coords(time=("arc", time)), offset, track


@functools.cache
def heights_of(folder):
    settings = read_settings(
        folder / "mchl.json", folder / "mchl_refr.txt", peak="grid"
    )
    ten, eleven, twelve = (
        read_snr(folder / f"mchl{name}.25.snr66.gz")
        for name in ("0100", "0110", "0120_first2h")
    )
    return xr.concat(
        [
            reflector_heights(ten, following=eleven, settings=settings),
            reflector_heights(
                eleven, previous=ten, following=twelve, settings=settings
            ),
        ],
        "arc",
        combine_attrs="override",
    )


@pytest.fixture
def real(dataset):
    """Arcs of two real days."""
    return heights_of(dataset("mchl-reflections"))


@pytest.mark.realdata
def test_daily_means_are_those_of_gnssrefl(real):
    daily = daily_heights(real, within=0.25, fewest=10)
    # daily_avg 0.25 10 of gnssrefl 4.2.3: height, number, scatter, amplitude.
    assert daily["count"].values.tolist() == [102, 110]
    np.testing.assert_allclose(daily["reflector_height"], [1.694, 1.694], atol=5.1e-4)
    np.testing.assert_allclose(daily["scatter"], [0.046, 0.046], atol=5.1e-4)
    np.testing.assert_allclose(daily["amplitude"], [12.69, 12.95], atol=5.1e-3)
    noon = np.array(["2025-01-10T12", "2025-01-11T12"], "datetime64[ns]")
    np.testing.assert_array_equal(daily["time"], noon)


@pytest.mark.realdata
def test_a_series_of_each_signal_has_the_known_differences(real):
    daily = daily_heights(real, within=5.0, fewest=10, by_signal=True)
    # Means of the accepted arcs of gnssrefl, days 010 and 011: L1, L2C, L5.
    wanted = {1: (1.679, 1.675), 20: (1.697, 1.701), 5: (1.705, 1.709)}
    for code, heights in wanted.items():
        own = daily["reflector_height"].sel(signal=code)
        np.testing.assert_allclose(own, heights, atol=2e-3)
    offsets = signal_offsets(real, tracks=False)
    assert offsets.attrs["reference"] == 1
    found = offsets["signal_offset"].sel(signal=[20, 5]).values
    error = offsets["signal_offset_se"].sel(signal=[20, 5]).values
    # The differences of those means, of few arcs, within the stated error.
    assert (np.abs(found - [0.022, 0.030]) < 2.0 * error).all()
    assert (error > 0.002).all()
    assert (error < 0.02).all()


def test_only_days_with_enough_arcs_near_the_median_have_a_height():
    arcs, _, _ = made_up(days=3)
    today = gps_days(arcs) == np.datetime64("2019-07-02")
    keep = ~today | (np.cumsum(today) <= 9)
    daily = daily_heights(arcs.isel(arc=np.flatnonzero(keep)), fewest=10)
    assert daily["count"].values[1] == 9
    assert np.isfinite(daily["reflector_height"].values).tolist() == [True, False, True]


def test_arcs_far_from_the_median_and_rejected_ones_do_not_count():
    arcs, _, _ = made_up(days=1, noise=0.01)
    before = daily_heights(arcs, within=0.25)
    far = arcs.copy(deep=True)
    far["reflector_height"][3] = 2.9
    rejected = far.copy(deep=True)
    rejected["quality_flag"][5] = 4
    rejected["reflector_height"][5] = 2.01
    assert int(daily_heights(far)["count"][0]) == int(before["count"][0]) - 1
    assert int(daily_heights(rejected)["count"][0]) == int(before["count"][0]) - 2
    np.testing.assert_allclose(
        daily_heights(far)["reflector_height"], before["reflector_height"], atol=1e-3
    )


def test_standard_errors_of_a_day_cover_where_signals_share_errors():
    """Means of 300 days lie as far from the truth as their standard errors say."""
    arcs, _, _ = made_up(days=300, of_track=0.0, of_pass=0.04, signals=(1, 5))
    arcs["reflector_height"] = arcs["reflector_height"] - np.where(
        arcs["signal"].values == 5, OFFSETS[5], 0.0
    )
    daily = daily_heights(arcs)
    z = (daily["reflector_height"].values - 2.0) / daily["reflector_height_se"].values
    assert 0.92 < np.mean(np.abs(z) < 1.96) < 0.975
    # As if all arcs were independent the errors were smaller by a third.
    alone = (daily["scatter"] / np.sqrt(daily["count"])).values
    assert np.median(alone / daily["reflector_height_se"].values) < 0.8


@pytest.mark.parametrize("tracks", [True, False])
def test_offsets_of_signals_are_found_with_honest_errors(tracks):
    z = []
    for seed in range(40):
        arcs, _, _ = made_up(days=25, seed=seed, outliers=0.05)
        offsets = signal_offsets(arcs, reference=1, tracks=tracks)
        found = offsets["signal_offset"].sel(signal=[20, 5]).values
        error = offsets["signal_offset_se"].sel(signal=[20, 5]).values
        z.extend((found - [0.021, 0.030]) / error)
    inside = np.mean(np.abs(z) < 1.96)
    assert inside > 0.88  # of 80 draws; 0.95 less three of its standard errors
    assert np.abs(np.mean(z)) < 0.4
    assert 0.7 < np.std(z) < 1.3


def test_offsets_do_not_mind_how_the_surface_moves():
    rng = np.random.default_rng(5)
    surface = 2.0 + np.cumsum(rng.normal(0.0, 0.05, 40))
    still, _, _ = made_up(days=40, seed=3)
    moving, _, _ = made_up(days=40, seed=3, surface=surface)
    a, b = signal_offsets(still), signal_offsets(moving)
    np.testing.assert_allclose(a["signal_offset"], b["signal_offset"], atol=1e-6)
    np.testing.assert_allclose(a["track_offset"], b["track_offset"], atol=1e-6)


def test_offsets_of_tracks_are_found_and_removed():
    arcs, offset, track = made_up(days=80, seed=1, noise=0.01, of_pass=0.005)
    offsets = signal_offsets(arcs)
    assert offsets.sizes["track"] == 40
    numbers = track_numbers(arcs)
    for one in range(40):
        number = numbers[np.flatnonzero(track == one)[0]]
        found = float(offsets["track_offset"][number])
        assert found == pytest.approx(offset[one] - offset.mean(), abs=0.006)
    clean = remove_offsets(arcs, offsets)
    before = float(daily_heights(arcs)["scatter"].mean())
    after = float(daily_heights(clean)["scatter"].mean())
    assert before > 0.02
    assert after == pytest.approx(np.hypot(0.01, 0.005), rel=0.1)


def test_a_change_of_signals_makes_no_trend_once_offsets_are_removed():
    """L5 comes half-way: its 3 cm are a step of the mean, but not of the surface."""
    arcs, _, _ = made_up(days=100, seed=2)
    late = gps_days(arcs) >= np.datetime64("2019-08-20")
    kept = arcs.isel(arc=np.flatnonzero(late | (arcs["signal"].values != 5)))

    def step(table):
        height = daily_heights(table)["reflector_height"].values
        return height[50:].mean() - height[:50].mean()

    assert step(kept) > 0.006
    assert abs(step(remove_offsets(kept, signal_offsets(kept)))) < 0.003


def test_signals_that_never_share_a_day_cannot_be_compared():
    arcs, _, _ = made_up(days=20, signals=(1, 5))
    early = gps_days(arcs) < np.datetime64("2019-07-11")
    apart = arcs.isel(arc=np.flatnonzero(early == (arcs["signal"].values == 1)))
    with pytest.raises(InputError, match="cannot be told apart"):
        signal_offsets(apart, tracks=False)


def test_what_cannot_be_averaged_or_compared_is_refused():
    arcs, _, _ = made_up(days=2)
    none = arcs.copy(deep=True)
    none["quality_flag"][:] = 1
    for function in (daily_heights, signal_offsets):
        with pytest.raises(InputError, match="no arc is accepted"):
            function(none)
        with pytest.raises(InputError, match="needs the variable"):
            function(arcs.drop_vars("reflector_height"))
    with pytest.raises(InputError, match="within is positive"):
        daily_heights(arcs, within=0.0)
    with pytest.raises(
        InputError, match="no accepted arc is of the reference signal 101"
    ):
        signal_offsets(arcs, reference=101)
    with pytest.raises(InputError, match="0 to 180"):
        track_numbers(arcs, gap=200.0)


def test_tracks_go_across_north_and_passes_end_with_the_hour():
    hours = np.array([0.0, 0.2, 12.0, 24.0, 24.1])
    arcs = xr.Dataset(
        {
            "satellite": ("arc", [5, 5, 5, 5, 5]),
            "rise": ("arc", [1, 1, 1, 1, -1]),
            "azimuth": ("arc", [359.0, 1.0, 90.0, 2.0, 1.0]),
        },
        coords={
            "time": (
                "arc",
                np.datetime64("2019-01-01", "ns")
                + (hours * 3600e9).astype("timedelta64[ns]"),
            )
        },
    )
    tracks = track_numbers(arcs)
    assert tracks[0] == tracks[1] == tracks[3]
    assert len({tracks[0], tracks[2], tracks[4]}) == 3
    passes = pass_numbers(arcs)
    assert passes[0] == passes[1]
    assert len(set(passes.tolist())) == 4


def test_an_arc_in_the_last_seconds_of_a_gps_day_belongs_to_its_file():
    """Midnight of GPS time is 23:59:42 UTC since 2017."""
    time = np.array(["2019-07-01T23:59:41", "2019-07-01T23:59:43"], "datetime64[ns]")
    arcs = xr.Dataset(coords={"time": ("arc", time)})
    assert gps_days(arcs).astype(str).tolist() == ["2019-07-01", "2019-07-02"]
