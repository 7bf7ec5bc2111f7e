"""What an emulator must beat: the day's climatology; and persistence beside it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

Data = TypeVar("Data", xr.DataArray, xr.Dataset)


def day_of_year_climatology(train: Data) -> Data:
    """Return the mean of each day of the year over the training years, unsmoothed.

    Parameters
    ----------
    train : xarray.Dataset or DataArray
        Daily, with ``time`` of any calendar; missing values are left out.

    Returns
    -------
    same as `train`
        With ``dayofyear`` (1 to 366; to 360 or 365 in a model's calendar) in the
        place of ``time``. Day 366 of years that never leapt is taken from day 365.

    Raises
    ------
    InputError
        If there is less than a year, or a day of the year never occurs.
    """
    day = train["time"].dt.dayofyear
    last = _last_day(train["time"])
    lacking = sorted(set(range(1, min(last, 365) + 1)) - set(day.values.tolist()))
    if lacking:
        raise InputError(
            f"the training years lack {len(lacking)} days of the year (the first is "
            f"day {lacking[0]}): a climatology needs every day at least once"
        )
    mean = train.groupby(day.rename("dayofyear")).mean("time")
    mean = mean.reindex(dayofyear=np.arange(1, last + 1), method="ffill")
    attrs = {"cell_methods": "time: mean within days time: mean over years"}
    if isinstance(train, xr.Dataset):
        for name in mean.data_vars:
            mean[name].attrs = {**train[name].attrs, **attrs}
    else:
        mean.attrs = {**train.attrs, **attrs}
    return mean


def climatology_forecast(climatology: Data, time: xr.DataArray) -> Data:
    """Return the climatology as a series along the days of another period.

    Parameters
    ----------
    climatology : xarray.Dataset or DataArray
        As `day_of_year_climatology` returns it.
    time : xarray.DataArray
        Days to forecast, in the calendar of the training years.

    Returns
    -------
    same as `climatology`
        Along ``time``.

    Raises
    ------
    InputError
        If the calendars differ in the length of their year.
    """
    known = int(climatology["dayofyear"].max())
    if _last_day(time) != known:
        raise InputError(
            f"the climatology has {known} days, the year of the series "
            f"{_last_day(time)}: training years and test years need one calendar"
        )
    picked = climatology.sel(dayofyear=time.dt.dayofyear)
    return picked.drop_vars("dayofyear").assign_coords(time=time)


def persistence_forecast(targets: Data, before: Data | None = None) -> Data:
    """Return the previous day's value as the forecast of each day.

    It uses what it forecasts, one day late: no free run can be asked to beat it.

    Parameters
    ----------
    targets : xarray.Dataset or DataArray
        Daily, with ``time``.
    before : same, optional
        Targets that end on the day before; the first day is missing without them.

    Returns
    -------
    same as `targets`
        Along the same ``time``.
    """
    shifted = targets.shift(time=1)
    if before is None or not before.sizes["time"]:
        return shifted
    gap = targets["time"].values[0] - before["time"].values[-1]
    step = targets["time"].values[1] - targets["time"].values[0]
    if gap != step:
        return shifted
    first = before.isel(time=[-1]).assign_coords(time=targets["time"].values[:1])
    names = list(targets) if isinstance(targets, xr.Dataset) else None
    first = first[names] if names is not None else first
    parts = [first, shifted.isel(time=slice(1, None))]
    return xr.concat(parts, dim="time", combine_attrs="override", join="override",
                     coords="minimal", compat="override")  # fmt: skip


def _last_day(time: xr.DataArray) -> int:
    """Return how many days the longest year of the calendar has."""
    calendar = time.dt.calendar
    return {"360_day": 360, "noleap": 365, "365_day": 365}.get(calendar, 366)
