"""Sources of mass: every kind is the same load where it is the same place."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading import (
    basin_table,
    cell_sources,
    disc_response,
    disc_sources,
    green_functions,
    grid_displacement,
    outline_sources,
    pattern_sources,
)
from tilth.loading.simulated import made_up_earth

EARTH = made_up_earth()


@pytest.fixture(scope="module")
def green():
    return green_functions(EARTH)


@pytest.fixture
def stations():
    return xr.Dataset(
        {
            "lat": ("station", [69.0, 70.2, 69.4]),
            "lon": ("station", [-51.0, -49.0, -47.2]),
        },
        {"station": ["A", "B", "C"]},
    )


def grid(step=0.2):
    lat, lon = np.arange(69.1, 69.75, step), np.arange(-49.9, -48.0, step)
    return xr.DataArray(
        np.ones((lat.size, lon.size), bool), {"lat": lat, "lon": lon}, ("lat", "lon")
    )


def circle(lat, lon, angle, corners=2000):
    """Corners of a circle on the sphere, clockwise, as GeoJSON writes them."""
    turn = np.linspace(0.0, -2.0 * np.pi, corners, endpoint=False)
    phi, a = np.radians(lat), np.radians(angle)
    sine = np.sin(phi) * np.cos(a) + np.cos(phi) * np.sin(a) * np.cos(turn)
    east = np.arctan2(
        np.sin(turn) * np.sin(a) * np.cos(phi), np.cos(a) - np.sin(phi) * sine
    )
    ring = np.stack([lon + np.degrees(east), np.degrees(np.arcsin(sine))], axis=1)
    return [*ring.tolist(), ring[0].tolist()]


def test_a_disc_is_its_own_outline(green, stations):
    radius = 30e3
    disc = disc_sources(69.5, -49.0, radius, stations, green)
    ring = circle(69.5, -49.0, np.degrees(radius / EARTH.radius))
    outline = outline_sources(
        {"ice": {"type": "Polygon", "coordinates": [ring]}}, stations, green
    )
    np.testing.assert_allclose(outline["mass"], disc["mass"], rtol=1e-5)
    largest = abs(disc["response"]).max()
    np.testing.assert_allclose(
        outline["response"], disc["response"], atol=2e-5 * float(largest)
    )


def test_added_mass_pushes_down_and_pulls_toward_itself(green, stations):
    disc = disc_sources(69.5, -49.0, 20e3, stations, green)
    east, north, up, _ = disc["response"].values[:, :, 0]
    assert (up < 0).all()
    assert east[0] > 0 > east[2]  # A lies to the west of it, C to the east
    assert north[0] > 0 > north[1]
    one = disc_response(green, np.radians(0.7), 20e3 / EARTH.radius)
    np.testing.assert_allclose(up[1], 1000 * one.up, rtol=1e-6)  # B: 0.7 degrees north


def test_a_disc_weighs_its_area_times_a_metre_of_water(green, stations):
    disc = disc_sources([69.5], [-49.0], [20e3], stations, green)
    assert float(disc["mass"][0]) == pytest.approx(np.pi * 400e6 * 1e-9, rel=1e-5)


def test_a_hole_is_not_loaded_whichever_way_its_ring_goes(green, stations):
    outer = [[-50, 69], [-48, 69], [-48, 70], [-50, 70]]
    inner = [[-49.5, 69.2], [-48.5, 69.2], [-48.5, 69.8], [-49.5, 69.8]]

    def outline(*rings):
        geometry = {"type": "MultiPolygon", "coordinates": [list(rings)]}
        return outline_sources({"x": geometry}, stations, green)

    whole, hole = outline(outer), outline(inner)
    for ring in (inner, inner[::-1]):
        left = outline(outer, ring)
        for name in ("mass", "response"):
            np.testing.assert_allclose(
                left[name], whole[name] - hole[name], rtol=1e-9, atol=1e-15
            )


def test_cells_together_are_the_outline_around_them(green, stations):
    cells = cell_sources(grid(), stations, green)
    box = [[-50, 69], [-48, 69], [-48, 69.8], [-50, 69.8]]
    outline = outline_sources(
        {"box": {"type": "Polygon", "coordinates": [box]}}, stations, green
    )
    np.testing.assert_allclose(cells["mass"].sum(), outline["mass"][0], rtol=1e-9)
    np.testing.assert_allclose(
        cells["response"].sum("source"),
        outline["response"][..., 0],
        rtol=1e-4,
        atol=1e-15,
    )


def test_a_pattern_is_the_sum_of_its_cells(green, stations):
    mask = grid()
    load = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, *mask.shape)),
        {"basin": ["n", "s"], **mask.coords},
        ("basin", "lat", "lon"),
        attrs={"units": "m"},
    )
    found = pattern_sources(load, stations, green)
    cells = cell_sources(mask, stations, green)
    flat = load.values.reshape(2, -1)
    np.testing.assert_allclose(found["mass"], flat @ cells["mass"].values, rtol=1e-9)
    np.testing.assert_allclose(
        found["response"], cells["response"].values @ flat.T, rtol=1e-9, atol=1e-15
    )
    direct = grid_displacement(load, stations, green)
    np.testing.assert_allclose(found["response"][2], direct["up"], rtol=1e-9)
    assert list(found["source"].values) == ["n", "s"]


def test_what_is_no_source_is_refused(green, stations):
    with pytest.raises(InputError, match="false everywhere"):
        cell_sources(~grid(), stations, green)
    with pytest.raises(InputError, match="is a Point"):
        outline_sources({"x": {"type": "Point"}}, stations, green)
    flat = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}
    with pytest.raises(InputError, match="under 3 corners"):
        outline_sources({"x": flat}, stations, green)
    with pytest.raises(InputError, match="one dimension that names the basins"):
        pattern_sources(grid().astype(float), stations, green)
    nothing = xr.zeros_like(grid().astype(float)).expand_dims(basin=["a"])
    with pytest.raises(InputError, match="a is zero everywhere"):
        pattern_sources(nothing.assign_attrs(units="m"), stations, green)
    with pytest.raises(InputError, match="1 names of basins and 2 sources"):
        basin_table(disc_sources([69, 70], -49, 1e4, stations, green), ["a"])
