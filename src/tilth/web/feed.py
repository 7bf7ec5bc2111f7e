"""Live updates from a running service: what is committed, computed and decided."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tilth.fleet.channels import STATE_NAMES
from tilth.fleet.database import read_only
from tilth.fleet.journal_messages import Committed, Happening, Reported

_log = logging.getLogger(__name__)

#: Updates a queue holds; the oldest are dropped when nobody reads it.
QUEUE_SIZE = 5_000

#: What devices send is gathered for so long: during a backfill hundreds of batches a
#: second arrive, and nobody reads a tile that fast, s.
FLUSH_S = 0.5

#: What is looked at for changes by others (the command line, another process).
_WATCHED = {
    "alarm": "SELECT count(*), max(updated), max(acked_at), max(snoozed_until)"
    " FROM alarms",
    "command": "SELECT count(*), max(state_at) FROM commands",
    "rollout": "SELECT count(*), max(updated),"
    " (SELECT max(updated) FROM rollout_devices) FROM rollouts",
}


class LiveQueue:
    """A bounded queue of updates; whoever fills it never waits."""

    def __init__(self, size: int = QUEUE_SIZE) -> None:
        self._items: deque[Mapping[str, Any]] = deque(maxlen=size)
        self._awake = threading.Condition()
        self._closed = False

    def put(self, update: Mapping[str, Any]) -> None:
        """Add an update; the oldest goes if there is no room."""
        with self._awake:
            self._items.append(update)
            self._awake.notify()

    def get(self, timeout: float | None = None) -> Mapping[str, Any] | None:
        """Return the next update, or None after `timeout` seconds without one."""
        with self._awake:
            if not self._items and not self._closed:
                self._awake.wait(timeout)
            return self._items.popleft() if self._items else None

    def close(self) -> None:
        """Receive no more; a `get` under way returns at once."""
        with self._awake:
            self._closed = True
            self._awake.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it receives no more."""
        return self._closed


class Feed:
    """Gathers what happens in a service and tells those who have subscribed.

    Parameters
    ----------
    service : tilth.fleet.service.FleetService
        The running service.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._queues: list[LiveQueue] = []
        self._pending: dict[tuple[str, str], dict[str, Any]] = {}
        self._newest: dict[str, int] = {}
        #: Device -> records it held back when it last sent some.
        self.queued: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        service.ingest.on_committed(self.heard)
        service.live.add_listener(self.computed)

    def subscribe(self) -> LiveQueue:
        """Return a new queue; the watching goes on until the last is closed."""
        queue = LiveQueue()
        with self._lock:
            self._queues.append(queue)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="live-feed", daemon=True
                )
                self._thread.start()
        return queue

    # What the service tells

    def heard(self, happenings: Sequence[Happening]) -> None:
        """Take over what was committed."""
        for one in happenings:
            if isinstance(one, Committed):
                self._add("device", one.device, self._batch(one))
            elif isinstance(one, Reported):
                update: dict[str, Any] = {"online": one.status.online}
                if one.status.online:
                    update["seen"] = one.recv
                self._add("device", one.device, update)

    def _batch(self, one: Committed) -> dict[str, Any]:
        batch = one.batch
        self.queued[one.device] = batch.queued
        update: dict[str, Any] = {
            "seen": one.recv,
            "online": True,
            "queued": batch.queued,
        }
        for sample in reversed(batch.samples):
            t = one.recv if one.t is None else one.t + sample.dt
            # A backfill brings what is old: it must not replace what is now.
            if t <= self._newest.get(one.device, -1):
                break
            update.setdefault("state", STATE_NAMES.get(sample.state, ""))
            if sample.co2 is not None:
                self._newest[one.device] = t
                update |= {"co2": sample.co2 / 10, "co2_t": t}
                break
        return update

    def computed(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over fluxes that were computed."""
        now = self._service.clock()
        for row in rows:
            t = row["t"]
            if t is None or row["flux"] is None or now - t > 3_600_000:
                continue
            se = row["se_total"] if row["se_total"] is not None else row["se"]
            update = {"flux": row["flux"], "flux_se": se, "flux_t": t}
            self._add("flux", row["device"], update)

    def _add(self, kind: str, device: str, update: Mapping[str, Any]) -> None:
        with self._lock:
            if self._queues:
                held = self._pending.setdefault((kind, device), {})
                held.update(update)

    # What others decide, found by looking

    def _run(self) -> None:
        stop = threading.Event()
        seen: dict[str, Any] = {}
        version = None
        try:
            watched = read_only(self._service.control.database.path)
        except (sqlite3.Error, OSError):
            _log.exception("the control file cannot be watched")
            watched = None
        with contextlib.ExitStack() as stack:
            if watched is not None:
                stack.callback(watched.close)
            while True:
                stop.wait(FLUSH_S)
                with self._lock:
                    self._queues = [q for q in self._queues if not q.closed]
                    if not self._queues:
                        self._thread = None
                        self._pending.clear()
                        return
                    pending, self._pending = self._pending, {}
                for (kind, device), update in pending.items():
                    self._tell({"kind": kind, "device": device, **update})
                if watched is not None:
                    version = self._look(watched, version, seen)
                self._tell_service(seen)

    def _look(
        self, watched: sqlite3.Connection, version: Any, seen: dict[str, Any]
    ) -> Any:
        """Tell what changed in the control file since the last look."""
        try:
            now = watched.execute("PRAGMA data_version").fetchone()[0]
            if now == version:
                return version
            for kind, query in _WATCHED.items():
                state = watched.execute(query).fetchone()
                if seen.get(kind, state) != state:
                    self._tell({"kind": kind})
                seen[kind] = state
            return now
        except sqlite3.Error:
            return version  # busy: the next look will tell

    def _tell_service(self, seen: dict[str, Any]) -> None:
        state = {"queue_depth": self._service.ingest.stats()["waiting"]}
        if seen.get("service") != state:
            seen["service"] = state
            self._tell({"kind": "service", **state})

    def _tell(self, update: Mapping[str, Any]) -> None:
        with self._lock:
            queues = list(self._queues)
        for queue in queues:
            queue.put(update)
