"""Made-up leaves whose stomata are known: to try things out, and to test with."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.stomata.fits import LEAST_DEFICIT, fit_medlyn
from tilth.stomata.null_model import LeafWorld, simulate_leaves
from tilth.stomata.observations import leaf_observations

__all__ = ["made_up_leaves"]

#: Medlyn's parameters of the made-up leaves: of the order of temperate trees.
_G0, _G1 = 0.03, 3.0


def made_up_leaves(
    *,
    plants: int = 6,
    days: int = 10,
    per_day: int = 24,
    sensitivity: float = 0.0,
    scatter: float = 0.04,
    noise: float = 0.1,
    seed: int = 0,
) -> xr.Dataset:
    """Make up spot measurements of leaves over some days.

    Light, warmth and dryness go with the hour and the day; uptake saturates with light;
    conductance follows Medlyn's closure (g0 0.03 mol m-2 s-1, g1 3 kPa^0.5) with
    scatter; temperatures come from the energy balance of a leaf in a stirred chamber.

    Parameters
    ----------
    plants, days, per_day : int
        Numbers of plants, of days, and of spots in a day.
    sensitivity : float, default 0
        How strongly stomata sense the temperature difference, K-1.
    scatter : float, default 0.04
        Standard deviation of conductance around the closure, mol m-2 s-1.
    noise : float, default 0.1
        Of thermometers, K.
    seed : int, default 0
        Of all chance.

    Returns
    -------
    xarray.Dataset
        Of `tilth.stomata.leaf_observations`.
    """
    if min(plants, days) < 1 or per_day < 2:
        raise InputError(
            f"{plants} plants, {days} days, {per_day} spots a day: take one plant, one "
            "day and two spots at least"
        )
    rng = np.random.default_rng(seed)
    count = days * per_day
    day = np.repeat(np.arange(days), per_day)
    hour = rng.uniform(0.0, 1.0, count)  # of daylight
    sun = np.sin(np.pi * hour)
    warm = 18 + 5 * rng.normal(size=days)[day] + 6 * sun
    light = np.where(
        rng.random(count) < 0.4, 1500.0, rng.uniform(50, 1500, count)
    ) * rng.uniform(0.9, 1.1, count)
    saturation = 0.6135 * np.exp(17.502 * warm / (240.97 + warm))
    humid = np.clip(0.6 + 0.1 * rng.normal(size=days)[day] - 0.15 * sun, 0.2, 0.95)
    deficit = np.maximum(saturation * (1 - humid), 2 * LEAST_DEFICIT)
    capacity = rng.uniform(12, 22, plants)
    plant = rng.integers(plants, size=count)
    uptake = capacity[plant] * light / (light + 300) - 1.0
    uptake = np.maximum(uptake + 0.5 * rng.normal(size=count), 0.5)
    co2 = rng.uniform(350, 390, count)
    conductance = _G0 + 1.6 * (1 + _G1 / np.sqrt(deficit)) * uptake / co2
    conditions = leaf_observations(
        {
            "conductance": (conductance, "mol m-2 s-1"),
            "assimilation": (uptake, "umol m-2 s-1"),
            "deficit": (deficit, "kPa"),
            "surface_co2": (co2, "umol mol-1"),
            "light": (light, "umol m-2 s-1"),
            "leaf_temperature": (warm + 1e-6 * hour, "degC"),
            "air_temperature": (warm, "degC"),
            "boundary_conductance": (np.full(count, 2.8), "mol m-2 s-1"),
            "pressure": (np.full(count, 98.0) + hour, "kPa"),
        },
        labels={"day": day, "plant": plant},
    )
    closure = fit_medlyn(conductance, uptake, co2, deficit)
    world = LeafWorld(
        conditions, closure, scatter * rng.normal(size=500), 0.6, 0.0, noise, 1.0
    )
    leaves = simulate_leaves(world, seed=seed, sensitivity=sensitivity)
    return leaves.assign_attrs(scatter=scatter, noise=noise)
