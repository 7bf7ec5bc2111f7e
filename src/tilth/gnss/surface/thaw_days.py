"""Days of a thaw fit: what is known of each, what speaks against it, its columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.surface.elevation import FEWEST_SEASONS

_YEAR = 365.25


def known_of_days(
    change: xr.Dataset,
    air: xr.Dataset,
    moisture: xr.DataArray | None,
    snow: xr.DataArray | None,
) -> pd.DataFrame:
    """Return what is known of each day.

    Parameters
    ----------
    change : xarray.Dataset
        Of `tilth.gnss.surface.elevation.surface_change`.
    air : xarray.Dataset
        Of `tilth.gnss.surface.seasons.degree_days`.
    moisture, snow : xarray.DataArray, optional
        Of the soil, m3 m-3; whether snow lies.

    Returns
    -------
    pandas.DataFrame
        By day: ``z`` (m), ``weight`` (variance, relative), ``thaw_index`` and
        ``freeze_index`` (K day), ``season``, ``day`` and ``years`` since the first;
        ``moisture`` and ``snow`` if given.

    Raises
    ------
    InputError
        If days repeat or are not in order.
    """
    days = pd.DatetimeIndex(change["time"].values).floor("D")
    rows = pd.DataFrame({"z": change["surface_change"].values.astype(float)}, days)
    if rows.index.has_duplicates or not rows.index.is_monotonic_increasing:
        raise InputError("changes of the surface need one value per day, in order")
    weight = np.ones(days.size)
    if "surface_change_se" in change:
        se = change["surface_change_se"].values.astype(float)
        typical = np.nanmedian(se)
        if np.isfinite(typical) and typical > 0:
            # A day of very many arcs is not much better than others: half the median.
            weight = np.maximum(np.where(np.isnan(se), typical, se) / typical, 0.5) ** 2
    rows["weight"] = weight
    known = pd.DatetimeIndex(air["time"].values).floor("D")
    for name in ("thaw_index", "freeze_index", "season"):
        rows[name] = pd.Series(air[name].values, known).reindex(days).to_numpy()
    for label, given in (("moisture", moisture), ("snow", snow)):
        if given is not None:
            when = pd.DatetimeIndex(given["time"].values).floor("D")
            series = pd.Series(given.values, when).reindex(days)
            rows[label] = series.to_numpy()
    day = (days - days[0]) / pd.Timedelta("1D")
    rows["day"] = day.to_numpy()
    rows["years"] = rows["day"] / _YEAR
    return rows


def left_out(
    rows: pd.DataFrame, freeze_up: bool, refrozen: float, moist: bool
) -> dict[str, np.ndarray]:
    """Return the reasons against days.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `known_of_days`.
    freeze_up : bool
        Whether days of freeze-up take part.
    refrozen : float
        Freeze index over that of the thaw at which the ground has frozen again.
    moist : bool
        Whether soil moisture is needed.

    Returns
    -------
    dict of str to numpy.ndarray of bool
        Meaning of `tilth.gnss.surface.elevation.THAW` -> where it holds.
    """
    thaw, freeze = rows["thaw_index"].to_numpy(), rows["freeze_index"].to_numpy()
    unknown = ~(rows["season"].to_numpy() > 0)
    back = freeze > refrozen * np.maximum(thaw, 1e-9)
    outside = ~(thaw > 0)
    if not freeze_up:
        outside |= freeze > 0
    flags = {
        "no_height": ~np.isfinite(rows["z"].to_numpy()),
        "no_temperature": unknown,
        "not_thawing": ~unknown & outside,
        "refrozen": ~unknown & ~outside & back,
    }
    if "snow" in rows:
        flags["snow"] = rows["snow"].to_numpy() == 1
    if moist:
        flags["no_moisture"] = rows["moisture"].isna().to_numpy()
    return flags


def design_columns(
    rows: pd.DataFrame,
    kept: np.ndarray,
    air: xr.Dataset,
    amplitude: str,
    freeze_up: bool,
    steps: Sequence[str | np.datetime64],
) -> pd.DataFrame:
    """Return the columns of the model on all days; what is not known is zero.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `known_of_days`.
    kept : numpy.ndarray of bool
        Days that take part.
    air : xarray.Dataset
        Of `tilth.gnss.surface.seasons.degree_days`.
    amplitude : {"shared", "yearly"}
        Of the subsidence.
    freeze_up : bool
        Whether days of freeze-up take part.
    steps : sequence of datetime64
        First days with another antenna.

    Returns
    -------
    pandas.DataFrame
        One column per coefficient.

    Raises
    ------
    InputError
        If no day takes part.
    """
    season = rows["season"].to_numpy()
    seasons = np.unique(season[kept])
    if not kept.sum():
        raise InputError(
            "no day of the record lies in a thaw season of the temperature: do they "
            "cover the same years, and is it a place that thaws?"
        )
    totals = pd.Series(air["thaw_total"].values, air["year"].values)
    mean_total = float(totals[seasons].mean())
    middle = rows["years"].to_numpy()[kept].mean()
    columns = {"level": np.ones(len(rows))}
    if seasons.size >= FEWEST_SEASONS:
        columns["trend"] = rows["years"].to_numpy() - middle
    else:
        columns = {
            f"level_{int(year)}": (season == year).astype(float) for year in seasons
        }
    root = np.sqrt(np.nan_to_num(rows["thaw_index"].to_numpy()))
    if amplitude == "shared":
        columns["subsidence"] = -root / np.sqrt(mean_total)
    else:
        for year in seasons:
            own = np.where(season == year, root / np.sqrt(totals[year]), 0.0)
            columns[f"subsidence_{int(year)}"] = -own
    if freeze_up:
        cold = np.sqrt(np.nan_to_num(rows["freeze_index"].to_numpy()))
        if cold[kept].any():
            columns["heave"] = cold / np.sqrt(mean_total)
    if "moisture" in rows:
        wet = rows["moisture"].to_numpy()
        columns["moisture_effect"] = np.nan_to_num(wet - wet[kept].mean())
    for step in steps:
        date = pd.Timestamp(step)
        columns[f"step_{date:%Y-%m-%d}"] = (rows.index >= date).astype(float)
    return pd.DataFrame(columns, rows.index)
