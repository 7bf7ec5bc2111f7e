"""A broker and a server of the protocol in memory, for `FakeNet.peers`.

    broker = FakeBroker(hw)
    hw.net.peers[("broker", 8883)] = broker
    server = FakeServer(broker)

Every fault is an attribute. The server keeps what it committed over its own
restarts, as a journal does.
"""

import random

from tilth.fleet.protocol import (
    Ack,
    ProtocolError,
    as_ranges,
    decode_batch,
    decode_status,
    encode_ack,
)


def remaining_length(n):
    """Return MQTT's variable-length number."""
    out = bytearray()
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)


def message(topic, payload, qos=0, retain=False, number=1):
    """Return a PUBLISH packet."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    if qos:
        body += number.to_bytes(2, "big")
    body += payload
    first = 0x30 | qos << 1 | retain
    return bytes([first]) + remaining_length(len(body)) + body


def split_packets(data):
    """Return the whole packets (first byte, body) at the front, and the rest."""
    found = []
    while True:
        length, at = 0, 1
        while True:
            if at >= len(data):
                return found, data
            length |= (data[at] & 127) << 7 * (at - 1)
            at += 1
            if not data[at - 1] & 128:
                break
        if at + length > len(data):
            return found, data
        found.append((data[0], data[at : at + length]))
        data = data[at + length :]


class Session:
    """One connection at the broker."""

    def __init__(self, broker, conn):
        self.broker, self.conn = broker, conn
        self.data = b""
        self.topics = []
        self.will = None
        self.name = None

    def received(self, conn, data):
        """Take bytes of the device."""
        if self.broker.deaf:
            return
        packets, self.data = split_packets(self.data + data)
        for first, body in packets:
            self._packet(first, body)

    def closed(self, conn):
        """Forget the session."""
        if self in self.broker.sessions:
            self.broker.sessions.remove(self)

    def _packet(self, first, body):
        broker = self.broker
        kind = first >> 4
        broker.packets.append((kind, body))
        if kind == 1:
            at = 10
            fields = []
            while at < len(body):
                n = int.from_bytes(body[at : at + 2], "big")
                fields.append(body[at + 2 : at + 2 + n])
                at += 2 + n
            assert body[:7] == b"\0\4MQTT\4"
            self.name, self.will = fields[0].decode(), tuple(fields[1:3])
            self.user, self.password = fields[3], b"".join(fields[4:])
            self.conn.deliver(bytes([0x20, 2, 0, broker.refuse]))
            if broker.refuse:
                self.conn.hang_up()
        elif kind == 8:
            at = 2
            while at < len(body):
                n = int.from_bytes(body[at : at + 2], "big")
                self.topics.append(body[at + 2 : at + 2 + n].decode())
                at += 3 + n
            codes = bytes([broker.grant] * len(self.topics))
            self.conn.deliver(bytes([0x90, 2 + len(codes)]) + body[:2] + codes)
        elif kind == 12:
            if broker.answers_pings:
                self.conn.deliver(b"\xd0\0")
        elif kind == 3:
            qos = first >> 1 & 3
            n = int.from_bytes(body[:2], "big")
            topic, at = body[2 : 2 + n].decode(), 2 + n
            if qos:
                broker.ids.append(int.from_bytes(body[at : at + 2], "big"))
                if broker.pubacks:
                    self.conn.deliver(b"\x40\2" + body[at : at + 2])
                at += 2
            broker.publish(topic, bytes(body[at:]), bool(first & 1))


class FakeBroker:
    """An MQTT broker for any number of fake devices.

    Attributes
    ----------
    refuse : int
        Return code of CONNACK.
    grant : int
        Return code of SUBACK; 0x80 denies.
    pubacks, answers_pings : bool
        Whether it does.
    deaf : bool
        Takes bytes and does nothing.
    loss_up, loss_down : float
        Share of messages of devices and to devices that it forgets.
    packets : list of (kind, body)
        All that came.
    """

    def __init__(self, hw, seed=0):
        self.hw = hw
        self.random = random.Random(seed)
        self.refuse, self.grant = 0, 1
        self.pubacks = self.answers_pings = True
        self.deaf = False
        self.loss_up = self.loss_down = 0.0
        self.sessions, self.packets, self.ids = [], [], []
        self.listeners = []
        self.retained = {}

    def __call__(self):
        """Make the peer of a new connection (see `FakeNet.peers`)."""
        return _Opening(self)

    def publish(self, topic, payload, retain=False):
        """Route a message of a device."""
        if retain:
            self.retained[topic] = payload
        if self.random.random() < self.loss_up:
            return
        for listener in self.listeners:
            listener(topic, payload, retain)

    def send(self, topic, payload, qos=0, retain=False):
        """Route a message to the devices that subscribed to its topic."""
        if self.random.random() < self.loss_down:
            return
        for session in list(self.sessions):
            if topic in session.topics:
                session.conn.deliver(message(topic, payload, qos, retain))

    def kick(self):
        """Hang up on everybody."""
        for session in list(self.sessions):
            session.conn.hang_up()
        self.sessions = []


class _Opening:
    def __init__(self, broker):
        self._broker = broker
        self._session = None

    def opened(self, conn):
        self._session = Session(self._broker, conn)
        self._broker.sessions.append(self._session)

    def received(self, conn, data):
        self._session.received(conn, data)

    def closed(self, conn):
        if self._session is not None:
            self._session.closed(conn)


class FakeServer:
    """Commits batches and acknowledges them as the protocol says.

    Attributes
    ----------
    records : dict
        boot: {seq: (tick, values)} of all it committed.
    gone : dict
        boot: {seq: reason} of what it knows will not come.
    running : bool
        False: nothing is taken.
    poison : set of (boot, seq)
        Batches holding one of these are put aside unread, without an answer.
    """

    def __init__(self, broker):
        self.broker = broker
        broker.listeners.append(self.take)
        self.records, self.gone = {}, {}
        self.events = []
        self.running = True
        self.poison = set()
        self.batches = self.duplicates = self.refused = 0
        self.statuses = []
        self.locs = {}
        self.log = []
        self._marks, self._above = {}, {}

    def settled(self, boot):
        """Numbers of a boot that need not come again."""
        return set(self.records.get(boot, {})) | set(self.gone.get(boot, {}))

    def ack(self, boot):
        """Return the acknowledgement of a boot."""
        rows, gone = self.records.get(boot, {}), self.gone.get(boot, {})
        mark = self._marks.get(boot, -1)
        while mark + 1 in rows or mark + 1 in gone:
            mark += 1
        self._marks[boot] = mark
        above = self._above.setdefault(boot, set())
        above.difference_update([n for n in above if n <= mark])
        return Ack("", boot, mark, as_ranges(list(above))[-4:])

    def forget(self, boot, numbers):
        """Lose committed records, as a restored backup does."""
        for n in numbers:
            del self.records[boot][n]
        self._marks.clear()
        self._above[boot] = set(self.records[boot])

    def take(self, topic, payload, retained):
        """Handle one message of a device."""
        if not self.running:
            return
        device, leaf = topic.split("/")[2:]
        if leaf == "s":
            status = decode_status(payload)
            self.statuses.append(status)
            for boot, _, _ in status.pending:
                self._answer(device, boot)
            return
        try:
            batch = decode_batch(payload)
        except ProtocolError:
            self.refused += 1
            raise
        numbers = range(batch.seq, batch.seq + batch.n)
        if any((batch.boot, n) in self.poison for n in numbers):
            self.refused += 1
            return
        self.batches += 1
        self.log.append((self.broker.hw.true_ms, batch))
        rows = self.records.setdefault(batch.boot, {})
        gone = self.gone.setdefault(batch.boot, {})
        mark = self.ack(batch.boot).seq
        for n in range(mark + 1, batch.low):
            if n not in rows:
                gone.setdefault(n, "forgotten")
        for row in list(batch.samples) + list(batch.events):
            n, value = batch.seq + row.i, (batch.tick + row.dt, tuple(row[2:]))
            if n in rows:
                self.duplicates += 1
                assert rows[n] == value, "one number, two contents"
            rows[n] = value
            self._above.setdefault(batch.boot, set()).add(n)
            self.locs[batch.boot, n] = batch.loc
        for event in batch.events:
            self.events.append((event.kind, event.body))
            if event.kind == "dropped":
                lost = self.gone.setdefault(event.body["boot"], {})
                for n in range(event.body["first"], event.body["last"] + 1):
                    lost[n] = event.body["reason"]
                    self._above.setdefault(event.body["boot"], set()).add(n)
        self._answer(device, batch.boot)

    def _answer(self, device, boot):
        topic = f"tilth/v1/{device}/ack"
        self.broker.send(topic, encode_ack(self.ack(boot)))
