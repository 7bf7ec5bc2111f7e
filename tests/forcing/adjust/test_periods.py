"""Long series by periods; members fitted as one."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust import QDM, Scaling, apply_by_periods, pool_members


@pytest.fixture
def adjuster(series):
    rng = np.random.default_rng(0)
    return QDM(group="month").fit(
        series(rng.normal(0, 2, 3650)), series(rng.normal(3, 1, 3650))
    )


def test_each_step_is_adjusted_within_the_years_around_it(series, adjuster):
    values = np.random.default_rng(1).normal(4, 1, 365 * 47) + np.arange(365 * 47) / 9e3
    target = series(values, "2001-01-01")
    found = apply_by_periods(adjuster, target, years=30, step=10)
    assert found["time"].equals(target["time"])
    assert found.attrs["adjustment_periods"] == "10 years at a time within 30"
    year = target["time"].dt.year
    # Kept years and the 30 years they belong to; the series ends in 2047.
    for first, last, begin in ((2001, 2010, 2001), (2021, 2030, 2011)):
        period = adjuster.apply(target[(year >= begin) & (year < begin + 30)])
        kept = found[(year >= first) & (year <= last)]
        np.testing.assert_array_equal(kept, period.sel(time=kept["time"]))
    period = adjuster.apply(target[(year >= 2018) & (year <= 2047)])
    kept = found[year >= 2041]
    np.testing.assert_array_equal(kept, period.sel(time=kept["time"]))


def test_a_series_shorter_than_a_period_is_one(series, adjuster):
    target = series(np.random.default_rng(2).normal(size=365 * 7))
    np.testing.assert_array_equal(
        apply_by_periods(adjuster, target), adjuster.apply(target)
    )


def test_periods_that_leave_nothing_or_run_backwards_are_refused(series, adjuster):
    target = series(np.zeros(730))
    with pytest.raises(InputError, match="step of 0 years"):
        apply_by_periods(adjuster, target, step=0)
    with pytest.raises(InputError, match="step of 31 years"):
        apply_by_periods(adjuster, target, step=31)
    with pytest.raises(InputError, match="rise"):
        apply_by_periods(adjuster, target[::-1])


def test_members_fitted_as_one_keep_what_they_differ_by(series):
    members = series(np.array([[1.0] * 400, [3.0] * 400]), member=[1, 2])
    observed = series(np.full(400, 10.0))
    pooled = Scaling().fit(observed, pool_members(members)).apply(members)
    np.testing.assert_allclose(pooled.mean("time"), [9.0, 11.0])
    alone = Scaling().fit(observed, members).apply(members)
    np.testing.assert_allclose(alone.mean("time"), [10.0, 10.0])


def test_pooling_needs_the_dimension_of_the_members(series):
    with pytest.raises(InputError, match="lacks member"):
        pool_members(series(np.zeros(10)))


def test_pooling_repeats_the_times(series):
    members = series(np.arange(8.0).reshape(2, 4), member=[1, 2])
    pooled = pool_members(members)
    np.testing.assert_array_equal(pooled, np.arange(8.0))
    xr.testing.assert_equal(pooled["time"][:4].drop_vars("time"),
                            members["time"].drop_vars("time"))  # fmt: skip
    assert pooled.attrs["units"] == "degC"
