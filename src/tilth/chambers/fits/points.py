"""What every fit needs of a series: its points, its line, its residuals' memory."""

from __future__ import annotations

import math

from numba import njit

#: Window after closing from which LI-COR takes the initial concentration, s.
#: LI-8100A manual, chapter 4 ("the first 10 seconds").
INITIAL_WINDOW = 10.0


@njit(cache=True, nogil=True, error_model="numpy")
def line_through(t, y, n):
    """Least-squares line: value at t = 0, slope, residual sum, sum of (t - mean)^2."""
    mean_t = 0.0
    mean_y = 0.0
    for i in range(n):
        mean_t += t[i]
        mean_y += y[i]
    mean_t /= n
    mean_y /= n
    stt = 0.0
    sty = 0.0
    for i in range(n):
        stt += (t[i] - mean_t) ** 2
        sty += (t[i] - mean_t) * (y[i] - mean_y)
    slope = sty / stt if stt > 0.0 else math.nan
    rss = 0.0
    for i in range(n):
        r = y[i] - mean_y - slope * (t[i] - mean_t)
        rss += r * r
    return mean_y - slope * mean_t, slope, rss, stt


@njit(cache=True, nogil=True, error_model="numpy")
def residual_summary(c, n, residual, parameters):
    """Mean absolute residual, lag-1 autocorrelation and independent readings.

    A reading equal to the one before is a repeat of a slow sensor, not new
    information: repeats are counted out, and the autocorrelation is that of the
    others. Its small-sample bias, about -p (1 + 2 rho) / n for p fitted
    parameters, is removed; negative values count as zero.
    """
    mae = 0.0
    fresh = 0
    mean = 0.0
    for i in range(n):
        mae += abs(residual[i])
        if i == 0 or c[i] != c[i - 1]:
            fresh += 1
            mean += residual[i]
    # Held readings lag the line, so the fresh ones lie off it by a constant.
    mean /= fresh
    level = 0.0
    squares = 0.0
    products = 0.0
    last = 0.0
    for i in range(n):
        level += c[i] * c[i]
        if i > 0 and c[i] == c[i - 1]:
            continue
        centred = residual[i] - mean
        if i > 0:
            products += centred * last
        squares += centred * centred
        last = centred
    rho = 0.0
    # Residuals at the last digit of the readings are arithmetic, not noise.
    if fresh > 2 * parameters + 2 and squares > 1e-24 * level:
        rho = products / squares
        rho = (rho + parameters / fresh) / (1.0 - 2.0 * parameters / fresh)
        rho = min(max(rho, 0.0), 0.99)
    return mae / n, rho, fresh


@njit(cache=True, nogil=True, error_model="numpy")
def variance_inflation(n, fresh, parameters, rho):
    """Factor by which repeats and AR(1) residuals raise a slope's variance.

    (1 + rho) / (1 - rho) for the correlation, (n - p) / (n_fresh - p) for repeats.
    """
    repeats = 1.0
    if fresh < n:
        repeats = (n - parameters) / max(fresh - parameters, 0.5)
    return repeats * (1.0 + rho) / (1.0 - rho)


@njit(cache=True, nogil=True, error_model="numpy")
def initial_concentration(time, value, window):
    """Line through the points of the first `window` seconds, at closing.

    Returns the value, its variance and the number of points; NaN where there is
    none. One or two points give their mean and an unknown variance.
    """
    n = 0
    st = 0.0
    sy = 0.0
    for i in range(time.size):
        if 0.0 <= time[i] <= window and math.isfinite(value[i]):
            n += 1
            st += time[i]
            sy += value[i]
    if n == 0:
        return math.nan, math.nan, 0
    mt, my = st / n, sy / n
    stt = 0.0
    sty = 0.0
    syy = 0.0
    for i in range(time.size):
        if 0.0 <= time[i] <= window and math.isfinite(value[i]):
            stt += (time[i] - mt) ** 2
            sty += (time[i] - mt) * (value[i] - my)
            syy += (value[i] - my) ** 2
    if n < 3 or not stt > 0.0:
        return my, math.nan, n
    slope = sty / stt
    variance = max(syy - slope * sty, 0.0) / (n - 2)
    return my - slope * mt, variance * (1.0 / n + mt * mt / stt), n


@njit(cache=True, nogil=True, error_model="numpy")
def select_points(time, value, start, end, t, c):
    """Copy the usable points of the window; count what was wrong with the others.

    Returns the number of points, of missing values, of stamps that repeat the one
    before, and of records dropped because they go back in time.
    """
    n = 0
    missing = 0
    repeated = 0
    dropped = 0
    newest = -math.inf
    for i in range(time.size):
        if not (start <= time[i] <= end):
            continue
        if not math.isfinite(value[i]):
            missing += 1
            continue
        if time[i] <= newest:
            repeated += 1
            # Two readings within a rounded second are two readings; one that goes
            # back in time is not.
            if time[i] < newest:
                dropped += 1
                continue
        newest = time[i]
        t[n], c[n] = time[i], value[i]
        n += 1
    return n, missing, repeated, dropped
