"""A simulated fleet of robotic chambers whose truth is known, sample by sample.

Two ways to run it: `simulate_fleet_records` computes what every chamber records (fast:
months in seconds); `run_fleet` runs the chambers' own firmware in virtual time over a
real broker (true: every byte is the firmware's). Both take the same plan of faults.
For closures alone, without records, there is `tilth.chambers.simulate_fleet`.
"""

from importlib import import_module
from typing import Any

#: What -> the module that holds it.
_CONTENTS = {
    "simulate_fleet_records": "records",
    "FleetRecords": "records",
    "DeviceDay": "records",
    "cycle_table": "records",
    "fleet_batches": "batches",
    "write_archive": "writing",
    "draw_world": "world",
    "run_fleet": "runner",
    "FleetRunner": "runner",
    "FleetRun": "ledgers",
    "Endpoint": "endpoint",
    "FaultPlan": "plan",
    "Episode": "plan",
    "read_plan": "plan",
    "episode_table": "plan",
    "FAULT_KINDS": "faults",
    "FAULT_BITS": "faults",
    "fault_names": "faults",
    "Garden": "pots",
    "Mixing": "pots",
    "CycleTiming": "timing",
    "NULL": "layouts",
}

__all__ = sorted(_CONTENTS)


def __getattr__(name: str) -> Any:
    if name in _CONTENTS:
        return getattr(import_module(f"{__name__}.{_CONTENTS[name]}"), name)
    raise AttributeError(
        f"{__name__} has no {name!r}; it has {', '.join(sorted(_CONTENTS))}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
