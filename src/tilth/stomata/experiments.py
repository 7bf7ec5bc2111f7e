"""The experiments on what conductance is learnt from, under honest and leaky splits.

E1 knows what Medlyn's closure knows; E2 adds light (and soil water where it is
measured); E3 to E6 add temperatures: of the leaf, of its difference to the air, of
both. Rows of one day share light, dryness and the state of the instrument: shuffled,
they leak, and scores of days left out are beside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.progress import progress
from tilth.ml.learners import Learner, out_of_fold
from tilth.ml.splits import Split, grouped_folds, shared_groups, shuffled_folds
from tilth.stomata.learners import MedlynLearner

__all__ = [
    "EXPERIMENTS",
    "IMPORTANCE_FEATURES",
    "default_splits",
    "feature_table",
    "run_experiments",
]

_BASE = ("deficit", "assimilation", "surface_co2")
_DRIVERS = (*_BASE, "soil_water_potential", "light")

#: Experiment -> features, in the order of their columns.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "E1": _BASE,
    "E2": _DRIVERS,
    "E3": (*_DRIVERS, "leaf_temperature"),
    "E4": (*_DRIVERS, "temperature_difference"),
    "E5": (*_DRIVERS, "leaf_temperature", "temperature_difference"),
    "E6": (*_DRIVERS, "leaf_temperature", "air_temperature"),
}

#: Features whose importance is ranked: those of E5.
IMPORTANCE_FEATURES = EXPERIMENTS["E5"]

#: Features that need not be there: they are left out, and it is said.
_OPTIONAL = ("soil_water_potential",)

#: The closure's row in the results.
CLOSURE = "Medlyn"


def feature_table(
    observations: xr.Dataset, features: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the columns of an experiment.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `tilth.stomata.leaf_observations`.
    features : sequence of str
        Names; ``soil_water_potential`` is left out where it is not there.

    Returns
    -------
    numpy.ndarray, shape (n, p)
        The columns.
    tuple of str
        Their names.

    Raises
    ------
    InputError
        If one is absent or has gaps.
    """
    names = tuple(
        name for name in features if name not in _OPTIONAL or name in observations
    )
    absent = [name for name in names if name not in observations]
    if absent:
        raise InputError(
            f"the observations lack {', '.join(absent)}; an experiment with "
            f"{', '.join(features)} needs them"
        )
    table = np.stack([observations[name].values for name in names], axis=1)
    gaps = ~np.isfinite(table)
    if gaps.any():
        worst = names[int(np.argmax(gaps.sum(axis=0)))]
        raise InputError(
            f"{int(gaps.any(axis=1).sum())} observations lack a feature, most often "
            f"{worst}: leave them out, so that every experiment has the same rows"
        )
    return table, names


def default_splits(
    observations: xr.Dataset, *, folds: int = 5, seed: int = 0
) -> dict[str, list[Split]]:
    """Return the splits that are held side by side.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `tilth.stomata.leaf_observations`.
    folds : int, default 5
        Number of folds of each.
    seed : int, default 0
        Of the shuffle.

    Returns
    -------
    dict of str to list of Split
        ``shuffled``; ``by day`` and ``by plant`` where these are labelled and there
        are two at least.

    Raises
    ------
    InputError
        If there are neither days nor plants to leave out.
    """
    count = observations.sizes["observation"]
    splits = {"shuffled": shuffled_folds(count, folds, seed=seed)}
    for label in ("day", "plant"):
        if label not in observations.coords:
            continue
        groups = observations[label].values.astype(str)
        number = len(set(groups))
        if number >= 2:
            splits[f"by {label}"] = grouped_folds(groups, min(folds, number))
    if len(splits) == 1:
        raise InputError(
            "the observations have neither days nor plants, or one only: rows that "
            "belong together cannot be left out together, and shuffled rows alone say "
            "nothing of new leaves; label them (day=..., plant=...)"
        )
    return splits


def run_experiments(
    observations: xr.Dataset,
    learners: Mapping[str, Learner],
    *,
    splits: Mapping[str, Sequence[Split]] | None = None,
    experiments: Sequence[str] = tuple(EXPERIMENTS),
    closure: bool = True,
) -> xr.Dataset:
    """Predict every observation out of fold, for every learner, experiment and split.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `tilth.stomata.leaf_observations`, rows that are to be used only
        (`tilth.stomata.usable`).
    learners : mapping of str to Learner
        Of `tilth.stomata.learners.default_learners`, or any.
    splits : mapping of str to sequence of Split, optional
        Of `default_splits` by default.
    experiments : sequence of str
        Keys of `EXPERIMENTS`.
    closure : bool, default True
        Whether Medlyn's closure, fitted anew in every fold, stands beside (in E1).

    Returns
    -------
    xarray.Dataset
        ``predicted`` (split, learner, experiment, observation), mol m-2 s-1, NaN where
        nothing was asked; ``r_squared`` and ``rmse`` of all predictions of a split
        together; ``same_day`` (split), share of tested rows whose day was learnt from.
        The attribute ``warning`` says what leaks.
    """
    unknown = set(experiments) - set(EXPERIMENTS)
    if unknown:
        raise InputError(
            f"no experiment {', '.join(sorted(unknown))}; there are "
            f"{', '.join(EXPERIMENTS)}"
        )
    splits = splits or default_splits(observations)
    names = [*([CLOSURE] if closure else []), *learners]
    truth = observations["conductance"].values
    shape = (len(splits), len(names), len(experiments), truth.size)
    predicted = np.full(shape, np.nan)
    if closure and "E1" in experiments:
        table, columns = feature_table(observations, EXPERIMENTS["E1"])
        at = list(experiments).index("E1")
        for s, folds in enumerate(splits.values()):
            predicted[s, 0, at] = out_of_fold(
                MedlynLearner(columns), table, truth, folds
            )
    tables = [feature_table(observations, EXPERIMENTS[e])[0] for e in experiments]
    first = len(names) - len(learners)
    jobs = list(product(range(shape[0]), range(first, shape[1]), range(shape[2])))
    folds_of = list(splits.values())

    def one(job: tuple[int, int, int]) -> np.ndarray:
        s, k, e = job
        return out_of_fold(learners[names[k]], tables[e], truth, folds_of[s])

    # Side by side: forests and support vectors work outside the interpreter's lock.
    with (
        progress("experiments", total=len(jobs)) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for job, found in zip(jobs, pool.map(one, jobs), strict=True):
            predicted[job] = found
            bar.advance()
    asked = np.isfinite(predicted)
    count = asked.sum(axis=-1)
    square = np.where(asked, (predicted - truth) ** 2, 0.0).sum(axis=-1)
    error = np.where(count > 0, square / np.maximum(count, 1), np.nan)
    result = xr.Dataset(
        {
            "predicted": (
                ("split", "learner", "experiment", "observation"),
                predicted,
                {"units": "mol m-2 s-1", "long_name": "predicted out of fold"},
            ),
            "r_squared": (
                ("split", "learner", "experiment"),
                1 - error / truth.var(),
                {"units": "1"},
            ),
            "rmse": (
                ("split", "learner", "experiment"),
                np.sqrt(error),
                {"units": "mol m-2 s-1"},
            ),
        },
        coords={
            "split": list(splits),
            "learner": names,
            "experiment": list(experiments),
            "observation": observations["observation"].values,
        },
    )
    left_out = [n for n in _OPTIONAL if n not in observations]
    if left_out:
        result.attrs["left_out"] = f"not measured: {', '.join(left_out)}"
    if "day" in observations.coords:
        days = observations["day"].values.astype(str)
        shares = [shared_groups(folds, days) for folds in splits.values()]
        result["same_day"] = ("split", shares, {"units": "1"})
        result.attrs["warning"] = _warning(list(splits), shares)
    return stamp(result, f"experiments {', '.join(experiments)}")


def _warning(names: list[str], shares: list[float]) -> str:
    """Return what leaks in which split, in a sentence."""
    leaky = [
        f"{name} ({100 * share:.0f} %)"
        for name, share in zip(names, shares, strict=True)
        if share > 0.05
    ]
    if not leaky:
        return "no tested row has a row of its day in training"
    return (
        "tested rows have rows of their own day in training: "
        f"{', '.join(leaky)}; scores there are those of known days, not of new ones"
    )
