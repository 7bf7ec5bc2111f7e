"""Parquet files of the archive: their columns, and writing them so that they stay.

A file appears under its name only when all of it is on disk. Its name ends with the
first 16 digits of its SHA-256, so that damage can be told years later.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tilth.core.errors import InputError, TilthError
from tilth.core.model import file_checksum
from tilth.fleet.channels import CHANNELS
from tilth.fleet.clock import day_name
from tilth.fleet.control import sync_folder

#: Names of the journal and of the archive in a fleet's data folder.
JOURNAL_FILE = "journal.sqlite"
ARCHIVE_FOLDER = "archive"

#: The two kinds of records, each with a folder of its own.
KINDS = ("samples", "events")

_KEY = [
    ("device", pa.dictionary(pa.int32(), pa.string())),
    ("boot", pa.dictionary(pa.int32(), pa.string())),
    ("seq", pa.int64()),
    ("t", pa.int64()),
    ("tick", pa.int64()),
    ("recv", pa.int64()),
    ("loc", pa.dictionary(pa.int32(), pa.string())),
]

#: Columns of the files. Times are ms, channels the counts of the wire, as in the
#: journal; device and boot are spelled out, for the archive outlives the journal.
SCHEMAS = {
    "samples": pa.schema(
        _KEY
        + [(channel.name, pa.int32()) for channel in CHANNELS]
        + [("state", pa.int16()), ("flags", pa.int32()), ("quality", pa.int8())],
        metadata={
            "tilth": "fleet samples 1; t and recv ms since 1970 UTC; "
            + ", ".join(f"{c.name} {c.scale:g} {c.units}" for c in CHANNELS)
        },
    ),
    "events": pa.schema(
        [
            *_KEY,
            ("kind", pa.dictionary(pa.int32(), pa.string())),
            ("body", pa.string()),
            ("quality", pa.int8()),
        ],
        metadata={"tilth": "fleet events 1; t and recv ms since 1970 UTC; body JSON"},
    ),
}

#: A device leaves 28,800 samples a day at one in 3 s: about a row group each, so
#: that reading one device skips the others.
_ROWS_PER_GROUP = 32_768

_NAME = re.compile(r"^[0-9a-z-]+\.([0-9a-f]{16})\.parquet$")


class ArchiveError(TilthError):
    """A file of the archive that is damaged or gone; the text names it."""


def make_table(kind: str, columns: Mapping[str, object]) -> pa.Table:
    """Return records as an Arrow table with the columns of the files.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    columns : mapping of str to array_like
        Columns of `SCHEMAS`, all or some, in any order.

    Raises
    ------
    ArchiveError
        If a value does not fit its column (an integer beyond 32 bits).
    """
    schema = pa.schema(
        [field for field in SCHEMAS[kind] if field.name in columns],
        metadata=SCHEMAS[kind].metadata,
    )
    arrays = []
    for field in schema:
        values = columns[field.name]
        try:
            array = values if isinstance(values, pa.Array) else pa.array(values)
            arrays.append(array.cast(field.type))
        except pa.ArrowInvalid as error:
            raise ArchiveError(f"the column {field.name} of {kind}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=schema)


def in_order(table: pa.Table) -> pa.Table:
    """Return records sorted by device, time, boot and number."""
    plain = [
        table[name].combine_chunks().dictionary_decode()
        if isinstance(table[name].type, pa.DictionaryType)
        else table[name]
        for name in ("device", "t", "boot", "seq")
    ]
    keys = pa.table(plain, names=["device", "t", "boot", "seq"])
    order = pa.compute.sort_indices(
        keys, sort_keys=[(name, "ascending") for name in keys.column_names]
    )
    return table.take(order)


def plain(table: pa.Table) -> pa.Table:
    """Return a table whose columns of text are not coded, to compare or join it."""
    return table.cast(
        pa.schema(
            [
                pa.field(f.name, pa.string())
                if isinstance(f.type, pa.DictionaryType)
                or pa.types.is_large_string(f.type)
                else pa.field(f.name, f.type)
                for f in table.schema
            ]
        )
    )


def folder_of(root: Path, kind: str, day: int) -> Path:
    """Return the folder of a UTC day's files."""
    return root / kind / f"day={day_name(day)}"


def write_file(root: Path, kind: str, day: int, token: str, table: pa.Table) -> str:
    """Write one file and return its path relative to `root`, once it is on disk.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the archive.
    kind : str
        One of `KINDS`.
    day : int
        UTC day number the records belong to.
    token : str
        What the name begins with: lower-case letters, digits and hyphens.
    table : pyarrow.Table
        From `make_table`, in order.

    Raises
    ------
    ArchiveError
        If the file does not read back as it was written.
    """
    folder = folder_of(root, kind, day)
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{token}.half"
    whole = [f.name for f in table.schema if pa.types.is_integer(f.type)]
    narrow = {"state", "flags", "quality"}
    pq.write_table(
        table,
        half,
        compression="zstd",
        compression_level=1,
        row_group_size=_ROWS_PER_GROUP,
        use_dictionary=[name for name in table.column_names if name not in whole]
        + sorted(narrow & set(whole)),
        # Half the size of plain integers, and quicker to write and to read.
        column_encoding=dict.fromkeys(
            (name for name in whole if name not in narrow), "DELTA_BINARY_PACKED"
        ),
    )
    with half.open("rb") as stream:
        os.fsync(stream.fileno())
    if not plain(pq.read_table(half, schema=table.schema)).equals(plain(table)):
        half.unlink()
        raise ArchiveError(
            f"{half} does not read back as written: the disk or its memory is at "
            "fault; nothing was removed from the journal"
        )
    path = folder / f"{token}.{file_checksum(half)[:16]}.parquet"
    half.rename(path)
    for made in (folder, folder.parent, root):
        sync_folder(made)
    return path.relative_to(root).as_posix()


def remove_token(root: Path, kind: str, day: int, token: str) -> None:
    """Remove whatever a broken off writing has left behind."""
    folder = folder_of(root, kind, day)
    for path in [*folder.glob(f".{token}.half"), *folder.glob(f"{token}.*.parquet")]:
        path.unlink()


def is_sound(path: Path) -> bool:
    """Tell whether a file of the archive still has the checksum of its name."""
    found = _NAME.match(path.name)
    if found is None or not path.is_file():
        return False
    return file_checksum(path)[:16] == found[1]


def check_files(root: Path, files: Iterable[str]) -> list[str]:
    """Return what is wrong with files of the archive, a sentence each."""
    wrong = []
    for name in files:
        path = root / name
        if not path.is_file():
            wrong.append(f"{name} is missing: restore it from a backup")
        elif not is_sound(path):
            wrong.append(f"{name} has changed since it was sealed: restore it")
    return wrong


def day_of_folder(path: Path) -> int:
    """Return the UTC day number of a folder ``day=2025-07-20``."""
    found = re.fullmatch(r"day=(\d{4}-\d{2}-\d{2})", path.name)
    if not found:
        raise InputError(f"{path} is not a day of the archive (day=2025-07-20)")
    return int(np.datetime64(found[1], "D").astype(np.int64))


def remove_files(root: Path, files: Iterable[str]) -> None:
    """Remove files, and the folders they leave empty."""
    for name in files:
        path = root / name
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()
