"""Detection as cycles come: their signs are kept, and judged together again."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.fleet.channels import CHANNELS
from tilth.fleet.clock import DAY_MS, Clock, now_ms
from tilth.fleet.database import read_only
from tilth.fleet.detection import judge
from tilth.fleet.detection_habits import DetectionSettings
from tilth.fleet.detection_names import SIGNS, VERDICTS
from tilth.fleet.detection_signs import signs_of_cycles
from tilth.fleet.live_store import KEY, FluxStore, Key

#: How far back cycles are judged again with each new one, ms: long enough to know
#: what is usual, short enough for a fleet of 85 in half a second.
WINDOW_MS = 4 * DAY_MS

#: Shortest pause between two judgements, ms: cycles of a fleet end together.
PAUSE_MS = 20_000

#: Cycles read in one go.
_CHUNK = 60

#: Most records between a cycle's and its first sample of interest, and after it.
_BEFORE, _AFTER = 420, 260

#: State -> flag of the closure.
_FLAGS = {
    "stuck_open": CLOSURE_FLAGS.bit("stuck_open"),
    "stuck_closed": CLOSURE_FLAGS.bit("stuck_closed"),
    "clogged": CLOSURE_FLAGS.bit("clogged_pot"),
    "no_exchange": CLOSURE_FLAGS.bit("open_or_clogged"),
}


class LiveDetection:
    """Keeps signs and verdicts of the cycles of a fleet up to date.

    Parameters
    ----------
    journal : path
        ``journal.sqlite`` of the fleet.
    store : FluxStore
        Its fluxes, whose cycles are looked at, and where verdicts go.
    clock : callable, optional
        Tells the time, utc ms.
    settings : DetectionSettings, optional
        See `tilth.fleet.detection`.
    """

    def __init__(
        self,
        journal: Path,
        store: FluxStore,
        clock: Clock = now_ms,
        settings: DetectionSettings | None = None,
    ) -> None:
        self.journal, self.store = journal, store
        self.settings = settings or DetectionSettings()
        self._clock = clock
        self._heard: deque[Key] = deque()
        self._stale = False
        self._judged = -PAUSE_MS

    def heard(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take note of fluxes that were just computed (a listener of `LiveFluxes`)."""
        self._heard.extend(
            (row["device"], row["boot"], row["cycle_seq"]) for row in rows
        )

    def search(self) -> int:
        """Find cycles with a flux but no signs; return how many."""
        missing = self.store.without_signs()
        self._heard.extend(missing)
        return len(missing)

    def work(self, now: bool = False) -> bool:
        """Compute the signs of what was heard, and judge if it is time.

        Parameters
        ----------
        now : bool
            Judge at once, however short ago that was done.

        Returns
        -------
        bool
            Whether the verdicts are new.
        """
        if self._heard and self.journal.is_file():
            keys = [self._heard.popleft() for _ in range(len(self._heard))]
            with closing(read_only(self.journal)) as journal:
                for boot, cycles in self._needed(keys).items():
                    self._look(journal, boot, cycles)
            self._stale = True
        due = now or self._clock() - self._judged >= PAUSE_MS
        if self._stale and due:
            self._judge()
            return True
        return False

    def latest(self, since: int) -> pd.DataFrame:
        """Return signs and verdict of the newest cycle of each device.

        Parameters
        ----------
        since : int
            Older cycles are left out, utc ms.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``device``.
        """
        table = self.store.signs(since, 1 << 62)
        return table.groupby("device").tail(1).set_index("device")

    # Steps

    def _needed(self, keys: Sequence[Key]) -> dict[tuple[str, str], list[tuple]]:
        """Return the cycles to look at: those heard of, and the one before each.

        With a new cycle it is known for how long the lid was open after the last.
        """
        needed: dict[tuple[str, str], set[int]] = {}
        for device, boot, seq in keys:
            needed.setdefault((device, boot), set()).add(seq)
        for device, boot in list(needed):
            before = self.store.boot_before(device, boot)
            if before is not None:
                needed.setdefault((device, before[0]), set()).add(before[1])
        out = {}
        for (device, boot), seqs in needed.items():
            rows = self.store.cycles_of(device, boot, min(seqs), max(seqs))
            wanted = []
            for i, row in enumerate(rows):
                following = rows[i + 1] if i + 1 < len(rows) else None
                if row[0] in seqs or (following and following[0] in seqs):
                    wanted.append((row, following))
            out[device, boot] = wanted
        return out

    def _look(
        self, journal: sqlite3.Connection, boot: tuple[str, str], cycles: list[tuple]
    ) -> None:
        """Compute and keep the signs of some cycles of one boot."""
        found = journal.execute(
            "SELECT b.id FROM boots b JOIN devices d ON d.id = b.device "
            "WHERE d.name = ? AND b.boot = ?",
            boot,
        ).fetchone()
        for begin in range(0, len(cycles) if found else 0, _CHUNK):
            part = cycles[begin : begin + _CHUNK]
            last = part[-1][1] or part[-1][0]
            samples = _samples(
                journal, found[0], part[0][0][0] - _BEFORE, last[0] + _AFTER
            )
            if not len(samples["tick"]):
                continue
            close = np.array([row[1] for row, _ in part], np.int64)
            opened = np.array([row[2] for row, _ in part], np.int64)
            end = int(samples["tick"][-1]) + 1
            until = [
                min(following[1] if following else end, row[2] + 600_000)
                for row, following in part
            ]
            signs = signs_of_cycles(
                samples, close, opened, np.maximum(np.array(until, np.int64), opened)
            )
            values = signs.to_numpy()
            rows = []
            for (row, _), numbers in zip(part, values, strict=True):
                known = [float(x) if np.isfinite(x) else None for x in numbers]
                key = {"device": boot[0], "boot": boot[1], "cycle_seq": row[0]}
                rows.append(key | {"t": row[3]} | dict(zip(SIGNS, known, strict=True)))
            self.store.put_signs(rows)

    def _judge(self) -> None:
        """Judge the cycles of the last days again; write what changed."""
        self._judged, self._stale = self._clock(), False
        newest = self.store.newest_sign()
        if newest is None:
            return
        cycles = self.store.signs(newest - WINDOW_MS, newest + 1)
        verdict = judge(cycles, self.settings)
        before = cycles[list(VERDICTS)].to_numpy()
        after = verdict[list(VERDICTS)].to_numpy()
        changed = ~(np.abs(after - before) < 0.005).all(axis=1)
        changed |= (cycles["state"] != verdict["state"]).to_numpy()
        if not changed.any():
            return
        keys = cycles.loc[changed, [*KEY, "t"]]
        rows = keys.join(verdict[changed]).to_dict("records")
        flags = [
            ((r["device"], r["boot"], r["cycle_seq"]), _FLAGS.get(r["state"], 0))
            for r in rows
        ]
        self.store.put_verdicts(rows, flags)


def _samples(
    journal: sqlite3.Connection, boot_id: int, first: int, last: int
) -> dict[str, np.ndarray]:
    """Return samples of a boot as arrays in physical units, NaN where unknown."""
    names = [channel.name for channel in CHANNELS]
    rows = journal.execute(
        f"SELECT tick, flags, {', '.join(names)} FROM samples "
        "WHERE boot = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        (boot_id, first, last),
    ).fetchall()
    table = np.array(rows, dtype=object).reshape(len(rows), 2 + len(names))
    out: dict[str, np.ndarray] = {}
    for i, name in enumerate(("tick", "flags")):
        out[name] = table[:, i].astype(np.int64)
    for i, channel in enumerate(CHANNELS):
        out[channel.name] = table[:, 2 + i].astype(float) * channel.scale
    return out


def warm_up() -> None:
    """Compile what detection needs, so that the first cycles are not late."""
    tick = np.arange(0, 400_000, 3_000)
    samples = {"tick": tick, "flags": np.zeros(len(tick), np.int64)} | {
        channel.name: np.full(len(tick), 20.0) for channel in CHANNELS
    }
    at = np.array([60_000])
    signs = signs_of_cycles(samples, at, at + 180_000, at + 300_000)
    judge(signs.assign(device="none", t=0)[["device", "t", *SIGNS]])
