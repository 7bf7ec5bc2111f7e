"""Days and months in every calendar, and weather of shorter steps made daily."""

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.land.emulator import Emulator, fitted_dataset, months_of_days, to_daily

#: Days of January, February and a whole year of 2004, a leap year where there are.
CALENDARS = {
    "standard": (31, 29, 366),
    "proleptic_gregorian": (31, 29, 366),
    "noleap": (31, 28, 365),
    "all_leap": (31, 29, 366),
    "360_day": (30, 30, 360),
}


@pytest.mark.parametrize("calendar", CALENDARS)
def test_months_are_those_of_the_calendar(calendar):
    january, february, days = CALENDARS[calendar]
    axis = xr.date_range("2004-01-01", periods=days, calendar=calendar, use_cftime=True)
    month = months_of_days(xr.DataArray(axis, dims="time", name="time"))
    counts = np.bincount(month, minlength=12)
    assert counts[:2].tolist() == [january, february]
    assert counts.sum() == days
    assert counts.size == 12


def test_a_leap_day_belongs_to_february():
    axis = pd.date_range("2004-02-28", "2004-03-01")
    time = xr.DataArray(axis, dims="time", coords={"time": axis})
    assert months_of_days(time).tolist() == [1, 1, 2]


def test_a_single_day_has_a_month():
    axis = pd.DatetimeIndex(["2004-12-31 12:00"])
    time = xr.DataArray(axis, dims="time", coords={"time": axis})
    assert months_of_days(time).tolist() == [11]


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        (pd.date_range("2004-01-01", periods=5, freq="3h"), "to_daily"),
        (pd.DatetimeIndex(["2004-01-01", "2004-01-03"]), "a day is missing"),
        (pd.DatetimeIndex(["2004-01-02", "2004-01-01"]), "sort the times"),
        ([cftime.DatetimeNoLeap(2004, 2, 28), cftime.DatetimeNoLeap(2004, 3, 2)],
         "a day is missing"),
        (np.arange(4), "decode"),
    ],
)  # fmt: skip
def test_times_that_are_not_days_in_a_row_are_refused(axis, words):
    time = xr.DataArray(axis, dims="time", coords={"time": axis})
    with pytest.raises(InputError, match=words):
        months_of_days(time)


def three_hourly(days, start="2004-02-27", calendar="standard"):
    axis = xr.date_range(
        start,
        periods=8 * days,
        freq="3h",
        calendar=calendar,
        use_cftime=calendar != "standard",
    )
    rng = np.random.default_rng(0)
    rain = rng.exponential(1e-4, (8 * days, 2))
    air = rng.normal(280, 5, (8 * days, 2))
    return xr.Dataset(
        {
            "Rainf": (("time", "cell"), rain, {"units": "kg m-2 s-1"}),
            "Tair": (("time", "cell"), air, {"units": "K"}),
            "height": ("cell", [2.0, 3.0], {"units": "m"}),
        },
        {"time": axis},
    )


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_daily_weather_keeps_the_water_and_the_mean_of_the_air(calendar):
    data = three_hourly(4, calendar=calendar)
    daily = to_daily(data)
    assert daily.sizes["time"] == 4
    water = data["Rainf"].values.reshape(4, 8, 2).sum(axis=1) * 3 * 3600
    np.testing.assert_allclose(daily["Rainf"] * 86400, water, rtol=1e-12)
    air = data["Tair"].values.reshape(4, 8, 2).mean(axis=1)
    np.testing.assert_allclose(daily["Tair"], air, rtol=1e-12)
    assert daily["Rainf"].attrs["units"] == "kg m-2 s-1"
    assert daily["height"].values.tolist() == [2.0, 3.0]
    months_of_days(daily["time"])


def test_stamps_at_the_end_of_a_step_belong_to_the_day_before():
    data = three_hourly(3)
    late = data.assign_coords(time=data["time"].values + np.timedelta64(3, "h"))
    xr.testing.assert_allclose(to_daily(late, stamp="end"), to_daily(data))
    with pytest.raises(InputError, match="stamp='end'"):
        to_daily(late)
    with pytest.raises(InputError, match="'start' or 'end'"):
        to_daily(late, stamp="middle")


def test_days_that_are_not_whole_are_refused():
    data = three_hourly(3)
    with pytest.raises(InputError, match=r"first day.*has 5 of 8 steps"):
        to_daily(data.isel(time=slice(3, None)))
    with pytest.raises(InputError, match=r"last day.*has 7 of 8 steps"):
        to_daily(data.isel(time=slice(None, -1)))
    with pytest.raises(InputError, match="a file is missing"):
        to_daily(data.isel(time=[*range(10), *range(11, 24)]))


def test_amounts_of_a_step_have_no_mean():
    data = three_hourly(2)
    data["Rainf"].attrs["units"] = "mm"
    with pytest.raises(InputError, match="Rainf in mm: an amount"):
        to_daily(data)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_the_emulator_runs_in_the_calendar_of_its_weather(
    calendar, made_up_weather, random_parameters
):
    weather, _ = made_up_weather(90, 2)
    axis = xr.date_range("2004-01-01", periods=90, calendar=calendar, use_cftime=True)
    names = ("rain", "snowfall", "temperature", "humidity", "pressure")
    units = ("mm day-1", "mm day-1", "K", "kg kg-1", "Pa")
    forcing = xr.Dataset(
        {
            n: (("time", "cell"), f, {"units": u})
            for n, f, u in zip(names, weather, units, strict=True)
        },
        {"time": axis},
    )
    parameters = random_parameters(2)
    base = parameters[10, 2].copy()  # base runoff in March
    parameters[10] = 0.0
    parameters[10, 2] = base + 1.0
    model = Emulator(fitted_dataset(parameters, 0.5, 0.0, "implicit"))
    still = Emulator(
        fitted_dataset(
            np.where(np.arange(15)[:, None, None] == 10, 0.0, parameters),
            0.5,
            0.0,
            "implicit",
        )
    )
    gain = model.run(forcing)["Qtot"] - still.run(forcing)["Qtot"]
    first_of_march = 59 if calendar == "noleap" else 60
    assert (gain[:first_of_march] == 0).all()
    assert (gain[first_of_march:90] > 0).all()
    assert model.run(forcing)["time"].dt.calendar == calendar
