"""Times of forcings and outputs: even steps of any calendar, and whole intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.intervals import steps_of_interval


def step_length(time: xr.DataArray, name: str = "runoff") -> float:
    """Return the length of a forcing's step.

    Parameters
    ----------
    time : xarray.DataArray
        Beginnings of the intervals; datetime64, or cftime of any calendar.
    name : str
        Of the forcing, for messages.

    Returns
    -------
    float
        In s.

    Raises
    ------
    InputError
        If there are fewer than two times, or they are not evenly spaced and rising.
    """
    if time.ndim != 1 or time.size < 2:
        raise InputError(
            f"{name} has {time.size} times: a run needs two at least to know its step"
        )
    values = time.values
    gaps = np.array([_seconds(gap) for gap in np.diff(values)])
    if not gaps[0] > 0 and not (gaps > 0).any():
        raise InputError(f"the time of {name} runs backwards: sort it by time")
    back = np.flatnonzero(~(gaps > 0))
    if back.size:
        i = int(back[0])
        what = "comes twice" if gaps[i] == 0 else "goes back"
        raise InputError(
            f"the time of {name} {what}: {when(values[i + 1])} follows "
            f"{when(values[i])}; sort it and drop what is there twice"
        )
    step = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - step) > 1e-3)
    if uneven.size:
        i = int(uneven[0])
        count = gaps[i] / step
        if uneven.size > 1 and gaps.min() >= 28 * 86400 and gaps.max() <= 31 * 86400:
            hint = "months have no one length: resample them to days first"
        elif count > 1 and abs(count - round(count)) < 1e-6:
            hint = (
                f"{round(gaps[uneven].sum() / step) - uneven.size} steps are missing; "
                "reindex to every time and fill the gaps"
            )
        else:
            hint = "reindex to one step and fill the gaps"
        raise InputError(
            f"the time of {name} has uneven steps: {step:g} s mostly, {gaps[i]:g} s "
            f"from {when(values[i])} to {when(values[i + 1])}: {hint}"
        )
    return step


def end_time(time: xr.DataArray) -> Any:
    """Return the end of the last interval.

    Parameters
    ----------
    time : xarray.DataArray
        Beginnings of the intervals, two at least.

    Returns
    -------
    numpy.datetime64 or cftime.datetime
        Last time plus one step.
    """
    values = time.values
    return values[-1] + (values[1] - values[0])


def period_steps(step: float, count: int, output: str) -> int:
    """Return how many steps an output interval has.

    Parameters
    ----------
    step : float
        Of the forcing, s.
    count : int
        Steps of the forcing.
    output : str
        ``"step"``, or an interval of pandas such as ``"1D"`` or ``"3h"``.

    Returns
    -------
    int
        At least one.

    Raises
    ------
    InputError
        If the interval is none, no multiple of the step, or does not fit into the run.
    """
    per = steps_of_interval(step, output)
    if count % per:
        raise InputError(
            f"{count} steps of runoff are no whole number of output intervals of "
            f"{per} steps: give whole intervals, or output='step'"
        )
    return per


def _seconds(gap: Any) -> float:
    """Return a time difference in seconds."""
    if isinstance(gap, np.timedelta64):
        return float(gap / np.timedelta64(1, "s"))
    return float(gap.total_seconds())


def when(time: Any) -> str:
    """Return a time as text, without what is zero in it.

    Parameters
    ----------
    time : numpy.datetime64 or cftime.datetime
        To be written.

    Returns
    -------
    str
        Such as ``"2019-03-15 06:00:00"``.

    Examples
    --------
    >>> when(np.datetime64("2019-03-15T00:00:00"))
    '2019-03-15'
    """
    text = str(time).replace("T", " ")
    return text.split(".")[0].removesuffix(" 00:00:00")
