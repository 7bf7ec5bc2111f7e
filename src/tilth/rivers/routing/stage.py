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
from typing import NamedTuple

import numpy as np
from numba import njit

from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import Geometry
from tilth.rivers.routing.levees import levee_stage

__all__ = ["Stages", "stage", "stage_with_levee", "stages", "storage_at"]


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


@njit(cache=True, nogil=True, error_model="numpy")
def stage(storage, i, length, width, depth, layer_width, height, volume):
    """Return how a catchment's water stands, without levees; compiled.

    Parameters
    ----------
    storage : float
        Water in channel and floodplain, m3, not negative.
    i : int
        Position of the catchment.
    length, width, depth, layer_width : array, shape (catchment)
        Of the geometry, m.
    height, volume : array, shape (catchment, layer + 1)
        ``layer_height`` and ``layer_storage`` of the geometry, m and m3.

    Returns
    -------
    river_depth, flood_depth, flood_fraction, flood_storage : float
        As in `Stages`.
    """
    bottom = length[i] * width[i]
    bank = volume[i, 0]
    if storage <= bank:
        return storage / bottom, 0.0, 0.0, 0.0
    layers = volume.shape[1] - 1
    across = layer_width[i]
    k = 0
    while k < layers and storage > volume[i, k + 1]:
        k += 1
    wide = width[i] + k * across
    above = storage - volume[i, k]
    if k == layers:
        flood_depth = height[i, k] + above / (wide * length[i])
        fraction = 1.0
    else:
        gradient = (height[i, k + 1] - height[i, k]) / across
        part = 2.0 * above / (length[i] * gradient)
        # As -wide + sqrt(...), without the difference of two large numbers.
        flooded = part / (math.sqrt(wide * wide + part) + wide)
        flood_depth = height[i, k] + gradient * flooded
        fraction = min((k * across + flooded) / (layers * across), 1.0)
    flood_storage = max(storage - bank - bottom * flood_depth, 0.0)
    return depth[i] + flood_depth, flood_depth, fraction, flood_storage


@njit(cache=True, nogil=True, error_model="numpy")
def stage_with_levee(storage, i, geometry):
    """Return how a catchment's water stands beside or over its levee; compiled.

    Parameters
    ----------
    storage : float
        Water in channel and floodplain, m3, not negative.
    i : int
        Position of a catchment with a levee.
    geometry : Geometry
        The network.

    Returns
    -------
    river_depth, flood_depth, flood_fraction, flood_storage, protected_storage : float
        As in `Stages`.
    """
    levees = geometry.levees
    row = levees.row[i]
    if storage <= levees.base_storage[row] or storage >= levees.full_storage[row]:
        depth, flood, fraction, held = stage(
            storage,
            i,
            geometry.length,
            geometry.width,
            geometry.depth,
            geometry.layer_width,
            geometry.layer_height,
            geometry.layer_storage,
        )
        return depth, flood, fraction, held, 0.0
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
    above_bed = geometry.layer_storage[i, 0]
    above_bed += geometry.length[i] * geometry.width[i] * flood
    held = max(storage - above_bed, 0.0)
    return geometry.depth[i] + flood, flood, fraction, held, min(protected, held)


@njit(cache=True, nogil=True, error_model="numpy")
def _stages(storage, geometry, out):
    for i in range(storage.size):
        protected = 0.0
        if geometry.levees.row.size and geometry.levees.row[i] >= 0:
            depth, flood, fraction, held, protected = stage_with_levee(
                storage[i], i, geometry
            )
        else:
            depth, flood, fraction, held = stage(
                storage[i],
                i,
                geometry.length,
                geometry.width,
                geometry.depth,
                geometry.layer_width,
                geometry.layer_height,
                geometry.layer_storage,
            )
        out.river_depth[i] = depth
        out.flood_depth[i] = flood
        out.flood_fraction[i] = fraction
        out.flood_storage[i] = held
        out.protected_storage[i] = protected
        out.water_level[i] = geometry.bed[i] + depth


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
    held = np.ascontiguousarray(storage, np.float64)
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
    _stages(held, geometry, out)
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
