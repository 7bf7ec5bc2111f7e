"""Correlations compared on Fisher's scale, where their spread is even."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from tilth.core.errors import InputError
from tilth.stats.paired import PairedTest, check_level, paired_t


def fisher_z(
    first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95
) -> PairedTest:
    r"""Test paired correlations on Fisher's scale, where their spread is even.

    .. math:: z = \operatorname{artanh} r

    A correlation of 0.9 that becomes 0.95 has gained as much as one of 0 that
    becomes 0.36. The t test of the paired z follows; sites are taken for
    independent.

    Parameters
    ----------
    first, second : array_like, shape (..., n)
        Correlations of two forecasts with the observations at the same sites; pairs
        with a missing value are left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    PairedTest
        Difference, error and interval on the scale of z.

    Raises
    ------
    InputError
        If a correlation is not inside -1..1, shapes differ or `level` is not
        between 0 and 1.

    References
    ----------
    Fisher (1921), Metron 1, 3-32.
    """
    a, b = (_correlations(values) for values in (first, second))
    found = paired_t(np.arctanh(a), np.arctanh(b), level=level)
    return replace(found, method="paired t of Fisher's z")


def correlation_interval(
    correlation: npt.ArrayLike, count: npt.ArrayLike, *, level: float = 0.95
) -> tuple[Any, Any]:
    r"""Return the interval of a correlation on Fisher's scale.

    .. math:: \tanh\left(\operatorname{artanh} r \pm
       \frac{\Phi^{-1}((1 + p)/2)}{\sqrt{n - 3}}\right)

    Parameters
    ----------
    correlation : array_like
        r, inside -1..1.
    count : array_like
        Independent pairs behind it (above 3); of series with a memory use
        `effective_sample_size`.
    level : float, optional
        Probability p of the interval.

    Returns
    -------
    lower, upper : float or numpy.ndarray
        Ends of the interval; NaN with three pairs or fewer.

    Raises
    ------
    InputError
        If a correlation is not inside -1..1 or `level` is not between 0 and 1.

    Examples
    --------
    >>> low, high = correlation_interval(0.5, 28)
    >>> print(f"{low:.3f} {high:.3f}")
    0.156 0.736
    """
    check_level(level)
    z = np.arctanh(_correlations(correlation))
    n = np.asarray(count, float)
    half = special.ndtri((1.0 + level) / 2.0) / np.sqrt(np.where(n > 3, n - 3, np.nan))
    return _plain(np.tanh(z - half)), _plain(np.tanh(z + half))


def compare_correlations(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    between: npt.ArrayLike,
    count: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> PairedTest:
    r"""Test, at one site, two forecasts' correlations with the same observations.

    Both share the observations, and the forecasts are alike; with their own
    correlation :math:`r_x` and :math:`\bar{r^2} = (r_1^2 + r_2^2)/2`,

    .. math::

        Z &= (z_1 - z_2) \sqrt{\frac{n - 3}{2 (1 - r_x) h}}, \qquad
        h = \frac{1 - f \bar{r^2}}{1 - \bar{r^2}}, \\
        f &= \min\left(\frac{1 - r_x}{2 (1 - \bar{r^2})}, 1\right) .

    Parameters
    ----------
    first, second : array_like
        Correlation of either forecast with the observations.
    between : array_like
        Correlation of the two forecasts with each other.
    count : array_like
        Independent times behind them (above 3).
    level : float, optional
        Probability of the interval.

    Returns
    -------
    PairedTest
        Difference, error and interval on Fisher's scale, one per site.

    Raises
    ------
    InputError
        If a correlation is not inside -1..1 or `level` is not between 0 and 1.

    References
    ----------
    Meng, Rosenthal & Rubin (1992), Psychol. Bull. 111, 172-175, eq. 1 to 4.
    """
    check_level(level)
    a, b, rx = (_correlations(values) for values in (first, second, between))
    n = np.asarray(count, float)
    mean_square = (a * a + b * b) / 2.0
    f = np.minimum((1.0 - rx) / (2.0 * (1.0 - mean_square)), 1.0)
    h = (1.0 - f * mean_square) / (1.0 - mean_square)
    d = np.arctanh(a) - np.arctanh(b)
    se = np.sqrt(2.0 * (1.0 - rx) * h / np.where(n > 3, n - 3.0, np.nan))
    z = d / se
    return PairedTest.of(
        d,
        se,
        z,
        2.0 * special.ndtr(-np.abs(z)),
        special.ndtri((1.0 + level) / 2.0) * se,
        np.broadcast_to(n, d.shape),
        level,
        "correlations that share the observations",
    )


def _correlations(values: npt.ArrayLike) -> np.ndarray:
    """Return correlations that have a finite Fisher's z, or are missing."""
    r = np.asarray(values, float)
    outside = np.abs(r) >= 1.0
    if outside.any():
        raise InputError(
            f"a correlation must lie inside -1..1, got {r[outside].flat[0]}: a perfect "
            "one has no place on Fisher's scale; leave that site out"
        )
    return r


def _plain(array: Any) -> Any:
    """Return a Python number for a single correlation, the array for several."""
    return array.item() if np.ndim(array) == 0 else array
