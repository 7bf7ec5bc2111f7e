"""Files the journal does not know: its own, from a time it has forgotten, or foreign.

A journal that was restored from a backup, or saved from a damaged file, may lack the
lines about files that were sealed since. Their records are real, and devices have
deleted theirs. Such a file is *adopted*: it counts again, its numbers are settled, its
hours are in the rollups. What does not fit (a foreign file, a merged file whose parts
are there too) is left to be set aside.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tilth.fleet.archive.store import Store
from tilth.fleet.clock import DAY_MS, HOUR_MS, day_name
from tilth.fleet.journal_boots import Boot, Boots
from tilth.fleet.journal_rollups import Rollups
from tilth.fleet.journal_schema import SAMPLE_COLUMNS
from tilth.fleet.journal_tombstones import cut

_log = logging.getLogger("tilth.fleet.archive")

_KEY = ("device", "boot", "seq")


def adopt(journal: sqlite3.Connection, store: Store, file: str, now: int) -> bool:
    """Make an unknown file count again, if nothing speaks against it.

    Only before the journal is written by others: what it remembers of its boots is
    read anew afterwards.

    Parameters
    ----------
    journal : sqlite3.Connection
        With ``isolation_level=None``.
    store : Store
        That holds the file.
    file : str
        Its name.
    now : int
        utc ms.

    Returns
    -------
    bool
        False if it is no file of this archive, or holds records that another file
        that counts holds too.
    """
    loaded = store.load(file)
    if loaded is None:
        return False
    kind, day, table = loaded
    keys = _keys(table)
    if len(set(keys)) < len(keys):
        return False
    present = set(store.present())
    others = _sealed(journal, kind, day)
    there = [name for name, _ in others if name in present]
    gone = {name: rows for name, rows in others if name not in present}
    times = (day * DAY_MS, (day + 1) * DAY_MS)
    held = _keys(store.read(kind, there, *times, None, list(_KEY)))
    if not set(keys).isdisjoint(held):
        return False
    journal.execute("BEGIN IMMEDIATE")
    try:
        before = _take(journal, kind, table)
        journal.execute(
            "INSERT INTO seals(day, file, rows, state, created)"
            " VALUES (?, ?, ?, 'sealed', ?)",
            (day, file, len(table), now),
        )
        if gone and before >= sum(gone.values()):
            # This file was merged from others that were listed then.
            journal.executemany(
                "DELETE FROM seals WHERE file = ?", [(name,) for name in gone]
            )
        journal.execute("COMMIT")
    except BaseException:
        if journal.in_transaction:
            journal.execute("ROLLBACK")
        raise
    _log.warning("adopted %s with %d records of %s", file, len(table), day_name(day))
    return True


def _sealed(journal: sqlite3.Connection, kind: str, day: int) -> list[tuple[str, int]]:
    return journal.execute(
        "SELECT file, rows FROM seals WHERE state = 'sealed' AND day = ?"
        " AND file LIKE ?",
        (day, f"{kind}/%"),
    ).fetchall()


def _keys(table: pa.Table) -> list[tuple[str, str, int]]:
    return list(zip(*(table[name].to_pylist() for name in _KEY), strict=True))


def _take(journal: sqlite3.Connection, kind: str, table: pa.Table) -> int:
    """Settle the numbers of a file; return how many had been sealed before."""
    boots, rollups = Boots(journal), Rollups()
    touched: list[Boot] = []
    sealed: list[tuple[int, int, int]] = []
    before = 0
    for device, name, rows in _by_boot(table):
        boot = boots.get(device, name, int(rows["recv"].min()))
        touched.append(boot)
        numbers = rows["seq"].tolist()
        first, last = min(numbers), max(numbers)
        hot = {
            n
            for (n,) in journal.execute(
                f"SELECT seq FROM hot_{kind} WHERE boot = ? AND seq BETWEEN ? AND ?",
                (boot.id, first, last),
            )
        }
        new = {n for n in numbers if not boot.ranges.covers(n, n)} - hot
        for n in set(numbers) - new - hot:
            if cut(journal, boot.id, n, n):  # given up for lost
                new.add(n)
        before += len(set(numbers) - new - hot)
        journal.executemany(
            "INSERT INTO purging(boot, first, last) VALUES (?, ?, ?)",
            [(boot.id, n, n) for n in sorted(hot & set(numbers))],
        )
        _count(rollups, kind, boot, rows, np.isin(rows["seq"], list(new)))
        for n in sorted(new):
            boot.ranges.add(n, n)
        boot.seq_last = max(boot.seq_last, last)
        boot.known = max(boot.known, last)
        boot.tick_last = max(boot.tick_last, int(rows["tick"].max()))
        boot.last_recv = max(boot.last_recv, int(rows["recv"].max()))
        now_sealed = np.isin(rows["seq"], list(hot | new))
        hours = rows["t"][now_sealed] // HOUR_MS
        for hour, count in zip(*np.unique(hours, return_counts=True), strict=True):
            sealed.append((int(count), boot.id, int(hour)))
    rollups.write(journal)
    boots.save(touched)
    journal.executemany(
        "UPDATE spans SET sealed = sealed + ? WHERE boot = ? AND hour = ?", sealed
    )
    return before


def _by_boot(table: pa.Table) -> Iterator[tuple[str, str, dict[str, np.ndarray]]]:
    """Yield device, boot and columns of each boot."""
    columns = {
        name: np.array(table[name].to_pylist(), object)
        if pa.types.is_string(table[name].type)
        else table[name].to_numpy()
        for name in table.column_names
    }
    both = list(zip(columns["device"], columns["boot"], strict=True))
    for device, boot in dict.fromkeys(both):
        inside = [i for i, pair in enumerate(both) if pair == (device, boot)]
        yield device, boot, {name: values[inside] for name, values in columns.items()}


def _count(
    rollups: Rollups,
    kind: str,
    boot: Boot,
    rows: dict[str, np.ndarray],
    new: np.ndarray,
) -> None:
    """Add new records to the hourly tables, as when they came."""
    part = {name: values[new].tolist() for name, values in rows.items()}
    times = list(zip(part["seq"], part["t"], strict=True))
    for (seq, t), recv in zip(times, part["recv"], strict=True):
        rollups.records(boot.id, boot.device_id, [(seq, t)], recv)
    if kind != "samples" or not times:
        return
    part["boot"] = [boot.id] * len(times)
    cells = zip(*(part[name] for name in SAMPLE_COLUMNS), strict=True)
    plain = [tuple(None if c != c else c for c in row) for row in cells]
    loc = SAMPLE_COLUMNS.index("loc")
    for label in dict.fromkeys(row[loc] for row in plain):
        rollups.samples(
            boot.device_id, boot.id, [row for row in plain if row[loc] == label]
        )
