"""Reflected signals over frozen ground: the engine, the trend, snow, lake and soil.

A real station arc by arc beside gnssrefl; a simulated thaw site whose trend is known;
and real records of snow, a lake and soil moisture beside what others measured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tilth.core.datasets import info, locate
from tilth.core.errors import DatasetError
from tilth.studies.part import Part
from tilth.studies.reflected_permafrost import in_situ, settlement, station
from tilth.studies.reflected_permafrost.settlement import OURS, SEED, SITE
from tilth.studies.result import StudyResult

#: Simulated records of each site: quick and full.
_RECORDS = (40, 400)

_SUMMARY = """An antenna hears each navigation satellite twice: directly, and reflected
from the ground around it. As the satellite rises the two beat, and the beat tells how
high the antenna stands above what reflects: thawing ground, snow, water. Is that
height right, and does a trend of millimetres a year know its own error?

{engine}

On simulated sites that sink by {trend:.2f} cm a year, as was found at Barrow, the means
of summers with the errors of their days hold the truth in {annual:.0f} % of their 95 %
intervals: days of one summer share errors, and so do all days of a summer. The fit of
Stefan's seasons with errors that remember holds it in {ours:.0f} %.

{records}"""

_NOTES = (
    "The trend of the thaw site is simulated: the ground sinks as Stefan's law has it, "
    "and errors are drawn as they are fitted. Real ground has excess ice, real "
    "antennas thermal expansion, and real errors may remember longer.",
    "The published error of the trend at Barrow, 0.02 cm yr-1, is that of means of "
    "summers; the errors of the simulated records are assumed, not measured there.",
)


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        Ten times as many simulated records.

    Returns
    -------
    StudyResult
        Arcs beside gnssrefl's, coverage of trends, records beside those in situ.
    """
    return study(_RECORDS[full])


def study(records: int) -> StudyResult:
    """Run the study with so many simulated records.

    Parameters
    ----------
    records : int
        Of each site.

    Returns
    -------
    StudyResult
        As `run` returns it.
    """
    thaw = settlement.measure(records)
    engine, engine_source = _with_data("mchl-reflections", station.measure)
    beside, beside_source = _with_data("reflection-records", in_situ.measure)
    parts = (engine, thaw, beside)
    metrics = [metric for part in parts for metric in part.metrics]
    values = {metric.name: metric.value for metric in metrics}

    def coverage(way: str) -> float:
        return 100 * values[f"thaw, days and years: coverage of 95 %, {way}"]

    return StudyResult(
        title="Reflected signals over permafrost",
        summary=_SUMMARY.format(
            engine=_engine_found(values, engine),
            trend=-100 * SITE.trend,
            annual=coverage(settlement.ANNUAL),
            ours=coverage(OURS),
            records=_records_found(values, beside),
        ),
        metrics=metrics,
        tables=[table for part in parts for table in part.tables],
        figures=[figure for part in parts for figure in part.figures],
        notes=[*_NOTES, *(note for part in parts for note in part.notes)],
        seed=SEED,
        data_source=f"{engine_source}; {beside_source}; simulated: known truth",
    )


def _with_data(name: str, measure: Callable[[Path], Part]) -> tuple[Part, str]:
    """Return a step that needs a dataset, or a note that it is not at hand."""
    try:
        folder = locate(name)
    except DatasetError as error:
        return Part(
            notes=[f"Not done, for want of its data: {error}"]
        ), f"{name} absent"
    return measure(Path(folder)), f"{name} ({info(name).citation})"


def _engine_found(values: dict[str, float], part: Part) -> str:
    """Return what the station says, in words."""
    if not part.metrics:
        return "The real station is not at hand: nothing is said of the engine here."
    both = values["station: arcs that both accept"]
    apart = 1e3 * values["station: largest difference of height, exact grid"]
    return (
        f"On two days of a real station {both:.0f} arcs are accepted that gnssrefl "
        f"accepts too; on its grid heights differ by {apart:.1f} mm at most. A "
        "periodogram without floating mean is told apart."
    )


def _records_found(values: dict[str, float], part: Part) -> str:
    """Return what the records say, in words."""
    if not part.metrics:
        return "Records of snow, lake and soil are not at hand."
    return (
        f"Snow on Niwot Ridge correlates with a stake by "
        f"{values['snow: correlation with the stake']:.2f} and is "
        f"{-values['snow: bias beside the stake']:.2f} m less; Lake Superior is found "
        f"to {100 * values['lake: standard deviation beside the gauge']:.1f} cm a day; "
        "soil moisture of Mitchell is the published one."
    )
