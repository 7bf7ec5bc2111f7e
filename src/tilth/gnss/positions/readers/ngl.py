"""Positions as the Nevada Geodetic Laboratory writes them: tenv3 and tenv."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.positions.readers.columns import (
    lines_of,
    numbers,
    one_station,
    words_of,
    wrapped,
)
from tilth.gnss.positions.series import (
    ERROR_LIMIT,
    POSITION_LIMIT,
    mjd_to_time,
    position_series,
)

#: Order of the columns of a tenv3 header that must not be another.
_ORDER = ("e0", "east", "n0", "north", "u0", "up")

#: Eastings are counted from a meridian at most 0.1 degree away (the extremal zones
#: have half the width): 11.14 km on the equator.
_LARGEST_EASTING = 11_200.0


def read_tenv3(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read daily positions in the layout tenv3.

    Position is the integer plus the fractional part of each coordinate, so a carry
    from one to the other leaves no step. Eastings count from a reference meridian: a
    row with another one than the first is flagged.

    Parameters
    ----------
    path : path
        File of 23 columns, or of 20 as older ones have (without latitude, longitude
        and height); the header line may lack; may be gzipped.

    Returns
    -------
    xarray.Dataset
        As of `tilth.gnss.positions.position_series`, relative to the first row that
        can be used; its place is in the attributes. ``frame`` comes from the file's
        name where it is there (``LHAS.IGS14.tenv3``).

    Raises
    ------
    InputError
        If the file is damaged, holds several stations, or has north before east.

    References
    ----------
    Blewitt, Hammond & Kreemer (2018), Eos 99, doi 10.1029/2018EO104623; the
    laboratory's README_tenv3.
    """
    lines = lines_of(path)
    if lines[0].split()[0] == "site":
        _check_order(lines.pop(0), path)
    words = words_of(lines, path, 20, "tenv3")
    station = one_station(words[:, 0], path)
    table = numbers(words[:, 2:], path)  # column i of the layout is i - 3 here
    whole, part = table[:, [5, 7, 9]], table[:, [6, 8, 10]]
    _check_places(whole + part, table, path)
    meridian = table[:, 4]
    error = table[:, 12:15]
    rejected = {
        "out_of_range": (error > ERROR_LIMIT).any(axis=1),
        "other_meridian": meridian != meridian[0],
    }
    clean = np.isfinite(whole + part).all(axis=1)
    clean &= ~(rejected["out_of_range"] | rejected["other_meridian"])
    first = int(np.argmax(clean))
    attrs = {"station": station, **_frame(path), "layout": "tenv3"}
    attrs["reference_meridian_degrees"] = wrapped(float(meridian[first]))
    for i, name in enumerate(("easting", "northing", "height")):
        attrs[f"reference_{name}_m"] = float((whole + part)[first, i])
    if table.shape[1] >= 21:
        attrs["latitude"] = float(table[first, 18])
        attrs["longitude"] = wrapped(float(table[first, 19]))
        attrs["height"] = float(table[first, 20])
    return position_series(
        mjd_to_time(table[:, 1] + 0.5),
        (whole - whole[first]) + (part - part[first]),
        error,
        correlation=table[:, 15:18],
        year=table[:, 0],
        antenna_height=table[:, 11],
        rejected=rejected,
        attrs=attrs,
    )


def read_tenv(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read daily positions in the layout tenv.

    Parameters
    ----------
    path : path
        File of 16 columns without a header; may be gzipped.

    Returns
    -------
    xarray.Dataset
        As of `tilth.gnss.positions.position_series`; relative to the first row of
        the file. Coordinates of 99.999999 m and standard errors of 9.999999 m mean
        "does not fit" there: such rows are flagged.

    Raises
    ------
    InputError
        If the file is damaged or holds several stations.

    References
    ----------
    Blewitt (2012), An introduction to tenv rapid GPS time series, Nevada Geodetic
    Laboratory.
    """
    words = words_of(lines_of(path), path, 16, "tenv")
    station = one_station(words[:, 0], path)
    table = numbers(words[:, 2:16], path)
    position, error = table[:, 4:7], table[:, 8:11]
    outside = (np.abs(position) > POSITION_LIMIT).any(axis=1)
    return position_series(
        mjd_to_time(table[:, 1] + 0.5),
        position,
        error,
        correlation=table[:, 11:14],
        year=table[:, 0],
        antenna_height=table[:, 7],
        rejected={"out_of_range": outside | (error > ERROR_LIMIT).any(axis=1)},
        attrs={"station": station, **_frame(path), "layout": "tenv"},
    )


def _frame(path: str | os.PathLike[str]) -> dict[str, object]:
    """Return the reference frame that a file's name holds."""
    parts = Path(path).name.split(".")[1:]
    frame = next((p for p in parts if re.fullmatch(r"[A-Z]{2,4}\d{2}[a-z]?", p)), None)
    return {"frame": frame} if frame else {}


def _check_order(header: str, path: str | os.PathLike[str]) -> None:
    """Raise unless a header has east, north and up in the order of the layout."""
    names = [word.strip("_").partition("(")[0] for word in header.split()]
    if tuple(names[7:13]) != _ORDER:
        raise InputError(
            f"{path}: columns 8 to 13 are called {', '.join(names[7:13])}; in tenv3 "
            f"they are {', '.join(_ORDER)}: bring them to this order"
        )


def _check_places(
    places: np.ndarray, table: np.ndarray, path: str | os.PathLike[str]
) -> None:
    """Raise if eastings cannot be eastings: north may have been put before east."""
    largest = np.nanmax(np.abs(places[:, 0]), initial=0.0)
    if largest > _LARGEST_EASTING:
        raise InputError(
            f"{path}: easting reaches {largest / 1e3:.1f} km, but it counts from a "
            f"meridian at most {_LARGEST_EASTING / 1e3:g} km away: north was probably "
            "put before east; tenv3 has east in columns 8 and 9"
        )
