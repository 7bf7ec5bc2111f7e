import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import lsq_linear

from tilth.land.fit.levenberg import (
    LAST_DAMPING,
    add_products,
    add_pull,
    next_damping,
    propose_step,
)
from tilth.land.fit.record import Pull


def augmented(jacobian, residual):
    rows = np.column_stack([jacobian, residual])
    return np.triu(rows.T @ rows)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1, 13), st.integers(0, 2**31))
def test_products_of_any_shape_are_those_of_the_matrix(count, width, seed):
    columns = np.random.default_rng(seed).normal(size=(width, 40))
    normal = np.zeros((width, width))
    add_products(columns, count, width, normal)
    used = columns[:, :count]
    assert_allclose(np.triu(normal), np.triu(used @ used.T), atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31))
def test_steps_reach_the_bounded_least_squares_solution(seed):
    rng = np.random.default_rng(seed)
    matrix, right = rng.normal(size=(20, 5)), rng.normal(size=20)
    place, free = np.full(5, 0.5), np.ones(5, bool)
    trial, damping = np.empty(5), 1e-2
    for _ in range(60):
        normal = augmented(matrix, matrix @ place - right)
        promise = propose_step(normal, place, free, damping, trial)
        gain = normal[5, 5] - np.sum((matrix @ trial - right) ** 2)
        damping, _ = next_damping(gain, promise, damping, 2.0)
        if gain > 0:
            place = trial.copy()
    best = lsq_linear(matrix, right, (0, 1), tol=1e-12)
    assert_allclose(place, best.x, atol=1e-5)


def test_the_promise_of_a_step_is_kept_by_a_linear_model():
    rng = np.random.default_rng(3)
    matrix, right = rng.normal(size=(20, 5)), rng.normal(size=20)
    place, trial = rng.random(5), np.empty(5)
    normal = augmented(matrix, matrix @ place - right)
    promise = propose_step(normal, place, np.ones(5, bool), 0.1, trial)
    gain = normal[5, 5] - np.sum((matrix @ trial - right) ** 2)
    assert promise > 0
    assert_allclose(gain, promise, rtol=1e-10)


def test_a_value_that_is_not_free_does_not_move():
    rng = np.random.default_rng(4)
    matrix, right = rng.normal(size=(20, 5)), rng.normal(size=20)
    place, trial = rng.random(5), np.empty(5)
    free = np.array([True, False, True, False, True])
    propose_step(augmented(matrix, matrix @ place - right), place, free, 0.1, trial)
    assert_allclose(trial[~free], place[~free], atol=0)
    assert not np.allclose(trial[free], place[free])


def test_a_value_about_which_nothing_is_known_stays():
    normal = augmented(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([1.0, -1.0]))
    place, trial = np.array([0.5, 0.5]), np.empty(2)
    propose_step(normal, place, np.ones(2, bool), 1e-2, trial)
    assert trial[1] == 0.5
    assert trial[0] != 0.5


def test_a_pull_adds_the_square_of_the_distance():
    normal = np.zeros((3, 3))
    pull = Pull(np.array([0.2, 0.9]), np.array([2.0, 3.0]), 0.0)
    add_pull(normal, np.array([0.5, 0.5]), pull)
    assert_allclose(normal[2, 2], 2 * 0.3**2 + 3 * 0.4**2)
    assert_allclose(normal[:2, 2], [2 * 0.3, -3 * 0.4])


def test_damping_grows_after_steps_that_gain_nothing_until_there_is_nothing_left():
    damping, growth, steps = 1e-2, 2.0, 0
    while damping < LAST_DAMPING:
        damping, growth = next_damping(-1.0, 1.0, damping, growth)
        steps += 1
    assert 5 < steps < 12
