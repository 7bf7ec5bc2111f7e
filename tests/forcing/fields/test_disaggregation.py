import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, KernelError
from tilth.forcing.fields.consistency import saturation
from tilth.forcing.fields.disaggregation import to_hours
from tilth.forcing.fields.rain_cascade import RainCascade
from tilth.forcing.fields.sunlight import top_of_atmosphere
from tilth.forcing.variables import VARIABLES, as_variable

HOURLY = ("tas", "pr", "rsds", "huss", "rlds", "ps", "sfcWind")


def days(number=40, cells=3, calendar="standard", seed=0, start="2001-03-01"):
    rng = np.random.default_rng(seed)
    time = xr.date_range(start, periods=number, calendar=calendar, use_cftime=None)
    shape = (cells, number)
    tas = 283.0 + np.cumsum(rng.normal(0.0, 2.0, shape), axis=1) * 0.3
    lat = np.linspace(-55.0, 60.0, cells)
    data = xr.Dataset(
        {
            "tas": (("cell", "time"), tas),
            "tasmin": (("cell", "time"), tas - rng.uniform(1.0, 8.0, shape)),
            "tasmax": (("cell", "time"), tas + rng.uniform(1.0, 8.0, shape)),
            "pr": (
                ("cell", "time"),
                rng.exponential(8.0, shape) * (rng.random(shape) < 0.4) / 86400.0,
            ),
            "ps": (("cell", "time"), rng.normal(95000.0, 600.0, shape)),
            "rlds": (("cell", "time"), rng.uniform(220.0, 380.0, shape)),
            "sfcWind": (("cell", "time"), rng.gamma(3.0, 1.0, shape)),
        },
        coords={
            "time": time,
            "lat": ("cell", lat),
            "lon": ("cell", np.linspace(-150.0, 170.0, cells)),
        },
    )
    data["huss"] = rng.uniform(0.4, 1.0) * saturation(data["tas"] - 1.0, data["ps"])
    sun = top_of_atmosphere(data["time"], data["lat"], data["lon"], 86400.0)
    data["rsds"] = sun * xr.DataArray(rng.uniform(0.1, 0.8, shape), dims=sun.dims)
    for name in data.data_vars:
        data[name].attrs["units"] = VARIABLES[name].units
    return data


def by_day(hourly, name, number=24):
    values = hourly[name].transpose(..., "time").values
    return values.reshape(*values.shape[:-1], -1, number)


@pytest.mark.parametrize("hours", [0.5, 1.0, 3.0, 6.0])
def test_every_mean_of_a_day_is_kept(hours):
    daily = days()
    hourly = to_hours(daily, hours=hours)
    for name in HOURLY:
        found = by_day(hourly, name, round(24 / hours)).mean(axis=-1)
        np.testing.assert_allclose(found, daily[name].values, rtol=1e-11, err_msg=name)


def test_extremes_of_temperature_are_reached_and_not_passed():
    daily = days()
    found = by_day(to_hours(daily), "tas")
    # All means here are far enough from both extremes for hourly steps.
    skew = (daily["tas"] - daily["tasmin"]) / (daily["tasmax"] - daily["tasmin"])
    reached = ((skew > 0.1) & (skew < 0.9)).values
    assert reached.mean() > 0.9
    low, high = found.min(axis=-1), found.max(axis=-1)
    np.testing.assert_allclose(low[reached], daily["tasmin"].values[reached], atol=1e-9)
    np.testing.assert_allclose(
        high[reached], daily["tasmax"].values[reached], atol=1e-9
    )
    assert (low >= daily["tasmin"].values - 1e-9).all()
    assert (high <= daily["tasmax"].values + 1e-9).all()


def test_it_is_warmest_after_noon_and_coldest_about_sunrise():
    daily = days(number=20, cells=1, start="2001-06-10")
    daily = daily.assign_coords(lat=("cell", [45.0]), lon=("cell", [0.0]))
    for name, value in (("tas", 288.0), ("tasmin", 282.0), ("tasmax", 294.0)):
        daily[name][:] = value
    course = by_day(to_hours(daily), "tas")[0, 10]
    # Parton & Logan: 1.86 h after noon; sunrise at 4:17 local solar time.
    assert course.argmax() == 13
    assert course.argmin() in (3, 4)


@pytest.mark.parametrize("longitude", [-120.0, 0.0, 75.0, 179.0])
def test_the_sun_of_the_place_sets_the_hours(longitude):
    daily = days(number=20, cells=1, start="2001-06-10")
    daily = daily.assign_coords(lat=("cell", [40.0]), lon=("cell", [longitude]))
    hourly = to_hours(daily)
    noon = (12.0 - longitude / 15.0) % 24.0
    light = by_day(hourly, "rsds")[0].mean(axis=0)
    middle = np.angle((light * np.exp(2j * np.pi * (np.arange(24) + 0.5) / 24)).sum())
    assert abs((middle * 12 / np.pi - noon + 12) % 24 - 12) < 0.1
    mean = by_day(hourly, "tas")[0].mean(axis=0)
    assert abs((mean.argmax() + 0.5 - noon - 1.86 + 12) % 24 - 12) < 1.5


def test_no_light_without_sun_and_none_above_it():
    daily = days(cells=4, start="2001-12-01")
    hourly = to_hours(daily)
    sun = top_of_atmosphere(hourly["time"], hourly["lat"], hourly["lon"], 3600.0)
    sun = sun.transpose(*hourly["rsds"].dims)
    assert (hourly["rsds"].values[sun.values == 0.0] == 0.0).all()
    assert bool((hourly["rsds"] <= sun * 0.81 + 1e-9).all())


def test_the_polar_night_has_a_temperature_and_spreads_what_light_it_is_given():
    daily = days(number=10, cells=1, start="2001-12-15")
    daily = daily.assign_coords(lat=("cell", [80.0]), lon=("cell", [20.0]))
    daily["rsds"][:] = 0.5
    hourly = to_hours(daily)
    np.testing.assert_allclose(hourly["rsds"], 0.5)
    assert not np.isnan(hourly["tas"]).any()


def test_air_of_the_hours_holds_no_more_than_saturation_and_loses_no_vapour():
    daily = days()
    daily["huss"] = saturation(daily["tas"], daily["ps"]) * 0.99
    daily["huss"].attrs["units"] = "kg kg-1"
    hourly = to_hours(daily)
    most = saturation(hourly["tas"], hourly["ps"])
    assert bool((hourly["huss"] <= most * (1 + 1e-12)).all())
    assert float((hourly["huss"] / most > 1 - 1e-9).mean()) > 0.1
    found = by_day(hourly, "huss").mean(axis=-1)
    np.testing.assert_allclose(found, daily["huss"].values, rtol=1e-11)


def test_a_day_without_range_is_constant():
    daily = days(number=5)
    daily["tasmin"] = daily["tasmax"] = daily["tas"]
    found = by_day(to_hours(daily), "tas")
    np.testing.assert_allclose(found, np.repeat(daily["tas"].values[..., None], 24, -1))


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "julian"])
def test_hours_follow_the_calendar_of_the_days(calendar):
    daily = days(number=80, calendar=calendar)
    hourly = to_hours(daily, hours=6.0)
    assert hourly["time"].dt.calendar == calendar
    assert hourly.sizes["time"] == 320
    found = by_day(hourly, "rsds", 4).mean(axis=-1)
    np.testing.assert_allclose(found, daily["rsds"].values, rtol=1e-11)


def test_chunks_and_neighbours_do_not_change_the_hours():
    daily = days(cells=5)
    whole = to_hours(daily, seed=3)
    lazy = to_hours(daily.chunk(cell=2, time=7), seed=3)
    assert lazy["pr"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), whole)
    alone = to_hours(daily.isel(cell=[3]), seed=3)
    xr.testing.assert_identical(alone, whole.isel(cell=[3]))
    assert not np.array_equal(to_hours(daily, seed=4)["pr"], whole["pr"])


def test_members_at_one_place_rain_apart():
    daily = days(cells=1)
    both = xr.concat([daily, daily], "member").assign_coords(member=[0, 1])
    both = both.assign_coords(lat=daily["lat"], lon=daily["lon"])
    hourly = to_hours(both)
    assert not np.array_equal(hourly["pr"][0], hourly["pr"][1])
    np.testing.assert_array_equal(hourly["tas"][0], hourly["tas"][1])


def test_on_a_grid_latitude_and_longitude_are_dimensions():
    daily = days(cells=1).isel(cell=0, drop=True)
    grid = daily.expand_dims(lat=[40.0, 50.0], lon=[0.0, 10.0, 20.0]).copy()
    hourly = to_hours(grid)
    assert hourly["tas"].dims == ("lat", "lon", "time")
    np.testing.assert_allclose(
        by_day(hourly, "pr").mean(-1), grid["pr"].values, rtol=1e-11, atol=1e-20
    )


def test_one_place_needs_no_dimension():
    daily = days(cells=2)
    alone = to_hours(daily.isel(cell=1))
    assert alone["pr"].dims == ("time",)
    xr.testing.assert_identical(alone, to_hours(daily).isel(cell=1))


def test_gaps_of_days_are_gaps_of_hours():
    daily = days(number=10)
    for name in ("tas", "tasmin", "tasmax", "pr"):
        daily[name][1, 4] = np.nan
    hourly = to_hours(daily)
    for name in ("tas", "pr"):
        missing = np.isnan(by_day(hourly, name))
        assert missing[1, 4].all()
        assert missing.sum() == 24


def test_what_cannot_be_shared_out_is_refused():
    daily = days(number=10)
    with pytest.raises(InputError, match="do not divide a day"):
        to_hours(daily, hours=5.0)
    with pytest.raises(InputError, match="consecutive"):
        to_hours(daily.isel(time=[0, 1, 3]))
    with pytest.raises(InputError, match="tasmin"):
        to_hours(daily.drop_vars("tasmin"))
    with pytest.raises(InputError, match="ps"):
        to_hours(daily.drop_vars("ps"))
    daily["tasmin"] = daily["tasmax"] + 1.0
    daily["tasmin"].attrs["units"] = "K"
    with pytest.raises((KernelError, InputError), match="make_consistent"):
        to_hours(daily)


@pytest.mark.realdata
def test_hours_of_the_cities_of_era5_keep_their_days(dataset):
    folder = dataset("era5-canadian-cities")
    file = xr.open_dataset(next(folder.glob("*.nc")), engine="h5netcdf").load()
    names = (*HOURLY, "tasmin", "tasmax")
    daily = xr.Dataset({n: as_variable(file[n]) for n in names}).sel(time="1990")
    hourly = to_hours(daily, hours=3.0, rain=RainCascade())
    for name in HOURLY:
        np.testing.assert_allclose(
            by_day(hourly, name, 8).mean(-1), daily[name].values, rtol=1e-9, atol=1e-15
        )
    most = saturation(hourly["tas"], hourly["ps"])
    assert bool((hourly["huss"] <= most * (1 + 1e-12)).all())
    # Light of the hours stays below that above the air, as it does for the days.
    sun = top_of_atmosphere(hourly["time"], hourly["lat"], hourly["lon"], 10800.0)
    assert bool((hourly["rsds"] <= sun.transpose(*hourly["rsds"].dims)).all())
