"""Moments as seconds of GPS time since its beginning, 6 January 1980."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.gnss.gps_time import leap_seconds

#: The beginning of GPS time.
EPOCH = np.datetime64("1980-01-06T00:00:00", "ns")

#: Seconds of a week.
WEEK = 604800.0

#: BeiDou time lags GPS time, s. BDS-SIS-ICD, section 3.3.
BEIDOU_LAG = 14.0


def gps_seconds(time: npt.ArrayLike) -> np.ndarray:
    """Return seconds since the beginning of GPS time.

    Parameters
    ----------
    time : array_like of datetime64
        In GPS time.

    Returns
    -------
    numpy.ndarray
        Same shape, s; good to 0.3 microseconds.

    Examples
    --------
    >>> gps_seconds("1980-01-13T00:00:01").item()
    604801.0
    """
    since = np.asarray(time, "datetime64[ns]") - EPOCH
    return since.astype("int64") * 1e-9


def gps_time(seconds: npt.ArrayLike) -> np.ndarray:
    """Return moments in GPS time, the inverse of `gps_seconds`.

    Parameters
    ----------
    seconds : array_like
        Since the beginning of GPS time, s.

    Returns
    -------
    numpy.ndarray of datetime64[ns]
        Same shape, rounded to microseconds.
    """
    micro = np.rint(np.asarray(seconds, float) * 1e6).astype("int64")
    return EPOCH + (micro * 1000).astype("timedelta64[ns]")


def ahead_of(system: str, time: npt.ArrayLike) -> np.ndarray:
    """Return how far GPS time is ahead of another time.

    Parameters
    ----------
    system : str
        ``"GPS"``, ``"GAL"`` (Galileo, the same as GPS to nanoseconds), ``"QZS"``,
        ``"BDT"`` or ``"BDS"`` (BeiDou), ``"GLO"`` or ``"UTC"`` (in RINEX GLONASS
        time is UTC).
    time : array_like of datetime64
        Moments in that time.

    Returns
    -------
    numpy.ndarray
        Same shape as `time`, s.

    Raises
    ------
    InputError
        If there is no such time.

    Examples
    --------
    >>> ahead_of("GLO", "2018-07-29").item(), ahead_of("BDT", "2018-07-29").item()
    (18.0, 14.0)
    """
    moments = np.asarray(time, "datetime64[ns]")
    if system in ("GPS", "GAL", "QZS", "IGS"):
        return np.zeros(moments.shape)
    if system in ("BDT", "BDS"):
        return np.full(moments.shape, BEIDOU_LAG)
    if system in ("GLO", "UTC"):
        return leap_seconds(moments).astype(float)
    raise InputError(
        f"no time system {system!r}; there are GPS, GAL, QZS, BDT, GLO and UTC"
    )
