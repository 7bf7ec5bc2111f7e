"""The variables that drive a land model: names, units, bounds, and traps of units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xarray as xr

from tilth.core.constants import WATER_DENSITY
from tilth.core.errors import InputError, UnitsError
from tilth.core.units import convert, convert_values

#: Precipitation this little below zero is rounding of a packed file, mm day-1: NCEP's
#: reanalysis has -1e-5, ERA5 -5e-5; no gauge tells twenty times that from nothing.
ROUNDING_BELOW_ZERO = 1e-3

#: More steps than this that never fall are an amount that grows, not a rate.
_GROWING_STEPS = 30


@dataclass(frozen=True)
class ForcingVariable:
    """A variable of the weather near the ground.

    Parameters
    ----------
    name : str
        Short name of CMIP, such as ``"tas"``.
    standard_name : str
        Of CF; "" where CF has none.
    alma : str
        Name that land models read (ALMA convention); "" where they read none.
    units : str
        In which `as_variable` returns it: those of CMIP.
    low, high : float
        Bounds of credible values of a day or less, in `units`.
    kind : {"+", "*"}
        Whether a bias adds or multiplies.
    method : str
        Method of `tilth.forcing.adjust` for it by default: ``"qdm"``, or ``"none"``
        for what is derived from other variables.
    others : tuple of str
        Names by which other archives know it.
    cell_method : str
        Part of the CF attribute ``cell_methods`` that tells it from variables of the
        same standard name: "minimum", "maximum" or "mean".
    meaning : str
        In words.
    """

    name: str
    standard_name: str
    alma: str
    units: str
    low: float
    high: float
    kind: Literal["+", "*"]
    method: str
    others: tuple[str, ...] = field(default=())
    cell_method: str = "mean"
    meaning: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes."""
        result = {"units": self.units, "long_name": self.meaning}
        if self.standard_name:
            result["standard_name"] = self.standard_name
        return result


def _row(
    name: str,
    standard_name: str,
    alma: str,
    units: str,
    bounds: tuple[float, float],
    kind: Literal["+", "*"],
    meaning: str,
    others: str = "",
    *,
    method: str = "qdm",
    cell_method: str = "mean",
) -> tuple[str, ForcingVariable]:
    """Return a row of `VARIABLES`."""
    variable = ForcingVariable(
        name,
        standard_name,
        alma,
        units,
        *bounds,
        kind,
        method,
        tuple(others.split()),
        cell_method,
        meaning,
    )
    return name, variable


_AIR, _SHORT, _LONG = "air_temperature", "shortwave", "longwave"
_FLUX = "surface_downwelling_{}_flux_in_air"

#: Short name of CMIP -> what it is. Bounds are a little beyond the records of WMO's
#: Archive of Weather and Climate Extremes: 184 K to 330 K of air, 305 mm of rain in 42
#: minutes, 33 kPa on Everest to 108.4 kPa in Siberia, gusts of 113 m s-1. Other names
#: are those of ERA5, E-OBS and ECA&D, Daymet, and ALMA.
VARIABLES: dict[str, ForcingVariable] = dict(
    (
        _row("tas", _AIR, "Tair", "K", (170.0, 340.0), "+",
             "air temperature near the ground",
             "t2m 2m_temperature tg tmean air_temperature"),
        _row("tasmin", _AIR, "", "K", (170.0, 340.0), "+",
             "lowest air temperature of the day", "tmin tn mn2t t2m_min",
             cell_method="minimum"),
        _row("tasmax", _AIR, "", "K", (170.0, 340.0), "+",
             "highest air temperature of the day", "tmax tx mx2t t2m_max",
             cell_method="maximum"),
        _row("tasrange", "", "", "K", (0.0, 70.0), "*",
             "highest less lowest air temperature of the day", "dtr",
             cell_method="range"),
        _row("tasskew", "", "", "1", (0.0, 1.0), "+",
             "(mean - lowest) / (highest - lowest) air temperature of the day",
             cell_method="range"),
        _row("pr", "precipitation_flux", "Rainf", "kg m-2 s-1", (0.0, 0.15), "*",
             "rain and snow", "tp precip precipitation rr prcp total_precipitation"),
        _row("prsn", "snowfall_flux", "Snowf", "kg m-2 s-1", (0.0, 0.05), "*",
             "snowfall", "sf snowfall", method="none"),
        _row("huss", "specific_humidity", "Qair", "kg kg-1", (0.0, 0.07), "*",
             "specific humidity near the ground", "q2m sh2 specific_humidity"),
        _row("hurs", "relative_humidity", "", "%", (0.0, 115.0), "+",
             "relative humidity near the ground", "rh rh2m hu relative_humidity"),
        _row("tdps", "dew_point_temperature", "", "K", (150.0, 320.0), "+",
             "dew point near the ground", "d2m tdew dewpoint"),
        _row("ps", "surface_air_pressure", "PSurf", "Pa", (3.0e4, 1.12e5), "+",
             "air pressure at the ground", "sp surface_pressure pres"),
        _row("psl", "air_pressure_at_mean_sea_level", "", "Pa", (8.0e4, 1.12e5), "+",
             "air pressure at sea level", "msl slp pp"),
        _row("rsds", _FLUX.format(_SHORT), "SWdown", "W m-2", (0.0, 1600.0), "*",
             "shortwave radiation from above", "ssrd qq srad"),
        _row("rlds", _FLUX.format(_LONG), "LWdown", "W m-2", (40.0, 800.0), "+",
             "longwave radiation from above", "strd"),
        _row("sfcWind", "wind_speed", "Wind", "m s-1", (0.0, 115.0), "*",
             "wind speed, of the height the attributes state",
             "si10 fg wss ws10 wind_speed"),
    )
)  # fmt: skip

_BY_NAME = {
    known.lower(): variable
    for variable in VARIABLES.values()
    for known in (variable.name, variable.alma, *variable.others)
    if known
}

#: Standard names of earlier editions of CF, and of archives that mix them up.
_STANDARD_NAMES = {
    "air_pressure_at_sea_level": "psl",
    "surface_downwelling_shortwave_flux": "rsds",
    "surface_downwelling_longwave_flux": "rlds",
    "lwe_precipitation_rate": "pr",
    "solid_precipitation_flux": "prsn",
}


def find_variable(name: str) -> ForcingVariable:
    """Return the variable that a name stands for.

    Parameters
    ----------
    name : str
        Of CMIP, ALMA, ERA5, E-OBS, ECA&D or Daymet; upper or lower case.

    Returns
    -------
    ForcingVariable
        The row of `VARIABLES`.

    Raises
    ------
    InputError
        If the name is not known.

    Examples
    --------
    >>> find_variable("t2m").name, find_variable("LWdown").name
    ('tas', 'rlds')
    """
    try:
        return _BY_NAME[name.lower()]
    except KeyError:
        raise InputError(
            f"{name!r} is no variable of the forcing; known are {', '.join(VARIABLES)} "
            "and their names in ALMA, ERA5 and E-OBS: rename it to one of them"
        ) from None


def identify(data: xr.DataArray) -> ForcingVariable:
    """Return which variable an array is, by its name or else its CF attributes.

    The name goes first: archives carry wrong standard names (downward longwave
    radiation labelled as net), and lowest and highest temperature share one.

    Parameters
    ----------
    data : xarray.DataArray
        With a name, or ``standard_name`` and, for lowest and highest temperature,
        ``cell_methods``.

    Returns
    -------
    ForcingVariable
        The row of `VARIABLES`.

    Raises
    ------
    InputError
        If neither tells.
    """
    name = str(data.name or "")
    if name.lower() in _BY_NAME:
        return _BY_NAME[name.lower()]
    standard = str(data.attrs.get("standard_name", ""))
    method = str(data.attrs.get("cell_methods", "")) or "mean"
    if standard in _STANDARD_NAMES:
        return VARIABLES[_STANDARD_NAMES[standard]]
    named = [v for v in VARIABLES.values() if standard and v.standard_name == standard]
    fitting = [v for v in named if len(named) == 1 or v.cell_method in method]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(
        f"the array {name or 'without a name'} (standard_name "
        f"{standard or 'absent'}) is no variable of the forcing; rename it to one of "
        f"{', '.join(VARIABLES)}"
    )


def convert_forcing(data: xr.DataArray, units: str) -> xr.DataArray:
    """Convert units, counting 1 kg m-2 of water as 1 mm of depth.

    Parameters
    ----------
    data : xarray.DataArray
        With ``units``; in memory or on Dask.
    units : str
        Units wanted, such as "mm day-1" for a flux in "kg m-2 s-1".

    Returns
    -------
    xarray.DataArray
        In `units`; otherwise unchanged.

    Raises
    ------
    UnitsError
        If units are absent, unknown or of another kind. Millimetres without a time
        are an amount over some step and refused where a flux is wanted.

    Examples
    --------
    >>> rain = xr.DataArray([1.0], attrs={"units": "kg m-2 s-1"}, name="pr")
    >>> convert_forcing(rain, "mm day-1").values
    array([86400.])
    """
    try:
        return convert(data, units)
    except UnitsError as error:
        factor = _water_factor(str(data.attrs.get("units", "")), units)
        if factor is not None:
            return (data * factor).assign_attrs({**data.attrs, "units": units})
        if _is_amount(data.attrs.get("units")) and _is_rate(units):
            raise UnitsError(
                f"{data.name or 'the array'} is in {data.attrs['units']!r}, an amount "
                "without a word for over which time: set its units to 'mm day-1' if "
                "they are totals of days, 'mm h-1' if of hours, or use `deaccumulate` "
                "if they grow from the start of a run"
            ) from error
        raise


def _water_factor(source: str, target: str) -> float | None:
    """Return the factor between mass and depth of water, None if it is none."""
    for mass, depth in (("kg m-2 s-1", "m s-1"), ("kg m-2", "m")):
        for first, second, density in (
            (mass, depth, 1.0 / WATER_DENSITY),
            (depth, mass, WATER_DENSITY),
        ):
            try:
                into = convert_values(1.0, source, first)
                out = convert_values(1.0, second, target)
            except UnitsError:
                continue
            return float(into * density * out)
    return None


def _is_amount(units: object) -> bool:
    return units is not None and any(
        _converts(str(units), target) for target in ("m", "kg m-2")
    )


def _is_rate(units: str) -> bool:
    return any(_converts(units, target) for target in ("m s-1", "kg m-2 s-1"))


def _converts(source: str, target: str) -> bool:
    try:
        convert_values(1.0, source, target)
    except UnitsError:
        return False
    return True


def as_variable(
    data: xr.DataArray, name: str | None = None, *, units: str | None = None
) -> xr.DataArray:
    """Return an array as one of `VARIABLES`: named, in its units, values credible.

    Precipitation and shortwave radiation just below zero by rounding become zero.

    Parameters
    ----------
    data : xarray.DataArray
        With ``units``; gaps are NaN.
    name : str, optional
        Which variable it is; by default `identify` tells.
    units : str, optional
        In place of those the array states, or where it states none.

    Returns
    -------
    xarray.DataArray
        Of float64, under its CMIP name, with its CF attributes beside what was there.

    Raises
    ------
    UnitsError
        If units are absent or of another kind, or values show that they are wrong
        (relative humidity of 0.7 "%", temperatures of 15 "K").
    InputError
        If values are beyond what the atmosphere can have, or precipitation grows from
        the start of a run.

    Notes
    -----
    Values of Dask arrays are checked where they are computed, block by block.
    """
    variable = identify(data) if name is None else find_variable(name)
    if units is not None:
        data = data.assign_attrs(units=units)
    stated = data.attrs.get("units")
    if variable.name == "pr":
        _refuse_growing(data)
    converted = convert_forcing(data.rename(variable.name), variable.units)
    checked = xr.apply_ufunc(
        _credible,
        converted.astype(float),
        kwargs={"name": variable.name, "stated": str(stated)},
        dask="parallelized",
        output_dtypes=[float],
        keep_attrs=True,
    )
    checked.name = variable.name
    checked.attrs = {**data.attrs, **variable.attributes}
    return checked


_DEGREES = ((1.0, 273.15, "degC"), (1.0, -273.15, "K"))

#: What values beyond the bounds most likely are: variable -> factor and offset from
#: those units to the variable's, and the words for them.
_SUSPECTS: dict[str, tuple[tuple[float, float, str], ...]] = {
    "ps": ((100.0, 0.0, "hPa"), (1000.0, 0.0, "kPa")),
    "psl": ((100.0, 0.0, "hPa"), (1000.0, 0.0, "kPa")),
    "tas": _DEGREES,
    "tasmin": _DEGREES,
    "tasmax": _DEGREES,
    "tdps": _DEGREES,
    "huss": ((1e-3, 0.0, "g kg-1"),),
    "hurs": ((0.01, 0.0, "% stated as a share of one"),),
    "pr": ((1.0 / 86400.0, 0.0, "mm day-1"), (1.0 / 3600.0, 0.0, "mm h-1")),
    "prsn": ((1.0 / 86400.0, 0.0, "mm day-1"), (1.0 / 3600.0, 0.0, "mm h-1")),
    "rsds": ((1.0 / 86400.0, 0.0, "J m-2 of a day"), (1 / 3600, 0.0, "J m-2 of an h")),
    "rlds": ((1.0 / 86400.0, 0.0, "J m-2 of a day"), (1 / 3600, 0.0, "J m-2 of an h")),
}


def _credible(values: np.ndarray, name: str, stated: str) -> np.ndarray:
    """Return a block of values, or say why they cannot be right."""
    variable = VARIABLES[name]
    there = values[~np.isnan(values)]
    if there.size == 0:
        return values
    low, high = float(there.min()), float(there.max())
    slack = {"pr": ROUNDING_BELOW_ZERO / 86400.0, "rsds": 20.0}
    slack["prsn"] = slack["pr"]
    if name == "hurs" and there.size > 100 and high <= 1.5:
        raise UnitsError(
            f"hurs never exceeds {high:.3g} % (its units say {stated!r}): the values "
            "are shares of one; set units to '1'"
        )
    if low < variable.low - slack.get(name, 0.0) or high > variable.high:
        worst = low if low < variable.low - slack.get(name, 0.0) else high
        raise UnitsError(
            f"{name} reaches {worst:.6g} {variable.units} (its units say {stated!r}); "
            f"credible is {variable.low:g} to {variable.high:g}"
            f"{_suspicion(variable, low, high)}"
        )
    return np.maximum(values, 0.0) if name in slack else values


def _suspicion(variable: ForcingVariable, low: float, high: float) -> str:
    """Return what the values most likely are, in words."""
    for factor, offset, meant in _SUSPECTS.get(variable.name, ()):
        inside = [
            variable.low <= x * factor + offset <= variable.high for x in (low, high)
        ]
        if all(inside):
            return f"; the values look like {meant}: set units to what they are"
    return "; a fill value that was not decoded, or another variable?"


def _refuse_growing(data: xr.DataArray) -> None:
    """Raise if precipitation in memory never falls along time or lead time."""
    dim = next((d for d in ("lead", "step", "lead_time", "time") if d in data.dims), "")
    if not dim or data.chunks is not None or data.sizes[dim] <= _GROWING_STEPS:
        return
    values = np.moveaxis(np.asarray(data.values, float), data.dims.index(dim), -1)
    gained = np.diff(values, axis=-1)
    if np.nanmin(gained, initial=0.0) < -1e-5 * np.nanmax(np.abs(values), initial=0.0):
        return
    if np.nansum(gained) > 0.0:
        raise InputError(
            f"{data.name or 'precipitation'} never falls along {dim}: it grows from "
            "the start of the run and is no rate; take `deaccumulate` of it first"
        )


def deaccumulate(data: xr.DataArray, dim: str, seconds: float) -> xr.DataArray:
    """Return the rate of an amount that grows along a dimension.

    Parameters
    ----------
    data : xarray.DataArray
        Amount since the start of a run, such as mm, kg m-2 or J m-2, at the end of
        each step.
    dim : str
        Along which it grows: lead time, or time of one run.
    seconds : float
        Length of a step.

    Returns
    -------
    xarray.DataArray
        Rate over the step that ends at each stamp, in units of the amount s-1; of as
        many steps (the first from zero). A fall by rounding becomes zero.

    Raises
    ------
    InputError
        If the amount falls by more than rounding.

    Examples
    --------
    >>> grown = xr.DataArray([3.6, 3.6, 7.2], dims="lead", attrs={"units": "mm"})
    >>> deaccumulate(grown, "lead", 3600.0).values
    array([0.001, 0.   , 0.001])
    """
    if not seconds > 0.0:
        raise InputError(f"seconds={seconds}: a step has a positive length")
    before = data.shift({dim: 1}, fill_value=0.0)
    gained = data - before
    # Packed files round at about 1e-5 of their largest value.
    limit = -1e-4 * float(np.abs(data).max())
    if float(gained.min()) < limit:
        raise InputError(
            f"{data.name or 'the amount'} falls by {-float(gained.min()):g} along "
            f"{dim}: it starts anew there, or is no amount that grows; take the runs "
            "apart first"
        )
    rate = gained.clip(min=0.0) / seconds
    units = str(data.attrs.get("units", "")).strip()
    return rate.assign_attrs({**data.attrs, "units": f"{units} s-1".strip()})
