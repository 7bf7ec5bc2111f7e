"""Clocks of instruments: time zones and day-month order, stated or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tilth.core.errors import InputError

_OFFSET = re.compile(r"^(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?$")
_DATE = re.compile(r"^\s*(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})[ T](\d{1,2}:\d{2}\S*)")
_FILE_DATES = (
    (re.compile(r"(20\d{2})-?(\d{2})-?(\d{2})"), "%Y-%m-%d"),
    (re.compile(r"(\d{2})([A-Z][a-z]{2})(20\d{2})"), "%d-%b-%Y"),
)


def time_zone(name: str) -> tzinfo:
    """Return the time zone of a name ("Europe/Berlin") or offset ("+01:00").

    Raises
    ------
    InputError
        If the zone is not known.
    """
    if match := _OFFSET.match(name.strip()):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if sign == "-" else offset)
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"unknown time zone {name!r}: give an IANA name such as 'UTC' or "
            "'Europe/Berlin', or a fixed offset such as '+01:00'"
        ) from error


def to_utc(clock: pd.DatetimeIndex, zone: str | None) -> pd.DatetimeIndex:
    """Convert an instrument's clock to UTC.

    Parameters
    ----------
    clock : pandas.DatetimeIndex
        Without zone; NaT stays NaT.
    zone : str or None
        Time zone the clock was set to.

    Returns
    -------
    pandas.DatetimeIndex
        UTC, without zone, in ns.

    Raises
    ------
    InputError
        If the zone is not stated, or the clock shows an hour that the zone repeats
        or skips and the order of the records does not settle it.

    Examples
    --------
    >>> to_utc(pd.DatetimeIndex(["2023-07-01 12:00"]), "Europe/Berlin")[0]
    Timestamp('2023-07-01 10:00:00')
    """
    if zone is None:
        raise InputError(
            "the file does not say which time zone its clock was set to: state it, "
            "for example timezone='UTC', 'Europe/Berlin' or '+01:00'"
        )
    index = clock.as_unit("ns")
    try:
        local = index.tz_localize(time_zone(zone), ambiguous="infer")
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"the clock cannot have run in {zone!r}: {error}. A logger that does not "
            "follow summer time needs a fixed offset, such as timezone='+01:00'"
        ) from error
    return local.tz_convert("UTC").tz_localize(None)


def parse_dates(
    texts: Sequence[str], *, day_first: bool | None = None, file_name: str = ""
) -> pd.DatetimeIndex:
    """Parse numeric dates whose day-month order the file does not state.

    ``28/09/2022 12:05:00.068``, ``09/28/2022 12:05:00`` and
    ``2022/09/28 12:05:00.068`` are all written by the same instruments. The order is
    taken from, in this order: the caller; a year in front; a field above 12; a date
    in the file's name; a span of at most two days, since these instruments begin a
    new file every 24 hours (ABB GLA351 manual, "File transfer").

    Parameters
    ----------
    texts : sequence of str
        One date and time per sample.
    day_first : bool, optional
        True for day/month/year, False for month/day/year; by default found out.
    file_name : str, optional
        Name of the file, which may carry its date.

    Returns
    -------
    pandas.DatetimeIndex
        Without zone; NaT where a text is not a date.

    Raises
    ------
    InputError
        If nothing settles the order.
    """
    column = pd.Series(np.asarray(texts, dtype=object), dtype="str").str.strip()
    sample = next((m for t in column.dropna() if (m := _DATE.match(t))), None)
    if sample is None:
        first = column.iloc[0] if len(column) else ""
        raise InputError(
            f"the time column holds {first!r}, which is no date and time: set the "
            "analyser to an absolute time format, or use read_table with the column's "
            "units, such as 'seconds since 1904-01-01'"
        )
    separator, clock = sample.group(2), sample.group(5)
    time_format = "%H:%M" + ":%S" * (clock.count(":") > 1) + ".%f" * ("." in clock)

    def parse(order: str) -> pd.DatetimeIndex:
        date_format = separator.join(f"%{field}" for field in order)
        stamps = pd.to_datetime(
            column, format=f"{date_format} {time_format}", errors="coerce"
        )
        return pd.DatetimeIndex(stamps)

    if len(sample.group(1)) == 4:
        return parse("Ymd")
    if day_first is not None:
        return parse("dmY" if day_first else "mdY")
    dmy, mdy = parse("dmY"), parse("mdY")
    # A field above 12 leaves holes in one of the two readings, all through the file.
    holes = [int(np.count_nonzero(order.isna())) for order in (dmy, mdy)]
    if holes[0] != holes[1]:
        return dmy if holes[0] < holes[1] else mdy
    if (dmy == mdy).all():
        return dmy
    days = {d.date() for d in (dmy.min(), mdy.min())}
    named = _date_in_name(file_name)
    if named is not None and named.date() in days:
        return dmy if named.date() == dmy.min().date() else mdy
    short = [s for s in (dmy, mdy) if s.max() - s.min() <= pd.Timedelta("2D")]
    if len(short) == 1:
        return short[0]
    raise InputError(
        f"the date {column.iloc[0]!r} can be read as {dmy.min():%d %B %Y} and as "
        f"{mdy.min():%d %B %Y}, and nothing in the file settles it: state "
        "day_first=True (day/month) or day_first=False (month/day)"
    )


def _date_in_name(name: str) -> pd.Timestamp | None:
    """Return the date a file name carries ("gga_2022-09-28_f0001.txt")."""
    for pattern, order in _FILE_DATES:
        if match := pattern.search(name):
            stamp = pd.to_datetime(
                "-".join(match.groups()), format=order, errors="coerce"
            )
            if not pd.isna(stamp):
                return stamp
    return None
