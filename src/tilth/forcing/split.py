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
    time = time.sortby(time)
    stamps = time_stamps(time)
    if stamps.size < 2:
        return " ".join(f"{stamp}/{stamp}" for stamp in stamps)
    steps = np.diff(time.values)
    # A step half as long again as the usual one is a gap.
    gap = np.asarray(steps > 1.5 * np.sort(steps)[steps.size // 2], bool)
    ends = np.flatnonzero(np.append(gap, True))
    begins = np.append(0, ends[:-1] + 1)
    return " ".join(
        f"{stamps[a]}/{stamps[b]}" for a, b in zip(begins, ends, strict=True)
    )


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
        If the record is missing, or a time lies in it. Days are compared, so that
        labels at noon and at midnight are the same day.
    """
    record = result.attrs.get(ATTRIBUTE)
    if not record:
        raise InputError(
            f"the result does not say what it was trained on: it has no attribute "
            f"{ATTRIBUTE!r}; was it lost in arithmetic? (xarray.set_options("
            "keep_attrs=True))"
        )
    days = np.array(
        [stamp[:10] for stamp in time_stamps(result.time if time is None else time)]
    )
    seen = np.zeros(days.size, bool)
    for stretch in record.split():
        first, last = (stamp[:10] for stamp in stretch.split("/"))
        seen |= (days >= first) & (days <= last)
    if seen.any():
        raise InputError(
            f"{seen.sum()} of {days.size} times were learnt from, the first is "
            f"{days[seen][0]}: a score on them says nothing about others; score "
            f"outside of {record}"
        )


def time_stamps(time: xr.DataArray) -> np.ndarray:
    """Return times as ISO text of one length, which sorts as they do.

    Parameters
    ----------
    time : xarray.DataArray
        Of any CF calendar.

    Returns
    -------
    numpy.ndarray of str
        Such as ``"1982-12-01T00:00:00"``.
    """
    values = np.asarray(time.values)
    if values.dtype.kind == "M":
        return np.datetime_as_string(values, unit="s")
    return np.array([stamp.strftime("%Y-%m-%dT%H:%M:%S") for stamp in values], str)
