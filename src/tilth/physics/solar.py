"""Where the sun stands, and how its light splits into bands and beams."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilth.core.accelerate import jnp
from tilth.core.constants import SECONDS_PER_DAY, STANDARD_ATMOSPHERE
from tilth.core.errors import InputError

Array = Any

#: Epoch of the orbital elements, 2000-01-01 12:00 UTC.
_EPOCH = np.datetime64("2000-01-01T12:00:00")

#: Above this zenith cosine (1 degree of elevation) air mass is 1/cos; below it stays.
_LOWEST_COSINE = 0.017

#: Potential irradiance at the top of the air in the visible and near infrared, W m-2,
#: optical depths, and diffuse part of what is scattered. Weiss & Norman (1985).
_TOP = (600.0, 720.0)
_DEPTH = (0.185, 0.06)
_DIFFUSE_PART = (0.4, 0.6)

#: Direct light vanishes below and is potential above ratios set by these, visible and
#: near infrared. Weiss & Norman (1985).
_CLEAR = (0.90, 0.88)
_RANGE = (0.70, 0.68)


class SunPosition(NamedTuple):
    """Where the sun stands over the turning Earth.

    Parameters
    ----------
    declination : numpy.ndarray
        Radian.
    greenwich_hour_angle : numpy.ndarray
        Hour angle at longitude 0, radian; zero at the meridian, not wrapped.
    """

    declination: np.ndarray
    greenwich_hour_angle: np.ndarray


def sun_position(time_utc: npt.ArrayLike) -> SunPosition:
    """Declination and hour angle of the sun, to 0.01 degrees between 1900 and 2100.

    Parameters
    ----------
    time_utc : array_like of datetime64
        Time in UTC.

    Returns
    -------
    SunPosition
        Of the shape of `time_utc`.

    Raises
    ------
    InputError
        If the times are not of type datetime64, or missing.

    References
    ----------
    Meeus (1998), Astronomical Algorithms, ch. 25 and 28, in the form of the solar
    calculator of NOAA's Global Monitoring Laboratory.
    """
    time = np.asarray(time_utc)
    if not np.issubdtype(time.dtype, np.datetime64):
        raise InputError(
            f"time_utc is of type {time.dtype}: the sun needs datetime64 in UTC, for "
            "instance from numpy.array(times, 'datetime64[s]')"
        )
    if np.isnat(time).any():
        raise InputError(
            f"time_utc has {int(np.isnat(time).sum())} missing times: drop or fill them"
        )
    days = (time - _EPOCH) / np.timedelta64(1, "s") / SECONDS_PER_DAY
    century = days / 36525.0
    mean_longitude = np.radians(
        280.46646 + century * (36000.76983 + 0.0003032 * century)
    )
    anomaly = np.radians(357.52911 + century * (35999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (4.2037e-5 + 1.267e-7 * century)
    centre = np.radians(
        (1.914602 - century * (0.004817 + 1.4e-5 * century)) * np.sin(anomaly)
        + (0.019993 - 0.000101 * century) * np.sin(2.0 * anomaly)
        + 0.000289 * np.sin(3.0 * anomaly)
    )
    node = np.radians(125.04 - 1934.136 * century)
    longitude = mean_longitude + centre - np.radians(0.00569 + 0.00478 * np.sin(node))
    obliquity = np.radians(23.4392911 - 0.0130042 * century + 0.00256 * np.cos(node))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    y = np.tan(0.5 * obliquity) ** 2
    equation_of_time = (  # as an angle: 4 minutes of time to the degree
        y * np.sin(2.0 * mean_longitude)
        - 2.0 * eccentricity * np.sin(anomaly)
        + 4.0 * eccentricity * y * np.sin(anomaly) * np.cos(2.0 * mean_longitude)
        - 0.5 * y**2 * np.sin(4.0 * mean_longitude)
        - 1.25 * eccentricity**2 * np.sin(2.0 * anomaly)
    )
    # The epoch is a noon: whole days since then are whole turns.
    return SunPosition(declination, 2.0 * np.pi * days + equation_of_time)


def _at_places(
    time_utc: npt.ArrayLike, latitude: npt.ArrayLike, longitude: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constant and amplitude of the zenith cosine, and hour angle: (time, n)."""
    phi, lam = np.broadcast_arrays(
        np.atleast_1d(np.asarray(latitude, float)),
        np.atleast_1d(np.asarray(longitude, float)),
    )
    worst = np.max(np.abs(phi))
    if not worst <= 90.0:
        raise InputError(
            f"latitude reaches {worst} degrees, the poles are at 90: are latitude and "
            "longitude exchanged?"
        )
    sun = sun_position(np.atleast_1d(np.asarray(time_utc)))
    declination = sun.declination[:, None]
    constant = np.sin(np.radians(phi)) * np.sin(declination)
    amplitude = np.cos(np.radians(phi)) * np.cos(declination)
    return constant, amplitude, sun.greenwich_hour_angle[:, None] + np.radians(lam)


def cosine_zenith(
    time_utc: npt.ArrayLike, latitude: npt.ArrayLike, longitude: npt.ArrayLike
) -> np.ndarray:
    r"""Cosine of the solar zenith angle, negative at night; without refraction.

    .. math:: \cos z = \sin\phi \sin\delta + \cos\phi \cos\delta \cos h

    Parameters
    ----------
    time_utc : array_like of datetime64, shape (time,)
        Time in UTC.
    latitude, longitude : array_like, shape (n,)
        Degrees north and east.

    Returns
    -------
    numpy.ndarray, shape (time, n)
        Between -1 and 1.

    Raises
    ------
    InputError
        If a time is missing or not datetime64, or a latitude is beyond 90 degrees.

    References
    ----------
    Meeus (1998), Astronomical Algorithms, eq. 13.6.

    Examples
    --------
    Close to the zenith on the equator, at noon of an equinox:

    >>> noon = np.datetime64("2024-03-20T12:07")
    >>> round(float(cosine_zenith(noon, 0.0, 0.0)[0, 0]), 4)
    1.0
    """
    constant, amplitude, hour = _at_places(time_utc, latitude, longitude)
    return constant + amplitude * np.cos(hour)


class MeanCosine(NamedTuple):
    """Zenith cosine over a time step.

    Parameters
    ----------
    step : numpy.ndarray
        Mean of its positive part over the whole step: scale of the irradiance.
    sunlit : numpy.ndarray
        Mean over the part of the step with the sun up, 0 where it stays down: angle
        of the light in that step.
    """

    step: np.ndarray
    sunlit: np.ndarray


def mean_cosine_zenith(
    start_utc: npt.ArrayLike,
    step: float,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
) -> MeanCosine:
    r"""Mean zenith cosine over steps, integrated exactly through sunrise and sunset.

    .. math:: \frac{1}{\Delta h} \int \max(\sin\phi \sin\delta +
        \cos\phi \cos\delta \cos h,\ 0)\,dh

    with the declination and the equation of time of the middle of the step.

    Parameters
    ----------
    start_utc : array_like of datetime64, shape (time,)
        Beginning of each step, in UTC.
    step : float
        Length of the steps in s.
    latitude, longitude : array_like, shape (n,)
        Degrees north and east.

    Returns
    -------
    MeanCosine
        Of shape (time, n).

    Raises
    ------
    InputError
        If the step is not positive; as `cosine_zenith`.
    """
    if not step > 0.0:
        raise InputError(f"step is {step} s: a mean needs a positive step")
    half = np.timedelta64(round(0.5e9 * step), "ns")
    middle = np.atleast_1d(np.asarray(start_utc)) + half
    constant, amplitude, hour = _at_places(middle, latitude, longitude)
    # At a pole the amplitude is zero to rounding: the sun is up or down all day.
    ratio = -constant / np.maximum(amplitude, 1e-12)
    sunset = np.arccos(np.clip(ratio, -1.0, 1.0))
    width = 2.0 * np.pi * step / SECONDS_PER_DAY

    def up_to(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Integrals of the cosine and of the sunlit time since the first midnight."""
        turns = np.floor((angle + np.pi) / (2.0 * np.pi))
        h = np.clip(angle - 2.0 * np.pi * turns, -sunset, sunset)
        light = constant * (h + sunset) + amplitude * (np.sin(h) + np.sin(sunset))
        day = 2.0 * (constant * sunset + amplitude * np.sin(sunset))
        return turns * day + light, turns * 2.0 * sunset + h + sunset

    # Counting turns from the step's own day keeps the differences free of rounding.
    hour = hour - 2.0 * np.pi * np.floor((hour + np.pi) / (2.0 * np.pi))
    light_before, sun_before = up_to(hour - 0.5 * width)
    light_after, sun_after = up_to(hour + 0.5 * width)
    light = np.maximum(light_after - light_before, 0.0)
    sunlit = sun_after - sun_before
    up = sunlit > 1e-9
    return MeanCosine(light / width, np.where(up, light / np.where(up, sunlit, 1.0), 0))


def split_shortwave(
    shortwave: Array, cosine: Array, pressure: Array = STANDARD_ATMOSPHERE
) -> Array:
    r"""Split global irradiance into visible and near infrared, direct and diffuse.

    Potential (cloudless) irradiances are computed for the sun's height; the measured
    sum relative to the potential one says how much of the direct light clouds took:

    .. math::
        f_{dir} = \frac{R_{dir}}{R}\left[1 - \left(\frac{a - r}{b}\right)^{2/3}
        \right],\quad r = \frac{S}{R_{vis} + R_{nir}} \le a

    for each band. The potential diffuse light is a fixed part of what the horizontal
    direct beam lost, 0.4 (600 cos z - R_dir) in the visible; the paper's printed form
    0.4 (600 - R_dir) cos z takes the cosine twice when the sun is low.

    Parameters
    ----------
    shortwave : array_like
        Global irradiance on a horizontal surface, W m-2.
    cosine : array_like
        Cosine of the zenith angle while the sun is up; at or below zero all light is
        diffuse.
    pressure : array_like
        Air pressure, Pa.

    Returns
    -------
    jax.Array, shape (2, 2, ...)
        W m-2: first axis visible, near infrared; second axis direct, diffuse. The
        four add up to `shortwave`.

    References
    ----------
    Weiss & Norman (1985), Agric. For. Meteorol. 34, 205-213.
    """
    shortwave, cosine, pressure = jnp.broadcast_arrays(
        *(jnp.asarray(x, float) for x in (shortwave, cosine, pressure))
    )
    mu = jnp.maximum(cosine, _LOWEST_COSINE)
    path = pressure / STANDARD_ATMOSPHERE / mu
    logarithm = -jnp.log10(mu)
    vapour = 1320.0 * 10.0 ** (-1.195 + 0.4459 * logarithm - 0.0345 * logarithm**2)
    absorbed = (0.0, vapour)
    direct = [
        jnp.maximum(_TOP[i] * jnp.exp(-_DEPTH[i] * path) - absorbed[i], 0.0) * mu
        for i in range(2)
    ]
    diffuse = [
        jnp.maximum(_DIFFUSE_PART[i] * ((_TOP[i] - absorbed[i]) * mu - direct[i]), 0.0)
        for i in range(2)
    ]
    potential = [direct[i] + diffuse[i] for i in range(2)]
    ratio = shortwave / (potential[0] + potential[1])
    parts = []
    for i in range(2):
        band = shortwave * potential[i] / (potential[0] + potential[1])
        # The power has no slope at zero: clear sky is reached just before.
        clouded = jnp.clip((_CLEAR[i] - ratio) / _RANGE[i], 1e-9, 1.0)
        beam = direct[i] / potential[i] * (1.0 - clouded ** (2.0 / 3.0))
        beam = jnp.where(cosine > 0.0, beam, 0.0) * band
        parts.append(jnp.stack([beam, band - beam]))
    return jnp.stack(parts)
