"""The energy balance of sites: the process model beside Noah-MP, a tower and lines."""

from __future__ import annotations

from pathlib import Path

from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.core.progress import track
from tilth.studies.result import StudyResult
from tilth.studies.site_energy_balance import sites

_SUMMARY = """A land model splits the energy of the sun between evaporation, warming of
the air and warming of the ground. Does Tilth's process model split it as others do, and
as a flux tower saw it, with parameters from published tables and none of them tuned to
the site? And does it account for every joule and every gram?

{real}"""

_REAL = """At Bondville, Illinois, it is compared with Noah-MP, which ran with the same
weather; at US-Me2, a pine forest in Oregon, with the flux tower, with regressions that
know nothing but the weather, and with what ecLand and JULES scored at that tower."""

_ABSENT = """The records of the sites are not at hand ({why}), so this run has simulated
weather and can only show that the books close."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        Go through the year eight times instead of three.

    Returns
    -------
    StudyResult
        Heat fluxes beside those of others, and the residuals of every run.
    """
    passes = 8 if full else 3
    folders, why = _folders()
    if folders is None:
        steps = [lambda: sites.simulated(passes)]
    else:
        bondville, towers = folders
        steps = [
            lambda: sites.bondville(bondville, passes),
            lambda: sites.needleleaf(towers, passes),
        ]
    metrics, tables, drawn = [], [], []
    for step in track(steps, "site energy balance", total=len(steps)):
        part = step()
        metrics += part.metrics
        tables += part.tables
        drawn += part.figures
    real = _REAL if folders else _ABSENT.format(why=why)
    return StudyResult(
        title="The energy balance of sites",
        summary=_SUMMARY.format(real=real),
        metrics=metrics,
        tables=tables,
        figures=drawn,
        data_source="noahmp-bondville, fluxnet-sites, plumber2-scores"
        if folders
        else "simulated weather",
    )


def _folders() -> tuple[tuple[Path, Path] | None, str]:
    """Return the folders of the records, or why they are not there."""
    try:
        locate("plumber2-scores", download=False)
        return (
            locate("noahmp-bondville", download=False),
            locate("fluxnet-sites", download=False),
        ), ""
    except DatasetError as error:
        return None, str(error)
