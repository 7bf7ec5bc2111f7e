"""Permutation importance: scikit-learn's numbers, groups and conditions."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance as sklearn_importance

from tilth.core.errors import InputError
from tilth.ml import conditional_strata, draw_permutations, permutation_importance

NAMES = ("a", "b", "c", "d")


def table(n=120, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    y = 2 * x[:, 0] - x[:, 1] + 0.1 * rng.normal(size=n)
    return x, y


def permutations_of_sklearn(n, repeats, seed):
    """Return what scikit-learn does: it shuffles what it has shuffled."""
    state = np.random.RandomState(seed)
    own = np.random.RandomState(state.randint(np.iinfo(np.int32).max + 1))
    order, step = np.arange(n), np.arange(n)
    drawn = []
    for _ in range(repeats):
        own.shuffle(step)
        order = order[step]
        drawn.append(order)
    return np.array(drawn)


def test_with_the_same_permutations_it_is_scikit_learns():
    x, y = table()
    forest = RandomForestRegressor(20, random_state=0).fit(x, y)
    theirs = sklearn_importance(
        forest, x, y, n_repeats=7, random_state=3,
        scoring="neg_root_mean_squared_error",
    )  # fmt: skip
    ours = permutation_importance(
        forest.predict, x, y, NAMES,
        permutations=permutations_of_sklearn(len(y), 7, 3),
    )  # fmt: skip
    assert ours.increase == pytest.approx(theirs.importances, abs=1e-12)
    assert ours.mean == pytest.approx(theirs.importances_mean, abs=1e-12)
    assert ours.sd == pytest.approx(theirs.importances_std, abs=1e-12)


def test_stacking_in_pieces_changes_nothing(monkeypatch):
    x, y = table()

    def predict(x):
        return 2 * x[:, 0] - x[:, 1]

    whole = permutation_importance(predict, x, y, NAMES, repeats=9)
    monkeypatch.setattr("tilth.ml.importance.ROWS", 250)
    pieces = permutation_importance(predict, x, y, NAMES, repeats=9)
    assert np.array_equal(whole.increase, pieces.increase)


def test_what_a_model_does_not_use_has_no_importance():
    x, y = table()
    found = permutation_importance(lambda x: 2 * x[:, 0], x, y, NAMES)
    assert (found.increase[1:] == 0.0).all()
    assert found.table()["feature"][0] == "a"
    assert found.table()["rank"].tolist() == [1, 2, 3, 4]


def test_a_perfect_line_loses_the_variance_of_what_is_shuffled():
    # f = 3 x, y = f: RMSE of shuffled rows is 3 sqrt(2) sd(x), on average.
    x = np.random.default_rng(1).normal(size=(4000, 1))
    found = permutation_importance(lambda x: 3 * x[:, 0], x, 3 * x[:, 0], ["x"])
    assert found.base == 0.0
    assert found.mean[0] == pytest.approx(3 * np.sqrt(2) * x.std(), rel=0.01)


def test_twins_hide_each_other_until_they_are_shuffled_together():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 1)) + np.zeros((1, 2))
    y = x[:, 0]

    def predict(x):
        return x.mean(axis=1)

    alone = permutation_importance(predict, x, y, ["one", "two"]).mean
    both = permutation_importance(
        predict, x, y, ["one", "two"], groups={"both": ["one", "two"]}
    ).mean
    assert both[0] == pytest.approx(2 * alone[0], rel=0.02)


def test_within_strata_a_feature_loses_only_what_others_do_not_say():
    rng = np.random.default_rng(3)
    first = rng.integers(5, size=1500).astype(float)
    x = np.stack([first, first + 0.01 * rng.normal(size=1500)], axis=1)
    y = x[:, 1]
    strata = conditional_strata(x, 1)
    orders = draw_permutations(1500, 20, strata=strata)
    assert (strata[orders] == strata).all()
    marginal = permutation_importance(lambda x: x[:, 1], x, y, ["a", "b"]).mean[1]
    conditional = permutation_importance(
        lambda x: x[:, 1], x, y, ["a", "b"], permutations=orders
    ).mean[1]
    assert conditional < 0.02 * marginal


@pytest.mark.parametrize("strata", [None, np.arange(50) % 3])
def test_permutations_hold_every_row_once(strata):
    drawn = draw_permutations(50, 10, seed=1, strata=strata)
    assert (np.sort(drawn, axis=1) == np.arange(50)).all()
    assert len({tuple(row) for row in drawn}) == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": ["a", "b"]}, "4 features need 4 names"),
        ({"names": ["a", "a", "b", "c"]}, "names of their own"),
        ({"groups": {"g": ["a", "z"]}}, "no feature z"),
        ({"permutations": [[0, 0, 1]]}, "hold each of"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    x, y = table()
    given = {"names": NAMES, **change}
    with pytest.raises(InputError, match=words):
        permutation_importance(lambda x: x[:, 0], x, y, **given)
