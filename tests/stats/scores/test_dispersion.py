"""Ranks and spread: ties, flatness, and what a calibrated ensemble must show."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.stats.scores import (
    observed_rank,
    rank_flatness,
    rank_histogram,
    spread_error,
)


def members(array):
    return xr.DataArray(np.asarray(array, float), dims=("case", "member"))


def values(array):
    return xr.DataArray(np.asarray(array, float), dims="case")


def test_the_rank_is_the_number_of_members_below():
    ensemble = members([[3, 1, 2]] * 4)
    assert observed_rank(ensemble, values([0, 1.5, 2.5, 9])).values.tolist() == [
        0,
        1,
        2,
        3,
    ]


def test_equal_members_leave_every_place_among_them_equally_likely():
    # Two members below, two equal, one above: ranks 2, 3 and 4.
    n = 30_000
    ensemble = members([[-2, -1, 0, 0, 1]] * n)
    found = rank_histogram(ensemble, values(np.zeros(n)))["count"].values
    assert found[[0, 1, 5]].tolist() == [0, 0, 0]
    # Three standard deviations of a binomial count of a third.
    assert np.abs(found[2:5] - n / 3).max() < 3 * np.sqrt(n * 2 / 9)


def test_a_calibrated_ensemble_of_rain_with_many_dry_members_is_flat():
    rng = np.random.default_rng(0)
    rain = np.maximum(rng.normal(-0.5, 1.0, size=(20_000, 10)), 0.0)
    found = rank_histogram(members(rain[:, 1:]), values(rain[:, 0]))["count"]
    assert float(rank_flatness(found)["p_value"]) > 0.01
    # To call every tie the lowest place would not do.
    low = (rain[:, 1:] < rain[:, :1]).sum(axis=1)
    counts = xr.DataArray(np.bincount(low, minlength=10), dims="rank")
    assert float(rank_flatness(counts)["p_value"]) < 1e-12


def test_the_same_seed_gives_the_same_ranks_and_another_one_others():
    ensemble, seen = members(np.zeros((500, 9))), values(np.zeros(500))
    first = observed_rank(ensemble, seen, seed=1)
    xr.testing.assert_identical(first, observed_rank(ensemble, seen, seed=1))
    assert (first != observed_rank(ensemble, seen, seed=2)).mean() > 0.8


def test_neither_chunks_nor_the_order_of_dimensions_change_a_draw():
    dims = ("time", "cell", "member")
    ensemble = xr.DataArray(np.zeros((30, 8, 5)), dims=dims)
    seen = xr.DataArray(np.zeros((30, 8)), dims=dims[:2])
    whole = observed_rank(ensemble, seen)
    assert len(np.unique(whole)) == 6
    lazy = observed_rank(ensemble.chunk(time=7, cell=3), seen.chunk(time=4))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, whole)
    turned = observed_rank(ensemble.transpose("member", "cell", "time"), seen.T)
    np.testing.assert_array_equal(turned.transpose("time", "cell"), whole)
    counted = rank_histogram(ensemble.chunk(time=7), seen.chunk(time=7), dim="time")
    assert counted["count"].chunks is not None
    np.testing.assert_array_equal(
        counted["count"], rank_histogram(ensemble, seen, dim="time")["count"]
    )
    assert counted["count"].dims == ("cell", "rank")


def test_cases_that_lack_a_member_or_the_observation_are_counted_apart():
    ensemble = members([[1, np.nan], [1, 2], [1, 2]])
    found = rank_histogram(ensemble, values([0, np.nan, 3]))
    assert found["count"].values.tolist() == [0, 0, 1]
    assert int(found["left_out"]) == 2


def test_without_ties_the_shares_are_those_of_scores():
    from scores.probability import rank_histogram as theirs

    rng = np.random.default_rng(1)
    ensemble, seen = members(rng.normal(size=(200, 6))), values(rng.normal(size=200))
    ours = rank_histogram(ensemble, seen)["count"] / 200
    np.testing.assert_allclose(ours, theirs(ensemble, seen, "member"), atol=1e-15)


def test_flatness_by_hand_and_its_share_of_false_alarms():
    # Expected 20 each: (10^2 + 10^2) / 20 = 10; P(chi2_2 > 10) = exp(-5).
    found = rank_flatness(xr.DataArray([30, 10, 20], dims="rank"))
    assert float(found["chi_squared"]) == 10.0
    assert float(found["p_value"]) == pytest.approx(np.exp(-5))
    assert float(found["delta"]) == 5.0
    rng = np.random.default_rng(2)
    drawn = rng.multinomial(400, np.full(5, 0.2), size=4000)
    many = rank_flatness(xr.DataArray(drawn, dims=("run", "rank")))
    assert float((many["p_value"] < 0.05).mean()) == pytest.approx(0.05, abs=0.011)
    assert float(many["delta"].mean()) == pytest.approx(1.0, abs=0.04)
    assert np.isnan(rank_flatness(xr.DataArray([0, 0], dims="rank"))["p_value"])


@pytest.mark.parametrize("size", [2, 5, 40])
def test_a_calibrated_ensemble_of_any_size_has_a_ratio_of_one(size):
    rng = np.random.default_rng(size)
    n = 40_000
    # Spread that differs from case to case; truth and members from one distribution.
    scale = rng.gamma(2.0, size=(n, 1))
    drawn = scale * rng.normal(size=(n, size + 1)) + rng.normal(size=(n, 1))
    found = spread_error(members(drawn[:, 1:]), values(drawn[:, 0]))
    assert float(found["ratio"]) == pytest.approx(1.0, abs=0.02)
    # Without the factor it would be too small by sqrt(M / (M + 1)).
    halved = 0.5 * drawn[:, 1:] + 0.5 * drawn[:, 1:].mean(axis=1, keepdims=True)
    narrow = spread_error(members(halved), values(drawn[:, 0]))
    assert float(narrow["ratio"]) == pytest.approx(0.5, abs=0.01)


def test_spread_and_error_by_hand_with_a_missing_member():
    # Variances 2 and 8 of two members each: 3/2 (2 + 8) / 2 = 7.5; errors 1 and 2.
    ensemble = members([[1, 3, np.nan], [0, np.nan, 4], [1, np.nan, np.nan]])
    found = spread_error(ensemble, values([3, 4, 1]))
    assert float(found["spread"]) == pytest.approx(np.sqrt(7.5))
    assert float(found["error"]) == pytest.approx(np.sqrt((1 + 4) / 2))
    assert int(found["cases"]) == 2
    weights = xr.DataArray([1.0, 0.0, 1.0], dims="case")
    assert float(
        spread_error(ensemble, values([3, 4, 1]), weights=weights)["error"]
    ) == pytest.approx(1.0)


def test_mistakes_are_named():
    ensemble, seen = members([[1, 2]]), values([1])
    with pytest.raises(InputError, match="no dimension draw"):
        spread_error(ensemble, seen, member_dim="draw")
    with pytest.raises(InputError, match="no dimension week"):
        rank_histogram(ensemble, seen, dim="week")
    with pytest.raises(InputError, match="two ranks or more"):
        rank_flatness(xr.DataArray([3], dims="rank"))
    there = ensemble.assign_coords(case=[1]), seen.assign_coords(case=[2])
    with pytest.raises(InputError, match="different cases"):
        spread_error(*there)
