"""Options of the run: bifurcations, the sea, a simpler equation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from tilth.rivers.floods.plots import plot_discharge
from tilth.rivers.network.model import MOUTH
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.state import filled_channels
from tilth.stats.scores import nse
from tilth.studies.idai_flood.cases import SETTINGS, Case, bifurcations, sea_level
from tilth.studies.idai_flood.comparison import LEAST_MEAN
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table


def compared(case: Case) -> Part:
    """Route with each option and say what it changes against the base run."""
    part = Part()
    base = route(case.network, case.runoff, case.state, settings=SETTINGS)
    runs = {"base": base, **{name: go() for name, go in _options(case).items()}}
    rivers = base["discharge"].mean("time").values > LEAST_MEAN
    rows = []
    for name, result in runs.items():
        rows.append(_row(name, result, base, rivers, case))
        if name != "base":
            part.metrics.append(
                Metric(
                    f"{name}: largest imbalance of the water in a step, relative",
                    float(result["water_residual"].max()),
                    bar="< 1e-9",
                )
            )
    part.tables.append(
        Table(
            "options",
            pd.DataFrame(rows),
            "What options change. Peak and its day are of the first place drawn; the "
            "NSE is against the base run, of rivers above 5 m3/s: it says how much an "
            "option matters, not how good it is. Through paths goes what catchments "
            "lose to them net; water that takes several in a row counts at each.",
            units={
                "peak": "m3 s-1",
                "largest flooded area": "km2",
                "through paths": "m3",
            },
            decimals={"peak": 0, "largest flooded area": 0, "median NSE": 4},
        )
    )
    if case.reference is not None:
        part.figures.append(_tide(case, runs))
        part.notes.append(
            "Options have been checked by their equations, invariants and ledger; no "
            "run of CaMa-Flood with them is at hand."
        )
    return part


def _options(case: Case) -> dict[str, Callable[[], xr.Dataset]]:
    """Return the runs with options that the case allows."""
    kinematic = replace(SETTINGS, flow="kinematic")
    runs = {
        "kinematic wave": lambda: route(
            case.network, case.runoff, case.state, settings=kinematic
        )
    }
    if case.folder is None:
        return runs
    paths, sea = bifurcations(case, case.folder), sea_level(case, case.folder)
    full = filled_channels(paths, SETTINGS)
    return runs | {
        "bifurcations": lambda: route(paths, case.runoff, full, settings=SETTINGS),
        "sea level": lambda: route(
            case.network, case.runoff, case.state, settings=SETTINGS, sea_level=sea
        ),
        "bifurcations and sea level": lambda: route(
            paths, case.runoff, full, settings=SETTINGS, sea_level=sea
        ),
    }


def _row(
    name: str, result: xr.Dataset, base: xr.Dataset, rivers: np.ndarray, case: Case
) -> dict[str, float | str]:
    """Return what a run gave, beside the base run."""
    flow = result["discharge"][:, case.places[0]].values
    area = result["flooded_area"].sum("catchment").values / 1e6
    a, b = (x["discharge"].values.T[rivers] for x in (result, base))
    through = result["path_discharge"].clip(min=0.0).sum() * 86400.0
    return {
        "run": name,
        "peak": float(flow.max()),
        "day of the peak": int(flow.argmax()),
        "largest flooded area": float(area.max()),
        "its day": int(area.argmax()),
        "median NSE": float(np.nanmedian(nse(a, b))),
        "through paths": float(through),
        "sub-steps": float(result["substeps"].sum()),
    }


def _tide(case: Case, runs: dict[str, xr.Dataset]):
    """Draw what the sea does to the river mouth with the largest flow."""
    mouths = np.flatnonzero(case.network.downstream == MOUTH)
    mean = runs["base"]["discharge"].mean("time").values
    place = mouths[[int(np.argmax(mean[mouths]))]]
    row, column = (case.network.data[n].values[place[0]] for n in ("row", "column"))
    return plot_discharge(
        runs["base"]["discharge"][:, place],
        {
            name: runs[name]["discharge"][:, place]
            for name in ("kinematic wave", "bifurcations", "sea level")
        },
        [f"the largest river mouth, row {row}, column {column}"],
        name="options_at_the_mouth",
        reference_name="base run",
        scored=False,
    )
