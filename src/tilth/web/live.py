"""Live updates to browsers: one ring of events, read by each at its own pace.

The ring holds the latest events; a stream is nothing but a position in it. So a slow
browser costs no memory and holds nobody up: when the ring has run past its position
it is told how many it missed. The same position is the event's id, by which a browser
that lost its connection goes on where it was (``Last-Event-ID``).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from tilth.web.source import Subscription

#: Events the ring holds: 85 devices that report every 15 s fill it in six minutes.
RING_SIZE = 2048

#: A comment is sent after so much silence, s: proxies close streams they think dead.
HEARTBEAT_S = 15.0

#: Updates are gathered for so long before they are sent, s.
GATHER_S = 0.2

#: Kinds of updates a stream can be asked for.
KINDS = ("device", "flux", "alarm", "command", "rollout", "service")


class LiveHub:
    """The ring of live updates and the thread that fills it.

    Parameters
    ----------
    subscribe : callable
        Gives the queue of updates; called when the hub starts.
    size : int, optional
        Events held.
    max_clients : int, optional
        Streams served at a time.
    heartbeat_s, gather_s : float, optional
        See `HEARTBEAT_S` and `GATHER_S`.
    """

    def __init__(
        self,
        subscribe: Callable[[], Subscription],
        *,
        size: int = RING_SIZE,
        max_clients: int = 64,
        heartbeat_s: float = HEARTBEAT_S,
        gather_s: float = GATHER_S,
    ) -> None:
        self._subscribe = subscribe
        self._size = size
        self._ring: list[tuple[str, str, str]] = [("", "", "")] * size
        # Events so far. The id of an event is the position after it.
        self._head = 0
        # Ids of another run of the server must not be taken for ours.
        self.run = secrets.token_hex(4)
        self.max_clients = max_clients
        self.heartbeat_s = heartbeat_s
        self.gather_s = gather_s
        self.clients = 0
        self.skipped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._woken = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._subscription: Subscription | None = None

    # Filling

    def start(self) -> None:
        """Begin to listen; called from the event loop that serves the streams."""
        self._loop = asyncio.get_running_loop()
        self._closed.clear()
        self._subscription = self._subscribe()
        self._thread = threading.Thread(target=self._pump, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end all streams."""
        self._closed.set()
        self._wake()
        if self._subscription is not None:
            self._subscription.close()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None

    def _pump(self) -> None:
        subscription = self._subscription
        assert subscription is not None
        while not self._closed.is_set():
            update = subscription.get(timeout=1.0)
            if update is not None:
                self.publish(update)

    def publish(self, update: Mapping[str, Any]) -> None:
        """Put an update into the ring; from any thread, never waits for a reader."""
        body = {key: value for key, value in update.items() if key != "kind"}
        text = json.dumps(body, separators=(",", ":"), default=str)
        entry = (str(update["kind"]), str(update.get("device", "")), text)
        with self._lock:
            self._ring[self._head % self._size] = entry
            self._head += 1
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._loop is None or self._woken or self._loop.is_closed():
                return
            self._woken = True
        self._loop.call_soon_threadsafe(self._ring_bell)

    def _ring_bell(self) -> None:
        with self._lock:
            self._woken = False
        heard, self._news = self._news, asyncio.Event()
        heard.set()

    # Reading

    def position(self, last_event_id: str) -> int | None:
        """Return where a stream goes on: after the event with this id.

        None if the id is from another run of the server: the page must load anew.
        """
        if not last_event_id:
            return self._head
        run, _, number = last_event_id.partition("-")
        if run != self.run or not number.isdecimal() or int(number) > self._head:
            return None
        return int(number)

    def read(
        self, position: int, kinds: Collection[str], device: str = ""
    ) -> tuple[str, int]:
        """Return the events from a position on, in the format of streams.

        Parameters
        ----------
        position : int
            Number of the first event not yet read.
        kinds : collection of str
            Kinds that are wanted.
        device : str, optional
            Only what concerns this device.

        Returns
        -------
        tuple of str and int
            The text, and the position after it.
        """
        with self._lock:
            head, oldest = self._head, max(0, self._head - self._size)
            first = max(position, oldest)
            entries = [
                (number, *self._ring[number % self._size])
                for number in range(first, head)
            ]
        parts = []
        if first > position:
            self.skipped += first - position
            parts.append(f'event: missed\ndata: {{"count":{first - position}}}\n\n')
        for number, kind, about, text in entries:
            if kind in kinds and (not device or about in ("", device)):
                parts.append(
                    f"id: {self.run}-{number + 1}\nevent: {kind}\ndata: {text}\n\n"
                )
        return "".join(parts), head

    async def stream(
        self, last_event_id: str, kinds: Collection[str], device: str = ""
    ) -> AsyncIterator[str]:
        """Yield events as they come, a comment when none does."""
        self.clients += 1
        try:
            # The id of the last event known gives a page that hears nothing else a
            # place to go on from.
            position = self.position(last_event_id)
            if position is None:
                position = self._head
                yield "retry: 3000\nevent: reload\ndata: {}\n\n"
            else:
                yield f"retry: 3000\nid: {self.run}-{position}\n: hello\n\n"
            while not self._closed.is_set():
                news = self._news
                text, position = self.read(position, kinds, device)
                if text:
                    yield text
                    await asyncio.sleep(self.gather_s)
                    continue
                try:
                    await asyncio.wait_for(news.wait(), self.heartbeat_s)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self.clients -= 1


async def live(request: Request) -> Response:
    """Stream updates: ``?kinds=device,flux&device=0123456789ab``."""
    hub: LiveHub = request.app.state.room.hub
    if hub.clients >= hub.max_clients:
        return PlainTextResponse(
            "Too many pages are open; this one tries again.\n",
            503,
            {"retry-after": "30"},
        )
    asked = request.query_params.get("kinds", "")
    kinds = frozenset(asked.split(",")) & frozenset(KINDS) if asked else KINDS
    return StreamingResponse(
        hub.stream(
            request.headers.get("last-event-id")
            or request.query_params.get("last", ""),
            kinds,
            request.query_params.get("device", ""),
        ),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )
