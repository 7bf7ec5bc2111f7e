"""Sea level at river mouths, from tide-gauge stations or a surge model's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import convert
from tilth.rivers.network.cama_cells import cell_positions, open_grid
from tilth.rivers.network.model import MOUTH, RiverNetwork

__all__ = ["read_sea_level", "read_sea_level_stations"]


def read_sea_level_stations(
    path: str | os.PathLike[str], network: RiverNetwork
) -> xr.DataArray:
    """Read which station each river mouth belongs to.

    Parameters
    ----------
    path : path
        CaMa-Flood's table: the number of lines, then in each line column and row of a
        mouth, and the number of its station, all counted from 1.
    network : RiverNetwork
        From the same map.

    Returns
    -------
    xarray.DataArray, dim catchment
        Position (from 0) of the station of each mouth that has one, by the mouth's
        identifier.

    Raises
    ------
    InputError
        If a line names no mouth of the network, or a mouth twice.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no {path}")
    words = Path(path).read_text(encoding="utf-8", errors="replace").split()
    try:
        count, *rest = (int(word) for word in words)
        table = np.array(rest[: 3 * count], np.int64).reshape(count, 3) - 1
    except ValueError:
        raise InputError(
            f"{path} is no table of stations: a number of lines, then column, row and "
            "station, all whole numbers"
        ) from None
    position = cell_positions(network, table[:, 1], table[:, 0])
    is_mouth = (position >= 0) & (network.downstream[position] == MOUTH)
    if not is_mouth.all():
        column, row, station = table[~is_mouth][0]
        raise InputError(
            f"{path}: station {station + 1} belongs to column {column + 1}, row "
            f"{row + 1}, where the network has no river mouth; "
            f"{int((~is_mouth).sum())} lines are like it: is the table of another map?"
        )
    ids = network.ids[position]
    if np.unique(ids).size < ids.size:
        raise InputError(f"{path} names a river mouth more than once")
    if (table[:, 2] < 0).any():
        raise InputError(f"{path}: stations count from 1, one is 0 or less")
    return xr.DataArray(
        table[:, 2],
        {"catchment": ids},
        name="station",
        attrs={"long_name": "position of the mouth's station, from 0"},
    )


def read_sea_level(
    path: str | os.PathLike[str],
    stations: xr.DataArray,
    network: RiverNetwork,
    *,
    variable: str = "waterlevel",
    elsewhere: float = 0.0,
) -> xr.DataArray:
    """Read sea level at river mouths from a file of stations, such as GTSM's.

    Parameters
    ----------
    path : path
        NetCDF with `variable` along ``time`` and ``stations``.
    stations : xarray.DataArray
        Of `read_sea_level_stations`.
    network : RiverNetwork
        Its river mouths.
    variable : str, default "waterlevel"
        Name of the water level; its units are m where the file names none, as GTSM's
        do not.
    elsewhere : float, default 0.0
        Level at mouths without a station, m; CaMa-Flood's is zero.

    Returns
    -------
    xarray.DataArray, dims (time, catchment)
        Water level in m at every mouth, above the bank there, at the file's times.

    Raises
    ------
    InputError
        If the variable or a station is not there, or there are gaps.

    References
    ----------
    Muis et al. (2020), Front. Mar. Sci. 7, 263 (GTSM).
    """
    with open_grid(path) as found:
        if variable not in found or "time" not in found.coords:
            raise InputError(
                f"{path} needs the variable {variable} along time; it has "
                f"{', '.join(map(str, found.variables)) or 'nothing'}"
            )
        level = found[variable]
        places = [dim for dim in level.dims if dim != "time"]
        if "time" not in level.dims or len(places) != 1:
            raise InputError(
                f"{variable} of {path} needs the dimensions time and stations; it has "
                f"{', '.join(map(str, level.dims))}"
            )
        count = level.sizes[places[0]]
        if int(stations.max()) >= count:
            raise InputError(
                f"{path} has {count} stations; a river mouth belongs to number "
                f"{int(stations.max()) + 1}"
            )
        at = xr.DataArray(stations.values, dims="catchment")
        mouths = level.isel({places[0]: at}).compute()
    mouths = mouths.reset_coords(drop=True).astype(float)
    mouths = mouths.assign_coords(catchment=stations["catchment"]).transpose(
        "time", "catchment"
    )
    gaps = np.argwhere(np.isnan(mouths.values))
    if gaps.size:
        time, mouth = gaps[0]
        raise InputError(
            f"{variable} of {path} has {len(gaps)} gaps at the mouths' stations; the "
            f"first at station {int(stations[mouth]) + 1} at "
            f"{mouths['time'].values[time]}: fill them first"
        )
    mouths.attrs = {"units": str(level.attrs.get("units", "m"))}
    mouths = convert(mouths.rename("sea_level"), "m")
    every = network.ids[network.downstream == MOUTH]
    mouths = mouths.reindex(catchment=every, fill_value=float(elsewhere))
    mouths.attrs = {"units": "m", "long_name": "sea level above the mouth's bank"}
    return mouths
