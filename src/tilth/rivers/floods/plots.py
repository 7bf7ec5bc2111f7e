"""Figures of rivers in flood: hydrographs, flow durations, return levels, retention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text
from tilth.rivers.floods.extremes import plotting_positions
from tilth.stats.flow_durations import SEGMENTS, flow_duration
from tilth.stats.scores import nse

_DISCHARGE = f"discharge ({units_text('m3 s-1')})"

#: The reference is a wide grey line, so that one over it shows whether it fits.
_REFERENCE: dict[str, Any] = {"color": "0.65", "lw": 3.5, "solid_capstyle": "round"}


def plot_discharge(
    reference: xr.DataArray,
    runs: Mapping[str, xr.DataArray],
    titles: Sequence[str],
    *,
    name: str = "hydrographs",
    reference_name: str = "reference",
    scored: bool = True,
) -> Figure:
    """Draw the discharge of places over time, the runs over a reference.

    Parameters
    ----------
    reference : xarray.DataArray, shape (time, place)
        Observed, or of another model, m3 s-1.
    runs : mapping of str to xarray.DataArray, shape (time, place)
        Name -> discharge of the same times and places.
    titles : sequence of str
        One per place.
    name : str, optional
        Of the figure's file.
    reference_name : str, optional
        What the reference is.
    scored : bool, optional
        Write the NSE of the first run beside the title of each place.

    Returns
    -------
    Figure
        A panel per place.

    Raises
    ------
    InputError
        If shapes or the number of titles differ.
    """
    place = next((d for d in reference.dims if d != "time"), None)
    if place is None or reference.sizes[place] != len(titles):
        raise InputError(
            f"one title per place: {len(titles)} titles, {dict(reference.sizes)}"
        )
    target = reference.transpose("time", place)
    drawn_runs = {who: run.transpose("time", place) for who, run in runs.items()}
    for who, run in drawn_runs.items():
        if run.shape != target.shape:
            raise InputError(
                f"{who} has the shape {run.shape}, the reference {target.shape}"
            )
    days = _plain_time(target["time"])
    with style():
        drawn, axes = figure(
            len(titles), height=1.75 * len(titles) + 0.6, sharex=True, squeeze=False
        )
        for i, (ax, title) in enumerate(zip(axes[:, 0], titles, strict=True)):
            ax.plot(days, target[:, i], label=reference_name, **_REFERENCE)
            for colour, (who, run) in zip(COLOURS, drawn_runs.items(), strict=False):
                ax.plot(days, run[:, i], color=colour, lw=1.2, label=who)
            first = next(iter(drawn_runs.values()), None)
            fit = ""
            if scored and first is not None:
                fit = f"   NSE {nse(first[:, i], target[:, i]):.4f}"
            ax.set_title(f"{title}{fit}")
            ax.set_ylabel(units_text("m3 s-1"))
        _dates(axes[-1, 0], days)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8)
    return Figure.draw(
        name,
        drawn,
        f"Discharge ({units_text('m3 s-1')}) of {', '.join(runs)} over that of "
        f"{reference_name}, at {len(titles)} places.",
        f"{len(titles)} hydrographs, {' and '.join(runs)} over {reference_name}.",
    )


def plot_flow_duration(
    series: Mapping[str, xr.DataArray], *, name: str = "flow_duration"
) -> Figure:
    """Draw how long flows are exceeded.

    Parameters
    ----------
    series : mapping of str to xarray.DataArray, shape (time,)
        Name -> discharge, m3 s-1; the first is the reference.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        On a logarithmic scale; the segments that `tilth.stats.flow_duration_bias`
        looks at are shaded.

    Raises
    ------
    InputError
        If no series has a positive flow.
    """
    exceeded = np.linspace(0.001, 0.999, 999)
    curves = {
        who: flow_duration(values.values, exceeded) for who, values in series.items()
    }
    flows = np.array(list(curves.values()))
    positive = flows[flows > 0]
    if not positive.size:
        raise InputError("a flow-duration curve needs a positive flow, there is none")
    top, upper, lower = (100.0 * share for share in SEGMENTS)
    with style():
        drawn, ax = figure()
        for begin, end, label, shade in (
            (0.0, top, "high", "0.88"),
            (upper, lower, "middle", "0.95"),
            (lower, 100.0, "low", "0.88"),
        ):
            ax.axvspan(begin, end, color=shade, lw=0)
            ax.text(
                (begin + end) / 2, 1.01, label, ha="center", fontsize=8, color="0.4",
                transform=ax.get_xaxis_transform(),
            )  # fmt: skip
        for i, (who, curve) in enumerate(curves.items()):
            how = _REFERENCE if not i else {"color": COLOURS[i - 1], "lw": 1.3}
            ax.plot(
                100 * exceeded, np.where(curve > 0, curve, np.nan), label=who, **how
            )
        ax.set_yscale("log")
        ax.set_xlim(0, 100)
        ax.set_xlabel("time exceeded (%)")
        ax.set_ylabel(_DISCHARGE)
        ax.legend()
    return Figure.draw(
        name,
        drawn,
        "Flow-duration curves; shaded are the segments whose biases are scored.",
        f"Falling curves of {', '.join(series)} from {positive.max():.3g} to "
        f"{positive.min():.3g} cubic metres per second.",
    )


def plot_return_levels(
    maxima: xr.DataArray,
    levels: xr.Dataset,
    *,
    units: str = "m3 s-1",
    name: str = "return_levels",
) -> Figure:
    """Draw annual maxima and the levels fitted to them against their return period.

    Parameters
    ----------
    maxima : xarray.DataArray, shape (year,)
        Of one river.
    levels : xarray.Dataset
        Of `tilth.rivers.floods.return_levels` for the same river, along ``period``.
    units : str, optional
        Of the maxima.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        The fit as a line with its band, the maxima as points at Gringorten's
        plotting positions.

    Raises
    ------
    InputError
        If the levels are of several rivers.
    """
    if levels["return_level"].dims != ("period",) or maxima.ndim != 1:
        raise InputError(
            f"the figure shows one river; maxima have {dict(maxima.sizes)}, levels "
            f"{dict(levels['return_level'].sizes)}: take one with isel"
        )
    positions = plotting_positions(maxima, dim=str(maxima.dims[0]))
    order = np.argsort(levels["period"].values)
    period = levels["period"].values[order]
    with style():
        drawn, ax = figure()
        ax.plot(period, levels["return_level"].values[order], label="fitted GEV")
        if "lower" in levels:
            ax.fill_between(
                period, levels["lower"].values[order], levels["upper"].values[order],
                alpha=0.2, lw=0, color=COLOURS[0],
                label=f"{100 * levels.attrs.get('interval', 0.9):g} % interval",
            )  # fmt: skip
        ax.plot(positions, maxima, "o", color=COLOURS[1], label="annual maxima")
        ax.axvline(maxima.count(), color="0.5", lw=0.8, ls=":")
        ax.text(
            float(maxima.count()), 0.02, " length of the record", fontsize=8,
            color="0.4", transform=ax.get_xaxis_transform(),
        )  # fmt: skip
        ax.set_xscale("log")
        ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500) if t <= period.max()]
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
        ax.set_xlabel("return period (years)")
        ax.set_ylabel(f"annual maximum ({units_text(units)})")
        ax.legend(loc="upper left")
    return Figure.draw(
        name,
        drawn,
        "Annual maxima at their plotting positions and the fitted distribution of "
        "extreme values; to the right of the dotted line the shape is extrapolated.",
        f"Rising line with a band that widens; {int(maxima.count())} maxima from "
        f"{float(maxima.min()):.3g} to {float(maxima.max()):.3g}.",
    )


def plot_retention(
    size: xr.DataArray,
    reduction: xr.DataArray,
    curve: pd.DataFrame,
    *,
    label: str,
    name: str = "retention",
) -> Figure:
    """Draw how much of each flood's peak the floodplain saves, against its size.

    Parameters
    ----------
    size : xarray.DataArray
        Of each flood, positive.
    reduction : xarray.DataArray
        Share of the peak saved, of the same floods.
    curve : pandas.DataFrame
        Of `tilth.rivers.floods.retention_curve`.
    label : str
        What the size is, with its units.
    name : str, optional
        Of the figure's file.

    Returns
    -------
    Figure
        Floods as points, classes of them as means with their intervals.
    """
    x, y = (v.values.ravel() for v in xr.broadcast(size, reduction))
    with style():
        drawn, ax = figure()
        ax.plot(x, 100 * y, ".", ms=3, color="0.6", label="floods")
        mean = 100 * curve["reduction"].to_numpy()
        bars = [mean - 100 * curve["lower"], 100 * curve["upper"] - mean]
        ax.errorbar(
            curve["size"], mean, np.abs(bars), fmt="o-", color=COLOURS[0],
            label="mean of a class, 90 % interval",
        )  # fmt: skip
        ax.axhline(0.0, color="0.3", lw=0.8)
        ax.set_xscale("log")
        low, high = np.nanpercentile(100 * y, [0.5, 99.5])
        ax.set_ylim(min(low, -2.0) - 3.0, max(high, 5.0) + 5.0)
        ax.set_xlabel(label)
        ax.set_ylabel("peak saved by the floodplain (%)")
        ax.legend()
    return Figure.draw(
        name,
        drawn,
        "Reduction of the peak by the floodplain, each point a flood; against the same "
        "rivers between walls.",
        f"Cloud of {int(np.isfinite(y).sum())} floods; means of classes from "
        f"{mean.min():.0f} to {mean.max():.0f} per cent.",
    )


def _plain_time(time: xr.DataArray) -> np.ndarray:
    """Return dates for an axis: as they are, or years of a model's calendar."""
    if time.dtype.kind == "M":
        return time.values
    length = {"360_day": 360, "noleap": 365}.get(time.dt.calendar, 366)
    return time.dt.year.values + (time.dt.dayofyear.values - 1.0) / length


def _dates(ax: Any, days: np.ndarray) -> None:
    """Write few and short dates on the axis, or say that it is in years."""
    if days.dtype.kind != "M":
        ax.set_xlabel("year")
        return
    dates = load("matplotlib.dates", "plot")
    locator = dates.AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
