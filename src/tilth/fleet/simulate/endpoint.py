"""Broker and server in one object, in this process: for runs without any network.

It speaks MQTT 3.1.1 to the firmware byte by byte, keeps what the devices send in
memory and acknowledges it by the protocol's rules. It does what a server must, and
nothing a real one does beyond: use it to test firmware and simulator, not the server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tilth.fleet.protocol import (
    Ack,
    Batch,
    Event,
    ProtocolError,
    Sample,
    as_ranges,
    decode_batch,
    decode_status,
    encode_ack,
    topic_of,
)
from tilth.fleet.simulate.packets import Packets, published


@dataclass
class Stored:
    """What the endpoint has of one boot of one device.

    Attributes
    ----------
    samples, events : dict of int to tuple
        By sequence number: tick and record.
    gone : set of int
        Numbers the device reported as dropped.
    watermark : int
        Highest number up to which all are here.
    """

    samples: dict[int, tuple[int, Sample]] = field(default_factory=dict)
    events: dict[int, tuple[int, Event]] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    watermark: int = -1

    def above(self) -> list[tuple[int, int]]:
        """Return the ranges that are here above the watermark."""
        count = len(self.samples) + len(self.events) + len(self.gone)
        if count == self.watermark + 1:
            return []
        numbers = {*self.samples, *self.events, *self.gone}
        return as_ranges([n for n in numbers if n > self.watermark])

    def has(self, seq: int) -> bool:
        """Tell whether a record is here, or will never come."""
        return seq in self.samples or seq in self.events or seq in self.gone


class Endpoint:
    """A broker and a server in memory.

    Parameters
    ----------
    listen : callable, optional
        Called with topic and payload of everything the devices publish.

    Attributes
    ----------
    stored : dict of (str, str) to Stored
        By device and boot id.
    duplicates : int
        Records that were here already.
    refused : list of str
        Why payloads were refused.
    deaf, mute : bool
        Faults: messages are lost before they are stored; acknowledgements are lost.
    """

    def __init__(self, listen: Callable[[str, bytes], None] | None = None) -> None:
        self.listen = listen
        self.stored: dict[tuple[str, str], Stored] = {}
        self.duplicates = 0
        self.refused: list[str] = []
        self.deaf = self.mute = False
        self._sessions: dict[str, EndpointTransport] = {}

    def dial(self, host: str, port: int) -> EndpointTransport:
        """Return a new connection."""
        return EndpointTransport(self)

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Send a message to the device of a topic; False if it is not connected."""
        session = self._sessions.get(topic.split("/")[2])
        if session is None:
            return False
        session.deliver(topic.encode(), payload, qos)
        return True

    # --- what connections call

    def connected(self, device: str, session: EndpointTransport) -> None:
        """Take a device's connection; one that it had before ends."""
        before = self._sessions.get(device)
        if before is not None and before is not session:
            before.ended = before.readable = True
        self._sessions[device] = session

    def disconnected(self, session: EndpointTransport) -> None:
        """Forget a connection."""
        if self._sessions.get(session.device) is session:
            del self._sessions[session.device]

    def received(self, topic: bytes, payload: bytes) -> None:
        """Take a message of a device."""
        text = topic.decode()
        if self.listen is not None:
            self.listen(text, payload)
        if self.deaf:
            return
        device, leaf = text.split("/")[2:4]
        try:
            if leaf == "d":
                self._batch(device, decode_batch(payload))
            elif leaf == "s":
                for boot, _, _ in decode_status(payload).pending:
                    self._answer(device, boot)
        except ProtocolError as error:
            self.refused.append(f"{text}: {error.reason}: {error}")

    def _batch(self, device: str, batch: Batch) -> None:
        stored = self.stored.setdefault((device, batch.boot), Stored())
        for row in batch.samples:
            seq = batch.seq + row.i
            self.duplicates += seq in stored.samples
            stored.samples.setdefault(seq, (batch.tick + row.dt, row))
        for event in batch.events:
            seq = batch.seq + event.i
            self.duplicates += seq in stored.events
            stored.events.setdefault(seq, (batch.tick + event.dt, event))
            if event.kind == "dropped":
                body = event.body
                other = self.stored.setdefault((device, body["boot"]), Stored())
                other.gone.update(range(body["first"], body["last"] + 1))
                if body["boot"] != batch.boot:
                    self._answer(device, body["boot"])
        self._answer(device, batch.boot)

    def _answer(self, device: str, boot: str) -> None:
        """Acknowledge what is here of one boot."""
        stored = self.stored.setdefault((device, boot), Stored())
        while stored.has(stored.watermark + 1):
            stored.watermark += 1
        if not self.mute:
            ack = Ack(device, boot, stored.watermark, stored.above())
            self.publish(topic_of(device, "ack"), encode_ack(ack))


class EndpointTransport:
    """One connection to the endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.device = ""
        self.readable = False
        self.ended = False
        self._packets = Packets()
        self._reply = b""
        self._id = 0

    def ready(self) -> bool:
        """Tell that it stands."""
        return True

    def send(self, data: bytes) -> int:
        """Take bytes of the device."""
        if self.ended:
            raise OSError(32)
        for packet in self._packets.feed(data):
            self._take(packet)
        return len(data)

    def recv(self) -> bytes | None:
        """Return what is there for the device."""
        if not self._reply:
            self.readable = False
            return b"" if self.ended else None
        reply, self._reply = self._reply, b""
        self.readable = self.ended
        return reply

    def close(self) -> None:
        """End it."""
        self.ended = True
        self.endpoint.disconnected(self)

    def deliver(self, topic: bytes, payload: bytes, qos: int) -> None:
        """Send a PUBLISH to the device."""
        body = len(topic).to_bytes(2, "big") + topic
        if qos:
            self._id = self._id % 65_535 + 1
            body += self._id.to_bytes(2, "big")
        self._say(_packet(0x30 | qos << 1, body + payload))

    def _take(self, packet: bytes) -> None:
        kind = packet[0] >> 4
        if kind == 3:
            topic, number, payload = published(packet)
            if number is not None:
                self._say(_packet(0x40, number.to_bytes(2, "big")))
            self.endpoint.received(topic, payload)
        elif kind == 1:
            at = 1
            while packet[at] & 128:
                at += 1
            at += 11
            size = packet[at] << 8 | packet[at + 1]
            self.device = packet[at + 2 : at + 2 + size].decode()
            self.endpoint.connected(self.device, self)
            self._say(b"\x20\x02\x00\x00")
        elif kind == 8:
            # One topic is told by its length, its name and its quality.
            count, at = 0, 4
            while at < len(packet):
                at += 3 + (packet[at] << 8 | packet[at + 1])
                count += 1
            self._say(_packet(0x90, packet[2:4] + bytes(count)))
        elif kind == 12:
            self._say(b"\xd0\x00")

    def _say(self, data: bytes) -> None:
        self._reply += data
        self.readable = True


def _packet(first: int, body: bytes) -> bytes:
    """Return a packet: first byte, remaining length, body."""
    head, length = bytearray((first,)), len(body)
    while True:
        head.append(length & 127 | (128 if length > 127 else 0))
        length >>= 7
        if not length:
            return bytes(head) + body
