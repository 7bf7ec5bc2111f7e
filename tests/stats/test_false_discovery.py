"""False-discovery control: the rule, scipy's adjusted values, and what it promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from tilth.core.errors import InputError
from tilth.stats import false_discovery

#: The fifteen p-values of Benjamini & Hochberg (1995), section 4.1.
PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
    0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
]  # fmt: skip


def test_the_example_of_the_paper_rejects_its_four_hypotheses():
    found = false_discovery(PUBLISHED, level=0.05, correlated=False)
    assert found.significant.tolist() == [True] * 4 + [False] * 11
    assert found.threshold == 0.0095
    assert found.tests == 15


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.booleans())
def test_adjusted_values_are_those_of_scipy_and_rejections_those_of_statsmodels(
    p, correlated
):
    found = false_discovery(p, level=0.05, correlated=correlated)
    np.testing.assert_allclose(found.adjusted, false_discovery_control(p), atol=1e-14)
    rejected = multipletests(p, alpha=found.rate, method="fdr_bh")[0]
    np.testing.assert_array_equal(found.significant, rejected)


def test_a_missing_test_is_no_member_and_the_shape_of_sites_and_leads_is_kept():
    p = np.array([[0.01, np.nan, 0.03], [0.5, 0.04, np.nan]])
    found = false_discovery(p, level=0.05, correlated=False)
    assert found.tests == 4
    assert found.significant.shape == (2, 3)
    np.testing.assert_array_equal(np.isnan(found.adjusted), np.isnan(p))
    # 0.04 <= 3/4 of 0.05 does not hold, nor 0.03 <= 2/4; 0.01 <= 1/4 does.
    assert found.significant.tolist() == [[True, False, False], [False, False, False]]


def test_no_test_at_all_rejects_nothing():
    found = false_discovery([np.nan, np.nan])
    assert not found.anywhere
    assert found.tests == 0
    assert found.threshold == 0.0


def test_independent_fields_without_signal_are_significant_as_often_as_asked():
    generator = np.random.default_rng(4)
    fields = generator.random((2000, 80))
    hits = [false_discovery(f, level=0.05, correlated=False).anywhere for f in fields]
    # Exact: under independence the chance is the level; binomial error 0.005.
    assert np.mean(hits) == pytest.approx(0.05, abs=0.015)
    naive = np.mean((fields < 0.05).any(axis=1))
    assert naive > 0.95


def test_twice_the_rate_suits_smooth_fields_and_keeps_the_chance_of_any_rejection():
    from scipy.ndimage import gaussian_filter
    from scipy.special import ndtr

    generator = np.random.default_rng(5)
    noise = generator.normal(size=(1500, 24, 24))
    smooth = gaussian_filter(noise, (0, 4, 4), mode="wrap")
    smooth /= smooth.std()
    fields = 2.0 * ndtr(-np.abs(smooth)).reshape(1500, -1)
    share = {
        correlated: np.mean(
            [false_discovery(f, correlated=correlated).anywhere for f in fields]
        )
        for correlated in (False, True)
    }
    assert share[False] < 0.045
    assert share[False] < share[True] < 0.09
    assert np.mean((fields < 0.05).any(axis=1)) > 0.5


def test_among_the_rejected_the_share_of_false_ones_is_held():
    from scipy.special import ndtr

    generator = np.random.default_rng(6)
    false_share = []
    for _ in range(300):
        z = generator.normal(size=200)
        z[:60] += 3.0
        found = false_discovery(
            2.0 * ndtr(-np.abs(z)), level=0.05, correlated=False
        ).significant
        false_share.append(found[60:].sum() / max(found.sum(), 1))
        assert found[:60].sum() > 20
    # Benjamini and Hochberg: alpha times the share of true nulls, 0.05 * 140 / 200.
    assert np.mean(false_share) == pytest.approx(0.035, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(InputError, match="level must lie"):
        false_discovery([0.5], level=level)


def test_impossible_p_values_are_refused():
    with pytest.raises(InputError, match=r"0\.\.1"):
        false_discovery([0.5, -0.2])
