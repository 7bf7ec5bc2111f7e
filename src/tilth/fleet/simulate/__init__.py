"""A simulated fleet of robotic chambers whose truth is known, sample by sample.

Two ways to run it: `simulate_fleet_records` computes what every chamber records (fast:
months in seconds); `run_fleet` runs the chambers' own firmware in virtual time over a
real broker (true: every byte is the firmware's). Both take the same plan of faults.
For closures alone, without records, there is `tilth.chambers.simulate_fleet`.
"""

from tilth.core.lazy import table_of_contents

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

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
