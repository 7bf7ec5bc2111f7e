"""Water and snow on the leaves: interception, drip, and what reaches the ground.

Water and ice are kept apart. What evaporates, freezes and thaws on the leaves is in the
energy balance, which gives the two stores to begin with.
"""

from __future__ import annotations

from typing import NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import WATER_DENSITY

#: Water that a unit of leaf area holds, kg m-2 (Takata et al. 2003).
CAPACITY = 0.2

#: Share of the cell under convective rain (Takata et al. 2003).
CONVECTIVE_FRACTION = 0.1

#: Drip D1 exp(D2 w): D1 in m s-1, D2 in m-1 (Rutter et al. 1975 in Takata et al. 2003).
DRIP_RATE = 1.14e-11
DRIP_GROWTH = 3.7e3


class Interception(NamedTuple):
    """What `intercept` returns, per area of the cell; each of shape (n,)."""

    water: jax.Array  #: liquid water on the leaves, kg m-2
    ice: jax.Array  #: snow and ice on the leaves, kg m-2
    rain: jax.Array  #: rain and drip to the ground, kg m-2 s-1
    convective_rain: jax.Array  #: part of it that falls on the convective area only
    snow: jax.Array  #: snow to the ground, kg m-2 s-1


def capacity(lai):
    """Water that the leaves can hold.

    Parameters
    ----------
    lai : array_like
        Leaf area index.

    Returns
    -------
    jax.Array
        In kg m-2.
    """
    return CAPACITY * jnp.asarray(lai)


def wet_fraction(store, lai):
    """Share of the leaves under water, between 0 and 1.

    Parameters
    ----------
    store : array_like
        Water on the leaves, in kg m-2.
    lai : array_like
        Leaf area index.

    Returns
    -------
    jax.Array
        Store over capacity; 0 without leaves.
    """
    most = capacity(lai)
    leaves = most > 0.0
    share = jnp.where(leaves, store / jnp.where(leaves, most, 1.0), 0.0)
    return jnp.clip(share, 0.0, 1.0)


def intercept(
    water,
    ice,
    rain,
    snow,
    lai,
    vegetated,
    dt,
    convective_fraction=CONVECTIVE_FRACTION,
    *,
    convective_rain=0.0,
) -> Interception:
    r"""Let rain and snow fall on the leaves for one step, each phase for itself.

    Of what falls, the share :math:`\min(LAI, f_V)` stays on the leaves; above the
    capacity w_c per phase it runs off, and the rest drips slowly,

    .. math:: D = f_V D_1 \exp(D_2 w / f_V) .

    Convective rain falls on a small part of the cell, where the store fills over;
    the two parts are averaged at the end. With the terms returned, both phases close
    to rounding: :math:`\Delta w = (P - R) \Delta t`.

    Parameters
    ----------
    water, ice : array_like
        On the leaves, in kg m-2; shape (n,).
    rain, snow : array_like
        Above the canopy, in kg m-2 s-1; shape (n,).
    lai : array_like
        Leaf area index, mean of the cell; shape (n,).
    vegetated : array_like
        Share f_V of the ground under vegetation, 0-1; shape (n,).
    dt : float
        Time step, in s.
    convective_fraction : float, optional
        Share of the cell under convective rain.
    convective_rain : array_like, optional
        Part of `rain` that is convective, in kg m-2 s-1.

    Returns
    -------
    Interception
        Water and ice on the leaves, and fluxes to the ground.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222; Rutter,
    Morton & Robins (1975), Journal of Applied Ecology 12, 367-380, for the drip.
    """
    caught = jnp.minimum(lai, vegetated)
    convective = jnp.minimum(convective_rain, rain)
    even = rain - convective
    showers = convective / convective_fraction + even
    fall = caught * dt * jnp.stack([showers, even])
    water, water_drip = _drip(water + fall, lai, vegetated, dt)
    ice, ice_drip = _drip(ice + caught * snow * dt, lai, vegetated, dt)

    shower_rain = (1.0 - caught) * showers + water_drip[0] / dt
    even_rain = (1.0 - caught) * even + water_drip[1] / dt
    area = convective_fraction
    return Interception(
        water=area * water[0] + (1.0 - area) * water[1],
        ice=ice,
        rain=area * shower_rain + (1.0 - area) * even_rain,
        convective_rain=area * (shower_rain - even_rain),
        snow=(1.0 - caught) * snow + ice_drip / dt,
    )


def _drip(held, lai, vegetated, dt):
    """Store after drip, and the drip in kg m-2."""
    most = capacity(lai)
    over = jnp.maximum(held - most, 0.0)
    held = held - over
    # Depth on the vegetated part; far beyond any leaf's capacity all of it drips.
    depth = held / jnp.maximum(vegetated, 1e-6) / WATER_DENSITY
    rate = DRIP_RATE * jnp.exp(jnp.minimum(DRIP_GROWTH * depth, 30.0))
    slow = jnp.minimum(vegetated * WATER_DENSITY * rate * dt, held)
    return held - slow, over + slow
