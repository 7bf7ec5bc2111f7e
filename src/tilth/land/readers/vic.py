"""VIC's binary daily forcing: packed 16-bit integers, one file per grid cell."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp


@dataclass(frozen=True)
class Field:
    """A field of a record, as VIC's global parameter file lists it.

    Parameters
    ----------
    name : str
        Ours.
    units : str
        Of the unpacked values.
    multiplier : float
        The packed number is the value times this.
    signed : bool
        Whether the packed number has a sign.
    """

    name: str
    units: str
    multiplier: float
    signed: bool = True


#: ``FORCE_TYPE`` lines of the daily forcing that VIC's examples and Livneh et al.
#: (2013) come with: PREC UNSIGNED 40, TMAX SIGNED 100, TMIN SIGNED 100, WIND SIGNED
#: 100.
DAILY = (
    Field("precipitation", "mm day-1", 40.0, signed=False),
    Field("temperature_max", "degC", 100.0),
    Field("temperature_min", "degC", 100.0),
    Field("wind", "m s-1", 100.0),
)

_PLACE = re.compile(r"_(-?\d+\.\d+)_(-?\d+\.\d+)$")


def read_vic_forcing(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    start: str,
    *,
    fields: Sequence[Field] = DAILY,
    byte_order: str = "little",
) -> xr.Dataset:
    """Read VIC's binary daily forcing.

    Parameters
    ----------
    paths : path or sequence of path
        Files of one cell each; a name that ends in ``_LAT_LON`` tells where.
    start : str
        First day, such as ``"1961-01-01"``: the files do not tell it.
    fields : sequence of Field, optional
        What a record holds, in its order.
    byte_order : {"little", "big"}
        Of the integers (``FORCE_ENDIAN``).

    Returns
    -------
    xarray.Dataset
        One variable per field, (time, cell), with ``lat`` and ``lon`` (cell) where
        the names tell them.

    Raises
    ------
    InputError
        If a file is no whole number of records, the files differ in length, or values
        cannot be: then the byte order or the order of the fields is another.
    """
    if byte_order not in ("little", "big"):
        raise InputError(f"byte_order is 'little' or 'big', got {byte_order!r}")
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    files = [Path(path) for path in given]
    if not files:
        raise InputError("no file is given")
    order = "<" if byte_order == "little" else ">"
    record = np.dtype(
        [(f.name, f"{order}{'i2' if f.signed else 'u2'}") for f in fields]
    )
    tables = [_records(file, record) for file in files]
    lengths = {file.name: len(table) for file, table in zip(files, tables, strict=True)}
    if len(set(lengths.values())) > 1:
        raise InputError(f"the files differ in their number of days: {lengths}")
    days = pd.date_range(start, periods=len(tables[0]), freq="D").as_unit("ns")
    data = xr.Dataset(coords={"time": days, "cell": np.arange(len(files))})
    for field in fields:
        packed = np.stack([table[field.name] for table in tables], axis=-1)
        values = packed.astype(float) / field.multiplier
        data[field.name] = (("time", "cell"), values, {"units": field.units})
    _check(data, byte_order)
    places = [_PLACE.search(file.name) for file in files]
    if all(places):
        where = np.array([[float(p[1]), float(p[2])] for p in places if p])
        data = data.assign_coords(
            lat=("cell", where[:, 0], {"units": "degrees_north"}),
            lon=("cell", where[:, 1], {"units": "degrees_east"}),
        )
    return stamp(data, f"read as VIC binary forcing from {start}", files)


def _records(file: Path, record: np.dtype) -> np.ndarray:
    """Return the records of a file."""
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    size = file.stat().st_size
    if not size or size % record.itemsize:
        raise InputError(
            f"{file.name} has {size} bytes, no whole number of records of "
            f"{record.itemsize}: is it cut off, or does a record hold other fields?"
        )
    return np.fromfile(file, record)


def _check(data: xr.Dataset, byte_order: str) -> None:
    """Refuse values that tell of another byte order or other fields."""
    other = "big" if byte_order == "little" else "little"
    hint = f"try byte_order={other!r}, or check the order of the fields"
    if {"temperature_max", "temperature_min"} <= set(data.data_vars):
        below = data["temperature_max"] < data["temperature_min"]
        if float(below.mean()) > 0.01:
            raise InputError(
                f"the maximum of the day is below its minimum on "
                f"{100 * float(below.mean()):.0f} % of the days: {hint}"
            )
    limits = {"temperature_max": (-95.0, 65.0), "temperature_min": (-95.0, 65.0)}
    limits |= {"precipitation": (0.0, 2000.0), "wind": (0.0, 120.0)}
    for name, (low, high) in limits.items():
        if name in data:
            least, most = float(data[name].min()), float(data[name].max())
            if least < low or most > high:
                raise InputError(
                    f"{name} runs from {least:g} to {most:g} {data[name].units}: {hint}"
                )
