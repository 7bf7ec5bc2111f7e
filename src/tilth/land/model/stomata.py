"""Stomata of a canopy: from leaf to ground area, and what dry soil takes away."""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import MOLAR_GAS_CONSTANT
from tilth.physics.gas_exchange import Scheme, leaf_gas_exchange
from tilth.physics.moist_air import saturation_vapour_pressure, vapour_pressure
from tilth.physics.photosynthesis import PHOTONS_PER_JOULE, biochemistry

Array = Any

#: Steepness of the stress, per metre of head. Sellers et al. (1996).
_STRESS_STEEPNESS = 0.02

#: Leaf area below which a canopy has no stomata, m2 m-2.
_NO_LEAVES = 1e-6


class CanopyStomata(NamedTuple):
    """Stomata and carbon of a canopy, per ground area.

    Parameters
    ----------
    conductance : jax.Array
        Stomatal conductance for water vapour, m s-1.
    assimilation : jax.Array
        Gross photosynthesis, mol m-2 s-1 of CO2.
    respiration : jax.Array
        Leaf respiration, mol m-2 s-1 of CO2.
    internal_co2 : jax.Array
        Partial pressure of CO2 in the leaves, Pa.
    """

    conductance: Array
    assimilation: Array
    respiration: Array
    internal_co2: Array


def moisture_stress(
    head: Array, root_fraction: Array, *, critical_head: Array = -200.0
) -> tuple[Array, Array]:
    r"""Soil moisture stress on stomata, and where the roots drink.

    .. math::
        f_k = \{1 + \exp[0.02 (\psi_c - \psi_k)]\}^{-1},\quad
        f = \sum_k r_k f_k,\quad u_k = r_k f_k / f

    Parameters
    ----------
    head : array_like, shape (layer, cell)
        Matric head of the soil layers, m (negative).
    root_fraction : array_like, shape (layer, cell)
        Share of the roots in each layer; sums to 1 where there are roots.
    critical_head : array_like
        Head at which a layer's supply is halved, m; -200, for shrubs -300.

    Returns
    -------
    stress : jax.Array, shape (cell,)
        Between 0 (none left) and 1.
    uptake : jax.Array, shape (layer, cell)
        Share of the transpiration that each layer gives; sums to 1 where there are
        roots, however dry the soil.

    References
    ----------
    Sellers et al. (1996), J. Climate 9, 676-705.
    """
    roots = jnp.asarray(root_fraction)
    supply = _STRESS_STEEPNESS * (jnp.asarray(head) - critical_head)
    stress = jnp.sum(roots * jax.nn.sigmoid(supply), axis=0)
    # Shares from logarithms: in very dry soil every layer's factor underflows.
    logarithm = jax.nn.log_sigmoid(supply)
    rooted = roots > 0.0
    wettest = jnp.max(jnp.where(rooted, logarithm, -jnp.inf), axis=0)
    wettest = jnp.where(jnp.any(rooted, axis=0), wettest, 0.0)
    weight = roots * jnp.exp(jnp.where(rooted, logarithm - wettest, 0.0))
    total = jnp.sum(weight, axis=0)
    return stress, weight / jnp.where(total > 0.0, total, 1.0)


def canopy_scaling(attenuation: Array, leaf_area: Array) -> Array:
    r"""Mean of a profile that falls off with leaf area, relative to the top leaf.

    .. math:: f = \frac{1 - \exp(-k L)}{k L}

    Parameters
    ----------
    attenuation : array_like
        k, per unit of leaf area.
    leaf_area : array_like
        L, m2 of leaf per m2 of ground.

    Returns
    -------
    jax.Array
        Between 0 and 1; 1 for a single thin layer.

    References
    ----------
    Sellers et al. (1992), Remote Sens. Environ. 42, 187-216, eq. 31.

    Examples
    --------
    >>> round(float(canopy_scaling(0.5, 4.0)), 4)
    0.4323
    """
    depth = jnp.asarray(attenuation) * leaf_area
    thin = depth < 1e-5
    thick = jnp.where(thin, 1.0, depth)
    return jnp.where(thin, 1.0 - 0.5 * depth, -jnp.expm1(-thick) / thick)


def canopy_conductance(
    leaf_temperature: Array,
    air_humidity: Array,
    pressure: Array,
    absorbed_par: Array,
    leaf_area: Array,
    boundary_conductance: Array,
    stress: Array,
    *,
    capacity: Array,
    slope: Array,
    intercept: Array,
    quantum_efficiency: Array,
    half_heat: Array,
    half_cold: Array,
    is_c4: Array,
    attenuation: Array,
    co2: Array = 4.0e-4,
    scheme: Scheme = "ball_berry",
) -> CanopyStomata:
    r"""Stomatal conductance and photosynthesis of a canopy.

    Light, and with it Rubisco, falls off through the canopy as exp(-k L), so every
    limit of photosynthesis of the mean leaf is `canopy_scaling` times that of the top
    leaf; temperature, CO2 and stress are those of all leaves. The mean leaf is solved
    with the closure and its boundary layer, and multiplied by the leaf area.

    Arrays broadcast; tiles come first and cells last.

    Parameters
    ----------
    leaf_temperature : array_like
        K.
    air_humidity : array_like
        Specific humidity of the air above the canopy, kg kg-1.
    pressure : array_like
        Pa.
    absorbed_par : array_like
        Photosynthetically active radiation that the leaves absorb, W m-2 of ground.
    leaf_area : array_like
        m2 of leaf per m2 of ground; without leaves the fluxes are zero.
    boundary_conductance : array_like
        Between all leaves and the air (bulk coefficient times wind), m s-1 of ground.
    stress : array_like
        Soil moisture stress, 0 to 1; scales capacity and intercept.
    capacity : array_like
        Rubisco capacity of the top leaf at 298 K, mol m-2 s-1.
    slope, intercept : array_like
        Of the closure; the intercept in mol m-2 s-1 of leaf, Medlyn's slope in
        kPa^0.5.
    quantum_efficiency : array_like
        CO2 fixed per absorbed photon.
    half_heat, half_cold : array_like
        Temperatures at which heat and cold halve photosynthesis, K.
    is_c4 : array_like of bool
        Mask of C4 canopies.
    attenuation : array_like
        Fall-off of light per leaf area, k.
    co2 : array_like
        CO2 in the air, mol mol-1.
    scheme : {"ball_berry", "leuning", "medlyn"}
        The closure.

    Returns
    -------
    CanopyStomata
        Per ground area.

    References
    ----------
    Sellers et al. (1992), Remote Sens. Environ. 42, 187-216; Sellers et al. (1996),
    J. Climate 9, 676-705; Nitta et al. (2020), Prog. Earth Planet. Sci. 7, 68.
    """
    leafy = jnp.asarray(leaf_area) > _NO_LEAVES
    area = jnp.where(leafy, leaf_area, 1.0)
    # Moles of air per volume turn m s-1 into mol m-2 s-1 and back.
    moles = pressure / (MOLAR_GAS_CONSTANT * jnp.asarray(leaf_temperature))
    leaf = biochemistry(
        leaf_temperature,
        pressure,
        PHOTONS_PER_JOULE * absorbed_par / area,
        capacity * stress * canopy_scaling(attenuation, area),
        quantum_efficiency=quantum_efficiency,
        half_heat=half_heat,
        half_cold=half_cold,
        is_c4=is_c4,
    )
    exchange = leaf_gas_exchange(
        leaf,
        co2=co2 * jnp.asarray(pressure),
        vapour_pressure=vapour_pressure(air_humidity, pressure),
        saturation=saturation_vapour_pressure(leaf_temperature),
        pressure=pressure,
        boundary_conductance=boundary_conductance * moles / area,
        slope=slope,
        intercept=intercept * jnp.asarray(stress),
        scheme=scheme,
    )
    leaves = jnp.where(leafy, leaf_area, 0.0)
    return CanopyStomata(
        leaves * exchange.conductance / moles,
        leaves * (exchange.assimilation + leaf.respiration),
        leaves * leaf.respiration,
        exchange.internal_co2,
    )
