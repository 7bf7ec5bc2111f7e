"""One sub-step of a component: flows, their limits, and the storages after it.

All that is compiled here calls `stage`, `fluxes`, `levees` and `reservoirs`; numba's
cache of a function is renewed when its own file changes, and only then: after a
change in one of those, touch this file and `kernel`. Arrays are taken out of their
tuples once, before a loop: within it every access would be counted.
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
from tilth.rivers.routing.stage import stage, stage_with_levee

__all__ = ["Work", "flows", "moves", "path_flows", "path_moves", "settle"]

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
def settle(low, high, geometry, storage, work):
    """Bring the work memory up to the storages; compiled.

    Parameters
    ----------
    low, high : int
        First catchment, and that after the last.
    geometry : Geometry
        The network.
    storage : array, shape (catchment)
        m3.
    work : Work
        Changed: how the water stands.
    """
    length, width, depth = geometry.length, geometry.width, geometry.depth
    layer_width, bed = geometry.layer_width, geometry.bed
    height, volume = geometry.layer_height, geometry.layer_storage
    level, area = work.level, work.area
    flood_depth, flood_fraction = work.flood_depth, work.flood_fraction
    flood_storage = work.flood_storage
    for i in range(low, high):
        high_water, flood, fraction, held = stage(
            storage[i], i, length, width, depth, layer_width, height, volume
        )
        level[i] = bed[i] + high_water
        flood_depth[i] = flood
        flood_fraction[i] = fraction
        flood_storage[i] = held
        # CaMa-Flood takes the water above the channel off once more.
        area[i] = max(held / length[i] - flood * width[i], 0.0)
    if geometry.levees.row.size:
        for i in range(low, high):
            if geometry.levees.row[i] >= 0:
                high_water, flood, fraction, held, protected = stage_with_levee(
                    storage[i], i, geometry
                )
                level[i] = bed[i] + high_water
                flood_depth[i] = flood
                flood_fraction[i] = fraction
                flood_storage[i] = held
                beside = (held - protected) / length[i] - flood * width[i]
                area[i] = max(beside, 0.0)


@_compiled
def flows(low, high, dt, geometry, state, forcing, piece, constants, work):
    """Find the flow to the next catchment of each, and what each must give; compiled.

    Flow back from downstream is limited to a share of the catchment's own storage.

    Parameters
    ----------
    low, high : int
        First catchment, and that after the last.
    dt : float
        Length of the sub-step, s.
    geometry, state, forcing, constants, work : tuple
        The flows of the state and the demand of the work memory are changed.
    piece : int
        Of the sea level.
    """
    downstream, law, bed = geometry.downstream, geometry.law, geometry.bed
    elevation, distance = geometry.elevation, geometry.distance
    width, manning = geometry.width, geometry.manning
    terminal, sea_level = geometry.terminal, forcing.sea_level
    levels, levels_before, areas = work.level, work.level_before, work.area
    areas_before, demand = state.flow_area, work.demand
    rivers, floods, storage = state.river_flow, state.floodplain_flow, state.storage
    channel_slope, flood_storage = geometry.channel_slope, work.flood_storage
    flood_depth = work.flood_depth
    impulse = constants.gravity * dt
    steepest, rough = constants.flood_slope, constants.floodplain_manning
    floodplain, most_back = constants.floodplain_flow, constants.backflow_share
    dammed = work.arriving.size > 0
    for i in range(low, high):
        j = downstream[i]
        level = levels[i]
        river = flood = 0.0
        if law[i] == INERTIAL:
            top, top_before = level, levels_before[i]
            if j >= 0:
                below = levels[j]
                top, top_before = max(top, below), max(top_before, levels_before[j])
            else:
                below = elevation[i] + sea_level[piece, terminal[i]]
            slope = (level - below) / distance[i]
            river = river_flow(
                top - bed[i],
                top_before - bed[i],
                slope,
                width[i],
                manning[i],
                rivers[i],
                impulse,
            )
            if floodplain and areas[i] > 0.0:
                flood = floodplain_flow(
                    top - elevation[i],
                    top_before - elevation[i],
                    areas[i],
                    areas_before[i],
                    min(max(slope, -steepest), steepest),
                    rough,
                    floods[i],
                    impulse,
                )
                if not flood * river > 0.0:
                    flood = 0.0
            if j >= 0 and river < 0.0:
                back = -(river + flood) * dt
                most = most_back * storage[i]
                if back > most:
                    river *= most / back
                    flood *= most / back
        elif law[i] == KINEMATIC:
            slope = channel_slope[i]
            river = kinematic_flow(level - bed[i], slope, width[i], manning[i])
            river = min(river, (storage[i] - flood_storage[i]) / dt)
            if floodplain and areas[i] > 0.0:
                flood = kinematic_floodplain_flow(
                    flood_depth[i], areas[i], min(slope, steepest), rough
                )
                flood = min(flood, flood_storage[i] / dt)
        else:
            river = _release(i, dt, geometry, storage[i], forcing, work.arriving[i])
        rivers[i] = river
        floods[i] = flood
        if river >= 0.0:
            demand[i] += river + flood
        elif j >= 0:
            demand[j] -= river + flood
        if dammed:
            work.arriving[i] = 0.0
            if j >= 0:
                work.arriving[j] += river + flood


@_compiled
def _release(i, dt, geometry, storage, forcing, arriving):
    """Return what the reservoir of a catchment lets pass, m3 s-1; compiled."""
    row = geometry.reservoirs.row[i]
    return reservoir_release(
        storage,
        arriving + forcing.runoff[i] + forcing.base_runoff[i],
        dt,
        geometry.reservoirs.capacity[row],
        geometry.reservoirs.normal_share[row],
        geometry.reservoirs.normal_flow[row],
        geometry.reservoirs.flood_flow[row],
    )


@_compiled
def path_flows(first, last, dt, geometry, state, constants, work):
    """Find the flow of bifurcation paths, and add it to what must be given; compiled.

    The sum over a path's levels is limited to a share of the smaller storage. There
    is no flow between catchments that do not follow the inertial law.

    Parameters
    ----------
    first, last : int
        Paths, numbers in their order; the last is not included.
    dt : float
        Length of the sub-step, s.
    geometry, state, constants, work : tuple
        The flows of the state and the demand of the work memory are changed.
    """
    paths = geometry.paths
    impulse = constants.gravity * dt
    steepest = constants.flood_slope
    storage = state.storage
    for number in range(first, last):
        p = paths.order[number]
        i, j = paths.start[p], paths.end[p]
        if geometry.law[i] != INERTIAL or geometry.law[j] != INERTIAL:
            continue
        slope = (work.level[i] - work.level[j]) / paths.length[p]
        slope = min(max(slope, -steepest), steepest)
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
        most = constants.path_share * min(storage[i], storage[j])
        if abs(total) * dt > most:
            share = most / (abs(total) * dt)
            total = 0.0
            for k in range(paths.manning.size):
                state.path_flow[p, k] *= share
                total += state.path_flow[p, k]
        if total >= 0.0:
            work.demand[i] += total
        else:
            work.demand[j] -= total


@_compiled
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
    paths = geometry.paths
    for number in range(first, last):
        p = paths.order[number]
        i, j = paths.start[p], paths.end[p]
        total = 0.0
        for k in range(paths.manning.size):
            total += state.path_flow[p, k]
        donor = i if total >= 0.0 else j
        asked = work.demand[donor] * dt
        if asked > state.storage[donor]:
            share = state.storage[donor] / asked
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

    Parameters
    ----------
    low, high : int
        First catchment, and that after the last.
    dt : float
        Length of the sub-step, s.
    geometry, state, forcing, totals, work : tuple
        State, totals and work memory are changed.
    account : array, shape (5)
        Collects outflow, evaporation, infiltration, negative runoff that found no
        water, and storages below zero, m3.
    """
    downstream, area, bed = geometry.downstream, geometry.area, geometry.bed
    delay, runoff, base = (
        geometry.groundwater_delay,
        forcing.runoff,
        forcing.base_runoff,
    )
    evaporation, infiltration = forcing.evaporation, forcing.infiltration
    rivers, floods, storage = state.river_flow, state.floodplain_flow, state.storage
    river_depth, flow_area = state.river_depth, state.flow_area
    groundwater = state.groundwater
    river_total, flood_total = totals.river, totals.floodplain
    level, level_before, areas = work.level, work.level_before, work.area
    fraction, flood_storage = work.flood_fraction, work.flood_storage
    demand, net = work.demand, work.net
    for i in range(low, high):
        j = downstream[i]
        river, flood = rivers[i], floods[i]
        held = storage[i]
        if river >= 0.0:
            asked, there = demand[i] * dt, held
        elif j >= 0:
            asked, there = demand[j] * dt, storage[j]
        else:
            asked, there = 0.0, 0.0
        if asked > there:
            river *= there / asked
            flood *= there / asked
            rivers[i] = river
            floods[i] = flood
        out = river + flood
        if j >= 0:
            net[j] += out
        else:
            account[0] += out * dt
        river_total[i] += river * dt
        flood_total[i] += flood * dt
        now = held + dt * (net[i] - out)
        net[i] = 0.0
        if now < 0.0:
            account[4] -= now
            now = 0.0
        came = base[i] * dt
        if delay[i] > 0.0:
            below = (groundwater[i] + came) / (1.0 + dt / delay[i])
            groundwater[i] = below
            came = below * (dt / delay[i])
        now += came + runoff[i] * dt
        if now < 0.0:
            account[3] -= now
            now = 0.0
        rate = evaporation[i] + infiltration[i]
        if rate * fraction[i] > 0.0:
            taken = rate * fraction[i] * area[i] * dt
            taken = min(taken, min(flood_storage[i], now))
            now -= taken
            evaporated = taken * (evaporation[i] / rate)
            totals.evaporation[i] += evaporated
            totals.infiltration[i] += taken - evaporated
            account[1] += evaporated
            account[2] += taken - evaporated
        storage[i] = now
        river_depth[i] = level[i] - bed[i]
        flow_area[i] = areas[i]
        level_before[i] = level[i]
    for i in range(low, high):
        demand[i] = 0.0
    settle(low, high, geometry, storage, work)
