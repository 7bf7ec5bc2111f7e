"""What a training is asked before anything is learnt: places, steps, months."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.regrid_places import LATITUDE, LONGITUDE, geographic_coordinate
from tilth.forcing.adjust.groups import Grouping, require_dates

#: Dimensions a model may have by itself: each value gets its own fit.
_RUNS = ("member", "realization", "ensemble", "number", "model", "scenario", "lead")

#: Steps of time of two series may differ by this factor: months of 28 to 31 days.
_ALIKE = 1.25

#: Times that tell the step of a series.
_SAMPLE = 400

#: Share of days that may fall on other months than those of the other series.
_SEASONS_APART = 0.2


def check_training(
    observed: xr.DataArray, modelled: xr.DataArray, group: Grouping
) -> None:
    """Raise unless the distributions of a training can be compared.

    Parameters
    ----------
    observed, modelled : xarray.DataArray
        With ``time``.
    group : {"none", "month"} or DayWindow
        What belongs together.

    Raises
    ------
    InputError
        If one has no time step, places differ, one is of days and the other of hours,
        or, where all days are one group, they are of different months.
    """
    for data, what in ((observed, "observed"), (modelled, "modelled")):
        if not data.sizes["time"]:
            raise InputError(
                f"the training period has no time step {what}: check the selection"
            )
        require_dates(data["time"])
    _check_places(observed, modelled)
    check_steps(usual_step(observed["time"]), modelled["time"], "the model")
    if group == "none":
        _check_months(observed["time"], modelled["time"])


def check_numbers(ratio_cap: float, quantiles: int | None = None) -> None:
    """Raise unless numbers that many methods have are within their range.

    Parameters
    ----------
    ratio_cap : float
        Largest ratio.
    quantiles : int, optional
        Number of nodes.

    Raises
    ------
    InputError
        If the cap is below one, or there are fewer than two nodes.
    """
    if quantiles is not None and quantiles < 2:
        raise InputError(f"quantiles must be at least 2, got {quantiles}")
    if not ratio_cap >= 1:
        raise InputError(f"ratio_cap must be at least 1, got {ratio_cap}")


def check_steps(training: float, time: xr.DataArray, what: str) -> None:
    """Raise if times are of another step than those of the training.

    Parameters
    ----------
    training : float
        Usual step observed, seconds; NaN where it is not known.
    time : xarray.DataArray
        To be compared.
    what : str
        Whose times they are, for the message.

    Raises
    ------
    InputError
        If the steps differ by more than a quarter.
    """
    own = usual_step(time)
    # Comparisons with NaN, a step that is not known, are false.
    if max(own, training) > _ALIKE * min(own, training):
        raise InputError(
            f"{what} has a value every {_said(own)}, the observations one every "
            f"{_said(training)}: rain of an hour and of a day have distributions of "
            "their own; bring both to one step first, such as daily means "
            "(resample(time='1D').mean())"
        )


def usual_step(time: xr.DataArray) -> float:
    """Return the median step between times.

    Parameters
    ----------
    time : xarray.DataArray
        Dates of any calendar, in any order; what occurs twice counts once.

    Returns
    -------
    float
        Seconds; NaN of fewer than two times.

    Examples
    --------
    >>> days = xr.date_range("2001-02-27", periods=3, calendar="360_day",
    ...                      use_cftime=True)
    >>> usual_step(xr.DataArray(days, dims="time"))
    86400.0
    """
    # Comparing dates of other calendars is slow, and the start says it, if in order.
    known = _distinct(time.values[:_SAMPLE])
    if known is None:
        known = np.unique(time.values)
    if known.size < 2:
        return np.nan
    steps = np.sort(np.diff(known))
    usual: Any = steps[steps.size // 2]
    if steps.dtype.kind == "m":
        return float(usual / np.timedelta64(1, "s"))
    return float(usual.total_seconds())


def _distinct(values: np.ndarray) -> np.ndarray | None:
    """Return times that rise or fall, rising, without doubles; None if they do not."""
    later, earlier = values[1:] > values[:-1], values[1:] < values[:-1]
    if later.any() and earlier.any():
        return None
    kept = values[np.append(True, later | earlier)] if values.size else values
    return kept[::-1] if earlier.any() else kept


def _check_places(observed: xr.DataArray, modelled: xr.DataArray) -> None:
    """Raise if the two are of different places."""
    only = [dim for dim in modelled.dims if dim not in observed.dims]
    lacking = [dim for dim in observed.dims if dim not in modelled.dims]
    space = _dims_of_space(modelled)
    foreign = [
        dim for dim in only if dim in space or (lacking and str(dim) not in _RUNS)
    ]
    if foreign:
        raise InputError(
            f"the model has {_sizes(modelled, foreign)}, the observations "
            f"{_sizes(observed, lacking) or 'one place'}: every cell would be adjusted "
            "to every place; bring the model to the places of the observations first "
            "(tilth.core.regrid, tilth forcing regrid)"
        )
    for dim in observed.dims:
        if dim == "time" or dim in lacking:
            continue
        if dim not in observed.coords or dim not in modelled.coords:
            same = observed.sizes[dim] == modelled.sizes[dim]
        else:
            same = observed.indexes[dim].equals(modelled.indexes[dim])
        if not same:
            raise InputError(
                f"observations and model do not have the same coordinates: {dim} is "
                f"{_values(observed, dim)} observed and {_values(modelled, dim)} "
                f"modelled; take those of both, in one order, such as "
                f"modelled.sel({dim}=observed[{str(dim)!r}]), or regrid"
            )


def _check_months(observed: xr.DataArray, modelled: xr.DataArray) -> None:
    """Raise if the two are of different seasons."""
    ours, theirs = (
        np.bincount(time.dt.month.values, minlength=13) / time.size
        for time in (observed, modelled)
    )
    apart = float(np.abs(ours - theirs).sum()) / 2.0
    if apart > _SEASONS_APART:
        raise InputError(
            f"the observations have the months {_months(ours)} and the model "
            f"{_months(theirs)}, so that {100 * apart:.0f} % of the days are of other "
            "seasons: as all days are one group, these would be taken for a bias; "
            "select the same months of both, or group by month"
        )


def _dims_of_space(data: xr.DataArray) -> set[Hashable]:
    """Return the dimensions along which latitude or longitude change."""
    found: set[Hashable] = set()
    for kind in (LATITUDE, LONGITUDE):
        try:
            found |= set(geographic_coordinate(data, kind).dims)
        except InputError:
            continue
    return found


def _sizes(data: xr.DataArray, dims: list[Hashable]) -> str:
    """Return dimensions with their sizes in words."""
    return ", ".join(f"{dim} ({data.sizes[dim]})" for dim in dims)


def _values(data: xr.DataArray, dim: Hashable) -> str:
    """Return a coordinate in words."""
    if dim not in data.coords or data.sizes[dim] > 4:
        return f"{data.sizes[dim]} values"
    return ", ".join(map(str, data[dim].values))


def _months(shares: np.ndarray) -> str:
    """Return the months that have days, in words."""
    return ", ".join(map(str, np.flatnonzero(shares)))


def _said(seconds: float) -> str:
    """Return a step in words."""
    hours = seconds / 3600.0
    return f"{hours / 24.0:g} days" if hours >= 48.0 else f"{hours:g} hours"
