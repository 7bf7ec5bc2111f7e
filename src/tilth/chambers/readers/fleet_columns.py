"""The columns of the fleet's published flux table, found by what is in them."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.readers.textfile import read_lines, recognise
from tilth.core.errors import InputError
from tilth.core.optional import load

#: The unique key of a row: variant (and replica), date and hour, as text.
KEY = re.compile(
    r"^(?P<variant>(?P<table>\d+)\.\d+)(?:\.(?P<replica>[A-Za-z]))?"
    r"-(?P<date>\d{4}\.\d{1,2}\.\d{1,2})-(?P<hour>\d{1,2}:\d{2})$"
)

#: How units of a flux are written in headers.
_UNIT = re.compile(r"\b[munµμ]mol\b[^\])|,;]*", re.IGNORECASE)

#: Role -> what its header says, tried in this order; a column has one role.
_ROLES = (
    (
        "variant_as_published",
        r"(exp ?id|variant).*published|published.*(exp ?id|variant)",
    ),
    ("variant", r"\bexp ?id\b|\bvariant\b"),
    ("sd", r"\bsd\b|\bstd|stand.*dev|stddev"),
    ("min", r"\bmin\b|\bminimum\b"),
    ("max", r"\bmax\b|\bmaximum\b"),
    ("count", r"\bn\b|\bcount\b|number of|\bcycles\b|\bmeas\b|measurements"),
    ("flux", r"flux|\bmmol\b|[uµμ]mol\b"),
    ("light", r"light|\blux\b"),
    ("humidity", r"\brh\b|humid"),
    ("temperature", r"\btemp|\bt\b"),
    ("pressure", r"press|\bhpa\b|\bmbar\b|\bp\b"),
    ("co2", r"\bco2\b|\bppm\b|\bc\b"),
    ("month", r"\bmonth\b"),
    ("received", r"received|\btime\b|\bdate\b|timestamp"),
)


@dataclass(frozen=True)
class FleetColumns:
    """The published table, column by column.

    Attributes
    ----------
    cells : dict of str to numpy.ndarray
        Role to the cells as stored (object), one per row.
    headers : dict of str to str
        Role to the header found for it.
    unit : str
        The unit the header states for the flux, such as ``"mmol/s/m2"``; empty if
        it states none.
    bad_rows : int
        Rows without a readable key.
    """

    cells: dict[str, np.ndarray]
    headers: dict[str, str]
    unit: str
    bad_rows: int


def find_columns(path: str | os.PathLike[str]) -> FleetColumns:
    """Find the fleet's columns in a workbook or CSV, whatever they are called.

    The key column is recognised by its content; the header is all text above its
    first row; every other column by the words in its header.

    Raises
    ------
    InputError
        If the file is no workbook or CSV, or has no key or no flux column.
    """
    kind = recognise(path).name
    if kind == "excel":
        sheets = _sheets(path)
    elif kind in ("table", "text"):
        sheets = {"": _delimited(path)}
    else:
        raise InputError(
            f"{Path(path).name} looks like {recognise(path).description}, not like the "
            "fleet's published workbook or its CSV"
        )
    for cells in sheets.values():
        place = _key_cell(cells)
        if place is not None:
            return _from_sheet(path, cells, *place)
    raise InputError(
        f"{Path(path).name} has no column of keys such as '3.11-2023.10.23-18:00' "
        "(time_expid_key): it is not the fleet's published flux table"
    )


def _sheets(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the cells of every sheet of a workbook."""
    openpyxl = load("openpyxl", "chambers")
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        sheets = {}
        for sheet in book.worksheets:
            rows = [list(row) for row in sheet.iter_rows(values_only=True)]
            width = max((len(row) for row in rows), default=0)
            cells = np.full((len(rows), width), None, dtype=object)
            for i, row in enumerate(rows):
                cells[i, : len(row)] = row
            sheets[sheet.title] = cells
        return sheets
    finally:
        book.close()


def _delimited(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the cells of a CSV, all text; empty ones are None."""
    lines = read_lines(path)
    separator = max(",;\t", key="".join(lines[:50]).count)
    rows = list(csv.reader(lines, delimiter=separator))
    cells = np.full((len(rows), max(map(len, rows), default=0)), None, dtype=object)
    for i, row in enumerate(rows):
        cells[i, : len(row)] = [cell.strip() or None for cell in row]
    return cells


def _key_cell(cells: np.ndarray) -> tuple[int, int] | None:
    """Return row and column of the first key among the first rows."""
    for i, row in enumerate(cells[:100]):
        for j, cell in enumerate(row):
            if isinstance(cell, str) and KEY.match(cell.strip()):
                return i, j
    return None


def _from_sheet(
    path: str | os.PathLike[str], cells: np.ndarray, first: int, key: int
) -> FleetColumns:
    """Split a sheet into roles."""
    texts = np.array([[isinstance(c, str) for c in row] for row in cells[:first]], bool)
    # A title stands in one cell; a row of headers fills most of its columns.
    rows = [i for i in range(first) if texts[i].sum() > cells.shape[1] / 2]
    headers = [
        " ".join(str(cells[i, j]) for i in rows if texts[i, j])
        for j in range(cells.shape[1])
    ]
    body = cells[first:]
    keys = np.array([str(c).strip() if c is not None else "" for c in body[:, key]])
    sound = np.array([bool(KEY.match(k)) for k in keys])
    filled = np.array([any(c is not None for c in row) for row in body], bool)
    roles: dict[str, int] = {"key": key}
    for j, header in enumerate(headers):
        role = _role(header)
        if j != key and role and role not in roles:
            roles[role] = j
    if "flux" not in roles:
        found = ", ".join(repr(h) for h in headers if h) or "no header at all"
        raise InputError(
            f"{Path(path).name}: no column is headed as a flux (such as 'CO2 efflux "
            f"[mmol/s/m2]'); found {found}"
        )
    everything = " ".join(str(c) for c in cells[:first].ravel() if isinstance(c, str))
    # A unit may also stand once, above the whole table.
    unit = _unit_in(headers[roles["flux"]]) or _unit_in(everything)
    return FleetColumns(
        {role: body[sound, j] for role, j in roles.items()},
        {role: headers[j] for role, j in roles.items()},
        unit,
        int((filled & ~sound).sum()),
    )


def _unit_in(text: str) -> str:
    """Return the first unit of a flux in a text, or nothing."""
    match = _UNIT.search(text)
    return match.group(0).strip() if match else ""


def _role(header: str) -> str:
    """Return the role a header's words give a column, or nothing."""
    words = re.sub(r"[_\W]+", " ", header.replace("µ", "u").replace("μ", "u")).lower()
    for role, pattern in _ROLES:
        if re.search(pattern, words):
            return role
    return ""


def numbers(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return cells as numbers, and where a cell is neither a number nor empty."""
    present = pd.Series(cells, dtype=object)
    point = present.map(lambda c: c.replace(",", ".") if isinstance(c, str) else c)
    parsed = pd.to_numeric(point, errors="coerce").to_numpy(float)
    given = present.map(lambda c: c is not None and str(c).strip() != "").to_numpy(bool)
    return parsed, given & np.isnan(parsed)


def as_text(cell: Any) -> str:
    """Return an identifier as the file shows it: 3 and 3.0 are the variant "3.0"."""
    if isinstance(cell, bool) or cell is None:
        return ""
    if isinstance(cell, int | float):
        return str(float(cell))
    return re.sub(r"^(\d+),(\d+)$", r"\1.\2", str(cell).strip())
