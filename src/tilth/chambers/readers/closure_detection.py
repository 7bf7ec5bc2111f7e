"""Closures found in a continuous record: from a state column, or from the sawtooth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numba
import numpy as np
import pandas as pd
import xarray as xr
from scipy.signal import fftconvolve
from scipy.stats import norm
from scipy.stats import t as student

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables, stamp

#: Raised per closure found (``detection_flag``).
DETECTION_FLAGS = FlagTable(
    {
        "below_threshold": "no clear rise of its own: placed by the period",
        "short": "shorter than the shortest duration expected",
        "long": "longer than the longest duration expected",
    }
)

#: Points per shortest closure that the search works on: the fleet's own 180 s / 3 s.
_POINTS = 60

#: Standard deviation of the cycle length allowed around `period`, s: one or two
#: samples of a controller that times its cycle in software.
_JITTER = 5.0


def detect_closures(
    record: xr.Dataset,
    gas: str = "co2",
    *,
    duration: tuple[float, float] = (120.0, 300.0),
    open_time: float = 60.0,
    flush_time: float = 20.0,
    period: float | None = None,
    direction: str = "rise",
    false_alarms: float = 0.05,
    state: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Find when the chamber was closed.

    With a `state` the runs of equal non-zero values are the closures. Without one,
    each window of the concentration is compared with one tooth of a saw,

    .. math::

        s(t) = 0 \; (t < 0), \quad t \; (0 \le t < D), \quad
        D\, e^{-(t - D)/\tau} \; (t \ge D) ,

    with duration D and flush time tau, by the t statistic of its amplitude b in
    y = a + b s(t - t0) + noise (least squares over the longest closure and an
    `open_time` before and after). D is one for the whole record, the one of
    `duration` with the largest summed likelihood: a chamber keeps to its protocol.

    *Without a period* every window counts whose t exceeds u sqrt((1 + r)/(1 - r)),
    with r the lag-1 autocorrelation of the noise and u the level that white noise
    crosses upwards `false_alarms` times in the record (Rice 1945),

    .. math:: \sum_D \frac{T}{2\pi} \sqrt{\int s'^2 / \int s^2} \; e^{-u^2/2}
        = \text{false alarms} ;

    the largest t wins where windows overlap. Slow wander of the ambient air looks
    like a weak closure to any such test: give the period where there is one.

    *With a period* the sequence of closing times is found that maximises the summed
    log likelihood ratio (n/2) log(1 + t^2/(n - 2)) minus half the squared deviation of
    each cycle from the period, in units of 5 s: closures too weak to be seen alone are
    placed by their neighbours and flagged ``below_threshold``.

    Parameters
    ----------
    record : xarray.Dataset
        A record with the gas, any regular or irregular sampling; a gap of more than
        five samples ends the search window.
    gas : str, optional
        Variable searched.
    duration : tuple of float, optional
        Shortest and longest closure expected, s; equal if it is known. The default
        spans what 36 experts use (Jentzsch 2025: 2-5 min).
    open_time : float, optional
        Shortest time the chamber is open between closures, s; the default is three
        times the default of `flush_time`, after which 5 % of the rise is left.
    flush_time : float, optional
        Time constant with which the opened chamber returns to ambient air, s. On
        simulated cycles with 10, 25 and 60 s the default puts the closing time 5 s
        early, right, and 12 s late; the number of closures found does not change.
    period : float, optional
        Cycle length of an automatic chamber, s.
    direction : {"rise", "fall", "both"}, optional
        Sign of the change while closed: ``"both"`` for transparent chambers.
    false_alarms : float, optional
        Closures expected to be found in a record that has none.
    state : xarray.DataArray, optional
        Lid or valve position or the instrument's closure number along ``time``:
        zero, False or NaN is open.

    Returns
    -------
    xarray.Dataset
        Dimension ``closure``: ``start``, ``end`` (UTC), ``score`` (the t statistic;
        NaN where a state decided) and ``detection_flag``. To be cut with
        `cut_closures(record, found["start"], found["end"])`.

    Raises
    ------
    InputError
        If a setting cannot be, or the record is shorter than one tooth.

    References
    ----------
    Rice (1945), Bell Syst. Tech. J. 24:46, eq. 3.3-11. Kay (1998), Fundamentals of
    Statistical Signal Processing II, sect. 7.8 (matched filter, unknown amplitude).
    Jentzsch et al. (2025), ESSD 17:2331.
    """
    shortest, longest = duration
    if not 0 < shortest <= longest:
        raise InputError(
            f"duration={duration}: give the shortest and the longest closure in s, "
            "such as (120, 300), or the same number twice"
        )
    if direction not in ("rise", "fall", "both"):
        raise InputError(f"direction={direction!r}: it is 'rise', 'fall' or 'both'")
    if state is not None:
        start, end = _runs_of_state(record, state)
        return _found(start, end, np.full(len(start), np.nan), None, duration, "state")
    if period is not None and period < shortest + open_time:
        raise InputError(
            f"a period of {period:g} s leaves no room for a closure of {shortest:g} s "
            f"and {open_time:g} s of open chamber: lower open_time or check the period"
        )
    require_variables(record, ["time", gas], "closure detection")
    segments = list(_regular_segments(record, gas, shortest))
    step = max(shortest / _POINTS, 10.0)
    durations = np.linspace(shortest, longest, 1 + round((longest - shortest) / step))
    spans = [len(y) * dt for _, dt, y in segments]
    if not segments or max(spans) < longest + 2 * open_time:
        raise InputError(
            f"the record holds no stretch of {longest + 2 * open_time:g} s without a "
            "gap: too short for one closure and the open chamber around it"
        )
    level = _level(segments, durations, open_time, flush_time, false_alarms)
    limits = [level * _inflation(y, dt, shortest) for _, dt, y in segments]
    best: tuple[float, list[tuple[float, float, float, float]]] = (-np.inf, [])
    for closed in durations:
        total, closures = 0.0, []
        for (t0, dt, y), limit in zip(segments, limits, strict=True):
            tooth = _tooth(dt, closed, longest, open_time, flush_time)
            score, gain = _match(y, tooth, round(open_time / dt), direction)
            if period is None:
                chosen = _strongest(score, round(closed / dt), limit)
            else:
                chosen = _comb(gain, period / dt, _JITTER / dt)
            total += float(gain[chosen].sum())
            closures += [(t0 + i * dt, closed, score[i], limit) for i in chosen]
        if total > best[0]:
            best = (total, closures)
    rows = np.array(best[1]).reshape(-1, 4)
    start = np.round(rows[:, 0] * 1e3).astype("datetime64[ms]")
    end = np.round((rows[:, 0] + rows[:, 1]) * 1e3).astype("datetime64[ms]")
    how = f"sawtooth of {gas}, duration={duration}, period={period}"
    return _found(start, end, rows[:, 2], rows[:, 3], duration, how)


def _found(
    start: np.ndarray,
    end: np.ndarray,
    score: np.ndarray,
    limit: np.ndarray | None,
    duration: tuple[float, float],
    how: str,
) -> xr.Dataset:
    """Assemble the result; without a limit a state decided."""
    length = (end - start) / np.timedelta64(1, "s")
    raised = {
        "short": length < duration[0] - 0.5,
        "long": length > duration[1] + 0.5,
    }
    if limit is not None:
        raised["below_threshold"] = score < limit
    found = xr.Dataset(
        {
            "start": (
                "closure",
                start.astype("datetime64[ns]"),
                {"long_name": "time of closing, UTC"},
            ),
            "end": (
                "closure",
                end.astype("datetime64[ns]"),
                {"long_name": "time of opening, UTC"},
            ),
            "score": (
                "closure",
                score,
                {"units": "1", "long_name": "t statistic of the sawtooth"},
            ),
            "detection_flag": (
                "closure",
                DETECTION_FLAGS.variable(raised, (len(start),)),
                DETECTION_FLAGS.attrs(),
            ),
        }
    )
    return stamp(found, f"detect_closures({how})")


def _runs_of_state(
    record: xr.Dataset, state: xr.DataArray
) -> tuple[np.ndarray, np.ndarray]:
    """Return first and last time of each run of equal non-zero values.

    A step back of the clock ends a run: it is a restart of the logger.
    """
    if state.dims != ("time",) or state.sizes["time"] != record.sizes["time"]:
        raise InputError(
            f"the state has dimensions {dict(state.sizes)}: it needs one value per "
            "time of the record"
        )
    values = np.nan_to_num(state.to_numpy().astype(float))
    clock = pd.DatetimeIndex(record["time"].to_numpy()).as_unit("ns").asi8
    if not len(values):
        return np.array([], "datetime64[ns]"), np.array([], "datetime64[ns]")
    new = np.ones(len(values), bool)
    new[1:] = (np.diff(values) != 0) | (np.diff(clock) < 0)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(values)) - 1
    closed = (values[first] != 0) & (clock[last] > clock[first])
    times = clock.astype("datetime64[ns]")
    return times[first[closed]], times[last[closed]]


def _regular_segments(
    record: xr.Dataset, gas: str, shortest: float
) -> Iterator[tuple[float, float, np.ndarray]]:
    """Yield start (Unix s), step and values of each gap-free stretch, on a grid."""
    clock = pd.DatetimeIndex(record["time"].to_numpy()).as_unit("ns").asi8 / 1e9
    values = record[gas].to_numpy().astype(float)
    good = np.isfinite(values)
    order = np.argsort(clock[good], kind="stable")
    t, y = clock[good][order], values[good][order]
    if len(t) < 3:
        return
    steps = np.diff(t)
    sampling = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    dt = max(sampling, shortest / _POINTS)
    edges = np.flatnonzero(steps > 5 * sampling) + 1
    for a, b in zip([0, *edges], [*edges, len(t)], strict=True):
        cell = np.round((t[a:b] - t[a]) / dt).astype(int)
        n = int(cell[-1]) + 1
        count = np.bincount(cell, minlength=n)
        total = np.bincount(cell, weights=y[a:b], minlength=n)
        filled = np.flatnonzero(count)
        means = total[filled] / count[filled]
        yield t[a], dt, np.interp(np.arange(n), filled, means)


def _tooth(
    dt: float, closed: float, longest: float, open_time: float, tau: float
) -> np.ndarray:
    """Return one tooth less its mean, in a window that is the same for all durations.

    The same window lets the residuals of different durations compare.
    """
    before = round(open_time / dt)
    s = (np.arange(2 * before + round(longest / dt)) - before) * dt
    tooth = np.where(s < closed, s, closed * np.exp(-np.maximum(s - closed, 0) / tau))
    tooth[s < 0] = 0.0
    return tooth - tooth.mean()


def _match(
    y: np.ndarray, tooth: np.ndarray, before: int, direction: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return t statistic and log likelihood ratio of a tooth at each grid point.

    Windows that leave the record have a t of zero.
    """
    score, gain = np.zeros(len(y)), np.zeros(len(y))
    n = len(tooth)
    if len(y) < n:
        return score, gain
    power = float(tooth @ tooth)
    y = y - np.median(y)
    sums = np.concatenate([[0.0], np.cumsum(y)])
    squares = np.concatenate([[0.0], np.cumsum(y**2)])
    mean = (sums[n:] - sums[:-n]) / n
    spread = squares[n:] - squares[:-n] - n * mean**2
    along = fftconvolve(y, tooth[::-1], mode="valid")
    # Rounding can leave a constant window with less than no scatter.
    floor = 1e-9 * (squares[-1] / len(y) + 1e-30) * n
    rest = np.maximum(spread - along**2 / power, floor)
    t = along / np.sqrt(rest / (n - 2) * power)
    t = {"rise": t, "fall": -t, "both": np.abs(t)}[direction]
    here = slice(before, before + len(t))
    score[here] = t
    gain[here] = np.sign(t) * n / 2 * np.log1p(t**2 / (n - 2))
    return score, gain


def _level(
    segments: Sequence[tuple[float, float, np.ndarray]],
    durations: np.ndarray,
    open_time: float,
    tau: float,
    false_alarms: float,
) -> float:
    """Return the t that white noise exceeds `false_alarms` times in the record."""
    crossings, n = 0.0, 3
    for _, dt, y in segments:
        for closed in durations:
            tooth = _tooth(dt, closed, durations[-1], open_time, tau)
            n = len(tooth)
            slope = float(np.sqrt(np.sum(np.diff(tooth) ** 2) / (tooth @ tooth)))
            crossings += len(y) * slope / (2 * np.pi)
    u = np.sqrt(2 * np.log(max(crossings / false_alarms, 2.0)))
    return float(student.isf(norm.sf(u), n - 2))


def _inflation(y: np.ndarray, dt: float, shortest: float) -> float:
    """Return sqrt((1 + r)/(1 - r)) for the lag-1 autocorrelation r of the noise.

    The noise is what a running mean over half a closure leaves; it is clipped at
    three robust standard deviations, so that closing and flushing do not count.
    """
    m = max(3, round(shortest / 2 / dt))
    smooth = fftconvolve(np.pad(y, m // 2, mode="edge"), np.full(m, 1 / m), mode="same")
    noise = y - smooth[m // 2 : m // 2 + len(y)]
    scale = 1.4826 * float(np.median(np.abs(noise - np.median(noise))))
    if scale == 0:
        return 1.0
    noise = np.clip(noise - np.median(noise), -3 * scale, 3 * scale)
    r = float(noise[1:] @ noise[:-1] / (noise @ noise))
    r = min(max(r, 0.0), 0.95)
    return float(np.sqrt((1 + r) / (1 - r)))


def _strongest(score: np.ndarray, length: int, limit: float) -> Sequence[int]:
    """Return the starts of non-overlapping windows above the limit, best first."""
    taken = np.zeros(len(score), bool)
    chosen = []
    candidates = np.flatnonzero(score > limit)
    for i in candidates[np.argsort(-score[candidates], kind="stable")]:
        window = slice(i, i + length)
        if not taken[window].any():
            taken[window] = True
            chosen.append(int(i))
    return sorted(chosen)


@numba.njit(cache=True)
def _comb_path(gain, period, jitter):  # pragma: no cover - compiled
    """Maximise the summed gain of a chain of starts about one period apart."""
    n = len(gain)
    best = np.zeros(n)
    back = np.full(n, -1)
    low = max(1, int(period - 3 * jitter))
    high = int(np.ceil(period + 3 * jitter))
    for i in range(n):
        top, origin = 0.0, -1
        for j in range(max(0, i - high), i - low + 1):
            value = best[j] - 0.5 * ((i - j - period) / jitter) ** 2
            if value > top:
                top, origin = value, j
        best[i] = top + gain[i]
        back[i] = origin
    return best, back


def _comb(gain: np.ndarray, period: float, jitter: float) -> Sequence[int]:
    """Return the most likely chain of closing times (Viterbi's algorithm)."""
    best, back = _comb_path(gain, period, max(jitter, 1.0))
    i = int(np.argmax(best))
    if not best[i] > 0.0:
        return []  # nothing in this stretch looks like a closure at all
    chosen = []
    while i >= 0:
        chosen.append(i)
        i = int(back[i])
    return chosen[::-1]
