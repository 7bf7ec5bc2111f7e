"""Cells of a grid in a row, and back on the grid."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

#: Names of latitude and longitude in the wild -> ours.
_PLACES = {
    "lat": ("lat", "latitude", "XLAT", "XLAT_M", "nav_lat"),
    "lon": ("lon", "longitude", "XLONG", "XLONG_M", "nav_lon"),
}
_UNITS = {"lat": "degrees_north", "lon": "degrees_east"}


def stack_cells(data: xr.DataArray) -> xr.DataArray:
    """Put the cells of a grid in a row along ``cell``.

    Parameters
    ----------
    data : xarray.DataArray
        With ``time`` and no, one or two further dimensions, of any names.

    Returns
    -------
    xarray.DataArray
        With ``time`` and ``cell`` (numbered from zero where cells have no names),
        with ``lat`` and ``lon`` (cell) where they are known; of a grid also ``row``
        and ``column``, the place of each cell.

    Raises
    ------
    InputError
        If there are more than two further dimensions.
    """
    data = _named_places(data)
    other = [str(dim) for dim in data.dims if dim != "time"]
    if len(other) > 2:
        raise InputError(
            f"a grid has two dimensions; {', '.join(other)} are {len(other)}: choose "
            "one member, tile or layer first"
        )
    place = {name: _everywhere(data, name, other) for name in _PLACES}
    names = data["cell"].values if "cell" in data.coords and other == ["cell"] else None
    # What is not along time is either known by now or of no use.
    bare = data.drop_vars([c for c in data.coords if c != "time"])
    shape = tuple(data.sizes[dim] for dim in other)
    if len(other) == 1:
        flat = bare.rename({other[0]: "cell"})
    elif other:
        flat = bare.stack(cell=other, create_index=False)
    else:
        flat = bare.expand_dims("cell")
    count = flat.sizes["cell"]
    coords: dict = {"cell": np.arange(count) if names is None else names}
    for name, values in place.items():
        if values is not None:
            coords[name] = ("cell", values, {"units": _UNITS[name]})
    if len(other) == 2:
        row, column = np.divmod(np.arange(count), shape[1])
        coords |= {"row": ("cell", row), "column": ("cell", column)}
    return flat.transpose("time", "cell").assign_coords(coords)


def unstack_cells(data: xr.Dataset) -> xr.Dataset:
    """Put cells back on the grid they came from.

    Parameters
    ----------
    data : xarray.Dataset
        With ``cell`` and the coordinates ``row`` and ``column`` that `stack_cells`
        gave it. Cells may have been left out since.

    Returns
    -------
    xarray.Dataset
        With ``lat`` and ``lon`` in the place of ``cell``, or ``row`` and ``column``
        where the grid does not follow them; NaN where there is no cell. Rows and
        columns without any cell are left out.

    Raises
    ------
    InputError
        If the cells did not come from a grid.
    """
    if "row" not in data.coords or "column" not in data.coords:
        raise InputError(
            "these cells did not come from a grid: they have no row and column"
        )
    rows, row = np.unique(data["row"].values, return_inverse=True)
    columns, column = np.unique(data["column"].values, return_inverse=True)
    place = np.full((rows.size, columns.size), -1)
    place[row, column] = np.arange(data.sizes["cell"])
    index = xr.DataArray(place, dims=("row", "column"))
    bare = data.drop_vars(["cell", "row", "column"])
    grid = bare.isel(cell=index).where(index >= 0)
    if "lat" not in data.coords or "lon" not in data.coords:
        return grid.assign_coords(row=rows, column=columns)
    lat, lon = np.full(rows.size, np.nan), np.full(columns.size, np.nan)
    lat[row], lon[column] = data["lat"].values, data["lon"].values
    along = np.array_equal(lat[row], data["lat"]) and np.array_equal(
        lon[column], data["lon"]
    )
    if not along:
        return grid.assign_coords(row=rows, column=columns)
    grid = grid.drop_vars(["lat", "lon"]).rename(row="lat", column="lon")
    return grid.assign_coords(
        lat=("lat", lat, {"units": _UNITS["lat"]}),
        lon=("lon", lon, {"units": _UNITS["lon"]}),
    )


def _named_places(data: xr.DataArray) -> xr.DataArray:
    """Give latitude and longitude our names, on dimensions and coordinates."""
    known = {*map(str, data.coords), *map(str, data.dims)}
    names = {}
    for ours, theirs in _PLACES.items():
        found = next((n for n in theirs if n in known), None)
        if found is not None and found != ours:
            names[found] = ours
    return data.rename(names)


def _everywhere(data: xr.DataArray, name: str, dims: list[str]) -> np.ndarray | None:
    """Return the latitude or longitude of every cell, in the order of stacking."""
    if name not in data.coords:
        return None
    values = data[name].reset_coords(drop=True)
    if "time" in values.dims:  # WRF repeats it
        values = values.isel(time=0)
    shape = {dim: data.sizes[dim] for dim in dims}
    if not set(map(str, values.dims)) <= set(dims):
        return None
    wide = values.broadcast_like(
        xr.DataArray(np.empty(list(shape.values())), dims=dims)
    )
    return wide.transpose(*dims).values.astype(float).ravel()
