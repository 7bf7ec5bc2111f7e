"""The header of a RINEX observation file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tilth.core.errors import InputError
from tilth.gnss.rinex.texts import read_text

#: Constellations that are read; others of a file (SBAS, QZSS, NavIC) are passed over.
SYSTEMS = "GREC"

#: Observables of a satellite in a RINEX 2 file, whatever its constellation.
ANY = "*"


@dataclass(frozen=True)
class ObservationHeader:
    """What the header of an observation file says.

    Parameters
    ----------
    version : float
        Of RINEX: 2.10, 2.11, 3.02 to 3.05 or 4.
    system : str
        Letter of the constellation, ``M`` for several.
    observables : mapping of str to tuple of str
        Letter of the constellation -> its observables in the order of the file; in
        RINEX 2 one list under ``"*"``.
    marker : str
        Name of the station, empty where none is given.
    position : numpy.ndarray, shape (3), or None
        Approximate position of the antenna, earth-centred, m; None where the file has
        none or the centre of the earth.
    time_system : str
        ``GPS``, ``GLO``, ``GAL`` or ``BDT``.
    interval : float or None
        Seconds from one epoch to the next, where stated.
    glonass_channels : mapping of int to int
        GLONASS slot -> frequency channel; empty where the file says nothing.
    scales : mapping of (str, str) to int
        Constellation and observable -> factor that its values were multiplied by.
    comments : tuple of str
        In their order.
    length : int
        Bytes of the header.
    """

    version: float
    system: str
    observables: Mapping[str, tuple[str, ...]]
    marker: str = ""
    position: np.ndarray | None = None
    time_system: str = "GPS"
    interval: float | None = None
    glonass_channels: Mapping[int, int] = field(default_factory=dict)
    scales: Mapping[tuple[str, str], int] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    length: int = 0

    @property
    def snr_in_digits(self) -> bool:
        """Whether a comment says that SNR is given as digits from 0 to 9."""
        said = " ".join(self.comments).lower()
        return "snr is mapped to rinex snr flag" in said


def read_header(path: str | os.PathLike[str]) -> ObservationHeader:
    """Read the header of an observation file.

    Parameters
    ----------
    path : path
        RINEX 2.10 to 4, plain or compressed (see `tilth.gnss.rinex.texts.read_text`).

    Returns
    -------
    ObservationHeader
        What it says.

    Raises
    ------
    InputError
        If it is no observation file, or its header is damaged.
    """
    try:
        return parse_header(read_text(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_header(text: bytes) -> ObservationHeader:
    """Return what the header says that a text begins with.

    Parameters
    ----------
    text : bytes
        Of an observation file.

    Returns
    -------
    ObservationHeader
        What it says.

    Raises
    ------
    InputError
        If it is no observation file, or its header is damaged.
    """
    lines, length = header_lines(text)
    label = _label(lines[0])
    if label != "RINEX VERSION / TYPE" or lines[0][20:21] != "O":
        raise InputError(
            f"this is no RINEX observation file: it begins with {lines[0][:60]!r}"
        )
    version = _number(lines[0][:9], "version")
    if not 2 <= version < 5:
        raise InputError(f"RINEX {version} is not read: versions 2.10 to 4 are")
    found = {name: [one for one in lines if _label(one) == name] for name in _LABELS}
    text_of = {name: (rows[0][:60] if rows else "") for name, rows in found.items()}
    position = None
    if text_of["APPROX POSITION XYZ"].strip():
        position = np.array(
            [
                _number(
                    text_of["APPROX POSITION XYZ"][14 * i : 14 * i + 14], "position"
                )
                for i in range(3)
            ]
        )
        if not np.abs(position).max() > 0:
            position = None
    step = text_of["INTERVAL"].strip()
    system = lines[0][40:41].strip() or "G"
    time_system = text_of["TIME OF FIRST OBS"][48:51].strip()
    return ObservationHeader(
        version=version,
        system=system,
        observables=parse_observables(lines),
        marker=text_of["MARKER NAME"].strip(),
        position=position,
        time_system=time_system
        or {"R": "GLO", "E": "GAL", "C": "BDT"}.get(system, "GPS"),
        interval=_number(step, "interval") if step else None,
        glonass_channels=_channels(found["GLONASS SLOT / FRQ #"]),
        scales=_scales(found["SYS / SCALE FACTOR"]),
        comments=tuple(one[:60].rstrip() for one in found["COMMENT"]),
        length=length,
    )


_LABELS = (
    "MARKER NAME",
    "APPROX POSITION XYZ",
    "INTERVAL",
    "TIME OF FIRST OBS",
    "GLONASS SLOT / FRQ #",
    "SYS / SCALE FACTOR",
    "COMMENT",
)


def header_lines(text: bytes) -> tuple[list[str], int]:
    """Return the lines of a RINEX header, and its length in bytes.

    Parameters
    ----------
    text : bytes
        Of any RINEX file.

    Returns
    -------
    list of str, int
        Lines without their ends; bytes to the first line after the header.

    Raises
    ------
    InputError
        If no line says END OF HEADER.
    """
    mark = text.find(b"END OF HEADER")
    if mark < 0:
        raise InputError("no line says END OF HEADER: this is no whole RINEX file")
    end = text.find(b"\n", mark)
    length = end + 1 if end >= 0 else len(text)
    lines = text[:length].decode("latin-1").splitlines()
    return [one.rstrip() for one in lines], length


def parse_observables(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the observables that header lines list.

    Parameters
    ----------
    lines : iterable of str
        Of a header, or of a later event.

    Returns
    -------
    dict of str to tuple of str
        Constellation (``"*"`` in RINEX 2) -> observables; empty without such lines.

    Raises
    ------
    InputError
        If a list does not have as many as it says.
    """
    listed: dict[str, list[str]] = {}
    expected: dict[str, int] = {}
    system = ANY
    for line in lines:
        label = _label(line)
        if label == "SYS / # / OBS TYPES":
            begin, count = line[:1], line[3:6]
        elif label == "# / TYPES OF OBSERV":
            begin, count = (ANY if line[:6].strip() else " "), line[:6]
        else:
            continue
        if begin != " ":
            system = begin
            expected[system] = int(_number(count, "number of observables"))
            listed[system] = []
        listed.setdefault(system, []).extend(line[6:60].split())
    for system, names in listed.items():
        if len(names) != expected.get(system):
            raise InputError(
                f"the header announces {expected.get(system)} observables of "
                f"{system!r} and lists {len(names)}: {' '.join(names)}"
            )
    return {system: tuple(names) for system, names in listed.items()}


def _label(line: str) -> str:
    """Return what a header line is."""
    return line[60:80].strip()


def _number(text: str, name: str) -> float:
    """Return a number of the header, or raise."""
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"the {name} in the header is {text.strip()!r}, no number"
        ) from None


def _channels(lines: Iterable[str]) -> dict[int, int]:
    """Return the channels of GLONASS slots."""
    text = " ".join(line[3:60] for line in lines)
    return {
        int(slot): int(channel)
        for slot, channel in re.findall(r"R(\d\d)\s+([+-]?\d+)", text)
    }


def _scales(lines: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return the factors of scaled observables; an empty name stands for all."""
    scales = {}
    system, factor = "", 1
    for line in lines:
        if line[:1] != " ":
            system, factor = line[0], int(_number(line[2:6], "scale factor"))
        for name in line[10:60].split() or [""]:
            scales[system, name] = factor
    return scales
