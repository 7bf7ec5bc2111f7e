"""One sub-step in JAX: flows, their limits, and the storages after it.

As `tilth.rivers.routing.kernel_step`, for all catchments at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.rivers.routing.arrays import Geometry, State
from tilth.rivers.routing.equations_stage import (
    Standing,
    floodplain_flow,
    kinematic_floodplain_flow,
    kinematic_flow,
    path_flow,
    river_flow,
    standing,
)
from tilth.rivers.routing.settings import STEEPEST_FLOOD_SLOPE, Settings

__all__ = ["Flux", "Weather", "advance_step"]

#: Of JAX, traced or not, or of NumPy.
Array = Any


class Weather(NamedTuple):
    """What moves the water; arrays (catchment), None where there is none.

    ``runoff``, ``base_runoff`` m3 s-1; ``evaporation``, ``infiltration`` m s-1 from
    the flooded area; ``sea_level`` (piece, terminal) m above the bank.
    """

    runoff: Any
    base_runoff: Any
    evaporation: Any
    infiltration: Any
    sea_level: Any


class Flux(NamedTuple):
    """Volumes that moved, m3; arrays (catchment), as the means of `arrays.Totals`."""

    river: Array
    floodplain: Array
    path: Array
    evaporation: Array
    infiltration: Array


class _Flows(NamedTuple):
    """Flows before they are limited by what donors have, m3 s-1.

    ``river``, ``floodplain`` (catchment), ``path`` (path, level).
    """

    river: Array
    floodplain: Array
    path: Array


class _Links(NamedTuple):
    """Who flows into whom: ``next`` is the catchment itself at a terminal.

    ``target`` is the number of catchments there, to be dropped from sums.
    """

    inside: Array
    next: Array
    target: Array


def advance_step(
    geometry: Geometry,
    state: State,
    weather: Weather,
    number: Array,
    counts: Array,
    begin: Array,
    *,
    settings: Settings,
    seconds: float,
    outer: int,
) -> tuple[State, Flux]:
    """Advance by one sub-step the components that still have one to take.

    Parameters
    ----------
    geometry : Geometry
        Without reservoirs and levees.
    state : State
        At the beginning of the sub-step.
    weather : Weather
        Of the interval.
    number : int
        Of the sub-step in its outer step, from zero.
    counts : array of int, shape (component)
        Number of sub-steps that each takes in the outer step.
    begin : int
        Number of the outer step in the interval, from zero.
    settings : Settings
        Static.
    seconds : float
        Length of the interval, s.
    outer : int
        Outer steps in the interval.

    Returns
    -------
    State, Flux
        At the end of the sub-step, and what moved in it.
    """
    n = geometry.area.shape[0]
    place = jnp.searchsorted(geometry.first, jnp.arange(n), side="right") - 1
    count = jnp.maximum(counts, 1)[place]
    dt = seconds / outer / count
    at = (begin + number / count) / outer
    inside = geometry.downstream >= 0
    links = _Links(
        inside,
        jnp.where(inside, geometry.downstream, jnp.arange(n)),
        jnp.where(inside, geometry.downstream, n),
    )
    now = standing(state.storage, geometry)
    beside = now.flood_storage / geometry.length - now.flood_depth * geometry.width
    # CaMa-Flood takes the water above the channel off once more.
    area: Any = jnp.where(beside > 0.0, beside, 0.0)
    if settings.flow == "kinematic":
        wanted = _kinematic(geometry, state, now, area, dt, settings)
    else:
        sea = _sea_level(geometry, weather, at)
        wanted = _inertial(geometry, state, now, area, sea, dt, links, settings)
    flows, net, path = _limited(geometry, state.storage, wanted, dt, links)
    storage, groundwater, losses = _held(geometry, state, now, weather, net, dt)
    after = State(
        storage=storage,
        groundwater=groundwater,
        river_flow=flows.river,
        floodplain_flow=flows.floodplain,
        river_depth=now.river_depth,
        flow_area=area,
        path_flow=flows.path,
    )
    moved = Flux(flows.river * dt, flows.floodplain * dt, path * dt, *losses)
    if counts.shape[0] == 1:  # a sub-step that nothing takes is not computed
        return after, moved
    active = (number < counts)[place]
    chosen: dict[str, Any] = {
        name: jnp.where(active, getattr(after, name), getattr(state, name))
        for name in State._fields[:-1]
    }
    flowing = active[geometry.paths.start][:, None]
    chosen["path_flow"] = jnp.where(flowing, after.path_flow, state.path_flow)
    return State(**chosen), Flux(*(jnp.where(active, more, 0.0) for more in moved))


def _sea_level(geometry: Geometry, weather: Weather, at: Array) -> Array | float:
    """Return the height of the sea above the bank, m; of use at terminals only."""
    if weather.sea_level is None:
        return 0.0
    pieces = weather.sea_level.shape[0]
    piece = jnp.minimum((at * pieces + 1e-9).astype(int), pieces - 1)
    return weather.sea_level[piece, geometry.terminal]


def _inertial(
    geometry: Geometry,
    state: State,
    now: Standing,
    area: Array,
    sea: Array | float,
    dt: Array,
    links: _Links,
    settings: Settings,
) -> _Flows:
    """Return flows by the local inertial equation, with what limits their backflow."""
    g = geometry
    level, before = g.bed + now.river_depth, g.bed + state.river_depth
    below = jnp.where(links.inside, level[links.next], g.elevation + sea)
    top = jnp.where(links.inside, jnp.maximum(level, below), level)
    top_before = jnp.maximum(before, before[links.next])
    slope = (level - below) / g.distance
    impulse = settings.gravity * dt
    river = river_flow(
        top - g.bed,
        top_before - g.bed,
        slope,
        g.width,
        g.manning,
        state.river_flow,
        impulse,
    )
    flood = jnp.zeros_like(river)
    if settings.floodplain_flow:
        flood = floodplain_flow(
            top - g.elevation,
            top_before - g.elevation,
            area,
            state.flow_area,
            jnp.clip(slope, -STEEPEST_FLOOD_SLOPE, STEEPEST_FLOOD_SLOPE),
            settings.floodplain_manning,
            state.floodplain_flow,
            impulse,
        )
        flood = jnp.where(flood * river > 0.0, flood, 0.0)
    back = -(river + flood) * dt
    most = settings.backflow_share * state.storage
    much = links.inside & (river < 0.0) & (back > most)
    share = jnp.where(much, most / jnp.where(much, back, 1.0), 1.0)
    path = _path_flows(g, state, level, before, dt, settings)
    return _Flows(river * share, flood * share, path)


def _path_flows(
    geometry: Geometry,
    state: State,
    level: Array,
    before: Array,
    dt: Array,
    settings: Settings,
) -> Array:
    """Return the flow of bifurcation paths at every level."""
    paths = geometry.paths
    if not paths.start.shape[0]:
        return state.path_flow
    i, j = paths.start, paths.end
    slope = (level[i] - level[j]) / paths.length
    slope = jnp.clip(slope, -STEEPEST_FLOOD_SLOPE, STEEPEST_FLOOD_SLOPE)
    # A level without width has its bed at infinity, where derivatives are not numbers.
    bed = jnp.where(paths.width > 0.0, paths.elevation, 0.0)
    flow = path_flow(
        jnp.maximum(level[i], level[j])[:, None] - bed,
        jnp.maximum(before[i], before[j])[:, None] - bed,
        slope[:, None],
        paths.width,
        paths.manning,
        state.path_flow,
        settings.gravity * dt[i][:, None],
    )
    moved = jnp.abs(flow.sum(axis=1)) * dt[i]
    most = settings.path_share * jnp.minimum(state.storage[i], state.storage[j])
    much = moved > most
    share = jnp.where(much, most / jnp.where(much, moved, 1.0), 1.0)
    return flow * share[:, None]


def _kinematic(
    geometry: Geometry,
    state: State,
    now: Standing,
    area: Array,
    dt: Array,
    settings: Settings,
) -> _Flows:
    """Return flows by the kinematic law."""
    g = geometry
    river = kinematic_flow(now.river_depth, g.channel_slope, g.width, g.manning)
    river = jnp.minimum(river, (state.storage - now.flood_storage) / dt)
    flood = jnp.zeros_like(river)
    if settings.floodplain_flow:
        flood = kinematic_floodplain_flow(
            now.flood_depth,
            area,
            jnp.minimum(g.channel_slope, STEEPEST_FLOOD_SLOPE),
            settings.floodplain_manning,
        )
        flood = jnp.minimum(flood, now.flood_storage / dt)
    return _Flows(river, flood, jnp.zeros_like(state.path_flow))


def _limited(
    geometry: Geometry, storage: Array, wanted: _Flows, dt: Array, links: _Links
) -> tuple[_Flows, Array, Array]:
    """Return flows that donors can give, what each catchment gains, and by paths.

    Both in m3 s-1; the last is the flow out through paths, less that in.
    """
    n = storage.shape[0]
    paths = geometry.paths
    i, j = paths.start, paths.end
    down = wanted.river >= 0.0
    both = wanted.river + wanted.floodplain
    demand = (
        jnp.where(down, both, 0.0)
        + jax.ops.segment_sum(jnp.where(down, 0.0, -both), links.target, n + 1)[:n]
    )
    through = wanted.path.sum(axis=1)
    if i.shape[0]:
        giver = jnp.where(through >= 0.0, i, j)
        demand += jax.ops.segment_sum(jnp.abs(through), giver, n)
    asked = demand * dt
    short = asked > storage
    share = jnp.where(short, storage / jnp.where(short, asked, 1.0), 1.0)
    own = jnp.where(down, share, jnp.where(links.inside, share[links.next], 1.0))
    flows = _Flows(wanted.river * own, wanted.floodplain * own, wanted.path)
    out = flows.river + flows.floodplain
    net = jax.ops.segment_sum(out, links.target, n + 1)[:n] - out
    lost = jnp.zeros_like(out)
    if i.shape[0]:
        flows = flows._replace(path=wanted.path * share[giver][:, None])
        through = flows.path.sum(axis=1)
        lost = jax.ops.segment_sum(through, i, n) - jax.ops.segment_sum(through, j, n)
    return flows, net - lost, lost


def _held(
    geometry: Geometry,
    state: State,
    now: Standing,
    weather: Weather,
    net: Array,
    dt: Array,
) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return storage, groundwater, and volumes evaporated and infiltrated, m3."""
    storage = _not_negative(state.storage + dt * net)
    groundwater, base = _drained(geometry, state, weather, dt)
    storage = _not_negative(storage + weather.runoff * dt + base)
    none = jnp.zeros_like(storage)
    demands = [weather.evaporation, weather.infiltration]
    if demands == [None, None]:
        return storage, groundwater, (none, none)
    evaporation, infiltration = (none if rate is None else rate for rate in demands)
    rate = evaporation + infiltration
    wanted = rate * now.flood_fraction * geometry.area * dt
    taken = jnp.minimum(wanted, jnp.minimum(now.flood_storage, storage))
    taken = jnp.where((rate > 0.0) & (now.flood_fraction > 0.0), taken, 0.0)
    evaporated = taken * evaporation / jnp.where(rate > 0.0, rate, 1.0)
    return storage - taken, groundwater, (evaporated, taken - evaporated)


def _drained(
    geometry: Geometry, state: State, weather: Weather, dt: Array
) -> tuple[Array, Array]:
    """Return the groundwater after the sub-step and what it gave, m3."""
    delay = geometry.groundwater_delay
    entered = 0.0 if weather.base_runoff is None else weather.base_runoff * dt
    slow = delay > 0.0
    ratio = dt / jnp.where(slow, delay, 1.0)
    left = (state.groundwater + entered) / (1.0 + ratio)
    return (
        jnp.where(slow, left, state.groundwater),
        jnp.where(slow, left * ratio, entered),
    )


def _not_negative(storage: Array) -> Array:
    """Return the storage or zero; of a dry catchment the derivative is one."""
    return jnp.where(storage < 0.0, 0.0, storage)
