r"""The joint objective: all months together, in free runs through windows of years.

With :math:`K` windows of several years, each started from the land model's snow and
soil water, and the first days not scored,

.. math:: L = \sum_v \frac{w_v}{\operatorname{var}_v} \overline{(x_v^{\mathrm{emulator}}
              - x_v^{\mathrm{land}})^2}
          + \frac{w_q}{K} \sum_{\mathrm{windows}} \left(\frac{\sum R^{\mathrm{emulator}}
              - \sum R^{\mathrm{land}}}{\sum R^{\mathrm{land}}}\right)^2 .

The first term is the sum of what is missing to a Nash-Sutcliffe efficiency of one;
the second holds the volume of runoff. A month's parameters act on the months that
follow: the Jacobian of the stores by all 183 values is carried forward through the
window (forward mode), one small matrix product a day, and the normal equations are
added up as it goes.
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

#: Values fitted jointly: parameter j of month m at 12 j + m, then the runoff share and
#: the wetland and deep store at the start of every window.
JOINT = 183
SHARE, FIRST_WETLAND, FIRST_DEEP = 180, 181, 182

#: The first columns are the parameters of snow, of which alone snow depends.
_SNOW_COLUMNS = 48

_BUFFER = 96


@njit(**COMPILED)
def window_normal(value, slope, windows, record, goal):
    """Return the augmented normal equations of all windows in the unit box.

    Parameters
    ----------
    value, slope : ndarray, shape (183,)
        Fitted values and their derivatives by their place in the box.
    windows : Pieces
        Windows of years.
    record : Record
        Weather and targets.
    goal : Goal
        Weights and form of the equations.

    Returns
    -------
    ndarray, shape (184, 184)
        See `tilth.land.fit.levenberg`; infinite at its last place if a run fails.
    """
    n = JOINT
    start, length = windows
    weather, target, month = record
    weight, given_wetland, switches = goal.weight, goal.given_wetland, goal.switches
    volume_weight = goal.volume_weight
    closed = switches[1]
    normal = np.zeros((n + 1, n + 1))
    by_state, by_theta = np.zeros((5, 4)), np.zeros((5, 16))
    old, new = np.zeros((5, n)), np.zeros((5, n))
    rows = np.zeros((_BUFFER, n + 1))
    snow_rows = np.zeros((_BUFFER, _SNOW_COLUMNS + 1))
    snow_normal = np.zeros((_SNOW_COLUMNS + 1, _SNOW_COLUMNS + 1))
    volume_row = np.zeros((1, n + 1))
    root = np.sqrt(weight)
    theta = np.empty(15)
    for k in range(start.size):
        t = start[k]
        snow, soil = target[0, t - 1], target[1, t - 1]
        wetland = target[2, t - 1] if given_wetland else value[FIRST_WETLAND]
        deep = value[FIRST_DEEP] if closed else 0.0
        old[:] = 0.0
        if not given_wetland:
            old[WETLAND, FIRST_WETLAND] = 1.0
        if closed:
            old[DEEP, FIRST_DEEP] = 1.0
        count, snow_count = 0, 0
        volume_row[:] = 0.0
        volume = 0.0
        current = -1
        for day in range(t, t + length[k]):
            if month[day] != current:
                current = month[day]
                for j in range(15):
                    theta[j] = value[12 * j + current]
            snow, soil, wetland, deep, runoff = differentiate_day(
                snow,
                soil,
                wetland,
                deep,
                weather[day],
                theta,
                value[SHARE],
                switches,
                by_state,
                by_theta,
            )
            for o in range(1, 5):
                if o == DEEP and not closed:
                    continue
                a, b, c, d = by_state[o]
                for i in range(_SNOW_COLUMNS):
                    new[o, i] = a * old[0, i] + b * old[1, i] + c * old[2, i]
                for i in range(_SNOW_COLUMNS, n):
                    new[o, i] = b * old[1, i] + c * old[2, i]
                if closed:
                    for i in range(n):
                        new[o, i] += d * old[3, i]
                for j in range(15):
                    new[o, 12 * j + current] += by_theta[o, j]
                new[o, SHARE] += by_theta[o, 15]
            a = by_state[SNOW, 0]
            for i in range(_SNOW_COLUMNS):
                new[SNOW, i] = a * old[SNOW, i]
            for j in range(4):
                new[SNOW, 12 * j + current] += by_theta[SNOW, j]
            old, new = new, old
            if day - t < goal.unscored:
                continue
            off = snow - target[0, day]
            if off == off:
                for i in range(_SNOW_COLUMNS):
                    snow_rows[snow_count, i] = root[0] * old[SNOW, i]
                snow_rows[snow_count, _SNOW_COLUMNS] = root[0] * off
                snow_count += 1
            for v in range(1, 4):
                if weight[v] == 0.0:
                    continue
                if v == 1:
                    o, off = SOIL, soil - target[1, day]
                elif v == 2:
                    o, off = WETLAND, wetland - target[2, day]
                else:
                    o, off = RUNOFF, runoff - target[3, day]
                if off == off:
                    for i in range(n):
                        rows[count, i] = root[v] * old[o, i]
                    rows[count, n] = root[v] * off
                    count += 1
            off = runoff - target[3, day]
            if volume_weight > 0.0 and off == off:
                for i in range(n):
                    volume_row[0, i] += old[RUNOFF, i]
                volume_row[0, n] += off
                volume += target[3, day]
            if count > _BUFFER - 8:
                add_products(rows, count, n + 1, normal)
                count = 0
            if snow_count > _BUFFER - 8:
                add_products(snow_rows, snow_count, _SNOW_COLUMNS + 1, snow_normal)
                snow_count = 0
        add_products(rows, count, n + 1, normal)
        add_products(snow_rows, snow_count, _SNOW_COLUMNS + 1, snow_normal)
        if volume > 0.0:
            volume_row *= np.sqrt(volume_weight / start.size) / volume
            add_products(volume_row, 1, n + 1, normal)
    for i in range(_SNOW_COLUMNS):
        for j in range(i, _SNOW_COLUMNS):
            normal[i, j] += snow_normal[i, j]
        normal[i, n] += snow_normal[i, _SNOW_COLUMNS]
    normal[n, n] += snow_normal[_SNOW_COLUMNS, _SNOW_COLUMNS]
    for i in range(n):
        for j in range(i, n):
            normal[i, j] *= slope[i] * slope[j]
        normal[i, n] *= slope[i]
    if normal[n, n] != normal[n, n]:
        normal[n, n] = np.inf
    return normal


@njit(**COMPILED)
def add_smoothness(normal, place, strength):
    """Add strength sum (difference of neighbouring months)^2, December to January."""
    n = place.size
    for j in range(15):
        for m in range(12):
            a, b = 12 * j + m, 12 * j + (m + 1) % 12
            off = place[b] - place[a]
            normal[a, a] += strength
            normal[b, b] += strength
            normal[min(a, b), max(a, b)] -= strength
            normal[a, n] -= strength * off
            normal[b, n] += strength * off
            normal[n, n] += strength * off * off


@njit(**COMPILED)
def refine_jointly(
    place, free, pull, box, windows, record, goal, iterations, tolerance
):
    """Move a place in the unit box to the nearest minimum of the joint loss.

    Parameters
    ----------
    place : ndarray, shape (183,)
        Changed in place.
    free : ndarray of bool, shape (183,)
        Values that may move.
    pull : Pull
        Penalties.
    box : Box
        Of `joint_box`.
    windows, record, goal
        As `window_normal`.
    iterations : int
        Largest number of evaluations.
    tolerance : float
        Relative gain of two steps below which it ends.

    Returns
    -------
    float, float, int
        Loss at the start and at the end, with the penalties, and evaluations made.
    """
    n = place.size
    value, slope, trial = np.empty(n), np.empty(n), np.empty(n)
    damping, growth, small = FIRST_DAMPING, 2.0, 0
    before, best, promise = 0.0, 0.0, 0.0
    normal = np.zeros((n + 1, n + 1))
    trial[:] = place
    evaluations = 0
    for k in range(iterations + 1):
        if k > 0:
            promise = propose_step(normal, place, free, damping, trial)
            if damping > LAST_DAMPING:
                break
        from_unit(trial, box, value, slope)
        other = window_normal(value, slope, windows, record, goal)
        evaluations += 1
        add_pull(other, trial, pull)
        add_smoothness(other, trial, pull.smoothness)
        if k == 0:
            before = best = other[n, n]
            normal = other
            continue
        gain = best - other[n, n]
        damping, growth = next_damping(gain, promise, damping, growth)
        if gain > 0.0:
            small = small + 1 if gain < tolerance * best else 0
            best = other[n, n]
            normal = other
            place[:] = trial
            if small == 2:
                break
    return before, best, evaluations
