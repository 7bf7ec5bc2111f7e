"""The emulator's rivers held against the process model's: numbers and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.stats.scores import kge, nse
from tilth.studies.coupled_emulator.experiment import Runs
from tilth.studies.coupled_emulator.world import MAIN, World
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Node-hours of the coupled simulator before over after the emulator (slides of
#: K. Yoshimura on the Integrated Land Simulator).
_PUBLISHED_RATIO = 30.0

#: Land cells for each basin, on average, below which the quick mode's single basins
#: have no bar.
_CELLS = 8

_WAYS = {False: "one way", True: "two ways"}


def mouths_of(run: xr.Dataset, world: World) -> xr.DataArray:
    """Return the discharge of the mouths, the largest basin first.

    Parameters
    ----------
    run : xarray.Dataset
        Of the simulator.
    world : World
        The continent.

    Returns
    -------
    xarray.DataArray
        (time, catchment), m3 s-1.
    """
    ends = world.network.terminals
    drained = world.network.data["upstream_area"].values[ends]
    return run["discharge"].isel(catchment=ends[np.argsort(-drained)])


def wettest_month(run: xr.Dataset, world: World) -> str:
    """Return the month with the largest flooded area, such as ``"2006-04"``."""
    area = run["flood_fraction"] @ world.network.data["area"].drop_vars(
        ["lat", "lon"], errors="ignore"
    )
    monthly = area.resample(time="MS").mean()
    return str(monthly["time"].values[int(np.argmax(monthly.values))])[:7]


def judge(world: World, runs: Runs) -> Part:
    """Score discharge and floods of the emulator against the process model.

    Parameters
    ----------
    world : World
        The continent.
    runs : Runs
        What was run.

    Returns
    -------
    Part
        Numbers and tables.
    """
    part = Part()
    _ledgers(part, runs)
    rows = []
    for feedback, way in _WAYS.items():
        truth = mouths_of(runs.coupled["process", feedback], world)
        for front in runs.fits:
            ours = mouths_of(runs.coupled[front, feedback], world)
            rows += _basins(ours, truth, front, way, world)
    table = pd.DataFrame(rows)
    part.tables.append(
        Table(
            "basins",
            table,
            "Discharge at the nine mouths over the held-out years, emulator in front "
            "against process model in front.",
            decimals={
                "area, 1000 km2": 0, "mean, m3 s-1": 0, "KGE": 3, "NSE": 3,
                "monthly KGE": 3, "bias, %": 1,
            },
        )
    )  # fmt: skip
    many = world.forcing.sizes["cell"] >= _CELLS * world.network.terminals.size
    _discharge_metrics(part, table, many)
    for feedback, way in _WAYS.items():
        _flood_metrics(part, world, runs, feedback, way)
    _feedback(part, runs)
    _times(part, runs)
    _coverage(part, world, runs)
    return part


def _ledgers(part: Part, runs: Runs) -> None:
    """Add where all water went, and what is not accounted for."""
    rows = []
    for (front, feedback), run in runs.coupled.items():
        wet = float(run["precipitation_volume"].sum())
        lost = abs(float(run["water_residual"].sum())) / wet
        bar = "<= 1e-9" if front in ("process", "closed") else None
        label = "process model" if front == "process" else f"{front} emulator"
        part.metrics.append(
            Metric(
                f"{label}, {_WAYS[feedback]}: water not accounted for, of "
                "precipitation",
                lost,
                bar=bar,
            )
        )
        row = {"front": label, "way": _WAYS[feedback], "rain and snow, km3": wet / 1e9}
        for name, short in (
            ("land_evaporation_volume", "land evaporation, %"),
            ("flood_evaporation_volume", "flood evaporation, %"),
            ("outflow_volume", "outflow, %"),
            ("land_storage_change", "land storage, %"),
            ("river_storage_change", "river storage, %"),
            ("infiltration_volume", "within: soaked in, %"),
        ):
            row[short] = 100.0 * float(run[name].sum()) / wet
        rows.append(row | {"residual, %": 100.0 * lost})
    part.tables.append(
        Table(
            "ledger",
            pd.DataFrame(rows),
            "Where all rain and snow of the held-out years went.",
            decimals={"rain and snow, km3": 1},
        )
    )


def _basins(
    ours: xr.DataArray, truth: xr.DataArray, front: str, way: str, world: World
) -> list[dict]:
    """Return a row for each basin."""
    monthly = [run.resample(time="MS").mean() for run in (ours, truth)]
    drained = world.network.data["upstream_area"].values
    rows = []
    for k, catchment in enumerate(truth["catchment"].values):
        s, o = ours.values[:, k], truth.values[:, k]
        rows.append(
            {
                "front": front,
                "way": way,
                "mouth": str(catchment),
                "area, 1000 km2": drained[world.network.positions([catchment])[0]]
                / 1e9,
                "mean, m3 s-1": float(o.mean()),
                "KGE": float(kge(s, o)),
                "NSE": float(nse(s, o)),
                "monthly KGE": float(
                    kge(monthly[0].values[:, k], monthly[1].values[:, k])
                ),
                "bias, %": 100.0 * float(s.mean() / o.mean() - 1.0),
            }
        )
    return rows


def _discharge_metrics(part: Part, table: pd.DataFrame, many: bool) -> None:
    """Add the lowest and the median scores; bars of each basin if cells are many."""
    for front in table["front"].unique():
        for way in _WAYS.values():
            own = table[(table["front"] == front) & (table["way"] == way)]
            ours = front == MAIN
            label = f"{front} emulator, {way}: "
            part.metrics += [
                Metric(
                    label + "lowest KGE of daily discharge at nine mouths",
                    float(own["KGE"].min()),
                    bar=">= 0.7" if ours and many else None,
                ),
                Metric(
                    label + "median KGE of daily discharge at nine mouths",
                    float(own["KGE"].median()),
                    bar=">= 0.85" if ours else None,
                ),
                Metric(
                    label + "lowest NSE of daily discharge at nine mouths",
                    float(own["NSE"].min()),
                ),
                Metric(
                    label + "lowest KGE of monthly discharge at nine mouths",
                    float(own["monthly KGE"].min()),
                    bar=">= 0.75" if ours and many else None,
                ),
            ]


def _flood_metrics(
    part: Part, world: World, runs: Runs, feedback: bool, way: str
) -> None:
    """Add how the flooded share of the catchments agrees."""
    truth = runs.coupled["process", feedback]
    ours = runs.coupled[MAIN, feedback]
    month = wettest_month(truth, world)
    maps = [run["flood_fraction"].sel(time=month).mean("time").values
            for run in (ours, truth)]  # fmt: skip
    monthly = [
        run["flood_fraction"].resample(time="MS").mean().values for run in (ours, truth)
    ]
    part.metrics += [
        Metric(
            f"{way}: RMSE of the flood fraction in the month of the largest flood",
            float(np.sqrt(np.mean((maps[0] - maps[1]) ** 2))),
            bar="<= 0.02",
        ),
        Metric(
            f"{way}: correlation of the flood maps of that month",
            float(np.corrcoef(maps[0], maps[1])[0, 1]),
            bar=">= 0.95",
        ),
        Metric(
            f"{way}: mean flood fraction of that month, process model",
            float(maps[1].mean()),
        ),
        Metric(
            f"{way}: RMSE of the monthly flood fraction, all months",
            float(np.sqrt(np.mean((monthly[0] - monthly[1]) ** 2))),
        ),
    ]


def _feedback(part: Part, runs: Runs) -> None:
    """Add how much the way back matters, with either front."""
    for front, label in (("process", "process model"), (MAIN, "emulator")):
        outflow = [
            float(runs.coupled[front, way]["outflow_volume"].sum()) for way in _WAYS
        ]
        part.metrics.append(
            Metric(
                f"{label}: outflow lost by the way back to the land",
                100.0 * (1.0 - outflow[1] / outflow[0]),
                unit="percent",
            )
        )


def _times(part: Part, runs: Runs) -> None:
    """Add processor times and their ratios."""
    for feedback, way in _WAYS.items():
        seconds = times_of(runs, feedback)
        process, ours = seconds["process model"], seconds["emulator"]
        part.metrics += [
            Metric(
                f"{way}: processor time of the land, process model over emulator",
                process[0] / ours[0],
                published=_PUBLISHED_RATIO,
                bar=">= 30" if not feedback else None,
            ),
            Metric(
                f"{way}: processor time of land and rivers, process model over "
                "emulator",
                sum(process) / sum(ours),
                published=_PUBLISHED_RATIO,
            ),
        ]
    part.metrics.append(
        Metric("fit of a land cell, processor time", runs.fit_seconds, unit="s")
    )


def times_of(runs: Runs, feedback: bool) -> dict[str, tuple[float, float]]:
    """Return processor time of land and rivers, s, by front.

    Parameters
    ----------
    runs : Runs
        What was run.
    feedback : bool
        Two ways, or one.

    Returns
    -------
    dict of str to (float, float)
    """
    fronts = {"process model": "process", "emulator": MAIN}
    return {
        label: (
            float(runs.coupled[front, feedback].attrs["land_seconds"]),
            float(runs.coupled[front, feedback].attrs["river_seconds"]),
        )
        for label, front in fronts.items()
    }


def _coverage(part: Part, world: World, runs: Runs) -> None:
    """Add how often the process model lies within the spread of the members."""
    truth = mouths_of(runs.coupled["process", False], world)
    members = runs.members["discharge"].sel(catchment=truth["catchment"])
    low, high = (members.quantile(q, "member").values for q in (0.05, 0.95))
    inside = (truth.values >= low) & (truth.values <= high)
    spread = members.std("member").mean() / members.mean()
    error = runs.coupled[MAIN, False]
    ours = mouths_of(error, world).values
    part.metrics += [
        Metric(
            "members: days on which nine tenths of them hold the process model",
            float(inside.mean()),
        ),
        Metric("members: spread of the discharge over its mean", float(spread)),
        Metric(
            "emulator: root mean square error of the discharge over its mean",
            float(np.sqrt(np.mean((ours - truth.values) ** 2)) / truth.values.mean()),
        ),
    ]
