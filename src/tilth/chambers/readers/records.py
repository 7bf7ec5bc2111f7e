"""The record: one analyser's continuous series, and its cutting into closures.

===================  ==========  ====================================================
variable             dimensions  what
===================  ==========  ====================================================
``time``             time        UTC, in the order of the file: repeats and backward
                                 steps are kept and flagged
``instrument_time``  time        the instrument's own clock, as it wrote it
``co2`` and others   time        mole fraction; attribute ``basis``: dry, wet
``h2o``              time        water vapour mole fraction (of moist air)
``pressure``         time        air pressure at the chamber
``temperature``      time        air temperature in the chamber
``record_flag``      time        reasons for doubt (CF bit mask)
===================  ==========  ====================================================

Pressure and temperature of the analyser's cell are ``cell_pressure`` and
``cell_temperature``: they are not those of the chamber, and a flux calculated with
them would be wrong by the ratio of the two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.closures import GASES, UNITS, make_closures, variable_attrs
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.core.errors import InputError, UnitsError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables, stamp
from tilth.core.units import convert_values

#: Raised by readers, per sample of a record (``record_flag``).
RECORD_FLAGS = FlagTable(
    {
        "bad_value": "a cell could not be read as a number",
        "duplicate_time": "the sample carries the same time as the one before",
        "backward_time": "the clock went back at this sample",
        "instrument_diagnostic": "the instrument itself doubts this sample",
        "implausible_temperature": "air temperature outside -60..55 degC",
        "implausible_pressure": "air pressure outside 30..110 kPa",
        "implausible_humidity": "water vapour below zero or above 120 mmol mol-1",
        "implausible_concentration": "mole fraction not positive or above 20 %",
    }
)

#: Record flag -> closure flag it becomes when the record is cut.
_CLOSURE_FLAG = {
    "bad_value": "bad_rows",
    "duplicate_time": "duplicate_times",
    "backward_time": "non_monotonic_time",
    "instrument_diagnostic": "instrument_warning",
    "implausible_temperature": "implausible_temperature",
    "implausible_pressure": "implausible_pressure",
    "implausible_humidity": "implausible_humidity",
    "implausible_concentration": "implausible_concentration",
}

#: What air in and around a chamber can be, in the canonical units. Pressure and
#: temperature as in `CLOSURE_FLAGS`. Vapour: saturation at 49 degC and 1013 hPa. Gas:
#: 20 % is twice the CO2 of the most active soils; the limit is there to catch
#: columns read in the wrong unit (ppb as ppm), not strong fluxes.
PLAUSIBLE = {
    "temperature": (-60.0, 55.0, "implausible_temperature"),
    "pressure": (30e3, 110e3, "implausible_pressure"),
    "h2o": (0.0, 120.0, "implausible_humidity"),
    "co2": (1e-9, 2e5, "implausible_concentration"),
    "ch4": (1e-9, 2e8, "implausible_concentration"),
    "n2o": (1e-9, 2e8, "implausible_concentration"),
}


@dataclass(frozen=True)
class Series:
    """One column of numbers as a file gives it.

    Parameters
    ----------
    values : array_like
        One number per sample; NaN where missing.
    units : str
        Units in the file, UDUNITS spelling.
    basis : str, optional
        ``"dry"`` or ``"wet"`` mole fraction, for gases other than water vapour.
    """

    values: Any
    units: str
    basis: str | None = None

    def canonical(self, name: str) -> np.ndarray:
        """Return the numbers in the units Tilth keeps this variable in."""
        values = np.asarray(self.values, float)
        wanted = GASES[name][1] if name in GASES else UNITS.get(name)
        if wanted is None:
            return values
        try:
            return np.asarray(convert_values(values, self.units, wanted))
        except UnitsError as error:
            raise UnitsError(f"{name}: {error}") from error


def make_record(
    time: Any,
    variables: Mapping[str, Series],
    *,
    instrument_time: Any = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    flags: Mapping[str, np.ndarray] | None = None,
    bad_rows: int = 0,
    attrs: Mapping[str, object] | None = None,
    step: str = "make_record",
    sources: Iterable[str | os.PathLike[str]] = (),
) -> xr.Dataset:
    """Assemble a record from columns, check it and flag what cannot be true.

    Parameters
    ----------
    time : array_like of datetime64
        UTC, one per sample, in the order of the file.
    variables : mapping of str to Series
        Converted to the units of `tilth.chambers.closures` where it names them.
    instrument_time : array_like of datetime64, optional
        The clock as the instrument wrote it, without zone.
    labels : mapping of str to sequence of str, optional
        Identifiers per sample, such as ``plot``.
    flags : mapping of str to array_like of bool, optional
        Words of `RECORD_FLAGS` the reader itself raises.
    bad_rows : int, optional
        Lines of the file that gave no sample at all; kept as an attribute.
    attrs, step, sources
        Attributes, one line of history and the files it came from.

    Returns
    -------
    xarray.Dataset
        A record, dimension ``time``.

    Raises
    ------
    InputError
        If a gas has no basis or the columns differ in length.
    UnitsError
        If a unit is unknown or of the wrong kind.
    """
    stamps = pd.DatetimeIndex(time).as_unit("ns")
    n = len(stamps)
    record = xr.Dataset(coords={"time": stamps})
    record["time"].attrs["long_name"] = "time, UTC"
    raised = {word: np.asarray(where, bool) for word, where in (flags or {}).items()}
    for name, series in variables.items():
        values = series.canonical(name)
        if values.shape != (n,):
            raise InputError(
                f"{name} has {values.shape[0] if values.ndim else 0} values for {n} "
                "times: every column of a record needs one value per time"
            )
        if name in GASES and name != "h2o" and series.basis not in ("dry", "wet"):
            raise InputError(
                f"{name}: state whether it is a 'dry' or a 'wet' mole fraction "
                f"(got basis {series.basis!r}): the water vapour of a closing chamber "
                "dilutes the one and not the other"
            )
        own = variable_attrs(name, series.basis)
        record[name] = ("time", values, {"units": series.units, **own})
        if name in PLAUSIBLE:
            low, high, word = PLAUSIBLE[name]
            with np.errstate(invalid="ignore"):
                outside = (values < low) | (values > high)
            raised[word] = raised.get(word, np.zeros(n, bool)) | outside
    steps = np.diff(stamps.asi8, prepend=stamps.asi8[:1] - 1)
    raised["duplicate_time"] = steps == 0
    raised["backward_time"] = steps < 0
    if instrument_time is not None:
        clock = pd.DatetimeIndex(instrument_time).as_unit("ns")
        record = record.assign_coords(instrument_time=("time", clock))
        record["instrument_time"].attrs["long_name"] = "clock of the instrument"
    for name, texts in (labels or {}).items():
        record = record.assign_coords({name: ("time", np.asarray(texts, dtype=object))})
    record["record_flag"] = (
        "time",
        RECORD_FLAGS.variable(raised, (n,)),
        RECORD_FLAGS.attrs(),
    )
    record.attrs.update(attrs or {})
    record.attrs["bad_rows"] = int(bad_rows)
    return stamp(record, step, sources)


def cut_closures(
    record: xr.Dataset,
    starts: Any,
    ends: Any,
    ids: Sequence[str] | None = None,
    *,
    before: float = 0.0,
    **labels: Sequence[str],
) -> xr.Dataset:
    """Cut a record into closures.

    A sample at time t belongs to the closure with
    ``start - before <= t <= end``; ``elapsed`` is t - start.

    Parameters
    ----------
    record : xarray.Dataset
        From a reader of this package; dimension ``time``.
    starts, ends : array_like of datetime64
        Closing and opening of the chamber, UTC, one per closure.
    ids : sequence of str, optional
        Identifiers; by default the closing times, ``"2024-05-01T10:00:00"``, with
        ``" (2)"`` and so on appended where one repeats.
    before : float, optional
        Seconds before closing to keep, with negative ``elapsed``.
    **labels : sequence of str
        Identifiers to carry along, one per closure: ``device=[...]``. A label of
        the record that is the same throughout a closure is carried along by itself.

    Returns
    -------
    xarray.Dataset
        A closures dataset (see `tilth.chambers.closures`). A closure without samples
        stays in it, flagged ``no_data``.

    Raises
    ------
    InputError
        If starts and ends do not pair up, or a closure ends before it starts.

    Examples
    --------
    >>> t = np.datetime64("2024-05-01") + np.arange(600).astype("m8[s]")
    >>> co2 = Series(420.0 + 0.1 * np.arange(600), "ppm", "dry")
    >>> record = make_record(t, {"co2": co2})
    >>> closures = cut_closures(record, [t[100]], [t[280]], ["A"])
    >>> closures["co2"].values[0, [0, -1]]
    array([430., 448.])
    """
    require_variables(record, ["time", "record_flag"], "a record")
    start = pd.DatetimeIndex(pd.to_datetime(np.atleast_1d(starts))).as_unit("ns")
    end = pd.DatetimeIndex(pd.to_datetime(np.atleast_1d(ends))).as_unit("ns")
    if len(start) != len(end):
        raise InputError(f"{len(start)} starts but {len(end)} ends: give one of each")
    if (wrong := np.flatnonzero(~(end > start))).size:
        i = int(wrong[0])
        raise InputError(
            f"closure {i} ends ({end[i]}) before it starts ({start[i]}): starts and "
            "ends must be times of closing and of opening, in UTC"
        )
    # A clock that went back makes the record unsorted: search in a sorted view.
    clock = pd.DatetimeIndex(record["time"].to_numpy()).as_unit("ns").asi8
    order = np.argsort(clock, kind="stable")
    sorted_clock = clock[order]
    first = np.searchsorted(sorted_clock, start.asi8 - round(before * 1e9), "left")
    last = np.searchsorted(sorted_clock, end.asi8, "right")
    rows = [np.sort(order[a:b]) for a, b in zip(first, last, strict=True)]

    names = [
        str(name)
        for name, variable in record.data_vars.items()
        if name != "record_flag" and variable.dtype.kind == "f"
    ]
    samples: dict[str, list[np.ndarray]] = {
        "elapsed": [(clock[r] - s) / 1e9 for r, s in zip(rows, start.asi8, strict=True)]
    }
    for name in names:
        values = record[name].to_numpy()
        samples[name] = [values[r] for r in rows]
    carried = {name: list(texts) for name, texts in labels.items()}
    for label, coord in record.coords.items():
        if coord.dims == ("time",) and coord.dtype.kind in "OUT":
            texts = coord.to_numpy().astype(object)
            if str(label) in labels:
                continue
            carried[str(label)] = [_only(texts[r]) for r in rows]
    closures = make_closures(
        [str(i) for i in ids] if ids is not None else _time_ids(start),
        samples,
        time=list(start),
        labels=carried,
        flags=_closure_flags(record["record_flag"].to_numpy(), rows),
        basis={
            n: record[n].attrs["basis"] for n in names if "basis" in record[n].attrs
        },
        units={n: record[n].attrs["units"] for n in names},
    )
    closures.attrs = dict(record.attrs)
    return stamp(closures, f"cut_closures({len(start)} closures, before={before})")


def _closure_flags(flag: np.ndarray, rows: Sequence[np.ndarray]) -> list[int]:
    """Return the closure flags that the flags of its samples amount to."""
    flags = []
    for r in rows:
        seen = int(np.bitwise_or.reduce(flag[r])) if r.size else 0
        mask = 0 if r.size else CLOSURE_FLAGS.bit("no_data")
        for word, becomes in _CLOSURE_FLAG.items():
            if seen & RECORD_FLAGS.bit(word):
                mask |= CLOSURE_FLAGS.bit(becomes)
        flags.append(mask)
    return flags


def _only(texts: np.ndarray) -> str:
    """Return the one text all samples share, or nothing."""
    return str(texts[0]) if texts.size and (texts == texts[0]).all() else ""


def _time_ids(start: pd.DatetimeIndex) -> list[str]:
    """Name closures by their closing time, telling repeats apart."""
    seen: dict[str, int] = {}
    names = []
    for name in start.strftime("%Y-%m-%dT%H:%M:%S"):
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names
