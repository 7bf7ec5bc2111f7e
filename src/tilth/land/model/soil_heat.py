"""Heat in the soil: its capacity and conductivity, and implicit conduction.

A column is conducted in two calls. `response` says how the new temperature of the top
layer answers to the heat flux into it, which closes the surface energy balance without
iteration; `conduct` then takes the flux that was found. Moving water carries no heat.
"""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jnp
from tilth.core.constants import (
    HEAT_CAPACITY_ICE,
    HEAT_CAPACITY_WATER,
    ICE_DENSITY,
    WATER_DENSITY,
)
from tilth.land.model import tridiagonal

__all__ = [
    "conduct",
    "conductivity",
    "conductivity_frozen",
    "half_conductance",
    "heat_capacity",
    "layer_conductance",
    "response",
]


def heat_capacity(dry: Any, water: Any, ice: Any) -> Any:
    r"""Heat capacity of moist soil.

    .. math:: C = C_d + \rho_w [c_w (\theta - \theta_i) + c_i \theta_i] .

    Parameters
    ----------
    dry : array_like
        Heat capacity of the dry soil, in J m-3 K-1.
    water, ice : array_like
        All water, and the frozen part of it as liquid equivalent, in m3 m-3.

    Returns
    -------
    array
        In J m-3 K-1.

    References
    ----------
    De Vries (1963), in Physics of Plant Environment, 210-235.
    """
    liquid = water - ice
    return dry + WATER_DENSITY * (
        HEAT_CAPACITY_WATER * liquid + HEAT_CAPACITY_ICE * ice
    )


def conductivity(dry: Any, water: Any) -> Any:
    r"""Thermal conductivity of moist soil.

    .. math:: k = k_0 [1 + 6 \tanh(\theta / 0.25)] .

    Parameters
    ----------
    dry : array_like
        Conductivity of the dry soil k0, in W m-1 K-1.
    water : array_like
        All water, in m3 m-3.

    Returns
    -------
    array
        In W m-1 K-1.

    References
    ----------
    Takata, Emori & Watanabe (2003), Glob. Planet. Change 38, 209-222 (MATSIRO).
    """
    return dry * (1.0 + 6.0 * jnp.tanh(water / 0.25))


def conductivity_frozen(
    water: Any,
    ice: Any,
    *,
    parameters: tuple[float, ...] = (0.55, 0.80, 3.07, 0.13, 4.0, 13.05, 1.06),
) -> Any:
    r"""Thermal conductivity of freezing soil, by Campbell's curve with ice.

    .. math:: \lambda = C_1 + C_2 x - (C_1 - C_4) \exp[-(C_3 x)^{C_5}], \quad
       x = \theta_l + (1 + F_1 v_i^{F_2})\, v_i ,

    with the volume of the ice, :math:`v_i = \theta_i \rho_w / \rho_i`.

    Parameters
    ----------
    water, ice : array_like
        All water, and the frozen part of it as liquid equivalent, in m3 m-3.
    parameters : tuple of float, optional
        C1, C2, C3, C4, C5, F1, F2; those of Kanagawa sandy loam by default.

    Returns
    -------
    array
        In W m-1 K-1.

    References
    ----------
    Campbell (1985), Soil Physics with BASIC. Hansson et al. (2004), Vadose Zone J. 3,
    693-704, with their parameters.
    """
    c1, c2, c3, c4, c5, f1, f2 = parameters
    volume = ice * WATER_DENSITY / ICE_DENSITY
    x = water - ice + (1.0 + f1 * jnp.maximum(volume, 1e-12) ** f2) * volume
    return c1 + c2 * x - (c1 - c4) * jnp.exp(-((c3 * x) ** c5))


def half_conductance(conductivity: Any, thickness: Any) -> Any:
    """Conductance from a face of a layer to its middle, W m-2 K-1."""
    return 2.0 * conductivity / thickness


def layer_conductance(conductivity: Any, thickness: Any) -> Any:
    r"""Conductance between the middles of neighbouring layers, in series.

    .. math:: U_{k+1/2} = [\Delta z_k / 2 k_k + \Delta z_{k+1} / 2 k_{k+1}]^{-1} .

    Parameters
    ----------
    conductivity : array (layer, ...)
        In W m-1 K-1.
    thickness : array (layer,) or (layer, ...)
        In m.

    Returns
    -------
    array (layer - 1, ...)
        In W m-2 K-1.
    """
    half = half_conductance(conductivity, _as_column(thickness, conductivity))
    return 1.0 / (1.0 / half[:-1] + 1.0 / half[1:])


def _as_column(values: Any, like: Any) -> Any:
    """Give a vector of layers the trailing axes of another array."""
    values = jnp.asarray(values)
    missing = jnp.ndim(like) - values.ndim
    return values.reshape(values.shape + (1,) * max(missing, 0))


def _system(
    temperature: Any, heat_capacity: Any, conductance: Any, dt: Any, source: Any
) -> tuple[Any, Any, Any, Any]:
    """Rows of the implicit system for the warming, top and bottom closed."""
    none = jnp.zeros_like(temperature[:1])
    above = jnp.concatenate([none, conductance * jnp.ones_like(temperature[1:])])
    below = jnp.concatenate([above[1:], none])
    down = jnp.concatenate(
        [none, conductance * (temperature[:-1] - temperature[1:]), none]
    )
    right = down[:-1] - down[1:] + source
    return -above, heat_capacity / dt + above + below, -below, right


def response(
    temperature: Any,
    heat_capacity: Any,
    conductance: Any,
    dt: Any,
    *,
    source: Any = 0.0,
) -> tuple[Any, Any]:
    r"""How the top layer's new temperature answers to the heat put into it.

    .. math:: T_1^{new} = \alpha + \beta F ,

    exactly, with F the heat flux into the top of the column, for the system that
    `conduct` solves.

    Parameters
    ----------
    temperature : array (layer, ...)
        In K.
    heat_capacity : array (layer, ...)
        Of each layer per area (capacity times thickness), in J m-2 K-1.
    conductance : array (layer - 1, ...)
        Between neighbouring layers, in W m-2 K-1; see `layer_conductance`.
    dt : float
        Step, in s.
    source : array (layer, ...), optional
        Heat put into each layer, in W m-2.

    Returns
    -------
    alpha : array (...)
        In K.
    beta : array (...)
        In K m2 W-1.

    References
    ----------
    Polcher et al. (1998), Glob. Planet. Change 19, 261-276 (implicit coupling).
    """
    pivot, right = tridiagonal.top_row(
        *_system(temperature, heat_capacity, conductance, dt, source)
    )
    return temperature[0] + right / pivot, 1.0 / pivot


def conduct(
    temperature: Any,
    heat_capacity: Any,
    conductance: Any,
    dt: Any,
    *,
    top_flux: Any,
    source: Any = 0.0,
) -> Any:
    r"""Conduct heat through a column for one step, implicitly.

    .. math:: C_k \frac{T_k^{new} - T_k}{\Delta t} = U_{k-1/2}(T_{k-1}-T_k)^{new}
       + U_{k+1/2}(T_{k+1}-T_k)^{new} + s_k ,

    with `top_flux` into the first layer and no flux through the bottom.

    Parameters
    ----------
    temperature : array (layer, ...)
        In K.
    heat_capacity : array (layer, ...)
        Per area, in J m-2 K-1.
    conductance : array (layer - 1, ...)
        In W m-2 K-1.
    dt : float
        Step, in s.
    top_flux : array (...)
        Heat flux into the top, in W m-2.
    source : array (layer, ...), optional
        Heat put into each layer, in W m-2.

    Returns
    -------
    array (layer, ...)
        New temperatures, in K. The heat gained equals `top_flux` times `dt`, plus the
        sources.
    """
    lower, diagonal, upper, right = _system(
        temperature, heat_capacity, conductance, dt, source
    )
    right = right.at[0].add(top_flux)
    return temperature + tridiagonal.solve(lower, diagonal, upper, right)
