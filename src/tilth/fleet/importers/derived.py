"""What follows from exports: daily soil CO2, sensors alive, where sensors stood."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.fleet_columns import numbers
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.core.model import require_variables, stamp
from tilth.fleet.importers.quantities import IMPORT_FLAGS, QUANTITIES, range_flags
from tilth.fleet.placement import Placement

#: Columns of the weekly table per pot -> quantity, depth in cm.
_WEEKLY = {
    "soil_moisture_30cm_pct": ("soil_moisture", "30"),
    "soil_moisture_60cm_pct": ("soil_moisture", "60"),
    "soil_ec_30cm": ("soil_ec", "30"),
    "soil_ec_60cm": ("soil_ec", "60"),
    "soil_ph_30cm": ("soil_ph", "30"),
    "soil_ph_60cm": ("soil_ph", "60"),
}


def daily_soil_co2(readings: xr.Dataset) -> xr.Dataset:
    """Clean soil CO2 by the rule its authors publish: one value per pot and day.

    "0, sub-400 and > 40,000 removed, control de-duplicated": of the sound values of
    one sensor and day the first is taken (exports of neighbouring periods share
    days).

    Parameters
    ----------
    readings : xarray.Dataset
        From `tilth.fleet.importers.thingsboard.read_thingsboard`, with ``soil_co2``.

    Returns
    -------
    xarray.Dataset
        Dimension ``row``, by pot and day: ``soil_co2`` (umol mol-1) with the
        coordinates ``time`` (the day), ``pot`` and ``device``.
    """
    require_variables(readings, ["soil_co2", "soil_co2_flag", "pot"], "soil CO2")
    doubted = is_flagged(
        *(readings["soil_co2_flag"], "bad_value", "zero", "below_range"),
        "above_range",
    )
    present = ~np.isnan(readings["soil_co2"].values)
    kept = readings.isel(row=np.flatnonzero(~doubted.values & present))
    frame = pd.DataFrame(
        {
            # A label may name no code, such as SoilCO2.MIXED: its own word then.
            "pot": kept["pot"].values.astype(object),
            "device": kept["device"].values.astype(object),
            "time": kept["time"].values,
            "value": kept["soil_co2"].values,
        }
    )
    frame["day"] = frame["time"].dt.floor("D")
    frame = frame.sort_values(["device", "time"], kind="stable")
    frame = frame.drop_duplicates(["device", "day"]).sort_values(["pot", "day"])
    about = QUANTITIES["soil_co2"]
    data = xr.Dataset(
        {
            "soil_co2": (
                "row",
                frame["value"].to_numpy(float),
                {"units": about.units, "long_name": f"{about.long_name}, daily mean"},
            )
        },
        coords={
            "time": ("row", frame["day"].to_numpy(), {"long_name": "day"}),
            "pot": ("row", frame["pot"].to_numpy(object).astype(np.str_)),
            "device": ("row", frame["device"].to_numpy(object).astype(np.str_)),
        },
        attrs=readings.attrs,
    )
    return stamp(data, "daily_soil_co2")


def read_pot_table(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the weekly means per pot: moisture, EC and pH at two depths.

    Parameters
    ----------
    path : path
        CSV with the columns ``date``, ``pot`` and those of its sensors.

    Returns
    -------
    xarray.Dataset
        Dimension ``row``; coordinates ``time`` and ``pot`` (text); variables such as
        ``soil_moisture_30cm`` with their ``_flag``. Empty cells are NaN, not zero.
    """
    name = Path(path).name
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    absent = [column for column in ("date", "pot") if column not in frame]
    known = [column for column in _WEEKLY if column in frame]
    if absent or not known:
        raise InputError(
            f"{name} is no weekly table per pot: it needs date, pot and any of "
            f"{', '.join(_WEEKLY)}; found {', '.join(frame.columns[:12])}"
        )
    time = pd.to_datetime(frame["date"], format="ISO8601", errors="coerce")
    if time.isna().any():
        raise InputError(f"{name}: {frame['date'][time.isna()].iloc[0]!r} is no day")
    data = xr.Dataset(
        coords={
            "time": ("row", time.to_numpy(), {"long_name": "begin of the week"}),
            "pot": ("row", frame["pot"].str.strip().to_numpy(object).astype(np.str_)),
        }
    )
    for column in known:
        quantity, depth = _WEEKLY[column]
        cells = frame[column].astype(object).where(frame[column] != "", None)
        values, bad = numbers(cells.to_numpy(object))
        about = QUANTITIES[quantity]
        target = f"{quantity}_{depth}cm"
        data[target] = ("row", values)
        data[target].attrs = {
            "units": about.units,
            "long_name": f"{about.long_name} at {depth} cm, weekly mean",
        }
        data[f"{target}_flag"] = ("row", range_flags(quantity, values, bad))
        data[f"{target}_flag"].attrs = IMPORT_FLAGS.attrs()
    return stamp(data, f"read_pot_table({name})", [path])


def sensors_alive(readings: Iterable[xr.Dataset], *, by: str = "pot") -> pd.DataFrame:
    """Count the sensors that were alive in each month.

    A sensor lives in a calendar month in which it has at least one value.

    Parameters
    ----------
    readings : iterable of xarray.Dataset
        With a dimension ``row``, ``time`` and the coordinate `by`.
    by : str, default "pot"
        What to count: ``pot`` or ``device``.

    Returns
    -------
    pandas.DataFrame
        Index: month (``2022-05``), all from the first to the last; a column per
        variable. A month without any value is missing, not zero: nobody looked.
    """
    columns = {}
    for data in readings:
        month = pd.PeriodIndex(data["time"].values, freq="M")
        for name in map(str, data.data_vars):
            if name.endswith("_flag"):
                continue
            alive = ~np.isnan(data[name].values) & (data[by].values.astype(str) != "")
            pairs = pd.DataFrame({"month": month, by: data[by].values.astype(object)})
            columns[name] = pairs[alive].groupby("month")[by].nunique()
    table = pd.DataFrame(columns).astype("Int64")
    if len(table):
        table = table.reindex(pd.period_range(table.index.min(), table.index.max()))
    table.index = pd.Index([str(month) for month in table.index], name="month")
    return table


def placements_of(readings: xr.Dataset) -> list[Placement]:
    """Return where each sensor stood, as its labels say.

    A label with a note such as "(was 8.0.A in 2023)" counts for the other place to
    the end of that year.

    Parameters
    ----------
    readings : xarray.Dataset
        From `tilth.fleet.importers.thingsboard.read_thingsboard`.

    Returns
    -------
    list of Placement
        By device and time, from its first to just after its last value there. Look
        at them with `tilth.fleet.placement_problems.problems`.
    """
    require_variables(readings, ["device", "pot", "former", "until"], "an export")
    names = ["device", "pot", "former", "until"]
    frame = pd.DataFrame({n: readings[n].values.astype(object) for n in names})
    frame["t"] = readings["time"].values.astype("datetime64[ms]").astype(np.int64)
    frame = frame[frame["pot"] != ""]
    moved = (frame["former"] != "") & (frame["until"] != "")
    year = pd.to_numeric(frame["until"].where(moved, "0"))
    when = pd.to_datetime(frame["t"], unit="ms").dt.year
    before = moved & (when <= year)
    frame["place"] = frame["pot"].where(~before, frame["former"])
    spans = frame.groupby(["device", "place"])["t"].agg(["min", "max"]).reset_index()
    rows = spans.sort_values(["device", "min"])
    return [
        Placement(*(device, place, int(first), int(last) + 1), source="import")
        for device, place, first, last in rows.itertuples(index=False)
    ]
