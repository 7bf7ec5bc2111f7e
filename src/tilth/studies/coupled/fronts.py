"""The land in front of the rivers: the process model or an emulator, one protocol."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY, WATER_DENSITY, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.land.emulator import Emulator
from tilth.land.emulator.parameters import table
from tilth.land.emulator.variants import NO_SNOW
from tilth.land.model.ledger import stored_water
from tilth.land.model.settings import Settings
from tilth.land.model.state import State
from tilth.land.stepping import EmulatorColumns, ProcessColumns
from tilth.studies.coupled.open_water import open_water_evaporation, weather_arrays

__all__ = ["EmulatorFront", "LandFront", "Outcome", "ProcessFront", "Weather"]

#: Ground that flood water wets from above within an interval, m: the first metre.
_REACHED = 1.0


class Weather(NamedTuple):
    """Weather that a front has laid out for itself.

    Parameters
    ----------
    columns : ProcessColumns or EmulatorColumns
        The weather and parameters.
    time : xarray.DataArray
        Beginnings of the exchange intervals.
    open_water : array (interval, cell) or None
        Evaporation of open water, kg m-2 s-1; none without feedback.
    """

    columns: Any
    time: xr.DataArray
    open_water: np.ndarray | None


class Outcome(NamedTuple):
    """What the land did in intervals.

    Parameters
    ----------
    precipitation, runoff, evaporation : array (interval, cell)
        Means, kg m-2 s-1.
    stored : array (interval, cell)
        All water of each cell at the end of the intervals, kg m-2.
    state : State or array
        At the end of the last.
    """

    precipitation: np.ndarray
    runoff: np.ndarray
    evaporation: np.ndarray
    stored: np.ndarray
    state: Any


class LandFront(Protocol):
    """What the simulator asks of the land."""

    #: For tables and attributes.
    name: str
    #: Whether it makes and loses no water.
    conserves: bool

    def prepare(self, forcing: xr.Dataset, exchange: str, feedback: bool) -> Weather:
        """Check the weather and lay it out for exchange intervals."""

    def begin(self, weather: Weather, state: xr.Dataset | None) -> Any:
        """Return the state to begin with, from a dataset or from nothing."""

    def dataset(self, weather: Weather, state: Any) -> xr.Dataset:
        """Return a state as a dataset."""

    def advance(self, weather: Weather, state: Any, days: range) -> Outcome:
        """Advance through exchange intervals."""

    def stored(self, state: Any) -> np.ndarray:
        """Return all water of each cell, kg m-2."""

    def beyond(
        self, weather: Weather, interval: int, evaporated: np.ndarray
    ) -> np.ndarray:
        """Return what floods evaporate more than the land did, kg m-2 s-1."""

    def room(self, weather: Weather, state: Any, interval: int) -> np.ndarray:
        """Return the water that flooded ground takes in, kg m-2."""

    def fastest(self, weather: Weather) -> np.ndarray:
        """Return how fast flooded ground takes it in at most, kg m-2 s-1."""

    def receive(
        self, weather: Weather, state: Any, interval: int, water: np.ndarray
    ) -> None:
        """Put water, kg m-2, into the ground at an interval's end, in place."""


class ProcessFront:
    """The process model in front.

    Flood water enters the pores of the first metre that hold neither water nor ice, at
    most at the saturated conductivity; what finds no room stands in the wetlands.

    Parameters
    ----------
    parameters : xarray.Dataset
        Of `tilth.land.model.parameter_dataset`.
    settings : Settings, optional
        Choices between processes.
    wetness : float
        Share of the pores with water where no state is given.
    """

    name = "process model"
    conserves = True

    def __init__(
        self,
        parameters: xr.Dataset,
        settings: Settings | None = None,
        *,
        wetness: float = 0.7,
    ) -> None:
        self.parameters = parameters
        self.settings = settings or Settings()
        self.wetness = wetness
        thickness = np.asarray(self.settings.layers)
        top = np.cumsum(thickness) - thickness
        #: Thickness of the layers that flood water reaches, m; 0 below.
        self._reached = np.clip(_REACHED - top, 0.0, thickness)[:, None]
        self._thickness = thickness[:, None]

    def prepare(self, forcing: xr.Dataset, exchange: str, feedback: bool) -> Weather:
        """Check the weather and lay it out; see `LandFront`."""
        columns = ProcessColumns(forcing, self.parameters, self.settings, exchange)
        if columns.intervals * columns.per != columns.time.size:
            raise InputError(
                f"{columns.time.size} steps of forcing are no whole number of exchange "
                f"intervals of {columns.per} steps: give whole intervals"
            )
        time = columns.time[:: columns.per]
        water = None
        if feedback:
            arrays = weather_arrays(forcing, columns.dims)
            water = _open_water(arrays, columns.per)
        return Weather(columns, time, water)

    def begin(self, weather: Weather, state: xr.Dataset | None) -> State:
        """Return the state to begin with; see `LandFront`."""
        return weather.columns.begin(state, wetness=self.wetness)

    def dataset(self, weather: Weather, state: State) -> xr.Dataset:
        """Return a state as a dataset; see `LandFront`."""
        return weather.columns.dataset(state)

    def advance(self, weather: Weather, state: State, days: range) -> Outcome:
        """Advance through exchange intervals; see `LandFront`."""
        columns = weather.columns
        piece = columns.pieces(days.start, days.stop)
        new, means = columns.advance(state, piece)
        new = State(*(np.array(getattr(new, n), order="C") for n in _STATE))
        stored = means["SWE"] + means["CanopInt"] + means["SurfStor"]
        return Outcome(
            precipitation=means["Rainf"] + means["Snowf"],
            runoff=means["Qs"] + means["Qsb"],
            evaporation=means["Evap"],
            stored=stored + means["SoilMoist"].sum(axis=1),
            state=new,
        )

    def stored(self, state: State) -> np.ndarray:
        """Return all water of each cell, kg m-2."""
        return np.asarray(stored_water(state, np.asarray(self.settings.layers)))

    def beyond(
        self, weather: Weather, interval: int, evaporated: np.ndarray
    ) -> np.ndarray:
        """Return what floods evaporate more than the land; see `LandFront`."""
        return _beyond(weather, interval, evaporated)

    def room(self, weather: Weather, state: State, interval: int) -> np.ndarray:
        """Return the water that flooded ground takes in; see `LandFront`."""
        # Frozen ground, or snow, seals the surface.
        open_ground = (state.soil_ice[0] <= 0.0) & (state.snow_mass <= 0.0)
        return np.where(open_ground, self._pores(weather, state).sum(axis=0), 0.0)

    def fastest(self, weather: Weather) -> np.ndarray:
        """Return how fast flooded ground takes it in at most; see `LandFront`."""
        return WATER_DENSITY * weather.columns.parameters.conductivity_saturated

    def receive(
        self, weather: Weather, state: State, interval: int, water: np.ndarray
    ) -> None:
        """Put water into the soil from above, in place; see `LandFront`."""
        left = np.array(water, float)
        for k, room in enumerate(self._pores(weather, state)):
            into = np.minimum(left, room)
            state.soil_water[k] += into / (WATER_DENSITY * self._thickness[k])
            left -= into
        state.wetland[...] += left

    def _pores(self, weather: Weather, state: State) -> np.ndarray:
        """Return the free pores that flood water reaches, kg m-2 (layer, cell)."""
        free = weather.columns.parameters.saturation - state.soil_water
        return WATER_DENSITY * self._reached * np.maximum(free, 0.0)


class EmulatorFront:
    """An emulator in front: one fit, run in double precision.

    Flood water enters the soil store until it is full, while the air is above 0 degC
    and there is no snow; what finds no room stands in the wetlands.

    Parameters
    ----------
    emulator : Emulator
        One fit; of an ensemble take one member, or see `run_members`.
    soil_full : xarray.DataArray, optional
        Water of the imitated soil when all its pores are full, mm, along the cells:
        down to the depth that the emulator was fitted to. Without it the soil counts
        as full where it refuses half of a light rain (``soil_capacity`` of the
        month), which the fit may place anywhere.

    Raises
    ------
    InputError
        If it is an ensemble.
    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        soil_full: xr.DataArray | None = None,
        flood_share: xr.DataArray | None = None,
    ) -> None:
        if emulator.members > 1:
            raise InputError(
                f"the emulator has {emulator.members} members, each with its own "
                "rivers: take one with fitted.isel(member=0), or run_members for all"
            )
        self.emulator = emulator
        variant = str(emulator.fitted.attrs["variant"])
        self.conserves = variant == "closed"
        self.name = f"emulator ({variant})"
        rows = [row.name for row in table(self.conserves)]
        self._capacity = rows.index("soil_capacity")
        self._full = soil_full
        self._share = flood_share

    def prepare(self, forcing: xr.Dataset, exchange: str, feedback: bool) -> Weather:
        """Check the weather and lay it out; see `LandFront`."""
        days = pd.Timedelta(exchange) / pd.Timedelta("1D")
        if days != round(days) or days < 1:
            raise InputError(
                f"exchange={exchange!r} is no whole number of days: the emulator "
                "steps by days"
            )
        columns = EmulatorColumns(self.emulator, forcing)
        if columns.time.size % int(days):
            raise InputError(
                f"{columns.time.size} days of forcing are no whole number of exchange "
                f"intervals of {int(days)} days: give whole intervals"
            )
        water = None
        if feedback:
            water = _open_water(weather_arrays(forcing, columns.dims), int(days))
        return Weather(columns, columns.time[:: int(days)], water)

    def begin(self, weather: Weather, state: xr.Dataset | None) -> np.ndarray:
        """Return the stores to begin with; see `LandFront`."""
        given = None if state is None else state["stores"]
        return weather.columns.begin(given)

    def dataset(self, weather: Weather, state: np.ndarray) -> xr.Dataset:
        """Return stores as a dataset; see `LandFront`."""
        stores = weather.columns.dataset(state)
        attrs = {"units": "kg m-2", "long_name": "stores, soil relative to its mean"}
        return xr.Dataset({"stores": stores.assign_attrs(attrs)})

    def advance(self, weather: Weather, state: np.ndarray, days: range) -> Outcome:
        """Advance through exchange intervals; see `LandFront`."""
        columns = weather.columns
        per = columns.time.size // weather.time.size
        piece = columns.pieces(days.start * per, days.stop * per)
        done = columns.advance(state, piece, days.start * per)
        snow, soil, wetland, runoff, evaporation = done.mean
        wet = (piece.rain + piece.snowfall) / columns.seconds
        if self.conserves:
            # The deep store is not in the output: within a piece the water stored is
            # what the balance leaves, at its end what it is.
            gained = SECONDS_PER_DAY * np.cumsum(wet - runoff - evaporation, axis=0)
            stored = self.stored(state) + gained
            stored[-1] = self.stored(done.state)
        else:
            stored = snow + (soil - columns.reference) + wetland

        def mean(values: np.ndarray) -> np.ndarray:
            return values.reshape(len(days), per, -1).mean(axis=1)

        return Outcome(
            precipitation=mean(wet),
            runoff=mean(runoff),
            evaporation=mean(evaporation),
            stored=stored[per - 1 :: per],
            state=np.array(done.state, order="C"),
        )

    def stored(self, state: np.ndarray) -> np.ndarray:
        """Return all water of each cell, soil relative to its mean, kg m-2."""
        return state[0].sum(axis=0)

    def beyond(
        self, weather: Weather, interval: int, evaporated: np.ndarray
    ) -> np.ndarray:
        """Return what floods evaporate more than the land; see `LandFront`."""
        if self._share is None or weather.open_water is None:
            return _beyond(weather, interval, evaporated)
        columns = weather.columns
        last = (interval + 1) * (columns.time.size // weather.time.size) - 1
        own = self._share.isel(month=int(columns.month[last]), drop=True)
        return weather.open_water[interval] * _on_cells(own, columns)

    def room(self, weather: Weather, state: np.ndarray, interval: int) -> np.ndarray:
        """Return the water that flooded ground takes in; see `LandFront`."""
        columns = weather.columns
        last = (interval + 1) * (columns.time.size // weather.time.size) - 1
        if self._full is not None:
            capacity = _on_cells(self._full, columns) - columns.reference
        else:
            capacity = columns.parameters[self._capacity, columns.month[last]]
        free = np.maximum(capacity - state[0, 1], 0.0)
        thawed = columns.weather.temperature[last] > ZERO_CELSIUS
        return np.where(thawed & (state[0, 0] <= NO_SNOW), free, 0.0)

    def fastest(self, weather: Weather) -> np.ndarray:
        """Return no limit: the emulator knows no conductivity; see `LandFront`."""
        return np.full(weather.columns.cells, np.inf)

    def receive(
        self, weather: Weather, state: np.ndarray, interval: int, water: np.ndarray
    ) -> None:
        """Put water into the soil store, in place; see `LandFront`."""
        into = np.minimum(water, self.room(weather, state, interval))
        state[0, 1] += into
        state[0, 2] += water - into


_STATE = tuple(State.__dataclass_fields__)


def _beyond(weather: Weather, interval: int, evaporated: np.ndarray) -> np.ndarray:
    """Return the evaporation of open water less that of the land, where it is more."""
    if weather.open_water is None:
        return np.zeros_like(evaporated)
    return np.maximum(weather.open_water[interval] - evaporated, 0.0)


def _on_cells(array: xr.DataArray, columns: EmulatorColumns) -> np.ndarray:
    """Return the values of an array in the order of the columns."""
    wide = array.reset_coords(drop=True).broadcast_like(columns.places)
    return wide.transpose(*columns.dims).values.reshape(-1)


def _open_water(arrays: dict[str, np.ndarray], per: int) -> np.ndarray:
    """Return the evaporation of open water in means over intervals of `per` steps."""
    means = [
        values.reshape(values.shape[0] // per, per, -1).mean(axis=1)
        for values in arrays.values()
    ]
    return open_water_evaporation(*means)
