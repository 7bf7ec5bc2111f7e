"""Straight trends of series within groups of days."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.forcing.adjust.groups import TimeGroups


def decimal_years(times: xr.DataArray) -> np.ndarray:
    """Return times as years with their fraction.

    Parameters
    ----------
    times : xarray.DataArray
        In any CF calendar, shape (time,).

    Returns
    -------
    numpy.ndarray, shape (time,)
        Such as 2000.5.
    """
    return times.dt.decimal_year.values.astype(float)


def group_trends(
    rows: np.ndarray, years: np.ndarray, groups: TimeGroups
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares line of every series at its time steps.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        NaN where missing.
    years : numpy.ndarray, shape (time,)
        From `decimal_years`.
    groups : TimeGroups
        Each group's line is that of its window, and holds at its own days.

    Returns
    -------
    line : numpy.ndarray, shape (rows, time)
        Values of the line of each step's group; a mean where the group has one time.
    mean : numpy.ndarray, shape (rows, time)
        Mean of the window of each step's group.
    """
    # Centred, so that squares of years do not swamp their differences.
    x_all = years - years.mean() if years.size else years
    line, mean = np.full_like(rows, np.nan), np.full_like(rows, np.nan)
    stretches = zip(groups.window, groups.own, strict=True)
    for (start, stop), (first, last) in stretches:
        if first == last:
            continue
        steps, own = groups.order[start:stop], groups.order[first:last]
        values = rows[:, steps]
        present = np.isfinite(values)
        n = np.maximum(present.sum(axis=-1), 1)
        x = np.where(present, x_all[steps], 0.0)
        y = np.where(present, values, 0.0)
        x_mean, y_mean = x.sum(axis=-1) / n, y.sum(axis=-1) / n
        dx = np.where(present, x - x_mean[:, None], 0.0)
        spread = (dx * dx).sum(axis=-1)
        slope = (dx * y).sum(axis=-1) / np.where(spread > 0, spread, np.inf)
        away = x_all[own] - x_mean[:, None]
        line[:, own] = y_mean[:, None] + slope[:, None] * away
        mean[:, own] = y_mean[:, None]
    return line, mean
