"""What ``tilth stomata experiment`` prints: scores, errors, ranks, effects, null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr

    from tilth.stomata.null_model import LeafWorld

#: Experiments whose errors are printed by temperature difference, as on the slides.
_BINNED = ("E1", "E3", "E4")


def print_scores(result: xr.Dataset) -> None:
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


def print_errors(table: pd.DataFrame, split: str) -> None:
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


def print_importance(table: pd.DataFrame, repeats: int) -> None:
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


def print_effects(effects: Mapping[str, Any]) -> None:
    """Print what the difference does to conductance from end to end."""
    for name, found in effects.items():
        low, high = found.edges[[0, -1]]
        change = found.effect[-1] - found.effect[0]
        typer.echo(
            f"{name}, E4: from {low:.2f} to {high:.2f} K the effect on conductance "
            f"changes by {change:+.3f} mol m⁻² s⁻¹"
        )
    typer.echo("")


def print_null(table: pd.DataFrame, world: LeafWorld, draws: int, split: str) -> None:
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
            _verdict(row["excess_low"], row["rank_p"], draws),
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


def _verdict(excess_low: float, rank_p: float, draws: int) -> str:
    """Return whether a gain is above the null's 95th percentile, and few draws' own."""
    beyond = excess_low > 0 and rank_p <= max(0.05, 1.5 / (draws + 1))
    return "beyond the null" if beyond else "within the null"
