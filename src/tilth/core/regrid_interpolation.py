"""Values between the centres of a grid: bilinear weights, and the cell around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.regrid_cells import SAME_TURN, Axis, LatLonGrid, latlon_grid
from tilth.core.regrid_places import Positions, positions
from tilth.core.regrid_weights import Regridder

_FULL_CIRCLE = 360.0

#: Places closer to a centre than this share of a step are on it: what is between them
#: is the rounding of coordinates.
_ON_CENTRE = 1e-6

#: Cells: a place in the outermost cell, but beyond its centre, has the cell's value.
_IN_CELL = 0.5


#: Rows or columns of the source for each place, each with its share of the weight.
_Parts = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Line:
    """Centres along one direction, increasing, and which row or column each is.

    A row numbered as one before the first or one after the last is a pole.
    """

    nodes: np.ndarray
    index: np.ndarray
    first: float
    period: float


@dataclass(frozen=True)
class _Between:
    """The two centres on either side of places, and how far it is to the second."""

    before: np.ndarray
    after: np.ndarray
    share: np.ndarray
    inside: np.ndarray


def bilinear(
    source: xr.DataArray | xr.Dataset,
    target: xr.DataArray | xr.Dataset,
    *,
    reach: float = _IN_CELL,
) -> Regridder:
    r"""Return bilinear weights from a latitude-longitude grid to a grid or to points.

    Between the centres of four cells, with the shares :math:`s` of the way north and
    :math:`t` of the way east in degrees,

    .. math:: y = (1-s)(1-t)\,x_{sw} + (1-s)t\,x_{se} + s(1-t)\,x_{nw} + st\,x_{ne} .

    A grid that goes around is closed at its seam. Where its outermost rows are next to
    a pole, the value there is the mean of the row. A gap takes its weight out of the
    mean (`Regridder.apply`).

    Parameters
    ----------
    source : xarray.DataArray or xarray.Dataset
        Anything on a latitude-longitude grid; see
        `tilth.core.regrid_cells.latlon_grid`.
    target : xarray.DataArray or xarray.Dataset
        Anything with latitude and longitude: a grid, a bent grid, or stations or cells
        along one dimension; see `tilth.core.regrid_places.positions`.
    reach : float, default 0.5
        How far beyond the outermost centres the values there are carried, cells: 0.5 is
        to the edge of the outermost cells, 0 not at all, ``numpy.inf`` any distance (a
        place outside then has the value of the nearest point of the box of centres).
        What is farther away is a gap.

    Returns
    -------
    Regridder
        From the centres to the target.

    Raises
    ------
    InputError
        If the source is on no such grid, the target's coordinates are not numbers, or
        `reach` is negative.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> lat, lon = [-45.0, 45.0], [45.0, 135.0, 225.0, 315.0]
    >>> field = xr.DataArray(np.arange(8.0).reshape(2, 4), {"lat": lat, "lon": lon})
    >>> sites = {"lat": ("site", [0.0, 45.0]), "lon": ("site", [90.0, -90.0])}
    >>> bilinear(field, xr.Dataset(coords=sites)).apply(field).values
    array([2.5, 6.5])
    """
    if not reach >= 0.0:
        raise InputError(f"reach must not be negative, got {reach} cells")
    rows, columns, places = _around(source, target, reach)
    two_rows = [(rows.before, 1 - rows.share), (rows.after, rows.share)]
    two_columns = [(columns.before, 1 - columns.share), (columns.after, columns.share)]
    inside = rows.inside & columns.inside
    return _weights(source, places, two_rows, two_columns, inside)


def cell_of(
    source: xr.DataArray | xr.Dataset, target: xr.DataArray | xr.Dataset
) -> Regridder:
    """Return weights that give each place the value of the cell it lies in.

    The cell is that of the nearest row and of the nearest column; half way between two
    it is the southern, the western one.

    Parameters
    ----------
    source, target : xarray.DataArray or xarray.Dataset
        As for `bilinear`.

    Returns
    -------
    Regridder
        With one weight for each place that lies in a cell.

    Raises
    ------
    InputError
        As for `bilinear`.
    """
    rows, columns, places = _around(source, target, _IN_CELL, poles=False)
    row, column = (
        [(np.where(b.share > 0.5 + _ON_CENTRE, b.after, b.before), np.ones(1))]
        for b in (rows, columns)
    )
    return _weights(source, places, row, column, rows.inside & columns.inside)


def _around(
    source: xr.DataArray | xr.Dataset,
    target: xr.DataArray | xr.Dataset,
    reach: float,
    poles: bool = True,
) -> tuple[_Between, _Between, Positions]:
    """Return the rows and the columns around each place of the target."""
    grid = latlon_grid(source)
    to = positions(target)
    if not (np.isfinite(to.lat).all() and np.isfinite(to.lon).all()):
        raise InputError("a place of the target has a latitude or longitude of NaN")
    columns, closed = _columns(grid.lon)
    rows = _rows(grid.lat, closed)
    lat = _between(rows, to.lat, reach)
    if closed and not poles:  # the cells next to a pole reach it
        count = grid.lat.low.size
        before, after = lat.before, lat.after
        lat = _Between(
            np.where(before < 0, after, before),
            np.where(after == count, before, after),
            lat.share,
            lat.inside,
        )
    return lat, _between(columns, to.lon, reach), to


def _columns(axis: Axis) -> tuple[_Line, bool]:
    """Return the meridians of the centres, and whether they go around."""
    values = np.unwrap(axis.coordinate.values.astype(float), period=_FULL_CIRCLE)
    order = np.argsort(values)
    nodes = values[order]
    width = axis.high.max() - axis.low.min()
    closed = bool(width > _FULL_CIRCLE - SAME_TURN * (axis.high - axis.low).min())
    if closed:
        nodes, order = (
            np.append(nodes, nodes[0] + _FULL_CIRCLE),
            np.append(order, order[0]),
        )
        return _Line(nodes, order, float(nodes[0]), _FULL_CIRCLE), True
    # The turn in which most of what is outside is on its own side of the grid.
    first = (nodes[0] + nodes[-1] - _FULL_CIRCLE) / 2.0
    return _Line(nodes, order, float(first), _FULL_CIRCLE), False


def _rows(axis: Axis, closed: bool) -> _Line:
    """Return the parallels of the centres, and the poles if rows are next to them."""
    values = axis.coordinate.values.astype(float)
    index = np.argsort(values)
    nodes = values[index]
    if closed and nodes.size > 1:
        steps = np.diff(nodes) * (1.0 + _ON_CENTRE)
        if 0.0 < nodes[0] + 90.0 <= steps[0]:
            nodes, index = np.append(-90.0, nodes), np.append(-1, index)
        if 0.0 < 90.0 - nodes[-1] <= steps[-1]:
            nodes, index = np.append(nodes, 90.0), np.append(index, values.size)
    return _Line(nodes, index, 0.0, 0.0)


def _between(line: _Line, places: np.ndarray, reach: float) -> _Between:
    """Return where places are between the centres of a line."""
    nodes = line.nodes
    if nodes.size < 2:
        raise InputError(
            "bilinear weights need two rows and two columns of the source: take the "
            "nearest cell instead"
        )
    if line.period:
        places = (places - line.first) % line.period + line.first
    after = np.clip(np.searchsorted(nodes, places, "right"), 1, nodes.size - 1)
    share = (places - nodes[after - 1]) / (nodes[after] - nodes[after - 1])
    beyond = np.maximum(-share, share - 1.0)
    share = np.clip(share, 0.0, 1.0)
    share = np.where(np.minimum(share, 1.0 - share) < _ON_CENTRE, share.round(), share)
    inside = beyond <= reach + _ON_CENTRE
    return _Between(line.index[after - 1], line.index[after], share, inside)


def _weights(
    source: xr.DataArray | xr.Dataset,
    to: Positions,
    rows: _Parts,
    columns: _Parts,
    inside: np.ndarray,
) -> Regridder:
    """Return the regridder whose weights are products of those of rows and columns."""
    grid = latlon_grid(source)
    height, width = grid.shape
    shape = to.places.area.shape
    place = np.arange(to.places.area.size).reshape(shape)
    entries = []
    for row, part in rows:
        row, part, wanted = np.broadcast_arrays(row, part, inside & (part > 0.0))
        pole = (row < 0) | (row == height)
        entries.append(_row_means(grid, place, row, part, wanted & pole))
        for column, other in columns:
            column, weight = np.broadcast_arrays(column, part * other)
            here = wanted & ~pole & (weight > 0.0)
            cells = row[here] * width + column[here]
            entries.append((place[here], cells, weight[here]))
    target, cell, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    weights = load("scipy.sparse", "stats").csr_matrix(
        (value, (target, cell)), (place.size, height * width)
    )
    return Regridder(weights, np.ones(place.size), positions(source).bare(), to.places)


def _row_means(
    grid: LatLonGrid,
    place: np.ndarray,
    row: np.ndarray,
    weight: np.ndarray,
    wanted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries of places whose value is made of the mean of an outer row."""
    width = grid.lon.low.size
    order = np.argsort(grid.lat.low)
    last = np.where(row[wanted] < 0, order[0], order[-1])
    share = grid.lon.high - grid.lon.low
    cells = last[:, None] * width + np.arange(width)
    values = weight[wanted][:, None] * (share / share.sum())
    return np.repeat(place[wanted], width), cells.ravel(), values.ravel()
