"""Tracks that satellites repeat over a station, and passes along them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.gnss.gps_time import leap_seconds

#: Azimuths of a satellite further apart than this are of two tracks, degrees. GPS
#: repeats its tracks within about 3 degrees over years (Chew et al. 2016, GPS
#: Solutions 20, 525), and different ones are tens of degrees apart.
TRACK_GAP = 8.0

#: Arcs of a satellite closer in time than this are signals of one pass, h.
_PASS_HOURS = 1.0


def track_numbers(arcs: xr.Dataset, gap: float = TRACK_GAP) -> np.ndarray:
    """Return which track each arc is on.

    A track is a satellite, rising or setting, in azimuths that follow each other
    without a gap. Only GPS repeats its tracks daily; of others the number of tracks
    grows with time until azimuths leave no gap.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`, of one day or many.
    gap : float
        Degrees.

    Returns
    -------
    numpy.ndarray of int, shape (arc)
        Numbers from 0, in the order of satellite, rise and azimuth.

    Raises
    ------
    InputError
        If variables are missing or the gap is not between 0 and 180 degrees.
    """
    require_variables(arcs, ("satellite", "rise", "azimuth"), "a table of arcs")
    if not 0 < gap < 180:
        raise InputError(f"a gap between tracks is 0 to 180 degrees, got {gap}")
    key = arcs["satellite"].values.astype("int64") * 3 + arcs["rise"].values + 1
    azimuth = np.nan_to_num(arcs["azimuth"].values) % 360.0
    order = np.lexsort((azimuth, key))
    number = np.empty(key.size, "int64")
    count = 0
    for rows in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if not rows.size:
            continue
        own = azimuth[rows]
        part = np.concatenate([[0], np.cumsum(np.diff(own) > gap)])
        if part[-1] and own[0] + 360.0 - own[-1] <= gap:
            part[part == part[-1]] = 0  # across north
        number[rows] = count + part
        count += int(part.max()) + 1
    return number


def pass_numbers(arcs: xr.Dataset) -> np.ndarray:
    """Return which pass of a satellite each arc is of: its signals share their errors.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`, of one day or many.

    Returns
    -------
    numpy.ndarray of int, shape (arc)
        Numbers from 0.

    Raises
    ------
    InputError
        If variables are missing.
    """
    require_variables(arcs, ("satellite", "rise", "time"), "a table of arcs")
    key = arcs["satellite"].values.astype("int64") * 3 + arcs["rise"].values + 1
    hour = arcs["time"].values.astype("datetime64[s]").astype("int64") / 3600.0
    order = np.lexsort((hour, key))
    new = (np.diff(key[order]) != 0) | (np.diff(hour[order]) > _PASS_HOURS)
    number = np.empty(key.size, "int64")
    number[order] = np.concatenate([[0], np.cumsum(new)]) if key.size else order
    return number


def gps_days(arcs: xr.Dataset) -> np.ndarray:
    """Return the day of GPS time of each arc: that of its file.

    Parameters
    ----------
    arcs : xarray.Dataset
        With ``time``, UTC.

    Returns
    -------
    numpy.ndarray of datetime64[D], shape (arc)
        Days.
    """
    time = arcs["time"].values
    return (time + leap_seconds(time).astype("timedelta64[s]")).astype("datetime64[D]")
