"""The quality digits of the fluxbot: six plain checks of one closure."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from tilth.core.flags import FlagTable
from tilth.core.model import require_variables
from tilth.core.units import convert

#: One bit per check, in a flag variable of their own: ``qaqc_flag``.
QAQC_FLAGS = FlagTable(
    {
        "pressure_change": "pressure changed too much while the chamber was closed",
        "temperature_change": "temperature changed too much in the closed chamber",
        "high_co2": "CO2 rose above the range of the method",
        "few_records": "too few records",
        "small_change": "CO2 changed too little to fit a slope",
        "falling_co2": "CO2 ended below its start",
    }
)


@dataclass(frozen=True)
class QaqcLimits:
    """Limits of the checks; the defaults are the fluxbot's.

    Attributes
    ----------
    pressure_change : float
        Pa (fluxbot: 10 hPa).
    temperature_change : float
        K (2.5).
    high_co2 : float
        umol mol-1 (3000).
    few_records : int
        Records within the closure (270 of five minutes at 1 Hz: set it to your own
        instrument's).
    small_change : float
        umol mol-1 (10).
    """

    pressure_change: float = 1000.0
    temperature_change: float = 2.5
    high_co2: float = 3000.0
    few_records: int = 270
    small_change: float = 10.0


def flag_qaqc(closures: xr.Dataset, limits: QaqcLimits | None = None) -> xr.Dataset:
    """Check closures in the manner of the fluxbot's quality digits.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset with ``co2``; pressure and temperature are checked where
        there are any. Records before closing do not count.
    limits : QaqcLimits, optional
        Limits of the checks.

    Returns
    -------
    xarray.Dataset
        With the flag variable ``qaqc_flag`` (closure). The checks are meant for a
        chamber over bare soil: an uptake by plants raises ``falling_co2`` and is
        no fault.

    References
    ----------
    Forbes et al. (2023), the fluxbot's published quality control.
    """
    limits = limits or QaqcLimits()
    require_variables(closures, ["co2", "elapsed"], "the fluxbot's checks")
    closed = closures["elapsed"] >= 0
    co2 = convert(closures["co2"], "umol mol-1").where(closed)
    first = _end(co2, first=True)
    last = _end(co2, first=False)
    raised = {
        "high_co2": (co2 > limits.high_co2).any("sample"),
        "few_records": co2.count("sample") < limits.few_records,
        "small_change": abs(last - first) < limits.small_change,
        "falling_co2": last < first,
    }
    for name, units, flag in (
        ("pressure", "Pa", "pressure_change"),
        ("temperature", "degC", "temperature_change"),
    ):
        if name in closures and "sample" in closures[name].dims:
            values = convert(closures[name], units).where(closed)
            span = values.max("sample") - values.min("sample")
            raised[flag] = span > getattr(limits, flag)
    bits = QAQC_FLAGS.variable(
        {flag: where.values for flag, where in raised.items()},
        (closures.sizes["closure"],),
    )
    return closures.assign(qaqc_flag=("closure", bits, QAQC_FLAGS.attrs()))


def _end(values: xr.DataArray, *, first: bool) -> xr.DataArray:
    """Return the first or last value of each closure that is there."""
    ordered = values if first else values.isel(sample=slice(None, None, -1))
    place = ordered.notnull().argmax("sample").compute()
    return ordered.isel(sample=place)
