"""The geometry of chambers: from a file with units to a volume with uncertainty.

A geometry file names the quantities of `QUANTITIES` with their units, for all
closures, and under ``by`` those of single pots, devices or any other label::

    volume: 5.18 L          # of the chamber alone
    area: 314 cm2           # of soil enclosed
    offset: 2.0 cm          # collar above the soil
    tubes: 40 cm3
    settling_se: 0.5 cm
    by:
      table:
        "9": {settling: 1.0 cm}
      pot:
        "9.2.B": {settling: 1.6 cm, displacement: 90 cm3}

The later of several labels that fit one closure wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.chambers.air import air_moles_per_area
from tilth.core.constants import STANDARD_ATMOSPHERE
from tilth.core.errors import InputError
from tilth.core.model import require_text, stamp
from tilth.core.units import parse_quantity

#: Quantity -> SI unit and what it is.
QUANTITIES = {
    "volume": ("m3", "volume of the chamber alone"),
    "area": ("m2", "soil area enclosed"),
    "offset": ("m", "height of the collar above the soil"),
    "settling": ("m", "sinking of the soil since the offset was measured"),
    "tubes": ("m3", "volume of the tubes"),
    "analyser": ("m3", "volume of the analyser's cell"),
    "displacement": ("m3", "volume taken by plants, stones and instruments"),
}

#: Moles of air per soil area that a chamber can hold, mol m-2: 1.2 cm to 1.2 m high. A
#: volume in cm3 or an area in cm2 taken for SI falls far outside.
AMOUNT_LIMITS = (0.5, 50.0)


@dataclass(frozen=True)
class Geometry:
    """Sizes in SI units, for all closures and for single labels.

    Attributes
    ----------
    common : mapping of str to float
        Quantity (or quantity with ``_se``, its standard error) to its value.
    by : mapping
        Label coordinate -> identifier -> quantity -> value.
    """

    common: Mapping[str, float]
    by: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


def read_geometry(path: str | os.PathLike[str]) -> Geometry:
    """Read a geometry file (YAML).

    Parameters
    ----------
    path : path
        See the module's text for its form.

    Returns
    -------
    Geometry

    Raises
    ------
    InputError
        If the file is no YAML mapping or `geometry_from_dict` refuses it.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not a YAML file: {reason}") from error
    try:
        return geometry_from_dict(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def geometry_from_dict(content: Mapping[str, Any]) -> Geometry:
    """Turn a mapping of texts such as ``"5.18 L"`` into a geometry in SI units.

    Parameters
    ----------
    content : mapping
        Quantities of `QUANTITIES`, and those with ``_se``, as text with units;
        ``by`` as in the module's text.

    Returns
    -------
    Geometry

    Raises
    ------
    InputError
        If a quantity is unknown, has no units or wrong ones, is negative, or an
        identifier is not text.

    Examples
    --------
    >>> geometry = geometry_from_dict({"volume": "5 L", "area": "250 cm2"})
    >>> geometry.common["volume"], geometry.common["area"]
    (0.005, 0.025)
    """
    if not isinstance(content, Mapping):
        raise InputError(
            "a geometry is a mapping such as 'volume: 5.18 L' and 'area: 314 cm2', "
            f"got {type(content).__name__}"
        )
    common = {str(k): v for k, v in content.items() if k != "by"}
    by = {}
    for label, table in (content.get("by") or {}).items():
        if not isinstance(table, Mapping):
            raise InputError(f"by {label}: give identifiers with their quantities")
        by[str(label)] = {
            _identifier(name, str(label)): _sizes(sizes or {}, f"{label} {name}")
            for name, sizes in table.items()
        }
    return Geometry(_sizes(common, "the geometry"), by)


def _identifier(name: Any, label: str) -> str:
    """Return an identifier, or raise where YAML made a number of it."""
    if isinstance(name, str):
        return name
    raise InputError(
        f"the {label} {name!r} was read as a number, and numbers lose digits ('5.10' "
        "becomes 5.1, '007' becomes 7): put identifiers in quotes"
    )


def _sizes(content: Any, where: str) -> dict[str, float]:
    """Convert the quantities of one level to SI units."""
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: give quantities such as 'settling: 1.6 cm'")
    return {str(k): _si(str(k), v, where) for k, v in content.items()}


def _si(name: str, text: Any, where: str) -> float:
    """Return one quantity in SI units."""
    quantity = name.removesuffix("_se")
    if quantity not in QUANTITIES:
        raise InputError(
            f"{where} has no quantity {name!r}; there are {', '.join(QUANTITIES)}, "
            "each also with _se"
        )
    units, what = QUANTITIES[quantity]
    try:
        value = parse_quantity(str(text), units)
    except InputError as error:
        raise InputError(
            f"{where}: {name}: {error}. cm3, L and m3 differ by a million: write "
            f"{what} with its units, such as {_EXAMPLES[units]!r}"
        ) from error
    if value < 0 and quantity not in ("offset", "settling"):
        raise InputError(f"{where}: {name} cannot be negative, got {text!r}")
    return value


_EXAMPLES = {"m3": "5.18 L", "m2": "314 cm2", "m": "2.0 cm"}


def total_volume(sizes: Mapping[str, Any]) -> tuple[Any, Any]:
    r"""Return the volume of air over the soil and its standard error.

    .. math:: V = V_{chamber} + A\,(z_{offset} + \Delta h) + V_{tubes}
                  + V_{analyser} - V_{displaced}

    Parameters
    ----------
    sizes : mapping of str to float or array_like
        `QUANTITIES` in SI units, and their ``_se``; absent ones are zero.

    Returns
    -------
    tuple
        Volume and standard error, m3.

    Examples
    --------
    Soil that has sunk by 1 cm adds a hundredth of a cubic metre per square metre:

    >>> volume, _ = total_volume({"volume": 0.005, "area": 0.03, "settling": 0.01})
    >>> round(volume, 6)
    0.0053
    """

    def get(name: str) -> Any:
        return sizes.get(name, 0.0)

    rise = get("offset") + get("settling")
    volume = get("volume") + get("area") * rise + get("tubes") + get("analyser")
    parts = [
        get("volume_se"),
        get("area") * get("offset_se"),
        get("area") * get("settling_se"),
        rise * get("area_se"),
        get("tubes_se"),
        get("analyser_se"),
        get("displacement_se"),
    ]
    return volume - get("displacement"), np.sqrt(sum(part**2 for part in parts))


def apply_geometry(closures: xr.Dataset, geometry: Geometry) -> xr.Dataset:
    """Give every closure its area and volume.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset with the text coordinates that the geometry goes ``by``.
    geometry : Geometry
        Sizes. What the closures say themselves is replaced.

    Returns
    -------
    xarray.Dataset
        With ``area``, ``area_se`` (m2), ``volume`` and ``volume_se`` (m3).

    Raises
    ------
    InputError
        If a coordinate is absent or not text, a closure has no volume or area, or
        its air would be less than 0.5 or more than 50 mol per square metre: a
        mistake of units.
    """
    n = closures.sizes["closure"]
    names = [*QUANTITIES, *(f"{name}_se" for name in QUANTITIES)]
    sizes = {
        name: np.full(
            n,
            geometry.common.get(name, np.nan if name in ("volume", "area") else 0.0),
        )
        for name in names
    }
    for label, table in geometry.by.items():
        if label not in closures.coords:
            have = ", ".join(str(c) for c in closures.coords if c != "closure")
            raise InputError(
                f"the geometry goes by {label}, but the closures have no such label; "
                f"they have {have or 'none'}"
            )
        require_text(closures[label])
        identifiers = closures[label].values.astype(str)
        for name, special in table.items():
            fits = identifiers == name
            for quantity, value in special.items():
                sizes[quantity][fits] = value
    volume, volume_se = total_volume(sizes)
    _refuse_impossible(closures, volume, sizes["area"])
    variables = {
        "area": (sizes["area"], "m2", "soil area enclosed by the chamber"),
        "area_se": (sizes["area_se"], "m2", "standard error of the area"),
        "volume": (volume, "m3", "volume of chamber, collar, tubes and analyser"),
        "volume_se": (volume_se, "m3", "standard error of the volume"),
    }
    result = closures.assign(
        {
            name: ("closure", values, {"units": units, "long_name": text})
            for name, (values, units, text) in variables.items()
        }
    )
    for name in ("area", "volume"):
        result[name].attrs["ancillary_variables"] = f"{name}_se"
    return stamp(result, f"chambers.apply_geometry {dict(geometry.common)}")


def _refuse_impossible(
    closures: xr.Dataset, volume: np.ndarray, area: np.ndarray
) -> None:
    """Raise where a closure has no size, or one that no chamber has."""
    for name, values in (("volume", volume), ("area", area)):
        absent = np.flatnonzero(~np.isfinite(values))
        if absent.size:
            first = closures["closure"].values[absent[0]]
            example = _EXAMPLES[QUANTITIES[name][0]]
            raise InputError(
                f"the geometry gives no {name} to {absent.size} closures, the first is "
                f"{first!r}: add '{name}: {example}' for all, or for its pot or device"
            )
    amount = np.full(len(area), np.nan)
    real = area > 0
    amount[real] = air_moles_per_area(
        volume[real], area[real], STANDARD_ATMOSPHERE, 20.0
    )
    low, high = AMOUNT_LIMITS
    wrong = np.flatnonzero(~((amount >= low) & (amount <= high)))
    if wrong.size:
        i = wrong[0]
        raise InputError(
            f"closure {closures['closure'].values[i]!r} would hold {amount[i]:.3g} "
            f"mol m-2 of air (volume {volume[i]:.3g} m3, area {area[i]:.3g} m2), "
            f"chambers hold {low} to {high}: check the units of volume and area"
        )
