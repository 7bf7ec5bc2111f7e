"""Loading: how the elastic Earth bends under ice and water, and what that weighs."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "LoveNumbers": "love",
    "read_love_numbers": "love",
    "GreenFunctions": "green",
    "green_functions": "green",
    "point_response": "green",
    "cap_response": "green",
    "DiscResponse": "discs",
    "disc_response": "discs",
    "disc_sum": "discs",
    "Places": "geometry",
    "places": "geometry",
    "unit_vectors": "geometry",
    "station_places": "geometry",
    "PairTable": "points",
    "pair_table": "points",
    "sum_points": "points",
    "point_matrix": "points",
    "CapTable": "regions",
    "cap_table": "regions",
    "region_matrix": "regions",
    "grid_displacement": "grids",
    "grid_matrix": "grids",
    "balance_mass": "grids",
    "surface_density": "grids",
    "harmonic_displacement": "harmonics",
    "stokes_coefficients": "harmonics",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
