"""A made-up station over thawing ground, and one over a tide, with their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.constants import ICE_DENSITY, SECONDS_PER_DAY
from tilth.gnss.surface.memory import flicker_covariance
from tilth.gnss.surface.seasons import degree_days
from tilth.physics.frozen_ground import stefan_depth
from tilth.physics.thaw import active_layer_depth, pore_ice_subsidence


@dataclass(frozen=True)
class ThawSite:
    """A place with permafrost and an antenna above it.

    Parameters
    ----------
    first_year, last_year : int
        Of the record.
    trend : float
        Secular change of the surface, m yr-1; -0.26 cm yr-1 was found at Barrow.
    porosity : float
        Of the saturated active layer, 1.
    conductivity : (float, float)
        Of thawed and frozen ground, W m-1 K-1.
    days : (int, int)
        First and last day of the year with heights: July and August.
    white, memory : float
        Standard deviation of errors that do, and do not, change from day to day, m.
    memory_days : float
        Days until the latter are forgotten.
    years : float
        Standard deviation of an error that a whole summer shares, m.
    flicker : float
        Amplitude of flicker noise, m yr^(-1/4).
    monument : float
        Movement of the antenna, m yr-1, that positions show.
    moisture_effect : float
        Change of the apparent surface from dry to wet soil, m per m3 m-3.
    """

    first_year: int = 2004
    last_year: int = 2015
    trend: float = -0.0026
    porosity: float = 0.6
    conductivity: tuple[float, float] = (0.8, 1.8)
    days: tuple[int, int] = (182, 243)
    white: float = 0.006
    memory: float = 0.006
    memory_days: float = 6.0
    years: float = 0.004
    flicker: float = 0.0
    monument: float = 0.0
    moisture_effect: float = 0.0


class SimulatedThaw(NamedTuple):
    """What `simulated_thaw` returns."""

    #: Daily ``reflector_height`` and ``reflector_height_se``, m.
    heights: xr.Dataset
    #: Daily ``up`` and ``up_se`` of the antenna, m.
    position: xr.Dataset
    #: Of the air, degC.
    temperature: xr.DataArray
    #: Of the soil, m3 m-3.
    moisture: xr.DataArray
    #: ``surface`` along ``time`` and ``subsidence`` along ``year``, m: the truth.
    truth: xr.Dataset


def simulated_air(first_year: int, last_year: int, seed: int = 0) -> xr.DataArray:
    """Draw daily air temperatures of an Arctic coast.

    Parameters
    ----------
    first_year, last_year : int
        Whole years.
    seed : int
        Of the draws.

    Returns
    -------
    xarray.DataArray
        Along ``time`` (noon), degC: about 350 degree-days of thaw a year, with warmer
        and colder summers and spells of about four days.
    """
    rng = np.random.default_rng([seed, 1])
    days = pd.date_range(f"{first_year}-01-01", f"{last_year}-12-31") + pd.Timedelta(
        "12h"
    )
    season = -np.cos(2.0 * np.pi * (days.day_of_year.to_numpy() - 22) / 365.25)
    warmer = rng.normal(0.0, 0.8, last_year - first_year + 1)
    values = -11.5 + 16.5 * season + warmer[days.year.to_numpy() - first_year]
    values = values + 2.5 * _memory(rng, days.size, 4.0)
    return xr.DataArray(
        values, {"time": days.to_numpy()}, ("time",), "temperature", {"units": "degC"}
    )


def simulated_thaw(site: ThawSite | None = None, seed: int = 0) -> SimulatedThaw:
    """Draw a record of reflector heights over ground whose sinking is known.

    The surface sinks as the pore ice of Stefan's active layer melts, rises as it
    freezes, and falls by the trend.

    Parameters
    ----------
    site : ThawSite, optional
        The place.
    seed : int
        Of the draws.

    Returns
    -------
    SimulatedThaw
        Heights, positions, temperature, moisture, and the truth.
    """
    site = site or ThawSite()
    rng = np.random.default_rng([seed, 2])
    air = simulated_air(site.first_year, site.last_year, seed)
    index = degree_days(air)
    days = pd.DatetimeIndex(air["time"].values)
    size = days.size
    sunk = _subsidence(site, index)
    years = np.arange(size) / 365.25
    surface = site.trend * years - sunk
    # Soil dries over the summer, with rain now and then.
    summer = np.clip(index["thaw_index"].values / 350.0, 0.0, 1.0)
    moisture = 0.40 - 0.15 * summer + 0.04 * _memory(rng, size, 8.0)
    up = site.monument * years
    noise = (
        site.white * rng.normal(size=size)
        + site.memory * _memory(rng, size, site.memory_days)
        + (site.years * rng.normal(size=site.last_year - site.first_year + 1))[
            days.year.to_numpy() - site.first_year
        ]
    )
    seen = (days.day_of_year >= site.days[0]) & (days.day_of_year <= site.days[1])
    # Some days of every season have no height.
    seen &= rng.random(size) > 0.05
    noise = noise[seen]
    if site.flicker:
        chosen = np.flatnonzero(seen).astype(float)
        root = np.linalg.cholesky(flicker_covariance(chosen))
        noise = noise + site.flicker * 365.25**-0.25 * (
            root @ rng.normal(size=chosen.size)
        )
    wet = site.moisture_effect * (moisture - moisture.mean())
    height = 3.0 + up[seen] - surface[seen] - wet[seen] - noise
    up_noise = 0.003 * rng.normal(size=size)
    time = {"time": air["time"].values}
    about = {"units": "m"}
    error = np.full(height.size, max(site.white, 1e-4))
    truth = xr.Dataset(
        {
            "surface": ("time", surface, about),
            "subsidence": (
                "year",
                [sunk[days.year == year].max() for year in index["year"].values],
                about,
            ),
        },
        {**time, "year": index["year"].values},
        {"trend": site.trend, "seed": seed},
    )
    return SimulatedThaw(
        xr.Dataset(
            {
                "reflector_height": ("time", height, about),
                "reflector_height_se": ("time", error, about),
            },
            {"time": air["time"].values[seen]},
        ),
        xr.Dataset(
            {
                "up": ("time", up + up_noise * bool(site.monument), about),
                "up_se": ("time", np.full(size, 0.003 * bool(site.monument)), about),
            },
            time,
        ),
        air,
        xr.DataArray(moisture, time, ("time",), "moisture", {"units": "m3 m-3"}),
        truth,
    )


class SimulatedTide(NamedTuple):
    """What `simulated_tide` returns."""

    #: Along ``arc``: ``time``, ``reflector_height`` (m), ``edot_factor`` (h).
    arcs: xr.Dataset
    #: Height of the antenna above the datum, m.
    antenna: float
    #: From times to the true level, m.
    level: Callable[[np.ndarray], np.ndarray]


def simulated_tide(
    days: float = 10.0,
    amplitude: float = 1.0,
    noise: float = 0.05,
    arcs_per_day: int = 60,
    seed: int = 0,
) -> SimulatedTide:
    """Draw heights over a tide that moves while satellites rise and set.

    Parameters
    ----------
    days : float
        Length of the record.
    amplitude : float
        Of the semidiurnal tide, m; the diurnal one has a third of it.
    noise : float
        Standard deviation of a height, m.
    arcs_per_day : int
        How many.
    seed : int
        Of the draws.

    Returns
    -------
    SimulatedTide
        Arcs, antenna and the true level.
    """
    rng = np.random.default_rng([seed, 3])
    start = pd.Timestamp("2020-01-01")
    phase = rng.uniform(0.0, 2.0 * np.pi, 2)
    parts = ((amplitude, 12.4206, phase[0]), (amplitude / 3.0, 23.9345, phase[1]))

    def height(hours: np.ndarray) -> np.ndarray:
        return sum(a * np.cos(2.0 * np.pi * hours / p + f) for a, p, f in parts)

    def rate(hours: np.ndarray) -> np.ndarray:
        return sum(
            -2.0 * np.pi / p * a * np.sin(2.0 * np.pi * hours / p + f)
            for a, p, f in parts
        )

    def level(time: np.ndarray) -> np.ndarray:
        return height(
            ((pd.DatetimeIndex(time) - start) / pd.Timedelta("1h")).to_numpy()
        )

    count = round(arcs_per_day * days)
    hours = np.sort(rng.uniform(0.0, 24.0 * days, count))
    factor = rng.choice([-1.0, 1.0], count) * rng.uniform(0.5, 0.9, count)
    antenna = 8.0
    seen = antenna - height(hours) - factor * rate(hours)
    seen = seen + noise * rng.normal(size=count)
    time = (start + pd.to_timedelta(hours, "h")).to_numpy()
    return SimulatedTide(
        xr.Dataset(
            {
                "time": ("arc", time),
                "reflector_height": ("arc", seen, {"units": "m"}),
                "edot_factor": ("arc", factor, {"units": "h"}),
            },
            attrs={"seed": seed},
        ),
        antenna,
        level,
    )


def _subsidence(site: ThawSite, index: xr.Dataset) -> np.ndarray:
    """Return how far the surface has sunk on each day, m, by Stefan's law."""
    ice = site.porosity * ICE_DENSITY
    thawed, frozen = site.conductivity
    warm = index["thaw_index"].values * SECONDS_PER_DAY
    cold = index["freeze_index"].values * SECONDS_PER_DAY
    down = np.asarray(active_layer_depth(warm, thawed, ice))
    back = np.asarray(stefan_depth(cold, frozen, ice))
    left = np.maximum(down - back, 0.0)
    return np.asarray(pore_ice_subsidence(left, site.porosity))


def _memory(rng: np.random.Generator, size: int, days: float) -> np.ndarray:
    """Draw a series of variance one that forgets over some days."""
    from scipy.signal import lfilter

    kept = np.exp(-1.0 / days)
    steps = rng.normal(size=size) * np.sqrt(1.0 - kept**2)
    steps[0] = rng.normal()
    return lfilter([1.0], [1.0, -kept], steps)
