"""Places on the sphere with their local directions, and stations as data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.geodesy import unit_vectors


class Places(NamedTuple):
    """Places on the unit sphere with their local directions.

    Parameters
    ----------
    up, east, north : numpy.ndarray, shape (n, 3)
        Unit vectors; `up` is the place itself.
    """

    up: np.ndarray
    east: np.ndarray
    north: np.ndarray


def places(lat: Any, lon: Any) -> Places:
    """Return places with their local directions.

    Parameters
    ----------
    lat, lon : array_like, shape (n,)
        Degrees.

    Returns
    -------
    Places
        At a pole, east and north are those of the given longitude.

    Raises
    ------
    InputError
        If a latitude is beyond the poles, or one of them is no number.
    """
    lat, lon = (
        np.atleast_1d(np.asarray(lat, float)),
        np.atleast_1d(np.asarray(lon, float)),
    )
    bad = ~((np.abs(lat) <= 90.0) & np.isfinite(lon))
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"place {at} has latitude {lat[at]:g} and longitude {lon[at]:g}: latitudes "
            "are from -90 to 90 degrees, longitudes numbers"
        )
    phi, lam = np.radians(lat), np.radians(lon)
    zero = np.zeros_like(phi)
    east = np.stack([-np.sin(lam), np.cos(lam), zero], axis=-1)
    north = np.stack(
        [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)], axis=-1
    )
    return Places(unit_vectors(lat, lon), east, north)


def station_places(stations: xr.Dataset) -> tuple[Places, str]:
    """Return the places of stations, and their dimension.

    Parameters
    ----------
    stations : xarray.Dataset
        With `lat` and `lon` (degrees) along one dimension.

    Returns
    -------
    tuple of Places and str
        The places and the name of the dimension.

    Raises
    ------
    InputError
        If there is no lat or lon, or they lie along anything but one dimension.
    """
    for name in ("lat", "lon"):
        if name not in stations.variables:
            raise InputError(
                f"the stations have no {name}: give lat and lon in degrees, one per "
                "station"
            )
    dims = stations["lat"].dims
    if len(dims) != 1 or stations["lon"].dims != dims:
        raise InputError(
            f"lat lies along {dims} and lon along {stations['lon'].dims}: both must "
            "have the one dimension of the stations"
        )
    return places(stations["lat"].values, stations["lon"].values), str(dims[0])
