"""What exported columns may hold: units, and the range of values to be believed.

Exports name neither quantity nor unit. Both are worked out from the words of label
and file name, and every value is held against the range its quantity can have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable

#: Raised per value of an import (``<quantity>_flag``).
IMPORT_FLAGS = FlagTable(
    {
        "bad_value": "a cell could not be read as a number",
        "negative": "below zero where the quantity cannot be",
        "zero": "exactly zero: a sensor out of the soil, or one that does not answer",
        "below_range": "below what the quantity can be there",
        "above_range": "above what the quantity can be there",
        "at_sensor_limit": "on the end of the sensor's range",
        "error_code": "a number the sensor uses for an error",
        "contradicted": "another file or row has another value for this time",
    }
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measured quantity of an export.

    Attributes
    ----------
    units, long_name : str
        As in the variable's attributes.
    low, high : float
        What is to be believed; values beyond are flagged.
    zero : bool
        Whether exactly zero is an answer (rain) or none (a dry sensor).
    limit : float
        Where the sensor rails; NaN if unknown.
    error : float
        Number that stands for an error; NaN if none.
    """

    units: str
    long_name: str
    low: float
    high: float
    zero: bool = True
    limit: float = np.nan
    error: float = np.nan


#: Sources of the ranges: the soil CO2 sensors end at 40,000 ppm and soil air has at
#: least what outdoor air has (the rule the fleet's authors publish); volumetric water
#: beyond 60 % is no mineral soil's; soils in a heated greenhouse stay below 45 degC;
#: the other limits are those of the sensors' data sheets.
QUANTITIES = {
    "soil_co2": Quantity(
        "umol mol-1", "CO2 in the soil air", 400.0, 40_000.0, False, 40_000.0
    ),
    "tank_co2": Quantity(
        "umol mol-1", "CO2 in a leachate tank", 300.0, 40_000.0, False, 40_000.0
    ),
    "air_co2": Quantity("umol mol-1", "CO2 in the air", 350.0, 5_000.0, False),
    "air_temperature": Quantity("degC", "air temperature", -40.0, 60.0),
    "relative_humidity": Quantity("%", "relative humidity of the air", 1.0, 100.0),
    "soil_temperature": Quantity("degC", "soil temperature", -20.0, 45.0),
    "soil_moisture": Quantity("%", "volumetric water content", 0.0, 60.0, False),
    "soil_ec": Quantity("uS cm-1", "electrical conductivity", 0.0, 20_000.0, False),
    "soil_ph": Quantity("1", "pH of the soil", 3.0, 10.5, False),
    "light": Quantity("lux", "illuminance", 0.0, 140_000.0, error=-1.0),
}

#: Words of a label -> quantity of each channel of such a sensor.
_LABEL_WORDS = (
    (r"tank-?\s?air-?\s?co2", {1: "tank_co2"}),
    (r"soil\s?co2|pco2", {1: "soil_co2"}),
    (r"ambient\s?co2", {1: "air_co2"}),
    (
        r"environment|ambient",
        {1: "air_co2", 2: "relative_humidity", 3: "air_temperature"},
    ),
    (r"\bec\b", {1: "soil_ec"}),
    (r"moisture", {1: "soil_moisture", 2: "soil_ec"}),
    (r"\bph\b", {1: "soil_ph"}),
    (r"\blux\b", {1: "light"}),
    (r"temp[_\s]?soil|soil\s?temp", {1: "soil_temperature"}),
)

#: Words of a file name, likewise; more telling words first.
_FILE_WORDS = (
    (
        r"environment",
        {1: "air_co2", 2: "relative_humidity", 3: "air_temperature"},
    ),
    (r"\blight\b", {1: "light"}),
    (r"soil\s?temp", {1: "soil_temperature"}),
    (r"moisture", {1: "soil_moisture", 2: "soil_ec"}),
    (r"\bec\b", {1: "soil_ec"}),
    (r"\bph\b", {1: "soil_ph"}),
)


def quantity_of(
    label: str, channel: int, file: str, given: str | Mapping[int, str] | None = None
) -> str:
    """Work out what a column holds.

    Parameters
    ----------
    label : str
        The sensor's words of the label (such as ``EC``), or the whole label.
    channel : int
        Channel of the device, 1 for the label itself.
    file : str
        Name of the file.
    given : str or mapping of int to str, optional
        What the caller says it is; this decides.

    Returns
    -------
    str
        One of `QUANTITIES`.

    Raises
    ------
    InputError
        If label and file name contradict each other or neither tells.

    Examples
    --------
    >>> quantity_of("Moisture", 2, "soil_moisture_ec_2023.xlsx")
    'soil_ec'
    """
    if given is not None:
        chosen = given if isinstance(given, str) else given.get(channel)
        if chosen is not None:
            return _known(chosen)
    by_label = _lookup(_LABEL_WORDS, label)
    stem = re.sub(r"[_\W]+", " ", file.rpartition("/")[2].rpartition(".")[0])
    by_file = _lookup(_FILE_WORDS, stem)
    first, second = by_label.get(channel), by_file.get(channel)
    if first and second and first != second:
        raise InputError(
            f"{file}: the column {label!r} is called {first}, the file {second}. "
            f"Look at the values and say which it is, such as quantity={second!r}"
        )
    if not (first or second):
        raise InputError(
            f"{file}: what channel {channel} of {label!r} holds is told neither by its "
            f"label nor by the file's name: say quantity=..., one of "
            f"{', '.join(QUANTITIES)}"
        )
    return first or second or ""


def _lookup(table: tuple[tuple[str, dict[int, str]], ...], text: str) -> dict[int, str]:
    words = text.replace("_", " ") if " " in text else text
    for pattern, channels in table:
        if re.search(pattern, words, re.IGNORECASE):
            return channels
    return {}


def _known(name: str) -> str:
    if name not in QUANTITIES:
        raise InputError(f"no quantity {name!r}; there are {', '.join(QUANTITIES)}")
    return name


def range_flags(
    quantity: str, values: np.ndarray, bad: np.ndarray | None = None
) -> np.ndarray:
    """Flag the values that are not to be believed; none is changed.

    Parameters
    ----------
    quantity : str
        One of `QUANTITIES`.
    values : numpy.ndarray of float
        NaN where nothing was measured.
    bad : numpy.ndarray of bool, optional
        Cells that were no numbers.

    Returns
    -------
    numpy.ndarray of int32
        Bits of `IMPORT_FLAGS`.
    """
    about = QUANTITIES[_known(quantity)]
    error = values == about.error
    with np.errstate(invalid="ignore"):
        raised = {
            "bad_value": np.zeros(values.shape, bool) if bad is None else bad,
            "negative": (values < 0) & (about.low >= 0) & ~error,
            "zero": (values == 0) & (not about.zero),
            "below_range": (values < about.low) & ~error,
            "above_range": values > about.high,
            "at_sensor_limit": values == about.limit,
            "error_code": error,
        }
    return IMPORT_FLAGS.variable(raised, values.shape)
