"""The bootstrap of basins: how often it errs on worlds without a difference."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stats import cluster_bootstrap, paired_t


def worlds(basins, shared, count=1500, seed=0, true=0.0):
    """Differences at sites of basins of very different size, alike within one."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(basins), generator.geometric(0.1, basins))
    common = generator.normal(size=(count, basins))[:, labels]
    own = generator.normal(size=(count, labels.size))
    d = true + np.sqrt(shared) * common + np.sqrt(1.0 - shared) * own
    return d, labels


@pytest.mark.parametrize(("basins", "slack"), [(6, 0.03), (12, 0.0135), (60, 0.0135)])
def test_basins_hold_the_level_where_sites_taken_for_independent_do_not(basins, slack):
    clustered, plain = [], []
    for seed in range(8):  # sizes of basins, some with one that holds a third
        d, labels = worlds(basins, shared=0.3, count=300, seed=seed)
        zero = np.zeros_like(d)
        clustered.append(cluster_bootstrap(d, zero, labels, draws=999).p_value < 0.05)
        plain.append(paired_t(d, zero).p_value < 0.05)
    # Three binomial errors of 2400 worlds; six uneven basins reach 7 % (as documented).
    assert np.mean(clustered) == pytest.approx(0.05, abs=slack)
    assert np.mean(plain) > 0.3


def test_its_interval_holds_the_truth_as_often_as_it_says():
    d, labels = worlds(15, shared=0.3, true=0.4, seed=2)
    found = cluster_bootstrap(d, np.zeros_like(d), labels, draws=999, level=0.9)
    inside = (found.lower < 0.4) & (found.upper > 0.4)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_sites_that_are_independent_cost_it_little():
    d, labels = worlds(60, shared=0.0, true=0.12, seed=3)
    zero = np.zeros_like(d)
    plain = np.mean(paired_t(d, zero).p_value < 0.05)
    clustered = np.mean(cluster_bootstrap(d, zero, labels, draws=999).p_value < 0.05)
    assert plain - 0.12 < clustered < plain + 0.03


def test_a_basin_of_one_site_each_gives_the_error_of_the_paired_t():
    d = np.random.default_rng(4).normal(size=40)
    found = cluster_bootstrap(d, 0.0 * d, np.arange(40))
    plain = paired_t(d, 0.0 * d)
    assert found.difference == pytest.approx(plain.difference, rel=1e-12)
    assert found.se == pytest.approx(plain.se, rel=1e-10)
    assert found.p_value == pytest.approx(plain.p_value, abs=0.03)


def test_doubling_every_site_changes_nothing_but_that_of_the_paired_t():
    d = np.random.default_rng(5).normal(0.2, 1.0, size=30)
    basin = np.arange(30) // 3
    once = cluster_bootstrap(d, 0.0 * d, basin)
    twice = cluster_bootstrap(np.tile(d, 2), np.zeros(60), np.tile(basin, 2))
    assert twice.p_value == once.p_value
    assert twice.se == pytest.approx(once.se, rel=1e-12)
    assert paired_t(np.tile(d, 2), np.zeros(60)).se < 0.72 * paired_t(d, 0 * d).se


def test_labels_may_be_words_and_missing_sites_are_left_out():
    d = np.random.default_rng(6).normal(size=12)
    d[[2, 3]] = np.nan
    words = np.repeat(["Elbe", "Po", "Rhone", "Kuma", "Oder", "Tagus"], 2)
    found = cluster_bootstrap(d, np.zeros(12), words)
    kept = np.isfinite(d)
    assert found.count == 5
    assert found.difference == pytest.approx(np.nanmean(d))
    alone = cluster_bootstrap(d[kept], np.zeros(10), words[kept])
    assert found.se == pytest.approx(alone.se, rel=1e-12)


def test_the_draws_do_not_depend_on_how_many_series_there_are():
    d, labels = worlds(10, shared=0.5, count=5)
    zero = np.zeros_like(d)
    together = cluster_bootstrap(d, zero, labels).p_value
    alone = [cluster_bootstrap(x, 0.0 * x, labels).p_value for x in d]
    assert together.tolist() == alone


def test_two_basins_or_no_spread_have_no_test():
    assert np.isnan(cluster_bootstrap([1.0, 2.0, 3.0], [0.0] * 3, [1, 1, 2]).p_value)
    assert np.isnan(cluster_bootstrap([0.5] * 4, [0.25] * 4, [1, 2, 3, 4]).p_value)


def test_labels_that_do_not_match_are_refused():
    with pytest.raises(InputError, match="one label per site"):
        cluster_bootstrap([1.0, 2.0], [0.0, 0.0], [1, 2, 3])
