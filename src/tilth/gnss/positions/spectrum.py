"""Spectrum of what a trajectory leaves over, beside that of the fitted noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from tilth.core.errors import InputError
from tilth.gnss.positions.fit import TrajectoryFit
from tilth.gnss.positions.noise import spectral_density
from tilth.gnss.positions.series import DAYS_PER_YEAR

#: Neighbouring lines of a Hann-tapered periodogram share information: so many lines
#: are as one, 1 + 2 (2/3)^2 + 2 (1/6)^2 (Bloomfield 2000, section 8.5).
_LINES_AS_ONE = 1.944


def residual_spectrum(fit: TrajectoryFit, bands: int = 24) -> xr.Dataset:
    """Power of the residuals in bands of frequency, and what the noise would give.

    The periodogram of the residuals, tapered (Hann), gaps filled with zeros, averaged
    in bands of equal width in the logarithm of frequency. Long gaps and the fitted
    trend lower the first bands.

    Parameters
    ----------
    fit : TrajectoryFit
        The fit.
    bands : int, default 24
        Number of bands from one cycle in the series to the Nyquist frequency; those
        without a line of the periodogram are left out.

    Returns
    -------
    xarray.Dataset
        Along ``frequency`` (cycles per year): ``power`` of the residuals, ``modelled``
        of the noise, and ``lower`` and ``upper``, the range of `power` in 95 of 100
        series of that noise; all m2 yr.

    Raises
    ------
    InputError
        If there are fewer than two bands.
    """
    if bands < 2:
        raise InputError(f"{bands} bands: a spectrum has at least 2")
    time = fit.series["time"].values
    days = (time - time[0]) / np.timedelta64(1, "D")
    epochs = np.rint(days / fit.interval).astype(int)
    count = int(epochs[-1]) + 1
    taper = np.hanning(count + 2)[1:-1]
    filled = np.zeros(count)
    filled[epochs] = (fit.series["residual"].values * taper[epochs]).astype(float)
    years = fit.interval / DAYS_PER_YEAR
    power = 2 * years * np.abs(np.fft.rfft(filled)) ** 2 / (taper[epochs] ** 2).sum()
    frequency = np.fft.rfftfreq(count, years)
    power, frequency = power[1:], frequency[1:]
    edges = np.geomspace(
        frequency[0] * (1 - 1e-9), frequency[-1] * (1 + 1e-9), bands + 1
    )
    band = np.digitize(frequency, edges) - 1
    lines = np.bincount(band, minlength=bands)[:bands]
    there = lines > 0

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(band, values, bands)[:bands][there] / lines[there]

    model = mean(
        spectral_density(fit.values, frequency, fit.model.combination, fit.interval)
    )
    freedom = 2.0 * np.maximum(lines[there] / _LINES_AS_ONE, 1.0)
    about = {"units": "m2 yr"}
    return xr.Dataset(
        {
            "power": ("frequency", mean(power), about),
            "modelled": ("frequency", model, about),
            "lower": (
                "frequency",
                model * stats.chi2.ppf(0.025, freedom) / freedom,
                about,
            ),
            "upper": (
                "frequency",
                model * stats.chi2.ppf(0.975, freedom) / freedom,
                about,
            ),
        },
        {"frequency": ("frequency", mean(frequency), {"units": "yr-1"})},
    )
