"""Flood depth on a fine elevation raster, from the water level of unit catchments."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.parallel import apply_kernel

#: Steps of Newton's method until a level holds its volume; five are the rule, because
#: the volume is convex and piecewise linear in the level.
STEPS = 60

#: Relative distance of the volumes at which a level is accepted.
TOLERANCE = 1e-10


def downscale_depth(
    level: xr.DataArray,
    labels: xr.DataArray,
    ground: xr.DataArray,
    *,
    pixel_area: xr.DataArray | float | None = None,
    volume: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Spread the water of unit catchments over the pixels of a fine raster.

    A pixel of the catchment c stands under

    .. math:: d = \max(L_c - z, 0)

    of water. Level and ground share a datum: ``water_level`` and elevation above sea
    level, or ``flood_depth`` and height above the nearest drainage, which follows a
    river that falls within its catchment.

    A fine raster holds another volume below the same level than the coarse profile.
    With `volume` the level of each catchment is moved to where its pixels hold just
    that: no water appears or vanishes between the scales.

    Parameters
    ----------
    level : xarray.DataArray, shape (..., catchment)
        Level of the water, m. Held in memory.
    labels : xarray.DataArray of int, shape (y, x)
        Identifier of each pixel's catchment, as in the coordinate ``catchment`` of
        `level` (without one, its position from 0). No pixel's identifier is negative,
        and 0 means none as well, unless it is one.
    ground : xarray.DataArray, shape (y, x)
        Height of each pixel, m; NaN where it is not known. Like `labels` it may be
        backed by Dask, in the same chunks.
    pixel_area : xarray.DataArray or float, optional
        Area of the pixels, m2: of all, or along the dimensions of the raster. Needed
        for volumes.
    volume : xarray.DataArray, shape (..., catchment), optional
        Water on the floodplain, m3, as ``flood_volume`` of `flood_extent`: moves the
        levels.

    Returns
    -------
    xarray.Dataset
        ``flood_depth`` (..., y, x) m, NaN where label or ground are unknown, lazy
        where the raster is; ``level`` (..., catchment) m as used; with `pixel_area`
        also ``fine_volume`` (..., catchment) m3, and with `volume` too
        ``volume_difference``, fine less coarse over coarse.

    Raises
    ------
    InputError
        If the rasters differ in shape, a label is not among the catchments, units are
        no length, or `volume` comes without `pixel_area`.
    KernelError
        The same of labels backed by Dask, when they are computed.

    Notes
    -----
    With `volume` the raster is gone through once per step of Newton's method.
    Catchments without a pixel hold no water and show a difference of -1.

    References
    ----------
    Yamazaki et al. (2011), Water Resour. Res. 47, W04501 (level over pixels). Nobre
    et al. (2011), J. Hydrol. 404, 13-29 (height above the nearest drainage).
    """
    _check(level, labels, ground, pixel_area, volume)
    labels = _as_positions(level, labels)
    n, extra = level.sizes["catchment"], [d for d in level.dims if d != "catchment"]
    stacked = level.transpose(*extra, "catchment")
    levels = stacked.values.reshape(-1, n).astype(float)
    area = None if pixel_area is None else _area(pixel_area, labels)
    if volume is not None:
        wanted = volume.transpose(*extra, "catchment").values.reshape(-1, n)
        levels = _conserving(levels, wanted, labels, ground, area)
    used = stacked.copy(data=levels.reshape(stacked.shape))
    depth = _depths(used, labels, ground, extra)
    result = xr.Dataset({"flood_depth": depth, "level": used.assign_attrs(units="m")})
    if area is not None:
        held = _sums(levels, labels, ground, area)[0].reshape(*stacked.shape)
        result["fine_volume"] = (stacked.dims, held, _VOLUME_ATTRS)
    if volume is not None:
        coarse = volume.transpose(*extra, "catchment")
        share = (result["fine_volume"] - coarse) / coarse.where(coarse > 0.0)
        result["volume_difference"] = share.assign_attrs(
            units="1", long_name="volume of the pixels less that of the catchment"
        )
    return result


def _as_positions(level: xr.DataArray, labels: xr.DataArray) -> xr.DataArray:
    """Return the position of each pixel's catchment, negative where it has none."""
    index = level.indexes.get("catchment")
    ids = np.arange(level.sizes["catchment"]) if index is None else np.asarray(index)
    if ids.dtype.kind not in "iu":
        raise InputError(
            f"catchments are called {ids[0]!r} and the like, which no raster holds: "
            "label pixels and catchments with whole numbers"
        )
    if labels.chunks is None:
        return labels.copy(data=_positions(labels.values, ids=ids))
    return apply_kernel(
        _positions,
        labels,
        core_dims=[()],
        output_dtypes=[np.int64],
        options={"ids": ids},
    )


def _positions(labels: np.ndarray, *, ids: np.ndarray) -> np.ndarray:
    """Return positions of identifiers, -1 for none."""
    order = np.argsort(ids)
    place = np.searchsorted(ids, labels, sorter=order)
    position = order[np.minimum(place, ids.size - 1)]
    known = ids[position] == labels
    strange = ~known & (labels > 0)
    if strange.any():
        raise InputError(
            f"{int(strange.sum())} pixels have labels that are no catchments, the "
            f"first is {labels[strange][0]}; catchments are called {ids.min()} to "
            f"{ids.max()}"
        )
    return np.where(known, position, -1)


_VOLUME_ATTRS = {"units": "m3", "long_name": "water on the pixels of the catchment"}


def _depths(
    used: xr.DataArray, labels: xr.DataArray, ground: xr.DataArray, extra: list[Any]
) -> xr.DataArray:
    """Return the depth of every pixel."""
    found = apply_kernel(
        _pixel_depths,
        labels,
        ground,
        core_dims=[(), ()],
        output_dims=[extra],
        output_dtypes=[np.result_type(ground.dtype, np.float32)],
        output_sizes={dim: used.sizes[dim] for dim in extra},
        options={"levels": used.values},
    )
    coords = {d: used[d] for d in extra if d in used.coords}
    attrs = {"units": "m", "long_name": "depth of the water above the ground"}
    return (
        found.transpose(*extra, *labels.dims).assign_coords(coords).assign_attrs(attrs)
    )


def _pixel_depths(
    labels: np.ndarray, ground: np.ndarray, *, levels: np.ndarray
) -> np.ndarray:
    """Return the depth on each pixel of a block, further dimensions of levels last."""
    known = (labels >= 0) & np.isfinite(ground)
    surface = levels[..., np.where(known, labels, 0)]  # (..., y, x)
    depth = np.maximum(surface - ground, 0.0)
    depth = np.where(known, depth, np.nan)
    return np.moveaxis(depth, range(levels.ndim - 1), range(-levels.ndim + 1, 0))


def _conserving(
    levels: np.ndarray,
    wanted: np.ndarray,
    labels: xr.DataArray,
    ground: xr.DataArray,
    area: xr.DataArray | None,
) -> np.ndarray:
    """Return the levels at which the pixels hold the wanted volumes.

    Newton's method on a convex, piecewise linear function: from above it never
    overshoots, from below the first step leads above. A dry start takes the lowest
    pixel as its first wet one.
    """
    lowest = _lowest(labels, ground, levels.shape[-1])
    empty = ~np.isfinite(lowest) | ~(wanted > 0.0)
    floor = np.where(np.isfinite(lowest), lowest, levels)
    found = np.where(empty, np.minimum(levels, floor), levels)
    for _ in range(STEPS):
        held, wet = _sums(found, labels, ground, area)
        missing = np.where(empty, 0.0, wanted - held)
        if (abs(missing) <= TOLERANCE * wanted).all() or not missing.any():
            break
        step = np.divide(missing, wet, out=np.zeros_like(missing), where=wet > 0)
        # Where no pixel is wet yet: up to the lowest, with an area that it surely has.
        dry = (wet <= 0.0) & (missing > 0.0)
        start = floor + np.maximum(abs(floor), 1.0) * 1e-6
        found = np.where(dry, start, found + step)
    return found


def _sums(
    levels: np.ndarray,
    labels: xr.DataArray,
    ground: xr.DataArray,
    area: xr.DataArray | None,
) -> np.ndarray:
    """Return volume and wet area per level and catchment, shape (2, k, catchment)."""
    reduce = partial(_block_sums, levels=levels)
    return _over_blocks(reduce, np.add, (2, *levels.shape), labels, ground, area)


def _block_sums(
    labels: np.ndarray, ground: np.ndarray, area: np.ndarray, *, levels: np.ndarray
) -> np.ndarray:
    """Return volume and wet area of one block."""
    known = (labels >= 0) & np.isfinite(ground)
    at, z, a = labels[known], ground[known].astype(float), area[known].astype(float)
    found = np.zeros((2, *levels.shape))
    for k, level in enumerate(levels):
        depth = np.maximum(level[at] - z, 0.0)
        depth = np.where(np.isfinite(depth), depth, 0.0)
        found[0, k] = np.bincount(at, a * depth, levels.shape[-1])
        found[1, k] = np.bincount(at, a * (depth > 0.0), levels.shape[-1])
    return found


def _lowest(labels: xr.DataArray, ground: xr.DataArray, n: int) -> np.ndarray:
    """Return the lowest pixel of each catchment, infinite where it has none."""
    return _over_blocks(
        partial(_block_lowest, n=n), np.minimum, (n,), labels, ground, None
    )


def _block_lowest(
    labels: np.ndarray, ground: np.ndarray, _area: np.ndarray, *, n: int
) -> np.ndarray:
    """Return the lowest pixel of each catchment within one block."""
    found = np.full(n, np.inf)
    known = (labels >= 0) & np.isfinite(ground)
    np.minimum.at(found, labels[known], ground[known])
    return found


def _over_blocks(
    reduce: Any,
    combine: np.ufunc,
    shape: tuple[int, ...],
    labels: xr.DataArray,
    ground: xr.DataArray,
    area: xr.DataArray | None,
) -> np.ndarray:
    """Reduce each block of the raster to an array and combine them in order."""
    weights = ground if area is None else area
    rasters = [labels, ground, weights]
    if all(raster.chunks is None for raster in rasters):
        return reduce(*(raster.values for raster in rasters))
    blocks = xr.unify_chunks(*(raster.chunk() for raster in rasters))
    delayed = load("dask", "dask").delayed
    parts = [block.data.to_delayed().ravel() for block in blocks]
    reduced = [delayed(reduce)(*part) for part in zip(*parts, strict=True)]
    total = None
    for value in load("dask", "dask").compute(*reduced):
        total = value if total is None else combine(total, value)
    return np.asarray(total).reshape(shape)


def _area(pixel_area: xr.DataArray | float, labels: xr.DataArray) -> xr.DataArray:
    """Return the area of every pixel, along the dimensions of the raster."""
    if not isinstance(pixel_area, xr.DataArray):
        pixel_area = xr.DataArray(float(pixel_area))
    sizes = {d: labels.sizes.get(d) for d in pixel_area.dims}
    if sizes != dict(pixel_area.sizes):
        raise InputError(
            f"pixel_area has the dimensions {dict(pixel_area.sizes)}, the raster "
            f"{dict(labels.sizes)}"
        )
    # By position: the raster's own coordinates need not be repeated on it.
    spread = pixel_area.drop_vars(pixel_area.coords).broadcast_like(
        labels.drop_vars(labels.coords)
    )
    return spread.transpose(*labels.dims)


def _check(
    level: xr.DataArray,
    labels: xr.DataArray,
    ground: xr.DataArray,
    pixel_area: xr.DataArray | float | None,
    volume: xr.DataArray | None,
) -> None:
    """Raise unless levels, labels and ground belong together."""
    if "catchment" not in level.dims:
        raise InputError(f"level needs the dimension catchment, has {level.dims}")
    if labels.dims != ground.dims or labels.shape != ground.shape:
        raise InputError(
            f"labels {dict(labels.sizes)} and ground {dict(ground.sizes)} must be one "
            "raster"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"labels hold positions of catchments, so whole numbers, got {labels.dtype}"
        )
    for name, array, units in (
        ("level", level, "m"),
        ("ground", ground, "m"),
        ("volume", volume, "m3"),
    ):
        if array is not None and array.attrs.get("units") != units:
            raise InputError(
                f"{name} must be in {units}, its units are "
                f"{array.attrs.get('units')!r}: use tilth.core.units.convert"
            )
    if volume is not None and pixel_area is None:
        raise InputError("volume needs pixel_area, in m2, to be held by the pixels")
    if volume is not None and set(volume.dims) != set(level.dims):
        raise InputError(
            f"volume {dict(volume.sizes)} needs the dimensions of level "
            f"{dict(level.sizes)}"
        )
