"""Alarms as part of a fleet's service: facts, engine, memory and outputs together."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tilth.core.errors import TilthError
from tilth.fleet.alarms.engine import Alarm, Change, Engine
from tilth.fleet.alarms.facts import FleetFacts, ServiceFacts
from tilth.fleet.alarms.notify import Notifier
from tilth.fleet.alarms.output_settings import read_outputs
from tilth.fleet.alarms.outputs import Publish
from tilth.fleet.alarms.rules import Facts, Reading, Rule, Subjects, read_rules
from tilth.fleet.alarms.store import AlarmStore
from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.control import Control
from tilth.fleet.live_store import FluxStore

_log = logging.getLogger(__name__)

#: Pause between two looks, s.
STEP_S = 10.0

#: Longer without a look than this is told as a gap, ms.
_GAP_MS = 60_000


class AlarmService:
    """Watches a fleet, remembers its alarms and tells people.

    Parameters
    ----------
    folder : path
        The data folder.
    control : Control
        Its control file.
    store : FluxStore
        Its fluxes, for the verdicts on chambers.
    clock : callable, optional
        Tells the time, utc ms.
    rules, outputs : path, optional
        Files of the user; see `read_rules` and `read_outputs`.
    service : callable, optional
        Facts only the running service knows; see `FleetFacts`.
    publish : callable, optional
        For outputs of the type ``mqtt``.
    url : str
        Address of the alarm page, for the texts.

    Raises
    ------
    InputError
        If a file of the user makes no sense.

    Examples
    --------
    ::

        alarms = AlarmService(folder, control, live.store, rules="my-rules.yaml")
        alarms.start()
        alarms.acknowledge("device_lost", "a0b765112233", "ida")
        alarms.stop()
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        control: Control,
        store: FluxStore,
        clock: Clock = now_ms,
        *,
        rules: str | os.PathLike[str] | None = None,
        outputs: str | os.PathLike[str] | None = None,
        service: ServiceFacts | None = None,
        publish: Publish | None = None,
        url: str = "",
        run: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._clock = clock
        self._told_by_service = service or dict
        self._gap = 0.0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._journal = Path(folder) / "journal.sqlite"
        now = clock()
        self._facts = FleetFacts(folder, control, store, self._of_service, now)
        self._store = AlarmStore(control)
        self._notifier = Notifier(read_outputs(outputs or None, publish), url, run)
        self._engine = Engine(read_rules(rules or None), *self._store.load(now))
        self._listeners: list[Callable[[list[Change]], None]] = []
        self._subjects = Subjects()

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules in force."""
        return self._engine.rules

    @property
    def troubles(self) -> dict[str, str]:
        """Outputs that fail at present, with the reason."""
        return self._notifier.troubles

    def start(self) -> None:
        """Watch in a thread until `stop`."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="alarms")
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a second call does nothing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def add_listener(self, heard: Callable[[list[Change]], None]) -> None:
        """Have a function called with the changes of every look that brought any."""
        self._listeners.append(heard)

    def step(self) -> list[Change]:
        """Look once at everything; return what changed."""
        if not self._journal.is_file():
            return []
        now = self._clock()
        with self._lock:
            self._measure_gap(now)
            facts, subjects = self._facts.gather(now)
            return self._look(now, facts, subjects)

    def _look(self, now: int, facts: Facts, subjects: Subjects) -> list[Change]:
        """Judge the facts, write what changed, and tell whom it concerns."""
        self._subjects = subjects
        windows = self._store.windows(now)
        changes = self._engine.step(now, facts, subjects, windows)
        told = self._notifier.step(
            now, list(self._engine.alarms.values()), self._engine.rules, subjects
        )
        self._store.save(changes + self._remembered(told), now)
        seen = [change for change in changes if change.kind != "timer"]
        if seen:
            for listener in self._listeners:
                listener(seen)
        return changes

    def _remembered(self, told: list[Alarm]) -> list[Change]:
        """Return the alarms whose deliveries are to be written down."""
        current = [self._engine.alarms.get(alarm.key, alarm) for alarm in told]
        return [Change("told", alarm) for alarm in current if alarm.id is not None]

    def _measure_gap(self, now: int) -> None:
        """Tell it when nobody looked for a while; at a first start nobody had to."""
        last = self._engine.last_step
        gap = 0 if last is None else now - last
        self._gap = gap / 1000.0 if gap > _GAP_MS else 0.0

    def _of_service(self) -> dict[str, float | Reading | None]:
        return {"engine_gap_s": self._gap, **self._told_by_service()}

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except (TilthError, OSError, sqlite3.Error) as error:
                _log.error("alarms: %s", error)
            except Exception:
                # Whoever watches must not be the first to fall.
                _log.exception("alarms go on after an error")
            self._stopping.wait(STEP_S)

    # What people say

    def acknowledge(self, rule: str, subject: str, by: str, note: str = "") -> None:
        """Note that somebody takes care of an alarm: it is not sent again.

        Raises
        ------
        InputError
            If there is no such alarm now.
        """
        now = self._clock()
        with self._lock:
            alarm = self._engine.acknowledge((rule, subject), by, now)
            self._store.save([Change("acked", alarm)], now)
            self._store.note(alarm, "acked", now, by, {"note": note} if note else None)

    def snooze(self, rule: str, subject: str, until: int, by: str) -> None:
        """Keep an alarm quiet until a time (utc ms); then it is sent again.

        Raises
        ------
        InputError
            If there is no such alarm now.
        """
        now = self._clock()
        with self._lock:
            alarm = self._engine.snooze((rule, subject), until)
            self._store.save([Change("snoozed", alarm)], now)
            self._store.note(alarm, "snoozed", now, by, {"until": until})

    def active(self) -> list[dict[str, Any]]:
        """Return the alarms that are given now, the gravest first, as plain data."""
        with self._lock:
            alarms = [a for a in self._engine.alarms.values() if a.active]
        order = {"critical": 0, "warning": 1, "info": 2}
        alarms.sort(key=lambda a: (order.get(a.severity, 3), a.fired or 0))
        return [
            {
                "rule": a.rule,
                "subject": a.subject,
                "place": self._subjects.places.get(a.subject, ""),
                "severity": a.severity,
                "state": a.state,
                "since": a.fired,
                "message": a.message,
                "acked_by": a.acked_by,
                "quiet": a.quiet,
            }
            for a in alarms
        ]
