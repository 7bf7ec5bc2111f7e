"""The map of a table's columns: what each one is, in which units, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tilth.chambers.closures import GASES, MASS_UNITS, UNITS, is_mass_concentration
from tilth.core.errors import InputError, UnitsError
from tilth.core.units import convert_values, parse_units

#: Variables that are times.
TIMES = ("time", "closing")


@dataclass(frozen=True)
class Column:
    """What one column of a file is.

    Parameters
    ----------
    variable : str
        ``time``, ``closing`` (time the chamber closed), ``closure`` (identifier), a
        variable of `tilth.chambers.closures`, or a name of your own.
    units : str, optional
        Units in the file. A column without units is an identifier and stays text.
        For a time that is a number: ``"seconds since 1970-01-01"``.
    basis : str, optional
        ``dry`` or ``wet`` mole fraction; required for gases but water vapour.
    format : str, optional
        Of a time that is not ISO 8601, such as ``"%d.%m.%Y %H:%M:%S"``.
    """

    variable: str
    units: str | None = None
    basis: str | None = None
    format: str | None = None


def column_map(columns: Mapping[str, Any]) -> dict[str, Column]:
    """Check a column map.

    Raises
    ------
    InputError
        If it is empty, maps two columns to one variable, has an unknown key, or a
        measured variable has no or unknown units or a gas no basis.
    """
    if not columns:
        raise InputError("the column map is empty: map at least a time and a gas")
    mapped: dict[str, Column] = {}
    owner: dict[str, str] = {}
    for name, given in columns.items():
        if isinstance(given, str):
            given = {"variable": given}
        try:
            column = given if isinstance(given, Column) else Column(**given)
        except TypeError as error:
            raise InputError(
                f"column {name!r}: {error}; a column has the keys variable, units, "
                "basis and format"
            ) from None
        _check(name, column)
        if column.variable in owner:
            raise InputError(
                f"columns {owner[column.variable]!r} and {name!r} are both mapped to "
                f"{column.variable}: keep one"
            )
        owner[column.variable] = name
        mapped[str(name)] = column
    return mapped


def _check(name: str, column: Column) -> None:
    """Raise unless one entry of the map says enough."""
    variable, units = column.variable, column.units
    if variable in TIMES:
        return
    canonical = GASES[variable][1] if variable in GASES else UNITS.get(variable)
    by_mass = variable in GASES and units is not None and is_mass_concentration(units)
    if by_mass:
        return  # mass per volume: no dilution to correct, no basis to state
    if units is None:
        if canonical is not None:
            raise InputError(
                f"column {name!r} is mapped to {variable} without its units: state "
                f"those of the file, for example units: {canonical!r}"
            )
        return
    try:
        if canonical is None:
            parse_units(units)
        else:
            convert_values(1.0, units, canonical)
    except UnitsError as error:
        raise UnitsError(f"column {name!r} ({variable}): {error}") from error
    if variable in GASES and variable != "h2o" and column.basis not in ("dry", "wet"):
        raise InputError(
            f"column {name!r} ({variable}): state basis: 'dry' or 'wet' (got "
            f"{column.basis!r}): a wet mole fraction is still to be corrected for "
            "water vapour, a dry one must not be corrected twice"
        )


def map_from_yaml(path: Any) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the map and the options of a YAML file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no column map {path}")
    try:
        # Identifiers and missing codes must stay as written: no numbers, no dates.
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("columns"), dict):
        raise InputError(
            f"{path.name} has no 'columns:' with one line per column of the table, "
            "such as 'CO2: {variable: co2, units: ppm, basis: dry}'"
        )
    rest = {name: value for name, value in content.items() if name != "columns"}
    for name in ("preamble", "sheet"):
        if str(rest.get(name, "")).isdigit():
            rest[name] = int(rest[name])
    return content["columns"], rest


def canonical_units(variable: str, column: Column) -> str:
    """Return the units Tilth keeps a variable in; those of the file for others."""
    if variable in GASES:
        if column.units and is_mass_concentration(column.units):
            return MASS_UNITS
        return GASES[variable][1]
    return UNITS.get(variable) or str(column.units)
