"""A continent made up for the study: nine basins, climates by latitude, land and soil.

The climates of a wet tropical to a snowy coast are pressed into some thirty degrees,
so that a small continent has them all. Weather comes in systems: cells of one region
have their wet days together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.regrid import Regridder, conservative_regions
from tilth.land.model import parameter_dataset
from tilth.land.model.settings import Settings
from tilth.land.simulate import simulated_weather
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.network.synthetic import catchment_labels, synthetic_network

#: Of every draw of the weather.
SEED = 20090501

#: Soil of four metres: its deep water settles within the years before the training.
SETTINGS = Settings(layers=(0.05, 0.20, 0.75, 1.0, 2.0))

#: Share of the pores with water at the beginning.
WETNESS = 0.85

#: From the warm to the cold coast: mean temperature K, its yearly range K, rain mm.
#: Humid all along, as the basins of the great rivers are: a third to a half runs off.
_CLIMATE = ((0.0, 298.0, 3.0, 2800.0), (0.5, 287.0, 14.0, 1700.0),
            (1.0, 275.0, 28.0, 1200.0))  # fmt: skip

#: What grows there: share of the way to the cold coast below which it does.
_CLASSES = ((0.4, "broadleaf_evergreen"), (0.7, "crop"), (1.01, "mixed_forest"))

#: Regions of one weather along latitude and longitude.
_SYSTEMS = (3, 3)

#: Standard deviation of the logarithm of a cell's rain about its climate's.
_ROUGHNESS = 0.15


@dataclass(frozen=True)
class Scale:
    """How large the study is.

    Parameters
    ----------
    catchments, network_seed : int
        Of the network; the seed is one whose nine basins are all of some size.
    resolution, cell : float
        Of the catchments and of the land's cells, degrees.
    step_minutes : int
        Of the weather and the process model.
    years : tuple of int
        First year of all; last before the training; last of the training; last of all.
    members : int
        Of the ensemble of fits.
    forms : tuple of str
        Variants of the emulator: the one in front first, others for comparison.
    """

    catchments: int
    network_seed: int
    resolution: float
    cell: float
    step_minutes: int
    years: tuple[int, int, int, int]
    members: int
    forms: tuple[str, ...]

    @property
    def training(self) -> tuple[int, int]:
        """First and last training year."""
        return self.years[1] + 1, self.years[2]

    @property
    def test(self) -> tuple[int, int]:
        """First and last held-out year."""
        return self.years[2] + 1, self.years[3]


#: The form of the emulator that stands in front.
MAIN = "implicit"

QUICK = Scale(200, 59, 1.5, 6.0, 180, (2001, 2001, 2005, 2006), 3, (MAIN,))
FULL = Scale(900, 11, 1.0, 3.0, 180, (2001, 2002, 2010, 2012), 10, (MAIN, "closed"))


@dataclass(frozen=True)
class World:
    """The continent.

    Parameters
    ----------
    network : RiverNetwork
        Nine basins.
    labels : xarray.DataArray
        Identifier of the catchment on the network's grid, for maps.
    regridder : Regridder
        From the land's grid to the catchments.
    forcing : xarray.Dataset
        Weather of the land's cells (time, cell).
    parameters : xarray.Dataset
        Of the process model.
    """

    network: RiverNetwork
    labels: xr.DataArray
    regridder: Regridder
    forcing: xr.Dataset
    parameters: xr.Dataset


def build_world(scale: Scale) -> World:
    """Return the continent with its weather.

    Parameters
    ----------
    scale : Scale
        How large.

    Returns
    -------
    World
    """
    network = synthetic_network(
        scale.catchments, basins=9, seed=scale.network_seed, resolution=scale.resolution
    )
    labels = catchment_labels(network)
    grid = _land_grid(labels, scale.cell)
    regridder = conservative_regions(grid, labels, network.ids)
    shared = np.asarray(regridder.weights.sum(axis=0)).reshape(grid["lat"].size, -1)
    row, column = np.nonzero(shared > 0.0)
    lat, lon = grid["lat"].values[row], grid["lon"].values[column]
    way = (lat - lat.min()) / max(float(np.ptp(lat)), 1e-9)
    forcing = _weather(scale, lat, lon, way)
    classes = [next(name for upper, name in _CLASSES if w < upper) for w in way]
    parameters = parameter_dataset(
        xr.DataArray(classes, dims="cell"),
        "silt loam",
        latitude=xr.DataArray(lat, dims="cell"),
        relief=60.0,
    )
    return World(network, labels, regridder, forcing, parameters)


def _land_grid(labels: xr.DataArray, cell: float) -> xr.Dataset:
    """Return a grid of the land's cells that covers all catchments, north first."""
    axes = {}
    for name in ("lat", "lon"):
        reach = float(np.abs(labels[name]).max()) + cell
        half = int(np.ceil(reach / cell))
        axes[name] = cell * (np.arange(-half, half) + 0.5)
    return xr.Dataset(coords={"lat": axes["lat"][::-1], "lon": axes["lon"]})


def _weather(
    scale: Scale, lat: np.ndarray, lon: np.ndarray, way: np.ndarray
) -> xr.Dataset:
    """Return the weather of cells, each with the climate of its latitude."""
    rough = np.random.default_rng(SEED).normal(0.0, _ROUGHNESS, lat.size)
    places = [
        np.minimum((n * (x - x.min()) / (np.ptp(x) + 1e-9)).astype(int), n - 1)
        for n, x in zip(_SYSTEMS, (lat, lon), strict=True)
    ]
    system = places[0] * _SYSTEMS[1] + places[1]
    stops = np.array(_CLIMATE)
    cells = []
    for k in range(lat.size):
        mean, seasonal, rain = (
            float(np.interp(way[k], stops[:, 0], stops[:, i])) for i in (1, 2, 3)
        )
        one = simulated_weather(
            (scale.years[0], scale.years[-1]),
            latitude=float(lat[k]),
            longitude=float(lon[k]),
            mean_temperature=mean,
            seasonal_range=seasonal,
            rain=rain * float(np.exp(rough[k])),
            step_minutes=scale.step_minutes,
            seed=SEED + int(system[k]),
        )
        cells.append(one.isel(cell=0))
    together = xr.concat(cells, "cell", combine_attrs="override", join="override")
    return together.transpose("time", "cell").assign_coords(cell=np.arange(lat.size))
