"""The record of a split: what was learnt from goes with every result."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

#: Attribute of every result: the times that were learnt from.
ATTRIBUTE = "training_periods"


def training_periods(time: xr.DataArray) -> str:
    """Return the times as text: ``first/last`` of every stretch without a gap.

    Parameters
    ----------
    time : xarray.DataArray
        One-dimensional, in any order, of any CF calendar.

    Returns
    -------
    str
        Such as ``"1982-12-01T00:00:00/1983-02-28T00:00:00 ..."``.
    """
    values = np.asarray(time.values)
    if values.size > 1 and not (values[1:] >= values[:-1]).all():
        values = np.sort(values)
    if values.size < 2:
        gap = np.zeros(0, bool)
    else:
        steps = np.diff(values)
        if steps.dtype.kind == "m":
            seconds = steps / np.timedelta64(1, "s")
        else:
            seconds = np.array([step.total_seconds() for step in steps])
        # A step half as long again as the usual one is a gap.
        gap = seconds > 1.5 * np.sort(seconds)[seconds.size // 2]
    ends = np.flatnonzero(np.append(gap, True)) if values.size else np.zeros(0, int)
    begins = np.append(0, ends[:-1] + 1)[: ends.size]
    first, last = (
        time_stamps(xr.DataArray(values[at], dims="time")) for at in (begins, ends)
    )
    return " ".join(f"{a}/{b}" for a, b in zip(first, last, strict=True))


def trained_on(record: str, time: xr.DataArray) -> xr.DataArray:
    """Return which times lie in a record of what was learnt from.

    Parameters
    ----------
    record : str
        Of `training_periods`; also of whole years or months, such as
        ``"1981/2010"``, whose last one belongs to it.
    time : xarray.DataArray
        Of any shape and CF calendar.

    Returns
    -------
    xarray.DataArray of bool
        Like `time`. Days are compared, so that labels at noon and at midnight are
        the same day; a missing time was not learnt from.

    Raises
    ------
    InputError
        If the record is not of this kind.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> days = np.array(["1980-12-31", "2010-12-31T12"], "datetime64[ns]")
    >>> trained_on("1981/2010", xr.DataArray(days, dims="time")).values
    array([False,  True])
    """
    days = time_stamps(time).astype("U10")
    seen = np.zeros(days.shape, bool)
    for stretch in record.split():
        first, slash, last = (part[:10] for part in stretch.partition("/"))
        if not (slash and first[:4].isdigit() and last[:4].isdigit()):
            raise InputError(
                f"{ATTRIBUTE} should be stretches first/last with a space between "
                f"them, got {stretch!r}"
            )
        # "2010-12-31" is after "2010": compared by as many letters as there are.
        seen |= (days >= first) & (days.astype(f"U{len(last)}") <= last)
    return time.copy(data=seen & time.notnull().values).drop_attrs()


def check_not_trained_on(result: Any, time: xr.DataArray | None = None) -> None:
    """Raise if times to be scored were among those that were learnt from.

    Parameters
    ----------
    result : xarray.DataArray or xarray.Dataset
        Of a method that was trained; its attributes say when, also after writing to
        a file and reading it again.
    time : xarray.DataArray, optional
        Times to be scored; by default those of `result`.

    Raises
    ------
    InputError
        If the record is missing, or a time lies in it (see `trained_on`).
    """
    record = result.attrs.get(ATTRIBUTE)
    if not record:
        raise InputError(
            f"the result does not say what it was trained on: it has no attribute "
            f"{ATTRIBUTE!r}; was it lost in arithmetic? (xarray.set_options("
            "keep_attrs=True))"
        )
    times = result.time if time is None else time
    seen = trained_on(record, times).values
    if seen.any():
        first = np.sort(time_stamps(times)[seen])[0][:10]
        raise InputError(
            f"{seen.sum()} of {seen.size} times were learnt from, the first is "
            f"{first}: a score on them says nothing about others; score outside of "
            f"{record}"
        )


def days_learnt_from(record: str, time: xr.DataArray) -> np.ndarray:
    """Tell which times lie on days of a record.

    Parameters
    ----------
    record : str
        As `training_periods` returns it.
    time : xarray.DataArray
        One-dimensional, of any CF calendar.

    Returns
    -------
    numpy.ndarray of bool
        One per time.
    """
    days = np.array([stamp[:10] for stamp in time_stamps(time)], str)
    seen = np.zeros(days.size, bool)
    for stretch in record.split():
        first, last = (stamp[:10] for stamp in stretch.split("/"))
        seen |= (days >= first) & (days <= last)
    return seen


def time_stamps(time: xr.DataArray) -> np.ndarray:
    """Return times as ISO text of one length, which sorts as they do.

    Parameters
    ----------
    time : xarray.DataArray
        Of any CF calendar.

    Returns
    -------
    numpy.ndarray of str
        Such as ``"1982-12-01T00:00:00"``; of the shape of `time`.
    """
    values = np.asarray(time.values)
    if values.dtype.kind == "M":
        return np.datetime_as_string(values, unit="s")
    stamps = [stamp.strftime("%Y-%m-%dT%H:%M:%S") for stamp in values.flat]
    return np.array(stamps, str).reshape(values.shape)
