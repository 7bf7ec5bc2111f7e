"""What is usual at a start and lead: the climatology without the year in question."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.s2s.training import StartGroups, start_groups

__all__ = ["lead_climatology", "pooled_rows", "without_bias"]

#: Training starts and members, under names that nothing else has.
_TRAINING, _MEMBER = "training start", "pooled member"


def lead_climatology(
    data: xr.DataArray,
    target: xr.DataArray | None = None,
    *,
    window: float | None = None,
    leave_out: str = "year",
    member_dim: str | None = None,
) -> xr.DataArray:
    r"""Return the mean over the starts of other years, lead by lead.

    .. math:: c(s, l) = \frac{1}{|T_s|} \sum_{t \in T_s} x(t, l)

    with :math:`T_s` the starts that may be learnt from, `start_groups`.

    Parameters
    ----------
    data : xarray.DataArray
        Hindcasts, or observations laid out by `align_observations`, along ``start``
        and any other dimensions (``lead``, cells), in memory or on Dask.
    target : xarray.DataArray, dimension (start), optional
        Starts to give it for; those of `data` by default.
    window, leave_out : optional
        As in `start_groups`.
    member_dim : str, optional
        Dimension that is averaged too; without it every member has its own.

    Returns
    -------
    xarray.DataArray
        Along ``start`` (of the target, last) and the other dimensions; missing
        values are left out, NaN where nothing else is there. Units of `data`.

    Raises
    ------
    InputError
        If nothing is left for a target, or a dimension is not there.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> dates = np.array(["2001-01-05", "2002-01-05", "2003-01-05"], "datetime64[ns]")
    >>> data = xr.DataArray([1.0, 2.0, 6.0], {"start": dates})
    >>> lead_climatology(data).values
    array([4. , 3.5, 1.5])
    """
    rows, starts = pooled_rows(data, member_dim)
    aim = starts if target is None else target
    groups = start_groups(starts, aim, window=window, leave_out=leave_out)
    mean = apply_kernel(
        _means,
        rows,
        core_dims=[(_TRAINING, _MEMBER)],
        output_dims=[("start",)],
        output_sizes={"start": aim.size},
        options={"groups": groups},
    )
    named = mean.assign_coords(start=aim.values).rename(data.name)
    return named.assign_attrs(data.attrs, climatology=groups.description)


def without_bias(
    hindcast: xr.DataArray,
    observed: xr.DataArray,
    forecast: xr.DataArray | None = None,
    *,
    window: float | None = None,
    leave_out: str = "year",
    member_dim: str = "member",
) -> xr.DataArray:
    r"""Take the mean error of other years' starts off a forecast, lead by lead.

    .. math:: x'(s, l, m) = x(s, l, m) - c_x(s, l) + c_o(s, l)

    with the climatologies of `lead_climatology`, of the model over all members and of
    the observations over the same starts.

    Parameters
    ----------
    hindcast : xarray.DataArray
        Along ``start``, `member_dim` and any others.
    observed : xarray.DataArray
        As `align_observations` lays them out for `hindcast`.
    forecast : xarray.DataArray, optional
        Other starts, with the dimensions of `hindcast`; by default the hindcasts
        themselves, each without its own year.
    window, leave_out : optional
        As in `start_groups`.
    member_dim : str
        Dimension of the members.

    Returns
    -------
    xarray.DataArray
        `forecast` without the bias, its dimensions in its order.
    """
    aim = hindcast if forecast is None else forecast
    options: dict[str, Any] = {"window": window, "leave_out": leave_out}
    both = hindcast.notnull().any(member_dim) & observed.notnull()
    theirs = lead_climatology(
        hindcast.where(both), aim["start"], member_dim=member_dim, **options
    )
    ours = lead_climatology(observed.where(both), aim["start"], **options)
    corrected = aim - theirs.drop_attrs() + ours.drop_attrs()
    bare = corrected.drop_vars("valid_time", errors="ignore")
    return bare.transpose(*aim.dims).rename(aim.name).assign_attrs(aim.attrs)


def pooled_rows(
    data: xr.DataArray, member_dim: str | None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return data with the dimensions the kernels of this room work along.

    Parameters
    ----------
    data : xarray.DataArray
        Along ``start`` and any others.
    member_dim : str or None
        Dimension that is pooled with the starts.

    Returns
    -------
    tuple of xarray.DataArray
        The data along ``training start`` and ``pooled member``, and their starts.

    Raises
    ------
    InputError
        If there is no ``start``, or no such dimension of members.
    """
    wanted = ["start"] if member_dim is None else ["start", member_dim]
    lacking = [name for name in wanted if name not in data.dims]
    if lacking:
        raise InputError(
            f"{data.name or 'the data'} needs the dimension {lacking[0]}, it has "
            f"{', '.join(map(str, data.dims))}: rename its own, or lay observations "
            "out with align_observations"
        )
    if "start" not in data.coords:
        raise InputError(
            f"{data.name or 'the data'} needs the dates of its starts as the "
            "coordinate start: no year can be left out of training without them"
        )
    starts = data["start"].reset_coords(drop=True)
    along = [name for name, c in data.coords.items() if "start" in c.dims]
    bare = data.drop_vars(along).rename(start=_TRAINING)
    if member_dim is None:
        return bare.expand_dims({_MEMBER: 1}), starts
    bare = bare.drop_vars(member_dim, errors="ignore")
    return bare.rename({member_dim: _MEMBER}), starts


def _means(values: np.ndarray, *, groups: StartGroups) -> np.ndarray:
    """Return the mean of every target's training values; loop axes first."""
    loop = values.shape[:-2]
    rows = values.reshape(-1, *values.shape[-2:]).astype(float)
    mean = _group_means(rows, groups.offsets, groups.members)
    return mean[:, groups.group].reshape(*loop, groups.group.size)


@numba.njit(cache=True, nogil=True)
def _group_means(values, offsets, members):
    """Mean of the numbers of each set of starts, row by row."""
    rows, _, pooled = values.shape
    out = np.full((rows, offsets.size - 1), np.nan)
    for r in range(rows):
        for g in range(offsets.size - 1):
            total, count = 0.0, 0
            for i in range(offsets[g], offsets[g + 1]):
                for m in range(pooled):
                    x = values[r, members[i], m]
                    if np.isfinite(x):
                        total += x
                        count += 1
            if count:
                out[r, g] = total / count
    return out
