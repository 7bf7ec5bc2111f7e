"""Heights of a real station, arc by arc beside gnssrefl's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.report import Table
from tilth.gnss.reflectometry.heights import accepted, reflector_heights
from tilth.gnss.reflectometry.results_files import read_results
from tilth.gnss.reflectometry.settings import Settings, read_settings
from tilth.gnss.reflectometry.snr_files import read_snr
from tilth.studies.part import Part
from tilth.studies.reflected_permafrost.published import NEGATIVE_CONTROL, STATION
from tilth.studies.result import Metric

#: File of each day -> those of the days before and after.
_DAYS = {
    "gps_010.txt": (None, "mchl0100.25.snr66.gz", "mchl0110.25.snr66.gz"),
    "gps_011.txt": (
        "mchl0100.25.snr66.gz",
        "mchl0110.25.snr66.gz",
        "mchl0120_first2h.25.snr66.gz",
    ),
}

#: Day of files whose names do not tell it.
_DATES = {"mchl0120_first2h.25.snr66.gz": "2025-01-12"}

#: Arcs of two programs are one within this, h.
_NEAR = 0.05


def measure(folder: Path) -> Part:
    """Compare heights of two days with gnssrefl's.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset ``mchl-reflections``.

    Returns
    -------
    Part
        Metrics of both days together, and the negative control.
    """
    part = Part()
    air = folder / "mchl_refr.txt"
    grid = read_settings(folder / "mchl.json", air, peak="grid")
    usual = read_settings(folder / "mchl.json", air)
    rows: list[pd.DataFrame] = []
    fine: list[pd.DataFrame] = []
    for name, files in _DAYS.items():
        days = [_day(folder, file) for file in files]
        expected = read_results(folder / "expected" / name)
        for settings, found in ((grid, rows), (usual, fine)):
            ours = _heights(days, settings)
            found.append(_pairs(ours, expected).assign(day=name[4:7]))
    exact, default = pd.concat(rows), pd.concat(fine)
    control = _pairs(
        _heights([_day(folder, file) for file in _DAYS["gps_011.txt"]], grid),
        read_results(folder / "expected" / NEGATIVE_CONTROL),
    )
    number = sum(count for count, _ in STATION.values())
    part.metrics += [
        Metric("station: arcs that both accept", len(exact), published=number,
               bar="within 0"),
        Metric("station: arcs that one accepts alone",
               sum(day.attrs["alone"] for day in rows), bar="== 0"),
        Metric("station: largest difference of height, exact grid",
               _largest(exact, "height"), unit="m", bar="<= 0.0005"),
        Metric("station: share of heights within 5 mm, default",
               float((default["height"].abs() <= 0.005 + 1e-9).mean()),
               bar=">= 0.99"),
        Metric("station: largest difference of amplitude",
               _largest(exact, "amplitude"), unit="V V-1", bar="<= 0.02"),
        Metric("station: largest difference of peak to noise",
               _largest(exact, "peak"), bar="<= 0.03"),
        Metric("station: arcs with another number of samples",
               int((exact["samples"] != 0).sum()), bar="== 0"),
        Metric("negative control: largest difference of amplitude",
               _largest(control, "amplitude"), unit="V V-1", bar="> 0.02"),
    ]  # fmt: skip
    sizes = exact.assign(**exact[["height", "amplitude", "peak"]].abs())
    table = sizes.groupby(["day", "signal"])
    largest = table[["height", "amplitude", "peak"]].max()
    largest.insert(0, "arcs", table.size())
    part.tables.append(
        Table(
            "station",
            largest.reset_index(),
            "Arcs accepted by both programs, and the largest differences among them, "
            "with gnssrefl's grid of heights.",
            units={"height": "m", "amplitude": "V V-1"},
        )
    )
    return part


def _day(folder: Path, file: str | None) -> xr.Dataset | None:
    """Return the table of a day."""
    if file is None:
        return None
    return read_snr(folder / file, station="mchl", date=_DATES.get(file))


def _heights(days: list[xr.Dataset | None], settings: Settings) -> xr.Dataset:
    """Return the accepted arcs of the middle day."""
    before, day, after = days
    assert day is not None
    found = reflector_heights(day, previous=before, following=after, settings=settings)
    return accepted(found)


def _pairs(ours: xr.Dataset, theirs: xr.Dataset) -> pd.DataFrame:
    """Return differences, ours less theirs, of arcs that both have."""
    left, right = _plain(ours), _plain(theirs)
    rows = []
    for _, arc in right.iterrows():
        same = left[
            (left["satellite"] == arc["satellite"])
            & (left["signal"] == arc["signal"])
            & (left["rise"] == arc["rise"])
            & ((left["hour"] - arc["hour"]).abs() < _NEAR)
        ]
        if len(same) == 1:
            one = same.iloc[0]
            rows.append(
                {
                    "signal": str(int(arc["signal"])),
                    **{
                        name: one[name] - arc[name]
                        for name in ("height", "amplitude", "peak", "samples")
                    },
                }
            )
    found = pd.DataFrame(rows)
    found.attrs["alone"] = len(left) + len(right) - 2 * len(found)
    return found


def _plain(arcs: xr.Dataset) -> pd.DataFrame:
    """Return the columns that are compared."""
    names = {
        "satellite": "satellite",
        "signal": "signal",
        "rise": "rise",
        "gps_hour": "hour",
        "reflector_height": "height",
        "amplitude": "amplitude",
        "peak_to_noise": "peak",
        "observations": "samples",
    }
    return pd.DataFrame({new: arcs[old].values for old, new in names.items()})


def _largest(pairs: pd.DataFrame, name: str) -> float:
    return float(np.abs(pairs[name]).max())
