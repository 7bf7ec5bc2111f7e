"""Open a SQLite file for durable writing, and bring its schema up to date.

Every table of a fleet that must survive a power cut lives in a file opened here:
write-ahead log, every commit on disk before it returns, one migration per
transaction, and no way back to a schema this version does not know.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError

#: Oldest SQLite with everything used here (RETURNING, STRICT tables).
_OLDEST_SQLITE = (3, 37, 0)

#: How long a writer waits for another one before it gives up, s.
_BUSY_SECONDS = 30.0


class Database:
    """A SQLite file with one connection that threads may share.

    Parameters
    ----------
    path : path
        The file; created when absent, as are the folders above it.
    migrations : sequence of str
        One SQL script per schema version, the first creates the schema. Only ever
        appended to. A table ``meta(key TEXT PRIMARY KEY, value)`` is added by itself.
    what : str
        What the file is, for messages ("the fleet's control file").

    Raises
    ------
    InputError
        If the file is no SQLite database, or was written by a newer Tilth.
    """

    def __init__(
        self, path: str | os.PathLike[str], migrations: Sequence[str], what: str
    ) -> None:
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise InputError(
                f"this Python brings SQLite {sqlite3.sqlite_version}; {what} needs "
                "3.37 or newer"
            )
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        # Group and others get nothing: password hashes live in such files. The
        # -wal and -shm files take their mode from the database itself.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._connection = sqlite3.connect(
            self.path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._open(migrations, what)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, migrations: Sequence[str], what: str) -> None:
        self._connection.row_factory = sqlite3.Row
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} is not {what}: {error}. Restore it from a backup "
                "(tilth fleet restore) or move it away"
            ) from error
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        migrate(self._connection, migrations, what, self.path)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one transaction: all of it or nothing.

        Nested use joins the outer transaction. The commit is on disk when the
        outermost block ends.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT (full disk) may have rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def write(self, sql: str, *values: Any) -> int:
        """Run one statement in a transaction; return how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(sql, values).rowcount

    def meta(self, key: str, default: str | None = None) -> str | None:
        """Return a value of the table ``meta``."""
        found = self.row("SELECT value FROM meta WHERE key = ?", key)
        return default if found is None else str(found["value"])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value in the table ``meta``."""
        self.write(
            "INSERT INTO meta(key, value) VALUES (?, ?) "
            "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[str],
    what: str,
    path: str | os.PathLike[str],
) -> None:
    """Run the migrations a file has not seen yet, each in a transaction of its own.

    A crash leaves the file at the version before or after a step, never between.

    Parameters
    ----------
    connection : sqlite3.Connection
        With ``isolation_level=None``.
    migrations : sequence of str
        One SQL script per version. Statements end with ``;`` at the end of a line.
    what, path
        What the file is and where, for messages.

    Raises
    ------
    InputError
        If the file was written by a newer version.
    """
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value)"
            )
            found = connection.execute(
                "SELECT value FROM meta WHERE key = 'schema'"
            ).fetchone()
            version = int(found[0]) if found else 0
            if version > len(migrations):
                raise InputError(
                    f"{path} is {what} of schema {version}, written by a newer Tilth; "
                    f"this one knows up to {len(migrations)}: upgrade Tilth, or "
                    "restore a backup of the older version"
                )
            if version < len(migrations):
                for statement in statements(migrations[version]):
                    connection.execute(statement)
                version += 1
                connection.execute(
                    "INSERT INTO meta(key, value) VALUES ('schema', ?) "
                    "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                    (str(version),),
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if version == len(migrations):
            return


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script (executescript would commit in between)."""
    statement = ""
    for line in script.splitlines():
        if not line.strip() or line.strip().startswith("--"):
            continue
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise InputError(f"a migration ends inside a statement: {statement.strip()!r}")


def read_only(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open a SQLite file for reading only, beside its writer.

    Keep it short: a reader that stays open keeps the write-ahead log from shrinking.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist")
    # The path is quoted, for '?' and '#' mean something in a URI.
    uri = Path(path).resolve().as_uri() + "?mode=ro"
    connection = sqlite3.connect(
        uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    connection.execute("PRAGMA query_only = ON")
    return connection
