"""PP Systems soil CO2 analysers: EGM-4 .dat and EGM-5 .txt records."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.clock import to_utc
from tilth.chambers.readers.records import Series, make_record
from tilth.chambers.readers.textfile import parse_fields, read_lines, recognise, refuse
from tilth.core.errors import InputError

#: Probes that report seconds since closing in input E: SRC-1 and CPY chambers
#: (EGM-4 operator's manual 4.19, "Probe types").
_CHAMBER_PROBES = (8, 11, 12)

#: Fields of an EGM-5 record in their order; format M1 ends after the error, M3 after
#: the soil moisture, M5 after the process values (EGM-5 manual 1.04, p. 93-95).
_EGM5 = [
    "tag",
    "date",
    "time",
    "plot",
    "record",
    "co2",
    "pressure",
    "flow",
    "h2o",
    "h2o_temperature",
    "o2",
    "error",
    "aux",
    "par",
    "soil_temperature",
    "temperature",
    "soil_moisture",
    "change",
    "elapsed",
]
_EGM5_LENGTH = {"1": 12, "3": 17, "5": 19}


def read_egm(
    path: str | os.PathLike[str], *, timezone: str, year: int | None = None
) -> xr.Dataset:
    r"""Read a PP Systems EGM-4 ``.dat`` or EGM-5 ``.txt`` file.

    The EGM-4 writes day, month, hour and minute only. Where a closed chamber was
    attached it also writes whole seconds since closing: the closing time then lies in
    the intersection of what the samples of a closure allow,

    .. math:: \max_i (m_i - e_i) \le t_0 < \min_i (m_i + 60 - e_i) ,

    with :math:`m_i` the minute stamps and :math:`e_i` the elapsed seconds; its middle
    is taken, and the largest half-width is the attribute ``clock_uncertainty``.
    Without seconds the stamps stay on the minute.

    Parameters
    ----------
    path : path
        The file. EGM-5 results (``R`` records) repeat the last sample and are left
        out; formats M2 and M4 carry no time and are refused.
    timezone : str
        Zone of the analyser's clock: the file does not say.
    year : int, optional
        Year of the first EGM-4 record: the file does not say.

    Returns
    -------
    xarray.Dataset
        A record with the label ``plot`` and ``chamber_closure``, the running number
        of the closure the instrument reports (0: none). CO2 is wet. Water vapour is
        there only if the sensor was fitted (not all zero).

    Raises
    ------
    InputError
        If it is another kind of file, holds no sample, or the year is missing.

    References
    ----------
    PP Systems, EGM-4 operator's manual 4.19; EGM-5 operation manual 1.04.
    """
    kind = recognise(path).name
    if kind == "egm4":
        if year is None:
            raise InputError(
                f"{Path(path).name}: the EGM-4 does not write the year; state that of "
                "the first record, for example year=2024"
            )
        return _read_egm4(path, timezone, year)
    if kind == "egm5":
        return _read_egm5(path, timezone)
    raise refuse(path, "a PP Systems EGM-4 or EGM-5 file")


def _read_egm4(path: str | os.PathLike[str], timezone: str, year: int) -> xr.Dataset:
    """Read the tab- or comma-separated file of the EGM-4 transfer software."""
    lines = read_lines(path)
    header = next((x for x in lines if re.match(r";?Plot[\t,;]\s*RecNo", x)), None)
    if header is None:
        raise refuse(
            path, "a complete EGM-4 file (its ;Plot RecNo ... line is missing)"
        )
    separator = "\t" if "\t" in header else header.lstrip(";")[4]
    columns = [name.strip() for name in header.lstrip(";").split(separator)]
    data = [x for x in lines if x.strip() and x[0] != ";" and x != header]
    decimal = (
        "," if separator != "," and any("," in line for line in data[:20]) else "."
    )
    when = ["Day", "Month", "Hour", "Min"]
    measured = ["CO2 Ref", "mb Ref", "mbR Temp", "ATMP", "Probe Type", "Input E"]
    frame, bad_rows, bad = parse_fields(
        data,
        columns,
        ["Plot", "RecNo", *when, *measured],
        separator=separator,
        text=["Plot", "RecNo"],
        decimal=decimal,
    )
    # Without the year, December followed by an earlier month is a new one.
    years = (
        year + ((frame["Month"].diff() < 0) & (frame["Month"].shift() == 12)).cumsum()
    )
    stamps = pd.DatetimeIndex(
        pd.to_datetime(
            {
                "year": years,
                "month": frame["Month"],
                "day": frame["Day"],
                "hour": frame["Hour"],
                "minute": frame["Min"],
            },
            errors="coerce",
        )
    ).as_unit("ns")
    timed = np.asarray(stamps.notna())
    frame, bad, stamps = frame[timed].reset_index(drop=True), bad[timed], stamps[timed]
    bad_rows += int((~timed).sum())
    if frame.empty:
        raise refuse(path, "readable: it has no sound record")
    chamber = frame["Probe Type"].isin(_CHAMBER_PROBES) & frame["Input E"].notna()
    elapsed = frame["Input E"].where(chamber)
    opened = (elapsed.diff() < 0) | (frame["Plot"] != frame["Plot"].shift())
    number = ((chamber & opened).cumsum() * chamber).to_numpy()
    clock, uncertainty = _seconds_from_elapsed(stamps, elapsed.to_numpy(), number)
    variables = {
        "co2": Series(frame["CO2 Ref"], "ppm", "wet"),
        "pressure": Series(frame["ATMP"], "hPa"),
        "sensor_temperature": Series(frame["mbR Temp"], "degC"),
        "chamber_closure": Series(number, "1"),
    }
    if (frame["mb Ref"] > 0).any():
        vapour = frame["mb Ref"] / frame["ATMP"]
        variables["h2o"] = Series(vapour, "mol mol-1")
    return make_record(
        to_utc(clock, timezone),
        variables,
        instrument_time=stamps,
        labels={"plot": list(frame["Plot"]), "record_number": list(frame["RecNo"])},
        flags={"bad_value": bad},
        bad_rows=bad_rows,
        attrs={
            "instrument": "PP Systems EGM-4",
            "instrument_timezone": timezone,
            "clock_uncertainty": uncertainty,
            "clock_uncertainty_units": "s",
        },
        step=f"read_egm({Path(path).name}, timezone={timezone}, year={year})",
        sources=[path],
    )


def _seconds_from_elapsed(
    stamps: pd.DatetimeIndex, elapsed: np.ndarray, number: np.ndarray
) -> tuple[pd.DatetimeIndex, float]:
    """Sharpen minute stamps with the seconds since closing; return the error too."""
    minute = stamps.asi8 / 1e9
    sharp = minute.copy()
    half_width = 30.0 if (number == 0).any() else 0.0
    for i in np.unique(number[number > 0]):
        rows = number == i
        low = np.max(minute[rows] - elapsed[rows])
        high = np.min(minute[rows] + 60.0 - elapsed[rows])
        if high <= low:  # the clock was set during the closure: keep the minutes
            half_width = max(half_width, 30.0)
            continue
        sharp[rows] = (low + high) / 2.0 + elapsed[rows]
        half_width = max(half_width, (high - low) / 2.0)
    return pd.DatetimeIndex(np.round(sharp * 1e3).astype("datetime64[ms]")), half_width


def _read_egm5(path: str | os.PathLike[str], timezone: str) -> xr.Dataset:
    """Read the comma-separated records of the EGM-5."""
    lines = [line.strip() for line in read_lines(path)]
    samples = [line for line in lines if re.match(r"M\d,", line)]
    formats = {line[1] for line in samples}
    if formats & {"2", "4"}:
        raise InputError(
            f"{Path(path).name} was logged in format M{min(formats & {'2', '4'})}, "
            "which carries no date: choose format M1, M3 or M5 on the EGM-5"
        )
    if not formats:
        raise refuse(path, "readable: it has no M1, M3 or M5 record")
    length = _EGM5_LENGTH[min(formats & set(_EGM5_LENGTH), default="1")]
    # The lines "Start" and "End" around the samples mark the closures.
    number, running, closed = [], 0, False
    kept = []
    for line in lines:
        if line.startswith("Start"):
            running, closed = running + 1, True
        elif line.startswith(("End", "Zero")):
            closed = False
        elif line[:1] == "M" and line.count(",") >= length - 1:
            kept.append(",".join(line.split(",")[:length]))
            number.append(running if closed else 0)
    frame, _, bad = parse_fields(
        kept,
        _EGM5[:length],
        [
            "date",
            "time",
            "plot",
            "record",
            "co2",
            "pressure",
            "h2o",
            *_EGM5[13 : min(length, 17)],
        ],
        separator=",",
        text=["date", "time", "plot", "record"],
    )
    clock = pd.DatetimeIndex(
        pd.to_datetime(
            frame["date"] + " " + frame["time"],
            format="%d/%m/%y %H:%M:%S",  # stated in the manual: no ambiguity
            errors="coerce",
        )
    )
    timed = np.asarray(clock.notna())
    frame, bad, clock = frame[timed], bad[timed], clock[timed]
    if frame.empty:
        raise refuse(path, "readable: it has no sound record")
    variables = {
        "co2": Series(frame["co2"], "ppm", "wet"),
        "pressure": Series(frame["pressure"], "hPa"),
        "chamber_closure": Series(np.asarray(number)[timed], "1"),
    }
    if (frame["h2o"] > 0).any():
        variables["h2o"] = Series(frame["h2o"] / frame["pressure"], "mol mol-1")
    for name, units in (
        ("par", "umol m-2 s-1"),
        ("soil_temperature", "degC"),
        ("temperature", "degC"),
        ("soil_moisture", "%"),
    ):
        if name in frame:
            variables[name] = Series(frame[name], units)
    return make_record(
        to_utc(clock, timezone),
        variables,
        instrument_time=clock,
        labels={
            "plot": list(frame["plot"].str.strip()),
            "record_number": list(frame["record"].str.strip()),
        },
        flags={"bad_value": bad},
        bad_rows=len(samples) - len(frame),
        attrs={"instrument": "PP Systems EGM-5", "instrument_timezone": timezone},
        step=f"read_egm({Path(path).name}, timezone={timezone})",
        sources=[path],
    )
