"""Long series in running periods of one climate each; members that share one fit."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust.adjuster import Adjuster


def apply_by_periods(
    adjuster: Adjuster, target: xr.DataArray, *, years: int = 30, step: int = 10
) -> xr.DataArray:
    """Adjust a long series in overlapping periods, keeping the middle of each.

    Methods that rank a value within the series to be adjusted take that series for one
    climate. Over a century of warming the end would be all high ranks; so every `step`
    years are adjusted as part of the `years` around them, the first and the last ones
    as part of the first and last `years`.

    Parameters
    ----------
    adjuster : Adjuster
        A fitted method.
    target : xarray.DataArray
        The model, with ``time`` rising.
    years : int
        Length of a period; 30 is the normal period of the WMO.
    step : int
        Years kept of each; Cannon et al. (2015) keep the middle ten of 30.

    Returns
    -------
    xarray.DataArray
        As `Adjuster.apply` returns it, with ``adjustment_periods`` in its attributes.

    Raises
    ------
    InputError
        If the step is not between one year and the length of a period, or the times
        do not rise.
    """
    if not 1 <= step <= years:
        raise InputError(
            f"a step of {step} years in periods of {years}: keep at least one year of "
            "each period and at most all of it"
        )
    if not target.indexes["time"].is_monotonic_increasing:
        raise InputError("the times of the target must rise: sort it by time first")
    year = target["time"].dt.year.values
    first, last = int(year[0]), int(year[-1])
    parts = []
    for start in range(first, last + 1, step):
        kept = (year >= start) & (year < start + step)
        if not kept.any():
            continue
        # Around the middle of the step, but within the series.
        begin = start + step // 2 - years // 2
        begin = max(first, min(begin, last - years + 1))
        around = np.flatnonzero((year >= begin) & (year < begin + years) | kept)
        adjusted = adjuster.apply(target.isel(time=around))
        parts.append(adjusted.isel(time=np.flatnonzero(kept[around])))
    result = xr.concat(parts, dim="time").transpose(*parts[0].dims)
    result.attrs["adjustment_periods"] = f"{step} years at a time within {years}"
    return result


def pool_members(data: xr.DataArray, dim: str = "member") -> xr.DataArray:
    """Lay the members of an ensemble behind each other, to be fitted as one.

    An ensemble of one model has one climate, and one adjustment keeps what its members
    differ by; fitted member by member, each would be pulled to the observations.

    Parameters
    ----------
    data : xarray.DataArray
        With ``time`` and the dimension of the members.
    dim : str
        That dimension.

    Returns
    -------
    xarray.DataArray
        Without it; times occur once per member. Good for `Method.fit` only.

    Raises
    ------
    InputError
        If the dimension or ``time`` is not there.
    """
    missing = {dim, "time"} - set(map(str, data.dims))
    if missing:
        raise InputError(
            f"{data.name or 'the array'} lacks {', '.join(sorted(missing))}; it has "
            f"{', '.join(map(str, data.dims))}"
        )
    members = [data.isel({dim: i}, drop=True) for i in range(data.sizes[dim])]
    return xr.concat(members, dim="time").assign_attrs(data.attrs)
