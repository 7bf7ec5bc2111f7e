"""The firmware in the loop: chambers, link, broker and store for some virtual days."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilth.chambers import paired_effects
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.fleet.database import read_only
from tilth.fleet.live_store import FluxStore
from tilth.fleet.simulate import FaultPlan, Garden, cycle_table, simulate_fleet_records
from tilth.fleet.summary import completeness
from tilth.fleet.trial import START, Trial, run_trial
from tilth.studies.fluxmeter_army import figures
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Median share of the hours with a flux of 15 chambers that kept nothing while they
#: were offline (Harvard Forest 2023; `fluxbot-completeness` where it is at hand).
FLUXBOT = 0.73

#: One control and one treatment, all pots of a table.
GARDEN = Garden(treatments={"0": 1.0, "4": 1.35}, replicas=tuple("ABCDE"))

#: Records that reach the store within this long are what a live-only fleet keeps, ms.
LIVE_MS = 300_000


def army(full: bool, seed: int, devices: int = 10, days: float = 2.0) -> Part:
    """Run the fleet offline for a quarter of the time, and see what is missing."""
    if full:
        devices, days = 20, 7.0
    plan = _outages(devices, days, seed)
    with tempfile.TemporaryDirectory(prefix="tilth-army-") as folder:
        trial = run_trial(
            Path(folder) / "fleet", devices, days, plan, seed=seed, garden=GARDEN
        )
        part = Part()
        _completeness(part, trial)
        _fluxes(part, trial, plan, seed)
    return part


def _outages(devices: int, days: float, seed: int) -> FaultPlan:
    """Draw outages of the link, so that it is up as often as fluxbot's."""
    rng = np.random.default_rng([seed, 73])
    begin = pd.Timestamp(START, tz="UTC").value // 10**6
    episodes: list[dict[str, Any]] = []
    mean_down = 3.0
    mean_up = mean_down * FLUXBOT / (1 - FLUXBOT)
    for device in range(devices):
        hour = rng.exponential(mean_up)
        # The last hours are online: a fleet is judged when its backlog has come in.
        while hour < 24 * days - 4:
            length = min(rng.exponential(mean_down), 24 * days - 3 - hour)
            begin_ms = begin + int(hour * 60) * 60_000
            episodes.append(
                {
                    "device": device,
                    "kind": "wifi_loss",
                    "from": _iso(begin_ms),
                    "to": _iso(begin_ms + max(int(length * 60), 1) * 60_000),
                }
            )
            hour += length + rng.exponential(mean_up)
    return FaultPlan.from_dict({"seed": seed, "episodes": episodes})


def _iso(utc_ms: int) -> str:
    return pd.Timestamp(utc_ms, unit="ms").strftime("%Y-%m-%dT%H:%MZ")


def _completeness(part: Part, trial: Trial) -> None:
    """Hold what devices generated against what the store has."""
    table, proofs = completeness(trial.folder, days=365)
    known = trial.run.ledger()
    generated = int(known["generated"].sum())
    stored = sum(proof.stored for proof in proofs)
    with closing(read_only(trial.folder / "journal.sqlite")) as reader:
        arrivals = pd.DataFrame(
            reader.execute("SELECT t, recv FROM samples WHERE t IS NOT NULL"),
            columns=["t", "recv"],
        )
    live = arrivals["recv"] - arrivals["t"] <= LIVE_MS
    held = sum(device.pending() for device in trial.run.devices)
    part.metrics += [
        Metric("records the chambers generated", generated),
        Metric("records lost", generated - stored - held, bar="== 0"),
        Metric(
            "completeness of this fleet",
            stored / (generated - held),
            published=_fluxbot(),
            bar=">= 0.9999",
        ),
        Metric(
            "what the same fleet would have without memory",
            float(live.mean()),
            published=_fluxbot(),
        ),
        Metric(
            "boots of which the ledger has every record or knows where it is",
            float(np.mean([p.stored + p.outstanding == p.known + 1 for p in proofs])),
            bar="== 1",
        ),
        Metric("virtual over real time, all chambers", trial.run.speed),
    ]
    part.tables.append(
        Table(
            "ledger",
            table,
            "The ledger of the run, per chamber and UTC day: records expected, "
            "received, late (by more than an hour), still on the chamber, lost.",
            decimals={"completeness": 4},
        )
    )
    part.figures.append(figures.arrivals(arrivals, live))


def _fluxbot() -> float:
    """Return the published median completeness, from its table where at hand."""
    try:
        path = locate("fluxbot-completeness", download=False)
    except (DatasetError, KeyError):
        return FLUXBOT
    table = pd.read_csv(path / "fluxbot_completeness.csv")
    return float(table["completeness"].median())


def _fluxes(part: Part, trial: Trial, plan: FaultPlan, seed: int) -> None:
    """Compare the live fluxes with the true ones, and the treatments' effects."""
    world = trial.run.world
    records = simulate_fleet_records(
        len(world.fleet.names),
        world.days,
        plan,
        start=START,
        seed=seed,
        garden=GARDEN,
    )
    truth = cycle_table(records)[["device", "cycle", "flux", "soil_flux"]]
    truth = truth.rename(columns={"flux": "true_flux", "soil_flux": "true_soil_flux"})
    with closing(FluxStore(trial.folder / "fluxes.sqlite")) as store:
        found = store.table("live_flag & 1 = 0 AND flux IS NOT NULL", [])
    both = found.merge(truth, on=["device", "cycle"])
    night = both[both["night"] == 1]
    error = night["flux"] - night["true_flux"]
    inside = error.abs() <= 1.96 * night["se_total"]
    part.metrics += [
        Metric("fluxes", len(found)),
        Metric(
            "bias of the fluxes of the night",
            100 * error.sum() / night["true_flux"].sum(),
            unit="%",
            bar="-5..5",
        ),
        Metric(
            "true flux inside the 95 % interval",
            float(inside.mean()),
            published=0.95,
            bar="0.88..1",
        ),
    ]
    part.figures.append(figures.live_fluxes(night))
    _effects(part, both)


def _effects(part: Part, both: pd.DataFrame) -> None:
    """Compare the ratio of treatment to control with the true one of these pots."""
    night = both[(both["night"] == 1) & (both["flux"] > 0)]
    parts = night["loc"].str.split(".", expand=True)
    table = pd.DataFrame(
        {
            "time": pd.to_datetime(night["t"], unit="ms"),
            "table": parts[0],
            "variant": parts[0] + "." + parts[1],
            "pot": night["loc"],
            "flux": night["flux"],
            "truth": night["true_flux"],
        }
    )
    measured = paired_effects(table)
    true = paired_effects(table.drop(columns="flux").rename(columns={"truth": "flux"}))
    rows = pd.DataFrame(
        {
            "variant": measured.index,
            "pairs": measured["n_pairs"].to_numpy(),
            "ratio": measured["ratio"].to_numpy(),
            "true_ratio_of_these_pots": true["ratio"].to_numpy(),
        }
    )
    gap = (rows["ratio"] / rows["true_ratio_of_these_pots"] - 1).abs().max()
    part.metrics.append(
        Metric(
            "ratio of treatment to control, largest error",
            100 * float(gap),
            unit="%",
            bar="<= 5",
        )
    )
    part.tables.append(
        Table(
            "live_effects",
            rows,
            "Treatment over control by the hour, from the live fluxes of the nights, "
            "and the ratio of the true fluxes of the same pots.",
            decimals={c: 3 for c in rows.columns if c not in ("variant", "pairs")},
        )
    )
