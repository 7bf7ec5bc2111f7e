"""Forcings brought to a network's order by the identifiers of its catchments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.model import RiverNetwork


def aligned(
    data: Any, network: RiverNetwork, name: str, time: xr.DataArray | None = None
) -> xr.DataArray:
    """Return data as ``(time, catchment)`` in the network's order.

    Parameters
    ----------
    data : xarray.DataArray
        Over time and catchment; with `time` given, over one of them or none as well.
    network : RiverNetwork
        Its catchments are asked for by their identifiers.
    name : str
        Of the data, for messages.
    time : xarray.DataArray, optional
        Repeat data without times along it.

    Returns
    -------
    xarray.DataArray
        In memory or on Dask, as it was given.

    Raises
    ------
    InputError
        If catchments are missing or unknown, or dimensions are others.
    """
    if not isinstance(data, xr.DataArray):
        raise InputError(
            f"{name} must be a DataArray with units over time and catchment, got "
            f"{type(data).__name__}"
        )
    if time is not None:
        own = data["time"] if "time" in data.dims else time
        data = expanded(data, network.ids, own, name)
    if set(data.dims) != {"time", "catchment"}:
        raise InputError(
            f"{name} needs the dimensions time and catchment, it has "
            f"{', '.join(map(str, data.dims)) or 'none'}: choose one member or level, "
            "or bring a grid to the catchments first"
        )
    data = data.transpose("time", "catchment")
    rows = rows_of(data, network.ids, name)
    if not np.array_equal(rows, np.arange(data.sizes["catchment"])):
        data = data.isel(catchment=rows)
    # Coordinates beside the two would only travel along.
    beside = [c for c in data.coords if c not in ("time", "catchment")]
    return data.drop_vars(beside)


def expanded(
    data: xr.DataArray, ids: np.ndarray, time: xr.DataArray, name: str
) -> xr.DataArray:
    """Return data repeated along time and catchment where it lacks them.

    Parameters
    ----------
    data : xarray.DataArray
        Over time and catchment, one of them or none.
    ids : numpy.ndarray
        Identifiers of the catchments.
    time : xarray.DataArray
        The times.
    name : str
        Of the data, for messages.

    Returns
    -------
    xarray.DataArray
        ``(time, catchment)``.

    Raises
    ------
    InputError
        If there are other dimensions.
    """
    unknown = set(data.dims) - {"time", "catchment"}
    if unknown:
        raise InputError(
            f"{name} has the dimension {', '.join(sorted(map(str, unknown)))}: only "
            "time and catchment are known"
        )
    if "time" not in data.dims:
        data = data.drop_vars("time", errors="ignore").expand_dims(time=time.values)
    if "catchment" not in data.dims:
        data = data.drop_vars("catchment", errors="ignore").expand_dims(catchment=ids)
    return data.transpose("time", "catchment")


def rows_of(
    data: xr.DataArray, ids: np.ndarray, name: str, extra: bool = False
) -> np.ndarray:
    """Return where the catchments lie in the data, or name those that do not.

    Parameters
    ----------
    data : xarray.DataArray
        With the dimension catchment.
    ids : numpy.ndarray
        Identifiers that are asked for.
    name : str
        Of the data, for messages.
    extra : bool, default False
        Whether the data may have more catchments.

    Returns
    -------
    numpy.ndarray of int
        Position of each in the data.

    Raises
    ------
    InputError
        If catchments are missing or unknown, or have no identifiers.
    """
    index = data.indexes.get("catchment")
    if index is None:
        if data.sizes["catchment"] == ids.size and np.array_equal(
            ids, np.arange(ids.size)
        ):
            return np.arange(ids.size)
        raise InputError(
            f"{name} has no coordinate catchment: its rows could be any; if they are "
            f"in the network's order, {name}.assign_coords(catchment=network.ids)"
        )
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise InputError(f"{name} has catchment {twice} more than once")
    wanted = pd.Index(ids)
    rows = index.get_indexer(wanted)
    missing = ids[rows < 0]
    if missing.size:
        raise InputError(
            f"{name} lacks {missing.size} of {ids.size} catchments: {_few(missing)}"
        )
    if not extra and index.size > ids.size:
        unknown = index.difference(wanted, sort=False)
        raise InputError(
            f"{name} has {unknown.size} catchments that the network does not have: "
            f"{_few(unknown)}; leave them out with {name}.sel(catchment=network.ids)"
        )
    return rows


def _few(ids: Any) -> str:
    """Return some identifiers as text."""
    shown = ", ".join(str(i) for i in list(ids[:8]))
    return shown if len(ids) <= 8 else f"{shown}, ..."
