"""Snow layers: the table of masses, and moving snow between layers without loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.core.accelerate import jax, jnp
from tilth.land.model.snow_layers import masses, per_covered_area
from tilth.land.model.snow_layers import remap as eager_remap

remap = jax.jit(eager_remap)

AMOUNTS = arrays(np.float64, (4, 3), elements=st.floats(0.0, 500.0))
PLACES = arrays(np.float64, (5, 3), elements=st.floats(0.0, 1.0))


@pytest.mark.parametrize(
    ("snow", "layers"),
    [
        (0.0, (0.0, 0.0, 0.0)),
        (19.0, (19.0, 0.0, 0.0)),
        (20.0, (10.0, 10.0, 0.0)),
        (30.0, (15.0, 15.0, 0.0)),
        (50.0, (20.0, 30.0, 0.0)),
        (60.0, (20.0, 20.0, 20.0)),
        (80.0, (20.0, 30.0, 30.0)),
        (100.0, (20.0, 40.0, 40.0)),
        (500.0, (20.0, 40.0, 440.0)),
    ],
)
def test_layers_hold_what_the_table_says(snow, layers):
    np.testing.assert_allclose(masses(jnp.array([snow]))[:, 0], layers)


def test_layers_add_up_to_the_snow_and_none_is_negative():
    snow = np.concatenate([[0.0], np.geomspace(1e-12, 3000.0, 4001)])
    layers = np.asarray(masses(snow))
    assert layers.shape == (3, snow.size)
    assert layers.min() >= 0.0
    np.testing.assert_allclose(layers.sum(axis=0), snow, rtol=4e-16)


def test_bare_ground_has_nothing_per_covered_area():
    got = per_covered_area(jnp.array([3.0, 0.0]), jnp.array([0.5, 0.0]))
    np.testing.assert_array_equal(got, [6.0, 0.0])


@settings(max_examples=60, deadline=None)
@given(AMOUNTS, PLACES, arrays(np.float64, (4, 3), elements=st.floats(-40.0, 1.0)))
def test_cutting_new_layers_loses_nothing(mass, places, contents):
    # Five new layers whose borders lie anywhere in the pile.
    cuts = np.sort(places[:-1], axis=0) * mass.sum(axis=0)
    new = np.diff(np.concatenate([0 * cuts[:1], cuts, mass.sum(axis=0)[None]]), axis=0)
    got = np.asarray(remap(mass, contents, new))
    error = got.sum(axis=0) - (mass * contents).sum(axis=0)
    scale = mass.sum(axis=0) * np.abs(contents).max(axis=0)
    assert (np.abs(error) <= 1e-14 * scale + 1e-200).all()
    # Ones as contents give back the layers' masses themselves.
    np.testing.assert_allclose(remap(mass, np.ones_like(mass), new), new, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(AMOUNTS, PLACES, arrays(np.float64, (4, 3), elements=st.floats(-40.0, 1.0)))
def test_no_new_layer_is_warmer_or_colder_than_all_it_is_made_of(
    mass, places, contents
):
    cuts = np.sort(places[:-1], axis=0) * mass.sum(axis=0)
    new = np.diff(np.concatenate([0 * cuts[:1], cuts, mass.sum(axis=0)[None]]), axis=0)
    got = np.asarray(remap(mass, contents, new))
    assert (got <= new * contents.max(axis=0) + 1e-10).all()
    assert (got >= new * contents.min(axis=0) - 1e-10).all()


def test_the_same_layers_come_back_unchanged():
    mass = np.array([[1.0], [0.0], [5.0], [2.0]])
    contents = np.array([[-3.0], [7.0], [-1.0], [-9.0]])
    np.testing.assert_allclose(remap(mass, contents, mass), mass * contents)


def test_gradient_of_a_cut_is_that_of_finite_differences():
    @jax.jit
    def top(x):
        new = jnp.stack([x[2], x[0] + x[1] - x[2]])
        return remap(x[:2, None], x[3:5, None], new[:, None])[1, 0] ** 2

    x, step = jnp.array([3.0, 5.0, 4.0, -2.0, -7.0]), 1e-6
    numeric = [
        (top(x + shift) - top(x - shift)) / (2 * step) for shift in step * np.eye(5)
    ]
    np.testing.assert_allclose(jax.jit(jax.grad(top))(x), numeric, rtol=1e-6)
