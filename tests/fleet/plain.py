"""What is done without a watermark: trust in QoS 1, a subscriber that inserts.

The device deletes a batch when the broker has acknowledged it; the subscriber has a
persistent session and commits every message before it goes on.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from devices import batch_of
from mqttwire import DISCONNECT, Client, connect, publish
from paho.mqtt.enums import CallbackAPIVersion


class PlainSubscriber:
    """A subscriber as scripts have it: persistent session, QoS 1, SQLite.

    It commits every message, or what came in `every` seconds.
    """

    def __init__(self, path: Path, port: int, *, every: float = 0.0) -> None:
        self.path = path
        self.port = port
        self.every = every
        self._committed = 0.0
        self._store = sqlite3.connect(path, check_same_thread=False)
        self._store.execute("PRAGMA journal_mode=WAL")
        self._store.execute("PRAGMA synchronous=FULL")
        self._store.execute(
            "CREATE TABLE IF NOT EXISTS messages(topic TEXT, payload BLOB)"
        )
        self._store.commit()

    def start(self) -> PlainSubscriber:
        """Connect and subscribe; returns when the broker has agreed."""
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="plain", clean_session=False
        )
        agreed = threading.Event()
        self.client.on_connect = lambda c, *_: c.subscribe("tilth/v1/+/d", 1)
        self.client.on_subscribe = lambda *_: agreed.set()
        self.client.on_message = self._keep
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert agreed.wait(10)
        return self

    def _keep(self, client, userdata, message) -> None:
        self._store.execute(
            "INSERT INTO messages VALUES (?, ?)", (message.topic, message.payload)
        )
        if time.monotonic() - self._committed >= self.every:
            self._store.commit()
            self._committed = time.monotonic()

    def stop(self) -> None:
        """Disconnect; the session stays with the broker."""
        self.client.disconnect()
        self.client.loop_stop()
        self._store.commit()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def count(self) -> int:
        """Return how many different messages are stored."""
        query = "SELECT count(*) FROM (SELECT DISTINCT topic, payload FROM messages)"
        return self._store.execute(query).fetchone()[0]


async def send_plainly(port: int, names: list[str], batches: int) -> int:
    """Send batches as devices that delete on PUBACK; return how many were deleted."""
    deleted = 0
    done = asyncio.Event()

    def acknowledged(number: int) -> None:
        nonlocal deleted
        deleted += 1
        if deleted == batches * len(names):
            done.set()

    clients = []
    for name in names:
        opened = asyncio.get_running_loop().create_future()
        client = Client(
            connect(name, name, "pw"),
            lambda *_: None,
            opened.set_result,
            acknowledged,
        )
        await asyncio.get_running_loop().create_connection(
            lambda client=client: client, "127.0.0.1", port
        )
        assert await opened == 0
        clients.append(client)
    for k in range(batches):
        for name, client in zip(names, clients, strict=True):
            payload = batch_of(name, "1-00000000", 5 * k, 5, 5 * k, 1_753_000_000_000)
            client.send(publish(f"tilth/v1/{name}/d", payload, k % 65535 + 1))
        if k % 20 == 19:
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await done.wait()
    for client in clients:
        client.send(DISCONNECT)
        client.transport.close()
    await asyncio.sleep(0.05)
    return deleted
