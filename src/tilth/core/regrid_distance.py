"""Values from the nearest places on the sphere, wherever those are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.geodesy import unit_vectors
from tilth.core.optional import load
from tilth.core.regrid_cells import EARTH_RADIUS
from tilth.core.regrid_interpolation import cell_of
from tilth.core.regrid_places import Positions, positions
from tilth.core.regrid_weights import Regridder

#: Distances up to this are none, m: rounding of the chord of an arc.
_NO_DISTANCE = 0.1

#: Of half a diagonal, what rounding may add to it.
_ROUNDING = 1e-6


def nearest(
    source: xr.DataArray | xr.Dataset,
    target: xr.DataArray | xr.Dataset,
    *,
    within: float | None = None,
    among: xr.DataArray | None = None,
) -> Regridder:
    """Return weights that give each place the value of one place of the source.

    On a latitude-longitude grid and without the options that is the cell the place lies
    in: of the nearest row and the nearest column, half way the southern and the
    western one. Otherwise it is the nearest in distance on the sphere.

    Parameters
    ----------
    source, target : xarray.DataArray or xarray.Dataset
        Anything with latitude and longitude: a grid, a bent grid, or stations or cells
        along one dimension; see `tilth.core.regrid_places.positions`.
    within, among
        As for `inverse_distance`.

    Returns
    -------
    Regridder
        With one weight for each place that has a value.

    Raises
    ------
    InputError
        As for `inverse_distance`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> field = xr.DataArray([[1.0, 2.0]], {"lat": [40.0], "lon": [0.0, 2.0]})
    >>> coast = xr.Dataset(coords={"lat": ("site", [40.1]), "lon": ("site", [0.8])})
    >>> land = xr.DataArray([[False, True]], field.coords)
    >>> nearest(field, coast, among=land, within=200e3).apply(field).values
    array([2.])
    """
    if within is None and among is None and positions(source).rectilinear:
        return cell_of(source, target)
    return inverse_distance(source, target, neighbours=1, within=within, among=among)


def inverse_distance(
    source: xr.DataArray | xr.Dataset,
    target: xr.DataArray | xr.Dataset,
    *,
    neighbours: int = 4,
    power: float = 2.0,
    within: float | None = None,
    among: xr.DataArray | None = None,
) -> Regridder:
    r"""Return weights that fall with the distance on the sphere.

    .. math:: y = \sum_i d_i^{-p} x_i \Big/ \sum_i d_i^{-p}

    over the nearest places; a place of the source has its own value.

    Parameters
    ----------
    source, target : xarray.DataArray or xarray.Dataset
        Anything with latitude and longitude: a grid, a bent grid, or stations or cells
        along one dimension; see `tilth.core.regrid_places.positions`. Places of the
        source whose position is NaN are left out.
    neighbours : int, default 4
        Number of nearest places.
    power : float, default 2
        :math:`p` (Shepard 1968).
    within : float, optional
        Greatest distance that a place is used at, m. By default a target must lie in
        the source's grid: no farther from the nearest centre than half the diagonal of
        its cell.
    among : xarray.DataArray of bool, optional
        Which places of the source may be used, such as those on land.

    Returns
    -------
    Regridder
        From the places to the target.

    Raises
    ------
    InputError
        If there are no positions, an option is out of its range, or the source is not a
        grid and `within` is not given.

    References
    ----------
    Shepard (1968), Proceedings of the 23rd ACM National Conference, 517-524.
    """
    if neighbours < 1 or power <= 0.0 or (within is not None and within <= 0.0):
        raise InputError(
            "neighbours, power and within must be positive, got "
            f"{neighbours}, {power} and {within}"
        )
    origin, to = positions(source), positions(target)
    lat, lon = origin.all()
    usable = np.isfinite(lat) & np.isfinite(lon)
    if among is not None:
        usable &= _mask(among, origin)
    cells = np.flatnonzero(usable)
    if not cells.size:
        raise InputError("no place of the source may be used: `among` is nowhere true")
    to_lat, to_lon = to.all()
    if not (np.isfinite(to_lat).all() and np.isfinite(to_lon).all()):
        raise InputError("a place of the target has a latitude or longitude of NaN")
    found = _search(
        unit_vectors(lat[cells], lon[cells]),
        unit_vectors(to_lat, to_lon),
        min(neighbours, cells.size),
    )
    if within is None:
        limit = _half_diagonals(origin)[cells][found.index[:, :1]]
        used = np.broadcast_to(found.distance[:, :1] <= limit, found.index.shape)
    else:
        used = found.distance <= within
    weight = _shepard(found.distance, power) * used
    row, column = np.nonzero(weight)
    values = weight / np.where(used.any(axis=1), weight.sum(axis=1), 1.0)[:, None]
    weights = load("scipy.sparse", "stats").csr_matrix(
        (values[row, column], (row, cells[found.index[row, column]])),
        (to_lat.size, lat.size),
    )
    return Regridder(weights, np.ones(to_lat.size), origin.bare(), to.places)


@dataclass(frozen=True)
class _Found:
    """Nearest places: which, and how far, m (target, neighbour), nearest first."""

    index: np.ndarray
    distance: np.ndarray


def _search(known: np.ndarray, wanted: np.ndarray, count: int) -> _Found:
    """Return the nearest of the known directions to each of those wanted."""
    tree = load("scipy.spatial", "stats").cKDTree(known)
    chord, index = tree.query(wanted, k=np.arange(1, count + 1))
    return _Found(index, _arc(chord))


def _shepard(distance: np.ndarray, power: float) -> np.ndarray:
    """Return weights relative to the nearest; all on it where there is no distance."""
    first = distance[:, :1]
    at_place = first <= _NO_DISTANCE
    apart = np.where(at_place, 1.0, distance)
    relative = np.where(at_place, 1.0, first) / apart
    only = np.zeros_like(distance)
    only[:, 0] = 1.0
    return np.where(at_place, only, relative**power)


def _half_diagonals(origin: Positions) -> np.ndarray:
    """Return half the diagonal of the cell around each centre of a grid, m."""
    shape = origin.places.area.shape
    if len(shape) != 2 or 1 in shape:
        raise InputError(
            "places that are not a grid have no cells: say `within`, the greatest "
            "distance in m that a value may come from"
        )
    centres = unit_vectors(*origin.all()).reshape(*shape, 3)
    sides = []
    for axis in (0, 1):
        step = _arc(np.linalg.norm(np.diff(centres, axis=axis), axis=-1))
        # On both sides of a centre; at the border on one.
        padded = np.pad(np.moveaxis(np.nan_to_num(step), axis, 0), ((1, 1), (0, 0)))
        sides.append(np.moveaxis(np.maximum(padded[:-1], padded[1:]), 0, axis))
    return (0.5 * np.hypot(*sides) * (1.0 + _ROUNDING)).ravel()


def _mask(among: xr.DataArray, origin: Positions) -> np.ndarray:
    """Return which places may be used, in the order of the places."""
    dims = origin.places.dims
    if among.dtype != bool or set(among.dims) != set(dims):
        raise InputError(
            f"`among` must be of bool and have the dimensions "
            f"{', '.join(map(str, dims))}; it is of {among.dtype} and has "
            f"{', '.join(map(str, among.dims))}"
        )
    ordered = among.transpose(*dims)
    if ordered.shape != origin.places.area.shape:
        raise InputError(
            f"`among` must have the source's shape {origin.places.area.shape}, it has "
            f"{ordered.shape}"
        )
    return ordered.values.ravel()


def _arc(chord: np.ndarray) -> np.ndarray:
    """Return the distance on the sphere of points this far apart in a line, m."""
    return 2.0 * EARTH_RADIUS * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))
