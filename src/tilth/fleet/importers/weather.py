"""Exports of Ecowitt weather stations: two rows of headers, dashes for nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.fleet_columns import numbers
from tilth.chambers.readers.textfile import recognise
from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import stamp

#: Raised per value (``<variable>_flag``).
WEATHER_FLAGS = FlagTable(
    {
        "bad_value": "a cell could not be read as a number",
        "out_of_range": "beyond what the weather can be",
    }
)

#: Unit as printed -> unit, and the range of its values.
_UNITS = {
    "℃": ("degC", -60.0, 60.0),
    "%": ("%", 0.0, 100.0),
    "W/m²": ("W m-2", 0.0, 1_500.0),
    "mm/hr": ("mm h-1", 0.0, 500.0),
    "mm": ("mm", 0.0, 5_000.0),
    "BFT": ("1", 0.0, 12.0),
    "º": ("degree", 0.0, 360.0),
    "hPa": ("hPa", 850.0, 1_090.0),
    "V": ("V", 0.0, 10.0),
    "": ("1", 0.0, 20.0),
}


def read_ecowitt(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read an export of an Ecowitt weather station.

    Parameters
    ----------
    path : path
        ``.xlsx``; its first sheet that is not empty is read.

    Returns
    -------
    xarray.Dataset
        Dimension ``time`` (as published; the export does not state a time zone). A
        variable for each column, named by group and column
        (``outdoor_temperature_high``), with unit and ``_flag``. A dash is NaN.

    Raises
    ------
    InputError
        If it is no such export, or has a unit that is not known.
    """
    name = Path(path).name
    filled = []
    if recognise(path).name == "excel":
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
        filled = [sheet for sheet in sheets.values() if len(sheet) > 2]
    if not filled or str(filled[0].iloc[0, 0]).strip().lower() != "time":
        raise InputError(
            f"{name} is no export of an Ecowitt station: it should begin with 'Time' "
            "and have two rows of headers"
        )
    sheet = filled[0]
    groups = sheet.iloc[0].ffill()
    time = pd.to_datetime(sheet.iloc[2:, 0], errors="coerce")
    if time.isna().any():
        raise InputError(
            f"{name}: {sheet.iloc[2:, 0][time.isna()].iloc[0]!r} is no time"
        )
    data = xr.Dataset(coords={"time": ("time", time.to_numpy())})
    for column in range(1, sheet.shape[1]):
        header = str(sheet.iloc[1, column])
        found = re.fullmatch(r"(.*?)(?:\(([^()]*)\))?", header.strip())
        words, unit = (found[1], found[2] or "") if found else (header, "")
        if unit not in _UNITS:
            raise InputError(f"{name}: the unit {unit!r} of {header!r} is not known")
        units, low, high = _UNITS[unit]
        cells = sheet.iloc[2:, column].map(lambda c: None if c == "-" else c)
        cells = cells.astype(object).where(cells.notna(), None)
        values, bad = numbers(cells.to_numpy(object))
        target = _name(f"{groups.iloc[column]} {words}")
        data[target] = ("time", values, {"units": units, "long_name": header})
        with np.errstate(invalid="ignore"):
            off = (values < low) | (values > high)
        raised = {"bad_value": bad, "out_of_range": off}
        data[f"{target}_flag"] = (
            *("time", WEATHER_FLAGS.variable(raised, values.shape)),
            WEATHER_FLAGS.attrs(),
        )
    return stamp(data, f"read_ecowitt({name})", [path])


def _name(words: str) -> str:
    return re.sub(r"\W+", "_", words.strip().lower()).strip("_")
