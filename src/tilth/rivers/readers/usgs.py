"""Daily discharge of a USGS gauge, in m3 s-1, with what its quality codes say."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp

#: Cubic metres in a cubic foot: the international foot is 0.3048 m (exact).
CUBIC_FOOT = 0.3048**3

#: What stands where nothing was measured.
_MISSING = -999.0

#: Meaning of a flag, in the order of its value.
FLAGS = (
    "approved",
    "approved_estimated",
    "provisional",
    "provisional_estimated",
    "missing",
    "negative",
    "no_record",
)

#: Code of the file -> its flag. An estimate (e) bridges ice, backwater or a gauge
#: that failed.
_CODES = {
    "A": "approved",
    "A:e": "approved_estimated",
    "P": "provisional",
    "P:e": "provisional_estimated",
    "M": "missing",
}


def flag_attributes() -> dict[str, object]:
    """Return the CF attributes of ``discharge_flag``.

    Returns
    -------
    dict
        ``long_name``, ``flag_values`` and ``flag_meanings``.
    """
    return {
        "long_name": "quality of discharge",
        "flag_values": np.arange(len(FLAGS), dtype=np.int8),
        "flag_meanings": " ".join(FLAGS),
    }


def read_usgs_daily(
    path: str | os.PathLike[str], *, gauge: str | None = None
) -> xr.Dataset:
    """Read daily mean discharge as the CAMELS-US data set keeps it.

    A row is ``gauge year month day discharge code``, the discharge in cubic feet per
    second: that of the National Water Information System, -999 where there is none.

    Parameters
    ----------
    path : path
        Text, gzip-compressed where it ends in ``.gz``.
    gauge : str, optional
        Number the file must be of, with its leading zeros.

    Returns
    -------
    xarray.Dataset
        Along ``time`` (local day), every day from the first to the last: ``discharge``
        in m3 s-1, NaN where it is missing or negative, and ``discharge_flag`` with
        the meanings `FLAGS`; days without a row have the flag ``no_record``.
        ``gauge`` is a scalar coordinate.

    Raises
    ------
    InputError
        If the file is empty, cut off, not of this kind or of another gauge, days are
        out of order, or a code is unknown.
    """
    rows = [line.split() for line in text_lines(path) if line.strip()]
    if not rows:
        raise InputError(f"{path}: there is not one day in it; fetch the file anew")
    for number, row in enumerate(rows, 1):
        if len(row) != 6:
            raise InputError(
                f"{path}, line {number}: {len(row)} columns, but a day of discharge is "
                "'gauge year month day discharge code' (CAMELS-US, usgs_streamflow); "
                "another format needs its own reader, a short line was cut off"
            )
    found = sorted({row[0] for row in rows})
    if len(found) > 1 or (gauge is not None and found != [gauge]):
        raise InputError(
            f"{path} is of the gauge {', '.join(found)}"
            + (f", not {gauge}" if gauge is not None else "; give one gauge a file")
        )
    time = day_labels([row[1:4] for row in rows], path)
    try:
        feet = np.array([row[4] for row in rows], float)
    except ValueError as error:
        raise InputError(f"{path}: a discharge is no number ({error})") from error
    flag = np.array([_flag_of(row[5], path) for row in rows], np.int8)
    flag[feet == _MISSING] = FLAGS.index("missing")
    flag[(feet < 0.0) & (feet != _MISSING)] = FLAGS.index("negative")
    feet = np.where(feet < 0.0, np.nan, feet) * CUBIC_FOOT
    feet[flag == FLAGS.index("missing")] = np.nan
    series = xr.Dataset(
        {
            "discharge": (
                "time",
                feet,
                {
                    "units": "m3 s-1",
                    "long_name": "river discharge at the gauge",
                    "standard_name": "water_volume_transport_in_river_channel",
                    "cell_methods": "time: mean",
                },
            ),
            "discharge_flag": ("time", flag),
        },
        coords={"time": time, "gauge": found[0]},
    )
    return stamp(fill_days(series), f"read the gauge {found[0]}", [path])


def fill_days(
    series: xr.Dataset,
    first: np.datetime64 | None = None,
    last: np.datetime64 | None = None,
) -> xr.Dataset:
    """Return discharge on every day of a period, flagged where there is no record.

    Parameters
    ----------
    series : xarray.Dataset
        With ``discharge`` and ``discharge_flag`` along ``time``.
    first, last : datetime64, optional
        Days; by default those of the series.

    Returns
    -------
    xarray.Dataset
        The same variables along every day from the first to the last.
    """
    time = series["time"].values
    begin = time[0] if first is None else first
    end = time[-1] if last is None else last
    days = np.arange(begin, end + np.timedelta64(1, "D"), np.timedelta64(1, "D"))
    whole = series.reindex(
        time=days.astype("datetime64[ns]"),
        fill_value={
            "discharge": np.nan,
            "discharge_flag": np.int8(FLAGS.index("no_record")),
        },
    )
    whole["discharge_flag"].attrs = flag_attributes()
    return whole


def text_lines(path: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a text file, whether compressed or not.

    Parameters
    ----------
    path : path
        Compressed by gzip where it ends in ``.gz``.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If it cannot be read: absent, cut off, or not text.
    """
    where = Path(path)
    try:
        if where.suffix == ".gz":
            with gzip.open(where, "rt", encoding="utf-8") as stream:
                return stream.read().splitlines()
        return where.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"there is no file {where}") from None
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise InputError(
            f"{where} cannot be read as text ({error}): it was cut off or is of "
            "another kind; fetch it anew"
        ) from error


def day_labels(dates: list[list[str]], path: str | os.PathLike[str]) -> np.ndarray:
    """Return days from columns year, month and day, which must follow in order.

    Parameters
    ----------
    dates : list of list of str
        Year, month and day of each row.
    path : path
        Of the file, for the message.

    Returns
    -------
    array of datetime64[ns]

    Raises
    ------
    InputError
        If a date is none, or a day comes twice or too late.
    """
    try:
        days = np.array(
            [f"{y}-{int(m):02d}-{int(d):02d}" for y, m, d in dates], "datetime64[D]"
        )
    except ValueError as error:
        raise InputError(f"{path}: a date that does not exist ({error})") from error
    wrong = np.flatnonzero(np.diff(days) <= np.timedelta64(0, "D"))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"{path}: {days[i + 1]} follows {days[i]}: sort the days and leave out "
            "what is there twice"
        )
    return days.astype("datetime64[ns]")


def _flag_of(code: str, path: str | os.PathLike[str]) -> int:
    """Return the value of the flag of a code."""
    try:
        return FLAGS.index(_CODES[code])
    except KeyError:
        raise InputError(
            f"{path}: the quality code {code!r} is unknown; known are "
            f"{', '.join(_CODES)} (waterdata.usgs.gov, daily-value codes)"
        ) from None
