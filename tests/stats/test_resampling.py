"""The block bootstrap against theory, scipy and simulated truth."""

import numpy as np
import pytest
from scipy import stats

from tilth.core.errors import InputError
from tilth.stats import block_bootstrap, weighted_mean


def nights(generator, days=30, hours=9, between=0.3, within=0.2):
    """Hourly values of nights that differ, with the truth zero."""
    level = generator.normal(0.0, between, days)
    values = np.repeat(level, hours) + generator.normal(0.0, within, days * hours)
    return values, np.repeat(np.arange(days), hours)


def test_single_observation_blocks_give_the_standard_error_of_the_mean():
    x = np.random.default_rng(1).normal(size=200)
    result = block_bootstrap(x, np.arange(200), draws=4000)
    assert result.estimate == pytest.approx(x.mean())
    assert result.se == pytest.approx(x.std() / np.sqrt(200), rel=0.04)


def test_bca_limits_are_those_of_scipy_for_single_observation_blocks():
    x = np.random.default_rng(2).exponential(size=40)
    ours = block_bootstrap(x, np.arange(40), draws=20000, method="bca")
    peer = stats.bootstrap(
        (x,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours.lower == pytest.approx(peer.low, rel=0.02)
    assert ours.upper == pytest.approx(peer.high, rel=0.02)
    assert ours.upper - ours.estimate > ours.estimate - ours.lower


def test_bca_equals_percentile_for_a_symmetric_sample():
    x = np.concatenate([np.arange(1.0, 31.0), -np.arange(1.0, 31.0)])
    plain = block_bootstrap(x, np.arange(60), draws=20000)
    bca = block_bootstrap(x, np.arange(60), draws=20000, method="bca")
    assert bca.lower == pytest.approx(plain.lower, abs=0.15)
    assert bca.upper == pytest.approx(plain.upper, abs=0.15)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_night_blocks_cover_the_truth_where_single_hours_do_not(method):
    generator = np.random.default_rng(4)
    covered, naive = 0, 0
    for run in range(200):
        values, days = nights(generator)
        options = {"draws": 400, "seed": run, "method": method}
        by_night = block_bootstrap(values, days, **options)
        by_hour = block_bootstrap(values, np.arange(values.size), **options)
        covered += by_night.lower <= 0.0 <= by_night.upper
        naive += by_hour.lower <= 0.0 <= by_hour.upper
    assert 0.90 <= covered / 200 <= 0.97
    assert naive / 200 < 0.75


def test_many_series_at_once_equal_one_at_a_time():
    generator = np.random.default_rng(5)
    series = np.stack([nights(generator)[0] for _ in range(4)])
    series[1, :20] = np.nan
    days = np.repeat(np.arange(30), 9)
    together = block_bootstrap(series, days)
    for i, alone in enumerate(block_bootstrap(row, days) for row in series):
        assert together.estimate[i] == pytest.approx(alone.estimate)
        assert together.lower[i] == pytest.approx(alone.lower)
        assert together.upper[i] == pytest.approx(alone.upper)


def test_chunks_of_draws_give_the_draws_of_one_piece(monkeypatch):
    values, days = nights(np.random.default_rng(6))
    whole = block_bootstrap(values, days)
    monkeypatch.setattr("tilth.stats.resampling._CHUNK", 5000)
    pieces = block_bootstrap(values, days)
    assert (pieces.lower, pieces.upper) == pytest.approx((whole.lower, whole.upper))


def test_a_ratio_of_sums_is_a_statistic_too():
    pairs = np.array([[2.0, 1.0], [4.0, 2.0], [6.0, 3.0]]).T

    def ratio(values, weights):
        sums = values @ weights.T
        return sums[0] / sums[1]

    result = block_bootstrap(pairs, ["a", "b", "c"], ratio)
    assert (result.estimate, result.lower, result.upper) == (2.0, 2.0, 2.0)


def test_weighted_mean_leaves_missing_values_out():
    weights = np.array([[1.0, 2.0, 5.0], [0.0, 0.0, 1.0]])
    means = weighted_mean(np.array([1.0, 4.0, np.nan]), weights)
    assert means[0] == 3.0
    assert np.isnan(means[1])


def test_one_block_or_unmatched_labels_are_refused():
    with pytest.raises(InputError, match="at least two blocks"):
        block_bootstrap([1.0, 2.0], ["mon", "mon"])
    with pytest.raises(InputError, match="one label per observation"):
        block_bootstrap([1.0, 2.0, 3.0], ["mon", "tue"])
    with pytest.raises(InputError, match="level"):
        block_bootstrap([1.0, 2.0], ["mon", "tue"], level=95)
