"""The river network: unit catchments, where they drain to, channels and floodplains."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.units import convert
from tilth.rivers.network import topology

__all__ = ["INLAND", "MOUTH", "RiverNetwork"]

#: ``downstream`` of a river mouth: the water goes to the sea.
MOUTH = -1

#: ``downstream`` of an inland termination: an endorheic basin, or the edge of a map.
INLAND = -2


@dataclass(frozen=True)
class _Variable:
    """What a variable of a network is, and what its numbers may be."""

    units: str
    meaning: str
    dims: tuple[str, ...] = ("catchment",)
    least: float = -np.inf
    positive: bool = False
    gaps: bool = False


_PATH = ("path", "path_level")

#: Name -> what it is. Only ``downstream`` must be there; methods ask for the others.
VARIABLES: dict[str, _Variable] = {
    "area": _Variable("m2", "area of the unit catchment", positive=True),
    "river_length": _Variable("m", "length of the channel", positive=True),
    "river_width": _Variable("m", "width of the channel", positive=True),
    "river_depth": _Variable("m", "depth of the channel up to its bank", least=0.0),
    "elevation": _Variable("m", "elevation of the bank"),
    "downstream_distance": _Variable(
        "m", "distance to the next catchment along the river", positive=True
    ),
    "floodplain_height": _Variable(
        "m",
        "height above the bank below which a share of the catchment lies, in equal "
        "steps of area",
        ("catchment", "layer"),
        least=0.0,
    ),
    "river_manning": _Variable("s m-1/3", "Manning's n of the channel", positive=True),
    "upstream_area": _Variable("m2", "area drained, of the source map", positive=True),
    "muskingum_time": _Variable("s", "travel time of a wave (k)", positive=True),
    "muskingum_weight": _Variable("1", "weight of the inflow (x)", least=0.0),
    "path_length": _Variable("m", "length of the path", ("path",), positive=True),
    "path_width": _Variable("m", "width of the path at each level", _PATH, least=0.0),
    "path_elevation": _Variable(
        "m", "elevation of the bed at each level; none where there is none", _PATH,
        gaps=True,
    ),
}  # fmt: skip

_POSITIONS = ("downstream", "path_from", "path_to")

#: Of `RiverNetwork.sorted`: position in the network as it was.
_GIVEN = "given_position"


@dataclass(frozen=True)
class RiverNetwork:
    """Unit catchments (or reaches), each draining into one other, or out.

    Parameters
    ----------
    data : xarray.Dataset
        Along ``catchment``: ``downstream``, position (from 0) of the catchment that
        follows, `MOUTH` (-1) at the sea, `INLAND` (-2) where a river ends inland or
        at the edge of a map. With units, as far as they are known: ``area`` m2,
        ``river_length`` m, ``river_width`` m, ``river_depth`` m (bank-full),
        ``elevation`` m (of the bank), ``downstream_distance`` m,
        ``floodplain_height`` (catchment, layer) m above the bank, at equal steps of
        area, ``river_manning`` s m-1/3, ``upstream_area`` m2, ``muskingum_time`` s,
        ``muskingum_weight``. Channels that join two catchments beside the network
        (bifurcations) along ``path``: ``path_from``, ``path_to`` (positions),
        ``path_length`` m, ``path_width`` and ``path_elevation`` (path, path_level) m.
        The coordinate ``catchment`` holds identifiers (by default positions).

    Raises
    ------
    InputError
        If positions lead out of the network or in a circle, or numbers cannot be.

    Examples
    --------
    >>> import xarray as xr
    >>> three = xr.Dataset({"downstream": ("catchment", [2, 2, -1])})
    >>> RiverNetwork(three).accumulate([1.0, 1.0, 1.0])
    array([1., 1., 3.])
    """

    data: xr.Dataset

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _checked(self.data))

    def __repr__(self) -> str:
        paths = self.data.sizes.get("path", 0)
        return (
            f"<RiverNetwork: {self.size} catchments in "
            f"{int((self.downstream < 0).sum())} basins"
            f"{f', {paths} paths' if paths else ''}; "
            f"{', '.join(name for name in VARIABLES if name in self.data)}>"
        )

    @property
    def size(self) -> int:
        """Number of catchments."""
        return int(self.data.sizes["catchment"])

    @property
    def downstream(self) -> np.ndarray:
        """Position of the next catchment; negative at terminals."""
        return self.data["downstream"].values

    @property
    def ids(self) -> np.ndarray:
        """Identifiers of the catchments."""
        return self.data["catchment"].values

    @property
    def terminals(self) -> np.ndarray:
        """Positions where water leaves the network."""
        return np.flatnonzero(self.downstream < 0)

    @cached_property
    def order(self) -> np.ndarray:
        """Positions such that every catchment comes after all upstream of it."""
        return topology.upstream_first(self.downstream)

    @cached_property
    def basin(self) -> np.ndarray:
        """Number of the basin of each catchment, in the order of the terminals."""
        return topology.basins(self.downstream, self.order)

    @cached_property
    def component(self) -> np.ndarray:
        """Number of the group of basins, joined by paths, of each catchment."""
        if "path_from" not in self.data:
            return self.basin
        ends = (self.data[name].values for name in ("path_from", "path_to"))
        return topology.components(self.basin, *ends)

    @property
    def bed(self) -> np.ndarray:
        """Elevation of the channel's bed, m."""
        self.require("elevation", "river_depth")
        return self.data["elevation"].values - self.data["river_depth"].values

    def accumulate(self, values: npt.ArrayLike) -> np.ndarray:
        """Sum a quantity over each catchment and everything upstream of it.

        Parameters
        ----------
        values : array, shape (..., n)
            Such as area in m2 or runoff in m3 s-1.

        Returns
        -------
        numpy.ndarray
            The sums, of the same shape and units.
        """
        shape = np.shape(values)
        if not shape or shape[-1] != self.size:
            raise InputError(
                f"values of the shape {shape} do not belong to {self.size} catchments"
            )
        return topology.accumulate(self.downstream, self.order, values)

    def require(self, *names: str) -> None:
        """Raise unless the network has these variables.

        Parameters
        ----------
        *names : str
            Names of variables.

        Raises
        ------
        InputError
            If one is absent; the text says what it is.
        """
        missing = [name for name in names if name not in self.data]
        if missing:
            listed = "; ".join(
                f"{name} ({VARIABLES[name].meaning}, {VARIABLES[name].units})"
                if name in VARIABLES
                else name
                for name in missing
            )
            raise InputError(f"the river network lacks {listed}")

    def positions(self, ids: Iterable[Any]) -> np.ndarray:
        """Return the positions of catchments by their identifiers.

        Parameters
        ----------
        ids : iterable
            Identifiers, as in the coordinate ``catchment``.

        Returns
        -------
        numpy.ndarray of int64
            Their positions.

        Raises
        ------
        InputError
            If one is not in the network.
        """
        wanted = np.asarray(list(ids))
        found = self.data.indexes["catchment"].get_indexer(pd.Index(wanted))
        if (found < 0).any():
            raise InputError(
                f"the network has no catchment {_some(wanted[found < 0])}; it has "
                f"{_some(self.ids)}"
            )
        return found.astype(np.int64)

    def subset(self, positions: npt.ArrayLike) -> RiverNetwork:
        """Return the network of some catchments, in the order given.

        A catchment whose downstream is not among them becomes an inland termination,
        as at the edge of a clipped map; paths to catchments left out are dropped.

        Parameters
        ----------
        positions : array of int or bool
            Positions to keep, or a mask.

        Returns
        -------
        RiverNetwork
            With the same identifiers.
        """
        chosen = np.asarray(positions)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        place = np.full(self.size, INLAND, np.int64)
        place[chosen] = np.arange(chosen.size)
        data = self.data.isel(catchment=chosen)
        after = data["downstream"].values
        data["downstream"] = (
            "catchment",
            np.where(after >= 0, place[np.maximum(after, 0)], after),
            data["downstream"].attrs,
        )
        if "path_from" in data:
            ends = [place[data[name].values] for name in ("path_from", "path_to")]
            kept = (ends[0] >= 0) & (ends[1] >= 0)
            data = data.isel(path=kept).assign(
                path_from=("path", ends[0][kept]), path_to=("path", ends[1][kept])
            )
        return RiverNetwork(data)

    def sorted(self) -> RiverNetwork:
        """Return the network with components one after the other, upstream first.

        Returns
        -------
        RiverNetwork
            Its variable ``given_position`` leads back:
            ``values[numpy.argsort(given_position)]`` are in the order of before.
        """
        by_component = np.argsort(self.component[self.order], kind="stable")
        order = self.order[by_component]
        ordered = self.subset(order)
        return RiverNetwork(ordered.data.assign({_GIVEN: ("catchment", order)}))

    def to_netcdf(self, path: str | os.PathLike[str]) -> Path:
        """Write the network to a file.

        Parameters
        ----------
        path : path
            NetCDF file; it appears when it is complete.

        Returns
        -------
        pathlib.Path
            The file.
        """
        write_netcdf(self.data, path)
        return Path(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RiverNetwork:
        """Read a network that `to_netcdf` wrote.

        Parameters
        ----------
        path : path
            NetCDF file.

        Returns
        -------
        RiverNetwork
            The network.

        Raises
        ------
        InputError
            If the file is damaged or holds something else.
        """
        return cls(read_netcdf(path, "a river network"))


def _checked(data: xr.Dataset) -> xr.Dataset:
    """Return the dataset in the model's units and types, or raise."""
    if "downstream" not in data:
        raise InputError(
            "a river network needs the variable downstream (position of the next "
            f"catchment); found {', '.join(map(str, data.variables)) or 'nothing'}"
        )
    if data["downstream"].dims != ("catchment",) or not data["downstream"].size:
        raise InputError(
            "downstream needs the one dimension catchment, and at least one of them; "
            f"it has {dict(data['downstream'].sizes)}"
        )
    n = data.sizes["catchment"]
    ids = data.indexes.get("catchment")
    if ids is None:
        data = data.assign_coords(catchment=np.arange(n))
    elif not ids.is_unique:
        raise InputError(
            "each catchment needs an identifier of its own; more than once: "
            f"{_some(ids[ids.duplicated()].unique())}"
        )
    data = data.assign({name: _position(data, name, n) for name in _present(data)})
    numbers = [name for name in VARIABLES if name in data]
    data = data.assign({name: _number(data[name], VARIABLES[name]) for name in numbers})
    _check_topology(data)
    _check_profile(data)
    return data


def _present(data: xr.Dataset) -> list[str]:
    """Return the variables of positions that are there, or raise if some lack."""
    if ("path_from" in data) != ("path_to" in data):
        raise InputError("a path needs both of its ends: path_from and path_to")
    return [name for name in _POSITIONS if name in data]


def _position(data: xr.Dataset, name: str, n: int) -> xr.DataArray:
    """Return positions as 64-bit integers, all of them within the network."""
    values = data[name].values
    if values.dtype.kind not in "iu":
        whole = np.isfinite(values) & (values == np.round(values))
        if not whole.all():
            raise InputError(
                f"{name} holds positions, so whole numbers; value "
                f"{int(np.flatnonzero(~whole)[0])} is {values[~whole][0]}"
            )
    values = values.astype(np.int64)
    least = INLAND if name == "downstream" else 0
    wrong = np.flatnonzero((values < least) | (values >= n))
    if wrong.size:
        raise InputError(
            f"{name} must be positions from 0 to {n - 1}"
            f"{', -1 (mouth) or -2 (inland)' if least else ''}; "
            f"{wrong.size} are not, the first is {values[wrong[0]]} at position "
            f"{wrong[0]}: are they counted from 1, or identifiers?"
        )
    return data[name].copy(data=values)


def _number(values: xr.DataArray, variable: _Variable) -> xr.DataArray:
    """Return a variable in its units as float64, all of its numbers possible."""
    name = values.name
    if set(values.dims) != set(variable.dims):
        raise InputError(
            f"{name} needs the dimensions {', '.join(variable.dims)}; it has "
            f"{', '.join(map(str, values.dims)) or 'none'}"
        )
    units = values.attrs.get("units")
    if units is None:
        raise InputError(f"{name} has no units; they would be {variable.units}")
    if units != variable.units:
        if "/" in variable.units:  # a fractional power: only its spelling can be read
            raise InputError(f"{name} must be in {variable.units}, got {units!r}")
        values = convert(values, variable.units)
    values = values.transpose(*variable.dims).astype(float)
    numbers = values.values
    wrong = numbers <= 0.0 if variable.positive else numbers < variable.least
    wrong |= np.isinf(numbers)
    if not variable.gaps:
        wrong |= np.isnan(numbers)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        owner = values[variable.dims[0]].values[at[0]]
        rule = "must be above zero" if variable.positive else "cannot be that"
        raise InputError(
            f"{name} ({variable.meaning}) {rule}: it is {numbers[at]:g} "
            f"{variable.units} at {variable.dims[0]} {owner}, and {wrong.sum()} values "
            "like it in all"
        )
    values.attrs["units"] = variable.units
    values.attrs.setdefault("long_name", variable.meaning)
    return values


def _check_topology(data: xr.Dataset) -> None:
    """Raise if water flows in a circle."""
    cycle = topology.find_cycle(data["downstream"].values)
    if cycle.size:
        ids = data["catchment"].values[[*cycle, cycle[0]]]
        raise InputError(f"catchments flow in a circle: {_some(ids, ' -> ')}")


def _check_profile(data: xr.Dataset) -> None:
    """Raise if a floodplain falls where more of its area is counted."""
    if "floodplain_height" not in data:
        return
    steps = np.diff(data["floodplain_height"].values, axis=1)
    if (steps < 0).any():
        cell, layer = (int(i) for i in np.argwhere(steps < 0)[0])
        raise InputError(
            f"floodplain_height must not decrease with the layer: at catchment "
            f"{data['catchment'].values[cell]} it falls by {-steps[cell, layer]:g} m "
            f"after layer {layer + 1}"
        )


def _some(ids: Iterable[Hashable], comma: str = ", ") -> str:
    """Return a few identifiers as text."""
    every = list(ids)
    shown = comma.join(str(x) for x in every[:8])
    return shown if len(every) <= 8 else f"{shown}{comma}... ({len(every)} in all)"
