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
    from tilth.stomata.null_model import LeafWorld

#: Learners that take seconds; networks take minutes.
_QUICK = ["forest", "support-vectors"]

#: Experiments whose errors are printed by temperature difference, as on the slides.
_BINNED = ("E1", "E3", "E4")


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
    _print_scores(result)
    tables = {
        "scores": _scores(result),
        "errors": errors_by_difference(result, leaves, split=judged),
    }
    _print_errors(tables["errors"], judged)
    ranks = rank_features(
        leaves, learners, repeats=repeats, seed=seed, splits=_held_out(splits)
    )
    tables["importance"] = _importance(ranks)
    _print_importance(tables["importance"], repeats)
    effects = {
        name: difference_effect(leaves, x, refits=refits, seed=seed)
        for name, x in learners.items()
    }
    tables["effect"] = _effects(effects)
    _print_effects(effects)
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
        _print_null(tables["null"], world, draws, judged)
    typer.echo(_CAVEAT)
    _write(result, leaves, tables, out)


_CAVEAT = (
    "Open stomata cool the leaf, so conductance goes with the temperature difference "
    "whether stomata sense it or not. Only what lies beyond the null worlds is "
    "evidence."
)


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


def _print_scores(result: xr.Dataset) -> None:
    """Print R² of each split, and what the difference adds."""
    from tilth.cli.display import print_table
    from tilth.core.typeset import number_text

    names = [str(name) for name in result["experiment"].values]
    for s, split in enumerate(result["split"].values):
        lines = []
        for learner in result["learner"].values:
            one = result["r_squared"].isel(split=s).sel(learner=learner)
            gain = float(one.sel(experiment="E4") - one.sel(experiment="E2"))
            values = [number_text(float(x), 3) for x in one.values]
            lines.append((str(learner), *values, number_text(gain, 3)))
        leak = ""
        if "same_day" in result:
            share = float(result["same_day"][s])
            leak = f"; {100 * share:.0f} % of tested rows have their day in training"
        heads = (*names, "E4 less E2")
        title = f"R² out of fold, {split}{leak}"
        print_table(("learner", *heads), lines, title=title, numeric=heads)
    if "warning" in result.attrs:
        typer.echo(f"warning: {result.attrs['warning']}")
    if "left_out" in result.attrs:
        typer.echo(result.attrs["left_out"])
    typer.echo("")


def _print_errors(table: pd.DataFrame, split: str) -> None:
    """Print errors by temperature difference: a column per bin, with its rows."""
    from tilth.cli.display import print_table
    from tilth.core.typeset import number_text

    shown = table[table["experiment"].isin(_BINNED)]
    heads: list[str] = []
    lines: list[tuple[str, ...]] = []
    for (learner, name), one in shown.groupby(["learner", "experiment"], sort=False):
        if not heads:
            ends = zip(one["low"], one["high"], strict=True)
            heads = [_between(low, high) for low, high in ends]
            lines.append(("rows", *(str(n) for n in one["n"])))
        lines.append((f"{learner} {name}", *(number_text(x, 3) for x in one["rmse"])))
    title = f"RMSE, mol m⁻² s⁻¹, by leaf less air temperature, K; out of fold, {split}"
    print_table(("", *heads), lines, title=title, numeric=heads)


def _between(low: float, high: float) -> str:
    """Return the ends of a bin as its heading."""
    if low == float("-inf"):
        return f"< {high:g}"
    return f"≥ {low:g}" if high == float("inf") else f"{low:g} … {high:g}"


def _print_importance(table: pd.DataFrame, repeats: int) -> None:
    """Print the features by importance, for each learner and set of rows."""
    from tilth.cli.display import print_table

    lines = []
    for (learner, kind), one in table.groupby(["learner", "of"], sort=False):
        ranked = ", ".join(
            f"{str(feature).replace('_', ' ')} {percent:.0f}"
            for feature, percent in zip(one["feature"], one["percent"], strict=True)
        )
        lines.append((str(learner), str(kind), ranked))
    title = f"Importance in E5, growth of the error in %, mean of {repeats} shuffles"
    print_table(("learner", "rows", "by rank"), lines, title=title)


def _print_effects(effects: Mapping[str, Any]) -> None:
    """Print what the difference does to conductance from end to end."""
    for name, found in effects.items():
        low, high = found.edges[[0, -1]]
        change = found.effect[-1] - found.effect[0]
        typer.echo(
            f"{name}, E4: from {low:.2f} to {high:.2f} K the effect on conductance "
            f"changes by {change:+.3f} mol m⁻² s⁻¹"
        )
    typer.echo("")


def _print_null(table: pd.DataFrame, world: LeafWorld, draws: int, split: str) -> None:
    """Print what the difference adds here and in leaves that do not sense it."""
    from tilth.cli.display import print_table

    heads = ("noise, K", "here", "null worlds", "90 % of them", "beyond", "p")
    lines = [
        (
            str(row["learner"]),
            f"{row['noise']:.2f}",
            f"{row['gain']:+.3f}",
            f"{row['null_mean']:+.3f}",
            f"{row['null_low']:+.3f} … {row['null_high']:+.3f}",
            f"{row['excess']:+.3f}",
            f"{row['rank_p']:.2f}",
            "beyond the null" if row["excess_low"] > 0 else "within the null",
        )
        for _, row in table.iterrows()
    ]
    title = f"What the difference adds to R² (E4 less E2), {split}; {draws} null worlds"
    print_table(("learner", *heads, "verdict"), lines, title=title, numeric=heads)
    typer.echo(
        "The energy balance goes with the measured difference by a correlation of "
        f"{world.agreement:.2f} and leaves {world.spread:.2f} K. What of this is noise "
        "of thermometers is not known; the less, the more the difference says in the "
        "null.\n"
    )


def _write(
    result: xr.Dataset,
    leaves: xr.Dataset,
    tables: Mapping[str, pd.DataFrame],
    out: Path,
) -> None:
    """Write predictions with their observations, and every table."""
    from tilth.core.files import whole_file

    out.mkdir(exist_ok=True)
    kept = ["conductance", "temperature_difference"]
    whole = result.merge(leaves[kept], combine_attrs="override")
    with whole_file(out / "predictions.nc") as half:
        whole.to_netcdf(half, engine="h5netcdf")
    for name, table in tables.items():
        with whole_file(out / f"{name}.csv") as half:
            table.to_csv(half, index=False)
    files = ", ".join(["predictions.nc", *(f"{name}.csv" for name in tables)])
    typer.echo(f"{out}: {files}")
