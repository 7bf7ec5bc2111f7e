"""Which day a forecast speaks of: starts and leads against observations."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import convert_values

__all__ = [
    "align_observations",
    "lead_days",
    "lead_windows",
    "same_day_starts",
    "valid_times",
]


def lead_days(lead: xr.DataArray) -> np.ndarray:
    """Return lead times as days.

    Parameters
    ----------
    lead : xarray.DataArray
        Time differences, or numbers with units of time (``"days"`` where there are
        none: SubX and S2S archives count days).

    Returns
    -------
    numpy.ndarray of float
        Lead times, days.

    Raises
    ------
    InputError
        If the units are no time.

    Examples
    --------
    >>> import xarray as xr
    >>> lead_days(xr.DataArray([12, 36], dims="lead", attrs={"units": "hours"}))
    array([0.5, 1.5])
    """
    values = np.asarray(lead.values)
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "D")
    units = str(lead.attrs.get("units", "days"))
    return np.asarray(convert_values(values.astype(float), units, "day"), float)


def valid_times(start: xr.DataArray, lead: xr.DataArray) -> xr.DataArray:
    """Return the time that each start and lead is about.

    Parameters
    ----------
    start : xarray.DataArray, dimension (start)
        When forecasts began, of any CF calendar.
    lead : xarray.DataArray, dimension (lead)
        As `lead_days` reads them. A lead of 0.5 days is the middle of the first day,
        which is the day of the start itself.

    Returns
    -------
    xarray.DataArray, dimensions (start, lead)
        Start plus lead, in the calendar of the starts.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> start = xr.DataArray(np.array(["2020-01-02"], "datetime64[ns]"), dims="start")
    >>> lead = xr.DataArray([0.5, 1.5], dims="lead")
    >>> valid_times(start, lead).dt.strftime("%m-%d %H").values.tolist()
    [['01-02 12', '01-03 12']]
    """
    (first,), (second,) = start.dims, lead.dims
    days = lead_days(lead)
    when = np.asarray(start.values)
    if when.dtype.kind == "M":
        ahead: Any = np.round(days * 86400e3).astype("timedelta64[ms]")
        times = when[:, None] + ahead.astype("timedelta64[ns]")
    else:
        ahead = np.array([datetime.timedelta(days=float(day)) for day in days])
        times = when[:, None] + ahead
    coords = {first: start.variable, second: lead.variable}
    return xr.DataArray(times, coords, (first, second), name="valid_time")


def align_observations(
    observed: xr.DataArray, start: xr.DataArray, lead: xr.DataArray
) -> xr.DataArray:
    """Lay daily observations out as a forecast is: by start and lead.

    A forecast is compared with the observed day that its valid time falls in,
    whatever the hour that either of them is stamped with.

    Parameters
    ----------
    observed : xarray.DataArray
        Daily values along ``time``, one per date, in memory or on Dask; any calendar
        that knows the dates.
    start, lead : xarray.DataArray
        Of the forecast, as in `valid_times`.

    Returns
    -------
    xarray.DataArray, dimensions (start, lead, ...)
        NaN where the date was not observed; with the coordinate ``valid_time``, and
        ``pairs_not_observed`` among the attributes. Observations without a date
        (archives mark gaps so) are left out.

    Raises
    ------
    InputError
        If a date is there twice, or no valid time was observed at all.
    """
    if "time" not in observed.dims:
        raise InputError(
            f"the observations {observed.name} need the dimension time, they have "
            f"{', '.join(map(str, observed.dims))}"
        )
    valid = valid_times(start, lead)
    dated = np.flatnonzero(observed["time"].notnull().values)
    have = _date_numbers(observed["time"][dated])
    wanted = _date_numbers(valid)
    order = dated[np.argsort(have, kind="stable")]
    ordered = np.sort(have)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if twice.size:
        raise InputError(
            f"the observations {observed.name} have the date {twice[0]} twice: make "
            "them daily first, by mean or sum"
        )
    place = np.searchsorted(ordered, wanted).clip(max=max(ordered.size - 1, 0))
    found = ordered[place] == wanted if ordered.size else np.zeros(wanted.shape, bool)
    if not found.any():
        raise InputError(
            f"no valid time of the forecast ({wanted.min()} to {wanted.max()}) is "
            f"among the observed dates ({have.min(initial=0)} to "
            f"{have.max(initial=0)}): is it the same period and calendar?"
        )
    index = xr.DataArray(np.where(found, order[place], 0), dims=valid.dims)
    laid = observed.isel(time=index).drop_vars("time")
    laid = laid.where(xr.DataArray(found, dims=valid.dims))
    laid = laid.assign_coords({**valid.coords, "valid_time": valid})
    missing = int((~found).sum())
    laid = laid.assign_attrs(observed.attrs, pairs_not_observed=missing)
    return laid.transpose(*valid.dims, ...)


def _date_numbers(time: xr.DataArray) -> np.ndarray:
    """Return dates as numbers such as 20200102, the same in every calendar."""
    when = time.dt
    parts = (when.year.values, when.month.values, when.day.values)
    return parts[0].astype(np.int64) * 10000 + parts[1] * 100 + parts[2]


def lead_windows(
    forecast: xr.DataArray,
    windows: Mapping[str, tuple[float, float]],
    *,
    method: str = "mean",
    lead_dim: str = "lead",
) -> xr.DataArray:
    r"""Aggregate daily leads to periods, such as weeks 3-4.

    Parameters
    ----------
    forecast : xarray.DataArray
        Along ``lead``, as `lead_days` reads it: a day's value, or for
        ``"accumulated"`` the total since the start.
    windows : mapping of str to (float, float)
        Period -> first lead and the lead before which it ends, in days:
        ``{"weeks 3-4": (14, 28)}`` takes days 14 to 27.
    method : {"mean", "sum", "accumulated"}
        Mean or sum of the days in a window; or the total at its end less the total
        at its beginning (a lead of zero stands for a total of zero).
    lead_dim : str, default "lead"
        Name of the dimension.

    Returns
    -------
    xarray.DataArray
        With the names of the windows along `lead_dim`; NaN where a day of a window
        is missing. The units are those of `forecast` (a sum over days of a rate per
        day keeps its number; its units lose "day-1").

    Raises
    ------
    InputError
        If a window lacks a day, a total is not there, a sum is asked for of more than
        one lead per day, or the method is another one.

    Notes
    -----
    Where totals are accumulated since the start, tiny falls from packed files give
    totals below zero; they are set to zero.
    """
    if method not in ("mean", "sum", "accumulated"):
        raise InputError(
            f'the method is "mean", "sum" or "accumulated", got {method!r}'
        )
    days = lead_days(forecast[lead_dim])
    parts = []
    for name, (first, last) in windows.items():
        if method == "accumulated":
            parts.append(_difference(forecast, days, name, first, last, lead_dim))
            continue
        inside = np.flatnonzero((days >= first) & (days < last))
        _check_days(days[inside], days, name, first, last, method)
        chosen = forecast.isel({lead_dim: inside})
        reduce = chosen.mean if method == "mean" else chosen.sum
        parts.append(reduce(lead_dim, skipna=False, keep_attrs=True))
    result = xr.concat(
        [part.drop_vars("valid_time", errors="ignore") for part in parts],
        xr.DataArray(list(windows), dims=lead_dim, name=lead_dim),
        coords="minimal",
        compat="override",
    )
    attrs = dict(forecast.attrs)
    if method == "sum" and str(attrs.get("units", "")).endswith((" day-1", "/day")):
        attrs["units"] = attrs["units"].removesuffix(" day-1").removesuffix("/day")
    return result.transpose(*forecast.dims).assign_attrs(attrs)


def _check_days(
    inside: np.ndarray,
    days: np.ndarray,
    name: str,
    first: float,
    last: float,
    method: str,
) -> None:
    """Raise unless every day of a window is there, for a sum exactly once."""
    wanted = np.arange(np.floor(first), np.ceil(last))
    there, times = np.unique(np.floor(inside), return_counts=True)
    absent = np.setdiff1d(wanted, there)
    if absent.size:
        raise InputError(
            f"the window {name} ({first:g} to {last:g} days) has no lead of day "
            f"{absent[0]:g}: the forecast has {days.min():g} to {days.max():g} days"
        )
    if method == "sum" and (times > 1).any():
        day = there[times.argmax()]
        raise InputError(
            f"the window {name} has {times.max()} leads on day {day:g}: a sum is over "
            "days, make the forecast daily first"
        )


def _difference(
    forecast: xr.DataArray,
    days: np.ndarray,
    name: str,
    first: float,
    last: float,
    lead_dim: str,
) -> xr.DataArray:
    """Return the total of one window from totals since the start."""
    ends = []
    for day in (first, last):
        at = np.flatnonzero(np.isclose(days, day))
        if at.size:
            ends.append(forecast.isel({lead_dim: int(at[0])}, drop=True))
        elif day == 0:
            ends.append(xr.zeros_like(forecast.isel({lead_dim: 0}, drop=True)))
        else:
            raise InputError(
                f"the window {name} needs the total after {day:g} days; the forecast "
                f"has {days.min():g} to {days.max():g} days"
            )
    return (ends[1] - ends[0]).clip(min=0.0)


def same_day_starts(forecast_start: xr.DataArray, years: range) -> xr.DataArray:
    """Return the hindcast starts that belong to a real-time start: same date, before.

    Centres that run hindcasts on the fly start them on the date of the forecast in
    each of the last twenty years or so.

    Parameters
    ----------
    forecast_start : xarray.DataArray, dimension (start)
        Starts of the forecast, of a calendar with dates of the usual kind.
    years : range
        Years of the hindcasts.

    Returns
    -------
    xarray.DataArray of datetime64, dimensions (start, year)
        The same month and day in every year; 28 February for the 29th where there
        is none.

    Raises
    ------
    InputError
        If a year is one of the forecast's own: its own date is no hindcast.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> start = xr.DataArray(np.array(["2020-02-29"], "datetime64[ns]"), dims="start")
    >>> same_day_starts(start, range(2018, 2020)).dt.strftime("%F").values.tolist()
    [['2018-02-28', '2019-02-28']]
    """
    own = sorted(set(forecast_start.dt.year.values.tolist()) & set(years))
    if own:
        raise InputError(
            f"the year {own[0]} is one of the forecast's own: hindcasts of the year "
            "that is forecast would contain what is to be foretold"
        )
    dates = np.array(
        [
            [_date_in(int(year), int(month), int(day)) for year in years]
            for month, day in zip(
                forecast_start.dt.month.values,
                forecast_start.dt.day.values,
                strict=True,
            )
        ],
        "datetime64[ns]",
    )
    (dim,) = forecast_start.dims
    coords = {dim: forecast_start.variable, "year": list(years)}
    return xr.DataArray(dates, coords, (dim, "year"), name="hindcast_start")


def _date_in(year: int, month: int, day: int) -> str:
    """Return a date in a year; the last of February where the 29th is not there."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if (month, day) == (2, 29) and not leap:
        day = 28
    return f"{year:04d}-{month:02d}-{day:02d}"
