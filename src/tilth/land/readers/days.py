"""From a model's steps to days: rates averaged, amounts differenced, states last."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError


def step_seconds(time: xr.DataArray) -> float:
    """Return the length of the steps of a time axis, s.

    Parameters
    ----------
    time : xarray.DataArray
        Of any calendar; at least two.

    Returns
    -------
    float
        Of every step.

    Raises
    ------
    InputError
        If the axis does not rise, has a gap, or its steps do not fill days.
    """
    if time.size < 2:
        raise InputError("one time alone does not tell the length of a step")
    steps = _seconds(np.diff(time.values))
    if (steps <= 0).any():
        i = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise InputError(
            f"time must rise: {time.values[i]} follows {time.values[i - 1]}; are files "
            "given twice, or do they overlap?"
        )
    usual = float(np.median(steps))
    wrong = np.flatnonzero(np.abs(steps - usual) > 1e-3 * usual)
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"steps of {usual:g} s, but from {time.values[i]} to {time.values[i + 1]} "
            f"it is {steps[i]:g} s: a file is missing, or the output is not regular"
        )
    per_day = SECONDS_PER_DAY / usual
    if usual > SECONDS_PER_DAY * 1.001 or abs(per_day - round(per_day)) > 1e-3:
        raise InputError(
            f"the output has steps of {usual / SECONDS_PER_DAY:g} days; the emulator "
            "needs daily values, or shorter steps that fill a day"
        )
    return SECONDS_PER_DAY / round(per_day)


def _seconds(steps: Any) -> np.ndarray:
    """Return differences of times as seconds, whatever the calendar."""
    if np.issubdtype(steps.dtype, np.timedelta64):
        return steps / np.timedelta64(1, "s")
    return np.array([step.total_seconds() for step in steps])


def day_of(time: xr.DataArray, seconds: float, stamp: str) -> xr.DataArray:
    """Return the day each interval lies in.

    Parameters
    ----------
    time : xarray.DataArray
        Stamps.
    seconds : float
        Length of the intervals, s.
    stamp : {"start", "end"}
        Which end of its interval a stamp marks.

    Returns
    -------
    xarray.DataArray
        Midnight at the start of the day, in the calendar of the stamps.
    """
    # Half an interval from the stamp lies within the interval. A second less, so that
    # days that are stamped at noon stay themselves.
    half: Any = timedelta(seconds=seconds / 2 - 1)
    if time.dtype.kind == "M":
        half = np.timedelta64(half).astype("timedelta64[ns]")
    shifted = time.values + half if stamp == "start" else time.values - half
    time = xr.DataArray(shifted, dims="time")
    return time.dt.floor("D")


def rates(
    amounts: xr.DataArray, amount: str, seconds: float, stamp: str
) -> xr.DataArray:
    """Return amounts as rates per day.

    Parameters
    ----------
    amounts : xarray.DataArray
        With ``time``; per step, or growing.
    amount : {"step", "run", "day"}
        See `tilth.land.readers.columns.AMOUNTS`. A growing amount that falls has
        started anew: what it then holds came in that step.
    seconds, stamp
        As in `day_of`.

    Returns
    -------
    xarray.DataArray
        In the units of the amount per day. The first of what grows from the start of
        a run is missing.
    """
    per_day = SECONDS_PER_DAY / seconds
    if amount == "step":
        return amounts * per_day
    before = amounts.shift(time=1)
    gained = amounts - before
    # Packed or single numbers fall by a rounding error; a restart falls by far more.
    fallen = gained < -1e-5 * np.abs(before)
    gained = xr.where(fallen, amounts, gained.clip(min=0.0))
    if amount == "day":
        day = day_of(amounts["time"], seconds, stamp)
        fresh = np.ones(day.size, bool)
        fresh[1:] = day.values[1:] != day.values[:-1]
        gained = xr.where(xr.DataArray(fresh, dims="time"), amounts, gained)
    return (gained * per_day).transpose(*amounts.dims)


def to_days(data: xr.DataArray, stamp: str, *, state: bool) -> xr.DataArray:
    """Return daily values: the mean of a rate, the last of a state.

    Parameters
    ----------
    data : xarray.DataArray
        With ``time`` in regular steps that fill days.
    stamp : {"start", "end"}
        Which end of its interval a stamp marks.
    state : bool
        The value at the end of the day instead of the mean over it.

    Returns
    -------
    xarray.DataArray
        With ``time`` at midnight before each day that is whole in the data.

    Raises
    ------
    InputError
        If the time axis is not regular or no day is whole.
    """
    seconds = step_seconds(data["time"])
    day = day_of(data["time"], seconds, stamp)
    n = round(SECONDS_PER_DAY / seconds)
    if n == 1:
        return data.assign_coords(time=day.values)
    change = np.flatnonzero(day.values[1:] != day.values[:-1]) + 1
    edges = np.concatenate([[0], change, [day.size]])
    whole = [i for i, size in enumerate(np.diff(edges)) if size == n]
    if not whole:
        raise InputError(
            f"no day is whole: there are {day.size} steps, a day has {n} of them"
        )
    start, stop = edges[whole[0]], edges[whole[-1] + 1]
    cut = data.isel(time=slice(start, stop))
    if state:
        daily = cut.isel(time=slice(n - 1, None, n))
    else:
        steps = cut.drop_vars("time").coarsen(time=n)
        daily = steps.construct(time=("time", "step")).mean("step", skipna=False)
    return daily.assign_coords(time=day.values[start:stop:n])
