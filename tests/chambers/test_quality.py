import numpy as np
import pytest

from tilth.chambers.closures import make_closures
from tilth.chambers.quality.filters import (
    Limits,
    closure_signs,
    flag_closures,
    flag_daylight,
    flag_implausible,
    flag_no_exchange,
    flag_stuck_closed,
)
from tilth.chambers.simulate.fleet import Faults, Layout, Sensor, Soil, simulate_fleet
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged

LID = ("stuck_open", "stuck_closed", "clogged_pot", "open_or_clogged")
FAULTY = Faults(0.2, 0.2, 0.2, light_errors=0.02, servo_feedback=True)
T = np.arange(-30.0, 181.0, 3.0)


def raised(closures, *meanings):
    return is_flagged(closures["closure_flag"], *meanings).values


def by_hand(
    *,
    rise=20.0,
    wetting=1.0,
    start=450.0,
    times=None,
    devices=None,
    light=0.0,
    **per_closure,
):
    """Closures of exact lines: CO2 and humidity rise by so much in 180 s."""
    rise, wetting, start, light = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (rise, wetting, start, light))
    )
    n = len(rise)
    progress = np.clip(T, 0, None) / 180.0
    ones = np.ones_like(T)
    samples = {
        "elapsed": [T] * n,
        "co2": [c + r * progress for c, r in zip(start, rise, strict=True)],
        "h2o": [14.0 + w * progress for w in wetting],
        "pressure": [97_200.0 * ones] * n,
        "temperature": [20.0 * ones] * n,
        "light": [x * ones for x in light],
    }
    if times is None:
        times = np.datetime64("2023-07-03T00:00") + np.arange(n) * np.timedelta64(
            10, "m"
        )
    per_closure.setdefault("ambient_co2", [450.0] * n)
    closures = make_closures(
        [f"c{i}" for i in range(n)],
        samples,
        time=times,
        per_closure=per_closure,
        labels={"device": devices or ["one"] * n},
        basis={"co2": "wet"},
        units={"ambient_co2": "umol mol-1", "soil_co2": "umol mol-1"},
    )
    return closures


EVIDENCE = {
    "both": [],
    "soil only": ["servo_ok"],
    "servo only": ["soil_co2"],
    "none": ["servo_ok", "soil_co2"],
}


@pytest.fixture(scope="module", params=[0, 1])
def fleets(request):
    """One simulated fleet, filtered with more or less evidence at hand."""
    fleet = simulate_fleet(
        Layout(tables=("3", "9"), days=5), faults=FAULTY, seed=100 + request.param
    )
    return {
        name: flag_closures(fleet.drop_vars(without))
        for name, without in EVIDENCE.items()
    }


def hits_and_false_alarms(flagged, fault, *meanings):
    """Return both shares by night (the only time the fleet's data are used)."""
    night = (flagged["true_flux"] == flagged["true_soil_flux"]).values
    found = raised(flagged, *meanings)
    failed = (flagged["fault"] == fault).values & night
    fine = (flagged["fault"] == "none").values & night
    assert failed.sum() > 50
    assert fine.sum() > 1000
    return found[failed].mean(), found[fine].mean()


@pytest.mark.parametrize("fault", ["stuck_open", "clogged_pot"])
@pytest.mark.parametrize("evidence", ["both", "servo only"])
def test_no_exchange_is_found_and_told_apart_by_the_servo(fleets, fault, evidence):
    hits, alarms = hits_and_false_alarms(fleets[evidence], fault, fault)
    assert hits > 0.95
    assert alarms < 0.002
    other = "clogged_pot" if fault == "stuck_open" else "stuck_open"
    mistaken, _ = hits_and_false_alarms(fleets[evidence], fault, other)
    assert mistaken < 0.01


@pytest.mark.parametrize("fault", ["stuck_open", "clogged_pot"])
@pytest.mark.parametrize("evidence", ["soil only", "none"])
def test_without_the_servo_it_is_found_but_seldom_told_apart(fleets, fault, evidence):
    flagged = fleets[evidence]
    hits, alarms = hits_and_false_alarms(
        flagged, fault, "open_or_clogged", "clogged_pot"
    )
    assert hits > 0.95
    assert alarms < 0.002
    assert hits_and_false_alarms(flagged, fault, "stuck_open")[0] == 0
    named, _ = hits_and_false_alarms(flagged, fault, "clogged_pot")
    if evidence == "none":
        assert named == 0
    elif fault == "clogged_pot":
        # Only pots blocked for about a day have filled beyond the limit.
        assert named > 0.02
    else:
        # A soil that is rich in CO2 anyway is mistaken for a blocked one.
        assert named < 0.05


def test_chambers_stuck_closed_are_found(fleets):
    hits, alarms = hits_and_false_alarms(fleets["none"], "stuck_closed", "stuck_closed")
    assert hits > 0.85
    assert alarms < 0.002


def test_a_noisy_sensor_costs_hits_but_raises_no_false_alarms():
    noisy = simulate_fleet(
        Layout(tables=("3", "9"), days=5),
        sensor=Sensor(noise=10),
        faults=FAULTY,
        seed=9,
    )
    flagged = flag_closures(noisy)
    for fault in ("stuck_open", "stuck_closed", "clogged_pot"):
        hits, alarms = hits_and_false_alarms(flagged, fault, fault)
        assert hits > 0.6
        assert alarms < 0.005


def test_low_fluxes_of_a_cold_dry_night_are_no_fault():
    slow = simulate_fleet(
        Layout(tables=("3", "9"), days=3),
        Soil(flux=0.1, vapour_conductance=0.001, photosynthesis=0),
        seed=5,
    )
    assert raised(flag_closures(slow), *LID).mean() < 0.01


def test_a_flat_closure_is_flagged_as_what_servo_and_soil_say():
    unknown = np.nan
    servo = [0, 0, 1, 1, 1, unknown, unknown, unknown]
    soil = [30_000, unknown, 30_000, unknown, 5_000, 30_000, 5_000, unknown]
    closures = by_hand(
        rise=[0] * 8, wetting=0, servo_ok=servo, soil_co2=soil, devices=list("abcdefgh")
    )
    flagged = flag_no_exchange(closures, closure_signs(closures))
    expected = {
        "stuck_open": [1, 1, 0, 0, 0, 0, 0, 0],
        "clogged_pot": [0, 0, 1, 1, 1, 1, 0, 0],
        "open_or_clogged": [0, 0, 0, 0, 0, 0, 1, 1],
    }
    for meaning, where in expected.items():
        np.testing.assert_array_equal(raised(flagged, meaning), np.array(where, bool))


def test_a_soil_that_fills_up_tells_of_the_whole_run_but_not_of_other_runs():
    rise = [0, 0, 0, 20, 0, 0]
    soil = [5_000, 15_000, 25_000, 5_000, 5_000, np.nan]
    closures = by_hand(rise=rise, wetting=np.sign(rise), soil_co2=soil)
    flagged = flag_no_exchange(closures, closure_signs(closures))
    assert raised(flagged, "clogged_pot").tolist() == [True] * 3 + [False] * 3
    found = raised(flagged, "open_or_clogged")
    assert found.tolist() == [False] * 4 + [True] * 2


def test_moving_vapour_clears_a_chamber_whose_co2_stands_still():
    closures = by_hand(rise=[0, 0, 4.9, 5.1], wetting=[0.5, 0.05, 0.05, 0.05])
    flagged = flag_no_exchange(closures, closure_signs(closures))
    assert raised(flagged, *LID).tolist() == [False, True, True, False]


def test_an_impossible_soil_co2_is_no_evidence():
    closures = by_hand(rise=[0, 0], wetting=0, soil_co2=[-67_969.5, 0.0])
    flagged = flag_no_exchange(closures, closure_signs(closures))
    assert raised(flagged, "open_or_clogged").all()


def test_without_humidity_only_a_stalled_servo_proves_a_chamber_open():
    closures = by_hand(rise=[0, 0, 0], servo_ok=[0, 1, np.nan]).drop_vars("h2o")
    flagged = flag_no_exchange(closures, closure_signs(closures))
    assert raised(flagged, "stuck_open").tolist() == [True, False, False]
    assert not raised(flagged, "clogged_pot", "open_or_clogged").any()


def test_still_air_far_from_ambient_is_not_an_open_chamber():
    closures = by_hand(rise=0, wetting=0, start=[450, 900, 450, 450, 450])
    flagged = flag_no_exchange(closures, closure_signs(closures))
    assert raised(flagged, *LID).tolist() == [True, False, True, True, True]


def test_signs_are_the_changes_by_hand():
    closures = by_hand(rise=[18.0, -36.0], wetting=[1.8, 0.0], start=[450.0, 500.0])
    signs = closure_signs(closures)
    np.testing.assert_allclose(signs.co2_change, [18.0, -36.0], rtol=1e-9)
    np.testing.assert_allclose(signs.h2o_change, [1.8, 0.0], atol=1e-9)
    np.testing.assert_allclose(signs.start_co2, [450.0, 500.0])
    np.testing.assert_allclose(signs.end_co2, [467.4, 465.2])
    # The usual offset of the device, 25 ppm, is taken off.
    np.testing.assert_allclose(signs.excess, [-25.0, 25.0])


def test_a_chamber_that_never_opens_is_flagged_from_its_first_high_start():
    # Closed at cycle 2, the lid stays down: 60 ppm gather per ten minutes.
    start = [450, 450, 450, 510, 570, 630, 690, 450, 450, 450, 450, 450]
    closures = by_hand(rise=18.0, start=start)
    flagged = flag_stuck_closed(closures, closure_signs(closures))
    assert np.flatnonzero(raised(flagged, "stuck_closed")).tolist() == [3, 4, 5, 6]


def test_a_visitors_breath_is_not_a_stuck_lid():
    start = [450, 450, 450, 850, 450, 450, 450]
    closures = by_hand(rise=18.0, start=start)
    flagged = flag_stuck_closed(closures, closure_signs(closures))
    assert not raised(flagged, "stuck_closed").any()


def test_a_corner_with_more_co2_is_not_a_stuck_lid():
    # The starts creep up by 80 ppm, but each closure falls back by what it gained.
    start = [450] * 10 + [460, 470, 480, 490, 500, 510, 520, 530]
    closures = by_hand(rise=30.0, start=start)
    flagged = flag_stuck_closed(closures, closure_signs(closures))
    assert not raised(flagged, "stuck_closed").any()


def test_the_first_closure_of_a_record_is_judged_by_the_next():
    start = [700, 760, 820, 450, 450, 450, 450, 450, 450]
    closures = by_hand(rise=18.0, start=start)
    flagged = flag_stuck_closed(closures, closure_signs(closures))
    assert np.flatnonzero(raised(flagged, "stuck_closed")).tolist() == [0, 1, 2]


def test_a_closure_long_before_says_nothing():
    start = [700, 760, 450, 450, 450, 450]
    hours = np.array([0, 5, 6, 7, 8, 9]).astype("timedelta64[h]")
    closures = by_hand(
        rise=18.0, start=start, times=np.datetime64("2023-07-03T00:00") + hours
    )
    assert np.isnan(closure_signs(closures)["kept"]).all()
    flagged = flag_stuck_closed(closures, closure_signs(closures))
    assert not raised(flagged, "stuck_closed").any()


def test_ambient_is_the_middle_of_the_fleet_and_stuck_ones_do_not_set_it():
    when = np.repeat(
        np.datetime64("2023-07-03T00:00") + np.arange(4) * np.timedelta64(10, "m"), 3
    )
    start = np.tile([450.0, 460.0, 440.0], 4)
    start[[6, 9]] = 900.0
    closures = by_hand(start=start, times=when, devices=["a", "b", "c"] * 4).drop_vars(
        "ambient_co2"
    )
    signs = closure_signs(closures)
    others = np.delete(signs.excess.values, [0, 3, 6, 9])
    assert (np.abs(others) < 20).all()
    assert (signs.excess[[6, 9]] > 350).all()


def test_a_single_device_is_its_own_ambient():
    start = [450.0] * 20
    start[10] = 650.0
    closures = by_hand(start=start).drop_vars("ambient_co2")
    signs = closure_signs(closures)
    np.testing.assert_allclose(signs.excess[10], 200.0)
    np.testing.assert_allclose(np.delete(signs.excess.values, 10), 0.0)


def test_ten_lux_is_night_and_eleven_is_not():
    flagged = flag_daylight(by_hand(light=[0, 10, 10.1, 28_000]))
    assert raised(flagged, "daylight").tolist() == [False, False, True, True]
    assert not raised(flagged, "light_unknown").any()


def test_the_error_code_of_the_light_sensor_is_not_darkness():
    flagged = flag_daylight(by_hand(light=[-1, np.nan]))
    assert raised(flagged, "light_unknown").all()
    assert not raised(flagged, "daylight").any()


def test_other_devices_tell_whether_it_was_night():
    when = np.repeat(np.array(["2023-07-03T00:00", "2023-07-03T12:00"], "M8[m]"), 3)
    closures = by_hand(
        light=[0, -1, 2, 9000, -1, 12_000], times=when, devices=list("abcabc")
    )
    flagged = flag_daylight(closures)
    assert raised(flagged, "daylight").tolist() == [False] * 3 + [True] * 3
    assert not raised(flagged, "light_unknown").any()


def test_the_brightest_moment_of_a_closure_decides():
    closures = by_hand(light=[0.0])
    closures["light"].values[0, 40] = 500.0
    assert raised(flag_daylight(closures), "daylight").all()
    closures["light"].values[0, 40] = -1.0
    assert not raised(flag_daylight(closures), "daylight", "light_unknown").any()


@pytest.mark.realdata
def test_hours_with_the_error_code_are_daylight_in_the_fleets_own_data(dataset):
    import pandas as pd

    hourly = pd.read_csv(
        dataset("carbdown-greenhouse") / "efflux_2023_hourly_per_variant.csv",
        dtype={"expid": str},
    )
    coded = hourly[hourly["light_lux"] == -1]
    hour = pd.to_datetime(coded["first_received_utc"]).dt.hour
    assert len(coded) == 70
    assert hour.between(6, 15).all()
    nights = hourly[hourly["expid"].isin(coded["expid"]) & (hourly["month"] >= 11)]
    ratio = coded["flux_published"].median() / nights["flux_published"].median()
    assert ratio > 3


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("temperature", 61.6, "implausible_temperature"),
        ("temperature", -61.0, "implausible_temperature"),
        ("pressure", 972.0, "implausible_pressure"),
        ("pressure", 111_000.0, "implausible_pressure"),
        ("h2o", -1.0, "implausible_humidity"),
        ("h2o", 30.0, "implausible_humidity"),
        ("co2", 0.0, "implausible_concentration"),
        ("co2", -5.0, "implausible_concentration"),
        ("co2", 40_000.0, "implausible_concentration"),
        ("light", -1.0, "implausible_light"),
        ("light", 200_000.0, "implausible_light"),
    ],
)
def test_a_single_impossible_reading_flags_its_closure_only(name, value, flag):
    closures = by_hand(light=[0, 0])
    assert not raised(flag_implausible(closures)).any()
    closures[name].values[1, 33] = value
    flagged = flag_implausible(closures)
    assert raised(flagged, flag).tolist() == [False, True]
    assert not raised(flagged)[0]


def test_soil_co2_is_range_checked_with_the_traps_of_the_published_file():
    soil = [-67_969.5, 0.0, 5000.0, 40_000.0, np.nan]
    flagged = flag_implausible(by_hand(rise=[20] * 5, soil_co2=soil))
    expected = [True, True, False, True, False]
    assert raised(flagged, "implausible_soil_co2").tolist() == expected


def test_units_are_converted_and_a_lie_about_them_is_caught():
    closures = by_hand(rise=[20.0])
    kilo = closures.copy()
    kilo["pressure"] = closures["pressure"] / 1000
    kilo["pressure"].attrs = {"units": "kPa"}
    assert not raised(flag_implausible(kilo)).any()
    lie = kilo.copy()
    lie["pressure"].attrs = {"units": "Pa"}
    assert raised(flag_implausible(lie), "implausible_pressure").all()


def test_relative_humidity_above_saturation_is_impossible():
    closures = by_hand(rise=[20.0, 20.0]).drop_vars("h2o")
    humidity = np.full((2, len(T)), 99.0)
    humidity[1, 5] = 120.0
    closures["relative_humidity"] = (("closure", "sample"), humidity, {"units": "%"})
    flagged = flag_implausible(closures)
    assert raised(flagged, "implausible_humidity").tolist() == [False, True]


def test_filters_raise_bits_and_change_nothing_else():
    closures = by_hand(rise=[0, 20], wetting=[0, 1], light=[0, 500])
    closures["closure_flag"].values[:] = 1
    flagged = flag_closures(closures)
    assert (flagged["closure_flag"].values & 1).all()
    assert raised(flagged, "open_or_clogged").tolist() == [True, False]
    assert raised(flagged, "daylight").tolist() == [False, True]
    others = closures.drop_vars("closure_flag")
    assert flagged.drop_vars("closure_flag").equals(others)


def test_a_closure_without_a_single_reading_passes_through():
    closures = by_hand(rise=[20, 20, 20])
    closures["co2"].values[1] = np.nan
    closures["elapsed"].values[1] = np.nan
    flagged = flag_closures(closures)
    assert not raised(flagged, *LID).any()


def test_missing_light_or_device_only_leaves_their_filters_out():
    closures = by_hand(rise=[0], wetting=0)
    assert not raised(flag_closures(closures.drop_vars(["light", "device"]))).any()
    with pytest.raises(InputError, match="night filter needs the variable light"):
        flag_daylight(closures.drop_vars("light"))
    with pytest.raises(InputError, match="device"):
        closure_signs(closures.drop_vars("device"))


def test_limits_are_the_users():
    closures = by_hand(rise=[8.0], wetting=0)
    strict, loose = Limits(co2_change=5.0), Limits(co2_change=10.0)
    for limits, found in ((strict, False), (loose, True)):
        flagged = flag_no_exchange(closures, closure_signs(closures, limits), limits)
        assert raised(flagged, *LID).tolist() == [found]


def test_other_gases_and_mass_concentrations_are_range_checked_too():
    closures = by_hand(rise=[20, 20])
    other = closures.rename(co2="n2o")
    other["n2o"].attrs = {"units": "mg m-3"}
    other["n2o"].values[1, 3] = -0.2
    flagged = flag_closures(other)
    found = raised(flagged, "implausible_concentration")
    assert found.tolist() == [False, True]
    assert not raised(flagged, *LID).any()


def test_a_humidity_given_once_per_closure_proves_nothing():
    closures = by_hand(rise=[0.0, 20.0], wetting=0)
    closures["h2o"] = ("closure", [14.0, 14.0], {"units": "mmol mol-1"})
    flagged = flag_no_exchange(closures, closure_signs(closures))
    assert not raised(flagged, *LID).any()


def test_what_was_done_is_written_down():
    assert "flag_closures" in flag_closures(by_hand()).attrs["history"]
