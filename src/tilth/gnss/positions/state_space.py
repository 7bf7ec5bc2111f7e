r"""Regression with errors that a linear state makes: Kalman filter and smoother.

Observations on even steps, some of them missing, are

.. math::

    y_t = x_t^T \beta + h_t^T s_t + \sqrt{w_t}\, e_t, \qquad
    s_{t+1} = \phi \circ s_t + \eta_t

with unknown coefficients :math:`\beta`, a state :math:`s` whose elements decay each
with its own factor :math:`\phi`, and independent :math:`e`, :math:`\eta`. The filter
runs over the observations and over every column of the regressors with the same gains;
coefficients follow by least squares of the innovations, without a prior for them
(the diffuse filter of de Jong 1991). All variances are relative to that of an
observation with weight :math:`w = 1`, which is estimated in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from tilth.core.errors import InputError


@dataclass(frozen=True)
class Process:
    """A state that makes errors; all elements are independent of each other.

    Parameters
    ----------
    seen : numpy.ndarray, shape (step, element)
        How an observation sees the state, h.
    decay : numpy.ndarray, shape (element,)
        Factor over a step, phi: 1 for a random walk.
    noise : numpy.ndarray, shape (element,)
        Variance that a step adds, relative to that of an observation.
    start : numpy.ndarray, shape (element,)
        Variance before the first step, relative likewise.
    """

    seen: np.ndarray
    decay: np.ndarray
    noise: np.ndarray
    start: np.ndarray


@dataclass(frozen=True)
class Regression:
    """Coefficients with errors that a process makes.

    Parameters
    ----------
    coefficients : numpy.ndarray, shape (regressor,)
        Generalised least squares.
    covariance : numpy.ndarray, shape (regressor, regressor)
        Of the coefficients, the variances of the process taken as known.
    variance : float
        Of an observation with weight 1, estimated.
    log_likelihood : float
        Restricted: of the observations freed of the regressors, at that variance.
    observations : int
        How many there are.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    variance: float
    log_likelihood: float
    observations: int


@dataclass(frozen=True)
class Smoothed:
    """The state seen from all observations, before and after.

    Parameters
    ----------
    regression : Regression
        The coefficients it belongs to.
    state : numpy.ndarray, shape (step, element)
        Expected state.
    covariance : numpy.ndarray, shape (step, element, element)
        Of the state, with that of the coefficients.
    cross : numpy.ndarray, shape (step, element, regressor)
        Covariance of state and coefficients.
    residual, residual_se : numpy.ndarray, shape (step,)
        Observation less what all others say of it, and its standard error; NaN where
        there is none.
    push, push_information : numpy.ndarray, shape (step, element)
        Derivative of the log-likelihood with respect to a push of the state before
        a step, and its variance: push / push_information is the best push, and
        push / sqrt(push_information) says how sure it is.
    """

    regression: Regression
    state: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray
    residual: np.ndarray
    residual_se: np.ndarray
    push: np.ndarray
    push_information: np.ndarray


def regress(
    values: np.ndarray, regressors: np.ndarray, weights: np.ndarray, process: Process
) -> Regression:
    """Fit coefficients with errors that a process makes.

    Parameters
    ----------
    values : numpy.ndarray, shape (step,)
        Observations; NaN where there is none.
    regressors : numpy.ndarray, shape (step, regressor)
        Columns of the design, finite everywhere.
    weights : numpy.ndarray, shape (step,)
        Variance of each observation's own error relative to a common one.
    process : Process
        What makes the other errors.

    Returns
    -------
    Regression

    Raises
    ------
    InputError
        If there are too few observations or the regressors are not independent.
    """
    columns = np.column_stack([values, regressors])
    _check(columns, process)
    products, log_variances, count = _cross_products(
        columns, weights, process.seen, process.decay, process.noise, process.start
    )
    return _least_squares(products, log_variances, count)


def _check(columns: np.ndarray, process: Process) -> None:
    """Raise unless there is enough to fit."""
    count, needed = int(np.isfinite(columns[:, 0]).sum()), columns.shape[1]
    if count <= needed:
        raise InputError(
            f"{count} observations cannot give {needed - 1} coefficients and a "
            "variance: take fewer terms or a longer series"
        )
    if not np.isfinite(columns[:, 1:]).all():
        raise InputError("a column of the design has values that are not finite")
    if len(process.seen) != len(columns):
        raise InputError(
            f"the process has {len(process.seen)} steps, the series {len(columns)}"
        )


def _least_squares(
    products: np.ndarray, log_variances: float, count: int
) -> Regression:
    """Return the regression from cross products of innovations over their variance."""
    normal, right = products[1:, 1:], products[1:, 0]
    scale = np.sqrt(np.diag(normal))
    try:
        root = np.linalg.cholesky(normal / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        root = np.zeros_like(normal)
    if not (np.diag(root) > 1e-7).all():
        raise InputError(
            "the columns of the design are not independent where there are "
            "observations: two steps in one gap, a step outside the series, or a "
            "series too short for its terms"
        )
    inverse = np.linalg.inv(root) / scale
    unscaled = inverse.T @ inverse
    coefficients = unscaled @ right
    degrees = count - len(right)
    left = products[0, 0] - right @ coefficients
    variance = max(left / degrees, np.finfo(float).tiny)
    determinant = 2.0 * (np.log(np.diag(root)).sum() + np.log(scale).sum())
    likelihood = -0.5 * (
        degrees * (np.log(2.0 * np.pi * variance) + 1.0) + log_variances + determinant
    )
    return Regression(coefficients, variance * unscaled, variance, likelihood, count)


@numba.njit(cache=True)
def _cross_products(columns, weights, seen, decay, noise, start):
    """Return cross products of innovations over their variance, and its logarithms."""
    steps, width = columns.shape
    size = decay.size
    state = np.zeros((size, width))
    spread = np.diag(start)
    products = np.zeros((width, width))
    innovation = np.empty(width)
    gain = np.empty(size)
    log_variances, count = 0.0, 0
    for t in range(steps):
        if not np.isnan(columns[t, 0]):
            total = _gain(spread, seen[t], weights[t], gain)
            for c in range(width):
                value = columns[t, c]
                for k in range(size):
                    value -= seen[t, k] * state[k, c]
                innovation[c] = value
            for c in range(width):
                for d in range(c + 1):
                    products[c, d] += innovation[c] * innovation[d] / total
            log_variances += np.log(total)
            count += 1
            _update(state, spread, innovation, gain, total)
        _predict(state, spread, decay, noise)
    for c in range(width):
        for d in range(c):
            products[d, c] = products[c, d]
    return products, log_variances, count


@numba.njit(cache=True)
def _gain(spread, seen, weight, gain):
    """Fill the gain of an observation and return the variance of its innovation."""
    size = gain.size
    total = weight
    for k in range(size):
        value = 0.0
        for j in range(size):
            value += spread[k, j] * seen[j]
        gain[k] = value
        total += seen[k] * value
    for k in range(size):
        gain[k] /= total
    return total


@numba.njit(cache=True)
def _update(state, spread, innovation, gain, total):
    """Take an observation into the state and its covariance."""
    size, width = state.shape
    for k in range(size):
        for c in range(width):
            state[k, c] += gain[k] * innovation[c]
        for j in range(size):
            spread[k, j] -= gain[k] * gain[j] * total


@numba.njit(cache=True)
def _predict(state, spread, decay, noise):
    """Carry the state and its covariance over one step."""
    size, width = state.shape
    for k in range(size):
        for c in range(width):
            state[k, c] *= decay[k]
        for j in range(size):
            spread[k, j] *= decay[k] * decay[j]
        spread[k, k] += noise[k]


def smooth(
    values: np.ndarray, regressors: np.ndarray, weights: np.ndarray, process: Process
) -> Smoothed:
    """Find the state from all observations, with the coefficients.

    Parameters
    ----------
    values, regressors, weights, process
        As for `regress`.

    Returns
    -------
    Smoothed

    Raises
    ------
    InputError
        As `regress` does.

    References
    ----------
    de Jong (1991), Ann. Stat. 19, 1073-1083; pushes and residuals without the
    observation: de Jong & Penzer (1998), J. Am. Stat. Assoc. 93, 796-806.
    """
    columns = np.column_stack([values, regressors])
    _check(columns, process)
    products, log_variances, count, states, spreads, gains, innovations, totals = (
        _filtered(
            columns, weights, process.seen, process.decay, process.noise, process.start
        )
    )
    fit = _least_squares(products, log_variances, count)
    back, information, raw, raw_information = _backward(
        process.seen, process.decay, gains, innovations, totals
    )
    smoothed = states + spreads @ back
    own = spreads - spreads @ information @ spreads
    unscaled = fit.covariance / fit.variance
    # What one unit of each coefficient takes away from the state.
    taken = smoothed[:, :, 1:]
    cross = -taken @ unscaled
    state = smoothed[:, :, 0] - taken @ fit.coefficients
    covariance = fit.variance * (own - cross @ np.swapaxes(taken, 1, 2))
    push = back[:, :, 0] - back[:, :, 1:] @ fit.coefficients
    diagonal = np.einsum("tkk->tk", information)
    lost = np.einsum("tki,ij,tkj->tk", back[:, :, 1:], unscaled, back[:, :, 1:])
    known = raw_information - np.einsum("ti,ij,tj->t", raw[:, 1:], unscaled, raw[:, 1:])
    # An observation that alone tells a coefficient leaves nothing to compare with.
    known = np.where(known > 1e-9 * raw_information, known, np.nan)
    return Smoothed(
        regression=fit,
        state=state,
        covariance=covariance,
        cross=fit.variance * cross,
        residual=(raw[:, 0] - raw[:, 1:] @ fit.coefficients) / known,
        residual_se=np.sqrt(fit.variance / known),
        push=push / fit.variance,
        push_information=np.maximum(diagonal - lost, 0.0) / fit.variance,
    )


@numba.njit(cache=True)
def _filtered(columns, weights, seen, decay, noise, start):
    """Run the filter and keep what the way back needs."""
    steps, width = columns.shape
    size = decay.size
    states = np.empty((steps, size, width))
    spreads = np.empty((steps, size, size))
    gains = np.empty((steps, size))
    innovations = np.empty((steps, width))
    totals = np.full(steps, np.nan)
    state = np.zeros((size, width))
    spread = np.diag(start)
    products = np.zeros((width, width))
    log_variances, count = 0.0, 0
    for t in range(steps):
        states[t] = state
        spreads[t] = spread
        if not np.isnan(columns[t, 0]):
            totals[t] = _gain(spread, seen[t], weights[t], gains[t])
            for c in range(width):
                value = columns[t, c]
                for k in range(size):
                    value -= seen[t, k] * state[k, c]
                innovations[t, c] = value
            for c in range(width):
                for d in range(width):
                    products[c, d] += innovations[t, c] * innovations[t, d] / totals[t]
            log_variances += np.log(totals[t])
            count += 1
            _update(state, spread, innovations[t], gains[t], totals[t])
        _predict(state, spread, decay, noise)
    return products, log_variances, count, states, spreads, gains, innovations, totals


@numba.njit(cache=True)
def _backward(seen, decay, gains, innovations, totals):
    """Return the smoother's vectors and matrices before every step, and residuals."""
    steps, width = innovations.shape
    size = decay.size
    back = np.empty((steps, size, width))
    information = np.empty((steps, size, size))
    residual = np.full((steps, width), np.nan)
    residual_information = np.full(steps, np.nan)
    r = np.zeros((size, width))
    n = np.zeros((size, size))
    passed = np.empty((size, size))
    for t in range(steps - 1, -1, -1):
        # To the end of step t: the decay between the steps.
        for k in range(size):
            for c in range(width):
                r[k, c] *= decay[k]
            for j in range(size):
                n[k, j] *= decay[k] * decay[j]
        if not np.isnan(totals[t]):
            inner = 1.0 / totals[t]
            for k in range(size):
                for j in range(size):
                    inner += gains[t, k] * n[k, j] * gains[t, j]
            residual_information[t] = inner
            for c in range(width):
                value = innovations[t, c] / totals[t]
                for k in range(size):
                    value -= gains[t, k] * r[k, c]
                residual[t, c] = value
                for k in range(size):
                    r[k, c] += seen[t, k] * value
            # n <- h h' / F + (I - K h')' n (I - K h')
            for k in range(size):
                for j in range(size):
                    value = 0.0
                    for i in range(size):
                        value += n[k, i] * gains[t, i]
                    passed[k, j] = n[k, j] - value * seen[t, j]
            for j in range(size):
                lost = 0.0
                for i in range(size):
                    lost += gains[t, i] * passed[i, j]
                for k in range(size):
                    n[k, j] = passed[k, j] - seen[t, k] * lost
                    n[k, j] += seen[t, k] * seen[t, j] / totals[t]
        back[t] = r
        information[t] = n
    return back, information, residual, residual_information
