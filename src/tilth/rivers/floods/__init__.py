"""Floods: how far, how deep, how often, and what the floodplain holds back.

From the stage of a routed network to flooded area and depth, down to the pixels of an
elevation model; from years of discharge to return levels and the frequency of events.
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "flood_extent": "extent",
    "fraction_deeper": "extent",
    "depth_exceeded": "extent",
    "downscale_depth": "downscaling",
    "annual_maxima": "extremes",
    "plotting_positions": "extremes",
    "return_levels": "extremes",
    "GEV": "gev",
    "fit_gev": "gev",
    "l_moments": "gev",
    "profile_interval": "gev",
    "event_frequency": "events",
    "poisson_interval": "events",
    "walled": "floodplains",
    "retention": "floodplains",
    "retention_by_period": "floodplains",
    "retention_curve": "floodplains",
    "on_grid": "maps",
    "plot_maps": "maps",
    "animate_flood": "animation",
    "write_animation": "animation",
    "plot_discharge": "plots",
    "plot_flow_duration": "plots",
    "plot_return_levels": "plots",
    "plot_retention": "plots",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
