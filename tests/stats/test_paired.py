"""Paired tests of two forecasts: peers, published numbers, and how often they err."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats as reference

from tilth.core.errors import InputError
from tilth.stats import (
    compare_correlations,
    correlation_interval,
    diebold_mariano,
    fisher_z,
    paired_t,
    wilcoxon_signed_rank,
)

TESTS = [paired_t, wilcoxon_signed_rank, fisher_z, diebold_mariano]


@pytest.fixture
def pairs():
    generator = np.random.default_rng(1)
    second = generator.uniform(0.1, 0.8, size=(3, 40))
    return second + generator.normal(0.02, 0.05, size=(3, 40)), second


def test_the_paired_t_is_that_of_scipy_with_its_interval(pairs):
    found, expected = paired_t(*pairs), reference.ttest_rel(*pairs, axis=-1)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.p_value, expected.pvalue, rtol=1e-10)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.lower, interval.low, rtol=1e-10)
    np.testing.assert_allclose(found.upper, interval.high, rtol=1e-10)
    assert found.count.tolist() == [40, 40, 40]


def test_pairs_with_a_missing_value_are_left_out_on_both_sides(pairs):
    first, second = (x.copy() for x in pairs)
    first[0, 3], second[0, 7] = np.nan, np.inf
    keep = np.setdiff1d(np.arange(40), [3, 7])
    for test in (paired_t, wilcoxon_signed_rank):
        gappy = test(first[0], second[0])
        whole = test(first[0, keep], second[0, keep])
        assert gappy.p_value == pytest.approx(whole.p_value, rel=1e-12)
        assert gappy.count == 38


def test_wilcoxon_is_that_of_scipy_and_its_interval_is_what_it_would_not_reject(pairs):
    found = wilcoxon_signed_rank(*pairs)
    for i in range(3):
        d = pairs[0][i] - pairs[1][i]
        assert found.p_value[i] == pytest.approx(reference.wilcoxon(d).pvalue)
        for limit in (found.lower[i], found.upper[i]):
            at_limit = reference.wilcoxon(d - limit, zero_method="zsplit").pvalue
            assert at_limit == pytest.approx(0.05, abs=0.012)
    assert ((found.lower < found.difference) & (found.difference < found.upper)).all()


def test_one_hopeless_site_decides_the_t_test_but_not_that_of_ranks(pairs):
    first, second = pairs[0][0] + 0.03, pairs[1][0]
    spoilt = first.copy()
    spoilt[0] = -80.0
    assert paired_t(first, second).p_value < 0.01
    assert paired_t(spoilt, second).p_value > 0.2
    assert wilcoxon_signed_rank(spoilt, second).p_value < 0.01


def test_the_interval_of_a_correlation_is_that_of_scipy():
    x = np.random.default_rng(2).normal(size=(2, 30))
    r = reference.pearsonr(*x)
    low, high = correlation_interval(r.statistic, 30, level=0.9)
    expected = r.confidence_interval(0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-10)
    assert np.isnan(correlation_interval(0.5, 3)).all()


def test_fisher_z_is_the_t_test_of_areatangents(pairs):
    a, b = (np.clip(x, -0.99, 0.99) for x in pairs)
    found = fisher_z(a, b)
    expected = reference.ttest_rel(np.arctanh(a), np.arctanh(b), axis=-1)
    np.testing.assert_allclose(found.p_value, expected.pvalue, rtol=1e-10)


def test_correlations_that_share_observations_as_in_the_example_of_meng_and_others():
    # Meng, Rosenthal & Rubin (1992): N = 15, r = .63 and -.03, between them -.19.
    found = compare_correlations(0.63, -0.03, -0.19, 15)
    assert found.statistic == pytest.approx(1.68, abs=0.005)
    assert found.p_value == pytest.approx(0.093, abs=0.001)


def test_two_forecasts_of_equal_skill_are_told_apart_in_one_site_of_twenty():
    generator = np.random.default_rng(3)
    truth, one, other = generator.normal(size=(3, 4000, 40))
    shared = generator.normal(size=(4000, 40))
    first, second = truth + shared + one, truth + shared + other

    def correlation(x, y):
        x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
        return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))

    a, b, between = (
        correlation(first, truth),
        correlation(second, truth),
        correlation(first, second),
    )
    found = compare_correlations(a, b, between, 40)
    assert np.mean(found.p_value < 0.05) == pytest.approx(0.05, abs=0.012)
    # As if the forecasts had nothing in common, it would hardly ever find any.
    assert np.mean(compare_correlations(a, b, 0.0 * a, 40).p_value < 0.05) < 0.03


def test_the_diebold_mariano_test_is_that_of_scores():
    scores = pytest.importorskip("scores.stats.statistical_tests")
    generator = np.random.default_rng(4)
    noise = generator.normal(size=(4, 60))
    d = 0.2 + noise + np.roll(noise, 1, axis=1)
    horizons = [1, 2, 3, 5]
    series = xr.DataArray(
        d,
        {"lead": [1, 2, 3, 4], "h": ("lead", horizons)},
        ("lead", "start"),
    )
    theirs = scores.diebold_mariano(
        series, "lead", "h", method="HLN", statistic_distribution="t"
    )
    for i, horizon in enumerate(horizons):
        ours = diebold_mariano(d[i], np.zeros(60), horizon=horizon)
        assert ours.statistic == pytest.approx(float(theirs["dm_test_stat"][i]))
        assert ours.lower == pytest.approx(float(theirs["ci_lower"][i]))


def test_a_memory_that_the_plain_t_test_ignores_is_kept_by_diebold_mariano():
    generator = np.random.default_rng(5)
    noise = generator.normal(size=(3000, 84))
    d = sum(noise[:, k : k + 80] for k in range(4))  # forecasts four steps ahead
    zero = np.zeros_like(d)
    assert np.mean(paired_t(d, zero).p_value < 0.05) > 0.25
    assert np.mean(diebold_mariano(d, zero, horizon=4).p_value < 0.05) < 0.09


def test_where_autocovariances_cancel_the_variance_still_is_positive():
    d = np.array([1.0, -1.0] * 10) + 0.01 * np.arange(20)
    found = diebold_mariano(d, np.zeros(20), horizon=2)
    assert found.se > 0
    assert np.isfinite(found.p_value)


def test_identical_forecasts_have_no_test_rather_than_a_certain_one():
    same = np.linspace(0.1, 0.9, 12)
    for test in TESTS:
        found = test(same, same)
        assert np.isnan(found.p_value)


@pytest.mark.parametrize("test", TESTS)
def test_an_interval_holds_the_true_difference_as_often_as_it_says(test):
    generator = np.random.default_rng(7)
    true, worlds = 0.1, 1500 if test is not wilcoxon_signed_rank else 400
    base = generator.uniform(-0.3, 0.3, size=(worlds, 30))
    d = generator.normal(true, 0.2, size=base.shape)
    first, second = base + d, base
    if test is fisher_z:
        first, second = np.tanh(first), np.tanh(second)
    found = test(first, second, level=0.9)
    inside = (found.lower < true) & (true < found.upper)
    error = np.sqrt(0.9 * 0.1 / worlds)
    assert np.mean(inside) == pytest.approx(0.9, abs=3 * error)


def test_shapes_levels_gaps_and_perfect_correlations_are_refused():
    with pytest.raises(InputError, match="same shape"):
        paired_t([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="level"):
        paired_t([1.0, 2.0], [1.0, 3.0], level=95)
    with pytest.raises(InputError, match="Fisher's scale"):
        fisher_z([1.0, 0.5, 0.2], [0.5, 0.4, 0.1])
    with pytest.raises(InputError, match="missing"):
        diebold_mariano([1.0, np.nan, 2.0], [0.0, 0.0, 0.0])
    with pytest.raises(InputError, match="horizon"):
        diebold_mariano([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], horizon=3)


def test_fewer_than_two_pairs_have_no_test():
    found = paired_t([0.5, np.nan], [0.4, 0.2])
    assert found.difference == pytest.approx(0.1)
    assert np.isnan([found.se, found.p_value, found.lower]).all()
    assert np.isnan(paired_t([np.nan], [np.nan]).difference)
