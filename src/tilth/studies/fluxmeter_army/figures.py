"""Figures of the study, each the answer to one question."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text

_FLUX = f"CO$_2$ flux ({units_text('umol m-2 s-1')})"


def dynamic_closure(table: pd.DataFrame) -> Figure:
    """Draw how many closures stay below detection, by season and rule."""
    seasons = list(dict.fromkeys(table["season"]))
    with style():
        drawn, ax = figure()
        x = np.arange(len(seasons))
        for i, (rule, label) in enumerate(
            (
                ("fixed", "always three minutes"),
                ("raw", "until two readings differ by 5 ppm (article)"),
                ("median", "until medians of five differ by 5 ppm"),
            )
        ):
            rows = table[table["rule"] == rule].set_index("season").loc[seasons]
            heights = 100 * rows["below_detection"]
            bars = ax.bar(
                x + 0.27 * (i - 1), heights, 0.25, color=COLOURS[i], label=label
            )
            ax.bar_label(bars, fmt="%.0f", fontsize=8)
        fluxes = table.drop_duplicates("season").set_index("season")["true_flux"]
        ax.set_xticks(x, [f"{s}\n{fluxes[s]:.2f}" for s in seasons])
        ax.set_xlabel(f"season and its mean flux ({units_text('umol m-2 s-1')})")
        ax.set_ylabel("closures below detection (%)")
        ax.margins(y=0.12)
        ax.legend()
    return Figure.draw(
        "dynamic_closure",
        drawn,
        "Night closures that cannot be told from no flux, with a fixed closure and "
        "with the rule of firmware 6, taken in two ways (simulated).",
        "Bars per season; in winter only the rule on medians lowers the share much.",
    )


def sensor_spread(
    curves: Mapping[str, tuple], published: Mapping[float, float | str]
) -> Figure:
    """Draw how far calibrated sensors differ over the concentration."""
    with style():
        drawn, ax = figure()
        for colour, (name, (air, spread)) in zip(COLOURS, curves.items(), strict=False):
            order = np.argsort(air)
            ax.plot(
                air[order], spread[order], color=colour, label=f"span of the {name}"
            )
        ax.vlines(450, 14, 17, color="0.2", lw=4)
        exact = {c: v for c, v in published.items() if not isinstance(v, str)}
        ax.plot(list(exact), list(exact.values()), "D", color="0.2", label="article")
        ax.set_xlabel("CO$_2$ in the room (ppm)")
        ax.set_ylabel("standard deviation of 85 sensors (ppm)")
        ax.set_ylim(bottom=0)
        ax.legend()
    return Figure.draw(
        "sensor_spread",
        drawn,
        "Spread of 85 sensors after a common calibration at 420 ppm: simulated with "
        "two spans, and the article's numbers.",
        "Two rising curves; the article's points at 450, 500 and 1800 ppm.",
    )
