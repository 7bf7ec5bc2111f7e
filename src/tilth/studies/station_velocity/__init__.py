"""How well velocities of stations are known: three methods, real and simulated.

Real series beside the output of MIDAS and of est_noise; simulated ones, in white and
flicker noise with a declared step, for how often intervals hold the truth.
"""

from __future__ import annotations

from tilth.studies.part import Part
from tilth.studies.result import StudyResult
from tilth.studies.station_velocity.coverage import SEED, coverage
from tilth.studies.station_velocity.stations import measured

_TITLE = "How well are the velocities of stations known?"

_SUMMARY = """A velocity without an error is no measurement, and the error of a straight
line among independent days is several times too small: noise of stations is coloured.
Three ways to both stand here side by side: MIDAS, the median of slopes over a year; a
trajectory in white and power-law noise by maximum likelihood; and a state space in
which a random walk takes what a line cannot. {real}

{found}"""

_MEANING = """MIDAS scales its standard error by three for correlated noise whatever the
noise is. The power law is estimated, so its error is right where the noise is one. The
state space holds that the velocity itself is hidden behind a random walk: its errors
are the widest where noise is flicker noise, and the right ones where a station really
wanders."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        More simulated stations, and est_noise's own series.

    Returns
    -------
    StudyResult
        Velocities beside those of other programs, and coverage of intervals.
    """
    real, absent = measured(full)
    simulated = coverage(60 if full else 12, years=8.0 if full else 4.0)
    part = Part(
        metrics=[*real.metrics, *simulated.metrics],
        tables=[*real.tables, *simulated.tables],
        figures=[*real.figures, *simulated.figures],
        notes=[" ".join(_MEANING.split()), *real.notes, *absent],
    )
    known = "Everything comes from simulated stations."
    if not absent:
        known = "Real stations stand beside what other programs got from them."
    return StudyResult(
        title=_TITLE,
        summary=_SUMMARY.format(real=known, found=simulated.notes[0]),
        metrics=part.metrics,
        tables=part.tables,
        figures=part.figures,
        notes=part.notes,
        seed=SEED,
        data_source="simulated: known truth" if absent else "NGL, est_noise, simulated",
    )
