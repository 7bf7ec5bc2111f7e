import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.chambers.soil.diffusion import (
    clogged_mask,
    co2_diffusivity,
    currie,
    gradient_flux,
    marshall,
    millington_quirk,
    moldrup,
    penman,
    soil_conductance,
)
from tilth.core.constants import MOLAR_GAS_CONSTANT
from tilth.core.errors import InputError


def test_diffusivity_of_co2_is_massmans_at_his_reference():
    assert co2_diffusivity(0.0, 101_325.0) == 1.381e-5


def test_diffusivity_rises_with_temperature_and_falls_with_pressure():
    warm = co2_diffusivity(20.0, 101_325.0)
    # (293.15 / 273.15)^1.81 = 1.13644, by hand.
    assert warm == pytest.approx(1.381e-5 * 1.13644, rel=1e-4)
    assert co2_diffusivity(20.0, 50_662.5) == pytest.approx(2 * warm)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: millington_quirk(0.125, 0.5), 0.125 ** (10 / 3) / 0.25),
        (lambda: millington_quirk(0.5, 0.5), 0.5 ** (4 / 3)),
        (lambda: moldrup(0.2, 0.2, 5.0), 2 * 0.008 + 0.04 * 0.2),
        (lambda: moldrup(0.1, 0.2, 3.0), 0.024 * 0.5**3),
        (lambda: currie(0.25), 1.9 * 0.25**1.4),
        (lambda: penman(0.5), 0.33),
        (lambda: marshall(0.25), 0.125),
    ],
)
def test_each_diffusivity_model_has_its_exact_small_case(model, expected):
    assert float(model()) == pytest.approx(expected, rel=1e-12)


@given(
    eps=st.floats(0.0, 1.0),
    rest=st.floats(0.0, 1.0),
    b=st.floats(1.0, 20.0),
)
def test_no_soil_diffuses_faster_than_free_air(eps, rest, b):
    porosity = max(eps + (1 - eps) * rest, 1e-6)
    values = [
        millington_quirk(eps, porosity),
        currie(eps),
        penman(eps),
        marshall(eps),
    ]
    assert all(0.0 <= float(v) <= 1.0 for v in values)
    if eps <= 0.6:
        assert 0.0 <= float(moldrup(eps, 0.6, b)) <= 1.0


def test_a_saturated_soil_lets_nothing_through():
    assert millington_quirk(0.0, 0.5) == currie(0.0) == penman(0.0) == marshall(0.0)
    assert gradient_flux(20_000, 450, millington_quirk(0.0, 0.5), 0.1, 20, 97_200) == 0


@pytest.mark.parametrize(
    ("eps", "porosity"), [(0.6, 0.5), (-0.01, 0.5), (20.0, 50.0), (0.2, 0.0)]
)
def test_impossible_porosities_are_refused(eps, porosity):
    with pytest.raises(InputError, match="porosity"):
        millington_quirk(eps, porosity)


def test_percent_or_a_bad_b_is_refused_by_moldrup():
    with pytest.raises(InputError, match="percent"):
        moldrup(20.0, 25.0, 5.0)
    with pytest.raises(InputError, match="Campbell"):
        moldrup(0.2, 0.25, 0.0)


def test_a_sensor_above_the_ground_is_refused():
    with pytest.raises(InputError, match="depth"):
        soil_conductance(0.02, 0.0, 20.0, 97_200.0)


def test_gradient_flux_by_hand_and_its_sign():
    density = 101_325.0 / (MOLAR_GAS_CONSTANT * 273.15)
    expected = density * 1.381e-5 * 0.02 * 10_000 / 0.1
    up = gradient_flux(10_400, 400, 0.02, 0.1, 0.0, 101_325.0)
    assert float(up) == pytest.approx(expected, rel=1e-9)
    assert float(gradient_flux(400, 10_400, 0.02, 0.1, 0.0, 101_325.0)) == -float(up)


def test_twice_as_deep_is_half_the_flux():
    near = gradient_flux(9000, 400, 0.02, 0.1, 20.0, 97_200.0)
    assert gradient_flux(9000, 400, 0.02, 0.2, 20.0, 97_200.0) == pytest.approx(
        near / 2
    )


def test_a_pot_is_clogged_only_with_much_co2_below_and_none_above():
    flux, soil = [0.05, 0.05, 0.5, np.nan], [30_000, 5_000, 30_000, 30_000]
    np.testing.assert_array_equal(clogged_mask(flux, soil), [True, False, False, False])
