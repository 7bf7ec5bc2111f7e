"""Figures of the study that no room draws."""

from __future__ import annotations

import numpy as np

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text

#: Half the distance between one and the next smaller number: nearer is one.
_NEAREST = 1e-16


def efficiency(mean: np.ndarray, nse: np.ndarray, own: np.ndarray) -> Figure:
    """Draw how far from perfect each river is, against its size.

    Parameters
    ----------
    mean : numpy.ndarray, shape (river,)
        Mean discharge, m3 s-1.
    nse, own : numpy.ndarray, shape (river,)
        Efficiency with the sub-steps of the reference, and with each basin's own.

    Returns
    -------
    Figure
        Both on a logarithmic scale, with the bar.
    """
    with style():
        drawn, ax = figure()
        for values, colour, mark, label in (
            (own, COLOURS[0], ".", "each basin its own sub-steps"),
            (nse, COLOURS[2], "x", "sub-steps as CaMa-Flood's"),
        ):
            lack = np.maximum(1.0 - values, _NEAREST)
            ax.plot(mean, lack, mark, ms=4, color=colour, label=label)
        ax.axhline(0.01, color=COLOURS[1], lw=1.2)
        ax.text(mean.max(), 0.02, "bar: NSE 0.99", ha="right", color=COLOURS[1])
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(_NEAREST / 5, 1.0)
        ax.set_xlabel(f"mean discharge ({units_text('m3 s-1')})")
        ax.set_ylabel("1 - NSE of the days (lower is better)")
        drawn.legend(loc="outside upper center", ncols=2)
    worst = min(float(nse.min()), float(own.min()))
    return Figure.draw(
        "efficiency",
        drawn,
        "How far each river's daily discharge is from CaMa-Flood's. Its output is in "
        "single precision: nothing below about 1e-14 can be told from it.",
        f"Two clouds of {nse.size} rivers; the lowest efficiency is {worst:.6f}.",
    )
