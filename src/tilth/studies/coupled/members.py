"""An ensemble of fits carried down to the rivers: how sure the discharge is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from tilth.core.model import stamp
from tilth.core.progress import track
from tilth.core.regrid import Regridder
from tilth.land.emulator import Emulator
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.settings import Settings
from tilth.studies.coupled.fronts import EmulatorFront
from tilth.studies.coupled.simulator import LandSimulator

__all__ = ["run_members"]


def run_members(
    emulator: Emulator,
    network: RiverNetwork,
    regridder: Regridder | Any,
    forcing: xr.Dataset,
    state: xr.Dataset | None = None,
    *,
    settings: Settings | None = None,
    exchange: str = "1D",
    feedback: bool = True,
    variables: Sequence[str] = ("discharge", "flood_fraction"),
    catchments: Sequence[Any] | None = None,
    soil_full: xr.DataArray | None = None,
    flood_share: xr.DataArray | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    """Run land and rivers once for each member of an ensemble of fits.

    The members differ in their parameters alone; their spread is that of the fit
    (`tilth.land.fit.ensemble`), a lower bound of what is unknown.

    Parameters
    ----------
    emulator : Emulator
        With members, as of `tilth.land.fit.as_members`.
    network, regridder, settings, exchange, threads
        As for `LandSimulator`.
    forcing, state, feedback, variables
        As for `LandSimulator.run`; one state for all.
    catchments : sequence, optional
        Identifiers to keep; all by default.
    soil_full, flood_share : xarray.DataArray, optional
        As for `EmulatorFront`.

    Returns
    -------
    xarray.Dataset
        ``variables`` along ``member``, ``time`` and ``catchment``.
    """
    kept = network.ids if catchments is None else list(catchments)
    runs = []
    for k in track(range(emulator.members), "members"):
        fitted = emulator.fitted
        one = fitted.isel(member=k, drop=True) if "member" in fitted.dims else fitted
        simulator = LandSimulator(
            EmulatorFront(Emulator(one), soil_full=soil_full, flood_share=flood_share),
            network,
            regridder,
            settings,
            exchange=exchange,
            threads=threads,
        )
        run = simulator.run(forcing, state, feedback=feedback, variables=variables)
        runs.append(run[list(variables)].sel(catchment=kept))
    together = xr.concat(
        runs, "member", coords="minimal", compat="override", combine_attrs="override"
    )
    return stamp(together, f"land simulator, {emulator.members} members")
