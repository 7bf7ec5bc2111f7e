"""State of land and rivers together: a run that goes on from it had never stopped."""

from __future__ import annotations

import os

import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.model import stamp

#: Prefixes of the two parts' variables.
LAND, RIVERS = "state_land_", "state_rivers_"


def joined(land: xr.Dataset, rivers: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the variables of both states under names of their own."""
    named: dict[str, xr.DataArray] = {}
    for prefix, part in ((LAND, land), (RIVERS, rivers)):
        named |= {f"{prefix}{name}": array for name, array in part.data_vars.items()}
    return named


def parted(state: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the states of the land and of the rivers.

    Parameters
    ----------
    state : xarray.Dataset
        Of `final_state` or `open_state`.

    Returns
    -------
    xarray.Dataset, xarray.Dataset

    Raises
    ------
    InputError
        If it is no state of both.
    """
    parts = []
    for prefix in (LAND, RIVERS):
        names = {
            str(n): str(n)[len(prefix) :] for n in state if str(n).startswith(prefix)
        }
        if not names:
            raise InputError(
                f"a state of land and rivers has variables {prefix}..., this has "
                f"{', '.join(map(str, state)) or 'none'}: give final_state of a run"
            )
        parts.append(state[list(names)].rename(names))
    land, rivers = parts
    rivers.attrs = {k: v for k, v in state.attrs.items() if k == "network"}
    return land, rivers


def final_state(result: xr.Dataset) -> xr.Dataset:
    """Return the state at the end of a run, where the next one may begin.

    Parameters
    ----------
    result : xarray.Dataset
        Of `tilth.studies.coupled.LandSimulator.run`.

    Returns
    -------
    xarray.Dataset
        For the next run or `save_state`.
    """
    names = [n for n in result if str(n).startswith((LAND, RIVERS))]
    taken = result[names].drop_vars("time", errors="ignore")
    taken.attrs = {
        "title": "state of land and rivers",
        "network": result.attrs["network"],
        "date": result.attrs["end"],
    }
    return taken


def save_state(state: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a state to NetCDF, to the last bit.

    Parameters
    ----------
    state : xarray.Dataset
        Of `final_state`.
    path : path
        Appears when it is complete.
    """
    parted(state)
    write_netcdf(stamp(state, "state saved"), path)


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
    state = read_netcdf(path, "a state of land and rivers")
    parted(state)
    return state
