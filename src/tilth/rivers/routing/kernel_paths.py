"""Bifurcation paths within a sub-step: their flow, its limits, and what it moves."""

from __future__ import annotations

from numba import njit

from tilth.rivers.routing.arrays import INERTIAL
from tilth.rivers.routing.fluxes import path_flow
from tilth.rivers.routing.kernel_roots import FAST

__all__ = ["path_flows", "path_moves"]


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def path_flows(first, last, dt, geometry, state, constants, work):
    """Find the flow of bifurcation paths, and add it to what must be given; compiled.

    The sum over a path's levels is limited to a share of the smaller storage, so that
    a path brings nothing to a catchment without water. There is no flow between
    catchments that do not follow the inertial law.

    Parameters
    ----------
    first, last : int
        Paths, numbers in their order; the last is not included.
    dt : float
        Length of the sub-step, s.
    geometry, state, constants, work : tuple
        The flows of the state and the demand of the work memory are changed.
    """
    order, start, end = geometry.paths.order, geometry.paths.start, geometry.paths.end
    length, width = geometry.paths.length, geometry.paths.width
    elevation, manning = geometry.paths.elevation, geometry.paths.manning
    law, storage, flows = geometry.law, state.storage, state.path_flow
    level, level_before, demand = work.level, work.level_before, work.demand
    steepest, most_share = constants.flood_slope, constants.path_share
    impulse = constants.gravity * dt
    for number in range(first, last):
        p = order[number]
        i, j = start[p], end[p]
        if law[i] != INERTIAL or law[j] != INERTIAL:
            flows[p, :] = 0.0
            continue
        slope = (level[i] - level[j]) / length[p]
        slope = min(max(slope, -steepest), steepest)
        top = max(level[i], level[j])
        top_before = max(level_before[i], level_before[j])
        total = 0.0
        for k in range(manning.size):
            bed = elevation[p, k]
            flow = path_flow(
                top - bed,
                top_before - bed,
                slope,
                width[p, k],
                manning[k],
                flows[p, k],
                impulse,
            )
            flows[p, k] = flow
            total += flow
        most = most_share * min(storage[i], storage[j])
        asked = abs(total) * dt
        if asked > most:
            total = 0.0
            for k in range(manning.size):
                flows[p, k] *= most / asked
                total += flows[p, k]
        if total >= 0.0:
            demand[i] += total
        else:
            demand[j] -= total


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def path_moves(first, last, dt, geometry, state, totals, work):
    """Limit the flow of paths by what their donors have, and move it; compiled.

    Parameters
    ----------
    first, last : int
        Paths, numbers in their order; the last is not included.
    dt : float
        Length of the sub-step, s.
    geometry, state, totals, work : tuple
        The flows of the state, the totals and what comes in (`Work.net`) are changed.
    """
    order, start, end = geometry.paths.order, geometry.paths.start, geometry.paths.end
    storage, flows, path_total = state.storage, state.path_flow, totals.path
    demand, net = work.demand, work.net
    levels = flows.shape[1]
    for number in range(first, last):
        p = order[number]
        i, j = start[p], end[p]
        total = 0.0
        for k in range(levels):
            total += flows[p, k]
        donor = i if total >= 0.0 else j
        asked = demand[donor] * dt
        if asked > storage[donor]:
            share = storage[donor] / asked
            total = 0.0
            for k in range(levels):
                flows[p, k] *= share
                total += flows[p, k]
        net[i] -= total
        net[j] += total
        path_total[i] += total * dt
        path_total[j] -= total * dt
