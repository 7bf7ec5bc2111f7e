"""The time of the fleet: whole milliseconds since 1970 UTC, nothing else.

Every class of the server takes a ``clock``, a function without arguments that
returns such a number, so that tests and the simulator can run in virtual time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

#: A function that tells the time in ms since 1970 UTC.
Clock = Callable[[], int]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def now_ms() -> int:
    """Return the time of this machine, in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def day_of(utc_ms: int) -> int:
    """Return the number of the UTC day that holds a time.

    Parameters
    ----------
    utc_ms : int
        Time in ms since 1970 UTC.

    Returns
    -------
    int
        Days since 1970-01-01.

    Examples
    --------
    >>> day_of(1_753_000_000_000)
    20289
    """
    return utc_ms // DAY_MS


def iso(utc_ms: int) -> str:
    """Write a time for people, in UTC with milliseconds.

    Parameters
    ----------
    utc_ms : int
        Time in ms since 1970 UTC.

    Returns
    -------
    str
        Such as ``2025-07-20T08:26:40.000Z``.

    Examples
    --------
    >>> iso(1_753_000_000_000)
    '2025-07-20T08:26:40.000Z'
    """
    seconds, rest = divmod(utc_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def day_name(day: int) -> str:
    """Write the number of a UTC day as a date.

    Parameters
    ----------
    day : int
        Days since 1970-01-01.

    Returns
    -------
    str
        Such as ``2025-07-20``.

    Examples
    --------
    >>> day_name(20289)
    '2025-07-20'
    """
    return iso(day * DAY_MS)[:10]
