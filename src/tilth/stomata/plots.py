"""Figures of the stomata room: one function per question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.plotting import COLOURS, WIDTH, figure, style
from tilth.core.typeset import units_text
from tilth.ml.effects import Effect, EffectSurface
from tilth.ml.importance import Importance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "NAMES",
    "plot_effects",
    "plot_errors",
    "plot_excess",
    "plot_importance",
    "plot_predictions",
    "plot_scores",
    "plot_surfaces",
]

#: Feature -> how it is called in figures.
NAMES = {
    "deficit": "vapour deficit",
    "assimilation": "assimilation",
    "surface_co2": "CO2 at the leaf",
    "soil_water_potential": "soil water",
    "light": "light",
    "leaf_temperature": "leaf temperature",
    "air_temperature": "air temperature",
    "temperature_difference": "temperature difference",
}

_CONDUCTANCE = "mol m-2 s-1"
_DIFFERENCE = "leaf less air temperature (K)"


def plot_importance(
    ranked: Mapping[str, Mapping[str, Importance]], *, percent: bool = False
) -> Figure:
    """Show which features learners use, and how sure that is.

    Answers: what rank has the temperature difference, in measured leaves and in those
    that only make it?

    Parameters
    ----------
    ranked : mapping of str to mapping of str to Importance
        Panel (a learner) -> bars (a world, or training and held out) -> importance of
        the same features.
    percent : bool, default False
        Whether in percent of the error without shuffling.

    Returns
    -------
    matplotlib.figure.Figure
        Bars with one standard deviation of the shuffles on either side.

    Raises
    ------
    InputError
        If there is nothing to show, or the features differ.
    """
    panels = _filled(ranked, "importance")
    first = next(iter(next(iter(panels.values())).values()))
    for series in panels.values():
        for one in series.values():
            if one.names != first.names:
                raise InputError(
                    f"bars of other features do not stand side by side: "
                    f"{', '.join(one.names)} beside {', '.join(first.names)}"
                )
    order = np.argsort(first.mean)
    count = max(len(series) for series in panels.values())
    width = 0.8 / count
    tall = max(0.9 + len(first.names) * (0.16 + 0.14 * count), 2.2)
    units = "%" if percent else units_text(_CONDUCTANCE)
    with style():
        drawn, axes = figure(
            1, len(panels), height=tall + 0.4, sharey=True, squeeze=False
        )
        for ax, (panel, series) in zip(axes[0], panels.items(), strict=True):
            for k, (label, one) in enumerate(series.items()):
                scale = 100 / one.base if percent else 1.0
                at = np.arange(order.size) + width * ((count - 1) / 2 - k)
                ax.barh(
                    at, scale * one.mean[order], width, xerr=scale * one.sd[order],
                    color=COLOURS[k], label=label, error_kw={"elinewidth": 1},
                )  # fmt: skip
            ax.axvline(0.0, color="0.3", lw=0.8)
            ax.set_title(panel)
            ax.set_xlabel(f"error added ({units})")
            ax.grid(visible=False, axis="y")
        names = [NAMES.get(first.names[k], first.names[k]) for k in order]
        axes[0, 0].set_yticks(np.arange(order.size), names)
        _shared_legend(drawn, axes[0, 0])
    return drawn


def plot_effects(panels: Mapping[str, Mapping[str, Effect]]) -> Figure:
    """Show how predicted conductance goes with the temperature difference.

    Answers: does conductance fall with the difference, by how much, and would it do so
    in leaves that only make it? Bands are those of refits, where there are.

    Parameters
    ----------
    panels : mapping of str to mapping of str to Effect
        Panel (a learner) -> curve (a world) -> effect.

    Returns
    -------
    matplotlib.figure.Figure
        Curves side by side, a mark at every edge of a bin.

    Raises
    ------
    InputError
        If there is nothing to show.
    """
    found = _filled(panels, "effects")
    with style():
        drawn, axes = figure(1, len(found), height=3.4, sharey=True, squeeze=False)
        for ax, (panel, curves) in zip(axes[0], found.items(), strict=True):
            for k, (label, one) in enumerate(curves.items()):
                ax.plot(one.edges, one.effect, color=COLOURS[k], label=label)
                ax.plot(
                    one.edges, np.full(one.edges.size, 0.02 + 0.025 * k), "|", ms=5,
                    color=COLOURS[k], transform=ax.get_xaxis_transform(),
                )  # fmt: skip
                if one.low is not None:
                    ax.fill_between(
                        one.edges, one.low, one.high, color=COLOURS[k], alpha=0.18, lw=0
                    )
            ax.axhline(0.0, color="0.3", lw=0.8)
            ax.set_title(panel)
            ax.set_xlabel(_DIFFERENCE)
        axes[0, 0].set_ylabel(f"effect ({units_text(_CONDUCTANCE)})")
        _shared_legend(drawn, axes[0, 0])
    return drawn


def plot_surfaces(
    surfaces: Mapping[str, EffectSurface], own: Effect, units: Mapping[str, str]
) -> Figure:
    """Show how the effect of the temperature difference depends on another feature.

    Answers: are there conditions in which conductance rises with the difference?
    Colours are the effect of the difference itself and its interaction with the other
    feature together; along a row one sees the response to the difference.

    Parameters
    ----------
    surfaces : mapping of str to EffectSurface
        Other feature -> surface, whose first axis is the difference.
    own : Effect
        Of the difference by itself.
    units : mapping of str to str
        Other feature -> its units.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per feature on one scale of colours; crosses mark cells without rows.

    Raises
    ------
    InputError
        If there is nothing to show.
    """
    if not surfaces:
        raise InputError("there is no surface to draw")
    columns = min(2, len(surfaces))
    rows = -(-len(surfaces) // columns)
    fields = {
        name: own(one.edges[0])[:, None] + one.effect for name, one in surfaces.items()
    }
    most = max(float(np.nanmax(np.abs(f))) for f in fields.values())
    with style():
        drawn, axes = figure(rows, columns, height=2.7 * rows + 0.3, squeeze=False)
        for ax in axes.ravel()[len(surfaces) :]:
            ax.set_axis_off()
        for ax, (name, one) in zip(axes.ravel(), surfaces.items(), strict=False):
            field = fields[name]
            middle = field[1:, 1:] + field[:-1, 1:] + field[1:, :-1] + field[:-1, :-1]
            image = ax.pcolormesh(
                one.edges[0], one.edges[1], middle.T / 4, cmap="PuOr",
                vmin=-most, vmax=most,
            )  # fmt: skip
            bare = np.argwhere(one.rows == 0)
            ax.plot(
                (one.edges[0][bare[:, 0]] + one.edges[0][bare[:, 0] + 1]) / 2,
                (one.edges[1][bare[:, 1]] + one.edges[1][bare[:, 1] + 1]) / 2,
                "x", ms=4, color="0.35",
            )  # fmt: skip
            ax.grid(visible=False)
            label = NAMES.get(name, name)
            ax.set_ylabel(f"{label} ({units_text(units[name])})")
        drawn.supxlabel(_DIFFERENCE, fontsize=10)
        drawn.colorbar(
            image, ax=axes, label=f"effect ({units_text(_CONDUCTANCE)})", shrink=0.8
        )
    return drawn


def plot_errors(
    panels: Mapping[str, pd.DataFrame], rows: Sequence[tuple[str, str]]
) -> Figure:
    """Show errors by temperature difference.

    Answers: who errs where leaves are cooler than the air?

    Parameters
    ----------
    panels : mapping of str to pandas.DataFrame
        Panel -> table of `tilth.stomata.evidence.errors_by_difference`.
    rows : sequence of (str, str)
        Learner and experiment of the lines, in their order; those that a table lacks
        are left out there.

    Returns
    -------
    matplotlib.figure.Figure
        Errors with one standard error, and the number of rows in each bin.

    Raises
    ------
    InputError
        If there is nothing to show.
    """
    found = _filled(panels, "errors")
    with style():
        drawn, axes = figure(1, len(found), height=4.4, sharey=True, squeeze=False)
        for ax, (panel, table) in zip(axes[0], found.items(), strict=True):
            lines = {
                row: table[
                    (table["learner"] == row[0]) & (table["experiment"] == row[1])
                ]
                for row in rows
            }
            lines = {row: own for row, own in lines.items() if not own.empty}
            if not lines:
                raise InputError(f"{panel} has none of the lines that are asked for")
            for k, ((learner, experiment), own) in enumerate(lines.items()):
                ax.errorbar(
                    np.arange(len(own)) + 0.09 * (k - (len(lines) - 1) / 2),
                    own["rmse"].to_numpy(), own["rmse_se"].fillna(0.0).to_numpy(),
                    marker="o", lw=1.2, elinewidth=1, color=COLOURS[k],
                    label=f"{learner}, {experiment}",
                )  # fmt: skip
            names = [_bin(*ends) for ends in zip(own["low"], own["high"], strict=True)]
            if np.isfinite(own["n"]).all():
                names = [
                    f"{name}\n({n:.0f})"
                    for name, n in zip(names, own["n"], strict=True)
                ]
            ax.set_xticks(np.arange(len(names)), names, fontsize=7)
            ax.set_ylim(bottom=0.0)
            ax.set_title(panel)
            ax.set_xlabel(_DIFFERENCE)
            ax.legend(
                fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=2
            )
        axes[0, 0].set_ylabel(f"root-mean-square error ({units_text(_CONDUCTANCE)})")
    return drawn


def plot_predictions(
    result: xr.Dataset,
    observations: xr.Dataset,
    rows: Sequence[tuple[str, str]],
    *,
    split: str = "shuffled",
) -> Figure:
    """Show observed against predicted conductance, coloured by the difference.

    Answers: which leaves does a learner miss, and are they the cool ones?

    Parameters
    ----------
    result : xarray.Dataset
        Of `tilth.stomata.run_experiments`.
    observations : xarray.Dataset
        The rows it was made of.
    rows : sequence of (str, str)
        Learner and experiment of each panel.
    split : str, default "shuffled"
        Whose predictions.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per row, with R2 and root-mean-square error.

    Raises
    ------
    InputError
        If there is nothing to show, or a prediction was not asked for.
    """
    if not rows:
        raise InputError("there is no learner to draw")
    truth = observations["conductance"].values
    by = observations["temperature_difference"].values
    top = 1.05 * float(truth.max())
    limit = float(np.quantile(np.abs(by), 0.98))
    units = units_text(_CONDUCTANCE)
    with style():
        drawn, axes = figure(
            1, len(rows), height=0.78 * WIDTH / len(rows) + 0.9, sharey=True,
            sharex=True, squeeze=False,
        )  # fmt: skip
        for ax, (learner, experiment) in zip(axes[0], rows, strict=True):
            one = result.sel(split=split, learner=learner, experiment=experiment)
            if not np.isfinite(one["predicted"].values).any():
                raise InputError(f"{learner} was not asked in {experiment}, {split}")
            ax.plot([0, top], [0, top], color="0.4", lw=0.8)
            image = ax.scatter(
                one["predicted"], truth, c=by, s=9, cmap="PuOr_r", vmin=-limit,
                vmax=limit, edgecolors="0.4", linewidths=0.25,
            )  # fmt: skip
            ax.set_title(
                f"{learner}, {experiment}\nR² {float(one['r_squared']):.2f}, "
                f"RMSE {float(one['rmse']):.3f}",
                fontsize=9,
            )
            ax.set(xlim=(0, top), ylim=(0, top), aspect="equal")
            ax.set_xlabel(f"predicted ({units})", fontsize=9)
        axes[0, 0].set_ylabel(f"observed ({units})", fontsize=9)
        bar = drawn.colorbar(image, ax=axes, shrink=0.75)
        bar.set_label(_DIFFERENCE, fontsize=8)
    return drawn


def plot_scores(
    panels: Mapping[str, xr.Dataset], *, split: str | None = None
) -> Figure:
    """Show R2 of every learner by experiment.

    Answers: what does temperature add, and how much of it is left when whole days or
    plants are left out?

    Parameters
    ----------
    panels : mapping of str to xarray.Dataset
        Panel -> result of `tilth.stomata.run_experiments`.
    split : str, optional
        One split of all of them; by default every panel needs a single one.

    Returns
    -------
    matplotlib.figure.Figure
        Lines side by side.

    Raises
    ------
    InputError
        If there is nothing to show, or a panel has several splits.
    """
    found = _filled(panels, "scores")
    with style():
        drawn, axes = figure(1, len(found), height=3.5, sharey=True, squeeze=False)
        for ax, (panel, result) in zip(axes[0], found.items(), strict=True):
            if split is not None and "split" in result.dims:
                result = result.sel(split=split)
            if result["r_squared"].ndim != 2:
                raise InputError(f"{panel} has several splits: choose one")
            names = [str(x) for x in result["experiment"].values]
            for k, learner in enumerate(result["learner"].values):
                score = result["r_squared"].sel(learner=learner).values
                known = np.isfinite(score)
                ax.plot(
                    np.flatnonzero(known), score[known], "o-", color=COLOURS[k],
                    label=str(learner),
                )  # fmt: skip
            ax.set_xticks(np.arange(len(names)), names)
            ax.set_xlim(-0.4, len(names) - 0.6)
            ax.set_title(panel)
        axes[0, 0].set_ylabel("R² out of fold")
        _shared_legend(drawn, axes[0, 0])
    return drawn


def plot_excess(panels: Mapping[str, pd.DataFrame], label: str) -> Figure:
    """Show a number of each world beside those of leaves that do not sense.

    Answers: does anything lie above what leaves show that only make their difference?

    Parameters
    ----------
    panels : mapping of str to pandas.DataFrame
        Panel -> rows ``name``, ``value``, ``null_mean``, ``null_low``, ``null_high``.
    label : str
        What the value is, with its units.

    Returns
    -------
    matplotlib.figure.Figure
        A point for each value over the interval of the null worlds.

    Raises
    ------
    InputError
        If there is nothing to show.
    """
    found = _filled(panels, "excess")
    most = max(len(table) for table in found.values())
    with style():
        drawn, axes = figure(
            1, len(found), height=0.3 * most + 1.5, sharey=True, squeeze=False
        )
        for ax, (panel, table) in zip(axes[0], found.items(), strict=True):
            at = np.arange(len(table))[::-1]
            ax.hlines(
                at, table["null_low"], table["null_high"], lw=7, color="0.8",
                label="null worlds of these leaves",
            )  # fmt: skip
            ax.plot(table["null_mean"], at, "|", ms=9, mew=1.5, color="0.35")
            ax.plot(
                table["value"], at, "o", ms=6, color=COLOURS[1], label="these leaves"
            )
            ax.axvline(0.0, color="0.3", lw=0.8)
            ax.set_ylim(-0.6, most - 0.4)
            ax.grid(visible=False, axis="y")
            ax.set_title(panel)
            ax.set_xlabel(label)
        axes[0, 0].set_yticks(at, table["name"])
        _shared_legend(drawn, axes[0, 0])
    return drawn


def _filled(panels: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """Return the panels, if there are and something is in each."""
    if not panels or not all(len(panel) for panel in panels.values()):
        raise InputError(f"there are no {what} to draw, or a panel is empty")
    return panels


def _bin(low: float, high: float) -> str:
    """Return the name of a bin."""
    if np.isinf(low):
        return f"< {high:g}"
    if np.isinf(high):
        return f"> {low:g}"
    return f"{low:g}\nto {high:g}"


def _shared_legend(drawn: Any, ax: Any) -> None:
    """Put the legend of one panel below all."""
    handles, labels = ax.get_legend_handles_labels()
    if len(labels) > 1:
        drawn.legend(
            handles, labels, loc="outside lower center", ncols=min(len(labels), 5),
            fontsize=8,
        )  # fmt: skip
