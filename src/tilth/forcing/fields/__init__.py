"""Fields of the weather made whole: elevation, consistency, hours, forcing sets."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "build_forcing": "forcing_set",
    "adjust_days": "forcing_set",
    "default_method": "forcing_set",
    "to_alma": "alma",
    "to_hours": "disaggregation",
    "RainCascade": "rain_cascade",
    "fit_cascade": "rain_cascade",
    "RainAnalogs": "rain_analogs",
    "observed_courses": "rain_analogs",
    "make_consistent": "consistency",
    "changes_made": "consistency",
    "saturation": "consistency",
    "move_to_elevation": "elevation",
    "pressure_after_rise": "elevation",
    "surface_pressure": "elevation",
    "top_of_atmosphere": "sunlight",
    "check_stations": "quality",
    "flag_table": "quality",
    "flag_counts": "quality",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
