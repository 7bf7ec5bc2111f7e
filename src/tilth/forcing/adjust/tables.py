"""What is learnt, as a table per place and group of days; shared by all methods."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.draws import MODELLED, OBSERVED, cell_identities
from tilth.forcing.adjust.frequency import DryDays, dry_surplus, spread_dry, wetting
from tilth.forcing.adjust.groups import Grouping, TimeGroups, group_times
from tilth.forcing.adjust.quantiles import (
    by_batches,
    finite_rows,
    group_quantiles,
    node_probabilities,
)

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


def quantile_table(
    observed: xr.DataArray,
    modelled: xr.DataArray,
    group: Grouping,
    quantiles: int,
    ratio: bool,
    dry: DryDays | None,
) -> xr.Dataset:
    """Return the quantiles of observations and model in every group of days.

    Parameters
    ----------
    observed, modelled : xarray.DataArray
        Same units; each with its own ``time``.
    group : {"none", "month"} or DayWindow
        What belongs together.
    quantiles : int
        Number of nodes.
    ratio : bool
        Whether what is below zero counts as zero.
    dry : DryDays, optional
        What is done about dry days.

    Returns
    -------
    xarray.Dataset
        ``observed_quantiles`` and ``modelled_quantiles`` (..., group, quantile) in the
        units given; with frequency adaptation also ``dry_surplus`` (..., group), the
        share of dry days made wet, and ``wet_limit``, the largest amount they get.
    """
    arrays, groups = split_times(observed, modelled, group)
    probabilities = node_probabilities(quantiles)
    names = ["observed_quantiles", "modelled_quantiles"]
    dims: list[tuple[str, ...]] = [("group", "quantile")] * 2
    if dry is not None and dry.adapt:
        names += ["dry_surplus", "wet_limit"]
        dims += [("group",)] * 2
    found = apply_kernel(
        _quantile_kernel,
        *arrays,
        cell_identities(modelled),
        core_dims=(*TRAINING_DIMS, ()),
        output_dims=dims,
        output_dtypes=[float] * len(dims),
        output_sizes={"group": len(groups[0].labels), "quantile": quantiles},
        options={
            "groups": groups,
            "probabilities": probabilities,
            "ratio": ratio,
            "dry": dry,
        },
    )
    table = xr.Dataset(dict(zip(names, found, strict=True)))
    return label_groups(table, groups).assign_coords(quantile=probabilities)


def _quantile_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    cells: np.ndarray,
    groups: tuple[TimeGroups, TimeGroups],
    probabilities: np.ndarray,
    ratio: bool,
    dry: DryDays | None,
) -> tuple[np.ndarray, ...]:
    """Return the variables of `quantile_table`."""

    def work(
        observed: np.ndarray, modelled: np.ndarray, cells: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        o, h = finite_rows(observed, ratio), finite_rows(modelled, ratio)
        if dry is None:
            return (
                group_quantiles(o, groups[0], probabilities),
                group_quantiles(h, groups[1], probabilities),
            )
        o = spread_dry(o, cells, dry, OBSERVED)
        h = spread_dry(h, cells, dry, MODELLED)
        of_observed = group_quantiles(o, groups[0], probabilities)
        if not dry.adapt:
            return of_observed, group_quantiles(h, groups[1], probabilities)
        share, limit = dry_surplus(o, h, groups, dry.below)
        change = wetting(share, limit, cells, groups[1], dry, MODELLED)
        of_modelled = group_quantiles(h, groups[1], probabilities, change)
        return of_observed, of_modelled, share, limit

    return by_batches(work, cells.shape, observed, modelled, cells)
