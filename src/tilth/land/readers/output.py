"""Forcing and targets for an emulator, out of any land model's output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tilth.core.constants import ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.model import stamp as stamped
from tilth.core.units import convert, parse_units
from tilth.land.cells import stack_cells
from tilth.land.readers.columns import ColumnMap
from tilth.land.readers.days import to_days
from tilth.land.readers.models import column_map
from tilth.land.readers.quantities import (
    KINDS,
    absent,
    checked,
    in_millimetres,
    read_plain,
    take,
    units_of,
)
from tilth.land.readers.shelf import Shelf, Source, listed, open_shelf
from tilth.land.readers.soil import sum_layers

#: The emulator's forcing, in its order.
FORCING = ("rain", "snowfall", "temperature", "humidity", "pressure")

#: What it imitates; the last two where the model has them.
TARGETS = ("snow", "soil", "runoff", "wetland", "evaporation")
_OPTIONAL = ("wetland", "evaporation")

#: Soil water of the emulator reaches this deep where layers have a thickness, m;
#: otherwise it is that of the two topmost layers.
SOIL_DEPTH = 0.4
SOIL_LAYERS = 2


class ModelOutput(NamedTuple):
    """What an emulator is fitted to: weather, and what the model made of it."""

    forcing: xr.Dataset
    targets: xr.Dataset


def read_land_model(
    sources: Source | Sequence[Source],
    model: str | os.PathLike[str] | ColumnMap | Mapping[str, Any],
    *,
    soil_depth: float | None = None,
    soil_layers: int | None = None,
    cells: Any = None,
    chunks: Mapping[str, int] | None = None,
) -> ModelOutput:
    """Read a land model's output as an emulator's forcing and targets.

    Parameters
    ----------
    sources : path, Dataset or sequence of them
        NetCDF files and Zarr stores, or what was opened before: output, and the
        forcing where it is apart.
    model : str, path, mapping or ColumnMap
        How the model names things; see `tilth.land.readers.models.column_map`.
    soil_depth : float, optional
        Soil water down to this depth, m; a layer across it counts by its part. By
        default 0.4 m where the layers' thickness is known.
    soil_layers : int, optional
        Soil water of this many topmost layers instead.
    cells : slice or sequence of int, optional
        Positions of the cells to take; by default every cell with values.
    chunks : mapping of str to int, optional
        Blocks for Dask.

    Returns
    -------
    ModelOutput
        ``forcing`` with rain and snowfall (mm day-1), temperature (K), humidity
        (kg kg-1) and pressure (Pa); ``targets`` with snow, soil (mm), runoff (mm
        day-1) and, where there are, wetland (mm) and evaporation (mm day-1). Both
        along the same ``time`` (days) and ``cell``.

    Raises
    ------
    InputError
        If a variable is absent, out of range or not daily; the text says which, and
        what the files hold.
    UnitsError
        If units are absent or mean something else.
    """
    columns = column_map(model)
    shelf = open_shelf(sources, chunks)
    forcing = _forcing(shelf, columns)
    targets = _targets(shelf, columns, soil_depth, soil_layers)
    merged = _together({**forcing, **targets}, cells)
    what = f"read as {columns.name} output"
    files = [s for s in listed(sources) if not isinstance(s, xr.Dataset)]
    files = [file for file in files if os.path.isfile(file)]
    return ModelOutput(
        stamped(merged[list(FORCING)], what, files),
        stamped(merged[[n for n in TARGETS if n in merged]], what, files),
    )


def read_forcing(
    sources: Source | Sequence[Source],
    model: str | os.PathLike[str] | ColumnMap | Mapping[str, Any],
    *,
    cells: Any = None,
    chunks: Mapping[str, int] | None = None,
) -> xr.Dataset:
    """Read the weather alone, to run an emulator that was fitted before.

    Parameters
    ----------
    sources, model, cells, chunks
        As for `read_land_model`.

    Returns
    -------
    xarray.Dataset
        The ``forcing`` that `read_land_model` returns.

    Raises
    ------
    InputError
        As `read_land_model`.
    """
    columns = column_map(model)
    forcing = _together(_forcing(open_shelf(sources, chunks), columns), cells)
    return stamped(forcing, f"forcing read as {columns.name} output")


def _forcing(shelf: Shelf, columns: ColumnMap) -> dict[str, xr.DataArray]:
    """Return the five fields of the weather, derived where they must be."""
    temperature = read_plain(shelf, columns, "temperature")
    if temperature is None:
        raise absent(shelf, columns, ["temperature"])
    pressure = read_plain(shelf, columns, "pressure")
    if pressure is None:
        raise absent(shelf, columns, ["pressure"])
    rain, snowfall = _phases(shelf, columns, temperature)
    humidity = _humidity(shelf, columns, temperature, pressure)
    values = (rain, snowfall, temperature, humidity, pressure)
    return {
        name: field.assign_attrs(units=KINDS[name].units).rename(name)
        for name, field in zip(FORCING, values, strict=True)
    }


def _phases(
    shelf: Shelf, columns: ColumnMap, temperature: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return rain and snowfall: as they are, as a difference, or by temperature."""
    shelf = _beside(shelf, columns, ("rain", "snowfall"))
    rain = read_plain(shelf, columns, "rain")
    snowfall = read_plain(shelf, columns, "snowfall")
    if rain is not None and snowfall is not None:
        return rain, snowfall
    both = read_plain(shelf, columns, "precipitation")
    if both is None:
        lacking = "rain" if rain is None else "snowfall"
        raise absent(shelf, columns, [lacking, "precipitation"])
    if snowfall is not None:
        return (both - snowfall).clip(min=0.0), snowfall
    if rain is not None:
        return rain, (both - rain).clip(min=0.0)
    if columns.snow_temperatures is None:
        raise InputError(
            "the files hold precipitation, but neither rain nor snowfall: say in the "
            "column map between which air temperatures (degC) they part, such as "
            "snow_temperatures: [-0.5, 0.5]"
        )
    low, high = (t + ZERO_CELSIUS for t in columns.snow_temperatures)
    if high > low:
        share = ((high - temperature) / (high - low)).clip(0.0, 1.0)
    else:
        share = (temperature <= low).astype(float)
    both, share = xr.align(both, share, join="inner")
    return both * (1.0 - share), both * share


def _beside(shelf: Shelf, columns: ColumnMap, quantities: Sequence[str]) -> Shelf:
    """Return the first file that holds all of these, or else all files.

    The rain of a forcing file may be all precipitation, that of the output beside it
    the rain alone.
    """
    for part in shelf.parts:
        one = Shelf([part])
        if all(take(one, columns, quantity) for quantity in quantities):
            return one
    return shelf


def _humidity(
    shelf: Shelf,
    columns: ColumnMap,
    temperature: xr.DataArray,
    pressure: xr.DataArray,
) -> xr.DataArray:
    """Return specific humidity, from whichever measure of vapour there is."""
    humidity = read_plain(shelf, columns, "humidity")
    if humidity is not None:
        return humidity
    vapour = read_plain(shelf, columns, "vapour_pressure")
    if vapour is None:
        vapour = _vapour_pressure(shelf, columns, temperature)
    vapour, pressure = xr.align(vapour, pressure, join="inner")
    ratio = 0.622 * vapour / (pressure - 0.378 * vapour)
    return checked(ratio, "humidity", str(vapour.name))


def _vapour_pressure(
    shelf: Shelf, columns: ColumnMap, temperature: xr.DataArray
) -> xr.DataArray:
    """Return the vapour pressure from dew point, relative humidity or deficit, Pa."""
    dewpoint = read_plain(shelf, columns, "dewpoint")
    if dewpoint is not None:
        return _saturation(dewpoint).rename("dewpoint")
    relative = read_plain(shelf, columns, "relative_humidity")
    if relative is not None:
        relative, warm = xr.align(relative, temperature, join="inner")
        return (relative * _saturation(warm)).rename("relative_humidity")
    deficit = read_plain(shelf, columns, "vapour_pressure_deficit")
    if deficit is not None:
        deficit, warm = xr.align(deficit, temperature, join="inner")
        vapour = (_saturation(warm) - deficit).clip(min=0.0)
        return vapour.rename("vapour_pressure_deficit")
    ways = ["humidity", "vapour_pressure", "dewpoint", "relative_humidity"]
    raise absent(shelf, columns, ways)


def _saturation(temperature: xr.DataArray) -> xr.DataArray:
    """Saturation vapour pressure over water, Pa (Bolton 1980, eq. 10)."""
    celsius = temperature - ZERO_CELSIUS
    exponent = 17.67 * celsius / (celsius + 243.5)
    return exponent.copy(data=611.2 * np.exp(exponent.data))


def _targets(
    shelf: Shelf, columns: ColumnMap, depth: float | None, layers: int | None
) -> dict[str, xr.DataArray]:
    """Return what is imitated."""
    targets = {}
    for name in TARGETS:
        if name == "soil":
            found = _soil(shelf, columns, depth, layers)
        else:
            plain = read_plain(shelf, columns, name)
            if plain is None:
                if name in _OPTIONAL:
                    continue
                raise absent(shelf, columns, [name])
            found = plain
        targets[name] = found
    return targets


def _soil(
    shelf: Shelf, columns: ColumnMap, depth: float | None, count: int | None
) -> xr.DataArray:
    """Return the soil water of the layers asked for."""
    if depth is not None and count is not None:
        raise InputError("say soil_depth or soil_layers, not both")
    taken = take(shelf, columns, "soil")
    if taken is None:
        raise absent(shelf, columns, ["soil"])
    variables, column = taken
    layers = _layered(variables)
    dim = _layer_dimension(layers, columns)
    for number in columns.missing:
        layers = layers.where(np.abs(layers - number) > 1e-6 * abs(number))
    units = units_of(variables[0], column)
    volumetric = _is_share(units)
    if volumetric:
        layers = convert(layers.assign_attrs(units=units), "1")
    else:
        layers = in_millimetres(layers, units, "mm")
    if depth is None and count is None:
        if columns.thickness is not None:
            depth = SOIL_DEPTH
        else:
            count = SOIL_LAYERS
    total = sum_layers(
        layers * column.scale,
        dim,
        volumetric=volumetric,
        thickness=columns.thickness,
        depth=depth,
        count=count,
    )
    daily = to_days(total, columns.stamp, state=KINDS["soil"].state)
    soil = checked(daily, "soil", "+".join(column.variables))
    soil.attrs["soil_depth" if depth else "soil_layers"] = depth or count
    return soil


def _is_share(units: str) -> bool:
    """Tell whether units are m3 m-3 or another share."""
    return not dict(parse_units(units).dimensionality)


def _layered(variables: Sequence[xr.DataArray]) -> xr.DataArray:
    """Return the layers along one dimension, from one variable or from several."""
    if len(variables) == 1:
        return variables[0].astype(float)
    together = xr.concat(
        [variable.astype(float) for variable in variables],
        dim="soil_layer",
        coords="minimal",
        compat="override",
        join="exact",
    )
    return together.assign_attrs(variables[0].attrs)


#: Parts of the names of layer dimensions in the wild.
_LAYER = ("soil", "layer", "nlev", "depth", "level", "lev", "z")


def _layer_dimension(layers: xr.DataArray, columns: ColumnMap) -> str:
    """Return the dimension of the soil layers."""
    other = [str(dim) for dim in layers.dims if dim != "time"]
    named = [dim for dim in other if any(part in dim.lower() for part in _LAYER)]
    if len(named) == 1:
        return named[0]
    raise InputError(
        f"{layers.name} has the dimensions {', '.join(map(str, layers.dims))}: which "
        "one are the soil layers? Rename it to soil_layer"
    )


def _together(fields: Mapping[str, xr.DataArray], cells: Any) -> xr.Dataset:
    """Return all fields along the same days and cells."""
    stacked = {name: stack_cells(field) for name, field in fields.items()}
    counts = {name: field.sizes["cell"] for name, field in stacked.items()}
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"the files do not have the same cells: {text}")
    first = next(iter(stacked.values()))
    for name, field in stacked.items():
        for place in ("lat", "lon"):
            if place in field.coords and place in first.coords:
                apart = np.abs(field[place].values - first[place].values)
                if (apart > 1e-3).any():
                    raise InputError(
                        f"the cells of {name} lie elsewhere: {place} differs by up to "
                        f"{apart.max():g} degrees"
                    )
        extra = [c for c in field.coords if c not in ("time",)]
        stacked[name] = field.drop_vars(extra)
    places = {c: first[c] for c in first.coords if c != "time"}
    try:
        aligned = xr.align(*stacked.values(), join="inner")
    except (TypeError, ValueError) as error:
        raise InputError(f"the files do not share a calendar: {error}") from error
    if not aligned[0].sizes["time"]:
        spans = ", ".join(
            f"{name} {_day(f, 0)} to {_day(f, -1)}" for name, f in stacked.items()
        )
        raise InputError(f"the files have no day in common: {spans}")
    merged = xr.Dataset(dict(zip(stacked, aligned, strict=True))).assign_coords(places)
    if cells is not None:
        return _chosen(merged, cells)
    some = np.ones(merged.sizes["cell"], bool)
    for field in merged.data_vars.values():
        some &= field.notnull().any("time").values
    if not some.any():
        raise InputError("no cell has values of every quantity")
    return merged if some.all() else merged.isel(cell=some)


def _day(field: xr.DataArray, i: int) -> str:
    """Return a day as text."""
    return str(field["time"].values[i])[:10]


def _chosen(data: xr.Dataset, cells: Any) -> xr.Dataset:
    """Return the cells asked for, by position."""
    chosen = cells if isinstance(cells, slice) else np.asarray(cells, int)
    try:
        return data.isel(cell=chosen)
    except IndexError:
        raise InputError(
            f"there are {data.sizes['cell']} cells, 0 to {data.sizes['cell'] - 1}; "
            f"asked for {cells}"
        ) from None
