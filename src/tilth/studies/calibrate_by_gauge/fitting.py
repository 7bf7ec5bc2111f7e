"""The calibration: what is made small, and how it descends along the gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.optional import load
from tilth.core.progress import Work
from tilth.studies.calibrate_by_gauge.chain import compiled_linear, reaches_of
from tilth.studies.calibrate_by_gauge.problem import Problem
from tilth.studies.calibrate_by_gauge.values import SIZE

Array = Any

#: Weight of the mean square of the coefficients: chosen within the training years of
#: the reported split, see `tilth.studies.calibrate_by_gauge.choice`.
PRIOR_WEIGHT = 0.1

#: Steps of Adam along the gradient (Kingma & Ba 2015, arXiv:1412.6980); in the unit of
#: the coefficients, one of which is e-fold odds of a value's place in its bounds.
LEARNING_RATE = 0.05

#: Spread of the first coefficients of all starts but the first, which is the default.
_SPREAD = 0.5


@dataclass(frozen=True)
class Fit:
    """Coefficients found, and how good they are in the years they were found in.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Of the best step of each column.
    loss : array, shape (column)
        There.
    path : array, shape (step, column)
        Of the descent.
    """

    coefficients: np.ndarray
    loss: np.ndarray
    path: np.ndarray


def weighted_kge(simulated: Array, observed: Array, weight: Array) -> Array:
    """Return the Kling-Gupta efficiency of 2012 with a gradient.

    Parameters
    ----------
    simulated, observed, weight : array, shape (day, column)
        Weight is zero where a day does not count.

    Returns
    -------
    array, shape (column)
        As `tilth.stats.scores.kge`.
    """
    n = weight.sum(0)
    mean_s, mean_o = ((weight * v).sum(0) / n for v in (simulated, observed))
    ds, do = simulated - mean_s, observed - mean_o
    sd_s, sd_o = (jnp.sqrt((weight * d * d).sum(0) / n) for d in (ds, do))
    r = (weight * ds * do).sum(0) / n / (sd_s * sd_o)
    beta = mean_s / mean_o
    gamma = sd_s / mean_s / (sd_o / mean_o)
    return 1.0 - jnp.sqrt((r - 1.0) ** 2 + (beta - 1.0) ** 2 + (gamma - 1.0) ** 2)


def losses(
    simulated: Array,
    observed: Array,
    weight: Array,
    coefficients: Array,
    prior: Array | float = PRIOR_WEIGHT,
) -> Array:
    r"""Return what the calibration makes small, by column.

    .. math:: (1 - \mathrm{KGE}(Q)) + (1 - \mathrm{NSE}(\sqrt Q)) + w\,\overline{c^2}

    The first term looks at volume, variability and floods, the second at all flows;
    the last draws towards the defaults what the discharge says nothing about.

    Parameters
    ----------
    simulated, observed, weight : array, shape (day, column)
        Discharge, and whether a day counts.
    coefficients : array, shape (SIZE, column)
        Zero is the default.
    prior : float or array, shape (column)
        The weight w.

    Returns
    -------
    array, shape (column)
    """
    root_s, root_o = jnp.sqrt(simulated), jnp.sqrt(observed)
    mean = (weight * root_o).sum(0) / weight.sum(0)
    error = (weight * (root_s - root_o) ** 2).sum(0)
    missed = error / (weight * (root_o - mean) ** 2).sum(0)
    penalty = prior * (coefficients**2).mean(0)
    return 1.0 - weighted_kge(simulated, observed, weight) + missed + penalty


def first_coefficients(problem: Problem, seed: int) -> np.ndarray:
    """Return where the columns start: the default, then chance around it.

    Parameters
    ----------
    problem : Problem
        Its columns have the numbers of the starts.
    seed : int
        Of the chance; the same start begins alike in every basin.

    Returns
    -------
    array, shape (SIZE, column)
    """
    starts = [column.start for column in problem.columns]
    rng = np.random.default_rng(seed)
    places = _SPREAD * rng.standard_normal((max(starts) + 1, SIZE))
    places[0] = 0.0
    return places[starts].T


def descend(
    discharge: Callable[[Array], Array],
    problem: Problem,
    start: np.ndarray,
    steps: int,
    *,
    prior: Array | float = PRIOR_WEIGHT,
    rate: float = LEARNING_RATE,
    counted: np.ndarray | None = None,
    work: Work | None = None,
) -> Fit:
    """Follow the gradient of all columns at once; each keeps its best step.

    Parameters
    ----------
    discharge : callable
        From coefficients to discharge (record, column); the columns are independent.
    problem : Problem
        With the discharge observed.
    start : array, shape (SIZE, column)
        First coefficients.
    steps : int
        Of the descent.
    prior : float or array, shape (column)
        See `losses`.
    rate : float
        Of Adam.
    counted : array of bool, shape (record, column), optional
        Days that count, in place of the training years.
    work : Work, optional
        Told of every step.

    Returns
    -------
    Fit
    """
    optax = load("optax", "jax")
    days = problem.fitted if counted is None else counted
    weight = jnp.asarray(days, float)
    observed = jnp.where(days, problem.observed, 1.0)

    rule = optax.adam(optax.cosine_decay_schedule(rate, max(steps, 1), alpha=0.1))

    @jax.jit
    def step(place: Array, memory: Any) -> tuple[Array, Array, Any]:
        def total(place: Array) -> tuple[Array, Array]:
            own = losses(discharge(place), observed, weight, place, prior)
            return own.sum(), own

        (_, own), slope = jax.value_and_grad(total, has_aux=True)(place)
        change, memory = rule.update(slope, memory, place)
        return own, place + change, memory

    place = jnp.asarray(start)
    memory = rule.init(place)
    best, least = np.array(start), np.full(problem.size, np.inf)
    path = []
    for _ in range(steps + 1):
        now = np.asarray(place)
        losses_now, place, memory = step(place, memory)
        own = np.asarray(losses_now)
        better = own < least
        best[:, better] = now[:, better]
        least = np.where(better, own, least)
        path.append(own)
        if work is not None:
            work.advance()
    return Fit(best, least, np.array(path))


def fit_linear(
    problem: Problem, steps: int, seed: int, *, work: Work | None = None, **more: Any
) -> Fit:
    """Calibrate the chain with linear rivers.

    Parameters
    ----------
    problem : Problem
        With all starts.
    steps : int
        Of the descent.
    seed : int
        Of the starts.
    work : Work, optional
        Told of every step.
    **more
        Passed to `descend`.

    Returns
    -------
    Fit
    """
    chain = compiled_linear(problem, reaches_of(problem))
    start = first_coefficients(problem, seed)
    return descend(chain, problem, start, steps, work=work, **more)


def best_starts(problem: Problem, loss: np.ndarray) -> np.ndarray:
    """Return the column with the least loss of each basin and split.

    Parameters
    ----------
    problem : Problem
        With all starts.
    loss : array, shape (column)
        In the training years.

    Returns
    -------
    array of int, shape (basin and split)
        Positions of columns, in their order.
    """
    groups: dict[tuple[int, str], list[int]] = {}
    for position, column in enumerate(problem.columns):
        groups.setdefault((column.basin, column.split.name), []).append(position)
    return np.array([min(group, key=lambda i: loss[i]) for group in groups.values()])
