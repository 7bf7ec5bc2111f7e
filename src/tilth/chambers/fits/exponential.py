r"""The saturating exponential of a closed chamber, fitted globally and fast.

One curve serves two traditions. With :math:`g(t) = (1 - e^{-kt})/k`,

.. math:: C(t) = C_0 + s_0\,g(t), \qquad
          \varphi_\infty = C_0 + s_0/k, \qquad \frac{dC}{dt}\Big|_0 = s_0 ,

is Hutchinson & Mosier's curve (1981) in a form that stays regular for
:math:`k \to 0`, where it becomes the straight line. LI-COR's exponential,
:math:`C_x + (C_f - C_x) e^{-a(t - t_0)}` with :math:`C_f` fixed, is the *same*
family: its three free parameters trace the same curves, and its slope is that of
the curve where it passes :math:`C_f`, namely :math:`s_0 + k (C_0 - C_f)`.

A sensor that answers with the time constant :math:`\tau`, and was in equilibrium
when the chamber closed, shows the same curve with another basis,

.. math:: g_\tau(t) = \frac{g(t) - \tau (1 - e^{-t/\tau})}{1 - k\tau} ,

so that its delay is part of the fit: nothing has to be deconvolved, and no points
have to be thrown away until it has settled.

The problem is linear in :math:`(C_0, s_0)`, so only log k is searched (variable
projection, Golub & Pereyra 1973): a grid finds the valley, the root of the exact
derivative its bottom. The search is bounded, so it always ends.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

#: Bounds of k times the length of the fit. Below the first the curve differs from
#: a straight line by less than 2.5e-5 of the rise; above the second it is flat
#: before a tenth of the closure has passed.
K_SPAN_MIN, K_SPAN_MAX = 1e-4, 60.0

_GRID = 24


@njit(cache=True, nogil=True, error_model="numpy")
def delay(t, n, tau, lag):
    """Fill `lag` with tau (1 - exp(-t / tau)), how far the sensor is behind a line."""
    for i in range(n):
        lag[i] = -tau * math.expm1(-t[i] / tau) if tau > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def even_step(t, n):
    """Return the step of evenly spaced times, 0 where they are not."""
    dt = (t[n - 1] - t[0]) / (n - 1)
    for i in range(1, n):
        if abs(t[i] - t[0] - i * dt) > 1e-9 * dt:
            return 0.0
    return dt


@njit(cache=True, nogil=True, error_model="numpy")
def delay_factor(k, tau):
    """Return 1 - k tau, kept off zero: there the delayed curve is a limit of others."""
    factor = 1.0 - k * tau
    return factor if abs(factor) > 1e-7 else 1e-7


@njit(cache=True, nogil=True, error_model="numpy")
def project(t, c, lag, tau, dt, n, k, nonnegative, g):
    """Solve the linear half of the problem at one k.

    Parameters
    ----------
    t, c : 1-D arrays
        Time from closing and concentration; the first `n` entries count.
    lag : 1-D array
        tau (1 - exp(-t / tau)); zeros for a sensor without delay.
    tau : float
        Response time of the sensor, in the unit of `t`.
    dt : float
        Step of evenly spaced times (`even_step`), else 0.
    n : int
        Number of points.
    k : float
        Rate, per unit of `t`.
    nonnegative : bool
        Hold the equilibrium concentration at zero where it would be negative.
    g : 1-D array
        Scratch of at least `n`; holds g(t) on return.

    Returns
    -------
    c0, s0, rss : float
        Concentration and slope at t = 0, residual sum of squares.
    held : bool
        Whether the equilibrium is held at zero.
    """
    mean_g = 0.0
    mean_c = 0.0
    scale = 1.0 / delay_factor(k, tau)
    if k * (t[n - 1] - t[0]) < 1e-2:
        for i in range(n):
            g[i] = (-math.expm1(-k * t[i]) / k - lag[i]) * scale
            mean_g += g[i]
            mean_c += c[i]
    elif dt > 0.0:
        # Evenly spaced: one product a point instead of one exponential.
        e, step = math.exp(-k * t[0]), math.exp(-k * dt)
        for i in range(n):
            g[i] = ((1.0 - e) / k - lag[i]) * scale
            mean_g += g[i]
            mean_c += c[i]
            e *= step
    else:
        for i in range(n):
            g[i] = ((1.0 - math.exp(-k * t[i])) / k - lag[i]) * scale
            mean_g += g[i]
            mean_c += c[i]
    mean_g /= n
    mean_c /= n
    sgg = 0.0
    sgc = 0.0
    scc = 0.0
    for i in range(n):
        dg = g[i] - mean_g
        dc = c[i] - mean_c
        sgg += dg * dg
        sgc += dg * dc
        scc += dc * dc
    s0 = sgc / sgg if sgg > 0.0 else 0.0
    c0 = mean_c - s0 * mean_g
    if nonnegative and c0 + s0 / k < 0.0:
        # C = C0 (1 - k g): the only curves of this k whose equilibrium is zero.
        see = 0.0
        sec = 0.0
        for i in range(n):
            e = 1.0 - k * g[i]
            see += e * e
            sec += e * c[i]
        c0 = sec / see
        s0 = -k * c0
        return c0, s0, residual_sum(c, n, c0, s0, g), True
    return c0, s0, max(scc - s0 * sgc, 0.0), False


@njit(cache=True, nogil=True, error_model="numpy")
def residual_sum(c, n, c0, s0, g):
    """Sum of squared residuals, summed directly (no cancellation)."""
    rss = 0.0
    for i in range(n):
        r = c[i] - c0 - s0 * g[i]
        rss += r * r
    return rss


@njit(cache=True, nogil=True, error_model="numpy")
def rate_derivative(t, lag, tau, n, k, g, dg):
    """Fill `dg` with the derivative of the basis `g` by log k.

    Without delay that is t exp(-kt) - g(t).
    """
    factor = delay_factor(k, tau)
    scale = 1.0 / factor
    for i in range(n):
        x = k * t[i]
        if x < 1e-3:
            plain = -t[i] * x * (0.5 - x / 3.0 + x * x / 8.0)
        else:
            undelayed = g[i] * factor + lag[i]
            plain = t[i] * (1.0 - k * undelayed) - undelayed
        dg[i] = (plain + k * tau * g[i]) * scale


@njit(cache=True, nogil=True, error_model="numpy")
def descent(t, c, lag, tau, dt, n, x, nonnegative, g, dg):
    """Solve at log k = `x` and give half the fall of the residual sum with it.

    The linear parameters are optimal, so only the direct dependence on log k
    counts (envelope theorem): -1/2 dRSS/dlog k = sum of r dC/dlog k. Positive
    means that the minimum lies at a larger k.
    """
    k = math.exp(x)
    c0, s0, _, held = project(t, c, lag, tau, dt, n, k, nonnegative, g)
    rate_derivative(t, lag, tau, n, k, g, dg)
    fall = 0.0
    for i in range(n):
        r = c[i] - c0 - s0 * g[i]
        # On the constraint, C0 (1 - k g) moves with k as -C0 k (g + dg/dlog k).
        d = s0 * (g[i] + dg[i]) if held else s0 * dg[i]
        fall += r * d
    return fall


@njit(cache=True, nogil=True, error_model="numpy")
def fit_exponential(t, c, lag, tau, dt, n, k_min, k_max, nonnegative, g, dg):
    """Find the least-squares curve with k between two bounds.

    Parameters
    ----------
    t, c, lag, tau, dt, n
        As in `project`.
    k_min, k_max : float
        Bounds of k, per unit of `t`.
    nonnegative : bool
        As in `project`.
    g, dg : 1-D arrays
        Scratch of at least `n`; hold g(t) and its derivative by log k on return.

    Returns
    -------
    k, c0, s0, rss : float
        The best curve; `k` equals a bound exactly where the optimum lies there.
    held : bool
        Whether its equilibrium is held at zero.
    """
    low, high = math.log(k_min), math.log(k_max)
    step = (high - low) / (_GRID - 1)
    best, at = math.inf, 0
    for j in range(_GRID):
        k = math.exp(low + j * step)
        rss = project(t, c, lag, tau, dt, n, k, nonnegative, g)[2]
        if rss < best:
            best, at = rss, j
    x = low + at * step
    fall = descent(t, c, lag, tau, dt, n, x, nonnegative, g, dg)
    k = k_min if at == 0 else (k_max if at == _GRID - 1 else math.exp(x))
    if (at > 0 or fall > 0.0) and (at < _GRID - 1 or fall < 0.0) and fall != 0.0:
        other = x + step if fall > 0.0 else x - step
        x = _stationary(t, c, lag, tau, dt, n, x, fall, other, nonnegative, g, dg)
        k = math.exp(x)
    c0, s0, _, held = project(t, c, lag, tau, dt, n, k, nonnegative, g)
    rate_derivative(t, lag, tau, n, k, g, dg)
    return k, c0, s0, residual_sum(c, n, c0, s0, g), held


@njit(cache=True, nogil=True, error_model="numpy")
def _stationary(t, c, lag, tau, dt, n, a, fa, b, nonnegative, g, dg):
    """Root of `descent` between `a` and `b` (Anderson & Bjorck 1973, bracketed)."""
    fb = descent(t, c, lag, tau, dt, n, b, nonnegative, g, dg)
    if fa * fb >= 0.0:
        # The valley is not where the grid promised: stay at its best point.
        return a if abs(fa) <= abs(fb) or fb == fa else b
    for _ in range(60):
        x = b - fb * (b - a) / (fb - fa)
        fx = descent(t, c, lag, tau, dt, n, x, nonnegative, g, dg)
        if fx * fb < 0.0:
            a, fa = b, fb
        else:
            shrink = 1.0 - fx / fb
            fa *= shrink if shrink > 0.0 else 0.5
        moved = abs(x - b)
        b, fb = x, fx
        if fb == 0.0 or moved < 1e-11 or abs(b - a) < 1e-11:
            break
    return b


@njit(cache=True, nogil=True, error_model="numpy")
def curve_covariance(n, s0, g, dg, variance):
    r"""Covariance of (C0, s0, log k) by the full Jacobian, s2 (J'J)^-1.

    Parameters
    ----------
    n : int
        Number of points.
    s0 : float
        Slope at closing.
    g, dg : 1-D arrays
        g(t) and its derivative by log k.
    variance : float
        Residual variance.

    Returns
    -------
    tuple of 6 floats
        Upper triangle: cc, cs, ck, ss, sk, kk; NaN where the matrix is singular.
    """
    a11 = float(n)
    a12 = 0.0
    a13 = 0.0
    a22 = 0.0
    a23 = 0.0
    a33 = 0.0
    for i in range(n):
        d = s0 * dg[i]
        a12 += g[i]
        a13 += d
        a22 += g[i] * g[i]
        a23 += g[i] * d
        a33 += d * d
    # Cholesky of J'J, then its inverse; refuses a matrix that is not positive.
    nan = math.nan
    l11 = math.sqrt(a11)
    l21 = a12 / l11
    l31 = a13 / l11
    d22 = a22 - l21 * l21
    if not d22 > 1e-14 * a22:
        return nan, nan, nan, nan, nan, nan
    l22 = math.sqrt(d22)
    l32 = (a23 - l31 * l21) / l22
    d33 = a33 - l31 * l31 - l32 * l32
    if not d33 > 1e-14 * a33:
        return nan, nan, nan, nan, nan, nan
    l33 = math.sqrt(d33)
    # Inverse of the lower triangle.
    m11, m22, m33 = 1.0 / l11, 1.0 / l22, 1.0 / l33
    m21 = -l21 * m11 * m22
    m32 = -l32 * m22 * m33
    m31 = -(l31 * m11 + l32 * m21) * m33
    return (
        variance * (m11 * m11 + m21 * m21 + m31 * m31),
        variance * (m21 * m22 + m31 * m32),
        variance * m31 * m33,
        variance * (m22 * m22 + m32 * m32),
        variance * m32 * m33,
        variance * m33 * m33,
    )


def fit_series(
    time: np.ndarray,
    concentration: np.ndarray,
    *,
    k_bounds: tuple[float, float] | None = None,
    nonnegative: bool = True,
    response: float = 0.0,
) -> dict[str, Any]:
    r"""Fit the exponential to one series, for a look at a single closure.

    Parameters
    ----------
    time : (n,) array
        Time from closing, any unit.
    concentration : (n,) array
        Dry mole fraction, any unit.
    k_bounds : tuple of two floats, optional
        Bounds of k; by default `K_SPAN_MIN` and `K_SPAN_MAX` over the length.
    nonnegative : bool
        Do not allow a negative equilibrium concentration.
    response : float
        Response time of the sensor (63 %), in the unit of `time`.

    Returns
    -------
    dict
        ``k``, ``c0``, ``c_inf``, ``slope`` (at time zero), ``slope_se``, ``rss`` and
        ``covariance``, the (3, 3) matrix of c0, slope and log k; independent
        residuals are assumed.

    References
    ----------
    Hutchinson & Mosier (1981), SSSAJ 45:311; Pedersen et al. (2010), EJSS 61:888.

    Examples
    --------
    The published example of Pedersen's HMR (times in h, h = V/A = 0.3 m):

    >>> t = np.array([0, 1/3, 2/3, 1, 1.2, 1.3])
    >>> fit = fit_series(t, np.array([320.0, 341, 352, 359, 360, 360]))
    >>> round(0.3 * fit["slope"], 4), round(fit["k"], 5), round(fit["c_inf"], 3)
    (26.1229, 1.97016, 364.122)
    """
    t = np.ascontiguousarray(time, float)
    c = np.ascontiguousarray(concentration, float)
    n = t.size
    span = t[-1] - t[0]
    low, high = k_bounds or (K_SPAN_MIN / span, K_SPAN_MAX / span)
    lag, g, dg = np.zeros(n), np.empty(n), np.empty(n)
    delay(t, n, response, lag)
    dt = even_step(t, n)
    k, c0, s0, rss, _ = fit_exponential(
        t, c, lag, response, dt, n, low, high, nonnegative, g, dg
    )
    variance = rss / (n - 3) if n > 3 else math.nan
    cc, cs, ck, ss, sk, kk = curve_covariance(n, s0, g, dg, variance)
    return {
        "k": k,
        "c0": c0,
        "c_inf": c0 + s0 / k,
        "slope": s0,
        "slope_se": math.sqrt(ss),
        "rss": rss,
        "covariance": np.array([[cc, cs, ck], [cs, ss, sk], [ck, sk, kk]]),
    }
