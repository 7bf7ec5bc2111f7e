"""Weather that drives the land model: ALMA variables, checked, in SI units.

Forcing is a dataset with the ALMA names of `VARIABLES` over ``time`` and any cell
dimensions, and the coordinates ``lat`` and ``lon``. A time is the beginning of the
interval that its values are means of, in UTC. Units are converted where they say what
they are; what cannot be is refused with the way out.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from tilth.core.calendars import gregorian_times
from tilth.core.errors import InputError
from tilth.core.model import require_increasing, require_variables
from tilth.core.units import convert
from tilth.physics import moist_air, solar
from tilth.physics.snowfall import snow_share

#: ALMA name -> units inside the model, range of credible values, CF standard name.
VARIABLES: dict[str, tuple[str, float, float, str]] = {
    "Rainf": ("kg m-2 s-1", 0.0, 0.15, "rainfall_flux"),
    "Snowf": ("kg m-2 s-1", 0.0, 0.05, "snowfall_flux"),
    "CRainf": ("kg m-2 s-1", 0.0, 0.15, "convective_rainfall_flux"),
    "Tair": ("K", 170.0, 340.0, "air_temperature"),
    "Qair": ("kg kg-1", 0.0, 0.07, "specific_humidity"),
    "PSurf": ("Pa", 3.0e4, 1.12e5, "surface_air_pressure"),
    "SWdown": ("W m-2", -20.0, 1600.0, "surface_downwelling_shortwave_flux_in_air"),
    "LWdown": ("W m-2", 40.0, 800.0, "surface_downwelling_longwave_flux_in_air"),
    "Wind": ("m s-1", 0.0, 90.0, "wind_speed"),
    "CO2air": ("mol mol-1", 1e-4, 5e-3, "mole_fraction_of_carbon_dioxide_in_air"),
}

#: What a run can do without, and what then stands for it: no convective rain, and CO2
#: of 2013 (NOAA global mean, 396 ppm). Without Snowf, `split_precipitation`.
DEFAULTS = {"CRainf": 0.0, "CO2air": 396e-6}

#: Most that measured air may hold relative to saturation over water: sensors in fog
#: and the scatter of formulae reach a few per cent.
SUPERSATURATION = 1.1

#: What a value outside the credible range most likely is: variable -> factor to the
#: right units, offset, and the words for it.
_SUSPECTS: dict[str, tuple[tuple[float, float, str], ...]] = {
    "PSurf": ((1e3, 0.0, "kPa"), (100.0, 0.0, "hPa")),
    "Tair": ((1.0, 273.15, "degC"),),
    "Wind": ((1e-3, 0.0, "mm s-1"),),
    "Qair": ((1e-3, 0.0, "g kg-1"),),
    "CO2air": ((1e-6, 0.0, "ppm"),),
    "Rainf": ((1.0 / 3600.0, 0.0, "mm per hour"), (1.0 / 86400.0, 0.0, "mm per day")),
    "Snowf": ((1.0 / 3600.0, 0.0, "mm per hour"), (1.0 / 86400.0, 0.0, "mm per day")),
}

#: A wind that never exceeds this has been converted once too often, m s-1.
_STILL = 0.2


class Weather(eqx.Module):
    """Weather of a step, cells last; or of many, with the time before them.

    Rain, snow and convective rain (part of the rain) in kg m-2 s-1, temperature in K,
    specific humidity in kg kg-1, pressure in Pa, shortwave and longwave downward in
    W m-2, wind in m s-1, CO2 in mol mol-1, the cosine of the zenith angle while the
    sun is up, and the weights of the twelve months in the season.
    """

    rainfall: Any
    snowfall: Any
    convective: Any
    temperature: Any
    humidity: Any
    pressure: Any
    shortwave: Any
    longwave: Any
    wind: Any
    co2: Any
    cosine_zenith: Any
    season: Any


def check_forcing(forcing: xr.Dataset) -> xr.Dataset:
    """Return the forcing with every variable the model needs, in its units.

    Parameters
    ----------
    forcing : xarray.Dataset
        ALMA variables with units over ``time`` and cells; ``lat`` and ``lon``. Rainf
        without Snowf is taken for all precipitation and split by the wet-bulb
        temperature.

    Returns
    -------
    xarray.Dataset
        The variables of `VARIABLES` only, time first.

    Raises
    ------
    UnitsError
        If units are absent or of another kind.
    InputError
        If a variable is absent, has gaps or values that cannot be, or if time is not
        regular.

    Notes
    -----
    Values of Dask arrays are checked where they are computed, block by block; the
    coordinates at once.
    """
    needed = [name for name in VARIABLES if name not in (*DEFAULTS, "Snowf")]
    require_variables(forcing, [*needed, "time", "lat", "lon"], "forcing")
    step_length(forcing)
    variables = {}
    for name, (units, *_) in VARIABLES.items():
        if name in forcing:
            variables[name] = convert(forcing[name], units).astype(float)
    for name, value in DEFAULTS.items():
        if name not in variables:
            variables[name] = xr.full_like(variables["Tair"], value)
    checked = {name: _guarded(array, name) for name, array in variables.items()}
    checked["Qair"] = xr.apply_ufunc(
        _not_too_wet,
        checked["Qair"],
        checked["Tair"],
        checked["PSurf"],
        dask="parallelized",
        output_dtypes=[float],
    )
    if "Snowf" not in checked:
        air = (checked[name] for name in ("Tair", "Qair", "PSurf"))
        checked["Rainf"], checked["Snowf"] = split_precipitation(checked["Rainf"], *air)
    result = xr.Dataset({name: checked[name] for name in VARIABLES})
    result = result.transpose("time", ...)
    for name, (units, _, _, standard) in VARIABLES.items():
        result[name].attrs = {"units": units, "standard_name": standard}
    return result.assign_coords({name: forcing[name] for name in ("lat", "lon")})


def _guarded(data: xr.DataArray, name: str) -> xr.DataArray:
    """Return the data, with values that cannot be refused when they are computed."""
    kwargs = {"name": name}
    return xr.apply_ufunc(
        _credible, data, kwargs=kwargs, dask="parallelized", output_dtypes=[float]
    )


def _credible(values: np.ndarray, name: str) -> np.ndarray:
    """Return the values of a variable, or say why they cannot be right."""
    units, low, high, _ = VARIABLES[name]
    if values.size == 0:
        return values
    gaps = int(np.isnan(values).sum())
    if gaps:
        first = np.argwhere(np.isnan(values))[0].tolist()
        raise InputError(
            f"{name} has {gaps} gaps of {values.size} values, the first at index "
            f"{first}: fill them before the run, the model steps through every one"
        )
    worst = float(values.min() if values.min() < low else values.max())
    if low <= worst <= high:
        if name == "Wind" and values.size > 100 and worst < _STILL:
            raise InputError(
                f"Wind never exceeds {worst:g} m s-1: its units say mm s-1 or the "
                "like, but the values are m s-1 already; correct the attribute"
            )
        return np.maximum(values, 0.0) if name == "SWdown" else values
    hint = ""
    for factor, offset, meant in _SUSPECTS.get(name, ()):
        plausible = worst >= 0.0 or offset > 0.0
        if plausible and low <= worst * factor + offset <= high:
            hint = f"; the values look like {meant}: set its units attribute to that"
            break
    if worst < 0.0 and name in ("Rainf", "Snowf", "CRainf"):
        hint = "; precipitation is not negative: a drift of the gauge or a fill value?"
    raise InputError(
        f"{name} reaches {worst:g} {units}, credible is {low:g} to {high:g}{hint}"
    )


def _not_too_wet(
    humidity: np.ndarray, temperature: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Return the humidity, or refuse air far beyond saturation."""
    if humidity.size == 0:
        return humidity
    most = np.asarray(moist_air.saturation_specific_humidity(temperature, pressure))
    ratio = float(np.max(humidity / most))
    if ratio > SUPERSATURATION:
        raise InputError(
            f"Qair reaches {ratio:.2f} of saturation at Tair and PSurf, air holds at "
            "most 1: is it relative humidity, a mixing ratio in g kg-1, or is Tair or "
            "PSurf of another place?"
        )
    return np.broadcast_to(humidity, most.shape).copy()


def split_precipitation(
    precipitation: xr.DataArray,
    temperature: xr.DataArray,
    humidity: xr.DataArray,
    pressure: xr.DataArray,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Split precipitation into rain and snow by the wet-bulb temperature.

    Parameters
    ----------
    precipitation : DataArray
        In kg m-2 s-1.
    temperature, humidity, pressure : DataArray
        K, kg kg-1 and Pa.

    Returns
    -------
    DataArray, DataArray
        Rain and snow, kg m-2 s-1; see `tilth.physics.snowfall.snow_share`.
    """
    share = xr.apply_ufunc(
        _snow_share,
        temperature,
        humidity,
        pressure,
        dask="parallelized",
        output_dtypes=[float],
    )
    snow = share * precipitation
    return precipitation - snow, snow


def _snow_share(
    temperature: np.ndarray, humidity: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Return the share of snow in precipitation."""
    return np.asarray(snow_share(temperature, humidity, pressure))


def step_length(forcing: xr.Dataset) -> float:
    """Return the length of a step in s.

    Parameters
    ----------
    forcing : xarray.Dataset
        With the coordinate ``time``, of datetime64 or of cftime.

    Raises
    ------
    InputError
        If there are fewer than two times, or they are not evenly spaced.
    """
    time = forcing["time"].values
    if time.size < 2:
        raise InputError(
            f"forcing has {time.size} times: a run needs two at least to know its step"
        )
    require_increasing(time, "time")
    gaps = np.array([_seconds(gap) for gap in np.diff(time)])
    uneven = np.flatnonzero(np.abs(gaps - gaps[0]) > 1e-3)
    if uneven.size:
        i = int(uneven[0])
        raise InputError(
            f"the steps of time are uneven: {gaps[0]:g} s at first, {gaps[i]:g} s from "
            f"{time[i]} on; reindex the forcing to one step and fill the gaps"
        )
    return float(gaps[0])


def _seconds(gap: Any) -> float:
    """Return a time difference in seconds."""
    if isinstance(gap, np.timedelta64):
        return float(gap / np.timedelta64(1, "s"))
    return float(gap.total_seconds())


def season(time: xr.DataArray) -> np.ndarray:
    """Return the weights of the middles of the months at the given times.

    Parameters
    ----------
    time : DataArray
        Of datetime64 or of any calendar of cftime.

    Returns
    -------
    array (time, 12)
        Two neighbouring months have weight; rows sum to one.
    """
    clock = time.dt
    hours = clock.hour.values + clock.minute.values / 60.0
    part = (clock.day.values - 1.0 + hours / 24.0) / clock.days_in_month.values
    position = clock.month.values - 1.0 + part - 0.5
    lower = np.floor(position).astype(int)
    weight = position - lower
    result = np.zeros((time.size, 12))
    rows = np.arange(time.size)
    result[rows, lower % 12] = 1.0 - weight
    result[rows, (lower + 1) % 12] += weight
    return result


def sun_cosine(
    time: xr.DataArray, step: float, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
    """Return the mean zenith cosine while the sun is up.

    Parameters
    ----------
    time : DataArray
        Beginnings of the steps, UTC. Dates of other calendars are moved to the same
        part of a Gregorian year.
    step : float
        In s.
    latitude, longitude : array (n,)
        In degrees.

    Returns
    -------
    array (time, n)
        Zero where the sun stays down.
    """
    starts = gregorian_times(time)
    mean = solar.mean_cosine_zenith(starts, step, latitude, longitude)
    return mean.sunlit


def end_time(forcing: xr.Dataset) -> Any:
    """Return the end of the last step of a forcing.

    Parameters
    ----------
    forcing : xarray.Dataset
        With the coordinate ``time``.

    Returns
    -------
    datetime64 or cftime.datetime
        Last time plus one step.
    """
    time = forcing["time"].values
    return time[-1] + (time[1] - time[0])
