"""One connection to the embedded broker: whole packets in, bounded buffers out.

amqtt reads a packet field by field, with no limit on its size or on the time it
takes. Here a packet is read whole, against a limit, and amqtt's own decoders see only
its bytes; PUBLISH, nearly all of the traffic, is handled without a task per packet.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amqtt.adapters import BufferReader, StreamReaderAdapter, StreamWriterAdapter
from amqtt.mqtt import packet_class
from amqtt.mqtt.packet import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    MQTTFixedHeader,
)
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

from tilth.fleet.broker_rules import Principal, is_topic
from tilth.fleet.wire import MAX_PAYLOAD

if TYPE_CHECKING:
    from tilth.fleet.broker_amqtt import FleetBroker

logger = logging.getLogger("tilth.fleet.broker")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all together, may take of the broker.

    Parameters
    ----------
    connections : int
        Open connections.
    strangers : int
        Connections that have not logged in yet; one more closes the oldest of them.
    connect_s : float
        Time from the connection (TLS included) to CONNECT, s.
    packet_s : float
        Time a packet may take to arrive, s.
    watch_s : float
        Pause between two looks at who is overdue and whose log-in changed, s.
    packet_bytes : int
        Largest packet; the protocol's largest payload and its topic fit.
    connect_bytes : int
        Largest CONNECT.
    keepalive_s : int
        Longest keep-alive granted, also to clients that ask for none, s.
    unsent_bytes : int
        Bytes waiting for a client that does not read; it is closed beyond.
    subscriptions : int
        Topic filters of one client.
    inflight : int
        Messages of QoS 1 or 2 under way to, or from, one client.
    ahead : int
        Messages of one device since the ingest last answered it: beyond, it is read
        no further until the next answer, or for a second. The protocol's window is 4.
    offline : int
        Messages kept for a client that is away; the oldest go first (devices send
        again what was not acknowledged).
    session_s : int
        How long what is kept for a client that is away is kept, s.
    """

    connections: int = 4000
    strangers: int = 1000
    connect_s: float = 10.0
    packet_s: float = 30.0
    watch_s: float = 2.0
    packet_bytes: int = MAX_PAYLOAD + 512
    connect_bytes: int = 4096
    keepalive_s: int = 600
    unsent_bytes: int = 256 * 1024
    subscriptions: int = 32
    inflight: int = 64
    ahead: int = 64
    offline: int = 1000
    session_s: int = 86_400


class Refused(Exception):
    """A client did what it may not do, or what no client does; it is closed."""


class PacketReader(StreamReaderAdapter):
    """Reads whole packets from a stream.

    Parameters
    ----------
    stream : asyncio.StreamReader
        The bytes.
    limit : int
        Largest packet, bytes.
    now : callable
        The loop's clock, s.
    """

    def __init__(self, stream: asyncio.StreamReader, limit: int, now: Any) -> None:
        super().__init__(stream)
        self._stream = stream
        self._now = now
        self.limit = limit
        #: Whose packets these are (set by the broker).
        self.connection: Connection | None = None
        #: When the last packet was complete, s.
        self.heard: float = now()
        #: When the header of a packet still incomplete arrived, s.
        self.began: float | None = None

    async def packet(self, only: int | None = None) -> tuple[int, bytes]:
        """Return the next packet: its first byte and all after its length.

        With `only`, another first byte is refused before the rest is waited for.
        """
        read = self._stream.readexactly
        first, size = await read(2)
        if only is not None and first != only:
            raise Refused(f"a packet that begins with {first:#04x}, not {only:#04x}")
        if size > 127:
            size &= 127
            for shift in (7, 14, 21):
                byte = (await read(1))[0]
                size |= (byte & 127) << shift
                if byte < 128:
                    break
            else:
                raise Refused("a packet whose length has no end")
            if size > self.limit:
                raise Refused(f"a packet of {size} bytes; the limit is {self.limit}")
        if size:
            self.began = self._now()
            body = await read(size)
            self.began = None
        else:
            body = b""
        self.heard = self._now()
        return first, body


class BoundedWriter(StreamWriterAdapter):
    """Writes to a client, and gives it up when it does not read."""

    def __init__(self, writer: asyncio.StreamWriter, limit: int) -> None:
        super().__init__(writer)
        self.is_closed: bool = False
        self._transport = writer.transport
        self._limit = limit

    def write(self, data: bytes) -> None:
        """Write without waiting; abort a client that lets too much pile up."""
        transport = self._transport
        if self.is_closed or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > self._limit:
            logger.warning("closing a client that does not read what it asked for")
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    async def close(self) -> None:
        """Close; what is still buffered is sent if the client reads it."""
        if not self.is_closed:
            self.is_closed = True
            self._transport.close()


class Connection:
    """What the broker knows of one open connection."""

    def __init__(
        self, reader: PacketReader, writer: BoundedWriter, deadline: float
    ) -> None:
        self.reader = reader
        self.writer = writer
        #: Latest time for CONNECT; None once logged in.
        self.deadline: float | None = deadline
        self.who: Principal | None = None
        #: What the credential was when it logged in.
        self.stamp: str | None = None
        #: Longest silence, s.
        self.silence: float = 0.0
        self.client_id: str = ""
        self.closed = asyncio.Event()
        #: What serves it.
        self.task = asyncio.current_task()

    def overdue(self, now: float, packet_s: float) -> str | None:
        """Say why this connection must close, or None."""
        if self.deadline is not None:
            return "no CONNECT" if now > self.deadline else None
        began = self.reader.began
        if began is not None and now - began > packet_s:
            return "an unfinished packet"
        return "silence" if now - self.reader.heard > self.silence else None


class FleetHandler(BrokerProtocolHandler):
    """amqtt's handler of one client, with a short way for PUBLISH."""

    def __init__(self, broker: FleetBroker) -> None:
        super().__init__(broker.plugins_manager)
        self.broker = broker
        self._flows: set[asyncio.Task[None]] = set()
        self._left: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    # amqtt makes a new future for the end of a connection when it has started: one
    # that ended before that is then waited for without end, and its name is taken.

    async def start(self) -> None:
        """Begin to read; what an earlier connection left unfinished is forgotten."""
        if self.session is not None:
            self.session.inflight_in.clear()
            self.session.inflight_out.clear()
        await super(BrokerProtocolHandler, self).start()

    async def wait_disconnect(self) -> Any:
        """Wait for the client's end: its DISCONNECT, or None."""
        return await asyncio.shield(self._left)

    async def handle_disconnect(self, disconnect: Any) -> None:
        """Note the client's end; the first word counts."""
        if not self._left.done():
            self._left.set_result(disconnect)

    async def stop(self) -> None:
        """Stop reading and close."""
        await self.handle_disconnect(None)
        await super().stop()

    async def _reader_loop(self) -> None:
        """Take packets until the client leaves, errs or is closed."""
        assert self._reader_ready is not None
        reader: PacketReader = self.reader
        self._reader_ready.set()
        try:
            goes_on = True
            while goes_on:
                first, body = await reader.packet()
                if first >> 4 == PUBLISH and first & 4 == 0:
                    await self._take_publish(first, body)
                else:
                    goes_on = await self._take_other(first, body)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        except Refused as reason:
            self.broker.note_refusal(self.session, str(reason))
        except Exception as error:
            # amqtt's decoders raise what they raise on a broken packet; its bytes are
            # not logged, they may hold a secret.
            self.broker.note_refusal(self.session, f"broken packet: {error!r:.80}")
        for task in self._flows:
            task.cancel()
        await self.handle_connection_closed()
        self._reader_stopped.set()
        await self.stop()

    async def _take_publish(self, first: int, body: bytes) -> None:
        """Take a PUBLISH of QoS 0 or 1."""
        cut = 2 + int.from_bytes(body[:2], "big")
        topic = body[2:cut].decode()
        number = b""
        if first & 2:
            number = body[cut : cut + 2]
            cut += 2
            if number == b"\0\0":
                raise Refused("a message number of 0")
        if cut > len(body):
            raise Refused("a PUBLISH shorter than its parts")
        if not is_topic(topic):
            raise Refused(f"the topic {topic[:80]!r}")
        await self.broker.receive(
            self.session, topic, body[cut:], first >> 1 & 1, bool(first & 1)
        )
        if number and self.writer is not None:
            self.writer.write(b"\x40\x02" + number)

    async def _take_other(self, first: int, body: bytes) -> bool:
        """Take any other packet through amqtt's decoders; False ends the reading."""
        kind = first >> 4
        if kind == PINGREQ:
            if self.writer is not None:
                self.writer.write(b"\xd0\x00")
            return True
        if kind == DISCONNECT:
            # amqtt asks only for an object of this class: a farewell, so no last will.
            await self.handle_disconnect(await _decoded(first, body))
            return False
        if kind == CONNECT:
            raise Refused("a second CONNECT")
        packet = await _decoded(first, body)
        if kind == PUBLISH:
            self._take_exactly_once(packet)
        elif kind == PUBREL:
            if packet.packet_id in self._pubrel_waiters:
                await self.handle_pubrel(packet)
            elif self.writer is not None:
                # Of an earlier connection: the client may forget it, too.
                self.writer.write(b"\x70\x02" + body[:2])
        elif kind == PUBACK:
            await self.handle_puback(packet)
        elif kind == PUBREC:
            await self.handle_pubrec(packet)
        elif kind == PUBCOMP:
            await self.handle_pubcomp(packet)
        elif kind == SUBSCRIBE:
            if not packet.payload.topics:
                raise Refused("a SUBSCRIBE to nothing")
            await self.handle_subscribe(packet)
            await self._wait_for_turn(self._pending_subscriptions)
        elif kind == UNSUBSCRIBE:
            await self.handle_unsubscribe(packet)
            await self._wait_for_turn(self._pending_unsubscriptions)
        else:
            raise Refused(f"a packet of type {kind}, which no client sends")
        return True

    def _take_exactly_once(self, packet: Any) -> None:
        """Start amqtt's four-step flow for a PUBLISH of QoS 2."""
        if packet.qos != 2:
            raise Refused("a PUBLISH of QoS 3")
        if not is_topic(packet.topic_name or ""):
            raise Refused(f"the topic {str(packet.topic_name)[:80]!r}")
        if len(self._flows) >= self.broker.limits.inflight:
            raise Refused("too many unfinished messages of QoS 2")
        task = asyncio.create_task(self._flow(packet))
        self._flows.add(task)
        task.add_done_callback(self._flows.discard)

    async def _flow(self, packet: Any) -> None:
        try:
            await self.handle_publish(packet)
        except Exception as error:
            logger.debug("a message of QoS 2 ended early: %r", error)

    @staticmethod
    async def _wait_for_turn(queue: asyncio.Queue) -> None:
        """Let a client that floods wait until its requests are served."""
        while queue.qsize() > 4:
            await asyncio.sleep(0.01)


async def _decoded(first: int, body: bytes) -> Any:
    """Decode one packet with amqtt, which can read no further than its end."""
    header = MQTTFixedHeader(first >> 4, first & 15, len(body))
    decoder: Any = packet_class(header)
    return await decoder.from_stream(BufferReader(body), fixed_header=header)


def encode_packet(first: int, body: bytes) -> bytes:
    """Return a whole packet: first byte, length, all after it."""
    size, length = len(body), bytearray()
    while True:
        size, byte = size >> 7, size & 127
        length.append(byte | (128 if size else 0))
        if not size:
            return bytes([first, *length]) + body
