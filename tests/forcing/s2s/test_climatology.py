"""Climatology and training: the year in question is never in what it is told by."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.s2s import (
    align_observations,
    lead_climatology,
    start_groups,
    without_bias,
)
from tilth.stats.scores import crps


def weekly(years=range(2001, 2006), starts=3):
    """Starts a week apart in several years."""
    days = [
        pd.Timestamp(year, 1, 3) + pd.Timedelta(days=7 * k)
        for year in years
        for k in range(starts)
    ]
    return xr.DataArray(np.array(days, "datetime64[ns]"), dims="start", name="start")


@settings(deadline=None)  # the first call compiles
@given(st.integers(2, 6), st.integers(1, 8), st.sampled_from([None, 0.0, 7.0, 20.0]))
def test_no_training_start_is_of_the_year_of_its_target(years, per_year, window):
    start = weekly(range(2001, 2001 + years), per_year)
    groups = start_groups(start, window=window)
    year = start.dt.year.values
    day = start.dt.dayofyear.values
    for k in range(start.size):
        members = groups.of(k)
        assert members.size
        assert (year[members] != year[k]).all()
        if window is not None:
            assert (np.abs(day[members] - day[k]) <= window).all()
        else:
            assert members.size == (year != year[k]).sum()


def test_half_a_year_on_either_side_keeps_new_year_from_leaking():
    dates = ["2001-12-28", "2002-01-04", "2002-12-28", "2004-01-04"]
    start = xr.DataArray(np.array(dates, "datetime64[ns]"), dims="start")
    assert 1 in start_groups(start).of(0)  # seven days later, another year
    assert start_groups(start, leave_out="half year").of(0).tolist() == [2, 3]


def test_the_window_goes_round_the_year():
    dates = ["2001-12-30", "2003-01-02", "2003-07-01", "2004-07-02"]
    start = xr.DataArray(np.array(dates, "datetime64[ns]"), dims="start")
    assert start_groups(start, window=5).of(0).tolist() == [1]


@pytest.mark.parametrize("leave_out", ["year", "half year", "none"])
@pytest.mark.parametrize("window", [None, 10.0])
def test_daily_starts_learn_from_those_that_the_definition_names(leave_out, window):
    start = xr.DataArray(pd.date_range("2001-01-01", "2004-12-31"), dims="start")
    groups = start_groups(start, start[::97], window=window, leave_out=leave_out)
    day, year = start.dt.dayofyear.values, start.dt.year.values
    gone = (start.values - start.values[0]) / np.timedelta64(1, "D")
    for k, at in enumerate(range(0, start.size, 97)):
        apart = np.abs(day - day[at])
        apart = np.minimum(apart, 365 - apart)
        far = np.abs(gone - gone[at])
        # A day more or less around leap days and half years is left open.
        sure = {"year": year != year[at], "half year": far > 184, "none": far >= 0}
        never = {"year": year == year[at], "half year": far < 182, "none": far < 0}
        near = apart <= (400 if window is None else window - 1)
        distant = apart > (400 if window is None else window + 1)
        found = np.isin(np.arange(start.size), groups.of(k))
        assert found[sure[leave_out] & near].all()
        assert not found[never[leave_out] | distant].any()


def test_targets_that_learn_from_the_same_starts_share_one_set():
    start = xr.DataArray(pd.date_range("2001-01-01", "2004-12-31"), dims="start")
    assert start_groups(start).offsets.size - 1 == 4  # one a year
    later = xr.DataArray(pd.date_range("2010-01-01", "2015-12-31"), dims="start")
    groups = start_groups(start, later)  # real time: nothing to be left out
    assert groups.offsets.tolist() == [0, start.size]


def test_a_target_with_nothing_to_learn_from_and_strange_settings_are_refused():
    with pytest.raises(InputError, match="nothing is left to learn from for 3 of 3"):
        start_groups(weekly(range(2001, 2002)))
    with pytest.raises(InputError, match="leave_out is one of"):
        start_groups(weekly(), leave_out="week")
    with pytest.raises(InputError, match="number of days"):
        start_groups(weekly(), window=-1)
    with pytest.raises(InputError, match="1 of 15 times of start are missing"):
        start_groups(weekly().where(weekly() > weekly()[0]))


def test_the_climatology_of_a_start_does_not_change_with_its_own_year():
    start = weekly()
    draws = np.random.default_rng(1)
    data = xr.DataArray(
        draws.normal(size=(15, 4)), {"start": start}, ("start", "lead"), name="tas"
    )
    before = lead_climatology(data, window=7)
    changed = data.copy(deep=True)
    own = (start.dt.year == 2003).values
    changed[own] += 100.0
    after = lead_climatology(changed, window=7)
    np.testing.assert_array_equal(before.values[:, own], after.values[:, own])
    assert (after.values[:, ~own] > before.values[:, ~own]).all()


def test_by_hand_with_missing_values_and_pooled_members():
    start = weekly(range(2001, 2004), 1)
    values = [[1.0, 3.0], [np.nan, 5.0], [7.0, np.nan]]
    data = xr.DataArray(values, {"start": start}, ("start", "member"))
    pooled = lead_climatology(data, member_dim="member")
    assert pooled.values.tolist() == [6.0, 11 / 3, 3.0]
    each = lead_climatology(data)
    np.testing.assert_array_equal(each.values, [[7.0, 4.0, 1.0], [5.0, 3.0, 4.0]])


def test_the_climatology_of_other_starts_uses_all_hindcasts():
    data = xr.DataArray(np.arange(15.0), {"start": weekly()}, name="tas")
    later = weekly(range(2020, 2021), 2)
    found = lead_climatology(data, later)
    assert found.values.tolist() == [7.0, 7.0]
    assert found["start"].dt.year.values.tolist() == [2020, 2020]
    assert "the target's year left out" in found.attrs["climatology"]


def test_chunks_do_not_change_a_bit():
    draws = np.random.default_rng(2)
    data = xr.DataArray(
        draws.normal(size=(15, 4, 3, 5)),
        {"start": weekly()},
        ("start", "lead", "member", "cell"),
    )
    whole = lead_climatology(data, window=7, member_dim="member")
    lazy = lead_climatology(
        data.chunk(start=4, lead=1, cell=2), window=7, member_dim="member"
    )
    xr.testing.assert_identical(whole, lazy.compute())


def test_what_lacks_starts_or_members_is_refused():
    data = xr.DataArray(np.zeros((15, 2)), {"start": weekly()}, ("start", "lead"))
    with pytest.raises(InputError, match="needs the dimension member"):
        lead_climatology(data, member_dim="member")
    with pytest.raises(InputError, match="needs the dimension start"):
        lead_climatology(data.rename(start="time"))
    with pytest.raises(InputError, match="dates of its starts"):
        lead_climatology(data.drop_vars("start"))


def test_removing_the_bias_leaves_the_mean_of_other_years_in_agreement():
    start = weekly(range(2001, 2011), 2)
    draws = np.random.default_rng(3)
    observed = xr.DataArray(
        draws.normal(size=(20, 3)), {"start": start}, ("start", "lead")
    )
    model = observed.expand_dims(member=4) + xr.DataArray([1.0, 2.0, 5.0], dims="lead")
    np.testing.assert_allclose(
        without_bias(model, observed).transpose(*model.dims).values,
        observed.expand_dims(member=4).values,
        atol=1e-12,
    )


def test_a_missing_observation_takes_its_hindcast_out_of_the_bias_too():
    start = weekly(range(2001, 2005), 1)
    observed = xr.DataArray([0.0, 0.0, 0.0, np.nan], {"start": start})
    model = xr.DataArray([[1.0], [1.0], [1.0], [9.0]], {"start": start}, ("start", "m"))
    found = without_bias(model, observed, member_dim="m")
    assert found.values[:, 0].tolist() == [0.0, 0.0, 0.0, 8.0]


#: Lead day -> CRPS, fair CRPS and CRPS of the climatology of observations of other
#: years; GEOS-V2p1 of SubX, computed apart from this code with properscoring.
RMM1 = {
    1: (0.17389, 0.16980, 0.62087),
    7: (0.36204, 0.34586, 0.61472),
    14: (0.46933, 0.42114, 0.62419),
    21: (0.58484, 0.50636, 0.61642),
    28: (0.66560, 0.57355, 0.61998),
    35: (0.70896, 0.59778, 0.62508),
    42: (0.75848, 0.63651, 0.62045),
}


@pytest.mark.realdata
def test_real_hindcasts_of_the_rmm1_index_score_as_published(dataset):
    folder = dataset("rmm1-hindcasts")
    with xr.open_dataset(
        folder / "GMAO-GEOS-V2p1.RMM1.nc", engine="h5netcdf", decode_timedelta=False
    ) as file:
        model = file["RMM1"].load().astype(float)
    with xr.open_dataset(
        folder / "RMM1.observed.interannual.1974-06.2017-07.nc", engine="h5netcdf"
    ) as file:
        index = file["rmm1"].load()
    model = model.rename(S="start", L="lead", M="member")
    model = model.isel(lead=[day - 1 for day in RMM1])
    observed = align_observations(index, model["start"], model["lead"])
    assert observed.attrs["pairs_not_observed"] == 0
    found = without_bias(model, observed)
    bare = observed.drop_vars("valid_time")
    groups = start_groups(model["start"])
    for k, (day, (standard, fair, usual)) in enumerate(RMM1.items()):
        one, truth = found.isel(lead=k, drop=True), bare.isel(lead=k, drop=True)
        assert float(crps(one, truth).mean()) == pytest.approx(standard, abs=6e-6), day
        better = crps(one, truth, estimator="fair").mean()
        assert float(better) == pytest.approx(fair, abs=6e-6), day
        others = np.stack([truth.values[groups.of(s)] for s in range(truth.size)])
        climate = xr.DataArray(others, truth.coords, ("start", "member"))
        assert float(crps(climate, truth).mean()) == pytest.approx(usual, abs=6e-6), day
