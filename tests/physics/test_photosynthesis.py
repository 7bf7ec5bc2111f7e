"""Photosynthesis: hand-worked numbers, limits, monotone responses and slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.physics import photosynthesis as ph

#: Broadleaf trees and C4 grass of SiB2 (Sellers et al. 1996, part II).
C3 = {
    "quantum_efficiency": 0.08,
    "half_heat": 313.0,
    "half_cold": 288.0,
    "is_c4": False,
}
C4 = {"quantum_efficiency": 0.05, "half_heat": 313.0, "half_cold": 288.0, "is_c4": True}


def test_rubisco_at_298_kelvin_has_the_constants_of_collatz():
    # Collatz et al. (1991): Kc 30 Pa, Ko 30 kPa, S 2600, O2 20.9 kPa.
    kinetics = ph.rubisco_kinetics(298.0, 1e5)
    assert float(kinetics.michaelis) == pytest.approx(30 * (1 + 20.9 / 30), rel=1e-12)
    assert float(kinetics.compensation) == pytest.approx(0.5 * 20900 / 2600, rel=1e-12)


def test_ten_kelvin_change_the_rates_by_their_q10():
    cold, warm = (ph.rubisco_kinetics(t, 1e5) for t in (288.0, 298.0))
    ratio = float(warm.compensation) / float(cold.compensation)
    assert ratio == pytest.approx(1 / 0.57, rel=1e-12)
    oxygen = 20900.0
    expected = (2.1 * (1 + oxygen / 30000)) / (1 + oxygen / 25000)
    assert float(warm.michaelis) / float(cold.michaelis) == pytest.approx(expected)


def test_limits_of_a_c3_leaf_worked_by_hand_at_298_kelvin():
    leaf = ph.biochemistry(298.0, 1e5, 1e-3, 1e-4, **C3)
    heat, cold = 1 / (1 + np.exp(0.3 * -15)), 1 / (1 + np.exp(0.2 * -10))
    assert float(leaf.rubisco) == pytest.approx(1e-4 * heat, rel=1e-12)
    assert float(leaf.light) == pytest.approx(8e-5, rel=1e-12)
    assert float(leaf.sink) == pytest.approx(5e-5 * cold, rel=1e-12)
    dark = 0.015e-4 / (1 + np.exp(1.3 * -30))
    assert float(leaf.respiration) == pytest.approx(dark, rel=1e-12)


def test_limits_of_a_c4_leaf_worked_by_hand_at_298_kelvin():
    leaf = ph.biochemistry(298.0, 1e5, 1e-3, 3e-5, **C4)
    heat, cold = 1 / (1 + np.exp(0.3 * -15)), 1 / (1 + np.exp(0.2 * -10))
    assert float(leaf.rubisco) == pytest.approx(3e-5 * heat * cold, rel=1e-12)
    assert float(leaf.light) == pytest.approx(5e-5, rel=1e-12)
    # The printed form of the CO2 limit, V ci/5 with ci in Pa, holds at 1e5 Pa.
    assert float(leaf.sink) == pytest.approx(3e-5 / 5, rel=1e-12)
    assert float(leaf.respiration) == pytest.approx(0.025 * 3e-5, rel=1e-8)


def test_the_co2_limit_of_a_c4_leaf_depends_on_the_mole_fraction_not_the_pressure():
    low = ph.biochemistry(298.0, 5e4, 1.0, 3e-5, **C4)
    high = ph.biochemistry(298.0, 1e5, 1.0, 3e-5, **C4)
    few = ph.gross_assimilation(10e-6 * 5e4, low)
    assert float(few) == pytest.approx(float(ph.gross_assimilation(1.0, high)))


@settings(max_examples=150, deadline=None)
@given(
    a=st.floats(0.0, 1e-3),
    b=st.floats(0.0, 1e-3),
    theta=st.floats(0.05, 1.0),
)
def test_the_smooth_minimum_solves_its_quadratic_from_below(a, b, theta):
    x = float(ph.smooth_minimum(a, b, theta))
    assert abs(theta * x * x - (a + b) * x + a * b) <= 1e-15 * (a + b) ** 2 + 1e-30
    assert 0.0 <= x <= min(a, b) * (1 + 1e-12)
    # The root below both, not the one above: it falls to ab/(a + b) as theta does.
    if a + b > 0:
        assert x >= a * b / (a + b) * (1 - 1e-12) - 1e-60


def test_the_smooth_minimum_passes_through_zero_without_a_jump():
    a = jnp.linspace(-1e-9, 1e-9, 5)
    slope = jax.vmap(jax.grad(ph.smooth_minimum), (0, None, None))(a, 1.0, 0.95)
    np.testing.assert_allclose(slope, 1.0, atol=1e-8)
    assert float(ph.smooth_minimum(0.0, 0.0, 0.95)) == 0.0
    # Numpy's roots for a negative limit: the smaller one.
    for first, second in [(-3.0, 1.0), (-1.0, 3.0), (-2.0, 0.0)]:
        roots = np.roots([0.95, -(first + second), first * second])
        assert float(ph.smooth_minimum(first, second, 0.95)) == pytest.approx(
            roots.min()
        )


def test_a_leaf_in_strong_light_and_co2_is_limited_by_its_sink():
    leaf = ph.biochemistry(298.0, 1e5, 10.0, 1e-4, **C3)
    rate = float(ph.gross_assimilation(1e6, leaf))
    # Rubisco at full speed, co-limited with the sink at 0.95.
    roots = np.roots([0.95, -float(leaf.rubisco + leaf.sink), leaf.rubisco * leaf.sink])
    assert rate == pytest.approx(roots.min(), rel=1e-3)


def test_a_leaf_in_weak_light_fixes_its_quantum_yield():
    for kind in (C3, C4):
        leaf = ph.biochemistry(298.0, 1e5, 1e-8, 1e-4, **kind)
        rate = float(ph.gross_assimilation(40.0, leaf)) / 1e-8
        gamma = float(leaf.compensation)
        loss = 1.0 if kind["is_c4"] else (40 - gamma) / (40 + 2 * gamma)
        assert rate == pytest.approx(kind["quantum_efficiency"] * loss, rel=1e-3)


def test_gross_uptake_is_zero_at_the_compensation_point_and_in_the_dark():
    leaf = ph.biochemistry(295.0, 9e4, 8e-4, 8e-5, **C3)
    assert float(ph.gross_assimilation(leaf.compensation, leaf)) == 0.0
    assert float(ph.gross_assimilation(0.0, leaf)) < 0.0
    for kind in (C3, C4):
        dark = ph.biochemistry(295.0, 9e4, 0.0, 8e-5, **kind)
        assert float(ph.gross_assimilation(30.0, dark)) == 0.0
        net = float(ph.net_assimilation(30.0, dark))
        assert net == -float(dark.respiration) < 0.0


def test_rates_scale_with_capacity_and_light_together():
    one = ph.biochemistry(300.0, 9e4, 4e-4, 5e-5, **C3)
    two = ph.biochemistry(300.0, 9e4, 8e-4, 1e-4, **C3)
    ratio = ph.net_assimilation(25.0, two) / ph.net_assimilation(25.0, one)
    assert float(ratio) == pytest.approx(2.0, rel=1e-12)


def rate(ci, temperature, pressure, light, capacity, is_c4):
    leaf = ph.biochemistry(
        temperature,
        pressure,
        light,
        capacity,
        quantum_efficiency=0.07,
        half_heat=309.0,
        half_cold=283.0,
        is_c4=is_c4,
    )
    return ph.net_assimilation(ci, leaf)


RATE = jax.jit(rate)
SLOPES = jax.jit(jax.grad(rate, argnums=(0, 1, 2, 3, 4)))
ANY = {
    "ci": st.floats(0.0, 500.0),
    "t": st.floats(150.0, 400.0),
    "p": st.floats(3e4, 1.1e5),
    "light": st.floats(0.0, 3e-3),
    "capacity": st.floats(0.0, 3e-4),
    "is_c4": st.booleans(),
}


@settings(max_examples=150, deadline=None)
@given(**ANY)
def test_rates_and_their_slopes_are_numbers_and_rise_with_co2_light_and_capacity(
    ci, t, p, light, capacity, is_c4
):
    here = float(RATE(ci, t, p, light, capacity, is_c4))
    assert np.isfinite(here)
    assert np.all(np.isfinite(SLOPES(ci, t, p, light, capacity, is_c4)))
    rounding = 1e-12 * (abs(here) + capacity + light)
    assert float(RATE(ci + 1.0, t, p, light, capacity, is_c4)) >= here - rounding
    gamma = float(ph.rubisco_kinetics(t, p).compensation)
    if is_c4 or ci > gamma:
        assert float(RATE(ci, t, p, light + 1e-5, capacity, is_c4)) >= here - rounding


@settings(max_examples=60, deadline=None)
@given(t=st.floats(-1e5, 1e5), is_c4=st.booleans())
def test_any_finite_temperature_gives_a_finite_rate(t, is_c4):
    assert np.isfinite(RATE(25.0, t, 1e5, 1e-3, 1e-4, is_c4))
    assert np.all(np.isfinite(SLOPES(25.0, t, 1e5, 1e-3, 1e-4, is_c4)))


@pytest.mark.parametrize("is_c4", [False, True])
@pytest.mark.parametrize("light", [5e-5, 1.5e-3])
@pytest.mark.parametrize("ci", [2.0, 12.0, 30.0])
def test_slopes_are_those_of_finite_differences_in_every_argument(is_c4, light, ci):
    point = [ci, 296.0, 9e4, light, 7e-5]
    slopes = SLOPES(*point, is_c4)
    for i, value in enumerate(point):
        step = 1e-5 * value
        ahead, behind = list(point), list(point)
        ahead[i], behind[i] = value + step, value - step
        numeric = (RATE(*ahead, is_c4) - RATE(*behind, is_c4)) / (2 * step)
        assert float(slopes[i]) == pytest.approx(float(numeric), rel=2e-6, abs=1e-15)


def test_photosynthesis_peaks_between_cold_and_heat_and_respiration_later():
    t = jnp.linspace(265.0, 330.0, 66)
    for is_c4 in (False, True):
        net = jax.vmap(lambda x, c4=is_c4: rate(25.0, x, 1e5, 1.5e-3, 8e-5, c4))(t)
        best = float(t[int(np.argmax(net))])
        assert 288.0 < best < 312.0
        assert float(net[0]) < 0.2 * float(net.max())
