"""Made-up runoff: a season of storms that cross a continent, to try rivers with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.rivers.network.model import RiverNetwork

__all__ = ["made_up_runoff"]

#: Storms a year and 10 million km2, how far their rain reaches, and the runoff that one
#: leaves where it is strongest: of the order of frontal rain. Degrees and mm.
_STORMS, _RADIUS, _DEPTH = 900.0, 3.0, 12.0

#: Days in which a storm's water runs off: an exponential store.
_DELAY = 3.0


def made_up_runoff(
    network: RiverNetwork, *, days: int = 365, start: str = "2001-01-01", seed: int = 0
) -> xr.DataArray:
    """Make up the daily runoff of a network's catchments.

    Storms hit at random places, more of them in the middle of the year; each brings an
    exponentially distributed depth, less with the distance from its centre, and the
    water runs off over some days. Nothing of it is a measurement.

    Parameters
    ----------
    network : RiverNetwork
        With ``lat``, ``lon`` and ``area``.
    days : int, default 365
        Length.
    start : str
        First day.
    seed : int, default 0
        Of all chance.

    Returns
    -------
    xarray.DataArray, dims (time, catchment)
        mm day-1.

    Raises
    ------
    InputError
        If the network does not say where its catchments lie, or there are no days.

    Examples
    --------
    >>> from tilth.rivers.network import synthetic_network
    >>> made_up_runoff(synthetic_network(50, basins=2), days=10).sizes["time"]
    10
    """
    network.require("area")
    if "lat" not in network.data or "lon" not in network.data:
        raise InputError("the network lacks lat and lon: storms cannot find it")
    if days < 1:
        raise InputError(f"runoff of {days} days: take one at least")
    rng = np.random.default_rng(seed)
    time = pd.date_range(start, periods=days)
    lat, lon = (network.data[name].values for name in ("lat", "lon"))
    area = network.data["area"].values.sum()
    season = 1.0 - 0.6 * np.cos(2 * np.pi * time.day_of_year.to_numpy() / 365.25)
    often = rng.poisson(_STORMS * max(area / 1e13, 0.01) / 365.25 * season)
    fallen = np.zeros((days, network.size))
    for day, storms in enumerate(often):
        for centre in rng.integers(network.size, size=storms):
            far = np.hypot(lat - lat[centre], lon - lon[centre])
            depth = rng.exponential(_DEPTH)
            fallen[day] += depth * np.exp(-((far / _RADIUS) ** 2))
    kept = np.exp(-1.0 / _DELAY)
    store = np.zeros(network.size)
    runoff = np.empty_like(fallen)
    for day in range(days):
        store += fallen[day]
        runoff[day] = (1 - kept) * store
        store *= kept
    made = xr.DataArray(
        runoff,
        dims=("time", "catchment"),
        coords={"time": time, "catchment": network.ids},
        name="runoff",
        attrs={
            "units": "mm day-1",
            "long_name": "runoff, made up",
            "cell_methods": "time: mean",
        },
    )
    said = stamp(made.to_dataset(), f"runoff made up, {days} days, seed {seed}")
    return made.assign_attrs(history=said.attrs["history"])
