"""Known truth: what the ensemble's size costs, and what a blend guards against."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.report import Table
from tilth.forcing.s2s import (
    CATEGORIES,
    LEADERBOARD,
    METHODS,
    Training,
    blend_forecast,
    challenge_score,
    lead_windows,
    plot_size_penalty,
    plot_tercile_skill,
    score_terciles,
    simulated_hindcasts,
    skill_interval,
    tercile_forecast,
)
from tilth.forcing.s2s.challenge import CHALLENGE_WINDOWS
from tilth.stats.scores import ensemble_penalty
from tilth.studies.part import Part
from tilth.studies.result import Metric
from tilth.studies.s2s_terciles.cases import SEED

#: Ensemble sizes: the smallest, RMM1's, CFSv2's, the hindcasts' and the forecasts'
#: of ECMWF.
SIZES = (2, 4, 9, 11, 51)

#: The slides' entry, by the name of its team on the leaderboard.
SLIDES_TEAM = "ylabaiers"

_PERIODS = {"week 1": (0.0, 7.0), "week 2": (7.0, 14.0), **CHALLENGE_WINDOWS}


def measure(full: bool) -> Part:
    """Look at worlds without skill and with some, and at the challenge's arithmetic."""
    part = Part()
    _size(part, full)
    _blends(part, full)
    _challenge(part)
    return part


def _size(part: Part, full: bool) -> None:
    """Score ensembles without skill, small and large."""
    found = []
    for size in SIZES:
        data = simulated_hindcasts(
            years=range(1981, 2021),
            starts_per_year=12,
            leads=3,
            members=size,
            cells=40 if full else 8,
            skill_days=0.0,
            seed=SEED,
        )
        made = tercile_forecast(data["hindcast"], data["observed"])
        over = ("start", "lead", "cell")
        skill = score_terciles(made, dim=over, members=size)
        expected = -ensemble_penalty(size) / (4 / 9)
        part.metrics.append(
            Metric(
                f"no skill, {size} members: RPSS",
                skill["rpss"],
                published=round(expected, 4),
                bar="within 0.02",
            )
        )
        found.append((size, float(skill["rpss"]), expected, float(skill["rpss_d"])))
    frame = pd.DataFrame(found, columns=["members", "RPSS", "-D / RPS_c", "RPSS_D"])
    part.tables.append(
        Table(
            "size_penalty",
            frame,
            "Reliable ensembles without skill, counted against their own edges: what "
            "they lose is their size. Always print M beside RPSS.",
        )
    )
    part.figures.append(
        plot_size_penalty(
            np.array(SIZES),
            frame["RPSS"].to_numpy(),
            caption="RPSS of simulated ensembles without any skill against their "
            "size: the line is theory (Weigel et al. 2007).",
        )
    )


def _blends(part: Part, full: bool) -> None:
    """Score methods where the truth is known, with skill that fades and with none."""
    rows, shown = [], {}
    cells = 24 if full else 8
    for world, days in (("fading skill", 12.0), ("no skill", 0.0)):
        data = simulated_hindcasts(cells=cells, skill_days=days, seed=SEED + 1)
        model, truth = (
            lead_windows(data[name], _PERIODS) for name in ("hindcast", "observed")
        )
        for name in ("raw", "model-edges", "mapping", "regression"):
            made = tercile_forecast(model, truth, method=METHODS[name])
            drawn = blend_forecast(made, training=Training(), pool=("cell",))
            for label, one in ((name, made), (f"{name}, blended", drawn)):
                over = ("start", "cell")
                skill = score_terciles(one, dim=over)
                limits = skill_interval(one, dim=over, seed=SEED)
                skill = skill.assign(lower=limits["lower"], upper=limits["upper"])
                for lead in _PERIODS:
                    rows.append(
                        (world, label, lead, float(skill["rpss"].sel(lead=lead)))
                    )
                if world == "fading skill":
                    shown[label] = skill
                if label != name:
                    part.metrics.append(
                        Metric(
                            f"{world}: least RPSS of {label}",
                            skill["rpss"].min(),
                            bar=">= -0.005",
                        )
                    )
    part.tables.append(
        Table(
            "blends",
            pd.DataFrame(rows, columns=["world", "forecast", "period", "RPSS"]),
            "Simulated hindcasts of eleven members with a bias, a drift and too "
            "little spread; each start by the other years.",
        )
    )
    keep = ("model-edges", "model-edges, blended", "regression", "regression, blended")
    part.figures.append(
        plot_tercile_skill(
            {label: shown[label] for label in keep},
            name="known_skill",
            caption="Skill in a simulated world where it fades with a time of twelve "
            "days: counting members falls below climatology in weeks 5-6 though skill "
            "is left; the regression and the blends do not.",
        )
    )


def _challenge(part: Part) -> None:
    """Show the challenge's arithmetic on synthetic input, and its leaderboard."""
    observed = _synthetic(np.random.default_rng(SEED))
    thirds = xr.full_like(observed, 1 / 3)
    for label, forecast, wanted in (
        ("climatology", thirds, 0.0),
        ("perfect", observed, 1.0),
    ):
        part.metrics.append(
            Metric(
                f"challenge scorer: {label}",
                challenge_score(forecast, observed)["score"],
                published=wanted,
                bar="within 0.000000001",
            )
        )
    part.tables.append(
        Table(
            "leaderboard",
            pd.DataFrame(
                {"entry": list(LEADERBOARD), "RPSS": list(LEADERBOARD.values())}
            ),
            "Final leaderboard of the challenge of 2021, as published.",
            decimals={"RPSS": 5},
        )
    )
    part.notes.append(
        f"The entry of the slides' authors ({SLIDES_TEAM}) ended eighth of nine with "
        f"{LEADERBOARD[SLIDES_TEAM]:.3f}: far below the climatology that costs "
        "nothing. The first two blended with climatology. The challenge's "
        "observations are not open to this study: its arithmetic is checked on "
        "synthetic input, and no number here stands on its leaderboard."
    )


def _synthetic(draws: np.random.Generator) -> xr.Dataset:
    """Return observed categories on a coarse globe, in the challenge's layout."""
    latitude, longitude = np.arange(90.0, -91.0, -30.0), np.arange(0.0, 360.0, 60.0)
    came = draws.integers(0, 3, (10, 2, latitude.size, longitude.size))
    one = (came == np.arange(3).reshape(3, 1, 1, 1, 1)).astype(float)
    start = np.datetime64("2020-01-02", "ns") + np.arange(10) * np.timedelta64(7, "D")
    field = xr.DataArray(
        one,
        {
            "category": list(CATEGORIES),
            "forecast_time": start,
            "lead_time": np.array([14, 28], "timedelta64[D]").astype("timedelta64[ns]"),
            "latitude": latitude,
            "longitude": longitude,
        },
        ("category", "forecast_time", "lead_time", "latitude", "longitude"),
    )
    return xr.Dataset({"t2m": field, "tp": field})
