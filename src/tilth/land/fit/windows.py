r"""The joint objective: all months together, in free runs through windows of years.

With :math:`K` windows of several years, each started from the land model's snow and
soil water, and the first days not scored,

.. math:: L = \sum_v w_v \log\left(\frac{\mathrm{MSE}_v}{\mathrm{var}_v}
              + \epsilon\right)
          + \frac{w_q}{K} \sum_{\mathrm{windows}} \left(\frac{\sum R^{\mathrm{emulator}}
              - \sum R^{\mathrm{land}}}{\sum R^{\mathrm{land}}}\right)^2 .

The first term is the likelihood of normal errors whose variance is unknown for each
target :math:`v`: it weighs a target by how well it can be had at all, so that snow,
which can be had best, is not spent on runoff. :math:`1 - \mathrm{MSE}_v/\mathrm{var}_v`
is the Nash-Sutcliffe efficiency; :math:`\epsilon` ends the reward of perfection. The
second term holds the volume of runoff.

A month's parameters act on the months that follow: the Jacobian of the stores by all
183 values is carried forward through the window (forward mode), one small matrix
product a day, and the normal equations of every target are added up as it goes.
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

_BUFFER = 64

_RESULT_OF = np.array([SNOW, SOIL, WETLAND, RUNOFF])


#: Where the normal equations of the volume are, after those of the four targets.
_VOLUME = 4

#: Share of the variance below which a mean square error earns nothing more.
PERFECT = 1e-6


@njit(**COMPILED)
def window_normals(value, slope, windows, record, goal, normals, counts):
    """Fill the augmented normal equations of each target, in the unit box.

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
    normals : ndarray, shape (5, 184, 184)
        Filled, upper triangles: of plain differences for snow, soil, wetland and
        runoff, and of the relative error of the windows' volume.
    counts : ndarray, shape (5,)
        Filled with the number of differences.
    """
    n = JOINT
    start, length = windows
    weather, target, month = record
    given_wetland, switches = goal.given_wetland, goal.switches
    closed = switches[1]
    normals[:] = 0.0
    counts[:] = 0.0
    by_state, by_theta = np.zeros((5, 4)), np.zeros((5, 16))
    old, new = np.zeros((5, n)), np.zeros((5, n))
    rows = np.zeros((5, n + 1, _BUFFER))
    snow_rows = np.zeros((_SNOW_COLUMNS + 1, _BUFFER))
    snow_normal = np.zeros((_SNOW_COLUMNS + 1, _SNOW_COLUMNS + 1))
    filled = np.zeros(5, np.int64)
    theta = np.empty(15)
    off = np.empty(4)
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
        rows[_VOLUME, :, 0] = 0.0
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
            _carry(old, new, by_state, by_theta, current, closed)
            old, new = new, old
            if day - t < goal.unscored:
                continue
            off[0] = snow - target[0, day]
            off[1] = soil - target[1, day]
            off[2] = wetland - target[2, day]
            off[3] = runoff - target[3, day]
            if off[0] == off[0]:
                q = filled[0]
                for i in range(_SNOW_COLUMNS):
                    snow_rows[i, q] = old[SNOW, i]
                snow_rows[_SNOW_COLUMNS, q] = off[0]
                filled[0] += 1
                counts[0] += 1.0
            for v in range(1, 4):
                if off[v] == off[v] and goal.weight[v] > 0.0:
                    q, o = filled[v], _RESULT_OF[v]
                    for i in range(n):
                        rows[v, i, q] = old[o, i]
                    rows[v, n, q] = off[v]
                    filled[v] += 1
                    counts[v] += 1.0
            if off[3] == off[3] and goal.volume_weight > 0.0:
                for i in range(n):
                    rows[_VOLUME, i, 0] += old[RUNOFF, i]
                rows[_VOLUME, n, 0] += off[3]
                volume += target[3, day]
            for v in range(1, 4):
                if filled[v] == _BUFFER:
                    add_products(rows[v], _BUFFER, n + 1, normals[v])
                    filled[v] = 0
            if filled[0] == _BUFFER:
                add_products(snow_rows, _BUFFER, _SNOW_COLUMNS + 1, snow_normal)
                filled[0] = 0
        if volume > 0.0:
            rows[_VOLUME, :, 0] /= volume
            add_products(rows[_VOLUME], 1, n + 1, normals[_VOLUME])
            counts[_VOLUME] += 1.0
    for v in range(1, 4):
        add_products(rows[v], filled[v], n + 1, normals[v])
    add_products(snow_rows, filled[0], _SNOW_COLUMNS + 1, snow_normal)
    for i in range(_SNOW_COLUMNS):
        for j in range(i, _SNOW_COLUMNS):
            normals[0, i, j] = snow_normal[i, j]
        normals[0, i, n] = snow_normal[i, _SNOW_COLUMNS]
    normals[0, n, n] = snow_normal[_SNOW_COLUMNS, _SNOW_COLUMNS]
    for v in range(5):
        for i in range(n):
            for j in range(i, n):
                normals[v, i, j] *= slope[i] * slope[j]
            normals[v, i, n] *= slope[i]


@njit(**COMPILED)
def _carry(old, new, by_state, by_theta, current, closed):
    """Carry the tangents of the results through a day of the month `current`."""
    n = JOINT
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
def _combine(normals, counts, goal, place, pull):
    """Return the quadratic model of the whole loss, and the loss at its last place.

    A sum of squares S enters as log S, whose slope is 1 / S: the weight of a target.
    The logarithm lies below its tangent, so that what the model promises the loss
    keeps.
    """
    n = place.size
    normal = np.zeros((n + 1, n + 1))
    loss = 0.0
    for v in range(4):
        if goal.weight[v] > 0.0 and counts[v] > 0.0:
            scale = goal.variance[v] * counts[v]
            missing = normals[v, n, n] / scale + PERFECT
            normal += normals[v] * (goal.weight[v] / (missing * scale))
            loss += goal.weight[v] * np.log(missing)
    if counts[_VOLUME] > 0.0:
        weight = goal.volume_weight / counts[_VOLUME]
        normal += normals[_VOLUME] * weight
        loss += normals[_VOLUME, n, n] * weight
    normal[n, n] = loss
    add_pull(normal, place, pull)
    add_smoothness(normal, place, pull.smoothness)
    if normal[n, n] != normal[n, n]:
        normal[n, n] = np.inf
    return normal


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
        As `window_normals`.
    iterations : int
        Largest number of evaluations.
    tolerance : float
        Gain of two steps, of the loss, below which it ends.

    Returns
    -------
    ndarray, shape (2, 4)
        Mean square error over variance of each target, before and after; NaN for one
        that is not fitted.
    """
    n = place.size
    value, slope, trial = np.empty(n), np.empty(n), np.empty(n)
    normals, counts = np.empty((5, n + 1, n + 1)), np.empty(5)
    missing = np.full((2, 4), np.nan)
    damping, growth, small = FIRST_DAMPING, 2.0, 0
    normal = np.zeros((n + 1, n + 1))
    trial[:] = place
    promise, best = 0.0, np.inf
    for k in range(iterations + 1):
        if k > 0:
            promise = propose_step(normal, place, free, damping, trial)
            if damping > LAST_DAMPING:
                break
        from_unit(trial, box, value, slope)
        window_normals(value, slope, windows, record, goal, normals, counts)
        other = _combine(normals, counts, goal, trial, pull)
        gain = best - other[n, n]
        if k > 0:
            damping, growth = next_damping(gain, promise, damping, growth)
        if gain > 0.0:
            best = other[n, n]
            normal = other
            place[:] = trial
            for v in range(4):
                if goal.weight[v] > 0.0 and counts[v] > 0.0:
                    missing[1, v] = normals[v, n, n] / (goal.variance[v] * counts[v])
            if k == 0:
                missing[0] = missing[1]
            else:
                small = small + 1 if gain < tolerance else 0
        if small == 2:
            break
    return missing
