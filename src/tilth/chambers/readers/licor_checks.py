"""What the LI-COR readers share: opening a file, clocks, initial values, doubts."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.chambers.air import saturation_vapour_pressure
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.core.errors import InputError

_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive (an .82z file or an Excel workbook)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"{", "a JSON file (a Smart Chamber file, for read_smart_chamber?)"),
    (b"[", "a JSON file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"<", "a web page or XML"),
    (b"LI-8100", "a LI-8100 file (.81x, for read_licor_81x)"),
    (b"Model:\tLI-7", "the record of a LI-78xx analyser (.data)"),
)

#: The Smart Chamber and the LI-8250 fit the records *after* the dead-band; a closure's
#: window includes its ends. So their dead-band is held a millisecond longer.
PAST_DEAD_BAND = 1e-3

#: A record set smaller than this share of what the file promises is truncated.
ENOUGH = 0.9

#: Seconds from 1970 to 2100: no instrument's clock tells a later time.
YEAR_2100 = 4_102_444_800.0

_PIECE = 8192  # bytes of a gzip file unpacked at a time

#: Water vapour above saturation by more than this is not credible: a thermometer wrong
#: by 3.5 K. Seen in sound closures: 1.004 (condensing), 1.18 (thermometer cooled by a
#: clear night above warm wet soil).
_SATURATION_MARGIN = 1.25


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file, unpacked if it is gzip.

    Of a gzip file that was cut short, what can still be unpacked is returned: the
    readers flag what is missing.

    Raises
    ------
    InputError
        If there is no such file or nothing of it can be unpacked.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot open {path}: {error.strerror or error}") from error
    if raw[:2] != b"\x1f\x8b":
        return raw
    pieces: list[bytes] = []
    while raw[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(wbits=31)
        try:
            # In pieces, so that what lies before a damaged byte is not lost with it.
            for i in range(0, len(raw), _PIECE):
                pieces.append(member.decompress(raw[i : i + _PIECE]))
                if member.eof:
                    break
        except zlib.error as error:
            if not any(pieces):
                raise InputError(
                    f"{path} is gzip but cannot be unpacked ({error}): copy it again "
                    "from the instrument"
                ) from error
            break
        if not member.eof:
            break
        raw = member.unused_data + raw[i + _PIECE :]
    return b"".join(pieces)


def looks_like(raw: bytes) -> str:
    """Say in a few words what a file seems to be, for an error message."""
    start = raw[:512].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return "an empty file"
    for signature, name in _SIGNATURES:
        if start.startswith(signature):
            return name
    if b"\0" in start or sum(byte > 126 for byte in start) > len(start) // 4:
        return "a binary file"
    first = start.splitlines()[0][:60].decode("latin-1")
    return f"a text file that begins with {first!r}"


def decode(raw: bytes) -> tuple[str, str]:
    """Decode UTF-8 where it is valid, else Latin-1; return the text and which."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "latin-1"


def number(value: object) -> float:
    """Return a finite number, or NaN for anything that is not one.

    Examples
    --------
    >>> number("317.8"), number("317,8"), number(None), number(True)
    (317.8, nan, nan, nan)
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return float("nan")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return float("nan")
    return result if np.isfinite(result) else float("nan")


def numbers(texts: Sequence[bytes]) -> np.ndarray:
    """Return many texts as finite numbers, NaN for anything that is not one.

    Examples
    --------
    >>> numbers([b"317.8", b"", b"Vtotal", b"1e999"])
    array([317.8,   nan,   nan,   nan])
    """
    try:
        values = np.array([text or b"nan" for text in texts], "S").astype(float)
    except (ValueError, OverflowError):
        values = np.array([number(text.decode("latin-1")) for text in texts])
    return np.where(np.isfinite(values), values, np.nan)


def unique_names(names: Sequence[str]) -> list[str]:
    """Append " (2)", " (3)" to names that come again.

    Examples
    --------
    >>> unique_names(["1", "2", "1"])
    ['1', '2', '1 (2)']
    """
    taken = set(names)
    copies: dict[str, int] = {}
    unique = []
    for name in names:
        copies[name] = copies.get(name, 0) + 1
        candidate = name
        while copies[name] > 1 and candidate in taken:
            candidate = f"{name} ({copies[name]})"
            copies[name] += candidate in taken
        taken.add(candidate)
        unique.append(candidate)
    return unique


def closing_value(elapsed, values, inclusive: bool):
    """Value at closing: line through the first 10 s, as LI-COR's firmware does it.

    Parameters
    ----------
    elapsed, values : (closure, sample) arrays
        Time since closing in s and a quantity; NaN where there is none.
    inclusive : bool
        True with the record at 10 s (Smart Chamber), False without it (LI-8100):
        both reproduce the printed initial values to their last digit.

    Returns
    -------
    (closure,) array
        NaN with fewer than two records.
    """
    early = (elapsed >= 0.0) & (elapsed <= 10.0 if inclusive else elapsed < 10.0)
    return line(elapsed, values, early & np.isfinite(values))[0]


def line(elapsed, values, use):
    """Ordinary least squares per closure: intercept at closing and slope.

    Parameters
    ----------
    elapsed, values : (closure, sample) arrays
        Abscissa and ordinate.
    use : (closure, sample) array of bool
        Records to fit.

    Returns
    -------
    intercept, slope : (closure,) arrays
        NaN with fewer than two different times.
    """
    t, y = np.where(use, elapsed, 0.0), np.where(use, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = use.sum(axis=1)
        t_mean, y_mean = t.sum(axis=1) / n, y.sum(axis=1) / n
        dt = np.where(use, t - t_mean[:, None], 0.0)
        spread = (dt * dt).sum(axis=1)
        slope = (dt * (y - y_mean[:, None])).sum(axis=1) / spread
        slope = np.where(spread > 0.0, slope, np.nan)
    return y_mean - slope * t_mean, slope


def implausible(closures: xr.Dataset) -> dict[str, np.ndarray]:
    """Find the closures whose records break physical limits.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset in canonical units.

    Returns
    -------
    dict of str to (closure,) array of bool
        Words of `CLOSURE_FLAGS`.
    """
    shape = closures["elapsed"].shape
    closed = closures["elapsed"].to_numpy() >= 0.0

    def values(name: str) -> np.ndarray:
        if name not in closures:
            return np.full(shape, np.nan)
        return np.where(closed, closures[name].to_numpy(), np.nan)

    temperature, pressure, vapour = map(values, ("temperature", "pressure", "h2o"))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        limit = _SATURATION_MARGIN * saturation_vapour_pressure(temperature) / pressure
        raised = {
            "implausible_temperature": (temperature < -60.0) | (temperature > 55.0),
            "implausible_pressure": (pressure < 30e3) | (pressure > 110e3),
            "implausible_humidity": (vapour < 0.0) | (vapour * 1e-3 > limit),
            "implausible_concentration": np.zeros(shape, bool),
        }
        humidity = values("relative_humidity")
        margin = 100.0 * _SATURATION_MARGIN
        raised["implausible_humidity"] |= (humidity < 0.0) | (humidity > margin)
        for gas in ("co2", "ch4", "n2o"):
            raised["implausible_concentration"] |= values(gas) <= 0.0
    return {word: where.any(axis=1) for word, where in raised.items()}


def raise_flags(closures: xr.Dataset, raised: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Add words of `CLOSURE_FLAGS` to the flags that are there."""
    flag = closures["closure_flag"]
    more = CLOSURE_FLAGS.variable(
        {word: np.asarray(where, bool) for word, where in raised.items()}, flag.shape
    )
    return closures.assign(closure_flag=(flag.dims, flag.to_numpy() | more, flag.attrs))


def with_clock(closures: xr.Dataset, clock: np.ndarray) -> xr.Dataset:
    """Keep the instrument's own closing time beside the one in UTC."""
    unknown = np.isnat(closures["time"].to_numpy())
    closures = raise_flags(closures, {"unknown_time": unknown})
    closures = closures.assign_coords(
        instrument_time=("closure", np.asarray(clock, "datetime64[ns]"))
    )
    closures["instrument_time"].attrs["long_name"] = (
        "time of closing by the instrument's own clock"
    )
    return closures


def check_utc_offset(hours: float) -> None:
    """Raise unless a clock somewhere can be so many hours ahead of UTC."""
    if not abs(hours) <= 14.0:
        raise InputError(
            f"utc_offset is {hours} h, but no clock on Earth is more than 14 h from "
            "UTC: give the hours the instrument is ahead, such as 1 or -5.5"
        )


def utc_from(clock: np.ndarray, utc_offset: float) -> np.ndarray:
    """Return UTC of a clock that is `utc_offset` hours ahead of it."""
    ahead = np.timedelta64(round(utc_offset * 3.6e12), "ns")
    return np.asarray(clock, "datetime64[ns]") - ahead


def describe(
    closures: xr.Dataset, attributes: Mapping[str, tuple[str, str]]
) -> xr.Dataset:
    """Write units and long names (name -> (units, long name)) where they apply."""
    for name, (units, long_name) in attributes.items():
        if name in closures:
            closures[name].attrs.update(units=units, long_name=long_name)
    return closures
