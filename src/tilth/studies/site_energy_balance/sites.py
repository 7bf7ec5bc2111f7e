"""The sites of the study: the model's run, what it is held against, its scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.datasets import locate
from tilth.land.model import Settings, final_state, parameter_dataset, run
from tilth.land.readers import read_bondville, read_noahmp, read_tower
from tilth.land.readers.noahmp import daily_means
from tilth.land.simulate import simulated_weather
from tilth.stats import bias, kge
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table
from tilth.studies.site_energy_balance import figures, regressions

#: What the model computes per step that a site is judged by.
_OUTPUT = (
    *("Qle", "Qh", "Qg", "SWnet", "LWnet", "SWE", "AvgSurfT"),
    *("SurfaceResidual", "EnergyResidual", "WaterResidual"),
)

#: Share of the pores with water at the very beginning: deep soil that begins wet comes
#: to rest in few years, one that begins dry takes decades to fill.
WET = 0.97

#: Largest residuals of a step: energy in W m-2, water relative to what is stored.
CLOSURE = {
    "SurfaceResidual": ("energy of the surfaces", "W m-2", "< 1e-6"),
    "EnergyResidual": ("energy of the column", "W m-2", "< 1e-6"),
    "WaterResidual": ("water, relative", "1", "< 1e-9"),
}


@dataclass
class Site:
    """A run of a site over whole days, every step of it."""

    name: str
    forcing: xr.Dataset
    result: xr.Dataset


def whole_days(forcing: xr.Dataset) -> xr.Dataset:
    """Return the part of a forcing from its first midnight to its last."""
    time = forcing["time"].values
    midnight = np.flatnonzero(time.astype("datetime64[D]") == time)
    return forcing.isel(time=slice(int(midnight[0]), int(midnight[-1])))


def spun_up(
    name: str,
    forcing: xr.Dataset,
    parameters: xr.Dataset,
    passes: int,
    settings: Settings | None = None,
) -> Site:
    """Go through the forcing so many times, and return the last time.

    Parameters
    ----------
    name : str
        Of the site.
    forcing : xarray.Dataset
        Of `tilth.land.readers`.
    parameters : xarray.Dataset
        Of `tilth.land.model.parameter_dataset`.
    passes : int
        How often, the last one included.
    settings : tilth.land.model.Settings, optional
        Choices between processes.

    Returns
    -------
    Site
        With output of every step.
    """
    whole = whole_days(forcing)
    state = None
    for _ in range(passes - 1):
        before = run(
            whole, parameters, state, settings=settings, wetness=WET, variables=()
        )
        state = final_state(before)
    result = run(
        whole,
        parameters,
        state,
        settings=settings,
        wetness=WET,
        output="step",
        variables=_OUTPUT,
    )
    return Site(name, whole, result)


def closure(site: Site) -> list[Metric]:
    """Return the largest residuals of the run."""
    return [
        Metric(
            f"{site.name}: largest residual of a step, {words}",
            float(abs(site.result[name]).max()),
            unit=unit,
            bar=bar,
        )
        for name, (words, unit, bar) in CLOSURE.items()
    ]


def bondville(folder: Path, passes: int) -> Part:
    """Compare a year at Bondville with Noah-MP, run with the same weather."""
    site = spun_up(
        "Bondville",
        read_bondville(folder / "bondville.dat.gz"),
        parameter_dataset(
            "crop",
            "silty clay loam",
            latitude=40.01,
            reference_height=10.0,  # as in the options of the Noah-MP run
        ),
        passes,
    )
    peer = daily_means(read_noahmp(folder / "noahmp_bondville_1998_3h.nc"))
    ours, theirs = xr.align(
        site.result[["Qle", "Qh", "Qg", "SWnet", "LWnet"]].resample(time="1D").mean(),
        peer,
        join="inner",
    )
    part = Part(metrics=closure(site))
    for flux, words in (("Qle", "latent"), ("Qh", "sensible")):
        a, b = ours[flux].values.ravel(), theirs[flux].values.ravel()
        part.metrics.append(
            Metric(
                f"Bondville: {words} heat of the year",
                float(a.mean()),
                unit="W m-2",
                published=round(float(b.mean()), 2),
                bar="within 15",
            )
        )
        correlation = float(np.corrcoef(a, b)[0, 1])
        part.metrics.append(
            Metric(
                f"Bondville: daily {words} heat, correlation with Noah-MP",
                correlation,
                bar=">= 0.85" if flux == "Qle" else None,
            )
        )
    names = ["SWnet", "LWnet", "Qle", "Qh", "Qg"]
    means = pd.DataFrame(
        {
            "flux": names,
            "ours": [float(ours[name].mean()) for name in names],
            "Noah-MP": [float(theirs[name].mean()) for name in names],
        }
    )
    part.tables.append(
        Table(
            "bondville_means",
            means.assign(difference=means["ours"] - means["Noah-MP"]),
            "Bondville, means of 1998. Noah-MP is another model, not the truth.",
            units=dict.fromkeys(("ours", "Noah-MP", "difference"), "W m-2"),
            decimals=dict.fromkeys(("ours", "Noah-MP", "difference"), 1),
        )
    )
    part.figures.append(figures.year(ours, theirs, "Noah-MP", "bondville"))
    return part


def needleleaf(folder: Path, passes: int) -> Part:
    """Compare a year at US-Me2, a ponderosa pine forest, with its flux tower."""
    forcing, observed = read_tower(
        folder / "US-Me2-forcings-2019-2020.csv.gz",
        folder / "US-Me2-fluxes-2019-2020.csv.gz",
        "US-Me2",
    )
    leaves = _monthly(observed["LAI"])
    parameters = parameter_dataset(
        "needleleaf_evergreen",
        "sandy loam",
        latitude=44.45,
        leaf_area=leaves,
        height=18.0,  # of the table's own column
        reference_height=33.0,  # AmeriFlux, variable heights of US-Me2
    )
    site = spun_up("US-Me2", forcing, parameters, passes)
    seen = observed.sel(time=site.result["time"])
    part = Part(metrics=closure(site))
    rows = []
    for flux, words in (("Qle", "latent"), ("Qh", "sensible")):
        truth = seen[flux].values.ravel()
        candidates = {"ours": site.result[flux].values.ravel()}
        for name, predictors in regressions.PREDICTORS.items():
            candidates[name] = regressions.predict(site.forcing, truth, predictors)
        for name, value in candidates.items():
            rows.append({"heat": words, "who": name, **_scores(value, truth)})
        peers = _peers(flux)
        for name, scores in peers.items():
            rows.append({"heat": words, "who": name, **scores})
        error = [_rmse(value, truth) for value in candidates.values()]
        part.metrics.append(
            Metric(
                f"US-Me2: half-hourly {words} heat, RMSE",
                error[0],
                unit="W m-2",
                published=" and ".join(
                    f"{peer['RMSE']:.0f}" for peer in peers.values()
                ),
            )
        )
        part.metrics.append(
            Metric(
                f"US-Me2: {words} heat, RMSE over that of the best line",
                error[0] / min(error[1:]),
            )
        )
    part.tables.append(
        Table(
            "us_me2_scores",
            pd.DataFrame(rows),
            "US-Me2, half-hourly, against the flux tower. Line and plane are fitted to "
            "the tower's own other weeks. ecLand and JULES were scored at this site "
            "over 2002-2014 (PLUMBER2): other years, the same forest.",
            units={"bias": "W m-2", "RMSE": "W m-2"},
            decimals={"bias": 1, "RMSE": 1, "r": 2, "KGE": 2},
        )
    )
    daily = site.result[["Qle", "Qh"]].resample(time="1D").mean()
    tower = seen[["Qle", "Qh"]].resample(time="1D").mean()
    part.figures.append(figures.year(daily, tower, "tower", "us_me2"))
    part.figures.append(figures.diurnal(site.result, seen))
    return part


def _rmse(value: np.ndarray, truth: np.ndarray) -> float:
    """Return the root mean square error where the truth is known."""
    return float(np.sqrt(np.nanmean((value - truth) ** 2)))


def _scores(value: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return bias, RMSE, correlation and KGE."""
    known = np.isfinite(truth) & np.isfinite(value)
    return {
        "bias": float(bias(value, truth)),
        "RMSE": _rmse(value, truth),
        "r": float(np.corrcoef(value[known], truth[known])[0, 1]),
        "KGE": float(kge(value, truth)),
    }


def _peers(flux: str) -> dict[str, dict[str, float]]:
    """Return the scores of ecLand and JULES at US-Me2 (PLUMBER2)."""
    folder = locate("plumber2-scores", download=False)
    result = {}
    for model, file in (
        ("ecLand CY50R1", "ecland_cy50r1_all170.csv"),
        ("JULES-GL9", "JULESGL9_all170.csv"),
    ):
        table = pd.read_csv(folder / file)
        row = table[(table["site"] == "US-Me2") & (table["variable"] == flux)].iloc[0]
        result[model] = {"bias": row["bias"], "RMSE": row["rmse"], "r": row["r"]}
    return result


def _monthly(leaf_area: xr.DataArray) -> list[float]:
    """Return the twelve monthly means of a year of leaf area index."""
    means = leaf_area.groupby("time.month").mean()
    return [float(means.sel(month=month)) for month in range(1, 13)]


def simulated(passes: int) -> Part:
    """Run a site of simulated weather: its books must close there as well."""
    site = spun_up(
        "simulated site",
        simulated_weather((2001, 2001), step_minutes=30, seed=4).squeeze("cell"),
        parameter_dataset("mixed_forest", "loam"),
        passes,
    )
    return Part(metrics=closure(site))
