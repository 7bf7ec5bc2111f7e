"""``tilth stomata experiment``: what conductance is learnt from, beside the null."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.stomata_inputs import COLUMNS, ENCODING, FILE, IGNORED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr

    from tilth.ml.learners import Learner

#: Learners that take seconds; networks take minutes.
_QUICK = ["forest", "support-vectors"]


def experiment(
    file: Path = FILE,
    out: Path = typer.Option(
        ..., metavar="DIR", help="Folder of the tables and predictions; made if absent."
    ),
    columns: Path | None = COLUMNS,
    learner: list[str] = typer.Option(
        _QUICK,
        "--learner",
        help="forest, support-vectors, conv-net or dense-net; repeatable. A network "
        "takes minutes.",
    ),
    split: str | None = typer.Option(
        None,
        help="Of errors by difference and of the null experiment: by-day, by-plant or "
        "shuffled; by default the first of these that the labels allow.",
    ),
    repeats: int = typer.Option(50, min=1, help="Shuffles of the importance."),
    refits: int = typer.Option(
        0, min=0, help="Models of resampled days, for a band around the effect."
    ),
    draws: int = typer.Option(
        10, min=0, help="Null worlds; 0 leaves the null experiment out."
    ),
    noise: list[float] = typer.Option(
        [],
        "--noise",
        min=0.0,
        metavar="K",
        help="Of the thermometers of the null; repeatable; by default all that the "
        "energy balance leaves, and half of it.",
    ),
    seed: int = typer.Option(0, help="Of learners, shuffles and null worlds."),
    ignore: list[str] = IGNORED,
    encoding: str = ENCODING,
) -> None:
    """Learn conductance from E1 to E6; rank, bin and weigh against a null world.

    E1: deficit, uptake, CO2; E2 adds light (and soil water); E3 adds leaf temperature
    to E2, E4 the difference of leaf and air, E5 both, E6 both temperatures.
    """
    import pandas as pd

    from tilth.cli.stomata_inputs import read_leaves, usable_rows
    from tilth.cli.stomata_tables import (
        print_effects,
        print_errors,
        print_importance,
        print_null,
        print_scores,
    )
    from tilth.core.errors import InputError
    from tilth.stomata.evidence import (
        difference_effect,
        errors_by_difference,
        excess_over_null,
        rank_features,
    )
    from tilth.stomata.experiments import default_splits, run_experiments
    from tilth.stomata.null_model import leaf_world

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file: name a folder")
    if not out.parent.is_dir():
        raise InputError(f"the folder {out.parent} does not exist")
    if draws == 1:
        raise InputError(
            "--draws 1 says nothing of the spread: take ten, or 0 for none"
        )
    leaves = _without_gaps(usable_rows(read_leaves(file, columns, encoding), ignore))
    learners = _learners(learner, seed)
    splits = default_splits(leaves, seed=seed)
    _tell_absent_labels(leaves, splits)
    judged = _judged(split, splits)
    world = _or_reason(lambda: leaf_world(leaves)) if draws else "not asked for"

    result = run_experiments(leaves, learners, splits=splits)
    print_scores(result)
    tables = {
        "scores": _scores(result),
        "errors": errors_by_difference(result, leaves, split=judged),
    }
    print_errors(tables["errors"], judged)
    ranks = rank_features(
        leaves, learners, repeats=repeats, seed=seed, splits=_held_out(splits)
    )
    tables["importance"] = _importance(ranks)
    print_importance(tables["importance"], repeats)
    effects = {
        name: difference_effect(leaves, x, refits=refits, seed=seed)
        for name, x in learners.items()
    }
    tables["effect"] = _effects(effects)
    print_effects(effects)
    if "conv net" in learners:
        tables["orders"] = _orders(leaves, learners["conv net"], splits[judged], seed)
    if isinstance(world, str):
        typer.echo(f"no null experiment: {world}")
    else:
        parts = []
        for spread in noise or (world.spread, world.spread / 2):
            blurred = world._replace(spread=spread)
            part = excess_over_null(
                leaves, learners, draws=draws, split=judged, world=blurred, seed=seed
            )
            part.insert(0, "noise", spread)
            parts.append(part)
        tables["null"] = pd.concat(parts, ignore_index=True)
        print_null(tables["null"], world, draws, judged)
        tables["sensing"] = _sensing(leaves, seed)
    typer.echo(_CAVEAT)
    _write(result, leaves, tables, out)


_CAVEAT = (
    "Open stomata cool the leaf, so conductance goes with the temperature difference "
    "whether stomata sense it or not. Neither scores nor importance are evidence that "
    "they do; what lies beyond the null worlds may be."
)

#: Null worlds of the test of sensing: the fewest with a p-value below 0.05.
_WORLDS = 20


def _learners(names: list[str], seed: int) -> dict[str, Learner]:
    """Return the learners that are named."""
    from tilth.core.errors import InputError
    from tilth.stomata.learners import default_learners

    known = default_learners(seed=seed)
    wanted = list(dict.fromkeys(name.replace("-", " ") for name in names))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        there = ", ".join(name.replace(" ", "-") for name in known)
        raise InputError(f"no learner {', '.join(unknown)}; there are {there}")
    return {name: known[name] for name in wanted}


def _without_gaps(observations: xr.Dataset) -> xr.Dataset:
    """Leave out rows that lack a feature, so that experiments have the same rows."""
    import numpy as np

    from tilth.core.errors import InputError
    from tilth.stomata.experiments import EXPERIMENTS

    wanted = {name for names in EXPERIMENTS.values() for name in names}
    there = sorted(wanted & set(observations.data_vars))
    gaps = {name: ~np.isfinite(observations[name].values) for name in there}
    lacking = np.logical_or.reduce(list(gaps.values()))
    if not lacking.any():
        return observations
    counts = {name: int(where.sum()) for name, where in gaps.items() if where.any()}
    told = ", ".join(f"{name} in {count}" for name, count in counts.items())
    if lacking.all():
        raise InputError(f"every row lacks a feature: {told}")
    typer.echo(
        f"{int(lacking.sum()):>10}  left out, since a feature is missing: {told}"
    )
    return observations.isel(observation=np.flatnonzero(~lacking))


def _tell_absent_labels(observations: xr.Dataset, splits: Mapping[str, Any]) -> None:
    """Say which groups cannot be left out whole, and why."""
    for label in ("day", "plant"):
        if f"by {label}" in splits:
            continue
        reason = f"no {label} is labelled"
        if label in observations.coords:
            reason = f"all rows are of one {label} ({observations[label].values[0]})"
        typer.echo(f"{reason}: how well a new {label} is predicted cannot be said")


def _judged(asked: str | None, splits: Mapping[str, Any]) -> str:
    """Return the split that the evidence is taken of: days before plants."""
    from tilth.core.errors import InputError

    if asked is None:
        return "by day" if "by day" in splits else "by plant"
    name = asked.replace("-", " ")
    if name not in splits:
        there = ", ".join(known.replace(" ", "-") for known in splits)
        raise InputError(f"no split {asked!r} of these rows; there are {there}")
    return name


def _held_out(splits: Mapping[str, Any]) -> Any:
    """Return the folds that leave most out together."""
    return splits[_judged(None, splits)]


def _or_reason(make: Any) -> Any:
    """Return what is made, or why it cannot be."""
    from tilth.core.errors import InputError

    try:
        return make()
    except InputError as error:
        return str(error)


def _scores(result: xr.Dataset) -> pd.DataFrame:
    """Return the scores, a row per split, learner and experiment."""
    table = result[["r_squared", "rmse"]].to_dataframe().dropna().reset_index()
    if "same_day" in result:
        shares = result["same_day"].to_series()
        table["same_day"] = table["split"].map(shares)
    return table


def _importance(ranks: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the importances, a row per learner, rows it is of, and feature."""
    import pandas as pd

    tables = []
    for name, kinds in ranks.items():
        for kind, found in kinds.items():
            table = found.table()
            table.insert(0, "of", kind)
            table.insert(0, "learner", name)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _effects(effects: Mapping[str, Any]) -> pd.DataFrame:
    """Return the effects, a row per learner and edge."""
    import pandas as pd

    tables = []
    for name, found in effects.items():
        table = pd.DataFrame(
            {
                "learner": name,
                "temperature_difference": found.edges,
                "effect": found.effect,
            }
        )
        if found.low is not None:
            table["low"], table["high"] = found.low, found.high
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _orders(leaves: xr.Dataset, net: Learner, folds: Any, seed: int) -> pd.DataFrame:
    """Score the convolutions with their columns in other orders, and say how far."""
    import pandas as pd

    from tilth.stomata.evidence import column_orders

    scores = column_orders(leaves, net, splits=folds, seed=seed)
    low, high = scores.min(), scores.max()
    typer.echo(
        f"conv net, E4: R² {scores[0]:.3f} in the usual order of columns, "
        f"{low:.3f} ... {high:.3f} in {scores.size} orders\n"
    )
    return pd.DataFrame({"order": range(scores.size), "r_squared": scores})


def _sensing(leaves: xr.Dataset, seed: int) -> pd.DataFrame:
    """Test conductance against the difference that stomata did not make; print it."""
    import pandas as pd

    from tilth.stomata.sensing import sensing_test

    rows = []
    for beside in ((), ("light",)):
        found = sensing_test(leaves, draws=_WORLDS, beside=beside, seed=seed)
        low, high = found.interval
        with_light = ", with light beside" if beside else ""
        typer.echo(
            f"closing by {found.sensitivity:.2f} ({low:.2f} … {high:.2f}) per K of the "
            f"difference that stomata did not make, beyond {_WORLDS} null worlds"
            f"{with_light}; p {found.rank_p:.2f}"
        )
        rows.append(
            {
                "beside": ", ".join(beside),
                "slope": found.slope,
                "sensitivity": found.sensitivity,
                "low": low,
                "high": high,
                "rank_p": found.rank_p,
            }
        )
    typer.echo(
        "That is sensing as far as Medlyn's closure is right; where the two numbers "
        "are far apart, it is not.\n"
    )
    return pd.DataFrame(rows)


def _write(
    result: xr.Dataset,
    leaves: xr.Dataset,
    tables: Mapping[str, pd.DataFrame],
    out: Path,
) -> None:
    """Write predictions with their observations, and every table."""
    from tilth.core.files import whole_file, write_netcdf

    out.mkdir(exist_ok=True)
    kept = ["conductance", "temperature_difference"]
    whole = result.merge(leaves[kept], combine_attrs="override")
    write_netcdf(whole, out / "predictions.nc")
    for name, table in tables.items():
        with whole_file(out / f"{name}.csv") as half:
            table.to_csv(half, index=False)
    files = ", ".join(["predictions.nc", *(f"{name}.csv" for name in tables)])
    typer.echo(f"{out}: {files}")
