"""Extreme values: exact moments, known parameters, intervals that hold the truth."""

import numpy as np
import pytest
from scipy.stats import genextreme

from tilth.core.errors import InputError
from tilth.rivers.floods import GEV, fit_gev, l_moments, profile_interval
from tilth.rivers.floods.gev import LEAST_MAXIMA


def test_l_moments_by_hand_leave_gaps_out():
    # b0 = 4, b1 = (0 + 2 + 12 + 24) / 12 / 4 ... of 1, 2, 4, 9: ranks 0 to 3.
    b0, b1, b2 = 4.0, (2 * 1 + 4 * 2 + 9 * 3) / 12, (4 * 2 + 9 * 6) / 24
    l1, l2, t3 = l_moments([9.0, np.nan, 1.0, 4.0, 2.0])
    assert l1 == b0
    assert l2 == pytest.approx(2 * b1 - b0)
    assert t3 == pytest.approx((6 * b2 - 6 * b1 + b0) / (2 * b1 - b0))
    assert np.isnan(l_moments([1.0, 2.0, np.nan])[1])


@pytest.mark.parametrize("shape", [-0.3, -0.05, 0.0, 0.2])
def test_quantiles_and_likelihood_are_those_of_scipy_with_the_same_sign(shape):
    ours, theirs = GEV(100.0, 30.0, shape), genextreme(shape, 100.0, 30.0)
    p = np.array([0.01, 0.5, 0.99, 0.999])
    np.testing.assert_allclose(ours.quantile(p), theirs.ppf(p), rtol=1e-12)
    x = theirs.rvs(50, random_state=3)
    assert ours.log_likelihood(x) == pytest.approx(theirs.logpdf(x).sum(), rel=1e-12)


def test_the_level_of_a_hundred_years_is_exceeded_in_one_of_a_hundred():
    fit = GEV(100.0, 30.0, -0.1)
    assert genextreme.sf(fit.level(100.0), -0.1, 100.0, 30.0) == pytest.approx(0.01)


def test_a_value_beyond_the_upper_bound_is_impossible():
    bounded = GEV(0.0, 1.0, 0.5)  # bound at 2
    assert np.isfinite(bounded.log_likelihood([1.9]))
    assert bounded.log_likelihood([2.1]) == -np.inf


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.0, 0.3])
def test_the_fit_returns_the_distribution_of_its_quantiles(shape):
    truth = GEV(500.0, 120.0, shape)
    p = (np.arange(20_000) + 0.5) / 20_000
    fit = fit_gev(truth.quantile(p))
    # Two hundred thousandths of the tail are cut off, which a heavy one feels.
    assert fit.shape == pytest.approx(shape, abs=0.01)
    assert fit.scale == pytest.approx(120.0, rel=0.01)
    assert fit.location == pytest.approx(500.0, rel=0.002)


def test_both_methods_find_the_parameters_of_a_long_record():
    x = genextreme.rvs(-0.15, 1000.0, 200.0, size=4000, random_state=11)
    for method in ("l_moments", "likelihood"):
        fit = fit_gev(x, method)
        assert fit.location == pytest.approx(1000.0, rel=0.01)
        assert fit.scale == pytest.approx(200.0, rel=0.04)
        assert fit.shape == pytest.approx(-0.15, abs=0.04)


def test_the_likelihood_is_no_lower_than_that_of_scipys_fit():
    for seed in range(5):
        x = genextreme.rvs(-0.2, 100.0, 40.0, size=30, random_state=seed)
        ours = fit_gev(x, "likelihood")
        theirs = genextreme.fit(x, 0.0, loc=np.mean(x), scale=np.std(x))
        assert ours.log_likelihood(x) >= genextreme.logpdf(x, *theirs).sum() - 1e-4


def test_the_fit_follows_a_change_of_units():
    x = genextreme.rvs(-0.1, 50.0, 10.0, size=40, random_state=0)
    for method in ("l_moments", "likelihood"):
        a, b = fit_gev(x, method), fit_gev(35.3147 * x + 7.0, method)
        assert b.shape == pytest.approx(a.shape, abs=2e-5)
        assert b.scale == pytest.approx(35.3147 * a.scale, rel=1e-4)
        assert b.location == pytest.approx(35.3147 * a.location + 7.0, rel=1e-4)


def test_rows_are_fitted_one_by_one_and_short_ones_left_out():
    x = genextreme.rvs(-0.1, 50.0, 10.0, size=(3, 20), random_state=0)
    x[1, LEAST_MAXIMA - 1 :] = np.nan
    x[2] = 7.0
    for method in ("l_moments", "likelihood"):
        fit = fit_gev(x, method)
        assert fit.shape[0] == pytest.approx(fit_gev(x[0], method).shape)
        assert np.isnan(fit.location[1])
        assert np.isnan(fit.shape[2])


def test_profile_intervals_hold_the_truth_as_often_as_they_say():
    truth = GEV(1000.0, 250.0, -0.1)
    level, held, above, below = float(truth.level(50.0)), 0, 0, 0
    rng = np.random.default_rng(12)
    trials = 100
    for _ in range(trials):
        estimate, lower, upper = profile_interval(
            truth.quantile(rng.random(40)), 50.0, level=0.9
        )
        assert lower < estimate < upper
        held += lower <= level <= upper
        above += upper < level
        below += lower > level
    # Binomial error of 100 trials: 0.03.
    assert 0.82 <= held / trials <= 0.97
    assert max(above, below) / trials < 0.15


def test_a_profile_interval_is_skewed_towards_the_heavy_tail_and_nests():
    x = genextreme.rvs(-0.2, 100.0, 30.0, size=40, random_state=8)
    estimate, lower, upper = profile_interval(x, 100.0, level=0.95)
    assert upper - estimate > 1.3 * (estimate - lower)
    _, inner_low, inner_high = profile_interval(x, 100.0, level=0.5)
    assert lower < inner_low < inner_high < upper


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit_gev(np.arange(9.0)), f"at least {LEAST_MAXIMA} of them, got 9"),
        (lambda: fit_gev(np.arange(20.0), "moments"), "'l_moments' or 'likelihood'"),
        (lambda: GEV(1.0, 1.0, 0.0).level(1.0), "above 1 block"),
        (lambda: profile_interval(np.ones((2, 20)), 50.0), "one series"),
        (lambda: profile_interval(np.full(20, 3.0), 50.0), "all the same"),
        (
            lambda: profile_interval(np.arange(20.0), 50.0, level=90.0),
            "between 0 and 1",
        ),
    ],
)
def test_what_has_no_distribution_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
