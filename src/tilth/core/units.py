"""Units on DataArrays: UDUNITS spelling, converted or refused, never guessed."""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import UnitsError

# UDUNITS writes powers as bare integers after a letter: "umol m-2 s-1".
_POWER = re.compile(r"(?<=[A-Za-zµμΩ%])([-+]?\d+)(?!\w|\.\d)")
_PRODUCT = re.compile(r"(?<=[\w%)])[ .·](?=[A-Za-zµμ%(])")
# A scale in front, as CF allows: "1e-3", "0.001 kg", "1 s-1", "1/s".
_FACTOR = re.compile(r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?=$|[ */.])[ *.]*(.*)")
_SPELLINGS = {
    "%": "percent",
    "degrees_C": "degC",
    "degree_C": "degC",
    "deg_C": "degC",
    "degreeC": "degC",
    "degrees_Celsius": "degC",
    "celsius": "degC",
    "Celsius": "degC",
    "Kelvin": "kelvin",
    "degrees_north": "degree",
    "degree_north": "degree",
    "degrees_east": "degree",
    "degree_east": "degree",
    "ppmv": "ppm",
    "ppbv": "ppb",
    "unitless": "dimensionless",
}


#: "5.18 L": a number, then units.
_QUANTITY = re.compile(r"\s*([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)\s*([A-Za-zµ%].*?)\s*")


@functools.cache
def registry() -> Any:
    """Return the pint registry every conversion goes through.

    Adds to pint's SI units the ones of trace-gas work: ``ppm``, ``ppb`` and ``ppt``
    are mole fractions, 1e-6, 1e-9 and 1e-12 mol mol-1. Factors are decimals of
    28 digits, so that 0 degC is 32 degF and not 31.99999999999994. Pint refuses to
    multiply a quantity that has an offset (20 degC times 2 m); in a compound unit
    such as "degC m-1" the degree is a difference.
    """
    import pint

    units: Any = pint.UnitRegistry(preprocessors=[_from_udunits], non_int_type=Decimal)
    units.define("ppb = 1e-9")
    units.define("ppt = 1e-12")
    return units


def _from_udunits(text: str) -> str:
    """Rewrite a UDUNITS string ("umol m-2 s-1") in pint's grammar."""
    text = " ".join(_SPELLINGS.get(word, word) for word in text.split())
    if not text or text == "1":
        return "dimensionless"
    return _PRODUCT.sub(" * ", _POWER.sub(r"**\1", text))


def parse_units(text: str) -> Any:
    """Parse a UDUNITS string without a scale in front.

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
    factor, unit = _parse_scaled(text)
    if factor != 1:
        raise UnitsError(
            f"the units {text!r} carry a scale of {float(factor):g}: "
            "convert the data to a plain unit first"
        )
    return unit


def _parse_scaled(text: str) -> tuple[Decimal, Any]:
    """Return scale and unit of a UDUNITS string: "1e-3 kg" is 1/1000 and kg."""
    # Left to pint, "1e-3" would be one elementary charge to the power of -3.
    number = _FACTOR.fullmatch(text.strip())
    factor, rest = (Decimal(number[1]), number[2]) if number else (Decimal(1), text)
    if rest.startswith("/"):
        rest = f"1{rest}"
    try:
        return factor, registry().parse_units(rest)
    except Exception as error:
        raise UnitsError(
            f"cannot read the units {text!r}: write them in UDUNITS spelling, "
            "such as 'umol m-2 s-1', 'degC', 'Pa' or '1'"
        ) from error


def convert_values(
    values: Any, source: str, target: str, *, difference: bool = False
) -> Any:
    """Convert plain numbers or arrays between two units.

    Parameters
    ----------
    values : array_like
        Numbers in units `source`.
    source, target : str
        Units in UDUNITS spelling.
    difference : bool, default False
        The numbers are differences, such as a standard error: 5 degC are then
        5 K and not 278.15 K.

    Returns
    -------
    float or array
        The numbers in units `target`; the very same object where the units agree.

    Raises
    ------
    UnitsError
        If a unit is unknown or the two do not have the same dimension.

    Examples
    --------
    >>> convert_values(20.0, "degC", "K")
    293.15
    >>> convert_values(20.0, "degC", "K", difference=True)
    20.0
    """
    scale, offset = _linear_map(source, target)
    if isinstance(values, (list, tuple)):
        values = np.asarray(values, float)
    if difference:
        offset = 0.0
    if scale == 1.0 and offset == 0.0:
        return values
    return values * scale + offset


@functools.lru_cache(maxsize=512)
def _linear_map(source: str, target: str) -> tuple[float, float]:
    """Return ``scale, offset`` such that target = source * scale + offset."""
    if source == target:
        return 1.0, 0.0  # the usual case, spared the 0.5 s that pint takes to load
    units = registry()
    (factor, a), (divisor, b) = _parse_scaled(source), _parse_scaled(target)
    try:
        # A logarithmic unit (dB) is not linear: pint fails on it with decimals.
        zero, one = (
            units.Quantity(x * factor, a).to(b).magnitude / divisor
            for x in (Decimal(0), Decimal(1))
        )
    except Exception as error:
        raise UnitsError(
            f"cannot convert {source!r} to {target!r}: not the same kind of quantity"
        ) from error
    return float(one - zero), float(zero)


def parse_quantity(text: str, units: str) -> float:
    """Read a number with its units, such as ``"972 hPa"``.

    Parameters
    ----------
    text : str
        A number, then units in UDUNITS spelling.
    units : str
        Units wanted.

    Returns
    -------
    float
        The number in `units`.

    Raises
    ------
    UnitsError
        If there is no number, no units, or units of another dimension.

    Examples
    --------
    >>> parse_quantity("972 hPa", "Pa")
    97200.0
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise UnitsError(
            f"{text!r} is not a number with units: write it like '5 {units}'"
        )
    return float(convert_values(float(match[1]), match[2], units))


def convert(data: xr.DataArray, units: str) -> xr.DataArray:
    """Return a DataArray in the units asked for.

    Parameters
    ----------
    data : xarray.DataArray
        Must carry a ``units`` attribute. Where ``units_metadata`` is "temperature:
        difference" (CF 1.11, section 3.1.2) no offset is added.
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
    if data.attrs.get("units_metadata") == "temperature: difference":
        offset = 0.0
    if (scale, offset) == (1.0, 0.0):
        converted = data.copy(deep=False)
    else:
        converted = data * scale + offset
    converted.attrs = {**data.attrs, "units": units}
    return converted
