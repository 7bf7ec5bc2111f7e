"""River networks built from elevations or flow directions: the open way to a map."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import pyflwdir
import xarray as xr
from numba import njit
from pyflwdir import core_d8

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.regrid import conservative_regions
from tilth.core.units import convert
from tilth.rivers.network import topology
from tilth.rivers.network.build_catchments import Catchments, unit_catchments
from tilth.rivers.network.build_conditioning import falling_elevation
from tilth.rivers.network.build_raster import (
    ESRI_INLAND,
    ESRI_NONE,
    Raster,
    direction_raster,
    elevation_raster,
    read_raster,
)
from tilth.rivers.network.channels import (
    DAYS_PER_YEAR,
    MEAN_RUNOFF,
    channel_depth,
    channel_width,
    runoff_volume,
)
from tilth.rivers.network.floodplain import (
    LAYERS,
    floodplain_profile,
    height_above_river,
)
from tilth.rivers.network.model import INLAND, MOUTH, RiverNetwork

__all__ = ["BuiltNetwork", "build_network", "read_raster"]

#: Where rivers are given no slope by the terrain they get this one: the least slope
#: that CaMa-Flood v4's kinematic wave works with (PMINSLP).
LEAST_SLOPE = 1e-5

_log = logging.getLogger(__name__)


class BuiltNetwork(NamedTuple):
    """A network and where its catchments lie.

    Parameters
    ----------
    network : RiverNetwork
        Identifiers count from 1.
    labels : xarray.DataArray of int64
        Identifier of the catchment of each cell of the raster it was built from, 0 for
        none, under the name ``catchment``: what
        `tilth.core.regrid.conservative_regions` takes.
    """

    network: RiverNetwork
    labels: xr.DataArray


def build_network(
    elevation: xr.DataArray | None = None,
    flow_direction: xr.DataArray | None = None,
    *,
    factor: int | None = None,
    catchment_area: float | None = None,
    runoff: float | xr.DataArray = MEAN_RUNOFF,
    encoding: str | None = None,
    adverse_slopes: bool = False,
    least_slope: float = LEAST_SLOPE,
    layers: int = LAYERS,
) -> BuiltNetwork:
    """Build a river network from a raster of elevations, flow directions, or both.

    Directions follow from elevations by filling depressions (Wang & Liu 2006), unless
    given. Squares of `factor` by `factor` cells get an outlet each, and what drains to
    an outlet is a unit catchment, whatever squares it lies in
    (`tilth.rivers.network.build_catchments`). The elevation of its bank is that of the
    outlet, after the least changes that take away all rises along the rivers
    (`build_conditioning.falling_elevation`); channels are those of the mean discharge
    (`channel_width`, `channel_depth`), and the floodplain is the height of its cells
    above the river.

    Cells without data are the sea: a river that ends beside them has a mouth there.
    Rivers that end elsewhere, or at the edge of the raster, end inland; the seam of the
    longitudes is such an edge.

    Parameters
    ----------
    elevation : xarray.DataArray, optional
        In m, along latitude and longitude (degrees) or ``y`` and ``x`` (m). Without,
        the network has no elevations and no floodplains.
    flow_direction : xarray.DataArray, optional
        ESRI's or LDD codes on the same raster; see `build_raster.direction_raster`.
    factor : int, optional
        Cells along the side of a square; this or `catchment_area` must be given. With
        1 every cell is a catchment, without a floodplain.
    catchment_area : float, optional
        About how large catchments shall be, m2.
    runoff : float or xarray.DataArray, default 300
        Mean annual runoff, mm per year; or a map of it along latitude and longitude
        with units (mm per year, mm day-1, m s-1, kg m-2 s-1).
    encoding : {"esri", "ldd"}, optional
        Of `flow_direction`; by default recognised.
    adverse_slopes : bool, default False
        Leave elevations as they are, rises along rivers too.
    least_slope : float, default 1e-5
        Banks are raised where a river would fall by less from one catchment to the
        next; how many is logged and in the attribute ``raised_banks``. Not with
        `adverse_slopes`.
    layers : int, default 10
        Steps of area in the floodplain.

    Returns
    -------
    BuiltNetwork
        The network, and the raster of its catchments. The distance from a terminal
        onwards is not known: the length of its river stands for it.

    Raises
    ------
    InputError
        If a raster is not one, codes are unknown or go in circles, the runoff leaves
        catchments out, or options do not fit.

    References
    ----------
    Wang & Liu (2006), International Journal of Geographical Information Science 20,
    193-213.
    """
    ground, directions = _rasters(elevation, flow_direction, encoding)
    raster = directions or ground
    assert raster is not None  # one of them is there
    factor = _factor(raster, factor, catchment_area)
    flow, codes = _flow(raster, directions is not None)
    parts = unit_catchments(flow, factor, raster.area, raster.height, raster.width)
    inside = parts.label >= 0
    size = parts.outlet.size
    area = np.bincount(parts.label[inside], raster.area.ravel()[inside], size)
    downstream = np.where(
        parts.downstream < 0, _ends(codes, parts.outlet), parts.downstream
    )
    order = topology.upstream_first(downstream)
    ids = np.arange(1, size + 1)
    labels = raster.located(
        (parts.label + 1).reshape(codes.shape),
        "catchment",
        long_name="identifier of the unit catchment; 0 where there is none",
    )
    volume = runoff_volume(area, _runoff(runoff, labels, ids, raster))
    discharge = topology.accumulate(downstream, order, volume)
    row, column = np.divmod(parts.outlet, codes.shape[1])
    data = xr.Dataset(
        {
            "downstream": ("catchment", downstream),
            "area": _along(area, "m2"),
            "river_length": _along(parts.river_length, "m"),
            "river_width": _along(channel_width(discharge), "m"),
            "river_depth": _along(channel_depth(discharge), "m"),
            "downstream_distance": _along(parts.downstream_distance, "m"),
            "upstream_area": _along(topology.accumulate(downstream, order, area), "m2"),
            "mean_discharge": _along(
                discharge, "m3 s-1", long_name="mean annual discharge"
            ),
            "row": ("catchment", parts.row),
            "column": ("catchment", parts.column),
        },
        coords={"catchment": ids, **_places(raster, row, column)},
        attrs={"factor": factor},
    )
    if ground is not None:
        data = _with_ground(
            data, ground, flow, parts, order, adverse_slopes, least_slope, layers
        )
    if parts.joined_area:
        share = parts.joined_area / area.sum()
        data.attrs["joined_coast"] = f"{share:.3g} of the area"
    what = "elevation" if directions is None else "flow directions"
    said = f"network of {size} catchments from {what}, {factor} cells a side"
    return BuiltNetwork(RiverNetwork(stamp(data, said)), labels)


def _rasters(
    elevation: xr.DataArray | None,
    flow_direction: xr.DataArray | None,
    encoding: str | None,
) -> tuple[Raster | None, Raster | None]:
    """Return the rasters that are given, checked, on the same cells."""
    if elevation is None and flow_direction is None:
        raise InputError("a network is built from elevation, flow_direction or both")
    if encoding is not None and flow_direction is None:
        raise InputError("encoding is that of flow_direction, which is not given")
    ground = None if elevation is None else elevation_raster(elevation)
    if flow_direction is None:
        return ground, None
    directions = direction_raster(flow_direction, encoding)
    if ground is None:
        return None, directions
    same = list(ground.coords) == list(directions.coords) and all(
        np.array_equal(ground.coords[name], directions.coords[name])
        for name in ground.coords
    )
    if not same:
        raise InputError(
            "elevation and flow_direction must be on the same cells; they are on "
            f"{_said(ground)} and {_said(directions)}"
        )
    absent = directions.valid & ~ground.valid
    if absent.any():
        raise InputError(
            f"{int(absent.sum())} cells have a flow_direction and no elevation: give "
            "them one, or make their direction no data"
        )
    return ground, directions


def _said(raster: Raster) -> str:
    """Return the extent of a raster as text."""
    return " and ".join(
        f"{c.size} {name} from {c.values[0]:g} to {c.values[-1]:g}"
        for name, c in raster.coords.items()
    )


def _factor(raster: Raster, factor: int | None, catchment_area: float | None) -> int:
    """Return the number of cells along the side of a square."""
    if (factor is None) == (catchment_area is None):
        raise InputError(
            "the size of catchments is given by factor (cells along a side) or by "
            "catchment_area (m2), one of them"
        )
    longest = max(raster.values.shape)
    if factor is None:
        cell = raster.area[raster.valid].mean()
        if not catchment_area or catchment_area < cell:
            raise InputError(
                f"catchment_area must be at least that of a cell, {cell:.4g} m2, got "
                f"{catchment_area}"
            )
        factor = round(float(np.sqrt(catchment_area / cell)))
    if factor != int(factor) or not 1 <= factor <= longest:
        raise InputError(
            f"catchments must be 1 to {longest} cells wide, whole ones, on this "
            f"raster; got {factor}"
        )
    return int(factor)


def _flow(
    raster: Raster, is_direction: bool
) -> tuple[pyflwdir.FlwdirRaster, np.ndarray]:
    """Return where the water flows, and ESRI's codes of it."""
    if is_direction:
        codes = raster.values
    else:
        # Filled in single precision inside: lowered to zero so that digits are left.
        low = raster.values - np.nanmin(raster.values)
        _, codes = pyflwdir.dem.fill_depressions(low, nodata=np.nan)
    terminals = core_d8.from_array(codes, dtype=np.int64)[1]
    reached = 0
    if terminals.size:
        flow = pyflwdir.from_array(codes, ftype="d8", check_ftype=False)
        reached = flow.idxs_seq.size
    if reached < raster.valid.sum():
        raise InputError(
            f"flow_direction goes in circles: the water of "
            f"{int(raster.valid.sum()) - reached} cells never ends; is the encoding "
            "right (encoding), and the raster not resampled?"
        )
    return flow, codes


def _ends(codes: np.ndarray, outlet: np.ndarray) -> np.ndarray:
    """Return whether rivers that end at these cells end in the sea or inland."""
    columns = codes.shape[1]
    # One more cell on each side: nothing, which is not the sea.
    sea = np.pad(codes == ESRI_NONE, 1)
    row, column = np.divmod(outlet, columns)
    code = codes.ravel()[outlet]
    beside = np.zeros(outlet.size, bool)
    target = np.zeros(outlet.size, bool)
    for place, (r, c) in enumerate(np.ndindex(3, 3)):
        here = sea[row + r, column + c]
        beside |= here
        points = code == (32, 64, 128, 16, 0, 1, 8, 4, 2)[place]
        target |= points & here & (code != 0)
    mouth = np.where(code == 0, beside, target) & (code != ESRI_INLAND)
    return np.where(mouth, MOUTH, INLAND)


def _runoff(
    runoff: float | xr.DataArray, labels: xr.DataArray, ids: np.ndarray, raster: Raster
) -> np.ndarray | float:
    """Return the mean runoff of each catchment, mm per year."""
    if not isinstance(runoff, xr.DataArray):
        if not runoff > 0:
            raise InputError(f"runoff must be above zero, got {runoff} mm per year")
        return float(runoff)
    if not raster.geographic:
        raise InputError(
            "a map of runoff is brought to catchments on a raster along latitude and "
            "longitude only: give one number, or build from such a raster"
        )
    yearly = _millimetres_a_year(runoff)
    regridder = conservative_regions(runoff, labels, ids)
    values = regridder.apply(yearly, least_share=0.0)
    if values.ndim != 1:
        raise InputError(
            f"runoff must be one map, its mean over years; it has "
            f"{', '.join(map(str, runoff.dims))}"
        )
    absent = np.flatnonzero(np.isnan(values.values))
    if absent.size:
        raise InputError(
            f"runoff has no value over {absent.size} of {ids.size} catchments, the "
            f"first is {ids[absent[0]]}: fill the map's gaps, or cut the raster"
        )
    return values.values


def _millimetres_a_year(runoff: xr.DataArray) -> xr.DataArray:
    """Return runoff in mm per year, where 1 kg m-2 of water is 1 mm."""
    units = str(runoff.attrs.get("units", ""))
    if "kg" in units:
        per_second = convert(runoff, "kg m-2 s-1")
    else:
        per_second = convert(runoff, "mm s-1")
    return per_second * (86400.0 * DAYS_PER_YEAR)


def _with_ground(
    data: xr.Dataset,
    ground: Raster,
    flow: pyflwdir.FlwdirRaster,
    parts: Catchments,
    order: np.ndarray,
    adverse_slopes: bool,
    least_slope: float,
    layers: int,
) -> xr.Dataset:
    """Return the network's variables with elevations and floodplains."""
    down, cells = flow.idxs_ds.astype(np.int64), flow.idxs_seq.astype(np.int64)
    height = ground.values.ravel()
    if not adverse_slopes:
        height = falling_elevation(down, cells, height)
    bank = height[parts.outlet]
    if not adverse_slopes:
        if not least_slope >= 0:
            raise InputError(f"least_slope must not be negative, got {least_slope}")
        downstream = data["downstream"].values
        distance = data["downstream_distance"].values
        raised = _raise_banks(downstream, order, least_slope * distance, bank)
        if raised:
            _log.info(
                "%d of %d banks raised, for rivers to fall by at least %g",
                raised, bank.size, least_slope,
            )  # fmt: skip
        data.attrs["raised_banks"] = raised
    data["elevation"] = _along(bank, "m")
    if data.attrs["factor"] > 1:
        above = height_above_river(down, cells, parts.river, height)
        area = ground.area
        profile = floodplain_profile(above, parts.label, area, bank.size, layers)
        data["floodplain_height"] = (("catchment", "layer"), profile, {"units": "m"})
    return data


@njit(cache=True)
def _raise_banks(downstream, order, rise, bank):
    """Raise banks to stand above the next one; return how many were too low."""
    raised = 0
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        if downstream[i] >= 0:
            least = bank[downstream[i]] + rise[i]
            if bank[i] < least:
                bank[i] = least
                raised += 1
    return raised


def _along(values: np.ndarray, units: str, **attrs: str) -> tuple:
    """Return a variable along catchments."""
    return "catchment", values, {"units": units, **attrs}


def _places(raster: Raster, row: np.ndarray, column: np.ndarray) -> dict[str, tuple]:
    """Return the coordinates of cells, counted from the north-west."""
    rows, columns = raster.coords.values()
    y = rows.values[::-1] if rows[0] < rows[-1] else rows.values
    x = columns.values[::-1] if columns[0] > columns[-1] else columns.values
    named = [("lat", "degrees_north"), ("lon", "degrees_east")]
    if not raster.geographic:
        named = [("y", "m"), ("x", "m")]
    return {
        name: ("catchment", values.astype(float), {"units": units})
        for (name, units), values in zip(named, (y[row], x[column]), strict=True)
    }
