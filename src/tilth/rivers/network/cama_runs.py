"""What CaMa-Flood writes: its output, and the state it can go on from."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.cama_cells import at_catchments, open_grid
from tilth.rivers.network.model import RiverNetwork

__all__ = ["read_cama_output", "read_cama_restart"]

_MEAN, _POINT = "time: mean", "time: point"

#: CaMa-Flood's name -> ours, units, and whether a mean or at the end of the interval.
OUTPUT = {
    "outflw": ("discharge", "m3 s-1", _MEAN),
    "rivout": ("river_discharge", "m3 s-1", _MEAN),
    "fldout": ("floodplain_discharge", "m3 s-1", _MEAN),
    "runoff": ("runoff", "m3 s-1", _MEAN),
    "storge": ("storage", "m3", _POINT),
    "rivdph": ("river_depth", "m", _POINT),
    "flddph": ("flood_depth", "m", _POINT),
    "sfcelv": ("water_level", "m", _POINT),
    "fldfrc": ("flood_fraction", "1", _POINT),
    "fldare": ("flooded_area", "m2", _POINT),
}

#: Variables of a restart, and those only a run with bifurcations has.
_RESTART = (
    "rivsto", "fldsto", "rivout_pre", "fldout_pre", "rivdph_pre", "fldsto_pre",
)  # fmt: skip


def read_cama_output(
    path: str | os.PathLike[str],
    network: RiverNetwork,
    variables: Iterable[str] | None = None,
    interval: str | None = None,
) -> xr.Dataset:
    """Read CaMa-Flood's output on its grid, under Tilth's names.

    CaMa-Flood labels a record with the END of its interval; here ``time`` is the
    start. Means are over the interval, states are those at its end.

    Parameters
    ----------
    path : path
        NetCDF output, (time, lat, lon).
    network : RiverNetwork
        From the map of the run, or a part of it.
    variables : iterable of str, optional
        Tilth's names of those to read; by default all that are there.
    interval : str, optional
        Length of an interval, such as "1D"; by default that between labels.

    Returns
    -------
    xarray.Dataset, dims (time, catchment)
        ``discharge``, ``river_discharge``, ``floodplain_discharge``, ``runoff``
        (m3 s-1), ``storage`` (m3), ``river_depth``, ``flood_depth``, ``water_level``
        (m), ``flood_fraction`` (1), ``flooded_area`` (m2), as far as they are there;
        NaN where the file has none.

    Raises
    ------
    InputError
        If a variable is not there, or the interval is not known.
    """
    with open_grid(path) as found:
        there = {
            ours: theirs for theirs, (ours, *_) in OUTPUT.items() if theirs in found
        }
        wanted = list(there) if variables is None else list(variables)
        missing = [name for name in wanted if name not in there]
        if missing or not wanted:
            has = ", ".join(there or map(str, found.data_vars)) or "nothing"
            raise InputError(
                f"{path} has no {', '.join(missing) or 'output of CaMa-Flood'}; it has "
                f"{has}"
            )
        output = xr.Dataset(attrs={"source": "CaMa-Flood"})
        for name in wanted:
            values = at_catchments(found[there[name]].compute(), network)
            _, units, method = OUTPUT[there[name]]
            values.attrs = {"units": units, "cell_methods": method}
            output[name] = values.where(np.abs(values) < 1e20)
        labels = found["time"].load()
    return output.assign_coords(time=_starts(labels, interval, path))


def read_cama_restart(
    path: str | os.PathLike[str], network: RiverNetwork
) -> xr.Dataset:
    """Read the state a CaMa-Flood run can go on from.

    Parameters
    ----------
    path : path
        NetCDF restart file.
    network : RiverNetwork
        From the map of the run; with its paths where they shall go on flowing.

    Returns
    -------
    xarray.Dataset
        The state that `tilth.rivers.routing` begins with: ``storage`` (m3, channel
        and floodplain), ``groundwater`` (m3), ``river_flow`` and ``floodplain_flow``
        (m3 s-1), ``river_depth`` (m) and ``flow_area`` (m2, cross-section of the
        floodplain's water beside the channel) of the last step; of networks with
        paths also ``path_flow`` (path, path_level) m3 s-1.

    Raises
    ------
    InputError
        If a variable is not there, or the paths are not those of the network.
    """
    network.require("river_length", "river_width", "river_depth")
    with open_grid(path, decode_times=False) as opened:
        found = opened.load()
    missing = [name for name in _RESTART if name not in found]
    if missing:
        raise InputError(
            f"{path} is no whole restart of CaMa-Flood: it lacks {', '.join(missing)}"
        )
    last = {
        str(name): values.isel(time=-1, missing_dims="ignore")
        for name, values in found.items()
    }
    now = {name: at_catchments(last[name], network).values for name in _RESTART}
    gaps = [name for name, values in now.items() if np.isnan(values).any()]
    if gaps:
        raise InputError(
            f"{path} has no {gaps[0]} at {int(np.isnan(now[gaps[0]]).sum())} "
            "catchments of the network: it was written with another map"
        )
    shape = {n: network.data[n].values for n in ("river_length", "river_width")}
    above = np.maximum(now["rivdph_pre"] - network.data["river_depth"].values, 0.0)
    area = now["fldsto_pre"] / shape["river_length"] - above * shape["river_width"]
    ground = (
        at_catchments(last["gdwsto"], network).values
        if "gdwsto" in last
        else np.zeros(network.size)
    )
    rows = {
        "storage": (now["rivsto"] + now["fldsto"], "m3"),
        "groundwater": (ground, "m3"),
        "river_flow": (now["rivout_pre"], "m3 s-1"),
        "floodplain_flow": (now["fldout_pre"], "m3 s-1"),
        "river_depth": (now["rivdph_pre"], "m"),
        "flow_area": (np.maximum(area, 0.0), "m2"),
    }
    state = xr.Dataset(
        {name: ("catchment", v, {"units": u}) for name, (v, u) in rows.items()},
        {"catchment": network.data["catchment"]},
    )
    if "path_from" in network.data:
        flow = _path_flow(last, network, path)
        state["path_flow"] = ("path", "path_level"), flow, {"units": "m3 s-1"}
    return state


def _path_flow(
    last: dict[str, xr.DataArray], network: RiverNetwork, path: str | os.PathLike[str]
) -> np.ndarray:
    """Return the flow of each path and level, zero where the file has none."""
    shape = network.data["path_width"].shape
    if "pthflw_pre" not in last:
        return np.zeros(shape)
    flow = last["pthflw_pre"].values.T
    if flow.shape != shape:
        raise InputError(
            f"{path} has the flow of {flow.shape[0]} paths at {flow.shape[1]} levels, "
            f"the network {shape[0]} at {shape[1]}: their bifurcations differ"
        )
    return flow


def _starts(
    labels: xr.DataArray, interval: str | None, path: str | os.PathLike[str]
) -> np.ndarray:
    """Return the starts of intervals that are labelled with their ends."""
    import pandas as pd

    ends = labels.values
    if interval is not None:
        return ends - pd.Timedelta(interval).to_timedelta64()
    if ends.size < 2:
        raise InputError(
            f"{path} has a single record: say how long its interval is, such as '1D'"
        )
    return ends - np.concatenate([np.diff(ends)[:1], np.diff(ends)])
