"""CaMa-Flood's bifurcations: channels that join catchments beside the network."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.cama_cells import cell_positions
from tilth.rivers.network.model import VARIABLES, RiverNetwork

__all__ = ["read_bifurcations"]

#: A centre may be off the cell it belongs to by what its three decimals hide, degrees.
_ROUNDING = 2e-3


def read_bifurcations(
    path: str | os.PathLike[str], network: RiverNetwork
) -> RiverNetwork:
    """Add the paths of a CaMa-Flood table (``bifprm.txt``) to a network.

    Each path is cut into levels one above the other, each with a width. Level 1 is a
    channel: its bed lies the table's depth below the table's elevation. The bed of
    level l >= 2 lies l - 2 m above that elevation: level 2 is the ground, the ones
    above are wider ground 1 m, 2 m, ... higher (Yamazaki et al. 2014).

    Parameters
    ----------
    path : path
        First line: number of paths, number of levels. Then for each path: column and
        row of both ends (counted from 1), length (m), elevation (m), depth (m), the
        width of each level (m, 0 where there is none), and, optionally, latitude and
        longitude of the first end.
    network : RiverNetwork
        From the same map, or a part of it.

    Returns
    -------
    RiverNetwork
        With ``path_from``, ``path_to``, ``path_length``, ``path_width``,
        ``path_elevation`` (NaN where a level has no width). Paths with an end where
        the network has no catchment are left out; the attribute ``paths_left_out``
        counts them.

    Raises
    ------
    InputError
        If the table is cut short or belongs to another map.

    References
    ----------
    Yamazaki, Sato, Kanae, Hirabayashi & Bates (2014), Geophys. Res. Lett. 41,
    3127-3135, doi:10.1002/2014GL059744.
    """
    rows, levels = _table(path)
    start, end = rows[:, :4].astype(np.int64).reshape(-1, 2, 2).swapaxes(0, 1) - 1
    first = cell_positions(network, start[:, 1], start[:, 0])
    second = cell_positions(network, end[:, 1], end[:, 0])
    if rows.shape[1] > 7 + levels:
        _check_places(network, first, rows[:, 7 + levels :], path)
    kept = (first >= 0) & (second >= 0)
    if not kept.any():
        raise InputError(
            f"none of the {len(rows)} paths of {path} joins two catchments of the "
            "network: it belongs to another map"
        )
    length, elevation, depth = rows[kept, 4:7].T
    width = rows[kept, 7 : 7 + levels]
    bed = elevation[:, None] + np.arange(1, levels + 1) - 2.0
    bed[:, 0] = elevation - depth
    bed = np.where(width > 0, bed, np.nan)
    joined = {
        "path_from": ("path", first[kept]),
        "path_to": ("path", second[kept]),
        "path_length": ("path", length),
        "path_width": (("path", "path_level"), width),
        "path_elevation": (("path", "path_level"), bed),
    }
    data = network.data.assign(
        {
            name: xr.Variable(
                dims,
                values,
                {"units": VARIABLES[name].units} if name in VARIABLES else {},
            )
            for name, (dims, values) in joined.items()
        }
    )
    data.attrs["paths_left_out"] = int((~kept).sum())
    return RiverNetwork(data)


def _table(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Return the rows of a table of bifurcations, and the number of levels."""
    if not Path(path).is_file():
        raise InputError(f"there is no {path}")
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        count, levels = (int(word) for word in lines[0].split()[:2])
    except (IndexError, ValueError):
        raise InputError(
            f"{path} does not begin with the number of paths and of levels: it is "
            "not a table of bifurcations"
        ) from None
    rows = []
    for number, line in enumerate(lines[1 : count + 1], start=2):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) < 7 + levels:
            raise InputError(
                f"line {number} of {path} needs {7 + levels} numbers (two cells, "
                f"length, elevation, depth, {levels} widths): {line.strip()!r}"
            )
        rows.append(row[: 9 + levels])
    if len(rows) < count or len({len(row) for row in rows}) > 1:
        raise InputError(
            f"{path} announces {count} paths and holds {len(rows)}"
            if len(rows) < count
            else f"the lines of {path} do not all have the same number of columns"
        )
    return np.array(rows).reshape(count, -1), levels


def _check_places(
    network: RiverNetwork,
    position: np.ndarray,
    places: np.ndarray,
    path: str | os.PathLike[str],
) -> None:
    """Raise if the first ends do not lie where the table says."""
    if places.shape[1] < 2 or not {"lat", "lon"} <= set(network.data.coords):
        return
    known = position >= 0
    for column, axis in enumerate(("lat", "lon")):
        cells = network.data[axis].values
        steps = np.diff(np.unique(cells))
        half = steps.min() / 2 if steps.size else np.inf
        off = np.abs(places[known, column] - cells[position[known]])
        if (off > half + _ROUNDING).any():
            worst = int(np.argmax(off))
            raise InputError(
                f"{path} places path {np.flatnonzero(known)[worst] + 1} at {axis} "
                f"{places[known, column][worst]:g}, the cell it names lies at "
                f"{cells[position[known]][worst]:g}: the table belongs to another "
                "map, or the map's rows stand upside down"
            )
