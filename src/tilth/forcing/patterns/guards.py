"""Guards before a training: synchrony, identical series, places and units."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.regrid_cells import latlon_grid
from tilth.forcing.patterns.predictors import Field, Fields, as_fields
from tilth.forcing.patterns.synchrony import TARGETS, spread_out, synchrony_test
from tilth.forcing.patterns.transforms import Transform

__all__ = [
    "check_amounts",
    "check_distinct",
    "check_places",
    "check_training",
    "identical_series",
]

#: A target with fewer days than that is not learnt.
LEAST_DAYS = 50

#: Ratios of units that are met: days and seconds, six-hourly and daily, metres and
#: millimetres, inches, hours, percent.
_FACTORS = (86400.0, 3600.0, 1000.0, 100.0, 25.4, 24.0, 4.0)

#: Mean amounts of a coarse cell and of places in it differ by less than that.
_FAR, _SUSPICIOUS = 10.0, 3.0


def identical_series(data: xr.DataArray) -> list[list[tuple]]:
    """Return groups of places whose series are the same to the last bit.

    Parameters
    ----------
    data : xarray.DataArray
        With ``time`` and dimensions of space. Series that never change, such as those
        of a sea without rain, are not counted.

    Returns
    -------
    list of list of tuple
        Of every group, the labels of its places along the other dimensions.

    Examples
    --------
    >>> rain = xr.DataArray(
    ...     [[1.0, 1.0], [0.0, 0.0]],
    ...     {"place": ["Vancouver", "Amos"]}, ("time", "place"))
    >>> identical_series(rain)
    [[('Vancouver',), ('Amos',)]]
    """
    dims = [dim for dim in data.dims if dim != "time"]
    moved = data.transpose(*dims, "time")
    series = np.ascontiguousarray(moved.values).reshape(-1, data.sizes["time"])
    found: dict[bytes, list[int]] = {}
    for number, row in enumerate(series):
        present = row[np.isfinite(row)]
        if present.size > 1 and (present != present[0]).any():
            found.setdefault(row.tobytes(), []).append(number)
    shape = [data.sizes[dim] for dim in dims]
    labels = [
        data[dim].values if dim in data.coords else np.arange(data.sizes[dim])
        for dim in dims
    ]

    def place(number: int) -> tuple:
        where = np.unravel_index(number, shape)
        return tuple(values[i].item() for values, i in zip(labels, where, strict=True))

    return [[place(n) for n in group] for group in found.values() if len(group) > 1]


def check_distinct(data: xr.DataArray) -> None:
    """Raise if series of different places are the same to the last bit.

    Parameters
    ----------
    data : xarray.DataArray
        With ``time`` and dimensions of space.

    Raises
    ------
    InputError
        If there are such places. Two places have one series where both were cut from
        the same cell of a grid: often one far away, because longitudes from -180 to
        180 were looked up in a grid from 0 to 360 degrees.
    """
    groups = identical_series(data)
    if groups:
        said = " = ".join("/".join(map(str, place)) for place in groups[0][:4])
        raise InputError(
            f"{data.name or 'the array'}: {sum(map(len, groups))} places have the "
            f"series of another to the last bit ({said}): were they cut from a grid "
            "with longitudes of the other convention (-180..180, 0..360), or is one "
            "given twice? Cut them anew, or keep one of each"
        )


def check_places(data: xr.DataArray, lat: np.ndarray, lon: np.ndarray) -> None:
    """Raise if targets lie outside of the grid they are to be learnt from.

    Parameters
    ----------
    data : xarray.DataArray
        Coarse field on a latitude-longitude grid.
    lat, lon : numpy.ndarray, shape (m,)
        Of the targets, degrees; both conventions of longitude are understood.

    Raises
    ------
    InputError
        If a target is more than a cell outside.
    """
    grid = latlon_grid(data)
    south, north = grid.lat.low.min(), grid.lat.high.max()
    west, east = grid.lon.low.min(), grid.lon.high.max()
    margin_lat = (grid.lat.high - grid.lat.low).max()
    margin_lon = (grid.lon.high - grid.lon.low).max()
    middle = (west + east) / 2.0
    near = (lon - middle + 180.0) % 360.0 - 180.0
    outside = (lat < south - margin_lat) | (lat > north + margin_lat)
    outside |= np.abs(near) > (east - west) / 2.0 + margin_lon
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"{outside.sum()} targets lie outside of {data.name or 'the field'}, which "
            f"covers {south:g} to {north:g} degrees north and {west:g} to {east:g} "
            f"degrees east; the first is at {lat[first]:g}, {lon[first]:g}: give "
            "predictors of where the targets are"
        )


def check_amounts(coarse: np.ndarray, local: np.ndarray, units: str) -> str | None:
    """Compare mean amounts that should be alike, and find a wrong unit.

    Parameters
    ----------
    coarse : numpy.ndarray
        Values of the coarse field, said to be in `units`.
    local : numpy.ndarray
        Values observed, in `units`.
    units : str
        For the message.

    Returns
    -------
    str or None
        A warning where they differ by a factor between 3 and 10, which mountains can
        do; None where they are alike.

    Raises
    ------
    InputError
        If they differ by a factor of ten or more; the text names the units that would
        explain it.
    """
    if not (np.isfinite(coarse).any() and np.isfinite(local).any()):
        return None
    first, second = float(np.nanmean(coarse)), float(np.nanmean(local))
    if not (first > 0.0 and second > 0.0):
        return None
    ratio = first / second
    size = max(ratio, 1.0 / ratio)
    if size < _SUSPICIOUS:
        return None
    likely = min(_FACTORS, key=lambda factor: abs(np.log(size / factor)))
    text = (
        f"the coarse field's mean is {first:.3g} {units}, that of the targets "
        f"{second:.3g} {units}; a wrong unit of a factor of {likely:g} would explain "
        "it: check the units of both"
    )
    if size >= _FAR:
        raise InputError(text)
    return text


def check_training(
    fields: list[Field],
    predictors: Fields,
    x: np.ndarray,
    observed: xr.DataArray,
    labels: np.ndarray,
    transform: Transform,
    places: tuple[np.ndarray | None, np.ndarray | None],
    number: np.ndarray,
    windows: list[np.ndarray],
    guards: str,
) -> None:
    """Let every guard look at a training.

    Parameters
    ----------
    fields : list of Field
        The predictors' description.
    predictors : DataArray, Dataset or mapping of str to DataArray
        The predictors.
    x : numpy.ndarray, shape (n, p)
        Their table, on the scale of learning.
    observed : xarray.DataArray, first dimension time
        Targets, in their units.
    labels : numpy.ndarray of int, shape (n,)
        Season of each time.
    transform : Transform
        Of the scale of learning.
    places : tuple of numpy.ndarray
        Latitude and longitude of the targets, or None.
    number : numpy.ndarray of int, shape (m,)
        Window of each target.
    windows : list of numpy.ndarray of int
        Columns of each window.
    guards : {"raise", "warn"}
        Whether a guard that speaks is an error.

    Raises
    ------
    InputError
        If a guard speaks and `guards` is "raise", or is neither of the two.
    """
    if guards not in ("raise", "warn"):
        raise InputError(f'guards is "raise" or "warn", got {guards!r}')
    y = np.asarray(observed.values, float).reshape(len(x), -1)
    steps = (
        lambda: _distinct(x, observed, fields),
        lambda: _inside(fields, predictors, places),
        lambda: _alike(fields, x, y, transform),
        lambda: _synchronous(fields, x, y, labels, transform, number, windows),
    )
    for step in steps:
        try:
            step()
        except InputError as error:
            if guards == "raise":
                raise
            warnings.warn(str(error), UserWarning, stacklevel=4)


def _distinct(x: np.ndarray, observed: xr.DataArray, fields: list[Field]) -> None:
    """Raise if targets, or cells of one field, are the same."""
    check_distinct(observed.rename(f"{observed.name or 'the'} observed"))
    for field, part in zip(fields, _parts(fields, x), strict=True):
        shape = [len(x), *(values.size for values in field.coords.values())]
        cells = xr.DataArray(
            part.reshape(shape), dims=("time", *field.coords), name=field.name
        )
        check_distinct(cells.assign_coords(field.coords))


def _inside(
    fields: list[Field],
    predictors: Fields,
    places: tuple[np.ndarray | None, np.ndarray | None],
) -> None:
    """Raise if targets are not where the fields are."""
    lat, lon = places
    if lat is None or lon is None:
        return
    for field, array in zip(fields, as_fields(predictors).values(), strict=True):
        if len(field.coords) == 2:
            check_places(array, lat, lon)


def _alike(
    fields: list[Field], x: np.ndarray, y: np.ndarray, transform: Transform
) -> None:
    """Raise or warn if amounts of the same quantity are far apart."""
    if transform.name == "none":
        return
    for field, part in zip(fields, _parts(fields, x), strict=True):
        if field.same_quantity:
            said = check_amounts(transform.inverse(part), y, field.units)
            if said:
                warnings.warn(f"{field.name}: {said}", UserWarning, stacklevel=5)


def _synchronous(
    fields: list[Field],
    x: np.ndarray,
    y: np.ndarray,
    labels: np.ndarray,
    transform: Transform,
    number: np.ndarray,
    windows: list[np.ndarray],
) -> None:
    """Raise if no field follows what was observed."""
    around = np.array([windows[n].size > 0 for n in number])
    enough = np.flatnonzero((np.isfinite(y).sum(axis=0) >= LEAST_DAYS) & around)
    if not enough.size:
        return
    enough = enough[spread_out(enough.size, TARGETS)]
    used = [windows[n] for n in number[enough]]
    same = np.repeat(
        [field.same_quantity for field in fields], [f.size for f in fields]
    )
    if same.any():
        used = [at[same[at]] for at in used]
    whole = np.isfinite(x[:, np.unique(np.concatenate(used))]).all(axis=1)
    found = synchrony_test(
        x[whole], transform.forward(y[np.ix_(whole, enough)]), labels[whole], used
    )
    names = ", ".join(f.name for f in fields if f.same_quantity or not same.any())
    if not found.synchronous:
        raise InputError(
            f"{names} does not follow the weather that was observed: correlation "
            f"{found.correlation:.2f}, and seasons paired wrongly reach "
            f"{found.bound:.2f}. A free-running model has no such days: learn from a "
            "reanalysis and bring the model over with `transfer`, or adjust its "
            "distribution only (tilth.forcing.adjust)"
        )
    if found.shifted:
        warnings.warn(
            f"{names} fits what was observed best when it is moved by {found.lag} time "
            "steps: are days of both defined alike (gauges are read in the morning)?",
            UserWarning,
            stacklevel=5,
        )


def _parts(fields: list[Field], x: np.ndarray) -> list[np.ndarray]:
    """Return the columns of each field."""
    ends = np.cumsum([field.size for field in fields])
    return np.split(x, ends[:-1], axis=1)
