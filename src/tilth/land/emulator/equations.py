r"""The emulator's equations in JAX: one day of one land column, and a run of many.

A land surface model is imitated by three stores and fifteen parameters per cell and
calendar month (Olson, Nitta & Yoshimura 2024, J. Hydrol.,
doi:10.1016/j.jhydrol.2024.131093). With snow :math:`S`, top soil water :math:`y`
(relative to its mean), wetland store :math:`W`, rain :math:`P_r` and snowfall
:math:`P_s`:

.. math::

    A &= \min(\sqrt{S / 100\,\mathrm{mm}}, 1) \\
    \dot S &= a (P_s + A P_r) - M, \qquad
    M = b\,H(T - T_c)\,(T - T_c)^{\chi} \le S / \Delta t + a (P_s + A P_r) \\
    P &= c M + d (1 - A) P_r + \omega W \\
    f &= H(T - 0\,^\circ\mathrm{C})
         \big/ \{[1 + e^{k_1 (y - y_*)}] [1 + e^{k_2 (P - P_*)}]\} \\
    \dot y &= f P - g\,H(-S) (q_s(T, p) - q) - e (y - y_0) \\
    \dot W &= (1 - \alpha)(1 - f) P - \omega W \\
    R &= \alpha (1 - f) P + h

The published scheme is explicit. The implicit one empties the wetland store first,
linearises :math:`f` around the present soil water and is stable at any step; what it
calls infiltration is what the soil received, to the last bit. In the closed variant
:math:`e (y - y_0)` is not lost: it fills a deep store, whose outflow :math:`D / \tau`
takes the place of :math:`h`, so that a run conserves water.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.land.emulator.days import month_stretches
from tilth.land.emulator.variants import (
    FULL_COVER,
    LOGISTIC_LIMIT,
    NO_SNOW,
    VARIANTS,
    Fluxes,
    Forcing,
    State,
    Variant,
)

__all__ = [
    "VARIANTS",
    "Fluxes",
    "Forcing",
    "State",
    "Variant",
    "saturation_humidity",
    "simulate",
    "simulate_compiled",
    "step",
]

Array = jax.Array


def saturation_humidity(temperature: Array, pressure: Array) -> Array:
    r"""Return the specific humidity of saturated air, kg kg-1, as published.

    :math:`q_s = 0.622 e_s / (p - 0.378 e_s)` with
    :math:`e_s = 611.2 \exp[17.67 (T - 273.15) / (T - 29.65)]` (Bolton 1980, eq. 10).
    """
    es = 611.2 * jnp.exp(
        17.67 * (temperature - ZERO_CELSIUS) / (temperature - (ZERO_CELSIUS - 243.5))
    )
    return 0.622 * es / (pressure - 0.378 * es)


def _growth(slope: Array, distance: Array) -> Array:
    """Return exp(slope distance), cut where the logistic curve is flat."""
    return jnp.exp(jnp.clip(slope * distance, -LOGISTIC_LIMIT, LOGISTIC_LIMIT))


def step(
    state: State,
    forcing: Forcing,
    parameters: Array,
    runoff_share: Array | float,
    variant: Variant,
) -> tuple[State, Fluxes]:
    """Advance the stores by one day.

    Parameters
    ----------
    state : State
        At the start of the day, fields (cell).
    forcing : Forcing
        Of the day, fields (cell).
    parameters : array, shape (15, cell)
        Of the month, in the order of `tilth.land.emulator.parameters.PARAMETERS`.
    runoff_share : array, shape (cell), or float
        Share of refused water that runs off at once.
    variant : Variant
        Form of the equations; static under `jax.jit`.

    Returns
    -------
    State, Fluxes
        At the end of the day, and of the day.
    """
    a, b, t_c, chi, c, d, omega, g, e, y_0, h, k_1, y_star, k_2, p_star = parameters
    rain, snowfall, temperature, humidity, pressure = forcing
    snow, soil, wetland, deep = state

    some = snow > 0.0
    cover = jnp.where(
        some, jnp.minimum(jnp.sqrt(jnp.where(some, snow, 1.0) / FULL_COVER), 1.0), 0.0
    )
    gain = a * (snowfall + cover * rain)
    warm = temperature > t_c
    excess = jnp.where(warm, temperature - t_c, 1.0)
    melt = jnp.minimum(jnp.where(warm, b * excess**chi, 0.0), snow + gain)
    snow_end = snow + gain - melt

    release = omega * wetland
    if variant.implicit:
        release = release / (1.0 + omega)
    bare_rain = (1.0 - cover) * rain
    supply = c * melt + d * bare_rain + release

    if variant.frost_width:
        thawed = jax.nn.sigmoid((temperature - ZERO_CELSIUS) / variant.frost_width)
    else:
        thawed = jnp.where(temperature > ZERO_CELSIUS, 1.0, 0.0)
    filling = _growth(k_1, soil - y_star)
    share = thawed / ((1.0 + filling) * (1.0 + _growth(k_2, supply - p_star)))

    deficit = saturation_humidity(temperature, pressure) - humidity
    if variant.snow_depth:
        evaporation = (
            g * jnp.exp(-snow / variant.snow_depth) * jnp.maximum(deficit, 0.0)
        )
    else:
        evaporation = jnp.where(snow < NO_SNOW, g * deficit, 0.0)

    if variant.implicit:
        slope = -k_1 * filling / (1.0 + filling) * share
        guess = soil + (share * supply - evaporation - e * (soil - y_0)) / (
            1.0 + e - slope * supply
        )
        infiltration = jnp.clip(share + slope * (guess - soil), 0.0, 1.0) * supply
        drainage = e * (guess - y_0)
    else:
        infiltration = share * supply
        drainage = e * (soil - y_0)

    if variant.closed:
        drainage = jnp.maximum(drainage, -deep)
        deep_end = (deep + drainage) * h / (h + 1.0)
        base = deep + drainage - deep_end
    else:
        deep_end, base = deep, h * jnp.ones_like(soil)

    refused = supply - infiltration
    end = State(
        snow=snow_end,
        soil=soil + infiltration - evaporation - drainage,
        wetland=wetland - release + (1.0 - runoff_share) * refused,
        deep=deep_end,
    )
    losses = (
        (1.0 - a) * (snowfall + cover * rain) + (1.0 - c) * melt + (1.0 - d) * bare_rain
    )
    return end, Fluxes(runoff_share * refused, base, evaporation, losses)


def simulate(
    state: State,
    forcing: Forcing,
    month: np.ndarray,
    parameters: Array,
    runoff_share: Array | float,
    variant: Variant,
) -> tuple[State, State, Fluxes]:
    """Run freely from a state through every day of the forcing.

    The days of a month are a loop of their own inside the loop over months: its
    parameters are looked up once, and a reverse derivative adds to them once. Months
    are filled up to the longest with days that change nothing. A day's inner values
    are computed anew on the way back, which costs less than keeping them.

    Parameters
    ----------
    state : State
        Before the first day, fields (cell).
    forcing : Forcing
        Fields (time, cell).
    month : array of int, shape (time)
        Calendar month of each day, 0 to 11; plain numbers, also under `jax.jit`.
    parameters : array, shape (15, 12, cell)
        Per calendar month.
    runoff_share : array, shape (cell), or float
        See `step`.
    variant : Variant
        Static.

    Returns
    -------
    State, State, Fluxes
        The state after the last day, to go on from; the states at the end of every
        day and the fluxes of every day, fields (time, cell).

    Raises
    ------
    InputError
        If `month` is traced.
    """
    if isinstance(month, jax.core.Tracer):
        raise InputError(
            "the calendar decides how the loops are built, so month cannot be an "
            "argument of a compiled function: let the function close over it"
        )
    stretches = month_stretches(month)
    longest = int((stretches[:, 1] - stretches[:, 0]).max())
    days = stretches[:, :1] + np.arange(longest)
    real = days < stretches[:, 1:2]
    days = np.minimum(days, np.size(month) - 1)
    table = jnp.asarray(parameters)
    one_day = jax.checkpoint(partial(step, variant=variant))

    def through_month(now: State, inputs: tuple) -> tuple[State, tuple]:
        weather, index, counted = inputs
        own = jax.lax.dynamic_index_in_dim(table, index, axis=1, keepdims=False)

        def through_day(now: State, inputs: tuple) -> tuple[State, tuple]:
            weather, counts = inputs
            then, fluxes = one_day(now, weather, own, runoff_share)
            then = jax.tree.map(lambda new, old: jnp.where(counts, new, old), then, now)
            return then, (then, fluxes)

        return jax.lax.scan(through_day, now, (weather, counted))

    weather = jax.tree.map(lambda field: jnp.asarray(field)[days], forcing)
    start = jax.tree.map(jnp.asarray, state)
    last, records = jax.lax.scan(
        through_month, start, (weather, jnp.asarray(stretches[:, 2]), jnp.asarray(real))
    )
    kept = np.flatnonzero(real)
    states, fluxes = jax.tree.map(
        lambda field: field.reshape(-1, *field.shape[2:])[kept], records
    )
    return last, states, fluxes


#: `simulate`, compiled once for each calendar (month as a tuple) and variant.
simulate_compiled = jax.jit(simulate, static_argnums=(2, 5))
