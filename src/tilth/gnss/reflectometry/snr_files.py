"""Files of signal-to-noise ratios as gnssrefl keeps them, one per station and day.

A line holds satellite, elevation, azimuth (degrees), second of the GPS day, change of
elevation (degree s-1) and the ratios of the bands S6, S1, S2, S5, S7, S8 (dB-Hz, 0 for
none). The name tells station, day of year, year and which elevations were kept, as in
``mchl0110.25.snr66.gz``.
"""

from __future__ import annotations

import datetime
import gzip
import os
import re
import zlib
from pathlib import Path

import numpy as np
import xarray as xr
from numba import njit

from tilth.core.errors import InputError
from tilth.core.files import whole_file
from tilth.gnss.reflectometry.signals import BANDS
from tilth.gnss.reflectometry.snr_days import check_day, date_of, snr_day

#: Kind of file -> elevations above and up to which it keeps a row, degrees.
KINDS = {66: (-90.0, 30.0), 99: (5.0, 30.0), 88: (-90.0, 90.0), 50: (-90.0, 10.0)}

#: Fewest and most columns of a line; old files lack bands at the end.
_FEWEST, _MOST = 7, 11

_NAME = re.compile(r"(\w{4})(\d{3})\d\w*\.(\d\d)\.snr(\d\d)", re.IGNORECASE)

#: What the reader of lines returns beside the number of columns.
_GOOD, _NO_NUMBER, _UNEVEN = 0, 1, 2


def read_snr(
    path: str | os.PathLike[str],
    *,
    station: str | None = None,
    date: datetime.date | str | None = None,
) -> xr.Dataset:
    """Read a file of signal-to-noise ratios.

    Parameters
    ----------
    path : path
        Plain or compressed with gzip, of any of the `KINDS`.
    station, date : str, optional
        Where the name of the file does not tell them.

    Returns
    -------
    xarray.Dataset
        As `tilth.gnss.reflectometry.snr_days.snr_day` has it, with the attribute
        ``kind`` where the name tells it.

    Raises
    ------
    InputError
        If there is no such file, it is damaged or something else, or neither its name
        nor the arguments tell station and day.
    """
    path = Path(path)
    told = _NAME.match(path.name)
    if station is None or date is None:
        named = date_in_name(path)
        station, date = station or named[0], date or named[1]
    table = _rows(_content(path), path)
    bands = dict(zip(BANDS, table[5:], strict=False))
    try:
        satellite = table[0].astype("int64")
        day = snr_day(
            satellite,
            table[1],
            table[2],
            table[3],
            bands,
            station=station,
            date=date,
            elevation_rate=table[4],
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if told:
        day.attrs["kind"] = int(told[4])
    return day


def date_in_name(path: str | os.PathLike[str]) -> tuple[str, datetime.date]:
    """Return station and day that the name of a file tells.

    Parameters
    ----------
    path : path
        Such as ``mchl0110.25.snr66.gz``: station, day of year, year.

    Returns
    -------
    str, datetime.date
        Station in small letters, and the day in GPS time.

    Raises
    ------
    InputError
        If the name does not tell them.

    Examples
    --------
    >>> date_in_name("mchl0110.25.snr66.gz")
    ('mchl', datetime.date(2025, 1, 11))
    """
    name = Path(path).name
    told = _NAME.match(name)
    if not told or not 1 <= int(told[2]) <= 366:
        raise InputError(
            f"the name {name} does not tell station and day, as mchl0110.25.snr66.gz "
            "(day 011 of 2025) does"
        )
    year = int(told[3]) + (2000 if int(told[3]) < 80 else 1900)
    begin = datetime.date(year, 1, 1)
    return told[1].lower(), begin + datetime.timedelta(days=int(told[2]) - 1)


def write_snr(day: xr.Dataset, folder: str | os.PathLike[str], kind: int = 66) -> Path:
    """Write a day as a compressed file that gnssrefl and Tilth read.

    Parameters
    ----------
    day : xarray.Dataset
        Of `tilth.gnss.reflectometry.snr_days.snr_day`.
    folder : path
        Where the file shall be, under its usual name.
    kind : int
        Which elevations are kept: 66 up to 30 degrees, 99 from 5 to 30, 88 all, 50 up
        to 10.

    Returns
    -------
    pathlib.Path
        The file: station, day of year and year make its name.

    Raises
    ------
    InputError
        If the kind is unknown, the folder does not exist, or the station's name does
        not have four characters.
    """
    check_day(day)
    if kind not in KINDS:
        raise InputError(
            f"no kind {kind} of SNR files; there are {', '.join(map(str, KINDS))}"
        )
    station = str(day.attrs["station"]).lower()
    if not re.fullmatch(r"\w{4}", station):
        raise InputError(
            f"the name of an SNR file has four characters for the station, got "
            f"{station!r}"
        )
    lowest, highest = KINDS[kind]
    elevation = day["elevation"].values
    kept = (elevation > lowest) & (elevation <= highest)
    rate = day.get("elevation_rate")
    columns = [
        day["satellite"].values,
        elevation,
        day["azimuth"].values,
        day["second"].values,
        np.zeros(kept.size) if rate is None else rate.values,
        *(np.nan_to_num(day[band].values) for band in BANDS),
    ]
    table = np.column_stack([column[kept] for column in columns])
    line = "%3d %9.4f %9.4f %9.1f %9.6f" + 6 * " %6.2f"
    text = "".join(f"{line % tuple(row)}\n" for row in table)
    date = date_of(day)
    name = f"{station}{date:%j}0.{date:%y}.snr{kind}.gz"
    with whole_file(Path(folder) / name) as half:
        # Without the time of writing the same day makes the same file.
        half.write_bytes(gzip.compress(text.encode(), 6, mtime=0))
    return Path(folder) / name


def _content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is damaged or was not copied to its end: {error}"
        ) from error


def _rows(content: bytes, path: Path) -> np.ndarray:
    """Return the numbers of all lines, shape (column, row)."""
    table, columns, state, line = _parse(np.frombuffer(content, np.uint8))
    if state == _NO_NUMBER:
        raise InputError(
            f"{path}, line {line}: not a row of numbers; an SNR file holds satellite, "
            "elevation, azimuth, second, rate and ratios, and no header"
        )
    if state == _UNEVEN or not _FEWEST <= columns <= _MOST:
        raise InputError(
            f"{path}, line {line}: {columns} columns; an SNR file has {_FEWEST} to "
            f"{_MOST}, the same on every line"
        )
    return table


@njit(cache=True, nogil=True)
def _parse(text):  # pragma: no cover - compiled
    """Read decimal numbers between blanks; return table, columns, state and line.

    A number of up to 15 digits is the nearest double, as of any careful reader: both
    its digits and the power of ten are exact, and one division rounds once.
    """
    blank, newline, carriage, tab = 32, 10, 13, 9
    minus, plus, point, zero = 45, 43, 46, 48
    lines = 1
    for c in text:
        if c == newline:
            lines += 1
    table = np.empty((_MOST + 1, lines))
    powers = 10.0 ** np.arange(19)
    row, column, columns, line, i, n = 0, 0, 0, 1, 0, text.size
    while i <= n:
        c = text[i] if i < n else newline
        if c in (blank, tab, carriage):
            i += 1
            continue
        if c == newline:
            if column:
                if row == 0:
                    columns = column
                    if columns < _FEWEST or columns > _MOST:
                        return table[:, :0], columns, _UNEVEN, line
                elif column != columns:
                    return table[:, :0], column, _UNEVEN, line
                row += 1
                column = 0
            line += 1
            i += 1
            continue
        negative = c == minus
        if negative or c == plus:
            i += 1
        digits, decimals, read, past = 0, 0, 0, False
        while i < n:
            c = text[i]
            if c == point and not past:
                past = True
            elif zero <= c < zero + 10:
                digits = 10 * digits + (c - zero)
                decimals += past
                read += 1
            else:
                break
            i += 1
        ended = i >= n or c in (blank, newline, tab, carriage)
        if read == 0 or read > 15 or not ended or column > _MOST:
            return table[:, :0], columns, _NO_NUMBER, line
        value = digits / powers[decimals]
        table[column, row] = -value if negative else value
        column += 1
    state = _GOOD if row else _NO_NUMBER
    return table[:columns, :row].copy(), columns, state, line
