"""Simulated weather of a site, as forcing of the land model: to try things out.

No record of any place: a seasonal and a daily course of temperature, showers that come
in wet spells, clouds that go with them, radiation from the height of the sun. Good for
examples, tests of speed and conservation, and for emulating a model whose weather may
be chosen; not for saying anything about a climate.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.constants import STANDARD_ATMOSPHERE, STEFAN_BOLTZMANN
from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.land.model.forcing import VARIABLES, split_precipitation
from tilth.physics import moist_air, solar

#: Share of the light outside the atmosphere that reaches the ground under a clear and
#: under an overcast sky: Angstrom's coefficients, FAO-56 (Allen et al. 1998, eq. 35).
_CLEAR, _OVERCAST = 0.75, 0.25

#: Solar constant, W m-2 (Kopp & Lean 2011).
_SOLAR_CONSTANT = 1361.0

#: Probability that a wet day follows a wet one, and a dry one.
_WET_AFTER_WET, _WET_AFTER_DRY = 0.6, 0.25

#: Memory of a day's temperature and its standard deviation, K.
_MEMORY, _WEATHER_NOISE = 0.75, 4.0


def simulated_weather(
    years: tuple[int, int] = (2001, 2001),
    *,
    latitude: float = 45.0,
    longitude: float = 0.0,
    mean_temperature: float = 283.0,
    seasonal_range: float = 22.0,
    rain: float = 900.0,
    elevation: float = 200.0,
    step_minutes: int = 60,
    sites: int = 1,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate the weather of sites that differ only by chance.

    Wet and dry days follow a Markov chain (a wet day follows a wet one with
    probability 0.6, a dry one with 0.25), amounts are exponential, and a wet day rains
    for some hours. Day-to-day temperature is an AR(1) process; the daily range is small
    under clouds. Humidity follows from a dew point near the night's temperature.

    Parameters
    ----------
    years : tuple of int
        First and last year, both included.
    latitude, longitude : float
        In degrees.
    mean_temperature, seasonal_range : float
        Of the year, and from the coldest to the warmest month, K.
    rain : float
        Precipitation of a year on average, mm.
    elevation : float
        For the air pressure, m.
    step_minutes : int
        Divides a day.
    sites : int
        Number of independent sites.
    seed : int
        Of the random numbers; site by site, so that a site does not depend on how
        many there are.

    Returns
    -------
    xarray.Dataset
        ALMA variables over ``time`` (beginning of the step, UTC) and ``cell``.

    Raises
    ------
    InputError
        If the years are none or the step does not divide a day.

    References
    ----------
    Richardson (1981), Water Resour. Res. 17, 182-190, for the kind of generator.
    Brutsaert (1975), Water Resour. Res. 11, 742-744, eq. 11, with the correction for
    clouds of Crawford & Duchon (1999), J. Appl. Meteorol. 38, 474-480, eq. 11, for the
    longwave radiation.
    """
    first, last = years
    if last < first:
        raise InputError(f"years={years}: the last year is before the first")
    if step_minutes < 1 or 1440 % step_minutes:
        raise InputError(f"step_minutes={step_minutes} does not divide a day")
    step = np.timedelta64(step_minutes, "m")
    begin = np.datetime64(f"{first}-01-01", "ns")
    time = np.arange(begin, np.datetime64(f"{last + 1}-01-01", "ns"), step)
    per_day = 1440 // step_minutes
    cosine, _ = solar.mean_cosine_zenith(
        time, 60.0 * step_minutes, [latitude], [longitude]
    )
    light = _SOLAR_CONSTANT * cosine[:, 0]
    # Barometric formula of the standard atmosphere (ICAO 1993).
    pressure = STANDARD_ATMOSPHERE * (1.0 - 2.25577e-5 * elevation) ** 5.2559
    columns = [
        _site(
            np.random.default_rng([seed, number]),
            time,
            per_day,
            light,
            latitude,
            longitude,
            (mean_temperature, seasonal_range, rain / 365.25),
            pressure,
        )
        for number in range(sites)
    ]
    variables = {
        name: (
            ("time", "cell"),
            np.stack([column[name] for column in columns], axis=1),
            {"units": VARIABLES[name][0]},
        )
        for name in columns[0]
    }
    result = xr.Dataset(
        variables,
        coords={
            "time": time,
            "lat": ("cell", np.full(sites, latitude), {"units": "degrees_north"}),
            "lon": ("cell", np.full(sites, longitude), {"units": "degrees_east"}),
        },
    )
    result["Rainf"], result["Snowf"] = split_precipitation(
        result["Rainf"], result["Tair"], result["Qair"], result["PSurf"]
    )
    for name in ("Rainf", "Snowf"):
        result[name].attrs = {"units": VARIABLES[name][0]}
    result.attrs = {"title": "simulated weather", "seed": seed}
    return stamp(result, f"simulated the weather of {sites} sites")


def _site(
    rng: np.random.Generator,
    time: np.ndarray,
    per_day: int,
    light: np.ndarray,
    latitude: float,
    longitude: float,
    climate: tuple[float, float, float],
    pressure: float,
) -> dict[str, np.ndarray]:
    """Return the variables of one site over all steps."""
    mean, seasonal, rain = climate
    days = time.size // per_day
    chance, calm = rng.random(days), rng.random(days)
    wet = np.zeros(days, bool)
    for day in range(1, days):
        wet[day] = chance[day] < (_WET_AFTER_WET if wet[day - 1] else _WET_AFTER_DRY)
    frequency = _WET_AFTER_DRY / (1.0 + _WET_AFTER_DRY - _WET_AFTER_WET)
    amount = np.where(wet, rng.exponential(rain / frequency, days), 0.0)
    clouds = np.where(wet, 0.6 + 0.4 * calm, 0.7 * calm)

    noise = rng.normal(0.0, _WEATHER_NOISE * np.sqrt(1.0 - _MEMORY**2), days)
    departure = np.zeros(days)
    for day in range(1, days):
        departure[day] = _MEMORY * departure[day - 1] + noise[day]

    year = (time - time.astype("datetime64[Y]")) / np.timedelta64(1, "D") / 365.25
    warmest = 0.55 if latitude >= 0.0 else 0.05  # a month after the solstice
    season = 0.5 * seasonal * np.cos(2.0 * np.pi * (year - warmest))
    local = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    hour = (local + longitude / 15.0) % 24.0
    cover = np.repeat(clouds, per_day)
    daily = (5.5 - 4.0 * cover) * np.cos(2.0 * np.pi * (hour - 15.0) / 24.0)
    # Day to day without a jump at midnight.
    middle = np.arange(days) + 0.5
    drift = np.interp(np.arange(time.size) / per_day, middle, departure)
    temperature = mean + season + drift + daily

    # A dew point two degrees below the night; nearer under clouds.
    dew = mean + season + drift - (5.5 - 4.0 * cover) - 2.0 * (1.0 - cover)
    vapour = np.asarray(moist_air.saturation_vapour_pressure(dew))
    vapour = np.minimum(
        vapour, np.asarray(moist_air.saturation_vapour_pressure(temperature))
    )
    shortwave = light * (_OVERCAST + (_CLEAR - _OVERCAST) * (1.0 - cover))
    clear = 1.24 * (0.01 * vapour / temperature) ** (1.0 / 7.0)
    longwave = (cover + (1.0 - cover) * clear) * STEFAN_BOLTZMANN * temperature**4

    showers = rng.exponential(1.0, (days, per_day)) * (
        rng.random((days, per_day)) < 0.3
    )
    total = showers.sum(axis=1, keepdims=True)
    share = np.where(
        total > 0.0, showers / np.where(total > 0.0, total, 1.0), 1.0 / per_day
    )
    rate = (amount[:, None] * share).ravel() / (86400.0 / per_day)
    gusts = np.interp(
        np.arange(time.size) / per_day, middle, rng.gamma(4.0, 0.75, days)
    )
    return {
        "Rainf": rate,
        "Tair": temperature,
        "Qair": np.asarray(moist_air.specific_humidity(vapour, pressure)),
        "PSurf": np.full(time.size, pressure),
        "SWdown": shortwave,
        "LWdown": longwave,
        "Wind": np.maximum(gusts, 0.5),
    }
