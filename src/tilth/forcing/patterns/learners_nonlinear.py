"""Learners of curved relations: Nystroem ridge, support vectors, random forests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.forcing.patterns.learners import (
    LinearFit,
    Ridge,
    require_positive,
    row_product,
)

__all__ = ["EachTarget", "Nystroem", "NystroemFit", "RandomForest", "SupportVectors"]


@dataclass(frozen=True)
class Nystroem:
    r"""Ridge on a low-rank map of the Gaussian kernel (Williams & Seeger 2001).

    Each row becomes its kernel values at `landmarks` training rows,
    :math:`\phi(x) = K_{mm}^{-1/2} k_m(x)`; a ridge on these is close to kernel
    ridge regression, and costs no more with ten times the rows.

    Parameters
    ----------
    landmarks : int, default 300
        Training rows drawn; all of them where there are fewer.
    gamma : float, default 0.3
        Width: the kernel is ``exp(-gamma / p * distance ** 2)`` with p predictors.
    alpha : float, default 1
        Penalty of the ridge.
    seed : int, default 0
        Of the draw.

    Raises
    ------
    InputError
        If a number is not positive.
    """

    landmarks: int = 300
    gamma: float = 0.3
    alpha: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("landmarks", "gamma", "alpha"):
            require_positive(name, getattr(self, name))

    def fit(self, features: np.ndarray, targets: np.ndarray) -> NystroemFit:
        """Draw landmarks and fit all targets at once.

        Parameters
        ----------
        features, targets : numpy.ndarray, shape (n, p) and (n, m)
            Predictors and targets.

        Returns
        -------
        NystroemFit
            What can predict.
        """
        # The order of draws is fixed for good, which newer generators do not promise.
        drawn = np.random.RandomState(self.seed).permutation(len(features))
        points = features[drawn[: self.landmarks]]
        gamma = self.gamma / features.shape[1]
        kernel = np.exp(-gamma * _distances(points, points))
        left, size, right = linalg.svd(kernel)
        # Of directions that the landmarks do not span there is only rounding.
        root = (left / np.sqrt(np.maximum(size, 1e-12))) @ right
        mapped = np.exp(-gamma * _distances(features, points)) @ root.T
        line = Ridge(self.alpha).fit(mapped, targets)
        weights = np.ascontiguousarray(root.T @ line.weights)
        return NystroemFit(points, gamma, LinearFit(weights, line.intercept))


@dataclass(frozen=True)
class NystroemFit:
    """A straight line of kernel values at landmarks.

    Parameters
    ----------
    landmarks : numpy.ndarray, shape (q, p)
        Rows.
    gamma : float
        Of the kernel, per squared distance.
    line : LinearFit
        Of the q kernel values.
    """

    landmarks: np.ndarray
    gamma: float
    line: LinearFit

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the predictions.

        Parameters
        ----------
        features : numpy.ndarray, shape (n, p)
            z-scores.

        Returns
        -------
        numpy.ndarray, shape (n, m)
            z-scores.
        """
        return self.line.predict(
            np.exp(-self.gamma * _distances(features, self.landmarks))
        )


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances of all rows of one to all of the other."""
    product = row_product(np.ascontiguousarray(a), np.ascontiguousarray(b.T))
    found = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2.0 * product
    return np.maximum(found, 0.0)


@dataclass(frozen=True)
class SupportVectors:
    """Support vector regression with a Gaussian kernel, one per target.

    The learner of Yoshikane & Yoshimura; their settings are not published. Not better
    than `Ridge` on the winters where both were tried.

    Parameters
    ----------
    cost : float, default 1
        C.
    tube : float, default 0.1
        Errors of less cost nothing, z-scores.
    gamma : float or "scale", default 0.3
        Width: the kernel is ``exp(-gamma / p * distance ** 2)`` with p predictors.
        "scale", scikit-learn's default, is one over the variance; it did worse.
    jobs : int, default 1
        Targets fitted at a time, in threads.

    Raises
    ------
    InputError
        If a number is not positive.
    """

    cost: float = 1.0
    tube: float = 0.1
    gamma: float | str = 0.3
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("cost", "tube", "jobs"):
            require_positive(name, getattr(self, name))
        if isinstance(self.gamma, str) and self.gamma != "scale":
            raise InputError(f'gamma is a number or "scale", got {self.gamma!r}')
        if not isinstance(self.gamma, str):
            require_positive("gamma", self.gamma)

    def fit(self, features: np.ndarray, targets: np.ndarray) -> EachTarget:
        """Fit every target by itself.

        Parameters
        ----------
        features, targets : numpy.ndarray, shape (n, p) and (n, m)
            Predictors and targets.

        Returns
        -------
        EachTarget
            What can predict.
        """
        machines = load("sklearn.svm", "ml")
        width = self.gamma
        if not isinstance(width, str):
            width = width / features.shape[1]

        def one() -> Any:
            return machines.SVR(C=self.cost, epsilon=self.tube, gamma=width)

        return _fit_each(one, features, targets, self.jobs)


@dataclass(frozen=True)
class RandomForest:
    """A random forest per target (Breiman 2001).

    Parameters
    ----------
    trees : int, default 100
        Trees.
    smallest_leaf : int, default 5
        Training rows in a leaf, at least.
    share : float, default 0.33
        Of the predictors looked at for a split.
    seed : int, default 0
        Of all draws.
    jobs : int, default 1
        Targets fitted at a time, in threads.

    Raises
    ------
    InputError
        If a number is not positive.
    """

    trees: int = 100
    smallest_leaf: int = 5
    share: float = 0.33
    seed: int = 0
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("trees", "smallest_leaf", "share", "jobs"):
            require_positive(name, getattr(self, name))

    def fit(self, features: np.ndarray, targets: np.ndarray) -> EachTarget:
        """Fit every target by itself.

        Parameters
        ----------
        features, targets : numpy.ndarray, shape (n, p) and (n, m)
            Predictors and targets.

        Returns
        -------
        EachTarget
            What can predict.
        """
        forests = load("sklearn.ensemble", "ml")

        def one() -> Any:
            return forests.RandomForestRegressor(
                n_estimators=self.trees,
                min_samples_leaf=self.smallest_leaf,
                max_features=self.share,
                random_state=self.seed,
            )

        return _fit_each(one, features, targets, self.jobs)


@dataclass(frozen=True)
class EachTarget:
    """One fitted estimator per target.

    Parameters
    ----------
    estimators : list
        With ``predict``, as scikit-learn's have it.
    """

    estimators: list[Any]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the predictions.

        Parameters
        ----------
        features : numpy.ndarray, shape (n, p)
            z-scores.

        Returns
        -------
        numpy.ndarray, shape (n, m)
            z-scores.
        """
        return np.stack([one.predict(features) for one in self.estimators], axis=1)


def _fit_each(
    one: Callable[[], Any], features: np.ndarray, targets: np.ndarray, jobs: int
) -> EachTarget:
    """Fit an estimator to every column of the targets."""
    joblib = load("joblib", "ml")
    work = (joblib.delayed(one().fit)(features, column) for column in targets.T)
    return EachTarget(list(joblib.Parallel(n_jobs=jobs, prefer="threads")(work)))
