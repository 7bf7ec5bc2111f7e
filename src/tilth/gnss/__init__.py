"""GNSS: what reflected signals and positions tell of ground, snow, ice and water."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "read_snr": "reflectometry.snr_files",
    "reflector_heights": "reflectometry.heights",
    "station_heights": "reflectometry.station",
    "daily_heights": "reflectometry.daily",
    "rinex_to_snr": "rinex.snr",
    "snow_depth": "surface.snow",
    "soil_moisture": "surface.moisture",
    "water_level": "surface.water",
    "fit_thaw": "surface.thaw",
    "read_positions": "positions.readers",
    "fit_positions": "positions.fit",
    "midas_velocity": "positions.year_slopes",
    "separate_positions": "positions.transients",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
