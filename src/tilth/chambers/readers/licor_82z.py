"""LI-8250 multiplexer observations (.82z): a ZIP archive with one closure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.closures import GASES, make_closures, variable_attrs
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.licor_82z_parts import (
    Table,
    firmware_fluxes,
    hours_ahead,
    members,
    metadata,
    node,
    quantity,
    start_of_closing,
)
from tilth.chambers.readers.licor_checks import (
    ENOUGH,
    PAST_DEAD_BAND,
    check_utc_offset,
    decode,
    describe,
    implausible,
    raise_flags,
    utc_from,
    with_clock,
)
from tilth.core.errors import InputError
from tilth.core.model import stamp

#: Column of a gas -> variable; the dry mole fraction first, where there are both.
_GASES = {
    "CO2_DRY": "co2",
    "CH4_DRY": "ch4",
    "N2O_DRY": "n2o",
    "CO2": "co2",
    "CH4": "ch4",
    "N2O": "n2o",
}
#: Probe in the soil -> variable, unit, long name. Numbered: ``SWC_1``.
_SOIL = {
    "SWC": ("soil_moisture", "m3 m-3", "volumetric soil water beside the collar"),
    "TS": ("soil_temperature", "degC", "soil temperature beside the collar"),
}
#: ``STATE`` of a chamber that is closed; 1 while it moves. The log beside the data
#: starts the observation at the first record of this state.
_CLOSED = 5.0


def read_licor_82z(
    path: str | os.PathLike[str], *, utc_offset: float | None = None
) -> xr.Dataset:
    """Read one observation of a LI-8250 multiplexer.

    Time counts from the first record of the closed chamber; the records of the
    closing chamber before it have negative times.

    Parameters
    ----------
    path : path
        ZIP archive with ``data.csv``, ``metadata.json`` and, from some firmware,
        ``log.txt``.
    utc_offset : float, optional
        Hours by which the multiplexer's clock is ahead of UTC. By default the log
        tells; without a log the clock is taken for UTC (see the attribute
        ``utc_offset_source``).

    Returns
    -------
    xarray.Dataset
        A closures dataset (see `tilth.chambers.closures`) of one closure: every gas
        of the file, ``h2o``, ``pressure``, ``temperature``, and soil probes where
        there are some; ``area``; ``volume``, the file's total, which is chamber,
        collar, analyser, multiplexer and both tubes (their given lengths times two
        bores of 1/8 inch: to 0.02 of 5997 cm3); ``dead_band`` (the instrument fits
        the records after it: held a millisecond longer) and ``fit_end``;
        ``firmware_flux_co2`` and so on where the log has them. Text coordinates
        ``label``, ``port``, ``device`` (chamber) and serial numbers;
        ``instrument_time`` beside ``time``.

    Raises
    ------
    InputError
        If the file is no ZIP archive, lacks a member, or a member is damaged beyond
        reading; says which.

    References
    ----------
    LI-COR LI-8250 manual, "Working with data files".
    """
    if utc_offset is not None:
        check_utc_offset(utc_offset)
    parts = members(path)
    document = metadata(path, parts["metadata.json"])
    table = Table(path, parts["data.csv"])
    log = decode(parts.get("log.txt", b""))[0]
    told = hours_ahead(log, start_of_closing(document))
    if utc_offset is not None:
        offset, source = utc_offset, "argument"
    elif told is not None:
        offset, source = told, "log.txt"
    else:
        offset, source = 0.0, "none: the clock was taken for UTC"

    damage: set[str] = set()
    with np.errstate(all="ignore"):
        samples, basis, closing = _samples(path, document, table, damage)
        numbers = _geometry(document, damage)
        _complete(samples["elapsed"], numbers["fit_end"], damage)
    logged = firmware_fluxes(log)
    numbers |= {f"firmware_flux_{gas}": value for gas, (value, _) in logged.items()}
    clock = np.array([closing], "datetime64[ns]")
    closures = make_closures(
        [_identifier(path, document)],
        {name: [values] for name, values in samples.items()},
        time=list(utc_from(clock, offset)),
        per_closure={name: [value] for name, value in numbers.items()},
        labels={name: [text] for name, text in _labels(document).items()},
        flags=[sum(map(CLOSURE_FLAGS.bit, damage))],
        basis=basis,
    )
    closures = describe(
        with_clock(closures, clock),
        {
            f"firmware_flux_{gas}": (unit, f"firmware: flux, {gas.upper()}")
            for gas, (_, unit) in logged.items()
        }
        | {name: _soil_attributes(name) for name in samples if name.startswith("soil")},
    )
    closures = raise_flags(closures, implausible(closures))
    closures.attrs.update(utc_offset=offset, utc_offset_source=source)
    return stamp(closures, f"read_licor_82z utc_offset={utc_offset}", [path])


def _fits(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was to be fitted, one entry per gas."""
    fits = node(document, "FLUX")
    return [f for f in fits if isinstance(f, dict)] if isinstance(fits, list) else []


def _samples(
    path: str | os.PathLike[str],
    document: dict[str, Any],
    table: Table,
    damage: set[str],
) -> tuple[dict[str, np.ndarray], dict[str, str], np.datetime64]:
    """Return records by variable, the basis of each gas, and the closing time."""
    if table.lost:
        damage.add("bad_rows")
    fits = _fits(document)
    analyzer = {str(fit.get("GAS")): str(fit.get("GAS_SOURCE")) for fit in fits}
    samples: dict[str, np.ndarray | None] = {}
    basis: dict[str, str] = {}
    for name, gas in _GASES.items():
        values = table.column(name, GASES[gas][1], analyzer.get(name))
        if values is not None and gas not in samples:
            samples[gas] = values
            basis[gas] = "dry" if name.endswith("_DRY") else "wet"
    state = table.column("STATE", "1", "CHAMBER")
    if not samples or state is None:
        lacks = "STATE of the chamber" if samples else "column of a gas (CO2_DRY, ...)"
        raise InputError(
            f"data.csv in {path} has no {lacks}; its columns are "
            f"{', '.join(dict.fromkeys(table.names))[:400]}"
        )
    source = next(iter(analyzer.values()), None)
    samples["h2o"] = table.column("H2O", GASES["h2o"][1], source)
    samples["pressure"] = table.column("PA", "Pa", "LI-8250")
    fit = fits[0] if fits else {}
    samples["temperature"] = table.column(
        str(fit.get("TEMPERATURE") or "TA"),
        variable_attrs("temperature")["units"],
        str(fit.get("T_SOURCE") or "CHAMBER"),
    )
    unread = np.full(len(table.rows), np.nan)
    for name in ("h2o", "pressure", "temperature"):
        if samples[name] is None:
            samples[name] = unread
            damage.add("damaged_header")
    whole = np.isfinite(np.array(list(samples.values()), float)).all(axis=0)
    for name in table.names:
        stem, _, place = name.partition("_")
        if stem in _SOIL and place.isdigit():
            variable, unit, _ = _SOIL[stem]
            variable += f"_{place}" if place != "1" else ""
            samples[variable] = table.column(name, unit, "CHAMBER")
    for name in ("DIAGNOSTIC", "DIAG"):
        doubts = table.column(name, "1")
        if doubts is not None and (np.abs(doubts) > 0.0).any():
            damage.add("instrument_warning")

    clock = table.clock()
    keep = ~np.isnat(clock) & np.isfinite(state)
    if not (keep & whole).all():
        damage.add("bad_rows")
    closed = keep & (state == _CLOSED)
    if not closed.any():
        damage.add("no_data")
        nothing = {name: np.empty(0) for name in ("elapsed", *samples)}
        return nothing, basis, np.datetime64("NaT", "ns")
    closing = clock[closed].min()
    elapsed = (clock[keep] - closing) / np.timedelta64(1, "s")
    if (np.diff(elapsed) < 0.0).any():
        damage.add("non_monotonic_time")
    order = np.argsort(elapsed, kind="stable")
    ordered = {"elapsed": elapsed[order]}
    for name, series in samples.items():
        ordered[name] = np.asarray(series, float)[keep][order]
    return ordered, basis, closing


def _geometry(document: dict[str, Any], damage: set[str]) -> dict[str, float]:
    """Return area, volume and window of the fit."""
    area = quantity(node(document, "CHAMBER", "AREA"), "m2")
    volume = quantity(node(document, "METADATA", "VOLUME_TOTAL"), "m3")
    if not area > 0.0 or not volume > 0.0:
        damage.add("damaged_header")
    # One closure has one window: the shortest that all gases share.
    starts = [quantity(fit.get("DEADBAND"), "s") for fit in _fits(document)]
    ends = [quantity(fit.get("STOP_TIME"), "s") for fit in _fits(document)]
    planned = quantity(node(document, "METADATA", "OBSERVATION"), "s")
    dead_band = float(np.max(starts)) if starts else np.nan
    fit_end = float(np.min(ends)) if ends else planned
    if starts and not (dead_band >= 0.0 and fit_end > dead_band):
        damage.add("damaged_header")
    return {
        "area": area if area > 0.0 else np.nan,
        "volume": volume if volume > 0.0 else np.nan,
        "dead_band": dead_band + PAST_DEAD_BAND,
        "fit_end": fit_end,
    }


def _complete(elapsed: np.ndarray, end: float, damage: set[str]) -> None:
    """Flag records that are lost or repeated."""
    closed = elapsed[elapsed >= 0.0]
    steps = np.diff(closed)
    if (np.diff(elapsed) == 0.0).any():
        damage.add("duplicate_times")
    if steps.size:
        step = max(float(np.median(steps)), 1e-9)
        if steps.max() > 1.5 * step:
            damage.add("bad_rows")
        if np.unique(closed).size < ENOUGH * (end / step + 1.0):
            damage.add("truncated")
    elif end > 0.0:
        damage.add("truncated")


def _identifier(path: str | os.PathLike[str], document: dict[str, Any]) -> str:
    """Return the name LI-COR gives the observation: serial number and start."""
    serial = node(document, "LI-8250", "SERIAL_NUMBER")
    start = node(document, "METADATA", "TIMESTAMP_START", "VALUE")
    return f"{serial}-{start}" if serial and start else Path(path).stem


def _labels(document: dict[str, Any]) -> dict[str, str]:
    """Return the identifiers of chamber, multiplexer and analyser."""
    analyzer = next((str(f.get("GAS_SOURCE") or "") for f in _fits(document)), "")
    found = {
        "label": node(document, "LI-8250", "PORT_LABEL"),
        "port": node(document, "LI-8250", "PORT"),
        "device": node(document, "CHAMBER", "SERIAL_NUMBER"),
        "multiplexer_serial_number": node(document, "LI-8250", "SERIAL_NUMBER"),
        "analyzer": analyzer,
        "analyzer_serial_number": node(document, analyzer, "SERIAL_NUMBER"),
        "firmware_version": node(document, "LI-8250", "FIRMWARE"),
    }
    return {n: "" if text is None else str(text).strip() for n, text in found.items()}


def _soil_attributes(name: str) -> tuple[str, str]:
    """Return units and long name of a soil probe's variable."""
    units = {variable: (unit, text) for variable, unit, text in _SOIL.values()}
    return units[name.rstrip("_0123456789")]
