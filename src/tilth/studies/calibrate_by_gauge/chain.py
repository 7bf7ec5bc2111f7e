r"""From weather to the gauge in JAX: emulator, hillslope, and rivers made linear.

Here a reach stores water as Muskingum has it, with the travel time of a kinematic wave
at one flow: :math:`k = L / c`, :math:`c = \frac53 v`, the speed of normal flow, and
Cunge's weight :math:`x = \frac12 (1 - Q / (W S c L))`. Such rivers are linear: what
the gauge sees of a day's runoff is found once, and a run is a sum over days before.
That costs nearly nothing, so the calibration begins with it;
`tilth.studies.calibrate_by_gauge.inertial` has the full equations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import SECONDS_PER_DAY
from tilth.land.emulator.equations import simulate
from tilth.land.emulator.variants import VARIANTS, Forcing, State
from tilth.rivers.routing.muskingum_equations import simulate_muskingum
from tilth.studies.calibrate_by_gauge.problem import DEPTH_TO_FLOW, Problem
from tilth.studies.calibrate_by_gauge.values import Values, unfold

Array = Any

#: Days over which the response of the gauge is summed: the largest of the basins needs
#: two at the default roughness, and ten at five times that.
RESPONSE_DAYS = 12

#: Sub-step of the Muskingum equations, s.
_STEP = 1800.0

#: Wetland at the very first day, mm; two years of weather follow before it counts.
_FIRST_WETLAND = 10.0


class Reaches(NamedTuple):
    """The networks of all columns as one; arrays (reach) but for ``gauge`` (column).

    ``downstream`` is a position, ``owner`` the number of the column; ``length`` and
    ``width`` in m, ``slope`` and ``share`` of the column's runoff in 1, ``flow`` (m3
    s-1) that at which the rivers are made linear; ``gauge`` holds positions.
    """

    downstream: np.ndarray
    owner: np.ndarray
    length: np.ndarray
    width: np.ndarray
    slope: np.ndarray
    share: np.ndarray
    flow: np.ndarray
    gauge: np.ndarray


def reaches_of(problem: Problem) -> Reaches:
    """Join the networks of all columns.

    Rivers are made linear at the flow that the average drop of water flows in, the
    sum of squares over the sum of the discharge observed in the training years.

    Parameters
    ----------
    problem : Problem
        As `tilth.studies.calibrate_by_gauge.problem.lay_out` returns it.

    Returns
    -------
    Reaches
    """
    sizes = [network.size for network in problem.networks]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    flow = np.where(problem.fitted, problem.observed, 0.0)
    typical = (flow**2).sum(axis=0) / flow.sum(axis=0)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in Reaches._fields[:-1]}
    for column, (first, network) in enumerate(
        zip(starts[:-1], problem.networks, strict=True)
    ):
        down, data = network.downstream, network.data
        parts["downstream"].append(np.where(down < 0, down, down + first))
        parts["owner"].append(np.full(network.size, column))
        parts["length"].append(data["river_length"].values)
        parts["width"].append(data["river_width"].values)
        parts["slope"].append(data["channel_slope"].values)
        parts["share"].append(data["runoff_share"].values)
        drained = network.accumulate(data["runoff_share"].values)
        parts["flow"].append(drained * typical[column])
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return Reaches(**joined, gauge=starts[1:] - 2)


def runoff(values: Values, problem: Problem) -> tuple[Array, Array]:
    """Run the emulator of every column through the spin-up and the record.

    Parameters
    ----------
    values : Values
        Of all columns.
    problem : Problem
        With the weather.

    Returns
    -------
    array, array
        Surface runoff after the hillslope, and base runoff, mm day-1 (day, column).
    """
    zero = jnp.zeros(problem.size)
    deep = values.deep_residence * problem.mean_runoff
    start = State(zero, zero, zero + _FIRST_WETLAND, deep)
    _, _, fluxes = simulate(
        start,
        Forcing(*problem.weather),
        problem.month,
        values.emulator,
        values.runoff_share,
        VARIANTS["closed"],
    )
    return delay(fluxes.surface_runoff, values.hillslope_delay), fluxes.base_runoff


def delay(inflow: Array, days: Array) -> Array:
    r"""Pass a flow, constant over each day, through a linear store.

    .. math:: \dot S = i - S / k

    solved exactly over each day; the store begins where the first day's flow is steady.

    Parameters
    ----------
    inflow : array, shape (day, column)
        Mean of each day.
    days : array, shape (column)
        Mean stay k, days.

    Returns
    -------
    array, shape (day, column)
        Mean outflow of each day, in the units of the inflow.
    """
    kept = jnp.exp(-1.0 / days)

    def day(store: Array, flow: Array) -> tuple[Array, Array]:
        end = store * kept + flow * days * (1.0 - kept)
        return end, flow - (end - store)

    return jax.lax.scan(day, inflow[0] * days, inflow)[1]


def gauge_response(values: Values, reaches: Reaches) -> Array:
    """Return the discharge at each gauge after one day of runoff of 1 m3 s-1.

    Parameters
    ----------
    values : Values
        Of all columns; roughness and width of the channels.
    reaches : Reaches
        The networks.

    Returns
    -------
    array, shape (RESPONSE_DAYS, column)
        Means of the days from that of the runoff on; their sum is one but for what is
        still on its way.
    """
    manning = values.manning[reaches.owner]
    width = values.width_factor[reaches.owner] * reaches.width
    steep = jnp.sqrt(reaches.slope)
    depth = (manning * reaches.flow / (width * steep)) ** 0.6
    celerity = 5.0 / 3.0 * reaches.flow / (width * depth)
    time = reaches.length / celerity
    # Q = 0.6 c W h, as the wave is 5/3 as fast as the water.
    cunge = 0.5 * (1.0 - 0.6 * depth / (reaches.slope * reaches.length))
    weight = jnp.clip(cunge, 0.0, jnp.minimum(0.45, _STEP / (2.0 * time)))
    day = jnp.asarray(reaches.share)
    later = jnp.zeros((RESPONSE_DAYS - 1, day.size))
    _, mean = simulate_muskingum(
        time, weight, reaches.downstream, jnp.zeros(day.size),
        jnp.concatenate([day[None], later]), _STEP, round(SECONDS_PER_DAY / _STEP),
    )  # fmt: skip
    return mean[:, reaches.gauge]


def compiled_linear(problem: Problem, reaches: Reaches) -> Callable[[Array], Array]:
    """Return `linear_discharge` of a problem, compiled.

    Parameters
    ----------
    problem : Problem
        Whose columns are run.
    reaches : Reaches
        Of `reaches_of`.

    Returns
    -------
    callable
        From coefficients (SIZE, column) to discharge (record, column), m3 s-1.
    """
    return jax.jit(partial(linear_discharge, problem=problem, reaches=reaches))


def linear_discharge(coefficients: Array, problem: Problem, reaches: Reaches) -> Array:
    """Run the whole chain with linear rivers.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Of `tilth.studies.calibrate_by_gauge.values`.
    problem : Problem
        Of the same columns.
    reaches : Reaches
        Of `reaches_of`.

    Returns
    -------
    array, shape (record, column)
        Discharge at the gauges, m3 s-1, means of the days.
    """
    values = unfold(coefficients)
    water = sum(runoff(values, problem)) * problem.area * DEPTH_TO_FLOW
    response = gauge_response(values, reaches)
    first, days = problem.spin_up, problem.time.size
    return sum(
        response[lag] * water[first - lag : first - lag + days]
        for lag in range(RESPONSE_DAYS)
    )
