"""Facts about chambers and their sensors, from the signs of their last cycles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tilth.fleet.alarms.rules import Reading
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.live_store import FluxStore

#: A cycle that closed longer ago than this tells nothing about now, ms.
_FRESH_MS = HOUR_MS

#: Fewer chambers than this have no median to differ from.
_FLEET = 4

#: Fact -> column of the verdicts.
_PROBABILITIES = {
    "p_stuck_closed": "p_stuck_closed",
    "p_stuck_open": "p_stuck_open",
    "p_clogged": "p_clogged",
    "p_no_exchange": "p_no_exchange",
    "p_leaky": "p_leaky",
    "p_frozen": "p_frozen",
}

#: Accuracy of a CO2 sensor after a common calibration, one standard deviation, ppm
#: (Paessler et al. 2024: 14-17 ppm over 85 sensors).
AFTER_CALIBRATION = 15.0

#: Accuracy of one that was never calibrated: +-(30 ppm + 3 %) of the SCD30's data
#: sheet, taken as a rectangular distribution.
_DATASHEET = (30.0, 0.03)


def chamber_facts(
    store: FluxStore,
    calibrated: Mapping[str, int],
    devices: Mapping[str, Any],
    now: int,
) -> dict[str, dict[str, Reading]]:
    """Return what the last cycles say of every chamber.

    Parameters
    ----------
    store : FluxStore
        Signs and verdicts.
    calibrated : mapping of str to int
        When each device was calibrated last, utc ms.
    devices : mapping
        Those that are watched.
    now : int
        utc ms.
    """
    table = store.signs(now - 2 * HOUR_MS, now + HOUR_MS)
    last = table.groupby("device").tail(1).set_index("device")
    # Yesterday's cycle of a chamber that is silent says nothing of today.
    last = last[last["t"] >= now - _FRESH_MS].reindex(list(devices))
    facts = {fact: _readings(last[column]) for fact, column in _PROBABILITIES.items()}
    shown = last[["p_stuck_open", "p_clogged", "same"]].to_numpy(float)
    for name, (open_, clogged, same) in zip(devices, shown, strict=True):
        facts["p_no_exchange"][
            name
        ].detail = f"stuck open {open_:.2f}, clogged {clogged:.2f}"
        facts["p_frozen"][name].detail = f"{same:.0f} identical values"
    pressure = last["pressure"]
    enough = pressure.notna().sum() >= _FLEET
    return facts | {
        "co2_deviation": _readings(night_deviation(last)),
        "sensor_minus_air_k": _readings(last["self_heating"]),
        "pressure_deviation_hpa": _readings(
            (pressure - pressure.median()) / 100.0 if enough else pressure * np.nan
        ),
        "supply_mv": _readings(last["supply"]),
        "calibration_age_d": {
            name: Reading(
                (now - calibrated[name]) / DAY_MS if name in calibrated else None
            )
            for name in devices
        },
    }


def night_deviation(last: pd.DataFrame) -> pd.Series:
    r"""Return how far chambers that were open at night are off the fleet, ppm.

    .. math:: d_i = C_i - \mathrm{median}(C), \quad
       |d_i| > 3 \cdot 1.4826\,\mathrm{MAD} \ \text{and}\ |d_i| > 30 + 0.03\,C

    Parameters
    ----------
    last : pandas.DataFrame
        A cycle per device with ``before`` (CO2 before closing, ppm),
        ``light_before`` (lux) and ``p_ok``.

    Returns
    -------
    pandas.Series
        The deviation where both hold, 0 where not, NaN by day, without a reading or
        a fleet. Of a chamber whose lid is in doubt it says nothing either.
    """
    sure = (last["light_before"] <= 10.0) & (last["p_ok"].fillna(1.0) > 0.5)
    co2 = last["before"].where(sure)
    if co2.notna().sum() < _FLEET:
        return co2 * np.nan
    middle = co2.median()
    off = co2 - middle
    width = 3.0 * 1.4826 * off.abs().median()
    far = (off.abs() > width) & (off.abs() > 30.0 + 0.03 * middle)
    return off.where(far, 0.0).where(co2.notna())


def expected_accuracy(
    co2: float, calibrated: int | None, deviation: float | None, now: int
) -> float:
    r"""Return what a CO2 reading can be trusted to now, one standard deviation.

    .. math:: u = \sqrt{u_0^2 + d^2}

    with :math:`u_0` after a common calibration 15 ppm, growing with the square root
    of its age in months as the zero of such a sensor wanders, and at most that of
    the data sheet, which also holds without any calibration; :math:`d` is what the
    sensor was off the fleet lately.

    Parameters
    ----------
    co2 : float
        Reading, ppm.
    calibrated : int or None
        When the sensor was calibrated, utc ms.
    deviation : float or None
        Lasting difference from the fleet, ppm.
    now : int
        utc ms.

    Examples
    --------
    >>> round(expected_accuracy(450.0, None, None, 0), 1)
    25.1
    >>> round(expected_accuracy(450.0, 0, 20.0, 0), 1)
    25.0
    """
    sheet = (_DATASHEET[0] + _DATASHEET[1] * co2) / np.sqrt(3.0)
    own = sheet
    if calibrated is not None:
        months = max(now - calibrated, 0) / (30.0 * DAY_MS)
        # One ppm per square root of a day: sensors of the fleet between calibrations.
        wander = np.sqrt(30.0 * months)
        own = min(float(np.hypot(AFTER_CALIBRATION, wander)), sheet)
    return float(np.hypot(own, deviation or 0.0))


def _readings(column: pd.Series) -> dict[str, Reading]:
    """Return a column as readings; NaN is not known."""
    return {
        str(name): Reading(float(value) if np.isfinite(value) else None)
        for name, value in column.items()
    }
