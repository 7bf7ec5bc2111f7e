"""The bounded exponential: published numbers, limits and invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from tilth.chambers.fits.exponential import fit_series


def test_the_published_hmr_example_is_reproduced():
    # gasfluxes' own unit test: f0 26.1229339, se 1.6062529,
    # kappa 1.9701545, phi 364.122024, RSE 0.75076476. Its nls stops at a relative
    # offset of 1e-5, so its last digits are not those of the optimum.
    t = np.array([0, 1 / 3, 2 / 3, 1, 1.2, 1.3])
    fit = fit_series(t, np.array([320.0, 341, 352, 359, 360, 360]))
    assert 0.3 * fit["slope"] == pytest.approx(26.1229339, rel=2e-6)
    assert 0.3 * fit["slope_se"] == pytest.approx(1.6062529, rel=1e-5)
    assert fit["k"] == pytest.approx(1.9701545, rel=2e-6)
    assert fit["c_inf"] == pytest.approx(364.122024, rel=1e-7)
    assert np.sqrt(fit["rss"] / 3) == pytest.approx(0.75076476, rel=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    slope=st.floats(-2.0, 5.0).filter(lambda s: abs(s) > 0.05),
    kt=st.floats(0.05, 8.0),
    noise=st.floats(0.01, 3.0),
    seed=st.integers(0, 10_000),
)
def test_no_local_optimiser_finds_a_better_curve_within_the_bounds(
    slope, kt, noise, seed
):
    t = np.arange(60) * 3.0
    k = kt / t[-1]
    c = 450 + slope * -np.expm1(-k * t) / k
    c = c + np.random.default_rng(seed).normal(0, noise, t.size)
    fit = fit_series(t, c, nonnegative=False)

    def residual(p):
        rate = np.exp(p[2])
        return p[0] + p[1] * -np.expm1(-rate * t) / rate - c

    low, high = np.log(1e-4 / t[-1]), np.log(60 / t[-1])
    start = [
        fit["c0"],
        fit["slope"],
        np.clip(np.log(fit["k"]), low + 1e-9, high - 1e-9),
    ]
    for first in (start, [c[0], slope, np.log(k)]):
        other = least_squares(
            residual, first, bounds=([-np.inf, -np.inf, low], [np.inf, np.inf, high])
        )
        assert fit["rss"] <= 2 * other.cost * (1 + 1e-9)


def test_a_straight_line_gives_the_line_and_a_finite_flux():
    t = np.arange(60) * 3.0
    fit = fit_series(t, 400 + 0.2 * t)
    assert fit["slope"] == pytest.approx(0.2, rel=1e-3)
    assert fit["k"] * t[-1] == pytest.approx(1e-4)


def test_a_convex_curve_ends_at_the_line_not_at_infinity():
    t = np.arange(60) * 3.0
    c = 400 + 0.1 * t + 0.001 * t * t
    fit = fit_series(t, c)
    assert fit["slope"] == pytest.approx(np.polyfit(t, c, 1)[0], rel=1e-3)


def test_the_equilibrium_of_an_uptake_does_not_go_below_zero():
    t = np.arange(170.0)
    c = 408.0 - 0.22 * t + np.sin(t)
    held, free = fit_series(t, c), fit_series(t, c, nonnegative=False)
    assert free["c_inf"] < 0
    assert held["c_inf"] == pytest.approx(0.0, abs=1e-6)
    assert held["rss"] >= free["rss"]


@pytest.mark.parametrize("scale", [1e-3, 60.0])
def test_the_fit_does_not_depend_on_the_unit_of_time(scale):
    t = np.arange(40) * 3.0
    rng = np.random.default_rng(3)
    c = 420 + 40 * -np.expm1(-0.01 * t) + rng.normal(0, 1, t.size)
    a, b = fit_series(t, c), fit_series(t * scale, c)
    assert b["slope"] * scale == pytest.approx(a["slope"], rel=1e-7)
    assert b["slope_se"] * scale == pytest.approx(a["slope_se"], rel=1e-6)


def test_the_standard_error_is_that_of_the_full_jacobian():
    rng = np.random.default_rng(5)
    t = np.arange(60) * 3.0
    c = 420 + 0.3 * -np.expm1(-0.008 * t) / 0.008 + rng.normal(0, 1, t.size)
    fit = fit_series(t, c)
    k, s0 = fit["k"], fit["slope"]
    e = np.exp(-k * t)
    dk = s0 * (t * e / k - (1 - e) / k**2)
    # By log k, as the fit gives it: d/dlog k = k d/dk.
    jacobian = np.column_stack([np.ones_like(t), (1 - e) / k, k * dk])
    covariance = fit["rss"] / (60 - 3) * np.linalg.inv(jacobian.T @ jacobian)
    np.testing.assert_allclose(fit["covariance"], covariance, rtol=1e-6)
    assert fit["slope_se"] == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-8)
