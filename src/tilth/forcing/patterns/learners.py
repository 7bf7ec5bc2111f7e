"""What learns the pattern: the door for all learners, and ridge, the default.

All get predictors and targets as z-scores of the training time. Ridge and Nystroem
ridge factorise once for all targets that share their predictors; support vectors and
forests need a fit per target (`tilth.forcing.patterns.learners_nonlinear`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from scipy import linalg

from tilth.core.errors import InputError

__all__ = [
    "Fitted",
    "LinearFit",
    "PatternLearner",
    "Ridge",
    "fit_out_of_fold",
    "require_positive",
    "row_product",
]


class Fitted(Protocol):
    """What a learner became."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return (n, m) for features (n, p), each row for itself."""


class PatternLearner(Protocol):
    """Settings that can be fitted to z-scores."""

    def fit(self, features: np.ndarray, targets: np.ndarray) -> Fitted:
        """Learn targets (n, m) from features (n, p)."""


@njit(cache=True, nogil=True, error_model="numpy")
def row_product(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``rows @ weights``, each row the same whatever rows are beside it.

    Parameters
    ----------
    rows : numpy.ndarray, shape (n, p)
        C order.
    weights : numpy.ndarray, shape (p, m)
        C order.

    Returns
    -------
    numpy.ndarray, shape (n, m)
        Library products round differently for blocks of other sizes; here results do
        not depend, to the last bit, on how rows were chunked.
    """
    n, p = rows.shape
    m = weights.shape[1]
    result = np.zeros((n, m))
    tile = 256
    for start in range(0, m, tile):
        stop = min(start + tile, m)
        for i in range(n):
            for k in range(p):
                factor = rows[i, k]
                for j in range(start, stop):
                    result[i, j] += factor * weights[k, j]
    return result


@dataclass(frozen=True)
class LinearFit:
    """Straight lines: ``x @ weights + intercept``.

    Parameters
    ----------
    weights : numpy.ndarray, shape (p, m)
        Of z-scores.
    intercept : numpy.ndarray, shape (m,)
        Of z-scores.
    """

    weights: np.ndarray
    intercept: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the lines' values.

        Parameters
        ----------
        features : numpy.ndarray, shape (n, p)
            z-scores.

        Returns
        -------
        numpy.ndarray, shape (n, m)
            z-scores.
        """
        return (
            row_product(np.ascontiguousarray(features), self.weights) + self.intercept
        )


@dataclass(frozen=True)
class Ridge:
    r"""Ridge regression, one factorisation for all targets.

    .. math:: w = (X^T X + \alpha I)^{-1} X^T y

    with columns centred, the intercept not shrunk (Hoerl & Kennard 1970).

    Parameters
    ----------
    alpha : float, default 10
        Penalty. Ten for z-scores of a thousand days and some dozens of predictors was
        the value exercised on Iberian winters (see the manual, patterns).

    Raises
    ------
    InputError
        If `alpha` is not positive.
    """

    alpha: float = 10.0

    def __post_init__(self) -> None:
        require_positive("alpha", self.alpha)

    def fit(self, features: np.ndarray, targets: np.ndarray) -> LinearFit:
        """Fit all targets at once.

        Parameters
        ----------
        features : numpy.ndarray, shape (n, p)
            Predictors.
        targets : numpy.ndarray, shape (n, m)
            Targets.

        Returns
        -------
        LinearFit
            Weights and intercepts.
        """
        moments = _Moments.of(features, targets)
        return moments.solve(self.alpha)

    def fit_out_of_fold(
        self, features: np.ndarray, targets: np.ndarray, fold: np.ndarray
    ) -> tuple[LinearFit, np.ndarray]:
        """Fit all rows, and predict each fold from the others.

        The sums that a fit needs are taken once per fold and added up.

        Parameters
        ----------
        features, targets : numpy.ndarray, shape (n, p) and (n, m)
            As for `fit`.
        fold : numpy.ndarray of int, shape (n,)
            Fold of each row.

        Returns
        -------
        LinearFit
            Of all rows.
        numpy.ndarray, shape (n, m)
            Predictions by learners that have not seen the row.
        """
        order = np.argsort(fold, kind="stable")
        x, y = features[order], targets[order]
        ends = np.append(np.flatnonzero(np.diff(fold[order])) + 1, len(fold))
        parts = [slice(a, b) for a, b in zip(np.append(0, ends), ends, strict=False)]
        sums = [_Moments.of(x[part], y[part]) for part in parts]
        whole = _Moments.total(sums)
        predicted = np.empty(targets.shape)
        for part, own in zip(parts, sums, strict=True):
            found = whole.without(own).solve(self.alpha)
            predicted[order[part]] = x[part] @ found.weights + found.intercept
        return whole.solve(self.alpha), predicted


@dataclass(frozen=True)
class _Moments:
    """Sums over rows from which a ridge follows; those of several blocks add up."""

    count: int
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> _Moments:
        """Return the sums over these rows."""
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y)

    @classmethod
    def total(cls, parts: list[_Moments]) -> _Moments:
        """Return the sums over the rows of all parts."""
        return cls(*(sum(getattr(part, name) for part in parts) for name in _SUMS))

    def without(self, part: _Moments) -> _Moments:
        """Return the sums over the other rows."""
        return _Moments(*(getattr(self, n) - getattr(part, n) for n in _SUMS))

    def solve(self, alpha: float) -> LinearFit:
        """Return the ridge of the rows."""
        # Inputs are z-scores, so that subtracting the means costs no digits.
        mean_x, mean_y = self.x / self.count, self.y / self.count
        gram = self.xx - np.outer(self.x, mean_x)
        gram[np.diag_indices_from(gram)] += alpha
        factor = linalg.cho_factor(gram, overwrite_a=True, check_finite=False)
        right = self.xy - np.outer(self.x, mean_y)
        weights = linalg.cho_solve(factor, right, check_finite=False)
        return LinearFit(np.ascontiguousarray(weights), mean_y - mean_x @ weights)


#: What `_Moments` holds.
_SUMS = ("count", "x", "y", "xx", "xy")


def fit_out_of_fold(
    learner: PatternLearner,
    features: np.ndarray,
    targets: np.ndarray,
    fold: np.ndarray,
) -> tuple[Fitted, np.ndarray]:
    """Fit all rows, and predict every row by a learner that has not seen its fold.

    Parameters
    ----------
    learner : PatternLearner
        Its settings.
    features, targets : numpy.ndarray, shape (n, p) and (n, m)
        Predictors and targets.
    fold : numpy.ndarray of int, shape (n,)
        Fold of each row.

    Returns
    -------
    Fitted
        Of all rows.
    numpy.ndarray, shape (n, m)
        Predictions of rows held out.
    """
    if isinstance(learner, Ridge):
        return learner.fit_out_of_fold(features, targets, fold)
    predicted = np.empty(targets.shape)
    for k in np.unique(fold):
        own = fold == k
        fitted = learner.fit(features[~own], targets[~own])
        predicted[own] = fitted.predict(features[own])
    return learner.fit(features, targets), predicted


def require_positive(name: str, value: float) -> None:
    """Raise unless a setting is a positive number.

    Parameters
    ----------
    name : str
        Of the setting.
    value : float
        Its value.

    Raises
    ------
    InputError
        If it is not.
    """
    if not value > 0:
        raise InputError(f"{name} must be positive, got {value}")
