"""Weather under the names that land models read: the ALMA convention."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.forcing.variables import VARIABLES

#: What a land model reads, by CMIP names; snow is split from precipitation.
NEEDED = ("tas", "pr", "huss", "ps", "rsds", "rlds", "sfcWind")


def to_alma(weather: xr.Dataset) -> xr.Dataset:
    """Return weather under the names of the ALMA convention, rain and snow apart.

    Parameters
    ----------
    weather : xarray.Dataset
        The variables of `NEEDED` in CMIP's units, with ``time``, ``lat`` and ``lon``.

    Returns
    -------
    xarray.Dataset
        Precipitation is split by the wet-bulb temperature
        (`tilth.physics.snowfall.snow_share`); the sum of both is what it was.

    Raises
    ------
    InputError
        If a variable is absent.
    """
    missing = [name for name in NEEDED if name not in weather]
    if missing:
        raise InputError(f"a forcing needs {', '.join(missing)} too")
    share = xr.apply_ufunc(
        _snow_share,
        weather["tas"],
        weather["huss"],
        weather["ps"],
        dask="parallelized",
        output_dtypes=[float],
    )
    snow = share * weather["pr"]
    parts = {"pr": weather["pr"] - snow, "prsn": snow}
    variables = {}
    for name in (*NEEDED, "prsn"):
        array = parts[name] if name in parts else weather[name]
        attrs = dict(VARIABLES[name].attributes)
        if name == "pr":
            attrs |= {"standard_name": "rainfall_flux", "long_name": "rain"}
        source = weather["pr" if name == "prsn" else name]
        if "adjustment" in source.attrs:
            attrs["adjustment"] = source.attrs["adjustment"]
        array = array.transpose("time", ...)
        array.attrs = attrs
        variables[VARIABLES[name].alma] = array
    result = xr.Dataset(variables).assign_coords(
        {
            "lat": weather["lat"].assign_attrs(units="degrees_north"),
            "lon": weather["lon"].assign_attrs(units="degrees_east"),
        }
    )
    result.attrs = {"title": "forcing of a land model (ALMA)", **weather.attrs}
    return stamp(result, "made a forcing of adjusted weather")


def _snow_share(t: np.ndarray, q: np.ndarray, p: np.ndarray) -> np.ndarray:
    from tilth.physics.snowfall import snow_share

    return np.asarray(snow_share(t, q, p))
