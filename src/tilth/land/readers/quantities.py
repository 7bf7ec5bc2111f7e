"""One quantity out of a model's files: found, converted and checked, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.core.units import convert, parse_units
from tilth.land.readers.columns import Column, ColumnMap
from tilth.land.readers.days import rates, step_seconds, to_days
from tilth.land.readers.shelf import Shelf

#: Spellings of units that models write and no units library reads. "C" would be a
#: coulomb.
_SPELLINGS = {
    "C": "degC",
    "deg C": "degC",
    "degrees C": "degC",
    "-": "1",
    "": "1",
    "fraction": "1",
    "m of water equivalent": "m",
    "mm/timestep": "per step of the model",
    "mm timestep-1": "per step of the model",
    "mm/dt": "per step of the model",
}


@dataclass(frozen=True)
class Kind:
    """What a quantity is in our units, and what it can be.

    Parameters
    ----------
    units : str
        Ours.
    low, high : float
        Outside these no land surface has been.
    state : bool
        Taken at the end of the day, not as its mean.
    water : bool
        An amount or a flux of water: 1 kg m-2 is 1 mm.
    """

    units: str
    low: float
    high: float
    state: bool = False
    water: bool = False


#: Quantity -> its kind. Rain: the record of a day is 1825 mm (Foc-Foc, 1966); air:
#: 184 K to 330 K; pressure: 33 kPa on Everest; vapour: 0.04 kg kg-1 at a dew point of
#: 35 degC; dew and negative runoff by rounding are let pass.
KINDS = {
    "rain": Kind("mm day-1", -1e-3, 2000.0, water=True),
    "snowfall": Kind("mm day-1", -1e-3, 2000.0, water=True),
    "precipitation": Kind("mm day-1", -1e-3, 2000.0, water=True),
    "temperature": Kind("K", 180.0, 335.0),
    "humidity": Kind("kg kg-1", -1e-6, 0.05),
    "vapour_pressure": Kind("Pa", -1.0, 8000.0),
    "vapour_pressure_deficit": Kind("Pa", -1.0, 15000.0),
    "relative_humidity": Kind("1", -1e-3, 1.3),
    "dewpoint": Kind("K", 170.0, 312.0),
    "pressure": Kind("Pa", 30000.0, 110000.0),
    "snow": Kind("mm", -1e-3, 2e5, state=True, water=True),
    "soil": Kind("mm", 0.0, 2e4, state=True, water=True),
    "wetland": Kind("mm", -1e-3, 2e4, state=True, water=True),
    "runoff": Kind("mm day-1", -5.0, 2000.0, water=True),
    "evaporation": Kind("mm day-1", -20.0, 50.0, water=True),
}


def take(
    shelf: Shelf, columns: ColumnMap, quantity: str
) -> tuple[list[xr.DataArray], Column] | None:
    """Return the variables of a quantity and the column they are, or None."""
    for column in columns.columns.get(quantity, ()):
        found = [shelf.find(name) for name in column.variables]
        if all(variable is not None for variable in found):
            return [variable for variable in found if variable is not None], column
    return None


def absent(shelf: Shelf, columns: ColumnMap, quantities: Iterable[str]) -> InputError:
    """Return the error that tells what was looked for and what there is."""
    wanted = []
    for quantity in quantities:
        ways = [
            " + ".join(column.variables) for column in columns.columns.get(quantity, ())
        ]
        named = " or ".join(ways) if ways else "no variable in the column map"
        wanted.append(f"{quantity} ({named})")
    return InputError(
        f"the files hold no {' or '.join(wanted)}; they hold "
        f"{', '.join(shelf.names)}. Give further files, or a column map with a line "
        f"such as '{next(iter(quantities))}: NAME'"
    )


def read_plain(shelf: Shelf, columns: ColumnMap, quantity: str) -> xr.DataArray | None:
    """Return a daily quantity in our units, or None where the files do not hold it.

    Parameters
    ----------
    shelf : Shelf
        Of the files.
    columns : ColumnMap
        Of the model.
    quantity : str
        Any of `KINDS` but ``soil``.

    Returns
    -------
    xarray.DataArray or None
        With daily ``time`` and the dimensions of the grid.

    Raises
    ------
    UnitsError
        If its units are absent, of another kind, or an amount without a word for
        over which time.
    InputError
        If the time axis is not regular or values are out of range.
    """
    taken = take(shelf, columns, quantity)
    if taken is None:
        return None
    variables, column = taken
    parts = [
        _in_units(_present(variable, columns), column, quantity, columns.stamp)
        for variable in variables
    ]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    kind = KINDS[quantity]
    daily = to_days(total * column.scale, columns.stamp, state=kind.state)
    return checked(daily, quantity, "+".join(column.variables))


def _present(variable: xr.DataArray, columns: ColumnMap) -> xr.DataArray:
    """Return the variable with NaN where the model writes a number for nothing."""
    values = variable.astype(float) if variable.dtype != float else variable
    for number in columns.missing:
        # Single precision does not hold 1e20 to the last digit.
        values = values.where(np.abs(values - number) > 1e-6 * abs(number))
    values.attrs = variable.attrs
    return values


def units_of(variable: xr.DataArray, column: Column) -> str:
    """Return the units of a variable: the map's word, else the file's attribute."""
    if column.units is not None:
        return column.units
    have = variable.attrs.get("units")
    if have is None:
        raise UnitsError(
            f"{variable.name} has no 'units' attribute: write {{variable: "
            f"{variable.name}, units: ...}} in the column map"
        )
    return re.sub(r"\s+", " ", _SPELLINGS.get(str(have).strip(), str(have))).strip()


def _in_units(
    variable: xr.DataArray, column: Column, quantity: str, stamp: str
) -> xr.DataArray:
    """Convert one variable to our units at its own time steps."""
    kind = KINDS[quantity]
    units = units_of(variable, column)
    if units == "per step of the model":
        raise UnitsError(
            f"{variable.name} is in {variable.attrs['units']!r}: the file does not "
            "tell how long a step of the model is. Take another variable, or write the "
            "units and the scale in the column map: for steps of 1800 s "
            f"{{variable: {variable.name}, units: mm s-1, scale: {1 / 1800:.6g}}}"
        )
    if not kind.water:
        return convert(variable.assign_attrs(units=units), kind.units)
    if kind.state:
        return in_millimetres(variable, units, "mm")
    if _is_amount(units):
        if column.amount is None:
            raise UnitsError(
                f"{variable.name} is in {units!r}, an amount and no rate: say in the "
                f"column map over which time, {{variable: {variable.name}, amount: "
                "step}, run or day"
            )
        variable = in_millimetres(variable, units, "mm")
        seconds = step_seconds(variable["time"])
        return rates(variable, column.amount, seconds, stamp).assign_attrs(
            units="mm day-1"
        )
    return in_millimetres(variable, units, "mm day-1")


def _is_amount(units: str) -> bool:
    """Tell whether units are a depth or a mass per area, not a rate."""
    dimension = dict(parse_units(units).dimensionality)
    return dimension in ({"[length]": 1}, {"[mass]": 1, "[length]": -2})


def in_millimetres(variable: xr.DataArray, units: str, target: str) -> xr.DataArray:
    """Convert water to ``mm`` or ``mm day-1``; a mass per area of 1 kg m-2 is 1 mm."""
    labelled = variable.assign_attrs(units=units)
    by_mass = target.replace("mm", "kg m-2")
    if "[mass]" in parse_units(units).dimensionality:
        return convert(labelled, by_mass).assign_attrs(units=target)
    return convert(labelled, target)


def checked(data: xr.DataArray, quantity: str, source: str) -> xr.DataArray:
    """Return the data with its attributes, or say why it cannot be what it should.

    Raises
    ------
    InputError
        If values lie outside what has ever been, or all are of the wrong sign.
    """
    kind = KINDS[quantity]
    low, high = float(data.min()), float(data.max())
    hint = (
        "if the units in the file are wrong, write the right ones in the column map "
        f"({quantity}: {{variable: {source}, units: ...}}); if the number stands for "
        "nothing, list it under missing"
    )
    if low < kind.low or high > kind.high:
        if quantity in ("runoff", "evaporation") and float(data.mean()) < 0:
            hint = "if the model counts what leaves as negative, write scale: -1"
        raise InputError(
            f"{quantity} ({source}) runs from {low:.6g} to {high:.6g} {kind.units}, "
            f"outside {kind.low:g} to {kind.high:g}: {hint}"
        )
    if quantity in ("runoff", "evaporation") and float(data.mean()) < -1e-3:
        raise InputError(
            f"{quantity} ({source}) is {float(data.mean()):.4g} {kind.units} on "
            "average: if the model counts what leaves as negative, write scale: -1 in "
            "the column map"
        )
    if kind.low <= 0 and kind.water and quantity not in ("runoff", "evaporation"):
        data = data.clip(min=0.0)
    data.attrs = {"units": kind.units, "source_variable": source}
    return data.rename(quantity)
