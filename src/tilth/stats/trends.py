"""Monotonic trends of series with a memory: Mann-Kendall's test and Sen's slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from tilth.core.errors import InputError
from tilth.stats.autocorrelation import lag1_autocorrelation
from tilth.stats.paired import check_level

Prewhitening = Literal["none", "lag1", "trend-free", "iterated"]

#: Ways of taking the memory out of a series before its trend is tested.
PREWHITENING = ("none", "lag1", "trend-free", "iterated")

#: Differences of pairs kept in memory at a time (numbers, not bytes).
_CHUNK = 20_000_000

#: Most rounds of slope and memory; they settle within ten.
_ROUNDS = 50


@dataclass(frozen=True)
class Trend:
    """A monotonic trend per series, with its test.

    Parameters
    ----------
    slope, lower, upper : float or numpy.ndarray
        Sen's slope and its interval, in units of the series per step.
    tau : float or numpy.ndarray
        Kendall's correlation of the tested series with time.
    statistic, p_value : float or numpy.ndarray
        Normal statistic, and probability of one as far from zero without a trend.
    lag1 : float or numpy.ndarray
        Autocorrelation that was taken out; zero where none was.
    count : int or numpy.ndarray
        Values of the tested series.
    level : float
        Probability of the interval.
    prewhitening : str
        How the memory was taken out.
    """

    slope: Any
    lower: Any
    upper: Any
    tau: Any
    statistic: Any
    p_value: Any
    lag1: Any
    count: Any
    level: float
    prewhitening: str


def mann_kendall(
    series: npt.ArrayLike,
    *,
    prewhitening: Prewhitening = "iterated",
    level: float = 0.95,
) -> Trend:
    r"""Test series for a monotonic trend, and give Sen's slope with an interval.

    .. math::

        S &= \sum_{i<j} \operatorname{sgn}(x_j - x_i), \qquad
        V = \frac{n (n-1) (2n+5) - \sum_g t_g (t_g - 1)(2 t_g + 5)}{18}, \\
        Z &= \frac{S - \operatorname{sgn} S}{\sqrt V}, \qquad
        \hat b = \operatorname{median}_{i<j} \frac{x_j - x_i}{j - i},

    with groups of :math:`t_g` equal values; the interval of the slope are those
    ranked :math:`(N \mp \Phi^{-1} \sqrt V)/2` among the N slopes. The test takes
    values for independent. A memory, of lag-1 autocorrelation r, makes trends out of
    nothing, and has to be taken out before:

    * ``"none"``: as it is; for values without a memory;
    * ``"lag1"``: :math:`w_i = (x_i - r x_{i-1})/(1 - r)`, r of the series itself. A
      real trend raises r and so takes part of itself away;
    * ``"trend-free"``: r of what Sen's line leaves, and the line put back on
      :math:`e_i - r e_{i-1}`. As published it raises too many alarms: the noise has
      shrunk, the line has not;
    * ``"iterated"``: :math:`w_i = (x_i - r x_{i-1})/(1 - r)`, which has the slope of
      the series, with r of what that slope leaves (corrected for short series), both
      found in turns.

    Parameters
    ----------
    series : array_like, shape (..., n)
        Evenly spaced in time, such as one value a year; missing values are NaN.
    prewhitening : {"iterated", "none", "lag1", "trend-free"}
        How the memory is taken out; a negative one is left by ``"iterated"``.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    Trend
        One per series; NaN below eight values.

    Raises
    ------
    InputError
        If the series have fewer than eight steps, `prewhitening` is another one or
        `level` is not between 0 and 1.

    Notes
    -----
    False alarms at the 5 % level and coverage of the 95 % interval of the slope, in
    simulated series of 50 values whose lag-1 autocorrelation is 0.4:

    ============  ============  ========
    prewhitening  false alarms  coverage
    ============  ============  ========
    none          20 %          82 %
    lag1          4 %           95 %
    trend-free    21 %          80 %
    iterated      6 %           95 %
    ============  ============  ========

    ``lag1`` finds fewer of the real ones than ``iterated``; with 30 values and an
    autocorrelation of 0.6 ``iterated`` raises 9 % false alarms.

    References
    ----------
    Mann (1945), Econometrica 13, 245-259. Kendall (1975), Rank Correlation Methods.
    Sen (1968), J. Am. Stat. Assoc. 63, 1379-1389. ``lag1``: von Storch (1995), in
    Analysis of Climate Variability, chapter 2. ``trend-free``: Yue, Pilon, Phinney &
    Cavadias (2002), Hydrol. Process. 16, 1807-1829. ``iterated``: Wang & Swail (2001),
    J. Climate 14, 2204-2221, appendix A; Zhang & Zwiers (2004), Water Resour. Res. 40,
    W03805.
    """
    data = np.asarray(series, float)
    check_level(level)
    if prewhitening not in PREWHITENING:
        raise InputError(
            f"prewhitening is one of {', '.join(PREWHITENING)}, got {prewhitening!r}"
        )
    if data.ndim == 0 or data.shape[-1] < 8:
        raise InputError(
            f"a trend needs at least eight values along time, got shape {data.shape}"
        )
    rows = np.where(np.isfinite(data), data, np.nan).reshape(-1, data.shape[-1])
    pairs = rows.shape[-1] * (rows.shape[-1] - 1) // 2
    step = max(1, _CHUNK // pairs)
    parts = [
        _trends(rows[k : k + step], prewhitening, level)
        for k in range(0, rows.shape[0], step)
    ]
    shape = data.shape[:-1]
    found = [
        _plain(np.concatenate(column).reshape(shape))
        for column in zip(*parts, strict=True)
    ]
    slope, lower, upper, tau, z, p, lag1, count = found
    return Trend(slope, lower, upper, tau, z, p, lag1, count, level, prewhitening)


def _trends(x: np.ndarray, how: str, level: float) -> tuple[np.ndarray, ...]:
    """Return the fields of `Trend` of some rows."""
    tested, r = _whitened(x, how)
    count = np.isfinite(tested).sum(axis=-1)
    s, variance = _kendall(tested)
    # Without a memory to take out the line is that of the series themselves.
    slopes = _pair_slopes(tested)
    slope = _median(slopes)
    half = special.ndtri((1.0 + level) / 2.0) * np.sqrt(variance)
    lower, upper = _ranked(slopes, half)
    enough = (count >= 8) & (variance > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(enough, (s - np.sign(s)) / np.sqrt(variance), np.nan)
        tau = np.where(enough, s / (count * (count - 1) / 2.0), np.nan)
    p = 2.0 * special.ndtr(-np.abs(z))
    slope, lower, upper, r = (
        np.where(count >= 8, v, np.nan) for v in (slope, lower, upper, r)
    )
    return slope, lower, upper, tau, z, p, r, count


def _whitened(x: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows without their memory, and what it was."""
    if how == "none":
        return x, np.zeros(x.shape[0])
    if how == "lag1":
        r = _memory(x)
        return _without(x, r), r
    time = np.arange(x.shape[-1])
    slope = _median(_pair_slopes(x))
    if how == "trend-free":
        residual = x - slope[:, None] * time
        r = _memory(residual)
        left = residual[:, 1:] - r[:, None] * residual[:, :-1]
        return left + slope[:, None] * time[1:], r
    return _iterated(x, slope)


def _iterated(x: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find slope and memory in turns; each row until its memory settles."""
    time = np.arange(x.shape[-1])
    r = np.zeros(x.shape[0])
    open_rows = np.arange(x.shape[0])
    for _ in range(_ROUNDS):
        residual = x[open_rows] - slope[open_rows, None] * time
        memory = lag1_autocorrelation(residual, parameters=2).value
        new = np.clip(np.where(np.isfinite(memory), memory, 0.0), 0.0, 0.95)
        moved = np.abs(new - r[open_rows]) > 1e-3
        r[open_rows] = new
        open_rows = open_rows[moved]
        if not open_rows.size:
            break
        slope[open_rows] = _median(_pair_slopes(_without(x[open_rows], r[open_rows])))
    return _without(x, r), r


def _memory(x: np.ndarray) -> np.ndarray:
    """Return the plain lag-1 autocorrelation; zero where there is none."""
    r = lag1_autocorrelation(x).uncorrected
    return np.clip(np.where(np.isfinite(r), r, 0.0), -0.99, 0.99)


def _without(x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Take a lag-1 memory out, keeping the slope."""
    r = r[:, None]
    return (x[:, 1:] - r * x[:, :-1]) / (1.0 - r)


def _kendall(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Kendall's S and its variance with ties."""
    n = np.isfinite(x).sum(axis=-1)
    s = np.zeros(x.shape[0])
    alike = np.ones(x.shape)  # how many values are equal to each, itself included
    for lag in range(1, x.shape[-1]):
        difference = x[:, lag:] - x[:, :-lag]
        s += np.nansum(np.sign(difference), axis=-1)
        same = difference == 0.0
        alike[:, lag:] += same
        alike[:, :-lag] += same
    ties = np.where(np.isfinite(x), (alike - 1.0) * (2.0 * alike + 5.0), 0.0)
    return s, (n * (n - 1.0) * (2.0 * n + 5.0) - ties.sum(axis=-1)) / 18.0


def _pair_slopes(x: np.ndarray) -> np.ndarray:
    """Return the slopes of all pairs of each row, ascending, missing ones last."""
    lags = range(1, x.shape[-1])
    return np.sort(
        np.concatenate([(x[:, k:] - x[:, :-k]) / k for k in lags], axis=-1), axis=-1
    )


def _median(ordered: np.ndarray) -> np.ndarray:
    """Return the median of ordered rows whose missing values stand last."""
    n = np.isfinite(ordered).sum(axis=-1)
    rows = np.arange(ordered.shape[0])
    low, high = np.maximum((n - 1) // 2, 0), n // 2
    high = np.minimum(high, ordered.shape[-1] - 1)
    middle = (ordered[rows, low] + ordered[rows, high]) / 2.0
    return np.where(n > 0, middle, np.nan)


def _ranked(ordered: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes `half` / 2 ranks below and above the middle (Sen 1968)."""
    n = np.isfinite(ordered).sum(axis=-1)
    half = np.where(np.isfinite(half), half, 0.0)
    rows = np.arange(ordered.shape[0])
    last = np.maximum(n - 1, 0)
    upper = np.minimum(np.round((n + half) / 2.0).astype(int), last)
    lower = np.maximum(np.round((n - half) / 2.0).astype(int) - 1, 0)
    return ordered[rows, lower], ordered[rows, upper]


def _plain(array: Any) -> Any:
    """Return a Python number for a single series, the array for several."""
    return array.item() if np.ndim(array) == 0 else array
