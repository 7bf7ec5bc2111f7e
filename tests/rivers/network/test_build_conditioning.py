"""Elevations made to fall: nowhere a rise, and never more changed than needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from tilth.rivers.network.build_conditioning import falling_elevation


def tree(seed, size):
    """Return random trees: each cell flows into an earlier one, or out."""
    rng = np.random.default_rng(seed)
    down = np.array([int(rng.integers(max(i, 1))) for i in range(size)])
    ends = rng.random(size) < 0.1
    return np.where(ends, np.arange(size), down), np.arange(size), rng


def least_cost(down, elevation):
    """Return the least sum of changes, by linear programming."""
    n = elevation.size
    inner = np.flatnonzero(down != np.arange(n))
    rises = np.zeros((inner.size, 2 * n))
    rises[np.arange(inner.size), down[inner]] = 1.0
    rises[np.arange(inner.size), inner] = -1.0
    eye = np.eye(n)
    above = np.hstack([eye, -eye])  # z - t <= e
    below = np.hstack([-eye, -eye])  # -z - t <= -e
    cost = np.concatenate([np.zeros(n), np.ones(n)])
    solved = optimize.linprog(
        cost,
        np.vstack([rises, above, below]),
        np.concatenate([np.zeros(inner.size), elevation, -elevation]),
        bounds=(None, None),
    )
    return solved.fun


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 30), coarse=st.booleans())
def test_no_river_rises_and_the_change_is_the_least_there_is(seed, size, coarse):
    down, order, rng = tree(seed, size)
    elevation = rng.integers(0, 6, size) * 1.0 if coarse else rng.normal(0, 9, size)
    result = falling_elevation(down, order, elevation)
    assert (result >= result[down]).all()
    cost = np.abs(result - elevation).sum()
    assert cost == pytest.approx(least_cost(down, elevation), abs=1e-7)


def test_a_narrow_block_is_dug_through_and_a_narrow_pit_is_filled():
    down, order = np.array([0, 0, 1, 2, 3, 4, 5]), np.arange(7)
    blocked = np.array([1.0, 2.0, 3.0, 9.0, 4.0, 4.0, 6.0])
    dug = falling_elevation(down, order, blocked)
    assert dug[3] == 4.0
    assert np.array_equal(np.delete(dug, 3), np.delete(blocked, 3))
    pit = np.array([1.0, 5.0, 5.0, 2.0, 7.0, 8.0, 9.0])
    filled = falling_elevation(down, order, pit)
    assert filled.tolist() == [1.0, 5.0, 5.0, 5.0, 7.0, 8.0, 9.0]
    even = falling_elevation(down[:3], order[:3], np.array([1.0, 8.0, 3.0]))
    assert even.tolist() == [1.0, 3.0, 3.0]


def test_what_falls_already_stays_to_the_last_bit():
    down, order, rng = tree(1, 5_000)
    elevation = np.zeros(5_000)
    for i in order:
        elevation[i] = elevation[down[i]] + (down[i] != i) * rng.random()
    result = falling_elevation(down, order, elevation)
    assert np.array_equal(result, elevation)


def test_cells_outside_are_left_alone():
    down = np.array([0, 0, -1])
    result = falling_elevation(down, np.array([0, 1]), np.array([3.0, 1.0, np.nan]))
    assert result[0] == result[1]
    assert np.isnan(result[2])


def test_a_hundred_thousand_cells_take_no_more_than_a_moment():
    # Heaps of a long river merge at every cell: this would be slow in quadratic time.
    n = 200_000
    down, order = np.maximum(np.arange(n) - 1, 0), np.arange(n)
    elevation = np.arange(n) * 1.0
    elevation[1::2] += 30.0
    result = falling_elevation(down, order, elevation)
    assert (np.diff(result) >= 0).all()
    assert np.abs(result - elevation).max() <= 30.0
