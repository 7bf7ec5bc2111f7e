"""Land and rivers together: runoff down to the rivers, flood water back to the land."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.constants import WATER_DENSITY
from tilth.core.errors import InputError
from tilth.core.intervals import interval_seconds
from tilth.core.model import stamp
from tilth.core.progress import progress
from tilth.core.regrid import Regridder
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.output import VARIABLES as RIVER_OUTPUT
from tilth.rivers.routing.output import Interval
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.settings import Settings
from tilth.studies.coupled import state as states
from tilth.studies.coupled.exchange import Exchange
from tilth.studies.coupled.fronts import LandFront, Outcome, Weather
from tilth.studies.coupled.ledger import VOLUMES, Books

__all__ = ["LandSimulator"]

#: Intervals that the land takes at a time where nothing comes back to it.
_AHEAD = 64

#: Output of the rivers by default.
_RIVERS = ("discharge", "flood_fraction", "storage")

#: Output of the land, per cell: name -> units, meaning, method.
_LAND = {
    "runoff": ("kg m-2 s-1", "runoff of the land", "mean"),
    "evaporation": ("kg m-2 s-1", "evaporation of the land", "mean"),
    "land_storage": ("kg m-2", "water of the land", "point"),
    "cell_flood_fraction": ("1", "share of the cell's land that is flooded", "point"),
}


class LandSimulator:
    """A land model or its emulator, coupled to the rivers of a network.

    At every exchange interval the land's runoff goes to the catchments, in the shares
    of area. With feedback, flooded areas evaporate as open water does less what the
    land evaporates there already, and flood water soaks into the ground as far as that
    has room: the router takes it from the floodplain, and it is put into the land's
    stores. Whatever moves is counted; `tilth.studies.coupled.ledger_table` prints it.

    Parameters
    ----------
    front : LandFront
        `ProcessFront` or `EmulatorFront`: the switch.
    network : RiverNetwork
        The rivers.
    regridder : Regridder or sparse matrix
        See `tilth.studies.coupled.Exchange.of`.
    settings : tilth.rivers.routing.settings.Settings, optional
        How water is routed.
    exchange : str
        Interval of exchange, such as ``"1D"``.
    threads : int, optional
        Of the router.

    Raises
    ------
    InputError
        If the exchange is no interval, or the network lacks what routing needs.
    """

    def __init__(
        self,
        front: LandFront,
        network: RiverNetwork,
        regridder: Regridder | Any,
        settings: Settings | None = None,
        *,
        exchange: str = "1D",
        threads: int | None = None,
    ) -> None:
        self.seconds = interval_seconds(exchange, "exchange")
        self.front = front
        self.network = network
        self.regridder = regridder
        self.settings = settings or Settings()
        self.exchange = exchange
        self.threads = threads

    def run(
        self,
        forcing: xr.Dataset,
        state: xr.Dataset | None = None,
        *,
        feedback: bool = True,
        variables: Sequence[str] = _RIVERS,
    ) -> xr.Dataset:
        """Run land and rivers through weather.

        Parameters
        ----------
        forcing : xarray.Dataset
            As the land model of the front takes it, with ``lat`` and ``lon``; with
            feedback also radiation and wind (`tilth.studies.coupled.open_water`).
        state : xarray.Dataset, optional
            Of `final_state` or `open_state`: a run goes on from it as if it had never
            stopped, to the last bit. Without it the land begins as its front does, and
            the rivers dry.
        feedback : bool
            Whether floods evaporate and soak in; else water goes one way.
        variables : sequence of str
            Of `tilth.rivers.routing.output.VARIABLES`.

        Returns
        -------
        xarray.Dataset
            Along ``time`` (beginnings of the exchange intervals): the rivers'
            variables per catchment; ``runoff``, ``evaporation``, ``land_storage`` and
            ``cell_flood_fraction`` per cell of the land; the ledger (see
            `tilth.studies.coupled.ledger.VOLUMES`); and the state at the end.
            Attributes ``land_seconds`` and ``river_seconds`` are processor time.

        Raises
        ------
        InputError
            If weather, state or regridder do not fit, or a variable is unknown.
        """
        unknown = [name for name in variables if name not in RIVER_OUTPUT]
        if unknown:
            raise InputError(
                f"no output variable {', '.join(unknown)}; there are "
                f"{', '.join(RIVER_OUTPUT)}"
            )
        weather = self.front.prepare(forcing, self.exchange, feedback)
        ways = Exchange.of(self.regridder, self.network, forcing)
        land_state, river_state = states.parted(state) if state else (None, None)
        router = Router(self.network, self.settings, river_state, threads=self.threads)
        work = _Run(self, weather, ways, router, tuple(variables))
        land = self.front.begin(weather, land_state)
        work.open(land)
        count = weather.time.size
        step = 1 if feedback else _AHEAD
        with progress("land and rivers", total=count) as bar:
            for first in range(0, count, step):
                days = range(first, min(first + step, count))
                began = clock.process_time()
                outcome = self.front.advance(weather, land, days)
                work.land_seconds += clock.process_time() - began
                land = outcome.state
                for k in days:
                    work.interval(k, outcome, k - first, land)
                    bar.advance()
        return work.result(land, feedback)


class _Run:
    """One run on its way: what it gathers."""

    def __init__(
        self,
        simulator: LandSimulator,
        weather: Weather,
        ways: Exchange,
        router: Router,
        variables: tuple[str, ...],
    ) -> None:
        count, cells = weather.time.size, ways.cell_area.size
        self.simulator, self.weather = simulator, weather
        self.ways, self.router = ways, router
        self.rivers = {n: np.empty((count, router.network.size)) for n in variables}
        self.land = {name: np.empty((count, cells)) for name in _LAND}
        self.volumes = {name: np.zeros(count) for name in VOLUMES}
        self.land_seconds = self.river_seconds = 0.0
        self.stored = self.begun = 0.0
        self.routing_residual = 0.0

    def open(self, land: Any) -> None:
        """Count the water there is at the beginning."""
        self.stored = self.ways.volume(self.simulator.front.stored(land))
        rivers = self.router.arrays
        self.begun = self.stored + float(
            rivers.storage.sum() + rivers.groundwater.sum()
        )

    def interval(self, k: int, outcome: Outcome, row: int, land: Any) -> None:
        """Route an interval's runoff and give the land its flood water."""
        front, ways, seconds = self.simulator.front, self.ways, self.simulator.seconds
        runoff, evaporated = outcome.runoff[row], outcome.evaporation[row]
        losses: dict[str, np.ndarray] = {}
        if self.weather.open_water is not None:
            beyond = front.beyond(self.weather, k, evaporated)
            room = front.room(self.weather, land, k)
            rate = np.minimum(room / seconds, front.fastest(self.weather))
            losses["evaporation"] = ways.mean(beyond) / WATER_DENSITY
            losses["infiltration"] = ways.mean(rate) / WATER_DENSITY
        began = clock.process_time()
        done = self.router.advance(ways.inflow(runoff), seconds, **losses)
        self.river_seconds += clock.process_time() - began
        if losses:
            soaked = ways.back(done.means["infiltration"]) * seconds * WATER_DENSITY
            area = np.where(ways.cell_area > 0.0, ways.cell_area, 1.0)
            front.receive(self.weather, land, k, soaked / area)
            self.land["land_storage"][k] = front.stored(land)
        else:
            self.land["land_storage"][k] = outcome.stored[row]
        values = done.means | done.ends
        for name, array in self.rivers.items():
            array[k] = values[name]
        flooded = ways.back(done.ends["flooded_area"])
        empty = np.zeros_like(flooded)
        has_area = ways.cell_area > 0.0
        self.land["cell_flood_fraction"][k] = np.divide(
            flooded, ways.cell_area, out=empty, where=has_area
        )
        self.land["runoff"][k] = runoff
        self.land["evaporation"][k] = evaporated
        self._book(k, outcome, row, done)

    def _book(self, k: int, outcome: Outcome, row: int, done: Interval) -> None:
        """Write an interval into the books."""
        seconds, ledger = self.simulator.seconds, done.ledger
        rates = {
            "precipitation_volume": outcome.precipitation[row],
            "land_evaporation_volume": outcome.evaporation[row],
            "runoff_volume": outcome.runoff[row],
        }
        for name, rate in rates.items():
            self.volumes[name][k] = self.ways.volume(rate) * seconds
        self.volumes["flood_evaporation_volume"][k] = ledger["evaporation_volume"]
        self.volumes["infiltration_volume"][k] = ledger["infiltration_volume"]
        self.volumes["outflow_volume"][k] = ledger["outflow_volume"]
        self.volumes["river_storage_change"][k] = ledger["storage_change"]
        now = self.ways.volume(self.land["land_storage"][k])
        self.volumes["land_storage_change"][k] = now - self.stored
        self.stored = now
        self.routing_residual = max(self.routing_residual, ledger["water_residual"])

    def result(self, land: Any, feedback: bool) -> xr.Dataset:
        """Return everything as one dataset."""
        simulator, time = self.simulator, self.weather.time
        front, network = simulator.front, simulator.network
        land_state = front.dataset(self.weather, land)
        result = xr.Dataset(coords={"time": time.values, "catchment": network.ids})
        for name, values in self.rivers.items():
            attrs = RIVER_OUTPUT[name].attributes
            result[name] = (("time", "catchment"), values, attrs)
        places = self.weather.columns.places
        dims = self.weather.columns.dims
        for name, values in self.land.items():
            units, meaning, method = _LAND[name]
            attrs = {
                "units": units, "long_name": meaning, "cell_methods": f"time: {method}",
            }  # fmt: skip
            shaped = values.reshape(-1, *(places.sizes[d] for d in dims))
            result[name] = (("time", *dims), shaped, attrs)
        for name in ("lat", "lon"):
            coordinate = network.data.coords.get(name)
            if coordinate is not None and coordinate.dims == ("catchment",):
                result[f"catchment_{name}"] = coordinate.reset_coords(drop=True)
        books = Books(self.volumes, self.begun)
        rivers = self.router.state
        result = result.assign(
            books.variables(result["time"]) | states.joined(land_state, rivers)
        ).assign_coords({n: places[n] for n in dims if n in places.coords})
        result["time"].attrs["long_name"] = "beginning of the interval, UTC"
        result.attrs = {
            "front": front.name,
            "feedback": str(feedback),
            "network": rivers.attrs["network"],
            "end": str(time.values[-1] + np.timedelta64(round(simulator.seconds), "s")),
            "relative_water_residual": books.relative,
            "largest_routing_residual": self.routing_residual,
            "land_seconds": self.land_seconds,
            "river_seconds": self.river_seconds,
        }
        return stamp(result, f"land simulator, {front.name}, feedback={feedback}")
