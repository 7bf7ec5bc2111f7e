"""Runs of the land model: a site, sites or a grid, from forcing to output and state.

`advance` is the model as a pure function of arrays, for gradients and other loops.
`run` takes datasets: it checks the forcing, steps through time in blocks, so that long
runs fit in memory, and leaves what is on Dask to Dask, block by block of cells.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.core.intervals import steps_of_interval
from tilth.core.model import stamp
from tilth.core.parallel import apply_kernel
from tilth.core.progress import progress
from tilth.land.model import forcing as weather_of
from tilth.land.model import output as out
from tilth.land.model import parameters as parameters_of
from tilth.land.model import state as state_of_model
from tilth.land.model.forcing import Weather
from tilth.land.model.parameters import LandParameters
from tilth.land.model.settings import Settings
from tilth.land.model.state import State
from tilth.land.model.step import step

#: Steps that are handed to the compiled loop at a time: eight days of half hours. A
#: shorter run is filled up to that many, which costs little; more are not faster.
STEPS = 384

#: Cells are computed in groups of one size, the last filled up: so there is one
#: compiled program for all blocks, and a cell is computed alike wherever it is. More
#: than 64 at a time are not faster on a processor; a few sites need less.
GROUPS = (8, 64)

#: Prefix of the state's variables in a run's result.
_PREFIX = "state_"


@functools.partial(jax.jit, static_argnames=("time_step", "settings"))
def advance(
    state: State,
    parameters: LandParameters,
    weather: Weather,
    active: Any,
    *,
    time_step: float,
    settings: Settings,
) -> tuple[State, dict[str, Any]]:
    """Advance land columns through output intervals: compiled, differentiable.

    Parameters
    ----------
    state : State
        Arrays of n cells.
    parameters : LandParameters
        Arrays of n cells.
    weather : Weather
        ``(interval, step, n)``, the season ``(interval, step, 12)``.
    active : array of bool (interval,)
        Intervals to be computed; others leave the state as it is.
    time_step : float
        In s.
    settings : Settings
        Choices between processes.

    Returns
    -------
    State
        At the end.
    dict of str to array
        By the names of `tilth.land.model.output.VARIABLES`, ``(interval, n)`` or
        ``(interval, layer, n)``.

    Examples
    --------
    The gradient of the evaporation of a run with respect to all parameters::

        def evaporation(parameters):
            _, means = advance(state, parameters, weather, active, ...)
            return means["Evap"].sum()

        jax.grad(evaporation)(parameters)
    """
    names = tuple(out.VARIABLES)

    def one(state: State, now: Weather) -> tuple[State, dict[str, Any]]:
        new, fluxes = step(state, parameters, now, time_step, settings)
        return new, out.collect(new, fluxes, now, parameters, settings)

    shapes = jax.eval_shape(one, state, jax.tree.map(lambda x: x[0, 0], weather))[1]
    nothing = {name: jnp.zeros(s.shape, s.dtype) for name, s in shapes.items()}

    def gather(carry: tuple[State, dict], now: Weather) -> tuple[tuple, None]:
        state, sums = carry
        new, values = one(state, now)
        return (new, {k: out.combine(k, sums[k], values[k]) for k in names}), None

    @jax.checkpoint
    def interval(state: State, inputs: tuple[Weather, Any]) -> tuple[State, dict]:
        steps, wanted = inputs

        def go(state: State) -> tuple[State, dict]:
            (new, sums), _ = jax.lax.scan(gather, (state, nothing), steps)
            count = steps.wind.shape[0]
            return new, {k: out.finish(k, sums[k], count) for k in names}

        return jax.lax.cond(wanted, go, lambda state: (state, nothing), state)

    return jax.lax.scan(interval, state, (weather, active))


def run(
    forcing: xr.Dataset,
    parameters: xr.Dataset,
    state: xr.Dataset | None = None,
    *,
    settings: Settings | None = None,
    wetness: float = 0.7,
    output: str = "1D",
    variables: Sequence[str] | None = None,
) -> xr.Dataset:
    """Run the land model.

    Parameters
    ----------
    forcing : xarray.Dataset
        ALMA variables over ``time`` and any cell dimensions, with ``lat`` and ``lon``;
        see `tilth.land.model.forcing`. On Dask the result is lazy: one chunk of cells
        is one task with all of its time.
    parameters : xarray.Dataset
        Of `parameter_dataset`, over the same cells or fewer dimensions.
    state : xarray.Dataset, optional
        Of `final_state` or `open_state`, where the run begins. Without it, soil of
        the given wetness at the mean air temperature of the forcing and no snow: to
        spin up from.
    settings : Settings, optional
        Choices between processes.
    wetness : float, default 0.7
        Share of the pores with water where no state is given. Deep soil takes decades
        to fill: begin wet (0.95) where the water table is near.
    output : str, default "1D"
        ``"step"`` or an output interval such as ``"3h"``.
    variables : sequence of str, optional
        Keys of `tilth.land.model.output.VARIABLES`; all by default.

    Returns
    -------
    xarray.Dataset
        Output over ``time`` (beginning of the interval) and the state at the end; take
        it out with `final_state`. The result of a cell does not depend on the cells
        beside it, nor on the chunks.

    Raises
    ------
    InputError
        If forcing, parameters or state are not what a run needs; on Dask, as
        `KernelError` when computed, if values are not.

    References
    ----------
    Takata, Emori & Watanabe (2003), Glob. Planet. Change 38, 209-222; Nitta et al.
    (2020), Prog. Earth Planet. Sci. 7, 68.
    """
    settings = settings or Settings()
    if not 0.0 < wetness <= 1.0:
        raise InputError(f"wetness={wetness} is no share of the pores: 0 to 1")
    names = tuple(variables) if variables is not None else tuple(out.VARIABLES)
    unknown = [name for name in names if name not in out.VARIABLES]
    if unknown:
        raise InputError(
            f"no output variable {', '.join(unknown)}; there are "
            f"{', '.join(out.VARIABLES)}"
        )
    checked = weather_of.check_forcing(forcing)
    time_step = weather_of.step_length(checked)
    per = steps_of_interval(time_step, output)
    count = checked.sizes["time"] // per
    if count * per != checked.sizes["time"]:
        raise InputError(
            f"{checked.sizes['time']} steps of forcing are no whole number of output "
            f"intervals of {per} steps: give whole intervals, or output='step'"
        )
    cells = _cell_dims(checked, parameters, state)
    sizes = {**(state.sizes if state else {}), **parameters.sizes, **checked.sizes}
    total = int(np.prod([sizes[d] for d in cells], dtype=int))
    driving = [checked[name] for name in weather_of.VARIABLES]
    places = [_as_cells(checked[name], checked) for name in ("lat", "lon")]
    numbers = parameters_of.parameter_arrays(parameters)
    begun = _state_arrays(state, settings)

    outputs = [
        ("period", "layer") if out.VARIABLES[n].layered else ("period",) for n in names
    ]
    kept = [state_of_model.VARIABLES[n][0] for n in state_of_model.names()]
    results = apply_kernel(
        _kernel,
        *driving,
        *places,
        *numbers,
        *begun,
        core_dims=[
            *[["time"]] * len(driving),
            *[[]] * len(places),
            *[[str(d) for d in a.dims if d not in cells] for a in numbers],
            *[[str(d) for d in a.dims if d not in cells] for a in begun],
        ],
        output_dims=[*outputs, *kept],
        output_dtypes=[float] * (len(outputs) + len(kept)),
        output_sizes={
            "period": count,
            "layer": len(settings.layers),
            **state_of_model.SIZES,
        },
        options={
            "time": checked["time"],
            "time_step": time_step,
            "per": per,
            "settings": settings,
            "names": names,
            "inputs": (len(driving), len(numbers)),
            "wetness": wetness,
            "group": GROUPS[0] if total <= GROUPS[0] else GROUPS[1],
        },
    )
    return _dataset(results, names, checked, settings, per, output)


def final_state(result: xr.Dataset) -> xr.Dataset:
    """Return the state at the end of a run, where the next one may begin.

    Parameters
    ----------
    result : xarray.Dataset
        Of `run`.

    Returns
    -------
    xarray.Dataset
        For `run` or `save_state`.
    """
    names = state_of_model.names()
    taken = result[[_PREFIX + name for name in names] + ["layer_thickness"]]
    taken = taken.rename({_PREFIX + name: name for name in names})
    taken.attrs = {"title": "state of the land model", "date": result.attrs["end"]}
    return taken.drop_vars("time", errors="ignore")


def _cell_dims(*datasets: xr.Dataset | None) -> tuple[Hashable, ...]:
    """Return the dimensions of the cells, in the order they are met."""
    model = {"time", "layer", *parameters_of.DIMENSIONS, *state_of_model.SIZES}
    found: dict[Hashable, None] = {}
    for dataset in datasets:
        for variable in dataset.data_vars.values() if dataset is not None else ():
            found |= dict.fromkeys(d for d in variable.dims if d not in model)
    return tuple(found)


def _as_cells(coordinate: xr.DataArray, forcing: xr.Dataset) -> xr.DataArray:
    """Return a coordinate as an array like the others: of cells."""
    array = coordinate.reset_coords(drop=True)
    return array.assign_coords(
        {d: forcing[d] for d in array.dims if d in forcing.coords}
    )


def _state_arrays(state: xr.Dataset | None, settings: Settings) -> list[xr.DataArray]:
    """Return the state to begin with, in the order of `State`; nothing without one."""
    if state is None:
        return []
    checked = state_of_model.check_state(state, settings.layers)
    return [checked[n].reset_coords(drop=True) for n in state_of_model.names()]


def _kernel(
    *blocks: np.ndarray,
    time: xr.DataArray,
    time_step: float,
    per: int,
    settings: Settings,
    names: tuple[str, ...],
    inputs: tuple[int, int],
    group: int,
    wetness: float,
) -> tuple[np.ndarray, ...]:
    """Run a block of cells through all of its time; cells first, time last."""
    shape = blocks[inputs[0]].shape  # of the latitudes: the cells and nothing else
    loops = len(shape)
    cells = int(np.prod(shape))
    results = {
        name: np.empty((cells, time.size // per, *_layers(name, settings)))
        for name in names
    }
    ended: list[list[np.ndarray]] = []
    at_once = max(STEPS // per, 1)
    parts = -(-cells // group) * -(-(time.size // per) // at_once)
    with progress("land model", total=parts) as work:
        for first in range(0, cells, group):
            index = np.minimum(np.arange(first, first + group), cells - 1)
            rows = slice(first, min(first + group, cells))
            block = [b.reshape(cells, *b.shape[loops:])[index] for b in blocks]
            state = _walk(
                block, time, time_step, per, settings, inputs, results, rows, wetness,
                work.advance,
            )  # fmt: skip
            state = jax.tree.map(lambda x, n=rows.stop - first: x[..., :n], state)
            ended.append(state_of_model.to_blocks(state, (rows.stop - first,)))
    kept = (np.concatenate(parts) for parts in zip(*ended, strict=True))
    return tuple(
        array.reshape((*shape, *array.shape[1:]))
        for array in (*results.values(), *kept)
    )


def _layers(name: str, settings: Settings) -> tuple[int, ...]:
    """Return the shape of an output variable behind cells and time."""
    return (len(settings.layers),) if out.VARIABLES[name].layered else ()


def _walk(
    block: list[np.ndarray],
    time: xr.DataArray,
    time_step: float,
    per: int,
    settings: Settings,
    inputs: tuple[int, int],
    results: dict[str, np.ndarray],
    rows: slice,
    wetness: float,
    advance_bar: Callable[[], None],
) -> State:
    """Run one group of cells, fill its rows of the results, return its state."""
    driving, numbers = inputs
    values, rest = block[:driving], block[driving + 2 :]
    latitude, longitude = block[driving : driving + 2]
    parameters = parameters_of.from_blocks(rest[:numbers], 1)
    if rest[numbers:]:
        state = state_of_model.from_blocks(rest[numbers:], 1)
    else:
        air = values[list(weather_of.VARIABLES).index("Tair")].mean(axis=1)
        state = state_of_model.initial_state(
            parameters.saturation, air, layers=len(settings.layers), wetness=wetness
        )
    count = time.size // per
    at_once = max(STEPS // per, 1)
    for first in range(0, count, at_once):
        here = np.arange(first, first + at_once)
        steps = np.minimum(here[:, None] * per + np.arange(per), time.size - 1).ravel()
        moments = time[steps]
        fields = [
            *(np.ascontiguousarray(value[:, steps].T) for value in values),
            weather_of.sun_cosine(moments, time_step, latitude, longitude),
            weather_of.season(moments),
        ]
        weather = Weather(
            *(jnp.asarray(f.reshape(at_once, per, *f.shape[1:])) for f in fields)
        )
        state, means = advance(
            state,
            parameters,
            weather,
            jnp.asarray(here < count),
            time_step=time_step,
            settings=settings,
        )
        done = min(at_once, count - first)
        for name, result in results.items():
            part = np.moveaxis(np.asarray(means[name])[:done], -1, 0)
            result[rows, first : first + done] = part[: rows.stop - rows.start]
        advance_bar()
    return state


def _dataset(
    results: Any,
    names: tuple[str, ...],
    forcing: xr.Dataset,
    settings: Settings,
    per: int,
    output: str,
) -> xr.Dataset:
    """Return the result of a run with its coordinates and attributes."""
    variables = {}
    for name, array in zip(names, results, strict=False):
        variables[name] = array.rename(period="time").assign_attrs(
            out.VARIABLES[name].attributes
        )
    for name, array in zip(state_of_model.names(), results[len(names) :], strict=True):
        _, units, meaning = state_of_model.VARIABLES[name]
        variables[_PREFIX + name] = array.assign_attrs(units=units, long_name=meaning)
    result = xr.Dataset(variables).assign_coords(
        time=forcing["time"][::per], lat=forcing["lat"], lon=forcing["lon"]
    )
    result["layer_thickness"] = (
        "layer",
        np.asarray(settings.layers),
        {"units": "m", "long_name": "thickness of the soil layers"},
    )
    result["time"].attrs["long_name"] = "beginning of the interval, UTC"
    result.attrs["end"] = str(weather_of.end_time(forcing))
    return stamp(result, f"land model, {settings}, output={output!r}")
