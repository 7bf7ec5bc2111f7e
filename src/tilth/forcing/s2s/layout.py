"""Forecast archives by their own names: start, lead and member found and named."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

__all__ = ["as_forecast", "forecast_names"]

#: Our name -> CF standard name, and what archives call it (SubX, S2S, challenge,
#: climpred, cfgrib).
_KNOWN = {
    "start": (
        "forecast_reference_time",
        ("S", "forecast_time", "init", "forecast_reference_time", "hindcast_time"),
    ),
    "lead": (
        "forecast_period",
        ("L", "lead_time", "step", "forecast_period", "leadtime"),
    ),
    "member": (
        "realization",
        ("M", "realization", "number", "ensemble", "ensemble_member"),
    ),
}


def as_forecast(
    data: xr.DataArray, names: Mapping[str, str] | None = None
) -> xr.DataArray:
    """Return a forecast along ``start``, ``lead`` and ``member``.

    Dimensions are known by their own name, by their CF standard name
    (``forecast_reference_time``, ``forecast_period``, ``realization``) or by the
    names that archives use.

    Parameters
    ----------
    data : xarray.DataArray
        A forecast or hindcasts; also with one start only, as a coordinate without
        dimension (cfgrib's ``time`` is given by `names`).
    names : mapping of str to str, optional
        Ours -> that of the data, where it is none of these.

    Returns
    -------
    xarray.DataArray
        Renamed; ``member`` of length one is added where there is none; starts without
        a date are left out.

    Raises
    ------
    InputError
        If start or lead cannot be found, or have no values.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> data = xr.DataArray(np.zeros((1, 2, 3)), dims=("S", "M", "L"), name="pr")
    >>> data = data.assign_coords(S=[np.datetime64("2020-01-02")], L=[1, 2, 3])
    >>> as_forecast(data).dims
    ('start', 'member', 'lead')
    """
    for ours, found in forecast_names(data, names).items():
        if found is not None and found != ours:
            data = data.rename({found: ours})
    lacking = [
        name for name in ("start", "lead") if name not in {*data.dims, *data.coords}
    ]
    if lacking:
        raise InputError(
            f"{data.name or 'the forecast'} has no {' and no '.join(lacking)} among "
            f"{', '.join(map(str, data.dims))}: say what it is called"
        )
    bare = [name for name in ("start", "lead") if name not in data.coords]
    if bare:
        raise InputError(
            f"{data.name or 'the forecast'} has a dimension {bare[0]} without values: "
            "which day a forecast is of cannot be told; assign the coordinate"
        )
    missing = [name for name in _KNOWN if name not in data.dims]
    data = data.expand_dims(missing) if missing else data
    # Archives mark gaps by values without a date.
    dated = data["start"].notnull().values
    return data if dated.all() else data.isel(start=np.flatnonzero(dated))


def forecast_names(
    data: xr.DataArray, names: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """Return what the data call start, lead and member.

    Parameters
    ----------
    data : xarray.DataArray
        A forecast or hindcasts.
    names : mapping of str to str, optional
        As in `as_forecast`.

    Returns
    -------
    dict of str to str or None
        Ours -> theirs, None where they have none.

    Raises
    ------
    InputError
        If one of `names` is not there.
    """
    given = dict(names or {})
    unknown = set(given) - set(_KNOWN)
    if unknown:
        raise InputError(f"names are of start, lead and member, got {sorted(unknown)}")
    return {
        ours: _find(data, ours, given.get(ours), standard, usual)
        for ours, (standard, usual) in _KNOWN.items()
    }


def _find(
    data: xr.DataArray,
    ours: str,
    given: str | None,
    standard: str,
    usual: tuple[str, ...],
) -> str | None:
    """Return what the data call a dimension; None where it is not there."""
    there = [*map(str, data.dims), *map(str, data.coords)]
    if given is not None:
        if given not in there:
            raise InputError(
                f"{data.name or 'the forecast'} has no {given}; it has "
                f"{', '.join(dict.fromkeys(there))}"
            )
        return given
    if ours in there:
        return ours
    for name in data.coords:
        if data[name].attrs.get("standard_name") == standard and data[name].ndim < 2:
            return str(name)
    return next((name for name in usual if name in there), None)
