"""Quality of station records: values that cannot be, flagged and never removed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable, count_flags
from tilth.forcing.variables import convert_forcing, find_variable

#: What `check_stations` looks for.
RULES = FlagTable(
    {
        "tasmin_too_high": "lowest temperature of the day above the limit",
        "tasmax_too_high": "highest temperature of the day above the limit",
        "tasmin_above_tasmax": "lowest temperature above the highest",
        "mean_outside": "mean temperature not between lowest and highest",
        "negative": "precipitation, humidity, wind or radiation below zero",
        "humidity_too_high": "relative humidity above 100 %",
        "too_much_rain": "more precipitation than was ever measured in a day",
        "stuck": "the same value for many days, which weather does not do",
    }
)

#: Rounding to tenths of a degree can put two readings this far out of order, K.
TOLERANCE = 0.05

#: Record of a day, mm: Foc-Foc, La Reunion, 1966 (WMO archive of extremes).
MOST_RAIN = 1825.0

_TEMPERATURES = ("tas", "tasmin", "tasmax")
_NOT_NEGATIVE = ("pr", "hurs", "sfcWind", "rsds")


def check_stations(
    data: xr.Dataset,
    *,
    highest_tasmin: float = 35.0,
    highest_tasmax: float = 45.0,
    stuck_days: int = 10,
) -> xr.DataArray:
    """Flag values of daily station records that cannot be or are most unlikely.

    Parameters
    ----------
    data : xarray.Dataset
        Daily, with ``time``; variables under any name of
        `tilth.forcing.variables.find_variable`, with ``units``. Others are passed over.
    highest_tasmin, highest_tasmax : float, default 35 and 45
        Limits in degC for the climate of the stations; the defaults are for central
        Europe (its record is 41.2 degC, Duisburg, 2019).
    stuck_days : int, default 10
        Days with the very same mean, lowest or highest temperature in sequence that
        are too many.

    Returns
    -------
    xarray.DataArray of int32
        ``quality``, bits of `RULES` for each day and station; 0 where nothing is
        wrong or nothing is known.

    Raises
    ------
    InputError
        If no variable is known, two stand for the same one, or units are absent.
    """
    if stuck_days < 2:
        raise InputError(f"stuck_days={stuck_days}: a sequence has two days at least")
    known = _known(data)
    raised: list[tuple[str, xr.DataArray]] = []
    for name, limit in (("tasmin", highest_tasmin), ("tasmax", highest_tasmax)):
        if name in known:
            raised.append((f"{name}_too_high", known[name] > limit))
    if {"tasmin", "tasmax"} <= known.keys():
        above = known["tasmin"] > known["tasmax"] + TOLERANCE
        raised.append(("tasmin_above_tasmax", above))
    if "tas" in known:
        outside = xr.zeros_like(known["tas"], bool)
        if "tasmin" in known:
            outside = outside | (known["tas"] < known["tasmin"] - TOLERANCE)
        if "tasmax" in known:
            outside = outside | (known["tas"] > known["tasmax"] + TOLERANCE)
        raised.append(("mean_outside", outside))
    raised += [
        ("negative", known[name] < 0.0) for name in _NOT_NEGATIVE if name in known
    ]
    if "hurs" in known:
        raised.append(("humidity_too_high", known["hurs"] > 100.0))
    if "pr" in known:
        raised.append(("too_much_rain", known["pr"] > MOST_RAIN))
    raised += [
        ("stuck", _stuck(known[name], stuck_days))
        for name in _TEMPERATURES
        if name in known
    ]
    flags = xr.DataArray(np.int32(0))
    for meaning, where in raised:
        flags = flags | where.drop_attrs() * np.int32(RULES.bit(meaning))
    order = next(iter(known.values())).dims
    quality = flags.astype("int32").transpose(*order).rename("quality")
    return quality.assign_attrs(
        {"long_name": "quality of the station record", **RULES.attrs()}
    )


def flag_table(quality: xr.DataArray) -> pd.DataFrame:
    """List every flagged day of every station.

    Parameters
    ----------
    quality : xarray.DataArray
        What `check_stations` returned.

    Returns
    -------
    pandas.DataFrame
        Columns of the dimensions (day, station) and ``reasons``, words of `RULES`
        separated by blanks; empty where nothing is flagged.
    """
    values = quality.values
    where = np.argwhere(values != 0)
    columns: dict[str, list[object]] = {
        str(dim): [quality[dim].values[i] for i in where[:, axis]]
        if dim in quality.coords
        else where[:, axis].tolist()
        for axis, dim in enumerate(quality.dims)
    }
    columns["reasons"] = [
        " ".join(w for w in RULES.descriptions if values[tuple(at)] & RULES.bit(w))
        for at in where
    ]
    return pd.DataFrame(columns)


def flag_counts(quality: xr.DataArray) -> pd.Series:
    """Count how often each rule of `RULES` is broken, and how often none.

    Parameters
    ----------
    quality : xarray.DataArray
        What `check_stations` returned.

    Returns
    -------
    pandas.Series
        ``total``, ``clean`` and every meaning.
    """
    return count_flags(quality)


def _known(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the variables that rules are about, in degC, mm day-1, % and so on."""
    known: dict[str, xr.DataArray] = {}
    for array in data.data_vars.values():
        try:
            variable = find_variable(str(array.name))
        except InputError:
            continue
        if "time" not in array.dims:
            continue
        if variable.name in known:
            raise InputError(
                f"{array.name} and another variable of the records both stand for "
                f"{variable.name}: drop one"
            )
        units = {"K": "degC", "kg m-2 s-1": "mm day-1"}.get(
            variable.units, variable.units
        )
        known[variable.name] = convert_forcing(array, units).reset_coords(drop=True)
    if not known:
        raise InputError(
            "the records hold no variable of the forcing; they hold "
            f"{', '.join(map(str, data.data_vars)) or 'nothing'}"
        )
    return known


def _stuck(values: xr.DataArray, days: int) -> xr.DataArray:
    """Return where a value belongs to so many equal ones in sequence or more."""
    axis = values.get_axis_num("time")
    series = np.moveaxis(values.values, axis, -1)
    same = series[..., 1:] == series[..., :-1]
    # Length of the run of equal values each day is in, by the changes around it.
    count = series.shape[-1]
    place = np.arange(count)
    new = np.concatenate([np.ones_like(same[..., :1]), ~same], axis=-1)
    begin = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
    last = np.concatenate([~same, np.ones_like(same[..., :1])], axis=-1)
    end = np.minimum.accumulate(np.where(last, place, count)[..., ::-1], axis=-1)
    stuck = end[..., ::-1] - begin + 1 >= days
    return values.copy(data=np.moveaxis(stuck, -1, axis))
