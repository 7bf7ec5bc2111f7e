"""Basins of CAMELS-US: daily weather in the emulator's units, discharge, attributes.

The data set has traps, met here as follows. The NLDAS and Maurer weather holds the
mean temperature of the day under both Tmax and Tmin: such days are flagged, and rain
and snow are told apart by the mean. Three areas are given, one on the third line of
the weather and two in the attributes (GAGES-II and the geospatial fabric), up to 9
percent apart: all are kept, and the first is the basin's, because in square miles it
is the rounded number that USGS publishes for the gauge. Discharge is in cubic feet per
second, -999 where missing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.constants import STANDARD_ATMOSPHERE, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.physics import moist_air
from tilth.rivers.readers.usgs import (
    day_labels,
    fill_days,
    read_usgs_daily,
    text_lines,
)

#: Weather products of the data set.
PRODUCTS = ("daymet", "nldas", "maurer")

#: Air temperature at which half the precipitation falls as snow, degC, on average
#: over the northern hemisphere. Jennings et al. (2018), Nat. Commun. 9, 1148.
SNOW_TEMPERATURE = 1.0

#: Least range of a day over which rain turns to snow, K: where only a mean is given,
#: the change would else be a step.
_LEAST_RANGE = 2.0

#: Columns of the weather after the date, lower case, without units.
_COLUMNS = ("dayl", "prcp", "srad", "swe", "tmax", "tmin", "vp")
_UNITS = {
    "dayl": "s", "prcp": "mm/day", "srad": "w/m2", "swe": "mm", "tmax": "c",
    "tmin": "c", "vp": "pa",
}  # fmt: skip

#: Attribute -> name here, units here, factor.
_SCALARS = {
    "gauge_lat": ("lat", "degrees_north", 1.0),
    "gauge_lon": ("lon", "degrees_east", 1.0),
    "elev_mean": ("mean_elevation", "m", 1.0),
    "slope_mean": ("mean_slope", "m m-1", 1e-3),
    "area_gages2": ("area_gages", "m2", 1e6),
    "area_geospa_fabric": ("area_fabric", "m2", 1e6),
}


class _Weather(NamedTuple):
    """A file of weather: its three first lines, days and columns."""

    latitude: float
    elevation: float
    area: float
    time: np.ndarray
    columns: dict[str, np.ndarray]


def read_camels_basin(
    folder: str | os.PathLike[str], gauge: str, *, weather: str = "daymet"
) -> xr.Dataset:
    r"""Read weather, discharge and the main attributes of a CAMELS-US basin.

    Precipitation falls as snow in the share of the day that is colder than 1 degC,
    if temperature runs evenly from its minimum to its maximum. Pressure is that of
    the standard atmosphere at the height on the weather's second line, humidity
    follows from it and the vapour pressure.

    Parameters
    ----------
    folder : path
        Of the data set, or of files of it in any folder below: the weather
        (``01022500_daymet.txt`` or ``01022500_lump_cida_forcing_leap.txt``, also
        ``.gz``), the discharge (``01022500_usgs_q_cfs.txt`` or
        ``01022500_streamflow_qc.txt``) and ``attr_topo.txt`` or ``camels_topo.txt``.
    gauge : str
        Number of the gauge, with its leading zeros.
    weather : {"daymet", "nldas", "maurer"}
        Which of the products.

    Returns
    -------
    xarray.Dataset
        Along ``time`` (days of the weather): ``rain``, ``snowfall`` (mm day-1),
        ``temperature`` (K, mean of the two extremes), ``humidity`` (kg kg-1),
        ``pressure`` (Pa), ``shortwave`` (W m-2), ``temperature_flag`` (1 where there
        is only a mean temperature), ``discharge`` (m3 s-1) and ``discharge_flag``.
        Scalars: ``area`` (m2; that on the third line of the weather: 227.0, 44.1,
        165.0 and 321.0 square miles in four basins, which is how USGS gives the
        drainage area of a gauge), ``area_gages`` and ``area_fabric`` of the
        attributes, ``mean_slope``, ``mean_elevation`` and ``weather_elevation`` (m);
        coordinates ``gauge``, ``lat``, ``lon``.

    Raises
    ------
    InputError
        If a file is absent, cut off, of another kind or of another basin; days of
        weather are missing; or values cannot be weather.

    References
    ----------
    Newman et al. (2015), Hydrol. Earth Syst. Sci. 19, 209-223; Addor et al. (2017),
    Hydrol. Earth Syst. Sci. 21, 5293-5313. Pressure: standard atmosphere, ICAO (1993)
    Doc 7488.
    """
    if weather not in PRODUCTS:
        raise InputError(f"weather is one of {', '.join(PRODUCTS)}, got {weather!r}")
    source = _find_file(Path(folder), gauge, _WEATHER_NAMES[weather], "weather")
    flow = _find_file(Path(folder), gauge, ("usgs_q_cfs", "streamflow_qc"), "discharge")
    given = _read_weather(source)
    about = read_camels_attributes(folder, gauge, tables=("topo",))
    basin = _forcing(given)
    series = read_usgs_daily(flow, gauge=gauge)
    series = fill_days(series, given.time[0], given.time[-1])
    for name in ("discharge", "discharge_flag"):
        basin[name] = series[name]
    basin = basin.assign_coords(gauge=gauge)
    for name, (ours, units, factor) in _SCALARS.items():
        value = xr.DataArray(factor * float(about[name]), attrs={"units": units})
        if ours in ("lat", "lon"):
            basin = basin.assign_coords({ours: value})
        else:
            basin[ours] = value
    basin["area"] = xr.DataArray(
        given.area,
        attrs={"units": "m2", "comment": "third line of the weather: USGS's own"},
    )
    basin["weather_elevation"] = xr.DataArray(given.elevation, attrs={"units": "m"})
    if abs(given.latitude - float(basin["lat"])) > 1.0:
        raise InputError(
            f"{source} is of latitude {given.latitude:g}, the gauge {gauge} of "
            f"{float(basin['lat']):g}: the file is of another basin"
        )
    basin.attrs = {
        "title": f"CAMELS-US basin {gauge}, weather of {weather}",
        "weather": weather,
        "source_sha256": series.attrs["source_sha256"],
    }
    return stamp(basin, f"read CAMELS-US {gauge} with {weather}", [source])


def read_camels_attributes(
    folder: str | os.PathLike[str],
    gauge: str,
    *,
    tables: tuple[str, ...] = ("topo", "clim", "hydro", "soil", "vege"),
) -> pd.Series:
    """Read the attributes of a CAMELS-US basin.

    Parameters
    ----------
    folder : path
        With ``attr_topo.txt`` or ``camels_topo.txt`` and so on, here or below.
    gauge : str
        Number of the gauge, with its leading zeros.
    tables : tuple of str
        Which tables.

    Returns
    -------
    pandas.Series
        By the names of the data set and in its units (area in km2, slope in m km-1).

    Raises
    ------
    InputError
        If a table is absent or does not hold the gauge.

    References
    ----------
    Addor et al. (2017), Hydrol. Earth Syst. Sci. 21, 5293-5313, tables 1 to 5.
    """
    parts = []
    for name in tables:
        wanted = (f"attr_{name}.txt", f"camels_{name}.txt")
        found = [path for file in wanted for path in sorted(Path(folder).rglob(file))]
        if not found:
            raise InputError(f"there is no {' or '.join(wanted)} in {folder}")
        table = pd.read_csv(found[0], sep=";", dtype={"gauge_id": str})
        if "gauge_id" not in table:
            raise InputError(
                f"{found[0]} has no column gauge_id: it is no table of CAMELS-US, or "
                "its separator is not ';'"
            )
        row = table[table["gauge_id"] == gauge]
        if len(row) != 1:
            known = ", ".join(table["gauge_id"].head(8))
            raise InputError(
                f"{found[0]} holds the gauge {gauge} {len(row)} times; it begins with "
                f"{known}: gauges are text with leading zeros, such as '01022500'"
            )
        parts.append(row.iloc[0].drop("gauge_id"))
    return pd.concat(parts).rename(gauge)


#: Product -> what follows the gauge in the names of its files.
_WEATHER_NAMES = {
    "daymet": ("daymet", "lump_cida_forcing_leap"),
    "nldas": ("nldas", "lump_nldas_forcing_leap"),
    "maurer": ("maurer", "lump_maurer_forcing_leap"),
}


def _find_file(folder: Path, gauge: str, names: tuple[str, ...], what: str) -> Path:
    """Return the one file of a gauge below a folder."""
    wanted = [f"{gauge}_{name}.txt{end}" for name in names for end in ("", ".gz")]
    found = [path for name in wanted for path in sorted(folder.rglob(name))]
    if not found:
        raise InputError(
            f"there is no {what} of the gauge {gauge} in {folder}: looked for "
            f"{', '.join(wanted)}"
        )
    if len(found) > 1:
        raise InputError(
            f"the {what} of the gauge {gauge} is there more than once: "
            f"{', '.join(map(str, found))}; keep one"
        )
    return found[0]


def _read_weather(path: Path) -> _Weather:
    """Read a file of weather: latitude, height, area, a header, then days."""
    lines = text_lines(path)
    place: list[float] = []
    for line, what in zip(
        lines, ("latitude", "elevation in m", "area in m2"), strict=False
    ):
        try:
            (value,) = (float(word) for word in line.split())
        except ValueError:
            raise InputError(
                f"{path}: the first lines of CAMELS-US weather are latitude, elevation "
                f"and area, but in place of the {what} stands {line[:60]!r}"
            ) from None
        place.append(value)
    if len(lines) < 5:
        raise InputError(f"{path}: there is not one day in it; fetch the file anew")
    names = lines[3].lower().split()[4:]
    expected = [f"{name}({_UNITS[name]})" for name in _COLUMNS]
    if names != expected:
        raise InputError(
            f"{path}: the columns are {' '.join(names)}, expected {' '.join(expected)}"
        )
    rows = [line.split() for line in lines[4:] if line.strip()]
    short = next((n for n, row in enumerate(rows, 5) if len(row) != 11), None)
    if short is not None:
        raise InputError(
            f"{path}, line {short}: {len(rows[short - 5])} of 11 columns; the file was "
            "cut off there: fetch it anew"
        )
    time = day_labels([row[:3] for row in rows], path)
    gaps = np.flatnonzero(np.diff(time) != np.timedelta64(1, "D"))
    if gaps.size:
        i = int(gaps[0])
        raise InputError(
            f"{path}: after {str(time[i])[:10]} comes {str(time[i + 1])[:10]}; "
            f"{gaps.size} such gaps: the emulator needs every day (the files that end "
            "in _leap.txt have the 29th of February)"
        )
    try:
        table = np.array([row[4:] for row in rows], float)
    except ValueError as error:
        raise InputError(f"{path}: a value is no number ({error})") from error
    columns = dict(zip(_COLUMNS, table.T, strict=True))
    _refuse_strange(columns, time, path)
    return _Weather(place[0], place[1], place[2], time, columns)


def _refuse_strange(
    columns: dict[str, np.ndarray], time: np.ndarray, path: Path
) -> None:
    """Raise if a column holds what no weather is."""
    limits = {"prcp": (0.0, 2000.0), "tmax": (-80.0, 60.0), "tmin": (-90.0, 50.0)}
    limits |= {"vp": (0.0, 1e4), "srad": (0.0, 1000.0)}
    for name, (low, high) in limits.items():
        wrong = np.flatnonzero(~((columns[name] >= low) & (columns[name] <= high)))
        if wrong.size:
            i = int(wrong[0])
            raise InputError(
                f"{path}: {name} is {columns[name][i]:g} {_UNITS[name]} on "
                f"{str(time[i])[:10]}, outside {low:g} to {high:g} ({wrong.size} days)"
            )
    wrong = np.flatnonzero(columns["tmin"] > columns["tmax"])
    if wrong.size:
        raise InputError(
            f"{path}: tmin is above tmax on {str(time[wrong[0]])[:10]} ({wrong.size} "
            "days): the two columns are exchanged, perhaps"
        )


def snow_share(coldest: np.ndarray, warmest: np.ndarray) -> np.ndarray:
    """Return the share of precipitation that falls as snow.

    Temperature is taken to run evenly from the day's minimum to its maximum, at
    least 2 K, and precipitation to be spread over the day.

    Parameters
    ----------
    coldest, warmest : array_like
        Of the day, degC.

    Returns
    -------
    numpy.ndarray
        From 0 to 1.

    References
    ----------
    Jennings et al. (2018), Nat. Commun. 9, 1148: 1.0 degC as the threshold.

    Examples
    --------
    >>> snow_share([-1.0, 1.0], [3.0, 1.0]).tolist()
    [0.5, 0.5]
    """
    low, high = np.asarray(coldest, float), np.asarray(warmest, float)
    half = np.maximum(high - low, _LEAST_RANGE) / 2.0
    return np.clip(
        0.5 + (SNOW_TEMPERATURE - (low + high) / 2.0) / (2.0 * half), 0.0, 1.0
    )


def _forcing(given: _Weather) -> xr.Dataset:
    """Return the weather in the emulator's units."""
    low, high = given.columns["tmin"], given.columns["tmax"]
    snow = snow_share(low, high)
    pressure = STANDARD_ATMOSPHERE * (1.0 - 2.25577e-5 * given.elevation) ** 5.2559
    water = given.columns["prcp"]
    fields = {
        "rain": (water * (1.0 - snow), "mm day-1", "rainfall"),
        "snowfall": (water * snow, "mm day-1", "snowfall"),
        "temperature": (ZERO_CELSIUS + (low + high) / 2.0, "K", "air temperature"),
        "humidity": (
            np.asarray(moist_air.specific_humidity(given.columns["vp"], pressure)),
            "kg kg-1",
            "specific humidity",
        ),
        "pressure": (np.full(low.shape, pressure), "Pa", "air pressure"),
        "shortwave": (
            given.columns["srad"], "W m-2", "sunlight on the ground in the day's hours"
        ),
    }  # fmt: skip
    basin = xr.Dataset(
        {
            name: (
                "time",
                values,
                {"units": units, "long_name": words, "cell_methods": "time: mean"},
            )
            for name, (values, units, words) in fields.items()
        },
        coords={"time": given.time},
    )
    alike = (low == high).astype(np.int8)
    basin["temperature_flag"] = (
        "time",
        alike,
        {
            "long_name": "what the temperature of the day is made of",
            "flag_values": np.array([0, 1], np.int8),
            "flag_meanings": "minimum_and_maximum mean_only",
        },
    )
    return basin
