"""The closures dataset: what every reader returns and every method takes.

One row per chamber closure, padded with NaN to the longest:

==================  ==================  ===========================================
variable            dimensions          what
==================  ==================  ===========================================
``closure``         closure             identifier, text
``time``            closure             closing of the chamber, UTC
``elapsed``         closure, sample     time since closing, s (negative before)
``co2`` and others  closure, sample     mole fraction; attribute ``basis``: dry, wet
``h2o``             closure, sample     water vapour mole fraction (of moist air)
``pressure``        closure, sample     air pressure in the chamber
``temperature``     closure, sample     air temperature in the chamber
``area``            closure             soil area enclosed
``volume``          closure             volume of chamber, collar, tubes, analyser
``dead_band``       closure             time after closing that is not fitted
``closure_flag``    closure             reasons for doubt (CF bit mask)
==================  ==================  ===========================================

Only ``closure``, ``elapsed``, one gas and ``closure_flag`` must be there; the rest
may come from a geometry file. Identifiers (``device``, ``label``, ``pot``) are
text coordinates on ``closure``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.core.errors import InputError, UnitsError
from tilth.core.model import require_text, require_variables
from tilth.core.units import convert_values

#: Gas -> CF standard name and the unit its concentrations are kept in.
GASES = {
    "co2": ("carbon_dioxide", "umol mol-1"),
    "ch4": ("methane", "nmol mol-1"),
    "n2o": ("nitrous_oxide", "nmol mol-1"),
    "h2o": ("water_vapor", "mmol mol-1"),
}

#: Unit a gas is kept in where it is given as mass per volume of air.
MASS_UNITS = "mg m-3"

#: Unit of each variable that is not a gas.
UNITS = {
    "elapsed": "s",
    "pressure": "Pa",
    "temperature": "degC",
    "relative_humidity": "%",
    "light": "lux",
    "area": "m2",
    "volume": "m3",
    "dead_band": "s",
    "fit_end": "s",
}

_LONG_NAMES = {
    "elapsed": "time since the chamber closed",
    "pressure": "air pressure in the chamber",
    "temperature": "air temperature in the chamber",
    "relative_humidity": "relative humidity in the chamber",
    "light": "illuminance in the chamber",
    "area": "soil area enclosed by the chamber",
    "volume": "total volume of chamber, collar, tubes and analyser",
    "dead_band": "time after closing left out of the fit",
    "fit_end": "time after closing at which the fit ends",
}


def make_closures(
    closure: Sequence[str],
    samples: Mapping[str, Sequence[np.ndarray]],
    *,
    time: Sequence | None = None,
    per_closure: Mapping[str, Sequence] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    flags: Sequence[int] | None = None,
    basis: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Assemble a closures dataset from ragged series.

    Parameters
    ----------
    closure : sequence of str
        One identifier per closure, unique.
    samples : mapping of str to sequence of 1-D arrays
        Variable name to one array per closure; ``elapsed`` (s) and a gas at least.
        All variables of one closure have the same length.
    time : sequence of datetime64, optional
        Closing time of each closure, UTC.
    per_closure : mapping of str to sequence of numbers, optional
        Such as ``area`` (m2), ``volume`` (m3), ``dead_band`` (s).
    labels : mapping of str to sequence of str, optional
        Identifiers carried along as coordinates.
    flags : sequence of int, optional
        Bit masks of `CLOSURE_FLAGS` per closure; none raised by default.
    basis : mapping of str to str, optional
        Gas to ``"dry"`` or ``"wet"`` mole fraction; dry by default.
    units : mapping of str to str, optional
        Units of variables that are not in the units of `GASES` and `UNITS`.

    Returns
    -------
    xarray.Dataset
        A closures dataset, padded with NaN.

    Raises
    ------
    InputError
        If identifiers repeat, are not text, or series of one closure differ in
        length.
    """
    identifiers = list(closure)
    if not all(isinstance(name, str) for name in identifiers):
        raise InputError("closure identifiers must be text, such as 'obs 1'")
    if len(set(identifiers)) < len(identifiers):
        twice = sorted({x for x in identifiers if identifiers.count(x) > 1})
        raise InputError(f"closure identifiers must be unique; repeated: {twice[:5]}")
    for i, name in enumerate(identifiers):
        sizes = {v: len(series[i]) for v, series in samples.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"closure {name}: series differ in length: {sizes}")
    lengths = [len(series) for series in samples["elapsed"]]
    shape = (len(identifiers), max(lengths, default=0))
    dataset = xr.Dataset(coords={"closure": np.array(identifiers, dtype=object)})
    for name, series in samples.items():
        padded = np.full(shape, np.nan)
        for i, one in enumerate(series):
            padded[i, : len(one)] = one
        dataset[name] = (("closure", "sample"), padded)
    for name, values in (per_closure or {}).items():
        dataset[name] = ("closure", np.asarray(values, float))
    for name, texts in (labels or {}).items():
        dataset = dataset.assign_coords(
            {name: ("closure", np.array([str(t) for t in texts], dtype=object))}
        )
    if time is not None:
        stamps = pd.DatetimeIndex(pd.to_datetime(list(time))).as_unit("ns")
        dataset = dataset.assign_coords(time=("closure", stamps))
        dataset["time"].attrs["long_name"] = "time of closing, UTC"
    raised = np.zeros(shape[0], "int32") if flags is None else np.asarray(flags)
    dataset["closure_flag"] = ("closure", raised.astype("int32"), CLOSURE_FLAGS.attrs())
    for variable in dataset.data_vars:
        name = str(variable)
        given = (units or {}).get(name)
        if name in GASES and given and is_mass_concentration(given):
            dataset[name].attrs["units"] = given
            continue
        dataset[name].attrs.update(variable_attrs(name, (basis or {}).get(name)))
        if given:
            dataset[name].attrs["units"] = given
    return dataset


def is_mass_concentration(units: str) -> bool:
    """Return whether units are those of mass per volume, such as ``mg m-3``."""
    try:
        convert_values(1.0, units, MASS_UNITS)
    except UnitsError:
        return False
    return True


def variable_attrs(name: str, basis: str | None = None) -> dict[str, str]:
    """Return the CF attributes of a variable of the closures dataset."""
    if name in GASES:
        species, units = GASES[name]
        if name == "h2o":
            return {
                "units": units,
                "standard_name": "mole_fraction_of_water_vapor_in_air",
            }
        prefix = "mole" if basis == "wet" else "dry_atmosphere_mole"
        suffix = "_in_air" if basis == "wet" else ""
        return {
            "units": units,
            "basis": basis or "dry",
            "standard_name": f"{prefix}_fraction_of_{species}{suffix}",
        }
    attrs = {} if basis is None else {"basis": basis}
    if name in UNITS:
        attrs["units"] = UNITS[name]
    if name in _LONG_NAMES:
        attrs["long_name"] = _LONG_NAMES[name]
    return attrs


def check_closures(closures: xr.Dataset, gas: str) -> None:
    """Raise unless this is a closures dataset that holds the gas."""
    require_variables(
        closures, ["closure", "elapsed", gas, "closure_flag"], "a closures dataset"
    )
    require_text(closures["closure"])
