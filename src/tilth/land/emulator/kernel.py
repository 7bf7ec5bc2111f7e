"""The emulator compiled for processors: many cells at once, no JAX.

The same days as `tilth.land.emulator.equations.simulate`, in double or single
precision. Cells are worked on in blocks whose weather, parameters and stores fit in
the cache (`tilth.land.emulator.kernel_block`). Every cell goes through the same
instructions wherever it lies: results do not depend, to the last bit, on blocks,
threads or neighbours.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.land.emulator.days import month_stretches
from tilth.land.emulator.kernel_block import LANES, N_PARAMETERS, run_blocks
from tilth.land.emulator.variants import Forcing, Variant
from tilth.land.emulator.weather import LIMITS


@dataclass(frozen=True)
class Run:
    """What a run leaves behind; arrays (time, cell) unless said otherwise.

    Parameters
    ----------
    snow, soil, wetland : numpy.ndarray
        Stores at the end of each day, mm; soil with its reference added.
    runoff : numpy.ndarray
        Surface and base runoff, mm per `output_seconds`.
    evaporation : numpy.ndarray or None
        Evaporation and losses together (see `equations.Fluxes`), mm per
        `output_seconds`; None if it was not asked for.
    state : numpy.ndarray, shape (4, cell)
        Stores after the last day, to go on from: snow, soil (without its reference),
        wetland, deep; mm.
    residual : numpy.ndarray, shape (cell)
        Precipitation less evaporation, losses, runoff and the change of all stores,
        summed over the run, mm.
    strange : numpy.ndarray of bool, shape (cell)
        Whether some day had weather outside `tilth.land.emulator.weather.LIMITS`.
    """

    snow: np.ndarray
    soil: np.ndarray
    wetland: np.ndarray
    runoff: np.ndarray
    evaporation: np.ndarray | None
    state: np.ndarray
    residual: np.ndarray
    strange: np.ndarray


def simulate(
    forcing: Forcing,
    month: np.ndarray,
    parameters: np.ndarray,
    runoff_share: np.ndarray,
    soil_reference: np.ndarray,
    state: np.ndarray,
    variant: Variant,
    *,
    seconds: float = SECONDS_PER_DAY,
    output_seconds: float = SECONDS_PER_DAY,
    evaporation: bool = False,
    threads: int | None = None,
) -> Run:
    """Run cells freely through every day of the forcing.

    Parameters
    ----------
    forcing : Forcing
        Arrays (time, cell) in C order, float32 or float64, all of one type, which is
        the precision of the run. Temperature in K, humidity in kg kg-1, pressure in
        Pa; rain and snowfall in mm per `seconds`.
    month : array of int, shape (time)
        Calendar month of each day, 0 to 11.
    parameters : array, shape (15, 12, cell)
        As for `tilth.land.emulator.equations.simulate`. A cell with a parameter, share
        or reference that is not a number is left out at no cost: its results are NaN.
    runoff_share, soil_reference : array, shape (cell)
        Share of refused water that runs off at once; what to add to the soil water, mm.
    state : array, shape (4, cell)
        Stores before the first day: snow, soil (relative to the reference), wetland,
        deep; mm.
    variant : Variant
        Form of the equations.
    seconds, output_seconds : float
        Unit of time of rain and snowfall, and of runoff and evaporation: 86400 if they
        are in mm day-1, 1 if in kg m-2 s-1.
    evaporation : bool
        Whether evaporation is wanted.
    threads : int, optional
        Processors to use, default all.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If shapes or types do not fit.
    """
    days, cells = _check(forcing, month, parameters, state)
    dtype = forcing.rain.dtype
    real = dtype.type
    fitted = np.ascontiguousarray(parameters, dtype)
    share = np.broadcast_to(np.asarray(runoff_share, dtype), cells).copy()
    reference = np.broadcast_to(np.asarray(soil_reference, dtype), cells).copy()
    end = np.array(state, dtype, order="C")
    active = np.isfinite(fitted).all(axis=(0, 1)) & np.isfinite(end).all(axis=0)
    active &= np.isfinite(share) & np.isfinite(reference)
    places = np.flatnonzero(active).astype(np.uint64)

    def blank(*shape: int) -> np.ndarray:
        return np.empty(shape, dtype) if active.all() else np.full(shape, np.nan, dtype)

    wanted = (days, days, days, days, days if evaporation else 0)
    outputs = tuple(blank(rows, cells) for rows in wanted)
    residual, strange = blank(cells), np.zeros(cells, dtype)
    end[:, ~active] = np.nan
    fixed = (
        places,
        # Compiled once, for arrays that may be written to; these are not written to.
        tuple(np.require(values, requirements="W") for values in forcing),
        real(SECONDS_PER_DAY / seconds),
        real(output_seconds / SECONDS_PER_DAY),
        np.array(list(LIMITS.values()), dtype),
        month_stretches(month),
        fitted,
        share,
        reference,
        variant.implicit,
        variant.closed,
        real(variant.frost_width),
        real(variant.snow_depth),
        end,
        outputs,
        residual,
        strange,
    )
    blocks = -(-places.size // LANES)
    workers = min(threads or os.cpu_count() or 1, blocks)
    if workers <= 1:
        run_blocks(0, blocks, *fixed)
    else:
        # Four portions for each, because processors are not equally free.
        cuts = np.unique(np.linspace(0, blocks, 4 * workers + 1).astype(int))
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda a, b: run_blocks(a, b, *fixed), cuts[:-1], cuts[1:]))
    snow, soil, wetland, runoff, evaporated = outputs
    return Run(
        snow=snow,
        soil=soil,
        wetland=wetland,
        runoff=runoff,
        evaporation=evaporated if evaporation else None,
        state=end,
        residual=residual,
        strange=strange > 0,
    )


def _check(
    forcing: Forcing, month: np.ndarray, parameters: np.ndarray, state: np.ndarray
) -> tuple[int, int]:
    """Return the number of days and of cells, or raise."""
    days, cells = forcing.rain.shape
    for name, values in forcing._asdict().items():
        if values.shape != (days, cells):
            raise InputError(
                f"{name} has the shape {values.shape}, the rain {(days, cells)}: the "
                "kernel needs arrays (time, cell), all alike"
            )
        if not values.flags.c_contiguous:
            raise InputError(
                f"{name} is not in C order, its days one after the other: copy it with "
                "numpy.ascontiguousarray"
            )
        if values.dtype not in (np.float32, np.float64) or (
            values.dtype != forcing.rain.dtype
        ):
            raise InputError(
                f"{name} is {values.dtype}, the rain {forcing.rain.dtype}: the kernel "
                "needs float32 or float64, all alike"
            )
    expected = {
        "month": (np.shape(month), (days,)),
        "parameters": (np.shape(parameters), (N_PARAMETERS, 12, cells)),
        "state": (np.shape(state), (4, cells)),
    }
    for name, (shape, wanted) in expected.items():
        if shape != wanted:
            raise InputError(f"{name} has the shape {shape}, the forcing asks {wanted}")
    if not days or not cells:
        raise InputError(f"nothing to run: {days} days, {cells} cells")
    if np.min(month) < 0 or np.max(month) > 11:
        raise InputError(
            f"months run from 0 to 11, got {np.min(month)} to {np.max(month)}"
        )
    return days, cells
