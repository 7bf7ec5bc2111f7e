"""Files of fluxbots: their logs, whose clock column lies, and their hourly fluxes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.fleet_columns import numbers
from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import stamp

#: Seconds from 1970 to 2000, UTC.
_SECONDS_TO_2000 = 946_684_800

#: Fluxbots were built from 2018 on; no log is older, s since 1970.
_FIRST_BOT = 1_514_764_800

#: Raised per row of a log (``record_flag``).
LOG_FLAGS = FlagTable(
    {
        "bad_value": "a cell could not be read as a number",
        "sensor_error": "the fluxbot reports an error of its CO2 sensor",
        "co2_out_of_range": "CO2 outside 0 to 10,000 ppm, the range of its sensor",
        "pressure_out_of_range": "pressure outside 300 to 1100 hPa",
        "clock_step": "the clock did not go forward",
    }
)

#: Column of a log -> variable, unit, factor to it, low and high.
_COLUMNS = {
    "raw co2 ppm": ("co2_raw", "umol mol-1", 1.0),
    "filter co2 ppm": ("co2", "umol mol-1", 1.0),
    "temp": ("temperature", "degC", 1.0),
    "pressure": ("pressure", "Pa", 100.0),
    "humidity": ("relative_humidity", "%", 1.0),
    "actuatorstate": ("lid", "1", 1.0),
    "err": ("error", "1", 1.0),
}


def read_fluxbot_log(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the log of a fluxbot: one row a second.

    The clock column is called "Unix Epoch Time" or "Sec since 2000", but holds
    seconds since 1970 under both names. What it holds is worked out from the numbers:
    a time before 2018 or in the future is none. The attribute ``clock`` says what was
    found.

    Parameters
    ----------
    path : path
        CSV.

    Returns
    -------
    xarray.Dataset
        Dimension ``record``: ``time`` (UTC), ``co2`` and ``co2_raw`` (umol mol-1),
        ``temperature`` (degC), ``pressure`` (Pa), ``relative_humidity`` (%), ``lid``
        (state of the actuator), ``record_flag``.

    Raises
    ------
    InputError
        If it is no such log, or its clock makes sense under neither reading.
    """
    name = Path(path).name
    frame = pd.read_csv(path, dtype="str", keep_default_na=False, skipinitialspace=True)
    frame = frame.rename(columns=lambda column: str(column).strip().lower())
    clock = str(frame.columns[0]) if len(frame.columns) else ""
    if not ("epoch" in clock or "sec since" in clock) or "raw co2 ppm" not in frame:
        raise InputError(
            f"{name} is no log of a fluxbot: it needs a clock such as 'Unix Epoch "
            f"Time' and 'Raw CO2 PPM'; found {', '.join(frame.columns[:8])}"
        )
    cells = {column: _numbers(frame[column]) for column in frame.columns}
    seconds, bad = cells[clock]
    shift, said = _epoch(name, clock, seconds)
    keep = ~np.isnan(seconds)
    time = ((seconds[keep] + shift) * 1000).astype("datetime64[ms]")
    raised = {"bad_value": bad[keep]}
    data = xr.Dataset(coords={"time": ("record", time, {"long_name": "time, UTC"})})
    for column, (target, units, factor) in _COLUMNS.items():
        if column in cells:
            values, wrong = cells[column]
            raised["bad_value"] = raised["bad_value"] | wrong[keep]
            data[target] = ("record", values[keep] * factor, {"units": units})
    with np.errstate(invalid="ignore"):
        co2 = data["co2_raw"].values
        raised["co2_out_of_range"] = (co2 < 0) | (co2 > 10_000)
        if "pressure" in data:
            pressure = data["pressure"].values
            raised["pressure_out_of_range"] = (pressure < 3e4) | (pressure > 1.1e5)
        if "error" in data:
            raised["sensor_error"] = data["error"].values > 0
    raised["clock_step"] = np.r_[False, np.diff(seconds[keep]) <= 0]
    data["record_flag"] = (
        *("record", LOG_FLAGS.variable(raised, time.shape)),
        LOG_FLAGS.attrs(),
    )
    data.attrs["clock"] = said
    data.attrs["rows_without_time"] = int((~keep).sum())
    return stamp(data, f"read_fluxbot_log({name})", [path])


def _numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    cells = column.astype(object).where(column.str.strip() != "", None)
    return numbers(cells.to_numpy(object))


def _epoch(name: str, header: str, seconds: np.ndarray) -> tuple[int, str]:
    """Return what to add to the clock, and a sentence about it."""
    typical = float(np.nanmedian(seconds)) if np.isfinite(seconds).any() else np.nan
    now = pd.Timestamp.now(tz="UTC").timestamp() + 86_400
    by_header = _SECONDS_TO_2000 if "2000" in header else 0
    for shift in (by_header, _SECONDS_TO_2000 - by_header):
        if _FIRST_BOT <= typical + shift <= now:
            since = "2000" if shift else "1970"
            if shift == by_header:
                return shift, f"seconds since {since}, as {header!r} says"
            return shift, f"seconds since {since}, although it is called {header!r}"
    raise InputError(
        f"{name}: the clock {header!r} has values around {typical:.0f}, which is no "
        "time between 2018 and today, counted from 1970 or from 2000"
    )


def read_fluxbot_fluxes(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the hourly fluxes of fluxbots.

    Parameters
    ----------
    path : path
        CSV (may be compressed) with ``id``, ``hour_of_obs`` and
        ``final_flux_umolm2sec``.

    Returns
    -------
    xarray.Dataset
        Dimension ``row``: ``flux`` (umol m-2 s-1) with ``time`` (the hour, as
        published) and ``device`` (text, "100").
    """
    name = Path(path).name
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    needed = ["id", "hour_of_obs", "final_flux_umolm2sec"]
    if absent := [column for column in needed if column not in frame]:
        raise InputError(
            f"{name} is no table of fluxbot fluxes: no {', '.join(absent)}"
        )
    # R writes midnight as a day without a time.
    time = pd.to_datetime(frame["hour_of_obs"], format="ISO8601", errors="coerce")
    if time.isna().any():
        wrong = frame["hour_of_obs"][time.isna()].iloc[0]
        raise InputError(f"{name}: {wrong!r} is no hour")
    values, _ = _numbers(frame["final_flux_umolm2sec"])
    device = frame["id"].str.removeprefix("fluxes_bot").to_numpy(object)
    data = xr.Dataset(
        {"flux": ("row", values, {"units": "umol m-2 s-1", "long_name": "CO2 flux"})},
        coords={
            "time": ("row", time.to_numpy(), {"long_name": "hour, as published"}),
            "device": ("row", device.astype(np.str_)),
        },
    )
    return stamp(data, f"read_fluxbot_fluxes({name})", [path])


def hourly_completeness(fluxes: xr.Dataset) -> pd.DataFrame:
    """Return the share of hours with a flux, from a device's first to its last.

    Parameters
    ----------
    fluxes : xarray.Dataset
        With ``flux``, ``time`` and ``device``.

    Returns
    -------
    pandas.DataFrame
        By ``device``: ``hours`` with a flux, ``span`` in hours, ``completeness`` and
        ``median_flux`` (umol m-2 s-1).
    """
    frame = pd.DataFrame(
        {
            "device": fluxes["device"].values.astype(object),
            "hour": pd.DatetimeIndex(fluxes["time"].values).floor("h"),
            "flux": fluxes["flux"].values,
        }
    ).dropna()
    groups = frame.groupby("device")
    hours = groups["hour"].agg(["nunique", "min", "max"])
    span = (hours["max"] - hours["min"]).dt.total_seconds() // 3600 + 1
    return pd.DataFrame(
        {
            "hours": hours["nunique"],
            "span": span,
            "completeness": hours["nunique"] / span,
            "median_flux": groups["flux"].median(),
        }
    )
