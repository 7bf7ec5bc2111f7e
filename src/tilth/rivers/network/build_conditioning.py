"""Elevations that fall along every river, changed as little as can be."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Longest chain of right children of a leftist heap: the logarithm of its size.
_DEEPEST = 128


def falling_elevation(
    downstream: np.ndarray, order: np.ndarray, elevation: np.ndarray
) -> np.ndarray:
    r"""Return the elevations nearest to those given that rise nowhere downstream.

    They make the sum of all changes least,

    .. math:: \min \sum_i |z_i - e_i|, \quad z_i \geq z_{d(i)} ,

    which digs through what blocks a river or fills what lies behind it, whichever is
    less, and digs where it is the same (the aim of Yamazaki et al. 2012; here the least
    sum is reached exactly). A river that falls already keeps its elevations to the last
    bit.

    Parameters
    ----------
    downstream : numpy.ndarray of int64, shape (cell)
        Next cell of each, itself where water leaves, negative outside.
    order : numpy.ndarray of int64
        Cells such that each comes after the one it flows into.
    elevation : numpy.ndarray of float64, shape (cell)
        Elevation, m.

    Returns
    -------
    numpy.ndarray of float64, shape (cell)
        Elevations in m.

    Notes
    -----
    Let :math:`g_i(x)` be the least cost of a cell and all upstream if the cell lies at
    x: convex, piecewise linear, with the slope -1 far below. Going downstream, costs
    of tributaries add up; each counts only where it rises, since a tributary may lie
    higher than the cell that it joins. So a heap of the places where the slope grows
    is kept, merged at confluences, given the cell's own elevation twice, and relieved
    of its smallest, below which the cost would fall. Going back up, each cell takes
    the best elevation not below the next one.

    References
    ----------
    Yamazaki et al. (2012), Journal of Hydrology 436-437, 81-91.

    Examples
    --------
    >>> down, order = np.array([1, 2, 3, 3]), np.array([3, 2, 1, 0])
    >>> falling_elevation(down, order, np.array([9.0, 3.0, 8.0, 2.0]))
    array([9., 3., 3., 2.])
    """
    return _falling(
        np.asarray(downstream, np.int64),
        np.asarray(order, np.int64),
        np.asarray(elevation, float),
    )


@njit(cache=True)
def _merge(a, b, key, left, right, rank, chain):
    """Merge two leftist heaps, the smallest key on top; -1 is an empty one."""
    depth = 0
    while a >= 0 and b >= 0:
        if key[b] < key[a]:
            a, b = b, a
        chain[depth] = a
        depth += 1
        a = right[a]
    merged = a if b < 0 else b
    while depth > 0:
        depth -= 1
        top = chain[depth]
        right[top] = merged
        short = rank[right[top]] if right[top] >= 0 else 0
        long = rank[left[top]] if left[top] >= 0 else 0
        if long < short:
            left[top], right[top] = right[top], left[top]
            long, short = short, long
        rank[top] = short + 1
        merged = top
    return merged


@njit(cache=True)
def _falling(downstream, order, elevation):
    """See `falling_elevation`."""
    n = order.size
    place = np.empty(elevation.size, np.int64)
    for k in range(n):
        place[order[k]] = k
    key = np.empty(2 * n)
    left = np.full(2 * n, -1, np.int64)
    right = np.full(2 * n, -1, np.int64)
    rank = np.ones(2 * n, np.int64)
    chain = np.empty(_DEEPEST, np.int64)
    heap = np.full(n, -1, np.int64)
    best = np.empty(n)
    for k in range(n - 1, -1, -1):
        i = order[k]
        key[2 * k] = key[2 * k + 1] = elevation[i]
        left[2 * k] = 2 * k + 1
        top = _merge(heap[k], 2 * k, key, left, right, rank, chain)
        # Between the smallest and the next key the cost is least: dig, where it is one.
        best[k] = key[top]
        top = _merge(left[top], right[top], key, left, right, rank, chain)
        after = place[downstream[i]]
        if after != k:
            heap[after] = _merge(heap[after], top, key, left, right, rank, chain)
    result = elevation.copy()
    for k in range(n):
        i = order[k]
        after = place[downstream[i]]
        result[i] = best[k] if after == k else max(best[k], result[downstream[i]])
    return result
