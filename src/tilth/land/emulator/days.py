"""The emulator's calendar: days that follow each other, and the months they lie in."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.land.readers.days import day_of, step_seconds, to_days


def month_stretches(month: np.ndarray) -> np.ndarray:
    """Return stretches of days of one month: first day, day after the last, month.

    Parameters
    ----------
    month : array of int, shape (time)
        Calendar month of each day, 0 to 11.

    Returns
    -------
    numpy.ndarray of int64, shape (stretch, 3)

    Examples
    --------
    >>> month_stretches(np.array([0, 0, 1])).tolist()
    [[0, 2, 0], [2, 3, 1]]
    """
    month = np.asarray(month)
    cuts = np.flatnonzero(np.diff(month)) + 1
    first = np.concatenate([[0], cuts])
    last = np.concatenate([cuts, [month.size]])
    return np.stack([first, last, month[first]], axis=1).astype(np.int64)


def months_of_days(time: xr.DataArray) -> np.ndarray:
    """Return the calendar month of each day, 0 to 11, in any CF calendar.

    Parameters
    ----------
    time : xarray.DataArray
        One per day, without a gap: ``datetime64`` or `cftime` (standard, noleap,
        360_day and the others).

    Returns
    -------
    numpy.ndarray of int64, shape (time)

    Raises
    ------
    InputError
        If the times are not days that follow each other, or there are none.
    """
    if not hasattr(time, "dt"):
        raise InputError(
            f"time is {time.dtype}: decode it first (xarray.decode_cf), the emulator "
            "needs the months of a calendar"
        )
    if not time.size:
        raise InputError("there is not one day: check what .sel(time=...) left")
    steps = np.diff(time.values)
    day = np.timedelta64(1, "D") if time.dtype.kind == "M" else timedelta(days=1)
    wrong = np.flatnonzero(steps != day)
    if wrong.size:
        i = int(wrong[0])
        before, after = time.values[i], time.values[i + 1]
        if steps[i] > day:
            way_out = (
                "a day is missing: fill the gap, or run the parts one by one, each "
                "from the state that the one before left"
            )
        elif steps[i] > 0 * day:
            way_out = "average shorter steps with tilth.land.emulator.to_daily"
        else:
            way_out = "sort the times, and leave out what is there twice"
        raise InputError(
            f"the emulator takes steps of one day, but {after} follows {before}: "
            f"{way_out}"
        )
    return time.dt.month.values.astype(np.int64) - 1


def to_daily(forcing: xr.Dataset, *, stamp: str = "start") -> xr.Dataset:
    """Average weather of shorter steps over days.

    The variables are rates and states of the air, so the mean of a day is right for
    each: a mean of kg m-2 s-1 is the day's water over its seconds. Amounts per step
    are no rates and are refused.

    Parameters
    ----------
    forcing : xarray.Dataset
        With ``time`` in regular steps that fill days, as ALMA has it.
    stamp : {"start", "end"}
        Which end of its step a time marks.

    Returns
    -------
    xarray.Dataset
        The variables along ``time``, at midnight before each day; others unchanged.

    Raises
    ------
    InputError
        If the first or the last day is not whole, the steps are not regular, or a
        variable is an amount.
    """
    if stamp not in ("start", "end"):
        raise InputError(f"stamp is 'start' or 'end', got {stamp!r}")
    moving = [str(name) for name in forcing.data_vars if "time" in forcing[name].dims]
    amounts = [n for n in moving if forcing[n].attrs.get("units") in _AMOUNTS]
    if amounts:
        raise InputError(
            f"{', '.join(amounts)} in {forcing[amounts[0]].attrs['units']}: an amount "
            "of each step has no mean; divide it by the seconds of a step and set the "
            "units to kg m-2 s-1"
        )
    seconds = step_seconds(forcing["time"])
    steps = round(SECONDS_PER_DAY / seconds)
    day = day_of(forcing["time"], seconds, stamp).values
    for edge, word in ((day[0], "first"), (day[-1], "last")):
        count = int((day == edge).sum())
        if count != steps:
            raise InputError(
                f"the {word} day, {edge}, has {count} of {steps} steps: cut the data "
                "to whole days with .sel(time=slice(...))"
                + ("" if stamp == "end" else ", or say stamp='end'")
            )
    daily = {name: to_days(forcing[name], stamp, state=False) for name in moving}
    kept = forcing.drop_vars([*moving, "time"])
    done = kept.assign(daily)
    for name in moving:
        done[name].attrs = forcing[name].attrs
    return done


_AMOUNTS = ("mm", "kg m-2", "m", "cm", "inch")
