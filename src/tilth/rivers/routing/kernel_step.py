"""One sub-step of a component: flows, their limits, and the storages after it.

All that is compiled here calls `stage`, `fluxes`, `levees` and `reservoirs`; numba's
cache of a function is renewed when its own file changes, and only then: after a
change in one of those, touch this file and `kernel`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tilth.rivers.routing.arrays import INERTIAL, KINEMATIC
from tilth.rivers.routing.fluxes import (
    floodplain_flow,
    kinematic_floodplain_flow,
    kinematic_flow,
    path_flow,
    river_flow,
)
from tilth.rivers.routing.reservoirs import reservoir_release
from tilth.rivers.routing.stage import stage

__all__ = ["Work"]

_compiled = njit(cache=True, nogil=True, error_model="numpy")


class Work(NamedTuple):
    """Memory of a run of the kernel; arrays of the shape (catchment).

    Parameters
    ----------
    level, level_before : array
        Elevation of the surface now and a sub-step before, m.
    flood_depth, flood_storage, flood_fraction : array
        Of the water now, as in `stage.Stages`.
    area : array
        Cross-section of the floodplain's water beside the channel now, m2.
    demand : array
        Flow out of each catchment, whatever way, before it is limited, m3 s-1.
    net : array
        Flow in less flow out through paths, as far as it is known, m3 s-1.
    arriving : array
        Flow from upstream before it is limited, m3 s-1; empty without reservoirs.
    """

    level: np.ndarray
    level_before: np.ndarray
    flood_depth: np.ndarray
    flood_storage: np.ndarray
    flood_fraction: np.ndarray
    area: np.ndarray
    demand: np.ndarray
    net: np.ndarray
    arriving: np.ndarray


@_compiled
def settle(i, storage, geometry, work):
    """Bring the work memory of a catchment up to its storage; compiled."""
    depth, flood, fraction, held, protected = stage(storage, geometry, i)
    work.level[i] = geometry.bed[i] + depth
    if held > 0.0:
        work.flood_depth[i] = flood
        work.flood_fraction[i] = fraction
        work.flood_storage[i] = held
        # CaMa-Flood takes the water above the channel off once more.
        beside = (held - protected) / geometry.length[i] - flood * geometry.width[i]
        work.area[i] = max(beside, 0.0)
    else:
        work.flood_depth[i] = flood
        work.flood_fraction[i] = fraction
        work.flood_storage[i] = 0.0
        work.area[i] = 0.0
    return depth


@_compiled
def flows(low, high, dt, geometry, state, forcing, piece, constants, work):
    """Find the flow to the next catchment of each, and what each must give; compiled.

    Flow back from downstream is limited to a share of the catchment's own storage.
    """
    impulse = constants.gravity * dt
    reservoirs = work.arriving.size > 0
    for i in range(low, high):
        j = geometry.downstream[i]
        law = geometry.law[i]
        level, before = work.level[i], work.level_before[i]
        bed = geometry.bed[i]
        river = flood = 0.0
        if law == INERTIAL:
            top, top_before = level, before
            if j >= 0:
                below = work.level[j]
                top, top_before = max(top, below), max(before, work.level_before[j])
            else:
                sea = forcing.sea_level[piece, geometry.terminal[i]]
                below = geometry.elevation[i] + sea
            slope = (level - below) / geometry.distance[i]
            river = river_flow(
                top - bed,
                top_before - bed,
                slope,
                geometry.width[i],
                geometry.manning[i],
                state.river_flow[i],
                impulse,
            )
            if constants.floodplain_flow and work.area[i] > 0.0:
                limit = constants.flood_slope
                flood = floodplain_flow(
                    top - geometry.elevation[i],
                    top_before - geometry.elevation[i],
                    work.area[i],
                    state.flow_area[i],
                    min(max(slope, -limit), limit),
                    constants.floodplain_manning,
                    state.floodplain_flow[i],
                    impulse,
                )
                if not flood * river > 0.0:
                    flood = 0.0
            if j >= 0 and river < 0.0:
                back = -(river + flood) * dt
                most = constants.backflow_share * state.storage[i]
                if back > most:
                    river *= most / back
                    flood *= most / back
        elif law == KINEMATIC:
            slope = geometry.channel_slope[i]
            held = state.storage[i] - work.flood_storage[i]
            river = kinematic_flow(
                level - bed, slope, geometry.width[i], geometry.manning[i]
            )
            river = min(river, held / dt)
            if constants.floodplain_flow and work.area[i] > 0.0:
                flood = kinematic_floodplain_flow(
                    work.flood_depth[i],
                    work.area[i],
                    min(slope, constants.flood_slope),
                    constants.floodplain_manning,
                )
                flood = min(flood, work.flood_storage[i] / dt)
        else:
            row = geometry.reservoirs.row[i]
            came = work.arriving[i] + forcing.runoff[i] + forcing.base_runoff[i]
            river = reservoir_release(
                state.storage[i],
                came,
                dt,
                geometry.reservoirs.capacity[row],
                geometry.reservoirs.normal_share[row],
                geometry.reservoirs.normal_flow[row],
                geometry.reservoirs.flood_flow[row],
            )
        state.river_flow[i] = river
        state.floodplain_flow[i] = flood
        if river >= 0.0:
            work.demand[i] += river + flood
        elif j >= 0:
            work.demand[j] -= river + flood
        if reservoirs:
            work.arriving[i] = 0.0
            if j >= 0:
                work.arriving[j] += river + flood


@_compiled
def path_flows(first, last, dt, geometry, state, constants, work):
    """Find the flow of bifurcation paths, and add it to what must be given; compiled.

    The sum over a path's levels is limited to a share of the smaller storage.
    """
    paths = geometry.paths
    impulse = constants.gravity * dt
    for number in range(first, last):
        p = paths.order[number]
        i, j = paths.start[p], paths.end[p]
        if geometry.law[i] != INERTIAL or geometry.law[j] != INERTIAL:
            continue
        slope = (work.level[i] - work.level[j]) / paths.length[p]
        slope = min(max(slope, -constants.flood_slope), constants.flood_slope)
        top = max(work.level[i], work.level[j])
        before = max(work.level_before[i], work.level_before[j])
        total = 0.0
        for k in range(paths.manning.size):
            bed = paths.elevation[p, k]
            flow = path_flow(
                top - bed,
                before - bed,
                slope,
                paths.width[p, k],
                paths.manning[k],
                state.path_flow[p, k],
                impulse,
            )
            state.path_flow[p, k] = flow
            total += flow
        most = constants.path_share * min(state.storage[i], state.storage[j])
        if abs(total) * dt > most:
            share = most / (abs(total) * dt)
            total *= share
            for k in range(paths.manning.size):
                state.path_flow[p, k] *= share
        if total >= 0.0:
            work.demand[i] += total
        else:
            work.demand[j] -= total


@_compiled
def share_given(i, dt, storage, demand):
    """Return which share of its demand a catchment can give; compiled."""
    asked = demand[i] * dt
    return storage[i] / asked if asked > storage[i] else 1.0


@_compiled
def path_moves(first, last, dt, geometry, state, totals, work):
    """Limit the flow of paths by what their donors have, and move it; compiled."""
    paths = geometry.paths
    for number in range(first, last):
        p = paths.order[number]
        i, j = paths.start[p], paths.end[p]
        total = 0.0
        for k in range(paths.manning.size):
            total += state.path_flow[p, k]
        share = share_given(i if total >= 0.0 else j, dt, state.storage, work.demand)
        if share < 1.0:
            total = 0.0
            for k in range(paths.manning.size):
                state.path_flow[p, k] *= share
                total += state.path_flow[p, k]
        work.net[i] -= total
        work.net[j] += total
        totals.path[i] += total * dt
        totals.path[j] -= total * dt


@_compiled
def moves(low, high, dt, geometry, state, forcing, totals, work, account):
    """Limit flows by what donors have, move the water and settle it; compiled.

    Upstream comes first: when a catchment is reached, all that flows to it is known,
    and the storages of those downstream are still those of before.

    `account` collects outflow, evaporation, infiltration, runoff less than nothing
    that found no water, and storages below zero, m3.
    """
    storage, demand = state.storage, work.demand
    for i in range(low, high):
        j = geometry.downstream[i]
        river, flood = state.river_flow[i], state.floodplain_flow[i]
        held = storage[i]
        asked = demand[i] * dt
        if river >= 0.0:
            if asked > held:
                share = held / asked
                river *= share
                flood *= share
                state.river_flow[i] = river
                state.floodplain_flow[i] = flood
        elif j >= 0 and demand[j] * dt > storage[j]:
            share = storage[j] / (demand[j] * dt)
            river *= share
            flood *= share
            state.river_flow[i] = river
            state.floodplain_flow[i] = flood
        out = river + flood
        if j >= 0:
            work.net[j] += out
        else:
            account[0] += out * dt
        totals.river[i] += river * dt
        totals.floodplain[i] += flood * dt
        now = held + dt * (work.net[i] - out)
        work.net[i] = 0.0
        if now < 0.0:
            account[4] -= now
            now = 0.0
        came = forcing.runoff[i] * dt
        delay = geometry.groundwater_delay[i]
        if delay > 0.0:
            below = (state.groundwater[i] + forcing.base_runoff[i] * dt) / (
                1.0 + dt / delay
            )
            state.groundwater[i] = below
            came += below * (dt / delay)
        else:
            came += forcing.base_runoff[i] * dt
        now += came
        if now < 0.0:
            account[3] -= now
            now = 0.0
        if work.flood_fraction[i] > 0.0:
            rate = forcing.evaporation[i] + forcing.infiltration[i]
            if rate > 0.0:
                taken = rate * work.flood_fraction[i] * geometry.area[i] * dt
                taken = min(taken, min(work.flood_storage[i], now))
                now -= taken
                evaporated = taken * (forcing.evaporation[i] / rate)
                totals.evaporation[i] += evaporated
                totals.infiltration[i] += taken - evaporated
                account[1] += evaporated
                account[2] += taken - evaporated
        storage[i] = now
        state.river_depth[i] = work.level[i] - geometry.bed[i]
        state.flow_area[i] = work.area[i]
        work.level_before[i] = work.level[i]
        settle(i, now, geometry, work)
    for i in range(low, high):
        demand[i] = 0.0
