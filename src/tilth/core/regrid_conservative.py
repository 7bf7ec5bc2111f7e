"""First-order conservative weights: means over the area that cells share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.regrid_cells import LatLonGrid, latlon_grid, overlap, with_common_edges
from tilth.core.regrid_weights import Places, Regridder

if TYPE_CHECKING:
    from scipy import sparse

#: Cells of a raster of labels that are looked at together; bounds the memory.
_TOGETHER = 4_000_000


def conservative(
    source: xr.DataArray | xr.Dataset, target: xr.DataArray | xr.Dataset
) -> Regridder:
    """Return first-order conservative weights between latitude-longitude grids.

    The weight of two cells is the area on the sphere that they share, so that a value
    of the target is the mean over its area of the source taken as constant in each of
    its cells. The integral over a region that consists of whole cells of both is
    preserved.

    Parameters
    ----------
    source, target : xarray.DataArray or xarray.Dataset
        Anything on the two grids; see `tilth.core.regrid_cells.latlon_grid`.

    Returns
    -------
    Regridder
        From one to the other.

    Raises
    ------
    InputError
        If one of them is not on such a grid.

    References
    ----------
    Jones (1999), Monthly Weather Review 127, 2204-2210, first order.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> lat, lon = [-45.0, 45.0], [45.0, 135.0, 225.0, 315.0]
    >>> field = xr.DataArray(np.arange(8.0).reshape(2, 4), {"lat": lat, "lon": lon})
    >>> whole = xr.Dataset(coords={"lat": [45.0, -45.0], "lon": [-90.0, 90.0]})
    >>> conservative(field, whole).apply(field).round(12).values
    array([[6.5, 4.5],
           [2.5, 0.5]])
    """
    from_grid = latlon_grid(source)
    to_grid = with_common_edges(latlon_grid(target), from_grid)
    places = _cells(to_grid)
    weights = overlap(from_grid, to_grid)
    return Regridder(weights, places.area.ravel(), _cells(from_grid), places)


def conservative_regions(
    source: xr.DataArray | xr.Dataset,
    labels: xr.DataArray,
    ids: Iterable[Any] | None = None,
) -> Regridder:
    """Return first-order conservative weights from a grid to labelled regions.

    A region is all cells of a fine grid with its label; it need not be in one piece.

    Parameters
    ----------
    source : xarray.DataArray or xarray.Dataset
        Anything on the grid that values are on.
    labels : xarray.DataArray of int
        Label of the region of each cell of another latitude-longitude grid, usually a
        finer one; 0 (or NaN) where there is none. Its name becomes the dimension of
        the regions.
    ids : iterable, optional
        Labels of the regions wanted, in this order; by default all, sorted.

    Returns
    -------
    Regridder
        From the grid to the regions; ``target.area`` is the area of each, m2.

    Raises
    ------
    InputError
        If one of them is not on such a grid, labels are no whole numbers, or a region
        wanted has no cell.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> grid = {"lat": [0.5, -0.5], "lon": [0.5, 1.5]}
    >>> field = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], grid)
    >>> labels = xr.DataArray([[7, 7], [0, 9]], grid, name="region")
    >>> conservative_regions(field, labels).apply(field)["region"].values
    array([7, 9])
    >>> conservative_regions(field, labels, [9]).apply(field).values
    array([4.])
    """
    name = str(labels.name)
    if labels.name is None or name in labels.dims:
        raise InputError("the labels need a name: it is to be the regions' dimension")
    from_grid = latlon_grid(source)
    to_grid = with_common_edges(latlon_grid(labels), from_grid)
    raster = _whole_numbers(labels.transpose(to_grid.lat.name, to_grid.lon.name))
    present = np.unique(raster[raster != 0])
    wanted = present if ids is None else np.asarray(list(ids))
    index = pd.Index(wanted)
    if not index.is_unique:
        raise InputError("ids must not name a region twice")
    absent = wanted[~np.isin(wanted, present)]
    if absent.size or not wanted.size:
        few = ", ".join(map(str, absent[:8]))
        raise InputError(
            f"the labels have no cell of {absent.size or 'any'} region(s) {few}: is "
            "this the raster of these regions, and fine enough for the smallest?"
        )
    region = index.get_indexer(raster.ravel()).reshape(raster.shape)
    area = to_grid.area()
    weights = _region_weights(from_grid, to_grid, region, wanted.size)
    inside = region >= 0
    whole = np.bincount(region[inside], area[inside], wanted.size)
    coordinate = xr.DataArray(wanted, dims=name, name=name)
    return Regridder(
        weights, whole, _cells(from_grid), Places({name: coordinate}, whole)
    )


def _region_weights(
    source: LatLonGrid, fine: LatLonGrid, region: np.ndarray, count: int
) -> sparse.csr_matrix:
    """Return the area each region shares with each cell of the source."""
    matrices = load("scipy.sparse", "stats")
    total = matrices.csr_matrix((count, source.shape[0] * source.shape[1]))
    rows, columns = fine.shape
    step = max(1, _TOGETHER // columns)
    for start in range(0, rows, step):
        here = slice(start, min(start + step, rows))
        part = LatLonGrid(fine.lat.part(here), fine.lon)
        shared = overlap(source, part)
        label = region[here].ravel()
        cells = np.flatnonzero(label >= 0)
        member = matrices.csr_matrix(
            (np.ones(cells.size), (label[cells], cells)), (count, label.size)
        )
        total = total + member @ shared
    total.sort_indices()
    return total


def _cells(grid: LatLonGrid) -> Places:
    """Return the cells of a grid as places."""
    coords = {axis.name: axis.coordinate for axis in (grid.lat, grid.lon)}
    bare = {name: c.reset_coords(drop=True) for name, c in coords.items()}
    return Places(bare, grid.area())


def _whole_numbers(labels: xr.DataArray) -> np.ndarray:
    """Return labels as integers, 0 for NaN."""
    values = labels.values
    if values.dtype.kind in "iu":
        return values
    whole = np.isnan(values) | (values == np.round(values)) & np.isfinite(values)
    if not whole.all():
        raise InputError(
            f"the labels {labels.name} must be whole numbers; one is "
            f"{values[~whole].ravel()[0]}"
        )
    return np.nan_to_num(values).astype(np.int64)
