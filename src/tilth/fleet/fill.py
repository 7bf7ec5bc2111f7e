"""Fill a data folder: with a simulated fleet, or with what another one holds.

Both go through the journal as messages do, so that what they leave is what a service
would have left; a simulated fleet has its truth beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilth.core.errors import InputError
from tilth.core.progress import progress
from tilth.fleet.batches import Batch, Event, Sample, encode_batch
from tilth.fleet.clock import DAY_MS
from tilth.fleet.database import read_only
from tilth.fleet.journal import Journal
from tilth.fleet.journal_messages import Message
from tilth.fleet.wire import MAX_RECORDS, topic_of

if TYPE_CHECKING:
    from tilth.fleet.simulate import FleetRecords

JOURNAL_FILE = "journal.sqlite"
TRUTH_FOLDER = "truth"

#: A simulated chamber sends a minute at a time: a quarter of the messages, ms.
BATCH_MS = 60_000

#: Messages in one transaction: a flush of the disk costs as much as a hundred of them.
_GROUP = 1000

_SOURCES = {0: "ntp", 1: "rtc"}
_VALUES = ("co2", "st", "rh", "at", "p", "lux", "mv", "state", "flags")


def new_folder(folder: str | os.PathLike[str]) -> Path:
    """Return a folder in which there is no fleet yet.

    Raises
    ------
    InputError
        If there is one.
    """
    path = Path(folder)
    if (path / JOURNAL_FILE).exists():
        raise InputError(f"{path} holds a fleet already: give another folder")
    return path


def fill_simulated(
    folder: str | os.PathLike[str],
    devices: int = 50,
    days: float = 7.0,
    faults: Any = None,
    *,
    start: str | int = "2026-07-06",
    seed: int = 0,
) -> FleetRecords:
    """Simulate a fleet into a data folder, fluxes and truth included.

    Parameters
    ----------
    folder : path
        Data folder; must not hold a fleet yet.
    devices, days, faults, start, seed
        See `tilth.fleet.simulate.simulate_fleet_records`.

    Returns
    -------
    FleetRecords
        The truth; its tables are in ``DIR/truth``: ``cycles.csv`` (true fluxes and
        what failed), ``episodes.csv``, ``devices.csv``.

    Raises
    ------
    InputError
        If the folder holds a fleet, or a setting makes no sense.
    """
    from tilth.fleet.simulate import (
        cycle_table,
        fleet_batches,
        simulate_fleet_records,
    )

    path = new_folder(folder)
    records = simulate_fleet_records(
        devices, days, faults, start=start, seed=seed, batch_ms=BATCH_MS
    )
    clock = _Hand(records.world.start)
    with Journal(path / JOURNAL_FILE, clock) as journal:
        arrivals = (
            Message(one.topic, one.payload, one.recv) for one in fleet_batches(records)
        )
        for group in _groups(arrivals):
            clock.time = group[-1].recv
            journal.commit(group)
            journal.take()
    truth = path / TRUTH_FOLDER
    truth.mkdir(exist_ok=True)
    cycle_table(records).to_csv(truth / "cycles.csv", index=False)
    records.episode_table().to_csv(truth / "episodes.csv", index=False)
    records.devices().to_csv(truth / "devices.csv", index=False)
    compute_fluxes(path)
    return records


def compute_fluxes(folder: str | os.PathLike[str]) -> int:
    """Compute every flux that is not there yet; return how many.

    Parameters
    ----------
    folder : path
        A data folder that no service runs on.
    """
    from tilth.fleet.live import LiveFluxes

    live = LiveFluxes(folder)
    count = 0
    try:
        total = live.search()
        with progress("computing fluxes", total) as work:
            while rows := live.work():
                count += len(rows)
                work.advance(len(rows))
    finally:
        live.stop()
    return count


def replay(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> dict[str, int]:
    """Send what a data folder holds through the protocol into another.

    What is there already is recognised, so it can be repeated, and folders can be
    merged. Messages in quarantine are tried again. Records whose time is unknown and
    the times of arrival are kept as they are.

    Parameters
    ----------
    source, target : path
        Data folders; no service may run on the target. It is made when absent.

    Returns
    -------
    dict of str to int
        ``messages`` sent, ``records`` that were new, ``duplicates``,
        ``quarantined``.

    Raises
    ------
    InputError
        If the source holds no fleet, or both are one folder.
    """
    source, target = Path(source), Path(target)
    if not (source / JOURNAL_FILE).is_file():
        raise InputError(f"{source} holds no {JOURNAL_FILE}: no fleet's data")
    if source.resolve() == target.resolve():
        raise InputError("source and target are the same folder")
    sent = 0
    clock = _Hand(0)
    with Journal(target / JOURNAL_FILE, clock) as journal:
        for group in _groups(_messages(source)):
            clock.time = max(clock.time, max(one.recv for one in group))
            journal.commit(group)
            journal.take()
            sent += len(group)
        tally = journal.tally
    return {
        "messages": sent,
        "records": tally.records,
        "duplicates": tally.duplicates,
        "quarantined": tally.quarantined,
    }


class _Hand:
    """A clock that is set by hand."""

    def __init__(self, time: int) -> None:
        self.time = time

    def __call__(self) -> int:
        return self.time


def _groups(messages: Iterable[Message]) -> Iterator[list[Message]]:
    them = iter(messages)
    while group := list(islice(them, _GROUP)):
        yield group


def _messages(source: Path) -> Iterator[Message]:
    """Yield batches of all records of a folder, then what is in quarantine."""
    from tilth.fleet.archive.query import Archive

    with Archive(source) as archive:
        with closing(read_only(source / JOURNAL_FILE)) as reader:
            low, high = reader.execute(
                "SELECT min(t_first), max(t_last) FROM spans"
            ).fetchone()
            names = [r[0] for r in reader.execute("SELECT name FROM devices")]
            kept = reader.execute(
                "SELECT topic, payload, recv FROM quarantine ORDER BY id"
            ).fetchall()
        days = [] if low is None else range(low // DAY_MS, high // DAY_MS + 1)
        with progress("replaying device-days", len(days) * len(names)) as work:
            for day in days:
                for name in names:
                    yield from _device_day(archive, name, day)
                    work.advance()
    for topic, payload, recv in kept:
        yield Message(topic, payload, recv)


def _device_day(archive: Any, device: str, day: int) -> Iterator[Message]:
    """Yield the records of one device and UTC day as batches."""
    span = (day * DAY_MS, (day + 1) * DAY_MS, [device])
    rows = [
        (row["boot"], row["seq"], row, None)
        for row in archive.records("samples", *span).to_pylist()
    ]
    rows += [
        (row["boot"], row["seq"], None, row)
        for row in archive.records("events", *span).to_pylist()
    ]
    rows.sort(key=lambda one: one[:2])
    run: list[Any] = []
    for one in rows:
        if run and not _goes_on(run, one):
            yield _batch(device, run)
            run = []
        run.append(one)
    if run:
        yield _batch(device, run)


def _goes_on(run: list[Any], one: Any) -> bool:
    """Tell whether a record can follow in the same batch."""
    last, first = run[-1], run[0]
    a, b = first[2] or first[3], one[2] or one[3]
    return (
        len(run) < MAX_RECORDS
        and one[0] == last[0]
        and one[1] == last[1] + 1
        and b["loc"] == a["loc"]
        and b["quality"] == a["quality"]
        and b["recv"] == a["recv"]
        and b["tick"] >= a["tick"]
    )


def _batch(device: str, run: list[Any]) -> Message:
    boot, seq, sample, event = run[0]
    head = sample or event
    samples, events = [], []
    for i, (_, _, row, happened) in enumerate(run):
        if row is not None:
            values = [row[name] for name in _VALUES]
            samples.append(Sample._make((i, row["tick"] - head["tick"], *values)))
        else:
            dt = happened["tick"] - head["tick"]
            body = json.loads(happened["body"])
            events.append(Event(i, dt, happened["kind"], body))
    source = _SOURCES.get(head["quality"], "none")
    batch = Batch(
        boot=boot,
        seq=seq,
        n=len(run),
        low=0,
        tick=head["tick"],
        utc=head["t"] if source != "none" else None,
        src=source,
        loc=head["loc"],
        fw="",
        queued=0,
        dropped=0,
        samples=samples,
        events=events,
    )
    return Message(topic_of(device, "d"), encode_batch(batch), head["recv"])
