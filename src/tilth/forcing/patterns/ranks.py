"""The rank step: estimates out of the fold mapped onto what was observed.

A conditional estimate varies less than the weather. Its rank says how wet the day is
among others; the amount of that rank is read from the observations. The ranks must be
those of estimates for days that were not learnt from: in-sample estimates spread too
much, and a map made of them corrects too little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from tilth.core.errors import InputError
from tilth.forcing.patterns.transforms import Transform

__all__ = ["RankMap", "SpreadMap", "column_quantiles", "fit_ranks", "fit_spread"]

#: Probabilities of the nodes: 500 of them, between 0.05 and 99.95 %.
PROBABILITIES = np.linspace(0.0005, 0.9995, 500)

#: Equal source quantiles are told apart by this, z-scores per node.
_TIE = 1e-9

#: Days of like estimate whose errors are taken together.
_GROUPS = 10


@njit(cache=True, nogil=True, error_model="numpy")
def _along_columns(
    values: np.ndarray, nodes: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    """Interpolate each column (n, m) on its nodes (m, k); constant outside."""
    n, m = values.shape
    size = nodes.shape[1]
    result = np.empty((n, m))
    for j in range(m):
        for i in range(n):
            x = values[i, j]
            if not np.isfinite(x) or not np.isfinite(nodes[j, 0]):
                result[i, j] = np.nan
            elif x <= nodes[j, 0]:
                result[i, j] = heights[j, 0]
            elif x >= nodes[j, size - 1]:
                result[i, j] = heights[j, size - 1]
            else:
                low, high = 0, size - 1
                while high - low > 1:
                    middle = (low + high) // 2
                    if nodes[j, middle] <= x:
                        low = middle
                    else:
                        high = middle
                rise = heights[j, high] - heights[j, low]
                run = nodes[j, high] - nodes[j, low]
                result[i, j] = heights[j, low] + rise * (x - nodes[j, low]) / run
    return result


def column_quantiles(values: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return quantiles of every column, linear between order statistics.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, m)
        Without gaps.
    probabilities : numpy.ndarray, shape (k,)
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray, shape (m, k)
        As `numpy.quantile` has them (type 7 of Hyndman & Fan 1996).

    Examples
    --------
    >>> column_quantiles(np.array([[1.0], [3.0], [2.0]]), np.array([0.25, 0.5]))
    array([[1.5, 2. ]])
    """
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
    place = probabilities * (len(values) - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    share = place - low
    return ordered[:, low] * (1.0 - share) + ordered[:, high] * share


@dataclass(frozen=True)
class RankMap:
    """Where estimates of a rank go: nodes of both distributions.

    Parameters
    ----------
    source : numpy.ndarray, shape (m, k)
        Quantiles of estimates, on the scale on which it was learnt.
    target : numpy.ndarray, shape (m, k)
        Quantiles of what was observed, in its units.
    """

    source: np.ndarray
    target: np.ndarray

    def apply(
        self, estimate: np.ndarray, transform: Transform, extrapolation: str
    ) -> np.ndarray:
        """Map estimates to amounts of the same rank.

        Parameters
        ----------
        estimate : numpy.ndarray, shape (n, m)
            On the scale on which it was learnt; NaN stays.
        transform : Transform
            Of this scale.
        extrapolation : {"constant", "delta"}
            Beyond the outer nodes: their amount, or it and the difference of the
            estimates in the units of the observations.

        Returns
        -------
        numpy.ndarray, shape (n, m)
            In the units of the observations.
        """
        mapped = _along_columns(
            np.ascontiguousarray(estimate, float), self.source, self.target
        )
        if extrapolation == "delta":
            inside = np.clip(estimate, self.source[:, 0], self.source[:, -1])
            mapped = mapped + transform.inverse(estimate) - transform.inverse(inside)
            mapped = np.maximum(mapped, transform.lowest)
        return mapped


def fit_ranks(estimate: np.ndarray, observed: np.ndarray) -> RankMap:
    """Learn the map from estimates of days not learnt from to what was observed.

    Parameters
    ----------
    estimate : numpy.ndarray, shape (n, m)
        Out-of-fold estimates, any scale.
    observed : numpy.ndarray, shape (n, m)
        Of the same days, in its units; no gaps in either.

    Returns
    -------
    RankMap
        Of 500 nodes.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if estimate.shape != observed.shape:
        raise InputError(
            f"estimates and observations need one shape, got {estimate.shape} and "
            f"{observed.shape}"
        )
    source = column_quantiles(estimate, PROBABILITIES)
    source += _TIE * np.arange(PROBABILITIES.size)
    return RankMap(source, column_quantiles(observed, PROBABILITIES))


@dataclass(frozen=True)
class SpreadMap:
    """How far observations were from estimates like this one.

    Parameters
    ----------
    source : numpy.ndarray, shape (m, g)
        Mean estimate of each group of days, on the scale on which it was learnt.
    spread : numpy.ndarray, shape (m, g)
        Root mean square difference, in the units of the observations.
    """

    source: np.ndarray
    spread: np.ndarray

    def apply(self, estimate: np.ndarray) -> np.ndarray:
        """Return the spread around estimates, linear between groups.

        Parameters
        ----------
        estimate : numpy.ndarray, shape (n, m)
            On the scale on which it was learnt.

        Returns
        -------
        numpy.ndarray, shape (n, m)
            In the units of the observations.
        """
        return _along_columns(
            np.ascontiguousarray(estimate, float), self.source, self.spread
        )


def fit_spread(
    estimate: np.ndarray, observed: np.ndarray, transform: Transform
) -> SpreadMap:
    """Learn how far estimates are off, from days that were not learnt from.

    The days are put in order of their estimate and cut into ten groups of equal size;
    each counts one error more, of the mean size of all.

    Parameters
    ----------
    estimate : numpy.ndarray, shape (n, m)
        Out-of-fold estimates on the scale of `transform`, at least ten.
    observed : numpy.ndarray, shape (n, m)
        Of the same days, in its units.
    transform : Transform
        Of the estimates.

    Returns
    -------
    SpreadMap
        Of ten nodes.
    """
    rows = np.ascontiguousarray(estimate.T)
    order = np.argsort(rows, axis=1)
    ranked = np.take_along_axis(rows, order, axis=1)
    error = np.take_along_axis(observed.T, order, axis=1) - transform.inverse(ranked)
    edges = np.linspace(0, len(estimate), _GROUPS + 1).astype(int)
    count = np.diff(edges)
    square = error**2
    centre = np.add.reduceat(ranked, edges[:-1], axis=1) / count
    within = np.add.reduceat(square, edges[:-1], axis=1)
    # A group without any error, such as the driest days, is not free of it elsewhere.
    spread = np.sqrt((within + square.mean(axis=1, keepdims=True)) / (count + 1))
    return SpreadMap(centre + _TIE * np.arange(_GROUPS), spread)
