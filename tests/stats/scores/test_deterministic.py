"""Scores: exact small cases, limits, invariances, and what their intervals cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.stats import bias, kge, nrmse, nse, r_squared, score_intervals
from tilth.stats.scores import SCORES


def test_nse_by_hand():
    # Observed 1, 2, 3, 4: variance sum 5. Errors 1, 0, -1, 0: error sum 2.
    assert nse([2, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(1 - 2 / 5)


def test_the_observed_mean_as_a_forecast_scores_zero_and_a_perfect_one_scores_one():
    observed = np.array([1.0, 5.0, 2.0, 8.0])
    assert nse(np.full(4, observed.mean()), observed) == pytest.approx(0.0)
    assert nse(observed, observed) == 1.0
    assert kge(observed, observed) == 1.0
    assert kge(observed, observed, form="2009") == 1.0


def test_kge_by_hand_in_both_forms():
    observed = np.array([1.0, 2.0, 3.0])
    doubled = 2 * observed
    # r = 1, ratio of means 2, ratio of deviations 2, ratio of CVs 1.
    assert kge(doubled, observed, form="2009") == pytest.approx(1 - np.sqrt(2))
    assert kge(doubled, observed, form="2012") == pytest.approx(0.0)
    shifted = observed + 2
    # r = 1, ratio of means 2, ratio of deviations 1, ratio of CVs 1/2.
    assert kge(shifted, observed, form="2009") == pytest.approx(0.0)
    assert kge(shifted, observed) == pytest.approx(1 - np.sqrt(1 + 0.25))


def test_bias_keeps_its_sign_and_its_share():
    assert bias([0.0, 2.0], [1.0, 3.0]) == -1.0
    assert bias([0.0, 2.0], [1.0, 3.0], relative=True) == -0.5


def test_a_missing_value_takes_its_pair_with_it():
    simulated = [2, 2, np.nan, 2, 4, 7]
    observed = [1, 2, 9, 3, 4, np.nan]
    assert nse(simulated, observed) == pytest.approx(1 - 2 / 5)
    assert np.isnan(nse([np.nan], [1.0]))


def test_a_series_that_does_not_vary_has_no_efficiency():
    assert np.isnan(nse([1.0, 2.0], [0.3, 0.3]))
    assert np.isnan(kge([1.0, 2.0], [0.3, 0.3]))
    assert np.isnan(kge([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]))  # no mean to compare with


def test_series_go_along_the_last_axis():
    rng = np.random.default_rng(0)
    s, o = rng.normal(size=(2, 3, 50)), rng.normal(size=(2, 3, 50))
    found = nse(s, o)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(nse(s[1, 2], o[1, 2]))


@given(
    scale=st.floats(1e-3, 1e3),
    offset=st.floats(-1e4, 1e4),
    seed=st.integers(0, 2**16),
)
def test_nse_knows_no_units(scale, offset, seed):
    rng = np.random.default_rng(seed)
    o = rng.gamma(2.0, size=40)
    s = o + rng.normal(0, 0.3, 40)
    there = nse(scale * s + offset, scale * o + offset)
    # The offset leaves eps * offset / scale of rounding in every value.
    assert there == pytest.approx(nse(s, o), abs=1e-9 + 1e-14 * abs(offset) / scale)


def test_a_large_level_does_not_eat_the_digits():
    o = np.array([0.0, 1.0, 2.0, 3.0])
    s = o + np.array([0.1, -0.1, 0.1, -0.1])
    assert nse(s + 1e8, o + 1e8) == pytest.approx(nse(s, o), abs=1e-7)


def test_the_norm_of_a_normalised_error_decides_its_value():
    # Errors 0, 0, 0, 2: rmse 1. Observed 1, 2, 3, 6: mean 3, variance 14/4, range 5,
    # quartiles 1.75 and 3.75.
    s, o = [1, 2, 3, 8], [1, 2, 3, 6]
    found = [nrmse(s, o, norm=n) for n in ("mean", "sd", "range", "iqr")]
    np.testing.assert_allclose(found, [1 / 3, 1 / np.sqrt(3.5), 1 / 5, 1 / 2])


def test_a_missing_pair_is_in_neither_the_error_nor_its_norm():
    s, o = [1, 2, 3, 8, np.nan, 4], [1, 2, 3, 6, 900, np.nan]
    for norm in ("mean", "sd", "range", "iqr"):
        assert nrmse(s, o, norm=norm) == nrmse(s[:4], o[:4], norm=norm)
    assert np.isnan(nrmse([[np.nan], [1.0]], [[1.0], [2.0]], norm="range")).all()


def test_no_norm_that_is_not_positive():
    assert np.isnan(nrmse([1.0, 2.0], [-1.0, 1.0], norm="mean"))
    assert np.isnan(nrmse([1.0, 2.0], [1.0, 1.0], norm="sd"))


def test_the_squared_error_over_the_deviation_is_what_nse_lacks():
    rng = np.random.default_rng(4)
    s, o = rng.normal(size=(2, 3, 40))
    np.testing.assert_allclose(nrmse(s, o, norm="sd") ** 2, 1 - nse(s, o))


def test_the_two_definitions_of_r_squared_differ_by_what_they_forgive():
    o = np.array([1.0, 2.0, 4.0, 3.0])
    off = 3 * o - 7
    assert r_squared(off, o, definition="correlation") == pytest.approx(1.0)
    assert r_squared(off, o, definition="explained") == nse(off, o) < 0
    s = np.array([2.0, 1.0, 4.0, 3.0])
    expected = np.corrcoef(s, o)[0, 1] ** 2
    assert r_squared(s, o, definition="correlation") == pytest.approx(expected)


def test_norms_and_definitions_must_be_named():
    with pytest.raises(TypeError, match="norm"):
        nrmse([1.0], [1.0])
    with pytest.raises(TypeError, match="definition"):
        r_squared([1.0], [1.0])
    with pytest.raises(InputError, match="norm is one of mean, sd, range, iqr"):
        nrmse([1.0], [1.0], norm="max")
    with pytest.raises(InputError, match="Pearson's"):
        r_squared([1.0], [1.0], definition="r2")


def test_intervals_hold_the_estimate_and_agree_with_the_plain_scores():
    rng = np.random.default_rng(1)
    o = rng.gamma(2.0, size=(2, 600)) + 5
    s = o + rng.normal(0, 0.5, o.shape)
    found = score_intervals(s, o, np.repeat(np.arange(20), 30), draws=400)
    assert set(found) == set(SCORES)
    plain = {"nse": nse(s, o), "kge": kge(s, o), "bias": bias(s, o)}
    for name, value in plain.items():
        np.testing.assert_allclose(found[name].estimate, value, rtol=1e-10)
        assert (found[name].lower <= value).all()
        assert (found[name].upper >= value).all()
    assert found["nse"].blocks == 20
    assert found["nse"].level == 0.90


def test_a_score_is_drawn_as_if_whole_blocks_had_been_put_together():
    rng = np.random.default_rng(2)
    o, s = rng.normal(size=60), rng.normal(size=60)
    blocks = np.repeat([0, 1], 30)
    # Two blocks: a draw is one of them twice, or both. Limits of a wide interval are
    # the smaller and the larger of these three.
    each = [nse(s[blocks == b], o[blocks == b]) for b in (0, 1)]
    result = score_intervals(s, o, blocks, draws=500, level=0.9)["nse"]
    possible = [*each, nse(s, o)]
    assert result.lower == pytest.approx(min(possible))
    assert result.upper == pytest.approx(max(possible))


def test_intervals_over_years_cover_the_truth_of_a_known_process():
    # Errors of one size, observed variance one: the true NSE is 1 - 0.25.
    rng = np.random.default_rng(3)
    o = rng.normal(size=(300, 900))
    s = o + rng.normal(0, 0.5, o.shape)
    found = score_intervals(s, o, np.repeat(np.arange(30), 30), draws=300)["nse"]
    inside = (found.lower <= 0.75) & (found.upper >= 0.75)
    # 300 series: 90 % within three binomial standard errors (0.017), less the
    # shortfall of 30 blocks.
    assert 0.83 < inside.mean() < 0.95


def test_mistakes_are_named():
    with pytest.raises(InputError, match="differ in shape"):
        nse([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="form"):
        kge([1.0], [1.0], form="2015")
    with pytest.raises(InputError, match="one label per value"):
        score_intervals([1.0, 2.0], [1.0, 2.0], [0])
