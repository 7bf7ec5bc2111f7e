"""Reflected signals: from the signal-to-noise ratio to the height of the antenna."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "daily_heights": "daily",
    "signal_offsets": "bias",
    "remove_offsets": "bias",
    "fresnel_ellipse": "fresnel",
    "fresnel_zone": "fresnel",
    "fresnel_geojson": "fresnel",
    "write_geojson": "fresnel",
    "plot_arc": "plots",
    "plot_daily_heights": "plots",
    "plot_fresnel_map": "plots",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
