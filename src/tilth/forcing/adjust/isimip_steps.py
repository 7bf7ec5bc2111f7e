"""The steps of the ISIMIP3 method on the days of one window, each a function.

Numbers as in Lange (2019), Geoscientific Model Development 12, 3055: 1 scaling by the
annual cycle of the upper bound, 3 trends, 4 values beyond thresholds, 5 the simulated
change carried over to the observations, 6 quantile mapping. Missing values are left out
of every step, so that nothing is imputed (step 2); step 7 adds the trend back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from tilth.core.errors import InputError
from tilth.forcing.adjust.isimip_fits import FITS
from tilth.forcing.adjust.samples import quantiles_of

#: How a change is carried over (step 5).
CHANGES = ("additive", "mixed", "bounded")

#: A trend of annual means is taken out if it differs from zero at this level (step 3).
SIGNIFICANCE = 0.05

#: Fits farther from their sample than this (Kolmogorov-Smirnov) give way to the
#: empirical mapping; the value of ibicus 1.3 for all variables.
LARGEST_DISTANCE = 0.15

#: Ratios of quantiles that are carried over at most, and their inverse (step 5).
LARGEST_RATIO = 100.0

#: Values needed within the thresholds for a parametric fit.
_FEWEST = 20

#: Probabilities handed to a fitted distribution stay this far from 0 and 1.
_EDGE = 1e-10


@dataclass(frozen=True)
class VariableSettings:
    """How one variable is adjusted.

    Parameters
    ----------
    units : str
        Units of bounds and thresholds; UDUNITS spelling.
    change : {"additive", "mixed", "bounded"}
        How the simulated change of a quantile is carried over to the observations.
    distribution : {"normal", "gamma", "weibull", "rice"}, optional
        What is fitted in step 6; None for the empirical mapping.
    lower_bound, lower_threshold : float, optional
        Physical limit, and below what a value counts as being there.
    upper_bound, upper_threshold : float, optional
        The same from above.
    detrend : bool
        Whether significant trends are taken out before and put back after.
    frequencies : bool
        Whether the number of values beyond a threshold is adjusted by itself, and the
        change is carried over only between the thresholds.
    annual_upper_bound : bool
        Whether the upper bound has an annual cycle, by which values are scaled
        (shortwave radiation); bounds and thresholds are then fractions of it.
    """

    units: str
    change: str
    distribution: str | None = None
    lower_bound: float | None = None
    lower_threshold: float | None = None
    upper_bound: float | None = None
    upper_threshold: float | None = None
    detrend: bool = False
    frequencies: bool = True
    annual_upper_bound: bool = False

    def __post_init__(self):
        if self.change not in CHANGES:
            raise InputError(f"change is one of {', '.join(CHANGES)}: {self.change!r}")
        if self.distribution is not None and self.distribution not in FITS:
            raise InputError(
                f"distribution is one of {', '.join(FITS)} or None: "
                f"{self.distribution!r}"
            )
        for side, order in (("lower", 1.0), ("upper", -1.0)):
            bound = getattr(self, f"{side}_bound")
            threshold = getattr(self, f"{side}_threshold")
            if (bound is None) != (threshold is None):
                raise InputError(
                    f"{side}_bound and {side}_threshold belong together: give both "
                    "or none"
                )
            if bound is not None and not order * (threshold - bound) > 0.0:
                raise InputError(
                    f"{side}_threshold {threshold} must lie inside {side}_bound {bound}"
                )
        if self.change == "bounded" and None in (self.lower_bound, self.upper_bound):
            raise InputError("a bounded change needs a lower and an upper bound")


@dataclass(frozen=True)
class Sample:
    """Values of one series in a window.

    Parameters
    ----------
    values : numpy.ndarray
        Without gaps.
    years : numpy.ndarray
        Year of each value.
    """

    values: np.ndarray
    years: np.ndarray


def upper_bound_cycle(
    values: np.ndarray, day: np.ndarray, half_width: int = 15
) -> np.ndarray:
    """Estimate the annual cycle of the upper bound of a variable (step 1).

    The largest value of each day of the year over all years; of these the largest in a
    running window, then the mean in a running window.

    Parameters
    ----------
    values : numpy.ndarray
        One series; NaN is missing.
    day : numpy.ndarray of int
        Day of a common year of each value, 0 to 364.
    half_width : int
        Days to each side in the two windows: 15 is 31 days.

    Returns
    -------
    numpy.ndarray
        365 numbers in the units of `values`; NaN where no value lies in the window.
    """
    largest = np.full(365, -np.inf)
    known = np.isfinite(values)
    np.maximum.at(largest, day[known], values[known])
    around = (np.arange(365)[:, None] + np.arange(-half_width, half_width + 1)) % 365
    highest = largest[around].max(axis=1)
    highest[~np.isfinite(highest)] = np.nan
    near = highest[around]
    there = np.isfinite(near)
    with np.errstate(invalid="ignore"):
        return np.where(there, near, 0.0).sum(axis=1) / there.sum(axis=1)


def annual_trend(sample: Sample) -> np.ndarray:
    """Return the trend of a sample, where it is significant (step 3).

    Least squares through the means of the years; the trend has mean zero over the
    values and is zero where the slope does not differ from zero by Student's t at 5 %.

    Parameters
    ----------
    sample : Sample
        Values and their years.

    Returns
    -------
    numpy.ndarray
        To be subtracted from the values, same length.
    """
    years, index = np.unique(sample.years, return_inverse=True)
    none = np.zeros(sample.values.size)
    if years.size < 3:
        return none
    means = np.bincount(index, sample.values) / np.bincount(index)
    x = years - years.mean()
    slope = float((x * means).sum() / (x**2).sum())
    rest = means - means.mean() - slope * x
    freedom = years.size - 2
    variance = float((rest**2).sum()) / freedom / float((x**2).sum())
    if variance > 0.0:
        t = abs(slope) / np.sqrt(variance)
        if 2.0 * special.stdtr(freedom, -t) >= SIGNIFICANCE:
            return none
    elif slope == 0.0:
        return none
    trend = slope * x[index]
    return trend - trend.mean()


def spread_beyond(
    values: np.ndarray, settings: VariableSettings, draws: np.random.Generator
) -> np.ndarray:
    """Spread values beyond thresholds evenly up to the bound, in their order (step 4).

    Parameters
    ----------
    values : numpy.ndarray
        Without gaps.
    settings : VariableSettings
        Bounds and thresholds.
    draws : numpy.random.Generator
        Where the random numbers come from; ties are broken by it.

    Returns
    -------
    numpy.ndarray
        Same length; values between the thresholds are as they were.
    """
    spread = values.copy()
    for bound, threshold, below in (
        (settings.lower_bound, settings.lower_threshold, True),
        (settings.upper_bound, settings.upper_threshold, False),
    ):
        if bound is None or threshold is None:
            continue
        beyond = np.flatnonzero(values <= threshold if below else values >= threshold)
        if beyond.size:
            order = np.lexsort((draws.random(beyond.size), values[beyond]))
            low, high = min(bound, threshold), max(bound, threshold)
            numbers = np.sort(draws.uniform(low, high, beyond.size))
            spread[beyond[order]] = numbers
    return spread


def bounded_change(
    observed: np.ndarray | float,
    before: np.ndarray | float,
    after: np.ndarray | float,
    low: float,
    high: float,
) -> np.ndarray:
    """Carry a change over so that it stays between two bounds.

    Downwards the distance to the lower bound shrinks by the same factor as simulated,
    upwards that to the upper bound.

    Parameters
    ----------
    observed, before, after : array_like
        Observed quantile; simulated ones of the training and of the target period.
    low, high : float
        The bounds.

    Returns
    -------
    numpy.ndarray
        Between `low` and `high` if the arguments are.
    """
    observed, before, after = np.broadcast_arrays(observed, before, after)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        down = low + (observed - low) * (after - low) / (before - low)
        up = high - (high - observed) * (high - after) / (high - before)
        # Rounding must not turn a change too small to be seen around.
        down, up = np.minimum(down, observed), np.maximum(up, observed)
    return np.where(after < before, down, np.where(after > before, up, observed))


def carried_over(
    observed: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    settings: VariableSettings,
) -> np.ndarray:
    r"""Give observed quantiles the simulated change (step 5).

    Additive: the difference. Mixed: the ratio where the model is not far below the
    observation, the difference where it is: with :math:`r = o / b` the share of the
    ratio is 1 up to r = 1, 0 from r = 9 and :math:`(1 + \cos(\pi (r - 1) / 8)) / 2`
    in between.

    Parameters
    ----------
    observed, before, after : numpy.ndarray
        Observed quantiles; simulated ones of the training and of the target period.
    settings : VariableSettings
        The way, and the bounds.

    Returns
    -------
    numpy.ndarray
        Quantiles of pseudo-future observations.
    """
    if settings.change == "additive":
        return observed + after - before
    if settings.change == "bounded":
        # VariableSettings has refused bounds that are not there.
        low, high = float(settings.lower_bound or 0.0), settings.upper_bound
        assert high is not None
        return bounded_change(observed, before, after, low, high)
    low = settings.lower_bound or 0.0
    seen, old, new = observed - low, before - low, after - low
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(new / old, 1.0 / LARGEST_RATIO, LARGEST_RATIO)
        excess = np.clip(seen / old, 1.0, 9.0)
    ratio = np.where(old > 0.0, ratio, 1.0)
    excess = np.where(old > 0.0, excess, 9.0)
    share = 0.5 * (1.0 + np.cos(np.pi * (excess - 1.0) / 8.0))
    return low + share * seen * ratio + (1.0 - share) * (seen + new - old)


def _between(values: np.ndarray, settings: VariableSettings) -> np.ndarray:
    """Tell which values lie between the thresholds."""
    inside = np.ones(values.size, bool)
    if settings.lower_threshold is not None:
        inside &= values > settings.lower_threshold
    if settings.upper_threshold is not None:
        inside &= values < settings.upper_threshold
    return inside


def _numbers_beyond(
    samples: Sequence[np.ndarray], settings: VariableSettings
) -> tuple[int, int]:
    """Return how many values of the target belong beyond each threshold (step 6)."""
    shares = [0.0, 0.0]
    if settings.lower_threshold is not None:
        o, h, s = ((x <= settings.lower_threshold).mean() for x in samples)
        shares[0] = float(bounded_change(o, h, s, 0.0, 1.0))
    if settings.upper_threshold is not None:
        o, h, s = ((x >= settings.upper_threshold).mean() for x in samples)
        shares[1] = float(bounded_change(o, h, s, 0.0, 1.0))
    over = max(sum(shares), 1.0)
    n = samples[2].size
    low = round(n * shares[0] / over)
    return low, min(round(n * shares[1] / over), n - low)


def adjust_window(
    series: tuple[Sample, Sample, Sample],
    wanted: np.ndarray,
    settings: VariableSettings,
    draws: np.random.Generator,
) -> np.ndarray:
    """Adjust the target's values of one window (steps 3 to 7).

    Parameters
    ----------
    series : tuple of Sample
        Days of the window: observed and modelled in the training period, modelled in
        the period to adjust; without gaps, at least one value each.
    wanted : numpy.ndarray of int
        Positions in the last sample to return: the days in the middle of the window.
    settings : VariableSettings
        Of the variable.
    draws : numpy.random.Generator
        Random numbers of this cell and window.

    Returns
    -------
    numpy.ndarray
        Adjusted values, one per position in `wanted`.
    """
    trend = np.zeros(series[2].values.size)
    plain = [sample.values for sample in series]
    if settings.detrend:
        trends = [annual_trend(sample) for sample in series]
        plain = [values - t for values, t in zip(plain, trends, strict=True)]
        trend = trends[2]
    o, h, s = (spread_beyond(values, settings, draws) for values in plain)
    n = s.size
    rank = np.empty(n, int)
    rank[np.argsort(s, kind="stable")] = np.arange(n)
    if settings.frequencies:
        few_low, few_high = _numbers_beyond((o, h, s), settings)
        o, h, s = (x[_between(x, settings)] for x in (o, h, s))
    else:
        few_low = few_high = 0
    adjusted = np.empty(wanted.size)
    place = rank[wanted]
    low, high = place < few_low, place >= n - few_high
    adjusted[low], adjusted[high] = settings.lower_bound, settings.upper_bound
    rest = ~(low | high)
    if rest.any():
        p = (place[rest] - few_low + 0.5) / (n - few_low - few_high)
        adjusted[rest] = _mapped(p, np.sort(o), np.sort(h), np.sort(s), settings)
    adjusted += trend[wanted]
    if settings.lower_threshold is not None:
        adjusted[adjusted <= settings.lower_threshold] = settings.lower_bound
    if settings.upper_threshold is not None:
        adjusted[adjusted >= settings.upper_threshold] = settings.upper_bound
    return adjusted


def _mapped(
    p: np.ndarray,
    o: np.ndarray,
    h: np.ndarray,
    s: np.ndarray,
    settings: VariableSettings,
) -> np.ndarray:
    """Return the adjusted quantiles between the thresholds at probabilities `p`."""
    if not o.size:  # never seen there: what the model says is all there is
        return quantiles_of(s, p) if s.size else np.full(p.size, settings.lower_bound)
    future = o
    if h.size and s.size:
        seen = (np.arange(o.size) + 0.5) / o.size
        change = quantiles_of(h, seen), quantiles_of(s, seen)
        future = np.sort(carried_over(o, *change, settings))
    if settings.distribution is None or min(future.size, s.size) < _FEWEST:
        return quantiles_of(future, p)
    fit = FITS[settings.distribution]
    location = settings.lower_threshold or 0.0
    inside = future[_between(future, settings)]
    if inside.size < _FEWEST:
        return quantiles_of(future, p)
    goal, source = fit(inside, location), fit(s, location)
    if (
        goal is None
        or source is None
        or goal.distance(inside) > LARGEST_DISTANCE
        or source.distance(s) > LARGEST_DISTANCE
    ):
        return quantiles_of(future, p)
    probability = source.cdf(quantiles_of(s, p))
    return goal.quantile(np.clip(probability, _EDGE, 1.0 - _EDGE))
