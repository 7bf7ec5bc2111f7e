"""The experiment on stomata: importance beside scikit-learn's, effects, networks.

On open leaves where they are at hand (dataset ``tumbarumba-spot``), else on as many
made-up ones. Importance is compared at the same shuffles and must come to the same
numbers. CPU time is that of all threads of this process; the study is run in a process
of its own.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from benchmarks.measure import Row, cpu_seconds, in_fresh_process
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.ml import accumulated_effect, accumulated_surface, permutation_importance
from tilth.stomata.experiments import EXPERIMENTS, feature_table
from tilth.stomata.learners import conv_net, dense_net, random_forest, support_vectors
from tilth.studies.registry import STUDIES

REPEATS = 50


def leaves() -> xr.Dataset:
    """Return leaves: those that are open, or as many made up."""
    from tilth.stomata.made_up import made_up_leaves
    from tilth.stomata.readers import read_gas_exchange

    try:
        folder = locate("tumbarumba-spot", download=False)
    except DatasetError as error:
        print(f"  made-up leaves instead: {error}")
        return made_up_leaves(plants=10, days=13, per_day=29)
    return read_gas_exchange(folder / "tumbarumba_spot.csv")


def shuffles(rows: int, seed: int = 0) -> np.ndarray:
    """Return what scikit-learn does: it shuffles again what it has shuffled."""
    state = np.random.RandomState(seed)
    own = np.random.RandomState(state.randint(np.iinfo(np.int32).max + 1))
    order, step = np.arange(rows), np.arange(rows)
    drawn = []
    for _ in range(REPEATS):
        own.shuffle(step)
        order = order[step]
        drawn.append(order)
    return np.array(drawn)


def run() -> list[Row]:
    """Measure and return the rows."""
    seen = leaves()
    return [*_importance(seen), *_effects(seen), *_networks(seen), *_study()]


def _importance(seen: xr.Dataset) -> list[Row]:
    """Time the importance of all features of a forest and of support vectors."""
    from sklearn.inspection import permutation_importance as theirs

    table, names = feature_table(seen, EXPERIMENTS["E5"])
    truth = seen["conductance"].values
    drawn = shuffles(truth.size)
    rows = []
    for label, learner in {
        "forest of 300": random_forest(),
        "support vectors": support_vectors(),
    }.items():
        fitted = learner.fit(table, truth)
        found = {}

        def ours(fitted=fitted, found=found):
            found["ours"] = permutation_importance(
                fitted.predict, table, truth, names, permutations=drawn
            )

        def peer(fitted=fitted, found=found):
            found["theirs"] = theirs(
                fitted, table, truth, n_repeats=REPEATS, random_state=0,
                scoring="neg_root_mean_squared_error",
            )  # fmt: skip

        what = f"importance, {label}, {len(names)} features, {REPEATS} shuffles, CPU"
        seconds = cpu_seconds(ours, runs=3), cpu_seconds(peer, runs=1)
        rows.append(Row(what, seconds[0], "s", "scikit-learn", seconds[1]))
        apart = np.abs(found["ours"].increase - found["theirs"].importances).max()
        rows.append(Row(f"the same, {label}: largest difference", apart, "mol m-2 s-1"))
    return rows


def _effects(seen: xr.Dataset) -> list[Row]:
    """Time effects in one and two features."""
    table, names = feature_table(seen, EXPERIMENTS["E4"])
    truth = seen["conductance"].values
    at = names.index("temperature_difference")
    rows = []
    for label, learner in {
        "forest of 300": random_forest(),
        "support vectors": support_vectors(),
    }.items():
        predict = learner.fit(table, truth).predict
        one = cpu_seconds(lambda f=predict: accumulated_effect(f, table, at))
        two = cpu_seconds(lambda f=predict: accumulated_surface(f, table, (at, 0)))
        rows.append(Row(f"effect of one feature, {label}, CPU", 1e3 * one, "ms"))
        rows.append(Row(f"effect of two features, {label}, CPU", 1e3 * two, "ms"))
    return rows


def _networks(seen: xr.Dataset) -> list[Row]:
    """Time the training of the networks, compiled before, and their predictions."""
    table, _ = feature_table(seen, EXPERIMENTS["E4"])
    truth = seen["conductance"].values
    rows = []
    for label, learner in {"conv net": conv_net(), "dense net": dense_net()}.items():
        seconds = cpu_seconds(lambda x=learner: x.fit(table, truth), runs=1)
        what = f"{label}: training {learner.members} members, CPU"
        rows.append(Row(what, seconds, "s"))
        again = cpu_seconds(lambda x=learner: x.predict(table))
        rows.append(Row(f"{label}: prediction of all rows, CPU", 1e3 * again, "ms"))
    return rows


def _study() -> list[Row]:
    """Time the whole study in its quick mode, figures and page included."""
    if "leaf_temperature" not in STUDIES:
        return []
    code = (
        "import tempfile\n"
        "from tilth.studies.runner import run_study\n"
        "run_study('leaf_temperature', tempfile.mkdtemp(), full=False)\n"
        "print('{}')"
    )
    cost = in_fresh_process(code)
    return [
        Row("study leaf_temperature, quick mode, CPU", cost["cpu_s"], "s"),
        Row("study leaf_temperature, quick mode, wall", cost["wall_s"], "s"),
    ]
