"""River networks: one object, brought in from maps and tables or built from terrain."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "RiverNetwork": "model",
    "MOUTH": "model",
    "INLAND": "model",
    "build_network": "build",
    "BuiltNetwork": "build",
    "read_raster": "build",
    "read_cama_map": "cama",
    "clipped_terminals": "cama",
    "read_bifurcations": "cama_paths",
    "read_input_matrix": "input_matrix",
    "InputMatrix": "input_matrix",
    "runoff_to_catchments": "input_matrix",
    "read_cama_output": "cama_runs",
    "read_cama_restart": "cama_runs",
    "read_sea_level": "cama_sea_level",
    "read_sea_level_stations": "cama_sea_level",
    "read_rapid_network": "rapid",
    "read_rapid_flow": "rapid",
    "read_nhd_routelink": "reaches",
    "reach_network": "reaches",
    "synthetic_network": "synthetic",
    "catchment_labels": "synthetic",
    "synthetic_terrain": "synthetic_relief",
    "made_up_runoff": "synthetic_runoff",
    "channel_width": "channels",
    "channel_depth": "channels",
    "floodplain_profile": "floodplain",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
