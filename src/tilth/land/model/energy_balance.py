r"""Energy balance of ground and canopy: one linear solve per tile and step.

Neither the skin of the ground nor the leaves store heat. Every flux is linear in the
changes of the ground's and the canopy's temperature, so the two balances are two linear
equations with a closed solution, and the fluxes, evaluated at that solution, add up to
rounding. Three things are held by solving again: no flux takes more than a store has;
snow does not warm above 0 degC (what is left over melts it); and neither does a canopy
that carries ice, nor does it cool below 0 degC while its water still freezes.

Fluxes are positive away from the surface, heat into the ground positive downwards.
Arrays are ``(tile, cell)`` or broadcast to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    HEAT_CAPACITY_AIR,
    LATENT_HEAT_FUSION,
    LATENT_HEAT_VAPORIZATION,
    STEFAN_BOLTZMANN,
    ZERO_CELSIUS,
)
from tilth.physics import moist_air

#: Dew is limited by the vapour of so much air above the surface, kg m-2: the lowest
#: layer of an atmospheric model, about 100 m (MATSIRO, Takata et al. 2003).
DEW_AIR_MASS = 120.0

#: Heat conductance of a canopy without leaves, W m-2 K-1: it keeps the temperature of
#: the air, and carries no flux that would show.
_NO_LEAVES = 1e-9

#: Times the balance is solved: as it is, with its limits, with the limits those cause.
_ROUNDS = 3

#: Times the balance is linearised within a step: half of all stands are then within
#: 0.3 W m-2 of what many more passes find, 19 of 20 within 7 W m-2.
PASSES = 5


class Surface(NamedTuple):
    """What the balance of a tile is made of.

    Parameters
    ----------
    ground_temperature, canopy_temperature : array
        Of the step before, K: where the fluxes are linearised.
    ground_shortwave, canopy_shortwave : array
        Absorbed, W m-2.
    longwave : array
        Downward from the sky, W m-2.
    longwave_transmissivity : array
        Of the canopy.
    longwave_albedo : array
        Of the ground; its emissivity is one minus this.
    air_temperature : array
        Potential temperature of the air relative to the surface, K.
    air_humidity : array
        Specific humidity, kg kg-1.
    air_density : array
        In kg m-3.
    pressure : array
        At the surface, Pa.
    ground_conductance, canopy_conductance : array
        Of the air for heat from ground and leaves, m s-1.
    soil_resistance : array
        Of the ground to evaporation (not to dew), s m-1.
    ground_humidity : array
        Relative humidity of the air in the ground's pores.
    stomatal_conductance : array
        Of the canopy for vapour per ground area, m s-1.
    wet_fraction : array
        Share of the leaves under water or ice.
    ground_ice, canopy_ice_share : array
        Share of ice in what evaporates from ground and leaves.
    conductance, deep_temperature : array
        Heat into the ground is conductance (W m-2 K-1) times the ground's temperature
        minus this temperature (K): the answer of the column below is in them.
    snow : array of bool
        Whether the ground is snow or ice that melts at 0 degC.
    ground_limit, canopy_limit, transpiration_limit : array
        Most that can evaporate, kg m-2 s-1.
    canopy_ice, canopy_liquid : array
        On the leaves, over the length of the step, kg m-2 s-1.
    time_step : float
        In s.
    """

    ground_temperature: Any
    canopy_temperature: Any
    ground_shortwave: Any
    canopy_shortwave: Any
    longwave: Any
    longwave_transmissivity: Any
    longwave_albedo: Any
    air_temperature: Any
    air_humidity: Any
    air_density: Any
    pressure: Any
    ground_conductance: Any
    canopy_conductance: Any
    soil_resistance: Any
    ground_humidity: Any
    stomatal_conductance: Any
    wet_fraction: Any
    ground_ice: Any
    canopy_ice_share: Any
    conductance: Any
    deep_temperature: Any
    snow: Any
    ground_limit: Any
    canopy_limit: Any
    transpiration_limit: Any
    canopy_ice: Any
    canopy_liquid: Any
    time_step: float


class Balance(NamedTuple):
    """Solution of the balance of a tile.

    Parameters
    ----------
    ground_temperature, canopy_temperature : array
        New temperatures, K.
    ground_evaporation, canopy_evaporation, transpiration : array
        In kg m-2 s-1; dew is negative, and that on leaves is in the second.
    ground_sensible, canopy_sensible : array
        In W m-2.
    ground_latent, canopy_latent : array
        In W m-2; transpiration is in the second.
    ground_longwave, canopy_longwave : array
        Net longwave radiation gained, W m-2.
    longwave_up : array
        To the sky, W m-2.
    ground_heat : array
        Conducted into the ground, W m-2.
    melt_heat : array
        Left over on snow at 0 degC, W m-2.
    canopy_melt : array
        Ice on leaves that melts (water that freezes is negative), kg m-2 s-1.
    ground_residual, canopy_residual : array
        What does not add up, W m-2.
    """

    ground_temperature: Any
    canopy_temperature: Any
    ground_evaporation: Any
    canopy_evaporation: Any
    transpiration: Any
    ground_sensible: Any
    canopy_sensible: Any
    ground_latent: Any
    canopy_latent: Any
    ground_longwave: Any
    canopy_longwave: Any
    longwave_up: Any
    ground_heat: Any
    melt_heat: Any
    canopy_melt: Any
    ground_residual: Any
    canopy_residual: Any


class _Line(NamedTuple):
    """A flux ``value + slope * change`` of one temperature."""

    value: Any
    slope: Any

    def at(self, change: Any) -> Any:
        return self.value + self.slope * change

    def hold(self, where: Any, value: Any) -> _Line:
        """Return the line that keeps `value` where the condition holds."""
        return _Line(
            jnp.where(where, value, self.value), jnp.where(where, 0.0, self.slope)
        )


def saturation(temperature: Any, pressure: Any) -> tuple[Any, Any]:
    """Return saturation specific humidity and its slope, over ice below 0 degC.

    Parameters
    ----------
    temperature : array
        In K.
    pressure : array
        In Pa.

    Returns
    -------
    array, array
        In kg kg-1 and kg kg-1 K-1.
    """
    cold = temperature < ZERO_CELSIUS
    humidity, slope = (
        jnp.where(
            cold,
            function(temperature, pressure, over="ice"),
            function(temperature, pressure, over="water"),
        )
        for function in (
            moist_air.saturation_specific_humidity,
            moist_air.saturation_slope,
        )
    )
    return humidity, slope


def series(first: Any, second: Any) -> Any:
    """Return the conductance of two in a row; zero if either is zero.

    Parameters
    ----------
    first, second : array
        Conductances in the same units, not negative.

    Returns
    -------
    array
        ``1 / (1 / first + 1 / second)``.
    """
    total = first + second
    closed = total <= 0.0
    return jnp.where(closed, 0.0, first * second / jnp.where(closed, 1.0, total))


def settle(
    surface: Surface, exchange_of: Callable[[Any, Any], Any], passes: int = PASSES
) -> Balance:
    """Solve the balance around temperatures that belong to its own exchange.

    The exchange with the air and the vapour at saturation follow from the temperatures
    that the balance is solved for. Taken from the step before alone, a stand that was
    still at dawn heats up by tens of degrees, and the step after it throws that back.
    So the balance is solved several times, each time around the temperatures found
    last, with conductances half-way to those that belong to them.

    Parameters
    ----------
    surface : Surface
        As for `solve`, with the temperatures and conductances to begin with.
    exchange_of : callable
        From the temperatures of ground and canopy, K, to conductances ``ground`` and
        ``canopy``, m s-1.
    passes : int, default 5
        Times the balance is solved; one is `solve`.

    Returns
    -------
    Balance
        Of the last pass: its residuals are zero to rounding.
    """

    def around(pass_: tuple[Any, ...]) -> Balance:
        ground, canopy, from_ground, from_canopy = pass_
        return solve(
            surface._replace(
                ground_temperature=ground,
                canopy_temperature=canopy,
                ground_conductance=from_ground,
                canopy_conductance=from_canopy,
            )
        )

    def again(pass_: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        found = around(pass_)
        fresh = exchange_of(found.ground_temperature, found.canopy_temperature)
        return (
            found.ground_temperature,
            found.canopy_temperature,
            0.5 * (pass_[2] + fresh.ground),
            0.5 * (pass_[3] + fresh.canopy),
        ), None

    begin = (
        surface.ground_temperature,
        surface.canopy_temperature,
        surface.ground_conductance,
        surface.canopy_conductance,
    )
    last, _ = jax.lax.scan(again, begin, None, length=passes - 1)
    return around(last)


def solve(surface: Surface) -> Balance:
    """Solve the energy balance of ground and canopy.

    Parameters
    ----------
    surface : Surface
        What it is made of.

    Returns
    -------
    Balance
        Temperatures and fluxes; the residuals are zero to rounding.
    """
    s = surface
    q_ground, dq_ground = saturation(s.ground_temperature, s.pressure)
    q_canopy, dq_canopy = saturation(s.canopy_temperature, s.pressure)
    latent_ground = LATENT_HEAT_VAPORIZATION + LATENT_HEAT_FUSION * s.ground_ice
    latent_canopy = LATENT_HEAT_VAPORIZATION + LATENT_HEAT_FUSION * s.canopy_ice_share

    heat = s.air_density * HEAT_CAPACITY_AIR
    ground_sensible = _Line(
        heat * s.ground_conductance * (s.ground_temperature - s.air_temperature),
        heat * s.ground_conductance,
    )
    leaves = heat * s.canopy_conductance + _NO_LEAVES
    canopy_sensible = _Line(leaves * (s.canopy_temperature - s.air_temperature), leaves)
    into_ground = _Line(
        s.conductance * (s.ground_temperature - s.deep_temperature), s.conductance
    )
    emitted_ground = _Line(
        STEFAN_BOLTZMANN * s.ground_temperature**4,
        4.0 * STEFAN_BOLTZMANN * s.ground_temperature**3,
    )
    emitted_canopy = _Line(
        STEFAN_BOLTZMANN * s.canopy_temperature**4,
        4.0 * STEFAN_BOLTZMANN * s.canopy_temperature**3,
    )

    # Vapour: the deficit decides whether soil and stomata resist (they do not to dew).
    deficit_ground = _Line(
        s.ground_humidity * q_ground - s.air_humidity, s.ground_humidity * dq_ground
    )
    deficit_canopy = _Line(q_canopy - s.air_humidity, dq_canopy)
    dry = s.ground_conductance / (1.0 + s.ground_conductance * s.soil_resistance)
    stomata = series(s.canopy_conductance, s.stomatal_conductance)
    dew_limit = -s.air_humidity * DEW_AIR_MASS / s.time_step

    def evaporation(ground_dew: Any, canopy_dew: Any) -> tuple[_Line, _Line, _Line]:
        ground = s.air_density * jnp.where(ground_dew, s.ground_conductance, dry)
        wet = s.air_density * s.canopy_conductance
        wet = jnp.where(canopy_dew, wet, wet * s.wet_fraction)
        through = s.air_density * stomata * (1.0 - s.wet_fraction)
        through = jnp.where(canopy_dew, 0.0, through)
        return (
            _Line(ground * deficit_ground.value, ground * deficit_ground.slope),
            _Line(wet * deficit_canopy.value, wet * deficit_canopy.slope),
            _Line(through * deficit_canopy.value, through * deficit_canopy.slope),
        )

    t = s.longwave_transmissivity
    black = 1.0 - s.longwave_albedo

    def longwave(ground: Any, canopy: Any, sky: Any) -> tuple[Any, Any, Any]:
        down = t * sky + (1.0 - t) * canopy
        up = black * ground + s.longwave_albedo * down
        return (
            black * (down - ground),
            (1.0 - t) * (sky + up - 2.0 * canopy),
            t * up + (1.0 - t) * canopy,
        )

    net_ground, net_canopy, _ = longwave(
        emitted_ground.value, emitted_canopy.value, s.longwave
    )
    by_ground = longwave(emitted_ground.slope, 0.0, 0.0)
    by_canopy = longwave(0.0, emitted_canopy.slope, 0.0)

    def changes(
        fluxes: tuple[_Line, _Line, _Line], melts: Any, ice: Any, liquid: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Return the two changes, the melting power on leaves and the excess."""
        ground, canopy, through = fluxes
        g0 = (
            s.ground_shortwave
            + net_ground
            - ground_sensible.value
            - latent_ground * ground.value
            - into_ground.value
        )
        gg = (
            by_ground[0]
            - ground_sensible.slope
            - latent_ground * ground.slope
            - into_ground.slope
        )
        gc = by_canopy[0]
        c0 = (
            s.canopy_shortwave
            + net_canopy
            - canopy_sensible.value
            - latent_canopy * canopy.value
            - LATENT_HEAT_VAPORIZATION * through.value
        )
        cg = by_ground[1]
        cc = (
            by_canopy[1]
            - canopy_sensible.slope
            - latent_canopy * canopy.slope
            - LATENT_HEAT_VAPORIZATION * through.slope
        )
        to_melting = ZERO_CELSIUS - s.ground_temperature
        # The canopy's balance with the ground's temperature eliminated or held.
        constant = jnp.where(melts, c0 + cg * to_melting, c0 - cg * g0 / gg)
        slope = jnp.where(melts, cc, cc - cg * gc / gg)
        spare = constant + slope * (ZERO_CELSIUS - s.canopy_temperature)
        power = jnp.clip(spare, -LATENT_HEAT_FUSION * liquid, LATENT_HEAT_FUSION * ice)
        canopy_change = (power - constant) / slope
        ground_change = jnp.where(melts, to_melting, -(g0 + gc * canopy_change) / gg)
        excess = jnp.where(melts, g0 + gg * to_melting + gc * canopy_change, 0.0)
        return ground_change, canopy_change, power, excess

    lines = evaporation(deficit_ground.value < 0.0, deficit_canopy.value < 0.0)
    melts = jnp.zeros(jnp.shape(lines[0].value), bool)
    ice, liquid = s.canopy_ice, s.canopy_liquid
    x, y, power, excess = changes(lines, melts, ice, liquid)
    for _ in range(_ROUNDS - 1):
        melts = melts | (s.snow & (s.ground_temperature + x > ZERO_CELSIUS))
        fresh = evaporation(deficit_ground.at(x) < 0.0, deficit_canopy.at(y) < 0.0)
        lines = tuple(  # type: ignore[assignment]
            line.hold(line.at(change) > most, most).hold(
                line.at(change) < dew_limit, dew_limit
            )
            for line, change, most in zip(
                fresh,
                (x, y, y),
                (s.ground_limit, s.canopy_limit, s.transpiration_limit),
                strict=True,
            )
        )
        # Ice that evaporates does not melt.
        kept = 1.0 - jnp.clip(
            lines[1].at(y) / jnp.maximum(s.canopy_limit, 1e-30), 0.0, 1.0
        )
        ice, liquid = s.canopy_ice * kept, s.canopy_liquid * kept
        x, y, power, excess = changes(lines, melts, ice, liquid)

    # What still exceeds a store is not taken; its heat warms the air.
    limits = (s.ground_limit, s.canopy_limit, s.transpiration_limit)
    wanted = tuple(
        line.at(change) for line, change in zip(lines, (x, y, y), strict=True)
    )
    ground_evaporation, canopy_evaporation, transpiration = (
        jnp.minimum(flux, most) for flux, most in zip(wanted, limits, strict=True)
    )
    ground_latent = latent_ground * ground_evaporation
    canopy_latent = (
        latent_canopy * canopy_evaporation + LATENT_HEAT_VAPORIZATION * transpiration
    )
    sensible_ground = ground_sensible.at(x) + latent_ground * (
        wanted[0] - ground_evaporation
    )
    sensible_canopy = (
        canopy_sensible.at(y)
        + latent_canopy * (wanted[1] - canopy_evaporation)
        + LATENT_HEAT_VAPORIZATION * (wanted[2] - transpiration)
    )
    net_ground, net_canopy, up = longwave(
        emitted_ground.at(x), emitted_canopy.at(y), s.longwave
    )
    ground_heat = into_ground.at(x)
    return Balance(
        ground_temperature=jnp.where(melts, ZERO_CELSIUS, s.ground_temperature + x),
        canopy_temperature=s.canopy_temperature + y,
        ground_evaporation=ground_evaporation,
        canopy_evaporation=canopy_evaporation,
        transpiration=transpiration,
        ground_sensible=sensible_ground,
        canopy_sensible=sensible_canopy,
        ground_latent=ground_latent,
        canopy_latent=canopy_latent,
        ground_longwave=net_ground,
        canopy_longwave=net_canopy,
        longwave_up=up,
        ground_heat=ground_heat,
        melt_heat=excess,
        canopy_melt=power / LATENT_HEAT_FUSION,
        ground_residual=s.ground_shortwave
        + net_ground
        - sensible_ground
        - ground_latent
        - ground_heat
        - excess,
        canopy_residual=s.canopy_shortwave
        + net_canopy
        - sensible_canopy
        - canopy_latent
        - power,
    )
