"""Thaw seasons of a record of air temperature: beginning, end and warmth."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.core.units import convert
from tilth.physics.thaw import freeze_index, thaw_index

_DAY = np.timedelta64(1, "D")


class _Season(NamedTuple):
    """One season: its year, and positions of its first days of thaw and of frost."""

    year: int
    onset: int
    freeze: int
    end: int


def degree_days(temperature: xr.DataArray, *, southern: bool = False) -> xr.Dataset:
    """Thaw and freeze index of every day, counted anew every year.

    A season is the part of its year over which the temperature, counted from 0 degC,
    sums up to most: warm days of April between colder ones are not its beginning. The
    thaw index counts from there up to the first day of freeze-up, the freeze index from
    then on to the end of the year.

    Parameters
    ----------
    temperature : xarray.DataArray
        Of the air, daily means along ``time`` without gaps, with units.
    southern : bool
        Whether years go from July to June, named by their January.

    Returns
    -------
    xarray.Dataset
        Along ``time``: ``thaw_index``, ``freeze_index`` (K day, at the end of the day),
        ``season`` (its year, 0 where the record begins within it). Along ``year``:
        ``thaw_onset``, ``freeze_onset`` (first days of thaw and of freeze-up; NaT
        where the record ends before), ``thaw_total``, ``freeze_total`` (K day).

    Raises
    ------
    InputError
        If a day is missing, or no year has a thaw season.

    References
    ----------
    Boyd (1976), Can. Geotech. J. 13, 176-180 (seasons by the summed temperature).
    """
    days = temperature["time"].values.astype("datetime64[D]")
    kelvin = convert(temperature, "K").values.astype(float)
    _require_every_day(days, kelvin)
    label = days.astype("datetime64[Y]").astype(int) + 1970
    if southern:
        label = label + (pd.DatetimeIndex(days).month.to_numpy() >= 7)
    seasons = [
        season
        for year in np.unique(label)
        if (season := _season(int(year), np.flatnonzero(label == year), kelvin))
    ]
    if not seasons:
        raise InputError(
            "no year of the record has a thaw season from its beginning: air "
            "temperature of the winter before is needed"
        )
    of_day = np.zeros(days.size, int)
    thawing, thawed, freezing = (np.zeros(days.size, bool) for _ in range(3))
    for season in seasons:
        thawing[season.onset : season.freeze] = True
        thawed[season.onset : season.end] = True
        freezing[season.freeze : season.end] = True
        of_day[label == season.year] = season.year
    warm = np.where(thawing, kelvin, ZERO_CELSIUS)
    cold = np.where(freezing, kelvin, ZERO_CELSIUS)
    thaw = np.where(thawed, _of_year(thaw_index(warm), label), 0.0)
    freeze = np.where(freezing, _of_year(freeze_index(cold), label), 0.0)
    after = [s.freeze < s.end for s in seasons]
    onset = [days[s.onset] for s in seasons]
    frost = [
        days[s.freeze] if known else np.datetime64("NaT", "D")
        for s, known in zip(seasons, after, strict=True)
    ]
    about = {"units": "K day"}
    return xr.Dataset(
        {
            "thaw_index": ("time", thaw, about),
            "freeze_index": ("time", freeze, about),
            "season": ("time", of_day, {"long_name": "year of the thaw season"}),
            "thaw_onset": ("year", np.array(onset, "datetime64[ns]")),
            "freeze_onset": ("year", np.array(frost, "datetime64[ns]")),
            "thaw_total": ("year", [thaw[s.freeze - 1] for s in seasons], about),
            "freeze_total": ("year", [freeze[s.end - 1] for s in seasons], about),
        },
        {"time": temperature["time"].values, "year": [s.year for s in seasons]},
    )


def _require_every_day(days: np.ndarray, kelvin: np.ndarray) -> None:
    """Raise unless there is one value for every day."""
    if days.size < 2:
        raise InputError("degree-days need a record of daily temperature")
    steps = np.diff(days)
    if (steps != _DAY).any():
        i = int(np.argmax(steps != _DAY))
        raise InputError(
            f"air temperature goes from {days[i]} to {days[i + 1]}: degree-days need "
            "one mean for every day; take it from another record where one is missing"
        )
    missing = ~np.isfinite(kelvin)
    if missing.any():
        raise InputError(
            f"air temperature of {days[np.argmax(missing)]} is missing "
            f"({missing.sum()} days in all): take it from another record"
        )


def _of_year(index: Any, label: np.ndarray) -> np.ndarray:
    """Return an index of a whole record, K s, counted anew each year, K day."""
    total = np.asarray(index) / SECONDS_PER_DAY
    first = np.searchsorted(label, label)
    before = np.where(first > 0, total[first - 1], 0.0)
    # The sum of a whole record leaves the last digits of a year's open.
    return np.maximum(total - before, 0.0)


def _season(year: int, own: np.ndarray, kelvin: np.ndarray) -> _Season | None:
    """Return the season of a year; None for none, or one whose beginning is unknown."""
    excess = kelvin[own] - ZERO_CELSIUS
    # The part with the largest sum (Kadane): its sum so far, begun anew below zero.
    best, total = 0.0, 0.0
    first, onset, last = 0, 0, -1
    for i, value in enumerate(excess):
        if total <= 0.0:
            total, first = 0.0, i
        total += value
        if total > best:
            best, onset, last = total, first, i
    if last < 0:
        return None
    whole = own.size >= 365
    if onset == 0 and not whole:
        return None
    begin = int(own[0])
    return _Season(year, begin + onset, begin + last + 1, int(own[-1]) + 1)
