"""One pass over one closure: straight line, exponential, LI-COR slope, errors.

The kernel that a fleet year goes through: it takes the padded rows of a closures
dataset and returns one row of numbers (`COLUMNS`) and one flag word per closure.
Everything is in the units of the concentration and of time; the amount of air is
applied afterwards.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tilth.chambers.fits.exponential import (
    K_SPAN_MAX,
    K_SPAN_MIN,
    curve_covariance,
    delay,
    even_step,
    fit_exponential,
    project,
)
from tilth.chambers.fits.points import (
    INITIAL_WINDOW,
    initial_concentration,
    line_through,
    residual_summary,
    select_points,
    variance_inflation,
)
from tilth.chambers.flags import FLUX_FLAGS

#: What the kernel returns for each closure, in this order.
COLUMNS = (
    "n",  # points fitted
    "n_independent",  # readings that are not repeats of the one before
    "duration",  # from closing to the last point fitted
    "time_spread",  # sqrt(sum (t - mean t)^2)
    "c_first",  # first concentration fitted
    "c_last",  # last concentration fitted
    "c_closing",  # concentration at closing: line through the first 10 s
    "linear_slope",
    "linear_slope_se",
    "linear_c0",
    "linear_rss",
    "linear_mae",
    "linear_r2",
    "linear_autocorrelation",
    "hm_slope",
    "hm_slope_se",
    "hm_c0",
    "hm_c_inf",
    "hm_k",
    "hm_rss",
    "hm_mae",
    "hm_autocorrelation",
    "licor_slope",
    "licor_slope_se",
    "licor_k",
    "licor_c_inf",
    "licor_t0",
    "licor_rss",
    "pooled_slope",
    "pooled_slope_se",
    "pooled_c0",
    "pooled_rss",
)

_TOO_FEW = FLUX_FLAGS.bit("too_few_points")
_CONSTANT = FLUX_FLAGS.bit("constant_concentration")
_NO_CURVATURE = FLUX_FLAGS.bit("no_curvature")
_K_HIGH = FLUX_FLAGS.bit("k_at_upper_bound")
_KAPPA = FLUX_FLAGS.bit("k_above_kappa_max")
_NO_LICOR = FLUX_FLAGS.bit("licor_not_fitted")
_REPEATED = FLUX_FLAGS.bit("repeated_values")
_CORRELATED = FLUX_FLAGS.bit("autocorrelated")
_FEW = FLUX_FLAGS.bit("few_points")
_MISSING = FLUX_FLAGS.bit("missing_values")
_DISORDER = FLUX_FLAGS.bit("repeated_times")
_HELD = FLUX_FLAGS.bit("asymptote_at_zero")
_REJECTED = FLUX_FLAGS.bit("closure_rejected")

_INDEX = {name: i for i, name in enumerate(COLUMNS)}
_LINEAR, _HM, _LICOR, _POOLED = (
    _INDEX["linear_slope"],
    _INDEX["hm_slope"],
    _INDEX["licor_slope"],
    _INDEX["pooled_slope"],
)

#: Share of backward records, and of stamps that repeat the one before, above which
#: the clock is not believed and the closure not fitted. Readings at 1.3 Hz stamped in
#: whole seconds repeat a fifth of them. Of fewer than ten points, none may repeat.
_MAX_DROPPED, _MAX_REPEATED = 0.1, 0.3

#: Fewer points than this are fitted, but raise ``few_points``.
_FEW_LIMIT = 10


@njit(cache=True, nogil=True, error_model="numpy")
def fit_closure(
    time, value, start, end, tau, shared_k, shared_se, kappa_per_slope, nonnegative,
    correlated, row, work,
):  # fmt: skip
    """Fit one closure; fill one row of `COLUMNS` and return the flag word.

    Parameters
    ----------
    time, value : 1-D arrays
        Time from closing and dry mole fraction, padded with NaN.
    start, end : float
        Dead-band and end of the fit, in the units of `time`.
    tau : float
        Response time of the sensor, in the units of `time`; 0 for none.
    shared_k, shared_se : float
        Rate known from other closures and the standard error of its logarithm; NaN
        where there is none.
    kappa_per_slope : float
        kappa-max divided by |linear slope| (1 / precision), or inf for no limit.
    nonnegative : bool
        Hold a negative equilibrium concentration at zero.
    correlated : bool
        Widen standard errors for autocorrelation and repeated readings.
    row : 1-D array of len(COLUMNS)
        Result, NaN where it cannot be had.
    work : (7, samples) array
        Scratch.
    """
    row[:] = math.nan
    t, c, g, dg, residual = work[0], work[1], work[2], work[3], work[4]
    lag, seen = work[5], work[6]
    n, missing, repeated, dropped = select_points(time, value, start, end, t, c)
    flags = 0
    if missing > 0:
        flags |= _MISSING
    if repeated > 0:
        flags |= _DISORDER
    row[0] = n
    if n < 3:
        return flags | _TOO_FEW
    if (
        dropped > _MAX_DROPPED * n
        or repeated > _MAX_REPEATED * n
        or (repeated > 0 and n < _FEW_LIMIT)
    ):
        return flags | _REJECTED
    if n < _FEW_LIMIT:
        flags |= _FEW

    # The straight line, as the sensor would show it.
    delay(t, n, tau, lag)
    dt = even_step(t, n)
    for i in range(n):
        seen[i] = t[i] - lag[i]
    c0, slope, rss, stt = line_through(seen, c, n)
    for i in range(n):
        residual[i] = c[i] - c0 - slope * seen[i]
    mae, rho, fresh = residual_summary(c, n, residual, 2)
    variance = rss / (n - 2) / stt
    if correlated:
        variance *= variance_inflation(n, fresh, 2, rho)
    spread = rss + slope * slope * stt
    row[1], row[2], row[3] = fresh, t[n - 1], math.sqrt(stt)
    row[4], row[5] = c[0], c[n - 1]
    initial, initial_variance, n_initial = initial_concentration(
        time, value, INITIAL_WINDOW
    )
    row[6] = initial
    j = _LINEAR
    row[j], row[j + 1], row[j + 2] = slope, math.sqrt(variance), c0
    row[j + 3], row[j + 4] = rss, mae
    row[j + 5] = 1.0 - rss / spread if spread > 0.0 else math.nan
    row[j + 6] = rho
    if fresh < n:
        flags |= _REPEATED
    if rho > 2.0 / math.sqrt(n):
        flags |= _CORRELATED
    if not spread > 0.0:
        # Nothing to curve: the line is the answer, with no error to be had.
        row[_HM], row[_HM + 2] = slope, c0
        row[_LICOR] = slope
        return flags | _CONSTANT | _NO_CURVATURE

    if shared_k > 0.0:
        _pooled(
            t, c, lag, tau, dt, n, shared_k, shared_se, correlated, g, residual, row
        )

    # The exponential, free first: its optimum serves LI-COR's slope as well.
    length = t[n - 1] - t[0]
    k_low, k_high = K_SPAN_MIN / length, K_SPAN_MAX / length
    k, c0, s0, rss, held = fit_exponential(
        t, c, lag, tau, dt, n, k_low, k_high, False, g, dg
    )
    flags |= _licor(
        t, c, n, k, c0, s0, rss, g, dg, k_low, initial, initial_variance,
        n_initial, correlated, residual, row,
    )  # fmt: skip

    kappa_max = kappa_per_slope * abs(slope)
    limit = k_high
    if k > kappa_max:
        flags |= _KAPPA
        limit = max(kappa_max, k_low * 1.0001)
    if limit < k_high or (nonnegative and c0 + s0 / k < 0.0):
        k, c0, s0, rss, held = fit_exponential(
            t, c, lag, tau, dt, n, k_low, limit, nonnegative, g, dg
        )
    j = _HM
    row[j], row[j + 2], row[j + 3], row[j + 4], row[j + 5] = s0, c0, c0 + s0 / k, k, rss
    for i in range(n):
        residual[i] = c[i] - c0 - s0 * g[i]
    mae, rho, _ = residual_summary(c, n, residual, 3)
    row[j + 6], row[j + 7] = mae, rho
    inflation = variance_inflation(n, fresh, 3, rho) if correlated else 1.0
    if held:
        # C0 exp(-kt) has two parameters; slope = -k C0.
        flags |= _HELD
        row[j + 3] = 0.0
        row[j + 1] = _held_slope_error(n, k, c0, rss, inflation, g, dg)
    else:
        if k <= k_low:
            flags |= _NO_CURVATURE
        elif k >= k_high:
            flags |= _K_HIGH
        if n > 3:
            # The size of the third column does not matter to the slope's variance, so
            # 1 stands for s0: the error allows for curvature where none was found.
            covariance = curve_covariance(n, 1.0, g, dg, rss / (n - 3) * inflation)
            row[j + 1] = math.sqrt(covariance[3])
    return flags


@njit(cache=True, nogil=True, error_model="numpy")
def _held_slope_error(n, k, c0, rss, inflation, g, dg):
    """Return the standard error of -k C0 where C = C0 (1 - k g), both fitted."""
    aa = 0.0
    ab = 0.0
    bb = 0.0
    for i in range(n):
        e = 1.0 - k * g[i]
        d = -c0 * (g[i] + dg[i])
        aa += e * e
        ab += e * d
        bb += d * d
    determinant = aa * bb - ab * ab
    if not determinant > 0.0 or n < 3:
        return math.nan
    scale = rss / (n - 2) * inflation / determinant
    return math.sqrt(scale * (k * k * bb - 2.0 * k * c0 * ab + c0 * c0 * aa))


@njit(cache=True, nogil=True, error_model="numpy")
def _pooled(t, c, lag, tau, dt, n, k, log_k_se, correlated, g, residual, row):
    """Fill the columns of the curve whose rate is known from other closures."""
    j = _POOLED
    other, _ = project(t, c, lag, tau, dt, n, k * math.exp(0.01), False, g)[1:3]
    c0, s0, rss, _ = project(t, c, lag, tau, dt, n, k, False, g)
    mean = 0.0
    for i in range(n):
        mean += g[i]
        residual[i] = c[i] - c0 - s0 * g[i]
    mean /= n
    spread = 0.0
    for i in range(n):
        spread += (g[i] - mean) ** 2
    _, rho, fresh = residual_summary(c, n, residual, 2)
    variance = rss / (n - 2) / spread
    if correlated:
        variance *= variance_inflation(n, fresh, 2, rho)
    by_rate = (other - s0) / 0.01 * log_k_se
    row[j], row[j + 1] = s0, math.sqrt(variance + by_rate * by_rate)
    row[j + 2], row[j + 3] = c0, rss


@njit(cache=True, nogil=True, error_model="numpy")
def _licor(
    t, c, n, k, c0, s0, rss, g, dg, k_low, initial, initial_variance, n_initial,
    correlated, residual, row,
):  # fmt: skip
    """Fill the LI-COR columns from the free exponential; return flags.

    The slope where the curve passes the initial concentration Cf is
    s0 + k (C0 - Cf); its variance is that of (C0, s0, log k) by the delta method,
    with k^2 var(Cf) added because Cf is measured too.
    """
    j = _LICOR
    if k <= k_low:
        # LI-COR's own firmware falls back to the line here (Cx runs to 1e6).
        row[j], row[j + 5] = row[_LINEAR], row[_LINEAR + 3]
    else:
        # Where the curve passes Cf: exp(-k t0) = 1 - k (Cf - C0) / s0.
        inside = 1.0 - k * (initial - c0) / s0
        if not inside > 0.0:
            return _NO_LICOR
        row[j] = s0 + k * (c0 - initial)
        row[j + 2], row[j + 3], row[j + 4] = k, c0 + s0 / k, -math.log(inside) / k
        row[j + 5] = rss
    if n > 3:
        for i in range(n):
            residual[i] = c[i] - c0 - s0 * g[i]
        _, rho, fresh = residual_summary(c, n, residual, 3)
        variance = rss / (n - 3)
        if math.isnan(initial_variance):
            initial_variance = variance / max(n_initial, 1)
        if correlated:
            factor = variance_inflation(n, fresh, 3, rho)
            variance *= factor
            initial_variance *= factor
        # With s0 log k as the third parameter a vanishing slope does no harm.
        cc, cs, ck, ss, sk, kk = curve_covariance(n, 1.0, g, dg, variance)
        # Gradient of the slope by (C0, s0, s0 log k).
        a, b, d = k, 1.0, k * (c0 - initial) / s0 if s0 != 0.0 else 0.0
        total = (
            a * a * cc + b * b * ss + d * d * kk
            + 2.0 * (a * b * cs + a * d * ck + b * d * sk)
        )  # fmt: skip
        row[j + 1] = math.sqrt(total + k * k * initial_variance)
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def fit_closures(
    time, value, start, end, rejected, tau, shared_k, shared_se, kappa_per_slope,
    nonnegative, correlated,
):  # fmt: skip
    """Run `fit_closure` over the rows of a padded block.

    Parameters
    ----------
    time, value : (closures, samples) arrays
        Time from closing and dry mole fraction, padded with NaN.
    start, end : (closures,) arrays
        Dead-band and end of the fit of each closure.
    rejected : (closures,) array of bool
        Closures that get no flux.
    shared_k, shared_se : (closures,) arrays
        Rate known from other closures and its error; NaN where there is none.
    tau, kappa_per_slope, nonnegative, correlated
        As in `fit_closure`.

    Returns
    -------
    rows : (closures, len(COLUMNS)) array
    flags : (closures,) array of int32
    """
    m = time.shape[0]
    rows = np.full((m, len(COLUMNS)), np.nan)
    flags = np.zeros(m, np.int32)
    work = np.empty((7, time.shape[1]))
    for i in range(m):
        if rejected[i]:
            flags[i] = _REJECTED
            continue
        flags[i] = fit_closure(
            time[i], value[i], start[i], end[i], tau, shared_k[i], shared_se[i],
            kappa_per_slope, nonnegative,
            correlated, rows[i], work,
        )  # fmt: skip
    return rows, flags
