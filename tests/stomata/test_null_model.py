"""Simulated leaves: their energy balance, their closure, and what they know."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stomata.fits import fit_medlyn
from tilth.stomata.made_up import made_up_leaves
from tilth.stomata.null_model import LeafWorld, leaf_world, simulate_leaves


def fit(leaves):
    return fit_medlyn(
        *(
            leaves[name].values
            for name in ("conductance", "assimilation", "surface_co2", "deficit")
        )
    )


def test_without_scatter_and_noise_the_closure_is_found_back():
    leaves = made_up_leaves(scatter=0.0, noise=0.0, seed=1)
    found = fit(leaves)
    assert found["g0"] == pytest.approx(0.03, abs=1e-4)
    assert found["g1"] == pytest.approx(3.0, abs=5e-3)
    assert found.r_squared > 0.99999


def test_open_leaves_are_cool_though_they_sense_nothing():
    # Two worlds of the same conditions: where stomata happen to be open more, the
    # leaf is cooler.
    still = made_up_leaves(scatter=0.0, noise=0.0, seed=2)
    open_more = made_up_leaves(scatter=0.04, noise=0.0, seed=2)
    wider = open_more["conductance"].values - still["conductance"].values
    warmer = (
        open_more["temperature_difference"].values
        - still["temperature_difference"].values
    )
    assert np.corrcoef(wider, warmer)[0, 1] < -0.8


def test_the_dark_leaf_is_cooler_than_the_air_and_the_bright_one_is_warmer():
    leaves = made_up_leaves(days=20, noise=0.0, seed=3)
    light = leaves["light"].values
    difference = leaves["temperature_difference"].values
    assert difference[light < 200].mean() < 0
    assert difference[light > 1400].mean() > difference[light < 200].mean() + 0.5


def test_stomata_that_sense_the_difference_close_when_it_rises():
    none = made_up_leaves(scatter=0.0, noise=0.0, seed=4)
    some = made_up_leaves(scatter=0.0, noise=0.0, seed=4, sensitivity=0.3)
    ratio = some["conductance"].values / none["conductance"].values
    assert np.corrcoef(ratio, some["temperature_difference"])[0, 1] < -0.95


def test_a_seed_is_a_world():
    a, b, c = (made_up_leaves(days=3, seed=s) for s in (5, 5, 6))
    assert np.array_equal(a["conductance"], b["conductance"])
    assert not np.array_equal(a["conductance"], c["conductance"])


def test_a_world_learns_from_leaves_what_made_them():
    leaves = made_up_leaves(days=40, scatter=0.03, noise=0.15, seed=7)
    world = leaf_world(leaves)
    assert world.closure["g1"] == pytest.approx(3.0, abs=0.25)
    assert world.scatter.std() == pytest.approx(0.03, rel=0.1)
    assert world.slope == pytest.approx(0.6, abs=0.03)
    assert world.spread == pytest.approx(0.15, rel=0.1)
    again = leaf_world(simulate_leaves(world, seed=8))
    assert again.slope == pytest.approx(world.slope, abs=0.03)
    assert again.spread == pytest.approx(world.spread, rel=0.1)


def test_simulated_leaves_keep_rows_and_labels():
    leaves = made_up_leaves(days=3, seed=9)
    again = simulate_leaves(leaf_world(leaves), seed=1)
    assert (again["day"].values == leaves["day"].values).all()
    assert (again["assimilation"].values == leaves["assimilation"].values).all()
    assert again.attrs["seed"] == 1
    assert again.attrs["sensitivity"] == 0.0


def test_the_deficit_of_the_instrument_has_the_noise_of_its_thermometer():
    quiet = made_up_leaves(days=20, noise=0.0, seed=10)
    noisy = made_up_leaves(days=20, noise=0.3, seed=10)
    wrong = (noisy["leaf_temperature"] - quiet["leaf_temperature"]).values
    drier = (noisy["deficit"] - quiet["deficit"]).values
    assert np.corrcoef(wrong, drier)[0, 1] > 0.9


def test_what_the_balance_needs_is_named():
    leaves = made_up_leaves(days=3).drop_vars(["light", "pressure"])
    with pytest.raises(InputError, match="lack light, pressure"):
        leaf_world(leaves)
    with pytest.raises(InputError, match="two spots at least"):
        made_up_leaves(per_day=1)


def test_a_world_is_plain_numbers():
    world = leaf_world(made_up_leaves(days=3))
    assert isinstance(world, LeafWorld)
    assert -1 <= world.agreement <= 1
