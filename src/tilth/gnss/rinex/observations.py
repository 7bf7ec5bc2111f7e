"""Observations of a receiver from a RINEX file, as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.rinex.header import (
    ANY,
    SYSTEMS,
    ObservationHeader,
    parse_header,
    parse_observables,
)
from tilth.gnss.rinex.records import (
    CUT,
    END,
    EVENT,
    NO_EPOCH,
    NO_NUMBER,
    NO_SATELLITE,
    read_records,
)
from tilth.gnss.rinex.texts import read_text
from tilth.gnss.rinex.times import ahead_of

#: Units by the first letter of an observable.
_KINDS = {
    "C": ("pseudorange", "m"),
    "P": ("pseudorange by the P code", "m"),
    "L": ("carrier phase", "1"),
    "D": ("Doppler shift", "Hz"),
    "S": ("signal strength", "dB-Hz"),
}

_REASONS = {
    NO_EPOCH: "no epoch begins where one should",
    NO_NUMBER: "an observation is no number",
    CUT: "the file ends within an epoch: it was not copied to its end",
    NO_SATELLITE: "no satellite is named where one should be",
}


def read_observations(
    path: str | os.PathLike[str],
    observables: str | Sequence[str] = "S",
) -> xr.Dataset:
    """Read the observations of a RINEX file.

    RINEX 2.10 to 4 with GPS, GLONASS, Galileo and BeiDou; satellites of other
    constellations are passed over, and so are records of cycle slips. Lists of
    observables that change within the file are followed.

    Parameters
    ----------
    path : path
        Plain or compressed, by Hatanaka's program too.
    observables : str or sequence of str
        Which: their names, such as ``["C1C", "S1C"]``, or the letters they begin with:
        ``"S"`` for signal strengths, ``"CS"`` for these and pseudoranges.

    Returns
    -------
    xarray.Dataset
        Along ``observation`` in the order of the file: ``satellite`` (its number),
        ``time`` (GPS time), and a variable per observable of any constellation, NaN
        where there is none; rows without any are left out. Attributes: ``station``,
        ``version``, ``position`` (m), ``interval`` (s), ``glonass_channels``
        ("1:1 2:-4"), ``snr_in_digits`` where a comment says so.

    Raises
    ------
    InputError
        If the file is no observation file, is damaged or cut, or has none of the
        observables.
    """
    text = read_text(path)
    try:
        header = parse_header(text)
        names, parts = _segments(text, header, observables)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    satellite, day, second = (
        np.concatenate([part[k] for part in parts]) for k in range(3)
    )
    moments = day.astype("datetime64[D]").astype("datetime64[ns]")
    moments = moments + np.rint(second * 1e9).astype("timedelta64[ns]")
    if header.time_system not in ("GPS", "GAL"):
        lag = ahead_of(header.time_system, moments)
        moments = moments + np.rint(lag * 1e9).astype("timedelta64[ns]")
    data = xr.Dataset(
        {
            "satellite": ("observation", satellite, {"units": "1"}),
            "time": ("observation", moments, {"long_name": "GPS time"}),
        },
        attrs=_attributes(header),
    )
    for k, name in enumerate(names):
        values = np.concatenate([part[3][:, k] for part in parts])
        for (system, scaled), factor in header.scales.items():
            if scaled in ("", name):
                group = SYSTEMS.find(system)
                values = np.where(satellite // 100 == group, values / factor, values)
        what, units = _KINDS.get(name[0], ("observable", "1"))
        about = {"long_name": f"{what} {name}", "units": units}
        data[name] = ("observation", values, about)
    return data


def _segments(
    text: bytes, header: ObservationHeader, observables: str | Sequence[str]
) -> tuple[list[str], list[tuple[np.ndarray, ...]]]:
    """Return the names of columns, and the rows between changes of the lists."""
    wanted = _choice(observables)
    lists = [header]
    names = _names(header.observables, wanted)
    parts: list[tuple[np.ndarray, ...]] = []
    numbers = np.frombuffer(text, np.uint8)
    most = text.count(b"\n") + 1
    at = header.length
    while True:
        names += [n for n in _names(lists[-1].observables, wanted) if n not in names]
        part, at, changed = _segment(numbers, at, lists[-1], names, most)
        parts.append(part)
        if changed is None:
            break
        lists.append(replace(lists[-1], observables=changed))
    if not names:
        given = sorted(
            {n for one in lists for found in one.observables.values() for n in found}
        )
        raise InputError(
            f"it has none of the observables {observables!r}; it has {' '.join(given)}"
        )
    # A list that came later may have brought further columns.
    filled = [
        (*part[:3], _widened(part[3], len(names))) for part in parts if part[0].size
    ]
    if not filled:
        raise InputError("it has no observation of these")
    return names, filled


def _segment(
    text: np.ndarray, at: int, header: ObservationHeader, names: list[str], most: int
) -> tuple[tuple[np.ndarray, ...], int, dict[str, tuple[str, ...]] | None]:
    """Return the rows up to the next change of observables, where, and the change."""
    lists = [_list_of(header.observables, letter) for letter in SYSTEMS]
    # In RINEX 2 satellites of all constellations have the same fields.
    lists.append(header.observables.get(ANY, ()))
    fields = np.array([len(one) for one in lists])
    columns = np.full((len(lists), max(fields.max(), 1)), -1)
    for group, one in enumerate(lists):
        for k, name in enumerate(one):
            columns[group, k] = names.index(name) if name in names else -1
    satellite = np.empty(most, "int16")
    day = np.empty(most, "int32")
    second = np.empty(most)
    values = np.empty((most, len(names)))
    # M stands for several: a satellite without a letter is of GPS (RINEX 2.10).
    system = max(SYSTEMS.find(header.system), 0)
    row = 0
    changed = None
    while True:
        status, row, at, lines = read_records(
            text, at, header.version >= 3, system, fields, columns, row, satellite,
            day, second, values,
        )  # fmt: skip
        if status != EVENT:
            break
        at, changed = _event(text, at, lines)
        if changed and changed != dict(header.observables):
            changed = {**header.observables, **changed}
            break
        changed = None
    if status not in (END, EVENT):
        line = int((text[:at] == ord("\n")).sum()) + 1
        raise InputError(f"line {line}: {_REASONS[status]}")
    rows = (satellite[:row], day[:row], second[:row], values[:row])
    return rows, at, changed


def _event(
    text: np.ndarray, at: int, lines: int
) -> tuple[int, dict[str, tuple[str, ...]]]:
    """Return where an event ends, and the observables that it lists."""
    end = at
    for _ in range(lines):
        feed = np.flatnonzero(text[end : end + 200] == ord("\n"))
        end = end + int(feed[0]) + 1 if feed.size else text.size
    said = text[at:end].tobytes().decode("latin-1").splitlines()
    return end, parse_observables(line.rstrip() for line in said)


def _list_of(
    observables: Mapping[str, tuple[str, ...]], letter: str
) -> tuple[str, ...]:
    """Return the observables of a constellation."""
    return observables.get(letter, observables.get(ANY, ()))


def _choice(observables: str | Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells if an observable is wanted."""
    if isinstance(observables, str):
        return lambda name: name[0] in observables
    return lambda name: name in observables


def _names(
    observables: Mapping[str, tuple[str, ...]], wanted: Callable[[str], bool]
) -> list[str]:
    """Return the wanted observables, each once."""
    every = (name for one in observables.values() for name in one)
    return list(dict.fromkeys(name for name in every if wanted(name)))


def _widened(values: np.ndarray, columns: int) -> np.ndarray:
    """Return rows with columns of NaN added."""
    more = columns - values.shape[1]
    return np.pad(values, ((0, 0), (0, more)), constant_values=np.nan)


def _attributes(header: ObservationHeader) -> dict[str, object]:
    """Return what a table keeps of the header."""
    about: dict[str, object] = {"station": header.marker, "version": header.version}
    if header.position is not None:
        about["position"] = header.position
    if header.interval is not None:
        about["interval"] = header.interval
    if header.glonass_channels:
        channels = sorted(header.glonass_channels.items())
        about["glonass_channels"] = " ".join(f"{s}:{c}" for s, c in channels)
    if header.snr_in_digits:
        about["snr_in_digits"] = "a comment says that SNR is mapped to digits 0 to 9"
    return about
