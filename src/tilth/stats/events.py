"""How often a threshold is exceeded: events a year, exact intervals, and the change."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.stats.paired import check_level


def observed_threshold(
    observed: xr.DataArray,
    quantile: float,
    reference: tuple[int, int] | None = None,
) -> xr.DataArray:
    """Return the quantile of the observations above which an event begins.

    One threshold, of the observed, for everything that is compared: with each
    model's own, every model has the same number of events.

    Parameters
    ----------
    observed : xarray.DataArray
        Along ``time``; missing values are left out.
    quantile : float
        Between 0 and 1, such as 0.95; linear between values.
    reference : tuple of int, optional
        First and last year to take; all by default.

    Returns
    -------
    xarray.DataArray
        Without ``time``, in the units of the observations.

    Raises
    ------
    InputError
        If the quantile is none or no time is left.
    """
    if not 0.0 < quantile < 1.0:
        raise InputError(f"a quantile lies between 0 and 1, got {quantile}")
    part = _within(observed, reference)
    found = part.chunk(time=-1) if part.chunks is not None else part
    found = found.quantile(quantile, "time").drop_vars("quantile")
    years = "all years" if reference is None else f"{reference[0]}-{reference[1]}"
    return found.assign_attrs(
        {**observed.attrs, "threshold": f"quantile {quantile} of the observed, {years}"}
    )


def event_frequency(
    series: xr.DataArray,
    threshold: float | xr.DataArray,
    years: tuple[int, int] | None = None,
    *,
    separation: int = 1,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Count events above a threshold, per year, with exact intervals.

    For k events in T years that come independently (Garwood 1936),

    .. math::

        \lambda_\mathrm{low} = \frac{\chi^2_{\alpha/2,\,2k}}{2T}, \qquad
        \lambda_\mathrm{high} = \frac{\chi^2_{1 - \alpha/2,\,2k + 2}}{2T} .

    Days of one flood are not independent: an event is a run of exceedances with
    fewer than `separation` steps between them. The share of years with an event has
    the binomial interval of Clopper and Pearson (1934), which only asks years to be
    independent.

    Parameters
    ----------
    series : xarray.DataArray
        Along ``time``, evenly spaced; missing values are NaN.
    threshold : float or xarray.DataArray
        Of `observed_threshold`, in the units of the series.
    years : tuple of int, optional
        First and last year to count.
    separation : int, optional
        Steps without an exceedance that part two events: 1 counts every run.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    xarray.Dataset
        ``events``, ``years`` (of data: days present over the days of a whole year),
        ``rate`` in 1/year with ``lower`` and ``upper``, ``dispersion`` (variance over
        mean of the yearly counts, 1 for independent events: well above, the interval
        is too narrow and `separation` too short), ``years_with`` (share of years that
        have an event) with ``years_with_lower`` and ``years_with_upper``.

    Raises
    ------
    InputError
        If no time is left, `separation` is below one, or `level` is not between 0
        and 1.

    References
    ----------
    Garwood (1936), Biometrika 28, 437-442. Clopper & Pearson (1934), Biometrika 26,
    404-413.
    """
    check_level(level)
    if separation < 1:
        raise InputError(f"separation counts steps, one or more, got {separation}")
    part = _within(series, years)
    labels, codes = np.unique(part["time"].dt.year.values, return_inverse=True)
    limit = (
        threshold if isinstance(threshold, xr.DataArray) else xr.DataArray(threshold)
    )
    names = (
        "events", "years", "rate", "lower", "upper", "dispersion", "years_with",
        "years_with_lower", "years_with_upper",
    )  # fmt: skip
    found = apply_kernel(
        _count,
        part,
        limit,
        core_dims=[["time"], []],
        output_dims=[()] * len(names),
        output_dtypes=[float] * len(names),
        options={"codes": codes, "separation": separation, "level": level},
    )
    result = xr.Dataset(dict(zip(names, found, strict=True)))
    units = {"rate": "year-1", "lower": "year-1", "upper": "year-1", "years": "year"}
    for name in names:
        result[name].attrs["units"] = units.get(name, "1")
    return result.assign_attrs(
        period=f"{labels.min()}-{labels.max()}", separation=separation, level=level
    )


def frequency_change(
    past: xr.Dataset, recent: xr.Dataset, *, level: float = 0.95
) -> xr.Dataset:
    r"""Ratio of two event frequencies, with an exact interval and test.

    Given the events of both periods together, those of the recent one are binomial
    with the share :math:`\rho T_2 / (T_1 + \rho T_2)`: the interval of that share is
    one of the ratio :math:`\rho`.

    Parameters
    ----------
    past, recent : xarray.Dataset
        Of `event_frequency`, above the same threshold.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    xarray.Dataset
        ``ratio`` (recent over past), ``lower``, ``upper`` and ``p_value`` of the
        two-sided test of no change; NaN without any event.

    Raises
    ------
    InputError
        If `level` is not between 0 and 1.

    References
    ----------
    Przyborowski & Wilenski (1940), Biometrika 31, 313-323.
    """
    check_level(level)
    found = apply_kernel(
        _ratio,
        past["events"],
        past["years"],
        recent["events"],
        recent["years"],
        core_dims=[[]] * 4,
        output_dims=[()] * 4,
        output_dtypes=[float] * 4,
        options={"level": level},
    )
    names = ("ratio", "lower", "upper", "p_value")
    result = xr.Dataset(dict(zip(names, found, strict=True)))
    return result.assign_attrs(level=level)


def _within(series: xr.DataArray, years: tuple[int, int] | None) -> xr.DataArray:
    """Return the times of some years."""
    if "time" not in series.dims:
        raise InputError(
            f"{series.name or 'the series'} needs a dimension time; it has "
            f"{', '.join(map(str, series.dims))}"
        )
    if years is None:
        return series
    year = series["time"].dt.year
    keep = np.flatnonzero(((year >= years[0]) & (year <= years[1])).values)
    if not keep.size:
        raise InputError(
            f"no time lies in {years[0]}-{years[1]}: the series has "
            f"{int(year.min())}-{int(year.max())}"
        )
    return series.isel(time=keep)


def _count(
    values: np.ndarray,
    threshold: np.ndarray,
    codes: np.ndarray,
    separation: int,
    level: float,
) -> tuple[np.ndarray, ...]:
    """Return what `event_frequency` holds, row by row."""
    above = values > threshold[..., None]
    begins = above.copy()
    for lag in range(1, separation + 1):
        begins[..., lag:] &= ~above[..., :-lag]
    member = np.eye(codes.max() + 1)[codes]
    yearly = begins.astype(float) @ member
    there = np.isfinite(values).astype(float) @ member
    # A year within 1.5 % of the longest is whole: others have no leap day.
    steps = member.sum(axis=0)
    whole = np.where(steps >= 0.985 * steps.max(), steps, steps.max())
    events, exposure = yearly.sum(axis=-1), (there / whole).sum(axis=-1)
    seen = there > 0
    years = seen.sum(axis=-1)
    alpha = 1.0 - level
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(exposure > 0, exposure, np.nan)
        # Half a chi-square quantile of 2k degrees is one of the gamma of k.
        lower = np.where(events > 0, special.gammaincinv(events, alpha / 2.0), 0.0) / t
        upper = special.gammaincinv(events + 1.0, 1.0 - alpha / 2.0) / t
        mean = yearly.sum(axis=-1) / years
        square = np.where(seen, (yearly - mean[..., None]) ** 2, 0.0).sum(axis=-1)
        dispersion = square / np.where(years > 1, years - 1, np.nan) / mean
        having = ((yearly > 0) & seen).sum(axis=-1)
        low, high = _binomial(having, years, level)
        share = having / np.where(years > 0, years, np.nan)
    dispersion = np.where(np.isfinite(dispersion), dispersion, np.nan)
    low, high = (np.where(years > 0, x, np.nan) for x in (low, high))
    rate = events / t
    return events, exposure, rate, lower, upper, dispersion, share, low, high


def _ratio(
    n1: np.ndarray, t1: np.ndarray, n2: np.ndarray, t2: np.ndarray, level: float
) -> tuple[np.ndarray, ...]:
    """Return ratio, limits and p-value of two rates."""
    both = n1 + n2
    low, high = _binomial(n2, both, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        even = t2 / (t1 + t2)
        # Twice the smaller tail, either with the count that was seen.
        below = special.bdtr(n2, both.astype(int), even)
        above = np.where(n2 > 0, special.bdtrc(n2 - 1, both.astype(int), even), 1.0)
        p = np.minimum(2.0 * np.minimum(below, above), 1.0)
        ratio = (n2 / t2) / (n1 / t1)
        low, high = (share / (1.0 - share) * t1 / t2 for share in (low, high))
    some = both > 0
    first, second, third, fourth = (
        np.where(some, x, np.nan) for x in (ratio, low, high, p)
    )
    return first, second, third, fourth


def _binomial(k, n, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of Clopper and Pearson of k in n."""
    tail = (1.0 - level) / 2.0
    k, n = np.asarray(k, float), np.asarray(n, float)
    inner = np.where(k > 0, special.betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    outer = np.where(
        k < n, special.betaincinv(k + 1, np.maximum(n - k, 1), 1.0 - tail), 1.0
    )
    return inner, outer
