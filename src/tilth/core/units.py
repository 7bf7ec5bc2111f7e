"""Units on DataArrays: UDUNITS spelling, converted or refused, never guessed."""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import UnitsError

# UDUNITS writes powers as bare integers after a letter: "umol m-2 s-1".
_POWER = re.compile(r"(?<=[A-Za-zµΩ%])([-+]?\d+)(?![\w.])")
_PRODUCT = re.compile(r"(?<=[\w%])[ .·](?=[A-Za-zµ%])")
_SPELLINGS = {
    "%": "percent",
    "degrees_C": "degC",
    "degree_C": "degC",
    "celsius": "degC",
    "Celsius": "degC",
    "degreeC": "degC",
    "degrees_north": "degree",
    "degrees_east": "degree",
    "lux": "lx",
}


@functools.cache
def registry() -> Any:
    """Return the pint registry every conversion goes through.

    Adds to pint's SI units the ones of trace-gas work: ``ppm`` and ``ppb`` are
    mole fractions, 1e-6 and 1e-9 mol mol-1.
    """
    import pint

    units = pint.UnitRegistry(
        preprocessors=[_from_udunits], autoconvert_offset_to_baseunit=True
    )
    units.define("ppb = 1e-9")
    units.define("ppt = 1e-12")
    return units


def _from_udunits(text: str) -> str:
    """Rewrite a UDUNITS string ("umol m-2 s-1") in pint's grammar."""
    text = " ".join(_SPELLINGS.get(word, word) for word in text.strip().split())
    if not text or text == "1":
        return "dimensionless"
    return _PRODUCT.sub(" * ", _POWER.sub(r"**\1", text))


def parse_units(text: str) -> Any:
    """Parse a UDUNITS string.

    Parameters
    ----------
    text : str
        For example ``"umol m-2 s-1"``, ``"degC"``, ``"1"``, ``"ppm"``.

    Returns
    -------
    pint.Unit
        The parsed unit.

    Raises
    ------
    UnitsError
        If the string is not a unit.

    Examples
    --------
    >>> parse_units("umol m-2 s-1") == parse_units("µmol/m2/s")
    True
    """
    try:
        return registry().parse_units(text)
    except Exception as error:
        raise UnitsError(
            f"cannot read the units {text!r}: write them in UDUNITS spelling, "
            "such as 'umol m-2 s-1', 'degC', 'Pa' or '1'"
        ) from error


def convert_values(values: Any, source: str, target: str) -> Any:
    """Convert plain numbers or arrays between two units.

    Parameters
    ----------
    values : array_like
        Numbers in units `source`.
    source, target : str
        Units in UDUNITS spelling.

    Returns
    -------
    same type as `values`, as float
        The numbers in units `target`.

    Raises
    ------
    UnitsError
        If the two units do not have the same dimension.

    Examples
    --------
    >>> convert_values(20.0, "degC", "K")
    293.15
    """
    scale, offset = _linear_map(source, target)
    if scale == 1.0 and offset == 0.0:
        return values
    return values * scale + offset


@functools.lru_cache(maxsize=512)
def _linear_map(source: str, target: str) -> tuple[float, float]:
    """Return ``scale, offset`` such that target = source * scale + offset."""
    units = registry()
    a, b = parse_units(source), parse_units(target)
    if a == b:
        return 1.0, 0.0
    try:
        zero, one, many = (
            float(units.Quantity(x, a).to(b).magnitude) for x in (0.0, 1.0, 1e3)
        )
    except Exception as error:
        raise UnitsError(
            f"cannot convert {source!r} to {target!r}: not the same kind of quantity"
        ) from error
    # A unit with an offset (degC) needs both ends; a plain one must stay exact.
    return (one, 0.0) if zero == 0.0 else (round((many - zero) / 1e3, 12), zero)


def convert(data: xr.DataArray, units: str) -> xr.DataArray:
    """Return a DataArray in the units asked for.

    Parameters
    ----------
    data : xarray.DataArray
        Must carry a ``units`` attribute.
    units : str
        Units wanted, in UDUNITS spelling.

    Returns
    -------
    xarray.DataArray
        The same data in `units`, with the attribute updated; works on Dask.

    Raises
    ------
    UnitsError
        If `data` has no units, unknown units or units of another dimension.
    """
    name = str(data.name or "the array")
    have = data.attrs.get("units")
    if have is None:
        raise UnitsError(
            f"{name} has no 'units' attribute: set it, for example "
            f"{name}.attrs['units'] = {units!r}"
        )
    try:
        scale, offset = _linear_map(str(have), units)
    except UnitsError as error:
        raise UnitsError(f"{name}: {error}") from error
    if (scale, offset) == (1.0, 0.0):
        converted = data.copy(deep=False)
    else:
        converted = data * np.float64(scale) + np.float64(offset)
    converted.attrs = {**data.attrs, "units": units}
    return converted
