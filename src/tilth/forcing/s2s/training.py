"""Which starts one may learn from: those of other years, near in the season."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.calendars import calendar_day, require_times
from tilth.core.errors import InputError

__all__ = ["LEFT_OUT", "StartGroups", "start_groups"]

#: What may be left out of training: nothing; the year of the target's start; all
#: starts within half a year of it.
LEFT_OUT = ("none", "year", "half year")


@dataclass(frozen=True)
class StartGroups:
    """Training starts of every target start, each different set of them kept once.

    Parameters
    ----------
    group : numpy.ndarray of int, shape (targets,)
        Number of the set of each target.
    offsets : numpy.ndarray of int, shape (groups + 1,)
        Where each set begins and ends in `members`.
    members : numpy.ndarray of int
        Positions of training starts, set after set.
    description : str
        How they were chosen, for the provenance of a result.
    """

    group: np.ndarray
    offsets: np.ndarray
    members: np.ndarray
    description: str

    def of(self, target: int) -> np.ndarray:
        """Return the positions of the training starts of one target."""
        k = self.group[target]
        return self.members[self.offsets[k] : self.offsets[k + 1]]


def start_groups(
    training: xr.DataArray,
    target: xr.DataArray | None = None,
    *,
    window: float | None = None,
    leave_out: str = "year",
) -> StartGroups:
    """Choose for every target start the starts that it may be learnt from.

    Parameters
    ----------
    training : xarray.DataArray, dimension (start)
        Starts there are, of any CF calendar.
    target : xarray.DataArray, dimension (start), optional
        Starts to be forecast; the training starts themselves by default.
    window : float, optional
        Days between the dates, around the year, that a training start may be before
        or after the target's; any by default.
    leave_out : {"year", "half year", "none"}
        Left out of training: starts in the target's calendar year; all less than
        half a year before or after it, so that no valid day is shared across New
        Year; nothing, for arithmetic in sample.

    Returns
    -------
    StartGroups
        The choice.

    Raises
    ------
    InputError
        If the window is negative, `leave_out` is something else, a start has no
        date, or nothing is left for a target.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> dates = np.array(["2001-01-03", "2002-01-05", "2002-07-01"], "datetime64[ns]")
    >>> start_groups(xr.DataArray(dates, dims="start")).of(0).tolist()
    [1, 2]
    """
    if leave_out not in LEFT_OUT:
        raise InputError(
            f"leave_out is one of {', '.join(LEFT_OUT)}, got {leave_out!r}"
        )
    if window is not None and window < 0:
        raise InputError(f"the window is a number of days, got {window}")
    if target is None:
        target = training
    for starts in (training, target):
        require_times(starts)
    keys = np.zeros((2, target.size), int)  # what tells the sets of two targets apart
    tests: list[
        Callable[[np.ndarray], np.ndarray]
    ] = []  # may a target with these keys learn from each training start?
    if leave_out == "year":
        theirs = training.dt.year.values
        keys[0] = target.dt.year.values
        tests.append(lambda key: theirs != key[0])
    elif leave_out == "half year":
        line, half = _days(training), calendar_day(training)[1] / 2
        keys[0] = _days(target)
        tests.append(lambda key: np.abs(line - key[0]) > half)
    if window is not None:
        days, circle = calendar_day(training)
        keys[1] = calendar_day(target)[0]

        def near(key: np.ndarray) -> np.ndarray:
            apart = np.abs(days - key[1])
            return np.minimum(apart, circle - apart) <= window

        tests.append(near)
    group, sets = _distinct_sets(keys, tests, training.size)
    counts = np.array([members.size for members in sets], int)
    empty = np.flatnonzero(counts[group] == 0)
    if empty.size:
        wider = "" if window is None else f", or a wider window than {window:g} days"
        raise InputError(
            f"nothing is left to learn from for {empty.size} of {target.size} starts, "
            f"the first is {target.values[empty[0]]}: hindcasts of other years "
            f"are needed{wider}"
        )
    close = "any date" if window is None else f"dates within {window:g} days"
    left = {"none": "no start", "year": "the target's year"}.get(
        leave_out, "half a year on either side of the target"
    )
    return StartGroups(
        group=group,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        members=np.concatenate([np.array([], int), *sets]),
        description=f"starts of {close}, {left} left out",
    )


def _distinct_sets(
    keys: np.ndarray, tests: list[Callable[[np.ndarray], np.ndarray]], size: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the number of every target's set, and the sets.

    Targets are told apart by two numbers each, not by the training starts they may
    learn from: of daily starts those would be a table of a hundred million.
    """
    different, which = np.unique(keys, axis=1, return_inverse=True)
    number: dict[bytes, int] = {}
    sets: list[np.ndarray] = []
    of_key = np.empty(different.shape[1], int)
    for k, key in enumerate(different.T):
        allowed = np.ones(size, bool)
        for test in tests:
            allowed &= test(key)
        members = np.flatnonzero(allowed)
        of_key[k] = number.setdefault(members.tobytes(), len(sets))
        if of_key[k] == len(sets):
            sets.append(members)
    return of_key[which.reshape(-1)], sets


def _days(start: xr.DataArray) -> np.ndarray:
    """Return starts as days on one line, close enough to tell half years apart."""
    day, circle = calendar_day(start)
    return start.dt.year.values * circle + day
