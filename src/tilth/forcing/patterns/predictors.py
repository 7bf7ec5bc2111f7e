"""Predictors: the cells of coarse fields around every target, as columns of a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.core.regrid_cells import latlon_grid
from tilth.forcing.patterns.transforms import Transform
from tilth.forcing.variables import convert_forcing, identify

__all__ = ["Field", "Fields", "as_fields", "describe_fields", "windows_of"]

#: What predictors may be given as.
Fields = xr.DataArray | xr.Dataset | Mapping[str, xr.DataArray]

#: Dimensions that are not of space.
_NOT_SPACE = ("time", "member", "lead")

#: Units of winds, which convert to those of rain.
_SPEEDS = ("m s-1", "m/s", "m s**-1", "m.s-1")

_FULL_CIRCLE = 360.0


@dataclass(frozen=True)
class Field:
    """One coarse field as it was learnt from.

    Parameters
    ----------
    name : str
        Of the field.
    units : str
        In which it is used.
    same_quantity : bool
        Whether it is what is to be downscaled, and so on the same scale.
    coords : dict
        Values of each of its dimensions of space.
    """

    name: str
    units: str
    same_quantity: bool
    coords: dict[Hashable, np.ndarray]

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(np.prod([values.size for values in self.coords.values()]))


def as_fields(predictors: Fields) -> dict[str, xr.DataArray]:
    """Return the fields by name, each with units and a dimension of time.

    Parameters
    ----------
    predictors : DataArray, Dataset or mapping of str to DataArray
        A mapping where grids differ.

    Returns
    -------
    dict of str to xarray.DataArray
        In the order given.

    Raises
    ------
    InputError
        If there is none, or one lacks time or space.
    UnitsError
        If one has no units.
    """
    if isinstance(predictors, xr.DataArray):
        found = {str(predictors.name or "predictor"): predictors}
    elif isinstance(predictors, xr.Dataset):
        found = {str(name): predictors[name] for name in predictors.data_vars}
    else:
        found = {str(name): array for name, array in predictors.items()}
    if not found:
        raise InputError("there is no predictor: give at least one coarse field")
    for name, array in found.items():
        if "time" not in array.dims or not _space(array):
            raise InputError(
                f"the predictor {name} needs time and at least one dimension of "
                f"space, it has {', '.join(map(str, array.dims))}"
            )
        if not array.attrs.get("units"):
            raise UnitsError(
                f"the predictor {name} has no units: set them, for example "
                f"{name}.attrs['units'] = 'mm day-1'; a factor of 86400 that only "
                "one of two sources has would not be seen in any score"
            )
    return found


def describe_fields(predictors: Fields, observed: xr.DataArray) -> list[Field]:
    """Return what the fields are beside what is to be downscaled.

    A field of the same quantity is converted to the units observed, and learnt from on
    the scale of the target. It is known by its name or CF attributes where
    `tilth.forcing.variables` has both, otherwise by units that convert; a speed is no
    rain, although its units do.

    Parameters
    ----------
    predictors : DataArray, Dataset or mapping of str to DataArray
        As for `as_fields`.
    observed : xarray.DataArray
        With units.

    Returns
    -------
    list of Field
        In the order given.
    """
    described = []
    for name, array in as_fields(predictors).items():
        same = _same_quantity(array.rename(name), observed)
        units = str((observed if same else array).attrs["units"])
        coords = {
            dim: np.asarray(array[dim].values)
            if dim in array.coords
            else np.arange(array.sizes[dim])
            for dim in _space(array)
        }
        described.append(Field(name, units, same, coords))
    return described


def _same_quantity(field: xr.DataArray, observed: xr.DataArray) -> bool:
    """Whether a field is what is to be downscaled."""
    units = str(field.attrs["units"])
    try:
        convert_forcing(
            xr.DataArray(0.0, attrs={"units": units}), observed.attrs["units"]
        )
    except UnitsError:
        return False
    try:
        return identify(field).name == identify(observed).name
    except InputError:
        return units not in _SPEEDS


def feature_table(
    predictors: Fields, fields: list[Field], transform: Transform
) -> xr.DataArray:
    """Return the cells of all fields as columns, on the scale they are learnt on.

    Parameters
    ----------
    predictors : DataArray, Dataset or mapping of str to DataArray
        The fields, in any units that convert; in memory or on Dask.
    fields : list of Field
        Which, on what cells and in what units.
    transform : Transform
        For fields of the target's quantity.

    Returns
    -------
    xarray.DataArray
        Dimensions: those of the fields that are not of space, then ``predictor``;
        float64.

    Raises
    ------
    InputError
        If a field is missing or on other cells, or times differ between fields.
    """
    given = as_fields(predictors)
    columns = []
    for field in fields:
        if field.name not in given:
            raise InputError(
                f"the predictor {field.name} was learnt from and is missing; there "
                f"are {', '.join(given)}"
            )
        array = _on_cells(convert_forcing(given[field.name], field.units), field)
        array = array.reset_coords(drop=True).astype(float)
        if field.same_quantity:
            array = xr.apply_ufunc(transform.forward, array, dask="parallelized")
        flat = array.stack(predictor=list(field.coords), create_index=False)
        columns.append(flat.drop_vars(list(field.coords), errors="ignore"))
    try:
        return xr.concat(columns, "predictor", join="exact").transpose(..., "predictor")
    except ValueError as error:
        raise InputError(
            f"the predictors {', '.join(given)} do not share their times or members: "
            "bring them to the same ones first"
        ) from error


def windows_of(
    fields: list[Field],
    predictors: Fields,
    window: int | str,
    lat: np.ndarray | None,
    lon: np.ndarray | None,
    targets: int,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return which columns of the table each target learns from.

    Parameters
    ----------
    fields : list of Field
        Of `describe_fields`.
    predictors : DataArray, Dataset or mapping of str to DataArray
        As for `describe_fields`.
    window : int or "all"
        Cells each side of the nearest one, so that 1 is three by three; moved inwards
        at the border of the grid so that each target has as many, and around the
        globe where the grid is. "all" takes every cell.
    lat, lon : numpy.ndarray, shape (m,), optional
        Of the targets, degrees; needed for a window.
    targets : int
        Their number m.

    Returns
    -------
    numpy.ndarray of int, shape (m,)
        Number of the window of each target.
    list of numpy.ndarray of int
        Columns of each window.

    Raises
    ------
    InputError
        If a window is larger than a grid, or places are needed and not known.
    """
    if window == "all":
        size = sum(field.size for field in fields)
        return np.zeros(targets, int), [np.arange(size)]
    if not isinstance(window, int | np.integer) or window < 0:
        raise InputError(f'window is "all" or a number of cells, got {window!r}')
    if lat is None or lon is None:
        raise InputError(
            "a window needs to know where the targets are: give them coordinates lat "
            'and lon, or take window="all"'
        )
    blocks, start = [], 0
    for field, array in zip(fields, as_fields(predictors).values(), strict=True):
        blocks.append(start + _window_columns(field, array, int(window), lat, lon))
        start += field.size
    columns = np.concatenate(blocks, axis=1)
    unique, number = np.unique(columns, axis=0, return_inverse=True)
    return np.ravel(number), list(unique)


def _window_columns(
    field: Field, array: xr.DataArray, half: int, lat: np.ndarray, lon: np.ndarray
) -> np.ndarray:
    """Return the cells of one field around every target, (m, (2 half + 1) ** 2)."""
    grid = latlon_grid(array)
    width = 2 * half + 1
    if min(grid.shape) < width:
        raise InputError(
            f"a window of {width} by {width} cells does not fit {field.name}, which "
            f"has {grid.shape[0]} by {grid.shape[1]}: take a smaller one or "
            'window="all"'
        )
    rows = np.abs(lat[:, None] - grid.lat.coordinate.values).argmin(axis=1)
    away = (lon[:, None] - grid.lon.coordinate.values + 180.0) % _FULL_CIRCLE - 180.0
    columns = np.abs(away).argmin(axis=1)
    reach = np.arange(-half, half + 1)
    count = grid.shape[1]
    rows = np.clip(rows, half, grid.shape[0] - 1 - half)[:, None] + reach
    around = grid.lon.high.max() - grid.lon.low.min() > _FULL_CIRCLE * (1.0 - 1e-6)
    if not around:
        columns = np.clip(columns, half, count - 1 - half)
    columns = (columns[:, None] + reach) % count
    row, column = np.broadcast_arrays(rows[:, :, None], columns[:, None, :])
    cells = {grid.lat.name: row, grid.lon.name: column}
    shape = tuple(values.size for values in field.coords.values())
    flat = np.ravel_multi_index(tuple(cells[dim] for dim in field.coords), shape)
    return flat.reshape(lat.size, -1)


def _on_cells(array: xr.DataArray, field: Field) -> xr.DataArray:
    """Return the array if it lies on the cells that were learnt from."""
    for dim, values in field.coords.items():
        if dim not in array.dims or array.sizes[dim] != values.size:
            have = ", ".join(f"{name} {size}" for name, size in array.sizes.items())
            raise InputError(
                f"the predictor {field.name} was learnt from with {values.size} "
                f"values of {dim}; it has {have}: bring it to the grid of the "
                "training with `transfer`"
            )
        if dim not in array.coords:
            continue
        own = np.asarray(array[dim].values)
        if values.dtype.kind in "fiu" and own.dtype.kind in "fiu":
            same = np.allclose(own, values, rtol=0.0, atol=1e-4)
        else:
            same = np.array_equal(own, values)
        if not same:
            raise InputError(
                f"the predictor {field.name} lies on other cells than those learnt "
                f"from: {dim} {own[0]} to {own[-1]} instead of {values[0]} to "
                f"{values[-1]}; bring it to the grid of the training with `transfer`"
            )
    return array


def _space(array: xr.DataArray) -> list[Hashable]:
    """Return the dimensions of space."""
    return [dim for dim in array.dims if dim not in _NOT_SPACE]
