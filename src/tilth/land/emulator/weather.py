"""The emulator's weather: which variables it is, in which units, and what cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY, ZERO_CELSIUS
from tilth.core.errors import InputError, UnitsError
from tilth.core.units import convert
from tilth.land.emulator.variants import Forcing


@dataclass(frozen=True)
class Quantity:
    """A field of the weather.

    Parameters
    ----------
    alma : str
        Name in ALMA datasets.
    units : str
        Units inside the emulator.
    low, high : float
        Nothing on land lies outside; what does was given in other units.
    mistakes : tuple
        Rows (from, to, words): what numbers in that range most likely are.
    """

    alma: str
    units: str
    low: float
    high: float
    mistakes: tuple[tuple[float, float, str], ...]


_NEGATIVE = (
    -np.inf,
    0.0,
    "precipitation cannot be negative: find out what the file means by it; rounding "
    "errors of a regridding may be cut off with .clip(min=0)",
)
_RAIN = (
    _NEGATIVE,
    (2e3, np.inf, "1825 mm in a day is the record: numbers in mm per day or hour are "
     "labelled kg m-2 s-1, perhaps"),
)  # fmt: skip

#: Field of `Forcing` -> what it is. Records: rain 1825 mm in a day (Foc-Foc, 1966);
#: air 184 to 330 K; pressure 33 kPa on Everest; humidity 0.04 kg kg-1 at a dew point of
#: 35 degC.
QUANTITIES = {
    "rain": Quantity("Rainf", "mm day-1", 0.0, 2000.0, _RAIN),
    "snowfall": Quantity("Snowf", "mm day-1", 0.0, 2000.0, _RAIN),
    "temperature": Quantity(
        "Tair", "K", 150.0, 350.0, ((-100.0, 100.0, "these are degC, not K"),)
    ),
    "humidity": Quantity(
        "Qair", "kg kg-1", 0.0, 0.1,
        (
            (-np.inf, 0.0, "humidity cannot be negative; rounding errors may be cut "
             "off with .clip(min=0)"),
            (0.1, 50.0, "these are g kg-1, or a relative humidity"),
            (50.0, 120.0, "this is a relative humidity in percent"),
        ),
    ),
    "pressure": Quantity(
        "PSurf", "Pa", 2e4, 1.2e5,
        (
            (20.0, 120.0, "these are kPa, whatever the attribute says"),
            (200.0, 1200.0, "these are hPa, whatever the attribute says"),
        ),
    ),
}  # fmt: skip

#: What the weather must lie within, in the order of `Forcing` and the kernel's units.
LIMITS = {name: (row.low, row.high) for name, row in QUANTITIES.items()}

_FLUX = "kg m-2 s-1"


class Weather(NamedTuple):
    """Checked names and units; the values are not looked at yet.

    ``fields`` are DataArrays in the units of `QUANTITIES`, but rain and snowfall in mm
    per ``seconds``: what is in kg m-2 s-1 is left as it is.
    """

    fields: Forcing
    seconds: float


def find_weather(
    forcing: xr.Dataset, snow_temperatures: tuple[float, float] | None = None
) -> Weather:
    """Return the five fields of the weather in the emulator's units.

    Parameters
    ----------
    forcing : xarray.Dataset
        With the names of ALMA (Rainf, Snowf, Tair, Qair, PSurf) or those of `Forcing`,
        with units.
    snow_temperatures : (float, float), optional
        Where there is only precipitation in all (Precip, or Rainf alone): air
        temperatures in degC at or below which it is all snow, and at or above which it
        is all rain; linear between. (-0.5, 0.5) is a usual choice for daily means.

    Returns
    -------
    Weather

    Raises
    ------
    InputError
        If a variable is absent.
    UnitsError
        If units are absent or of another kind.
    """
    found = {name: _find(forcing, name) for name in QUANTITIES}
    if snow_temperatures is not None:
        found |= _split(forcing, found, snow_temperatures)
    fields = _complete(found, forcing)
    water = [fields.pop("rain"), fields.pop("snowfall")]
    as_fluxes = all(field.attrs.get("units") == _FLUX for field in water)
    if not as_fluxes:
        water = [_in_millimetres(field) for field in water]
    air = [convert(field, QUANTITIES[name].units) for name, field in fields.items()]
    return Weather(Forcing(*water, *air), 1.0 if as_fluxes else SECONDS_PER_DAY)


def _find(forcing: xr.Dataset, name: str) -> xr.DataArray | None:
    """Return a field under either of its names."""
    for spelling in (QUANTITIES[name].alma, name):
        if spelling in forcing:
            return forcing[spelling]
    return None


def _complete(
    found: dict[str, xr.DataArray | None], forcing: xr.Dataset
) -> dict[str, xr.DataArray]:
    """Return the fields if every one was found."""
    absent = [
        f"{QUANTITIES[name].alma} ({name})"
        for name, field in found.items()
        if field is None
    ]
    if not absent:
        return {name: field for name, field in found.items() if field is not None}
    total = [n for n in ("Precip", "precipitation", "Rainf", "rain") if n in forcing]
    hint = ""
    if found["snowfall"] is None and total:
        hint = (
            f"; if {total[0]} is rain and snow together, say so with "
            "snow_temperatures=(-0.5, 0.5), degC"
        )
    raise InputError(
        f"the forcing lacks {', '.join(absent)}; it has "
        f"{', '.join(map(str, forcing.data_vars))}{hint}"
    )


def _split(
    forcing: xr.Dataset, found: dict, limits: tuple[float, float]
) -> dict[str, xr.DataArray]:
    """Return rain and snowfall out of precipitation in all."""
    low, high = limits
    if not low < high:
        raise InputError(
            "snow_temperatures are (all snow, all rain) in degC, the first lower; got "
            f"({low:g}, {high:g})"
        )
    if found["snowfall"] is not None:
        raise InputError(
            "the forcing has snowfall of its own: leave out snow_temperatures"
        )
    names = [n for n in ("Precip", "precipitation", "Rainf", "rain") if n in forcing]
    if not names:
        raise InputError(
            "there is no Precip (precipitation) to split into rain and snow"
        )
    if found["temperature"] is None:
        raise InputError("splitting precipitation needs Tair (temperature)")
    both = forcing[names[0]]
    celsius = convert(found["temperature"], "K") - ZERO_CELSIUS
    share = ((high - celsius) / (high - low)).clip(0.0, 1.0)
    parts = {"rain": both * (1.0 - share), "snowfall": both * share}
    return {n: part.rename(n).assign_attrs(both.attrs) for n, part in parts.items()}


def _in_millimetres(field: xr.DataArray) -> xr.DataArray:
    """Return water in mm day-1; 1 kg m-2 is 1 mm."""
    try:
        return convert(field, "kg m-2 day-1")
    except UnitsError as error:
        if "units" not in field.attrs:
            raise
        try:
            return convert(field, "mm day-1")
        except UnitsError:
            raise UnitsError(
                f"{field.name} is in {field.attrs['units']!r}: the emulator needs a "
                "rate of water, kg m-2 s-1 or mm day-1"
            ) from error


def refuse_strange(
    fields: Forcing, active: np.ndarray, time: np.ndarray, seconds: float
) -> None:
    """Raise if some value in the active cells cannot be, saying which and why.

    Parameters
    ----------
    fields : Forcing
        Arrays (time, cell) as in `Weather`.
    active : array of bool, shape (cell)
        Cells that count.
    time : array, shape (time)
        Days, for the message.
    seconds : float
        Unit of time of rain and snowfall, s.

    Raises
    ------
    InputError
        For the first variable with such a value.
    """
    for name, values in fields._asdict().items():
        row = QUANTITIES[name]
        factor = SECONDS_PER_DAY / seconds if name in ("rain", "snowfall") else 1.0
        with np.errstate(invalid="ignore"):
            fine = (values * factor >= row.low) & (values * factor <= row.high)
        wrong = ~fine & active
        if not wrong.any():
            continue
        day, cell = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        value = float(values[day, cell]) * factor
        where = f"on {str(time[day])[:10]} in cell {cell} (of {values.shape[1]})"
        count = f"{int(wrong.sum())} of {int(active.sum()) * values.shape[0]} values"
        label = f"{name} ({row.alma})"
        if np.isnan(value):
            raise InputError(
                f"{label} is not a number {where}, {count} in all: fill the gaps, or "
                "leave the cell out (parameters that are NaN do)"
            )
        words = next(
            (text for low, high, text in row.mistakes if low <= value <= high),
            "such weather has not been seen",
        )
        raise InputError(
            f"{label} is {value:.6g} {row.units} {where}, outside {row.low:g} to "
            f"{row.high:g} ({count} are): {words}"
        )
