"""What the calibration may change: values between bounds, some with a yearly cycle.

Every value is a place between its bounds, moved there by a logistic curve, so that the
fit itself is without bounds and zero is the default. Rates move by their logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import SECONDS_PER_DAY
from tilth.land.emulator.parameters import DEFAULT_RUNOFF_SHARE, table
from tilth.land.fit.scaling import NEUTRAL
from tilth.rivers.routing.settings import Settings

Array = Any

#: Evaporation by unit deficit of humidity, mm day-1, of the reference crop: density of
#: air 1.2 kg m-3 over the resistances of surface, 70 s m-1, and air, 208 / 2 s m-1 at
#: the wind of 2 m s-1 that is assumed where none is known (Allen et al. 1998, FAO 56,
#: eqs. 4-5 and chapter 3).
REFERENCE_EVAPORATION = 1.2 * SECONDS_PER_DAY / (70.0 + 208.0 / 2.0)


@dataclass(frozen=True)
class Free:
    """A value that the calibration may change.

    Parameters
    ----------
    name, unit, meaning : str
        As in the tables.
    default : float
        Where it is without calibration.
    lower, upper : float
        Bounds.
    logarithmic : bool
        Whether it moves by its logarithm.
    seasonal : bool
        Whether it has a yearly cycle.
    """

    name: str
    unit: str
    meaning: str
    default: float
    lower: float
    upper: float
    logarithmic: bool = False
    seasonal: bool = False


def _of_emulator(name: str, lower: float, upper: float, **more: Any) -> Free:
    """Return a parameter of the emulator, its neutral value the default."""
    row = next(row for row in table(closed=True) if row.name == name)
    default = more.pop("default", NEUTRAL[name])
    return Free(name, row.unit, row.meaning, default, lower, upper, **more)


#: The emulator's values that are free, its runoff share, and those of the rivers. The
#: bounds lie within the emulator's own.
FREE = (
    _of_emulator("melt_factor", 0.5, 10.0, logarithmic=True),
    _of_emulator("melt_temperature", 270.0, 276.0),
    _of_emulator("melt_gain", 0.5, 1.0),
    _of_emulator("rain_gain", 0.4, 1.0, seasonal=True),
    _of_emulator("wetland_release", 0.003, 0.5, logarithmic=True),
    _of_emulator(
        "evaporation_factor", 50.0, 3000.0, logarithmic=True, seasonal=True,
        default=REFERENCE_EVAPORATION,
    ),
    _of_emulator("drainage_rate", 0.002, 0.3, logarithmic=True),
    _of_emulator("deep_residence", 2.0, 400.0, logarithmic=True),
    _of_emulator("soil_slope", 0.005, 0.5, logarithmic=True),
    _of_emulator("soil_capacity", -100.0, 60.0, seasonal=True),
    _of_emulator("input_slope", 0.005, 0.5, logarithmic=True),
    _of_emulator("input_capacity", -20.0, 150.0),
    Free("runoff_share", "1", "share of refused water that runs off",
         DEFAULT_RUNOFF_SHARE, 0.02, 0.98),
    Free("hillslope_delay", "day", "stay of surface runoff on its way to the river",
         0.5, 0.05, 5.0, logarithmic=True),
    Free("manning", "s m-1/3", "roughness of the channels",
         Settings().river_manning, 0.015, 0.15, logarithmic=True),
    Free("width_factor", "1", "width of the channels over that of the empirical law",
         1.0, 0.3, 3.0, logarithmic=True),
)  # fmt: skip

NAMES = tuple(row.name for row in FREE)
SEASONAL = tuple(row.name for row in FREE if row.seasonal)

#: Coefficients of a fit: one by value, then cosine and sine of each yearly cycle.
SIZE = len(FREE) + 2 * len(SEASONAL)

#: Held: snow settles whole, melt is linear in the temperature, and the level that soil
#: water drains to is the zero from which it is counted.
HELD = {name: NEUTRAL[name] for name in ("snow_gain", "melt_exponent")}
HELD["drainage_level"] = 0.0


class Values(NamedTuple):
    """Values in their units, by column of the fit.

    ``emulator`` (15, 12, column) in the order of the emulator; ``runoff_share``,
    ``deep_residence`` of January, ``hillslope_delay`` (days), ``manning`` and
    ``width_factor`` (column).
    """

    emulator: Array
    runoff_share: Array
    deep_residence: Array
    hillslope_delay: Array
    manning: Array
    width_factor: Array


def _spaced(values: list[float]) -> np.ndarray:
    """Return values, or their logarithms, as the table says."""
    return np.array(
        [
            np.log(value) if row.logarithmic else value
            for row, value in zip(FREE, values, strict=True)
        ]
    )


_LOWER = _spaced([row.lower for row in FREE])
_SPAN = _spaced([row.upper for row in FREE]) - _LOWER
_PLACE = (_spaced([row.default for row in FREE]) - _LOWER) / _SPAN
_START = np.log(_PLACE / (1.0 - _PLACE))
_LOGARITHMIC = np.array([row.logarithmic for row in FREE])
_MIDDLE = 2.0 * np.pi * (np.arange(12) + 0.5) / 12.0


def monthly(coefficients: Array) -> Array:
    """Return all values by calendar month.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Zero is the default.

    Returns
    -------
    array, shape (len(FREE), 12, column)
        In the units of the table.
    """
    own = jnp.asarray(coefficients)
    moved = jnp.repeat((_START[:, None] + own[: len(FREE)])[:, None], 12, axis=1)
    for i, name in enumerate(SEASONAL):
        cosine, sine = own[len(FREE) + 2 * i], own[len(FREE) + 2 * i + 1]
        cycle = np.cos(_MIDDLE)[:, None] * cosine + np.sin(_MIDDLE)[:, None] * sine
        moved = moved.at[NAMES.index(name)].add(cycle)
    values = _LOWER[:, None, None] + _SPAN[:, None, None] * jax.nn.sigmoid(moved)
    return jnp.where(_LOGARITHMIC[:, None, None], jnp.exp(values), values)


def unfold(coefficients: Array) -> Values:
    """Return the values that belong to the coefficients of a fit.

    Parameters
    ----------
    coefficients : array, shape (SIZE, column)
        Zero is the default.

    Returns
    -------
    Values
    """
    every = dict(zip(NAMES, monthly(coefficients), strict=True))
    like = every["rain_gain"]
    rows = [
        every[row.name] if row.name in every else jnp.full_like(like, HELD[row.name])
        for row in table(closed=True)
    ]
    single = {name: every[name][0] for name in Values._fields if name in every}
    return Values(emulator=jnp.stack(rows), **single)
