r"""The router in JAX: the kernel's equations, differentiable through time.

`simulate` does what `tilth.rivers.routing.kernel.advance` does, interval after
interval, on the same arrays. Its reverse derivative keeps the state at the start of
some intervals only, and computes what lies between anew: first the states within a
block of intervals, then those of the sub-steps within an interval, then what happens
in one sub-step. With blocks of :math:`\sqrt{T}` of the T intervals, memory grows as
:math:`2 \sqrt{T}` states and the sub-steps of one interval.

How many sub-steps an interval needs is found by a run of the kernel (`substeps_of`):
whole numbers have no derivative.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.rivers.routing import kernel
from tilth.rivers.routing.arrays import (
    Geometry,
    State,
    empty_ledger,
    empty_totals,
    forcing_of,
)
from tilth.rivers.routing.equations_step import Flux, Weather, advance_step
from tilth.rivers.routing.settings import Settings

__all__ = ["Means", "simulate", "substeps_of"]

#: Of JAX, traced or not, or of NumPy.
Array = Any


class Means(NamedTuple):
    """What a run leaves behind; arrays (interval, catchment).

    Parameters
    ----------
    river, floodplain : array
        Mean flow to the next catchment, in the channel and over the floodplain,
        m3 s-1.
    path : array
        Mean flow out through bifurcation paths, less that in, m3 s-1.
    evaporation, infiltration : array
        Mean loss of the floodplain, m3 s-1.
    storage : array
        Water at the end of each interval, m3.
    """

    river: Array
    floodplain: Array
    path: Array
    evaporation: Array
    infiltration: Array
    storage: Array


def simulate(
    geometry: Geometry,
    state: State,
    runoff: Any,
    substeps: Any,
    seconds: float,
    settings: Settings,
    *,
    base_runoff: Any = None,
    evaporation: Any = None,
    infiltration: Any = None,
    sea_level: Any = None,
    most: int | None = None,
    block: int | None = None,
) -> tuple[State, Means]:
    """Run through all intervals of the runoff.

    To differentiate with respect to a shape of the network, put it into the geometry
    with `tilth.rivers.routing.equations_shape.reshaped`, which brings the arrays that
    follow from it along; ``geometry._replace(manning=n)`` is enough for roughness.

    Parameters
    ----------
    geometry : Geometry
        Of `geometry_of`, without reservoirs and levees; NumPy or JAX arrays.
    state : State
        Before the first interval.
    runoff : array, shape (interval, catchment)
        m3 s-1, constant during an interval.
    substeps : array of int, shape (interval, component, outer step) or (interval)
        Number of sub-steps, of `substeps_of`; or of all components, in one outer step.
    seconds : float
        Length of an interval, s.
    settings : Settings
        The same that made the geometry.
    base_runoff : array, shape (interval, catchment), optional
        By way of the groundwater, m3 s-1.
    evaporation, infiltration : array, shape (interval, catchment), optional
        Demand from the flooded area, m s-1.
    sea_level : array, shape (interval, piece, terminal), optional
        Height of the sea above each terminal's bank, m, in equal pieces of an interval.
    most : int, optional
        Largest number of sub-steps; needed where `substeps` is an argument of a
        compiled function, as the loops are built with it.
    block : int, optional
        Intervals between states that a reverse derivative keeps; by default the root
        of their number. With 1 all are kept, which is faster by one forward run.

    Returns
    -------
    State, Means
        After the last interval, and of every interval.

    Raises
    ------
    InputError
        If shapes do not fit, or the network has reservoirs or levees.
    """
    geometry = jax.tree.map(jnp.asarray, geometry)
    _check_geometry(geometry)
    weather = _series(
        geometry, runoff, base_runoff, evaporation, infiltration, sea_level
    )
    intervals = weather.runoff.shape[0]
    plan, longest = _plan(geometry, substeps, intervals, most)
    outer = plan.shape[2]
    advance = partial(advance_step, settings=settings, seconds=seconds, outer=outer)
    still = Flux(*(jnp.zeros(geometry.area.shape[0]) for _ in Flux._fields))

    # What is differentiated lies inside: of a branch, all that it uses would be kept.
    @jax.checkpoint
    def step(
        now: State, forced: Weather, number: Array, counts: Array, begin: Array
    ) -> tuple[State, Flux]:
        # A branch, not a choice of results: idle sub-steps cost nothing.
        return jax.lax.cond(
            jnp.any(number < counts),
            lambda: advance(geometry, now, forced, number, counts, begin),
            lambda: (now, still),
        )

    def interval(now: State, inputs: tuple[Weather, Array]) -> tuple[State, Means]:
        forced, counts = inputs

        def substep(
            carried: tuple[State, Flux], number: Array
        ) -> tuple[tuple[State, Flux], None]:
            o, s = number // longest, number % longest
            now, moved = step(carried[0], forced, s, counts[:, o], o)
            return (now, jax.tree.map(jnp.add, carried[1], moved)), None

        (now, total), _ = jax.lax.scan(
            substep, (now, still), jnp.arange(outer * longest)
        )
        means = Flux(*(volume / seconds for volume in total))
        return now, Means(**means._asdict(), storage=now.storage)

    start = jax.tree.map(lambda values: jnp.asarray(values, float), state)
    return _scan(jax.checkpoint(interval), start, (weather, plan), intervals, block)


def _scan(
    interval: Any, start: State, inputs: Any, count: int, block: int | None
) -> tuple[State, Means]:
    """Go through all intervals, in blocks of which only the first state is kept."""
    size = block or max(1, math.isqrt(count))
    if size == 1:
        return jax.lax.scan(interval, start, inputs)
    # Filled up with intervals without any sub-step: they change nothing.
    blocks = -(-count // size)
    spare = blocks * size - count

    def folded(values: Array) -> Array:
        padding = [(0, spare)] + [(0, 0)] * (values.ndim - 1)
        return jnp.pad(values, padding).reshape(blocks, size, *values.shape[1:])

    @jax.checkpoint
    def through(now: State, inputs: Any) -> tuple[State, Means]:
        return jax.lax.scan(interval, now, inputs)

    end, means = jax.lax.scan(through, start, jax.tree.map(folded, inputs))
    flat = jax.tree.map(lambda m: m.reshape(-1, *m.shape[2:])[:count], means)
    return end, flat


def substeps_of(
    geometry: Geometry,
    state: State,
    runoff: np.ndarray,
    seconds: float,
    settings: Settings,
    *,
    base_runoff: np.ndarray | None = None,
    evaporation: np.ndarray | None = None,
    infiltration: np.ndarray | None = None,
    sea_level: np.ndarray | None = None,
) -> np.ndarray:
    """Return how many sub-steps each interval needs, from a run of the kernel.

    With parameters that differ a little they still do: `Settings.courant` leaves room.

    Parameters
    ----------
    geometry : Geometry
        Of `geometry_of`; NumPy arrays.
    state : State
        Before the first interval; not changed.
    runoff, base_runoff, evaporation, infiltration : array, (interval, catchment)
        As for `simulate`.
    seconds : float
        Length of an interval, s.
    settings : Settings
        The same that made the geometry; they give the outer steps.
    sea_level : array, shape (interval, piece, terminal), optional
        As for `simulate`.

    Returns
    -------
    numpy.ndarray of int64, shape (interval, component, outer step)
        For `simulate`.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    now = State(*(np.array(values, np.float64) for values in state))
    rows = np.asarray(runoff, np.float64)
    if rows.ndim != 2:
        raise InputError(f"the runoff is (interval, catchment), got {rows.shape}")
    series = {
        "base_runoff": base_runoff,
        "evaporation": evaporation,
        "infiltration": infiltration,
        "sea_level": sea_level,
    }
    given = {name: values for name, values in series.items() if values is not None}
    totals = empty_totals(geometry)
    found = []
    for t, row in enumerate(rows):
        ledger = empty_ledger(geometry, seconds, settings)
        forcing = forcing_of(geometry, row, **{k: v[t] for k, v in given.items()})
        kernel.advance(geometry, now, forcing, seconds, settings, totals, ledger)
        found.append(ledger.substeps)
    return np.array(found)


def _check_geometry(geometry: Geometry) -> None:
    """Raise if the network has what only the kernel knows."""
    for name, rows in (
        ("reservoirs", geometry.reservoirs.row),
        ("levees", geometry.levees.row),
    ):
        if rows.size:
            raise InputError(
                f"the differentiable router knows no {name}: make the geometry "
                "without them, or run tilth.rivers.routing.kernel.advance"
            )


def _series(
    geometry: Geometry,
    runoff: Any,
    base_runoff: Any,
    evaporation: Any,
    infiltration: Any,
    sea_level: Any,
) -> Weather:
    """Return the forcing, intervals first, or raise."""
    n, shape = geometry.area.shape[0], np.shape(runoff)
    if len(shape) != 2 or shape[1] != n or not shape[0]:
        raise InputError(f"the runoff is (interval, {n} catchments), got {shape}")
    weather = Weather(runoff, base_runoff, evaporation, infiltration, None)
    for name, values in weather._asdict().items():
        if values is not None and np.shape(values) != shape:
            raise InputError(
                f"{name} has the shape {np.shape(values)}, the runoff {shape}"
            )
    if sea_level is not None:
        found = np.shape(sea_level)
        if len(found) != 3 or found[0] != shape[0]:
            raise InputError(
                f"sea_level is ({shape[0]} intervals, piece, terminal), got {found}"
            )
        weather = weather._replace(sea_level=sea_level)
    return jax.tree.map(lambda values: jnp.asarray(values, float), weather)


def _plan(
    geometry: Geometry, substeps: Any, intervals: int, most: int | None
) -> tuple[Array, int]:
    """Return sub-steps (interval, component, outer step) and their largest number."""
    components = geometry.first.shape[0] - 1
    shape = np.shape(substeps)
    if shape == (intervals,):
        plan = jnp.broadcast_to(
            jnp.asarray(substeps)[:, None, None], (intervals, components, 1)
        )
    elif len(shape) == 3 and shape[:2] == (intervals, components):
        plan = jnp.asarray(substeps)
    else:
        raise InputError(
            f"substeps are ({intervals} intervals, {components} components, outer "
            f"step) or ({intervals}), got {shape}: see substeps_of"
        )
    if isinstance(substeps, jax.core.Tracer):
        if most is None:
            raise InputError(
                "the loops are built with the largest number of sub-steps: give most, "
                "or let the compiled function close over substeps"
            )
        return plan, most
    largest = int(np.max(substeps))
    if np.min(substeps) < 1 or (most is not None and largest > most):
        raise InputError(
            f"substeps run from 1 to {most or 'any number'}, got {np.min(substeps)} to "
            f"{largest}"
        )
    return plan, most or largest
