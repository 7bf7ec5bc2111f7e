"""River networks from tables of reaches, such as the National Water Model's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import convert_values
from tilth.rivers.network.cama_cells import open_grid
from tilth.rivers.network.model import INLAND, MOUTH, VARIABLES, RiverNetwork

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ROUTELINK", "reach_network", "read_nhd_routelink"]

#: Downstream reach 0, in RAPID's and the NHD's tables: the water leaves.
_OUTLET = 0

#: Columns of the National Water Model's RouteLink, in SI units.
ROUTELINK = {
    "catchment": "link",
    "downstream": "to",
    "river_length": "Length",
    "river_manning": "n",
    "slope": "So",
    "bottom_width": "BtmWdth",
    "top_width": "TopWdth",
    "side_slope": "ChSlp",
    "muskingum_time": "MusK",
    "muskingum_weight": "MusX",
    "head_elevation": "alt",
    "lat": "lat",
    "lon": "lon",
    "gauge": "gages",
}

#: What a table may hold beside the variables of a network, and its units.
_EXTRA = {
    "slope": "1",
    "bottom_width": "m",
    "top_width": "m",
    "side_slope": "1",
    "head_elevation": "m",
    "lat": "degrees_north",
    "lon": "degrees_east",
}
_TEXT = ("gauge",)


def read_nhd_routelink(
    source: str | os.PathLike[str] | pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    *,
    least_slope: float | None = None,
) -> RiverNetwork:
    r"""Read a river network from a RouteLink file or another table of reaches.

    A trapezoid of bottom width b, top width t and side slope s (rise over run) is
    bank-full at the depth :math:`s (t - b) / 2`; a rectangle of that depth and of the
    width :math:`(b + t) / 2` has the same bank-full area and takes its place. Where
    slopes, lengths and depths are known, beds are laid upstream from each terminal so
    that every reach falls by its slope times its length, and banks above them.

    Parameters
    ----------
    source : path or pandas.DataFrame
        NetCDF (as of the National Water Model) or CSV with a heading, or the table
        itself; one row per reach.
    columns : mapping of str to str, optional
        Our name -> column of the table; by default those of `ROUTELINK`, as far as
        they are there. ``catchment`` and ``downstream`` (identifiers; 0 where the
        river reaches the sea) must be. Others: any variable of `RiverNetwork`,
        ``slope``, ``bottom_width``, ``top_width``, ``side_slope``,
        ``head_elevation`` (of the upper end; that of terminals sets the level the beds
        are laid from), ``lat``, ``lon``, ``gauge`` (text).
    units : mapping of str to str, optional
        Our name -> units of its column where they are not Tilth's, such as
        {"river_length": "km"}.
    least_slope : float, optional
        Takes the place of smaller slopes; by default a slope of zero or less is
        refused.

    Returns
    -------
    RiverNetwork
        In the order of the table. Reaches whose downstream is not in the table end
        inland.

    Raises
    ------
    InputError
        If columns are not there, or numbers cannot be.

    References
    ----------
    Gochis et al. (2020), The WRF-Hydro modeling system technical description,
    version 5.2, NCAR.
    """
    table, label = _table(source)
    given = dict(columns or {})
    chosen = {
        ours: theirs
        for ours, theirs in {**ROUTELINK, **given}.items()
        if theirs in table or ours in given or ours in ("catchment", "downstream")
    }
    absent = [theirs for theirs in chosen.values() if theirs not in table]
    if absent:
        raise InputError(
            f"{label} has no column {', '.join(absent)}; it has "
            f"{', '.join(list(table)[:30])}: say which they are (columns)"
        )
    found: dict[str, np.ndarray] = {}
    for ours, theirs in chosen.items():
        values = table[theirs]
        if ours in _TEXT:
            found[ours] = np.array([_text(x) for x in values])
        elif ours in ("catchment", "downstream"):
            found[ours] = _identifiers(values, theirs, label)
        else:
            found[ours] = _column(values, ours, theirs, (units or {}).get(ours), label)
    reach, after = found.pop("catchment"), found.pop("downstream")
    if {"bottom_width", "top_width", "side_slope"} <= set(found):
        bottom, top = found.pop("bottom_width"), found.pop("top_width")
        depth = found.pop("side_slope") * (top - bottom) / 2.0
        found = {"river_width": (bottom + top) / 2.0, "river_depth": depth} | found
    elif "top_width" in found:
        found = {"river_width": found.pop("top_width")} | found
    for unused in ("bottom_width", "side_slope"):
        found.pop(unused, None)
    slope = found.pop("slope", None)
    base = found.pop("head_elevation", np.zeros(reach.size))
    if "river_length" in found:
        found.setdefault("downstream_distance", found["river_length"])
    network = reach_network(reach, after, found)
    if slope is None or "river_length" not in found or "elevation" in found:
        return network
    return _with_beds(network, _checked_slope(slope, reach, least_slope, label), base)


def reach_network(
    reach: np.ndarray, after: np.ndarray, columns: Mapping[str, np.ndarray]
) -> RiverNetwork:
    """Make a network of reaches that name the one they drain into.

    Parameters
    ----------
    reach, after : array, shape (n)
        Identifier of each reach, and of the next one downstream; 0 at a river mouth.
    columns : mapping of str to array
        Variables of `RiverNetwork` in their units, ``lat``, ``lon``, ``gauge``.

    Returns
    -------
    RiverNetwork
        In the order given; reaches whose downstream is none of them end inland.

    Raises
    ------
    InputError
        If a reach is there twice, or reaches flow in a circle.

    Examples
    --------
    >>> import numpy as np
    >>> reach_network(np.array([7, 8, 9]), np.array([9, 9, 0]), {}).downstream
    array([ 2,  2, -1])
    """
    refuse_twice(reach)
    unique, first = np.unique(reach, return_index=True)
    near = np.minimum(np.searchsorted(unique, after), unique.size - 1)
    known = unique[near] == after
    downstream = np.where(known, first[near], np.where(after == _OUTLET, MOUTH, INLAND))
    data = xr.Dataset({"downstream": ("catchment", downstream)}, {"catchment": reach})
    for name, values in columns.items():
        units = VARIABLES[name].units if name in VARIABLES else _EXTRA.get(name)
        attrs = {"units": units} if units else {}
        if name in ("lat", "lon"):
            data = data.assign_coords({name: ("catchment", values, attrs)})
        else:
            data[name] = ("catchment", values, attrs)
    return RiverNetwork(data)


def refuse_twice(reach: np.ndarray) -> None:
    """Raise if a reach is there twice.

    Parameters
    ----------
    reach : array, shape (n)
        Identifiers.

    Raises
    ------
    InputError
        The text names the first.
    """
    first = np.unique(reach, return_index=True)[1]
    if first.size < reach.size:
        twice = np.setdiff1d(np.arange(reach.size), first)
        raise InputError(
            f"{twice.size} reaches are there more than once; the first is "
            f"{reach[twice[0]]}"
        )


def _with_beds(
    network: RiverNetwork, slope: np.ndarray, base: np.ndarray
) -> RiverNetwork:
    """Return the network with banks such that every reach falls by its slope."""
    data = network.data
    fall = slope * data["river_length"].values
    bed = base.astype(float).copy()
    downstream = network.downstream
    for i in network.order[::-1]:
        if downstream[i] >= 0:
            bed[i] = bed[downstream[i]] + fall[i]
    if "river_depth" not in data:
        return network
    bank = bed + data["river_depth"].values
    elevation = ("catchment", bank, {"units": VARIABLES["elevation"].units})
    return RiverNetwork(data.assign(elevation=elevation))


def _checked_slope(
    slope: np.ndarray, reach: np.ndarray, least: float | None, label: str
) -> np.ndarray:
    """Return slopes above zero, or raise."""
    if least is not None:
        return np.maximum(slope, least)
    flat = np.flatnonzero(~(slope > 0))
    if flat.size:
        raise InputError(
            f"{label}: {flat.size} reaches do not fall; the first is {reach[flat[0]]} "
            f"with a slope of {slope[flat[0]]:g}. Give least_slope, such as 1e-5, to "
            "let them fall by that"
        )
    return slope


def _table(source: Any) -> tuple[dict[str, np.ndarray], str]:
    """Return the columns of a table, and what to call it."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        frame, label = source, "the table"
    else:
        path, label = Path(source), str(source)
        if path.suffix.lower() not in (".csv", ".txt"):
            with open_grid(path) as opened:
                found = opened.load()
            rows = {values.dims[0] for values in found.values() if values.ndim == 1}
            return {
                str(name): values.values
                for name, values in found.variables.items()
                if values.ndim == 1 and set(values.dims) <= rows
            }, label
        if not path.is_file():
            raise InputError(f"there is no {path}")
        try:
            frame = pd.read_csv(path)
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path} as a table: {error}") from error
    return {str(name): frame[name].to_numpy() for name in frame}, label


def _identifiers(values: np.ndarray, name: str, label: str) -> np.ndarray:
    """Return whole numbers, or raise."""
    try:
        whole = values.astype(np.int64)
        same = (whole == values).all()
    except (ValueError, TypeError, OverflowError):
        same = False
    if not same:
        raise InputError(f"{name} of {label} must hold whole numbers, one per reach")
    return whole


def _column(
    values: np.ndarray, ours: str, theirs: str, units: str | None, label: str
) -> np.ndarray:
    """Return a column in our units as float64, or raise."""
    if ours not in VARIABLES and ours not in _EXTRA:
        raise InputError(
            f"{ours} is no variable of a river network: they are "
            f"{', '.join([*VARIABLES, *_EXTRA, *_TEXT])}"
        )
    try:
        numbers = values.astype(float)
    except (ValueError, TypeError):
        raise InputError(f"{theirs} of {label} must hold numbers") from None
    if units is not None:
        target = VARIABLES[ours].units if ours in VARIABLES else _EXTRA[ours]
        numbers = convert_values(numbers, units, target)
    gaps = np.flatnonzero(~np.isfinite(numbers))
    if gaps.size:
        raise InputError(
            f"{theirs} of {label} has {gaps.size} gaps; the first in row {gaps[0]}"
        )
    return np.asarray(numbers)


def _text(value: Any) -> str:
    """Return text without the blanks around it."""
    return value.decode().strip() if isinstance(value, bytes) else str(value).strip()
