"""Bracketed roots in every cell: found, differentiated, and independent of others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from tilth.core.accelerate import jax, jnp
from tilth.physics.roots import bracketed_root


def kepler(anomaly, eccentricity):
    return bracketed_root(
        lambda x: x - eccentricity * jnp.sin(x) - anomaly,
        jnp.zeros_like(anomaly),
        jnp.full_like(anomaly, jnp.pi),
        tolerance=1e-15,
    )


SOLVE = jax.jit(kepler)


@settings(max_examples=60, deadline=None)
@given(anomaly=st.floats(0.01, 3.1), eccentricity=st.floats(0.0, 0.999))
def test_keplers_equation_has_the_root_that_brent_finds(anomaly, eccentricity):
    ours = float(SOLVE(jnp.asarray([anomaly]), eccentricity)[0])
    theirs = brentq(
        lambda x: x - eccentricity * np.sin(x) - anomaly, 0.0, np.pi, xtol=1e-15
    )
    assert abs(ours - eccentricity * np.sin(ours) - anomaly) < 4e-15
    assert np.isclose(ours, theirs, rtol=0, atol=1e-12 / (1.0001 - eccentricity))


def test_first_and_second_derivatives_are_those_of_the_implicit_function():
    m, e = 0.8, 0.6
    x = float(SOLVE(jnp.asarray(m), e))
    slope = 1 / (1 - e * np.cos(x))
    assert np.isclose(jax.grad(kepler)(m, e), slope, rtol=1e-13)
    assert np.isclose(jax.grad(kepler, argnums=1)(m, e), np.sin(x) * slope, rtol=1e-13)
    second = jax.grad(jax.grad(kepler))(m, e)
    assert np.isclose(second, -e * np.sin(x) * slope**3, rtol=1e-12)


def test_a_cell_gives_the_same_bits_alone_and_among_a_thousand_others():
    m = jnp.linspace(0.01, 3.1, 1001)
    together = SOLVE(m, 0.97)
    for i in (0, 137, 500, 1000):
        assert float(SOLVE(m[i : i + 1], 0.97)[0]) == float(together[i])


def test_a_root_at_either_bound_is_found_exactly():
    for target in (0.0, 1.0):
        root = bracketed_root(
            lambda x, a=target: x - a, jnp.zeros(3), jnp.ones(3), tolerance=0.0
        )
        assert np.all(np.asarray(root) == target)


def test_a_step_is_bisected_to_neighbouring_numbers():
    root = bracketed_root(
        lambda x: jnp.where(x > 0.3, 1.0, -1.0),
        jnp.zeros(1),
        jnp.ones(1),
        tolerance=0.0,
    )
    assert abs(float(root[0]) - 0.3) < 1e-15


def test_without_a_change_of_sign_the_better_bound_comes_back():
    root = bracketed_root(lambda x: x + 1.0, jnp.zeros(2), jnp.ones(2), tolerance=1e-12)
    assert np.all(np.asarray(root) == 0.0)
