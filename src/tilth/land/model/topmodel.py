"""Runoff from an idealised hillslope: the simplified TOPMODEL of MATSIRO.

A cell is a straight slope from ridge to valley. The conductivity of its ground decays
with depth, and the flow along it is as if steady; so the mean depth of the water table
gives both the base flow and the part of the slope that is saturated to the surface.
Rates are in m s-1 throughout.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jnp
from tilth.land.model.soil_water import curves_with_ice

__all__ = [
    "SurfaceRunoff",
    "WaterTable",
    "base_flow",
    "saturated_fraction",
    "slope_length",
    "surface_conductivity",
    "surface_runoff",
    "water_table_depth",
]

#: Decay of the conductivity with depth, m-1: 1/f = 0.333 m.
DECAY = 3.0

#: Depth at which the lateral conductivity is the soil's own, m.
REFERENCE_DEPTH = 2.0

#: Degree of saturation from which a layer counts as saturated.
_SATURATED = 1.0 - 1e-6


class WaterTable(NamedTuple):
    """What `water_table_depth` returns; the first axis: above and below the frost."""

    #: Mean depth of the table, m; equal to `base` where there is none (2, ...).
    depth: Any
    #: Depth of the ground that closes the body of water below, m (2, ...).
    base: Any
    #: 1 for the layer that base flow is taken from, else 0 (2, layer, ...).
    layer: Any
    #: Depth of the uppermost table there is, else of the column, m (...).
    uppermost: Any


class SurfaceRunoff(NamedTuple):
    """What `surface_runoff` returns, m s-1."""

    #: Rain on saturated ground.
    saturation_excess: Any
    #: Rain faster than the ground takes it.
    infiltration_excess: Any
    #: What enters the ground.
    infiltration: Any


def slope_length(elevation_spread: Any, slope: Any) -> Any:
    r"""Distance from ridge to valley.

    .. math:: L_s = 2 \sqrt{3}\, \sigma_z / \tan\beta .

    Parameters
    ----------
    elevation_spread : array_like
        Standard deviation of the elevation in the cell, in m: a sawtooth of height
        2 sqrt(3) sigma has it.
    slope : array_like
        tan(beta).

    Returns
    -------
    array
        In m.
    """
    return 2.0 * jnp.sqrt(3.0) * elevation_spread / slope


def surface_conductivity(
    conductivity: Any, *, decay: Any = DECAY, enhancement: Any = 1.0
) -> Any:
    r"""Lateral conductivity at the surface from that of the soil at depth.

    .. math:: K_0 = K_s E \exp(f z_r), \quad z_r = 2\ \mathrm{m} ,

    so that :math:`K_0 \exp(-f z)` passes through the soil's own at the depth below
    which macropores are rare.

    Parameters
    ----------
    conductivity : array_like
        Of the soil matrix at saturation, in m s-1.
    decay : array_like, optional
        f, in m-1.
    enhancement : array_like, optional
        E: how much more the ground lets through sideways than downward.

    Returns
    -------
    array
        In m s-1.

    References
    ----------
    Stieglitz et al. (1997), J. Clim. 10, 118-137. Chen & Kumar (2001), J. Clim. 14,
    1911-1930 (the compacted depth).
    """
    return conductivity * enhancement * jnp.exp(decay * REFERENCE_DEPTH)


def _body(inside: Any, degree: Any, head: Any, entry: Any, top: Any, end: Any) -> tuple:
    """Water table within one unfrozen body of layers; depth, base, layer, exists.

    Going up from the body's last layer, the first unsaturated one says where the table
    is: its head is that of a column at rest above it.
    """
    count = len(top)
    found = jnp.zeros_like(inside[0])
    any_inside = jnp.zeros_like(inside[0])
    depth = base = jnp.zeros_like(head[0])
    layer = [jnp.zeros_like(head[0])] * count
    below = jnp.zeros_like(inside[0])  # whether the layer below belongs to the body
    for k in range(count - 1, -1, -1):
        here = inside[k] & ~found
        base = jnp.where(here & ~any_inside, end[k], base)
        any_inside = any_inside | inside[k]
        rest = top[k] - head[k]
        wet = degree[k] >= _SATURATED
        highest = here & ((k == 0) | ~inside[k - 1]) & wet  # saturated to its top
        stop = here & (~wet | highest)
        # Not deeper than the capillary fringe of the saturated layer below.
        lower = min(k + 1, count - 1)
        fringe = jnp.where(below, end[k] - entry[lower], jnp.inf)
        depth = jnp.where(stop, jnp.minimum(rest, fringe), depth)
        beneath = stop & below & (rest > end[k])
        layer[k] = jnp.where(stop & ~beneath, 1.0, layer[k])
        layer[lower] = jnp.where(beneath, 1.0, layer[lower])
        found = found | stop
        below = inside[k]
    exists = found & (depth < base)
    return (
        jnp.where(exists, depth, base),
        base,
        jnp.where(exists, jnp.stack(layer), 0.0),
        exists,
    )


def water_table_depth(
    water: Any,
    ice: Any,
    hydraulics: Any,
    thickness: Any,
    *,
    frozen_share: float = 0.5,
) -> WaterTable:
    r"""Mean depth of the water table, above and below frozen ground.

    .. math:: \bar z = z_{top,k} - \psi_k ,

    k the lowest unsaturated layer of a body of unfrozen layers: the water below it is
    taken to be at rest. Layers above the uppermost frozen layer are one body, those
    below the lowest frozen layer the other; with no frost all belong to the first.

    Parameters
    ----------
    water, ice : array (layer, ...)
        All water, and the frozen part of it as liquid equivalent, in m3 m-3.
    hydraulics : ClappHornberger or VanGenuchten
        Fields that broadcast with `water`.
    thickness : array (layer,)
        In m.
    frozen_share : float, optional
        A layer holds water back like rock from this share of ice in its water on.

    Returns
    -------
    WaterTable
        depth, base, layer, uppermost.

    References
    ----------
    Takata, Emori & Watanabe (2003), Glob. Planet. Change 38, 209-222.
    """
    water = jnp.asarray(water, float)
    thickness = jnp.asarray(thickness, float)
    end = jnp.cumsum(thickness)
    top = end - thickness
    liquid = water - ice
    curves = curves_with_ice(hydraulics, ice)
    degree = curves.saturation_degree(liquid)
    head = jnp.minimum(curves.head(liquid), 0.0)
    entry = jnp.minimum(curves.head(curves.saturation + 0.0 * liquid), 0.0)
    frozen = ice > frozen_share * jnp.maximum(water, 1e-12)
    frost_above = jnp.cumsum(frozen, axis=0) > 0
    frost_below = jnp.flip(jnp.cumsum(jnp.flip(frozen, 0), axis=0), 0) > 0
    bodies = (~frost_above, frost_above[-1:] & ~frost_below)
    parts = [_body(inside, degree, head, entry, top, end) for inside in bodies]
    depth, base, layer, exists = (jnp.stack(x) for x in zip(*parts, strict=True))
    uppermost = jnp.where(exists[0], depth[0], jnp.where(exists[1], depth[1], end[-1]))
    return WaterTable(depth, base, layer, uppermost)


def saturated_fraction(depth: Any, *, decay: Any = DECAY) -> Any:
    r"""Part of the slope that is saturated to the surface.

    .. math:: A_{sat} = \max[0, 1 - \exp(f \bar z - 1)] .

    Parameters
    ----------
    depth : array_like
        Mean depth of the water table, in m.
    decay : array_like, optional
        f, in m-1.

    Returns
    -------
    array
        Between 0 and 1 - 1/e.

    References
    ----------
    Takata, Emori & Watanabe (2003), Glob. Planet. Change 38, 209-222, after Sivapalan
    et al. (1987), Water Resour. Res. 23, 2266-2278.
    """
    return 1.0 - jnp.exp(jnp.minimum(decay * jnp.maximum(depth, 0.0) - 1.0, 0.0))


def base_flow(
    table: WaterTable,
    conductivity: Any,
    slope: Any,
    length: Any,
    *,
    decay: Any = DECAY,
) -> Any:
    r"""Groundwater that leaves each layer along the slope.

    .. math:: R_b = \frac{K_0 \tan\beta}{f L_s}
       [\exp(1 - f \bar z) - \exp(1 - f z_b)] ,

    z_b the depth of the ground below that lets nothing through: frost or the column's
    bottom. Summed over the body above frost and the one below.

    Parameters
    ----------
    table : WaterTable
        Of the column.
    conductivity : array (...)
        Lateral, at the surface; see `surface_conductivity`, in m s-1.
    slope : array (...)
        tan(beta).
    length : array (...)
        From ridge to valley, in m; see `slope_length`.
    decay : array_like, optional
        f, in m-1.

    Returns
    -------
    array (layer, ...)
        In m s-1; its sum is the base flow.

    References
    ----------
    Stieglitz et al. (1997), J. Clim. 10, 118-137. Takata, Emori & Watanabe
    (2003), Glob. Planet. Change 38, 209-222 (frozen ground).
    """
    scale = conductivity * slope / (decay * length)
    shallow = jnp.minimum(table.depth, table.base)
    flow = scale * (jnp.exp(1.0 - decay * shallow) - jnp.exp(1.0 - decay * table.base))
    return jnp.sum(flow[:, None] * table.layer, axis=0)


def surface_runoff(
    convective: Any,
    stratiform: Any,
    saturated: Any,
    capacity: Any,
    *,
    convective_fraction: float = 0.1,
) -> SurfaceRunoff:
    r"""Rain that does not enter the ground.

    .. math:: R_s = (P_c + P_l) A_{sat}, \quad
       R_i = (1 - A_{sat}) [A_c (P_c / A_c + P_l - K_s)_+ + (1 - A_c)(P_l - K_s)_+] .

    Parameters
    ----------
    convective, stratiform : array_like
        Water that reaches the ground, of showers and of wide-spread rain or melt, in
        m s-1.
    saturated : array_like
        Saturated part of the slope, see `saturated_fraction`.
    capacity : array_like
        Conductivity of the first layer at saturation, in m s-1.
    convective_fraction : float, optional
        Part of the cell that showers fall on, A_c.

    Returns
    -------
    SurfaceRunoff
        The three parts; their sum is the water that came.

    References
    ----------
    Takata, Emori & Watanabe (2003), Glob. Planet. Change 38, 209-222.
    """
    total = convective + stratiform
    dunne = total * saturated
    shower = jnp.maximum(convective / convective_fraction + stratiform - capacity, 0.0)
    between = jnp.maximum(stratiform - capacity, 0.0)
    horton = (1.0 - saturated) * (
        convective_fraction * shower + (1.0 - convective_fraction) * between
    )
    return SurfaceRunoff(dunne, horton, total - dunne - horton)
