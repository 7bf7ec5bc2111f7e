"""Daily heights and phases as gnssrefl writes them, read as series in time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_increasing, require_variables

_NOON = np.timedelta64(12, "h")


def read_daily_heights(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read daily reflector heights.

    Parameters
    ----------
    path : path
        Text of gnssrefl's ``daily_avg``: year, day of year, height (m), number of
        arcs, month, day, standard deviation (m); more columns are not read. Lines of
        ``%`` are comments. Or NetCDF with ``reflector_height`` along ``time``.

    Returns
    -------
    xarray.Dataset
        Along ``time`` (noon): ``reflector_height`` (m), ``count``,
        ``reflector_height_sd`` (m, of the arcs of a day) and ``reflector_height_se``
        (m, the former over the root of the count).

    Raises
    ------
    InputError
        If there is no such file, it is something else, or days repeat or go back.
    """
    if Path(path).suffix == ".nc":
        from tilth.core.files import read_netcdf

        found = read_netcdf(path, "daily reflector heights")
        require_variables(found, ("reflector_height", "time"), f"{path}")
        return found
    rows = _rows(path, 7, "year, day of year, height, count, month, day, deviation")
    count = rows[:, 3].astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.where(count > 0, rows[:, 6] / np.sqrt(count), np.nan)
    columns = {
        "reflector_height": (rows[:, 2], "m", "height of the antenna's reflector"),
        "reflector_height_sd": (rows[:, 6], "m", "scatter of the arcs of a day"),
        "reflector_height_se": (se, "m", "standard error of the day's height"),
        "count": (count, "1", "arcs of the day"),
    }
    return _series(columns, rows, path)


def read_daily_phases(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read daily phases of reflected signals.

    Parameters
    ----------
    path : path
        Text of gnssrefl's ``vwc``: year, day of year, phase and its standard deviation
        (degrees), normalised amplitude. An unnamed column, month and day follow there
        and are not read.

    Returns
    -------
    xarray.Dataset
        Along ``time`` (noon): ``phase`` and ``phase_sd`` (degree), ``amplitude`` (1).

    Raises
    ------
    InputError
        If there is no such file, it is something else, or days repeat or go back.
    """
    rows = _rows(path, 5, "year, day of year, phase, deviation, amplitude")
    columns = {
        "phase": (rows[:, 2], "degree", "phase, larger when wet"),
        "phase_sd": (rows[:, 3], "degree", "scatter of the phases of a day"),
        "amplitude": (rows[:, 4], "1", "amplitude over that of bare soil"),
    }
    return _series(columns, rows, path)


def _rows(path: str | os.PathLike[str], fewest: int, names: str) -> np.ndarray:
    """Return the numbers of a text, at least so many columns."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
        words = [line.split("%")[0].split() for line in lines]
        rows = np.array([line for line in words if line], float)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: rows of {names} are needed ({error})"
        ) from error
    if rows.ndim != 2 or rows.shape[1] < fewest:
        raise InputError(f"{path} has {rows.shape} numbers: {names} are needed")
    if not np.isfinite(rows[:, :2]).all():
        raise InputError(f"{path} has a row without year or day")
    return rows


def _series(columns: dict, rows: np.ndarray, path: object) -> xr.Dataset:
    """Return columns along time."""
    years = (rows[:, 0].astype(int) - 1970).astype("datetime64[Y]")
    days = years.astype("datetime64[D]") + (rows[:, 1].astype(int) - 1)
    require_increasing(days, f"the day in {path}")
    time = (days + _NOON).astype("datetime64[ns]")
    return xr.Dataset(
        {
            name: ("time", values, {"units": units, "long_name": words})
            for name, (values, units, words) in columns.items()
        },
        {"time": time},
    )
