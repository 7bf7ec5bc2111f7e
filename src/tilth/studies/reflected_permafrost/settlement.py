"""A made-up thaw site: which ways to find its trend know how wrong they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
import xarray as xr

from tilth.core.progress import track
from tilth.core.report import Table
from tilth.gnss.surface.elevation import annual_trend, surface_change
from tilth.gnss.surface.plots import plot_thaw
from tilth.gnss.surface.simulated import SimulatedThaw, ThawSite, simulated_thaw
from tilth.gnss.surface.thaw import fit_thaw
from tilth.studies.part import Part
from tilth.studies.reflected_permafrost.published import BARROW
from tilth.studies.result import Figure, Metric

#: Of the first record; the others follow.
SEED = 0

#: The site of the trend: twelve summers as at Barrow.
SITE = ThawSite(trend=BARROW[0])

#: Sites, by what makes their errors.
SITES = {
    "days and years": SITE,
    "days alone": replace(SITE, years=0.0),
    "a monument that heaves": replace(SITE, monument=0.002),
}

#: Ways to find the trend.
ANNUAL, WHITE, OURS = "annual means", "Stefan, white errors", "Stefan, errors remember"


@dataclass(frozen=True)
class _Answer:
    """A trend with its interval, m yr-1."""

    trend: float
    se: float
    lower: float
    upper: float


def measure(records: int) -> Part:
    """Fit many simulated records.

    Parameters
    ----------
    records : int
        Of each site.

    Returns
    -------
    Part
        How often intervals hold the truth, and one record drawn.
    """
    part = Part()
    rows = []
    runs = [(name, k) for name in SITES for k in range(records)]
    for name, k in track(runs, "simulated thaw sites"):
        site = SITES[name]
        drawn = simulated_thaw(site, SEED + k)
        position = drawn.position if site.monument else None
        change = surface_change(drawn.heights, position)
        for way, answer in _answers(change, drawn).items():
            rows.append({"site": name, "way": way, **vars(answer)})
    table = _table(pd.DataFrame(rows))
    part.tables.append(
        Table(
            "coverage",
            table,
            f"Trends of {records} simulated records per site (truth "
            f"{100 * SITE.trend:.2f} cm yr-1): mean, scatter, the standard error that "
            "is said, and how often the 95 % interval holds the truth.",
            units=dict.fromkeys(("mean", "scatter", "said error"), "cm yr-1"),
            decimals={"mean": 3, "scatter": 3, "said error": 3, "coverage": 2},
        )
    )
    # Two standard deviations of a share of 0.95 among so many records.
    low = 0.95 - 2.0 * (0.95 * 0.05 / records) ** 0.5
    for name in SITES:
        for way in (ANNUAL, WHITE, OURS):
            row = table[(table["site"] == name) & (table["way"] == way)].iloc[0]
            part.metrics.append(
                Metric(
                    f"thaw, {name}: coverage of 95 %, {way}",
                    float(row["coverage"]),
                    se=float(
                        (row["coverage"] * (1 - row["coverage"]) / records) ** 0.5
                    ),
                    published=0.95,
                    bar=f">= {low:.3f}" if way == OURS else None,
                )
            )
            if way == OURS:
                part.metrics.append(
                    Metric(
                        f"thaw, {name}: mean trend found",
                        float(row["mean"]),
                        se=float(row["scatter"] / records**0.5),
                        unit="cm yr-1",
                        published=100 * SITE.trend,
                        bar="within 0.02",
                    )
                )
    _one_record(part)
    return part


def _answers(change: xr.Dataset, drawn: SimulatedThaw) -> dict[str, _Answer]:
    """Return the trend by each way."""
    found = {}
    trend, se = annual_trend(change)
    half = 1.959964 * se
    found[ANNUAL] = _Answer(trend, se, trend - half, trend + half)
    for way, noise in ((WHITE, "white"), (OURS, "ar1")):
        fit = fit_thaw(change, drawn.temperature, noise=noise)
        low, high = fit.interval()
        found[way] = _Answer(fit.trend, fit.trend_se, low, high)
    return found


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per site and way."""
    rows = rows.assign(
        coverage=((rows["lower"] <= SITE.trend) & (rows["upper"] >= SITE.trend)).astype(
            float
        )
    )
    groups = rows.groupby(["site", "way"], sort=False)
    return pd.DataFrame(
        {
            "mean": 100 * groups["trend"].mean(),
            "scatter": 100 * groups["trend"].std(),
            "said error": 100 * groups["se"].mean(),
            "coverage": groups["coverage"].mean(),
        }
    ).reset_index()


def _one_record(part: Part) -> None:
    """Draw one record, and put its subsidence beside the truth."""
    drawn = simulated_thaw(SITE, SEED)
    fit = fit_thaw(surface_change(drawn.heights), drawn.temperature)
    truth = float(drawn.truth["subsidence"].mean())
    mean, se = fit.years["subsidence"].mean(), fit.years["subsidence_se"].mean()
    low, high = fit.interval()
    part.metrics += [
        Metric("thaw, one record: trend", 100 * fit.trend, se=100 * fit.trend_se,
               unit="cm yr-1", published=100 * SITE.trend),
        Metric("thaw, one record: mean subsidence by the end of summer",
               100 * float(mean), se=100 * float(se), unit="cm",
               published=100 * truth),
        Metric("thaw, one record: bias that soil moisture could make of the trend",
               100 * fit.moisture_bias, unit="cm yr-1"),
    ]  # fmt: skip
    part.figures.append(
        Figure.draw(
            "thaw",
            plot_thaw(fit, drawn.truth["surface"]),
            "A simulated record of twelve summers over permafrost: daily surface, "
            "fitted seasons after Stefan with the trend "
            f"({100 * fit.trend:.2f} cm yr-1, 95 % {100 * low:.2f} to "
            f"{100 * high:.2f}; truth {100 * SITE.trend:.2f}), and what is left.",
            "Every summer the surface sinks by centimetres; from year to year it sinks "
            "by millimetres.",
        )
    )
    found, mm = fit.noise, 1e3
    part.notes.append(
        "Of that record the fit finds errors of "
        f"{mm * found['white']:.0f} mm from day to day, {mm * found['memory']:.0f} mm "
        f"over {found['memory_days']:.0f} days and {mm * found['years']:.0f} mm from "
        f"summer to summer; drawn were {mm * SITE.white:.0f}, {mm * SITE.memory:.0f} "
        f"(over {SITE.memory_days:.0f} days) and {mm * SITE.years:.0f}."
    )
