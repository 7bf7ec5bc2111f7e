"""What the readers of station tables share: times of intervals, ALMA variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.land.model.forcing import VARIABLES


def table_times(ends: np.ndarray, step: np.timedelta64, name: str) -> np.ndarray:
    """Return the beginnings of intervals from their ends, if none is missing.

    Parameters
    ----------
    ends : array of datetime64
        As a table has them.
    step : timedelta64
        Between two rows.
    name : str
        Of the file, for the message.

    Returns
    -------
    array of datetime64

    Raises
    ------
    InputError
        If a row is missing or comes twice.
    """
    wrong = np.flatnonzero(np.diff(ends) != step)
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"{name}: {ends[i]} is followed by {ends[i + 1]}, not by the next step of "
            f"{step}; {wrong.size} such places: fill the gaps first"
        )
    return (ends - step).astype("datetime64[ns]")


def alma(
    time: np.ndarray,
    columns: Mapping[str, np.ndarray],
    *,
    latitude: float,
    longitude: float,
) -> xr.Dataset:
    """Return a forcing dataset of one site from columns in the model's units.

    Parameters
    ----------
    time : array of datetime64
        Beginnings of the steps, UTC.
    columns : mapping of str to array
        By ALMA name.
    latitude, longitude : float
        In degrees.

    Returns
    -------
    xarray.Dataset
        With units and standard names.
    """
    variables = {
        name: (
            "time",
            np.asarray(values, float),
            {"units": VARIABLES[name][0], "standard_name": VARIABLES[name][3]},
        )
        for name, values in columns.items()
    }
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", time, {"long_name": "beginning of the step, UTC"}),
            "lat": ((), latitude, {"units": "degrees_north"}),
            "lon": ((), longitude, {"units": "degrees_east"}),
        },
    )
