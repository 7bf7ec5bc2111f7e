"""The leaf's energy balance: closure, limits, the linear solution and slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax
from tilth.physics import leaf_balance as le
from tilth.physics.moist_air import dew_point, saturation_vapour_pressure

SIGMA = 5.670374419e-8


def balance(radiation, air, vapour, pressure, wind, opening, width):
    return le.leaf_energy(radiation, air, vapour, pressure, wind, opening, width=width)


SOLVE = jax.jit(balance)
SLOPES = jax.jit(jax.jacrev(balance, argnums=tuple(range(7))))


def isothermal(air):
    """Absorbed radiation of a dark leaf under surroundings of air temperature."""
    return 2 * 0.97 * SIGMA * air**4


@settings(max_examples=200, deadline=None)
@given(
    radiation=st.floats(0.0, 1800.0),
    air=st.floats(230.0, 325.0),
    humid=st.floats(0.0, 1.2),
    pressure=st.floats(4e4, 1.1e5),
    wind=st.one_of(st.just(0.0), st.floats(0.0, 30.0)),
    opening=st.one_of(st.just(0.0), st.floats(0.0, 2.0)),
    width=st.floats(1e-3, 0.5),
)
def test_the_balance_closes_and_the_leaf_stays_between_its_three_temperatures(
    radiation, air, humid, pressure, wind, opening, width
):
    vapour = humid * float(saturation_vapour_pressure(air))
    point = (radiation, air, vapour, pressure, wind, opening, width)
    leaf = SOLVE(*point)
    total = float(leaf.emitted + leaf.sensible_heat + leaf.latent_heat)
    assert total == pytest.approx(radiation, abs=1e-8)
    radiating = (radiation / (2 * 0.97 * SIGMA)) ** 0.25
    three = (air, radiating, float(dew_point(vapour)))
    assert min(three) - 1e-9 <= float(leaf.temperature) <= max(three) + 1e-9
    for slope in SLOPES(*point):
        assert np.all(np.isfinite(np.asarray(slope)))


def test_a_dark_closed_leaf_in_still_surroundings_has_the_temperature_of_the_air():
    leaf = SOLVE(isothermal(293.0), 293.0, 1000.0, 1e5, 1.0, 0.0, 0.05)
    assert float(leaf.temperature) == pytest.approx(293.0, abs=1e-9)
    assert float(leaf.latent_heat) == 0.0


def test_a_leaf_in_saturated_air_of_its_own_temperature_exchanges_nothing():
    saturated = float(saturation_vapour_pressure(293.0))
    leaf = SOLVE(isothermal(293.0), 293.0, saturated, 1e5, 1.0, 0.5, 0.05)
    assert float(leaf.temperature) == pytest.approx(293.0, abs=1e-9)
    assert float(leaf.transpiration) == pytest.approx(0.0, abs=1e-12)


def test_a_gale_holds_a_closed_leaf_at_the_temperature_of_the_air():
    excess = [
        float(SOLVE(1300.0, 293.0, 1000.0, 1e5, u, 0.0, 0.05).temperature) - 293.0
        for u in (1.0, 100.0, 1e4)
    ]
    assert excess[0] > excess[1] > excess[2] > 0
    # Forced convection: the excess falls as the root of the wind.
    assert excess[1] / excess[2] == pytest.approx(10.0, rel=0.02)


def test_open_stomata_cool_a_sunlit_leaf_and_transpire():
    openings = np.array([0.0, 0.05, 0.1, 0.3, 1.0])
    leaf = SOLVE(1250.0, 303.0, 1500.0, 1e5, 1.0, openings, 0.05)
    assert np.all(np.diff(leaf.temperature) < 0)
    assert np.all(np.diff(leaf.transpiration) > 0)


def test_a_small_excess_is_that_of_the_linear_balance():
    # Campbell & Norman (1998), ch. 14: Penman's linearisation about air temperature,
    # with radiative conductance, for a leaf with stomata on one side.
    air, vapour, p, wind, opening, width = 298.0, 2000.0, 1e5, 2.0, 0.2, 0.05
    radiation = isothermal(air) + 100.0
    molar_heat, latent = (
        1005.0 * 8.314462618 / 287.05,
        18.015e-3 * (2.501e6 - 2370 * (air - 273.15)),
    )
    heat = 0.189 * np.sqrt(wind / (0.72 * width))
    layer = heat * 0.147 / 0.135
    through = opening * layer / (opening + layer)
    radiative = 2 * 4 * 0.97 * SIGMA * air**3
    step = 1e-3
    inside = float(saturation_vapour_pressure(air))
    slope = (float(saturation_vapour_pressure(air + step)) - inside) / step
    excess = (100.0 - latent * through * (inside - vapour) / p) / (
        radiative + 2 * molar_heat * heat + latent * through * slope / p
    )
    leaf = SOLVE(radiation, air, vapour, p, wind, opening, width)
    assert 0.01 < abs(excess) < 0.2
    assert float(leaf.temperature) - air == pytest.approx(excess, abs=1e-3)


def test_stomata_on_both_sides_transpire_more_through_the_same_opening():
    one, two = (
        float(
            le.leaf_energy(
                1200.0,
                298.0,
                1500.0,
                1e5,
                1.0,
                0.5,
                width=0.05,
                stomatal_sides=sides,
            ).transpiration
        )
        for sides in (1, 2)
    )
    assert 1.05 < two / one < 2.0


def test_the_boundary_layer_thins_with_wind_and_narrow_leaves():
    # Campbell & Norman (1998), ch. 7: 0.135 * 1.4 * sqrt(1 / 0.05) = 0.845 at 1 m s-1
    # for a characteristic length of 5 cm.
    g = float(le.boundary_conductance(1.0, 0.05 / 0.72, 0.0))
    assert g == pytest.approx(0.845, abs=1e-3)
    # Without wind 0.05 (10 / 0.05)^(1/4) = 0.188.
    g = float(le.boundary_conductance(0.0, 0.05 / 0.72, 10.0))
    assert g == pytest.approx(0.188, abs=1e-3)
    assert float(le.boundary_conductance(0.0, 0.05, 0.0)) > 0


@pytest.mark.parametrize(
    "point",
    [
        (1300.0, 300.0, 1500.0, 9e4, 1.5, 0.3, 0.04),
        (700.0, 280.0, 900.0, 7e4, 0.2, 0.01, 0.1),
        (900.0, 310.0, 500.0, 1e5, 0.0, 0.5, 0.1),
    ],
)
def test_slopes_are_those_of_finite_differences_in_every_argument(point):
    slopes = SLOPES(*point)
    for i, value in enumerate(point):
        step = 1e-5 * value if value else 0.0
        if step == 0.0:
            continue
        both = [
            SOLVE(*(v + s if j == i else v for j, v in enumerate(point)))
            for s in (step, -step)
        ]
        for got, ahead, behind in zip(slopes, *both, strict=True):
            numeric = float(ahead - behind) / (2 * step)
            assert float(got[i]) == pytest.approx(
                numeric, rel=2e-5, abs=1e-6 * abs(float(ahead)) / value
            )
