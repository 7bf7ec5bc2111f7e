"""Splits of rows into training and testing: shuffled, by group, in blocks of time.

Which one is honest depends on what is asked. Rows that share a day, a plant or an
instrument resemble each other: shuffled, some of them are learnt and the others
"predicted". Leave the whole group out unless new rows of the same groups are meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.core.optional import load

__all__ = [
    "Split",
    "blocked_folds",
    "grouped_folds",
    "shared_groups",
    "shuffled_folds",
]


class Split(NamedTuple):
    """Rows to learn from and rows to be tested on.

    Parameters
    ----------
    train, test : numpy.ndarray of int
        Row numbers, rising.
    """

    train: np.ndarray
    test: np.ndarray


def shuffled_folds(rows: int, folds: int = 5, *, seed: int = 0) -> list[Split]:
    """Split rows at random, each in one test fold: scikit-learn's shuffled ``KFold``.

    Parameters
    ----------
    rows : int
        Number of rows.
    folds : int, default 5
        Number of folds, at most as many as rows.
    seed : int, default 0
        Of the shuffle.

    Returns
    -------
    list of Split
        One per fold.
    """
    _check_folds(folds, rows, "rows")
    selection = load("sklearn.model_selection", "ml")
    drawn = selection.KFold(folds, shuffle=True, random_state=seed)
    return [Split(*pair) for pair in drawn.split(np.empty((rows, 1)))]


def grouped_folds(groups: npt.ArrayLike, folds: int | None = None) -> list[Split]:
    """Split rows so that no group is on both sides.

    Parameters
    ----------
    groups : array_like, shape (n)
        Group of every row, such as the day or the plant; none missing.
    folds : int, optional
        Number of folds of about equal size; by default every group is left out by
        itself.

    Returns
    -------
    list of Split
        One per fold.

    Raises
    ------
    InputError
        If there is one group only, or fewer groups than folds.

    Examples
    --------
    >>> [split.test.tolist() for split in grouped_folds(["a", "b", "a"])]
    [[0, 2], [1]]
    """
    label, number = _labels(groups)
    if label.size < 2:
        raise InputError(
            f"all rows are of one group ({label[0]}): there is no other to be tested "
            "on; group by something finer, or shuffle and say so"
        )
    if folds is None:
        fold_of = np.arange(label.size)
    else:
        _check_folds(folds, label.size, "groups")
        fold_of = _even_folds(np.bincount(number), folds)
    fold = fold_of[number]
    return [
        Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k))
        for k in range(fold_of.max() + 1)
    ]


def blocked_folds(rows: int, folds: int = 5, *, purge: int = 0) -> list[Split]:
    """Split a series into blocks, with a gap between training and testing.

    Parameters
    ----------
    rows : int
        Number of rows, in the order of time.
    folds : int, default 5
        Number of blocks; each is tested once.
    purge : int, default 0
        Rows left out of training before and after the tested block: at least the
        longest lag among the predictors, or the test has been seen.

    Returns
    -------
    list of Split
        One per block.

    Raises
    ------
    InputError
        If a fold would have nothing left to learn from.

    Examples
    --------
    >>> blocked_folds(6, 3, purge=1)[0]
    Split(train=array([3, 4, 5]), test=array([0, 1]))
    """
    _check_folds(folds, rows, "rows")
    if purge < 0:
        raise InputError(f"purge is a number of rows, got {purge}")
    row = np.arange(rows)
    splits = []
    for test in np.array_split(row, folds):
        far = (row < test[0] - purge) | (row > test[-1] + purge)
        if not far.any():
            raise InputError(
                f"with a purge of {purge} rows nothing is left to learn from beside "
                f"rows {test[0]} to {test[-1]}: take fewer folds or a shorter purge"
            )
        splits.append(Split(row[far], test))
    return splits


def shared_groups(splits: Sequence[Split], groups: npt.ArrayLike) -> float:
    """Return the share of tested rows whose group was also learnt from.

    Parameters
    ----------
    splits : sequence of Split
        Any splits of the rows.
    groups : array_like, shape (n)
        Group of every row, such as the day.

    Returns
    -------
    float
        Zero where no group leaks; one where every tested row has a sibling in
        training.

    Examples
    --------
    >>> shared_groups([Split(np.array([0]), np.array([1]))], ["Monday", "Monday"])
    1.0
    """
    _, number = _labels(groups)
    tested = sum(split.test.size for split in splits)
    leaked = sum(np.isin(number[s.test], number[s.train]).sum() for s in splits)
    return float(leaked / tested)


def _labels(groups: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the groups in the order they appear, and each row's number."""
    pandas = load("pandas", "ml")
    number, label = pandas.factorize(np.asarray(groups), sort=False)
    if (number < 0).any():
        raise InputError(
            f"{(number < 0).sum()} rows have no group, the first is row "
            f"{np.flatnonzero(number < 0)[0]}: leave them out or name their group"
        )
    return np.asarray(label), number


def _even_folds(sizes: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each group: the largest first, into the emptiest fold."""
    fold_of = np.empty(sizes.size, int)
    filled = np.zeros(folds, int)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return fold_of


def _check_folds(folds: int, things: int, name: str) -> None:
    """Raise unless there are two folds or more, and something in each."""
    if not 2 <= folds <= things:
        raise InputError(
            f"{folds} folds of {things} {name}: take between 2 and {things}"
        )
