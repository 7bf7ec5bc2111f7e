"""Empirical distributions of one sorted sample: quantiles and probabilities.

The i-th of n sorted values has the probability (i - 1/2) / n; between them everything
is linear, and beyond the outermost it is constant.
"""

from __future__ import annotations

import numpy as np


def quantiles_of(ordered: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Interpolate the quantiles of a sorted sample.

    Parameters
    ----------
    ordered : numpy.ndarray
        Sorted, at least one value.
    probability : numpy.ndarray
        0 to 1.

    Returns
    -------
    numpy.ndarray
        Quantiles in the units of the sample.

    Examples
    --------
    >>> quantiles_of(np.array([1.0, 2.0]), np.array([0.0, 0.25, 0.5, 1.0]))
    array([1. , 1. , 1.5, 2. ])
    """
    return np.interp(
        probability * ordered.size - 0.5, np.arange(ordered.size, dtype=float), ordered
    )


def probabilities_of(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate the distribution function of a sorted sample.

    Of a value that occurs several times, the middle of its probabilities.

    Parameters
    ----------
    ordered : numpy.ndarray
        Sorted, at least one value.
    values : numpy.ndarray
        In the units of the sample.

    Returns
    -------
    numpy.ndarray
        Probabilities from 1/2n to 1 - 1/2n.

    Examples
    --------
    >>> probabilities_of(np.array([0.0, 0.0, 1.0, 3.0]), np.array([0.0, 2.0, 9.0]))
    array([0.25 , 0.75 , 0.875])
    """
    n = ordered.size
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    # Between two values: the share of the way from one to the next.
    low = ordered[np.maximum(left - 1, 0)]
    gap = ordered[np.minimum(left, n - 1)] - low
    way = np.where(gap > 0.0, (values - low) / np.where(gap > 0.0, gap, 1.0), 0.0)
    inside = (right == left) & (left > 0) & (left < n)
    position = np.where(
        right > left, (left + right) / 2.0, left - 0.5 + np.where(inside, way, 0.0)
    )
    return np.clip(position, 0.5, n - 0.5) / n
