"""Rivers with the local inertial equation and floodplains, by gradient and by kernel.

The same equations twice: in JAX, where the last steps of the calibration follow the
gradient through every sub-step of the rivers, and in the compiled kernel, which runs
the members of an ensemble through them.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import SECONDS_PER_DAY
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.arrays import (
    Geometry,
    empty_ledger,
    empty_state,
    empty_totals,
    forcing_of,
)
from tilth.rivers.routing.equations import simulate, substeps_of
from tilth.rivers.routing.equations_shape import reshaped
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import advance
from tilth.rivers.routing.settings import Settings
from tilth.studies.calibrate_by_gauge.chain import Reaches, runoff
from tilth.studies.calibrate_by_gauge.problem import DEPTH_TO_FLOW, Problem
from tilth.studies.calibrate_by_gauge.values import unfold

Array = Any

#: Days that fill the empty rivers before a day counts.
LEAD = 20

#: Courant number of the plan of sub-steps: below the router's 0.7, so that the plan
#: still holds when roughness and width move a little.
SETTINGS = Settings(courant=0.6)


class Rivers(NamedTuple):
    """The rivers of all columns as one network of the router.

    ``geometry`` at the default roughness and width; ``share`` and ``owner`` (catchment)
    as in `Reaches`; ``gauge`` (column); ``first`` (column) is the day of the record
    with which the run of a column begins to count, ``days`` how many count.
    """

    geometry: Geometry
    share: np.ndarray
    owner: np.ndarray
    gauge: np.ndarray
    first: np.ndarray
    days: int


def rivers_of(problem: Problem, reaches: Reaches, *, whole: bool = True) -> Rivers:
    """Make the network of all columns ready for the router.

    Parameters
    ----------
    problem : Problem
        With the networks.
    reaches : Reaches
        Of the same.
    whole : bool
        Run the whole record, or only from the first to the last day that is fitted.

    Returns
    -------
    Rivers
    """
    tables = []
    for column, network in enumerate(problem.networks):
        at = np.flatnonzero(reaches.owner == column)
        down = ("catchment", reaches.downstream[at])
        tables.append(network.data.assign(downstream=down).assign_coords(catchment=at))
    joined = RiverNetwork(xr.concat(tables, "catchment"))
    first, days = np.zeros(problem.size, int), problem.time.size
    if not whole:
        first = problem.fitted.argmax(axis=0)
        last = problem.time.size - problem.fitted[::-1].argmax(axis=0)
        days = int((last - first).max())
        first = np.minimum(first, problem.time.size - days)
    return Rivers(
        geometry_of(joined, SETTINGS), reaches.share, reaches.owner, reaches.gauge,
        first, days,
    )  # fmt: skip


def _prepared(
    coefficients: Array, problem: Problem, rivers: Rivers
) -> tuple[Geometry, Array]:
    """Return the rivers' geometry and the runoff into every catchment.

    The runoff is in m3 s-1, of the shape (lead and counted days, catchment).
    """
    values, own = unfold(coefficients), rivers.owner
    geometry = reshaped(
        rivers.geometry,
        SETTINGS,
        manning=values.manning[own],
        width=values.width_factor[own] * rivers.geometry.width,
    )
    water = sum(runoff(values, problem)) * problem.area * DEPTH_TO_FLOW
    start = problem.spin_up + rivers.first - LEAD
    rows = start + np.arange(LEAD + rivers.days)[:, None]
    inflow = water[rows, np.arange(problem.size)]
    return geometry, inflow[:, own] * rivers.share


def _for_kernel(
    coefficients: np.ndarray, problem: Problem, rivers: Rivers
) -> tuple[Geometry, np.ndarray]:
    """Return the same as arrays of NumPy in C order."""
    prepare = jax.jit(partial(_prepared, problem=problem, rivers=rivers))
    return jax.tree.map(np.ascontiguousarray, prepare(coefficients))


def plan_substeps(
    coefficients: np.ndarray, problem: Problem, rivers: Rivers
) -> np.ndarray:
    """Return the numbers of sub-steps that a run of the kernel takes.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Of the run.
    problem : Problem
        Of the same columns.
    rivers : Rivers
        Of `rivers_of`.

    Returns
    -------
    array of int, shape (day, column, outer step)
    """
    geometry, inflow = _for_kernel(coefficients, problem, rivers)
    state = empty_state(geometry)
    return substeps_of(geometry, state, inflow, SECONDS_PER_DAY, SETTINGS)


def inertial_discharge(
    coefficients: Array, problem: Problem, rivers: Rivers, substeps: np.ndarray
) -> Array:
    """Run the whole chain with a gradient.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Of `tilth.studies.calibrate_by_gauge.values`.
    problem : Problem
        Of the same columns.
    rivers : Rivers
        Of `rivers_of`.
    substeps : array of int
        Of `plan_substeps`.

    Returns
    -------
    array, shape (record, column)
        Discharge at the gauges, m3 s-1, means of the days; one where no day counts.
    """
    geometry, inflow = _prepared(coefficients, problem, rivers)
    _, means = simulate(
        geometry,
        empty_state(rivers.geometry),
        inflow,
        substeps,
        SECONDS_PER_DAY,
        SETTINGS,
        block=1,  # the states of all days are some megabytes only
    )
    flow = (means.river + means.floodplain)[LEAD:, rivers.gauge]
    rows = rivers.first + np.arange(rivers.days)[:, None]
    record = jnp.ones((problem.time.size, problem.size))
    return record.at[rows, np.arange(problem.size)].set(flow)


def kernel_discharge(
    coefficients: np.ndarray, problem: Problem, rivers: Rivers
) -> np.ndarray:
    """Run the whole chain with the compiled kernel, without a gradient.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Of `tilth.studies.calibrate_by_gauge.values`.
    problem : Problem
        Of the same columns.
    rivers : Rivers
        Of `rivers_of`, over the whole record.

    Returns
    -------
    array, shape (record, column)
        Discharge at the gauges, m3 s-1, means of the days.
    """
    geometry, inflow = _for_kernel(coefficients, problem, rivers)
    state, totals = empty_state(geometry), empty_totals(geometry)
    found = np.empty((len(inflow), problem.size))
    for day, row in enumerate(inflow):
        ledger = empty_ledger(geometry, SECONDS_PER_DAY, SETTINGS)
        forcing = forcing_of(geometry, row)
        advance(geometry, state, forcing, SECONDS_PER_DAY, SETTINGS, totals, ledger)
        found[day] = (totals.river + totals.floodplain)[rivers.gauge]
    return found[LEAD:]
