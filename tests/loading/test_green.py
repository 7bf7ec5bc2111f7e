import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.loading import LoveNumbers, cap_response, green_functions, point_response

DEGREES = np.array([0.01, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 90.0])


def chord(angle):
    return 2.0 * np.sin(np.asarray(angle) / 2.0)


def made_up(highest=60):
    """Love numbers whose limits are reached at the last degree, and of no Earth."""
    n = np.arange(highest + 1.0)
    one = np.maximum(n, 1.0)
    return LoveNumbers(
        -6.0 + 5.0 / one,
        np.where(n > 0, (2.0 - 1.5 / one) / one, 0.0),
        np.where(n > 0, -(2.7 - 2.0 / one) / one, 0.0),
        frame="CE",
        source="made up",
    )


@pytest.mark.realdata
def test_farrells_functions_of_prem_to_all_digits_given(prem):
    # u and v times 1e12 a theta; computed by a sum to degree 5000 with Kummer's
    # acceleration in another program, CE.
    green = green_functions(prem)
    scale = 1e12 * prem.radius * np.radians(DEGREES)
    up = [-40.101, -24.364, -17.073, -14.620, -12.866]
    up += [-9.725, -5.299, -3.634, -1.497, 1.600]
    away = [-12.803, -9.991, -6.584, -5.657, -5.731]
    away += [-4.613, -2.423, -1.463, -1.131, -0.501]
    c = chord(np.radians(DEGREES))
    vertical = point_response(green, c) * scale
    horizontal = point_response(green, c, "horizontal") * scale
    np.testing.assert_allclose(vertical, up, atol=6e-4)
    np.testing.assert_allclose(horizontal, away, atol=6e-4)


@pytest.mark.realdata
def test_farrells_own_table_beyond_the_crusts_reach(prem, dataset):
    # Another Earth (Gutenberg-Bullen): the same but for a few hundredths beyond 1 deg.
    table = pd.read_csv(
        dataset("loading-references") / "farrell1972_GB_u.csv",
        comment="#",
        names=["theta", "metres", "u"],
    )
    far = table[(table.theta >= 1.0) & (table.theta <= 30.0)]
    angle = np.radians(far.theta.to_numpy())
    ours = point_response(green_functions(prem), chord(angle)) * 1e12 * 6.371e6 * angle
    np.testing.assert_allclose(ours, far.u, rtol=0.035)


@pytest.mark.parametrize("component", ["vertical", "horizontal", "geoid"])
def test_the_tables_are_the_sums_over_degrees(component):
    # Of so few degrees the sum of what is left can be taken by hand.
    love = made_up()
    angle = np.radians([0.3, 4.0, 40.0, 120.0, 179.0])
    c = chord(angle)
    n = np.arange(love.highest_degree + 1)
    legendre = [np.polynomial.legendre.Legendre.basis(k) for k in n]
    x = np.cos(angle)
    one = np.maximum(n, 1)
    if component == "vertical":
        sums = sum((love.h[k] - love.h[-1]) * legendre[k](x) for k in n)
        closed = love.h[-1] / c
    elif component == "horizontal":
        limit = (n * love.l)[-1]
        weights = (n * love.l - limit) / one
        sums = sum(-np.sin(angle) * weights[k] * legendre[k].deriv()(x) for k in n[1:])
        half = np.cos(angle / 2.0)
        closed = -limit * half * (1 + c) / (c * (1 + c / 2))
    else:
        limit = (n * love.k)[-1]
        weights = (n * love.k - limit) / one
        sums = sum(weights[k] * legendre[k](x) for k in n[1:])
        closed = 1 / c - limit * np.log(c / 2 * (1 + c / 2))
    expected = (sums + closed) * love.radius / love.mass
    got = point_response(green_functions(love), c, component)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-26)


@pytest.mark.parametrize("component", ["vertical", "horizontal", "geoid"])
def test_a_cap_is_the_integral_of_points(component):
    green = green_functions(made_up())
    edges = np.radians([0.05, 1.0, 20.0, 100.0, 180.0])
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for low, high in itertools.pairwise(edges):
        angle = low + (high - low) * (nodes + 1) / 2
        inside = np.asarray(point_response(green, chord(angle), component))
        inside = inside * np.sin(angle)
        integral = np.sum(inside * weights) * (high - low) / 2
        difference = np.diff(
            np.asarray(cap_response(green, chord([low, high]), component))
        )
        assert difference[0] == pytest.approx(integral, rel=1e-7)


def test_nothing_is_left_of_a_cap_without_size():
    green = green_functions(made_up())
    for component in ("vertical", "horizontal", "geoid"):
        assert cap_response(green, 0.0, component) == 0.0


def test_a_layer_over_the_whole_sphere_sinks_it_by_degree_zero_alone():
    love = made_up()
    green = green_functions(love)
    whole = 2 * np.pi * float(cap_response(green, 2.0))
    expected = 4 * np.pi * love.h[0] * love.radius / love.mass
    assert whole == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("component", ["vertical", "horizontal", "geoid"])
@pytest.mark.parametrize("function", [point_response, cap_response])
def test_gradients_are_those_of_differences(function, component):
    green = green_functions(made_up())
    for at in (1e-5, 1e-3, 0.2, 1.9):
        slope = jax.grad(lambda c: function(green, c, component))(at)
        step = 1e-5 * at
        high, low = (function(green, at + s, component) for s in (step, -step))
        assert float(slope) == pytest.approx(float(high - low) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("function", [point_response, cap_response])
def test_gradients_are_finite_at_the_antipode(function):
    green = green_functions(made_up())
    assert np.isfinite(jax.grad(lambda c: function(green, c, "horizontal"))(2.0))


def test_the_response_scales_with_the_mass_of_the_earth():
    love = made_up()
    twice = green_functions(replace(love, mass=2 * love.mass))
    one = float(point_response(green_functions(love), 0.1))
    assert float(point_response(twice, 0.1)) * 2 == pytest.approx(one, rel=1e-14)


def test_a_component_there_is_not_is_refused():
    with pytest.raises(InputError, match="vertical, horizontal, geoid"):
        point_response(green_functions(made_up()), 0.1, "tilt")
