"""Leaf observations: one dataset whatever the instrument, with reasons not to use rows.

Nothing is dropped: `leaf_observations` flags, `usable` says what is left, and
`flag_counts` how many rows each reason took.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import stamp
from tilth.core.units import convert_values
from tilth.stomata.fits import LEAST_DEFICIT
from tilth.stomata.surface import surface_co2, surface_humidity

__all__ = ["FLAGS", "flag_counts", "leaf_observations", "usable"]


class Quantity(NamedTuple):
    """A quantity of a leaf: units, meaning, and what its numbers may be."""

    units: str
    meaning: str
    low: float
    high: float


#: Name -> what it is. Limits are those of leaves and instruments, wide of any field
#: observation; beyond them a value is implausible, often by its units.
QUANTITIES: dict[str, Quantity] = {
    "conductance": Quantity(
        "mol m-2 s-1", "stomatal conductance for water vapour", 0.0, 3.0
    ),
    "assimilation": Quantity("umol m-2 s-1", "net assimilation", -20.0, 80.0),
    "deficit": Quantity(
        "kPa", "vapour pressure deficit from the leaf to the air", 0.0, 12.0
    ),
    "surface_co2": Quantity(
        "umol mol-1", "carbon dioxide at the leaf surface", 20.0, 3000.0
    ),
    "chamber_co2": Quantity(
        "umol mol-1", "carbon dioxide in the chamber", 20.0, 3000.0
    ),
    "light": Quantity(
        "umol m-2 s-1", "photosynthetically active radiation", -5.0, 3500.0
    ),
    "leaf_temperature": Quantity("degC", "leaf temperature", -15.0, 60.0),
    "air_temperature": Quantity("degC", "air temperature at the leaf", -20.0, 60.0),
    "soil_water_potential": Quantity("MPa", "soil water potential", -15.0, 0.1),
    "pressure": Quantity(
        "kPa", "pressure in the chamber, its overpressure included", 40.0, 115.0
    ),
    "transpiration": Quantity("mol m-2 s-1", "transpiration", -0.005, 0.05),
    "boundary_conductance": Quantity(
        "mol m-2 s-1", "boundary-layer conductance for water vapour", 0.05, 30.0
    ),
    "chamber_water": Quantity("mmol mol-1", "water vapour in the chamber", 0.0, 100.0),
    "surface_humidity": Quantity(
        "1", "humidity at the leaf surface over saturation at the leaf", 0.0, 1.3
    ),
    "temperature_difference": Quantity("K", "leaf less air temperature", -25.0, 25.0),
}

#: What a closure needs.
NEEDED = ("conductance", "assimilation", "deficit", "surface_co2")

#: Reasons not to use an observation.
FLAGS = FlagTable(
    {
        "missing": "a quantity that every closure needs is not there",
        "implausible": "a value is beyond what leaves and instruments can show",
        "no_uptake": "net assimilation is not above zero: closures say nothing there",
        "small_deficit": (
            f"the deficit is below {LEAST_DEFICIT} kPa, where Medlyn's closure grows "
            "without limit"
        ),
        "duplicate": "the same observation stands further up",
        "instrument": "the instrument's own flag says not to use it",
    }
)

#: What stands for "missing" in tables of this field.
_MISSING = (-9999.0, -999.0, -99.99)

#: Coordinates of text that say where rows belong.
_LABELS = ("plant", "day", "curve", "species")


def leaf_observations(
    quantities: Mapping[str, tuple[Any, str]],
    *,
    labels: Mapping[str, Any] | None = None,
    bad: Any = None,
) -> xr.Dataset:
    """Bring columns of a gas-exchange table into one dataset, checked and flagged.

    What can be computed is: carbon dioxide and humidity at the leaf surface where
    transpiration and the boundary layer are known, the temperature difference where
    both temperatures are.

    Parameters
    ----------
    quantities : mapping of str to (array_like, str)
        Name in `QUANTITIES` -> values and their units (UDUNITS). A ``deficit`` in
        mol mol-1 needs ``pressure``. Numbers -9999, -999 and -99.99 are missing.
    labels : mapping of str to array_like, optional
        ``plant``, ``day``, ``curve`` or ``species`` of every row, as text.
    bad : array_like of bool, optional
        Rows that the instrument or its operator marked.

    Returns
    -------
    xarray.Dataset
        Along ``observation``, with ``conductance_flag``.

    Raises
    ------
    InputError
        If a quantity is unknown or absent, lengths differ, two columns are the same
        numbers, or most of a column is implausible: then its units are wrong.
    """
    unknown = set(quantities) - set(QUANTITIES)
    if unknown:
        raise InputError(
            f"no quantity {', '.join(sorted(unknown))}; there are "
            f"{', '.join(QUANTITIES)}"
        )
    columns = {
        name: _converted(name, values, units, quantities)
        for name, (values, units) in quantities.items()
    }
    _complete(columns)
    absent = [name for name in NEEDED if name not in columns]
    if absent:
        raise InputError(
            f"the table lacks {', '.join(absent)}; a closure needs {', '.join(NEEDED)}"
        )
    rows = {name: values.size for name, values in columns.items()}
    if len(set(rows.values())) > 1:
        raise InputError(f"columns of different lengths: {rows}")
    count = columns["conductance"].size
    if not count:
        raise InputError("the table has no rows")
    _check_twins(columns)
    _check_units(columns)
    data: dict[str, Any] = {
        name: (
            "observation",
            values,
            {"units": QUANTITIES[name].units, "long_name": QUANTITIES[name].meaning},
        )
        for name, values in columns.items()
    }
    coords: dict[str, Any] = {"observation": np.arange(count)}
    for name, values in (labels or {}).items():
        if name not in _LABELS:
            raise InputError(f"no label {name!r}; there are {', '.join(_LABELS)}")
        text = np.asarray([str(v).strip() for v in np.ravel(values)], object)
        if text.size != count:
            raise InputError(f"{text.size} labels {name} for {count} observations")
        coords[name] = ("observation", text)
    marked = np.zeros(count, bool) if bad is None else np.asarray(bad, bool)
    if marked.shape != (count,):
        raise InputError(f"{marked.size} marks for {count} observations")
    raised = _raised(columns, marked)
    flag = FLAGS.variable(raised, (count,))
    data["conductance_flag"] = ("observation", flag, FLAGS.attrs())
    data["conductance"][2]["ancillary_variables"] = "conductance_flag"
    return stamp(xr.Dataset(data, coords), f"{count} observations of leaves")


def usable(observations: xr.Dataset, *, ignore: tuple[str, ...] = ()) -> xr.Dataset:
    """Return the observations that no flag speaks against.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `leaf_observations`.
    ignore : tuple of str, optional
        Flags that do not count, such as ``("instrument",)``.

    Returns
    -------
    xarray.Dataset
        Fewer rows.

    Raises
    ------
    InputError
        If none is left; the text counts the reasons.
    """
    against = observations["conductance_flag"].values.copy()
    for meaning in ignore:
        against &= ~FLAGS.bit(meaning)
    left = observations.isel(observation=np.flatnonzero(against == 0))
    if not left.sizes["observation"]:
        raise InputError(
            f"no observation is left: {flag_counts(observations).to_dict()}"
        )
    return left


def flag_counts(observations: xr.Dataset) -> pd.Series:
    """Count the observations that each reason speaks against.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `leaf_observations`.

    Returns
    -------
    pandas.Series
        Number of rows by reason, and ``usable``.
    """
    flag = observations["conductance_flag"].values
    counts = {
        name: int((flag & FLAGS.bit(name) != 0).sum()) for name in FLAGS.descriptions
    }
    return pd.Series({**counts, "usable": int((flag == 0).sum())}, name="observations")


def _converted(
    name: str, values: Any, units: str, quantities: Mapping[str, tuple[Any, str]]
) -> np.ndarray:
    """Return a column in the units of the model, NaN where it says missing."""
    try:
        numbers = np.asarray(values, float).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} holds text among its numbers: {error}") from error
    numbers = np.where(np.isin(numbers, _MISSING), np.nan, numbers)
    wanted = QUANTITIES[name].units
    if name == "deficit" and units in ("mol mol-1", "mmol mol-1", "1"):
        if "pressure" not in quantities:
            raise InputError(
                f"deficit is in {units}, a share of air, and is wanted in kPa: give "
                "the pressure too, or multiply by it"
            )
        pressure = _converted("pressure", *quantities["pressure"], quantities)
        share = convert_values(numbers, units, "mol mol-1" if units != "1" else "1")
        return np.asarray(share) * pressure
    return np.asarray(convert_values(numbers, units, wanted), float)


def _complete(columns: dict[str, np.ndarray]) -> None:
    """Add what follows from the columns that are there."""
    flows = ("assimilation", "transpiration", "boundary_conductance")
    if "surface_co2" not in columns and {"chamber_co2", *flows} <= set(columns):
        columns["surface_co2"] = surface_co2(
            columns["chamber_co2"], *(columns[name] for name in flows)
        )
    around = ("leaf_temperature", "pressure")
    wanted = {"chamber_water", *flows[1:], *around}
    if "surface_humidity" not in columns and wanted <= set(columns):
        columns["surface_humidity"] = surface_humidity(
            columns["chamber_water"], *(columns[n] for n in (*flows[1:], *around))
        )
    pair = ("leaf_temperature", "air_temperature")
    if "temperature_difference" not in columns and set(pair) <= set(columns):
        columns["temperature_difference"] = columns[pair[0]] - columns[pair[1]]


def _check_twins(columns: dict[str, np.ndarray]) -> None:
    """Raise if two columns are the same numbers: one of them is mislabelled."""
    names = [
        name
        for name, values in columns.items()
        if np.unique(values[np.isfinite(values)]).size > 1
    ]
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            # Without a boundary layer to pass, the surface is the chamber.
            if {first, second} == {"surface_co2", "chamber_co2"}:
                continue
            if np.array_equal(columns[first], columns[second], equal_nan=True):
                raise InputError(
                    f"{first} and {second} are the same numbers in every row: one of "
                    "them was given the wrong column"
                )


def _check_units(columns: dict[str, np.ndarray]) -> None:
    """Raise if most of a column cannot be: then it is in other units."""
    for name, values in columns.items():
        about = QUANTITIES[name]
        known = values[np.isfinite(values)]
        beyond = (known < about.low) | (known > about.high)
        if known.size and beyond.mean() > 0.5:
            raise InputError(
                f"{name} is beyond {about.low:g} to {about.high:g} {about.units} in "
                f"{beyond.sum()} of {known.size} rows (median {np.median(known):g}): "
                "are its units right?"
            )
    deficit = columns["deficit"][np.isfinite(columns["deficit"])]
    if deficit.size and np.median(deficit) < 0.08 and deficit.max() < 0.15:
        raise InputError(
            f"deficit is {np.median(deficit):g} in the median, in kPa almost none: it "
            "looks like mol mol-1; name its units, and give the pressure"
        )


def _raised(
    columns: dict[str, np.ndarray], marked: np.ndarray
) -> dict[str, np.ndarray]:
    """Return which rows each reason speaks against."""
    needed = np.stack([columns[name] for name in NEEDED])
    missing = ~np.isfinite(needed).all(axis=0)
    odd = np.zeros(marked.size, bool)
    for name, values in columns.items():
        odd |= (values < QUANTITIES[name].low) | (values > QUANTITIES[name].high)
    table = pd.DataFrame(columns)
    return {
        "missing": missing,
        "implausible": odd,
        "no_uptake": columns["assimilation"] <= 0.0,
        "small_deficit": columns["deficit"] < LEAST_DEFICIT,
        "duplicate": table.duplicated().to_numpy() & ~missing,
        "instrument": marked,
    }
