"""Whether stomata sense how much warmer than the air a leaf is.

Learners, importance and effects as published, on open leaves; and the same on simulated
leaves that only make their temperature difference, and on some that do sense it.
"""

from __future__ import annotations

import math

from tilth.core.progress import progress
from tilth.studies.leaf_temperature import causality, explained, matrix
from tilth.studies.leaf_temperature.published import NULL, REAL
from tilth.studies.leaf_temperature.scale import FULL, QUICK, Scale
from tilth.studies.leaf_temperature.worlds import SEED, SENSITIVITY, Leaves, load
from tilth.studies.result import Metric, StudyResult

_TITLE = "Do leaves sense their temperature difference?"

_SUMMARY = """Machine learning finds that the difference between leaf and air
temperature is the second most important driver of stomatal conductance: it lifts R2 by
16 to 36 %, and conductance falls with it (slides of Li, Zhao, Xie, Olson and Yoshimura
on Pinus sylvestris). But transpiration cools the leaf. Where stomata are open, for
whatever reason, the leaf is cool, and a learner that is told how cool it is knows how
open they are.

{what} Beside them stand two worlds of simulated leaves, in the same conditions: one
whose stomata do not sense the difference but make it (the null world), and one whose
conductance falls by {percent:.0f} % with every kelvin. A method whose answer is the
same for both has none.

{found}"""

_MEASURED = """Here the experiments run on open measurements of Eucalyptus leaves
({rows} spots)."""

_ABSENT = """Measured leaves are not at hand ({why}): everything here is simulated, and
nothing is a measurement."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        All learners in all splits and worlds, with all trees, networks and draws.

    Returns
    -------
    StudyResult
        Scores, ranks, effects and what is beyond the null worlds.
    """
    return study(load(), FULL if full else QUICK)


def study(leaves: Leaves, scale: Scale) -> StudyResult:
    """Ask the questions of given leaves.

    Parameters
    ----------
    leaves : Leaves
        Of `tilth.studies.leaf_temperature.worlds.load`.
    scale : Scale
        How much is repeated.

    Returns
    -------
    StudyResult
        As `run` returns it.
    """
    metrics, tables, drawn, notes = [], [], [], []
    steps = (matrix.measure, explained.measure, causality.measure)
    with progress("leaf temperature", total=len(steps)) as work:
        for step in steps:
            part = step(leaves, scale)
            metrics += part.metrics
            tables += part.tables
            drawn += part.figures
            notes += part.notes
            work.advance()
    what = _ABSENT.format(why=leaves.why)
    if leaves.measured is not None:
        what = _MEASURED.format(rows=leaves.measured.sizes["observation"])
    return StudyResult(
        title=_TITLE,
        summary=_SUMMARY.format(
            what=what,
            percent=100 * (1 - math.exp(-SENSITIVITY)),
            found=_found({metric.name: metric for metric in metrics}, leaves),
        ),
        metrics=metrics,
        tables=tables,
        figures=drawn,
        notes=notes,
        seed=SEED,
        data_source=leaves.source,
    )


def _found(metrics: dict[str, Metric], leaves: Leaves) -> str:
    """Return the findings in words."""

    def value(name: str) -> float:
        return metrics[name].value

    gain = "{}: R2 of E4 less E2, {}, shuffled"
    rank = "{}: rank of the difference, {}, train"
    said = [
        f"Of simulated worlds whose stomata sense the difference ({SENSITIVITY} K-1) "
        f"the gain of R2 beyond null worlds finds "
        f"{100 * value('gain: sensing worlds found, share'):.0f} %, and takes "
        f"{100 * value('gain: null worlds taken for sensing, share'):.0f} % of null "
        "worlds for them: learnt from the same leaves, null worlds inherit the scatter "
        "that sensing makes, so this gain tells the two apart only where closure and "
        "scatter are known beforehand. The slope of conductance on the difference "
        "that stomata did not make finds "
        f"{100 * value(f'slope: sensing worlds found ({SENSITIVITY} K-1), share'):.0f}"
        f" %, and takes "
        f"{100 * value('slope: null worlds taken for sensing, share'):.0f} % of null "
        "worlds for them."
    ]
    if leaves.measured is None:
        return said[0]
    slope, fixed = (
        metrics[f"{label}: sensitivity by the slope"]
        for label in (REAL, f"{REAL}, light held fixed")
    )
    said.insert(
        0,
        "On the measured leaves the published findings come back: the difference "
        f"lifts R2 by {value(gain.format(REAL, 'forest')):.2f} (forest) and "
        f"{value(gain.format(REAL, 'support vectors')):.2f} (support vectors), "
        "conductance falls with it, and its importance has rank "
        f"{value(rank.format(REAL, 'forest')):.0f} (forest) and "
        f"{value(rank.format(REAL, 'support vectors')):.0f} (support vectors). But in "
        "the null world, where no stoma senses it, conductance falls with it too, and "
        f"its rank is {value(rank.format(NULL, 'forest')):.0f} and "
        f"{value(rank.format(NULL, 'support vectors')):.0f}.",
    )
    said.append(
        f"For the measured leaves this slope gives a sensitivity of {slope.value:.2f} "
        f"K-1 (standard deviation of null worlds {slope.se:.2f}), and of "
        f"{fixed.value:.2f} ({fixed.se:.2f}) with light held fixed. Something beyond "
        "the null world is there. But stomata that sense would give the same number "
        "twice: the closure's own response to light and dryness is wrong for these "
        "leaves, and neither number is to be read as a sensitivity. These leaves "
        "neither prove nor refute that stomata sense how warm the leaf is."
    )
    return "\n\n".join(said)
