"""Evaporation of shallow open water: Penman's equation."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY, STEFAN_BOLTZMANN, ZERO_CELSIUS
from tilth.core.model import require_variables
from tilth.core.units import convert
from tilth.physics import moist_air

#: What it takes of a forcing, with units.
NEEDED = {
    "Tair": "K",
    "Qair": "kg kg-1",
    "PSurf": "Pa",
    "SWdown": "W m-2",
    "LWdown": "W m-2",
    "Wind": "m s-1",
}

#: Albedo of open water (Shuttleworth 1993, table 4.2.2).
ALBEDO = 0.08

#: Emissivity of water in the thermal infrared (Brutsaert 1982, table 6.6: 0.95-0.98).
EMISSIVITY = 0.97

#: Wind function of Penman (1948) as Shuttleworth (1993, eq. 4.2.30) writes it: 6.43 MJ
#: m-2 day-1 kPa-1, here in W m-2 Pa-1, and 0.536 s m-1.
_WIND_CONSTANT, _WIND_SLOPE = 6.43e3 / SECONDS_PER_DAY, 0.536


def open_water_evaporation(
    temperature: np.ndarray,
    humidity: np.ndarray,
    pressure: np.ndarray,
    shortwave: np.ndarray,
    longwave: np.ndarray,
    wind: np.ndarray,
) -> np.ndarray:
    r"""Return the evaporation of shallow open water.

    .. math:: \lambda E = \frac{\Delta R_n + \gamma\, 6.43 (1 + 0.536 u) D}
        {\Delta + \gamma}, \quad
        R_n = (1 - a) S_\downarrow + \epsilon (L_\downarrow - \sigma T^4) ,

    not negative, and none while the air is below 0 degC: the water is under ice. The
    water stores no heat from day to day, so it must be shallow.

    Parameters
    ----------
    temperature, humidity, pressure : array
        Of the air, means of a day or longer: K, kg kg-1, Pa.
    shortwave, longwave : array
        Downward, W m-2.
    wind : array
        m s-1, meant for 2 m above the water.

    Returns
    -------
    array
        kg m-2 s-1.

    References
    ----------
    Penman (1948), Proc. R. Soc. A 193, 120-145. Shuttleworth (1993), Evaporation, in
    Handbook of Hydrology (ed. Maidment), eq. 4.2.30.
    """
    latent = np.asarray(moist_air.latent_heat_of_vaporization(temperature))
    gamma = np.asarray(moist_air.psychrometric_constant(pressure, latent))
    saturated = np.asarray(moist_air.saturation_vapour_pressure(temperature))
    deficit = np.maximum(
        saturated - np.asarray(moist_air.vapour_pressure(humidity, pressure)), 0.0
    )
    # Slope of the saturation vapour pressure, Pa K-1, by a difference of 0.2 K.
    slope = 5.0 * (
        np.asarray(moist_air.saturation_vapour_pressure(temperature + 0.1))
        - np.asarray(moist_air.saturation_vapour_pressure(temperature - 0.1))
    )
    net = (1.0 - ALBEDO) * shortwave + EMISSIVITY * (
        longwave - STEFAN_BOLTZMANN * temperature**4
    )
    drying = gamma * _WIND_CONSTANT * (1.0 + _WIND_SLOPE * wind) * deficit
    flux = (slope * net + drying) / (slope + gamma) / latent
    return np.where(temperature > ZERO_CELSIUS, np.maximum(flux, 0.0), 0.0)


def weather_arrays(forcing: xr.Dataset, dims: tuple) -> dict[str, np.ndarray]:
    """Return what `open_water_evaporation` takes, as arrays (time, cell).

    Parameters
    ----------
    forcing : xarray.Dataset
        ALMA variables with units along ``time`` and the cells.
    dims : tuple of str
        Of the cells, flattened in this order.

    Returns
    -------
    dict of str to array
        By the names of `NEEDED`.

    Raises
    ------
    InputError
        If a variable is absent: without radiation and wind there is no feedback.
    """
    what = "a coupling with feedback (else say feedback=False)"
    require_variables(forcing, NEEDED, what)
    size = forcing.sizes["time"]
    return {
        name: convert(forcing[name], units)
        .transpose("time", *dims)
        .values.astype(float)
        .reshape(size, -1)
        for name, units in NEEDED.items()
    }


def flood_share(forcing: xr.Dataset, evaporation: xr.DataArray) -> xr.DataArray:
    r"""Return how much more a flood evaporates than the land, month by month.

    .. math:: s = \sum \max(E_{open} - E_{land}, 0) \big/ \sum E_{open} ,

    over the days of a calendar month in all years: for an emulator of the land, which
    is not fitted to evaporation day by day.

    Parameters
    ----------
    forcing : xarray.Dataset
        Daily weather, as for a coupling with feedback, along ``time`` and ``cell``.
    evaporation : xarray.DataArray
        Of the land model, means of the same days, kg m-2 s-1 (time, cell).

    Returns
    -------
    xarray.DataArray
        Share of open water's evaporation, 0 to 1 (month, cell); 0 in months in which
        open water does not evaporate.
    """
    arrays = weather_arrays(forcing, ("cell",))
    like = evaporation.transpose("time", "cell")
    water = like.copy(data=open_water_evaporation(*arrays.values()))
    month = forcing["time"].dt.month
    beyond = (water - like).clip(min=0.0).groupby(month).sum("time")
    whole = water.groupby(month).sum("time")
    share = (beyond / whole.where(whole > 0.0)).fillna(0.0)
    return share.reindex(month=np.arange(1, 13), fill_value=0.0)
