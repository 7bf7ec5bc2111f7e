"""LI-8100 and LI-8100A observation files (.81x), whole and damaged."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.closures import make_closures
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.licor_81x_blocks import (
    Lines,
    Observation,
    cut_observations,
)
from tilth.chambers.readers.licor_81x_integrity import (
    contradictions,
    copies,
    incomplete,
    summary_numbers,
    with_initial_values,
)
from tilth.chambers.readers.licor_81x_records import (
    COLUMNS,
    Records,
    read_records,
    temperature_source,
)
from tilth.chambers.readers.licor_checks import (
    check_utc_offset,
    describe,
    implausible,
    looks_like,
    numbers,
    raise_flags,
    read_bytes,
    unique_names,
    utc_from,
    with_clock,
)
from tilth.core.errors import InputError
from tilth.core.model import stamp

#: Text of the header -> coordinate.
_LABELS = {
    b"Label": "label",
    b"Port#": "port",
    b"Serial Number": "device",
    b"Obs#": "observation",
    b"Instrument Name": "instrument_name",
    b"Software": "firmware_version",
    b"File Name": "file_name",
    b"Comments": "comments",
    b"Chamber": "chamber_type",
}

#: Line of the footer -> variable, units, long name.
_RESULTS = {
    b"Crv_#Smp": ("firmware_samples", "1", "records the firmware fitted"),
    b"Crv_Domain": ("firmware_domain", "s", "length of the window it fitted"),
    b"Lin_Flux": ("firmware_linear_flux", "umol m-2 s-1", "linear flux"),
    b"Lin_FluxCV": ("firmware_linear_flux_cv", "%", "its coefficient of variation"),
    b"Lin_dCdry/dt": ("firmware_linear_slope", "umol mol-1 s-1", "linear slope"),
    b"Lin_SE": ("firmware_linear_slope_se", "umol mol-1 s-1", "its standard error"),
    b"Lin_R2": ("firmware_linear_r2", "1", "share of variance of the line"),
    b"Exp_Flux": ("firmware_exponential_flux", "umol m-2 s-1", "exponential flux"),
    b"Exp_FluxCV": (
        "firmware_exponential_flux_cv",
        "%",
        "its coefficient of variation",
    ),
    b"Exp_dCdry/dt": (
        "firmware_exponential_slope",
        "umol mol-1 s-1",
        "slope of the exponential at closing",
    ),
    b"Exp_SE": (
        "firmware_exponential_slope_se",
        "umol mol-1 s-1",
        "its standard error, too small: of the linear regression",
    ),
    b"Exp_R2": ("firmware_exponential_r2", "1", "share of variance of the exponential"),
    b"Exp_a": ("firmware_exponential_a", "s-1", "rate of the exponential"),
    b"Exp_Cx": (
        "firmware_exponential_cx",
        "umol mol-1",
        "asymptote of the exponential",
    ),
    b"Exp_Co": ("firmware_exponential_c0", "umol mol-1", "concentration at closing"),
    b"Exp_t0": ("firmware_exponential_t0", "s", "time at which the curve meets it"),
    b"Exp_Iter": ("firmware_exponential_iterations", "1", "iterations of the fit"),
}


def read_licor_81x(
    path: str | os.PathLike[str], *, utc_offset: float = 0.0
) -> xr.Dataset:
    r"""Read the observations of a LI-8100(A) file, damaged ones included.

    Every observation becomes a closure. What cannot be read or contradicts itself is
    flagged per observation and never dropped in silence; an observation that is
    ``truncated``, has a ``damaged_header``, ``no_data`` or a ``summary_mismatch``
    keeps its readable records but must not be given a flux.

    Four things the instrument writes twice serve as checks: the lengths of the parts
    in an observation's first line (flag ``altered``); Cdry = CO2 / (1 - H2O / 1000)
    record by record; initial values, means and ranges of the records; and the linear
    flux,

    .. math::

        F = \frac{10\,V P_0 (1 - W_0 / 1000)}{8.314\,A (T_0 + 273.15)}
            \frac{dC'}{dt}

    by least squares on the first ``firmware_samples`` records with elapsed time
    >= dead-band; it must agree with the printed one to its rounding.

    Parameters
    ----------
    path : path
        File, plain or gzip; UTF-8 or Latin-1; any line ends.
    utc_offset : float
        Hours by which the instrument's clock is ahead of UTC (Central European
        winter time: 1). The file does not tell; 0 takes the clock for UTC.

    Returns
    -------
    xarray.Dataset
        A closures dataset (see `tilth.chambers.closures`) with ``co2`` (dry),
        ``h2o``, ``pressure``, ``temperature`` (of the sensor the firmware used) and
        ``relative_humidity``; ``area``, ``volume``, ``dead_band`` and ``fit_end``
        (the window of the firmware, both ends included); ``initial_co2`` and the
        like (type-2 record, or the same regression on the first 10 s where that is
        lost); ``firmware_...``, the instrument's results; text coordinates
        ``label``, ``port``, ``device`` (serial number), ``firmware_status``
        (``Lin``, ``Exp``), ``gas_column`` (the column the firmware fitted) and
        others; ``instrument_time`` beside ``time``.

    Raises
    ------
    InputError
        If there is no observation in the file; says what the file looks like.

    Notes
    -----
    Newer firmware writes -1 as elapsed time of every record before closing; these
    have no time of their own and are left out. Older firmware counts -62, -61, ...:
    these are kept. Repeated identical records are left out, flagged
    ``duplicate_times``; records out of order are sorted, flagged
    ``non_monotonic_time``.

    References
    ----------
    LI-COR LI-8100A manual, ch. 3 (file format), eq. 4-12; the meaning of the first
    line is not documented and was found from the files.
    """
    check_utc_offset(utc_offset)
    raw = read_bytes(path)
    lines = Lines(raw)
    observations = cut_observations(lines)
    if not any(o.labels or o.lengths or b"Obs#" in o.header for o in observations):
        raise InputError(
            f"{path} holds no LI-8100 observation (.81x): it looks like "
            f"{looks_like(raw)}"
        )
    # The numbers of a damaged file can be anything.
    with np.errstate(all="ignore"):
        observations, records = read_records(lines, observations)
        closures = _assemble(lines, observations, records, utc_offset)
        summary = {
            kind: summary_numbers(observations, kind) for kind in (b"2", b"3", b"4")
        }
        closures = with_initial_values(closures, summary[b"2"])
        for raised in (
            implausible(closures),
            incomplete(lines, observations, closures, summary),
            contradictions(closures, summary),
            {"duplicate_times": copies(closures)},
        ):
            closures = raise_flags(closures, raised)
    closures.attrs["utc_offset"] = utc_offset
    return stamp(closures, f"read_licor_81x utc_offset={utc_offset}", [path])


def _assemble(
    lines: Lines,
    observations: list[Observation],
    records: list[Records],
    utc_offset: float,
) -> xr.Dataset:
    """Put observations into a closures dataset; flag what their text tells."""
    names = []
    for o in observations:
        said = lines.decode(o.header.get(b"Obs#", b""))
        names.append(said or f"line {o.first + 1}")
    area, volume = _geometry(observations)
    samples = {name: [r.values[name] for r in records] for name in COLUMNS.values()}
    samples["pressure"] = [1e3 * pressure for pressure in samples["pressure"]]
    dead_band = [_seconds(_footer(o, b"Dead Band")) for o in observations]
    per_closure: dict[str, Any] = {
        "area": area,
        "volume": volume,
        "dead_band": dead_band,
        "observation_length": [
            _seconds(o.header.get(b"Observation Length", b"")) for o in observations
        ],
    }
    for key, (name, _, _) in _RESULTS.items():
        per_closure[name] = numbers([_footer(o, key) for o in observations])
    per_closure["fit_end"] = [
        _last_fitted(r.values["elapsed"], start, n)
        for r, start, n in zip(
            records, dead_band, per_closure["firmware_samples"], strict=True
        )
    ]
    labels = {
        name: [lines.decode(o.header.get(key, b"")) for o in observations]
        for key, name in _LABELS.items()
    }
    labels["firmware_status"] = [
        lines.decode(_footer(o, b"CrvFitStatus")) for o in observations
    ]
    labels["gas_column"] = [
        lines.decode(_footer(o, b"GasColumnID")) or "Cdry" for o in observations
    ]
    labels["temperature_source"] = [temperature_source(o) for o in observations]
    labels["firmware_warning"] = ["; ".join(o.warnings) for o in observations]
    for o, r in zip(observations, records, strict=True):
        if not np.any(r.values["elapsed"] >= 0.0):
            o.damage.add("no_data")
    clock = np.array([r.closing for r in records], "datetime64[ns]")
    closures = make_closures(
        unique_names(names),
        samples,
        time=list(utc_from(clock, utc_offset)),
        per_closure=per_closure,
        labels=labels,
        flags=[sum(map(CLOSURE_FLAGS.bit, o.damage)) for o in observations],
        basis={"co2": "dry"},
    )
    closures = describe(
        closures,
        {name: (units, f"firmware: {text}") for name, units, text in _RESULTS.values()}
        | {"observation_length": ("s", "time the chamber was to stay closed")},
    )
    return with_clock(closures, clock)


def _footer(observation: Observation, key: bytes) -> bytes:
    return observation.footer.get(key, (0, b""))[1].strip()


def _geometry(observations: list[Observation]) -> tuple[np.ndarray, np.ndarray]:
    """Return area (m2) and volume (m3); NaN and flagged where they cannot be."""
    said = {
        key: numbers([o.header.get(key, b"").strip() for o in observations])
        for key in (b"Area", b"Vtotal", b"Vcham", b"Offset", b"Virga", b"Vext", b"Vmux")
    }
    area, total = said[b"Area"], said[b"Vtotal"]
    # What the firmware adds up. A header without multiplexer has no Vmux.
    parts = said[b"Vcham"] + said[b"Offset"] * area + said[b"Virga"] + said[b"Vext"]
    parts = parts + np.nan_to_num(said[b"Vmux"])
    # Old firmware prints the offset to a millimetre only.
    wrong = ~(area > 0.0) | ~(total > 0.0)
    wrong |= np.abs(parts - total) > 0.06 * area + 1e-3 * total
    for i in np.flatnonzero(wrong):
        observations[i].damage.add("damaged_header")
    return (
        np.where(area > 0.0, area, np.nan) * 1e-4,
        np.where(total > 0.0, total, np.nan) * 1e-6,
    )


def _seconds(text: bytes) -> float:
    """Return the seconds of ``mm:ss`` or ``hh:mm:ss``, or NaN."""
    if not re.fullmatch(rb"(\d\d:)?\d\d:\d\d", text.strip()):
        return np.nan
    parts = [int(part) for part in text.split(b":")]
    return float(sum(part * 60**i for i, part in enumerate(reversed(parts))))


def _last_fitted(elapsed: np.ndarray, dead_band: float, samples: float) -> float:
    """Return the time of the last record of the firmware's window."""
    window = elapsed[elapsed >= max(dead_band, 0.0)] if samples >= 1.0 else elapsed[:0]
    return float(window[: int(samples)][-1]) if window.size else np.nan
