"""Seasons and years that stay whole: labels, folds, and the days two series share."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.split import time_stamps

__all__ = [
    "common_times",
    "season_folds",
    "season_labels",
]


def season_labels(time: xr.DataArray) -> np.ndarray:
    """Return the season or year that each time belongs to, by the year it ends in.

    Where months are missing altogether, the season begins after the longest gap: the
    winter of December to February is named by the year of its January. Where all
    twelve months are there, calendar years are taken.

    Parameters
    ----------
    time : xarray.DataArray
        One-dimensional, of any CF calendar.

    Returns
    -------
    numpy.ndarray of int
        One label per time.

    Examples
    --------
    >>> time = xr.date_range("1982-12-30", periods=4)
    >>> season_labels(xr.DataArray(time, dims="time"))
    array([1983, 1983, 1983, 1983])
    """
    year = np.asarray(time.dt.year.values, int)
    month = np.asarray(time.dt.month.values, int)
    first = _first_month(np.unique(month))
    return year + ((month >= first) & (first > 1))


def _first_month(months: np.ndarray) -> int:
    """Return the month a season begins with if it goes past December, else 1."""
    if months.size == 12 or not (1 in months and 12 in months):
        return 1
    gaps = np.diff(months)
    return int(months[int(np.argmax(gaps)) + 1])


def season_folds(labels: np.ndarray, folds: int = 4) -> np.ndarray:
    """Return the fold of each time: whole seasons, every `folds`-th one together.

    Parameters
    ----------
    labels : numpy.ndarray of int
        Of `season_labels`.
    folds : int, default 4
        Number of folds.

    Returns
    -------
    numpy.ndarray of int
        From 0 to ``folds - 1``.

    Raises
    ------
    InputError
        If there are fewer seasons than folds, or fewer than two folds.

    Notes
    -----
    Days drawn at random would leak: the weather of a day is that of the next.

    Examples
    --------
    >>> season_folds(np.array([1990, 1990, 1991, 1992]), 2)
    array([0, 0, 1, 0])
    """
    known, number = np.unique(labels, return_inverse=True)
    if not 2 <= folds <= known.size:
        raise InputError(
            f"{folds} folds of {known.size} seasons or years: take between 2 and "
            f"{known.size}; the rank step needs seasons that were not learnt from"
        )
    return number % folds


def common_times(
    predictors: xr.DataArray, observed: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both at their common times; daily data are matched by the day.

    Parameters
    ----------
    predictors, observed : xarray.DataArray
        With ``time``, rising. Days may be labelled at noon here and at midnight there.

    Returns
    -------
    xarray.DataArray, xarray.DataArray
        With the times of `observed`.

    Raises
    ------
    InputError
        If fewer than nine of ten times of the stretch that both cover are common:
        another calendar or another step; a join would drop the rest unseen.
    """
    length = 10 if _daily(predictors["time"]) and _daily(observed["time"]) else 19
    ours, theirs = (
        np.array([stamp[:length] for stamp in time_stamps(array["time"])])
        for array in (predictors, observed)
    )
    for name, stamps in (("predictors", ours), ("observed", theirs)):
        if not stamps.size:
            raise InputError(f"the {name} have no times: check the years selected")
        wrong = np.flatnonzero(~(stamps[1:] > stamps[:-1]))
        if wrong.size:
            raise InputError(
                f"times of the {name} must rise: {stamps[wrong[0] + 1]} follows "
                f"{stamps[wrong[0]]}"
            )
    common, left, right = np.intersect1d(ours, theirs, return_indices=True)
    low, high = max(ours[0], theirs[0]), min(ours[-1], theirs[-1])
    if high < low:
        raise InputError(
            f"predictors ({ours[0]} to {ours[-1]}) and observed ({theirs[0]} to "
            f"{theirs[-1]}) have no day in common"
        )
    shared = min(int(((s >= low) & (s <= high)).sum()) for s in (ours, theirs))
    if common.size < 0.9 * max(shared, 1):
        raise InputError(
            f"{common.size} of {shared} times between {low} and {high} are common to "
            f"predictors ({ours[0]} to {ours[-1]}) and observed ({theirs[0]} to "
            f"{theirs[-1]}): bring them to one calendar and step first"
        )
    found = predictors.isel(time=left), observed.isel(time=right)
    return found[0].assign_coords(time=found[1]["time"]), found[1]


def _daily(time: xr.DataArray) -> bool:
    """Whether the usual step is a day."""
    if time.size < 2:
        return False
    steps = np.diff(time.values[: min(time.size, 1000)])
    usual = np.sort(steps)[steps.size // 2]
    return (
        bool(usual == np.timedelta64(1, "D"))
        if steps.dtype.kind == "m"
        else (usual.total_seconds() == 86400.0)
    )
