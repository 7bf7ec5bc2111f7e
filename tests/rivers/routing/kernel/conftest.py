"""Rivers drawn by hand, and a run of the kernel on them, one interval at a time."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.arrays import (
    empty_ledger,
    empty_state,
    empty_totals,
    forcing_of,
)
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import advance
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.stage import stages, storage_at

DEFAULTS = {
    "area": (1e8, "m2"),
    "river_length": (1e4, "m"),
    "river_width": (100.0, "m"),
    "river_depth": (5.0, "m"),
    "elevation": (50.0, "m"),
    "downstream_distance": (1e4, "m"),
}


def _network(downstream, *, profile=None, paths=None, **values):
    n = len(downstream)
    data = xr.Dataset({"downstream": ("catchment", np.asarray(downstream))})
    for name, (default, units) in (DEFAULTS | {"river_manning": (None, "1")}).items():
        value = values.pop(name, default)
        if value is not None:
            units = "s m-1/3" if name == "river_manning" else units
            data[name] = ("catchment", np.broadcast_to(value, n).astype(float))
            data[name].attrs["units"] = units
    assert not values
    profile = np.arange(1.0, 11.0) if profile is None else np.asarray(profile)
    profile = np.broadcast_to(profile, (n, profile.shape[-1])).astype(float)
    data["floodplain_height"] = (("catchment", "layer"), profile, {"units": "m"})
    if paths is not None:
        start, end, length, width, elevation = (np.asarray(x) for x in paths)
        data["path_from"], data["path_to"] = ("path", start), ("path", end)
        data["path_length"] = ("path", length.astype(float), {"units": "m"})
        dims = ("path", "path_level")
        data["path_width"] = (dims, width.astype(float), {"units": "m"})
        data["path_elevation"] = (dims, elevation.astype(float), {"units": "m"})
    return RiverNetwork(data)


class Run:
    """A run of the kernel on a network that is already in order."""

    def __init__(self, network, settings, **tables):
        self.settings = settings
        self.geometry = geometry_of(network, settings, **tables)
        self.state = empty_state(self.geometry)
        self.totals = empty_totals(self.geometry)

    def advance(self, runoff, seconds=3600.0, *, substeps=None, **forcing):
        """Advance by one interval; `runoff` may be one number for all."""
        n = self.geometry.area.size
        self.ledger = empty_ledger(self.geometry, seconds, self.settings)
        given = {
            name: value if name == "sea_level" else np.broadcast_to(value, n)
            for name, value in forcing.items()
        }
        advance(
            self.geometry,
            self.state,
            forcing_of(self.geometry, np.broadcast_to(runoff, n), **given),
            seconds,
            self.settings,
            self.totals,
            self.ledger,
            substeps=substeps,
        )
        assert np.isfinite(self.state.storage).all()
        assert (self.state.storage >= 0.0).all()
        return self.totals

    @property
    def stages(self):
        return stages(self.geometry, self.state.storage)

    def fill_to(self, level):
        """Let the water stand at an elevation, at rest."""
        n = self.geometry.area.size
        level = np.broadcast_to(level, n).astype(float)
        self.state.storage[:] = storage_at(self.geometry, level)
        found = self.stages
        self.state.river_depth[:] = found.river_depth
        beside = found.flood_storage / self.geometry.length
        beside = beside - found.flood_depth * self.geometry.width
        self.state.flow_area[:] = np.maximum(beside, 0.0)

    @property
    def balance(self):
        """Imbalance of the last interval as a share of storage and input."""
        book = self.ledger
        lost = book.outflow + book.evaporation + book.infiltration
        gap = book.after - book.before - book.runoff + lost
        whole = np.maximum(book.before, book.after) + abs(book.runoff)
        return abs(gap).sum() / max((whole + abs(book.outflow)).sum(), 1e-300)


@pytest.fixture(scope="session")
def draw_network():
    """Return a function that makes a network of the catchments' positions."""
    return _network


@pytest.fixture(scope="session")
def start_run():
    """Return a function that begins a run; settings go in by name."""

    def start(network, reservoirs=None, levees=None, **settings):
        chosen = replace(Settings(), **settings)
        return Run(network, chosen, reservoirs=reservoirs, levees=levees)

    return start
