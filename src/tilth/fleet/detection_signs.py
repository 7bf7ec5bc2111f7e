"""What a cycle shows of its chamber: a few numbers out of two hundred samples.

Every cycle is looked at from the closing of the lid to the next closing: what rose
while it should have been closed, and what fell back after it should have opened. The
numbers say nothing yet of what is wrong; that is the matter of
`tilth.fleet.detection`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numba import njit

from tilth.chambers.air import vapour_mole_fraction
from tilth.fleet.channels import FLAGS
from tilth.fleet.detection_names import SIGNS

_N = len(SIGNS)
_MOVING = FLAGS["lid_moving"]
_DOUBTED = FLAGS["co2_crc"] | FLAGS["co2_missing"] | FLAGS["warmup"]


def signs_of_cycles(
    samples: Mapping[str, np.ndarray],
    close: np.ndarray,
    opened: np.ndarray,
    until: np.ndarray,
) -> pd.DataFrame:
    """Return the signs of the cycles of one boot.

    Parameters
    ----------
    samples : mapping of str to numpy.ndarray
        Of one boot, in order: ``tick`` and ``flags`` (int), and ``co2`` (ppm), ``st``,
        ``at`` (degC), ``rh`` (%), ``p`` (Pa), ``lux``, ``mv`` (float, NaN where not
        measured).
    close, opened, until : numpy.ndarray of int
        Ticks of each cycle: closed, opened, closed again (or the end of what is to
        be looked at), ms.

    Returns
    -------
    pandas.DataFrame
        One row per cycle, columns `SIGNS`; NaN where the samples do not tell.
    """
    tick = np.ascontiguousarray(samples["tick"], np.int64)
    flags = np.ascontiguousarray(samples["flags"], np.int64)
    co2 = np.where((flags & _DOUBTED) == 0, samples["co2"], np.nan)
    co2 = np.where(co2 > 0.0, co2, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        wet = 1000.0 * vapour_mole_fraction(samples["rh"], samples["st"], samples["p"])
    lux = np.where(samples["lux"] >= 0.0, samples["lux"], np.nan)
    columns = np.column_stack(
        [co2, wet, lux, samples["at"], samples["mv"], samples["p"], samples["st"]]
    )
    raw = np.where((flags & _DOUBTED) == 0, samples["co2"], np.nan)
    out = np.full((len(close), _N), np.nan)
    _signs(
        tick,
        columns,
        raw,
        (flags & _MOVING) != 0,
        np.ascontiguousarray(close, np.int64),
        np.ascontiguousarray(opened, np.int64),
        np.ascontiguousarray(until, np.int64),
        out,
    )
    return pd.DataFrame(out, columns=list(SIGNS))


@njit(cache=True, nogil=True)
def _mean(values, first, last):
    """Mean of what is known of values[first:last], NaN without any."""
    total, n = 0.0, 0
    for i in range(first, last):
        if np.isfinite(values[i]):
            total += values[i]
            n += 1
    return total / n if n else np.nan


@njit(cache=True, nogil=True)
def _line(tick, values, first, last):
    """Slope per second, its standard error, scatter and number of points."""
    n, st, sy = 0, 0.0, 0.0
    for i in range(first, last):
        if np.isfinite(values[i]):
            n += 1
            st += tick[i]
            sy += values[i]
    if n < 5:
        return np.nan, np.nan, np.nan, n
    mt, my = st / n, sy / n
    stt, sty, syy = 0.0, 0.0, 0.0
    for i in range(first, last):
        if np.isfinite(values[i]):
            dt, dy = (tick[i] - mt) / 1000.0, values[i] - my
            stt += dt * dt
            sty += dt * dy
            syy += dy * dy
    if stt <= 0.0:
        return np.nan, np.nan, np.nan, n
    slope = sty / stt
    rest = max(syy - slope * sty, 0.0) / (n - 2)
    return slope, np.sqrt(rest / stt), np.sqrt(rest), n


@njit(cache=True, nogil=True)
def _signs(tick, columns, raw, moving, close, opened, until, out):
    co2, wet, lux = columns[:, 0], columns[:, 1], columns[:, 2]
    warm, supply = columns[:, 3], columns[:, 4]
    for k in range(close.size):
        a, b, c = close[k], opened[k], until[k]
        lead = np.searchsorted(tick, a - 30_000)
        i0 = np.searchsorted(tick, a)
        i30 = np.searchsorted(tick, a + 30_000)
        half = np.searchsorted(tick, (a + 30_000 + b) // 2)
        i1 = np.searchsorted(tick, b + 1)
        row = out[k]
        slope, se, scatter, n = _line(tick, co2, i30, i1)
        row[0], row[1] = n, (b - a) / 1000.0
        row[2] = _mean(co2, lead, i0)
        row[3] = _mean(co2, np.searchsorted(tick, b - 15_000), i1)
        row[4], row[5], row[6] = slope, se, scatter
        early = _line(tick, co2, i30, half)[0]
        late = _line(tick, co2, half, i1)[0]
        row[7] = late - early
        row[8] = _mean(wet, lead, i0)
        row[9], row[10] = _line(tick, wet, i0, i1)[:2]
        o45 = np.searchsorted(tick, b + 45_000)
        o75 = np.searchsorted(tick, b + 75_000)
        o90 = np.searchsorted(tick, b + 90_000)
        j60 = max(np.searchsorted(tick, c - 60_000), o45)
        j1 = np.searchsorted(tick, c)
        row[11] = _mean(co2, o45, min(o75, j1))
        row[12] = _mean(co2, j60, j1)
        row[13], row[14], row[15] = _line(tick, co2, o90, j1)[:3]
        row[16] = _mean(wet, j60, j1)
        row[17] = (c - b) / 1000.0
        row[18] = _mean(lux, lead, i0)
        row[19] = _mean(lux, i0, i1)
        row[20] = _mean(lux, i1, min(o75, j1))
        row[21] = _mean(warm, lead, i0)
        row[22] = _mean(warm, np.searchsorted(tick, b - 60_000), i1)
        dip = np.inf
        known = 0
        total_p, n_p, total_h, n_h, total_v = 0.0, 0, 0.0, 0, 0.0
        same, longest, last, usable = 0, 0, np.nan, 0
        for i in range(lead, j1):
            if np.isfinite(supply[i]):
                known += 1
                total_v += supply[i]
                if moving[i] and supply[i] < dip:
                    dip = supply[i]
            if np.isfinite(columns[i, 5]):
                total_p += columns[i, 5]
                n_p += 1
            if np.isfinite(columns[i, 6]) and np.isfinite(warm[i]):
                total_h += columns[i, 6] - warm[i]
                n_h += 1
            if np.isfinite(co2[i]):
                usable += 1
            if np.isfinite(raw[i]):
                same = same + 1 if raw[i] == last else 1
                last = raw[i]
                longest = max(longest, same)
        row[23] = total_v / known if known else np.nan
        row[24] = dip if np.isfinite(dip) else np.nan
        row[25] = longest
        row[26] = 1.0 - usable / max(j1 - lead, 1)
        row[27] = total_p / n_p if n_p else np.nan
        row[28] = total_h / n_h if n_h else np.nan
