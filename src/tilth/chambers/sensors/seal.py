"""Seal test: how fast a closed chamber exchanges air with the room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from tilth.core.errors import InputError
from tilth.stats.autocorrelation import lag1_autocorrelation, se_inflation


@dataclass(frozen=True)
class LeakRate:
    """Air exchange of a closed chamber.

    Parameters
    ----------
    rate, rate_se, lower, upper : float
        Share of the chamber's air renewed per second, s-1, with standard error and
        limits at `level`.
    ambient, ambient_se : float
        Concentration outside, units of the record; standard error 0 where given.
    initial : float
        Fitted concentration at the first reading.
    lag1 : float
        Lag-1 autocorrelation of the residuals, by which errors are widened.
    level : float
        Probability of the interval.
    n : int
        Readings fitted.
    note : str
        What to beware of; empty if nothing.
    """

    rate: float
    rate_se: float
    lower: float
    upper: float
    ambient: float
    ambient_se: float
    initial: float
    lag1: float
    level: float
    n: int
    note: str = ""


def leak_rate(
    elapsed: npt.ArrayLike,
    concentration: npt.ArrayLike,
    ambient: float | None = None,
    *,
    level: float = 0.95,
) -> LeakRate:
    r"""Fit the exponential approach of a closed chamber to the air outside.

    .. math:: C(t) = C_a + (C_0 - C_a)\,e^{-\lambda t}

    by least squares; the standard errors are widened for the autocorrelation of the
    residuals. The chamber stands on an impermeable plate: a soil would add its flux.

    Parameters
    ----------
    elapsed : array_like
        Time since the start of the test, s, evenly spaced.
    concentration : array_like
        Readings, any unit; missing ones are NaN and left out.
    ambient : float, optional
        Concentration outside, same unit. Fitted if not given, which takes a record of
        a good part of the decay.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    LeakRate
        Rate in s-1; negative where chance moves a tight chamber away from ambient.

    Raises
    ------
    InputError
        If fewer than ten readings are left, or they start at ambient: nothing could
        leak then.

    Examples
    --------
    >>> t = np.arange(0, 600, 10.0)
    >>> fit = leak_rate(t, 420 + 1000 * np.exp(-0.002 * t), ambient=420.0)
    >>> print(f"{fit.rate:.4f} per second")
    0.0020 per second
    """
    t, c = np.asarray(elapsed, float), np.asarray(concentration, float)
    use = np.isfinite(t) & np.isfinite(c)
    t, c = t[use] - t[use].min(initial=np.inf), c[use]
    n = t.size
    if n < 10:
        raise InputError(f"a leak rate needs at least 10 readings, got {n}")
    noise = float(np.std(np.diff(c)) / np.sqrt(2.0))
    start = float(np.mean(c[: max(3, n // 20)]))
    if ambient is not None and abs(start - ambient) <= 3.0 * noise:
        raise InputError(
            f"the test starts at {start:.1f}, within the noise ({noise:.1f}) of "
            f"ambient {ambient:.1f}: nothing can leak; raise the concentration inside "
            "or outside"
        )
    scale = t.max()

    def model(p: np.ndarray) -> np.ndarray:
        outside = ambient if ambient is not None else p[2]
        return outside + (p[0] - outside) * np.exp(-p[1] * t / scale)

    guess = (
        [start, 0.1]
        if ambient is not None
        else [start, 1.0, float(c[-n // 5 :].mean())]
    )
    fit = optimize.least_squares(
        lambda p: model(p) - c, guess, x_scale="jac", method="trf"
    )
    residuals = c - model(fit.x)
    freedom = n - fit.x.size
    variance = float(residuals @ residuals) / freedom
    normal = fit.jac.T @ fit.jac
    if np.linalg.cond(normal) > 1e14:
        raise InputError(
            "rate and ambient cannot be told apart on this record (no curvature): give "
            "the ambient concentration"
        )
    rho = 0.0
    if variance > 1e-20 * max(float(np.var(c)), 1e-300):
        rho = float(lag1_autocorrelation(residuals, fit.x.size).value)
    widening = se_inflation(max(rho, 0.0))
    se = np.sqrt(variance * np.diag(np.linalg.inv(normal))) * widening
    rate, rate_se = float(fit.x[1] / scale), float(se[1] / scale)
    half = float(stats.t.ppf((1.0 + level) / 2.0, freedom)) * rate_se
    note = ""
    if rate - half <= 0.0:
        note = "no leak shown: the interval reaches down to zero"
    return LeakRate(
        rate,
        rate_se,
        rate - half,
        rate + half,
        float(ambient if ambient is not None else fit.x[2]),
        0.0 if ambient is not None else float(se[2]),
        float(fit.x[0]),
        rho,
        level,
        n,
        note,
    )


def linear_flux_ratio(rate: npt.ArrayLike, closure_time: npt.ArrayLike) -> Any:
    r"""Linear flux over true flux when a steady source leaks, or saturates, at a rate.

    The concentration over ambient rises as :math:`(1 - e^{-\lambda t})/\lambda`; its
    least-squares slope over the closure, with :math:`x = \lambda T`, is smaller by

    .. math:: \frac{6}{x^3}\left(x - 2 + (x + 2) e^{-x}\right) \approx 1 - x/2 .

    Parameters
    ----------
    rate : array_like
        Leak rate, or the k of a saturating closure, s-1, not negative.
    closure_time : array_like
        Time the chamber is closed, s.

    Returns
    -------
    float or numpy.ndarray
        Ratio, 1 for a tight chamber.

    Examples
    --------
    >>> round(linear_flux_ratio(0.001, 180.0), 3)
    0.915
    """
    x = np.asarray(np.multiply(rate, closure_time), float)
    # Below 1e-2 the closed form cancels; its series is exact to 1e-10 there.
    safe = np.where(x > 1e-2, x, 1.0)
    closed = 6.0 / safe**3 * (safe - 2.0 + (safe + 2.0) * np.exp(-safe))
    series = 1.0 - x / 2.0 + 3.0 * x**2 / 20.0 - x**3 / 30.0 + x**4 / 168.0
    ratio = np.where(x > 1e-2, closed, series)
    return ratio.item() if ratio.ndim == 0 else ratio
