"""Exactness of the fast covariance: against dense matrices, with and without gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, signal

from tilth.core.errors import InputError
from tilth.gnss.positions.covariance import (
    ObservedEpochs,
    inverse_filter,
    whitening_filters,
)
from tilth.gnss.positions.noise import (
    Coloured,
    NoiseModel,
    NoiseValues,
    noise_model,
    power_law_filter,
    simulate_noise,
    spectral_density,
)


def dense(filters):
    """C = sum T T^T, written out."""
    factors = [np.tril(linalg.toeplitz(row)) for row in filters]
    return sum(factor @ factor.T for factor in factors)


NOISES = [
    ("additive", NoiseValues(0.8, [1.7], [1.6])),
    ("quadrature", NoiseValues(0.8, [1.7], [1.6])),
    ("quadrature", NoiseValues(1.0, [0.3], [-0.8])),
    ("quadrature", NoiseValues(1.0, [0.5], [0.0])),  # twice white noise
    ("quadrature", NoiseValues(1e-6, [1.7], [1.0])),
    ("quadrature", NoiseValues(1.0, [1e-6], [1.0])),
    ("quadrature", NoiseValues(1.0, [1.0], [2.9])),
    ("quadrature", NoiseValues(0.0, [1.7, 1.0], [1.0, 2.0])),
    ("quadrature", NoiseValues(0.8, [1.7, 1.1], [1.0, 2.0])),
    ("quadrature", NoiseValues(1.0, [2.0], [2.0], [3.0])),
]


@pytest.mark.parametrize("present", [1.0, 0.8, 0.3])
@pytest.mark.parametrize(("combination", "values"), NOISES)
def test_products_and_determinant_equal_those_of_dense_matrices(
    combination, values, present
):
    rng = np.random.default_rng(1)
    keep = rng.random(200) < present
    keep[[0, -1]] = True
    epochs = np.flatnonzero(keep)
    filters = values.filters(200, combination)
    columns = rng.standard_normal((3, epochs.size))
    normal, log_determinant = ObservedEpochs(epochs).normal_matrix(filters, columns)
    covariance = dense(filters)[np.ix_(epochs, epochs)]
    expected = columns @ np.linalg.solve(covariance, columns.T)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(normal / size, expected / size, atol=1e-10)
    assert log_determinant == pytest.approx(np.linalg.slogdet(covariance)[1], abs=1e-9)


@given(
    white=st.floats(0.01, 3),
    amplitude=st.floats(0.01, 20),
    index=st.floats(-0.9, 2.5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_whitening_filters_give_the_inverse_for_any_noise(
    white, amplitude, index, seed
):
    filters = NoiseValues(white, [amplitude], [index]).filters(60, "quadrature")
    whitening, _ = whitening_filters(filters)
    factors = [np.tril(linalg.toeplitz(row)) for row in whitening]
    inverse = sum(factor.T @ factor for factor in factors)
    x = np.random.default_rng(seed).standard_normal(60)
    np.testing.assert_allclose(inverse @ (dense(filters) @ x), x, atol=1e-6)


def test_the_inverse_of_a_random_walk_is_a_difference():
    np.testing.assert_allclose(
        inverse_filter(np.ones(37)), [1, -1] + [0] * 35, atol=1e-12
    )


def test_fractional_filters_undo_each_other():
    there, back = power_law_filter(500, 1.3), power_law_filter(500, -1.3)
    np.testing.assert_allclose(inverse_filter(there), back, atol=1e-12)


def test_the_filter_of_a_damped_random_walk_is_autoregressive():
    """Index 2 and damping b: psi_i = exp(-b dt i), the filter of an AR(1)."""
    psi = power_law_filter(50, 2.0, 3.0, 7.0)
    np.testing.assert_allclose(psi, np.exp(-3.0 * 7.0 / 365.25 * np.arange(50)))


def test_white_and_flicker_noise_together_have_the_covariance_of_both():
    """Of 2000 draws, so entries scatter by 2 % of the largest: 10 % is five sigma."""
    values = NoiseValues(1.0, [8.0], [1.0])
    draws = np.array([simulate_noise(values, 20, seed=i) for i in range(2000)])
    expected = dense(values.filters(20, "quadrature"))
    assert np.abs(draws.T @ draws / 2000 - expected).max() < 0.1 * expected.max()


@pytest.mark.parametrize("combination", ["quadrature", "additive"])
def test_the_spectral_density_is_that_of_simulated_noise(combination):
    values = NoiseValues(1.0, [6.0], [1.0])
    total = 0.0
    for seed in range(40):
        noise = simulate_noise(values, 4096, combination, seed=seed)
        frequency, power = signal.periodogram(noise, 365.25, detrend="constant")
        total = total + power / 40
    bands = (frequency > 2) & (frequency < 180)
    ratio = total[bands] / spectral_density(values, frequency[bands], combination)
    for part in np.array_split(ratio, 8):  # some 250 lines of 40 draws: 1 % each
        assert 0.94 < part.mean() < 1.06


def test_the_two_ways_of_summing_are_different_models():
    values = NoiseValues(1.0, [3.0], [1.0])
    additive = dense(values.filters(5, "additive"))
    quadrature = dense(values.filters(5, "quadrature"))
    scaled = 3.0 * (1 / 365.25) ** 0.25
    assert quadrature[0, 0] == pytest.approx(1.0 + scaled**2)
    assert additive[0, 0] == pytest.approx((1.0 + scaled) ** 2)


def test_wrong_noises_are_refused():
    with pytest.raises(InputError, match="no noise model 'pink'"):
        noise_model("pink")
    with pytest.raises(InputError, match="'quadrature' or in the 'additive'"):
        NoiseModel((), "sum")
    with pytest.raises(InputError, match=r"within -0\.9 to 3"):
        Coloured("steep", 4.0)
    with pytest.raises(InputError, match="cannot both be estimated"):
        NoiseModel((Coloured("a"), Coloured("b")))
    with pytest.raises(InputError, match="every amplitude of the noise is zero"):
        NoiseValues(0.0).filters(10, "quadrature")
    with pytest.raises(InputError, match="rise from 0"):
        ObservedEpochs(np.array([0, 2, 2]))
