"""River networks from nothing but chance: a continent of any size in seconds."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numba import njit

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.regrid import EARTH_RADIUS
from tilth.rivers.network import topology
from tilth.rivers.network.channels import (
    MEAN_RUNOFF,
    channel_depth,
    channel_width,
    runoff_volume,
)
from tilth.rivers.network.floodplain import LAYERS
from tilth.rivers.network.model import MOUTH, RiverNetwork
from tilth.rivers.network.synthetic_growth import grow, island

#: Coarsest grid, and the largest extent of a continent, degrees.
_COARSEST, _WIDEST = 0.25, 60.0

#: Slope of a river that drains the area A m2: steepness * A**-concavity. The concavity
#: is the usual reference, the steepness (m**0.9) that of gentle land (Kirby & Whipple
#: 2012, Journal of Structural Geology 44, 54-75); basins differ by the spread
#: (standard deviation of the logarithm).
_CONCAVITY, _STEEPNESS, _STEEPNESS_SPREAD = 0.45, 10.0, 0.4

#: Rivers do not get flatter than this.
LEAST_SLOPE = 1e-5

#: Elevation of the bank at a mouth, m above the sea.
_MOUTH_ELEVATION = 2.0

#: Length along the river over the distance in a straight line.
_SINUOSITY = (1.1, 1.5)

#: The sides of a valley rise this much steeper than its river, and this much at least
#: from the river to the divide, m.
_VALLEY_STEEPER, _LEAST_RELIEF = 20.0, 20.0


def synthetic_network(
    catchments: int,
    *,
    basins: int = 9,
    seed: int = 0,
    resolution: float | None = None,
    runoff: float = MEAN_RUNOFF,
) -> RiverNetwork:
    """Make a continent's river network up.

    Rivers grow inland from the mouths (`tilth.rivers.network.synthetic_growth`) over
    an island around 0 degrees north and east, one unit catchment to each cell of a
    regular grid. Slopes follow the area drained; channels follow the mean discharge
    (`channel_width`, `channel_depth`); the ground of a catchment rises from the bank
    as a random power, between 1 and 3, of the share of area, to a relief that goes
    with the slope. A million catchments take some two seconds and 0.8 GB.

    Parameters
    ----------
    catchments : int
        Number of unit catchments.
    basins : int, default 9
        Number of river mouths. They lie at random in equal stretches of the coast.
    seed : int, default 0
        Of all chance; the same seed gives the same network to the last bit.
    resolution : float, optional
        Of the grid, degrees. By default 0.25, and finer where the continent would be
        more than 60 degrees across.
    runoff : float, default 300
        Mean annual runoff, mm per year, which sets the size of the channels.

    Returns
    -------
    RiverNetwork
        Identifiers count from 1 along the rows of the grid, north first; coordinates
        ``lat``, ``lon``, variables ``row``, ``column`` and all that a run needs.
        ``mean_discharge`` m3 s-1 is what the channels were made for.

    Raises
    ------
    InputError
        If the numbers cannot be: more basins than catchments at the coast, or a
        continent larger than the globe.

    Examples
    --------
    >>> synthetic_network(500, basins=3, seed=1).terminals.size
    3
    """
    if catchments < 1 or not 1 <= basins <= catchments:
        raise InputError(
            "a network needs at least one catchment and from one to as many basins, "
            f"got {catchments} catchments and {basins} basins"
        )
    if not runoff > 0:
        raise InputError(f"runoff must be above zero, got {runoff} mm per year")
    rng = np.random.default_rng(seed)
    inside, coast = island(int(catchments), rng)
    if basins > coast.size:
        raise InputError(
            f"{catchments} catchments have a coast of {coast.size}, too short for "
            f"{basins} basins: ask for fewer basins or more catchments"
        )
    edges = np.arange(basins + 1) * coast.size // basins
    down, growth = grow(inside, coast[rng.integers(edges[:-1], edges[1:])], rng)

    cells = np.flatnonzero(inside)
    position = np.full(inside.size, MOUTH, np.int64)
    position[cells] = np.arange(cells.size)
    downstream = np.where(down[cells] >= 0, position[down[cells]], MOUTH)
    row, column = np.divmod(cells, inside.shape[1])
    lat, lon, step = _places(row, column, inside.shape, resolution)
    order = position[growth][::-1]

    area = _cell_area(lat, step)
    straight = _distance(lat, lon, downstream, area)
    length = straight * rng.uniform(*_SINUOSITY, cells.size)
    upstream_area = topology.accumulate(downstream, order, area)
    discharge = topology.accumulate(downstream, order, runoff_volume(area, runoff))
    spread = np.exp(rng.normal(0.0, _STEEPNESS_SPREAD, basins))
    steepness = _STEEPNESS * spread[topology.basins(downstream, order)]
    slope = np.maximum(LEAST_SLOPE, steepness * upstream_area**-_CONCAVITY)
    elevation = np.full(cells.size, _MOUTH_ELEVATION)
    _climb(downstream, order, slope * length, elevation)

    data = xr.Dataset(
        {
            "downstream": ("catchment", downstream),
            "area": _along(area, "m2"),
            "river_length": _along(length, "m"),
            "river_width": _along(channel_width(discharge), "m"),
            "river_depth": _along(channel_depth(discharge), "m"),
            "elevation": _along(elevation, "m"),
            "downstream_distance": _along(length, "m"),
            "floodplain_height": (
                ("catchment", "layer"),
                _profile(area / length, slope, rng),
                {"units": "m"},
            ),
            "upstream_area": _along(upstream_area, "m2"),
            "mean_discharge": _along(
                discharge, "m3 s-1", long_name="mean annual discharge"
            ),
            "row": ("catchment", row),
            "column": ("catchment", column),
        },
        coords={
            "catchment": np.arange(1, cells.size + 1),
            "lat": _along(lat, "degrees_north", standard_name="latitude"),
            "lon": _along(lon, "degrees_east", standard_name="longitude"),
        },
        attrs={"seed": seed, "resolution": step},
    )
    said = f"synthetic network, {catchments} catchments, {basins} basins, seed {seed}"
    return RiverNetwork(stamp(data, said))


def catchment_labels(network: RiverNetwork) -> xr.DataArray:
    """Return the grid of a network whose catchments are whole cells of one.

    Parameters
    ----------
    network : RiverNetwork
        Of `synthetic_network`, or a part of it.

    Returns
    -------
    xarray.DataArray of int64
        Identifier of the catchment in each cell, 0 where there is none, along ``lat``
        (north first) and ``lon``.

    Raises
    ------
    InputError
        If the network does not say where its catchments lie on a grid.

    Examples
    --------
    >>> network = synthetic_network(5, basins=1)
    >>> int((catchment_labels(network) > 0).sum())
    5
    """
    network.require("row", "column", "lat", "lon")
    step = network.data.attrs.get("resolution")
    if step is None:
        raise InputError(
            "the network does not know the resolution of its grid: only one of "
            "synthetic_network does; one that was built came with its own labels"
        )
    row, column = network.data["row"].values, network.data["column"].values
    labels = np.zeros((int(row.max()) + 2, int(column.max()) + 2), np.int64)
    labels[row, column] = network.ids
    north = network.data["lat"].values[0] + step * row[0]
    west = network.data["lon"].values[0] - step * column[0]
    lat = north - step * np.arange(labels.shape[0])
    lon = west + step * np.arange(labels.shape[1])
    return xr.DataArray(
        labels,
        {
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
        ("lat", "lon"),
        name="catchment",
        attrs={"long_name": "identifier of the unit catchment; 0 where there is none"},
    )


def _along(values: np.ndarray, units: str, **attrs: str) -> tuple:
    """Return a variable along catchments."""
    return "catchment", values, {"units": units, **attrs}


def _places(
    row: np.ndarray, column: np.ndarray, shape: tuple[int, int], step: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return latitude and longitude of cells, and the resolution; all in degrees."""
    if step is None:
        step = min(_COARSEST, _WIDEST / max(shape))
    lat = ((shape[0] - 1) / 2 - row) * step
    lon = (column - (shape[1] - 1) / 2) * step
    if not (step > 0 and shape[0] * step < 170 and shape[1] * step < 360):
        raise InputError(
            f"a continent of {shape[0]} by {shape[1]} cells of {step} degrees does not "
            f"fit on the globe: the resolution must be above zero and below "
            f"{min(170 / shape[0], 360 / shape[1]):.3g}"
        )
    return lat, lon, float(step)


def _cell_area(lat: np.ndarray, step: float) -> np.ndarray:
    """Return the area on the sphere of square cells of `step` degrees, m2."""
    # sin a - sin b = 2 cos((a + b) / 2) sin((a - b) / 2)
    height = 2.0 * np.cos(np.radians(lat)) * np.sin(np.radians(step) / 2.0)
    return EARTH_RADIUS**2 * np.radians(step) * height


def _distance(
    lat: np.ndarray, lon: np.ndarray, downstream: np.ndarray, area: np.ndarray
) -> np.ndarray:
    """Return the distance to the next cell, m; at mouths the side of the cell."""
    inner = downstream >= 0
    after = np.where(inner, downstream, 0)
    north = np.radians(lat[after] - lat)
    east = np.radians(lon[after] - lon) * np.cos(np.radians(lat + lat[after]) / 2.0)
    return np.where(inner, EARTH_RADIUS * np.hypot(north, east), np.sqrt(area))


@njit(cache=True)
def _climb(downstream, order, rise, elevation):
    """Add up the rise of each catchment over the next one, from the mouths inland."""
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        if downstream[i] >= 0:
            elevation[i] = elevation[downstream[i]] + rise[i]


def _profile(
    width: np.ndarray, slope: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return heights above the bank at equal steps of area, m (catchment, layer)."""
    relief = _LEAST_RELIEF + _VALLEY_STEEPER * slope * width / 2.0
    relief *= np.exp(rng.normal(0.0, 0.3, width.size))
    power = rng.uniform(1.0, 3.0, width.size)
    share = np.arange(1, LAYERS + 1) / LAYERS
    return relief[:, None] * share ** power[:, None]
