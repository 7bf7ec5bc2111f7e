"""Heat in the snow: exact complementarity, analytic conduction, melt and frost."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import HEAT_CAPACITY_ICE, LATENT_HEAT_FUSION, ZERO_CELSIUS
from tilth.land.model.snow_heat import (
    CONDUCTIVITY,
    DENSITY,
    heat_content,
    surface_conductance,
)
from tilth.land.model.snow_heat import conduct as eager_conduct
from tilth.land.model.snow_heat import melt as eager_melt
from tilth.land.model.snow_heat import response as eager_response
from tilth.land.model.snow_heat import sublimate as eager_sublimate
from tilth.land.model.snow_layers import masses

conduct, response = jax.jit(eager_conduct), jax.jit(eager_response)
melt, sublimate = jax.jit(eager_melt), jax.jit(eager_sublimate)

N = 4
SNOW = arrays(np.float64, (N,), elements=st.one_of(st.just(0.0), st.floats(1e-9, 900)))
COLD = arrays(np.float64, (3, N), elements=st.floats(-30.0, 0.0))
FLUX = arrays(np.float64, (N,), elements=st.floats(-400.0, 400.0))
GROUND = arrays(np.float64, (N,), elements=st.floats(255.0, 285.0))


def _matrix(ice, dt, conductance):
    """Dense matrix of one column of snow and its link to the ground."""
    present = [k for k in range(3) if k == 0 or ice[k] > 0]
    half = ice / (2 * CONDUCTIVITY * DENSITY)
    matrix = np.diag(HEAT_CAPACITY_ICE * ice / dt)
    for k, j in itertools.pairwise(present):
        link = 1 / (half[k] + half[j])
        matrix[k, k] += link
        matrix[j, j] += link
        matrix[k, j] -= link
        matrix[j, k] -= link
    last = present[-1]
    below = np.zeros(3)
    below[last] = 1 / (half[last] + 1 / conductance)
    matrix[last, last] += below[last]
    return matrix, below, present


@settings(max_examples=80, deadline=None)
@given(SNOW, COLD, FLUX, GROUND, st.floats(1.0, 60.0), st.sampled_from([60.0, 3600.0]))
def test_the_layers_solve_the_problem_with_its_bound(
    snow, cold, flux, ground, conductance, dt
):
    ice = np.asarray(masses(snow))
    got = conduct(
        ZERO_CELSIUS + cold,
        ice,
        dt,
        top_flux=flux,
        ground_temperature=ground,
        ground_conductance=conductance,
    )
    degrees = np.asarray(got.temperature) - ZERO_CELSIUS
    left = np.asarray(got.melt_power)
    assert (degrees <= 1e-13).all()
    assert (left >= 0.0).all()
    assert (left * degrees == 0.0).all()
    for n in range(N):
        matrix, below, present = _matrix(ice[:, n], dt, conductance)
        source = HEAT_CAPACITY_ICE * ice[:, n] * cold[:, n] / dt
        source += below * (ground[n] - ZERO_CELSIUS)
        source[0] += flux[n]
        residual = source - matrix @ degrees[:, n] - left[:, n]
        # Temperatures near 273 K are rounded to 6e-14 K.
        rounding = 2e-13 * np.abs(matrix).max() + 1e-14 * np.abs(source).max()
        assert np.abs(residual[present]).max() <= rounding


@settings(max_examples=80, deadline=None)
@given(SNOW, COLD, FLUX, GROUND, st.floats(1.0, 60.0))
def test_no_heat_is_lost_in_conduction(snow, cold, flux, ground, conductance):
    ice = np.asarray(masses(snow))
    got = conduct(
        ZERO_CELSIUS + cold,
        ice,
        1800.0,
        top_flux=flux,
        ground_temperature=ground,
        ground_conductance=conductance,
    )
    change = HEAT_CAPACITY_ICE * ice * (got.temperature - ZERO_CELSIUS - cold) / 1800.0
    gone = got.bottom_flux + got.melt_power.sum(axis=0)
    scale = HEAT_CAPACITY_ICE * snow * 30 / 1800.0 + 60.0 * 30.0 + 400.0
    assert (np.abs(flux - gone - change.sum(axis=0)) <= 1e-11 * scale).all()


@pytest.mark.parametrize("snow", [0.0, 5.0, 30.0, 200.0])
def test_top_layer_answers_a_flux_as_its_response_says(snow):
    ice = masses(jnp.full(5, snow))
    cold = ZERO_CELSIUS - np.array([[20.0], [10.0], [5.0]]) * np.ones((3, 5))
    ground = {"ground_temperature": jnp.full(5, 268.0), "ground_conductance": 12.0}
    alpha, beta = response(cold, ice, 1800.0, **ground)
    flux = np.array([-100.0, -50.0, 0.0, 5.0, 20.0])
    got = conduct(cold, ice, 1800.0, top_flux=flux, **ground)
    np.testing.assert_allclose(got.temperature[0], alpha + beta * flux, rtol=1e-13)


def test_without_snow_the_flux_passes_into_the_ground():
    none = jnp.zeros((3, 2))
    got = conduct(
        jnp.full((3, 2), ZERO_CELSIUS),
        none,
        1800.0,
        top_flux=jnp.array([80.0, -30.0]),
        ground_temperature=jnp.array([275.0, 265.0]),
        ground_conductance=10.0,
    )
    into = got.bottom_flux + got.melt_power.sum(axis=0)
    np.testing.assert_allclose(into, [80.0, -30.0], rtol=1e-13)


def test_a_steady_flux_meets_the_resistances_in_series():
    snow, flux = 400.0, -15.0
    ice = masses(jnp.array([snow]))
    got = conduct(
        jnp.full((3, 1), 265.0),
        ice,
        1e18,
        top_flux=jnp.array([flux]),
        ground_temperature=jnp.array([270.0]),
        ground_conductance=8.0,
    )
    thick = np.asarray(ice)[:, 0] / DENSITY
    middle = thick.sum() - (np.cumsum(thick) - thick / 2)  # height of the middles
    expected = 270.0 + flux * (1 / 8.0 + middle / CONDUCTIVITY)
    np.testing.assert_allclose(got.temperature[:, 0], expected, rtol=1e-9)
    surface = 1 / float(surface_conductance(ice)[0])
    assert surface == pytest.approx(thick[0] / 2 / CONDUCTIVITY)


def test_deep_snow_cools_like_a_half_space_under_a_constant_flux():
    # Carslaw & Jaeger (1959) 2.9: T(0, t) = T0 + 2 F sqrt(t / (pi k rho c)).
    layers, flux, dt, hours = 14, -20.0, 60.0, 2
    ice = jnp.full((layers, 1), 3.0)  # 1 cm each
    kelvin = jnp.full((layers, 1), 268.0)

    def step(state, _):
        got = eager_conduct(
            state,
            ice,
            dt,
            top_flux=jnp.array([flux]),
            ground_temperature=jnp.array([268.0]),
            ground_conductance=1e-9,
        )
        return got.temperature, None

    steps = int(hours * 3600 / dt)
    run = jax.jit(lambda x: jax.lax.scan(step, x, length=steps)[0])
    top = run(kelvin)[0, 0] + flux * 0.005 / CONDUCTIVITY
    inertia = CONDUCTIVITY * DENSITY * HEAT_CAPACITY_ICE
    expected = 2 * flux * np.sqrt(hours * 3600 / (np.pi * inertia))
    assert float(top) - 268.0 == pytest.approx(expected, rel=0.01)


def test_thin_snow_on_warm_ground_melts_at_the_rate_the_ground_supplies():
    # 1 kg m-2 at the melting point over ground at 5 degC behind 20 W m-2 K-1.
    got = conduct(
        jnp.full((3, 1), ZERO_CELSIUS),
        masses(jnp.array([1.0])),
        3600.0,
        top_flux=jnp.zeros(1),
        ground_temperature=jnp.array([ZERO_CELSIUS + 5.0]),
        ground_conductance=20.0,
    )
    supply = 5.0 / (1 / 20.0 + 1.0 / (2 * CONDUCTIVITY * DENSITY))
    assert float(got.melt_power[0, 0]) == pytest.approx(supply, rel=1e-12)
    assert float(got.bottom_flux[0]) == pytest.approx(-supply, rel=1e-12)


def test_warm_ground_melts_the_lowest_layer_of_cold_snow():
    # Holding the top layer only, as the first MATSIRO does, would warm the lowest
    # layer past the melting point and so draw too little heat from the ground.
    got = conduct(
        jnp.array([[265.0], [270.0], [273.0]]),
        masses(jnp.array([80.0])),
        3600.0,
        top_flux=jnp.array([-10.0]),
        ground_temperature=jnp.array([280.0]),
        ground_conductance=30.0,
    )
    assert float(got.temperature[2, 0]) == ZERO_CELSIUS
    assert float(got.melt_power[2, 0]) > 0.0
    assert float(got.temperature[0, 0]) < 266.0


HEAT = arrays(np.float64, (3, N), elements=st.floats(0.0, 5e7))


@settings(max_examples=80, deadline=None)
@given(SNOW, COLD, HEAT)
def test_melting_keeps_heat_and_leaves_surplus_only_without_ice(snow, cold, heat):
    ice, kelvin = np.asarray(masses(snow)), ZERO_CELSIUS + cold
    got = melt(ice, kelvin, heat)
    before = heat_content(ice, kelvin).sum(axis=0) + heat.sum(axis=0)
    after = heat_content(got.ice, kelvin).sum(axis=0) + got.surplus
    scale = LATENT_HEAT_FUSION * snow + heat.sum(axis=0)
    assert (np.abs(after - before) <= 1e-13 * scale + 1e-100).all()
    np.testing.assert_allclose(got.ice + got.melted, ice, rtol=1e-15, atol=1e-100)
    left = np.asarray(got.ice)
    assert (left >= 0.0).all()
    # Surplus passes downwards only: the layer it leaves behind is gone for good.
    assert (left[:, np.asarray(got.surplus) > 0.0][2] == 0.0).all()


def test_melt_goes_from_the_top_down_and_ends_at_exactly_zero():
    ice = jnp.array([[20.0] * 2, [30.0] * 2, [0.0] * 2])
    kelvin = jnp.full((3, 2), ZERO_CELSIUS)
    heat = jnp.zeros((3, 2)).at[0].set(jnp.array([25.0, 70.0]) * LATENT_HEAT_FUSION)
    got = melt(ice, kelvin, heat)
    np.testing.assert_allclose(got.ice[:, 0], [0.0, 25.0, 0.0], rtol=1e-14)
    np.testing.assert_array_equal(got.ice[:, 1], [0.0, 0.0, 0.0])
    np.testing.assert_allclose(
        got.surplus, [0.0, 20.0 * LATENT_HEAT_FUSION], rtol=1e-13
    )


def test_cold_ice_costs_its_warming_too():
    heat = jnp.zeros((3, 1)).at[0].set(1e6)
    got = melt(jnp.full((3, 1), 10.0), jnp.full((3, 1), 253.15), heat)
    price = LATENT_HEAT_FUSION + 20.0 * HEAT_CAPACITY_ICE
    assert float(got.melted[0, 0]) == pytest.approx(1e6 / price)


AMOUNT = arrays(np.float64, (N,), elements=st.floats(-20.0, 300.0))


@settings(max_examples=80, deadline=None)
@given(SNOW, COLD, AMOUNT)
def test_sublimation_takes_ice_and_its_heat_from_the_top(snow, cold, amount):
    ice, kelvin = np.asarray(masses(snow)), ZERO_CELSIUS + cold
    got = sublimate(ice, kelvin, amount)
    lost = np.minimum(amount, ice.sum(axis=0))
    np.testing.assert_allclose(got.lost, lost, rtol=1e-13, atol=1e-12)
    gone = ice - got.ice
    np.testing.assert_allclose(gone.sum(axis=0), got.lost, rtol=1e-13, atol=1e-12)
    expected = heat_content(gone, kelvin).sum(axis=0)
    np.testing.assert_allclose(got.heat, expected, rtol=1e-12, atol=1e-5)
    assert (np.asarray(got.ice) >= 0.0).all()
    # A layer is touched only when all above it is gone.
    touched = gone[1:] > 0.0
    assert (np.asarray(got.ice)[:-1][touched] == 0.0).all()


@jax.jit
def _melted(x):
    got = eager_conduct(
        x[:3, None],
        x[3:6, None],
        1800.0,
        top_flux=x[6:7],
        ground_temperature=x[7:8],
        ground_conductance=x[8:9],
        conductivity=x[9],
    )
    thaw = eager_melt(x[3:6, None], got.temperature, got.melt_power * 1800.0)
    weights = jnp.array([1.0, 2.0, 3.0])
    return (
        weights @ got.temperature[:, 0]
        + got.bottom_flux[0]
        + weights @ thaw.ice[:, 0]
        + 1e-5 * thaw.surplus[0]
    )


_slopes = jax.jit(jax.grad(_melted))


@pytest.mark.parametrize(
    ("flux", "ground"), [(-50.0, 270.0), (200.0, 270.0), (-50.0, 283.0), (2e4, 280.0)]
)
def test_gradients_are_those_of_finite_differences(flux, ground):
    x = np.array([268.0, 270.0, 272.0, 20.0, 25.0, 30.0, flux, ground, 15.0, 0.3])
    steps = np.array([1e-4] * 3 + [1e-4] * 3 + [1e-3, 1e-4, 1e-4, 1e-6])
    numeric = [
        (_melted(x + shift) - _melted(x - shift)) / (2 * shift.max())
        for shift in np.diag(steps)
    ]
    np.testing.assert_allclose(_slopes(x), numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ice", [(0, 0, 0), (1e-9, 0, 0), (5, 0, 0), (10, 10, 0)])
@pytest.mark.parametrize("ground", [265.0, ZERO_CELSIUS, 280.0])
def test_gradients_are_finite_without_snow_and_with_few_layers(ice, ground):
    x = [ZERO_CELSIUS] * 3 + [float(part) for part in ice]
    assert np.isfinite(_slopes(np.array([*x, 0.0, ground, 15.0, 0.3]))).all()
