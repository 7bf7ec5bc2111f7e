"""Sunlight at the top of the atmosphere: what no shortwave radiation can exceed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.calendars import gregorian_times
from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel

#: Solar constant, W m-2 (Kopp & Lean 2011, Geophys. Res. Lett. 38, L01706).
SOLAR_CONSTANT = 1361.0


def distance_factor(time_utc: np.ndarray) -> np.ndarray:
    """Return the sun's irradiance relative to that at its mean distance.

    Parameters
    ----------
    time_utc : numpy.ndarray of datetime64
        Times.

    Returns
    -------
    numpy.ndarray
        0.967 in July to 1.035 in January.

    References
    ----------
    Spencer (1971), Search 2, 172: Fourier series of the squared inverse distance.
    """
    year = time_utc.astype("datetime64[Y]")
    angle = 2.0 * np.pi * ((time_utc - year) / np.timedelta64(1, "D")) / 365.0
    return (
        1.000110
        + 0.034221 * np.cos(angle)
        + 0.001280 * np.sin(angle)
        + 0.000719 * np.cos(2.0 * angle)
        + 0.000077 * np.sin(2.0 * angle)
    )


def top_of_atmosphere(
    time: xr.DataArray, latitude: xr.DataArray, longitude: xr.DataArray, seconds: float
) -> xr.DataArray:
    r"""Mean solar irradiance of a horizontal plane above the air, over each step.

    .. math:: S = S_0 \left(\frac{\bar r}{r}\right)^2 \overline{\max(\cos z, 0)}

    Parameters
    ----------
    time : xarray.DataArray
        Beginnings of the steps, UTC, of any calendar.
    latitude, longitude : xarray.DataArray
        Degrees north and east; each along any dimensions of the places.
    seconds : float
        Length of a step; a day at most.

    Returns
    -------
    xarray.DataArray
        W m-2, of the places' dimensions and ``time``; lazy where a place is.

    Raises
    ------
    InputError
        If the step is not positive or longer than a day.
    """
    if not 0.0 < seconds <= 86400.0:
        raise InputError(f"a step of {seconds} s: between 0 and 86400 are possible")
    result = apply_kernel(
        _irradiance,
        latitude.reset_coords(drop=True).astype(float),
        longitude.reset_coords(drop=True).astype(float),
        core_dims=[(), ()],
        output_dims=[["time"]],
        output_sizes={"time": time.size},
        options={"starts": gregorian_times(time), "seconds": seconds},
    )
    result.attrs = {"units": "W m-2", "long_name": "solar irradiance above the air"}
    return result.assign_coords(time=time)


def _irradiance(
    latitude: np.ndarray, longitude: np.ndarray, starts: np.ndarray, seconds: float
) -> np.ndarray:
    """Return the irradiance of places (...) over steps: (..., time)."""
    from tilth.physics.solar import mean_cosine_zenith

    cosine = mean_cosine_zenith(starts, seconds, latitude.ravel(), longitude.ravel())
    middle = starts + np.timedelta64(round(500.0 * seconds), "ms")
    light = SOLAR_CONSTANT * distance_factor(middle)[:, None] * cosine.step
    return light.T.reshape(*latitude.shape, starts.size)
