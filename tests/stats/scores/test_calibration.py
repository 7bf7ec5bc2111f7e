"""Reliability: the isotonic curve, its exact split of the score, and its bands."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.stats.scores import brier, reliability


def values(numbers, dims="case"):
    return xr.DataArray(np.asarray(numbers, float), dims=dims)


def cases(seed, n=2000, bend=1.0, steps=20):
    """Return forecasts in twentieths, and events with probability forecast**bend."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, steps + 1, n) / steps
    return values(p), values(rng.uniform(size=n) < p**bend)


def test_neighbours_that_fall_are_pooled():
    # Shares 1/2 of two, 0 of two, 1 of two: the first two rise together to 1/4.
    p, o = values([0.2, 0.2, 0.4, 0.4, 0.8, 0.8]), values([0, 1, 0, 0, 1, 1])
    found = reliability(p, o)
    assert found["observed"].values.tolist() == [0.5, 0.0, 1.0]
    assert found["calibrated"].values.tolist() == [0.25, 0.25, 1.0]
    assert found["count"].values.tolist() == [2, 2, 2]


def test_the_curve_is_that_of_scores_over_all_cases():
    from scores.probability import isotonic_fit

    rng = np.random.default_rng(0)
    p = rng.uniform(size=500)
    o = rng.uniform(size=500) < p**2
    theirs = isotonic_fit(p, o.astype(float))
    ours = reliability(values(p), values(o), draws=2)
    np.testing.assert_array_equal(ours["forecast"], theirs["fcst_sorted"])
    np.testing.assert_allclose(
        ours["calibrated"], theirs["regression_values"], atol=1e-12
    )


def test_the_parts_add_up_to_the_brier_score():
    p, o = cases(1, bend=2.0)
    found = reliability(p, o, draws=2)
    whole = found["miscalibration"] - found["discrimination"] + found["uncertainty"]
    assert float(found["brier"]) == pytest.approx(float(brier(p, o).mean()), rel=1e-12)
    assert float(whole) == pytest.approx(float(found["brier"]), rel=1e-12)
    assert float(found["miscalibration"]) > 0.01


def test_a_forecast_mapped_through_its_curve_has_nothing_left_to_gain():
    p, o = cases(2, bend=3.0)
    first = reliability(p, o, draws=2)
    mapped = values(np.interp(p, first["forecast"], first["calibrated"]))
    again = reliability(mapped, o, draws=2)
    assert float(again["miscalibration"]) == pytest.approx(0.0, abs=1e-15)
    assert float(again["discrimination"]) == pytest.approx(
        float(first["discrimination"]), rel=1e-12
    )


def test_the_climate_forecast_neither_errs_nor_discriminates():
    o = values([0, 1, 0, 1])
    found = reliability(xr.full_like(o, 0.5), o)
    assert float(found["miscalibration"]) == 0.0
    assert float(found["discrimination"]) == 0.0
    assert float(found["brier"]) == float(found["uncertainty"]) == 0.25


def test_a_calibrated_curve_lies_in_its_consistency_band_as_often_as_it_says():
    inside = []
    for seed in range(40):
        found = reliability(*cases(seed), draws=300, level=0.90)
        inner = found.isel(forecast=slice(1, -1))  # 0 and 1 leave no doubt
        inside.append(
            (
                (inner["calibrated"] >= inner["lower"])
                & (inner["calibrated"] <= inner["upper"])
            ).mean()
        )
    # 40 curves of 19 points, of which neighbours agree: standard error about 0.012.
    assert np.mean(inside) == pytest.approx(0.90, abs=0.04)


def test_an_overconfident_forecast_leaves_its_consistency_band():
    found = reliability(*cases(3, bend=3.0), draws=300)
    low = found.sel(forecast=slice(0.4, 0.8))
    assert (low["calibrated"] < low["lower"]).all()


def test_the_confidence_band_holds_the_true_curve_about_as_often_as_it_says():
    inside = []
    for seed in range(25):
        found = reliability(*cases(seed, bend=2.0), band="confidence", draws=200)
        inner = found.isel(forecast=slice(1, -1))
        truth = inner["forecast"] ** 2
        inside.append(((truth >= inner["lower"]) & (truth <= inner["upper"])).mean())
    # Of 90 % it holds 85 % with 2,000 cases, as its docstring says: 0.849 with a
    # standard error of 0.008 over 100 sets of cases; here 0.016.
    assert np.mean(inside) == pytest.approx(0.85, abs=0.045)


def test_cells_of_one_start_are_drawn_together():
    rng = np.random.default_rng(4)
    # All 50 cells of a start share forecast and event: 60 cases, not 3000.
    p = rng.integers(0, 5, 60) / 4
    o = rng.uniform(size=60) < p
    grid = values(np.repeat(p[:, None], 50, axis=1), ("start", "cell"))
    seen = values(np.repeat(o[:, None], 50, axis=1), ("start", "cell"))

    def width(**how):
        found = reliability(grid, seen, band="confidence", draws=300, **how)
        return float((found["upper"] - found["lower"]).mean())

    alone = reliability(values(p), values(o), band="confidence", draws=300)
    # Same blocks, same draws: exactly the band of one cell.
    assert width(blocks="start") == float((alone["upper"] - alone["lower"]).mean())
    assert width(blocks="start") > 4 * width()
    labels = xr.DataArray(np.arange(60), dims="start")
    assert width(blocks=labels) == width(blocks="start")


def test_missing_cases_are_left_out_and_lazy_arrays_give_the_same():
    p, o = cases(5, n=200)
    gaps = p.copy(), o.copy()
    gaps[0][3], gaps[1][7] = np.nan, np.nan
    keep = np.delete(np.arange(200), [3, 7])
    found = reliability(*gaps)
    xr.testing.assert_identical(found, reliability(p[keep], o[keep]))
    lazy = reliability(gaps[0].chunk(case=30), gaps[1].chunk(case=50))
    xr.testing.assert_identical(found, lazy)


def test_the_seed_is_kept_and_decides():
    p, o = cases(6, n=300)
    first = reliability(p, o, seed=1)
    assert first.attrs["seed"] == 1
    xr.testing.assert_identical(first, reliability(p, o, seed=1))
    assert not first["lower"].identical(reliability(p, o, seed=2)["lower"])


def test_mistakes_are_named():
    p, o = values([0.2, 0.8]), values([0, 1])
    with pytest.raises(InputError, match="'consistency' or 'confidence'"):
        reliability(p, o, band="both")
    with pytest.raises(InputError, match="has no blocks"):
        reliability(p, o, blocks="case")
    with pytest.raises(InputError, match="no dimension week"):
        reliability(p, o, band="confidence", blocks="week")
    with pytest.raises(InputError, match="one label per entry"):
        reliability(p, o, band="confidence", blocks=values([1, 2, 3]))
    with pytest.raises(InputError, match="spread between blocks"):
        reliability(p, o, band="confidence", blocks=values([1, 1]))
    with pytest.raises(InputError, match="between 0 and 1"):
        reliability(p, o, level=90)
    with pytest.raises(InputError, match="two draws"):
        reliability(p, o, draws=1)
    with pytest.raises(InputError, match="not percent"):
        reliability(100 * p, o)
    with pytest.raises(InputError, match="no case"):
        reliability(p, values([np.nan, np.nan]))
    with pytest.raises(InputError, match="different cases"):
        reliability(p.assign_coords(case=[1, 2]), o.assign_coords(case=[2, 3]))
