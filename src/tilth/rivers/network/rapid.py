"""RAPID's river networks, inflow and discharge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.cama_cells import open_grid
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.network.reaches import reach_network, refuse_twice

__all__ = ["read_rapid_flow", "read_rapid_network"]


def read_rapid_network(
    connectivity: str | os.PathLike[str],
    travel_time: str | os.PathLike[str] | None = None,
    weight: str | os.PathLike[str] | None = None,
    *,
    order: str | os.PathLike[str] | None = None,
    coordinates: str | os.PathLike[str] | None = None,
) -> RiverNetwork:
    """Read a river network from RAPID's tables (David et al. 2011).

    Parameters
    ----------
    connectivity : path
        CSV without heading: reach, the reach downstream of it (0: an outlet); further
        columns are passed over.
    travel_time, weight : path, optional
        Muskingum's k in s and x, one number per reach in the order of `connectivity`.
    order : path, optional
        CSV of the reaches to take, in this order; by default all of `connectivity`.
    coordinates : path, optional
        CSV of reach, longitude, latitude.

    Returns
    -------
    RiverNetwork
        With ``muskingum_time`` and ``muskingum_weight`` as far as given, ``lat`` and
        ``lon``. Outlets (0) are river mouths; reaches whose downstream is not taken
        end inland.

    Raises
    ------
    InputError
        If tables have different lengths or name unknown reaches.

    References
    ----------
    David et al. (2011), J. Hydrometeorol. 12, 913-934, doi:10.1175/2011JHM1345.1.
    """
    table = _numbers(connectivity, 2)
    reach, after = table[:, :2].astype(np.int64).T
    refuse_twice(reach)
    columns: dict[str, np.ndarray] = {}
    for name, path in (
        ("muskingum_time", travel_time),
        ("muskingum_weight", weight),
    ):
        if path is None:
            continue
        values = _numbers(path, 1)[:, 0]
        if values.size != reach.size:
            raise InputError(
                f"{path} has {values.size} numbers, {connectivity} {reach.size} "
                "reaches: they are in the same order, one for each"
            )
        columns[name] = values
    if coordinates is not None:
        places = _numbers(coordinates, 3)
        row = _rows(places[:, 0].astype(np.int64), reach, coordinates)
        columns |= {"lon": places[row, 1], "lat": places[row, 2]}
    taken = np.arange(reach.size)
    if order is not None:
        wanted = _numbers(order, 1)[:, 0].astype(np.int64)
        taken = _rows(reach, wanted, connectivity)
    chosen = {name: values[taken] for name, values in columns.items()}
    return reach_network(reach[taken], after[taken], chosen)


def read_rapid_flow(
    path: str | os.PathLike[str],
    network: RiverNetwork,
    start: str | None = None,
    interval: float | None = None,
) -> xr.DataArray:
    """Read RAPID's flows: external inflow (``Qext``) or discharge (``Qout``).

    Parameters
    ----------
    path : path
        NetCDF with ``Qext`` or ``Qout`` (time, rivid), m3 s-1. Its times are the
        starts of the intervals.
    network : RiverNetwork
        Reaches wanted, in this order.
    start : str, optional
        Start of the first interval, such as "1970-01-01", where the file's times are
        missing.
    interval : float, optional
        Length of an interval in s, likewise.

    Returns
    -------
    xarray.DataArray, dims (time, catchment)
        Flow in m3 s-1; ``time`` is the start of the interval.

    Raises
    ------
    InputError
        If a reach has no column, times are missing, or there are gaps.
    """
    import pandas as pd

    with open_grid(path, decode_times=False) as opened:
        raw = opened.load()
    names = [name for name in ("Qext", "Qout") if name in raw]
    if not names or "rivid" not in raw.variables:
        raise InputError(
            f"{path} has neither Qext nor Qout along rivid; it has "
            f"{', '.join(map(str, raw.variables)) or 'nothing'}"
        )
    flow = raw[names[0]]
    row = _rows(raw["rivid"].values.astype(np.int64), network.ids, path)
    values = flow.transpose("time", "rivid").values[:, row].astype(float)
    gaps = np.argwhere(np.isnan(values))
    if gaps.size:
        raise InputError(
            f"{names[0]} of {path} has {len(gaps)} gaps; the first at record "
            f"{gaps[0, 0]}, reach {network.ids[gaps[0, 1]]}"
        )
    if start is not None and interval is not None:
        steps = np.arange(len(values)) * float(interval)
        times = pd.Timestamp(start) + pd.to_timedelta(steps, unit="s")
    else:
        times = pd.DatetimeIndex(_times(raw, path))
    return xr.DataArray(
        values,
        {"time": times, "catchment": network.ids},
        ("time", "catchment"),
        names[0],
        {
            "units": "m3 s-1",
            "long_name": str(flow.attrs.get("long_name", names[0])),
            "cell_methods": str(flow.attrs.get("cell_methods", "time: mean")),
        },
    )


def _numbers(path: str | os.PathLike[str], least: int) -> np.ndarray:
    """Return a CSV without heading as numbers, at least so many in each line."""
    if not Path(path).is_file():
        raise InputError(f"there is no {path}")
    rows = []
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append([float(word) for word in line.split(",")[:least]])
        except ValueError:
            rows.append([])
        if len(rows[-1]) < least:
            raise InputError(
                f"line {number} of {path} needs {least} numbers with commas between "
                f"them: {line.strip()!r}"
            )
    if not rows:
        raise InputError(f"{path} is empty")
    return np.array(rows)


def _rows(have: np.ndarray, wanted: np.ndarray, label: Any) -> np.ndarray:
    """Return where each of the wanted identifiers stands."""
    order = np.argsort(have, kind="stable")
    near = np.minimum(np.searchsorted(have[order], wanted), have.size - 1)
    row = order[near]
    lost = have[row] != wanted
    if lost.any():
        raise InputError(
            f"{label} has no reach {', '.join(map(str, wanted[lost][:8]))}"
            f"{f' ... ({lost.sum()} in all)' if lost.sum() > 8 else ''}"
        )
    return row


def _times(raw: xr.Dataset, path: str | os.PathLike[str]) -> np.ndarray:
    """Return the times of a file of RAPID's, or raise where they are missing."""
    values = raw["time"].values
    if (values < 0).any() or np.unique(values).size < values.size:
        raise InputError(
            f"the times of {path} are missing or repeated ({values[0]} ...): give "
            "start and interval"
        )
    # "+00:00" of RAPID's units is understood as UTC, and times have no zone here.
    units = str(raw["time"].attrs.get("units", "")).replace("+00:00", "").strip()
    stamped = raw[["time"]].assign_coords(
        time=("time", values, {**raw["time"].attrs, "units": units})
    )
    stamped["time"].attrs.pop("bounds", None)
    try:
        return xr.decode_cf(stamped)["time"].values
    except (ValueError, OverflowError) as error:
        raise InputError(f"cannot read the times of {path}: {error}") from error
