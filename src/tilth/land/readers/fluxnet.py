"""Flux towers: half-hourly weather and fluxes, and daily weather of a reanalysis.

Times are local standard time and ends of intervals, as FLUXNET has them; they become
beginnings in UTC.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.constants import STEFAN_BOLTZMANN
from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.land.readers.records import alma, table_times
from tilth.physics import moist_air, solar

#: Site -> latitude, longitude (degrees) and hours of local standard time before UTC;
#: AmeriFlux site pages.
SITES: dict[str, tuple[float, float, float]] = {
    "US-Me2": (44.4526, -121.5589, 8.0),
    "US-Bi1": (38.0992, -121.4993, 8.0),
}

#: Total solar irradiance, W m-2 (Kopp & Lean 2011).
_SOLAR_CONSTANT = 1361.0

#: Clear-sky share of the sun's light above the air, and its gain per metre of height
#: (Allen et al. 1998, FAO 56, eq. 37).
_CLEAR, _CLEAR_BY_HEIGHT = 0.75, 2e-5

#: Scale height of pressure, m, to tell the height of a site from its pressure.
_SCALE_HEIGHT = 8400.0


def read_tower(
    forcing: str | os.PathLike[str],
    fluxes: str | os.PathLike[str],
    site: str,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Read half-hourly weather of a tower as forcing, and its fluxes.

    Parameters
    ----------
    forcing : path
        CSV with TIMESTAMP_END, TA_F (degC), SW_IN_F (W m-2), eair and PA_F (kPa), WS_F
        (m s-1), CO2_F_MDS (ppm) and LAI; optionally LW_IN_F (W m-2).
    fluxes : path
        CSV with TIMESTAMP_END, P_F (mm per half hour), LE_F_MDS, H_F_MDS, NETRAD and
        G_F_MDS (W m-2).
    site : str
        A key of `SITES`.

    Returns
    -------
    forcing : xarray.Dataset
        ALMA variables; Rainf is all precipitation. Without LW_IN_F the longwave is
        that of `longwave_down`. Humidity above saturation is set to it, and counted.
    observed : xarray.Dataset
        Qle, Qh, Qg and Rnet in W m-2, LAI, over the same times.

    Raises
    ------
    InputError
        If the site is unknown, columns are absent, or times do not match.
    """
    latitude, longitude, hours = _place(site)
    weather, tower = (pd.read_csv(path) for path in (forcing, fluxes))
    _require(
        weather,
        (
            "TIMESTAMP_END",
            "TA_F",
            "SW_IN_F",
            "eair",
            "PA_F",
            "WS_F",
            "CO2_F_MDS",
            "LAI",
        ),
        forcing,
    )
    _require(
        tower,
        ("TIMESTAMP_END", "P_F", "LE_F_MDS", "H_F_MDS", "NETRAD", "G_F_MDS"),
        fluxes,
    )
    if list(weather["TIMESTAMP_END"]) != list(tower["TIMESTAMP_END"]):
        raise InputError(
            f"{os.fspath(forcing)} and {os.fspath(fluxes)} have different times: give "
            "the two tables of one period"
        )
    ends = pd.to_datetime(weather["TIMESTAMP_END"]).to_numpy()
    step = np.timedelta64(30, "m")
    starts = table_times(ends, step, os.fspath(forcing))
    starts = starts + np.timedelta64(round(60 * hours), "m")
    kelvin = weather["TA_F"].to_numpy() + 273.15
    pascal = 1e3 * weather["PA_F"].to_numpy()
    saturated = np.asarray(moist_air.saturation_vapour_pressure(kelvin))
    vapour = 1e3 * weather["eair"].to_numpy()
    wet = int(np.sum(vapour > saturated))
    vapour = np.minimum(vapour, saturated)
    shortwave = np.maximum(weather["SW_IN_F"].to_numpy(), 0.0)
    if "LW_IN_F" in weather:
        longwave = weather["LW_IN_F"].to_numpy()
    else:
        place = (latitude, longitude)
        longwave = longwave_down(
            starts, 1800.0, place, kelvin, vapour, pascal, shortwave
        )
    columns = {
        "Rainf": tower["P_F"].to_numpy() / 1800.0,
        "Tair": kelvin,
        "Qair": np.asarray(moist_air.specific_humidity(vapour, pascal)),
        "PSurf": pascal,
        "SWdown": shortwave,
        "LWdown": longwave,
        "Wind": weather["WS_F"].to_numpy(),
        "CO2air": 1e-6 * weather["CO2_F_MDS"].to_numpy(),
    }
    driving = alma(starts, columns, latitude=latitude, longitude=longitude)
    driving["Qair"].attrs["comment"] = f"{wet} values above saturation were set to it"
    observed = xr.Dataset(
        {
            name: ("time", tower[column].to_numpy(float), {"units": "W m-2"})
            for name, column in (
                ("Qle", "LE_F_MDS"),
                ("Qh", "H_F_MDS"),
                ("Qg", "G_F_MDS"),
                ("Rnet", "NETRAD"),
            )
        },
        coords=driving.coords,
    )
    observed["LAI"] = ("time", weather["LAI"].to_numpy(float), {"units": "1"})
    note = f"read {site}"
    return stamp(driving, note, [forcing, fluxes]), stamp(observed, note, [fluxes])


def read_daily_reanalysis(path: str | os.PathLike[str], site: str) -> xr.Dataset:
    """Read daily weather of ERA5 at a tower, as FLUXNET gives it.

    Parameters
    ----------
    path : path
        CSV with TIMESTAMP (YYYYMMDD), TA_ERA (degC), SW_IN_ERA, LW_IN_ERA (W m-2),
        VPD_ERA (hPa), PA_ERA (kPa), P_ERA (mm per day) and WS_ERA (m s-1).
    site : str
        A key of `SITES`.

    Returns
    -------
    xarray.Dataset
        ALMA variables; a time is the local midnight that the day begins with, given
        in UTC. Rainf is all precipitation.

    Raises
    ------
    InputError
        If the site is unknown, columns are absent, or days are missing.
    """
    latitude, longitude, hours = _place(site)
    table = pd.read_csv(path)
    names = ("TIMESTAMP", "TA_ERA", "SW_IN_ERA", "LW_IN_ERA", "VPD_ERA", "PA_ERA")
    _require(table, (*names, "P_ERA", "WS_ERA"), path)
    days = pd.to_datetime(table["TIMESTAMP"].astype(str), format="%Y%m%d").to_numpy()
    day = np.timedelta64(1, "D")
    starts = table_times(days + day, day, os.fspath(path))
    kelvin = table["TA_ERA"].to_numpy() + 273.15
    pascal = 1e3 * table["PA_ERA"].to_numpy()
    saturated = np.asarray(moist_air.saturation_vapour_pressure(kelvin))
    vapour = np.maximum(saturated - 100.0 * table["VPD_ERA"].to_numpy(), 1.0)
    result = alma(
        starts + np.timedelta64(round(60 * hours), "m"),
        {
            "Rainf": table["P_ERA"].to_numpy() / 86400.0,
            "Tair": kelvin,
            "Qair": np.asarray(moist_air.specific_humidity(vapour, pascal)),
            "PSurf": pascal,
            "SWdown": table["SW_IN_ERA"].to_numpy(),
            "LWdown": table["LW_IN_ERA"].to_numpy(),
            "Wind": table["WS_ERA"].to_numpy(),
        },
        latitude=latitude,
        longitude=longitude,
    )
    return stamp(result, f"read daily ERA5 at {site}", [path])


def longwave_down(
    starts: np.ndarray,
    step: float,
    place: tuple[float, float],
    temperature: np.ndarray,
    vapour_pressure: np.ndarray,
    pressure: np.ndarray,
    shortwave: np.ndarray,
) -> np.ndarray:
    r"""Estimate longwave radiation from the sky where it was not measured.

    .. math:: L = [c + (1 - c)\,\varepsilon_0]\,\sigma T^4, \quad
        \varepsilon_0 = 1 - (1 + w) e^{-\sqrt{1.2 + 3 w}}, \quad w = 46.5\,e / T ,

    e in hPa. The cloud cover c is one minus the sunlight of the 24 hours around over
    that of a clear sky.

    Parameters
    ----------
    starts : array of datetime64 (time,)
        Beginnings of the steps, UTC.
    step : float
        In s; divides a day.
    place : tuple of float
        Latitude and longitude, degrees.
    temperature, vapour_pressure, pressure, shortwave : array (time,)
        K, Pa, Pa and W m-2.

    Returns
    -------
    array (time,)
        In W m-2.

    References
    ----------
    Prata (1996), Q. J. R. Meteorol. Soc. 122, 1127-1151; Crawford & Duchon (1999), J.
    Appl. Meteorol. 38, 474-480 (clouds).
    """
    light = solar.mean_cosine_zenith(starts, step, *place).step[:, 0]
    height = -_SCALE_HEIGHT * np.log(np.mean(pressure) / 101325.0)
    clear = _SOLAR_CONSTANT * (_CLEAR + _CLEAR_BY_HEIGHT * height) * light
    width = round(86400.0 / step) + 1
    sums = [
        pd.Series(values).rolling(width, center=True, min_periods=1).sum().to_numpy()
        for values in (shortwave, clear)
    ]
    cloud = 1.0 - np.clip(sums[0] / np.maximum(sums[1], 1e-9), 0.0, 1.0)
    water = 46.5 * 0.01 * vapour_pressure / temperature
    empty = 1.0 - (1.0 + water) * np.exp(-np.sqrt(1.2 + 3.0 * water))
    return (cloud + (1.0 - cloud) * empty) * STEFAN_BOLTZMANN * temperature**4


def monthly_leaf_area(observed: xr.Dataset) -> np.ndarray:
    """Return the mean leaf area index of each month, for `parameter_dataset`.

    Parameters
    ----------
    observed : xarray.Dataset
        With ``LAI`` over at least a year.

    Returns
    -------
    array (12,)
        January first.
    """
    means = observed["LAI"].groupby("time.month").mean()
    if means.sizes["month"] != 12:
        raise InputError(
            f"LAI covers {means.sizes['month']} months of the year: a climatology "
            "needs all twelve"
        )
    return means.values


def _place(site: str) -> tuple[float, float, float]:
    try:
        return SITES[site]
    except KeyError:
        raise InputError(f"no site {site!r}; known: {', '.join(SITES)}") from None


def _require(table: Any, columns: Mapping | tuple, path: Any) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"{os.fspath(path)} lacks the columns {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}"
        )
