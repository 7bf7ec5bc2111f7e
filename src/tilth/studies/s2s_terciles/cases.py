"""Hindcasts that the study looks at: real ones, and made-up ones of known skill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.core.files import read_netcdf
from tilth.core.regrid import bilinear
from tilth.forcing.s2s import align_observations, as_forecast

#: Registered datasets, and what `Cases` says of their absence.
IBERIA, RMM1 = "iberia-winters", "rmm1-hindcasts"

#: Of all draws.
SEED = 2021


@dataclass(frozen=True, eq=False)
class Pair:
    """Hindcasts and what was observed at their starts and leads.

    Parameters
    ----------
    model, observed : xarray.DataArray
        Along start, (lead,) member and cells; and without member.
    """

    model: xr.DataArray
    observed: xr.DataArray

    @property
    def members(self) -> int:
        """Number of members."""
        return self.model.sizes["member"]


@dataclass(frozen=True, eq=False)
class Cases:
    """What there is to look at.

    Parameters
    ----------
    iberia : Pair, optional
        Winter means of precipitation at 19 cells, nine members, ten winters.
    rmm1 : Pair, optional
        Daily index of the Madden-Julian oscillation, four members, 510 starts.
    why : str
        Why one of them is absent.
    """

    iberia: Pair | None
    rmm1: Pair | None
    why: str = ""

    @property
    def source(self) -> str:
        """Where the data are from."""
        named = [
            name
            for name, pair in ((IBERIA, self.iberia), (RMM1, self.rmm1))
            if pair is not None
        ]
        return ", ".join([*named, "simulated: known truth"])


def load() -> Cases:
    """Return the real cases that are at hand."""
    found: dict[str, Pair | None] = {}
    why = []
    for name, read in ((IBERIA, read_iberia), (RMM1, read_rmm1)):
        try:
            found[name] = read(locate(name, download=False))
        except DatasetError as error:
            found[name] = None
            why.append(str(error))
    return Cases(found[IBERIA], found[RMM1], "; ".join(why))


def read_iberia(folder: Path) -> Pair:
    """Return winter means of precipitation, mm/day: CFSv2 beside E-OBS.

    The model is brought to the centres of the cells bilinearly; two of the 21 cells
    lie outside its box.
    """
    model = read_netcdf(folder / "CFS_Iberia_pr.nc")["pr"].astype(float)
    # The file holds the mean of the day's 6-hourly totals, mm: four make a day.
    daily = (4.0 * model).assign_attrs(units="mm day-1")
    cells = read_netcdf(folder / "EOBS_Iberia_pr.nc")
    # Reach 0: a cell beyond the outermost centres is a gap, not the nearest value.
    at = bilinear(daily, cells, reach=0.0).apply(daily).dropna("cell", how="all")
    observed = cells["pr"].astype(float).sel(cell=at["cell"])
    observed = observed.assign_attrs(units="mm day-1")
    return Pair(_winters(at), _winters(observed))


def _winters(daily: xr.DataArray) -> xr.DataArray:
    """Return means from December to February; a start is the first of December."""
    time = daily["time"]
    winter = (time.dt.year + (time.dt.month == 12)).rename("winter")
    mean = daily.groupby(winter).mean(keep_attrs=True)
    start = [np.datetime64(f"{year - 1}-12-01", "ns") for year in mean["winter"].values]
    return mean.assign_coords(winter=start).rename(winter="start")


def read_rmm1(folder: Path) -> Pair:
    """Return the daily index of GEOS-V2p1 (SubX) and the observed one."""
    model = read_netcdf(folder / "GMAO-GEOS-V2p1.RMM1.nc")["RMM1"].astype(float)
    index = read_netcdf(folder / "RMM1.observed.interannual.1974-06.2017-07.nc")
    forecast = as_forecast(model).assign_attrs(units="1")
    observed = index["rmm1"].assign_attrs(units="1")
    laid = align_observations(observed, forecast["start"], forecast["lead"])
    return Pair(forecast, laid.drop_vars("valid_time"))
