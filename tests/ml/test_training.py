"""The training loop: what it learns, when it stops, what it leaves alone."""

from functools import partial

import numpy as np
import pytest

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.ml import (
    LSTM,
    MLP,
    ConvNet,
    NetworkRegressor,
    TrainingSettings,
    blocked_folds,
    fresh,
    out_of_fold,
    predict_members,
    rows_of,
    train,
)

#: Short, so that the tests are: what is asked is simple.
QUICK = TrainingSettings(epochs=150, patience=30, learning_rate=5e-3)


def wave(n=256, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 4))
    return x, np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2]


def skill(predicted, truth):
    return 1 - np.mean((predicted - truth) ** 2) / truth.var()


def build(key):
    return MLP(4, 1, width=16, depth=1, key=key)


def predict(trained, x):
    return np.array(predict_members(trained.networks, x))[..., 0]


@pytest.mark.parametrize("network", [MLP, partial(ConvNet, dropout=0.0)])
def test_a_network_learns_what_a_line_cannot(network):
    x, y = wave()
    fitted = NetworkRegressor(network, QUICK, seed=1).fit(x, 100 + 1e3 * y)
    new, truth = wave(seed=1)
    line = np.linalg.lstsq(np.c_[np.ones(len(x)), x], y, rcond=None)[0]
    assert skill(fitted.predict(new), 100 + 1e3 * truth) > 0.95
    assert skill(np.c_[np.ones(len(new)), new] @ line, truth) < 0.9


def test_units_of_features_and_target_do_not_matter():
    x, y = wave()
    plain = NetworkRegressor(settings=QUICK).fit(x, y).predict(x)
    scaled = (
        NetworkRegressor(settings=QUICK).fit(8 * x + 16, 1024 * y).predict(8 * x + 16)
    )
    assert scaled == pytest.approx(1024 * plain, rel=0, abs=30)


def test_the_same_seed_gives_the_same_network_and_another_does_not():
    x, y = wave(64)
    first, again, other = (
        NetworkRegressor(settings=QUICK, seed=seed).fit(x, y).predict(x)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_member_does_not_depend_on_how_many_there_are():
    x, y = wave(64)
    short = TrainingSettings(epochs=5)
    rows = rows_of(x, y[:, None])
    one = predict(train(build, rows, settings=short, members=1), x)
    three = predict(train(build, rows, settings=short, members=3, chunk=2), x)
    assert three.shape == (3, 64)
    assert three[0] == pytest.approx(one[0], abs=1e-5)
    assert np.abs(three[1] - three[0]).max() > 1e-2


def test_training_stops_and_gives_the_network_of_its_best_validation():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(64, 4))
    noise = rng.normal(size=64)  # nothing to learn: only to memorise
    rows = rows_of(x, noise[:, None])
    judge = rng.normal(size=(64, 4)), rng.normal(size=64)
    validation = rows_of(judge[0], judge[1][:, None])
    settings = TrainingSettings(epochs=400, patience=20, learning_rate=1e-2)
    trained = train(build, rows, validation, settings=settings)
    judged = trained.history[0, :, 1]
    assert np.isfinite(judged).sum() == trained.best_epoch[0] + 20
    assert trained.best_epoch[0] == np.nanargmin(judged) + 1
    error = np.mean((predict(trained, judge[0])[0] - judge[1]) ** 2)
    assert error == pytest.approx(np.nanmin(judged), rel=1e-4)


def test_without_validation_every_epoch_is_used():
    x, y = wave(64)
    trained = train(build, rows_of(x, y[:, None]), settings=TrainingSettings(epochs=7))
    assert trained.best_epoch.tolist() == [7]
    assert np.isfinite(trained.history[0, :, 0]).all()
    assert trained.history[0, 6, 0] < trained.history[0, 0, 0]


def test_rows_without_weight_teach_nothing():
    x, _ = wave(128)
    y = x[:, 0] - 2 * x[:, 1]
    spoilt = np.where(np.arange(128) < 64, y, 1e4)
    weight = (np.arange(128) < 64).astype(float)[None]
    trained = train(
        build, rows_of(x, spoilt[:, None]), settings=QUICK, member_weight=weight
    )
    assert skill(predict(trained, x)[0][64:], y[64:]) > 0.95


def test_missing_targets_are_left_out_one_by_one():
    x, y = wave(192)
    both = np.stack([y, -y], axis=1)
    both[::2, 0] = np.nan
    both[1::2, 1] = np.nan
    trained = train(
        lambda key: MLP(4, 2, width=32, key=key), rows_of(x, both), settings=QUICK
    )
    out = np.array(predict_members(trained.networks, x))[0]
    assert skill(out[::2, 0], y[::2]) > 0.8, "learnt from the other half"
    assert skill(out[1::2, 1], -y[1::2]) > 0.8


def test_filling_up_moves_nothing():
    # Three rows are filled up to 64; batches of filling only must change nothing.
    x, y = wave(3)
    small = TrainingSettings(epochs=3, batch=3)
    rows = rows_of(x, y[:, None])
    assert len(rows.inputs) == 64
    alone = rows._replace(
        inputs=rows.inputs[:3], targets=rows.targets[:3], weight=rows.weight[:3]
    )
    a = predict(train(build, rows, settings=small), x)
    b = predict(train(build, alone, settings=small), x)
    assert a == pytest.approx(b, abs=1e-6)


def test_a_memory_remembers():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(256, 6, 1))
    y = x[:, 1, 0] - x[:, 4, 0]
    trained = train(
        lambda key: LSTM(1, 1, width=12, key=key),
        rows_of(x[:192], y[:192, None]),
        settings=TrainingSettings(epochs=150, learning_rate=1e-2),
    )
    assert skill(predict(trained, x[192:])[0], y[192:]) > 0.9


def test_a_sequence_of_targets_has_one_for_every_step():
    network = LSTM(2, 3, every=True, key=jax.random.key(0))
    assert network(np.zeros((5, 2), np.float32)).shape == (5, 3)


def test_a_convolution_is_equinoxs():
    import equinox as eqx

    ours = ConvNet(7, 1, channels=(3,), kernel=2, key=jax.random.key(0)).convolutions[0]
    theirs = eqx.nn.Conv1d(1, 3, 2, dtype=np.float32, key=jax.random.key(1))
    theirs = eqx.tree_at(lambda c: (c.weight, c.bias), theirs, (ours.weight, ours.bias))
    row = np.random.default_rng(0).normal(size=(1, 7)).astype(np.float32)
    assert np.allclose(ours(row), theirs(row), atol=1e-6)


def test_dropout_is_for_training_only():
    network = MLP(4, 1, dropout=0.5, key=jax.random.key(0))
    row = np.ones(4, np.float32)
    assert network(row) == network(row)
    assert network(row, key=jax.random.key(1)) != network(row, key=jax.random.key(2))


def test_an_ensemble_predicts_its_mean():
    x, y = wave(96)
    fitted = NetworkRegressor(settings=QUICK, members=3).fit(x, y)
    members = fitted.predict_members(x)
    assert members.shape == (3, 96)
    assert fitted.predict(x) == pytest.approx(members.mean(axis=0))


def test_groups_are_held_back_whole():
    learner = NetworkRegressor(validation=0.25)
    groups = np.repeat(np.arange(8), 5)
    held = learner._held_back(40, groups)
    assert held.sum() == 10
    assert all(len(set(held[groups == g])) == 1 for g in range(8))


def test_a_network_is_a_learner_in_folds():
    x, y = wave(128)
    learner = NetworkRegressor(settings=QUICK)
    predicted = out_of_fold(learner, x, y, blocked_folds(128, 2))
    assert skill(predicted, y) > 0.7
    assert learner.trained is None
    assert fresh(learner).network is learner.network


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TrainingSettings(epochs=0), "epochs must be 1"),
        (lambda: TrainingSettings(learning_rate=0), "learning_rate"),
        (lambda: rows_of(np.zeros((3, 1)), np.full((3, 1), np.nan)), "no target"),
        (
            lambda: rows_of(np.full((3, 1), np.nan), np.zeros((3, 1))),
            "input is missing",
        ),
        (lambda: rows_of(np.zeros((3, 1)), np.zeros(3)), "rows first"),
        (lambda: ConvNet(2, 1, key=jax.random.key(0)), "3 features at least"),
        (lambda: NetworkRegressor().predict(np.zeros((1, 1))), "fit it first"),
        (
            lambda: NetworkRegressor().fit(np.zeros((30, 1)), np.ones(30)),
            "nothing to learn",
        ),
        (
            lambda: NetworkRegressor().fit(np.zeros((2, 1)), np.arange(2.0)),
            "cannot be held back",
        ),
        (
            lambda: (
                NetworkRegressor(settings=TrainingSettings(epochs=1))
                .fit(np.zeros((30, 1)), np.arange(30.0))
                .predict(np.zeros((1, 2)))
            ),
            "2 features, but the fit had 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
