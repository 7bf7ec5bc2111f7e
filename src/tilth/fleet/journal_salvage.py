"""A damaged journal is put aside, and what can be read of it goes on in a new one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tilth.fleet.journal_ranges import RangeSet

#: Tables in the order they are needed; the records come last and are read apart.
_TABLES = (
    "devices", "boots", "tombstones", "spans", "rollups", "counters",
    "syncs", "status", "quarantine", "conflicts", "notices", "seals", "purging",
)  # fmt: skip
_RECORDS = ("samples", "events")
#: What the index of a table still tells where the table itself is ruined.
_KEYS = {"devices": "id, name", "boots": "id, device, boot"}
#: Numbers read at once.
_WINDOW = 4096


def put_aside(path: Path, stamp: int) -> Path:
    """Rename a journal and its log; return its new name.

    Parameters
    ----------
    path : Path
        The journal; nobody has it open.
    stamp : int
        Goes into the name.
    """
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for end in ("-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{end}", f"{aside}{end}")
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{path}-shm")
    return aside


def salvage(connection: sqlite3.Connection, aside: Path) -> dict[str, int]:
    """Copy what can be read of a damaged journal into an empty one.

    Records that are gone although they were settled get tombstones (``destroyed``), so
    that the ledger does not call them stored.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the new journal; one transaction is made of it all.
    aside : Path
        The damaged one.

    Returns
    -------
    dict of str to int
        Rows copied of each table, and ``lost``: records known to be gone.
    """
    counts: dict[str, int] = {}
    old = sqlite3.connect(aside, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            counts[table] = _copy(connection, table, _rows(old, table))
        for table, columns in _KEYS.items():
            counts[table] += _copy(connection, table, _keys(old, table, columns))
        ranges = _ranges(old)
        places = ranges or _places(connection)
        for table in _RECORDS:
            counts[table] = _copy(connection, table, _records(old, table, places))
        _write_ranges(connection, ranges or _ranges_of_rows(connection))
        _adopt_orphans(connection)
        counts["lost"] = _mark_lost(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        with contextlib.suppress(sqlite3.Error):
            old.close()
    return counts


def _ranges(old: sqlite3.Connection) -> dict[int, RangeSet]:
    """Return the settled numbers of each boot; none if some cannot be read."""
    ranges: dict[int, RangeSet] = {}
    try:
        for boot, first, last in old.execute("SELECT boot, first, last FROM ranges"):
            ranges.setdefault(boot, RangeSet()).add(first, last)
    except sqlite3.DatabaseError:
        return {}
    return ranges


def _places(connection: sqlite3.Connection) -> dict[int, RangeSet]:
    """Return where records of each boot may lie, for want of its ranges."""
    places: dict[int, RangeSet] = {}
    for boot, first, last in connection.execute(
        "SELECT id, 0, seq_last FROM boots WHERE seq_last >= 0 "
        "UNION ALL SELECT boot, min(seq_first), max(seq_last) FROM spans GROUP BY boot"
    ):
        places.setdefault(boot, RangeSet()).add(first, last)
    return places


def _adopt_orphans(connection: sqlite3.Connection) -> None:
    """Give names to boots and devices whose own rows are gone.

    Else a new boot could get the key of a lost one, and its records would be taken
    for repetitions.
    """
    run = connection.execute
    named = " UNION ".join(
        f"SELECT boot FROM {table}"
        for table in ("ranges", "tombstones", "spans", "syncs", "conflicts")
    )
    of_boots = " UNION ".join(
        f"SELECT device FROM {table}" for table in ("boots", "rollups", "counters")
    )
    lost = run(f"{named} EXCEPT SELECT id FROM boots").fetchall()
    if lost:
        device = (
            1
            + run(
                f"SELECT max(device) FROM ({of_boots} UNION SELECT id FROM devices)"
            ).fetchone()[0]
        )
        connection.executemany(
            "INSERT INTO boots(id, device, boot, first_recv, last_recv) "
            "VALUES(?1, ?2, 'lost-' || ?1, 0, 0)",
            [(boot, device) for (boot,) in lost],
        )
    run(
        "INSERT INTO devices(id, name, first_recv, last_recv) "
        f"SELECT device, 'lost-' || device, 0, 0 FROM ({of_boots}) "
        "WHERE device NOT IN (SELECT id FROM devices)"
    )


def _ranges_of_rows(connection: sqlite3.Connection) -> dict[int, RangeSet]:
    """Return what is settled by what there is: records, tombstones, sealed hours."""
    ranges: dict[int, RangeSet] = {}
    for query in (
        "SELECT boot, seq, seq FROM samples ORDER BY boot, seq",
        "SELECT boot, seq, seq FROM events ORDER BY boot, seq",
        "SELECT boot, first, last FROM tombstones",
        "SELECT boot, seq_first, seq_last FROM spans WHERE sealed > 0",
    ):
        for boot, first, last in connection.execute(query):
            ranges.setdefault(boot, RangeSet()).add(first, last)
    return ranges


def _write_ranges(connection: sqlite3.Connection, ranges: dict[int, RangeSet]) -> None:
    for boot, numbers in ranges.items():
        connection.executemany(
            "INSERT INTO ranges(boot, first, last) VALUES(?, ?, ?)",
            [(boot, first, last) for first, last in numbers],
        )


def _copy(
    connection: sqlite3.Connection, table: str, rows: Iterator[sqlite3.Row]
) -> int:
    known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    copied = 0
    for row in rows:
        names = [name for name in row.keys() if name in known]  # noqa: SIM118
        with contextlib.suppress(sqlite3.IntegrityError, sqlite3.DataError):
            copied += connection.execute(
                f"INSERT OR IGNORE INTO {table}({', '.join(names)}) "
                f"VALUES({', '.join('?' * len(names))})",
                [row[name] for name in names],
            ).rowcount
    return copied


def _rows(old: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row]:
    """Yield the rows of a table from both ends, as far as each can be read."""
    for order in ("ASC", "DESC"):
        try:
            cursor = old.cursor()
            cursor.row_factory = sqlite3.Row
            yield from cursor.execute(f"SELECT * FROM {table} ORDER BY 1 {order}")
            return
        except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
            continue


def _keys(old: sqlite3.Connection, table: str, columns: str) -> Iterator[sqlite3.Row]:
    """Yield the keys of a table as its index tells them."""
    order = columns.partition(", ")[2]
    with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        cursor = old.cursor()
        cursor.row_factory = sqlite3.Row
        yield from cursor.execute(
            f"SELECT {columns}, 0 AS first_recv, 0 AS last_recv FROM {table} "
            f"ORDER BY {order}"
        )


def _records(
    old: sqlite3.Connection, table: str, places: dict[int, RangeSet]
) -> Iterator[sqlite3.Row]:
    """Yield the records that can be read, boot by boot and number by number."""
    for boot, numbers in sorted(places.items()):
        for first, last in numbers:
            for low in range(first, last + 1, _WINDOW):
                yield from _window(old, table, boot, low, min(low + _WINDOW - 1, last))


def _window(
    old: sqlite3.Connection, table: str, boot: int, first: int, last: int
) -> Iterator[sqlite3.Row]:
    """Yield the records of a window; halve it where a page cannot be read."""
    try:
        cursor = old.cursor()
        cursor.row_factory = sqlite3.Row
        yield from cursor.execute(
            f"SELECT * FROM {table} WHERE boot = ? AND seq BETWEEN ? AND ?",
            (boot, first, last),
        ).fetchall()
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
        if first < last:
            middle = (first + last) // 2
            yield from _window(old, table, boot, first, middle)
            yield from _window(old, table, boot, middle + 1, last)


def _mark_lost(connection: sqlite3.Connection) -> int:
    """Put tombstones on settled numbers of unsealed hours that have no record."""
    lost = 0
    run = connection.execute
    for boot, first, last in run(
        "SELECT boot, seq_first, seq_last FROM spans WHERE sealed = 0 "
        "ORDER BY boot, seq_first"
    ).fetchall():
        held = RangeSet()
        for query in (
            "SELECT seq, seq FROM samples WHERE boot = ? AND seq BETWEEN ? AND ?",
            "SELECT seq, seq FROM events WHERE boot = ? AND seq BETWEEN ? AND ?",
            "SELECT first, last FROM tombstones "
            "WHERE boot = ? AND last >= ? AND first <= ?",
            "SELECT seq_first, seq_last FROM spans "
            "WHERE boot = ? AND seq_last >= ? AND seq_first <= ? AND sealed > 0",
        ):
            for low, high in run(query, (boot, first, last)):
                held.add(low, high)
        settled = run(
            "SELECT max(first, ?2), min(last, ?3) FROM ranges "
            "WHERE boot = ?1 AND last >= ?2 AND first <= ?3",
            (boot, first, last),
        ).fetchall()
        for low, high in settled:
            for gap in held.missing(low, high):
                run(
                    "INSERT OR IGNORE INTO tombstones(boot, first, last, reason, recv) "
                    "VALUES(?, ?, ?, 'destroyed', 0)",
                    (boot, *gap),
                )
                lost += gap[1] - gap[0] + 1
    return lost
