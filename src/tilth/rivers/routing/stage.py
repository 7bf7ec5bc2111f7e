r"""How water stands in a unit catchment: depths and flooded share from its storage.

Water fills the channel first, and then the floodplain from its lowest land: all of it
stands at one level (Yamazaki et al. 2011). The floodplain rises in layers of the same
width :math:`\Delta W`, each with one gradient :math:`\gamma_i`. When a storage S fills
the layers below i, with the width :math:`W_i = W + (i - 1) \Delta W` and the water
:math:`S_{i-1}`, the flooded width in layer i is

.. math:: w = -W_i + \sqrt{W_i^2 + 2 (S - S_{i-1}) / (L \gamma_i)}

and the depth over the bank :math:`z_{i-1} + \gamma_i w`. Above the last layer the walls
are vertical. A flat layer holds nothing between its edges: S is never within it.

References
----------
Yamazaki et al. (2011), Water Resources Research 47, W04501, eqs. 1-2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import Geometry, plain
from tilth.rivers.routing.kernel_edition import edition_of
from tilth.rivers.routing.kernel_roots import FAST
from tilth.rivers.routing.levees import levee_stage

__all__ = ["Stages", "levee_stage_at", "stage_in_layer", "stages", "storage_at"]


class Stages(NamedTuple):
    """How the water stands; arrays of the shape (catchment).

    Parameters
    ----------
    river_depth : array
        In the channel, above its bed, m.
    flood_depth : array
        Above the bank, on the river side of a levee, m.
    flood_fraction : array
        Share of the unit catchment under water beside the channel, 1.
    flood_storage : array
        Water on the floodplain, without that above the channel, m3.
    protected_storage : array
        Of this, what stands behind levees, m3.
    water_level : array
        Elevation of the channel's surface, m.
    """

    river_depth: np.ndarray
    flood_depth: np.ndarray
    flood_fraction: np.ndarray
    flood_storage: np.ndarray
    protected_storage: np.ndarray
    water_level: np.ndarray


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def stage_in_layer(above, k, layers, low, rise, length, width, layer_width):
    """Return how water stands whose level is in a layer of the floodplain; compiled.

    Plain numbers only: arrays given to a function are counted at every call.

    Parameters
    ----------
    above : float
        Water above the layer's lower edge, m3.
    k : int
        Number of the layer, from 0; the number of layers means above the last.
    layers : int
        Number of layers.
    low : float
        Height of the layer's lower edge above the bank, m.
    rise : float
        By which the layer rises over its width, m, above zero; any above the last.
    length, width, layer_width : float
        Of the channel and of a layer, m.

    Returns
    -------
    flood_depth, flood_fraction : float
        As in `Stages`.
    """
    wide = width + k * layer_width
    if k == layers:
        return low + above / (wide * length), 1.0
    part = 2.0 * above * layer_width / (length * rise)
    # As -wide + sqrt(...), without the difference of two large numbers.
    flooded = part / (math.sqrt(wide * wide + part) + wide)
    share = min(flooded / layer_width, 1.0)
    return low + rise * share, (k + share) / layers


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def levee_stage_at(storage, i, geometry):
    """Return how water stands between a levee's base and its drowning; compiled.

    Parameters
    ----------
    storage : float
        Water in channel and floodplain, m3.
    i : int
        Position of a catchment with a levee.
    geometry : Geometry
        The network.

    Returns
    -------
    flood_depth, flood_fraction, protected_storage : float
        As in `Stages`.
    """
    levees = geometry.levees
    row = levees.row[i]
    flood, fraction, protected, _ = levee_stage(
        storage,
        levees.share[row],
        levees.base[row],
        levees.crown[row],
        levees.base_storage[row],
        levees.crown_storage[row],
        geometry.length[i],
        geometry.width[i],
        geometry.layer_width[i],
        geometry.layer_height[i, 1:],
        geometry.layer_storage[i],
    )
    return flood, fraction, protected


def _compiled_stages(edition: int) -> Callable[..., int]:
    """Return the function that fills `Stages`, compiled for these sources."""

    @njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
    def fill(geometry, storage, out):
        length, width, depth = geometry.length, geometry.width, geometry.depth
        layer_width, bed = geometry.layer_width, geometry.bed
        height, volume = geometry.layer_height, geometry.layer_storage
        levee, base = geometry.levees.row, geometry.levees.base_storage
        full = geometry.levees.full_storage
        leveed = levee.size > 0
        layers = volume.shape[1] - 1
        for i in range(storage.size):
            now = storage[i]
            bottom = length[i] * width[i]
            river, flood, fraction, held, protected = now / bottom, 0.0, 0.0, 0.0, 0.0
            if now > volume[i, 0]:
                row = levee[i] if leveed else -1
                if row >= 0 and base[row] < now and now < full[row]:
                    flood, fraction, protected = levee_stage_at(now, i, geometry)
                else:
                    k = 0
                    while k < layers and now > volume[i, k + 1]:
                        k += 1
                    flood, fraction = stage_in_layer(
                        now - volume[i, k],
                        k,
                        layers,
                        height[i, k],
                        height[i, min(k + 1, layers)] - height[i, k],
                        length[i],
                        width[i],
                        layer_width[i],
                    )
                held = max(now - volume[i, 0] - bottom * flood, 0.0)
                protected = min(protected, held)
                river = depth[i] + flood
            out.river_depth[i] = river
            out.flood_depth[i] = flood
            out.flood_fraction[i] = fraction
            out.flood_storage[i] = held
            out.protected_storage[i] = protected
            out.water_level[i] = bed[i] + river
        return edition

    return fill


_stages = _compiled_stages(edition_of("stage", "levees", "kernel_roots"))


def stages(geometry: Geometry, storage: np.ndarray) -> Stages:
    """Return how the water of every catchment stands.

    Parameters
    ----------
    geometry : Geometry
        The network.
    storage : array, shape (catchment)
        Water in channel and floodplain, m3.

    Returns
    -------
    Stages

    Raises
    ------
    InputError
        If a storage is negative or not a number.
    """
    held = plain(storage, np.float64)
    if held.shape != geometry.area.shape:
        raise InputError(
            f"storage has the shape {held.shape}, the network {geometry.area.size} "
            "catchments"
        )
    wrong = np.flatnonzero(~(held >= 0.0))
    if wrong.size:
        raise InputError(
            f"storage must not be negative, it is {held[wrong[0]]} m3 at position "
            f"{wrong[0]}"
        )
    out = Stages(*(np.empty(held.size) for _ in Stages._fields))
    _stages(geometry, held, out)
    return out


def storage_at(geometry: Geometry, water_level: np.ndarray) -> np.ndarray:
    """Return the storages that stand at given levels: the inverse of `stages`.

    Parameters
    ----------
    geometry : Geometry
        The network, its levees left out of account.
    water_level : array, shape (catchment)
        Elevation of the surface, m; below the bed the catchment is dry.

    Returns
    -------
    array, shape (catchment)
        Water in channel and floodplain, m3.
    """
    depth = np.maximum(water_level - geometry.bed, 0.0)
    over = np.maximum(depth - geometry.depth, 0.0)
    held = geometry.length * geometry.width * np.minimum(depth, geometry.depth)
    height, layer_width = geometry.layer_height, geometry.layer_width
    layers = height.shape[1] - 1
    for k in range(layers):
        rise = height[:, k + 1] - height[:, k]
        part = np.clip(over - height[:, k], 0.0, rise)
        left = geometry.width + k * layer_width
        share = np.divide(part, rise, out=np.zeros_like(part), where=rise > 0.0)
        held += geometry.length * part * (left + 0.5 * share * layer_width)
    top = np.maximum(over - height[:, layers], 0.0)
    return held + geometry.length * top * (geometry.width + layers * layer_width)
