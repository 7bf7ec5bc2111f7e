"""Forecasts drawn towards climatology, as far as other years' forecasts deserve it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numba
import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.s2s.climatology import pooled_rows
from tilth.forcing.s2s.training import StartGroups, start_groups

__all__ = ["blend_weights", "blended"]


def blend_weights(
    probabilities: xr.DataArray,
    observed: xr.DataArray,
    target: xr.DataArray | None = None,
    *,
    pool: Sequence[Hashable] = (),
    weights: xr.DataArray | None = None,
    window: float | None = None,
    leave_out: str = "year",
    caution: float = 1.0,
) -> xr.DataArray:
    r"""Return how much of a forecast to believe, from the starts of other years.

    With the cumulative probabilities forecast P, of climatology C (thirds) and
    observed O, the ranked probability score of the blend w P + (1 - w) C is a
    parabola in w with its lowest point at

    .. math::

        w^* = \frac{\sum \sum_k (P_k - C_k)(O_k - C_k)}{\sum \sum_k (P_k - C_k)^2} ,

    the outer sums over training starts and the pooled dimensions. The weight is

    .. math:: w = \min(1, \max(0,\ w^* - \kappa\, s))

    with the standard error s of w* between years, and caution :math:`\kappa`.

    Parameters
    ----------
    probabilities : xarray.DataArray
        Of hindcasts, along ``start``, ``category`` and any others; each made without
        its own year, or the weights are too large.
    observed : xarray.DataArray
        Category that came, 0 to 2 (`tilth.stats.scores.observed_category`).
    target : xarray.DataArray, dimension (start), optional
        Starts to give weights for; those of `probabilities` by default.
    pool : sequence of str, optional
        Dimensions that share a weight, such as ``("lat", "lon")``: few years say
        little about one cell.
    weights : xarray.DataArray, optional
        Of the cells that are pooled, such as the cosine of the latitude.
    window, leave_out : optional
        As in `start_groups`.
    caution : float, default 1
        Standard errors that the weight is lowered by. With 0, forecasts without
        skill get a weight above zero about half of the time, and lose by it.

    Returns
    -------
    xarray.DataArray
        From 0 (climatology) to 1 (the forecast as it is), along ``start`` and what is
        not pooled; 0 where nothing is known.

    Raises
    ------
    InputError
        If caution is negative, the categories are not three, or training has fewer
        than two years for a start.

    Notes
    -----
    In the training sample a blend with :math:`w \le w^*` never scores worse than
    climatology. Out of it that is true up to the sampling error of w; what caution
    is for.
    """
    if not caution >= 0.0:
        raise InputError(f"caution is not negative, got {caution}")
    if probabilities.sizes.get("category") != 3:
        raise InputError(
            "a blend needs probabilities of three categories along 'category', got "
            f"{dict(probabilities.sizes)}"
        )
    cross, square = _parts(probabilities, observed)
    if pool:
        weigh = xr.ones_like(cross[pool[0]], float) if weights is None else weights
        weigh = weigh.fillna(0.0)
        cross, square = (
            (part * weigh).sum(list(pool)).where(part.notnull().any(list(pool)))
            for part in (cross, square)
        )
    rows, starts = pooled_rows(cross, None)
    others, _ = pooled_rows(square, None)
    aim = starts if target is None else target
    groups = start_groups(starts, aim, window=window, leave_out=leave_out)
    years, year = np.unique(starts.dt.year.values, return_inverse=True)
    for k in range(groups.offsets.size - 1):
        used = year[groups.members[groups.offsets[k] : groups.offsets[k + 1]]]
        if np.unique(used).size < 2:
            raise InputError(
                f"a blend is fitted on two years or more, one start has those of "
                f"{', '.join(str(years[y]) for y in np.unique(used))} only: give "
                "hindcasts of more years"
            )
    single = "pooled member"
    found = apply_kernel(
        _weights,
        rows.isel({single: 0}),
        others.isel({single: 0}),
        core_dims=[("training start",)] * 2,
        output_dims=[("start",)],
        output_sizes={"start": aim.size},
        options={"groups": groups, "year": year, "caution": float(caution)},
    )
    return (
        found.assign_coords(start=aim.values)
        .rename("weight")
        .assign_attrs(units="1", training=groups.description, caution=caution)
    )


def blended(probabilities: xr.DataArray, weight: xr.DataArray) -> xr.DataArray:
    """Return probabilities drawn towards thirds.

    Parameters
    ----------
    probabilities : xarray.DataArray
        Along ``category`` and any others.
    weight : xarray.DataArray
        Of `blend_weights`.

    Returns
    -------
    xarray.DataArray
        ``w p + (1 - w) / 3``, its dimensions in the order of `probabilities`; NaN
        where these are.

    Examples
    --------
    >>> import xarray as xr
    >>> sure = xr.DataArray([0.0, 0.0, 1.0], dims="category")
    >>> blended(sure, xr.DataArray(0.25)).values
    array([0.25, 0.25, 0.5 ])
    """
    third = 1.0 / probabilities.sizes["category"]
    result = third + weight.drop_attrs() * (probabilities - third)
    return result.transpose(*probabilities.dims).assign_attrs(probabilities.attrs)


def _parts(
    probabilities: xr.DataArray, observed: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the two parts of the parabola, case by case; NaN where not known."""
    forecast = probabilities.drop_vars("category", errors="ignore")
    known = observed.notnull() & forecast.notnull().all("category")
    cross = xr.zeros_like(observed, float)
    square = cross
    for k in (0, 1):
        below = forecast.isel(category=slice(k + 1)).sum("category")
        ahead = below - (k + 1) / 3.0
        cross = cross + ahead * ((observed <= k) - (k + 1) / 3.0)
        square = square + ahead**2
    return cross.where(known), square.where(known)


def _weights(
    cross: np.ndarray,
    square: np.ndarray,
    *,
    groups: StartGroups,
    year: np.ndarray,
    caution: float,
) -> np.ndarray:
    """Return the weight of every target; loop axes first."""
    loop = cross.shape[:-1]
    found = _group_weights(
        cross.reshape(-1, cross.shape[-1]).astype(float),
        square.reshape(-1, square.shape[-1]).astype(float),
        groups.offsets,
        groups.members,
        year,
        caution,
    )
    return found[:, groups.group].reshape(*loop, groups.group.size)


@numba.njit(cache=True, nogil=True)
def _group_weights(cross, square, offsets, members, year, caution):
    """Weight of each set of starts, row by row, with its error between years."""
    rows = cross.shape[0]
    out = np.zeros((rows, offsets.size - 1))
    years = year.max() + 1
    for r in range(rows):
        for g in range(offsets.size - 1):
            top, bottom, there = np.zeros(years), np.zeros(years), np.zeros(years)
            for i in range(offsets[g], offsets[g + 1]):
                s = members[i]
                if np.isfinite(cross[r, s]):
                    top[year[s]] += cross[r, s]
                    bottom[year[s]] += square[r, s]
                    there[year[s]] = 1.0
            whole, count = bottom.sum(), there.sum()
            if not (whole > 0.0 and count > 1.0):
                continue
            best = top.sum() / whole
            error = 0.0
            for k in range(years):
                error += (top[k] - best * bottom[k]) ** 2
            error = np.sqrt(error * count / (count - 1.0)) / whole
            out[r, g] = min(1.0, max(0.0, best - caution * error))
    return out
