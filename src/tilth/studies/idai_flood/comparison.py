"""The base run: beside CaMa-Flood at every catchment and day, and its speed."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import xarray as xr

from tilth.rivers.floods.animation import animate_flood
from tilth.rivers.floods.maps import plot_maps
from tilth.rivers.floods.plots import plot_discharge, plot_flow_duration
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings
from tilth.stats.flow_durations import flow_duration_bias
from tilth.stats.hydrographs import hydrograph_scores, peak_errors
from tilth.studies.idai_flood import figures
from tilth.studies.idai_flood.cases import PLACES, SAME, SETTINGS, Case
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Rivers that are scored: with a larger mean discharge, m3 s-1.
LEAST_MEAN = 5.0

#: What CaMa-Flood's run gave over the whole map and all 120 days: stored at the end
#: (m3), largest flooded area (km2) and its day, counted from 0.
_STORAGE, _AREA, _AREA_DAY = 5.607e8, 5119.0, 76

#: Of the places: mean and largest discharge (m3 s-1) and its day.
_DISCHARGE = {
    (29, 21): (None, 23_050.0, 76),
    (28, 27): (1155.91, 22_265.9, 77),
    (39, 30): (18.60, 229.5, 52),
}

#: CaMa-Flood's run of the same days with the same outer step: CPU seconds, and ns per
#: catchment and sub-step, on a machine of the same kind at another time.
_SECONDS, _NANOSECONDS = 14.7, 410.0


def base_run(case: Case, full: bool) -> Part:
    """Route the runoff, score it beside the reference, and draw it."""
    repeats = 3 if full else 1
    result, seconds = timed_run(case, SETTINGS, repeats)
    part = Part()
    if case.reference is None:
        part.metrics.append(_ledger(result))
        _alone(part, case, result)
    else:
        same, same_seconds = timed_run(case, SAME, repeats)
        part.metrics.append(_ledger(same, result))
        _scored(part, case, same, result, case.reference)
        if case.whole:
            part.metrics += _published(case, same)
        part.metrics += [
            *_speed(case, same, same_seconds, "sub-steps as CaMa-Flood's"),
            *_speed(case, result, seconds, "each basin its own sub-steps"),
        ]
        part.notes.append(
            "Speed: one thread, CPU time of the process, output of every day and "
            "variable included, the best of the runs made here. CaMa-Flood's figures "
            "were measured apart, on the same kind of machine, and include a log it "
            "writes. All catchments of its run take the sub-steps that one of them "
            "needs; where each basin takes its own there are fewer."
        )
    _animated(part, case, result, full)
    return part


def timed_run(case: Case, settings: Settings, repeats: int) -> tuple[xr.Dataset, float]:
    """Return a base run and its CPU seconds on one thread, the best of several."""

    def go(runoff: xr.DataArray) -> xr.Dataset:
        return route(case.network, runoff, case.state, settings=settings, threads=1)

    go(case.runoff[:2])  # compiles
    best = np.inf
    for _ in range(repeats):
        began = time.process_time()
        result = go(case.runoff)
        best = min(best, time.process_time() - began)
    return result, best


def _ledger(*results: xr.Dataset) -> Metric:
    """Return the largest imbalance of a step and basin in any of the runs."""
    return Metric(
        "base run: largest imbalance of the water in a step, relative",
        max(float(result["water_residual"].max()) for result in results),
        bar="< 1e-9",
    )


def _scored(
    part: Part,
    case: Case,
    result: xr.Dataset,
    local: xr.Dataset,
    reference: xr.Dataset,
) -> None:
    """Score every river that flows, and draw how good it is where."""
    ours, own = (
        x["discharge"].transpose("catchment", "time").values for x in (result, local)
    )
    theirs = reference["discharge"].transpose("catchment", "time").values.astype(float)
    known = np.isfinite(theirs).all(axis=1)
    mean = np.where(known, np.where(known[:, None], theirs, 0.0).mean(axis=1), np.nan)
    rivers = np.flatnonzero(mean > LEAST_MEAN)
    scores = hydrograph_scores(ours[rivers], theirs[rivers])
    own_nse = hydrograph_scores(own[rivers], theirs[rivers])["nse"]
    worst = rivers[int(np.argmin(own_nse))]
    size, late = _peaks(ours[rivers], theirs[rivers])
    stored = [float(x["storage"][-1].values[known].sum()) for x in (result, reference)]
    part.metrics += [
        Metric(
            "rivers scored: mean discharge above 5 m3/s",
            rivers.size,
            published=435 if case.whole else None,
            bar="within 0" if case.whole else None,
        ),
        Metric(
            "daily NSE against CaMa-Flood, the lowest of these rivers",
            float(scores["nse"].min()),
            bar=">= 0.99",
        ),
        Metric("daily NSE, median", float(np.median(scores["nse"])), bar=">= 0.99"),
        Metric("daily KGE, the lowest", float(scores["kge"].min())),
        Metric(
            "daily NSE, the lowest, each basin its own sub-steps",
            float(own_nse.min()),
            bar=">= 0.99",
        ),
        Metric("height of the peak, largest relative error", float(size)),
        Metric("rivers whose peak is on another day", late),
        Metric(
            "final storage where CaMa-Flood's is given, relative error",
            abs(stored[0] / stored[1] - 1.0),
            bar="<= 0.005",
        ),
    ]
    part.figures += [
        figures.efficiency(mean[rivers], scores["nse"], own_nse),
        plot_discharge(
            reference["discharge"][:, case.places],
            {"Tilth": result["discharge"][:, case.places]},
            case.titles,
            reference_name="CaMa-Flood",
        ),
        _peak_maps(case, result, reference),
        plot_flow_duration(
            {
                "CaMa-Flood": reference["discharge"][:, case.places[0]],
                "Tilth": result["discharge"][:, case.places[0]],
            }
        ),
    ]
    part.tables.append(_places(case, result, reference))
    row, column = (case.network.data[n].values[worst] for n in ("row", "column"))
    part.notes.append(
        f"With its own sub-steps the lowest NSE is at row {row}, column {column}, a "
        f"river of {mean[worst]:.0f} m3/s. Rivers below {LEAST_MEAN:g} m3/s are left "
        "out: where hardly anything flows, an efficiency divides by hardly anything."
    )


def _peaks(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, int]:
    """Return the largest relative error of a peak, and how many are on another day."""
    found = [
        peak_errors(a, b, [int(np.argmax(b))], window=5)
        for a, b in zip(ours, theirs, strict=True)
        if 0 < np.argmax(b) < b.size - 1
    ]
    size = max(abs(float(errors.relative_size[0])) for errors in found)
    return size, sum(bool(errors.delay[0] != 0) for errors in found)


def _peak_maps(case: Case, result: xr.Dataset, reference: xr.Dataset):
    """Draw the largest flood of each catchment, ours, theirs and the difference."""
    peaks = {
        who: data["flood_fraction"].max("time").assign_attrs(units="1")
        for who, data in (("Tilth", result), ("CaMa-Flood", reference))
    }
    return plot_maps(
        case.network,
        peaks,
        name="peak_flood",
        label="largest share under water",
        caption="Largest share of each unit catchment under water at the end of a day. "
        "CaMa-Flood's output is not given in the darker grey catchments.",
        difference=("Tilth", "CaMa-Flood"),
    )


def _places(case: Case, result: xr.Dataset, reference: xr.Dataset) -> Table:
    """Return the scores of the places that hydrographs are drawn of."""
    rows = []
    for place, (row, column) in zip(case.places, PLACES, strict=True):
        a, b = (
            x["discharge"][:, place].values.astype(float) for x in (result, reference)
        )
        scores = hydrograph_scores(a, b)
        rows.append(
            {
                "row, column": f"{row}, {column}",
                "mean": a.mean(),
                "mean of CaMa-Flood": b.mean(),
                "peak": a.max(),
                "peak of CaMa-Flood": b.max(),
                "day": int(a.argmax()),
                "day of CaMa-Flood": int(b.argmax()),
                "NSE": float(scores["nse"]),
                "KGE": float(scores["kge"]),
                "high-flow bias": float(flow_duration_bias(a, b)["high"]),
            }
        )
    flows = ("mean", "mean of CaMa-Flood", "peak", "peak of CaMa-Flood")
    return Table(
        "places",
        pd.DataFrame(rows),
        "Discharge of the places drawn; days are counted from 0 on 1 January 2019.",
        units=dict.fromkeys(flows, "m3 s-1"),
        decimals={"NSE": 6, "KGE": 6, "high-flow bias": 6} | dict.fromkeys(flows, 2),
    )


def _published(case: Case, result: xr.Dataset) -> list[Metric]:
    """Return what the reference run gave over the whole map, all days."""
    area = result["flooded_area"].sum("catchment").values / 1e6
    found = [
        Metric(
            "final storage of the whole map",
            float(result["storage"][-1].sum()),
            unit="m3",
            published=_STORAGE,
            bar="within 0.5 %",
        ),
        Metric(
            "largest flooded area",
            float(area.max()),
            unit="km2",
            published=_AREA,
            bar="within 0.5",
        ),
        Metric(
            "day of the largest flooded area, from 0",
            int(area.argmax()),
            published=_AREA_DAY,
            bar="within 0",
        ),
    ]
    for place, cell in zip(case.places, PLACES, strict=True):
        flow = result["discharge"][:, place].values
        mean, peak, day = _DISCHARGE[cell]
        where = f"row {cell[0]}, column {cell[1]}"
        if mean is not None:
            found.append(
                Metric(
                    f"{where}: mean discharge", float(flow.mean()), unit="m3 s-1",
                    published=mean, bar="within 0.1 %",
                )
            )  # fmt: skip
        found += [
            Metric(
                f"{where}: largest discharge", float(flow.max()), unit="m3 s-1",
                published=peak, bar="within 0.1 %",
            ),
            Metric(
                f"{where}: its day", int(flow.argmax()), published=day, bar="within 0"
            ),
        ]  # fmt: skip
    return found


def _speed(case: Case, result: xr.Dataset, seconds: float, how: str) -> list[Metric]:
    """Return how fast a run was, beside CaMa-Flood."""
    steps = float(result["substeps"].sum()) * case.network.size
    per_step = Metric(
        f"time of one catchment and sub-step on one core, {how}",
        1e9 * seconds / steps,
        unit="ns",
        published=_NANOSECONDS,
        bar="<= 60",
    )
    if not case.whole:
        return [per_step]
    whole = Metric(
        f"CPU time of the 120 days, {how}",
        seconds,
        unit="s",
        published=_SECONDS,
        bar="<= 4",
    )
    return [per_step, whole]


def _alone(part: Part, case: Case, result: xr.Dataset) -> None:
    """Say what a run without a reference can say."""
    area = result["flooded_area"].sum("catchment").values / 1e6
    part.metrics.append(Metric("largest flooded area", float(area.max()), unit="km2"))
    peak = result["flood_fraction"].max("time").assign_attrs(units="1")
    part.figures.append(
        plot_maps(
            case.network, {"made-up rivers": peak}, name="peak_flood",
            label="largest share under water",
            caption="Largest share of each unit catchment under water at the end of a "
            "day, on rivers made up under a storm made up.",
        )
    )  # fmt: skip


def _animated(part: Part, case: Case, result: xr.Dataset, full: bool) -> None:
    """Draw the flood as it comes and goes."""
    area = result["flooded_area"].sum("catchment").values
    peak = int(area.argmax())
    days = slice(max(peak - 16, 0), peak + 30, 1 if full else 3)
    part.figures.append(
        animate_flood(
            case.network,
            result["flood_fraction"].isel(time=days),
            discharge=result["discharge"].isel(time=days, catchment=case.places[0]),
        )
    )
