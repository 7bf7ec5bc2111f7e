"""Who flows into whom: order, basins, cycles and sums along a river network.

A network is the array ``downstream``: for each catchment the position of the next one,
or a negative number where the water leaves the network.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["accumulate", "basins", "components", "find_cycle", "upstream_first"]


def upstream_first(downstream: npt.ArrayLike) -> np.ndarray:
    """Order catchments so that each comes after all that drain into it.

    Basins follow each other in the order of their terminals. Within a basin a
    catchment is followed, where possible, by the one it drains into, so that the two
    lie side by side in memory.

    Parameters
    ----------
    downstream : array of int, shape (n)
        Position of the next catchment, negative at a terminal.

    Returns
    -------
    numpy.ndarray of int64
        Positions; shorter than n where there are cycles: catchments that drain into
        one are left out.

    Examples
    --------
    >>> upstream_first([2, 2, -1, 1])
    array([0, 3, 1, 2])
    """
    return _upstream_first(np.asarray(downstream, np.int64))


def find_cycle(downstream: npt.ArrayLike) -> np.ndarray:
    """Return the positions along one cycle, in flow order; none if there is none.

    Parameters
    ----------
    downstream : array of int, shape (n)
        Position of the next catchment, negative at a terminal.

    Returns
    -------
    numpy.ndarray of int64
        The catchments of a cycle.

    Examples
    --------
    >>> find_cycle([1, 2, 1, -1])
    array([1, 2])
    """
    downstream = np.asarray(downstream, np.int64)
    ordered = np.zeros(downstream.size, bool)
    ordered[upstream_first(downstream)] = True
    if ordered.all():
        return np.empty(0, np.int64)
    place = int(np.flatnonzero(~ordered)[0])
    for _ in range(downstream.size):  # after n steps it is on the cycle for certain
        place = int(downstream[place])
    cycle, after = [place], int(downstream[place])
    while after != place:
        cycle.append(after)
        after = int(downstream[after])
    first = int(np.argmin(cycle))
    return np.array(cycle[first:] + cycle[:first], np.int64)


def basins(downstream: npt.ArrayLike, order: npt.ArrayLike) -> np.ndarray:
    """Return the number of each catchment's basin.

    A basin is all catchments whose water leaves at the same terminal.

    Parameters
    ----------
    downstream : array of int, shape (n)
        Position of the next catchment, negative at a terminal.
    order : array of int, shape (n)
        Of `upstream_first`.

    Returns
    -------
    numpy.ndarray of int64
        Number of each catchment's basin, from zero, in the order of their terminals.

    Examples
    --------
    >>> basins([2, -1, -1], [1, 0, 2])
    array([1, 0, 1])
    """
    return _basins(np.asarray(downstream, np.int64), np.asarray(order, np.int64))


def components(
    basin: npt.ArrayLike, path_from: npt.ArrayLike, path_to: npt.ArrayLike
) -> np.ndarray:
    """Return the number of the group of basins, joined by paths, of each catchment.

    Parameters
    ----------
    basin : array of int, shape (n)
        Of `basins`.
    path_from, path_to : array of int, shape (p)
        Positions of the catchments each path joins.

    Returns
    -------
    numpy.ndarray of int64
        Number of each catchment's component, from zero, in the order of their first
        basin.

    Examples
    --------
    >>> components([0, 1, 2, 3], [0], [2])
    array([0, 1, 0, 2])
    """
    basin = np.asarray(basin, np.int64)
    a, b = basin[np.asarray(path_from)], basin[np.asarray(path_to)]
    group = np.arange(basin.max(initial=-1) + 1)
    _join(group, a, b)
    return np.unique(group, return_inverse=True)[1][basin]


def accumulate(
    downstream: npt.ArrayLike, order: npt.ArrayLike, values: npt.ArrayLike
) -> np.ndarray:
    """Sum a quantity over each catchment and everything upstream of it.

    Parameters
    ----------
    downstream : array of int, shape (n)
        Position of the next catchment, negative at a terminal.
    order : array of int, shape (n)
        Of `upstream_first`.
    values : array, shape (..., n)
        What is summed, such as area or runoff.

    Returns
    -------
    numpy.ndarray
        The sums, of the same shape, float64.

    Examples
    --------
    >>> accumulate([2, 2, -1], [0, 1, 2], [1.0, 2.0, 4.0])
    array([1., 2., 7.])
    """
    sums = np.array(values, float, order="C")
    rows = sums.reshape(-1, sums.shape[-1])
    _accumulate(np.asarray(downstream, np.int64), np.asarray(order, np.int64), rows)
    return sums


@numba.njit(cache=True)
def _upstream_first(downstream: np.ndarray) -> np.ndarray:
    """Return the order: depth first from each terminal, written down on the way back.

    The last tributary visited ends up beside its downstream, and the biggest is put
    there, because its water matters most often.
    """
    n = downstream.size
    first = np.zeros(n + 1, np.int64)  # CSR of the tributaries
    for i in range(n):
        if downstream[i] >= 0:
            first[downstream[i] + 1] += 1
    for i in range(n):
        first[i + 1] += first[i]
    fill = first[:-1].copy()
    tributary = np.empty(first[n], np.int64)
    for i in range(n):
        if downstream[i] >= 0:
            tributary[fill[downstream[i]]] = i
            fill[downstream[i]] += 1
    order = np.empty(n, np.int64)
    # Reversed pre-order: a catchment before its tributaries, then all turned around.
    count = 0
    stack = np.empty(n, np.int64)
    for terminal in range(n - 1, -1, -1):
        if downstream[terminal] >= 0:
            continue
        top = 1
        stack[0] = terminal
        while top > 0:
            top -= 1
            i = stack[top]
            order[count] = i
            count += 1
            for k in range(first[i], first[i + 1]):
                stack[top] = tributary[k]
                top += 1
    return order[:count][::-1].copy()


@numba.njit(cache=True)
def _basins(downstream: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the basin of every catchment, terminals counted by position."""
    basin = np.empty(downstream.size, np.int64)
    count = 0
    for i in range(downstream.size):
        if downstream[i] < 0:
            basin[i] = count
            count += 1
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        if downstream[i] >= 0:
            basin[i] = basin[downstream[i]]
    return basin


@numba.njit(cache=True)
def _join(group: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Let groups that are joined share their lowest number (union, find)."""
    for k in range(a.size):
        x, y = a[k], b[k]
        while group[x] != x:
            x = group[x]
        while group[y] != y:
            y = group[y]
        if x < y:
            group[y] = x
        else:
            group[x] = y
    for i in range(group.size):
        group[i] = group[group[i]]


@numba.njit(cache=True)
def _accumulate(downstream: np.ndarray, order: np.ndarray, rows: np.ndarray) -> None:
    """Add each catchment to the next one, in place."""
    for r in range(rows.shape[0]):
        for i in order:
            if downstream[i] >= 0:
                rows[r, downstream[i]] += rows[r, i]
