"""The oracle: deleted on the device is stored, stored was generated, nothing is twice.

It reads the journal's file with plain SQL and compares every row with what the device
must have measured.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from devices import EVENT_EVERY, PERIOD_MS, Device, event_of, salt_of

_COLUMNS = "seq, t, tick, co2, st, rh, at, p, lux, mv, state, flags"


@dataclass
class Count:
    """Records over all devices."""

    generated: int = 0
    deleted: int = 0
    stored: int = 0
    quarantined: int = 0
    conflicts: int = 0
    tombstones: int = 0


def verify(journal: Path, devices: Iterable[Device], *, clean: bool = True) -> Count:
    """Compare a journal with what devices generated and deleted; raise on any fault.

    Parameters
    ----------
    journal : Path
        The file ``journal.sqlite``; no server needs to run.
    devices : iterable of Device
        Every device that wrote to it.
    clean : bool
        Whether nothing may be in quarantine, in conflict or given up.
    """
    count = Count()
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        one = lambda sql: connection.execute(sql).fetchone()[0]  # noqa: E731
        count.quarantined = one("SELECT count(*) FROM quarantine")
        count.conflicts = one("SELECT count(*) FROM conflicts")
        count.tombstones = one("SELECT count(*) FROM tombstones")
        if clean:
            assert (count.quarantined, count.conflicts, count.tombstones) == (0, 0, 0)
        known = {
            (device, boot): key
            for key, device, boot in connection.execute(
                "SELECT boots.id, devices.name, boots.boot FROM boots"
                " JOIN devices ON devices.id = boots.device"
            )
        }
        mine = set()
        for device in devices:
            for boot in device.boots.values():
                mine.add((device.name, boot.name))
                count.generated += boot.next
                count.deleted += boot.low
                key = known.get((device.name, boot.name))
                if key is None:
                    assert boot.low == 0, f"{device.name} {boot.name}: deleted unstored"
                    continue
                count.stored += _verify_boot(connection, key, device.name, boot, clean)
        assert set(known) <= mine, "boots nobody generated"
    finally:
        connection.close()
    return count


def _verify_boot(connection, key: int, device: str, boot, clean: bool) -> int:
    """Check one boot's rows; return how many there are."""
    what = f"{device} boot {boot.name}"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM samples WHERE boot = ? ORDER BY seq", (key,)
    ).fetchall()
    events = connection.execute(
        "SELECT seq, t, tick, kind, body FROM events WHERE boot = ? ORDER BY seq",
        (key,),
    ).fetchall()
    table = np.array(rows, dtype=np.int64).reshape(len(rows), 12)
    seqs = np.concatenate([table[:, 0], np.array([e[0] for e in events], np.int64)])
    assert len(np.unique(seqs)) == len(seqs), f"{what}: a number is there twice"
    assert (seqs < boot.next).all(), f"{what}: stored what was never generated"
    buried = np.array(
        [
            number
            for first, last in connection.execute(
                "SELECT first, last FROM tombstones WHERE boot = ?", (key,)
            )
            for number in range(first, last + 1)
        ],
        np.int64,
    )
    missing = np.setdiff1d(np.arange(boot.low), np.concatenate([seqs, buried]))
    assert missing.size == 0, f"{what}: deleted but not stored: {missing[:10]}"
    settled = np.sort(np.unique(np.concatenate([seqs, buried])))
    cuts = np.flatnonzero(np.diff(settled) > 1)
    firsts = settled[np.r_[0, cuts + 1]] if settled.size else []
    lasts = settled[np.r_[cuts, settled.size - 1]] if settled.size else []
    ranges = connection.execute(
        "SELECT first, last FROM ranges WHERE boot = ? ORDER BY first", (key,)
    ).fetchall()
    assert ranges == list(zip(map(int, firsts), map(int, lasts), strict=True)), what
    wanted = expected_samples(device, boot.name, boot.utc0, table[:, 0])
    wrong = np.flatnonzero((table != wanted).any(axis=1))
    assert wrong.size == 0, f"{what}: {table[wrong[:2]]} is not {wanted[wrong[:2]]}"
    salt = salt_of(device, boot.name)
    for seq, t, tick, kind, body in events:
        assert (kind, json.loads(body)) == event_of(salt, seq, boot.utc0), (
            f"{what}: event {seq}"
        )
        assert tick == seq * PERIOD_MS, f"{what}: tick of event {seq}"
        assert t == boot.utc0 + tick, f"{what}: time of event {seq}"
        assert seq % EVENT_EVERY == 0, f"{what}: {seq} is no event"
    return len(seqs)


def expected_samples(device: str, boot: str, utc0: int, seqs: np.ndarray) -> np.ndarray:
    """Return what `sample_of` gives for many numbers, with seq, t and tick before."""
    h = (seqs * 0x9E3779B1 + salt_of(device, boot)) & 0xFFFFFFFF
    return np.stack(
        [
            seqs,
            utc0 + seqs * PERIOD_MS,
            seqs * PERIOD_MS,
            4000 + h % 6007,
            1500 + (h >> 8) % 1501,
            3000 + (h >> 4) % 5003,
            1400 + (h >> 9) % 1499,
            98000 + (h >> 5) % 5009,
            (h >> 7) % 30011,
            4800 + (h >> 11) % 401,
            np.where(seqs % 200 > 60, 2, 5),
            np.zeros_like(seqs),
        ],
        axis=1,
    )
