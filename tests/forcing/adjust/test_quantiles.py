"""Kernels of quantile mapping against numpy, scipy and their own definitions."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tilth.forcing.adjust.groups import DayWindow, group_times
from tilth.forcing.adjust.quantiles import (
    BATCH,
    by_batches,
    correction,
    factors_by_rank,
    factors_by_value,
    finite_rows,
    group_quantiles,
    group_ranks,
    node_probabilities,
)

VALUES = st.one_of(st.just(np.nan), st.integers(-5, 5).map(float), st.floats(-9, 9))


def days(n):
    index = xr.date_range("2001-01-01", periods=n, calendar="noleap", use_cftime=True)
    return xr.DataArray(index, dims="time")


def all_days(n):
    return group_times(days(n), "none")


@settings(deadline=None)  # the first example waits for the compiler
@given(rows=arrays(float, st.tuples(st.just(3), st.integers(1, 40)), elements=VALUES))
def test_quantiles_are_those_of_numpy_without_the_missing_values(rows):
    probabilities = node_probabilities(7)
    found = group_quantiles(rows, all_days(rows.shape[1]), probabilities)[:, 0]
    for row, quantiles in zip(rows, found, strict=True):
        present = row[~np.isnan(row)]
        if present.size:
            expected = np.quantile(present, probabilities)
            np.testing.assert_allclose(quantiles, expected, atol=1e-12)
        else:
            assert np.isnan(quantiles).all()


def expected_ranks(sample, values):
    """Mean places of values in a sample, stretched to 0..1; by scipy."""
    places = stats.rankdata(sample)
    low, high = places.min(), places.max()
    found = [places[sample == value][0] for value in values]
    return (
        (np.array(found) - low) / (high - low)
        if high > low
        else np.full(len(values), 0.5)
    )


@settings(deadline=None)  # the first example waits for the compiler
@given(rows=arrays(float, st.tuples(st.just(2), st.integers(1, 40)), elements=VALUES))
def test_ranks_are_those_of_scipy_stretched_from_the_smallest_to_the_largest(rows):
    found = group_ranks(rows, all_days(rows.shape[1]))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rows))
    for row, ranks in zip(rows, found, strict=True):
        present = ~np.isnan(row)
        if present.any():
            expected = expected_ranks(row[present], row[present])
            np.testing.assert_allclose(ranks[present], expected, atol=1e-12)


def test_ranks_under_a_window_are_those_among_all_days_of_the_window():
    rng = np.random.default_rng(0)
    rows = np.round(rng.normal(size=(2, 900)), 1)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    groups = group_times(days(900), DayWindow(11))
    found = group_ranks(rows, groups)
    number = np.arange(900) % 365
    for step in (0, 3, 364, 365, 500, 899):
        away = np.abs(number - number[step])
        inside = np.minimum(away, 365 - away) <= 5
        for row, ranks in zip(rows, found, strict=True):
            if np.isnan(row[step]):
                assert np.isnan(ranks[step])
                continue
            sample = row[inside & ~np.isnan(row)]
            expected = expected_ranks(sample, row[step : step + 1])
            assert ranks[step] == pytest.approx(expected[0], abs=1e-12)


def test_the_quantile_at_its_rank_is_the_value_itself():
    row = np.random.default_rng(1).normal(size=(1, 50))
    ranks = group_ranks(row, all_days(50))
    np.testing.assert_allclose(np.quantile(row[0], ranks[0]), row[0], atol=1e-12)


def test_ratios_stay_finite_where_the_model_is_dry():
    observed = np.array([0.0, 2.0, 0.0, 6.0, np.nan])
    modelled = np.array([0.0, 0.0, 3.0, 2.0, 1.0])
    found = correction(observed, modelled, "*", 10.0)
    np.testing.assert_array_equal(found, [1.0, 10.0, 0.0, 3.0, np.nan])
    tiny = correction(np.array([1.0]), np.array([1e-320]), "*", 10.0)
    np.testing.assert_array_equal(tiny, [10.0])


def test_differences_are_observed_less_modelled():
    found = correction(np.array([1.0]), np.array([3.0]), "+", 10.0)
    np.testing.assert_array_equal(found, [-2.0])


def at_values(nodes, factors, values):
    steps = np.zeros(len(values), int)
    table = (np.array([[nodes]], float), np.array([[factors]], float))
    return factors_by_value(
        np.array([values], float), *table, steps, steps, np.zeros(len(values))
    )[0]


def test_factors_are_linear_between_nodes_and_constant_outside_them():
    found = at_values([1, 2, 4], [10, 20, 0], [0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 99.0])
    np.testing.assert_allclose(found, [10, 10, 15, 20, 10, 0, 0])


def test_at_equal_nodes_the_factor_is_the_mean_of_first_and_last():
    found = at_values([0, 0, 0, 2], [4, 9, 8, 0], [-1.0, 0.0, 1.0])
    np.testing.assert_allclose(found, [4, 6, 4])


def test_factors_at_ranks_are_linear_between_nodes_and_constant_outside_them():
    factors = np.array([[[10.0, 20.0]]])  # nodes at 1/4 and 3/4
    ranks = np.array([[0.0, 0.25, 0.5, 0.75, 1.0, np.nan]])
    steps = np.zeros(6, int)
    found = factors_by_rank(ranks, factors, steps, steps, np.zeros(6))
    np.testing.assert_allclose(found, [[10, 10, 15, 20, 20, np.nan]])


def test_a_neighbour_without_factor_does_not_count():
    factors = np.array([[[1.0, 1.0], [3.0, 3.0], [np.nan, np.nan]]])
    ranks = np.full((1, 3), 0.5)
    first, second = np.array([0, 0, 2]), np.array([1, 2, 0])
    found = factors_by_rank(ranks, factors, first, second, np.array([0.25, 0.25, 0.0]))
    np.testing.assert_allclose(found, [[1.5, 1.0, np.nan]])
    nodes = np.array([[[0.0, 1.0], [0.0, 1.0], [np.nan, np.nan]]])
    by_value = factors_by_value(
        ranks, nodes, factors, first, second, np.array([0.25, 0.25, 0.0])
    )
    np.testing.assert_allclose(by_value, found)


def test_infinite_values_are_missing_and_amounts_below_zero_are_none():
    rows = finite_rows(np.array([[np.inf, -np.inf, -1e-10, 2.0]], "f4"), True)
    np.testing.assert_array_equal(rows, [[np.nan, np.nan, 0.0, 2.0]])
    assert finite_rows(np.array([[-1.0]]), False) == -1.0


@pytest.mark.parametrize("n", [0, 1, BATCH, 2 * BATCH + 1])
def test_batches_come_back_together_in_their_shape(n):
    first = np.arange(n * 6.0).reshape(n, 2, 3)
    second = np.arange(n * 2.0).reshape(n, 2)
    total, double = by_batches(
        lambda a, b: (a.sum(axis=-1) + b, 2 * a), (n, 2), first, second
    )
    np.testing.assert_array_equal(total, first.sum(axis=-1) + second)
    np.testing.assert_array_equal(double, 2 * first)
