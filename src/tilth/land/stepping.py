"""Land columns that are advanced by pieces: what couplings and interfaces hold.

A run of `tilth.land.model` or `tilth.land.emulator` goes through all of its weather.
Whoever must look at the land, or change it, on the way holds its columns here: the
weather is checked and laid out once, the state is plain arrays, and any number of
steps may be taken at a time. The programs are those of the runs: the same steps give
the same numbers, to the last bit.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.core.intervals import steps_of_interval
from tilth.land.emulator import Emulator
from tilth.land.emulator.days import months_of_days
from tilth.land.emulator.ensemble import Ensemble, How, run_members
from tilth.land.emulator.fitted import space_dims, variant_of
from tilth.land.emulator.variants import Forcing
from tilth.land.emulator.weather import find_weather
from tilth.land.model import forcing as weather_of
from tilth.land.model import parameters as parameters_of
from tilth.land.model import state as state_of_model
from tilth.land.model.forcing import Weather
from tilth.land.model.runs import GROUPS, STEPS, advance
from tilth.land.model.settings import Settings
from tilth.land.model.state import State

__all__ = ["EmulatorColumns", "ProcessColumns"]


class ProcessColumns:
    """Columns of the process model, with their weather and parameters.

    Parameters
    ----------
    forcing : xarray.Dataset
        As for `tilth.land.model.run`; held in memory.
    parameters : xarray.Dataset
        Of `tilth.land.model.parameter_dataset`, on the same cells or fewer dimensions.
    settings : Settings, optional
        Choices between processes.
    interval : str
        Over which output is averaged, such as ``"1D"``, or ``"step"``.

    Raises
    ------
    InputError
        If forcing or parameters are not what a run needs.
    """

    def __init__(
        self,
        forcing: xr.Dataset,
        parameters: xr.Dataset,
        settings: Settings | None = None,
        interval: str = "1D",
    ) -> None:
        self.settings = settings or Settings()
        checked = weather_of.check_forcing(forcing).load()
        self.time = checked["time"]
        self.time_step = weather_of.step_length(checked)
        #: Steps of an interval of the output.
        self.per = steps_of_interval(self.time_step, interval)
        #: Dimensions of the cells, which are flattened in this order.
        self.dims: tuple[Hashable, ...] = checked["Tair"].dims[1:]
        self.places = checked["Tair"].isel(time=0, drop=True).reset_coords(drop=True)
        self.latitude, self.longitude = (
            self._flat(checked[name]) for name in ("lat", "lon")
        )
        steps = self.time.size
        columns = {
            n: checked[n].values.reshape(steps, -1) for n in weather_of.VARIABLES
        }
        sun = weather_of.sun_cosine(
            self.time, self.time_step, self.latitude, self.longitude
        )
        fields: list[Any] = [*columns.values(), sun, weather_of.season(self.time)]
        #: Weather of all steps, (step, cell); the season (step, 12).
        self.weather = Weather(*fields)
        self._air = np.ascontiguousarray(columns["Tair"].T).mean(axis=1)
        self._rows = [
            np.moveaxis(self._flat(array), 0, -1)
            for array in parameters_of.parameter_arrays(parameters)
        ]
        #: Parameters with the cells last.
        self.parameters = parameters_of.LandParameters(*self._rows)
        group = GROUPS[0] if self.cells <= GROUPS[0] else GROUPS[1]
        self._groups = [
            np.minimum(np.arange(first, first + group), self.cells - 1)
            for first in range(0, self.cells, group)
        ]
        self._grouped = [
            jax.tree.map(lambda x, i=index: jnp.asarray(x[..., i]), self.parameters)
            for index in self._groups
        ]

    @property
    def cells(self) -> int:
        """Number of columns."""
        return self.latitude.size

    @property
    def intervals(self) -> int:
        """Number of whole intervals of weather."""
        return self.time.size // self.per

    def begin(self, state: xr.Dataset | None = None, *, wetness: float = 0.7) -> State:
        """Return a state as plain arrays that may be written to, cells last.

        Parameters
        ----------
        state : xarray.Dataset, optional
            Of `tilth.land.model.final_state`; without it, soil of the given wetness at
            the mean air temperature of the forcing and no snow.
        wetness : float
            Share of the pores with water where no state is given.

        Returns
        -------
        State
        """
        if state is None:
            start = state_of_model.initial_state(
                jnp.asarray(self.parameters.saturation),
                self._air,
                layers=len(self.settings.layers),
                wetness=wetness,
            )
            return jax.tree.map(lambda x: np.array(x, order="C"), start)
        checked = state_of_model.check_state(state, self.settings.layers)
        arrays = (self._flat(checked[name]) for name in state_of_model.names())
        return State(*(np.array(np.moveaxis(a, 0, -1), order="C") for a in arrays))

    def dataset(self, state: State) -> xr.Dataset:
        """Return a state as the dataset that runs begin with."""
        shape = tuple(self.places.sizes[d] for d in self.dims)
        blocks = state_of_model.to_blocks(state, shape)
        result = xr.Dataset(coords=self.places.coords)
        for name, block in zip(state_of_model.names(), blocks, strict=True):
            dims, units, meaning = state_of_model.VARIABLES[name]
            attrs = {"units": units, "long_name": meaning}
            result[name] = ((*self.dims, *dims), block, attrs)
        thickness = np.asarray(self.settings.layers)
        result["layer_thickness"] = ("layer", thickness, {"units": "m"})
        return result

    def advance(
        self, state: State, weather: Weather
    ) -> tuple[State, dict[str, np.ndarray]]:
        """Advance through whole intervals of weather.

        Parameters
        ----------
        state : State
            Cells last; not changed.
        weather : Weather
            Rows of `weather`, or others like them; see `pieces`.

        Returns
        -------
        State
            At the end, arrays that may be written to.
        dict of str to array
            Keys of `tilth.land.model.output.VARIABLES`; (interval, cell) or
            (interval, layer, cell).
        """
        steps = weather.wind.shape[0]
        count = steps // self.per
        at_once = max(STEPS // self.per, 1)
        ends, series = [], []
        for index, parameters in zip(self._groups, self._grouped, strict=True):
            now = jax.tree.map(lambda x, i=index: jnp.asarray(x[..., i]), state)
            parts: list[dict[str, np.ndarray]] = []
            for first in range(0, count, at_once):
                here = np.arange(first, first + at_once)
                rows = here[:, None] * self.per + np.arange(self.per)
                rows = np.minimum(rows, steps - 1).ravel()
                piece = [
                    jnp.asarray(
                        (
                            field[rows]
                            if k == len(_FIELDS) - 1
                            else field[rows][:, index]
                        ).reshape(at_once, self.per, -1)
                    )
                    for k, field in enumerate(_fields(weather))
                ]
                now, means = advance(
                    now,
                    parameters,
                    Weather(*piece),
                    jnp.asarray(here < count),
                    time_step=self.time_step,
                    settings=self.settings,
                )
                done = min(at_once, count - first)
                parts.append({k: np.asarray(v)[:done] for k, v in means.items()})
            real = np.unique(index).size
            ends.append(jax.tree.map(lambda x, n=real: np.asarray(x)[..., :n], now))
            series.append(
                {k: np.concatenate([p[k] for p in parts])[..., :real] for k in parts[0]}
            )
        new = jax.tree.map(lambda *x: np.concatenate(x, axis=-1), *ends)
        return new, {
            k: np.concatenate([s[k] for s in series], axis=-1) for k in series[0]
        }

    def pieces(self, first: int, last: int) -> Weather:
        """Return the weather of the intervals from `first` to before `last`."""
        rows = slice(first * self.per, last * self.per)
        return Weather(*(field[rows] for field in _fields(self.weather)))

    def _flat(self, array: xr.DataArray) -> np.ndarray:
        """Return an array with its cells in one axis, the first."""
        other = [d for d in array.dims if d not in self.dims]
        try:
            like = xr.align(array, self.places, join="exact", copy=False)[0]
        except ValueError as error:
            raise InputError(
                f"{array.name} and the forcing are not on the same cells: bring them "
                f"to the cells of the forcing first ({error})"
            ) from error
        whole = like.reset_coords(drop=True).expand_dims(
            {d: n for d, n in self.places.sizes.items() if d not in like.dims}
        )
        ordered = whole.transpose(*self.dims, *other).values
        return ordered.reshape(-1, *(array.sizes[d] for d in other))


#: Names of the fields of `Weather`; the season, (step, 12), is the last.
_FIELDS = tuple(Weather.__dataclass_fields__)


def _fields(weather: Weather) -> list[Any]:
    """Return the arrays of a weather in order."""
    return [getattr(weather, name) for name in _FIELDS]


class _Fit(NamedTuple):
    """The arrays of a fit, members first and cells last."""

    parameters: np.ndarray
    share: np.ndarray
    reference: np.ndarray


class EmulatorColumns:
    """Columns of an emulator, with their weather and parameters.

    Parameters
    ----------
    emulator : Emulator
        Of one fit or an ensemble.
    forcing : xarray.Dataset
        As for `Emulator.run`; held in memory.
    dtype : {"float32", "float64"}
        Precision.
    snow_temperatures : (float, float), optional
        As for `Emulator.run`.

    Raises
    ------
    InputError
        If the forcing is not what a run needs.
    """

    def __init__(
        self,
        emulator: Emulator,
        forcing: xr.Dataset,
        *,
        dtype: Any = "float64",
        snow_temperatures: tuple[float, float] | None = None,
    ) -> None:
        fitted = emulator.fitted
        found = find_weather(forcing, snow_temperatures)
        self.emulator = emulator
        self.variant = variant_of(fitted)
        #: Dimensions of the cells, which are flattened in this order.
        self.dims = space_dims(fitted)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype("float32"), np.dtype("float64")):
            raise InputError(f"dtype is float32 or float64, got {self.dtype}")
        #: Unit of time of rain and snowfall, s.
        self.seconds = found.seconds
        self.time = found.fields.rain["time"]
        self.month = months_of_days(self.time)
        self.places = fitted["soil_reference"].reset_coords(drop=True)
        if "member" in self.places.dims:
            self.places = self.places.isel(member=0, drop=True)
        #: Weather of all days, (day, cell).
        self.weather = Forcing(*(self._weather(field) for field in found.fields))
        wide = emulator.members

        def members(name: str) -> np.ndarray:
            array = fitted[name]
            if "member" not in array.dims:
                array = array.expand_dims(member=wide)
            kept = array.values.reshape(*array.shape[: array.ndim - len(self.dims)], -1)
            return np.ascontiguousarray(kept)

        self._fit = _Fit(
            *(members(n) for n in ("parameters", "runoff_share", "soil_reference"))
        )

    @property
    def cells(self) -> int:
        """Number of columns."""
        return self._fit.reference.shape[-1]

    @property
    def reference(self) -> np.ndarray:
        """Soil water that the store is relative to, mm (cell); of the first member."""
        return self._fit.reference[0]

    @property
    def parameters(self) -> np.ndarray:
        """Parameters (parameter, month, cell); of the first member."""
        return self._fit.parameters[0]

    def begin(self, state: xr.DataArray | None = None) -> np.ndarray:
        """Return stores as a plain array that may be written to.

        Parameters
        ----------
        state : xarray.DataArray, optional
            Of an earlier run or `Emulator.initial_state`; empty stores, and soil water
            at its reference, without it.

        Returns
        -------
        numpy.ndarray, shape (member, 4, cell)
            Snow, soil (without its reference), wetland and deep, mm.
        """
        laid_out = self.emulator.start(state)
        shape = (self.emulator.members, 4, self.cells)
        return np.array(laid_out.values.reshape(shape), self.dtype, order="C")

    def advance(
        self, state: np.ndarray, weather: Forcing, first: int, *, threads: int = 1
    ) -> Ensemble:
        """Advance through days of weather.

        Parameters
        ----------
        state : array (member, 4, cell)
            Stores before the first day; not changed.
        weather : Forcing
            Rows of `weather`, or others like them, (day, cell).
        first : int
            Number of the first of the days, for their months.
        threads : int
            Processors.

        Returns
        -------
        Ensemble
            ``mean`` and ``spread``: snow, soil with its reference and wetland in mm at
            the end of the day, runoff and evaporation in kg m-2 s-1; ``state``.
        """
        rows = slice(first, first + weather.rain.shape[0])
        how = How(
            self.variant, self.month[rows], self.time.values[rows], self.seconds, True,
            "kernel", threads,
        )  # fmt: skip
        fields = Forcing(*(np.ascontiguousarray(f, self.dtype) for f in weather))
        return run_members(fields, *self._fit, state, how)

    def pieces(self, first: int, last: int) -> Forcing:
        """Return the weather of the days from `first` to before `last`."""
        return Forcing(*(field[first:last] for field in self.weather))

    def dataset(self, state: np.ndarray) -> xr.DataArray:
        """Return stores as the array that runs begin with."""
        like = self.emulator.start(None)
        values = state.reshape(like.shape)
        full = like.copy(data=values).assign_coords(self.places.coords)
        full = full.assign_coords(store=["snow", "soil", "wetland", "deep"])
        return full if self.emulator.members > 1 else full.isel(member=0, drop=True)

    def _weather(self, field: xr.DataArray) -> np.ndarray:
        """Return a field of the weather as (day, cell)."""
        wanted = {"time", *self.dims}
        if set(field.dims) != wanted:
            raise InputError(
                f"{field.name} has the dimensions {', '.join(map(str, field.dims))}; "
                f"the emulator's are {', '.join(('time', *self.dims))}"
            )
        try:
            xr.align(
                field.isel(time=0, drop=True), self.places, join="exact", copy=False
            )
        except ValueError as error:
            raise InputError(
                "the forcing and the parameters are not on the same cells: bring the "
                f"forcing to the cells of the parameters first ({error})"
            ) from error
        ordered = field.transpose("time", *self.dims).values
        return np.ascontiguousarray(
            ordered.reshape(field.sizes["time"], -1), self.dtype
        )
