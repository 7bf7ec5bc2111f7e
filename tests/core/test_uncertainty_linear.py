import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.constants import MOLAR_GAS_CONSTANT, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.uncertainty import Input, average_se, propagate_linear

positive = st.floats(0.1, 1e4)
relative = st.floats(1e-4, 0.05)


def chamber_flux(slope, volume, pressure, temperature, span):
    """Flux from the slope of the mole fraction: chambers, area 0.07 m2."""
    moles = volume * pressure / (MOLAR_GAS_CONSTANT * (temperature + ZERO_CELSIUS))
    return span * slope * moles / 0.07


def chamber_budget():
    """The systematic inputs printed in the fluxmeter article, one standard level."""
    volume = 0.0115
    return {
        "slope": Input(0.1, 0.0),
        "volume": Input(volume, 0.045 * volume, level="device"),
        "pressure": Input.from_half_width(97.2e3, 3.9e3, level="common"),
        "temperature": Input.from_half_width(20.0, 2.0, level="common"),
        "span": Input.from_half_width(1.0, 0.03, level="device"),
    }


@given(x=positive, y=positive, u=relative, v=relative)
def test_relative_errors_of_a_product_add_in_squares(x, y, u, v):
    result = propagate_linear(
        lambda x, y: x * y, {"x": Input(x, u * x), "y": Input(y, v * y)}
    )
    assert result.value == pytest.approx(x * y)
    assert result.se == pytest.approx(x * y * np.hypot(u, v), rel=1e-8)
    assert result.contributions["x"] == pytest.approx(x * y * u, rel=1e-8)


@given(x=positive, y=positive, u=relative, v=relative)
def test_absolute_errors_of_a_sum_and_a_difference_are_the_same(x, y, u, v):
    inputs = {"x": Input(x, u * x), "y": Input(y, v * y)}
    expected = pytest.approx(np.hypot(u * x, v * y), rel=1e-8)
    assert propagate_linear(lambda x, y: x + y, inputs).se == expected
    assert propagate_linear(lambda x, y: x - y, inputs).se == expected


@given(x=positive, u=relative, power=st.floats(-3, 3))
def test_the_relative_error_of_a_power_is_multiplied_by_it(x, u, power):
    result = propagate_linear(lambda x: x**power, {"x": Input(x, u * x)})
    assert result.se / result.value == pytest.approx(
        abs(power) * u, rel=1e-5, abs=1e-12
    )


def test_the_derivative_of_a_curved_function_is_good_to_nine_digits():
    result = propagate_linear(
        lambda k, t: np.exp(-k * t), {"k": Input(2e-3, 1e-4), "t": Input(180.0, 1.0)}
    )
    value = np.exp(-0.36)
    assert result.contributions["k"] == pytest.approx(180 * value * 1e-4, rel=1e-9)
    assert result.contributions["t"] == pytest.approx(2e-3 * value, rel=1e-9)


def test_an_end_gauge_has_the_uncertainty_of_the_guide():
    # JCGM 100:2008 (GUM), H.1: l = ls + d - ls (da theta + as dtheta); 32 nm
    result = propagate_linear(
        lambda standard, difference, expansion, offset, spread, delta: (
            standard + difference - standard * (spread * offset + expansion * delta)
        ),
        {
            "standard": Input(50.000623e6, 25.0),  # nm
            "difference": Input(215.0, 9.7),
            "expansion": Input.from_half_width(11.5e-6, 2e-6),
            "offset": Input(-0.1, 0.41),
            "spread": Input.from_half_width(0.0, 1e-6),
            "delta": Input.from_half_width(0.0, 0.05),
        },
    )
    assert result.value == pytest.approx(50.000838e6)
    assert result.se == pytest.approx(32, abs=0.5)
    assert result.contributions["delta"] == pytest.approx(16.6, abs=0.05)
    assert result.contributions["spread"] == pytest.approx(2.9, abs=0.05)
    assert result.contributions["expansion"] == pytest.approx(0, abs=1e-6)


def test_a_half_width_becomes_the_standard_uncertainty_of_the_guide():
    assert Input.from_half_width(0.0, 3.0).sd == pytest.approx(3 / np.sqrt(3))
    assert Input.from_half_width(0.0, 3.0, "triangular").sd == pytest.approx(
        3 / np.sqrt(6)
    )


def test_the_systematic_budget_of_a_chamber_flux_is_five_percent():
    """Volume SD 4.5 %, pressure 2.3 %, temperature 0.4 %, span 1.7 %: 5.4 %."""
    result = propagate_linear(chamber_flux, chamber_budget())
    parts = {n: 100 * c / result.value for n, c in result.contributions.items()}
    assert parts["volume"] == pytest.approx(4.5, abs=1e-6)
    assert parts["pressure"] == pytest.approx(2.3, abs=0.05)
    assert parts["temperature"] == pytest.approx(0.4, abs=0.05)
    assert parts["span"] == pytest.approx(1.7, abs=0.05)
    assert parts["slope"] == 0.0
    total = 100 * result.se / result.value
    assert total == pytest.approx(5.4, abs=0.05)
    # 95 %: within the 10-15 % the article states
    assert 1.96 * total == pytest.approx(10.5, abs=0.05)
    assert result.levels["common"] == pytest.approx(
        np.hypot(result.contributions["pressure"], result.contributions["temperature"])
    )


def test_fully_correlated_errors_of_a_difference_cancel():
    inputs = {"x": Input(5.0, 0.3), "y": Input(4.0, 0.3)}
    result = propagate_linear(lambda x, y: x - y, inputs, np.full((2, 2), 0.09))
    assert result.se == pytest.approx(0.0, abs=1e-9)
    assert result.contributions["x"] == pytest.approx(0.3)


def test_a_covariance_gives_the_delta_method_of_a_fitted_slope():
    # slope = k (limit - start) of the exponential curve, with a full 3x3 covariance
    start, limit, k = 420.0, 900.0, 2e-3
    root = np.array([[0.8, 0.0, 0.0], [-3.0, 20.0, 0.0], [1e-5, -1.2e-4, 4e-5]])
    covariance = root @ root.T
    gradient = np.array([-k, k, limit - start])
    sd = np.sqrt(np.diag(covariance))
    result = propagate_linear(
        lambda start, limit, k: k * (limit - start),
        {
            "start": Input(start, sd[0]),
            "limit": Input(limit, sd[1]),
            "k": Input(k, sd[2]),
        },
        covariance,
    )
    expected = np.sqrt(gradient @ covariance @ gradient)
    assert result.se == pytest.approx(expected, rel=1e-9)
    assert result.se < np.hypot(*list(result.contributions.values())[1:])


def test_arrays_are_propagated_element_by_element():
    x = np.array([1.0, 10.0, np.nan])
    result = propagate_linear(
        lambda x, gain: x * gain,
        {"x": Input(x, np.array([0.1, 0.0, 0.1])), "gain": Input(2.0, 0.1)},
    )
    np.testing.assert_allclose(result.se, [np.hypot(0.2, 0.1), 1.0, np.nan], rtol=1e-9)


def test_data_arrays_keep_their_coordinates():
    slope = xr.DataArray([0.1, 0.2], dims="closure", coords={"closure": ["a", "b"]})
    result = propagate_linear(
        lambda slope, phi: slope * phi,
        {"slope": Input(slope, 0.1 * slope), "phi": Input(6.48, 0.0)},
    )
    assert result.se.sel(closure="b").item() == pytest.approx(0.02 * 6.48)


def test_more_cycles_of_one_device_reduce_the_part_of_the_cycles_alone():
    one = {"cycle": 0.3, "device": 0.05, "common": 0.02}
    hundred = average_se(one, {"cycle": 100, "device": 1})
    assert hundred["cycle"] == pytest.approx(0.03)
    assert hundred["device"] == 0.05
    assert hundred["common"] == 0.02
    fleet = average_se(one, {"cycle": 5000, "device": 50})
    assert fleet["device"] == pytest.approx(0.05 / np.sqrt(50))
    assert fleet["common"] == 0.02
    assert fleet["total"] == pytest.approx(
        np.sqrt(fleet["cycle"] ** 2 + fleet["device"] ** 2 + 0.02**2)
    )


def test_no_average_gets_below_the_common_error():
    endless = average_se({"cycle": 1.0, "common": 0.04}, {"cycle": 1e12})
    assert endless["total"] == pytest.approx(0.04, rel=1e-6)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cycle": 10}, "level 'device'"),
        ({"cycle": 0, "device": 1}, "cannot be 0"),
        ({"cycle": 10, "device": 1, "common": 5}, "common cannot be 5"),
    ],
)
def test_an_average_without_honest_counts_is_refused(counts, message):
    one = {"cycle": 0.3, "device": 0.05, "common": 0.02}
    with pytest.raises(InputError, match=message):
        average_se(one, counts)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Input(1.0, -0.1), "cannot be negative"),
        (lambda: Input(1.0, 0.1, "gaussian"), "known: normal"),
        (lambda: Input(-1.0, 0.1, "lognormal"), "lognormal quantity is positive"),
        (lambda: Input.from_half_width(1.0, 0.1, "normal"), "has no half-width"),
        (lambda: propagate_linear(lambda: 1.0, {}), "at least one input"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("covariance", "levels", "message"),
    [
        (np.eye(3), "aa", "has the shape"),
        ([[0.01, 0.0], [0.0, 0.05]], "aa", "y the variance 0.05, its sd of 0.2"),
        ([[0.01, 0.01], [0.0, 0.04]], "aa", "symmetric"),
        ([[0.01, 0.03], [0.03, 0.04]], "aa", "negative variance"),
        ([[0.01, 0.01], [0.01, 0.04]], "ab", "must share a level"),
    ],
)
def test_a_matrix_that_is_no_covariance_of_the_inputs_is_refused(
    covariance, levels, message
):
    inputs = {
        "x": Input(1.0, 0.1, level=levels[0]),
        "y": Input(1.0, 0.2, level=levels[1]),
    }
    with pytest.raises(InputError, match=message):
        propagate_linear(lambda x, y: x + y, inputs, covariance)
