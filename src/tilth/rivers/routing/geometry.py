"""A river network's geometry as plain arrays, with what the floodplains hold."""

from __future__ import annotations

import numpy as np

from tilth.core.errors import InputError
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.arrays import (
    INERTIAL,
    KINEMATIC,
    RESERVOIR,
    Geometry,
    LeveeRows,
    Paths,
    ReservoirRows,
    plain,
)
from tilth.rivers.routing.levees import Levees, levee_marks
from tilth.rivers.routing.reservoirs import Reservoirs
from tilth.rivers.routing.settings import Settings

__all__ = ["geometry_of"]


def geometry_of(
    network: RiverNetwork,
    settings: Settings,
    reservoirs: Reservoirs | None = None,
    levees: Levees | None = None,
) -> Geometry:
    r"""Return a network's geometry as arrays.

    The water that fills everything up to height :math:`z_i` of the floodplain is

    .. math:: S_i = S_{i-1} + L (W + (i - 1/2) \Delta W) (z_i - z_{i-1})

    with :math:`S_0 = L W H` of the channel of length L, width W and depth H, and
    layers of the width :math:`\Delta W` = area / L / number of layers. Where two
    heights are the same (a flat layer) the storages are too: no depth lies between.

    Parameters
    ----------
    network : RiverNetwork
        As `RiverNetwork.sorted` returns it, with channels and floodplains.
    settings : Settings
        Roughness, law of flow and how sub-steps are shared.
    reservoirs : Reservoirs, optional
        The catchments upstream of one follow the kinematic law, so that its level
        does not push water back (Hanazaki et al. 2022).
    levees : Levees, optional
        They change how water stands between channel and floodplain.

    Returns
    -------
    Geometry

    Raises
    ------
    InputError
        If the network is not sorted or lacks a variable.

    References
    ----------
    Yamazaki et al. (2011), Water Resources Research 47, W04501, eqs. 1-2.
    """
    network.require(
        "area",
        "river_length",
        "river_width",
        "river_depth",
        "elevation",
        "downstream_distance",
        "floodplain_height",
    )
    n, downstream = network.size, network.downstream
    component = network.component
    inside = downstream >= 0
    starts = np.flatnonzero(np.diff(component, prepend=-1))
    if (
        starts.size != np.unique(component).size
        or (downstream[inside] <= np.flatnonzero(inside)).any()
    ):
        raise InputError(
            "the kernel needs components one after the other and upstream before "
            "downstream: pass network.sorted()"
        )

    def of(name: str) -> np.ndarray:
        return plain(network.data[name].values, np.float64)

    width, length, depth = of("river_width"), of("river_length"), of("river_depth")
    elevation, area = of("elevation"), of("area")
    distance = np.where(inside, of("downstream_distance"), settings.mouth_distance)
    terminal = np.full(n, -1, np.int64)
    terminal[~inside] = np.arange((~inside).sum())
    fall = np.zeros(n)
    fall[inside] = elevation[inside] - elevation[downstream[inside]]
    profile = of("floodplain_height")
    layers = profile.shape[1]
    height = np.concatenate([np.zeros((n, 1)), profile], axis=1)
    layer_width = area / length / layers
    middle = width[:, None] + layer_width[:, None] * (np.arange(layers) + 0.5)
    storage = np.empty((n, layers + 1))
    storage[:, 0] = length * width * depth
    storage[:, 1:] = length[:, None] * middle * np.diff(height, axis=1)
    first = (
        np.array([0, n], np.int64)
        if settings.steps_by == "globe"
        else np.append(starts, n)
    )
    storage = np.cumsum(storage, axis=1)
    dams = _reservoir_rows(network, reservoirs)
    return Geometry(
        downstream=plain(downstream, np.int64),
        terminal=terminal,
        law=_law(downstream, settings, dams),
        first=first.astype(np.int64),
        distance=distance,
        length=length,
        width=width,
        depth=depth,
        bed=elevation - depth,
        elevation=elevation,
        area=area,
        manning=(
            of("river_manning")
            if "river_manning" in network.data
            else np.full(n, settings.river_manning)
        ),
        channel_slope=np.maximum(fall / distance, settings.least_slope),
        groundwater_delay=np.full(n, float(settings.groundwater_delay)),
        layer_width=layer_width,
        layer_height=height,
        layer_storage=storage,
        paths=_paths(network, settings, first),
        reservoirs=dams,
        levees=_levee_rows(
            network, levees, length, width, layer_width, height, storage
        ),
    )


def _rows(network: RiverNetwork, catchment: np.ndarray) -> np.ndarray:
    """Return the row of each catchment in a table, -1 where it has none."""
    row = np.full(network.size, -1, np.int64)
    row[network.positions(catchment)] = np.arange(catchment.size)
    return row


def _reservoir_rows(network: RiverNetwork, table: Reservoirs | None) -> ReservoirRows:
    """Return a table of reservoirs as arrays."""
    if table is None or not table.catchment.size:
        return ReservoirRows(np.empty(0, np.int64), *(np.empty(0) for _ in range(4)))
    return ReservoirRows(
        _rows(network, table.catchment),
        *(
            np.array(getattr(table, name), np.float64)
            for name in ReservoirRows._fields[1:]
        ),
    )


def _levee_rows(
    network: RiverNetwork,
    table: Levees | None,
    length: np.ndarray,
    width: np.ndarray,
    layer_width: np.ndarray,
    height: np.ndarray,
    storage: np.ndarray,
) -> LeveeRows:
    """Return a table of levees as arrays, with their heights and storages."""
    if table is None or not table.catchment.size:
        return LeveeRows(np.empty(0, np.int64), *(np.empty(0) for _ in range(6)))
    marks = [
        levee_marks(
            share,
            crown,
            length[at],
            width[at],
            layer_width[at],
            height[at, 1:],
            storage[at],
        )
        for at, share, crown in zip(
            network.positions(table.catchment), table.share, table.crown, strict=True
        )
    ]
    return LeveeRows(
        _rows(network, table.catchment),
        np.array(table.share, np.float64),
        *(np.array(values, np.float64) for values in zip(*marks, strict=True)),
    )


def _law(
    downstream: np.ndarray, settings: Settings, reservoirs: ReservoirRows
) -> np.ndarray:
    """Return the law of flow of each catchment."""
    everywhere = KINEMATIC if settings.flow == "kinematic" else INERTIAL
    law = np.full(downstream.size, everywhere, np.int64)
    if reservoirs.row.size:
        dammed = reservoirs.row >= 0
        law[(downstream >= 0) & dammed[downstream]] = KINEMATIC
        law[dammed] = RESERVOIR
    return law


def _paths(network: RiverNetwork, settings: Settings, first: np.ndarray) -> Paths:
    """Return the bifurcation paths, those of a component together in their order."""
    data = network.data
    if "path_from" not in data:
        empty, none = np.empty(0), np.empty(0, np.int64)
        starts = np.zeros(first.size, np.int64)
        flat = np.empty((0, 1))
        return Paths(none, none, empty, flat, flat, np.empty(1), none, starts)
    network.require("path_length", "path_width", "path_elevation")
    width = plain(data["path_width"].values, np.float64)
    elevation = plain(data["path_elevation"].values, np.float64)
    open_level = width > 0.0
    if np.isnan(elevation[open_level]).any():
        path = int(np.argwhere(open_level & np.isnan(elevation))[0, 0])
        raise InputError(
            f"path_elevation of path {path} has a gap at a level that has a width: "
            "give the elevation of its bed, or a width of zero"
        )
    # Flow is reckoned from the level's bed: no water reaches one infinitely high.
    elevation = np.where(open_level, elevation, np.inf)
    manning = np.full(width.shape[1], settings.floodplain_manning)
    manning[0] = settings.river_manning
    start = plain(data["path_from"].values, np.int64)
    owner = np.searchsorted(first, start, side="right") - 1
    order = np.argsort(owner, kind="stable")
    return Paths(
        start=start,
        end=plain(data["path_to"].values, np.int64),
        length=plain(data["path_length"].values, np.float64),
        width=width,
        elevation=elevation,
        manning=manning,
        order=order.astype(np.int64),
        first=np.searchsorted(owner[order], np.arange(first.size)).astype(np.int64),
    )
