"""Muskingum routing on a river network, as RAPID does it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import stamp
from tilth.core.progress import progress
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.muskingum_inputs import (
    check_numbers,
    check_parameters,
    check_time_step,
    initial_flow,
    interval_of,
    lateral_inflow,
    multiple,
    parameter,
)
from tilth.rivers.routing.muskingum_kernel import (
    Coefficients,
    Sweep,
    coefficients,
    fill_upstream,
    sweep_block,
    sweep_of,
)

__all__ = ["route_muskingum"]

#: Largest part of the inflow that is read at once, numbers (256 MiB).
_PASS = 2**25


def route_muskingum(
    network: RiverNetwork,
    inflow: xr.DataArray,
    state: xr.DataArray | xr.Dataset | None = None,
    *,
    travel_time: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    time_step: float = 900.0,
    output: str | None = None,
    negative_coefficients: str = "refuse",
    threads: int | None = None,
) -> xr.Dataset:
    r"""Route lateral inflow down a network with a linear storage in every reach.

    A reach holds :math:`S = k [x I + (1 - x) Q]` of its inflow from upstream
    :math:`I` and its outflow :math:`Q`; with the lateral inflow :math:`q`,
    :math:`\dot S = I + q - Q`, by the trapezoidal rule over sub-steps:

    .. math:: (\mathbf{I} - C_1 N) Q_1 = C_1 q + C_2 (N Q_0 + q) + C_3 Q_0 .

    A wave needs the time :math:`k` for a reach and spreads by the variance
    :math:`k^2 (1 - 2x)`.

    Parameters
    ----------
    network : RiverNetwork
        Reaches, with ``muskingum_time`` (k) and ``muskingum_weight`` (x) unless they
        are given as arguments.
    inflow : xarray.DataArray
        Lateral inflow of every reach (time, catchment), a unit of m3 s-1; ``time``
        labels the start of intervals, all equally long, over which it is constant.
        With arrays in Dask chunks it is read piece by piece.
    state : xarray.DataArray or xarray.Dataset, optional
        Flow out of every reach at the start, m3 s-1, or an earlier output, which is
        then continued to the last bit. By default rivers are dry.
    travel_time : array_like, shape (catchment), optional
        k, s: in place of the network's.
    weight : array_like, shape (catchment), optional
        x, 0 (a reservoir) to 0.5 (no spreading): in place of the network's.
    time_step : float
        Sub-step, s, of which an interval of the inflow is a multiple. By default that
        of RAPID's continental applications.
    output : str, optional
        Interval of the output, such as ``"1D"``, a multiple of the inflow's, which is
        the default.
    negative_coefficients : {"refuse", "accept"}
        What to do where the sub-step is not between 2kx and 2k(1-x): below, outflow
        first falls when inflow rises, above, it swings from step to step. RAPID
        accepts both; sums and means stay right.
    threads : int, optional
        Processors to use, default all. Whole basins are spread over them.

    Returns
    -------
    xarray.Dataset
        ``discharge`` (time, catchment), m3 s-1: the mean of the instantaneous flows at
        the START of the sub-steps of an interval, which is RAPID's mean; that at the
        end of the last sub-step belongs to the next interval. The ledger over
        ``time``, m3: ``inflow_volume``, ``outflow_volume`` (trapezoidal, as the
        equation counts it), ``storage`` at the end, and ``water_residual``, what they
        leave unexplained, relative to storage and inflow; its largest value is an
        attribute. ``state_discharge`` (catchment): the flow after the last sub-step.

    Raises
    ------
    InputError
        If k, x or the sub-step cannot be, coefficients are negative, or the inflow has
        gaps, other reaches or uneven intervals.
    UnitsError
        If the inflow has no units or not those of a flow.

    References
    ----------
    McCarthy (1938), The unit hydrograph and flood routing. David et al. (2011),
    J. Hydrometeorol. 12, 913-934, doi:10.1175/2011JHM1345.1 (RAPID). Cunge (1969),
    J. Hydraul. Res. 7, 205-230.
    """
    k = parameter(network, travel_time, "muskingum_time")
    x = parameter(network, weight, "muskingum_weight")
    check_parameters(network, k, x)
    check_time_step(network, k, x, time_step, negative_coefficients)
    lateral = lateral_inflow(network, inflow)
    seconds = interval_of(lateral)
    steps = multiple(seconds, time_step, "the interval of the inflow", "time_step")
    many = 1
    if output is not None:
        wanted = pd.Timedelta(output).total_seconds()
        many = multiple(wanted, seconds, "output", "the interval of the inflow")
    if lateral.sizes["time"] % many:
        raise InputError(
            f"{lateral.sizes['time']} intervals of the inflow do not make whole "
            f"intervals of {output}: leave out the last {lateral.sizes['time'] % many}"
        )
    run = _Run(network, k, x, time_step, steps, many, threads or os.cpu_count() or 1)
    run.start(initial_flow(network, state))
    mean, ledger = run.through(lateral)
    result = _described(network, lateral["time"][::many], mean, ledger, run.end())
    result.attrs |= {"time_step": time_step, "output_interval": seconds * many}
    return stamp(result, f"Muskingum routing, sub-step {time_step:g} s")


class _Run:
    """The network in the order of the sweep, with what flows in it."""

    def __init__(
        self,
        network: RiverNetwork,
        k: np.ndarray,
        x: np.ndarray,
        time_step: float,
        steps: int,
        many: int,
        threads: int,
    ) -> None:
        self.sweep: Sweep = sweep_of(network)
        place = self.sweep.place
        self.k, self.x = k[place], x[place]
        self.weights: Coefficients = coefficients(self.k, self.x, time_step)
        self.time_step, self.steps, self.many = time_step, steps, many
        self.threads = threads
        self.flow = np.zeros(place.size)
        self.upstream = np.zeros(place.size)
        self.room = np.empty((3, place.size))

    def start(self, flow: np.ndarray) -> None:
        """Begin with this flow out of every reach."""
        self.flow[:] = flow[self.sweep.place]
        fill_upstream(self.sweep.downstream, self.flow, self.upstream)

    def end(self) -> np.ndarray:
        """Return the flow out of every reach, in the order of the network."""
        flow = np.empty_like(self.flow)
        flow[self.sweep.place] = self.flow
        return flow

    def through(self, inflow: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        """Route all of the inflow; return the means and the ledger (time, 4)."""
        times, n = inflow.shape
        mean = np.empty((times // self.many, n))
        ledger = np.empty((times // self.many, 4))
        piece = max(_PASS // n // self.many, 1)
        with progress("routing", len(mean)) as work:
            for first in range(0, len(mean), piece):
                rows = slice(first, min(first + piece, len(mean)))
                read = inflow[rows.start * self.many : rows.stop * self.many]
                values = np.ascontiguousarray(read.values, float)
                check_numbers(values, read)
                ledger[rows] = self._blocks(values, mean[rows])
                work.advance(rows.stop - rows.start)
        return mean, ledger

    def _blocks(self, inflow: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Route all blocks; return the sum of their ledgers."""
        starts = self.sweep.starts
        ledgers = np.empty((starts.size - 1, len(mean), 4))

        def block(b: int) -> None:
            sweep_block(
                starts[b], starts[b + 1], self.sweep.place, self.sweep.downstream,
                self.k, self.x, self.weights, inflow, self.time_step, self.steps,
                self.many, self.flow, self.upstream, self.room, mean, ledgers[b],
            )  # fmt: skip

        if self.threads == 1 or len(ledgers) == 1:
            for b in range(len(ledgers)):
                block(b)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(block, range(len(ledgers))))
        return ledgers.sum(axis=0)


def _described(
    network: RiverNetwork,
    time: xr.DataArray,
    mean: np.ndarray,
    ledger: np.ndarray,
    flow: np.ndarray,
) -> xr.Dataset:
    """Return the output with coordinates and attributes."""
    entered, left, before, after = ledger.T
    scale = np.abs(before) + np.abs(entered)
    residual = (entered - left - (after - before)) / np.where(scale > 0, scale, 1.0)

    def total(values: np.ndarray, name: str, units: str = "m3") -> tuple[Any, ...]:
        return "time", values, {"units": units, "long_name": name}

    data = {
        "discharge": (
            ("time", "catchment"),
            mean,
            {
                "units": "m3 s-1",
                "long_name": "flow out of the reach",
                "standard_name": "water_volume_transport_in_river_channel",
                "cell_methods": "time: mean",
                "comment": "mean of the flows at the start of the sub-steps",
            },
        ),
        "inflow_volume": total(entered, "lateral inflow of all reaches"),
        "outflow_volume": total(left, "outflow of all terminals"),
        "storage": total(after, "water in all reaches at the end of the interval"),
        "water_residual": total(
            residual,
            "inflow less outflow and gain, by storage and inflow",
            "1",
        ),
        "state_discharge": (
            "catchment",
            flow,
            {
                "units": "m3 s-1",
                "long_name": "flow out of the reach after the last sub-step",
                "cell_methods": "time: point",
            },
        ),
    }
    coords = {
        name: coord
        for name, coord in network.data.coords.items()
        if coord.dims == ("catchment",)
    }
    result = xr.Dataset(data, {"time": time, **coords})
    result.attrs["largest_water_residual"] = f"{np.abs(residual).max():.3g}"
    return result
