"""Figures of the study that no room draws."""

from __future__ import annotations

import numpy as np

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text

#: An efficiency nearer to one than this is one, for what the output's digits hold.
_NEAREST = 1e-12


def efficiency(mean: np.ndarray, nse: np.ndarray) -> Figure:
    """Draw how far from perfect each river is, against its size."""
    lack = np.maximum(1.0 - nse, _NEAREST)
    with style():
        drawn, ax = figure()
        ax.plot(mean, lack, ".", color=COLOURS[0], label="a river")
        ax.axhline(0.01, color=COLOURS[1], lw=1.2)
        ax.text(mean.max(), 0.012, "bar: NSE 0.99", ha="right", color=COLOURS[1])
        ax.axhline(np.median(lack), color="0.4", lw=0.9, ls=":")
        ax.text(
            mean.max(), np.median(lack) * 1.3, "median", ha="right", color="0.35",
            fontsize=9,
        )  # fmt: skip
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(_NEAREST / 3, 0.1)
        ax.set_xlabel(f"mean discharge ({units_text('m3 s-1')})")
        ax.set_ylabel("1 - NSE of the days (lower is better)")
    return Figure.draw(
        "efficiency",
        drawn,
        "How far each river's daily discharge is from CaMa-Flood's. The reference is "
        "written in single precision, which alone costs about 1e-14.",
        f"Cloud of {nse.size} rivers, all below the bar: the worst has an NSE of "
        f"{nse.min():.6f}."
        if nse.min() >= 0.99
        else f"Cloud of {nse.size} rivers; {(nse < 0.99).sum()} lie above the bar.",
    )
