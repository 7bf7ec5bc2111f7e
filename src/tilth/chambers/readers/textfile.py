"""Text files of instruments: opened, recognised, and split into sound columns."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tilth.core.errors import InputError


@dataclass(frozen=True)
class FileKind:
    """What a file looks like, and the function that reads it.

    Parameters
    ----------
    name : str
        One word, such as ``"picarro"``.
    description : str
        For people: "a Picarro .dat table".
    reader : str
        Function of `tilth.chambers` that reads it; empty where there is none.
    """

    name: str
    description: str
    reader: str = ""


#: What reading a damaged, encrypted or exotically packed archive raises. RuntimeError
#: is zipfile's for a password, and with it for an unknown compression.
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)

#: First bytes of binary files.
_MAGIC = (
    (b"\x89HDF", FileKind("hdf5", "an HDF5 or NetCDF-4 file")),
    (b"CDF", FileKind("netcdf", "a NetCDF-3 file")),
    (b"PAR1", FileKind("parquet", "a Parquet table", "read_table")),
    (b"\xd0\xcf\x11\xe0", FileKind("xls", "an Excel workbook of the old .xls kind")),
)

#: Signs in the first lines of text files, the most specific first.
_SIGNS = (
    (
        r"^Model:\s*LI-(?:78|88)\d\d\b",
        FileKind("li7810", "a LI-COR trace gas analyser export", "read_li7810"),
    ),
    (
        r"^DATAH\tSECONDS\tNANOSECONDS",
        FileKind("li7810", "a LI-COR trace gas analyser export", "read_li7810"),
    ),
    (
        r"^LI-8\d{3}\b|^Type\tEtime\t|^Observation #?:?\s*\d",
        FileKind("81x", "a LI-COR LI-8100 .81x file", "read_licor_81x"),
    ),
    (
        r"\bBD:\s*\w{3}\s+\d|\bVC:\w+|\[(?:CH4|CO2|N2O|H2O)\]d?_ppm",
        FileKind("lgr", "a Los Gatos (ABB) .txt file", "read_lgr"),
    ),
    (
        r"^DATE\s+TIME\s+FRAC_|\bEPOCH_TIME\s+ALARM_STATUS\b",
        FileKind("picarro", "a Picarro .dat table", "read_picarro"),
    ),
    (
        r"^;.*\bEGM-?4\b|^;Plot[\t,;]\s*RecNo|^Plot,RecNo,Day,Month",
        FileKind("egm4", "a PP Systems EGM-4 .dat file", "read_egm"),
    ),
    (
        r"^Tag\(M\d\)|^[MR][1-6],\s*\d\d/\d\d/\d\d,",
        FileKind("egm5", "a PP Systems EGM-5 file", "read_egm"),
    ),
    (r'^"?TOA5"?,', FileKind("toa5", "a Campbell logger TOA5 table", "read_table")),
    (
        r'^\s*\{[\s\S]*"datasets"',
        FileKind("smartchamber", "a LI-COR Smart Chamber JSON", "read_smart_chamber"),
    ),
    (r"^\s*[\[{]", FileKind("json", "a JSON file")),
    (r"^\s*<(?:\?xml|!DOCTYPE|html)", FileKind("xml", "an XML or HTML page")),
)


def recognise(path: str | os.PathLike[str]) -> FileKind:
    """Say what a file looks like from its first bytes, whatever its name is.

    Parameters
    ----------
    path : path
        File; ``.gz`` and ``.zip`` are looked into.

    Returns
    -------
    FileKind
        Never fails on a readable file: what is not known is a delimited text
        table, plain text or a binary file.

    Raises
    ------
    InputError
        If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    with path.open("rb") as stream:
        head = stream.read(8192)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as packed:
                head = packed.read(8192)
        except (OSError, EOFError, zlib.error):
            return FileKind("gzip", "a damaged gzip file")
    if head[:4] == b"PK\x03\x04":
        return _recognise_zip(path)
    if not head.strip():
        return FileKind("empty", "an empty file")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if b"\x00" in head[:1024]:
        return FileKind("binary", "a binary file")
    return _recognise_text(head.decode("utf-8", errors="replace").lstrip("\ufeff"))


def _recognise_zip(path: Path) -> FileKind:
    """Say what a zip archive holds."""
    try:
        return _recognise_members(path)
    except DAMAGED_ARCHIVE:
        return FileKind("zip", "a ZIP archive that cannot be unpacked")


def _recognise_members(path: Path) -> FileKind:
    """Say what the members of a sound zip archive are."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "xl/workbook.xml" in names:
            return FileKind("excel", "an Excel workbook", "read_table")
        if any(name.endswith("metadata.json") for name in names):
            return FileKind("82z", "a LI-COR LI-8250 .82z archive", "read_licor_82z")
        if len(names) == 1:
            with archive.open(names[0]) as member:
                return _recognise_text(member.read(8192).decode("utf-8", "replace"))
    return FileKind("zip", f"a zip archive of {len(names)} files")


def _recognise_text(head: str) -> FileKind:
    """Say what text looks like from its first lines."""
    for pattern, kind in _SIGNS:
        if re.search(pattern, head, flags=re.MULTILINE):
            return kind
    first = next((line for line in head.splitlines() if line.strip()), "")
    for separator in (",", "\t", ";"):
        if first.count(separator) >= 1:
            columns = [name.strip().strip('"') for name in first.split(separator)]
            named = ", ".join(columns[:4]) + (", ..." if len(columns) > 4 else "")
            return FileKind("table", f"a delimited table ({named})", "read_table")
    return FileKind("text", f"a text file that begins {first[:40]!r}")


def refuse(path: str | os.PathLike[str], wanted: str) -> InputError:
    """Return the error that says what the file looks like instead."""
    kind = recognise(path)
    hint = f": use {kind.reader}" if kind.reader else ""
    return InputError(
        f"{Path(path).name} is not {wanted}; it looks like {kind.description}{hint}"
    )


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a text file, unpacking ``.gz`` and one-file ``.zip``.

    Raises
    ------
    InputError
        If there is no such file, it is binary, or a zip holds several files.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if len(archive.namelist()) != 1:
                raise InputError(
                    f"{path.name} is a zip of {len(archive.namelist())} files: unpack "
                    "it and read them one by one"
                )
            content = archive.read(archive.namelist()[0])
    if b"\x00" in content[:1024]:
        raise InputError(f"{path.name} is a binary file, not text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.splitlines()


def parse_fields(
    lines: Sequence[str],
    columns: Sequence[str],
    keep: Sequence[str],
    *,
    separator: str = "\t",
    text: Sequence[str] = (),
    decimal: str = ".",
) -> tuple[pd.DataFrame, int, np.ndarray]:
    """Split lines into columns; leave out those with a wrong number of fields.

    Parameters
    ----------
    lines : sequence of str
        Data lines.
    columns : sequence of str
        Name of every field of a line.
    keep : sequence of str
        Columns wanted.
    separator : str
        One character, or ``" "`` for any white space.
    text : sequence of str
        Columns that stay text; the others become numbers.
    decimal : str
        Decimal mark.

    Returns
    -------
    frame : pandas.DataFrame
        The columns of `keep`, one row per sound line.
    bad_rows : int
        Lines left out.
    bad_value : numpy.ndarray of bool
        Rows in which some cell is neither a number nor empty.
    """
    n = len(columns)
    if separator == " ":
        sound = [line for line in lines if len(line.split()) == n]
    else:
        # One separator after the last field is some instruments' habit, not damage.
        trimmed = (
            line.rstrip()[:-1]
            if line.count(separator) == n and line.rstrip().endswith(separator)
            else line
            for line in lines
        )
        sound = [line for line in trimmed if line.count(separator) == n - 1]
    # Some headers repeat a name: the first is meant.
    columns = [
        name if name not in columns[:i] else f"{name} #{i}"
        for i, name in enumerate(columns)
    ]
    absent = [name for name in keep if name not in columns]
    if absent:
        raise InputError(
            f"the header has no column {', '.join(absent)}; it has "
            f"{', '.join(columns[:12])}"
        )
    wanted = [name for name in columns if name in set(keep)]
    if not sound:
        empty = pd.DataFrame(
            {
                name: pd.Series(dtype="str" if name in set(text) else float)
                for name in wanted
            }
        )
        return empty, len(lines), np.zeros(0, bool)
    frame = pd.read_csv(
        io.StringIO("\n".join(sound)),
        sep=r"\s+" if separator == " " else separator,
        header=None,
        names=list(columns),
        usecols=wanted,
        index_col=False,
        dtype={name: "str" for name in wanted if name in set(text)},
        skipinitialspace=True,
        skip_blank_lines=False,
        decimal=decimal,
        quoting=csv.QUOTE_NONE,
        low_memory=False,
    )
    bad = np.zeros(len(frame), bool)
    for name in wanted:
        if name in set(text) or frame[name].dtype.kind in "iuf":
            continue
        cells = frame[name].astype("str").str.strip()
        if decimal != ".":
            cells = cells.str.replace(decimal, ".", regex=False)
        numbers = pd.to_numeric(cells, errors="coerce")
        bad |= (numbers.isna() & frame[name].notna()).to_numpy()
        frame[name] = numbers
    return frame, len(lines) - len(sound), bad
