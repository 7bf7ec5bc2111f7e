"""Straight lines with standard errors: least squares, robust, errors in both axes.

All functions fit ``y = intercept + slope * x`` and return a `LineFit`, but for
`huber_line`, the bare kernel of the Huber line for callers with many short series.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.stats.lines import (
    LineFit,
    complete_pairs,
    correlation,
    residual_sd,
    with_interval,
)


class HuberLine(NamedTuple):
    """What `huber_line` returns; units of x and y as given."""

    intercept: float
    slope: float
    intercept_se: float
    slope_se: float
    scale: float
    iterations: int
    converged: bool
    weights: np.ndarray


def ols(x: npt.ArrayLike, y: npt.ArrayLike, *, level: float = 0.95) -> LineFit:
    r"""Fit a line by ordinary least squares.

    .. math:: \hat b = S_{xy} / S_{xx}, \quad
       u(\hat b)^2 = \frac{\sum_i e_i^2}{(n - 2)\,S_{xx}} ,

    with a Student t interval of n - 2 degrees of freedom.

    Parameters
    ----------
    x, y : array_like
        Same shape; pairs with a missing value are left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    LineFit
        Slope and intercept with standard errors.

    Raises
    ------
    InputError
        If fewer than three pairs are left or x does not vary.

    Examples
    --------
    >>> fit = ols([0, 1, 2, 3], [1.0, 2.1, 2.9, 4.0])
    >>> print(f"{fit.slope:.2f} +- {fit.slope_se:.3f}")
    0.98 +- 0.042
    """
    x, y = complete_pairs(x, y)
    dx = x - x.mean()
    sxx = float(np.sum(dx * dx))
    slope = float(np.sum(dx * (y - y.mean()))) / sxx
    intercept = float(y.mean() - slope * x.mean())
    sigma = residual_sd(x, y, slope, intercept)
    slope_se = sigma / np.sqrt(sxx)
    intercept_se = sigma * np.sqrt(1.0 / x.size + x.mean() ** 2 / sxx)
    return with_interval(
        "least squares", x, y, slope, intercept, slope_se, intercept_se, level
    )


def theil_sen(x: npt.ArrayLike, y: npt.ArrayLike, *, level: float = 0.95) -> LineFit:
    r"""Fit a line by the median of all pairwise slopes.

    .. math:: \hat b = \mathrm{median}_{i<j} \frac{y_j - y_i}{x_j - x_i}, \quad
       \hat a = \mathrm{median}(y) - \hat b\,\mathrm{median}(x) .

    Up to 29 % of the points may be arbitrarily wrong. The interval is Sen's, from
    the distribution of Kendall's tau; there is no standard error.

    Parameters
    ----------
    x, y : array_like
        Same shape; pairs with a missing value are left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    LineFit
        Slope with limits; standard errors are NaN.

    Raises
    ------
    InputError
        If fewer than three pairs are left or x does not vary.

    References
    ----------
    Theil (1950), Proc. K. Ned. Akad. Wet. 53. Sen (1968), J. Am. Stat. Assoc. 63,
    1379-1389.
    """
    from scipy.stats import theilslopes  # a second's import, for this line only

    x, y = complete_pairs(x, y)
    fit = theilslopes(y, x, alpha=level)
    return LineFit(
        "Theil-Sen",
        float(fit.slope),
        float(fit.intercept),
        np.nan,
        np.nan,
        float(fit.low_slope),
        float(fit.high_slope),
        level,
        x.size,
        correlation(x, y),
        residual_sd(x, y, fit.slope, fit.intercept),
        np.ones(x.size),
    )


def huber_line(
    x: np.ndarray,
    y: np.ndarray,
    tuning: float = 1.345,
    max_iterations: int = 200,
    tolerance: float = 1e-4,
) -> HuberLine:
    r"""Fit a line by Huber's M-estimator: the kernel, for complete arrays.

    Iteratively reweighted least squares from the ordinary line, with the residual
    scale :math:`s = \mathrm{median}|e| / 0.6745` and the weights
    :math:`w = \min(1, k s / |e|)` renewed in every step, until the residuals move
    by less than `tolerance`, :math:`\|e' - e\| \le \epsilon \|e\|`. The standard
    errors are Huber's (1981, section 7.6): with :math:`\psi_i = w_i e_i`,
    :math:`m` the share of points inside :math:`k s` and
    :math:`K = 1 + (2/n)\,\mathrm{var}(\psi') / m^2`,

    .. math:: \mathrm{cov} = \frac{K^2}{m^2} \frac{\sum \psi_i^2}{n - 2} (X'X)^{-1} .

    Only loops and basic numpy, so that ``numba.njit(huber_line)`` compiles.

    Parameters
    ----------
    x, y : numpy.ndarray
        One series, shape (n,), no missing values, n >= 3, x not constant.
    tuning : float, optional
        k, in scales; 1.345 keeps 95 % efficiency for normal errors (Huber 1981).
    max_iterations, tolerance : int, float, optional
        End of the iteration.

    Returns
    -------
    HuberLine
        Line, standard errors, scale, whether it converged and the final weights.
        Where more than half of the residuals vanish the scale is zero: the line of
        that step is returned with NaN standard errors.

    Notes
    -----
    The steps and the end rule are those documented for ``rlm`` of R's MASS, so that
    published robust fluxes come out to the last digits, also where the iteration
    ends early. On four points it often needs 20-50 steps.

    References
    ----------
    Huber (1981), Robust Statistics, Wiley. Venables & Ripley (2002), Modern Applied
    Statistics with S, section 6.5.
    """
    n = x.size
    weights = np.ones(n)
    residuals = np.zeros(n)
    intercept, slope, scale = 0.0, 0.0, 0.0
    iterations, converged = 0, False
    for step in range(max_iterations + 1):
        if step > 0:
            scale = np.median(np.abs(residuals)) / 0.6745
            if scale == 0.0:
                converged = True
                break
            for i in range(n):
                size = abs(residuals[i]) / scale
                weights[i] = 1.0 if size <= tuning else tuning / size
        total = np.sum(weights)
        x_mean, y_mean = np.sum(weights * x) / total, np.sum(weights * y) / total
        dx = x - x_mean
        slope = np.sum(weights * dx * (y - y_mean)) / np.sum(weights * dx * dx)
        intercept = y_mean - slope * x_mean
        moved, before = 0.0, 0.0
        for i in range(n):
            new = y[i] - intercept - slope * x[i]
            moved += (new - residuals[i]) ** 2
            before += residuals[i] ** 2
            residuals[i] = new
        iterations = step
        # The floor 1e-20 belongs to the published end rule (squared units of y).
        if step > 0 and np.sqrt(moved / max(before, 1e-20)) <= tolerance:
            converged = True
            break
    intercept_se, slope_se = np.nan, np.nan
    if scale > 0.0:
        inside, psi_square = 0.0, 0.0
        for i in range(n):
            size = abs(residuals[i])
            psi_square += min(size, tuning * scale) ** 2
            inside += 1.0 if size <= tuning * scale else 0.0
        share = inside / n
        variance = share * (1.0 - share) * n / (n - 1.0)
        factor = (1.0 + 2.0 / n * variance / share**2) / share
        sigma = factor * np.sqrt(psi_square / (n - 2.0))
        mean = np.mean(x)
        sxx = np.sum((x - mean) ** 2)
        slope_se = sigma / np.sqrt(sxx)
        intercept_se = sigma * np.sqrt(1.0 / n + mean**2 / sxx)
    return HuberLine(
        intercept, slope, intercept_se, slope_se, scale, iterations, converged, weights
    )


def huber(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    tuning: float = 1.345,
    max_iterations: int = 200,
    level: float = 0.95,
) -> LineFit:
    """Fit a line by Huber's M-estimator.

    Parameters
    ----------
    x, y : array_like
        Same shape; pairs with a missing value are left out.
    tuning : float, optional
        Residuals beyond this many scales are weighted down; see `huber_line`.
    max_iterations : int, optional
        Steps after which the fit is given as it is, with a note.
    level : float, optional
        Probability of the Student t interval (n - 2 degrees of freedom).

    Returns
    -------
    LineFit
        Slope and intercept with standard errors, and the weights.

    Raises
    ------
    InputError
        If fewer than three pairs are left or x does not vary.

    Examples
    --------
    >>> fit = huber([0, 1 / 3, 2 / 3, 1], [320, 400, 352, 359])
    >>> print(f"{fit.slope:.5f}", fit.weights.round(4))
    34.55067 [1.     0.2247 1.     1.    ]
    """
    x, y = complete_pairs(x, y)
    fit = huber_line(x, y, tuning, max_iterations)
    note = "" if fit.converged else f"not converged in {max_iterations} steps"
    if fit.scale == 0.0:
        note = "no standard error: more than half of the residuals vanish"
    return with_interval(
        "Huber",
        x,
        y,
        float(fit.slope),
        float(fit.intercept),
        float(fit.slope_se),
        float(fit.intercept_se),
        level,
        weights=fit.weights,
        note=note,
    )


def deming(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    error_ratio: float = 1.0,
    *,
    level: float = 0.95,
) -> LineFit:
    r"""Fit a line where both axes carry errors of a known ratio.

    With the error ratio :math:`\delta = \sigma_y^2 / \sigma_x^2`,

    .. math:: \hat b = \frac{S_{yy} - \delta S_{xx} +
       \sqrt{(S_{yy} - \delta S_{xx})^2 + 4 \delta S_{xy}^2}}{2 S_{xy}} .

    Standard errors by the jackknife (leaving out one pair at a time), with a
    Student t interval of n - 2 degrees of freedom.

    Parameters
    ----------
    x, y : array_like
        Same shape; pairs with a missing value are left out.
    error_ratio : float, optional
        Variance of the errors of y over that of x; 1 is orthogonal regression.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    LineFit
        Slope and intercept with standard errors.

    Raises
    ------
    InputError
        If fewer than three pairs are left, x does not vary, x and y are exactly
        uncorrelated or `error_ratio` is not positive.

    References
    ----------
    Deming (1943), Statistical Adjustment of Data. Linnet (1993), Clin. Chem. 39,
    424-432 (jackknife).
    """
    if not error_ratio > 0:
        raise InputError(
            "error_ratio, the variance of y's errors over x's, must be positive, "
            f"got {error_ratio}; for errors in y only use ols()"
        )

    def slope(sxx: np.ndarray, syy: np.ndarray, sxy: np.ndarray) -> np.ndarray:
        lead = syy - error_ratio * sxx
        return (lead + np.sqrt(lead**2 + 4.0 * error_ratio * sxy**2)) / (2.0 * sxy)

    return _symmetric_fit("Deming", x, y, slope, level)


def bisector(x: npt.ArrayLike, y: npt.ArrayLike, *, level: float = 0.95) -> LineFit:
    r"""Fit the line that halves the angle between the regressions y|x and x|y.

    With :math:`b_1 = S_{xy}/S_{xx}` and :math:`b_2 = S_{yy}/S_{xy}`,

    .. math:: \hat b = \frac{b_1 b_2 - 1 + \sqrt{(1 + b_1^2)(1 + b_2^2)}}{b_1 + b_2} .

    It treats both axes alike when the errors are not known; it depends on the
    units, so use it for two measurements of one quantity. Standard errors by the
    jackknife.

    Parameters
    ----------
    x, y : array_like
        Same shape and units; pairs with a missing value are left out.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    LineFit
        Slope and intercept with standard errors.

    Raises
    ------
    InputError
        If fewer than three pairs are left, x does not vary or x and y are exactly
        uncorrelated.

    References
    ----------
    Isobe, Feigelson, Akritas & Babu (1990), Astrophys. J. 364, 104-113, table 1.
    """

    def slope(sxx: np.ndarray, syy: np.ndarray, sxy: np.ndarray) -> np.ndarray:
        b1, b2 = sxy / sxx, syy / sxy
        return (b1 * b2 - 1.0 + np.sqrt((1.0 + b1**2) * (1.0 + b2**2))) / (b1 + b2)

    return _symmetric_fit("bisector", x, y, slope, level)


def _symmetric_fit(
    method: str,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    slope_of: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    level: float,
) -> LineFit:
    """Fit a line that is a function of the second moments, with jackknife errors."""
    x, y = complete_pairs(x, y)
    n = x.size
    dx, dy = x - x.mean(), y - y.mean()
    moments = np.array([np.sum(dx * dx), np.sum(dy * dy), np.sum(dx * dy)])
    if moments[2] == 0.0:
        raise InputError(
            f"{method}: x and y are exactly uncorrelated (constant y?), "
            "the line is not defined"
        )
    # Leaving out point i takes n/(n-1) d_i^2 from each sum of squares about the mean.
    shares = np.array([dx * dx, dy * dy, dx * dy]) * n / (n - 1.0)
    slopes = slope_of(*(moments[:, None] - shares))
    intercepts = (y.sum() - y) / (n - 1) - slopes * (x.sum() - x) / (n - 1)
    slope = float(slope_of(*moments))
    return with_interval(
        method,
        x,
        y,
        slope,
        float(y.mean() - slope * x.mean()),
        float(np.sqrt((n - 1) * np.var(slopes))),
        float(np.sqrt((n - 1) * np.var(intercepts))),
        level,
    )
