"""Rain of a day shared out as on an observed day like it: the method of fragments."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.fields.rain_cascade import mixed_uniform


@dataclass(frozen=True)
class RainAnalogs:
    """Observed days whose course of rain is lent to days without one.

    For each wet day, the `nearest` observed wet days in amount (their ratio) within
    `window` days of the time of year are looked up, and the course of one of them,
    chosen at random, is scaled to the total. Places keep apart.

    Parameters
    ----------
    courses : numpy.ndarray, shape (places, observed days, steps)
        Share of each step in the rain of the day, 0 throughout where unknown or dry.
    totals : numpy.ndarray, shape (places, observed days)
        Amount of each day, mm; NaN where unknown.
    day_of_year : numpy.ndarray of int, shape (observed days,)
        1 to 366.
    nearest : int
        From how many days one is chosen.
    window : int
        Days before and after.

    References
    ----------
    Wojcik & Buishand (2003), Journal of Hydrology 273, 69-80; Pui et al. (2012),
    Journal of Hydrology 470, 138-157.
    """

    courses: np.ndarray
    totals: np.ndarray
    day_of_year: np.ndarray
    nearest: int = 10
    window: int = 30

    def __post_init__(self) -> None:
        if self.nearest < 1 or not 0 <= self.window <= 183:
            raise InputError(
                f"nearest={self.nearest}, window={self.window}: at least one day, and "
                "a window of 0 to 183 days"
            )

    def split(
        self,
        total: np.ndarray,
        keys: np.ndarray,
        days: np.ndarray,
        place: np.ndarray,
        day_of_year: np.ndarray,
    ) -> np.ndarray:
        """Share out daily amounts.

        Parameters
        ----------
        total : numpy.ndarray, shape (..., days)
            Mean rate of each day, mm day-1.
        keys : numpy.ndarray of uint64, shape (...)
            Identity of each place and the seed.
        days : numpy.ndarray of int, shape (days,)
            Identity of each day.
        place : numpy.ndarray of int, shape (...)
            Which of the places of `courses` each is.
        day_of_year : numpy.ndarray of int, shape (days,)
            Of each day.

        Returns
        -------
        numpy.ndarray, shape (..., days * steps)
            Rates whose mean is that of the day. A day like no observed one (no wet day
            in its window) rains evenly.
        """
        steps = self.courses.shape[-1]
        flat = total.reshape(-1, total.shape[-1])
        draws = mixed_uniform(keys.reshape(-1), days)
        result = np.empty((*flat.shape, steps))
        _lend(
            np.ascontiguousarray(flat), draws, place.reshape(-1), day_of_year,
            self.courses, self.totals, self.day_of_year, self.nearest, self.window,
            result,
        )  # fmt: skip
        return result.reshape(*total.shape[:-1], -1)


@numba.njit(cache=True, nogil=True)
def _lend(
    total, draws, place, day_of_year, courses, totals, observed_day, nearest, window,
    result,
):  # fmt: skip # pragma: no cover - compiled
    """Fill in the rates of cells (n, days, steps)."""
    cells, days, steps = result.shape
    distance = np.empty(nearest)
    lender = np.empty(nearest, np.int64)
    for cell in range(cells):
        known = totals[place[cell]]
        for day in range(days):
            amount = total[cell, day]
            found = 0
            for other in range(observed_day.size):
                apart = abs(observed_day[other] - day_of_year[day])
                if not (amount > 0.0 and known[other] > 0.0):
                    continue
                if min(apart, 366 - apart) > window:
                    continue
                away = abs(np.log(known[other] / amount))
                if found == nearest and away >= distance[found - 1]:
                    continue
                # Into its place among the nearest so far; the furthest drops out.
                at = min(found, nearest - 1)
                found = min(found + 1, nearest)
                while at > 0 and distance[at - 1] > away:
                    distance[at] = distance[at - 1]
                    lender[at] = lender[at - 1]
                    at -= 1
                distance[at] = away
                lender[at] = other
            if found == 0:
                result[cell, day] = amount
                continue
            chosen = lender[int(draws[cell, day] * found)]
            result[cell, day] = amount * steps * courses[place[cell], chosen]


def observed_courses(
    rain: xr.DataArray, *, nearest: int = 10, window: int = 30
) -> RainAnalogs:
    """Return the courses of observed days.

    Parameters
    ----------
    rain : xarray.DataArray
        Precipitation rate along ``time`` in even steps that divide a day, from a
        midnight on; other dimensions are places, in the order of the days to be shared
        out.
    nearest, window : int
        See `RainAnalogs`.

    Returns
    -------
    RainAnalogs
        Of all whole days; days with gaps lend nothing.

    Raises
    ------
    InputError
        If steps are uneven or do not divide a day, or no day is wet.
    """
    from tilth.forcing.variables import convert_forcing

    rate = convert_forcing(rain, "mm day-1").transpose(..., "time")
    time = rate["time"]
    steps = int((time.dt.floor("D") == time.dt.floor("D")[0]).sum())
    whole = time.size // steps * steps
    first = time.dt.floor("D").values[:whole].reshape(-1, steps)
    begins = bool(time.values[0] == time.dt.floor("D").values[0])
    if steps < 2 or not whole or not begins or (first != first[:, :1]).any():
        raise InputError(
            "observed rain needs even steps that divide a day, beginning at midnight"
        )
    values = rate.values[..., :whole].reshape(-1, whole // steps, steps)
    totals = values.mean(axis=-1)
    wet = totals > 0.0
    if not wet.any():
        raise InputError("no day of the observed rain is wet and without gaps")
    scale = np.where(wet, totals * steps, 1.0)[..., None]
    courses = np.where(wet[..., None], values / scale, 0.0)
    day_of_year = time.dt.dayofyear.values[:whole:steps]
    return RainAnalogs(courses, totals, day_of_year, nearest, window)
