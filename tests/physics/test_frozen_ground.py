"""Freezing ground: the balance of ice and water, and the exact frost fronts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import GRAVITY, LATENT_HEAT_FUSION, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.physics.frozen_ground import (
    freezing_head,
    freezing_temperature,
    neumann_solution,
    stefan_depth,
    unfrozen_water,
)
from tilth.physics.soil_hydraulics import VanGenuchten, texture

GROUND = {
    "surface": 263.15,
    "initial": 277.15,
    "water": 300.0,
    "conductivity": (2.2, 1.4),
    "heat_capacity": (1.9e6, 2.6e6),
}


def test_one_degree_of_frost_is_worth_as_much_work_as_lifting_water_124_metres():
    # g h = L dT / T0
    head = float(freezing_head(ZERO_CELSIUS - 1.0))
    assert -head * GRAVITY * ZERO_CELSIUS == pytest.approx(LATENT_HEAT_FUSION)
    assert head == pytest.approx(-124.6, abs=0.05)


def test_there_is_no_suction_by_ice_above_zero():
    assert float(freezing_head(280.0)) == 0.0
    assert float(unfrozen_water(280.0, texture("loam"))) == 0.439


@settings(deadline=None)  # the first call compiles
@given(st.floats(-1e4, -1e-3))
def test_the_freezing_temperature_is_the_inverse_of_the_freezing_head(head):
    # 4e-9 m is one bit of 273 K
    assert float(freezing_head(freezing_temperature(head))) == pytest.approx(
        head, rel=1e-9, abs=1e-8
    )


@pytest.mark.parametrize(
    "soil", [texture("silt loam"), VanGenuchten(0.05, 0.535, 1.11, 1.48, 3.2e-6)]
)
def test_the_colder_the_ground_the_less_of_its_water_is_liquid(soil):
    temperature = ZERO_CELSIUS - np.array([0.01, 0.1, 1.0, 10.0])
    liquid = np.asarray(unfrozen_water(temperature, soil))
    assert np.all(np.diff(liquid) < 0)
    assert np.all(liquid > float(soil.least_water))


def test_frost_goes_twice_as_deep_when_the_index_is_fourfold():
    once, fourfold = stefan_depth(np.array([1e6, 4e6]), 2.0, 300.0)
    assert float(fourfold / once) == pytest.approx(2.0)


def test_ground_does_not_freeze_before_the_first_cold_day():
    depth, slope = jax.value_and_grad(lambda i: stefan_depth(i, 2.0, 300.0))(0.0)
    assert float(depth) == 0.0
    assert np.isfinite(slope)


def test_neumanns_solution_becomes_stefans_where_latent_heat_rules():
    # Stefan number c dT / (L m) = 1.9e6 * 0.5 / 1e8 = 0.0095
    ground = {**GROUND, "surface": ZERO_CELSIUS - 0.5, "initial": ZERO_CELSIUS}
    days = 86400.0 * 100
    depth = neumann_solution(0.0, days, **ground).depth
    stefan = stefan_depth(0.5 * days, 2.2, 300.0)
    assert float(depth) == pytest.approx(float(stefan), rel=0.0095 / 6 * 1.1)
    assert float(depth) < float(stefan)  # some of the heat cools the frozen ground


def test_neumanns_solution_obeys_the_heat_equation_and_the_balance_at_the_front():
    time = 86400.0 * 30
    front = float(neumann_solution(0.0, time, **GROUND).depth)

    def temperature(z, t):
        return neumann_solution(z, t, **GROUND).temperature

    for z, k, c in ((0.5 * front, 2.2, 1.9e6), (2.0 * front, 1.4, 2.6e6)):
        by_time = jax.grad(temperature, 1)(z, time)
        curvature = jax.grad(jax.grad(temperature))(z, time)
        assert float(c * by_time) == pytest.approx(float(k * curvature), rel=1e-9)
    above = 2.2 * jax.grad(temperature)(front * (1 - 1e-9), time)
    below = 1.4 * jax.grad(temperature)(front * (1 + 1e-9), time)
    speed = front / (2 * time)  # the front goes with the root of time
    assert float(above - below) == pytest.approx(
        LATENT_HEAT_FUSION * 300.0 * speed, rel=1e-6
    )
    assert float(temperature(front, time)) == pytest.approx(ZERO_CELSIUS, abs=1e-9)


def test_warm_ground_holds_the_frost_up():
    cold = neumann_solution(0.0, 1e6, **{**GROUND, "initial": ZERO_CELSIUS}).depth
    warm = neumann_solution(0.0, 1e6, **GROUND).depth
    assert float(warm) < float(cold)


def test_a_warm_surface_is_refused():
    with pytest.raises(InputError, match="below 273"):
        neumann_solution(0.1, 1e6, **{**GROUND, "surface": 274.0})


def test_stefans_depth_needs_water_to_freeze():
    with pytest.raises(InputError, match="positive"):
        stefan_depth(1e6, 2.0, 0.0)


def test_depths_may_come_as_an_array():
    answer = neumann_solution(jnp.linspace(0.0, 2.0, 5), 1e6, **GROUND)
    assert answer.temperature.shape == (5,)
    assert float(answer.temperature[0]) == pytest.approx(263.15)
    assert np.all(np.diff(answer.temperature) > 0)
