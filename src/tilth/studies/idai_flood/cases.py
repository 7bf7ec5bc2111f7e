"""What is routed: Mozambique under Idai, or a network and a storm made up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_paths import read_bifurcations
from tilth.rivers.network.cama_runs import read_cama_output
from tilth.rivers.network.cama_sea_level import read_sea_level, read_sea_level_stations
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.network.synthetic import synthetic_network
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import filled_channels

#: As the reference was run: all catchments take the sub-steps that one of them needs.
SAME = Settings(time_step=600.0, steps_by="globe")

#: As is the default here: each basin takes its own.
SETTINGS = replace(SAME, steps_by="basin")

#: Cells (row, column) that hydrographs are drawn of: two on the river with the largest
#: flood, one on a small river by the coast.
PLACES = ((29, 21), (28, 27), (39, 30))

_SEED = 2019


@dataclass
class Case:
    """A network, what falls on it, and what another model made of it.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        The rivers.
    runoff : xarray.DataArray, shape (time, catchment)
        Daily, m3 s-1.
    state : xarray.Dataset
        Where the run begins.
    places : numpy.ndarray of int
        Positions of catchments that are looked at.
    titles : tuple of str
        Their names.
    reference : xarray.Dataset, optional
        CaMa-Flood's output under Tilth's names.
    folder : pathlib.Path, optional
        Of the dataset.
    seed : int, optional
        Of what is made up.
    notes : tuple of str
        What the reader must know of it.
    """

    network: RiverNetwork
    runoff: xr.DataArray
    state: xr.Dataset
    places: np.ndarray
    titles: tuple[str, ...]
    reference: xr.Dataset | None = None
    folder: Path | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether these are all the days of the reference, not the quick part."""
        return self.reference is not None and self.runoff.sizes["time"] == 120


def bifurcations(case: Case, folder: Path) -> RiverNetwork:
    """Return the network of the case with the bifurcations of its dataset."""
    return read_bifurcations(folder / "bifprm.txt", case.network)


def sea_level(case: Case, folder: Path) -> xr.DataArray:
    """Return the level of the sea at the mouths in steps of ten minutes, m."""
    level = read_sea_level(
        folder / "gtsm_era5_ro_20190101-20190501_moz.nc",
        read_sea_level_stations(folder / "GTSM_EVENT.txt", case.network),
        case.network,
    )
    time = case.runoff["time"].values
    end = time[-1] + (time[1] - time[0])
    return level.isel(time=(level["time"] >= time[0]) & (level["time"] < end))


def mozambique(folder: Path, days: int | None) -> Case:
    """Return the case of Mozambique from its dataset, its first days or all."""
    network = read_cama_map(folder / "map_moz_06min.nc")
    reference = read_cama_output(folder / "cama_base_daily2019.nc", network)
    reference = reference.isel(time=slice(days))
    places = network.positions(
        row * network.data.attrs["grid_columns"] + column for row, column in PLACES
    )
    titles = tuple(
        f"row {row}, column {column} "
        f"({-network.data['lat'].values[i]:.2f}° S, "
        f"{network.data['lon'].values[i]:.2f}° E)"
        for (row, column), i in zip(PLACES, places, strict=True)
    )
    return Case(
        network=network,
        runoff=reference["runoff"],
        state=filled_channels(network, SETTINGS),
        places=places,
        titles=titles,
        reference=reference,
        folder=folder,
        notes=(
            "The map is cut out of a larger one: rivers that come from outside carry "
            "only the water of the part inside, the Zambezi above all.",
        ),
    )


def made_up() -> Case:
    """Return a network of 400 catchments, 60 days, and a storm that crosses it."""
    network = synthetic_network(400, basins=3, seed=_SEED)
    days = pd.date_range("2001-01-01", periods=60)
    east, north = (
        (network.data[name].values - network.data[name].values.mean()) / spread
        for name, spread in (("lon", 1.5), ("lat", 1.5))
    )
    day = np.arange(days.size)[:, None]
    # From east to west in a week; mm per day over a little that always falls.
    storm = 120.0 * np.exp(-(north**2) - (east + (day - 18.0) / 3.0) ** 2)
    rate = (1.0 + storm) / 86400.0 / 1000.0
    runoff = xr.DataArray(
        rate * network.data["area"].values,
        coords={"time": days, "catchment": network.ids},
        dims=("time", "catchment"),
        attrs={"units": "m3 s-1"},
    )
    drained = network.accumulate(network.data["area"].values)
    places = np.argsort(drained)[::-1][:1]
    return Case(
        network=network,
        runoff=runoff,
        state=filled_channels(network, SETTINGS),
        places=places,
        titles=("the largest river",),
        seed=_SEED,
        notes=("Network and storm are made up; no number here is of a real river.",),
    )
