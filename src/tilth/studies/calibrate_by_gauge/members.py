r"""How uncertain a calibrated hydrograph is: other coefficients, and what all miss.

Near the best coefficients the misfit of the square roots is taken as a parabola
(Gauss-Newton), with a standard normal prior on the coefficients; errors of days that
follow each other are not independent, so their variance is raised by
:math:`(1 + \rho) / (1 - \rho)`. Members are drawn from it and run through the rivers.
To each are added errors as the chain made them in the training years, drawn in blocks
of days, on a scale where floods and droughts err alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.stats.autocorrelation import lag1_autocorrelation
from tilth.studies.calibrate_by_gauge.problem import Problem

Array = Any

#: Power of Box and Cox's transformation on which errors are alike (McInerney et al.
#: 2017, Water Resour. Res. 53, 2199-2239).
POWER = 0.2

#: Days of a block of errors, about as long as a recession remembers.
BLOCK = 10

#: Draws of errors for each member.
ERROR_DRAWS = 5

#: Share of days that the bands should hold.
COVERAGE = 0.9


class Bands(NamedTuple):
    """Limits of 90 % of the draws, m3 s-1, all (record, column).

    ``low`` and ``high`` with errors; ``parameter_low`` and ``parameter_high`` of the
    members alone.
    """

    low: np.ndarray
    high: np.ndarray
    parameter_low: np.ndarray
    parameter_high: np.ndarray


def draw_members(
    discharge: Callable[[Array], Array],
    problem: Problem,
    coefficients: np.ndarray,
    count: int,
    seed: int,
) -> np.ndarray:
    """Draw coefficients around the best ones.

    Parameters
    ----------
    discharge : callable
        From coefficients to discharge (record, column), columns independent.
    problem : Problem
        With the training years.
    coefficients : array, shape (SIZE, column)
        The best.
    count : int
        Number of members.
    seed : int
        Of the draws.

    Returns
    -------
    array, shape (member, SIZE, column)
    """
    place = jnp.asarray(coefficients)
    size, columns = coefficients.shape

    def roots(place: Array) -> Array:
        return jnp.sqrt(discharge(place))

    @jax.jit
    def slopes(place: Array) -> tuple[Array, Array]:
        # Columns are independent: one direction serves all of them at once.
        value, along = jax.linearize(roots, place)
        directions = jnp.broadcast_to(jnp.eye(size)[:, :, None], (size, size, columns))
        return value, jax.lax.map(along, directions)

    value, slope = (np.asarray(array) for array in slopes(place))
    rng = np.random.default_rng(seed)
    chance = rng.standard_normal((count, size, columns))
    drawn = np.empty_like(chance)
    for j in range(columns):
        days = problem.fitted[:, j]
        error = np.sqrt(problem.observed[days, j]) - value[days, j]
        memory = lag1_autocorrelation(error).value
        variance = error.var() * (1.0 + memory) / (1.0 - memory)
        steep = slope[:, days, j]
        precision = steep @ steep.T / variance + np.eye(size)
        factor = np.linalg.cholesky(precision)
        drawn[:, :, j] = np.linalg.solve(factor.T, chance[:, :, j].T).T
    return coefficients + drawn


def bands(best: np.ndarray, flows: np.ndarray, problem: Problem, seed: int) -> Bands:
    """Return the limits of members, alone and with errors.

    Parameters
    ----------
    best : array, shape (record, column)
        Discharge of the calibrated chain, m3 s-1, whose errors in the training years
        are drawn from.
    flows : array, shape (member, record, column)
        Discharge of the members.
    problem : Problem
        With the training years.
    seed : int
        Of the draws.

    Returns
    -------
    Bands
    """
    tail = (1.0 - COVERAGE) / 2.0
    rng = np.random.default_rng(seed)
    days = problem.time.size
    noisy = np.empty((len(flows) * ERROR_DRAWS, days, problem.size))
    for j in range(problem.size):
        fitted = problem.fitted[:, j]
        error = problem.observed[fitted, j] ** POWER - best[fitted, j] ** POWER
        blocks = -(-days // BLOCK)
        start = rng.integers(0, error.size - BLOCK + 1, (len(noisy), blocks))
        series = error[start[:, :, None] + np.arange(BLOCK)].reshape(len(noisy), -1)
        level = np.repeat(flows[:, :, j] ** POWER, ERROR_DRAWS, axis=0)
        raised = np.maximum(level + series[:, :days], 0.0)
        noisy[:, :, j] = raised ** (1.0 / POWER)
    low, high = np.quantile(noisy, [tail, 1.0 - tail], axis=0)
    own_low, own_high = np.quantile(flows, [tail, 1.0 - tail], axis=0)
    return Bands(low, high, own_low, own_high)


def coverage(
    low: np.ndarray, high: np.ndarray, observed: np.ndarray, days: np.ndarray
) -> np.ndarray:
    """Return the share of days on which the observation lies between two limits.

    Parameters
    ----------
    low, high, observed : array, shape (record, column)
        m3 s-1.
    days : array of bool, shape (record, column)
        Days that count.

    Returns
    -------
    array, shape (column)
    """
    inside = (observed >= low) & (observed <= high) & days
    return inside.sum(axis=0) / days.sum(axis=0)
