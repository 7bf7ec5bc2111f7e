"""The air of the greenhouse that all chambers share, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tilth.chambers.air import dry_mole_fraction, saturation_vapour_pressure
from tilth.chambers.simulate.world import weather

#: Time between the values of the slow weather, s: that of the chambers' cycle.
SLOW_STEP = 600.0


@dataclass(frozen=True)
class Climate:
    """The air of a greenhouse, shape (minute,).

    Attributes
    ----------
    start : int
        First minute, UTC ms.
    temperature : numpy.ndarray
        Air temperature, degC.
    humidity : numpy.ndarray
        Relative humidity, %.
    pressure : numpy.ndarray
        Air pressure, Pa.
    light : numpy.ndarray
        Illuminance, lux; zero at night.
    co2 : numpy.ndarray
        Dry mole fraction of CO2, umol mol-1.
    vapour, saturated : numpy.ndarray
        Water vapour, and at saturation, mol mol-1.
    slow : dict of str to numpy.ndarray
        The weather every ten minutes, with soil ``moisture``: what drives the soil.
    """

    start: int
    temperature: np.ndarray
    humidity: np.ndarray
    pressure: np.ndarray
    light: np.ndarray
    co2: np.ndarray
    vapour: np.ndarray
    saturated: np.ndarray
    slow: dict[str, np.ndarray]


def greenhouse(start: int, days: float, seed: int = 0) -> Climate:
    """Draw the air of a greenhouse at 50 degrees north.

    The slow part is that of `tilth.chambers.simulate.world.weather`; the sun behind
    glass warms and dries the air and the plants draw down its CO2, the soils fill it
    at night. Passing clouds and gusts are added by the minute. Ranges follow the
    daily means of the greenhouse of 2023 and 2024: CO2 380-600 ppm, 4-35 degC,
    32-92 %, up to 28,000 lux.

    Parameters
    ----------
    start : int
        UTC ms.
    days : float
        Length.
    seed : int
        Of the draws.

    Returns
    -------
    Climate
    """
    rng = np.random.default_rng([seed, 1])
    minutes = int(np.ceil(days * 1440)) + 1
    steps = int(np.ceil(minutes * 60 / SLOW_STEP)) + 1
    seconds = np.arange(steps) * SLOW_STEP
    first = pd.Timestamp(start, unit="ms")
    sky = weather(first, seconds, rng)
    sun = sky["light"] / 28_000.0
    day = first.day_of_year + seconds / 86_400.0
    summer = np.cos(2 * np.pi * (day - 200.0) / 365.0)
    temperature = np.clip(sky["temperature"] - 3 + 2 * summer + 9 * sun, 4.0, 35.0)
    humidity = np.clip(sky["humidity"] + 10 - 22 * sun, 32.0, 92.0)
    co2 = np.clip(sky["co2"] + 20 - 70 * sun, 380.0, 600.0)

    at = np.arange(minutes) * 60.0
    gusts = _by_minute(at, seconds, co2) + 3.0 * _steps(minutes, 0.7, rng)
    clouds = np.exp(0.15 * _steps(minutes, 0.8, rng))
    light = np.minimum(_by_minute(at, seconds, sky["light"]) * clouds, 28_000.0)
    warm = _by_minute(at, seconds, temperature) + 0.05 * _steps(minutes, 0.9, rng)
    moist = _by_minute(at, seconds, humidity) + 0.2 * _steps(minutes, 0.9, rng)
    pressure = _by_minute(at, seconds, sky["pressure"])
    saturated = saturation_vapour_pressure(warm) / pressure
    vapour = saturated * np.clip(moist, 20.0, 98.0) / 100.0
    slow = sky | {"temperature": temperature, "humidity": humidity, "co2": co2}
    return Climate(
        start,
        warm,
        moist,
        pressure,
        np.round(light),
        dry_mole_fraction(np.maximum(gusts, 350.0), vapour),
        vapour,
        saturated,
        slow,
    )


def _by_minute(at, seconds, values) -> np.ndarray:
    return np.interp(at, seconds, values)


def _steps(n: int, memory: float, rng) -> np.ndarray:
    """Return a correlated series of unit variance, one value per minute."""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(n) * np.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], shocks)
