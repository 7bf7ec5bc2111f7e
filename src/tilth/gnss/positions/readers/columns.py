"""Text files of positions as lines of words, with errors that name the line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tilth.core.errors import InputError


def lines_of(path: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a text file that hold something; it may be gzipped.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    list of str
        Lines without their ends.

    Raises
    ------
    InputError
        If there is no such file, it is empty, or it is not text.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("ascii")
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise InputError(
            f"{path} is not a text file of positions, or was cut: {error}"
        ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty")
    return lines


def words_of(
    lines: Sequence[str], path: str | os.PathLike[str], least: int, what: str
) -> np.ndarray:
    """Return lines as a table of words; all must have enough of them.

    Parameters
    ----------
    lines : sequence of str
        Lines of data.
    path : path
        Where they come from, for messages.
    least : int
        Number of columns that are needed.
    what : str
        Name of the layout, for messages.

    Returns
    -------
    numpy.ndarray of str, shape (line, column)
        As many columns as the shortest line has.

    Raises
    ------
    InputError
        If there is no line, or one is too short.
    """
    if not lines:
        raise InputError(f"{path} has no rows of data")
    rows = [line.split() for line in lines]
    short = next((i for i, row in enumerate(rows) if len(row) < least), None)
    if short is not None:
        raise InputError(
            f"{path}: row {short + 1} of the data has {len(rows[short])} columns, "
            f"{what} has at least {least}; the file was cut or is something else: "
            f"{lines[short][:60]!r}"
        )
    width = min(map(len, rows))
    return np.array([row[:width] for row in rows])


def numbers(words: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    """Return words as numbers; "nan" is one.

    Parameters
    ----------
    words : numpy.ndarray of str
        Of any shape.
    path : path
        Where they come from, for messages.

    Returns
    -------
    numpy.ndarray of float
        Of the same shape.

    Raises
    ------
    InputError
        If a word is no number; names the first.
    """
    try:
        return words.astype(float)
    except ValueError as error:
        raise InputError(f"{path}: {error} (a number is expected here)") from error


def one_station(names: np.ndarray, path: str | os.PathLike[str]) -> str:
    """Return the station that all rows name.

    Parameters
    ----------
    names : numpy.ndarray of str
        Of each row.
    path : path
        Where they come from, for messages.

    Returns
    -------
    str
        Its name.

    Raises
    ------
    InputError
        If there are several.
    """
    found = np.unique(names)
    if found.size > 1:
        raise InputError(
            f"{path} holds the stations {', '.join(found[:8])}: one file, one station"
        )
    return str(found[0])


def wrapped(longitude: float) -> float:
    """Return a longitude within -180 to 180 degrees; files have -268.9 for 91.1.

    Parameters
    ----------
    longitude : float
        Degrees east.

    Returns
    -------
    float
        Degrees east, at least -180 and below 180.
    """
    while longitude >= 180.0:
        longitude -= 360.0
    while longitude < -180.0:
        longitude += 360.0
    return longitude
