"""Vegetation above the snow: limits, the plain formula, gradients."""

import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.land.model.vegetation import under_snow


def test_without_snow_the_vegetation_is_as_it_grows():
    stand = under_snow(np.array([17.0]), np.array([8.5]), np.array([4.0]), 0.0)
    assert [float(part[0]) for part in stand] == [17.0, 8.5, 4.0]


def test_half_buried_grass_keeps_half_of_its_leaves():
    # Crown from 0.1 to 1.1 m, snow to 0.6 m: the upper half is left.
    stand = under_snow(1.1, 0.1, 2.0, 0.6)
    assert float(stand.height) == pytest.approx(0.5)
    assert float(stand.base) == 0.0
    assert float(stand.lai) == pytest.approx(1.0)


def test_snow_below_the_crown_lowers_it_and_takes_no_leaf():
    stand = under_snow(20.0, 10.0, 5.0, 2.0)
    assert (float(stand.height), float(stand.base)) == (18.0, 8.0)
    assert float(stand.lai) == pytest.approx(5.0)


def test_deep_snow_buries_everything_and_bare_ground_has_no_leaves():
    buried = under_snow(np.array([0.5, 0.0]), np.array([0.1, 0.0]), 1.5, 2.0)
    np.testing.assert_array_equal(np.stack(buried), np.zeros((3, 2)))


def test_a_tile_axis_is_served_in_one_call():
    depth = np.array([[0.0, 0.0], [0.3, 1.0]])
    both = under_snow(np.array([0.6, 3.0]), 0.1, np.array([1.0, 2.0]), depth)
    for tile in range(2):
        alone = under_snow(np.array([0.6, 3.0]), 0.1, np.array([1.0, 2.0]), depth[tile])
        np.testing.assert_array_equal(np.stack(both)[:, tile], np.stack(alone))


@pytest.mark.parametrize("depth", [0.05, 0.3, 2.0])
def test_gradient_of_the_leaf_area_is_that_of_finite_differences(depth):
    def lai(x):
        return under_snow(x[0], x[1], x[2], x[3]).lai

    x, step = jnp.array([1.0, 0.1, 2.0, depth]), 1e-6
    numeric = [
        (lai(x.at[i].add(step)) - lai(x.at[i].add(-step))) / (2 * step)
        for i in range(4)
    ]
    np.testing.assert_allclose(jax.grad(lai)(x), numeric, atol=1e-8)


def test_gradient_is_finite_on_bare_ground():
    def lai(x):
        return under_snow(x[0], x[1], x[2], x[3]).lai

    assert np.isfinite(jax.grad(lai)(jnp.zeros(4))).all()
