"""Days of signal-to-noise ratios kept as Parquet files, which are read faster."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import whole_file
from tilth.core.optional import load
from tilth.gnss.reflectometry.snr_days import check_day

#: Under this name a file carries its attributes.
_KEY = b"tilth.snr_day"


def write_day(day: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Keep the table of a day; what is read again equals it to the last bit.

    Parameters
    ----------
    day : xarray.Dataset
        Of `tilth.gnss.reflectometry.snr_days.snr_day` or read from a file.
    path : path
        Where; its folder exists.

    Raises
    ------
    InputError
        If it is not the table of a day, or the folder does not exist.
    """
    arrow, parquet = load("pyarrow", "gnss"), load("pyarrow.parquet", "gnss")
    check_day(day)
    names = [str(name) for name in day.data_vars]
    about = {"day": day.attrs, "columns": {name: day[name].attrs for name in names}}
    kept = json.dumps(about, default=_packed).encode()
    table = arrow.table({name: day[name].values for name in names})
    table = table.replace_schema_metadata({_KEY: kept})
    with whole_file(path) as half:
        parquet.write_table(table, half, compression="zstd")


def read_day(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the table of a day that `write_day` kept.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    xarray.Dataset
        The table as it was.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or was not written by `write_day`.
    """
    arrow, parquet = load("pyarrow", "gnss"), load("pyarrow.parquet", "gnss")
    if not Path(path).exists():
        raise InputError(f"there is no {path}")
    try:
        table = parquet.read_table(path, use_threads=False)
    except (arrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is damaged or no Parquet file: {error}") from error
    metadata = table.schema.metadata or {}
    if _KEY not in metadata:
        raise InputError(
            f"{path} was not kept by write_day: it lacks station, date and units"
        )
    about = json.loads(metadata[_KEY], object_hook=_unpacked)
    columns = {
        name: ("observation", table[name].to_numpy(), about["columns"][name])
        for name in table.column_names
    }
    return xr.Dataset(columns, attrs=about["day"])


def _packed(value: Any) -> Any:
    """Return an array or a number of NumPy as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return value.item()
    raise InputError(
        f"an attribute of the day is of the type {type(value).__name__}: text, numbers "
        "and arrays can be kept"
    )


def _unpacked(found: dict[str, Any]) -> Any:
    """Return the array that `_packed` made this of, or the mapping that it is."""
    if set(found) == {"array", "dtype"}:
        return np.array(found["array"], found["dtype"])
    return found
