"""Tables of known steps: changed equipment and earthquakes, by station."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from tilth.core.errors import InputError
from tilth.gnss.positions.readers.columns import lines_of

#: What the codes of the Nevada Geodetic Laboratory's list mean.
_CODES = {"1": "equipment", "2": "earthquake"}

_MONTHS = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"


def read_steps(
    path: str | os.PathLike[str], station: str | None = None
) -> pd.DataFrame:
    """Read the steps of stations from a list of the Nevada Geodetic Laboratory.

    Both layouts are read: ``DUTC 2015.5674 15JUL27 2`` as MIDAS takes it, and the
    laboratory's master list ``DUTC 15JUL27 2 ...``.

    Parameters
    ----------
    path : path
        The file.
    station : str, optional
        Only this one; all by default.

    Returns
    -------
    pandas.DataFrame
        Columns ``station``, ``time`` (datetime64, start of the day: the position of
        the day itself counts as after the step), ``decimal_year`` (of the day's
        noon, as printed or to 4 decimals) and ``kind`` ("equipment", "earthquake" or
        "unknown"); sorted by station and time, each day once.

    Raises
    ------
    InputError
        If a line cannot be read.
    """
    rows = []
    for line in lines_of(path):
        words = line.split()
        printed = None
        if len(words) >= 2 and words[1].replace(".", "", 1).isdigit():
            printed = float(words.pop(1))
        try:
            day = _day(words[1]) if len(words) > 1 else None
        except (ValueError, IndexError):
            raise InputError(
                f"{path}: {line[:60]!r} is no step: expected a station, a date such "
                "as 15JUL27 (a decimal year may stand before it) and a code"
            ) from None
        if day is None and printed is not None:
            day = _day_of_year(printed)
        if day is None:
            raise InputError(f"{path}: {line[:60]!r} has no date")
        if printed is None:
            days = (day - np.datetime64("2000-01-01", "D")).astype(int)
            printed = round(2000.0 + float(days) / 365.25, 4)
        kind = _CODES.get(words[2] if len(words) > 2 else "", "unknown")
        rows.append((words[0], day.astype("datetime64[ns]"), printed, kind))
    table = pd.DataFrame(rows, columns=["station", "time", "decimal_year", "kind"])
    if station is not None:
        table = table[table["station"] == station]
    table = table.sort_values(["station", "time"], kind="stable")
    return table.drop_duplicates(["station", "time"]).reset_index(drop=True)


def _day(word: str) -> np.datetime64:
    """Return the day of a date such as 15JUL27; years from 80 are of the 1900s."""
    year, month, day = (
        int(word[:2]),
        _MONTHS.index(word[2:5].upper()) // 3 + 1,
        word[5:],
    )
    year += 1900 if year >= 80 else 2000
    return np.datetime64(f"{year}-{month:02d}-{int(day):02d}", "D")


def _day_of_year(year: float) -> np.datetime64:
    """Return the day whose noon a decimal year means."""
    days = round((year - 2000.0) * 365.25)
    return np.datetime64("2000-01-01", "D") + np.timedelta64(days, "D")
