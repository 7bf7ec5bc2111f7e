"""A list of placements kept in a spreadsheet: codes must be text there."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pandas as pd

from tilth.core.errors import InputError
from tilth.fleet.channels import parse_location
from tilth.fleet.placement import Placement

#: Column -> other names it may have.
_NAMES = {
    "device": ("device", "mac", "chamber"),
    "location": ("location", "loc", "code", "pot"),
    "from": ("from", "t_from", "start", "since"),
    "to": ("to", "t_to", "end", "until"),
    "note": ("note", "remark", "comment"),
}


def read_placements(path: str | os.PathLike[str]) -> list[Placement]:
    r"""Read a list of placements.

    Parameters
    ----------
    path : path
        CSV or Excel with the columns ``device`` (12 hexadecimal digits), ``location``
        ("5.10.A", **stored as text**), ``from`` and, optionally, ``to`` and ``note``.
        Times are UTC, such as ``2023-05-01 12:00``; an empty ``to`` means until the
        next one.

    Returns
    -------
    list of Placement
        Enter them with `tilth.fleet.placement_problems.place_many`.

    Raises
    ------
    InputError
        If a column is missing, a code is a number, or a device or time is none; the
        text names the row.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "list.csv")
    ...     _ = path.write_text("device,location,from\n0123456789ab,5.10.A,2023-05-01")
    ...     [(p.loc, p.t_from) for p in read_placements(path)]
    [('5.10.A', 1682899200000)]
    """
    name = Path(path).name
    if name.endswith((".xlsx", ".xlsm")):
        frame = pd.read_excel(path, dtype=object)
        frame = frame.where(frame.notna(), None)
    else:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False).astype(object)
    lower = {str(column).strip().lower(): column for column in frame.columns}
    columns = {
        role: lower[word]
        for role, words in _NAMES.items()
        for word in reversed(words)
        if word in lower
    }
    absent = [role for role in ("device", "location", "from") if role not in columns]
    if absent:
        raise InputError(
            f"{name} has no column {', '.join(absent)}; it has {', '.join(lower)}"
        )
    return [
        _placement(f"{name}, row {number}", {r: row[c] for r, c in columns.items()})
        for number, row in enumerate(frame.to_dict("records"), start=2)
        if any(cell not in (None, "") for cell in row.values())
    ]


def _placement(where: str, cells: dict[str, Any]) -> Placement:
    device = cells["device"]
    text = device.strip().lower().replace(":", "") if isinstance(device, str) else ""
    if len(text) != 12 or not set(text) <= set("0123456789abcdef"):
        raise InputError(
            f"{where}: {device!r} is no device: 12 hexadecimal digits, stored as text"
        )
    location = cells["location"]
    try:
        code = parse_location(
            location.strip() if isinstance(location, str) else location
        ).code
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    begin = _utc_ms(where, cells["from"])
    if begin is None:
        raise InputError(f"{where}: since when {text} stands on {code} is missing")
    note = cells.get("note")
    return Placement(
        *(text, code, begin, _utc_ms(where, cells.get("to"))),
        source="import",
        note=note.strip() if isinstance(note, str) else "",
    )


def _utc_ms(where: str, cell: Any) -> int | None:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, str | dt.datetime | dt.date):
        time = pd.to_datetime(cell, utc=True, errors="coerce")
        if not pd.isna(time):
            return int(time.value // 1_000_000)
    raise InputError(f"{where}: {cell!r} is no time such as 2023-05-01 12:00 (UTC)")
