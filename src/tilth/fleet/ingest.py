"""From messages to acknowledgements: one thread that commits, then answers.

Whoever receives messages (an MQTT client, a test, a replay) calls `Ingest.put` and
returns at once. The writer gathers what comes within some milliseconds, commits it
in one transaction, and only then publishes one watermark per boot. What cannot be
taken is dropped and counted: the device still has it and sends it again.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.journal import Journal
from tilth.fleet.journal_files import StorageError
from tilth.fleet.journal_messages import Happening, Message
from tilth.fleet.messages import Ack, encode_ack
from tilth.fleet.wire import topic_of

_log = logging.getLogger(__name__)

#: How an answer is sent: topic and payload.
Publish = Callable[[str, bytes], object]

#: Upper edges of the classes of the latency histogram, ms.
LATENCY_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000)

#: Messages and bytes that wait at most; more are dropped.
MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
#: Messages in one transaction at most.
MAX_GROUP = 1_000
#: Pause after the disk failed, doubled up to the longest, s.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Ingest:
    """Takes messages from any thread, commits them in groups, answers.

    Parameters
    ----------
    journal : Journal
        Where they go. It is not closed here.
    publish : callable
        Sends an answer. Called from the writer's thread; if it fails, nothing is
        lost, for the device asks again.
    clock : callable, optional
        Tells the time, ms since 1970 UTC: when a message was received.
    group_ms : int
        How long a message waits for others to share its flush, ms.
    settled : callable, optional
        Called with the tokens of a group once it is on disk: acknowledges them to
        the broker.
    """

    def __init__(
        self,
        journal: Journal,
        publish: Publish,
        clock: Clock = now_ms,
        *,
        group_ms: int = 20,
        settled: Callable[[list[Any]], object] | None = None,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.journal = journal
        self._publish = publish
        self._clock = clock
        self._group_s = group_ms / 1000
        self._settled = settled
        self._max_waiting = max_waiting
        self._max_bytes = max_waiting_bytes
        self._waiting: deque[tuple[Message, Any, float]] = deque()
        self._bytes = 0
        self._awake = threading.Condition()
        self._closing = False
        self._listeners: list[Listener] = []
        self._counts = dict.fromkeys(
            ("received", "dropped", "committed", "groups", "acks", "acks_failed",
             "storage_errors"), 0
        )  # fmt: skip
        self._latency = [0] * (len(LATENCY_EDGES) + 1)
        #: Why nothing can be stored at present; None if all is well.
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()

    def put(
        self,
        topic: str,
        payload: bytes,
        retained: bool = False,
        qos: int = 1,
        token: Any = None,
    ) -> bool:
        """Take a message, from any thread; never waits.

        Parameters
        ----------
        topic, payload : str, bytes
            As received.
        retained : bool
            Whether the broker had kept it.
        qos : int
            Of its delivery.
        token : object, optional
            Given to `settled` once the message is on disk.

        Returns
        -------
        bool
            False if it was dropped because too much waits.
        """
        message = Message(topic, payload, self._clock(), retained, qos)
        with self._awake:
            self._counts["received"] += 1
            if (
                self._closing
                or len(self._waiting) >= self._max_waiting
                or self._bytes + len(payload) > self._max_bytes
            ):
                self._counts["dropped"] += 1
                return False
            self._bytes += len(payload)
            self._waiting.append((message, token, time.perf_counter()))
            if len(self._waiting) in (1, MAX_GROUP):
                self._awake.notify()
        return True

    def on_committed(
        self, heard: Callable[[Sequence[Happening]], object], limit: int = 10_000
    ) -> Listener:
        """Have a function called with what was committed, in a thread of its own.

        Parameters
        ----------
        heard : callable
            Gets a list of `Committed`, `Retimed`, `Reported` and `Notice`.
        limit : int
            Happenings that wait for it at most; then the oldest are dropped, counted
            in ``missed``: it never holds up the writer.
        """
        listener = Listener(heard, limit)
        self._listeners.append(listener)
        return listener

    def close(self, timeout: float = 30.0) -> None:
        """Commit and answer what waits, then stop; a second call does nothing.

        Parameters
        ----------
        timeout : float
            How long to wait for it, s. With a disk that fails, what waits is dropped.
        """
        with self._awake:
            self._closing = True
            self._awake.notify()
        self._thread.join(timeout)
        for listener in self._listeners:
            listener.close()

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def stats(self) -> dict[str, Any]:
        """Return counts since the start, and the latencies from receipt to answer.

        Returns
        -------
        dict
            Counts; ``waiting`` messages; ``missed`` by listeners; ``latency_ms``:
            upper edge of each class -> messages in it.
        """
        edges = [*map(str, LATENCY_EDGES), "inf"]
        return {
            **self._counts,
            "waiting": len(self._waiting),
            "waiting_bytes": self._bytes,
            "missed": sum(listener.missed for listener in self._listeners),
            "latency_ms": dict(zip(edges, self._latency, strict=True)),
        }

    def latency_quantile(self, share: float) -> float:
        """Return the edge (ms) below which this share of the latencies lies."""
        wanted = share * sum(self._latency)
        total = 0
        edges = (*LATENCY_EDGES, float("inf"))
        for edge, count in zip(edges, self._latency, strict=True):
            total += count
            if total >= wanted:
                return float(edge)
        return float("inf")

    # The writer's thread

    def _run(self) -> None:
        tended = time.monotonic()
        while True:
            group = self._gather()
            if group is None:
                return
            try:
                if group and not self._store(group):
                    return
                if time.monotonic() - tended >= 1.0:
                    tended = time.monotonic()
                    self._answer(self.journal.tend())
                    self._tell()
            except StorageError as error:
                self._worry(error)
                time.sleep(_FIRST_PAUSE)
            except Exception:
                # The writer never dies: what it could not take comes again, from the
                # device. The broker must not wait for it, or its window fills up.
                _log.exception("ingest goes on after an error")
                self._settle(group)
                time.sleep(_FIRST_PAUSE)

    def _gather(self) -> list[tuple[Message, Any, float]] | None:
        """Return the next group, empty after a second without; None at the end."""
        with self._awake:
            if not self._waiting and not self._closing:
                self._awake.wait(1.0)
            if not self._waiting:
                return None if self._closing else []
            # The first of a group waits for others that share its flush.
            left = self._waiting[0][2] + self._group_s - time.perf_counter()
            if left > 0:
                self._awake.wait_for(
                    lambda: self._closing or len(self._waiting) >= MAX_GROUP, left
                )
            count = min(len(self._waiting), MAX_GROUP)
            group = [self._waiting.popleft() for _ in range(count)]
            self._bytes -= sum(len(message.payload) for message, _, _ in group)
        return group

    def _store(self, group: list[tuple[Message, Any, float]]) -> bool:
        """Commit a group and answer; try until it works. False: closed meanwhile."""
        pause = _FIRST_PAUSE
        messages = [message for message, _, _ in group]
        while True:
            try:
                acks = self.journal.commit(messages)
                break
            except StorageError as error:
                self._worry(error)
                if self._closing:
                    return False
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        if self.trouble:
            _log.warning("the journal takes messages again")
            self.trouble = None
        self._answer(acks)
        self._settle(group)
        now = time.perf_counter()
        for _, _, since in group:
            self._latency[bisect_left(LATENCY_EDGES, (now - since) * 1000)] += 1
        self._counts["committed"] += len(group)
        self._counts["groups"] += 1
        self._tell()
        return True

    def _settle(self, group: list[tuple[Message, Any, float]]) -> None:
        tokens = [token for _, token, _ in group if token is not None]
        if self._settled is not None and tokens:
            try:
                self._settled(tokens)
            except Exception:
                _log.exception("the broker could not be told what is on disk")

    def _worry(self, error: StorageError) -> None:
        self._counts["storage_errors"] += 1
        if self.trouble != str(error):
            _log.error("nothing is acknowledged: %s", error)
        self.trouble = str(error)

    def _answer(self, acks: Sequence[Ack]) -> None:
        for ack in acks:
            try:
                self._publish(topic_of(ack.device, "ack"), encode_ack(ack))
                self._counts["acks"] += 1
            except Exception:
                self._counts["acks_failed"] += 1
                _log.debug("an acknowledgement was not sent", exc_info=True)

    def _tell(self) -> None:
        happenings = self.journal.take()
        if happenings:
            for listener in self._listeners:
                listener.tell(happenings)


class Listener:
    """Calls a function with what happened, in its own thread, dropping the oldest.

    Attributes
    ----------
    missed : int
        Happenings dropped because the function was too slow.
    """

    def __init__(
        self, heard: Callable[[Sequence[Happening]], object], limit: int
    ) -> None:
        self.missed = 0
        self._heard = heard
        self._waiting: deque[Happening] = deque()
        self._limit = limit
        self._awake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(
            target=self._run, name="ingest-listener", daemon=True
        )
        self._thread.start()

    def tell(self, happenings: Sequence[Happening]) -> None:
        """Queue happenings; never waits."""
        with self._awake:
            self._waiting.extend(happenings)
            while len(self._waiting) > self._limit:
                self._waiting.popleft()
                self.missed += 1
            self._awake.notify()

    def close(self) -> None:
        """Call the function with what waits, then stop."""
        with self._awake:
            self._closing = True
            self._awake.notify()
        self._thread.join(10.0)

    def _run(self) -> None:
        while True:
            with self._awake:
                while not self._waiting and not self._closing:
                    self._awake.wait()
                if not self._waiting:
                    return
                happenings = list(self._waiting)
                self._waiting.clear()
            try:
                self._heard(happenings)
            except Exception:
                _log.exception("a listener failed")
