"""Days of calendars other than ours: their place in the year, and before the sun."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

__all__ = ["calendar_day", "gregorian_times", "require_times"]

#: Days before each month in a leap year: 1 March is day 61 in every year.
_DAYS_BEFORE = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])


def calendar_day(time: xr.DataArray) -> tuple[np.ndarray, int]:
    """Return the day of the year of times, and how many days the circle has.

    Counted by the date, so that the same date has the same number in every year:
    in calendars with months of their usual length 1 March is day 61, also where
    there is no 29 February.

    Parameters
    ----------
    time : xarray.DataArray
        Times of any CF calendar.

    Returns
    -------
    tuple of numpy.ndarray and int
        Days from 1; 366 days, or 360 in the calendar with twelve times thirty.

    Raises
    ------
    InputError
        If a time is missing.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> dates = np.array(["2019-03-01", "2020-03-01"], "datetime64[ns]")
    >>> calendar_day(xr.DataArray(dates, dims="start"))[0].tolist()
    [61, 61]
    """
    require_times(time)
    month, day = time.dt.month.values, time.dt.day.values
    if time.dt.calendar == "360_day":
        return 30 * (month - 1) + day, 360
    return _DAYS_BEFORE[month - 1] + day, 366


def require_times(time: xr.DataArray) -> None:
    """Raise where a time is missing (NaT).

    Parameters
    ----------
    time : xarray.DataArray
        Times of any CF calendar.

    Raises
    ------
    InputError
        With how many they are.
    """
    absent = int(time.isnull().sum())
    if absent:
        raise InputError(
            f"{absent} of {time.size} times of {time.name or 'the array'} are missing: "
            "leave those values out first (isel with time.notnull())"
        )


def gregorian_times(time: xr.DataArray) -> np.ndarray:
    """Return times as datetime64, for the position of the sun.

    Parameters
    ----------
    time : xarray.DataArray
        Of datetime64 or of any calendar of cftime, UTC.

    Returns
    -------
    numpy.ndarray of datetime64
        Those of datetime64 as they are; of others the same clock on the day at the
        same part of the year 2001, which stands for all years.

    Examples
    --------
    >>> import xarray as xr
    >>> noon = xr.date_range("2000-07-01 12:00", periods=1, calendar="360_day",
    ...                      use_cftime=True)
    >>> str(gregorian_times(xr.DataArray(noon, dims="time"))[0])
    '2001-07-02T12:00:00.000'
    """
    values = time.values
    if np.issubdtype(values.dtype, np.datetime64):
        return values
    days = 360.0 if time.dt.calendar == "360_day" else 365.0
    # The last day of a leap year is the last of the common one too.
    part = np.minimum((time.dt.dayofyear.values - 1.0) / days, 364.5 / 365.0)
    clock = time.dt.hour.values * 3600.0 + time.dt.minute.values * 60.0
    seconds = np.floor(part * 365.0) * 86400.0 + clock + time.dt.second.values
    return np.datetime64("2001-01-01", "ms") + (1000.0 * seconds).astype(
        "timedelta64[ms]"
    )
