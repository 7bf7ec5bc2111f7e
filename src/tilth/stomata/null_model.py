"""Leaves whose stomata do not know their temperature difference, but make it.

Open stomata let water evaporate and cool the leaf: conductance and temperature
difference are tied even where stomata sense nothing of it. Here conductance follows
Medlyn's closure and the scatter around it, and the leaf's temperature follows from its
energy balance in the chamber of the instrument. Whatever importance a learner finds
for the difference in such leaves is reverse causality, and the yardstick for real ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import STEFAN_BOLTZMANN, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.physics.leaf_balance import leaf_energy
from tilth.physics.moist_air import saturation_vapour_pressure
from tilth.stomata.fits import LEAST_DEFICIT, StomatalFit, fit_medlyn
from tilth.stomata.observations import leaf_observations

__all__ = ["LeafWorld", "leaf_world", "simulate_leaves"]

#: Energy of a mole of photons of sunlight in the visible, J umol-1 (McCree 1972: 4.57
#: umol per J), and the share of it that a leaf absorbs (LI-COR's default).
_PHOTON, _ABSORBED = 1.0 / 4.57, 0.85

#: Emissivity of leaf and walls in the thermal infrared.
_EMISSIVITY = 0.97

#: Heat conductance of one side of a leaf, 0.189 sqrt(u / d) for u / d = 1, and that for
#: vapour over it: those of `tilth.physics.leaf_balance`, to give a chamber's
#: conductance as a wind.
_HEAT, _VAPOUR = 1.4 * 0.135, 0.147 / 0.135

#: Width of a leaf, m: any, as the wind is chosen for the conductance.
_WIDTH = 0.01

#: Times that closure and energy balance correct each other; each time what is left
#: shrinks at least by half in a stirred chamber.
_ROUNDS = 40


class LeafWorld(NamedTuple):
    """What is needed to simulate leaves like those observed; of `leaf_world`.

    Parameters
    ----------
    observations : xarray.Dataset
        Where conditions and uptake are from.
    closure : StomatalFit
        Medlyn's, of these leaves.
    scatter : numpy.ndarray
        Observed less fitted conductance, mol m-2 s-1: what stomata do besides.
    slope, offset, spread : float
        Of the observed temperature difference over that of the energy balance, 1, K
        and K: the chamber holds a leaf back by its walls and its light, thermocouples
        are biased, and the rest is noise with all else that the balance leaves out.
    agreement : float
        Correlation of observed and balanced differences.
    """

    observations: xr.Dataset
    closure: StomatalFit
    scatter: np.ndarray
    slope: float
    offset: float
    spread: float
    agreement: float


def leaf_world(observations: xr.Dataset) -> LeafWorld:
    """Learn from observed leaves what simulated ones need.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `tilth.stomata.usable`, with ``light``, both temperatures,
        ``boundary_conductance`` and ``pressure``.

    Returns
    -------
    LeafWorld
        For `simulate_leaves`.

    Raises
    ------
    InputError
        If a quantity is absent.
    """
    needed = (
        "light",
        "leaf_temperature",
        "air_temperature",
        "boundary_conductance",
        "pressure",
    )
    absent = [name for name in needed if name not in observations]
    if absent:
        raise InputError(
            f"the observations lack {', '.join(absent)}: without them the energy "
            "balance of a leaf cannot be closed, and the null experiment not be run"
        )
    gs, a, cs, d = (
        observations[name].values
        for name in ("conductance", "assimilation", "surface_co2", "deficit")
    )
    closure = fit_medlyn(gs, a, cs, np.maximum(d, LEAST_DEFICIT))
    fitted = closure.predict(a, cs, np.maximum(d, LEAST_DEFICIT))
    balanced = np.asarray(_excess(_conditions(observations), jnp.asarray(gs)))
    observed = (
        observations["leaf_temperature"] - observations["air_temperature"]
    ).values
    slope, offset = np.polyfit(balanced, observed, 1)
    left = observed - (offset + slope * balanced)
    return LeafWorld(
        observations,
        closure,
        gs - fitted,
        float(slope),
        float(offset),
        float(left.std(ddof=2)),
        float(np.corrcoef(observed, balanced)[0, 1]),
    )


def simulate_leaves(
    world: LeafWorld, *, seed: int = 0, sensitivity: float = 0.0
) -> xr.Dataset:
    r"""Simulate leaves in the conditions of those observed.

    .. math::

        g_s = [\mathrm{Medlyn}(A, C_s, D(T_l)) + \varepsilon]\; e^{-\beta (T_l - T_a)}

    with :math:`T_l` from the energy balance at this :math:`g_s`, solved together. The
    difference is as much smaller than the balance's as in the observations, and
    thermometers have the noise that is left over there: a leaf's measured difference is
    not its true one.

    Parameters
    ----------
    world : LeafWorld
        Of `leaf_world`.
    seed : int, default 0
        Of scatter and noise.
    sensitivity : float, default 0
        :math:`\beta`, K-1: how strongly stomata do sense the difference. Zero is the
        null world.

    Returns
    -------
    xarray.Dataset
        Of `tilth.stomata.leaf_observations`, with the rows, labels and conditions of
        those observed; attributes ``seed`` and ``sensitivity``.

    References
    ----------
    Medlyn et al. (2011), Global Change Biology 17, 2134-2144; Campbell & Norman (1998),
    An Introduction to Environmental Biophysics, ch. 14.
    """
    rng = np.random.default_rng(seed)
    seen = world.observations
    count = seen.sizes["observation"]
    drawn = rng.choice(world.scatter, size=count)
    conductance, excess, deficit = (
        np.asarray(x)
        for x in _settled(
            _conditions(seen),
            jnp.asarray(seen["assimilation"].values / seen["surface_co2"].values),
            jnp.asarray(drawn),
            world.closure["g0"],
            world.closure["g1"],
            world.slope,
            sensitivity,
            _least(seen["conductance"].values),
        )
    )
    noise = world.offset + world.spread * rng.normal(size=count)
    air = seen["air_temperature"].values
    measured = air + excess + noise
    # The instrument computes the deficit from the temperature it measures.
    celsius = ZERO_CELSIUS + np.stack([measured, air + excess])
    saturation = np.asarray(saturation_vapour_pressure(celsius)) / 1e3
    columns = {
        "conductance": (conductance, "mol m-2 s-1"),
        "deficit": (deficit + saturation[0] - saturation[1], "kPa"),
        "leaf_temperature": (measured, "degC"),
    }
    kept = ("assimilation", "surface_co2", "light", "air_temperature",
            "boundary_conductance", "pressure", "soil_water_potential")  # fmt: skip
    for name in kept:
        if name in seen:
            columns[name] = (seen[name].values, seen[name].attrs["units"])
    labels = {n: seen[n].values for n in ("plant", "day", "curve") if n in seen.coords}
    leaves = leaf_observations(columns, labels=labels)
    return leaves.assign_attrs(seed=seed, sensitivity=sensitivity)


class _Conditions(NamedTuple):
    """What a leaf is exposed to; arrays (n), SI units."""

    absorbed: jax.Array
    air: jax.Array
    vapour: jax.Array
    pressure: jax.Array
    wind: jax.Array


def _conditions(observations: xr.Dataset) -> _Conditions:
    """Return the conditions in the chamber: its walls are as warm as its air."""
    air = ZERO_CELSIUS + observations["air_temperature"].values
    leaf = ZERO_CELSIUS + observations["leaf_temperature"].values
    inside = np.asarray(saturation_vapour_pressure(leaf))
    light = np.maximum(observations["light"].values, 0.0) * _PHOTON * _ABSORBED
    walls = 2 * _EMISSIVITY * STEFAN_BOLTZMANN * air**4
    # Half of the conductance on each side; stomata on both share it.
    side = observations["boundary_conductance"].values / 2 / _VAPOUR
    return _Conditions(
        jnp.asarray(light + walls),
        jnp.asarray(air),
        jnp.asarray(np.maximum(inside - 1e3 * observations["deficit"].values, 1.0)),
        jnp.asarray(1e3 * observations["pressure"].values),
        jnp.asarray(0.72 * _WIDTH * (side / _HEAT) ** 2),
    )


@jax.jit
def _excess(conditions: _Conditions, conductance: jax.Array) -> jax.Array:
    """Return how much warmer than the air a leaf of this conductance is, K."""
    leaf = leaf_energy(
        conditions.absorbed,
        conditions.air,
        conditions.vapour,
        conditions.pressure,
        conditions.wind,
        conductance,
        width=_WIDTH,
        stomatal_sides=2.0,
        emissivity=_EMISSIVITY,
    )
    return leaf.temperature - conditions.air


@jax.jit
def _settled(
    conditions: _Conditions,
    carbon: jax.Array,
    scatter: jax.Array,
    g0: float,
    g1: float,
    slope: float,
    sensitivity: float,
    least: float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return conductance, temperature difference and deficit that belong together."""

    def deficit_of(excess: jax.Array) -> jax.Array:
        inside = saturation_vapour_pressure(conditions.air + excess)
        return jnp.maximum((inside - conditions.vapour) / 1e3, LEAST_DEFICIT)

    def again(_: int, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        excess, _old = now
        opened = g0 + 1.6 * (1 + g1 / jnp.sqrt(deficit_of(excess))) * carbon
        bent = jnp.exp(-sensitivity * excess)
        conductance = jnp.maximum(opened + scatter, least) * bent
        # Half way: a leaf that senses its coolness strongly would swing otherwise.
        warmer = slope * _excess(conditions, conductance)
        return (excess + warmer) / 2, conductance

    start = (jnp.zeros_like(carbon), jnp.zeros_like(carbon))
    excess, conductance = jax.lax.fori_loop(0, _ROUNDS, again, start)
    return conductance, excess, deficit_of(excess)


def _least(conductance: np.ndarray) -> float:
    """Return the smallest conductance that is believed, mol m-2 s-1."""
    return float(np.min(conductance[conductance > 0], initial=1.0))
