"""A continent's terrain from nothing but chance: lifted, and worn down by rivers."""

from __future__ import annotations

import numpy as np
import pyflwdir
import xarray as xr
from numba import njit
from pyflwdir.dem import fill_depressions
from scipy import ndimage

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.rivers.network.floodplain import height_above_river

#: Steps while only the mouths lie at the level of the sea, then while all of the coast
#: does; and the size of a step, in the time a single cell takes to wear down.
_STEPS, _COAST_STEPS, _STEP_SIZE = 50, 8, 0.3

#: Height of the bumps on the plane that all begins with, as a share of its slope over
#: the length of the lattice: enough for rivers to wind.
_ROUGH = 0.1

#: Exponent of the area drained in the law of river incision, with slope to the power
#: one (Whipple & Tucker 1999, Journal of Geophysical Research 104, 17661): the steady
#: slope falls as area**-0.45.
_AREA_EXPONENT = 0.45

#: Share of the lattice that is land.
_LAND = 0.45

#: Bank of a mouth above the sea, m.
_MOUTH_ELEVATION = 2.0

#: Rivers start where this many cells drain.
_RIVER_CELLS = 20

#: Rivers of the whole continent would have plains up to this height, m; those of a
#: part of it have less, with the square root of the part.
_PLAIN_HEIGHT = 60.0


def synthetic_terrain(
    shape: tuple[int, int] = (240, 320),
    *,
    basins: int = 9,
    seed: int = 0,
    resolution: float = 0.05,
    relief: float = 3000.0,
) -> xr.DataArray:
    r"""Make a continent's elevations up.

    Land of a fractal outline is lifted, more along ranges than elsewhere, and worn
    down by its rivers until both nearly balance,

    .. math:: \frac{\partial z}{\partial t} = U - K A^m \frac{\partial z}{\partial x},

    with the implicit scheme of Braun & Willett (2013). Rivers reach the sea at a few
    mouths only, far from each other, so that there are that many large basins; short
    rivers of the coast cut in at last. Ground just above large rivers is laid flat, as
    their sediments would. The result has no depression.

    Parameters
    ----------
    shape : (int, int), default (240, 320)
        Rows and columns.
    basins : int, default 9
        Number of large rivers' mouths.
    seed : int, default 0
        Of all chance; the same seed gives the same terrain.
    resolution : float, default 0.05
        Of the grid, degrees; its middle is at 0 degrees north and east.
    relief : float, default 3000
        Elevation of the highest point, m.

    Returns
    -------
    xarray.DataArray
        ``elevation`` in m above the sea along ``lat`` (north first) and ``lon``; NaN in
        the sea.

    Raises
    ------
    InputError
        If the numbers cannot be.

    References
    ----------
    Braun & Willett (2013), Geomorphology 180-181, 170-179.
    """
    rows, columns = shape
    if min(shape) < 16 or rows * resolution > 170 or columns * resolution > 350:
        raise InputError(
            "a continent needs at least 16 rows and columns and a place on the globe; "
            f"got {rows} by {columns} cells of {resolution} degrees"
        )
    if not (relief > 0 and resolution > 0):
        raise InputError(
            f"relief and resolution must be above zero, got {relief} m and "
            f"{resolution} degrees"
        )
    rng = np.random.default_rng(seed)
    land = _outline(shape, rng)
    coast = land & ~ndimage.binary_erosion(land)
    if not 1 <= basins <= coast.sum() // 4:
        raise InputError(
            f"this continent has room for 1 to {coast.sum() // 4} basins, got {basins}"
        )
    mouths = _far_apart(coast, basins, rng)
    shore = np.flatnonzero(coast)
    nearest, farther = _borders(shape, mouths, rng)
    uplift = _uplift(farther, rng)
    height = np.where(land, nearest + _ROUGH * rng.random(shape), np.nan)
    height = _worn_down(height, uplift, mouths, _STEPS)
    height.ravel()[shore] = 0.0
    height = _worn_down(height, uplift, shore, _COAST_STEPS)
    height = _with_plains(height * (relief / np.nanmax(height)), shore)
    height = height * (relief / np.nanmax(height)) + _MOUTH_ELEVATION
    lat = ((rows - 1) / 2 - np.arange(rows)) * resolution
    lon = (np.arange(columns) - (columns - 1) / 2) * resolution
    data = xr.Dataset(
        {
            "elevation": (
                ("lat", "lon"),
                height,
                {"units": "m", "long_name": "elevation above the sea", "seed": seed},
            )
        },
        coords={
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )
    said = f"synthetic terrain, {rows} by {columns} cells, {basins} basins, seed {seed}"
    stamped = stamp(data, said)
    return stamped["elevation"].assign_attrs(history=stamped.attrs["history"])


def _fractal(
    shape: tuple[int, int], rng: np.random.Generator, roughness: float
) -> np.ndarray:
    """Return a random field whose amplitudes fall as frequency**-roughness.

    Mean zero, standard deviation one.
    """
    frequency = np.hypot(
        np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    )
    frequency[0, 0] = np.inf
    phase = np.fft.rfft2(rng.standard_normal(shape))
    field = np.fft.irfft2(phase * frequency**-roughness, shape)
    return (field - field.mean()) / field.std()


def _outline(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return where there is land: one piece, without lakes, away from the edge."""
    y, x = (np.linspace(-1.0, 1.0, n) for n in shape)
    distance = np.hypot(y[:, None], x[None, :])
    ground = 0.25 * _fractal(shape, rng, 1.8) - distance
    edge = np.maximum(np.abs(y)[:, None], np.abs(x)[None, :])
    ground -= 10.0 * np.maximum(edge - 0.7, 0.0) ** 2
    ground[edge > 0.95] = -np.inf
    land = ground > np.quantile(ground, 1.0 - _LAND)
    land = ndimage.binary_fill_holes(ndimage.binary_opening(land))
    pieces, _ = ndimage.label(land)
    return pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1


def _far_apart(coast: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return flat indices of cells of the coast, each new one far from the others."""
    cells = np.argwhere(coast)
    chosen = [int(rng.integers(len(cells)))]
    distance = np.full(len(cells), np.inf)
    while len(chosen) < count:
        step = np.hypot(*(cells - cells[chosen[-1]]).T)
        distance = np.minimum(distance, step)
        chosen.append(int(np.argmax(distance * rng.uniform(0.5, 1.0, len(cells)))))
    return np.ravel_multi_index(tuple(cells[chosen].T), coast.shape)


def _borders(
    shape: tuple[int, int], mouths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance to the nearest mouth, and how much farther the next one is.

    Both are shares of the lattice's diagonal; the second is zero along the borders
    between the mouths' territories.
    """
    place = np.stack(np.unravel_index(mouths, shape), axis=1)
    cells = np.indices(shape)
    distance = np.empty((max(mouths.size, 2), *shape))
    distance[-1] = np.inf
    for k, (row, column) in enumerate(place):
        straight = np.hypot(cells[0] - row, cells[1] - column) / np.hypot(*shape)
        distance[k] = straight + 0.03 * _fractal(shape, rng, 1.6)
    nearest, next_one = np.partition(distance, 1, axis=0)[:2]
    return nearest, next_one - nearest


def _uplift(farther: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the uplift: ranges of many heights between territories, and hills."""
    ranges = np.exp(0.6 * _fractal(farther.shape, rng, 1.8) - (farther / 0.05) ** 2)
    return (0.15 + ranges) * np.exp(0.4 * _fractal(farther.shape, rng, 1.5))


def _worn_down(
    height: np.ndarray, uplift: np.ndarray, mouths: np.ndarray, steps: int
) -> np.ndarray:
    """Return the elevation after uplift and rivers have worked on it."""
    land = np.isfinite(height)
    for _ in range(steps):
        height, flow = _drained(height, mouths)
        area = flow.accuflux(land.astype(float)).ravel()
        lift = _STEP_SIZE * uplift.ravel()
        _incise(flow.idxs_ds, flow.idxs_seq, land.shape[1], area, lift, height.ravel())
    return _drained(height, mouths)[0]


def _drained(
    height: np.ndarray, mouths: np.ndarray
) -> tuple[np.ndarray, pyflwdir.FlwdirRaster]:
    """Return the elevation with depressions filled, and where its water flows."""
    filled, d8 = fill_depressions(height, nodata=np.nan, idxs_pit=mouths)
    return filled, pyflwdir.from_array(d8, ftype="d8", check_ftype=False)


@njit(cache=True)
def _incise(downstream, order, columns, area, lift, height):
    """Lift every cell and wear it down towards the next one, from the mouths up."""
    for i in order:
        after = downstream[i]
        if after == i:
            continue
        diagonal = abs(i // columns - after // columns) + abs(
            i % columns - after % columns
        )
        strength = _STEP_SIZE * area[i] ** _AREA_EXPONENT / np.sqrt(diagonal)
        height[i] = (height[i] + lift[i] + strength * height[after]) / (1.0 + strength)


def _with_plains(height: np.ndarray, mouths: np.ndarray) -> np.ndarray:
    """Return the elevation with the ground just above large rivers laid flat.

    A height h above the river becomes h**2 / (h + p), so that plains lie up to about
    the height p, and mountains stay; the order of heights, and so the drainage, does
    too.
    """
    filled, flow = _drained(height, mouths)
    area = flow.accuflux(np.isfinite(height).astype(float)).ravel()
    downstream, order = flow.idxs_ds, flow.idxs_seq
    river = area >= _RIVER_CELLS
    above = height_above_river(downstream, order, river, filled.ravel())
    base = filled.ravel() - above
    plain = np.full(area.size, np.nan)
    _spread(downstream, order, river, area, plain)
    plain = _PLAIN_HEIGHT * np.sqrt(plain / area.max())
    low = np.maximum(above, 0.0)
    flat = base + low**2 / (low + np.maximum(plain, 1e-6))
    return flat.reshape(height.shape)


@njit(cache=True)
def _spread(downstream, order, river, values, result):
    """Give every cell the value of the river cell that its water comes to."""
    for i in order:
        after = downstream[i]
        result[i] = values[i] if river[i] or after == i else result[after]
