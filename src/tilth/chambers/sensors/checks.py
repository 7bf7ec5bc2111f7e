"""Checks of a sensor fleet: spread, settling of a gas release, pulled baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import optimize

from tilth.core.errors import InputError
from tilth.core.model import require_dims, require_text
from tilth.core.units import convert
from tilth.stats.resampling import block_bootstrap

#: Concentration to which automatic self-calibration pulls a sensor's lowest readings,
#: umol mol-1 (Sensirion SCD30 field calibration note: fresh air is taken for 400 ppm).
ASC_BASELINE = 400.0

#: Stated accuracy of the SCD30 at 400 ppm, umol mol-1: 30 ppm + 3 % (data sheet).
SENSOR_ACCURACY = 42.0


@dataclass(frozen=True)
class SpreadFit:
    """Spread of a fleet as a constant and a proportional part.

    Parameters
    ----------
    offset_sd, offset_sd_lower, offset_sd_upper : float
        Constant part s0 and its limits, umol mol-1.
    gain_sd, gain_sd_lower, gain_sd_upper : float
        Proportional part sb and its limits, 1.
    level : float
        Probability of the intervals.
    devices, times, seed : int
        Sensors and instants fitted; seed of the bootstrap.
    """

    offset_sd: float
    offset_sd_lower: float
    offset_sd_upper: float
    gain_sd: float
    gain_sd_lower: float
    gain_sd_upper: float
    level: float
    devices: int
    times: int
    seed: int

    def at(self, concentration: float | np.ndarray) -> float | np.ndarray:
        """Return the expected standard deviation at a concentration, umol mol-1."""
        return np.hypot(self.offset_sd, self.gain_sd * np.asarray(concentration))


def spread_versus_concentration(
    concentration: xr.DataArray,
    *,
    draws: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> SpreadFit:
    r"""Fit the spread between sensors in the same air over the concentration.

    .. math:: \mathrm{SD}(C)^2 = s_0^2 + (s_b C)^2

    by non-negative least squares on the variances, each weighted by its own fitted
    value (the error of a variance is proportional to it). A sensor keeps its offset
    and gain through the whole record, so the limits come from a bootstrap of the
    sensors, not of the instants; for 85 simulated sensors 95 % limits hold the truth
    in about 90 % of trials.

    Parameters
    ----------
    concentration : xarray.DataArray
        Readings in the same, settled air, dims (device, time), units of mole
        fraction, over a range of concentrations. Instants at which a sensor is
        missing are left out.
    draws, level, seed : int, float, int, optional
        Of the bootstrap over sensors.

    Returns
    -------
    SpreadFit
        Constant and proportional part with limits.

    Raises
    ------
    InputError
        If fewer than five sensors or three instants are complete, or the
        concentration does not span a factor of 1.5.
    """
    require_dims(concentration, ["device", "time"])
    readings = convert(concentration, "umol mol-1").transpose("device", "time")
    values = readings.values[:, np.isfinite(readings.values).all(axis=0)]
    devices, times = values.shape
    if devices < 5 or times < 3:
        raise InputError(
            "the spread over concentration needs 5 sensors and 3 instants at which "
            f"all are present, got {devices} and {times}"
        )
    center = values.mean(axis=0)
    if center.max() < 1.5 * center.min():
        raise InputError(
            "the constant and the proportional spread can only be told apart over a "
            "range of concentrations: got "
            f"{center.min():.0f}..{center.max():.0f} umol mol-1, needed is a factor 1.5"
        )
    fit = block_bootstrap(
        values.T,
        np.arange(devices),
        _spread_statistic,
        draws=draws,
        level=level,
        method="bca",
        seed=seed,
    )
    (s0, sb), (s0_low, sb_low), (s0_high, sb_high) = (
        map(float, part) for part in (fit.estimate, fit.lower, fit.upper)
    )
    return SpreadFit(
        s0, s0_low, s0_high, sb, sb_low, sb_high, level, devices, times, seed
    )


def _spread_statistic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return both parts of the spread for every draw of sensors, shape (2, draws)."""
    drawn = weights.sum(axis=1, keepdims=True)
    mean = weights @ values.T / drawn
    variance = (weights @ values.T**2 / drawn - mean**2) * drawn / (drawn - 1.0)
    return np.array(
        [_spread_parts(m, v) for m, v in zip(mean, variance, strict=True)]
    ).T


def _spread_parts(center: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """Return the constant and the proportional part of the spread."""
    design = np.column_stack([np.ones_like(center), center**2])
    fitted = np.full_like(variance, max(variance.mean(), 1e-12))
    parts = np.zeros(2)
    for _ in range(5):
        parts, _ = optimize.nnls(design / fitted[:, None], variance / fitted)
        fitted = np.maximum(design @ parts, 1e-6 * variance.max() + 1e-12)
    return float(np.sqrt(parts[0])), float(np.sqrt(parts[1]))


def settling(
    concentration: xr.DataArray,
    releases: Sequence[np.datetime64],
    *,
    tolerance: float = 0.25,
) -> xr.Dataset:
    """Find out when the gas of a release had spread over all sensors.

    Until then sensors differ because the air does, not because they are wrong. The
    robust relative spread between the sensors (scaled median absolute deviation over
    the median), smoothed over three instants, must have come down to the level it
    keeps over the last third before the next release, within `tolerance`, for good;
    and that level must not exceed the one before the release, since the relative
    spread of sound sensors falls with the concentration.

    Parameters
    ----------
    concentration : xarray.DataArray
        Readings, dims (device, time), units of mole fraction.
    releases : sequence of datetime64
        Times of the releases, UTC, rising.
    tolerance : float, optional
        Excess over the final spread, relative. The spread of 85 sensors at one
        instant is known to about 10 %; 0.25 keeps chance from unsettling it.

    Returns
    -------
    xarray.Dataset
        Along ``time``: ``spread`` (1) and ``settled`` (bool: usable for calibration;
        instants before the first release are). Along ``release``: ``settling_time``
        (s; NaN where the fleet had not settled in the first two thirds, or had fewer
        than nine instants).

    Raises
    ------
    InputError
        If fewer than five devices, no release within the record or fewer than five
        instants before the first one are given.
    """
    require_dims(concentration, ["device", "time"])
    readings = convert(concentration, "umol mol-1").transpose("device", "time")
    if readings.sizes["device"] < 5:
        raise InputError(
            f"settling needs at least 5 sensors, got {readings.sizes['device']}"
        )
    time = readings["time"].values
    starts = np.asarray(releases, dtype=time.dtype)
    if not starts.size or starts.min() < time[0] or starts.max() > time[-1]:
        raise InputError(
            f"releases must lie within the record {time[0]}..{time[-1]}, got {starts}"
        )
    median = readings.median("device")
    spread = 1.4826 * abs(readings - median).median("device") / median
    smooth = spread.rolling(time=3, center=True, min_periods=1).median().values
    settled = np.asarray(time < starts[0])
    if settled.sum() < 5:
        raise InputError(
            "settling needs the spread before the first release, at 5 instants at "
            f"least; got {int(settled.sum())}"
        )
    before = np.median(smooth[settled])
    seconds = np.full(starts.size, np.nan)
    for i, start in enumerate(starts):
        inside = time >= start
        if i + 1 < starts.size:
            inside &= time < starts[i + 1]
        where = np.flatnonzero(inside)
        third = where.size // 3
        final = np.median(smooth[where[-third:]]) if third >= 3 else np.inf
        above = np.flatnonzero(smooth[where] > final * (1.0 + tolerance))
        first = above[-1] + 1 if above.size else 0
        if final <= before * (1.0 + tolerance) and first <= where.size - third:
            seconds[i] = (time[where[first]] - start) / np.timedelta64(1, "s")
            settled[where[first:]] = True
            before = final
    return xr.Dataset(
        {
            "spread": ("time", spread.values, {"units": "1"}),
            "settled": ("time", settled),
            "settling_time": ("release", seconds, {"units": "s"}),
        },
        coords={"time": readings["time"], "release": starts},
    )


def baseline_suspects(
    concentration: xr.DataArray,
    reference: xr.DataArray | float,
    *,
    tolerance: float = SENSOR_ACCURACY,
    min_weeks: int = 3,
) -> pd.DataFrame:
    """Find sensors whose automatic self-calibration (ASC) must be on.

    ASC takes the lowest readings of about a week for fresh air and shifts the sensor
    until they read 400 ppm. In a greenhouse, where the air never gets there, a sensor
    whose weekly minimum stays at 400 all the same is being drifted.

    Parameters
    ----------
    concentration : xarray.DataArray
        Readings, dims (device, time), units of mole fraction, over weeks.
    reference : xarray.DataArray or float
        True concentration, dim (time), or its lowest value, umol mol-1.
    tolerance : float, optional
        How near to 400 a minimum counts as pinned, and how far above 400 plus this
        the true minimum must be for the week to tell anything, umol mol-1.
    min_weeks : int, optional
        Telling weeks needed for a verdict.

    Returns
    -------
    pandas.DataFrame
        Per device: ``weeks`` (telling), ``pinned`` (of those at 400), ``excess``
        (median of true minus shown minimum, umol mol-1), ``suspect`` (all pinned) and
        ``note``.

    Raises
    ------
    InputError
        If dimensions or identifiers are wrong.
    """
    require_dims(concentration, ["device", "time"])
    require_text(concentration["device"])
    readings = convert(concentration, "umol mol-1").transpose("time", "device")
    weeks = pd.DatetimeIndex(readings["time"].values).to_period("W-SUN")
    frame = pd.DataFrame(readings.values, columns=readings["device"].values)
    shown = frame.groupby(weeks).min()
    if isinstance(reference, xr.DataArray):
        require_dims(reference, ["time"])
        values = convert(reference, "umol mol-1").reindex(time=readings["time"])
        true = pd.Series(values.values).groupby(weeks).min()
    else:
        true = pd.Series(float(reference), index=shown.index)
    telling = true > ASC_BASELINE + 2.0 * tolerance
    rows = []
    for device, column in shown.items():
        low = column[telling].dropna()
        pinned = int((abs(low - ASC_BASELINE) <= tolerance).sum())
        enough = len(low) >= min_weeks
        rows.append(
            {
                "device": device,
                "weeks": len(low),
                "pinned": pinned,
                "excess": float((true[low.index] - low).median())
                if len(low)
                else np.nan,
                "suspect": bool(enough and pinned == len(low)),
                "note": "" if enough else "too few weeks clearly above fresh air",
            }
        )
    return pd.DataFrame(rows).set_index("device")
