"""What a LI-8100 writes twice, compared: damage that leaves no other trace.

The lengths of the parts, the number of records, their initial values, means and
ranges and the linear flux are all in the file beside the records they come from.
Over 102 undamaged observations of three firmware versions every one of them is
reproduced to its last printed digit.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.chambers.readers.licor_81x_blocks import Lines, Observation, part_lengths
from tilth.chambers.readers.licor_81x_records import COLUMNS, column, fields_fit
from tilth.chambers.readers.licor_checks import (
    ENOUGH,
    closing_value,
    line,
    numbers,
)
from tilth.core.constants import MOLAR_GAS_CONSTANT_LICOR, ZERO_CELSIUS

#: Summary record -> rounding of its printed values in units of the file, with a
#: fifth to spare, and the same per printed digit of large numbers ("%.6g").
_ROUNDING = {
    "Etime": 0.06,
    "Cdry": 6e-3,
    "H2O": 6e-4,
    "Pressure": 6e-3,
    "Tcham": 6e-3,
    "RH": 6e-3,
}
_DIGITS = 1e-5

#: Printed linear flux against ours, umol m-2 s-1 and fraction: half a printed digit
#: (0.005) and what the rounding of the records adds; and where a few records of the
#: window are lost, so that only gross contradictions show.
_FLUX_SLACK = (0.006, 1e-3)
_ROUGH_FLUX_SLACK = (0.1, 0.25)


def copies(closures: xr.Dataset) -> np.ndarray:
    """Find observations that come again: same instrument, port and closing time."""
    seen: set[tuple[object, ...]] = set()
    again = np.zeros(closures.sizes["closure"], bool)
    names = ("instrument_time", "device", "port")
    for i, who in enumerate(zip(*(closures[n].to_numpy() for n in names), strict=True)):
        again[i] = not np.isnat(who[0]) and who in seen
        seen.add(who)
    return again


def summary_numbers(
    observations: list[Observation], kind: bytes
) -> dict[str, np.ndarray]:
    """Return the numbers of the summary records of one type, NaN where lost."""
    texts: dict[str, list[bytes]] = {name: [] for name in _ROUNDING}
    for observation in observations:
        fields = observation.summary.get(kind, (0, b""))[1].split(b"\t")
        whole = observation.labels and fields_fit(observation, len(fields) - 1)
        for name, column_texts in texts.items():
            place = column(observation, name) if whole else -1
            column_texts.append(fields[place] if place >= 0 else b"")
    return {name: numbers(column_texts) for name, column_texts in texts.items()}


def _in_file_units(closures: xr.Dataset, name: str) -> np.ndarray:
    return closures[COLUMNS[name]].to_numpy() / (1e3 if name == "Pressure" else 1.0)


def with_initial_values(
    closures: xr.Dataset, printed: dict[str, np.ndarray]
) -> xr.Dataset:
    """Add values at closing: as printed, or by the same regression where lost."""
    elapsed = closures["elapsed"].to_numpy()
    for name, values in printed.items():
        if name in ("Etime", "RH"):
            continue
        ours = closing_value(elapsed, _in_file_units(closures, name), inclusive=False)
        initial = np.where(np.isfinite(values), values, ours)
        target = COLUMNS[name]
        closures[f"initial_{target}"] = (
            "closure",
            initial * 1e3 if name == "Pressure" else initial,
            {
                "units": closures[target].attrs["units"],
                "long_name": f"{target} at closing, from the first 10 s",
            },
        )
    return closures


def incomplete(
    lines: Lines,
    observations: list[Observation],
    closures: xr.Dataset,
    summary: dict[bytes, dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Compare what there is with what header, summary and footer promise."""
    elapsed = closures["elapsed"].to_numpy()
    closed = elapsed >= 0.0
    n = closed.sum(axis=1)
    steps = np.sort(np.where(closed[:, 1:], np.diff(elapsed, axis=1), np.nan), axis=1)
    taken = np.isfinite(steps).sum(axis=1)
    if steps.size:
        step = np.take_along_axis(steps, taken[:, None] // 2, axis=1)[:, 0]
        longest = np.fmax.reduce(steps, axis=1, initial=0.0)
    else:
        step, longest = np.full(n.size, np.nan), np.zeros(n.size)
    step = np.where(step > 0.0, step, 1.0)

    span = summary[b"4"]["Etime"]
    fitted = closures["firmware_samples"].to_numpy()
    window = (elapsed >= closures["dead_band"].to_numpy()[:, None]).sum(axis=1)
    planned = closures["observation_length"].to_numpy() / step
    untold = ~np.isfinite(span) & ~np.isfinite(fitted)
    truncated = (n < ENOUGH * (span / step + 1.0)) | (window < ENOUGH * fitted)
    truncated |= untold & (n < ENOUGH * planned)
    gaps = (longest > 1.5 * step) | (n < span / step + 0.5) | (window < fitted)

    altered = np.zeros(n.size, bool)
    for i, observation in enumerate(observations):
        found, promised = part_lengths(lines, observation), observation.lengths
        if found and promised:
            # The last line end of a footer may be counted or not; the File Viewer
            # (2.0c) writes headers one shorter than it says.
            viewer = b"File Viewer" in observation.header.get(b"Software", b"")
            slack = (int(viewer), 0, 0, 0, 1)
            off = [b - a for a, b in zip(found, promised, strict=True)]
            altered[i] = any(not 0 <= a <= b for a, b in zip(off, slack, strict=True))
            truncated[i] |= found[2] < ENOUGH * promised[2]
        altered[i] |= not promised  # its first line is lost
    lost = ~np.isfinite(closures["dead_band"].to_numpy())
    for name, variable in closures.data_vars.items():
        if str(name).startswith("firmware_"):
            lost |= ~np.isfinite(variable.to_numpy())
    for said in summary.values():
        lost |= ~np.isfinite(said["Cdry"])
    lost |= closures["firmware_status"].to_numpy() == ""
    return {
        "truncated": truncated,
        "bad_rows": gaps,
        "missing_footer": lost,
        "altered": altered,
    }


def contradictions(
    closures: xr.Dataset, summary: dict[bytes, dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Compare the records with the summary and the linear flux of the firmware."""
    elapsed = closures["elapsed"].to_numpy()
    closed = elapsed >= 0.0
    n = closed.sum(axis=1)
    off = {}
    for name, slack in _ROUNDING.items():
        values = np.where(closed, _in_file_units(closures, name), np.nan)
        whole = (np.isfinite(values).sum(axis=1) == n) & (n > 0)
        low = np.fmin.reduce(values, axis=1, initial=np.inf)
        high = np.fmax.reduce(values, axis=1, initial=-np.inf)
        ours = {
            b"2": closing_value(elapsed, values, inclusive=False),
            b"3": np.nansum(values, axis=1) / np.maximum(n, 1),
            b"4": high - low,
        }
        off[name] = np.zeros(n.size, bool)
        for kind, said in summary.items():
            size = np.fmax(np.fmax(np.abs(low), np.abs(high)), np.abs(said[name]))
            tolerance = slack + _DIGITS * size
            off[name] |= whole & (np.abs(ours[kind] - said[name]) > tolerance)
    # Other records than those the summary is of: nothing more can be compared.
    other = off.pop("Etime")
    humidity = off.pop("RH")  # no flux depends on it
    doubt = np.logical_or.reduce(list(off.values())) & ~other

    fit = closed & (elapsed >= closures["dead_band"].to_numpy()[:, None])
    fit &= elapsed <= closures["fit_end"].to_numpy()[:, None]
    share = fit.sum(axis=1) / closures["firmware_samples"].to_numpy()
    exact = (share == 1.0) & ~other
    share[closures["gas_column"].to_numpy() != "Cdry"] = np.nan
    slope = line(elapsed, closures["co2"].to_numpy(), fit)[1]
    amount = (
        closures["volume"].to_numpy()
        * summary[b"2"]["Pressure"]
        * 1e3
        * (1.0 - summary[b"2"]["H2O"] / 1e3)
        / MOLAR_GAS_CONSTANT_LICOR
        / closures["area"].to_numpy()
        / (summary[b"2"]["Tcham"] + ZERO_CELSIUS)
    )
    printed = closures["firmware_linear_flux"].to_numpy()
    gap = np.abs(amount * slope - printed)
    for where, (constant, fraction) in (
        (exact, _FLUX_SLACK),
        (share >= ENOUGH, _ROUGH_FLUX_SLACK),
    ):
        doubt |= (
            where & np.isfinite(share) & (gap > constant + fraction * np.abs(printed))
        )
    # Both count the records of the window; the one in seconds, at one a second.
    domain = closures["firmware_domain"].to_numpy()
    samples = closures["firmware_samples"].to_numpy()
    doubt |= np.abs(domain - samples) > np.fmax(2.0, 0.1 * domain)
    return {"summary_mismatch": doubt, "bad_rows": other, "altered": humidity & ~other}
