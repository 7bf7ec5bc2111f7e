"""Water and snow on the leaves: interception, drip, phase, and what reaches the ground.

`intercept` serves a model that keeps water and ice on the leaves apart. In
`canopy_step` the store is one number; its phase follows the temperature of the canopy,
which the snow-free and the snow-covered tile have each their own, so that both phases
can occur in a cell. Heat content of the store: ``-L_f`` times its ice. The canopy has
no heat capacity there, so the heat of its thawing and freezing is taken from, or given
to, the ground below (`CanopyWater.freezing_heat`).
"""

from __future__ import annotations

from typing import NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    LATENT_HEAT_FUSION,
    WATER_DENSITY,
    ZERO_CELSIUS,
)

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


class CanopyWater(NamedTuple):
    """What `canopy_step` returns, per area of the cell; each of shape (n,)."""

    store: jax.Array  #: water and snow on the leaves, kg m-2
    frozen: jax.Array  #: share of the store that is frozen, 0-1
    rain: jax.Array  #: rain and drip to the ground, kg m-2 s-1
    convective_rain: jax.Array  #: part of it that falls on the convective area only
    snow: jax.Array  #: snow to the ground, kg m-2 s-1
    evaporation: jax.Array  #: taken by the air (negative: dew), kg m-2 s-1
    freezing_heat: jax.Array  #: freed by freezing on the leaves, to the ground, W m-2


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


def frozen_fraction(canopy_temperature, cover):
    """Share of the canopy's water that is frozen.

    Parameters
    ----------
    canopy_temperature : array_like
        Of the snow-free and the snow-covered tile, in K; shape (2, n).
    cover : array_like
        Share of the cell under snow; shape (n,).

    Returns
    -------
    jax.Array
        Area of the tiles whose canopy is below the melting point; shape (n,).

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    cover = jnp.asarray(cover)
    below = jnp.asarray(canopy_temperature) < ZERO_CELSIUS
    return jnp.where(below[0], 1.0 - cover, 0.0) + jnp.where(below[1], cover, 0.0)


def canopy_step(
    store,
    rain,
    snow,
    lai,
    vegetated,
    evaporation,
    canopy_temperature,
    dt,
    convective_fraction=CONVECTIVE_FRACTION,
    *,
    cover,
    frozen_before,
    convective_rain=0.0,
) -> CanopyWater:
    r"""Advance the water on the canopy by one step.

    Evaporation is taken first, then precipitation is intercepted (see `intercept`),
    then the phase follows the canopy's temperature. With the terms returned, water
    closes to rounding,
    :math:`\Delta w = (P - E - R - S) \Delta t`, and so does ice:
    :math:`\Delta (f w) = (P_s - E_i - S + H / L_f) \Delta t`.

    Parameters
    ----------
    store : array_like
        Water and snow on the leaves, in kg m-2; shape (n,).
    rain, snow : array_like
        Above the canopy, in kg m-2 s-1; shape (n,).
    lai : array_like
        Leaf area index, mean of the cell; shape (n,).
    vegetated : array_like
        Share f_V of the ground under vegetation, 0-1; shape (n,).
    evaporation : array_like
        From the wet canopy of the snow-free and the snow-covered tile, per area of
        the tile, in kg m-2 s-1, negative for dew; shape (2, n). Vapour comes from ice
        where the tile's canopy is below the melting point.
    canopy_temperature : array_like
        Of the two tiles, in K; shape (2, n).
    dt : float
        Time step, in s.
    convective_fraction : float, optional
        Share of the cell under convective rain.
    cover : array_like
        Share of the cell under snow; shape (n,).
    frozen_before : array_like
        Share of the store that is frozen before the step; shape (n,).
    convective_rain : array_like, optional
        Part of `rain` that is convective, in kg m-2 s-1.

    Returns
    -------
    CanopyWater
        New store, its frozen share, and fluxes to the ground.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    store, cover = jnp.asarray(store), jnp.asarray(cover)
    frozen = frozen_fraction(canopy_temperature, cover)
    weights = jnp.stack([1.0 - cover, cover]) * dt
    below = jnp.asarray(canopy_temperature) < ZERO_CELSIUS
    from_ice = jnp.sum(jnp.where(below, weights * evaporation, 0.0), axis=0)
    from_water = jnp.sum(jnp.where(below, 0.0, weights * evaporation), axis=0)

    # A phase that runs short is helped out by the other; never more than the store.
    after = jnp.maximum(store - from_ice - from_water, 0.0)
    taken = store - after
    ice = jnp.clip(store * frozen_before - from_ice, 0.0, after)
    new = intercept(
        after - ice,
        ice,
        rain,
        snow,
        lai,
        vegetated,
        dt,
        convective_fraction,
        convective_rain=convective_rain,
    )
    # Ice by the new phase, less what the old ice and the fluxes of ice leave.
    kept = store * frozen_before - from_ice + (snow - new.snow) * dt
    grown = (new.water + new.ice) * frozen - kept
    return CanopyWater(
        store=new.water + new.ice,
        frozen=frozen,
        rain=new.rain,
        convective_rain=new.convective_rain,
        snow=new.snow,
        evaporation=taken / dt,
        freezing_heat=LATENT_HEAT_FUSION * grown / dt,
    )


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
