"""Values of one grid on another, or on regions: sparse weights, built once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.parallel import apply_kernel
from tilth.core.regrid_cells import (
    EARTH_RADIUS,
    LatLonGrid,
    latlon_grid,
    overlap,
    with_common_edges,
)

if TYPE_CHECKING:
    from scipy import sparse

__all__ = [
    "EARTH_RADIUS",
    "Places",
    "Regridder",
    "conservative",
    "conservative_regions",
]

#: Of shares of area that are one but for rounding.
_ROUNDING = 1e-9

#: Cells of a raster of labels that are looked at together; bounds the memory.
_TOGETHER = 4_000_000


@dataclass(frozen=True)
class Places:
    """What values belong to: the cells of a grid, or regions.

    Parameters
    ----------
    coords : dict of str to xarray.DataArray
        Coordinate of every dimension, in the order of the dimensions.
    area : numpy.ndarray
        Area of every place, m2, of the shape of the dimensions.
    """

    coords: dict[Hashable, xr.DataArray]
    area: np.ndarray

    @property
    def dims(self) -> tuple[Hashable, ...]:
        """Names of the dimensions."""
        return tuple(self.coords)


@dataclass(frozen=True)
class Regridder:
    r"""Weights that bring values from some places to others.

    A value of the target is the mean of the source's values that are numbers, by
    weight,

    .. math:: y_j = \frac{\sum_i w_{ji} x_i}{\sum_i w_{ji}} ,

    and NaN where these weights are too small a share of :math:`W_j`. It lies between
    the smallest and the largest of the values it is made of.

    Parameters
    ----------
    weights : scipy.sparse.csr_matrix, shape (target places, source places)
        :math:`w`, not negative.
    whole : numpy.ndarray, shape (target places,)
        :math:`W`: what the weights of a target place add up to where the source covers
        it all.
    source, target : Places
        Where values are from and go to.

    Raises
    ------
    InputError
        If the numbers of places and weights do not agree.
    """

    weights: sparse.csr_matrix
    whole: np.ndarray
    source: Places
    target: Places

    def __post_init__(self) -> None:
        shape = (self.target.area.size, self.source.area.size)
        if self.weights.shape != shape or self.whole.shape != shape[:1]:
            raise InputError(
                f"weights from {shape[1]} to {shape[0]} places need the shape {shape}, "
                f"got {self.weights.shape}, and {self.whole.size} sums"
            )

    def __repr__(self) -> str:
        def said(places: Places) -> str:
            sizes = zip(places.dims, places.area.shape, strict=True)
            return " x ".join(f"{name} {size}" for name, size in sizes)

        ends = f"{said(self.source)} -> {said(self.target)}"
        return f"<Regridder: {ends}, {self.weights.nnz} weights>"

    @property
    def covered_share(self) -> xr.DataArray:
        """Share of each target place that the source covers."""
        share = np.asarray(self.weights.sum(axis=1)).ravel() / self.whole
        shaped = share.reshape(self.target.area.shape)
        return xr.DataArray(shaped, self.target.coords, self.target.dims)

    def apply(
        self, data: xr.DataArray, *, least_share: float = 0.5, gaps: str = "skip"
    ) -> xr.DataArray:
        """Bring values to the target.

        Parameters
        ----------
        data : xarray.DataArray
            Values per area (a flux, a depth, a share; no totals of cells) with the
            dimensions of the source and any others, in memory or in Dask chunks.
            NaN is no value.
        least_share : float, default 0.5
            Share of a target place that must lie in cells with values for it to get
            one.
        gaps : {"skip", "zero"}
            What the rest of it has: the mean of what is known, or nothing. With
            "zero" the integral is preserved even where a place is known in part, no
            value is NaN, and `least_share` counts for nothing.

        Returns
        -------
        xarray.DataArray
            float64, with the attributes of `data`; the dimensions of the target are
            the last. Not changed in a bit by how `data` is chunked.

        Raises
        ------
        InputError
            If `data` is not on the source's places, or an option is not one.
        """
        if gaps not in ("skip", "zero"):
            raise InputError(f'gaps is "skip" or "zero", got {gaps!r}')
        if not 0.0 <= least_share <= 1.0:
            raise InputError(f"least_share is from 0 to 1, got {least_share}")
        self._check(data)
        # Names of their own, since source and target often share them.
        own = {name: f"source {name}" for name in self.source.dims}
        bare = data.drop_vars(
            [name for name, c in data.coords.items() if set(c.dims) & set(own)]
        ).rename(own)
        result = apply_kernel(
            _weighted_means,
            bare,
            core_dims=[tuple(own.values())],
            output_dims=[tuple(map(str, self.target.dims))],
            output_sizes=dict(
                zip(map(str, self.target.dims), self.target.area.shape, strict=True)
            ),
            options={
                "weights": self.weights,
                "whole": self.whole,
                "shape": self.target.area.shape,
                "core_axes": len(own),
                "least_share": least_share,
                "zero": gaps == "zero",
            },
        )
        located = result.assign_coords(self.target.coords)
        return located.rename(data.name).assign_attrs(data.attrs)

    def backward(self) -> Regridder:
        """Return the regridder from the target to the source.

        Returns
        -------
        Regridder
            With the same weights; conservative if this one is.
        """
        whole = self.source.area.ravel()
        return Regridder(self.weights.T.tocsr(), whole, self.target, self.source)

    def _check(self, data: xr.DataArray) -> None:
        """Raise unless the data are on the places the weights were made for."""
        if not isinstance(data, xr.DataArray):
            raise InputError(
                f"a regridder takes a DataArray, got {type(data).__name__}: choose a "
                "variable of the dataset"
            )
        for name, expected in self.source.coords.items():
            if name not in data.dims:
                raise InputError(
                    f"{data.name or 'the data'} lacks the dimension {name} that the "
                    f"weights were made for; it has {', '.join(map(str, data.dims))}"
                )
            found = data[name].values
            if not _same_values(found, expected.values):
                raise InputError(
                    f"{name} of {data.name or 'the data'} is not that of the weights "
                    f"({found.size} values from {found[0]} to {found[-1]}, theirs "
                    f"has {expected.size} from {expected.values[0]} to "
                    f"{expected.values[-1]}): build weights for this grid"
                )


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


def _same_values(found: np.ndarray, expected: np.ndarray) -> bool:
    """Return whether two coordinates are the same but for rounding."""
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool((found == expected).all())
    step = np.abs(np.diff(expected)).min(initial=1.0)
    return bool(np.allclose(found, expected, rtol=0.0, atol=1e-3 * step))


def _weighted_means(
    values: np.ndarray,
    *,
    weights: sparse.csr_matrix,
    whole: np.ndarray,
    shape: tuple[int, ...],
    core_axes: int,
    least_share: float,
    zero: bool,
) -> np.ndarray:
    """Return the means of each row of places; loop axes come first."""
    loop = values.shape[: values.ndim - core_axes]
    rows = values.reshape(-1, weights.shape[1])
    result = np.empty((rows.shape[0], whole.size))
    everything = weights @ np.ones(rows.shape[1])
    least = (least_share - _ROUNDING) * whole
    for k, row in enumerate(rows):  # one by one: the same sums however many there are
        known = ~np.isnan(row)
        given = everything if known.all() else weights @ known.astype(float)
        total = weights @ np.where(known, row, 0.0).astype(float)
        if zero:
            result[k] = total / whole
        else:
            enough = (given > 0.0) & (given >= least)
            blank = np.full(whole.size, np.nan)
            result[k] = np.divide(total, given, out=blank, where=enough)
    return result.reshape(*loop, *shape)
