"""The timing of the chamber's cycle, as the firmware is set."""

from __future__ import annotations

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
        From cycle to cycle, aligned to UTC.
    exercise, closing, opening, flush : int
        How long the lid is swept, moves to close, moves to open, and the fan then
        runs at full speed.
    closed, extend : int
        Normal time closed, and the most that is added while little CO2 has gathered.
    enough : int
        Change that is enough, 0.1 ppm.
    reboot : int
        From start to planned restart.
    restart : int
        From reset to tick zero.
    first : int
        Tick of the first sample.
    low_supply : int
        mV below which a sample is marked.
    """

    sample: int = 3_000
    period: int = 600_000
    exercise: int = 6_000
    closing: int = 1_500
    closed: int = 180_000
    extend: int = 120_000
    enough: int = 50
    opening: int = 1_500
    flush: int = 60_000
    reboot: int = 21_600_000
    restart: int = 2_000
    first: int = 0
    low_supply: int = 4_500

    def record(self, device: str) -> np.ndarray:
        """Return an array of one `TIMING` record, with the jitter of this device."""
        row = np.zeros(1, TIMING)
        for name in TIMING.names or ():
            row[name] = (
                reboot_jitter(device) if name == "jitter" else getattr(self, name)
            )
        return row


def reboot_jitter(device: str) -> int:
    """Return how much later than others this device restarts, ms."""
    import zlib

    return zlib.crc32(device.encode()) % 600 * 1000
