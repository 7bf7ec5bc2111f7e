"""Fits of both stages, and of fewer and other years, judged on years not fitted."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import xarray as xr

from tilth.land.fit import FitSettings, fit_emulator
from tilth.land.free_runs import free_run
from tilth.land.skill import VERDICTS, skill_card
from tilth.land.skill_plots import plot_hydrographs, plot_scatter, plot_training
from tilth.land.skill_report import card_table, summary_table
from tilth.land.training import last_years, training_effect
from tilth.studies.emulator_skill import figures
from tilth.studies.emulator_skill.data import Case
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Of the fit's starts and of the intervals.
SEED = 0

#: Olson, Nitta & Yoshimura (2024): acceptable for daily values (after Moriasi et al.).
_THRESHOLD = 0.4

#: Name -> form of the equations and how it is fitted. The bars are those of stage 2.
_STAGES = {
    "stage 1": ("implicit", FitSettings(joint=False)),
    "stage 2": ("implicit", FitSettings()),
    "closed": ("closed", FitSettings()),
}

_DECIMALS = {
    "NSE": 3, "lower": 3, "upper": 3, "KGE'": 3, "correlation": 3, "climatology": 3,
    "persistence": 3, "bias": 3, "bias %": 1,
}  # fmt: skip


def two_stages(case: Case) -> tuple[Part, xr.Dataset]:
    """Fit both stages and judge them; return also what stage 2 fitted."""
    part = Part()
    past, future = case.days(case.train), case.days(case.test)
    truth, known = case.targets.sel(time=future), case.targets.sel(time=past)
    weather = case.forcing.sel(time=future)
    cards, runs, fits = {}, {}, {}
    for stage, (variant, settings) in _STAGES.items():
        began = time.process_time()
        fits[stage] = fit_emulator(
            case.forcing,
            case.targets,
            years=case.train,
            variant=variant,
            settings=settings,
        )
        spent = time.process_time() - began
        run = free_run(fits[stage], case.forcing, case.targets, future)
        runs[stage] = run
        cards[stage] = skill_card(run, truth, known, forcing=weather, seed=SEED)
        _describe(part, stage, cards[stage], spent / case.cells)
    described, part.metrics = part.metrics, []
    _bars(part, cards["stage 2"], bool(case.why))
    part.metrics += [*described, _passed(cards["stage 1"])]
    worst = int(np.argmin(cards["stage 2"]["nse"].min("variable").values))
    part.figures += [
        figures.stages(cards),
        plot_hydrographs(runs["stage 2"], truth, known, cell=worst),
        plot_scatter(runs["stage 2"], truth),
    ]
    return part, fits["stage 2"]


def _describe(part: Part, stage: str, card: xr.Dataset, seconds: float) -> None:
    """Add what holds of either stage, without a bar."""
    refused = card["verdict"] == VERDICTS["not_accepted"]
    part.metrics += [
        Metric(
            f"{stage}: median NSE of {name}",
            float(card["nse"].sel(variable=name).median()),
        )
        for name in card["variable"].values
    ]
    part.metrics += [
        Metric(f"{stage}: variables and cells below climatology", int(refused.sum())),
        Metric(
            f"{stage}: largest bias of runoff",
            100 * _largest(card["relative_bias"].sel(variable="runoff").values),
            unit="percent",
        ),
        Metric(
            f"{stage}: water made or lost by the run, largest",
            _largest(card["water_residual"].values),
            unit="mm year-1",
            bar="-1e-6..1e-6" if stage == "closed" else None,
        ),
        Metric(f"{stage}: fit of one cell", seconds, unit="s"),
    ]
    key = stage.replace(" ", "_")
    part.tables += [
        Table(
            f"{key}_summary",
            summary_table(card),
            f"{stage.capitalize()}, by variable over all cells.",
            decimals={
                c: 1 if "%" in c else 3
                for c in ("median NSE", "lowest", "KGE'", "bias %", "climatology",
                          "persistence")
            },
        ),
        Table(
            f"{key}_cells",
            card_table(card),
            f"{stage.capitalize()}: every variable and cell, with the 90 % interval of "
            f"the NSE ({card.attrs['bootstrap_blocks']}).",
            decimals=_DECIMALS,
        ),
    ]  # fmt: skip


def _largest(values: np.ndarray) -> float:
    """Return the value farthest from zero, with its sign."""
    return float(values[np.nanargmax(np.abs(values))])


def _bars(part: Part, card: xr.Dataset, simulated: bool) -> None:
    """Add what stage 2 must reach."""
    nse = card["nse"]
    cells = card.sizes["cell"]
    for name in card["variable"].values:
        verdict = card["verdict"].sel(variable=name)
        part.metrics.append(
            Metric(
                f"stage 2: cells where {name} beats climatology",
                int((verdict == VERDICTS["accepted"]).sum()),
                bar=f"== {cells}",
            )
        )
    part.metrics += [
        Metric(
            "stage 2: lowest NSE of snow over the cells",
            float(nse.sel(variable="snow").min()),
            published=f"> {_THRESHOLD}",
            bar=">= 0.95",
        ),
        Metric(
            "stage 2: lowest NSE of soil water over the cells",
            float(nse.sel(variable="soil").min()),
            published=f"> {_THRESHOLD}",
            bar=">= 0.85",
        ),
        Metric(
            "stage 2: median NSE of daily runoff over the cells",
            float(nse.sel(variable="runoff").median()),
            published=f"> {_THRESHOLD}",
            bar=">= 0.75",
        ),
    ]
    if simulated:
        part.notes.append(
            "The bars are those of the real land model; the simulated one is easier."
        )


def _passed(card: xr.Dataset) -> Metric:
    """Count what the published threshold lets pass though climatology is better."""
    passed = (card["nse"] > _THRESHOLD) & (card["verdict"] == VERDICTS["not_accepted"])
    return Metric(
        f"stage 1: below climatology, yet above the published NSE of {_THRESHOLD}",
        int(passed.sum()),
    )


def training(case: Case, fitted: xr.Dataset, full: bool) -> Part:
    """Refit with fewer and other years; the test years stay."""
    part = Part()
    end = f"{case.train[1]}-12-31"
    lengths = (3, 5, 10, 20, 40) if full else (5, case.train[1] - case.train[0] + 1)
    periods = last_years(case.targets, end, lengths)
    effect = _effect(case, fitted, periods)
    part.figures.append(plot_training(effect))
    part.tables.append(_training_table("training_length", effect, "length"))
    few, *_, most = periods
    part.metrics += [
        Metric(
            f"median NSE of {name}, {few} of training less {most}",
            float(
                effect["nse"].sel(variable=name).isel(training=0).median()
                - effect["nse"].sel(variable=name).isel(training=-1).median()
            ),
        )
        for name in effect["variable"].values
    ]
    if full and not case.why:
        halves = {
            "1961-1980": slice("1961", "1980"),
            "1971-1990": slice("1971", "1990"),
            "1981-2000": slice("1981", "2000"),
        }
        part.tables.append(
            _training_table("training_period", _effect(case, fitted, halves), "period")
        )
    return part


def _effect(case: Case, fitted: xr.Dataset, periods: dict[str, slice]) -> xr.Dataset:
    """Fit to each of the periods and score the test years."""
    test = case.days(case.test)

    def imitate(forcing: xr.Dataset, targets: xr.Dataset, _: xr.Dataset) -> xr.Dataset:
        when = forcing["time"].dt.year.values
        years = (int(when[0]), int(when[-1]))
        own = fitted if years == case.train else None
        if own is None:
            own = fit_emulator(forcing, targets, years=years)
        # The same eve for all, so that only the parameters differ.
        return free_run(own, case.forcing, case.targets, test)

    return training_effect(
        imitate, case.forcing, case.targets, periods, test, draws=100, seed=SEED
    )


def _training_table(name: str, effect: xr.Dataset, what: str) -> Table:
    """Return medians and lowest cells by training years."""
    rows = []
    for i, label in enumerate(effect["training"].values):
        one = effect.isel(training=i)
        for variable in effect["variable"].values:
            nse = one["nse"].sel(variable=variable)
            climate = one["climatology_nse"].sel(variable=variable)
            verdict = one["verdict"].sel(variable=variable)
            rows.append(
                {
                    what: str(label),
                    "variable": str(variable),
                    "median NSE": float(nse.median()),
                    "lowest": float(nse.min()),
                    "climatology": float(climate.median()),
                    "accepted": int((verdict == VERDICTS["accepted"]).sum()),
                }
            )
    return Table(
        name,
        pd.DataFrame(rows),
        f"Skill over the same test years by the {what} of the training; climatology is "
        "that of the same training years.",
        decimals={"median NSE": 3, "lowest": 3, "climatology": 3},
    )
