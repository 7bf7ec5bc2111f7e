"""What a fitted straight line is, and the checks every line shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tilth.core.errors import InputError


@dataclass(frozen=True)
class LineFit:
    """A fitted straight line.

    Parameters
    ----------
    method : str
        How it was fitted.
    slope, intercept : float
        Units of y per x, and of y.
    slope_se, intercept_se : float
        Standard errors; NaN where the method gives an interval only.
    slope_lower, slope_upper : float
        Limits of the slope at `level`.
    level : float
        Probability of the interval.
    n : int
        Number of points fitted; missing ones are left out.
    correlation : float
        Pearson correlation of x and y.
    residual_sd : float
        Standard deviation of the residuals in y (n - 2 degrees of freedom).
    weights : numpy.ndarray
        Weight of each fitted point, 1 where the method gives none.
    note : str
        What to beware of; empty if nothing.
    """

    method: str
    slope: float
    intercept: float
    slope_se: float
    intercept_se: float
    slope_lower: float
    slope_upper: float
    level: float
    n: int
    correlation: float
    residual_sd: float
    weights: np.ndarray
    note: str = ""


def complete_pairs(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the complete pairs as flat arrays, or refuse what gives no line."""
    a, b = np.asarray(x, float), np.asarray(y, float)
    if a.shape != b.shape:
        raise InputError(f"x and y differ in shape: {a.shape} and {b.shape}")
    complete = np.isfinite(a) & np.isfinite(b)
    a, b = a[complete], b[complete]
    if a.size < 3:
        raise InputError(
            "a line with a standard error needs at least 3 complete pairs, "
            f"got {a.size}"
        )
    if np.ptp(a) == 0.0:
        raise InputError(f"x does not vary (always {a[0]}): no slope can be fitted")
    return a, b


def residual_sd(x: np.ndarray, y: np.ndarray, slope: float, intercept: float) -> float:
    """Return the standard deviation of y about the line, n - 2 degrees of freedom."""
    residuals = y - intercept - slope * x
    return float(np.sqrt(np.sum(residuals**2) / (x.size - 2)))


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Pearson's correlation, NaN where y does not vary."""
    if np.ptp(y) == 0.0:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def with_interval(
    method: str,
    x: np.ndarray,
    y: np.ndarray,
    slope: float,
    intercept: float,
    slope_se: float,
    intercept_se: float,
    level: float,
    *,
    weights: np.ndarray | None = None,
    note: str = "",
) -> LineFit:
    """Complete a fit by its Student t interval (n - 2) and residual spread."""
    half = special.stdtrit(x.size - 2, (1.0 + level) / 2.0) * slope_se
    return LineFit(
        method,
        slope,
        intercept,
        float(slope_se),
        float(intercept_se),
        float(slope - half),
        float(slope + half),
        level,
        x.size,
        correlation(x, y),
        residual_sd(x, y, slope, intercept),
        np.ones(x.size) if weights is None else weights,
        note,
    )
