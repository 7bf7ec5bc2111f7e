"""Linear adjustments: scaling of the mean, and of wet days and their intensity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.adjuster import Kind, Method
from tilth.forcing.adjust.checks import check_numbers
from tilth.forcing.adjust.groups import Grouping, TimeGroups, as_grouping, group_times
from tilth.forcing.adjust.quantiles import correction, finite_rows
from tilth.forcing.adjust.tables import (
    TRAINING_DIMS,
    label_groups,
    require_trained,
    split_times,
)


@dataclass(frozen=True)
class Scaling(Method):
    r"""Linear scaling: the mean is corrected, nothing else.

    .. math:: s' = s + (\bar o - \bar h) \quad\text{or}\quad s' = s\,\bar o / \bar h

    with the means of observations and model over the training period.

    Parameters
    ----------
    kind : {"+", "*"}
        Difference, as for temperature, or ratio, as for precipitation.
    group : {"none", "month"} or DayWindow
        Days that share a mean; between months the factor changes linearly.
    ratio_cap : float
        Largest ratio, for a model that is almost dry.

    Raises
    ------
    InputError
        If a setting is out of its range.

    References
    ----------
    Widmann, Bretherton & Salathe (2003), J. Climate 16, 799-816.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xarray as xr
    >>> days = pd.date_range("2001-01-01", periods=3)
    >>> make = lambda values: xr.DataArray(
    ...     values, {"time": days}, dims="time", attrs={"units": "degC"}
    ... )
    >>> adjuster = Scaling().fit(make([1.0, 2.0, 3.0]), make([2.0, 3.0, 4.0]))
    >>> adjuster.apply(make([5.0, 6.0, np.nan])).values
    array([ 4.,  5., nan])
    """

    kind: Kind = "+"
    group: Grouping = "none"
    ratio_cap: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        check_numbers(self.ratio_cap)

    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return the means of both in every group of days."""
        arrays, groups = split_times(observed, modelled, self.group)
        means = apply_kernel(
            _mean_kernel,
            *arrays,
            core_dims=TRAINING_DIMS,
            output_dims=[("group",), ("group",)],
            output_dtypes=(float, float),
            output_sizes={"group": len(groups[0].labels)},
            options={"groups": groups, "ratio": self.kind == "*"},
        )
        names = ("observed_mean", "modelled_mean")
        table = xr.Dataset(dict(zip(names, means, strict=True)))
        return label_groups(table, groups)

    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the target, shifted or scaled."""
        groups = group_times(target["time"], self.group)
        require_trained(table, groups)
        return apply_kernel(
            _scale_kernel,
            target,
            table["observed_mean"],
            table["modelled_mean"],
            core_dims=[("time",), ("group",), ("group",)],
            output_dims=[("time",)],
            options={"groups": groups, "kind": self.kind, "cap": self.ratio_cap},
        )


def group_means(rows: np.ndarray, groups: TimeGroups) -> np.ndarray:
    """Return the mean of every group of days.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        NaN where missing.
    groups : TimeGroups
        Of these times.

    Returns
    -------
    numpy.ndarray, shape (rows, groups)
        NaN where a group has no value.
    """
    present = np.isfinite(rows)
    columns = np.where(present, rows, 0.0)[:, groups.order]
    counted = present[:, groups.order]
    result = np.empty((len(rows), len(groups.labels)))
    for group, (start, stop) in enumerate(groups.window):
        n = counted[:, start:stop].sum(axis=-1)
        total = columns[:, start:stop].sum(axis=-1)
        result[:, group] = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    return result


def spread_over_time(factors: np.ndarray, groups: TimeGroups) -> np.ndarray:
    """Return the factor of every time step from those of the groups.

    Parameters
    ----------
    factors : numpy.ndarray, shape (rows, groups)
        NaN where a group has none.
    groups : TimeGroups
        Of the times wanted.

    Returns
    -------
    numpy.ndarray, shape (rows, time)
        Mixed linearly between the middles of months.
    """
    own, other = factors[:, groups.first], factors[:, groups.second]
    return own + groups.weight * (np.where(np.isnan(other), own, other) - own)


def _mean_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    groups: tuple[TimeGroups, TimeGroups],
    ratio: bool,
) -> tuple[np.ndarray, ...]:
    """Return group means of both, shape (..., groups)."""
    return tuple(
        group_means(finite_rows(values, ratio), of).reshape(*values.shape[:-1], -1)
        for values, of in zip((observed, modelled), groups, strict=True)
    )


def _scale_kernel(
    target: np.ndarray,
    observed: np.ndarray,
    modelled: np.ndarray,
    groups: TimeGroups,
    kind: str,
    cap: float,
) -> np.ndarray:
    """Return the scaled target, shape (..., time)."""
    rows = finite_rows(target, kind == "*")
    n = observed.shape[-1]
    factor = correction(observed.reshape(-1, n), modelled.reshape(-1, n), kind, cap)
    steps = spread_over_time(factor, groups)
    return (rows + steps if kind == "+" else rows * steps).reshape(target.shape)


@dataclass(frozen=True)
class LOCI(Method):
    r"""Local intensity scaling of precipitation: wet days and their mean amount.

    The model's wet-day threshold :math:`t_h` is set such that it has as many wet days
    as the observations, :math:`P(h \ge t_h) = P(o \ge t_o)`, and their excess over the
    threshold is scaled,

    .. math:: s' = \max\left(0,\; t_o + (s - t_h)\,
       \frac{\overline{o|_{o \ge t_o}} - t_o}{\overline{h|_{h \ge t_h}} - t_h}\right).

    Parameters
    ----------
    wet_from : float
        :math:`t_o`, in the units of the observations; 1 mm/day in the paper.
    group : {"none", "month"} or DayWindow
        Days that share thresholds; between months they change linearly.
    ratio_cap : float
        Largest scale.

    Raises
    ------
    InputError
        If the threshold is not positive, or the scale is below one.

    References
    ----------
    Schmidli, Frei & Vidale (2006), Int. J. Climatol. 26, 679-689.

    Examples
    --------
    >>> LOCI(group="month")
    LOCI(wet_from=1.0, group='month', ratio_cap=10.0)
    """

    wet_from: float = 1.0
    group: Grouping = "none"
    ratio_cap: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        check_numbers(self.ratio_cap)
        if not self.wet_from > 0:
            raise InputError(
                f"wet_from must be positive, got {self.wet_from}: for precipitation in "
                "mm/day 1 is usual"
            )

    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return the model's threshold and the scale in every group of days."""
        arrays, groups = split_times(observed, modelled, self.group)
        found = apply_kernel(
            _intensity_kernel,
            *arrays,
            core_dims=TRAINING_DIMS,
            output_dims=[("group",), ("group",)],
            output_dtypes=(float, float),
            output_sizes={"group": len(groups[0].labels)},
            options={
                "groups": groups, "wet_from": self.wet_from, "cap": self.ratio_cap
            },
        )  # fmt: skip
        names = ("modelled_threshold", "scale")
        return label_groups(xr.Dataset(dict(zip(names, found, strict=True))), groups)

    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the target with wet days as often and as wet as observed."""
        groups = group_times(target["time"], self.group)
        require_trained(table, groups)
        return apply_kernel(
            _rescale_kernel,
            target,
            table["modelled_threshold"],
            table["scale"],
            core_dims=[("time",), ("group",), ("group",)],
            output_dims=[("time",)],
            options={"groups": groups, "wet_from": self.wet_from},
        )


def _intensity_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    groups: tuple[TimeGroups, TimeGroups],
    wet_from: float,
    cap: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return thresholds and scales, shape (..., groups)."""
    o_all = finite_rows(observed, True)[:, groups[0].order]
    h_all = finite_rows(modelled, True)[:, groups[1].order]
    shape = (len(o_all), len(groups[0].labels))
    threshold, scale = np.full(shape, np.nan), np.full(shape, np.nan)
    stretches = zip(groups[0].window, groups[1].window, strict=True)
    for group, ((start, stop), (h_start, h_stop)) in enumerate(stretches):
        ordered = np.sort(h_all[:, h_start:h_stop], axis=-1)
        for row in range(shape[0]):
            o = o_all[row, start:stop]
            wet = o[o >= wet_from]
            n_o, n_h = np.isfinite(o).sum(), np.isfinite(ordered[row]).sum()
            if n_o == 0 or n_h == 0:
                continue
            # As many wet days of the model, but none of its days without any rain.
            n_positive = (ordered[row, :n_h] > 0).sum()
            n_wet = min(round(wet.size / n_o * n_h), int(n_positive))
            if n_wet == 0:
                threshold[row, group] = np.nextafter(ordered[row, n_h - 1], np.inf)
                scale[row, group] = 1.0
                continue
            h = ordered[row, n_h - n_wet : n_h]
            threshold[row, group] = h[0]
            excess, wanted = h.mean() - h[0], wet.mean() - wet_from
            scale[row, group] = min(wanted / excess, cap) if excess > 0 else 1.0
    loop = observed.shape[:-1]
    return threshold.reshape(*loop, -1), scale.reshape(*loop, -1)


def _rescale_kernel(
    target: np.ndarray,
    threshold: np.ndarray,
    scale: np.ndarray,
    groups: TimeGroups,
    wet_from: float,
) -> np.ndarray:
    """Return the rescaled target, shape (..., time)."""
    rows = finite_rows(target, True)
    n = threshold.shape[-1]
    start = spread_over_time(threshold.reshape(-1, n), groups)
    slope = spread_over_time(scale.reshape(-1, n), groups)
    result = np.maximum(wet_from + (rows - start) * slope, 0.0)
    return np.where(rows == 0.0, 0.0, result).reshape(target.shape)
