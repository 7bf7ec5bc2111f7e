"""Readers of land models' output and of the weather they were given."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "read_land_model": "output",
    "read_forcing": "output",
    "ModelOutput": "output",
    "MODELS": "models",
    "column_map": "models",
    "ColumnMap": "columns",
    "Column": "columns",
    "parse_map": "columns",
    "read_map": "columns",
    "read_vic_forcing": "vic",
    "read_bondville": "bondville",
    "read_noahmp": "noahmp",
    "read_tower": "fluxnet",
    "read_daily_reanalysis": "fluxnet",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
