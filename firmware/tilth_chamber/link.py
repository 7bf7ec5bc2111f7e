"""The device's half of the protocol: batches out, acknowledgements in, until all is in.

At most four batches are under way. New records go first; what has piled up, of this
boot and of earlier ones, fills the rest of the window, oldest first. A batch that is
not acknowledged is sent again after 5 s, doubling to 60 s. Only the acknowledgement's
watermark deletes; its ranges above it are a hint what need not be sent again.

A record the server cannot take must not stop the others: when records sent later are
acknowledged three times and a batch is not, it is sent record by record, and a record
that fails ten times so is reported as dropped.
"""

import gc

from . import __version__, wire
from .mqtt import Client

WINDOW = 4
BACKFILL = 3  # of it; the last place is for new records
RESEND_MS = (5_000, 60_000)
HELLO_MS = 3_600_000
ANSWER_MS = 5_000  # wait for the answer to a hello before sending old records
DEAF_MS = (300_000, 3_600_000)  # no acknowledgement: another connection may help
ALARM_MS = 600_000  # between two alarms of one kind
SPLIT_AFTER = 3
POISON_AFTER = 10
LIVE_MOST = 200  # unsent new records; more of them are backlog
LIVE_KEEP = 10
BYTES = 24_000  # of a batch


class Flight:
    """A batch under way: `first` to `last` of `boot`, sent at `sent`, the `order`th.

    `passed` tells that something sent later was acknowledged since; `strikes` counts
    the times this was found when it was sent again.
    """

    def __init__(self, boot):
        self.boot = boot
        self.first = self.last = 0
        self.sent = 0
        self.order = 0
        self.passed = False
        self.strikes = 0


class Trail:
    """Where the backfill of one boot stands.

    `at` is the number it goes on from, `have` are ranges that need not be sent,
    `skip` those given up; up to `single` records go one by one.
    """

    def __init__(self):
        self.at = 0
        self.have = []
        self.skip = []
        self.single = -1
        self.answered = False


class Link:
    """Delivers the queue.

    Parameters
    ----------
    hw : object
        The hardware layer.
    queue : Queue
        What to deliver.
    clock : Clock
        Labels batches; its news become events.
    settings : dict
        mqtt_*, batch_ms, cfg; optional qos (1 by default, 0 serves as well).

    Attributes
    ----------
    on_command : callable or None
        Called with None and the payload of each command.
    acks : int
        Acknowledgements since boot.
    last_ack : int or None
        Tick of the last one.
    """

    def __init__(self, hw, queue, clock, settings):
        self._hw = hw
        self._queue = queue
        self._clock = clock
        self._set = settings
        self.on_command = None
        self.acks = 0
        self.last_ack = None
        mac = hw.mac()
        self._data, self._status = wire.topic(mac, "d"), wire.topic(mac, "s")
        self._ack, self._cmd = wire.topic(mac, "ack"), wire.topic(mac, "cmd")
        self._client = Client(
            hw.net,
            hw.random32,
            settings,
            mac,
            (self._status, wire.will(queue.boot)),
            [self._ack, self._cmd],
            self._connected,
            self._arrived,
        )
        self._alarmed = {}
        self._most = wire.MAX_RECORDS
        self._order = 0
        self._now = 0
        self._live_due = 0
        self._deaf = DEAF_MS[0]
        self._blocked = False  # the client takes no more for now
        self._boot = queue.boot
        self._forget()

    def up(self):
        """Tell whether the broker is connected."""
        return self._client.up()

    def reason(self):
        """Return why the last connection ended, ``""`` if none has."""
        return self._client.reason

    def _forget(self):
        """Begin anew: what was under way on a lost connection may be lost."""
        self._flights = []
        self._trails = {}
        self._wait = RESEND_MS[0]
        self._resent = 0
        self._hello_due = 0
        self._live = self._live_from = 0

    def step(self, now):
        """Move on; return the tick at which something is due if nothing arrives."""
        self._now = now
        clock, queue = self._clock, self._queue
        while clock.syncs:
            tick, body = clock.syncs.pop(0)
            kind = "alarm" if "what" in body else "sync"
            queue.append_event(kind, body, tick, queue.loc)
        wake = self._client.step(now)
        if not self._client.up():
            return wake
        try:
            self._deliver(now)
        except MemoryError:
            gc.collect()
            self._most = max(1, self._most // 2)
            return now + 1000
        if self._client.waits():  # what has just been published
            wake = self._client.step(now)
        return min(wake, self._due())

    # --- out

    def _connected(self):
        self._forget()
        self._since = self._deaf_since = self._round = self._now
        queue = self._queue
        self._begin_live(queue.acked(queue.boot) + 1, LIVE_MOST)
        self._live_due = self._now

    def _begin_live(self, first, most):
        """Take as new what follows `first`, or the last few if that is too much."""
        end = self._queue.next
        if end - first > most:
            first = end - LIVE_KEEP
        self._live = self._live_from = first

    def _deliver(self, now):
        queue = self._queue
        self._blocked = False
        self._look_due = now + HELLO_MS
        if queue.boot != self._boot:  # its numbers had run out
            self._boot = queue.boot
            self._live = self._live_from = 0
        if now >= self._hello_due:
            self._say_hello(now)
        self._resend(now)
        if now >= self._live_due or queue.urgent:
            self._send_live(now)
        while len(self._flights) < BACKFILL and self._backfill(now):
            pass
        if self._flights and now - self._deaf_since > self._deaf:
            self._deaf = min(2 * self._deaf, DEAF_MS[1])
            self._client.restart(now, "no acknowledgement")

    def _due(self):
        if self._blocked:
            return self._now + 50
        due = min(self._hello_due, self._look_due)
        if len(self._flights) < WINDOW:
            due = min(due, self._live_due)
        if self._flights:
            due = min(due, max(self._oldest().sent, self._resent) + self._wait)
            due = min(due, self._deaf_since + self._deaf + 1)
        return max(due, self._now + 1)

    def _say_hello(self, now):
        queue = self._queue
        ip = self._hw.net.ip() if hasattr(self._hw.net, "ip") else ""
        payload = wire.hello(
            queue.boot,
            __version__,
            queue.loc,
            ip,
            queue.pending(),
            queue.depth(),
            queue.dropped,
            self._set.get("cfg", ""),
        )
        if self._client.publish(self._status, payload, 1, True, now) is None:
            self._blocked = True
        else:
            self._hello_due = now + HELLO_MS

    def _send_live(self, now):
        queue = self._queue
        if len(self._flights) >= WINDOW:
            return
        if queue.next - self._live > LIVE_MOST:
            self._begin_live(self._live, LIVE_MOST)
        records = queue.read(queue.boot, self._live, self._most, BYTES)
        if records and self._launch(Flight(queue.boot), records, now):
            self._live = records[-1][0] + 1
        if self._live >= queue.next:
            queue.urgent = False
            self._live_due = now + self._set["batch_ms"]

    def _backfill(self, now):
        """Send one batch of what has piled up; True if one went."""
        queue = self._queue
        for boot in queue.boots():
            trail = self._trail(boot)
            if not trail.answered and now - self._since < ANSWER_MS:
                self._look_due = self._since + ANSWER_MS
                continue
            mine = boot == queue.boot
            end = self._live_from if mine else queue.last(boot) + 1
            at = max(trail.at, queue.acked(boot) + 1)
            while at < end:
                free = self._next_free(boot, trail, at)
                if free != at:
                    at = free
                    continue
                most = 1 if at <= trail.single else self._most
                most = min(most, self._next_taken(boot, trail, at, end) - at)
                records = queue.read(boot, at, most, BYTES)
                if not records:
                    at = end
                elif records[0][0] != at:  # a gap, reported as dropped
                    at = records[0][0]
                elif self._launch(Flight(boot), records, now):
                    trail.at = records[-1][0] + 1
                    return True
                else:
                    return False
            trail.at = at
            end = self._live if mine else end
            if queue.acked(boot) + 1 < end and not self._is_flying(boot):
                self._go_round(trail, now, mine)
        return False

    def _go_round(self, trail, now, mine):
        """All was sent once and not all is acknowledged: begin again, later."""
        if now - self._round >= self._wait:
            self._round = now
            self._wait = min(2 * self._wait, RESEND_MS[1])
            trail.at, trail.have = 0, []
            if mine:
                self._live_from = self._live
        self._look_due = min(self._look_due, self._round + self._wait)

    def _next_free(self, boot, trail, at):
        """Return the first number from `at` on that is not known to need nothing."""
        for first, last in trail.have + trail.skip:
            if first <= at <= last:
                return last + 1
        for flight in self._flights:
            if flight.boot == boot and flight.first <= at <= flight.last:
                return flight.last + 1
        return at

    def _next_taken(self, boot, trail, at, end):
        for first, _ in trail.have + trail.skip:
            if at < first < end:
                end = first
        for flight in self._flights:
            if flight.boot == boot and at < flight.first < end:
                end = flight.first
        return end

    def _launch(self, flight, records, now):
        """Publish a batch; True if the client took it."""
        queue, clock, boot = self._queue, self._clock, flight.boot
        mine = boot == queue.boot
        payload = wire.batch(
            boot,
            records,
            queue.low(boot),
            clock.utc if mine else _unknown,
            clock.source() if mine else "none",
            __version__,
            queue.depth(),
            queue.dropped,
        )
        qos = self._set.get("qos", 1)
        if self._client.publish(self._data, payload, qos, False, now) is None:
            self._blocked = True
            return False
        flight.first, flight.last = records[0][0], records[-1][0]
        self._order += 1
        flight.sent, flight.order, flight.passed = now, self._order, False
        if flight not in self._flights:
            if not self._flights:
                self._deaf_since = now
            self._flights.append(flight)
        if self._most < wire.MAX_RECORDS:
            self._most += 1
        return True

    def _oldest(self):
        oldest = self._flights[0]
        for flight in self._flights:
            if flight.order < oldest.order:
                oldest = flight
        return oldest

    def _is_flying(self, boot):
        return any(flight.boot == boot for flight in self._flights)

    def _resend(self, now):
        """Send the oldest batch again if it is due."""
        if not self._flights:
            return
        flight = self._oldest()
        if now - max(flight.sent, self._resent) < self._wait:
            return
        if flight.passed:
            flight.strikes += 1
            if self._judge(flight):
                return
        last = flight.last
        n = min(last - flight.first + 1, self._most)
        records = self._queue.read(flight.boot, flight.first, n, BYTES)
        if not records or records[0][0] > last:
            self._flights.remove(flight)  # given up meanwhile
        elif self._launch(flight, records, now):
            if flight.last != last:
                self._hand_back(flight.boot, flight.last + 1, last)
            self._wait = min(2 * self._wait, RESEND_MS[1])
            self._wait += self._hw.random32() % (self._wait // 4)
            self._resent = now

    def _judge(self, flight):
        """Split a batch the server passes over, give up a record; True if done so."""
        trail = self._trail(flight.boot)
        if flight.last > flight.first:
            if flight.strikes >= SPLIT_AFTER:
                self._flights.remove(flight)
                trail.single = max(trail.single, flight.last)
                self._hand_back(flight.boot, flight.first, flight.last)
                return True
        elif flight.strikes >= POISON_AFTER:
            self._flights.remove(flight)
            trail.skip.append((flight.first, flight.last))
            self._queue.give_up(flight.boot, flight.first, flight.last)
            return True
        return False

    def _hand_back(self, boot, first, last):
        """Let the backfill send these numbers."""
        trail = self._trail(boot)
        trail.at = min(trail.at, first)
        if boot == self._queue.boot:
            self._live_from = max(self._live_from, last + 1)

    def _trail(self, boot):
        if boot not in self._trails:
            self._trails[boot] = Trail()
        return self._trails[boot]

    # --- in

    def _arrived(self, topic, payload, retained):
        """Take a message of the broker; nothing in it can raise but MemoryError."""
        if topic == self._ack:
            if retained:
                self._alarm("retained_ack", {})
                return
            try:
                boot, seq, have = wire.read_ack(payload)
            except wire.Refused as why:
                self._alarm("bad_ack", {"why": str(why)})
                return
            self._acknowledged(boot, seq, have)
        elif topic == self._cmd:
            if retained:
                self._alarm("retained_command", {})
            elif self.on_command is not None:
                self.on_command(None, payload)

    def _acknowledged(self, boot, seq, have):
        queue, now = self._queue, self._now
        highest = max([seq] + [last for _, last in have])
        if boot == queue.boot and highest >= queue.next:
            outcome = "beyond"
        else:
            outcome = queue.ack(boot, seq)
        if outcome in ("unknown", "beyond"):
            self._alarm("forged_ack", {"boot": boot, "seq": highest, "why": outcome})
            return
        self.acks += 1
        self.last_ack = self._deaf_since = now
        self._deaf = DEAF_MS[0]
        self._wait = RESEND_MS[0]  # the server is there
        if outcome == "done":
            self._trails.pop(boot, None)
            return
        trail = self._trail(boot)
        trail.answered = True
        trail.have = have
        newest = -1
        for flight in list(self._flights):
            if flight.boot != boot:
                continue
            if flight.first <= seq:
                flight.first = seq + 1
            for first, last in have:
                if first <= flight.first and flight.last <= last:
                    flight.first = flight.last + 1
            if flight.first > flight.last:
                self._flights.remove(flight)
                newest = max(newest, flight.order)
        if outcome == "progress" or newest >= 0:
            self._resent = 0
        for flight in self._flights:
            if flight.order < newest:
                flight.passed = True

    def _alarm(self, what, body):
        """Report something that should not happen, not more than now and then."""
        last = self._alarmed.get(what)
        if last is None or self._now - last >= ALARM_MS:
            self._alarmed[what] = self._now
            body["what"] = what
            self._queue.append_event("alarm", body, self._now, self._queue.loc)


def _unknown(_tick):
    """Return the UTC of a tick of an earlier boot: the server knows it better."""
    return None
