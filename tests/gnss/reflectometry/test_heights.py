"""Heights over a plane: truth found, intervals honest, traps flagged."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.gnss.reflectometry.arcs import cut_arcs
from tilth.gnss.reflectometry.heights import accepted, reflector_heights
from tilth.gnss.reflectometry.quality import QUALITY
from tilth.gnss.reflectometry.refraction import Air, Refraction
from tilth.gnss.reflectometry.settings import Settings, read_settings
from tilth.gnss.reflectometry.signals import wavelength

STRAIGHT = Refraction("none")


def heights(day, **changes):
    settings = Settings(**({"signals": (1,), "refraction": STRAIGHT} | changes))
    return reflector_heights(day, settings=settings)


def flagged(arcs, meaning):
    name = "quality_flag" if meaning in QUALITY.descriptions else "warning_flag"
    return is_flagged(arcs[name], meaning).values


@pytest.mark.parametrize("height", [2.0, 3.7, 6.5])
def test_the_height_of_a_plane_is_found(made_day, height):
    arcs = accepted(heights(made_day(height)))
    assert arcs.sizes["arc"] == 32
    # What the polynomial takes of the wave moves single heights by a few mm.
    found = arcs["reflector_height"].values
    assert np.abs(found - height).max() < 0.01
    assert np.abs(found.mean() - height) < 0.002
    np.testing.assert_allclose(arcs["amplitude"], 12.0, atol=0.5)


@pytest.mark.parametrize(
    ("satellites", "signal"),
    [(range(3, 11), 5), (range(101, 125), 102), (range(201, 230), 208)],
)
def test_every_wavelength_leads_to_the_same_plane(made_day, satellites, signal):
    day = made_day(3.0, satellites=satellites, signal=signal)
    arcs = accepted(heights(day, signals=(signal,)))
    assert arcs.sizes["arc"] >= 4
    np.testing.assert_allclose(arcs["reflector_height"], 3.0, atol=0.01)


@pytest.mark.parametrize("height", [2.0, 4.0, 6.5])
@pytest.mark.parametrize("noise", [2.0, 6.0])
def test_standard_errors_cover_the_truth_in_white_noise(made_day, height, noise):
    day = made_day(height, satellites=range(1, 100), passes=7, noise=noise, seed=1)
    arcs = accepted(heights(day))
    error = arcs["reflector_height"].values - height
    within = np.abs(error) < 1.96 * arcs["reflector_height_se"].values
    assert arcs.sizes["arc"] > 600
    assert 0.93 < within.mean() < 0.999
    # Not covered by being wide: errors are as large as they are said to be.
    typical = np.median(arcs["reflector_height_se"])
    assert 0.6 < error.std() / typical < 1.1


def test_standard_errors_cover_the_truth_where_residuals_are_alike(made_day):
    day = made_day(
        3.0, satellites=range(1, 100), passes=7, noise=6.0, alike=0.5, seed=2
    )
    arcs = accepted(heights(day))
    error = arcs["reflector_height"].values - 3.0
    within = np.abs(error) < 1.96 * arcs["reflector_height_se"].values
    assert 0.90 < within.mean() < 0.99


def test_the_error_of_a_high_antenna_is_the_bound_of_cramer_and_rao(made_day):
    arcs = heights(made_day(6.5, noise=4.0, satellites=range(1, 90)))
    cut = cut_arcs(
        made_day(6.5, noise=4.0, satellites=range(1, 90)),
        Settings(signals=(1,), refraction=STRAIGHT),
    )
    sine = np.sin(np.radians(cut.elevation[cut.samples(0)]))
    bound = wavelength(1, 1) / (4 * np.pi) * np.sqrt(2) * 4.0
    bound /= 12.0 * np.sqrt(sine.size) * sine.std()
    typical = np.median(arcs["reflector_height_se"].values)
    assert typical == pytest.approx(bound, rel=0.1)


def test_refraction_left_out_lowers_heights_by_the_known_share(made_day):
    # 5-25 degrees: about 0.6 % of the height.
    day = made_day(4.0)
    bent = accepted(heights(day, refraction=Refraction("bennett", Air())))
    straight = accepted(heights(day))
    ratio = float(straight["reflector_height"].mean() / bent["reflector_height"].mean())
    assert ratio == pytest.approx(1 - 0.006, abs=0.002)


def test_rising_and_setting_and_the_factor_of_moving_surfaces_have_their_signs(
    made_day,
):
    rising = heights(made_day(2.0, satellites=[3]))
    day = made_day(2.0, satellites=[3])
    falling = heights(day.assign(elevation=34.0 - day["elevation"]))
    assert rising["rise"].values.tolist() == [1]
    assert falling["rise"].values.tolist() == [-1]
    # Mean tangent over the rate: 0.27 over 28 degrees in 64.5 minutes.
    rate = np.radians(28.0 / 64.5 * 60.0)
    expected = np.tan(np.radians(np.linspace(5, 25, 99))).mean() / rate
    assert float(rising["edot_factor"][0]) == pytest.approx(expected, rel=0.02)
    assert float(falling["edot_factor"][0]) < 0


def test_times_are_utc_beside_hours_of_gps(made_day):
    arcs = heights(made_day(2.0, satellites=[3], date="2024-07-01"))
    midnight = np.datetime64("2024-07-01", "ns")
    utc = (arcs["time"].values[0] - midnight) / np.timedelta64(1, "s")
    assert utc == pytest.approx(3600 * float(arcs["gps_hour"][0]) - 18.0, abs=1e-3)


def test_ratios_in_steps_of_six_decibels_are_rejected(made_day):
    day = made_day(2.0)
    digits = (6.0 * np.rint(day["s1"] / 6.0)).assign_attrs(resolution=6.0)
    arcs = heights(day.assign(s1=digits))
    assert flagged(arcs, "coarse_ratio").all()
    assert accepted(arcs).sizes["arc"] == 0


def test_ratios_rounded_to_one_decibel_are_warned_of(made_day):
    day = made_day(2.0)
    whole = np.rint(day["s1"]).assign_attrs(resolution=1.0)
    arcs = heights(day.assign(s1=whole))
    assert flagged(arcs, "rounded_ratio").all()
    assert not flagged(heights(day), "rounded_ratio").any()
    assert accepted(arcs).sizes["arc"] > 0


def test_sampling_too_slow_for_the_heights_is_warned_of(made_day):
    # At 26 degrees an hour L1 tells heights apart up to 15 m at 30 s, 4 m at 120 s.
    slow = heights(made_day(2.0, every=120.0))
    fast = heights(made_day(2.0, every=30.0))
    assert flagged(slow, "beyond_nyquist").all()
    assert not flagged(fast, "beyond_nyquist").any()
    ratio = fast["nyquist_height"].values[0] / slow["nyquist_height"].values[0]
    assert ratio == pytest.approx(4.0, rel=0.05)


def test_a_glonass_slot_without_channel_is_rejected_and_does_no_harm(made_day):
    day = made_day(2.0, satellites=[105, 106], signal=101)
    day["satellite"] = day["satellite"].where(day["satellite"] != 106, 132)
    day["satellite"] = day["satellite"].astype("int16")
    arcs = heights(day, signals=(101,))
    unknown = arcs["satellite"].values == 132
    assert (flagged(arcs, "unknown_channel") == unknown).all()
    assert unknown.sum() == 1
    assert accepted(arcs).sizes["arc"] == 1


def test_channels_that_the_day_does_not_tell_are_warned_of(made_day):
    day = made_day(2.0, satellites=[105], signal=101)
    assert flagged(heights(day, signals=(101,)), "assumed_channel").all()
    day = made_day(2.0, satellites=[105], signal=101, glonass_channels={5: 1})
    assert not flagged(heights(day, signals=(101,)), "assumed_channel").any()


def test_low_amplitude_low_peak_and_azimuth_are_told_apart(made_day):
    weak = heights(made_day(2.0, amplitude=1.0))
    assert flagged(weak, "low_amplitude").all()
    noise = heights(made_day(2.0, amplitude=0.0, noise=15.0))
    assert flagged(noise, "low_peak").mean() > 0.4
    west = heights(made_day(2.0), azimuths=((180.0, 360.0),))
    assert flagged(west, "azimuth_outside").all()
    across = heights(made_day(2.0), azimuths=((300.0, 460.0),))
    assert not flagged(across, "azimuth_outside").any()


def test_arcs_that_lack_an_end_or_last_too_long_are_rejected(made_day):
    day = made_day(2.0, satellites=[3])
    e = day["elevation"].values
    low, high = day.isel(observation=e > 9), day.isel(observation=e < 21)
    assert flagged(heights(low), "low_end_missing").all()
    assert flagged(heights(high), "high_end_missing").all()
    assert flagged(heights(made_day(2.0, minutes=140.0)), "long_duration").all()


def test_short_passes_stay_as_rows_with_their_reason(made_day):
    day = made_day(2.0, satellites=[3])
    arcs = heights(day.isel(observation=slice(40, 55)))
    assert arcs["quality_flag"].values.tolist() == [QUALITY.bit("few_samples")]
    assert np.isnan(arcs["reflector_height"].values).all()
    assert arcs["observations"].values.tolist() == [0]


def test_elevations_in_whole_degrees_give_no_height(made_day):
    # As of receivers whose messages round elevation: passes break at every step.
    day = made_day(2.0, satellites=[3])
    arcs = heights(day.assign(elevation=np.rint(day["elevation"])))
    assert flagged(arcs, "few_samples").all()
    assert accepted(arcs).sizes["arc"] == 0


def test_a_gap_of_more_than_ten_minutes_parts_a_pass(made_day):
    day = made_day(2.0, satellites=[3])
    t = day["second"].values - day["second"].values[0]
    short = heights(day.isel(observation=(t < 1800) | (t > 2340)))
    long = heights(day.isel(observation=(t < 1800) | (t > 2370)))
    assert (short.sizes["arc"], long.sizes["arc"]) == (1, 2)


def test_rows_twice_in_a_file_change_nothing(made_day):
    day = made_day(2.0, satellites=[3])
    twice = xr.concat([day, day], "observation", data_vars="all")
    first, second = heights(day), heights(twice)
    np.testing.assert_array_equal(first["reflector_height"], second["reflector_height"])
    np.testing.assert_array_equal(first["observations"], second["observations"])


def test_an_arc_across_midnight_belongs_to_one_day_and_is_whole(made_day):
    settings = Settings(signals=(1,), refraction=STRAIGHT)
    today = made_day(2.0, satellites=[3], date="2024-07-01", first_second=0.0)
    second = today["second"].values + 85000.0
    today = today.assign(second=("observation", second))
    later = second >= 86400
    first = today.isel(observation=~later)
    after = today.isel(observation=later).assign(
        second=("observation", second[later] - 86400)
    )
    after.attrs["date"] = "2024-07-02"
    evening = reflector_heights(first, following=after, settings=settings)
    morning = reflector_heights(after, previous=first, settings=settings)
    assert evening.sizes["arc"] + morning.sizes["arc"] == 1
    whole = evening if evening.sizes["arc"] else morning
    assert accepted(whole).sizes["arc"] == 1
    assert float(whole["reflector_height"][0]) == pytest.approx(2.0, abs=0.01)


def test_days_that_do_not_follow_each_other_are_refused(made_day):
    day = made_day(2.0, satellites=[3], date="2024-07-01")
    other = made_day(2.0, satellites=[3], date="2024-07-03")
    with pytest.raises(InputError, match="the day after 2024-07-01 of plan is"):
        reflector_heights(day, following=other)


def test_what_a_day_says_of_its_second_band_decides_the_signal(made_day):
    from tilth.core.flags import FlagTable

    table = FlagTable(
        {"second_band_unknown": "not told", "second_band_semicodeless": "L2 P"}
    )
    day = made_day(2.0, satellites=[25, 27], signal=20)
    mine = day["satellite"].values == 25
    flags = table.variable({"second_band_semicodeless": mine}, mine.shape)
    marked = day.assign(quality_flag=("observation", flags, table.attrs()))
    arcs = heights(marked, signals=(2, 20))
    got = dict(zip(arcs["satellite"].values, arcs["signal"].values, strict=True))
    assert got == {25: 2, 27: 20}
    flags = table.variable({"second_band_unknown": mine}, mine.shape)
    marked = day.assign(quality_flag=("observation", flags, table.attrs()))
    arcs = heights(marked, signals=(20,))
    warned = flagged(arcs, "unknown_second_band")
    assert (warned == (arcs["satellite"].values == 25)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signals": (1, 1)}, "named once each"),
        ({"signals": (33,)}, "no signal has the number 33"),
        ({"elevations": (25, 5)}, "they rise"),
        ({"max_height": 4.0}, "over 5 m or more"),
        ({"height_step": 0.5}, "at most 0.05"),
        ({"peak": "highest"}, "'parabola' or 'grid'"),
        ({"azimuths": ((300.0, 60.0),)}, "clockwise"),
        ({"noise_heights": (2.0, 9.0)}, "up to max_height"),
        ({"interval": -1.0}, "it is positive"),
        ({"trend_order": 12}, "it is 0 to 8"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Settings(**changes)


def test_settings_for_what_is_not_done_here_are_refused(tmp_path):
    import json

    good = {
        "lat": 0, "lon": 0, "ht": 0, "minH": 0.5, "maxH": 8, "e1": 5, "e2": 25,
        "freqs": [1],
    }  # fmt: skip
    path = tmp_path / "abcd.json"
    for extra, message in (
        ({"refr_model": 5}, "model of refraction 5"),
        ({"ellist": [5, 10]}, "ranges of elevations"),
    ):
        path.write_text(json.dumps(good | extra))
        with pytest.raises(InputError, match=message):
            read_settings(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="lacks"):
        read_settings(path)
    path.write_text(json.dumps(good | {"azval2": [0, 90, 180, 270]}))
    assert read_settings(path).azimuths == ((0, 90), (180, 270))
