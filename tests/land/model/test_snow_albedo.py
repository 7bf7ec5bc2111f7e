"""Snow albedo: limits, the printed equations step by step, gradients."""

import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.land.model.snow_albedo import DIRT_ICE_SHEET, FRESH, OLD, age

DAY = 86400.0


def _column(values):
    return jnp.asarray(values)[:, None]


def test_fresh_snow_ages_by_the_printed_equations():
    kelvin, dt = 263.15, 3600.0
    f = np.exp(5000.0 * (1 / 273.15 - 1 / kelvin))
    grown = (f + f**10 + 0.3) * dt / 1e6
    share = grown / (1.0 + grown)
    got = age(_column(FRESH), jnp.array([kelvin]), jnp.array([50.0]), 0.0, dt)
    np.testing.assert_allclose(got[:, 0], FRESH + share * (OLD - FRESH), rtol=1e-13)


def test_two_short_steps_age_as_one_long_step():
    warm, deep = jnp.array([270.0]), jnp.array([50.0])
    start = _column(FRESH + 0.2 * (OLD - FRESH))
    half = age(age(start, warm, deep, 0.0, 1800.0), warm, deep, 0.0, 1800.0)
    np.testing.assert_allclose(half, age(start, warm, deep, 0.0, 3600.0), rtol=1e-12)


def test_snow_at_the_melting_point_ages_fastest_and_clean_snow_slowest():
    deep = jnp.array([50.0, 50.0])
    both = jnp.tile(_column(FRESH), (1, 2))
    visible = age(both, jnp.array([250.0, 273.15]), deep, 0.0, DAY)[0]
    assert float(visible[0]) > float(visible[1])
    # At the melting point f = f^10 = 1: G = 2.3 * 0.0864 after a day.
    grown = 2.3 * DAY / 1e6
    assert float(visible[1]) == pytest.approx(0.9 - 0.25 * grown / (1 + grown))
    clean = age(both, jnp.array([250.0] * 2), deep, 0.0, DAY, dirt=DIRT_ICE_SHEET)
    assert float(clean[0, 0]) > float(visible[0])


def test_albedo_stays_between_old_and_fresh_for_a_year():
    albedo, warm, deep = _column(FRESH), jnp.array([273.15]), jnp.array([50.0])
    step = jax.jit(lambda a: age(a, warm, deep, 0.0, DAY))
    seen = [albedo := step(albedo) for _ in range(365)]
    visible = np.array(seen)[:, 0, 0]
    assert (np.diff(visible) <= 0.0).all()
    assert visible.min() >= OLD[0]
    assert visible[-1] < 0.66


def test_snowfall_makes_the_surface_new_in_proportion():
    old = _column(FRESH + 0.5 * (OLD - FRESH))
    kelvin, deep = jnp.array([250.0]), jnp.array([200.0])
    aged = age(old, kelvin, deep, 0.0, 3600.0)
    some = age(old, kelvin, deep, 4.0 / 3600.0, 3600.0)
    np.testing.assert_allclose(some, aged + 0.4 * (_column(FRESH) - aged), rtol=1e-12)
    much = age(old, kelvin, deep, 10.0 / 3600.0, 3600.0)
    np.testing.assert_allclose(much, _column(FRESH), rtol=1e-13)


def test_the_first_snow_on_bare_ground_is_fresh_however_thin():
    old = jnp.tile(_column(OLD), (1, 2))
    got = age(old, 270.0, jnp.array([0.5, 0.0]), jnp.array([0.5 / DAY, 0.0]), DAY)
    np.testing.assert_allclose(got, np.tile(FRESH[:, None], (1, 2)), rtol=1e-13)


def test_gradients_are_those_of_finite_differences():
    @jax.jit
    def total(x):
        new = age(x[:3, None], x[3:4], x[4:5], x[5:6], 3600.0)
        return jnp.sum(new * jnp.array([1.0, 2.0, 3.0])[:, None])

    x = jnp.array([0.8, 0.5, 0.05, 268.0, 7.0, 1e-4])
    steps = np.array([1e-6, 1e-6, 1e-6, 1e-3, 1e-4, 1e-8])
    numeric = [
        (total(x + shift) - total(x - shift)) / (2 * shift.max())
        for shift in np.diag(steps)
    ]
    np.testing.assert_allclose(
        jax.jit(jax.grad(total))(x), numeric, rtol=1e-6, atol=1e-9
    )


def test_gradients_are_finite_without_snow():
    def total(a, t, m, p):
        return jnp.sum(age(a, t, m, p, 3600.0))

    slope = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)))

    for kelvin in (0.0, 273.15, 300.0):
        none = jnp.zeros(1)
        slopes = slope(_column(FRESH), jnp.array([kelvin]), none, none)
        assert all(np.isfinite(part).all() for part in slopes)
