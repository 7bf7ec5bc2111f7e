import numpy as np
import pytest
from numpy.testing import assert_allclose

from tilth.core.accelerate import jax, jnp
from tilth.land.emulator.equations import VARIANTS, Forcing, State, step
from tilth.land.emulator.parameters import bounds
from tilth.land.fit.day import (
    advance_day,
    differentiate_day,
    variant_switches,
    weather_table,
)

CASES = 200


@pytest.fixture(scope="module", params=list(VARIANTS))
def day(request):
    """Return a variant, and random days: states, weather and parameters."""
    variant = VARIANTS[request.param]
    rng = np.random.default_rng(7)
    low, high = bounds(variant.closed)
    theta = low[:, None] + (high - low)[:, None] * rng.random((15, CASES))
    # Half of the cases with slopes so gentle that the logistic curves are not cut.
    theta[11, ::2], theta[13, ::2] = 0.03, 0.05
    snow = rng.choice([0.01, 5.0, 90.0, 300.0], CASES) * rng.uniform(0.5, 1, CASES)
    state = np.stack(
        [
            snow,
            rng.uniform(-80, 80, CASES),
            rng.uniform(0, 50, CASES),
            rng.uniform(0, 40, CASES) * (rng.random(CASES) < 0.7),
        ]
    )
    weather = np.stack(
        [
            rng.gamma(0.5, 20, CASES) * (rng.random(CASES) < 0.7),
            rng.gamma(0.5, 20, CASES) * (rng.random(CASES) < 0.5),
            rng.uniform(265, 295, CASES),
            rng.uniform(0.001, 0.01, CASES),
            rng.uniform(6e4, 1e5, CASES),
        ]
    )
    return variant, state, weather, theta


def of_jax(variant):
    def whole(state, theta, share, weather):
        end, fluxes = step(
            State(*state[:, None]),
            Forcing(*weather[:, None]),
            theta[:, None],
            share,
            variant,
        )
        return jnp.stack([*end, fluxes.surface_runoff + fluxes.base_runoff])[:, 0]

    return whole


def test_a_day_is_that_of_the_equations_to_rounding(day):
    variant, state, weather, theta = day
    expected = jax.vmap(of_jax(variant), in_axes=(1, 1, None, 1))(
        state, theta, 0.3, weather
    )
    table = weather_table(Forcing(*weather), variant)
    switches = variant_switches(variant)
    got = [
        advance_day(*state[:, k], table[k], theta[:, k].copy(), 0.3, switches)
        for k in range(CASES)
    ]
    assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


def test_the_jacobian_of_a_day_is_that_of_automatic_differentiation(day):
    variant, state, weather, theta = day
    by_state, by_theta, by_share = jax.vmap(
        jax.jacfwd(of_jax(variant), argnums=(0, 1, 2)), in_axes=(1, 1, None, 1)
    )(state, theta, 0.3, weather)
    expected = np.concatenate(
        [by_state, by_theta, np.asarray(by_share)[:, :, None]], axis=2
    )
    table = weather_table(Forcing(*weather), variant)
    switches = variant_switches(variant)
    got = np.empty_like(expected)
    for k in range(CASES):
        of_state, of_theta = np.empty((5, 4)), np.empty((5, 16))
        differentiate_day(
            *state[:, k],
            table[k],
            theta[:, k].copy(),
            0.3,
            switches,
            of_state,
            of_theta,
        )
        got[k] = np.concatenate([of_state, of_theta], axis=1)
    assert_allclose(got, expected, rtol=1e-8, atol=1e-9)


def test_melt_just_above_its_threshold_has_a_bounded_derivative():
    variant = VARIANTS["implicit"]
    table = weather_table(
        Forcing(*np.array([0.0, 0.0, 273.15 + 1e-9, 0.004, 9e4])), variant
    )
    theta = np.array([1, 3, 273.15, 0.3, 1, 1, 0.1, 0, 0.1, 0, 0, 0.1, 0, 0.1, 9.0])
    of_state, of_theta = np.empty((5, 4)), np.empty((5, 16))
    differentiate_day(
        50.0,
        0.0,
        0.0,
        0.0,
        table,
        theta,
        0.3,
        variant_switches(variant),
        of_state,
        of_theta,
    )
    assert 0.0 < of_theta[0, 2] < 1.0
