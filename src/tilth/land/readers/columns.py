"""Column maps: under which names and in which units a land model keeps its quantities.

A map says, for every quantity an emulator needs, which variables of a file hold it and
what their numbers mean. Maps of known models are in `tilth.land.readers.models`; a
user writes one as a dictionary or in YAML::

    like: vic                      # start from a known map; these lines change it
    stamp: end                     # a time stamp closes its interval
    missing: [-9999]
    snow_temperatures: [-0.5, 0.5] # all snow below, all rain above, degC
    precipitation: {variable: f_prec_mm, units: mm, amount: step}
    pressure: {variable: PRESSURE, units: kPa}   # whatever the file's attribute says
    evaporation: {variable: e, scale: -1}        # counted as negative by the model
    runoff: {sum: [SFCRNOFF, UGDRNOFF], amount: run}
    soil: {layers: [swvl1, swvl2]}
    thickness: [0.07, 0.21]        # m, from the top
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError

#: Quantity -> what it is. The emulator's forcing and targets, and those from which
#: some of them can be had.
QUANTITIES = {
    "rain": "rainfall",
    "snowfall": "snowfall",
    "precipitation": "rain and snowfall together",
    "temperature": "air temperature",
    "humidity": "specific humidity of the air",
    "vapour_pressure": "vapour pressure of the air",
    "vapour_pressure_deficit": "vapour pressure short of saturation",
    "relative_humidity": "relative humidity of the air",
    "dewpoint": "dew point of the air",
    "pressure": "surface air pressure",
    "snow": "snow water equivalent",
    "soil": "soil water of every layer",
    "wetland": "water in the wetland store",
    "runoff": "surface and subsurface runoff together",
    "evaporation": "evaporation of all kinds, upwards",
}

#: What the words for amounts mean.
AMOUNTS = {
    "step": "an amount per output step",
    "run": "an amount that grows from the start of the run",
    "day": "an amount that grows from midnight",
}


@dataclass(frozen=True)
class Column:
    """Where a model keeps one quantity, and what its numbers mean.

    Parameters
    ----------
    variables : tuple of str
        Names in the file; several are added up (of ``soil``, they are layers from the
        top). A name is looked for among the variables, then among their attributes
        ``alma_name`` and ``standard_name``.
    units : str, optional
        What the numbers are in, in the place of the file's own ``units``.
    amount : {"step", "run", "day"}, optional
        For a flux that the file holds as an amount (mm, kg m-2): per output step, or
        growing from the start of the run, or from midnight.
    scale : float
        Factor on the numbers; -1 where a model counts the other way.
    """

    variables: tuple[str, ...]
    units: str | None = None
    amount: str | None = None
    scale: float = 1.0

    def __post_init__(self):
        if not self.variables or not all(isinstance(v, str) for v in self.variables):
            raise InputError(f"a column needs names of variables, got {self.variables}")
        if self.amount is not None and self.amount not in AMOUNTS:
            raise InputError(
                f"{self.variables[0]}: no amount {self.amount!r}; there are "
                + "; ".join(f"{key}: {text}" for key, text in AMOUNTS.items())
            )
        if not self.scale:
            raise InputError(f"{self.variables[0]}: a scale of zero leaves nothing")


@dataclass(frozen=True)
class ColumnMap:
    """How a land model names what an emulator needs.

    Parameters
    ----------
    name : str
        Of the model.
    columns : mapping of str to tuple of Column
        Quantity -> the ways the model may keep it; the first whose variables are all
        there is taken.
    thickness : tuple of float, optional
        Of the soil layers from the top, m. Without it layers can be counted, but not
        cut at a depth.
    stamp : {"start", "end"}
        Which end of its interval a time stamp marks.
    missing : tuple of float
        Numbers that stand for nothing though no attribute says so.
    snow_temperatures : tuple of two floats, optional
        Where the model writes precipitation only: air temperatures in degC at or
        below which all of it is snow, and at or above which all is rain; linear
        between.
    """

    name: str
    columns: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)
    thickness: tuple[float, ...] | None = None
    stamp: str = "start"
    missing: tuple[float, ...] = ()
    snow_temperatures: tuple[float, float] | None = None

    def __post_init__(self):
        if self.stamp not in ("start", "end"):
            raise InputError(
                f"stamp is 'start' or 'end' of an interval, got {self.stamp!r}"
            )
        if self.thickness is not None and not all(d > 0 for d in self.thickness):
            raise InputError(f"a layer's thickness is positive, got {self.thickness}")
        if self.snow_temperatures is not None:
            low, high = self.snow_temperatures
            if not low <= high:
                raise InputError(
                    "snow_temperatures are the air temperatures of all snow and of all "
                    f"rain, the first the lower one; got {self.snow_temperatures}"
                )

    def changed(self, **settings: Any) -> ColumnMap:
        """Return the map with other settings, each as in a dictionary."""
        return parse_map({"like": self, **settings})

    def settings(self) -> dict[str, Any]:
        """Return the dictionary that `parse_map` reads as this map."""
        found: dict[str, Any] = {"name": self.name, "stamp": self.stamp}
        for key in ("thickness", "missing", "snow_temperatures"):
            if getattr(self, key):
                found[key] = list(getattr(self, key))
        for quantity, ways in self.columns.items():
            found[quantity] = [_words(column) for column in ways]
        return found


def _words(column: Column) -> dict[str, Any]:
    """Return the dictionary of a column."""
    words: dict[str, Any] = {"sum": list(column.variables)}
    for key in ("units", "amount"):
        if getattr(column, key) is not None:
            words[key] = getattr(column, key)
    if column.scale != 1.0:
        words["scale"] = column.scale
    return words


#: Settings of a map that are not quantities.
_SETTINGS = ("name", "like", "thickness", "stamp", "missing", "snow_temperatures")


def parse_map(
    settings: Mapping[str, Any], known: Mapping[str, ColumnMap] | None = None
) -> ColumnMap:
    """Return the column map that a dictionary describes.

    Parameters
    ----------
    settings : mapping
        As in the head of `tilth.land.readers.columns`: settings of the map, and
        quantities. A quantity is a name, a dictionary with ``variable``, ``sum`` or
        ``layers`` and, where needed, ``units``, ``amount``, ``scale``; or a list of
        such, of which the first that is there is taken.
    known : mapping of str to ColumnMap, optional
        Maps that ``like`` may name.

    Returns
    -------
    ColumnMap
        The map.

    Raises
    ------
    InputError
        If a word is not known.
    """
    unknown = [key for key in settings if key not in (*QUANTITIES, *_SETTINGS)]
    if unknown:
        raise InputError(
            f"a column map has no {', '.join(map(repr, unknown))}; quantities are "
            f"{', '.join(QUANTITIES)}; settings are {', '.join(_SETTINGS)}"
        )
    base = _base(settings.get("like"), known or {})
    columns = dict(base.columns)
    for quantity in QUANTITIES:
        if quantity in settings:
            columns[quantity] = _ways(quantity, settings[quantity])
    changes: dict[str, Any] = {"columns": columns}
    if "name" in settings:
        changes["name"] = str(settings["name"])
    if "stamp" in settings:
        changes["stamp"] = settings["stamp"]
    for key in ("thickness", "missing", "snow_temperatures"):
        if key in settings:
            changes[key] = _numbers(key, settings[key])
    return replace(base, **changes)


def read_map(
    path: str | os.PathLike[str], known: Mapping[str, ColumnMap] | None = None
) -> ColumnMap:
    """Read a column map from a YAML file.

    Parameters
    ----------
    path : path
        Of the file.
    known : mapping of str to ColumnMap, optional
        Maps that its ``like`` may name.

    Returns
    -------
    ColumnMap
        As `parse_map` makes it.
    """
    import yaml

    file = Path(path)
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file.name} is not a YAML file: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{file.name} must hold lines 'quantity: variable'")
    try:
        return parse_map({"name": file.stem, **settings}, known)
    except InputError as error:
        raise InputError(f"{file.name}: {error}") from error


def _base(like: Any, known: Mapping[str, ColumnMap]) -> ColumnMap:
    """Return the map to start from."""
    if like is None:
        return ColumnMap("user")
    if isinstance(like, ColumnMap):
        return like
    try:
        return known[like]
    except KeyError:
        raise InputError(
            f"there is no map {like!r} to be like; there are {', '.join(known)}"
        ) from None


def _ways(quantity: str, value: Any) -> tuple[Column, ...]:
    """Return the columns a line of the map stands for."""
    ways = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_column(quantity, way) for way in ways)


def _column(quantity: str, way: Any) -> Column:
    """Return the column that a name or a dictionary stands for."""
    if isinstance(way, Column):
        return way
    if isinstance(way, str):
        return Column((way,))
    if not isinstance(way, Mapping):
        raise InputError(f"{quantity}: a name or a dictionary is needed, got {way!r}")
    words = dict(way)
    names = [words.pop(key) for key in ("variable", "sum", "layers") if key in words]
    if len(names) != 1:
        raise InputError(
            f"{quantity}: say exactly one of 'variable' (a name), 'sum' (names to be "
            "added up) and 'layers' (names from the top)"
        )
    unknown = set(words) - {"units", "amount", "scale"}
    if unknown:
        raise InputError(
            f"{quantity}: no word {', '.join(sorted(unknown))}; there are variable, "
            "sum, layers, units, amount, scale"
        )
    given = names[0]
    variables = (given,) if isinstance(given, str) else tuple(given)
    try:
        scale = float(words.get("scale", 1.0))
    except (TypeError, ValueError):
        raise InputError(
            f"{quantity}: scale is a number, got {words['scale']!r}"
        ) from None
    return Column(variables, words.get("units"), words.get("amount"), scale)


def _numbers(key: str, value: Any) -> tuple[float, ...] | None:
    """Return one number or several as a tuple."""
    if value is None:
        return None
    given: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    try:
        numbers = tuple(float(x) for x in given)
    except (TypeError, ValueError):
        raise InputError(f"{key} takes numbers, got {value!r}") from None
    if key == "snow_temperatures" and len(numbers) != 2:
        raise InputError(f"snow_temperatures takes two numbers, got {value!r}")
    return numbers
