"""Exports of ThingsBoard: long and sparse, a row per time and device.

Their columns are ``Timestamp`` (in the language of whoever exported), ``Entity Name``
(the device's serial) and one per label; a label with a digit more is another channel
of the same sensor. Exports of neighbouring periods overlap.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.fleet_columns import numbers
from tilth.chambers.readers.textfile import recognise
from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.optional import load
from tilth.fleet.importers.labels import Label, parse_labels
from tilth.fleet.importers.quantities import IMPORT_FLAGS, QUANTITIES, range_flags
from tilth.fleet.importers.quantities import quantity_of as _quantity_of

#: "Timestamp" in the languages met so far.
_TIMES = ("timestamp", "zeitstempel", "horodatage", "fecha y hora")

_DEVICE = "entity name"

_Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def read_thingsboard(
    paths: _Paths, quantity: str | Mapping[int, str] | None = None
) -> xr.Dataset:
    """Read exports of ThingsBoard as one table; overlaps count once.

    Parameters
    ----------
    paths : path or sequence of path
        ``.xlsx`` or ``.csv``; files of one kind of sensor.
    quantity : str or mapping of int to str, optional
        What the values are, where labels and file names do not tell or contradict
        each other: one name, or one per channel. See
        `tilth.fleet.importers.quantities.QUANTITIES`.

    Returns
    -------
    xarray.Dataset
        Dimension ``row``, by device and time, one for each time, device and label.
        Coordinates, all text but the first: ``time`` (as published; exports do not
        state a time zone), ``device`` (serial), ``label``, ``pot`` (where the label
        names one), ``alias``, ``treatment``, ``depth``. A variable for each quantity
        with its ``_flag``; nothing is removed. Attributes: ``values_read``,
        ``repeated_collapsed``, ``files``.

    Raises
    ------
    InputError
        If a file is no such export, a serial or a label is stored as a number, or
        what the values are cannot be told.
    """
    listed: list[str | os.PathLike[str]] = (
        [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    )
    parts = [_read_one(path, quantity) for path in listed]
    long = pd.concat(parts, ignore_index=True)
    before = len(long)
    key = ["time", "device", "label", "quantity"]
    # NaN equals NaN here: a bad cell that is there twice is one bad cell.
    long = long.drop_duplicates([*key, "value"]).reset_index(drop=True)
    long["contradicted"] = long.duplicated(key, keep=False)
    data = _as_dataset(long)
    data.attrs |= {
        "values_read": before,
        "repeated_collapsed": before - len(long),
        "files": ", ".join(Path(path).name for path in listed),
    }
    step = f"read_thingsboard({len(listed)} files)"
    return stamp(data, step, listed)


def is_export(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file looks like an export of ThingsBoard."""
    try:
        frame = _cells(path, rows=1)
    except InputError:
        return False
    names = [str(name).strip().lower() for name in frame.columns]
    return len(names) > 2 and names[0] in _TIMES and names[1] == _DEVICE


def _cells(path: str | os.PathLike[str], rows: int | None = None) -> pd.DataFrame:
    """Return the cells of a file as they are stored."""
    kind = recognise(path).name
    if kind == "excel":
        load("openpyxl", "chambers")
        frame = pd.read_excel(path, dtype=object, nrows=rows)
        return frame.astype(object).where(frame.notna(), None)
    if kind in ("table", "text"):
        frame = pd.read_csv(
            *(path,), sep=None, engine="python", dtype="str", nrows=rows,
            keep_default_na=False,
        )  # fmt: skip
        return frame.astype(object).where(frame != "", None)
    raise InputError(
        f"{Path(path).name} looks like {recognise(path).description}, not like an "
        "export of ThingsBoard"
    )


def _read_one(
    path: str | os.PathLike[str], quantity: str | Mapping[int, str] | None
) -> pd.DataFrame:
    """Return the values of one file: a row for each, with its label taken apart."""
    name = Path(path).name
    frame = _cells(path)
    headers = [str(column) for column in frame.columns]
    known = [header.strip().lower() for header in headers[:2]]
    if len(headers) < 3 or known[0] not in _TIMES or known[1] != _DEVICE:
        raise InputError(
            f"{name} is no export of ThingsBoard: its first columns are "
            f"{', '.join(map(repr, headers[:2]))}, not 'Timestamp' and 'Entity Name'"
        )
    time = pd.to_datetime(frame.iloc[:, 0], errors="coerce")
    if time.isna().any():
        wrong = frame.iloc[:, 0][time.isna()].iloc[0]
        raise InputError(f"{name}: {wrong!r} is no time")
    serial = frame.iloc[:, 1]
    if not serial.map(lambda cell: isinstance(cell, str)).all():
        raise InputError(
            f"{name}: a serial in 'Entity Name' is stored as a number and may have "
            "lost digits (24E124126 is not 24 and zeros): export it again as text"
        )
    parts = []
    for header, label in zip(headers[2:], parse_labels(headers[2:]), strict=True):
        values, bad = numbers(frame[header].to_numpy(object))
        rows = np.flatnonzero(~np.isnan(values) | bad)
        kind = _quantity_of(label.sensor, label.channel, name, quantity)
        parts.append(
            pd.DataFrame(
                {
                    "time": time.to_numpy()[rows],
                    "device": serial.to_numpy(object)[rows],
                    "value": values[rows],
                    "bad": bad[rows],
                    "quantity": kind,
                    **_columns(label),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _columns(label: Label) -> dict[str, str]:
    return {
        "label": label.text,
        "pot": label.place,
        "alias": label.alias,
        "treatment": label.treatment,
        "depth": label.depth,
        "former": label.former,
        "until": label.until,
    }


def _as_dataset(long: pd.DataFrame) -> xr.Dataset:
    """Return one row per time, device and label, one variable per quantity."""
    key = ["device", "time", "label"]
    # Contradicting values of one time each keep a row of their own.
    long = long.assign(nth=long.groupby([*key, "quantity"]).cumcount())
    rows = long.drop_duplicates([*key, "nth"]).sort_values([*key, "nth"])
    index = pd.MultiIndex.from_frame(rows[[*key, "nth"]])
    words = ("device", "label", "pot", "alias", "treatment", "depth", "former", "until")
    coords = {
        word: ("row", rows[word].to_numpy(object).astype(np.str_)) for word in words
    }
    data = xr.Dataset(
        coords={
            "time": ("row", rows["time"].to_numpy(), {"long_name": "time as published"})
        }
        | coords
    )
    for name in dict.fromkeys(long["quantity"]):
        part = long[long["quantity"] == name].set_index([*key, "nth"]).reindex(index)
        values = part["value"].to_numpy(float)
        bad = part["bad"].to_numpy(object) == True  # noqa: E712 - NaN where absent
        flag = range_flags(name, values, bad)
        again = part["contradicted"].to_numpy(object) == True  # noqa: E712
        flag |= np.where(again, IMPORT_FLAGS.bit("contradicted"), 0).astype(np.int32)
        about = QUANTITIES[name]
        data[name] = ("row", values)
        data[name].attrs = {"units": about.units, "long_name": about.long_name}
        data[f"{name}_flag"] = ("row", flag)
        data[f"{name}_flag"].attrs = IMPORT_FLAGS.attrs()
    return data
