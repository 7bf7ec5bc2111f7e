"""Figures of the surface: thaw with its fit, and records beside those in situ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.core import plotting
from tilth.core.flags import is_flagged

if TYPE_CHECKING:
    from tilth.gnss.surface.thaw import ThawFit


def plot_thaw(fit: ThawFit, truth: xr.DataArray | None = None) -> Any:
    """Draw the daily surface with the fit, and what is left of it by season.

    Parameters
    ----------
    fit : ThawFit
        Of `tilth.gnss.surface.thaw.fit_thaw`.
    truth : xarray.DataArray, optional
        True height of the surface along ``time``, m; its zero does not matter.

    Returns
    -------
    matplotlib.figure.Figure
        Above the series with the fitted seasons and the trend, below the residuals.
    """
    series = fit.series
    time = pd.DatetimeIndex(series["time"].values)
    used = np.isfinite(series["residual"].values)
    change, fitted = 1e3 * series["surface_change"], 1e3 * series["fitted"].values
    far = is_flagged(series["quality_flag"], "outlier").values
    blue, red, green, *_ = plotting.COLOURS
    with plotting.style():
        drawn, axes = plotting.figure(
            2, 1, height=4.6, sharex=True, gridspec_kw={"height_ratios": [2, 1]}
        )
        ax, below = axes
        ax.plot(time[used], change[used], ".", ms=2.5, color="0.6", label="daily")
        if far.any():
            ax.plot(time[far], change[far], "x", color="0.3", label="left out")
        for k, part in enumerate(_parts(time, used)):
            label = "seasons and trend" if k == 0 else None
            ax.plot(time[part], fitted[part], color=blue, label=label)
        if np.isfinite(fit.trend):
            seasonal = 1e3 * series["seasonal"].values
            level = fitted - seasonal
            ends = np.flatnonzero(used)[[0, -1]]
            low, high = fit.interval()
            ax.plot(
                time[ends],
                level[ends],
                "--",
                color=red,
                label=f"trend {100 * fit.trend:.2f} cm/yr "
                f"({100 * low:.2f} to {100 * high:.2f})",
            )
        if truth is not None:
            known = 1e3 * truth.sel(time=series["time"].values[used]).values
            shift = np.mean(fitted[used] - known)
            for k, part in enumerate(_parts(time[used], np.ones(used.sum(), bool))):
                label = "truth" if k == 0 else None
                ax.plot(
                    time[used][part], known[part] + shift, ":", color=green, label=label
                )
        ax.set(ylabel="surface, mm")
        ax.legend(ncols=2, loc="upper right")
        ax.margins(y=0.18)
        below.plot(
            time[used], 1e3 * series["residual"].values[used], ".", ms=2.5, color="0.4"
        )
        below.axhline(0.0, color=blue, lw=1)
        below.set(ylabel="residual, mm")
    return drawn


def plot_record(
    time: npt.ArrayLike,
    value: npt.ArrayLike,
    se: npt.ArrayLike | None,
    reference: pd.Series,
    *,
    label: str,
    names: tuple[str, str] = ("reflected signals", "in situ"),
) -> Any:
    """Draw a record in time and against measurements in situ.

    Parameters
    ----------
    time : array_like of datetime64, shape (time,)
        Of the record.
    value, se : array_like, shape (time,)
        Of the record and its standard error, if known.
    reference : pandas.Series
        In situ, by day.
    label : str
        Quantity and unit, for the axes.
    names : (str, str)
        What the record and the reference are called.

    Returns
    -------
    matplotlib.figure.Figure
        Left both in time, right one against the other with the line of equality.
    """
    days = pd.DatetimeIndex(np.asarray(time)).floor("D")
    own = pd.Series(np.asarray(value, float), days).asfreq("D")
    reference = reference.dropna()
    inside = reference[(reference.index >= days[0]) & (reference.index <= days[-1])]
    both = pd.concat([own, inside], axis=1, join="inner").dropna()
    blue, red, *_ = plotting.COLOURS
    with plotting.style():
        drawn, (left, right) = plotting.figure(
            1, 2, height=2.9, gridspec_kw={"width_ratios": [1.9, 1]}
        )
        if se is None:
            left.plot(own.index, own, color=blue, lw=1, label=names[0])
        else:
            error = pd.Series(np.asarray(se, float), days).asfreq("D")
            plotting.band(left, own.index, own, error, color=blue, label=names[0])
        marks = {"ls": "", "marker": "o", "ms": 3} if len(inside) < 150 else {"lw": 1}
        left.plot(inside.index, inside, color=red, label=names[1], **marks)
        left.set(ylabel=label)
        left.legend()
        left.tick_params(axis="x", rotation=30)
        right.plot(both.iloc[:, 1], both.iloc[:, 0], ".", color=blue, alpha=0.7)
        ends = [both.min().min(), both.max().max()]
        right.plot(ends, ends, color="0.5", lw=0.8)
        right.set(xlabel=f"{names[1]}, {label}", ylabel=f"{names[0]}, {label}")
    return drawn


def _parts(time: pd.DatetimeIndex, used: np.ndarray) -> list[np.ndarray]:
    """Return places of days of each season, so that no line crosses a winter."""
    places = np.flatnonzero(used)
    far = np.diff(time[places].to_numpy()) > np.timedelta64(60, "D")
    return np.split(places, np.flatnonzero(far) + 1)
