"""Freezing and thawing: heat kept, curves held, Neumann's front, Mizoguchi's column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import LATENT_HEAT_FUSION, WATER_DENSITY, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.land.model import soil_heat
from tilth.land.model.soil_freezing import enthalpy, phase_change
from tilth.land.model.soil_water import richards
from tilth.physics.frozen_ground import neumann_solution, unfrozen_water
from tilth.physics.soil_hydraulics import VanGenuchten, texture

LAYERS = np.array([0.05, 0.20, 0.75, 1.0, 2.0, 10.0])
KANAGAWA = VanGenuchten(0.05, 0.535, 1.11, 1.48, 3.2e-6, 0.5)
CURVES = {
    "instant": "instant",
    "sand": texture("sand"),
    "clay": texture("clay"),
    "van genuchten": KANAGAWA,
}
CHANGE = {
    name: jax.jit(
        lambda temperature, water, ice, capacity, curve=curve: phase_change(
            temperature, water, ice, capacity, LAYERS, curve=curve
        )
    )
    for name, curve in CURVES.items()
}

MOST = {
    name: jax.jit(lambda temperature, curve=curve: unfrozen_water(temperature, curve))
    for name, curve in CURVES.items()
}


def ground(seed, curve, cells=30):
    """Columns of any state, a third of them within a degree of freezing."""
    rng = np.random.default_rng(seed)
    least, most = (
        (0.0, 0.45)
        if isinstance(curve, str)
        else (float(curve.least_water) + 1e-3, float(curve.saturation))
    )
    water = rng.uniform(least, most, (6, cells))
    ice = (water - least) * rng.uniform(0, 1, (6, cells))
    ice *= rng.uniform(size=ice.shape) < 0.7
    temperature = np.where(
        rng.uniform(size=ice.shape) < 0.3,
        ZERO_CELSIUS + rng.normal(0, 0.5, ice.shape),
        rng.uniform(230, 300, ice.shape),
    )
    capacity = soil_heat.heat_capacity(2e6, water, ice) * LAYERS[:, None]
    return temperature, water, ice, capacity


@pytest.mark.parametrize("name", CURVES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_freezing_and_thawing_keep_the_heat_of_every_layer(name, seed):
    curve = CURVES[name]
    temperature, water, ice, capacity = ground(seed, curve)
    before = enthalpy(temperature, ice, capacity, LAYERS)
    new, new_ice = CHANGE[name](temperature, water, ice, capacity)
    after = enthalpy(new, new_ice, capacity, LAYERS)
    # Rounding of temperatures near 273 K.
    np.testing.assert_allclose(after, before, atol=1e-13 * np.max(np.abs(before)))
    assert np.all(new_ice >= 0)
    assert np.all(new_ice <= water)


@pytest.mark.parametrize("name", ["sand", "clay", "van genuchten"])
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_liquid_lies_on_the_freezing_curve_where_there_is_ice(name, seed):
    curve = CURVES[name]
    temperature, water, ice, capacity = ground(seed, curve)
    new, new_ice = CHANGE[name](temperature, water, ice, capacity)
    most = MOST[name](new)
    liquid = water - new_ice
    np.testing.assert_allclose(
        liquid[new_ice > 0], np.minimum(most, water)[new_ice > 0], atol=2e-10
    )
    assert np.all(liquid <= most + 2e-10)


@pytest.mark.parametrize("name", CURVES)
def test_a_second_phase_change_changes_nothing(name):
    curve = CURVES[name]
    temperature, water, ice, capacity = ground(5, curve)
    once = CHANGE[name](temperature, water, ice, capacity)
    twice = CHANGE[name](once[0], water, once[1], capacity)
    np.testing.assert_allclose(twice[0], once[0], atol=1e-9)
    np.testing.assert_allclose(twice[1], once[1], atol=1e-9)


def test_a_layer_with_water_and_ice_stays_at_zero_when_all_freezes_at_once():
    water, ice = np.array([[0.3]]), np.array([[0.1]])
    capacity = np.array([[1e5]])
    thickness = np.array([0.05])
    for start in (ZERO_CELSIUS - 3.0, ZERO_CELSIUS + 3.0):
        new, new_ice = phase_change(
            np.array([[start]]), water, ice, capacity, thickness
        )
        assert float(new[0, 0]) == pytest.approx(ZERO_CELSIUS, abs=1e-12)
        # 3 K times 1e5 J freeze or melt 0.9 kg
        change = 3e5 / (LATENT_HEAT_FUSION * WATER_DENSITY * 0.05)
        sign = 1 if start < ZERO_CELSIUS else -1
        assert float(new_ice[0, 0]) == pytest.approx(0.1 + sign * change)


def test_soil_below_zero_stays_liquid_when_matric_forces_hold_its_water():
    dry = np.array([[0.1]])  # psi far below the freezing head at -0.5 degC
    soil = texture("clay")
    temperature = np.array([[ZERO_CELSIUS - 0.5]])
    new, ice = phase_change(
        temperature, dry, 0 * dry, np.array([[1e5]]), np.array([0.05]), curve=soil
    )
    assert float(ice[0, 0]) == 0.0
    assert float(new[0, 0]) == float(temperature[0, 0])
    at_once = phase_change(
        temperature, dry, 0 * dry, np.array([[1e5]]), np.array([0.05])
    )
    assert float(at_once[1][0, 0]) > 0


@pytest.mark.parametrize("name", ["sand", "van genuchten"])
def test_derivatives_follow_the_freezing_curve(name):
    curve = jax.tree.map(jnp.asarray, CURVES[name])
    capacity, thickness = jnp.array([[1.2e5]]), jnp.array([0.05])
    water, ice = jnp.array([[0.25]]), jnp.array([[0.02]])
    temperature = jnp.array([[272.0]])

    @jax.jit
    def score(temperature, water, ice, capacity, curve):
        new, new_ice = phase_change(
            temperature, water, ice, capacity, thickness, curve=curve
        )
        return jnp.sum(new) + 10 * jnp.sum(new_ice)

    inputs = (temperature, water, ice, capacity, curve)
    values, tree = jax.tree.flatten(inputs)
    slopes = jax.tree.leaves(jax.jit(jax.grad(score, tuple(range(5))))(*inputs))
    for k, slope in enumerate(slopes):
        step = 1e-5 * jnp.maximum(jnp.abs(values[k]), 1e-3)
        ends = [
            score(
                *jax.tree.unflatten(
                    tree, [v + s * step * (i == k) for i, v in enumerate(values)]
                )
            )
            for s in (1, -1)
        ]
        difference = float(jnp.sum((ends[0] - ends[1]) / (2 * step)))
        assert float(jnp.sum(slope)) == pytest.approx(difference, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", CURVES)
def test_slopes_are_finite_in_any_state(name):
    curve = CURVES[name]
    temperature, water, ice, capacity = ground(11, curve)
    ice[0], temperature[1] = 0.0, ZERO_CELSIUS
    water[2] = 0.45 if isinstance(curve, str) else curve.saturation

    def score(*inputs):
        new, new_ice = CHANGE[name](*inputs)
        return jnp.sum(new) + jnp.sum(new_ice)

    inputs = tuple(map(jnp.asarray, (temperature, water, ice, capacity)))
    for slope in jax.jit(jax.grad(score, (0, 1, 2, 3)))(*inputs):
        assert np.all(np.isfinite(slope))


def test_a_curve_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="instant"):
        phase_change(*(np.ones((1, 1)),) * 4, np.ones(1), curve="slow")


def test_the_front_of_a_column_that_freezes_at_once_is_neumanns():
    """A 5 m column at 2 cm against the half-space: depth after 10, 20 and 30 days."""
    layers, dt = 250, 150.0
    thickness = np.full(layers, 0.02)
    water, dry = 0.3, 1.3e6
    frozen_k, thawed_k = 2.2, 1.4
    surface = ZERO_CELSIUS - 10.0

    def step(_, state):
        temperature, ice = state
        capacity = soil_heat.heat_capacity(dry, water, ice) * thickness[:, None]
        k = thawed_k + (frozen_k - thawed_k) * ice / water
        between = soil_heat.layer_conductance(k, thickness)
        alpha, beta = soil_heat.response(temperature, capacity, between, dt)
        top = soil_heat.half_conductance(k[0], thickness[0])
        flux = top / (1 + top * beta) * (surface - alpha)
        temperature = soil_heat.conduct(
            temperature, capacity, between, dt, top_flux=flux
        )
        return phase_change(
            temperature, jnp.full_like(ice, water), ice, capacity, thickness
        )

    days = jax.jit(
        lambda state: jax.lax.fori_loop(0, round(10 * 86400 / dt), step, state)
    )
    state = (jnp.full((layers, 1), ZERO_CELSIUS + 4.0), jnp.zeros((layers, 1)))
    for day in (10, 20, 30):
        state = days(state)
        exact = neumann_solution(
            np.cumsum(thickness) - 0.01,
            day * 86400.0,
            surface=surface,
            initial=ZERO_CELSIUS + 4.0,
            water=water * WATER_DENSITY,
            conductivity=(frozen_k, thawed_k),
            heat_capacity=(
                float(soil_heat.heat_capacity(dry, water, water)),
                float(soil_heat.heat_capacity(dry, water, 0.0)),
            ),
        )
        depth = float(jnp.sum(state[1])) * 0.02 / water
        assert depth == pytest.approx(float(exact.depth), abs=0.01)  # half a layer
        # Layers at the front are at 0 degC from end to end; the others may be off by
        # what the front is, in a gradient of at most 10 K over 0.54 m.
        whole = (state[1][:, 0] == 0.0) | (state[1][:, 0] == water)
        assert np.count_nonzero(~whole) <= 2
        np.testing.assert_allclose(
            state[0][whole, 0], exact.temperature[whole], atol=0.01 * 10 / 0.54
        )


def freezing_column(omega, hours, *, layers=40, dt=60.0, flow=True):
    """Total water of Mizoguchi's column, means of 1 cm, after so many hours.

    Hansson et al. (2004): 20 cm of Kanagawa sandy loam at 6.7 degC with 0.33 of water,
    the top cooled by a circulating fluid of -6 degC through 28 W m-2 K-1, the other
    faces insulated; solid heat capacity 1.92 MJ m-3 K-1.
    """
    thickness = np.full(layers, 0.2 / layers)

    def step(_, state):
        temperature, water, ice = state
        solid = 1.92e6 * (1 - 0.535)
        capacity = soil_heat.heat_capacity(solid, water, ice) * thickness[:, None]
        k = soil_heat.conductivity_frozen(water, ice)
        between = soil_heat.layer_conductance(k, thickness)
        alpha, beta = soil_heat.response(temperature, capacity, between, dt)
        top = 1 / (1 / 28.0 + 1 / soil_heat.half_conductance(k[0], thickness[0]))
        flux = top / (1 + top * beta) * (ZERO_CELSIUS - 6.0 - alpha)
        temperature = soil_heat.conduct(
            temperature, capacity, between, dt, top_flux=flux
        )
        temperature, ice = phase_change(
            temperature, water, ice, capacity, thickness, curve=KANAGAWA
        )
        if flow:
            water = richards(
                water,
                ice,
                KANAGAWA,
                thickness,
                dt,
                top_flux=0.0,
                conductivity_mean="arithmetic",
                ice_impedance=omega,
            ).water
        return temperature, water, ice

    state = (
        jnp.full((layers, 1), ZERO_CELSIUS + 6.7),
        jnp.full((layers, 1), 0.33),
        jnp.zeros((layers, 1)),
    )
    run = jax.jit(lambda n, state: jax.lax.fori_loop(0, n, step, state))
    profiles, done = [], 0
    for hour in hours:
        state = run(round((hour - done) * 3600 / dt), state)
        done = hour
        profiles.append(np.asarray(state[1])[:, 0].reshape(20, -1).mean(axis=1))
    return np.stack(profiles, axis=1)


def root_mean_square(profiles, observed):
    return np.sqrt(np.mean((profiles - observed) ** 2, axis=0))


@pytest.mark.realdata
def test_water_is_drawn_to_the_frost_as_in_mizoguchis_columns(dataset):
    observed = np.loadtxt(dataset("mizoguchi-freezing") / "mizoguchiLabData.txt")
    np.testing.assert_allclose(observed[:, 0], -np.arange(5, 200, 10))  # mm
    profiles = freezing_column(7.0, (12, 24, 50))
    np.testing.assert_allclose(profiles.mean(axis=0), 0.33, rtol=1e-12)  # sealed
    error = root_mean_square(profiles, observed[:, 1:])
    assert np.all(error <= 0.03)  # measured 0.025, 0.021, 0.025
    still = freezing_column(7.0, (12, 24, 50), layers=20, flow=False)
    assert np.all(root_mean_square(still, observed[:, 1:]) > 0.035)


@pytest.mark.realdata
def test_mizoguchis_columns_need_the_impedance_of_ice(dataset):
    observed = np.loadtxt(dataset("mizoguchi-freezing") / "mizoguchiLabData.txt")
    free = freezing_column(0.0, (12, 24, 50), layers=20)
    assert np.all(root_mean_square(free, observed[:, 1:]) > 0.05)


def test_a_coarser_column_freezes_much_as_a_fine_one():
    fine = freezing_column(7.0, (24,), layers=40, dt=20.0)
    coarse = freezing_column(7.0, (24,), layers=20, dt=120.0)
    assert root_mean_square(coarse, fine)[0] < 0.01
