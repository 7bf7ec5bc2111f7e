"""Figures of the study: changes by quantile, and changes of the measured cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilth.core.plotting import COLOURS, figure, style
from tilth.studies.result import Figure
from tilth.studies.warming_signal.cases import SIMULATED
from tilth.studies.warming_signal.methods import METHODS
from tilth.studies.warming_signal.signals import (
    PROBABILITIES,
    Signal,
    quantile_changes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXES = {"+": "change (K)", "*": "ratio of after to before"}


def by_quantile(signals: list[Signal], group: str) -> Figure:
    """Draw the change of every quantile of the simulated model by every method.

    Parameters
    ----------
    signals : list of Signal
        Of all cases.
    group : str
        Grouping shown.

    Returns
    -------
    Figure
        Temperature and rain.
    """
    own = [s for s in signals if s.case.name == SIMULATED and s.group == group]
    cases = {s.case.variable: s.case for s in own}
    with style():
        drawn, axes = figure(1, len(cases), height=3.4)
        for ax, case in zip(np.ravel(axes), cases.values(), strict=True):
            _draw_quantiles(ax, [s for s in own if s.case is case])
            ax.plot(
                PROBABILITIES,
                quantile_changes(case, case.before, case.after),
                "k--",
                label="model",
            )
            ax.set_xlabel("quantile")
            ax.set_ylabel(_AXES[case.kind])
            ax.set_title(case.variable)
        np.ravel(axes)[-1].legend(ncols=2, fontsize=7)
    return Figure.draw(
        "by-quantile",
        drawn,
        "Change of the quantiles of daily temperature and precipitation in the "
        f"simulated model (dashed) and after adjustment (grouping: {group}). EQM "
        "stretches the change by the ratio of the spreads until values leave the range "
        "of training, beyond which its correction stays that of the outermost node.",
        "Curves of change over quantile; QDM lies on the model, EQM beside it.",
    )


def _draw_quantiles(ax: Axes, signals: list[Signal]) -> None:
    """Draw one line per method."""
    for s in signals:
        k = METHODS.index(s.method)
        ax.plot(
            PROBABILITIES, s.quantiles, "o-", color=COLOURS[k], label=s.method, lw=1.0
        )


def by_case(signals: list[Signal]) -> Figure:
    """Draw the change of the mean at every place of every case without groups.

    Parameters
    ----------
    signals : list of Signal
        Of all cases.

    Returns
    -------
    Figure
        A panel per case.
    """
    own = [s for s in signals if s.group == "none"]
    labels = list(dict.fromkeys(s.case.label for s in own))
    rows = (len(labels) + 1) // 2
    with style():
        drawn, axes = figure(rows, 2, height=2.2 * rows, sharey=True)
        for ax in np.ravel(axes)[len(labels) :]:
            ax.set_visible(False)
        for ax, label in zip(np.ravel(axes), labels, strict=False):
            of_case = [s for s in own if s.case.label == label]
            for s in of_case:
                k = METHODS.index(s.method)
                height = np.full(s.adjusted.size, float(k))
                ax.plot(s.adjusted, height, "|", color=COLOURS[k], ms=9)
                ax.plot([s.adjusted.mean()], [k], "o", color=COLOURS[k])
            ax.axvline(of_case[0].simulated.mean(), color="k", ls="--", lw=1.0)
            ax.set_yticks(range(len(METHODS)), METHODS)
            ax.set_title(label)
            ax.set_xlabel(_AXES[of_case[0].case.kind])
    return Figure.draw(
        "by-case",
        drawn,
        "Change of the mean by method, all days together: places (bars), their mean "
        "(points), and the mean change of the unadjusted model (dashed).",
        "Points of change per method beside a dashed line for the model.",
    )
