"""Made-up rivers with everything on them, and runoff that makes them flood."""

import numpy as np
import pytest
import xarray as xr

from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.network.synthetic import synthetic_network
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.reservoirs import Reservoirs


def _with_paths(network, count, seed):
    """Return the network with paths between neighbours of different basins."""
    rng = np.random.default_rng(seed)
    data = network.data
    row, column = data["row"].values, data["column"].values
    place = {(r, c): i for i, (r, c) in enumerate(zip(row, column, strict=True))}
    pairs = [
        (i, place[r, c + 1])
        for (r, c), i in place.items()
        if (r, c + 1) in place
        and network.downstream[i] != place[r, c + 1]
        and network.downstream[place[r, c + 1]] != i
    ]
    chosen = rng.permutation(len(pairs))[:count]
    start, end = np.array(pairs)[chosen].T
    bank = np.maximum(data["elevation"].values[start], data["elevation"].values[end])
    elevation = np.stack([bank - 1.0, bank + 0.5, bank + 1.0], axis=1)
    width = np.stack([np.full(count, 20.0), np.full(count, 80.0), np.zeros(count)], 1)
    return RiverNetwork(
        data.assign(
            path_from=("path", start),
            path_to=("path", end),
            path_length=("path", np.full(count, 15e3), {"units": "m"}),
            path_width=(("path", "path_level"), width, {"units": "m"}),
            path_elevation=(("path", "path_level"), elevation, {"units": "m"}),
        )
    )


@pytest.fixture(scope="session")
def made_up_rivers():
    """Return a function that makes a synthetic network, by default with paths."""

    def make(catchments=300, basins=12, seed=5, paths=4):
        network = synthetic_network(catchments, basins=basins, seed=seed)
        return _with_paths(network, paths, seed) if paths else network

    return make


@pytest.fixture(scope="session")
def made_up_runoff():
    """Return a function that makes runoff with storms, (time, catchment)."""

    def make(network, steps=8, step="6h", units="mm day-1", seed=0, start="2019-03-01"):
        rng = np.random.default_rng(seed)
        values = rng.gamma(0.4, 40.0, (steps, network.size))
        return xr.DataArray(
            values,
            coords={
                "time": xr.date_range(start, periods=steps, freq=step).values,
                "catchment": network.ids,
            },
            dims=("time", "catchment"),
            attrs={"units": units},
            name="runoff",
        )

    return make


@pytest.fixture(scope="session")
def everything():
    """Return a function that gives all that can act on a run beside runoff."""

    def make(network, runoff):
        rng = np.random.default_rng(11)
        time = runoff["time"]
        hours = xr.date_range(
            str(time.values[0])[:19], periods=6 * time.size, freq="1h"
        )
        mouths = network.ids[network.downstream == -1]
        tide = 1.5 * np.sin(np.arange(hours.size) / 12.4 * 2 * np.pi)
        big = network.ids[np.argsort(network.accumulate(np.ones(network.size)))[-9::3]]
        return {
            "base_runoff": 0.2 * runoff.assign_attrs(units=runoff.attrs["units"]),
            "sea_level": xr.DataArray(
                tide[:, None] + rng.normal(0, 0.2, mouths.size),
                coords={"time": hours, "catchment": mouths},
                dims=("time", "catchment"),
                attrs={"units": "m"},
            ),
            "evaporation": xr.DataArray(
                rng.uniform(1.0, 8.0, network.size),
                coords={"catchment": network.ids},
                dims="catchment",
                attrs={"units": "mm day-1"},
            ),
            "infiltration": xr.DataArray(
                np.linspace(0.0, 20.0, time.size),
                coords={"time": time},
                dims="time",
                attrs={"units": "mm day-1"},
            ),
            "reservoirs": Reservoirs(
                big, capacity=4e8, normal_flow=60.0, flood_flow=400.0
            ),
            "levees": Levees(network.ids[::3], share=0.02, crown=3.0),
        }

    return make
