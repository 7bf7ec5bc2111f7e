"""Routing of runoff down a river network: compiled for runs, in JAX for gradients."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "route": "runs",
    "Router": "router",
    "Settings": "settings",
    "final_state": "state",
    "save_state": "state",
    "open_state": "state",
    "filled_channels": "state",
    "Reservoirs": "reservoirs",
    "Levees": "levees",
    "route_muskingum": "muskingum",
    "geometry_of": "geometry",
    "empty_state": "arrays",
    "simulate": "equations",
    "substeps_of": "equations",
    "reshaped": "equations_shape",
    "simulate_muskingum": "muskingum_equations",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
