import dataclasses

import numpy as np
import pytest

from tilth.core.accelerate import jnp
from tilth.core.constants import LATENT_HEAT_FUSION, WATER_DENSITY
from tilth.land.model.ledger import close, stored_heat_change, stored_water
from tilth.land.model.state import LAYERS

THICKNESS = jnp.asarray(LAYERS)


def books(state, after, **changes):
    terms = {
        "thickness": THICKNESS,
        "heat_capacity": jnp.full(state.soil_water.shape, 1e5),
        "time_step": 1000.0,
        "surface_residuals": jnp.zeros((4, 4)),
        "heat_gain": jnp.zeros(4),
        "water_gain": jnp.zeros(4),
        **changes,
    }
    return close(state, after, **terms)


def test_nothing_done_leaves_nothing_open(land):
    _, state = land.columns()
    result = books(state, state)
    for residual in result:
        np.testing.assert_array_equal(residual, 0.0)


@pytest.mark.parametrize(
    ("name", "amount"),
    [("snow_mass", 1.0), ("canopy_water", 1.0), ("wetland", 1.0)],
)
def test_water_that_appears_is_found(land, name, amount):
    _, state = land.columns()
    after = dataclasses.replace(state, **{name: getattr(state, name) + amount})
    residual = books(state, after).water * stored_water(after, THICKNESS)
    np.testing.assert_allclose(residual, amount, rtol=1e-9)
    paid = books(state, after, water_gain=jnp.full(4, amount / 1000.0))
    np.testing.assert_allclose(paid.water, 0.0, atol=1e-15)


def test_water_in_the_soil_counts_by_its_layers(land):
    _, state = land.columns()
    wetter = state.soil_water.at[2].add(0.01)
    after = dataclasses.replace(state, soil_water=wetter)
    gained = stored_water(after, THICKNESS) - stored_water(state, THICKNESS)
    np.testing.assert_allclose(gained, 0.01 * 0.75 * WATER_DENSITY, rtol=1e-9)


def test_heat_that_appears_is_found(land):
    _, state = land.columns()
    after = dataclasses.replace(state, soil_temperature=state.soil_temperature + 0.01)
    result = books(state, after)
    np.testing.assert_allclose(result.energy, -6.0 * 1e5 * 0.01 / 1000.0, rtol=1e-6)
    paid = books(state, after, heat_gain=jnp.full(4, 6.0))
    np.testing.assert_allclose(paid.energy, 0.0, atol=1e-6)


def test_freezing_frees_heat_in_soil_and_on_leaves(land):
    _, state = land.columns()
    after = dataclasses.replace(
        state,
        soil_ice=state.soil_ice.at[0].add(0.02),
        canopy_ice=state.canopy_ice + 0.1,
    )
    capacity = jnp.full(state.soil_water.shape, 1e5)
    heat = stored_heat_change(state, after, capacity, THICKNESS)
    ice = 0.02 * LAYERS[0] * WATER_DENSITY + 0.1
    np.testing.assert_allclose(heat, -LATENT_HEAT_FUSION * ice, rtol=1e-9)


def test_the_largest_surface_residual_is_shown_whatever_its_sign(land):
    _, state = land.columns()
    residuals = jnp.array([[0.1], [-3.0], [2.0], [0.0]]) * jnp.ones((4, 4))
    assert np.all(books(state, state, surface_residuals=residuals).surface == 3.0)
