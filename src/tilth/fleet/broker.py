"""The embedded broker: amqtt in a thread of this process, for a fleet of one machine.

Devices reach it like any MQTT 3.1.1 broker. Their batches go straight to the ingest,
acknowledgements and commands straight to their connections; other programs may
subscribe as readers. Nothing is stored: what a broker loses, devices send again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.broker_amqtt import FleetBroker, LogIns
from tilth.fleet.broker_messages import Take
from tilth.fleet.broker_wire import Limits

__all__ = ["BrokerSettings", "EmbeddedBroker", "Limits", "LogIns", "tls_context"]

logger = logging.getLogger("tilth.fleet.broker")


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker listens.

    Parameters
    ----------
    host : str
        Address; the default lets only this machine in. ``0.0.0.0`` is all of them.
    port : int
        Port; 0 takes a free one.
    certificate, key : path, optional
        PEM files of the server's certificate and key: TLS 1.2 or 1.3.
    ca : path, optional
        PEM file of the authority that signs client certificates.
    client_certificates : str
        ``"none"``, ``"optional"``, or ``"required"`` of every client.
    plain_lan : bool
        Allow an address that others can reach without TLS: passwords and data then
        cross the network readable.
    limits : Limits
        What clients may take.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    ca: str | os.PathLike[str] | None = None
    client_certificates: str = "none"
    plain_lan: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS needs both a certificate and its key")
        if self.client_certificates not in ("none", "optional", "required"):
            raise InputError(
                f"client_certificates = {self.client_certificates!r}; it is none, "
                "optional or required"
            )
        if self.client_certificates != "none" and (
            self.ca is None or self.certificate is None
        ):
            raise InputError("client certificates need certificate, key and ca")
        local = self.host in ("127.0.0.1", "::1", "localhost")
        if not local and self.certificate is None and not self.plain_lan:
            raise InputError(
                f"the broker would listen on {self.host} without TLS: give it a "
                "certificate and key, or set plain_lan if the network is trusted"
            )


def tls_context(settings: BrokerSettings) -> ssl.SSLContext | None:
    """Return the server's side of TLS, or None where there is none.

    Raises
    ------
    InputError
        If a file is missing or not what it should be.
    """
    if settings.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.ca is not None:
            context.load_verify_locations(settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"the broker cannot use {settings.certificate} with {settings.key}"
            f" (ca {settings.ca}): {error}"
        ) from None
    context.verify_mode = {
        "none": ssl.CERT_NONE,
        "optional": ssl.CERT_OPTIONAL,
        "required": ssl.CERT_REQUIRED,
    }[settings.client_certificates]
    return context


class EmbeddedBroker:
    """A broker in a thread of its own.

    Parameters
    ----------
    settings : BrokerSettings
        Where to listen.
    log_ins : LogIns
        Who may log in; never anonymous.
    take : callable, optional
        Called in the broker's thread with (topic, payload, retained) for what devices
        publish. It must not block; False means not now: the device is read no further
        until another value comes.

    Examples
    --------
    >>> from tilth.fleet.broker_rules import Principal
    >>> class Nobody:
    ...     def log_in(self, user, password): return None
    ...     def log_in_certified(self, name): return None
    ...     def stamps(self): return {}
    >>> with EmbeddedBroker(BrokerSettings(port=0), Nobody()) as broker:
    ...     broker.port > 0
    True
    """

    def __init__(
        self, settings: BrokerSettings, log_ins: LogIns, take: Take | None = None
    ) -> None:
        self.settings = settings
        self._log_ins = log_ins
        self._take = take
        self._broker: FleetBroker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._outbox: deque[tuple[str, bytes, int]] = deque()
        self._awake = False
        #: The port it listens on, once started.
        self.port = settings.port

    def start(self) -> None:
        """Open the port; returns when devices can connect.

        Raises
        ------
        InputError
            If the port cannot be had or a certificate cannot be used.
        """
        if self._thread is not None:
            raise InputError("this broker runs already")
        tls = tls_context(self.settings)
        for name in ("amqtt", "transitions"):
            library = logging.getLogger(name)
            if library.level == logging.NOTSET:
                # They write several lines for every stranger who knocks.
                library.setLevel(logging.ERROR)
        ready: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(ready, tls)),
            name="tilth-broker",
            daemon=True,
        )
        self._thread.start()
        try:
            self.port = ready.result(30)
            logger.info("the broker listens on %s:%d", self.settings.host, self.port)
        except BaseException:
            self._thread.join(5)
            self._thread = None
            raise

    async def _run(self, ready: Future[int], tls: ssl.SSLContext | None) -> None:
        settings = self.settings
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        listener = {
            "type": "tcp",
            "bind": f"{host}:{settings.port}",
            "ssl": tls is not None,
        }
        try:
            broker = FleetBroker(
                {"listeners": {"default": listener}, "plugins": {}},
                self._log_ins,
                self._take,
                settings.limits,
                tls,
            )
            await broker.start()
        except Exception as error:
            ready.set_exception(
                InputError(
                    f"no broker on {settings.host}:{settings.port}: "
                    f"{error.__cause__ or error}"
                )
            )
            return
        self._broker = broker
        watching = asyncio.create_task(broker.watch())
        instance: Any = broker._servers["default"].instance
        ready.set_result(instance.sockets[0].getsockname()[1])
        try:
            await self._stop.wait()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            self._broker = None
            await broker.shutdown()

    def stop(self) -> None:
        """Close all connections and the port; a second call does nothing."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._thread = None

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send a message to whoever subscribed to it; any thread may.

        Returns at once. Acknowledgements go at QoS 0, commands at QoS 1. Nothing is
        sent when the broker does not run.
        """
        loop = self._loop
        if loop is None or self._broker is None:
            return
        self._outbox.append((topic, payload, qos))
        if self._awake:
            return
        self._awake = True
        try:
            loop.call_soon_threadsafe(self._send_outbox)
        except RuntimeError:  # the loop has just ended
            self._outbox.clear()

    def _send_outbox(self) -> None:
        # Before the queue is emptied: what is added from here on wakes it again.
        self._awake = False
        broker = self._broker
        while self._outbox:
            topic, payload, qos = self._outbox.popleft()
            if broker is not None:
                broker.dispatch(topic, payload, qos)

    @property
    def running(self) -> bool:
        """Whether devices can connect now."""
        return self._broker is not None

    def kick(self, user: str) -> None:
        """Close the connections of a user now, such as one just locked out."""
        broker, loop = self._broker, self._loop
        if broker is not None and loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(broker.kick, user)

    def clients(self) -> list[str]:
        """Return the names of the users connected now."""
        broker = self._broker
        if broker is None:
            return []
        return sorted({c.who.name for c in list(broker.connections) if c.who})

    def counts(self) -> dict[str, int]:
        """Return how many messages were received, sent and dropped, and refusals."""
        broker = self._broker
        if broker is None:
            return {}
        return {**broker.counts, "connections": len(broker.connections)}
