"""amqtt's broker with a log-in before everything else and exact topics found directly.

amqtt 0.12.1 does the MQTT; this subclass changes what a fleet cannot live with:

- the log-in comes first: stock amqtt deletes or hands over the session of a client id
  before it looks at the password, and publishes a last will on any topic;
- a message is matched with one dictionary look-up and written at once: stock amqtt
  compares it with every subscription (a third of all time with 85 devices) and makes
  four tasks for it;
- what is kept for somebody is bounded, and is not marked as retained when it is
  delivered; a newly connected client gets the retained messages it subscribed to, not
  those that anybody subscribed to;
- silent, slow and greedy clients are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from amqtt.adapters import BufferReader
from amqtt.broker import Broker, RetainedApplicationMessage
from amqtt.contexts import Action
from amqtt.errors import AMQTTError
from amqtt.mqtt.connack import (
    BAD_USERNAME_PASSWORD,
    IDENTIFIER_REJECTED,
    NOT_AUTHORIZED,
    SERVER_UNAVAILABLE,
    ConnackPacket,
)
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import CONNECT
from amqtt.session import Session

from tilth.fleet.broker_rules import (
    Principal,
    may_publish,
    may_retain,
    may_subscribe,
    may_use_client_id,
)
from tilth.fleet.broker_wire import (
    BoundedWriter,
    Connection,
    FleetHandler,
    Limits,
    PacketReader,
    Refused,
)

logger = logging.getLogger("tilth.fleet.broker")

#: Keys among a session's attributes: its user, its filters, its unfinished messages.
_WHO, _FILTERS, _FLIGHTS = "tilth.who", "tilth.filters", "tilth.flights"
_DENIED = 0x80


class LogIns(Protocol):
    """Who may log in: `tilth.fleet.credentials.Credentials` is one."""

    def log_in(self, user: str, password: str) -> Principal | None:
        """Return who this is, or None."""

    def log_in_certified(self, name: str) -> Principal | None:
        """Return who a verified client certificate names, or None."""

    def stamps(self) -> dict[str, str]:
        """Return for every user that may log in what changes with its credential."""


#: Takes a device's message: topic, payload, whether retained. False: not now, ask
#: again (the client is not read meanwhile).
Take = Callable[[str, bytes, bool], Any]


class FleetBroker(Broker):
    """The embedded broker, inside its event loop.

    Parameters
    ----------
    config : dict
        amqtt's configuration: listeners; no plugins.
    log_ins : LogIns
        Who may log in.
    take : callable, optional
        Given what devices publish on ``d`` and ``s``, beside any subscriber.
    limits : Limits
        What clients may take.
    tls : ssl.SSLContext, optional
        For every listener whose ``ssl`` is set.
    """

    def __init__(
        self,
        config: dict[str, Any],
        log_ins: LogIns,
        take: Take | None,
        limits: Limits,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.log_ins = log_ins
        self.take = take
        self.limits = limits
        self.tls = tls
        self.connections: dict[Connection, None] = {}
        self.clients: dict[str, Connection] = {}
        self.counts = {"received": 0, "sent": 0, "refused": 0, "dropped": 0}
        self._wild: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        super().__init__({**config, "session_expiry_interval": limits.session_s})

    # Connections

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: Any,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> Any:
        async def connected(reader: Any, writer: Any) -> None:
            await self.stream_connected(reader, writer, listener_name)

        return await asyncio.start_server(
            connected,
            address,
            port,
            limit=2 * self.limits.packet_bytes,
            backlog=1024,
            ssl=ssl_context,
            **({"ssl_handshake_timeout": self.limits.connect_s} if ssl_context else {}),
        )

    def _create_ssl_context(self, listener: Any) -> ssl.SSLContext | None:
        return self.tls

    async def stream_connected(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        listener_name: str,
    ) -> None:
        """Serve one connection from its first byte to its end."""
        now = self._loop.time
        connection = Connection(
            PacketReader(reader, self.limits.connect_bytes, now),
            BoundedWriter(writer, self.limits.unsent_bytes),
            now() + self.limits.connect_s,
        )
        self._make_room(connection)
        connection.reader.connection = connection
        try:
            await self._client_connected(
                listener_name, connection.reader, connection.writer
            )
        except (AMQTTError, asyncio.CancelledError):
            pass
        except Exception:
            # One client's end is never the broker's.
            logger.exception("a connection ended with an error")
        finally:
            self.connections.pop(connection, None)
            if self.clients.get(connection.client_id) is connection:
                del self.clients[connection.client_id]
            connection.writer.abort()
            connection.closed.set()

    def _make_room(self, connection: Connection) -> None:
        """Enter a connection; where there are too many, close a stranger's."""
        strangers = [c for c in self.connections if c.who is None]
        full = len(self.connections) >= self.limits.connections
        self.connections[connection] = None
        if not full and len(strangers) < self.limits.strangers:
            return
        # The oldest stranger goes, so that who floods cannot keep a device out; when
        # all are known, the newcomer does.
        victim = strangers[0] if strangers else connection
        self._drop(victim, "too many connections")

    def _drop(self, connection: Connection, why: str) -> None:
        name = connection.who.name if connection.who else "a stranger"
        logger.info("closing the connection of %s: %s", name, why)
        # Out of the table at once: nobody is counted or closed twice.
        self.connections.pop(connection, None)
        connection.writer.abort()

    def kick(self, user: str, why: str = "log-in changed") -> int:
        """Close every connection of a user; return how many there were."""
        found = [c for c in self.connections if c.who and c.who.name == user]
        for connection in found:
            self._drop(connection, why)
        return len(found)

    async def watch(self) -> None:
        """Close the overdue, and those whose credential changed or went."""
        while True:
            await asyncio.sleep(self.limits.watch_s)
            now = self._loop.time()
            for connection in list(self.connections):
                why = connection.overdue(now, self.limits.packet_s)
                if why:
                    self._drop(connection, why)
            try:
                stamps = await asyncio.to_thread(self.log_ins.stamps)
            except Exception:
                logger.exception("cannot read who may log in; asking again")
                continue
            for connection in list(self.connections):
                who = connection.who
                if who and stamps.get(who.name) != connection.stamp:
                    self._drop(connection, "log-in changed or withdrawn")

    # The log-in

    async def _initialize_client_session(
        self, reader: Any, writer: Any, remote_address: str, remote_port: int
    ) -> tuple[Any, Session]:
        """Check everything about a CONNECT before amqtt looks for its session."""
        connection: Connection = reader.connection
        try:
            first, body = await reader.packet(only=CONNECT << 4)
        except (asyncio.IncompleteReadError, ConnectionError, Refused) as error:
            raise AMQTTError(f"no CONNECT: {error}") from None
        raw = _rebuilt(first, body)
        try:
            connect = await ConnectPacket.from_stream(BufferReader(raw))
        except Exception as error:
            raise AMQTTError(f"a broken CONNECT: {type(error).__name__}") from None
        if connect.proto_name == "MQTT" and connect.proto_level == 4:
            who, stamp, code = await self._who_connects(connect, writer)
            if who is None:
                self.counts["refused"] += 1
                logger.info(
                    "a log-in of %.40r from %s is refused, code %d",
                    *(connect.username, remote_address, code),
                )
                writer.write(ConnackPacket.build(0, code).to_bytes())
                await writer.close()
                raise AMQTTError(f"{remote_address}: CONNECT refused, code {code}")
            if not await self._take_over(connection, connect.client_id or ""):
                writer.write(ConnackPacket.build(0, SERVER_UNAVAILABLE).to_bytes())
                await writer.close()
                raise AMQTTError(f"{who.name}: an earlier connection does not end")
        # amqtt refuses other versions of the protocol here, before any session.
        _, session = await super()._initialize_client_session(
            BufferReader(raw), writer, remote_address, remote_port
        )
        connection.who, connection.stamp = who, stamp
        connection.deadline = None
        reader.limit = self.limits.packet_bytes
        asked = session.keep_alive or self.limits.keepalive_s
        connection.silence = 1.5 * min(asked, self.limits.keepalive_s)
        session.keep_alive = 0  # silence is watched here, not with a task per packet
        session.password = None
        session.attributes[_WHO] = who
        session.attributes.setdefault(_FILTERS, set())
        return FleetHandler(self), session

    async def _who_connects(
        self, connect: ConnectPacket, writer: BoundedWriter
    ) -> tuple[Principal | None, str | None, int]:
        """Return who it is and its stamp, or None and MQTT's code of refusal."""
        user, password = connect.username, connect.password
        certified = _certified_name(writer)

        def look_up() -> tuple[Principal | None, str | None]:
            # The stamp first: a change in between is then noticed by `watch`.
            stamps = self.log_ins.stamps()
            if certified is not None and not password:
                who = self.log_ins.log_in_certified(certified)
            elif user and password:
                who = self.log_ins.log_in(user, password)
            else:
                who = None
            return who, stamps.get(who.name) if who else None

        try:
            who, stamp = await asyncio.to_thread(look_up)
        except Exception:
            logger.exception("cannot check a log-in")
            return None, None, SERVER_UNAVAILABLE
        if who is None or stamp is None:
            return None, None, BAD_USERNAME_PASSWORD
        if certified is not None and certified != who.name:
            return None, None, NOT_AUTHORIZED
        if not may_use_client_id(who, connect.client_id or ""):
            logger.warning("%s may not use the client id it gave", who.name)
            return None, None, IDENTIFIER_REJECTED
        will = connect.will_topic or ""
        if connect.will_flag and not (
            may_publish(who, will)
            and (may_retain(will) or not connect.will_retain_flag)
        ):
            logger.warning("%s may not leave its last will on %.80r", who.name, will)
            return None, None, NOT_AUTHORIZED
        return who, stamp, 0

    async def _take_over(self, connection: Connection, client_id: str) -> bool:
        """End an earlier connection of this client id, then hold its place."""
        try:
            async with asyncio.timeout(5):
                while (old := self.clients.get(client_id)) is not None:
                    self._drop(old, "the same client connected again")
                    await old.closed.wait()
        except TimeoutError:
            return False
        if connection not in self.connections:
            raise AMQTTError("closed while it logged in")
        self.clients[client_id] = connection
        connection.client_id = client_id
        return True

    async def _authenticate(self, session: Session, _: Any) -> bool:
        return _WHO in session.attributes

    async def _topic_filtering(
        self, session: Session, topic: str, action: Action
    ) -> bool:
        who = session.attributes[_WHO]
        if action == Action.SUBSCRIBE:
            return may_subscribe(who, topic)
        return action != Action.PUBLISH or may_publish(who, topic)

    def note_refusal(self, session: Session | None, why: str) -> None:
        """Count and log what a client was closed for."""
        self.counts["refused"] += 1
        who = session.attributes.get(_WHO) if session else None
        logger.warning("closing %s: %s", who.name if who else "a stranger", why)

    async def _cleanup_session(self, client_id: str) -> None:
        # amqtt lists who is away, then waits between removals: some may be back.
        if self._ending or client_id not in self.clients:
            await super()._cleanup_session(client_id)

    # Messages

    async def receive(
        self, session: Session | None, topic: str, data: bytes, qos: int, retain: bool
    ) -> None:
        """Take one message from a client, or close the client."""
        who: Principal = session.attributes[_WHO]  # type: ignore[union-attr]
        if not may_publish(who, topic):
            # MQTT 3.1.1 cannot say no to a PUBLISH but by closing the connection.
            raise Refused(f"may not write to {topic[:80]!r}")
        await self._pass_on(topic, data, qos, who.role == "device")
        if retain:
            await self.retain_message(session, topic, data, qos)

    async def _broadcast_message(
        self, session: Any, topic: Any, data: Any, force_qos: int | None = None
    ) -> None:
        """Pass on what comes through amqtt: last wills and messages of QoS 2."""
        if self._ending or not topic:
            return
        who = session.attributes.get(_WHO) if session else None
        qos = 2 if force_qos is None else force_qos
        from_device = who is not None and who.role == "device"
        await self._pass_on(topic, bytes(data), qos, from_device)

    async def _pass_on(
        self, topic: str, data: bytes, qos: int, from_device: bool
    ) -> None:
        self.counts["received"] += 1
        if from_device and self.take is not None:
            # While the journal cannot take more, this client is not read: TCP holds
            # it back, and memory stays bounded.
            while self.take(topic, data, False) is False:
                if self._ending:
                    return
                await asyncio.sleep(0.02)
        self.dispatch(topic, data, qos)

    def dispatch(self, topic: str, data: bytes, qos: int) -> None:
        """Send a message to those who subscribed to it."""
        targets = list(self._subscriptions.get(topic, ()))
        for pattern in list(self._wild):
            if pattern not in self._subscriptions:
                self._wild.discard(pattern)
            elif self._matches(topic, pattern):
                targets += self._subscriptions[pattern]
        if not targets:
            return
        best: dict[str, tuple[Session, int]] = {}
        for session, granted in targets:
            if granted >= best.get(session.client_id, (session, -1))[1]:
                best[session.client_id] = (session, granted)
        plain = None
        for session, granted in best.values():
            level = min(qos, granted)
            if session.transitions.state != "connected":
                if level and not session.clean_session:
                    self._keep(session, topic, data, level)
                continue
            if level:
                self._send_tracked(session, topic, data, level)
                continue
            plain = plain or _publish_packet(topic, data)
            self._write(session, plain)

    def _write(self, session: Session, raw: bytes) -> None:
        handler = self._get_handler(session)
        if handler is not None and handler.writer is not None:
            self.counts["sent"] += 1
            handler.writer.write(raw)

    def _send_tracked(
        self, session: Session, topic: str, data: bytes, qos: int, retain: bool = False
    ) -> None:
        """Start amqtt's flow of QoS 1 or 2 towards a client."""
        handler = self._get_handler(session)
        flights: set[Any] = session.attributes.setdefault(_FLIGHTS, set())
        if handler is None:
            return
        if len(flights) >= self.limits.inflight:
            self._keep(session, topic, data, qos)
            return
        self.counts["sent"] += 1
        task = asyncio.create_task(
            _quietly(handler.mqtt_publish(topic, data, qos, retain))
        )
        self._tasks.add(task)
        flights.add(task)

        def landed(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            flights.discard(task)
            if session.transitions.state == "connected" and not self._ending:
                self._send_kept(session)

        task.add_done_callback(landed)

    def _keep(self, session: Session, topic: str, data: bytes, qos: int) -> None:
        """Keep a message for a client that is away."""
        queue = session.retained_messages
        if queue.qsize() >= self.limits.offline:
            queue.get_nowait()
            self.counts["dropped"] += 1
        queue.put_nowait(RetainedApplicationMessage(None, topic, data, qos))

    async def _publish_session_retained_messages(self, session: Session) -> None:
        self._send_kept(session)

    def _send_kept(self, session: Session) -> None:
        """Send what waits for a client, as far as its window goes."""
        # It is new to the client: not marked as retained.
        queue = session.retained_messages
        flights = session.attributes.setdefault(_FLIGHTS, set())
        while not queue.empty() and len(flights) < self.limits.inflight:
            kept = queue.get_nowait()
            self._send_tracked(session, kept.topic, bytes(kept.data), kept.qos or 1)

    async def retain_message(
        self, source_session: Any, topic_name: Any, data: Any, qos: int | None = None
    ) -> None:
        """Keep the last status of each device, and nothing else."""
        if topic_name and may_retain(topic_name):
            await super().retain_message(source_session, topic_name, data, qos)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        pattern, qos = subscription
        if pattern not in session.attributes.get(_FILTERS, ()):
            return
        if pattern in self._wild:
            found = [t for t in self._retained_messages if self._matches(t, pattern)]
        else:
            found = [pattern] if pattern in self._retained_messages else []
        for topic in found:
            kept = self._retained_messages[topic]
            level = min(qos, kept.qos or 0)
            if level:
                self._send_tracked(session, topic, bytes(kept.data), level, True)
            else:
                self._write(session, _publish_packet(topic, bytes(kept.data), True))

    async def add_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> int:
        """Subscribe a client, within its rights and its number of filters."""
        pattern, qos = subscription
        filters = session.attributes.setdefault(_FILTERS, set())
        if (
            not 0 < len(pattern) <= 256
            or not 0 <= qos <= 2
            or (pattern not in filters and len(filters) >= self.limits.subscriptions)
        ):
            return _DENIED
        code = await super().add_subscription(subscription, session)
        if code == _DENIED:
            self.note_denial(session, pattern)
            return code
        filters.add(pattern)
        if "+" in pattern or "#" in pattern:
            self._wild.add(pattern)
        return code

    def note_denial(self, session: Session, pattern: str) -> None:
        """Log a subscription that was not granted (the client gets code 0x80)."""
        self.counts["refused"] += 1
        who = session.attributes[_WHO]
        logger.warning("%s may not subscribe to %.80r", who.name, pattern)

    async def _del_all_subscriptions(self, session: Session) -> None:
        for pattern in session.attributes.pop(_FILTERS, ()):
            self._del_subscription(pattern, session)
            if not self._subscriptions.get(pattern, True):
                del self._subscriptions[pattern]

    def _del_subscription(self, a_filter: str, session: Session) -> int:
        session.attributes.get(_FILTERS, set()).discard(a_filter)
        return super()._del_subscription(a_filter, session)

    # The end

    async def shutdown(self) -> None:
        """Close every connection, then stop as amqtt does; no last wills."""
        self._ending = True
        open_now = list(self.connections)
        for connection in open_now:
            connection.writer.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                for connection in open_now:
                    await connection.closed.wait()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().shutdown()


def _rebuilt(first: int, body: bytes) -> bytes:
    """Return a packet as it came."""
    size, length = len(body), bytearray()
    while True:
        size, byte = size >> 7, size & 127
        length.append(byte | (128 if size else 0))
        if not size:
            return bytes([first, *length]) + body


def _publish_packet(topic: str, data: bytes, retain: bool = False) -> bytes:
    """Return a PUBLISH of QoS 0."""
    name = topic.encode()
    return _rebuilt(0x30 | retain, len(name).to_bytes(2, "big") + name + data)


async def _quietly(flow: Awaitable[Any]) -> None:
    """Await a flow of QoS 1 or 2 whose end nobody needs to know of."""
    try:
        await flow
    except Exception as error:
        logger.debug("a message was not acknowledged: %s", type(error).__name__)


def _certified_name(writer: BoundedWriter) -> str | None:
    """Return the common name of a verified client certificate."""
    tls = writer.get_ssl_info()
    certificate = tls.getpeercert() if tls is not None else None
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
