"""Basins, splits and starts laid side by side: the columns that are fitted at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.land.emulator.variants import Forcing
from tilth.rivers.network.model import RiverNetwork
from tilth.studies.calibrate_by_gauge.tree import basin_network

#: mm day-1 over a m2, in m3 s-1.
DEPTH_TO_FLOW = 1e-3 / SECONDS_PER_DAY

#: First and last year of the records.
YEARS = (2000, 2002)


@dataclass(frozen=True)
class Split:
    """Which years are fitted and which one is held out.

    Parameters
    ----------
    name : str
        In tables.
    train : tuple of int
        Years whose discharge is fitted, and whose weather fills the stores before.
    test : int
        The year held out.
    """

    name: str
    train: tuple[int, ...]
    test: int


#: The first is the reported one, chosen before either was run: a gauge is calibrated on
#: the past to be used in the future.
SPLITS = (
    Split("held-out 2002", (2000, 2001), 2002),
    Split("held-out 2000", (2001, 2002), 2000),
)


@dataclass(frozen=True)
class Column:
    """One fit: a basin, a split and the number of the start."""

    basin: int
    split: Split
    start: int


@dataclass(frozen=True)
class Problem:
    """Everything the chain needs for all columns, as arrays.

    Parameters
    ----------
    columns : tuple of Column
        What each column is.
    weather : Forcing
        Fields (day, column): years that fill the stores, then the record.
    month : array of int, shape (day)
        Calendar month, 0 to 11.
    spin_up : int
        Days before the record.
    time : array of datetime64, shape (record)
        Days of the record.
    observed : array, shape (record, column)
        Discharge at the gauge, m3 s-1; NaN where unknown.
    fitted, tested : array of bool, shape (record, column)
        Days of the training and of the held-out years with an observation.
    area : array, shape (column)
        m2.
    mean_runoff : array, shape (column)
        mm day-1, that climate and Budyko's curve let expect; fills the deep store.
    networks : tuple of RiverNetwork
        Of each column.
    """

    columns: tuple[Column, ...]
    weather: Forcing
    month: np.ndarray
    spin_up: int
    time: np.ndarray
    observed: np.ndarray
    fitted: np.ndarray
    tested: np.ndarray
    area: np.ndarray
    mean_runoff: np.ndarray
    networks: tuple[RiverNetwork, ...]

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.columns)


def budyko_runoff(precipitation: float, demand: float) -> float:
    r"""Return the runoff that precipitation and demand for evaporation let expect.

    .. math:: Q = P - P \sqrt{\phi \tanh(1 / \phi) (1 - e^{-\phi})}, \quad
        \phi = E_p / P

    Parameters
    ----------
    precipitation, demand : float
        Long-term means, mm day-1.

    Returns
    -------
    float
        mm day-1.

    References
    ----------
    Budyko (1974), Climate and Life, p. 325.

    Examples
    --------
    >>> round(budyko_runoff(3.6, 2.1), 2)
    1.83
    """
    dry = demand / precipitation
    share = np.sqrt(dry * np.tanh(1.0 / dry) * (1.0 - np.exp(-dry)))
    return float(precipitation * (1.0 - share))


def lay_out(
    basins: Sequence[xr.Dataset], splits: Sequence[Split], starts: int = 1
) -> Problem:
    """Lay basins, splits and starts side by side.

    The stores are filled by two years of the training weather, without the 29th of
    February, so that all columns have the same days.

    Parameters
    ----------
    basins : sequence of xarray.Dataset
        As `tilth.rivers.readers.read_camels_basin` returns them, 2000 to 2002, with
        the long-term means ``precipitation_mean`` and ``demand_mean`` (mm day-1).
    splits : sequence of Split
        Each for every basin.
    starts : int
        Columns for each basin and split.

    Returns
    -------
    Problem
        Columns by basin, then split, then start.
    """
    columns = [
        Column(b, split, start)
        for b in range(len(basins))
        for split in splits
        for start in range(starts)
    ]
    record = [basin.sel(time=slice(*map(str, YEARS))) for basin in basins]
    before = {
        (b, split.name): _spin_up(basin, split)
        for b, basin in enumerate(record)
        for split in splits
    }
    parts = [(before[c.basin, c.split.name], record[c.basin]) for c in columns]

    def along(name: str) -> np.ndarray:
        series = [np.concatenate([p[name].values for p in part]) for part in parts]
        return np.stack(series, axis=1)

    first, main = parts[0]
    calendar = [part["time"].dt.month.values - 1 for part in (first, main)]
    year = main["time"].dt.year.values
    observed = np.stack([record[c.basin]["discharge"].values for c in columns], axis=1)
    known = np.isfinite(observed)
    fitted = np.stack([np.isin(year, c.split.train) for c in columns], axis=1)
    tested = np.stack([year == c.split.test for c in columns], axis=1)
    own = {
        b: basin_network(float(basin["area"]), float(basin["mean_slope"]))
        for b, basin in enumerate(basins)
    }
    climate = [
        budyko_runoff(float(basin["precipitation_mean"]), float(basin["demand_mean"]))
        for basin in basins
    ]
    return Problem(
        columns=tuple(columns),
        weather=Forcing(*(along(name) for name in Forcing._fields)),
        month=np.concatenate(calendar),
        spin_up=first.sizes["time"],
        time=main["time"].values,
        observed=observed,
        fitted=fitted & known,
        tested=tested & known,
        area=np.array([float(basins[c.basin]["area"]) for c in columns]),
        mean_runoff=np.array([climate[c.basin] for c in columns]),
        networks=tuple(own[c.basin] for c in columns),
    )


def _spin_up(basin: xr.Dataset, split: Split) -> xr.Dataset:
    """Return two years of training weather without the 29th of February."""
    years = (split.train * 2)[:2]
    parts = [basin.sel(time=str(year)) for year in years]
    leap = [
        (p["time"].dt.month == 2).values & (p["time"].dt.day == 29).values
        for p in parts
    ]
    return xr.concat(
        [p.isel(time=~skip) for p, skip in zip(parts, leap, strict=True)], "time",
        data_vars="minimal", coords="minimal", compat="override", join="override",
    )  # fmt: skip
