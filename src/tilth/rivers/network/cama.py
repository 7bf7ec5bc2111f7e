"""River networks from CaMa-Flood maps, as binaries or as NetCDF."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.rivers.network.cama_binary import (
    INLAND_CODE,
    NO_DATA,
    SEA,
    read_binary_map,
)
from tilth.rivers.network.cama_cells import open_grid
from tilth.rivers.network.model import INLAND, MOUTH, VARIABLES, RiverNetwork

__all__ = ["clipped_terminals", "read_cama_map"]

#: CaMa-Flood's name -> ours, in the same units; the channel's width is chosen apart.
_NEEDED = {
    "ctmare": "area",
    "rivlen": "river_length",
    "rivhgt": "river_depth",
    "elevtn": "elevation",
    "nxtdst": "downstream_distance",
    "fldhgt": "floodplain_height",
}
_OPTIONAL = {"rivman": "river_manning", "uparea": "upstream_area"}

#: What is read of NetCDF files.
_VARIABLES = ("nextx", "nexty", *_NEEDED, *_OPTIONAL)

#: Widths of channels, the better one first: rivwth_gwdlr is rivwth corrected by
#: satellite images where they show a river (Yamazaki et al. 2014, GWD-LR).
_WIDTHS = ("rivwth_gwdlr", "rivwth")

#: CaMa-Flood writes this into NetCDF files where there is nothing.
_FILL = 1e20


def read_cama_map(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    width: str | None = None,
    params: str | os.PathLike[str] | None = None,
    byte_order: str = "little",
) -> RiverNetwork:
    """Read a river network from a CaMa-Flood map (Yamazaki et al. 2011).

    A catchment is a cell of the map with data; it drains into the cell that
    ``nextx`` and ``nexty`` name (column and row, counted from 1), to the sea (-9), or
    ends inland (-10: an endorheic basin, or a basin cut by the edge of the map).

    Parameters
    ----------
    source : path or sequence of path
        Folder of binaries (``nextxy.bin``, ``ctmare.bin``, ...), a NetCDF file, or
        several NetCDF files of the same grid (CaMa-Flood keeps channels apart).
    width : str, optional
        Variable or file with the width of channels; by default ``rivwth_gwdlr`` where
        there is one, else ``rivwth``. (``width`` is the width seen by satellites, -1
        or 0 where none was seen: not the width of a channel.)
    params : path, optional
        Grid of binaries; by default ``params.txt`` in their folder.
    byte_order : str, default "little"
        Or "big"; of binaries.

    Returns
    -------
    RiverNetwork
        Catchments row by row. Their identifier is the number of the cell, row times
        columns plus column, counted from 0; ``row``, ``column``, ``lat`` and ``lon``
        say where it lies. The attributes ``grid_rows`` and ``grid_columns`` give the
        size of the map.

    Raises
    ------
    InputError
        If files are absent or of the wrong size, indices lead out of the map or into
        cells without data, or rows stand in the other order.

    References
    ----------
    Yamazaki, Kanae, Kim & Oki (2011), Water Resour. Res. 47, W04501.
    """
    single = isinstance(source, (str, os.PathLike))
    paths = [Path(source)] if single else [Path(p) for p in source]  # type: ignore[arg-type, union-attr]
    if single and paths[0].is_dir():
        grid = read_binary_map(paths[0], params, byte_order)
        paths = [paths[0] / f"{name}.bin" for name in ("nextxy", *grid.data_vars)]
    else:
        grid = _merged(paths, width)
    network = _network(grid, width, source)
    read = [path for path in paths if path.is_file()]
    return RiverNetwork(stamp(network.data, "river network of a CaMa-Flood map", read))


def clipped_terminals(network: RiverNetwork, tolerance: float = 0.05) -> np.ndarray:
    """Return the terminals whose basin reaches beyond the network.

    There the upstream area of the source map exceeds what the network drains: water
    from outside is not in the network, and discharge is too low.

    Parameters
    ----------
    network : RiverNetwork
        With ``area`` and ``upstream_area``.
    tolerance : float, default 0.05
        Share of the drained area by which the two may differ.

    Returns
    -------
    numpy.ndarray of int64
        Positions of such terminals.

    Examples
    --------
    >>> import xarray as xr
    >>> data = xr.Dataset({"downstream": ("catchment", [1, -1])})
    >>> data["area"] = "catchment", [4e6, 6e6], {"units": "m2"}
    >>> data["upstream_area"] = "catchment", [4e6, 90e6], {"units": "m2"}
    >>> clipped_terminals(RiverNetwork(data))
    array([1])
    """
    network.require("area", "upstream_area")
    drained = network.accumulate(network.data["area"].values)
    beyond = network.data["upstream_area"].values > drained * (1.0 + tolerance)
    ends = network.terminals
    return ends[beyond[ends]]


def _merged(paths: list[Path], width: str | None) -> xr.Dataset:
    """Read NetCDF files of one grid as one dataset."""
    merged = xr.Dataset()
    for path in paths:
        with open_grid(path, decode_times=False) as opened:
            known = {*_VARIABLES, *_WIDTHS, width}
            found = opened[[name for name in opened if name in known]].load()
        for name in ("nextx", "nexty"):
            if name in found:
                # A file may declare -9999 its fill value, which reads as NaN.
                found[name] = found[name].fillna(NO_DATA).astype(np.int64)
        try:
            merged = xr.merge([merged, found], join="exact", compat="override")
        except ValueError as error:
            raise InputError(f"{path} has another grid than {paths[0]}") from error
    return merged


def _network(grid: xr.Dataset, width: str | None, source: Any) -> RiverNetwork:
    """Return the network of a map on its grid."""
    name = _width_name(grid, width, source)
    wanted = {**_NEEDED, name: "river_width"}
    missing = [n for n in ("nextx", "nexty", *wanted) if n not in grid]
    if missing:
        raise InputError(
            f"{source} lacks {', '.join(missing)}; it has "
            f"{', '.join(map(str, grid.data_vars)) or 'nothing'}"
        )
    x, y = (grid[n].values.astype(np.int64) for n in ("nextx", "nexty"))
    there = x != NO_DATA
    if not there.any():
        raise InputError(f"{source} has no catchment: nextx is {NO_DATA} everywhere")
    row, column = np.nonzero(there)
    downstream = _downstream(x, y, there, source)
    rows, columns = there.shape
    high, wide = grid["nextx"].dims
    data = xr.Dataset(
        {
            "downstream": ("catchment", downstream),
            "row": ("catchment", row),
            "column": ("catchment", column),
        },
        {"catchment": row * columns + column},
        {"grid_rows": rows, "grid_columns": columns, "source": _names(source)},
    )
    for axis, dim, place in (("lat", high, row), ("lon", wide, column)):
        if dim in grid.coords:
            degrees = grid[dim].values.astype(float)[place]
            units = "degrees_north" if axis == "lat" else "degrees_east"
            data = data.assign_coords({axis: ("catchment", degrees, {"units": units})})
    wanted |= {n: ours for n, ours in _OPTIONAL.items() if n in grid}
    for theirs, ours in wanted.items():
        values = grid[theirs].transpose(..., high, wide).values
        _check_mask(values, there, theirs, source)
        taken = np.moveaxis(values[..., there], -1, 0).astype(float)
        dims = ("catchment",) if taken.ndim == 1 else ("catchment", "layer")
        data[ours] = (dims, taken, {"units": VARIABLES[ours].units})
    return RiverNetwork(data)


def _names(source: Any) -> str:
    """Return the names of files without the folders of a machine."""
    paths = [source] if isinstance(source, (str, os.PathLike)) else source
    return ", ".join(Path(path).name for path in paths)


def _width_name(grid: xr.Dataset, width: str | None, source: Any) -> str:
    """Return which variable holds the channels' width."""
    if width == "width":
        raise InputError(
            "width is the width that satellites saw, -1 or 0 where they saw none; "
            "that of channels is rivwth_gwdlr or rivwth"
        )
    if width is not None:
        return width
    for name in _WIDTHS:
        if name in grid:
            return name
    raise InputError(
        f"{source} has no width of channels: neither {' nor '.join(_WIDTHS)}; say "
        "which variable it is (width)"
    )


def _downstream(x: np.ndarray, y: np.ndarray, there: np.ndarray, source: Any) -> Any:
    """Return positions of the next catchments from columns and rows counted from 1."""
    rows, columns = there.shape
    row, column = np.nonzero(there)
    x, y = x[there], y[there]
    codes = np.where(x == SEA, MOUTH, INLAND)
    ends = (x == SEA) | (x == INLAND_CODE)
    outside = ~ends & ((x < 1) | (x > columns) | (y < 1) | (y > rows))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        zero = (x[outside] == 0).any() or (y[outside] == 0).any()
        why = (
            "indices count from 1: were these counted from 0?"
            if zero
            else f"codes are {SEA} (sea), {INLAND_CODE} (inland) and {NO_DATA}; was "
            "the map cut without its indices?"
        )
        raise InputError(
            f"{source}: {outside.sum()} cells drain out of the map of {columns} "
            f"columns and {rows} rows; the first is row {row[first]}, column "
            f"{column[first]} (from 0) with nextx {x[first]}, nexty {y[first]}: {why}"
        )
    _check_row_order(row, y, ends, rows, source)
    place = np.full(there.shape, -1, np.int64)
    place[there] = np.arange(row.size)
    after = place[np.where(ends, 0, y - 1), np.where(ends, 0, x - 1)]
    empty = ~ends & (after < 0)
    if empty.any():
        first = int(np.flatnonzero(empty)[0])
        raise InputError(
            f"{source}: {empty.sum()} catchments drain into cells without data; the "
            f"first is row {row[first]}, column {column[first]} (from 0), into row "
            f"{y[first] - 1}, column {x[first] - 1}"
        )
    return np.where(ends, codes, after)


def _check_row_order(
    row: np.ndarray, y: np.ndarray, ends: np.ndarray, rows: int, source: Any
) -> None:
    """Raise if rivers reach neighbours only with the rows the other way round."""
    from_row, to_row = row[~ends], y[~ends] - 1
    if not from_row.size:
        return
    near = (np.abs(to_row - from_row) <= 1).mean()
    turned = (np.abs(to_row - (rows - 1 - from_row)) <= 1).mean()
    if near < 0.5 and turned > near:
        raise InputError(
            f"{source}: only {near:.0%} of the catchments drain into their own or a "
            f"neighbouring row, {turned:.0%} would with the rows the other way round: "
            "the rows stand upside down against nexty (row 1 is the first of the file)"
        )


def _check_mask(values: np.ndarray, there: np.ndarray, name: str, source: Any) -> None:
    """Raise if a catchment has no number."""
    absent = ~np.isfinite(values) | (values == NO_DATA) | (np.abs(values) >= _FILL)
    absent = absent.reshape(-1, *there.shape)
    if not (absent & there).any():
        return
    if not (absent[:, ::-1] & there).any():
        raise InputError(
            f"{source}: {name} has gaps that would fill with its rows the other way "
            "round: it stands upside down against nextxy"
        )
    _, row, column = (int(i) for i in np.argwhere(absent & there)[0])
    raise InputError(
        f"{source}: {name} has no number at {int((absent & there).any(axis=0).sum())} "
        f"catchments; the first is row {row}, column {column} (from 0)"
    )
