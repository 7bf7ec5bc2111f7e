r"""Freezing and thawing of soil water, at once or along a freezing curve.

Conduction moves heat with the ice held fast; this step then shares the heat of each
layer between its temperature and its ice. The enthalpy, relative to liquid at 0 degC,

.. math:: h = C (T - T_0) - L_f \rho_w \theta_i \Delta z ,

is kept to rounding.
"""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import LATENT_HEAT_FUSION, WATER_DENSITY, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.physics.frozen_ground import freezing_temperature, unfrozen_water

__all__ = ["enthalpy", "phase_change"]

#: Newton steps at most, each held within a bracket that shrinks. Over all textures,
#: and van Genuchten's n from 1.1 to 3.5, 12 are enough.
_MOST_STEPS = 40

#: Change of the logarithm of the frost after which one step more reaches rounding.
_CLOSE = 1e-6

#: Slope of the excess that cannot be told from none, J m-2.
_FLAT = 1e-9

#: Of the logarithm of the frost.
_ROUNDING = 1e-12

#: Frost too slight to tell from none, K.
_LEAST_FROST = 1e-9


def _latent(thickness: Any, like: Any) -> Any:
    """Latent heat of a layer full of water, J m-2."""
    thickness = jnp.asarray(thickness)
    missing = max(jnp.ndim(like) - thickness.ndim, 0)
    return (
        LATENT_HEAT_FUSION
        * WATER_DENSITY
        * thickness.reshape(thickness.shape + (1,) * missing)
    )


def enthalpy(temperature: Any, ice: Any, heat_capacity: Any, thickness: Any) -> Any:
    r"""Heat of each layer relative to liquid water and soil at 0 degC.

    .. math:: h = C (T - T_0) - L_f \rho_w \theta_i \Delta z .

    Parameters
    ----------
    temperature : array (layer, ...)
        In K.
    ice : array (layer, ...)
        As liquid equivalent, in m3 m-3.
    heat_capacity : array (layer, ...)
        Per area, in J m-2 K-1.
    thickness : array (layer,) or (layer, ...)
        In m.

    Returns
    -------
    array (layer, ...)
        In J m-2.
    """
    latent = _latent(thickness, temperature)
    return heat_capacity * (temperature - ZERO_CELSIUS) - latent * ice


def _excess(u: Any, layer: tuple) -> Any:
    """Heat of a layer at a frost of exp(u) K, more than it has, J m-2."""
    heat, water, heat_capacity, latent, hydraulics = layer
    frost = jnp.exp(u)
    liquid = unfrozen_water(ZERO_CELSIUS - frost, hydraulics)
    return -heat_capacity * frost - latent * (water - liquid) - heat


def _newton(u: Any, layer: tuple) -> tuple[Any, Any, Any]:
    """Return excess, its slope (never flat) and the Newton step from u."""
    value, slope = jax.jvp(lambda u: _excess(u, layer), (u,), (jnp.ones_like(u),))
    slope = jnp.minimum(slope, -_FLAT)
    return value, slope, u - value / slope


def _root(low: Any, high: Any, layer: tuple) -> Any:
    """Find where the excess is zero, between two bounds."""

    def step(state):
        count, low, high, u, _ = state
        value, _, better = _newton(u, layer)
        low = jnp.where(value > 0.0, u, low)
        high = jnp.where(value > 0.0, high, u)
        # At the root, rounding alone may lead out: that is no reason to bisect.
        outside = (better < low - _ROUNDING) | (better > high + _ROUNDING)
        better = jnp.where(outside, 0.5 * (low + high), better)
        return count + 1, low, high, better, jnp.max(jnp.abs(better - u))

    def unfinished(state):
        count, *_, change = state
        return (count < _MOST_STEPS) & (change > _CLOSE)

    start = (0, low, high, low, jnp.inf)
    return jax.lax.while_loop(unfinished, step, start)[3]


def _frost(layer: tuple) -> Any:
    """Degrees below 0 degC at which the ice on the freezing curve holds the heat.

    The root of ``C T - latent (water - liquid(T)) = heat`` lies between the point
    where the layer's water begins to freeze and the temperature it would have with no
    ice. It is found in the logarithm of the frost, where the curves bend least.
    """
    fixed = jax.lax.stop_gradient(layer)
    heat, water, heat_capacity, _, hydraulics = fixed
    warmest = ZERO_CELSIUS - freezing_temperature(hydraulics.head(water))
    low = jnp.log(jnp.maximum(warmest, _LEAST_FROST))
    high = jnp.log(jnp.maximum(-heat / heat_capacity, _LEAST_FROST))
    u = _root(low, jnp.maximum(high, low), fixed)
    # One step more, whose derivative is the root's: the implicit function theorem.
    _, slope, _ = _newton(u, fixed)
    return jnp.exp(u - _excess(u, layer) / slope)


def phase_change(
    temperature: Any,
    water: Any,
    ice: Any,
    heat_capacity: Any,
    thickness: Any,
    *,
    curve: Any = "instant",
) -> tuple[Any, Any]:
    r"""Freeze or thaw the water of each layer until its heat is accounted for.

    With ``curve="instant"`` all water freezes at 0 degC: a layer with both liquid and
    ice stays there. With a soil's curves the liquid is at most what the matric forces
    keep from freezing at the layer's temperature, `unfrozen_water`; both temperature
    and ice are then found at once, from the heat that the layer holds.

    Parameters
    ----------
    temperature : array (layer, ...)
        After conduction with the ice held fast, in K.
    water, ice : array (layer, ...)
        All water, and the frozen part of it as liquid equivalent, in m3 m-3.
    heat_capacity : array (layer, ...)
        Per area, as conduction had it, in J m-2 K-1.
    thickness : array (layer,) or (layer, ...)
        In m.
    curve : "instant", ClappHornberger or VanGenuchten, optional
        How the water freezes.

    Returns
    -------
    temperature, ice : array (layer, ...)
        In K; in m3 m-3, between zero and `water`.

    Raises
    ------
    InputError
        If `curve` is a string other than ``"instant"``.

    References
    ----------
    Takata, Emori & Watanabe (2003), Glob. Planet. Change 38, 209-222 (at once).
    Dall'Amico et al. (2011), Cryosphere 5, 469-484 (splitting, and the heat that is
    kept).
    """
    if isinstance(curve, str) and curve != "instant":
        raise InputError(
            f"water freezes along curve={curve!r}, which is not known; give 'instant' "
            "or the soil's own curves, a ClappHornberger or VanGenuchten"
        )
    latent = _latent(thickness, temperature)
    heat = enthalpy(temperature, ice, heat_capacity, thickness)
    if isinstance(curve, str):
        frozen = -heat / latent
    else:
        frost = _frost((heat, water, heat_capacity, latent, curve))
        # From the heat, not from the curve: C is small beside the curve's slope.
        frozen = -(heat_capacity * frost + heat) / latent
    new_ice = jnp.clip(frozen, 0.0, jnp.maximum(water, 0.0))
    return ZERO_CELSIUS + (heat + latent * new_ice) / heat_capacity, new_ice
