"""A client of MQTT 3.1.1 that never blocks: `step` moves it on and says when again.

It publishes with QoS 0 or 1, subscribes with QoS 1, keeps the connection alive,
notices a dead one and comes back after 1 s to 60 s. It never repeats a message: the
link above it repeats what the server has not acknowledged, over any connection.
"""

import gc

OFF, DIALLING, GREETING, SUBSCRIBING, UP = 0, 1, 2, 3, 4

KEEPALIVE_MS = 30_000
ANSWER_MS = 10_000  # CONNACK, SUBACK, PINGRESP
DIAL_MS = 20_000  # TCP and TLS: an ECDSA handshake takes the chip about 2 s
STALL_MS = 20_000  # bytes to send and none taken
PUBACK_MS = 30_000  # then its place in the window is free again
BACKOFF_MS = (1_000, 60_000)
STABLE_MS = 30_000  # a connection of this age makes the next wait short again
WINDOW = 16
MAX_IN = 16 * 1024
MAX_OUT = 48 * 1024
CHUNK = 1024
READS = 64  # at most so many chunks in one step: a flood must not hold the chamber


class Broken(Exception):
    """The connection cannot go on; its text is the reason."""


def text(value):
    """Return a string as the protocol writes it: length and UTF-8."""
    data = value.encode() if isinstance(value, str) else value
    return bytes([len(data) >> 8, len(data) & 255]) + data


def packet(first, *parts):
    """Return a packet's bytes: first byte, remaining length, parts."""
    length = sum([len(part) for part in parts])
    head = [first]
    while True:
        head.append(length & 127 | (128 if length > 127 else 0))
        length >>= 7
        if not length:
            return b"".join([bytes(head)] + list(parts))


class Client:
    """One connection to a broker, made again whenever it breaks.

    Parameters
    ----------
    net : object
        The hardware's network.
    random32 : callable
        For the jitter.
    settings : dict
        mqtt_host, mqtt_port, mqtt_tls, mqtt_user, mqtt_password.
    name : str
        Client id, and user name where the settings have none.
    will : tuple of (str, bytes)
        Topic and payload of the last will, retained.
    topics : list of str
        To subscribe to.
    on_up : callable
        Called when it is connected and subscribed.
    on_message : callable
        Called with topic, payload and whether it was retained.

    Attributes
    ----------
    state : int
        OFF, DIALLING, GREETING, SUBSCRIBING or UP.
    reason : str
        Why the last connection ended.
    failures : int
        Connections that ended since boot.
    """

    def __init__(self, net, random32, settings, name, will, topics, on_up, on_message):
        self._net = net
        self._random = random32
        self._set = settings
        self._name = name
        self._will = will
        self._topics = topics
        self._on_up = on_up
        self._on_message = on_message
        self.state = OFF
        self.reason = ""
        self.failures = 0
        self._backoff = BACKOFF_MS[0]
        self._next_try = 0
        self._id = 0
        self._conn = None
        self._clear()

    def _clear(self):
        self._in = bytearray()
        self._out = []
        self._out_size = 0
        self._sent_of_first = 0
        self._window = {}  # packet id: when it was sent
        self._ping_at = None

    def up(self):
        """Tell whether messages can be published."""
        return self.state == UP

    def waits(self):
        """Tell whether something waits to be sent, or the connection was given up."""
        return bool(self._out) or self.state != UP

    def step(self, now):
        """Move on.

        Parameters
        ----------
        now : int
            Ticks, ms since boot.

        Returns
        -------
        int
            Ticks at which something is due even if nothing arrives.
        """
        try:
            if self.state == OFF:
                return self._start(now)
            if self.state == DIALLING:
                if not self._conn.ready():
                    if now - self._since > DIAL_MS:
                        raise Broken("no connection")
                    return now + 100
                self._greet(now)
            more = self._receive(now)
            self._send(now)
            due = self._watch(now)
            return now + 1 if more else due
        except Broken as why:
            self._end(now, str(why))
        except OSError as error:
            self._end(now, f"network {error.args[0] if error.args else 0}")
        except MemoryError:
            self._end(now, "memory")
            gc.collect()
        return self._next_try

    def _start(self, now):
        if now < self._next_try:
            return self._next_try
        if not self._net.up():
            return now + 1000
        self._clear()
        self._since = now
        self._conn = self._net.connect(
            self._set["mqtt_host"], self._set["mqtt_port"], self._set["mqtt_tls"]
        )
        self.state = DIALLING
        return now + 20

    def _greet(self, now):
        """Send CONNECT: a clean session, the will retained with QoS 1."""
        user = self._set["mqtt_user"] or self._name
        flags = 0x80 | 0x20 | 0x08 | 0x04 | 0x02
        parts = [text(self._name), text(self._will[0]), text(self._will[1]), text(user)]
        if self._set["mqtt_password"]:
            flags |= 0x40
            parts.append(text(self._set["mqtt_password"]))
        seconds = 2 * KEEPALIVE_MS // 1000
        head = text("MQTT") + bytes([4, flags, seconds >> 8, seconds & 255])
        self._put(packet(0x10, head, *parts))
        self._received = self._last_sent = self._since = self._moved = now
        self.state = GREETING

    def publish(self, topic, payload, qos=1, retain=False, now=0):
        """Hand over a message; it is sent by this or a later step.

        Returns
        -------
        int or None
            Packet id, 0 with QoS 0, None if it cannot be taken now.
        """
        if self.state != UP or self._out_size + len(payload) > MAX_OUT:
            return None
        first = 0x30 | (1 if retain else 0)
        if not qos:
            self._put(packet(first, text(topic), payload))
            return 0
        if len(self._window) >= WINDOW:
            return None
        number = self._new_id()
        mark = bytes([number >> 8, number & 255])
        self._put(packet(first | 2, text(topic), mark, payload))
        self._window[number] = now
        return number

    def _new_id(self):
        """Return the next free packet id, 1 to 65535 and round again."""
        while True:
            self._id = self._id % 65535 + 1
            if self._id not in self._window:
                return self._id

    def _put(self, data):
        self._out.append(data)
        self._out_size += len(data)

    def _send(self, now):
        """Send what the network takes now, in at most `READS` pieces."""
        for _ in range(READS):
            if not self._out:
                return
            data = self._out[0]
            done = self._sent_of_first
            n = self._conn.send(memoryview(data)[done:] if done else data)
            if not n:
                return
            self._moved = self._last_sent = now
            self._sent_of_first = done + n
            if self._sent_of_first == len(data):
                self._out.pop(0)
                self._out_size -= len(data)
                self._sent_of_first = 0

    def _receive(self, now):
        """Take what has come; True if there may be more."""
        for _ in range(READS):
            data = self._conn.recv(CHUNK)
            if data is None:
                return False
            if not data:
                raise Broken("closed by the broker")
            self._received = now
            self._in.extend(data)
            if len(self._in) > 1:
                self._parse(now)
        return True

    def _parse(self, now):
        """Take the whole packets off the input."""
        data, at = self._in, 0
        while True:
            length, shift, start = 0, 0, at + 1
            while True:
                if start >= len(data):
                    break
                byte = data[start]
                length |= (byte & 127) << shift
                start += 1
                shift += 7
                if not byte & 128:
                    shift = 99
                    break
                if shift > 21:
                    raise Broken("malformed length")
            if shift != 99:
                break
            if length > MAX_IN:
                raise Broken("packet too long")
            if start + length > len(data):
                break
            self._handle(data[at], bytes(data[start : start + length]), now)
            at = start + length
        if at:
            self._in = data[at:]

    def _handle(self, first, body, now):
        kind = first >> 4
        if kind == 3:
            self._take(first, body)
        elif kind == 2 and self.state == GREETING and first & 15 == 0:
            self._greeted(body, now)
        elif kind == 9 and self.state == SUBSCRIBING and first & 15 == 0:
            if body[:2] != b"\0\1" or len(body) != 2 + len(self._topics):
                raise Broken("malformed answer to subscribe")
            if max(body[2:]) > 2:
                self._backoff = BACKOFF_MS[1]
                raise Broken("subscription denied")
            self.state = UP
            self._since = now
            self._on_up()
        elif kind == 4 and self.state == UP and first & 15 == 0 and len(body) == 2:
            self._window.pop(body[0] << 8 | body[1], None)
        elif kind == 13 and self.state == UP and first & 15 == 0 and not body:
            self._ping_at = None
        else:
            raise Broken("unexpected packet")

    def _greeted(self, body, now):
        if len(body) != 2:
            raise Broken("malformed answer to connect")
        if body[1]:
            if body[1] in (4, 5):  # bad password, not authorised: no use hurrying
                self._backoff = BACKOFF_MS[1]
            raise Broken(f"refused by the broker, code {body[1]}")
        wanted = b"".join([text(topic) + b"\1" for topic in self._topics])
        self._put(packet(0x82, b"\0\1", wanted))
        self._since = now
        self.state = SUBSCRIBING

    def _take(self, first, body):
        """Acknowledge a message and hand it up."""
        qos = first >> 1 & 3
        if qos > 1 or len(body) < 4 or self.state < SUBSCRIBING:
            raise Broken("malformed message")
        end = 2 + (body[0] << 8 | body[1])
        at = end + 2 if qos else end
        if at > len(body) or end == 2:
            raise Broken("malformed message")
        if qos:
            self._put(packet(0x40, body[end:at]))
        try:
            topic = body[2:end].decode()
        except Exception:
            topic = None
        if topic is None:
            raise Broken("malformed topic")
        self._on_message(topic, body[at:], bool(first & 1))

    def _watch(self, now):
        """Look at the clocks; return when the next of them is due."""
        if self.state != UP:
            if now - self._since > ANSWER_MS:
                raise Broken("no answer")
            return now + 20 if self._out else self._since + ANSWER_MS + 1
        for number in list(self._window):
            if now - self._window[number] > PUBACK_MS:
                del self._window[number]
        if self._out and now - self._moved > STALL_MS:
            raise Broken("stalled")
        if not self._out:
            self._moved = now
        if self._ping_at is not None:
            if now - self._ping_at > ANSWER_MS:
                raise Broken("silent")
            due = self._ping_at + ANSWER_MS + 1
        else:
            due = min(self._received, self._last_sent) + KEEPALIVE_MS
            if now >= due:
                self._put(b"\xc0\0")
                self._ping_at = now
                self._send(now)
                due = now + ANSWER_MS + 1
        return now + 20 if self._out else due

    def restart(self, now, reason):
        """Break the connection: the next one may do better."""
        if self.state != OFF:
            self._end(now, reason)

    def _end(self, now, reason):
        if self.state == UP and now - self._since > STABLE_MS:
            self._backoff = BACKOFF_MS[0]
        if self._conn is not None:
            try:
                self._conn.close()
            except OSError:
                pass
        self._conn = None
        self._clear()
        self.state = OFF
        self.reason = reason
        self.failures += 1
        self._next_try = now + self._backoff + self._random() % (self._backoff // 2 + 1)
        self._backoff = min(2 * self._backoff, BACKOFF_MS[1])
