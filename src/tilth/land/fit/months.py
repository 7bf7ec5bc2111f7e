r"""The published objective: one calendar month, every year from the land model's state.

For a cell and a calendar month with parameters :math:`\theta`,

.. math:: L(\theta) = \frac1n \sum_{\mathrm{years}} \sum_v w_v
          \sum_t \left[x_v^{\mathrm{emulator}}(t) - x_v^{\mathrm{land}}(t)\right]^2 ,

where every month of every year starts from the land model's state on the eve (Olson
et al. 2024). A wetland that the land model does not give starts, as the deep store
of the closed variant does, from one fitted value per calendar month.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tilth.land.fit.day import (
    COMPILED,
    DEEP,
    RUNOFF,
    SNOW,
    SOIL,
    WETLAND,
    advance_day,
    differentiate_day,
)
from tilth.land.fit.levenberg import (
    FIRST_DAMPING,
    LAST_DAMPING,
    add_products,
    add_pull,
    next_damping,
    propose_step,
)
from tilth.land.fit.scaling import from_unit

#: Values fitted per month: fifteen parameters, the runoff share and two first stores.
FITTED = 18

#: Places of the stores at the start among them.
FIRST_WETLAND, FIRST_DEEP = 16, 17

_LONGEST_MONTH = 32

#: Rows of the targets: snow, soil, wetland, runoff.
_TARGET_OF = np.array([SNOW, SOIL, WETLAND, RUNOFF])


@njit(**COMPILED)
def month_loss(value, pieces, record, goal, limit):
    """Return the weighted sum of squares of a month, or any sum above `limit`.

    Parameters
    ----------
    value : ndarray, shape (18,)
        Parameters, runoff share and first stores.
    pieces : Pieces
        The month in its years.
    record : Record
        Weather and targets.
    goal : Goal
        Weights and form of the equations.
    limit : float
        Where the sum need not be known: it is given up.

    Returns
    -------
    float
        The sum over all days; not yet divided by the number of years.
    """
    start, length = pieces
    weather, target = record.weather, record.target
    weight, given_wetland, switches = goal.weight, goal.given_wetland, goal.switches
    total = 0.0
    for k in range(start.size):
        t = start[k]
        snow, soil = target[0, t - 1], target[1, t - 1]
        wetland = target[2, t - 1] if given_wetland else value[FIRST_WETLAND]
        deep = value[FIRST_DEEP] if switches[1] else 0.0
        for day in range(t, t + length[k]):
            snow, soil, wetland, deep, runoff = advance_day(
                snow, soil, wetland, deep, weather[day], value, value[15], switches
            )
            off = snow - target[0, day]
            if off == off:
                total += weight[0] * off * off
            off = soil - target[1, day]
            if off == off:
                total += weight[1] * off * off
            if given_wetland:
                off = wetland - target[2, day]
                if off == off:
                    total += weight[2] * off * off
            off = runoff - target[3, day]
            if off == off:
                total += weight[3] * off * off
        if total > limit:
            return total
    if total != total:
        return np.inf
    return total


@njit(**COMPILED)
def month_normal(value, slope, pieces, record, goal):
    """Return the augmented normal equations of a month in the unit box, (19, 19).

    Arguments as `month_loss`; `slope`, shape (18,), is the derivative of the values
    by their place in the box.
    """
    n = FITTED
    start, length = pieces
    weather, target = record.weather, record.target
    weight, given_wetland, switches = goal.weight, goal.given_wetland, goal.switches
    normal = np.zeros((n + 1, n + 1))
    by_state, by_theta = np.zeros((5, 4)), np.zeros((5, 16))
    # Tangents of the five results by the fitted values.
    old, new = np.zeros((5, n)), np.zeros((5, n))
    rows = np.zeros((n + 1, 3 * _LONGEST_MONTH))
    snow_rows = np.zeros((5, _LONGEST_MONTH))
    snow_normal = np.zeros((5, 5))
    root = np.sqrt(weight)
    for k in range(start.size):
        t = start[k]
        snow, soil = target[0, t - 1], target[1, t - 1]
        wetland = target[2, t - 1] if given_wetland else value[FIRST_WETLAND]
        deep = value[FIRST_DEEP] if switches[1] else 0.0
        old[:] = 0.0
        if not given_wetland:
            old[WETLAND, FIRST_WETLAND] = 1.0
        if switches[1]:
            old[DEEP, FIRST_DEEP] = 1.0
        count, snow_count = 0, 0
        for day in range(t, t + length[k]):
            snow, soil, wetland, deep, runoff = differentiate_day(
                snow,
                soil,
                wetland,
                deep,
                weather[day],
                value,
                value[15],
                switches,
                by_state,
                by_theta,
            )
            for o in range(5):
                a, b, c, d = by_state[o]
                for i in range(n):
                    new[o, i] = (
                        a * old[0, i] + b * old[1, i] + c * old[2, i] + d * old[3, i]
                    )
                for i in range(16):
                    new[o, i] += by_theta[o, i]
            old, new = new, old
            off = snow - target[0, day]
            if off == off:
                for i in range(4):
                    snow_rows[i, snow_count] = root[0] * old[SNOW, i]
                snow_rows[4, snow_count] = root[0] * off
                snow_count += 1
            for v in range(1, 4):
                if v == 2 and not given_wetland:
                    continue
                off = (soil if v == 1 else wetland if v == 2 else runoff) - target[
                    v, day
                ]
                if off == off:
                    o = _TARGET_OF[v]
                    for i in range(n):
                        rows[i, count] = root[v] * old[o, i]
                    rows[n, count] = root[v] * off
                    count += 1
        add_products(rows, count, n + 1, normal)
        add_products(snow_rows, snow_count, 5, snow_normal)
    for i in range(4):
        for j in range(i, 4):
            normal[i, j] += snow_normal[i, j]
        normal[i, n] += snow_normal[i, 4]
    normal[n, n] += snow_normal[4, 4]
    for i in range(n):
        for j in range(i, n):
            normal[i, j] *= slope[i] * slope[j]
        normal[i, n] *= slope[i]
    if normal[n, n] != normal[n, n]:
        normal[n, n] = np.inf
    return normal


@njit(**COMPILED)
def refine_month(place, free, pull, box, pieces, record, goal, iterations, tolerance):
    """Move a place in the unit box to the nearest minimum of a month's loss.

    Parameters
    ----------
    place : ndarray, shape (18,)
        Changed in place.
    free : ndarray of bool, shape (18,)
        Values that may move.
    pull : Pull
        Penalties.
    box : Box
        Of `parameter_box`.
    pieces, record, goal
        As `month_loss`.
    iterations : int
        Largest number of evaluations.
    tolerance : float
        Relative gain of two steps below which it ends.

    Returns
    -------
    float
        Sum of squares, with the pull.
    """
    n = place.size
    value, slope, trial = np.empty(n), np.empty(n), np.empty(n)
    from_unit(place, box, value, slope)
    normal = month_normal(value, slope, pieces, record, goal)
    add_pull(normal, place, pull)
    best = normal[n, n]
    damping, growth, small = FIRST_DAMPING, 2.0, 0
    for _ in range(iterations):
        promise = propose_step(normal, place, free, damping, trial)
        if damping > LAST_DAMPING:
            break
        from_unit(trial, box, value, slope)
        other = month_normal(value, slope, pieces, record, goal)
        add_pull(other, trial, pull)
        gain = best - other[n, n]
        damping, growth = next_damping(gain, promise, damping, growth)
        if gain > 0.0:
            small = small + 1 if gain < tolerance * best else 0
            best = other[n, n]
            normal = other
            place[:] = trial
            if small == 2:
                break
    return best


@njit(**COMPILED)
def search_month(
    places, keep, free, pull, box, pieces, record, goal, iterations, tolerance
):
    """Fit a month from many places: the best few are refined, the best one wins.

    Parameters
    ----------
    places : ndarray, shape (m, 18)
        Starting places; the first is always refined.
    keep : int
        How many are refined.
    free, pull, box, pieces, record, goal, iterations, tolerance
        As `refine_month`.

    Returns
    -------
    ndarray, shape (keep, 18)
        The refined places, best first.
    ndarray, shape (keep,)
        Their sums of squares with the pull.
    """
    m, n = places.shape
    first = np.empty(m)
    value, slope = np.empty(n), np.empty(n)
    for s in range(m):
        from_unit(places[s], box, value, slope)
        first[s] = month_loss(value, pieces, record, goal, 1e300)
    first[0] = -1.0
    order = np.argsort(first)[:keep]
    found = places[order].copy()
    loss = np.empty(order.size)
    for s in range(order.size):
        loss[s] = refine_month(
            found[s], free, pull, box, pieces, record, goal, iterations, tolerance
        )
    rank = np.argsort(loss)
    return found[rank], loss[rank]
