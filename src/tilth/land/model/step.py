"""One time step of a land column: from state and weather to state and fluxes.

A cell has two tiles, without and with snow. Each has its own plants above the snow,
radiation, turbulence, stomata and energy balance; both stand on one soil. The order is
that of MATSIRO (Takata et al. 2003, Nitta et al. 2020): leaves, light, exchange with
the air, stomata, energy balance; then the water of the canopy, snow, runoff, and the
heat, water and frost of the soil.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    LATENT_HEAT_FUSION,
    SECONDS_PER_DAY,
    WATER_DENSITY,
)
from tilth.land.model import (
    canopy_water,
    energy_balance,
    ledger,
    snow_albedo,
    snow_cover,
    soil_freezing,
    soil_heat,
    soil_water,
    topmodel,
    wetland,
)
from tilth.land.model.forcing import Weather
from tilth.land.model.parameters import LandParameters
from tilth.land.model.settings import Settings
from tilth.land.model.snow_step import snow_step
from tilth.land.model.state import State
from tilth.land.model.surface import apart, ground_of, surface_of


class Fluxes(NamedTuple):
    """What a step returns beside the state; cells last, means over the step.

    Parameters
    ----------
    shortwave_net, longwave_net, longwave_up : array
        Radiation, W m-2; the nets are gains of the surface.
    latent, sensible, ground : array
        Heat to the air, and into soil and snow, W m-2.
    advected : array
        Heat that snowfall brings, less that of ice that leaves, W m-2.
    transpiration, soil_evaporation, canopy_evaporation, sublimation : array
        In kg m-2 s-1.
    surface_runoff, base_flow : array
        To the river, kg m-2 s-1; ice above the greatest snow mass is in the first.
    snow_melt : array
        In kg m-2 s-1.
    assimilation, respiration : array
        Gross photosynthesis and leaf respiration, mol m-2 s-1.
    water_table : array
        Depth at the beginning of the step, m.
    ledger : Ledger
        Residuals.
    """

    shortwave_net: Any
    longwave_net: Any
    longwave_up: Any
    latent: Any
    sensible: Any
    ground: Any
    advected: Any
    transpiration: Any
    soil_evaporation: Any
    canopy_evaporation: Any
    sublimation: Any
    surface_runoff: Any
    base_flow: Any
    snow_melt: Any
    assimilation: Any
    respiration: Any
    water_table: Any
    ledger: ledger.Ledger


def step(
    state: State,
    parameters: LandParameters,
    weather: Weather,
    time_step: float,
    settings: Settings,
) -> tuple[State, Fluxes]:
    """Advance land columns by one time step.

    Parameters
    ----------
    state : State
        Arrays of n cells.
    parameters : LandParameters
        Arrays of n cells.
    weather : Weather
        Means over the step.
    time_step : float
        In s.
    settings : Settings
        Choices between processes.

    Returns
    -------
    State, Fluxes
        At the end of the step; over the step.
    """
    cover = state.snow_cover
    share = jnp.stack([1.0 - cover, cover])
    soil = apart(ground_of(state, parameters, time_step, settings))
    table = apart(
        topmodel.water_table_depth(
            state.soil_water, state.soil_ice, soil.hydraulics, soil.thickness
        )
    )

    surface, exchange_of, leaf_area, carbon, uptake = surface_of(
        state, parameters, weather, soil, time_step, settings
    )
    surface, leaf_area, carbon, uptake = apart((surface, leaf_area, carbon, uptake))
    balance = apart(energy_balance.settle(surface, exchange_of))

    def mean(flux: Any) -> Any:
        return jnp.sum(share * flux, axis=0)

    # Leaves: evaporation and frost are in the balance, then rain and snow come.
    canopy_ice_loss = mean(surface.canopy_ice_share * balance.canopy_evaporation)
    canopy_evaporation = mean(balance.canopy_evaporation)
    left = jnp.maximum(state.canopy_water - canopy_evaporation * time_step, 0.0)
    ice = state.canopy_ice - (canopy_ice_loss + mean(balance.canopy_melt)) * time_step
    ice_left = jnp.clip(ice, 0.0, left)
    # What the clip moved between the phases is settled with the air's heat.
    settled = LATENT_HEAT_FUSION * (ice_left - ice) / time_step
    leaves = apart(
        canopy_water.intercept(
            left - ice_left,
            ice_left,
            weather.rainfall,
            weather.snowfall,
            mean(leaf_area),
            parameters.cover,
            time_step,
            convective_rain=weather.convective,
        )
    )

    alpha, beta = soil.response
    snow = apart(
        snow_step(
            state.snow_mass,
            state.snow_temperature,
            state.snow_liquid,
            cover,
            time_step,
            snowfall=leaves.snow,
            snowfall_temperature=weather.temperature,
            rain=leaves.rain,
            sublimation=balance.ground_evaporation[1],
            surface_flux=balance.ground_heat[1],
            melt_energy=balance.melt_heat[1],
            ground_temperature=alpha,
            ground_conductance=1.0 / (1.0 / soil.conductance + cover * beta),
            cover_of=_cover_of(state, parameters, settings),
            drain=settings.snow_drain,
            conductivity=parameters.snow_conductivity,
        )
    )

    # Water into the ground, and along the slope.
    decay = 1.0 / parameters.decay_depth
    lateral = topmodel.surface_conductivity(
        parameters.conductivity_saturated,
        decay=decay,
        enhancement=parameters.macropores,
    )
    base = topmodel.base_flow(
        table,
        lateral,
        parameters.slope,
        topmodel.slope_length(parameters.relief, parameters.slope),
        decay=decay,
    )
    days = parameters.wetland_days * SECONDS_PER_DAY
    store, from_wetland, _ = wetland.wetland_step(
        state.wetland, 0.0, parameters.relief, time_step, longest=days
    )
    open_ground = 1.0 - cover
    even = open_ground * (leaves.rain - leaves.convective_rain) + snow.outflow
    rain = apart(
        topmodel.surface_runoff(
            open_ground * leaves.convective_rain / WATER_DENSITY,
            (even + from_wetland) / WATER_DENSITY,
            topmodel.saturated_fraction(table.uppermost, decay=decay),
            parameters.conductivity_saturated,
        )
    )

    # Soil: heat with the ice held fast, water, then frost and thaw.
    flux = open_ground * balance.ground_heat[0] + snow.soil_flux
    warmed = soil_heat.conduct(
        state.soil_temperature, soil.capacity, soil.links, time_step, top_flux=flux
    )
    soil_evaporation = open_ground * balance.ground_evaporation[0]
    top = soil.thickness[0] * WATER_DENSITY
    ice_loss = surface.ground_ice[0] * soil_evaporation
    old_ice = state.soil_ice.at[0].add(-ice_loss * time_step / top)
    transpiration = mean(balance.transpiration)
    drunk = uptake * transpiration / WATER_DENSITY
    moved = apart(
        soil_water.richards(
            state.soil_water.at[0].add(-ice_loss * time_step / top),
            old_ice,
            soil.hydraulics,
            soil.thickness,
            time_step,
            top_flux=rain.infiltration - (soil_evaporation - ice_loss) / WATER_DENSITY,
            sink=drunk + base,
        )
    )
    # Roots took what the energy balance says; the sink's cut falls on the base flow.
    base_flow = WATER_DENSITY * jnp.sum(moved.sink, axis=0) - transpiration
    temperature, soil_ice = soil_freezing.phase_change(
        warmed,
        moved.water,
        old_ice,
        soil.capacity,
        soil.thickness,
        curve="instant" if settings.soil_freezing == "instant" else soil.hydraulics,
    )

    excess = WATER_DENSITY * (
        rain.saturation_excess + rain.infiltration_excess + moved.overflow
    )
    to_river = parameters.runoff_share * excess
    surface_runoff = to_river + snow.glacier_runoff
    new = State(
        surface_temperature=balance.ground_temperature,
        canopy_temperature=balance.canopy_temperature,
        soil_temperature=temperature,
        soil_water=moved.water,
        soil_ice=soil_ice,
        canopy_water=leaves.water + leaves.ice,
        canopy_ice=leaves.ice,
        snow_mass=snow.mass,
        snow_cover=snow.cover,
        snow_temperature=snow.temperature,
        snow_liquid=snow.liquid,
        snow_albedo=_aged_albedo(
            parameters, state.snow_albedo, snow, leaves.snow, time_step
        ),
        snow_accumulated=snow_cover.season_maximum(state.snow_accumulated, snow.mass),
        wetland=store + (excess - to_river) * time_step,
    )
    advected = (
        snow.snowfall_heat
        - LATENT_HEAT_FUSION * (weather.snowfall - leaves.snow)
        - snow.sublimation_heat
        + LATENT_HEAT_FUSION * (ice_loss + canopy_ice_loss)
        - snow.glacier_heat
    )
    absorbed = mean(surface.ground_shortwave + surface.canopy_shortwave)
    longwave = mean(balance.ground_longwave + balance.canopy_longwave)
    latent = mean(balance.ground_latent + balance.canopy_latent)
    sensible = mean(balance.ground_sensible + balance.canopy_sensible) + settled
    evaporation = (
        transpiration + soil_evaporation + canopy_evaporation + snow.sublimation
    )
    books = ledger.close(
        state,
        new,
        thickness=soil.thickness,
        heat_capacity=soil.capacity,
        time_step=time_step,
        surface_residuals=jnp.concatenate(
            [balance.ground_residual, balance.canopy_residual]
        ),
        heat_gain=absorbed + longwave - latent - sensible + advected,
        water_gain=weather.rainfall
        + weather.snowfall
        - evaporation
        - surface_runoff
        - base_flow,
    )
    return new, Fluxes(
        shortwave_net=absorbed,
        longwave_net=longwave,
        longwave_up=mean(balance.longwave_up),
        latent=latent,
        sensible=sensible,
        ground=mean(balance.ground_heat + balance.melt_heat),
        advected=advected,
        transpiration=transpiration,
        soil_evaporation=soil_evaporation,
        canopy_evaporation=canopy_evaporation,
        sublimation=snow.sublimation,
        surface_runoff=surface_runoff,
        base_flow=base_flow,
        snow_melt=snow.melt,
        assimilation=mean(carbon.assimilation),
        respiration=mean(carbon.respiration),
        water_table=table.uppermost,
        ledger=books,
    )


def _cover_of(state: State, p: LandParameters, settings: Settings) -> Any:
    """Return the function that gives the cover of a snow mass."""
    if settings.snow_cover == "simple":
        return functools.partial(snow_cover.simple, full_cover=p.snow_full_cover)

    def lognormal(mass: Any) -> Any:
        peak = snow_cover.season_maximum(state.snow_accumulated, mass)
        return snow_cover.ssnowd(mass, peak, p.snow_variation).cover

    return lognormal


def _aged_albedo(
    p: LandParameters, albedo: Any, snow: Any, fall: Any, dt: float
) -> Any:
    """Return the albedo of the snow, with the parameters of each cell."""

    def one(albedo, temperature, mass, fall, fresh, old, dirt):
        return snow_albedo.age(
            *(albedo[:, None], temperature[None], mass[None], fall[None], dt),
            fresh=fresh,
            old=old,
            dirt=dirt,
        )[:, 0]

    return jax.vmap(one, in_axes=-1, out_axes=-1)(
        *(albedo, snow.temperature[0], snow.mass, fall),
        *(p.snow_albedo_new, p.snow_albedo_old, p.snow_dirt),
    )
