"""What a fit looks at: a column's weather, the land model's answer, and which days."""

from __future__ import annotations

import collections
from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """A column's daily series.

    ``weather`` (time, 5) of `tilth.land.fit.day.weather_table`; ``target`` (4, time):
    snow, soil, wetland, runoff of the land model, NaN where unknown; ``month`` (time),
    0 to 11.
    """

    weather: np.ndarray
    target: np.ndarray
    month: np.ndarray


class Pieces(NamedTuple):
    """Stretches of days: where each starts and how many days it has."""

    start: np.ndarray
    length: np.ndarray


class Goal(NamedTuple):
    """What is held against a run.

    ``weight`` (4) of the targets; ``variance`` (4) that the joint objective compares
    their errors with; ``volume_weight`` of the squared relative error of a window's
    runoff; ``unscored`` days at the start of a window;
    ``given_wetland``: whether the land model's wetland is known; ``switches`` of
    `tilth.land.fit.day.variant_switches`.
    """

    weight: np.ndarray
    variance: np.ndarray
    volume_weight: float
    unscored: int
    given_wetland: bool
    switches: tuple[bool, bool, float]


class Pull(NamedTuple):
    """Penalties in the unit box: ``strength`` (n) times the square of the distance.

    ``towards`` (n); ``smoothness`` is the strength of that between neighbouring months.
    """

    towards: np.ndarray
    strength: np.ndarray
    smoothness: float


def month_pieces(
    month: np.ndarray, year: np.ndarray, years: np.ndarray, target: np.ndarray
) -> list[Pieces]:
    """Cut a daily series into the months of its years.

    Parameters
    ----------
    month, year : ndarray of int, shape (time)
        Calendar month of each day, 0 to 11, and its year; days follow each other.
    years : ndarray of int
        Training years; a year that is there twice counts twice.
    target : ndarray, shape (4, time)
        See `Record`; a month starts from the snow and the soil water of its eve.

    Returns
    -------
    list of Pieces
        One per calendar month. A month whose eve is unknown is left out.
    """
    begins = startable(target)
    edges = np.flatnonzero(np.diff(month)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges, [month.size]])
    repeats = collections.Counter(int(y) for y in years)
    rows: list[list[tuple[int, int]]] = [[] for _ in range(12)]
    for a, b in zip(starts, ends, strict=True):
        if begins[a]:
            rows[month[a]] += [(a, b - a)] * repeats[int(year[a])]
    return [_pieces(of_month) for of_month in rows]


def window_pieces(
    year: np.ndarray, blocks: list[tuple[int, int]], target: np.ndarray
) -> Pieces:
    """Cut a daily series into windows of whole years.

    Parameters
    ----------
    year : ndarray of int, shape (time)
        Of each day.
    blocks : list of (int, int)
        First and last year of every window.
    target : ndarray, shape (4, time)
        See `Record`.

    Returns
    -------
    Pieces
        A window starts on its first day on whose eve the stores are known; one that
        has none is left out.
    """
    begins = startable(target)
    rows = []
    for first, last in blocks:
        days = np.flatnonzero((year >= first) & (year <= last))
        ready = days[begins[days]]
        if ready.size:
            rows.append((ready[0], days[-1] + 1 - ready[0]))
    return _pieces(rows)


def startable(target: np.ndarray) -> np.ndarray:
    """Return the days on whose eve the stores are known, shape (time).

    Parameters
    ----------
    target : ndarray, shape (4, time)
        See `Record`; the wetland counts where it is known at all.
    """
    known = np.isfinite(target[:2]).all(axis=0)
    wetland = np.isfinite(target[2])
    if wetland.any():
        known &= wetland
    return np.concatenate([[False], known[:-1]])


def _pieces(rows: list) -> Pieces:
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Pieces(np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1]))
