"""One step of the snow, after the surface energy balance: mass, heat, water and cover.

Order: sublimation, conduction, melt from the top, percolation and freezing, snowfall,
glacier runoff, new cover and new layers. Water that moves carries no heat against
liquid water at the melting point (rain on snow is at 0 degC), so that the heat content
of the snow (`snow_heat_content`) changes by

    dE / dt = cover * (surface_flux + melt_energy) + snowfall_heat
              - sublimation_heat - glacier_heat - soil_flux

and its mass by

    dM / dt = snowfall + rain_on_snow - sublimation - outflow - glacier_runoff ,

both to rounding, with the terms that `snow_step` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import ZERO_CELSIUS
from tilth.land.model import snow_heat, snow_layers, snow_water

#: Snow above this leaves as glacier runoff, kg m-2 (Takata et al. 2003).
MOST_SNOW = 1000.0


class SnowStep(NamedTuple):
    """New state of the snow and every term of its ledgers, per area of the cell."""

    mass: jax.Array  #: ice and liquid water, kg m-2; (n,)
    temperature: jax.Array  #: of the layers, K; (3, n)
    liquid: jax.Array  #: in the layers per area of covered ground, kg m-2; (3, n)
    cover: jax.Array  #: share of the cell under snow; (n,)
    outflow: jax.Array  #: melt and rain water out of the snow, kg m-2 s-1
    rain_on_snow: jax.Array  #: rain that fell on the covered part, kg m-2 s-1
    soil_flux: jax.Array  #: heat from the snow into the soil, W m-2
    glacier_runoff: jax.Array  #: snow above the limit, kg m-2 s-1
    sublimation: jax.Array  #: ice lost to the air (negative: frost), kg m-2 s-1
    melt: jax.Array  #: ice melted, kg m-2 s-1
    refreeze: jax.Array  #: water frozen, kg m-2 s-1
    snowfall_heat: jax.Array  #: heat content brought by snowfall, W m-2
    sublimation_heat: jax.Array  #: heat content lost with sublimated ice, W m-2
    glacier_heat: jax.Array  #: heat content lost with glacier runoff, W m-2


def layer_ice(mass, liquid, cover):
    """Ice of the layers per area of covered ground.

    Parameters
    ----------
    mass : array_like
        Snow mass of the cell, liquid water included, in kg m-2; shape (n,).
    liquid : array_like
        Liquid water in the layers per area of covered ground, in kg m-2; shape (3, n).
    cover : array_like
        Share of the cell under snow; shape (n,).

    Returns
    -------
    jax.Array
        Ice, in kg m-2; shape (3, n).
    """
    total = snow_layers.masses(snow_layers.per_covered_area(mass, cover))
    return jnp.maximum(total - jnp.asarray(liquid), 0.0)


def snow_heat_content(mass, temperature, liquid, cover):
    """Heat content of the snow of a cell against liquid water at the melting point.

    Parameters
    ----------
    mass, temperature, liquid, cover : array_like
        The snow's state, as in `snow_step`.

    Returns
    -------
    jax.Array
        Heat content per area of the cell, in J m-2 (negative); shape (n,).
    """
    heat = snow_heat.heat_content(layer_ice(mass, liquid, cover), temperature)
    return cover * jnp.sum(heat, axis=0)


def snow_step(
    mass,
    temperature,
    liquid,
    cover,
    dt,
    *,
    snowfall,
    snowfall_temperature,
    rain,
    sublimation,
    surface_flux,
    melt_energy,
    ground_temperature,
    ground_conductance,
    cover_of: Callable,
    drain="instant",
    conductivity=snow_heat.CONDUCTIVITY,
    density=snow_heat.DENSITY,
    grain=snow_water.GRAIN,
    irreducible=snow_water.IRREDUCIBLE,
    refreeze_limit=snow_water.REFREEZE_LIMIT,
    most_snow=MOST_SNOW,
) -> SnowStep:
    """Advance the snow by one step.

    Parameters
    ----------
    mass : array_like
        Snow mass of the cell, liquid water included, in kg m-2; shape (n,).
    temperature : array_like
        Of the layers, in K, at most the melting point; shape (3, n).
    liquid : array_like
        Liquid water in the layers per area of covered ground, in kg m-2; shape (3, n).
    cover : array_like
        Share of the cell under snow, of this `mass`; shape (n,).
    dt : float
        Time step, in s.
    snowfall : array_like
        Below the canopy, per area of the cell, in kg m-2 s-1; shape (n,).
    snowfall_temperature : array_like
        In K; above the melting point, the melting point is taken; shape (n,).
    rain : array_like
        Below the canopy, everywhere in the cell, in kg m-2 s-1; shape (n,).
    sublimation : array_like
        From the covered ground, per area of it, in kg m-2 s-1; negative for frost;
        shape (n,). Only ice sublimates: not more than all of it.
    surface_flux : array_like
        Heat conducted from the surface into the snow, per area of covered ground, in
        W m-2; shape (n,).
    melt_energy : array_like
        Heat left over at a surface held at the melting point, per area of covered
        ground, in W m-2; melts the snow from the top; shape (n,).
    ground_temperature, ground_conductance : array_like
        Temperature below (K) and conductance to it from the underside of the snow
        (W m-2 K-1); see `tilth.land.model.snow_heat`; shape (n,).
    cover_of : callable
        Snow cover for the new snow mass of the cell, e.g. `snow_cover.simple`.
    drain : {"instant", "gravity"}, optional
        How liquid water leaves the snow; see `snow_water.percolate`.
    conductivity, density : float, optional
        Of the snow, in W m-1 K-1 and kg m-3 (dry).
    grain, irreducible, refreeze_limit : float, optional
        See `snow_water.percolate`.
    most_snow : float, optional
        Snow mass above which snow leaves as glacier runoff, in kg m-2.

    Returns
    -------
    SnowStep
        New state and ledger terms.

    Raises
    ------
    InputError
        If `drain` is not a known way.

    References
    ----------
    Takata, Emori & Watanabe (2003), Global and Planetary Change 38, 209-222.
    """
    mass, cover = jnp.asarray(mass), jnp.asarray(cover)
    temperature, liquid = jnp.asarray(temperature), jnp.asarray(liquid)
    vapour = snow_heat.sublimate(
        layer_ice(mass, liquid, cover), temperature, sublimation * dt
    )
    heat = snow_heat.conduct(
        temperature,
        vapour.ice,
        dt,
        top_flux=surface_flux,
        ground_temperature=ground_temperature,
        ground_conductance=ground_conductance,
        conductivity=conductivity,
        density=density,
    )
    power = heat.melt_power.at[0].add(melt_energy)
    thaw = snow_heat.melt(vapour.ice, heat.temperature, power * dt)
    rain_on_snow = cover * rain
    water = snow_water.percolate(
        thaw.ice,
        heat.temperature,
        liquid + thaw.melted,
        rain * dt,
        dt,
        drain=drain,
        grain=grain,
        density=density,
        irreducible=irreducible,
        refreeze_limit=refreeze_limit,
    )

    new = _relayer(
        snowfall * dt,
        jnp.minimum(snowfall_temperature, ZERO_CELSIUS),
        cover * water.ice,
        water.temperature,
        cover * water.liquid,
        cover_of,
        most_snow,
    )
    return SnowStep(
        mass=new.mass,
        temperature=new.temperature,
        liquid=new.liquid,
        cover=new.cover,
        outflow=cover * water.outflow / dt,
        rain_on_snow=rain_on_snow,
        soil_flux=cover * (heat.bottom_flux + thaw.surplus / dt),
        glacier_runoff=new.excess / dt,
        sublimation=cover * vapour.lost / dt,
        melt=cover * jnp.sum(thaw.melted, axis=0) / dt,
        refreeze=cover * water.frozen / dt,
        snowfall_heat=new.snowfall_heat / dt,
        sublimation_heat=cover * vapour.heat / dt,
        glacier_heat=new.excess_heat / dt,
    )


class _Relayered(NamedTuple):
    """Layers of the new snow; amounts per area of the cell but for the liquid."""

    mass: jax.Array
    temperature: jax.Array
    liquid: jax.Array
    cover: jax.Array
    excess: jax.Array
    excess_heat: jax.Array
    snowfall_heat: jax.Array


def _relayer(snowfall, fresh, ice, temperature, liquid, cover_of, most_snow):
    """Put fresh snow on top, take the excess off the bottom, cut new layers."""
    pile = jnp.concatenate([snowfall[None], ice + liquid])
    kelvin = jnp.concatenate([fresh[None], temperature])
    held = jnp.concatenate([jnp.zeros_like(snowfall)[None], liquid])
    there = pile > 0.0
    wetness = jnp.where(there, held / jnp.where(there, pile, 1.0), 0.0)
    total = jnp.sum(pile, axis=0)
    excess = jnp.maximum(total - most_snow, 0.0)
    mass = total - excess

    cover = cover_of(mass)
    layers = cover * snow_layers.masses(snow_layers.per_covered_area(mass, cover))
    slabs = jnp.concatenate([layers, excess[None]])
    wet = snow_layers.remap(pile, wetness, slabs)
    cold = snow_layers.remap(pile, (1.0 - wetness) * (kelvin - ZERO_CELSIUS), slabs)
    frozen = jnp.maximum(slabs - wet, 0.0)
    solid = frozen > 0.0
    degrees = jnp.where(solid, cold / jnp.where(solid, frozen, 1.0), 0.0)
    degrees = jnp.minimum(degrees, 0.0) + ZERO_CELSIUS
    heat = snow_heat.heat_content(frozen, degrees)
    return _Relayered(
        mass,
        degrees[:-1],
        snow_layers.per_covered_area(wet[:-1], cover),
        cover,
        excess,
        heat[-1],
        snow_heat.heat_content(snowfall, fresh),
    )
