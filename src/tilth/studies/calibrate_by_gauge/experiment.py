"""The calibration from start to end: linear rivers, full ones, then members."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.progress import Work
from tilth.studies.calibrate_by_gauge.chain import (
    Reaches,
    compiled_linear,
    reaches_of,
)
from tilth.studies.calibrate_by_gauge.fitting import (
    Fit,
    best_starts,
    descend,
    fit_linear,
)
from tilth.studies.calibrate_by_gauge.inertial import (
    inertial_discharge,
    kernel_discharge,
    plan_substeps,
    rivers_of,
)
from tilth.studies.calibrate_by_gauge.judge import climatology
from tilth.studies.calibrate_by_gauge.members import Bands, bands, draw_members
from tilth.studies.calibrate_by_gauge.problem import SPLITS, Problem, Split, lay_out

#: Of every draw.
SEED = 20261122

#: Rate of the descent with full rivers: it starts close to the end.
_FINE_RATE = 0.02


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Parameters
    ----------
    starts : int
        Of the descent with linear rivers, in every basin and split.
    steps, fine_steps : int
        Of the descents with linear and with full rivers.
    members : int
        Drawn around each fit.
    """

    starts: int
    steps: int
    fine_steps: int
    members: int


QUICK = Effort(starts=2, steps=60, fine_steps=0, members=10)
FULL = Effort(starts=4, steps=200, fine_steps=12, members=40)


@dataclass(frozen=True)
class Outcome:
    """What came out, by column: basin, then split.

    Parameters
    ----------
    problem : Problem
        With one column for each basin and split.
    coefficients : array, shape (SIZE, column)
        Calibrated.
    flows : dict of str to array, shape (record, column)
        ``climatology``, ``uncalibrated``, ``linear rivers`` and ``calibrated``, m3 s-1.
    limits : Bands
        Around the calibrated chain.
    losses : array, shape (start, column)
        Of the starts, with linear rivers.
    fine : Fit or None
        Descent with full rivers.
    seconds : dict of str to float
        Time that the parts took.
    """

    problem: Problem
    coefficients: np.ndarray
    flows: dict[str, np.ndarray]
    limits: Bands
    losses: np.ndarray
    fine: Fit | None
    seconds: dict[str, float]


def steps_of(effort: Effort) -> int:
    """Return the number of steps that `calibrate` tells of.

    Parameters
    ----------
    effort : Effort
        How much is computed.

    Returns
    -------
    int
    """
    fine = effort.fine_steps + 1 if effort.fine_steps else 0
    return effort.steps + 1 + fine + 2


def calibrate(
    basins: Sequence[xr.Dataset],
    effort: Effort,
    *,
    splits: Sequence[Split] = SPLITS,
    work: Work | None = None,
) -> Outcome:
    """Calibrate the chain in every basin and split, and run it through all years.

    Parameters
    ----------
    basins : sequence of xarray.Dataset
        As `tilth.studies.calibrate_by_gauge.problem.lay_out` takes them.
    effort : Effort
        How much to compute.
    splits : sequence of Split, optional
        Of the years.
    work : Work, optional
        Told of every step, `steps_of` in all.

    Returns
    -------
    Outcome
    """
    began = time.perf_counter()
    wide = lay_out(basins, splits, effort.starts)
    first = fit_linear(wide, effort.steps, SEED, work=work)
    chosen = first.coefficients[:, best_starts(wide, first.loss)]
    linear_seconds = time.perf_counter() - began

    problem = lay_out(basins, splits)
    reaches = reaches_of(problem)
    began = time.perf_counter()
    fine = None
    if effort.fine_steps:
        fine = _refine(problem, reaches, chosen, effort.fine_steps, work)
    found = chosen if fine is None else fine.coefficients
    fine_seconds = time.perf_counter() - began

    began = time.perf_counter()
    chain = compiled_linear(problem, reaches)
    drawn = draw_members(chain, problem, found, effort.members, SEED)
    if work is not None:
        work.advance()
    every = np.concatenate([np.zeros_like(found)[None], found[None], drawn])
    before, after, *ensemble = run_members(every, basins, splits)
    flows = {
        "climatology": climatology(problem),
        "uncalibrated": before,
        "linear rivers": np.asarray(chain(chosen)),
        "calibrated": after,
    }
    limits = bands(after, np.array(ensemble), problem, SEED)
    if work is not None:
        work.advance()
    return Outcome(
        problem,
        found,
        flows,
        limits,
        first.loss.reshape(-1, effort.starts).T,
        fine,
        {
            "linear": linear_seconds,
            "fine": fine_seconds,
            "members": time.perf_counter() - began,
        },
    )


def _refine(
    problem: Problem, reaches: Reaches, start: np.ndarray, steps: int, work: Work | None
) -> Fit:
    """Go on with the full rivers, through the training years only."""
    rivers = rivers_of(problem, reaches, whole=False)
    substeps = plan_substeps(start, problem, rivers)
    return descend(
        lambda place: inertial_discharge(place, problem, rivers, substeps),
        problem, start, steps, rate=_FINE_RATE, work=work,
    )  # fmt: skip


def run_members(
    members: np.ndarray, basins: Sequence[xr.Dataset], splits: Sequence[Split]
) -> np.ndarray:
    """Run members through the full rivers, all as one network.

    Parameters
    ----------
    members : array, shape (member, SIZE, column)
        Coefficients, columns by basin, then split.
    basins : sequence of xarray.Dataset
        As for `calibrate`.
    splits : sequence of Split
        As for `calibrate`.

    Returns
    -------
    array, shape (member, record, column)
        Discharge, m3 s-1.
    """
    count, size, columns = members.shape
    problem = lay_out(basins, splits, count)
    together = members.transpose(1, 2, 0).reshape(size, columns * count)
    flow = kernel_discharge(together, problem, rivers_of(problem, reaches_of(problem)))
    return flow.reshape(len(flow), columns, count).transpose(2, 0, 1)
