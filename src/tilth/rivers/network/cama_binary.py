"""CaMa-Flood's plain binary maps: their grid, their sizes and their byte order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

__all__ = ["CamaGrid", "read_binary_grid", "read_binary_map", "read_records"]

#: Code of cells without data in CaMa-Flood's maps.
NO_DATA = -9999

#: The sea (-9) and inland (-10): codes of ``nextxy`` where a river ends.
SEA, INLAND_CODE = -9, -10

#: Maps of one number per cell; whichever lie in the folder are read.
_MAPS = (
    "ctmare", "elevtn", "nxtdst", "rivlen", "rivwth", "rivwth_gwdlr", "rivhgt",
    "rivman", "uparea", "width",
)  # fmt: skip

_TYPES = {"little": "<", "big": ">"}


@dataclass(frozen=True)
class CamaGrid:
    """The grid of a CaMa-Flood map.

    Parameters
    ----------
    columns, rows, layers : int
        Cells from west to east, from north to south, layers of the floodplain.
    west, east, south, north : float
        Edges, in degrees.
    """

    columns: int
    rows: int
    layers: int
    west: float
    east: float
    south: float
    north: float

    @property
    def longitude(self) -> np.ndarray:
        """Centres of the columns from west to east, degrees."""
        width = (self.east - self.west) / self.columns
        return self.west + (np.arange(self.columns) + 0.5) * width

    @property
    def latitude(self) -> np.ndarray:
        """Centres of the rows from north to south, degrees."""
        height = (self.north - self.south) / self.rows
        return self.north - (np.arange(self.rows) + 0.5) * height


def read_binary_grid(path: str | os.PathLike[str]) -> CamaGrid:
    """Read the grid of a CaMa-Flood map from its ``params.txt``.

    Parameters
    ----------
    path : path
        Text with one number at the start of each line: columns, rows, layers, size of
        a cell, edges in the west, east, south and north (degrees).

    Returns
    -------
    CamaGrid
        The grid.

    Raises
    ------
    InputError
        If numbers are absent or contradict each other.
    """
    numbers = _leading_numbers(path)[:8]
    if len(numbers) < 8:
        raise InputError(
            f"{path} holds {len(numbers)} numbers; a CaMa-Flood params.txt begins "
            "its 8 lines with: columns, rows, layers, cell size, west, east, south, "
            "north"
        )
    columns, rows, layers = (int(x) for x in numbers[:3])
    size, west, east, south, north = numbers[3:]
    grid = CamaGrid(columns, rows, layers, west, east, south, north)
    for name, count, extent in (
        ("columns", columns, east - west),
        ("rows", rows, north - south),
    ):
        if count < 1 or abs(extent / count - size) > 1e-3 * size:
            raise InputError(
                f"{path}: {count} {name} of {size:g} degrees do not fill "
                f"{extent:g} degrees: are the edges in the order west, east, south, "
                "north?"
            )
    if layers < 1:
        raise InputError(f"{path}: the floodplain needs at least 1 layer, not {layers}")
    return grid


def read_records(
    path: str | os.PathLike[str],
    kind: str,
    shape: tuple[int, ...],
    byte_order: str = "little",
) -> np.ndarray:
    """Read a file that is one array of 4-byte numbers and nothing else.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        "i" (int32) or "f" (float32).
    shape : tuple of int
        Of the array, the last dimension fastest.
    byte_order : str, default "little"
        Or "big".

    Returns
    -------
    numpy.ndarray
        int32 or float32 in the machine's own order.

    Raises
    ------
    InputError
        If the file is absent or of another size.
    """
    if byte_order not in _TYPES:
        raise InputError(f"byte_order is 'little' or 'big', not {byte_order!r}")
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no {path}")
    wanted, found = 4 * int(np.prod(shape)), path.stat().st_size
    if found != wanted:
        why = "was it not copied to its end, or does params.txt belong to another map?"
        if found == 2 * wanted:
            why = "are its numbers of 8 bytes? CaMa-Flood's maps have 4"
        raise InputError(
            f"{path} has {found} bytes; {' x '.join(map(str, shape))} numbers of 4 "
            f"bytes are {wanted}: {why}"
        )
    values = np.fromfile(path, f"{_TYPES[byte_order]}{kind}4")
    return values.reshape(shape).astype(f"{kind}4")


def read_binary_map(
    folder: str | os.PathLike[str],
    params: str | os.PathLike[str] | None = None,
    byte_order: str = "little",
) -> xr.Dataset:
    """Read a folder of CaMa-Flood's binary maps.

    ``nextxy.bin`` holds int32, all others float32; rows go from north to south.

    Parameters
    ----------
    folder : path
        With ``nextxy.bin``, ``fldhgt.bin``, ``ctmare.bin`` and others.
    params : path, optional
        The grid; by default ``params.txt`` in the folder.
    byte_order : str, default "little"
        Or "big", as on older machines.

    Returns
    -------
    xarray.Dataset
        ``nextx`` and ``nexty`` (from 1) and the maps that were found, each
        (lat, lon), ``fldhgt`` (lev, lat, lon), under CaMa-Flood's names and in its
        units (m, m2).

    Raises
    ------
    InputError
        If a file has another size, or was written in the other byte order.
    """
    folder = Path(folder)
    where = Path(params) if params is not None else folder / "params.txt"
    if not where.is_file():
        raise InputError(
            f"there is no {where}: the grid of a binary map stands in a file beside "
            "it; say where it is (params)"
        )
    grid = read_binary_grid(where)
    flat = (grid.rows, grid.columns)
    following = read_records(folder / "nextxy.bin", "i", (2, *flat), byte_order)
    _check_indices(following, grid, folder / "nextxy.bin", byte_order)
    maps: dict[str, Any] = {
        name: (("lat", "lon"), part)
        for name, part in zip(("nextx", "nexty"), following, strict=True)
    }
    there = following[0] != NO_DATA
    for name in _MAPS:
        path = folder / f"{name}.bin"
        if path.is_file():
            values = read_records(path, "f", flat, byte_order)
            _check_floats(values[there], path, byte_order)
            maps[name] = (("lat", "lon"), values)
    path = folder / "fldhgt.bin"
    if path.is_file():
        layers = (grid.layers, *flat)
        values = read_records(path, "f", layers, byte_order)
        _check_floats(values[:, there], path, byte_order)
        maps["fldhgt"] = (("lev", "lat", "lon"), values)
    return xr.Dataset(maps, {"lat": grid.latitude, "lon": grid.longitude})


def _leading_numbers(path: str | os.PathLike[str]) -> list[float]:
    """Return the number each line begins with; lines without one are passed over."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as text: {error}") from error
    numbers = []
    for line in text.splitlines():
        word = line.split("!")[0].split()[:1]
        try:
            numbers += [float(x) for x in word]
        except ValueError:
            continue
    return numbers


def _check_indices(
    following: np.ndarray, grid: CamaGrid, path: Path, byte_order: str
) -> None:
    """Raise if ``nextxy`` looks like the other byte order."""

    def plausible(values: np.ndarray) -> float:
        highest = max(grid.rows, grid.columns)
        codes = np.isin(values, (NO_DATA, SEA, INLAND_CODE))
        return float((codes | ((values >= 0) & (values <= highest))).mean())

    _check_order(plausible, following, path, byte_order)


def _check_floats(values: np.ndarray, path: Path, byte_order: str) -> None:
    """Raise if lengths, areas or heights look like the other byte order."""

    def plausible(numbers: np.ndarray) -> float:
        # The bytes of 5.0 the wrong way round are 6e-41; real maps know no such number.
        with np.errstate(invalid="ignore"):
            size = np.abs(numbers.astype(float))
        return float(((size == 0) | ((size > 1e-12) & (size < 1e16))).mean())

    _check_order(plausible, values, path, byte_order)


def _check_order(
    plausible: Any, values: np.ndarray, path: Path, byte_order: str
) -> None:
    """Raise if fewer than half the numbers can be, and say whether more could."""
    if not values.size or plausible(values) > 0.5:
        return
    other = "big" if byte_order == "little" else "little"
    if plausible(values.byteswap()) > 0.5:
        raise InputError(
            f"{path} was written in {other}-endian order, not {byte_order}: give "
            f"byte_order={other!r}"
        )
    raise InputError(
        f"{path} holds numbers no map has, in either byte order: is it compressed, or "
        "of another type?"
    )
