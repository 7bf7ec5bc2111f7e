"""Open any file that holds closures: the format is recognised, not asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.closures import check_closures
from tilth.chambers.readers.clock import time_zone
from tilth.chambers.readers.textfile import FileKind, recognise
from tilth.core.errors import InputError

#: Kind of file -> module and function; the first three give closures, the others a
#: continuous record that is cut.
_READERS = {
    "81x": ("licor_81x", "read_licor_81x"),
    "82z": ("licor_82z", "read_licor_82z"),
    "smartchamber": ("smart_chamber", "read_smart_chamber"),
    "li7810": ("analysers", "read_li7810"),
    "lgr": ("analysers", "read_lgr"),
    "picarro": ("analysers", "read_picarro"),
    "egm4": ("egm", "read_egm"),
    "egm5": ("egm", "read_egm"),
}

_TABLES = ("table", "parquet", "excel", "toa5")


@dataclass(frozen=True)
class ReadOptions:
    """What the files themselves do not say.

    Parameters
    ----------
    columns : path, optional
        YAML map of the columns of a table (see `read_table`); needed for CSV,
        Parquet and Excel.
    timezone : str, optional
        Zone of clocks that do not tell theirs: an IANA name or ``"+01:00"``.
    closures : path, optional
        CSV with ``start`` and ``end`` (UTC) of each closure, and any labels, to cut
        a continuous record by.
    detect : bool
        Find the closures of a continuous record by its sawtooth.
    period : float, optional
        Cycle length of an automatic chamber in s; makes the detection surer.
    year : int, optional
        Year of instruments that do not write it (EGM-4).
    block : int
        Closures taken at a time from a NetCDF file.
    """

    columns: str | os.PathLike[str] | None = None
    timezone: str | None = None
    closures: str | os.PathLike[str] | None = None
    detect: bool = False
    period: float | None = None
    year: int | None = None
    block: int = 50_000


def open_closures(
    path: str | os.PathLike[str], gas: str = "co2", options: ReadOptions | None = None
) -> Iterator[xr.Dataset]:
    """Read closures from a file of any known format, block by block.

    Parameters
    ----------
    path : path
        LI-COR .81x, .82z or Smart Chamber JSON; an analyser's record (LI-7810, LGR,
        Picarro, EGM); a table (CSV, Parquet, Excel); a closures dataset (NetCDF).
    gas : str
        Gas wanted; closures are detected in it.
    options : ReadOptions, optional
        What the file does not say.

    Yields
    ------
    xarray.Dataset
        Closures datasets: one, or for NetCDF blocks of `ReadOptions.block`.

    Raises
    ------
    InputError
        If the format is not known, an option is missing that it needs, or the gas
        is not in the file.
    """
    options = options or ReadOptions()
    path = Path(path)
    kind = recognise(path)
    if kind.name in ("hdf5", "netcdf"):
        yield from _netcdf_blocks(path, gas, options.block)
        return
    data = _read(path, kind, options)
    if "closure" not in data.dims:
        data = _cut(data, path, gas, options)
    _require_gas(data, path, gas)
    yield data


def _read(path: Path, kind: FileKind, options: ReadOptions) -> xr.Dataset:
    """Read a file with the reader of its kind."""
    if options.columns is not None and kind.name in (*_TABLES, "text"):
        from tilth.chambers.readers.table import read_table

        return read_table(path, options.columns, timezone=options.timezone)
    if kind.name not in _READERS:
        # A damaged file may have lost its first lines; its name still tells.
        suffixes = {".81x": "81x", ".82z": "82z"}
        guessed = next((k for s, k in suffixes.items() if s in path.suffixes), None)
        if guessed is None:
            raise InputError(_unknown(path, kind))
        kind = FileKind(guessed, kind.description)
    module, name = _READERS[kind.name]
    reader = getattr(importlib.import_module(f"tilth.chambers.readers.{module}"), name)
    arguments: dict[str, Any] = {}
    if kind.name in ("lgr", "egm4", "egm5", "picarro"):
        if options.timezone is None and kind.name != "picarro":
            raise InputError(
                f"{path.name} is {kind.description}, whose clock does not tell its "
                "time zone: give it (--timezone Europe/Berlin)"
            )
        arguments["timezone"] = options.timezone
    if kind.name == "egm4":
        arguments["year"] = options.year
    if kind.name in ("81x", "82z") and options.timezone is not None:
        arguments["utc_offset"] = _fixed_offset(options.timezone)
    return reader(path, **arguments)


def _unknown(path: Path, kind: FileKind) -> str:
    """Say why a file cannot be read, and what would help."""
    if kind.name in _TABLES:
        return (
            f"{path.name} is {kind.description}: a table needs a map of its columns "
            "(--columns map.yaml)"
        )
    return (
        f"cannot read {path.name}: it looks like {kind.description}. Known are LI-COR "
        ".81x, .82z, Smart Chamber JSON, LI-7810, LGR, Picarro and EGM files, tables "
        "with a map of their columns, and NetCDF closures"
    )


def _fixed_offset(zone: str) -> float:
    """Return the hours of "+01:00"; a named zone changes with the season."""
    clock = time_zone(zone)
    offset = pd.Timestamp("2000-01-01", tz="UTC").tz_convert(clock).utcoffset()
    summer = pd.Timestamp("2000-07-01", tz="UTC").tz_convert(clock).utcoffset()
    if offset is None or offset != summer:
        raise InputError(
            f"a LI-COR file keeps one offset all year, {zone} has two: give the one of "
            "the instrument's clock, such as --timezone +01:00"
        )
    return offset.total_seconds() / 3600.0


def _netcdf_blocks(path: Path, gas: str, block: int) -> Iterator[xr.Dataset]:
    """Yield a stored closures dataset in blocks that fit into memory."""
    with xr.open_dataset(path, engine="h5netcdf") as data:
        if "closure" not in data.dims:
            raise InputError(
                f"{path.name} is no closures dataset: it has the dimensions "
                f"{', '.join(map(str, data.dims))}"
            )
        check_closures(data, gas)
        for first in range(0, data.sizes["closure"], block):
            yield data.isel(closure=slice(first, first + block)).load()


def _cut(record: xr.Dataset, path: Path, gas: str, options: ReadOptions) -> xr.Dataset:
    """Cut a continuous record by the user's table or by its sawtooth."""
    from tilth.chambers.readers.records import cut_closures

    _require_gas(record, path, gas)
    if options.closures is not None:
        table = pd.read_csv(options.closures, dtype=str)
        missing = {"start", "end"} - set(table.columns)
        if missing:
            raise InputError(
                f"{options.closures} has no column {', '.join(sorted(missing))}; it "
                f"has {', '.join(table.columns)}"
            )
        times = {
            name: pd.to_datetime(table[name], utc=True).dt.tz_localize(None).to_numpy()
            for name in ("start", "end")
        }
        ids = table["closure"].tolist() if "closure" in table else None
        labels = table.drop(columns=["start", "end", "closure"], errors="ignore")
        texts: dict[str, Any] = {str(name): labels[name].tolist() for name in labels}
        return cut_closures(record, times["start"], times["end"], ids, **texts)
    if options.detect:
        from tilth.chambers.readers.closure_detection import detect_closures

        found = detect_closures(record, gas, period=options.period)
        if not found.sizes["closure"]:
            raise InputError(
                f"no closure was found in {path.name}: give a table of them "
                "(--closures), or the cycle length (--period)"
            )
        cut = cut_closures(record, found["start"].values, found["end"].values)
        for name in ("score", "detection_flag"):
            cut[name] = ("closure", found[name].values, found[name].attrs)
        return cut
    raise InputError(
        f"{path.name} is a continuous record: give the closures as a table with start "
        "and end (--closures closures.csv), or have them found (--detect)"
    )


def _require_gas(data: xr.Dataset, path: Path, gas: str) -> None:
    if gas not in data:
        held = [g for g in ("co2", "ch4", "n2o", "h2o") if g in data]
        raise InputError(f"{path.name} holds no {gas}; it holds {', '.join(held)}")


def name_apart(closures: xr.Dataset, file: str, prefix: bool) -> xr.Dataset:
    """Note the file each closure came from, in its name too if there are several."""
    names = closures["closure"].values.astype(object)
    if prefix:
        names = np.array([f"{file}:{name}" for name in names], dtype=object)
    files = np.full(names.size, file, dtype=object)
    return closures.assign_coords(closure=names, file=("closure", files))
