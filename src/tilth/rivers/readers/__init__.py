"""Readers of gauges, and of basins with their weather."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "read_camels_basin": "camels",
    "read_camels_attributes": "camels",
    "read_usgs_daily": "usgs",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
