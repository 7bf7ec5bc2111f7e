"""The unit box of the fits: every parameter between 0 and 1, rates by their logarithm.

A Gauss-Newton step is measured in the box, so each parameter's scale there decides how
cautious the step is. Rates and slopes whose bounds span two decades and more are
spaced evenly in their logarithm. Bounds are the faces of the box: a step is projected
on it, so that an optimum on a bound is found exactly, which a sigmoid would only
approach.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tilth.land.emulator.parameters import RUNOFF_SHARE, table
from tilth.land.fit.day import COMPILED

#: Parameters spaced by their logarithm.
LOGARITHMIC = frozenset(
    {
        "melt_factor",
        "wetland_release",
        "drainage_rate",
        "soil_slope",
        "input_slope",
        "deep_residence",
    }
)

#: Where a parameter stays if the data say nothing about it, such as how snow melts in
#: a month that never saw snow: no loss of snow or water, a melt of 3 mm day-1 K-1 from
#: 0 degC on (middle of the range of Hock 2003, J. Hydrol. 282, table 1), a wetland
#: that empties in a month (Nitta et al. 2017), soil that drains in a month and takes
#: up what comes.
NEUTRAL = {
    "snow_gain": 1.0,
    "melt_factor": 3.0,
    "melt_temperature": 273.15,
    "melt_exponent": 1.0,
    "melt_gain": 0.95,
    "rain_gain": 0.95,
    "wetland_release": 1.0 / 30.0,
    "evaporation_factor": 300.0,
    "drainage_rate": 1.0 / 30.0,
    "drainage_level": 0.0,
    "base_runoff": 0.2,
    "deep_residence": 60.0,
    "soil_slope": 0.05,
    "soil_capacity": 0.0,
    "input_slope": 0.03,
    "input_capacity": 30.0,
}

#: Bounds of a store at the start of a window or a month, mm, and its neutral value.
STORE = (0.01, 1000.0, 10.0)


class Box(NamedTuple):
    """Bounds of the fitted values and how they are spaced between them.

    ``lower`` and ``span`` are those of the value, or of its logarithm where
    ``logarithmic``; ``neutral`` lies in the unit box. Shapes (n).
    """

    lower: np.ndarray
    span: np.ndarray
    logarithmic: np.ndarray
    neutral: np.ndarray


def parameter_box(closed: bool) -> Box:
    """Return the box of eighteen values.

    Parameters
    ----------
    closed : bool
        Of the variant.

    Returns
    -------
    Box
        The fifteen parameters of a month, the runoff share, and the wetland and the
        deep store at the start.
    """
    rows = [
        (p.lower, p.upper, p.name in LOGARITHMIC, NEUTRAL[p.name])
        for p in table(closed)
    ]
    rows.append((RUNOFF_SHARE.lower, RUNOFF_SHARE.upper, False, 0.3))
    rows += [(STORE[0], STORE[1], True, STORE[2])] * 2
    low, high, is_log, middle = (np.array(column) for column in zip(*rows, strict=True))
    low, high, middle = (
        np.where(is_log, np.log(np.where(is_log, v, 1.0)), v)
        for v in (low, high, middle)
    )
    return Box(low, high - low, is_log, (middle - low) / (high - low))


def joint_box(box: Box) -> Box:
    """Return the box of all months together: every parameter twelve times.

    The order is that of `tilth.land.fit.windows`: parameter j of month m at 12 j + m,
    then the runoff share and the two first stores.
    """
    return Box(*(np.concatenate([np.repeat(v[:15], 12), v[15:]]) for v in box))


@njit(**COMPILED)
def from_unit(place, box, value, slope):
    """Fill the value and its derivative by the place in the unit box, all shape (n)."""
    for i in range(place.size):
        v = box.lower[i] + box.span[i] * place[i]
        if box.logarithmic[i]:
            v = np.exp(v)
            slope[i] = v * box.span[i]
        else:
            slope[i] = box.span[i]
        value[i] = v
