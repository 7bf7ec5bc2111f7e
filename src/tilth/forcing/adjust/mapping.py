"""Quantile mapping: a value becomes the observed one of the same rank in training."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.adjuster import Kind, Method
from tilth.forcing.adjust.checks import check_numbers
from tilth.forcing.adjust.draws import TARGET, cell_identities
from tilth.forcing.adjust.frequency import (
    Change,
    DryDays,
    change_own,
    spread_dry,
    wetting,
)
from tilth.forcing.adjust.groups import Grouping, TimeGroups, as_grouping, group_times
from tilth.forcing.adjust.quantiles import (
    by_batches,
    correction,
    factors_by_value,
    finite_rows,
)
from tilth.forcing.adjust.tables import quantile_table, require_trained


@dataclass(frozen=True)
class QuantileMethod(Method):
    """What methods that compare empirical quantiles have in common: their settings.

    Parameters
    ----------
    kind : {"+", "*"}
        Difference, as for temperature, or ratio, as for precipitation; then values
        below zero, which rounding leaves in some reanalyses, count as zero.
    quantiles : int
        Nodes at ``(i - 1/2) / n``, between which factors are linear and beyond which
        they are constant. 50 of them leave 1 % of the values in each tail.
    group : {"none", "month"} or DayWindow
        Days that share a distribution; between the middles of months factors change
        linearly. A window costs more and follows the season best.
    ratio_cap : float
        Largest ratio, where the model's quantile is almost zero. In the rain of two
        Canadian stations the largest by month is 5.5.
    dry_below : float, optional
        Values under it, in the units of the observations, are dry: ties among them
        are broken by seeded draws, and results under it are 0. Without it dry days
        are values like others. 0.05 mm/day is a trace (Cannon et al. 2015).
    adapt_frequency : bool
        Make surplus dry days of the model wet (Themessl et al. 2012); needs
        `dry_below`.
    seed : int
        Of the draws, which also depend on the coordinates of each place.

    Raises
    ------
    InputError
        If a setting is out of its range, or dry days are asked for with ``kind="+"``.
    """

    kind: Kind = "+"
    quantiles: int = 50
    group: Grouping = "none"
    ratio_cap: float = 10.0
    dry_below: float | None = None
    adapt_frequency: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        check_numbers(self.ratio_cap, self.quantiles)
        if self.dry_below is None:
            if self.adapt_frequency:
                raise InputError(
                    "adapt_frequency needs dry_below, the value under which a day is "
                    "dry, for example 0.05 for precipitation in mm/day"
                )
        elif self.kind != "*" or not self.dry_below > 0:
            raise InputError(
                "dry_below is a small positive value for kind='*', got "
                f"{self.dry_below} with kind={self.kind!r}"
            )

    @property
    def dry(self) -> DryDays | None:
        """What is done about dry days."""
        if self.dry_below is None:
            return None
        return DryDays(self.dry_below, self.adapt_frequency, self.seed)

    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return the quantiles of both in every group of days."""
        ratio = self.kind == "*"
        return quantile_table(
            observed, modelled, self.group, self.quantiles, ratio, self.dry
        )

    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the target with the factors of its days."""
        groups = group_times(target["time"], self.group)
        require_trained(table, groups)
        names = ["observed_quantiles", "modelled_quantiles"]
        dims: list[tuple[str, ...]] = [("group", "quantile")] * 2
        if self.adapt_frequency:
            names += ["dry_surplus", "wet_limit"]
            dims += [("group",)] * 2
        return apply_kernel(
            _adjust_kernel,
            target,
            cell_identities(target),
            *(table[name] for name in names),
            core_dims=[("time",), (), *dims],
            output_dims=[("time",)],
            options={"method": self, "groups": groups},
        )

    @abc.abstractmethod
    def factors(
        self,
        values: np.ndarray,
        before: np.ndarray,
        observed: np.ndarray,
        modelled: np.ndarray,
        groups: TimeGroups,
        change: Change | None,
    ) -> np.ndarray:
        """Return the factor of every value.

        Parameters
        ----------
        values : numpy.ndarray, shape (rows, time)
            Values, NaN where missing, surplus dry days made wet.
        before : numpy.ndarray, shape (rows, time)
            The same before that.
        observed, modelled : numpy.ndarray, shape (rows, groups, nodes)
            Quantiles in training.
        groups : TimeGroups
            Of the times.
        change : callable, optional
            What makes surplus dry days wet, for the windows of `before`.

        Returns
        -------
        numpy.ndarray, shape (rows, time)
            To be added or multiplied.
        """


@dataclass(frozen=True)
class EQM(QuantileMethod):
    r"""Empirical quantile mapping.

    .. math:: s' = s + F_o^{-1}(q) - F_h^{-1}(q), \qquad q = F_h(s)

    or with the ratio of the two quantiles. Beyond the range of the training period the
    factor stays that of the outermost node. The distribution of the training period
    becomes that of the observations, but changes are stretched where the model varies
    less or more than the observations: take `QDM` for climate change.

    Parameters
    ----------
    kind, quantiles, group, ratio_cap, dry_below, adapt_frequency, seed
        As in `QuantileMethod`.

    References
    ----------
    Themessl, Gobiet & Leuprecht (2011), Int. J. Climatol. 31, 1530-1544.

    Examples
    --------
    >>> EQM(kind="*", group="31 days").group
    DayWindow(days=31)
    """

    def factors(
        self,
        values: np.ndarray,
        before: np.ndarray,
        observed: np.ndarray,
        modelled: np.ndarray,
        groups: TimeGroups,
        change: Change | None,
    ) -> np.ndarray:
        """Return the factor of every value, by its place among modelled quantiles."""
        factors = correction(observed, modelled, self.kind, self.ratio_cap)
        return factors_by_value(
            values, modelled, factors, groups.first, groups.second, groups.weight
        )


def _adjust_kernel(
    target: np.ndarray,
    cells: np.ndarray,
    observed: np.ndarray,
    modelled: np.ndarray,
    *surplus: np.ndarray,
    method: QuantileMethod,
    groups: TimeGroups,
) -> np.ndarray:
    """Return the adjusted target, shape (..., time)."""
    dry = method.dry

    def work(target: np.ndarray, cells: np.ndarray, *table: Any) -> tuple[np.ndarray]:
        observed, modelled, *surplus = table
        rows = finite_rows(target, method.kind == "*")
        change = None
        if dry is not None:
            rows = spread_dry(rows, cells, dry, TARGET)
            if surplus:
                share, limit = surplus
                change = wetting(share, limit, cells, groups, dry, TARGET)
        values = rows if change is None else change_own(rows, groups, change)
        factors = method.factors(values, rows, observed, modelled, groups, change)
        result = values + factors if method.kind == "+" else values * factors
        if dry is not None:
            result[result < dry.below] = 0.0
        return (result,)

    arrays = (target, cells, observed, modelled, *surplus)
    return by_batches(work, cells.shape, *arrays)[0]
