"""Forecasts and observations as files hold them, laid out for their scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

#: What numbers without units say of them, or nothing.
_WITHOUT_UNITS = {None, "", "1", "unitless", "dimensionless"}

#: Degrees that are the rounding of coordinates, 10 m on the ground.
_SAME_DEGREE = 1e-4

#: What becomes of days that a forecast has learnt from.
TRAINING_DAYS = ("refuse", "drop", "keep")


def read_forecast(path: Path, variable: str | None, units: str | None) -> xr.DataArray:
    """Read forecasts along start, lead, member and places.

    Parameters
    ----------
    path : path
        NetCDF or Zarr, under the names of dimensions that `as_forecast` knows. Where
        none is the start, it is ``time``; a run along ``time`` alone is taken for
        forecasts of lead zero, and one without members for one of a single member.
    variable : str, optional
        To take; by default the only one.
    units : str, optional
        Where the file names none.

    Returns
    -------
    xarray.DataArray
        Dimensions (start, lead, member, ...).

    Raises
    ------
    InputError
        If the file cannot be read, or does not say when forecasts start.
    """
    from tilth.core.errors import InputError
    from tilth.forcing.s2s.layout import as_forecast, forecast_names

    data = _variable(path, variable, units)
    names, given = forecast_names(data), {}
    if names["start"] is None:
        if "time" not in data.dims:
            raise InputError(
                f"{path} does not say when forecasts start: it has the dimensions "
                f"{', '.join(map(str, data.dims))}; rename one to start"
            )
        given["start"] = "time"
    if names["lead"] is None:
        data = data.expand_dims(lead=[0.0])
    data = as_forecast(data, given).drop_vars("member", errors="ignore")
    return data.transpose("start", "lead", "member", ...)


def read_observed(path: Path, variable: str | None, units: str | None) -> xr.DataArray:
    """Read daily observations along time and places.

    Parameters
    ----------
    path : path
        NetCDF or Zarr.
    variable : str, optional
        To take; by default the only one.
    units : str, optional
        Where the file names none.

    Returns
    -------
    xarray.DataArray
        Dimensions (time, ...).

    Raises
    ------
    InputError
        If the file cannot be read or has no time.
    """
    from tilth.core.errors import InputError

    data = _variable(path, variable, units)
    if "time" not in data.dims:
        raise InputError(
            f"{path} needs observations along time; it has "
            f"{', '.join(map(str, data.dims))}"
        )
    # Archives mark gaps by values without a date.
    dated = data["time"].notnull().values
    return data.isel(time=dated.nonzero()[0]).transpose("time", ...)


def at_common_places(
    forecast: xr.DataArray, observed: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both at the places that they share, in the same units.

    Parameters
    ----------
    forecast : xarray.DataArray
        Of `read_forecast`.
    observed : xarray.DataArray
        Of `read_observed`, or of `read_forecast`.

    Returns
    -------
    xarray.DataArray, xarray.DataArray
        With all dimensions of places as one, ``site``, in the units of the second.
        Longitudes are the same place whether they go to 180 or to 360 degrees.

    Raises
    ------
    InputError
        If their places have other dimensions, or none in common, or one of them
        states no units.
    """
    import xarray as xr

    from tilth.core.errors import InputError
    from tilth.core.units import convert

    own = {"start", "lead", "member", "time"}
    places = [[str(d) for d in x.dims if d not in own] for x in (forecast, observed)]
    if set(places[0]) != set(places[1]):
        raise InputError(
            f"forecasts lie along {', '.join(places[0]) or 'no place'}, observations "
            f"along {', '.join(places[1]) or 'no place'}: bring them to the same places"
        )
    forecast = _on_same_circle(forecast, observed)
    ours, theirs = xr.align(forecast, observed, join="inner", exclude=own)
    if not all(ours.sizes[dim] for dim in places[0]):
        raise InputError(
            f"no {' and '.join(places[0])} is in both: forecasts have "
            f"{_few(forecast, places[0])}, observations {_few(observed, places[0])}"
        )
    said = [x.attrs.get("units") for x in (ours, theirs)]
    if None in said and not {*said} <= _WITHOUT_UNITS:
        raise InputError(
            f"{'forecasts' if said[0] is None else 'observations'} state no units, the "
            f"others {said[0] or said[1]!r}: say which with --units"
        )
    if None not in said:
        ours = convert(ours, str(said[1]))
    return _stacked(ours, places[0]), _stacked(theirs, places[0])


def clusters_of(
    name: str, forecast: xr.DataArray, observed: xr.DataArray
) -> xr.DataArray:
    """Return the label of the basin, or of another cluster, of each site.

    Parameters
    ----------
    name : str
        Coordinate of the sites in either file.
    forecast, observed : xarray.DataArray
        Of `at_common_places`.

    Returns
    -------
    xarray.DataArray
        Along ``site``.

    Raises
    ------
    InputError
        If neither has it.
    """
    from tilth.core.errors import InputError

    for data in (forecast, observed):
        if name in data.coords and data[name].dims == ("site",):
            return data[name]
    known = {
        str(k)
        for x in (forecast, observed)
        for k, v in x.coords.items()
        if v.dims == ("site",)
    }
    raise InputError(
        f"neither file has {name} of the sites; they have "
        f"{', '.join(sorted(known)) or 'no coordinate of sites'}"
    )


def _on_same_circle(forecast: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Return the forecast with latitudes and longitudes written as the other's are.

    Joined as they are, 0 to 360 and -180 to 180 degrees would share one hemisphere,
    and nobody would miss the other; nor what single precision sets apart.
    """
    import numpy as np

    for name in ("lat", "latitude", "lon", "longitude"):
        if not all(name in x.dims and name in x.coords for x in (forecast, observed)):
            continue
        ours, theirs = (x[name].values.astype(float) for x in (forecast, observed))
        if name.startswith("lon"):
            west = min(theirs.min(initial=0.0), 0.0)
            ours = ours - 360.0 * np.floor((ours - west) / 360.0 + 1e-9)
        near = theirs[np.abs(ours[:, None] - theirs).argmin(axis=1)]
        ours = np.where(np.abs(ours - near) < _SAME_DEGREE, near, ours)
        forecast = forecast.assign_coords({name: (name, ours, forecast[name].attrs)})
    return forecast


def without_training(
    forecast: xr.DataArray, observed: xr.DataArray, choice: str, name: str
) -> tuple[xr.DataArray, int]:
    """Return a forecast without the days that it has learnt from, or refuse it.

    Parameters
    ----------
    forecast : xarray.DataArray, dimensions (start, lead, member, site)
        With the record of its training as an attribute, or without any: nothing is
        known of it then.
    observed : xarray.DataArray, dimensions (start, lead, site)
        As `align_observations` lays them out: days that cannot be scored do not count.
    choice : {"refuse", "drop", "keep"}
        What becomes of such days.
    name : str
        Of the forecast, for the message.

    Returns
    -------
    xarray.DataArray
        The forecast, NaN on such days if they are dropped.
    int
        Pairs of start and lead that were learnt from.

    Raises
    ------
    InputError
        If there are such days and the choice is to refuse, or none is left.
    """
    from tilth.core.errors import InputError
    from tilth.forcing.s2s.alignment import valid_times
    from tilth.forcing.split import ATTRIBUTE, trained_on

    if choice not in TRAINING_DAYS:
        raise InputError(
            f"days of training are for {', '.join(TRAINING_DAYS)}, got {choice!r}"
        )
    record = str(forecast.attrs.get(ATTRIBUTE, ""))
    seen = trained_on(record, valid_times(forecast["start"], forecast["lead"]))
    scored = observed.notnull().any("site")
    scored &= forecast.notnull().any(["member", "site"])
    both = seen.drop_vars(["start", "lead"]).values & scored.values
    pairs = int(both.sum())
    if pairs and choice == "refuse":
        raise InputError(
            f"{name} has learnt from {pairs} of the {int(scored.sum())} pairs of start "
            f"and lead to be scored (its {ATTRIBUTE}: {record}): scores on them say "
            "nothing about other days. Leave them out with --training-days drop, or "
            "score what it has learnt by heart with --training-days keep"
        )
    if pairs and choice == "drop":
        if pairs == int(scored.sum()):
            raise InputError(f"{name} has learnt from every day that could be scored")
        forecast = forecast.where(~scored.copy(data=both))
    return forecast, pairs


def _variable(path: Path, name: str | None, units: str | None) -> xr.DataArray:
    """Return one variable of a file, with units where they are known."""
    from tilth.core.errors import InputError
    from tilth.forcing.files import open_forcing
    from tilth.forcing.split import ATTRIBUTE

    data = open_forcing(path)
    found = [str(k) for k, v in data.data_vars.items() if v.ndim > 0]
    if name is None and len(found) != 1:
        raise InputError(
            f"{path} has {', '.join(found) or 'no variable'}: choose with --variable"
        )
    if name is not None and name not in data:
        raise InputError(f"{path} has no {name}; it has {', '.join(found)}")
    values = data[name or found[0]]
    if ATTRIBUTE not in values.attrs and ATTRIBUTE in data.attrs:
        values = values.assign_attrs({ATTRIBUTE: data.attrs[ATTRIBUTE]})
    if units is not None and "units" not in values.attrs:
        values = values.assign_attrs(units=units)
    return values


def _stacked(data: xr.DataArray, places: list[str]) -> xr.DataArray:
    """Return all places as one dimension, ``site``, last."""
    if not places:
        return data.expand_dims(site=["all"]).transpose(..., "site")
    if len(places) == 1:
        place = places[0]
        data = data if place == "site" else data.rename({place: "site"})
        if "site" not in data.coords:
            data = data.assign_coords(site=range(data.sizes["site"]))
        return data.transpose(..., "site")
    flat = data.stack(site=places).transpose(..., "site")
    labels = [" ".join(f"{x:g}" if not isinstance(x, str) else x for x in place)
              for place in flat.indexes["site"]]  # fmt: skip
    return flat.drop_vars(["site", *places]).assign_coords(site=labels)


def _few(data: xr.DataArray, places: list[str]) -> str:
    """Return some labels of the first dimension of the places."""
    if not places or places[0] not in data.coords:
        return "none that are labelled"
    values = data[places[0]].values
    return ", ".join(map(str, values[:4])) + (" ..." if values.size > 4 else "")
