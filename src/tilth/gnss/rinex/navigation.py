"""Navigation messages from RINEX 2 and 3 files, as a table."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.signals import satellite_number
from tilth.gnss.rinex.header import header_lines
from tilth.gnss.rinex.texts import read_text
from tilth.gnss.rinex.times import BEIDOU_LAG, WEEK, ahead_of, gps_seconds

#: Numbers of a record of Kepler's elements: clock, then lines 2 to 4 of the message,
#: then rates and week. RINEX 3.05, tables A5, A8 and A14.
ELEMENTS = (
    "clock_offset", "clock_drift", "clock_drift_rate",
    "issue", "radius_sine", "mean_motion_difference", "mean_anomaly",
    "latitude_cosine", "eccentricity", "latitude_sine", "root_of_axis",
    "time_of_elements", "inclination_cosine", "node", "inclination_sine",
    "inclination", "radius_cosine", "perigee", "node_rate",
    "inclination_rate", "codes", "week",
)  # fmt: skip

#: Numbers of a record of GLONASS: clock, then position (km), velocity (km s-1) and
#: acceleration by sun and moon (km s-2) of three axes, each with one number more.
STATES = (
    "clock_offset", "frequency_offset", "message_time",
    "x", "x_velocity", "x_acceleration", "health",
    "y", "y_velocity", "y_acceleration", "channel",
    "z", "z_velocity", "z_acceleration", "age",
)  # fmt: skip

#: Lines of a record by constellation; SBAS, QZSS and NavIC are passed over. Version
#: 3.05 gave GLONASS a fourth line of further numbers.
_LINES = {"G": 8, "E": 8, "C": 8, "R": 4, "S": 4, "J": 8, "I": 8}

#: Columns of a number.
_WIDTH = 19

#: Week of GPS time in which BeiDou's weeks begin. BDS-SIS-ICD, section 3.3.
_BEIDOU_WEEK = 1356


def read_navigation(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the navigation messages of GPS, Galileo, BeiDou and GLONASS.

    Parameters
    ----------
    path : path
        RINEX 2 (GPS or GLONASS) or 3, plain or compressed.

    Returns
    -------
    xarray.Dataset
        Along ``record``: ``satellite`` (its number), ``clock_time`` and
        ``element_time`` (seconds of GPS time), the `ELEMENTS` in the units of the
        message (s, m, rad, rad s-1; NaN for GLONASS), and the `STATES` of GLONASS in
        km, km s-1 and km s-2 (NaN for the others).

    Raises
    ------
    InputError
        If it is no such file, a record is cut, or it has none.
    """
    text = read_text(path)
    try:
        return _parse(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _parse(text: bytes) -> xr.Dataset:
    """Return the messages of a text."""
    header, length = header_lines(text)
    first = header[0]
    kind = first[20:60]
    if "RINEX VERSION" not in first or kind[:1] not in ("N", "G"):
        raise InputError(f"this is no RINEX navigation file: it begins {first[:60]!r}")
    version = float(first[:9])
    if not 2 <= version < 4:
        raise InputError(
            f"navigation messages of RINEX {version:g} are not read: have them "
            "converted to version 3"
        )
    # Version 2 has GLONASS in files of its own, by the letter G in place of N.
    letter = None if version >= 3 else ("R" if kind[0] == "G" else "G")
    margin = 4 if version >= 3 else 3
    lines = text[length:].decode("latin-1").splitlines()
    kepler: list[tuple[int, float, list[float]]] = []
    states: list[tuple[int, float, list[float]]] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
            continue
        system = letter or line[:1]
        if system not in _LINES:
            raise InputError(f"no record begins with {line[:23]!r}")
        count = _LINES[system]
        if system in "RS" and _has_fourth_line(lines, at, margin):
            count += 1
        record = lines[at : at + count]
        if len(record) < count:
            raise InputError(
                f"the record of {line[:3]} at the end is cut: the file was not copied "
                "to its end"
            )
        at += count
        if system not in "GREC":
            continue
        name = system + (line[:2] if letter else line[1:3]).replace(" ", "0")
        numbers = _numbers(record, margin)
        if numbers is None:
            raise InputError(f"the record of {name}, {line[3:23].strip()}, is damaged")
        (states if system == "R" else kepler).append(
            (satellite_number(name), _clock_time(line, margin, system), numbers)
        )
    if not kepler and not states:
        raise InputError("it has no message of GPS, GLONASS, Galileo or BeiDou")
    return _table(kepler, states)


def _has_fourth_line(lines: list[str], at: int, margin: int) -> bool:
    """Tell if a record of four lines goes on: the next line begins with blanks."""
    following = lines[at + 4] if at + 4 < len(lines) else ""
    return bool(following.strip()) and not following[:margin].strip()


def _numbers(record: list[str], margin: int) -> list[float] | None:
    """Return the numbers of a record, blanks as zero; None where one is none."""
    # The first line has the time in place of its first number.
    fields = [record[0][margin + _WIDTH * k :][:_WIDTH] for k in (1, 2, 3)]
    for line in record[1:]:
        fields += [line[margin + _WIDTH * k :][:_WIDTH] for k in range(4)]
    try:
        return [
            float(field.replace("D", "E").replace("d", "E")) if field.strip() else 0.0
            for field in fields
        ]
    except ValueError:
        return None


def _clock_time(line: str, margin: int, system: str) -> float:
    """Return the time of a record in seconds of GPS time."""
    words = line[margin - 1 : margin + _WIDTH].split()
    try:
        year, month, day, hour, minute = (int(word) for word in words[:5])
        second = float(words[5])
        if year < 100:
            year += 1900 if year >= 80 else 2000
        begin = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T00:00", "ns")
    except (ValueError, IndexError):
        raise InputError(f"no time of a record in {line[:23]!r}") from None
    moment = begin + np.timedelta64(
        round((3600 * hour + 60 * minute + second) * 1e9), "ns"
    )
    time = {"R": "GLO", "C": "BDT"}.get(system, "GPS")
    return float(gps_seconds(moment) + ahead_of(time, moment))


def _table(
    kepler: list[tuple[int, float, list[float]]],
    states: list[tuple[int, float, list[float]]],
) -> xr.Dataset:
    """Return both kinds of records as one table."""
    records = kepler + states
    data = xr.Dataset(
        {
            "satellite": ("record", np.array([r[0] for r in records], "int16")),
            "clock_time": ("record", np.array([r[1] for r in records])),
        }
    )
    missing = np.full(len(records), np.nan)
    for names, rows, begin in ((ELEMENTS, kepler, 0), (STATES, states, len(kepler))):
        for k, name in enumerate(names):
            column = data[name].values if name in data else missing.copy()
            column[begin : begin + len(rows)] = [row[2][k] for row in rows]
            data[name] = ("record", column)
    beidou = data["satellite"].values // 100 == 3
    week = data["week"].values + np.where(beidou, _BEIDOU_WEEK, 0)
    lag = np.where(beidou, BEIDOU_LAG, 0.0)
    time = WEEK * week + data["time_of_elements"].values + lag
    # Weeks are written without the times they began anew (1024 weeks), in some files
    # of the day before: the clock's time tells which week it is.
    off = np.rint((time - data["clock_time"].values) / WEEK)
    time = time - WEEK * off
    data["element_time"] = (
        "record",
        np.where(np.isfinite(time), time, data.clock_time),
    )
    return data
