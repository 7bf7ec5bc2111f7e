"""How often a river rises above a threshold: independent events, not days."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.rivers.floods.steps import step_seconds

#: Days below the threshold that part two floods: the five days of the rule of the U.S.
#: Water Resources Council (1976), to which it adds some for very large catchments
#: (Lang, Ouarda & Bobee 1999, J. Hydrol. 225, 103-117, section 2.1).
SEPARATION_DAYS = 5.0

#: Days of a mean year of the Gregorian calendar.
_YEAR_DAYS = 365.2425


def event_frequency(
    discharge: xr.DataArray,
    threshold: xr.DataArray | float,
    *,
    separation_days: float = SEPARATION_DAYS,
    level: float = 0.90,
) -> xr.Dataset:
    r"""Count the independent events above a threshold, and their rate.

    Days above the threshold belong to one event until it has been undershot for
    `separation_days` (runs declustering). Events of a Poisson process in a time T
    have the rate n / T with the exact interval

    .. math:: \left[\tfrac12 \chi^2_{2n}(\tfrac{1 - p}{2}),\;
              \tfrac12 \chi^2_{2n + 2}(\tfrac{1 + p}{2})\right] / T .

    Parameters
    ----------
    discharge : xarray.DataArray, shape (time, ...)
        At equal steps. Missing values are NaN, exceed nothing and are not counted as
        observed time. May be backed by Dask along other dimensions than time.
    threshold : float or xarray.DataArray
        In the units of `discharge`, for all or along its other dimensions: such as
        the flow exceeded in 5 % of the observed days, taken for the observed and the
        simulated series alike.
    separation_days : float, optional
        Days below the threshold after which an event is over.
    level : float, optional
        Probability of the interval of the rate.

    Returns
    -------
    xarray.Dataset
        ``events``; ``rate``, ``rate_lower``, ``rate_upper`` in year-1; ``time_above``,
        the share of the observed time; ``mean_duration`` of an event in days and
        ``mean_peak`` in the units of `discharge`, NaN without an event; ``years``
        observed.

    Raises
    ------
    InputError
        If steps are unequal, or a number is impossible.

    References
    ----------
    Coles (2001), section 5.3.3 (runs). Garwood (1936), Biometrika 28, 437-442.

    Examples
    --------
    >>> import pandas as pd
    >>> flow = xr.DataArray(
    ...     [1.0, 9, 8, 1, 9, 1, 1, 1, 7, 1],
    ...     dims="time",
    ...     coords={"time": pd.date_range("2001-01-01", periods=10)},
    ... )
    >>> int(event_frequency(flow, 5.0, separation_days=3)["events"])
    2
    """
    if "time" not in discharge.dims:
        raise InputError(f"events need the dimension time, got {discharge.dims}")
    if not separation_days > 0.0 or not 0.0 < level < 1.0:
        raise InputError(
            "separation_days is above 0 and level between 0 and 1, got "
            f"{separation_days:g} and {level:g}"
        )
    days = step_seconds(discharge["time"]) / 86400.0
    limit = (
        threshold if isinstance(threshold, xr.DataArray) else xr.DataArray(threshold)
    )
    counted = apply_kernel(
        _count_rows,
        discharge,
        limit.astype(float),
        core_dims=[("time",), ()],
        output_dims=[()] * 4,
        output_dtypes=[np.int64, np.int64, np.int64, float],
        options={"run": max(1, int(np.ceil(separation_days / days - 1e-9)))},
    )
    events, above, observed, peaks = counted
    years = observed * (days / _YEAR_DAYS)
    lower, upper = poisson_interval(events, level)
    some = events.where(events > 0)
    units = discharge.attrs.get("units", "1")
    rate = {"units": "year-1"}
    result = {
        "events": (events, {"units": "1", "long_name": "independent events"}),
        "rate": (events / years, {**rate, "long_name": "events per observed year"}),
        "rate_lower": (lower / years, rate),
        "rate_upper": (upper / years, rate),
        "time_above": (above / observed, {"units": "1"}),
        "mean_duration": (above / some * days, {"units": "day"}),
        "mean_peak": (peaks / some, {"units": units}),
        "years": (years, {"units": "year", "long_name": "observed time"}),
    }
    named = {
        name: values.assign_attrs(attrs) for name, (values, attrs) in result.items()
    }
    return xr.Dataset(named).assign_attrs(
        separation_days=separation_days, interval=level
    )


def poisson_interval(
    events: xr.DataArray, level: float = 0.90
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the exact interval of the mean of a Poisson count.

    Parameters
    ----------
    events : xarray.DataArray
        Counts; may be backed by Dask.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    lower, upper : xarray.DataArray
        Of the expected count.

    References
    ----------
    Garwood (1936), Biometrika 28, 437-442.

    Examples
    --------
    >>> low, high = poisson_interval(xr.DataArray([0, 10]), 0.95)
    >>> low.values.round(3), high.values.round(3)
    (array([0.   , 4.795]), array([ 3.689, 18.39 ]))
    """
    from scipy.special import gammaincinv

    def limits(n: np.ndarray, *, level: float) -> tuple[np.ndarray, np.ndarray]:
        # Quantiles of chi-square with 2n degrees are twice those of gamma with n.
        low = np.where(n > 0, gammaincinv(np.maximum(n, 1), 0.5 - level / 2.0), 0.0)
        return low, gammaincinv(n + 1.0, 0.5 + level / 2.0)

    return apply_kernel(
        limits,
        events,
        core_dims=[()],
        output_dims=[(), ()],
        output_dtypes=[float, float],
        options={"level": level},
    )


def _count_rows(
    discharge: np.ndarray, threshold: np.ndarray, *, run: int
) -> tuple[np.ndarray, ...]:
    """Return events, steps above, steps observed and the sum of peaks of each row."""
    loop = discharge.shape[:-1]
    rows = discharge.reshape(-1, discharge.shape[-1])
    found = np.zeros((4, len(rows)))
    for i, (row, limit) in enumerate(zip(rows, threshold.ravel(), strict=True)):
        found[2, i] = np.isfinite(row).sum()
        above = np.flatnonzero(row > limit)
        if above.size:
            first = np.r_[0, np.flatnonzero(np.diff(above) > run) + 1]
            found[0, i], found[1, i] = first.size, above.size
            found[3, i] = np.maximum.reduceat(row[above], first).sum()
    return tuple(column.reshape(loop) for column in found)
