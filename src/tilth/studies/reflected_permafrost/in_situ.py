"""Snow, a lake and soil moisture by reflected signals, beside what others measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tilth.gnss.surface.moisture import soil_moisture
from tilth.gnss.surface.plots import plot_record
from tilth.gnss.surface.records import read_daily_heights, read_daily_phases
from tilth.gnss.surface.snow import snow_depth
from tilth.studies.part import Part
from tilth.studies.reflected_permafrost.published import LAKE, SNOW
from tilth.studies.result import Figure, Metric


def measure(folder: Path) -> Part:
    """Compare three records with what others measured.

    Parameters
    ----------
    folder : pathlib.Path
        Of the dataset ``reflection-records``.

    Returns
    -------
    Part
        Metrics and figures.
    """
    part = Part()
    _snow(part, folder)
    _lake(part, folder)
    _moisture(part, folder)
    return part


def _snow(part: Part, folder: Path) -> None:
    """Compare with the stakes at a pole on Niwot Ridge."""
    heights = read_daily_heights(folder / "nwot_dailyRH.txt")
    found = snow_depth(heights, previous_summer=False)
    rows = pd.read_csv(folder / "saddsnow.dw.data.csv.gz", dtype={"point_ID": str})
    pole = rows[rows["point_ID"] == "16"]
    stake = pd.Series(
        pole["depth_stake"].to_numpy(float) / 100.0, pd.DatetimeIndex(pole["date"])
    )
    ours = (found["bare_height"] - heights["reflector_height"]).to_series()
    ours.index = pd.DatetimeIndex(ours.index).floor("D")
    both = pd.concat([ours, stake], axis=1, join="inner", keys=[0, 1]).dropna()
    difference = both[0] - both[1]
    part.metrics += [
        Metric("snow: height above bare ground", float(found["bare_height"][0]),
               unit="m", published=SNOW["bare"], bar="within 0.0001"),
        Metric("snow: days with a stake reading", len(both), published=SNOW["days"],
               bar="within 0"),
        Metric("snow: bias beside the stake", float(difference.mean()), unit="m",
               published=SNOW["bias"], bar="within 0.001"),
        Metric("snow: standard deviation beside the stake",
               float(difference.std(ddof=0)), unit="m", published=SNOW["sd"],
               bar="within 0.001"),
        Metric("snow: correlation with the stake", float(both[0].corr(both[1])),
               published=SNOW["correlation"], bar="within 0.001"),
    ]  # fmt: skip
    drawn = plot_record(
        found["time"].values,
        found["snow_depth"].values,
        found["snow_depth_se"].values,
        stake,
        label="snow depth, m",
        names=("reflected signals", "stake"),
    )
    part.figures.append(
        Figure.draw(
            "snow",
            drawn,
            "Snow depth at Niwot Ridge by reflected signals (95 % band) and at the "
            "stake of pole 16, which stands some way off.",
            "Seven winters; stake readings follow the curve, a little above it.",
        )
    )


def _lake(part: Part, folder: Path) -> None:
    """Compare with the gauge of Lake Superior at Michipicoten."""
    heights = read_daily_heights(folder / "mchn-avg2013.txt")
    lines = (folder / "michipicoten_10750_2013_slev.csv").read_text().splitlines()
    words = [line.split(",") for line in lines if line[:2] == "20"]
    level = pd.Series(
        [float(row[1]) if row[1] else np.nan for row in words],
        pd.DatetimeIndex([row[0] for row in words]),
    )
    height = heights["reflector_height"].to_series()
    height.index = pd.DatetimeIndex(height.index).floor("D")
    both = pd.concat([height, level], axis=1, join="inner", keys=[0, 1]).dropna()
    slope = float(np.polyfit(both[1], both[0], 1)[0])
    # The record has no datum: the antenna's height above the gauge's zero is the mean.
    antenna = float((both[0] + both[1]).mean())
    part.metrics += [
        Metric("lake: days with a gauge reading", len(both), published=LAKE["days"],
               bar="within 0"),
        Metric("lake: correlation of height and level",
               float(both[0].corr(both[1])), published=LAKE["correlation"],
               bar="within 0.0002"),
        Metric("lake: slope of height on level", slope, published=LAKE["slope"],
               bar="within 0.001"),
        Metric("lake: standard deviation beside the gauge",
               float((both[0] + both[1]).std(ddof=0)), unit="m", published=LAKE["sd"],
               bar="within 0.0002"),
    ]  # fmt: skip
    drawn = plot_record(
        heights["time"].values,
        antenna - heights["reflector_height"].values,
        heights["reflector_height_se"].values,
        level,
        label="level, m",
        names=("reflected signals", "gauge"),
    )
    part.figures.append(
        Figure.draw(
            "lake",
            drawn,
            "Level of Lake Superior at Michipicoten in 2013 by daily reflector heights "
            "(95 % band) and at the gauge; the zero is that of the gauge.",
            "Both lines rise together by half a metre from April to August.",
        )
    )


def _moisture(part: Part, folder: Path) -> None:
    """Compare with the published moisture of Mitchell."""
    daily = read_daily_phases(folder / "mchl_phase.txt")
    moisture = soil_moisture(daily, hemisphere="south")["soil_moisture"].values
    published = np.loadtxt(folder / "mchl_vwc_anomaly.txt", comments="%")[:, 3]
    anomaly = moisture - np.median(moisture)
    part.metrics.append(
        Metric(
            "soil moisture: largest difference from the published series",
            float(np.abs(anomaly - published).max()),
            unit="m3 m-3",
            bar="<= 0.001",
        )
    )
