"""Noise of a position series, est_noise's example, and velocities by MIDAS.

est_noise 8.01 took 35.3 s of wall and 93.0 s of CPU time for the same fit, by its own
journal (another machine; its covariances factored by several threads).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from benchmarks.measure import Row, cpu_seconds
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.gnss.positions import (
    Decay,
    Trajectory,
    fit_trajectory,
    noise_model,
    read_positions,
)
from tilth.gnss.positions.year_slopes import midas_velocity

#: From est_canp_gfortran.out.
EST_NOISE_CPU = 92.96


def example() -> tuple[xr.DataArray, Trajectory]:
    """Return est_noise's series of 5746 days, and its trajectory."""
    table = np.loadtxt(locate("est-noise-examples", download=False) / "canp.e")
    years = (table[:, 0].astype(int) - 1970).astype("datetime64[Y]")
    days = years.astype("datetime64[D]") + table[:, 1].astype(int) - 1
    series = xr.DataArray(
        table[:, 2],
        dims="time",
        coords={"time": days.astype("datetime64[ns]")},
        attrs={"units": "mm"},
    )
    decays = [Decay(day, time_scale=1e-4) for day in ("2003-12-22", "2004-09-28")]
    return series, Trajectory(steps=["2003-12-23", "2004-09-28"], decays=decays)


def run() -> list[Row]:
    """Measure and return the rows."""
    try:
        series, trajectory = example()
        stations = locate("station-positions", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    rows = []
    for combination in ("additive", "quadrature"):
        for name in ("flicker", "power law", "flicker + random walk"):
            model = noise_model(name, combination)
            cpu = cpu_seconds(
                lambda model=model: fit_trajectory(
                    series, trajectory, model, restricted=False
                ),
                3,
            )
            same = (combination, name) == ("additive", "power law")
            label = f"noise of 5746 epochs, white + {name}, {combination}"
            peer = ("est_noise 8.01", EST_NOISE_CPU) if same else (None, None)
            rows.append(Row(label, cpu, "s", *peer))
    path = stations / "MPRA.IGS08.tenv.txt"
    read = cpu_seconds(lambda: read_positions(path))
    rows.append(Row("5981 epochs of tenv, read", 1e3 * read, "ms"))
    positions = read_positions(path)
    cpu = cpu_seconds(lambda: midas_velocity(positions))
    rows.append(Row("MIDAS, 3 components of 5981 epochs", 1e3 * cpu, "ms"))
    return rows
