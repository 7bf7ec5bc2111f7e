"""The ratio of horizontal to vertical, and loads with gradients."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.loading import (
    Discs,
    choose_strength,
    disc_sources,
    displacement_of_discs,
    distance_of_ratio,
    fit_discs,
    green_functions,
    invert,
    observed_ratio,
    plot_strength,
    plot_uplift,
    point_response,
    regularised_load,
    station_rows,
    wahr_ratio,
)
from tilth.loading.differentiable import log_likelihood
from tilth.loading.simulated import (
    made_up_earth,
    made_up_margin,
    observed_stations,
    true_displacement,
)


@pytest.fixture(scope="module")
def green():
    return green_functions(made_up_earth())


LAT, LON = np.array([69.0, 69.9, 69.4, 69.6]), np.array([-50.6, -50.2, -50.9, -49.1])
DISCS = Discs(
    np.array([69.2, 69.7]), np.array([-49.6, -49.9]), np.array([15e3, 22e3]),
    np.array([-3.0, 1.0]),
)  # fmt: skip


@pytest.mark.realdata
def test_the_ratio_of_a_disc_of_twenty_kilometres_is_that_of_prem(prem):
    # Computed by the sum over degrees for PREM in the frame CF, disc of 0.179864 deg.
    radius = np.radians(0.179864) * prem.radius
    times = np.array([0.9, 1.1, 2.0, 3.0, 5.0, 10.0])
    ratio = wahr_ratio(green_functions(prem.in_frame("CF")), times * radius, radius)
    expected = [0.195, 0.325, 0.357, 0.386, 0.435, 0.471]
    np.testing.assert_allclose(ratio, expected, atol=6e-4)


def test_a_ratio_says_how_far_and_a_horizontal_where(green):
    at = xr.Dataset({"lat": ("station", [69.5]), "lon": ("station", [-50.5])})
    distance = np.degrees(60e3 / 6.371e6)
    disc = disc_sources(69.5 + distance, -50.5, 20e3, at, green)
    for load, sign in ((-1.0, 1), (1.0, -1)):
        moved = at.copy()
        for k, name in enumerate(("east", "north", "up")):
            moved[name] = ("station", disc["response"].values[k, :, 0] * load)
            moved[f"{name}_se"] = ("station", [1e-6])
        assert np.sign(moved["up"][0]) == sign
        seen = observed_ratio(moved)
        turn = (float(seen["azimuth"][0]) + 180.0) % 360.0 - 180.0
        assert turn == pytest.approx(0.0, abs=1e-6)  # due north, of loss and of gain
        far = distance_of_ratio(green, float(seen["ratio"][0]), 20e3)
        assert far == pytest.approx(60e3, rel=1e-3)
    assert np.isnan(distance_of_ratio(green, 3.0, 20e3))
    with pytest.raises(InputError, match="above 0 m"):
        distance_of_ratio(green, 0.3, 0.0)


def test_errors_of_ratio_and_direction_are_those_of_draws():
    random = np.random.default_rng(1)
    values, se = np.array([2.0, -1.0, 6.0]), np.array([0.1, 0.15, 0.4])
    draws = values + se * random.standard_normal((40_000, 3))
    data = xr.Dataset()
    many = xr.Dataset()
    for k, name in enumerate(("east", "north", "up")):
        data[name], data[f"{name}_se"] = ("s", [values[k]]), ("s", [se[k]])
        many[name], many[f"{name}_se"] = ("s", draws[:, k]), ("s", np.full(40_000, 1.0))
    one, all_of_them = observed_ratio(data), observed_ratio(many)
    for name in ("ratio", "azimuth"):
        spread = float(all_of_them[name].std())
        assert float(one[f"{name}_se"][0]) == pytest.approx(spread, rel=0.04)


def test_displacement_by_discs_is_that_of_the_sources(green):
    at = xr.Dataset({"lat": ("station", LAT), "lon": ("station", LON)})
    sources = disc_sources(DISCS.lat, DISCS.lon, DISCS.radius, at, green)
    load = DISCS.mass / sources["mass"].values
    expected = (sources["response"].values[:3] @ load).T
    found = displacement_of_discs(green, LAT, LON, DISCS)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["lat", "lon", "radius", "mass"])
def test_gradients_of_displacement_are_differences(green, name):
    def total(values):
        discs = DISCS._replace(**{name: values})
        moved = displacement_of_discs(green, LAT, LON, discs)
        return jnp.sum(moved * jnp.arange(1.0, 13.0).reshape(4, 3))

    values = jnp.asarray(getattr(DISCS, name))
    slope = jax.grad(total)(values)
    step = 1e-6 * np.abs(values)
    for k in range(2):
        shift = np.zeros(2)
        shift[k] = step[k]
        difference = (total(values + shift) - total(values - shift)) / (2 * step[k])
        # The derivative of the table's cubic interpolation is good to 1e-5.
        assert float(slope[k]) == pytest.approx(float(difference), rel=1e-4)


def test_gradients_of_the_inversion_are_differences():
    random = np.random.default_rng(3)
    a, d = random.normal(size=(8, 5)), random.normal(size=8)
    penalty = np.eye(5) + 0.2 * random.normal(size=(5, 5))

    def one(s):
        return regularised_load(a, d, penalty, s)[2]

    slope = jax.grad(one)(0.3)
    difference = (one(0.3 + 1e-5) - one(0.3 - 1e-5)) / 2e-5
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)
    expected = np.linalg.solve(a.T @ a + np.exp(0.6) * penalty.T @ penalty, a.T @ d)
    np.testing.assert_allclose(regularised_load(a, d, penalty, 0.3), expected)


def test_where_the_likelihood_is_level_is_the_strength_that_is_chosen():
    random = np.random.default_rng(7)
    a = random.normal(size=(30, 12))
    penalty = np.diag(random.uniform(0.5, 2.0, 12))
    load = np.linalg.solve(penalty, random.normal(size=12)) * 0.5
    d = a @ load + random.normal(size=30)
    chosen = choose_strength(a, d, penalty).value
    slope = jax.grad(log_likelihood, argnums=3)
    assert abs(float(slope(a, d, penalty, np.log(chosen)))) < 0.05
    assert float(slope(a, d, penalty, np.log(chosen) - 0.5)) > 0.1
    assert float(slope(a, d, penalty, np.log(chosen) + 0.5)) < -0.1


def test_stations_beside_a_load_find_where_it_is(green):
    truth = Discs(
        np.array([69.3]), np.array([-49.9]), np.array([15e3]), np.array([-9.0])
    )
    moved = np.asarray(displacement_of_discs(green, LAT, LON, truth))
    errors = np.broadcast_to([1e-4, 1e-4, 3e-4], moved.shape)
    first = Discs(
        np.array([69.45]), np.array([-49.6]), np.array([15e3]), np.array([-3.0])
    )
    fit, covariance = fit_discs(green, LAT, LON, moved, errors, first)
    np.testing.assert_allclose(fit.lat, truth.lat, atol=1e-6)
    np.testing.assert_allclose(fit.lon, truth.lon, atol=1e-6)
    np.testing.assert_allclose(fit.mass, truth.mass, rtol=1e-6)
    random = np.random.default_rng(0)
    fits = []
    for _ in range(40):
        drawn = moved + errors * random.standard_normal(moved.shape)
        found, _ = fit_discs(green, LAT, LON, drawn, errors, truth, steps=10)
        fits.append([float(x[0]) for x in (found.lat, found.lon, found.mass)])
    se = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(np.std(fits, axis=0), se, rtol=0.35)


@pytest.mark.realdata
def test_the_made_up_earth_is_of_the_size_of_the_real_one(prem, green):
    real = green_functions(prem)
    distance = np.array([2e3, 10e3, 50e3, 100e3])
    for component in ("vertical", "horizontal"):
        one, other = (
            np.asarray(point_response(g, distance / 6.371e6, component))
            for g in (green, real)
        )
        np.testing.assert_allclose(one, other, rtol=0.2)


def test_the_made_up_margin_is_what_it_is_said_to_be(green):
    margin = made_up_margin()
    mass = margin.true_mass
    assert (mass < 0).all()
    cell = margin.thickening.sel(lat=69.15, lon=-49.4, method="nearest")
    assert float(cell) < -3 * 917
    assert (margin.thickening.where(margin.basin < 0, 0.0) == 0.0).all()
    moved, sources = true_displacement(margin, green, margin.stations)
    assert (moved["up"] > 0).all()  # ice is lost: the ground rises
    assert (moved["east"] < 0).all()  # and goes west, away from it
    total = float(sources["mass"].sum()) * 1e12 / 1000.0
    within = margin.basin.values >= 0
    assert sources.sizes["source"] == within.sum()
    assert total == pytest.approx(float(sources["area"].sum()), rel=1e-9)


def test_figures_are_drawn_and_a_given_strength_has_none(green):
    margin = made_up_margin(step=0.2)
    moved, sources = true_displacement(margin, green, margin.stations)
    seen = observed_stations(moved, margin.gia)
    found = invert([station_rows(seen, sources, gia=margin.gia)], sources)
    for load in (None, margin.thickening, found):
        drawn = plot_uplift(seen, load)
        assert "mm" in drawn.axes[0].get_title(loc="left")
    assert len(plot_strength(found).axes) == 3
    given = invert([station_rows(seen, sources)], sources, strength=0.5)
    with pytest.raises(InputError, match="given, not chosen"):
        plot_strength(given)
    still = seen.assign(east=seen["east"] * 0, north=seen["north"] * 0)
    with pytest.raises(InputError, match="moves sideways"):
        plot_uplift(still)
