"""What is so, right now: a number per device, or for the service, for every rule.

Everything is read from the files of the fleet, so the engine needs nobody to tell it
anything. What changes within seconds is read at every look, what costs more only
once a minute.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tilth.fleet.alarms.facts_chambers import chamber_facts
from tilth.fleet.alarms.rules import Facts, Reading, Subjects
from tilth.fleet.channels import parse_location
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.control import Control
from tilth.fleet.database import read_only
from tilth.fleet.live_store import FluxStore
from tilth.fleet.placement import intervals
from tilth.fleet.placement_problems import known_codes, problems

#: Silent for longer than this is silent, s: live batches come every 15 s.
SILENT_S = 120

#: After a start devices get this long to be heard, ms: the server was away itself.
GRACE_MS = 120_000

#: How long boots are looked at after they were heard of last, ms.
_RECENT_MS = 7 * DAY_MS

#: Pause between two looks at what costs more, ms.
_SLOW_MS = 60_000

#: Samples that tell the lag of a device: ten minutes of them; how long ago a cycle
#: may have been received, ms; interval of the samples with a margin, ms.
_LAG_SAMPLES, _LAG_MS, _INTERVAL_MS = 200, 1_500_000, 3_500

#: Fewer devices than this have no share that is silent.
_FEW = 3

#: What nobody has to be told of a reboot for.
_BAD_CAUSES = ("wdt", "watchdog", "brownout", "panic")

#: Of the service: fact -> value; what only the running service knows.
ServiceFacts = Callable[[], Mapping[str, float | Reading | None]]


class FleetFacts:
    """Gathers the facts of a fleet.

    Parameters
    ----------
    folder : path
        The data folder.
    control : Control
        Its control file.
    store : FluxStore
        Its fluxes.
    service : callable, optional
        What only the running service knows, such as ``store_errors``.
    started : int
        When the service started, utc ms.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        control: Control,
        store: FluxStore,
        service: ServiceFacts | None = None,
        started: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self._control, self._store = control, store
        self._service = service or dict
        self._started = started
        self._slow: dict[str, dict[str, Reading]] = {}
        self._slow_at: int | None = None
        self._places: dict[str, str] = {}
        self._away: set[str] = set()
        self._sent: dict[str, str] = {}
        self._enrolled: dict[str, tuple[int, bool]] = {}
        self._marks: dict[str, tuple[int, int]] = {}

    def gather(self, now: int) -> tuple[Facts, Subjects]:
        """Return all facts and the devices they are about.

        Parameters
        ----------
        now : int
            utc ms.
        """
        due = self._slow_at is None or not 0 <= now - self._slow_at < _SLOW_MS
        facts: dict[str, dict[str, Reading]] = {}
        with closing(self._journal()) as journal:
            if due:
                self._slow_at = now
                self._look_at_places(now)
            devices = self._devices(journal)
            if due:
                self._sent = _labels_sent(journal, devices)
                self._slow = self._gather_slow(journal, devices, now)
            facts |= self._reporting(devices, now)
            facts |= self._settling(journal, devices, now)
        facts |= self._slow
        facts |= self._of_service(now)
        watched = {name: self._place(name, devices) for name in devices}
        return facts, Subjects(watched)

    def _journal(self) -> sqlite3.Connection:
        return read_only(self.folder / "journal.sqlite")

    # Who is watched

    def _look_at_places(self, now: int) -> None:
        """Read where devices stand and which of them are enrolled."""
        held = [p for p in intervals(self._control) if p.t_from <= now < p.end]
        self._places = {p.device: p.loc for p in held if p.loc}
        # Taken away on purpose: its silence is no news.
        self._away = {p.device for p in held if not p.loc}
        self._enrolled = {
            row["device"]: (row["enrolled_at"], bool(row["enabled"]))
            for row in self._control.devices()
        }

    def _devices(self, journal: sqlite3.Connection) -> dict[str, dict[str, Any]]:
        """Return the devices that are watched, with what they said last."""
        rows = journal.execute(
            "SELECT d.name, d.id, d.last_recv, s.recv, s.body FROM devices d "
            "LEFT JOIN status s ON s.device = d.id"
        )
        found: dict[str, dict[str, Any]] = {
            name: {
                "id": number,
                "heard": max(heard, told or 0),
                "status": _parsed(body),
            }
            for name, number, heard, told, body in rows
        }
        for name, (since, _) in self._enrolled.items():
            found.setdefault(name, {"id": None, "heard": since, "status": {}})
        return {
            name: found[name]
            for name in sorted(found)
            if name not in self._away and self._enrolled.get(name, (0, True))[1]
        }

    def _place(self, name: str, devices: Mapping[str, Any]) -> str:
        said = self._sent.get(name) or devices[name]["status"].get("loc", "")
        return self._places.get(name, said if isinstance(said, str) else "")

    # At every look

    def _reporting(
        self, devices: Mapping[str, Any], now: int
    ) -> dict[str, dict[str, Reading]]:
        """Return how long devices have been silent, and how many are."""
        silent: dict[str, Reading] = {}
        for name, one in devices.items():
            for_s: float | None = max(now - one["heard"], 0) / 1000.0
            if one["heard"] < self._started and now - self._started < GRACE_MS:
                for_s = None
            silent[name] = Reading(for_s)
        known = [r.value for r in silent.values() if r.value is not None]
        share = None
        if len(known) >= _FEW and len(known) > len(silent) / 2:
            share = sum(value > SILENT_S for value in known) / len(known)
        return {"silent_s": silent, "silent_share": {"service": Reading(share)}}

    def _settling(
        self, journal: sqlite3.Connection, devices: Mapping[str, Any], now: int
    ) -> dict[str, dict[str, Reading]]:
        """Return what is missing of every device, and whether its watermarks move."""
        rows = journal.execute(
            "SELECT b.device, b.id, b.seq_last, max(b.known, b.seq_last), b.last_recv, "
            "sum(r.last - r.first + 1), "
            "max(CASE WHEN r.first = 0 THEN r.last ELSE -1 END) "
            "FROM boots b LEFT JOIN ranges r ON r.boot = b.id "
            "WHERE b.last_recv >= ? GROUP BY b.id",
            (now - _RECENT_MS,),
        ).fetchall()
        gaps: Counter[int] = Counter()
        waiting: Counter[int] = Counter()
        stuck: dict[int, float] = {}
        for device, boot, last, known, heard, settled, mark in rows:
            missing = known + 1 - (settled or 0)
            waiting[device] += max(missing, 0)
            gaps[device] += max(last + 1 - (settled or 0), 0)
            mark = -1 if mark is None else mark
            key = str(boot)
            before = self._marks.get(key)
            if before is None or before[0] != mark or missing <= 0:
                self._marks[key] = (mark, now)
            elif now - heard < SILENT_S * 1000:
                stuck[device] = max(stuck.get(device, 0.0), (now - before[1]) / 1000.0)
            else:
                # Nothing comes of this boot: that is no matter of its watermark.
                self._marks[key] = (mark, now)
        return {
            "records_missing": {
                n: Reading(float(gaps[d["id"]])) for n, d in devices.items()
            },
            "queued": {n: Reading(float(waiting[d["id"]])) for n, d in devices.items()},
            "watermark_stuck_s": {
                n: Reading(stuck.get(d["id"], 0.0)) for n, d in devices.items()
            },
        }

    def _of_service(self, now: int) -> dict[str, dict[str, Reading]]:
        """Return what is known of the service and its disk."""
        told: dict[str, float | Reading | None] = {
            "disk_free_share": None,
            "wal_mb": 0.0,
            "store_errors": 0.0,
            "fluxes_waiting": 0.0,
            "engine_gap_s": 0.0,
        }
        usage = shutil.disk_usage(self.folder)
        told["disk_free_share"] = usage.free / max(usage.total, 1)
        log = self.folder / "journal.sqlite-wal"
        if log.exists():
            told["wal_mb"] = log.stat().st_size / 1e6
        told |= dict(self._service())
        return {
            name: {"service": r if isinstance(r, Reading) else Reading(r)}
            for name, r in told.items()
        }

    # Once a minute

    def _gather_slow(
        self, journal: sqlite3.Connection, devices: Mapping[str, Any], now: int
    ) -> dict[str, dict[str, Reading]]:
        facts = self._past_day(journal, devices, now)
        facts |= self._clocks(journal, devices, now)
        facts |= self._labels(devices, now)
        facts |= chamber_facts(self._store, self._calibrations(journal), devices, now)
        return facts

    def _past_day(
        self, journal: sqlite3.Connection, devices: Mapping[str, Any], now: int
    ) -> dict[str, dict[str, Reading]]:
        """Return what happened in the last 24 hours, and which firmware runs."""
        names = {d["id"]: n for n, d in devices.items() if d["id"] is not None}
        day = now - DAY_MS
        reboots: Counter[str] = Counter()
        causes: dict[str, Counter[str]] = {}
        for number, text in journal.execute(
            "SELECT b.device, e.body FROM events e JOIN boots b ON b.id = e.boot "
            "WHERE e.kind = 'boot' AND e.t >= ?",
            (day,),
        ):
            name = names.get(number, "")
            reboots[name] += 1
            reason = str(_parsed(text).get("reason", ""))[:32]
            if reason in _BAD_CAUSES:
                causes.setdefault(name, Counter())[reason] += 1
        lost: dict[str, Counter[str]] = {}
        for number, count, reason in journal.execute(
            "SELECT b.device, sum(x.last - x.first + 1), x.reason FROM tombstones x "
            "JOIN boots b ON b.id = x.boot WHERE x.recv >= ? GROUP BY 1, 3",
            (day,),
        ):
            if number in names:
                lost.setdefault(names[number], Counter())[reason] = count
        conflicts = dict(
            journal.execute(
                "SELECT b.device, count(*) FROM conflicts c "
                "JOIN boots b ON b.id = c.boot WHERE c.recv >= ? GROUP BY 1",
                (day,),
            ).fetchall()
        )
        clones = {
            name
            for (name,) in journal.execute(
                "SELECT DISTINCT device FROM notices "
                "WHERE what = 'clone' AND recv >= ?",
                (now - 600_000,),
            )
        }
        damage = journal.execute(
            "SELECT count(*), coalesce(max(what), '') FROM notices "
            "WHERE what IN ('journal_damaged', 'journal_log_damaged') AND recv >= ?",
            (day,),
        ).fetchone()
        quarantined: Counter[str] = Counter()
        for reason, count in journal.execute(
            "SELECT reason, count(*) FROM quarantine WHERE last_recv >= ? GROUP BY 1",
            (now - HOUR_MS,),
        ):
            quarantined[reason] += count
        return {
            "journal_damage_day": {"service": Reading(float(damage[0]), damage[1])},
            "reboots_day": {n: Reading(float(reboots[n])) for n in devices},
            "bad_reboots_day": _counted(causes, devices),
            "records_lost_day": _counted(lost, devices),
            "conflicts_day": {
                n: Reading(float(conflicts.get(d["id"], 0))) for n, d in devices.items()
            },
            "live_boots": {n: Reading(2.0 if n in clones else 1.0) for n in devices},
            "quarantined_hour": {
                "service": Reading(float(quarantined.total()), _listed(quarantined))
            },
            **_firmware(journal, names, devices),
        }

    def _clocks(
        self, journal: sqlite3.Connection, devices: Mapping[str, Any], now: int
    ) -> dict[str, dict[str, Reading]]:
        """Return how far the clocks of devices that report are off, s.

        The end of a cycle is sent at once, so the smallest time from its moment to
        its receipt is the clock's error. Without one the last samples must do: they
        are up to one interval old when they are sent.
        """
        told = dict(
            journal.execute(
                "SELECT b.device, min(e.recv - e.t) FROM events e "
                "JOIN boots b ON b.id = e.boot WHERE e.kind = 'cycle' "
                "AND e.t BETWEEN ? AND ? AND e.recv >= ? AND e.quality < 3 GROUP BY 1",
                (now - 3 * HOUR_MS, now + 3 * HOUR_MS, now - _LAG_MS),
            ).fetchall()
        )
        out: dict[str, Reading] = {}
        for name, one in devices.items():
            out[name] = Reading(None)
            if one["id"] is None or now - one["heard"] > SILENT_S * 1000:
                continue
            lag, known = journal.execute(
                "SELECT min(recv - t), count(*) FROM (SELECT recv, t FROM samples "
                "WHERE boot = (SELECT id FROM boots WHERE device = ? "
                "ORDER BY last_recv DESC, id DESC LIMIT 1) AND quality < 3 "
                "ORDER BY seq DESC LIMIT ?)",
                (one["id"], _LAG_SAMPLES),
            ).fetchone()
            if known < _LAG_SAMPLES // 4:
                continue
            cycle = told.get(one["id"])
            if cycle is not None and cycle - lag <= _INTERVAL_MS:
                out[name] = Reading(-cycle / 1000.0)
            else:
                out[name] = Reading(-(lag - min(max(lag, 0), _INTERVAL_MS)) / 1000.0)
        return {"clock_offset_s": out}

    def _labels(
        self, devices: Mapping[str, Any], now: int
    ) -> dict[str, dict[str, Reading]]:
        """Return which devices have a label that cannot be right."""
        known = known_codes(self._control)
        held = [p for p in intervals(self._control) if p.t_from <= now < p.end]
        conflicts = {n: Reading(0.0) for n in devices}
        wrong = {n: Reading(0.0) for n in devices}
        for problem in problems(held, known):
            of_code = problem.kind in ("illegal_code", "unknown_code")
            target = wrong if of_code else conflicts
            for name in problem.devices:
                if name in target:
                    target[name] = Reading(1.0, problem.text)
        # A device without any statement goes by the label it sends.
        said: dict[str, list[str]] = {}
        for name in devices:
            loc = self._place(name, devices)
            if not loc:
                continue
            said.setdefault(loc, []).append(name)
            if name not in self._places and not _is_code(loc):
                wrong[name] = Reading(1.0, f"{name} sends the label {loc[:40]!r}")
        for loc, names in said.items():
            if len(names) > 1:
                text = f"{' and '.join(names[:4])} are all labelled {loc}"
                for name in names:
                    if not conflicts[name].value:
                        conflicts[name] = Reading(1.0, text)
        return {"label_conflicts": conflicts, "label_wrong": wrong}

    def _calibrations(self, journal: sqlite3.Connection) -> dict[str, int]:
        """Return when each device was calibrated last, utc ms.

        Kept in the control file, for events leave the journal once they are sealed.
        """
        known: dict[str, int] = dict(self._control.setting("calibrated", {}) or {})
        before = dict(known)
        for name, t in journal.execute(
            "SELECT d.name, max(e.t) FROM events e JOIN boots b ON b.id = e.boot "
            "JOIN devices d ON d.id = b.device WHERE e.kind = 'calibrate' "
            "AND e.t IS NOT NULL GROUP BY 1"
        ):
            known[name] = max(known.get(name, 0), t)
        if known != before:
            self._control.set_setting("calibrated", known, by="alarms")
        return known


def _labels_sent(
    journal: sqlite3.Connection, devices: Mapping[str, Any]
) -> dict[str, str]:
    """Return the label each device sent with its last sample."""
    out = {}
    for name, one in devices.items():
        found = journal.execute(
            "SELECT loc FROM samples WHERE boot = (SELECT id FROM boots "
            "WHERE device = ? ORDER BY last_recv DESC, id DESC LIMIT 1) "
            "ORDER BY seq DESC LIMIT 1",
            (one["id"],),
        ).fetchone()
        if found is not None:
            out[name] = str(found[0])
    return out


def _firmware(
    journal: sqlite3.Connection, names: Mapping[int, str], devices: Mapping[str, Any]
) -> dict[str, dict[str, Reading]]:
    """Return which devices run another version than most."""
    versions = {
        names[number]: fw
        for number, fw, _ in journal.execute(
            "SELECT device, fw, max(last_recv) FROM boots WHERE fw <> '' GROUP BY 1"
        )
        if number in names
    }
    most = Counter(versions.values()).most_common(1)
    usual = most[0][0] if most else ""
    out: dict[str, Reading] = {}
    for name in devices:
        own = versions.get(name)
        if own is None:
            out[name] = Reading(None)
            continue
        other = own != usual
        out[name] = Reading(float(other), f"{own}, most run {usual}" if other else own)
    return {"firmware_differs": out}


def _counted(
    counts: Mapping[str, Counter[str]], devices: Mapping[str, Any]
) -> dict[str, Reading]:
    """Return the total of every device, and what it is made of."""
    none: Counter[str] = Counter()
    return {
        name: Reading(
            float(counts.get(name, none).total()), _listed(counts.get(name, none))
        )
        for name in devices
    }


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {n}" for what, n in counts.most_common(3))


def _is_code(loc: str) -> bool:
    try:
        parse_location(loc)
    except ValueError:
        return False
    return True


def _parsed(text: str | None) -> dict[str, Any]:
    """Return a JSON object; what is none is empty."""
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
