"""Detrended quantile mapping: the mean's change kept, the deviations mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.adjuster import Kind, Method
from tilth.forcing.adjust.checks import check_numbers
from tilth.forcing.adjust.groups import Grouping, TimeGroups, as_grouping, group_times
from tilth.forcing.adjust.linear import group_means, spread_over_time
from tilth.forcing.adjust.quantiles import (
    by_batches,
    correction,
    factors_by_value,
    finite_rows,
    group_quantiles,
    node_probabilities,
)
from tilth.forcing.adjust.tables import (
    TRAINING_DIMS,
    label_groups,
    require_trained,
    split_times,
)
from tilth.forcing.adjust.trends import decimal_years, group_trends

#: A line through amounts is kept above this share of their mean, or a falling one
#: would reach zero and the ratios to it infinity.
LOWEST_SHARE = 0.1


@dataclass(frozen=True)
class DQM(Method):
    r"""Detrended quantile mapping.

    The target is given the observed mean, :math:`n = s + \bar o - \bar h`; the
    deviations from its straight trend L(t) are mapped as those of the training period
    from their mean, and the trend is put in again:

    .. math:: d = n - L(t), \qquad
       s' = L(t) + d + [F_{o-\bar o}^{-1} - F_{h-\bar h}^{-1}](F_{h-\bar h}(d)) ,

    or with ratios throughout. The change of the mean is close to the model's, as far as
    deviations keep their distribution; those of quantiles need not be.

    Parameters
    ----------
    kind : {"+", "*"}
        Difference, as for temperature, or ratio, as for precipitation; then a line
        stays above a tenth of its mean, and values below zero count as zero.
    quantiles : int
        Nodes at ``(i - 1/2) / n``, as in `QuantileMethod`.
    group : {"none", "month"} or DayWindow
        Days that share a distribution, a mean and a trend.
    ratio_cap : float
        Largest ratio.

    Raises
    ------
    InputError
        If a setting is out of its range.

    References
    ----------
    Cannon, Sobie & Murdock (2015), J. Climate 28, 6938-6959, section 2.

    Examples
    --------
    >>> DQM(group="31 days").kind
    '+'
    """

    kind: Kind = "+"
    quantiles: int = 50
    group: Grouping = "none"
    ratio_cap: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        check_numbers(self.ratio_cap, self.quantiles)

    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return means, and quantiles of the deviations from them."""
        arrays, groups = split_times(observed, modelled, self.group)
        names = ["observed_deviations", "modelled_deviations"]
        names += ["observed_mean", "modelled_mean"]
        dims: list[tuple[str, ...]] = [("group", "quantile")] * 2 + [("group",)] * 2
        probabilities = node_probabilities(self.quantiles)
        found = apply_kernel(
            _deviation_kernel,
            *arrays,
            core_dims=TRAINING_DIMS,
            output_dims=dims,
            output_dtypes=[float] * 4,
            output_sizes={"group": len(groups[0].labels), "quantile": self.quantiles},
            options={
                "groups": groups,
                "probabilities": probabilities,
                "ratio": self.kind == "*",
            },
        )
        table = xr.Dataset(dict(zip(names, found, strict=True)))
        return label_groups(table, groups).assign_coords(quantile=probabilities)

    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the target, its deviations mapped."""
        groups = group_times(target["time"], self.group)
        require_trained(table, groups)
        return apply_kernel(
            _detrended_kernel,
            target,
            table["observed_deviations"],
            table["modelled_deviations"],
            table["observed_mean"],
            table["modelled_mean"],
            core_dims=[("time",), *[("group", "quantile")] * 2, *[("group",)] * 2],
            output_dims=[("time",)],
            options={
                "groups": groups,
                "years": decimal_years(target["time"]),
                "kind": self.kind,
                "cap": self.ratio_cap,
            },
        )


def _deviation_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    groups: tuple[TimeGroups, TimeGroups],
    probabilities: np.ndarray,
    ratio: bool,
) -> tuple[np.ndarray, ...]:
    """Return quantiles of deviations and means, of both."""

    def work(*series: np.ndarray) -> tuple[np.ndarray, ...]:
        quantiles, means = [], []
        for values, of in zip(series, groups, strict=True):
            rows = finite_rows(values, ratio)
            mean = group_means(rows, of)
            found = group_quantiles(rows, of, probabilities)
            if ratio:
                # A dry group has no deviations: its quantiles are those of no change.
                positive = np.where(mean > 0, mean, 1.0)
                quantiles.append(found / positive[..., None])
            else:
                quantiles.append(found - mean[..., None])
            means.append(mean)
        return (*quantiles, *means)

    return by_batches(work, observed.shape[:-1], observed, modelled)


def _detrended_kernel(
    target: np.ndarray,
    *table: np.ndarray,
    groups: TimeGroups,
    years: np.ndarray,
    kind: str,
    cap: float,
) -> np.ndarray:
    """Return the adjusted target, shape (..., time)."""
    ratio = kind == "*"

    def work(target: np.ndarray, *table: Any) -> tuple[np.ndarray]:
        observed, modelled, observed_mean, modelled_mean = table
        rows = finite_rows(target, ratio)
        scaling = spread_over_time(
            correction(observed_mean, modelled_mean, kind, cap), groups
        )
        scaled = rows * scaling if ratio else rows + scaling
        line, mean = group_trends(scaled, years, groups)
        if ratio:
            line = np.maximum(line, LOWEST_SHARE * mean)
            line = np.where(line > 0, line, 1.0)
        factors = factors_by_value(
            scaled / line if ratio else scaled - line,
            modelled,
            correction(observed, modelled, kind, cap),
            groups.first,
            groups.second,
            groups.weight,
        )
        return (scaled * factors if ratio else scaled + factors,)

    return by_batches(work, target.shape[:-1], target, *table)[0]
