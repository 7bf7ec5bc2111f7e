"""What the journal remembers of each boot while it runs, and how it is kept."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator

from tilth.fleet.clockmap import BootClock, SyncPoint
from tilth.fleet.journal_ranges import RangeSet

#: Boots held in memory; the others are read again when they are heard of.
MAX_BOOTS = 4096

#: Columns of the table that change while a boot goes on.
_CHANGING = (
    "last_recv", "fw", "tick_last", "seq_last", "low", "known", "held", "clock_a",
    "clock_b", "clock_source", "clock_heard", "untimed",
)  # fmt: skip


class Boot:
    """One boot of a device: which numbers are settled, and its clock.

    Attributes
    ----------
    id, device_id : int
        Keys in the journal.
    device, boot : str
        Names on the wire.
    ranges : RangeSet
        Settled sequence numbers.
    seq_last : int
        Highest number received; -1 without any.
    low : int
        Lowest number the device still holds, as far as it told.
    known : int
        Highest number the device told of, received or not.
    held : bool
        False once a hello of the device does not mention this boot any more.
    gap : tuple or None
        What the device no longer holds though it is not settled, and since when.
    untimed : int
        Rows without a time.
    retime : int or None
        Number from which rows await a (better) time.
    syncs_changed : bool
        Whether its synchronisations differ from those in the table.
    """

    __slots__ = (
        "boot",
        "clock",
        "device",
        "device_id",
        "first_recv",
        "fw",
        "gap",
        "held",
        "id",
        "known",
        "last_recv",
        "low",
        "ranges",
        "retime",
        "seq_last",
        "syncs_changed",
        "tick_last",
        "untimed",
    )

    def __init__(
        self, id_: int, device_id: int, device: str, boot: str, recv: int
    ) -> None:
        self.id = id_
        self.device_id = device_id
        self.device = device
        self.boot = boot
        self.first_recv = self.last_recv = recv
        self.fw = ""
        self.tick_last = self.seq_last = self.known = -1
        self.low = self.untimed = 0
        self.held = True
        self.ranges = RangeSet()
        self.clock = BootClock()
        self.gap: tuple[int, int] | None = None
        self.retime: int | None = None
        self.syncs_changed = False

    def changing(self) -> tuple:
        """Return the values of the columns that change, then the key."""
        clock = self.clock
        return (
            self.last_recv,
            self.fw,
            self.tick_last,
            self.seq_last,
            self.low,
            self.known,
            self.held,
            clock.at(0) if clock.known else None,
            clock.rate_ppb,
            clock.source,
            clock.heard,
            self.untimed,
            self.id,
        )


class Boots:
    """The boots of a journal, the recent ones in memory.

    Parameters
    ----------
    connection : sqlite3.Connection
        The writer's.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._recent: OrderedDict[tuple[str, str], Boot] = OrderedDict()
        self._devices: dict[str, int] = {}

    def get(self, device: str, boot: str, recv: int) -> Boot:
        """Return a boot; the journal learns of it if it did not know it."""
        found = self._recent.get((device, boot))
        if found is None:
            found = self._load(device, boot) or self._create(device, boot, recv)
            self._recent[device, boot] = found
        else:
            self._recent.move_to_end((device, boot))
        return found

    def find(self, device: str, boot: str) -> Boot | None:
        """Return a boot, or None if the journal has never heard of it."""
        found = self._recent.get((device, boot))
        if found is None:
            found = self._load(device, boot)
            if found is not None:
                self._recent[device, boot] = found
        return found

    def of_device(self, device: str) -> list[Boot]:
        """Return the boots of a device that are not complete as far as is known."""
        rows = self._connection.execute(
            "SELECT b.boot FROM boots b JOIN devices d ON d.id = b.device "
            "WHERE d.name = ? ORDER BY b.id DESC LIMIT 64",
            (device,),
        ).fetchall()
        return [self.get(device, boot, 0) for (boot,) in rows]

    def untimed(self, most: int) -> list[Boot]:
        """Return boots that have records without a time, those waiting longest."""
        rows = self._connection.execute(
            "SELECT d.name, b.boot FROM boots b JOIN devices d ON d.id = b.device "
            "WHERE b.untimed > 0 ORDER BY b.first_recv LIMIT ?",
            (most,),
        ).fetchall()
        return [self.get(device, boot, 0) for device, boot in rows]

    def __iter__(self) -> Iterator[Boot]:
        return iter(self._recent.values())

    def forget_all(self) -> None:
        """Drop what is in memory, because a transaction was rolled back."""
        self._recent.clear()
        self._devices.clear()

    def trim(self) -> None:
        """Drop what was not used for longest; only between transactions."""
        while len(self._recent) > MAX_BOOTS:
            self._recent.popitem(last=False)

    def device_id(self, device: str, recv: int) -> int:
        """Return the key of a device; the journal learns of it if it is new."""
        known = self._devices.get(device)
        if known is None:
            run = self._connection.execute
            run(
                "INSERT INTO devices(name, first_recv, last_recv) VALUES(?, ?, ?) "
                "ON CONFLICT(name) DO NOTHING",
                (device, recv, recv),
            )
            found = run("SELECT id FROM devices WHERE name = ?", (device,)).fetchone()
            known = self._devices[device] = int(found[0])
            if len(self._devices) > MAX_BOOTS:
                del self._devices[next(iter(self._devices))]
        return known

    def _create(self, device: str, boot: str, recv: int) -> Boot:
        device_id = self.device_id(device, recv)
        key = self._connection.execute(
            "INSERT INTO boots(device, boot, first_recv, last_recv) VALUES(?, ?, ?, ?)",
            (device_id, boot, recv, recv),
        ).lastrowid
        assert key is not None
        return Boot(key, device_id, device, boot, recv)

    def _load(self, device: str, boot: str) -> Boot | None:
        run = self._connection.execute
        row = run(
            "SELECT b.id, b.device, b.first_recv, b.last_recv, b.fw, b.tick_last, "
            "b.seq_last, b.low, b.known, b.held, b.clock_source, b.clock_heard, "
            "b.untimed FROM boots b JOIN devices d ON d.id = b.device "
            "WHERE d.name = ? AND b.boot = ?",
            (device, boot),
        ).fetchone()
        if row is None:
            return None
        one = Boot(row[0], row[1], device, boot, row[2])
        one.last_recv, one.fw, one.tick_last, one.seq_last = row[3:7]
        one.low, one.known, one.held = row[7], row[8], bool(row[9])
        source, heard, one.untimed = row[10:13]
        one.ranges = RangeSet(
            run("SELECT first, last FROM ranges WHERE boot = ?", (one.id,))
        )
        points = run(
            "SELECT tick, utc, source, recv FROM syncs WHERE boot = ?", (one.id,)
        )
        one.clock = BootClock([SyncPoint(*point) for point in points], heard)
        if source and not one.clock.known:
            one.clock.settle()
        if one.untimed and one.clock.known:
            one.retime = 0
        return one

    def save(self, boots: list[Boot]) -> None:
        """Write what changed of these boots, within the transaction."""
        many = self._connection.executemany
        removed, changed = [], []
        for boot in boots:
            gone, new = boot.ranges.changes()
            removed += [(boot.id, first) for first in gone]
            changed += [(boot.id, first, last) for first, last in new]
            if boot.syncs_changed:
                self._save_clock(boot)
        if removed:
            many("DELETE FROM ranges WHERE boot = ? AND first = ?", removed)
        many(
            "INSERT INTO ranges(boot, first, last) VALUES(?, ?, ?) "
            "ON CONFLICT(boot, first) DO UPDATE SET last = excluded.last",
            changed,
        )
        many(_UPDATE_BOOT, [boot.changing() for boot in boots])
        many(
            "UPDATE devices SET last_recv = ? WHERE id = ?",
            [(boot.last_recv, boot.device_id) for boot in boots],
        )

    def _save_clock(self, boot: Boot) -> None:
        """Write the synchronisations of a boot."""
        run = self._connection.execute
        run("DELETE FROM syncs WHERE boot = ?", (boot.id,))
        self._connection.executemany(
            "INSERT INTO syncs(boot, tick, utc, source, recv) VALUES(?, ?, ?, ?, ?)",
            [(boot.id, p.tick, p.utc, p.source, p.recv) for p in boot.clock.points],
        )
        boot.syncs_changed = False


_UPDATE_BOOT = (
    f"UPDATE boots SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE id = ?"
)
