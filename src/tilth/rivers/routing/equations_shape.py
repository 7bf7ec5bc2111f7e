"""A network's geometry with other channels or floodplains, in JAX."""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jnp
from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import Geometry
from tilth.rivers.routing.settings import Settings

__all__ = ["reshaped"]

#: What can be given; the other arrays of the shape follow from these.
SHAPE = (
    "distance",
    "length",
    "width",
    "depth",
    "elevation",
    "area",
    "manning",
    "layer_height",
)


def reshaped(geometry: Geometry, settings: Settings, **shape: Any) -> Geometry:
    """Return the geometry with other shapes, and all that follows from them.

    The bed's elevation, the channel's slope, and the width and storage of floodplain
    layers are computed anew, as `tilth.rivers.routing.geometry.geometry_of` does, so
    that a derivative with respect to a width counts what the channel then holds.

    Parameters
    ----------
    geometry : Geometry
        Of `geometry_of`.
    settings : Settings
        The same that made it.
    **shape : array
        New values, traced or not, of ``distance``, ``length``, ``width``, ``depth``,
        ``elevation`` (catchment) m, ``area`` (catchment) m2, ``manning`` (catchment)
        s m-1/3, ``layer_height`` (catchment, layer + 1) m, its first column zero.

    Returns
    -------
    Geometry
        Of JAX arrays where they changed.

    Raises
    ------
    InputError
        If a name is not one of these, or an array has another shape.

    References
    ----------
    Yamazaki et al. (2011), Water Resources Research 47, W04501, eqs. 1-2.
    """
    for name, values in shape.items():
        if name not in SHAPE:
            raise InputError(
                f"{name} is not among what can be given: {', '.join(SHAPE)}; the rest "
                "follows from them"
            )
        wanted = getattr(geometry, name).shape
        if jnp.shape(values) != wanted:
            raise InputError(
                f"{name} has the shape {jnp.shape(values)}, the geometry's {wanted}"
            )
    g: Any = geometry
    g = g._replace(**{k: jnp.asarray(v, float) for k, v in shape.items()})
    inside = g.downstream >= 0
    below = jnp.where(inside, jnp.asarray(g.elevation)[g.downstream], g.elevation)
    layers = g.layer_height.shape[1] - 1
    layer_width = g.area / g.length / layers
    middle = g.width[:, None] + layer_width[:, None] * (jnp.arange(layers) + 0.5)
    bank = (g.length * g.width * g.depth)[:, None]
    more = g.length[:, None] * middle * jnp.diff(jnp.asarray(g.layer_height), axis=1)
    return g._replace(
        bed=g.elevation - g.depth,
        channel_slope=jnp.maximum(
            (g.elevation - below) / g.distance, settings.least_slope
        ),
        layer_width=layer_width,
        layer_storage=jnp.cumsum(jnp.concatenate([bank, more], axis=1), axis=1),
    )
