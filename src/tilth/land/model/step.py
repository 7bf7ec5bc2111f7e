"""One time step of a land column: from state and weather to state and fluxes.

A cell has two tiles, without and with snow. Each has its own plants above the snow,
radiation, turbulence, stomata and energy balance; both stand on one soil. The order is
that of MATSIRO (Takata et al. 2003, Nitta et al. 2020): leaves, light, exchange with
the air, stomata, energy balance; then the water of the canopy, snow, runoff, and the
heat, water and frost of the soil.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    GAS_CONSTANT_WATER_VAPOUR,
    GRAVITY,
    LATENT_HEAT_FUSION,
    SECONDS_PER_DAY,
    STEFAN_BOLTZMANN,
    WATER_DENSITY,
    ZERO_CELSIUS,
)
from tilth.core.errors import InputError
from tilth.land.model import (
    canopy_radiation,
    canopy_water,
    energy_balance,
    ledger,
    snow_albedo,
    snow_cover,
    snow_heat,
    soil_freezing,
    soil_heat,
    soil_water,
    stomata,
    topmodel,
    turbulence,
    vegetation,
    wetland,
)
from tilth.land.model.forcing import Weather
from tilth.land.model.parameters import LandParameters
from tilth.land.model.snow_step import layer_ice, snow_step
from tilth.land.model.state import LAYERS, State
from tilth.physics import moist_air, solar
from tilth.physics.soil_hydraulics import ClappHornberger

#: Wetness at which the resistance of the soil to evaporation has its scale (MATSIRO).
_WETNESS_OFFSET = 0.2

#: Of what a store holds, this share can be evaporated in a step: the rest is rounding.
_TAKEABLE = 0.999

#: Moist soil is darker: albedo falls by 0.40 per m3 m-3 from 0.11 above the saturated
#: one, and dry soil is twice as bright as saturated soil (Dickinson et al. 1993, BATS;
#: Lawrence & Chase 2007).
_DRY_BRIGHTER = 0.11
_DARKENING = 0.40


@dataclass(frozen=True)
class Settings:
    """Choices between processes; the first of each is MATSIRO's.

    Parameters
    ----------
    snow_cover : {"simple", "ssnowd"}
        Square root of the snow mass (Takata et al. 2003), or a lognormal distribution
        of its depth (Liston 2004, Nitta et al. 2014).
    soil_freezing : {"instant", "curve"}
        All water freezes at 0 degC, or along the soil's retention curve.
    stomata : {"ball_berry", "medlyn"}
        Ball, Woodrow & Berry (1987) or Medlyn et al. (2011).
    snow_drain : {"instant", "gravity"}
        Water leaves the snow at once, or as a wave (Colbeck 1972).
    layers : tuple of float
        Thickness of the soil layers from the top, m.
    """

    snow_cover: str = "simple"
    soil_freezing: str = "instant"
    stomata: str = "ball_berry"
    snow_drain: str = "instant"
    layers: tuple[float, ...] = LAYERS

    def __post_init__(self) -> None:
        for name, known in (
            ("snow_cover", ("simple", "ssnowd")),
            ("soil_freezing", ("instant", "curve")),
            ("stomata", ("ball_berry", "medlyn")),
            ("snow_drain", ("instant", "gravity")),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name}={getattr(self, name)!r} is not known: choose "
                    f"{' or '.join(map(repr, known))}"
                )
        if len(self.layers) < 2 or min(self.layers) <= 0.0:
            raise InputError(
                f"layers={self.layers}: give at least two soil layers of positive "
                "thickness in m, from the top"
            )


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


class _Ground(NamedTuple):
    """The soil at the beginning of the step."""

    hydraulics: ClappHornberger
    thickness: Any
    capacity: Any
    links: Any
    conductance: Any
    response: tuple[Any, Any]
    head: Any
    liquid: Any


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
    soil = _ground(state, parameters, time_step, settings)
    table = topmodel.water_table_depth(
        state.soil_water, state.soil_ice, soil.hydraulics, soil.thickness
    )

    surface, leaf_area, carbon, uptake = _surface(
        state, parameters, weather, soil, time_step, settings
    )
    balance = energy_balance.solve(surface)

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
    water = _canopy(
        left, ice_left, weather, mean(leaf_area), parameters.cover, time_step
    )

    alpha, beta = soil.response
    snow = snow_step(
        state.snow_mass,
        state.snow_temperature,
        state.snow_liquid,
        cover,
        time_step,
        snowfall=water.snow,
        snowfall_temperature=weather.temperature,
        rain=water.rain,
        sublimation=balance.ground_evaporation[1],
        surface_flux=balance.ground_heat[1],
        melt_energy=balance.melt_heat[1],
        ground_temperature=alpha,
        ground_conductance=1.0 / (1.0 / soil.conductance + cover * beta),
        cover_of=_cover_of(state, parameters, settings),
        drain=settings.snow_drain,
        conductivity=parameters.snow_conductivity,
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
    even = open_ground * (water.rain - water.convective_rain) + snow.outflow
    rain = topmodel.surface_runoff(
        open_ground * water.convective_rain / WATER_DENSITY,
        (even + from_wetland) / WATER_DENSITY,
        topmodel.saturated_fraction(table.uppermost, decay=decay),
        parameters.conductivity_saturated,
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
    moved = soil_water.richards(
        state.soil_water.at[0].add(-ice_loss * time_step / top),
        old_ice,
        soil.hydraulics,
        soil.thickness,
        time_step,
        top_flux=rain.infiltration - (soil_evaporation - ice_loss) / WATER_DENSITY,
        sink=drunk + base,
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
        canopy_water=water.store,
        canopy_ice=-water.freezing_heat * time_step / LATENT_HEAT_FUSION,
        snow_mass=snow.mass,
        snow_cover=snow.cover,
        snow_temperature=snow.temperature,
        snow_liquid=snow.liquid,
        snow_albedo=_aged_albedo(parameters, state.snow_albedo, snow, water.snow, time_step),
        snow_accumulated=snow_cover.season_maximum(state.snow_accumulated, snow.mass),
        wetland=store + (excess - to_river) * time_step,
    )
    advected = (
        snow.snowfall_heat
        - LATENT_HEAT_FUSION * (weather.snowfall - water.snow)
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


def root_fraction(depth: Any, thickness: Any) -> Any:
    """Return the share of the roots in each layer, evenly spread down to a depth.

    Parameters
    ----------
    depth : array (n,)
        Of the roots, m.
    thickness : array (layer,)
        In m.

    Returns
    -------
    array (layer, n)
        Sums to one where the soil is as deep as the roots.
    """
    top = (jnp.cumsum(thickness) - thickness)[:, None]
    inside = jnp.clip(depth - top, 0.0, thickness[:, None])
    return inside / jnp.sum(inside, axis=0)


def _ground(
    state: State, parameters: LandParameters, time_step: float, settings: Settings
) -> _Ground:
    thickness = jnp.asarray(settings.layers)
    hydraulics = ClappHornberger(
        parameters.saturation,
        parameters.head_saturated,
        parameters.conductivity_saturated,
        parameters.exponent,
    )
    capacity = thickness[:, None] * soil_heat.heat_capacity(
        parameters.dry_heat_capacity, state.soil_water, state.soil_ice
    )
    conductivity = soil_heat.conductivity(parameters.dry_conductivity, state.soil_water)
    links = soil_heat.layer_conductance(conductivity, thickness)
    liquid = state.soil_water - state.soil_ice
    curves = soil_water.curves_with_ice(hydraulics, state.soil_ice)
    return _Ground(
        hydraulics=hydraulics,
        thickness=thickness,
        capacity=capacity,
        links=links,
        conductance=soil_heat.half_conductance(conductivity[0], thickness[0]),
        response=soil_heat.response(state.soil_temperature, capacity, links, time_step),
        head=jnp.minimum(curves.head(liquid), 0.0),
        liquid=liquid,
    )


def _surface(
    state: State,
    parameters: LandParameters,
    weather: Weather,
    soil: _Ground,
    time_step: float,
    settings: Settings,
) -> tuple[energy_balance.Surface, Any, stomata.CanopyStomata, Any]:
    """Return the makings of the energy balance, leaf area, carbon and root uptake."""
    p = parameters
    cover = state.snow_cover
    ice = layer_ice(state.snow_mass, state.snow_liquid, cover)
    in_cover = jnp.sum(ice + state.snow_liquid, axis=0)
    none = jnp.zeros_like(cover)
    depth = jnp.stack([none, in_cover / snow_heat.DENSITY])
    stand = vegetation.under_snow(
        p.height, p.base, jnp.sum(weather.season[:, None] * p.leaf_area, axis=0), depth
    )
    wet = canopy_water.wet_fraction(state.canopy_water, stand.lai)
    has_water = state.canopy_water > 0.0
    frozen = jnp.where(
        has_water,
        state.canopy_ice / jnp.where(has_water, state.canopy_water, 1.0),
        jnp.where(state.canopy_temperature < ZERO_CELSIUS, 1.0, 0.0),
    )

    light = _light(state, p, weather, stand.lai, wet, frozen)
    air = turbulence.potential_temperature(weather.temperature, p.reference_height)
    density = moist_air.air_density(
        weather.temperature, weather.pressure, weather.humidity
    )
    momentum, heat = turbulence.snow_roughness(
        depth,
        p.ground_roughness,
        p.ground_heat_roughness,
        jnp.stack([none, p.snow_roughness]),
        jnp.stack([none, p.snow_heat_roughness]),
    )
    shape = turbulence.roughness(
        stand.lai, stand.height, momentum, heat, p.leaf_drag, p.leaf_heat
    )
    exchange = turbulence.exchange(
        shape,
        leaf_area=stand.lai,
        wind=weather.wind,
        air_temperature=air,
        ground_temperature=state.surface_temperature,
        canopy_temperature=state.canopy_temperature,
        reference_height=p.reference_height,
        snow_depth=depth,
    )

    stress, uptake = stomata.moisture_stress(
        soil.head,
        root_fraction(p.root_depth, soil.thickness),
        critical_head=p.critical_head,
    )
    medlyn = settings.stomata == "medlyn"
    carbon = stomata.canopy_conductance(
        state.canopy_temperature,
        weather.humidity,
        weather.pressure,
        light.canopy_visible,
        stand.lai,
        exchange.canopy,
        stress,
        capacity=1e-6 * p.carboxylation,
        slope=p.medlyn_slope if medlyn else p.stomatal_slope,
        intercept=p.stomatal_intercept,
        quantum_efficiency=p.quantum_efficiency,
        half_heat=p.heat_inhibition,
        half_cold=p.cold_inhibition,
        is_c4=p.c4,
        attenuation=canopy_radiation.extinction(
            *canopy_radiation.leaf_optics(
                p.leaf_reflectance[0], p.leaf_transmissivity[0]
            )
        ),
        co2=weather.co2,
        scheme=settings.stomata,  # type: ignore[arg-type]
    )

    alpha, beta = soil.response
    snow_surface = snow_heat.surface_conductance(ice, conductivity=p.snow_conductivity)
    snow_alpha, snow_beta = snow_heat.response(
        state.snow_temperature,
        ice,
        time_step,
        ground_temperature=alpha,
        ground_conductance=1.0 / (1.0 / soil.conductance + cover * beta),
        conductivity=p.snow_conductivity,
    )
    open_beta = (1.0 - cover) * beta
    wetness = state.soil_water[0] / p.saturation
    top_water = WATER_DENSITY * soil.thickness[0] * state.soil_water[0]
    supply = WATER_DENSITY * soil.liquid * soil.thickness[:, None] / time_step
    drinks = uptake > 1e-12
    ceiling = jnp.min(
        jnp.where(drinks, supply / jnp.where(drinks, uptake, 1.0), jnp.inf), axis=0
    )
    surface = energy_balance.Surface(
        ground_temperature=state.surface_temperature,
        canopy_temperature=state.canopy_temperature,
        ground_shortwave=light.ground,
        canopy_shortwave=light.canopy,
        longwave=weather.longwave,
        longwave_transmissivity=canopy_radiation.longwave_transmissivity(
            stand.lai, p.cover
        ),
        longwave_albedo=jnp.stack([p.longwave_albedo, state.snow_albedo[2]]),
        air_temperature=air,
        air_humidity=weather.humidity,
        air_density=density,
        pressure=weather.pressure,
        ground_conductance=exchange.ground,
        canopy_conductance=exchange.canopy,
        soil_resistance=jnp.stack(
            [
                p.evaporation_resistance
                * jnp.maximum(1.0 - wetness, 0.0)
                / (_WETNESS_OFFSET + wetness),
                none,
            ]
        ),
        ground_humidity=jnp.stack(
            [
                jnp.exp(
                    soil.head[0]
                    * GRAVITY
                    / (GAS_CONSTANT_WATER_VAPOUR * state.soil_temperature[0])
                ),
                jnp.ones_like(cover),
            ]
        ),
        stomatal_conductance=carbon.conductance,
        wet_fraction=wet,
        ground_ice=jnp.stack(
            [state.soil_ice[0] / state.soil_water[0], jnp.ones_like(cover)]
        ),
        canopy_ice_share=frozen,
        conductance=jnp.stack(
            [
                soil.conductance / (1.0 + soil.conductance * open_beta),
                snow_surface / (1.0 + snow_surface * snow_beta),
            ]
        ),
        deep_temperature=jnp.stack([alpha, snow_alpha]),
        snow=jnp.array([[False], [True]]),
        ground_limit=_TAKEABLE
        / time_step
        * jnp.stack([top_water, jnp.sum(ice, axis=0)]),
        canopy_limit=_TAKEABLE * state.canopy_water / time_step,
        transpiration_limit=_TAKEABLE * ceiling,
        canopy_ice=state.canopy_ice / time_step,
        canopy_liquid=(state.canopy_water - state.canopy_ice) / time_step,
        time_step=time_step,
    )
    return surface, stand.lai, carbon, uptake


class _Light(NamedTuple):
    """Absorbed shortwave radiation per tile, W m-2."""

    ground: Any
    canopy: Any
    canopy_visible: Any


def _light(
    state: State,
    p: LandParameters,
    weather: Weather,
    leaf_area: Any,
    wet: Any,
    frozen: Any,
) -> _Light:
    """Share the light between ground and leaves; axes: tile, band, cell."""
    beams = solar.split_shortwave(weather.shortwave, weather.cosine_zenith)
    snow = state.snow_albedo[:2]
    darker = jnp.clip(
        _DRY_BRIGHTER - _DARKENING * state.soil_water[0], 0.0, p.soil_albedo
    )
    soil = p.soil_albedo + darker
    direct = jnp.stack(
        [soil, canopy_radiation.snow_incidence(snow, weather.cosine_zenith)]
    )
    diffuse = jnp.stack(
        [
            soil,
            canopy_radiation.snow_incidence(snow, canopy_radiation.DIFFUSE_COSINE),
        ]
    )
    reflectance, transmissivity = canopy_radiation.leaf_optics(
        p.leaf_reflectance,
        p.leaf_transmissivity,
        wet=wet[:, None],
        frozen=frozen[:, None],
        snow_albedo=snow,
    )
    fate = canopy_radiation.two_stream(
        leaf_area[:, None],
        reflectance,
        transmissivity,
        direct,
        diffuse,
        weather.cosine_zenith,
        vegetated=p.cover,
    )
    ground = beams[:, 0] * fate.ground_direct + beams[:, 1] * fate.ground_diffuse
    canopy = beams[:, 0] * fate.canopy_direct + beams[:, 1] * fate.canopy_diffuse
    return _Light(jnp.sum(ground, axis=1), jnp.sum(canopy, axis=1), canopy[:, 0])


def _canopy(
    store: Any, ice: Any, weather: Weather, leaf_area: Any, cover: Any, time_step: float
) -> canopy_water.CanopyWater:
    """Let rain and snow fall on the leaves; ice stays ice.

    Evaporation, frost and thaw belong to the energy balance. The canopy is said to be
    warm, so that the heat asked for would be that of all the ice left: its mass.
    """
    none = jnp.zeros_like(store)
    wet = store > 0.0
    return canopy_water.canopy_step(
        store,
        weather.rainfall,
        weather.snowfall,
        leaf_area,
        cover,
        jnp.stack([none, none]),
        jnp.full((2, *store.shape), ZERO_CELSIUS + 1.0),
        time_step,
        cover=none,
        frozen_before=jnp.where(wet, ice / jnp.where(wet, store, 1.0), 0.0),
        convective_rain=weather.convective,
    )


def _cover_of(state: State, p: LandParameters, settings: Settings) -> Any:
    """Return the function that gives the cover of a snow mass."""
    if settings.snow_cover == "simple":
        return functools.partial(snow_cover.simple, full_cover=p.snow_full_cover)

    def lognormal(mass: Any) -> Any:
        peak = snow_cover.season_maximum(state.snow_accumulated, mass)
        return snow_cover.ssnowd(mass, peak, p.snow_variation).cover

    return lognormal


def _aged_albedo(p: LandParameters, albedo: Any, snow: Any, fall: Any, dt: float) -> Any:
    """Return the albedo of the snow after the step, with the parameters of each cell."""

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


def radiative_temperature(longwave_up: Any) -> Any:
    """Return the temperature of a black body that sends so much radiation, K.

    Parameters
    ----------
    longwave_up : array
        In W m-2.

    Returns
    -------
    array
        In K.
    """
    return (longwave_up / STEFAN_BOLTZMANN) ** 0.25
