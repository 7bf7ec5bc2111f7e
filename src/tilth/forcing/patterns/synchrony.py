"""Whether predictors follow the weather that was observed, day by day.

A free-running climate model has the right climate and the wrong days. A regression on
it learns the mean and nothing else, and the rank step then hides that: the output has
the observed distribution and no skill. This test asks first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilth.core.errors import InputError

__all__ = ["TARGETS", "Synchrony", "spread_out", "synchrony_test"]

#: Days of the running mean: weather systems pass in about five.
_SMOOTHING = 5

#: Lags allowed for, time steps each way: definitions of the day differ by one.
_LAGS = 1

#: Lags looked at to see whether times are labelled differently.
_FAR_LAGS = 3

#: Pairings of seasons with other seasons, all of which the true one must beat: of
#: free-running models 1 in 500 passes.
_DRAWS = 499

#: A lag with a correlation larger by this factor is no chance.
_CLEARLY = 1.25

#: Smoothed correlation there must be at least: with less than a tenth of the variance
#: in common there is nothing to learn. (One of nine real seasonal hindcasts, a month
#: ahead, beats all wrong pairings with .26; reanalyses have .4 to .9.)
_LEAST = 0.3

#: Targets, and predictors of each, that are looked at.
TARGETS, _COLUMNS = 20, 60

#: With fewer seasons than that the whole is cut into so many blocks instead.
_FEWEST, _BLOCKS = 4, 12


@dataclass(frozen=True)
class Synchrony:
    """What the test found.

    Parameters
    ----------
    correlation : float
        Largest absolute one over predictors and lags, mean over targets.
    lag : int
        Time steps by which the predictor comes later where the series as they are,
        not smoothed, are most alike.
    lag_gain : float
        Correlation there over that without a lag.
    bound : float
        Largest correlation of wrong pairings of seasons, 0.3 at least.
    pairings : int
        Number of wrong pairings drawn.
    """

    correlation: float
    lag: int
    lag_gain: float
    bound: float
    pairings: int

    @property
    def synchronous(self) -> bool:
        """Whether the correlation is above the bound."""
        return self.correlation > self.bound

    @property
    def shifted(self) -> bool:
        """Whether times are labelled differently: a lag fits clearly better."""
        return self.lag_gain > _CLEARLY


def synchrony_test(
    features: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray,
    columns: Sequence[np.ndarray] | None = None,
    *,
    seed: int = 0,
) -> Synchrony:
    r"""Compare the correlation of predictors and targets with that of wrong years.

    Both are smoothed over five time steps within their seasons. The statistic is

    .. math:: \frac{1}{m} \sum_j \max_{k, |l| \le 1}
        \left| \mathrm{corr}(x_k(t + l), y_j(t)) \right| ,

    and its bound, 0.3 or more, comes from pairing every season of the predictors with
    another season of the targets. Days of the year stay together, so that a common
    annual cycle is in the bound and does not count as synchrony.

    Parameters
    ----------
    features : numpy.ndarray, shape (n, p)
        Predictors, such as cells of a field, without gaps.
    targets : numpy.ndarray, shape (n, m)
        On the scale of learning; NaN is missing. Of more than 20, as many are looked
        at, from the first to the last.
    labels : numpy.ndarray of int, shape (n,)
        Season or year of each time. With fewer than four, twelve blocks of equal
        length take their place.
    columns : sequence of numpy.ndarray of int, optional
        Predictors of each target; by default all. Of more than 60, as many are looked
        at.
    seed : int, default 0
        Of the pairings.

    Returns
    -------
    Synchrony
        Correlation and bound.

    Raises
    ------
    InputError
        If there are too few times.
    """
    blocks = _blocks(labels)
    length = min(block.size for block in blocks)
    least = 2 * _FAR_LAGS + _SMOOTHING + 10
    if length < least:
        raise InputError(
            f"the shortest of {len(blocks)} seasons or blocks has {length} times with "
            "all predictors: too few to see whether predictors follow the observed "
            f"weather; give {_FEWEST} seasons, or {least * _BLOCKS} times, and {least} "
            "times of each season"
        )
    rows = np.stack([block[:length] for block in blocks])
    season = np.arange(len(blocks))
    draws = _wrong_pairings(season.size, np.random.default_rng(seed))
    own, wrong, by_lag = 0.0, np.zeros(len(draws)), np.zeros(2 * _FAR_LAGS + 1)
    chosen = spread_out(targets.shape[1], TARGETS)
    for j in chosen:
        at = np.arange(features.shape[1]) if columns is None else columns[j]
        x = _standard(features[:, at[spread_out(at.size, _COLUMNS)]].T)[:, rows]
        y = _standard(targets[:, [j]].T)[0, rows]
        products = _products(_smooth(x), _smooth(y), _LAGS)
        own += np.abs(products[..., season, season].sum(axis=-1)).max()
        other = np.abs(products[..., draws, season].sum(axis=-1))
        wrong += other.reshape(-1, len(draws)).max(axis=0)
        plain = np.abs(_products(x, y, _FAR_LAGS)[..., season, season].sum(axis=-1))
        by_lag += plain.max(axis=0)
    lag = int(np.argmax(by_lag))
    return Synchrony(
        correlation=float(own / chosen.size),
        lag=lag - _FAR_LAGS,
        lag_gain=float(by_lag[lag] / max(by_lag[_FAR_LAGS], 1e-12)),
        bound=max(float(wrong.max() / chosen.size), _LEAST),
        pairings=len(draws),
    )


def spread_out(size: int, most: int) -> np.ndarray:
    """Return up to so many positions, evenly from the first to the last.

    Parameters
    ----------
    size : int
        Number of positions there are.
    most : int
        Number wanted at most.

    Returns
    -------
    numpy.ndarray of int
        Rising.

    Examples
    --------
    >>> spread_out(100, 3)
    array([ 0, 49, 99])
    """
    return np.unique(np.linspace(0, size - 1, most).astype(int))


def _blocks(labels: np.ndarray) -> list[np.ndarray]:
    """Return the positions of each season, or of blocks where seasons are few."""
    known = np.unique(labels)
    if known.size < _FEWEST:
        return np.array_split(np.arange(labels.size), _BLOCKS)
    found = [np.flatnonzero(labels == label) for label in known]
    usual = np.median([block.size for block in found])
    # A season cut short at the edge of the data would shorten all others.
    whole = [block for block in found if block.size >= 0.8 * usual]
    return whole if len(whole) >= _FEWEST else found


def _standard(rows: np.ndarray) -> np.ndarray:
    """Return z-scores of each row; zero, the mean, where a value is missing."""
    present = np.isfinite(rows)
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    centred = np.where(present, rows, 0.0)
    centred = np.where(present, rows - centred.sum(axis=1, keepdims=True) / count, 0.0)
    size = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    return centred / np.where(size > 0, size, 1.0)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return running means along the last axis, shorter by the window less one."""
    total = np.cumsum(values, axis=-1)
    first = total[..., _SMOOTHING - 1 :].copy()
    first[..., 1:] -= total[..., :-_SMOOTHING]
    return first / _SMOOTHING


def _products(x: np.ndarray, y: np.ndarray, lags: int) -> np.ndarray:
    """Return covariances (k, lag, season of x, season of y) with one target.

    Scaled so that the sum over equal seasons is the correlation.
    """
    inner = slice(lags, y.shape[-1] - lags)
    target = _unit(y[None, :, inner])[0]
    moved = [
        _unit(x[..., inner.start + lag : inner.stop + lag])
        for lag in range(-lags, lags + 1)
    ]
    return np.stack([part @ target.T for part in moved], axis=1)


def _unit(values: np.ndarray) -> np.ndarray:
    """Return (k, season, time) centred and of length one over season and time."""
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return centred / np.where(length > 0, length, 1.0)


def _wrong_pairings(count: int, generator: np.random.Generator) -> np.ndarray:
    """Return orders (draws, count) in which no season stays in its place."""
    own = np.arange(count)
    drawn: list[np.ndarray] = []
    while len(drawn) < _DRAWS:
        order = generator.permutation(count)
        if not (order == own).any():
            drawn.append(order)
    return np.stack(drawn)
