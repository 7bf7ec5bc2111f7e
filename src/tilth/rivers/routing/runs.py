"""Runs of the rivers: from datasets of runoff to discharge, floods and a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.progress import progress
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing import output as out
from tilth.rivers.routing.forcing import (
    Input,
    check_values,
    loss_input,
    runoff_input,
    sea_input,
)
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.reservoirs import Reservoirs
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import (
    PREFIX,
    fingerprint,
    state_arrays,
    state_dataset,
    variables_of,
)
from tilth.rivers.routing.structures import rows_within
from tilth.rivers.routing.times import end_time, period_steps, step_length


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
    drive = _driving(network, runoff, base_runoff, evaporation, infiltration, sea_level)
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
        from tilth.rivers.routing.blocks import on_dask

        results = on_dask(plan, blocks)
    return _dataset(results, plan, output)


@dataclass(frozen=True)
class Drive:
    """All that drives a run, in the network's order.

    Parameters
    ----------
    time : xarray.DataArray
        Beginnings of the steps.
    seconds : float
        Length of a step.
    inputs : dict of str to Input
        Runoff and, where given, base runoff, evaporation and infiltration.
    sea_level : numpy.ndarray or None
        ``(time * pieces, terminal)``, m.
    pieces : int
        Rows of the sea level in a step.
    """

    time: xr.DataArray
    seconds: float
    inputs: dict[str, Input]
    sea_level: np.ndarray | None
    pieces: int

    @property
    def lazy(self) -> bool:
        """Whether a forcing is on Dask."""
        return any(given.lazy for given in self.inputs.values())


@dataclass(frozen=True)
class Plan:
    """A run that is checked but for the values of its forcing.

    Parameters
    ----------
    network : RiverNetwork
        In its own order.
    settings : Settings
        How water is routed.
    state : xarray.Dataset or None
        Where to begin, in the network's order.
    drive : Drive
        What drives it.
    reservoirs : Reservoirs or None
        Of this network only.
    levees : Levees or None
        Of this network only.
    per : int
        Steps in an output interval.
    names : tuple of str
        Output variables.
    """

    network: RiverNetwork
    settings: Settings
    state: xr.Dataset | None
    drive: Drive
    reservoirs: Reservoirs | None
    levees: Levees | None
    per: int
    names: tuple[str, ...]

    @property
    def periods(self) -> int:
        """Number of output intervals."""
        return self.drive.time.size // self.per

    def subset(self, positions: np.ndarray) -> Plan:
        """Return the run of some whole components.

        Parameters
        ----------
        positions : array of int
            Their catchments, by position.

        Returns
        -------
        Plan
            In the order of the positions.
        """
        network = self.network.subset(positions)
        drive = self.drive
        sea = drive.sea_level
        if sea is not None:
            ends = positions[network.terminals]
            sea = sea[:, np.searchsorted(self.network.terminals, ends)]
        return replace(
            self,
            network=network,
            state=_part_of_state(self, positions),
            drive=replace(
                drive,
                inputs={
                    name: given.subset(positions)
                    for name, given in drive.inputs.items()
                },
                sea_level=sea,
            ),
            reservoirs=rows_within(self.reservoirs, network.ids),
            levees=rows_within(self.levees, network.ids),
        )


def _part_of_state(plan: Plan, positions: np.ndarray) -> xr.Dataset | None:
    """Return the state of some whole components."""
    if plan.state is None:
        return None
    part = plan.state.isel(catchment=positions)
    if "path_from" in plan.network.data:
        starts = plan.network.data["path_from"].values
        part = part.isel(path=np.flatnonzero(np.isin(starts, positions)))
    part.attrs = {}  # the mark is that of the whole network
    return part


class Results:
    """What a walk fills: output, ledger in exact pairs, and the state.

    Parameters
    ----------
    values : dict of str to array
        ``(period, catchment)``.
    ledger : array
        ``(period, len(LEDGER))``.
    state : dict of str to array
        By the names of `tilth.rivers.routing.state.VARIABLES`.
    ids : numpy.ndarray
        Identifiers in the order of the arrays.
    """

    def __init__(
        self,
        values: dict[str, Any],
        ledger: Any,
        state: dict[str, Any],
        ids: np.ndarray,
    ) -> None:
        self.values = values
        self.ledger = ledger
        self.state = state
        self.ids = ids


def walk(
    plan: Plan, threads: int | None, advanced: Callable[[], None] | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    """Go through all steps of a run in memory.

    Parameters
    ----------
    plan : Plan
        Its forcing in memory; the values are checked first.
    threads : int or None
        For `Router`.
    advanced : callable, optional
        Called after each output interval.

    Returns
    -------
    values : dict of str to numpy.ndarray
        ``(period, catchment)`` in the network's order.
    ledger : numpy.ndarray
        ``(period, len(LEDGER), 2)``, for `combined_ledger`.
    state : dict of str to numpy.ndarray
        At the end.

    Raises
    ------
    InputError
        If values of the forcing cannot be.
    """
    drive = plan.drive
    for given in drive.inputs.values():
        check_values(given)
    router = Router(
        plan.network,
        plan.settings,
        plan.state,
        reservoirs=plan.reservoirs,
        levees=plan.levees,
        threads=threads,
    )
    shape = (plan.periods, plan.network.size)
    values = {name: np.empty(shape) for name in plan.names}
    ledger = np.empty((plan.periods, len(out.LEDGER), 2))
    for period in range(plan.periods):
        account = router.account()
        for step in range(period * plan.per, (period + 1) * plan.per):
            sea = drive.sea_level
            if sea is not None:
                sea = sea[step * drive.pieces : (step + 1) * drive.pieces]
            now = {name: given.at(step) for name, given in drive.inputs.items()}
            router.step(account, now.pop("runoff"), drive.seconds, sea_level=sea, **now)
        for name, array in router.values(account, plan.names).items():
            values[name][period] = array
        ledger[period] = account.ledger()
        if advanced is not None:
            advanced()
    return values, ledger, router.arrays._asdict()


def _in_memory(plan: Plan, threads: int | None) -> Results:
    """Return the results of a run that is computed at once."""
    with progress("routing", total=plan.periods) as work:
        values, pairs, state = walk(plan, threads, work.advance)
    ledger = out.combined_ledger([pairs], plan.network.size)
    return Results(values, ledger, state, plan.network.ids)


def _driving(
    network: RiverNetwork,
    runoff: xr.DataArray,
    base_runoff: xr.DataArray | None,
    evaporation: xr.DataArray | None,
    infiltration: xr.DataArray | None,
    sea_level: xr.DataArray | float | None,
) -> Drive:
    """Return what drives a run, checked but for the values of lazy arrays."""
    inputs = {"runoff": runoff_input(runoff, network)}
    time = runoff["time"]
    seconds = step_length(time)
    if base_runoff is not None:
        base = runoff_input(base_runoff, network, "base_runoff")
        if not np.array_equal(base.time, time.values):
            raise InputError("base_runoff and runoff must be given at the same times")
        inputs["base_runoff"] = base
    for name, loss in (("evaporation", evaporation), ("infiltration", infiltration)):
        if loss is not None:
            inputs[name] = loss_input(loss, network, time, name)
    sea, pieces = None, 1
    if sea_level is not None:
        sea, pieces = sea_input(sea_level, network, time)
    return Drive(time, seconds, inputs, sea, pieces)


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
