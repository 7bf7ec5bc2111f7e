"""Daily weather in hours: every day's mean, total and extremes kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.calendars import gregorian_times
from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.core.parallel import apply_kernel
from tilth.forcing.fields import day_course
from tilth.forcing.fields.consistency import saturation
from tilth.forcing.fields.rain_analogs import RainAnalogs
from tilth.forcing.fields.rain_cascade import RainCascade, place_keys
from tilth.forcing.fields.sunlight import top_of_atmosphere
from tilth.forcing.files import days_of
from tilth.forcing.variables import VARIABLES, as_variable

#: Dimension of the steps while there is ``time`` of the days beside them.
_STEPS = "steps"


def to_hours(
    daily: xr.Dataset,
    *,
    hours: float = 1.0,
    rain: RainCascade | RainAnalogs | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Share out daily weather to shorter steps.

    * ``tas``: Parton & Logan (1981) between the extremes; mean and extremes are kept
    * ``pr``: random cascade, or that of an observed day; its total is kept
    * ``rsds``: as the sun's light above the air; its energy is kept
    * ``huss``: smooth, at most saturation; its mean is kept
    * ``rlds``: smooth, with the fourth power of temperature; its energy is kept
    * ``ps``, ``sfcWind``: smooth; their means are kept

    Parameters
    ----------
    daily : xarray.Dataset
        These variables in units of `tilth.forcing.variables.VARIABLES`, with
        ``tasmin`` and ``tasmax``, on consecutive days of any calendar from midnight
        to midnight UTC; coordinates ``lat`` and ``lon``. A variable may be absent
        (``huss`` needs ``ps``). In memory or on Dask.
    hours : float, default 1
        Length of a step; divides a day.
    rain : RainCascade or RainAnalogs, optional
        How rain is shared out; the default cascade if not given.
    seed : int
        Of the random numbers. Every place and day has its own, so that neither chunks
        nor other places change them.

    Returns
    -------
    xarray.Dataset
        ``tas``, ``pr``, ``rsds``, ``huss``, ``rlds``, ``ps`` and ``sfcWind`` where the
        days have them; a time is the beginning of its step.

    Raises
    ------
    InputError
        If a variable or coordinate that is needed is absent, days are missing, hours
        do not divide a day, or the analogs have other steps or places.
    """
    steps = round(24.0 / hours) if hours > 0.0 else 0
    if steps < 1 or abs(steps * hours - 24.0) > 1e-9:
        raise InputError(f"hours={hours} do not divide a day: 1, 3 and 6 do")
    require_variables(daily, ["tas", "tasmin", "tasmax", "time", "lat", "lon"], "days")
    daily = _checked(days_of(daily))
    latitude, longitude = _places(daily)
    time = _step_times(daily["time"], steps)
    days_utc = gregorian_times(daily["time"])
    result: dict[str, xr.DataArray] = {}
    result["tas"] = _kernel(
        day_course.temperature_course,
        [daily["tas"], daily["tasmin"], daily["tasmax"]],
        time,
        [latitude, longitude],
        days_utc=days_utc,
        steps=steps,
    )
    for name in ("ps", "sfcWind"):
        if name in daily:
            result[name] = _smooth(daily[name], time, steps)
    if "rsds" in daily:
        sun = top_of_atmosphere(time, latitude, longitude, 3600.0 * hours)
        result["rsds"] = _weighted(daily["rsds"], sun)
    if "rlds" in daily:
        course = _smooth(daily["rlds"], time, steps) * result["tas"] ** 4
        result["rlds"] = _weighted(daily["rlds"], course)
    if "huss" in daily:
        require_variables(daily, ["ps"], "the humidity of the hours")
        most = saturation(result["tas"], result["ps"])
        result["huss"] = _capped(daily["huss"], time, steps, most)
    if "pr" in daily:
        result["pr"] = _rain(
            daily, latitude, longitude, time, steps, rain or RainCascade(), seed
        )
    order = list(daily["tas"].dims)
    for name, array in result.items():
        array = array.transpose(*order)
        array.attrs = {**daily[name].attrs, **VARIABLES[name].attributes}
        result[name] = array
    whole = xr.Dataset(result).assign_coords(lat=daily["lat"], lon=daily["lon"])
    return whole.assign_attrs({**daily.attrs, "disaggregation_seed": seed})


def _checked(daily: xr.Dataset) -> xr.Dataset:
    """Return the days with every variable in its units, or say which are missing."""
    time = daily["time"].values
    gaps = np.flatnonzero([gap != timedelta(days=1) for gap in _gaps(time)])
    if gaps.size:
        i = int(gaps[0])
        raise InputError(
            f"after {time[i]} comes {time[i + 1]}: hours need consecutive days; "
            "reindex to all days and fill the gaps, or give each season by itself"
        )
    known = [name for name in daily.data_vars if name in VARIABLES]
    return daily.assign({name: as_variable(daily[name]) for name in known})


def _gaps(time: np.ndarray) -> list[timedelta]:
    """Return the differences of times of any calendar."""
    return [
        gap.astype("timedelta64[us]").item() if isinstance(gap, np.timedelta64) else gap
        for gap in np.diff(time)
    ]


def _places(daily: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return latitude and longitude along all dimensions of the places."""
    places = daily["tas"].isel(time=0, drop=True)
    lat, lon = (
        daily[name].reset_coords(drop=True).astype(float) for name in ("lat", "lon")
    )
    empty = xr.zeros_like(places).reset_coords(drop=True).where(False, 0.0)
    return (
        (lat + empty).transpose(*places.dims),
        (lon + empty).transpose(*places.dims),
    )


def _step_times(days: xr.DataArray, steps: int) -> xr.DataArray:
    """Return the beginnings of the steps, in the calendar of the days."""
    values = days.values
    if np.issubdtype(values.dtype, np.datetime64):
        offset = np.arange(steps) * (np.timedelta64(86_400_000, "ms") // steps)
        times = (values[:, None] + offset).ravel()
    else:
        pieces = [timedelta(days=1) * i / steps for i in range(steps)]
        times = np.array([day + piece for day in values for piece in pieces])
    return xr.DataArray(times, dims="time", coords={"time": times}, name="time")


def _kernel(
    kernel: Any,
    daily: list[xr.DataArray],
    time: xr.DataArray,
    others: list[xr.DataArray],
    **options: Any,
) -> xr.DataArray:
    """Apply a kernel of days (..., days) and places (...) that returns the steps."""
    bare = [array.reset_coords(drop=True) for array in (*daily, *others)]
    bare = [a.drop_vars("time") if "time" in a.coords else a for a in bare]
    core = [("time",)] * len(daily) + [()] * len(others)
    steps = apply_kernel(
        kernel,
        *bare,
        core_dims=core,
        output_dims=[[_STEPS]],
        output_sizes={_STEPS: time.size},
        options=options,
    )
    return steps.rename({_STEPS: "time"}).assign_coords(time=time)


def _on_steps(array: xr.DataArray) -> xr.DataArray:
    """Return an array of the steps under the dimension that kernels take them by."""
    bare = array.reset_coords(drop=True).drop_vars("time", errors="ignore")
    return bare.rename(time=_STEPS)


def _smooth(daily: xr.DataArray, time: xr.DataArray, steps: int) -> xr.DataArray:
    return _kernel(day_course.smooth_course, [daily], time, [], steps=steps)


def _weighted(daily: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    result = apply_kernel(
        day_course.weighted_course,
        daily.reset_coords(drop=True).drop_vars("time"),
        _on_steps(weights),
        core_dims=[["time"], [_STEPS]],
        output_dims=[[_STEPS]],
    )
    return result.rename({_STEPS: "time"}).assign_coords(time=weights["time"])


def _capped(
    daily: xr.DataArray, time: xr.DataArray, steps: int, most: xr.DataArray
) -> xr.DataArray:
    result = apply_kernel(
        _capped_smooth,
        daily.reset_coords(drop=True).drop_vars("time"),
        _on_steps(most),
        core_dims=[["time"], [_STEPS]],
        output_dims=[[_STEPS]],
        options={"steps": steps},
    )
    return result.rename({_STEPS: "time"}).assign_coords(time=time)


def _capped_smooth(mean: np.ndarray, most: np.ndarray, steps: int) -> np.ndarray:
    course = day_course.smooth_course(mean, steps)
    return day_course.capped_course(mean, course, most)[0]


def _rain(
    daily: xr.Dataset,
    latitude: xr.DataArray,
    longitude: xr.DataArray,
    time: xr.DataArray,
    steps: int,
    rain: RainCascade | RainAnalogs,
    seed: int,
) -> xr.DataArray:
    """Return the rain of the steps."""
    days = daily["time"]
    identity = (days.dt.year * 372 + days.dt.month * 31 + days.dt.day).values
    # Members and other dimensions without a place of their own draw apart.
    number = xr.zeros_like(latitude, int)
    width = 1
    for dim in map(str, latitude.dims):
        if not any(dim in daily[name].dims for name in ("lat", "lon")):
            position = xr.DataArray(np.arange(latitude.sizes[dim]) * width, dims=dim)
            number = number + position
            width *= latitude.sizes[dim]
    options: dict[str, Any] = {"days": identity, "seed": seed}
    others = [latitude, longitude, number.transpose(*latitude.dims)]
    if isinstance(rain, RainCascade):
        options |= {"cascade": rain, "steps": steps}
        return _kernel(_by_cascade, [daily["pr"]], time, others, **options)
    places, observed_steps = rain.courses.shape[0], rain.courses.shape[-1]
    if observed_steps != steps or places not in (1, latitude.size):
        raise InputError(
            f"the analogs have {places} places and {observed_steps} steps a day, the "
            f"days {latitude.size} places to be shared out to {steps} steps: observe "
            "the same places (or one), in the same steps"
        )
    which = np.arange(latitude.size) if places > 1 else np.zeros(latitude.size, int)
    others.append(latitude.copy(data=which.reshape(latitude.shape)))
    options |= {"analogs": rain, "day_of_year": days.dt.dayofyear.values}
    return _kernel(_by_analogs, [daily["pr"]], time, others, **options)


def _by_cascade(
    rain: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    number: np.ndarray,
    days: np.ndarray,
    seed: int,
    cascade: RainCascade,
    steps: int,
) -> np.ndarray:
    return cascade.split(
        rain, place_keys(latitude, longitude, number, seed), days, steps
    )


def _by_analogs(
    rain: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    number: np.ndarray,
    place: np.ndarray,
    days: np.ndarray,
    seed: int,
    analogs: RainAnalogs,
    day_of_year: np.ndarray,
) -> np.ndarray:
    keys = place_keys(latitude, longitude, number, seed)
    amount = rain * 86400.0  # kg m-2 s-1 as mm day-1, in which analogs are compared
    split = analogs.split(amount, keys, days, place.astype(np.int64), day_of_year)
    return split / 86400.0
