"""Cells of rectilinear latitude-longitude grids: edges, areas and what they share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.regrid_places import LATITUDE, LONGITUDE, geographic_coordinate

if TYPE_CHECKING:
    from scipy import sparse

#: Radius of the sphere with the area of the WGS 84 ellipsoid, m.
EARTH_RADIUS = 6_371_007.2

#: Edges of two grids closer than this share of a cell are one edge: what is between
#: them is the rounding of coordinates.
_SAME_EDGE = 1e-6

#: Cells that miss or overlap each other by less than this share of one where they have
#: gone around do so by rounding: single precision is good to 3e-5 degrees there.
SAME_TURN = 1e-2

_FULL_CIRCLE = 360.0


@dataclass(frozen=True)
class Axis:
    """Intervals along latitude or longitude, degrees, in the order of the data.

    Parameters
    ----------
    name : str
        Name of the dimension.
    coordinate : xarray.DataArray
        Centres as they are in the data.
    low, high : numpy.ndarray
        Southern (western) and northern (eastern) edge of every cell.
    """

    name: Hashable
    coordinate: xr.DataArray
    low: np.ndarray
    high: np.ndarray

    def part(self, cells: slice) -> Axis:
        """Return some of the intervals."""
        return replace(
            self,
            coordinate=self.coordinate[cells],
            low=self.low[cells],
            high=self.high[cells],
        )


@dataclass(frozen=True)
class LatLonGrid:
    """A rectilinear grid on the sphere.

    Parameters
    ----------
    lat, lon : Axis
        Its rows and columns.
    """

    lat: Axis
    lon: Axis

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.lat.low.size, self.lon.low.size

    def area(self) -> np.ndarray:
        """Return the area of every cell on the sphere, m2 (row, column)."""
        rows = _zone(self.lat.low, self.lat.high)
        columns = np.radians(self.lon.high - self.lon.low)
        return EARTH_RADIUS**2 * rows[:, None] * columns


def latlon_grid(data: xr.DataArray | xr.Dataset) -> LatLonGrid:
    """Return the grid that data lie on.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        With one-dimensional coordinates of latitude and longitude, degrees, known by
        their names (lat, latitude, lon, longitude), ``standard_name`` or units. Rows
        may go north or south, columns may pass the seam of the longitudes. Where a
        coordinate names its ``bounds`` and they are there, they are the edges;
        otherwise the middles between the centres are, and the poles at most; of a whole
        set of Gaussian latitudes the outer edges are the poles.

    Returns
    -------
    LatLonGrid
        The cells.

    Raises
    ------
    InputError
        If there are no such coordinates, or they do not make cells.
    """
    lat, lon = _axis(data, LATITUDE), _axis(data, LONGITUDE)
    outside = (lat.low < -90.0 - 1e-9) | (lat.high > 90.0 + 1e-9)
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{lat.name} must lie between the poles, -90 and 90 degrees; its cell {at} "
            f"reaches from {lat.low[at]:g} to {lat.high[at]:g}"
        )
    width = lon.high.max() - lon.low.min()
    if width > _FULL_CIRCLE + SAME_TURN * (lon.high - lon.low).min():
        raise InputError(
            f"{lon.name} goes around more than once: its cells reach over {width:g} "
            "degrees; drop the meridian that is there twice"
        )
    return LatLonGrid(lat, lon)


def overlap(source: LatLonGrid, target: LatLonGrid) -> sparse.csr_matrix:
    """Return the area that every pair of cells shares.

    Parameters
    ----------
    source, target : LatLonGrid
        Two grids.

    Returns
    -------
    scipy.sparse.csr_matrix, shape (target cells, source cells)
        Shared area, m2; cells counted along rows. Of a source that the target covers,
        each column adds up to the area of its cell.
    """
    rows = _shared(source.lat, target.lat, _zone)
    columns = _shared(source.lon, target.lon, _sector, _FULL_CIRCLE)
    matrices = load("scipy.sparse", "stats")
    return matrices.kron(rows, columns, format="csr") * EARTH_RADIUS**2


def with_common_edges(grid: LatLonGrid, other: LatLonGrid) -> LatLonGrid:
    """Return the grid with edges that all but coincide with the other's moved there.

    Parameters
    ----------
    grid, other : LatLonGrid
        The one to change, and the one to go by.

    Returns
    -------
    LatLonGrid
        Edges closer to one of the other's than a millionth of a cell are equal to it.
    """
    lat, lon = (
        _snapped(grid.lat, other.lat),
        _snapped(grid.lon, other.lon, _FULL_CIRCLE),
    )
    return LatLonGrid(lat, lon)


def _zone(south: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Return the area between parallels on the unit sphere per radian of longitude."""
    # sin(north) - sin(south), without the loss of digits near the poles.
    middle, half = np.radians(north + south) / 2.0, np.radians(north - south) / 2.0
    return 2.0 * np.cos(middle) * np.sin(half)


def _sector(west: np.ndarray, east: np.ndarray) -> np.ndarray:
    """Return the angle between meridians, radians."""
    return np.radians(east - west)


def _axis(data: xr.DataArray | xr.Dataset, kind: tuple[str, str, str]) -> Axis:
    """Return the intervals along one of the two coordinates."""
    centres = geographic_coordinate(data, kind)
    if centres.dims != (centres.name,):
        raise InputError(
            f"{centres.name} has the dimensions "
            f"{', '.join(map(str, centres.dims)) or 'none'}: only grids whose rows "
            "follow parallels and whose columns follow meridians have cells that can "
            "be known from it"
        )
    values = centres.values.astype(float)
    if not np.isfinite(values).all():
        raise InputError(f"{centres.name} has values that are not numbers")
    values = np.unwrap(values, period=_FULL_CIRCLE) if kind is LONGITUDE else values
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        way = (
            f"; a region on both sides of 0 is brought together by data.assign_coords("
            f"{centres.name}=(data.{centres.name} + 180) % 360 - 180)"
            f".sortby({str(centres.name)!r})"
            if kind is LONGITUDE
            else ""
        )
        raise InputError(
            f"{centres.name} must increase or decrease from cell to cell{way}"
        )
    bounds = centres.attrs.get("bounds")
    if bounds is not None and bounds in getattr(data, "variables", data.coords):
        low, high = _given_edges(data[bounds], values, kind is LONGITUDE)
    else:
        low, high = _edges_between(values, str(centres.name))
        if kind is LATITUDE:
            low, high = np.maximum(low, -90.0), np.minimum(high, 90.0)
            low, high = _to_the_poles(values, low, high)
    return Axis(centres.name, centres, low, high)


def _edges_between(centres: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return edges half way between centres; the outer cells are symmetric."""
    if centres.size < 2:
        raise InputError(
            f"{name} has one value, whose cell could have any width: give its edges "
            f"as bounds (attribute bounds, and a variable of the shape (1, 2))"
        )
    if name.lower().startswith("lat") and np.abs(centres).max() > 90.0:
        raise InputError(
            f"{name} must lie between the poles, -90 and 90 degrees; it reaches "
            f"{centres[np.argmax(np.abs(centres))]:g}"
        )
    middle = (centres[1:] + centres[:-1]) / 2.0
    first = centres[0] - (middle[0] - centres[0])
    last = centres[-1] + (centres[-1] - middle[-1])
    edges = np.concatenate([[first], middle, [last]])
    return np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])


def _to_the_poles(
    centres: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges, the outer ones at the poles if these are Gaussian latitudes.

    The first of them is three quarters of a step from the pole, so that the middle rule
    would leave a cap out; a whole set of them is for integrals over the whole sphere.
    """
    count = centres.size
    order = np.argsort(centres)
    # McMahon's expansion for the zeros of Legendre polynomials (Abramowitz & Stegun
    # 22.16.6), good to 0.7 % of a step from two latitudes on.
    angle = np.pi * (4.0 * np.arange(count) + 3.0) / (4.0 * count + 2.0)
    gaussian = 90.0 - np.degrees(angle + 1.0 / (8.0 * count**2 * np.tan(angle)))
    step = 180.0 / count
    if np.abs(np.sort(centres)[::-1] - gaussian).max() < 0.02 * step:
        low, high = low.copy(), high.copy()
        low[order[0]], high[order[-1]] = -90.0, 90.0
    return low, high


def _given_edges(
    bounds: xr.DataArray, centres: np.ndarray, circular: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges in a variable of bounds."""
    if bounds.shape != (centres.size, 2):
        raise InputError(
            f"the bounds {bounds.name} need the shape ({centres.size}, 2), they have "
            f"{bounds.shape}"
        )
    edges = bounds.values.astype(float)
    if circular:  # each edge on the side of the seam where its centre is
        edges = edges - _FULL_CIRCLE * np.round(
            (edges - centres[:, None]) / _FULL_CIRCLE
        )
    low, high = edges.min(axis=1), edges.max(axis=1)
    order = np.argsort(low)
    gap = (low[order][1:] - high[order][:-1]) / (high - low).min()
    inside = (low <= centres) & (centres <= high) & (low < high)
    if not inside.all() or (gap < -_SAME_EDGE).any():
        raise InputError(
            f"the bounds {bounds.name} must enclose the centres of their cells, and "
            "cells must not overlap"
        )
    return low, high


def _shared(
    source: Axis,
    target: Axis,
    size: Callable[[np.ndarray, np.ndarray], np.ndarray],
    period: float = 0.0,
) -> sparse.csr_matrix:
    """Return the size of what each target interval shares with each of the source."""
    order = np.argsort(source.low, kind="stable")
    low, high = source.low[order], source.high[order]
    target_low, target_high = target.low, target.high
    if period:
        # Bring the target's start into the first turn of the source; it then ends in
        # the second at the latest.
        turns = np.floor((target_low.min() - low[0]) / period) * period
        target_low, target_high = target_low - turns, target_high - turns
        low, high = np.append(low, low + period), np.append(high, high + period)
        order = np.append(order, order)
    first = np.searchsorted(high, target_low, "right")
    last = np.searchsorted(low, target_high, "left")
    count = np.maximum(last - first, 0)
    rows = np.repeat(np.arange(target_low.size), count)
    start = np.cumsum(count) - count
    columns = np.arange(count.sum()) - np.repeat(start, count) + np.repeat(first, count)
    west = np.maximum(low[columns], target_low[rows])
    east = np.minimum(high[columns], target_high[rows])
    shape = (target_low.size, source.low.size)
    matrices = load("scipy.sparse", "stats")
    return matrices.csr_matrix((size(west, east), (rows, order[columns])), shape)


def _snapped(axis: Axis, other: Axis, period: float = 0.0) -> Axis:
    """Return the axis with edges that all but coincide with the other's moved there."""
    width = min((axis.high - axis.low).min(), (other.high - other.low).min())
    edges = np.unique(np.concatenate([other.low, other.high]))
    low, high = (
        _nearest(values, edges, _SAME_EDGE * width, period)
        for values in (axis.low, axis.high)
    )
    return replace(axis, low=low, high=high)


def _nearest(
    values: np.ndarray, edges: np.ndarray, tolerance: float, period: float
) -> np.ndarray:
    """Return the values, each replaced by an edge that is closer than the tolerance."""
    turns = period * np.floor((values - edges[0]) / period) if period else 0.0
    every = np.append(edges, edges[0] + period) if period else edges
    place = values - turns
    after = np.clip(np.searchsorted(every, place), 1, every.size - 1)
    left, right = every[after - 1], every[after]
    closest = np.where(place - left < right - place, left, right)
    return np.where(np.abs(closest - place) < tolerance, closest + turns, values)
