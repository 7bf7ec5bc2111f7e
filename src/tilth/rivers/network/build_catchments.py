"""Unit catchments from flow directions: outlets, what drains to them, their rivers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

#: Outlets closer to the next one than this share of a unit catchment's side are left
#: out: what drains to them goes to the next, and time steps need not be that short.
SHORTEST = 0.25

#: A river starts where this share of a unit catchment drains.
RIVER_HEAD = 0.1


class Catchments(NamedTuple):
    """Unit catchments on a fine raster, in the order of rows and columns.

    Parameters
    ----------
    outlet : numpy.ndarray of int64, shape (catchment)
        Flat index of the cell where each ends.
    downstream : numpy.ndarray of int64, shape (catchment)
        Position of the next; -1 where its water leaves the raster's rivers.
    row, column : numpy.ndarray of int64, shape (catchment)
        Place on the grid of squares that the outlets were chosen for.
    label : numpy.ndarray of int64, shape (cell)
        Position of the catchment of each cell; -1 for none.
    river : numpy.ndarray of bool, shape (cell)
        Cells of the rivers.
    river_length, downstream_distance : numpy.ndarray, shape (catchment)
        Length of the river within, and along the river to the next outlet, m.
    joined_area : float
        Area that drains to the sea beside the outlet of its square, m2.
    """

    outlet: np.ndarray
    downstream: np.ndarray
    row: np.ndarray
    column: np.ndarray
    label: np.ndarray
    river: np.ndarray
    river_length: np.ndarray
    downstream_distance: np.ndarray
    joined_area: float


def unit_catchments(
    flow: Any, factor: int, area: np.ndarray, height: np.ndarray, width: np.ndarray
) -> Catchments:
    """Divide a raster of flow directions into unit catchments.

    Outlets are chosen for squares of cells by iterative hydrography upscaling; where
    they flow to is followed cell by cell. Small drainage of a coast that no outlet
    takes goes to the catchment of the square its mouth lies in, or becomes one where
    there is none: every cell belongs to a catchment.

    Parameters
    ----------
    flow : pyflwdir.FlwdirRaster
        Flow directions without loops.
    factor : int
        Cells along the side of a square; with 1 every cell is a catchment.
    area : numpy.ndarray, shape (row, column)
        Area of cells, m2.
    height, width : numpy.ndarray, shape (row)
        Distance between neighbours along columns and rows, m.

    Returns
    -------
    Catchments
        At least one.

    References
    ----------
    Eilander et al. (2021), Hydrology and Earth System Sciences 25, 5287-5313 (IHU);
    Yamazaki et al. (2009), the same 13, 2241-2251, for networks whose links are
    followed on the fine raster.
    """
    down = flow.idxs_ds.astype(np.int64)
    order = flow.idxs_seq.astype(np.int64)
    shape = flow.shape
    upstream_area = flow.accuflux(np.where(flow.mask.reshape(shape), area, 0.0)).ravel()
    side = factor * np.sqrt(area.ravel()[order].mean())
    if factor == 1:
        chosen = order
    elif factor >= max(shape):  # one square: the largest river's end is its outlet
        ends = order[down[order] == order]
        chosen = ends[[np.argmax(upstream_area[ends])]]
    else:
        _, outlets = flow.upscale(
            factor, method="ihu", uparea=upstream_area.reshape(shape)
        )
        chosen = outlets.ravel().astype(np.int64)
        chosen = np.unique(chosen[chosen >= 0])
    is_outlet = np.zeros(down.size, bool)
    is_outlet[chosen] = True
    _end_at_terminals(down, order, is_outlet)
    least = SHORTEST * side if factor > 1 else 0.0
    _drop_short(down, order, is_outlet, shape[1], height, width, least)
    squares = _squares(np.arange(down.size), shape, factor)
    joins = _give_outlets(down, order, is_outlet, squares, upstream_area)

    outlet = np.flatnonzero(is_outlet)
    outlet = outlet[np.lexsort((outlet, squares[outlet]))]
    number = np.full(down.size, -1, np.int64)
    number[outlet] = np.arange(outlet.size)
    pits, owners = joins
    number[pits] = number[owners]
    label, after, distance = _labels(
        down, order, is_outlet, number, shape[1], height, width
    )
    downstream = np.where(down[outlet] == outlet, -1, after[outlet])
    head = RIVER_HEAD * side**2 if factor > 1 else 0.0
    main = _main_upstream(down, order, upstream_area, head)
    river = np.zeros(down.size, bool)
    river[pits] = True
    length = _rivers(main, outlet, is_outlet, river, shape[1], height, width)
    length = np.maximum(length, np.sqrt(area.ravel()[outlet]))
    per_row = -(-shape[1] // factor)
    row, column = np.divmod(squares[outlet], per_row)
    return Catchments(
        outlet,
        downstream,
        row,
        column,
        label,
        river,
        length,
        np.where(downstream < 0, length, distance[outlet]),
        float(upstream_area[pits].sum()),
    )


def _squares(cells: np.ndarray, shape: tuple[int, int], factor: int) -> np.ndarray:
    """Return the flat index of the square that each cell lies in."""
    row, column = np.divmod(cells, shape[1])
    return row // factor * -(-shape[1] // factor) + column // factor


def _give_outlets(
    down: np.ndarray,
    order: np.ndarray,
    is_outlet: np.ndarray,
    squares: np.ndarray,
    upstream_area: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Give every terminal an outlet: its own, or that of its square.

    Returns
    -------
    terminal, outlet : numpy.ndarray of int64
        Terminals that are none themselves, and the outlet of the square of each.
    """
    loose = order[(down[order] == order) & ~is_outlet[order]]
    owner = {int(squares[cell]): int(cell) for cell in np.flatnonzero(is_outlet)}
    joins: list[tuple[int, int]] = []
    for cell in loose[np.argsort(-upstream_area[loose], kind="stable")]:
        square = int(squares[cell])
        if square in owner:
            joins.append((int(cell), owner[square]))
        else:
            owner[square] = int(cell)
            is_outlet[cell] = True
    terminal, outlet = np.array(joins, np.int64).reshape(-1, 2).T
    return terminal, outlet


@njit(cache=True)
def _step(a, b, columns, height, width):
    """Return the distance between two neighbours, m."""
    row_a, row_b = a // columns, b // columns
    north = (row_a - row_b) * (height[row_a] + height[row_b]) / 2.0
    east = (a % columns - b % columns) * (width[row_a] + width[row_b]) / 2.0
    return np.hypot(north, east)


@njit(cache=True)
def _end_at_terminals(down, order, is_outlet):
    """Mark the terminal of every river that has an outlet: it must not end before."""
    carries = is_outlet.copy()
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        if carries[i] and down[i] == i:
            is_outlet[i] = True
        elif carries[i]:
            carries[down[i]] = True


@njit(cache=True)
def _drop_short(down, order, is_outlet, columns, height, width, least):
    """Take the mark off outlets that are too close to the next one."""
    distance = np.zeros(down.size)
    for i in order:
        after = down[i]
        if after == i:
            continue
        so_far = 0.0 if is_outlet[after] else distance[after]
        distance[i] = so_far + _step(i, after, columns, height, width)
        if is_outlet[i] and distance[i] < least:
            is_outlet[i] = False


@njit(cache=True)
def _labels(down, order, is_outlet, number, columns, height, width):
    """Return each cell's catchment, the next one, and how far that outlet is, m."""
    label = np.full(down.size, -1, np.int64)
    after = np.full(down.size, -1, np.int64)
    distance = np.zeros(down.size)
    for i in order:
        next_cell = down[i]
        if next_cell == i:
            label[i] = number[i]
            continue
        label[i] = number[i] if is_outlet[i] else label[next_cell]
        after[i] = label[next_cell]
        so_far = 0.0 if is_outlet[next_cell] else distance[next_cell]
        distance[i] = so_far + _step(i, next_cell, columns, height, width)
    return label, after, distance


@njit(cache=True)
def _main_upstream(down, order, upstream_area, least):
    """Return the upstream neighbour with the largest area of each cell; -1 at heads."""
    main = np.full(down.size, -1, np.int64)
    largest = np.full(down.size, least)
    for i in order:
        after = down[i]
        if after != i and upstream_area[i] > largest[after]:
            main[after] = i
            largest[after] = upstream_area[i]
    return main


@njit(cache=True)
def _rivers(main, outlet, is_outlet, river, columns, height, width):
    """Mark the river of each catchment from its outlet up; return its length, m."""
    length = np.zeros(outlet.size)
    for k in range(outlet.size):
        cell = outlet[k]
        river[cell] = True
        while main[cell] >= 0:
            length[k] += _step(cell, main[cell], columns, height, width)
            cell = main[cell]
            if is_outlet[cell]:
                break
            river[cell] = True
    return length
