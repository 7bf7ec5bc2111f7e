"""The members of a LI-8250 archive (.82z): metadata, table of records and log."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers.closures import GASES
from tilth.chambers.readers.licor_checks import (
    YEAR_2100,
    decode,
    looks_like,
    number,
    numbers,
    read_bytes,
)
from tilth.chambers.readers.textfile import DAMAGED_ARCHIVE
from tilth.core.errors import InputError
from tilth.core.units import convert_values

#: LI-COR writes powers with their sign: "umol+1mol-1", "m+3m-3", "cm+2".
_UNIT = re.compile(r"([A-Za-z%]+)([+-]\d+)?")
_UNIT_NAMES = {"C": "degC", "M": "min"}

#: In the log: seconds since 1970 (UTC) at which a chamber began to close, and the
#: fluxes of the observation.
_CLOSING = re.compile(r"_start_closing_chamber (\d{9,11})")
_FLUXES = re.compile(r"_compose_flux_results '(\[.*?\])'")


def members(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return the members of the archive by name; ``log.txt`` may be absent."""
    raw = read_bytes(path)
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for entry in archive.infolist():
                name = entry.filename.rsplit("/", 1)[-1]
                if name in found:
                    raise InputError(
                        f"{path} holds several observations: unpack it and read the "
                        ".82z files in it"
                    )
                if name in ("data.csv", "metadata.json", "log.txt"):
                    found[name] = archive.read(entry)
    except InputError:
        raise
    except DAMAGED_ARCHIVE as error:
        if raw.startswith(b"PK"):
            raise InputError(
                f"{path} is a damaged ZIP archive, or one that cannot be unpacked "
                f"({error}): copy it again from the multiplexer"
            ) from error
        raise InputError(
            f"{path} is no LI-8250 observation (.82z), which is a ZIP archive: it "
            f"looks like {looks_like(raw)}"
        ) from error
    missing = {"data.csv", "metadata.json"} - set(found)
    if missing:
        raise InputError(
            f"{path} is a ZIP archive without {' and '.join(sorted(missing))}: an "
            "observation of a LI-8250 (.82z) holds both"
        )
    return found


def metadata(path: str | os.PathLike[str], raw: bytes) -> dict[str, Any]:
    """Parse ``metadata.json``."""
    try:
        document = json.loads(decode(raw)[0])
    except json.JSONDecodeError as error:
        raise InputError(
            f"metadata.json in {path} is damaged at line {error.lineno}, column "
            f"{error.colno} ({error.msg}): copy the file again from the multiplexer"
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"metadata.json in {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"metadata.json in {path} is no JSON object")
    return document


def node(document: Any, *keys: str) -> Any:
    """Return a member of nested objects, or None."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def quantity(member: Any, target: str) -> float:
    """Return ``{"VALUE": ..., "UNITS": ...}`` in the units wanted, or NaN."""
    value = number(node(member, "VALUE"))
    if not np.isfinite(value):
        return np.nan
    return float(convert_values(value, units(str(node(member, "UNITS"))), target))


def units(text: str) -> str:
    """Return LI-COR's spelling of a unit in UDUNITS spelling.

    Examples
    --------
    >>> units("[umol+1mol-1]"), units("m+3m-3"), units("[C]"), units("[#]")
    ('umol mol-1', 'm3 m-3', 'degC', '1')
    """
    words = []
    for name, power in _UNIT.findall(text.strip(" []")):
        exponent = "" if power in ("", "+1") else power.removeprefix("+")
        words.append(_UNIT_NAMES.get(name, name) + exponent)
    return " ".join(words) or "1"


class Table:
    """The records of ``data.csv``: texts under sources, names and units.

    Parameters
    ----------
    path : path
        Of the archive, for messages.
    raw : bytes
        Content of the member.

    Attributes
    ----------
    sources, names, units : list of str
        Of each column.
    rows : list of list of str
        Rows with a field for every column.
    lost : int
        Rows without.
    """

    def __init__(self, path: str | os.PathLike[str], raw: bytes) -> None:
        text = decode(raw)[0].replace("\0", "")
        try:
            rows = [row for row in csv.reader(io.StringIO(text)) if row]
        except csv.Error as error:
            raise InputError(f"data.csv in {path} cannot be read: {error}") from error
        if len(rows) < 3 or not {"DATE", "TIME"} <= set(rows[1]):
            raise InputError(
                f"data.csv in {path} does not begin with rows of sources, names "
                f"(DATE, TIME, ...) and units: it holds {len(rows)} rows, the second "
                f"of them {rows[1][:4] if rows[1:] else 'absent'}"
            )
        sizes = [len(row) for row in rows[:3]]
        if len(set(sizes)) > 1:
            raise InputError(
                f"data.csv in {path} has {sizes[0]} sources, {sizes[1]} names and "
                f"{sizes[2]} units: its columns cannot be told apart"
            )
        self.sources, self.names, self.units = (
            [word.strip() for word in row] for row in rows[:3]
        )
        self.rows = [row for row in rows[3:] if len(row) == sizes[0]]
        self.lost = len(rows) - 3 - len(self.rows)

    def column(
        self, name: str, target: str, source: str | None = None
    ) -> np.ndarray | None:
        """Return a column as numbers in the units wanted, NaN where unread.

        Of several columns of that name the one of the source; the first where no
        source has it. None where there is no such column.
        """
        places = [i for i, found in enumerate(self.names) if found == name]
        if not places:
            return None
        right = [i for i in places if source is not None and self.sources[i] == source]
        place = (right or places)[0]
        values = numbers([row[place].strip().encode() for row in self.rows])
        return np.asarray(convert_values(values, units(self.units[place]), target))

    def clock(self) -> np.ndarray:
        """Return the time of every record by the multiplexer's clock."""
        date, time = self.names.index("DATE"), self.names.index("TIME")
        texts = [row[date].strip() + row[time].strip().zfill(6) for row in self.rows]
        stamps = pd.to_datetime(
            pd.Series(texts, dtype="str"), format="%Y%m%d%H%M%S", errors="coerce"
        )
        seconds = stamps.to_numpy("datetime64[s]").astype(float)
        credible = (seconds > 0.0) & (seconds < YEAR_2100)
        return stamps.where(credible).to_numpy("datetime64[ns]")


def start_of_closing(document: dict[str, Any]) -> Any:
    """Return when the chamber began to close, by the multiplexer's clock, or NaT."""
    text = str(node(document, "METADATA", "TIMESTAMP_START", "VALUE"))
    return pd.to_datetime(text, format="%Y%m%d%H%M%S", errors="coerce")


def hours_ahead(log: str, start: Any) -> float | None:
    """Return how many hours the clock is ahead of UTC, if the log tells."""
    if pd.isna(start):
        return None
    for match in _CLOSING.finditer(log):
        ahead = start.timestamp() - float(match.group(1))
        quarters = round(ahead / 900.0)
        # The log has the starts of neighbouring observations as well.
        if abs(ahead - 900.0 * quarters) <= 5.0 and abs(quarters) <= 56:
            return quarters / 4.0
    return None


def firmware_fluxes(log: str) -> dict[str, tuple[float, str]]:
    """Return gas -> flux and unit as the multiplexer computed them, if logged."""
    fluxes = {}
    for match in _FLUXES.finditer(log):
        try:
            results = json.loads(match.group(1))
        except ValueError:
            continue
        for result in results:
            gas, value = str(node(result, "gas")).lower(), number(node(result, "Fo"))
            if gas in GASES and np.isfinite(value):
                target = GASES[gas][1].replace("mol-1", "m-2 s-1")
                written = units(str(node(result, "units")))
                fluxes[gas] = float(convert_values(value, written, target)), target
    return fluxes
