"""A run of the rivers as it is carried out: what drives it, its parts, its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
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
from tilth.rivers.routing.structures import rows_within
from tilth.rivers.routing.times import step_length


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


def driving(
    network: RiverNetwork,
    runoff: xr.DataArray,
    base_runoff: xr.DataArray | None,
    evaporation: xr.DataArray | None,
    infiltration: xr.DataArray | None,
    sea_level: xr.DataArray | float | None,
) -> Drive:
    """Return what drives a run, checked but for its values.

    Parameters
    ----------
    network : RiverNetwork
        The network.
    runoff, base_runoff, evaporation, infiltration, sea_level
        As for `tilth.rivers.routing.runs.route`.

    Returns
    -------
    Drive
        In the network's order.

    Raises
    ------
    InputError
        If catchments, times or units do not fit.
    """
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


class Results(NamedTuple):
    """What a run gives, in memory or on Dask.

    Parameters
    ----------
    values : dict of str to array
        ``(period, catchment)``.
    ledger : array
        ``(period, len(LEDGER))``.
    state : dict of str to array
        By the names of `tilth.rivers.routing.state.VARIABLES`.
    ids : numpy.ndarray
        Identifiers of the catchments in the order of the arrays.
    """

    values: dict[str, Any]
    ledger: Any
    state: dict[str, Any]
    ids: np.ndarray


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
