"""The running service as the pages read it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tilth.core.errors import InputError
from tilth.fleet.alarms.rules import Rule
from tilth.fleet.channels import STATE_NAMES
from tilth.fleet.clock import HOUR_MS
from tilth.fleet.metrics import fleet_registry
from tilth.fleet.releases import FOLDER, add_release
from tilth.fleet.rollout import Rollouts
from tilth.web.adapter_control import ControlPart
from tilth.web.adapter_data import DataPart
from tilth.web.feed import Feed, LiveQueue
from tilth.web.model import SEVERITIES, Alarm, Firmware, Health, Tile

#: What all browsers share is read anew after this long, s.
_FRESH_S = 2.0

#: Hours of the sparkline of a tile.
_SPARK_HOURS = 24

#: A device that never told its status is taken for connected so long after a message,
#: ms.
_SILENT_MS = 120_000

#: Samples looked at for the last value of CO2.
_LAST_SAMPLES = 20


class ServiceSource(ControlPart, DataPart):
    """Gives the pages what they show of a running service.

    Parameters
    ----------
    service : tilth.fleet.service.FleetService
        Started.
    """

    def __init__(self, service: Any) -> None:
        ControlPart.__init__(self, service.control)
        DataPart.__init__(self, service)
        self.service = service
        self._feed = Feed(service)
        self.registry = fleet_registry(service)
        self._started = service.clock()

    def clock(self) -> int:
        """Return the time now."""
        return self.service.clock()

    @property
    def rollouts(self) -> Rollouts:
        """Roll-outs of firmware; the service moves them on."""
        return self.service.rollouts

    def subscribe(self) -> LiveQueue:
        """Return a queue of updates."""
        return self._feed.subscribe()

    # What is there now

    def tiles(self) -> Sequence[Tile]:
        """Return every device as it is now."""
        return self._shared.get("tiles", _FRESH_S, self._tiles)

    def _tiles(self) -> Sequence[Tile]:
        places, worst = self.places(), _by_device(self.alarms())
        fluxes = self._latest_fluxes()
        with closing(self.service.journal.reader()) as reader:
            rows = reader.execute(
                "SELECT d.id, d.name, d.last_recv, s.online, s.body FROM devices d"
                " LEFT JOIN status s ON s.device = d.id ORDER BY d.name"
            ).fetchall()
            return [
                self._tile(reader, row, places, worst, fluxes.get(row[1]))
                for row in rows
            ]

    def _tile(
        self,
        reader: sqlite3.Connection,
        row: tuple[Any, ...],
        places: Mapping[str, str],
        worst: Mapping[str, tuple[str, int]],
        fluxes: Mapping[str, Any] | None,
    ) -> Tile:
        number, device, seen, online, text = row
        status = json.loads(text) if text else {}
        boot = reader.execute(
            "SELECT id, fw FROM boots WHERE device = ? ORDER BY last_recv DESC, id DESC"
            " LIMIT 1",
            (number,),
        ).fetchone()
        samples = []
        if boot:
            samples = reader.execute(
                "SELECT t, recv, co2, state, loc FROM samples WHERE boot = ?"
                " ORDER BY seq DESC LIMIT ?",
                (boot[0], _LAST_SAMPLES),
            ).fetchall()
        known = next((row for row in samples if row[2] is not None), None)
        severity, alarms = worst.get(device, ("none", 0))
        waiting = self._feed.queued.get(device)
        if waiting is None and status.get("q"):
            waiting = int(status["q"][0])
        said = samples[0][4] if samples else status.get("loc", "")
        return Tile(
            device=device,
            loc=places.get(device, said),
            co2=known[2] / 10 if known else None,
            co2_t=(known[0] or known[1]) if known else None,
            state=STATE_NAMES.get(samples[0][3], "") if samples else "",
            online=self.clock() - seen < _SILENT_MS if online is None else bool(online),
            seen=seen,
            severity=severity,
            alarms=alarms,
            queued=waiting,
            fw=(boot[1] if boot else "") or status.get("fw", ""),
            **(fluxes or {}),
        )

    def _latest_fluxes(self) -> dict[str, dict[str, Any]]:
        """Return the last flux of each device and its last day, hour by hour."""
        now = self.clock()
        first = now - _SPARK_HOURS * HOUR_MS
        table = self.service.live.fluxes(
            first, now, usable=True, columns=("device", "t", "flux", "se", "se_total")
        )
        out: dict[str, dict[str, Any]] = {}
        for device, rows in table.groupby("device"):
            hour = ((rows["t"].to_numpy(np.int64) - first) // HOUR_MS).clip(0, 23)
            count = np.bincount(hour, minlength=_SPARK_HOURS)
            total = np.bincount(hour, rows["flux"], minlength=_SPARK_HOURS)
            last = rows.iloc[-1]
            se = last["se"] if np.isnan(last["se_total"]) else last["se_total"]
            out[str(device)] = {
                "flux": float(last["flux"]),
                "flux_se": None if np.isnan(se) else float(se),
                "flux_t": int(last["t"]),
                "spark": tuple(
                    float(sum_ / n) if n else None
                    for sum_, n in zip(total, count, strict=True)
                ),
            }
        return out

    def health(self) -> Health:
        """Return how the service does."""
        service = self.service
        stats, tally = service.ingest.stats(), service.journal.tally
        problems = []
        if service.ingest.trouble:
            problems.append(f"Nothing is acknowledged: {service.ingest.trouble}")
        if service.link is not None and not service.link.connected:
            problems.append(f"No connection to the broker {service.config.broker}.")
        p99 = None
        if stats["committed"]:
            edge = service.ingest.latency_quantile(0.99)
            p99 = edge if math.isfinite(edge) else 10_000.0
        return Health(
            started=self._started,
            queue_depth=stats["waiting"],
            commit_p99_ms=p99,
            received=tally.records,
            duplicates=tally.duplicates,
            quarantined=tally.quarantined,
            conflicts=tally.conflicts,
            problems=tuple(problems),
        )

    # Alarms: the engine decides, and must hear of what people say

    def acknowledge(self, alarm: str, by: str, note: str) -> None:
        """Note that someone knows of an alarm."""
        self._alarms().acknowledge(*self._alarm_key(alarm), by, note)

    def snooze(self, alarm: str, until: int, by: str) -> None:
        """Keep an alarm quiet for a while."""
        self._alarms().snooze(*self._alarm_key(alarm), until, by)

    def rules(self) -> Mapping[str, Rule]:
        """Return the alarm rules in force."""
        alarms = getattr(self.service, "alarms", None)
        return super().rules() if alarms is None else alarms.rules

    def _alarms(self) -> Any:
        alarms = getattr(self.service, "alarms", None)
        if alarms is None:
            raise InputError("this service watches no alarms")
        return alarms

    def _alarm_key(self, alarm: str) -> tuple[str, str]:
        row = self.control.row("SELECT rule, subject FROM alarms WHERE id = ?", alarm)
        if row is None:
            raise InputError(f"there is no alarm {alarm[:40]!r}")
        return row["rule"], row["subject"]

    # Firmware

    def add_firmware(
        self, bundle: bytes, manifest: bytes, by: str, address: str
    ) -> Firmware:
        """Check the signature of a bundle and keep it."""
        url = self.service.config.public_url or address
        told = add_release(self.control, bundle, manifest, url, by)
        held = {one.version: one for one in self.firmware()}
        return held[told["version"]]

    def bundle(self, version: str) -> Path | None:
        """Return the file of a version, as devices fetch it."""
        row = self.control.row(
            "SELECT file FROM firmware WHERE version = ? AND withdrawn IS NULL", version
        )
        if row is None:
            return None
        folder = (self.control.folder / FOLDER).resolve()
        path = (folder / row["file"]).resolve()
        return path if path.parent == folder else None


def _by_device(alarms: Sequence[Alarm]) -> dict[str, tuple[str, int]]:
    """Return the worst severity and the number of open alarms of each device."""
    out: dict[str, tuple[str, int]] = {}
    for alarm in alarms:
        if alarm.device and alarm.until is None:
            worst, count = out.get(alarm.device, ("none", 0))
            worst = max(worst, alarm.severity, key=SEVERITIES.__getitem__)
            out[alarm.device] = (worst, count + 1)
    return out
