"""Daily reflector heights: the mean of what a day's arcs agree on."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables, stamp
from tilth.gnss.reflectometry.heights import accepted
from tilth.gnss.reflectometry.signals import signal_of
from tilth.gnss.reflectometry.tracks import gps_days, pass_numbers

_ABOUT = {
    "reflector_height": ("m", "mean height of the antenna above the reflector"),
    "reflector_height_se": ("m", "standard error of the mean"),
    "scatter": ("m", "standard deviation of the arcs"),
    "amplitude": ("1", "mean amplitude of the reflection, V/V"),
    "count": ("1", "number of arcs"),
}


def daily_heights(
    arcs: xr.Dataset,
    *,
    within: float = 0.25,
    fewest: int = 10,
    by_signal: bool = False,
) -> xr.Dataset:
    """Average the reflector heights of each day.

    Of the accepted arcs of a day those within `within` of their median are averaged,
    if they are `fewest` or more: the rule of gnssrefl. The standard error lets all
    signals of one pass of a satellite share their errors.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `tilth.gnss.reflectometry.heights.reflector_heights`, days joined along
        ``arc``; rid of offsets by `tilth.gnss.reflectometry.bias.remove_offsets` if
        the mixture of signals changes.
    within : float
        m.
    fewest : int
        Of arcs a day, and with `by_signal` of a signal a day.
    by_signal : bool
        Whether each signal has a series of its own, with its own median.

    Returns
    -------
    xarray.Dataset
        Along ``time`` (noon of the days), and ``signal``: ``reflector_height``,
        ``reflector_height_se``, ``scatter`` (m), ``amplitude`` and ``count``. NaN, and
        the count of what there was, where arcs are too few; the standard error is NaN
        where all arcs are of one pass.

    Raises
    ------
    InputError
        If variables are missing, no arc is accepted, or a limit is not positive.
    """
    require_variables(
        arcs,
        ("reflector_height", "amplitude", "signal", "time", "quality_flag"),
        "a table of arcs",
    )
    if not within > 0 or fewest < 1:
        raise InputError(
            f"within is positive and fewest at least 1, got {within} m and {fewest}"
        )
    used = accepted(arcs)
    there = np.isfinite(used["reflector_height"].values)
    used = used.isel(arc=np.flatnonzero(there))
    if not used.sizes["arc"]:
        raise InputError("no arc is accepted: there is no day to average")
    days, day = np.unique(gps_days(used), return_inverse=True)
    if by_signal:
        codes, signal = np.unique(used["signal"].values, return_inverse=True)
    else:
        codes, signal = np.zeros(1), np.zeros(day.size, int)
    cell = day * codes.size + signal
    table = _means(used, cell, days.size * codes.size, within, fewest)
    result = xr.Dataset(
        {
            name: (
                ("time", "signal"),
                values.reshape(days.size, codes.size),
                {"units": _ABOUT[name][0], "long_name": _ABOUT[name][1]},
            )
            for name, values in table.items()
        },
        coords={"time": days.astype("datetime64[ns]") + np.timedelta64(12, "h")},
        attrs={"station": arcs.attrs.get("station", ""), "within": within},
    )
    result["time"].attrs = {"standard_name": "time", "long_name": "noon of the day"}
    result.attrs["fewest"] = fewest
    if by_signal:
        names = [signal_of(int(code)).name for code in codes]
        result = result.assign_coords(
            signal=codes.astype("int16"), signal_name=("signal", names)
        )
    else:
        result = result.isel(signal=0)
    return stamp(result, f"daily heights within {within:g} m, at least {fewest} arcs")


def _means(
    arcs: xr.Dataset, cell: np.ndarray, cells: int, within: float, fewest: int
) -> dict[str, np.ndarray]:
    """Return the columns of the table, one value per cell."""
    height = arcs["reflector_height"].values
    amplitude = arcs["amplitude"].values
    passes = pass_numbers(arcs)
    table = {name: np.full(cells, np.nan) for name in _ABOUT if name != "count"}
    table["count"] = np.zeros(cells, "int32")
    order = np.argsort(cell, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        near = np.abs(height[rows] - np.median(height[rows])) < within
        kept = rows[near]
        at = cell[rows[0]]
        table["count"][at] = kept.size
        if kept.size < fewest:
            continue
        mean = height[kept].mean()
        table["reflector_height"][at] = mean
        table["amplitude"][at] = amplitude[kept].mean()
        table["scatter"][at] = height[kept].std()
        _, group = np.unique(passes[kept], return_inverse=True)
        sums = np.bincount(group, height[kept] - mean)
        if sums.size > 1:
            # Liang and Zeger (1986), Biometrika 73, 13: sums of a pass, not its arcs,
            # are independent.
            spread = np.sum(sums**2) * sums.size / (sums.size - 1)
            table["reflector_height_se"][at] = np.sqrt(spread) / kept.size
    return table
