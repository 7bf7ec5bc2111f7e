"""The step of a time axis, for what needs an equal one."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError


def step_seconds(time: xr.DataArray) -> float:
    """Return the step of a time axis, refused where there is not one.

    Parameters
    ----------
    time : xarray.DataArray, shape (time,)
        Dates, of NumPy or of a model's calendar.

    Returns
    -------
    float
        In s.

    Raises
    ------
    InputError
        If there are fewer than two times, or their steps differ.
    """
    steps = np.diff(time.values)
    if not steps.size:
        raise InputError("a series needs more than one time")
    if not (steps == steps[0]).all():
        odd = int(np.flatnonzero(steps != steps[0])[0])
        raise InputError(
            f"times must lie at equal steps; after {time.values[odd]} the step "
            "changes: fill the gap with NaN (xarray's reindex or resample)"
        )
    if isinstance(steps[0], np.timedelta64):
        return float(steps[0] / np.timedelta64(1, "s"))
    return float(steps[0].total_seconds())
