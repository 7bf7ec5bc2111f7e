"""Elevation and azimuth of satellites over a station, from any orbits."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr
from numba import njit

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.signals import SPEED_OF_LIGHT
from tilth.gnss.rinex.broadcast import BroadcastOrbits
from tilth.gnss.rinex.kepler import ROTATION
from tilth.gnss.rinex.navigation import read_navigation
from tilth.gnss.rinex.precise import PreciseOrbits
from tilth.gnss.rinex.sp3 import read_sp3
from tilth.gnss.rinex.texts import read_text

#: Half axis and flattening of the WGS84 ellipsoid, m and 1. NIMA TR8350.2.
_AXIS, _FLATTENING = 6_378_137.0, 1.0 / 298.257223563


class Orbits(Protocol):
    """Anything that knows where satellites are."""

    #: GLONASS slot -> frequency channel, where it is known.
    glonass_channels: Mapping[int, int]

    def states(
        self, satellite: npt.ArrayLike, time: npt.ArrayLike
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (m) and velocities (m s-1), NaN where unknown."""
        ...


class FirstOf:
    """Several orbits, of which the first that knows a satellite counts.

    Parameters
    ----------
    orbits : sequence of Orbits
        In the order they are asked.
    """

    def __init__(self, orbits: Sequence[Orbits]) -> None:
        self.orbits = tuple(orbits)
        self.glonass_channels: Mapping[int, int] = {
            slot: channel
            for one in reversed(self.orbits)
            for slot, channel in one.glonass_channels.items()
        }

    def states(
        self, satellite: npt.ArrayLike, time: npt.ArrayLike
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return where satellites are and how they move.

        Parameters
        ----------
        satellite : array_like of int, shape (n)
            Their numbers.
        time : array_like, shape (n)
            Seconds of GPS time.

        Returns
        -------
        position, velocity : numpy.ndarray, shape (n, 3)
            Earth-centred earth-fixed, m and m s-1; NaN where none knows.
        """
        wanted, moment = np.asarray(satellite), np.asarray(time, float)
        position, velocity = self.orbits[0].states(wanted, moment)
        for one in self.orbits[1:]:
            rows = np.flatnonzero(np.isnan(position[:, 0]))
            if not rows.size:
                break
            position[rows], velocity[rows] = one.states(wanted[rows], moment[rows])
        return position, velocity


def open_orbits(paths: Sequence[str | os.PathLike[str]]) -> Orbits:
    """Read orbits of any number of files, SP3 and navigation messages in any mixture.

    Precise orbits come first; what they do not have, broadcast messages fill.

    Parameters
    ----------
    paths : sequence of path
        SP3 and RINEX navigation files, plain or compressed.

    Returns
    -------
    Orbits
        All of them.

    Raises
    ------
    InputError
        If there is no file, or one is neither.
    """
    precise: list[xr.Dataset] = []
    messages: list[xr.Dataset] = []
    for path in map(Path, paths):
        # SP3 begins with # and the letter of its version.
        if read_text(path).lstrip()[:1] == b"#":
            precise.append(read_sp3(path))
        else:
            messages.append(read_navigation(path))
    found: list[Orbits] = []
    if precise:
        found.append(PreciseOrbits(precise))
    if messages:
        found.append(BroadcastOrbits(messages))
    if not found:
        raise InputError("orbits need at least one file: SP3 or navigation messages")
    return found[0] if len(found) == 1 else FirstOf(found)


def look_angles(
    orbits: Orbits,
    position: npt.ArrayLike,
    satellite: npt.ArrayLike,
    time: npt.ArrayLike,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where satellites stand in the sky of a station.

    The signal left the satellite while the earth had not turned as far: the way it
    took is found by iteration, and its beginning turned by the angle of that time.
    Geometric, without refraction, over the plane of the WGS84 ellipsoid.

    Parameters
    ----------
    orbits : Orbits
        Of `open_orbits`.
    position : array_like, shape (3)
        Of the antenna, earth-centred earth-fixed, m; tens of m do.
    satellite : array_like of int, shape (n)
        Numbers of the satellites.
    time : array_like, shape (n)
        When signals arrive, seconds of GPS time.

    Returns
    -------
    elevation, azimuth, rate : numpy.ndarray, shape (n)
        Degrees, degrees clockwise from north (0 to 360), and degrees per second of
        the elevation; NaN where orbits know nothing.

    Raises
    ------
    InputError
        If the position is not near the surface of the earth.
    """
    place = np.asarray(position, float)
    axes = up_north_east(place)
    moment = np.asarray(time, float)
    # The way is 0.064 to 0.095 s long: from its middle the satellite's own velocity
    # leads to the right place within a mm.
    at, velocity = orbits.states(satellite, moment - 0.08)
    out = np.full((moment.size, 3), np.nan)
    _angles(at, velocity, 0.08, place, axes, out)
    return out[:, 0], out[:, 1], out[:, 2]


def up_north_east(position: npt.ArrayLike) -> np.ndarray:
    """Return the directions up, north and east at a place.

    Parameters
    ----------
    position : array_like, shape (3)
        Earth-centred earth-fixed, m.

    Returns
    -------
    numpy.ndarray, shape (3, 3)
        Rows of unit length; up is normal to the WGS84 ellipsoid.

    Raises
    ------
    InputError
        If the position is not within 100 km of the surface of the earth.
    """
    place = np.asarray(position, float)
    radius = float(np.linalg.norm(place)) if place.shape == (3,) else math.nan
    if not 6.25e6 < radius < 6.48e6:
        raise InputError(
            f"the position {place} is no place on earth: x, y, z in m are needed, with "
            f"a distance of 6250 to 6480 km from the centre, here {radius / 1e3:.6g} km"
        )
    latitude, longitude, _ = geodetic(place)
    sa, ca = math.sin(math.radians(latitude)), math.cos(math.radians(latitude))
    so, co = math.sin(math.radians(longitude)), math.cos(math.radians(longitude))
    return np.array([[ca * co, ca * so, sa], [-sa * co, -sa * so, ca], [-so, co, 0.0]])


def geodetic(position: npt.ArrayLike) -> tuple[float, float, float]:
    """Return latitude, longitude and height over the WGS84 ellipsoid.

    Parameters
    ----------
    position : array_like, shape (3)
        Earth-centred earth-fixed, m.

    Returns
    -------
    latitude, longitude, height : float
        Degrees north, degrees east (-180 to 180), m (Bowring 1985; to micrometres).

    Examples
    --------
    >>> [round(v, 4) for v in geodetic([6378137.0, 0.0, 0.0])]
    [0.0, 0.0, 0.0]
    """
    x, y, z = (float(v) for v in np.asarray(position, float))
    squared = _FLATTENING * (2.0 - _FLATTENING)
    across = math.hypot(x, y)
    reduced = math.atan2(z, across * (1.0 - _FLATTENING))
    for _ in range(3):
        latitude = math.atan2(
            z
            + squared
            / (1 - squared)
            * _AXIS
            * (1 - _FLATTENING)
            * math.sin(reduced) ** 3,
            across - squared * _AXIS * math.cos(reduced) ** 3,
        )
        reduced = math.atan2((1 - _FLATTENING) * math.sin(latitude), math.cos(latitude))
    sine = math.sin(latitude)
    height = (
        across * math.cos(latitude)
        + z * sine
        - _AXIS * math.sqrt(1.0 - squared * sine * sine)
    )
    return math.degrees(latitude), math.degrees(math.atan2(y, x)), height


def from_geodetic(latitude: float, longitude: float, height: float) -> np.ndarray:
    """Return the earth-centred position of a place, the inverse of `geodetic`.

    Parameters
    ----------
    latitude, longitude : float
        Degrees north and east.
    height : float
        Over the WGS84 ellipsoid, m.

    Returns
    -------
    numpy.ndarray, shape (3)
        Earth-centred earth-fixed, m.
    """
    phi, lam = math.radians(latitude), math.radians(longitude)
    squared = _FLATTENING * (2.0 - _FLATTENING)
    normal = _AXIS / math.sqrt(1.0 - squared * math.sin(phi) ** 2)
    across = (normal + height) * math.cos(phi)
    return np.array(
        [
            across * math.cos(lam),
            across * math.sin(lam),
            (normal * (1.0 - squared) + height) * math.sin(phi),
        ]
    )


@njit(cache=True)
def _angles(position, velocity, lead, place, axes, out):  # pragma: no cover - compiled
    """Fill elevation, azimuth and rate from states a little before arrival."""
    rotation = ROTATION[0]
    for i in range(position.shape[0]):
        p, v = position[i], velocity[i]
        if math.isnan(p[0]):
            continue
        way = lead
        x = y = z = 0.0
        for _ in range(3):
            # Where it was `way` before arrival, in the frame of the arrival.
            a = p[0] + v[0] * (lead - way)
            b = p[1] + v[1] * (lead - way)
            z = p[2] + v[2] * (lead - way) - place[2]
            c, s = math.cos(rotation * way), math.sin(rotation * way)
            x, y = c * a + s * b - place[0], c * b - s * a - place[1]
            way = math.sqrt(x * x + y * y + z * z) / SPEED_OF_LIGHT
        distance = way * SPEED_OF_LIGHT
        up = (x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]) / distance
        north = x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]
        east = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]
        rise = v[0] * axes[0, 0] + v[1] * axes[0, 1] + v[2] * axes[0, 2]
        towards = (v[0] * x + v[1] * y + v[2] * z) / distance
        level = math.sqrt(max(1.0 - up * up, 1e-12))
        out[i, 0] = math.degrees(math.asin(min(max(up, -1.0), 1.0)))
        out[i, 1] = math.degrees(math.atan2(east, north)) % 360.0
        out[i, 2] = math.degrees((rise - up * towards) / distance / level)
