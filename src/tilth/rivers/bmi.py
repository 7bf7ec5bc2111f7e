"""The river router under the Basic Model Interface.

`RouterBmi` takes the steps of its runoff, or steps of a given length with runoff that
is set from outside. Its network is a grid of its own: catchments are nodes, channels
are edges.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.bmi import Served, TableModel, read_config
from tilth.core.bmi_table import Clock, Grid, Variable, channels, points, scalar
from tilth.core.errors import InputError
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.forcing import Input, check_values, runoff_input
from tilth.rivers.routing.output import LEDGER, VARIABLES
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import open_state, variables_of
from tilth.rivers.routing.times import step_length, when

__all__ = ["RouterBmi"]

#: What can be set: name -> units, whether it may be negative, number of its grid.
_INPUTS = {
    "runoff": ("m3 s-1", True, 0),
    "base_runoff": ("m3 s-1", True, 0),
    "evaporation_rate": ("m s-1", False, 0),
    "infiltration_rate": ("m s-1", False, 0),
    "sea_level": ("m", True, 1),
}

#: Name of ours -> CSDMS name of the same quantity in the same units.
_CSDMS = {
    "discharge": "channel_water_x-section__volume_flow_rate",
    "river_depth": "channel_water_x-section__mean_depth",
}


class RouterBmi(TableModel):
    """Rivers, step by step.

    Its configuration names ``network`` (as `RiverNetwork.to_netcdf` writes it) and
    either ``runoff``, a NetCDF file with a variable of that name as for
    `tilth.rivers.routing.runs.route`, or ``time_step`` in s and ``start``, where
    runoff is set before each step and holds until it is set anew. It may name
    ``state`` (as `save_state` writes it), ``settings`` (a table, as
    `tilth.rivers.routing.settings.Settings`) and ``threads``.

    Grid 0 is the network, 1 its terminals in the order of their positions (for
    ``sea_level``), 2 the whole network (for its ledger).
    """

    component_name = "Tilth river router"

    def _set_up(self, config_file: str) -> Served:
        config = read_config(
            config_file,
            ["network"],
            ["runoff", "time_step", "start", "state", "settings", "threads"],
        )
        folder = Path(config_file).parent
        network = RiverNetwork.open(folder / str(config["network"]))
        state = open_state(folder / config["state"]) if "state" in config else None
        self._router = _Settable(
            network, _settings(config), state, threads=config.get("threads")
        )
        self._runoff, clock = _drive(config, folder, network)
        sizes = (network.size, network.terminals.size)
        self._inputs = {n: np.zeros(sizes[row[2]]) for n, row in _INPUTS.items()}
        self._load(0)
        arrays = self._router.arrays._asdict()
        self._states = {
            name: np.ascontiguousarray(arrays[name])
            for name, (dims, _, _) in variables_of(network).items()
            if dims == ("catchment",)
        }
        self._outputs: dict[str, np.ndarray] = {
            name: np.zeros(network.size) for name in VARIABLES
        }
        self._ledger: dict[str, np.ndarray] = {name: np.zeros(()) for name in LEDGER}
        return Served(self._table(), _grids(network), clock)

    def _table(self) -> dict[str, Variable]:
        """Return inputs, outputs, states and the ledger."""
        rows = variables_of(self._router.network)
        table = {
            name: Variable(
                self._inputs[name], units, "input", grid, (),
                None if negative else _not_negative,
            )
            for name, (units, negative, grid) in _INPUTS.items()
        }  # fmt: skip
        for name, array in self._outputs.items():
            row = VARIABLES[name]
            aliases = (name,) * bool(row.standard_name)
            aliases += (_CSDMS[name],) if name in _CSDMS else ()
            key = row.standard_name or name
            table[key] = Variable(array, row.units, "output", 0, aliases)
        for name, array in self._states.items():
            check = _not_negative if name in ("storage", "groundwater") else None
            table[f"state_{name}"] = Variable(
                array, rows[name][1], "state", 0, (), check
            )
        for name, array in self._ledger.items():
            table[name] = Variable(array, LEDGER[name].units, "output", 2)
        return table

    def _load(self, number: int) -> None:
        """Put the runoff of a step into the input, where there is a file of it."""
        if self._runoff is not None and number < self._runoff.values.shape[0]:
            self._inputs["runoff"][:] = self._runoff.at(number)

    def _step(self, number: int) -> None:
        self._router.put(self._states)
        given = self._inputs
        done = self._router.advance(
            given["runoff"],
            self.get_time_step(),
            base_runoff=given["base_runoff"],
            evaporation=given["evaporation_rate"],
            infiltration=given["infiltration_rate"],
            sea_level=given["sea_level"],
        )
        arrays = self._router.arrays._asdict()
        for name, array in self._states.items():
            array[...] = arrays[name]
        for name, values in (done.means | done.ends).items():
            self._outputs[name][...] = values
        for name, value in done.ledger.items():
            self._ledger[name][...] = value
        self._load(number + 1)

    def _close(self) -> None:
        del self._router, self._runoff, self._inputs, self._outputs
        del self._states, self._ledger


class _Settable(Router):
    """A router whose water can be set between intervals."""

    def put(self, arrays: dict[str, np.ndarray]) -> None:
        """Put arrays of the state, in the network's order, in the place of its own."""
        now = self.arrays._replace(**arrays)
        for own, values in zip(self._state, self._sorted_state(now), strict=True):
            own[...] = values


def _settings(config: dict[str, Any]) -> Settings:
    """Return the settings of a configuration."""
    table = config.get("settings", {})
    known = Settings.__dataclass_fields__
    if not isinstance(table, dict) or set(table) - set(known):
        raise InputError(
            f"settings={table!r} of the rivers: give a table with some of "
            f"{', '.join(known)}"
        )
    return Settings(**table)


def _drive(
    config: dict[str, Any], folder: Path, network: RiverNetwork
) -> tuple[Input | None, Clock]:
    """Return the runoff of a file, if there is one, and the clock."""
    if "runoff" not in config:
        missing = [key for key in ("time_step", "start") if key not in config]
        if missing:
            raise InputError(
                f"without runoff the configuration needs {', '.join(missing)}: the "
                "length of a step in s and when the first begins"
            )
        return None, Clock(str(config["start"]), float(config["time_step"]))
    extra = [key for key in ("time_step", "start") if key in config]
    if extra:
        raise InputError(
            f"{', '.join(extra)} beside runoff: its times say when a step begins and "
            "how long it is; leave one of the two out"
        )
    path = folder / str(config["runoff"])
    if not path.is_file():
        raise InputError(f"there is no {path}: paths are relative to the configuration")
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        if "runoff" not in dataset:
            raise InputError(
                f"{path} has no variable runoff; it has "
                f"{', '.join(map(str, dataset.data_vars))}"
            )
        given = runoff_input(dataset["runoff"].load(), network)
        check_values(given)
        time = dataset["time"].load()
    return given, Clock(when(time.values[0]), step_length(time), time.size)


def _grids(network: RiverNetwork) -> dict[int, Grid]:
    """Return the network, its terminals, and the whole."""
    place = [
        network.data[name].values if name in network.data.variables else None
        for name in ("lon", "lat")
    ]
    ends = network.terminals
    unknown = np.full(network.size, np.nan)
    x, y = (unknown if values is None else values for values in place)
    return {
        0: channels(network.downstream, *place),
        1: points(x[ends], y[ends]),
        2: scalar(),
    }


def _not_negative(values: np.ndarray) -> None:
    """Raise where a value is below zero."""
    if values.min(initial=0.0) < 0.0:
        raise InputError(
            f"a value set is {values.min():g}: stores and rates of loss are 0 or more"
        )
