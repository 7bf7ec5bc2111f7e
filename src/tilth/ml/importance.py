"""Permutation importance: how much worse predictions get when a feature is shuffled.

All shuffled copies go through the model in a few large predictions instead of many
small ones. Features that are tied to each other (temperatures and their difference)
share their importance, or hide it from each other: shuffle them together as a group,
or only among rows that are alike in the others (`conditional_strata`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilth.core.errors import InputError
from tilth.ml.learners import check_table

__all__ = [
    "Importance",
    "conditional_strata",
    "draw_permutations",
    "permutation_importance",
]

#: Rows of one prediction: larger ones are not faster and take memory.
ROWS = 200_000


@dataclass(frozen=True)
class Importance:
    """Loss of skill by feature or group of features.

    Parameters
    ----------
    names : tuple of str
        Features or groups.
    base : float
        Root-mean-square error as it is, in the units of the target.
    increase : numpy.ndarray, shape (name, repeat)
        Root-mean-square error with the feature shuffled, less `base`.
    """

    names: tuple[str, ...]
    base: float
    increase: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean over the shuffles."""
        return self.increase.mean(axis=1)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation over the shuffles."""
        return self.increase.std(axis=1)

    def table(self) -> pd.DataFrame:
        """Return the features by importance, with rank and percent of `base`."""
        rows = pd.DataFrame(
            {
                "feature": self.names,
                "importance": self.mean,
                "sd": self.sd,
                "percent": 100 * self.mean / self.base,
            }
        ).sort_values("importance", ascending=False, ignore_index=True)
        rows.insert(0, "rank", rows.index + 1)
        return rows


def permutation_importance(
    predict: Callable[[np.ndarray], Any],
    features: npt.ArrayLike,
    target: npt.ArrayLike,
    names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    repeats: int = 50,
    seed: int = 0,
    permutations: npt.ArrayLike | None = None,
) -> Importance:
    r"""Measure how much a model's error grows when features are shuffled.

    .. math:: I_j = \mathrm{RMSE}(y, f(X_{\pi(j)})) - \mathrm{RMSE}(y, f(X))

    (Breiman 2001; Fisher, Rudin & Dominici 2019). On rows the model was fitted to it
    says what the model uses; on rows it has not seen, what helps.

    Parameters
    ----------
    predict : callable
        Rows (n, p) -> predictions (n).
    features : array_like, shape (n, p)
        Rows to predict.
    target : array_like, shape (n)
        Their truth.
    names : sequence of str
        Of the p features.
    groups : mapping of str to sequence of str, optional
        Name -> features that are shuffled together; by default each by itself.
    repeats : int, default 50
        Number of shuffles.
    seed : int, default 0
        Of the shuffles.
    permutations : array of int, shape (repeats, n), optional
        Shuffles to use instead: of `draw_permutations`, or another program's. They
        are the same for every feature.

    Returns
    -------
    Importance
        In the units of the target.

    Raises
    ------
    InputError
        If a name is unknown, or the permutations are none.

    References
    ----------
    Breiman (2001), Machine Learning 45, 5-32; Fisher, Rudin & Dominici (2019), JMLR
    20(177), 1-81.
    """
    x, y = check_table(features, target)
    wanted = _columns(names, groups, x.shape[1])
    if permutations is None:
        orders = draw_permutations(y.size, repeats, seed=seed)
    else:
        orders = np.asarray(permutations)
        whole = orders.ndim == 2 and orders.shape[1] == y.size
        if not whole or (np.sort(orders, axis=1) != np.arange(y.size)).any():
            raise InputError(
                f"permutations of {y.size} rows hold each of 0 to {y.size - 1} once in "
                f"every row; got the shape {orders.shape}"
            )

    def error(predicted: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean((predicted - y) ** 2, axis=-1))

    base = float(error(np.ravel(predict(x))))
    increase = np.empty((len(wanted), len(orders)))
    at_once = max(1, ROWS // y.size)
    for row, columns in enumerate(wanted.values()):
        for start in range(0, len(orders), at_once):
            some = orders[start : start + at_once]
            stacked = np.tile(x, (len(some), 1))
            stacked[:, columns] = x[some.ravel()][:, columns]
            predicted = np.ravel(predict(stacked)).reshape(len(some), y.size)
            increase[row, start : start + len(some)] = error(predicted) - base
    return Importance(tuple(wanted), base, increase)


def draw_permutations(
    rows: int,
    repeats: int = 50,
    *,
    seed: int = 0,
    strata: npt.ArrayLike | None = None,
) -> np.ndarray:
    """Draw shuffles of rows, everywhere or within strata only.

    Parameters
    ----------
    rows : int
        Number of rows.
    repeats : int, default 50
        Number of shuffles.
    seed : int, default 0
        Of the draws.
    strata : array_like, shape (rows), optional
        Rows change places only with rows of the same stratum (`conditional_strata`).

    Returns
    -------
    numpy.ndarray of int, shape (repeats, rows)
        Each row a permutation.
    """
    rng = np.random.default_rng(seed)
    if strata is None:
        return np.array([rng.permutation(rows) for _ in range(repeats)])
    label = np.asarray(strata)
    if label.shape != (rows,):
        raise InputError(f"{rows} rows, but strata of the shape {label.shape}")
    places = np.argsort(label, kind="stable")
    drawn = np.empty((repeats, rows), int)
    for k in range(repeats):
        # Sorted by stratum, at random within: the same strata at other rows.
        shuffled = np.lexsort((rng.random(rows), label))
        drawn[k, places] = shuffled
    return drawn


def conditional_strata(
    features: npt.ArrayLike, column: int, *, least: int = 20
) -> np.ndarray:
    """Return strata of rows in which a feature hardly depends on the others.

    A regression tree predicts the feature from the others; its leaves are the strata.
    Shuffled within them, a feature loses only what the others do not already say
    (Molnar et al. 2023, conditional subgroups).

    Parameters
    ----------
    features : array_like, shape (n, p)
        All features.
    column : int
        The feature that is going to be shuffled.
    least : int, default 20
        Rows in a stratum at least.

    Returns
    -------
    numpy.ndarray of int, shape (n)
        Number of the stratum of every row.

    References
    ----------
    Molnar, Koenig, Bischl & Casalicchio (2023), Data Mining and Knowledge Discovery
    38, 2903-2941.
    """
    from sklearn.tree import DecisionTreeRegressor

    x, _ = check_table(features)
    tree = DecisionTreeRegressor(min_samples_leaf=least, random_state=0)
    others = np.delete(x, column, axis=1)
    return tree.fit(others, x[:, column]).apply(others)


def _columns(
    names: Sequence[str], groups: Mapping[str, Sequence[str]] | None, count: int
) -> dict[str, list[int]]:
    """Return name -> the columns that are shuffled together."""
    names = list(names)
    if len(names) != count or len(set(names)) != count:
        raise InputError(f"{count} features need {count} names of their own: {names}")
    wanted = {name: [name] for name in names} if groups is None else groups
    unknown = {member for group in wanted.values() for member in group} - set(names)
    if unknown:
        raise InputError(
            f"no feature {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    return {
        name: [names.index(member) for member in group]
        for name, group in wanted.items()
    }
