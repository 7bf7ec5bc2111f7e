"""State of the land model: what a run carries from step to step, and keeps in files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from tilth.core.accelerate import jnp
from tilth.core.constants import ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.model import require_variables, stamp
from tilth.land.model.snow_albedo import FRESH

#: Thickness of the soil layers from the top, m (MATSIRO6, Nitta et al. 2020).
LAYERS = (0.05, 0.20, 0.75, 1.0, 2.0, 10.0)

#: Dimensions, units and meaning of the variables, in the order of `State`.
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "surface_temperature": (("tile",), "K", "temperature of the ground's skin"),
    "canopy_temperature": (("tile",), "K", "temperature of the leaves"),
    "soil_temperature": (("layer",), "K", "temperature of the soil layers"),
    "soil_water": (("layer",), "m3 m-3", "water and ice in the soil"),
    "soil_ice": (("layer",), "m3 m-3", "ice in the soil as liquid equivalent"),
    "canopy_water": ((), "kg m-2", "water and ice on the leaves"),
    "canopy_ice": ((), "kg m-2", "ice on the leaves"),
    "snow_mass": ((), "kg m-2", "snow and the water in it, mean of the cell"),
    "snow_cover": ((), "1", "share of the ground under snow"),
    "snow_temperature": (("snow_layer",), "K", "temperature of the snow layers"),
    "snow_liquid": (
        ("snow_layer",),
        "kg m-2",
        "liquid water in the snow, per covered ground",
    ),
    "snow_albedo": (("snow_band",), "1", "albedo of the snow"),
    "snow_accumulated": ((), "kg m-2", "greatest snow mass of the season"),
    "wetland": ((), "kg m-2", "water in wetlands"),
}

#: Lengths of the dimensions that do not vary.
SIZES = {"tile": 2, "snow_layer": 3, "snow_band": 3}


class State(eqx.Module):
    """The state of `VARIABLES` as arrays, cells last; tile 1 is under snow."""

    surface_temperature: Any
    canopy_temperature: Any
    soil_temperature: Any
    soil_water: Any
    soil_ice: Any
    canopy_water: Any
    canopy_ice: Any
    snow_mass: Any
    snow_cover: Any
    snow_temperature: Any
    snow_liquid: Any
    snow_albedo: Any
    snow_accumulated: Any
    wetland: Any


def initial_state(
    saturation: Any, temperature: Any, *, wetness: Any = 0.7, layers: int = len(LAYERS)
) -> State:
    """Return a state to spin up from: one temperature, no snow, moist soil.

    Parameters
    ----------
    saturation : array (n,)
        Pore space, m3 m-3.
    temperature : array (n,) or float
        Of everything, such as the mean air temperature, K. Below 0 degC the soil's
        water is ice.
    wetness : array or float, default 0.7
        Share of the pores with water.
    layers : int
        Number of soil layers.

    Returns
    -------
    State
        Cells last.
    """
    saturation = jnp.atleast_1d(jnp.asarray(saturation, float))
    warm = jnp.broadcast_to(jnp.asarray(temperature, float), saturation.shape)
    none = jnp.zeros_like(saturation)
    water = jnp.broadcast_to(wetness * saturation, (layers, *saturation.shape))
    soil = jnp.broadcast_to(warm, water.shape)
    return State(
        surface_temperature=jnp.stack([warm, jnp.minimum(warm, ZERO_CELSIUS)]),
        canopy_temperature=jnp.stack([warm, warm]),
        soil_temperature=soil,
        soil_water=water,
        soil_ice=jnp.where(soil < ZERO_CELSIUS, water, 0.0),
        canopy_water=none,
        canopy_ice=none,
        snow_mass=none,
        snow_cover=none,
        snow_temperature=jnp.broadcast_to(
            jnp.minimum(warm, ZERO_CELSIUS), (3, *warm.shape)
        ),
        snow_liquid=jnp.zeros((3, *warm.shape)),
        snow_albedo=jnp.broadcast_to(jnp.asarray(FRESH)[:, None], (3, *warm.shape)),
        snow_accumulated=none,
        wetland=none,
    )


def names() -> list[str]:
    """Return the names of the state's variables in order."""
    return [field.name for field in fields(State)]


def to_blocks(state: State, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return the arrays of a state with its cells first and in their shape.

    Parameters
    ----------
    state : State
        Cells last.
    shape : tuple of int
        Of the cells.

    Returns
    -------
    list of array
        ``shape + (layer or tile or band,)``.
    """
    return [
        np.moveaxis(np.asarray(getattr(state, name)), -1, 0).reshape(
            (*shape, *np.shape(getattr(state, name))[:-1])
        )
        for name in names()
    ]


def from_blocks(blocks: Sequence[np.ndarray], loops: int) -> State:
    """Return the state of arrays whose first `loops` axes are the cells.

    Parameters
    ----------
    blocks : sequence of array
        In the order of `State`.
    loops : int
        Number of leading cell axes; they are flattened.

    Returns
    -------
    State
        Cells last.
    """
    return State(
        *(
            jnp.asarray(np.moveaxis(block.reshape(-1, *block.shape[loops:]), 0, -1))
            for block in blocks
        )
    )


def check_state(state: xr.Dataset, thickness: Sequence[float]) -> xr.Dataset:
    """Return a state dataset, or say what it lacks.

    Parameters
    ----------
    state : xarray.Dataset
        Of a run or a file.
    thickness : sequence of float
        Of the soil layers the run will have, m.

    Raises
    ------
    InputError
        If a variable is absent, has gaps, or the soil has other layers.
    """
    require_variables(state, [*names(), "layer_thickness"], "a state of the land model")
    have = np.asarray(state["layer_thickness"])
    if have.shape != (len(thickness),) or not np.allclose(have, thickness):
        raise InputError(
            f"the state has soil layers of {have.tolist()} m, the run of "
            f"{list(thickness)} m: give settings with the layers of the state"
        )
    for name in names():
        if bool(state[name].isnull().any()):
            raise InputError(f"{name} of the state has gaps: a state is complete")
    return state


def save_state(state: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a state to NetCDF, to the last bit.

    Parameters
    ----------
    state : xarray.Dataset
        ``state`` of a run's result.
    path : path
        Appears when it is complete.
    """
    plain = {name: {"zlib": False, "dtype": "float64"} for name in names()}
    write_netcdf(stamp(state, "state saved"), path, encoding=plain)


def open_state(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a state that `save_state` wrote.

    Parameters
    ----------
    path : path
        NetCDF file.

    Returns
    -------
    xarray.Dataset
        In memory.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged or something else.
    """
    return read_netcdf(path, "a state of the land model")
