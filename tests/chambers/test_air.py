"""The amount of air, its vapour, and the sensor's view of it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.chambers import air
from tilth.chambers.closures import make_closures
from tilth.core.errors import InputError


def wet_closures(**extra):
    samples = {
        "elapsed": [np.array([0.0, 3.0, 6.0])],
        "co2": [np.array([450.0, 450.0, 450.0])],
        "h2o": [np.array([10.0, 12.0, 14.0])],
    }
    samples.update(extra)
    return make_closures(["a"], samples, basis={"co2": "wet"})


def test_amount_of_air_in_a_pot_chamber_is_six_and_a_half_moles():
    # By hand: 0.165 m, 972 hPa, 20 degC, w 0.015 -> 6.48 mol m-2.
    amount = air.air_moles_per_area(0.165, 1.0, 97200.0, 20.0, 0.015)
    assert amount == pytest.approx(6.48, abs=0.005)


def test_amount_agrees_with_the_firmware_formula_in_its_own_units():
    # LI-8100A eq. 4-12 in cm3, cm2, kPa, mmol mol-1.
    v, s, p, t, w = 8020.9, 317.8, 98.3, 7.6, 6.148
    firmware = 10.0 * v * p * (1 - w / 1000) / (8.314 * s * (t + 273.15))
    ours = air.air_moles_per_area(v * 1e-6, s * 1e-4, p * 1e3, t, w * 1e-3, 8.314)
    assert ours == pytest.approx(firmware, rel=1e-12)


def test_the_two_gas_constants_in_use_differ_by_six_parts_in_a_hundred_thousand():
    a = air.air_moles_per_area(0.165, 1.0, 97200.0, 20.0)
    b = air.air_moles_per_area(0.165, 1.0, 97200.0, 20.0, r_gas=8.314)
    assert b / a - 1 == pytest.approx(5.6e-5, abs=1e-6)


def test_rising_vapour_makes_a_constant_wet_gas_seem_to_fall():
    # By hand: dw/dt 5e-6 s-1 at 450 ppm is 0.0023 ppm/s.
    assert air.water_dilution_slope(450.0, 5e-6) == pytest.approx(-0.00225, abs=1e-5)
    dried = air.to_dry(wet_closures(), "co2")["co2"].values[0]
    assert np.all(np.diff(dried) > 0)
    assert dried == pytest.approx(450.0 / (1 - np.array([0.010, 0.012, 0.014])))


def test_drying_a_dry_gas_is_refused_as_a_double_correction():
    dried = air.to_dry(wet_closures(), "co2")
    with pytest.raises(InputError, match="twice"):
        air.to_dry(dried, "co2")


def test_a_gas_that_does_not_tell_its_basis_is_refused():
    closures = wet_closures()
    del closures["co2"].attrs["basis"]
    with pytest.raises(InputError, match="dry or a wet"):
        air.to_dry(closures, "co2")


def test_a_wet_gas_without_any_humidity_is_refused():
    with pytest.raises(InputError, match="relative_humidity"):
        air.to_dry(wet_closures().drop_vars("h2o"), "co2")


def test_vapour_uses_the_thermometer_of_the_humidity_sensor():
    # An SCD30 runs 1-2 K warm: with the air thermometer its RH tells 10 % too little.
    closures = wet_closures(
        relative_humidity=[np.full(3, 50.0)],
        pressure=[np.full(3, 97200.0)],
        temperature=[np.full(3, 20.0)],
    ).drop_vars("h2o")
    by_air = air.water_vapour(closures)
    closures["humidity_temperature"] = xr.full_like(closures["temperature"], 21.5)
    closures["humidity_temperature"].attrs["units"] = "degC"
    by_sensor = air.water_vapour(closures)
    assert float((by_sensor / by_air).mean()) == pytest.approx(1.097, abs=0.002)


def test_saturation_pressure_meets_the_triple_and_the_boiling_neighbourhood():
    assert air.saturation_vapour_pressure(0.0) == pytest.approx(611.2)
    # WMO (2018) table: 20 degC 2338.8 Pa, 40 degC 7381.4 Pa, within 0.3 %.
    assert air.saturation_vapour_pressure(20.0) == pytest.approx(2338.8, rel=3e-3)
    assert air.saturation_vapour_pressure(40.0) == pytest.approx(7381.4, rel=3e-3)


def test_a_sensor_left_at_standard_pressure_reads_four_percent_low_at_970_hpa():
    assert air.pressure_compensated(400.0, 97000.0) / 400.0 == pytest.approx(
        1.0446, abs=1e-4
    )


def test_pressure_is_compensated_once_and_refused_twice():
    closures = wet_closures(pressure=[np.full(3, 97000.0)])
    once = air.compensate_pressure(closures, "co2")
    assert float(once["co2"].mean()) == pytest.approx(450.0 * 101325 / 97000)
    with pytest.raises(InputError, match="already"):
        air.compensate_pressure(once, "co2")


@pytest.mark.realdata
def test_fluxible_dry_gas_is_met_to_its_printed_digits(dataset):
    # Snapshots of fluxible 1.3.4, three digits: 416 -> 426 ppm at 22.7 mmol mol-1.
    folder = dataset("fluxible-reference")
    wet = pd.read_csv(folder / "wet_conc.csv")
    expected = pd.read_csv(folder / "fluxible_expected_drygas.csv")
    dry = air.dry_mole_fraction(wet["co2"], wet["h2o"] / 1000)
    np.testing.assert_allclose(dry, expected["co2_dry_ppm"], atol=0.51)
    assert dry.iloc[0] == pytest.approx(426, abs=0.5)


@pytest.mark.realdata
def test_fluxible_fluxes_follow_from_its_slopes_and_our_amount_of_air(dataset):
    # R = 0.082057 L atm is 8.3144 J; printed to three digits: 95.6 mmol m-2 h-1.
    folder = dataset("fluxible-reference")
    slopes = pd.read_csv(folder / "fluxible_expected_slopes.csv")
    slopes = slopes[slopes["case"] == "zhao18"].set_index("f_fluxid")
    printed = pd.read_csv(folder / "fluxible_expected_fluxes.csv")
    printed = printed[printed["case"] == "base"].set_index("f_fluxid")
    amount = air.air_moles_per_area(
        printed["volume_L"] * 1e-3,
        printed["area_m2"],
        printed["pressure_atm"] * 101325.0,
        printed["temp_air_mean_C"],
        r_gas=0.082057 * 101.325,
    )
    ours = slopes.loc[printed.index, "f_slope_ppm_per_s"] * amount * 3.6
    np.testing.assert_allclose(ours, printed["flux_mmol_m2_h"], rtol=6e-3)
    assert ours.loc[1] == pytest.approx(95.6, rel=4e-3)
