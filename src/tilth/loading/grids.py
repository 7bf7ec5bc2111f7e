"""Loads on a grid: what a field of water or ice does to stations near and far.

Cells within some sizes of a station are taken exactly, by an integral along their
borders; those within four times as many as four points each, farther ones as one. The
displacement is linear in the load, so that the matrix of a grid and its stations serves
every month of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.geodesy import unit_vectors
from tilth.core.regrid_cells import LatLonGrid, latlon_grid
from tilth.core.units import convert
from tilth.loading.geometry import Places, station_places
from tilth.loading.green import GreenFunctions
from tilth.loading.points import pair_table, point_matrix
from tilth.loading.regions import cap_table, region_matrix

#: Numbers of a matrix that are held at a time.
_TOGETHER = 32_000_000

#: Abscissa of Gauss's rule of two points.
_GAUSS = 3.0**-0.5

#: Components of a displacement, in the order of the matrices.
DISPLACEMENTS = {
    "east": "displacement of the ground to the east",
    "north": "displacement of the ground to the north",
    "up": "displacement of the ground upward",
    "geoid": "rise of the equipotential surface",
}


def grid_displacement(
    load: xr.DataArray,
    stations: xr.Dataset,
    green: GreenFunctions,
    *,
    near: float = 10.0,
) -> xr.Dataset:
    r"""Return the displacement of stations under a gridded load.

    .. math::

        u = \sum_{far} m_j \, g(c_j) + a^2 \sum_{near} \sigma_j \oint F \, d\varphi

    Parameters
    ----------
    load : xarray.DataArray
        Mass per area, in units of kg m-2 or of metres (mm ...) of water equivalent, on
        cells of latitude and longitude (`tilth.core.regrid_cells.latlon_grid`) and any
        other dimensions; in memory or in Dask chunks. A load taken away is negative.
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    green : GreenFunctions
        Of the Earth, in the frame wanted.
    near : float, default 10
        Cells closer than this many of their sizes are taken exactly. Of its own share,
        a cell just beyond errs by about 1e-5, one at four times the distance by 1e-4.

    Returns
    -------
    xarray.Dataset
        ``east``, ``north``, ``up`` and ``geoid``, m, along the stations and the other
        dimensions of the load; lazy if the load is.

    Raises
    ------
    InputError
        If the load has no such units or grid, or has gaps.
    """
    grid = latlon_grid(load)
    lat, lon = grid.lat.name, grid.lon.name
    density = surface_density(load).transpose(..., lat, lon)
    at, dim = station_places(stations)
    if dim in density.dims:
        raise InputError(f"the load and the stations both have the dimension {dim}")
    bare = density.drop_vars([n for n in (lat, lon) if n in density.coords])
    blocks = [
        xr.dot(
            xr.DataArray(block, dims=("component", dim, lat, lon)), bare, dim=[lat, lon]
        )
        for block in _blocks(grid, at, green, near)
    ]
    moved = xr.concat(blocks, dim) if len(blocks) > 1 else blocks[0]
    result = xr.Dataset(
        {
            name: moved.isel(component=k).assign_attrs(
                units="m", long_name=DISPLACEMENTS[name]
            )
            for k, (name, text) in enumerate(DISPLACEMENTS.items())
        }
    )
    places = {name: c for name, c in stations.coords.items() if c.dims == (dim,)}
    places |= {name: stations[name] for name in ("lat", "lon")}
    return result.assign_coords(places)


def grid_matrix(
    grid: xr.DataArray | xr.Dataset,
    stations: xr.Dataset,
    green: GreenFunctions,
    *,
    near: float = 10.0,
) -> xr.DataArray:
    """Return the displacement of stations by 1 kg m-2 on each cell of a grid.

    Parameters
    ----------
    grid : xarray.DataArray or xarray.Dataset
        Anything on the grid.
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    green : GreenFunctions
        Of the Earth.
    near : float, default 10
        As of `grid_displacement`.

    Returns
    -------
    xarray.DataArray
        ``component`` (east, north, up, geoid), stations, latitude, longitude; m per
        kg m-2.

    Raises
    ------
    InputError
        If there is no such grid or there are no such stations.
    """
    cells = latlon_grid(grid)
    at, dim = station_places(stations)
    matrix = np.concatenate(list(_blocks(cells, at, green, near)), axis=1)
    names = ("component", dim, cells.lat.name, cells.lon.name)
    coords: dict[Any, Any] = {
        "component": list(DISPLACEMENTS),
        cells.lat.name: cells.lat.coordinate.values,
        cells.lon.name: cells.lon.coordinate.values,
    }
    attrs = {"units": "m3 kg-1", "long_name": "displacement per mass per area"}
    return xr.DataArray(matrix, coords, names, attrs=attrs)


def balance_mass(load: xr.DataArray, ocean: xr.DataArray) -> xr.DataArray:
    """Return a load whose total is nothing: what is gained on land is lost at sea.

    Parameters
    ----------
    load : xarray.DataArray
        Mass per area on cells of latitude and longitude.
    ocean : xarray.DataArray
        Share of each cell that takes the water evenly, 0 to 1 (or false and true).

    Returns
    -------
    xarray.DataArray
        The load with an even layer over the ocean.

    Raises
    ------
    InputError
        If the ocean is on another grid or has no area.
    """
    grid = latlon_grid(load)
    names = [grid.lat.name, grid.lon.name]
    area = xr.DataArray(grid.area(), {n: load[n].variable for n in names}, names)
    try:
        share = xr.align(load, ocean.astype(float), join="exact")[1]
    except ValueError as error:
        raise InputError("the ocean is not on the grid of the load") from error
    room = float((share * area).sum())
    if not room > 0.0:
        raise InputError("the ocean has no area to take the water")
    total = (load * area).sum(names)
    return (load - share * total / room).assign_attrs(load.attrs)


def surface_density(load: xr.DataArray) -> xr.DataArray:
    """Return a load in kg m-2.

    Parameters
    ----------
    load : xarray.DataArray
        With units of mass per area, or of metres (mm ...) of water.

    Returns
    -------
    xarray.DataArray
        kg m-2.

    Raises
    ------
    InputError
        If it has other units, or gaps.
    """
    units = load.attrs.get("units")
    if units is None:
        raise InputError(
            "the load has no units: set attrs['units'] to kg m-2, or to m (of water)"
        )
    try:
        density = convert(load, "kg m-2")
    except InputError:
        density = convert(load, "m") * 1000.0
    if load.chunks is None and bool(density.isnull().any()):
        count = int(density.isnull().sum())
        raise InputError(
            f"{count} values of the load are missing: fill them (0 where there is no "
            "load) so that nothing is left out unseen"
        )
    return density


def _blocks(
    grid: LatLonGrid, at: Places, green: GreenFunctions, near: float
) -> Iterator[np.ndarray]:
    """Give the matrix for some stations at a time (component, station, lat, lon)."""
    if not near >= 1.0:
        raise InputError(f"near is a number of cell sizes, at least 1, got {near}")
    rows, columns = grid.shape
    south, north = np.radians(grid.lat.low), np.radians(grid.lat.high)
    west, east = np.radians(grid.lon.low), np.radians(grid.lon.high)
    zone = np.sin(north) - np.sin(south)
    area = (float(green.radius) ** 2 * zone[:, None] * (east - west)).ravel()
    middle = _inner(np.sin(south), np.sin(north), 0.0)
    across = np.sqrt(1.0 - middle**2)[:, None] * (east - west)
    size = np.maximum((north - south)[:, None], across).ravel()
    centres = _vectors(middle, _inner(west, east, 0.0))
    # Gauss's rule of two points along each side, in longitude and sine of latitude.
    quarters = [
        _vectors(_inner(np.sin(south), np.sin(north), i), _inner(west, east, j))
        for i in (-_GAUSS, _GAUSS)
        for j in (-_GAUSS, _GAUSS)
    ]
    points, caps = pair_table(green), cap_table(green)
    step = max(1, _TOGETHER // (4 * area.size))
    for first in range(0, at.up.shape[0], step):
        here = Places(*(vectors[first : first + step] for vectors in at))
        matrix = point_matrix(here, centres, points) * area
        for i in range(here.up.shape[0]):
            one = Places(*(vectors[i : i + 1] for vectors in here))
            chord = np.sqrt(np.maximum(2.0 - 2.0 * centres @ here.up[i], 0.0))
            exact = chord < near * size
            beyond = np.flatnonzero(~exact & (chord < 4.0 * near * size))
            four = [point_matrix(one, q[beyond], points)[0] for q in quarters]
            matrix[i][:, beyond] = sum(four) / 4.0 * area[beyond]
            cells = np.flatnonzero(exact)
            lat, lon = _corners(grid, cells)
            begins = np.arange(0, lat.size + 1, 4)
            matrix[i][:, cells] = region_matrix(one, lat, lon, begins, caps)[0]
        yield matrix.transpose(1, 0, 2).reshape(4, -1, rows, columns)


def _inner(low: np.ndarray, high: np.ndarray, at: float) -> np.ndarray:
    """Return the points of intervals at -1 (low) to 1 (high)."""
    return (low + high) / 2.0 + at * (high - low) / 2.0


def _vectors(sine: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return unit vectors for all pairs of a latitude's sine and a longitude (rad)."""
    pairs = np.meshgrid(np.degrees(np.arcsin(sine)), np.degrees(lon), indexing="ij")
    return unit_vectors(*pairs).reshape(-1, 3)


def _corners(grid: LatLonGrid, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of cells, four each, counter-clockwise."""
    row, column = np.divmod(cells, grid.shape[1])
    south, north = grid.lat.low[row], grid.lat.high[row]
    west, east = grid.lon.low[column], grid.lon.high[column]
    lat = np.stack([south, south, north, north], axis=1)
    lon = np.stack([west, east, east, west], axis=1)
    return lat.ravel(), lon.ravel()
