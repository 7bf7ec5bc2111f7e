"""What of the vegetation stands out of the snow: height, crown base and leaf area."""

from __future__ import annotations

from typing import NamedTuple

from tilth.core.accelerate import jax, jnp


class Stand(NamedTuple):
    """Vegetation above the surface, each array as broadcast from the arguments."""

    height: jax.Array  #: top of the canopy above the surface, m
    base: jax.Array  #: bottom of the canopy above the surface, m
    lai: jax.Array  #: leaf area index, m2 of leaves per m2 of ground


def under_snow(height, base, lai, snow_depth) -> Stand:
    r"""Vegetation that is left above the snow.

    Leaves are spread evenly between the base and the top of the canopy; those below
    the snow surface are out of play,

    .. math::

        h = \max(h_0 - D, 0), \quad h_B = \max(h_{B0} - D, 0), \quad
        LAI = LAI_0 \frac{h - h_B}{h_0 - h_{B0}} .

    Parameters
    ----------
    height, base : array_like
        Top and bottom of the canopy above the ground, in m (base <= height). Ground
        without vegetation has both zero.
    lai : array_like
        Leaf area index without snow.
    snow_depth : array_like
        Depth of the snow, in m; zero on the snow-free tile. The arrays broadcast, so
        a tile axis in front is served in one call.

    Returns
    -------
    Stand
        Height and base above the snow surface, and the leaf area index that is left.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    height, base, lai, depth = jnp.broadcast_arrays(height, base, lai, snow_depth)
    top = jnp.maximum(height - depth, 0.0)
    bottom = jnp.maximum(base - depth, 0.0)
    crown = height - base
    grows = crown > 0.0
    share = jnp.where(grows, (top - bottom) / jnp.where(grows, crown, 1.0), 0.0)
    return Stand(top, bottom, lai * share)
