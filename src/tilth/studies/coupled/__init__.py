"""The land simulator whole: a land model or its emulator, and the rivers it feeds.

>>> from tilth.studies.coupled import LandSimulator, ProcessFront
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "LandSimulator": "simulator",
    "ProcessFront": "fronts",
    "EmulatorFront": "fronts",
    "LandFront": "fronts",
    "Exchange": "exchange",
    "run_members": "members",
    "final_state": "state",
    "save_state": "state",
    "open_state": "state",
    "ledger_table": "ledger",
    "open_water_evaporation": "open_water",
    "flood_share": "open_water",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
