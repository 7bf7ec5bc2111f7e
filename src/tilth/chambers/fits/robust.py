"""Huber's line through every closure."""

import numpy as np
from numba import njit

from tilth.stats.regression import huber_line

_huber_line = njit(nogil=True)(huber_line)


@njit(nogil=True)
def _robust_rows(time, value):
    slope = np.full(time.shape[0], np.nan)
    error = np.full(time.shape[0], np.nan)
    for i in range(time.shape[0]):
        ok = np.isfinite(time[i]) & np.isfinite(value[i])
        if ok.sum() < 3:
            continue
        t, c = time[i][ok], value[i][ok]
        if t.max() > t.min():
            line = _huber_line(t, c)
            if line.converged:
                slope[i], error[i] = line.slope, line.slope_se
    return slope, error


def fit_robust(time, value):
    """Huber's line through each row.

    Parameters
    ----------
    time, value : (closures, samples) arrays
        Padded with NaN.

    Returns
    -------
    slope, slope_se : (closures,) arrays
        NaN where fewer than three points or no convergence; see
        `tilth.stats.regression.huber_line`.
    """
    return _robust_rows(np.ascontiguousarray(time), np.ascontiguousarray(value))
