"""The control file: what people decided about a fleet, and the fleet's secret."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.clock import now_ms
from tilth.fleet.control_schema import MIGRATIONS
from tilth.fleet.database import Database

#: Name of the control file and of the secret in the data folder of a fleet.
CONTROL_FILE = "control.sqlite"
SECRET_FILE = "secret.key"

#: States a command can no longer leave.
FINAL_STATES = ("done", "failed", "expired", "refused")


class Secret:
    """Bytes that no log, traceback or ``repr`` shows."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the bytes: hand them to a hash or a cipher, never to text."""
        return self._value

    def derive(self, purpose: str) -> bytes:
        """Return the 32 bytes HMAC-SHA256(secret, purpose)."""
        return hmac.new(self._value, purpose.encode(), hashlib.sha256).digest()

    def __repr__(self) -> str:
        return "Secret(not shown)"

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled: pass the path of its file")


def master_secret(folder: str | os.PathLike[str]) -> Secret:
    """Return the fleet's master secret, making it on first use.

    32 random bytes as hexadecimal text in a file of its own that only its owner may
    read. The keys that sign commands come from it; it is in no database, so that a
    copy of one gives nothing away.

    Parameters
    ----------
    folder : path
        The fleet's data folder.

    Returns
    -------
    Secret
        Its ``derive("command:<device>")`` is a device's command key.

    Raises
    ------
    InputError
        If the file is readable for others or damaged.
    """
    path = Path(folder) / SECRET_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write_secret(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise InputError(
            f"{path} can be read by others than its owner: chmod 600 {path}, and "
            "make a new one if somebody may have read it"
        )
    try:
        value = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        value = b""
    if len(value) != 32:
        raise InputError(
            f"{path} does not hold 64 hexadecimal digits: restore it from a backup, "
            "for the devices only accept commands signed with it"
        )
    return Secret(value)


def _write_secret(path: Path) -> None:
    """Write a new secret; of two processes that try at once, one wins."""
    # The file gets its name only when complete: a power cut leaves none or a whole one.
    half = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(half, path)
    finally:
        half.unlink()
    sync_folder(path.parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable (a rename is not, before this)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Control:
    """The control file of a fleet: devices, commands, firmware, settings.

    Accounts are in `tilth.fleet.accounts`, placements in `tilth.fleet.placement`;
    both work on an object of this class. Threads may share it.

    Parameters
    ----------
    path : path
        ``DIR/control.sqlite``; made when absent.
    clock : callable
        Gives utc ms.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Control(f"{folder}/control.sqlite", clock=lambda: 1000) as control:
    ...         control.enrol("0123456789ab", mqtt_hash="scrypt$...")
    ...         control.device("0123456789ab")["enabled"]
    1
    """

    def __init__(
        self, path: str | os.PathLike[str], clock: Callable[[], int] = now_ms
    ) -> None:
        self.clock = clock
        self.database = Database(path, MIGRATIONS, "the fleet's control file")

    @property
    def folder(self) -> Path:
        """The data folder the file lies in."""
        return self.database.path.parent

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self.database.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def transaction(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """Give the connection inside one transaction: all of it or nothing."""
        return self.database.transaction()

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Return all rows of a query as dicts."""
        return [dict(row) for row in self.database.rows(sql, *values)]

    def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """Return the first row of a query as a dict, or None."""
        found = self.database.row(sql, *values)
        return None if found is None else dict(found)

    def write(self, sql: str, *values: Any) -> int:
        """Run one statement in a transaction; return how many rows it changed."""
        return self.database.write(sql, *values)

    # Devices

    def enrol(
        self, device: str, *, mqtt_hash: str | None, name: str = "", by: str = ""
    ) -> None:
        """Enter a device, or give a known one a new password hash and enable it."""
        now = self.clock()
        self.write(
            "INSERT INTO devices(device, name, mqtt_hash, enrolled_at, enrolled_by,"
            " changed_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(device) DO UPDATE SET"
            " mqtt_hash = excluded.mqtt_hash, enabled = 1,"
            " name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END,"
            " changed_at = excluded.changed_at",
            *(device, name, mqtt_hash, now, by, now),
        )

    def set_enabled(self, device: str, enabled: bool) -> None:
        """Let a device in again, or lock it out."""
        if not self.write(
            "UPDATE devices SET enabled = ?, changed_at = ? WHERE device = ?",
            *(int(enabled), self.clock(), device),
        ):
            raise InputError(f"no device {device!r} is enrolled in this fleet")

    def device(self, device: str) -> dict[str, Any] | None:
        """Return what is known of a device, or None."""
        return self.row("SELECT * FROM devices WHERE device = ?", device)

    def devices(self) -> list[dict[str, Any]]:
        """Return all enrolled devices, in the order of their addresses."""
        return self.rows("SELECT * FROM devices ORDER BY device")

    # Commands

    def add_command(
        self,
        command: str,
        device: str,
        cmd: str,
        args: dict[str, Any],
        *,
        after: int,
        before: int,
        by: str,
    ) -> None:
        """Enter a command before it is sent; `command` is its id."""
        now = self.clock()
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO commands(id, device, cmd, args, after, before, created,"
                " created_by, state_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (command, device, cmd, _json(args), after, before, now, by, now),
            )
            self._command_event(command, now, "queued", {})

    def set_command_state(
        self, command: str, state: str, body: dict[str, Any] | None = None
    ) -> bool:
        """Note how far a command has come; False if unknown or already ended."""
        now = self.clock()
        body = body or {}
        final = ",".join("?" * len(FINAL_STATES))
        with self.transaction() as connection:
            sent = (1, now) if state == "sent" else (0, None)
            changed = connection.execute(
                "UPDATE commands SET state = ?, state_at = ?, sent = sent + ?,"
                " sent_at = coalesce(?, sent_at),"
                " result = CASE ? WHEN '{}' THEN result ELSE ? END"
                f" WHERE id = ? AND state NOT IN ({final})",
                (state, now, *sent, _json(body), _json(body), command, *FINAL_STATES),
            ).rowcount
            if changed:
                self._command_event(command, now, state, body)
        return bool(changed)

    def _command_event(
        self, command: str, t: int, state: str, body: dict[str, Any]
    ) -> None:
        self.write(
            "INSERT INTO command_events(command, t, state, body) VALUES (?, ?, ?, ?)",
            *(command, t, state, _json(body)),
        )

    def command(self, command: str) -> dict[str, Any] | None:
        """Return a command with ``args`` and ``result`` as dicts, or None."""
        return _parsed(self.row("SELECT * FROM commands WHERE id = ?", command))

    def commands(
        self, device: str | None = None, *, open_only: bool = False, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return the latest commands, newest first."""
        final = ",".join("?" * len(FINAL_STATES))
        found = self.rows(
            "SELECT * FROM commands WHERE (?1 IS NULL OR device = ?1)"
            f" AND (NOT ?2 OR state NOT IN ({final}))"
            " ORDER BY created DESC, id LIMIT " + str(int(limit)),
            *(device, open_only, *FINAL_STATES),
        )
        return [parsed for row in found if (parsed := _parsed(row))]

    # Settings and the record of changes

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a setting (any JSON value)."""
        found = self.row("SELECT value FROM settings WHERE key = ?", key)
        return default if found is None else json.loads(found["value"])

    def set_setting(self, key: str, value: Any, by: str = "") -> None:
        """Keep a setting (any JSON value)."""
        self.write(
            "INSERT INTO settings VALUES (?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET"
            " value = excluded.value, changed = excluded.changed,"
            " changed_by = excluded.changed_by",
            *(key, _json(value), self.clock(), by),
        )

    def note(self, user: str, action: str, body: dict[str, Any] | None = None) -> None:
        """Record who changed what; never put a secret into `body`."""
        self.write(
            "INSERT INTO audit(t, user, action, body) VALUES (?, ?, ?, ?)",
            *(self.clock(), user, action, _json(body or {})),
        )

    def schema(self) -> int:
        """Return the schema version of the file."""
        return int(self.database.meta("schema") or 0)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _parsed(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return row | {key: json.loads(row[key]) for key in ("args", "result")}


@contextlib.contextmanager
def open_control(
    folder: str | os.PathLike[str], clock: Callable[[], int] = now_ms
) -> Iterator[Control]:
    """Open the control file of a data folder for the length of a block."""
    control = Control(Path(folder) / CONTROL_FILE, clock)
    try:
        yield control
    finally:
        control.close()
