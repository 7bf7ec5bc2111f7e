"""From the cells of a CaMa-Flood grid to the catchments of a network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.model import RiverNetwork

__all__ = ["at_catchments", "cell_positions", "open_grid"]


def cell_positions(
    network: RiverNetwork, row: npt.ArrayLike, column: npt.ArrayLike
) -> np.ndarray:
    """Return the positions of the catchments in cells of the map.

    Parameters
    ----------
    network : RiverNetwork
        From a gridded map, so with ``row`` and ``column``.
    row, column : array of int
        Cells, counted from 0, row 0 in the map's first row.

    Returns
    -------
    numpy.ndarray of int64
        Position in the network; -1 for cells without a catchment of it.
    """
    network.require("row", "column")
    rows, columns = (network.data[name].values for name in ("row", "column"))
    row, column = np.asarray(row, np.int64), np.asarray(column, np.int64)
    high = int(max(rows.max(), row.max(initial=0))) + 1
    wide = int(max(columns.max(), column.max(initial=0))) + 1
    place = np.full((high, wide), -1, np.int64)
    place[rows, columns] = np.arange(network.size)
    inside = (row >= 0) & (column >= 0)
    return np.where(inside, place[np.where(inside, row, 0), column], -1)


def at_catchments(values: xr.DataArray, network: RiverNetwork) -> xr.DataArray:
    """Take the values at a network's cells out of a grid.

    Parameters
    ----------
    values : xarray.DataArray, dims (..., lat, lon)
        On the whole grid of the map, row by row as in the map.
    network : RiverNetwork
        From that map, or a part of it.

    Returns
    -------
    xarray.DataArray, dims (..., catchment)
        In the order of the network.

    Raises
    ------
    InputError
        If the grid is another one.
    """
    network.require("row", "column")
    shape = tuple(network.data.attrs.get(f"grid_{n}", 0) for n in ("rows", "columns"))
    if values.shape[-2:] != shape:
        raise InputError(
            f"{values.name} has {' x '.join(map(str, values.shape[-2:]))} cells, the "
            f"map of the network {' x '.join(map(str, shape))}: they are not of the "
            "same map"
        )
    high, wide = values.dims[-2:]
    cells = {
        high: xr.DataArray(network.data["row"].values, dims="catchment"),
        wide: xr.DataArray(network.data["column"].values, dims="catchment"),
    }
    taken = values.isel(cells).reset_coords(drop=True)
    return taken.assign_coords(catchment=network.data["catchment"])


@contextlib.contextmanager
def open_grid(path: str | os.PathLike[str], **options: Any) -> Iterator[xr.Dataset]:
    """Open a NetCDF file; what is needed of it is to be loaded within.

    Parameters
    ----------
    path : path
        The file.
    **options
        For `xarray.open_dataset`.

    Yields
    ------
    xarray.Dataset
        Its variables, not yet read.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no {path}")
    try:
        found = xr.open_dataset(path, engine="h5netcdf", **options)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(path, error) from error
    with found:
        try:
            yield found
        except (OSError, RuntimeError) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: str | os.PathLike[str], error: Exception) -> InputError:
    """Return the error of a file that is none of NetCDF 4."""
    return InputError(
        f"{path} cannot be read as NetCDF 4: it is damaged, was not copied to its "
        f"end, or is something else ({error})"
    )
