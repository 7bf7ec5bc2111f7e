import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.fields.consistency import saturation
from tilth.forcing.fields.elevation import (
    move_to_elevation,
    pressure_after_rise,
    surface_pressure,
)
from tilth.physics import moist_air

RISES = xr.DataArray([-300.0, 0.0, 1200.0], dims="cell")


def weather():
    t = xr.DataArray([[284.0, 285.0, 286.0], [270.0, 275.0, 280.0]],
                     dims=("time", "cell"), attrs={"units": "K"})  # fmt: skip
    p = xr.full_like(t, 95000.0).assign_attrs(units="Pa")
    return xr.Dataset(
        {
            "tas": t,
            "ps": p,
            "huss": 0.7 * saturation(t, p),
            "rlds": 0.0 * t + 300.0,
            "pr": 0.0 * t + 1e-5,
        }
    )


@pytest.mark.parametrize(
    ("height", "pressure"),
    [(500.0, 95461.0), (1000.0, 89875.0), (2000.0, 79495.0), (5000.0, 54020.0)],
)
def test_pressure_falls_as_in_the_standard_atmosphere(height, pressure):
    # ICAO Doc 7488 (1993), tables of the standard atmosphere: geopotential altitude.
    found = pressure_after_rise(101325.0, 288.15, height)
    np.testing.assert_allclose(found, pressure, rtol=5e-5)


@given(
    st.floats(-2000, 4000),
    st.floats(240, 310),
    st.floats(0, 0.02),
    st.floats(-9e-3, 9e-3),
)
def test_up_and_down_again_is_where_one_began(rise, temperature, humidity, lapse):
    up = pressure_after_rise(
        9e4, temperature, rise, lapse_rate=lapse, specific_humidity=humidity
    )
    back = pressure_after_rise(
        up,
        temperature + lapse * rise,
        -rise,
        lapse_rate=lapse,
        specific_humidity=humidity,
    )
    np.testing.assert_allclose(back, 9e4, rtol=1e-9)


def test_a_vanishing_lapse_rate_is_no_special_case():
    near = pressure_after_rise(9e4, 280.0, 500.0, lapse_rate=-1e-9)
    none = pressure_after_rise(9e4, 280.0, 500.0, lapse_rate=0.0)
    np.testing.assert_allclose(near, none, rtol=1e-7)


def test_six_and_a_half_degrees_a_kilometre():
    moved = move_to_elevation(weather(), RISES)
    difference = (moved["tas"] - weather()["tas"]).isel(time=0)
    np.testing.assert_allclose(difference, [1.95, 0.0, -7.8])
    assert moved["tas"].attrs["units"] == "K"


def test_relative_humidity_stays():
    moved = move_to_elevation(weather(), RISES)
    before, after = (
        moist_air.vapour_pressure(data["huss"].values, data["ps"].values)
        / moist_air.saturation_vapour_pressure(data["tas"].values)
        for data in (weather(), moved)
    )
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_longwave_goes_with_the_fourth_power_of_temperature():
    moved, data = move_to_elevation(weather(), RISES), weather()
    np.testing.assert_allclose(
        (moved["rlds"] / 300.0) ** 0.25, moved["tas"] / data["tas"], rtol=1e-12
    )


def test_precipitation_has_no_lapse_rate():
    moved = move_to_elevation(weather(), RISES)
    xr.testing.assert_identical(moved["pr"], weather()["pr"])


def test_a_dew_point_stays_below_the_air():
    data = weather().drop_vars(["huss"])
    data["tdps"] = data["tas"] - 3.0
    moved = move_to_elevation(data, RISES)
    depression = (moved["tas"] - moved["tdps"]).values
    assert (depression > 0.0).all()
    np.testing.assert_allclose(depression[:, 1], 3.0, atol=1e-10)


def test_pressure_at_the_ground_of_era5_follows_from_that_at_sea_level():
    # A place at 514 m whose air is at 275 K below 101500 Pa at sea level.
    ps = surface_pressure(
        xr.DataArray(101500.0), xr.DataArray(275.0), xr.DataArray(514.0)
    )
    back = pressure_after_rise(float(ps), 275.0, -514.0)
    np.testing.assert_allclose(back, 101500.0, rtol=1e-12)


@pytest.mark.realdata
def test_sea_level_and_surface_pressure_of_era5_agree(dataset):
    folder = dataset("era5-canadian-cities")
    data = xr.open_dataset(next(folder.glob("*.nc")), engine="h5netcdf").load()
    # The grid's altitude is not in the file: the height that fits the mean of 1990.
    year = data.sel(time="1990").astype(float)
    heights = xr.DataArray([13.6, 29.5, 127.0, 515.0, 9.1], dims="location")
    found = surface_pressure(year["psl"], year["tas"], heights)
    assert float(abs(found - year["ps"]).mean("time").max()) < 60.0


def test_what_is_needed_is_named():
    with pytest.raises(InputError, match=r"huss can be .* only with ps"):
        move_to_elevation(weather().drop_vars("ps"), RISES)
    with pytest.raises(InputError, match=r"rlds can .* with tas"):
        move_to_elevation(weather()[["rlds"]], RISES)
    with pytest.raises(InputError, match="nan m"):
        move_to_elevation(weather(), RISES.where(RISES > 0))
    with pytest.raises(InputError, match="20000 m"):
        move_to_elevation(weather(), RISES + 20000.0 - 1200)


def test_blocks_on_dask_give_the_same():
    lazy = move_to_elevation(weather().chunk(time=1, cell=2), RISES)
    assert all(lazy[name].chunks for name in ("tas", "ps", "huss", "rlds"))
    xr.testing.assert_identical(lazy.compute(), move_to_elevation(weather(), RISES))
