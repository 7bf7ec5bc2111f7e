"""How a simulated hydrograph differs from an observed one: its peaks and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.stats.resampling import BootstrapResult, block_bootstrap
from tilth.stats.scores import SCORES, nse, score_sums, scores_from_sums

#: Reason that a series has no score -> its value in ``reason``; 0 where it has one.
REASONS = {"scored": 0, "too_few_pairs": 1, "no_flow": 2, "hardly_varies": 3}

#: Share of the observed mean added before taking logarithms, so that a dry day has
#: one: Pushpalatha et al. (2012), J. Hydrol. 420-421, 171-182, section 4.2.
LOG_SHARE = 0.01


@dataclass(frozen=True)
class PeakErrors:
    """Observed peaks, each with the simulated peak that belongs to it.

    Parameters
    ----------
    position : numpy.ndarray of int, shape (peak,)
        Index of each observed peak.
    observed, simulated : numpy.ndarray, shape (peak,)
        Heights, in the units of the series; NaN where no simulated peak was found.
    delay : numpy.ndarray, shape (peak,)
        Steps from the observed to the simulated peak; NaN likewise.
    """

    position: np.ndarray
    observed: np.ndarray
    simulated: np.ndarray
    delay: np.ndarray

    @property
    def relative_size(self) -> np.ndarray:
        """Simulated less observed height over the observed one, per peak."""
        return (self.simulated - self.observed) / self.observed

    @property
    def missed(self) -> int:
        """Number of observed peaks without a simulated one."""
        return int(np.isnan(self.simulated).sum())


def independent_peaks(
    discharge: npt.ArrayLike, threshold: float, separation: int = 1
) -> np.ndarray:
    """Return where a series has its peaks, none close to a higher one.

    Parameters
    ----------
    discharge : array_like, shape (n,)
        At equal steps; missing values are NaN. A peak next to a gap, or at an end of
        the series, may be the flank of a higher one and is none.
    threshold : float
        Least height of a peak, in the units of `discharge`.
    separation : int, optional
        Least number of steps between two peaks; of nearer ones the highest is kept.

    Returns
    -------
    numpy.ndarray of int
        Indices, ascending.

    Raises
    ------
    InputError
        If the series is not one-dimensional or `separation` is below one step.

    Examples
    --------
    >>> independent_peaks([0, 3, 1, 5, 0, 0, 2, 0], threshold=1.0, separation=3)
    array([3, 6])
    """
    values = _series(discharge)
    if separation < 1:
        raise InputError(f"peaks lie at least 1 step apart, got {separation}")
    gaps = ~np.isfinite(values)
    # A gap is as high as can be: what lies beside it is a flank.
    found = _apart(np.where(gaps, np.inf, values), threshold, separation)
    return found[~gaps[found]]


def block_peaks(discharge: npt.ArrayLike, blocks: npt.ArrayLike) -> np.ndarray:
    """Return where a series has the maximum of each block, such as of each year.

    Parameters
    ----------
    discharge : array_like, shape (n,)
        Missing values are NaN; a block without any value has no maximum.
    blocks : array_like, shape (n,)
        Label of the block of each value.

    Returns
    -------
    numpy.ndarray of int
        Indices in the order of the sorted labels; of equal values the first.

    Raises
    ------
    InputError
        If there is not one label per value.

    Examples
    --------
    >>> block_peaks([1.0, 4.0, 2.0, 3.0], [2001, 2001, 2002, 2002])
    array([1, 3])
    """
    values, labels = _series(discharge), np.asarray(blocks)
    if labels.shape != values.shape:
        raise InputError(
            f"blocks need one label per value: {values.size} values, labels of shape "
            f"{labels.shape}"
        )
    lowest = np.where(np.isfinite(values), values, -np.inf)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    tops = [rows[np.argmax(lowest[rows])] for rows in members]
    return np.array([top for top in tops if np.isfinite(values[top])], int)


def peak_errors(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    peaks: npt.ArrayLike,
    window: int,
) -> PeakErrors:
    """Match each observed peak with the highest simulated one within a window.

    Parameters
    ----------
    simulated, observed : array_like, shape (n,)
        Same units, at the same equal steps.
    peaks : array_like of int
        Indices of observed peaks, from `independent_peaks` or `block_peaks`.
    window : int
        Largest delay looked at, in steps, to either side. Should be below half the
        distance of the peaks, lest two share one simulated peak.

    Returns
    -------
    PeakErrors
        Heights and delays. The simulated series must itself peak within the window:
        one that merely rises or falls through it has missed the peak.

    Raises
    ------
    InputError
        If the shapes differ, a peak is outside of the series or the window is negative.

    Examples
    --------
    >>> found = peak_errors([0, 0, 8, 0], [0, 10, 0, 0], [1], window=1)
    >>> float(found.relative_size[0]), float(found.delay[0])
    (-0.2, 1.0)
    """
    s, o = _series(simulated), _series(observed)
    at = np.asarray(peaks, int)
    if s.shape != o.shape:
        raise InputError(
            f"simulated and observed series differ in length: {s.size} and {o.size}"
        )
    if window < 0:
        raise InputError(f"the window cannot be negative, got {window} steps")
    if at.size and not 0 <= at.min() <= at.max() < o.size:
        raise InputError(
            f"peaks at {at.min()} to {at.max()} do not lie within {o.size} values"
        )
    tops = independent_peaks(s, -np.inf)
    height, delay = np.full(at.size, np.nan), np.full(at.size, np.nan)
    for i, position in enumerate(at):
        near = tops[abs(tops - position) <= window]
        if near.size:
            # Of equally high ones the nearest.
            best = near[np.lexsort((abs(near - position), -s[near]))[0]]
            height[i], delay[i] = s[best], best - position
    return PeakErrors(at, o[at], height, delay)


def peak_intervals(
    errors: PeakErrors, *, draws: int = 1000, level: float = 0.90, seed: int = 0
) -> dict[str, BootstrapResult]:
    """Return the mean errors of the peaks with their bootstrap intervals.

    Parameters
    ----------
    errors : PeakErrors
        Of `peak_errors`; each peak is a draw of its own. Missed ones are left out.
    draws, level, seed : optional
        As in `tilth.stats.block_bootstrap`.

    Returns
    -------
    dict of str to BootstrapResult
        ``relative_size`` (share), ``delay`` and ``absolute_delay`` (steps).

    Raises
    ------
    InputError
        If fewer than two peaks are matched.
    """
    matched = np.isfinite(errors.simulated)
    if matched.sum() < 2:
        raise InputError(
            f"{matched.sum()} of {matched.size} peaks are matched, an interval needs "
            "at least 2: widen the window or lower the threshold of the peaks"
        )
    delay = errors.delay[matched]
    parts = {
        "relative_size": errors.relative_size[matched],
        "delay": delay,
        "absolute_delay": abs(delay),
    }
    return {
        name: block_bootstrap(
            values, np.arange(values.size), draws=draws, level=level, seed=seed
        )
        for name, values in parts.items()
    }


def log_nse(
    simulated: npt.ArrayLike, observed: npt.ArrayLike, *, offset: float | None = None
):
    """Nash-Sutcliffe efficiency of the logarithms, which looks at low flows.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    offset : float, optional
        Added to both before taking logarithms, in their units; by default `LOG_SHARE`
        of the observed mean of each series.

    Returns
    -------
    float or numpy.ndarray
        Without the last axis; NaN where a flow has no logarithm (reversed flow) or the
        observed series does not vary.

    Raises
    ------
    InputError
        If the shapes differ.

    References
    ----------
    Pushpalatha, Perrin, Le Moine & Andreassian (2012), J. Hydrol. 420-421, 171-182.
    """
    s, o = _pairs(simulated, observed)
    if offset is None:
        present = np.isfinite(o)
        total = np.where(present, o, 0.0).sum(axis=-1, keepdims=True)
        shift = LOG_SHARE * total / np.maximum(present.sum(-1, keepdims=True), 1)
    else:
        shift = np.asarray(float(offset))
    least = np.minimum(s + shift, o + shift)
    impossible = (np.isfinite(least) & (least <= 0.0)).any(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = nse(np.log(s + shift), np.log(o + shift))
    value = np.where(impossible, np.nan, score)
    return float(value) if value.ndim == 0 else value


def hydrograph_scores(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    least_pairs: int = 10,
    least_variation: float = 0.01,
) -> dict[str, np.ndarray]:
    """Return the scores of hydrographs, and why a series has none.

    Efficiencies divide by the observed variance: of a river that is dry or regulated
    to a constant flow they are noise, whatever their value.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    least_pairs : int, optional
        With fewer pairs there is no score.
    least_variation : float, optional
        Least standard deviation of the observed series over its mean size, a share;
        0.01 is below the error of any gauge (5 % at best: WMO-No. 1044, vol. I).

    Returns
    -------
    dict of str to numpy.ndarray
        The `tilth.stats.scores.SCORES`, ``log_nse``, and ``reason``, a value of
        `REASONS`; efficiencies and correlation are NaN unless it is "scored".

    Raises
    ------
    InputError
        If the shapes differ.
    """
    s, o = _pairs(simulated, observed)
    count = np.isfinite(o).sum(axis=-1)
    centre = np.where(np.isfinite(o), o, 0.0).sum(axis=-1) / np.maximum(count, 1)
    # Centred, so that no digit of a small variance is lost.
    sums = score_sums(s - centre[..., None], o - centre[..., None])
    found = scores_from_sums(sums, centre)
    found["log_nse"] = np.asarray(log_nse(s, o))
    pairs = np.maximum(count, 1)
    size = np.where(np.isfinite(o), abs(o), 0.0).sum(axis=-1) / pairs
    spread = np.sqrt(np.maximum(sums[3] / pairs - (sums[1] / pairs) ** 2, 0.0))
    reason = np.select(
        [count < least_pairs, size == 0.0, spread < least_variation * size],
        [REASONS["too_few_pairs"], REASONS["no_flow"], REASONS["hardly_varies"]],
        REASONS["scored"],
    ).astype(np.int8)
    for name in ("nse", "kge", "kge_2009", "correlation", "log_nse"):
        found[name] = np.where(reason == REASONS["scored"], found[name], np.nan)
    return {name: found[name] for name in (*SCORES, "log_nse")} | {"reason": reason}


def _apart(values: np.ndarray, threshold: float, separation: int) -> np.ndarray:
    """Return the local maxima, of those too near to each other the highest."""
    if values.size < 3:
        return np.empty(0, np.int64)
    # Runs of equal values, so that a flat top is one maximum, at its middle.
    last = np.r_[np.flatnonzero(values[1:] != values[:-1]), values.size - 1]
    first = np.r_[0, last[:-1] + 1]
    height = values[first]
    top = np.flatnonzero((height[1:-1] > height[:-2]) & (height[1:-1] > height[2:])) + 1
    top = top[height[top] >= threshold]
    at = (first[top] + last[top]) // 2
    kept = np.ones(at.size, bool)
    for i in np.argsort(-values[at], kind="stable"):
        if kept[i]:
            kept[abs(at - at[i]) < separation] = False
            kept[i] = True
    return at[kept]


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


def _series(values: npt.ArrayLike) -> np.ndarray:
    """Return a series as floats, refused where it has another dimension."""
    array = np.asarray(values, float)
    if array.ndim != 1:
        raise InputError(
            f"peaks are looked for in one series, got an array of shape {array.shape}: "
            "go through its rows"
        )
    return array
