"""Many reference devices on the air: one process, one event loop, any broker.

As a program it is the load generator of the benchmark: ``python radios.py OPTIONS``,
with the arguments of `load` as JSON, prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import ssl
import sys
import time
from collections.abc import Callable, Iterable

from devices import Device, names
from mqttwire import DISCONNECT, PINGREQ, Client, connect, publish, subscribe


class Radio:
    """One device's connection: connects again for ever, sends what is due.

    Parameters
    ----------
    device : Device
        Whose records.
    password : str
        Its MQTT password; the user name and client id are its name.
    address : callable
        Gives (host, port) at every attempt, so that a test can move the broker.
    qos : int
        0 or 1.
    tls : ssl.SSLContext, optional
        For an encrypted link; the server name checked is the host.
    backoff : tuple of float
        First and longest pause before another attempt, s.
    """

    def __init__(
        self,
        device: Device,
        password: str,
        address: Callable[[], tuple[str, int]],
        *,
        qos: int = 1,
        tls: ssl.SSLContext | None = None,
        backoff: tuple[float, float] = (0.02, 0.5),
        keepalive: int = 60,
    ) -> None:
        self.device = device
        self.password = password
        self.address = address
        self.qos = qos
        self.tls = tls
        self.backoff = backoff
        self.keepalive = keepalive
        self.client: Client | None = None
        self.ready = False
        self.refused: int | None = None
        self.connections = self.pubacks = self.sent = self.acks = 0
        self.commands: list[tuple[bytes, bool]] = []
        self._pause = backoff[0]
        self._next_try = 0.0
        self._dialling: asyncio.Task | None = None
        self._number = 0
        self._heard = 0.0
        self._random = random.Random(device.name)
        root = f"tilth/v1/{device.name}/"
        self._d, self._s = root + "d", root + "s"
        self._ack, self._cmd = root + "ack", root + "cmd"

    def tend(self, now: float) -> None:
        """Connect if there is no connection and it is time; else send what is due."""
        if self.ready:
            self.pump(now)
            if now - self._heard > self.keepalive / 2:
                self._heard = now
                self.client.send(PINGREQ)
        elif self.client is None and self._dialling is None and now >= self._next_try:
            self._dialling = asyncio.ensure_future(self._dial())

    async def _dial(self) -> None:
        device = self.device
        hello = connect(
            device.name,
            device.name,
            self.password,
            keepalive=self.keepalive,
            will=(self._s, device.farewell(), 1, True),
        )
        # Before it connects: an answer may come before we hear that it has.
        self.client = Client(
            hello,
            self._message,
            self._opened,
            self._published,
            self._subscribed,
            self._closed,
        )
        try:
            host, port = self.address()
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().create_connection(
                    lambda client=self.client: client, host, port, ssl=self.tls
                )
        except (OSError, TimeoutError):
            self._closed(None)
        finally:
            self._dialling = None

    def _opened(self, code: int) -> None:
        if code:
            self.refused = code
            self.client.close()
            return
        self.connections += 1
        self.client.send(subscribe([self._ack, self._cmd]))

    def _subscribed(self, number: int, codes: bytes) -> None:
        assert 0x80 not in codes
        self.ready = True
        self._pause = self.backoff[0]
        self._heard = time.monotonic()
        self.device.reconnected()
        self._send(self._s, self.device.hello(), retain=True)
        self.pump(self._heard)

    def _closed(self, error: Exception | None) -> None:
        self.client = None
        self.ready = False
        self._next_try = time.monotonic() + self._pause * self._random.uniform(0.5, 1.5)
        self._pause = min(2 * self._pause, self.backoff[1])

    def _published(self, number: int) -> None:
        self.pubacks += 1

    def _message(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._ack:
            self.acks += 1
            now = self._heard = time.monotonic()
            self.device.acknowledge(payload, now)
            self.pump(now)
        else:
            self.commands.append((payload, retained))

    def pump(self, now: float) -> None:
        """Publish what the device wants to send."""
        if self.ready:
            for payload in self.device.due(now):
                self._send(self._d, payload)

    def _send(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self._number = self._number % 65535 + 1
        number = self._number if self.qos else None
        self.sent += 1
        self.client.send(publish(topic, payload, number, retain=retain))

    def cut(self) -> None:
        """Cut the connection without a word."""
        if self.client is not None:
            self.client.close()

    async def leave(self) -> None:
        """Say goodbye and close for good."""
        self._next_try = float("inf")
        if self._dialling is not None:
            self._dialling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._dialling
        client, self.ready = self.client, False
        if client is not None and client.transport is not None:
            client.send(DISCONNECT)
            client.transport.close()
            while self.client is not None:
                await asyncio.sleep(0.001)
            self._next_try = float("inf")


class Fleet:
    """Several radios tended by one loop.

    Parameters
    ----------
    radios : iterable of Radio
        The fleet.
    rate : float
        Records that each device generates per second.
    """

    def __init__(self, radios: Iterable[Radio], rate: float = 0.0) -> None:
        self.radios = list(radios)
        self.rate = rate

    @property
    def held(self) -> int:
        """Records on all devices together."""
        return sum(radio.device.held for radio in self.radios)

    async def run(
        self, seconds: float, *, drain: float = 0.0, done: Callable[[], bool] = bool
    ) -> bool:
        """Generate for some seconds, then only send until all is acknowledged.

        Parameters
        ----------
        seconds : float
            How long to generate; `done` ends it earlier.
        drain : float
            How long to wait at most for the devices to be empty, s.

        Returns
        -------
        bool
            Whether every device is empty.
        """
        begin = time.monotonic()
        made = [0] * len(self.radios)
        size = self.radios[0].device.live
        tended = 0.0
        while (now := time.monotonic()) - begin < seconds and not done():
            for i, radio in enumerate(self.radios):
                # Device i is a part of a period behind the first: no common beat.
                due = (now - begin) * self.rate - size * i / len(self.radios)
                if due - made[i] >= size:
                    n = int(due - made[i]) // size * size
                    made[i] += n
                    radio.device.generate(n, now)
                    radio.pump(now)
            if now - tended > 0.02:
                tended = now
                for radio in self.radios:
                    radio.tend(now)
            await asyncio.sleep(0.002)
        end = time.monotonic() + drain
        while self.held and time.monotonic() < end:
            for radio in self.radios:
                radio.tend(time.monotonic())
            await asyncio.sleep(0.01)
        return not self.held

    async def connected(self, timeout: float = 30.0) -> None:
        """Wait until every device is connected."""
        async with asyncio.timeout(timeout):
            while not all(radio.ready for radio in self.radios):
                for radio in self.radios:
                    radio.tend(time.monotonic())
                await asyncio.sleep(0.005)

    async def leave(self) -> None:
        """Close every connection."""
        for radio in self.radios:
            await radio.leave()


def percentile(values: list[float], q: float) -> float:
    """Return the value below which a share `q` of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


async def load(
    port: int,
    devices: int = 85,
    batches: float = 560.0,
    seconds: float = 10.0,
    size: int = 5,
    total: int = 0,
    window: int = 8,
    password: str = "pw",
) -> dict:
    """Load a broker and return what came of it.

    Parameters
    ----------
    port : int
        Of the broker.
    devices : int
        How many.
    batches, seconds : float
        Batches per second of all devices together, and for how long.
    size : int
        Records in each batch.
    total : int
        Instead of a rate: so many batches in all, as fast as they are acknowledged.
    window, password : int, str
        Of each device.
    """
    fleet = Fleet(
        [
            Radio(
                # Another boot each time: numbers already stored would cost less.
                Device(
                    name,
                    live=size,
                    most=size,
                    window=window,
                    retry=20.0,
                    seed=time.time_ns(),
                ),
                password,
                lambda: ("127.0.0.1", port),
            )
            for name in names(devices)
        ],
        rate=batches * size / devices,
    )
    made = [radio.device for radio in fleet.radios]
    for device in made:
        device.power_on()
    await fleet.connected()
    begin = time.monotonic()
    if total:
        for radio in fleet.radios:
            radio.device.generate(total // devices * size, begin)
            radio.pump(begin)
        seconds = 0.0
    empty = await fleet.run(seconds, drain=120)
    took = time.monotonic() - begin
    await fleet.leave()
    latencies = [x for device in made for x in device.latencies] or [0.0]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    deleted = sum(b.low for device in made for b in device.boots.values())
    sent = sum(device.batches for device in made)
    return {
        "acknowledged": deleted,
        "seconds": took,
        "samples_per_s": deleted / took,
        "messages_per_s": deleted / size / took,
        "sent": sent,
        "resent": sum(device.resent for device in made),
        "p50_ms": 1e3 * percentile(latencies, 0.5),
        "p99_ms": 1e3 * percentile(latencies, 0.99),
        "max_ms": 1e3 * max(latencies),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "empty": empty,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(**json.loads(sys.argv[1])))))
