"""Stomata: how leaves open, fitted to gas exchange, explained and put to the test."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "leaf_observations": "observations",
    "usable": "observations",
    "flag_counts": "observations",
    "read_gas_exchange": "readers.gas_exchange",
    "fit_medlyn": "fits",
    "fit_ball_berry": "fits",
    "fit_leuning": "fits",
    "StomatalFit": "fits",
    "surface_co2": "surface",
    "surface_humidity": "surface",
    "ball_berry_index": "surface",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
