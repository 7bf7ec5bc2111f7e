import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.forcing.variables import (
    VARIABLES,
    as_variable,
    convert_forcing,
    deaccumulate,
    find_variable,
    identify,
)


def array(values, name="pr", units=None, dim="time", **attrs):
    attrs = attrs if units is None else {"units": units, **attrs}
    return xr.DataArray(np.asarray(values, float), dims=dim, name=name, attrs=attrs)


def test_no_name_stands_for_two_variables():
    seen = [
        known.lower()
        for v in VARIABLES.values()
        for known in {v.name, v.alma, *v.others} - {""}
    ]
    assert len(seen) == len(set(seen))
    assert all(find_variable(name).low < find_variable(name).high for name in seen)


def test_names_of_other_archives_are_known():
    assert find_variable("ssrd").name == "rsds"
    assert find_variable("TMEAN").name == "tas"
    assert find_variable("PSurf").units == "Pa"
    with pytest.raises(InputError, match="no variable of the forcing"):
        find_variable("zg500")


def test_a_name_outweighs_a_wrong_standard_name():
    # ERA5's downward longwave radiation is labelled as net in a public collection.
    wrong = array([300.0], "rlds", standard_name="surface_net_downward_longwave_flux")
    assert identify(wrong).name == "rlds"


def test_cell_methods_tell_lowest_from_highest_temperature():
    for method, name in (("minimum", "tasmin"), ("maximum", "tasmax"), ("", "tas")):
        data = array(
            [1.0],
            "x",
            standard_name="air_temperature",
            cell_methods=f"time: {method} within days" if method else "",
        )
        assert identify(data).name == name
    with pytest.raises(InputError, match="rename it"):
        identify(array([1.0], "x"))


@pytest.mark.parametrize(
    ("units", "value"),
    [
        ("mm day-1", 86400.0),
        ("mm/d", 86400.0),
        ("m s-1", 1e-3),
        ("kg m-2 day-1", 86400.0),
        ("cm h-1", 360.0),
    ],
)
def test_a_kilogram_of_water_per_square_metre_is_a_millimetre(units, value):
    rain = array([1.0], units="kg m-2 s-1")
    there = convert_forcing(rain, units)
    np.testing.assert_allclose(there.values, value, rtol=1e-14)
    back = convert_forcing(there, "kg m-2 s-1")
    np.testing.assert_allclose(back.values, 1.0, rtol=1e-14)


def test_an_amount_without_a_time_is_no_flux():
    with pytest.raises(UnitsError, match="over which time"):
        as_variable(array([1.0], units="mm"))
    with pytest.raises(UnitsError, match="no 'units'"):
        as_variable(array([1.0]))
    given = as_variable(array([8.64]), units="mm day-1")
    np.testing.assert_allclose(given.values, 1e-4)
    assert given.attrs["units"] == "kg m-2 s-1"


def test_temperature_is_not_precipitation():
    with pytest.raises(UnitsError):
        as_variable(array([280.0], units="K"), "pr")


def test_humidity_with_an_empty_unit_is_a_share_of_one():
    humid = as_variable(array([0.3, 0.987], "hurs", units=""))
    np.testing.assert_allclose(humid.values, [30.0, 98.7])


def test_humidity_labelled_with_the_wrong_scale_is_refused():
    shares = np.linspace(0.2, 1.0, 200)
    with pytest.raises(UnitsError, match="shares of one"):
        as_variable(array(shares, "hurs", units="%"))
    with pytest.raises(UnitsError, match="% stated as a share"):
        as_variable(array(100 * shares, "hurs", units="1"))


def test_rounding_below_zero_becomes_zero_and_more_is_refused():
    tiny = as_variable(array([-1e-5, 1.0], units="mm day-1"))
    assert tiny.values[0] == 0.0
    with pytest.raises(UnitsError, match="-5"):
        as_variable(array([-5.0, 1.0], units="mm day-1"))


@pytest.mark.parametrize(
    ("name", "values", "units", "meant"),
    [
        ("tas", [12.0, 25.0], "K", "degC"),
        ("tas", [285.0, 298.0], "degC", "look like K"),
        ("ps", [985.0, 1013.0], "Pa", "hPa"),
        ("huss", [4.0, 12.0], "kg kg-1", "g kg-1"),
        ("pr", [0.0, 20.0], "kg m-2 s-1", "mm day-1"),
        ("rsds", [5e6, 2e7], "W m-2", "J m-2"),
    ],
)
def test_values_in_other_units_than_stated_are_refused_with_the_likely_ones(
    name, values, units, meant
):
    with pytest.raises(UnitsError, match=meant):
        as_variable(array(values, name, units=units))


def test_gaps_stay_gaps_and_nothing_else_changes():
    given = array([np.nan, 281.5], "t2m", units="K", source="here")
    result = as_variable(given)
    assert result.name == "tas"
    assert result.attrs["source"] == "here"
    np.testing.assert_array_equal(result.values, given.values)


def test_blocks_on_dask_are_checked_when_computed():
    lazy = array([280.0, 999.0], "tas", units="K").chunk(time=1)
    result = as_variable(lazy)
    assert result.chunks is not None
    assert float(result[0]) == 280.0
    with pytest.raises(UnitsError, match="999"):
        result.compute()


def test_precipitation_that_grows_from_the_start_of_a_run_is_refused():
    rng = np.random.default_rng(1)
    rain = rng.exponential(5.0, 45) * (rng.random(45) < 0.5)
    grown = array(np.cumsum(rain), "tp", units="mm day-1", dim="lead")
    with pytest.raises(InputError, match="deaccumulate"):
        as_variable(grown)
    rate = deaccumulate(grown.assign_attrs(units="mm"), "lead", 86400.0)
    back = convert_forcing(as_variable(rate), "mm day-1")
    np.testing.assert_allclose(back.values, rain, atol=1e-10)


def test_two_runs_one_after_the_other_are_not_taken_for_one():
    with pytest.raises(InputError, match="falls by"):
        deaccumulate(array([1.0, 5.0, 0.5, 2.0], units="mm"), "time", 3600.0)
    with pytest.raises(InputError, match="positive"):
        deaccumulate(array([1.0], units="mm"), "time", 0.0)
