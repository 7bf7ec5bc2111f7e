r"""Levees: the river rises between them first, and spills over their crown.

A levee stands at a share of the floodplain's width from the channel, parallel to it,
with its crown at one height. Up to the height of the ground at the levee (its base)
the floodplain fills as without one. Above the base the water stands in a channel with
vertical sides, to the crown. Then it spills: the river side stays at the crown while
the protected side fills from the ground beside the levee upwards, until both stand at
the crown and the floodplain fills as without a levee again (Zhao et al. 2025). Storage
alone decides, so that nothing more than it must be kept.

With the width to the levee :math:`d` (channel included), the channel's length
:math:`L`, and the volume :math:`V(h)` of the plain floodplain at a flood depth `h`:

.. math::

   S_\mathrm{base} = V(z_\mathrm{base}), \quad
   S_\mathrm{crown} = S_\mathrm{base} + d L (z_\mathrm{crown} - z_\mathrm{base}), \quad
   S_\mathrm{full} = V(z_\mathrm{crown}) .

All heights are above the river bank (the network's ``elevation``).

References
----------
Zhao, G., Yamazaki, D., Tanaka, Y., et al. (2025). Developing a levee module for global
flood modeling with a reach-level parameterization approach. Water Resources Research
61, e2024WR039790. https://doi.org/10.1029/2024WR039790
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numba import njit

from tilth.rivers.routing.structures import columns, refuse


@njit(cache=True, nogil=True, error_model="numpy")
def plain_volume(depth, length, width, layer_width, heights, storages):
    r"""Return what river and floodplain hold at a flood depth, without levees.

    Compiled; plain numbers and arrays only.

    Parameters
    ----------
    depth : float
        Flood depth above the bank, m; not negative.
    length, width : float
        Of the channel, m.
    layer_width : float
        Width of each floodplain layer, m: its area over the length.
    heights : numpy.ndarray of float, (layer,)
        Upper edge of each layer above the bank, m; not decreasing.
    storages : numpy.ndarray of float, (layer + 1,)
        Storage with the channel bank-full and with each layer full, m3.

    Returns
    -------
    float
        Storage, m3.

    Examples
    --------
    >>> import numpy as np
    >>> layers = np.array([2.0]), np.array([1e4, 1e4 + 1e3 * (10 + 25) * 2])
    >>> float(plain_volume(2.0, 1e3, 10.0, 50.0, *layers))
    80000.0
    """
    lower = 0.0
    for layer in range(heights.size):
        upper = heights[layer]
        if depth < upper:
            rise = depth - lower
            left = width + layer * layer_width
            extra = rise / (upper - lower) * layer_width
            return storages[layer] + length * rise * (left + 0.5 * extra)
        lower = upper
    full = width + heights.size * layer_width
    return storages[heights.size] + length * full * (depth - lower)


@njit(cache=True, nogil=True, error_model="numpy")
def levee_marks(share, crown, length, width, layer_width, heights, storages):
    """Return the heights and storages at which a levee changes how water spreads.

    Parameters
    ----------
    share : float
        Where the levee stands: share of the floodplain's width on the river side,
        0 ... 1.
    crown : float
        Height of its crown above the bank, m. Not above the ground it stands on: as
        if there was none.
    length, width, layer_width, heights, storages
        As for `plain_volume`.

    Returns
    -------
    base, crown : float
        Height of the ground at the levee and of its crown, m.
    base_storage, crown_storage, full_storage : float
        Storage with water at the base, at the crown on the river side, and at the
        crown on both sides, m3.
    """
    layers = heights.size
    place = share * layers
    layer = min(int(place), layers - 1)
    lower = heights[layer - 1] if layer > 0 else 0.0
    base = lower + (place - layer) * (heights[layer] - lower)
    crown = max(crown, base)
    base_storage = plain_volume(base, length, width, layer_width, heights, storages)
    across = width + place * layer_width
    crown_storage = base_storage + length * across * (crown - base)
    full_storage = plain_volume(crown, length, width, layer_width, heights, storages)
    return base, crown, base_storage, crown_storage, max(full_storage, crown_storage)


@njit(cache=True, nogil=True, error_model="numpy")
def levee_stage(
    storage,
    share,
    base,
    crown,
    base_storage,
    crown_storage,
    length,
    width,
    layer_width,
    heights,
    storages,
):
    r"""Return how water stands that reaches a levee and does not drown it.

    Only for storages between the levee's ``base_storage`` and ``full_storage``;
    outside them the plain floodplain's stage holds. Compiled; plain numbers and
    arrays only.

    Parameters
    ----------
    storage : float
        Water in river and floodplain, both sides, m3.
    share : float
        Share of the floodplain's width on the river side, 0 ... 1.
    base, crown, base_storage, crown_storage : float
        Of `levee_marks`.
    length, width, layer_width, heights, storages
        As for `plain_volume`.

    Returns
    -------
    flood_depth : float
        Depth above the bank on the river side, m.
    flood_fraction : float
        Share of the floodplain under water, both sides, 0 ... 1.
    protected_storage : float
        Water on the protected side, m3.
    protected_level : float
        Its level above the bank, m; the base where there is none.
    """
    layers = heights.size
    place = share * layers
    across = width + place * layer_width
    if storage <= crown_storage:
        depth = base + (storage - base_storage) / (length * across)
        return min(depth, crown), share, 0.0, base
    protected = storage - crown_storage
    # Layer by layer from the levee: `held` is what the protected side holds when full
    # to the lower edge of a layer, `wide` how wide it is there.
    lower, held, wide = base, 0.0, 0.0
    for layer in range(min(int(place), layers - 1), layers):
        upper = max(heights[layer], base)
        widen = (layer + 1 - place) * layer_width - wide
        rise = upper - lower
        more = length * rise * (wide + 0.5 * widen)
        if protected < held + more:
            # rise / widen is the slope of the ground: a quadratic in the new width.
            slope = rise / widen
            extra = protected - held
            root = math.sqrt(wide * wide + 2.0 * extra / (length * slope))
            new = min(2.0 * extra / (length * slope) / (root + wide), widen)
            level = min(lower + slope * new, crown)
            fraction = (place * layer_width + wide + new) / (layers * layer_width)
            return crown, min(fraction, 1.0), protected, level
        held += more
        wide += widen
        lower = upper
    level = crown
    if wide > 0.0:
        level = min(lower + (protected - held) / (length * wide), crown)
    return crown, 1.0, protected, level


@dataclass(frozen=True)
class Levees:
    """Levees of a network, one pair along the channel of each catchment named.

    Parameters
    ----------
    catchment : sequence
        Identifiers of the catchments, as in the network.
    share : float or sequence of float
        Where the levee stands: share of the floodplain's width on the river side;
        0 is at the channel, 1 at the edge of the catchment.
    crown : float or sequence of float
        Height of the crown above the river bank, m.

    Raises
    ------
    InputError
        If a catchment comes twice, lengths differ, or a number is not possible.

    Examples
    --------
    >>> Levees([4, 9], share=0.2, crown=[3.0, 2.5]).share
    array([0.2, 0.2])
    """

    catchment: Any
    share: Any
    crown: Any

    def __post_init__(self) -> None:
        columns(self, "levee", ("share", "crown"))
        refuse(
            self,
            "share",
            (self.share < 0) | (self.share > 1),
            "must lie between 0 and 1: it is a share of the floodplain, not of 100",
        )
        refuse(
            self,
            "crown",
            (self.crown < 0) | (self.crown > 100),
            "must be 0 ... 100 m above the river bank: take elevations above the sea "
            "minus the elevation of the bank",
        )
