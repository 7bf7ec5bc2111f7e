"""Two-stream radiation: the paper's formula, its equations, limits and gradients."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_bvp

from tilth.core.accelerate import jax, jnp
from tilth.land.model.canopy_radiation import (
    DIFFUSE_COSINE,
    DIFFUSIVITY,
    LEAF_PROJECTION,
    extinction,
    leaf_optics,
    longwave_transmissivity,
    snow_incidence,
    two_stream,
)

VISIBLE = (0.105, 0.07)  # leaf reflectance and transmissivity of grass, SiB2
INFRARED = (0.58, 0.25)


def _as_printed(lai, r, t, g1, g2, cosz):
    """Watanabe & Otani (1995) with its constants A1..A3, C3, C4, term by term."""
    f, df, sec = 0.5, 1 / math.cos(math.radians(53)), 1 / cosz
    s = math.sqrt((1 - t) ** 2 - r**2)
    a = f * df * s
    a1, a2 = (1 - t + s) / r, (1 - t - s) / r
    den = df**2 * s**2 - sec**2
    c3 = sec * (t * sec + df * t * (1 - t) + df * r**2) / den
    c4 = r * (df - sec) * sec / den
    up, down = math.exp(a * lai), math.exp(-a * lai)
    a3 = (a1 - g2) * up - (a2 - g2) * down
    beam = math.exp(-f * lai * sec)
    diffuse = (a2 * (a1 - g2) * up - a1 * (a2 - g2) * down) / a3
    mix = c3 * g2 + g1 - c4
    direct = -c3 * diffuse + c4 + (a1 - a2) * mix * beam / a3
    ground2 = ((1 - a2) * (a1 - g2) - (1 - a1) * (a2 - g2)) / a3
    inner = mix * ((1 - a1) * up - (1 - a2) * down) / a3 + c3 - c4 + 1
    ground1 = -c3 * ground2 + inner * beam
    return direct, diffuse, ground1, ground2


@pytest.mark.parametrize("leaf", [VISIBLE, INFRARED])
@pytest.mark.parametrize("cosz", [0.05, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("lai", [0.1, 1.0, 6.0])
def test_solution_is_the_printed_one_away_from_its_singular_sun(leaf, cosz, lai):
    ours = two_stream(lai, *leaf, 0.1, 0.25, cosz)[:4]
    np.testing.assert_allclose(
        ours, _as_printed(lai, *leaf, 0.1, 0.25, cosz), rtol=1e-9
    )


def test_fluxes_solve_the_equations_of_transfer():
    # An independent solution of the three equations as a boundary-value problem.
    lai, (r, t), g1, g2, cosz = 2.5, INFRARED, 0.2, 0.3, 0.6
    f, df, sec = LEAF_PROJECTION, DIFFUSIVITY, 1 / cosz

    def slope(depth, flux):
        beam = np.exp(-f * sec * depth)
        down, up = flux
        return np.stack(
            [
                -f * (1 - t) * df * down + f * t * sec * beam + f * r * df * up,
                f * (1 - t) * df * up - f * r * (df * down + sec * beam),
            ]
        )

    at_ground = math.exp(-f * sec * lai)
    grid = np.linspace(0.0, lai, 50)
    solved = solve_bvp(
        slope,
        lambda top, low: np.array([top[0], low[1] - g1 * at_ground - g2 * low[0]]),
        grid,
        np.zeros((2, grid.size)),
        tol=1e-10,
        max_nodes=20000,
    )
    ours = two_stream(lai, r, t, g1, g2, cosz)
    assert float(ours.albedo_direct) == pytest.approx(solved.y[1, 0], abs=1e-8)
    absorbed = at_ground + solved.y[0, -1] - solved.y[1, -1]
    assert float(ours.ground_direct) == pytest.approx(absorbed, abs=1e-8)
    # What the leaves absorb, counted leaf by leaf.
    depth = np.linspace(0.0, lai, 4001)
    down, up = solved.sol(depth)
    light = f * (df * (down + up) + sec * np.exp(-f * sec * depth))
    leaves = np.trapezoid((1 - r - t) * light, depth)
    assert float(ours.canopy_direct) == pytest.approx(leaves, abs=1e-6)


@pytest.mark.parametrize("leaf", [VISIBLE, INFRARED])
def test_no_canopy_shows_the_ground(leaf):
    light = two_stream(0.0, *leaf, 0.13, 0.27, 0.5)
    np.testing.assert_allclose(light, [0.13, 0.27, 0.87, 0.73, 0.0, 0.0], atol=1e-15)


def test_an_endless_canopy_has_the_semi_infinite_albedo_and_dark_ground():
    r, t = INFRARED
    s = math.sqrt((1 - t) ** 2 - r**2)
    light = two_stream(200.0, r, t, 0.13, 0.27, 0.5)
    assert float(light.albedo_diffuse) == pytest.approx((1 - t - s) / r, rel=1e-12)
    assert abs(float(light.ground_direct)) + abs(float(light.ground_diffuse)) < 1e-12


def test_nothing_happens_where_the_printed_formula_divides_by_zero():
    # sec z = df s: both sides and the very point lie on one smooth curve.
    r, t = VISIBLE
    singular = DIFFUSIVITY * math.sqrt((1 - t) ** 2 - r**2)

    def light(sec):
        return np.array(two_stream(3.0, r, t, 0.1, 0.2, 1.0 / sec))

    for width in (1e-2, 1e-4):
        middle = 0.5 * (light(singular - width) + light(singular + width))
        np.testing.assert_allclose(light(singular), middle, atol=width**2)
    near = 1 / (singular * (1 + 1e-3))
    ours = two_stream(3.0, r, t, 0.1, 0.2, near)[:4]
    np.testing.assert_allclose(ours, _as_printed(3.0, r, t, 0.1, 0.2, near), rtol=1e-9)


@pytest.mark.parametrize("leaf", [VISIBLE, INFRARED])
def test_a_canopy_is_its_upper_half_over_its_lower_half(leaf):
    lower = two_stream(1.3, *leaf, 0.1, 0.3, 0.4)
    whole = two_stream(2.0 + 1.3, *leaf, 0.1, 0.3, 0.4)
    upper = two_stream(2.0, *leaf, lower.albedo_direct, lower.albedo_diffuse, 0.4)
    np.testing.assert_allclose(upper[:2], whole[:2], rtol=1e-12)
    absorbed = whole.ground_direct + whole.canopy_direct
    np.testing.assert_allclose(
        upper.ground_direct + upper.canopy_direct, absorbed, rtol=1e-12
    )


def test_every_share_of_the_light_is_between_zero_and_one():
    rng = np.random.default_rng(3)
    n = 20_000
    r = rng.uniform(0.0, 0.6, n)
    t = rng.uniform(0.0, 1.0, n) * (0.98 - r)
    light = two_stream(
        rng.exponential(3.0, n),
        r,
        t,
        rng.uniform(0.0, 0.9, n),
        rng.uniform(0.0, 0.9, n),
        rng.uniform(0.01, 1.0, n),
        vegetated=rng.uniform(0.05, 1.0, n),
    )
    for share in light:
        assert float(jnp.min(share)) > -1e-12
        assert float(jnp.max(share)) < 1 + 1e-12


def test_open_ground_between_the_plants_is_averaged_by_area():
    part = two_stream(1.0, *VISIBLE, 0.2, 0.3, 0.5, vegetated=0.25)
    dense = two_stream(4.0, *VISIBLE, 0.2, 0.3, 0.5)
    bare = two_stream(0.0, *VISIBLE, 0.2, 0.3, 0.5)
    mean = 0.25 * np.array(dense) + 0.75 * np.array(bare)
    np.testing.assert_allclose(part, mean, rtol=1e-12, atol=1e-15)
    none = two_stream(1.0, *VISIBLE, 0.2, 0.3, 0.5, vegetated=0.0)
    np.testing.assert_allclose(none, bare, atol=1e-15)


def test_leaves_that_absorb_nothing_pass_all_light_on():
    # r + t = 1 in snow: the limit of the solution is linear in the leaf area.
    light = two_stream(2.0, 0.75, 0.25, 0.5, 0.5, 0.4)
    assert abs(float(light.canopy_direct)) < 1e-4
    assert abs(float(light.canopy_diffuse)) < 1e-4
    # Pure scattering between layers, diffuse: transmission of the canopy alone is
    # 1 / (1 + F df r L).
    alone = two_stream(2.0, 0.75, 0.25, 0.0, 0.0, 0.4)
    expected = 1 / (1 + LEAF_PROJECTION * DIFFUSIVITY * 0.75 * 2.0)
    assert float(alone.ground_diffuse) == pytest.approx(expected, rel=1e-3)


def test_mixing_keeps_what_a_leaf_absorbs_and_snow_brightens_frozen_leaves_only():
    r, t = leaf_optics(*VISIBLE)
    assert float(r) == pytest.approx(0.75 * 0.105 + 0.25 * 0.07)
    assert float(r + t) == pytest.approx(sum(VISIBLE))
    wet = leaf_optics(*VISIBLE, wet=1.0, frozen=0.0, snow_albedo=0.9)
    np.testing.assert_allclose(wet, [r, t])
    # Wholly under snow of albedo 0.9: r = 0.9, t = min(0.05, t), then mixed.
    white = leaf_optics(*VISIBLE, wet=1.0, frozen=1.0, snow_albedo=0.9)
    np.testing.assert_allclose(
        white, [0.75 * 0.9 + 0.25 * 0.05, 0.75 * 0.05 + 0.25 * 0.9]
    )


def test_thermal_radiation_and_extinction_follow_their_formulas():
    df = 1 / math.cos(math.radians(53))
    assert float(longwave_transmissivity(3.0)) == pytest.approx(math.exp(-1.5 * df))
    half = 0.5 * math.exp(-0.5 * df * 6.0) + 0.5
    assert float(longwave_transmissivity(3.0, 0.5)) == pytest.approx(half)
    assert float(longwave_transmissivity(3.0, 0.0)) == 1.0
    s = math.sqrt((1 - VISIBLE[1]) ** 2 - VISIBLE[0] ** 2)
    assert float(extinction(*VISIBLE)) == pytest.approx(0.5 * df * s)


def test_snow_is_brighter_under_a_low_sun():
    assert float(snow_incidence(0.8, 1.0)) == pytest.approx(0.8)
    assert float(snow_incidence(0.8, 0.0)) == pytest.approx(0.88)
    diffuse = 0.8 + 0.2 * 0.4 * (1 - math.cos(math.radians(50))) ** 5
    assert float(snow_incidence(0.8, DIFFUSE_COSINE)) == pytest.approx(diffuse)


def _total(x):
    light = two_stream(x[0], x[1], x[2], x[3], x[4], x[5], vegetated=x[6])
    return sum((k + 1.0) * share for k, share in enumerate(light))


SINGULAR = 1 / (DIFFUSIVITY * math.sqrt((1 - VISIBLE[1]) ** 2 - VISIBLE[0] ** 2))


@pytest.mark.parametrize("cosz", [0.3, SINGULAR, 0.9])
def test_gradients_are_those_of_finite_differences_at_every_sun(cosz):
    x, step = jnp.array([2.0, *VISIBLE, 0.1, 0.3, cosz, 0.8]), 1e-5
    numeric = [
        (_total(x.at[i].add(step)) - _total(x.at[i].add(-step))) / (2 * step)
        for i in range(x.size)
    ]
    np.testing.assert_allclose(jax.grad(_total)(x), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "x",
    [
        [0.0, 0.1, 0.05, 0.1, 0.2, 0.5, 1.0],  # no leaves
        [3.0, 0.1, 0.05, 0.1, 0.2, -0.4, 1.0],  # night
        [0.0, 0.1, 0.05, 0.1, 0.2, 0.5, 0.0],  # nothing grows
        [3.0, 0.7, 0.3, 0.1, 0.2, 0.5, 1.0],  # pure scattering
        [80.0, 0.1, 0.05, 0.1, 0.2, 0.01, 0.1],  # very dense
    ],
)
def test_gradients_are_finite_in_the_corners(x):
    assert np.isfinite(jax.grad(_total)(jnp.array(x))).all()
