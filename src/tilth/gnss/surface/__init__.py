"""Snow, soil water, lakes and thawing ground, by the height of the antenna."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "read_daily_heights": "records",
    "read_daily_phases": "records",
    "snow_depth": "snow",
    "snow_depth_of_arcs": "snow",
    "azimuth_bins": "snow",
    "Tracks": "phases",
    "read_tracks": "phases",
    "track_heights": "phases",
    "fit_phase": "phases",
    "arc_phases": "phases",
    "daily_phases": "moisture",
    "soil_moisture": "moisture",
    "vegetation_phase": "moisture",
    "water_level": "water",
    "degree_days": "seasons",
    "surface_change": "elevation",
    "annual_trend": "elevation",
    "fit_thaw": "thaw",
    "ThawFit": "thaw",
    "ThawSite": "simulated",
    "simulated_thaw": "simulated",
    "simulated_air": "simulated",
    "simulated_tide": "simulated",
    "plot_thaw": "plots",
    "plot_record": "plots",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
