"""Transients, velocities and seasons told apart: on simulated series, coverage."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from tilth.core.errors import InputError
from tilth.gnss.positions.trajectory import Trajectory
from tilth.gnss.positions.transient_model import SeriesModel, TransientSettings
from tilth.gnss.positions.transients import (
    daily_grid,
    separate,
    separate_positions,
)

YEARS, WHITE, RATE, STEP = 5.0, 2.0, 3.0, 5.0
COUNT = round(YEARS * 365.25)
TIME = np.datetime64("2001-03-01T12", "ns") + np.arange(COUNT) * np.timedelta64(1, "D")
STEP_DAY = 801


def simulated(seed, walk=2.0, time_scale=None, wander=0.5):
    """Return a series with gaps (mm), its transient and its season."""
    draws = np.random.default_rng(seed)
    t = np.arange(COUNT) / 365.25
    amplitudes = draws.normal(size=(4, COUNT)).cumsum(axis=1) * wander / np.sqrt(365.25)
    angle = 2 * np.pi * t
    season = (
        (3.0 + amplitudes[0]) * np.cos(angle)
        + (1.0 + amplitudes[1]) * np.sin(angle)
        + amplitudes[2] * np.cos(2 * angle)
        + amplitudes[3] * np.sin(2 * angle)
    )
    shocks = draws.normal(size=COUNT)
    if time_scale is None:
        transient = np.cumsum(shocks) * walk / np.sqrt(365.25)
        transient -= transient[0]
    else:
        kept = np.exp(-1 / (365.25 * time_scale))
        shocks[1:] *= np.sqrt(1 - kept**2)
        transient = walk * lfilter([1.0], [1.0, -kept], shocks)
    values = RATE * t + season + transient + WHITE * draws.normal(size=COUNT)
    values[STEP_DAY:] += STEP
    values[draws.random(COUNT) < 0.1] = np.nan
    values[400:440] = np.nan
    return values, transient, season


def _moved(transient):
    """Return rate, step and transient together."""
    return (
        RATE * np.arange(COUNT) / 365.25
        + STEP * (np.arange(COUNT) >= STEP_DAY)
        + (transient)
    )


def told_apart(seed, kind="random_walk", **truth):
    """Return the separation and how far its parts are from the truth, in s.e."""
    values, transient, season = simulated(seed, **truth)
    there = np.isfinite(values)
    found = separate(
        TIME[there],
        values[there],
        Trajectory(steps=[TIME[STEP_DAY]]),
        settings=TransientSettings(kind),
        units="mm",
    )
    days = np.searchsorted(TIME, found["time"].values)
    far = {
        "rate": (found["estimate"] - RATE) / found["estimate_se"],
        "transient": (found["transient"] - transient[days])[1:]
        / found["transient_se"][1:],
        "season": (found["season"] - season[days]) / found["season_se"],
        "motion": (found["motion"] - _moved(transient)[days]) / found["motion_se"],
    }
    far["rate"] = float(far["rate"].sel(parameter="rate"))
    step = found.isel(parameter=found["parameter"].str.startswith("step"))
    far["step"] = float((step["estimate"][0] - STEP) / step["estimate_se"][0])
    return found, far


@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        ("random_walk", {"walk": 2.0}),
        ("random_walk", {"walk": 0.3}),
        ("gauss_markov", {"walk": 2.0, "time_scale": 0.2}),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(kind, truth):
    found = [told_apart(seed, kind, **truth)[1] for seed in range(10)]
    # Of 20 rates and steps, 95 % intervals miss one on average; more than 4 in one of
    # 400 cases.
    scalars = np.array([[far["rate"], far["step"]] for far in found])
    assert (np.abs(scalars) > 1.96).sum() <= 4
    assert np.std(scalars) < 1.6
    for name in ("transient", "season", "motion"):
        inside = np.mean([np.mean(np.abs(far[name]) < 1.96) for far in found])
        # Days of a series go together: 10 series are some dozens of independent values.
        assert 0.85 < inside <= 1.0, name


def test_the_variances_of_the_processes_are_found():
    found = [told_apart(seed, walk=2.0, wander=0.5)[0] for seed in range(8)]
    all_found = xr.concat(
        [one[["deviation", "deviation_se"]] for one in found], "series"
    )
    middle = all_found["deviation"].median("series")
    np.testing.assert_allclose(middle, [WHITE, 2.0, 0.5], rtol=0.35)
    z = (all_found["deviation"] - [WHITE, 2.0, 0.5]) / all_found["deviation_se"]
    assert (np.abs(z) < 3.5).all()


def test_a_slow_slip_shows_as_a_transient():
    draws = np.random.default_rng(5)
    t = np.arange(COUNT) / 365.25
    slip = 15.0 / (1.0 + np.exp(-(t - 2.5) / 0.05))
    values = RATE * t + slip + WHITE * draws.normal(size=COUNT)
    found = separate(TIME, values, units="mm")
    whole = (found["transient"] + found["trend"] + found["season"]).values
    # Two percent of the slip's size on average, white noise is a seventh of it.
    assert np.abs(whole - RATE * t - slip).mean() < 0.6
    before, after = (found.sel(time=f"{d}T12") for d in ("2003-05-01", "2003-12-01"))
    rise = float(after["motion"] - before["motion"]) - RATE * 214 / 365.25
    se = float(np.hypot(before["motion_se"], after["motion_se"]))
    slipped = np.ptp(slip[np.isin(TIME, [before["time"].values, after["time"].values])])
    # Seasons that wander may take a part of it; the error knows.
    assert rise == pytest.approx(slipped, abs=2.5 * se)
    assert rise > 6.0 * se
    # Transient and trend trade off: their sum is better known than the first.
    assert float(after["motion_se"]) < 0.5 * float(after["transient_se"])


def test_parts_add_up_to_the_observation():
    found, _ = told_apart(1)
    values, *_ = simulated(1)
    whole = found["trend"] + found["season"] + found["transient"] + found["residual"]
    days = np.searchsorted(TIME, found["time"].values)
    np.testing.assert_allclose(whole, values[days], atol=1e-9)


def test_gross_errors_are_left_out_with_their_reason():
    values, *_ = simulated(2)
    clean = separate(TIME, values, Trajectory(steps=[TIME[STEP_DAY]]))
    values[600], values[1200] = 40.0, -35.0
    found = separate(TIME, values, Trajectory(steps=[TIME[STEP_DAY]]))
    days = found["time"].values[found["quality_flag"].values == 1]
    assert set(TIME[[600, 1200]]) <= set(days)
    assert found["quality_flag"].attrs["flag_meanings"] == "outlier"
    rates = [d["estimate"].sel(parameter="rate") for d in (clean, found)]
    assert float(rates[0]) == pytest.approx(float(rates[1]), abs=0.1)


def test_units_change_numbers_and_nothing_else():
    values, *_ = simulated(3)
    in_mm = separate(TIME, values, units="mm")
    in_m = separate(TIME, values / 1e3)
    np.testing.assert_allclose(in_mm["transient"], 1e3 * in_m["transient"], atol=2e-2)
    np.testing.assert_allclose(in_mm["estimate"], 1e3 * in_m["estimate"], atol=2e-2)
    assert in_mm["parameter_units"].values[1] == "mm yr-1"


def test_a_day_of_large_formal_error_counts_less():
    model_of = {}
    for name, formal in (("alike", np.ones(COUNT)), ("one", np.ones(COUNT))):
        if name == "one":
            formal[700] = 100.0
        values, *_ = simulated(4)
        values[700] = 60.0
        model_of[name] = SeriesModel(TIME, values, Trajectory(), formal=formal)
    place = np.log([1.0, 0.01])
    states = {k: m.smooth(place).state[700, 0] for k, m in model_of.items()}
    assert states["alike"] > states["one"] + 1.0


def test_a_station_has_all_components_and_leaves_flagged_rows_out():
    positions = xr.Dataset({"time": TIME})
    for seed, name in enumerate(("east", "north", "up")):
        values = simulated(seed, wander=0.0)[0] * 1e-3
        values[~np.isfinite(values)] = 0.5
        positions[name] = ("time", values)
        positions[f"{name}_se"] = ("time", np.full(COUNT, 1e-3))
    bad = (positions[["east", "north", "up"]].to_array() == 0.5).any("variable")
    positions["quality_flag"] = bad.astype("int32")
    found = separate_positions(positions, Trajectory(steps=[TIME[STEP_DAY]]))
    assert found["component"].values.tolist() == ["east", "north", "up"]
    rates = found["estimate"].sel(parameter="rate")
    errors = found["estimate_se"].sel(parameter="rate")
    assert (np.abs(rates - RATE * 1e-3) < 3.5 * errors).all()
    # The first and the last day may be among them: the grid ends where they do.
    good = found["time"].isin(TIME[~bad.values])
    assert (found["residual"].notnull() == good).all()


def test_disorder_and_shortness_are_refused():
    values = np.zeros(COUNT)
    with pytest.raises(InputError, match="one position a day"):
        daily_grid(TIME[[0, 1, 1, 2]])
    with pytest.raises(InputError, match="more than a year"):
        separate(TIME[:300], values[:300])
    with pytest.raises(InputError, match="every day"):
        SeriesModel(TIME[::2], values[::2], Trajectory())
    with pytest.raises(InputError, match="as many positions"):
        SeriesModel(TIME, values[:5], Trajectory())
    with pytest.raises(InputError, match="one positive value"):
        SeriesModel(TIME, values, Trajectory(), formal=0 * values)
    with pytest.raises(InputError, match="random_walk, gauss_markov"):
        TransientSettings("spline")
    with pytest.raises(InputError, match="above 2"):
        TransientSettings(outlier=1.0)
    with pytest.raises(InputError, match="no observation after"):
        SeriesModel(TIME, values, Trajectory(steps=["2030-01-01"]))
