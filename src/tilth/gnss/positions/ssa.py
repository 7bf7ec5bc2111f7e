r"""Singular spectrum analysis of one channel or several, with gaps filled.

Windows of M epochs, slid along the series, are the rows of a matrix; with several
channels the windows of all stand side by side. The eigenvectors of its covariance are
patterns in time (and over channels) that no basis was chosen for: oscillations come in
pairs, slow changes alone. Each gives back its part of the series by averaging over all
windows that hold an epoch; the parts add up to the series.

Gaps are filled by what the leading patterns say there, again and again until it stays
the same; how many patterns are worth it is found on values held out (Kondrashov & Ghil
2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.signal import fftconvolve

from tilth.core.errors import InputError
from tilth.core.progress import track

#: Gaps are filled when their values move by less than this share of the spread.
_SETTLED = 0.01

#: Rounds of filling with as many patterns.
_ROUNDS = 20

#: Share of the values that judge how many patterns to fill with, and length of the
#: pieces held out, epochs: a single value between its neighbours would flatter.
_HELD_OUT, _PIECE = 0.1, 5


@dataclass(frozen=True)
class Spectrum:
    """Patterns of a series and what each gives back.

    Parameters
    ----------
    share : numpy.ndarray, shape (pattern,)
        Of the variance in the windows.
    patterns : numpy.ndarray, shape (pattern, channel, window)
        Eigenvectors of unit length.
    parts : numpy.ndarray, shape (pattern, epoch, channel)
        What each gives back; over all patterns they add up to the series.
    """

    share: np.ndarray
    patterns: np.ndarray
    parts: np.ndarray


def analyse(values: np.ndarray, window: int, count: int | None = None) -> Spectrum:
    """Find the leading patterns of channels without gaps.

    Parameters
    ----------
    values : array_like, shape (epoch,) or (epoch, channel)
        Even steps, no gaps; means removed, channels in comparable units.
    window : int
        Epochs in a window: as long as the longest oscillation to be told apart.
    count : int, optional
        Number of patterns; all by default.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputError
        If there are gaps, or the window is not between 2 and half of the series.

    References
    ----------
    Vautard, Yiou & Ghil (1992), Physica D 58, 95-126; several channels: Plaut &
    Vautard (1994), J. Atmos. Sci. 51, 210-236.
    """
    given = _columns(values)
    if not np.isfinite(given).all():
        raise InputError(
            "singular spectra need a value on every step: fill the gaps first with "
            "tilth.gnss.positions.ssa.fill_gaps"
        )
    return _analyse(given, window, count)


def _columns(values: np.ndarray) -> np.ndarray:
    """Return values as (epoch, channel)."""
    given = np.array(values, float)
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2:
        raise InputError(f"channels need two dimensions, got the shape {given.shape}")
    return given


def _analyse(values: np.ndarray, window: int, count: int | None) -> Spectrum:
    """Find the patterns of (epoch, channel)."""
    epochs, channels = values.shape
    if not 2 <= window <= epochs // 2:
        raise InputError(
            f"a window of {window} epochs for a series of {epochs}: it needs at "
            "least 2 and at most half of the series"
        )
    windows = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    rows = windows.reshape(len(windows), channels * window)
    size = channels * window
    few = min(count or size, size)
    covariance = rows.T @ rows / len(rows)
    power, vectors = eigh(covariance, subset_by_index=[size - few, size - 1])
    power, vectors = np.maximum(power[::-1], 0.0), vectors[:, ::-1]
    amplitudes = rows @ vectors
    patterns = vectors.T.reshape(few, channels, window)
    parts = fftconvolve(amplitudes.T[:, :, None], np.swapaxes(patterns, 1, 2), axes=1)
    covered = np.convolve(np.ones(len(rows)), np.ones(window))
    total = np.trace(covariance)
    share = power / total if total > 0 else np.zeros_like(power)
    return Spectrum(share, patterns, parts / covered[:, None])


@dataclass(frozen=True)
class Filled:
    """Channels without gaps.

    Parameters
    ----------
    values : numpy.ndarray, shape (epoch, channel)
        Observed where there is an observation, else what the patterns say.
    se : numpy.ndarray, shape (channel,)
        Root mean square error at values held out, beyond their noise or not: it is
        what a filled value differs from an observed one by.
    patterns : int
        How many were used.
    """

    values: np.ndarray
    se: np.ndarray
    patterns: int


def fill_gaps(
    values: np.ndarray, window: int, *, most: int = 12, seed: int = 0
) -> Filled:
    """Fill gaps of channels by their own leading patterns.

    Parameters
    ----------
    values : array_like, shape (epoch,) or (epoch, channel)
        Even steps; NaN where there is no value.
    window : int
        Epochs in a window; gaps longer than it fill with little but the mean.
    most : int
        Number of patterns to try.
    seed : int
        Of the choice of the values held out.

    Returns
    -------
    Filled

    Raises
    ------
    InputError
        If a channel is empty, or more than half of all values are missing.

    References
    ----------
    Kondrashov & Ghil (2006), Nonlin. Processes Geophys. 13, 151-159.
    """
    given = _columns(values)
    there = np.isfinite(given)
    if there.mean() < 0.5 or not there.any(axis=0).all():
        raise InputError(
            f"{there.mean():.0%} of the values are there and {there.any(axis=0).sum()} "
            f"of {given.shape[1]} channels have any: gaps cannot be filled from less "
            "than half"
        )
    held = _held_out(there, seed)
    judged = np.where(held, np.nan, given)
    errors, states = [], []
    state = _begin(judged)
    for k in track(range(1, most + 1), "filling gaps"):
        state = _settle(state, np.isfinite(judged), window, k)
        states.append(state)
        errors.append(np.sqrt(np.mean((state - given)[held] ** 2)))
    best = int(np.argmin(errors))
    misses = np.where(held, states[best] - given, np.nan)
    se = np.sqrt(np.nanmean(misses**2, axis=0))
    # From where the judged gaps have settled, with the values held out put back.
    full = np.where(there, given, states[best])
    if not there.all():
        full = _settle(full, there, window, best + 1)
    return Filled(full, se, best + 1)


def _held_out(there: np.ndarray, seed: int) -> np.ndarray:
    """Return which values to hold out: pieces in every channel."""
    draws = np.random.default_rng(seed)
    epochs, channels = there.shape
    pieces = -(-epochs // _PIECE)
    held = np.zeros_like(there)
    for c in range(channels):
        few = max(2, round(_HELD_OUT * pieces))
        chosen = draws.choice(pieces, few, replace=False)
        held[np.isin(np.arange(epochs) // _PIECE, chosen), c] = True
    held &= there
    if not held.any(axis=0).all():
        raise InputError("a channel has too few values to judge how to fill its gaps")
    return held


def _begin(values: np.ndarray) -> np.ndarray:
    """Return values with the mean of each channel in its gaps."""
    return np.where(np.isfinite(values), values, np.nanmean(values, axis=0))


def _settle(
    state: np.ndarray, there: np.ndarray, window: int, count: int
) -> np.ndarray:
    """Replace what is missing by so many patterns until it stays the same."""
    spread = state.std() or 1.0
    for _ in range(_ROUNDS):
        mean = state.mean(axis=0)
        said = _analyse(state - mean, window, count).parts.sum(axis=0) + mean
        fresh = np.where(there, state, said)
        moved = np.sqrt(np.mean((fresh - state)[~there] ** 2))
        state = fresh
        if moved < _SETTLED * spread:
            break
    return state
