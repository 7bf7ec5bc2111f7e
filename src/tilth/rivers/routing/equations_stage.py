"""How water stands and how fast it flows, in JAX: `stage` and `fluxes` for arrays.

The equations of `tilth.rivers.routing.stage` and `tilth.rivers.routing.fluxes`, with
derivatives that are finite everywhere: a root, a power or a quotient is taken of
numbers that are put out of harm's way where the result is not used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.rivers.routing.arrays import Geometry
from tilth.rivers.routing.fluxes import FIRST_DEPTH, LEAST_AREA, SHALLOW

__all__ = ["Standing", "inverse_cube_root", "standing"]

#: Of JAX, traced or not, or of NumPy.
Array = Any


#: What the bits of x and of x^(-1/3), divided by three, add up to (Moroz et al. 2021,
#: Energies 14, 1058, in double precision): a first guess to 3.3 %.
_MAGIC = 0x553EF0FF289DD796


class Standing(NamedTuple):
    """How the water stands; arrays of the shape (catchment), as in `stage.Stages`."""

    river_depth: Array
    flood_depth: Array
    flood_fraction: Array
    flood_storage: Array


def standing(storage: Array, geometry: Geometry) -> Standing:
    """Return how the water of every catchment stands, without levees.

    Parameters
    ----------
    storage : array, shape (catchment)
        Water in channel and floodplain, m3.
    geometry : Geometry
        The network; of NumPy or JAX arrays.

    Returns
    -------
    Standing
        Depths m, fraction 1, storage m3.
    """
    g = geometry
    bottom = g.length * g.width
    bank = g.layer_storage[:, 0]
    layers = g.layer_storage.shape[1] - 1
    layer = jnp.sum(storage[:, None] > g.layer_storage[:, 1:], axis=1)
    filled, low = _pick(g.layer_storage, layer), _pick(g.layer_height, layer)
    rise = _pick(g.layer_height, jnp.minimum(layer + 1, layers)) - low
    wide = g.width + layer * g.layer_width
    above = storage - filled
    over = storage > bank
    top = layer == layers
    # In a flat layer, and above the last, there is no slope: one is put in its place.
    sloped = over & ~top & (rise > 0.0)
    gradient = jnp.where(sloped, rise, 1.0) / g.layer_width
    part = 2.0 * jnp.where(sloped, above, 0.0) / (g.length * gradient)
    flooded = part / (jnp.sqrt(wide * wide + part) + wide)
    height = low + jnp.where(top, above / (wide * g.length), gradient * flooded)
    flood_depth = jnp.where(over, height, 0.0)
    fraction = (layer * g.layer_width + flooded) / (layers * g.layer_width)
    return Standing(
        river_depth=jnp.where(over, g.depth + flood_depth, storage / bottom),
        flood_depth=flood_depth,
        flood_fraction=jnp.where(over, jnp.minimum(fraction, 1.0), 0.0),
        flood_storage=jnp.where(
            over, jnp.maximum(storage - bank - bottom * flood_depth, 0.0), 0.0
        ),
    )


@jax.custom_jvp
def inverse_cube_root(x: Array) -> Array:
    r"""Return :math:`x^{-1/3}` of normal numbers above zero.

    As `tilth.rivers.routing.kernel_roots.inverse_cube_root`, eight times as fast as
    a power.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int64)
    # A division of whole numbers would not be made several at a time.
    third = (bits.astype(float) * (1.0 / 3.0)).astype(jnp.int64)
    y = jax.lax.bitcast_convert_type(_MAGIC - third, jnp.float64)
    for _ in range(2):
        e = 1.0 - x * y * (y * y)
        y += y * (e * (1.0 / 3.0 + e * (2.0 / 9.0 + e * (14.0 / 81.0))))
    return y


@inverse_cube_root.defjvp
def _slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Return the inverse cube root and its change."""
    (x,), (change,) = primals, tangents
    y = inverse_cube_root(x)
    return y, y / (-3.0 * x) * change


def _pick(table: Any, column: Array) -> Array:
    """Return one number of each row."""
    return jnp.take_along_axis(jnp.asarray(table), column[:, None], axis=1)[:, 0]


def river_flow(
    depth: Array,
    depth_before: Array,
    slope: Array,
    width: Array,
    manning: Array,
    flow_before: Array,
    impulse: Array,
) -> Array:
    """Return the flow in channels, m3 s-1: `fluxes.river_flow` for arrays."""
    square = depth * depth_before
    flows = (square > SHALLOW * SHALLOW) & (width * depth > SHALLOW)
    mean = jnp.sqrt(jnp.where(flows, square, 1.0))
    return jnp.where(
        flows, _inertial(mean, slope, width, manning, flow_before, impulse), 0.0
    )


def path_flow(
    depth: Array,
    depth_before: Array,
    slope: Array,
    width: Array,
    manning: Array,
    flow_before: Array,
    impulse: Array,
) -> Array:
    """Return the flow in levels of paths, m3 s-1: `fluxes.path_flow` for arrays."""
    square = depth * jnp.maximum(depth_before, FIRST_DEPTH)
    flows = (depth > 0.0) & (width > 0.0) & (square > SHALLOW * SHALLOW)
    mean = jnp.sqrt(jnp.where(flows, square, 1.0))
    wide = jnp.where(flows, width, 1.0)
    return jnp.where(
        flows, _inertial(mean, slope, wide, manning, flow_before, impulse), 0.0
    )


def _inertial(
    mean: Array,
    slope: Array,
    width: Array,
    manning: Array,
    flow_before: Array,
    impulse: Array,
) -> Array:
    """Return the local inertial flow of a depth above zero."""
    unit = flow_before / width
    root = inverse_cube_root(mean)
    root3 = root * root * root
    friction = impulse * manning * manning * jnp.abs(unit) * (root3 * root3 * root)
    return width * (unit + impulse * mean * slope) / (1.0 + friction)


def floodplain_flow(
    depth: Array,
    depth_before: Array,
    area: Array,
    area_before: Array,
    slope: Array,
    manning: Array | float,
    flow_before: Array,
    impulse: Array,
) -> Array:
    """Return the flow over floodplains, m3 s-1: `fluxes.floodplain_flow` for arrays."""
    square = jnp.maximum(depth, 0.0) * depth_before
    flows = (square > SHALLOW * SHALLOW) & (area > SHALLOW)
    product = area * jnp.maximum(area_before, LEAST_AREA)
    # Least is the root of what is never below the square of it.
    mean = jnp.sqrt(jnp.maximum(jnp.where(flows, product, 1.0), LEAST_AREA**2))
    root = inverse_cube_root(jnp.where(flows, square, 1.0))
    friction = impulse * manning * manning * jnp.abs(flow_before) * (root * root)
    flow = mean * (flow_before + impulse * mean * slope) / (mean + friction)
    return jnp.where(flows, flow, 0.0)


def kinematic_flow(depth: Array, slope: Array, width: Array, manning: Array) -> Array:
    """Return the flow in channels, m3 s-1: `fluxes.kinematic_flow` for arrays."""
    return width * kinematic_floodplain_flow(depth, depth, slope, manning)


def kinematic_floodplain_flow(
    depth: Array, area: Array, slope: Array, manning: Array | float
) -> Array:
    """Return the flow over floodplains, m3 s-1, by the kinematic law."""
    flows = depth > SHALLOW * SHALLOW
    deep = jnp.where(flows, depth, 1.0)
    speed = jnp.sqrt(slope) / manning * deep * inverse_cube_root(deep)
    return jnp.where(flows, area * speed, 0.0)
