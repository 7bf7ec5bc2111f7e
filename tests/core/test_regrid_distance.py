"""Nearest places and inverse distances: bent grids, stations, coasts, exact values."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.core.regrid import EARTH_RADIUS, bilinear, inverse_distance, nearest

DEGREE = np.pi / 180 * EARTH_RADIUS


def sites(lat, lon, **extra):
    """Return stations at these places."""
    return xr.Dataset(
        coords={"lat": ("station", lat), "lon": ("station", lon)}
        | {name: ("station", values) for name, values in extra.items()}
    )


def rotated(rows=30, columns=40, step=0.44, pole_lat=39.25, pole_lon=-162.0):
    """Return a regional model's grid: equal steps about a pole of its own."""
    rlat = (np.arange(rows) - rows / 2) * step
    rlon = (np.arange(columns) - columns / 2) * step
    phi, lam = np.radians(np.meshgrid(rlat, rlon, indexing="ij"))
    tilt = np.radians(pole_lat)
    lat = np.arcsin(
        np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(lam) * np.cos(tilt)
    )
    lon = np.arctan2(
        np.cos(phi) * np.sin(lam),
        np.sin(tilt) * np.cos(phi) * np.cos(lam) - np.sin(phi) * np.cos(tilt),
    )
    both = ("rlat", "rlon")
    return xr.Dataset(
        coords={
            "rlat": ("rlat", rlat, {"standard_name": "grid_latitude"}),
            "rlon": ("rlon", rlon, {"standard_name": "grid_longitude"}),
            "lat": (both, np.degrees(lat), {"units": "degrees_north"}),
            "lon": (both, np.degrees(lon) + pole_lon + 180.0),
        }
    )


def smooth(on):
    """Return the height of each place above the plane of the equator, and its east."""
    north, east = np.radians(on["lat"]), np.radians(on["lon"])
    return (np.sin(north) + np.cos(north) * np.sin(east)).rename("field")


def arc(lat, lon, lat2, lon2):
    """Return the distance on the sphere, m, by the haversine."""
    a, b, c, d = map(np.radians, (lat, lon, lat2, lon2))
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(half))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), power=st.sampled_from([1.0, 2.0, 3.5]))
def test_weights_are_those_of_all_distances_written_out(seed, power):
    rng = np.random.default_rng(seed)
    lat, lon = rng.uniform(-90, 90, 30), rng.uniform(-400, 400, 30)
    at_lat, at_lon = rng.uniform(-90, 90, 8), rng.uniform(-400, 400, 8)
    values = rng.random(30)
    source = xr.DataArray(values, sites(lat, lon).coords, ["station"])
    target = sites(at_lat, at_lon).rename(station="cell")
    found = inverse_distance(source, target, neighbours=5, power=power, within=9e6)
    distance = arc(lat, lon, at_lat[:, None], at_lon[:, None])
    expected = np.full(8, np.nan)
    for k, row in enumerate(distance):
        first = np.argsort(row)[:5]
        first = first[row[first] <= 9e6]
        if first.size:
            expected[k] = np.average(values[first], weights=row[first] ** -power)
    assert found.apply(source).values == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_a_place_of_the_source_has_its_own_value_to_the_last_bit():
    source = rotated()
    field = smooth(source)
    for way in (nearest, inverse_distance):
        assert np.array_equal(way(source, source).apply(field).values, field.values)


def test_a_bent_grid_is_met_everywhere_inside_and_nowhere_outside():
    source = rotated()
    field = smooth(source)
    middle = source.isel(rlat=slice(None, -1), rlon=slice(None, -1))
    lat, lon = (
        (source[c][1:, 1:].values + source[c][:-1, :-1].values) / 2
        for c in ("lat", "lon")
    )
    inside = sites(lat.ravel(), lon.ravel())
    assert inside.sizes["station"] == middle["lat"].size
    for way, bound in ((nearest, 0.44), (inverse_distance, 0.02)):
        error = way(source, inside).apply(field) - smooth(inside)
        assert not error.isnull().any()
        # The gradient is below root two per radian; weighing removes most of the error.
        assert np.abs(error).max() < np.sqrt(2) * np.radians(bound)
    outside = sites([80.0, 40.0, 0.0], [18.0, -40.0, 18.0])
    assert nearest(source, outside).apply(field).isnull().all()
    assert not nearest(source, outside, within=9e6).apply(field).isnull().any()


def test_the_edge_of_a_bent_grid_is_half_a_diagonal_from_its_centres():
    lat, lon = np.meshgrid([0.0, 1.0, 2.0], [10.0, 11.0], indexing="ij")
    bent = xr.Dataset(coords={"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)})
    field = smooth(bent)
    just, beyond = 0.99 * np.sqrt(0.5), 1.01 * np.sqrt(0.5)
    at = sites([-just, -beyond, 1.0], [10.0, 10.0, 10.5])
    assert list(nearest(bent, at).apply(field).isnull()) == [False, True, False]


def test_a_station_at_the_coast_takes_the_nearest_cell_on_land():
    sst = xr.DataArray(
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], {"lat": [40.0, 41.0], "lon": [0.0, 1.0, 2]}
    )
    land = xr.DataArray(
        [[False, False, True], [False, True, True]], sst.coords, ["lat", "lon"]
    )
    at = sites([40.2, 40.2], [0.1, 1.4])
    assert list(nearest(sst, at).apply(sst).values) == [1.0, 2.0]
    near_land = nearest(sst, at, among=land.transpose("lon", "lat"), within=150e3)
    assert list(near_land.apply(sst).values) == [5.0, 3.0]
    close = nearest(sst, at, among=land, within=60e3).apply(sst).values
    assert np.isnan(close[0])
    assert close[1] == 3.0
    # On the grid itself: how far away is a value that is used?
    there = near_land.weights.indices
    assert arc(40.2, 0.1, *np.array([41.0, 1.0])) < 150e3
    assert list(there) == [4, 2]


def test_neighbours_are_found_across_the_seam_and_over_the_pole():
    ring = sites([89.0, 89.0, 89.0, 0.0], [0.0, 120.0, 240.0, 179.5])
    field = xr.DataArray([1.0, 2.0, 6.0, 9.0], ring.coords, ["station"])
    at = sites([90.0, 0.0], [77.0, -179.5]).rename(station="cell")
    regridder = inverse_distance(ring, at, neighbours=3, within=1.01 * DEGREE)
    values = regridder.apply(field).values
    assert values == pytest.approx([3.0, 9.0], rel=1e-9)
    assert values[1] == 9.0


def test_gaps_take_their_weight_out_and_too_many_make_a_gap():
    line = sites([0.0, 0.0], [0.0, 3.0])
    field = xr.DataArray([8.0, np.nan], line.coords, ["station"])
    at = sites([0.0, 0.0], [1.0, 2.0]).rename(station="cell")
    regridder = inverse_distance(line, at, neighbours=2, within=5 * DEGREE)
    # Weights 1 and 1/4 of the near and the far one.
    values = regridder.apply(field).values
    assert values[0] == pytest.approx(8.0)
    assert np.isnan(values[1])
    assert regridder.apply(field, least_share=0.2).values[1] == pytest.approx(8.0)
    assert regridder.weights.toarray() == pytest.approx(
        np.array([[0.8, 0.2], [0.2, 0.8]]), rel=1e-9
    )


def test_places_without_a_position_are_left_out():
    source = rotated(6, 6)
    lat = source["lat"].values.copy()
    lat[0, 0] = np.nan
    torn = source.assign_coords(lat=(("rlat", "rlon"), lat))
    field = smooth(source).drop_vars("lat").assign_coords(lat=torn["lat"])
    at = sites([source["lat"].values[0, 0]], [source["lon"].values[0, 0]])
    regridder = nearest(torn, at, within=100e3)
    assert regridder.weights.indices[0] != 0
    assert np.isfinite(regridder.apply(field).item())


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": 3, "rlat": 5, "rlon": 7}])
def test_chunks_do_not_change_a_bit(chunks):
    source = rotated()
    field = smooth(source) * xr.DataArray(np.arange(1.0, 6), dims="time")
    field = field.where(np.random.default_rng(3).random(field.shape) > 0.2)
    lat, lon = np.linspace(48, 54, 6), np.linspace(15, 22, 7)
    target = xr.Dataset(coords={"lat": lat, "lon": lon})
    regridder = inverse_distance(source, target)
    expected = regridder.apply(field)
    lazy = regridder.apply(field.chunk(chunks))
    assert lazy.chunks is not None
    assert lazy.compute().identical(expected)
    assert expected.dims == ("time", "lat", "lon")


def test_what_has_no_nearest_is_refused_with_the_reason():
    source = rotated(5, 5)
    line = sites([0.0, 1.0], [0.0, 1.0])
    land = xr.zeros_like(source["lat"], dtype=bool)
    cases = [
        (lambda: bilinear(source, line), "follow parallels"),
        (lambda: nearest(line, source), "have no cells: say `within`"),
        (lambda: nearest(source, line, within=-1.0), "must be positive"),
        (lambda: inverse_distance(source, line, neighbours=0), "must be positive"),
        (lambda: nearest(source, line, among=land), "nowhere true"),
        (lambda: nearest(source, line, among=land.astype(int)), "must be of bool"),
        (lambda: nearest(source, line, among=land[1:]), "must have the source's shape"),
        (lambda: nearest(source, sites([np.nan], [0.0])), "NaN"),
    ]
    for call, said in cases:
        with pytest.raises(InputError, match=said):
            call()
    marked = smooth(source).assign_coords(kind=(("rlat", "rlon"), np.full((5, 5), "a")))
    assert nearest(marked, line).apply(marked.assign_coords(kind=0.0)).isnull().all()
    moved = source.assign_coords(lon=source["lon"] + 1.0)
    with pytest.raises(InputError, match="lon of field is not that of the weights"):
        nearest(source, line).apply(smooth(moved))
