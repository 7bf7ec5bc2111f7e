"""York's line: known errors of every point in both axes, correlated or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tilth.core.errors import InputError


@dataclass(frozen=True)
class YorkFit:
    """A line through points with known errors in x and y.

    Parameters
    ----------
    slope, intercept, slope_se, intercept_se : float
        Line and standard errors, from the given errors alone.
    reduced_chi_square : float
        Weighted squares per degree of freedom; about 1 where the errors given
        explain the scatter. Well above 1: widen the standard errors by its root.
    goodness : float
        Probability of a larger chi-square if line and errors are right.
    n : int
        Number of points.
    """

    slope: float
    intercept: float
    slope_se: float
    intercept_se: float
    reduced_chi_square: float
    goodness: float
    n: int


def york(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_se: npt.ArrayLike,
    y_se: npt.ArrayLike,
    error_correlation: npt.ArrayLike = 0.0,
) -> YorkFit:
    r"""Fit a line to points with errors in both axes by maximum likelihood.

    Solves York's equation for the slope b with the weights

    .. math:: W_i = \frac{1}{\sigma_{y,i}^2 + b^2 \sigma_{x,i}^2
       - 2 b\, r_i \sigma_{x,i} \sigma_{y,i}}

    by iteration.

    Parameters
    ----------
    x, y : array_like
        Points, shape (n,); those with a missing value are left out.
    x_se, y_se : array_like
        Standard errors, scalar or shape (n,), positive, units of x and y.
    error_correlation : array_like, optional
        Correlation of the two errors of a point, scalar or shape (n,).

    Returns
    -------
    YorkFit
        Slope and intercept with standard errors and goodness of fit.

    Raises
    ------
    InputError
        If fewer than three points are left, an error is not positive or the
        iteration does not settle.

    References
    ----------
    York, Evensen, Martinez & De Basabe Delgado (2004), Am. J. Phys. 72, 367-375,
    eq. 13.
    """
    columns = np.broadcast_arrays(
        *(np.asarray(a, float) for a in (x, y, x_se, y_se, error_correlation))
    )
    complete = np.all(np.isfinite(columns), axis=0)
    x, y, x_se, y_se, r = (column[complete] for column in columns)
    if x.size < 3:
        raise InputError(f"York's line needs at least 3 complete points, got {x.size}")
    if not (np.all(x_se > 0) and np.all(y_se > 0)):
        raise InputError(
            "York's line needs positive standard errors of x and y, got down to "
            f"{x_se.min()} and {y_se.min()}; with errors in y only use ols()"
        )
    slope = float(np.polyfit(x, y, 1)[0])
    for _ in range(200):
        weight = 1.0 / (y_se**2 + (slope * x_se) ** 2 - 2.0 * slope * r * x_se * y_se)
        x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
        u, v = x - x_mean, y - y_mean
        beta = weight * (
            u * y_se**2 + slope * v * x_se**2 - (slope * u + v) * r * x_se * y_se
        )
        before, slope = (
            slope,
            float(np.sum(weight * beta * v) / np.sum(weight * beta * u)),
        )
        if abs(slope - before) <= 1e-14 * abs(slope):
            break
    else:
        raise InputError(
            f"York's slope did not settle in 200 steps (last {slope:.6g}): x and y "
            "are nearly uncorrelated for the errors given"
        )
    adjusted = x_mean + beta
    center = np.average(adjusted, weights=weight)
    slope_se = 1.0 / np.sqrt(np.sum(weight * (adjusted - center) ** 2))
    intercept = float(y_mean - slope * x_mean)
    intercept_se = np.sqrt(1.0 / np.sum(weight) + (center * slope_se) ** 2)
    chi_square = float(np.sum(weight * (y - slope * x - intercept) ** 2))
    return YorkFit(
        slope,
        intercept,
        float(slope_se),
        float(intercept_se),
        chi_square / (x.size - 2),
        float(special.chdtrc(x.size - 2, chi_square)),
        x.size,
    )
