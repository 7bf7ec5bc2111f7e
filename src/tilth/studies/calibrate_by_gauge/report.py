"""What the study says: metrics with their bars, tables, figures and notes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tilth.core.progress import Work
from tilth.studies.calibrate_by_gauge import figures
from tilth.studies.calibrate_by_gauge.data import Case
from tilth.studies.calibrate_by_gauge.experiment import (
    SEED,
    Effort,
    Outcome,
    calibrate,
)
from tilth.studies.calibrate_by_gauge.fitting import PRIOR_WEIGHT
from tilth.studies.calibrate_by_gauge.judge import held_out_scores
from tilth.studies.calibrate_by_gauge.members import coverage
from tilth.studies.calibrate_by_gauge.problem import SPLITS
from tilth.studies.calibrate_by_gauge.tree import main_river
from tilth.studies.calibrate_by_gauge.values import FREE, SIZE, monthly
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: The split whose bars count, see `SPLITS`.
REPORTED = SPLITS[0].name

_SUMMARY = """Can discharge at a gauge calibrate the emulator of a land model and the
rivers below it, both at once? The chain from weather to gauge is differentiable from
end to end: the emulator in the form that conserves water, a store on the hillslopes,
and rivers. Its {size} coefficients (sixteen values, three of them with a yearly cycle)
follow the gradient of a loss of the daily discharge of two years, and are drawn to
their defaults where discharge says nothing. The third year takes no part and judges.
To be of use, the calibrated chain must beat itself before the calibration, and the
discharge of the day of the year, which needs no model at all, in every basin.

{what}

There is no terrain here: each basin has a drawn river network of some reaches whose
length, slope and channels follow from its area and mean slope by empirical laws. The
descent begins with rivers made linear (Muskingum with the speed of a kinematic wave),
from several starts, {fine}. Before the calibration the emulator has the neutral values
of its own fit and the runoff share of MATSIRO6, evaporation is that of FAO's reference
crop, and roughness is 0.03.

The years 2000-2001 are fitted and 2002 is held out: this split was chosen to be the
reported one before either was run. The other way round (2001-2002 fitted, 2000 held
out) is shown beside it. Every setting was chosen within 2000-2001.

{found}"""

_FOUND = """In 2002 the calibrated chain has a KGE of {ours}, the uncalibrated one of
{before}, climatology of {usual}. By the NSE, which floods at the wrong day weigh on
most, it is above climatology in {better} of {count} basins."""

_CAMELS = """The basins are {count} of CAMELS-US: daily weather of Daymet, discharge of
USGS."""

_SIMULATED = """The gauged basins are not at hand ({why}), so the basins are simulated:
weather by chance, discharge by the chain itself with known coefficients and 5 percent
of noise. Nothing here is a measurement; the question is only whether the calibration
finds its way back."""

_FINE = (
    "and ends with the local inertial equation and floodplains, through every sub-step"
)
_COARSE = """and the local inertial equation with floodplains then runs with what was
found (the full study follows the gradient through it as well)"""

_DECIMALS = {
    "KGE'": 3, "lower": 3, "upper": 3, "NSE": 3, "log NSE": 3, "bias %": 1,
    "KGE' fitted": 3,
}  # fmt: skip


def summary(case: Case, table: pd.DataFrame, full: bool) -> str:
    """Return what was asked, done and found.

    Parameters
    ----------
    case : Case
        The basins.
    table : pandas.DataFrame
        Of `tilth.studies.calibrate_by_gauge.judge.held_out_scores`.
    full : bool
        Whether the full study was run.

    Returns
    -------
    str
    """
    if case.why:
        what = _SIMULATED.format(why=case.why)
    else:
        what = _CAMELS.format(count=len(case.basins))
    own = table[table["split"] == REPORTED]
    kge = {name: part["KGE'"] for name, part in own.groupby("series")}
    nse = {name: part["NSE"].to_numpy() for name, part in own.groupby("series")}
    found = _FOUND.format(
        ours=_range(kge["calibrated"]),
        before=_range(kge["uncalibrated"]),
        usual=_range(kge["climatology"]),
        better=int((nse["calibrated"] > nse["climatology"]).sum()),
        count=len(case.basins),
    )
    fine = _FINE if full else _COARSE
    return _SUMMARY.format(size=SIZE, what=what, fine=fine, found=found)


def _range(values: pd.Series) -> str:
    """Return the least and the largest of some scores as text."""
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def judged(case: Case, outcome: Outcome, table: pd.DataFrame) -> Part:
    """Return the held-out scores, what was found, and how sure it is.

    Parameters
    ----------
    case : Case
        The basins.
    outcome : Outcome
        Of their calibration.
    table : pandas.DataFrame
        Of `tilth.studies.calibrate_by_gauge.judge.held_out_scores`.

    Returns
    -------
    Part
    """
    part = Part()
    _bars(part, table, len(case.basins))
    _add_coverage(part, case, outcome)
    part.metrics += [
        Metric("calibration with linear rivers", outcome.seconds["linear"], unit="s"),
        Metric("descent through full rivers", outcome.seconds["fine"], unit="s"),
    ]
    part.tables += [
        Table(
            "scores",
            table,
            "Scores of the held-out years, and the KGE of the years fitted. Limits are "
            "those of 90 % intervals from drawing whole months.",
            decimals=_DECIMALS,
        ),
        _values_table(case, outcome),
        _network_table(case, outcome),
    ]
    part.figures += [
        figures.hydrographs(
            outcome.flows, outcome.limits, outcome.problem, case.names, REPORTED
        ),
        figures.scores(table),
        figures.flow_duration(outcome.flows, outcome.problem, case.names, REPORTED),
    ]
    if case.truth is not None:
        _add_truth(part, case, outcome)
    part.notes += [
        "The rivers are drawn, not mapped: unit catchments share the basin equally, "
        "and weather is the same over all of it. What the calibration finds for "
        "roughness and width corrects for that as well.",
        "Before the days that are fitted, the stores are filled by two years of the "
        "training weather and the rivers by twenty days; no day before the record is "
        "scored.",
        "The two splits are not two independent judgements: they share the year 2001, "
        "and the settings were chosen in a year (2000) that the second holds out.",
        "One held-out year is little: the intervals of the KGE say how little.",
    ]
    return part


def _bars(part: Part, table: pd.DataFrame, basins: int) -> None:
    """Add the held-out KGE and what it must beat; bars for the reported split."""
    for split in dict.fromkeys(table["split"]):
        own = table[table["split"] == split].set_index(["basin", "series"])["KGE'"]
        series = {name: own.xs(name, level="series") for name in set(table["series"])}
        ours = series["calibrated"]
        bar = f"== {basins}" if split == REPORTED else None
        for rival, words in (
            ("uncalibrated", "above the uncalibrated chain"),
            ("climatology", "above climatology"),
        ):
            part.metrics.append(
                Metric(
                    f"{split}: basins whose KGE is {words}",
                    int((ours > series[rival]).sum()),
                    bar=bar,
                )
            )
        ahead = table[table["split"] == split].set_index(["basin", "series"])["NSE"]
        wins = ahead.xs("calibrated", level=1) > ahead.xs("climatology", level=1)
        apart = (ours - series["linear rivers"]).abs().max()
        part.metrics += [
            Metric(f"{split}: basins whose NSE is above climatology", int(wins.sum())),
            Metric(
                f"{split}: largest difference of KGE between linear and full rivers",
                float(apart),
            ),
        ]
        for basin in ours.index:
            part.metrics += [
                Metric(f"{split}: KGE of {name}, {basin}", series[name][basin])
                for name in ("calibrated", "uncalibrated", "climatology")
            ]


def _add_coverage(part: Part, case: Case, outcome: Outcome) -> None:
    """Add how many held-out days the bands hold."""
    problem, limits = outcome.problem, outcome.limits
    truth, days = problem.observed, problem.tested
    whole = coverage(limits.low, limits.high, truth, days)
    alone = coverage(limits.parameter_low, limits.parameter_high, truth, days)
    rows = [
        {
            "split": column.split.name,
            "basin": case.names[column.basin],
            "members and errors": 100 * whole[j],
            "members alone": 100 * alone[j],
        }
        for j, column in enumerate(problem.columns)
    ]
    table = pd.DataFrame(rows)
    reported = table[table["split"] == REPORTED]
    part.metrics += [
        Metric(
            f"{REPORTED}: days within the 90 % band, mean over basins",
            float(reported["members and errors"].mean()),
            unit="percent",
        ),
        Metric(
            f"{REPORTED}: days within the band of the members alone",
            float(reported["members alone"].mean()),
            unit="percent",
        ),
    ]
    part.tables.append(
        Table(
            "coverage",
            table,
            "Share of the held-out days within the 90 % bands, percent. Members differ "
            "by their coefficients only; errors are drawn from the training years.",
            decimals={"members and errors": 1, "members alone": 1},
        )
    )


def _values_table(case: Case, outcome: Outcome) -> Table:
    """Return the calibrated values of the reported split, in January and July."""
    problem = outcome.problem
    chosen = [j for j, c in enumerate(problem.columns) if c.split.name == REPORTED]
    values = np.asarray(monthly(outcome.coefficients))
    rows = []
    for i, row in enumerate(FREE):
        entry: dict[str, object] = {"value": row.name, "units": row.unit}
        entry["default"] = f"{row.default:.3g}"
        for j in chosen:
            name = case.names[problem.columns[j].basin]
            first, seventh = values[i, 0, j], values[i, 6, j]
            text = f"{first:.3g} / {seventh:.3g}" if row.seasonal else f"{first:.3g}"
            entry[name] = text
        rows.append(entry)
    return Table(
        "values",
        pd.DataFrame(rows),
        f"Values that were calibrated, {REPORTED}; January / July where they have a "
        "yearly cycle.",
    )


def _network_table(case: Case, outcome: Outcome) -> Table:
    """Return what the drawn rivers are like."""
    networks = {
        column.basin: network
        for column, network in zip(
            outcome.problem.columns, outcome.problem.networks, strict=True
        )
    }
    rows = []
    for b, basin in enumerate(case.basins):
        data = networks[b].data
        rows.append(
            {
                "basin": case.names[b],
                "area km2": float(basin["area"]) / 1e6,
                "mean slope": float(basin["mean_slope"]),
                "catchments": int((data["runoff_share"] > 0).sum()),
                "main river km": main_river(float(basin["area"])) / 1e3,
                "slope at the gauge": float(data["channel_slope"][-2]),
                "width at the gauge m": float(data["river_width"][-2]),
                "depth at the gauge m": float(data["river_depth"][-2]),
            }
        )
    return Table(
        "networks",
        pd.DataFrame(rows),
        "The drawn rivers: length by Hack (1957), slope by its concavity from the mean "
        "slope, width and depth by Bieger et al. (2015).",
        decimals={
            "area km2": 1, "mean slope": 4, "main river km": 1,
            "slope at the gauge": 5, "width at the gauge m": 1,
            "depth at the gauge m": 2,
        },
    )  # fmt: skip


def _add_truth(part: Part, case: Case, outcome: Outcome) -> None:
    """Add how close the values came to the known ones."""
    assert case.truth is not None
    true = np.asarray(monthly(case.truth))
    found = np.asarray(monthly(outcome.coefficients))
    default = np.asarray(monthly(np.zeros_like(case.truth)))
    rows = []
    for j, column in enumerate(outcome.problem.columns):
        if column.split.name != REPORTED:
            continue
        for i, row in enumerate(FREE):
            rows.append(
                {
                    "basin": case.names[column.basin],
                    "value": row.name,
                    "true": true[i, :, column.basin].mean(),
                    "found": found[i, :, j].mean(),
                    "default": default[i, :, column.basin].mean(),
                }
            )
    part.tables.append(
        Table(
            "truth",
            pd.DataFrame(rows),
            "Values found beside the true ones, means of the months.",
            decimals={"true": 4, "found": 4, "default": 4},
        )
    )
    own = [j for j, c in enumerate(outcome.problem.columns) if c.split.name == REPORTED]
    gap = outcome.coefficients[:, own] - case.truth
    part.metrics += [
        Metric(
            "distance of the coefficients from the true ones, over the defaults'",
            float(np.sqrt((gap**2).mean() / (case.truth**2).mean())),
        )
    ]
    part.notes.append(
        "Several values do the same to discharge, so the known ones are not all found; "
        "the discharge is."
    )


def add_weights(part: Part, weights: pd.DataFrame) -> None:
    """Add the choice of the prior's weight.

    Parameters
    ----------
    part : Part
        To be added to.
    weights : pandas.DataFrame
        Of `tilth.studies.calibrate_by_gauge.choice.compare_weights`.
    """
    best = float(weights["weight"][weights["judged"].argmax()])
    part.metrics.append(
        Metric("weight of the prior that training years choose", best,
               published=PRIOR_WEIGHT)
    )  # fmt: skip
    part.tables.append(
        Table(
            "weights",
            weights,
            "KGE with linear rivers of 2000 and 2001, each fitted and each judged by "
            "the other, for weights of the prior: mean over basins, and the least. "
            f"The study uses {PRIOR_WEIGHT:g}.",
            decimals={"fitted": 3, "judged": 3, "least": 3},
        )
    )


def add_other_weather(
    part: Part, case: Case, outcome: Outcome, effort: Effort, work: Work
) -> None:
    """Add the same calibration with the weather of NLDAS.

    Parameters
    ----------
    part : Part
        To be added to.
    case : Case
        The basins.
    outcome : Outcome
        With the weather of Daymet.
    effort : Effort
        Of the calibration; the last descent through full rivers is left out.
    work : Work
        Told of every step.
    """
    short = replace(effort, fine_steps=0, members=2)
    other = calibrate(case.other_weather("nldas"), short, splits=SPLITS[:1], work=work)
    tables = {
        "Daymet": held_out_scores(outcome.flows, outcome.problem, case.names, SEED),
        "NLDAS": held_out_scores(other.flows, other.problem, case.names, SEED),
    }
    shown = ["basin", "KGE'", "lower", "upper", "bias %"]
    rows = []
    for weather, table in tables.items():
        own = table[table["split"] == REPORTED]
        for series in ("uncalibrated", "linear rivers"):
            chosen = own[own["series"] == series]
            rows += [
                {"weather": weather, "series": series, **row}
                for row in chosen[shown].to_dict("records")
            ]
    both = pd.DataFrame(rows)
    part.tables.append(
        Table(
            "weather",
            both,
            f"The calibration with linear rivers by weather, {REPORTED}. NLDAS gives "
            "only the mean temperature of a day, and less precipitation.",
            decimals={name: _DECIMALS[name] for name in shown[1:]},
        )
    )
    part.notes.append(
        "Rain of NLDAS comes earlier before the rise of discharge than that of Daymet, "
        "in the Narraguagus by a day: gauges that are read in the morning date their "
        "rain late, and a delay cannot undo that."
    )
    linear = both[both["series"] == "linear rivers"]
    part.metrics += [
        Metric(
            f"{REPORTED}: mean KGE with linear rivers, weather of {weather}",
            float(linear[linear["weather"] == weather]["KGE'"].mean()),
        )
        for weather in tables
    ]
