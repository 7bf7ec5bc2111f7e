"""Values of one grid on another, on regions or at points: sparse weights, built once.

`conservative` keeps integrals (rain, fluxes), `bilinear` is smooth (temperature),
`nearest` and `inverse_distance` also take grids whose rows follow no parallel.
"""

from tilth.core.regrid_cells import EARTH_RADIUS
from tilth.core.regrid_conservative import conservative, conservative_regions
from tilth.core.regrid_distance import inverse_distance, nearest
from tilth.core.regrid_interpolation import bilinear
from tilth.core.regrid_weights import Places, Regridder

__all__ = [
    "EARTH_RADIUS",
    "Places",
    "Regridder",
    "bilinear",
    "conservative",
    "conservative_regions",
    "inverse_distance",
    "nearest",
]
