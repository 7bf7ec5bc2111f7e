"""Any table with a map of its columns: a record, or closures if it names them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.closures import make_closures
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.records import PLAUSIBLE, Series, make_record
from tilth.chambers.readers.table_map import (
    Column,
    canonical_units,
    column_map,
    map_from_yaml,
)
from tilth.chambers.readers.table_source import Columns, read_columns
from tilth.core.errors import InputError
from tilth.core.model import stamp

#: Numbers that belong to a closure, not to a sample.
_PER_CLOSURE = ("area", "volume", "dead_band", "fit_end")


def read_table(
    path: str | os.PathLike[str],
    columns: Mapping[str, Any] | str | os.PathLike[str],
    *,
    timezone: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    missing: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    preamble: int | None = None,
    sheet: str | int | None = None,
) -> xr.Dataset:
    """Read a CSV, TSV, Parquet or Excel table by a map of its columns.

    Parameters
    ----------
    path : path
        The file; CSV may be gzip-compressed.
    columns : mapping of str to Column or mapping, or path of a YAML file
        Column of the file -> what it is: ``{"CO2dry_ppm": {"variable": "co2",
        "units": "ppm", "basis": "dry"}}``, see
        `tilth.chambers.readers.table_map.Column`. A column without units is an
        identifier and stays text, always. A YAML file holds the map under
        ``columns:`` and the options beside it.
    timezone : str, optional
        Zone of the time columns, an IANA name or ``"+01:00"``; must be stated if
        there are any.
    separator : str, optional
        By default the commonest of ``; tab , |`` in the header.
    decimal : str, optional
        Decimal mark, ``"."`` by default.
    missing : sequence of str, optional
        Texts that mean a missing value, such as ``["-9999"]``.
    where : mapping of str to value or list, optional
        Column -> values of the rows to keep: ``{"flag": 1}``.
    preamble : int, optional
        Lines before the header, 0 by default.
    sheet : str or int, optional
        Of an Excel file; the first by default.

    Returns
    -------
    xarray.Dataset
        A closures dataset if a column is mapped to ``closure``, in order of first
        appearance; else a record. ``elapsed`` comes from its column, or is the time
        since ``closing``, or since the first sample of the closure. Lines with a
        wrong number of fields are counted in ``bad_rows``, rows that `where` turns
        down in ``rows_left_out``; cells that are no numbers become NaN and are
        flagged.

    Raises
    ------
    InputError
        If the file is no table, a column is missing, the map or an option does not
        make sense, or an identifier is stored as a decimal number.
    UnitsError
        If a unit is unknown or of the wrong kind.
    """
    given = {
        "timezone": timezone,
        "separator": separator,
        "decimal": decimal,
        "missing": missing,
        "where": where,
        "preamble": preamble,
        "sheet": sheet,
    }
    options: dict[str, Any] = {"timezone": None, "separator": None, "decimal": "."}
    options |= {"missing": [], "where": {}, "preamble": 0, "sheet": 0}
    if not isinstance(columns, Mapping):
        columns, stated = map_from_yaml(columns)
        if unknown := set(stated) - set(given):
            raise InputError(
                f"the column map has the unknown keys {sorted(unknown)} beside "
                f"'columns'; it can have {', '.join(given)}"
            )
        options |= stated
    options |= {name: value for name, value in given.items() if value is not None}
    if isinstance(options["missing"], str):
        options["missing"] = [options["missing"]]
    mapped = column_map(columns)
    found, left_out = read_columns(path, mapped, **options)
    by_variable = {column.variable: column for column in mapped.values()}
    if "closure" in by_variable and by_variable["closure"].units is None:
        dataset = _closures(found, by_variable)
    else:
        dataset = _record(found, by_variable)
    dataset.attrs["bad_rows"] = int(found.bad_rows + dataset.attrs.get("bad_rows", 0))
    dataset.attrs["rows_left_out"] = left_out
    told = ", ".join(f"{name}: {column.variable}" for name, column in mapped.items())
    return stamp(dataset, f"read_table({Path(path).name}, {{{told}}})", [path])


def _record(found: Columns, columns: Mapping[str, Column]) -> xr.Dataset:
    """Return a record; samples without a time are counted and left out."""
    if "time" not in found.times:
        raise InputError(
            "no column is mapped to 'time': a record needs one (or map a column to "
            "'closure' and one to 'elapsed' for a table of closures)"
        )
    timed = np.asarray(found.times["time"].notna())
    labels = {name: _words(text)[timed] for name, text in found.texts.items()}
    return make_record(
        found.times["time"][timed],
        {
            name: Series(
                values[timed], canonical_units(name, columns[name]), columns[name].basis
            )
            for name, values in found.numbers.items()
        },
        instrument_time=found.clocks["time"][timed],
        labels=labels,
        flags={"bad_value": found.bad_value[timed]},
        bad_rows=int((~timed).sum()),
        step="read_table: record",
    )


def _words(text: pd.Categorical) -> np.ndarray:
    """Return a Categorical as an object array of text; missing is empty."""
    words = np.append(np.asarray(text.categories, dtype=object), "")
    return words[np.asarray(text.codes)]


def _closures(found: Columns, columns: Mapping[str, Column]) -> xr.Dataset:
    """Return closures, grouped by identifier in order of first appearance."""
    codes = np.asarray(found.texts["closure"].codes, dtype=np.int64)
    named = codes >= 0
    rows = np.flatnonzero(named)
    codes = codes[named]
    seen, first = np.unique(codes, return_index=True)
    rank = np.empty(int(codes.max(initial=0)) + 1, np.int64)
    rank[seen[np.argsort(first)]] = np.arange(len(seen))
    place = rank[codes]
    order = np.argsort(place, kind="stable")
    rows, place = rows[order], place[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    if not len(starts):
        raise InputError("no row of the table names a closure")

    bounds = [*starts.tolist(), len(rows)]

    def split(values: np.ndarray) -> list[np.ndarray]:
        return [values[a:b] for a, b in itertools.pairwise(bounds)]

    elapsed, closing = _elapsed(found, rows, starts)
    flags = _raise(found, columns, rows, starts, elapsed)
    numbers = {n: v for n, v in found.numbers.items() if n != "elapsed"}
    per_closure = {}
    for name in _PER_CLOSURE:
        if name in numbers:
            per_closure[name], varies = _constant(numbers.pop(name)[rows], starts)
            flags |= np.where(varies, CLOSURE_FLAGS.bit("inconsistent_geometry"), 0)
    labels = {}
    for name, text in found.texts.items():
        code = np.asarray(text.codes)[rows]
        same = np.minimum.reduceat(code, starts) == np.maximum.reduceat(code, starts)
        labels[name] = np.where(same, _words(text)[rows][starts], "")
    identifiers = labels.pop("closure")
    closures = make_closures(
        [str(name) for name in identifiers],
        {
            "elapsed": split(elapsed),
            **{name: split(values[rows]) for name, values in numbers.items()},
        },
        time=None if closing is None else list(closing),
        per_closure={name: list(values) for name, values in per_closure.items()},
        labels={name: list(texts) for name, texts in labels.items()},
        flags=list(flags),
        basis={n: str(c.basis) for n, c in columns.items() if c.basis},
        units={name: canonical_units(name, columns[name]) for name in numbers},
    )
    closures.attrs["rows_without_closure"] = int((~named).sum())
    return closures


def _elapsed(
    found: Columns, rows: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, pd.DatetimeIndex | None]:
    """Return seconds since closing of each row, and the closing times if known."""
    lengths = np.diff([*starts, len(rows)])
    if "elapsed" in found.numbers:
        elapsed = found.numbers["elapsed"][rows]
        if "closing" in found.times:
            return elapsed, found.times["closing"][rows][starts]
        if "time" in found.times:
            back = pd.to_timedelta(np.nan_to_num(elapsed[starts]), "s")
            return elapsed, found.times["time"][rows][starts] - back
        return elapsed, None
    if "time" not in found.times:
        raise InputError(
            "no column is mapped to 'elapsed' or 'time': closures need the time since "
            "closing, or the time of each sample"
        )
    clock = found.times["time"][rows]
    closing = found.times.get("closing", found.times["time"])[rows][starts]
    since = clock - closing.repeat(lengths)
    return np.asarray(since.total_seconds(), float), closing


def _constant(values: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the one value of each closure; NaN, and True, where there are several."""
    low = np.fmin.reduceat(values, starts)
    high = np.fmax.reduceat(values, starts)
    # Rounding of a unit conversion is not a second chamber.
    varies = (high - low) > 1e-9 * np.abs(high)
    return np.where(varies, np.nan, low), varies


def _raise(
    found: Columns,
    columns: Mapping[str, Column],
    rows: np.ndarray,
    starts: np.ndarray,
    elapsed: np.ndarray,
) -> np.ndarray:
    """Return the closure flags that the samples amount to."""

    def any_of(where: np.ndarray) -> np.ndarray:
        return np.logical_or.reduceat(where, starts)

    inside = np.ones(len(rows), bool)
    inside[starts] = False  # a step into the next closure is no step
    step = np.diff(elapsed, prepend=np.nan)
    measured = np.zeros(len(rows), bool)
    for name, values in found.numbers.items():
        if name not in (*_PER_CLOSURE, "elapsed", "pressure", "temperature"):
            measured |= np.isfinite(values[rows])
    raised = {
        "bad_rows": any_of(found.bad_value[rows]),
        "no_data": ~any_of(measured & np.isfinite(elapsed)),
        "duplicate_times": any_of(inside & (step == 0)),
        "non_monotonic_time": any_of(inside & (step < 0)),
        "negative_time": any_of(elapsed < 0),
    }
    for name, (low, high, word) in PLAUSIBLE.items():
        if name in found.numbers:
            values = found.numbers[name][rows]
            outside = any_of((values < low) | (values > high))
            raised[word] = raised.get(word, np.zeros(len(starts), bool)) | outside
    return CLOSURE_FLAGS.variable(raised, (len(starts),))
