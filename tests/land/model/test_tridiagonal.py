"""Tridiagonal systems: the answer of a dense solver, however many the layers."""

import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.land.model import tridiagonal

#: One layer, a land model's, the most that are unrolled, the least that are scanned.
LAYERS = [1, 2, 6, 10, 11, 40]


def system(layers, cells=3, seed=0):
    rng = np.random.default_rng(seed)
    lower, upper = -rng.uniform(0, 5, (2, layers, cells))
    diagonal = 0.1 - lower - upper  # barely dominant
    return lower, diagonal, upper, rng.normal(size=(layers, cells))


def dense(lower, diagonal, upper, right):
    answer = np.empty_like(right)
    for j in range(right.shape[1]):
        matrix = np.diag(diagonal[:, j])
        matrix += np.diag(lower[1:, j], -1) + np.diag(upper[:-1, j], 1)
        answer[:, j] = np.linalg.solve(matrix, right[:, j])
    return answer


@pytest.mark.parametrize("layers", LAYERS)
def test_the_solution_is_that_of_a_dense_solver(layers):
    rows = system(layers)
    np.testing.assert_allclose(tridiagonal.solve(*rows), dense(*rows), rtol=1e-10)


@pytest.mark.parametrize("layers", LAYERS)
def test_the_top_row_gives_the_first_unknown_for_any_addition_to_its_right_side(layers):
    lower, diagonal, upper, right = system(layers)
    pivot, reduced = tridiagonal.top_row(lower, diagonal, upper, right)
    right[0] += 7.0
    first = dense(lower, diagonal, upper, right)[0]
    np.testing.assert_allclose((reduced + 7.0) / pivot, first, rtol=1e-10)


@pytest.mark.parametrize("layers", [6, 20])
def test_corners_that_are_no_part_of_the_system_are_not_read(layers):
    lower, diagonal, upper, right = system(layers)
    expected = tridiagonal.solve(lower, diagonal, upper, right)
    lower[0], upper[-1] = np.inf, np.nan
    np.testing.assert_array_equal(
        tridiagonal.solve(lower, diagonal, upper, right), expected
    )


@pytest.mark.parametrize("layers", [6, 20])
def test_derivatives_match_differences(layers):
    rows = [jnp.asarray(x) for x in system(layers)]

    def score(rows):
        return jnp.sum(jnp.sin(tridiagonal.solve(*rows)))

    slopes = jax.grad(score)(rows)
    rng = np.random.default_rng(1)
    ways = [jnp.asarray(rng.normal(size=x.shape)) for x in rows]
    h = 1e-6
    ends = [
        score([x + s * h * d for x, d in zip(rows, ways, strict=True)]) for s in (1, -1)
    ]
    along = sum(jnp.sum(g * d) for g, d in zip(slopes, ways, strict=True))
    assert float(along) == pytest.approx(float((ends[0] - ends[1]) / (2 * h)), rel=1e-6)


@pytest.mark.parametrize("upward", [False, True])
@pytest.mark.parametrize("layers", [4, 30])
def test_a_sweep_keeps_results_in_layer_order_whichever_way_it_goes(layers, upward):
    def step(total, layer):
        total = total + layer
        return total, total

    values = jnp.arange(1.0, layers + 1)
    last, running = tridiagonal.sweep(step, 0.0, values, upward=upward)
    expected = np.cumsum(values[::-1])[::-1] if upward else np.cumsum(values)
    np.testing.assert_array_equal(running, expected)
    assert float(last) == values.sum()
