"""What the draws say: errors, their coverage, and what regularisation does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tilth.studies.part import Part
from tilth.studies.result import Metric, Table
from tilth.studies.uplift_to_mass.world import KINDS, World

_UNIT = "Gt yr-1"

#: Coverage of a 95 % interval must not be below this in forty draws: that of a right
#: one is 0.95 +- 0.034.
_HOLDS = ">= 0.85"


def tell(world: World, draws: pd.DataFrame) -> Part:
    """Return numbers, tables and what was found.

    Parameters
    ----------
    world : World
        The truth.
    draws : pandas.DataFrame
        Of `tilth.studies.uplift_to_mass.world.observe`.

    Returns
    -------
    Part
        With the findings in words as its first note.
    """
    table = summarised(world, draws)
    rows = {(g, w): table.loc[g, w] for g, w in table.index}
    count = int(draws["draw"].nunique())
    metrics = [Metric("true rate of mass", world.total, unit=_UNIT)]
    for kind in KINDS:
        row = rows["kind", kind]
        share = float(row["held"])
        metrics.append(
            Metric(
                f"95 % interval holds the truth, {kind}",
                share,
                se=float(np.sqrt(0.95 * 0.05 / count)),
                bar=_HOLDS,
            )
        )
        metrics.append(Metric(f"error, {kind}", float(row["error"]), unit=_UNIT))
    upward, three, every = (
        float(rows["kind", kind]["error"])
        for kind in ("uplift alone", "three components", "all together")
    )
    signed = rows["sign", "three components"]
    narrower = rows["kind", KINDS[1]]["se"] / rows["kind", KINDS[0]]["se"]
    metrics += [
        Metric(
            "standard error with horizontals over that without",
            float(narrower),
            bar="< 0.8",
        ),
        Metric("error with horizontals over that without", three / upward),
        Metric("error with everything over stations alone", every / three, bar="< 0.9"),
        Metric(
            "95 % limits by the sign hold the truth", float(signed["held"]), bar=_HOLDS
        ),
        Metric(
            "interval by noise alone holds the truth, three components",
            float(rows["kind", "three components"]["held by noise"]),
        ),
        Metric(
            "bias of the L-curve, roughness",
            float(rows["rule", "roughness, l-curve"]["bias"]),
            unit=_UNIT,
        ),
    ]
    known, wide = (rows["pattern", name] for name in ("1", "1.6"))
    corner, main = rows["rule", "roughness, l-curve"], rows["kind", KINDS[1]]
    alone = rows["kind", KINDS[0]]["se"]
    held, noise = (100 * main[name] for name in ("held", "held by noise"))
    found = (
        f"The glacier loses {-world.total:.1f} Gt a year. The error of the estimate "
        f"(root mean square) is {upward:.1f} Gt from uplift alone, {three:.1f} with "
        f"the horizontals, {every:.1f} with everything. The horizontals make the "
        f"standard error smaller by {100 * (1 - narrower):.0f} %; uplift alone says "
        f"{alone:.1f}, and what its penalty assumes may suit this glacier by chance. "
        f"Intervals that include what regularisation hides hold the truth in "
        f"{held:.0f} % of the draws; by noise alone it would be {noise:.0f} %. The "
        f"corner of the L-curve of the roughness smooths too much: it errs by "
        f"{corner['bias']:+.1f} Gt and says {corner['se']:.1f}. A known pattern leaves "
        f"an error of {known['error']:.1f} Gt, one that falls off too slowly a bias of "
        f"{wide['bias']:+.1f} Gt that its own standard error of {wide['se']:.1f} knows "
        f"nothing of."
    )
    return Part(metrics=metrics, tables=[_table(table)], notes=[found])


def summarised(world: World, draws: pd.DataFrame) -> pd.DataFrame:
    """Return error, bias, standard error and coverage of every way.

    Parameters
    ----------
    world : World
        The truth.
    draws : pandas.DataFrame
        One row per draw and way.

    Returns
    -------
    pandas.DataFrame
        Indexed by group and way; medians of the total, its ``se``, ``se_noise`` and
        limits, ``bias``, ``error`` (root mean square), ``held`` and ``held by noise``
        (shares of the draws).
    """
    off = draws["total"] - world.total
    noise = 1.959964 * draws["se_noise"]
    told = draws.assign(
        off=off,
        square=off**2,
        held=(draws["lower"] <= world.total) & (world.total <= draws["upper"]),
        by_noise=(off.abs() <= noise).where(noise.notna()).astype(float),
    )
    groups = told.groupby(["group", "way"], sort=False)
    return pd.DataFrame(
        {
            "median": groups["total"].median(),
            "bias": groups["off"].mean(),
            "error": groups["square"].mean() ** 0.5,
            "se": groups["se"].median(),
            "se_noise": groups["se_noise"].median(),
            "lower": groups["lower"].median(),
            "upper": groups["upper"].median(),
            "held": groups["held"].mean(),
            "held by noise": groups["by_noise"].mean(),
        }
    )


def _table(table: pd.DataFrame) -> Table:
    """Return the table as it is printed."""
    frame = table.reset_index()
    units = dict.fromkeys(
        ("median", "bias", "error", "se", "se_noise", "lower", "upper"), _UNIT
    )
    return Table(
        "ways",
        frame,
        "Every way of weighing the glacier: kinds of observation (penalty of the size, "
        "strength by likelihood), rules for the penalty with three components, loads "
        "of one sign (limits without any prior), and patterns that are right or fall "
        "off 1.6 times too slowly.",
        units=units,
        decimals=dict.fromkeys(units, 1) | {"held": 2, "held by noise": 2},
    )
