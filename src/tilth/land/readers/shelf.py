"""The files of a model run, opened: NetCDF and Zarr, one or many, found by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

#: Names of the time dimension in the wild.
_TIMES = ("time", "Time", "Times", "valid_time", "date")


class Shelf:
    """Datasets that share no names, each along its own time axis.

    Parameters
    ----------
    parts : sequence of xarray.Dataset
        The first that holds a variable is asked for it.
    """

    def __init__(self, parts: Sequence[xr.Dataset]) -> None:
        self.parts = parts

    def find(self, name: str) -> xr.DataArray | None:
        """Return a variable by its name, ``alma_name`` or ``standard_name``."""
        for part in self.parts:
            if name in part.data_vars:
                return part[name]
        for attribute in ("alma_name", "standard_name"):
            for part in self.parts:
                for variable in part.data_vars.values():
                    if variable.attrs.get(attribute) == name:
                        return variable
        return None

    @property
    def names(self) -> list[str]:
        """All variables along time."""
        return [str(name) for part in self.parts for name in part.data_vars]


#: A file, a store, or what was opened or made before.
Source = str | os.PathLike[str] | xr.Dataset


def listed(sources: Source | Sequence[Source]) -> list[Source]:
    """Return one source or several as a list."""
    if isinstance(sources, (str, os.PathLike, xr.Dataset)):
        return [sources]
    return list(sources)


def open_shelf(
    sources: Source | Sequence[Source],
    chunks: Mapping[str, int] | None = None,
) -> Shelf:
    """Open the files of a run.

    Files with the same variables are put one after the other along time; files with
    others (output and forcing, or one file per variable) stand side by side.

    Parameters
    ----------
    sources : path, Dataset or sequence of them
        NetCDF files, Zarr stores, datasets.
    chunks : mapping of str to int, optional
        Blocks for Dask; by default values are read when needed, without Dask.

    Returns
    -------
    Shelf
        Of everything that has a time.

    Raises
    ------
    InputError
        If there is no file, one cannot be read, or nothing in it has a time.
    """
    given = listed(sources)
    if not given:
        raise InputError("no file is given")
    groups: dict[tuple, list[xr.Dataset]] = {}
    for source in given:
        if isinstance(source, xr.Dataset):
            part = _timed(source, "the dataset")
        else:
            part = _timed(_open(Path(source), chunks), Path(source).name)
        key = (tuple(sorted(map(str, part.data_vars))), _step(part))
        groups.setdefault(key, []).append(part)
    return Shelf([_in_order(parts) for parts in groups.values()])


def _open(file: Path, chunks: Mapping[str, int] | None) -> xr.Dataset:
    """Open one file or store."""
    if not file.exists():
        raise InputError(f"there is no file {file}")
    try:
        if file.is_dir():
            return xr.open_zarr(file, chunks=chunks)  # type: ignore[arg-type]
        return xr.open_dataset(file, chunks=chunks)
    except (ValueError, OSError, KeyError, FileNotFoundError) as error:
        raise InputError(
            f"{file.name} cannot be read as NetCDF or Zarr: {error}"
        ) from error


def _timed(data: xr.Dataset, name: str) -> xr.Dataset:
    """Return what varies along time, its time axis named ``time`` and decoded."""
    found = next((t for t in _TIMES if t in data.dims), None)
    if found is None:
        raise InputError(
            f"{name} has no time dimension ({', '.join(_TIMES)}); it has "
            f"{', '.join(map(str, data.dims))}"
        )
    data = _with_time(data, found, name)
    if found != "time":
        data = data.drop_vars("time", errors="ignore").rename({found: "time"})
    if not _is_time(data["time"]):
        raise InputError(
            f"the time axis of {name} holds {data['time'].dtype}, no dates: its units "
            "should read like 'days since 1961-01-01'"
        )
    keep = [v for v in data.data_vars if "time" in data[v].dims]
    bounds = {data["time"].attrs.get("bounds"), data["time"].encoding.get("bounds")}
    values = [v for v in keep if v not in bounds and data[v].dtype.kind in "fiu"]
    if not values:
        raise InputError(f"{name} holds no variable along time")
    return data[values]


def _with_time(data: xr.Dataset, dim: str, name: str) -> xr.Dataset:
    """Return the dataset with dates along its time dimension."""
    if dim in data.coords and _is_time(data[dim]):
        return data
    # WRF and HRLDAS: "1998-01-06_03:00:00" as text beside the dimension.
    for other in ("Times", "XTIME", "time", "valid_time"):
        if other not in data.variables or data[other].dims[:1] != (dim,):
            continue
        stamps = data[other]
        if _is_time(stamps):
            return data.assign_coords({dim: stamps.values})
        if stamps.dtype.kind in "SUO":
            text = [
                (s.decode() if isinstance(s, bytes) else str(s)).replace("_", "T", 1)
                for s in stamps.values
            ]
            dates = np.array(text, "datetime64[ns]")
            return data.drop_vars(other).assign_coords({dim: dates})
    if dim not in data.coords:
        raise InputError(f"{name} has no dates along its dimension {dim}")
    return data


def _is_time(values: xr.DataArray) -> bool:
    """Tell whether an array holds dates of any calendar."""
    if values.dtype.kind == "M":
        return True
    return values.dtype == object and hasattr(values.values.flat[0], "calendar")


def _step(part: xr.Dataset) -> Any:
    """Return the first step of the time axis: daily and hourly files do not mix."""
    time = part["time"].values
    return None if time.size < 2 else time[1] - time[0]


def _in_order(parts: list[xr.Dataset]) -> xr.Dataset:
    """Put files one after the other along time."""
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: part["time"].values[0])
    return xr.concat(
        parts,
        dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )
