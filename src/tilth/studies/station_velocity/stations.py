"""Real stations beside what the original programs got from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.gnss.positions import read_positions, read_steps
from tilth.gnss.positions.fit import fit_trajectory
from tilth.gnss.positions.noise import noise_model
from tilth.gnss.positions.series import COMPONENTS
from tilth.gnss.positions.trajectory import Decay, Trajectory
from tilth.gnss.positions.year_slopes import midas_velocity
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: File, file of steps -> velocities and standard errors, mm yr-1: DUTC is the output of
#: the original program that comes with it; the others are those of an independent
#: implementation of its pair rule.
_MIDAS = {
    ("midas_dutc/DUTC.IGS08.tenv", "midas_dutc/DUTC.IGS08.step"): (
        (-6.780, -21.395, 0.573),
        (0.911, 1.198, 3.685),
    ),
    ("LHAS.tenv3", ""): ((46.167, 15.845, 0.528), (0.260, 0.274, 0.713)),
    ("MPRA.IGS08.tenv.txt", ""): ((20.491, 16.896, -0.235), (0.159, 0.205, 0.557)),
}

#: What a velocity may differ by, mm yr-1: east and north, and up.
_BARS = {"east": "within 0.05", "north": "within 0.05", "up": "within 0.2"}

#: est_noise's example CANP, east: its trajectory and the rate it finds, mm yr-1.
_CANP = Trajectory(
    steps=["2003-12-23", "2004-09-28"],
    decays=[Decay("2003-12-22", time_scale=1e-4), Decay("2004-09-28", time_scale=1e-4)],
    reference="1997-01-01",
)
_CANP_RATE = -11.4625


def measured(full: bool) -> tuple[Part, list[str]]:
    """Return real velocities beside those of other programs.

    Parameters
    ----------
    full : bool
        With the series of est_noise.

    Returns
    -------
    Part, list of str
        Numbers, and what is not at hand and why.
    """
    part, absent = Part(), []
    try:
        _add_midas(part, locate("station-positions"))
    except DatasetError as error:
        absent.append(str(error))
    if full:
        try:
            _add_est_noise(part, locate("est-noise-examples"))
        except DatasetError as error:
            absent.append(str(error))
    return part, absent


def _add_midas(part: Part, folder: Path) -> None:
    """Add the velocities of the median of slopes."""
    rows = []
    for (file, steps), (velocities, errors) in _MIDAS.items():
        positions = read_positions(folder / file)
        days = read_steps(folder / steps)["time"].values if steps else ()
        found = midas_velocity(positions, days)
        name = str(positions.attrs["station"])
        for k, component in enumerate(COMPONENTS):
            own = found.sel(component=component)
            value, se = (1e3 * float(own[n]) for n in ("velocity", "velocity_se"))
            part.metrics.append(
                Metric(
                    f"MIDAS velocity of {name}, {component}",
                    value,
                    se=se,
                    unit="mm year-1",
                    published=velocities[k],
                    bar=_BARS[component],
                )
            )
            rows.append((name, component, value, velocities[k], se, errors[k]))
    columns = ["station", "component", "ours", "theirs", "s.e. ours", "s.e. theirs"]
    part.tables.append(
        Table(
            "midas",
            pd.DataFrame(rows, columns=columns),
            "Velocities by MIDAS beside the original program (DUTC) and an independent "
            "one.",
            units=dict.fromkeys(columns[2:], "mm year-1"),
            decimals=dict.fromkeys(columns[2:], 3),
        )
    )


def _add_est_noise(part: Part, folder: Path) -> None:
    """Add the rate of est_noise's example, noise estimated."""
    table = np.loadtxt(folder / "canp.e")
    first = (table[:, 0].astype(int) - 1970).astype("datetime64[Y]")
    days = first.astype("datetime64[D]") + table[:, 1].astype(int) - 1
    position = xr.DataArray(
        table[:, 2],
        dims="time",
        coords={"time": days.astype("datetime64[ns]")},
        attrs={"units": "mm"},
    )
    noise = noise_model("power law", "additive")
    fit = fit_trajectory(position, _CANP, noise, restricted=False)
    rate = fit.parameters[["value", "se"]].astype(float).T["rate"].to_numpy()
    part.metrics.append(
        Metric(
            "rate of CANP, east, in power-law noise",
            1e3 * float(rate[0]),
            se=1e3 * float(rate[1]),
            unit="mm year-1",
            published=_CANP_RATE,
            bar="within 0.2",
        )
    )
