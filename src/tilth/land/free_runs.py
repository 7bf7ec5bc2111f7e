"""A run of a fitted emulator over other years, never restarted."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.land.emulator import Emulator, as_targets
from tilth.land.skill import days_of_year


def free_run(
    fitted: xr.Dataset, forcing: xr.Dataset, targets: xr.Dataset, days: slice
) -> xr.Dataset:
    """Run a fitted emulator over days, from the land model's state on the eve.

    Parameters
    ----------
    fitted : xarray.Dataset
        As `tilth.land.fit.fit_emulator` returns it.
    forcing, targets : xarray.Dataset
        Over the days and at least the one before.
    days : slice
        To run, as labels of ``time``.

    Returns
    -------
    xarray.Dataset
        ``snow``, ``soil``, ``wetland`` (mm), ``runoff`` and ``evaporation`` (mm
        day-1), (time, cell), as the targets.

    Raises
    ------
    InputError
        If the land model's state on the eve is not there.
    """
    weather = forcing.sel(time=days)
    if not weather.sizes["time"]:
        raise InputError(f"there is no weather from {days.start} to {days.stop}")
    first = weather["time"].values[0]
    before = np.flatnonzero(targets["time"].values < first)
    if not before.size:
        raise InputError(
            f"a free run from {str(first)[:10]} starts from the land model's state on "
            f"the eve; the targets begin on {str(targets['time'].values[0])[:10]}"
        )
    state = eve_state(fitted, targets.isel(time=int(before[-1])))
    if not state.notnull().all("store").any():
        raise InputError(f"the land model's state before {str(first)[:10]} is missing")
    run = Emulator(fitted).run(weather, state, dtype="float64", evaporation=True)
    output = as_targets(run)
    years = (weather.sizes["time"] - 1) / days_of_year(weather["time"])
    residual = run["water_residual"].reset_coords(drop=True) / years
    output["water_residual"] = residual.assign_attrs(units="mm year-1")
    return stamp(output, f"free run from {str(first)[:10]}")


def eve_state(fitted: xr.Dataset, eve: xr.Dataset) -> xr.DataArray:
    """Return the stores that the land model's state stands for, mm.

    Parameters
    ----------
    fitted : xarray.Dataset
        As `tilth.land.fit.fit_emulator` returns it.
    eve : xarray.Dataset
        The land model's ``snow``, ``soil`` and, where it has one, ``wetland`` (cell).

    Returns
    -------
    xarray.DataArray
        (store, cell). A wetland that the land model does not have is empty; the deep
        store is that of the end of the fit.
    """
    nothing = xr.zeros_like(eve["snow"])
    stores = {
        "snow": eve["snow"],
        "soil": eve["soil"] - fitted["soil_reference"].values,
        "wetland": eve.get("wetland", nothing),
        "deep": nothing + fitted["initial_deep"].values,
    }
    bare = [store.reset_coords(drop=True) for store in stores.values()]
    index = xr.DataArray(list(stores), dims="store", name="store")
    return xr.concat(bare, index, coords="minimal", compat="override")
