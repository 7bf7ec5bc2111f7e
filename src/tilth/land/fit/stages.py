"""The two stages of a fit: every month by itself, then all months together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tilth.core.optional import load
from tilth.land.emulator.equations import Variant
from tilth.land.fit.day import variant_switches
from tilth.land.fit.ensemble import draw_members
from tilth.land.fit.evolution import evolve_month
from tilth.land.fit.months import FITTED, search_month
from tilth.land.fit.record import Goal, Pull, Record, window_pieces
from tilth.land.fit.scaling import Box
from tilth.land.fit.settings import TARGETS, FitSettings
from tilth.land.fit.windows import FIRST_DEEP, FIRST_WETLAND, JOINT, refine_jointly

#: Share of the variance of all months that the weight of a quiet month assumes.
_QUIET = 0.01

_SHARE_OF_MONTH = 15


class Calendar(NamedTuple):
    """Days of the series: ``month`` (0 to 11), ``year``; and the training ``years``."""

    month: np.ndarray
    year: np.ndarray
    years: np.ndarray


def fit_months(
    record: Record,
    months: list,
    trained: np.ndarray,
    spread: np.ndarray,
    box: Box,
    variant: Variant,
    settings: FitSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit every calendar month by itself, each from the land model's state.

    Parameters
    ----------
    record : Record
        Weather and targets.
    months : list of Pieces
        Of `month_pieces`.
    trained : ndarray of bool, shape (time)
        Days of the training years.
    spread : ndarray, shape (4,)
        Variance of the targets over the training days; infinite where not fitted.
    box : Box
        Of `parameter_box`.
    variant : Variant
        Form of the equations.
    settings : FitSettings
        How to fit.

    Returns
    -------
    ndarray, shape (12, 18)
        Places in the unit box.
    ndarray, shape (12,)
        The published objective: mean over years of the weighted sum of squares.
    """
    given_wetland = bool(np.isfinite(spread[2]))
    free = np.ones(FITTED, bool)
    free[_SHARE_OF_MONTH] = False
    free[-2] = not given_wetland
    free[-1] = variant.closed
    neutral = box.neutral.copy()
    neutral[_SHARE_OF_MONTH] = (
        settings.runoff_share - box.lower[_SHARE_OF_MONTH]
    ) / box.span[_SHARE_OF_MONTH]
    starts = _candidates(neutral, free, settings)
    places, losses = np.empty((12, FITTED)), np.empty(12)
    before = starts[:0]
    for m, pieces in enumerate(months):
        days = trained & (record.month == m)
        quiet = np.nan_to_num(variance(record.target[:, days]))
        weight = _user_weights(settings) / np.maximum(quiet, _QUIET * spread)
        goal = Goal(weight, spread, 0.0, 0, given_wetland, variant_switches(variant))
        years = pieces.start.size
        pull = Pull(neutral, np.full(FITTED, settings.month_pull * years), 0.0)
        first = np.concatenate([before, starts])
        if settings.method == "evolution":
            evolved, _, _ = evolve_month(
                np.random.default_rng([settings.seed, m]),
                first[: settings.starts],
                free,
                pull,
                box,
                pieces,
                record,
                goal,
                settings.generations,
            )
            first = np.concatenate([evolved[None], first[:1]])
        found, loss = search_month(
            first,
            settings.starts,
            free,
            pull,
            box,
            pieces,
            record,
            goal,
            settings.month_iterations,
            settings.month_tolerance,
        )
        places[m], losses[m] = found[0], loss[0] / years
        before = found[:1]  # the next month is tried from here
    return places, losses


def months_to_joint(places: np.ndarray) -> np.ndarray:
    """Put the places of twelve months, (12, 18), into one of all, (183)."""
    return np.concatenate([places[:, :15].T.ravel(), places[0, 15:]])


def fit_jointly(
    place: np.ndarray,
    record: Record,
    calendar: Calendar,
    spread: np.ndarray,
    box: Box,
    variant: Variant,
    settings: FitSettings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Refine all months together in free runs through windows of years.

    Parameters
    ----------
    place : ndarray, shape (183,)
        Where to start, in the unit box; the pull goes there.
    record, calendar, spread, variant, settings
        As `fit_months`.
    box : Box
        Of `joint_box`.

    Returns
    -------
    ndarray, shape (183,)
        The refined place.
    ndarray, shape (2, 4)
        Mean square error over variance of each target in the windows, before and after.
    ndarray, shape (members, 183)
        Places of the members.
    """
    blocks = year_blocks(calendar.years, settings.window_years, settings.window_step)
    windows = window_pieces(calendar.year, blocks, record.target)
    goal = window_goal(spread, variant, settings)
    free = np.ones(JOINT, bool)
    free[FIRST_WETLAND] = not goal.given_wetland
    free[FIRST_DEEP] = variant.closed
    pull = Pull(
        place.copy(),
        np.full(JOINT, settings.joint_pull / np.unique(calendar.years).size),
        settings.smoothness,
    )
    refined = place.copy()
    missing = refine_jointly(
        refined,
        free,
        pull,
        box,
        windows,
        record,
        goal,
        settings.joint_iterations,
        settings.joint_tolerance,
    )
    members = (
        np.empty((0, JOINT))
        if not settings.members
        else draw_members(
            refined,
            free,
            pull,
            box,
            windows,
            record,
            calendar.year,
            goal,
            settings.members,
            settings.seed,
        )
    )
    return refined, missing, members


def window_goal(spread: np.ndarray, variant: Variant, settings: FitSettings) -> Goal:
    """Return what the joint fit holds against a run.

    Parameters
    ----------
    spread, variant, settings
        As `fit_months`.

    Returns
    -------
    Goal
        Targets that do not vary have no weight.
    """
    varies = np.isfinite(spread)
    return Goal(
        np.where(varies, _user_weights(settings), 0.0),
        np.where(varies, spread, 1.0),
        settings.volume_weight if varies[3] else 0.0,
        settings.unscored,
        bool(varies[2]),
        variant_switches(variant),
    )


def year_blocks(years: np.ndarray, length: int, step: int) -> list[tuple[int, int]]:
    """Return windows of `length` consecutive training years, every `step` years.

    A run of years that is shorter is one window; what is left at the end of a run is
    covered by a window that ends with it. A year that is there twice counts twice.

    Examples
    --------
    >>> year_blocks(np.arange(1990, 1995), 2, 2)
    [(1990, 1991), (1992, 1993), (1993, 1994)]
    """
    there = np.unique(years)
    runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
    blocks = []
    for run in runs:
        first, last = int(run[0]), int(run[-1])
        begin = first
        while begin + length - 1 <= last:
            blocks.append((begin, begin + length - 1))
            begin += step
        if not blocks or blocks[-1][1] < last:
            blocks.append((max(first, last - length + 1), last))
    return blocks


def variance(target: np.ndarray) -> np.ndarray:
    """Return the variance of each row over its known days, NaN where there is none.

    Parameters
    ----------
    target : ndarray, shape (4, time)
        See `Record`.
    """
    known = [row[np.isfinite(row)] for row in target]
    return np.array([row.var() if row.size else np.nan for row in known])


def _user_weights(settings: FitSettings) -> np.ndarray:
    return np.array([settings.weights.get(name, 1.0) for name in TARGETS])


def _candidates(
    neutral: np.ndarray, free: np.ndarray, settings: FitSettings
) -> np.ndarray:
    """Return the neutral place and points of a Sobol sequence around it."""
    points = load("scipy.stats", "stats").qmc.Sobol(FITTED, seed=settings.seed)
    count = max(settings.candidates, 1)
    drawn = points.random_base2(int(np.ceil(np.log2(count))))[:count]
    # Half-way to the neutral place: the corners of the box are no weather's answer.
    drawn = np.where(free, 0.5 * (drawn + neutral), neutral)
    return np.concatenate([neutral[None], drawn[: settings.candidates]])
