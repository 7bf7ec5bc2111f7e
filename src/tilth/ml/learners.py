"""What can learn: one small protocol for scikit-learn's estimators and networks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.ml.splits import Split

__all__ = ["Learner", "check_table", "fresh", "out_of_fold"]


@runtime_checkable
class Learner(Protocol):
    """Anything with ``fit`` and ``predict``, as scikit-learn's regressors have them."""

    def fit(self, features: Any, target: Any, /) -> Any:
        """Learn from rows (n, p) and their targets (n); return what can predict."""

    def predict(self, features: Any, /) -> Any:
        """Return the predictions (n) for rows (n, p)."""


Kind = TypeVar("Kind")


def fresh(learner: Kind) -> Kind:
    """Return an unfitted copy, so that one fit cannot see another.

    Parameters
    ----------
    learner : Learner
        An estimator; it stays as it is.

    Returns
    -------
    Learner
        Of the same kind and settings.
    """
    if hasattr(learner, "__sklearn_clone__") or hasattr(learner, "get_params"):
        from sklearn.base import clone

        return clone(learner)
    return copy.deepcopy(learner)


def out_of_fold(
    learner: Learner,
    features: npt.ArrayLike,
    target: npt.ArrayLike,
    splits: Sequence[Split],
) -> np.ndarray:
    """Predict every tested row by a learner that has not seen it.

    Parameters
    ----------
    learner : Learner
        Fitted anew, from its settings, in every split.
    features : array_like, shape (n, p)
        Numbers without gaps.
    target : array_like, shape (n)
        Numbers without gaps.
    splits : sequence of Split
        A row is tested once at most.

    Returns
    -------
    numpy.ndarray, shape (n)
        Predictions; NaN for rows that no split tests.

    Raises
    ------
    InputError
        If numbers are missing, or a row is tested twice.
    """
    x, y = check_table(features, target)
    predicted = np.full(y.size, np.nan)
    for split in splits:
        if np.isfinite(predicted[split.test]).any():
            raise InputError("a row is tested in two splits: whose prediction is it?")
        fitted = fresh(learner).fit(x[split.train], y[split.train])
        predicted[split.test] = np.ravel(fitted.predict(x[split.test]))
    return predicted


def check_table(
    features: npt.ArrayLike, target: npt.ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return features and target as arrays of numbers, or raise.

    Parameters
    ----------
    features : array_like, shape (n, p)
        Predictors.
    target : array_like, shape (n), optional
        What is to be learnt; zeros where it is not given.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        Of float64.

    Raises
    ------
    InputError
        If shapes do not fit or a number is missing.
    """
    x = np.asarray(features, float)
    if x.ndim != 2 or not x.size:
        raise InputError(f"features need rows and columns, got the shape {x.shape}")
    y = np.zeros(len(x)) if target is None else np.asarray(target, float)
    if y.shape != (len(x),):
        raise InputError(f"{len(x)} rows of features, but a target of shape {y.shape}")
    for name, values in (("features", x), ("target", y[:, None])):
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if wrong.size:
            raise InputError(
                f"{wrong.size} rows of the {name} have a number missing or infinite, "
                f"the first is row {wrong[0]}: leave such rows out first"
            )
    return x, y
