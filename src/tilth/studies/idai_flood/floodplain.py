"""What the floodplain held back: the same runoff through the same rivers in walls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from tilth.rivers.floods.floodplains import retention, retention_curve, walled
from tilth.rivers.floods.plots import plot_discharge, plot_retention
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import filled_channels
from tilth.studies.idai_flood.cases import SETTINGS, Case
from tilth.studies.idai_flood.comparison import LEAST_MEAN
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Length of the output that peaks are timed with, h.
_HOURS = 3


def held_back(case: Case) -> Part:
    """Route with the floodplain and between walls, and say what the difference is."""
    runoff = _finer(case.runoff)
    open_land = _routed(case.network, runoff, SETTINGS)
    between = _routed(
        walled(case.network), runoff, replace(SETTINGS, floodplain_flow=False)
    )
    found = retention(open_land["discharge"], between["discharge"])
    rivers = open_land["discharge"].mean("time").values > LEAST_MEAN
    some = found.isel(catchment=rivers)
    saved = some["peak_reduction"]
    first = found.isel(catchment=case.places[0])
    part = Part(
        metrics=[
            Metric(
                "between walls: largest imbalance of the water in a step, relative",
                float(between["water_residual"].max()),
                bar="< 1e-9",
            ),
            Metric(
                "peak saved by the floodplain, median of the rivers",
                100 * float(saved.median()),
                unit="percent",
            ),
            Metric(
                f"peak saved at {case.titles[0]}",
                100 * float(first["peak_reduction"]),
                unit="percent",
            ),
            Metric(
                f"peak delayed at {case.titles[0]}",
                float(first["peak_delay"]) / 3600.0,
                unit="h",
            ),
            Metric(
                f"water held back at a time, at {case.titles[0]}",
                float(first["held_volume"]),
                unit="m3",
            ),
        ]
    )
    part.tables.append(_table(case, found))
    size = some["peak_without"]
    curve = retention_curve(size, saved)
    places = case.places[:2]
    part.figures += [
        plot_discharge(
            between["discharge"][:, places],
            {"with its floodplain": open_land["discharge"][:, places]},
            case.titles[:2],
            name="between_walls",
            reference_name="between walls",
            scored=False,
        ),
        plot_retention(size, saved, curve, label="peak between walls (m³ s⁻¹)"),
    ]
    part.notes.append(
        "Walls stand at every bank and no water leaves the channel; levels rise above "
        "any real wall. Rivers are nested, so the intervals of the retention curve, "
        "which take each for an independent flood, are too narrow. A few peaks grow "
        "with the floodplain, where it carries water that the channel could not."
    )
    return part


def _routed(
    network: RiverNetwork, runoff: xr.DataArray, settings: Settings
) -> xr.Dataset:
    """Return the discharge of every few hours."""
    return route(
        network,
        runoff,
        filled_channels(network, settings),
        settings=settings,
        output=f"{_HOURS}h",
        variables=["discharge"],
    )


def _finer(runoff: xr.DataArray) -> xr.DataArray:
    """Return daily means in shorter steps, each day the same all through."""
    pieces = 24 // _HOURS
    begin = runoff["time"].values
    parts = np.arange(pieces) * np.timedelta64(_HOURS, "h")
    return xr.DataArray(
        np.repeat(runoff.values, pieces, axis=0),
        coords={
            "time": (begin[:, None] + parts).ravel(),
            "catchment": runoff["catchment"].values,
        },
        dims=("time", "catchment"),
        attrs=runoff.attrs,
    )


def _table(case: Case, found: xr.Dataset) -> Table:
    """Return what the floodplain does at the places."""
    rows = []
    for title, place in zip(case.titles, case.places, strict=True):
        one = found.isel(catchment=place)
        rows.append(
            {
                "place": title,
                "peak": float(one["peak"]),
                "peak between walls": float(one["peak_without"]),
                "saved": 100 * float(one["peak_reduction"]),
                "delay of the peak": float(one["peak_delay"]) / 3600.0,
                "delay of the water": float(one["centroid_delay"]) / 3600.0,
                "held back": float(one["held_volume"]),
                "share held back": 100 * float(one["held_share"]),
            }
        )
    return Table(
        "retention",
        pd.DataFrame(rows),
        "What the floodplain does to the flood; the delay of the water is that of its "
        "mean over all days.",
        units={
            "peak": "m3 s-1",
            "peak between walls": "m3 s-1",
            "saved": "percent",
            "delay of the peak": "h",
            "delay of the water": "h",
            "held back": "m3",
            "share held back": "percent",
        },
        decimals={"peak": 0, "peak between walls": 0, "saved": 1, "share held back": 1},
    )
