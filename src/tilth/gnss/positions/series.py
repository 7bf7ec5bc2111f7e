"""Positions of one station in time: the layout that every reader gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables

#: Components of a position, in the order of everything in this package.
COMPONENTS = ("east", "north", "up")

#: Pairs of components whose errors' correlation a file may give.
CORRELATIONS = ("east_north", "east_up", "north_up")

#: Reasons why a row is not used; appended to, never inserted.
POSITION_FLAGS = FlagTable(
    {
        "no_position": "a component or its standard error is not a number",
        "out_of_range": "the file's mark for a number that does not fit in its column",
        "repeated_epoch": "another row of the same epoch is used",
        "other_meridian": "easting counted from another meridian than the first row's",
    }
)

#: Magnitudes from which the files of the Nevada Geodetic Laboratory mean "does not
#: fit": 99.999999 m of a position and 9.999999 m of a standard error (its tenv notes).
POSITION_LIMIT, ERROR_LIMIT = 99.9, 9.9

#: J2000.0, from which decimal years are counted in years of 365.25 days.
_J2000 = np.datetime64("2000-01-01T12:00:00", "ns")
DAYS_PER_YEAR = 365.25

#: Modified Julian date 0.
_MJD_ZERO = np.datetime64("1858-11-17T00:00:00", "ns")


def decimal_year(time: npt.ArrayLike) -> np.ndarray:
    """Return times as years of 365.25 days, 2000.0 at noon of 1 January 2000.

    This is how the Nevada Geodetic Laboratory counts: the day with the modified
    Julian date M has 2000 + (M - 51544) / 365.25, meant for its noon.

    Parameters
    ----------
    time : array_like of datetime64
        UTC or GPS time.

    Returns
    -------
    numpy.ndarray
        Years.

    Examples
    --------
    >>> print(decimal_year(np.datetime64("1995-05-19T12:00")).round(4))
    1995.3785
    """
    seconds = (np.asarray(time, "datetime64[ns]") - _J2000) / np.timedelta64(1, "s")
    return 2000.0 + seconds / (SECONDS_PER_DAY * DAYS_PER_YEAR)


def mjd_to_time(mjd: npt.ArrayLike) -> np.ndarray:
    """Return modified Julian dates as datetime64, exact to a microsecond.

    Parameters
    ----------
    mjd : array_like
        Days since 1858-11-17.

    Returns
    -------
    numpy.ndarray of datetime64[ns]
        The times.
    """
    microseconds = np.rint(np.asarray(mjd, float) * SECONDS_PER_DAY * 1e6)
    return _MJD_ZERO + microseconds.astype("timedelta64[us]")


def position_series(
    time: npt.ArrayLike,
    position: npt.ArrayLike,
    standard_error: npt.ArrayLike,
    *,
    correlation: npt.ArrayLike | None = None,
    year: npt.ArrayLike | None = None,
    antenna_height: npt.ArrayLike | None = None,
    rejected: Mapping[str, np.ndarray] | None = None,
    preference: npt.ArrayLike | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.Dataset:
    """Put positions of a station into the layout of this package.

    Rows are sorted by time. All stay: those that must not be used say why in
    ``quality_flag``, and `usable` gives the others. Of rows with the same epoch the
    one with the highest preference is used, of equal ones the last: what is appended
    to a file replaces what was there.

    Parameters
    ----------
    time : array_like of datetime64, shape (time)
        Epochs; daily positions at noon.
    position : array_like, shape (time, 3)
        East, north and up, m, relative to one place.
    standard_error : array_like, shape (time, 3)
        Of the same, m.
    correlation : array_like, shape (time, 3), optional
        Of the errors of east and north, east and up, north and up; 1.
    year : array_like, shape (time), optional
        Decimal years as a file prints them; by default those of `time`.
    antenna_height : array_like, shape (time), optional
        Of the antenna above the mark as in the observations' header, m: a change
        tells that equipment was changed.
    rejected : mapping of str to array of bool, shape (time)
        Further words of `POSITION_FLAGS` to where they hold.
    preference : array_like of int, shape (time), optional
        Which of repeated epochs is better; all alike by default.
    attrs : mapping, optional
        Attributes such as ``station`` and ``frame``.

    Returns
    -------
    xarray.Dataset
        Along ``time``: ``east``, ``north``, ``up``, ``east_se``, ``north_se``,
        ``up_se``, ``correlation_east_north``, ``correlation_east_up``,
        ``correlation_north_up``, ``antenna_height`` (if given) and ``quality_flag``;
        ``decimal_year`` as a coordinate.

    Raises
    ------
    InputError
        If there is no row that can be used, or shapes do not fit.
    """
    when = np.atleast_1d(np.asarray(time, "datetime64[ns]"))
    place, error = np.asarray(position, float), np.asarray(standard_error, float)
    n = when.size
    for name, array in (("position", place), ("standard_error", error)):
        if array.shape != (n, 3):
            raise InputError(
                f"{name} has the shape {array.shape}: {n} times need ({n}, 3), "
                "columns east, north, up"
            )
    order = np.argsort(when, kind="stable")
    if preference is not None:
        order = np.lexsort((np.asarray(preference), when))
    reasons = {key: np.asarray(where)[order] for key, where in (rejected or {}).items()}
    when, place, error = when[order], place[order], error[order]
    finite = np.isfinite(place) & np.isfinite(error) & (error >= 0)
    reasons["no_position"] = ~finite.all(axis=1)
    bad = POSITION_FLAGS.variable(reasons, (n,)) != 0
    reasons["repeated_epoch"] = _repeated(when, bad)
    flag = POSITION_FLAGS.variable(reasons, (n,))
    if not (flag == 0).any():
        raise InputError(
            f"none of {n} rows can be used; reasons: "
            + ", ".join(f"{k} {int(v.sum())}" for k, v in reasons.items() if v.any())
        )
    data: dict[str, tuple[str, np.ndarray, Mapping[str, object]]] = {}
    for i, name in enumerate(COMPONENTS):
        about = {"units": "m", "long_name": f"{name} component of the position"}
        data[name] = ("time", place[:, i], {**about})
        about["long_name"] = f"standard error of the {name} component"
        data[f"{name}_se"] = ("time", error[:, i], {**about})
    if correlation is not None:
        values = np.asarray(correlation, float)[order]
        for i, name in enumerate(CORRELATIONS):
            data[f"correlation_{name}"] = ("time", values[:, i], {"units": "1"})
    if antenna_height is not None:
        heights = np.asarray(antenna_height, float)[order]
        about = {"units": "m", "long_name": "height of the antenna above the mark"}
        data["antenna_height"] = ("time", heights, about)
    data["quality_flag"] = ("time", flag, POSITION_FLAGS.attrs())
    printed = decimal_year(when) if year is None else np.asarray(year, float)[order]
    years = ("time", printed, {"long_name": "year of 365.25 days"})
    return xr.Dataset(data, {"time": when, "decimal_year": years}, attrs=attrs)


def _repeated(when: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return which good rows are followed by a good row of the same epoch."""
    repeated = np.zeros(when.size, bool)
    good = np.flatnonzero(~bad)
    repeated[good[:-1]] = when[good[:-1]] == when[good[1:]]
    return repeated


def usable(positions: xr.Dataset) -> xr.Dataset:
    """Return the rows that no flag rejects, in strictly increasing time.

    Parameters
    ----------
    positions : xarray.Dataset
        As of `position_series`; without ``quality_flag`` all rows count as good.

    Returns
    -------
    xarray.Dataset
        The same without the rejected rows.

    Raises
    ------
    InputError
        If a component is missing, no row is left or times do not increase.
    """
    require_variables(positions, ("time", *COMPONENTS), "a series of positions")
    if "quality_flag" in positions:
        positions = positions.isel(time=(positions["quality_flag"] == 0).values)
    if not positions.sizes["time"]:
        raise InputError("no usable position is left: see quality_flag for the reasons")
    if not pd.Index(positions["time"]).is_monotonic_increasing:
        raise InputError("positions are not in the order of time: sortby('time') first")
    if not pd.Index(positions["time"]).is_unique:
        raise InputError("two usable positions have the same time: flag one of them")
    return positions
