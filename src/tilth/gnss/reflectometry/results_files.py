"""Tables of arcs as files: gnssrefl's results, and rows for people."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import whole_file, write_netcdf
from tilth.core.flags import flag_masks
from tilth.gnss.gps_time import gps_to_utc, leap_seconds
from tilth.gnss.reflectometry.heights import accepted, arc_table
from tilth.gnss.reflectometry.settings import Settings
from tilth.gnss.reflectometry.signals import SIGNALS

#: Columns of a file of results, from the third; then come MJD and refraction.
_RESULTS = (
    "reflector_height", "satellite", "gps_hour", "azimuth", "amplitude",
    "elevation_min", "elevation_max", "observations", "signal", "rise", "edot_factor",
    "peak_to_noise", "duration",
)  # fmt: skip

_HEAD = """\
% station {station}, written by tilth
% (1)  (2)   (3) (4)  (5)     (6)   (7)    (8)    (9)   (10)  (11) (12) (13)    (14)     (15)    (16) (17)
% year, doy, RH, sat,UTCtime, Azim, Amp,  eminO, emaxO,NumbOf,freq,rise,EdotF, PkNoise,  DelT,    MJD, refr
%            m        hrs    deg   v/v    deg    deg  values        set  hrs            min           model
"""  # noqa: E501

#: Modified Julian date of 1970-01-01.
_EPOCH = 40587.0


def read_results(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read the accepted arcs of a day, or of many, from gnssrefl's text.

    Parameters
    ----------
    path : path
        Rows of 17 columns as ``gnssir`` writes them; comments begin with ``%``.

    Returns
    -------
    xarray.Dataset
        As `tilth.gnss.reflectometry.heights.reflector_heights` has it, without what
        the file does not tell: standard errors and Nyquist heights are NaN, and flags
        are zero.

    Raises
    ------
    InputError
        If there is no such file, or it holds something else.
    """
    try:
        table = pd.read_csv(path, sep=r"\s+", comment="%", header=None, dtype=float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds no results of gnssrefl: {error}") from error
    if table.shape[1] < 16 or table.isna().to_numpy().any():
        raise InputError(
            f"{path} has {table.shape[1]} columns, or gaps: rows of results have 17"
        )
    rows = table.to_numpy()
    columns = dict(zip(_RESULTS, rows[:, 2:15].T, strict=True))
    unknown = set(columns["signal"]) - set(SIGNALS)
    if unknown:
        raise InputError(f"{path} has signals that are not known: {sorted(unknown)}")
    years = np.array([f"{int(year)}-01-01" for year in rows[:, 0]], "datetime64[ns]")
    seconds = (rows[:, 1] - 1.0) * 86400.0 + 3600.0 * columns["gps_hour"]
    columns["time"] = gps_to_utc(years + np.rint(1e9 * seconds).astype("m8[ns]"))
    for name in ("satellite", "signal"):
        columns[name] = columns[name].astype("int16")
    columns["rise"] = columns["rise"].astype("int8")
    columns["observations"] = columns["observations"].astype("int32")
    size = len(rows)
    for name in ("reflector_height_se", "nyquist_height"):
        columns[name] = np.full(size, np.nan)
    for name in ("quality_flag", "warning_flag"):
        columns[name] = np.zeros(size, "int32")
    codes = tuple(dict.fromkeys(columns["signal"].tolist()))
    found = arc_table(columns, Path(path).name, Settings(signals=codes))
    # What is not in the file must not be claimed.
    found.attrs = {"source": Path(path).name}
    return found


def write_results(arcs: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write the accepted arcs as gnssrefl's text.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`.
    path : path
        Where; its folder exists.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    kept = accepted(arcs)
    utc = kept["time"].values
    gps = utc + leap_seconds(utc).astype("timedelta64[s]")
    moments = pd.DatetimeIndex(gps)
    mjd = (gps - np.datetime64(0, "s")) / np.timedelta64(1, "D") + _EPOCH
    model = {"none": 0, "bennett": 1, "ulich": 3}[arcs.attrs.get("refraction", "none")]
    columns = [kept[name].values for name in _RESULTS]
    line = (
        "%4d %3d %6.3f %3d %6.3f %6.2f %6.2f %6.2f %6.2f %4d %4d %3d %8.5f %6.2f %7.2f "
        "%12.6f %d\n"
    )
    with whole_file(path) as half, half.open("w", encoding="utf-8") as stream:
        stream.write(_HEAD.format(station=arcs.attrs.get("station", "")))
        days = zip(moments.year, moments.day_of_year, strict=True)
        for day, row, date in zip(days, zip(*columns, strict=True), mjd, strict=True):
            stream.write(line % (*day, *row, date, model))


def arc_rows(arcs: xr.Dataset) -> pd.DataFrame:
    """Return a table of arcs for people: words for flags.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`.

    Returns
    -------
    pandas.DataFrame
        A row per arc; reasons and warnings as words between semicolons.
    """
    rows = arcs.to_dataframe().reset_index(drop=True)
    first = ["time", "satellite", "signal", "signal_name"]
    rows = rows[first + [name for name in rows if name not in first]]
    for name in ("quality_flag", "warning_flag"):
        masks = flag_masks(arcs[name])
        words = {
            value: ";".join(word for word, mask in masks.items() if value & mask)
            for value in np.unique(arcs[name].values)
        }
        rows[name] = rows[name].map(words)
    return rows


def write_arcs(arcs: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a table of arcs in the format that the name asks for.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`.
    path : path
        Ends in ``.nc``, ``.csv`` or ``.parquet`` (all arcs, with their flags), or in
        ``.txt`` (the accepted arcs as gnssrefl's results).

    Raises
    ------
    InputError
        If the ending is another one, or the folder does not exist.
    """
    ending = Path(path).suffix
    if ending == ".nc":
        write_netcdf(arcs, path)
    elif ending == ".txt":
        write_results(arcs, path)
    elif ending in (".csv", ".parquet"):
        rows = arc_rows(arcs)
        with whole_file(path) as half:
            if ending == ".csv":
                rows.to_csv(half, index=False, float_format="%.6g")
            else:
                rows.to_parquet(half, index=False)
    else:
        raise InputError(
            f"cannot write {Path(path).name}: the name ends in .nc, .csv, .parquet or "
            ".txt"
        )
