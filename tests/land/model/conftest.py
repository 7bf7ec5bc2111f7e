"""Weather and columns that several tests step through."""

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.land.model import snow_cover
from tilth.land.model.forcing import Weather, season
from tilth.land.model.parameters import from_dataset, parameter_dataset
from tilth.land.model.settings import Settings
from tilth.land.model.state import initial_state
from tilth.land.model.step import step

#: Four columns: a crop in summer, a conifer stand thawing, tundra under snow in frost,
#: and C4 grass on wet soil.
AIR = np.array([296.0, 275.5, 264.0, 289.0])
STEP = 1800.0


def weather(days=2):
    """Half hours of two days: rain on the second, a cloudburst on the grass, snow."""
    hours = 0.5 * np.arange(48 * days)
    sun = np.maximum(np.sin(2.0 * np.pi * (hours - 6.13) / 24.0), 0.0)[:, None]
    grid = np.ones((hours.size, AIR.size))
    wet = ((hours >= 30.0) & (hours < 33.0))[:, None]
    white = ((hours >= 10.0) & (hours < 15.0))[:, None]
    times = xr.DataArray(
        np.datetime64("2001-06-20", "ns")
        + np.arange(hours.size) * np.timedelta64(30, "m"),
        dims="time",
    )
    return Weather(
        rainfall=jnp.asarray(wet * 2e-4 * np.array([1.0, 0.0, 0.0, 15.0])),
        snowfall=jnp.asarray(white * np.array([0.0, 0.0, 1e-4, 0.0])),
        convective=jnp.asarray(0.0 * grid),
        temperature=jnp.asarray(
            AIR + 5.0 * np.sin(2.0 * np.pi * (hours - 9.0) / 24.0)[:, None]
        ),
        humidity=jnp.asarray(grid * np.array([0.009, 0.0035, 0.0015, 0.006])),
        pressure=jnp.asarray(95000.0 * grid),
        shortwave=jnp.asarray(650.0 * sun * np.array([1.0, 0.6, 0.5, 0.9])),
        longwave=jnp.asarray(grid * np.array([350.0, 280.0, 210.0, 310.0])),
        wind=jnp.asarray((3.0 + np.sin(hours / 3.0))[:, None] * grid),
        co2=jnp.asarray(4e-4 * grid),
        cosine_zenith=jnp.asarray((0.1 + 0.5 * sun) * (sun > 0.0) * grid),
        season=jnp.asarray(season(times)),
    )


def columns(settings=None):
    """Parameters and state of the four columns."""
    settings = settings or Settings()
    parameters = from_dataset(
        parameter_dataset(
            xr.DataArray(
                ["crop", "needleleaf_evergreen", "tundra", "c4_grass"], dims="cell"
            ),
            xr.DataArray(["loam", "sandy loam", "silt loam", "clay loam"], dims="cell"),
            cover=xr.DataArray([0.9, 0.8, 0.7, 0.9], dims="cell"),
            decay_depth=0.5,
        ),
        ("cell",),
    )
    state = initial_state(
        parameters.saturation, AIR, wetness=jnp.array([0.62, 0.7, 0.8, 0.9])
    )
    mass = jnp.array([0.0, 30.0, 45.0, 0.0])
    peak = jnp.array([0.0, 40.0, 50.0, 0.0])
    if settings.snow_cover == "simple":
        cover = snow_cover.simple(mass, parameters.snow_full_cover)
    else:
        cover = snow_cover.ssnowd(mass, peak, parameters.snow_variation).cover
    state = dataclasses.replace(
        state,
        snow_mass=mass,
        snow_accumulated=peak,
        snow_cover=cover,
        snow_temperature=jnp.broadcast_to(
            jnp.array([270.0, 271.0, 262.0, 270.0]), (3, 4)
        ),
        snow_albedo=jnp.broadcast_to(jnp.array([[0.8], [0.55], [0.03]]), (3, 4)),
        wetland=jnp.array([3.0, 1.0, 0.0, 5.0]),
        canopy_water=jnp.array([0.1, 0.2, 0.02, 0.0]),
        canopy_ice=jnp.array([0.0, 0.0, 0.02, 0.0]),
    )
    return parameters, state


@functools.cache
def _walk(settings):
    """Compile steps through two days; all tests share the program of a choice."""

    # Without fusion the program compiles in less time; it runs a little slower.
    @functools.partial(jax.jit, compiler_options={"xla_cpu_use_fusion_emitters": False})
    def walk(state, parameters, weather):
        def body(state, now):
            new, fluxes = step(state, parameters, now, STEP, settings)
            return new, (new, fluxes)

        return jax.lax.scan(body, state, weather)[1]

    # Plain arrays: weakly typed ones would have the program compiled again.
    return lambda *inputs: walk(*jax.tree.map(np.asarray, inputs))


def one_step(state, parameters, now, settings=None):
    """State and fluxes after one step: the first of a walk in steady weather."""
    steady = jax.tree.map(lambda x: jnp.broadcast_to(x, (96, *x.shape)), now)
    walked = _walk(settings or Settings())(state, parameters, steady)
    return jax.tree.map(lambda x: x[0], walked)


@pytest.fixture(scope="session")
def two_days():
    """Return a function: settings -> states and fluxes of each step of two days."""

    @functools.cache
    def steps(settings=None):
        settings = settings or Settings()
        parameters, state = columns(settings)
        return state, *_walk(settings)(state, parameters, weather())

    return steps


@pytest.fixture(scope="session")
def land():
    """Return the makers of weather and columns, and a single step."""
    return SimpleNamespace(
        air=AIR, step=STEP, weather=weather, columns=columns, one_step=one_step
    )
