"""Simulated stations: how often intervals hold the velocity that was put in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.progress import track
from tilth.gnss.positions.fit import fit_trajectory
from tilth.gnss.positions.noise import NoiseValues, simulate_noise
from tilth.gnss.positions.series import decimal_year
from tilth.gnss.positions.trajectory import Trajectory
from tilth.gnss.positions.transients import separate
from tilth.gnss.positions.year_slopes import midas
from tilth.studies.part import Part
from tilth.studies.result import Figure, Metric, Table

#: Of all draws.
SEED = 20160303

#: White noise, mm, and flicker noise, mm yr-0.25: typical of a horizontal component
#: (Williams et al. 2004, J. Geophys. Res. 109, B03412).
WHITE, FLICKER = 1.0, 3.0

#: Velocity, mm yr-1; season, mm; step, mm, in the middle of the series.
RATE, SEASON, STEP = 4.0, 2.0, 6.0

METHODS = ("line, independent days", "MIDAS", "power law", "state space")

#: 95 % of a normal distribution.
_WIDE = 1.96


def station(number: int, years: float) -> tuple[np.ndarray, np.ndarray, np.datetime64]:
    """Return one simulated series with a step and gaps.

    Parameters
    ----------
    number : int
        Of the station: another one, another draw.
    years : float
        Length.

    Returns
    -------
    numpy.ndarray of datetime64, numpy.ndarray, numpy.datetime64
        Days, positions in m, and the day of the step.
    """
    count = round(years * 365.25)
    time = np.datetime64("2008-01-01T12", "ns") + np.arange(count) * np.timedelta64(
        1, "D"
    )
    noise = NoiseValues(white=1e-3 * WHITE, amplitude=[1e-3 * FLICKER], index=[1.0])
    values = simulate_noise(noise, count, seed=SEED + number)
    t = np.arange(count) / 365.25
    values = values + 1e-3 * (RATE * t + SEASON * np.cos(2 * np.pi * t))
    values[count // 2 :] += 1e-3 * STEP
    there = np.random.default_rng(SEED + number).random(count) > 0.05
    return time[there], values[there], time[count // 2]


def velocities(
    time: np.ndarray, values: np.ndarray, step: np.datetime64
) -> dict[str, tuple[float, float, float]]:
    """Return velocity, standard error and half its interval, mm yr-1, by method.

    Parameters
    ----------
    time, values, step
        As `station` returns them.

    Returns
    -------
    dict of str to (float, float, float)
        The interval of 95 % is that of the method: of Student's t for trajectories.
    """
    position = xr.DataArray(
        values, dims="time", coords={"time": time}, attrs={"units": "m"}
    )
    trajectory = Trajectory(steps=[step])
    found = {}
    for method, noise in ((METHODS[0], "white"), (METHODS[2], "power law")):
        table = fit_trajectory(position, trajectory, noise).parameters
        columns = table[["value", "se", "lower", "upper"]].astype(float)
        value, se, lower, upper = 1e3 * columns.T["rate"].to_numpy()
        found[method] = (float(value), float(se), float(upper - lower) / 2.0)
    years = decimal_year(time).round(4)
    (slope,) = midas(years, values, decimal_year(np.array([step])).round(4))
    error = 1e3 * slope.se
    found[METHODS[1]] = (1e3 * slope.velocity, error, _WIDE * error)
    rate = separate(time, values, trajectory).sel(parameter="rate")
    error = 1e3 * float(rate["estimate_se"])
    found[METHODS[3]] = (1e3 * float(rate["estimate"]), error, _WIDE * error)
    return found


def coverage(stations: int, years: float) -> Part:
    """Count how often intervals hold the velocity.

    Parameters
    ----------
    stations : int
        Number of simulated stations.
    years : float
        Length of each series.

    Returns
    -------
    Part
        Coverage, error and standard error by method.
    """
    rows = [
        {"station": k, "method": method, "velocity": value, "se": se, "half": half}
        for k in track(range(stations), "simulated stations")
        for method, (value, se, half) in velocities(*station(k, years)).items()
    ]
    table = pd.DataFrame(rows)
    table["inside"] = (table["velocity"] - RATE).abs() <= table["half"]
    metrics, lines = [], []
    for method in METHODS:
        own = table[table["method"] == method]
        inside = float(own["inside"].mean())
        rms = float(np.sqrt(np.mean((own["velocity"] - RATE) ** 2)))
        lines.append((method, rms, float(own["se"].median()), 100 * inside))
        metrics.append(
            Metric(
                f"95 % intervals that hold the velocity, {method}",
                100 * inside,
                se=100 * float(np.sqrt(0.95 * 0.05 / stations)),
                unit="percent",
                bar=None if method == METHODS[0] else ">= 80",
            )
        )
    straight, power = (metrics[k].value for k in (0, 2))
    said = (
        f"Of {stations} simulated stations of {years:g} years, 95 % intervals of a "
        f"straight line among independent days hold the velocity at {straight:.0f} %, "
        f"those of a power law at {power:.0f} %."
    )
    return Part(
        metrics=metrics,
        tables=[
            Table(
                "coverage",
                pd.DataFrame(
                    lines, columns=["method", "error", "median s.e.", "intervals hold"]
                ),
                "Velocities of simulated stations: root mean square error, standard "
                "error, and how many 95 % intervals hold the truth.",
                units={
                    "error": "mm year-1",
                    "median s.e.": "mm year-1",
                    "intervals hold": "percent",
                },
            )
        ],
        figures=[_figure(table, stations)],
        notes=[said],
    )


def _figure(table: pd.DataFrame, stations: int) -> Figure:
    """Draw every velocity with its interval."""
    with style():
        drawn, axes = figure(1, len(METHODS), height=3.0, sharey=True)
        for k, (ax, method) in enumerate(zip(np.ravel(axes), METHODS, strict=True)):
            own = table[table["method"] == method].sort_values("velocity")
            ax.errorbar(
                range(stations),
                own["velocity"],
                own["half"],
                fmt=".",
                color=COLOURS[k],
                lw=0.8,
            )
            ax.axhline(RATE, color="k", ls="--", lw=1.0)
            ax.set_title(method, fontsize=8)
            ax.set_xlabel("station, sorted")
        np.ravel(axes)[0].set_ylabel("velocity (mm per year)")
    return Figure.draw(
        "coverage",
        drawn,
        "Velocities of simulated stations with 95 % intervals, beside the truth "
        "(dashed): white and flicker noise, a declared step, seasons and gaps.",
        "Points with bars around a dashed line in four panels.",
    )
