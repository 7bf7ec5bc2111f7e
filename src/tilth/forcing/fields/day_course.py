"""Courses of a day: temperature from its extremes, what is smooth, what is bounded.

Every function keeps the mean of each day exactly; temperature its extremes too.
"""

from __future__ import annotations

import numba
import numpy as np

from tilth.core.errors import InputError
from tilth.physics.solar import sun_position

#: Hours from noon to the highest temperature, decay of the night (relative to its
#: length), hours from sunrise to the lowest: air at 1.5 m, Parton & Logan (1981).
LAG, DECAY, RISE = 1.86, 2.20, -0.17

#: Beyond these lengths of the day (h) there is no sunrise to speak of; temperature
#: keeps the course of such a day.
_SHORTEST, _LONGEST = 6.0, 20.0

#: Exponents of the course in which that of the day's mean is looked for.
_FLATTEST, _STEEPEST = 0.01, 100.0


def temperature_course(
    mean: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    days_utc: np.ndarray,
    steps: int,
) -> np.ndarray:
    r"""Temperature of the steps of each day, from its mean, minimum and maximum.

    The course c(t) is that of Parton & Logan (1981): with D the length of the day in
    hours, m hours after the minimum and n after sunset,

    .. math::
        c &= T_n + (T_x - T_n) \sin\frac{\pi m}{D + 2 a} \quad \text{(day)} \\
        c &= T_n' + (T_s - T_n') \frac{e^{-b n / Z} - e^{-b}}{1 - e^{-b}}
        \quad \text{(night of length } Z)

    from the minimum after sunrise over the maximum after noon to the next minimum. It
    is then laid between the extremes of each day, y in [0, 1], and bent such that the
    mean of the steps is that of the day: :math:`T = T_n + (T_x - T_n)\,y^\gamma`.

    Parameters
    ----------
    mean, lowest, highest : numpy.ndarray, shape (..., days)
        Of each day from midnight to midnight UTC, in K, with lowest <= mean <= highest.
    latitude, longitude : numpy.ndarray, shape (...)
        Degrees north and east.
    days_utc : numpy.ndarray of datetime64, shape (days,)
        Midnights at which the days begin.
    steps : int
        Steps of a day.

    Returns
    -------
    numpy.ndarray, shape (..., days * steps)
        K. Mean of each day as given, lowest and highest step as given; where a mean is
        too near to one extreme for so few steps, the other extreme is not reached.

    Raises
    ------
    InputError
        If a mean does not lie between its extremes.

    References
    ----------
    Parton & Logan (1981), Agricultural Meteorology 23, 205-216.
    """
    outside = (mean < lowest) | (mean > highest)
    if outside.any():
        at = tuple(np.argwhere(outside)[0])
        raise InputError(
            f"{int(outside.sum())} days have a mean beyond their extremes, the first "
            f"{lowest[at]:g} <= {mean[at]:g} <= {highest[at]:g} K: bring them in order "
            "with `make_consistent` first"
        )
    shape = mean.shape
    days = shape[-1]
    cells = int(np.prod(shape[:-1], dtype=int))
    noon = days_utc.astype("datetime64[s]") + np.timedelta64(12, "h")
    sun = sun_position(noon)
    # The hour angle is zero at noon: what it is at 12 UTC is the equation of time.
    equation = np.mod(sun.greenwich_hour_angle + np.pi, 2.0 * np.pi) - np.pi
    result = np.empty((cells, days, steps))
    _temperatures(
        np.ascontiguousarray(mean.reshape(cells, days)),
        np.ascontiguousarray(lowest.reshape(cells, days)),
        np.ascontiguousarray(highest.reshape(cells, days)),
        np.radians(latitude.reshape(cells)),
        longitude.reshape(cells) / 360.0,
        sun.declination,
        equation / (2.0 * np.pi),
        result,
    )
    return result.reshape(*shape[:-1], days * steps)


@numba.njit(cache=True, nogil=True)
def _temperatures(
    mean, lowest, highest, latitude, longitude, declination, equation, result
):  # pragma: no cover - compiled
    """Fill in the temperatures of cells; longitude and equation of time in days."""
    cells, days, steps = result.shape
    for cell in range(cells):
        tangent = np.tan(latitude[cell])
        low, high = lowest[cell], highest[cell]
        for day in range(days):
            cosine = -tangent * np.tan(declination[day])
            length = 24.0 / np.pi * np.arccos(min(max(cosine, -1.0), 1.0))
            length = min(max(length, _SHORTEST), _LONGEST)
            coldest = 12.0 - 0.5 * length + RISE
            sunset = 12.0 + 0.5 * length
            ahead = longitude[cell] + equation[day]
            row = result[cell, day]
            for step in range(steps):
                local = day + (step + 0.5) / steps + ahead
                whole = np.floor(local)
                hour = 24.0 * (local - whole)
                if hour < coldest:  # the night that began the day before
                    whole -= 1.0
                    hour += 24.0
                row[step] = _course(
                    day, whole - ahead, hour, length, coldest, sunset, low, high
                )
            _between(row, mean[cell, day], low[day], high[day])


@numba.njit(cache=True, nogil=True)
def _course(
    day, midnight, hour, length, coldest, sunset, low, high
):  # pragma: no cover - compiled
    """Return the course at some hours after a local midnight, itself in days UTC."""
    bottom = _of_day(low, midnight + coldest / 24.0, day)
    span = _of_day(high, midnight + (12.0 + LAG) / 24.0, day) - bottom
    wave = np.pi / (length + 2.0 * LAG)
    if hour <= sunset:
        return bottom + span * np.sin(wave * (hour - coldest))
    dusk = bottom + span * np.sin(wave * (sunset - coldest))
    following = _of_day(low, midnight + 1.0 + coldest / 24.0, day)
    part = (hour - sunset) / (24.0 + coldest - sunset)
    end = np.exp(-DECAY)
    left = (np.exp(-DECAY * part) - end) / (1.0 - end)
    return following + (dusk - following) * left


@numba.njit(cache=True, nogil=True)
def _of_day(extremes, when, day):  # pragma: no cover - compiled
    """Return the extreme of the day in which a time lies; a gap's is the day's own."""
    found = extremes[min(max(int(np.floor(when)), 0), extremes.size - 1)]
    return extremes[day] if np.isnan(found) else found


@numba.njit(cache=True, nogil=True)
def _between(row, mean, low, high):  # pragma: no cover - compiled
    """Lay the course of a day between its extremes and on its mean, in place."""
    if not (low <= mean <= high) or np.isnan(row.sum()):
        row[:] = np.nan
        return
    bottom, top = row.min(), row.max()
    if high == low or top == bottom:
        row[:] = mean
        return
    share = (mean - low) / (high - low)
    # The logarithm of zero is one whose powers vanish all the same.
    logarithm = np.log(np.maximum((row - bottom) / (top - bottom), 1e-300))
    shape = np.exp(_exponent(logarithm, share) * logarithm)
    # What is left is rounding, unless the mean is out of reach: then the departures
    # from it shrink until they fit between the extremes.
    departure = (shape - shape.mean()) * (high - low)
    up, down = departure.max(), -departure.min()
    shrink = 1.0
    if up * shrink > high - mean:
        shrink = (high - mean) / up
    if down * shrink > mean - low:
        shrink = (mean - low) / down
    row[:] = mean + shrink * departure


@numba.njit(cache=True, nogil=True)
def _exponent(logarithm, share):  # pragma: no cover - compiled
    """Return the exponent that gives powers this mean: Newton's method, bracketed."""
    lower, upper = np.log(_FLATTEST), np.log(_STEEPEST)
    place = 0.0
    for _ in range(60):
        exponent = np.exp(place)
        powers = np.exp(exponent * logarithm)
        excess = powers.mean() - share
        if excess > 0.0:
            lower = place
        else:
            upper = place
        slope = exponent * (powers * logarithm).mean()
        before = place
        place = place - excess / slope if slope < 0.0 else lower
        if not lower < place < upper:
            place = 0.5 * (lower + upper)
        if abs(place - before) < 1e-13:
            break
    return np.exp(place)


def smooth_course(mean: np.ndarray, steps: int) -> np.ndarray:
    r"""Straight lines from midnight to noon to midnight that keep each day's mean.

    At midnight two days meet at :math:`b = \min[(m_1 + m_2) / 2, 2 m_1, 2 m_2]`; at
    noon the value is :math:`2 m - (b_0 + b_1) / 2`, which is never negative.

    Parameters
    ----------
    mean : numpy.ndarray, shape (..., days)
        Of each day, not negative.
    steps : int
        Steps of a day.

    Returns
    -------
    numpy.ndarray, shape (..., days * steps)
        Not negative; the mean of the steps of a day is that of the day.
    """
    before, after = mean[..., :-1], mean[..., 1:]
    meet = np.minimum(0.5 * (before + after), 2.0 * np.minimum(before, after))
    # A day beside a gap, or the first, begins with its own mean.
    ends = np.concatenate([mean[..., :1], meet, mean[..., -1:]], axis=-1)
    begin = np.where(np.isnan(ends[..., :-1]), mean, ends[..., :-1])[..., None]
    end = np.where(np.isnan(ends[..., 1:]), mean, ends[..., 1:])[..., None]
    daily = mean[..., None]
    noon = 2.0 * daily - 0.5 * (begin + end)
    part = (np.arange(steps) + 0.5) / steps
    values = np.where(
        part < 0.5,
        begin + (noon - begin) * 2.0 * part,
        noon + (end - noon) * (2.0 * part - 1.0),
    )
    return _with_mean(values, daily).reshape(*mean.shape[:-1], -1)


def _with_mean(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Scale the steps of each day to its mean; where there is nothing, all get it."""
    found = values.mean(axis=-1, keepdims=True)
    scaled = values * (mean / np.where(found > 0.0, found, 1.0))
    return np.where(found > 0.0, scaled, mean + 0.0 * values)


def weighted_course(mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share out the mean of each day by weights.

    Parameters
    ----------
    mean : numpy.ndarray, shape (..., days)
        Of each day.
    weights : numpy.ndarray, shape (..., days * steps)
        Not negative, such as the sun's height. Where all of a day are zero, its steps
        are alike.

    Returns
    -------
    numpy.ndarray, shape (..., days * steps)
        The mean of the steps of a day is that of the day.
    """
    by_day = weights.reshape(*mean.shape, -1)
    return _with_mean(by_day, mean[..., None]).reshape(weights.shape)


def capped_course(
    mean: np.ndarray, course: np.ndarray, most: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hold a course below a cap without losing what is above it.

    What the cap takes in some steps is given to the others of the day, to each in
    proportion to the room below its cap. Where even the cap has a lower mean, the day
    is capped throughout.

    Parameters
    ----------
    mean : numpy.ndarray, shape (..., days)
        Of each day, such as specific humidity.
    course, most : numpy.ndarray, shape (..., days * steps)
        Course that the values shall have, with that mean, and the cap of each step,
        such as saturation.

    Returns
    -------
    numpy.ndarray, shape (..., days * steps)
        Nowhere above the cap.
    numpy.ndarray of bool, shape (..., days)
        Days whose mean could not be kept.
    """
    shape = (*mean.shape, course.shape[-1] // mean.shape[-1])
    most = most.reshape(shape)
    values = np.minimum(course.reshape(shape), most)
    room = most - values
    lost, free = mean - values.mean(axis=-1), room.mean(axis=-1)
    share = np.clip(lost / np.where(free > 0.0, free, 1.0), 0.0, 1.0)
    filled = values + share[..., None] * room
    return filled.reshape(*mean.shape[:-1], -1), lost > free
