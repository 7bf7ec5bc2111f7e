"""The runs: process model and emulator, each in front of the same rivers."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.land.emulator import Emulator, to_daily
from tilth.land.fit import FitSettings, as_members, fit_emulator
from tilth.land.free_runs import eve_state
from tilth.land.model import final_state, run
from tilth.land.readers import read_forcing
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.settings import Settings as RiverSettings
from tilth.studies.coupled import (
    EmulatorFront,
    Exchange,
    LandSimulator,
    ProcessFront,
    flood_share,
    run_members,
)
from tilth.studies.coupled.state import joined
from tilth.studies.coupled_emulator.world import MAIN, SETTINGS, WETNESS, Scale, World

#: Soil layers whose water the emulator imitates: the first metre.
_TOP = slice(0, 3)

#: Land cells that are fitted as one task, on all processors.
_TOGETHER = 4

#: How long the rivers fill before the held-out years, days.
_FILLING = 365

#: Windows of two years suit a short training; all else is the default.
_FIT = {"window_years": 2, "window_step": 1, "unscored": 100}

#: Waves of these rivers take hours from catchment to catchment: no need to look at
#: the levels every hour for the length of a sub-step.
_RIVERS = RiverSettings(time_step=7200.0)

_NEEDED = ["SWE", "SoilMoist", "SurfStor", "Qs", "Qsb", "Evap"]


@dataclass(frozen=True)
class Runs:
    """Everything that was run; coupled runs over the held-out years.

    Parameters
    ----------
    coupled : dict of (str, bool) to xarray.Dataset
        Front ("process" or a form of the emulator) and whether there was feedback.
    members : xarray.Dataset
        Discharge of the mouths for each member of the fit, one way.
    fits : dict of str to xarray.Dataset
        What was fitted, by front.
    fit_seconds : float
        Processor time of a cell's fit, s.
    """

    coupled: dict[tuple[str, bool], xr.Dataset]
    members: xr.Dataset
    fits: dict[str, xr.Dataset]
    fit_seconds: float


def run_all(world: World, scale: Scale, advance) -> Runs:
    """Run the process model, fit emulators to it, and run all with the rivers.

    Parameters
    ----------
    world : World
        The continent.
    scale : Scale
        The years.
    advance : callable
        Called after each of the six parts.

    Returns
    -------
    Runs
    """
    known = world.forcing.sel(time=slice(str(scale.years[0]), str(scale.training[1])))
    new = world.forcing.sel(time=slice(str(scale.test[0]), str(scale.test[1])))
    past = run(
        known,
        world.parameters,
        settings=SETTINGS,
        wetness=WETNESS,
        variables=_NEEDED,
    )
    advance()
    daily = to_daily(world.forcing).transpose("time", "cell")
    targets = _targets(past)
    learned = read_forcing(daily, "tilth").sel(time=targets["time"])
    fits, fit_seconds = _fits(learned, targets, scale)
    advance()
    rivers = _filled(world, past.isel(time=slice(-_FILLING, None)))
    land = final_state(past)
    weather = daily.sel(time=slice(str(scale.test[0]), str(scale.test[1])))
    eve = targets.isel(time=-1)
    depth = sum(SETTINGS.layers[_TOP])
    full = 1000.0 * depth * world.parameters["saturation"]
    seen = past["Evap"].sel(time=slice(str(scale.training[0]), None))
    share = flood_share(daily.sel(time=seen["time"]), seen)
    coupled = {}
    for front, fitted in (("process", None), *fits.items()):
        if fitted is None:
            own = ProcessFront(world.parameters, SETTINGS)
            begin, drive = land, new
        else:
            own = EmulatorFront(Emulator(fitted), soil_full=full, flood_share=share)
            begin = xr.Dataset({"stores": eve_state(fitted, eve)})
            drive = weather
        state = _together(begin, rivers)
        simulator = LandSimulator(own, world.network, world.regridder, _RIVERS)
        # A day before, so that compiling is not timed.
        simulator.run(drive.sel(time=_first_day(drive)), state)
        for feedback in (False, True):
            coupled[front, feedback] = simulator.run(drive, state, feedback=feedback)
        advance()
    begin = xr.Dataset({"stores": eve_state(fits[MAIN], eve)})
    members = run_members(
        Emulator(as_members(fits[MAIN])),
        world.network,
        world.regridder,
        weather,
        _together(begin, rivers),
        settings=_RIVERS,
        feedback=False,
        variables=("discharge",),
        catchments=world.network.ids[world.network.terminals],
    )
    advance()
    return Runs(coupled, members, fits, fit_seconds)


def _targets(past: xr.Dataset) -> xr.Dataset:
    """Return what the emulator imitates, daily and in its units."""
    moist = past["SoilMoist"].isel(layer=_TOP).sum("layer")
    values = {
        "snow": past["SWE"],
        "soil": moist,
        "wetland": past["SurfStor"],
        "runoff": (past["Qs"] + past["Qsb"]) * SECONDS_PER_DAY,
    }
    targets = xr.Dataset()
    for name, array in values.items():
        units = "mm day-1" if name == "runoff" else "mm"
        targets[name] = array.transpose("time", "cell").assign_attrs(units=units)
    return targets


def _fits(
    learned: xr.Dataset, targets: xr.Dataset, scale: Scale
) -> tuple[dict[str, xr.Dataset], float]:
    """Return the fits, and the processor time of a cell."""
    fits, spent = {}, 0.0
    learned, targets = (data.chunk(cell=_TOGETHER) for data in (learned, targets))
    for variant in scale.forms:
        members = scale.members if variant == MAIN else 0
        began = clock.process_time()
        fits[variant] = fit_emulator(
            learned,
            targets,
            years=scale.training,
            variant=variant,
            settings=FitSettings(members=members, **_FIT),
        )
        spent += clock.process_time() - began
    return fits, spent / (len(fits) * targets.sizes["cell"])


def _filled(world: World, year: xr.Dataset) -> xr.Dataset:
    """Return rivers that the land's runoff of a year has filled."""
    ways = Exchange.of(world.regridder, world.network, world.forcing)
    router = Router(world.network, _RIVERS)
    runoff = (year["Qs"] + year["Qsb"]).transpose("time", "cell").values
    for day in runoff:
        router.advance(ways.inflow(day), SECONDS_PER_DAY)
    return router.state


def _together(land: xr.Dataset, rivers: xr.Dataset) -> xr.Dataset:
    """Return the state of both."""
    both = xr.Dataset(joined(land.drop_vars("time", errors="ignore"), rivers))
    return both.assign_attrs(network=rivers.attrs["network"])


def _first_day(forcing: xr.Dataset) -> slice:
    """Return the first day of a forcing, as labels."""
    day = str(np.datetime_as_string(forcing["time"].values[0], "D"))
    return slice(day, day)
