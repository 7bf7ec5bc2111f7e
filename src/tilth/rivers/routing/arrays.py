"""A network, its water and what moves it, as the plain arrays compiled code takes.

Everything is float64 or int64 and in C order. Catchments lie as in
`RiverNetwork.sorted()`: components one after the other, upstream before downstream.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tilth.core.errors import InputError
from tilth.rivers.routing.settings import Settings

__all__ = [
    "INERTIAL",
    "KINEMATIC",
    "RESERVOIR",
    "Forcing",
    "Geometry",
    "Ledger",
    "LeveeRows",
    "Paths",
    "ReservoirRows",
    "State",
    "Totals",
    "empty_ledger",
    "empty_state",
    "empty_totals",
    "filled_state",
    "forcing_of",
    "plain",
]

#: Laws of flow, `Geometry.law`.
INERTIAL, KINEMATIC, RESERVOIR = 0, 1, 2


class Paths(NamedTuple):
    """Bifurcation channels between catchments, in the order of the network's.

    Parameters
    ----------
    start, end : array of int64, shape (path)
        Positions of the two catchments; flow from the first to the second is positive.
    length : array, shape (path)
        m.
    width, elevation : array, shape (path, level)
        m; elevation of each level's bed. No flow where the width is zero.
    manning : array, shape (level)
        s m-1/3: the channel's at the first level, the floodplain's above.
    order : array of int64, shape (path)
        Numbers of the paths, component by component.
    first : array of int64, shape (component + 1)
        Where in `order` the paths of each component begin.
    """

    start: np.ndarray
    end: np.ndarray
    length: np.ndarray
    width: np.ndarray
    elevation: np.ndarray
    manning: np.ndarray
    order: np.ndarray
    first: np.ndarray


class ReservoirRows(NamedTuple):
    """Catchments whose outflow is released by a rule (`reservoirs.reservoir_release`).

    Parameters
    ----------
    row : array of int64, shape (catchment), or (0) if there is no reservoir at all
        Row of the catchment in the other arrays, -1 where there is no reservoir.
    capacity, normal_share, normal_flow, flood_flow : array, shape (row)
        As in `reservoirs.Reservoirs`: m3, 1, m3 s-1, m3 s-1.
    """

    row: np.ndarray
    capacity: np.ndarray
    normal_share: np.ndarray
    normal_flow: np.ndarray
    flood_flow: np.ndarray


class LeveeRows(NamedTuple):
    """Catchments with levees along their channel (`levees.levee_stage`).

    Parameters
    ----------
    row : array of int64, shape (catchment), or (0) if there is no levee at all
        Row of the catchment in the other arrays, -1 where there is no levee.
    share : array, shape (row)
        Share of the floodplain's width on the river side, 1.
    base, crown : array, shape (row)
        Height of the ground at the levee and of the crown, above the bank, m.
    base_storage, crown_storage, full_storage : array, shape (row)
        Storages at which the water stands at the base, at the crown on the river
        side, and at the crown on both sides, m3.
    """

    row: np.ndarray
    share: np.ndarray
    base: np.ndarray
    crown: np.ndarray
    base_storage: np.ndarray
    crown_storage: np.ndarray
    full_storage: np.ndarray


class Geometry(NamedTuple):
    """Shape of channels and floodplains; arrays (catchment) unless said otherwise.

    Parameters
    ----------
    downstream : array of int64
        Position of the next catchment; negative at terminals.
    terminal : array of int64
        Number of the terminal among all, in the order of positions; -1 elsewhere.
    law : array of int64
        `INERTIAL`, `KINEMATIC` or `RESERVOIR`.
    first : array of int64, shape (component + 1)
        Where each component begins; components are advanced with their own sub-steps.
    distance : array
        To the next catchment, at terminals `Settings.mouth_distance`, m.
    length, width, depth : array
        Of the channel, up to its bank, m.
    bed, elevation : array
        Of the channel's bed and of its bank, m.
    area : array
        Of the unit catchment, m2.
    manning : array
        Of the channel, s m-1/3.
    channel_slope : array
        Fall of the banks to the next catchment over the distance, at least
        `Settings.least_slope`; of the kinematic law, 1.
    groundwater_delay : array
        Residence time of base runoff, s; 0 for none.
    layer_width : array
        Width of a floodplain layer, area / length / layers, m.
    layer_height : array, shape (catchment, layer + 1)
        Height above the bank where each layer begins, and where the last ends, m.
    layer_storage : array, shape (catchment, layer + 1)
        Water that fills channel and floodplain up to that height, m3: the first is
        that of the bank-full channel.
    paths : Paths
    reservoirs : ReservoirRows
    levees : LeveeRows
    """

    downstream: np.ndarray
    terminal: np.ndarray
    law: np.ndarray
    first: np.ndarray
    distance: np.ndarray
    length: np.ndarray
    width: np.ndarray
    depth: np.ndarray
    bed: np.ndarray
    elevation: np.ndarray
    area: np.ndarray
    manning: np.ndarray
    channel_slope: np.ndarray
    groundwater_delay: np.ndarray
    layer_width: np.ndarray
    layer_height: np.ndarray
    layer_storage: np.ndarray
    paths: Paths
    reservoirs: ReservoirRows
    levees: LeveeRows


class State(NamedTuple):
    """All that a run needs to go on as if it had not stopped; advanced in place.

    Parameters
    ----------
    storage : array, shape (catchment)
        Water in channel and floodplain together, m3. How it is divided between the
        two, and its depth, follow from it (`stage.stages`).
    groundwater : array, shape (catchment)
        Base runoff on its way, m3.
    river_flow, floodplain_flow : array, shape (catchment)
        Flow to the next catchment in the last sub-step, m3 s-1; negative upstream.
    river_depth : array, shape (catchment)
        Depth of the channel's water at the beginning of the last sub-step, m.
    flow_area : array, shape (catchment)
        Cross-section of the floodplain's water beside the channel, then, m2.
    path_flow : array, shape (path, level)
        Flow of each path and level in the last sub-step, m3 s-1.
    """

    storage: np.ndarray
    groundwater: np.ndarray
    river_flow: np.ndarray
    floodplain_flow: np.ndarray
    river_depth: np.ndarray
    flow_area: np.ndarray
    path_flow: np.ndarray


class Forcing(NamedTuple):
    """What moves the water during an interval; see `forcing_of`.

    Parameters
    ----------
    runoff : array, shape (catchment)
        m3 s-1, into channel and floodplain at once.
    base_runoff : array, shape (catchment)
        m3 s-1, by way of the groundwater.
    evaporation, infiltration : array, shape (catchment)
        Demand from the flooded area, m s-1 and not negative; never more than the
        floodplain holds.
    sea_level : array, shape (piece, terminal)
        Height of the sea above the bank's elevation at each terminal, m, during equal
        pieces of the interval.
    """

    runoff: np.ndarray
    base_runoff: np.ndarray
    evaporation: np.ndarray
    infiltration: np.ndarray
    sea_level: np.ndarray


class Totals(NamedTuple):
    """Means over an interval, m3 s-1, of the shape (catchment).

    Parameters
    ----------
    river, floodplain : array
        Flow to the next catchment, in the channel and over the floodplain.
    path : array
        Flow out through bifurcation paths, less that in.
    evaporation, infiltration : array
        Taken from the floodplain.
    """

    river: np.ndarray
    floodplain: np.ndarray
    path: np.ndarray
    evaporation: np.ndarray
    infiltration: np.ndarray


class Ledger(NamedTuple):
    """Water's account of an interval; arrays (component), m3 unless said otherwise.

    Storage before, plus runoff less outflow, evaporation and infiltration, is storage
    after, but for the residual. Groundwater is counted in the storages.

    Parameters
    ----------
    before, after : array
        Storage.
    runoff, outflow, evaporation, infiltration : array
        Outflow is that of the terminals, less what the sea pushes in.
    shortfall : array
        Negative runoff that found no water; it is not counted in `runoff`.
    clipped : array
        Storages below zero, by rounding, that were set to zero: water made.
    residual : array
        Largest imbalance of an outer step as a share of its storage and input, 1.
    substeps : array of int64, shape (component, outer step)
        Number of sub-steps taken in each outer step.
    """

    before: np.ndarray
    after: np.ndarray
    runoff: np.ndarray
    outflow: np.ndarray
    evaporation: np.ndarray
    infiltration: np.ndarray
    shortfall: np.ndarray
    clipped: np.ndarray
    residual: np.ndarray
    substeps: np.ndarray


def plain(values: np.ndarray, dtype: type) -> np.ndarray:
    """Return an array as compiled code takes it, copied if it is not so yet.

    Code is compiled anew for arrays of another kind, which takes half a minute: all
    are in C order and may be written to, even those that never are.

    Parameters
    ----------
    values : array
        Numbers.
    dtype : type
        ``numpy.float64`` or ``numpy.int64``.

    Returns
    -------
    numpy.ndarray
        The array itself, or a copy.
    """
    return np.require(values, dtype, ["C", "W", "ENSUREARRAY"])


def empty_state(geometry: Geometry) -> State:
    """Return the state of a network without water.

    Parameters
    ----------
    geometry : Geometry
        The network.

    Returns
    -------
    State
        All zero.
    """
    n = geometry.area.size
    return State(
        storage=np.zeros(n),
        groundwater=np.zeros(n),
        river_flow=np.zeros(n),
        floodplain_flow=np.zeros(n),
        river_depth=np.zeros(n),
        flow_area=np.zeros(n),
        path_flow=np.zeros(geometry.paths.width.shape),
    )


def filled_state(geometry: Geometry, sea_level: np.ndarray | None = None) -> State:
    """Return the state of channels that the sea has filled, and no flow.

    At a terminal the water stands at the sea's level, though not over the bank, and
    in every catchment upstream as high as downstream, as far as its channel is lower.
    CaMa-Flood v4 begins so where it has no state to go on from.

    Parameters
    ----------
    geometry : Geometry
        The network.
    sea_level : array, shape (terminal), optional
        Height of the sea above each terminal's bank, m; by default none: channels are
        full to the bank at terminals.

    Returns
    -------
    State
        With storages, and the depths as those of a sub-step before.

    Raises
    ------
    InputError
        If the sea level is not that of the network's terminals.
    """
    state = empty_state(geometry)
    terminals = int((geometry.downstream < 0).sum())
    sea = np.zeros(terminals) if sea_level is None else plain(sea_level, np.float64)
    if sea.shape != (terminals,):
        raise InputError(
            f"sea_level has the shape {sea.shape}, the network {terminals} terminals"
        )
    _fill(
        geometry.downstream,
        geometry.bed,
        geometry.depth,
        geometry.elevation,
        sea,
        state.river_depth,
    )
    state.storage[:] = geometry.length * geometry.width * state.river_depth
    return state


@njit(cache=True, nogil=True)
def _fill(downstream, bed, bank_depth, elevation, sea, depth):
    """Find the depth of channels that the sea has filled, downstream first."""
    terminal = sea.size
    for i in range(downstream.size - 1, -1, -1):
        j = downstream[i]
        if j < 0:
            terminal -= 1
            surface = elevation[i] + sea[terminal]
        else:
            surface = bed[j] + depth[j]
        depth[i] = min(max(surface - bed[i], 0.0), bank_depth[i])


def forcing_of(
    geometry: Geometry,
    runoff: np.ndarray,
    *,
    base_runoff: np.ndarray | None = None,
    evaporation: np.ndarray | None = None,
    infiltration: np.ndarray | None = None,
    sea_level: np.ndarray | None = None,
) -> Forcing:
    """Return the forcing of an interval, zero where nothing is given.

    Parameters
    ----------
    geometry : Geometry
        The network.
    runoff, base_runoff : array, shape (catchment)
        m3 s-1, at once and by way of the groundwater.
    evaporation, infiltration : array, shape (catchment)
        From the flooded area, m s-1.
    sea_level : array, shape (terminal) or (piece, terminal)
        Height of the sea above each terminal's bank, m.

    Returns
    -------
    Forcing
        Copies or the arrays themselves, as float64 in C order.

    Raises
    ------
    InputError
        If a shape does not fit.
    """
    n = geometry.area.size

    def array(name: str, values: np.ndarray | None) -> np.ndarray:
        if values is None:
            return np.zeros(n)
        whole = plain(values, np.float64)
        if whole.shape != (n,):
            raise InputError(
                f"{name} has the shape {whole.shape}, the network {n} catchments"
            )
        return whole

    terminals = int((geometry.downstream < 0).sum())
    sea = np.zeros((1, terminals)) if sea_level is None else np.atleast_2d(sea_level)
    if sea.ndim != 2 or sea.shape[1] != terminals or not len(sea):
        raise InputError(
            f"sea_level has the shape {sea.shape}; the network has {terminals} "
            "terminals, the last dimension"
        )
    return Forcing(
        runoff=array("runoff", runoff),
        base_runoff=array("base_runoff", base_runoff),
        evaporation=array("evaporation", evaporation),
        infiltration=array("infiltration", infiltration),
        sea_level=plain(sea, np.float64),
    )


def empty_totals(geometry: Geometry) -> Totals:
    """Return arrays for the means of an interval.

    Parameters
    ----------
    geometry : Geometry
        The network.

    Returns
    -------
    Totals
        All zero.
    """
    return Totals(*(np.zeros(geometry.area.size) for _ in range(5)))


def empty_ledger(geometry: Geometry, seconds: float, settings: Settings) -> Ledger:
    """Return arrays for the account of an interval.

    Parameters
    ----------
    geometry : Geometry
        The network.
    seconds : float
        Length of the interval, s.
    settings : Settings
        They give the outer steps.

    Returns
    -------
    Ledger
        All zero.
    """
    components = geometry.first.size - 1
    account = {name: np.zeros(components) for name in Ledger._fields[:-1]}
    steps = settings.outer_steps(seconds)
    return Ledger(**account, substeps=np.zeros((components, steps), np.int64))
