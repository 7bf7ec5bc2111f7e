"""A long series drawn to the width of a screen, without hiding a spike."""

from __future__ import annotations

import numpy as np

#: Columns of a screen nobody exceeds.
MOST_COLUMNS = 4000


def columns_of(
    t: np.ndarray, values: np.ndarray, start: int, end: int, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lowest and the highest value within each column of a screen.

    A line through 28,800 points on 1,200 columns shows exactly what a band from the
    lowest to the highest of each column shows, and nothing is averaged away.

    Parameters
    ----------
    t : array of int64, shape (n,)
        Times, utc ms, in any order.
    values : array of float, shape (n,)
        Values; NaN is no value.
    start, end : int
        Span of the screen, utc ms; `end` is outside.
    columns : int
        Width of the screen, 1 to 4000.

    Returns
    -------
    t : array of int64, shape (m,)
        With no more values than columns: the times of the values. Otherwise the
        middle of each column that holds a value. A gap of more than three columns
        (or of three usual steps) is marked by a NaN in it, so that no line is drawn
        across.
    low, high : arrays of float, shape (m,)
        Lowest and highest value.

    Examples
    --------
    >>> t = np.arange(8) * 10
    >>> middle, low, high = columns_of(t, np.array([1., 9, 2, 3, 4, 5, 6, 7]), 0, 80, 2)
    >>> middle.tolist(), low.tolist(), high.tolist()
    ([20, 60], [1.0, 4.0], [9.0, 7.0])
    """
    columns = max(1, min(int(columns), MOST_COLUMNS))
    inside = (t >= start) & (t < end) & np.isfinite(values)
    t, values = np.asarray(t[inside], np.int64), np.asarray(values[inside], float)
    order = np.argsort(t, kind="stable")
    t, values = t[order], values[order]
    if len(t) <= columns:
        step = 3 * np.median(np.diff(t)) if len(t) > 2 else np.inf
        return _with_gaps(t, values, values, step)
    width = (end - start) / columns
    column = ((t - start) / width).astype(np.int64)
    first = np.flatnonzero(np.diff(column, prepend=-1))
    middle = (start + (column[first] + 0.5) * width).astype(np.int64)
    return _with_gaps(
        middle,
        np.minimum.reduceat(values, first),
        np.maximum.reduceat(values, first),
        3.01 * width,
    )


def _with_gaps(
    t: np.ndarray, low: np.ndarray, high: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put a NaN where the next time is more than `step` later."""
    after = np.flatnonzero(np.diff(t) > step) + 1
    return (
        np.insert(t, after, (t[after - 1] + t[after]) // 2 if len(after) else 0),
        np.insert(low, after, np.nan),
        np.insert(high, after, np.nan),
    )
