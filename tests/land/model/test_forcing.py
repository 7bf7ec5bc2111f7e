import cftime
import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.land.model.forcing import (
    VARIABLES,
    check_forcing,
    end_time,
    season,
    split_precipitation,
    step_length,
    sun_cosine,
)

TYPICAL = {
    "Rainf": 1e-5,
    "Snowf": 0.0,
    "Tair": 285.0,
    "Qair": 0.006,
    "PSurf": 95000.0,
    "SWdown": 200.0,
    "LWdown": 310.0,
    "Wind": 3.0,
}


def forcing(steps=144, times=None, **changes):
    if times is None:
        times = np.datetime64("2001-03-01", "ns") + np.arange(steps) * np.timedelta64(
            30, "m"
        )
    values = {**TYPICAL, **changes}
    variables = {
        name: ("time", np.full(len(times), value), {"units": VARIABLES[name][0]})
        for name, value in values.items()
        if value is not None
    }
    return xr.Dataset(variables, coords={"time": times, "lat": 40.0, "lon": -88.0})


def relabelled(name, value, units):
    data = forcing(**{name: value})
    data[name].attrs["units"] = units
    return data


def test_good_forcing_passes_with_defaults_filled_in():
    checked = check_forcing(forcing())
    assert set(checked) == set(VARIABLES)
    assert float(checked["CRainf"].max()) == 0.0
    assert float(checked["CO2air"][0]) == 396e-6
    assert checked["Tair"].attrs["standard_name"] == "air_temperature"


@pytest.mark.parametrize(
    ("name", "value", "units", "expected"),
    [
        ("Tair", 12.0, "degC", 285.15),
        ("PSurf", 95.0, "kPa", 95000.0),
        ("Rainf", 3.6, "kg m-2 h-1", 1e-3),
        ("Qair", 6.0, "g kg-1", 0.006),
        ("CO2air", 400.0, "ppm", 400e-6),
    ],
)
def test_units_are_converted_where_they_say_what_they_are(name, value, units, expected):
    checked = check_forcing(relabelled(name, value, units))
    np.testing.assert_allclose(checked[name], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("PSurf", 95.0, "look like kPa"),
        ("PSurf", 950.0, "look like hPa"),
        ("Tair", 12.0, "look like degC"),
        ("Tair", -12.0, "look like degC"),
        ("Wind", 3000.0, "look like mm s-1"),
        ("Qair", 6.0, "look like g kg-1"),
        ("CO2air", 400.0, "look like ppm"),
        ("Rainf", 5.0, "look like mm per hour"),
        ("Rainf", -1e-5, "not negative"),
        ("LWdown", 2.0, "credible is 40 to 800"),
        ("SWdown", -500.0, "credible is -20 to 1600"),
    ],
)
def test_wrong_labels_are_refused_with_what_the_values_look_like(name, value, hint):
    with pytest.raises(InputError, match=f"{name} reaches.*{hint}"):
        check_forcing(forcing(**{name: value}))


def test_a_wind_converted_twice_is_refused():
    with pytest.raises(InputError, match=r"Wind never exceeds 0.003.*attribute"):
        check_forcing(relabelled("Wind", 3.0, "mm s-1"))


def test_night_offsets_of_a_pyranometer_are_darkness():
    assert float(check_forcing(forcing(SWdown=-3.0))["SWdown"].max()) == 0.0


def test_missing_or_foreign_units_are_refused():
    data = forcing()
    del data["Tair"].attrs["units"]
    with pytest.raises(UnitsError, match="Tair has no 'units'"):
        check_forcing(data)
    with pytest.raises(UnitsError, match="PSurf"):
        check_forcing(relabelled("PSurf", 95000.0, "m"))


def test_humidity_beyond_saturation_is_refused():
    with pytest.raises(InputError, match=r"Qair reaches .* of saturation"):
        check_forcing(forcing(Qair=0.02))


def test_gaps_are_counted_and_the_first_is_named():
    data = forcing()
    data["LWdown"][[7, 9]] = np.nan
    with pytest.raises(InputError, match=r"LWdown has 2 gaps of 144.*\[7\]"):
        check_forcing(data)


def test_an_absent_variable_is_named():
    with pytest.raises(InputError, match="needs the variable LWdown"):
        check_forcing(forcing().drop_vars("LWdown"))


def test_uneven_falling_or_single_times_are_refused():
    data = forcing()
    with pytest.raises(InputError, match="uneven: 1800 s at first, 3600 s"):
        check_forcing(data.isel(time=[0, 1, 2, 4, 5]))
    with pytest.raises(InputError, match="time must increase"):
        check_forcing(data.isel(time=[0, 2, 1]))
    with pytest.raises(InputError, match="1 times"):
        check_forcing(data.isel(time=[0]))


def test_precipitation_without_snow_is_split_by_the_wet_bulb():
    """Wang et al. (2019): half snow at a wet-bulb temperature of 0.82 degC."""
    cold = check_forcing(forcing(Snowf=None, Tair=263.0, Qair=0.001))
    warm = check_forcing(forcing(Snowf=None, Tair=285.0))
    np.testing.assert_allclose(cold["Snowf"], 1e-5, rtol=1e-3)
    np.testing.assert_allclose(warm["Snowf"] / 1e-5, 0.0, atol=1e-6)
    np.testing.assert_allclose(cold["Rainf"] + cold["Snowf"], 1e-5, rtol=1e-12)


def test_half_the_precipitation_is_snow_near_one_degree():
    t = xr.DataArray([273.15 + 0.817])
    saturated = xr.DataArray([0.0042])
    _, snow = split_precipitation(xr.ones_like(t), t, saturated, 0 * t + 95000.0)
    np.testing.assert_allclose(snow, 0.5, atol=0.05)


def test_seasons_follow_the_middles_of_the_months():
    times = xr.DataArray(
        np.array(["2001-01-16T12", "2001-04-16T00", "2001-12-31"], "datetime64[ns]"),
        dims="time",
    )
    weights = season(times)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights[0], np.eye(12)[0], atol=1e-12)
    np.testing.assert_allclose(weights[1], np.eye(12)[3], atol=1e-12)
    assert 0.45 < weights[2][11] < 0.55
    assert weights[2][0] == pytest.approx(1.0 - weights[2][11])


def test_a_360_day_calendar_has_seasons_sun_and_steps_of_its_own():
    times = [cftime.Datetime360Day(2001, 1, 1) + i * 0.5 * DAY for i in range(720)]
    data = forcing(times=times, SWdown=150.0)
    checked = check_forcing(data)
    assert step_length(checked) == 43200.0
    np.testing.assert_allclose(season(checked["time"]).sum(axis=1), 1.0)
    noon = sun_cosine(checked["time"], 43200.0, np.array([40.0]), np.array([-90.0]))
    day = noon[1::2, 0]  # 12 to 24 UTC is the local day at 90 degrees west
    longest = int(np.argmax(day))
    assert 165 < longest < 175  # 21 June is day 172 of 365, 169 of 360
    assert end_time(checked) == cftime.Datetime360Day(2002, 1, 1)


DAY = np.timedelta64(1, "D").astype("timedelta64[us]").item()


def test_dask_forcing_is_checked_when_it_is_computed():
    pytest.importorskip("dask")
    data = forcing(PSurf=95.0).chunk(time=-1)
    lazy = check_forcing(data)
    with pytest.raises(InputError, match="kPa"):
        lazy["PSurf"].compute()
