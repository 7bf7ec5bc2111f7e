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


@njit(**(COMPILED | {"fastmath": {"contract", "reassoc"}}))
def add_products(columns, count, width, normal):
    """Add columns columns^T of the first `count` entries to the upper triangle.

    Most of the time of a fit is spent here. Sixteen sums at a time stay in registers,
    so that eight numbers read serve sixteen products; below the diagonal, within such
    a tile, something is left that nobody reads.

    Parameters
    ----------
    columns : ndarray, shape (at least width, at least count)
        Jacobian and, last, residual, one column a row.
    count, width : int
        What is used of it.
    normal : ndarray, shape (width, width)
        Added to.
    """
    whole = width - width % 4
    for i in range(0, whole, 4):
        for j in range(i, whole, 4):
            s00, s01, s02, s03 = 0.0, 0.0, 0.0, 0.0
            s10, s11, s12, s13 = 0.0, 0.0, 0.0, 0.0
            s20, s21, s22, s23 = 0.0, 0.0, 0.0, 0.0
            s30, s31, s32, s33 = 0.0, 0.0, 0.0, 0.0
            for k in range(count):
                a, b = columns[i, k], columns[i + 1, k]
                c, d = columns[i + 2, k], columns[i + 3, k]
                e, f = columns[j, k], columns[j + 1, k]
                g, h = columns[j + 2, k], columns[j + 3, k]
                s00 += a * e
                s01 += a * f
                s02 += a * g
                s03 += a * h
                s10 += b * e
                s11 += b * f
                s12 += b * g
                s13 += b * h
                s20 += c * e
                s21 += c * f
                s22 += c * g
                s23 += c * h
                s30 += d * e
                s31 += d * f
                s32 += d * g
                s33 += d * h
            normal[i, j] += s00
            normal[i, j + 1] += s01
            normal[i, j + 2] += s02
            normal[i, j + 3] += s03
            normal[i + 1, j] += s10
            normal[i + 1, j + 1] += s11
            normal[i + 1, j + 2] += s12
            normal[i + 1, j + 3] += s13
            normal[i + 2, j] += s20
            normal[i + 2, j + 1] += s21
            normal[i + 2, j + 2] += s22
            normal[i + 2, j + 3] += s23
            normal[i + 3, j] += s30
            normal[i + 3, j + 1] += s31
            normal[i + 3, j + 2] += s32
            normal[i + 3, j + 3] += s33
    for j in range(whole, width):
        for i in range(j + 1):
            total = 0.0
            for k in range(count):
                total += columns[i, k] * columns[j, k]
            normal[i, j] += total


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
