r"""A made-up outlet glacier whose every gigatonne is known.

An ice sheet's margin in the Arctic: a trunk that thins by metres a year where it meets
the sea, less upstream, and hardly at all inland; a smaller neighbour; stations on the
rock along the coast; two satellites' lines of sight on the rock; sums over basins as
from satellite gravity; and rebound after the ice age, known only by models that differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from tilth.core.regrid_cells import latlon_grid
from tilth.loading.green import GreenFunctions
from tilth.loading.love import LoveNumbers
from tilth.loading.sources import cell_sources

#: Mouth of the trunk, degrees.
MOUTH = (69.17, -49.8)

#: kg m-2 of a metre of ice.
ICE = 917.0


def made_up_earth() -> LoveNumbers:
    """Return Love numbers of no Earth, near enough to PREM's to be plausible.

    Returns
    -------
    LoveNumbers
        To degree 4000, in the frame CE. From 1 to 100 km from a load the ground moves
        as on PREM to within a tenth or two: for where no table is at hand and nothing
        real is weighed.
    """
    n = np.arange(4001.0)
    one = np.maximum(n, 1.0)
    return LoveNumbers(
        -0.7 - 2.1 * n / (n + 20.0) - 4.4 * n / (n + 640.0),
        np.where(n > 0, (0.85 * n / (n + 11.0) + 1.7 * n / (n + 1400.0)) / one, 0.0),
        np.where(n > 1, -(0.5 + n / (n + 20.0) + 1.9 * n / (n + 1500.0)) / one, 0.0),
        frame="CE",
        source="made up",
    )


class Margin(NamedTuple):
    """The made-up margin.

    Parameters
    ----------
    thickening : xarray.DataArray
        Rate of mass per area, kg m-2 yr-1, negative where ice is lost, on cells.
    basin : xarray.DataArray
        0 for the trunk's cells, 1 for its neighbour's, -1 where there is no ice.
    stations : xarray.Dataset
        ``lat`` and ``lon`` along ``station``, on rock.
    pixels : xarray.Dataset
        ``lat``, ``lon`` and ``los_east``, ``los_north``, ``los_up`` along ``pixel``.
    gia : xarray.Dataset
        Rates of rebound of each ``member``, ``east``, ``north``, ``up`` (m yr-1), at
        the stations; the first is the true one.
    gia_pixels : xarray.Dataset
        The same at the pixels.
    """

    thickening: xr.DataArray
    basin: xr.DataArray
    stations: xr.Dataset
    pixels: xr.Dataset
    gia: xr.Dataset
    gia_pixels: xr.Dataset

    @property
    def true_mass(self) -> np.ndarray:
        """Rate of mass of the two basins, Gt yr-1."""
        area = latlon_grid(self.thickening).area()
        mass = self.thickening.values * area * 1e-12
        return np.array([mass[self.basin.values == k].sum() for k in (0, 1)])


def made_up_margin(
    *,
    step: float = 0.1,
    thinning: float = 12.0,
    stations: int = 12,
    pixels: int = 120,
    members: int = 6,
    seed: int = 0,
) -> Margin:
    r"""Make up an ice margin.

    The rate of thinning falls off with the distance d from the mouth,

    .. math:: \dot H = -H_0 \left(\frac{x}{x + 5}\right) e^{-d / 25\,km} - 0.1 ,

    x being how far inland (km), and the neighbour's by a third of that.

    Parameters
    ----------
    step : float, default 0.1
        Size of the cells in latitude, degrees; 2.5 times that in longitude.
    thinning : float, default 12
        At the mouth, metres of ice a year.
    stations : int, default 12
        On rock along the coast and on nunataks.
    pixels : int, default 120
        Of the interferograms, on rock.
    members : int, default 6
        Models of rebound.
    seed : int, default 0
        Of the places of stations and pixels and of the models.

    Returns
    -------
    Margin
        The truth, and where it is observed.
    """
    random = np.random.default_rng(seed)
    lat = np.arange(68.3 + step / 2.0, 70.3, step)
    lon = np.arange(-51.0 + 1.25 * step, -46.0, 2.5 * step)
    y, x = np.meshgrid(lat, lon, indexing="ij")
    coast = coastline(y)
    inland = (x - coast) * 111.2 * np.cos(np.radians(y))
    ice = inland > 0.0
    rate = -0.1 * np.ones_like(y)
    for place, height in ((MOUTH, thinning), ((69.75, -50.2), thinning / 3.0)):
        far = _kilometres(y, x, place)
        rate -= height * inland / (np.abs(inland) + 5.0) * np.exp(-far / 25.0)
    density = np.where(ice, rate * ICE, 0.0)
    basin = np.where(ice, np.where(y < 69.5, 0, 1), -1)
    coords = {"lat": lat, "lon": lon}
    field = {"units": "kg m-2", "long_name": "rate of mass per area, per year"}
    at_lat = random.uniform(68.5, 70.1, stations)
    # The first three stand as close to the mouth as rock goes.
    at_lat[: min(3, stations)] = [69.08, 69.28, 69.17][: min(3, stations)]
    at_lon = coastline(at_lat) - random.uniform(0.1, 0.9, stations)
    names = [f"ROC{k + 1:02d}" for k in range(stations)]
    places = xr.Dataset(
        {"lat": ("station", at_lat), "lon": ("station", at_lon)}, {"station": names}
    )
    seen_lat = random.uniform(68.6, 70.0, pixels)
    seen_lon = coastline(seen_lat) - random.uniform(0.02, 1.0, pixels)
    # Right-looking: half from an ascending, half from a descending orbit, 35 degrees.
    side = np.where(np.arange(pixels) % 2 == 0, -1.0, 1.0)
    look = (np.sin(np.radians(35.0)), np.cos(np.radians(35.0)))
    scene = xr.Dataset(
        {
            "lat": ("pixel", seen_lat),
            "lon": ("pixel", seen_lon),
            "los_east": ("pixel", side * look[0] * np.cos(np.radians(10.0))),
            "los_north": ("pixel", np.full(pixels, -look[0] * np.sin(np.radians(10)))),
            "los_up": ("pixel", np.full(pixels, look[1])),
        }
    )
    return Margin(
        xr.DataArray(density, coords, ("lat", "lon"), attrs=field),
        xr.DataArray(basin, coords, ("lat", "lon")),
        places,
        scene,
        made_up_rebound(places, members=members, seed=seed),
        made_up_rebound(scene, members=members, seed=seed),
    )


def coastline(lat: np.ndarray) -> np.ndarray:
    """Return the longitude at which the made-up ice ends, degrees.

    Parameters
    ----------
    lat : numpy.ndarray
        Degrees.

    Returns
    -------
    numpy.ndarray
        With a bay at the mouth of the trunk.
    """
    bay = 0.35 * np.exp(-(((lat - MOUTH[0]) / 0.1) ** 2))
    return -50.0 + 0.15 * np.sin(8.0 * lat) + bay


def true_displacement(
    margin: Margin, green: GreenFunctions, at: xr.Dataset
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return what the made-up load does to places, and the cells as sources there.

    Parameters
    ----------
    margin : Margin
        The margin.
    green : GreenFunctions
        Of the Earth.
    at : xarray.Dataset
        ``margin.stations`` or ``margin.pixels``.

    Returns
    -------
    tuple of xarray.Dataset
        ``east``, ``north`` and ``up`` (m yr-1) without any error, and the sources.
    """
    sources = cell_sources(margin.basin >= 0, at, green)
    row, column = sources["row"].values, sources["column"].values
    load = margin.thickening.values[row, column] / 1000.0
    response = sources["response"]
    dim = str(response.dims[1])
    moved = response.values @ load
    data = {
        name: (dim, moved[k], {"units": "m yr-1"})
        for k, name in enumerate(("east", "north", "up"))
    }
    return at.assign(data), sources


def observed_stations(
    truth: xr.Dataset,
    rebound: xr.Dataset,
    *,
    horizontal_se: float = 0.2e-3,
    vertical_se: float = 0.6e-3,
    seed: int = 0,
) -> xr.Dataset:
    """Return rates of stations as they would be observed.

    Parameters
    ----------
    truth : xarray.Dataset
        Of `true_displacement`.
    rebound : xarray.Dataset
        Models of rebound at the stations; the first is the true one, and added.
    horizontal_se, vertical_se : float
        Standard errors, m yr-1; by default those of a decade of daily positions.
    seed : int, default 0
        Of the errors.

    Returns
    -------
    xarray.Dataset
        ``east``, ``north``, ``up`` and ``_se`` along ``station``, m yr-1.
    """
    random = np.random.default_rng(seed)
    result = truth[["lat", "lon"]]
    for name in ("east", "north", "up"):
        se = vertical_se if name == "up" else horizontal_se
        values = truth[name].values + rebound[name].values[0]
        values = values + se * random.standard_normal(values.size)
        result[name] = ("station", values, {"units": "m yr-1"})
        result[f"{name}_se"] = ("station", np.full(values.size, se))
    return result


def observed_scene(
    truth: xr.Dataset,
    rebound: xr.Dataset,
    *,
    se: float = 2e-3,
    correlation_length: float = 10e3,
    tilt: float = 5e-3,
    seed: int = 0,
) -> xr.Dataset:
    """Return rates along the line of sight as they would be observed.

    Parameters
    ----------
    truth : xarray.Dataset
        Of `true_displacement` at ``margin.pixels``.
    rebound : xarray.Dataset
        Models of rebound at the pixels; the first is the true one, and added.
    se : float, default 2e-3
        Of a pixel's rate, m yr-1.
    correlation_length : float, default 10e3
        Of the errors, m.
    tilt : float, default 5e-3
        Of the plane that orbits leave, m yr-1 over 100 km.
    seed : int, default 0
        Of errors and plane.

    Returns
    -------
    xarray.Dataset
        ``displacement`` and ``displacement_se`` (m yr-1) beside the directions.
    """
    random = np.random.default_rng(seed)
    seen = truth[["lat", "lon", "los_east", "los_north", "los_up"]]
    rate = np.zeros(seen.sizes["pixel"])
    for name in ("east", "north", "up"):
        moved = truth[name].values + rebound[name].values[0]
        rate += seen[f"los_{name}"].values * moved
    lat, lon = seen["lat"].values, seen["lon"].values
    x = (lon - MOUTH[1]) * 111.2 * np.cos(np.radians(MOUTH[0]))
    y = (lat - MOUTH[0]) * 111.2
    apart = np.hypot(x[:, None] - x, y[:, None] - y) * 1e3
    errors = np.linalg.cholesky(
        np.exp(-apart / correlation_length)
    ) @ random.standard_normal(x.size)
    plane = random.normal(size=3)
    rate = (
        rate + se * errors + tilt * (plane[0] + plane[1] * x / 100 + plane[2] * y / 100)
    )
    seen["displacement"] = ("pixel", rate, {"units": "m yr-1"})
    seen["displacement_se"] = ("pixel", np.full(rate.size, se))
    return seen


def observed_gravity(margin: Margin, *, se: float = 3.0, seed: int = 0) -> xr.Dataset:
    """Return the rate of mass of each basin as satellite gravity would give it.

    Parameters
    ----------
    margin : Margin
        The margin.
    se : float, default 3
        Of a basin, Gt yr-1; leakage included.
    seed : int, default 0
        Of the errors.

    Returns
    -------
    xarray.Dataset
        ``mass`` and ``mass_se`` along ``basin``, Gt yr-1.
    """
    random = np.random.default_rng(seed)
    mass = margin.true_mass + se * random.standard_normal(2)
    return xr.Dataset(
        {
            "mass": ("basin", mass, {"units": "Gt yr-1"}),
            "mass_se": ("basin", np.full(2, se)),
        },
        {"basin": ["trunk", "neighbour"]},
    )


def made_up_rebound(at: xr.Dataset, *, members: int = 6, seed: int = 0) -> xr.Dataset:
    """Return rates of rebound by models that differ in level and tilt.

    Parameters
    ----------
    at : xarray.Dataset
        ``lat`` and ``lon`` along one dimension.
    members : int, default 6
        How many models.
    seed : int, default 0
        Of the models: the same ones at other places.

    Returns
    -------
    xarray.Dataset
        ``east``, ``north`` and ``up`` along ``member`` and the places, m yr-1: sinking
        by 1 mm with a spread of 0.6 mm in level and 0.25 mm over 100 km.
    """
    dim = str(at["lat"].dims[0])
    shapes = np.random.default_rng(seed).normal(size=(members, 3))
    east = (at["lon"].values - MOUTH[1]) / 2.0
    north = (at["lat"].values - MOUTH[0]) / 1.0
    level, tilt, side = (shapes[:, k, None] for k in range(3))
    up = 1e-3 * (-1.0 + 0.6 * level + 0.25 * tilt * north + 0.25 * side * east)
    flat = np.zeros_like(east)
    fields = {
        "east": 1e-3 * (-0.3 + 0.15 * side + flat),
        "north": 1e-3 * (-0.5 + 0.15 * tilt + flat),
        "up": up,
    }
    return xr.Dataset(
        {n: (("member", dim), v, {"units": "m yr-1"}) for n, v in fields.items()}
    )


def _kilometres(
    lat: np.ndarray, lon: np.ndarray, place: tuple[float, float]
) -> np.ndarray:
    """Return distances from a place, on a plane."""
    x = (lon - place[1]) * 111.2 * np.cos(np.radians(place[0]))
    return np.hypot(x, (lat - place[0]) * 111.2)
