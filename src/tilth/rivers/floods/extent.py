"""How much of a catchment is under water, and how deep, from the stage of its river."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import convert
from tilth.rivers.network.model import RiverNetwork

#: What `flood_extent` returns: name -> units and meaning.
EXTENT = {
    "flood_fraction": ("1", "share of the unit catchment that is flooded"),
    "flooded_area": ("m2", "flooded area of the unit catchment"),
    "flood_volume": ("m3", "water that stands on the floodplain"),
    "mean_flood_depth": ("m", "depth of the water, mean over the flooded area"),
}


def flood_extent(network: RiverNetwork, flood_depth: xr.DataArray) -> xr.Dataset:
    r"""Return the flooded share, area, volume and mean depth of every catchment.

    The floodplain rises from the bank by ``floodplain_height`` at equal steps of
    area, linearly between them. Water that stands :math:`d` above the bank floods the
    share :math:`f` of the catchment that lies below it and holds the volume

    .. math:: V = A \int_0^{f} (d - z(f')) \, df' .

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``area`` and ``floodplain_height``.
    flood_depth : xarray.DataArray, shape (..., catchment)
        Depth of the water above the bank, m; zero while the river keeps to its bed.
        May be backed by Dask.

    Returns
    -------
    xarray.Dataset
        The variables of `EXTENT` with the dimensions of `flood_depth`.
        ``mean_flood_depth`` is NaN where nothing is flooded.

    Raises
    ------
    InputError
        If the network lacks its floodplain, the depth belongs to another one, or its
        units are no length.

    References
    ----------
    Yamazaki, Kanae, Kim & Oki (2011), Water Resour. Res. 47, W04501, section 2.2.
    """
    depth, area = (
        _depth(network, flood_depth),
        network.data["area"].drop_vars(["lat", "lon"], errors="ignore"),
    )
    fraction, column = xr.zeros_like(depth), xr.zeros_like(depth)
    for low, high, share in _layers(network):
        wet, water = _layer(depth, low, high)
        fraction = fraction + share * wet
        column = column + share * water
    result = {
        "flood_fraction": fraction,
        "flooded_area": fraction * area,
        "flood_volume": column * area,
        "mean_flood_depth": (column / fraction.where(fraction > 0.0)),
    }
    return _described(result, depth)


def fraction_deeper(
    network: RiverNetwork, flood_depth: xr.DataArray, depth: float
) -> xr.DataArray:
    """Return the share of each catchment under more than a given depth of water.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``area`` and ``floodplain_height``.
    flood_depth : xarray.DataArray, shape (..., catchment)
        Depth of the water above the bank, m.
    depth : float
        Depth looked for, m, such as 0.5 m, at which a car floats.

    Returns
    -------
    xarray.DataArray
        Share of the unit catchment, 1.

    Raises
    ------
    InputError
        As `flood_extent`, or if `depth` is negative.
    """
    if not depth >= 0.0:
        raise InputError(f"depth must be 0 m or more, got {depth:g} m")
    # Where the ground lies that much below the surface, it is that deep.
    lowered = (_depth(network, flood_depth) - depth).clip(min=0.0)
    fraction = flood_extent(network, lowered)["flood_fraction"]
    return fraction.rename("fraction_deeper").assign_attrs(
        long_name=f"share of the unit catchment under more than {depth:g} m of water"
    )


def depth_exceeded(
    network: RiverNetwork, flood_depth: xr.DataArray, share: float
) -> xr.DataArray:
    """Return the depth that is exceeded in a given share of the flooded area.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``area`` and ``floodplain_height``.
    flood_depth : xarray.DataArray, shape (..., catchment)
        Depth of the water above the bank, m.
    share : float
        Share of the flooded area, 0 to 1: 0 gives the greatest depth, 0.5 the median.

    Returns
    -------
    xarray.DataArray
        Depth, m; NaN where nothing is flooded.

    Raises
    ------
    InputError
        As `flood_extent`, or if `share` is not between 0 and 1.
    """
    if not 0.0 <= share <= 1.0:
        raise InputError(f"share must lie between 0 and 1, got {share:g}")
    depth = _depth(network, flood_depth)
    fraction = flood_extent(network, depth)["flood_fraction"]
    wanted = share * fraction
    height, below = xr.zeros_like(depth), 0.0
    for low, high, step in _layers(network):
        part = ((wanted - below) / step).clip(0.0, 1.0)
        height = height + part * (high - low)
        below += step
    result = (depth - height).where(fraction > 0.0)
    return result.rename("flood_depth").assign_attrs(
        units="m", long_name=f"depth exceeded in {100 * share:g} % of the flooded area"
    )


def _layers(
    network: RiverNetwork,
) -> Iterator[tuple[xr.DataArray, xr.DataArray, float]]:
    """Give the lower and upper height of each layer and its share of the area."""
    heights = network.data["floodplain_height"].reset_coords(drop=True)
    low = xr.zeros_like(heights.isel(layer=0))
    for i in range(heights.sizes["layer"]):
        high = heights.isel(layer=i)
        yield low, high, 1.0 / heights.sizes["layer"]
        low = high


def _layer(
    depth: xr.DataArray, low: xr.DataArray, high: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the wet share of a layer and the water on it, m over the whole layer."""
    rise = high - low
    above = (depth - low).clip(min=0.0)
    share = (above / rise.where(rise > 0.0)).clip(max=1.0)
    # A flat layer is dry up to its height and wet as soon as the water stands above.
    wet = xr.where(rise > 0.0, share, above > 0.0)
    wet = wet.where(depth.notnull()).astype(float)
    return wet, wet * (above - 0.5 * wet * rise)


def _depth(network: RiverNetwork, flood_depth: xr.DataArray) -> xr.DataArray:
    """Return the depth in m, checked to belong to the network."""
    network.require("area", "floodplain_height")
    if flood_depth.sizes.get("catchment") != network.size:
        raise InputError(
            f"flood_depth needs the network's {network.size} catchments, it has "
            f"{dict(flood_depth.sizes)}"
        )
    if "catchment" in flood_depth.indexes and not np.array_equal(
        flood_depth["catchment"].values, network.ids
    ):
        raise InputError(
            "flood_depth has other catchments than the network, or another order: "
            "use flood_depth.sel(catchment=network.ids)"
        )
    if "units" not in flood_depth.attrs:
        raise InputError("flood_depth has no units; they would be m")
    return convert(flood_depth, "m").assign_coords(catchment=network.ids)


def _described(result: dict[str, xr.DataArray], like: xr.DataArray) -> xr.Dataset:
    """Return the variables with their units, in the order of dimensions given."""
    named = {}
    for name, values in result.items():
        units, meaning = EXTENT[name]
        attrs = {"units": units, "long_name": meaning}
        if "cell_methods" in like.attrs:
            attrs["cell_methods"] = like.attrs["cell_methods"]
        named[name] = values.transpose(*like.dims).assign_attrs(attrs)
    return xr.Dataset(named)
