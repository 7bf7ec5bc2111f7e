"""Sub-seasonal terciles: whose edges, how many members, and how much to believe."""

from __future__ import annotations

from tilth.core.progress import track
from tilth.studies.part import Part
from tilth.studies.result import StudyResult
from tilth.studies.s2s_terciles import edges, known, leads
from tilth.studies.s2s_terciles.cases import SEED, Cases, load

_SUMMARY = """Forecasts for the weeks after next are given as probabilities of three
categories: below, near and above normal. In the WMO's challenge of 2021 most entries
lost against the forecast that costs nothing, one third each. What decides? Three things
besides the model: against whose climate its members are counted, how many there are,
and whether one believes them more than their past deserves.

{real}

In simulated worlds, where the skill is known, counting eleven members falls below
climatology as soon as the skill is small, by as much as their number says; a regression
on the ensemble, or a blend with climatology fitted on other years, does not."""

_REAL = """On real hindcasts the first is the largest: nine members of CFSv2 for the
winters of Iberia score -0.66 against the terciles of the observations and +0.10
against their own. The second turns the standard CRPS skill of four members of
GEOS-V2p1 negative in week 4, while the fair one is not. With the third, no period of
the index of the Madden-Julian oscillation is below climatology."""

_ABSENT = """Real hindcasts are not all at hand ({why}): what is said of these is left
out."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        More cells of the simulated worlds.

    Returns
    -------
    StudyResult
        Skill by edges, size, method and lead, beside published numbers.
    """
    return study(load(), full)


def study(cases: Cases, full: bool = False) -> StudyResult:
    """Ask the questions of given hindcasts.

    Parameters
    ----------
    cases : Cases
        Real hindcasts there are.
    full : bool
        As in `run`.

    Returns
    -------
    StudyResult
        As `run` returns it.
    """
    steps = [lambda: known.measure(full)]
    if cases.rmm1 is not None:
        rmm1 = cases.rmm1
        steps.insert(0, lambda: leads.measure(rmm1))
    if cases.iberia is not None:
        iberia = cases.iberia
        steps.insert(0, lambda: edges.measure(iberia))
    whole = Part()
    for step in track(steps, "sub-seasonal terciles", total=len(steps)):
        part = step()
        whole.metrics += part.metrics
        whole.tables += part.tables
        whole.figures += part.figures
        whole.notes += part.notes
    both = cases.iberia is not None and cases.rmm1 is not None
    return StudyResult(
        title="Terciles of the weeks after next",
        summary=_SUMMARY.format(real=_REAL if both else _ABSENT.format(why=cases.why)),
        metrics=whole.metrics,
        tables=whole.tables,
        figures=whole.figures,
        notes=whole.notes,
        seed=SEED,
        data_source=cases.source,
    )
