"""The world of a simulated fleet: its weather, its soils and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tilth.chambers.soil.diffusion import millington_quirk, soil_conductance
from tilth.core.constants import MOLAR_GAS_CONSTANT, SECONDS_PER_DAY, ZERO_CELSIUS

#: What a chamber or its pot can suffer from; the order is that of the codes below.
FAULTS = ("none", "stuck_open", "stuck_closed", "clogged_pot")

#: Soil CO2 that a blocked pot tends to, umol mol-1: near the range of its sensor.
_FULL_SOIL = 38_000.0


@dataclass(frozen=True)
class Layout:
    """Which pots stand where, and for how long.

    Attributes
    ----------
    tables, replicas : tuple of str
        A pot is called table.variant.replica, such as "9.2.B".
    treatments : mapping of str to float
        Variant to its flux over that of the control.
    start : str
        First closing, UTC.
    days, period, lead : float
        Length of the record in days, time from closing to closing and record
        before each closing in s (article: every ten minutes).
    """

    tables: tuple[str, ...] = ("9",)
    treatments: Mapping[str, float] = field(default_factory=lambda: {"0": 1, "2": 1.3})
    replicas: tuple[str, ...] = ("A", "B", "C", "D")
    start: str = "2023-07-03"
    days: float = 1.0
    period: float = 600.0
    lead: float = 30.0


@dataclass(frozen=True)
class Soil:
    """What the pots breathe.

    Attributes
    ----------
    flux : float
        Soil CO2 flux of a control at 20 degC in summer, umol m-2 s-1
        (the fleet's nights of 2023: quartiles 0.35, 0.53, 0.98).
    q10, season, photosynthesis : float
        Rise per 10 K; seasonal amplitude, 1; largest uptake in full light,
        umol m-2 s-1.
    soil_spread, pot_spread, night_spread, cycle_spread : float
        Standard deviation of the logarithm: between tables, between pots, from
        night to night for all pots of a table, from cycle to cycle.
    feedback : float
        Rate at which CO2 in the chamber slows the flux, s-1, beside the small
        part that follows from the conductance of the soil.
    vapour_conductance : float
        Soil surface to chamber air, mol m-2 s-1.
    porosity, depth : float
        Total porosity, m3 m-3; depth of the soil CO2 sensor, m.
    sensor_share : float
        Share of pots with a soil CO2 sensor.
    """

    flux: float = 0.6
    q10: float = 2.0
    season: float = 0.3
    photosynthesis: float = 6.0
    soil_spread: float = 0.3
    pot_spread: float = 0.1
    night_spread: float = 0.2
    cycle_spread: float = 0.05
    feedback: float = 5e-4
    vapour_conductance: float = 0.004
    porosity: float = 0.5
    depth: float = 0.1
    sensor_share: float = 1.0


@dataclass(frozen=True)
class Faults:
    """How often things fail.

    Attributes
    ----------
    stuck_open, stuck_closed, clogged_pot : float
        Episodes per device and day.
    duration : float
        Mean length of an episode, h (article: hours up to days).
    light_errors : float
        Share of closures with the light sensor's error code -1.
    servo_feedback : bool
        Whether the servo tells when it has stalled.
    """

    stuck_open: float = 0.0
    stuck_closed: float = 0.0
    clogged_pot: float = 0.0
    duration: float = 8.0
    light_errors: float = 0.0
    servo_feedback: bool = False


def weather(start: pd.Timestamp, seconds: np.ndarray, rng) -> dict[str, np.ndarray]:
    """Return what all pots share: the air of a greenhouse at 50 degrees north.

    Parameters
    ----------
    start : pandas.Timestamp
        First closing, UTC.
    seconds : numpy.ndarray
        Time of each cycle since then, s, shape (cycle,).
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    dict of str to numpy.ndarray
        Per cycle: ``temperature`` (degC), ``light`` (lux, zero at night),
        ``pressure`` (Pa), ``humidity`` (%), ``co2`` (wet, umol mol-1) and soil
        ``moisture`` (m3 m-3).
    """
    hour = (start.hour + start.minute / 60 + seconds / 3600.0) % 24.0
    day = start.day_of_year + seconds / SECONDS_PER_DAY
    summer = np.cos(2 * np.pi * (day - 200.0) / 365.0)
    height = np.sin(2 * np.pi * (hour - 6.0) / 24.0) + 0.15 * summer
    clouds = np.clip(0.7 + 0.3 * _ar1(len(seconds), 0.95, rng), 0.1, 1.0)
    light = 15_000.0 * np.maximum(height, 0.0) * (1 + 0.5 * summer) * clouds
    afternoon = np.cos(2 * np.pi * (hour - 15.0) / 24.0)
    temperature = 17 + 5 * summer + 3 * afternoon + 0.5 * _ar1(len(hour), 0.98, rng)
    # Watered to field capacity every third day, drying in between.
    since_watering = (seconds / SECONDS_PER_DAY) % 3.0
    return {
        "temperature": temperature,
        "light": np.round(light),
        "pressure": 97_200.0 + 900.0 * _ar1(len(seconds), 0.999, rng),
        "humidity": np.clip(66 - 12 * afternoon + _ar1(len(hour), 0.98, rng), 30, 92),
        "co2": 450.0 - 40.0 * afternoon + 12.0 * _ar1(len(seconds), 0.97, rng),
        "moisture": 0.20 + 0.12 * np.exp(-since_watering / 1.5),
    }


def _ar1(n: int, memory: float, rng) -> np.ndarray:
    """Return a stationary AR(1) series of unit variance."""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(n) * np.sqrt(1 - memory**2)
    shocks[0] /= np.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], shocks)


def episodes(pots: int, cycles: int, period: float, faults: Faults, rng) -> dict:
    """Draw what fails when.

    Parameters
    ----------
    pots, cycles : int
        Size of the fleet.
    period : float
        Time from closing to closing, s.
    faults : Faults
        How often.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    dict of str to numpy.ndarray
        ``code``, the place of the fault in `FAULTS`, and ``since``, cycles since
        it began; both (pot, cycle).
    """
    code = np.zeros((pots, cycles), int)
    began = np.zeros((pots, cycles), int)
    days = cycles * period / SECONDS_PER_DAY
    rates = (faults.stuck_open, faults.stuck_closed, faults.clogged_pot)
    for pot in range(pots):
        for number, rate in enumerate(rates, start=1):
            for _ in range(rng.poisson(rate * days)):
                # A chamber must close once before it can fail to open again.
                first = int(rng.integers(1, max(cycles, 2)))
                length = 1 + int(rng.exponential(faults.duration * 3600.0 / period))
                hit = slice(first, first + length)
                if (code[pot, hit] == 0).all():
                    code[pot, hit], began[pot, hit] = number, first
    since = np.where(code > 0, np.arange(cycles) - began, 0)
    return {"code": code, "since": since}


def soil_state(layout, soil, sky, failing, pots, seconds, rng) -> dict:
    """Return the flux of every pot and the soil CO2 that drives it by Fick's law.

    Parameters
    ----------
    layout, soil : Layout, Soil
        Settings.
    sky, failing : dict
        From `weather` and `episodes`.
    pots : list of tuple
        Pot, table, variant and replica of each.
    seconds : numpy.ndarray
        Time of each cycle, s.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    dict of str to numpy.ndarray
        ``soil_flux`` and net ``flux`` (umol m-2 s-1), ``soil_co2`` (umol mol-1),
        ``conductance`` (mol m-2 s-1) and ``clogged`` (bool), (pot, cycle).
    """
    shape = failing["code"].shape
    tables = np.array([layout.tables.index(pot[1]) for pot in pots])
    effect = np.array([layout.treatments[pot[2].partition(".")[2]] for pot in pots])
    level = rng.normal(0, soil.soil_spread, len(layout.tables))[tables]
    level = level + rng.normal(0, soil.pot_spread, len(pots))
    # One value per night, held from noon to noon.
    night = ((seconds / SECONDS_PER_DAY) + 0.5).astype(int)
    common = np.array([_ar1(night.max() + 1, 0.7, rng)[night] for _ in layout.tables])[
        tables
    ]
    logs = soil.night_spread * common + soil.cycle_spread * rng.standard_normal(shape)
    start = pd.Timestamp(layout.start)
    day = start.day_of_year + seconds / SECONDS_PER_DAY
    season = 1.0 + soil.season * (np.cos(2 * np.pi * (day - 200.0) / 365.0) - 1.0) / 2
    warmth = soil.q10 ** ((sky["temperature"] - 20.0) / 10.0)
    wetness = 1.0 - ((sky["moisture"] - 0.28) / 0.3) ** 2
    flux = soil.flux * effect[:, None] * np.exp(level[:, None] + logs)
    flux = flux * season * warmth * wetness

    clogged = failing["code"] == FAULTS.index("clogged_pot")
    air_filled = soil.porosity - sky["moisture"]
    conductance = soil_conductance(
        millington_quirk(air_filled, soil.porosity),
        soil.depth,
        sky["temperature"],
        sky["pressure"],
    )
    hours = failing["since"] * layout.period / 3600.0
    soil_co2 = sky["co2"] + flux / conductance
    # A blocked soil fills the pores above twice the depth of the sensor.
    kelvin = sky["temperature"] + ZERO_CELSIUS
    pore_air = air_filled * 2 * soil.depth * sky["pressure"] / kelvin
    gain = 3600.0 * hours * flux * MOLAR_GAS_CONSTANT / pore_air
    room = np.maximum(_FULL_SOIL - soil_co2, 1.0)
    trapped = soil_co2 - room * np.expm1(-gain / room)
    soil_co2 = np.where(clogged, trapped, soil_co2)
    soil_co2 = soil_co2 * (1.0 + 0.02 * rng.standard_normal(shape))
    soil_co2[rng.random(len(pots)) >= soil.sensor_share] = np.nan
    flux = np.where(clogged, 0.0, flux)
    uptake = soil.photosynthesis * sky["light"] / (sky["light"] + 10_000.0)
    return {
        "soil_flux": flux,
        "flux": flux - uptake,
        "soil_co2": soil_co2,
        "conductance": np.broadcast_to(conductance, shape),
        "clogged": clogged,
    }
