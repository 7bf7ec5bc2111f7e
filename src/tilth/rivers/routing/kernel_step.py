"""Components advanced step by step: flows, their limits, the storages after them.

Two rules make it fast: arrays are taken out of their tuples once, before all loops,
and nothing but plain numbers is given to functions within the loop over catchments,
because numba counts references to arrays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tilth.rivers.routing.arrays import INERTIAL, KINEMATIC
from tilth.rivers.routing.fluxes import (
    floodplain_flow,
    kinematic_floodplain_flow,
    kinematic_flow,
    river_flow,
)
from tilth.rivers.routing.kernel_paths import path_flows, path_moves
from tilth.rivers.routing.kernel_roots import FAST
from tilth.rivers.routing.reservoirs import reservoir_release
from tilth.rivers.routing.stage import levee_stage_at, stage_in_layer

__all__ = ["Work", "advance_components"]

#: Least depth for the speed of a wave, m (CaMa-Flood v4).
LEAST_DEPTH = 0.01


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


@njit(nogil=True, error_model="numpy", fastmath=FAST)
def advance_components(
    first, last, geometry, state, forcing, seconds, constants, given, totals, ledger,
    work,
):  # fmt: skip
    """Advance components through an interval of constant forcing; compiled.

    Within a sub-step upstream comes first. When a catchment is reached by the loop
    that moves the water, all that flows to it is known, and the storages of those
    downstream are still those of before.

    Parameters
    ----------
    first, last : int
        First component, and that after the last.
    geometry, state, forcing, totals, ledger : tuple
        As for `kernel.advance`; state, totals and ledger are changed.
    seconds : float
        Length of the interval, s.
    constants : Constants
        Of the settings.
    given : array of int64, shape (outer step)
        Number of sub-steps; 0 where each component finds its own.
    work : Work
        With the levels of a sub-step before, and nothing demanded or on its way.
    """
    downstream, law, terminal = geometry.downstream, geometry.law, geometry.terminal
    bed, elevation, distance = geometry.bed, geometry.elevation, geometry.distance
    length, width, depth = geometry.length, geometry.width, geometry.depth
    catchment_area, manning = geometry.area, geometry.manning
    channel_slope, delay = geometry.channel_slope, geometry.groundwater_delay
    layer_width = geometry.layer_width
    height, volume = geometry.layer_height, geometry.layer_storage
    levee = geometry.levees.row
    levee_base, levee_full = geometry.levees.base_storage, geometry.levees.full_storage
    dam, capacity = geometry.reservoirs.row, geometry.reservoirs.capacity
    normal_share = geometry.reservoirs.normal_share
    normal_flow = geometry.reservoirs.normal_flow
    flood_flow = geometry.reservoirs.flood_flow
    storage, groundwater = state.storage, state.groundwater
    rivers, floods = state.river_flow, state.floodplain_flow
    river_depth, flow_area = state.river_depth, state.flow_area
    runoff, base_runoff = forcing.runoff, forcing.base_runoff
    evaporation, infiltration = forcing.evaporation, forcing.infiltration
    sea_level = forcing.sea_level
    river_total, flood_total = totals.river, totals.floodplain
    evaporation_total, infiltration_total = totals.evaporation, totals.infiltration
    level, level_before, area = work.level, work.level_before, work.area
    flood_depth, flood_fraction = work.flood_depth, work.flood_fraction
    flood_storage = work.flood_storage
    demand, net, arriving = work.demand, work.net, work.arriving
    gravity, steepest = constants.gravity, constants.flood_slope
    rough, most_back = constants.floodplain_manning, constants.backflow_share
    floodplain = constants.floodplain_flow
    layers = volume.shape[1] - 1
    leveed, dammed = levee.size > 0, dam.size > 0
    pieces, outer = sea_level.shape[0], given.size
    long = seconds / outer

    for c in range(first, last):
        low, high = geometry.first[c], geometry.first[c + 1]
        path, path_end = geometry.paths.first[c], geometry.paths.first[c + 1]
        supply = before = 0.0
        for i in range(low, high):
            supply += (runoff[i] + base_runoff[i]) * long
            before += storage[i] + groundwater[i]
        ledger.before[c] = before
        worst = 0.0
        sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        for o in range(outer):
            outflow = evaporated = infiltrated = shortfall = clipped = 0.0
            substeps, step, dt, impulse = 1, 0, long, 0.0
            while step < substeps:
                # How the water stands.
                swiftest = 0.0
                for i in range(low, high):
                    now = storage[i]
                    bottom = length[i] * width[i]
                    river, flood, fraction, held = now / bottom, 0.0, 0.0, 0.0
                    beside = 0.0
                    if now > volume[i, 0]:
                        row = levee[i] if leveed else -1
                        protected = 0.0
                        if row >= 0 and levee_base[row] < now < levee_full[row]:
                            flood, fraction, protected = levee_stage_at(
                                now, i, geometry
                            )
                        else:
                            k = 0
                            while k < layers and now > volume[i, k + 1]:
                                k += 1
                            flood, fraction = stage_in_layer(
                                now - volume[i, k],
                                k,
                                layers,
                                height[i, k],
                                height[i, min(k + 1, layers)] - height[i, k],
                                length[i],
                                width[i],
                                layer_width[i],
                            )
                        held = max(now - volume[i, 0] - bottom * flood, 0.0)
                        river = depth[i] + flood
                        # CaMa-Flood takes the water above the channel off once more.
                        beside = (held - protected) / length[i] - flood * width[i]
                    level[i] = bed[i] + river
                    flood_depth[i] = flood
                    flood_fraction[i] = fraction
                    flood_storage[i] = held
                    area[i] = max(beside, 0.0)
                    if step == 0:
                        far = distance[i]
                        swiftest = max(swiftest, max(river, LEAST_DEPTH) / (far * far))
                if step == 0:
                    substeps = given[o]
                    if substeps == 0:
                        shortest = constants.courant / math.sqrt(gravity * swiftest)
                        substeps = int(long / min(shortest, long) - 0.01) + 1
                    ledger.substeps[c, o] = substeps
                    dt = long / substeps
                    impulse = gravity * dt

                # Flow to the next catchment, and what each must give.
                elapsed = (o * long + step * dt) / seconds
                piece = min(int(elapsed * pieces + 1e-9), pieces - 1)
                for i in range(low, high):
                    j = downstream[i]
                    river = flood = 0.0
                    if law[i] == INERTIAL:
                        top, top_before = level[i], level_before[i]
                        if j >= 0:
                            below = level[j]
                            top = max(top, below)
                            top_before = max(top_before, level_before[j])
                        else:
                            below = elevation[i] + sea_level[piece, terminal[i]]
                        slope = (level[i] - below) / distance[i]
                        river = river_flow(
                            top - bed[i],
                            top_before - bed[i],
                            slope,
                            width[i],
                            manning[i],
                            rivers[i],
                            impulse,
                        )
                        if floodplain and area[i] > 0.0:
                            flood = floodplain_flow(
                                top - elevation[i],
                                top_before - elevation[i],
                                area[i],
                                flow_area[i],
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
                        river = kinematic_flow(
                            level[i] - bed[i], slope, width[i], manning[i]
                        )
                        river = min(river, (storage[i] - flood_storage[i]) / dt)
                        if floodplain and area[i] > 0.0:
                            flood = kinematic_floodplain_flow(
                                flood_depth[i], area[i], min(slope, steepest), rough
                            )
                            flood = min(flood, flood_storage[i] / dt)
                    else:
                        row = dam[i]
                        river = reservoir_release(
                            storage[i],
                            arriving[i] + runoff[i] + base_runoff[i],
                            dt,
                            capacity[row],
                            normal_share[row],
                            normal_flow[row],
                            flood_flow[row],
                        )
                    rivers[i] = river
                    floods[i] = flood
                    if river >= 0.0:
                        demand[i] += river + flood
                    elif j >= 0:
                        demand[j] -= river + flood
                    if dammed:
                        arriving[i] = 0.0
                        if j >= 0:
                            arriving[j] += river + flood
                if path_end > path:
                    path_flows(path, path_end, dt, geometry, state, constants, work)
                    path_moves(path, path_end, dt, geometry, state, totals, work)

                # Limit the flows by what donors have, and move the water.
                for i in range(low, high):
                    j = downstream[i]
                    river, flood = rivers[i], floods[i]
                    now = storage[i]
                    asked, there = demand[i] * dt, now
                    demand[i] = 0.0
                    if river < 0.0:
                        asked = there = 0.0
                        if j >= 0:
                            asked, there = demand[j] * dt, storage[j]
                    if asked > there:
                        river *= there / asked
                        flood *= there / asked
                        rivers[i] = river
                        floods[i] = flood
                    out = river + flood
                    if j >= 0:
                        net[j] += out
                    else:
                        outflow += out * dt
                    river_total[i] += river * dt
                    flood_total[i] += flood * dt
                    now += dt * (net[i] - out)
                    net[i] = 0.0
                    if now < 0.0:
                        clipped -= now
                        now = 0.0
                    came = base_runoff[i] * dt
                    if delay[i] > 0.0:
                        ground = (groundwater[i] + came) / (1.0 + dt / delay[i])
                        groundwater[i] = ground
                        came = ground * (dt / delay[i])
                    now += came + runoff[i] * dt
                    if now < 0.0:
                        shortfall -= now
                        now = 0.0
                    rate = evaporation[i] + infiltration[i]
                    if rate * flood_fraction[i] > 0.0:
                        taken = rate * flood_fraction[i] * catchment_area[i] * dt
                        taken = min(taken, min(flood_storage[i], now))
                        now -= taken
                        to_air = taken * (evaporation[i] / rate)
                        evaporation_total[i] += to_air
                        infiltration_total[i] += taken - to_air
                        evaporated += to_air
                        infiltrated += taken - to_air
                    storage[i] = now
                    river_depth[i] = level[i] - bed[i]
                    flow_area[i] = area[i]
                    # From the depth, as a run that goes on from the state has it.
                    level_before[i] = bed[i] + river_depth[i]
                step += 1

            # The account of the outer step.
            after = 0.0
            for i in range(low, high):
                after += storage[i] + groundwater[i]
            lost = outflow + evaporated + infiltrated
            whole = max(before, after) + abs(supply) + abs(outflow)
            if whole > 0.0:
                gap = abs(after - before - (supply + shortfall - lost))
                worst = max(worst, gap / whole)
            before = after
            sums = (
                sums[0] + outflow,
                sums[1] + evaporated,
                sums[2] + infiltrated,
                sums[3] + shortfall,
                sums[4] + clipped,
            )
        ledger.after[c] = before
        ledger.runoff[c] = supply * outer + sums[3]
        ledger.outflow[c] = sums[0]
        ledger.evaporation[c] = sums[1]
        ledger.infiltration[c] = sums[2]
        ledger.shortfall[c] = sums[3]
        ledger.clipped[c] = sums[4]
        ledger.residual[c] = worst
