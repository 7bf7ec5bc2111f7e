r"""The other published curves of a closed chamber, fitted by variable projection.

Each is linear in all its parameters but one, so each needs only its basis: the
functions of time that multiply the linear parameters at a given value of the
nonlinear one. `profile` searches that value over a bounded logarithmic range, for
all closures at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tilth.core.errors import InputError

#: Closures handled at once: bounds the memory of the (closure, sample, basis) arrays.
_BLOCK = 4096


@dataclass(frozen=True)
class CurveFit:
    """Slopes of one curve over many closures.

    Parameters
    ----------
    slope, slope_se : (closures,) arrays
        dC/dt at the evaluation time and its standard error (independent
        residuals), in concentration per time; NaN where there is no fit.
    parameters : (closures, p) array
        Linear parameters, then the nonlinear one.
    rss : (closures,) array
        Residual sum of squares.
    """

    slope: np.ndarray
    slope_se: np.ndarray
    parameters: np.ndarray
    rss: np.ndarray


def fit_quadratic(time: np.ndarray, concentration: np.ndarray) -> CurveFit:
    """Quadratic, its slope at time zero: C = a + b t + c t^2, slope b.

    Parameters
    ----------
    time, concentration : (closures, samples) arrays
        Padded with NaN.

    Returns
    -------
    CurveFit
        Parameters a, b, c.
    """

    def basis(t, _):
        return np.stack([np.ones_like(t), t, t * t], axis=-1)

    def slope(beta, *_):
        return beta[:, 1], np.broadcast_to([0.0, 1.0, 0.0], (len(beta), 3))

    return _fit(time, concentration, basis, slope, bounds=None)


def fit_ndfe(
    time: np.ndarray,
    concentration: np.ndarray,
    tau_bounds: tuple[float, float] | None = None,
) -> CurveFit:
    r"""Non-steady-state diffusive flux estimator, its slope at time zero.

    .. math:: C = C_0 + s_0\,\tau\left[\frac{2}{\sqrt\pi}\sqrt{t/\tau}
              + e^{t/\tau}\,\mathrm{erfc}\sqrt{t/\tau} - 1\right]

    Parameters
    ----------
    time, concentration : (closures, samples) arrays
        Padded with NaN; times must not be negative.
    tau_bounds : tuple of two floats, optional
        Bounds of tau; 1e-4 to 1e4 times the length of the closure by default.

    Returns
    -------
    CurveFit
        Parameters C0, s0, tau.

    References
    ----------
    Livingston, Healy & Hutchinson (2006), Ecological Modelling 192:365, eq. 12.
    """
    from scipy.special import erfcx

    def basis(t, tau):
        x = np.sqrt(np.clip(t, 0.0, None) / tau)
        shape = tau * (2.0 / np.sqrt(np.pi) * x + erfcx(x) - 1.0)
        # Small x cancels to nothing: use the series tau (x^2 - 4 x^3 / (3 sqrt pi)).
        series = tau * (x * x - 4.0 / (3.0 * np.sqrt(np.pi)) * x**3 + x**4 / 2.0)
        return np.stack([np.ones_like(t), np.where(x < 1e-3, series, shape)], axis=-1)

    def slope(beta, *_):
        return beta[:, 1], np.broadcast_to([0.0, 1.0, 0.0], (len(beta), 3))

    bounds = tau_bounds or (1e-4, 1e4)
    return _fit(time, concentration, basis, slope, bounds, relative=tau_bounds is None)


def fit_zhao(
    time: np.ndarray,
    concentration: np.ndarray,
    *,
    window: float = 15.0,
    b_bounds: tuple[float, float] = (1e-4, 1.0),
) -> CurveFit:
    r"""Exponential plus line of Zhao et al., its slope where it passes C at closing.

    .. math:: C = C_m + a (t - t_z) + (C_z - C_m) e^{-b (t - t_z)}, \qquad
              \frac{dC}{dt}\Big|_{t_z} = a + b (C_m - C_z)

    with C_z the intercept of a line through the first `window` seconds. The curve
    is linear in all but b; t_z is the time at which it passes C_z, nearest to
    closing. Where it never does, the slope at closing is given.

    Parameters
    ----------
    time, concentration : (closures, samples) arrays
        Padded with NaN.
    window : float
        Length of the initial regression, in s (fluxible: 15 s).
    b_bounds : tuple of two floats
        Bounds of b, in s-1.

    Returns
    -------
    CurveFit
        Parameters A, a, B, b of C = A + a t + B exp(-b t).

    References
    ----------
    Zhao et al. (2018), Agricultural and Forest Meteorology 263:267.
    """
    early = np.where((time >= 0.0) & (time <= window), concentration, np.nan)
    initial = _intercept(time, early)

    def basis(t, b):
        return np.stack([np.ones_like(t), t, np.exp(-b * t)], axis=-1)

    def slope(beta, b, level):
        z = _crossing(beta, b, level)
        e = np.exp(-b * z)
        gradient = np.stack(
            [np.zeros_like(z), np.ones_like(z), -b * e, beta[:, 2] * e * (b * z - 1)],
            axis=-1,
        )
        return beta[:, 1] - b * beta[:, 2] * e, gradient

    return _fit(time, concentration, basis, slope, b_bounds, level=initial)


def _crossing(beta, b, level):
    """Time nearest to zero at which A + a t + B exp(-b t) passes `level`."""
    z = np.zeros(len(beta))
    for _ in range(30):
        e = beta[:, 2] * np.exp(-b * z)
        value = beta[:, 0] + beta[:, 1] * z + e - level
        derivative = beta[:, 1] - b * e
        with np.errstate(divide="ignore", invalid="ignore"):
            step = value / derivative
        z = np.clip(z - np.where(np.isfinite(step), step, 0.0), -60.0, 60.0)
    reached = beta[:, 0] + beta[:, 1] * z + beta[:, 2] * np.exp(-b * z)
    with np.errstate(invalid="ignore"):
        met = np.abs(reached - level) < 1e-6 * np.maximum(np.abs(level), 1.0)
    return np.where(met, z, 0.0)


def _intercept(time, value):
    """Intercept at time zero of a line through each row's finite points."""
    ok = np.isfinite(value) & np.isfinite(time)
    n = np.maximum(ok.sum(1), 1)
    t = np.where(ok, time, 0.0)
    y = np.where(ok, value, 0.0)
    mean_t, mean_y = t.sum(1) / n, y.sum(1) / n
    dt = np.where(ok, time - mean_t[:, None], 0.0)
    dy = np.where(ok, value - mean_y[:, None], 0.0)
    stt = (dt * dt).sum(1)
    slope = np.where(stt > 0, (dt * dy).sum(1) / np.where(stt > 0, stt, 1.0), 0.0)
    return np.where(ok.any(1), mean_y - slope * mean_t, np.nan)


def _fit(
    time: np.ndarray,
    concentration: np.ndarray,
    basis: Callable,
    slope: Callable,
    bounds: tuple[float, float] | None,
    *,
    relative: bool = False,
    level: np.ndarray | None = None,
) -> CurveFit:
    """Fit a curve to each row, block by block.

    `basis` gives the columns at (time, nonlinear parameter); `slope` the slope and
    its gradient by all parameters at (linear, nonlinear, `level` of the row).
    """
    time, concentration = np.broadcast_arrays(
        np.atleast_2d(np.asarray(time, float)),
        np.atleast_2d(np.asarray(concentration, float)),
    )
    if bounds is not None and not 0.0 < bounds[0] < bounds[1]:
        raise InputError(f"bounds must be positive and increasing, got {bounds}")
    parts = []
    for first in range(0, max(len(time), 1), _BLOCK):
        rows = slice(first, first + _BLOCK)
        part = level[rows] if level is not None else None
        parts.append(
            _fit_block(
                time[rows], concentration[rows], basis, slope, bounds, relative, part
            )
        )
    return CurveFit(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _fit_block(time, value, basis, slope, bounds, relative, level):
    """Golden section over the logarithm of the nonlinear parameter, all rows at once.

    A grid of 40 finds each row's valley; 45 sections shrink it to 1e-9.
    """
    ok = np.isfinite(time) & np.isfinite(value)
    t, c = np.where(ok, time, 0.0), np.where(ok, value, 0.0)
    n = ok.sum(1)
    if bounds is None:
        theta = np.full(len(t), np.nan)
        beta, rss, design = _solve(t, c, ok, basis, theta)
        jacobian = design
        p = design.shape[-1]
    else:
        span = np.where(relative, np.max(t, axis=1), 1.0)
        span = np.where(span > 0.0, span, 1.0)
        low, high = np.log(bounds[0] * span), np.log(bounds[1] * span)
        grid = np.linspace(0.0, 1.0, 40)
        sums = np.stack(
            [_solve(t, c, ok, basis, np.exp(low + f * (high - low)))[1] for f in grid]
        )
        best = np.argmin(sums, axis=0)
        a = low + grid[np.maximum(best - 1, 0)] * (high - low)
        b = low + grid[np.minimum(best + 1, 39)] * (high - low)
        ratio = (np.sqrt(5.0) - 1.0) / 2.0
        x1, x2 = b - ratio * (b - a), a + ratio * (b - a)
        f1 = _solve(t, c, ok, basis, np.exp(x1))[1]
        f2 = _solve(t, c, ok, basis, np.exp(x2))[1]
        for _ in range(45):
            left = f1 < f2
            a, b = np.where(left, a, x1), np.where(left, x2, b)
            new = np.where(left, b - ratio * (b - a), a + ratio * (b - a))
            fnew = _solve(t, c, ok, basis, np.exp(new))[1]
            x1, x2 = np.where(left, new, x2), np.where(left, x1, new)
            f1, f2 = np.where(left, fnew, f2), np.where(left, f1, fnew)
        theta = np.exp(0.5 * (a + b))
        beta, rss, design = _solve(t, c, ok, basis, theta)
        h = 1e-5
        upper = basis(t, (theta * (1 + h))[:, None])
        lower = basis(t, (theta * (1 - h))[:, None])
        moved = np.einsum("ijk,ik->ij", upper - lower, beta) / (
            2.0 * h * theta[:, None]
        )
        jacobian = np.concatenate([design, (moved * ok)[..., None]], axis=-1)
        p = jacobian.shape[-1]
    value_slope, gradient = slope(beta, theta, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(n > p, rss / np.maximum(n - p, 1), np.nan)
    # Scaled columns keep the normal matrix well conditioned.
    scale = np.sqrt((jacobian**2).sum(1))
    scale = np.where(scale > 0, scale, 1.0)
    q = jacobian / scale[:, None, :]
    inverse = np.linalg.pinv(np.einsum("ijk,ijl->ikl", q, q), hermitian=True)
    d = gradient / scale
    se = np.sqrt(variance * np.einsum("ik,ikl,il->i", d, inverse, d))
    enough = n >= p
    parameters = beta if bounds is None else np.column_stack([beta, theta])
    return (
        np.where(enough, value_slope, np.nan),
        np.where(enough, se, np.nan),
        np.where(enough[:, None], parameters, np.nan),
        np.where(enough, rss, np.nan),
    )


def _solve(t, c, ok, basis, theta):
    """Least squares of every row for given nonlinear parameters (modified QR)."""
    design = basis(t, theta[:, None]) * ok[..., None]
    scale = np.sqrt((design**2).sum(1))
    scale = np.where(scale > 0, scale, 1.0)
    q, r = np.linalg.qr(design / scale[:, None, :])
    projected = np.einsum("ijk,ij->ik", q, c)
    diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
    weak = (diagonal < 1e-13).any(1)
    r = np.where(weak[:, None, None], np.eye(r.shape[-1]), r)
    beta = np.linalg.solve(r, projected[..., None])[..., 0] / scale
    residual = c - np.einsum("ijk,ik->ij", design, beta)
    rss = (residual**2 * ok).sum(1)
    return beta, np.where(weak, np.inf, rss), design
