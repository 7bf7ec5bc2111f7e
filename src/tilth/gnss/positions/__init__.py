"""Positions of stations: trajectories, noise, velocities and transients."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "read_positions": "readers",
    "read_steps": "readers.steps",
    "position_series": "series",
    "usable": "series",
    "decimal_year": "series",
    "COMPONENTS": "series",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
