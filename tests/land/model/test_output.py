import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import STEFAN_BOLTZMANN, WATER_DENSITY
from tilth.core.units import parse_units
from tilth.land.model.output import VARIABLES, collect, combine, finish
from tilth.land.model.settings import Settings


@pytest.fixture(scope="module")
def noon(two_days, land):
    """Return outputs, state and fluxes of the first day's noon."""
    _, states, fluxes = two_days()
    at = jax.tree.map(lambda x: x[24], (states, fluxes, land.weather()))
    parameters, _ = land.columns()
    return collect(*at, parameters, Settings()), at[0], at[1]


def test_every_variable_is_made_and_has_the_layers_it_says(noon):
    values, _, _ = noon
    assert list(values) == list(VARIABLES)
    for name, variable in VARIABLES.items():
        assert values[name].shape == ((6, 4) if variable.layered else (4,)), name
        parse_units(variable.units)


def test_evaporation_is_the_sum_of_its_kinds(noon):
    values, _, _ = noon
    kinds = sum(values[name] for name in ("TVeg", "ESoil", "ECanop", "SubSnow"))
    np.testing.assert_allclose(values["Evap"], kinds, rtol=1e-12)


def test_soil_moisture_is_a_mass_and_roots_reach_part_of_it(noon):
    values, state, _ = noon
    np.testing.assert_allclose(
        values["SoilMoist"][1], 0.2 * WATER_DENSITY * state.soil_water[1]
    )
    # Roots of 1 m: the first three layers, 0.05 + 0.20 + 0.75 m.
    np.testing.assert_allclose(
        values["RootMoist"][0], values["SoilMoist"][:3, 0].sum(), rtol=1e-12
    )
    assert np.all(values["RootMoist"] < values["SoilMoist"].sum(axis=0))


def test_the_radiative_temperature_sends_the_longwave(noon):
    values, _, fluxes = noon
    np.testing.assert_allclose(
        STEFAN_BOLTZMANN * values["AvgSurfT"] ** 4, fluxes.longwave_up, rtol=1e-12
    )


def test_residuals_are_shown_without_sign(noon):
    values, _, fluxes = noon
    np.testing.assert_array_equal(
        values["EnergyResidual"], jnp.abs(fluxes.ledger.energy)
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("Qle", 2.0), ("SWE", 3.0), ("WaterResidual", 5.0)]
)
def test_intervals_gather_means_last_values_and_maxima(name, expected):
    gathered = 0.0
    for value in (-2.0, 5.0, 3.0):
        gathered = combine(name, gathered, value)
    assert float(finish(name, gathered, 3)) == expected
