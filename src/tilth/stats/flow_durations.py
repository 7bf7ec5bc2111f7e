"""Flow-duration curves: how long a flow is exceeded, and the biases of its segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.stats.resampling import BootstrapResult, block_bootstrap

#: Bounds of the segments of a flow-duration curve, as shares of the time in which a
#: flow is exceeded: high flows below the first, the middle between the second and
#: the third, low flows above it (Yilmaz et al. 2008, section 3.3).
SEGMENTS = (0.02, 0.2, 0.7)

#: What `flow_duration_bias` returns, in its order.
DURATION_BIASES = ("high", "middle_slope", "low")


def flow_duration(discharge: npt.ArrayLike, exceeded: npt.ArrayLike) -> np.ndarray:
    r"""Return the flows that are exceeded in given shares of the time.

    The flow of rank m among n, from the highest, is exceeded in a share
    :math:`m / (n + 1)` of the time (Weibull); between ranks it is linear.

    Parameters
    ----------
    discharge : array_like, shape (..., n)
        Missing values are NaN and left out.
    exceeded : array_like, shape (m,)
        Shares of the time, 0 to 1.

    Returns
    -------
    numpy.ndarray, shape (..., m)
        In the units of `discharge`; the extremes hold beyond the ranks there are.

    Raises
    ------
    InputError
        If a share is not between 0 and 1.

    References
    ----------
    Vogel & Fennessey (1994), J. Water Resour. Plan. Manage. 120, 485-504.

    Examples
    --------
    >>> flow_duration([4.0, 1.0, 3.0, 2.0], [0.2, 0.5])
    array([4. , 2.5])
    """
    values, shares = np.asarray(discharge, float), np.asarray(exceeded, float)
    if shares.size and not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise InputError(f"shares of the time lie between 0 and 1, got {shares}")
    rows = values.reshape(-1, values.shape[-1])
    found = np.full((len(rows), shares.size), np.nan)
    for row, out in zip(rows, found, strict=True):
        present = np.sort(row[np.isfinite(row)])[::-1]
        if present.size:
            rank = np.arange(1, present.size + 1) / (present.size + 1)
            out[:] = np.interp(shares, rank, present)
    return found.reshape(*values.shape[:-1], shares.size)


def flow_duration_bias(
    simulated: npt.ArrayLike, observed: npt.ArrayLike
) -> dict[str, np.ndarray]:
    r"""Return how the flow-duration curve of a simulation differs in its segments.

    .. math::

        \mathrm{high} &= \sum_h (s_h - o_h) \Big/ \sum_h o_h \\
        \mathrm{middle\ slope} &= \frac{\ln (s_{.2} / s_{.7}) - \ln (o_{.2} / o_{.7})}
        {\ln (o_{.2} / o_{.7})} \\
        \mathrm{low} &= -\frac{\sum_l \ln (s_l / s_L) - \sum_l \ln (o_l / o_L)}
        {\sum_l \ln (o_l / o_L)}

    over the flows h exceeded in less than 2 % of the time and l exceeded in more than
    70 %, of which L is the least.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.

    Returns
    -------
    dict of str to numpy.ndarray
        Keys `DURATION_BIASES`, shares (times 100: the per cent of the paper); each
        without the last axis. NaN where a segment holds no flow (n below 50 for the
        high one), where a logarithm is of no positive flow, or where the observed
        curve is flat.

    Raises
    ------
    InputError
        If the shapes differ.

    References
    ----------
    Yilmaz, Gupta & Wagener (2008), Water Resour. Res. 44, W09417, eqs. A1-A3.
    """
    s, o = _pairs(simulated, observed)
    rows = [
        _segment_biases(a, b)
        for a, b in zip(
            s.reshape(-1, s.shape[-1]), o.reshape(-1, o.shape[-1]), strict=True
        )
    ]
    table = np.array(rows, float).reshape(*s.shape[:-1], len(DURATION_BIASES))
    return {name: table[..., i] for i, name in enumerate(DURATION_BIASES)}


def flow_duration_intervals(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    blocks: npt.ArrayLike,
    *,
    draws: int = 500,
    level: float = 0.90,
    seed: int = 0,
) -> dict[str, BootstrapResult]:
    """Return the biases of the flow-duration curve with block-bootstrap intervals.

    Parameters
    ----------
    simulated, observed : array_like, shape (n,)
        Same units; pairs with a missing value are left out.
    blocks : array_like, shape (n,)
        Label of the block of each value, such as its year.
    draws, level, seed : optional
        As in `tilth.stats.block_bootstrap`.

    Returns
    -------
    dict of str to BootstrapResult
        One per name in `DURATION_BIASES`.

    Raises
    ------
    InputError
        If the shapes differ or there are fewer than two blocks.

    Notes
    -----
    The low bias hangs on the least flow of the record. No bootstrap draws a lower
    one, so its interval is a rough one and need not shrink with the record.
    """
    series = np.stack(_pairs(simulated, observed))

    def statistic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        drawn = (np.repeat(values, times.astype(int), axis=-1) for times in weights)
        return np.array([_segment_biases(a, b) for a, b in drawn]).T

    result = block_bootstrap(
        series, blocks, statistic, draws=draws, level=level, seed=seed
    )
    return {
        name: BootstrapResult(
            estimate=float(result.estimate[i]),
            se=float(result.se[i]),
            lower=float(result.lower[i]),
            upper=float(result.upper[i]),
            level=level,
            draws=draws,
            blocks=result.blocks,
            seed=seed,
            method=result.method,
        )
        for i, name in enumerate(DURATION_BIASES)
    }


def _segment_biases(simulated: np.ndarray, observed: np.ndarray) -> list[float]:
    """Return the biases of the high, middle and low segment of one pair of series."""
    s, o = (np.sort(x[np.isfinite(x)])[::-1] for x in (simulated, observed))
    exceeded = np.arange(1, o.size + 1) / (o.size + 1)
    top, upper, lower = SEGMENTS
    high, low = exceeded < top, exceeded > lower
    result = [np.nan] * len(DURATION_BIASES)
    if high.any() and o[high].sum() > 0.0:
        result[0] = float(s[high].sum() / o[high].sum() - 1.0)
    ends_s, ends_o = flow_duration([s, o], [upper, lower]) if o.size else [(0, 0)] * 2
    if min(*ends_s, *ends_o) > 0.0 and ends_o[0] > ends_o[1]:
        steep = np.log(ends_o[0] / ends_o[1])
        result[1] = float(np.log(ends_s[0] / ends_s[1]) / steep - 1.0)
    if low.any() and min(s[-1], o[-1]) > 0.0 and o[low][0] > o[-1]:
        deep = np.log(o[low] / o[-1]).sum()
        result[2] = float(1.0 - np.log(s[low] / s[-1]).sum() / deep)
    return result


def _pairs(
    simulated: npt.ArrayLike, observed: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return both series with NaN wherever either is missing."""
    s, o = np.asarray(simulated, float), np.asarray(observed, float)
    if s.shape != o.shape:
        raise InputError(
            f"simulated and observed series differ in shape: {s.shape} and {o.shape}"
        )
    both = np.isfinite(s) & np.isfinite(o)
    return np.where(both, s, np.nan), np.where(both, o, np.nan)
