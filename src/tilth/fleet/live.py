"""Live fluxes: every cycle of the fleet becomes a flux as soon as its lid is open.

`LiveFluxes` reads what the journal has committed and writes `fluxes.sqlite`. It
never touches a sample: a late one, a corrected label or new settings lead to the
same rows written again. What it was told to do is never the only trace of it: at
every start, and every few minutes, it looks for cycles without a flux.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from tilth.chambers.fits.flux import fluxes as compute_fluxes
from tilth.core.errors import InputError
from tilth.fleet import detection_live
from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.database import read_only
from tilth.fleet.detection_live import LiveDetection
from tilth.fleet.live_closures import Cycle, find_cycles, read_records
from tilth.fleet.live_rows import Locate, closures_at, place, rows_of, warm_up
from tilth.fleet.live_settings import LiveSettings
from tilth.fleet.live_store import COLUMNS, LIVE_FLAGS, FluxStore, Key

_log = logging.getLogger(__name__)

#: Cycles computed in one go: bounds the memory (about 100 MB) and the wait of a
#: live cycle behind a backlog (about a second).
BATCH = 1000

#: Pause between two searches for cycles without a flux, ms.
SEARCH_MS = 300_000

#: Bits that keep a row out of averages.
UNUSABLE = sum(
    LIVE_FLAGS.bit(name)
    for name in ("mixed", "incomplete", "time_unknown", "not_computed")
)


class LiveFluxes:
    """The fluxes of a fleet, kept up to date.

    Parameters
    ----------
    folder : path
        The fleet's data folder; ``journal.sqlite`` is read, ``fluxes.sqlite`` kept.
    locate : callable, optional
        Where a device stood at a time (utc ms); None where nobody said, and then
        the label the device sent holds.
    clock : callable, optional
        Tells the time, utc ms.
    settings : LiveSettings, optional
        How fluxes are computed.

    Examples
    --------
    In a service::

        live = LiveFluxes("data", locate=where_it_stood)
        live.start()
        ingest.add_listener(lambda ...: live.notify(device, boot, first, last))
        live.fluxes(t_from, t_to)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        locate: Locate | None = None,
        clock: Clock = now_ms,
        settings: LiveSettings | None = None,
    ) -> None:
        self.journal = Path(folder) / "journal.sqlite"
        self.store = FluxStore(Path(folder) / "fluxes.sqlite")
        self.settings = settings or LiveSettings()
        self._locate = locate or (lambda device, t: None)
        self._clock = clock
        self._heard: deque[tuple[str, str, int, int]] = deque()
        self._waiting: dict[Key, Cycle] = {}
        self._incomplete: dict[tuple[str, str], set[int]] = {}
        self._usual: dict[str, float] = {}
        self._listeners: list[Callable[[list[dict[str, Any]]], None]] = []
        #: What is wrong with the chambers, judged from the same cycles.
        self.detection = LiveDetection(self.journal, self.store, clock)
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._working = threading.Lock()
        self._searched = -SEARCH_MS
        #: Time from arrival to flux of the last thousand cycles, ms.
        self.delays: deque[int] = deque(maxlen=1000)

    # What the service calls

    def start(self) -> None:
        """Warm the fit up, and keep computing in a thread until `stop`."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="live-fluxes")
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand and close the file; a second call does nothing."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.store.close()

    def notify(self, device: str, boot: str, first: int, last: int) -> None:
        """Say that records `first` to `last` of a boot have been committed."""
        self._heard.append((device, boot, first, last))
        self._wake.set()

    def add_listener(self, heard: Callable[[list[dict[str, Any]]], None]) -> None:
        """Have a function called with the rows of every batch that was written."""
        self._listeners.append(heard)

    def _run(self) -> None:
        warm_up(self.settings)
        warm = False
        while not self._stopping:
            try:
                if self._clock() - self._searched >= SEARCH_MS:
                    self.search()
                while self.work() and not self._stopping:
                    pass
                if not warm:
                    detection_live.warm_up()
                    self.detection.search()
                    warm = True
                self.detection.work()
            except (sqlite3.Error, OSError):
                # A full disk or a busy file: nothing is lost by trying again.
                _log.exception("live fluxes wait: their file or the journal is out")
                self._searched = self._clock()
                self._heard.clear()
                self._wake.wait(5.0)
            self._wake.wait(1.0)
            self._wake.clear()

    # What it does

    def search(self) -> int:
        """Find cycles without a flux, or with another time since; return how many."""
        self._searched = self._clock()
        if not self.journal.is_file():
            return 0
        known = self.store.times()
        with closing(read_only(self.journal)) as journal:
            found = journal.execute(
                "SELECT d.name, b.boot, e.seq, e.t, e.boot FROM events e "
                "JOIN boots b ON b.id = e.boot JOIN devices d ON d.id = b.device "
                "WHERE e.kind = 'cycle'"
            ).fetchall()
            missing = [
                (boot_id, seq)
                for device, boot, seq, t, boot_id in found
                if known.get((device, boot, seq), -1) != t
            ]
            for boot_id, seq in missing:
                self._enqueue(_cycles_between(journal, boot_id, seq, seq))
        for device, boot, seq in self.store.incomplete():
            self._incomplete.setdefault((device, boot), set()).add(seq)
        return len(missing)

    def work(self) -> list[dict[str, Any]]:
        """Compute one batch of waiting cycles, the newest first; return its rows."""
        with self._working:
            if not self.journal.is_file():
                return []
            with closing(read_only(self.journal)) as journal:
                self._hear(journal)
                batch = self._next_batch()
                records = [
                    read_records(journal, cycle, self.settings.lead_ms)
                    for cycle in batch
                ]
            if not batch:
                return []
            rows = rows_of(
                batch,
                records,
                self.settings,
                self._locate,
                self._usual,
                self._lights_near,
                self._clock(),
            )
            self.store.keep_settings(self.settings.identifier, self.settings.body)
            self.store.put(rows)
            for cycle, row in zip(batch, rows, strict=True):
                self._waiting.pop(cycle.key, None)
                self._remember(cycle, row)
        self.detection.heard(rows)
        for listener in self._listeners:
            listener(rows)
        return rows

    @property
    def waiting(self) -> int:
        """How many cycles wait for their flux, as far as known."""
        return len(self._waiting) + len(self._heard)

    def recompute(
        self,
        t_from: int,
        t_to: int,
        settings: LiveSettings | None = None,
    ) -> int:
        """Queue the cycles of a time for computing again; return how many.

        Parameters
        ----------
        t_from, t_to : int
            utc ms; a cycle belongs to the time its lid opened.
        settings : LiveSettings, optional
            New settings, from now on for all cycles.
        """
        if settings is not None:
            self.settings = settings
        with closing(read_only(self.journal)) as journal:
            cycles = find_cycles(journal, "e.t >= ? AND e.t < ?", (t_from, t_to))
        self._enqueue(cycles)
        self._wake.set()
        return len(cycles)

    def relocate(self, device: str | None = None) -> int:
        """Bring the location of rows up to date after a label was corrected.

        Rows whose chamber is elsewhere now are written again; where the geometry
        goes by the place, their fluxes are computed again too. Samples and
        what the devices sent stay as they are.

        Parameters
        ----------
        device : str, optional
            One device; all by default.

        Returns
        -------
        int
            How many rows changed.
        """
        rows = self.store.rows(
            "? IS NULL OR device = ?",
            (device, device),
            ("device", "boot", "cycle_seq", "t", "loc", "loc_sent", "live_flag"),
        )
        changes: list[tuple[Key, dict[str, Any]]] = []
        for name, boot, seq, t, loc, sent, flag in rows:
            moved, bit = place(self._locate, name, t, sent)
            if moved != loc:
                flag = flag & ~LIVE_FLAGS.bit("location_unknown") | bit
                changes.append(((name, boot, seq), {"loc": moved, "live_flag": flag}))
        self.store.amend(changes)
        if set(self.settings.geometry.by) - {"device"}:
            with closing(read_only(self.journal)) as journal:
                for (name, boot, seq), _ in changes:
                    self._enqueue(
                        find_cycles(
                            journal,
                            "d.name = ? AND b.boot = ? AND e.seq = ?",
                            (name, boot, seq),
                        )
                    )
        self._wake.set()
        return len(changes)

    # What is asked of it

    def fluxes(
        self,
        t_from: int,
        t_to: int,
        *,
        usable: bool = False,
        columns: Sequence[str] = tuple(COLUMNS),
    ) -> pd.DataFrame:
        """Return the fluxes of the lids that closed in a span of time.

        Parameters
        ----------
        t_from, t_to : int
            utc ms.
        usable : bool
            Leave out mixed, incomplete and undated cycles and those without a flux.
        columns : sequence of str
            Columns of `tilth.fleet.live_store.COLUMNS`.

        Returns
        -------
        pandas.DataFrame
            In the order of time; fluxes in umol m-2 s-1, times in utc ms.
        """
        where, parameters = "t >= ? AND t < ?", [t_from, t_to]
        if usable:
            where += " AND live_flag & ? = 0 AND flux IS NOT NULL"
            parameters.append(UNUSABLE)
        return self.store.table(where, parameters, columns)

    def closure(self, device: str, boot: str, cycle_seq: int) -> xr.Dataset:
        """Return one closure with its samples, to look at it.

        Parameters
        ----------
        device, boot, cycle_seq : str, str, int
            What the cycle is known by, as in a row of `fluxes`.

        Returns
        -------
        xarray.Dataset
            A closures dataset of one closure with the variables of its flux
            (``flux``, ``c0_linear``, ``c_inf_hm`` ...) beside the samples.

        Raises
        ------
        InputError
            If the journal holds no such cycle (it may be sealed).
        """
        with closing(read_only(self.journal)) as journal:
            found = find_cycles(
                journal,
                "d.name = ? AND b.boot = ? AND e.seq = ?",
                (device, boot, cycle_seq),
            )
            if not found:
                raise InputError(
                    f"the journal holds no cycle {cycle_seq} of boot {boot} of "
                    f"{device}; older ones are in the archive"
                )
            records = [read_records(journal, found[0], self.settings.lead_ms)]
        closures = closures_at(found, records, self.settings, self._locate, self._usual)
        return closures.merge(
            compute_fluxes(closures, "co2", self.settings.flux), compat="override"
        )

    # Steps

    def _hear(self, journal: sqlite3.Connection) -> None:
        """Queue the cycles among what was committed, and those it may complete."""
        for _ in range(len(self._heard)):
            device, boot, first, last = self._heard.popleft()
            found = journal.execute(
                "SELECT b.id FROM boots b JOIN devices d ON d.id = b.device "
                "WHERE d.name = ? AND b.boot = ?",
                (device, boot),
            ).fetchone()
            if found is None:
                continue
            self._enqueue(_cycles_between(journal, found[0], first, last))
            for seq in self._incomplete.get((device, boot), ()):
                if first <= seq:
                    self._enqueue(_cycles_between(journal, found[0], seq, seq))

    def _enqueue(self, cycles: Iterable[Cycle]) -> None:
        for cycle in cycles:
            self._waiting[cycle.key] = cycle

    def _next_batch(self) -> list[Cycle]:
        """Return the newest waiting cycles; those without a time come last."""
        if len(self._waiting) <= BATCH:
            return list(self._waiting.values())
        newest = sorted(self._waiting.values(), key=lambda c: c.t or 0, reverse=True)
        return newest[:BATCH]

    def _lights_near(self, t_from: int, t_to: int) -> list[tuple[int, float]]:
        where = "t BETWEEN ? AND ? AND light IS NOT NULL"
        return self.store.rows(where, (t_from, t_to), ("t", "light"))

    def _remember(self, cycle: Cycle, row: dict[str, Any]) -> None:
        """Keep track of what is incomplete, of the usual pressure, of the delay."""
        at = (cycle.device, cycle.boot)
        if row["live_flag"] & LIVE_FLAGS.bit("incomplete"):
            self._incomplete.setdefault(at, set()).add(cycle.seq)
        elif at in self._incomplete:
            self._incomplete[at].discard(cycle.seq)
            if not self._incomplete[at]:
                del self._incomplete[at]
        if row["pressure"] is not None:
            self._usual["pressure"] = row["pressure"]
        self.delays.append(row["computed"] - cycle.recv)


def _cycles_between(
    journal: sqlite3.Connection, boot_id: int, first: int, last: int
) -> list[Cycle]:
    """Return the cycles of a range of records."""
    # The plus keeps SQLite from the index on kinds: the range is a few records.
    return find_cycles(
        journal,
        "+e.kind = 'cycle' AND e.boot = ? AND e.seq BETWEEN ? AND ?",
        (boot_id, first, last),
    )
