"""Figures of the study: maps before and after, gains by target, quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core import plotting
from tilth.core.report import Figure
from tilth.studies.local_weather.validation import BASELINE, DEFAULT


def draw_maps(maps: dict[str, xr.DataArray]) -> Figure:
    """Draw mean rain and the share of wet days at every place, by method.

    Parameters
    ----------
    maps : dict of str to xarray.DataArray
        Of `tilth.studies.local_weather.validation.last_winters`.

    Returns
    -------
    Figure
        Two rows of maps.
    """
    names = ["observed", "bilinear", BASELINE, DEFAULT]
    rows = {
        "mean, mm day$^{-1}$": lambda rain: rain.mean("time"),
        "share of wet days": lambda rain: (
            (rain >= 1.0).where(np.isfinite(rain)).mean("time")
        ),
    }
    with plotting.style():
        drawn, axes = plotting.figure(
            2, len(names), height=4.6, sharex=True, sharey=True
        )
        for row, (label, reduce) in enumerate(rows.items()):
            line = axes[row]
            values = {name: reduce(maps[name]).values for name in names}
            low, top = np.nanmin(values["observed"]), np.nanmax(values["observed"])
            for ax, name in zip(line, names, strict=True):
                place = maps["observed"]
                shown = ax.scatter(
                    place["lon"], place["lat"], c=values[name], vmin=low, vmax=top,
                    cmap="cividis_r", s=70, edgecolor="0.3", linewidth=0.4,
                )  # fmt: skip
                if row == 0:
                    ax.set_title(name.replace(" + ", "\n+ "), fontsize="medium")
            drawn.colorbar(shown, ax=list(line), label=label, extend="both")
        for ax in axes[-1]:
            ax.set_xlabel("longitude")
        for line in axes:
            line[0].set_ylabel("latitude")
    return Figure.draw(
        "maps",
        drawn,
        "Rain of winters that were not learnt from. Mapping the distribution puts the "
        "means right; which places are often wet needs the pattern.",
        "Maps of mean rain and of wet days, observed and by three methods.",
    )


def draw_gains(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw the rank correlation of every target against that of the baseline.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        Target set -> scores of `validate`.

    Returns
    -------
    Figure
        A panel per set.
    """
    with plotting.style():
        drawn, axes = plotting.figure(1, len(tables), height=3.4, squeeze=False)
        for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
            rows = table[table["stage"] == "corrected"]
            pairs = rows.pivot_table(
                index=["target", "fold"], columns="method", values="rank correlation"
            )
            for fold, part in pairs.groupby("fold"):
                ax.plot(
                    part[BASELINE], part[DEFAULT], "o", ms=4, alpha=0.8,
                    label=f"fold {fold}",
                )  # fmt: skip
            ends = [pairs.min().min() - 0.02, pairs.max().max() + 0.02]
            ax.plot(ends, ends, color="0.5", lw=0.8)
            ax.set(
                xlabel=f"rank correlation, {BASELINE}",
                ylabel=f"rank correlation, {DEFAULT}",
                title=name,
            )
        axes[0][0].legend(fontsize="small")
    return Figure.draw(
        "gains",
        drawn,
        "Rank correlation with daily rain, one point per target and fold of winters "
        "held out; above the line the pattern is better.",
        "Points mostly above the diagonal in every panel.",
    )


def draw_quantiles(maps: dict[str, xr.DataArray]) -> Figure:
    """Draw quantiles of every stage against those observed.

    Parameters
    ----------
    maps : dict of str to xarray.DataArray
        Of `tilth.studies.local_weather.validation.last_winters`.

    Returns
    -------
    Figure
        One panel.
    """
    levels = np.linspace(0.5, 0.999, 200)
    observed = maps["observed"].values.ravel()
    known = np.isfinite(observed)
    truth = np.quantile(observed[known], levels)
    with plotting.style():
        drawn, ax = plotting.figure(height=3.6)
        for name, marks in _LINES.items():
            values = np.quantile(maps[name].values.ravel()[known], levels)
            ax.plot(truth, values, label=name, **marks)
        ax.plot(truth, truth, color="0.5", lw=0.8)
        ax.set(
            xlabel="observed quantile, mm day$^{-1}$",
            ylabel="quantile, mm day$^{-1}$",
        )
        ax.legend()
    return Figure.draw(
        "quantiles",
        drawn,
        "Quantiles (50 to 99.9 %) of daily rain at all places, winters not learnt "
        "from. The conditional estimate varies too little; the rank step mends that "
        "and costs some of its small error.",
        "The conditional estimate bends far below the diagonal, the others follow it.",
    )


_LINES: dict[str, dict[str, Any]] = {
    "bilinear": {"ls": ":"},
    BASELINE: {"ls": "--"},
    f"{DEFAULT}, conditional": {"ls": "-."},
    DEFAULT: {"ls": "-"},
}
