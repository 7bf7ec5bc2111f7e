from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.loading import (
    LoveNumbers,
    disc_response,
    disc_sum,
    green_functions,
    point_response,
)

#: mm of a layer of 1 m of water, 1000 kg m-2.
MM = 1e6


def flat_earth():
    """Numbers that are their own limits: all is closed form."""
    n = np.arange(401.0)
    one = np.maximum(n, 1.0)
    return LoveNumbers(
        np.full(n.size, -6.0),
        np.where(n > 0, 1.9 / one, 0.0),
        np.where(n > 0, -2.7 / one, 0.0),
        frame="CE",
        source="made up",
    )


def table(folder, name, columns):
    return pd.read_csv(folder / name, comment="#", names=columns)


@pytest.mark.realdata
def test_discs_as_the_exact_elliptic_solution_has_them(reference):
    # Bevis, Melini & Spada (2016), closed form by elliptic integrals, model REF,
    # radius 0.1 deg, 1 m of water; six digits are given.
    green = green_functions(reference)
    distance = np.radians([0.05794132044, 0.2])
    up, away, geoid = disc_response(green, distance, np.radians(0.1))
    np.testing.assert_allclose(up * MM, [-2.044603, -0.329554], atol=6e-7)
    np.testing.assert_allclose(away * MM, [-0.207073, -0.124719], atol=6e-7)
    np.testing.assert_allclose(geoid * MM, [0.428963, 0.120285], atol=6e-7)


@pytest.mark.realdata
def test_the_sum_over_degrees_is_the_one_of_the_published_program(reference, dataset):
    rows = table(
        dataset("loading-references"),
        "disk_REF_via_diskload.csv",
        ["alpha", "kind", "theta", "up", "away", "geoid"],
    ).iloc[1:]
    rows = rows[(rows.kind == "U")].drop(columns="kind").astype(float)
    got = disc_sum(reference, np.radians(rows.theta), np.radians(rows.alpha))
    for name, values in zip(("up", "away", "geoid"), got, strict=True):
        # Six decimals are given, and the angles with five.
        np.testing.assert_allclose(values * MM, rows[name], rtol=1e-6, atol=2e-5)


@pytest.mark.realdata
@pytest.mark.parametrize(("frame", "first"), [("CF", 2), ("CE", 5)])
def test_the_sum_of_prem_goes_on_beyond_its_table(
    prem, reference, dataset, frame, first
):
    rows = table(
        dataset("loading-references"),
        "disk_PREM_Wang2012_via_diskload.csv",
        list(range(8)),
    )
    earth = replace(prem.in_frame(frame), mass=reference.mass)
    got = disc_sum(earth, np.radians(rows[1]), np.radians(rows[0]))
    for k, values in enumerate(got):
        np.testing.assert_allclose(values * MM, rows[first + k], atol=2e-6)


@pytest.mark.realdata
def test_what_is_exact_and_what_is_summed_agree_away_from_the_border(reference):
    green = green_functions(reference)
    radius = np.radians(1.0)
    distance = radius * np.array([0.2, 0.5, 0.8, 1.2, 2.0, 5.0, 20.0])
    exact = disc_response(green, distance, radius)
    summed = disc_sum(reference, distance, radius)
    for one, other in zip(exact, summed, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.realdata
def test_horizontals_tell_the_size_and_distance_of_a_load(prem):
    # |V/U| of a disc of 20 km radius, PREM, CF: the diagnostic of Wahr et al. (2013).
    green = green_functions(prem.in_frame("CF"))
    radius = 20e3 / prem.radius
    distance = radius * np.array([0.9, 1.1, 2.0, 3.0, 5.0, 10.0])
    up, away, _ = disc_response(green, distance, radius)
    expected = [0.195, 0.325, 0.357, 0.386, 0.435, 0.471]
    np.testing.assert_allclose(np.abs(away / up), expected, atol=1e-3)


@pytest.mark.realdata
def test_the_ground_moves_down_and_toward_a_load(prem):
    up, away, geoid = disc_response(green_functions(prem), np.radians([0.5, 3.0]), 0.01)
    assert (up < 0).all()
    assert (away < 0).all()
    assert (geoid > 0).all()


def test_a_small_disc_far_away_is_a_point():
    earth = flat_earth()
    green = green_functions(earth)
    radius = 1e-5
    mass = 2 * np.pi * earth.radius**2 * (1 - np.cos(radius))
    up, away, geoid = disc_response(green, 0.3, radius)
    chord = 2 * np.sin(0.15)
    for got, name in ((up, "vertical"), (away, "horizontal"), (geoid, "geoid")):
        point = float(mass * point_response(green, chord, name))
        assert float(got) == pytest.approx(point, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.0, np.pi),
    st.floats(1e-4, 3.0),
    st.sampled_from(["up", "away", "geoid"]),
)
def test_a_disc_and_the_rest_of_the_sphere_are_a_layer(distance, radius, component):
    earth = flat_earth()
    green = green_functions(earth)
    here = disc_response(green, distance, radius)
    rest = disc_response(green, np.pi - distance, np.pi - radius)
    if component == "away":  # away from the disc is toward the middle of the rest
        total, expected = here.away - rest.away, 0.0
    else:
        total = getattr(here, component) + getattr(rest, component)
        number = earth.h[0] if component == "up" else 1.0
        expected = 4 * np.pi * number * earth.radius**3 / earth.mass
    scale = 4 * np.pi * earth.radius**3 / earth.mass
    assert total == pytest.approx(expected, abs=1e-6 * scale)


def test_a_compensated_load_adds_no_mass():
    green = green_functions(flat_earth())
    nodes, weights = np.polynomial.legendre.leggauss(400)
    response = disc_response(green, np.arccos(nodes), 0.4, compensated=True)
    plain = disc_response(green, np.arccos(nodes), 0.4)
    mean, of_plain = (np.sum(np.asarray(r.up) * weights) for r in (response, plain))
    assert abs(mean) < 1e-3 * abs(of_plain)


def test_at_the_centre_nothing_moves_sideways():
    green = green_functions(flat_earth())
    response = disc_response(green, 0.0, 0.01)
    assert abs(response.away) < 1e-12 * abs(response.up)


def test_on_the_border_the_displacement_is_finite_and_between_its_neighbours():
    green = green_functions(flat_earth())
    up = disc_response(green, 0.01 * (1 + np.array([-1e-6, 0.0, 1e-6])), 0.01).up
    assert up[0] < up[1] < up[2]
    np.testing.assert_allclose(up, up[1], rtol=1e-4)


@pytest.mark.parametrize("component", ["up", "away", "geoid"])
@pytest.mark.parametrize("distance", [0.001, 0.0028, 0.0032, 0.02, 2.0, 3.0])
def test_gradients_are_those_of_differences(component, distance):
    green = green_functions(flat_earth())

    def displacement(distance, radius):
        return getattr(disc_response(green, distance, radius), component)

    slopes = jax.grad(displacement, (0, 1))(distance, 0.003)
    step = 1e-8
    differences = [
        (displacement(distance + a * step, 0.003 + b * step))
        - (displacement(distance - a * step, 0.003 - b * step))
        for a, b in ((1, 0), (0, 1))
    ]
    scale = np.abs(slopes).max()
    np.testing.assert_allclose(
        slopes, np.array(differences) / (2 * step), rtol=1e-4, atol=1e-5 * scale
    )


@pytest.mark.parametrize(
    ("distance", "radius"), [(-0.1, 0.1), (0.1, 0.0), (3.2, 0.1), (0.1, np.nan)]
)
def test_angles_that_are_none_are_refused(distance, radius):
    with pytest.raises(InputError, match="rad, got"):
        disc_response(green_functions(flat_earth()), distance, radius)
