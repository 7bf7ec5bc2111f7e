"""One closure to look at: its readings and the curve, from journal or archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.air import as_fitted
from tilth.chambers.fits.flux import fluxes
from tilth.chambers.plots import curves_of, is_fitted
from tilth.core.errors import InputError
from tilth.core.typeset import number_text
from tilth.fleet.live_closures import CHANNELS, Records
from tilth.fleet.live_closures import Cycle as ToldCycle
from tilth.fleet.live_rows import closures_at
from tilth.web.model import Cycle, CycleReadings

#: A CO2 value with one of these flags is none: checksum, missing, warm-up.
_BAD_CO2, _BAD_PRESSURE, _BAD_LIGHT = 2 | 4 | 8, 16, 32

#: Points of the curve that is drawn.
_CURVE = 80


def closure_readings(
    service: Any, row: Mapping[str, Any], cycle: Cycle
) -> CycleReadings | None:
    """Return the readings of a closure with its curve.

    The curve is fitted again with the settings of today, as the dry mole fraction
    that fluxes are computed from, so that readings and curve lie on each other.

    Parameters
    ----------
    service : tilth.fleet.service.FleetService
        Its archive gives the samples, sealed or not.
    row : mapping
        Of the table of fluxes.
    cycle : Cycle
        The same, as the pages show it.

    Returns
    -------
    CycleReadings or None
        None where no sample of it is stored any more.
    """
    live = service.live
    told = ToldCycle(
        device=cycle.device,
        boot=cycle.boot,
        seq=cycle.seq,
        boot_id=0,
        t=cycle.t,
        tick=row["close_tick"],
        recv=row["recv"] or 0,
        close=row["close_tick"],
        open=row["open_tick"],
        body={"loc": row["loc_sent"]},
    )
    records = _records(service.archive, told, live.settings.lead_ms)
    if not len(records.tick):
        return None
    try:
        closures = closures_at([told], [records], live.settings, service.locate, {})
        fit = fluxes(closures, "co2", live.settings.flux)
        readings = as_fitted(closures, "co2").isel(closure=0)
    except InputError as error:
        return CycleReadings(
            cycle, *_nothing(records, told), {"Not fitted": str(error)}
        )
    one = fit.isel(closure=0)
    elapsed = readings["elapsed"].to_numpy()
    co2 = readings["co2"].to_numpy()
    known = np.isfinite(elapsed) & np.isfinite(co2)
    elapsed, co2 = elapsed[known], co2[known]
    curve = curves_of(one).get(cycle.model)
    at = np.linspace(0.0, max(elapsed.max(initial=1.0), 1.0), _CURVE)
    drawn = np.asarray(curve(at)) if curve else np.array([])
    return CycleReadings(
        cycle=cycle,
        elapsed=elapsed,
        co2=co2,
        used=is_fitted(one, elapsed),
        fit_elapsed=at if curve else np.array([]),
        fit_co2=drawn,
        facts=_facts(row, one),
    )


def _records(archive: Any, told: ToldCycle, lead_ms: int) -> Records:
    """Return the samples around a closure."""
    assert told.t is not None
    table = archive.records(
        "samples",
        told.t - lead_ms - 60_000,
        told.t + (told.open - told.close) + 60_000,
        [told.device],
        ["boot", "seq", "tick", "flags", *(column for column, _ in CHANNELS.values())],
    ).to_pandas()
    begin = told.close - lead_ms
    table = table[
        (table["boot"].astype(str) == told.boot)
        & table["tick"].between(begin, told.open)
    ].sort_values("seq")
    flags = table["flags"].to_numpy(np.int64)
    channels = {
        name: table[column].to_numpy(float) * factor
        for name, (column, factor) in CHANNELS.items()
    }
    for name, bad in (
        ("co2", _BAD_CO2),
        ("pressure", _BAD_PRESSURE),
        ("light", _BAD_LIGHT),
    ):
        channels[name][(flags & bad) != 0] = np.nan
    return Records(
        table["tick"].to_numpy(np.int64), table["seq"].to_numpy(np.int64), channels
    )


def _nothing(
    records: Records, told: ToldCycle
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the readings as they came, without a curve."""
    elapsed = (records.tick - told.close) / 1000.0
    empty = np.array([])
    return elapsed, records.channels["co2"], np.zeros(len(elapsed), bool), empty, empty


def _facts(row: Mapping[str, Any], fit: xr.Dataset) -> dict[str, str]:
    """Return what a page says about a fit."""

    def text(value: Any, decimals: int, units: str) -> str:
        known = value is not None and np.isfinite(value)
        return f"{number_text(float(value), decimals)} {units}" if known else "–"

    temperature, pressure = row["temperature"], row["pressure"]
    facts = {
        "Curve": f"{row['model'] or 'none'}; {(row['reason'] or '').replace('_', ' ')}",
        "Straight line": _flux(row["flux_linear"], row["se_linear"]),
        "Exponential": _flux(row["flux_hm"], row["se_hm"]),
        "Curvature": text(row["kappa"], 5, "s⁻¹"),
        "Air": f"{text(temperature, 1, '°C')}, "
        f"{text(pressure / 100 if pressure else None, 1, 'hPa')}, "
        f"{text(row['humidity'], 0, '%')} humidity",
        "Light": text(row["light"], 0, "lx"),
        "Closing rule": f"{row['rule'] or '–'}, {row['sweeps'] or 0} sweeps",
        "Readings fitted": str(row["n"] or 0),
        "Settings": row["settings"],
    }
    if row["note"]:
        facts["Note"] = row["note"]
    return facts


def _flux(value: Any, se: Any) -> str:
    from tilth.web.render import FLUX_UNITS, flux_text

    if value is None or not np.isfinite(value):
        return "–"
    known = se is not None and np.isfinite(se)
    return f"{flux_text(value, se if known else None)} {FLUX_UNITS}"
