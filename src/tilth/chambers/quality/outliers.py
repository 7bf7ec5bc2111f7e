"""Fluxes far outside their neighbours in time: a running robust test."""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.flags import is_doubted
from tilth.core.errors import InputError
from tilth.core.flags import add_flag
from tilth.core.model import require_variables

#: Smallest relative scatter taken for the neighbours: chambers do not repeat better.
_LEAST_SCATTER = 0.1

#: Fewer neighbours than this do not judge a value.
_FEWEST = 8

#: Fluxes up to about twice the typical one are compared linearly, larger ones by
#: their logarithm.
_LINEAR_TO = 2.0


def outliers(
    time, group, value, *, window_days: float = 3.0, threshold: float = 5.0
) -> np.ndarray:
    """Return where a value is far outside its neighbours in time.

    As `outlier_score` has it: further than `threshold` robust standard deviations.

    Parameters
    ----------
    time, group, value, window_days
        As for `outlier_score`.
    threshold : float
        Robust standard deviations. Five leaves one normal value in two million
        flagged; it catches every impossible hour of the fleet's published fluxes
        and doubts less than one percent of the hours.

    Returns
    -------
    numpy.ndarray of bool
        False also where nothing can be said.
    """
    score = outlier_score(time, group, value, window_days=window_days)
    return np.abs(np.nan_to_num(score, nan=0.0)) > threshold


def outlier_score(time, group, value, *, window_days: float = 3.0) -> np.ndarray:
    r"""Distance of each value from its neighbours, in robust standard deviations.

    The neighbours are the other values of the same group within `window_days`
    before and after: long enough that a fault of an evening is outvoted by other
    nights, short enough for the season and the weather. Fluxes scatter in
    proportion to their size but can be negative, hence the scale

    .. math:: y = \operatorname{arsinh}\frac{F}{2\,\mathrm{med}|F|}, \qquad
              z = \frac{y - \mathrm{med}(y)}
                       {\max(1.4826\,\mathrm{MAD}(y), u)}

    with the median and MAD of the neighbours (not of the value itself, which would
    hide itself among few) and :math:`u` a scatter of 10 %: a group of nearly equal
    values makes no outlier of a small difference.

    Parameters
    ----------
    time : array_like of datetime64
        UTC, any order.
    group : array_like of str
        Pot or variant of each value; only values of one group are compared.
    value : array_like
        Flux in any unit, shape (n,). NaN neither judges nor is judged.
    window_days : float
        Half width of the window, days.

    Returns
    -------
    numpy.ndarray
        Shape (n,); positive for values above their neighbours. NaN where there
        are fewer than eight neighbours, or all of them are zero.

    Raises
    ------
    InputError
        If the lengths differ or the window is not positive.

    References
    ----------
    Hampel (1974), J. Am. Stat. Assoc. 69, 383-393.
    """
    values = np.asarray(value, float)
    codes, _ = pd.factorize(np.asarray(group, object))
    stamps = pd.DatetimeIndex(pd.to_datetime(time, format="ISO8601"))
    if not len(values) == len(codes) == len(stamps):
        raise InputError(
            f"time, group and value must have one length, got {len(stamps)}, "
            f"{len(codes)} and {len(values)}"
        )
    if not window_days > 0:
        raise InputError(f"the window must be positive, got {window_days} days")
    seconds = stamps.to_numpy("datetime64[ms]").astype("int64") / 1e3
    score = np.full(len(values), np.nan)
    usable = np.flatnonzero(np.isfinite(values) & ~pd.isna(stamps) & (codes >= 0))
    order = usable[np.lexsort((seconds[usable], codes[usable]))]
    score[order] = _scores(
        seconds[order], codes[order], values[order], window_days * 86400.0
    )
    return score


def flag_outliers(
    fluxes: xr.Dataset,
    *,
    variable: str = "flux",
    group: str = "pot",
    window_days: float = 3.0,
    threshold: float = 5.0,
) -> xr.Dataset:
    """Flag the fluxes of a dataset that are far outside their neighbours in time.

    Closures that are doubted for another reason are not judged, and do not judge.

    Parameters
    ----------
    fluxes : xarray.Dataset
        With `variable`, ``time``, ``closure_flag`` and the coordinate `group` on
        ``closure``.
    variable, group : str
        Flux to judge; coordinate within which values are comparable.
    window_days, threshold : float
        As for `outliers`.

    Returns
    -------
    xarray.Dataset
        ``outlier`` raised in ``closure_flag``.
    """
    require_variables(
        fluxes, [variable, group, "time", "closure_flag"], "the outlier test"
    )
    clean = ~is_doubted(fluxes["closure_flag"])
    values = fluxes[variable].where(clean)
    found = outliers(
        fluxes["time"].values,
        fluxes[group].values,
        values.values,
        window_days=window_days,
        threshold=threshold,
    )
    where = xr.DataArray(found, dims=values.dims)
    return fluxes.assign(
        closure_flag=add_flag(fluxes["closure_flag"], "outlier", where)
    )


@numba.njit(cache=True)
def _scores(seconds, codes, values, window):
    """Score values sorted by group and time against their neighbours."""
    n = len(values)
    score = np.full(n, np.nan)
    least = _LEAST_SCATTER / np.sqrt(1.0 + _LINEAR_TO**2)
    first = last = 0
    for i in range(n):
        while codes[first] != codes[i] or seconds[first] < seconds[i] - window:
            first += 1
        last = max(last, i)
        while (
            last < n
            and codes[last] == codes[i]
            and seconds[last] <= seconds[i] + window
        ):
            last += 1
        count = last - first - 1
        if count < _FEWEST:
            continue
        near = np.empty(count)
        near[: i - first] = values[first:i]
        near[i - first :] = values[i + 1 : last]
        scale = _LINEAR_TO * np.median(np.abs(near))
        if scale == 0.0:
            continue
        near = np.arcsinh(near / scale)
        middle = np.median(near)
        spread = max(1.4826 * np.median(np.abs(near - middle)), least)
        score[i] = (np.arcsinh(values[i] / scale) - middle) / spread
    return score
