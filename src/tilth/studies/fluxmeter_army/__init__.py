"""An army of fluxmeters: what its cycle, its sensors and its data chain are worth.

The figures of the article on the Carbdown fluxmeter fleet, from a simulated fleet whose
truth is known, with the chambers' own firmware in the loop.
"""

from __future__ import annotations

from tilth.core.progress import track
from tilth.studies.fluxmeter_army import closure, detection, loop, sensors
from tilth.studies.result import StudyResult

SEED = 2024

_SUMMARY = """Fifty to eighty-five self-built chambers, each a controller with its own
firmware, sent 4.3 million readings a day over a wireless link. What does their dynamic
closure buy, how far do their sensors agree after a calibration, can stuck chambers be
told from clogged pots, and does everything arrive?

Here the chambers run the real firmware on simulated hardware, in virtual time, over a
real broker into the store that `tilth serve` runs. Their link is down as often as that
of a published fleet that kept nothing while offline. All truths are known, because all
of it is simulated."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        Twenty chambers over seven days instead of ten over two, and more of all else.

    Returns
    -------
    StudyResult
        Numbers beside the article's, with tables and figures.
    """
    steps = [
        lambda: loop.army(full, SEED),
        lambda: closure.dynamic_closure(full, SEED),
        lambda: sensors.after_calibration(SEED),
        lambda: detection.detection(full),
    ]
    metrics, tables, drawn, notes = [], [], [], []
    for step in track(steps, "fluxmeter army", total=len(steps)):
        part = step()
        metrics += part.metrics
        tables += part.tables
        drawn += part.figures
        notes += part.notes
    return StudyResult(
        title="An army of fluxmeters",
        summary=_SUMMARY,
        metrics=metrics,
        tables=tables,
        figures=drawn,
        notes=notes,
        seed=SEED,
        data_source="simulated: known truth, the chambers' firmware in the loop",
    )
