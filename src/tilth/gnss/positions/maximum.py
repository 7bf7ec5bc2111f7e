"""The maximum of the likelihood, and what its curvature says of all parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from tilth.gnss.positions.likelihood import NoiseShape, ShapeLikelihood, ShapeTerms

#: Step of the differences that give gradients: rounding and curvature balance.
_SMALL = 1e-6

#: The search ends when the log likelihood changes by less than this share of itself:
#: 1e-5 of a value of 10 000, which moves no parameter by 0.005 standard errors.
_DIGITS = 1e-9

#: The first step of the search is at most this long: farther off lie false minima.
_FIRST_STEP = 0.2

#: Where the search looks again if a noise has no share: this far from the end.
_ASIDE = 0.15

#: Step of the differences that give the curvature: angles and indices have standard
#: errors of 0.005 and more.
_STEP = 2e-3

#: Shape from which the search starts: angles, index, log of damping.
_START = (0.4, 1.2, 0.0)


@dataclass(frozen=True)
class Maximum:
    """Where the likelihood is largest, and how sharply.

    Parameters
    ----------
    x : numpy.ndarray, shape (coordinate)
        Shape of the noise.
    scale : float
        Its size, m.
    terms : ShapeTerms
        Of the likelihood there.
    natural : numpy.ndarray, shape (noise parameter)
        As of `NoiseShape.natural`.
    natural_se : numpy.ndarray, shape (noise parameter)
        Standard errors; NaN where a coordinate is at the end of its range.
    freedom : numpy.ndarray, shape (parameter)
        Degrees of freedom of the variance of each parameter of the trajectory.
    evaluations : int
        Of the likelihood.
    """

    x: np.ndarray
    scale: float
    terms: ShapeTerms
    natural: np.ndarray
    natural_se: np.ndarray
    freedom: np.ndarray
    evaluations: int


class _Counted:
    """Terms of a likelihood, computed once for each shape."""

    def __init__(self, likelihood: ShapeLikelihood) -> None:
        self.likelihood = likelihood
        self.known: dict[bytes, ShapeTerms] = {}

    def terms(self, x: np.ndarray) -> ShapeTerms:
        key = np.ascontiguousarray(x, float).tobytes()
        if key not in self.known:
            self.known[key] = self.likelihood.terms(x)
        return self.known[key]

    def __call__(self, x: np.ndarray) -> float:
        return self.likelihood.negative(self.terms(x))


def maximise(likelihood: ShapeLikelihood) -> Maximum:
    """Find the noise that makes the observations most likely.

    Parameters
    ----------
    likelihood : ShapeLikelihood
        Of the observations.

    Returns
    -------
    Maximum
        With standard errors from the curvature of the likelihood.
    """
    shape, negative = likelihood.shape, _Counted(likelihood)
    best = np.empty(0)
    if shape.size:
        angle, index, log_damping = _START
        start = np.concatenate(
            [
                np.full(shape.angles, angle),
                np.full(len(shape.free_index), index),
                np.full(len(shape.free_damping), log_damping),
            ]
        )
        if shape.model.combination == "quadrature":
            # The additive form costs a fifth, and its maximum is not far.
            additive = replace(shape.model, combination="additive")
            near = likelihood.with_shape(NoiseShape(additive, shape.interval))
            found = _search(near, _Counted(near), start)
            start = np.clip(found, shape.low + _ASIDE, shape.high - _ASIDE)
        best = _search(likelihood, negative, start)
        # In quadrature the slope to an angle is zero where a noise has no share, be it
        # the maximum or not: look again from beside it.
        inward = np.clip(best, shape.low + _ASIDE, shape.high - _ASIDE)
        if (inward[: shape.angles] != best[: shape.angles]).any():
            again = _search(likelihood, negative, inward)
            best = min(best, again, key=negative)
    terms = negative.terms(best)
    scale = likelihood.scale(terms)
    natural_se, freedom = _curvature(likelihood, negative, best)
    return Maximum(
        best,
        scale,
        terms,
        shape.natural(best, scale),
        natural_se,
        freedom,
        len(negative.known),
    )


def _search(
    likelihood: ShapeLikelihood, negative: _Counted, start: np.ndarray
) -> np.ndarray:
    """Return the shape of a minimum found from a start."""
    shape = likelihood.shape
    limits = np.array([shape.low, shape.high]).T / _FIRST_STEP
    found = optimize.minimize(
        lambda z: negative(z * _FIRST_STEP),
        start / _FIRST_STEP,
        method="L-BFGS-B",
        bounds=limits,
        options={"eps": _SMALL / _FIRST_STEP, "ftol": _DIGITS, "gtol": 1e-2},
    )
    return np.clip(found.x * _FIRST_STEP, shape.low, shape.high)


def _curvature(
    likelihood: ShapeLikelihood, negative: _Counted, best: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return standard errors of the noise, and the freedom of other variances.

    Minus the log likelihood, with s the size of the noise and f the freedom, is
    f log s + Q(x) / 2 s^2 + D(x) / 2: its second derivatives at the maximum follow from
    those of Q and D. The variance v of a parameter depends on the noise; by the delta
    method 2 / Var(log v) is the number of degrees of freedom that a variance with this
    uncertainty has (Satterthwaite).
    """
    shape = likelihood.shape
    inside = (best > shape.low + 2 * _STEP) & (best < shape.high - 2 * _STEP)
    free = [int(i) for i in np.flatnonzero(inside)]
    here = negative.terms(best)
    scale = likelihood.scale(here)

    def parts(moves: dict[int, float]) -> np.ndarray:
        x = best.copy()
        for i, move in moves.items():
            x[i] += move
        terms = negative.terms(x)
        other = terms.log_determinant + likelihood.restricted * terms.log_normal
        variances = np.log(np.diag(terms.inverse_normal))
        return np.concatenate([[terms.squares / scale**2, other], variances])

    h = _STEP
    middle = parts({})
    up = {i: parts({i: h}) for i in free}
    down = {i: parts({i: -h}) for i in free}
    size = len(free) + 1
    hessian = np.empty((size, size))
    hessian[0, 0] = 2.0 * likelihood.freedom
    slopes = np.full((size, likelihood.parameters), 2.0)
    for a, i in enumerate(free, 1):
        first = (up[i] - down[i]) / (2 * h)
        slopes[a] = first[2:]
        hessian[0, a] = hessian[a, 0] = -first[0]
        hessian[a, a] = ((up[i] - 2 * middle + down[i]) / h**2)[:2].sum() / 2.0
        for b, j in enumerate(free[: a - 1], 1):
            mixed = parts({i: h, j: h}) - parts({i: h, j: -h})
            mixed -= parts({i: -h, j: h}) - parts({i: -h, j: -h})
            hessian[a, b] = hessian[b, a] = mixed[:2].sum() / (4 * h**2) / 2.0
    jacobian = _natural_slopes(likelihood, best, scale, free)
    if np.linalg.eigvalsh(hessian).min() <= 0:  # flat: nothing is known of the noise
        return np.full(len(jacobian), np.nan), np.ones(likelihood.parameters)
    covariance = np.linalg.inv(hessian)
    se = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    spread = np.einsum("ap,ab,bp->p", slopes, covariance, slopes)
    se[_stuck(likelihood, best, inside)] = np.nan
    return se, 2.0 / spread


def _natural_slopes(
    likelihood: ShapeLikelihood, best: np.ndarray, scale: float, free: list[int]
) -> np.ndarray:
    """Return derivatives of the natural parameters to log size and free coordinates."""
    shape, e = likelihood.shape, _SMALL
    columns = [
        (
            shape.natural(best, scale * np.exp(e))
            - shape.natural(best, scale * np.exp(-e))
        )
        / (2 * e)
    ]
    for i in free:
        move = np.zeros(best.size)
        move[i] = e
        there, back = (
            shape.natural(best + move, scale),
            shape.natural(best - move, scale),
        )
        columns.append((there - back) / (2 * e))
    return np.array(columns).T


def _stuck(
    likelihood: ShapeLikelihood, best: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Return which natural parameters are at the end of their range."""
    shape = likelihood.shape
    gone = shape.shares(best) < 2 * _STEP
    return np.concatenate([gone, ~inside[shape.angles :]])
