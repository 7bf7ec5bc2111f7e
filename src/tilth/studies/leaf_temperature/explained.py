"""What the learners say of the difference: its importance and its effect."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tilth.core.progress import track
from tilth.core.report import Figure, Table
from tilth.ml.effects import Effect
from tilth.stomata.evidence import (
    DIFFERENCE,
    difference_effect,
    difference_surface,
    rank_features,
)
from tilth.stomata.plots import (
    NAMES,
    plot_effects,
    plot_importance,
    plot_surfaces,
)
from tilth.studies.leaf_temperature.published import (
    REAL,
    REFERENCE_EFFECT,
    SLIDES_RANK,
)
from tilth.studies.leaf_temperature.scale import Scale
from tilth.studies.leaf_temperature.worlds import SEED, Leaves
from tilth.studies.part import Part
from tilth.studies.result import Metric

#: Features whose interaction with the difference is drawn.
_OTHERS = ("light", "deficit", "surface_co2", "assimilation")

#: Bins of a surface: with a few hundred rows more would have cells without any.
_CELLS = 5


def measure(leaves: Leaves, scale: Scale) -> Part:
    """Rank the features and accumulate the effect of the difference, in every world."""
    part = Part()
    _importance(part, leaves, scale)
    _effect(part, leaves, scale)
    _surfaces(part, leaves, scale)
    return part


def _importance(part: Part, leaves: Leaves, scale: Scale) -> None:
    """Rank the features by importance."""
    learners = scale.shallow()
    if scale.everywhere:
        learners |= {"conv net": scale.networks()["conv net"]}
    ranked = {
        name: rank_features(data, learners, repeats=scale.repeats, seed=SEED)
        for name, data in leaves.worlds.items()
    }
    tables = []
    for name, found in ranked.items():
        for learner, kinds in found.items():
            for kind, one in kinds.items():
                table = one.table()
                table.insert(0, "kind", kind)
                table.insert(0, "learner", learner)
                table.insert(0, "leaves", name)
                tables.append(table)
                if kind == "groups":
                    continue
                rank = table.loc[table["feature"] == DIFFERENCE, "rank"].iloc[0]
                on_train = kind == "train"
                barred = on_train and learner == "forest" and name == REAL
                part.metrics.append(
                    Metric(
                        f"{name}: rank of the difference, {learner}, {kind}",
                        int(rank),
                        published=SLIDES_RANK if on_train and name == REAL else None,
                        bar="== 2" if barred else None,
                    )
                )
    part.tables.append(
        Table(
            "importance",
            pd.concat(tables, ignore_index=True),
            f"Error added by shuffling a feature, mean and standard deviation of "
            f"{scale.repeats} shuffles, in percent of the error without: on rows that "
            "were learnt from (as on the slides), on whole days held out, and of "
            "groups shuffled together.",
            units={
                "importance": "mol m-2 s-1",
                "sd": "mol m-2 s-1",
                "percent": "%",
            },
            decimals={"importance": 4, "sd": 4, "percent": 0},
        )
    )
    for kind, name in (("train", "importance"), ("held out", "importance-held-out")):
        panels = {
            learner: {world: found[learner][kind] for world, found in ranked.items()}
            for learner in learners
        }
        rows = "rows learnt from" if kind == "train" else "days held out"
        part.figures.append(
            Figure.draw(
                name,
                plot_importance(panels),
                f"Error added by shuffling a feature on {rows}, mean and standard "
                f"deviation of {scale.repeats} shuffles. The difference matters in the "
                "null world too, where no stoma senses it.",
                f"Bars of importance by feature, learner and world, on {rows}.",
            )
        )


def _effect(part: Part, leaves: Leaves, scale: Scale) -> None:
    """Accumulate the effect of the difference on conductance."""
    learners = scale.shallow()
    if scale.everywhere:
        learners |= {"conv net": scale.networks()["conv net"]}
    panels: dict[str, dict[str, Effect]] = {learner: {} for learner in learners}
    jobs = [(learner, name) for learner in learners for name in leaves.worlds]
    for learner, name in track(jobs, "effects"):
        # A network is slow to fit: its band would take the time of all the rest.
        refits = 0 if learner == "conv net" else scale.refits
        one = difference_effect(
            leaves.worlds[name], learners[learner], refits=refits, seed=SEED
        )
        panels[learner][name] = one
        barred = learner == "forest" and name == REAL
        published = None
        if barred:
            published = round(REFERENCE_EFFECT[1.5] - REFERENCE_EFFECT[-2.09], 3)
        part.metrics.append(
            Metric(
                f"{name}: effect of the warmest less that of the coolest leaves, "
                f"{learner}",
                float(one.effect[-1] - one.effect[0]),
                unit="mol m-2 s-1",
                published=published,
                bar="< 0" if barred else None,
            )
        )
        if barred:
            part.metrics.append(
                Metric(
                    "measured: rank correlation of the effect with the difference, "
                    "forest",
                    float(np.corrcoef(_ranks(one.edges), _ranks(one.effect))[0, 1]),
                    bar="<= -0.8",
                )
            )
    part.tables.append(
        Table(
            "effects",
            pd.concat(
                [
                    pd.DataFrame(
                        {
                            "learner": learner,
                            "leaves": name,
                            "difference": one.edges,
                            "effect": one.effect,
                            "low": np.nan if one.low is None else one.low,
                            "high": np.nan if one.high is None else one.high,
                        }
                    )
                    for learner, curves in panels.items()
                    for name, one in curves.items()
                ],
                ignore_index=True,
            ),
            "Accumulated local effect of the temperature difference (E4), with 95 % of "
            "refits to resampled days.",
            units={
                "difference": "K",
                "effect": "mol m-2 s-1",
                "low": "mol m-2 s-1",
                "high": "mol m-2 s-1",
            },
            decimals={"difference": 2, "effect": 3, "low": 3, "high": 3},
        )
    )
    part.figures.append(
        Figure.draw(
            "effects",
            plot_effects(panels),
            "Accumulated local effect of the temperature difference on conductance "
            f"(E4); bands hold 95 % of {scale.refits} refits to resampled days. It "
            "falls in the null world too: an open leaf cools itself.",
            "Falling curves for each world, in a panel for each learner.",
        )
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of every value."""
    return np.argsort(np.argsort(values)).astype(float)


def _surfaces(part: Part, leaves: Leaves, scale: Scale) -> None:
    """Draw how the effect depends on light, dryness, CO2 and uptake."""
    data = leaves.worlds[leaves.first]
    name = "conv net" if scale.everywhere else "support vectors"
    learner = {**scale.shallow(), **scale.networks()}[name]
    own = difference_effect(data, learner)
    surfaces = {
        other: difference_surface(data, learner, other, bins=_CELLS)
        for other in _OTHERS
    }
    units = {other: data[other].attrs["units"] for other in _OTHERS}
    rise = {
        other: own(one.edges[0][[0, -1]])[:, None] + one.effect[[0, -1]]
        for other, one in surfaces.items()
    }
    least = {other: float((ends[1] - ends[0]).max()) for other, ends in rise.items()}
    where = max(least, key=lambda other: least[other])
    part.metrics.append(
        Metric(
            f"{leaves.first}: effect of the warmest less that of the coolest leaves, "
            f"{name}, where it is most positive ({NAMES[where]})",
            least[where],
            unit="mol m-2 s-1",
        )
    )
    part.figures.append(
        Figure.draw(
            "surfaces",
            plot_surfaces(surfaces, own, units),
            f"Effect of the temperature difference with its interaction ({name}, "
            f"{leaves.first}), {_CELLS} bins with equal numbers of rows: along a row "
            "one sees the response to the difference at that value of the other "
            "feature. Crosses: no leaf there.",
            "Four maps of the effect over the difference and "
            f"{', '.join(NAMES[other] for other in _OTHERS)}.",
        )
    )
