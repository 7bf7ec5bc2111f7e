"""Laser analysers' own files: LI-COR LI-78xx, Los Gatos (ABB), Picarro."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.clock import parse_dates, to_utc
from tilth.chambers.readers.records import Series, make_record
from tilth.chambers.readers.textfile import parse_fields, read_lines, refuse

#: Column -> variable, units, basis. LI-COR LI-78xx and LI-88xx ("Working with data",
#: licor.com): the gases are mole fractions in dry air, H2O in moist air; CAVITY_P and
#: CAVITY_T are those of the optical cavity.
_LICOR = {
    "CO2": ("co2", "ppm", "dry"),
    "CH4": ("ch4", "ppb", "dry"),
    "N2O": ("n2o", "ppb", "dry"),
    "H2O": ("h2o", "ppm", None),
    "CAVITY_P": ("cell_pressure", "kPa", None),
    "CAVITY_T": ("cell_temperature", "degC", None),
    "DIAG": ("diagnostic", "1", None),
}

#: Los Gatos write every gas wet ("[CO2]_ppm") and, most of them, dry ("[CO2]d_ppm").
_LGR = {
    "[CO2]d_ppm": ("co2", "ppm", "dry"),
    "[CO2]_ppm": ("co2", "ppm", "wet"),
    "[CH4]d_ppm": ("ch4", "ppm", "dry"),
    "[CH4]_ppm": ("ch4", "ppm", "wet"),
    "[N2O]d_ppm": ("n2o", "ppm", "dry"),
    "[N2O]_ppm": ("n2o", "ppm", "wet"),
    "[H2O]_ppm": ("h2o", "ppm", None),
    "GasP_torr": ("cell_pressure", "torr", None),
    "GasT_C": ("cell_temperature", "degC", None),
    "AmbT_C": ("analyser_temperature", "degC", None),
    "Fit_Flag": ("diagnostic", "1", None),
}

#: Picarro: gases in ppm (dry where the name says so), water in percent, cavity
#: pressure in torr. "_sync" columns are the same quantities on a common time grid.
_PICARRO = {
    "CO2_dry": ("co2", "ppm", "dry"),
    "CO2_dry_sync": ("co2", "ppm", "dry"),
    "CO2": ("co2", "ppm", "wet"),
    "CO2_sync": ("co2", "ppm", "wet"),
    "CH4_dry": ("ch4", "ppm", "dry"),
    "CH4_dry_sync": ("ch4", "ppm", "dry"),
    "CH4": ("ch4", "ppm", "wet"),
    "CH4_sync": ("ch4", "ppm", "wet"),
    "N2O_dry": ("n2o", "ppm", "dry"),
    "N2O_dry_sync": ("n2o", "ppm", "dry"),
    "N2O": ("n2o", "ppm", "wet"),
    "H2O": ("h2o", "%", None),
    "H2O_sync": ("h2o", "%", None),
    "CavityPressure": ("cell_pressure", "torr", None),
    "CavityTemp": ("cell_temperature", "degC", None),
    "ALARM_STATUS": ("diagnostic", "1", None),
}

_Columns = Mapping[str, tuple[str, str, str | None]]


def read_li7810(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a LI-COR trace gas analyser export (LI-7810, -7815, -7820 and kin).

    A tab-separated ``.data`` or ``.txt`` file: header lines ``Model:`` to
    ``Timezone:``, column names after ``DATAH``, units after ``DATAU``, samples after
    ``DATA``. UTC comes from ``SECONDS`` and ``NANOSECONDS``; ``DATE`` and ``TIME``,
    in the header's time zone, are kept as ``instrument_time``.

    Parameters
    ----------
    path : path
        The file; may be gzip-compressed.

    Returns
    -------
    xarray.Dataset
        A record (see `tilth.chambers.readers.records`). Samples whose ``DIAG`` is
        not zero are flagged ``instrument_diagnostic``.

    Raises
    ------
    InputError
        If it is another kind of file or holds no sample.

    References
    ----------
    LI-COR, "Working with data", LI-7810 and LI-88xx support pages.
    """
    lines = read_lines(path)
    header = next((x for x in lines if x.startswith("DATAH\tSECONDS")), None)
    if header is None:
        raise refuse(path, "a LI-COR trace gas analyser export (no DATAH line)")
    columns = [name.strip() for name in header.split("\t")]
    data = [line for line in lines if line.startswith("DATA\t")]
    known = _present(_LICOR, columns)
    frame, bad_rows, bad = parse_fields(
        data,
        columns,
        ["SECONDS", "NANOSECONDS", "DATE", "TIME", *known],
        text=["DATE", "TIME"],
    )
    timed = (frame["SECONDS"].notna() & frame["NANOSECONDS"].notna()).to_numpy()
    bad_rows += int((~timed).sum())
    frame, bad = frame[timed], bad[timed]
    _require_samples(path, frame)
    clock = (
        frame["DATE"]
        + " "
        + frame["TIME"].str.replace(r":(\d{3})$", r".\1", regex=True)
    )
    about = {
        name.strip(): value.strip()
        for name, _, value in (x.partition(":") for x in lines[: lines.index(header)])
    }
    return make_record(
        _epoch(frame["SECONDS"], frame["NANOSECONDS"]),
        {v: Series(frame[c], u, b) for c, (v, u, b) in known.items()},
        instrument_time=pd.to_datetime(clock, format="ISO8601", errors="coerce"),
        flags={"bad_value": bad, **_diagnostic(frame, "DIAG", 0)},
        bad_rows=bad_rows,
        attrs={
            "instrument": about.get("Model", ""),
            "serial_number": about.get("SN", ""),
            "software_version": about.get("Software Version", ""),
            "instrument_timezone": about.get("Timezone", ""),
        },
        step=f"read_li7810({Path(path).name})",
        sources=[path],
    )


def read_lgr(
    path: str | os.PathLike[str], *, timezone: str, day_first: bool | None = None
) -> xr.Dataset:
    """Read a Los Gatos Research / ABB file (UGGA, MGGA, GLA-132 and kin).

    Comma-separated ``.txt``: one line on the instrument (``VC:... BD:... SN:...``),
    the column names, samples, and at the end an encrypted block of settings, which
    is skipped. Dry mole fractions are taken where the file has them.

    Parameters
    ----------
    path : path
        The file; may be the ``.zip`` the analyser writes.
    timezone : str
        Zone the analyser's clock was set to: the file does not say.
    day_first : bool, optional
        Whether dates are day/month/year; by default found out or refused, see
        `tilth.chambers.readers.clock.parse_dates`.

    Returns
    -------
    xarray.Dataset
        A record. ``GasP_torr`` and ``GasT_C`` are those of the optical cell and
        ``AmbT_C`` that inside the instrument: none is the chamber's. Samples whose
        ``Fit_Flag`` is not 3 are flagged ``instrument_diagnostic``.

    Raises
    ------
    InputError
        If it is another kind of file, holds no sample, or the order of day and
        month cannot be known.

    References
    ----------
    ABB, user manual LGR-ICOS GLA351 series, "Standard data file".
    """
    lines = read_lines(path)
    start = next(
        (i for i, line in enumerate(lines[:20]) if re.search(r"\[\w+\]d?_ppm", line)),
        None,
    )
    if start is None:
        raise refuse(path, "a Los Gatos (ABB) .txt file (no column such as [CO2]_ppm)")
    columns = [name.strip() for name in lines[start].split(",")]
    end = next(
        (i for i, line in enumerate(lines) if line.startswith("-----BEGIN PGP")),
        len(lines),
    )
    known = _present(_LGR, columns)
    # Some firmware names the column SysTime.
    time = "Time" if "Time" in columns or "SysTime" not in columns else "SysTime"
    frame, bad_rows, bad = parse_fields(
        [line for line in lines[start + 1 : end] if line.strip()],
        columns,
        [time, *known],
        separator=",",
        text=[time],
    )
    _require_samples(path, frame)
    clock = parse_dates(
        list(frame[time]), day_first=day_first, file_name=Path(path).name
    )
    timed = np.asarray(clock.notna())
    frame, bad, bad_rows = frame[timed], bad[timed], bad_rows + int((~timed).sum())
    _require_samples(path, frame)
    flags = _diagnostic(frame, "Fit_Flag", 3)
    return make_record(
        to_utc(clock[timed], timezone),
        {v: Series(frame[c], u, b) for c, (v, u, b) in known.items()},
        instrument_time=clock[timed],
        flags={"bad_value": bad, **flags},
        bad_rows=bad_rows,
        attrs={
            "instrument": "Los Gatos Research / ABB",
            "serial_number": _after(r"SN:(\S+)", lines[0]),
            "software_version": _after(r"VC:(\S+)", lines[0]),
            "instrument_timezone": timezone,
        },
        step=f"read_lgr({Path(path).name}, timezone={timezone})",
        sources=[path],
    )


def read_picarro(
    path: str | os.PathLike[str], *, timezone: str | None = None
) -> xr.Dataset:
    """Read a Picarro ``.dat`` table (G2301, G2508, G4301 and kin).

    Columns separated by white space, with their names in the first line. UTC comes
    from ``EPOCH_TIME``; ``DATE`` and ``TIME`` follow the analyser's own setting and
    are kept as ``instrument_time``.

    Parameters
    ----------
    path : path
        The file; may be gzip-compressed.
    timezone : str, optional
        Zone of ``DATE`` and ``TIME``, needed only where ``EPOCH_TIME`` is absent.

    Returns
    -------
    xarray.Dataset
        A record. The analyser measures its gases in turn and repeats each value
        until the next: the number of rows is not the number of measurements.

    Raises
    ------
    InputError
        If it is another kind of file, holds no sample or none of the gases. An
        isotope analyser's 12CO2 is not CO2: map its columns with `read_table`.
    """
    lines = read_lines(path)
    columns = lines[0].split() if lines else []
    if columns[:2] != ["DATE", "TIME"]:
        raise refuse(path, "a Picarro .dat table (no DATE TIME ... header)")
    known = _present(_PICARRO, columns)
    has_epoch = "EPOCH_TIME" in columns
    frame, bad_rows, bad = parse_fields(
        [line for line in lines[1:] if line.strip()],
        columns,
        ["DATE", "TIME", *(["EPOCH_TIME"] if has_epoch else []), *known],
        separator=" ",
        text=["DATE", "TIME"],
    )
    clock = pd.DatetimeIndex(
        pd.to_datetime(
            frame["DATE"].astype("str") + " " + frame["TIME"].astype("str"),
            format="ISO8601",
            errors="coerce",
        )
    )
    timed = np.asarray((frame["EPOCH_TIME"] if has_epoch else clock).notna())
    frame, bad, clock = frame[timed], bad[timed], clock[timed]
    bad_rows += int((~timed).sum())
    _require_samples(path, frame)
    utc = _epoch(frame["EPOCH_TIME"]) if has_epoch else to_utc(clock, timezone)
    return make_record(
        utc,
        {v: Series(frame[c], u, b) for c, (v, u, b) in known.items()},
        instrument_time=clock,
        flags={"bad_value": bad, **_diagnostic(frame, "ALARM_STATUS", 0)},
        bad_rows=bad_rows,
        attrs={"instrument": "Picarro"},
        step=f"read_picarro({Path(path).name})",
        sources=[path],
    )


def _present(known: _Columns, columns: Sequence[str]) -> _Columns:
    """Return the known columns the file has, the first of each variable."""
    chosen: dict[str, tuple[str, str, str | None]] = {}
    for column, meaning in known.items():
        taken = {variable for variable, _, _ in chosen.values()}
        if column in columns and meaning[0] not in taken:
            chosen[column] = meaning
    return chosen


def _diagnostic(frame: pd.DataFrame, column: str, good: int) -> dict[str, np.ndarray]:
    """Return the flag of samples for which the instrument reports trouble."""
    if column not in frame:
        return {}
    return {"instrument_diagnostic": (frame[column] != good).to_numpy()}


def _epoch(seconds: pd.Series, nanoseconds: pd.Series | None = None) -> np.ndarray:
    """Convert Unix seconds to datetime64, whole and fraction apart to stay exact."""
    numbers = seconds.to_numpy(float)
    whole = np.floor(numbers)
    # A float holds today's Unix time to 0.2 us: more digits would be noise.
    rest = np.round((numbers - whole) * 1e6) * 1e3
    if nanoseconds is not None:
        rest = nanoseconds.to_numpy(float)
    total = whole.astype("int64") * 1_000_000_000 + rest.astype("int64")
    return total.astype("datetime64[ns]")


def _after(pattern: str, line: str) -> str:
    """Return what a pattern captures in a line, or nothing."""
    match = re.search(pattern, line)
    return match.group(1) if match else ""


def _require_samples(path: str | os.PathLike[str], frame: pd.DataFrame) -> None:
    """Raise unless at least one sample was read."""
    if frame.empty:
        raise refuse(path, "readable: it has the right header, but no sound sample")
