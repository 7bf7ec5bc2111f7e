"""Hourly means of variants from the rollups that are kept while records come in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from tilth.fleet.archive.store import SUM_COLUMNS, tidy_sums
from tilth.fleet.channels import CHANNELS
from tilth.fleet.clock import HOUR_MS
from tilth.fleet.placement import Placement, locate


def hourly_sums(
    reader: sqlite3.Connection,
    placements: Sequence[Placement],
    t_from: int,
    t_to: int,
) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Return counts and sums of each location and hour, and the hours left out.

    Parameters
    ----------
    reader : sqlite3.Connection
        Of the journal.
    placements : sequence of Placement
        Without overlaps for one device.
    t_from, t_to : int
        utc ms, full hours.

    Returns
    -------
    sums : pandas.DataFrame
        Columns ``loc``, ``hour``, ``n`` and `SUM_COLUMNS`.
    split : list of (str, int)
        Device and hour in which a placement begins or ends: a sum over the hour
        cannot be divided, so these are not in `sums`.
    """
    names = ["device", "hour", "loc", "n", *SUM_COLUMNS]
    rows = reader.execute(
        "SELECT d.name, r.hour, r.loc, r.n, "
        + ", ".join(f"r.{name}" for name in SUM_COLUMNS)
        + " FROM rollups r JOIN devices d ON d.id = r.device"
        " WHERE r.hour >= ? AND r.hour < ?",
        (t_from // HOUR_MS, t_to // HOUR_MS),
    ).fetchall()
    frame = pd.DataFrame(rows, columns=names)
    edges = {
        (p.device, t // HOUR_MS)
        for p in placements
        for t in (p.t_from, p.t_to)
        if t is not None and t % HOUR_MS and t_from <= t < t_to
    }
    keys = list(zip(frame["device"], frame["hour"], strict=True))
    whole = np.array([key not in edges for key in keys], bool)
    split = sorted(edges & set(keys))
    frame = frame[whole]
    loc, _ = locate(
        placements,
        frame["device"].to_numpy(object),
        frame["hour"].to_numpy(np.int64) * HOUR_MS,
        frame["loc"].to_numpy(object),
    )
    return tidy_sums(frame.assign(loc=loc)), split


def means_by_variant(sums: pd.DataFrame, t_from: int, t_to: int) -> xr.Dataset:
    """Return means of each variant and hour from counts and sums.

    Parameters
    ----------
    sums : pandas.DataFrame
        Columns ``loc``, ``hour``, ``n`` and `SUM_COLUMNS`; a location and hour may
        stand in several rows.
    t_from, t_to : int
        utc ms, full hours.

    Returns
    -------
    xarray.Dataset
        Dimensions ``variant`` and ``time``, all hours; NaN where nothing was measured.
        Samples without a legal location do not count.
    """
    parts = [str(code).split(".") for code in sums["loc"]]
    legal = np.array([len(part) == 3 for part in parts], bool)
    kept = sums[legal].assign(
        variant=[".".join(part[:2]) for part in parts if len(part) == 3]
    )
    hours = np.arange(t_from // HOUR_MS, t_to // HOUR_MS)
    variants = sorted(set(kept["variant"]), key=_by_number)
    grid = pd.MultiIndex.from_product([variants, hours], names=["variant", "hour"])
    keys = ["variant", "hour"]
    numbers = ["n", *SUM_COLUMNS]
    total = kept.groupby(keys)[numbers].sum().reindex(grid, fill_value=0)
    chambers = kept[kept["n"] > 0].groupby(keys)["loc"].nunique()
    chambers = chambers.reindex(grid, fill_value=0)
    shape = (len(variants), len(hours))

    def variable(values: np.ndarray, **attrs: str) -> tuple:
        return ("variant", "time"), values.reshape(shape), attrs

    data = {}
    for channel in CHANNELS:
        count = total[f"{channel.name}_n"].to_numpy(float)
        summed = total[f"{channel.name}_sum"].to_numpy(float)
        mean = np.full(len(grid), np.nan)
        np.divide(summed, count, out=mean, where=count > 0)
        data[channel.name] = variable(
            mean / round(1 / channel.scale),
            units="umol mol-1" if channel.name == "co2" else channel.units,
            long_name=f"{channel.long_name}, hourly mean",
            cell_methods="time: mean",
        )
    data["samples"] = variable(
        total["n"].to_numpy(np.int64), long_name="samples in the hour"
    )
    data["chambers"] = variable(
        chambers.to_numpy(np.int64), long_name="locations with samples in the hour"
    )
    time = (hours * HOUR_MS).astype("datetime64[ms]")
    return xr.Dataset(
        data,
        coords={
            "variant": ("variant", np.array(variants, object)),
            "time": ("time", time, {"long_name": "begin of the hour, UTC"}),
        },
    )


def _by_number(variant: str) -> tuple[int, int]:
    table, number = variant.split(".")
    return int(table), int(number)
