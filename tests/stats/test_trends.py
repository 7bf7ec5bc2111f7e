"""Trends: pymannkendall and scipy beside ours, and false alarms on known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.stats import mann_kendall, theil_sen
from tilth.stats.trends import PREWHITENING


def with_memory(worlds, n, lag1, slope=0.0, seed=0):
    """Series of unit variance and a lag-1 autocorrelation, on a line."""
    noise = np.random.default_rng(seed).normal(size=(worlds, n + 60))
    x = np.zeros_like(noise)
    for k in range(1, n + 60):
        x[:, k] = lag1 * x[:, k - 1] + np.sqrt(1.0 - lag1**2) * noise[:, k]
    return x[:, 60:] + slope * np.arange(n)


@pytest.mark.parametrize(
    ("prewhitening", "theirs"),
    [
        ("none", "original_test"),
        ("lag1", "pre_whitening_modification_test"),
        ("trend-free", "trend_free_pre_whitening_modification_test"),
    ],
)
def test_statistics_are_those_of_pymannkendall(prewhitening, theirs):
    peer = getattr(pytest.importorskip("pymannkendall"), theirs)
    rows = with_memory(6, 40, 0.4, slope=0.02, seed=1)
    found = mann_kendall(rows, prewhitening=prewhitening)
    for i, row in enumerate(rows):
        expected = peer(row)
        assert found.statistic[i] == pytest.approx(expected.z, rel=1e-12)
        assert found.p_value[i] == pytest.approx(expected.p, rel=1e-9)
        assert found.tau[i] == pytest.approx(expected.Tau, rel=1e-12)
        if prewhitening == "none":
            assert found.slope[i] == pytest.approx(expected.slope, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=8, max_size=25))
def test_ties_have_the_variance_of_pymannkendall(values):
    if len(set(values)) == 1:
        values[0] += 1
    peer = pytest.importorskip("pymannkendall")
    found = mann_kendall(values, prewhitening="none")
    expected = peer.original_test(values)
    assert found.statistic == pytest.approx(expected.z, abs=1e-12)


def test_slope_and_interval_are_those_of_the_line_of_theil_and_sen():
    y = with_memory(1, 33, 0.0, slope=0.05, seed=2)[0]
    found, line = mann_kendall(y, prewhitening="none"), theil_sen(np.arange(33), y)
    assert found.slope == pytest.approx(line.slope, rel=1e-12)
    assert found.lower == pytest.approx(line.slope_lower, rel=1e-12)
    assert found.upper == pytest.approx(line.slope_upper, rel=1e-12)


@pytest.mark.parametrize("prewhitening", ["none", "lag1", "iterated"])
def test_a_straight_line_has_its_slope_exactly(prewhitening):
    line = 3.0 - 0.25 * np.arange(30)
    found = mann_kendall(line, prewhitening=prewhitening)
    assert found.slope == pytest.approx(-0.25, rel=1e-9)
    assert found.lower == pytest.approx(-0.25, rel=1e-9)
    assert found.tau == pytest.approx(-1.0)
    assert found.p_value < 1e-8


def test_a_memory_alone_must_not_be_taken_for_a_trend():
    rows = with_memory(1500, 50, 0.4, seed=3)
    alarms = {
        how: np.mean(mann_kendall(rows, prewhitening=how).p_value < 0.05)
        for how in PREWHITENING
    }
    assert alarms["iterated"] < 0.08
    assert alarms["lag1"] < 0.06
    # The reason for the default: both of these raise four times too many.
    assert alarms["none"] > 0.15
    assert alarms["trend-free"] > 0.15


def test_the_interval_of_the_slope_holds_the_truth_as_often_as_it_says():
    rows = with_memory(1500, 50, 0.4, slope=0.012, seed=4)
    covered = {}
    for how in PREWHITENING:
        found = mann_kendall(rows, prewhitening=how)
        covered[how] = np.mean((found.lower < 0.012) & (found.upper > 0.012))
        # Centred on the truth, whatever the width: to three standard errors.
        assert np.median(found.slope) == pytest.approx(0.012, abs=0.002)
    assert 0.92 < covered["iterated"] < 0.97
    assert covered["none"] < 0.86
    assert covered["trend-free"] < 0.86


def test_real_trends_are_found_more_often_than_with_the_line_left_in_the_memory():
    rows = with_memory(1000, 60, 0.3, slope=0.025, seed=5)
    power = {
        how: np.mean(mann_kendall(rows, prewhitening=how).p_value < 0.05)
        for how in ("lag1", "iterated")
    }
    assert power["iterated"] > power["lag1"] + 0.03


def test_the_memory_that_was_taken_out_is_the_true_one():
    found = mann_kendall(with_memory(800, 100, 0.5, slope=0.01, seed=6))
    assert np.mean(found.lag1) == pytest.approx(0.5, abs=0.02)
    assert found.prewhitening == "iterated"


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 50), st.integers(0, 1000))
def test_a_rising_series_upside_down_falls_as_much(shift, scale, seed):
    x = with_memory(1, 30, 0.3, slope=0.02, seed=seed)[0]
    one, other = mann_kendall(x), mann_kendall(shift - scale * x)
    assert other.statistic == pytest.approx(-one.statistic, abs=1e-9)
    assert other.slope == pytest.approx(-scale * one.slope, rel=1e-6, abs=1e-9)
    assert other.upper == pytest.approx(-scale * one.lower, rel=1e-6, abs=1e-9)


def test_gaps_keep_the_years_in_their_places():
    x = 0.5 * np.arange(40.0)
    x[[3, 4, 17]] = np.nan
    found = mann_kendall(x, prewhitening="none")
    assert found.slope == pytest.approx(0.5)
    assert found.count == 37
    peer = pytest.importorskip("pymannkendall")
    noisy = with_memory(1, 40, 0.0, seed=7)[0]
    noisy[[3, 4, 17]] = np.nan
    ours = mann_kendall(noisy, prewhitening="none")
    assert ours.statistic == pytest.approx(peer.original_test(noisy).z, rel=1e-12)


def test_many_series_are_each_as_if_alone_in_the_shape_they_came():
    x = with_memory(6, 25, 0.3, seed=8).reshape(2, 3, 25)
    x[0, 1, 5:] = np.nan
    found = mann_kendall(x)
    assert found.p_value.shape == (2, 3)
    assert np.isnan(found.p_value[0, 1])
    assert np.isnan(found.slope[0, 1])
    alone = mann_kendall(x[1, 2])
    assert found.p_value[1, 2] == alone.p_value
    assert found.lower[1, 2] == alone.lower


def test_a_series_that_never_changes_has_no_trend_to_test():
    found = mann_kendall(np.full(20, 4.0))
    assert found.slope == 0.0
    assert np.isnan(found.p_value)


def test_short_series_and_unknown_ways_are_refused():
    with pytest.raises(InputError, match="eight"):
        mann_kendall(np.arange(7.0))
    with pytest.raises(InputError, match="iterated"):
        mann_kendall(np.arange(9.0), prewhitening="tfpw")
    with pytest.raises(InputError, match="level"):
        mann_kendall(np.arange(9.0), level=1.0)
