"""Figures: hydrographs of the held-out year, scores, flow-duration curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tilth.core.optional import load
from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.studies.calibrate_by_gauge.members import Bands
from tilth.studies.calibrate_by_gauge.problem import Problem

_LOOKS: dict[str, dict[str, Any]] = {
    "climatology": {"color": "0.45", "ls": "--", "lw": 1.1},
    "uncalibrated": {"color": COLOURS[1], "lw": 0.9},
    "calibrated": {"color": COLOURS[0], "lw": 1.3},
}

_OBSERVED = {"color": "black", "lw": 0.9}

_BARS = {
    "climatology": "0.65",
    "uncalibrated": COLOURS[1],
    "linear rivers": COLOURS[5],
    "calibrated": COLOURS[0],
}


def _square_root(ax: Any) -> None:
    """Let the height of the axis grow as the square root."""
    ax.set_yscale(
        "function", functions=(lambda v: np.sqrt(np.maximum(v, 0.0)), np.square)
    )
    ax.set_ylim(bottom=0.0)


def hydrographs(
    flows: Mapping[str, np.ndarray],
    limits: Bands,
    problem: Problem,
    names: list[str],
    split: str,
) -> Figure:
    """Draw the held-out year of every basin of a split.

    Parameters
    ----------
    flows : mapping of str to array, shape (record, column)
        Name of a series -> discharge, m3 s-1.
    limits : Bands
        Around the calibrated chain.
    problem : Problem
        One column for each basin and split.
    names : list of str
        Of the basins.
    split : str
        Name of the split to draw.

    Returns
    -------
    Figure
        One panel for each basin.
    """
    chosen = [j for j, c in enumerate(problem.columns) if c.split.name == split]
    with style():
        drawn, axes = figure(
            len(chosen), height=1.75 * len(chosen) + 0.9, sharex=True, squeeze=False
        )
        for ax, j in zip(axes[:, 0], chosen, strict=True):
            days = problem.tested[:, j]
            time = problem.time[days]
            ax.fill_between(
                time, limits.low[days, j], limits.high[days, j], color=COLOURS[5],
                alpha=0.35, lw=0, label="90 % band",
            )  # fmt: skip
            for name, look in _LOOKS.items():
                ax.plot(time, flows[name][days, j], label=name, **look)
            ax.plot(time, problem.observed[days, j], label="observed", **_OBSERVED)
            ax.set_title(names[problem.columns[j].basin])
            ax.set_ylabel("m$^3$ s$^{-1}$")
            _square_root(ax)
            ax.set_xlim(time[0], time[-1])
        dates = load("matplotlib.dates", "plot")
        axes[-1, 0].xaxis.set_major_locator(dates.MonthLocator())
        axes[-1, 0].xaxis.set_major_formatter(dates.DateFormatter("%b"))
        axes[-1, 0].set_xlabel(f"month of {time[0].astype('datetime64[Y]')}")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return Figure.draw(
        "hydrographs",
        drawn,
        f"Discharge at the gauges, {split}, on an axis that grows as the square root: "
        "observed, of the chain before and after its calibration, and the climatology "
        "of the training years. The band holds 90 % of members with errors as in the "
        "training years.",
        f"Daily discharge of {len(chosen)} basins through a year with four lines each "
        "and a band around the calibrated one.",
    )


def scores(table: pd.DataFrame) -> Figure:
    """Draw the held-out KGE of every series, basin and split.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `tilth.studies.calibrate_by_gauge.judge.held_out_scores`.

    Returns
    -------
    Figure
        One panel for each split.
    """
    splits = list(dict.fromkeys(table["split"]))
    basins = list(dict.fromkeys(table["basin"]))
    width = 0.8 / len(_BARS)
    with style():
        drawn, axes = figure(
            len(splits), height=2.3 * len(splits) + 0.6, sharex=True, sharey=True,
            squeeze=False,
        )  # fmt: skip
        for ax, split in zip(axes[:, 0], splits, strict=True):
            for i, (series, colour) in enumerate(_BARS.items()):
                own = table[(table["split"] == split) & (table["series"] == series)]
                x = np.arange(len(basins)) + width * (i - (len(_BARS) - 1) / 2)
                value = own["KGE'"].to_numpy()
                ax.bar(x, value, width * 0.92, color=colour, label=series)
                ax.vlines(x, own["lower"], own["upper"], color="0.15", lw=0.9)
            ax.axhline(0.0, color="0.3", lw=0.8)
            ax.set_ylim(-0.6, 1.0)
            ax.set_title(split)
            ax.set_ylabel("KGE'")
        labels = [basin.replace(", ", ",\n") for basin in basins]
        axes[-1, 0].set_xticks(range(len(basins)), labels)
        drawn.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside lower center",
            ncols=4, fontsize=8,
        )  # fmt: skip
    return Figure.draw(
        "scores",
        drawn,
        "Kling-Gupta efficiency (2012) of the held-out year with 90 % intervals from "
        "drawing whole months: climatology, the chain before its calibration, after "
        "it with linear rivers, and after it with the local inertial rivers.",
        "Groups of four bars for each basin, one panel for each held-out year.",
    )


def flow_duration(
    flows: Mapping[str, np.ndarray], problem: Problem, names: list[str], split: str
) -> Figure:
    """Draw how often a discharge is exceeded in the held-out year.

    Parameters
    ----------
    flows : mapping of str to array, shape (record, column)
        Name of a series -> discharge, m3 s-1.
    problem : Problem
        One column for each basin and split.
    names : list of str
        Of the basins.
    split : str
        Name of the split to draw.

    Returns
    -------
    Figure
        One panel for each basin.
    """
    chosen = [j for j, c in enumerate(problem.columns) if c.split.name == split]
    columns = 2 if len(chosen) > 1 else 1
    rows = -(-len(chosen) // columns)
    with style():
        drawn, axes = figure(
            rows, columns, height=2.5 * rows + 0.6, sharex=True, squeeze=False
        )
        for ax, j in zip(axes.flat, chosen, strict=False):
            days = problem.tested[:, j]
            share = 100.0 * (np.arange(days.sum()) + 0.5) / days.sum()
            for name, look in _LOOKS.items():
                ax.plot(share, np.sort(flows[name][days, j])[::-1], label=name, **look)
            ax.plot(
                share, np.sort(problem.observed[days, j])[::-1], label="observed",
                **_OBSERVED,
            )  # fmt: skip
            ax.set_yscale("log")
            ax.set_title(names[problem.columns[j].basin], fontsize=10)
        for ax in axes[-1]:
            ax.set_xlabel("share of days exceeded (%)")
        for ax in axes[:, 0]:
            ax.set_ylabel("discharge (m$^3$ s$^{-1}$)")
        for ax in axes.flat[len(chosen) :]:
            ax.set_visible(False)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return Figure.draw(
        "flow_duration",
        drawn,
        f"Flow-duration curves, {split}: observed, of the chain before and after its "
        "calibration, and of the climatology.",
        f"Falling curves of discharge for {len(chosen)} basins on a logarithmic axis.",
    )
