"""Fits of the emulator to VIC per CPU second: months, months and joint, evolution.

The peer is a prototype of the same fit in JAX on two such cores: reverse mode, Adam
with 400 steps from 16 starts for the months (10 to 14 s a cell), 800 steps for the
joint fit (13 to 20 s), compiled once.
"""

from __future__ import annotations

import time

import numpy as np
import xarray as xr

from benchmarks.measure import Row
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.land.fit import FitSettings, fit_emulator

#: Seconds per cell of the prototype, the lower ends.
PROTOTYPE_MONTHS, PROTOTYPE_JOINT = 10.0, 23.0

YEARS = (1961, 2000)


def vic(cells: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Return forcing and targets of the first cells."""
    path = locate("vic-stehekin", download=False) / "vic5_stehekin_daily_1961_2005.nc"
    data = xr.open_dataset(path).isel(cell=slice(cells)).load().drop_attrs()
    data = data.assign_coords(cell=np.arange(cells))
    forcing = {
        "rain": data.OUT_RAINF,
        "snowfall": data.OUT_SNOWF,
        "temperature": data.OUT_AIR_TEMP + 273.15,
        "humidity": data.OUT_QAIR,
        "pressure": data.OUT_PRESSURE * 1000.0,
    }
    targets = {
        "snow": data.OUT_SWE,
        "soil": data.OUT_SOIL_MOIST_0 + data.OUT_SOIL_MOIST_1,
        "runoff": data.OUT_RUNOFF + data.OUT_BASEFLOW,
    }
    return xr.Dataset(forcing), xr.Dataset(targets)


def seconds(cells: int, settings: FitSettings) -> float:
    """Return the CPU time of one cell's fit, s."""
    forcing, targets = vic(cells)
    start = time.process_time()
    fit_emulator(forcing, targets, years=YEARS, settings=settings)
    return (time.process_time() - start) / cells


def run() -> list[Row]:
    """Measure and return the rows; none where the data are not at hand."""
    try:
        seconds(1, FitSettings(method="evolution", generations=1))  # compiles
    except DatasetError:
        return []
    months = seconds(3, FitSettings(joint=False))
    both = seconds(3, FitSettings())
    members = seconds(3, FitSettings(members=20))
    evolution = seconds(1, FitSettings(method="evolution", joint=False))
    return [
        Row(
            "land: month fits of a cell, 40 years, 4 starts",
            months,
            "CPU s",
            "JAX, Adam, 16 starts",
            PROTOTYPE_MONTHS,
        ),
        Row(
            "land: month and joint fit of a cell",
            both,
            "CPU s",
            "JAX, Adam",
            PROTOTYPE_JOINT,
        ),
        Row("land: the same with 20 members", members, "CPU s"),
        Row("land: differential evolution of a cell's months", evolution, "CPU s"),
    ]
