import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.forcing.fields.consistency import changes_made, make_consistent, saturation
from tilth.forcing.fields.sunlight import distance_factor, top_of_atmosphere
from tilth.forcing.variables import as_variable

BASE = {
    "tas": 285.0,
    "tasmin": 280.0,
    "tasmax": 290.0,
    "pr": 1e-4,
    "prsn": 0.0,
    "huss": 0.005,
    "hurs": 60.0,
    "ps": 95000.0,
    "rsds": 250.0,
    "rlds": 320.0,
    "sfcWind": 3.0,
}


def weather(**changes):
    time = pd.date_range("2001-06-01", periods=4)
    data = xr.Dataset(
        {n: (("time", "cell"), np.full((4, 2), v)) for n, v in BASE.items()},
        coords={
            "time": time,
            "lat": ("cell", [45.0, -60.0]),
            "lon": ("cell", [7.0, -70.0]),
        },
    )
    data["rsds"][:, 1] = 10.0  # winter there
    for name, value in changes.items():
        data[name][1, 0] = value
    return data


def test_weather_that_can_be_is_not_touched():
    result = make_consistent(weather())
    xr.testing.assert_equal(result.drop_vars("changed"), weather())
    assert int(result["changed"].sum()) == 0
    assert changes_made(result)["clean"] == 8


@pytest.mark.parametrize(
    ("name", "value", "expected", "meaning"),
    [
        ("pr", -1e-6, 0.0, "negative_precipitation"),
        ("prsn", 2e-4, 1e-4, "too_much_snow"),
        ("hurs", 103.0, 100.0, "supersaturated"),
        ("hurs", -2.0, 0.0, "humidity_below_zero"),
        ("rsds", -3.0, 0.0, "negative_shortwave"),
        ("sfcWind", -0.5, 0.0, "negative_wind"),
        ("tasmin", 287.0, 285.0, "temperature_order"),
        ("tasmax", 284.0, 285.0, "temperature_order"),
    ],
)
def test_each_bound_is_kept_and_flagged_where_it_was_broken(
    name, value, expected, meaning
):
    result = make_consistent(weather(**{name: value}))
    assert float(result[name][1, 0]) == expected
    flagged = is_flagged(result["changed"], meaning)
    assert bool(flagged[1, 0])
    assert int(flagged.sum()) == 1
    assert changes_made(result)[meaning] == 1


def test_air_holds_no_more_than_saturation():
    result = make_consistent(weather(huss=0.05))
    # 285 K and 950 hPa: e_s = 611.2 exp(17.62 x 11.85 / 254.97) = 1386 Pa (WMO-No. 8),
    # q = 0.622 e / (p - 0.378 e).
    np.testing.assert_allclose(result["huss"][1, 0], 0.00913, atol=1e-5)
    assert bool(is_flagged(result["changed"], "supersaturated")[1, 0])


def test_exchanged_temperatures_are_put_in_order():
    result = make_consistent(weather(tasmin=291.0, tasmax=279.0))
    at = result.isel(time=1, cell=0)
    assert (float(at["tasmin"]), float(at["tas"]), float(at["tasmax"])) == (
        279.0,
        285.0,
        291.0,
    )


def test_nothing_outshines_the_sun():
    result = make_consistent(weather(rsds=900.0))
    sun = top_of_atmosphere(result["time"], result["lat"], result["lon"], 86400.0)
    assert float(result["rsds"][1, 0]) == float(sun.transpose("time", "cell")[1, 0])
    assert 470.0 < float(result["rsds"][1, 0]) < 490.0


def test_daily_irradiance_above_the_air_is_that_of_the_tables():
    # FAO-56 (Allen et al. 1998), example 8: 20 S on 3 September, 32.2 MJ m-2 day-1
    # with a solar constant of 1367 W m-2 and a declination rounded to 0.12 (it is
    # 0.130 rad), which makes it 0.9 % too large.
    time = xr.DataArray(pd.to_datetime(["2001-09-03"]), dims="time")
    place = xr.DataArray([-20.0], dims="cell")
    found = top_of_atmosphere(time, place, 0.0 * place, 86400.0)
    np.testing.assert_allclose(found.values * 0.0864 * 1367.0 / 1361.0, 32.2, rtol=0.01)


def test_the_earth_is_nearest_to_the_sun_in_january():
    days = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
    factor = distance_factor(days)
    # Perihelion 0.9833 and aphelion 1.0167 astronomical units.
    np.testing.assert_allclose(factor.max(), 0.9833**-2, rtol=1e-3)
    np.testing.assert_allclose(factor.min(), 1.0167**-2, rtol=1e-3)
    assert days[factor.argmax()].item().month == 1
    np.testing.assert_allclose(factor.mean(), 1.0, atol=2e-4)


def test_gaps_stay_gaps_and_are_not_flagged():
    data = weather()
    for name in BASE:
        data[name][2, 1] = np.nan
    result = make_consistent(data)
    assert np.isnan(result["pr"][2, 1])
    assert int(result["changed"].sum()) == 0


def test_what_a_bound_needs_is_named():
    with pytest.raises(InputError, match="lat, lon"):
        make_consistent(weather().drop_vars(["lat", "lon"]))
    with pytest.raises(InputError, match="huss need ps"):
        make_consistent(weather().drop_vars("ps"))


def test_chunks_do_not_matter():
    data = weather(rsds=900.0, huss=0.05, tasmin=287.0)
    lazy = make_consistent(data.chunk(time=2, cell=1))
    assert lazy["rsds"].chunks is not None
    xr.testing.assert_equal(lazy.compute(), make_consistent(data))


@pytest.mark.realdata
def test_the_cities_of_era5_break_no_bound_but_that_of_snow(dataset):
    folder = dataset("era5-canadian-cities")
    file = xr.open_dataset(next(folder.glob("*.nc")), engine="h5netcdf").load()
    data = xr.Dataset({name: as_variable(file[name]) for name in BASE})
    # Before: RH <= 1, tasmin <= tas <= tasmax, rsds <= TOA, huss below saturation.
    assert float(data["hurs"].max()) < 100.0
    assert bool((data["tasmin"] <= data["tas"]).all())
    assert bool((data["tas"] <= data["tasmax"]).all())
    assert bool((data["huss"] < saturation(data["tas"], data["ps"])).all())
    sun = top_of_atmosphere(data["time"], data["lat"], data["lon"], 86400.0)
    assert 0.7 < float((data["rsds"] / sun).max()) < 0.85
    result = make_consistent(data)
    counts = changes_made(result)
    assert counts["total"] == 5 * 1461
    assert counts.drop(["total", "clean", "too_much_snow"]).sum() == 0
    # The file's snow is not of the same hours as its precipitation: at the beginning
    # and the end of storms it is larger, by 3.4 mm at most.
    excess = (data["prsn"] - data["pr"]) * 86400.0
    assert int((excess > 0.1).sum()) == 150
    np.testing.assert_allclose(float(excess.max()), 3.384, atol=1e-3)
    assert counts["too_much_snow"] == int((excess > 0.0).sum())
