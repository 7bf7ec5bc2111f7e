"""Weather moved to another elevation: temperature, pressure, humidity, longwave."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tilth.core.constants import (
    GAS_CONSTANT_DRY_AIR,
    GAS_CONSTANT_WATER_VAPOUR,
    GRAVITY,
)
from tilth.core.errors import InputError

#: Change of temperature with height, K m-1: the standard atmosphere's (ICAO 1993), in
#: use for forcing since Cosgrove et al. (2003).
LAPSE_RATE = -6.5e-3

#: Variables that change with elevation. Precipitation, wind and shortwave radiation
#: have no such law and stay.
_TEMPERATURES = ("tas", "tasmin", "tasmax")

_NEEDS = (
    ("ps", "tas"),
    ("tdps", "tas"),
    ("rlds", "tas"),
    ("huss", "tas"),
    ("huss", "ps"),
)

#: No place lies further above or below the surface a model has there, m.
_FURTHEST = 9000.0


def pressure_after_rise(
    pressure: Any,
    temperature: Any,
    rise: Any,
    *,
    lapse_rate: float = LAPSE_RATE,
    specific_humidity: Any = 0.0,
) -> Any:
    r"""Air pressure some way further up, by the hypsometric equation.

    .. math:: p_2 = p_1 \exp\left(-\frac{g\,\Delta z}{R_d \bar T_v}\right), \qquad
        \bar T_v = \frac{\Gamma\,\Delta z}{\ln(1 + \Gamma\,\Delta z / T)} (1 + 0.608 q)

    where the logarithmic mean makes it exact for a constant lapse rate: up and down
    again is where one began.

    Parameters
    ----------
    pressure : array_like or xarray.DataArray
        At the lower place, Pa.
    temperature : array_like or xarray.DataArray
        There, K.
    rise : array_like or xarray.DataArray
        Height of the upper place above it, m; negative downward.
    lapse_rate : float
        K m-1, negative where it cools upward.
    specific_humidity : array_like or xarray.DataArray, default 0
        Of the layer, kg kg-1.

    Returns
    -------
    same type as the arguments
        Pa.

    References
    ----------
    Wallace & Hobbs (2006), Atmospheric Science, eq. 3.29.

    Examples
    --------
    The standard atmosphere has 89874.6 Pa at 1000 m:

    >>> round(float(pressure_after_rise(101325.0, 288.15, 1000.0)), -1)
    89870.0
    """
    virtual = GAS_CONSTANT_WATER_VAPOUR / GAS_CONSTANT_DRY_AIR - 1.0
    gas = GAS_CONSTANT_DRY_AIR * (1.0 + virtual * specific_humidity)
    if lapse_rate == 0.0:
        return pressure * np.exp(-GRAVITY * rise / (gas * temperature))
    # exp of the logarithm of the ratio of temperatures, over the lapse rate.
    return pressure * (1.0 + lapse_rate * rise / temperature) ** (
        -GRAVITY / (gas * lapse_rate)
    )


def surface_pressure(
    sea_level_pressure: xr.DataArray,
    temperature: xr.DataArray,
    altitude: xr.DataArray,
    *,
    lapse_rate: float = LAPSE_RATE,
) -> xr.DataArray:
    """Air pressure at the ground from that at sea level.

    Parameters
    ----------
    sea_level_pressure : xarray.DataArray
        Pa.
    temperature : xarray.DataArray
        Of the air at the ground, K.
    altitude : xarray.DataArray
        Of the ground above the sea, m.
    lapse_rate : float
        K m-1.

    Returns
    -------
    xarray.DataArray
        Pa, named ``ps``.
    """
    at_sea = temperature - lapse_rate * altitude
    result = pressure_after_rise(
        sea_level_pressure, at_sea, altitude, lapse_rate=lapse_rate
    )
    result.attrs = {"units": "Pa", "standard_name": "surface_air_pressure"}
    return result.rename("ps")


def move_to_elevation(
    data: xr.Dataset, rise: xr.DataArray, *, lapse_rate: float = LAPSE_RATE
) -> xr.Dataset:
    r"""Move the weather of one elevation to another.

    Temperatures follow the lapse rate; pressure the hypsometric equation; humidity
    keeps its value relative to saturation,

    .. math:: e_2 = e_1 \, e_s(T_2) / e_s(T_1),

    and longwave radiation goes with the fourth power of temperature,
    :math:`L_2 = L_1 (T_2 / T_1)^4`. Precipitation, wind and shortwave radiation are
    not touched: no lapse rate holds for them.

    Parameters
    ----------
    data : xarray.Dataset
        Any variables of `tilth.forcing.variables.VARIABLES`, in those units; ``tas``
        where there is ``ps``, ``huss``, ``tdps`` or ``rlds``, and ``ps`` where there
        is ``huss``.
    rise : xarray.DataArray
        Elevation of the places less that of the surface the data belong to, m.
    lapse_rate : float, default -6.5e-3
        K m-1.

    Returns
    -------
    xarray.Dataset
        The same variables, of the places.

    Raises
    ------
    InputError
        If a variable that is needed is absent, or a rise is beyond 9000 m or missing.

    References
    ----------
    Cosgrove et al. (2003), J. Geophys. Res. 108, 8842, sect. 2.3, with an emissivity
    that stays.
    """
    from tilth.physics import moist_air

    furthest = float(abs(rise).max(skipna=False))
    if not furthest <= _FURTHEST:
        raise InputError(
            f"a rise of {furthest:g} m: elevations are in m and known for all places "
            f"(at most {_FURTHEST:g} apart); fill gaps with 0, which leaves the data "
            "as they are"
        )
    for name, needed in _NEEDS:
        if name in data and needed not in data:
            raise InputError(
                f"{name} can be moved to another elevation only with {needed}: add it"
            )
    moved = data.copy()
    for name in _TEMPERATURES:
        if name in data:
            moved[name] = (data[name] + lapse_rate * rise).assign_attrs(
                data[name].attrs
            )
    if "ps" in data:
        moved["ps"] = pressure_after_rise(
            data["ps"],
            data["tas"],
            rise,
            lapse_rate=lapse_rate,
            specific_humidity=data.get("huss", 0.0),
        )
        moved["ps"].attrs = dict(data["ps"].attrs)

    def humidity(q: Any, t: Any, p: Any, t2: Any, p2: Any) -> np.ndarray:
        vapour = moist_air.vapour_pressure(q, p) * _saturation_ratio(t, t2)
        return np.asarray(moist_air.specific_humidity(vapour, p2))

    def dew(td: Any, t: Any, t2: Any) -> np.ndarray:
        vapour = moist_air.saturation_vapour_pressure(td) * _saturation_ratio(t, t2)
        return np.asarray(moist_air.dew_point(vapour))

    if "huss" in data:
        moved["huss"] = _lazily(
            humidity, data["huss"], data["tas"], data["ps"], moved["tas"], moved["ps"]
        )
    if "tdps" in data:
        moved["tdps"] = _lazily(dew, data["tdps"], data["tas"], moved["tas"])
    if "rlds" in data:
        moved["rlds"] = (data["rlds"] * (moved["tas"] / data["tas"]) ** 4).assign_attrs(
            data["rlds"].attrs
        )
    return moved


def _saturation_ratio(before: Any, after: Any) -> np.ndarray:
    """Return the ratio of the saturation vapour pressures of two temperatures."""
    from tilth.physics.moist_air import saturation_vapour_pressure

    ratio = saturation_vapour_pressure(after) / saturation_vapour_pressure(before)
    return np.asarray(ratio)


def _lazily(function: Any, *arrays: xr.DataArray) -> xr.DataArray:
    """Apply an elementwise function, keeping name and attributes of the first array."""
    result = xr.apply_ufunc(
        function, *arrays, dask="parallelized", output_dtypes=[float]
    )
    return result.rename(arrays[0].name).assign_attrs(arrays[0].attrs)
