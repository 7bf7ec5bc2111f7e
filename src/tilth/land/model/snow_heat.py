"""Heat in the snow: conduction that stops at the melting point, melt and frost.

All amounts are per area of covered ground. Layers run from the top, cells come last.
The heat content of snow counts from liquid water at the melting point,
``c_ice * ice * (T - T0) - L_f * ice``; liquid water in the snow holds none.

The lowest layer meets the ground through the resistance of half of itself and a
conductance of the ground, at a given temperature of the ground. Half of the soil's
top layer at its old temperature is one choice; with the soil's own response,
``T_soil = alpha + beta * flux``, the temperature alpha and the conductance
``1 / (1 / K_soil + cover * beta)`` couple the two implicitly.
"""

from __future__ import annotations

from typing import NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import HEAT_CAPACITY_ICE, LATENT_HEAT_FUSION, ZERO_CELSIUS

#: Thermal conductivity of snow, W m-1 K-1 (Takata et al. 2003).
CONDUCTIVITY = 0.3

#: Density of dry snow, kg m-3 (Takata et al. 2003).
DENSITY = 300.0


class Conduction(NamedTuple):
    """What `conduct` returns, per area of covered ground."""

    temperature: jax.Array  #: of the layers, K, at most the melting point; (k, n)
    melt_power: (
        jax.Array
    )  #: heat left over in layers at the melting point, W m-2; (k, n)
    bottom_flux: jax.Array  #: heat from the snow into the ground, W m-2; (n,)


class Melt(NamedTuple):
    """What `melt` returns, per area of covered ground."""

    ice: jax.Array  #: ice left in the layers, kg m-2; (k, n)
    melted: jax.Array  #: ice melted in the layers, kg m-2; (k, n)
    surplus: jax.Array  #: heat that found no ice, J m-2; (n,)


class Sublimation(NamedTuple):
    """What `sublimate` returns, per area of covered ground."""

    ice: jax.Array  #: ice left in the layers, kg m-2; (k, n)
    lost: jax.Array  #: ice gone (negative: frost laid down), kg m-2; (n,)
    heat: jax.Array  #: heat content gone with it, J m-2; (n,)


def heat_content(ice, temperature):
    r"""Heat content of snow against liquid water at the melting point.

    .. math:: E = c_i m (T - T_0) - L_f m .

    Parameters
    ----------
    ice : array_like
        Ice m, in kg m-2.
    temperature : array_like
        Temperature, in K.

    Returns
    -------
    jax.Array
        Heat content, in J m-2 (negative).
    """
    return jnp.asarray(ice) * (
        HEAT_CAPACITY_ICE * (jnp.asarray(temperature) - ZERO_CELSIUS)
        - LATENT_HEAT_FUSION
    )


def surface_conductance(ice, *, conductivity=CONDUCTIVITY, density=DENSITY):
    r"""Conductance between the surface of the snow and the middle of its top layer.

    .. math:: K = 2 k \rho / m_1 .

    Parameters
    ----------
    ice : array_like
        Ice of the layers, in kg m-2; shape (k, n).
    conductivity : float, optional
        Of the snow, in W m-1 K-1.
    density : float, optional
        Of the dry snow, in kg m-3.

    Returns
    -------
    jax.Array
        Conductance, in W m-2 K-1; shape (n,). Without snow, that of 1 kg m-2.
    """
    top = jnp.asarray(ice)[0]
    return 2.0 * conductivity * density / jnp.where(top > 0.0, top, 1.0)


def response(
    temperature,
    ice,
    dt,
    *,
    ground_temperature,
    ground_conductance,
    conductivity=CONDUCTIVITY,
    density=DENSITY,
):
    r"""Answer of the top layer's temperature to the heat flux into the snow.

    Implicit conduction without the limit of melting: elimination from the bottom
    leaves :math:`T_1^{new} = \alpha + \beta F`.

    Parameters
    ----------
    temperature : array_like
        Of the layers, in K; shape (k, n).
    ice : array_like
        Ice of the layers, in kg m-2; shape (k, n). Layers without ice lie below
        those with ice and take no part.
    dt : float
        Time step, in s.
    ground_temperature, ground_conductance : array_like
        Temperature below (K) and conductance to it from the underside of the snow
        (W m-2 K-1, > 0); shape (n,).
    conductivity, density : float, optional
        Of the snow, in W m-1 K-1 and kg m-3.

    Returns
    -------
    alpha, beta : jax.Array
        In K and K m2 W-1; shape (n,).
    """
    links, below, capacity = _column(
        jnp.asarray(ice), dt, ground_conductance, conductivity, density
    )
    cold = jnp.asarray(temperature) - ZERO_CELSIUS
    source = capacity * cold + below * (ground_temperature - ZERO_CELSIUS)
    diagonal = capacity + below
    count = cold.shape[0]
    pivot, value = diagonal[-1], source[-1]
    for k in range(count - 2, -1, -1):
        # Layers that are not there have no link upwards and any pivot will do.
        share = links[k] / jnp.where(pivot + links[k] > 0.0, pivot + links[k], 1.0)
        value = source[k] + share * value
        pivot = diagonal[k] + share * pivot
    return value / pivot + ZERO_CELSIUS, 1.0 / pivot


def conduct(
    temperature,
    ice,
    dt,
    *,
    top_flux,
    ground_temperature,
    ground_conductance,
    conductivity=CONDUCTIVITY,
    density=DENSITY,
) -> Conduction:
    r"""Conduct heat through the snow for one step; no layer passes the melting point.

    Backward Euler in every layer, with heat :math:`r_k` left over where a layer is
    held at the melting point :math:`T_0`,

    .. math::

        \frac{c_i m_k}{\Delta t} (T_k^{new} - T_k) = q_{k-1/2} - q_{k+1/2} - r_k ,
        \quad T_k^{new} \le T_0, \quad r_k \ge 0, \quad r_k (T_0 - T_k^{new}) = 0 .

    This complementarity problem has one solution, since the matrix is an M-matrix:
    all layers start held, those that would have to freeze are let go, and no layer let
    go is ever to be held again, so that one round per layer finds it.

    Parameters
    ----------
    temperature, ice : array_like
        Of the layers, in K and kg m-2; shape (k, n). Layers without ice lie below
        those with ice and take no part.
    dt : float
        Time step, in s.
    top_flux : array_like
        Heat flux into the snow, in W m-2; shape (n,).
    ground_temperature, ground_conductance : array_like
        Temperature below (K) and conductance to it from the underside of the snow
        (W m-2 K-1, > 0); shape (n,).
    conductivity, density : float, optional
        Of the snow, in W m-1 K-1 and kg m-3.

    Returns
    -------
    Conduction
        Temperatures, heat left over for melting and flux into the ground.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222, hold the
    top layer only; Chandrasekaran (1970), Opsearch 7, 263-268, for the algorithm.
    """
    ice = jnp.asarray(ice)
    links, below, capacity = _column(ice, dt, ground_conductance, conductivity, density)
    ground = ground_temperature - ZERO_CELSIUS
    source = capacity * (jnp.asarray(temperature) - ZERO_CELSIUS) + below * ground
    source = jnp.concatenate([source[:1] + top_flux, source[1:]])
    diagonal = capacity + below
    # Held layers are at zero on this scale, so their leftover is first the source.
    # Which layers are free is a choice, not a number: no derivative goes through it.
    matrix = jax.lax.stop_gradient((links, diagonal, source))
    free, _ = jax.lax.fori_loop(0, ice.shape[0] - 1, _let_go, (matrix[2] < 0.0, matrix))
    cold = _solve(links, diagonal, source, free)
    left = source - _apply(links, diagonal, cold)
    left = jnp.where(cold < 0.0, 0.0, jnp.maximum(left, 0.0))
    bottom = jnp.sum(below * (cold - ground), axis=0)
    return Conduction(cold + ZERO_CELSIUS, left, bottom)


def melt(ice, temperature, heat) -> Melt:
    r"""Melt ice from the top with the heat given to each layer.

    Melting a kilogram of a layer at T takes :math:`L_f + c_i (T_0 - T)`; heat that a
    layer cannot use goes to the next one, and what is left in the end to the ground.

    Parameters
    ----------
    ice, temperature : array_like
        Of the layers, in kg m-2 and K (at most the melting point); shape (k, n).
    heat : array_like
        Heat for melting, in J m-2, not negative; shape (k, n).

    Returns
    -------
    Melt
        Ice left and melted, and the heat that found no ice.
    """
    left, melted = [], []
    carry = jnp.zeros_like(jnp.asarray(ice)[0])
    for amount, kelvin, supply in zip(ice, temperature, heat, strict=True):
        price = LATENT_HEAT_FUSION + HEAT_CAPACITY_ICE * (ZERO_CELSIUS - kelvin)
        carry = carry + supply
        all_of_it = carry >= amount * price
        gone = jnp.where(all_of_it, amount, carry / price)
        carry = jnp.where(all_of_it, carry - amount * price, 0.0)
        left.append(amount - gone)
        melted.append(gone)
    return Melt(jnp.stack(left), jnp.stack(melted), carry)


def sublimate(ice, temperature, amount) -> Sublimation:
    r"""Take sublimated ice from the top, or lay frost on it.

    Ice goes, and frost comes, at the temperature of its layer.

    Parameters
    ----------
    ice, temperature : array_like
        Of the layers, in kg m-2 and K; shape (k, n).
    amount : array_like
        Ice to sublimate, in kg m-2; negative for frost; shape (n,).

    Returns
    -------
    Sublimation
        Ice left, ice gone (less than asked for where there is less) and its heat.
    """
    amount = jnp.asarray(amount)
    left, heat, rest = [], jnp.zeros_like(amount), amount
    for k, (layer, kelvin) in enumerate(zip(ice, temperature, strict=True)):
        gone = jnp.minimum(rest, layer) if k == 0 else jnp.clip(rest, 0.0, layer)
        left.append(layer - gone)
        heat = heat + heat_content(gone, kelvin)
        rest = rest - gone
    return Sublimation(jnp.stack(left), amount - rest, heat)


def _column(ice, dt, ground_conductance, conductivity, density):
    """Conductance between layers, to the ground from the lowest, and c m / dt.

    The top layer counts as present even without ice: then it is a bare skin that
    passes the heat on.
    """
    resistance = ice / (2.0 * conductivity * density)  # of half a layer
    between = resistance[:-1] + resistance[1:]
    linked = ice[1:] > 0.0
    links = jnp.where(linked, 1.0 / jnp.where(linked, between, 1.0), 0.0)
    no_snow_below = jnp.concatenate([~linked, jnp.ones_like(linked[:1])])
    present = jnp.concatenate([jnp.ones_like(linked[:1]), linked])
    to_ground = 1.0 / (resistance + 1.0 / ground_conductance)
    below = jnp.where(no_snow_below & present, to_ground, 0.0)
    return links, below, HEAT_CAPACITY_ICE * ice / dt


def _let_go(_, state):
    """Free the held layers that would have to freeze."""
    free, (links, diagonal, source) = state
    cold = _solve(links, diagonal, source, free)
    left = source - _apply(links, diagonal, cold)
    return free | (left < 0.0), (links, diagonal, source)


def _apply(links, diagonal, x):
    """Matrix of the column times x: diagonal, plus exchange between neighbours."""
    flow = links * (x[:-1] - x[1:])  # downwards
    nothing = jnp.zeros_like(x[:1])
    return (
        diagonal * x
        + jnp.concatenate([flow, nothing])
        - jnp.concatenate([nothing, flow])
    )


def _solve(links, diagonal, source, free):
    """Column with the layers that are not free held at zero; Thomas from the bottom."""
    count = source.shape[0]
    pivots: dict[int, jax.Array] = {}
    values: dict[int, jax.Array] = {}
    for k in range(count - 1, -1, -1):
        pivot, value = diagonal[k], source[k]
        if k > 0:
            pivot = pivot + links[k - 1]
        if k < count - 1:
            # A held neighbour has value 0 and takes part with its link only.
            share = links[k] / pivots[k + 1]
            pivot = pivot + jnp.where(free[k + 1], links[k] * (1.0 - share), links[k])
            value = value + jnp.where(free[k + 1], share * values[k + 1], 0.0)
        pivots[k] = jnp.where(pivot > 0.0, pivot, 1.0)
        values[k] = value
    solution = []
    above = jnp.zeros_like(source[0])
    for k in range(count):
        value = values[k] + (links[k - 1] * above if k > 0 else 0.0)
        above = jnp.where(free[k], value / pivots[k], 0.0)
        solution.append(above)
    return jnp.stack(solution)
