"""A bad network between devices and broker, in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mqttwire import PUBLISH, Splitter, packet


@dataclass
class Weather:
    """What the network does now; a test changes it while it runs.

    Parameters
    ----------
    down : bool
        Nobody gets through: connections are refused or cut.
    frozen : bool
        Nothing moves, and nobody is told.
    silent : bool
        The broker is not told that a device has gone: half-open connections.
    segment : int
        Bytes per write; 0 for as they come.
    delay : float
        Longest delay of a segment, s.
    lose, repeat, swap : float
        Share of PUBLISH packets, of each direction, that are dropped, sent twice, or
        sent after the next one.
    mute : callable, optional
        Given the topic of a message to a device: True drops it.
    """

    down: bool = False
    frozen: bool = False
    silent: bool = False
    segment: int = 0
    delay: float = 0.0
    lose: float = 0.0
    repeat: float = 0.0
    swap: float = 0.0
    mute: Callable[[str], bool] | None = None
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("lost", "repeated", "swapped"), 0)
    )


class Proxy:
    """Listens on a port and passes everything on to another, weather permitting."""

    def __init__(self, target: int, weather: Weather, seed: int = 0) -> None:
        self.target = target
        self.weather = weather
        self.port = 0
        self.connections = 0
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection, both sides, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self._writers.add(writer)
        back = None
        try:
            if self.weather.down:
                return
            self.connections += 1
            answers, back = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(back)
            done, left = await asyncio.wait(
                [
                    asyncio.ensure_future(self._pump(reader, back, to_device=False)),
                    asyncio.ensure_future(self._pump(answers, writer, to_device=True)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            while self.weather.silent:
                await asyncio.sleep(0.02)
            for other in left:
                other.cancel()
            await asyncio.gather(*done, *left, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, back):
                if end is not None:
                    end.transport.abort()
                    self._writers.discard(end)
            self._tasks.discard(task)

    async def _pump(self, reader, writer, *, to_device: bool) -> None:
        weather = self.weather
        splitter = Splitter()
        held: bytes | None = None
        while data := await reader.read(65536):
            out = []
            for first, body in splitter.feed(data):
                raw = packet(first, body)
                if first >> 4 == PUBLISH:
                    topic = body[2 : 2 + int.from_bytes(body[:2], "big")].decode()
                    if self._chance("lose", "lost") or (
                        to_device and weather.mute and weather.mute(topic)
                    ):
                        continue
                    if self._chance("repeat", "repeated"):
                        out.append(raw)
                    if held is None and self._chance("swap", "swapped"):
                        held = raw
                        continue
                out.append(raw)
                if held is not None:
                    out.append(held)
                    held = None
            await self._write(writer, b"".join(out))

    def _chance(self, name: str, counted: str) -> bool:
        share = getattr(self.weather, name)
        hit = share > 0 and self._random.random() < share
        self.weather.counts[counted] += hit
        return hit

    async def _write(self, writer, data: bytes) -> None:
        weather = self.weather
        step = weather.segment or len(data) or 1
        for k in range(0, len(data), step):
            if weather.delay:
                await asyncio.sleep(self._random.uniform(0, weather.delay))
            while weather.frozen:
                await asyncio.sleep(0.01)
            if weather.down:
                writer.transport.abort()
            writer.write(data[k : k + step])
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            if weather.segment:
                await asyncio.sleep(0)
