import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.geodesy import unit_vectors
from tilth.loading import (
    LoveNumbers,
    cap_table,
    disc_response,
    green_functions,
    pair_table,
    places,
    point_matrix,
    point_response,
    region_matrix,
    station_places,
    sum_points,
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


@pytest.fixture(scope="module")
def points(green):
    return pair_table(green)


@pytest.fixture(scope="module")
def caps(green):
    return cap_table(green)


CENTRE = places([70.0], [-50.0])


def around(distance, azimuth):
    """Latitude and longitude at a distance (degrees) and azimuth (radians)."""
    d = np.radians(np.asarray(distance, float))[..., None]
    a = np.asarray(azimuth, float)[..., None]
    sideways = np.sin(a) * CENTRE.east + np.cos(a) * CENTRE.north
    vector = np.cos(d) * CENTRE.up + np.sin(d) * sideways
    return (
        np.degrees(np.arcsin(vector[..., 2])),
        np.degrees(np.arctan2(vector[..., 1], vector[..., 0])),
    )


def cell(south, north, west, east):
    return np.array([south, south, north, north]), np.array([west, east, east, west])


def response(at, lat, lon, caps):
    return region_matrix(at, lat, lon, np.array([0, len(lat)]), caps)[0, :, 0]


def test_pairs_are_the_green_functions_in_local_directions(green, points):
    at = places([10.0, 10.0], [20.0, 20.0])
    sources = unit_vectors([10.0, 35.0, -10.0], [20.001, 20.0, -160.5])
    matrix = point_matrix(at, sources, points)
    chord = np.linalg.norm(sources - at.up[0], axis=1)
    up = point_response(green, chord)
    away = point_response(green, chord, "horizontal")
    np.testing.assert_allclose(matrix[0, 2], up, rtol=1e-7)
    sideways = np.hypot(*matrix[0, :2])
    # The last, 5 degrees from the antipode, is a 1e-8 of the first.
    np.testing.assert_allclose(sideways, np.abs(away), rtol=1e-6, atol=1e-25)
    np.testing.assert_allclose(
        matrix[0, 3], point_response(green, chord, "geoid"), rtol=1e-7
    )
    assert matrix[0, 0, 0] > 0  # pulled east, toward the load there
    assert matrix[0, 1, 1] > 0  # and north
    np.testing.assert_array_equal(matrix[0], matrix[1])


def test_sums_are_the_matrix_times_the_masses(points):
    rng = np.random.default_rng(1)
    at = places(rng.uniform(-90, 90, 5), rng.uniform(-180, 360, 5))
    sources = unit_vectors(rng.uniform(-90, 90, 40), rng.uniform(0, 360, 40))
    masses = rng.normal(size=(40, 3)) * 1e12
    expected = point_matrix(at, sources, points) @ masses
    np.testing.assert_allclose(
        sum_points(at, sources, masses, points), expected, rtol=1e-10, atol=1e-18
    )


def test_a_mass_at_the_place_and_at_its_antipode_is_finite(points):
    at = places([50.0], [8.0])
    both = np.concatenate([at.up, -at.up])
    matrix = point_matrix(at, both, points)
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix[0, :2], 0.0, atol=1e-25)


@pytest.mark.parametrize(
    "distance", [0.0, 0.3, 0.99, 1.01, 2.0, 40.0, 89.0, 91.0, 150.0, 178.5, 180.0]
)
def test_a_round_polygon_is_a_disc_inside_outside_and_around_the_antipode(
    green, caps, distance
):
    count = 4000
    turn = -2.0 * np.pi * np.arange(count) / count  # to the left of it: inside
    lat, lon = around(np.ones(count), turn)
    at = places(*around([distance], [2.5]))
    east, north, up, geoid = response(at, lat, lon, caps)
    disc = disc_response(green, np.radians(distance), np.radians(1.0))
    # The polygon is smaller by 4e-7.
    assert up == pytest.approx(float(disc.up), rel=5e-6)
    assert geoid == pytest.approx(float(disc.geoid), rel=5e-6)
    sideways = np.array([east, north])
    toward = np.array([CENTRE.up[0] @ at.east[0], CENTRE.up[0] @ at.north[0]])
    size = np.hypot(*toward)
    away = -sideways @ toward / size if size > 1e-9 else 0.0
    scale = abs(float(disc.up))
    assert away == pytest.approx(float(disc.away), rel=2e-5, abs=1e-6 * scale)


@pytest.mark.parametrize("place", [(70.1, -49.9), (70.25, -49.9), (70.3, -49.9)])
def test_a_cell_is_the_sum_of_its_parts_beside_and_inside_it(caps, place):
    at = places(*([x] for x in place))
    whole = response(at, *cell(70.0, 70.25, -50.0, -49.75), caps)
    parts = sum(
        response(
            at,
            *cell(70 + k / 32, 70 + (k + 1) / 32, -50 + m / 32, -50 + (m + 1) / 32),
            caps,
        )
        for k in range(8)
        for m in range(8)
    )
    np.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-9 * abs(whole[2]))


def test_far_away_a_cell_is_a_point(caps, points):
    lat, lon = cell(70.0, 70.25, -50.0, -49.75)
    zone = np.sin(np.radians(70.25)) - np.sin(np.radians(70.0))
    area = EARTH.radius**2 * np.radians(0.25) * zone
    at = places([20.0, -70.0], [10.0, 130.0])
    cells = region_matrix(at, lat, lon, np.array([0, 4]), caps)[..., 0]
    middle = unit_vectors([70.12477], [-49.875])
    mass = np.array([[area]])
    np.testing.assert_allclose(
        cells, sum_points(at, middle, mass, points)[..., 0], rtol=2e-4, atol=1e-12
    )


def test_a_ring_the_other_way_around_is_a_hole(caps):
    at = places([70.1], [-49.9])
    lat, lon = cell(70.0, 70.25, -50.0, -49.75)
    outer = response(at, lat, lon, caps)
    np.testing.assert_allclose(
        response(at, lat[::-1], lon[::-1], caps), -outer, rtol=1e-12
    )


def test_a_border_across_the_date_line_is_as_any_other(caps):
    lat, lon = cell(10.0, 12.0, 179.0, 181.0)
    here = response(places([11.0], [-179.5]), lat, lon, caps)
    moved = response(places([11.0], [40.5]), lat, lon - 140.0, caps)
    np.testing.assert_allclose(here, moved, rtol=1e-9, atol=1e-12 * abs(here[2]))


def test_a_border_that_jumps_around_the_globe_is_refused(caps):
    with pytest.raises(InputError, match="date line"):
        response(
            places([0.0], [0.0]),
            np.array([0.0, 0.0, 2.0]),
            np.array([179.0, -179.0, 180.0]),
            caps,
        )
    with pytest.raises(InputError, match="needs three"):
        response(places([0.0], [0.0]), np.zeros(2), np.zeros(2), caps)


def test_stations_need_places_on_the_globe():
    with pytest.raises(InputError, match="latitude 91"):
        places([91.0], [0.0])
    with pytest.raises(InputError, match="no lon"):
        station_places(xr.Dataset({"lat": ("station", [1.0])}))
    stations = xr.Dataset({"lat": ("site", [1.0, 2.0]), "lon": ("site", [3.0, 4.0])})
    at, dim = station_places(stations)
    assert dim == "site"
    assert at.up.shape == (2, 3)
