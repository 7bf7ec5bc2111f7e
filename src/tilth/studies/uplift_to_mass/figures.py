"""Figures of the study: the margin, kinds of observation, and rules of the penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilth.core.plotting import COLOURS, figure, style
from tilth.loading.plots import plot_uplift
from tilth.studies.result import Figure
from tilth.studies.uplift_to_mass.findings import summarised
from tilth.studies.uplift_to_mass.world import World

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def margin(world: World) -> Figure:
    """Draw the true thinning and the true motion of the stations.

    Parameters
    ----------
    world : World
        The truth.

    Returns
    -------
    Figure
        A map.
    """
    load = (world.truth.thickening / 917.0).assign_attrs(units="m of ice per year")
    return Figure.draw(
        "margin",
        plot_uplift(world.moved, load, units="mm per year"),
        "The made-up margin: thinning of the ice, and what it does to twelve stations "
        "on rock. They rise, the nearest most, and move away from the loss.",
        "Map of thinning cells east of a coast, with dots and arrows of stations west "
        "of it.",
    )


def by_kind(world: World, draws: pd.DataFrame) -> Figure:
    """Draw estimates by kind of observation beside the truth.

    Parameters
    ----------
    world : World
        The truth.
    draws : pandas.DataFrame
        All of them.

    Returns
    -------
    Figure
        Points and median intervals.
    """
    return _intervals(
        world,
        draws,
        ("kind", "sign", "pattern"),
        "by-kind",
        "Rate of mass by what was observed: single draws (grey), their median, and the "
        "median 95 % interval; the truth is dashed. Below: limits by the sign of the "
        "load alone, and one factor per basin of a right pattern and of one that falls "
        "off 1.6 times too slowly.",
    )


def by_rule(world: World, draws: pd.DataFrame) -> Figure:
    """Draw estimates by rule of the penalty beside the truth.

    Parameters
    ----------
    world : World
        The truth.
    draws : pandas.DataFrame
        All of them.

    Returns
    -------
    Figure
        Points and median intervals.
    """
    return _intervals(
        world,
        draws,
        ("rule",),
        "by-rule",
        "Rate of mass from three components by penalty and choice of its strength: "
        "single draws (grey), their median, and its 95 % interval. The corner of "
        "the L-curve of the roughness smooths too much: a short interval, and wrong.",
    )


def _intervals(
    world: World, draws: pd.DataFrame, groups: tuple[str, ...], name: str, caption: str
) -> Figure:
    """Draw one line per way."""
    table = summarised(world, draws)
    ways = [key for key in table.index if key[0] in groups]
    with style():
        drawn, ax = figure(height=0.36 * len(ways) + 1.0)
        for k, key in enumerate(ways):
            _draw(ax, k, draws, key, table.loc[key], groups.index(key[0]))
        ax.axvline(world.total, color="k", ls="--", lw=1.0)
        ax.set_yticks(range(len(ways)), [_label(*key) for key in ways])
        ax.set_ylim(len(ways) - 0.4, -0.6)
        held = table.loc[ways]
        span = np.array([held["lower"].min(), held["upper"].max()])
        ax.set_xlim(*(span + np.array([-0.15, 0.15]) * np.ptp(span)))
        ax.set_xlabel("rate of mass (Gt yr$^{-1}$)")
    return Figure.draw(
        name, drawn, caption, "Intervals per way beside a dashed line for the truth."
    )


def _draw(
    ax: Axes, k: int, draws: pd.DataFrame, key: tuple, row: pd.Series, colour: int
) -> None:
    """Draw the draws, mean and median interval of one way."""
    own = draws[(draws["group"] == key[0]) & (draws["way"] == key[1])]["total"]
    ax.plot(own, np.full(own.size, k + 0.2), "|", color="#999999", ms=6, zorder=1)
    ax.plot([row["lower"], row["upper"]], [k, k], "-", color=COLOURS[colour], lw=2.0)
    ax.plot([row["median"]], [k], "o", color=COLOURS[colour])


def _label(group: str, way: str) -> str:
    """Return the name of a way."""
    if group == "sign":
        return f"only loss, {way}"
    if group == "pattern":
        return "pattern, right" if way == "1" else "pattern, too wide"
    return way
