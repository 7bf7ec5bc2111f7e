"""The record of what was learnt from, and what lies in it."""

import cftime
import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.split import check_not_trained_on, trained_on, training_periods


def times(*days, dims="time"):
    return xr.DataArray(np.array(days, "datetime64[ns]"), dims=dims)


@pytest.mark.parametrize(
    "record",
    ["1981/2010", "1981-01/2010-12", "1981-01-01T00:00:00/2010-12-31T00:00:00"],
)
def test_the_last_day_of_a_record_belongs_to_it_however_it_is_written(record):
    days = times("1980-12-31", "1981-01-01", "2010-12-31T23:00", "2011-01-01")
    assert trained_on(record, days).values.tolist() == [False, True, True, False]


def test_valid_times_of_starts_and_leads_are_looked_up_as_they_lie():
    days = times(["2000-01-01", "2000-02-01"], ["2001-01-01", "NaT"], dims=("a", "b"))
    found = trained_on("2000-01-15/2000-02-15 2001/2001", days)
    assert found.dims == ("a", "b")
    assert found.values.tolist() == [[False, True], [True, False]]
    thirty = xr.DataArray([[cftime.Datetime360Day(2000, 2, 30)]], dims=("a", "b"))
    assert trained_on("2000-02-01/2000-03-01", thirty).values.tolist() == [[True]]


def test_a_record_that_is_none_is_refused_and_an_empty_one_holds_nothing():
    with pytest.raises(InputError, match="first/last with a space between them"):
        trained_on("the eighties", times("1985-01-01"))
    assert not trained_on("", times("1985-01-01")).any()


def test_what_is_recorded_is_found_again_and_the_gap_between_is_not():
    learnt = times("1990-01-01", "1990-01-02", "1990-01-03", "1992-06-01")
    result = xr.Dataset(attrs={"training_periods": training_periods(learnt)})
    check_not_trained_on(result, times("1991-01-01", "1990-01-04"))
    with pytest.raises(InputError, match=r"2 of 3 times .*, the first is 1990-01-03"):
        check_not_trained_on(result, times("1992-06-01", "1991-01-01", "1990-01-03"))
