"""The energy balance of a leaf: how warm radiation, wind and stomata leave it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jnp
from tilth.core.constants import (
    GAS_CONSTANT_DRY_AIR,
    HEAT_CAPACITY_AIR,
    MOLAR_GAS_CONSTANT,
    MOLAR_MASS_WATER,
    STEFAN_BOLTZMANN,
)
from tilth.physics.moist_air import (
    dew_point,
    latent_heat_of_vaporization,
    saturation_vapour_pressure,
)
from tilth.physics.roots import bracketed_root

Array = Any

#: Heat capacity of a mole of dry air, J mol-1 K-1.
_MOLAR_HEAT = HEAT_CAPACITY_AIR * MOLAR_GAS_CONSTANT / GAS_CONSTANT_DRY_AIR

#: Forced convection of heat over a leaf in the open, mol m-2 s-1 at 1 m s-1 and 1 m:
#: 0.135 in a wind tunnel, 1.4 times that outdoors. Campbell & Norman (1998), ch. 7.
_FORCED_HEAT = 1.4 * 0.135

#: Vapour through the same layer relative to heat. Campbell & Norman (1998), ch. 7:
#: 0.147 over 0.135.
_VAPOUR_TO_HEAT = 0.147 / 0.135

#: Free convection over a leaf, mol m-2 s-1 at 1 K and 1 m. Campbell & Norman (1998),
#: ch. 7.
_FREE_HEAT = 0.05

#: Characteristic length of a leaf relative to its width. Campbell & Norman (1998).
_LENGTH_TO_WIDTH = 0.72

#: Least conductance of still air, mol m-2 s-1: molecular diffusion over half a metre.
_STILL = 2e-3


class LeafEnergy(NamedTuple):
    """Temperature and energy of a leaf, per projected area.

    Parameters
    ----------
    temperature : jax.Array
        K.
    emitted : jax.Array
        Thermal radiation from both sides, W m-2.
    sensible_heat : jax.Array
        To the air from both sides, W m-2.
    latent_heat : jax.Array
        W m-2; negative when dew forms.
    transpiration : jax.Array
        mol m-2 s-1 of water.
    """

    temperature: Array
    emitted: Array
    sensible_heat: Array
    latent_heat: Array
    transpiration: Array


def boundary_conductance(wind: Array, width: Array, excess: Array) -> Array:
    r"""Conductance for heat of the boundary layer on one side of a leaf.

    .. math::
        g^4 = \left(0.189 \sqrt{u/d}\right)^4 +
              \left[0.05\,(|\Delta T|/d)^{1/4}\right]^4,\quad d = 0.72\,w

    Forced and free convection add by their fourth powers, as over horizontal plates.

    Parameters
    ----------
    wind : array_like
        m s-1, 0 or more.
    width : array_like
        Width of the leaf along the wind, m.
    excess : array_like
        Temperature of the leaf less that of the air, K.

    Returns
    -------
    jax.Array
        mol m-2 s-1 of one side.

    References
    ----------
    Campbell & Norman (1998), An Introduction to Environmental Biophysics, ch. 7;
    Incropera & DeWitt (2002), Fundamentals of Heat and Mass Transfer, sec. 9.9.
    """
    length = _LENGTH_TO_WIDTH * jnp.asarray(width)
    forced = _FORCED_HEAT**4 * (jnp.maximum(wind, 0.0) / length) ** 2
    free = _FREE_HEAT**4 * jnp.abs(excess) / length
    return (forced + free + _STILL**4) ** 0.25


def leaf_energy(
    absorbed_radiation: Array,
    air_temperature: Array,
    vapour_pressure: Array,
    pressure: Array,
    wind: Array,
    stomatal_conductance: Array,
    *,
    width: Array,
    stomatal_sides: Array = 1.0,
    emissivity: Array = 0.97,
) -> LeafEnergy:
    r"""Solve the energy balance of a leaf for its temperature.

    .. math::
        R_{abs} = 2 \varepsilon \sigma T_l^4 + 2 c_p g_h (T_l - T_a)
        + \lambda\,g_v\,[e_s(T_l) - e_a]/p

    with g_v stomata and boundary layer in series on the sides that have stomata. The
    root lies between the coldest and the warmest of three temperatures: that of the
    air, its dew point, and that at which the leaf would radiate all it absorbs.

    Parameters
    ----------
    absorbed_radiation : array_like
        Short- and long-wave radiation that both sides absorb, W m-2 of projected
        leaf area; in the dark under air of the same temperature
        :math:`2\varepsilon\sigma T_a^4`.
    air_temperature : array_like
        K.
    vapour_pressure : array_like
        Pa.
    pressure : array_like
        Pa.
    wind : array_like
        At the leaf, m s-1.
    stomatal_conductance : array_like
        For water vapour, of both sides together, mol m-2 s-1.
    width : array_like
        Width of the leaf, m.
    stomatal_sides : array_like
        Sides with stomata, 1 or 2.
    emissivity : array_like
        Of the leaf in the thermal infrared; 0.94 to 0.99 in Campbell & Norman (1998),
        ch. 11.

    Returns
    -------
    LeafEnergy
        The terms add up to `absorbed_radiation`.

    References
    ----------
    Campbell & Norman (1998), An Introduction to Environmental Biophysics, ch. 14.
    """
    air, outside = jnp.asarray(air_temperature), jnp.asarray(vapour_pressure)
    absorbed = jnp.maximum(absorbed_radiation, 0.0)

    def terms(temperature: Array) -> LeafEnergy:
        excess = temperature - air
        heat = boundary_conductance(wind, width, excess)
        layer = stomatal_sides * _VAPOUR_TO_HEAT * heat
        vapour = stomatal_conductance * layer / (stomatal_conductance + layer)
        inside = saturation_vapour_pressure(temperature)
        transpiration = vapour * (inside - outside) / pressure
        latent = latent_heat_of_vaporization(temperature) * MOLAR_MASS_WATER
        return LeafEnergy(
            temperature,
            2.0 * emissivity * STEFAN_BOLTZMANN * temperature**4,
            2.0 * _MOLAR_HEAT * heat * excess,
            latent * transpiration,
            transpiration,
        )

    def surplus(temperature: Array) -> Array:
        leaf = terms(temperature)
        return leaf.emitted + leaf.sensible_heat + leaf.latent_heat - absorbed

    radiating = (absorbed / (2.0 * emissivity * STEFAN_BOLTZMANN)) ** 0.25
    dew = dew_point(outside)
    coldest = jnp.minimum(jnp.minimum(radiating, air), dew)
    warmest = jnp.maximum(jnp.maximum(radiating, air), dew)
    shape = jnp.shape(surplus(coldest))
    return terms(
        bracketed_root(
            surplus,
            jnp.broadcast_to(coldest, shape),
            jnp.broadcast_to(warmest, shape),
            tolerance=1e-10,
        )
    )
