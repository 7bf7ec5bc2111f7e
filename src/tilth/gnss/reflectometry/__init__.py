"""Reflected signals: from the signal-to-noise ratio to the height of the antenna."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "SIGNALS": "signals",
    "Signal": "signals",
    "signal_of": "signals",
    "satellite_name": "signals",
    "satellite_number": "signals",
    "sends": "signals",
    "wavelength": "signals",
    "snr_day": "snr_days",
    "read_snr": "snr_files",
    "write_snr": "snr_files",
    "read_day": "day_cache",
    "write_day": "day_cache",
    "Air": "refraction",
    "Climate": "refraction",
    "Refraction": "refraction",
    "Settings": "settings",
    "read_settings": "settings",
    "Arcs": "arcs",
    "cut_arcs": "arcs",
    "amplitude_spectrum": "periodogram",
    "QUALITY": "quality",
    "WARNINGS": "quality",
    "reflector_heights": "heights",
    "accepted": "heights",
    "station_heights": "station",
    "read_results": "results_files",
    "write_results": "results_files",
    "write_arcs": "results_files",
    "signal_offsets": "bias",
    "remove_offsets": "bias",
    "daily_heights": "daily",
    "fresnel_ellipse": "fresnel",
    "fresnel_zone": "fresnel",
    "fresnel_geojson": "fresnel",
    "write_geojson": "fresnel",
    "plot_arc": "plots",
    "plot_daily_heights": "plots",
    "plot_fresnel_map": "plots",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
