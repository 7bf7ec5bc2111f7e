"""Fields of the weather in files: CF NetCDF or Zarr, opened lazily, written whole."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import write_netcdf
from tilth.core.model import stamp
from tilth.forcing.variables import as_variable, find_variable, identify

#: First bytes of a NetCDF file of the classic kinds; others are HDF5.
_CLASSIC = b"CDF"

#: Suffix of a Zarr store.
_ZARR = ".zarr"

_Path = str | os.PathLike[str]


def open_forcing(
    paths: _Path | Iterable[_Path], *, chunks: Mapping[str, int] | None = None
) -> xr.Dataset:
    """Open fields lazily: one file, or many that follow each other in time.

    Parameters
    ----------
    paths : path or iterable of path
        NetCDF files and Zarr stores, in any order.
    chunks : mapping of str to int, optional
        Chunks of Dask arrays; ``{}`` takes those of the files. Without it, values are
        read when they are used.

    Returns
    -------
    xarray.Dataset
        Times of standard calendars as datetime64, of others as cftime. Attribute
        ``calendar`` of ``time.encoding`` says which.

    Raises
    ------
    InputError
        If a file is absent or damaged, or several differ in calendar or overlap.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not listed:
        raise InputError("no file to open")
    parts = [_open(Path(path), chunks) for path in listed]
    if len(parts) == 1:
        return parts[0]
    calendars = {
        _calendar(part, path) for part, path in zip(parts, listed, strict=True)
    }
    if len(calendars) > 1:
        raise InputError(
            f"the files have the calendars {', '.join(sorted(calendars))}: convert "
            "them to one with xarray's convert_calendar, saying what becomes of the "
            "days only one of them has"
        )
    parts.sort(key=lambda part: part["time"].values[0])
    for before, after in itertools.pairwise(parts):
        if not before["time"].values[-1] < after["time"].values[0]:
            raise InputError(
                f"two files overlap: one ends at {before['time'].values[-1]}, the next "
                f"begins at {after['time'].values[0]}; is one given twice?"
            )
    return xr.concat(parts, "time", data_vars="minimal", join="exact")


def open_variables(
    paths: Iterable[_Path], *, chunks: Mapping[str, int] | None = None
) -> xr.Dataset:
    """Open files of one or more variables each, and put them together.

    Files of the same variables follow each other in time; those of others lie side by
    side, on the days they share.

    Parameters
    ----------
    paths : iterable of path
        NetCDF files and Zarr stores of daily values, in any order.
    chunks : mapping of str to int, optional
        As in `open_forcing`.

    Returns
    -------
    xarray.Dataset
        Each day stamped with its midnight (see `days_of`).

    Raises
    ------
    InputError
        As `open_forcing`; also if places differ or no day is shared.
    """
    groups: dict[tuple[str, ...], list[_Path]] = {}
    for path in paths:
        with _open(Path(path), None) as part:
            _calendar(part, path)
            names = tuple(sorted(map(str, part.data_vars)))
        groups.setdefault(names, []).append(path)
    parts = [days_of(open_forcing(group, chunks=chunks)) for group in groups.values()]
    if not parts:
        raise InputError("no file to open")
    shared = [part.get_index("time") for part in parts]
    days = shared[0]
    for index in shared[1:]:
        days = days.intersection(index)
    if not len(days):
        raise InputError(
            "the files of different variables share no day: do they have the same "
            "calendar and years?"
        )
    try:
        return xr.merge(
            [part.sel(time=days) for part in parts], join="exact", compat="no_conflicts"
        )
    except (ValueError, xr.MergeError) as error:
        raise InputError(
            f"the files of different variables do not fit together: {error}"
        ) from error


def _open(path: Path, chunks: Mapping[str, int] | None) -> xr.Dataset:
    """Open one file or store."""
    if not path.exists():
        raise InputError(f"there is no {path}")
    options: dict[str, Any] = {}
    if path.is_dir():
        engine, options = "zarr", {"consolidated": False}
    else:
        with path.open("rb") as stream:
            engine = "scipy" if stream.read(3) == _CLASSIC else "h5netcdf"
    try:
        return xr.open_dataset(path, engine=engine, chunks=chunks, **options)
    except (LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot read {path}: it is damaged, was not copied to its end, or is "
            f"neither NetCDF nor Zarr ({reason})"
        ) from error


def _calendar(data: xr.Dataset, path: _Path) -> str:
    """Return the calendar of a part."""
    if "time" not in data.dims or not data.sizes["time"]:
        raise InputError(f"{path} has no times: files are put together along time")
    return str(data["time"].dt.calendar)


def pick(
    data: xr.Dataset, name: str | None = None, *, units: str | None = None
) -> xr.DataArray:
    """Return one variable of the forcing out of a file, checked and in CMIP's units.

    Parameters
    ----------
    data : xarray.Dataset
        What `open_forcing` returned.
    name : str, optional
        As the file has it, or as `tilth.forcing.variables` knows it; by default the
        only variable of the forcing in the file.
    units : str, optional
        In place of those the file states, or where it states none.

    Returns
    -------
    xarray.DataArray
        By `tilth.forcing.variables.as_variable`.

    Raises
    ------
    InputError
        If it is not there, or not the only one and not named.
    """
    if name is not None and name in data.data_vars:
        return as_variable(data[name], units=units)
    wanted = None if name is None else find_variable(name).name
    fitting = []
    for array in data.data_vars.values():
        try:
            known = identify(array).name
        except InputError:
            continue
        if wanted in (None, known):
            fitting.append((array, known))
    if len(fitting) != 1:
        raise InputError(
            f"{len(fitting)} variables fit {name or 'a call without a name'}; the "
            f"file has {', '.join(map(str, data.data_vars)) or 'none'}: name the one "
            "meant"
        )
    return as_variable(*fitting[0], units=units)


def days_of(data: xr.DataArray | xr.Dataset) -> Any:
    """Return daily data with the midnight at which each day begins as its time.

    Models stamp days at noon, observers at midnight; joined by stamps as they are, not
    one day would be found.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        Daily, in any calendar.

    Returns
    -------
    same type as `data`
        The same values; only the stamps differ.

    Raises
    ------
    InputError
        If two stamps are of one day.
    """
    days = data["time"].dt.floor("D")
    values = days.values
    twice = np.flatnonzero(values[1:] == values[:-1])
    if twice.size:
        raise InputError(
            f"two values of the day {values[int(twice[0])]}: the data are not daily; "
            "average them first"
        )
    return data.assign_coords(time=days.assign_attrs(data["time"].attrs))


def write_forcing(
    data: xr.Dataset | xr.DataArray,
    path: _Path,
    *,
    step: str,
    sources: Iterable[_Path] = (),
    split: Mapping[str, Any] | None = None,
) -> None:
    """Write fields as CF NetCDF or Zarr that appears when it is complete.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        With CF attributes; in memory or on Dask.
    path : path
        Ending in .zarr for a Zarr store; otherwise NetCDF. What was there stays as it
        was if writing fails.
    step : str
        What was done, for the file's ``history``.
    sources : iterable of path
        Files that were read; their checksums are noted. Zarr stores are named only.
    split : mapping of str to object, optional
        How data were split into training and application, such as ``{"training":
        "1981-01-01/2010-12-31", "method": "qdm"}``: written as global attributes
        ``split_training`` and so on, so that nobody scores a method on what it has
        learnt from.

    Raises
    ------
    InputError
        If the folder does not exist, or an array has no name.
    """
    path = Path(path)
    if isinstance(data, xr.DataArray):
        if data.name is None:
            raise InputError("the array to be written has no name: give it one")
        data = data.to_dataset()
    listed = [Path(source) for source in sources]
    stores = [source.name for source in listed if source.is_dir()]
    named = f"{step}; read {', '.join(stores)}" if stores else step
    data = stamp(data, named, [source for source in listed if not source.is_dir()])
    for key, value in (split or {}).items():
        data.attrs[f"split_{key}"] = value
    data = _storable(data)
    if path.suffix == _ZARR:
        _write_zarr(data, path)
    else:
        write_netcdf(data, path)


def _storable(data: xr.Dataset) -> xr.Dataset:
    """Return the data with attributes a file can hold and no encoding of its source.

    The encoding of a variable that was read (packing, chunks) does not fit what was
    made of it: integers of 0.1 degC would round an adjusted temperature.
    """
    data = data.copy(deep=False)
    for variable in data.variables.values():
        keep = ("units", "calendar", "dtype") if variable.dtype.kind in "MO" else ()
        variable.encoding = {k: v for k, v in variable.encoding.items() if k in keep}
        variable.attrs = _plain(variable.attrs)
    data.attrs = _plain(data.attrs)
    return data


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with truth values as numbers and what is absent as text."""
    return {
        key: int(value)
        if isinstance(value, bool | np.bool_)
        else ("none" if value is None else value)
        for key, value in attrs.items()
    }


def _write_zarr(data: xr.Dataset, path: Path) -> None:
    """Write a store beside its place and move it there."""
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist")
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        if data.chunks:  # Zarr's chunks are all of one size
            data = data.chunk({dim: max(sizes) for dim, sizes in data.chunks.items()})
        texts = [name for name, v in data.variables.items() if v.dtype.kind == "U"]
        # Zarr has no agreed form of text of a fixed length.
        data = data.assign({name: data[name].astype(object) for name in texts})
        data.to_zarr(work / "new", mode="w", consolidated=False)
        if path.exists():
            path.replace(work / "old")
        try:
            (work / "new").replace(path)
        except OSError:
            if (work / "old").exists():
                (work / "old").replace(path)
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
