"""Columns of a CSV, TSV, Parquet or Excel file by their map: text, numbers, times."""

from __future__ import annotations

import csv
import difflib
import gzip
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.readers.clock import to_utc
from tilth.chambers.readers.table_map import TIMES, Column, canonical_units
from tilth.chambers.readers.textfile import recognise
from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.units import convert_values

#: Cells that mean "missing" in every file.
_MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "-")

#: Seconds in the units of "<units> since <date>".
_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}


#: A time that states its own offset: "...T12:00:00Z", "...T12:00:00+02:00".
_OFFSET = re.compile(r"\d{1,2}:\d{2}\S*?\s?(?:Z|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True)
class Columns:
    """The columns of a file after conversion.

    Attributes
    ----------
    numbers : dict of str to numpy.ndarray
        Variable to numbers in canonical units.
    texts : dict of str to pandas.Categorical
        Identifier to text.
    times, clocks : dict of str to pandas.DatetimeIndex
        ``time`` and ``closing`` in UTC, and as the file writes them.
    bad_value : numpy.ndarray of bool
        Rows in which a cell is neither a number (or time) nor missing.
    bad_rows : int
        Lines left out because they have too many or too few fields.
    """

    numbers: dict[str, np.ndarray]
    texts: dict[str, pd.Categorical]
    times: dict[str, pd.DatetimeIndex]
    clocks: dict[str, pd.DatetimeIndex]
    bad_value: np.ndarray
    bad_rows: int


def read_columns(
    path: str | os.PathLike[str],
    mapped: Mapping[str, Column],
    *,
    timezone: str | None,
    separator: str | None,
    decimal: str,
    missing: Sequence[str],
    where: Mapping[str, Any],
    preamble: int,
    sheet: str | int,
) -> tuple[Columns, int]:
    """Read and convert the mapped columns; return them and the rows left out.

    Parameters are those of `read_table`.
    """
    kind = recognise(path).name
    names = [*mapped, *(name for name in where if name not in mapped)]
    if kind == "parquet":
        raw, bad_rows = _from_parquet(path, names), 0
    elif kind == "excel":
        raw, bad_rows = _from_excel(path, names, sheet, preamble), 0
    elif kind in ("empty", "binary", "hdf5", "netcdf", "xls", "82z", "zip"):
        raise InputError(
            f"{Path(path).name} looks like {recognise(path).description}, not like a "
            "CSV, TSV, Parquet or .xlsx table"
        )
    else:
        raw, bad_rows = _from_csv(
            path, names, mapped, separator, decimal, missing, preamble
        )
    keep = np.ones(len(next(iter(raw.values()))), bool)
    for name, wanted in where.items():
        keep &= _equals(raw[name], wanted)
    left_out = int((~keep).sum())
    if left_out:
        raw = {name: values[keep] for name, values in raw.items()}
    bad = np.zeros(int(keep.sum()), bool)
    numbers, texts, times, clocks = {}, {}, {}, {}
    for name, column in mapped.items():
        values = raw[name]
        if column.variable in TIMES:
            clock, wrong = _clock(name, values, column, decimal, missing)
            if clock.tz is None:
                times[column.variable] = to_utc(clock, timezone)
            else:  # the cells state their own offset from UTC
                clock = clock.tz_convert(None)
                times[column.variable] = clock
            clocks[column.variable] = clock
        elif column.units is None:
            texts[column.variable], wrong = (
                _text(name, values),
                np.zeros(len(bad), bool),
            )
        else:
            number, wrong = _number(values, decimal, missing)
            target = canonical_units(column.variable, column)
            numbers[column.variable] = np.asarray(
                convert_values(number, column.units, target)
            )
        bad |= wrong
    return Columns(numbers, texts, times, clocks, bad, bad_rows), left_out


def _require_columns(names: Sequence[str], have: Sequence[str], what: str) -> None:
    """Raise unless the file has every column, suggesting the nearest name."""
    for name in names:
        if name not in have:
            near = difflib.get_close_matches(name, have, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(have[:20]) + (", ..." if len(have) > 20 else "")
            raise InputError(f"{what} has no column {name!r}{hint} It has: {shown}")


def _from_csv(
    path: str | os.PathLike[str],
    names: Sequence[str],
    mapped: Mapping[str, Column],
    separator: str | None,
    decimal: str,
    missing: Sequence[str],
    preamble: int,
) -> tuple[dict[str, Any], int]:
    """Read columns of delimited text: numbers as numbers if all of them are."""
    pa, arrow = load("pyarrow", "chambers"), load("pyarrow.csv", "chambers")
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        for _ in range(preamble):
            stream.readline()
        raw = stream.readline()
    try:
        header, encodings = raw.decode("utf-8-sig"), ["utf8", "latin1"]
    except UnicodeDecodeError:
        header, encodings = raw.decode("latin-1"), ["latin1"]
    if separator is None:
        separator = max(";\t,|", key=header.count)
    if separator == decimal:
        raise InputError(
            f"{path.name}: {decimal!r} cannot be both the separator and the decimal "
            "mark: state separator=';' or decimal='.'"
        )
    columns = next(csv.reader([header], delimiter=separator))
    stripped = [name.strip() for name in columns]
    _require_columns(names, stripped, path.name)
    exact = {name: columns[stripped.index(name)].rstrip("\r\n") for name in names}
    bad_rows = 0

    def skip(_row: Any) -> str:
        nonlocal bad_rows
        bad_rows += 1
        return "skip"

    def read(types: Mapping[str, Any], encoding: str) -> Any:
        nonlocal bad_rows
        bad_rows = 0
        return arrow.read_csv(
            path,
            arrow.ReadOptions(skip_rows=preamble, encoding=encoding),
            arrow.ParseOptions(delimiter=separator, invalid_row_handler=skip),
            arrow.ConvertOptions(
                include_columns=list(exact.values()),
                column_types={exact[name]: kind for name, kind in types.items()},
                null_values=[*_MISSING, *map(str, missing)],
                strings_can_be_null=True,
                decimal_point=decimal,
            ),
        )

    text = dict.fromkeys(names, pa.string())
    best = dict(text)
    for name, column in mapped.items():
        if column.variable in TIMES and column.format is None and not column.units:
            best[name] = pa.timestamp("ns")
        elif column.units is not None:
            best[name] = pa.float64()
    for encoding, types in itertools.product(encodings, (best, text)):
        try:
            table = read(types, encoding)
        except pa.ArrowInvalid as error:
            failure = error
            continue
        return {name: _from_arrow(table[exact[name]]) for name in names}, bad_rows
    raise InputError(f"{path.name} cannot be read as a table: {failure}")


def _from_arrow(column: Any) -> Any:
    """Convert an Arrow column: numbers and times to NumPy, text to a Categorical."""
    import pyarrow as pa

    if not pa.types.is_string(column.type) and not pa.types.is_large_string(
        column.type
    ):
        return column.to_numpy()
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    words = [str(word).strip() for word in encoded.dictionary.to_pylist()]
    categories, place = np.unique(np.array(words, dtype=object), return_inverse=True)
    if len(categories) < len(words):  # words that differ only in outer spaces
        codes = np.where(codes < 0, -1, place[codes])
        words = list(categories)
    return pd.Categorical.from_codes(
        codes.astype("int64"), pd.Index(words, dtype="str")
    )


def _from_parquet(path: str | os.PathLike[str], names: Sequence[str]) -> dict[str, Any]:
    """Read columns of a Parquet file."""
    parquet = load("pyarrow.parquet", "chambers")
    have = parquet.read_schema(path).names
    _require_columns(names, have, Path(path).name)
    table = parquet.read_table(path, columns=list(names))
    return {name: _from_arrow(table[name]) for name in names}


def _from_excel(
    path: str | os.PathLike[str], names: Sequence[str], sheet: str | int, preamble: int
) -> dict[str, Any]:
    """Read columns of one sheet, cells as they are stored."""
    load("openpyxl", "chambers")
    try:
        frame = pd.read_excel(
            path, sheet_name=sheet, header=preamble, dtype=object, na_values=[]
        )
    except ValueError as error:
        raise InputError(f"{Path(path).name}: {error}") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    _require_columns(names, list(frame.columns), Path(path).name)
    return {name: frame[name].to_numpy(dtype=object) for name in names}


def _text(name: str, values: Any) -> pd.Categorical:
    """Return identifiers as text; refuse numbers that may have lost digits."""
    if isinstance(values, pd.Categorical):
        return values
    cells = pd.Series(values, dtype=object)
    present = cells.dropna()
    lossy = [x for x in present if isinstance(x, float) and not isinstance(x, bool)]
    if lossy:
        raise InputError(
            f"the identifier column {name!r} is stored as numbers (such as "
            f"{lossy[0]!r}): '5.10' and '5.1' cannot be told apart any more; export "
            "the column as text"
        )
    return pd.Categorical(cells.map(lambda x: str(x).strip(), na_action="ignore"))


def _number(
    values: Any, decimal: str, missing: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers, and where a cell is neither a number nor missing."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        number = values.astype(float)
        return number, np.zeros(len(number), bool)
    if not isinstance(values, pd.Categorical):
        values = pd.Categorical(pd.Series(values, dtype=object).map(str, "ignore"))
    # Every distinct text once: a column of a million cells has few of them.
    words = pd.Series(np.asarray(values.categories, dtype=object), dtype="str")
    words = words.str.strip()
    if decimal != ".":
        words = words.str.replace(decimal, ".", regex=False)
    absent = words.isin([*_MISSING, *map(str, missing)])
    parsed = pd.to_numeric(words, errors="coerce").to_numpy(float)
    codes = np.asarray(values.codes)
    number = np.append(parsed, np.nan)[codes]
    wrong = np.append(np.isnan(parsed) & ~absent.to_numpy(), False)[codes]
    return number, wrong


def _clock(
    name: str, values: Any, column: Column, decimal: str, missing: Sequence[str]
) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Return a clock, in UTC only if the cells say so, and where one is no time."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return pd.DatetimeIndex(values).as_unit("ns"), np.zeros(len(values), bool)
    if column.units is not None:
        number, wrong = _number(values, decimal, missing)
        return _since(name, number, column.units), wrong
    cells = pd.Series(np.asarray(values, dtype=object), dtype=object)
    if cells.dropna().map(lambda x: isinstance(x, int | float)).any():
        raise InputError(
            f"the time column {name!r} holds numbers: state what they count, for "
            "example units: 'seconds since 1970-01-01' or (Excel) 'days since "
            "1899-12-30'"
        )
    first = str(cells.dropna().iloc[0]) if cells.notna().any() else ""
    stated = bool(_OFFSET.search(first))
    mixed = InputError(
        f"in the time column {name!r} some cells state their offset from UTC and some "
        "do not: one rule cannot serve both, split the file"
    )
    if stated and not cells.dropna().map(lambda x: bool(_OFFSET.search(str(x)))).all():
        raise mixed
    try:
        stamps = pd.to_datetime(
            cells, format=column.format or "ISO8601", errors="coerce", utc=stated
        )
    except ValueError as error:
        raise mixed from error
    wrong = (stamps.isna() & cells.notna()).to_numpy()
    if wrong.any() and wrong.sum() == cells.notna().sum():
        how = f"the format {column.format!r}" if column.format else "ISO 8601"
        raise InputError(
            f"the time column {name!r} holds {cells[wrong].iloc[0]!r}, which is not "
            f"{how}: state its format, for example format: '%d.%m.%Y %H:%M:%S'"
        )
    return pd.DatetimeIndex(stamps).as_unit("ns"), wrong


def _since(name: str, number: np.ndarray, units: str) -> pd.DatetimeIndex:
    """Convert numbers with units such as "seconds since 1970-01-01"."""
    match = re.match(r"^\s*([A-Za-z]+)\s+since\s+(.+)$", units)
    unit = match.group(1) if match else ""
    seconds = _SECONDS.get(unit, _SECONDS.get(unit.rstrip("s")))
    if match is None or seconds is None:
        raise InputError(
            f"the time column {name!r} has the units {units!r}: write them as 'seconds "
            "since 1970-01-01' (or ms, minutes, hours, days)"
        )
    # Microseconds: what a float holds of today's Unix time.
    micro = np.round(number * seconds * 1e6)
    delta = pd.to_timedelta(np.where(np.isnan(micro), 0, micro).astype("int64"), "us")
    try:
        start = pd.Timestamp(match.group(2))
    except ValueError as error:
        raise InputError(
            f"the time column {name!r} counts since {match.group(2)!r}, which is no "
            "date: write it as 1970-01-01"
        ) from error
    stamps = start + delta
    return pd.DatetimeIndex(stamps.where(~np.isnan(micro))).as_unit("ns")


def _equals(values: Any, wanted: Any) -> np.ndarray:
    """Return where a column has one of the wanted values, as text or as number."""
    choices = wanted if isinstance(wanted, list | tuple | set) else [wanted]
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        numbers = pd.to_numeric(pd.Series(list(choices)), errors="coerce").dropna()
        return np.isin(values.astype(float), numbers.to_numpy(float))
    if not isinstance(values, pd.Categorical):
        values = pd.Categorical(pd.Series(values, dtype=object).map(str, "ignore"))

    def same(word: str) -> bool:
        for choice in choices:
            if word == str(choice):
                return True
            try:
                if float(word) == float(choice):
                    return True
            except (TypeError, ValueError):
                continue
        return False

    fits = np.array([same(str(word)) for word in values.categories] + [False], bool)
    return fits[np.asarray(values.codes)]
