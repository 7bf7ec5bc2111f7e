"""Return levels: years that count, plotting positions, intervals on simulated truth."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import genextreme

from tilth.core.errors import InputError
from tilth.rivers.floods import GEV, annual_maxima, plotting_positions, return_levels


def daily(begin="2001-01-01", end="2003-12-31"):
    time = pd.date_range(begin, end)
    flow = 10.0 + 5.0 * np.sin(np.arange(time.size) / 365.25 * 2 * np.pi)
    return xr.DataArray(
        flow, dims="time", coords={"time": time}, attrs={"units": "m3 s-1"}
    )


def maxima(years=40, cells=3, shape=-0.1, seed=0):
    values = genextreme.rvs(shape, 1000.0, 250.0, (cells, years), random_state=seed)
    return xr.DataArray(
        values,
        dims=("catchment", "year"),
        coords={"year": 1980 + np.arange(years)},
        attrs={"units": "m3 s-1"},
    )


def test_every_year_has_its_highest_day():
    flow = daily()
    flow.loc["2002-07-03"] = 400.0
    found = annual_maxima(flow)
    assert found["year"].values.tolist() == [2001, 2002, 2003]
    assert float(found.sel(year=2002)) == 400.0
    assert float(found.sel(year=2001)) == pytest.approx(15.0, abs=1e-3)
    assert found.attrs["units"] == "m3 s-1"


def test_a_water_year_is_named_by_the_year_it_ends_in():
    flow = daily("2001-10-01", "2003-09-30")
    flow.loc["2001-12-31"], flow.loc["2002-01-01"] = 400.0, 300.0
    found = annual_maxima(flow, first_month=10)
    assert found["year"].values.tolist() == [2002, 2003]
    assert float(found.sel(year=2002)) == 400.0


def test_a_year_with_too_many_gaps_has_no_maximum():
    flow = daily()
    flow[{"time": slice(0, 40)}] = np.nan
    flow[{"time": slice(400, 430)}] = np.nan
    assert np.isnan(annual_maxima(flow)).values.tolist() == [True, False, False]
    assert not np.isnan(annual_maxima(flow, complete=0.8)).any()
    # A record that begins in the middle of a year has no maximum of it either.
    assert np.isnan(annual_maxima(daily("2001-06-01")).sel(year=2001))


def test_years_of_a_model_calendar_are_years():
    time = xr.date_range("2001-01-01", periods=720, calendar="360_day", use_cftime=True)
    flow = xr.DataArray(np.arange(720.0), dims="time", coords={"time": time})
    assert annual_maxima(flow).values.tolist() == [359.0, 719.0]


def test_plotting_positions_by_hand_in_any_order():
    values = xr.DataArray([3.0, 9.0, np.nan, 5.0], dims="year")
    weibull = plotting_positions(values, offset=0.0)
    np.testing.assert_allclose(weibull, [4 / 3, 4.0, np.nan, 2.0])
    gringorten = plotting_positions(values)
    assert float(gringorten[1]) == pytest.approx((3 + 0.12) / 0.56)


def test_levels_of_a_long_record_are_those_of_the_truth():
    found = return_levels(maxima(years=3000), [2.0, 100.0], draws=200)
    truth = GEV(1000.0, 250.0, -0.1).level([2.0, 100.0])
    np.testing.assert_allclose(found["return_level"], np.tile(truth, (3, 1)), rtol=0.06)
    assert (found["lower"] < found["return_level"]).all()
    assert (found["return_level"] < found["upper"]).all()
    np.testing.assert_allclose(found["shape"], -0.1, atol=0.05)
    assert found["count"].values.tolist() == [3000] * 3
    assert found["return_level"].attrs["units"] == "m3 s-1"


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    # 400 rivers with the same truth: binomial error 0.015.
    rivers = maxima(years=60, cells=400, seed=5)
    found = return_levels(rivers, [10.0, 50.0], draws=200, level=0.90)
    truth = GEV(1000.0, 250.0, -0.1).level([10.0, 50.0])
    held = ((found["lower"] <= truth) & (truth <= found["upper"])).mean("catchment")
    assert (held >= 0.84).all()
    assert (held <= 0.95).all()


def test_intervals_narrow_with_the_record_and_widen_with_the_period():
    short = return_levels(maxima(20, 1), [10.0, 100.0], draws=200)
    long = return_levels(maxima(200, 1), [10.0, 100.0], draws=200)
    width_short, width_long = (f["upper"] - f["lower"] for f in (short, long))
    assert (width_short > 1.5 * width_long).all()
    assert (width_short.isel(period=1) > 2.0 * width_short.isel(period=0)).all()


def test_chunks_and_order_of_dimensions_do_not_change_a_bit():
    rivers = maxima(cells=5)
    whole = return_levels(rivers, draws=50)
    parts = return_levels(rivers.T.chunk(catchment=2, year=7), draws=50)
    assert parts["upper"].chunks is not None
    xr.testing.assert_identical(parts.compute(), whole)


def test_a_short_series_among_longer_ones_has_no_level_and_is_counted():
    rivers = maxima(cells=2)
    rivers[1, 9:] = np.nan
    found = return_levels(rivers, draws=20)
    assert np.isnan(found["return_level"][1]).all()
    assert np.isnan(found["upper"][1]).all()
    assert np.isfinite(found["return_level"][0]).all()
    assert found["count"].values.tolist() == [40, 9]


def test_the_likelihood_gives_levels_near_those_of_l_moments():
    rivers = maxima(years=100)
    a = return_levels(rivers, [50.0], draws=0)
    b = return_levels(rivers, [50.0], method="likelihood", draws=0)
    assert "upper" not in a
    np.testing.assert_allclose(b["return_level"], a["return_level"], rtol=0.1)
    assert not np.array_equal(b["return_level"], a["return_level"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: return_levels(maxima(9)), "at least 10 annual maxima, got 9"),
        (lambda: return_levels(maxima(), dim="time"), "lack the dimension time"),
        (lambda: return_levels(maxima(), [1.0]), "above 1 year"),
        (lambda: return_levels(maxima(), level=90.0), "between 0 and 1"),
        (lambda: annual_maxima(maxima()), "dimension time"),
        (lambda: annual_maxima(daily(), first_month=13), "month from 1 to 12"),
        (lambda: annual_maxima(daily()[[0, 1, 5]]), "equal steps"),
        (lambda: plotting_positions(maxima(), offset=1.0), "between 0 and 0.5"),
    ],
)
def test_records_that_say_nothing_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
