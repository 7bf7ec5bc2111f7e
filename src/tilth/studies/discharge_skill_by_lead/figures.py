"""Figures of the study: skill by lead with two kinds of stars, and false alarms."""

from __future__ import annotations

import numpy as np

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.stats import cluster_bootstrap, false_discovery
from tilth.studies.discharge_skill_by_lead.verdicts import (
    LEVEL,
    SCORES,
    TESTS,
    gains,
    p_values,
)
from tilth.studies.discharge_skill_by_lead.world import SEED, World


def skill_by_lead(world: World, leads: tuple[int, ...], name: str, what: str) -> Figure:
    """Draw the mean scores of both systems against lead, with what two tests say.

    Parameters
    ----------
    world : World
        A year.
    leads : tuple of int
        Days ahead.
    name : str
        Of the figure.
    what : str
        Which world it is, for the caption.

    Returns
    -------
    Figure
        One panel per score; bands are 95 % over basins.
    """
    tests = p_values(world, SEED)
    stars = {"slides": 0, "honest": 0}
    with style():
        drawn, axes = figure(1, len(SCORES), height=3.4)
        for ax, (score, (second, first)) in zip(
            np.ravel(axes), gains(world).items(), strict=True
        ):
            for values, colour, label in (
                (first, COLOURS[6], "first forcing"),
                (second, COLOURS[0], "second forcing"),
            ):
                zero = np.zeros_like(values)
                mean = cluster_bootstrap(values, zero, world.basin, seed=SEED)
                ax.fill_between(leads, mean.lower, mean.upper, color=colour, alpha=0.2)
                ax.plot(leads, mean.difference, "-o", color=colour, label=label)
            plain = tests["paired t"][score] < LEVEL
            held = false_discovery(
                tests["cluster bootstrap"][score], level=LEVEL, correlated=False
            ).significant
            low, high = ax.get_ylim()
            ax.set_ylim(low - 0.16 * (high - low), high)
            for chosen, place, colour, mark, label in (
                (plain, 0.10, COLOURS[1], "x", "paired t: p < 0.05"),
                (held, 0.04, COLOURS[2], "^", "basins, FDR: significant"),
            ):
                at = np.asarray(leads)[chosen]
                height = np.full(at.size, low - place * (high - low))
                ax.plot(at, height, mark, color=colour, label=label)
            stars["slides"] += int(plain.sum())
            stars["honest"] += int(held.sum())
            ax.set_title(score)
            ax.set_xlabel("lead (days)")
        np.ravel(axes)[0].set_ylabel("mean over sites")
        handles, labels = np.ravel(axes)[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=2)
    return Figure.draw(
        name,
        drawn,
        f"Skill by lead where {what}. Bands hold 95 % of the basins' bootstrap.",
        f"Three panels of scores falling with lead; {stars['slides']} crosses of the "
        f"paired t test and {stars['honest']} triangles of the honest one.",
    )


def false_alarms(shares: dict[str, dict[str, float]]) -> Figure:
    """Draw how often each test finds a difference, truth by truth.

    Parameters
    ----------
    shares : dict of str to dict of str to float
        Truth -> test -> share of single tests below 5 %, the mean of the scores.

    Returns
    -------
    Figure
        Bars, and the 5 % they should have where there is no difference.
    """
    with style():
        drawn, ax = figure(height=3.2)
        place = np.arange(len(shares))
        width = 0.8 / len(TESTS)
        colours = (COLOURS[1], COLOURS[4], COLOURS[2])
        for i, (test, colour) in enumerate(zip(TESTS, colours, strict=True)):
            heights = [100.0 * by_test[test] for by_test in shares.values()]
            ax.bar(place + (i - 1) * width, heights, width, color=colour, label=test)
        ax.axhline(5.0, color=COLOURS[6], lw=1.0, ls="--", label="asked for: 5 %")
        ax.set_xticks(place, list(shares))
        ax.set_ylabel("leads found different (%)")
        ax.set_xlabel("what is true")
        drawn.legend(loc="outside upper center", ncols=4)
    highest = 100.0 * shares["same"]["paired t"]
    return Figure.draw(
        "false-alarms",
        drawn,
        "How often a single lead is found different, mean of the three scores.",
        f"Grouped bars; where both are the same the paired t test finds {highest:.0f} "
        "per cent.",
    )
