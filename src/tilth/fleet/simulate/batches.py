"""Simulated records as the batches a server would receive, in the order of arrival."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tilth.fleet.protocol import Batch, Event, Sample, encode_batch, topic_of
from tilth.fleet.simulate.layouts import (
    CHIPS,
    COMPENSATED,
    EVENT_KINDS,
    NULL,
    RETURNED,
    SENSOR_NEWS,
    WHYS,
)
from tilth.fleet.simulate.plan import DAY_MS
from tilth.fleet.simulate.records import DeviceDay, FleetRecords

#: Most records of a batch.
MOST = 200
#: Version the simulated devices claim to run.
FIRMWARE = "1.0.0"
_STATE_NAMES = (
    "boot", "config", "idle", "exercise", "closing", "closed", "extended", "opening",
    "flush", "ambient", "calibrate", "service", "fault", "reboot_pending",
)  # fmt: skip
_CHANNELS = ("co2", "st", "rh", "at", "p", "lux", "mv", "state", "flags")


class Arrival(NamedTuple):
    """One message that reaches the server.

    Attributes
    ----------
    recv : int
        UTC ms.
    topic : str
        Of the device.
    payload : bytes
        A batch.
    """

    recv: int
    topic: str
    payload: bytes


def event_body(event: Any, block: DeviceDay) -> dict[str, Any]:
    """Return the body of an event as the firmware writes it.

    Parameters
    ----------
    event : numpy.void
        A record of `EVENT`.
    block : DeviceDay
        The device and day it is of.
    """
    kind, why = EVENT_KINDS[event["kind"]], WHYS[event["why"]]
    cycle = None if event["cycle"] < 0 else int(event["cycle"])
    if kind == "state":
        return {"to": _STATE_NAMES[event["a"]], "cycle": cycle, "why": why}
    if kind == "boot":
        return {"reason": why, "fw": FIRMWARE, "hw": block.name, "slot": ""}
    if kind == "sync":
        source = "rtc" if event["b"] else "ntp"
        tick, utc = int(event["tick"]), int(event["a"])
        return {"tick": tick, "utc": utc, "src": source, "rtt": 0}
    if kind == "loc":
        return {
            "from": block.shown[1 - event["a"]],
            "to": block.shown[event["a"]],
            "source": "touch",
        }
    if kind == "sensor":
        body: dict[str, Any] = {"what": SENSOR_NEWS[event["b"]]}
        if event["b"] == COMPENSATED:
            return body | {"mbar": int(event["a"])}
        body["chip"] = CHIPS[event["a"]]
        return body | ({"n": int(event["c"])} if event["b"] == RETURNED else {})
    return {
        "cycle": cycle,
        "close": int(event["a"]),
        "open": int(event["b"]),
        "why": why,
        "rule": "raw",
        "mixed": False,
        "sweeps": 2,
        "loc": block.location,
        "change": _tenths(event["d"]),
        "first": _tenths(event["c"]),
        "extended": why in ("enough", "longest"),
    }


def fleet_batches(records: FleetRecords) -> Iterator[Arrival]:
    """Return everything the server of a simulated fleet receives, as it arrives.

    Batches come late, twice or in another order where the plan of faults says so.
    About 20 us for each batch of five samples; a day of the fleet is held in memory.

    Parameters
    ----------
    records : FleetRecords
        From `simulate_fleet_records`.

    Yields
    ------
    Arrival
        In the order of `recv`.
    """
    waiting: list[tuple[int, int, _Parcel]] = []
    number = 0
    day = None
    for block in records:
        if day is not None and block.day != day:
            yield from _until(waiting, block.day * DAY_MS)
        day = block.day
        for parcel in _parcels(block, records):
            number += 1
            heapq.heappush(waiting, (parcel.recv, number, parcel))
    yield from _until(waiting, 1 << 62)


class _Parcel:
    """A batch on its way."""

    __slots__ = ("block", "boot", "recv", "rows", "sent", "seq")

    def __init__(self, block, boot, rows, seq, sent, recv) -> None:
        self.block, self.boot, self.rows = block, boot, rows
        self.seq, self.sent, self.recv = seq, sent, recv


class _Rows:
    """All records of a block in the order of boot and number, as plain lists."""

    def __init__(self, block: DeviceDay) -> None:
        events, times, values = block.events, block.times, block.values
        boot = np.concatenate([values["boot"], events["boot"]])
        seq = np.concatenate([times["seq"], events["seq"]])
        self.order = np.lexsort((seq, boot))
        self.boot, self.seq = boot[self.order], seq[self.order]
        self.t = np.concatenate([times["t"], events["t"]])[self.order]
        tick = np.concatenate([times["tick"], events["tick"]])
        self.tick = tick[self.order].tolist()
        misplaced = np.concatenate(
            [values["misplaced"], np.full(len(events), -1, np.int32)]
        )[self.order]
        # An event is labelled as the samples around it.
        known = np.maximum.accumulate(np.where(misplaced >= 0, np.arange(len(seq)), 0))
        self.misplaced = np.maximum(misplaced[known], 0)
        self.samples = np.stack([values[name] for name in _CHANNELS], axis=1).tolist()


def _parcels(block: DeviceDay, records: FleetRecords) -> Iterator[_Parcel]:
    """Cut a block into batches and say when each arrives."""
    rows = _Rows(block)
    if not len(rows.seq):
        return
    sent, recv = records.delivery.journey(block.device, rows.t)
    cut = (
        (np.diff(rows.boot, prepend=rows.boot[0]) != 0)
        | (np.diff(recv, prepend=recv[0]) != 0)
        | (np.diff(rows.misplaced, prepend=rows.misplaced[0]) != 0)
        | (np.diff(rows.seq, prepend=rows.seq[0] - 1) != 1)
    )
    starts = np.union1d(np.flatnonzero(cut), [0])
    ends = np.append(starts[1:], len(rows.seq))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        for a in range(start, end, MOST):
            part = range(a, min(a + MOST, end))
            boot, seq = int(rows.boot[a]), int(rows.seq[a])
            when = records.delivery.arrivals(
                block.device, int(sent[a]), int(recv[a]), seq
            )
            for arrives in when:
                yield _Parcel(block, boot, (rows, part), seq, int(sent[a]), arrives)


def _until(waiting: list, t: int) -> Iterator[Arrival]:
    """Let arrive what arrives before a time."""
    while waiting and waiting[0][0] < t:
        parcel = heapq.heappop(waiting)[2]
        yield Arrival(parcel.recv, topic_of(parcel.block.name, "d"), _payload(parcel))


def _payload(parcel: _Parcel) -> bytes:
    block, (rows, part) = parcel.block, parcel.rows
    first = part[0]
    base = rows.tick[first]
    samples, events = [], []
    count = len(block.times["seq"])
    for i, at in enumerate(part):
        source = int(rows.order[at])
        dt = rows.tick[at] - base
        if source < count:
            row = [None if v == NULL else v for v in rows.samples[source]]
            samples.append(Sample._make((i, dt, *row)))
        else:
            event = block.events[source - count]
            body = event_body(event, block)
            events.append(Event(i, dt, EVENT_KINDS[event["kind"]], body))
    batch = Batch(
        boot=block.boots[parcel.boot],
        seq=parcel.seq,
        n=len(part),
        # The device deletes nothing before it is acknowledged; nothing is, here.
        low=0,
        tick=base,
        utc=int(rows.t[first]),
        src="ntp",
        loc=block.shown[int(rows.misplaced[first])],
        fw=FIRMWARE,
        queued=len(part),
        dropped=0,
        samples=samples,
        events=events,
    )
    return encode_batch(batch)


def _tenths(value: Any) -> int | None:
    """Return thousandths of a ppm as tenths."""
    return None if value == NULL else (int(value) + 50) // 100
