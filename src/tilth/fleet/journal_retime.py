"""Times for records that had none, or a worse one, when their boot gets a clock."""

from __future__ import annotations

import sqlite3

from tilth.fleet.channels import QUALITIES
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.clockmap import is_plausible
from tilth.fleet.journal_boots import Boot
from tilth.fleet.journal_rollups import Rollups
from tilth.fleet.journal_schema import SAMPLE_COLUMNS

#: Sequence numbers looked at in one transaction: keeps it short (tens of ms).
WINDOW = 4_000

#: A time that is off by less stays as it is, ms.
_CLOSE_MS = 1_000

_RECEIVED, _RTC = QUALITIES["received"], QUALITIES["rtc"]

#: Evidence for a clock -> qualities of times that are worse.
_MOVING = {
    "ntp": (_RECEIVED, _RTC),
    "header": (_RECEIVED, _RTC),
    "rtc": (_RECEIVED,),
    "received": (),
}


def retime(connection: sqlite3.Connection, boot: Boot) -> list[tuple[int, int]]:
    """Give times to the next records of a boot, within the transaction.

    Rows without a time get one. Rows timed by receipt or by a battery clock are
    moved where a time server has since told better, unless their hour, old or new,
    has begun to be sealed. Goes on from ``boot.retime``, which is None at the end.

    Parameters
    ----------
    connection : sqlite3.Connection
        The writer's.
    boot : Boot
        Its clock is known.

    Returns
    -------
    list of (int, int)
        First and last number of what was changed, at most one pair.
    """
    assert boot.retime is not None
    first = _next_number(connection, boot, boot.retime)
    if first is None:
        boot.retime = None
        return []
    last = first + WINDOW - 1
    boot.retime = last + 1
    quality = _RECEIVED if boot.clock.source == "received" else QUALITIES["mapped"]
    moving = _MOVING[boot.clock.source]
    fresh: list[tuple] = []
    moved: dict[int, tuple[int, int]] = {}
    sealed = _sealed_hours(connection, boot)
    for table in ("samples", "events"):
        for seq, t, tick, recv, how in connection.execute(
            f"SELECT seq, t, tick, recv, quality FROM {table} "
            "WHERE boot = ? AND seq BETWEEN ? AND ?",
            (boot.id, first, last),
        ).fetchall():
            now = boot.clock.at(tick)
            if not is_plausible(now, recv):
                # A tick beyond all reason: the time of receipt is what there is.
                now = recv if t is None else t
            if t is None:
                fresh.append((seq, now, recv, table))
                _set(connection, table, boot.id, seq, now, quality)
            elif how in moving and abs(now - t) > _CLOSE_MS:
                hours = {t // HOUR_MS, now // HOUR_MS}
                if not hours & sealed:
                    moved[seq] = (t, now)
                    _set(connection, table, boot.id, seq, now, quality)
    if fresh:
        _count(connection, boot, fresh)
    if moved:
        _recount(connection, boot, moved)
    changed = [row[0] for row in fresh] + list(moved)
    return [(min(changed), max(changed))] if changed else []


def _next_number(connection: sqlite3.Connection, boot: Boot, seq: int) -> int | None:
    """Return the first number from `seq` on that has a row; None if there is none."""
    found = connection.execute(
        "SELECT min(seq) FROM (SELECT min(seq) AS seq FROM samples WHERE boot = ?1 "
        "AND seq >= ?2 UNION ALL SELECT min(seq) FROM events WHERE boot = ?1 "
        "AND seq >= ?2)",
        (boot.id, seq),
    ).fetchone()
    return None if found[0] is None else int(found[0])


def _set(
    connection: sqlite3.Connection,
    table: str,
    boot: int,
    seq: int,
    t: int,
    quality: int,
) -> None:
    connection.execute(
        f"UPDATE {table} SET t = ?, quality = ? WHERE boot = ? AND seq = ?",
        (t, quality, boot, seq),
    )


def _sealed_hours(connection: sqlite3.Connection, boot: Boot) -> set[int]:
    found = connection.execute(
        "SELECT hour FROM spans WHERE boot = ? AND sealed > 0", (boot.id,)
    )
    return {hour for (hour,) in found}


def _count(connection: sqlite3.Connection, boot: Boot, fresh: list[tuple]) -> None:
    """Add rows that now have a time to spans, rollups and counters."""
    boot.untimed = max(boot.untimed - len(fresh), 0)
    rollups = Rollups()
    for seq, now, recv, _ in fresh:
        rollups.records(boot.id, boot.device_id, [(seq, now)], recv)
    numbers = [seq for seq, _, _, table in fresh if table == "samples"]
    if numbers:
        rows = _samples(connection, boot, min(numbers), max(numbers))
        wanted = set(numbers)
        _add_by_label(rollups, boot, [row for row in rows if row[1] in wanted])
    rollups.write(connection)


def _recount(
    connection: sqlite3.Connection, boot: Boot, moved: dict[int, tuple[int, int]]
) -> None:
    """Make the spans and rollups of the hours concerned anew from their rows."""
    run = connection.execute
    hours = {t // HOUR_MS for times in moved.values() for t in times}
    marks = ", ".join("?" * len(hours))
    edges = run(
        f"SELECT min(seq_first), max(seq_last) FROM spans "
        f"WHERE boot = ? AND hour IN ({marks})",
        (boot.id, *hours),
    ).fetchone()
    known = [n for n in edges if n is not None]
    first, last = min([*moved, *known]), max([*moved, *known])
    run(f"DELETE FROM spans WHERE boot = ? AND hour IN ({marks})", (boot.id, *hours))
    run(
        f"DELETE FROM rollups WHERE device = ? AND boot = ? AND hour IN ({marks})",
        (boot.device_id, boot.id, *hours),
    )
    rollups = Rollups()
    rows = _samples(connection, boot, first, last)
    events = run(
        "SELECT seq, t FROM events "
        "WHERE boot = ? AND seq BETWEEN ? AND ? AND t IS NOT NULL",
        (boot.id, first, last),
    ).fetchall()
    inside = [row for row in rows if row[2] is not None and row[2] // HOUR_MS in hours]
    times = [(row[1], row[2]) for row in inside]
    times += [(seq, t) for seq, t in events if t // HOUR_MS in hours]
    rollups.respan(boot.id, times)
    _add_by_label(rollups, boot, inside)
    rollups.write(connection)
    days = {t // DAY_MS for times in moved.values() for t in times}
    for day in days:
        run(
            "INSERT INTO counters(device, day, received) SELECT ?1, ?2, "
            "ifnull(sum(n), 0) FROM spans JOIN boots ON boots.id = spans.boot "
            "WHERE boots.device = ?1 AND hour >= 24 * ?2 AND hour < 24 * ?2 + 24 "
            "ON CONFLICT(device, day) DO UPDATE SET received = excluded.received",
            (boot.device_id, day),
        )


def _samples(
    connection: sqlite3.Connection, boot: Boot, first: int, last: int
) -> list[tuple]:
    return connection.execute(
        f"SELECT {', '.join(SAMPLE_COLUMNS)} FROM samples "
        "WHERE boot = ? AND seq BETWEEN ? AND ?",
        (boot.id, first, last),
    ).fetchall()


def _add_by_label(rollups: Rollups, boot: Boot, rows: list[tuple]) -> None:
    """Add rows to the rollups, label by label."""
    loc = SAMPLE_COLUMNS.index("loc")
    for label in {row[loc] for row in rows}:
        part = [row for row in rows if row[loc] == label]
        rollups.samples(boot.device_id, boot.id, part)
