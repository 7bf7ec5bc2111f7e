"""Scores of one event or not: Brier, and hits against false alarms."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.stats.scores.categories import SUM_TOLERANCE
from tilth.stats.scores.skill import check_members


def brier(
    probability: xr.DataArray, event: xr.DataArray, *, members: int | None = None
) -> xr.DataArray:
    r"""Brier score: squared difference of the probability and what happened.

    .. math:: (p - o)^2

    Parameters
    ----------
    probability : xarray.DataArray
        Forecast probability of the event, 0 to 1.
    event : xarray.DataArray
        1 or True where it happened, 0 or False where not, NaN where nobody knows.
    members : int, optional
        Where the probability is a share of so many members: give the fair score,
        :math:`(p - o)^2 - p (1 - p) / (M - 1)` (Ferro 2014), negative at times.

    Returns
    -------
    xarray.DataArray
        0 is perfect, 1 the worst; NaN where either is missing.

    Raises
    ------
    InputError
        If coordinates differ or there is one member.
    KernelError
        If a probability is outside of 0 to 1 or an event neither 0 nor 1.

    References
    ----------
    Brier (1950), Mon. Weather Rev. 78, 1-3. Ferro (2014), Q. J. R. Meteorol. Soc. 140,
    1917-1923.

    Examples
    --------
    >>> import xarray as xr
    >>> rain = xr.DataArray([0.8, 0.4], dims="day")
    >>> brier(rain, xr.DataArray([1.0, 0.0], dims="day")).round(2).values
    array([0.04, 0.16])
    """
    check_members(members)
    return apply_kernel(
        _brier,
        probability,
        event,
        core_dims=[[], []],
        options={"members": members or 0},
    ).rename("brier")


def _brier(probability: np.ndarray, event: np.ndarray, *, members: int) -> np.ndarray:
    """Kernel of `brier`."""
    p, o = np.asarray(probability, float), np.asarray(event, float)
    outside = (p < -SUM_TOLERANCE) | (p > 1.0 + SUM_TOLERANCE)
    if outside.any():
        raise InputError(
            "a probability is a share between 0 and 1 (not percent), got "
            f"{p[outside][0]:g}"
        )
    neither = np.isfinite(o) & (o != 0.0) & (o != 1.0)
    if neither.any():
        raise InputError(f"an event is 1, 0 or missing, got {o[neither][0]:g}")
    score = (p - o) ** 2
    return score - p * (1.0 - p) / (members - 1) if members else score
