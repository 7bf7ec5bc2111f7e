"""What the experiments say: ranks, effects, errors by difference, and the excess.

Leaves that only make their temperature difference (`tilth.stomata.null_model`) go
through the same experiment: what they show too is no evidence that stomata sense it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.progress import track
from tilth.ml.effects import (
    Effect,
    EffectSurface,
    accumulated_effect,
    accumulated_surface,
    refit_band,
)
from tilth.ml.importance import Importance, permutation_importance
from tilth.ml.learners import Learner, fresh, out_of_fold
from tilth.ml.splits import Split
from tilth.ml.tables import binned_errors
from tilth.stomata.experiments import (
    EXPERIMENTS,
    IMPORTANCE_FEATURES,
    default_splits,
    feature_table,
)
from tilth.stomata.null_model import LeafWorld, leaf_world, simulate_leaves

__all__ = [
    "DIFFERENCE",
    "EDGES",
    "GROUPS",
    "column_orders",
    "difference_effect",
    "difference_surface",
    "errors_by_difference",
    "excess_over_null",
    "rank_features",
]

#: The feature in question.
DIFFERENCE = "temperature_difference"

#: Edges of bins of the difference, K, as on the slides.
EDGES = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5)

#: Features that physics ties to each other, shuffled together.
GROUPS = {
    "temperatures": ("leaf_temperature", DIFFERENCE),
    "temperatures and deficit": ("leaf_temperature", DIFFERENCE, "deficit"),
}


def rank_features(
    observations: xr.Dataset,
    learners: Mapping[str, Learner],
    *,
    repeats: int = 50,
    seed: int = 0,
    splits: Sequence[Split] | None = None,
) -> dict[str, dict[str, Importance]]:
    """Measure what learners use, and what helps them on rows they have not seen.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use.
    learners : mapping of str to Learner
        Fitted anew.
    repeats : int, default 50
        Number of shuffles.
    seed : int, default 0
        Of the shuffles.
    splits : sequence of Split, optional
        Of the held-out importance; by default whole days, or plants.

    Returns
    -------
    dict of str to dict of str to Importance
        Learner -> ``train`` (fitted to all rows, as on the slides), ``held out``
        (shuffles within the tested rows of each fold; errors of all folds together),
        ``groups`` (`GROUPS`, on training rows).
    """
    table, names = feature_table(observations, IMPORTANCE_FEATURES)
    truth = observations["conductance"].values
    folds = splits or _unseen(observations)
    found = {}
    for label, learner in track(learners.items(), "importance"):
        fitted = fresh(learner).fit(table, truth)
        train = permutation_importance(
            fitted.predict, table, truth, names, repeats=repeats, seed=seed
        )
        groups = permutation_importance(
            fitted.predict,
            table,
            truth,
            names,
            groups=GROUPS,
            repeats=repeats,
            seed=seed,
        )
        held = []
        for fold in folds:
            again = fresh(learner).fit(table[fold.train], truth[fold.train])
            found_here = permutation_importance(
                again.predict,
                table[fold.test],
                truth[fold.test],
                names,
                repeats=repeats,
                seed=seed,
            )
            held.append((fold.test.size, found_here))
        found[label] = {"train": train, "held out": _pooled(held), "groups": groups}
    return found


def difference_effect(
    observations: xr.Dataset,
    learner: Learner,
    *,
    experiment: str = "E4",
    bins: int = 20,
    refits: int = 0,
    seed: int = 0,
) -> Effect:
    """Accumulate the effect of the temperature difference on conductance.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use.
    learner : Learner
        Fitted anew to all of them.
    experiment : str, default "E4"
        Whose features are used.
    bins : int, default 20
        Of equal numbers of rows.
    refits : int, default 0
        Bootstrap samples of whole days (or plants, or rows) for a band; none by
        default.
    seed : int, default 0
        Of the samples.

    Returns
    -------
    Effect
        mol m-2 s-1 at edges in K.
    """
    table, names = feature_table(observations, EXPERIMENTS[experiment])
    truth = observations["conductance"].values
    column = _column(names, DIFFERENCE)
    if not refits:
        fitted = fresh(learner).fit(table, truth)
        return accumulated_effect(fitted.predict, table, column, bins=bins)
    return refit_band(
        learner,
        table,
        truth,
        column,
        bins=bins,
        refits=refits,
        groups=_groups(observations),
        seed=seed,
    )


def difference_surface(
    observations: xr.Dataset,
    learner: Learner,
    other: str,
    *,
    experiment: str = "E4",
    bins: int = 8,
) -> EffectSurface:
    """Accumulate how another feature changes the effect of the difference.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use.
    learner : Learner
        Fitted anew to all of them.
    other : str
        Name of the other feature.
    experiment : str, default "E4"
        Whose features are used.
    bins : int, default 8
        Of each feature.

    Returns
    -------
    EffectSurface
        mol m-2 s-1; the difference is the first axis.
    """
    table, names = feature_table(observations, EXPERIMENTS[experiment])
    fitted = fresh(learner).fit(table, observations["conductance"].values)
    columns = (_column(names, DIFFERENCE), _column(names, other))
    return accumulated_surface(fitted.predict, table, columns, bins=bins)


def errors_by_difference(
    result: xr.Dataset, observations: xr.Dataset, *, split: str = "shuffled"
) -> pd.DataFrame:
    """Tabulate errors of out-of-fold predictions by the temperature difference.

    Parameters
    ----------
    result : xarray.Dataset
        Of `tilth.stomata.run_experiments`.
    observations : xarray.Dataset
        The rows it was made of.
    split : str, default "shuffled"
        Whose predictions.

    Returns
    -------
    pandas.DataFrame
        ``learner``, ``experiment`` and the columns of `tilth.ml.binned_errors`; bins
        as on the slides (`EDGES`).
    """
    if split not in result["split"].values:
        known = ", ".join(map(str, result["split"].values))
        raise InputError(f"no split {split!r}; there are {known}")
    truth = observations["conductance"].values
    by = observations[DIFFERENCE].values
    tables = []
    for learner in result["learner"].values:
        for experiment in result["experiment"].values:
            predicted = result["predicted"].sel(
                split=split, learner=learner, experiment=experiment
            )
            if not np.isfinite(predicted.values).any():
                continue
            table = binned_errors(predicted.values, truth, by, EDGES)
            table.insert(0, "experiment", str(experiment))
            table.insert(0, "learner", str(learner))
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def column_orders(
    observations: xr.Dataset,
    learner: Learner,
    *,
    orders: int = 5,
    experiment: str = "E4",
    splits: Sequence[Split] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Score a learner with its columns in other orders.

    A convolution sees neighbours; that E4's columns stand as they do means nothing.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use.
    learner : Learner
        Such as `tilth.stomata.learners.conv_net`.
    orders : int, default 5
        Orders drawn; the first is the usual one.
    experiment : str, default "E4"
        Whose features are used.
    splits : sequence of Split, optional
        By default shuffled folds.
    seed : int, default 0
        Of the orders.

    Returns
    -------
    numpy.ndarray, shape (orders,)
        R2 of out-of-fold predictions.
    """
    table, _ = feature_table(observations, EXPERIMENTS[experiment])
    truth = observations["conductance"].values
    folds = splits or default_splits(observations)["shuffled"]
    rng = np.random.default_rng(seed)
    drawn = [np.arange(table.shape[1])]
    drawn += [rng.permutation(table.shape[1]) for _ in range(orders - 1)]
    return np.array(
        [
            _r_squared(out_of_fold(learner, table[:, order], truth, folds), truth)
            for order in track(drawn, "orders of columns")
        ]
    )


def excess_over_null(
    observations: xr.Dataset,
    learners: Mapping[str, Learner],
    *,
    draws: int = 10,
    split: str = "shuffled",
    world: LeafWorld | None = None,
    sensitivity: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare what the difference adds for these leaves with what it adds for none.

    The gain is R2 with the temperature difference (E4) less without (E2), out of fold.
    Leaves whose stomata do not sense the difference have a gain too, because they make
    it; only what lies above counts.

    It seldom finds sensing: with the default world the scatter of the null leaves is
    learnt from these leaves, and what sensing adds to it is in the null already (in
    simulated leaves that close by 26 % per K, 15 % were found, no more than of leaves
    that sense nothing). `tilth.stomata.sensing_test` asks another question and found
    all of them.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use, real or simulated.
    learners : mapping of str to Learner
        Fitted anew.
    draws : int, default 10
        Null worlds; twenty and more for a rank that means something.
    split : str, default "shuffled"
        Of `tilth.stomata.experiments.default_splits`.
    world : LeafWorld, optional
        By default that of the observations.
    sensitivity : float, default 0
        Of the simulated stomata, K-1: others than zero give worlds to calibrate with.
    seed : int, default 0
        Of the first draw; the others follow.

    Returns
    -------
    pandas.DataFrame
        Per learner ``gain``, ``null_mean``, ``null_low`` and ``null_high`` (5th and
        95th percentile of the draws), ``excess`` (gain less mean), ``excess_low``,
        ``excess_high``, and ``rank_p``, the share of draws, counting this one, with a
        gain at least as large.
    """
    if draws < 2:
        raise InputError(f"{draws} draws say nothing of their spread: take ten or more")
    world = world or leaf_world(observations)
    gains = {name: _gain(observations, x, split) for name, x in learners.items()}
    null: dict[str, list[float]] = {name: [] for name in learners}
    for k in track(range(draws), "null worlds"):
        leaves = simulate_leaves(world, seed=seed + k, sensitivity=sensitivity)
        for name, learner in learners.items():
            null[name].append(_gain(leaves, learner, split))
    rows = []
    for name, gain in gains.items():
        drawn = np.array(null[name])
        low, high = np.quantile(drawn, [0.05, 0.95])
        rows.append(
            {
                "learner": name,
                "gain": gain,
                "null_mean": drawn.mean(),
                "null_low": low,
                "null_high": high,
                "excess": gain - drawn.mean(),
                "excess_low": gain - high,
                "excess_high": gain - low,
                "rank_p": (1 + (drawn >= gain).sum()) / (draws + 1),
            }
        )
    return pd.DataFrame(rows)


def _gain(observations: xr.Dataset, learner: Learner, split: str) -> float:
    """Return R2 of E4 less that of E2."""
    folds = default_splits(observations)
    if split not in folds:
        raise InputError(f"no split {split!r}; there are {', '.join(folds)}")
    truth = observations["conductance"].values
    scores = []
    for experiment in ("E4", "E2"):
        table, _ = feature_table(observations, EXPERIMENTS[experiment])
        predicted = out_of_fold(learner, table, truth, folds[split])
        scores.append(_r_squared(predicted, truth))
    return scores[0] - scores[1]


def _r_squared(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(1 - np.mean((predicted - truth) ** 2) / truth.var())


def _pooled(parts: Sequence[tuple[int, Importance]]) -> Importance:
    """Return the importance over the rows of all folds together."""
    rows = np.array([size for size, _ in parts], float)
    base = np.array([part.base for _, part in parts])
    shuffled = np.array([part.base + part.increase for _, part in parts])
    share = rows / rows.sum()
    together = float(np.sqrt(np.sum(share * base**2)))
    squares = np.einsum("f,fnr->nr", share, shuffled**2)
    return Importance(parts[0][1].names, together, np.sqrt(squares) - together)


def _unseen(observations: xr.Dataset) -> Sequence[Split]:
    """Return the splits that leave most out together: days before plants."""
    splits = default_splits(observations)
    return splits.get("by day") or splits["by plant"]


def _groups(observations: xr.Dataset) -> np.ndarray | None:
    """Return days, else plants, else nothing."""
    for label in ("day", "plant"):
        if label in observations.coords:
            names = observations[label].values.astype(str)
            if len(set(names)) > 1:
                return names
    return None


def _column(names: Sequence[str], wanted: str) -> int:
    if wanted not in names:
        raise InputError(f"no feature {wanted!r}; there are {', '.join(names)}")
    return list(names).index(wanted)
