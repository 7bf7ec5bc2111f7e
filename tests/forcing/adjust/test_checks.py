"""What a training is asked first: times, places, steps and seasons that are alike."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust.adjuster import read_adjuster
from tilth.forcing.adjust.checks import usual_step
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.linear import Scaling
from tilth.forcing.adjust.mapping import EQM


def drawn(series, shape, seed=0, **coords):
    return series(np.random.default_rng(seed).normal(size=shape), **coords)


def hourly(values, step="3h"):
    time = xr.date_range("1981-01-01", periods=np.shape(values)[-1], freq=step)
    return xr.DataArray(values, {"time": time}, ("time",), attrs={"units": "degC"})


def test_a_grid_is_not_multiplied_with_stations(series):
    observed = drawn(series, (3, 400), station=["a", "b", "c"])
    grid = drawn(series, (2, 4, 400), lat=[40.0, 41.0], lon=[0.0, 1.0, 2.0, 3.0])
    said = r"the model has lat \(2\), lon \(4\), the observations station \(3\)"
    with pytest.raises(InputError, match=said):
        QDM().fit(observed, grid)
    with pytest.raises(InputError, match=r"the observations one place.*regrid"):
        QDM().fit(observed[0].drop_vars("station"), grid)
    cells = drawn(series, (5, 400), cell=np.arange(5))
    with pytest.raises(InputError, match=r"the model has cell \(5\)"):
        QDM().fit(observed, cells)


def test_members_and_one_cell_for_many_stations_are_no_mistake(series):
    observed = drawn(series, (3, 400), station=["a", "b", "c"])
    one = drawn(series, (400,), seed=1)
    assert QDM().fit(observed, one).apply(one).shape == (3, 400)
    members = drawn(series, (2, 400), seed=1, member=[1, 2])
    assert QDM().fit(observed, members).apply(members).sizes["station"] == 3


def test_stations_that_differ_are_named(series):
    observed = drawn(series, (2, 400), station=["a", "b"])
    with pytest.raises(InputError, match="station is a, b observed and a, c modelled"):
        QDM().fit(observed, observed.assign_coords(station=["a", "c"]))
    more = drawn(series, (5, 400), station=list("abcde"))
    with pytest.raises(InputError, match="a, b observed and 5 values modelled"):
        QDM().fit(observed, more)


def test_hours_are_not_taken_for_days(series):
    draws = np.random.default_rng(0)
    daily = hourly(draws.normal(size=200), "1D")
    with pytest.raises(InputError, match="the model has a value every 3 hours, the ob"):
        QDM().fit(daily, hourly(draws.normal(size=1600)))
    adjuster = QDM().fit(daily, daily)
    with pytest.raises(InputError, match="the target has a value every 3 hours"):
        adjuster.apply(hourly(draws.normal(size=80)))
    # A single time has no step, and months of 360 and 365 days are alike.
    assert adjuster.apply(daily[:1]).size == 1
    months = [
        xr.DataArray(
            draws.normal(size=36),
            {"time": xr.date_range("1981-01-15", periods=36, freq="MS", **calendar)},
            ("time",), attrs={"units": "degC"},
        )
        for calendar in ({}, {"calendar": "360_day", "use_cftime": True})
    ]  # fmt: skip
    assert np.isfinite(Scaling().fit(*months).apply(months[1])).all()


def test_the_step_is_kept_in_files(series, tmp_path):
    daily = drawn(series, (400,))
    Scaling().fit(daily, daily).save(tmp_path / "fitted.nc")
    with pytest.raises(InputError, match="the target has a value every 3 hours"):
        read_adjuster(tmp_path / "fitted.nc").apply(hourly(np.zeros(80)))


def test_a_winter_is_not_compared_with_a_year(series):
    year = drawn(series, (730,))
    winter = year[(year.time.dt.month <= 2).values]
    with pytest.raises(
        InputError, match=r"the months 1, 2 and the model 1, 2, 3.*84 %"
    ):
        EQM().fit(winter, year)
    # Month by month it is: and only trained months can be adjusted.
    EQM(group="month").fit(winter, year).apply(winter)
    EQM().fit(winter, winter)


@pytest.mark.parametrize("which", [0, 1])
def test_no_time_at_all_is_said_whichever_has_none(series, which):
    pair = [drawn(series, (400,)), drawn(series, (400,))]
    pair[which] = pair[which][:0]
    with pytest.raises(InputError, match=r"no time step (observed|modelled)"):
        QDM().fit(*pair)


def test_the_usual_step_is_the_median_and_repeated_times_count_once():
    time = xr.date_range("2001-01-01", periods=9, freq="6h")
    twice = xr.DataArray(np.concatenate([time, time[:4]]), dims="time")
    assert usual_step(twice) == 6 * 3600.0
    assert np.isnan(usual_step(twice[:1]))
