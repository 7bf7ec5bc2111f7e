"""Held-out scores of the chain, before and after, beside climatology."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tilth.stats.hydrographs import log_nse
from tilth.stats.scores import kge, nse, score_intervals
from tilth.studies.calibrate_by_gauge.problem import Problem

#: Days on either side over which the climatology is averaged.
_HALF_WINDOW = 15

#: Level of the intervals and draws of whole months for them.
_LEVEL, _DRAWS = 0.90, 1000


def climatology(problem: Problem) -> np.ndarray:
    """Return the discharge of the day of the year, from the training years.

    The mean of the training years on each day of the year, averaged over 31 days.

    Parameters
    ----------
    problem : Problem
        With the training years.

    Returns
    -------
    array, shape (record, column)
        m3 s-1.
    """
    time = pd.DatetimeIndex(problem.time)
    # Days are counted as in a leap year, so that 1 March is the same in all.
    leap = time.is_leap_year | (time.month < 3)
    day = np.asarray(time.day_of_year + np.where(leap, 0, 1)) - 1
    found = np.empty_like(problem.observed)
    window = np.arange(-_HALF_WINDOW, _HALF_WINDOW + 1)
    for j in range(problem.size):
        own = problem.fitted[:, j]
        total = np.bincount(day[own], problem.observed[own, j], 366)
        count = np.bincount(day[own], minlength=366)
        around = (np.arange(366)[:, None] + window) % 366
        mean = total[around].sum(axis=1) / count[around].sum(axis=1)
        found[:, j] = mean[day]
    return found


def held_out_scores(
    flows: Mapping[str, np.ndarray], problem: Problem, names: list[str], seed: int
) -> pd.DataFrame:
    """Score every series in the held-out year of every column.

    Parameters
    ----------
    flows : mapping of str to array, shape (record, column)
        Name of a series -> discharge, m3 s-1.
    problem : Problem
        One column for each basin and split.
    names : list of str
        Of the basins.
    seed : int
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        By split, basin and series: ``KGE'`` with ``lower`` and ``upper`` (90 %, whole
        months drawn), ``NSE``, ``log NSE``, ``bias %`` over the held-out year, and
        ``KGE' fitted`` over the training years.
    """
    month = np.asarray(pd.DatetimeIndex(problem.time).month)
    rows = []
    for j, column in enumerate(problem.columns):
        test, train = problem.tested[:, j], problem.fitted[:, j]
        truth = problem.observed[:, j]
        for name, flow in flows.items():
            own, seen = flow[test, j], truth[test]
            limits = score_intervals(
                own, seen, month[test], draws=_DRAWS, level=_LEVEL, seed=seed
            )["kge"]
            rows.append(
                {
                    "split": column.split.name,
                    "basin": names[column.basin],
                    "series": name,
                    "KGE'": kge(own, seen),
                    "lower": limits.lower,
                    "upper": limits.upper,
                    "NSE": nse(own, seen),
                    "log NSE": log_nse(own, seen),
                    "bias %": 100.0 * (own.mean() / seen.mean() - 1.0),
                    "KGE' fitted": kge(flow[train, j], truth[train]),
                }
            )
    return pd.DataFrame(rows)
