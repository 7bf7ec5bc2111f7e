"""Who is connected: amqtt's broker with a log-in before everything else.

Stock amqtt 0.12.1 deletes or hands over the session of a client id before it looks at
the password, and leaves the older of two connections of one client alive. It waits for
ever for a CONNECT, does not miss a silent client, and publishes a last will on any
topic. Here the log-in comes first, and silent, slow and greedy clients are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Protocol

from amqtt.adapters import BufferReader
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

from tilth.fleet.broker_messages import FILTERS, WHO, MessageBroker, Take
from tilth.fleet.broker_rules import (
    Principal,
    may_publish,
    may_retain,
    may_use_client_id,
)
from tilth.fleet.broker_wire import (
    BoundedWriter,
    Connection,
    FleetHandler,
    Limits,
    PacketReader,
    Refused,
    encode_packet,
)

logger = logging.getLogger("tilth.fleet.broker")


class LogIns(Protocol):
    """Who may log in: `tilth.fleet.credentials.Credentials` is one."""

    def log_in(self, user: str, password: str) -> Principal | None:
        """Return who this is, or None."""

    def log_in_certified(self, name: str) -> Principal | None:
        """Return who a verified client certificate names, or None."""

    def stamps(self) -> dict[str, str]:
        """Return for every user that may log in what changes with its credential."""


class FleetBroker(MessageBroker):
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
        self.tls = tls
        #: In the order in which they came; strangers have not logged in yet.
        self.connections: dict[Connection, None] = {}
        self.strangers: dict[Connection, None] = {}
        self.clients: dict[str, Connection] = {}
        super().__init__(config, take, limits)

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
            address and address.strip("[]"),  # of IPv6, which amqtt leaves on
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
            self._forget(connection)
            if self.clients.get(connection.client_id) is connection:
                del self.clients[connection.client_id]
            connection.writer.abort()
            connection.closed.set()

    def _make_room(self, connection: Connection) -> None:
        """Enter a connection; where there are too many, close a stranger's."""
        full = len(self.connections) >= self.limits.connections
        self.connections[connection] = self.strangers[connection] = None
        if full or len(self.strangers) > self.limits.strangers:
            # The oldest stranger goes, so that who floods cannot keep a device out;
            # when all others are known, that is the newcomer.
            self._drop(next(iter(self.strangers)), "too many connections")

    def _drop(self, connection: Connection, why: str) -> None:
        name = connection.who.name if connection.who else "a stranger"
        logger.info("closing the connection of %s: %s", name, why)
        # Out of the tables at once: nobody is counted or closed twice.
        self._forget(connection)
        connection.writer.abort()

    def _forget(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        self.strangers.pop(connection, None)

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
        raw = encode_packet(first, body)
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
        self.strangers.pop(connection, None)
        connection.deadline = None
        reader.limit = self.limits.packet_bytes
        asked = session.keep_alive or self.limits.keepalive_s
        connection.silence = 1.5 * min(asked, self.limits.keepalive_s)
        session.keep_alive = 0  # silence is watched here, not with a task per packet
        session.password = None
        session.attributes[WHO] = who
        session.attributes.setdefault(FILTERS, set())
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
            if old is not None and old.task is not None:
                old.task.cancel()  # it hangs; the next attempt finds the place free
            return False
        if connection not in self.connections:
            raise AMQTTError("closed while it logged in")
        self.clients[client_id] = connection
        connection.client_id = client_id
        return True

    async def _authenticate(self, session: Session, _: Any) -> bool:
        return WHO in session.attributes

    def note_refusal(self, session: Session | None, why: str) -> None:
        """Count and log what a client was closed for."""
        self.counts["refused"] += 1
        who = session.attributes.get(WHO) if session else None
        logger.warning("closing %s: %s", who.name if who else "a stranger", why)

    async def _cleanup_session(self, client_id: str) -> None:
        # amqtt lists who is away, then waits between removals: some may be back.
        if self._ending or client_id not in self.clients:
            await super()._cleanup_session(client_id)

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


def _certified_name(writer: BoundedWriter) -> str | None:
    """Return the common name of a verified client certificate."""
    tls = writer.get_ssl_info()
    certificate = tls.getpeercert() if tls is not None else None
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
