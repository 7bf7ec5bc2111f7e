"""Cyclone Idai: a flood routed day by day, beside CaMa-Flood on the same map."""

from __future__ import annotations

from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.core.progress import track
from tilth.studies.idai_flood import cases, comparison, floodplain, options
from tilth.studies.result import StudyResult

#: Days of the quick run: the cyclone's flood is on day 76.
QUICK_DAYS = 90

_SUMMARY = """In March 2019 cyclone Idai put a part of Mozambique under water.
CaMa-Flood, the river model most of the world uses, has been run on a map of 1,475 unit
catchments there with the runoff of ERA5. Does Tilth, given the same map and runoff, say
the same about every river and every day? How much time does it take? What do
bifurcations, the tide and a simpler equation change? And how much worse would the flood
have been between walls: what does the floodplain hold back?

{real}"""

_REAL = """The comparison is with CaMa-Flood v4, run in double precision for 120 days
from 1 January 2019, from channels that the sea has filled. It is a model against a
model: agreement shows that the equations are the same, not that the flood was."""

_ABSENT = """The map and the reference run are not at hand ({why}), so this run is on a
river network made up from chance, under a storm made up as well. It can show that the
water is accounted for and what a floodplain does, but nothing about Mozambique and
nothing about CaMa-Flood."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        All 120 days and all options, an animation of every day; otherwise 90 days,
        and the floodplain as the only option.

    Returns
    -------
    StudyResult
        Scores beside CaMa-Flood, speed, options, retention and maps.
    """
    case, why = _case(full)
    steps = [
        lambda: comparison.base_run(case, full),
        lambda: floodplain.held_back(case),
    ]
    if full:
        steps.insert(1, lambda: options.compared(case))
    metrics, tables, drawn, notes = [], [], [], list(case.notes)
    for step in track(steps, "cyclone Idai", total=len(steps)):
        part = step()
        metrics += part.metrics
        tables += part.tables
        drawn += part.figures
        notes += part.notes
    real = _REAL if case.reference is not None else _ABSENT.format(why=why)
    return StudyResult(
        title="The flood of cyclone Idai",
        summary=_SUMMARY.format(real=real),
        metrics=metrics,
        tables=tables,
        figures=drawn,
        notes=notes,
        seed=case.seed,
        data_source="cama-mozambique"
        if case.reference is not None
        else "simulated: a network and a storm made up",
    )


def _case(full: bool) -> tuple[cases.Case, str]:
    """Return what is routed, and why it is not Mozambique where it is not."""
    days = None if full else QUICK_DAYS
    try:
        return cases.mozambique(locate("cama-mozambique", download=False), days), ""
    except DatasetError as error:
        return cases.made_up(), str(error)
