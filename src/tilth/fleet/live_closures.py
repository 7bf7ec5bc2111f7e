"""From the journal to closures: the samples around each lid that closed and opened.

A device reports every finished cycle with one record of kind ``cycle``. The closure
is cut from the samples of the same boot by ticks, never by UTC: a clock that was set
in the middle of a closure moves nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.closures import make_closures
from tilth.chambers.geometry import Geometry, apply_geometry
from tilth.fleet.live_store import LIVE_FLAGS, Key

#: Fastest sampling of the CO2 sensor, ms (SCD30 datasheet: 2 s; half of it to be
#: safe): bounds how many records a closure can hold.
_FASTEST_MS = 1000

#: A closure longer than this is a mistake of the device's clock, ms.
_LONGEST_MS = 3_600_000

#: Bits of the samples' flags that make a CO2 value unusable: CRC error, missing,
#: first values after the sensor's start.
_BAD_CO2 = 2 | 4 | 8
_BAD_PRESSURE, _BAD_LIGHT = 16, 32

#: How much warmer than the air the CO2 sensor is, K (Paessler et al. 2024: 1-2).
SELF_HEATING = 1.5

#: Humidity taken where no sensor told one, %: its dilution then stays uncorrected.
_ASSUMED_HUMIDITY = 50.0

#: Channels of a sample in the journal: column, factor to the unit of the closures.
CHANNELS = {
    "co2": ("co2", 0.1),
    "humidity_temperature": ("st", 0.01),
    "relative_humidity": ("rh", 0.01),
    "temperature": ("at", 0.01),
    "pressure": ("p", 1.0),
    "light": ("lux", 1.0),
}


@dataclass(frozen=True)
class Cycle:
    """One finished cycle, as the device told it.

    Attributes
    ----------
    device, boot, seq : str, str, int
        What the cycle is known by.
    boot_id : int
        The boot's number in this journal.
    t, tick, recv : int or None, int, int
        UTC (ms; None: not known yet), ticks and time of arrival of the record.
    close, open : int
        Ticks at which the lid was closed and began to open, ms.
    body : mapping
        Everything the device said.
    problem : str
        Why the record cannot be used; empty if it can.
    """

    device: str
    boot: str
    seq: int
    boot_id: int
    t: int | None
    tick: int
    recv: int
    close: int
    open: int
    body: Mapping[str, Any]
    problem: str = ""

    @property
    def key(self) -> Key:
        """What the cycle is known by."""
        return (self.device, self.boot, self.seq)

    def utc(self, tick: int) -> int | None:
        """UTC of a tick near the cycle, ms."""
        return None if self.t is None else self.t - (self.tick - tick)


@dataclass
class Records:
    """The samples of one closure, still as arrays of their own length.

    Attributes
    ----------
    tick, seq : numpy.ndarray of int
        Ticks, ms, and numbers.
    channels : dict of str to numpy.ndarray
        In the units of the closures dataset, NaN where not measured.
    loc : str
        Location code the samples carry, the last one.
    complete, lost : bool
        Whether every record since the lead has been stored, and whether some of
        them will never come.
    flags : int
        Bits of `LIVE_FLAGS` raised so far.
    """

    tick: np.ndarray
    seq: np.ndarray
    channels: dict[str, np.ndarray] = field(default_factory=dict)
    loc: str = ""
    complete: bool = True
    lost: bool = False
    flags: int = 0


_CYCLES = """
SELECT d.name, b.boot, e.seq, e.boot, e.t, e.tick, e.recv, e.body
FROM events e JOIN boots b ON b.id = e.boot JOIN devices d ON d.id = b.device
"""


def find_cycles(
    journal: sqlite3.Connection, where: str = "1", parameters: Sequence[Any] = ()
) -> list[Cycle]:
    """Return the finished cycles that a condition in SQL picks.

    Parameters
    ----------
    journal : sqlite3.Connection
        Of the journal.
    where : str
        On ``e`` (events), ``b`` (boots) and ``d`` (devices).
    parameters : sequence
        For the question marks in it.
    """
    rows = journal.execute(f"{_CYCLES} WHERE e.kind = 'cycle' AND {where}", parameters)
    return [_cycle(*row) for row in rows]


def _cycle(device, boot, seq, boot_id, t, tick, recv, text) -> Cycle:
    """Return a cycle from its row; a body that makes no sense becomes a problem."""
    problem, close, opened = "", tick, tick
    try:
        body = json.loads(text)
        close, opened = body["close"], body["open"]
        if type(close) is not int or type(opened) is not int:
            raise TypeError("close and open must be ticks")
    except (ValueError, TypeError, KeyError) as error:
        problem = f"the record cannot be read: {type(error).__name__}: {error}"
        body, close, opened = {}, tick, tick
    if not problem and not 0 < opened - close <= _LONGEST_MS:
        problem = f"closed at tick {close}, opened at {opened}: not a closure"
    return Cycle(
        device, boot, seq, boot_id, t, tick, recv, close, opened, body, problem
    )


def read_records(journal: sqlite3.Connection, cycle: Cycle, lead_ms: int) -> Records:
    """Return the samples of a cycle from `lead_ms` before closing until opening."""
    begin = cycle.close - lead_ms
    most = (max(cycle.tick, cycle.open) - begin) // _FASTEST_MS + 16
    columns = ", ".join(column for column, _ in CHANNELS.values())
    rows = journal.execute(
        f"SELECT seq, tick, flags, loc, {columns} FROM samples "
        "WHERE boot = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        (cycle.boot_id, cycle.seq - most, cycle.seq),
    ).fetchall()
    inside = [row for row in rows if begin <= row[1] <= cycle.open]
    # Object arrays, so that None becomes NaN and nothing is rounded on the way.
    table = np.array([row[:3] + row[4:] for row in inside], dtype=object)
    table = table.reshape(len(inside), 3 + len(CHANNELS))
    flags = table[:, 2].astype(np.int64)
    channels = {
        name: table[:, 3 + i].astype(float) * factor
        for i, (name, (_, factor)) in enumerate(CHANNELS.items())
    }
    for name, bad in (
        ("co2", _BAD_CO2),
        ("pressure", _BAD_PRESSURE),
        ("light", _BAD_LIGHT),
    ):
        channels[name][(flags & bad) != 0] = np.nan
    complete, lost = _completeness(journal, cycle, rows, begin)
    return Records(
        table[:, 1].astype(np.int64),
        table[:, 0].astype(np.int64),
        channels,
        inside[-1][3] if inside else "",
        complete,
        lost,
    )


def _completeness(
    journal: sqlite3.Connection, cycle: Cycle, rows: list, begin: int
) -> tuple[bool, bool]:
    """Return whether all records of the closure are stored, and if some are lost."""
    block = journal.execute(
        "SELECT first FROM ranges WHERE boot = ? AND first <= ? "
        "ORDER BY first DESC LIMIT 1",
        (cycle.boot_id, cycle.seq),
    ).fetchone()
    first = cycle.seq if block is None else block[0]
    reaching = [row[0] for row in rows if row[0] >= first and row[1] < begin]
    complete = first == 0 or bool(reaching)
    from_seq = reaching[-1] if reaching else first
    lost = journal.execute(
        "SELECT 1 FROM tombstones WHERE boot = ? AND last >= ? AND first <= ? LIMIT 1",
        (cycle.boot_id, from_seq, cycle.seq),
    ).fetchone()
    return complete, lost is not None


def closures_of(
    cycles: Sequence[Cycle],
    records: Sequence[Records],
    labels: Mapping[str, Sequence[str]],
    geometry: Geometry,
    usual: Mapping[str, float],
) -> xr.Dataset:
    """Assemble cycles and their samples to a closures dataset with its geometry.

    Parameters
    ----------
    cycles, records : sequences of Cycle and of Records
        As many of each; the `flags` of the records are raised where something had
        to be filled in.
    labels : mapping of str to sequence of str
        Coordinates, such as ``device`` and ``pot``.
    geometry : Geometry
        Sizes of the chambers.
    usual : mapping of str to float
        What the fleet last measured, to stand in for a sensor that is missing:
        ``pressure`` (Pa).
    """
    fleet = _medians(records, usual)
    for one in records:
        _fill(one, fleet)
    samples = {
        "elapsed": [
            (one.tick - cycle.close) / 1000.0
            for cycle, one in zip(cycles, records, strict=True)
        ],
        **{name: [one.channels[name] for one in records] for name in CHANNELS},
    }
    times = [cycle.utc(cycle.close) for cycle in cycles]
    closures = make_closures(
        ["/".join(map(str, cycle.key)) for cycle in cycles],
        samples,
        time=[
            np.datetime64("NaT" if t is None else t, "ms").astype("M8[ns]")
            for t in times
        ],
        labels=labels,
        basis={"co2": "wet"},
        units={"humidity_temperature": "degC"},
    )
    return apply_geometry(closures, geometry)


def _medians(
    records: Iterable[Records], usual: Mapping[str, float]
) -> dict[str, float]:
    """Return what stands in for a missing pressure: the fleet now, or lately."""
    values = [one.channels["pressure"] for one in records]
    known = np.concatenate(values) if values else np.empty(0)
    known = known[np.isfinite(known)]
    if known.size:
        return {"pressure": float(np.median(known))}
    return {"pressure": usual.get("pressure", np.nan)}


def _fill(one: Records, fleet: Mapping[str, float]) -> None:
    """Fill in what a flux needs and a sensor did not tell; raise a flag where so."""
    c = one.channels
    if not len(one.tick):
        return
    if (
        np.isnan(c["temperature"]).all()
        and np.isfinite(c["humidity_temperature"]).any()
    ):
        c["temperature"] = c["humidity_temperature"] - SELF_HEATING
        one.flags |= LIVE_FLAGS.bit("sensor_temperature")
    if np.isnan(c["pressure"]).all():
        c["pressure"] = np.full(len(one.tick), fleet["pressure"])
        one.flags |= LIVE_FLAGS.bit("fleet_pressure")
    if np.isnan(c["humidity_temperature"]).all():
        c["humidity_temperature"] = c["temperature"] + SELF_HEATING
    if np.isnan(c["relative_humidity"]).all():
        c["relative_humidity"] = np.full(len(one.tick), _ASSUMED_HUMIDITY)
        one.flags |= LIVE_FLAGS.bit("assumed_humidity")
    for name in (
        "temperature",
        "pressure",
        "humidity_temperature",
        "relative_humidity",
    ):
        c[name] = _bridged(one.tick, c[name])


def _bridged(tick: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate single gaps of a slow quantity, so that no CO2 value goes unused."""
    known = np.isfinite(values)
    if known.all() or not known.any():
        return values
    return np.interp(tick, tick[known], values[known])
