"""What the devices of a run know: generated, deleted, dropped, for every boot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tilth.fleet.simulate.twin import ChamberTwin
from tilth.fleet.simulate.world import FleetWorld


@dataclass
class BootLedger:
    """What a device knows of one of its boots.

    Attributes
    ----------
    generated : int
        Records given a number: 0 to ``generated - 1``.
    deleted : int
        Highest number it has deleted because the server said so; -1: none.
    dropped : list of (int, int)
        Ranges it gave up and reported.
    rows : dict of int to tuple
        With `keep_records`: number to (tick, values) of each sample.
    """

    generated: int = 0
    deleted: int = -1
    dropped: list[tuple[int, int]] = field(default_factory=list)
    rows: dict[int, tuple[int, tuple]] = field(default_factory=dict)


class Device:
    """One chamber under way: its twin, its firmware, its ledger.

    Attributes
    ----------
    twin : ChamberTwin
        The hardware.
    app : object or None
        The firmware's application; None while the chip is off.
    boots : dict of str to BootLedger
        By boot id.
    resets : list of (int, str)
        True time and cause of every start.
    steps : int
        How often the firmware was woken.
    clone : bool
        Whether this is the second device of an address.
    """

    def __init__(self, twin: ChamberTwin, number: int, clone: bool = False) -> None:
        self.twin = twin
        self.number = number
        self.app: Any = None
        self.boots: dict[str, BootLedger] = {}
        self.resets: list[tuple[int, str]] = []
        self.steps = 0
        self.clone = clone
        self.at = twin.starts_at
        self.version = 0
        self.cause = "power"
        self.stopped = False

    def note(self) -> None:
        """Write down how far the present boot has come."""
        if self.app is not None:
            self.boots[self.app.queue.boot].generated = self.app.queue.next

    def pending(self) -> int:
        """Return how many records wait on the device."""
        return 0 if self.app is None else self.app.queue.depth()


@dataclass(frozen=True)
class FleetRun:
    """What a run of firmware in the loop has done.

    Attributes
    ----------
    world : FleetWorld
        What was true, the faults among it.
    devices : list of Device
        The chambers, with their ledgers.
    virtual_ms : int
        Time simulated.
    wall_s : float
        Time it took.
    waited_s : float
        Of it, spent waiting for the broker and the server.
    """

    world: FleetWorld
    devices: list[Device]
    virtual_ms: int
    wall_s: float
    waited_s: float

    @property
    def speed(self) -> float:
        """Device time simulated in one unit of real time, 1."""
        total = len(self.devices) * self.virtual_ms / 1000.0
        return total / max(self.wall_s, 1e-9)

    def ledger(self) -> pd.DataFrame:
        """Return one row per device and boot: what was generated, deleted, dropped.

        Columns ``device``, ``boot``, ``clone``, ``generated``, ``deleted`` (records
        0 to this number), ``dropped`` (records).
        """
        rows = [
            {
                "device": device.twin.name,
                "boot": boot,
                "clone": device.clone,
                "generated": known.generated,
                "deleted": known.deleted,
                "dropped": sum(last - first + 1 for first, last in known.dropped),
            }
            for device in self.devices
            for boot, known in device.boots.items()
        ]
        return pd.DataFrame(rows)
