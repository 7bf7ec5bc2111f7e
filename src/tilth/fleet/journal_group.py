"""One transaction of the journal: a group of messages becomes rows, all or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from tilth.fleet import journal_tombstones as tombstones
from tilth.fleet.batches import Batch, Event, Sample
from tilth.fleet.channels import QUALITIES
from tilth.fleet.clock import HOUR_MS
from tilth.fleet.clockmap import HOLD_MS, SyncPoint
from tilth.fleet.journal_boots import Boot, Boots
from tilth.fleet.journal_messages import (
    Committed,
    Happening,
    Message,
    Read,
    Reported,
    Tally,
)
from tilth.fleet.journal_notices import Memory, Notices, keep_poison
from tilth.fleet.journal_rollups import LATE_MS, Rollups
from tilth.fleet.journal_schema import EVENT_COLUMNS, SAMPLE_COLUMNS
from tilth.fleet.messages import MAX_HAVE, Ack, Status
from tilth.fleet.wire import (
    SEQ_END,
    TIME_END,
    ProtocolError,
    is_boot,
    write_json,
)

#: What a device no longer holds and the journal does not have is forgotten after
#: this long, ms: until then the report that it was dropped may still be under way.
GRACE_MS = 30_000

#: A hello that mentions so many boots may not mention all of them.
MANY_PENDING = 100
#: Most characters kept of each side of a conflict.
_SIDE = 2_000

_UNKNOWN = QUALITIES["unknown"]
_ADD_SAMPLE = (
    f"INSERT INTO samples VALUES({', '.join('?' * len(SAMPLE_COLUMNS))}) "
    "ON CONFLICT(boot, seq) DO NOTHING"
)
_ADD_EVENT = (
    f"INSERT INTO events VALUES({', '.join('?' * len(EVENT_COLUMNS))}) "
    "ON CONFLICT(boot, seq) DO NOTHING"
)


class Group:
    """Rows gathered from messages, written at the end of one transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        The writer's, inside a transaction.
    boots : Boots
        What is known of the boots; changed at once, so that it must be forgotten if
        the transaction fails.
    memory : Memory
        What the journal remembers besides.
    """

    def __init__(
        self, connection: sqlite3.Connection, boots: Boots, memory: Memory
    ) -> None:
        self.happenings: list[Happening] = []
        self.tally = Tally()
        self._connection = connection
        self._boots = boots
        self._memory = memory
        self._samples: list[tuple] = []
        self._events: list[tuple] = []
        self._rollups = Rollups()
        self._notices = Notices(connection, memory, self.happenings)
        self._touched: dict[int, Boot] = {}
        self._answered: dict[int, Boot] = {}

    def take(self, read: Read) -> None:
        """Turn one message into rows."""
        message, device, content = read
        self.tally.messages += 1
        if type(content) is Batch:
            self._batch(device, content, message.recv)
        elif type(content) is Status:
            self._status(device, content, message)
        else:
            assert isinstance(content, ProtocolError)
            self._poison(device, content, message)

    def write(self) -> None:
        """Write what was gathered; the transaction can be committed after it."""
        self._flush()
        self._rollups.write(self._connection)
        self._boots.save(list(self._touched.values()))

    def acks(self) -> list[Ack]:
        """Return one acknowledgement for each boot that asked for one."""
        return [
            Ack(
                boot.device,
                boot.boot,
                boot.ranges.watermark,
                boot.ranges.above(boot.ranges.watermark, MAX_HAVE),
            )
            for boot in self._answered.values()
        ]

    # Batches

    def _batch(self, device: str, batch: Batch, recv: int) -> None:
        boot = self._boots.get(device, batch.boot, recv)
        self._touched[boot.id] = self._answered[boot.id] = boot
        self.tally.batches += 1
        first, last = batch.seq, batch.seq + batch.n - 1
        boot.last_recv = recv
        boot.held = True
        boot.fw = batch.fw
        if batch.low > boot.low:
            boot.low = batch.low
        if last > boot.known:
            boot.known = last
        if last > boot.seq_last:
            boot.seq_last = last
        t, quality = self._time(boot, batch, recv)
        new: tuple[tuple[int, int], ...]
        if boot.ranges.is_free(first, last):
            new = ((first, last),)
            boot.ranges.add(first, last)
            self._store(boot, batch.samples, batch.events, batch, t, quality, recv)
        else:
            new = self._again(boot, batch, t, quality, recv)
        if new:
            self.happenings.append(
                Committed(device, batch.boot, recv, batch, t, quality, new)
            )
            if batch.events:
                self._follow(boot, batch, new, recv)
        if boot.low > boot.ranges.watermark + 1 or boot.gap is not None:
            self._check_gap(boot, recv)

    def _time(self, boot: Boot, batch: Batch, recv: int) -> tuple[int | None, int]:
        """Return the UTC of a batch's tick, having learned what it says of it."""
        clock = boot.clock
        before, points = clock.source, clock.points
        lasting = max([s[1] for s in batch.samples] + [e[1] for e in batch.events])
        end = batch.tick + lasting
        clock.hear(end, recv)
        if end > boot.tick_last:
            boot.tick_last = end
        told = [e for e in batch.events if e.kind == "sync"]
        if told:
            self._sync(boot, told, recv)
        t, quality = clock.time(batch.tick, batch.utc, batch.src, recv, lasting)
        if t is None and recv - boot.first_recv > HOLD_MS:
            # Long enough without a clock: by the best there is, if need be by receipt.
            if clock.settle():
                t, quality = clock.time(batch.tick, None, "none", recv, lasting)
            if t is None:
                t, quality = recv - lasting, QUALITIES["received"]
        if clock.points is not points:
            boot.syncs_changed = True
        if clock.source != before:
            # What has no time yet gets one; a better clock corrects a worse one's.
            boot.retime = 0
        if clock.source in ("ntp", "header"):
            self._watch_for_clones(boot, end, recv)
        return t, quality

    def _sync(self, boot: Boot, told: list[Event], recv: int) -> None:
        points = [
            SyncPoint(
                tick, utc, "ntp" if event.body.get("src") == "ntp" else "rtc", recv
            )
            for event in told
            if type(tick := event.body.get("tick")) is int
            and type(utc := event.body.get("utc")) is int
            and 0 <= tick < TIME_END
        ]
        for point in boot.clock.observe(*points)[:1]:
            body = {"tick": point.tick, "utc": point.utc, "src": point.source}
            self._notices.about(boot, "clock", recv, body)

    def _watch_for_clones(self, boot: Boot, end: int, recv: int) -> None:
        """Notice two boots of one device that are alive at the same time."""
        begin = boot.clock.at(0)
        newest = self._memory.newest.get(boot.device)
        if newest is None or begin > newest[0] or newest[1] == boot.boot:
            self._memory.newest[boot.device] = (begin, boot.boot)
            if len(self._memory.newest) > 100_000:
                self._memory.newest.clear()
        elif boot.clock.at(end) > newest[0] + 60_000:
            self._notices.about(
                boot, "clone", recv, {"other": newest[1], "since": newest[0]}
            )

    def _store(
        self,
        boot: Boot,
        samples: Sequence[Sample],
        events: Sequence[Event],
        batch: Batch,
        t: int | None,
        quality: int,
        recv: int,
    ) -> None:
        """Gather rows of new records."""
        key, seq, tick, loc = boot.id, batch.seq, batch.tick, batch.loc
        n = len(samples) + len(events)
        self.tally.records += n
        rows: list[tuple]
        if t is None:
            boot.untimed += n
            if boot.retime is None and boot.clock.known:
                boot.retime = 0
            rows = [
                (key, seq + s[0], None, tick + s[1], recv, loc, *s[2:], quality)
                for s in samples
            ]
        else:
            rows = [
                (key, seq + s[0], t + s[1], tick + s[1], recv, loc, *s[2:], quality)
                for s in samples
            ]
            numbers, later = [s.i for s in samples], [s.dt for s in samples]
            if events:
                numbers += [e.i for e in events]
                later += [e.dt for e in events]
            low, high = t + min(later), t + max(later)
            hour = low // HOUR_MS
            if high // HOUR_MS == hour and recv - low <= LATE_MS:
                first, last = seq + min(numbers), seq + max(numbers)
                self._rollups.live(key, boot.device_id, n, first, last, low, high)
                if rows:
                    self._rollups.hour(boot.device_id, hour, key, rows)
            else:
                times = [
                    (seq + i, t + dt) for i, dt in zip(numbers, later, strict=True)
                ]
                self._rollups.records(key, boot.device_id, times, recv)
                self._rollups.samples(boot.device_id, key, rows)
        self._samples += rows
        for e in events:
            at = None if t is None else t + e.dt
            place = (key, seq + e.i, at, tick + e.dt, recv, loc)
            self._events.append((*place, e.kind, write_json(e.body), quality))

    def _flush(self) -> None:
        """Insert the rows gathered so far, so that they can be read back."""
        if self._samples:
            self._connection.executemany(_ADD_SAMPLE, self._samples)
            self._samples = []
        if self._events:
            self._connection.executemany(_ADD_EVENT, self._events)
            self._events = []

    # Duplicates and conflicts

    def _again(
        self, boot: Boot, batch: Batch, t: int | None, quality: int, recv: int
    ) -> tuple[tuple[int, int], ...]:
        """Take a batch of which something is settled already; return what is new."""
        first, last = batch.seq, batch.seq + batch.n - 1
        gaps = boot.ranges.missing(first, last)
        # A record that comes after all takes its tombstone away.
        cut = tombstones.cut(self._connection, boot.id, first, last)
        revived = [(low, high) for low, high, _ in cut]
        new = {
            number for low, high in gaps + revived for number in range(low, high + 1)
        }
        known = batch.n - len(new)
        self.tally.duplicates += known
        if known:
            self._rollups.duplicates(boot.device_id, recv if t is None else t, known)
            self._compare(boot, batch, new, recv)
        if not new:
            return ()
        samples = [s for s in batch.samples if first + s.i in new]
        events = [e for e in batch.events if first + e.i in new]
        boot.ranges.add(first, last)
        self._store(boot, samples, events, batch, t, quality, recv)
        return tuple(sorted(gaps + revived))

    def _compare(self, boot: Boot, batch: Batch, new: set[int], recv: int) -> None:
        """Record where a repeated record differs from the one that is kept."""
        first, last = batch.seq, batch.seq + batch.n - 1
        self._flush()
        run, span = self._connection.execute, (boot.id, first, last)
        kept: dict[int, tuple] = {
            row[0]: row[1:]
            for row in run(
                "SELECT seq, tick, loc, co2, st, rh, at, p, lux, mv, state, flags "
                "FROM samples WHERE boot = ? AND seq BETWEEN ? AND ?",
                span,
            )
        }
        kept |= {
            row[0]: row[1:]
            for row in run(
                "SELECT seq, tick, loc, kind, body FROM events "
                "WHERE boot = ? AND seq BETWEEN ? AND ?",
                span,
            )
        }
        sent: dict[int, tuple] = {
            first + s.i: (batch.tick + s.dt, batch.loc, *s[2:]) for s in batch.samples
        }
        for e in batch.events:
            text = write_json(e.body)
            sent[first + e.i] = (batch.tick + e.dt, batch.loc, e.kind, text)
        different = [
            (recv, boot.id, seq, write_json(kept[seq])[:_SIDE], write_json(row)[:_SIDE])
            for seq, row in sent.items()
            if seq not in new and seq in kept and kept[seq] != row
        ]
        if different:
            self._connection.executemany(
                "INSERT OR IGNORE INTO conflicts(recv, boot, seq, kept, refused) "
                "VALUES(?, ?, ?, ?, ?)",
                different,
            )
            self.tally.conflicts += len(different)
            numbers = {"seq": different[0][2], "n": len(different)}
            self._notices.about(boot, "conflict", recv, numbers)

    # What will never come

    def _follow(
        self, boot: Boot, batch: Batch, new: Sequence[tuple[int, int]], recv: int
    ) -> None:
        """Do what new events say: give up what the device has dropped."""
        for event in batch.events:
            if event.kind != "dropped":
                continue
            seq = batch.seq + event.i
            dropped = _dropped(event)
            if dropped and any(low <= seq <= high for low, high in new):
                name, first, last, reason = dropped
                if name == boot.boot and last >= seq:
                    continue  # nobody drops what is not there yet
                of = self._boots.get(boot.device, name, recv)
                self._touched[of.id] = self._answered[of.id] = of
                of.known = max(of.known, last)
                cut = tombstones.cut(self._connection, of.id, first, last)
                for low, high, before in cut:
                    told = reason if before == "forgotten" else before
                    tombstones.add(self._connection, of.id, low, high, told, recv)
                self._settle(of, first, last, reason, recv)

    def _settle(
        self, boot: Boot, first: int, last: int, reason: str, recv: int
    ) -> list[tuple[int, int]]:
        return tombstones.settle(self._connection, boot, first, last, reason, recv)

    def check_gap(self, device: str, name: str, recv: int) -> None:
        """Look again at a boot whose device no longer holds what is missing."""
        boot = self._boots.find(device, name)
        if boot is not None:
            self._check_gap(boot, recv)

    def _check_gap(self, boot: Boot, recv: int) -> None:
        """Give up what the device no longer holds, if it stays away for a while.

        A device deletes only what was acknowledged or is reported as dropped. What
        is missing below its lowest number was therefore acknowledged by a journal
        that has since lost it: one restored from an older backup.
        """
        key = (boot.device, boot.boot)
        watermark = boot.ranges.watermark
        if boot.low <= watermark + 1:
            boot.gap = None
            self._memory.gaps.discard(key)
            return
        if boot.gap is None or boot.gap[0] != watermark or recv < boot.gap[1]:
            boot.gap = (watermark, recv)
            self._memory.gaps.add(key)
        elif recv - boot.gap[1] >= GRACE_MS:
            lost = self._settle(boot, 0, boot.low - 1, "forgotten", recv)
            boot.gap = None
            self._memory.gaps.discard(key)
            self._touched[boot.id] = self._answered[boot.id] = boot
            count = sum(high - low + 1 for low, high in lost)
            self.tally.forgotten += count
            body = {"n": count, "ranges": [list(r) for r in lost[:20]]}
            self._notices.about(boot, "forgotten", recv, body)

    # Status and poison

    def _status(self, device: str, status: Status, message: Message) -> None:
        recv = message.recv
        self.tally.statuses += 1
        self._connection.execute(
            "INSERT INTO status(device, online, boot, recv, body) "
            "VALUES(?, ?, ?, ?, ?) ON CONFLICT(device) DO UPDATE SET "
            "online = excluded.online, boot = excluded.boot, recv = excluded.recv, "
            "body = excluded.body",
            (
                self._boots.device_id(device, recv),
                status.online,
                status.boot,
                recv,
                str(message.payload, "utf-8"),
            ),
        )
        self.happenings.append(Reported(device, recv, status))
        for name, first, last in status.pending:
            boot = self._boots.get(device, name, recv)
            self._touched[boot.id] = self._answered[boot.id] = boot
            boot.last_recv = max(boot.last_recv, recv)
            boot.held = True
            boot.low = max(boot.low, first)
            boot.known = max(boot.known, last)
            self._check_gap(boot, recv)
        if status.online and not message.retained:
            self._drained(device, status, recv)

    def _drained(self, device: str, status: Status, recv: int) -> None:
        """Note which boots a device does not mention: it holds nothing of them.

        What is missing of these is lost, says the ledger. It is not settled, though:
        were it another device of the same name that spoke, the one that still holds
        the records would delete them.
        """
        if len(status.pending) >= MANY_PENDING:
            return  # perhaps not all of them
        held = {name for name, _, _ in status.pending} | {status.boot}
        for boot in self._boots.of_device(device):
            if boot.held and boot.boot not in held:
                boot.held = False
                self._touched[boot.id] = boot
                missing = boot.ranges.missing(0, boot.known)
                if missing:
                    body = {
                        "n": sum(high - low + 1 for low, high in missing),
                        "ranges": [list(gap) for gap in missing[:20]],
                    }
                    self._notices.about(boot, "missing", recv, body)

    def _poison(self, device: str, error: ProtocolError, message: Message) -> None:
        """Put a message that cannot be read aside, whole, and count it as handled."""
        recv, header = message.recv, error.header
        self.tally.quarantined += 1
        keep_poison(self._connection, self._memory, device, error, message)
        body = {"reason": error.reason, "detail": str(error)[:200]}
        if header is None:
            self._notices.give(recv, device, "", "quarantine", body)
            return
        boot = self._boots.get(device, header.boot, recv)
        self._touched[boot.id] = self._answered[boot.id] = boot
        boot.last_recv = recv
        last = header.seq + header.n - 1
        boot.known = max(boot.known, last)
        boot.seq_last = max(boot.seq_last, last)
        self._settle(boot, header.seq, last, "quarantined", recv)
        self._notices.about(
            boot, "quarantine", recv, body | {"seq": header.seq, "n": header.n}
        )


def _dropped(event: Event) -> tuple[str, int, int, str] | None:
    """Read what an event says was dropped; None if it makes no sense."""
    boot, first, last = (event.body.get(name) for name in ("boot", "first", "last"))
    reason = event.body.get("reason")
    if (
        not isinstance(boot, str)
        or not is_boot(boot)
        or type(first) is not int
        or type(last) is not int
        or not 0 <= first <= last < SEQ_END
    ):
        return None
    known = reason if reason in ("overflow", "poison", "corrupt") else "dropped"
    return boot, first, last, known
