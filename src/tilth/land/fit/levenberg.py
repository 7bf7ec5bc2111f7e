r"""Levenberg-Marquardt in the unit box, from augmented normal equations.

Whoever has residuals :math:`r` and their Jacobian :math:`J` adds up one matrix,

.. math:: N = [J\; r]^T [J\; r]
            = \begin{pmatrix} J^T J & J^T r \\ \cdot & r^T r \end{pmatrix} ,

which holds all a step needs: the sum of squares to judge the last one, and gradient
and curvature for the next. Steps are damped after Marquardt (1963, eq. 26), the
damping follows the gain ratio as Nielsen (1999, eq. 2.4) has it, and a value on a face
of the box that wants to leave it is held there (projected Newton, Bertsekas 1982).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tilth.land.fit.day import COMPILED

#: Damping at the start, and where there is nothing more to gain.
FIRST_DAMPING, LAST_DAMPING = 1e-2, 1e9

#: Longest step of one value, in the unit box: beyond it the linear model is fiction.
_LONGEST = 0.25

#: Share of the largest curvature that damps a value about which the data say nothing.
_FLOOR = 1e-9

#: How often a step is solved for again after values stopped at a face.
_PASSES = 8


@njit(**COMPILED)
def add_products(rows, count, width, normal):
    """Add rows^T rows of the first `count` rows to the upper triangle of `normal`.

    Rows have `width` columns. Eight rows are taken together, so that the matrix is
    read and written an eighth of the time.
    """
    k = 0
    while k + 8 <= count:
        for i in range(width):
            a0, a1, a2, a3 = rows[k, i], rows[k + 1, i], rows[k + 2, i], rows[k + 3, i]
            a4, a5, a6, a7 = (
                rows[k + 4, i],
                rows[k + 5, i],
                rows[k + 6, i],
                rows[k + 7, i],
            )
            for j in range(i, width):
                normal[i, j] += (
                    a0 * rows[k, j]
                    + a1 * rows[k + 1, j]
                    + a2 * rows[k + 2, j]
                    + a3 * rows[k + 3, j]
                    + a4 * rows[k + 4, j]
                    + a5 * rows[k + 5, j]
                    + a6 * rows[k + 6, j]
                    + a7 * rows[k + 7, j]
                )
        k += 8
    while k < count:
        for i in range(width):
            a0 = rows[k, i]
            for j in range(i, width):
                normal[i, j] += a0 * rows[k, j]
        k += 1


@njit(**COMPILED)
def add_pull(normal, place, pull):
    """Add sum strength (place - towards)^2 to augmented normal equations."""
    n = place.size
    for i in range(n):
        off = place[i] - pull.towards[i]
        normal[i, i] += pull.strength[i]
        normal[i, n] += pull.strength[i] * off
        normal[n, n] += pull.strength[i] * off * off


@njit(**COMPILED)
def propose_step(normal, place, free, damping, trial):
    """Fill the next place to try; return the decrease that the linear model promises.

    Parameters
    ----------
    normal : ndarray, shape (n + 1, n + 1)
        Augmented normal equations, upper triangle.
    place : ndarray, shape (n)
        Where they hold, in the unit box.
    free : ndarray of bool, shape (n)
        Values that may move.
    damping : float
        Marquardt's lambda.
    trial : ndarray, shape (n)
        Filled.

    Returns
    -------
    float
        Promised decrease of the sum of squares; zero at a minimum.
    """
    n = place.size
    largest = 0.0
    moving = np.empty(n, np.bool_)
    step = np.zeros(n)
    for i in range(n):
        gradient = normal[i, n]
        moving[i] = free[i] and not (
            (place[i] <= 0.0 and gradient > 0.0) or (place[i] >= 1.0 and gradient < 0.0)
        )
        if moving[i]:
            largest = max(largest, normal[i, i])
    if largest == 0.0:
        trial[:] = place
        return 0.0
    # A value that the step carries through a face, or too far, stops there, and the
    # others are solved for again, knowing that.
    for _ in range(_PASSES):
        index = np.flatnonzero(moving)
        _solve(normal, index, moving, step, damping, _FLOOR * largest)
        stopped = False
        for a in range(index.size):
            i = int(index[a])
            low = max(-place[i], -_LONGEST)
            high = min(1.0 - place[i], _LONGEST)
            if step[i] < low or step[i] > high:
                step[i] = min(max(step[i], low), high)
                moving[i] = False
                stopped = True
        if not stopped:
            break
    promise = 0.0
    for i in range(n):
        trial[i] = min(max(place[i] + step[i], 0.0), 1.0)
        promise -= step[i] * (2.0 * normal[i, n] + step[i] * normal[i, i])
        for k in range(i + 1, n):
            promise -= 2.0 * step[i] * normal[i, k] * step[k]
    return promise


@njit(**COMPILED)
def _solve(normal, index, moving, step, damping, floor):
    """Fill the damped Gauss-Newton step of the moving values, the others' being known.

    By Cholesky's factorisation, row by row of its upper factor.
    """
    m, n = index.size, step.size
    factor, move = np.empty((m, m)), np.empty(m)
    for a in range(m):
        i = index[a]
        for b in range(a, m):
            factor[a, b] = normal[i, index[b]]
        factor[a, a] += damping * (normal[i, i] + floor)
        move[a] = -normal[i, n]
        for k in range(n):
            if not moving[k] and step[k] != 0.0:
                move[a] -= normal[min(i, k), max(i, k)] * step[k]
    for a in range(m):
        pivot = np.sqrt(max(factor[a, a], 1e-3 * floor))
        inverse = 1.0 / pivot
        for b in range(a, m):
            factor[a, b] *= inverse
        factor[a, a] = pivot
        for c in range(a + 1, m):
            scale = factor[a, c]
            for b in range(c, m):
                factor[c, b] -= scale * factor[a, b]
    for a in range(m):
        move[a] /= factor[a, a]
        for b in range(a + 1, m):
            move[b] -= factor[a, b] * move[a]
    for a in range(m - 1, -1, -1):
        for b in range(a + 1, m):
            move[a] -= factor[a, b] * move[b]
        move[a] /= factor[a, a]
        step[index[a]] = move[a]


@njit(**COMPILED)
def next_damping(gain, promise, damping, growth):
    """Return damping and its growth after a gain was promised and another one made.

    They follow the ratio of the two (Nielsen 1999); damping past `LAST_DAMPING` means
    that there is nothing left to gain.
    """
    if promise <= 0.0:
        return damping * growth, growth * 2.0
    if gain > 0.0:
        shrink = 1.0 - (2.0 * gain / promise - 1.0) ** 3
        return damping * max(1.0 / 3.0, min(shrink, 2.0)), 2.0
    return damping * growth, growth * 2.0
