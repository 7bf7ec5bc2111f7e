"""Liquid water in the snow: it freezes where the snow is cold, and drains.

Water drains at once, or by gravity after Colbeck (1972, 1976): the flux is the cube of
the saturation of the pores beyond what capillarity holds back. Amounts are per area of
covered ground; layers run from the top, cells come last.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    GRAVITY,
    HEAT_CAPACITY_ICE,
    ICE_DENSITY,
    LATENT_HEAT_FUSION,
    WATER_DENSITY,
    ZERO_CELSIUS,
)
from tilth.core.errors import InputError
from tilth.land.model.snow_heat import DENSITY

#: Diameter of the grains of ripe snow, m (Colbeck 1976).
GRAIN = 2e-3

#: Share of the pores whose water capillarity holds back (Colbeck 1974).
IRREDUCIBLE = 0.07

#: Most water that can freeze in a step against the ice it meets (Takata et al. 2003).
REFREEZE_LIMIT = 0.1

#: Exponent of the permeability for water (Colbeck 1972).
EXPONENT = 3

#: Dynamic viscosity of water at 0 degC, Pa s (IAPWS R12-08).
VISCOSITY = 1.792e-3

#: A layer with less ice, kg m-2, holds no water: its pores would not be numbers.
LEAST_ICE = 1e-9

#: Newton steps of `_saturation`: the first guess is within a factor of 2.
_STEPS = 7


class Percolation(NamedTuple):
    """What `percolate` returns, per area of covered ground."""

    ice: jax.Array  #: of the layers, kg m-2; (k, n)
    temperature: jax.Array  #: of the layers, K; (k, n)
    liquid: jax.Array  #: held in the layers, kg m-2; (k, n)
    outflow: jax.Array  #: out of the lowest layer in the step, kg m-2; (n,)
    frozen: jax.Array  #: frozen in all layers in the step, kg m-2; (n,)


def saturated_conductivity(grain=GRAIN, density=DENSITY):
    r"""Hydraulic conductivity of snow with its pores full of water.

    .. math:: K = \frac{\rho_w g}{\eta}\, 0.077\, d^2 \exp(-0.0078 \rho_s) .

    Parameters
    ----------
    grain : float, optional
        Diameter of the grains d, in m.
    density : float, optional
        Density of the dry snow, in kg m-3.

    Returns
    -------
    float
        Conductivity, in m s-1.

    References
    ----------
    Shimizu (1970), Low Temperature Science A22, for the permeability.

    Examples
    --------
    >>> print(f"{saturated_conductivity(2e-3, 300.0):.3f} m/s")
    0.162 m/s
    """
    permeability = 0.077 * grain**2 * math.exp(-0.0078 * density)
    return WATER_DENSITY * GRAVITY * permeability / VISCOSITY


def percolate(
    ice,
    temperature,
    liquid,
    inflow,
    dt,
    *,
    drain="instant",
    grain=GRAIN,
    density=DENSITY,
    irreducible=IRREDUCIBLE,
    refreeze_limit=REFREEZE_LIMIT,
) -> Percolation:
    r"""Let water run through the snow for one step, freezing on its way.

    From the top down, each layer gets the water of the layer above; of this and its
    own it freezes

    .. math:: \min\left(w, \frac{c_i (T_0 - T) m}{L_f}, \phi m\right) ,

    which warms it, and passes on the rest: all of it (`drain` "instant"), or what
    gravity drains (see `drain_layer`).

    Parameters
    ----------
    ice, temperature, liquid : array_like
        Of the layers, in kg m-2, K and kg m-2; shape (k, n). Any number of layers.
    inflow : array_like
        Water onto the top layer in the step, in kg m-2; shape (n,).
    dt : float
        Time step, in s.
    drain : {"instant", "gravity"}, optional
        How water leaves a layer.
    grain, density, irreducible : float, optional
        See `drain_layer`.
    refreeze_limit : float, optional
        Share phi of a layer's ice that can freeze on it in a step.

    Returns
    -------
    Percolation
        The layers after the step, outflow and frozen water.

    Raises
    ------
    InputError
        If `drain` is neither of the two.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222; Colbeck
    (1976), Water Resources Research 12, 523-527.
    """
    if drain not in ("instant", "gravity"):
        raise InputError(
            f"drain={drain!r} is no way for water to leave the snow; "
            'choose "instant" or "gravity"'
        )

    def layer(flow, state):
        amount, kelvin, water = state
        at_hand = flow + water
        cold = HEAT_CAPACITY_ICE * (ZERO_CELSIUS - kelvin) * amount
        frozen = jnp.minimum(cold / LATENT_HEAT_FUSION, refreeze_limit * amount)
        frozen = jnp.minimum(frozen, at_hand)
        grown = amount + frozen
        there = grown > 0.0
        lack = (cold - LATENT_HEAT_FUSION * frozen) / jnp.where(there, grown, 1.0)
        kelvin = jnp.where(there, ZERO_CELSIUS - lack / HEAT_CAPACITY_ICE, kelvin)
        left = at_hand - frozen
        held = jnp.zeros_like(left)
        if drain == "gravity":
            held = drain_layer(
                left, grown, dt, grain=grain, density=density, irreducible=irreducible
            )
        return left - held, (grown, kelvin, held, frozen)

    layers = jnp.broadcast_arrays(ice, temperature, liquid)
    flow = jnp.broadcast_to(inflow, layers[0].shape[1:])
    flow, (solid, kelvins, wet, frozen) = jax.lax.scan(layer, flow, tuple(layers))
    return Percolation(solid, kelvins, wet, flow, jnp.sum(frozen, axis=0))


def drain_layer(
    water, ice, dt, *, grain=GRAIN, density=DENSITY, irreducible=IRREDUCIBLE
):
    r"""Water that a layer of snow still holds after draining for one step.

    With the mobile water as a share S of the mobile pore space M,

    .. math:: M S + \Delta t\, \rho_w K S^3 = w - w_i ,

    backward Euler for Colbeck's gravity flux: of the water w that was there or came in
    from above, S is what stays beyond the irreducible :math:`w_i`. Water beyond full
    pores leaves at once.

    Parameters
    ----------
    water : array_like
        Water at hand, inflow of the step included, in kg m-2.
    ice : array_like
        Ice of the layer, in kg m-2.
    dt : float
        Time step, in s.
    grain : float, optional
        Diameter of the grains, in m.
    density : float, optional
        Density of the dry snow, in kg m-3, below that of ice.
    irreducible : float, optional
        Share of the pores whose water does not drain.

    Returns
    -------
    jax.Array
        Water left, in kg m-2; zero where there is no more than `LEAST_ICE`.

    References
    ----------
    Colbeck (1972), Journal of Glaciology 11, 369-385.
    """
    water, ice = jnp.asarray(water), jnp.asarray(ice)
    pores = WATER_DENSITY * (1.0 / density - 1.0 / ICE_DENSITY) * ice
    bound = irreducible * pores
    mobile = water - bound
    snow = ice > LEAST_ICE
    flows = snow & (mobile > 0.0)
    space = jnp.where(flows, pores - bound, 1.0)
    drive = dt * WATER_DENSITY * saturated_conductivity(grain, density) / space
    share = _saturation(drive, jnp.where(flows, mobile, 1.0) / space)
    held = bound + space * jnp.minimum(share, 1.0)
    return jnp.where(flows, jnp.minimum(held, water), jnp.where(snow, water, 0.0))


def _saturation(a, b):
    """Root of y + a y^3 = b for a, b > 0, with derivatives by one last Newton step."""
    fixed_a, fixed_b = jax.lax.stop_gradient(a), jax.lax.stop_gradient(b)
    start = jnp.minimum(fixed_b, jnp.cbrt(fixed_b / fixed_a))
    y, _, _ = jax.lax.fori_loop(0, _STEPS, _newton, (start, fixed_a, fixed_b))
    y = jax.lax.stop_gradient(y)
    slope = 1.0 + EXPONENT * fixed_a * y ** (EXPONENT - 1)
    return y - (y + a * y**EXPONENT - b) / slope


def _newton(_, state):
    """One Newton step; from above the root, of a convex function, it stays above."""
    y, a, b = state
    slope = 1.0 + EXPONENT * a * y ** (EXPONENT - 1)
    return y - (y + a * y**EXPONENT - b) / slope, a, b
