"""Alignment: a forecast is compared with the day that it is about, in any calendar."""

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.forcing.s2s import (
    align_observations,
    lead_windows,
    same_day_starts,
    valid_times,
)
from tilth.forcing.s2s.alignment import lead_days


def starts(*days):
    """Starts on these days."""
    return xr.DataArray(np.array(days, "datetime64[ns]"), dims="start")


def leads(*days, units="days"):
    """Leads with units."""
    return xr.DataArray(np.array(days, float), dims="lead", attrs={"units": units})


def daily(first="2020-01-01", periods=60, hour=0):
    """Observations that are the number of their day."""
    times = pd.date_range(first, periods=periods) + pd.Timedelta(hours=hour)
    return xr.DataArray(np.arange(float(periods)), {"time": times}, name="pr")


def test_a_lead_of_half_a_day_is_the_day_of_the_start():
    found = align_observations(daily(), starts("2020-01-03"), leads(0.5, 1.5, 2.5))
    assert found.values.tolist() == [[2.0, 3.0, 4.0]]
    assert found["valid_time"].dt.strftime("%F").values[0, 0] == "2020-01-03"


@pytest.mark.parametrize("hour", [0, 6, 12, 23])
def test_the_hour_an_observation_is_stamped_with_does_not_shift_its_day(hour):
    found = align_observations(daily(hour=hour), starts("2020-01-03"), leads(0.5, 6.5))
    assert found.values.tolist() == [[2.0, 8.0]]


@pytest.mark.parametrize(
    "lead",
    [
        leads(0.5, 1.5),
        leads(12, 36, units="hours"),
        xr.DataArray(np.array([12, 36], "timedelta64[h]"), dims="lead"),
    ],
)
def test_leads_are_read_from_their_units_or_their_type(lead):
    assert lead_days(lead).tolist() == [0.5, 1.5]


def test_leads_in_units_that_are_no_time_are_refused():
    with pytest.raises(UnitsError, match="kg"):
        lead_days(leads(1.0, units="kg"))


def test_dates_match_across_calendars_and_a_date_one_lacks_is_missing_not_shifted():
    # The model has no 29 February; the observations do. Every date keeps its value.
    start = xr.DataArray(
        [cftime.DatetimeNoLeap(2020, 2, 27)], dims="start", name="start"
    )
    found = align_observations(daily(periods=90), start, leads(0.5, 1.5, 2.5))
    assert found.values.tolist() == [[57.0, 58.0, 60.0]]
    # The other way round: observations without 29 February leave a gap there.
    times = xr.date_range("2020-01-01", periods=90, calendar="noleap", use_cftime=True)
    sparse = xr.DataArray(np.arange(90.0), {"time": times})
    found = align_observations(sparse, starts("2020-02-28"), leads(0.5, 1.5, 2.5))
    np.testing.assert_array_equal(found.values, [[58.0, np.nan, 59.0]])
    assert found.attrs["pairs_not_observed"] == 1


def test_observations_without_a_date_are_left_out():
    observed = daily()
    times = observed["time"].values.copy()
    times[5] = np.datetime64("NaT")
    gap = observed.assign_coords(time=times)
    found = align_observations(gap, starts("2020-01-05"), leads(0.5, 1.5, 2.5))
    np.testing.assert_array_equal(found.values, [[4.0, np.nan, 6.0]])


def test_unsorted_observations_are_found_all_the_same():
    observed = daily()[::-1]
    found = align_observations(observed, starts("2020-01-03"), leads(0.5, 1.5))
    assert found.values.tolist() == [[2.0, 3.0]]


def test_a_date_that_is_there_twice_and_no_overlap_at_all_are_refused():
    twice = xr.concat([daily(periods=3), daily(periods=1)], "time")
    with pytest.raises(InputError, match="20200101 twice"):
        align_observations(twice, starts("2020-01-01"), leads(0.5))
    with pytest.raises(InputError, match="same period"):
        align_observations(daily(), starts("1990-01-01"), leads(0.5))
    with pytest.raises(InputError, match="dimension time"):
        align_observations(daily().rename(time="day"), starts("2020-01-01"), leads(1))


def test_alignment_of_a_field_is_the_same_on_dask():
    field = daily().expand_dims(cell=3).transpose("time", "cell") * [1.0, 2.0, 3.0]
    start, lead = starts("2020-01-03", "2020-01-10"), leads(0.5, 1.5)
    plain = align_observations(field, start, lead)
    lazy = align_observations(field.chunk(time=7, cell=1), start, lead)
    assert lazy.chunks is not None
    xr.testing.assert_identical(plain, lazy.compute())
    assert plain.dims == ("start", "lead", "cell")


def test_windows_take_the_days_they_say():
    lead = np.arange(42) + 0.5
    forecast = xr.DataArray(np.arange(42.0), {"lead": lead}, attrs={"units": "K"})
    found = lead_windows(forecast, {"weeks 3-4": (14, 28), "weeks 5-6": (28, 42)})
    # Mean of 14..27 and of 28..41.
    assert found.values.tolist() == [20.5, 34.5]
    assert found["lead"].values.tolist() == ["weeks 3-4", "weeks 5-6"]


def test_a_sum_of_rates_per_day_is_an_amount():
    forecast = xr.DataArray(
        np.full((2, 14), 3.0), dims=("cell", "lead"), attrs={"units": "mm day-1"}
    ).assign_coords(lead=np.arange(14) + 0.5)
    found = lead_windows(forecast, {"fortnight": (0, 14)}, method="sum")
    assert found.values.tolist() == [[42.0], [42.0]]
    assert found.attrs["units"] == "mm"


def test_accumulated_totals_are_differences_that_are_never_negative():
    days = np.array([7.0, 14.0, 28.0, 42.0])
    total = xr.DataArray([5.0, 10.0, 40.0, 39.999], {"lead": days})
    windows = {"first": (0, 7), "weeks 3-4": (14, 28), "weeks 5-6": (28, 42)}
    found = lead_windows(total, windows, method="accumulated")
    assert found.values.tolist() == [5.0, 30.0, 0.0]
    with pytest.raises(InputError, match="total after 21 days"):
        lead_windows(total, {"week 4": (21, 28)}, method="accumulated")


def test_a_window_with_a_missing_day_is_missing_and_one_without_days_refused():
    forecast = xr.DataArray([1.0, np.nan, 3.0, 4.0], {"lead": [0.5, 1.5, 2.5, 3.5]})
    found = lead_windows(forecast, {"a": (0, 2), "b": (2, 4)})
    np.testing.assert_array_equal(found.values, [np.nan, 3.5])
    with pytest.raises(InputError, match="has no lead"):
        lead_windows(forecast, {"week 5": (28, 35)})
    with pytest.raises(InputError, match="method is"):
        lead_windows(forecast, {"a": (0, 2)}, method="median")


def test_a_day_that_is_not_among_the_leads_is_not_passed_over():
    weekly = xr.DataArray([1.0, 2.0, 3.0], {"lead": [0.5, 1.5, 3.5]})
    for method in ("mean", "sum"):
        with pytest.raises(InputError, match="no lead of day 2"):
            lead_windows(weekly, {"a": (0, 4)}, method=method)


def test_a_sum_counts_each_day_once_and_a_mean_may_have_several_leads_of_it():
    twice = xr.DataArray([1.0, 2.0, 3.0, 4.0], {"lead": [0.25, 0.75, 1.25, 1.75]})
    assert lead_windows(twice, {"a": (0, 2)}).item() == 2.5
    with pytest.raises(InputError, match="2 leads on day 0"):
        lead_windows(twice, {"a": (0, 2)}, method="sum")


def test_hindcasts_of_a_forecast_start_on_its_date_and_never_in_its_year():
    found = same_day_starts(starts("2020-02-29", "2020-06-04"), range(2016, 2020))
    days = found.dt.strftime("%m-%d").values
    assert days[0].tolist() == ["02-29", "02-28", "02-28", "02-28"]
    assert set(days[1]) == {"06-04"}
    with pytest.raises(InputError, match="2020 is one of the forecast's own"):
        same_day_starts(starts("2020-06-04"), range(2000, 2021))


def test_valid_times_keep_the_calendar_of_the_starts():
    start = xr.DataArray([cftime.Datetime360Day(2001, 2, 30)], dims="start")
    found = valid_times(start, leads(0.5, 1.5))
    assert found.dt.calendar == "360_day"
    assert found.dt.month.values.tolist() == [[2, 3]]
