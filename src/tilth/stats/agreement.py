"""How well two measurements of one quantity agree, each figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from tilth.core.errors import InputError


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of paired measurements, in their units.

    Parameters
    ----------
    bias, bias_se, bias_lower, bias_upper : float
        Mean of the differences, standard error, limits at `level`.
    sd : float
        Standard deviation of the differences.
    lower_limit, upper_limit : float
        Limits of agreement: bias -+ 1.96 sd.
    limit_se : float
        Standard error of either limit.
    lower_limit_interval, upper_limit_interval : tuple of float
        Limits of each limit of agreement at `level`.
    level : float
        Probability of the intervals.
    n : int
        Number of pairs.
    """

    bias: float
    bias_se: float
    bias_lower: float
    bias_upper: float
    sd: float
    lower_limit: float
    upper_limit: float
    limit_se: float
    lower_limit_interval: tuple[float, float]
    upper_limit_interval: tuple[float, float]
    level: float
    n: int


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance correlation with its interval.

    Parameters
    ----------
    coefficient, se, lower, upper : float
        Concordance, its standard error and limits at `level`.
    correlation : float
        Precision: Pearson's correlation.
    accuracy : float
        Closeness of the best line to the line of identity, 0..1; the coefficient is
        correlation times accuracy.
    level : float
        Probability of the interval.
    n : int
        Number of pairs.
    """

    coefficient: float
    se: float
    lower: float
    upper: float
    correlation: float
    accuracy: float
    level: float
    n: int


@dataclass(frozen=True)
class Fraction:
    """A fraction of pairs with its Wilson interval.

    Parameters
    ----------
    fraction, lower, upper : float
        Share within the band and limits at `level`.
    tolerance : float
        Half-width of the band, relative to the reference.
    level : float
        Probability of the interval.
    n : int
        Number of pairs.
    """

    fraction: float
    lower: float
    upper: float
    tolerance: float
    level: float
    n: int


@dataclass(frozen=True)
class MedianRatio:
    """Median of the ratios value over reference.

    Parameters
    ----------
    ratio, lower, upper : float
        Median and its limits, from the order of the ratios alone.
    level : float
        Probability of the interval.
    n : int
        Pairs with a positive reference.
    """

    ratio: float
    lower: float
    upper: float
    level: float
    n: int


def bland_altman(
    values: npt.ArrayLike, reference: npt.ArrayLike, *, level: float = 0.95
) -> BlandAltman:
    r"""Bias and 95 % limits of agreement of paired measurements.

    With the differences :math:`d = \mathrm{values} - \mathrm{reference}`, the limits
    are :math:`\bar d \mp 1.96\,s_d`, with the standard error

    .. math:: u = s_d \sqrt{1/n + 1.96^2 / (2 (n - 1))} .

    Parameters
    ----------
    values, reference : array_like
        Same shape and units; pairs with a missing value are left out.
    level : float, optional
        Probability of the intervals of bias and limits (Student t, n - 1).

    Returns
    -------
    BlandAltman
        In the units of the measurements.

    Raises
    ------
    InputError
        If fewer than three pairs are left.

    References
    ----------
    Bland & Altman (1999), Stat. Methods Med. Res. 8, 135-160, section 2.

    Examples
    --------
    >>> result = bland_altman([1.0, 2.1, 2.9, 4.2], [1.0, 2.0, 3.0, 4.0])
    >>> print(f"{result.bias:.2f} ({result.lower_limit:.2f}, {result.upper_limit:.2f})")
    0.05 (-0.20, 0.30)
    """
    a, b = _paired(values, reference)
    n, difference = a.size, a - b
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    width = float(stats.norm.ppf(0.975))
    bias_se = sd / np.sqrt(n)
    limit_se = sd * np.sqrt(1.0 / n + width**2 / (2.0 * (n - 1)))
    t = float(stats.t.ppf((1.0 + level) / 2.0, n - 1))
    low, high = bias - width * sd, bias + width * sd
    return BlandAltman(
        bias,
        float(bias_se),
        float(bias - t * bias_se),
        float(bias + t * bias_se),
        sd,
        low,
        high,
        float(limit_se),
        (float(low - t * limit_se), float(low + t * limit_se)),
        (float(high - t * limit_se), float(high + t * limit_se)),
        level,
        n,
    )


def concordance(
    values: npt.ArrayLike, reference: npt.ArrayLike, *, level: float = 0.95
) -> Concordance:
    r"""Lin's concordance correlation: scatter about the line of identity.

    .. math:: \rho_c = \frac{2 s_{xy}}{s_x^2 + s_y^2 + (\bar x - \bar y)^2}

    with moments over n. The interval is that of Fisher's
    :math:`z = \mathrm{artanh}\,\rho_c`, with :math:`C = \rho_c/\rho`,
    :math:`u^2 = (\bar x - \bar y)^2/(s_x s_y)` and

    .. math:: (n - 2)\,\mathrm{var}(\rho_c) = (1 - \rho^2) C^2 (1 - \rho_c^2)
       + 2 \rho_c^2 C (1 - \rho_c) u^2 - \rho_c^2 C^2 u^4 / 2 .

    Parameters
    ----------
    values, reference : array_like
        Same shape and units; pairs with a missing value are left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    Concordance
        1 for identical measurements, 0 for unrelated ones.

    Raises
    ------
    InputError
        If fewer than four pairs are left or either measurement does not vary.

    References
    ----------
    Lin (1989), Biometrics 45, 255-268; corrected in Lin (2000), Biometrics 56,
    324-325.
    """
    a, b = _paired(values, reference)
    if a.size < 4 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        raise InputError(
            "concordance needs at least 4 pairs and variation in both measurements, "
            f"got {a.size} pairs spanning {np.ptp(a):g} and {np.ptp(b):g}"
        )
    n, shift = a.size, float(a.mean() - b.mean())
    s_a, s_b = float(a.std()), float(b.std())
    covariance = float(np.mean((a - a.mean()) * (b - b.mean())))
    correlation = float(np.clip(covariance / (s_a * s_b), -1.0, 1.0))
    accuracy = 2.0 * s_a * s_b / (s_a**2 + s_b**2 + shift**2)
    coefficient = correlation * accuracy
    u2 = shift**2 / (s_a * s_b)
    variance = (
        (1.0 - correlation**2) * accuracy**2 * (1.0 - coefficient**2)
        + 2.0 * coefficient**2 * accuracy * (1.0 - coefficient) * u2
        - (coefficient * accuracy * u2) ** 2 / 2.0
    ) / (n - 2)
    se = float(np.sqrt(max(variance, 0.0)))
    lower = upper = coefficient
    if se > 0.0:
        z = np.arctanh(coefficient)
        half = stats.norm.ppf((1.0 + level) / 2.0) * se / (1.0 - coefficient**2)
        lower, upper = float(np.tanh(z - half)), float(np.tanh(z + half))
    return Concordance(coefficient, se, lower, upper, correlation, accuracy, level, n)


def within_fraction(
    values: npt.ArrayLike,
    reference: npt.ArrayLike,
    tolerance: float = 0.15,
    *,
    level: float = 0.95,
) -> Fraction:
    r"""Share of pairs with :math:`|v - r| \le \mathrm{tolerance} \cdot |r|`.

    Parameters
    ----------
    values, reference : array_like
        Same shape and units; pairs with a missing value are left out.
    tolerance : float, optional
        Half-width of the band, relative to the reference; 0.15 is the band in which
        the Carbdown fluxmeters were checked against a LI-COR chamber.
    level : float, optional
        Probability of the Wilson interval.

    Returns
    -------
    Fraction
        Share and limits, 0..1.

    Raises
    ------
    InputError
        If fewer than three pairs are left.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.

    Examples
    --------
    >>> result = within_fraction([1.0, 2.0, 4.0], [1.1, 2.0, 3.0])
    >>> print(f"{result.fraction:.2f} [{result.lower:.2f}, {result.upper:.2f}]")
    0.67 [0.21, 0.94]
    """
    a, b = _paired(values, reference)
    inside = int(np.sum(np.abs(a - b) <= tolerance * np.abs(b)))
    limits = stats.binomtest(inside, a.size).proportion_ci(level, method="wilson")
    return Fraction(
        inside / a.size,
        float(limits.low),
        float(limits.high),
        tolerance,
        level,
        a.size,
    )


def median_ratio(
    values: npt.ArrayLike, reference: npt.ArrayLike, *, level: float = 0.95
) -> MedianRatio:
    """Median of value over reference, with the interval of the sign test.

    Parameters
    ----------
    values, reference : array_like
        Same shape and units; pairs with a missing value, or a reference that is not
        positive, are left out.
    level : float, optional
        Probability of the interval, at least; with fewer than six pairs it is the
        whole range.

    Returns
    -------
    MedianRatio
        Median ratio and limits.

    Raises
    ------
    InputError
        If fewer than three pairs with a positive reference are left.

    References
    ----------
    Conover (1999), Practical Nonparametric Statistics, section 3.2.
    """
    a, b = _paired(values, reference)
    ratios = np.sort(a[b > 0] / b[b > 0])
    n = ratios.size
    if n < 3:
        raise InputError(f"a ratio needs 3 positive values of the reference, got {n}")
    # Ratios below the rank have probability up to (1 - level)/2 of a fair coin.
    rank = max(int(stats.binom.ppf((1.0 - level) / 2.0, n, 0.5)) - 1, 0)
    return MedianRatio(
        float(np.median(ratios)),
        float(ratios[rank]),
        float(ratios[n - 1 - rank]),
        level,
        n,
    )


def _paired(
    values: npt.ArrayLike, reference: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return the complete pairs as flat arrays."""
    a, b = np.asarray(values, float), np.asarray(reference, float)
    if a.shape != b.shape:
        raise InputError(
            f"values and reference must be paired: shapes {a.shape} and {b.shape}"
        )
    complete = np.isfinite(a) & np.isfinite(b)
    if complete.sum() < 3:
        raise InputError(
            f"agreement needs at least 3 complete pairs, got {int(complete.sum())}"
        )
    return a[complete], b[complete]
