"""The dead-band: how long after closing the concentration is not yet to be fitted."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.chambers.closures import check_closures
from tilth.core.errors import InputError


def auto_dead_band(
    closures: xr.Dataset,
    gas: str = "co2",
    *,
    shortest: float = 0.0,
    longest: float = 60.0,
    step: float = 10.0,
    window_end: float = 90.0,
    min_gain: float = 0.0,
) -> xr.DataArray:
    """Choose the dead-band of each closure by the straightness of its beginning.

    For the candidates d = `shortest`, `shortest` + `step`, ..., `longest` the squared
    correlation of gas and time is taken over d <= t <= `window_end`. A candidate
    counts if it is the first or raises r2 over the candidate before it by `min_gain`
    or more; of those, the shortest with the largest r2 is the dead-band.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset with `gas`; in memory or chunked along ``closure``.
    gas : str, optional
        Variable whose straightness decides.
    shortest, longest, step : float, optional
        Candidates, s. The defaults are goFlux's, for dark chambers on soil.
    window_end : float, optional
        End of the window, s. Beyond about two minutes the curve bends for reasons
        that are not the dead-band (Johannesson et al. 2024).
    min_gain : float, optional
        Least gain in r2 for which `step` more seconds of data are given up.

    Returns
    -------
    xarray.DataArray
        Dead-band in s, one per closure; NaN where no candidate leaves three samples
        with a change in concentration.

    Raises
    ------
    InputError
        If the candidates leave no window.

    References
    ----------
    Rheault and Larsen (2024), JOSS, doi:10.21105/joss.06393, auto.deadband;
    Johannesson et al. (2024), Agric. For. Meteorol. 359:110289.
    """
    check_closures(closures, gas)
    if step <= 0 or not shortest <= longest < window_end:
        raise InputError(
            f"candidates from {shortest:g} to {longest:g} s in steps of {step:g} s "
            f"need a window that ends after them, got window_end={window_end:g} s"
        )
    candidates = np.arange(shortest, longest + 1e-9, step)
    chosen = xr.apply_ufunc(
        _straightest,
        closures["elapsed"],
        closures[gas],
        input_core_dims=[["sample"], ["sample"]],
        kwargs={
            "candidates": candidates,
            "window_end": window_end,
            "min_gain": min_gain,
        },
        dask="parallelized",
        output_dtypes=[float],
    )
    chosen.name = "dead_band"
    chosen.attrs = {
        "units": "s",
        "long_name": "time after closing left out of the fit",
        "comment": f"straightest beginning of {gas} up to {window_end:g} s",
    }
    return chosen


def _straightest(
    elapsed: np.ndarray,
    gas: np.ndarray,
    *,
    candidates: np.ndarray,
    window_end: float,
    min_gain: float,
) -> np.ndarray:
    """Return the dead-band of each row."""
    r2 = np.full((len(candidates), *elapsed.shape[:-1]), np.nan)
    for k, start in enumerate(candidates):
        inside = (elapsed >= start) & (elapsed <= window_end) & np.isfinite(gas)
        n = inside.sum(-1)
        divisor = np.maximum(n, 1)
        t = np.where(inside, elapsed, 0.0)
        c = np.where(inside, gas, 0.0)
        t = np.where(inside, t - (t.sum(-1) / divisor)[..., None], 0.0)
        c = np.where(inside, c - (c.sum(-1) / divisor)[..., None], 0.0)
        power = (t**2).sum(-1) * (c**2).sum(-1)
        usable = (n >= 3) & (power > 0)
        r2[k] = np.where(
            usable, (t * c).sum(-1) ** 2 / np.where(usable, power, 1.0), np.nan
        )
    r2 = np.round(r2, 12)  # perfectly straight candidates tie, rounding or not
    gain = np.diff(r2, axis=0, prepend=-np.inf)
    counts = (gain >= min_gain) | np.isnan(np.roll(r2, 1, axis=0))
    counts[0] = True
    value = np.where(counts & np.isfinite(r2), r2, -np.inf)
    chosen = candidates[np.argmax(value, axis=0)]
    return np.where(np.isfinite(value.max(axis=0)), chosen, np.nan)
