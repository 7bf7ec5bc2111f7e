"""Flood maps side by side, nine hydrographs, and what the parts cost."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.plotting import COLOURS, WIDTH, figure, style
from tilth.core.report import Figure
from tilth.stats.scores import kge
from tilth.studies.coupled_emulator.experiment import Runs
from tilth.studies.coupled_emulator.judged import mouths_of, times_of, wettest_month
from tilth.studies.coupled_emulator.world import MAIN, World

_MONTHS = "JFMAMJJASOND"


def flood_maps(world: World, runs: Runs, feedback: bool = True) -> Figure:
    """Draw the flooded share of the month of the largest flood, and the difference.

    Parameters
    ----------
    world : World
        The continent.
    runs : Runs
        What was run.
    feedback : bool
        Two ways, or one.

    Returns
    -------
    Figure
    """
    pair = [runs.coupled[front, feedback] for front in ("process", MAIN)]
    month = wettest_month(pair[0], world)
    shares = [run["flood_fraction"].sel(time=month).mean("time") for run in pair]
    most = max(float(share.max()) for share in shares)
    apart = shares[1] - shares[0]
    widest = max(float(np.abs(apart).max()), 1e-6)
    with style():
        drawn, axes = figure(1, 3, height=0.42 * WIDTH, sharey=True)
        titles = ("process model", "emulator", "difference")
        for k, (ax, title) in enumerate(zip(axes, titles, strict=True)):
            last = k == 2
            image = ax.pcolormesh(
                world.labels["lon"],
                world.labels["lat"],
                _on_grid(world, apart if last else shares[k]),
                cmap="RdBu" if last else "Blues",
                vmin=-widest if last else 0.0,
                vmax=widest if last else most,
                shading="nearest",
            )
            ax.set_title(title)
            ax.set_aspect("equal")
            ax.grid(False)
            ax.set_xlabel("longitude, deg")
            if k:
                drawn.colorbar(
                    image, ax=ax, shrink=0.8,
                    label="difference" if last else "flood fraction",
                )  # fmt: skip
        axes[0].set_ylabel("latitude, deg")
    return Figure.draw(
        "flood_maps",
        drawn,
        f"Flooded share of the catchments in {month}, the month of the largest flood "
        "of the held-out years: process model in front, emulator in front, and the "
        "emulator less the process model.",
        "Three maps of the continent with the flooded share in shades of blue; the "
        f"shares reach {most:.2f}, the differences {widest:.2f}.",
    )


def _on_grid(world: World, values: xr.DataArray) -> np.ndarray:
    """Return values of catchments on the grid of their labels."""
    ids = world.labels.values
    result = np.full(ids.shape, np.nan)
    inside = ids > 0
    result[inside] = values.values[world.network.positions(ids[inside])]
    return result


def hydrographs(world: World, runs: Runs) -> Figure:
    """Draw the discharge of nine mouths in the last year, monthly scores above.

    Parameters
    ----------
    world : World
        The continent.
    runs : Runs
        What was run.

    Returns
    -------
    Figure
    """
    truth, ours = (
        mouths_of(runs.coupled[front, False], world) for front in ("process", MAIN)
    )
    members = runs.members["discharge"].sel(catchment=truth["catchment"])
    low, high = (members.quantile(q, "member") for q in (0.05, 0.95))
    shown = slice(-365, None)
    time = truth["time"].values[shown]
    with style():
        drawn, axes = figure(3, 3, height=1.05 * WIDTH, sharex=True)
        for k, ax in enumerate(axes.ravel()):
            ax.fill_between(
                time, low.values[shown, k] / 1e3, high.values[shown, k] / 1e3,
                color=COLOURS[1], alpha=0.25, lw=0, label="nine tenths of members",
            )  # fmt: skip
            ax.plot(time, truth.values[shown, k] / 1e3, color="0.1", lw=1.4,
                    label="process model")  # fmt: skip
            ax.plot(time, ours.values[shown, k] / 1e3, color=COLOURS[1], lw=1.1,
                    label="emulator")  # fmt: skip
            score = float(kge(ours.values[:, k], truth.values[:, k]))
            ax.set_title(f"mouth {int(truth['catchment'][k])}: KGE {score:.2f}",
                         fontsize=9)  # fmt: skip
            first = np.flatnonzero(np.diff(time.astype("M8[M]").astype(int))) + 1
            marks = np.concatenate(([0], first))[::2]
            names = [
                _MONTHS[int(time[m].astype("M8[M]").astype(int) % 12)] for m in marks
            ]
            ax.set_xticks(time[marks], names)
            ax.set_ylim(bottom=min(0.0, float(truth.values[shown, k].min()) / 1e3))
        for ax in axes[:, 0]:
            ax.set_ylabel("1000 m3 s-1")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return Figure.draw(
        "hydrographs",
        drawn,
        "Daily discharge at the nine mouths in the last held-out year, the largest "
        "basin first: process model and rivers, emulator and rivers, and the spread of "
        "the members of the fit. The scores are of all held-out years.",
        "Nine panels, each with two lines of daily discharge over a year that lie "
        "close together, and a band.",
    )


def costs(runs: Runs) -> Figure:
    """Draw processor time of land and rivers with either front.

    Parameters
    ----------
    runs : Runs
        What was run.

    Returns
    -------
    Figure
    """
    with style():
        drawn, axes = figure(1, 2, height=0.45 * WIDTH, sharey=True)
        for ax, feedback in zip(axes, (False, True), strict=True):
            seconds = times_of(runs, feedback)
            names = list(seconds)
            land, rivers = (np.array([seconds[n][k] for n in names]) for k in (0, 1))
            at = np.arange(len(names))
            ax.bar(at - 0.2, land, 0.4, color=COLOURS[2], label="land")
            ax.bar(at + 0.2, rivers, 0.4, color=COLOURS[0], label="rivers")
            for x, value in zip(
                [*(at - 0.2), *(at + 0.2)], [*land, *rivers], strict=True
            ):
                ax.annotate(f"{value:.2g} s", (x, value), xytext=(0, 2), fontsize=8,
                            textcoords="offset points", ha="center")  # fmt: skip
            ax.set_yscale("log")
            ax.set_xticks(at, names)
            ax.set_title("two ways" if feedback else "one way")
            ax.grid(False, axis="x")
        axes[0].set_ylabel("processor time, s")
        axes[0].legend()
    return Figure.draw(
        "costs",
        drawn,
        "Processor time of the held-out years by part, on a logarithmic scale.",
        "Bars of land and rivers for the process model and the emulator, one way and "
        "two ways.",
    )
