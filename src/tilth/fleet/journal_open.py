"""Open a journal, whatever the last writer, its disk or a power cut left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.database import migrate
from tilth.fleet.journal_files import JournalError
from tilth.fleet.journal_salvage import put_aside, salvage
from tilth.fleet.journal_schema import APPLICATION_ID, MIGRATIONS
from tilth.fleet.journal_wal import inspect_wal, repair_wal

_log = logging.getLogger(__name__)

#: The log is written back into the file when it is larger than this, bytes.
CHECKPOINT_BYTES = 8 * 1024 * 1024

_WHAT = "the journal of a fleet"
_PAGE = 8192

#: What an operator should know: a word, and numbers.
Finding = tuple[str, dict[str, Any]]


def open_journal(
    path: Path, stamp: int, suspect: bool = False
) -> tuple[sqlite3.Connection, list[Finding]]:
    """Open the file for writing, made if it is absent.

    After an unclean end (a log is there) the log is looked at before SQLite reads
    it, and the file is checked. A damaged log is copied aside and mended where
    possible; a damaged file is put aside and what can be read of it goes on in a new
    one.

    Parameters
    ----------
    path : Path
        The journal; nobody else writes it.
    stamp : int
        Goes into the names of what is put aside: ms since 1970 UTC.
    suspect : bool
        This process had it open and met an error: check the file.

    Returns
    -------
    connection : sqlite3.Connection
        With a log that is empty: all of it is in the file, and flushed.
    findings : list of (str, dict)
        ``journal_log_damaged`` or ``journal_damaged``, with what was done.

    Raises
    ------
    JournalError
        If it is no journal, or a newer Tilth wrote it.
    sqlite3.Error
        If the disk fails.
    """
    wal = path.with_name(path.name + "-wal")
    check = suspect or size_of(wal) > 0
    # While the service runs, its other connections may be writing to the log: it is
    # only looked at, and mended, before anybody has opened it.
    findings = _look_at_log(wal, stamp) if check and not suspect else []
    try:
        return _connect(path, check), findings
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        aside = put_aside(path, stamp)
        connection = _connect(path, check=False)
        try:
            counts = salvage(connection, aside)
        except BaseException:
            connection.close()
            raise
        body = {"error": str(error), "aside": aside.name, "salvaged": counts}
        return connection, [*findings, ("journal_damaged", body)]


def _look_at_log(wal: Path, stamp: int) -> list[Finding]:
    """Copy and mend a log that was damaged, before SQLite drops its end."""
    report = inspect_wal(wal)
    if not report.damaged:
        if report.torn:
            _log.info("%s ends in a write that was cut off: %s", wal, report)
        return []
    aside = wal.with_name(f"{wal.name}.damaged-{stamp}")
    shutil.copyfile(wal, aside)
    mended = repair_wal(wal)
    # The index belongs to the log as it was.
    with contextlib.suppress(FileNotFoundError):
        os.remove(wal.with_name(wal.name.removesuffix("-wal") + "-shm"))
    body = {
        "copy": aside.name,
        "repaired": mended.repaired,
        "lost_commits": mended.lost_commits,
    }
    return [("journal_log_damaged", body)]


def _connect(path: Path, check: bool) -> sqlite3.Connection:
    fresh = size_of(path) == 0
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        path, timeout=10.0, isolation_level=None, check_same_thread=False
    )
    try:
        _set_up(connection, path, fresh, check)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(
    connection: sqlite3.Connection, path: Path, fresh: bool, check: bool
) -> None:
    """Configure and check the file as it is, and bring its schema up to date."""
    run = connection.execute
    ours = run("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    if fresh:
        run(f"PRAGMA page_size = {_PAGE}")
    elif not ours and run("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise JournalError(
            f"{path} is a SQLite file, but not {_WHAT}: move it away, or give another "
            "folder"
        )
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = FULL")
    run("PRAGMA fullfsync = ON")
    run("PRAGMA wal_autocheckpoint = 0")
    run(f"PRAGMA journal_size_limit = {8 * CHECKPOINT_BYTES}")
    run("PRAGMA cache_size = -65536")
    run("PRAGMA temp_store = MEMORY")
    if check:
        found = run("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"malformed: {found}")
    if not ours:
        # Before the first table: a crash in between leaves an empty journal, not a
        # file of somebody else's that no server would open again.
        run(f"PRAGMA application_id = {APPLICATION_ID}")
    try:
        migrate(connection, MIGRATIONS, _WHAT, path)
    except InputError as error:
        raise JournalError(str(error)) from error
    # All of the log goes into the file and is flushed there: what was found in the
    # log is then on the disk, whatever became of its last flush.
    if run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        _log.warning("%s is being read: its log stays as it is", path)


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if it is absent."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_corrupt(error: sqlite3.Error) -> bool:
    """Tell whether an error says that the file is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error).startswith("malformed")
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
