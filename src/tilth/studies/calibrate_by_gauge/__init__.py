"""Emulator and rivers calibrated together on discharge, by gradient.

One chain from the weather to the gauge: the emulator of a land model, a delay on the
hillslopes and the rivers, all differentiable. Its parameters are fitted to two years of
discharge in each basin; the third year judges.
"""

from __future__ import annotations

from dataclasses import replace

from tilth.core.progress import progress
from tilth.studies.calibrate_by_gauge import report
from tilth.studies.calibrate_by_gauge.choice import compare_weights
from tilth.studies.calibrate_by_gauge.data import load
from tilth.studies.calibrate_by_gauge.experiment import (
    FULL,
    QUICK,
    SEED,
    calibrate,
    steps_of,
)
from tilth.studies.calibrate_by_gauge.judge import held_out_scores
from tilth.studies.result import StudyResult

#: Steps of the descents that choose the weight of the prior.
_CHOICE_STEPS = 150


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        All basins, more starts, and the last steps of the descent through the full
        rivers; the other weather; and the weight of the prior chosen anew.

    Returns
    -------
    StudyResult
        Held-out scores beside climatology and the chain before its calibration.
    """
    case = load(full)
    effort = FULL if full else QUICK
    extra = full and case.truth is None
    total = steps_of(effort)
    if extra:
        total += _CHOICE_STEPS + 1 + steps_of(replace(effort, fine_steps=0))
    with progress("calibration by gauge", total=total) as work:
        outcome = calibrate(case.basins, effort, work=work)
        table = held_out_scores(outcome.flows, outcome.problem, case.names, SEED)
        part = report.judged(case, outcome, table)
        if extra:
            weights = compare_weights(case.basins, _CHOICE_STEPS, work=work)
            report.add_weights(part, weights)
            report.add_other_weather(part, case, outcome, effort, work)
    return StudyResult(
        title="Emulator and rivers calibrated by gauge",
        summary=report.summary(case, table, full),
        metrics=part.metrics,
        tables=part.tables,
        figures=part.figures,
        notes=part.notes,
        seed=SEED,
        data_source=case.source,
    )
