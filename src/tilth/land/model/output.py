"""Output of the land model: ALMA names, CF attributes, means over intervals.

Fluxes and temperatures are means over an interval, stores are at its end, so that the
books can be closed with the output alone; residuals are the largest of the interval.
Heat is positive away from the surface (Qle, Qh) and downwards into the ground (Qg).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tilth.core.accelerate import jnp
from tilth.core.constants import STEFAN_BOLTZMANN, WATER_DENSITY
from tilth.core.model import OutputVariable
from tilth.land.model.forcing import Weather
from tilth.land.model.parameters import LandParameters
from tilth.land.model.settings import Settings
from tilth.land.model.state import State
from tilth.land.model.step import Fluxes
from tilth.land.model.surface import root_fraction

#: Carbon in a mole of CO2, kg mol-1 (IUPAC 2021).
_CARBON = 12.011e-3


@dataclass(frozen=True)
class Variable(OutputVariable):
    """A variable of the output.

    Parameters
    ----------
    layered : bool
        Whether it has soil layers.
    """

    layered: bool = False


_WATER = "kg m-2 s-1"

#: ALMA name -> what it is.
VARIABLES: dict[str, Variable] = {
    "SWnet": Variable("W m-2", "net shortwave", "surface_net_downward_shortwave_flux"),
    "LWnet": Variable("W m-2", "net longwave", "surface_net_downward_longwave_flux"),
    "Qle": Variable("W m-2", "latent heat", "surface_upward_latent_heat_flux"),
    "Qh": Variable("W m-2", "sensible heat", "surface_upward_sensible_heat_flux"),
    "Qg": Variable(
        "W m-2", "heat into soil and snow", "downward_heat_flux_at_ground_level_in_soil"
    ),
    "Qa": Variable("W m-2", "heat that snowfall brings, less that of ice that leaves"),
    "Rainf": Variable(_WATER, "rain", "rainfall_flux"),
    "Snowf": Variable(_WATER, "snowfall", "snowfall_flux"),
    "Evap": Variable(
        _WATER, "evaporation of all kinds", "water_evapotranspiration_flux"
    ),
    "TVeg": Variable(_WATER, "transpiration", "transpiration_flux"),
    "ESoil": Variable(
        _WATER, "evaporation from soil", "water_evaporation_flux_from_soil"
    ),
    "ECanop": Variable(
        _WATER, "evaporation from wet leaves", "water_evaporation_flux_from_canopy"
    ),
    "SubSnow": Variable(_WATER, "sublimation of snow", "surface_snow_sublimation_flux"),
    "Qs": Variable(_WATER, "surface runoff", "surface_runoff_flux"),
    "Qsb": Variable(_WATER, "base flow", "subsurface_runoff_flux"),
    "Qsm": Variable(_WATER, "melt of snow", "surface_snow_melt_flux"),
    "GPP": Variable(
        _WATER,
        "gross primary production, carbon",
        "gross_primary_productivity_of_biomass_expressed_as_carbon",
    ),
    "LeafResp": Variable(_WATER, "respiration of leaves, carbon"),
    "AvgSurfT": Variable("K", "radiative temperature", "surface_temperature"),
    "SoilTemp": Variable("K", "soil temperature", "soil_temperature", layered=True),
    "SnowFrac": Variable("1", "snow cover", "surface_snow_area_fraction"),
    "WaterTableD": Variable("m", "depth of the water table", "water_table_depth"),
    "SWE": Variable("kg m-2", "snow mass", "surface_snow_amount", "point"),
    "SoilMoist": Variable(
        "kg m-2",
        "soil water and ice",
        "mass_content_of_water_in_soil_layer",
        "point",
        layered=True,
    ),
    "SoilFrost": Variable(
        "kg m-2",
        "soil ice",
        "frozen_water_content_of_soil_layer",
        "point",
        layered=True,
    ),
    "RootMoist": Variable("kg m-2", "water that roots reach", "", "point"),
    "CanopInt": Variable("kg m-2", "water on leaves", "canopy_water_amount", "point"),
    "SurfStor": Variable("kg m-2", "water in wetlands", "", "point"),
    "SurfaceResidual": Variable(
        "W m-2", "residual of the surface energy balances", "", "maximum"
    ),
    "EnergyResidual": Variable(
        "W m-2", "residual of the energy of the column", "", "maximum"
    ),
    "WaterResidual": Variable(
        "1", "residual of the water of the column against its water", "", "maximum"
    ),
}


def collect(
    state: State,
    fluxes: Fluxes,
    weather: Weather,
    parameters: LandParameters,
    settings: Settings,
) -> dict[str, Any]:
    """Return the output variables of one step.

    Parameters
    ----------
    state : State
        At the end of the step.
    fluxes : Fluxes
        Over the step.
    weather : Weather
        Over the step.
    parameters : LandParameters
        Of the cells.
    settings : Settings
        With the soil layers.

    Returns
    -------
    dict of str to array
        In the order of `VARIABLES`, ``(n,)`` or ``(layer, n)``.
    """
    mass = WATER_DENSITY * jnp.asarray(settings.layers)[:, None]
    f, books = fluxes, fluxes.ledger
    values = {
        "SWnet": f.shortwave_net,
        "LWnet": f.longwave_net,
        "Qle": f.latent,
        "Qh": f.sensible,
        "Qg": f.ground,
        "Qa": f.advected,
        "Rainf": weather.rainfall,
        "Snowf": weather.snowfall,
        "Evap": (
            f.transpiration + f.soil_evaporation + f.canopy_evaporation + f.sublimation
        ),
        "TVeg": f.transpiration,
        "ESoil": f.soil_evaporation,
        "ECanop": f.canopy_evaporation,
        "SubSnow": f.sublimation,
        "Qs": f.surface_runoff,
        "Qsb": f.base_flow,
        "Qsm": f.snow_melt,
        "GPP": _CARBON * f.assimilation,
        "LeafResp": _CARBON * f.respiration,
        "AvgSurfT": (f.longwave_up / STEFAN_BOLTZMANN) ** 0.25,
        "SoilTemp": state.soil_temperature,
        "SnowFrac": state.snow_cover,
        "WaterTableD": f.water_table,
        "SWE": state.snow_mass,
        "SoilMoist": mass * state.soil_water,
        "SoilFrost": mass * state.soil_ice,
        "RootMoist": jnp.sum(
            mass * state.soil_water * _reached(parameters, settings), axis=0
        ),
        "CanopInt": state.canopy_water,
        "SurfStor": state.wetland,
        "SurfaceResidual": books.surface,
        "EnergyResidual": jnp.abs(books.energy),
        "WaterResidual": jnp.abs(books.water),
    }
    return {name: values[name] for name in VARIABLES}


def _reached(parameters: LandParameters, settings: Settings) -> Any:
    """Return the part of each layer that roots reach."""
    thickness = jnp.asarray(settings.layers)
    share = root_fraction(parameters.root_depth, thickness)
    return (
        share
        * jnp.minimum(parameters.root_depth, jnp.sum(thickness))
        / thickness[:, None]
    )


def combine(name: str, before: Any, now: Any) -> Any:
    """Return what an interval has gathered with one step more.

    Parameters
    ----------
    name : str
        Key of `VARIABLES`.
    before : array
        Sum, last value or maximum so far; zero at the beginning.
    now : array
        Of the step.

    Returns
    -------
    array
        With the step.
    """
    method = VARIABLES[name].method
    if method == "mean":
        return before + now
    return jnp.maximum(before, now) if method == "maximum" else now


def finish(name: str, gathered: Any, steps: int) -> Any:
    """Return the output of an interval from what was gathered.

    Parameters
    ----------
    name : str
        Key of `VARIABLES`.
    gathered : array
        Of `combine`.
    steps : int
        In the interval.

    Returns
    -------
    array
        Mean, last value or maximum.
    """
    return gathered / steps if VARIABLES[name].method == "mean" else gathered
