"""What is learnt, as a table per place and group of days; shared by all methods."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust.groups import Grouping, TimeGroups, group_times

#: Dimensions along which training kernels work: each series has times of its own.
TRAINING_DIMS = (("time_observed",), ("time_modelled",))


def split_times(
    observed: xr.DataArray, modelled: xr.DataArray, group: Grouping
) -> tuple[tuple[xr.DataArray, xr.DataArray], tuple[TimeGroups, TimeGroups]]:
    """Give observations and model times of their own, so that lengths may differ.

    Parameters
    ----------
    observed, modelled : xarray.DataArray
        With ``time``.
    group : {"none", "month"} or DayWindow
        What belongs together.

    Returns
    -------
    arrays : tuple of xarray.DataArray
        With the dimensions ``time_observed`` and ``time_modelled``, no times.
    groups : tuple of TimeGroups
        Of each.
    """
    groups = (
        group_times(observed["time"], group),
        group_times(modelled["time"], group),
    )
    arrays = (
        observed.drop_vars("time").rename(time="time_observed"),
        modelled.drop_vars("time").rename(time="time_modelled"),
    )
    return arrays, groups


def label_groups(
    table: xr.Dataset, groups: tuple[TimeGroups, TimeGroups]
) -> xr.Dataset:
    """Name the groups of a table and note how many time steps each was learnt from.

    Parameters
    ----------
    table : xarray.Dataset
        With the dimension ``group``.
    groups : tuple of TimeGroups
        Of observations and model.

    Returns
    -------
    xarray.Dataset
        With the coordinate ``group`` and the variable ``training_steps``, the smaller
        of the two numbers of steps.
    """
    steps = np.minimum(groups[0].sizes, groups[1].sizes)
    return table.assign(training_steps=("group", steps)).assign_coords(
        group=groups[0].labels
    )


def require_trained(table: xr.Dataset, groups: TimeGroups) -> None:
    """Raise unless every group of days of a target was there in training.

    Parameters
    ----------
    table : xarray.Dataset
        With ``training_steps``.
    groups : TimeGroups
        Of the target.

    Raises
    ------
    InputError
        If a group of the target had no day in training.
    """
    wanted = groups.own[:, 1] > groups.own[:, 0]
    missing = table["group"].values[wanted & (table["training_steps"].values == 0)]
    if missing.size:
        names = ", ".join(map(str, missing[:5])) + (", ..." if missing.size > 5 else "")
        raise InputError(
            f"the target has days in {missing.size} groups (months, or days of the "
            f"year: {names}) that had none in training: select the season that was "
            "trained, or train with whole years"
        )
