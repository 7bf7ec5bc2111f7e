"""The filter and smoother against the same least squares with full matrices."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.gnss.positions.state_space import Process, regress, smooth

COUNT = 60
DAYS = np.arange(COUNT)
SEEN = np.column_stack(
    [np.ones(COUNT), np.cos(0.3 * DAYS), np.sin(0.3 * DAYS), np.ones(COUNT)]
)
PROCESS = Process(
    SEEN,
    np.array([0.9, 1.0, 1.0, 1.0]),
    np.array([0.5, 0.1, 0.2, 0.0]),
    np.array([2.0, 0.0, 0.0, 0.0]),
)
DESIGN = np.column_stack([np.ones(COUNT), DAYS / COUNT, DAYS >= 20]).astype(float)


def series(seed=0):
    """Return a walk with gaps, and weights."""
    draws = np.random.default_rng(seed)
    values = draws.normal(size=COUNT).cumsum()
    values[[0, 5, 6, 30]] = np.nan
    return values, draws.uniform(0.5, 2.0, COUNT)


def covariance_of(element):
    """Return the covariance of one element of the state between all steps."""
    decay, noise = PROCESS.decay[element], PROCESS.noise[element]
    variances = [PROCESS.start[element]]
    for _ in DAYS[1:]:
        variances.append(variances[-1] * decay**2 + noise)
    earlier = np.minimum.outer(DAYS, DAYS)
    apart = np.abs(np.subtract.outer(DAYS, DAYS))
    return np.array(variances)[earlier] * decay**apart


class Dense:
    """Generalised least squares with the inverse of the covariance."""

    def __init__(self, values, weights, design=DESIGN):
        self.there = np.isfinite(values)
        total = np.diag(weights) + sum(
            np.outer(SEEN[:, k], SEEN[:, k]) * covariance_of(k) for k in range(4)
        )
        self.covariance = total[np.ix_(self.there, self.there)]
        self.inverse = np.linalg.inv(self.covariance)
        self.design = design[self.there]
        self.normal = self.design.T @ self.inverse @ self.design
        self.unscaled = np.linalg.inv(self.normal)
        seen = values[self.there]
        self.coefficients = self.unscaled @ self.design.T @ self.inverse @ seen
        self.left = seen - self.design @ self.coefficients
        self.degrees = seen.size - design.shape[1]
        self.chi_squared = self.left @ self.inverse @ self.left
        self.variance = self.chi_squared / self.degrees


def test_coefficients_and_likelihood_are_those_of_full_matrices():
    values, weights = series()
    ours, dense = regress(values, DESIGN, weights, PROCESS), Dense(values, weights)
    np.testing.assert_allclose(ours.coefficients, dense.coefficients, rtol=1e-10)
    np.testing.assert_allclose(
        ours.covariance, dense.variance * dense.unscaled, rtol=1e-10
    )
    assert ours.variance == pytest.approx(dense.variance, rel=1e-12)
    # Restricted likelihood: Harville (1974), without the constant of the design.
    expected = -0.5 * (
        dense.degrees * (np.log(2 * np.pi * dense.variance) + 1.0)
        + np.linalg.slogdet(dense.covariance)[1]
        + np.linalg.slogdet(dense.normal)[1]
    )
    assert ours.log_likelihood == pytest.approx(expected, abs=1e-9)
    assert ours.observations == 56


@pytest.mark.parametrize("element", [0, 1, 2])
def test_the_state_and_its_covariance_are_those_of_full_matrices(element):
    values, weights = series(1)
    ours, dense = smooth(values, DESIGN, weights, PROCESS), Dense(values, weights)
    own = covariance_of(element)
    between = (own * SEEN[:, element])[:, dense.there]
    expected = between @ dense.inverse @ dense.left
    np.testing.assert_allclose(ours.state[:, element], expected, atol=1e-12)
    lost = between @ dense.inverse @ dense.design
    variance = (
        own - between @ dense.inverse @ between.T + lost @ dense.unscaled @ lost.T
    )
    np.testing.assert_allclose(
        ours.covariance[:, element, element],
        dense.variance * np.diag(variance),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        ours.cross[:, element], -dense.variance * lost @ dense.unscaled, atol=1e-12
    )


def test_a_push_of_the_constant_is_the_step_that_least_squares_finds():
    values, weights = series(2)
    ours = smooth(values, DESIGN, weights, PROCESS)
    for day in (10, 33, 50):
        more = np.column_stack([DESIGN, day <= DAYS])
        dense = Dense(values, weights, more)
        size = ours.push[day, 3] / ours.push_information[day, 3]
        assert size == pytest.approx(dense.coefficients[3], rel=1e-9)
        # Its error at the variance without the step.
        se = np.sqrt(ours.regression.variance * dense.unscaled[3, 3])
        assert ours.push_information[day, 3] ** -0.5 == pytest.approx(se, rel=1e-9)


def test_residuals_are_those_of_predictions_from_all_other_observations():
    values, weights = series(3)
    ours = smooth(values, DESIGN, weights, PROCESS)
    assert np.isnan(ours.residual[[0, 5, 6, 30]]).all()
    for day in (3, 19, 31, 59):
        without = values.copy()
        without[day] = np.nan
        rest = smooth(without, DESIGN, weights, PROCESS)
        expected = (
            DESIGN[day] @ rest.regression.coefficients + SEEN[day] @ rest.state[day]
        )
        assert ours.residual[day] == pytest.approx(values[day] - expected, abs=1e-10)


def test_scaling_the_observations_scales_everything():
    values, weights = series(4)
    one = smooth(values, DESIGN, weights, PROCESS)
    ten = smooth(10.0 * values, DESIGN, weights, PROCESS)
    np.testing.assert_allclose(ten.state, 10.0 * one.state, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ten.covariance, 100.0 * one.covariance, rtol=1e-9)
    np.testing.assert_allclose(ten.residual_se, 10.0 * one.residual_se, rtol=1e-9)


def test_what_cannot_be_fitted_is_refused():
    values, weights = series()
    few = np.where(DAYS < 4, values, np.nan)
    twice = np.column_stack([DESIGN, DESIGN[:, 2]])
    with pytest.raises(InputError, match="cannot give 3 coefficients"):
        regress(few, DESIGN, weights, PROCESS)
    with pytest.raises(InputError, match="not independent"):
        regress(values, twice, weights, PROCESS)
    with pytest.raises(InputError, match="not finite"):
        regress(values, DESIGN * np.nan, weights, PROCESS)
    with pytest.raises(InputError, match="60 steps, the series 50"):
        regress(values[:50], DESIGN[:50], weights[:50], PROCESS)
