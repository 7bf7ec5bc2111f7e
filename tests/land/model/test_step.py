import dataclasses

import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.land.model.settings import Settings
from tilth.land.model.state import names
from tilth.land.model.surface import root_fraction

CHOICES = [
    Settings(),
    Settings(soil_freezing="curve", stomata="medlyn"),
    Settings(snow_cover="ssnowd", snow_drain="gravity"),
]
CROP, CONIFER, TUNDRA, GRASS = range(4)


@pytest.mark.parametrize("settings", CHOICES)
def test_heat_and_water_close_in_every_step(two_days, settings):
    """Rain, snow, melt, frost, dew, wetlands and four kinds of plants."""
    _, _, fluxes = two_days(settings)
    assert float(jnp.max(fluxes.ledger.surface)) < 1e-6
    assert float(jnp.max(jnp.abs(fluxes.ledger.energy))) < 1e-6
    assert float(jnp.max(jnp.abs(fluxes.ledger.water))) < 1e-9


@pytest.mark.parametrize("settings", CHOICES)
def test_states_stay_within_their_bounds(two_days, land, settings):
    parameters, _ = land.columns(settings)
    _, states, _ = two_days(settings)
    for name in names():
        assert np.all(np.isfinite(getattr(states, name))), name
    assert np.all(states.soil_ice >= 0.0)
    assert np.all(states.soil_water >= states.soil_ice)
    assert np.all(states.soil_water <= parameters.saturation + 1e-12)
    assert np.all((states.snow_cover >= 0.0) & (states.snow_cover <= 1.0))
    assert np.all(states.snow_temperature <= ZERO_CELSIUS + 1e-9)
    assert np.all(states.surface_temperature[:, 1] <= ZERO_CELSIUS)
    for store in (states.snow_mass, states.canopy_water, states.wetland):
        assert np.all(store >= 0.0)
    assert np.all(states.canopy_ice <= states.canopy_water + 1e-15)
    assert np.all(states.canopy_ice >= 0.0)


def test_each_choice_changes_what_it_is_about(two_days):
    _, plain, fluxes = two_days()
    _, other, changed = two_days(CHOICES[1])
    assert float(abs(fluxes.transpiration - changed.transpiration).max()) > 1e-6
    # The conifers' soil thaws below 0 degC where the curve keeps water liquid.
    assert float(abs(plain.soil_ice - other.soil_ice).max()) > 1e-3
    _, drained, _ = two_days(CHOICES[2])
    assert float(plain.snow_liquid.max()) == 0.0
    assert float(drained.snow_liquid.max()) > 0.1
    assert float(abs(plain.snow_cover - drained.snow_cover).max()) > 0.05


def test_the_crop_transpires_by_day_and_not_by_night(two_days):
    _, _, fluxes = two_days()
    by_hour = np.asarray(fluxes.transpiration[:48, CROP])
    assert by_hour[24:30].mean() > 5e-5  # about 125 W m-2
    assert by_hour[:8].max() < 0.1 * by_hour[24:30].mean()
    assert float(fluxes.assimilation[:8, CROP].max()) < 1e-6
    assert 5e-6 < float(fluxes.assimilation[26, CROP]) < 6e-5


def test_rain_wets_leaves_soil_and_wetland(two_days, land):
    _, states, fluxes = two_days()
    rain = np.asarray(land.weather().rainfall[:, CROP])
    wet = np.flatnonzero(rain)
    dry = wet[0] - 1
    assert float(states.canopy_water[wet[-1], CROP]) > float(
        states.canopy_water[dry, CROP]
    )
    assert float(states.soil_water[wet[-1], 0, CROP]) > float(
        states.soil_water[dry, 0, CROP]
    )
    assert float(fluxes.canopy_evaporation[wet[-1] + 1, CROP]) > 0.0


def test_snow_keeps_the_frozen_ground_bright_and_cold(two_days, land):
    _, states, fluxes = two_days()
    light = np.asarray(land.weather().shortwave)
    noon = 24
    albedo = 1.0 - np.asarray(fluxes.shortwave_net[noon]) / light[noon]
    assert albedo[TUNDRA] > 0.35
    assert 0.1 < albedo[CROP] < 0.3
    assert float(states.soil_temperature[:, 0, TUNDRA].max()) < ZERO_CELSIUS + 1.0
    assert float(fluxes.transpiration[:, TUNDRA].max()) < 2e-5


def test_thawing_snow_melts_and_wets_the_ground(two_days):
    before, states, fluxes = two_days()
    lost = float(before.snow_mass[CONIFER] - states.snow_mass[-1, CONIFER])
    melted = 1800.0 * float(fluxes.snow_melt[:, CONIFER].sum())
    assert lost > 1.0
    assert melted > 0.8 * lost


def test_a_cell_without_snow_does_not_feel_its_snow_parameters(land):
    parameters, state = land.columns()
    now = jax.tree.map(lambda x: x[24], land.weather())
    other = dataclasses.replace(
        parameters,
        snow_albedo_new=0.5 * parameters.snow_albedo_new,
        snow_roughness=3.0 * parameters.snow_roughness,
        snow_conductivity=2.0 * parameters.snow_conductivity,
    )
    _, one = land.one_step(state, parameters, now)
    _, two = land.one_step(state, other, now)
    for name in ("latent", "sensible", "ground", "longwave_up"):
        a, b = getattr(one, name), getattr(two, name)
        assert float(a[CROP]) == float(b[CROP]), name
    assert float(one.sensible[TUNDRA]) != float(two.sensible[TUNDRA])


def test_frozen_ground_does_not_draw_water_from_the_air(land):
    """Vapour over soil ice is that over ice, not over its tightly held liquid."""
    parameters, state = land.columns()
    now = jax.tree.map(lambda x: x[20], land.weather())
    frozen = dataclasses.replace(
        state,
        soil_ice=state.soil_water,
        soil_temperature=jnp.full_like(state.soil_temperature, 268.0),
        surface_temperature=jnp.full_like(state.surface_temperature, 268.0),
        snow_mass=0.0 * state.snow_mass,
        snow_cover=0.0 * state.snow_cover,
    )
    dry = dataclasses.replace(now, humidity=jnp.full(4, 1e-3))
    _, fluxes = land.one_step(frozen, parameters, dry)
    assert np.all(fluxes.soil_evaporation > 0.0)
    assert np.all(jnp.abs(fluxes.ledger.energy) < 1e-6)


def test_wetlands_give_back_what_runs_off(land):
    parameters, state = land.columns()
    now = jax.tree.map(lambda x: x[0], land.weather())
    storm = dataclasses.replace(now, rainfall=jnp.full(4, 0.02))
    new, fluxes = land.one_step(state, parameters, storm)
    gained = new.wetland - state.wetland
    assert np.all(gained > 5.0)
    # Of what the wetland does not keep, its alpha runs off at once.
    assert np.all(fluxes.surface_runoff * 1800.0 < 0.2 * gained)


def test_roots_fill_their_depth_evenly():
    share = root_fraction(
        jnp.array([0.05, 1.0, 1.5]), jnp.array([0.05, 0.2, 0.75, 1.0])
    )
    np.testing.assert_allclose(share.sum(axis=0), 1.0)
    np.testing.assert_allclose(share[:, 0], [1.0, 0.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(share[:, 1], [0.05, 0.2, 0.75, 0.0])
    np.testing.assert_allclose(share[3, 2], 0.5 / 1.5)


def test_unknown_choices_and_layers_are_refused():
    with pytest.raises(InputError, match=r"stomata='jarvis'.*'ball_berry' or 'medlyn'"):
        Settings(stomata="jarvis")
    with pytest.raises(InputError, match="at least two soil layers"):
        Settings(layers=(1.0,))
