"""Figures of the study, each the answer to one question."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text

_HEAT = {"Qle": "latent heat", "Qh": "sensible heat"}
_UNIT = units_text("W m-2")


def year(ours: xr.Dataset, other: xr.Dataset, who: str, name: str) -> Figure:
    """Draw the year of latent and sensible heat beside that of another source."""
    with style():
        drawn, axes = figure(2, 1, sharex=True, height=5.0)
        for ax, (flux, words) in zip(axes, _HEAT.items(), strict=True):
            for colour, label, data in (
                ("0.35", who, other),
                (COLOURS[0], "Tilth", ours),
            ):
                daily = data[flux].squeeze()
                week = daily.rolling(time=7, center=True, min_periods=4).mean()
                ax.plot(daily["time"], daily, color=colour, lw=0.5, alpha=0.4)
                ax.plot(week["time"], week, color=colour, label=label)
            ax.axhline(0.0, color="0.6", lw=0.8)
            ax.set_ylabel(f"{words} ({_UNIT})")
        axes[0].legend(loc="upper left")
    return Figure.draw(
        f"year_{name}",
        drawn,
        "Daily latent and sensible heat (thin) and their weekly mean, the model "
        f"beside {who}.",
        f"Two panels of daily heat fluxes through a year, ours beside {who}.",
    )


def diurnal(ours: xr.Dataset, tower: xr.Dataset) -> Figure:
    """Draw the mean day of a summer: is the model right at the right hour."""
    with style():
        drawn, axes = figure(1, 2, sharey=True, height=3.2)
        for ax, (flux, words) in zip(axes, _HEAT.items(), strict=True):
            for colour, label, data in (
                ("0.35", "tower", tower),
                (COLOURS[0], "Tilth", ours),
            ):
                summer = data[flux].squeeze()
                summer = summer.sel(time=summer["time.month"].isin([6, 7, 8]))
                hour = summer["time.hour"] + summer["time.minute"] / 60.0
                grouped = summer.groupby(hour.rename("hour"))
                mean, spread = grouped.mean(), grouped.std()
                ax.plot(mean["hour"], mean, color=colour, label=label)
                ax.fill_between(
                    mean["hour"],
                    mean - spread,
                    mean + spread,
                    color=colour,
                    alpha=0.12,
                    lw=0,
                )
            ax.set_xticks(np.arange(0, 25, 6))
            ax.set_xlabel("hour (UTC)")
            ax.set_title(words)
        axes[0].set_ylabel(f"heat flux ({_UNIT})")
        axes[0].legend(loc="upper left")
    return Figure.draw(
        "summer_day",
        drawn,
        "US-Me2, June to August: the mean day; the band holds a standard deviation "
        "between days on either side.",
        "Mean summer day of latent and sensible heat, ours beside the tower's.",
    )
