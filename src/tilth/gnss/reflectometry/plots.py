"""Figures of reflected signals: one function per question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.core.plotting import COLOURS, WIDTH, figure, points, style
from tilth.gnss.reflectometry.fresnel import fresnel_zone
from tilth.gnss.reflectometry.heights import accepted
from tilth.gnss.reflectometry.periodogram import amplitude_spectrum
from tilth.gnss.reflectometry.signals import satellite_name, signal_of, wavelength

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_arc", "plot_daily_heights", "plot_fresnel_map"]


def plot_arc(
    elevation: npt.ArrayLike,
    residual: npt.ArrayLike,
    satellite: int,
    signal: int,
    *,
    height: float | None = None,
    heights: tuple[float, float] = (0.5, 8.0),
) -> Figure:
    """Show the interference in an arc, and the periodogram that tells the height.

    Answers: does this arc see one reflector, and how far does it stand out?

    Parameters
    ----------
    elevation : array_like, shape (sample)
        Apparent elevation, degrees.
    residual : array_like, shape (sample)
        Ratio less its trend, V/V, such as of
        `tilth.gnss.reflectometry.arcs.cut_arcs`.
    satellite, signal : int
        Their numbers.
    height : float, optional
        The height found, m; by default the highest peak.
    heights : (float, float)
        Range of the periodogram, m.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.

    Raises
    ------
    InputError
        If the arc is too short or the wavelength is not known.
    """
    wave = wavelength(satellite, signal)
    if wave is None:
        raise InputError(f"the channel of GLONASS satellite {satellite} is unknown")
    angle, ratio = np.asarray(elevation, float), np.asarray(residual, float)
    grid = np.linspace(*heights, 1000)
    spectrum = amplitude_spectrum(angle, ratio, wave, grid)
    peak = float(grid[np.argmax(spectrum)]) if height is None else height
    with style():
        drawn, (left, right) = figure(1, 2, height=WIDTH * 0.45)
        left.plot(angle, ratio, "o", ms=2, color=COLOURS[0])
        left.set_xlabel("elevation (degrees)")
        left.set_ylabel("signal-to-noise less trend (V/V)")
        left.set_title(f"{satellite_name(satellite)}, {signal_of(signal).name}")
        right.plot(grid, spectrum, color=COLOURS[0])
        right.axvline(peak, color=COLOURS[1], lw=1)
        right.annotate(
            f"{peak:.3f} m", (peak, spectrum.max()), (6, -4),
            textcoords="offset points", color=COLOURS[1],
        )  # fmt: skip
        right.set_ylim(bottom=0)
        right.set_xlabel("reflector height (m)")
        right.set_ylabel("amplitude (V/V)")
    return drawn


def plot_daily_heights(daily: xr.Dataset) -> Figure:
    """Show a daily series with its standard errors, and how many arcs it rests on.

    Answers: how did the surface move, and where is the series thin? The axis of
    heights points down, so that a surface that rises goes up.

    Parameters
    ----------
    daily : xarray.Dataset
        Of `tilth.gnss.reflectometry.daily.daily_heights`, with or without signals.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.

    Raises
    ------
    InputError
        If variables are missing.
    """
    require_variables(
        daily, ("reflector_height", "reflector_height_se", "count"), "a daily series"
    )
    series = (
        [(str(one["signal_name"].item()), one) for _, one in daily.groupby("signal")]
        if "signal" in daily.dims
        else [("", daily)]
    )
    with style():
        drawn, (upper, lower) = figure(
            2, 1, height=WIDTH * 0.7, sharex=True, height_ratios=(3, 1)
        )
        for k, (name, one) in enumerate(series):
            colour = COLOURS[k % len(COLOURS)]
            one = one.squeeze(drop=True)
            time = one["time"].values
            height = one["reflector_height"].values
            error = one["reflector_height_se"].values
            known = np.isfinite(error)
            if known.any():
                points(
                    upper, time[known], height[known], error[known],
                    label=name or None, color=colour,
                )  # fmt: skip
            upper.plot(time[~known], height[~known], "x", color=colour, ms=3)
            lower.step(time, one["count"].values, where="mid", color=colour, lw=1)
        upper.invert_yaxis()
        upper.set_ylabel("reflector height (m)")
        lower.set_ylabel("arcs")
        lower.set_ylim(bottom=0)
        if len(series) > 1:
            upper.legend()
        upper.set_title(str(daily.attrs.get("station", "")))
        drawn.autofmt_xdate()
    return drawn


def plot_fresnel_map(
    arcs: xr.Dataset,
    height: float,
    *,
    elevations: Sequence[float] = (5.0, 10.0, 15.0, 25.0),
) -> Figure:
    """Show the ground that the accepted arcs of a day are of.

    Answers: which patches around the antenna does the height come from?

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`.
    height : float
        Of the antenna above the reflector, m.
    elevations : sequence of float
        A first Fresnel zone each, degrees.

    Returns
    -------
    matplotlib.figure.Figure
        A map of east and north of the antenna.

    Raises
    ------
    InputError
        If variables are missing or no arc is accepted.
    """
    require_variables(arcs, ("satellite", "signal", "azimuth"), "a table of arcs")
    used = accepted(arcs)
    if not used.sizes["arc"]:
        raise InputError("no arc is accepted: there is no ground to show")
    with style():
        drawn, ax = figure(height=WIDTH * 0.95)
        for k, elevation in enumerate(sorted(elevations)):
            colour = COLOURS[k % len(COLOURS)]
            label: str | None = f"{elevation:g}°"
            for satellite, signal, azimuth in zip(
                used["satellite"].values, used["signal"].values,
                used["azimuth"].values, strict=True,
            ):  # fmt: skip
                wave = wavelength(int(satellite), int(signal))
                if wave is None:
                    continue
                x, y = fresnel_zone(height, elevation, float(azimuth), wave).T
                ax.plot(x, y, color=colour, lw=0.7, label=label)
                label = None
        ax.plot(0, 0, "^", color="black", ms=6)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel("east of the antenna (m)")
        ax.set_ylabel("north of the antenna (m)")
        ax.legend(title="elevation")
        ax.set_title(str(arcs.attrs.get("station", "")))
    return drawn
