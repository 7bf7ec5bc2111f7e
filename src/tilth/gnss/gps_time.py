"""GPS time and UTC: how many leap seconds lie between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Days (UTC) from whose beginning GPS time is one second further ahead of UTC.
#: IERS Bulletin C; both agreed on 1980-01-06.
_LEAPS = np.array(
    [
        "1981-07-01", "1982-07-01", "1983-07-01", "1985-07-01", "1988-01-01",
        "1990-01-01", "1991-01-01", "1992-07-01", "1993-07-01", "1994-07-01",
        "1996-01-01", "1997-07-01", "1999-01-01", "2006-01-01", "2009-01-01",
        "2012-07-01", "2015-07-01", "2017-01-01",
    ],
    "datetime64[s]",
)  # fmt: skip


def leap_seconds(time: npt.ArrayLike) -> np.ndarray:
    """Return how far GPS time is ahead of UTC.

    Parameters
    ----------
    time : array_like of datetime64
        GPS time or UTC: within 18 s of a leap the scale given is taken for UTC.

    Returns
    -------
    numpy.ndarray of int
        Seconds, same shape; 0 before July 1981.

    Examples
    --------
    >>> leap_seconds(["2016-12-31T12:00:00", "2025-01-11T00:00:00"]).tolist()
    [17, 18]
    """
    moments = np.asarray(time, "datetime64[s]")
    return np.searchsorted(_LEAPS, moments, side="right")


def gps_to_utc(time: npt.ArrayLike) -> np.ndarray:
    """Return UTC of moments in GPS time.

    Parameters
    ----------
    time : array_like of datetime64
        GPS time.

    Returns
    -------
    numpy.ndarray of datetime64[ns]
        UTC, same shape; exact also in the seconds around a leap.

    Examples
    --------
    >>> gps_to_utc("2025-01-11T00:00:00").astype("datetime64[s]").item().isoformat()
    '2025-01-10T23:59:42'
    """
    gps = np.asarray(time, "datetime64[ns]")
    guess = gps - leap_seconds(gps).astype("timedelta64[s]")
    # A moment just after a leap was counted with one second too many.
    return gps - leap_seconds(guess).astype("timedelta64[s]")
