"""Readers of positions: each layout of the field becomes the one of this package."""

from __future__ import annotations

import os
from collections.abc import Callable

import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.gnss.positions.readers.columns import lines_of
from tilth.gnss.positions.readers.jpl import read_jpl
from tilth.gnss.positions.readers.ngl import read_tenv, read_tenv3
from tilth.gnss.positions.readers.pbo import read_pbo

__all__ = [
    "LAYOUTS",
    "read_jpl",
    "read_pbo",
    "read_positions",
    "read_tenv",
    "read_tenv3",
]

#: Layouts by name.
LAYOUTS: dict[str, Callable[[str | os.PathLike[str]], xr.Dataset]] = {
    "tenv3": read_tenv3,
    "tenv": read_tenv,
    "pbo": read_pbo,
    "jpl": read_jpl,
}


def read_positions(
    path: str | os.PathLike[str], layout: str | None = None
) -> xr.Dataset:
    """Read a station's positions from a file of any known layout.

    Parameters
    ----------
    path : path
        The file; may be gzipped.
    layout : {"tenv3", "tenv", "pbo", "jpl"}, optional
        By default recognised from the first lines, not from the file's name.

    Returns
    -------
    xarray.Dataset
        Along ``time``, m: see `tilth.gnss.positions.position_series`. With the file's
        checksum.

    Raises
    ------
    InputError
        If the layout is unknown or the file is not what it says.
    """
    layout = layout or _recognised(path)
    if layout not in LAYOUTS:
        raise InputError(f"no layout {layout!r}; known: {', '.join(LAYOUTS)}")
    return stamp(LAYOUTS[layout](path), f"read {layout} positions", [path])


def _recognised(path: str | os.PathLike[str]) -> str:
    """Return the layout that the first lines of a file show."""
    lines = lines_of(path)
    words = lines[0].split()
    if any(line.startswith("*YYYYMMDD") for line in lines[:60]):
        return "pbo"
    if words[0] == "site":
        return "tenv3"
    if len(words) == 17 and _is_number(words[0]):
        return "jpl"
    if len(words) == 16 and not _is_number(words[1]):
        return "tenv"
    if len(words) >= 20 and not _is_number(words[1]):
        return "tenv3"
    raise InputError(
        f"{path}: the first line fits none of {', '.join(LAYOUTS)}: {lines[0][:60]!r}; "
        "positions of another layout enter by tilth.gnss.positions.position_series"
    )


def _is_number(word: str) -> bool:
    """Return whether a word is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True
