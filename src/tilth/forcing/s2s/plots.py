"""Figures of tercile forecasts: skill by lead, and what the ensemble's size costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.stats.scores import ensemble_penalty

__all__ = ["plot_size_penalty", "plot_tercile_skill"]


def plot_tercile_skill(
    skills: Mapping[str, xr.Dataset], *, name: str = "tercile_skill", caption: str = ""
) -> Figure:
    """Draw the ranked probability skill of several forecasts by lead.

    Parameters
    ----------
    skills : mapping of str to xarray.Dataset
        Label -> ``rpss`` along ``lead`` (`score_terciles`), with ``lower`` and
        ``upper`` of `skill_interval` where there are any.
    name : str
        File name without its ending.
    caption : str
        What the reader should see; the axes say the rest.

    Returns
    -------
    Figure
        Zero is climatology; bars are the intervals.
    """
    first = next(iter(skills.values()))
    labels = [str(lead) for lead in first["lead"].values]
    place = np.arange(len(labels), dtype=float)
    offsets = np.linspace(-0.25, 0.25, len(skills)) if len(skills) > 1 else [0.0]
    with style():
        drawn, ax = figure()
        for k, (label, skill) in enumerate(skills.items()):
            rpss = skill["rpss"].values
            error = None
            if "lower" in skill:
                error = np.stack(
                    [rpss - skill["lower"].values, skill["upper"].values - rpss]
                ).clip(min=0.0)
            ax.errorbar(
                place + offsets[k],
                rpss,
                yerr=error,
                fmt="os^Dv<>"[k % 7],
                color=COLOURS[k % len(COLOURS)],
                capsize=2.5,
                label=label,
            )
        ax.axhline(0.0, color="black", lw=1.0)
        ax.set_xticks(place, labels)
        ax.set_xlim(-0.5, place[-1] + 0.5)
        ax.set_ylabel("RPSS over climatology (higher is better)")
        drawn.legend(loc="outside upper center", ncols=2)
    ends = "; ".join(
        f"{label} {float(skill['rpss'][0]):+.2f} to {float(skill['rpss'][-1]):+.2f}"
        for label, skill in skills.items()
    )
    return Figure.draw(name, drawn, caption, f"Skill from first to last lead: {ends}.")


def plot_size_penalty(
    members: np.ndarray,
    counted: np.ndarray,
    *,
    name: str = "size_penalty",
    caption: str = "",
) -> Figure:
    """Draw what counting a few members costs where there is no skill at all.

    Parameters
    ----------
    members : numpy.ndarray, shape (n,)
        Sizes of ensembles.
    counted : numpy.ndarray, shape (n,)
        Their RPSS, found.
    name, caption : str
        As in `plot_tercile_skill`.

    Returns
    -------
    Figure
        With the line that the size alone gives, -D / RPS of climatology.
    """
    sizes = np.geomspace(members.min(), members.max(), 100)
    line = [-ensemble_penalty(1) / size / (4 / 9) for size in sizes]
    with style():
        drawn, ax = figure()
        ax.plot(
            sizes,
            line,
            color=COLOURS[1],
            label="-D / RPS of climatology, D = 4 / (9 M)",
        )
        ax.plot(members, counted, "o", color=COLOURS[0], label="counted members")
        ax.axhline(0.0, color="black", lw=1.0)
        ax.set_xscale("log")
        ax.set_xticks(members, [str(m) for m in members])
        ax.minorticks_off()
        ax.set_xlabel("members M")
        ax.set_ylabel("RPSS of a forecast without skill")
        ax.legend()
    return Figure.draw(
        name,
        drawn,
        caption,
        f"RPSS rises from {counted[0]:.2f} with {members[0]} members to "
        f"{counted[-1]:.2f} with {members[-1]}, along the line.",
    )
