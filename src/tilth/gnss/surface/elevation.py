"""Change of the surface's height, by that of the antenna above it, and plain trends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables

#: Why a day takes no part in the fit.
THAW = FlagTable(
    {
        "no_height": "no reflector height on this day",
        "no_position": "no displacement of the antenna on this day",
        "no_temperature": "no thaw index: the record of temperature does not have it",
        "not_thawing": "before the thaw, or after it where freeze-up takes no part",
        "refrozen": "the thawed layer has frozen again",
        "snow": "said to be covered with snow",
        "no_moisture": "no soil moisture on this day",
        "outlier": "far from the fit, by the scatter of the other days",
    }
)

#: Seasons that a trend needs: with two, errors of the years cannot be told from it.
FEWEST_SEASONS = 3


def surface_change(
    heights: xr.Dataset, position: xr.Dataset | None = None
) -> xr.Dataset:
    r"""Change of the surface's height by that of the antenna above it.

    .. math:: \Delta z = \Delta U_\mathrm{antenna} - \Delta H

    Parameters
    ----------
    heights : xarray.Dataset
        Along ``time``: ``reflector_height`` (m) and, if known, its ``_se``; of one
        signal, or with the offsets between signals removed.
    position : xarray.Dataset, optional
        Along ``time``: ``up`` (m) and, if known, ``up_se``, of the same antenna.
        Without it the antenna is taken to stand still: true only of a monument
        anchored in bedrock, or below all ground that heaves.

    Returns
    -------
    xarray.Dataset
        Along the ``time`` of heights: ``surface_change`` (m, from the mean of all
        days), ``surface_change_se`` where errors are known, ``quality_flag``; the
        attribute ``antenna`` says what it was taken to do.

    Raises
    ------
    InputError
        If no day has both.

    References
    ----------
    Liu & Larson (2018), Cryosphere 12, 477-489.
    """
    require_variables(heights, ("time", "reflector_height"), "daily heights")
    days = heights["time"].values.astype("datetime64[D]")
    height = heights["reflector_height"].values.astype(float)
    variance = np.full(height.size, np.nan)
    if "reflector_height_se" in heights:
        variance = heights["reflector_height_se"].values.astype(float) ** 2
    up, how = np.zeros(height.size), "taken to stand still"
    if position is not None:
        require_variables(position, ("time", "up"), "positions of the antenna")
        known = pd.DataFrame({"up": position["up"].values.astype(float)})
        known["se"] = position["up_se"].values if "up_se" in position else np.nan
        known.index = pd.DatetimeIndex(position["time"].values).floor("D")
        # Of a repeated day (a rapid and a final solution) the last one holds.
        known = known[~known.index.duplicated(keep="last")]
        known = known.reindex(pd.DatetimeIndex(days))
        up, how = known["up"].to_numpy(), "displacement from positions"
        variance = variance + np.nan_to_num(known["se"].to_numpy()) ** 2
    change = up - height
    if not np.isfinite(change).any():
        raise InputError("no day has both a reflector height and a position")
    flag = THAW.variable(
        {"no_height": np.isnan(height), "no_position": np.isnan(up)}, height.shape
    )
    found = xr.Dataset(
        {
            "surface_change": (
                "time",
                change - np.nanmean(change),
                {"units": "m", "long_name": "height of the surface, from its mean"},
            ),
            "quality_flag": ("time", flag, THAW.attrs()),
        },
        {"time": heights["time"]},
        {"antenna": how},
    )
    if np.isfinite(variance).any():
        found["surface_change_se"] = "time", np.sqrt(variance), {"units": "m"}
    return found


def annual_trend(
    change: xr.Dataset, days: tuple[int, int] = (182, 243)
) -> tuple[float, float]:
    """Trend by the mean of each season, weighted: the way of first publications.

    Its standard error takes days for independent. Where summers have their own scatter,
    or neighbouring days share theirs, it is several times too small; `fit_thaw` says
    what it is.

    Parameters
    ----------
    change : xarray.Dataset
        Of `surface_change`.
    days : (int, int)
        First and last day of the year of the season, July and August by default.

    Returns
    -------
    trend : float
        m yr-1.
    se : float
        m yr-1, by the standard errors of the means alone.

    Raises
    ------
    InputError
        If fewer than three seasons have five days.

    References
    ----------
    Liu & Larson (2018), Cryosphere 12, 477-489.
    """
    time = pd.DatetimeIndex(change["time"].values)
    rows = pd.DataFrame({"z": change["surface_change"].values, "year": time.year})
    inside = (time.day_of_year >= days[0]) & (time.day_of_year <= days[1])
    seasons = rows[inside].dropna().groupby("year")["z"].agg(["mean", "std", "count"])
    seasons = seasons[seasons["count"] >= 5]
    if len(seasons) < FEWEST_SEASONS:
        raise InputError(
            f"{len(seasons)} seasons have five days between {days[0]} and {days[1]}: "
            f"a trend needs {FEWEST_SEASONS}"
        )
    weight = (seasons["count"] / seasons["std"] ** 2).to_numpy()
    year = seasons.index.to_numpy(float)
    year = year - np.average(year, weights=weight)
    spread = (weight * year**2).sum()
    trend = (weight * year * seasons["mean"].to_numpy()).sum() / spread
    return float(trend), float(spread**-0.5)
