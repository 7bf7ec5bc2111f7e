"""A drawn world: the climate, the fleet, its faults, and the noise of every day."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.simulate.fleet import Chamber, Sensor
from tilth.chambers.simulate.world import Soil
from tilth.core.errors import InputError
from tilth.fleet.channels import STATES
from tilth.fleet.simulate.climate import Climate, greenhouse
from tilth.fleet.simulate.forcing import Forcing
from tilth.fleet.simulate.layouts import NULL, STATE
from tilth.fleet.simulate.plan import (
    DAY_MS,
    Episode,
    FaultPlan,
    episode_table,
    read_plan,
    utc_ms,
)
from tilth.fleet.simulate.pots import Fleet, Garden, Mixing, draw_fleet

FAR = 1 << 62


@dataclass(frozen=True)
class FleetWorld:
    """Everything that is true before a simulation runs.

    Attributes
    ----------
    fleet : Fleet
        Devices, pots and sensors.
    climate : Climate
        The air of the house.
    episodes : tuple of Episode
        What fails when.
    start : int
        UTC ms.
    days : float
        Length.
    seed : int
        Of all draws.
    forcing : Forcing
        What drives each chamber.
    """

    fleet: Fleet
    climate: Climate
    episodes: tuple[Episode, ...]
    start: int
    days: float
    seed: int
    forcing: Forcing = field(repr=False)

    @property
    def end(self) -> int:
        """UTC ms of the end."""
        return self.start + int(self.days * DAY_MS)

    def episode_table(self) -> pd.DataFrame:
        """Return the faults that happen, by the names of the devices."""
        return episode_table(self.episodes, self.fleet.names)

    def first_state(self, device: int) -> np.ndarray:
        """Return a device in open air, about to be switched on: one `STATE` record.

        They are switched on by hand, one after the other, within ten seconds.
        """
        rng = np.random.default_rng([self.seed, 5, device])
        minute = self.forcing.minutes(device, self.start, self.start + 60_000)[0]
        state = np.zeros(1, STATE)
        s = state[0]
        s["t"] = self.start
        for name in ("co2", "seen", "pores", "reading"):
            s[name] = minute["ambient"]
        for name in ("vapour", "damp"):
            s[name] = minute["vapour"]
        for name in (
            "held_co2",
            "held_st",
            "held_rh",
            "first_reading",
            "milli",
            "pressure",
        ):
            s[name] = NULL
        s["beat"] = self.start + 2000.0 * rng.random()
        s["restart_at"] = self.start + 1 + int(rng.random() * 10_000)
        s["boot"] = int(rng.integers(1, 60))
        s["phase"] = STATES["boot"]
        s["until"] = s["sample"] = s["sync_at"] = FAR
        s["rate"] = 1.0
        s["t_base"] = float(self.start)
        s["cycle"] = s["last_slot"] = -1
        return state

    def noise(self, device: int, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the draws of one device and UTC day, however much of it is used.

        Returns
        -------
        beats : numpy.ndarray
            Normal, (beat of the CO2 sensor, 2).
        samples : numpy.ndarray
            Normal, (sample, 6).
        chance : numpy.ndarray
            Uniform, (sample,).
        """
        samples = DAY_MS // 3_000 + 16
        rows = int(DAY_MS / float(self.fleet.devices["beat"][device])) + 16
        key = [self.seed, 6, device, day]
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))
        return (
            rng.standard_normal((rows, 2), np.float32),
            rng.standard_normal((samples, 6), np.float32),
            rng.random(samples, np.float32),
        )

    def boot_nonce(self, device: int, number: int) -> int:
        """Return the nonce of the boot id, 32 bits."""
        name = self.fleet.names[device]
        return zlib.crc32(f"{self.seed} {name} {number}".encode())


def draw_world(
    devices: int,
    days: float,
    faults: Any = None,
    *,
    mode: str,
    start: str | int = "2026-07-06",
    seed: int = 0,
    garden: Garden | None = None,
    soil: Soil | None = None,
    chamber: Chamber | None = None,
    sensor: Sensor | None = None,
    mixing: Mixing | None = None,
) -> FleetWorld:
    """Draw a world; see `simulate_fleet_records` for the parameters.

    Parameters
    ----------
    mode : str
        "records" or "loop": which faults can be applied.

    Returns
    -------
    FleetWorld

    Raises
    ------
    InputError
        If a setting makes no sense.
    """
    if not 0 < days <= 3660:
        raise InputError(f"days must be above 0 and at most 3660, got {days}")
    begin = utc_ms(start, "start")
    if begin % 60_000:
        raise InputError(f"start must be a full minute, got {start!r}")
    mixing = mixing or Mixing()
    climate = greenhouse(begin, days, seed)
    fleet = draw_fleet(
        devices,
        climate,
        garden=garden,
        soil=soil,
        chamber=chamber,
        sensor=sensor,
        mixing=mixing,
        seed=seed,
    )
    plan: FaultPlan = read_plan(faults)
    episodes = plan.episodes(devices, begin, days, mode=mode)
    forcing = Forcing(climate, fleet, episodes, mixing.drift, seed)
    return FleetWorld(fleet, climate, episodes, begin, days, seed, forcing)
