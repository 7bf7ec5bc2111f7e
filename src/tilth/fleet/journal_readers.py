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


class Cursor(sqlite3.Cursor):
    """A cursor whose steps are guarded by its connection."""

    def execute(self, *args: Any) -> Cursor:
        """Run a statement."""
        with self._reader.step():
            return super().execute(*args)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        with self._reader.step():
            return super().fetchone()

    def fetchmany(self, *args: Any, **named: Any) -> list[Any]:
        """Return the next rows."""
        with self._reader.step():
            return super().fetchmany(*args, **named)

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        with self._reader.step():
            return super().fetchall()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # In lumps, so that guarding a row costs little.
        while rows := self.fetchmany(1000):
            yield from rows

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
        self.opened = time.monotonic()
        super().__init__(*args, **named)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Guard one step of a statement."""
        with self._guard:
            try:
                if not self._cut:
                    yield
                    return
            except sqlite3.OperationalError:
                if not self._cut:
                    raise
            raise JournalError(
                "this reader was cut off: it kept the journal's log from shrinking. "
                "Open another and read in smaller parts"
            )

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that the journal can cut off."""
        return super().cursor(Cursor)

    def execute(self, *args: Any) -> Any:
        """Run a statement and return its cursor."""
        return self.cursor().execute(*args)

    def cut_off(self) -> None:
        """End whatever it reads, from any thread."""
        self._cut = True
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
            self.interrupt()
        with self._guard:  # wait for the step in hand
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
        reader.execute("PRAGMA query_only = ON")
        with self._lock:
            self._open.add(reader)
        return reader

    def cut_off(self, older_than: float = 0.0) -> int:
        """Cut off the readers opened more than so many seconds ago; return how many."""
        limit = time.monotonic() - older_than
        with self._lock:
            old = [reader for reader in self._open if reader.opened <= limit]
        for reader in old:
            reader.cut_off()
            with self._lock:
                self._open.discard(reader)
        return len(old)
