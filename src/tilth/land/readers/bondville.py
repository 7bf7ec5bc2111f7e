"""Forcing of Bondville, Illinois: the half-hourly table of the Noah-MP example."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.land.readers.records import alma, table_times
from tilth.physics import moist_air

_COLUMNS = (
    *("year", "month", "day", "hour", "minute"),
    *("wind", "temperature", "relative_humidity", "pressure"),
    *("shortwave", "longwave", "precipitation"),
)

#: An inch of rain in half an hour, kg m-2 s-1.
_INCH_PER_HALF_HOUR = 25.4 / 1800.0

#: CO2 of 1998, NOAA global mean, mol mol-1.
_CO2 = 366e-6


def read_bondville(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the single-point forcing of HRLDAS as forcing of the land model.

    The table has means over the half hour before its time, in UTC, with units in its
    header: m s-1, degC, %, mb, W m-2 and inches per half hour. Humidity is relative
    to saturation over water.

    Parameters
    ----------
    path : path
        ``bondville.dat``, plain or compressed with gzip.

    Returns
    -------
    xarray.Dataset
        ALMA variables over ``time`` (beginning of the half hour); ``lat``, ``lon``.

    Raises
    ------
    InputError
        If the file is not such a table.
    """
    path = Path(path)
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    lines = raw.decode("ascii").splitlines()
    header: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("!")[0].partition("=")
        if equals:
            header[name.strip()] = value.strip()
    body = [line for line in lines if line[:4].isdigit()]
    if not body or "latitude" not in header:
        raise InputError(
            f"{path.name} is not a single-point forcing of HRLDAS: it needs a header "
            "with the latitude and rows that begin with the year"
        )
    table = pd.read_csv(
        io.StringIO("\n".join(body)), sep=r"\s+", header=None, names=_COLUMNS
    )
    ends = pd.to_datetime(table[list(_COLUMNS[:5])]).to_numpy()
    kelvin = table["temperature"].to_numpy() + 273.15
    pascal = 100.0 * table["pressure"].to_numpy()
    vapour = np.asarray(moist_air.saturation_vapour_pressure(kelvin))
    vapour = 0.01 * table["relative_humidity"].to_numpy() * vapour
    result = alma(
        table_times(ends, np.timedelta64(30, "m"), path.name),
        {
            "Rainf": _INCH_PER_HALF_HOUR * table["precipitation"].to_numpy(),
            "Tair": kelvin,
            "Qair": np.asarray(moist_air.specific_humidity(vapour, pascal)),
            "PSurf": pascal,
            "SWdown": table["shortwave"].to_numpy(),
            "LWdown": table["longwave"].to_numpy(),
            "Wind": table["wind"].to_numpy(),
            "CO2air": np.full(len(table), _CO2),
        },
        latitude=float(header["latitude"]),
        longitude=float(header["longitude"]),
    )
    return stamp(result, "read the forcing of Bondville", [path])
