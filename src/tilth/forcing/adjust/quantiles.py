"""Quantiles, ranks and the shifts between them: the kernels under quantile mapping.

Probabilities of nodes are ``(i - 1/2) / n``; quantiles between two sorted values are
linear (Hyndman & Fan 1996, type 7), and the rank of a value is the inverse of that:
``(r - r_1) / (r_n - r_1)``, where r counts the sorted values, with its mean for equal
ones, and r_1 and r_n are those of the smallest and the largest value. Missing values
are NaN and are left out. All kernels work row by row.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from tilth.forcing.adjust.frequency import Change
from tilth.forcing.adjust.groups import TimeGroups
from tilth.forcing.adjust.sorted_rows import (
    bisect_sorted,
    quantiles_of_sorted,
    ranks_among_sorted,
    ranks_by_order,
)

#: Series worked on together: enough to call few kernels, few enough to stay in cache.
BATCH = 16

_compiled = numba.njit(cache=True, nogil=True)


def node_probabilities(n: int) -> np.ndarray:
    """Return the probabilities of n nodes, the middles of n equal shares.

    Parameters
    ----------
    n : int
        Number of nodes.

    Returns
    -------
    numpy.ndarray, shape (n,)
        ``(i - 1/2) / n`` for i from 1 to n.

    Examples
    --------
    >>> node_probabilities(4)
    array([0.125, 0.375, 0.625, 0.875])
    """
    return (np.arange(n) + 0.5) / n


def by_batches(
    work: Callable[..., tuple[np.ndarray, ...]],
    loop: tuple[int, ...],
    *arrays: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Work on many series, a few at a time.

    Parameters
    ----------
    work : callable
        Takes arrays of shape (rows, ...) and returns a tuple of such.
    loop : tuple of int
        Leading axes that all arrays share.
    *arrays : numpy.ndarray, shape (*loop, ...)
        What is worked on.

    Returns
    -------
    tuple of numpy.ndarray, shape (*loop, ...)
        The results together.
    """
    flat = [array.reshape(-1, *array.shape[len(loop) :]) for array in arrays]
    # At least one batch, empty or not, so that the results have their shapes.
    starts = range(0, max(len(flat[0]), 1), BATCH)
    parts = [work(*(array[at : at + BATCH] for array in flat)) for at in starts]
    return tuple(
        np.concatenate(found).reshape(*loop, *found[0].shape[1:])
        for found in zip(*parts, strict=True)
    )


def finite_rows(values: np.ndarray, ratio: bool) -> np.ndarray:
    """Return series as rows of double precision, ready to be sorted.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., time)
        Values; what is not finite counts as missing.
    ratio : bool
        Whether changes are ratios: then what is below zero counts as zero.

    Returns
    -------
    numpy.ndarray, shape (rows, time)
        A new array, NaN where missing.
    """
    rows = values.reshape(-1, values.shape[-1]).astype(float)
    rows[~np.isfinite(rows)] = np.nan
    if ratio:
        np.maximum(rows, 0.0, out=rows)
    return rows


def correction(
    observed: np.ndarray, modelled: np.ndarray, kind: str, ratio_cap: float
) -> np.ndarray:
    """Return what takes modelled quantiles to observed ones.

    Parameters
    ----------
    observed, modelled : numpy.ndarray, same shape
        Quantiles; NaN where there is none.
    kind : {"+", "*"}
        Difference, or ratio.
    ratio_cap : float
        Largest ratio. Where both quantiles are zero the ratio is 1, and where only the
        modelled one is, the largest.

    Returns
    -------
    numpy.ndarray
        Same shape, in the units of the quantiles or of dimension 1.
    """
    if kind == "+":
        return observed - modelled
    # A divisor so small that the ratio is beyond the cap anyway: never 0 / 0.
    known = np.isfinite(observed) & np.isfinite(modelled)
    both_dry = known & (observed <= 0) & (modelled <= 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.minimum(observed / modelled, ratio_cap)
    return np.where(both_dry, 1.0, np.where(known, ratio, np.nan))


def group_quantiles(
    rows: np.ndarray,
    groups: TimeGroups,
    probabilities: np.ndarray,
    change: Change | None = None,
) -> np.ndarray:
    """Return quantiles of every group of days.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        From `finite_rows`.
    groups : TimeGroups
        Of these times.
    probabilities : numpy.ndarray, shape (nodes,)
        Of the quantiles.
    change : callable, optional
        Changes the values of a group's window beforehand, see
        `tilth.forcing.adjust.frequency.wetting`.

    Returns
    -------
    numpy.ndarray, shape (rows, groups, nodes)
        NaN where a group has no value.
    """
    columns = rows[:, groups.order]
    result = np.empty((len(rows), len(groups.labels), len(probabilities)))
    for group, (start, stop) in enumerate(groups.window):
        values = columns[:, start:stop]
        if change is not None:
            values = change(values, group, start, stop)
        # numpy sorts with vector instructions, several times faster than a loop.
        ordered = np.sort(values, axis=-1)
        quantiles_of_sorted(ordered, probabilities, result[:, group])
    return result


def group_ranks(
    rows: np.ndarray, groups: TimeGroups, change: Change | None = None
) -> np.ndarray:
    """Return the rank of every value among those of its group's window.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        From `finite_rows`.
    groups : TimeGroups
        Of these times.
    change : callable, optional
        As for `group_quantiles`.

    Returns
    -------
    numpy.ndarray, shape (rows, time)
        0 for the smallest to 1 for the largest value, 1/2 where all are equal; NaN
        where the value is missing.
    """
    columns = rows[:, groups.order]
    result = np.empty_like(rows)
    stretches = zip(groups.window, groups.own, strict=True)
    for group, ((start, stop), (first, last)) in enumerate(stretches):
        if first == last:
            continue
        sample = columns[:, start:stop]
        if change is not None:
            sample = change(sample, group, start, stop)
        steps = groups.order[first:last]
        if (start, stop) == (first, last):
            # Finding the order is fast without NaN only: put missing values last.
            filled = np.where(np.isnan(sample), np.inf, sample)
            ranks_by_order(sample, np.argsort(filled, axis=-1), steps, result)
        else:
            # A window may wrap around the series; a group's own days are all in it.
            values = sample[:, first - start : last - start]
            ranks_among_sorted(values, np.sort(sample, axis=-1), steps, result)
    return result


@_compiled
def _at_rank(factors: np.ndarray, rank: float) -> float:
    """Return the factor at a rank: linear between nodes, constant outside them."""
    place = rank * factors.size - 0.5
    if place <= 0.0:
        return factors[0]
    below = int(place)
    if below >= factors.size - 1:
        return factors[factors.size - 1]
    return factors[below] + (place - below) * (factors[below + 1] - factors[below])


@_compiled
def _at_value(nodes: np.ndarray, factors: np.ndarray, value: float) -> float:
    """Return the factor at a value: linear between nodes, constant outside them.

    Where nodes are equal, such as many zeros, the mean of their first and last factor.
    """
    n = nodes.size
    if value < nodes[0]:
        return factors[0]
    after = bisect_sorted(nodes, n, value, True)
    if nodes[after - 1] == value:
        first = after - 1
        while first > 0 and nodes[first - 1] == value:
            first -= 1
        return 0.5 * (factors[first] + factors[after - 1])
    if after == n:
        return factors[n - 1]
    share = (value - nodes[after - 1]) / (nodes[after] - nodes[after - 1])
    return factors[after - 1] + share * (factors[after] - factors[after - 1])


@_compiled
def factors_by_rank(
    ranks: np.ndarray,
    factors: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Return the factor of every time step from its rank.

    Parameters
    ----------
    ranks : numpy.ndarray, shape (rows, time)
        0 to 1, NaN where missing.
    factors : numpy.ndarray, shape (rows, groups, nodes)
        At the probabilities of `node_probabilities`.
    first, second, weight : numpy.ndarray, shape (time,)
        Of the `TimeGroups`; where the second group has no factor, the first counts.

    Returns
    -------
    numpy.ndarray, shape (rows, time)
        NaN where there is no rank or no factor.
    """
    out = np.empty(ranks.shape)
    for row in range(ranks.shape[0]):
        for step in range(ranks.shape[1]):
            rank = ranks[row, step]
            if np.isnan(rank):
                out[row, step] = np.nan
                continue
            factor = _at_rank(factors[row, first[step]], rank)
            if weight[step] > 0.0:
                other = _at_rank(factors[row, second[step]], rank)
                if not np.isnan(other):
                    factor += weight[step] * (other - factor)
            out[row, step] = factor
    return out


@_compiled
def factors_by_value(
    values: np.ndarray,
    nodes: np.ndarray,
    factors: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Return the factor of every time step from its value.

    Parameters
    ----------
    values : numpy.ndarray, shape (rows, time)
        NaN where missing.
    nodes, factors : numpy.ndarray, shape (rows, groups, nodes)
        Modelled quantiles, rising, and the factor at each.
    first, second, weight : numpy.ndarray, shape (time,)
        Of the `TimeGroups`; where the second group has no factor, the first counts.

    Returns
    -------
    numpy.ndarray, shape (rows, time)
        NaN where there is no value or no factor.
    """
    out = np.empty(values.shape)
    for row in range(values.shape[0]):
        for step in range(values.shape[1]):
            value, group = values[row, step], first[step]
            if np.isnan(value) or np.isnan(nodes[row, group, 0]):
                out[row, step] = np.nan
                continue
            factor = _at_value(nodes[row, group], factors[row, group], value)
            other = second[step]
            if weight[step] > 0.0 and not np.isnan(nodes[row, other, 0]):
                mixed = _at_value(nodes[row, other], factors[row, other], value)
                if not np.isnan(mixed):
                    factor += weight[step] * (mixed - factor)
            out[row, step] = factor
    return out
