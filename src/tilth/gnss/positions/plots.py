"""Figures of positions: how a station moves, and what its noise is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilth.core.plotting import COLOURS, WIDTH, figure, style
from tilth.gnss.positions.fit import TrajectoryFit
from tilth.gnss.positions.spectrum import residual_spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_velocity"]


def plot_velocity(fit: TrajectoryFit) -> Figure:
    """Show a series with its trajectory, and the spectrum that sets the rate's error.

    Answers: does the trajectory follow the series, and is the noise that the standard
    error rests on the noise that is there?

    Parameters
    ----------
    fit : TrajectoryFit
        The fit.

    Returns
    -------
    matplotlib.figure.Figure
        Above, positions and trajectory in mm, with the rate and its interval in the
        title. Below, power of the residuals against that of the fitted noise, with the
        range in which 95 of 100 series of that noise lie.
    """
    spectrum = residual_spectrum(fit)
    series = fit.series
    shift = float(series["observed"].mean())
    with style():
        fig, (above, below) = figure(2, 1, height=WIDTH * 0.95)
        above.plot(
            series["time"],
            1e3 * (series["observed"] - shift),
            ".",
            markersize=1.5,
            color=COLOURS[5],
            label="observed",
        )
        above.plot(
            series["time"],
            1e3 * (series["modelled"] - shift),
            color=COLOURS[1],
            label="trajectory",
        )
        component = series.attrs.get("component") or "position"
        above.set_ylabel(f"{component} (mm)")
        above.set_title(_rate(fit))
        above.legend()
        frequency = spectrum["frequency"].values
        below.fill_between(
            frequency,
            1e6 * spectrum["lower"],
            1e6 * spectrum["upper"],
            color=COLOURS[1],
            alpha=0.2,
            linewidth=0,
            label="95 % of such noise",
        )
        below.plot(
            frequency,
            1e6 * spectrum["modelled"],
            color=COLOURS[1],
            label="fitted noise",
        )
        below.plot(
            frequency, 1e6 * spectrum["power"], "o", color=COLOURS[0], label="residuals"
        )
        below.set(xscale="log", yscale="log")
        below.set_xlabel("frequency (cycles per year)")
        below.set_ylabel("power (mm² yr)")
        below.set_title(_noise(fit))
        below.legend()
    return fig


def _rate(fit: TrajectoryFit) -> str:
    """Return the rate with its interval as text, where there is one."""
    if "rate" not in fit.parameters.index:
        return "Trajectory"
    value, lower, upper = 1e3 * fit.parameters.loc[
        "rate", ["value", "lower", "upper"]
    ].to_numpy(float)
    percent = f"{100 * fit.level:g} %"
    return f"Rate {value:.2f} mm/yr, {percent} interval {lower:.2f} to {upper:.2f}"


def _noise(fit: TrajectoryFit) -> str:
    """Return the noise as text."""
    parts = [f"white {1e3 * fit.values.white:.2f} mm"]
    for noise, amplitude, index in zip(
        fit.model.coloured, fit.values.amplitude, fit.values.index, strict=True
    ):
        size = f"{1e3 * amplitude:.2f}"
        known = "" if noise.index is not None else f", index {np.round(index, 2):g}"
        parts.append(f"{noise.name} {size} mm/yr^(k/4){known}")
    return "Noise: " + "; ".join(parts)
