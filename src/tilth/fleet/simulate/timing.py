"""The timing of the chamber's cycle, as the firmware is set."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from tilth.fleet.simulate.layouts import TIMING


@dataclass(frozen=True)
class CycleTiming:
    """Settings of the firmware's cycle, ms unless said otherwise.

    Attributes
    ----------
    sample : int
        From sample to sample.
    period : int
        From cycle to cycle, each begun at the sample next to a multiple since 1970.
    leg : int
        One way of the servo; four of them are the two sweeps of a cycle.
    closed, extend : int
        Normal time closed, and the most that is added while little CO2 has gathered.
    enough : int
        Change that is enough, 0.1 ppm.
    flush : int
        Fan at full speed after opening.
    rest, late : int
        Open air before the next cycle at least; latest begin of a cycle.
    reboot, jitter : int
        From start to planned restart, and the most a device waits beyond it.
    reboot_within : int
        A planned restart comes so early in the open time, or in a later one.
    restart : int
        From reset to tick zero.
    first : int
        Tick of the first sample at the earliest.
    sync, resync : int
        From start to the first answer of the time server, and from then to the next.
    weak, weak_rest : int
        Brown-outs in a row from which the servo gets a rest, and its length; it
        doubles with each further one.
    low_supply : int
        mV below which a sample is marked.
    """

    sample: int = 3_000
    period: int = 600_000
    leg: int = 1_500
    closed: int = 180_000
    extend: int = 120_000
    enough: int = 50
    flush: int = 60_000
    rest: int = 30_000
    late: int = 30_000
    reboot: int = 21_600_000
    jitter: int = 600_000
    reboot_within: int = 60_000
    restart: int = 2_000
    first: int = 2_000
    sync: int = 3_500
    resync: int = 3_600_000
    weak: int = 3
    weak_rest: int = 60_000
    low_supply: int = 4_600

    def record(self, device: str) -> np.ndarray:
        """Return an array of one `TIMING` record, with the jitter of this device."""
        row = np.zeros(1, TIMING)
        for name in TIMING.names or ():
            row[name] = getattr(self, name)
        row["jitter"] = zlib.crc32(device.encode()) % max(self.jitter, 1)
        return row
