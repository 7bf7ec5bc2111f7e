"""Splits: every row tested once, groups whole, blocks with a gap; learners in folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from tilth.core.errors import InputError
from tilth.ml import (
    Learner,
    binned_errors,
    blocked_folds,
    fresh,
    grouped_folds,
    out_of_fold,
    shared_groups,
    shuffled_folds,
)


def every_row_once(splits, rows):
    return np.array_equal(np.sort(np.concatenate([s.test for s in splits])), rows)


def test_shuffled_folds_are_scikit_learns():
    theirs = KFold(5, shuffle=True, random_state=0).split(np.empty((33, 1)))
    for ours, (train, test) in zip(shuffled_folds(33), theirs, strict=True):
        assert np.array_equal(ours.train, train)
        assert np.array_equal(ours.test, test)


@given(st.lists(st.sampled_from("abcdefg"), min_size=5, max_size=60), st.integers(2, 4))
def test_no_group_is_on_both_sides(groups, folds):
    if len(set(groups)) < folds:
        with pytest.raises(InputError):
            grouped_folds(groups, folds)
        return
    for splits in (grouped_folds(groups, folds), grouped_folds(groups)):
        assert every_row_once(splits, np.arange(len(groups)))
        assert shared_groups(splits, groups) == 0.0
        for split in splits:
            assert not set(np.array(groups)[split.train]) & set(
                np.array(groups)[split.test]
            )


def test_groups_of_unlike_size_are_spread_evenly():
    groups = np.repeat(np.arange(8), [100, 10, 10, 10, 30, 30, 40, 50])
    sizes = [s.test.size for s in grouped_folds(groups, 3)]
    assert sorted(sizes) == [90, 90, 100]


@given(st.integers(10, 80), st.integers(2, 5), st.integers(0, 3))
def test_blocks_keep_their_distance(rows, folds, purge):
    splits = blocked_folds(rows, folds, purge=purge)
    assert every_row_once(splits, np.arange(rows))
    for train, test in splits:
        assert np.array_equal(test, np.arange(test[0], test[-1] + 1))
        gap = np.abs(train[:, None] - test).min()
        assert gap == purge + 1
        assert train.size + test.size >= rows - 2 * purge


def test_shuffled_rows_of_a_day_leak():
    days = np.repeat(np.arange(10), 10)
    assert shared_groups(shuffled_folds(100), days) > 0.95
    assert shared_groups(grouped_folds(days, 5), days) == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shuffled_folds(3, 5), "between 2 and 3"),
        (lambda: grouped_folds(["a", "a"]), "all rows are of one group"),
        (lambda: grouped_folds(["a", None, "b"]), "1 rows have no group.*row 1"),
        (lambda: blocked_folds(10, 2, purge=9), "nothing is left"),
        (lambda: blocked_folds(10, 2, purge=-1), "number of rows"),
    ],
)
def test_what_cannot_be_split_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


class Memory:
    """Predicts the mean of what it was fitted to; knows how often it was."""

    fits = 0

    def fit(self, x, y):
        self.fits += 1
        self.mean = np.mean(y)
        return self

    def predict(self, x):
        return np.full(len(x), self.mean)


@pytest.mark.parametrize("learner", [Memory(), LinearRegression()])
def test_a_fresh_learner_has_seen_nothing(learner):
    assert isinstance(learner, Learner)
    copy = fresh(learner)
    copy.fit(np.arange(3.0)[:, None], np.arange(3.0))
    assert not hasattr(learner, "mean")
    assert not hasattr(learner, "coef_")


def test_a_prediction_comes_from_rows_of_other_folds_only():
    y = np.arange(12.0)
    splits = blocked_folds(12, 3)
    predicted = out_of_fold(Memory(), y[:, None], y, splits)
    for split in splits:
        assert (predicted[split.test] == y[split.train].mean()).all()
    assert np.isnan(out_of_fold(Memory(), y[:, None], y, splits[:1])[4:]).all()


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((4, 2)), np.array([1, np.nan, 2, 3]), "1 rows of the target.*row 1"),
        (np.full((4, 2), np.inf), np.zeros(4), "4 rows of the features"),
        (np.zeros(4), np.zeros(4), "rows and columns"),
        (np.zeros((4, 2)), np.zeros(3), "4 rows of features"),
    ],
)
def test_numbers_that_are_missing_are_named(x, y, words):
    with pytest.raises(InputError, match=words):
        out_of_fold(Memory(), x, y, blocked_folds(4, 2))


def test_a_row_is_not_tested_twice():
    splits = blocked_folds(4, 2)
    with pytest.raises(InputError, match="tested in two splits"):
        out_of_fold(Memory(), np.zeros((4, 1)), np.zeros(4), [*splits, splits[0]])


def test_errors_by_bin_count_rows_and_leave_gaps_open():
    table = binned_errors([1, 2, 3, np.nan], [0, 2, 5, 1], [-2, 0, 0.6, 9], [-1, 0, 1])
    assert table["n"].tolist() == [1, 0, 2, 0]
    assert table["rmse"][0] == 1.0
    assert table["rmse"][2] == pytest.approx(np.sqrt(2))
    assert table["bias"][2] == -1.0
    assert np.isnan(table["rmse"][1])
    assert np.isnan(table["rmse_se"][0])


def test_the_standard_error_of_a_bin_is_that_of_repeated_samples():
    rng = np.random.default_rng(0)
    tables = [
        binned_errors(rng.normal(size=400), np.zeros(400), np.zeros(400), [1.0])
        for _ in range(300)
    ]
    spread = np.std([t["rmse"][0] for t in tables])
    assert np.mean([t["rmse_se"][0] for t in tables]) == pytest.approx(spread, rel=0.15)
