"""The journal: where records are on disk before anybody is told that they are.

A SQLite file with a write-ahead log that is flushed at every commit. One process
writes it, any number may read. `Journal.commit` takes a group of messages in one
transaction and returns the acknowledgements that may then be sent; if it raises,
nothing of the group is stored and nothing may be acknowledged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.clockmap import HOLD_MS
from tilth.fleet.journal_boots import Boots
from tilth.fleet.journal_files import (
    JournalError,
    Lock,
    StorageError,
    refuse_network,
)
from tilth.fleet.journal_group import Group
from tilth.fleet.journal_messages import (
    Happening,
    Message,
    Notice,
    Read,
    Retimed,
    Tally,
    read_message,
)
from tilth.fleet.journal_notices import Memory
from tilth.fleet.journal_open import (
    CHECKPOINT_BYTES,
    is_corrupt,
    open_journal,
    size_of,
)
from tilth.fleet.journal_readers import Reader, Readers
from tilth.fleet.journal_retime import retime
from tilth.fleet.messages import Ack
from tilth.fleet.wire import ProtocolError

_log = logging.getLogger(__name__)
T = TypeVar("T")

#: Readers that keep the log from shrinking are cut off when it is larger, bytes.
WAL_LIMIT_BYTES = 256 * 1024 * 1024
#: What a query may take even then, s.
PATIENCE_S = 5.0
#: Happenings kept for those who listen; the oldest are dropped.
_HAPPENINGS = 10_000
#: Notices kept in the table.
_NOTICES = 100_000


class Journal:
    """The journal of a fleet, open for writing.

    Parameters
    ----------
    path : path
        The file; made if it is absent, as are the folders above it.
    clock : callable, optional
        Tells the time, ms since 1970 UTC.
    wal_limit : int
        Bytes of the log beyond which slow readers are cut off.

    Raises
    ------
    JournalError
        If another server writes it, it is on a network file system, it is no
        journal, or a newer Tilth wrote it.

    Examples
    --------
    In a service::

        with Journal("data/journal.sqlite") as journal:
            for ack in journal.commit(messages):
                publish(topic_of(ack.device, "ack"), encode_ack(ack))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Clock = now_ms,
        *,
        wal_limit: int = WAL_LIMIT_BYTES,
    ) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"no folder for {self.path}: {error}") from error
        refuse_network(self.path.parent)
        self.tally = Tally()
        self._clock = clock
        self._wal_limit = wal_limit
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._happenings: deque[Happening] = deque(maxlen=_HAPPENINGS)
        self._memory = Memory()
        self._wal = self.path.with_name(self.path.name + "-wal")
        self._held = Lock(self.path.with_name(self.path.name + ".lock"))
        self._readers = Readers(self.path)
        self._suspect = False
        self._closed = False
        try:
            self._open()
        except BaseException as error:
            self._drop()
            self._held.release()
            if isinstance(error, sqlite3.Error | OSError):
                raise JournalError(
                    f"{self.path} cannot be opened: {error}. Is the disk full, or may "
                    "this user not write there?"
                ) from error
            raise

    # Opening and closing

    def _open(self) -> None:
        self._connection, findings = open_journal(
            self.path, self._clock(), self._suspect
        )
        self._suspect = False
        self._boots = Boots(self._connection)
        for what, body in findings:
            _log.error("%s: %s: %s", self.path, what, body)
            self.notice(what, body)

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Write the log back, close the file, let others write it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._readers.close()
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._drop()
            self._held.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Writing

    def commit(self, messages: Iterable[Message]) -> list[Ack]:
        """Store a group of messages, all or none, flushed to the disk.

        Parameters
        ----------
        messages : iterable of Message
            As they came; what cannot be read goes into quarantine.

        Returns
        -------
        list of Ack
            One for each boot that was heard of; they may be sent now.

        Raises
        ------
        StorageError
            If the disk fails: nothing was stored, nothing may be acknowledged. Call
            again later, with the same messages or others.
        """
        reads = [read_message(message) for message in messages]
        try:
            return self._transaction(lambda group: _take_all(group, reads))
        except StorageError:
            raise
        except Exception:
            # A fault of this program must not stop the others' messages.
            _log.exception("a message could not be stored; each is tried alone")
            return [ack for read in reads for ack in self._alone(read)]

    def _alone(self, read: Read) -> list[Ack]:
        try:
            return self._transaction(lambda group: group.take(read))
        except StorageError:
            raise
        except Exception as error:
            _log.exception("a message of %s goes into quarantine", read[0].topic)
            fault = ProtocolError("server", f"{type(error).__name__}: {error}")
            return self._transaction(lambda g: g.take((read[0], read[1], fault)))

    def tend(self) -> list[Ack]:
        """Do what is due without a message; call it every second or so.

        Gives times to records whose boot has a clock at last, gives up what devices
        no longer hold, and keeps the log and the notices short.
        """
        try:
            return self._tend(self._clock())
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _tend(self, now: int) -> list[Ack]:
        acks: list[Ack] = []
        gaps = list(self._memory.gaps)
        if gaps:
            acks = self._transaction(lambda group: _check_gaps(group, gaps, now))
        self._retime(now)
        self._locked(
            lambda run: run.execute(
                "DELETE FROM notices WHERE id <= (SELECT max(id) FROM notices) - ?",
                (_NOTICES,),
            )
        )
        self.checkpoint()
        return acks

    def _retime(self, now: int) -> None:
        """Give times to some of the records that wait for one."""
        with self._lock:
            self._require()
            waiting = {boot.id: boot for boot in self._boots if boot.retime is not None}
            for boot in self._boots.untimed(64):
                if now - boot.first_recv > HOLD_MS or boot.clock.known:
                    waiting[boot.id] = boot
            chosen = list(waiting.values())[:8]

            def work(connection: sqlite3.Connection) -> list[Retimed]:
                changed: list[Retimed] = []
                for boot in chosen:
                    if boot.retime is None and boot.clock.settle():
                        boot.retime = 0
                    if boot.retime is not None and boot.clock.known:
                        changed += [
                            Retimed(boot.device, boot.boot, first, last)
                            for first, last in retime(connection, boot)
                        ]
                self._boots.save(chosen)
                return changed

            if chosen:
                self._happenings.extend(self._locked(work))

    def notice(self, what: str, body: dict[str, Any]) -> None:
        """Leave a notice about the journal itself."""
        now = self._clock()
        self._locked(
            lambda run: run.execute(
                "INSERT INTO notices(recv, device, boot, what, body) "
                "VALUES(?, '', '', ?, ?)",
                (now, what, json.dumps(body)),
            )
        )
        self._happenings.append(Notice(now, "", "", what, body))

    def disconnect_all(self) -> None:
        """Note that no device is connected: the broker is new, they will say hello."""
        self._locked(
            lambda connection: connection.execute("UPDATE status SET online = 0")
        )

    def take(self) -> list[Happening]:
        """Return what happened since this was last asked, the oldest first."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._happenings.popleft())
        return taken

    # Reading

    def reader(self) -> Reader:
        """Return a connection that can only read; close it.

        Read in parts: a reader that keeps the log from shrinking for long is cut
        off and raises `JournalError`.
        """
        return self._readers.open()

    def checkpoint(self) -> None:
        """Write the log back into the file if it is long, readers permitting."""
        size = size_of(self._wal)
        if size <= CHECKPOINT_BYTES:
            return
        with self._lock:
            connection = self._require()
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if size <= self._wal_limit:
                    return
                what = "log_not_shrinking"  # somebody of another process reads
                if self._readers.cut_off_long(PATIENCE_S):
                    # Now that nobody reads, all of it can go into the file, and the
                    # next transaction begins the log anew.
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    what = "reader_cut_off"
                key, now = ("", "", what), self._clock()
                if (
                    not 0
                    <= now - self._memory.noticed.get(key, now - 600_000)
                    < 600_000
                ):
                    self._memory.noticed[key] = now
                    self.notice(what, {"log_bytes": size})
            except sqlite3.Error as error:
                raise self._failure(error) from error

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the file and of its log."""
        return {"journal": size_of(self.path), "log": size_of(self._wal)}

    # Transactions

    def _transaction(self, work: Callable[[Group], object]) -> list[Ack]:
        """Run a group in one transaction; return its acknowledgements."""

        def inside(connection: sqlite3.Connection) -> Group:
            group = Group(connection, self._boots, self._memory)
            work(group)
            group.write()
            return group

        with self._lock:
            group = self._locked(inside)
            acks = group.acks()
            self.tally.add(group.tally)
            self._happenings.extend(group.happenings)
            self._boots.trim()
        with contextlib.suppress(StorageError):  # what is in the log is on disk
            self.checkpoint()
        return acks

    def _locked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run something in one transaction."""
        with self._lock:
            connection = self._require()
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                self._undo(connection)
                if isinstance(error, sqlite3.Error):
                    raise self._failure(error) from error
                raise
            return result

    def _undo(self, connection: sqlite3.Connection) -> None:
        self._boots.forget_all()
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _require(self) -> sqlite3.Connection:
        """Return the connection; open the file again if an error closed it."""
        if self._closed:
            raise JournalError(f"{self.path} was closed")
        if self._connection is None:
            try:
                self._open()
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise StorageError(
                    "io", f"{self.path} cannot be opened again: {error}"
                ) from error
        assert self._connection is not None
        return self._connection

    def _failure(self, error: sqlite3.Error) -> Exception:
        """Say what a storage error means; after most, the file is opened again."""
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            return StorageError(
                "full", f"no space left for {self.path}: nothing was stored. Free some"
            )
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StorageError(
                "busy", f"another process writes {self.path}: nothing was stored"
            )
        if primary in (
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_PROTOCOL,
            sqlite3.SQLITE_READONLY,
        ):
            # After a failed flush the system may take lost pages for written ones:
            # this connection is not used again, and the log is written anew.
            self._suspect = True
            self._drop()
            kind = "corrupt" if is_corrupt(error) else "io"
            return StorageError(kind, f"{self.path}: {error}: nothing was stored")
        return error


def _take_all(group: Group, reads: Iterable[Read]) -> None:
    for read in reads:
        group.take(read)


def _check_gaps(group: Group, gaps: Iterable[tuple[str, str]], now: int) -> None:
    for device, boot in gaps:
        group.check_gap(device, boot, now)
