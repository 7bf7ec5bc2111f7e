"""What uplift beside an ice margin tells of the mass lost, and what each datum adds.

A made-up outlet glacier, so that every gigatonne is known; it is observed many times
over, with other errors and another rebound after the ice age each time.
"""

from __future__ import annotations

from tilth.core.errors import DatasetError
from tilth.loading import LoveNumbers, read_love_numbers
from tilth.loading.simulated import made_up_earth
from tilth.studies.result import StudyResult
from tilth.studies.uplift_to_mass import figures
from tilth.studies.uplift_to_mass.findings import tell
from tilth.studies.uplift_to_mass.world import FULL, QUICK, SEED, Scale, World, observe

_TITLE = "Mass from uplift: what does each kind of observation add?"

_SUMMARY = """Beside an outlet glacier that thins the rock rises. Twelve stations say
how fast, upward and sideways; interferograms say it at many places but not exactly;
satellite gravity says how much is lost in all but not where. The ground also rebounds
from the last ice age, by a rate that models do not agree on. Here all of them watch a
made-up glacier, and mass is estimated from each combination {draws} times over.

{found}"""

_NOTES = (
    "Everything is simulated. The truth is on cells half as wide and high as those "
    "that are inverted for, so that the inversion cannot be exact.",
    "The errors of observation are those of a decade of positions: 0.2 mm a year "
    "sideways, 0.6 upward; of a stack of interferograms 2 mm a year, linked over "
    "10 km, with an unknown plane; of gravity 3 Gt a year and basin, with leakage.",
)


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        Two hundred draws instead of forty.

    Returns
    -------
    StudyResult
        Errors and their coverage by kind of observation and of regularisation.
    """
    scale = FULL if full else QUICK
    try:
        return study(read_love_numbers(), scale)
    except DatasetError as error:
        result = study(made_up_earth(), scale)
        note = f"The Earth is made up, for the Love numbers are not at hand: {error}"
        return StudyResult(**{**vars(result), "notes": [*result.notes, note]})


def study(love: LoveNumbers, scale: Scale) -> StudyResult:
    """Observe and weigh the glacier on one Earth.

    Parameters
    ----------
    love : LoveNumbers
        Of the Earth.
    scale : Scale
        How much is done.

    Returns
    -------
    StudyResult
        As `run` returns it.
    """
    world = World.of(love, scale)
    draws = observe(world, scale)
    part = tell(world, draws)
    return StudyResult(
        title=_TITLE,
        summary=_SUMMARY.format(draws=scale.draws, found=part.notes[0]),
        metrics=part.metrics,
        tables=part.tables,
        figures=[
            figures.margin(world),
            figures.by_kind(world, draws),
            figures.by_rule(world, draws),
        ],
        notes=list(_NOTES),
        seed=SEED,
        data_source=f"simulated: known truth; Love numbers: {love.source}",
    )
