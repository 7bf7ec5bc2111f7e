"""Floodplain profiles: how high the ground of a unit catchment lies above its river."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from tilth.core.errors import InputError

#: Equal steps of area in a profile (CaMa-Flood v4: NLFP).
LAYERS = 10

#: Areas are sums of many cells: a step of area is reached when it is but for rounding.
_ROUNDING = 1e-12


def floodplain_profile(
    height: npt.ArrayLike,
    catchment: npt.ArrayLike,
    area: npt.ArrayLike,
    size: int,
    layers: int = LAYERS,
) -> np.ndarray:
    r"""Heights below which equal shares of each unit catchment lie.

    The height of layer :math:`k` of :math:`n` is the lowest below or at which at least
    the share :math:`k / n` of the catchment's area lies,

    .. math:: h_k = \min\{h : A(\le h) \ge A\,k/n\} ,

    so that the last is the height of the catchment's highest cell.

    Parameters
    ----------
    height : array_like, shape (cell)
        Height of each cell of the terrain above the river it drains to, m (see
        `height_above_river`). Below zero counts as zero.
    catchment : array_like of int, shape (cell)
        Position of the catchment that each cell belongs to; negative for none.
    area : array_like, shape (cell)
        Area of each cell, m2 (or in any other unit).
    size : int
        Number of catchments.
    layers : int, default 10
        Number of steps of area.

    Returns
    -------
    numpy.ndarray, shape (size, layers)
        Heights in m, not decreasing with the layer.

    Raises
    ------
    InputError
        If a catchment has no cell, or a cell no height or area.

    References
    ----------
    Yamazaki et al. (2011), Water Resources Research 47, W04501, section 2.2.

    Examples
    --------
    >>> floodplain_profile([3.0, 0.0, 1.0, 9.0], [0, 0, 0, 0], np.ones(4), 1, layers=2)
    array([[1., 9.]])
    """
    height = np.ascontiguousarray(height, float).ravel()
    catchment = np.ascontiguousarray(catchment, np.int64).ravel()
    area = np.ascontiguousarray(area, float).ravel()
    if not height.size == catchment.size == area.size:
        raise InputError(
            f"{height.size} heights, {catchment.size} catchments and {area.size} areas "
            "do not belong together: there must be one of each for every cell"
        )
    if layers < 1:
        raise InputError(f"a profile needs at least one layer, got {layers}")
    inside = catchment >= 0
    if catchment.max(initial=-1) >= size:
        raise InputError(
            f"catchments count from 0 to {size - 1}, one cell has {catchment.max()}"
        )
    wrong = inside & ~(np.isfinite(height) & np.isfinite(area) & (area > 0))
    if wrong.any():
        raise InputError(
            f"{int(wrong.sum())} of {int(inside.sum())} cells of catchments have no "
            f"height or no area; the first is cell {int(np.flatnonzero(wrong)[0])}"
        )
    cells = np.bincount(catchment[inside], minlength=size)
    if size and not cells.min():
        raise InputError(
            f"{int((cells == 0).sum())} of {size} catchments have no cell, the first "
            f"is {int(np.flatnonzero(cells == 0)[0])}: is the terrain fine enough?"
        )
    return _profiles(np.maximum(height, 0.0), catchment, area, cells, layers)


@njit(cache=True)
def height_above_river(downstream, order, river, elevation):
    """Height of each cell above the river cell that its water comes to.

    Parameters
    ----------
    downstream : numpy.ndarray of int64, shape (cell)
        Next cell of each, itself where water leaves, negative outside.
    order : numpy.ndarray of int64
        Cells such that each comes after the one it flows into.
    river : numpy.ndarray of bool, shape (cell)
        Cells of rivers. A cell whose water meets none is taken above its outlet.
    elevation : numpy.ndarray of float64, shape (cell)
        Elevation, m.

    Returns
    -------
    numpy.ndarray of float64, shape (cell)
        Height in m, NaN outside. Negative where a cell lies below its river.

    References
    ----------
    Renno et al. (2008), Remote Sensing of Environment 112, 3469-3481 (HAND).

    Examples
    --------
    >>> import numpy as np
    >>> down, river = np.array([1, 2, 2]), np.array([False, True, True])
    >>> height_above_river(down, np.array([2, 1, 0]), river, np.array([9.0, 4.0, 3.0]))
    array([5., 0., 0.])
    """
    height = np.full(elevation.size, np.nan)
    base = np.empty(elevation.size)
    for i in order:
        after = downstream[i]
        base[i] = elevation[i] if river[i] or after == i else base[after]
        height[i] = elevation[i] - base[i]
    return height


@njit(cache=True)
def _profiles(height, catchment, area, cells, layers):
    """Group cells by catchment, sort each group, and read its heights off."""
    size = cells.size
    start = np.zeros(size + 1, np.int64)
    for i in range(size):
        start[i + 1] = start[i] + cells[i]
    fill = start[:-1].copy()
    member = np.empty(start[size], np.int64)
    for i in range(height.size):
        if catchment[i] >= 0:
            member[fill[catchment[i]]] = i
            fill[catchment[i]] += 1
    profile = np.empty((size, layers))
    for i in range(size):
        group = member[start[i] : start[i + 1]]
        group = group[np.argsort(height[group])]
        whole = 0.0
        for cell in group:
            whole += area[cell]
        below = 0.0
        layer = 0
        for cell in group:
            below += area[cell]
            while layer < layers and below >= whole * (layer + 1) / layers * (
                1.0 - _ROUNDING
            ):
                profile[i, layer] = height[cell]
                layer += 1
    return profile
