"""Lines against published numbers, peers' outputs and simulated truth."""

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tilth.core.errors import InputError
from tilth.stats import bisector, deming, huber, huber_line, ols, theil_sen, york

HOURS = np.array([0.0, 1 / 3, 2 / 3, 1.0])

# Pearson's points with York's weights (York 1966, table II).
PEARSON_X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
PEARSON_Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
WEIGHT_X = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1.0])
WEIGHT_Y = np.array([1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500.0])


def test_least_squares_is_that_of_scipy_with_its_standard_errors():
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 10, 25)
    y = 3.0 - 0.7 * x + generator.normal(0, 0.5, 25)
    fit, peer = ols(x, y), stats.linregress(x, y)
    assert fit.slope == pytest.approx(peer.slope, rel=1e-12)
    assert fit.intercept == pytest.approx(peer.intercept, rel=1e-12)
    assert fit.slope_se == pytest.approx(peer.stderr, rel=1e-12)
    assert fit.intercept_se == pytest.approx(peer.intercept_stderr, rel=1e-12)
    assert fit.correlation == pytest.approx(peer.rvalue, rel=1e-12)


def test_least_squares_flux_of_the_published_unit_test():
    # gasfluxes' own test: 4 points of N2O, V 0.3 m3 over A 1 m2.
    fit = ols(HOURS, [320, 341, 352, 359])
    assert 0.3 * fit.slope == pytest.approx(11.52, abs=5e-9)
    assert 0.3 * fit.slope_se == pytest.approx(2.02849698, abs=5e-9)


def test_huber_line_of_the_published_unit_test():
    fit = huber(HOURS, [320, 400, 352, 359])
    assert 0.3 * fit.slope == pytest.approx(10.36519998, abs=5e-9)
    np.testing.assert_allclose(fit.weights, [1, 0.2247, 1, 1], atol=5e-5)


@pytest.mark.realdata
def test_huber_lines_of_the_fleet_of_published_series_to_twelve_digits(dataset):
    folder = dataset("gasfluxes-reference")
    samples = pd.read_csv(folder / "fluxMeas_input.csv")
    name = "fluxMeas_reference_R_gasfluxes0.7_fdetect0.031.csv"
    expected = pd.read_csv(folder / name).set_index("serie")
    expected = expected[expected["robust.linear.f0"].notna()]
    groups = {k: g for k, g in samples.groupby("serie") if k in expected.index}
    assert len(groups) == 683  # the other 11 of 694 have three points: not fitted
    flux, se, start, weights = [], [], [], []
    for name in expected.index:
        part = groups[name]
        height = part["V"].iloc[0] / part["A"].iloc[0]
        fit = huber_line(part["time"].to_numpy(), part["C"].to_numpy())
        flux.append(height * fit.slope)
        se.append(height * fit.slope_se)
        start.append(fit.intercept)
        weights += list(fit.weights)
    np.testing.assert_allclose(flux, expected["robust.linear.f0"], rtol=2e-11)
    np.testing.assert_allclose(se, expected["robust.linear.f0.se"], rtol=5e-12)
    np.testing.assert_allclose(start, expected["robust.linear.C0"], rtol=1e-14)
    printed = "|".join(expected["robust.linear.weights"]).split("|")
    np.testing.assert_allclose(weights, np.array(printed, float), atol=0.005)


def test_huber_line_compiles_to_the_same_numbers():
    y = 400 + 0.3 * np.arange(60.0) + np.random.default_rng(1).standard_t(2, 60)
    compiled = numba.njit(huber_line)(np.arange(60.0), y)
    plain = huber_line(np.arange(60.0), y)
    np.testing.assert_allclose(compiled[:5], plain[:5], rtol=1e-12)
    assert compiled.iterations == plain.iterations


def test_huber_line_without_outliers_is_least_squares():
    y = np.array([0.0, 1.1, 1.9, 3.1, 3.9, 5.1])
    robust, plain = huber(np.arange(6), y), ols(np.arange(6), y)
    assert robust.slope == pytest.approx(plain.slope, rel=1e-12)
    assert robust.slope_se == pytest.approx(plain.slope_se, rel=1e-12)


def test_huber_line_says_so_when_it_has_no_scale():
    fit = huber([0, 1, 2, 3, 4], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert fit.slope == 0.0
    assert np.isnan(fit.slope_se)
    assert "no standard error" in fit.note


def test_huber_interval_covers_a_slope_under_heavy_tails():
    generator = np.random.default_rng(2)
    x = np.linspace(0, 180, 60)
    hits = []
    for _ in range(800):
        fit = huber(x, 420 + 0.1 * x + 3.0 * generator.standard_t(3, 60))
        hits.append(fit.slope_lower <= 0.1 <= fit.slope_upper)
    assert 0.92 <= np.mean(hits) <= 0.97


def test_theil_sen_ignores_a_quarter_of_wrong_points():
    x = np.arange(20.0)
    y = 2.0 * x
    y[[3, 8, 12, 15, 19]] += 500.0
    fit = theil_sen(x, y)
    assert fit.slope == pytest.approx(2.0)
    assert fit.slope_lower <= 2.0 <= fit.slope_upper
    assert ols(x, y).slope > 5.0


def test_deming_recovers_the_slope_that_least_squares_attenuates():
    generator = np.random.default_rng(3)
    slopes, flat, hits = [], [], []
    for _ in range(500):
        truth = generator.normal(0, 1, 60)
        x = truth + generator.normal(0, 0.5, 60)
        y = 1.0 + 1.5 * truth + generator.normal(0, 0.25, 60)
        fit = deming(x, y, error_ratio=0.25)
        slopes.append(fit.slope)
        flat.append(ols(x, y).slope)
        hits.append(fit.slope_lower <= 1.5 <= fit.slope_upper)
    assert np.mean(flat) == pytest.approx(1.5 / 1.25, rel=0.02)
    assert np.mean(slopes) == pytest.approx(1.5, rel=0.02)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_deming_is_york_with_one_error_for_all_points():
    fit = deming(PEARSON_X, PEARSON_Y, error_ratio=4.0)
    assert fit.slope == pytest.approx(
        york(PEARSON_X, PEARSON_Y, 0.1, 0.2).slope, rel=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10.0))
def test_swapping_the_axes_inverts_the_deming_line(seed, ratio):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=12)
    y = x + 0.5 * generator.normal(size=12)
    forward, back = deming(x, y, ratio), deming(y, x, 1.0 / ratio)
    assert forward.slope * back.slope == pytest.approx(1.0, rel=1e-9)


def test_a_huge_error_ratio_is_least_squares_of_y_on_x():
    fit = deming(PEARSON_X, PEARSON_Y, error_ratio=1e7)
    assert fit.slope == pytest.approx(ols(PEARSON_X, PEARSON_Y).slope, rel=1e-6)


def test_the_bisector_halves_the_angle_between_both_regressions():
    fit = bisector(PEARSON_X, PEARSON_Y)
    steep = 1.0 / ols(PEARSON_Y, PEARSON_X).slope
    flat = ols(PEARSON_X, PEARSON_Y).slope
    middle = (np.arctan(steep) + np.arctan(flat)) / 2.0
    assert np.arctan(fit.slope) == pytest.approx(middle, rel=1e-12)


def test_the_bisector_of_equal_errors_is_unbiased_at_slope_one():
    generator = np.random.default_rng(4)
    hits = []
    for _ in range(500):
        truth = generator.normal(0, 1, 60)
        fit = bisector(*(truth + generator.normal(0, 0.4, (2, 60))))
        hits.append(fit.slope_lower <= 1.0 <= fit.slope_upper)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_jackknife_errors_are_those_of_leaving_points_out_one_by_one():
    fit = deming(PEARSON_X, PEARSON_Y)
    left_out = [
        deming(np.delete(PEARSON_X, i), np.delete(PEARSON_Y, i)) for i in range(10)
    ]
    for name in ("slope", "intercept"):
        values = [getattr(part, name) for part in left_out]
        expected = np.sqrt(9 * np.var(values))
        assert getattr(fit, f"{name}_se") == pytest.approx(expected, rel=1e-9)


def test_york_line_of_pearsons_data_as_published():
    fit = york(PEARSON_X, PEARSON_Y, WEIGHT_X**-0.5, WEIGHT_Y**-0.5)
    assert fit.slope == pytest.approx(-0.480533407, abs=5e-10)
    assert fit.intercept == pytest.approx(5.47991022, abs=5e-9)
    assert fit.slope_se == pytest.approx(0.0580, abs=5e-5)
    assert fit.intercept_se == pytest.approx(0.295, abs=5e-4)
    assert fit.reduced_chi_square == pytest.approx(1.4833, abs=5e-5)


def test_york_standard_error_covers_with_correlated_errors():
    generator = np.random.default_rng(5)
    truth = np.linspace(0, 10, 15)
    sx, sy, r = 0.3, 0.5, 0.6
    hits = []
    for _ in range(500):
        a, b = generator.normal(size=(2, 15))
        x = truth + sx * a
        y = 2.0 + 0.8 * truth + sy * (r * a + np.sqrt(1 - r**2) * b)
        fit = york(x, y, sx, sy, r)
        hits.append(abs(fit.slope - 0.8) <= 1.96 * fit.slope_se)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_missing_pairs_are_left_out_and_counted():
    assert ols([0, 1, np.nan, 3, 4], [0, 1, 2, np.nan, 4]).n == 3


@pytest.mark.parametrize("line", [ols, theil_sen, huber, deming, bisector])
def test_what_gives_no_line_is_refused(line):
    with pytest.raises(InputError, match="at least 3"):
        line([0, 1], [0, 1])
    with pytest.raises(InputError, match="does not vary"):
        line([2, 2, 2], [0, 1, 2])
    with pytest.raises(InputError, match="shape"):
        line([0, 1, 2], [0, 1])


def test_impossible_errors_are_refused():
    with pytest.raises(InputError, match="error_ratio"):
        deming(PEARSON_X, PEARSON_Y, error_ratio=0.0)
    with pytest.raises(InputError, match="uncorrelated"):
        deming([0, 1, 2], [1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="positive standard errors"):
        york(PEARSON_X, PEARSON_Y, 0.0, 1.0)
