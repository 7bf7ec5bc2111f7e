"""The cases of the study: worlds of known change, and two climate models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.core.files import read_netcdf
from tilth.forcing.adjust.adjuster import Kind

#: Of every draw.
SEED = 0

#: Warming of the simulated model, K; ratio of its rain.
WARMING, WETTING = 4.0, 1.25

#: Standard deviation of daily temperature about its season: reality, model, K.
REAL_SPREAD, MODEL_SPREAD = 4.0, 2.5

#: Names of the cases.
SIMULATED, CANADA, IBERIA = "simulated", "CanESM2", "CNRM-CM5"


@dataclass(frozen=True)
class Case:
    """One variable of a model, with what it is adjusted to and what changes.

    Parameters
    ----------
    name : str
        `SIMULATED`, `CANADA` or `IBERIA`.
    variable : {"tas", "tasmax", "pr"}
        Short name of CMIP.
    kind : {"+", "*"}
        Whether its change is a difference or a ratio.
    observed, modelled : xarray.DataArray
        Training period of both, dimensions ``place`` and ``time``.
    before, after : xarray.DataArray
        The model in the two periods whose change is looked at.
    """

    name: str
    variable: str
    kind: Kind
    observed: xr.DataArray
    modelled: xr.DataArray
    before: xr.DataArray
    after: xr.DataArray

    @property
    def unit(self) -> str:
        """Units of a change."""
        return "K" if self.kind == "+" else "1"

    @property
    def label(self) -> str:
        """Name and variable."""
        return f"{self.name}, {self.variable}"

    def change(self, before: xr.DataArray, after: xr.DataArray) -> np.ndarray:
        """Return the change of the mean at every place.

        Parameters
        ----------
        before, after : xarray.DataArray
            With ``time`` and ``place``.

        Returns
        -------
        numpy.ndarray, shape (place,)
            Difference, or ratio.
        """
        first, second = (x.mean("time", dtype=float).values for x in (before, after))
        return second - first if self.kind == "+" else second / first


def simulated(places: int, years: int) -> list[Case]:
    """Return temperature and rain of a model whose faults and changes are known.

    The model is 3 K too cold and its days vary too little; it rains too often and too
    little. Everything warms by `WARMING`, and all rain grows by `WETTING`.

    Parameters
    ----------
    places : int
        Independent ones.
    years : int
        Of each period.

    Returns
    -------
    list of Case
        Temperature (degC) and precipitation (mm day-1).
    """
    draws = np.random.default_rng(SEED)
    n = 365 * years
    season = -8.0 * np.cos(2.0 * np.pi * np.arange(n) / 365.0)

    def warmth(mean: float, spread: float) -> np.ndarray:
        return mean + season + spread * draws.standard_normal((places, n))

    def rain(wet: float, shape: float, scale: float) -> np.ndarray:
        amount = draws.gamma(shape, scale, (places, n))
        return np.where(draws.random((places, n)) < wet, amount, 0.0)

    def case(variable: str, kind: Kind, units: str, *values: np.ndarray) -> Case:
        starts = ("1981-01-01", "1981-01-01", "2071-01-01")
        series = [
            xr.DataArray(
                x,
                {
                    "place": np.arange(places),
                    "time": xr.date_range(
                        start, periods=n, calendar="noleap", use_cftime=True
                    ),
                },
                ("place", "time"),
                variable,
                {"units": units},
            )
            for x, start in zip(values, starts, strict=True)
        ]
        observed, modelled, after = series
        return Case(SIMULATED, variable, kind, observed, modelled, modelled, after)

    return [
        case(
            "tas",
            "+",
            "degC",
            warmth(10.0, REAL_SPREAD),
            warmth(7.0, MODEL_SPREAD),
            warmth(7.0 + WARMING, MODEL_SPREAD),
        ),
        case(
            "pr",
            "*",
            "mm day-1",
            rain(0.4, 0.7, 9.0),
            rain(0.7, 0.8, 4.0),
            rain(0.7, 0.8, 4.0 * WETTING),
        ),
    ]


def measured() -> tuple[list[Case], dict[str, str]]:
    """Return the cases whose data are at hand, and why others are not.

    Returns
    -------
    cases : list of Case
        CanESM2 beside two Canadian stations, trained 1950-1981, changes from 1982-2013
        to 2069-2100; CNRM-CM5 beside seven Iberian ones, trained in the winters
        1983-1987, changes to those of 1988-1992.
    absent : dict of str to str
        Dataset -> why it is not there.
    """
    cases: list[Case] = []
    absent: dict[str, str] = {}
    for dataset, read in (("ahccd-canesm2", _canada), ("iberia-winters", _iberia)):
        try:
            cases += read(locate(dataset))
        except DatasetError as error:
            absent[dataset] = str(error)
    return cases, absent


def _canada(folder: Path) -> list[Case]:
    """Return tasmax and pr of two stations beside the one series of CanESM2."""
    observed = read_netcdf(folder / "ahccd_1950-2013.nc")
    model = read_netcdf(folder / "CanESM2_1950-2100.nc")
    cases = []
    kinds: dict[str, Kind] = {"tasmax": "+", "pr": "*"}
    for name, kind in kinds.items():
        seen, simulated = (
            x[name].transpose("location", "time").rename(location="place")
            for x in (observed, model)
        )
        periods = (("1950", "1981"), ("1982", "2013"), ("2069", "2100"))
        training, before, after = (simulated.sel(time=slice(*p)) for p in periods)
        seen = seen.sel(time=slice(*periods[0]))
        cases.append(Case(CANADA, name, kind, seen, training, before, after))
    return cases


def _iberia(folder: Path) -> list[Case]:
    """Return tas and pr of seven stations beside the nearest cells of CNRM-CM5."""
    cases = []
    kinds: dict[str, Kind] = {"tas": "+", "pr": "*"}
    for name, kind in kinds.items():
        seen, model = (
            read_netcdf(folder / f"{source}_Iberia_{name}.nc")[name]
            for source in ("VALUE", "CMIP5")
        )
        model = model.sel(lat=seen["lat"], lon=seen["lon"], method="nearest")
        time = seen["time"].dt
        # A winter has the year of its January.
        early = (time.year + (time.month == 12) <= 1987).values
        seen, model = (
            x.drop_vars(["lat", "lon", "altitude", "name"], errors="ignore")
            .transpose("station", "time")
            .rename(station="place")
            for x in (seen, model)
        )
        before, after = model[:, early], model[:, ~early]
        cases.append(Case(IBERIA, name, kind, seen[:, early], before, before, after))
    return cases
