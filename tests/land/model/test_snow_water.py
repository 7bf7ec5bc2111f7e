"""Water in the snow: conservation, freezing on the way, and Colbeck's wave."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    HEAT_CAPACITY_ICE,
    ICE_DENSITY,
    LATENT_HEAT_FUSION,
    ZERO_CELSIUS,
)
from tilth.core.errors import InputError
from tilth.land.model.snow_heat import heat_content
from tilth.land.model.snow_water import (
    IRREDUCIBLE,
    REFREEZE_LIMIT,
    drain_layer,
    percolate,
    saturated_conductivity,
)

#: Pore space of snow of 300 kg m-3, kg of water per kg of ice.
PORES = 1000.0 * (1.0 / 300.0 - 1.0 / ICE_DENSITY)

_percolate = jax.jit(percolate, static_argnames="drain")


def _layers(low, high):
    return arrays(np.float64, (3, 2), elements=st.floats(low, high))


@pytest.mark.parametrize("drain", ["instant", "gravity"])
@settings(max_examples=60, deadline=None)
@given(_layers(0, 400), _layers(-40, 0), _layers(0, 50), st.floats(0, 100))
@example(np.full((3, 2), 2.3e-308), np.zeros((3, 2)), np.zeros((3, 2)), 1.0)
def test_percolation_keeps_water_and_heat(drain, ice, cold, liquid, inflow):
    kelvin = ZERO_CELSIUS + cold
    rain = np.array([inflow, 0.0])
    got = _percolate(ice, kelvin, liquid, rain, 3600.0, drain=drain)
    before = (ice + liquid).sum(axis=0) + rain
    after = (got.ice + got.liquid).sum(axis=0) + got.outflow
    np.testing.assert_allclose(after, before, rtol=1e-14, atol=1e-100)
    np.testing.assert_allclose(
        heat_content(got.ice, got.temperature).sum(axis=0),
        heat_content(ice, kelvin).sum(axis=0),
        rtol=1e-13,
        atol=1e-90,
    )
    assert float(jnp.max(got.temperature)) <= ZERO_CELSIUS + 1e-12
    assert float(jnp.min(got.liquid)) >= 0.0
    assert float(jnp.min(got.outflow)) >= 0.0


def test_cold_snow_freezes_water_until_it_is_at_the_melting_point():
    # 50 kg at -2 K can freeze 50 * 2 * 2097 / 333700 = 0.628 kg.
    ice, kelvin, dry = np.full((1, 1), 50.0), np.full((1, 1), 271.15), np.zeros((1, 1))
    most = 50.0 * 2.0 * HEAT_CAPACITY_ICE / LATENT_HEAT_FUSION
    got = percolate(ice, kelvin, dry, np.array([1.0]), 3600.0)
    assert float(got.frozen[0]) == pytest.approx(most)
    assert float(got.temperature[0, 0]) == pytest.approx(ZERO_CELSIUS, abs=1e-12)
    assert float(got.outflow[0]) == pytest.approx(1.0 - most)


def test_little_water_warms_the_snow_by_the_heat_it_frees():
    ice, kelvin, dry = np.full((1, 1), 50.0), np.full((1, 1), 261.15), np.zeros((1, 1))
    got = percolate(ice, kelvin, dry, np.array([0.5]), 3600.0)
    # Takata et al.: [L Fr + c (T S + T0 Fr)] / [c (S + Fr)].
    expected = 0.5 * LATENT_HEAT_FUSION + HEAT_CAPACITY_ICE * (
        261.15 * 50.0 + ZERO_CELSIUS * 0.5
    )
    expected /= HEAT_CAPACITY_ICE * 50.5
    assert float(got.temperature[0, 0]) == pytest.approx(expected, rel=1e-13)
    assert float(got.outflow[0]) == 0.0


def test_no_more_than_a_tenth_of_the_ice_freezes_in_a_step():
    ice, kelvin, dry = np.full((1, 1), 10.0), np.full((1, 1), 223.15), np.zeros((1, 1))
    got = percolate(ice, kelvin, dry, np.array([5.0]), 3600.0)
    assert float(got.frozen[0]) == pytest.approx(REFREEZE_LIMIT * 10.0)
    assert float(got.outflow[0]) == pytest.approx(4.0)


def test_capillarity_holds_water_that_gravity_does_not_drain():
    bound = IRREDUCIBLE * PORES * 100.0
    assert float(drain_layer(0.7 * bound, 100.0, 1e9)) == pytest.approx(0.7 * bound)
    # After long enough only the bound water is left; the last drains as t^(-1/2).
    assert float(drain_layer(5 * bound, 100.0, 1e12)) == pytest.approx(bound, rel=1e-3)
    assert float(drain_layer(5 * bound, 0.0, 1.0)) == 0.0


def test_pores_cannot_hold_more_than_their_space():
    full = PORES * 100.0
    assert float(drain_layer(3.0 * full, 100.0, 1e-9)) == pytest.approx(full)


def test_flux_out_of_a_layer_is_the_cube_of_its_mobile_saturation():
    ice, dt = 60.0, 300.0
    pores = PORES * ice
    water = 0.4 * pores
    left = float(drain_layer(water, ice, dt))
    share = (left - IRREDUCIBLE * pores) / ((1.0 - IRREDUCIBLE) * pores)
    flux = 1000.0 * saturated_conductivity() * share**3
    assert (water - left) / dt == pytest.approx(flux, rel=1e-12)


def test_an_unknown_way_to_drain_is_refused_with_the_known_ones():
    one = np.ones((1, 1))
    with pytest.raises(InputError, match=r"instant.*gravity"):
        percolate(one, one, one, np.ones(1), 1.0, drain="slow")


# Colbeck's (1976) wave: 1 m of ripe snow, rain of 1e-5 m/s for 3 h.
RAIN, RAIN_ENDS, DEPTH = 1e-5, 3 * 3600.0, 1.0


def _wave(time, depth):
    """Kinematic solution: a shock, a plateau, and the recession after the rain."""
    conductivity = saturated_conductivity(2e-3, 300.0)
    pores = (1.0 - 300.0 / ICE_DENSITY) * (1.0 - IRREDUCIBLE)
    share = (RAIN / conductivity) ** (1 / 3)
    shock = depth * pores * share / RAIN
    fastest = depth * pores * share / (3.0 * RAIN)
    since = np.maximum(time - RAIN_ENDS, 1e-9)
    fan = conductivity * (depth * pores / (3.0 * conductivity * since)) ** 1.5
    flux = np.where(time < shock, 0.0, RAIN)
    return np.where(time > RAIN_ENDS + fastest, fan, flux), shock


def _simulate(layers, dt):
    ice = jnp.full((layers, 1), 300.0 * DEPTH / layers)
    kelvin = jnp.full((layers, 1), ZERO_CELSIUS)
    ripe = IRREDUCIBLE * PORES * ice
    time = (np.arange(int(8 * 3600 / dt)) + 0.5) * dt

    def step(liquid, rain):
        got = percolate(ice, kelvin, liquid, rain * jnp.ones(1), dt, drain="gravity")
        return got.liquid, got.outflow[0]

    rain = np.where(time < RAIN_ENDS, RAIN * 1000.0 * dt, 0.0)
    liquid, out = jax.jit(lambda x, y: jax.lax.scan(step, x, y))(ripe, rain)
    return time, np.asarray(out) / (1000.0 * dt), np.asarray(liquid - ripe).sum()


@pytest.mark.parametrize(("layers", "dt"), [(100, 6.0)])
def test_rain_on_ripe_snow_runs_out_as_in_colbecks_solution(layers, dt):
    time, out, stored = _simulate(layers, dt)
    exact, shock = _wave(time, DEPTH)
    assert shock == pytest.approx(2471.0, abs=1.0)  # 41 min after the rain begins
    arrival = time[np.argmax(out > RAIN / 2)]
    assert arrival == pytest.approx(shock, rel=0.005)
    # Area between the curves against the rain: 0.0056.
    assert np.abs(out - exact).sum() * dt < 0.008 * RAIN * RAIN_ENDS
    # The recession is late by the half layer that the mean saturation lags: 2.5 %.
    late = time > RAIN_ENDS + 3600.0
    np.testing.assert_allclose(out[late], exact[late], rtol=0.026)
    total = out.sum() * dt * 1000.0 + stored
    assert total == pytest.approx(RAIN * RAIN_ENDS * 1000.0, rel=1e-13)


def test_the_wave_gets_sharper_with_finer_layers():
    errors = []
    for layers, dt in ((25, 24.0), (50, 12.0), (100, 6.0), (200, 3.0)):
        time, out, _ = _simulate(layers, dt)
        errors.append(np.abs(out - _wave(time, DEPTH)[0]).sum() * dt)
    order = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    # First order but for the shock and the corners of the curve.
    assert (order > 0.7).all()


@jax.jit
def _kept(x):
    got = percolate(
        x[None, :1],
        x[None, 1:2],
        x[None, 2:3],
        x[3:4],
        600.0,
        drain="gravity",
        irreducible=x[4],
    )
    return (
        jnp.sum(got.liquid) + 0.1 * jnp.sum(got.temperature) + jnp.sum(got.outflow**2)
    )


_slopes = jax.jit(jax.grad(_kept))


@pytest.mark.parametrize("kelvin", [272.0, 260.0])
def test_gradients_are_those_of_finite_differences(kelvin):
    x = np.array([40.0, kelvin, 6.0, 3.0, 0.05])
    steps = np.array([1e-4, 1e-4, 1e-5, 1e-5, 1e-7])
    numeric = [
        (_kept(x + shift) - _kept(x - shift)) / (2 * shift.max())
        for shift in np.diag(steps)
    ]
    np.testing.assert_allclose(_slopes(x), numeric, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize(
    "x",
    [
        [0.0, 273.15, 0.0, 0.0, 0.07],  # nothing at all
        [0.0, 273.15, 0.0, 2.0, 0.07],  # rain on no snow
        [50.0, 273.15, 0.0, 0.0, 0.07],  # ripe and dry
        [1e-12, 250.0, 1e-13, 0.0, 0.07],
        [50.0, 250.0, 200.0, 0.0, 0.07],  # more water than pores
    ],
)
def test_gradients_are_finite_in_the_corners(x):
    assert np.isfinite(_slopes(np.array(x))).all()
