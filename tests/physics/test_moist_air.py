"""Moist air: tables of saturation, inverses, slopes, and no number that is not one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.physics import moist_air

TRIPLE = 273.16


def goff_over_water(t):
    # Goff (1957) as recommended by WMO-No. 49 (1988), appendix A; hPa, here in Pa.
    r = TRIPLE / t
    return 100 * 10 ** (
        10.79574 * (1 - r)
        - 5.02800 * np.log10(t / TRIPLE)
        + 1.50475e-4 * (1 - 10 ** (-8.2969 * (t / TRIPLE - 1)))
        + 0.42873e-3 * (10 ** (4.76955 * (1 - r)) - 1)
        + 0.78614
    )


def goff_over_ice(t):
    r = TRIPLE / t
    return 100 * 10 ** (
        -9.09685 * (r - 1) - 3.56654 * np.log10(r) + 0.87682 * (1 - 1 / r) + 0.78614
    )


@pytest.mark.parametrize(
    ("celsius", "pascal"),
    # IAPWS-95, table of the saturation line (Wagner & Pruss 2002).
    [(10.0, 1228.2), (20.0, 2339.3), (30.0, 4247.0), (40.0, 7384.9)],
)
def test_saturation_over_water_is_that_of_the_steam_tables(celsius, pascal):
    value = moist_air.saturation_vapour_pressure(celsius + 273.15)
    assert float(value) == pytest.approx(pascal, rel=4e-3)


def test_saturation_follows_goff_over_water_and_over_ice():
    t = np.arange(228.15, 333.2, 2.5)
    water = moist_air.saturation_vapour_pressure(t)
    # Magnus' two constants depart most, 0.61 percent, over water supercooled to -35.
    np.testing.assert_allclose(water, goff_over_water(t), rtol=6.2e-3)
    t = np.arange(208.15, 273.2, 2.5)
    ice = moist_air.saturation_vapour_pressure(t, over="ice")
    np.testing.assert_allclose(ice, goff_over_ice(t), rtol=2e-3)


def test_water_and_ice_agree_at_the_freezing_point_and_ice_is_lower_below():
    saturation = moist_air.saturation_vapour_pressure
    assert float(saturation(273.15)) == float(saturation(273.15, over="ice")) == 611.2
    t = np.linspace(220.0, 273.0, 50)
    assert np.all(saturation(t, over="ice") < saturation(t))


@settings(max_examples=60, deadline=None)
@given(q=st.floats(0.0, 0.08), p=st.floats(3e4, 1.1e5))
def test_vapour_pressure_and_specific_humidity_are_inverse(q, p):
    e = moist_air.vapour_pressure(q, p)
    assert float(moist_air.specific_humidity(e, p)) == pytest.approx(q, abs=1e-15)


@pytest.mark.parametrize("over", ["water", "ice"])
def test_the_slope_is_the_derivative_of_the_saturation_humidity(over):
    t = jnp.linspace(210.0, 330.0, 41)

    def humidity(x):
        return moist_air.saturation_specific_humidity(x, 8e4, over=over)

    slope = moist_air.saturation_slope(t, 8e4, over=over)
    np.testing.assert_allclose(slope, jax.vmap(jax.grad(humidity))(t), rtol=1e-12)
    step = 1e-3
    np.testing.assert_allclose(
        slope, (humidity(t + step) - humidity(t - step)) / (2 * step), rtol=1e-7
    )


def test_boiling_water_fills_the_air_with_vapour_and_stops_there():
    hot = moist_air.saturation_specific_humidity(380.0, 5e4)
    assert float(hot) == pytest.approx(1.0, abs=1e-12)
    assert float(moist_air.saturation_slope(380.0, 5e4)) == 0.0


def test_dew_point_inverts_saturation():
    t = np.linspace(230.0, 320.0, 30)
    e = moist_air.saturation_vapour_pressure(t)
    np.testing.assert_allclose(moist_air.dew_point(e), t, rtol=1e-13)


def test_air_of_the_standard_atmosphere_weighs_1_225_and_vapour_makes_it_lighter():
    # ICAO standard atmosphere (ISO 2533): 1.225 kg m-3 at 15 degC, 101325 Pa.
    dry = float(moist_air.air_density(288.15, 101325.0))
    assert dry == pytest.approx(1.225, abs=5e-4)
    assert float(moist_air.air_density(288.15, 101325.0, 0.01)) < dry
    # Mixture of two ideal gases, each with its own gas constant.
    q, p, t = 0.02, 9.5e4, 300.0
    e = float(moist_air.vapour_pressure(q, p))
    mixture = (p - e) / (287.05 * t) + e / (461.5 * t)
    assert float(moist_air.air_density(t, p, q)) == pytest.approx(mixture, rel=1e-12)


def test_the_psychrometric_constant_at_sea_level_is_66_pascal_per_kelvin():
    # FAO-56 (Allen et al. 1998), table 2.2: 0.067 kPa per degC at 101.3 kPa and 2.45
    # MJ kg-1, there with cp 1013 J kg-1 K-1 of moist air.
    value = moist_air.psychrometric_constant(101300.0, 2.45e6)
    assert float(value) == pytest.approx(67.3 * 1005 / 1013, rel=2e-3)


def test_vaporization_takes_2_45_megajoule_per_kilogram_at_20_degrees():
    # FAO-56 (Allen et al. 1998), eq. 3-1 at 20 degC: 2.45 MJ kg-1.
    value = moist_air.latent_heat_of_vaporization(293.15)
    assert float(value) == pytest.approx(2.45e6, rel=2e-3)


@settings(max_examples=80, deadline=None)
@given(t=st.floats(230.0, 318.0), humid=st.floats(0.0, 1.3), p=st.floats(5e4, 1.05e5))
def test_the_wet_bulb_balances_heat_and_vapour_and_is_never_warmer_than_air(
    t, humid, p
):
    saturated = float(moist_air.saturation_specific_humidity(t, p))
    q = humid * saturated
    wet = float(moist_air.wet_bulb_temperature(t, q, p))
    assert wet <= t + 1e-9
    held = min(q, saturated)
    need = 2.501e6 * (float(moist_air.saturation_specific_humidity(wet, p)) - held)
    assert need == pytest.approx(1005.0 * (t - wet), abs=1e-3)


def test_the_wet_bulb_of_half_saturated_air_at_20_degrees_is_13_8():
    # Smithsonian psychrometric table for a ventilated bulb: 13.8 degC.
    q = moist_air.specific_humidity(
        0.5 * moist_air.saturation_vapour_pressure(293.15), 101325.0
    )
    wet = float(moist_air.wet_bulb_temperature(293.15, q, 101325.0)) - 273.15
    assert wet == pytest.approx(13.8, abs=0.1)


@settings(max_examples=100, deadline=None)
@given(t=st.floats(-1e6, 1e6), over=st.sampled_from(["water", "ice"]))
def test_any_finite_temperature_gives_a_finite_pressure_and_slope(t, over):
    assert np.isfinite(moist_air.saturation_vapour_pressure(t, over=over))
    assert np.isfinite(moist_air.saturation_slope(t, 1e5, over=over))
    slope = jax.grad(lambda x: moist_air.saturation_vapour_pressure(x, over=over))(t)
    assert np.isfinite(slope)
