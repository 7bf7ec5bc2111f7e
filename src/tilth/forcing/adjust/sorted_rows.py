"""Quantiles and ranks of rows that are sorted: compiled loops.

Missing values are NaN and sorted last. Conventions are those of
`tilth.forcing.adjust.quantiles`.
"""

from __future__ import annotations

import numba
import numpy as np

_compiled = numba.njit(cache=True, nogil=True)


@_compiled
def _count_present(ordered: np.ndarray) -> int:
    """Return how many values of a sorted row are no NaN, which sorts last."""
    low, high = 0, ordered.size
    while low < high:
        middle = (low + high) // 2
        if np.isnan(ordered[middle]):
            high = middle
        else:
            low = middle + 1
    return low


@_compiled
def quantiles_of_sorted(
    ordered: np.ndarray, probabilities: np.ndarray, out: np.ndarray
) -> None:
    """Write the quantiles of sorted rows into `out`.

    Parameters
    ----------
    ordered : numpy.ndarray, shape (rows, n)
        Sorted, NaN last.
    probabilities : numpy.ndarray, shape (nodes,)
        Of the quantiles.
    out : numpy.ndarray, shape (rows, nodes)
        Filled; NaN in a row without values.
    """
    for row in range(ordered.shape[0]):
        n = _count_present(ordered[row])
        for node in range(probabilities.size):
            if n == 0:
                out[row, node] = np.nan
                continue
            place = probabilities[node] * (n - 1)
            below = int(place)
            above = min(below + 1, n - 1)
            share = place - below
            value = ordered[row, below]
            out[row, node] = value + share * (ordered[row, above] - value)


@_compiled
def _equal_ends(values: np.ndarray, order: np.ndarray, n: int) -> tuple[float, float]:
    """Return the mean places of all that equal the smallest and the largest value."""
    if n == 0:
        return 0.0, 0.0
    last = 0
    while last + 1 < n and values[order[last + 1]] == values[order[0]]:
        last += 1
    first = n - 1
    while first > 0 and values[order[first - 1]] == values[order[n - 1]]:
        first -= 1
    return 0.5 * last, 0.5 * (first + n - 1)


@_compiled
def _stretched(place: float, low: float, high: float) -> float:
    """Return the rank of a place: 0 at the low end, 1 at the high one."""
    return (place - low) / (high - low) if high > low else 0.5


@_compiled
def ranks_by_order(
    values: np.ndarray, order: np.ndarray, steps: np.ndarray, out: np.ndarray
) -> None:
    """Write the ranks of values among themselves into `out`.

    Parameters
    ----------
    values : numpy.ndarray, shape (rows, n)
        NaN where missing.
    order : numpy.ndarray of int, shape (rows, n)
        What sorts each row, missing values last.
    steps : numpy.ndarray of int, shape (n,)
        Columns of `out` that the values belong to.
    out : numpy.ndarray, shape (rows, time)
        Filled at `steps`.
    """
    n_all = values.shape[1]
    for row in range(values.shape[0]):
        n = n_all
        while n > 0 and np.isnan(values[row, order[row, n - 1]]):
            n -= 1
            out[row, steps[order[row, n]]] = np.nan
        low, high = _equal_ends(values[row], order[row], n)
        first = 0
        while first < n:
            value = values[row, order[row, first]]
            last = first
            while last + 1 < n and values[row, order[row, last + 1]] == value:
                last += 1
            rank = _stretched(0.5 * (first + last), low, high)
            for place in range(first, last + 1):
                out[row, steps[order[row, place]]] = rank
            first = last + 1


@_compiled
def bisect_sorted(ordered: np.ndarray, n: int, value: float, after_equals: bool) -> int:
    """Return how many sorted values lie below another value.

    Parameters
    ----------
    ordered : numpy.ndarray
        Sorted.
    n : int
        How many of them count, from the first.
    value : float
        No NaN.
    after_equals : bool
        Whether values equal to it count, too.

    Returns
    -------
    int
        0 to n.
    """
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value or (after_equals and ordered[middle] == value):
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def ranks_among_sorted(
    values: np.ndarray, ordered: np.ndarray, steps: np.ndarray, out: np.ndarray
) -> None:
    """Write the ranks of values among a larger sorted sample into `out`.

    Parameters
    ----------
    values : numpy.ndarray, shape (rows, n)
        Part of the sample; NaN where missing.
    ordered : numpy.ndarray, shape (rows, m)
        The sample, sorted, NaN last.
    steps : numpy.ndarray of int, shape (n,)
        Columns of `out` that the values belong to.
    out : numpy.ndarray, shape (rows, time)
        Filled at `steps`.
    """
    itself = np.arange(ordered.shape[1])
    for row in range(values.shape[0]):
        n = _count_present(ordered[row])
        low, high = _equal_ends(ordered[row], itself, n)
        for place in range(values.shape[1]):
            value = values[row, place]
            if np.isnan(value):
                out[row, steps[place]] = np.nan
                continue
            first = bisect_sorted(ordered[row], n, value, False)
            last = bisect_sorted(ordered[row], n, value, True) - 1
            out[row, steps[place]] = _stretched(0.5 * (first + last), low, high)
