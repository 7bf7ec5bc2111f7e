"""One repetition of a Smart Chamber file: records, geometry, clock and footer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tilth.chambers.closures import GASES
from tilth.chambers.readers.licor_checks import (
    ENOUGH,
    PAST_DEAD_BAND,
    YEAR_2100,
    closing_value,
    number,
)
from tilth.core.constants import MOLAR_GAS_CONSTANT_LICOR, ZERO_CELSIUS

#: What a repetition calls its quantities where its own ``labels`` do not say.
_DEFAULT_LABELS = {
    "area": "Area",
    "volume": "TotalVolume",
    "deadband": "DeadBand",
    "etime": "timestamp",
    "pressure": "chamber_p",
    "temperature": "chamber_t",
    "h2o": "h2o",
}

#: Probe in the soil -> variable; 9999 where there is none.
SOIL = {"soilp_t": "soil_temperature", "soilp_m": "soil_moisture"}
_NO_PROBE = 9999.0

#: Key of a flux in the footer -> variable, long name. Units depend on the gas.
RESULTS = {
    "F_o": ("flux", "flux"),
    "F_cv": ("flux_cv", "coefficient of variation of the flux"),
    "slope": ("slope", "slope at closing"),
    "ses": ("slope_se", "standard error of the slope"),
    "a": ("a", "rate of the exponential"),
    "C_o": ("c0", "concentration at closing"),
    "C_x": ("cx", "asymptote of the exponential"),
    "t_o": ("t0", "time at which the curve meets the one at closing"),
    "r2": ("r2", "share of variance explained"),
    "iter": ("iterations", "iterations of the fit"),
    "n": ("samples", "records fitted"),
}
_INITIAL = {"P_o": "pressure", "T_o": "temperature", "W_o": "h2o"}
#: Asymptotes the firmware prints when it falls back to the straight line.
_NO_CURVE = (0.0, 1e6)
#: Numbers are printed with six digits.
_PRINTED = 1e-5

LABELS = {
    "Chamber": "device",
    "InstrumentModel": "analyzer",
    "InstrumentSerialNumber": "analyzer_serial_number",
    "Version": "firmware_version",
    "TimeZone": "time_zone",
}


_UNKNOWN = np.datetime64("NaT", "ns")


@dataclass
class Repetition:
    """One repetition as read: records, numbers, texts and what is wrong with it."""

    labels: dict[str, str]
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    damage: set[str] = field(default_factory=set)
    time: np.datetime64 = _UNKNOWN
    clock: np.datetime64 = _UNKNOWN

    def series(self, name: str) -> np.ndarray:
        """Return the records of a variable, NaN where there are none."""
        empty = np.full(self.samples["elapsed"].size, np.nan)
        return self.samples.get(name, empty)


def repetitions(document: dict[str, Any]) -> Iterator[tuple[dict[str, str], Any]]:
    """Yield the labels and the content of every repetition, whatever it is."""
    for i, entry in enumerate(document["datasets"]):
        if not isinstance(entry, dict) or not entry:
            entry = {f"dataset {i + 1}": None}
        for label, content in entry.items():
            content = content if isinstance(content, dict) else {}
            shared = {
                "label": str(label),
                "remark": str(content.get("remark") or ""),
                "file_name": str(document.get("name") or ""),
            }
            reps = content.get("reps")
            if not isinstance(reps, dict) or not reps:
                reps = {"none": None}
            for name, repetition in reps.items():
                yield (
                    {**shared, "repetition": str(name).removeprefix("REP_")},
                    repetition,
                )


def _part(content: Any, name: str) -> dict[str, Any]:
    """Return a member that should be an object; an empty one where it is not."""
    part = content.get(name) if isinstance(content, dict) else None
    return part if isinstance(part, dict) else {}


def read_repetition(labels: dict[str, str], content: Any) -> Repetition:
    """Read one repetition; what it lacks is flagged."""
    closure = Repetition(labels)
    header, footer = _part(content, "header"), _part(content, "footer")
    names = _DEFAULT_LABELS | {
        key: str(value) for key, value in _part(content, "labels").items()
    }
    for key, name in LABELS.items():
        closure.labels[name] = str(header.get(key) or "")
    _read_geometry(closure, header, names)
    _read_records(closure, _part(content, "data"), names)
    _read_times(closure, header)
    _read_summary(closure, _part(content, "summary"), names)
    _read_footer(closure, footer)
    return closure


def _read_geometry(
    closure: Repetition, header: dict[str, Any], names: dict[str, str]
) -> None:
    area, volume = (
        number(header.get(names["area"])),
        number(header.get(names["volume"])),
    )
    parts = (
        number(header.get("ChamVolume"))
        + number(header.get("Offset")) * area
        + number(header.get("IrgaVolume"))
    )
    wrong = not area > 0.0 or not volume > 0.0
    if wrong or abs(parts - volume) > 0.06 * area + 1e-3 * volume:
        closure.damage.add("damaged_header")
    closure.numbers["area"] = area * 1e-4 if area > 0.0 else np.nan
    closure.numbers["volume"] = volume * 1e-6 if volume > 0.0 else np.nan
    dead_band = number(header.get(names["deadband"]))
    if not dead_band >= 0.0:
        closure.damage.add("damaged_header")
    closure.numbers["dead_band"] = dead_band + PAST_DEAD_BAND
    located = number(header.get("gps_sats")) > 0.0
    for name in ("latitude", "longitude", "altitude"):
        closure.numbers[name] = number(header.get(name)) if located else np.nan


def _read_records(
    closure: Repetition, data: dict[str, Any], names: dict[str, str]
) -> None:
    """Read the parallel lists of a repetition."""
    columns = {gas: gas for gas in GASES} | {v: k for k, v in SOIL.items()}
    columns |= {name: names[name] for name in ("h2o", "pressure", "temperature")}
    lists = {
        name: np.array([number(v) for v in data[key]], float)
        for name, key in {"elapsed": names["etime"], **columns}.items()
        if isinstance(data.get(key), list)
    }
    elapsed = lists.pop("elapsed", np.empty(0))
    uneven = any(values.size != elapsed.size for values in lists.values())
    if uneven or not {"h2o", "pressure", "temperature"} <= set(lists):
        closure.damage.add("bad_rows")
    keep = np.isfinite(elapsed)
    order = np.argsort(elapsed[keep], kind="stable")
    if (np.diff(elapsed[keep]) < 0.0).any():
        closure.damage.add("non_monotonic_time")
    samples = {"elapsed": elapsed[keep][order]}
    for name, values in lists.items():
        padded = np.full(elapsed.size, np.nan)
        padded[: values.size] = values[: elapsed.size]
        samples[name] = padded[keep][order]
    for name in SOIL.values():
        if name in samples:
            samples[name][samples[name] == _NO_PROBE] = np.nan
            if not np.isfinite(samples[name]).any():
                del samples[name]
    if "pressure" in samples:
        samples["pressure"] = samples["pressure"] * 1e3
    measured = [samples[n] for n in samples if n not in SOIL.values()]
    if not keep.all() or not np.isfinite(np.array(measured)).all():
        closure.damage.add("bad_rows")
    steps = np.diff(samples["elapsed"])
    if (steps == 0.0).any():
        closure.damage.add("duplicate_times")
    if steps.size and steps.max() > 1.5 * np.median(steps):
        closure.damage.add("bad_rows")
    usable = np.zeros(samples["elapsed"].size, bool)
    for gas in set(GASES) - {"h2o"}:
        usable |= np.isfinite(samples.get(gas, np.nan))
    if not (usable & (samples["elapsed"] >= 0.0)).any():
        closure.damage.add("no_data")
    errors = data.get("err")
    if isinstance(errors, list) and any(number(e) != 0.0 for e in errors):
        closure.damage.add("instrument_warning")
    closure.samples = samples


def _read_times(closure: Repetition, header: dict[str, Any]) -> None:
    """Read the closing time: local, and UTC by the time zone or else the GPS."""
    date = str(header.get("Date"))
    clock = pd.to_datetime(date, format="%Y-%m-%d %H:%M:%S", errors="coerce")
    if pd.isna(clock) or not 0.0 < clock.timestamp() < YEAR_2100:
        return
    closure.clock = clock.to_datetime64().astype("datetime64[ns]")
    gps = number(header.get("gps_time"))
    try:
        local = clock.tz_localize(ZoneInfo(closure.labels["time_zone"]))
        closure.time = local.tz_convert(None).to_datetime64().astype("datetime64[ns]")
    except (KeyError, ValueError, OSError):
        if gps > 0.0:
            # Offsets from UTC are quarters of an hour.
            ahead = round((clock.timestamp() - gps) / 900.0) * 900
            closure.time = closure.clock - np.timedelta64(ahead, "s")


def _read_summary(
    closure: Repetition, summary: dict[str, Any], names: dict[str, str]
) -> None:
    """Read initial values; compare means and ranges with those of the records."""
    for name, series in closure.samples.items():
        key = names["etime"] if name == "elapsed" else names.get(name, name)
        triple = summary.get(key)
        if name in SOIL.values() or not isinstance(triple, list) or len(triple) != 3:
            continue
        scale = 1e3 if name == "pressure" else 1.0
        initial, mean, spread = (number(value) * scale for value in triple)
        if name != "elapsed":
            closure.numbers[f"initial_{name}"] = initial
        if not series.size or not np.isfinite(series).all():
            continue
        ours = closing_value(closure.samples["elapsed"][None], series[None], True)[0]
        gaps = [series.mean() - mean, np.ptp(series) - spread]
        gaps += [ours - initial] if name != "elapsed" else []
        if np.abs(gaps).max(initial=0.0, where=np.isfinite(gaps)) > (
            _PRINTED * np.abs(series).max()
        ):
            closure.damage.add("summary_mismatch")


def _read_footer(closure: Repetition, footer: dict[str, Any]) -> None:
    """Read the firmware's results; compare them with header and records."""
    numbers = closure.numbers
    for key, name in _INITIAL.items():
        value = number(footer.get(key)) * (1e3 if name == "pressure" else 1.0)
        if np.isfinite(value):
            numbers[f"initial_{name}"] = value
    amount = (
        numbers["volume"]
        * numbers.get("initial_pressure", np.nan)
        * (1.0 - numbers.get("initial_h2o", np.nan) / 1e3)
        / MOLAR_GAS_CONSTANT_LICOR
        / numbers["area"]
        / (numbers.get("initial_temperature", np.nan) + ZERO_CELSIUS)
    )
    fluxes = footer.get("fluxes")
    elapsed = closure.samples["elapsed"]
    window = elapsed[~(elapsed < numbers["dead_band"])]
    fitted = 0.0
    for said in fluxes if isinstance(fluxes, list) else []:
        said = said if isinstance(said, dict) else {}
        gas, n = str(said.get("name")), number(said.get("n"))
        if gas not in GASES or not n > 0.0:
            continue
        fitted = max(fitted, n)
        for key, (name, _) in RESULTS.items():
            numbers[f"firmware_{name}_{gas}"] = number(said.get(key))
        straight = (
            number(said.get("t_o")) == 0.0 and number(said.get("C_x")) in _NO_CURVE
        )
        closure.labels[f"firmware_status_{gas}"] = "Lin" if straight else "Exp"
        flux = number(said.get("F_o"))
        if abs(amount * number(said.get("slope")) - flux) > 1e-4 * abs(flux):
            closure.damage.add("summary_mismatch")
        if window.size < ENOUGH * n:
            closure.damage.add("truncated")
        elif window.size < n:
            closure.damage.add("bad_rows")
    if fitted:
        last = window[: int(fitted)]
        numbers["fit_end"] = float(last[-1]) if last.size else np.nan
    else:
        closure.damage.add("missing_footer")
        if isinstance(fluxes, list) and fluxes:
            closure.damage.add("no_data")
