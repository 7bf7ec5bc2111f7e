"""Days of calendars other than ours."""

import cftime
import numpy as np
import pytest
import xarray as xr

from tilth.core.calendars import calendar_day, gregorian_times
from tilth.core.errors import InputError


def dates(*days):
    return xr.DataArray(np.array(days, "datetime64[ns]"), dims="start", name="start")


def test_the_day_of_a_date_is_the_same_in_every_year_and_calendar():
    days = dates("2019-03-01", "2020-03-01", "2020-12-31")
    assert calendar_day(days)[0].tolist() == [61, 61, 366]
    thirty = xr.DataArray([cftime.Datetime360Day(2001, 12, 30)], dims="start")
    number, circle = calendar_day(thirty)
    assert (number.tolist(), circle) == ([360], 360)


def test_a_time_that_is_missing_is_named_and_not_an_index_beyond_the_table():
    with pytest.raises(InputError, match="1 of 2 times of start are missing: leave"):
        calendar_day(dates("2019-03-01", "NaT"))


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "all_leap", "julian"])
def test_the_sun_of_another_calendar_is_that_of_the_same_part_of_the_year(calendar):
    time = xr.DataArray(
        xr.date_range("2000-01-01", "2000-12-30", calendar=calendar, use_cftime=True),
        dims="time",
    )
    found = gregorian_times(time)
    year = np.arange(np.datetime64("2001-01-01"), np.datetime64("2002-01-01"))
    # Every day is one of 2001, in order, and the year is gone through whole.
    assert (np.diff(found) >= np.timedelta64(0)).all()
    assert found[0] == year[0]
    assert year[-2] <= found[-1] <= year[-1]
    july = found[np.flatnonzero(time.dt.month.values == 7)[0]]
    assert abs(july - np.datetime64("2001-07-01")) <= np.timedelta64(1, "D")


def test_the_clock_of_another_calendar_is_kept():
    time = xr.DataArray([cftime.DatetimeNoLeap(1999, 5, 1, 13, 45, 10)], dims="time")
    assert gregorian_times(time)[0] == np.datetime64("2001-05-01T13:45:10")


def test_times_of_our_own_calendar_stay_what_they_are():
    days = dates("1999-03-01T05:00", "2020-12-31")
    np.testing.assert_array_equal(gregorian_times(days), days.values)
