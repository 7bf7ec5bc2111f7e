"""Which days are adjusted together: all, a calendar month, or a window of days.

The year of every calendar is laid on one of 365 days, so that a model without leap
days can be trained with observations that have them: a date keeps the number it has in
a common year, 29 February shares that of 28 February, and the days of a 360-day year
are spread evenly, ``floor((d - 1/2) 365 / 360)`` for its d-th day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

#: Days of the year that all calendars are laid on.
DAYS = 365
_MONTH_STARTS = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_MONTH_LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True)
class DayWindow:
    """A running window: each day of the year is adjusted with the days around it.

    Parameters
    ----------
    days : int, default 31
        Width of the window, odd, 1 to 365; days before and after the turn of the year
        belong together. 31 is the width of Thrasher et al. (2012) and of ISIMIP3.

    Raises
    ------
    InputError
        If the width is even or does not fit into a year.
    """

    days: int = 31

    def __post_init__(self) -> None:
        if not 1 <= self.days <= DAYS or self.days % 2 == 0:
            raise InputError(
                f"a window of {self.days} days has no middle day or does not fit into "
                "a year: give an odd number from 1 to 365, such as 31"
            )

    def __str__(self) -> str:
        return f"{self.days} days"


#: How days are grouped.
Grouping = str | DayWindow


def as_grouping(text: Grouping) -> Grouping:
    """Return the grouping that a text names.

    Parameters
    ----------
    text : {"none", "month"} or str or DayWindow
        ``"31 days"`` is ``DayWindow(31)``.

    Returns
    -------
    str or DayWindow
        ``"none"``, ``"month"`` or a window.

    Raises
    ------
    InputError
        If it is none of these.

    Examples
    --------
    >>> as_grouping("31 days")
    DayWindow(days=31)
    """
    if isinstance(text, DayWindow) or text in ("none", "month"):
        return text
    words = str(text).split()
    if len(words) == 2 and words[0].isdigit() and words[1] == "days":
        return DayWindow(int(words[0]))
    raise InputError(
        f"no grouping {text!r}: give 'none', 'month', or a window such as "
        "DayWindow(31) or '31 days'"
    )


@dataclass(frozen=True)
class TimeGroups:
    """Which time steps belong to which group; positions in a series of one length.

    Parameters
    ----------
    labels : numpy.ndarray of int
        One per group: 0 for all days, months 1 to 12, or days 1 to 365.
    order : numpy.ndarray of int
        Time steps such that every group is one stretch of it; steps near the turn of
        the year occur twice under a window.
    window : numpy.ndarray of int, shape (groups, 2)
        Stretch of `order` (start, stop) a group learns from.
    own : numpy.ndarray of int, shape (groups, 2)
        Stretch of `order` that the group adjusts; every step is in just one.
    first, second : numpy.ndarray of int, shape (time,)
        Group of each step, and the one whose factor is mixed in.
    weight : numpy.ndarray, shape (time,)
        Share of the second group: between the middles of two months it grows
        linearly from 0 to 1/2 at their border; 0 without months.
    """

    labels: np.ndarray
    order: np.ndarray
    window: np.ndarray
    own: np.ndarray
    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Number of time steps in each group's window."""
        return self.window[:, 1] - self.window[:, 0]


def group_times(times: xr.DataArray, grouping: Grouping) -> TimeGroups:
    """Sort time steps into groups.

    Parameters
    ----------
    times : xarray.DataArray
        Times, in any order and any CF calendar (datetime64 or cftime), shape (time,).
    grouping : {"none", "month"} or DayWindow
        What belongs together; also as text, see `as_grouping`.

    Returns
    -------
    TimeGroups
        The groups; some may be empty, as with winters only.

    Raises
    ------
    InputError
        If the grouping is none of these, or the times are not times.
    """
    grouping = as_grouping(grouping)
    n = times.size
    if grouping == "none":
        everything = np.array([[0, n]])
        zeros = np.zeros(n, int)
        return TimeGroups(
            np.array([0]), np.arange(n), everything, everything, zeros, zeros,
            np.zeros(n),
        )  # fmt: skip
    require_dates(times)
    if isinstance(grouping, DayWindow):
        return _by_days(day_of_common_year(times), grouping.days // 2)
    month = times.dt.month.values - 1
    order = np.argsort(month, kind="stable")
    edges = np.searchsorted(month[order], np.arange(13))
    stretches = np.column_stack([edges[:-1], edges[1:]])
    # How far through its month a day lies; the middle of the month is 1/2.
    through = (times.dt.day.values - 0.5) / times.dt.days_in_month.values
    second = (month + np.where(through < 0.5, -1, 1)) % 12
    return TimeGroups(
        np.arange(1, 13), order, stretches, stretches, month, second,
        np.abs(through - 0.5),
    )  # fmt: skip


def day_of_common_year(times: xr.DataArray) -> np.ndarray:
    """Day of each time in a year of 365 days, from 0.

    Parameters
    ----------
    times : xarray.DataArray
        Times in any CF calendar, shape (time,).

    Returns
    -------
    numpy.ndarray of int
        0 to 364; 29 February has the number of 28 February.
    """
    require_dates(times)
    if times.dt.calendar == "360_day":
        return ((times.dt.dayofyear.values - 0.5) * DAYS / 360).astype(int)
    month = times.dt.month.values - 1
    day = np.minimum(times.dt.day.values, _MONTH_LENGTHS[month])
    return _MONTH_STARTS[month] + day - 1


def _by_days(day: np.ndarray, half: int) -> TimeGroups:
    """Return windows of ``2 half + 1`` days around every day of the year."""
    order = np.argsort(day, kind="stable")
    ordered = day[order]
    before, after = ordered >= DAYS - half, ordered < half
    around = np.concatenate([ordered[before] - DAYS, ordered, ordered[after] + DAYS])
    days = np.arange(DAYS)
    return TimeGroups(
        days + 1,
        np.concatenate([order[before], order, order[after]]),
        _stretches(around, days - half, days + half),
        _stretches(around, days, days),
        day,
        day,
        np.zeros(day.size),
    )


def _stretches(ordered: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where the sorted values from low to high start and stop."""
    return np.column_stack(
        [
            np.searchsorted(ordered, low, side="left"),
            np.searchsorted(ordered, high, side="right"),
        ]
    )


def require_dates(times: xr.DataArray) -> None:
    """Raise unless these are dates along one dimension.

    Parameters
    ----------
    times : xarray.DataArray
        To be checked.

    Raises
    ------
    InputError
        If they are numbers, text or of more dimensions.
    """
    if times.ndim != 1 or not (
        np.issubdtype(times.dtype, np.datetime64)
        or (times.size and hasattr(times.values.flat[0], "calendar"))
    ):
        raise InputError(
            f"{times.name} holds {times.dtype} of {times.ndim} dimensions, not dates "
            "along one: decode the times (xarray.decode_cf)"
        )
