"""The article's claims on the fleet's own published hourly fluxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.effects import paired_effects
from tilth.chambers.readers.fleet_soil import read_soil_pco2
from tilth.chambers.readers.fleet_table import read_fleet_efflux
from tilth.chambers.soil.diffusion import clogged_mask
from tilth.chambers.soil.fick import fick_predictor, fick_regression, validate_fick_fill
from tilth.core.datasets import data_folders, info, locate
from tilth.core.errors import DatasetError
from tilth.core.flags import is_flagged
from tilth.studies.fluxmeters_2023 import figures
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

#: Hours in which one cycle exceeded this are left out, umol m-2 s-1. It is 50 in the
#: published scale: the cut at which the paired ratios were first computed.
_WILD = 50.0 / 3.0

#: Soil CO2 taken for Fick's law, umol mol-1: above outdoor air, below nonsense. The
#: sensor rails at 40,000; values there are kept, as in the published comparison.
_SOIL_CO2 = (400.0, 60_000.0)

#: A variant has four pots and each closes every ten minutes.
_CYCLES_PER_HOUR = 24

#: UTC hours that are dark from July to December, so that all cycles could count.
_DEEP_NIGHT = (22, 23, 0, 1, 2)

#: Firmware version 6, with its longer closures, went out on this day.
_FIRMWARE_6 = pd.Timestamp("2023-10-22")


@dataclass(frozen=True)
class Fleet:
    """The published tables, read and repaired."""

    efflux: xr.Dataset
    soil: xr.Dataset | None
    source: str


def load() -> tuple[Fleet | None, str]:
    """Find the published tables: the whole workbook, or the part of it.

    A workbook or table of the fleet that lies in the dataset's folder is taken even
    where it is not the registered copy; the source then says so.

    Returns
    -------
    fleet : Fleet or None
        None where neither can be had.
    why : str
        Why not, in that case.
    """
    why = ""
    for name in ("carbdown-greenhouse-workbook", "carbdown-greenhouse"):
        about = info(name)
        try:
            folder = locate(name)
            file = folder / next(f.path for f in about.files if "efflux" in f.path)
            return _read(file, f"{name} ({about.citation})"), ""
        except DatasetError as error:
            why = str(error)
        for base in data_folders():
            kind = "xlsx" if name.endswith("workbook") else "csv*"
            found = sorted((base / about.folder).glob(f"*efflux*.{kind}"))
            if found:
                source = f"{found[0].name}, not the registered copy of {name}"
                return _read(found[0], f"{source} ({about.citation})"), ""
    return None, why


def _read(file: Path, source: str) -> Fleet:
    """Read and repair the fluxes, and the soil CO2 that lies beside them."""
    soils = sorted(file.parent.glob("*soil*pCO2*.xlsx"))
    soils += sorted(file.parent.glob("soil_pco2*.csv*"))
    soil = read_soil_pco2(soils[0]) if soils else None
    return Fleet(read_fleet_efflux(file, repair=True), soil, source)


def reproduce(fleet: Fleet) -> Part:
    """Hold every claim that the table can carry against it."""
    efflux = fleet.efflux
    hours = pd.DataFrame(
        {
            "time": efflux["time"].values,
            "table": efflux["table"].values,
            "variant": efflux["variant"].values,
            "flux": efflux["efflux"].values,
            "flux_max": efflux["efflux_max"].values,
            "n": efflux["n_cycles"].values,
            "co2_start": efflux["co2_start"].values,
            "outlier": is_flagged(efflux["efflux_flag"], "outlier").values,
        }
    )
    part = Part()
    _repair(part, fleet, hours)
    kept = hours[hours["flux_max"] < _WILD]
    _effects(part, kept)
    _missing_cycles(part, hours)
    if fleet.soil is not None:
        _fick(part, kept, fleet.soil)
    return part


def _repair(part: Part, fleet: Fleet, hours: pd.DataFrame) -> None:
    """Show the evidence for both repairs, and the article's mean where it is there."""
    attrs = fleet.efflux.attrs
    as_published = len(set(fleet.efflux["variant_as_published"].values))
    variants = hours["variant"].nunique()
    tables = ", ".join(sorted(hours["table"].unique(), key=int))
    part.metrics += [
        Metric(
            "variants with their true code",
            variants,
            published=as_published,
            bar=f"> {as_published}",
        ),
        Metric(
            "share of values that are exact multiples of 0.0003",
            attrs["fraction_exact_multiples"],
            bar="== 1",
        ),
    ]
    if "7.1" in set(hours["variant"]):
        own = hours.loc[hours["variant"] == "7.1", "flux"]
        part.metrics.append(
            Metric(
                "mean efflux of variant 7.1, filtered",
                own.mean(),
                unit="umol m-2 s-1",
                published=0.78,
                bar="within 3 %",
            )
        )
    else:
        part.notes.append(
            f"The table at hand holds tables {tables} only: the article's mean of "
            "variant 7.1 (0.78 umol m-2 s-1) is checked with the whole workbook."
        )
    part.metrics.append(
        Metric("hours with an outlying flux in the filtered table", hours.outlier.sum())
    )
    part.notes += [
        f"Restored variants (rows): {attrs['variants_restored_by_id']}. The unit in "
        "the table's header is mmol/s/m2; its values divided by three are taken as "
        "umol m-2 s-1. The owner has not confirmed this.",
        f"Hours in which one cycle exceeded {_WILD:.1f} umol m-2 s-1 are left out of "
        "effects and of Fick's law, as in the first analysis of the ratios.",
    ]


def _effects(part: Part, hours: pd.DataFrame) -> None:
    """Compare every variant with the control of its table, hour by hour."""
    rows = hours[["time", "variant", "flux", "n"]]
    effects = paired_effects(rows)
    known = effects.dropna(subset=["lower"])
    clear = known[(known["lower"] > 1) | (known["upper"] < 1)]
    inside = known["ratio"].between(1.2, 1.6)
    flips = effects[effects["naive_flips_sign"].fillna(False).astype(bool)]
    part.metrics += [
        Metric("variants compared with their control", len(known)),
        Metric(
            "variants whose interval leaves out no effect", len(clear), published=None
        ),
        Metric(
            "variants whose ratio lies in the article's range",
            inside.sum(),
            published="20-60 % higher",
        ),
        Metric("variants where the unpaired ratio flips the sign", len(flips)),
    ]
    part.tables.append(
        Table(
            "paired_effects",
            effects.reset_index().drop(columns=["log_ratio"]),
            "Ratio of each variant to the control of its table, paired by the hour, "
            "with the interval of a bootstrap over whole days. It tells how steady the "
            "ratio of these pots is, not how other pots would differ.",
            units={"mean": "umol m-2 s-1", "mean_control": "umol m-2 s-1"},
            decimals={
                "mean": 3, "mean_control": 3, "ratio": 3, "lower": 3, "upper": 3,
                "naive_ratio": 3,
            },
        )
    )  # fmt: skip
    part.figures.append(figures.effects(known))


def _missing_cycles(part: Part, hours: pd.DataFrame) -> None:
    """Count the cycles a dark hour lacks: what filters and failures took together."""
    night = hours[hours["time"].dt.hour.isin(_DEEP_NIGHT)].copy()
    night["missing"] = 1 - (night["n"] / _CYCLES_PER_HOUR).clip(upper=1)
    night["week"] = night["time"].dt.to_period("W-SUN").dt.start_time
    weekly = night.groupby(["week", "table"])["missing"].mean().unstack()
    autumn = night[night["time"] >= "2023-09-01"]
    before = autumn.loc[autumn["time"] < _FIRMWARE_6, "missing"].mean()
    november = (autumn["time"] >= "2023-11-01") & (autumn["time"] < "2023-12-01")
    after = autumn.loc[november, "missing"].mean()
    part.metrics += [
        Metric(
            "cycles missing in dark hours, September to 21 October",
            before,
            published="5-20 % filtered",
        ),
        Metric("cycles missing in dark hours, November", after, bar=f"< {before:.3f}"),
    ]
    part.tables.append(
        Table(
            "missing_cycles",
            weekly.reset_index(),
            "Share of the 24 cycles of a variant that a dark hour (22-03 UTC) lacks, "
            "by week and table. The published table is already filtered and does not "
            "say what was taken: a device that was off counts here as well, and an "
            "hour that lost all its cycles does not: it is not in the table.",
            decimals={str(c): 2 for c in weekly.columns},
        )
    )
    part.figures.append(figures.missing_cycles(weekly, _FIRMWARE_6))


def _fick(part: Part, hours: pd.DataFrame, soil: xr.Dataset) -> None:
    """Regress daily flux on the CO2 difference between soil and air, per soil."""
    pairs = _daily_pairs(hours, soil)
    # Where one table holds several soils its label names them; a variant has one.
    labels = pd.DataFrame({n: soil[n].values for n in ("table", "treatment")})
    several = {
        str(table): _names_soils(own)
        for table, own in labels.groupby("table")["treatment"]
    }
    pairs["soils"] = [several[table] for table in pairs["table"]]
    pairs["soil"] = np.where(pairs["soils"], pairs["variant"], pairs["table"])
    by_table = fick_regression(pairs, by="table", pool=True)
    by_table["one_soil"] = [not several[str(table)] for table in by_table.index]
    gaps: dict[str, pd.Series] = {}
    for table, rows in pairs[~pairs["soils"]].groupby("table"):
        x = fick_predictor(rows["soil_co2"], rows["air_co2"])
        gaps[str(table)] = validate_fick_fill(x, rows["flux"], rows["time"])
        fit = by_table.loc[[table]].iloc[0].to_dict()
        part.metrics += [
            Metric(
                f"Fick's law, table {table}: correlation",
                fit["r"],
                published="linear",
                bar=">= 0.5",
            ),
            Metric(
                f"Fick's law, table {table}: flux per 1000 ppm",
                1e3 * fit["slope"],
                1e3 * fit["slope_se"],
                "umol m-2 s-1",
            ),
        ]
    for name, row in by_table[~by_table["one_soil"]].iterrows():
        part.metrics.append(
            Metric(f"pooling the soils of table {name}: correlation", row["r"])
        )
    filled = pd.DataFrame(gaps).T
    if len(filled):
        part.metrics += [
            Metric(
                "gaps filled from soil CO2: median skill over the mean",
                filled["skill"].median(),
                bar="> 0",
            ),
            Metric(
                "gaps filled from soil CO2: share inside the 95 % interval",
                np.average(filled["coverage"], weights=filled["n"]),
                published=0.95,
                bar="within 0.05",
            ),
        ]
    part.tables.append(
        Table(
            "fick",
            by_table.join(filled[["skill", "coverage"]]).reset_index(),
            "Daily flux on the CO2 difference between soil and chamber air. Tables "
            "with one soil each; several soils pooled in one line have no law in "
            "common. Skill and coverage: gaps of three days filled by the law of the "
            "other days.",
            units={
                "slope": "umol m-2 s-1 ppm-1",
                "slope_se": "umol m-2 s-1 ppm-1",
                "intercept": "umol m-2 s-1",
                "intercept_se": "umol m-2 s-1",
                "residual_sd": "umol m-2 s-1",
            },
        )
    )
    part.figures.append(figures.fick(pairs[~pairs["soils"]], by_table))


def _names_soils(treatments: pd.Series) -> bool:
    """Return whether the labels of a table tell soils apart ("NoRock.0 Kehl")."""
    own = treatments[treatments.str.startswith("NoRock")]
    return len(set(own)) > 1


def _daily_pairs(hours: pd.DataFrame, soil: xr.Dataset) -> pd.DataFrame:
    """Daily mean flux and soil CO2 of each variant, clogged pots masked."""
    day = hours["time"].dt.floor("D").rename("day")
    flux = hours.groupby(["table", "variant", day]).agg(
        flux=("flux", "mean"), air_co2=("co2_start", "mean")
    )
    low, high = _SOIL_CO2
    values = soil["soil_co2"].values
    sound = (values > low) & (values <= high)
    daily = pd.DataFrame(
        {
            "table": soil["table"].values,
            "variant": soil["variant"].values,
            "day": pd.DatetimeIndex(soil["time"].values).floor("D"),
            "soil_co2": values,
        }
    )[sound]
    keys = ["table", "variant", "day"]
    means = daily.groupby(keys)["soil_co2"].mean()
    pairs = flux.join(means, how="inner").reset_index().rename(columns={"day": "time"})
    pairs = pairs[~clogged_mask(pairs["flux"], pairs["soil_co2"])]
    return pairs.assign(gradient=pairs["soil_co2"] - pairs["air_co2"])
