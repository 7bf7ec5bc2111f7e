"""The land process model: energy, water and carbon of a column, with gradients.

Built on the published equations of MATSIRO (Takata et al. 2003, Nitta et al. 2020).
Each process is a module of pure functions; ``step`` joins them, `run` steps through
weather.

>>> from tilth.land.model import parameter_dataset
>>> site = parameter_dataset("crop", "silty clay loam", latitude=40.0)
>>> float(site["leaf_area"].max())
3.0
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    # Runs
    "run": "runs",
    "final_state": "runs",
    "advance": "runs",
    "Settings": "settings",
    "check_forcing": "forcing",
    # Parameters
    "parameter_dataset": "parameters",
    "LandParameters": "parameters",
    "land_class": "land_classes",
    # State
    "State": "state",
    "initial_state": "state",
    "save_state": "state",
    "open_state": "state",
    # One step
    "Fluxes": "step",
    "Weather": "forcing",
    "Ledger": "ledger",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
