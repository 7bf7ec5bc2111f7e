"""Tables of leaf gas exchange: LI-6800 workbooks and exports, LI-6400, any CSV."""

from __future__ import annotations

import csv
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.optional import load
from tilth.stomata.observations import QUANTITIES, leaf_observations

__all__ = ["COLUMNS", "read_gas_exchange"]


class _Column(NamedTuple):
    """A column of an instrument: its name there, and its units there."""

    name: str
    units: str


#: Instrument -> quantity -> its column. Names and units: LI-COR's manuals.
COLUMNS: dict[str, dict[str, _Column]] = {
    "li6800": {
        "conductance": _Column("gsw", "mol m-2 s-1"),
        "assimilation": _Column("A", "umol m-2 s-1"),
        "deficit": _Column("VPDleaf", "kPa"),
        "chamber_co2": _Column("Ca", "umol mol-1"),
        "light": _Column("Qin", "umol m-2 s-1"),
        "leaf_temperature": _Column("TleafCnd", "degC"),
        "air_temperature": _Column("Tair", "degC"),
        "transpiration": _Column("E", "mol m-2 s-1"),
        "boundary_conductance": _Column("gbw", "mol m-2 s-1"),
        "chamber_water": _Column("H2O_s", "mmol mol-1"),
        "pressure": _Column("Pa", "kPa"),
    },
    "li6400": {
        "conductance": _Column("Cond", "mol m-2 s-1"),
        "assimilation": _Column("Photo", "umol m-2 s-1"),
        "deficit": _Column("VpdL", "kPa"),
        "surface_co2": _Column("CO2S", "umol mol-1"),
        "light": _Column("PARi", "umol m-2 s-1"),
        "leaf_temperature": _Column("Tleaf", "degC"),
        "air_temperature": _Column("Tair", "degC"),
        "transpiration": _Column("Trmmol", "mmol m-2 s-1"),
        "boundary_conductance": _Column("BLCond", "mol m-2 s-1"),
        "chamber_water": _Column("H2OS", "mmol mol-1"),
        "pressure": _Column("Press", "kPa"),
    },
}

#: Overpressure of the LI-6800's chamber; its name may be spelt with a Greek letter.
_OVERPRESSURE = ("DeltaPcham", "ΔPcham", "∆Pcham")

#: Columns that name plants, days and curves, as people and instruments call them.
_LABELS = {
    "plant": ("plant", "tree", "tree_id", "plant_id", "individual"),
    "day": ("date", "day"),
    "curve": ("curve", "curve_id", "plot", "replicate"),
    "species": ("species",),
}

#: Superscripts and Greek letters in units, and other ways to write degrees.
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴µμ", "-01234uu")
_CELSIUS = re.compile(r"degrees C|°\s*C|\bC$")

#: Operator's flag of an LI-6400 table: one is good.
_QUALITY = "Qflag"


def read_gas_exchange(
    path: str | os.PathLike[str],
    columns: Mapping[str, str | tuple[str, str]] | None = None,
    *,
    encoding: str = "utf-8",
) -> xr.Dataset:
    """Read leaf observations of any origin.

    An LI-6800's workbook (``.xlsx``) or export with headings of three rows and an
    LI-6400's table are told by their columns. Everything else needs `columns`.

    Parameters
    ----------
    path : path
        ``.xlsx`` with a sheet ``Measurements``, or a table of text.
    columns : mapping, optional
        Quantity of `tilth.stomata.observations.QUANTITIES` -> column, or (column,
        units); also ``plant``, ``day``, ``curve`` and ``species``. What it does not
        name is taken from the instrument's columns, if it is one.
    encoding : str
        Of text; old tables may be ``"latin-1"``.

    Returns
    -------
    xarray.Dataset
        Of `tilth.stomata.leaf_observations`.

    Raises
    ------
    InputError
        If the file is damaged, or columns that are needed cannot be told.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no {path}")
    table, units = _workbook(path) if path.suffix == ".xlsx" else _text(path, encoding)
    known = _instrument(table)
    quantities: dict[str, tuple[Any, str]] = {}
    for name, usual in (COLUMNS[known] if known else {}).items():
        if usual.name in table:
            quantities[name] = (_numbers(table, usual.name), usual.units)
    if known == "li6800":
        extra = next((name for name in _OVERPRESSURE if name in table), None)
        if extra and "pressure" in quantities:
            pressure = quantities["pressure"][0] + _numbers(table, extra)
            quantities["pressure"] = (pressure, "kPa")
    labels = {}
    for name, wanted in (columns or {}).items():
        column, unit = wanted if isinstance(wanted, tuple) else (wanted, None)
        if column not in table:
            raise InputError(
                f"{path} has no column {column!r} for {name}; it has "
                f"{', '.join(map(str, table.columns))}"
            )
        if name in _LABELS:
            labels[name] = table[column]
        elif name in QUANTITIES:
            unit = unit or units.get(column) or QUANTITIES[name].units
            quantities[name] = (_numbers(table, column), unit)
        else:
            raise InputError(
                f"no quantity {name!r}; there are {', '.join((*QUANTITIES, *_LABELS))}"
            )
    if not quantities:
        raise InputError(
            f"{path} is not a table of an LI-6800 or LI-6400: name its columns, such "
            "as columns={'conductance': 'gs', 'deficit': ('VPD', 'kPa'), ...}; it has "
            f"{', '.join(map(str, table.columns))}"
        )
    for name, spellings in _LABELS.items():
        if name not in labels:
            found = [c for c in table if str(c).lower() in spellings]
            if found:
                labels[name] = table[found[0]]
    if "day" in labels:
        labels["day"] = labels["day"].astype(str).str.split().str[0]
    bad = None
    if known == "li6400" and _QUALITY in table:
        bad = _numbers(table, _QUALITY) == 0
    data = leaf_observations(quantities, labels=labels, bad=bad)
    return stamp(data, f"read from {path.name}", [path])


def _instrument(table: pd.DataFrame) -> str | None:
    """Return the instrument whose columns for every closure are there."""
    for name, columns in COLUMNS.items():
        if all(columns[q].name in table for q in ("conductance", "assimilation")):
            return name
    return None


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as numbers; what is no number is missing."""
    values = pd.to_numeric(table[column], errors="coerce")
    twin = f"{column}.1"
    if twin in table:
        other = pd.to_numeric(table[twin], errors="coerce")
        if not np.array_equal(values, other, equal_nan=True):
            raise InputError(
                f"two columns are called {column} and hold other numbers: take one of "
                "them out, or give each a name of its own"
            )
    if len(values) and values.isna().all():
        raise InputError(
            f"the column {column} holds no number; it begins with "
            f"{table[column].iloc[0]!r}"
        )
    return values.to_numpy(float)


def _text(path: Path, encoding: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read a table of text, with one row of heading or with three."""
    try:
        with path.open(encoding=encoding, newline="") as stream:
            sample = stream.read(20_000)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not {encoding} text ({error.reason} at byte {error.start}): "
            "try encoding='latin-1'"
        ) from error
    if not sample.strip():
        raise InputError(f"{path} is empty")
    try:
        mark = csv.Sniffer().sniff(sample.splitlines()[0], ",;\t").delimiter
    except csv.Error:
        mark = ","
    raw = pd.read_csv(
        path, sep=mark, header=None, dtype=str, encoding=encoding, low_memory=False
    )
    names = _unlike(raw.iloc[0])
    head = 3 if len(raw) > 3 and _is_heading(raw, 1) and _is_heading(raw, 2) else 1
    table = raw.iloc[head:].reset_index(drop=True).set_axis(names, axis=1)
    units = raw.iloc[2].tolist() if head == 3 else []
    return table, _units(names, units)


def _is_heading(raw: pd.DataFrame, row: int) -> bool:
    """Tell whether hardly any cell of a row is a number."""
    cells = raw.iloc[row].dropna()
    return pd.to_numeric(cells, errors="coerce").notna().mean() < 0.1


def _workbook(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read the sheet of measurements of an LI-6800's workbook."""
    openpyxl = load("openpyxl", "stomata")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a workbook: {error}") from error
    try:
        if "Measurements" not in book.sheetnames:
            raise InputError(
                f"{path} has no sheet Measurements; it has {', '.join(book.sheetnames)}"
            )
        rows = [list(row) for row in book["Measurements"].iter_rows(values_only=True)]
    finally:
        book.close()
    head = next((k for k, row in enumerate(rows) if row and row[0] == "obs"), None)
    if head is None or len(rows) < head + 3:
        raise InputError(
            f"{path} has no row of names that begins with obs, or nothing below it"
        )
    names = _unlike(pd.Series(rows[head]))
    body = [row for row in rows[head + 2 :] if row and row[0] is not None]
    table = pd.DataFrame(body, columns=names)
    if "A" in table and table["A"].isna().all():
        raise InputError(
            f"{path} holds formulas without results: open and save it in a "
            "spreadsheet, or export it as text from the instrument"
        )
    return table, _units(names, rows[head + 1])


def _units(names: list[str], written: Iterable[Any]) -> dict[str, str]:
    """Return the units of columns in UDUNITS spelling, where some are written."""
    found = {}
    for name, text in zip(names, written, strict=False):
        if isinstance(text, str) and text.strip():
            plain = text.translate(_SUPERSCRIPTS).replace("micro", "u")
            plain = re.sub(r"\^\((-?\d+)\)", r"\1", plain)
            found[name] = _CELSIUS.sub("degC", plain).strip()
    return found


def _unlike(names: pd.Series) -> list[str]:
    """Return column names, the second of the same name as ``name.1`` and so on."""
    seen: dict[str, int] = {}
    result = []
    for number, name in enumerate(names):
        text = str(name).strip() if isinstance(name, str) and name.strip() else ""
        text = text or f"column {number + 1}"
        count = seen.get(text, 0)
        seen[text] = count + 1
        result.append(f"{text}.{count}" if count else text)
    return result
