"""Is one forecast better than another? Tests of scores in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from tilth.core.errors import InputError


@dataclass(frozen=True)
class PairedTest:
    """How far two sets of paired scores are apart, with a test and an interval.

    Parameters
    ----------
    difference : float or numpy.ndarray
        First less second; of the shape of the scores without their last axis.
    se : float or numpy.ndarray
        Its standard error; NaN where the method has none.
    statistic, p_value : float or numpy.ndarray
        Of the two-sided test that there is no difference.
    lower, upper : float or numpy.ndarray
        Interval of the difference.
    count : int or numpy.ndarray
        Pairs, or clusters of pairs, that the test takes for independent.
    level : float
        Probability of the interval.
    method : str
        Name of the test.
    """

    difference: Any
    se: Any
    statistic: Any
    p_value: Any
    lower: Any
    upper: Any
    count: Any
    level: float
    method: str

    @classmethod
    def of(
        cls, difference, se, statistic, p_value, half, count, level: float, method: str
    ) -> PairedTest:
        """Return a test with an interval of half-width `half`, numbers where one."""
        arrays = (
            difference,
            se,
            statistic,
            p_value,
            difference - half,
            difference + half,
            count,
        )
        d, u, t, p, low, high, n = (_plain(np.asarray(array)) for array in arrays)
        return cls(d, u, t, p, low, high, n, level, method)


def paired_t(
    first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95
) -> PairedTest:
    r"""Test the mean difference of paired scores with Student's t.

    .. math:: t = \frac{\bar d}{s_d / \sqrt{N}}, \qquad d_i = a_i - b_i ,

    with N - 1 degrees of freedom. It takes the pairs for independent. Sites of one
    river, or starts of one month, are not: then the p-value is too small, often by
    orders of magnitude; see `cluster_bootstrap`.

    Parameters
    ----------
    first, second : array_like, shape (..., n)
        Scores of two forecasts at the same sites; pairs with a missing value are
        left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    PairedTest
        One per series; NaN where there are fewer than two pairs or all differences
        are the same.

    Raises
    ------
    InputError
        If the shapes differ or `level` is not between 0 and 1.

    Examples
    --------
    >>> found = paired_t([0.6, 0.8, 0.7, 0.9], [0.5, 0.6, 0.7, 0.7])
    >>> print(f"{found.difference:.3f} t = {found.statistic:.3f}")
    0.125 t = 2.611
    """
    d = paired_differences(first, second)
    check_level(level)
    present = np.isfinite(d)
    n = present.sum(axis=-1)
    mean = np.where(present, d, 0.0).sum(axis=-1) / np.maximum(n, 1)
    square = np.where(present, d - mean[..., None], 0.0) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = square.sum(axis=-1) / np.where(n > 1, n - 1, np.nan)
        se = np.sqrt(variance / n)
    return _student(mean, se, n, n - 1, level, "paired t")


def wilcoxon_signed_rank(
    first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95
) -> PairedTest:
    r"""Test paired scores by the ranks of their differences.

    For scores that are skewed, such as KGE, which has no lower end: one hopeless
    site cannot decide the test. The difference is that of Hodges and Lehmann, the
    median of the means of all pairs of differences :math:`(d_i + d_j)/2,\ i \le j`;
    its interval are the values that the test would not reject. Pairs are taken for
    independent.

    Parameters
    ----------
    first, second : array_like, shape (..., n)
        Scores of two forecasts at the same sites; pairs with a missing value are
        left out.
    level : float, optional
        Probability of the interval (from the normal approximation).

    Returns
    -------
    PairedTest
        One per series; NaN below six pairs that differ, where no result could be
        significant.

    Raises
    ------
    InputError
        If the shapes differ or `level` is not between 0 and 1.

    References
    ----------
    Wilcoxon (1945), Biometrics Bull. 1, 80-83. Hollander & Wolfe (1999),
    Nonparametric Statistical Methods, sections 3.1 to 3.3.
    """
    from scipy.stats import wilcoxon  # a second's import, for this test only

    d = paired_differences(first, second)
    check_level(level)
    rows = d.reshape(-1, d.shape[-1])
    found = np.full((6, rows.shape[0]), np.nan)
    z = special.ndtri((1.0 + level) / 2.0)
    for i, row in enumerate(rows):
        known = row[np.isfinite(row)]
        n = known.size
        found[5, i] = n
        if np.count_nonzero(known) < 6:
            continue
        test = wilcoxon(known)
        upper_half = np.triu_indices(n)
        means = np.sort((known[:, None] + known[None, :])[upper_half] / 2.0)
        spread = z * np.sqrt(n * (n + 1.0) * (2.0 * n + 1.0) / 24.0)
        low = max(int(np.floor(n * (n + 1.0) / 4.0 - spread)), 0)
        found[:5, i] = (
            np.median(means),
            float(test.statistic),
            float(test.pvalue),
            means[low],
            means[means.size - 1 - low],
        )
    value, statistic, p, lower, upper, count = (
        _plain(part.reshape(d.shape[:-1])) for part in found
    )
    return PairedTest(
        value,
        _plain(np.full(d.shape[:-1], np.nan)),
        statistic,
        p,
        lower,
        upper,
        _plain(np.asarray(count).astype(int)),
        level,
        "Wilcoxon signed rank",
    )


def diebold_mariano(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    horizon: int = 1,
    level: float = 0.95,
) -> PairedTest:
    r"""Test the mean difference of two series of losses, which has a memory.

    Of a forecast h steps ahead, h - 1 successive errors overlap. With the
    autocovariances :math:`\gamma_k` of the differences over n starts,

    .. math::

        V &= \frac1n \left(\gamma_0 + 2 \sum_{k=1}^{h-1} \gamma_k\right), \\
        t &= \frac{\bar d}{\sqrt V}
        \sqrt{\frac{n + 1 - 2 h + h (h - 1) / n}{n}} ,

    against Student's t of n - 1 degrees of freedom. Where the sum is not positive
    the weights :math:`1 - k/h` take the place of one (Newey and West 1987).

    Parameters
    ----------
    first, second : array_like, shape (..., n)
        Losses (squared errors, CRPS) of two forecasts, start after start, evenly
        spaced and without gaps.
    horizon : int, optional
        h: how many starts are made before a forecast can be verified, that one
        included. Weekly starts that look 30 days ahead have 5.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    PairedTest
        One per series; NaN where the losses never differ.

    Raises
    ------
    InputError
        If shapes differ, a value is missing or `horizon` is not in 1..n - 1.

    References
    ----------
    Diebold & Mariano (1995), J. Bus. Econ. Stat. 13, 253-263. Harvey, Leybourne &
    Newbold (1997), Int. J. Forecast. 13, 281-291, eq. 9.
    """
    d = paired_differences(first, second)
    check_level(level)
    n = d.shape[-1]
    if not np.isfinite(d).all():
        raise InputError(
            f"{int(np.sum(~np.isfinite(d)))} losses are missing: the memory of a "
            "series cannot be seen across gaps; take a stretch without any"
        )
    if not 1 <= horizon < n:
        raise InputError(
            f"horizon must lie in 1..{n - 1} (one less than the {n} starts), "
            f"got {horizon}"
        )
    mean = d.mean(axis=-1)
    e = d - mean[..., None]
    covariances = np.stack(
        [(e[..., k:] * e[..., : n - k]).sum(axis=-1) / n for k in range(horizon)]
    )
    twice = np.where(np.arange(horizon) == 0, 1.0, 2.0)
    plain = np.tensordot(twice, covariances, 1)
    tapered = np.tensordot(twice * (1.0 - np.arange(horizon) / horizon), covariances, 1)
    variance = np.where(plain > 0.0, plain, tapered) / n
    small = (n + 1.0 - 2.0 * horizon + horizon * (horizon - 1.0) / n) / n
    # A difference that never changes leaves rounding, not a variance.
    steady = covariances[0] <= (1e-14 * np.abs(d).max(axis=-1)) ** 2
    se = np.where(steady, np.nan, np.sqrt(np.maximum(variance, 0.0) / small))
    count = np.full(mean.shape, n)
    return _student(mean, se, count, count - 1, level, "Diebold-Mariano")


def paired_differences(first: npt.ArrayLike, second: npt.ArrayLike) -> np.ndarray:
    """Return first less second, NaN where either is missing.

    Parameters
    ----------
    first, second : array_like, shape (..., n)
        Scores in pairs.

    Returns
    -------
    numpy.ndarray, shape (..., n)
        The differences.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape or a.ndim == 0:
        raise InputError(
            f"paired scores need the same shape (..., n), got {a.shape} and {b.shape}"
        )
    both = np.isfinite(a) & np.isfinite(b)
    return np.where(both, np.where(both, a, 0.0) - np.where(both, b, 0.0), np.nan)


def check_level(level: float) -> None:
    """Raise unless the probability of an interval is one.

    Parameters
    ----------
    level : float
        Probability.

    Raises
    ------
    InputError
        If it is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, got {level}")


def _student(mean, se, count, freedom, level: float, method: str) -> PairedTest:
    """Return the test of a mean by Student's t; NaN where its error is no number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (freedom > 0) & (se > 0)
        se = np.where(known, se, np.nan)
        t = mean / se
        degrees = np.where(known, freedom, np.nan)
        half = special.stdtrit(degrees, (1.0 + level) / 2.0) * se
        p = 2.0 * special.stdtr(degrees, -np.abs(t))
    mean = np.where(count > 0, mean, np.nan)
    return PairedTest.of(mean, se, t, p, half, count, level, method)


def _plain(array: Any) -> Any:
    """Return a Python number for a single series, the array for several."""
    return array.item() if np.ndim(array) == 0 else array
