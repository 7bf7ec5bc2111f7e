"""Dry days: ties among them broken, and those a model has too many of made wet.

A quantile mapping cannot make rain of a day without any, and cannot tell one dry day
from another. So values below a threshold are drawn anew between zero and it, and set
back to zero in the end (the removal of the singular distribution at zero of Vrac et al.
2016); and where the model is dry more often than the observations,
:math:`p_h = P(h < d) > p_o = P(o < d)`, the share :math:`(p_h - p_o) / p_h` of its dry
days gets amounts between the threshold d and :math:`F_o^{-1}(p_h)`, the observed amount
that the model's wet days start from (frequency adaptation of Themessl et al. 2012, who
draw from zero upwards; from the threshold on, a day made wet is wet).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from tilth.forcing.adjust.draws import uniform_draws
from tilth.forcing.adjust.groups import TimeGroups

#: What changes the values of a stretch of `TimeGroups.order` for a group:
#: ``change(values, group, start, stop)``.
Change = Callable[[np.ndarray, int, int, int], np.ndarray]


@dataclass(frozen=True)
class DryDays:
    """What is done about dry days.

    Parameters
    ----------
    below : float
        Values under it are dry, in the units of the observations.
    adapt : bool
        Whether surplus dry days are made wet.
    seed : int
        Of the draws.
    """

    below: float
    adapt: bool
    seed: int


def spread_dry(
    rows: np.ndarray, cells: np.ndarray, dry: DryDays, purpose: int
) -> np.ndarray:
    """Return series whose dry values are drawn between zero and the threshold.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        Not negative; NaN where missing.
    cells : numpy.ndarray of uint64, shape (rows,)
        Identities of the places, by `draws.cell_identities`.
    dry : DryDays
        Threshold and seed.
    purpose : int
        Which series this is, of `tilth.forcing.adjust.draws`.

    Returns
    -------
    numpy.ndarray
        Same shape.
    """
    draws = uniform_draws(dry.seed, cells, rows.shape[-1], purpose)
    return np.where(rows < dry.below, draws * dry.below, rows)


def dry_surplus(
    observed: np.ndarray,
    modelled: np.ndarray,
    groups: tuple[TimeGroups, TimeGroups],
    below: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which share of the model's dry days is too many, and how wet they become.

    Parameters
    ----------
    observed, modelled : numpy.ndarray, shape (rows, time)
        Series of both; NaN where missing.
    groups : tuple of TimeGroups
        Of each.
    below : float
        Values under it are dry.

    Returns
    -------
    share : numpy.ndarray, shape (rows, groups)
        Share of the dry days to make wet, 0 where the model is wet often enough.
    limit : numpy.ndarray, shape (rows, groups)
        Largest amount they get.
    """
    o_all, h_all = observed[:, groups[0].order], modelled[:, groups[1].order]
    shape = (len(observed), len(groups[0].labels))
    share, limit = np.zeros(shape), np.full(shape, below)
    stretches = zip(groups[0].window, groups[1].window, strict=True)
    for group, ((start, stop), (h_start, h_stop)) in enumerate(stretches):
        o, h = np.sort(o_all[:, start:stop], axis=-1), h_all[:, h_start:h_stop]
        _surplus_of_group(o, h, below, share[:, group], limit[:, group])
    return share, limit


@numba.njit(cache=True, nogil=True)
def _surplus_of_group(
    observed: np.ndarray,
    modelled: np.ndarray,
    below: float,
    share: np.ndarray,
    limit: np.ndarray,
) -> None:
    """Write share and limit of each row; observed values are sorted, NaN last."""
    for row in range(observed.shape[0]):
        n_o = n_h = dry_o = dry_h = 0
        for value in observed[row]:
            n_o += not np.isnan(value)
            dry_o += value < below
        for value in modelled[row]:
            n_h += not np.isnan(value)
            dry_h += value < below
        if n_o == 0 or dry_h * n_o <= dry_o * n_h:
            continue
        share[row] = 1.0 - (dry_o / n_o) / (dry_h / n_h)
        place = dry_h / n_h * (n_o - 1)
        low = int(place)
        high = min(low + 1, n_o - 1)
        wettest = observed[row, low]
        wettest += (place - low) * (observed[row, high] - wettest)
        limit[row] = max(wettest, below)


def wetting(
    share: np.ndarray,
    limit: np.ndarray,
    cells: np.ndarray,
    groups: TimeGroups,
    dry: DryDays,
    purpose: int,
) -> Change:
    """Return the change that makes surplus dry days wet.

    Parameters
    ----------
    share, limit : numpy.ndarray, shape (rows, groups)
        From `dry_surplus`.
    cells : numpy.ndarray of uint64, shape (rows,)
        Identities of the places, by `draws.cell_identities`.
    groups : TimeGroups
        Of the series to change.
    dry : DryDays
        Threshold and seed.
    purpose : int
        Which series this is, of `tilth.forcing.adjust.draws`.

    Returns
    -------
    callable
        ``change(values, group, start, stop)`` for values of shape (rows, stop - start).
    """
    n = groups.first.size
    chosen, amount = (
        uniform_draws(dry.seed, cells, n, purpose, which)[:, groups.order]
        for which in (1, 2)
    )

    def change(values: np.ndarray, group: int, start: int, stop: int) -> np.ndarray:
        """Return the values with the group's surplus of dry days made wet."""
        few = chosen[:, start:stop] < share[:, group, None]
        span = limit[:, group, None] - dry.below
        wet = dry.below + amount[:, start:stop] * span
        return np.where((values < dry.below) & few, wet, values)

    return change


def change_own(rows: np.ndarray, groups: TimeGroups, change: Change) -> np.ndarray:
    """Return series in which every time step is changed as its own group says.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        Series.
    groups : TimeGroups
        Of their times.
    change : callable
        From `wetting`.

    Returns
    -------
    numpy.ndarray
        Same shape.
    """
    result = rows.copy()
    for group, (start, stop) in enumerate(groups.own):
        steps = groups.order[start:stop]
        result[:, steps] = change(rows[:, steps], group, start, stop)
    return result
