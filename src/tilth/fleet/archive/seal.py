"""Move whole days from the journal to the archive: each record exactly once.

A record is in the journal until the transaction that says which file holds it, and
from then on in that file; queries look up in the same journal which files count.
Whatever moment the power fails at, one of the two holds:

1. The file is announced (``writing``) in the journal, then written under a hidden
   name, forced to disk, renamed, and its folder forced to disk. A crash up to here
   leaves an announced file, which the next start removes: the journal has all rows.
2. One transaction makes the file count (``sealed``) and marks its rows in the table
   ``purging``, which hides them at once.
3. The hidden rows are removed in small transactions, so that the ingest never waits
   long; a crash in between goes on at the next start.

Records that arrive for a sealed day are sealed in turn, into a file beside the
others; many small files of a day are merged into one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tilth.core.errors import InputError
from tilth.fleet.archive import hot
from tilth.fleet.archive.adopt import adopt
from tilth.fleet.archive.files import (
    ARCHIVE_FOLDER,
    JOURNAL_FILE,
    KINDS,
    in_order,
)
from tilth.fleet.archive.parquet import ParquetStore
from tilth.fleet.archive.store import MergingStore, Store
from tilth.fleet.clock import DAY_MS, HOUR_MS, day_name, now_ms

_log = logging.getLogger("tilth.fleet.archive")

#: Most records of one file: about 100 MB while it is made, and 0.1 s to check.
MOST_ROWS = 250_000

#: Records removed in one transaction: a few ms of the journal's time.
_ROWS_PER_PURGE = 5_000

#: A rest between such transactions lets the ingest have its turn, s.
_REST_SECONDS = 0.005

#: Small files of one day that may lie beside each other before they are merged.
_MOST_PARTS = 4

#: Times from receipt may be bettered when the device finds the time; these records
#: wait this long in the journal, ms.
_DOUBTFUL_MS = 14 * DAY_MS


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one step of sealing moved: the UTC day, records, files."""

    day: int
    rows: int
    files: tuple[str, ...]


class Sealer:
    """Seals days of a fleet's journal, beside the service that writes it.

    Parameters
    ----------
    folder : path
        The fleet's data folder, with a journal.
    store : Store, optional
        Where sealed records go; default the Parquet files of the folder.
    clock : callable
        Gives utc ms.
    keep_days : int, default 2
        A UTC day is sealed so many days after its end.
    most_rows : int
        Records of one file.

    Raises
    ------
    InputError
        If another one works on this folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        store: Store | None = None,
        clock: Callable[[], int] = now_ms,
        keep_days: int = 2,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self.folder = Path(folder)
        self.clock = clock
        self.keep_days = keep_days
        self.most_rows = most_rows
        self._lock = _lock(self.folder / ARCHIVE_FOLDER)
        self._own = None if store else ParquetStore(self.folder / ARCHIVE_FOLDER)
        self.store: Store = store or self._own  # type: ignore[assignment]
        self._open()

    def _open(self) -> None:
        path = self.folder / JOURNAL_FILE
        self._journal = sqlite3.connect(
            path, timeout=30.0, isolation_level=None, check_same_thread=False
        )
        self._journal.execute("PRAGMA synchronous = FULL")
        self._file = path.stat().st_ino

    def close(self) -> None:
        """Let go of journal, store and lock."""
        self._journal.close()
        if self._own is not None:
            self._own.close()
        os.close(self._lock)

    def __enter__(self) -> Sealer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> list[str]:
        """Clear up after a crash; call once, before the ingest begins.

        Files the journal does not know are adopted if they are sealed files of this
        archive (the journal is then one that was restored or saved from damage), and
        set aside, never deleted, if they are not.

        Returns
        -------
        list of str
            Files that were set aside.
        """
        self._clear()
        known = {f for (f,) in self._journal.execute("SELECT file FROM seals")}
        aside = [
            file
            for file in self.store.present()
            if file not in known
            and not adopt(self._journal, self.store, file, self.clock())
        ]
        if aside:
            self.store.set_aside(aside)
            _log.warning(
                "%d files do not belong to the archive of this journal and were set "
                "aside, the first is %s",
                len(aside),
                aside[0],
            )
        self.purge()
        return aside

    def _clear(self) -> None:
        """Remove what was announced but never came to count, or no longer does."""
        for number, day, file in self._journal.execute(
            "SELECT id, day, file FROM seals WHERE state = 'writing'"
        ).fetchall():
            kind, _, token = file.partition("/")
            self.store.discard(kind, day, token)
            self.store.remove([file])
            self._journal.execute("DELETE FROM seals WHERE id = ?", (number,))

    def seal_pending(self) -> list[Sealed]:
        """Seal all that is due; return what was moved.

        Raises
        ------
        ArchiveError
            If the store fails: the journal keeps what is not sealed, and the next
            call begins by clearing up.
        """
        if (self.folder / JOURNAL_FILE).stat().st_ino != self._file:
            # A damaged journal was put aside and another one took its place.
            self._journal.close()
            self._open()
        self._clear()
        moved = []
        for day, boots in self._due():
            for _ in range(3):
                done = self._seal(day, boots)
                if done is not None:
                    break
            if done:
                moved.append(done)
        for day in {done.day for done in moved}:
            self.compact(day)
        return moved

    def _due(self) -> list[tuple[int, list[int]]]:
        """Return days, each with boots whose records make about one file."""
        last_day = (self.clock() - self.keep_days * DAY_MS) // DAY_MS - 1
        rows = self._journal.execute(
            "SELECT s.hour / 24, s.boot, sum(s.n - s.sealed) FROM spans s"
            " JOIN boots b ON b.id = s.boot JOIN devices d ON d.id = b.device"
            " WHERE s.hour < ? AND s.n > s.sealed GROUP BY 1, 2"
            " ORDER BY 1, d.name, s.boot",
            ((last_day + 1) * 24,),
        ).fetchall()
        due: list[tuple[int, list[int]]] = []
        size = 0
        for day, boot, count in rows:
            if not due or due[-1][0] != day or size + count > self.most_rows:
                due.append((day, []))
                size = 0
            due[-1][1].append(boot)
            size += count
        return due

    def _seal(self, day: int, boots: list[int]) -> Sealed | None:
        """Seal records of a day; None if the journal changed meanwhile."""
        t_from, t_to = day * DAY_MS, (day + 1) * DAY_MS
        condition = f"(quality < 3 OR recv < {self.clock() - _DOUBTFUL_MS})"
        with hot.snapshot(self._journal):
            wanted = set(boots)
            where = [
                piece
                for piece in hot.pieces(self._journal, t_from, t_to)
                if piece.boot in wanted
            ]
            tables = {
                kind: hot.read(
                    self._journal, kind, where, t_from, t_to, condition=condition
                )
                for kind in KINDS
            }
        tables = {kind: table for kind, table in tables.items() if len(table)}
        if not tables:
            return Sealed(day, 0, ())
        token = f"{secrets.token_hex(6)}"
        files = self._write(day, token, tables)
        keys = _keys(tables, where)
        if not self._commit(day, token, files, keys, condition, tables):
            self._forget(day, token, files)
            return None
        self.purge()
        rows = sum(len(table) for table in tables.values())
        _log.info("sealed %d records of %s", rows, day_name(day))
        return Sealed(day, rows, tuple(files.values()))

    def _write(self, day: int, token: str, tables: dict[str, pa.Table]) -> dict:
        """Announce the files, then write them."""
        with self._transaction():
            self._journal.executemany(
                "INSERT INTO seals(day, file, state, created)"
                " VALUES (?, ?, 'writing', ?)",
                [(day, f"{kind}/{token}", self.clock()) for kind in tables],
            )
        return {
            kind: self.store.write(kind, day, token, in_order(table))
            for kind, table in tables.items()
        }

    def _commit(
        self,
        day: int,
        token: str,
        files: dict[str, str],
        keys: list[tuple[hot.Piece, np.ndarray]],
        condition: str,
        tables: dict[str, pa.Table],
    ) -> bool:
        """Make the files count and hide their rows, unless these have changed."""
        with self._transaction():
            if not self._unchanged(day, keys, condition):
                return False
            self._journal.executemany(
                "INSERT INTO purging(boot, first, last) VALUES (?, ?, ?)",
                [
                    (piece.boot, first, last)
                    for piece, rows in keys
                    for first, last in _runs(np.unique(rows[:, 0]))
                ],
            )
            self._journal.executemany(
                "UPDATE spans SET sealed = sealed + ? WHERE boot = ? AND hour = ?",
                [
                    (int(count), piece.boot, int(hour))
                    for piece, rows in keys
                    for hour, count in zip(
                        *np.unique(rows[:, 1] // HOUR_MS, return_counts=True),
                        strict=True,
                    )
                ],
            )
            self._journal.executemany(
                "UPDATE seals SET state = 'sealed', file = ?, rows = ? WHERE file = ?",
                [
                    (file, len(tables[kind]), f"{kind}/{token}")
                    for kind, file in files.items()
                ],
            )
        return True

    def _unchanged(
        self, day: int, keys: list[tuple[hot.Piece, np.ndarray]], condition: str
    ) -> bool:
        """Tell whether the journal still holds just what was read from it."""
        t_from = day * DAY_MS
        for piece, rows in keys:
            total = np.zeros(3, object)
            for kind in KINDS:
                found = self._journal.execute(
                    "SELECT count(*), ifnull(sum(seq), 0), ifnull(sum(t), 0)"
                    f" FROM hot_{kind} WHERE boot = ? AND seq BETWEEN ? AND ?"
                    f" AND t >= ? AND t < ? AND {condition}",
                    (piece.boot, piece.first, piece.last, t_from, t_from + DAY_MS),
                ).fetchone()
                total += np.array(found, object)
            if list(total) != [len(rows), *map(int, rows.sum(axis=0))]:
                return False
        return True

    def _forget(self, day: int, token: str, files: dict[str, str]) -> None:
        for kind in files:
            self.store.discard(kind, day, token)
        self._journal.executemany(
            "DELETE FROM seals WHERE file = ?", [(f"{kind}/{token}",) for kind in files]
        )

    def purge(self) -> int:
        """Remove the rows that are hidden because a file holds them."""
        removed = 0
        while True:
            with self._transaction():
                chunk = self._journal.execute(
                    "SELECT boot, first, last FROM purging ORDER BY boot, first"
                    f" LIMIT {_ROWS_PER_PURGE // 10}"
                ).fetchall()
                size = 0
                for boot, first, last in chunk:
                    if size >= _ROWS_PER_PURGE:
                        break
                    end = min(last, first + _ROWS_PER_PURGE - 1)
                    size += end - first + 1
                    self._purge(boot, first, last, end)
                removed += size
            if not chunk:
                return removed
            time.sleep(_REST_SECONDS)

    def _purge(self, boot: int, first: int, last: int, end: int) -> None:
        run = self._journal.execute
        for kind in KINDS:
            run(
                f"DELETE FROM {kind} WHERE boot = ? AND seq BETWEEN ? AND ?",
                (boot, first, end),
            )
        run("DELETE FROM purging WHERE boot = ? AND first = ?", (boot, first))
        if end < last:
            run("INSERT INTO purging VALUES (?, ?, ?)", (boot, end + 1, last))

    def compact(self, day: int) -> list[str]:
        """Merge the small files of a UTC day where there are many.

        Returns
        -------
        list of str
            The files that were made.
        """
        made: list[str] = []
        if not isinstance(self.store, MergingStore):
            return made
        for kind in KINDS:
            small = self._journal.execute(
                "SELECT id, file, rows FROM seals WHERE day = ? AND state = 'sealed'"
                " AND file LIKE ? AND rows < ? ORDER BY id",
                (day, f"{kind}/%", self.most_rows // 2),
            ).fetchall()
            if len(small) <= _MOST_PARTS:
                continue
            token = secrets.token_hex(6)
            number = self._journal.execute(
                "INSERT INTO seals(day, file, rows, state, created)"
                " VALUES (?, ?, ?, 'writing', ?)",
                (day, f"{kind}/{token}", sum(row[2] for row in small), self.clock()),
            ).lastrowid
            old = [row[1] for row in small]
            file = self.store.merge(kind, day, token, old)
            with self._transaction():
                run = self._journal.execute
                run(
                    "UPDATE seals SET state = 'sealed', file = ? WHERE id = ?",
                    (file, number),
                )
                # Announced again, so that a crash before their removal leaves none.
                self._journal.executemany(
                    "UPDATE seals SET state = 'writing' WHERE id = ?",
                    [(row[0],) for row in small],
                )
            self.store.remove(old)
            self._journal.executemany(
                "DELETE FROM seals WHERE id = ?", [(row[0],) for row in small]
            )
            made.append(file)
        return made

    def _transaction(self) -> _Transaction:
        return _Transaction(self._journal)


class _Transaction:
    """A write transaction; leaving it early by ``return`` commits nothing wrong."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _keys(
    tables: dict[str, pa.Table], where: list[hot.Piece]
) -> list[tuple[hot.Piece, np.ndarray]]:
    """Return number and time of the records of each boot, shape (record, 2)."""
    parts: dict[tuple[str, str], list[np.ndarray]] = {}
    for table in tables.values():
        pair = np.stack([table["seq"].to_numpy(), table["t"].to_numpy()], axis=1)
        # Boots come one after the other: cut where the codes change.
        device = table["device"].combine_chunks()
        boot = table["boot"].combine_chunks()
        codes = np.stack([device.indices.to_numpy(), boot.indices.to_numpy()], axis=1)
        cuts = np.flatnonzero((codes[1:] != codes[:-1]).any(axis=1)) + 1
        for block, (d, b) in zip(
            np.split(pair, cuts), codes[[0, *cuts]] if len(codes) else [], strict=False
        ):
            key = (device.dictionary[int(d)].as_py(), boot.dictionary[int(b)].as_py())
            parts.setdefault(key, []).append(block)
    return [
        (piece, np.concatenate(parts[piece.device, piece.name]))
        for piece in where
        if (piece.device, piece.name) in parts
    ]


def _runs(numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """Return first and last of each run of following numbers."""
    cuts = np.flatnonzero(np.diff(numbers) != 1)
    firsts = numbers[np.r_[0, cuts + 1]]
    lasts = numbers[np.r_[cuts, len(numbers) - 1]]
    return zip(firsts.tolist(), lasts.tolist(), strict=True)


def _lock(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise InputError(
            f"another process seals the data of {folder.parent}: the service does so "
            "by itself while it runs"
        ) from error
    return handle
