"""Skill by lead: real hindcasts of the Madden-Julian index, standard and fair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.report import Table
from tilth.forcing.s2s import (
    METHODS,
    Training,
    blend_forecast,
    lead_climatology,
    lead_windows,
    plot_tercile_skill,
    score_terciles,
    skill_interval,
    start_groups,
    tercile_forecast,
    without_bias,
)
from tilth.stats.scores import crps, crps_both
from tilth.studies.part import Part
from tilth.studies.result import Metric
from tilth.studies.s2s_terciles.cases import SEED, Pair

#: Lead day -> CRPS, fair CRPS and CRPS of the climatology of other years, of the
#: same files, computed apart from Tilth.
REFERENCE = {
    1: (0.17389, 0.16980, 0.62087),
    7: (0.36204, 0.34586, 0.61472),
    14: (0.46933, 0.42114, 0.62419),
    21: (0.58484, 0.50636, 0.61642),
    28: (0.66560, 0.57355, 0.61998),
    35: (0.70896, 0.59778, 0.62508),
    42: (0.75848, 0.63651, 0.62045),
}

PERIODS = {
    "week 1": (0.0, 7.0),
    "week 2": (7.0, 14.0),
    "weeks 3-4": (14.0, 28.0),
    "weeks 5-6": (28.0, 42.0),
}

#: Starts within a fortnight of the date: the index has an annual cycle of its own.
TRAINING = Training(window=15)

_WITHIN = "within 0.00001"


def measure(rmm1: Pair) -> Part:
    """Score by lead: CRPS beside the reference, then terciles by method."""
    part = Part()
    _continuous(part, rmm1)
    model, observed = (lead_windows(x, PERIODS) for x in (rmm1.model, rmm1.observed))
    _terciles(part, Pair(model, observed))
    return part


def _continuous(part: Part, rmm1: Pair) -> None:
    """Compare CRPS, standard and fair, with the reference."""
    at = [day - 1 for day in REFERENCE]
    model, truth = rmm1.model.isel(lead=at), rmm1.observed.isel(lead=at)
    free = without_bias(model, truth)
    groups = start_groups(truth["start"])
    rows = []
    for k, (day, wanted) in enumerate(REFERENCE.items()):
        one = truth.isel(lead=k, drop=True)
        both = crps_both(free.isel(lead=k, drop=True), one).mean()
        others = np.stack([one.values[groups.of(s)] for s in range(one.size)])
        climate = xr.DataArray(others, one.coords, ("start", "member"))
        usual = float(crps(climate, one).mean())
        found = (float(both["crps"]), float(both["crps_fair"]), usual)
        names = ("CRPS", "fair CRPS", "CRPS of climatology")
        for name, value, published in zip(names, found, wanted, strict=True):
            part.metrics.append(
                Metric(
                    f"RMM1 day {day}: {name}", value, published=published, bar=_WITHIN
                )
            )
        rows.append((day, *found, 1 - found[0] / usual, 1 - found[1] / usual))
    columns = ["lead day", "CRPS", "fair", "climatology", "CRPSS", "fair CRPSS"]
    part.tables.append(
        Table(
            "rmm1_crps",
            pd.DataFrame(rows, columns=columns),
            "RMM1, GEOS-V2p1, four members, 510 starts 1999-2015, bias removed by "
            "other years: with four members the standard score turns against the "
            "forecast a week before the fair one does.",
        )
    )


def _terciles(part: Part, pair: Pair) -> None:
    """Compare methods by period, with and without the blend."""
    shown, rows = {}, []
    for name in ("raw", "model-edges", "mapping", "regression"):
        made = tercile_forecast(
            pair.model, pair.observed, method=METHODS[name], training=TRAINING
        )
        counted = None if name == "regression" else pair.members
        drawn = blend_forecast(made, training=TRAINING)
        for label, one, members in (
            (name, made, counted),
            (f"{name}, blended", drawn, None),
        ):
            skill = score_terciles(one, members=members)
            limits = skill_interval(one, seed=SEED)
            skill = skill.assign(lower=limits["lower"], upper=limits["upper"])
            shown[label] = skill
            for lead in PERIODS:
                at = skill.sel(lead=lead)
                rows.append(
                    (
                        label,
                        lead,
                        *(float(at[x]) for x in ("rpss", "lower", "upper", "rpss_d")),
                        float(drawn["weight"].sel(lead=lead).mean()),
                    )
                )
                if label != name:
                    part.metrics.append(
                        Metric(f"RMM1 {lead}: RPSS of {label}", at["rpss"], bar=">= 0")
                    )
    columns = ["forecast", "period", "RPSS", "lower", "upper", "RPSS_D", "weight"]
    part.tables.append(
        Table(
            "rmm1_terciles",
            pd.DataFrame(rows, columns=columns),
            "Terciles of RMM1 by period, each start by the other years; limits (90 %) "
            "by drawing whole years; RPSS_D where members were counted.",
        )
    )
    keep = ("raw", "model-edges", "model-edges, blended", "regression, blended")
    part.figures.append(
        plot_tercile_skill(
            {label: shown[label] for label in keep},
            name="rmm1_skill",
            caption="Skill of tercile forecasts of RMM1 by period, four real members. "
            "Counting against the observed edges is worst; blended, no period is "
            "below climatology. Bars: 90 % when whole years are drawn again.",
        )
    )
    usual = lead_climatology(pair.observed, window=TRAINING.window)
    part.notes.append(
        "The observed index keeps its variability between years: the climatology of a "
        f"start, from the other years within {TRAINING.window:g} days, varies by "
        f"{float(usual.std()):.2f} (standard deviation). The index is far smoother "
        "than the weather of one place: its skill is no measure of that of rain or "
        "warmth. "
        "A regression needs no blend here, and loses a little by its caution."
    )
