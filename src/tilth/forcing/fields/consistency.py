"""Weather that cannot be, made possible: bounds of physics, every change flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable, count_flags
from tilth.forcing.fields.sunlight import top_of_atmosphere

#: What `make_consistent` can change.
CHANGES = FlagTable(
    {
        "negative_precipitation": "precipitation below zero was set to zero",
        "too_much_snow": "snowfall above precipitation was set to it",
        "temperature_order": "lowest and highest temperature were put around the mean",
        "humidity_below_zero": "humidity below zero was set to zero",
        "supersaturated": "humidity above saturation over water was set to it",
        "negative_shortwave": "shortwave radiation below zero was set to zero",
        "above_the_sun": "shortwave radiation above that outside the air was set to it",
        "negative_wind": "wind speed below zero was set to zero",
        "negative_longwave": "longwave radiation below zero was set to zero",
    }
)


def make_consistent(data: xr.Dataset, *, seconds: float = 86400.0) -> xr.Dataset:
    """Bring weather within the bounds that physics sets, and say where that was needed.

    Fluxes and speeds are not negative; snow is part of the precipitation; relative
    humidity is at most 100 %; the mean temperature lies between lowest and highest
    (which give way to it); shortwave radiation does not exceed that at the top of the
    atmosphere. Gaps stay gaps.

    Parameters
    ----------
    data : xarray.Dataset
        Variables of `tilth.forcing.variables.VARIABLES` in those units, with ``time``
        (beginning of each step, UTC). Coordinates ``lat`` and ``lon`` in degrees where
        there is ``rsds``; ``tas`` and ``ps`` where there is ``huss``.
    seconds : float, default 86400
        Length of a step.

    Returns
    -------
    xarray.Dataset
        The same variables and ``changed``, flags of `CHANGES`; see `changes_made`.

    Raises
    ------
    InputError
        If what a bound needs is absent.
    """
    result = data.copy()
    raised: list[tuple[str, xr.DataArray]] = []

    def bound(name: str, meaning: str, lower: Any = None, upper: Any = None) -> None:
        values = result[name]
        wrong = values < lower if upper is None else values > upper
        raised.append((meaning, wrong))
        limit = lower if upper is None else upper
        fixed = xr.where(wrong, limit, values).transpose(*values.dims)
        result[name] = fixed.assign_attrs(values.attrs)

    for name, meaning in _NOT_NEGATIVE:
        if name in result:
            bound(name, meaning, lower=0.0)
    if "prsn" in result and "pr" in result:
        bound("prsn", "too_much_snow", upper=result["pr"])
    if "hurs" in result:
        bound("hurs", "supersaturated", upper=100.0)
    if "huss" in result:
        _require(result, ("tas", "ps"), "huss")
        bound("huss", "supersaturated", upper=saturation(result["tas"], result["ps"]))
    if "tdps" in result and "tas" in result:
        bound("tdps", "supersaturated", upper=result["tas"])
    if "rsds" in result:
        _require(result, ("lat", "lon"), "rsds")
        sun = top_of_atmosphere(result["time"], result["lat"], result["lon"], seconds)
        bound("rsds", "above_the_sun", upper=sun)
    raised.append(("temperature_order", _order_temperatures(result)))
    result["changed"] = _flags(raised, result)
    return result


_NOT_NEGATIVE = (
    ("pr", "negative_precipitation"),
    ("prsn", "negative_precipitation"),
    ("huss", "humidity_below_zero"),
    ("hurs", "humidity_below_zero"),
    ("rsds", "negative_shortwave"),
    ("rlds", "negative_longwave"),
    ("sfcWind", "negative_wind"),
)


def changes_made(consistent: xr.Dataset) -> pd.Series:
    """Count how often `make_consistent` changed something.

    Parameters
    ----------
    consistent : xarray.Dataset
        What it returned.

    Returns
    -------
    pandas.Series
        ``total``, ``clean`` and every meaning of `CHANGES`.
    """
    return count_flags(consistent["changed"].compute())


def saturation(temperature: xr.DataArray, pressure: xr.DataArray) -> xr.DataArray:
    """Most that air can hold, as specific humidity over water.

    Parameters
    ----------
    temperature, pressure : xarray.DataArray
        K and Pa.

    Returns
    -------
    xarray.DataArray
        kg kg-1; lazy where an argument is.
    """
    return xr.apply_ufunc(
        _saturation, temperature, pressure, dask="parallelized", output_dtypes=[float]
    )


def _saturation(temperature: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    from tilth.physics.moist_air import saturation_specific_humidity

    return np.asarray(saturation_specific_humidity(temperature, pressure))


def _require(data: xr.Dataset, names: tuple[str, ...], purpose: str) -> None:
    missing = [name for name in names if name not in data.variables]
    if missing:
        raise InputError(
            f"the bounds of {purpose} need {', '.join(missing)}: add "
            f"{'it' if len(missing) == 1 else 'them'}, or leave {purpose} out"
        )


def _order_temperatures(result: xr.Dataset) -> xr.DataArray:
    """Put lowest and highest temperature in order around the mean, in place."""
    wrong = xr.DataArray(False)
    if "tasmin" in result and "tasmax" in result:
        low, high = result["tasmin"], result["tasmax"]
        wrong = low > high
        result["tasmin"] = xr.where(wrong, high, low).assign_attrs(low.attrs)
        result["tasmax"] = xr.where(wrong, low, high).assign_attrs(high.attrs)
    if "tas" not in result:
        return wrong
    mean = result["tas"]
    for name, beyond in (("tasmin", np.greater), ("tasmax", np.less)):
        if name in result:
            bound = result[name]
            over = beyond(bound, mean)
            result[name] = xr.where(over, mean, bound).assign_attrs(bound.attrs)
            wrong = wrong | over
    return wrong


def _flags(raised: list[tuple[str, xr.DataArray]], result: xr.Dataset) -> xr.DataArray:
    """Return all that was changed as one variable of bits."""
    flags = xr.DataArray(np.int32(0))
    for meaning, where in raised:
        flags = flags | where * np.int32(CHANGES.bit(meaning))
    sizes = [dim for array in result.data_vars.values() for dim in array.dims]
    order = [dim for dim in dict.fromkeys(sizes) if dim in flags.dims]
    flags = flags.astype("int32").transpose(*order).reset_coords(drop=True)
    return flags.assign_attrs(
        {"long_name": "what was brought within physical bounds", **CHANGES.attrs()}
    )
