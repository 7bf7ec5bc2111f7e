"""Water level: the rate's effect on heights, the curve, its errors, bad arcs."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.gnss.surface import simulated_tide, water_level

TIME = pd.Timestamp("2020-03-01")


def arcs_over(height, rate, hours, factor, noise=0.0, seed=0):
    """Return arcs that see a moving surface."""
    draw = np.random.default_rng(seed).normal(0.0, 1.0, hours.size) * noise
    return xr.Dataset(
        {
            "time": ("arc", (TIME + pd.to_timedelta(hours, "h")).to_numpy()),
            "reflector_height": ("arc", height(hours) + factor * rate(hours) + draw),
            "edot_factor": ("arc", factor),
        }
    )


@pytest.fixture
def hours():
    rng = np.random.default_rng(3)
    return np.sort(rng.uniform(0.0, 240.0, 700))


@pytest.fixture
def factor(hours):
    rng = np.random.default_rng(4)
    return rng.choice([-1.0, 1.0], hours.size) * rng.uniform(0.5, 0.9, hours.size)


def test_still_water_needs_no_correction(hours, factor):
    arcs = arcs_over(lambda t: 5.0 + 0 * t, lambda t: 0 * t, hours, factor)
    found = water_level(arcs, antenna=20.0)
    np.testing.assert_allclose(found["correction"], 0.0, atol=1e-9)
    np.testing.assert_allclose(found["water_level"], 15.0, atol=1e-9)


def test_water_that_rises_evenly_is_corrected_exactly(hours, factor):
    # A straight line lies in the splines: H = 5 - 0.01 t, dH/dt = -0.01 m h-1.
    arcs = arcs_over(lambda t: 5.0 - 0.01 * t, lambda t: -0.01 + 0 * t, hours, factor)
    found = water_level(arcs)
    np.testing.assert_allclose(found["corrected_height"], 5.0 - 0.01 * hours, atol=1e-9)
    np.testing.assert_allclose(found["correction"], 0.01 * factor, atol=1e-9)


def test_a_tide_is_found_to_a_centimetre_and_without_the_correction_it_is_not():
    tide = simulated_tide(days=10.0, amplitude=1.2, noise=0.05, seed=5)
    found = water_level(tide.arcs, antenna=tide.antenna)
    error = found["water_level"] - tide.level(found["time"].values)
    assert float(np.sqrt((error**2).mean())) < 0.03
    still = water_level(
        tide.arcs.assign(edot_factor=0.0 * tide.arcs["edot_factor"]),
        antenna=tide.antenna,
    )
    worse = still["water_level"] - tide.level(still["time"].values)
    assert float(np.sqrt((worse**2).mean())) > 3 * float(np.sqrt((error**2).mean()))


def test_errors_of_the_level_cover_the_truth():
    inside = []
    for seed in range(12):
        tide = simulated_tide(days=6.0, amplitude=0.8, noise=0.08, seed=seed)
        found = water_level(tide.arcs, antenna=tide.antenna, interval=4.0)
        error = found["water_level"] - tide.level(found["time"].values)
        inside.append(np.abs(error / found["water_level_se"]) < 1.96)
    share = float(np.concatenate(inside).mean())
    # 12 runs of 36 values, neighbours of which are correlated: +-4 % is two sigma.
    assert share == pytest.approx(0.95, abs=0.04)


def test_the_note_of_an_arc_tells_why_it_is_left_out(hours, factor):
    arcs = arcs_over(
        lambda t: 5.0 + np.cos(t / 4), lambda t: -np.sin(t / 4) / 4, hours, factor, 0.01
    )
    arcs["reflector_height"][100] += 1.5
    arcs["quality_flag"] = "arc", np.where(np.arange(hours.size) == 7, 4, 0)
    found = water_level(arcs)
    assert bool(is_flagged(found["quality_flag"], "outlier")[100])
    assert bool(is_flagged(found["quality_flag"], "not_accepted")[7])
    # Normal noise leaves few arcs beyond four standard deviations.
    assert int((found["quality_flag"] > 0).sum()) <= 4


def test_a_gap_longer_than_the_knots_gives_no_level(hours, factor):
    arcs = arcs_over(lambda t: 5.0 + 0 * t, lambda t: 0 * t, hours, factor)
    gap = (hours > 100.0) & (hours < 130.0)
    found = water_level(arcs.isel(arc=~gap))
    inside = (found["time"] > TIME + pd.Timedelta("104h")) & (
        found["time"] < TIME + pd.Timedelta("126h")
    )
    assert bool(found["water_level"][inside].isnull().all())
    assert float(found["water_level"][~inside].isnull().mean()) < 0.03


def test_few_arcs_are_refused():
    arcs = arcs_over(lambda t: 5 + 0 * t, lambda t: 0 * t, np.arange(7.0), np.ones(7))
    with pytest.raises(InputError, match="7 accepted arcs"):
        water_level(arcs)
