r"""Where the mass may lie: discs, outlines, cells or patterns, and what each one does.

All kinds become one dataset with a column per source: the displacement of every
station by one unit of it (``response``, m) and what that unit weighs (``mass``, Gt).
The unit of discs, outlines and cells is a layer of 1 m of water; that of a pattern is
the pattern. An inversion needs nothing else to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.geodesy import unit_vectors
from tilth.core.regrid_cells import latlon_grid
from tilth.loading.discs import disc_response
from tilth.loading.geometry import station_places
from tilth.loading.green import GreenFunctions
from tilth.loading.grids import (
    DISPLACEMENTS,
    grid_displacement,
    grid_matrix,
    surface_density,
)
from tilth.loading.regions import cap_table, region_matrix

#: kg m-2 of a layer of 1 m of water.
WATER = 1000.0

#: kg of a gigatonne.
GIGATONNE = 1e12

#: Units of a source that is a layer, and of one that is a pattern.
LAYER, PATTERN = "m of water", "1"


def disc_sources(
    lat: Any,
    lon: Any,
    radius: Any,
    stations: xr.Dataset,
    green: GreenFunctions,
    names: Sequence[str] | None = None,
) -> xr.Dataset:
    """Return discs as sources.

    Parameters
    ----------
    lat, lon : array_like, shape (m,)
        Centres, degrees.
    radius : float or array_like, shape (m,)
        m.
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    green : GreenFunctions
        Of the Earth, in the frame of the observations.
    names : sequence of str, optional
        By default disc 1, disc 2 and so on.

    Returns
    -------
    xarray.Dataset
        ``response`` (component, stations, source), ``mass``, ``lat`` and ``lon``.

    Raises
    ------
    InputError
        If a radius is not between 0 and half the Earth's circumference.
    """
    lat, lon, radius = np.broadcast_arrays(
        *np.atleast_1d(*(np.asarray(x, float) for x in (lat, lon, radius)))
    )
    at, dim = station_places(stations)
    centres = unit_vectors(lat, lon)
    size = radius / float(green.radius)
    chord = np.linalg.norm(at.up[:, None, :] - centres, axis=-1)
    distance = 2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))
    moved = disc_response(green, distance, np.broadcast_to(size, distance.shape))
    east, north = (-(centres @ vectors.T).T for vectors in (at.east, at.north))
    length = np.maximum(np.hypot(east, north), 1e-300)
    away = np.asarray(moved.away) / length
    parts = [away * east, away * north, np.asarray(moved.up), np.asarray(moved.geoid)]
    area = 2.0 * np.pi * float(green.radius) ** 2 * 2.0 * np.sin(size / 2.0) ** 2
    if names is None:
        names = [f"disc {k + 1}" for k in range(lat.size)]
    return _sources(np.stack(parts) * WATER, area, lat, lon, names, stations, dim)


def outline_sources(
    outlines: Mapping[str, Mapping[str, Any]],
    stations: xr.Dataset,
    green: GreenFunctions,
) -> xr.Dataset:
    """Return regions with outlines as sources.

    Parameters
    ----------
    outlines : mapping of str to mapping
        Name -> geometry as in GeoJSON, ``Polygon`` or ``MultiPolygon``, longitude
        before latitude. Which way round a ring goes does not matter; the first of a
        polygon is its border, the others are holes.
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    green : GreenFunctions
        Of the Earth, in the frame of the observations.

    Returns
    -------
    xarray.Dataset
        As of `disc_sources`; ``lat`` and ``lon`` are the means of the borders.

    Raises
    ------
    InputError
        If there is no outline, or one is no such geometry.
    """
    if not outlines:
        raise InputError("there are no outlines: give at least one region")
    at, dim = station_places(stations)
    rings: list[np.ndarray] = []
    owners: list[int] = []
    middles = []
    for k, (name, geometry) in enumerate(outlines.items()):
        borders = []
        for polygon in _polygons(name, geometry):
            for hole, ring in enumerate(polygon):
                turn = np.sign(_ring_area(ring)) * (-1.0 if hole else 1.0)
                rings.append(ring if turn > 0 else ring[::-1])
                owners.append(k)
            borders.append(polygon[0])
        middles.append(np.concatenate(borders).mean(axis=0))
    lon, lat = np.concatenate(rings).T
    begins = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    each = region_matrix(at, lat, lon, begins, cap_table(green))
    parts = np.zeros((4, at.up.shape[0], len(outlines)))
    area = np.zeros(len(outlines))
    for j, (k, ring) in enumerate(zip(owners, rings, strict=True)):
        parts[:, :, k] += each[:, :, j].T
        area[k] += float(green.radius) ** 2 * _ring_area(ring)
    middle = np.array(middles)
    return _sources(
        parts * WATER, area, middle[:, 1], middle[:, 0], list(outlines), stations, dim
    )


def cell_sources(
    within: xr.DataArray,
    stations: xr.Dataset,
    green: GreenFunctions,
    *,
    near: float = 10.0,
) -> xr.Dataset:
    """Return the cells of a grid as sources.

    Parameters
    ----------
    within : xarray.DataArray of bool
        On cells of latitude and longitude: those that may hold mass.
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    green : GreenFunctions
        Of the Earth, in the frame of the observations.
    near : float, default 10
        As of `tilth.loading.grid_displacement`.

    Returns
    -------
    xarray.Dataset
        As of `disc_sources`, with ``row`` and ``column`` of each cell in its grid.

    Raises
    ------
    InputError
        If no cell is within.
    """
    grid = latlon_grid(within)
    names = (grid.lat.name, grid.lon.name)
    held = within.transpose(*names).values.astype(bool)
    if not held.any():
        raise InputError("no cell may hold mass: the mask is false everywhere")
    matrix = grid_matrix(within, stations, green, near=near)
    row, column = np.nonzero(held)
    dim = str(matrix.dims[1])
    lat, lon = within[names[0]].values[row], within[names[1]].values[column]
    labels = [f"{y:g} {x:g}" for y, x in zip(lat, lon, strict=True)]
    # The grid of the regridder may have another radius: areas are of this Earth.
    south, north = np.radians(grid.lat.low), np.radians(grid.lat.high)
    width = np.radians(grid.lon.high - grid.lon.low)
    zone = np.sin(north) - np.sin(south)
    area = float(green.radius) ** 2 * zone[row] * width[column]
    found = _sources(
        matrix.values[:, :, row, column] * WATER, area, lat, lon, labels, stations, dim
    )
    return found.assign_coords(row=("source", row), column=("source", column))


def pattern_sources(
    patterns: xr.DataArray,
    stations: xr.Dataset,
    green: GreenFunctions,
    *,
    near: float = 10.0,
) -> xr.Dataset:
    """Return known patterns of mass, one unknown factor each, as sources.

    Where altimetry or a model tells how the loss is spread over each basin, the
    stations only need to tell how much it is.

    Parameters
    ----------
    patterns : xarray.DataArray
        Mass per area (kg m-2, or m of water) on cells of latitude and longitude and
        along one other dimension, which names the basins.
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    green : GreenFunctions
        Of the Earth, in the frame of the observations.
    near : float, default 10
        As of `tilth.loading.grid_displacement`.

    Returns
    -------
    xarray.Dataset
        As of `disc_sources`; one unit is the pattern as given.

    Raises
    ------
    InputError
        If the patterns lie along anything but one more dimension, or one is nothing.

    References
    ----------
    Khan, Wahr, Bevis, Velicogna & Kendrick (2010), Geophysical Research Letters 37,
    L06501; Liu, Wahr, Howat, Khan, Joughin & Furuya (2012), Geophysical Journal
    International 188, 994-1006.
    """
    grid = latlon_grid(patterns)
    names = [grid.lat.name, grid.lon.name]
    others = [str(d) for d in patterns.dims if d not in names]
    if len(others) != 1:
        raise InputError(
            f"patterns lie along {', '.join(others) or 'no dimension'} beside their "
            "grid: give one dimension that names the basins"
        )
    along = others[0]
    density = surface_density(patterns)
    moved = grid_displacement(patterns, stations, green, near=near)
    dim = station_places(stations)[1]
    parts = np.stack(
        [moved[name].transpose(dim, along).values for name in DISPLACEMENTS]
    )
    weight = abs(density).transpose(along, *names)
    share = weight * xr.DataArray(
        grid.area(), {n: patterns[n].variable for n in names}, names
    )
    size = share.sum(names).values
    if not (size > 0.0).all():
        which = patterns[along].values[int(np.argmin(size))]
        raise InputError(f"the pattern {which} is zero everywhere")
    lat = (share * patterns[names[0]]).sum(names).values / size
    lon = (share * patterns[names[1]]).sum(names).values / size
    south, north = np.radians(grid.lat.low), np.radians(grid.lat.high)
    cells = np.outer(
        np.sin(north) - np.sin(south), np.radians(grid.lon.high - grid.lon.low)
    )
    total = np.einsum("kij,ij->k", density.transpose(along, *names).values, cells)
    mass = total * float(green.radius) ** 2
    found = _sources(
        parts, mass / WATER, lat, lon, patterns[along].values, stations, dim
    )
    return found.assign_attrs(unit=PATTERN)


def basin_table(sources: xr.Dataset, basins: Sequence[str]) -> xr.DataArray:
    """Return which sources belong to which basin.

    Parameters
    ----------
    sources : xarray.Dataset
        As made here.
    basins : sequence of str, length of the sources
        The basin of each one.

    Returns
    -------
    xarray.DataArray
        1 or 0 along ``basin`` and ``source``.

    Raises
    ------
    InputError
        If there are not as many as sources.
    """
    if len(basins) != sources.sizes["source"]:
        raise InputError(
            f"there are {len(basins)} names of basins and {sources.sizes['source']} "
            "sources: give one name per source"
        )
    names = list(dict.fromkeys(basins))
    table = np.array([[float(own == name) for own in basins] for name in names])
    return xr.DataArray(
        table, {"basin": names, "source": sources["source"]}, ("basin", "source")
    )


def _sources(
    response: np.ndarray,
    area: np.ndarray,
    lat: np.ndarray,
    lon: np.ndarray,
    names: Any,
    stations: xr.Dataset,
    dim: str,
) -> xr.Dataset:
    """Return the dataset of sources; a unit weighs a metre of water on its area."""
    known = {name: c for name, c in stations.coords.items() if c.dims == (dim,)}
    return xr.Dataset(
        {
            "response": (("component", dim, "source"), response, {"units": "m"}),
            "mass": ("source", area * WATER / GIGATONNE, {"units": "Gt"}),
            "area": ("source", np.abs(area), {"units": "m2"}),
        },
        {
            **{n: c for n, c in known.items() if n not in ("lat", "lon")},
            "component": list(DISPLACEMENTS),
            "source": [str(name) for name in names],
            "source_lat": ("source", lat, {"units": "degrees_north"}),
            "source_lon": ("source", lon, {"units": "degrees_east"}),
        },
        {"unit": LAYER},
    )


def _polygons(name: str, geometry: Mapping[str, Any]) -> list[list[np.ndarray]]:
    """Return the rings of each polygon of a geometry, without the repeated corner."""
    kind = geometry.get("type")
    if kind not in ("Polygon", "MultiPolygon"):
        raise InputError(
            f"the outline {name} is a {kind}: only Polygon and MultiPolygon hold mass"
        )
    polygons = geometry["coordinates"]
    if kind == "Polygon":
        polygons = [polygons]
    result = []
    for polygon in polygons:
        rings = []
        for corners in polygon:
            ring = np.array([corner[:2] for corner in corners], float)
            if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
                ring = ring[:-1]
            if len(ring) < 3:
                raise InputError(f"a ring of the outline {name} has under 3 corners")
            rings.append(ring)
        result.append(rings)
    return result


def _ring_area(ring: np.ndarray) -> float:
    """Return the solid angle within a ring, positive if it goes counter-clockwise.

    Latitude goes linearly with longitude between corners, as in `region_matrix`.
    """
    lon, lat = np.radians(ring).T
    after_lon, after_lat = np.roll(lon, -1), np.roll(lat, -1)
    middle, half = (lat + after_lat) / 2.0, (after_lat - lat) / 2.0
    mean_sine = np.sin(middle) * np.sinc(half / np.pi)
    return float(-(mean_sine * (after_lon - lon)).sum())
