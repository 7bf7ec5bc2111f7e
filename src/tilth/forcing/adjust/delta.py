"""Quantile delta mapping: observed quantiles, moved by the model's own changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilth.forcing.adjust.frequency import Change
from tilth.forcing.adjust.groups import TimeGroups
from tilth.forcing.adjust.mapping import QuantileMethod
from tilth.forcing.adjust.quantiles import correction, factors_by_rank, group_ranks


@dataclass(frozen=True)
class QDM(QuantileMethod):
    r"""Quantile delta mapping.

    .. math:: s' = s + F_o^{-1}(\tau) - F_h^{-1}(\tau), \qquad \tau = F_s(s)

    or, as a ratio, :math:`s' = s\,F_o^{-1}(\tau) / F_h^{-1}(\tau)`: the rank is that
    within the period to be adjusted, so that the change of every quantile, as a
    difference or as a ratio, is the model's own. That period should be short enough to
    have one climate, about 30 years.

    Parameters
    ----------
    kind, quantiles, group, ratio_cap, dry_below, adapt_frequency, seed
        As in `QuantileMethod`.
        Under a window ranks are those among all days of it.

    References
    ----------
    Cannon, Sobie & Murdock (2015), J. Climate 28, 6938-6959, equations 3 to 6.

    Examples
    --------
    >>> QDM(kind="*", dry_below=0.05, adapt_frequency=True).dry
    DryDays(below=0.05, adapt=True, seed=0)
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
        """Return the factor of every value, by its rank in its own period."""
        ranks = group_ranks(before, groups, change)
        factors = correction(observed, modelled, self.kind, self.ratio_cap)
        return factors_by_rank(
            ranks, factors, groups.first, groups.second, groups.weight
        )
