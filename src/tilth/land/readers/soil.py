"""Soil water of layers summed down to a depth, with the layer that lies across it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from tilth.core.constants import WATER_DENSITY
from tilth.core.errors import InputError


def overlap(thickness: Sequence[float] | np.ndarray, depth: float) -> np.ndarray:
    """Return how much of each layer lies above a depth, m.

    Parameters
    ----------
    thickness : sequence of float
        Of the layers from the top, m.
    depth : float
        Positive downwards, m.

    Returns
    -------
    numpy.ndarray
        Between zero and the thickness of each.

    Raises
    ------
    InputError
        If the depth is not positive or lies below the layers.

    Examples
    --------
    >>> overlap([0.1, 0.3, 1.5], 0.25).round(2).tolist()
    [0.1, 0.15, 0.0]
    """
    layers = np.asarray(thickness, float)
    bottom = np.cumsum(layers)
    if not 0.0 < depth <= bottom[-1] * (1 + 1e-9):
        raise InputError(
            f"the soil of {len(layers)} layers is {bottom[-1]:g} m deep: a depth of "
            f"{depth:g} m cannot be taken from it"
        )
    return np.clip(depth - (bottom - layers), 0.0, layers)


def sum_layers(
    layers: xr.DataArray,
    dim: str,
    *,
    volumetric: bool,
    thickness: Sequence[float] | None,
    depth: float | None = None,
    count: int | None = None,
) -> xr.DataArray:
    r"""Sum the soil water down to a depth, or of the topmost layers.

    .. math:: W = \rho_w \sum_k \theta_k\, \Delta z_k(z)
        \quad\text{or}\quad W = \sum_k W_k\, \Delta z_k(z) / \Delta z_k

    with the part :math:`\Delta z_k(z)` of the layer that lies above the depth: water
    is taken as even within a layer.

    Parameters
    ----------
    layers : xarray.DataArray
        m3 m-3, or mm per layer, with the layers along `dim` from the top.
    dim : str
        Dimension of the layers.
    volumetric : bool
        They are m3 m-3.
    thickness : sequence of float, optional
        Of the layers from the top, m; may go deeper than the data.
    depth : float, optional
        m; one of depth and count.
    count : int, optional
        Number of topmost layers.

    Returns
    -------
    xarray.DataArray
        mm, without `dim`.

    Raises
    ------
    InputError
        If the thickness is needed and not known, or the layers do not reach.
    """
    n = layers.sizes[dim]
    if (depth is None) == (count is None):
        raise InputError("say either the depth of the soil water or the layers of it")
    if count is not None and not 1 <= count <= n:
        raise InputError(f"the file has {n} soil layers: {count} cannot be taken")
    if thickness is None:
        if depth is not None or volumetric:
            raise InputError(
                "the thickness of the soil layers is not known: give thickness (m, "
                "from the top) in the column map"
                + ("" if volumetric else ", or a number of whole layers")
            )
        return layers.isel({dim: slice(0, count)}).sum(dim, skipna=False)
    if len(thickness) < n:
        raise InputError(
            f"the file has {n} soil layers, the column map a thickness for "
            f"{len(thickness)}: give one for each"
        )
    known = np.asarray(thickness[:n], float)
    taken = overlap(known, float(known[:count].sum()) if count else float(depth or 0))
    per_layer = taken * WATER_DENSITY if volumetric else taken / known
    weight = xr.DataArray(per_layer, dims=dim)
    reached = layers.isel({dim: taken > 0})
    return (reached * weight.isel({dim: taken > 0})).sum(dim, skipna=False)
