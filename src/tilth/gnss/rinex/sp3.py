"""Precise orbits from SP3 files, as a table."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.signals import satellite_number
from tilth.gnss.rinex.texts import read_text
from tilth.gnss.rinex.times import ahead_of, gps_seconds


def read_sp3(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read satellite positions from an SP3 file.

    Parameters
    ----------
    path : path
        SP3-a to -d, plain or compressed.

    Returns
    -------
    xarray.Dataset
        ``position`` (time, satellite, axis): earth-centred earth-fixed, m, NaN where
        the file has none; ``time`` in seconds of GPS time, ``satellite`` numbers of
        GPS, GLONASS, Galileo and BeiDou.

    Raises
    ------
    InputError
        If it is no SP3 file, is damaged or cut, or has no position.
    """
    text = read_text(path)
    try:
        return _parse(text.decode("latin-1").lstrip().splitlines())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _parse(lines: list[str]) -> xr.Dataset:
    """Return the positions of the lines of a file."""
    if lines[0][:1] != "#" or lines[0][1:2] not in "abcd":
        raise InputError(f"this is no SP3 file: it begins with {lines[0][:40]!r}")
    descriptors = [line for line in lines if line.startswith("%c")]
    # Version a, of 1993, is of GPS time alone and does not say so.
    system = descriptors[0][9:12].strip() if descriptors else "GPS"
    epochs: list[np.datetime64] = []
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.startswith("*"):
                epochs.append(_epoch(line))
            elif line.startswith("P") and line[1:2] in "GREC 0123456789":
                name = line[1:4].replace(" ", "G", 1) if line[1] == " " else line[1:4]
                at = [1e3 * float(line[4 + 14 * k : 18 + 14 * k]) for k in range(3)]
                rows.append((len(epochs) - 1, satellite_number(name), *at))
        except ValueError:
            raise InputError(f"line {number} is damaged: {line[:60]!r}") from None
    if not rows:
        raise InputError("it has no position")
    announced = lines[0][32:39].strip()
    if announced.isdigit() and int(announced) > len(epochs):
        raise InputError(
            f"it announces {announced} epochs and has {len(epochs)}: it was not "
            "copied to its end"
        )
    moments = np.array(epochs)
    table = np.array(rows)
    satellites, column = np.unique(table[:, 1].astype("int16"), return_inverse=True)
    position = np.full((moments.size, satellites.size, 3), np.nan)
    # A position of zeros is no position (Hilla 2010, The Extended SP3 Orbit Format).
    there = np.abs(table[:, 2:]).max(axis=1) > 0
    position[table[there, 0].astype(int), column[there]] = table[there, 2:]
    return xr.Dataset(
        {
            "position": (
                ("time", "satellite", "axis"),
                position,
                {"units": "m", "long_name": "position, earth-centred earth-fixed"},
            )
        },
        coords={
            "time": gps_seconds(moments) + ahead_of(system or "GPS", moments),
            "satellite": satellites,
        },
    )


def _epoch(line: str) -> np.datetime64:
    """Return the time of an epoch."""
    year, month, day, hour, minute = (int(word) for word in line[1:].split()[:5])
    second = float(line[1:].split()[5])
    begin = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T00:00", "ns")
    return begin + np.timedelta64(
        round((3600 * hour + 60 * minute + second) * 1e9), "ns"
    )
