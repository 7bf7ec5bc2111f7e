"""Runs of the rivers: from datasets of runoff to discharge, floods and a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from tilth.core.model import stamp
from tilth.core.progress import progress
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing import output as out
from tilth.rivers.routing.blocks import on_dask
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.plan import Plan, Results, driving, walk
from tilth.rivers.routing.reservoirs import Reservoirs
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import (
    PREFIX,
    fingerprint,
    state_arrays,
    state_dataset,
    variables_of,
)
from tilth.rivers.routing.times import end_time, period_steps


def route(
    network: RiverNetwork,
    runoff: xr.DataArray,
    state: xr.Dataset | None = None,
    *,
    settings: Settings | None = None,
    base_runoff: xr.DataArray | None = None,
    sea_level: xr.DataArray | float | None = None,
    evaporation: xr.DataArray | None = None,
    infiltration: xr.DataArray | None = None,
    reservoirs: Reservoirs | None = None,
    levees: Levees | None = None,
    output: str = "1D",
    variables: Sequence[str] | None = None,
    threads: int | None = None,
    blocks: int | None = None,
) -> xr.Dataset:
    """Route runoff down a river network.

    Parameters
    ----------
    network : RiverNetwork
        With channels and floodplains.
    runoff : xarray.DataArray
        ``(time, catchment)``, means of intervals that begin at their time: in
        m3 s-1 for each catchment, or per area (kg m-2 s-1, mm day-1, m s-1), which is
        taken times the network's ``area``. Catchments in any order, told by their
        identifiers. On Dask the result is lazy, see `blocks`.
    state : xarray.Dataset, optional
        Of `final_state` or `open_state`, where the run begins; without it the rivers
        are dry. Two halves of a run are the whole, to the last bit.
    settings : Settings, optional
        How water is routed.
    base_runoff : xarray.DataArray, optional
        More runoff, by way of the groundwater (`Settings.groundwater_delay`).
    sea_level : xarray.DataArray or float, optional
        Height of the sea above the bank of the mouths in m: a number, or over
        ``time`` (as the runoff's, or finer) and ``catchment`` (every mouth).
    evaporation, infiltration : xarray.DataArray, optional
        Rates from the flooded area (mm day-1, kg m-2 s-1, m s-1), over time and
        catchment, one of them or none.
    reservoirs : Reservoirs, optional
        Dams.
    levees : Levees, optional
        Dikes.
    output : str, default "1D"
        ``"step"`` or an output interval such as ``"3h"``.
    variables : sequence of str, optional
        Keys of `tilth.rivers.routing.output.VARIABLES`; all by default.
    threads : int, optional
        Threads in memory; by default one per processor.
    blocks : int, optional
        Cut the network into about as many groups of whole basins of equal size, each
        a Dask task with all of its time, and return a lazy result whose catchments
        lie group by group (``result.sel(catchment=network.ids)`` brings them back).
        By default so for runoff on Dask, in groups as large as its chunks, and
        otherwise all is computed at once. Numbers are the same, to the last bit.
        Compute what is wanted together: each computation routes its blocks anew.

    Returns
    -------
    xarray.Dataset
        Output over ``time`` (beginning of the interval) and ``catchment``, the ledger
        of `tilth.rivers.routing.output.LEDGER` over time, and the state at the end;
        take it out with `final_state`.

    Raises
    ------
    InputError
        If network, runoff, state or tables do not belong together or cannot be; on
        Dask, values are looked at when they are computed.
    UnitsError
        If units are absent or of another kind.

    References
    ----------
    Yamazaki et al. (2011), Water Resources Research 47, W04501; Yamazaki, de Almeida &
    Bates (2013), Water Resources Research 49, 7221-7235.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from tilth.rivers.network.synthetic import synthetic_network
    >>> network = synthetic_network(50, basins=2, seed=3)
    >>> days = np.arange("2019-03-01", "2019-03-04", dtype="datetime64[D]")
    >>> rain = xr.DataArray(
    ...     np.full((3, 50), 5.0),
    ...     coords={"time": days.astype("M8[ns]"), "catchment": network.ids},
    ...     dims=("time", "catchment"),
    ...     attrs={"units": "mm day-1"},
    ... )
    >>> result = route(network, rain, variables=["discharge"])
    >>> bool((result["water_residual"] < 1e-9).all())
    True
    """
    settings = settings or Settings()
    names = out.check_names(variables)
    drive = driving(network, runoff, base_runoff, evaporation, infiltration, sea_level)
    per = period_steps(drive.seconds, drive.time.size, output)
    if state is not None:
        state = state_dataset(state_arrays(state, network), network)
    for table in (reservoirs, levees):
        if table is not None:
            network.positions(table.catchment)
    plan = Plan(network, settings, state, drive, reservoirs, levees, per, names)
    if blocks is None and not drive.lazy:
        results = _in_memory(plan, threads)
    else:
        results = on_dask(plan, blocks)
    return _dataset(results, plan, output)


def _in_memory(plan: Plan, threads: int | None) -> Results:
    """Return the results of a run that is computed at once."""
    with progress("routing", total=plan.periods) as work:
        values, pairs, state = walk(plan, threads, work.advance)
    ledger = out.combined_ledger([pairs], plan.network.size)
    return Results(values, ledger, state, plan.network.ids)


def _dataset(results: Results, plan: Plan, output: str) -> xr.Dataset:
    """Return the result of a run with its coordinates and attributes."""
    variables: dict[str, Any] = {
        name: (("time", "catchment"), array, out.VARIABLES[name].attributes)
        for name, array in results.values.items()
    }
    variables |= out.ledger_variables(results.ledger)
    for name, (dims, units, meaning) in variables_of(plan.network).items():
        attributes = {"units": units, "long_name": meaning}
        variables[PREFIX + name] = (dims, results.state[name], attributes)
    time = plan.drive.time
    result = xr.Dataset(
        variables,
        coords={"time": time.values[:: plan.per], "catchment": results.ids},
    )
    places = {
        name: plan.network.data[name]
        for name in ("lat", "lon")
        if name in plan.network.data.coords
    }
    for name, place in places.items():
        result.coords[name] = place.sel(catchment=results.ids)
    result["time"].attrs["long_name"] = "beginning of the interval"
    result.attrs["end"] = str(end_time(time))
    result.attrs["network"] = fingerprint(plan.network)
    given = ", ".join(
        name
        for name, there in (
            *((name, True) for name in plan.drive.inputs),
            ("sea_level", plan.drive.sea_level is not None),
            ("reservoirs", plan.reservoirs is not None),
            ("levees", plan.levees is not None),
        )
        if there
    )
    return stamp(
        result, f"rivers routed, {plan.settings}, output={output!r}, given {given}"
    )
