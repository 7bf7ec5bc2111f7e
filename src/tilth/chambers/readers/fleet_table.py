"""The fleet's published hourly fluxes of 2023, and the two defects of that table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.quality.outliers import outliers
from tilth.chambers.readers.fleet_columns import (
    KEY,
    FleetColumns,
    as_text,
    find_columns,
    numbers,
)
from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import stamp
from tilth.core.units import convert_values

#: Raised per row of the fleet's table (``efflux_flag``).
FLEET_FLAGS = FlagTable(
    {
        "bad_value": "a cell could not be read as a number",
        "repeated_key": "another row has the same variant and hour",
        "hour_mismatch": "the time of receipt is not in the hour of the key",
        "variant_restored": "the published variant had lost digits: taken from the key",
        "light_error_code": "light reported as -1, an error code of the sensor",
        "daylight": "light above the night limit of 10 lux",
        "implausible_light": "light above 150 klux",
        "implausible_humidity": "relative humidity outside 0..100 %",
        "implausible_temperature": "air temperature outside -60..55 degC",
        "implausible_pressure": "air pressure outside 30..110 kPa",
        "implausible_concentration": "CO2 at closing outside 300..10000 ppm",
        "inconsistent_statistics": "mean not between minimum and maximum",
        "single_cycle": "the hour rests on one chamber cycle",
        "outlier": "flux far outside its neighbours in time",
    }
)

#: The published values are three times a flux of four decimals: 3 x 0.0001.
_QUANTUM = 3e-4

#: The fleet's rule leaves out fluxes below 0.1 umol m-2 s-1; three times that.
_FLOOR = 0.3

#: Values needed to tell the scale: by chance a third of four-decimal numbers are
#: multiples of three, so that thirteen of them all are in one table of 1.6 million.
_ENOUGH = 13

#: Ten times the largest annual soil respiration on record (4 kg C m-2 yr-1 is 10 umol
#: m-2 s-1; Bond-Lamberty and Thomson 2010): above it the label is wrong, not the soil.
_IMPOSSIBLE_MEDIAN = 100.0

#: Variable -> role, unit in the file, unit kept, low, high, flag. CO2: outdoor air has
#: 420 ppm and the SCD30 is specified for 400-10000 ppm, +-(30 ppm + 3 %).
_CHECKED = {
    "relative_humidity": ("humidity", "%", "%", 0, 100, "implausible_humidity"),
    "temperature": ("temperature", "degC", "degC", -60, 55, "implausible_temperature"),
    "pressure": ("pressure", "hPa", "Pa", 30e3, 110e3, "implausible_pressure"),
    "light": ("light", "lux", "lux", 0, 150e3, "implausible_light"),
    "co2_start": ("co2", "ppm", "umol mol-1", 300, 1e4, "implausible_concentration"),
}


#: Role -> numbers, and where a cell was none.
_Spread = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Scale:
    """What the numbers themselves say about unit and scale."""

    exact: float
    floor: float
    tripled: bool
    mislabelled: bool
    factor: float


def read_fleet_efflux(
    path: str | os.PathLike[str], *, repair: bool = False
) -> xr.Dataset:
    """Read the fleet's published hourly fluxes per variant.

    Takes the published workbook ("Carbdown Greenhouse CO2 efflux data 2023 (hourly
    averages per variant, ...).xlsx") or a CSV of it, with the columns recognised by
    their content and headers. That table has two defects, found by evidence:

    *Variants collapsed.* The variant was stored as a number: 3.11, 5.10 and 6.10
    appear as 3.1, 5.1 and 6.1 and mix two treatments. The unique key of each row,
    ``VARIANT-YYYY.MM.DD-HH:MM``, still holds the true text.

    *Unit and scale.* The header says mmol/s/m2, which would be a thousand times what
    soils do, and every flux is an exact multiple of 0.0003 with a floor of 0.3: three
    times a flux in umol m-2 s-1 of four decimals with the fleet's floor of 0.1. The
    repaired mean of variant 7.1 is 0.787, the article prints 0.78. The owner has not
    confirmed it; both columns are therefore kept.

    Parameters
    ----------
    path : path
        The workbook (.xlsx) or a CSV of it.
    repair : bool, optional
        Repair the defects that are found. A file without them is never changed.

    Returns
    -------
    xarray.Dataset
        Dimension ``row``. Coordinates: ``time`` (UTC hour), ``variant``, ``table``,
        ``replica`` (if the keys have one), ``key``, ``variant_as_published``.
        Variables: ``efflux``, ``efflux_sd`` (between the cycles of the hour),
        ``efflux_min``, ``efflux_max`` in umol m-2 s-1, ``efflux_as_published``,
        ``n_cycles``, ``relative_humidity``, ``temperature``, ``pressure``, ``light``,
        ``co2_start`` and ``efflux_flag``. The evidence is in the attributes.

    Raises
    ------
    InputError
        If a defect is found and `repair` is False, or it is another kind of file.

    References
    ----------
    Paessler et al., Zenodo, doi:10.5281/zenodo.18360183 (the table, MIT licence).
    """
    found = find_columns(path)
    name = Path(path).name
    rows = len(found.cells["key"])
    key = [str(cell).strip() for cell in found.cells["key"]]
    parts = pd.Series(key, dtype="str").str.extract(KEY)
    role = "variant_as_published"
    published = [
        as_text(cell)
        for cell in found.cells.get(
            role, found.cells.get("variant", found.cells["key"])
        )
    ]
    if role not in found.cells and "variant" not in found.cells:
        published = list(parts["variant"])
    labels = parts["variant"] + ("." + parts["replica"]).fillna("")
    lost = np.array(
        [
            p not in (v, full)
            for p, v, full in zip(published, parts["variant"], labels, strict=True)
        ]
    )
    flux, bad = numbers(found.cells["flux"])
    spread: _Spread = {
        role: numbers(found.cells[role])
        for role in ("sd", "min", "max", "count")
        if role in found.cells
    }
    scale = _scale_of(name, flux, spread, found.unit)
    if not repair:
        _refuse(name, published, list(parts["variant"]), lost, scale, found)
    stamps = pd.to_datetime(
        parts["date"] + " " + parts["hour"], format="%Y.%m.%d %H:%M", errors="coerce"
    )
    time = pd.DatetimeIndex(stamps).as_unit("ns")
    raised: dict[str, np.ndarray] = {
        "bad_value": bad,
        "repeated_key": pd.Series(key).duplicated(keep=False).to_numpy(),
        "variant_restored": lost,
    }
    data = xr.Dataset(
        coords={
            "time": ("row", time, {"long_name": "hour of measurement, UTC"}),
            "variant": ("row", parts["variant"].to_numpy(object)),
            "table": ("row", parts["table"].to_numpy(object)),
            "key": ("row", np.array(key, object)),
            "variant_as_published": ("row", np.array(published, object)),
        }
    )
    if parts["replica"].notna().any():
        data = data.assign_coords(
            replica=("row", parts["replica"].fillna("").to_numpy(object))
        )
    _add_fluxes(data, flux, spread, scale, found, raised)
    _add_conditions(data, found, raised)
    if "received" in found.cells:
        _add_receipt(data, found.cells["received"], time, raised)
    usable = np.isfinite(flux)
    raised["outlier"] = np.zeros(rows, bool)
    raised["outlier"][usable] = outliers(
        time[usable], parts["variant"].to_numpy(object)[usable], flux[usable]
    )
    data["efflux_flag"] = (
        "row",
        FLEET_FLAGS.variable(raised, (rows,)),
        FLEET_FLAGS.attrs(),
    )
    data.attrs |= _evidence(parts["variant"], lost, scale, found)
    return stamp(data, f"read_fleet_efflux({name}, repair={repair})", [path])


def _scale_of(
    name: str,
    flux: np.ndarray,
    spread: _Spread,
    unit: str,
) -> _Scale:
    """Weigh the evidence on unit and scale."""
    values = np.concatenate(
        [flux, *(spread[r][0] for r in ("min", "max") if r in spread)]
    )
    values = values[np.isfinite(values)]
    if len(values) < _ENOUGH:
        raise InputError(
            f"{name} holds {len(values)} fluxes: too few to tell whether they are "
            f"published in true units (at least {_ENOUGH} are needed)"
        )
    quanta = values / _QUANTUM
    exact = float(np.mean(np.abs(quanta - np.round(quanta)) < 1e-3))
    floor = float(values.min())
    tripled = exact > 0.999 and floor >= _FLOOR - 1e-9
    milli = unit.lower().startswith("mmol")
    median = float(np.median(values)) / (3.0 if tripled else 1.0)
    mislabelled = milli and median * 1000 > _IMPOSSIBLE_MEDIAN
    if not unit and not tripled:
        raise InputError(
            f"{name} states no unit for its fluxes and the numbers do not show one: "
            "write it into the header, for example 'efflux [umol/s/m2]'"
        )
    if unit.lower().startswith("nmol"):
        factor = 1e-3
    else:
        factor = 1000.0 if milli and not mislabelled else 1.0
    return _Scale(
        exact, floor, tripled, mislabelled, factor / (3.0 if tripled else 1.0)
    )


def _refuse(
    name: str,
    published: list[str],
    true: list[str],
    lost: np.ndarray,
    scale: _Scale,
    found: FleetColumns,
) -> None:
    """Raise if the file has a defect, naming the evidence and the way out."""
    reasons = []
    if lost.any():
        i = int(np.flatnonzero(lost)[0])
        reasons.append(
            f"{int(lost.sum())} of {len(lost)} variants lost digits because they were "
            f"stored as numbers (published {published[i]!r}, key {true[i]!r})"
        )
    if scale.tripled:
        reasons.append(
            f"{scale.exact:.1%} of the fluxes are exact multiples of 0.0003 with the "
            f"floor {scale.floor:.4f}: they are three times the flux in umol m-2 s-1"
        )
    if scale.mislabelled:
        reasons.append(
            f"the header says {found.unit!r}, which no soil reaches: it is umol"
        )
    if reasons:
        raise InputError(
            f"{name} has known defects: {'; '.join(reasons)}. Read it with repair=True "
            "to correct them (the published values are kept beside)"
        )


def _add_fluxes(
    data: xr.Dataset,
    flux: np.ndarray,
    spread: _Spread,
    scale: _Scale,
    found: FleetColumns,
    raised: dict[str, np.ndarray],
) -> None:
    """Add the fluxes, true and as published, and how they scatter in the hour."""
    units = {"units": "umol m-2 s-1"}
    data["efflux"] = (
        "row",
        flux * scale.factor,
        {**units, "long_name": "CO2 efflux, mean of the hour's chamber cycles"},
    )
    said = found.unit or "no unit"
    data["efflux_as_published"] = (
        "row",
        flux,
        {
            "units": "1" if scale.tripled or scale.mislabelled else "umol m-2 s-1",
            "long_name": "CO2 efflux, number as published",
            "comment": f"the published header says: {said}",
        },
    )
    long_names = {
        "sd": "standard deviation between the cycles of the hour",
        "min": "smallest cycle of the hour",
        "max": "largest cycle of the hour",
    }
    for role, long_name in long_names.items():
        if role in spread:
            values, bad = spread[role]
            attrs = {**units, "long_name": f"CO2 efflux, {long_name}"}
            data[f"efflux_{role}"] = ("row", values * scale.factor, attrs)
            raised["bad_value"] = raised["bad_value"] | bad
    if "count" in spread:
        count, bad = spread["count"]
        attrs = {"units": "1", "long_name": "chamber cycles in the hour"}
        data["n_cycles"] = ("row", count, attrs)
        raised["bad_value"] = raised["bad_value"] | bad
        raised["single_cycle"] = count == 1
    if {"min", "max"} <= set(spread):
        low, high = spread["min"][0], spread["max"][0]
        raised["inconsistent_statistics"] = (flux < low - 1e-9) | (flux > high + 1e-9)


def _add_conditions(
    data: xr.Dataset, found: FleetColumns, raised: dict[str, np.ndarray]
) -> None:
    """Add humidity, temperature, pressure, light and CO2 at closing, each checked."""
    for name, (role, unit, kept, low, high, word) in _CHECKED.items():
        if role not in found.cells:
            continue
        values, bad = numbers(found.cells[role])
        raised["bad_value"] = raised["bad_value"] | bad
        values = np.asarray(convert_values(values, unit, kept))
        if name == "light":
            raised["light_error_code"] = values < 0
            raised["daylight"] = values > 10  # the article's night filter
            values = np.where(values < 0, np.nan, values)
        raised[word] = (values < low) | (values > high)
        data[name] = (
            "row",
            values,
            {"units": kept, "long_name": f"{name}, at closing"},
        )


def _add_receipt(
    data: xr.Dataset,
    cells: np.ndarray,
    time: pd.DatetimeIndex,
    raised: dict[str, np.ndarray],
) -> None:
    """Add when the first message of the hour came in; it must lie in that hour."""
    stamps = pd.to_datetime(
        pd.Series(cells, dtype=object), errors="coerce", format="ISO8601"
    )
    received = pd.DatetimeIndex(stamps).as_unit("ns")
    data["received"] = (
        "row",
        received,
        {"long_name": "first message of the hour, UTC"},
    )
    late = received.floor("h") != time.floor("h")
    raised["hour_mismatch"] = np.asarray(late & received.notna())


def _evidence(
    variant: pd.Series, lost: np.ndarray, scale: _Scale, found: FleetColumns
) -> dict[str, object]:
    """Return what was found and done, for the attributes."""
    restored = variant[lost].value_counts()
    return {
        "bad_rows": found.bad_rows,
        "variants_restored": int(lost.sum()),
        "variants_restored_by_id": "; ".join(f"{v}: {n}" for v, n in restored.items()),
        "unit_as_published": found.unit,
        "fraction_exact_multiples": scale.exact,
        "floor_as_published": scale.floor,
        "scale_factor_applied": scale.factor,
        "unit_label_corrected": int(scale.mislabelled),
        "uncertainty": (
            "none published: efflux_sd is the scatter between cycles of several pots; "
            "cycles of one pot are not independent, so sd/sqrt(n) is no standard error"
        ),
    }
