"""Figures of scores: reliability, hits and false alarms, ranks, skill by lead time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy import stats

from tilth.core.errors import InputError
from tilth.core.plotting import COLOURS, WIDTH, figure, style
from tilth.core.report import Figure

#: From 0 to 1, with room for the markers at the ends.
_MARGIN = (-0.02, 1.02)


def plot_reliability(
    curves: Mapping[str, xr.Dataset], *, name: str = "reliability"
) -> Figure:
    """Draw what happened against what was forecast, with the bands of the curves.

    Parameters
    ----------
    curves : mapping of str to xarray.Dataset
        Name -> result of `tilth.stats.reliability`.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        A panel per curve over a small one with how often each forecast was given.

    Raises
    ------
    InputError
        If there is none, a dataset is not such a result, or their bands differ in kind.
    """
    _need(curves, "calibrated", "tilth.stats.reliability")
    kinds = {(curve.attrs["band"], curve.attrs["level"]) for curve in curves.values()}
    if len(kinds) > 1:
        raise InputError(
            f"one figure shows one kind of band, got {sorted(kinds)}: draw them apart"
        )
    ((kind, level),) = kinds
    where = {
        "consistency": "where the curve of a calibrated forecast would lie",
        "confidence": "where the curves of other cases would lie",
    }[kind]
    with style():
        drawn, axes = figure(
            2, len(curves), height=WIDTH * (0.62 if len(curves) > 1 else 0.9),
            sharex=True, sharey="row", squeeze=False, height_ratios=[3, 1],
        )  # fmt: skip
        for column, (who, curve) in enumerate(curves.items()):
            top, bottom = axes[:, column]
            colour = COLOURS[column % len(COLOURS)]
            x = curve["forecast"].values
            top.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            top.fill_between(
                x, curve["lower"], curve["upper"], color=colour, alpha=0.2, lw=0
            )
            few = x.size <= 60
            marker = "o" if few else ""
            top.plot(x, curve["calibrated"], marker=marker, color=colour)
            top.set_title(who)
            parts = [
                f"{label} {float(curve[part]):.4f}"
                for label, part in (
                    ("BS", "brier"),
                    ("MCB", "miscalibration"),
                    ("DSC", "discrimination"),
                    ("UNC", "uncertainty"),
                )
            ]
            top.text(
                0.03, 0.97, "\n".join(parts), transform=top.transAxes, va="top",
                fontsize=8,
            )  # fmt: skip
            if few:
                width = 0.6 * np.diff(x).min(initial=0.1)
                bottom.bar(x, curve["count"], width=width, color="0.6")
            else:
                bottom.hist(
                    x, np.linspace(0.0, 1.0, 21), weights=curve["count"], color="0.6"
                )
            bottom.set_xlabel("forecast probability")
        axes[0, 0].set(xlim=_MARGIN, ylim=_MARGIN, ylabel="frequency of the event")
        axes[1, 0].set_ylabel("cases")
    lost = ", ".join(
        f"{who} {float(curve['miscalibration']):.4f}" for who, curve in curves.items()
    )
    return Figure.draw(
        name,
        drawn,
        "Frequency of the event against its forecast probability (isotonic "
        f"regression); shaded is {where}, {100 * level:g} % at each forecast. Below, "
        "how often each probability was forecast. BS is the Brier score, "
        "MCB - DSC + UNC.",
        f"Rising curves beside the diagonal; miscalibration {lost}.",
    )


def plot_roc(curves: Mapping[str, xr.Dataset], *, name: str = "roc") -> Figure:
    """Draw hits against false alarms.

    Parameters
    ----------
    curves : mapping of str to xarray.Dataset
        Name -> result of `tilth.stats.roc` over everything.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        One curve each, with its area in the legend.

    Raises
    ------
    InputError
        If there is none, or one is of several places.
    """
    _need(curves, "hit_rate", "tilth.stats.roc")
    for who, curve in curves.items():
        if curve["area"].ndim:
            raise InputError(
                f"{who} has curves along {', '.join(map(str, curve['area'].dims))}: "
                "take one with isel, or count over that dimension too"
            )
    with style():
        drawn, ax = figure(height=WIDTH * 0.8)
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, label="no discrimination, 0.5")
        for who, curve in curves.items():
            ax.plot(
                curve["false_alarm_rate"], curve["hit_rate"],
                marker="o" if curve.sizes["threshold"] <= 30 else "", markersize=3,
                label=f"{who}, {float(curve['area']):.3f}",
            )  # fmt: skip
        ax.set(xlim=_MARGIN, ylim=_MARGIN)
        ax.set_aspect("equal")
        ax.set_xlabel("false alarm rate")
        ax.set_ylabel("hit rate")
        ax.legend(title="area", loc="lower right")
    areas = ", ".join(
        f"{who} {float(curve['area']):.3f}" for who, curve in curves.items()
    )
    return Figure.draw(
        name,
        drawn,
        "Share of the events that were warned of against the share of the other cases "
        "that were, for a warning at every probability.",
        f"Curves from (0, 0) to (1, 1); areas under them: {areas}.",
    )


def plot_rank_histograms(
    counts: Mapping[str, xr.DataArray],
    *,
    level: float = 0.90,
    name: str = "rank_histograms",
) -> Figure:
    """Draw how often the observation had each rank, beside what chance would give.

    Parameters
    ----------
    counts : mapping of str to xarray.DataArray, shape (rank,)
        Title -> counts of `tilth.stats.rank_histogram`.
    level : float, optional
        Probability that a bar of a flat histogram lies in the shaded range.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        A panel each, as shares of the cases.

    Raises
    ------
    InputError
        If there is none, or one has other dimensions or no case.
    """
    if not counts:
        raise InputError("a figure of rank histograms needs one, got none")
    for title, count in counts.items():
        if count.dims != ("rank",) or int(count.sum()) == 0:
            raise InputError(
                f"the counts of {title} have the dimensions {count.dims} and "
                f"{int(count.sum())} cases: a panel shows cases along rank"
            )
    columns = min(len(counts), 3)
    rows = -(-len(counts) // columns)
    with style():
        drawn, axes = figure(
            rows, columns, height=1.9 * rows + 0.4, sharey=True, squeeze=False
        )
        for ax in axes.ravel()[len(counts) :]:
            ax.set_visible(False)
        for ax, (title, count) in zip(axes.flat, counts.items(), strict=False):
            total, size = int(count.sum()), count.sizes["rank"]
            tail = (1.0 - level) / 2.0
            low, high = stats.binom.ppf([tail, 1.0 - tail], total, 1.0 / size) / total
            ax.axhspan(low, high, color="0.85", lw=0)
            ax.axhline(1.0 / size, color="0.4", lw=0.8)
            ax.bar(count["rank"], count / total, width=0.9, color=COLOURS[0], alpha=0.8)
            ax.set_title(f"{title} ({total:,} cases)", fontsize=10)
            ax.grid(visible=False, axis="x")
        for ax in axes[-1]:
            ax.set_xlabel("members below the observation")
        for ax in axes[:, 0]:
            ax.set_ylabel("share of cases")
    outer = ", ".join(
        f"{title} {float((c[0] + c[-1]) / c.sum()):.2f}" for title, c in counts.items()
    )
    return Figure.draw(
        name,
        drawn,
        "Rank of the observation among the members. Bars of a calibrated ensemble lie "
        f"in the shaded range with {100 * level:g} % each, were the cases independent.",
        f"Bars per rank; share of cases outside of the ensemble: {outer}.",
    )


def plot_skill_by_lead(
    skills: Mapping[str, xr.Dataset],
    *,
    score: str,
    lead_dim: str = "lead",
    units: str = "days",
    name: str = "skill_by_lead",
) -> Figure:
    """Draw a skill against lead time, with its interval and where it is significant.

    Parameters
    ----------
    skills : mapping of str to xarray.Dataset
        Name -> ``skill`` along `lead_dim`; where there are ``lower`` and ``upper``, the
        interval is shaded, and where ``significant`` is true the marker is full: decide
        that over all leads together, as `tilth.stats.false_discovery` does, since 46
        lead times are 46 tests.
    score : str
        What the skill is, such as ``"RPSS (9 members)"``.
    lead_dim : str, optional
        Name of the dimension.
    units : str, optional
        Of the lead time.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        A line each over the lead time.

    Raises
    ------
    InputError
        If there is none, or one lacks the skill or has other dimensions.
    """
    _need(skills, "skill", "skill, lower, upper and significant")
    for who, skill in skills.items():
        if skill["skill"].dims != (lead_dim,):
            raise InputError(
                f"the skill of {who} has the dimensions {skill['skill'].dims}: it is "
                f"drawn along {lead_dim} alone"
            )
    marked = any("significant" in skill for skill in skills.values())
    with style():
        drawn, ax = figure()
        ax.axhline(0.0, color="0.3", lw=0.8)
        for colour, (who, skill) in zip(COLOURS, skills.items(), strict=False):
            lead, value = skill[lead_dim].values, skill["skill"].values
            if "lower" in skill:
                ax.fill_between(
                    lead, skill["lower"], skill["upper"], color=colour, alpha=0.15, lw=0
                )
            ax.plot(lead, value, color=colour, label=who)
            if "significant" in skill:
                sure = skill["significant"].values.astype(bool)
                ax.plot(lead[sure], value[sure], "o", color=colour)
                ax.plot(lead[~sure], value[~sure], "o", color=colour, mfc="white")
        ax.set_xlabel(f"lead time ({units})")
        ax.set_ylabel(score)
        ax.legend()
    shown = "; ".join(
        f"{who} from {float(skill['skill'][0]):.2f} to {float(skill['skill'][-1]):.2f}"
        for who, skill in skills.items()
    )
    note = " Full markers are significant, empty ones are not." if marked else ""
    return Figure.draw(
        name,
        drawn,
        f"{score} against lead time; 0 is as good as the reference.{note}",
        f"Lines over lead time: {shown}.",
    )


def _need(results: Mapping[str, xr.Dataset], variable: str, source: str) -> None:
    if not results:
        raise InputError("there is nothing to draw: give one result or more")
    for who, result in results.items():
        if variable not in result:
            raise InputError(
                f"{who} has no {variable!r} to draw; expected is a result of {source}"
            )
