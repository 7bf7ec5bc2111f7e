"""Whether conductance goes with the difference that stomata did not make."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stomata.made_up import made_up_leaves
from tilth.stomata.null_model import leaf_world, simulate_leaves
from tilth.stomata.observations import usable
from tilth.stomata.sensing import (
    SensingTest,
    expected_leaves,
    sensing_slope,
    sensing_test,
)


@pytest.fixture(scope="module")
def world():
    return leaf_world(usable(made_up_leaves(days=12, per_day=30, noise=0.3, seed=3)))


def test_expected_leaves_have_no_chance_in_them_and_are_those_of_the_closure(world):
    expected = expected_leaves(world)
    assert expected.equals(expected_leaves(world._replace(spread=9.0)))
    other = world._replace(scatter=10 * world.scatter)
    np.testing.assert_array_equal(
        expected["conductance"], expected_leaves(other)["conductance"]
    )
    # The closure at the deficit of the leaf, before the thermometer's offset.
    whole = expected_leaves(world._replace(offset=0.0))
    closure = world.closure.predict(
        whole["assimilation"], whole["surface_co2"], whole["deficit"]
    )
    np.testing.assert_allclose(whole["conductance"], closure, rtol=1e-6)


@pytest.mark.parametrize("sensitivity", [-0.4, 0.0, 0.25])
def test_a_response_without_scatter_is_found_exactly(world, sensitivity):
    expected = expected_leaves(world)
    difference = expected["temperature_difference"]
    seen = world.observations.copy(deep=True)
    seen["conductance"] = expected["conductance"] * np.exp(
        0.1 - sensitivity * difference
    )
    for beside in ((), ("light",), ("light", "surface_co2")):
        slope = sensing_slope(seen, beside=beside, world=world)
        assert slope == pytest.approx(-sensitivity, abs=1e-9)


def test_stomata_that_sense_are_found_and_those_that_only_cool_are_not(world):
    truth = 0.3
    senses = simulate_leaves(world, seed=50, sensitivity=truth)
    cools = simulate_leaves(world, seed=50)
    found = sensing_test(senses, draws=12)
    assert found.found
    assert found.sensitivity == pytest.approx(truth, abs=0.12)
    assert found.rank_p == pytest.approx(1 / 13)
    nothing = sensing_test(cools, draws=12)
    assert not nothing.found
    assert abs(nothing.sensitivity) < 0.1
    assert nothing.rank_p > 0.1


def test_the_interval_holds_the_null_worlds_it_was_made_of():
    null = np.random.default_rng(0).normal(0.1, 0.05, 40)
    test = SensingTest(-0.2, null)
    low, high = test.interval
    assert test.sensitivity == pytest.approx(null.mean() + 0.2)
    assert low < test.sensitivity < high
    inside = (null > -0.2 + low) & (null < -0.2 + high)
    assert inside.mean() >= 0.9
    assert test.found
    assert not SensingTest(0.1, null).found
    # Two draws know little of their spread.
    few = SensingTest(-0.2, null[:2])
    assert few.interval[1] - few.interval[0] > 0.0
    assert few.rank_p >= 1 / 3


def test_draws_are_repeated_by_their_seed(world):
    leaves = simulate_leaves(world, seed=7)
    first, again, other = (sensing_test(leaves, draws=3, seed=s) for s in (1, 1, 5))
    np.testing.assert_array_equal(first.null, again.null)
    assert (first.null != other.null).all()


def test_what_cannot_be_told_apart_is_refused(world):
    seen = world.observations
    with pytest.raises(InputError, match="1 draws"):
        sensing_test(seen, draws=1)
    with pytest.raises(InputError, match="lack rain"):
        sensing_slope(seen, beside=("rain",))
    with pytest.raises(InputError, match="the same in every row"):
        sensing_slope(seen, beside=("boundary_conductance",))
    twice = seen.assign(light_again=2 * seen["light"])
    with pytest.raises(InputError, match="cannot be told apart"):
        sensing_slope(twice, beside=("light", "light_again"))
    with pytest.raises(InputError, match="energy balance"):
        sensing_slope(seen.drop_vars("light"))


def test_intervals_of_leaves_that_sense_nothing_hold_zero_as_often_as_they_say():
    # 95 % of another world like the null ones; of 15 draws 12 or more in 99.5 %.
    held = 0
    for seed in range(100, 115):
        leaves = made_up_leaves(plants=6, days=10, scatter=0.04, noise=0.12, seed=seed)
        low, high = sensing_test(leaves, draws=8).interval
        held += low <= 0.0 <= high
    assert held >= 12
