"""Basins with a known truth: simulated weather through the chain itself, and noise."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.land.readers import read_forcing
from tilth.land.simulate import simulated_weather
from tilth.studies.calibrate_by_gauge.chain import reaches_of
from tilth.studies.calibrate_by_gauge.inertial import kernel_discharge, rivers_of
from tilth.studies.calibrate_by_gauge.problem import SPLITS, YEARS, lay_out
from tilth.studies.calibrate_by_gauge.values import SIZE

#: Of the weather, the truth and the noise.
SEED = 20000101

#: Name -> area m2, mean slope, elevation m, temperature K, precipitation mm year-1.
SITES = {
    "simulated A": (150e6, 0.030, 400.0, 281.0, 1050.0),
    "simulated B": (500e6, 0.015, 150.0, 284.0, 1200.0),
}

#: Spread of the true coefficients around the defaults.
_SPREAD = 0.7

#: Standard deviation of the logarithm of the discharge's error.
_NOISE = 0.05

#: Demand of evaporation, mm day-1: of the mid-latitudes.
_DEMAND = 2.2


def simulated_basins(count: int = len(SITES)) -> tuple[list[xr.Dataset], np.ndarray]:
    """Return basins and the coefficients their discharge was made with.

    Parameters
    ----------
    count : int
        Number of basins, from the first on.

    Returns
    -------
    list of xarray.Dataset, array of shape (SIZE, basin)
        As `tilth.rivers.readers.read_camels_basin` returns them, with the long-term
        means that `lay_out` needs; and the truth.
    """
    basins = []
    for number, (name, site) in enumerate(list(SITES.items())[:count]):
        area, slope, elevation, temperature, rain = site
        weather = simulated_weather(
            YEARS,
            mean_temperature=temperature,
            rain=rain,
            elevation=elevation,
            step_minutes=360,
            seed=SEED + number,
        )
        basin = read_forcing(weather, "tilth").isel(cell=0, drop=True)
        basin = basin.assign_coords(gauge=name)
        basin["discharge"] = xr.ones_like(basin["rain"]).assign_attrs(units="m3 s-1")
        basin["area"], basin["mean_slope"] = area, slope
        basin["precipitation_mean"] = rain / 365.25
        basin["demand_mean"] = _DEMAND
        basins.append(basin)
    rng = np.random.default_rng(SEED)
    truth = _SPREAD * rng.standard_normal((SIZE, len(SITES)))[:, :count]
    problem = lay_out(basins, SPLITS[:1])
    flow = kernel_discharge(truth, problem, rivers_of(problem, reaches_of(problem)))
    noise = np.exp(_NOISE * rng.standard_normal((len(flow), len(SITES)))[:, :count])
    for basin, series in zip(basins, (flow * noise).T, strict=True):
        basin["discharge"] = basin["discharge"].copy(data=series)
    return basins, truth
