r"""Ledgers of a step: whether heat and water that came in are still there.

Heat counts from liquid water, and soil, at 0 degC. Water that moves, rain included,
holds none; snow and ice hold :math:`c_i (T - T_0) - L_f` (ice in the soil and on leaves
:math:`-L_f`); the capacity of the soil is that at the beginning of the step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jnp
from tilth.core.constants import LATENT_HEAT_FUSION, WATER_DENSITY
from tilth.land.model.snow_step import snow_heat_content
from tilth.land.model.state import State


class Ledger(NamedTuple):
    """What does not add up in a step.

    Parameters
    ----------
    surface : array
        Largest residual of the ground's and the canopy's balance on the two tiles,
        W m-2.
    energy : array
        Residual of the column: radiation, turbulent and advected heat against what
        soil, snow and leaves gained, W m-2.
    water : array
        Residual of the column's water against all water in it, 1.
    """

    surface: Any
    energy: Any
    water: Any


def stored_water(state: State, thickness: Any) -> Any:
    """Return all water of the column: soil, snow, leaves and wetland.

    Parameters
    ----------
    state : State
        Cells last.
    thickness : array (layer,)
        Of the soil layers, m.

    Returns
    -------
    array (n,)
        In kg m-2.
    """
    soil = WATER_DENSITY * jnp.sum(state.soil_water * thickness[:, None], axis=0)
    return soil + state.snow_mass + state.canopy_water + state.wetland


def stored_heat_change(
    before: State, after: State, heat_capacity: Any, thickness: Any
) -> Any:
    """Return the heat that soil, snow and leaves gained.

    Parameters
    ----------
    before, after : State
        Cells last.
    heat_capacity : array (layer, n)
        Of the soil during the step, per area, J m-2 K-1.
    thickness : array (layer,)
        Of the soil layers, m.

    Returns
    -------
    array (n,)
        In J m-2.
    """
    warmed = heat_capacity * (after.soil_temperature - before.soil_temperature)
    frozen = WATER_DENSITY * thickness[:, None] * (after.soil_ice - before.soil_ice)
    snow = [
        snow_heat_content(
            state.snow_mass, state.snow_temperature, state.snow_liquid, state.snow_cover
        )
        for state in (before, after)
    ]
    leaves = after.canopy_ice - before.canopy_ice
    return (
        jnp.sum(warmed - LATENT_HEAT_FUSION * frozen, axis=0)
        + snow[1]
        - snow[0]
        - LATENT_HEAT_FUSION * leaves
    )


def close(
    before: State,
    after: State,
    *,
    thickness: Any,
    heat_capacity: Any,
    time_step: float,
    surface_residuals: Any,
    heat_gain: Any,
    water_gain: Any,
) -> Ledger:
    """Close the books of a step.

    Parameters
    ----------
    before, after : State
        Cells last.
    thickness : array (layer,)
        Of the soil layers, m.
    heat_capacity : array (layer, n)
        Of the soil during the step, per area, J m-2 K-1.
    time_step : float
        In s.
    surface_residuals : array (balance, n)
        Of the surface balances, W m-2.
    heat_gain : array (n,)
        Net radiation less turbulent heat, plus what snowfall brings and ice that goes
        takes along, W m-2.
    water_gain : array (n,)
        Precipitation less evaporation and runoff, kg m-2 s-1.

    Returns
    -------
    Ledger
        The residuals.
    """
    heat = stored_heat_change(before, after, heat_capacity, thickness)
    stored = stored_water(after, thickness)
    gained = stored - stored_water(before, thickness)
    return Ledger(
        surface=jnp.max(jnp.abs(surface_residuals), axis=0),
        energy=heat_gain - heat / time_step,
        water=(gained - water_gain * time_step) / stored,
    )
