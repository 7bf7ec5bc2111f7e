r"""Differential evolution of a month: a search that no valley can trap.

Storn & Price (1997) in the form ``best1bin``: a trial takes each value, with the
probability of crossover, from

.. math:: x_{best} + F (x_{r_1} - x_{r_2}) ,

with F drawn anew for every generation (dither), and replaces its parent at once if it
is no worse. A trial is given up on the day its sum of squares passes that of its
parent, which changes nothing but the time it takes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tilth.land.fit.day import COMPILED
from tilth.land.fit.months import month_loss
from tilth.land.fit.scaling import from_unit

#: Individuals (ten times fifteen parameters), generations, probability of crossover,
#: range of F, and the relative spread of the losses at which a search ends: what
#: `scipy.optimize.differential_evolution` takes by default, but for fewer generations.
POPULATION, GENERATIONS = 150, 150
CROSSOVER = 0.7
DITHER = (0.5, 1.0)
TOLERANCE = 1e-3


@njit(**COMPILED)
def evolve_month(generator, start, free, pull, box, pieces, record, goal, generations):
    """Search a month's loss in the whole box.

    Parameters
    ----------
    generator : numpy.random.Generator
        Of the draws.
    start : ndarray, shape (m, n)
        Places that are put among the first individuals.
    free, pull, box, pieces, record, goal
        As `tilth.land.fit.months.refine_month`.
    generations : int
        Largest number of generations.

    Returns
    -------
    ndarray, shape (n,)
        The best place found.
    float
        Its sum of squares, with the pull.
    int
        Generations made.
    """
    n = free.size
    population = np.empty((POPULATION, n))
    losses = np.empty(POPULATION)
    for i in range(n):  # a Latin hypercube
        order = generator.permutation(POPULATION)
        for k in range(POPULATION):
            drawn = (order[k] + generator.random()) / POPULATION
            population[k, i] = drawn if free[i] else start[0, i]
    for k in range(start.shape[0]):
        population[k] = start[k]
    best = 0
    for k in range(POPULATION):
        losses[k] = _loss(population[k], pull, box, pieces, record, goal, np.inf)
        if losses[k] < losses[best]:
            best = k
    index = np.flatnonzero(free)
    trial = np.empty(n)
    made = 0
    for _ in range(generations):
        if np.std(losses) <= TOLERANCE * np.mean(losses):
            break
        made += 1
        scale = DITHER[0] + (DITHER[1] - DITHER[0]) * generator.random()
        for k in range(POPULATION):
            one, two = _two_others(generator, k)
            sure = index[generator.integers(0, index.size)]
            trial[:] = population[k]
            for i in range(n):
                if not free[i]:
                    continue
                if i == sure or generator.random() < CROSSOVER:
                    trial[i] = population[best, i] + scale * (
                        population[one, i] - population[two, i]
                    )
                    if trial[i] < 0.0 or trial[i] > 1.0:
                        trial[i] = generator.random()
            loss = _loss(trial, pull, box, pieces, record, goal, losses[k])
            if loss <= losses[k]:
                population[k] = trial
                losses[k] = loss
                if loss < losses[best]:
                    best = k
    return population[best].copy(), losses[best], made


@njit(**COMPILED)
def _two_others(generator, k):
    """Draw two different individuals that are not `k`."""
    one = generator.integers(0, POPULATION - 1)
    two = generator.integers(0, POPULATION - 2)
    one += one >= k
    low, high = min(one, k), max(one, k)
    two += two >= low
    two += two >= high
    return one, two


@njit(**COMPILED)
def _loss(place, pull, box, pieces, record, goal, limit):
    """Return the loss of a place with its pull, or any number above `limit`."""
    value, slope = np.empty(place.size), np.empty(place.size)
    from_unit(place, box, value, slope)
    pulled = 0.0
    for i in range(place.size):
        off = place[i] - pull.towards[i]
        pulled += pull.strength[i] * off * off
    if pulled > limit:
        return pulled
    return pulled + month_loss(value, pieces, record, goal, limit - pulled)
