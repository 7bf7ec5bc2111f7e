"""The emulator's parameters: names, symbols, bounds and units, one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """A parameter of the emulator, fitted per cell and calendar month.

    Parameters
    ----------
    name : str
        Name in datasets and tables.
    symbol : str
        Symbol in the equations of Olson et al. (2024).
    lower, upper : float
        Bounds of the fit.
    unit : str
        Units, for a step of one day and stores in mm.
    meaning : str
        What it does, in one line.
    """

    name: str
    symbol: str
    lower: float
    upper: float
    unit: str
    meaning: str


#: The fifteen parameters in the order of every parameter array. The bounds hold for
#: daily steps, snow and soil water in mm, soil water relative to its mean; they were
#: found wide enough on mountain, forest and crop cells of VIC and Noah-MP.
PARAMETERS = (
    Parameter("snow_gain", "a", 0.6, 1.2, "1", "share of the snowfall that settles"),
    Parameter(
        "melt_factor", "b", 0.02, 12.0, "mm day-1 K-chi", "degree-day factor of melt"
    ),
    Parameter(
        "melt_temperature",
        "T_c",
        268.0,
        277.0,
        "K",
        "air temperature where melt sets in",
    ),
    Parameter("melt_exponent", "chi", 0.3, 2.0, "1", "how melt grows with temperature"),
    Parameter("melt_gain", "c", 0.2, 1.0, "1", "share of the melt that reaches soil"),
    Parameter("rain_gain", "d", 0.2, 1.0, "1", "share of the rain that reaches soil"),
    Parameter(
        "wetland_release", "omega", 0.001, 0.5, "day-1", "rate at which wetlands empty"
    ),
    Parameter(
        "evaporation_factor",
        "g",
        0.0,
        4000.0,
        "mm day-1",
        "evaporation per unit of saturation deficit (kg kg-1)",
    ),
    Parameter("drainage_rate", "e", 0.001, 0.3, "day-1", "relaxation of soil water"),
    Parameter(
        "drainage_level", "y_0", -20.0, 60.0, "mm", "soil water it relaxes towards"
    ),
    Parameter("base_runoff", "h", 0.0, 3.0, "mm day-1", "constant base runoff"),
    Parameter("soil_slope", "k_1", 0.005, 1.0, "mm-1", "how sharply soil fills up"),
    Parameter(
        "soil_capacity", "y_star", -100.0, 60.0, "mm", "soil water half-way full"
    ),
    Parameter(
        "input_slope", "k_2", 0.005, 1.0, "day mm-1", "how sharply heavy input runs off"
    ),
    Parameter(
        "input_capacity", "P_star", -50.0, 150.0, "mm day-1", "input half-way refused"
    ),
)

#: What replaces two of them in the variant ``closed``: nothing is created, and base
#: runoff comes out of a deep store.
CLOSED = {
    "snow_gain": Parameter(
        "snow_gain", "a", 0.6, 1.0, "1", "share of the snowfall that settles"
    ),
    "base_runoff": Parameter(
        "deep_residence", "tau", 1.0, 400.0, "day", "mean stay in the deep store"
    ),
}

#: Share of refused water that runs off at once, alpha: 0.1 in MATSIRO6 (Nitta et al.
#: 2017, wetland scheme); a fit may choose it, one value per cell.
RUNOFF_SHARE = Parameter(
    "runoff_share", "alpha", 0.02, 0.98, "1", "share of refused water that runs off"
)
DEFAULT_RUNOFF_SHARE = 0.1


def table(closed: bool = False) -> tuple[Parameter, ...]:
    """Return the fifteen parameters of a variant, in the order of the arrays."""
    if not closed:
        return PARAMETERS
    return tuple(CLOSED.get(parameter.name, parameter) for parameter in PARAMETERS)


def bounds(closed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the parameters.

    Parameters
    ----------
    closed : bool
        Those of the closed variant.

    Returns
    -------
    array, array
        Lower and upper, of shape (15,), in the order of `PARAMETERS`.
    """
    rows = table(closed)
    return (
        np.array([row.lower for row in rows]),
        np.array([row.upper for row in rows]),
    )
