"""A client that blocks: connects, sends packets, waits for packets. For short tests."""

from __future__ import annotations

import socket
import ssl
import time

from mqttwire import CONNACK, Splitter, connect, publish, subscribe


class Talk:
    """One blocking MQTT connection.

    Parameters
    ----------
    port : int
        Of a broker on this machine.
    tls : ssl.SSLContext, optional
        For an encrypted one.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._packets = Splitter()
        self.inbox: list[tuple[int, bytes]] = []
        self._number = 0

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(raw)

    def receive(self, timeout: float = 3.0) -> tuple[int, bytes] | None:
        """Return the next packet; None if the broker closed or nothing came."""
        end = time.monotonic() + timeout
        while not self.inbox:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except OSError:
                return None
            if not data:
                return None
            self.inbox += self._packets.feed(data)
        return self.inbox.pop(0)

    def is_closed(self, timeout: float = 5.0) -> bool:
        """Tell whether the broker closes the connection within a time."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def log_in(self, user: str, password: str | None, **options) -> int | None:
        """Connect; return the code of CONNACK (0 is accepted), None if closed."""
        client = options.pop("client_id", user)
        self.send(connect(client, user, password, **options))
        answer = self.receive()
        return answer[1][1] if answer and answer[0] >> 4 == CONNACK else None

    def subscribe(self, *topics: str, qos: int = 1) -> bytes:
        """Subscribe; return the granted codes."""
        self.send(subscribe(list(topics), 7, qos))
        while (answer := self.receive()) is not None:
            if answer[0] >> 4 == 9:
                return answer[1][2:]
        return b""

    def publish(self, topic: str, payload: bytes, **options) -> bool:
        """Publish at QoS 1; return whether PUBACK came."""
        self._number += 1
        self.send(publish(topic, payload, self._number, **options))
        kept = []
        while (answer := self.receive()) is not None:
            if answer[0] >> 4 == 4:
                self.inbox = kept + self.inbox
                return True
            kept.append(answer)
        self.inbox = kept
        return False

    def message(self, timeout: float = 3.0) -> tuple[str, bytes, bool] | None:
        """Return the next message as (topic, payload, retained)."""
        while (answer := self.receive(timeout)) is not None:
            first, body = answer
            if first >> 4 == 3:
                cut = 2 + int.from_bytes(body[:2], "big")
                topic = body[2:cut].decode()
                if first & 6:
                    self.send(b"\x40\x02" + body[cut : cut + 2])
                    cut += 2
                return topic, body[cut:], bool(first & 1)
        return None
