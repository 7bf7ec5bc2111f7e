"""The land model and its emulator under the Basic Model Interface.

`ProcessModelBmi` takes the steps of its forcing, `EmulatorBmi` days. Before a step the
inputs hold the weather of the forcing; what is set instead drives that step alone.
States may be set too. Variables answer to their CF standard names, to those of ALMA
and, where there is one, of CSDMS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core import bmi_table
from tilth.core.bmi import Served, TableModel, read_config
from tilth.core.bmi_table import Clock, Grid, Variable
from tilth.core.errors import InputError
from tilth.land.emulator import Emulator
from tilth.land.emulator.fitted import STORES
from tilth.land.emulator.output import VARIABLES as EMULATED
from tilth.land.emulator.variants import Forcing
from tilth.land.emulator.weather import QUANTITIES
from tilth.land.model import forcing as weather_of
from tilth.land.model import output as out
from tilth.land.model import state as state_of_model
from tilth.land.model.forcing import Weather
from tilth.land.model.settings import Settings
from tilth.land.stepping import EmulatorColumns, ProcessColumns

__all__ = ["EmulatorBmi", "ProcessModelBmi"]

#: ALMA name -> CSDMS name of the same quantity in the same units.
_CSDMS = {
    "Tair": "atmosphere_bottom_air__temperature",
    "PSurf": "atmosphere_bottom_air__pressure",
    "Wind": "atmosphere_bottom_air_flow__speed",
    "Rainf": "atmosphere_water__rainfall_mass_flux",
    "Snowf": "atmosphere_water__snowfall_mass_flux",
}

#: Dimension of a state's variables -> number of its grid.
_GRIDS = {"layer": 1, "tile": 2, "snow_layer": 3, "snow_band": 4}


class ProcessModelBmi(TableModel):
    """The process model, step by step.

    Its configuration names ``forcing`` and ``parameters`` (NetCDF, as for
    `tilth.land.model.run`) and may name ``state`` (as `save_state` writes it),
    ``wetness`` and ``settings`` (a table, as `tilth.land.model.Settings`).

    Examples
    --------
    ::

        model = ProcessModelBmi()
        model.initialize("land.yaml")
        while model.get_current_time() < model.get_end_time():
            model.update()
        model.get_value_ptr("surface_runoff_flux")
    """

    component_name = "Tilth land process model"

    def _set_up(self, config_file: str) -> Served:
        config = read_config(
            config_file, ["forcing", "parameters"], ["state", "wetness", "settings"]
        )
        folder = Path(config_file).parent
        settings = _settings(config.get("settings", {}))
        columns = ProcessColumns(
            _opened(folder, config["forcing"]),
            _opened(folder, config["parameters"]),
            settings,
            "step",
        )
        state = _opened(folder, config["state"]) if "state" in config else None
        self._columns = columns
        self._state = columns.begin(state, wetness=config.get("wetness", 0.7))
        self._inputs = {name: np.empty(columns.cells) for name in weather_of.VARIABLES}
        self._load(0)
        layered = (len(settings.layers), columns.cells)
        self._outputs: dict[str, np.ndarray] = {
            name: np.zeros(layered if row.layered else columns.cells)
            for name, row in out.VARIABLES.items()
        }
        return Served(self._table(), self._places(), _clock(columns.time, columns))

    def _table(self) -> dict[str, Variable]:
        """Return inputs, outputs and states."""
        table = {}
        for name, array in self._inputs.items():
            units, low, high, standard = weather_of.VARIABLES[name]
            table[standard] = Variable(
                array, units, "input", 0, _spellings(name),
                _credible(name, low, high, units),
            )  # fmt: skip
        for name, array in self._outputs.items():
            row = out.VARIABLES[name]
            # Rain and snowfall come back in the output: they are inputs already.
            if row.standard_name in table:
                continue
            key = row.standard_name or name
            aliases = (name,) if row.standard_name else ()
            table[key] = Variable(array, row.units, "output", int(row.layered), aliases)
        for name in state_of_model.names():
            dims, units, _ = state_of_model.VARIABLES[name]
            grid = _GRIDS[dims[0]] if dims else 0
            table[f"state_{name}"] = Variable(
                getattr(self._state, name), units, "state", grid
            )
        return table

    def _places(self) -> dict[int, Grid]:
        """Return the cells, and the cells with soil layers, tiles and so on."""
        thickness = np.asarray(self._columns.settings.layers)
        middles = 0.5 * thickness - np.cumsum(thickness)
        levels = {"layer": middles} | {
            name: np.arange(float(size)) for name, size in state_of_model.SIZES.items()
        }
        columns = self._columns
        where = columns.places, columns.latitude, columns.longitude
        grids = {0: _grid(*where)}
        return grids | {n: _grid(*where, levels[name]) for name, n in _GRIDS.items()}

    def _load(self, number: int) -> None:
        """Put the weather of a step into the inputs."""
        row = self._columns.pieces(number, number + 1)
        for array, values in zip(self._inputs.values(), _listed(row), strict=False):
            array[:] = values[0]

    def _step(self, number: int) -> None:
        row = self._columns.pieces(number, number + 1)
        given: list[Any] = [array[None] for array in self._inputs.values()]
        given += [row.cosine_zenith, row.season]
        new, means = self._columns.advance(self._state, Weather(*given))
        for name in state_of_model.names():
            getattr(self._state, name)[...] = getattr(new, name)
        for name, array in self._outputs.items():
            array[...] = means[name][0]
        if number + 1 < self._columns.intervals:
            self._load(number + 1)

    def _close(self) -> None:
        del self._columns, self._state, self._inputs, self._outputs


class EmulatorBmi(TableModel):
    """The emulator, day by day.

    Its configuration names ``emulator`` (as `Emulator.to_netcdf` writes it) and
    ``forcing`` (NetCDF, as for `Emulator.run`), and may name ``state`` (a NetCDF file
    with the ``state`` of an earlier run, or ``initial`` for that of the fit),
    ``precision`` (float32 or float64, the default here) and ``snow_temperatures``.
    Of an ensemble the outputs are means, and ``_spread`` standard deviations.
    """

    component_name = "Tilth land emulator"

    def _set_up(self, config_file: str) -> Served:
        config = read_config(
            config_file,
            ["emulator", "forcing"],
            ["state", "precision", "snow_temperatures"],
        )
        folder = Path(config_file).parent
        emulator = Emulator.open(folder / str(config["emulator"]))
        limits = config.get("snow_temperatures")
        columns = EmulatorColumns(
            emulator,
            _opened(folder, config["forcing"]),
            dtype=config.get("precision", "float64"),
            snow_temperatures=None if limits is None else (limits[0], limits[1]),
        )
        state = None
        if config.get("state") == "initial":
            state = emulator.initial_state()
        elif "state" in config:
            state = _opened(folder, config["state"])["state"]
        self._columns = columns
        start = columns.begin(state)
        self._stores = {
            name: np.ascontiguousarray(start[:, k]) for k, name in enumerate(STORES)
        }
        kind = columns.dtype
        self._inputs = {name: np.empty(columns.cells, kind) for name in QUANTITIES}
        self._load(0)
        names = list(EMULATED)
        if emulator.members > 1:
            names += [f"{name}_spread" for name in EMULATED]
        self._outputs = {name: np.zeros(columns.cells, kind) for name in names}
        places = emulator.fitted.coords
        x, y = (_along(places, name, columns) for name in ("lon", "lat"))
        members = np.arange(float(emulator.members))
        grids = {
            0: _grid(columns.places, y, x),
            1: _grid(columns.places, y, x, members),
        }
        return Served(self._table(), grids, _clock(columns.time, columns))

    def _table(self) -> dict[str, Variable]:
        """Return inputs, outputs and stores."""
        rate = "kg m-2 s-1" if self._columns.seconds == 1.0 else "kg m-2 day-1"
        table = {}
        for name, array in self._inputs.items():
            row = QUANTITIES[name]
            water = name in ("rain", "snowfall")
            factor = self._columns.seconds / 86400.0 if water else 1.0
            units = rate if water else row.units
            table[weather_of.VARIABLES[row.alma][3]] = Variable(
                array, units, "input", 0, (*_spellings(row.alma), name),
                _credible(row.alma, row.low * factor, row.high * factor, units),
            )  # fmt: skip
        for name, array in self._outputs.items():
            base, _, spread = name.partition("_")
            standard = None if spread else EMULATED[base].standard_name
            table[standard or name] = Variable(
                array, EMULATED[base].units, "output", 0, (name,) if standard else ()
            )
        for name, array in self._stores.items():
            table[f"state_{name}"] = Variable(array, "kg m-2", "state", 1)
        return table

    def _load(self, number: int) -> None:
        """Put the weather of a day into the inputs."""
        day = self._columns.pieces(number, number + 1)
        for array, values in zip(self._inputs.values(), day, strict=True):
            array[:] = values[0]

    def _step(self, number: int) -> None:
        day = Forcing(*(array[None] for array in self._inputs.values()))
        state = np.stack(list(self._stores.values()), axis=1)
        done = self._columns.advance(state, day, number)
        for k, array in enumerate(self._stores.values()):
            array[...] = done.state[:, k]
        series = [*done.mean, *done.spread]
        for array, values in zip(self._outputs.values(), series, strict=True):
            array[...] = values[0]
        if number + 1 < self._columns.time.size:
            self._load(number + 1)

    def _close(self) -> None:
        del self._columns, self._stores, self._inputs, self._outputs


def _settings(table: Any) -> Settings:
    """Return the settings of a configuration."""
    known = Settings.__dataclass_fields__
    if not isinstance(table, dict) or set(table) - set(known):
        raise InputError(
            f"settings={table!r} of the land model: give a table with some of "
            f"{', '.join(known)}"
        )
    layers = {"layers": tuple(table["layers"])} if "layers" in table else {}
    return Settings(**(table | layers))


def _opened(folder: Path, name: Any) -> xr.Dataset:
    """Return a NetCDF file beside the configuration, in memory."""
    path = folder / str(name)
    if not path.is_file():
        raise InputError(f"there is no {path}: paths are relative to the configuration")
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return dataset.load()


def _spellings(alma: str) -> tuple[str, ...]:
    """Return the names of an input beside its standard name."""
    return (alma, _CSDMS[alma]) if alma in _CSDMS else (alma,)


def _credible(
    name: str, low: float, high: float, units: str
) -> Callable[[np.ndarray], None]:
    """Return a check that refuses what cannot be weather."""

    def check(values: np.ndarray) -> None:
        worst = values.min() if values.min() < low else values.max()
        if not low <= worst <= high:
            raise InputError(
                f"{name} is set to {worst:g} {units}, credible is {low:g} to {high:g}"
            )

    return check


def _clock(time: xr.DataArray, columns: ProcessColumns | EmulatorColumns) -> Clock:
    """Return the clock of a forcing."""
    start = str(time.values[0]).replace("T", " ")[:19]
    if isinstance(columns, ProcessColumns):
        return Clock(start, columns.time_step, time.size)
    return Clock(start, 86400.0, time.size)


def _listed(weather: Weather) -> list[Any]:
    """Return the fields of a weather in order."""
    return [getattr(weather, name) for name in Weather.__dataclass_fields__]


def _along(coords: Any, name: str, columns: EmulatorColumns) -> np.ndarray | None:
    """Return a coordinate of every cell where it is known."""
    if name not in coords or not set(coords[name].dims) <= set(columns.dims):
        return None
    own = coords[name].reset_coords(drop=True)
    wide = own.broadcast_like(columns.places).transpose(*columns.dims)
    return wide.values.reshape(-1)


def _grid(
    places: xr.DataArray, latitude: Any, longitude: Any, levels: Any = None
) -> Grid:
    """Return the grid of cells: rows and columns where they are such."""
    if latitude is None or longitude is None:
        nowhere = np.full(places.size, np.nan)
        return bmi_table.points(nowhere, nowhere, levels)
    if places.ndim == 2:
        shape = places.shape
        y, x = np.reshape(latitude, shape), np.reshape(longitude, shape)
        if (y == y[:, :1]).all() and (x == x[:1]).all():
            return bmi_table.rectilinear(x[0], y[:, 0], levels)
    return bmi_table.points(longitude, latitude, levels)
