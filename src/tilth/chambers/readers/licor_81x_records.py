"""The type-1 records of LI-8100 observations: parsed in bulk, checked one by one."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tilth.chambers.readers.licor_81x_blocks import Lines, Observation
from tilth.chambers.readers.licor_checks import YEAR_2100, numbers

#: Column of the file -> variable. Pressure is in kPa, the rest in canonical units.
COLUMNS = {
    "Etime": "elapsed",
    "Cdry": "co2",
    "H2O": "h2o",
    "Pressure": "pressure",
    "Tcham": "temperature",
    "RH": "relative_humidity",
}
#: Without these labels the header cannot be trusted.
_REQUIRED = frozenset(["Etime", "Date", "Tcham", "Pressure", "H2O", "Cdry"])

#: Cdry must be CO2 / (1 - H2O / 1000) record by record: within 0.007 ppm, the
#: rounding of three printed numbers, in every file seen. In ppm and as a fraction.
_DRY_SLACK = (0.05, 2e-4)

#: The instrument's clock and its count of seconds since closing drift apart by a
#: second or two in a closure. Records that are further apart than this, in s and as
#: a fraction of the time since closing, are of two different closures.
_CLOCK_SLACK = (5.0, 0.02)

#: So many records in a row that do not belong are another observation's; fewer are
#: unreadable.
_TAKEOVER = 3


@dataclass
class Records:
    """The records of one observation: an array per variable, and its closing time."""

    values: dict[str, np.ndarray]
    closing: np.datetime64


def temperature_source(observation: Observation) -> str:
    """Return the label of the temperature that the firmware's flux is made with."""
    source = observation.header.get(b"TSource", b"").strip().decode("latin-1")
    return source if source in observation.labels else "Tcham"


def column(observation: Observation, label: str) -> int:
    """Return where a column is, or -1; the temperature is the one of the flux."""
    if label == "Tcham":
        label = temperature_source(observation)
    return observation.labels.index(label) if label in observation.labels else -1


def fields_fit(observation: Observation, tabs):
    """Return whether lines with so many tabulators have a field for every label.

    The annotation at the end is left out, tabulator and all, where there is none.
    """
    n = len(observation.labels)
    fits = tabs == n - 1
    return fits | (tabs == n - 2) if observation.labels[-1] == "Annotation" else fits


def read_records(
    lines: Lines, observations: list[Observation]
) -> tuple[list[Observation], list[Records]]:
    """Read the records of every observation.

    Parameters
    ----------
    lines : Lines
        The file.
    observations : list of Observation
        From `cut_observations`; damage found here is noted in them.

    Returns
    -------
    observations, records : list
        One of each per observation. There may be more observations than before:
        where one turns out to hold the records of another, that is split off.
    """
    where = np.flatnonzero(lines.is_record)
    bounds = np.searchsorted(where, [[o.first, o.last] for o in observations])
    groups: dict[tuple[str, ...], list[tuple[int, np.ndarray]]] = {}
    for i, (observation, (a, b)) in enumerate(zip(observations, bounds, strict=True)):
        rows = _legible(lines, observation, where[a:b])
        if rows.size:
            groups.setdefault(tuple(observation.labels), []).append((i, rows))
    read: dict[int, tuple[Records, Observation | None]] = {}
    for members in groups.values():
        rows = np.concatenate([r for _, r in members])
        table = _parse(lines, observations[members[0][0]].labels, rows)
        _judge(table)
        edges = np.cumsum([0] + [r.size for _, r in members])
        sound = _sound(table, edges)
        for k, (i, _) in enumerate(members):
            part = {name: v[edges[k] : edges[k + 1]] for name, v in table.items()}
            if sound[k]:
                values = _take(observations[i], part, part["usable"])
                clock = values.pop("clock")
                closing = clock[np.argmax(values["elapsed"] == 0.0)]
                read[i] = Records(values, _stamp(closing)), None
            else:
                read[i] = _look_closer(observations[i], part)

    cut: list[Observation] = []
    records: list[Records] = []
    for i, observation in enumerate(observations):
        record, rest = read.get(i, (_nothing(), None))
        cut.append(observation)
        records.append(record)
        if rest is not None:
            cut.append(rest)
            records.append(_nothing())
    return cut, records


def _nothing() -> Records:
    nothing: dict[str, np.ndarray] = {name: np.empty(0) for name in COLUMNS.values()}
    return Records(nothing, np.datetime64("NaT", "ns"))


def _legible(lines: Lines, observation: Observation, rows: np.ndarray) -> np.ndarray:
    """Return the lines that the labels describe; note the damage of the others."""
    labels = observation.labels
    if not _REQUIRED.issubset(labels):
        observation.damage.add("damaged_header")
        if "Etime" not in labels or "Cdry" not in labels:
            return rows[:0]
    if any(labels.count(label) > 1 for label in COLUMNS):
        observation.damage.add("damaged_header")
    if labels[-1] == "Annotation" and rows.size:
        # Numbers for annotations: a label is lost, and those after it are one off.
        middle = rows[rows.size // 2]
        fields = lines.raw[lines.start[middle] : lines.stop[middle]].split(b"\t")
        if len(fields) == len(labels) and np.isfinite(numbers(fields[-1:])[0]):
            observation.damage.add("damaged_header")
    legible = fields_fit(observation, lines.tabs[rows]) & lines.is_clean[rows]
    legible &= rows > observation.label_line
    if not legible.all():
        observation.damage.add("bad_rows")
        if 2 * np.count_nonzero(legible) < rows.size:
            observation.damage.add("damaged_header")
        rows = rows[legible]
    return rows


def _parse(lines: Lines, labels: list[str], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Parse lines of one layout: label -> numbers, and ``Date`` in s since 1970."""
    wanted = {*COLUMNS, "CO2", "Date", "T1", "T2", "T3", "T4", "Tbench"}
    index = {name: labels.index(name) for name in wanted if name in labels}
    breaks = np.flatnonzero(np.diff(rows) != 1)
    begins = lines.start[rows[np.concatenate([[0], breaks + 1])]].tolist()
    ends = lines.stop[rows[np.concatenate([breaks, [rows.size - 1]])]].tolist()
    block = b"".join(lines.raw[a:b] for a, b in zip(begins, ends, strict=True))
    table = pd.read_csv(
        io.BytesIO(block),
        sep="\t",
        header=None,
        names=list(range(int(lines.tabs[rows].max()) + 1)),
        usecols=sorted(index.values()),
        dtype={index["Date"]: "str"} if "Date" in index else None,
        quoting=csv.QUOTE_NONE,
        encoding="latin-1",
        low_memory=False,
        skip_blank_lines=False,
    )
    parsed: dict[str, np.ndarray] = {"line": rows}
    for name, i in index.items():
        if name == "Date":
            stamps = pd.to_datetime(
                table[i], format="%Y-%m-%d %H:%M:%S", errors="coerce"
            )
            seconds = stamps.to_numpy("datetime64[s]").astype(float)
            parsed[name] = np.where(
                (seconds > 0.0) & (seconds < YEAR_2100), seconds, np.nan
            )
        else:
            values = table[i]
            if values.dtype.kind not in "fiu":
                values = pd.to_numeric(values, errors="coerce")
            found = values.to_numpy(float)
            parsed[name] = np.where(np.isfinite(found), found, np.nan)
    return parsed


def _sound(part: dict[str, np.ndarray], edges: np.ndarray) -> np.ndarray:
    """Return which of the observations between the edges need no further look."""
    first, last = edges[:-1], edges[1:] - 1
    elapsed, clock = part["Etime"], part["clock"]
    steps = np.diff(elapsed, append=np.inf)
    # Before closing the elapsed time may stand still at -1.
    rises = (steps > 0.0) | ((steps == 0.0) & (elapsed == -1.0))
    rises &= np.diff(clock, append=np.inf) >= 0.0
    rises[last] = True
    good = part["usable"] & part["complete"] & rises
    closed = np.where(elapsed >= 0.0, clock - elapsed, np.nan)
    spread = np.fmax.reduceat(closed, first) - np.fmin.reduceat(closed, first)
    placed = np.maximum.reduceat(elapsed == 0.0, first)
    return np.logical_and.reduceat(good, first) & placed & (spread <= _CLOCK_SLACK[0])


def _judge(part: dict[str, np.ndarray]) -> None:
    """Add to parsed columns which records can be used and which are complete."""
    co2 = part["Cdry"]
    part["clock"] = part.get("Date", np.full(co2.size, np.nan))
    part["usable"] = np.isfinite(part["Etime"]) & np.isfinite(co2)
    part["complete"] = part["usable"] & np.isfinite(part["clock"])
    for label in COLUMNS:
        if label in part:
            part["complete"] &= np.isfinite(part[label])
    part["contradicts"] = np.zeros(co2.size, bool)
    if "CO2" in part and "H2O" in part:
        with np.errstate(all="ignore"):
            gap = np.abs(part["CO2"] / (1.0 - part["H2O"] / 1e3) - co2)
            slack = _DRY_SLACK[0] + _DRY_SLACK[1] * np.abs(co2)
        part["contradicts"] = gap > slack
        part["usable"] &= ~part["contradicts"]


def _take(
    observation: Observation, part: dict[str, np.ndarray], keep: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the variables of the records to keep, and ``clock``."""
    if np.count_nonzero(part["Etime"] == -1.0) > 1:
        # The records of the closing chamber all carry -1: no time of their own.
        keep = keep & (part["Etime"] != -1.0)
    names = {label: label for label in COLUMNS} | {"clock": "clock"}
    names["Tcham"] = temperature_source(observation)
    missing = np.full(keep.size, np.nan)
    return {
        COLUMNS.get(label, label): part.get(name, missing)[keep]
        for label, name in names.items()
    }


def _look_closer(
    observation: Observation, part: dict[str, np.ndarray]
) -> tuple[Records, Observation | None]:
    """Leave out what is not a record of this observation, and say why."""
    damage = observation.damage
    # Not single records but the columns are wrong where most cannot be right.
    undated = ~np.isfinite(part["clock"])
    if 2 * max(part["contradicts"].sum(), undated.sum()) > undated.size:
        damage.add("damaged_header")
    foreign, takeover = _foreign(part["Etime"], part["clock"], part["usable"])
    rest = None
    if takeover >= 0:
        damage.add("truncated")
        rest = observation.rest_after(int(part["line"][takeover]))
        part = {name: values[:takeover] for name, values in part.items()}
        foreign = foreign[:takeover]
    keep = part["usable"] & ~foreign
    if not (keep & part["complete"]).all():
        damage.add("bad_rows")
    values = _in_order(damage, _take(observation, part, keep))
    clock = values.pop("clock")
    return Records(values, _closing_time(values["elapsed"], clock)), rest


def _foreign(
    elapsed: np.ndarray, clock: np.ndarray, usable: np.ndarray
) -> tuple[np.ndarray, int]:
    """Find records of another closure: where they are, and from where all are."""
    closed = usable & (elapsed >= 0.0)
    foreign = np.zeros(elapsed.size, bool)
    if not closed.any():
        return foreign, -1
    # A chamber that is opening again has begun another closure.
    first = int(np.argmax(closed))
    foreign[first:] = usable[first:] & (elapsed[first:] < 0.0)
    offset = np.where(closed, clock - elapsed, np.nan)
    known = offset[np.isfinite(offset)]
    if known.size:
        slack = _CLOCK_SLACK[0] + _CLOCK_SLACK[1] * np.abs(elapsed)
        foreign |= closed & (np.abs(offset - np.median(known[:7])) > slack)
    where = np.flatnonzero(closed | foreign)
    edges = np.flatnonzero(np.diff(foreign[where].astype(int), prepend=0, append=0))
    for a, b in edges.reshape(-1, 2).tolist():
        if b - a >= _TAKEOVER:
            return foreign, int(where[a])
    return foreign, -1


def _in_order(damage: set[str], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sort records by time since closing; leave out those that merely repeat."""
    steps = np.diff(values["elapsed"])
    if (steps < 0.0).any() or (np.diff(values["clock"]) < 0.0).any():
        damage.add("non_monotonic_time")
        order = np.argsort(values["elapsed"], kind="stable")
        values = {name: v[order] for name, v in values.items()}
        steps = np.diff(values["elapsed"])
    if (steps == 0.0).any():
        damage.add("duplicate_times")
        same = np.concatenate([[False], steps == 0.0])
        for v in values.values():
            same[1:] &= (v[1:] == v[:-1]) | (np.isnan(v[1:]) & np.isnan(v[:-1]))
        values = {name: v[~same] for name, v in values.items()}
    return values


def _closing_time(elapsed: np.ndarray, clock: np.ndarray) -> np.datetime64:
    """Return when the chamber closed, by the instrument's clock."""
    offset = (clock - elapsed)[elapsed >= 0.0]
    offset = offset[np.isfinite(offset)]
    if not offset.size:
        return np.datetime64("NaT", "ns")
    middle = np.median(offset)
    at_zero = clock[(elapsed == 0.0) & (np.abs(clock - middle) <= _CLOCK_SLACK[0])]
    return _stamp(at_zero[0] if at_zero.size else np.round(middle))


def _stamp(seconds: float) -> np.datetime64:
    return np.datetime64(int(seconds), "s").astype("datetime64[ns]")
