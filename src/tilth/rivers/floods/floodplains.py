"""What the floodplain holds back: peaks lowered and delayed against a walled river."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import convert
from tilth.rivers.floods.extremes import plotting_positions
from tilth.rivers.floods.steps import step_seconds
from tilth.rivers.network.model import RiverNetwork
from tilth.stats.resampling import block_bootstrap

#: Height of the walls of `walled`, m: at any depth a river can have, the storage that
#: is left above the bank is below a millionth of the channel's.
WALL_HEIGHT = 1e6

#: Rivers whose peak without a floodplain is lower have no retention, m3 s-1: of a
#: smaller flow the reduction is a ratio of roundings.
LEAST_PEAK = 1.0


def walled(network: RiverNetwork) -> RiverNetwork:
    """Return the network with walls along every bank: no water leaves the channel.

    Route the same runoff through both, the walled one without flow on the floodplain,
    and `retention` tells what the floodplain does.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``floodplain_height``.

    Returns
    -------
    RiverNetwork
        The same channels, the floodplain `WALL_HEIGHT` above the bank.

    Raises
    ------
    InputError
        If the network has no floodplain.
    """
    network.require("floodplain_height")
    heights = network.data["floodplain_height"]
    return RiverNetwork(
        network.data.assign(floodplain_height=xr.full_like(heights, WALL_HEIGHT))
    )


def retention(with_floodplain: xr.DataArray, without: xr.DataArray) -> xr.Dataset:
    r"""Return how far the floodplain lowers and delays the flood of each catchment.

    The volume held back is the most that the floodplain has kept at any time,

    .. math:: \max_t \int_0^t (Q_\mathrm{without} - Q_\mathrm{with}) \, dt' .

    Parameters
    ----------
    with_floodplain, without : xarray.DataArray, shape (time, ...)
        Discharge of the two runs, m3 s-1, at equal steps.

    Returns
    -------
    xarray.Dataset
        ``peak`` and ``peak_without`` m3 s-1; ``peak_reduction``, share of the peak
        without; ``peak_delay`` and ``centroid_delay`` s, positive where the floodplain
        delays (the first in whole steps, the second of the mean time of all water);
        ``held_volume`` m3 and ``held_share`` of the volume that passes. NaN where the
        peak without a floodplain is below `LEAST_PEAK`.

    Raises
    ------
    InputError
        If the runs have other times or units are no discharge.
    """
    try:
        a, b = xr.align(with_floodplain, without, join="exact")
    except ValueError as error:
        raise InputError(
            "the runs with and without floodplain have other times or catchments: "
            "compare the same days of the same network"
        ) from error
    a, b = (_discharge(x) for x in (a, b))
    seconds = step_seconds(a["time"])
    peak, peak_without = a.max("time"), b.max("time")
    flows = peak_without >= LEAST_PEAK
    step = xr.DataArray(np.arange(a.sizes["time"]) * seconds, dims="time")
    top, top_without = (x.fillna(-np.inf).argmax("time") for x in (a, b))
    centroid, centroid_without = (
        (x * step).sum("time") / x.sum("time") for x in (a, b)
    )
    held = ((b - a).cumsum("time") * seconds).max("time").clip(min=0.0)
    total = b.sum("time") * seconds
    result = {
        "peak": (peak, "m3 s-1", "highest discharge with the floodplain"),
        "peak_without": (peak_without, "m3 s-1", "highest discharge without it"),
        "peak_reduction": (1.0 - peak / peak_without, "1", "peak saved, share"),
        "peak_delay": ((top - top_without) * seconds, "s", "delay of the peak"),
        "centroid_delay": (centroid - centroid_without, "s", "delay of the water"),
        "held_volume": (held, "m3", "most water held back at a time"),
        "held_share": (held / total, "1", "of the water that passes"),
    }
    return xr.Dataset(
        {
            name: (values if name.startswith("peak") and unit == "m3 s-1"
                   else values.where(flows)).assign_attrs(units=unit, long_name=text)
            for name, (values, unit, text) in result.items()
        }
    )  # fmt: skip


def retention_by_period(
    maxima: xr.DataArray, maxima_without: xr.DataArray, *, dim: str = "year"
) -> xr.Dataset:
    """Return the reduction of the peak against the return period of the flood.

    Parameters
    ----------
    maxima, maxima_without : xarray.DataArray
        Annual maxima of discharge with and without the floodplain, m3 s-1, of the same
        years.
    dim : str, optional
        Dimension of the years.

    Returns
    -------
    xarray.Dataset
        In the order of the years: ``return_period`` (year) of the flood without the
        floodplain, ``peak_without`` m3 s-1, ``peak_reduction``, share.

    Raises
    ------
    InputError
        If the maxima are of other years.
    """
    try:
        a, b = xr.align(maxima, maxima_without, join="exact")
    except ValueError as error:
        raise InputError("the maxima with and without are of other years") from error
    reduction = (1.0 - a / b).where(b >= LEAST_PEAK)
    return xr.Dataset(
        {
            "return_period": plotting_positions(b, dim=dim),
            "peak_without": b.assign_attrs(units="m3 s-1"),
            "peak_reduction": reduction.assign_attrs(units="1"),
        }
    )


def retention_curve(
    size: xr.DataArray, reduction: xr.DataArray, *, classes: int = 8, seed: int = 0
) -> pd.DataFrame:
    """Return the mean reduction of the peak in classes of the size of the flood.

    Parameters
    ----------
    size : xarray.DataArray
        Of each flood, any positive quantity: return period, peak over bank-full flow.
    reduction : xarray.DataArray
        ``peak_reduction`` of the same floods.
    classes : int, optional
        Number of classes, each with as many floods.
    seed : int, optional
        Of the bootstrap over floods.

    Returns
    -------
    pandas.DataFrame
        Per class ``size`` (median), ``reduction`` (mean), ``lower`` and ``upper``
        (90 % interval of the mean) and ``floods``, their number.

    Raises
    ------
    InputError
        If there are fewer than two floods per class.
    """
    x, y = (v.values.ravel() for v in xr.broadcast(size, reduction))
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if classes < 1 or x.size < 2 * classes:
        raise InputError(
            f"{x.size} floods do not fill {classes} classes with two or more each"
        )
    rows = []
    for part in np.array_split(np.argsort(x, kind="stable"), classes):
        mean = block_bootstrap(y[part], np.arange(part.size), level=0.9, seed=seed)
        rows.append(
            {
                "size": float(np.median(x[part])),
                "reduction": mean.estimate,
                "lower": mean.lower,
                "upper": mean.upper,
                "floods": part.size,
            }
        )
    return pd.DataFrame(rows)


def _discharge(values: xr.DataArray) -> xr.DataArray:
    """Return discharge in m3 s-1."""
    if "units" not in values.attrs:
        raise InputError("discharge has no units; they would be m3 s-1")
    return convert(values, "m3 s-1")
