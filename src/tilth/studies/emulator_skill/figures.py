"""The figure of the fits side by side; the others are those of any skill card."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.land.skill_plots import NAMES
from tilth.land.skill_report import cell_names

_SHADES = (COLOURS[5], COLOURS[0], COLOURS[2])


def stages(cards: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the efficiency of every fit in every cell, beside the baselines."""
    first = next(iter(cards.values()))
    names = list(first["variable"].values)
    x = np.arange(first.sizes["cell"])
    width = 0.2
    with style():
        drawn, axes = figure(
            len(names), height=1.9 * len(names) + 0.8, sharex=True, squeeze=False
        )
        for ax, name in zip(axes[:, 0], names, strict=True):
            one = first.sel(variable=name)
            ax.plot(
                x, one["persistence_nse"], "_", ms=16, color="0.55",
                label="persistence (uses the target)",
            )  # fmt: skip
            ax.plot(
                x, one["climatology_nse"], "_", ms=16, mew=2, color=COLOURS[1],
                label="climatology",
            )  # fmt: skip
            low = float(one["climatology_nse"].min())
            for i, (stage, card) in enumerate(cards.items()):
                own = card.sel(variable=name)
                at = x + width * (i - (len(cards) - 1) / 2)
                colour = _SHADES[i]
                ax.vlines(at, own["nse_lower"], own["nse_upper"], color=colour, lw=1.4)
                ax.plot(at, own["nse"], "o", ms=5, color=colour, label=stage)
                low = min(low, float(own["nse_lower"].min()))
            ax.axhline(0.4, color="0.3", lw=0.8, ls=":")
            floor = max(min(low, 0.4) - 0.1, -1.0)
            ax.set_ylim(floor, 1.03)
            for i, card in enumerate(cards.values()):
                values = card["nse"].sel(variable=name).values
                for cell in np.flatnonzero(values < floor):
                    ax.annotate(
                        f"{values[cell]:.0f}",
                        (x[cell] + width * (i - (len(cards) - 1) / 2), floor),
                        xytext=(0, 3), textcoords="offset points", ha="center",
                        fontsize=8, color=_SHADES[i],
                    )  # fmt: skip
            ax.set_title(NAMES.get(str(name), str(name)))
            ax.set_ylabel("NSE")
        axes[-1, 0].set_xticks(x, cell_names(first))
        axes[-1, 0].set_xlim(-0.6, x[-1] + 0.6)
        axes[-1, 0].set_xlabel("cell")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return Figure.draw(
        "stages",
        drawn,
        "Efficiency of free runs over years not fitted, with 90 % intervals: months "
        "fitted alone (stage 1), all together (stage 2), and together in the form that "
        "conserves water (closed). An emulator must lie above "
        "the climatology of its training years; the dotted line is the published "
        "threshold of 0.4, which climatology passes almost everywhere.",
        f"Points of the fits in {x.size} cells for {', '.join(map(str, names))}, "
        "with marks of climatology and persistence.",
    )
