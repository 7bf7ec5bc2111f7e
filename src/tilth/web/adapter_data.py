"""Readings, fluxes and completeness of a running service, as the pages show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tilth.chambers.flags import CLOSURE_FLAGS, FLUX_FLAGS
from tilth.core.flags import FlagTable
from tilth.fleet.channels import CHANNELS
from tilth.fleet.clock import DAY_MS, HOUR_MS, day_name
from tilth.fleet.effects_live import LiveEffects
from tilth.fleet.ledger import Proof, device_days, prove
from tilth.fleet.live_store import LIVE_FLAGS
from tilth.web.adapter_closure import closure_readings
from tilth.web.decimate import columns_of
from tilth.web.model import (
    Boot,
    Cycle,
    CycleReadings,
    Effect,
    Event,
    LedgerDay,
    Trace,
    VariantSeries,
)
from tilth.web.shared import Shared

#: Counts of the wire per unit the pages print: hPa and V, the rest as in the protocol.
_COUNTS = {channel.name: round(1 / channel.scale) for channel in CHANNELS} | {
    "p": 100,
    "mv": 1000,
}

#: A CO2 value with one of these flags is no measurement: checksum, missing, warm-up.
_BAD_CO2 = 2 | 4 | 8

#: Spans beyond this are drawn from hourly extremes, ms.
_RAW_SPAN = 10 * DAY_MS

#: Boots and events of a device on its page.
_BOOTS, _EVENTS = 30, 200

#: What is costly to work out is shared by all who ask for nearly the same within: the
#: grid of time, ms, and the age, s. What belongs to one device is kept shorter.
_SHARED_MS, _SHARED_S, _FRESH_S = 60_000, 30.0, 2.0

#: Flags of a flux that are remarks on the weather of a fit, not doubts.
_UNREMARKABLE = ("autocorrelated", "no_curvature", "missing_values", "repeated_values")

_CYCLE_COLUMNS = (
    *("device", "boot", "cycle_seq", "t", "t_open", "close_tick", "open_tick"),
    *("loc", "why", "flux", "se", "se_total", "mdf", "model"),
    *("closure_flag", "flux_flag", "live_flag"),
)


class DataPart:
    """The half of a fleet source that journal, archive and fluxes hold.

    Parameters
    ----------
    service : tilth.fleet.service.FleetService
        The running service.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._shared = Shared()
        self._contrasts = LiveEffects(
            service.live.store,
            self.controls,  # type: ignore[attr-defined]
        )

    # One device

    def boots(self, device: str) -> Sequence[Boot]:
        """Return the boots of a device, newest first."""
        with closing(self._service.journal.reader()) as reader:
            rows = reader.execute(
                "SELECT b.id, b.boot, b.first_recv, b.last_recv, b.fw, b.clock_a,"
                " b.clock_b, b.clock_source FROM boots b"
                " JOIN devices d ON d.id = b.device WHERE d.name = ?"
                " ORDER BY coalesce(b.clock_a, b.first_recv) DESC LIMIT ?",
                (device, _BOOTS),
            ).fetchall()
            proofs = {proof.boot: proof for proof in prove(reader, device)}
            out = []
            for number, boot, first, last, fw, zero, rate, source in rows:
                proof = proofs[boot]
                out.append(
                    Boot(
                        boot=boot,
                        first=first if zero is None else zero,
                        last=last,
                        fw=fw,
                        reason=_boot_reason(reader, number),
                        clock_source=source,
                        clock_ppm=None if zero is None else rate / 1000,
                        watermark=proof.watermark,
                        highest=proof.known,
                        missing=sum(b - a + 1 for a, b in proof.missing),
                    )
                )
        return out

    def events(self, device: str, start: int, end: int) -> Sequence[Event]:
        """Return what a device reported, newest first."""
        columns = ["device", "boot", "seq", "t", "kind", "body"]
        table = self._service.archive.records("events", start, end, [device], columns)
        rows = sorted(
            table.to_pylist(), key=lambda row: (row["t"], row["seq"]), reverse=True
        )
        return [
            Event(row["t"], device, row["boot"], row["seq"], row["kind"], row["body"])
            for row in rows[:_EVENTS]
        ]

    def traces(
        self, device: str, channels: Sequence[str], start: int, end: int, columns: int
    ) -> Sequence[Trace]:
        """Return channels of a device, reduced to so many columns of a screen."""
        if end - start > _RAW_SPAN:
            return self._hourly_traces(device, channels, start, end)
        table = self._service.archive.records(
            "samples", start, end, [device], ["t", "flags", *channels]
        )
        t = table["t"].to_numpy()
        bad = (table["flags"].to_numpy() & _BAD_CO2) != 0
        out = []
        for name in channels:
            values = table[name].to_numpy().astype(float) / _COUNTS[name]
            if name == "co2":
                values = np.where(bad, np.nan, values)
            drawn = columns_of(t, values, start, end, columns)
            out.append(Trace(name, *drawn, int(np.isfinite(values).sum())))
        return out

    def _hourly_traces(
        self, device: str, channels: Sequence[str], start: int, end: int
    ) -> Sequence[Trace]:
        """Return the extremes of each hour, from the rollups."""
        words = ", ".join(f"r.{c}_n, r.{c}_min, r.{c}_max" for c in channels)
        with closing(self._service.journal.reader()) as reader:
            rows = reader.execute(
                f"SELECT r.hour, {words} FROM rollups r"
                " JOIN devices d ON d.id = r.device"
                " WHERE d.name = ? AND r.hour >= ? AND r.hour < ? ORDER BY r.hour",
                (device, start // HOUR_MS, -(-end // HOUR_MS)),
            ).fetchall()
        table = np.array(rows, dtype=float).reshape(len(rows), 1 + 3 * len(channels))
        hours = np.unique(table[:, 0])
        out = []
        for i, name in enumerate(channels):
            count, low, high = table[:, 1 + 3 * i : 4 + 3 * i].T
            seen = np.nan_to_num(count) > 0
            frame = pd.DataFrame({"h": table[:, 0], "low": low, "high": high})[seen]
            by_hour = frame.groupby("h").agg({"low": "min", "high": "max"})
            by_hour = by_hour.reindex(hours) / _COUNTS[name]
            out.append(
                Trace(
                    name,
                    (hours * HOUR_MS + HOUR_MS / 2).astype(np.int64),
                    by_hour["low"].to_numpy(),
                    by_hour["high"].to_numpy(),
                    int(np.nansum(count)),
                )
            )
        return out

    def closures(self, device: str, start: int, end: int) -> Sequence[tuple[int, int]]:
        """Return when the lid was closed: intervals."""
        return self._service.live.store.rows(
            "device = ? AND t >= ? AND t < ? AND t_open IS NOT NULL",
            (device, start - HOUR_MS, end),
            ("t", "t_open"),
        )

    # Fluxes

    def cycles(
        self, start: int, end: int, device: str | None = None
    ) -> Sequence[Cycle]:
        """Return closures with their fluxes, newest first."""
        rows = self._service.live.store.rows(
            "t >= ? AND t < ? AND (? IS NULL OR device = ?)",
            (start, end, device, device),
            _CYCLE_COLUMNS,
        )
        return [
            cycle_of(dict(zip(_CYCLE_COLUMNS, row, strict=True)))
            for row in reversed(rows)
        ]

    def readings(self, device: str, boot: str, seq: int) -> CycleReadings | None:
        """Return the readings of one closure and the curve fitted to them."""
        rows = self._service.live.store.table(
            "device = ? AND boot = ? AND cycle_seq = ?", (device, boot, seq)
        ).to_dict("records")
        if not rows or rows[0]["t"] is None:
            return None
        return closure_readings(self._service, rows[0], cycle_of(rows[0]))

    def variants(
        self, start: int, end: int, night: bool = True
    ) -> Sequence[VariantSeries]:
        """Return the fluxes of every variant by the hour."""
        key = ("variants", start // _SHARED_MS, end // _SHARED_MS, night)
        return self._shared.get(
            key, _SHARED_S, lambda: self._variants(start, end, night)
        )

    def _variants(self, start: int, end: int, night: bool) -> Sequence[VariantSeries]:
        hours = self._contrasts.hourly(start, end, night=night)
        return [
            variant_series(str(name), rows) for name, rows in hours.groupby("variant")
        ]

    def effects(self, start: int, end: int, night: bool = True) -> Sequence[Effect]:
        """Return every variant against its control."""
        key = ("effects", start // _SHARED_MS, end // _SHARED_MS, night)
        return self._shared.get(
            key, _SHARED_S, lambda: self._effects(start, end, night)
        )

    def _effects(self, start: int, end: int, night: bool) -> Sequence[Effect]:
        table = self._contrasts.effects(start, end, night=night).table
        return [
            Effect(
                variant=str(variant),
                control=row["control"],
                ratio=_or_none(row["ratio"]),
                lower=_or_none(row["lower"]),
                upper=_or_none(row["upper"]),
                pairs=int(row["n_pairs"]),
                pots=int(row["pots"]),
                note=row["note"] or "",
                pots_lower=_or_none(row["pots_lower"]),
                pots_upper=_or_none(row["pots_upper"]),
            )
            for variant, row in table.iterrows()
        ]

    # Completeness

    def ledger(
        self, first_day: str, last_day: str, device: str | None = None
    ) -> Sequence[LedgerDay]:
        """Return the ledger of UTC days, both ends included."""
        key = ("ledger", first_day, last_day, device)
        fresh = _FRESH_S if device else _SHARED_S
        return self._shared.get(
            key, fresh, lambda: self._ledger(first_day, last_day, device)
        )

    def _ledger(
        self, first_day: str, last_day: str, device: str | None
    ) -> Sequence[LedgerDay]:
        first, last = (
            int(pd.Timestamp(day).timestamp()) // 86_400
            for day in (first_day, last_day)
        )
        with closing(self._service.journal.reader()) as reader:
            lines = device_days(reader, first, last, device)
            proofs = _proof_texts(prove(reader, device)) if device else {}
        places = self.places()  # type: ignore[attr-defined]
        today = self._service.clock() // DAY_MS
        return [
            LedgerDay(
                device=line.device,
                loc=places.get(line.device, ""),
                day=day_name(line.day),
                expected=line.expected,
                received=line.received,
                late=line.late,
                duplicate=line.duplicate,
                dropped=line.dropped + line.quarantined,
                pending=line.outstanding,
                lost=None
                if not line.lost and (line.day >= today or line.outstanding)
                else line.lost,
                proof=proofs.get(line.device, ""),
            )
            for line in lines
        ]

    # Export

    def sample_batches(
        self, start: int, end: int, devices: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield samples in physical units, in order of device and time."""
        if devices is None:
            with closing(self._service.journal.reader()) as reader:
                rows = reader.execute("SELECT name FROM devices ORDER BY name")
                devices = [row[0] for row in rows.fetchall()]
        channels = [channel.name for channel in CHANNELS]
        for device in devices:
            for day in range(start - start % DAY_MS, end, DAY_MS):
                frame = self._service.archive.frame(
                    device, max(day, start), min(day + DAY_MS, end), channels
                )
                if len(frame):
                    yield sample_batch(frame, channels)

    def flux_batches(
        self, start: int, end: int, devices: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield fluxes in order of time."""
        for first in range(start, end, 10 * DAY_MS):
            table = self._service.live.fluxes(first, min(first + 10 * DAY_MS, end))
            if devices is not None:
                table = table[table["device"].isin(devices)]
            if len(table):
                yield flux_batch(table)


def cycle_of(row: Mapping[str, Any]) -> Cycle:
    """Return a row of the table of fluxes as the pages show it."""
    total, fit = row["se_total"], row["se"]
    return Cycle(
        device=row["device"],
        boot=row["boot"],
        seq=row["cycle_seq"],
        t=int(row["t"]),
        loc=row["loc"],
        flux=_or_none(row["flux"]),
        flux_se=_or_none(fit if _or_none(total) is None else total),
        mdf=_or_none(row["mdf"]),
        model=row["model"] or "",
        why=row["why"] or "",
        closed_s=(row["open_tick"] - row["close_tick"]) / 1000,
        flags=(
            *_words(CLOSURE_FLAGS, row["closure_flag"]),
            *_words(FLUX_FLAGS, row["flux_flag"]),
            *_words(LIVE_FLAGS, row["live_flag"]),
        ),
    )


def _words(table: FlagTable, value: int) -> list[str]:
    """Return the meanings that are raised, as words."""
    return [
        meaning.replace("_", " ")
        for i, meaning in enumerate(table.descriptions)
        if value >> i & 1 and meaning not in (*_UNREMARKABLE, "daylight")
    ]


def variant_series(variant: str, rows: pd.DataFrame) -> VariantSeries:
    """Return hourly fluxes of one variant: the mean over its pots.

    The pot is what is replicated: the standard error is that between pots, and there
    is none with a single one.

    Parameters
    ----------
    variant : str
        Such as "5.10".
    rows : pandas.DataFrame
        Hourly means of its pots, of `tilth.fleet.effects_live.LiveEffects.hourly`.
    """
    hours = rows.groupby("hour")["flux"].agg(["mean", "sem"])
    means = rows.groupby("pot")["flux"].mean()
    return VariantSeries(
        variant=variant,
        pots=len(means),
        cycles=int(rows["n"].sum()),
        mean=float(means.mean()),
        se=_or_none(means.sem()),
        t=hours.index.to_numpy("datetime64[ms]").astype(np.int64),
        flux=hours["mean"].to_numpy(float),
        flux_se=hours["sem"].to_numpy(float),
    )


def sample_batch(frame: pd.DataFrame, channels: Sequence[str]) -> pa.RecordBatch:
    """Return samples as they are exported."""
    text = ("device", "location", "label", "boot", "state")
    columns: dict[str, pa.Array] = {
        "time": pa.array(frame["t"].to_numpy(np.int64), pa.timestamp("ms", "UTC"))
    }
    for name in (*text[:4], "seq", *channels, "state", "flag"):
        kind = pa.string() if name in text else None
        values = frame[name].astype(object) if name in text else frame[name]
        columns[name] = pa.array(values, kind, from_pandas=True)
    return pa.record_batch(columns)


def flux_batch(table: pd.DataFrame) -> pa.RecordBatch:
    """Return fluxes as they are exported, with the units in the schema."""
    time = pa.array(table["t"].to_numpy(np.int64), pa.timestamp("ms", "UTC"))
    from tilth.fleet.live_store import COLUMNS

    columns: dict[str, pa.Array] = {"time": time}
    for name, sql in COLUMNS.items():
        kind = {"TEXT": pa.string(), "REAL": pa.float64()}.get(
            sql.split()[0], pa.int64()
        )
        shown = {"loc": "location", "loc_sent": "label"}.get(name, name)
        values = table[name].astype(object).where(table[name].notna(), None)
        columns[shown] = pa.array(values, kind)
    return pa.record_batch(columns)


def _boot_reason(reader: Any, boot: int) -> str:
    """Return why a device started, as its first event says."""
    row = reader.execute(
        "SELECT body FROM events WHERE boot = ? AND kind = 'boot' ORDER BY seq LIMIT 1",
        (boot,),
    ).fetchone()
    reason = json.loads(row[0]).get("reason", "") if row else ""
    return reason if isinstance(reason, str) else ""


def _proof_texts(proofs: Sequence[Proof]) -> dict[str, str]:
    """Return for each device what its numbers prove, in words."""
    out: dict[str, list[str]] = {}
    for proof in proofs:
        parts = [f"{proof.stored} of {proof.known + 1} stored"]
        for name in ("dropped", "quarantined", "lost", "outstanding"):
            if count := getattr(proof, name):
                parts.append(f"{count} {name}")
        if proof.complete:
            parts = [f"0 to {proof.known} without a hole"]
        if proof.stored != proof.counted:
            parts.append(f"counted {proof.counted}: the journal is damaged")
        out.setdefault(proof.device, []).append(
            f"boot {proof.boot}: {', '.join(parts)}"
        )
    return {device: "; ".join(lines[-8:]) for device, lines in out.items()}


def _or_none(value: Any) -> float | None:
    return None if value is None or not np.isfinite(float(value)) else float(value)
