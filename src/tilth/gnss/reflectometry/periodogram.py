r"""The generalised Lomb-Scargle periodogram of an arc: amplitude against height.

With :math:`x = 2 \sin e / \lambda` a plane reflector at the depth :math:`H` under the
antenna makes the ratio swing as :math:`A \cos(2 \pi H x + \varphi)`: the frequency of
the periodogram is the height itself. The mean floats (Zechmeister and Kuerster 2009):
with the classical periodogram one accepted height in eight comes out 5 mm elsewhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.arcs import detrend

#: Heights of the coarse search: this far apart, m, and this part of the width of a
#: peak where a band of elevations is so wide that peaks are narrow.
COARSE_STEP, COARSE_SHARE = 0.04, 0.14

#: Peaks of the coarse search that are looked at closely have this part of the power of
#: the highest: between two of its heights power falls by less.
_CANDIDATE = 0.9

#: Sums may be taken in any order: then several are added at once.
_FAST = {"reassoc", "contract", "nsz", "arcp"}


def amplitude_spectrum(
    elevation: npt.ArrayLike,
    residual: npt.ArrayLike,
    wavelength: float,
    heights: npt.ArrayLike,
) -> np.ndarray:
    r"""Return the amplitude at evenly spaced heights.

    At each height :math:`a \cos 2 \pi H x + b \sin 2 \pi H x + c` is fitted to the
    residuals :math:`y`. With sums over centred :math:`y` and over
    :math:`C, S` less their means, and :math:`D = CC \cdot SS - CS^2`,

    .. math::

        P = \frac{SS\,YC^2 + CC\,YS^2 - 2\,CS\,YC\,YS}{2 D}, \qquad A = 2 \sqrt{P / N} .

    Parameters
    ----------
    elevation : array_like, shape (sample)
        Apparent elevation, degrees.
    residual : array_like, shape (sample)
        Ratio less its trend, V/V.
    wavelength : float
        m.
    heights : array_like, shape (height)
        Evenly spaced, rising, m.

    Returns
    -------
    numpy.ndarray, shape (height)
        Amplitude, in the unit of `residual`.

    Raises
    ------
    InputError
        If heights are not even, or columns differ in length.

    References
    ----------
    Zechmeister and Kuerster (2009), Astronomy and Astrophysics 496, 577-584, eqs. 4-5.
    """
    sine = np.sin(np.radians(np.asarray(elevation, float)))
    y = np.asarray(residual, float)
    grid = np.asarray(heights, float)
    if sine.shape != y.shape or y.ndim != 1 or y.size < 4:
        raise InputError(
            f"an arc has an elevation per residual and at least 4 of them, got the "
            f"shapes {sine.shape} and {y.shape}"
        )
    if grid.ndim != 1 or grid.size < 2 or grid[0] < 0 or grid[1] <= grid[0]:
        raise InputError("heights are at least two, rise and are not negative")
    step = (grid[-1] - grid[0]) / (grid.size - 1)
    if np.abs(np.diff(grid) - step).max() > 1e-6 * step:
        raise InputError("heights are not evenly spaced: take them from numpy.linspace")
    power = np.empty(grid.size)
    _power(2.0 * sine / wavelength, y - y.mean(), grid[0], step, power)
    return 2.0 * np.sqrt(power / y.size)


@njit(cache=True, nogil=True, fastmath=_FAST)
def _power(x, y, first, step, power):  # pragma: no cover - compiled
    """Fill the power at the heights first, first + step, ...; y is centred.

    From one height to the next the angle of each sample is turned by a fixed amount:
    no sine is computed but at the beginning.
    """
    n = x.size
    c, s = np.empty(n), np.empty(n)
    turn_c, turn_s = np.empty(n), np.empty(n)
    for i in range(n):
        c[i] = np.cos(2.0 * np.pi * first * x[i])
        s[i] = np.sin(2.0 * np.pi * first * x[i])
        turn_c[i] = np.cos(2.0 * np.pi * step * x[i])
        turn_s[i] = np.sin(2.0 * np.pi * step * x[i])
    for k in range(power.size):
        sum_c, sum_s, cc, cs, yc, ys = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            now_c, now_s = c[i], s[i]
            sum_c += now_c
            sum_s += now_s
            cc += now_c * now_c
            cs += now_c * now_s
            yc += y[i] * now_c
            ys += y[i] * now_s
            c[i] = now_c * turn_c[i] - now_s * turn_s[i]
            s[i] = now_s * turn_c[i] + now_c * turn_s[i]
        ss = n - cc - sum_s * sum_s / n
        cc -= sum_c * sum_c / n
        cs -= sum_c * sum_s / n
        below = 2.0 * (cc * ss - cs * cs)
        above = ss * yc * yc + cc * ys * ys - 2.0 * cs * yc * ys
        power[k] = above / below if below > 1e-12 * n * n else 0.0


@njit(cache=True, nogil=True)
def grid_of(width, n, max_height, height_step):  # pragma: no cover - compiled
    """Return first height, last height and number of heights of gnssrefl's grid.

    The number is cut off, and with heights of 8 m in steps of 5 mm comes out as 1599 or
    1600 by the last bit of a quotient: the sequence of operations must be this one.

    Parameters
    ----------
    width : float
        Largest less smallest x, m-1.
    n : int
        Number of samples.
    max_height, height_step : float
        m.

    Returns
    -------
    float, float, int
        Heights in m, and how many there are.
    """
    oversampling = (1.0 / width) / height_step
    highest = max_height / (n / (2.0 * width))
    count = int(0.5 * oversampling * highest * n)
    first = 1.0 / (width * oversampling)
    last = highest * n / (2.0 * width)
    return first, last, count


@njit(cache=True, nogil=True)
def grid_peak(
    x, y, min_height, max_height, height_step, noise_low, noise_high
):  # pragma: no cover - compiled
    """Return height, amplitude and noise on gnssrefl's grid; y is centred.

    Parameters
    ----------
    x : numpy.ndarray, shape (sample)
        Twice the sine of elevation over the wavelength, m-1.
    y : numpy.ndarray, shape (sample)
        Residuals less their mean.
    min_height, max_height, height_step : float
        m.
    noise_low, noise_high : float
        Heights between which the noise is the mean amplitude, m.

    Returns
    -------
    float, float, float
        m, and twice the unit of `y`.
    """
    n = x.size
    first, last, count = grid_of(x.max() - x.min(), n, max_height, height_step)
    step = (last - first) / (count - 1)
    power = np.empty(count)
    _power(x, y, first, step, power)
    best, total, within = -1, 0.0, 0
    for k in range(count):
        height = first + k * step
        if height > min_height and (best < 0 or power[k] > power[best]):
            best = k
        if noise_low < height < noise_high:
            total += np.sqrt(power[k])
            within += 1
    scale = 2.0 / np.sqrt(n)
    noise = scale * total / within if within else np.nan
    return first + best * step, scale * np.sqrt(power[best]), noise


@njit(cache=True, nogil=True)
def fine_peak(
    x, y, min_height, max_height, height_step, noise_low, noise_high
):  # pragma: no cover - compiled
    """Return height, amplitude and noise by a coarse, a fine search and a parabola.

    Parameters
    ----------
    x : numpy.ndarray, shape (sample)
        Twice the sine of elevation over the wavelength, m-1.
    y : numpy.ndarray, shape (sample)
        Residuals less their mean.
    min_height, max_height, height_step : float
        m; the last is the spacing of the fine search.
    noise_low, noise_high : float
        Heights between which the noise is the mean amplitude, m.

    Returns
    -------
    float, float, float
        m, and twice the unit of `y`.
    """
    n = x.size
    coarse = min(COARSE_STEP, COARSE_SHARE / (x.max() - x.min()))
    start = min(min_height, noise_low)
    count = int(np.ceil((max_height - start) / coarse)) + 1
    coarse = (max_height - start) / (count - 1)
    power = np.empty(count)
    _power(x, y, start, coarse, power)
    first = int(np.ceil((min_height - start) / coarse - 1e-9))
    highest, total, within = 0.0, 0.0, 0.0
    for k in range(count):
        if k >= first:
            highest = max(highest, power[k])
        # A height stands for what lies halfway to its neighbours.
        low = max(start + (k - 0.5) * coarse, noise_low)
        high = min(start + (k + 0.5) * coarse, noise_high)
        if high > low:
            total += (high - low) * np.sqrt(power[k])
            within += high - low
    height, top = np.nan, -1.0
    near = np.empty(2 * int(np.ceil(coarse / height_step)) + 1)
    for k in range(first, count):
        if power[k] < _CANDIDATE * highest:
            continue
        if (k > first and power[k - 1] > power[k]) or (
            k < count - 1 and power[k + 1] > power[k]
        ):
            continue
        middle = start + k * coarse
        low = max(middle - height_step * (near.size // 2), min_height)
        high = min(middle + height_step * (near.size // 2), max_height)
        step = (high - low) / (near.size - 1)
        _power(x, y, low, step, near)
        best = int(np.argmax(near))
        at, value = low + best * step, near[best]
        if 0 < best < near.size - 1:
            rise, fall = near[best] - near[best - 1], near[best + 1] - near[best]
            shift = 0.5 * (rise + fall) / (rise - fall) if rise > fall else 0.0
            at += shift * step
            value += 0.25 * (rise + fall) * shift
        if value > top:
            height, top = at, value
    scale = 2.0 / np.sqrt(n)
    noise = scale * total / within if within else np.nan
    return height, scale * np.sqrt(top), noise


@njit(cache=True, nogil=True)
def height_error(x, y, height, elevation, order):  # pragma: no cover - compiled
    r"""Return the standard error of a height.

    The wave at the height is fitted, and the height is taken as a fourth parameter. For
    white residuals of the variance :math:`\sigma^2` its error is the bound of Cramer
    and Rao,

    .. math:: \sigma_H = \frac{\lambda}{4 \pi}
        \frac{\sqrt{2}\,\sigma}{A \sqrt{N} \operatorname{sd}(\sin e)} .

    Two things are added. Neighbouring residuals resemble each other: with their first
    autocorrelation :math:`\rho` and the derivative :math:`d` of the wave in height the
    variance grows by :math:`\sum_{ij} \rho^{|i-j|} d_i d_j / \sum d_i^2`, taken as
    one where it is less. And the polynomial that took the direct signal away took part
    of a slow wave too: what that moves the height by is squared and added.

    Parameters
    ----------
    x : numpy.ndarray, shape (sample)
        Twice the sine of elevation over the wavelength, m-1, in the order of time.
    y : numpy.ndarray, shape (sample)
        Residuals less their mean.
    height : float
        m.
    elevation : numpy.ndarray, shape (sample)
        Degrees.
    order : int
        Of the polynomial in elevation.

    Returns
    -------
    float
        m; NaN where there are not more samples than parameters.
    """
    n, parameters = x.size, order + 4
    if n <= parameters:
        return np.nan
    angle = 2.0 * np.pi * height * x
    c, s = np.cos(angle), np.sin(angle)
    c0, s0 = c.mean(), s.mean()
    c, s = c - c0, s - s0
    cc, ss, cs = np.dot(c, c), np.dot(s, s), np.dot(c, s)
    below = cc * ss - cs * cs
    if below <= 0.0:
        return np.nan
    yc, ys = np.dot(y, c), np.dot(y, s)
    a, b = (ss * yc - cs * ys) / below, (cc * ys - cs * yc) / below
    wave = a * c + b * s
    rest = y - wave
    # What the height changes, less what amplitudes and mean change as well.
    slope = 2.0 * np.pi * x * (b * (c + c0) - a * (s + s0))
    slope -= slope.mean()
    yc, ys = np.dot(slope, c), np.dot(slope, s)
    slope -= (ss * yc - cs * ys) / below * c + (cc * ys - cs * yc) / below * s
    weight = np.dot(slope, slope)
    if weight <= 0.0:
        return np.nan
    # On a grid the height is off its peak by up to half a step.
    rest -= np.dot(slope, rest) / weight * slope
    power = np.dot(rest, rest)
    if power <= 0.0:
        return 0.0
    # Taking out smooth parts leaves residuals that look less alike than they were.
    alike = (np.dot(rest[1:], rest[:-1]) / power * n + parameters) / (n - parameters)
    alike = min(max(alike, 0.0), 0.95)
    # The sum over all pairs, by one pass: what came before decays by a factor.
    before, growth = 0.0, 0.0
    for i in range(n):
        growth += slope[i] * (slope[i] + 2.0 * before)
        before = alike * (before + slope[i])
    growth = max(growth / weight, 1.0)
    variance = growth * power / (n - parameters) / weight
    kept = wave.copy()
    if detrend(elevation, kept, order):
        moved = np.dot(slope, wave - kept) / weight
        variance += moved * moved
    return np.sqrt(variance)
