"""Connections that read the journal, and that cannot keep its log from shrinking.

SQLite's log cannot be reset while somebody reads an old state of the file. A query
that is never finished would make it grow until the disk is full. So the journal
keeps count of the readers it gave out and cuts off those that stand in the way.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tilth.fleet.journal_files import JournalError

_ROWS = 1000


class Cursor(sqlite3.Cursor):
    """A cursor whose steps are guarded by its connection.

    Attributes
    ----------
    since : float or None
        When its query began (s, monotonic); None once all of it is read.
    """

    since: float | None = None

    def execute(self, *args: Any) -> Cursor:
        """Run a statement."""
        with self._reader.step():
            self.since = time.monotonic()
            super().execute(*args)
            if self.description is None:  # no query: BEGIN, PRAGMA, ROLLBACK
                self._reader.note_transaction(self.since)
                self.since = None
            return self

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        with self._reader.step():
            row = super().fetchone()
            self._ends(row is None)
            return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, by default a thousand."""
        size = size or _ROWS
        with self._reader.step():
            rows = super().fetchmany(size)
            self._ends(len(rows) < size)
            return rows

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        with self._reader.step():
            rows = super().fetchall()
            self._ends(True)
            return rows

    def close(self) -> None:
        """Leave the rest of it."""
        self.since = None
        super().close()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # In lumps, so that guarding a row costs little.
        while rows := self.fetchmany(_ROWS):
            yield from rows

    def _ends(self, over: bool) -> None:
        if over:
            self.since = None

    @property
    def _reader(self) -> Reader:
        return self.connection  # type: ignore[return-value]


class Reader(sqlite3.Connection):
    """A read-only connection that the journal can cut off.

    Use it from one thread at a time and close it. Once cut off it raises
    `JournalError`: open another.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        self._guard = threading.RLock()
        self._cut = False
        self._begun: float | None = None
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        super().__init__(*args, **named)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Guard one step of a statement."""
        with self._guard:
            try:
                if not self._cut:
                    yield
                    return
            except (sqlite3.OperationalError, sqlite3.ProgrammingError):
                if not self._cut:
                    raise
            raise JournalError(
                "this reader was cut off: it kept the journal's log from shrinking. "
                "Open another and read in smaller parts"
            )

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that the journal can cut off."""
        cursor = super().cursor(Cursor)
        with self._guard:
            self._cursors.add(cursor)
        return cursor

    def execute(self, *args: Any) -> Any:
        """Run a statement and return its cursor."""
        return self.cursor().execute(*args)

    def reads_since(self) -> float | None:
        """Return since when it reads one state of the journal (s, monotonic).

        None if it does not read at present.
        """
        begun = [c.since for c in list(self._cursors) if c.since is not None]
        if self._begun is not None:
            begun.append(self._begun)
        return min(begun, default=None)

    def note_transaction(self, now: float) -> None:
        """Take note of whether a transaction is open after a statement."""
        self._begun = (self._begun or now) if self.in_transaction else None

    def cut_off(self) -> None:
        """End whatever it reads, from any thread."""
        self._cut = True
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
            self.interrupt()
        with self._guard:  # wait for the step in hand
            # A connection with an unfinished statement goes on reading when closed.
            for cursor in list(self._cursors):
                with contextlib.suppress(sqlite3.ProgrammingError):
                    cursor.close()
            self.close()


class Readers:
    """The readers of one journal.

    Parameters
    ----------
    path : Path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._uri = path.resolve().as_uri() + "?mode=ro"
        self._open: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._lock = threading.Lock()

    def open(self) -> Reader:
        """Return a new reader; the caller closes it."""
        reader = sqlite3.connect(
            self._uri,
            uri=True,
            timeout=10.0,
            isolation_level=None,
            check_same_thread=False,
            factory=Reader,
        )
        assert isinstance(reader, Reader)
        reader.execute("PRAGMA query_only = ON").close()
        with self._lock:
            self._open.add(reader)
        return reader

    def cut_off_long(self, seconds: float) -> int:
        """Cut off readers whose query is older than that; return how many."""
        limit = time.monotonic() - seconds
        with self._lock:
            long = [
                reader
                for reader in self._open
                if (since := reader.reads_since()) is not None and since <= limit
            ]
        for reader in long:
            self._cut(reader)
        return len(long)

    def close(self) -> None:
        """Cut off all of them."""
        with self._lock:
            readers = list(self._open)
        for reader in readers:
            self._cut(reader)

    def _cut(self, reader: Reader) -> None:
        reader.cut_off()
        with self._lock:
            self._open.discard(reader)
