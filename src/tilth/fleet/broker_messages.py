"""Who gets which message: amqtt's broker with exact topics found directly.

Stock amqtt 0.12.1 compares every message with every subscription (a third of all its
time with 85 devices) and makes four tasks for it; it delivers what it kept for a client
marked as retained, without a bound on how much, and gives a newly connected client the
retained messages that anybody subscribed to. Here a message is matched with one
look-up and written at once; what is kept is bounded and comes as it was sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from amqtt.broker import Broker, RetainedApplicationMessage
from amqtt.contexts import Action
from amqtt.session import Session

from tilth.fleet.broker_rules import (
    Principal,
    may_publish,
    may_retain,
    may_subscribe,
)
from tilth.fleet.broker_wire import Limits, Refused, encode_packet

logger = logging.getLogger("tilth.fleet.broker")

#: Keys among a session's attributes: its user, its filters, its unfinished messages.
WHO, FILTERS, FLIGHTS = "tilth.who", "tilth.filters", "tilth.flights"
_DENIED = 0x80

#: Takes a device's message: topic, payload, whether retained. False: not now, ask
#: again (the client is not read meanwhile).
Take = Callable[[str, bytes, bool], Any]


class MessageBroker(Broker):
    """The part of the embedded broker that passes messages on.

    Parameters
    ----------
    config : dict
        amqtt's configuration: listeners; no plugins.
    take : callable, optional
        Given what devices publish on ``d`` and ``s``, beside any subscriber.
    limits : Limits
        What clients may take.
    """

    def __init__(
        self, config: dict[str, Any], take: Take | None, limits: Limits
    ) -> None:
        self.take = take
        self.limits = limits
        self.counts = {"received": 0, "sent": 0, "refused": 0, "dropped": 0}
        self._wild: set[str] = set()
        #: Device -> messages taken from it since it was last answered.
        self._ahead: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        super().__init__({**config, "session_expiry_interval": limits.session_s})

    async def _topic_filtering(
        self, session: Session, topic: str, action: Action
    ) -> bool:
        who = session.attributes[WHO]
        if action == Action.SUBSCRIBE:
            return may_subscribe(who, topic)
        return action != Action.PUBLISH or may_publish(who, topic)

    async def receive(
        self, session: Session | None, topic: str, data: bytes, qos: int, retain: bool
    ) -> None:
        """Take one message from a client, or close the client."""
        who: Principal = session.attributes[WHO]  # type: ignore[union-attr]
        if not may_publish(who, topic):
            # MQTT 3.1.1 cannot say no to a PUBLISH but by closing the connection.
            raise Refused(f"may not write to {topic[:80]!r}")
        if who.role == "device" and self.take is not None:
            await self._wait_for_answer(who.name)
        await self._pass_on(topic, data, qos, who.role == "device")
        if retain:
            await self.retain_message(session, topic, data, qos)

    async def _wait_for_answer(self, device: str) -> None:
        """Hold back a device that sends without heeding its acknowledgements.

        All devices share one queue to the journal; else one could fill it, and the
        live data of the others would wait behind.
        """
        if self._ahead.get(device, 0) >= self.limits.ahead:
            end = self._loop.time() + 1.0
            while device in self._ahead and self._loop.time() < end:
                if self._ending:
                    return
                await asyncio.sleep(0.01)
            self._ahead.pop(device, None)
        self._ahead[device] = self._ahead.get(device, 0) + 1

    async def _broadcast_message(
        self, session: Any, topic: Any, data: Any, force_qos: int | None = None
    ) -> None:
        """Pass on what comes through amqtt: last wills and messages of QoS 2."""
        if self._ending or not topic:
            return
        who = session.attributes.get(WHO) if session else None
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
            while self._offer(topic, data) is False:
                if self._ending:
                    return
                await asyncio.sleep(0.02)
        self.dispatch(topic, data, qos)

    def _offer(self, topic: str, data: bytes) -> Any:
        assert self.take is not None
        try:
            return self.take(topic, data, False)
        except Exception:
            # The device sends it again; it is not to blame, and stays connected.
            logger.exception("a message of %s could not be handed over", topic)
            return True

    def dispatch(self, topic: str, data: bytes, qos: int) -> None:
        """Send a message to those who subscribed to it."""
        if topic.endswith("/ack"):
            self._ahead.pop(topic[9:21], None)
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
        flights: set[Any] = session.attributes.setdefault(FLIGHTS, set())
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
        flights = session.attributes.setdefault(FLIGHTS, set())
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
        if pattern not in session.attributes.get(FILTERS, ()):
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
        filters = session.attributes.setdefault(FILTERS, set())
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
        who = session.attributes[WHO]
        logger.warning("%s may not subscribe to %.80r", who.name, pattern)

    async def _del_all_subscriptions(self, session: Session) -> None:
        for pattern in session.attributes.pop(FILTERS, ()):
            self._del_subscription(pattern, session)
            if not self._subscriptions.get(pattern, True):
                del self._subscriptions[pattern]

    def _del_subscription(self, a_filter: str, session: Session) -> int:
        session.attributes.get(FILTERS, set()).discard(a_filter)
        return super()._del_subscription(a_filter, session)


def _publish_packet(topic: str, data: bytes, retain: bool = False) -> bytes:
    """Return a PUBLISH of QoS 0."""
    name = topic.encode()
    return encode_packet(0x30 | retain, len(name).to_bytes(2, "big") + name + data)


async def _quietly(flow: Awaitable[Any]) -> None:
    """Await a flow of QoS 1 or 2 whose end nobody needs to know of."""
    try:
        await flow
    except Exception as error:
        logger.debug("a message was not acknowledged: %s", type(error).__name__)
