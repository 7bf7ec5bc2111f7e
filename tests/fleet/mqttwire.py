"""The few MQTT 3.1.1 packets a chamber sends, as bytes, and a small client for asyncio.

Written against the OASIS text, not against any broker, so that the tests and the load
generator share no code with what they test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"


def length(n: int) -> bytes:
    """Return the remaining length of a packet as MQTT writes it (7 bits a byte)."""
    out = bytearray()
    while True:
        n, byte = n >> 7, n & 0x7F
        out.append(byte | (0x80 if n else 0))
        if not n:
            return bytes(out)


def text(value: str | bytes) -> bytes:
    """Return a string or bytes with its length in two bytes before it."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    """Return a whole packet: first byte, length, body."""
    return bytes([first]) + length(len(body)) + body


def connect(
    client_id: str,
    user: str | None = None,
    password: str | bytes | None = None,
    *,
    clean: bool = True,
    keepalive: int = 60,
    will: tuple[str, bytes, int, bool] | None = None,
) -> bytes:
    """Return CONNECT; `will` is (topic, payload, qos, retain)."""
    flags = 2 if clean else 0
    body = text(client_id)
    if will is not None:
        flags |= 4 | will[2] << 3 | (32 if will[3] else 0)
        body += text(will[0]) + text(will[1])
    if user is not None:
        flags |= 128
        body += text(user)
    if password is not None:
        flags |= 64
        body += text(password)
    head = text("MQTT") + bytes([4, flags]) + keepalive.to_bytes(2, "big")
    return packet(0x10, head + body)


def subscribe(topics: list[str], mid: int = 1, qos: int = 1) -> bytes:
    """Return SUBSCRIBE for topic filters at one quality of service."""
    body = mid.to_bytes(2, "big") + b"".join(text(t) + bytes([qos]) for t in topics)
    return packet(0x82, body)


def publish(
    topic: str,
    payload: bytes,
    mid: int | None = None,
    *,
    qos: int | None = None,
    retain: bool = False,
    dup: bool = False,
) -> bytes:
    """Return PUBLISH: at QoS 1 where a message number is given, else at QoS 0."""
    qos = (0 if mid is None else 1) if qos is None else qos
    first = 0x30 | (8 if dup else 0) | qos << 1 | int(retain)
    number = b"" if mid is None else mid.to_bytes(2, "big")
    return packet(first, text(topic) + number + payload)


def puback(mid: int) -> bytes:
    """Return PUBACK."""
    return b"\x40\x02" + mid.to_bytes(2, "big")


class Splitter:
    """Cuts a stream of bytes into packets, however they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the packets completed by `data`, as (first byte, body)."""
        buffer = self._buffer
        buffer += data
        found = []
        at = 0
        end = len(buffer)
        while end - at >= 2:
            size, shift, head = 0, 0, at + 1
            while True:
                if head >= end:
                    size = -1
                    break
                byte = buffer[head]
                size |= (byte & 0x7F) << shift
                shift += 7
                head += 1
                if byte < 0x80:
                    break
            if size < 0 or head + size > end:
                break
            found.append((buffer[at], bytes(buffer[head : head + size])))
            at = head + size
        if at:
            del buffer[:at]
        return found


class Client(asyncio.Protocol):
    """One MQTT connection: calls back, keeps no queue and never resends.

    Parameters
    ----------
    hello : bytes
        The CONNECT packet.
    on_message : callable
        Called with (topic, payload, retained).
    on_open : callable, optional
        Called with the return code of CONNACK (0 is accepted).
    on_puback, on_suback : callable, optional
        Called with the message number; and with (number, codes).
    on_close : callable, optional
        Called with the exception or None.
    """

    def __init__(
        self,
        hello: bytes,
        on_message: Callable[[str, bytes, bool], None],
        on_open: Callable[[int], None] | None = None,
        on_puback: Callable[[int], None] | None = None,
        on_suback: Callable[[int, bytes], None] | None = None,
        on_close: Callable[[Exception | None], None] | None = None,
    ) -> None:
        self.hello = hello
        self.on_message = on_message
        self.on_open = on_open
        self.on_puback = on_puback
        self.on_suback = on_suback
        self.on_close = on_close
        self.transport: asyncio.Transport | None = None
        self._packets = Splitter()

    def connection_made(self, transport) -> None:
        """Send CONNECT."""
        self.transport = transport
        transport.write(self.hello)

    def data_received(self, data: bytes) -> None:
        """Answer QoS 1, hand everything else to the callbacks."""
        for first, body in self._packets.feed(data):
            kind = first >> 4
            if kind == PUBLISH:
                cut = 2 + (body[0] << 8 | body[1])
                topic = body[2:cut].decode()
                if first & 6:
                    self.transport.write(b"\x40\x02" + body[cut : cut + 2])
                    cut += 2
                self.on_message(topic, body[cut:], bool(first & 1))
            elif kind == PUBACK:
                if self.on_puback:
                    self.on_puback(body[0] << 8 | body[1])
            elif kind == CONNACK:
                if self.on_open:
                    self.on_open(body[1])
            elif kind == SUBACK and self.on_suback:
                self.on_suback(body[0] << 8 | body[1], body[2:])

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self.transport = None
        if self.on_close:
            self.on_close(exc)

    def send(self, data: bytes) -> bool:
        """Write bytes; return False where the connection is gone."""
        if self.transport is None or self.transport.is_closing():
            return False
        self.transport.write(data)
        return True

    def close(self) -> None:
        """Close at once, without DISCONNECT: as a power cut does."""
        if self.transport is not None:
            self.transport.abort()
