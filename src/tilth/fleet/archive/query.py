"""Ask a fleet's data: journal and archive as one, each record exactly once."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.fleet.archive import hot
from tilth.fleet.archive.files import (
    ARCHIVE_FOLDER,
    JOURNAL_FILE,
    SCHEMAS,
    ArchiveError,
    plain,
)
from tilth.fleet.archive.parquet import ParquetStore
from tilth.fleet.archive.rolled import hourly_sums, means_by_variant
from tilth.fleet.archive.store import Store
from tilth.fleet.archive.tables import channel_names, sample_dataset, sample_frame
from tilth.fleet.clock import DAY_MS, iso
from tilth.fleet.control import CONTROL_FILE
from tilth.fleet.database import read_only
from tilth.fleet.placement import FOREVER, Placement

#: Columns every query of samples needs besides the channels.
_ALWAYS = ("device", "boot", "seq", "t", "loc", "state", "flags", "quality")

#: How often a query starts again because its files were merged meanwhile.
_TRIES = 4


class Archive:
    """Reads a fleet's data folder, beside the service that writes it.

    Parameters
    ----------
    folder : path
        The data folder.
    store : Store, optional
        Where sealed records are; default the Parquet files of the folder.
    threads : int, default 2
        Threads for queries.

    Examples
    --------
    Last 24 h of a device, and hourly means of a week::

        with Archive("fleet-data") as archive:
            day = archive.samples("0123456789ab", now - DAY_MS, now, ["co2"])
            week = archive.hourly_means(now - 7 * DAY_MS, now)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        store: Store | None = None,
        threads: int = 2,
    ) -> None:
        self.folder = Path(folder)
        if not (self.folder / JOURNAL_FILE).is_file():
            raise InputError(f"{self.folder} holds no {JOURNAL_FILE}: no fleet's data")
        self._engine = ParquetStore(self.folder / ARCHIVE_FOLDER, threads)
        self.store: Store = store or self._engine

    def close(self) -> None:
        """Let go of the engine; a store that was given stays open."""
        self._engine.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # What people ask

    def samples(
        self,
        device: str | Sequence[str] | None,
        t_from: int,
        t_to: int,
        channels: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Return samples in physical units with flags.

        Parameters
        ----------
        device : str, sequence of str or None
            Which; None for all.
        t_from, t_to : int
            utc ms; the end does not belong to it.
        channels : sequence of str, optional
            Default all.

        Returns
        -------
        xarray.Dataset
            Dimension ``sample``, by device and time; see
            `tilth.fleet.archive.tables.sample_dataset`.
        """
        frame = self.frame(device, t_from, t_to, channels)
        step = f"samples({device or 'all'}, {iso(t_from)} to {iso(t_to)})"
        return sample_dataset(frame, channel_names(channels), step)

    def frame(
        self,
        device: str | Sequence[str] | None,
        t_from: int,
        t_to: int,
        channels: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the same as a table; see `tilth.fleet.archive.tables.sample_frame`."""
        names = channel_names(channels)
        records = self.records(
            "samples", t_from, t_to, _devices(device), [*_ALWAYS, *names]
        )
        return sample_frame(records, self.placements(), names)

    def events(
        self,
        t_from: int,
        t_to: int,
        device: str | Sequence[str] | None = None,
        kind: str | None = None,
    ) -> pd.DataFrame:
        """Return events, the body as a dict, by time."""
        records = self.records("events", t_from, t_to, _devices(device))
        frame = records.to_pandas(categories=[]).astype(
            dict.fromkeys(("device", "boot", "loc", "kind"), object)
        )
        if kind is not None:
            frame = frame[frame["kind"] == kind]
        frame = frame.sort_values(["t", "device", "boot", "seq"], ignore_index=True)
        return frame.assign(body=[json.loads(text) for text in frame["body"]])

    def hourly_means(
        self, t_from: int, t_to: int, *, from_raw: bool = False
    ) -> xr.Dataset:
        """Return hourly means of each variant, over all samples of its chambers.

        Values of the CO2 sensor while it warms up or after a failed checksum are
        left out; the lid may be open or closed.

        Parameters
        ----------
        t_from, t_to : int
            utc ms, full hours.
        from_raw : bool, default False
            Compute from the samples, not from the rollups kept while they came in.
            Both give the same.

        Returns
        -------
        xarray.Dataset
            Dimensions ``variant`` ("5.10") and ``time`` (begin of the hour, UTC): a
            mean of each channel, ``samples`` and ``chambers`` behind it.
        """
        hour = 3_600_000
        if t_from % hour or t_to % hour or t_to <= t_from:
            raise InputError(
                f"hourly means need full hours, got {iso(t_from)} to {iso(t_to)}"
            )
        if from_raw:
            sums = self.sums(t_from, t_to)
        else:
            with self._reader() as reader:
                sums, split = hourly_sums(reader, self.placements(), t_from, t_to)
            # A chamber that was moved within an hour: that hour from its samples.
            parts = [self.sums(h * hour, (h + 1) * hour, [d]) for d, h in split]
            sums = pd.concat([sums, *parts], ignore_index=True)
        way = "samples" if from_raw else "rollups"
        data = means_by_variant(sums, t_from, t_to)
        return stamp(data, f"hourly_means({iso(t_from)} to {iso(t_to)}, from {way})")

    def closure_rows(
        self,
        t_from: int,
        t_to: int,
        device: str | Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Return the samples taken while a lid was closed, as the device told.

        Parameters
        ----------
        t_from, t_to : int
            utc ms; closures whose ``cycle`` event lies between them.
        device, channels
            As for `samples`.

        Returns
        -------
        xarray.Dataset
            As `samples`, with the coordinates ``closure`` (device, boot and cycle)
            and ``elapsed`` (s since the lid closed).
        """
        cycles = self.events(t_from, t_to, device, "cycle")
        names = channel_names(channels)
        # A closure lasts 5 minutes at most; the event comes when the lid opens.
        records = self.records(
            *("samples", t_from - 3_600_000, t_to, _devices(device)),
            [*_ALWAYS, "tick", *names],
        )
        frame = sample_frame(records, self.placements(), names)
        ticks = pd.Series(
            records["tick"].to_numpy(),
            index=pd.MultiIndex.from_arrays(
                [
                    records["device"].to_numpy(zero_copy_only=False),
                    records["boot"].to_numpy(zero_copy_only=False),
                    records["seq"].to_numpy(),
                ]
            ),
        )
        key = pd.MultiIndex.from_frame(frame[["device", "boot", "seq"]].astype(object))
        frame["tick"] = ticks.reindex(key).to_numpy()
        frame = _closed(frame, cycles)
        step = f"closure_rows({iso(t_from)} to {iso(t_to)})"
        data = sample_dataset(frame, names, step)
        return data.assign_coords(
            closure=("sample", frame["closure"].to_numpy(object)),
            elapsed=("sample", frame["elapsed"].to_numpy(), {"units": "s"}),
        )

    # What it stands on

    def records(
        self,
        kind: str,
        t_from: int,
        t_to: int,
        devices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return records as stored: counts of the wire, one table, any order.

        Parameters
        ----------
        kind : str
            ``samples`` or ``events``.
        t_from, t_to : int
            utc ms; the end does not belong to it.
        devices, columns : sequence of str, optional
            Default all.
        """
        wanted = [n for n in SCHEMAS[kind].names if columns is None or n in columns]

        def read(files: list[str], reader: sqlite3.Connection) -> pa.Table:
            where = hot.pieces(reader, t_from, t_to, devices)
            fresh = hot.read(reader, kind, where, t_from, t_to, columns=wanted)
            reader.execute("ROLLBACK")  # the journal need not wait for the archive
            sealed = self.store.read(kind, files, t_from, t_to, devices, wanted)
            both = [plain(fresh.select(wanted)), plain(sealed.select(wanted))]
            return pa.concat_tables(both)

        return self._settled(kind, t_from, t_to, read)

    def sums(
        self, t_from: int, t_to: int, devices: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return counts and sums of samples of each location and hour, from samples.

        See `tilth.fleet.archive.store.Store.sums`.
        """
        placements = self.placements()
        placed = _placed(placements, t_from, t_to)

        def read(files: list[str], reader: sqlite3.Connection) -> pd.DataFrame:
            where = hot.pieces(reader, t_from, t_to, devices)
            fresh = hot.sums(reader, where, t_from, t_to, placements)
            reader.execute("ROLLBACK")
            sealed = self.store.sums(files, t_from, t_to, placed, devices)
            return pd.concat([fresh, sealed], ignore_index=True)

        return self._settled("samples", t_from, t_to, read)

    def placements(self) -> list[Placement]:
        """Return where devices stood, as it is known now."""
        path = self.folder / CONTROL_FILE
        if not path.is_file():
            return []
        with contextlib.closing(read_only(path)) as reader:
            rows = reader.execute(
                "SELECT device, loc, t_from, t_to, source FROM placements"
                " WHERE superseded IS NULL ORDER BY device, t_from"
            ).fetchall()
        return [Placement(*row) for row in rows]

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(read_only(self.folder / JOURNAL_FILE)) as reader:
            yield reader

    def _settled(self, kind: str, t_from: int, t_to: int, read: Any) -> Any:
        """Run a query on one state of journal and archive, again if files went."""
        for attempt in range(_TRIES):
            with self._reader() as reader:
                reader.execute("BEGIN")
                files = [
                    row[0]
                    for row in reader.execute(
                        "SELECT file FROM seals WHERE state = 'sealed'"
                        " AND day BETWEEN ? AND ? AND file LIKE ? ORDER BY file",
                        (t_from // DAY_MS, (t_to - 1) // DAY_MS, f"{kind}/%"),
                    )
                ]
                try:
                    return read(files, reader)
                except (duckdb.IOException, FileNotFoundError) as error:
                    if attempt + 1 < _TRIES:
                        continue  # merged with others meanwhile
                    raise ArchiveError(
                        f"a sealed file cannot be read: {error}. Restore it from a "
                        "backup (tilth fleet restore)"
                    ) from error
        raise AssertionError("unreachable")


def _devices(device: str | Sequence[str] | None) -> list[str] | None:
    if device is None:
        return None
    return [device] if isinstance(device, str) else list(device)


def _placed(placements: Sequence[Placement], t_from: int, t_to: int) -> pd.DataFrame:
    """Return the placements that matter between two times as a table."""
    rows = [
        (p.device, p.loc, p.t_from, min(p.end, FOREVER))
        for p in placements
        if p.t_from < t_to and p.end > t_from
    ]
    frame = pd.DataFrame(rows, columns=["device", "loc", "t_from", "t_to"])
    return frame.astype({"device": object, "loc": object, "t_from": "int64"}).astype(
        {"t_to": "int64"}
    )


def _closed(frame: pd.DataFrame, cycles: pd.DataFrame) -> pd.DataFrame:
    """Keep the samples of closures, with the closure each belongs to."""
    closure = np.full(len(frame), None, object)
    elapsed = np.full(len(frame), np.nan)
    groups = frame.groupby(["device", "boot"], observed=True).indices
    ticks = frame["tick"].to_numpy()
    for device, boot, body in zip(
        cycles["device"], cycles["boot"], cycles["body"], strict=True
    ):
        close, opened = body.get("close"), body.get("open")
        rows = groups.get((device, boot))
        if rows is None or not (isinstance(close, int) and isinstance(opened, int)):
            continue
        inside = rows[(ticks[rows] >= close) & (ticks[rows] <= opened)]
        closure[inside] = f"{device}-{boot}-{body.get('cycle')}"
        elapsed[inside] = (ticks[inside] - close) / 1000
    kept = np.array([name is not None for name in closure], bool)
    frame = frame.assign(closure=closure, elapsed=elapsed)
    return frame[kept].reset_index(drop=True)
