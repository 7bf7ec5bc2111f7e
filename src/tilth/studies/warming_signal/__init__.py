"""Which adjustment methods keep the climate change that the model simulates.

On a simulated model whose faults and changes are known, and on two climate models
beside stations, with the numbers of another program where there are any.
"""

from __future__ import annotations

from tilth.studies.result import StudyResult
from tilth.studies.warming_signal import figures
from tilth.studies.warming_signal.cases import (
    CANADA,
    IBERIA,
    SEED,
    SIMULATED,
    WARMING,
    Case,
    measured,
    simulated,
)
from tilth.studies.warming_signal.methods import FULL, QUICK, Scale
from tilth.studies.warming_signal.signals import Signal, measure, tell

_TITLE = "Which methods keep the climate-change signal?"

_SUMMARY = """A bias adjustment is fitted where there are observations, and used where
there are none: in another climate. What it does there to the change between the two is
seldom looked at. Here every method adjusts the same models in two periods, and the
change after adjustment stands beside the one the model simulates.

{found}

{said}"""

_DEFECT = """The series of CanESM2 is a numerical case only. In the file as it is
distributed the series of Vancouver and Amos are bit-identical, and their climate is not
that of these places: longitudes were mixed up. That two programs agree on it says that
they do the same; it says nothing about Canada, nor about how good a method is."""

_WINTERS = """The changes of CNRM-CM5 over Iberia are those between five winters and
five others of a free-running model: mostly chance, not climate change."""

_TRUTH = """Whether the model's change or a stretched one is nearer to the truth cannot
be learnt from the training period: the table of truths has the same adjusted model
beside two realities, and each suits another method. To keep the change is to trust
the model's sensitivity; to stretch it is to trust that the model underestimates change
as it underestimates variability. QDM makes this a choice; EQM makes it unseen."""


def run(full: bool = False) -> StudyResult:
    """Run the study.

    Parameters
    ----------
    full : bool
        More places and years, and windows of 31 days.

    Returns
    -------
    StudyResult
        Changes by method beside those simulated and those of another program.
    """
    cases, absent = measured()
    return study(cases, absent, FULL if full else QUICK)


def study(cases: list[Case], absent: dict[str, str], scale: Scale) -> StudyResult:
    """Compare the methods on given cases and on the simulated one.

    Parameters
    ----------
    cases : list of Case
        Of climate models; may be empty.
    absent : dict of str to str
        Datasets that are not at hand, and why.
    scale : Scale
        How much is done.

    Returns
    -------
    StudyResult
        As `run` returns it.
    """
    signals = measure(simulated(scale.places, scale.years) + cases, scale)
    part = tell(signals)
    names = {case.name for case in cases}
    said = "All numbers come from simulated weather; nothing is a measurement."
    if cases:
        said = f"Beside it stand {' and '.join(sorted(names))} at stations."
    notes = [_TRUTH]
    if CANADA in names:
        notes.append(_DEFECT)
    if IBERIA in names:
        notes.append(_WINTERS)
    notes += [f"{dataset} is not at hand: {why}" for dataset, why in absent.items()]
    source = "simulated: known truth"
    if cases:
        source = ", ".join(["simulated", *sorted(names)])
    return StudyResult(
        title=_TITLE,
        summary=_SUMMARY.format(found=_found(signals), said=said),
        metrics=part.metrics,
        tables=part.tables,
        figures=[
            figures.by_quantile(signals, scale.groups[-1]),
            figures.by_case(signals),
        ],
        notes=[" ".join(note.split()) for note in notes],
        seed=SEED,
        data_source=source,
    )


def _found(signals: list[Signal]) -> str:
    """Return the findings in words."""
    change = {
        (s.method, s.group): float(s.adjusted.mean())
        for s in signals
        if (s.case.name, s.case.variable) == (SIMULATED, "tas")
    }
    said = (
        f"In a simulated model that is 3 K too cold, whose days vary too little and "
        f"which warms by {WARMING:g} K, QDM leaves a warming of "
        f"{change['QDM', 'none']:.2f} K, ISIMIP3 {change['ISIMIP3', 'month']:.2f} K, "
        f"CDF-t {change['CDF-t', 'month']:.2f} K, and empirical quantile mapping by "
        f"month {change['EQM', 'month']:.2f} K."
    )
    amos = [
        s.adjusted[-1]
        for s in signals
        if (s.case.label, s.method, s.group) == (f"{CANADA}, tasmax", "EQM", "none")
    ]
    if amos:
        said += (
            " In the numerical case of CanESM2 a warming of 4.92 K becomes "
            f"{amos[0]:.2f} K at one of two stations that share the same model series."
        )
    return said
