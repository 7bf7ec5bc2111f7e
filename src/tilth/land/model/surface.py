"""What the energy balance of a step is made of: light, air, stomata and the ground.

For both tiles of a cell at once, arrays ``(tile, cell)``: the plants above the snow,
the light that they and the ground absorb, the exchange with the air, what the stomata
let through, and how soil and snow answer to heat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    GAS_CONSTANT_WATER_VAPOUR,
    GRAVITY,
    WATER_DENSITY,
    ZERO_CELSIUS,
)
from tilth.land.model import (
    canopy_radiation,
    canopy_water,
    energy_balance,
    snow_heat,
    soil_heat,
    soil_water,
    stomata,
    turbulence,
    vegetation,
)
from tilth.land.model.forcing import Weather
from tilth.land.model.parameters import LandParameters
from tilth.land.model.settings import Settings
from tilth.land.model.snow_step import layer_ice
from tilth.land.model.state import State
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


class Ground(NamedTuple):
    """The soil at the beginning of the step, as `ground_of` returns it.

    Parameters
    ----------
    hydraulics : ClappHornberger
        Its curves, the same in all layers (1, n).
    thickness : array (layer,)
        In m.
    capacity : array (layer, n)
        Heat capacity per area, J m-2 K-1.
    links : array (layer - 1, n)
        Conductance for heat between layers, W m-2 K-1.
    conductance : array (n,)
        From the surface to the middle of the first layer, W m-2 K-1.
    response : tuple of array (n,)
        New temperature of the first layer by the heat put into it: K, K m2 W-1.
    head : array (layer, n)
        Of the liquid water, m.
    liquid : array (layer, n)
        In m3 m-3.
    """

    hydraulics: ClappHornberger
    thickness: Any
    capacity: Any
    links: Any
    conductance: Any
    response: tuple[Any, Any]
    head: Any
    liquid: Any


def apart(results: Any) -> Any:
    """Return the results of a process, to be computed on their own.

    Without it the compiler melts all processes into a few loops, computes much more
    than once in them, and takes minutes over the gradient.

    Parameters
    ----------
    results : pytree of array
        Of a process.

    Returns
    -------
    pytree of array
        The same.
    """
    return jax.lax.optimization_barrier(results)


def ground_of(
    state: State, parameters: LandParameters, time_step: float, settings: Settings
) -> Ground:
    """Return the soil at the beginning of the step.

    Parameters
    ----------
    state : State
        Arrays of n cells.
    parameters : LandParameters
        Arrays of n cells.
    time_step : float
        In s.
    settings : Settings
        With the layers.

    Returns
    -------
    Ground
        Curves, heat capacity, conductances and answer to heat.
    """
    thickness = jnp.asarray(settings.layers)
    hydraulics = ClappHornberger(
        parameters.saturation[None],
        parameters.head_saturated[None],
        parameters.conductivity_saturated[None],
        parameters.exponent[None],
    )
    capacity = thickness[:, None] * soil_heat.heat_capacity(
        parameters.dry_heat_capacity, state.soil_water, state.soil_ice
    )
    conductivity = soil_heat.conductivity(parameters.dry_conductivity, state.soil_water)
    links = soil_heat.layer_conductance(conductivity, thickness)
    liquid = state.soil_water - state.soil_ice
    curves = soil_water.curves_with_ice(hydraulics, state.soil_ice)
    return Ground(
        hydraulics=hydraulics,
        thickness=thickness,
        capacity=capacity,
        links=links,
        conductance=soil_heat.half_conductance(conductivity[0], thickness[0]),
        response=soil_heat.response(state.soil_temperature, capacity, links, time_step),
        head=jnp.minimum(curves.head(liquid), 0.0),
        liquid=liquid,
    )


def surface_of(
    state: State,
    parameters: LandParameters,
    weather: Weather,
    soil: Ground,
    time_step: float,
    settings: Settings,
) -> tuple[
    energy_balance.Surface, Callable[[Any, Any], Any], Any, stomata.CanopyStomata, Any
]:
    """Return what the energy balance is made of.

    Parameters
    ----------
    state : State
        Arrays of n cells.
    parameters : LandParameters
        Arrays of n cells.
    weather : Weather
        Means over the step.
    soil : Ground
        Of `ground_of`.
    time_step : float
        In s.
    settings : Settings
        Choices between processes.

    Returns
    -------
    surface : Surface
        For `tilth.land.model.energy_balance.settle`.
    exchange_of : callable
        From the temperatures of ground and canopy to the exchange with the air.
    leaf_area : array (2, n)
        Above the snow.
    carbon : CanopyStomata
        Photosynthesis, (2, n).
    uptake : array (layer, n)
        Share of each layer in the transpiration.
    """
    p = parameters
    cover = state.snow_cover
    ice = layer_ice(state.snow_mass, state.snow_liquid, cover)
    in_cover = jnp.sum(ice + state.snow_liquid, axis=0)
    none = jnp.zeros_like(cover)
    depth = jnp.stack([none, in_cover / snow_heat.DENSITY])
    stand = apart(
        vegetation.under_snow(
            p.height,
            p.base,
            jnp.sum(weather.season[:, None] * p.leaf_area, axis=0),
            depth,
        )
    )
    wet = canopy_water.wet_fraction(state.canopy_water, stand.lai)
    has_water = state.canopy_water > 0.0
    frozen = jnp.where(
        has_water,
        state.canopy_ice / jnp.where(has_water, state.canopy_water, 1.0),
        jnp.where(state.canopy_temperature < ZERO_CELSIUS, 1.0, 0.0),
    )

    light = apart(_light(state, p, weather, stand.lai, wet, frozen))
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
    shape = apart(
        turbulence.roughness(
            stand.lai, stand.height, momentum, heat, p.leaf_drag, p.leaf_heat
        )
    )

    def exchange_of(ground: Any, canopy: Any) -> turbulence.Exchange:
        return turbulence.exchange(
            shape,
            leaf_area=stand.lai,
            wind=weather.wind,
            air_temperature=air,
            ground_temperature=ground,
            canopy_temperature=canopy,
            reference_height=p.reference_height,
            snow_depth=depth,
        )

    exchange = apart(exchange_of(state.surface_temperature, state.canopy_temperature))

    stress, uptake = apart(
        stomata.moisture_stress(
            soil.head,
            root_fraction(p.root_depth, soil.thickness),
            critical_head=p.critical_head,
        )
    )
    medlyn = settings.stomata == "medlyn"
    carbon = apart(
        stomata.canopy_conductance(
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
        ground_humidity=jnp.stack([_pore_humidity(state, soil), jnp.ones_like(cover)]),
        stomatal_conductance=carbon.conductance,
        wet_fraction=wet,
        ground_ice=jnp.stack([_ice_share(state), jnp.ones_like(cover)]),
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
    return surface, exchange_of, stand.lai, carbon, uptake


def _pore_humidity(state: State, soil: Ground) -> Any:
    """Return the relative humidity in the soil's first layer; over its ice it is one.

    The liquid left beside ice is held tightly, but the vapour is in balance with the
    ice: a frozen soil does not dry the air.
    """
    temperature = state.soil_temperature[0]
    liquid = jnp.exp(soil.head[0] * GRAVITY / (GAS_CONSTANT_WATER_VAPOUR * temperature))
    return liquid + (1.0 - liquid) * _ice_share(state)


def _ice_share(state: State) -> Any:
    """Return the frozen share of the water in the first layer; zero without water."""
    water = state.soil_water[0]
    wet = water > 0.0
    return jnp.where(wet, state.soil_ice[0] / jnp.where(wet, water, 1.0), 0.0)


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
