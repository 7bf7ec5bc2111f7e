"""Settled numbers that have no record, and why: dropped, quarantined, forgotten."""

from __future__ import annotations

import sqlite3

from tilth.fleet.journal_boots import Boot


def settle(
    connection: sqlite3.Connection,
    boot: Boot,
    first: int,
    last: int,
    reason: str,
    recv: int,
) -> list[tuple[int, int]]:
    """Put tombstones on what is missing of ``first .. last``, within a transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        The writer's.
    boot : Boot
        Whose numbers; they count as settled afterwards.
    first, last : int
        Closed range.
    reason : str
        ``overflow``, ``poison``, ``corrupt`` or ``dropped`` (the device said so),
        ``quarantined``, ``forgotten``, or ``destroyed`` in a damaged journal.
    recv : int
        When this was learned, ms since 1970 UTC.

    Returns
    -------
    list of (int, int)
        The ranges that were missing.
    """
    gaps = boot.ranges.missing(first, last)
    for low, high in gaps:
        add(connection, boot.id, low, high, reason, recv)
    if gaps:
        boot.ranges.add(first, last)
    return gaps


def add(
    connection: sqlite3.Connection,
    boot: int,
    first: int,
    last: int,
    reason: str,
    recv: int,
) -> None:
    """Put a tombstone on numbers that have neither record nor tombstone."""
    connection.execute(
        "INSERT INTO tombstones(boot, first, last, reason, recv) VALUES(?, ?, ?, ?, ?)",
        (boot, first, last, reason, recv),
    )


def cut(
    connection: sqlite3.Connection, boot: int, first: int, last: int
) -> list[tuple[int, int, str]]:
    """Take the tombstones off ``first .. last``.

    Returns
    -------
    list of (int, int, str)
        The ranges that had one, and what it said.
    """
    run = connection.execute
    found = run(
        "SELECT first, last, reason, recv FROM tombstones "
        "WHERE boot = ? AND first <= ? AND last >= ?",
        (boot, last, first),
    ).fetchall()
    taken = []
    for low, high, reason, recv in found:
        run("DELETE FROM tombstones WHERE boot = ? AND first = ?", (boot, low))
        if low < first:
            add(connection, boot, low, first - 1, reason, recv)
        if high > last:
            add(connection, boot, last + 1, high, reason, recv)
        taken.append((max(low, first), min(high, last), reason))
    return taken
