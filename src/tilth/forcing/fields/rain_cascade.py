"""Rain of a day shared out to its hours: a random cascade that keeps every total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

#: An interval with less is too coarse to tell how its rain splits, mm (a gauge's tip
#: is 0.1 to 0.25 mm).
_LEAST = 0.3

_MASK = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True)
class RainCascade:
    r"""A microcanonical cascade: each interval gives all it has to its two halves.

    With probability p all falls in one half (either is as likely); otherwise the
    first half gets a share W ~ Beta(a, a). Halves are split in turn, down to the
    steps; p and a are interpolated in the logarithm of the interval's length. The two
    parts always add up to the whole, so daily totals are kept.

    Parameters
    ----------
    hours : tuple of float
        Lengths of intervals, falling, for which the parameters hold.
    one_sided : tuple of float
        Probability p of each.
    concentration : tuple of float
        Parameter a of each: 1 is any share alike, more is nearer to halves.

    Raises
    ------
    InputError
        If lengths differ or do not fall, a probability is none, or a is not positive.

    Notes
    -----
    The defaults were fitted with `fit_cascade` to one year of gauge data at a humid
    continental site (Bondville, Illinois, 1998; 926 mm in half hours): convective
    rain of a mid-latitude plain. Fit your own where there are hourly data. Rain is
    shared out place by place: neighbours do not rain in the same hours.

    References
    ----------
    Molnar & Burlando (2005), Atmospheric Research 77, 137-151; Olsson (1998), Hydrol.
    Earth Syst. Sci. 2, 19-30.
    """

    hours: tuple[float, ...] = (24.0, 12.0, 6.0, 3.0, 2.0)
    one_sided: tuple[float, ...] = (0.63, 0.48, 0.50, 0.47, 0.44)
    concentration: tuple[float, ...] = (0.9, 1.1, 1.8, 1.7, 2.6)

    def __post_init__(self) -> None:
        if not len(self.hours) == len(self.one_sided) == len(self.concentration) > 0:
            raise InputError(
                "a cascade needs as many lengths as probabilities and concentrations, "
                f"got {len(self.hours)}, {len(self.one_sided)}, "
                f"{len(self.concentration)}"
            )
        if any(x <= 0.0 for x in self.hours) or any(np.diff(self.hours) >= 0.0):
            raise InputError(f"hours={self.hours} must fall and be positive")
        if not all(0.0 <= p <= 1.0 for p in self.one_sided):
            raise InputError(f"one_sided={self.one_sided} are no probabilities")
        if not all(a > 0.0 for a in self.concentration):
            raise InputError(f"concentration={self.concentration} must be positive")

    def at(self, hours: float) -> tuple[float, float]:
        """Return probability and concentration of an interval's length in h."""
        place = np.log(self.hours[::-1])
        return (
            float(np.interp(np.log(hours), place, self.one_sided[::-1])),
            float(np.interp(np.log(hours), place, self.concentration[::-1])),
        )

    def split(
        self, total: np.ndarray, keys: np.ndarray, days: np.ndarray, steps: int
    ) -> np.ndarray:
        """Share out daily amounts.

        Parameters
        ----------
        total : numpy.ndarray, shape (..., days)
            Amount or mean rate of each day.
        keys : numpy.ndarray of uint64, shape (...)
            Identity of each place and the seed; see `place_keys`.
        days : numpy.ndarray of int, shape (days,)
            Identity of each day.
        steps : int
            Steps of a day.

        Returns
        -------
        numpy.ndarray, shape (..., days * steps)
            For a rate, rates whose mean is that of the day.
        """
        result = np.zeros((*total.shape, steps))
        result[np.isnan(total)] = np.nan
        wet = total > 0.0
        seeds = _day_seeds(keys, days)[wet]
        result[wet] = self._split_days(total[wet], seeds, steps)
        return result.reshape(*total.shape[:-1], -1)

    def _split_days(
        self, total: np.ndarray, seeds: np.ndarray, steps: int
    ) -> np.ndarray:
        """Return the steps (n, steps) of wet days, each with its own seed."""
        from scipy.special import betaincinv

        result = np.empty((total.size, steps))
        parts = [(0, steps, total * steps)]
        node = 0
        while parts:
            begin, end, amount = parts.pop()
            if end - begin == 1:
                result[:, begin] = amount
                continue
            middle = begin + (end - begin) // 2
            share = (middle - begin) / (end - begin)
            one_sided, a = self.at(24.0 * (end - begin) / steps)
            node += 1
            lone, draw = (_uniform(seeds, 2 * node + i) for i in (0, 1))
            weight = (draw < share).astype(float)
            both = lone >= one_sided
            weight[both] = betaincinv(
                2.0 * a * share, 2.0 * a * (1.0 - share), draw[both]
            )
            first = amount * weight
            parts += [(begin, middle, first), (middle, end, amount - first)]
        return result


def place_keys(
    latitude: np.ndarray, longitude: np.ndarray, number: np.ndarray, seed: int
) -> np.ndarray:
    """Return what makes the random numbers of each place its own.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Degrees, of one shape.
    number : numpy.ndarray of int
        Position along dimensions that are no places, such as ensemble members.
    seed : int
        Of the whole.

    Returns
    -------
    numpy.ndarray of uint64
        Does not depend on which other places there are.
    """
    # Rounded, and without negative zero: the same place from two files is one place.
    keys = np.full(np.shape(latitude), seed & _MASK, np.uint64)
    for part in (latitude, longitude):
        bits = np.round(np.asarray(part, float) * 1e4).astype(np.int64)
        keys = _mix(keys ^ bits.view(np.uint64))
    return _mix(keys ^ np.asarray(number).astype(np.uint64))


def _mix(keys: np.ndarray) -> np.ndarray:
    """Scramble integers: the finaliser of SplitMix64 (Steele et al. 2014)."""
    shape = np.shape(keys)
    # Numbers alone would warn of the overflow that is meant.
    keys = np.atleast_1d(np.asarray(keys, np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (keys ^ (keys >> np.uint64(31))).reshape(shape)


def _day_seeds(keys: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return a seed of each place and day: (..., days)."""
    return _mix(keys[..., None] ^ _mix(days.astype(np.uint64)))


def mixed_uniform(keys: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return a random number in (0, 1) of each place and day.

    Parameters
    ----------
    keys : numpy.ndarray of uint64, shape (...)
        See `place_keys`.
    days : numpy.ndarray of int, shape (days,)
        Identity of each day.

    Returns
    -------
    numpy.ndarray, shape (..., days)
        The same for the same key and day, whatever else there is.
    """
    return _uniform(_day_seeds(keys, days), 0)


def _uniform(seeds: np.ndarray, draw: int) -> np.ndarray:
    """Return the numbers in (0, 1) that belong to the seeds and a draw."""
    bits = _mix(seeds ^ _mix(np.full(1, draw, np.uint64)))
    return ((bits >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def fit_cascade(rain: xr.DataArray) -> RainCascade:
    """Fit a cascade to rain of short steps.

    Parameters
    ----------
    rain : xarray.DataArray
        Along ``time`` in even steps that divide a day, from a midnight on, in units
        of a precipitation rate; other dimensions are pooled.

    Returns
    -------
    RainCascade
        Of the lengths a day splits into by halves, down to two steps.

    Raises
    ------
    InputError
        If the steps do not divide a day into two at least, or a length has fewer than
        30 intervals with rain in both halves.
    """
    from tilth.forcing.variables import convert_forcing

    rate = convert_forcing(rain, "mm h-1").transpose("time", ...)
    time = rate["time"].values
    gaps = np.diff(time)
    length: Any = gaps[0]
    hours = float(length / np.timedelta64(1, "h"))
    steps = round(24.0 / hours)
    if steps < 2 or abs(steps * hours - 24.0) > 1e-6 or (gaps != length).any():
        raise InputError(
            f"steps of {hours:g} h: a cascade is fitted to even steps that divide a day"
        )
    begin = time[0].astype("datetime64[D]")
    if begin != time[0]:
        raise InputError(f"the series begins at {time[0]}: cut it to begin at midnight")
    whole = rate.sizes["time"] // steps * steps
    values = rate.values[:whole].reshape(whole, -1).T.reshape(-1, steps) * hours
    found = []
    for size, intervals in _tree(steps).items():
        parts = [
            (values[:, a : a + size // 2].sum(axis=1), values[:, a:b].sum(axis=1))
            for a, b in intervals
        ]
        first, total = (np.concatenate(part) for part in zip(*parts, strict=True))
        enough = total >= _LEAST
        weight = first[enough] / total[enough]
        inside = weight[(weight > 1e-9) & (weight < 1.0 - 1e-9)]
        if inside.size < 30:
            raise InputError(
                f"{inside.size} intervals of {size * hours:g} h with at least {_LEAST} "
                "mm have rain in both parts; 30 are needed: give a longer record"
            )
        share = (size // 2) / size
        # Variance of Beta(2 a s, 2 a (1 - s)) around s: s (1 - s) / (2 a + 1).
        variance = float(((inside - share) ** 2).mean())
        a = max(0.5 * (share * (1.0 - share) / variance - 1.0), 0.05)
        found.append((size * hours, 1.0 - inside.size / weight.size, a))
    return RainCascade(*(tuple(column) for column in zip(*found, strict=True)))


def _tree(steps: int) -> dict[int, list[tuple[int, int]]]:
    """Return the intervals that are split on the way to steps, by falling length."""
    intervals: dict[int, list[tuple[int, int]]] = {}
    parts = [(0, steps)]
    while parts:
        begin, end = parts.pop()
        if end - begin > 1:
            intervals.setdefault(end - begin, []).append((begin, end))
            middle = begin + (end - begin) // 2
            parts += [(begin, middle), (middle, end)]
    return dict(sorted(intervals.items(), reverse=True))
