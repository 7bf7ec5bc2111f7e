"""First Fresnel zones: the patches of ground that a reflected signal is of."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilth.core.errors import InputError
from tilth.core.files import whole_file
from tilth.gnss.reflectometry.signals import wavelength

#: Half axis of the earth's equator, m, and squared eccentricity. WGS84.
_AXIS, _SQUARED = 6_378_137.0, 6.69437999014e-3


def fresnel_ellipse(
    height: float, elevation: float, wave: float
) -> tuple[float, float, float]:
    r"""Return the first Fresnel zone on a level plane.

    With :math:`d = \lambda / 2` and elevation :math:`e`,

    .. math::
        b = \sqrt{2 d H / \sin e + (d / \sin e)^2}, \quad a = b / \sin e, \quad
        R = H / \tan e + (d / \sin e) / \tan e .

    Parameters
    ----------
    height : float
        Of the antenna above the plane, m.
    elevation : float
        Of the satellite, degrees.
    wave : float
        Length of the wave, m.

    Returns
    -------
    distance, along, across : float
        Of the centre from the foot of the antenna, towards the satellite, and half
        axes in that direction and across it, m.

    Raises
    ------
    InputError
        If height or wave are not positive, or the elevation not in (0, 90).

    References
    ----------
    Larson and Nievinski (2013), GPS Solutions 17, 41, appendix.

    Examples
    --------
    >>> [round(v, 1) for v in fresnel_ellipse(2.0, 5.0, 0.1903)]
    [35.3, 27.1, 2.4]
    """
    if not (height > 0 and wave > 0 and 0 < elevation < 90):
        raise InputError(
            "a Fresnel zone needs a positive height and wavelength and an elevation "
            f"between 0 and 90 degrees, got {height} m, {wave} m, {elevation} degrees"
        )
    sine, tangent = math.sin(math.radians(elevation)), math.tan(math.radians(elevation))
    delay = wave / 2.0
    across = math.sqrt(2.0 * delay * height / sine + (delay / sine) ** 2)
    distance = height / tangent + (delay / sine) / tangent
    return distance, across / sine, across


def fresnel_zone(
    height: float, elevation: float, azimuth: float, wave: float, points: int = 72
) -> np.ndarray:
    """Return the outline of the first Fresnel zone.

    Parameters
    ----------
    height, elevation, wave : float
        As of `fresnel_ellipse`.
    azimuth : float
        Of the satellite, degrees clockwise from north.
    points : int
        Of the outline.

    Returns
    -------
    numpy.ndarray, shape (points + 1, 2)
        East and north of the foot of the antenna, m; the last point is the first.

    Raises
    ------
    InputError
        If there is no such zone.
    """
    distance, along, across = fresnel_ellipse(height, elevation, wave)
    angle = np.linspace(0.0, 2.0 * np.pi, points + 1)
    ahead = distance + along * np.cos(angle)
    aside = across * np.sin(angle)
    sine, cosine = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    # To the right of the direction of the satellite is azimuth + 90 degrees.
    outline = np.column_stack(
        [ahead * sine + aside * cosine, ahead * cosine - aside * sine]
    )
    outline[-1] = outline[0]
    return outline


def fresnel_geojson(
    latitude: float,
    longitude: float,
    height: float,
    directions: Sequence[tuple[int, float]],
    *,
    signal: int = 1,
    elevations: Sequence[float] = (5.0, 10.0, 15.0),
) -> dict[str, Any]:
    """Return first Fresnel zones as GeoJSON, for any map.

    Parameters
    ----------
    latitude, longitude : float
        Of the antenna, degrees.
    height : float
        Of the antenna above the reflector, m.
    directions : sequence of (int, float)
        Satellite and azimuth (degrees) of each arc.
    signal : int
        Number of the signal, for the length of the wave.
    elevations : sequence of float
        A zone each, degrees.

    Returns
    -------
    dict
        A FeatureCollection (RFC 7946): a polygon per direction and elevation with
        ``satellite``, ``azimuth``, ``elevation`` (degrees), ``signal`` and
        ``reflector_height`` (m); and the antenna as a point.

    Raises
    ------
    InputError
        If the place is none, or a zone cannot be.
    """
    if not (-89.9 < latitude < 89.9 and -360 <= longitude <= 360):
        raise InputError(f"latitude {latitude}, longitude {longitude} is no place")
    # Metres to degrees by the radii of curvature of the ellipsoid.
    sine = math.sin(math.radians(latitude))
    bent = 1.0 - _SQUARED * sine**2
    north = math.degrees(1.0) / (_AXIS * (1.0 - _SQUARED) / bent**1.5)
    east = math.degrees(1.0) / (
        _AXIS / math.sqrt(bent) * math.cos(math.radians(latitude))
    )
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
            "properties": {"name": "antenna", "reflector_height": height},
        }
    ]
    for satellite, azimuth in directions:
        wave = wavelength(satellite, _signal_for(satellite, signal))
        if wave is None:
            raise InputError(f"the channel of GLONASS satellite {satellite} is unknown")
        for elevation in elevations:
            # Clockwise outlines are holes: RFC 7946 wants the other way.
            outline = fresnel_zone(height, elevation, azimuth, wave)[::-1]
            ring = [
                [round(longitude + east * x, 8), round(latitude + north * y, 8)]
                for x, y in outline.tolist()
            ]
            features.append(
                {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "properties": {
                        "satellite": int(satellite),
                        "azimuth": float(azimuth),
                        "elevation": float(elevation),
                        "signal": int(signal),
                        "reflector_height": height,
                    },
                }
            )
    return {"type": "FeatureCollection", "features": features}


def write_geojson(zones: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write Fresnel zones to a file.

    Parameters
    ----------
    zones : dict
        Of `fresnel_geojson`.
    path : path
        Ends in ``.geojson``.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    with whole_file(path) as half:
        half.write_text(json.dumps(zones), "utf-8")


def _signal_for(satellite: int, signal: int) -> int:
    """Return the signal, or raise if it is of another constellation."""
    if satellite // 100 != signal // 100:
        raise InputError(f"satellite {satellite} does not send signal {signal}")
    return signal
