"""A whole fleet on trial: the firmware in the loop, over the service, in virtual time.

The chambers run their own firmware on simulated hardware; broker, store, fluxes and
alarms are those of `tilth serve`. Nothing is short-circuited, so what the trial shows
of the data folder it leaves is what a real fleet would.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError
from tilth.core.progress import progress
from tilth.fleet.config import FleetConfig
from tilth.fleet.service import FleetService
from tilth.fleet.simulate.plan import utc_ms
from tilth.fleet.simulate.runner import FleetRun, FleetRunner, run_fleet

#: The firmware measures, reboots and answers as always, but sends a minute of records
#: at a time: in virtual time every message is a round trip that takes real time.
MEASUREMENT = {"batch_ms": 150_000}

#: First day of a trial; the firmware takes dates before its making for errors.
START = "2026-07-06"


@dataclass(frozen=True)
class Trial:
    """What a trial leaves.

    Attributes
    ----------
    folder : pathlib.Path
        The data folder, as a real fleet would leave it.
    run : FleetRun
        What the devices know, and the truth.
    """

    folder: Path
    run: FleetRun


def run_trial(
    folder: str | os.PathLike[str],
    devices: int = 10,
    days: float = 2.0,
    faults: Any = None,
    *,
    start: str = START,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    config: FleetConfig | None = None,
    on_hour: Callable[[FleetRunner, FleetService], None] | None = None,
    **world: Any,
) -> Trial:
    """Run chambers with their firmware through the service into a data folder.

    Parameters
    ----------
    folder : path
        Data folder; must not hold a fleet yet.
    devices : int
        Number of chambers.
    days : float
        Virtual days.
    faults : FaultPlan, mapping, path or str, optional
        What fails; nothing by default.
    start : str
        First moment, UTC.
    seed : int
        Same seed, same world.
    settings : mapping, optional
        Settings of the firmware beside `MEASUREMENT`.
    config : FleetConfig, optional
        Of the service; its port is replaced by a free one.
    on_hour : callable, optional
        Called after every virtual hour with the runner and the service.
    **world
        Further settings of `tilth.fleet.simulate.run_fleet`.

    Returns
    -------
    Trial

    Raises
    ------
    InputError
        If the folder holds a fleet, or a setting makes no sense.
    """
    folder = Path(folder)
    if (folder / "journal.sqlite").exists():
        raise InputError(f"{folder} holds a fleet already: give another folder")
    time = _VirtualTime(utc_ms(start, "start"))
    own = replace(config or FleetConfig(), broker="embedded", mqtt_port=0)
    # Fluxes are computed at the end, all at once: a minute instead of two.
    with FleetService(folder, own, time, watched=False) as service:

        def secrets(device: str) -> dict[str, Any]:
            given = service.credentials.enrol(device, by="trial")
            return {
                "mqtt_user": given.device,
                "mqtt_password": given.password,
                "command_key": given.command_key,
            }

        run = run_fleet(
            devices,
            days,
            faults,
            broker=("127.0.0.1", service.mqtt_port),
            credentials=secrets,
            settings={**MEASUREMENT, **(settings or {})},
            start=start,
            seed=seed,
            on_start=lambda runner: time.follow(runner.clock),
            on_hour=None if on_hour is None else lambda r: on_hour(r, service),
            **world,
        )
        _finish(service)
    return Trial(folder, run)


def _finish(service: FleetService) -> None:
    """Compute every flux of what has arrived."""
    service.ingest.close()
    with progress("computing fluxes", service.live.search()) as work:
        while rows := service.live.work():
            work.advance(len(rows))


class _VirtualTime:
    """A clock that stands still until there is one to follow."""

    def __init__(self, start: int) -> None:
        self._tell: Callable[[], int] = lambda: start

    def follow(self, tell: Callable[[], int]) -> None:
        """Tell another clock's time from now on."""
        self._tell = tell

    def __call__(self) -> int:
        return self._tell()
