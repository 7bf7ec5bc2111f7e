"""Figures of the study, each the answer to one question."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tilth.core.plotting import COLOURS, band, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text

_FLUX = f"CO$_2$ flux ({units_text('umol m-2 s-1')})"


def effects(table: pd.DataFrame) -> Figure:
    """Draw which treatments changed the efflux, and where the naive ratio misleads."""
    rows = table.sort_values("ratio")
    y = np.arange(len(rows))
    with style():
        drawn, ax = figure(height=max(3.5, 0.17 * len(rows) + 1.2))
        ax.axvline(1.0, color="0.4", lw=1)
        ax.axvspan(
            1.2, 1.6, color=COLOURS[2], alpha=0.12, label="article: +20 to +60 %"
        )
        ax.hlines(y, rows["lower"], rows["upper"], color=COLOURS[0], lw=1.6)
        ax.plot(
            rows["ratio"], y, "o", ms=4, color=COLOURS[0], label="paired by the hour"
        )
        flips = rows["naive_flips_sign"].astype(bool).to_numpy()
        naive = rows["naive_ratio"].to_numpy()
        ax.plot(naive[~flips], y[~flips], "|", ms=7, color="0.55", label="unpaired")
        ax.plot(
            naive[flips], y[flips], "X", ms=6, color=COLOURS[1],
            label="unpaired, sign flipped",
        )  # fmt: skip
        ax.set_yticks(y, rows.index, fontsize=7)
        ax.set_xscale("log")
        ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 3]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_ylim(-1, len(rows))
        ax.set_xlabel("efflux of the variant over its control")
        ax.legend(loc="lower right")
    return Figure.draw(
        "effects",
        drawn,
        "Efflux of each variant over the control of its table, with the 95 % interval "
        "of a bootstrap over days. Crosses: the unpaired ratio claims the opposite.",
        f"Forest plot of {len(rows)} variants; {int(flips.sum())} unpaired ratios lie "
        "on the other side of one.",
    )


def missing_cycles(weekly: pd.DataFrame, firmware: pd.Timestamp) -> Figure:
    """Draw how many cycles filters and failures took, week by week."""
    with style():
        drawn, ax = figure()
        for colour, (name, column) in zip(COLOURS, weekly.items(), strict=False):
            known = column.dropna()
            ax.plot(
                known.index, 100 * known, "o", ms=4, color=colour, label=f"table {name}"
            )
        ax.axvline(firmware, color="0.4", lw=1, ls="--")
        ax.annotate(
            "firmware 6", (firmware, 1.0), xycoords=("data", "axes fraction"),
            xytext=(4, -10), textcoords="offset points", fontsize=8,
        )  # fmt: skip
        ax.set_ylabel("cycles missing in dark hours (%)")
        ax.set_ylim(0, 100)
        ax.legend(ncols=3, loc="upper left")
        drawn.autofmt_xdate()
    return Figure.draw(
        "missing_cycles",
        drawn,
        "Cycles that a dark hour lacks, by week and table: what filters and "
        "failures took, as far as the filtered table tells. "
        "Longer closures (firmware 6, 22 October) brought it down.",
        "Points per week and table; about half missing in September and October, "
        "about a fifth in November.",
    )


def fick(pairs: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Draw whether the flux follows the CO2 gradient, soil by soil."""
    tables = list(pairs.groupby("table"))
    with style():
        drawn, axes = figure(1, max(len(tables), 1), height=2.7, sharey=True)
        for ax, (name, rows) in zip(np.atleast_1d(axes), tables, strict=True):
            x = rows["gradient"] / 1000
            ax.plot(x, rows["flux"], ".", ms=4, color="0.5")
            grid = np.linspace(0, x.max(), 50)
            fit = fits.loc[name]
            ppm = 1000 * grid
            variance = (
                fit["intercept_se"] ** 2
                + 2 * ppm * fit["intercept_slope_covariance"]
                + (ppm * fit["slope_se"]) ** 2
            )
            y = fit["intercept"] + fit["slope"] * ppm
            band(ax, grid, y, np.sqrt(variance), color=COLOURS[0])
            ax.set_title(f"table {name}: r = {fit['r']:.2f}")
            ax.set_xlabel("soil − air CO$_2$ (1000 ppm)")
            ax.set_ylim(0, float(pairs["flux"].quantile(0.995)) * 1.15)
        np.atleast_1d(axes)[0].set_ylabel(_FLUX)
    return Figure.draw(
        "fick",
        drawn,
        "Daily efflux against the CO2 difference between soil and chamber air, for the "
        "tables that hold one soil each. The slope is the conductance of that soil.",
        f"Scatter plots of {len(tables)} tables, each with a rising line.",
    )


def detection_limits(limits: pd.DataFrame) -> Figure:
    """Draw how long a chamber must stay closed to see a small flux."""
    with style():
        drawn, ax = figure(height=3.2)
        for colour, sigma in zip(COLOURS, limits.columns, strict=False):
            ax.plot(
                limits.index / 60, limits[sigma], color=colour, label=f"{sigma:g} ppm"
            )
        ax.axhline(0.1, color="0.4", lw=1, ls=":")
        ax.annotate(
            "the fleet's threshold 0.1",
            (5.98, 0.1),
            ha="right",
            va="bottom",
            fontsize=8,
        )
        for minutes in (3, 5):
            ax.axvline(minutes, color="0.6", lw=0.8, ls="--")
        ax.set_yscale("log")
        ax.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
        ax.minorticks_off()
        ax.set_xlabel("time closed (min)")
        ax.set_ylabel(f"detection limit\n({units_text('umol m-2 s-1')})")
        ax.legend(title="noise of one reading")
    return Figure.draw(
        "detection_limits",
        drawn,
        "Smallest flux that a line through readings every 3 s tells from zero (95 %). "
        "Five minutes instead of three halve it.",
        "Two falling curves; at ten ppm noise three minutes see 0.31, five 0.15.",
    )


def simulated_fluxes(truth: np.ndarray, found: np.ndarray, se: np.ndarray) -> Figure:
    """Draw whether the fluxes are right, and their errors."""
    with style():
        drawn, (left, right) = figure(1, 2, height=3.0)
        top = float(np.quantile(truth, 0.999)) * 1.1
        shown = np.linspace(0, len(truth) - 1, min(len(truth), 3000)).astype(int)
        left.plot(truth[shown], found[shown], ".", ms=2, alpha=0.35, color=COLOURS[0])
        left.plot([0, top], [0, top], color="0.3", lw=1)
        left.set_xlim(0, top)
        left.set_ylim(min(0.0, float(np.quantile(found, 0.002))), top * 1.25)
        left.set_xlabel(f"true flux ({units_text('umol m-2 s-1')})")
        left.set_ylabel("computed flux")
        z = (found - truth) / se
        grid = np.linspace(-4, 4, 161)
        right.hist(
            z, bins=np.linspace(-4, 4, 41), density=True, color=COLOURS[0], alpha=0.5
        )
        right.plot(grid, np.exp(-grid * grid / 2) / np.sqrt(2 * np.pi), color="0.2")
        right.set_xlabel("error over its standard error")
        right.set_yticks([])
        right.set_title("curve: if errors were exact", fontsize=9)
    return Figure.draw(
        "simulated_fluxes",
        drawn,
        "Simulated closures of the night: computed against true flux, and errors over "
        "their stated standard error.",
        "Points along the diagonal; a histogram close to the normal curve.",
    )
