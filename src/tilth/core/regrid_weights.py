"""Sparse weights that bring values from some places to others, and their use."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel

if TYPE_CHECKING:
    from scipy import sparse

#: Of shares of area that are one but for rounding.
_ROUNDING = 1e-9

#: Values of rows that are looked at together; bounds the memory.
_TOGETHER = 1_000_000

#: Degrees that positions of the same places may differ by: single precision.
_SAME_POSITION = 1e-4


@dataclass(frozen=True)
class Places:
    """What values belong to: the cells of a grid, regions, or points.

    Parameters
    ----------
    coords : dict of str to xarray.DataArray
        Coordinate of every dimension, in the order of the dimensions.
    area : numpy.ndarray
        Area of every place, m2, of the shape of the dimensions; NaN where values
        belong to points.
    beside : dict of str to xarray.DataArray
        Other coordinates of the places, such as the latitudes of stations.
    """

    coords: dict[Hashable, xr.DataArray]
    area: np.ndarray
    beside: dict[Hashable, xr.DataArray] = field(default_factory=dict)

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
        coords = self.target.coords | self.target.beside
        return xr.DataArray(shaped, coords, self.target.dims)

    def apply(
        self, data: xr.DataArray, *, least_share: float = 0.5, gaps: str = "skip"
    ) -> xr.DataArray:
        """Bring values to the target.

        Parameters
        ----------
        data : xarray.DataArray
            Values per area (a flux, a depth, a share; no totals of cells) or of a state
            with the dimensions of the source and any others, in memory or in Dask
            chunks. NaN is no value.
        least_share : float, default 0.5
            Share of a target place that must lie in cells with values for it to get
            one; of weights that interpolate, the share that must fall on values.
        gaps : {"skip", "zero"}
            What the rest of it has: the mean of what is known, or nothing. With
            "zero" the integral is preserved even where a place is known in part, no
            value is NaN, and `least_share` counts for nothing; for conservative
            weights only.

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
        if gaps == "zero" and np.isnan(self.source.area).any():
            raise InputError(
                'gaps="zero" keeps integrals with conservative weights; these '
                "interpolate, and would make a gap a value of 0"
            )
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
        located = result.assign_coords(self.target.coords | self.target.beside)
        return located.rename(data.name).assign_attrs(data.attrs)

    def backward(self) -> Regridder:
        """Return the regridder from the target to the source.

        Returns
        -------
        Regridder
            With the same weights; conservative if this one is.

        Raises
        ------
        InputError
            If the weights interpolate: turned round, they would not.
        """
        whole = self.source.area.ravel()
        if np.isnan(whole).any():
            raise InputError(
                "weights that interpolate have no way back: build those from the "
                "target to the source"
            )
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
        for name, expected in self.source.beside.items():
            if name in data.coords and not _same_position(data[name], expected):
                raise InputError(
                    f"{name} of {data.name or 'the data'} is not that of the weights: "
                    "build weights for these places"
                )
        twice = set(self.target.dims) & (set(data.dims) - set(self.source.dims))
        if twice:
            raise InputError(
                f"{data.name or 'the data'} has the dimension "
                f"{', '.join(map(str, twice))} already, which the target has too: "
                "rename it"
            )


def _same_values(found: np.ndarray, expected: np.ndarray) -> bool:
    """Return whether two coordinates are the same but for rounding."""
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool((found == expected).all())
    step = np.abs(np.diff(expected)).min(initial=1.0)
    return bool(np.allclose(found, expected, rtol=0.0, atol=1e-3 * step))


def _same_position(found: xr.DataArray, expected: xr.DataArray) -> bool:
    """Return whether a coordinate beside the dimensions is the one expected."""
    if found.dims != expected.dims or found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f" or found.dtype.kind not in "iuf":
        return bool((found.values == expected.values).all())
    return bool(
        np.allclose(
            found.values,
            expected.values,
            rtol=0.0,
            atol=_SAME_POSITION,
            equal_nan=True,
        )
    )


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
    # Stations need few cells of a grid. Sums keep their order, so nothing changes.
    few = 8 * weights.nnz < weights.shape[1]
    if few:
        used = np.unique(weights.indices)
        weights = weights[:, used]
    result = np.empty((rows.shape[0], whole.size))
    whole = whole[:, None]
    everything = given = weights @ np.ones((weights.shape[1], 1))
    before = np.ones((1, weights.shape[1]), bool)
    step = max(1, _TOGETHER // max(weights.shape))
    for start in range(0, rows.shape[0], step):
        part = rows[start : start + step]
        part = part[:, used] if few else part
        known = ~np.isnan(part)
        # Most gaps are there all the time: their weights are summed once.
        if len(before) not in (1, len(known)) or not (known == before).all():
            before = known[:1] if (known == known[:1]).all() else known
            given = everything if before.all() else weights @ _columns(before)
        total = weights @ _columns(np.where(known, part, 0.0))
        if zero:
            means = total / whole
        else:
            enough = (given > 0.0) & (given >= (least_share - _ROUNDING) * whole)
            means = np.full(total.shape, np.nan)
            np.divide(total, given, out=means, where=enough)
        result[start : start + step] = means.T
    return result.reshape(*loop, *shape)


def _columns(rows: np.ndarray) -> np.ndarray:
    """Return rows as columns of double precision, each place's values side by side."""
    return np.ascontiguousarray(rows.T, dtype=float)
