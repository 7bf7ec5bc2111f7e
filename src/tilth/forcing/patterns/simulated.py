"""A made-up climate in which it is known why a place is wet: for tests and examples.

Rain-bringing systems of a few hundred kilometres form and decay over a coarse grid. A
place is wet when a system is on its windward side, some degrees west, and dry in the
lee: the coarse rain above it is a poor guide, the pattern around it a good one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from tilth.core.errors import InputError

__all__ = ["SimulatedWeather", "simulated_weather"]

#: Coarse grid, degrees; systems have their centres on it and a little around it.
_LAT, _LON = np.linspace(35.0, 45.0, 6), np.linspace(-10.0, 4.0, 8)
_CENTRES = np.meshgrid(np.arange(33.0, 48.0, 2.0), np.arange(-14.0, 8.0, 2.0))

#: Size of systems, degrees.
_SIZE = 2.0

#: How much of the weather of a day is left the next (coefficient of AR(1)).
_MEMORY = 0.6

#: Rain falls where the field is above this many standard deviations, so much for each
#: beyond to the power of two, mm day-1.
_THRESHOLD, _AMOUNT = 0.5, 6.0

#: Of what a place has beside the systems, standard deviations of the field.
_NOISE = 0.4

#: Days of a winter, from 1 December on.
_DAYS = 90

#: A climate model's rain over that of the made-up truth.
_MODEL_BIAS = 1.5


class SimulatedWeather(NamedTuple):
    """Coarse and local rain of the same days.

    Parameters
    ----------
    coarse : xarray.DataArray
        Dimensions (time, lat, lon), mm day-1.
    local : xarray.DataArray
        Dimensions (time, place), mm day-1, with coordinates ``lat`` and ``lon`` of the
        places and ``windward``, the degrees by which the system that wets a place lies
        west of it.
    """

    coarse: xr.DataArray
    local: xr.DataArray


def simulated_weather(
    *, winters: int = 8, places: int = 12, free_running: bool = False, seed: int = 0
) -> SimulatedWeather:
    """Make up winters of coarse and local rain.

    Parameters
    ----------
    winters : int, default 8
        Winters of 90 days from 1 December; the first ends in 1983.
    places : int, default 12
        Local targets.
    free_running : bool, default False
        Whether the coarse field is that of a climate model: other days, and half as
        wet again.
    seed : int, default 0
        Of all draws. With the same seed local rain is the same, whether or not
        `free_running`.

    Returns
    -------
    SimulatedWeather
        Both fields.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    if winters < 1 or places < 1:
        raise InputError(
            f"winters and places must be positive, got {winters} and {places}"
        )
    generator = np.random.default_rng(seed)
    lat = generator.uniform(36.0, 44.0, places)
    lon = generator.uniform(-6.0, 3.0, places)
    windward = generator.uniform(1.0, 3.0, places)
    weather = _weather(winters, generator)
    field = _field(weather, lat, lon - windward) - 0.4 * _field(weather, lat, lon)
    local = _rain(field + _NOISE * generator.normal(size=field.shape))
    rows, columns = (part.ravel() for part in np.meshgrid(_LAT, _LON, indexing="ij"))
    if free_running:
        weather = _weather(winters, np.random.default_rng([seed, 1]))
    coarse = _rain(_field(weather, rows, columns)).reshape(-1, _LAT.size, _LON.size)
    if free_running:
        coarse = _MODEL_BIAS * coarse
    starts = [np.datetime64(f"{1982 + k}-12-01", "ns") for k in range(winters)]
    days = np.arange(_DAYS) * np.timedelta64(1, "D")
    time = np.concatenate([start + days for start in starts])
    attrs = {"units": "mm day-1", "long_name": "precipitation"}
    north, east = {"units": "degrees_north"}, {"units": "degrees_east"}
    return SimulatedWeather(
        xr.DataArray(
            coarse,
            {"time": time, "lat": ("lat", _LAT, north), "lon": ("lon", _LON, east)},
            ("time", "lat", "lon"),
            name="pr",
            attrs=attrs,
        ),
        xr.DataArray(
            local,
            {
                "time": time,
                "place": np.arange(places),
                "lat": ("place", lat, north),
                "lon": ("place", lon, east),
                "windward": ("place", windward, {"units": "degree"}),
            },
            ("time", "place"),
            name="pr",
            attrs=attrs,
        ),
    )


def _weather(winters: int, generator: np.random.Generator) -> np.ndarray:
    """Return the strength of systems (day, centre), each winter begun anew."""
    count = _CENTRES[0].size
    strength = np.empty((winters, _DAYS, count))
    strength[:, 0] = generator.normal(size=(winters, count))
    fresh = np.sqrt(1.0 - _MEMORY**2)
    for day in range(1, _DAYS):
        news = fresh * generator.normal(size=(winters, count))
        strength[:, day] = _MEMORY * strength[:, day - 1] + news
    return strength.reshape(-1, count)


def _field(strength: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return the field (day, place), of standard deviation one everywhere."""
    east, north = (
        (lon[:, None] - _CENTRES[1].ravel()),
        lat[:, None] - _CENTRES[0].ravel(),
    )
    reach = np.exp(-(east**2 + north**2) / (2.0 * _SIZE**2))
    reach /= np.sqrt((reach**2).sum(axis=1, keepdims=True))
    return strength @ reach.T


def _rain(field: np.ndarray) -> np.ndarray:
    """Return the rain of a field: none below a threshold, heavy far beyond."""
    return _AMOUNT * np.maximum(field - _THRESHOLD, 0.0) ** 2
