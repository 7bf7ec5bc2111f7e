"""Reflector heights of a station: many days, each file read once, on all processors."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.progress import progress
from tilth.gnss.reflectometry.day_cache import read_day, write_day
from tilth.gnss.reflectometry.heights import arc_columns, arc_table
from tilth.gnss.reflectometry.settings import Settings
from tilth.gnss.reflectometry.snr_files import date_in_name, read_snr

#: Days that one thread goes through; it reads the two beside them as well.
_BLOCK = 16


def station_heights(
    files: Iterable[str | os.PathLike[str]],
    settings: Settings | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    """Find the reflector heights of a station over many days.

    Parameters
    ----------
    files : iterable of path
        SNR files of one station, one per day, in any order, whose names tell the day.
        Each is also the neighbour of the days before and after it.
    settings : Settings, optional
        How; by default those of `Settings`.
    cache : path, optional
        Folder where days are kept as Parquet files. A day is taken from there where it
        is not older than its file, which makes a second run faster.
    threads : int, optional
        All processors by default. Results do not depend on it.

    Returns
    -------
    xarray.Dataset
        As `tilth.gnss.reflectometry.reflector_heights`, all days one after the other.

    Raises
    ------
    InputError
        If there is no file, one cannot be read, a day is there twice, or files are of
        several stations.
    """
    chosen = settings or Settings()
    dated = _in_order([Path(file) for file in files])
    folder = None if cache is None else Path(cache)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    many = threads or os.cpu_count() or 1
    size = max(min(_BLOCK, -(-len(dated) // many)), 1)
    blocks = [range(i, min(i + size, len(dated))) for i in range(0, len(dated), size)]
    with progress("reflector heights", len(dated)) as work:

        def block(days: range) -> tuple[str, list[dict[str, np.ndarray]]]:
            found, station = [], ""
            held: dict[datetime.date, xr.Dataset] = {}
            for k in days:
                date = dated[k][0]
                around = {}
                for other in dated[max(k - 1, 0) : k + 2]:
                    if abs((other[0] - date).days) <= 1:
                        known = held.get(other[0])
                        around[other[0]] = (
                            _read(other[1], folder) if known is None else known
                        )
                held = around
                one = datetime.timedelta(days=1)
                station = str(held[date].attrs["station"])
                found.append(
                    arc_columns(
                        held[date],
                        chosen,
                        previous=held.get(date - one),
                        following=held.get(date + one),
                    )
                )
                work.advance()
            return station, found

        if many == 1 or len(blocks) == 1:
            done = [block(days) for days in blocks]
        else:
            with ThreadPoolExecutor(many) as pool:
                done = list(pool.map(block, blocks))
    parts = [columns for _, found in done for columns in found]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    table = arc_table(joined, done[0][0], chosen)
    first, last = dated[0][0], dated[-1][0]
    step = f"reflector heights of {len(dated)} days from {first} to {last}"
    return stamp(table, step)


def _in_order(files: Sequence[Path]) -> list[tuple[datetime.date, Path]]:
    """Return files with their days, in the order of time."""
    if not files:
        raise InputError("no file of signal-to-noise ratios was given")
    stations: set[str] = set()
    dated: dict[datetime.date, Path] = {}
    for file in files:
        station, date = date_in_name(file)
        if date in dated:
            raise InputError(
                f"{date} is there twice: {dated[date]} and {file}; keep one of them"
            )
        dated[date] = file
        stations.add(station)
    if len(stations) > 1:
        raise InputError(
            f"files of several stations: {', '.join(sorted(stations))}; make one run "
            "of each"
        )
    return sorted(dated.items())


def _read(file: Path, cache: Path | None) -> xr.Dataset:
    """Read a day from its file, or from where it was kept before."""
    if cache is None:
        return read_snr(file)
    kept = cache / f"{file.name}.parquet"
    if kept.exists() and kept.stat().st_mtime >= file.stat().st_mtime:
        return read_day(kept)
    day = read_snr(file)
    write_day(day, kept)
    return day
