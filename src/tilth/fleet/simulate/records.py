"""The vectorised simulator: months of a fleet's records in seconds, with the truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.simulate.fleet import Chamber, Sensor
from tilth.chambers.simulate.world import Soil
from tilth.core.progress import progress
from tilth.fleet.simulate.delivery import Delivery
from tilth.fleet.simulate.layouts import CYCLE, EVENT, TIMES, VALUES, WHYS
from tilth.fleet.simulate.plan import DAY_MS, Episode
from tilth.fleet.simulate.pots import Fleet, Garden, Mixing, mistyped
from tilth.fleet.simulate.timing import CycleTiming
from tilth.fleet.simulate.world import FleetWorld, draw_world

#: Threads that run chambers; the kernel releases the interpreter's lock.
WORKERS = 2


@dataclass(frozen=True)
class DeviceDay:
    """Everything one device did on one UTC day.

    Attributes
    ----------
    device : int
        Number in the fleet.
    name, location : str
        Device name and the location code of the pot it truly stands on.
    day : int
        UTC day number since 1970.
    values : dict of str to numpy.ndarray
        int32 columns of the samples, as on the wire: ``co2`` (0.1 ppm), ``st``,
        ``rh``, ``at`` (0.01), ``p`` (Pa), ``lux``, ``mv``, ``state``, ``flags``,
        ``boot`` (number in `boots`) and ``misplaced`` (1: the device shows a wrong
        location code). `NULL` where nothing was measured.
    times : dict of str to numpy.ndarray
        int64 columns: ``t`` (true UTC ms), ``tick`` (ms since boot), ``seq`` and
        ``recv`` (UTC ms at which the server would have it).
    events : numpy.ndarray
        `EVENT` records: the other records of the device.
    cycles : numpy.ndarray
        `CYCLE` records: the truth about every closing that ended on this day.
    boots : dict of int to str
        Boot number to boot id.
    """

    device: int
    name: str
    location: str
    day: int
    values: dict[str, np.ndarray]
    times: dict[str, np.ndarray]
    events: np.ndarray
    cycles: np.ndarray
    boots: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times["t"])

    @property
    def shown(self) -> tuple[str, str]:
        """The location code the device shows: the right one, and a mistyped one."""
        return self.location, mistyped(self.location)

    def cycle_table(self) -> pd.DataFrame:
        """Return the truth about the closings with names instead of codes."""
        return cycle_table([self])


@dataclass(frozen=True)
class FleetRecords:
    """A simulated fleet: iterate it for its `DeviceDay` blocks.

    Every iteration runs the simulation anew and gives the same numbers.

    Attributes
    ----------
    world : FleetWorld
        What is true: devices, climate, faults, seed.
    timing : CycleTiming
        Settings of the firmware.
    delivery : Delivery
        When records reach the server.
    """

    world: FleetWorld
    timing: CycleTiming
    delivery: Delivery = field(repr=False)

    @property
    def fleet(self) -> Fleet:
        """Devices, pots and sensors."""
        return self.world.fleet

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """What failed when."""
        return self.world.episodes

    def devices(self) -> pd.DataFrame:
        """Return the truth about every device."""
        return self.fleet.table()

    def episode_table(self) -> pd.DataFrame:
        """Return the faults that happened."""
        return self.world.episode_table()

    def __iter__(self) -> Iterator[DeviceDay]:
        carried = [_Carried(self, i) for i in range(len(self.fleet.names))]
        last = self.world.end
        # The first block ends at midnight UTC, wherever it begins.
        edges = range(self.world.start // DAY_MS * DAY_MS, last, DAY_MS)
        spans = [(max(e, self.world.start), min(e + DAY_MS, last)) for e in edges]
        total = len(carried) * len(spans)
        with (
            ThreadPoolExecutor(WORKERS) as pool,
            progress("simulating device days", total) as work,
        ):
            waiting: deque[Future[DeviceDay]] = deque()
            try:
                for begin, end in spans:
                    for one in carried:
                        # A device's day needs its day before: the queue is shorter
                        # than the fleet only where the fleet is that small.
                        if one.running is not None:
                            one.running.result()
                        one.running = pool.submit(one.run, begin, end)
                        waiting.append(one.running)
                        if len(waiting) > 4 * WORKERS:
                            yield waiting.popleft().result()
                            work.advance()
                while waiting:
                    yield waiting.popleft().result()
                    work.advance()
            finally:
                for future in waiting:
                    future.cancel()


def simulate_fleet_records(
    devices: int = 85,
    days: float = 30.0,
    faults: Any = None,
    *,
    start: str | int = "2026-07-06",
    seed: int = 0,
    garden: Garden | None = None,
    soil: Soil | None = None,
    chamber: Chamber | None = None,
    sensor: Sensor | None = None,
    mixing: Mixing | None = None,
    timing: CycleTiming | None = None,
    batch_ms: int = 15_000,
) -> FleetRecords:
    """Simulate what every chamber of a fleet records, sample by sample.

    The records a server would hold: all channels every three seconds around the
    clock, states, events, boots, times of arrival, with the truth beside them. For
    closures alone (an analysis of fluxes, thousands of pots) use
    `tilth.chambers.simulate_fleet`: it draws closures, not records. To run the real
    firmware over a real broker use `run_fleet`.

    Parameters
    ----------
    devices : int
        Number of chambers.
    days : float
        Length of the record.
    faults : FaultPlan, mapping, path or str, optional
        What fails; see `read_plan`. Nothing by default.
    start : str or int
        First moment, UTC, on a full minute; a day is a UTC day from here on.
    seed : int
        Same seed, same fleet. The plan of faults has its own.
    garden, soil, chamber, sensor, mixing, timing
        Settings; defaults where left out.
    batch_ms : int
        How often devices send, which is how late their records arrive.

    Returns
    -------
    FleetRecords
        Iterate over it for `DeviceDay` blocks, day by day and device by device;
        memory stays that of a few blocks.

    Raises
    ------
    InputError
        If a setting makes no sense.

    Examples
    --------
    >>> records = simulate_fleet_records(2, 0.25, seed=1)
    >>> block = next(iter(records))
    >>> 7190 < len(block) <= 7200, int(block.values["co2"][100]) > 3000
    (True, True)
    """
    world = draw_world(
        devices,
        days,
        faults,
        mode="records",
        start=start,
        seed=seed,
        garden=garden,
        soil=soil,
        chamber=chamber,
        sensor=sensor,
        mixing=mixing,
    )
    delivery = Delivery(world.episodes, devices, seed, batch_ms)
    return FleetRecords(world, timing or CycleTiming(), delivery)


def cycle_table(blocks) -> pd.DataFrame:
    """Return the truth about all closings of some blocks as one table.

    Parameters
    ----------
    blocks : iterable of DeviceDay
        From a `FleetRecords`.

    Returns
    -------
    pandas.DataFrame
        One row per closing: ``device``, ``location``, ``boot`` (id), ``cycle``,
        ``close`` and ``open`` (UTC ms), ``close_tick``, ``open_tick``, ``why``
        (empty where a restart cut it short), ``flux`` and ``soil_flux``
        (umol m-2 s-1), ``k`` (s-1), ``moles`` (mol m-2), ``co2``, ``ambient`` (ppm),
        ``light`` (lux), ``shut``, ``opened`` (whether the lid did it), ``faults`` and
        ``touched`` (bits of `FAULT_BITS`: at closing, and until the end of the flush).
    """
    parts = []
    for block in blocks:
        rows = {name: block.cycles[name] for name in CYCLE.names or ()}
        rows["why"] = np.array(WHYS, object)[rows["why"]]
        boots = rows.pop("boot")
        rows["boot"] = np.array([block.boots[int(b)] for b in boots], object)
        rows["shut"], rows["opened"] = rows["shut"] == 1, rows["opened"] == 1
        named = {"device": block.name, "location": block.location}
        parts.append(pd.DataFrame(named | rows, index=range(len(boots))))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


class _Carried:
    """One device from day to day."""

    def __init__(self, records: FleetRecords, device: int) -> None:
        self.records, self.device = records, device
        self.running: Future[DeviceDay] | None = None
        self.boots: dict[int, str] = {}
        self.state = records.world.first_state(device)
        self.pending = np.zeros(1, CYCLE)
        self.timing = records.timing.record(records.fleet.names[device])

    def run(self, begin: int, end: int) -> DeviceDay:
        """Run from `begin` to `end`."""
        from tilth.fleet.simulate.kernel import run_day

        records, device, world = self.records, self.device, self.records.world
        length = end - begin
        samples = length // records.timing.sample + 16
        values = np.empty((len(VALUES), samples), np.int32)
        times = np.empty((len(TIMES), samples), np.int64)
        # Restarts in a row are the most events there can be: three in five seconds.
        events = np.empty(length // 1000 + 64, EVENT)
        cycles = np.empty(length // 5000 + 16, CYCLE)
        boots = np.empty((length // 4000 + 16, 3), np.int64)
        n, n_event, n_cycle, n_boot = run_day(
            begin,
            end,
            world.fleet.devices[device : device + 1],
            self.state,
            world.forcing.minutes(device, begin, end),
            self.timing,
            *world.noise(device, begin // DAY_MS),
            values,
            times,
            events,
            cycles,
            self.pending,
            boots,
        )
        for _, _, number in boots[:n_boot].tolist():
            nonce = world.boot_nonce(device, number)
            self.boots[number] = f"{number:x}-{nonce:08x}"
        columns = {name: times[i, :n] for i, name in enumerate(TIMES)}
        columns["recv"] = records.delivery.received(device, columns["t"])
        return DeviceDay(
            device,
            world.fleet.names[device],
            world.fleet.places[device],
            begin // DAY_MS,
            {name: values[i, :n] for i, name in enumerate(VALUES)},
            columns,
            events[:n_event].copy(),
            cycles[:n_cycle].copy(),
            dict(self.boots),
        )
