"""Skill of a land model's emulator, and how one would know it.

Fits to VIC where its output is at hand, else to a land model of our own making; free
runs over years that were not fitted, held against climatology, with the published
recipe beside the joint fit.
"""

from __future__ import annotations

from tilth.core.progress import progress
from tilth.studies.emulator_skill import fits, speed
from tilth.studies.emulator_skill.data import load
from tilth.studies.emulator_skill.simulated import SEED
from tilth.studies.result import StudyResult

_SUMMARY = """A land model is imitated, cell by cell, by three stores and fifteen
parameters per calendar month. The published recipe fits every month by itself, starting
each year from the land model's state, and calls a daily Nash-Sutcliffe efficiency above
0.4 acceptable. But an emulator is used in free runs, and the mean of each day of the
year, which needs no model at all, passes that threshold for snow and soil water almost
everywhere. Here an emulator is accepted for a variable of a cell only where it beats
that climatology, in a free run over years that were not fitted.

{what}

Three fits stand side by side: the months alone (stage 1, the published recipe), all
months refined together in free runs of five years (stage 2), and the same joint fit of
the closed form, which makes and loses no water: it shows what conservation costs.
Persistence, the day before, is printed for comparison: it uses what it forecasts, so a
free run is not asked to beat it."""

_VIC = """The land model is VIC 5 on {cells} cells of the upper Stehekin catchment,
fitted to {train} and run freely over {test} from its state on the eve."""

_SIMULATED = """VIC's output is not at hand ({why}), so the land model is HBV, written
for this study, on simulated weather: it is of another kind than the emulator, and what
it does is known. Nothing here is a measurement, and the numbers are not those of the
full study."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        Nine cells instead of two, more lengths and periods of training, and a larger
        grid for the speed.

    Returns
    -------
    StudyResult
        Skill beside climatology, with tables and figures.
    """
    case = load(full)
    metrics, tables, drawn, notes = [], [], [], []
    with progress("emulator skill", total=3) as work:
        stages, fitted = fits.two_stages(case)
        work.advance()
        years = fits.training(case, fitted, full)
        work.advance()
        for part in (stages, years, speed.measure(full)):
            metrics += part.metrics
            tables += part.tables
            drawn += part.figures
            notes += part.notes
    about = {"cells": case.cells, "why": case.why}
    about |= {"train": case.span(case.train), "test": case.span(case.test)}
    return StudyResult(
        title="Skill of a land model's emulator on years it never saw",
        summary=_SUMMARY.format(
            what=(_SIMULATED if case.why else _VIC).format(**about)
        ),
        metrics=metrics,
        tables=tables,
        figures=drawn,
        notes=notes,
        seed=SEED if case.why else fits.SEED,
        data_source=case.source,
    )
