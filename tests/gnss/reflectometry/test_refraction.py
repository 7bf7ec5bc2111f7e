"""Refraction against tabulated values, and the air it takes."""

import datetime

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.refraction import (
    Air,
    Climate,
    Refraction,
    bennett,
    ulich,
)

ELEVATIONS = [2, 3, 5, 7, 10, 15, 20, 25]
#: Where the antenna of MCHL stands.
MCHL = (-26.358904661, 148.144960505, 534.591379)


@pytest.mark.parametrize(
    ("pressure", "temperature", "expected"),
    [
        # Recomputed independently from Bennett (1982).
        (
            958.968,
            20.951,
            [
                0.27749,
                0.218513,
                0.150553,
                0.113545,
                0.08213,
                0.055392,
                0.041182,
                0.032301,
            ],
        ),
        (
            1013.25,
            15.0,
            [
                0.299249,
                0.235647,
                0.162358,
                0.122448,
                0.08857,
                0.059735,
                0.044411,
                0.034834,
            ],
        ),
    ],
)
def test_bennetts_refraction_has_the_tabulated_values(pressure, temperature, expected):
    found = bennett(ELEVATIONS, Air(pressure, temperature))
    np.testing.assert_allclose(found, expected, atol=6e-7)


@pytest.mark.realdata
def test_ulichs_refraction_of_mchl_has_the_tabulated_values(dataset):
    # Refractivity 301.891 ppm and refraction of gnssrefl 4.2.3 at the station.
    air = Climate.read(dataset("mchl-reflections") / "mchl_refr.txt", *MCHL).on()
    assert air.refractivity == pytest.approx(301.891, abs=0.002)
    expected = [
        0.302555,
        0.244976,
        0.171544,
        0.129741,
        0.093831,
        0.063198,
        0.046944,
        0.036801,
    ]
    # Refraction is in proportion to 301.891 ppm, of which half a digit is 5e-7 at 2.
    found = ulich(ELEVATIONS, air) * 301.891 / air.refractivity
    np.testing.assert_allclose(found, expected, atol=1.1e-6)


@pytest.mark.realdata
def test_the_mean_air_of_mchl_is_that_of_its_nodes(dataset):
    # gnssrefl 4.2.3 prints pressure 958.968, temperature 20.951, humidity 11.246.
    air = Climate.read(dataset("mchl-reflections") / "mchl_refr.txt", *MCHL).on()
    assert air.pressure == pytest.approx(958.968, abs=6e-4)
    assert air.temperature == pytest.approx(20.951, abs=6e-4)
    assert air.vapour_pressure == pytest.approx(11.246, abs=6e-4)


@pytest.mark.realdata
def test_seasons_are_those_of_the_hemisphere_and_average_out(dataset):
    climate = Climate.read(dataset("mchl-reflections") / "mchl_refr.txt", *MCHL)
    days = [datetime.date(2025, 1, 1) + datetime.timedelta(d) for d in range(365)]
    celsius = np.array([climate.on(day).temperature for day in days])
    assert celsius[:31].mean() > 25 > 15 > celsius[180:211].mean()
    assert celsius.mean() == pytest.approx(climate.on().temperature, abs=0.02)


@pytest.mark.realdata
def test_nodes_of_another_place_are_refused(dataset):
    path = dataset("mchl-reflections") / "mchl_refr.txt"
    with pytest.raises(InputError, match="belong to another station"):
        Climate.read(path, -20.0, 148.1, 500.0)


def test_refraction_falls_with_elevation_and_grows_with_pressure():
    e = np.linspace(1, 89, 200)
    for bend in (bennett, ulich):
        thin, thick = bend(e, Air(700.0, 10.0)), bend(e, Air(1000.0, 10.0))
        assert (np.diff(thick) < 0).all()
        assert (thick > thin).all()


def test_both_models_agree_to_a_twentieth_in_dry_air_above_five_degrees():
    # Bennett's is for light, which water vapour hardly bends: dry air for both.
    air = Air(1013.25, 15.0)
    e = np.linspace(5, 30, 50)
    ratio = bennett(e, air) / ulich(e, air)
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)


def test_the_standard_atmosphere_has_its_tabulated_pressure():
    # ISO 2533: 898.746 hPa and 8.5 degC at 1000 m.
    air = Air.standard(1000.0)
    assert air.pressure == pytest.approx(898.746, abs=0.01)
    assert air.temperature == pytest.approx(8.5)


def test_without_a_model_elevations_stay():
    e = np.array([5.0, 10.0])
    none = Refraction("none").apparent_elevation(e, datetime.date(2025, 1, 1))
    np.testing.assert_array_equal(none, e)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Refraction("cassini"), "no model of refraction 'cassini'"),
        (lambda: Refraction("ulich", Air(), seasonal=True), "need a Climate"),
        (lambda: Air(pressure=101325.0), "pressure .hPa. of air is 101325"),
        (lambda: Air(temperature=293.0), "temperature .degC. of air is 293"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
