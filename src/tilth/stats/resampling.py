"""The block bootstrap: intervals for data that come in correlated blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from tilth.core.errors import InputError

#: A statistic of `values` (..., n) under `weights` (draws, n) -> (..., draws).
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Weights kept in memory at a time (numbers, not bytes).
_CHUNK = 20_000_000


@dataclass(frozen=True)
class BootstrapResult:
    """A statistic with its bootstrap standard error and interval.

    Parameters
    ----------
    estimate, se, lower, upper : float or numpy.ndarray
        Of the shape of `values` without its last axis; units of the statistic.
    level : float
        Probability that the interval is meant to hold the truth.
    draws, blocks, seed : int
        Number of draws, number of blocks drawn from, seed of the generator.
    method : str
        ``"percentile"`` or ``"bca"``.
    """

    estimate: Any
    se: Any
    lower: Any
    upper: Any
    level: float
    draws: int
    blocks: int
    seed: int
    method: str


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of `values` for each row of `weights`, leaving out missing values.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (..., n).
    weights : numpy.ndarray
        Shape (draws, n): how often each observation was drawn.

    Returns
    -------
    numpy.ndarray
        Shape (..., draws); NaN where a draw holds no value.
    """
    present = np.isfinite(values)
    total = np.where(present, values, 0.0) @ weights.T
    count = present.astype(float) @ weights.T
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def block_bootstrap(
    values: npt.ArrayLike,
    blocks: npt.ArrayLike,
    statistic: Statistic = weighted_mean,
    *,
    draws: int = 1000,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
    seed: int = 0,
) -> BootstrapResult:
    r"""Bootstrap a statistic by drawing whole blocks with replacement.

    Observations of one block (a night, a pot) share their errors; drawing them one
    by one would give intervals that are too narrow. A draw takes as many blocks as
    there are, with replacement, and keeps all observations of each. It is written
    as a weight per observation, so that all draws of all series are one matrix
    product.

    The percentile interval takes the quantiles :math:`\alpha/2, 1-\alpha/2` of the
    draws. The BCa interval (bias corrected and accelerated) takes the quantiles

    .. math:: \Phi\left(z_0 + \frac{z_0 + z_q}{1 - a\,(z_0 + z_q)}\right),

    with the bias :math:`z_0` from the share of draws below the estimate and the
    acceleration :math:`a` from leaving out one block at a time.

    Parameters
    ----------
    values : array_like
        Observations along the last axis, shape (..., n); missing ones are NaN.
    blocks : array_like
        Label of the block of each observation, shape (n,), any type.
    statistic : callable, optional
        ``statistic(values, weights)`` with weights (draws, n) -> (..., draws).
    draws : int, optional
        Number of draws; 1000 is enough for 95 % limits (Efron & Tibshirani 1993).
    level : float, optional
        Probability of the interval.
    method : {"percentile", "bca"}, optional
        Kind of interval.
    seed : int, optional
        Seed of the generator; the same seed gives the same limits.

    Returns
    -------
    BootstrapResult
        Estimate, standard error and limits, shaped as `values` without its last axis.

    Raises
    ------
    InputError
        If the labels do not match the values, fewer than two blocks are given or
        `level` is not between 0 and 1.

    Notes
    -----
    With B blocks the interval covers too little by about a factor
    ``sqrt((B - 1) / B)`` in width; be wary below ten blocks.

    References
    ----------
    Efron (1987), J. Am. Stat. Assoc. 82, 171-185. Davison & Hinkley (1997),
    Bootstrap Methods and their Application, section 8.2.

    Examples
    --------
    >>> result = block_bootstrap([1.0, 1.2, 2.0, 2.2], ["mon", "mon", "tue", "tue"])
    >>> print(f"{result.estimate:.1f} [{result.lower:.1f}, {result.upper:.1f}]")
    1.6 [1.1, 2.1]
    """
    data = np.asarray(values, float)
    codes, count = _block_codes(data, blocks)
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(count, np.full(count, 1.0 / count), size=draws)
    sample = _evaluate(statistic, data, drawn, codes)
    estimate = statistic(data, np.ones((1, data.shape[-1])))[..., 0]
    tail = (1.0 - level) / 2.0
    limits = np.broadcast_to([tail, 1.0 - tail], (*estimate.shape, 2))
    if method == "bca":
        left_out = _evaluate(statistic, data, 1 - np.eye(count, dtype=int), codes)
        limits = _bca_levels(estimate, sample, left_out, limits)
    lower, upper = _row_quantiles(sample, limits)
    return BootstrapResult(
        estimate=_scalar(estimate),
        se=_scalar(_spread(sample)),
        lower=_scalar(lower),
        upper=_scalar(upper),
        level=level,
        draws=draws,
        blocks=count,
        seed=seed,
        method=method,
    )


def _block_codes(data: np.ndarray, blocks: npt.ArrayLike) -> tuple[np.ndarray, int]:
    """Return the number of each observation's block and how many blocks there are."""
    labels = np.asarray(blocks)
    if labels.shape != data.shape[-1:]:
        raise InputError(
            f"blocks need one label per observation: {data.shape[-1:]} observations, "
            f"labels of shape {labels.shape}"
        )
    known, codes = np.unique(labels, return_inverse=True)
    if known.size < 2:
        raise InputError(
            f"the block bootstrap needs at least two blocks, got {known.size}: one "
            "block says nothing about the spread between blocks"
        )
    return codes, known.size


def _evaluate(
    statistic: Statistic, data: np.ndarray, drawn: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Evaluate the statistic for every row of block counts, in chunks of draws."""
    step = max(1, _CHUNK // codes.size)
    parts = [
        statistic(data, drawn[i : i + step, codes].astype(float))
        for i in range(0, len(drawn), step)
    ]
    return np.concatenate(parts, axis=-1)


def _bca_levels(
    estimate: np.ndarray, sample: np.ndarray, left_out: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """Return the quantile levels of the BCa interval (Efron 1987, eq. 6.8)."""
    draws = sample.shape[-1]
    below = (sample < estimate[..., None]).mean(axis=-1)
    tied = (sample == estimate[..., None]).mean(axis=-1)
    # Half a draw keeps the bias finite where every draw falls on one side.
    share = np.clip(below + tied / 2.0, 0.5 / draws, 1.0 - 0.5 / draws)
    bias = special.ndtri(share)
    deviation = left_out.mean(axis=-1, keepdims=True) - left_out
    cubes, squares = (deviation**3).sum(axis=-1), (deviation**2).sum(axis=-1)
    acceleration = np.divide(
        cubes,
        6.0 * squares**1.5,
        out=np.zeros_like(squares),
        where=squares > 0,
    )
    shifted = bias[..., None] + special.ndtri(limits)
    return special.ndtr(
        bias[..., None] + shifted / (1.0 - acceleration[..., None] * shifted)
    )


def _row_quantiles(
    sample: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of each series' draws at its own two levels, without missing draws."""
    rows = sample.reshape(-1, sample.shape[-1])
    pairs = levels.reshape(-1, 2)
    found = np.full(pairs.shape, np.nan)
    for row, pair, out in zip(rows, pairs, found, strict=True):
        present = row[np.isfinite(row)]
        if present.size > 1 and np.isfinite(pair).all():
            out[:] = np.quantile(present, pair)
    shape = sample.shape[:-1]
    return found[:, 0].reshape(shape), found[:, 1].reshape(shape)


def _spread(sample: np.ndarray) -> np.ndarray:
    """Return the standard deviation over the draws that exist; NaN below two."""
    present = np.isfinite(sample)
    count = present.sum(axis=-1)
    mean = np.where(present, sample, 0.0).sum(axis=-1) / np.maximum(count, 1)
    square = np.where(present, sample - mean[..., None], 0.0) ** 2
    variance = square.sum(axis=-1) / np.maximum(count - 1, 1)
    return np.where(count > 1, np.sqrt(variance), np.nan)


def _scalar(array: np.ndarray) -> Any:
    """Return a float for a single series, the array for several."""
    return float(array) if np.ndim(array) == 0 else array
