"""Positions as the Plate Boundary Observatory writes them: .pos, north before east."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.positions.readers.columns import lines_of, numbers, words_of, wrapped
from tilth.gnss.positions.series import mjd_to_time, position_series

#: Kinds of solution, better ones higher: of repeated epochs the best is used.
_PREFERENCE = {"rapid": 0, "suppl": 1, "suppf": 2, "final": 3, "repro": 4}

#: A rotated series agrees with the local one within this, m: both are printed to
#: 1e-5 m, and the local one leaves out the curvature of the ellipsoid.
_AGREEMENT = 1e-3


def read_pbo(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read daily positions in the layout PBO .pos.

    Files have north, east, up; the result has east, north, up. That a file keeps to
    this is seen from its geocentric coordinates, which are rotated and compared.

    Parameters
    ----------
    path : path
        The file; its header ends with the line that starts with ``*YYYYMMDD``. May be
        gzipped.

    Returns
    -------
    xarray.Dataset
        As of `tilth.gnss.positions.position_series`, relative to the reference
        position of the header. Of repeated epochs a final solution comes before a
        rapid one.

    Raises
    ------
    InputError
        If the file is damaged, or its local and geocentric coordinates disagree.

    References
    ----------
    Herring et al. (2016), Reviews of Geophysics 54, 759-808.
    """
    lines = lines_of(path)
    end = next((i for i, line in enumerate(lines) if line.startswith("*YYYY")), None)
    if end is None:
        raise InputError(
            f"{path} has no line that starts with '*YYYYMMDD': not a PBO .pos file, "
            "or its header was cut"
        )
    header = {}
    for line in lines[:end]:
        name, _, value = line.partition(":")
        header[name.strip()] = value.strip()
    words = words_of(lines[end + 1 :], path, 24, "PBO .pos")
    table = numbers(words[:, :24], path)
    place = table[:, [16, 15, 17]]
    _check_order(place, table, path)
    kind = words[:, 24] if words.shape[1] > 24 else np.full(len(words), "")
    reference = header.get("NEU Reference position", "").split()
    frame = header.get("PBO Station Position Time Series. Reference Frame", "")
    attrs: dict[str, object] = {
        "station": header.get("4-character ID", ""),
        "layout": "PBO",
    }
    if frame:
        attrs["frame"] = frame
    if len(reference) >= 3:
        attrs["latitude"] = float(reference[0])
        attrs["longitude"] = wrapped(float(reference[1]))
        attrs["height"] = float(reference[2])
    return position_series(
        mjd_to_time(table[:, 2]),
        place,
        table[:, [19, 18, 20]],
        correlation=table[:, [21, 23, 22]],  # NE, NU, EU -> EN, EU, NU
        preference=[_PREFERENCE.get(word[:5].lower(), 0) for word in kind],
        attrs=attrs,
    )


def _check_order(
    place: np.ndarray, table: np.ndarray, path: str | os.PathLike[str]
) -> None:
    """Raise if the geocentric coordinates say that north and east are exchanged."""
    good = np.isfinite(table).all(axis=1)
    if good.sum() < 2:
        return
    latitude, longitude = np.deg2rad(table[good][0, 12:14])
    north = [
        -np.sin(latitude) * np.cos(longitude),
        -np.sin(latitude) * np.sin(longitude),
        np.cos(latitude),
    ]
    east = [-np.sin(longitude), np.cos(longitude), 0.0]
    moved = table[good, 3:6] - table[good][0, 3:6]
    local = place[good, :2] - place[good][0, :2]
    rotated = moved @ np.array([east, north]).T
    as_read = np.abs(local - rotated).max()
    if as_read <= _AGREEMENT:
        return
    if np.abs(local[:, ::-1] - rotated).max() < as_read:
        raise InputError(
            f"{path}: columns 16 and 17 are east and north, by the geocentric "
            "coordinates; PBO .pos has north before east: exchange them"
        )
