"""Seasons stay whole, times are matched, and training years are not scored."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.forcing.adjust import QDM
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.seasons import common_times, season_folds, season_labels
from tilth.forcing.patterns.simulated import simulated_weather
from tilth.forcing.split import check_not_trained_on, training_periods


def days(*stretches, **options):
    found = [xr.date_range(*ends, **options) for ends in stretches]
    return xr.DataArray(np.concatenate(found), dims="time")


def test_a_winter_is_named_by_its_january():
    time = days(("1982-12-01", "1983-02-28"), ("1983-12-01", "1984-02-29"))
    labels = season_labels(time)
    assert np.unique(labels, return_counts=True)[1].tolist() == [90, 91]
    assert set(labels) == {1983, 1984}


def test_a_summer_and_a_whole_year_are_named_by_their_year():
    assert set(season_labels(days(("1983-06-01", "1983-08-31")))) == {1983}
    time = days(("1983-01-01", "1984-12-30"), calendar="360_day", use_cftime=True)
    assert np.bincount(season_labels(time))[1983:].tolist() == [360, 360]


def test_a_monsoon_from_october_to_march_is_one_season():
    time = days(("1990-10-01", "1991-03-31"))
    assert set(season_labels(time)) == {1991}


def test_every_fourth_season_is_in_one_fold():
    labels = np.repeat([1983, 1984, 1985, 1986, 1989], 3)
    assert season_folds(labels)[::3].tolist() == [0, 1, 2, 3, 0]
    with pytest.raises(InputError, match="4 folds of 3 seasons"):
        season_folds(labels[:9])


def test_the_record_of_a_training_keeps_its_gaps():
    time = days(("1982-12-01", "1983-02-28"), ("1983-12-01", "1984-02-29"))
    assert training_periods(time) == (
        "1982-12-01T00:00:00/1983-02-28T00:00:00 "
        "1983-12-01T00:00:00/1984-02-29T00:00:00"
    )


@pytest.fixture(scope="module")
def trained():
    coarse, local = simulated_weather(winters=6, places=3)
    known = season_labels(local.time) <= 1987
    return PatternDownscaling().fit(coarse[known], local[known]), coarse, known


def test_training_years_are_not_scored_even_after_a_file(trained, tmp_path):
    model, coarse, known = trained
    write_netcdf(model.predict(coarse), tmp_path / "local.nc")
    result = read_netcdf(tmp_path / "local.nc")
    with pytest.raises(InputError, match="450 of 540 times were learnt from"):
        check_not_trained_on(result)
    check_not_trained_on(result.isel(time=~known))
    check_not_trained_on(result["corrected"].isel(time=~known))
    noon = days(("1984-01-05T12", "1984-01-05T12"))
    with pytest.raises(InputError, match="1 of 1 times"):
        check_not_trained_on(result, noon)
    with pytest.raises(InputError, match="no attribute 'training_periods'"):
        check_not_trained_on(result.drop_attrs())


def test_summers_between_the_winters_learnt_from_may_be_scored(trained):
    model, coarse, _ = trained
    result = model.predict(coarse)
    check_not_trained_on(result, days(("1984-06-01", "1984-08-31")))
    noleap = days(("1984-06-01", "1984-08-31"), calendar="noleap", use_cftime=True)
    check_not_trained_on(result, noleap)


def test_days_at_noon_match_days_at_midnight():
    coarse, local = simulated_weather(winters=4, places=2)
    noon = coarse.assign_coords(time=coarse.time + np.timedelta64(12, "h"))
    ours, theirs = common_times(noon, local)
    assert ours.sizes["time"] == 360
    np.testing.assert_array_equal(ours.time, theirs.time)


def test_times_that_do_not_match_are_not_dropped_unseen():
    coarse, local = simulated_weather(winters=4, places=2)
    with pytest.raises(InputError, match="have no day in common"):
        common_times(coarse[:90], local[100:])
    with pytest.raises(InputError, match="0 of 179 times"):
        common_times(coarse[::2], local[1::2])
    with pytest.raises(InputError, match="times of the predictors must rise"):
        common_times(coarse[::-1], local)
    half = common_times(coarse[:180], local)
    assert half[0].sizes["time"] == 180


def test_an_adjusted_series_is_not_scored_on_the_years_of_its_training():
    time = days(("1981-01-01", "1990-12-31"))
    model = xr.DataArray(
        np.arange(time.size) % 17.0,
        {"time": time.values},
        ["time"],
        attrs={"units": "K"},
    )
    adjuster = QDM(kind="+").fit((model + 1.0).assign_attrs(units="K"), model[::-1])
    with pytest.raises(InputError, match="were learnt from"):
        check_not_trained_on(adjuster.apply(model))
    later = model.assign_coords(time=days(("1991-01-01", "2000-12-30")).values[:3652])
    check_not_trained_on(adjuster.apply(later))
