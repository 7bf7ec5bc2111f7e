"""What is printed says what the number is: no digit lost that counts, none invented."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import DatasetError
from tilth.core.typeset import (
    bytes_text,
    column_text,
    error_text,
    measurement_text,
    number_text,
    published_text,
    rule_text,
    units_text,
)

SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read(text):
    """Read a printed number back."""
    text = text.replace("\u2009", "").replace("\u2212", "-")
    mantissa, _, power = text.partition("×10")
    return float(mantissa) * 10.0 ** int(power.translate(SUPERSCRIPT) or 0)


sizes = st.floats(1e-30, 1e30)


@given(size=sizes, sign=st.sampled_from([-1, 1]))
def test_a_printed_number_is_right_to_four_digits(size, sign):
    value = sign * size
    assert read(number_text(value)) == pytest.approx(value, rel=5.1e-4)


@given(st.integers(-(10**14), 10**14))
def test_an_integer_keeps_all_its_digits(value):
    assert read(number_text(value)) == value
    assert read(number_text(np.int64(value))) == value


@given(value=st.floats(-1e5, 1e5), se=st.floats(2e-4, 1e4))
def test_a_measurement_is_rounded_to_two_digits_of_its_error(value, se):
    ours, error = measurement_text(value, se)
    assert read(error) == pytest.approx(se, rel=0.05)
    assert abs(read(ours) - value) <= max(0.051 * se, 0.5 + 1e-9 if se >= 10 else 0)


def test_value_and_error_show_the_same_decimals():
    assert measurement_text(0.7, 0.0123) == ("0.700", "0.012")
    assert measurement_text(1234.5, 17.0) == ("1234", "17")
    assert measurement_text(0.5, None)[1] == ""


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.5, "\u22120.5"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (9999, "9999"),
        (12345, "12\u2009345"),
        ("20-40", "20-40"),
        (3.2e-11, "3.2\u2009×\u200910⁻¹¹"),
        (0.9999999, "1"),
    ],
)
def test_a_number_is_printed_by_the_rules_of_the_si_brochure(value, printed):
    assert number_text(value) == printed


def test_no_zero_carries_a_minus_sign():
    assert number_text(-0.0001, 2) == "0.00"


def test_a_published_number_keeps_the_digits_of_its_source():
    assert published_text(0.78) == "0.78"
    assert published_text(-67969.5) == "\u221267\u2009969.5"
    assert published_text("0.780") == "0.780"
    assert published_text(None) == "–"


@pytest.mark.parametrize(
    ("rule", "printed"),
    [
        (">= 1000000", "≥ 1\u2009000\u2009000"),
        ("-0.5..0.5", "\u22120.5 … 0.5"),
        ("within 3 %", "within 3 %"),
        ("== 0", "= 0"),
    ],
)
def test_a_rule_is_printed_with_its_own_numbers(rule, printed):
    assert rule_text(rule) == printed


@pytest.mark.parametrize(
    ("units", "printed"),
    [
        ("umol m-2 s-1", "µmol m⁻² s⁻¹"),
        ("1", ""),
        ("%", "%"),
        ("degC", "°C"),
        ("m3", "m³"),
        ("m2 s-1", "m² s⁻¹"),
    ],
)
def test_units_are_printed_with_raised_powers(units, printed):
    assert units_text(units) == printed


def test_a_column_has_one_number_of_decimals_and_a_dash_where_nothing_is():
    column = pd.Series([46.13, -3.299, np.nan])
    assert column_text(column) == ("46.1", "\u22123.3", "–")
    assert column_text(column, 2) == ("46.13", "\u22123.30", "–")


def test_a_small_probability_is_not_printed_as_zero():
    printed = column_text(pd.Series([0.31, 0.61, 1.9e-6]))
    assert printed == ("0.310", "0.610", "1.9\u2009×\u200910⁻⁶")


def test_identifiers_times_and_truth_values_are_printed_as_such():
    assert column_text(pd.Series(["5.10", None])) == ("5.10", "–")
    assert column_text(pd.Series([True, False])) == ("yes", "no")
    days = pd.Series(pd.to_datetime(["2023-06-01", None]))
    assert column_text(days) == ("2023-06-01", "–")
    assert column_text(days + pd.Timedelta("90min"))[0] == "2023-06-01 01:30"


def test_an_error_is_one_line_that_names_the_file_or_its_kind():
    absent = FileNotFoundError(2, "No such file or directory", "/no/such/file")
    assert error_text(absent) == "No such file or directory: /no/such/file"
    assert error_text(DatasetError("not\n at hand")) == "not at hand"
    assert error_text(KeyError("x")) == "KeyError: 'x'"
    assert error_text(AssertionError()) == "AssertionError()"


def test_bytes_are_told_in_the_unit_that_fits():
    assert bytes_text(999) == "999 B"
    assert bytes_text(324_900) == "324.9 kB"
    assert bytes_text(2_100_000_000_000) == "2.1 TB"
