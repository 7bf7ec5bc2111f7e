import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import UnitsError
from tilth.core.units import convert, convert_values, parse_units, registry

UDUNITS = [
    ("m-2 s-1", "1/(m**2 * s)"),
    ("kg m-2 s-1", "kg/m**2/s"),
    ("umol m-2 s-1", "micromole/meter**2/second"),
    ("umol/m^2/s", "micromole/meter**2/second"),
    ("µmol m-2 s-1", "micromole/meter**2/second"),
    ("m2.s-1", "m**2/s"),
    ("mol/(m2 s)", "mol/m**2/s"),
    ("1/s", "1/s"),
    ("1 s-1", "1/s"),
    ("% h-1", "percent/hour"),
    ("W m-2 um-1", "watt/m**2/micrometer"),
    ("degC", "degree_Celsius"),
    ("degrees_Celsius", "degree_Celsius"),
    ("°C", "degree_Celsius"),
    ("degrees_north", "degree"),
    ("t ha-1", "metric_ton/hectare"),
]


@pytest.mark.parametrize(("text", "meaning"), UDUNITS)
def test_udunits_spelling_means_what_the_standard_says(text, meaning):
    assert parse_units(text) == registry().parse_units(meaning)


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (1.0, "mmol mol-1", "umol mol-1", 1000.0),
        (420.0, "ppm", "umol mol-1", 420.0),
        (1.9, "ppm", "ppb", 1900.0),
        (1.9, "ppmv", "nmol mol-1", 1900.0),
        (50.0, "%", "1", 0.5),
        (1.0, "mg m-3", "kg m-3", 1e-6),
        (3.6, "mmol m-2 h-1", "umol m-2 s-1", 1.0),
        (972.0, "hPa", "Pa", 97200.0),
        (1.0, "cm2", "m2", 1e-4),
        (35.0, "1e-3", "%", 3.5),
        (5.0, "1e-3 kg", "g", 5.0),
        (2.0, "", "1", 2.0),
    ],
)
def test_known_conversions_come_out_right(value, source, target, result):
    assert convert_values(value, source, target) == pytest.approx(result, rel=1e-15)


def test_temperature_scales_convert_without_a_trace_of_rounding():
    assert convert_values(20.0, "degC", "K") == 293.15
    assert convert_values(0.0, "degC", "degF") == 32.0
    assert convert_values(-459.67, "degF", "K") == pytest.approx(0.0, abs=1e-13)
    assert convert_values(-40.0, "degF", "degC") == pytest.approx(-40.0, abs=1e-13)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("umol m-2 s-1", "umol m-2"),
        ("mg m-3", "ppm"),  # needs pressure and temperature: never guessed
        ("degC", "m"),
        ("C", "K"),  # C is the coulomb
        ("dB", "1"),  # logarithmic: no factor leads there
        ("1", "dB"),
        ("degC", "delta_degC"),
    ],
)
def test_units_of_another_kind_are_refused(source, target):
    with pytest.raises(UnitsError, match="not the same kind"):
        convert_values(1.0, source, target)


@pytest.mark.parametrize(
    "text", ["CO2", "mol CO2 m-2", "days since 1970-01-01", "1 2", "--", "5m", "1e-3m"]
)
def test_what_is_not_a_unit_is_refused_with_the_text_in_the_message(text):
    with pytest.raises(UnitsError, match="UDUNITS spelling") as caught:
        parse_units(text)
    assert repr(text) in str(caught.value)


def test_a_scale_in_front_is_never_read_as_an_electric_charge():
    with pytest.raises(UnitsError, match=r"scale of 0\.001"):
        parse_units("1e-3")
    with pytest.raises(UnitsError, match="not the same kind"):
        convert_values(1.0, "1e-3", "A-3 s-3")


def test_a_degree_in_a_compound_unit_is_a_difference():
    assert convert_values(0.0065, "degC m-1", "K km-1") == pytest.approx(6.5)
    assert convert_values(2.0, "umol mol-1 degC-1", "umol mol-1 K-1") == 2.0


def test_multiplying_a_temperature_on_a_scale_is_refused_not_guessed():
    quantity = registry().Quantity
    with pytest.raises(Exception, match="offset"):
        quantity(20, "degC") * quantity(2, "m")


def test_a_standard_error_in_degrees_is_not_shifted():
    assert convert_values(0.5, "degC", "K", difference=True) == 0.5
    error = xr.DataArray(
        [1.8], attrs={"units": "degF", "units_metadata": "temperature: difference"}
    )
    assert convert(error, "K").values == pytest.approx([1.0])


def test_lists_become_arrays_and_are_not_repeated():
    np.testing.assert_array_equal(convert_values([1, 2], "kPa", "Pa"), [1000.0, 2000.0])


def test_a_data_array_keeps_its_attributes_and_its_type():
    pressure = xr.DataArray(
        np.array([97.2], "float32"),
        dims="time",
        attrs={"units": "kPa", "standard_name": "air_pressure"},
        name="pressure",
    )
    converted = convert(pressure, "Pa")
    assert converted.attrs == {"units": "Pa", "standard_name": "air_pressure"}
    assert converted.dtype == "float32"
    assert pressure.attrs["units"] == "kPa"
    np.testing.assert_allclose(converted, [97200.0])


def test_converting_to_the_same_units_does_not_touch_the_original():
    data = xr.DataArray([1.0], attrs={"units": "hPa"}, name="p")
    converted = convert(data, "mbar")
    assert converted.attrs["units"] == "mbar"
    assert data.attrs["units"] == "hPa"


def test_conversion_stays_lazy_on_dask():
    data = xr.DataArray([1.0, 2.0], dims="x", attrs={"units": "kPa"}).chunk(x=1)
    converted = convert(data, "Pa")
    assert converted.chunks == ((1, 1),)
    np.testing.assert_array_equal(converted.values, [1000.0, 2000.0])


def test_absent_and_wrong_units_name_the_variable():
    with pytest.raises(UnitsError, match="pressure has no 'units' attribute"):
        convert(xr.DataArray([1.0], name="pressure"), "Pa")
    with pytest.raises(UnitsError, match="pressure: cannot convert 'degC'"):
        convert(xr.DataArray([1.0], name="pressure", attrs={"units": "degC"}), "Pa")


PAIRS = [
    ("kPa", "Pa"),
    ("degC", "K"),
    ("degF", "degC"),
    ("umol m-2 s-1", "mmol m-2 h-1"),
    ("ppm", "mmol mol-1"),
    ("cm3", "m3"),
    ("1e-3", "1"),
]


@given(
    value=st.floats(-1e6, 1e6),
    pair=st.sampled_from(PAIRS),
)
def test_there_and_back_again_is_the_identity(value, pair):
    there = convert_values(value, *pair)
    back = convert_values(there, *reversed(pair))
    assert back == pytest.approx(value, rel=1e-12, abs=1e-9)


@given(a=st.floats(-1e3, 1e3), b=st.floats(-1e3, 1e3), pair=st.sampled_from(PAIRS))
def test_a_difference_converts_like_the_difference_of_the_converted(a, b, pair):
    direct = convert_values(a - b, *pair, difference=True)
    scale = abs(convert_values(1.0, *pair, difference=True))
    assert direct == pytest.approx(
        convert_values(a, *pair) - convert_values(b, *pair), abs=1e-9 * max(scale, 1)
    )
