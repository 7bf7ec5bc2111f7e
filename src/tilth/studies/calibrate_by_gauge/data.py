"""What the study calibrates: gauged basins where they are at hand, else simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.datasets import info, locate
from tilth.core.errors import DatasetError
from tilth.rivers.readers import read_camels_attributes, read_camels_basin
from tilth.studies.calibrate_by_gauge.simulated import simulated_basins

_DATASET = "camels-four-basins"

#: Gauge -> name of its river.
GAUGES = {
    "01022500": "Narraguagus River, ME",
    "01547700": "Marsh Creek, PA",
    "02064000": "Falling River, VA",
    "03015500": "Brokenstraw Creek, PA",
}

#: The basin of the quick mode, the smallest.
_QUICK = "01547700"


@dataclass(frozen=True)
class Case:
    """Basins, where they are from, and the truth where it is known.

    Parameters
    ----------
    basins : list of xarray.Dataset
        As `tilth.studies.calibrate_by_gauge.problem.lay_out` takes them.
    names : list of str
        Of the basins, for tables and figures.
    source : str
        For the page.
    why : str
        Why they are simulated; empty if they are not.
    truth : array, shape (SIZE, basin), optional
        Coefficients of simulated basins.
    folder : path, optional
        Of the data set.
    """

    basins: list[xr.Dataset]
    names: list[str]
    source: str
    why: str = ""
    truth: np.ndarray | None = None
    folder: Path | None = None

    def other_weather(self, weather: str) -> list[xr.Dataset]:
        """Return the same basins with another product of the weather."""
        if self.folder is None:
            return []
        gauges = [str(basin["gauge"].item()) for basin in self.basins]
        return [_basin(self.folder, gauge, weather) for gauge in gauges]


def load(full: bool) -> Case:
    """Return the gauged basins or, where they cannot be had, simulated ones.

    Parameters
    ----------
    full : bool
        All basins instead of one.

    Returns
    -------
    Case
    """
    try:
        folder = locate(_DATASET, download=False)
    except DatasetError as error:
        basins, truth = simulated_basins(2 if full else 1)
        names = [str(basin["gauge"].item()) for basin in basins]
        return Case(basins, names, "simulated: known truth", str(error), truth)
    gauges = list(GAUGES) if full else [_QUICK]
    return Case(
        [_basin(folder, gauge, "daymet") for gauge in gauges],
        [GAUGES[gauge] for gauge in gauges],
        f"{_DATASET} ({info(_DATASET).citation})",
        folder=folder,
    )


def _basin(folder: Path, gauge: str, weather: str) -> xr.Dataset:
    """Return a basin with the climate that its attributes give."""
    basin = read_camels_basin(folder, gauge, weather=weather)
    climate = read_camels_attributes(folder, gauge, tables=("clim",))
    basin["precipitation_mean"] = float(climate["p_mean"])
    basin["demand_mean"] = float(climate["pet_mean"])
    return basin
