"""Scores of one event or not: Brier, and hits against false alarms."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.parallel import apply_kernel
from tilth.stats.scores.categories import SUM_TOLERANCE
from tilth.stats.scores.skill import check_dims, check_members

#: Up to so many different probabilities are each a threshold of `roc`: a thousand
#: members have one more.
MOST_THRESHOLDS = 1001


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


def roc(
    probability: xr.DataArray,
    event: xr.DataArray,
    *,
    dim: str | Iterable[Hashable] | None = None,
    weights: xr.DataArray | None = None,
    thresholds: npt.ArrayLike | None = None,
) -> xr.Dataset:
    r"""Hits against false alarms, for a warning at every probability.

    The area under the curve is the probability that a case with the event had a higher
    forecast than one without, ties counting half (Mann and Whitney): 1 separates them,
    0.5 does not. It says nothing of calibration: see `reliability`. By scores.

    Parameters
    ----------
    probability : xarray.DataArray
        Forecast probability of the event, 0 to 1.
    event : xarray.DataArray
        1 or True where it happened, 0 or False where not, NaN where nobody knows.
    dim : str or sequence of str, optional
        What to count over; by default everything. Pooled over places with different
        climates, a forecast has area above 0.5 for knowing the climate only (Hamill &
        Juras 2006): give the dimension of time to keep the places apart.
    weights : xarray.DataArray, optional
        Weight of a case, such as the cosine of the latitude.
    thresholds : array_like, optional
        Rising probabilities at which to warn. By default those that occur, or
        hundredths where more than `MOST_THRESHOLDS` do; the area does not depend on it.

    Returns
    -------
    xarray.Dataset
        ``hit_rate`` and ``false_alarm_rate`` along ``threshold`` (warn at this
        probability or more; the last, infinite one never warns), ``area``, ``events``
        and ``cases``, how many there were. NaN where there is no event or no case
        without one. A case where either is missing is left out. Lazy arrays are
        computed.

    Raises
    ------
    InputError
        If a dimension does not exist, coordinates differ, a probability is outside of 0
        to 1, an event neither 0 nor 1, or thresholds do not rise from 0 to 1.
    MissingDependencyError
        If scores is not installed.

    References
    ----------
    Mason & Graham (2002), Q. J. R. Meteorol. Soc. 128, 2145-2166. Hamill & Juras
    (2006), Q. J. R. Meteorol. Soc. 132, 2905-2923.

    Examples
    --------
    >>> import xarray as xr
    >>> rain = xr.DataArray([0.9, 0.6, 0.6, 0.1], dims="day")
    >>> found = roc(rain, xr.DataArray([1, 1, 0, 0], dims="day"))
    >>> float(found.area)
    0.875
    """
    try:
        p, o = xr.align(probability, event, join="exact", copy=False)
    except ValueError as error:
        raise InputError(
            "the forecast and the event are of different cases: reindex one to the "
            "other first, so that no case is lost unseen"
        ) from error
    p, o = xr.broadcast(p.compute().astype(float), o.compute().astype(float))
    check_probability_and_event(p.values, o.values)
    known = p.notnull() & o.notnull()
    dims = check_dims(known, dim)
    p, o = p.where(known), o.where(known)
    library = load("scores.probability", "forcing")
    how = {"reduce_dims": dims, "weights": weights}
    curve = library.roc_curve_data(
        p, o, _thresholds(p.values, thresholds), check_args=False, **how
    )
    return xr.Dataset(
        {
            "hit_rate": curve["POD"],
            "false_alarm_rate": curve["POFD"],
            "area": library.roc_auc(p, o, check_args=False, **how),
            "events": o.sum(dims).astype(int),
            "cases": known.sum(dims),
        }
    )


def _thresholds(values: np.ndarray, thresholds: npt.ArrayLike | None) -> np.ndarray:
    """Return the probabilities at which to warn: those given, or those that occur."""
    if thresholds is None:
        occurring = np.unique(values[np.isfinite(values)])
        if 0 < occurring.size <= MOST_THRESHOLDS:
            return occurring
        return np.linspace(0.0, 1.0, 101)
    asked = np.asarray(thresholds, float).ravel()
    rising = asked.size > 0 and (np.diff(asked) > 0).all()
    if not rising or asked[0] < 0.0 or asked[-1] > 1.0:
        raise InputError(f"thresholds must rise between 0 and 1, got {asked}")
    return asked


def check_probability_and_event(probability: np.ndarray, event: np.ndarray) -> None:
    """Raise unless probabilities are shares and events are 0, 1 or missing.

    Parameters
    ----------
    probability, event : numpy.ndarray
        Any shape; missing values may occur in both.

    Raises
    ------
    InputError
        If not; the text gives the first value.
    """
    p, o = probability, event
    outside = (p < -SUM_TOLERANCE) | (p > 1.0 + SUM_TOLERANCE)
    if outside.any():
        raise InputError(
            "a probability is a share between 0 and 1 (not percent), got "
            f"{p[outside][0]:g}"
        )
    neither = np.isfinite(o) & (o != 0.0) & (o != 1.0)
    if neither.any():
        raise InputError(f"an event is 1, 0 or missing, got {o[neither][0]:g}")


def _brier(probability: np.ndarray, event: np.ndarray, *, members: int) -> np.ndarray:
    """Kernel of `brier`."""
    p, o = np.asarray(probability, float), np.asarray(event, float)
    check_probability_and_event(p, o)
    score = (p - o) ** 2
    return score - p * (1.0 - p) / (members - 1) if members else score
