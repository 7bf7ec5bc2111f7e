import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading import (
    LoveNumbers,
    balance_mass,
    disc_response,
    green_functions,
    grid_displacement,
    grid_matrix,
)

N = np.arange(401.0)
ONE = np.maximum(N, 1.0)
EARTH = LoveNumbers(
    -6.0 + 5.0 / ONE,
    np.where(N > 0, (1.9 - 1.4 / ONE) / ONE, 0.0),
    np.where(N > 0, -(2.7 - 2.0 / ONE) / ONE, 0.0),
    frame="CE",
    source="made up",
)


@pytest.fixture(scope="module")
def green():
    return green_functions(EARTH)


def field(step, values, south=-90.0, north=90.0, west=0.0, east=360.0):
    lat = np.arange(south + step / 2, north, step)[::-1]
    lon = np.arange(west + step / 2, east, step)
    shape = (lat.size, lon.size)
    return xr.DataArray(
        np.broadcast_to(np.asarray(values, float), shape).copy(),
        {"lat": lat, "lon": lon},
        ("lat", "lon"),
        attrs={"units": "kg m-2"},
    )


def stations(lat, lon):
    return xr.Dataset(
        {"lat": ("station", np.array(lat, float))}
        | {"lon": ("station", np.array(lon, float))},
        {"station": [f"S{i}" for i in range(len(lat))]},
    )


def test_an_even_layer_moves_every_station_by_degree_zero(green):
    layer = field(5.0, 1.0)
    moved = grid_displacement(
        layer, stations([0.0, 47.0, 90.0], [0.0, 11.3, 5.0]), green
    )
    expected = 4 * np.pi * EARTH.h[0] * EARTH.radius**3 / EARTH.mass
    np.testing.assert_allclose(moved.up, expected, rtol=1e-5)
    np.testing.assert_allclose(moved.east, 0.0, atol=1e-4 * abs(expected))
    np.testing.assert_allclose(moved.north, 0.0, atol=1e-4 * abs(expected))


def test_a_polar_cap_of_cells_is_a_disc(green):
    cap = field(1.0, 0.0)
    cap = cap.where(cap.lat < 80.0, 7.0)  # whole rows down to 80 degrees
    lat = [89.0, 82.0, 80.0001, 79.9, 75.0, 30.0, -60.0]
    moved = grid_displacement(cap, stations(lat, [0, 33, 120, 250, 300, 10, 77]), green)
    distance = np.radians(90.0 - np.array(lat))
    disc = disc_response(green, distance, np.radians(10.0))
    np.testing.assert_allclose(moved.up, 7 * disc.up, rtol=2e-4)
    np.testing.assert_allclose(
        moved.north, -7 * disc.away, rtol=5e-4, atol=2e-4 * 7 * abs(disc.away).max()
    )
    np.testing.assert_allclose(moved.geoid, 7 * disc.geoid, rtol=2e-4)
    assert abs(moved.east).max() < 2e-4 * abs(moved.up).max()


def test_cells_taken_as_points_err_as_stated(green):
    cell = field(0.5, 0.0, 60.0, 70.0, -50.0, -40.0)
    cell.loc[{"lat": 65.25, "lon": -45.25}] = 100.0
    at = stations(65.25 + 0.5 * np.array([10.1, 40.2]), [-45.25, -45.25])
    usual = grid_displacement(cell, at, green)
    exact = grid_displacement(cell, at, green, near=100.0)
    error = np.abs(usual.up.values / exact.up.values - 1.0)
    assert 0.0 < error[0] < 3e-5
    assert 0.0 < error[1] < 2e-4


def test_the_matrix_serves_every_month(green):
    rng = np.random.default_rng(3)
    months = xr.concat(
        [field(10.0, rng.normal(size=(18, 36))) for _ in range(3)], "month"
    )
    months.attrs["units"] = "kg m-2"
    at = stations([12.0, -33.0], [5.0, 200.0])
    moved = grid_displacement(months, at, green)
    assert moved.up.dims == ("month", "station") or moved.up.dims == (
        "station",
        "month",
    )
    matrix = grid_matrix(months, at, green)
    by_matrix = xr.dot(matrix, months, dim=["lat", "lon"]).sel(component="up")
    np.testing.assert_allclose(
        moved.up.transpose("station", "month"), by_matrix.transpose("station", "month")
    )
    lazy = grid_displacement(months.chunk({"month": 1}), at, green)
    assert lazy.up.chunks is not None
    np.testing.assert_allclose(lazy.up.values, moved.up.values, rtol=1e-12)


def test_water_in_millimetres_is_as_heavy_as_kilograms(green):
    at = stations([10.0], [10.0])
    water = field(30.0, 5.0)
    water.attrs["units"] = "mm"
    heavy = field(30.0, 5.0)
    np.testing.assert_allclose(
        grid_displacement(water, at, green).up,
        grid_displacement(heavy, at, green).up,
        rtol=1e-12,
    )


def test_balanced_water_has_no_mass():
    load = field(10.0, 0.0)
    load.loc[{"lat": slice(60, 40), "lon": slice(0, 90)}] = 10.0
    ocean = xr.where(abs(load.lat) < 30.0, 1.0, 0.0) * xr.ones_like(load)
    balanced = balance_mass(load, ocean)
    weights = np.cos(np.radians(load.lat))
    before, after = (float((x * weights).sum()) for x in (load, balanced))
    assert abs(after) < 1e-10 * before
    assert float(balanced.sel(lat=5.0, lon=5.0)) < 0.0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x.drop_attrs(), "no units"),
        (lambda x: x.where(x.lat > 0), "values of the load are missing"),
        (lambda x: x.assign_attrs(units="K"), "K"),
        (lambda x: x.expand_dims(station=2), "both have the dimension"),
    ],
)
def test_loads_that_cannot_be_meant_are_refused(green, spoil, message):
    with pytest.raises(InputError, match=message):
        grid_displacement(spoil(field(30.0, 1.0)), stations([1.0], [1.0]), green)


def test_an_ocean_on_another_grid_or_without_room_is_refused():
    load = field(30.0, 1.0)
    with pytest.raises(InputError, match="not on the grid"):
        balance_mass(load, field(10.0, 1.0))
    with pytest.raises(InputError, match="no area"):
        balance_mass(load, xr.zeros_like(load))
