"""Smart Chamber files (LI-COR 8200-01S, JSON): data sets of repeated closures."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.closures import GASES, make_closures
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.licor_checks import (
    closing_value,
    decode,
    describe,
    implausible,
    looks_like,
    raise_flags,
    read_bytes,
    unique_names,
    with_clock,
)
from tilth.chambers.readers.smart_chamber_parts import (
    LABELS,
    RESULTS,
    SOIL,
    read_repetition,
    repetitions,
)
from tilth.core.errors import InputError
from tilth.core.model import stamp

#: Gas -> unit of its concentration and of its flux; both as in `GASES`, which the
#: footers confirm: F_o = phi slope holds with nothing between them.
_FLUX_UNITS = {
    gas: units.replace("mol-1", "m-2 s-1") for gas, (_, units) in GASES.items()
}


def read_smart_chamber(path: str | os.PathLike[str]) -> xr.Dataset:
    r"""Read a Smart Chamber file: one closure per repetition of each data set.

    The firmware's flux is :math:`F_o = \phi\,dC'/dt` with
    :math:`\phi = 10 V P_o (1 - W_o/1000) / (8.314 A (T_o + 273.15))` in its own
    units (cm3, kPa, mmol mol-1, cm2, degC); CO2 in umol mol-1 gives umol m-2 s-1, CH4
    and N2O in nmol mol-1 give nmol m-2 s-1. It must follow from geometry and slope,
    and initial values, means and ranges from the records: ``summary_mismatch``
    otherwise.

    Parameters
    ----------
    path : path
        JSON file, plain or gzip.

    Returns
    -------
    xarray.Dataset
        A closures dataset (see `tilth.chambers.closures`): every gas of the file
        (dry), ``h2o``, ``pressure``, ``temperature`` and, with a soil probe,
        ``soil_temperature`` and ``soil_moisture``; ``area``, ``volume`` (with collar
        and analyser), ``dead_band`` (the instrument fits the records after it: held
        a millisecond longer), ``fit_end``; ``initial_...``; results of the firmware
        for each gas as ``firmware_flux_co2`` and so on. Text coordinates ``label``
        (data set), ``repetition``, ``device`` (chamber), ``analyzer`` and others;
        ``instrument_time`` (local) beside ``time`` (UTC by the file's time zone, or
        by the GPS time where it names none).

    Raises
    ------
    InputError
        If the file is not whole JSON, with line and column where it breaks, or not a
        Smart Chamber file.

    Notes
    -----
    A repetition without a single fitted record (n = 0) has NaN, not 0, for results
    and the flags ``no_data`` and ``missing_footer``, though its records are there.

    References
    ----------
    LI-COR 8200-01S Smart Chamber, "Data files" (header, data, summary, footer).
    """
    document = _document(path)
    # The numbers of a damaged file can be anything.
    with np.errstate(all="ignore"):
        closures = [read_repetition(*found) for found in repetitions(document)]
    if not closures:
        raise InputError(f"{path}: its data sets hold no repetition at all")
    gases = [g for g in GASES if any(g in c.samples for c in closures)]
    names = ["elapsed", *gases, "pressure", "temperature", *SOIL.values()]
    used = [n for n in names if n == "elapsed" or any(n in c.samples for c in closures)]
    trace = [g for g in gases if g != "h2o"]
    per_closure = {
        name: [c.numbers.get(name, np.nan) for c in closures]
        for name in dict.fromkeys(n for c in closures for n in c.numbers)
    }
    coordinates = ["label", "repetition", "remark", "file_name", *LABELS.values()]
    coordinates += [f"firmware_status_{gas}" for gas in trace]
    dataset = make_closures(
        unique_names(
            [f"{c.labels['label']}/{c.labels['repetition']}" for c in closures]
        ),
        {name: [c.series(name) for c in closures] for name in used},
        time=[c.time for c in closures],
        per_closure=per_closure,
        labels={n: [c.labels.get(n, "") for c in closures] for n in coordinates},
        flags=[sum(map(CLOSURE_FLAGS.bit, c.damage)) for c in closures],
        basis=dict.fromkeys(trace, "dry"),
        units={"soil_temperature": "degC", "soil_moisture": "m3 m-3"},
    )
    dataset = with_clock(dataset, np.array([c.clock for c in closures]))
    dataset = describe(dataset, _attributes(trace))
    with np.errstate(all="ignore"):
        dataset = _with_initial_values(dataset, gases)
        dataset = raise_flags(dataset, implausible(dataset))
    return stamp(dataset, "read_smart_chamber", [path])


def _document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the parsed file, or say why it is not one of a Smart Chamber."""
    raw = read_bytes(path)
    try:
        document = json.loads(decode(raw)[0])
    except json.JSONDecodeError as error:
        if not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            raise InputError(
                f"{path} is no Smart Chamber file (JSON): it looks like "
                f"{looks_like(raw)}"
            ) from error
        raise InputError(
            f"{path} breaks off or is damaged at line {error.lineno}, column "
            f"{error.colno} ({error.msg}): download it again from the chamber"
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path} is no JSON that can be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("datasets"), list):
        found = list(document)[:5] if isinstance(document, dict) else type(document)
        raise InputError(
            f"{path} is JSON but no Smart Chamber file: that has a list 'datasets', "
            f"this has {found}"
        )
    return document


def _with_initial_values(closures: xr.Dataset, gases: list[str]) -> xr.Dataset:
    """Fill values at closing that the file lacks by the firmware's regression."""
    elapsed = closures["elapsed"].to_numpy()
    for name in ("pressure", "temperature", *gases):
        if name not in closures:
            continue
        ours = closing_value(elapsed, closures[name].to_numpy(), inclusive=True)
        told = closures.get(f"initial_{name}")
        value = ours if told is None else np.where(np.isnan(told), ours, told)
        attrs = {
            "units": closures[name].attrs["units"],
            "long_name": f"{name} at closing, from the first 10 s",
        }
        closures[f"initial_{name}"] = ("closure", value, attrs)
    return closures


def _attributes(gases: list[str]) -> dict[str, tuple[str, str]]:
    """Return units and long names of what a Smart Chamber file has besides."""
    attributes = {
        "latitude": ("degrees_north", "latitude by GPS"),
        "longitude": ("degrees_east", "longitude by GPS"),
        "altitude": ("m", "altitude by GPS"),
        "soil_temperature": ("degC", "soil temperature beside the collar"),
        "soil_moisture": ("m3 m-3", "volumetric soil water beside the collar"),
    }
    for gas in gases:
        unit = GASES[gas][1]
        units = {
            "flux": _FLUX_UNITS[gas],
            "flux_cv": "%",
            "slope": f"{unit} s-1",
            "slope_se": f"{unit} s-1",
            "a": "s-1",
            "c0": unit,
            "cx": unit,
            "t0": "s",
        }
        for name, long_name in RESULTS.values():
            attributes[f"firmware_{name}_{gas}"] = (
                units.get(name, "1"),
                f"firmware: {long_name}, {gas.upper()}",
            )
    return attributes
