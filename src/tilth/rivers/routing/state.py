"""State of a routing run: what the next run needs to go on as if none had ended."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.model import require_variables, stamp
from tilth.rivers.network.model import MOUTH, RiverNetwork
from tilth.rivers.routing.arrays import State, filled_state
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.settings import Settings

#: Prefix of the state's variables in a run's result.
PREFIX = "state_"

_ALONG = ("catchment",)

#: Dimensions, units and meaning of the variables, in the order of `State`.
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "storage": (_ALONG, "m3", "water in channel and floodplain"),
    "groundwater": (_ALONG, "m3", "base runoff on its way"),
    "river_flow": (_ALONG, "m3 s-1", "flow in the channel, last sub-step"),
    "floodplain_flow": (_ALONG, "m3 s-1", "flow over the floodplain, last sub-step"),
    "river_depth": (_ALONG, "m", "depth of the channel before the last sub-step"),
    "flow_area": (
        _ALONG,
        "m2",
        "cross-section of the floodplain's water before the last sub-step",
    ),
    "path_flow": (("path", "path_level"), "m3 s-1", "flow of paths, last sub-step"),
}

#: Those of every network; ``path_flow`` belongs to networks with paths.
_MOST = [name for name, row in VARIABLES.items() if row[0] == _ALONG]


def variables_of(network: RiverNetwork) -> dict[str, tuple[tuple[str, ...], str, str]]:
    """Return the rows of `VARIABLES` that a network has: without paths none for them.

    Parameters
    ----------
    network : RiverNetwork
        The network.

    Returns
    -------
    dict
        Name -> dimensions, units and meaning.
    """
    paths = "path_from" in network.data
    return {name: row for name, row in VARIABLES.items() if paths or row[0] == _ALONG}


def fingerprint(network: RiverNetwork) -> str:
    """Return what tells a network from others: its catchments and who drains where.

    Parameters
    ----------
    network : RiverNetwork
        In its own order.

    Returns
    -------
    str
        Sixteen hexadecimal digits; geometry does not count, so that it may be
        calibrated between runs.
    """
    order = np.argsort(network.ids, kind="stable")
    place = np.empty(network.size, np.int64)
    place[order] = np.arange(network.size)
    after = network.downstream[order]
    digest = hashlib.sha256(",".join(map(str, network.ids[order].tolist())).encode())
    digest.update(np.where(after >= 0, place[after], after).astype("<i8").tobytes())
    for end in ("path_from", "path_to"):
        if end in network.data:
            digest.update(place[network.data[end].values].astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def filled_channels(
    network: RiverNetwork,
    settings: Settings | None = None,
    sea_level: float = 0.0,
) -> xr.Dataset:
    """Return a state to begin with: channels that the sea has filled, and no flow.

    At a terminal the water stands at the sea's level, though not over the bank, and
    upstream as high as downstream, as far as the channels are lower. So CaMa-Flood v4
    begins; without a state a run here begins dry, and backwater takes longer to form.

    Parameters
    ----------
    network : RiverNetwork
        With channels and floodplains.
    settings : Settings, optional
        Of the run.
    sea_level : float, default 0
        Height of the sea above the bank of the mouths, m; inland ends are full.

    Returns
    -------
    xarray.Dataset
        For `tilth.rivers.routing.runs.route`, `tilth.rivers.routing.router.Router`.

    Raises
    ------
    InputError
        If the network lacks a variable.
    """
    ordered = network.sorted()
    geometry = geometry_of(ordered, settings or Settings())
    at_sea = ordered.downstream[ordered.terminals] == MOUTH
    filled = filled_state(geometry, np.where(at_sea, float(sea_level), 0.0))
    back = np.argsort(ordered.data["given_position"].values)
    given = {
        name: values if name == "path_flow" else values[back]
        for name, values in filled._asdict().items()
    }
    return state_dataset(State(**given), network)


def state_dataset(state: State, network: RiverNetwork) -> xr.Dataset:
    """Return a state as a dataset.

    Parameters
    ----------
    state : State
        In the network's order.
    network : RiverNetwork
        The network it belongs to.

    Returns
    -------
    xarray.Dataset
        For `save_state`, and to begin a run with.
    """
    arrays = state._asdict()
    result = xr.Dataset(
        {
            name: (dims, arrays[name], {"units": units, "long_name": meaning})
            for name, (dims, units, meaning) in variables_of(network).items()
        },
        coords={"catchment": network.ids},
    )
    result.attrs = {"title": "state of the rivers", "network": fingerprint(network)}
    return result


def state_arrays(state: xr.Dataset, network: RiverNetwork) -> State:
    """Return the arrays of a state in the network's order.

    Parameters
    ----------
    state : xarray.Dataset
        Of a run or a file; its catchments in any order.
    network : RiverNetwork
        The network of the run.

    Returns
    -------
    State
        Copies, float64.

    Raises
    ------
    InputError
        If the state is of another network, not complete, or cannot be.
    """
    needed = variables_of(network)
    require_variables(state, [*needed, "catchment"], "a state of the rivers")
    state = state[list(needed)].compute()  # of a lazy run: at once, not by variable
    rows = state.indexes["catchment"].get_indexer(pd.Index(network.ids))
    if (rows < 0).any() or rows.size != state.sizes["catchment"]:
        missing = network.ids[rows < 0]
        lacks = f"it lacks catchment {missing[0]} and " if missing.size else ""
        raise InputError(
            f"the state is of another network: {lacks}it has "
            f"{state.sizes['catchment']} catchments, the network {network.size}"
        )
    mark = state.attrs.get("network")
    if mark is not None and mark != fingerprint(network):
        raise InputError(
            "the state is of another network: the catchments have the same names, but "
            "drain elsewhere or are joined by other paths; begin without a state, or "
            "with one of this network"
        )
    arrays = {}
    for name, (dims, _, _) in needed.items():
        values = np.array(state[name].transpose(*dims).values, float, order="C")
        if dims == _ALONG:
            values = values[rows]
        elif values.shape != network.data["path_width"].shape:
            raise InputError(
                f"the state has {name} of the shape {values.shape}, the network's "
                f"paths and levels are {network.data['path_width'].shape}"
            )
        wrong = ~np.isfinite(values)
        if name in ("storage", "groundwater", "river_depth", "flow_area"):
            wrong |= values < 0.0
        if wrong.any():
            place = int(np.argwhere(wrong)[0, 0])
            owner = network.ids[place] if dims == _ALONG else place
            raise InputError(
                f"{name} of the state is {values[wrong][0]:g} at {dims[0]} {owner}: "
                "a state is complete, and its water not negative"
            )
        arrays[name] = values
    return State(**({"path_flow": np.zeros((0, 1))} | arrays))


def final_state(result: xr.Dataset) -> xr.Dataset:
    """Return the state at the end of a run, where the next one may begin.

    Parameters
    ----------
    result : xarray.Dataset
        Of `tilth.rivers.routing.runs.route`.

    Returns
    -------
    xarray.Dataset
        For the next run or `save_state`; ``date`` is the end of the run.

    Raises
    ------
    InputError
        If the dataset has no state.
    """
    names = [PREFIX + name for name in _MOST]
    require_variables(result, names, "the result of a routing run")
    if PREFIX + "path_flow" in result:
        names.append(PREFIX + "path_flow")
    taken = result[names].rename({name: name.removeprefix(PREFIX) for name in names})
    taken.attrs = {
        "title": "state of the rivers",
        "network": result.attrs["network"],
        "date": result.attrs["end"],
    }
    return taken.drop_vars("time", errors="ignore")


def save_state(state: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a state to NetCDF, to the last bit, with checksums.

    Parameters
    ----------
    state : xarray.Dataset
        Of `final_state` or `Router.state`.
    path : path
        Appears when it is complete.

    Raises
    ------
    InputError
        If the dataset is no state.
    """
    require_variables(state, _MOST, "a state of the rivers")
    if "path_flow" in state and not state["path_flow"].size:
        state = state.drop_vars("path_flow")
    plain = {
        name: {"dtype": "float64", "fletcher32": True}
        for name in VARIABLES
        if name in state
    }
    write_netcdf(stamp(state, "state saved"), path, encoding=plain)


def open_state(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a state that `save_state` wrote.

    Parameters
    ----------
    path : path
        NetCDF file.

    Returns
    -------
    xarray.Dataset
        In memory.

    Raises
    ------
    InputError
        If there is no file, or it is damaged or something else.
    """
    state = read_netcdf(path, "a state of the rivers")
    require_variables(state, _MOST, f"the state {path}")
    return state
