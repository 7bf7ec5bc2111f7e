"""A river network for a basin of which only size and mean slope are known.

There is no terrain here: the rivers are drawn by empirical laws, and the same for every
basin of a size. The main river is as long as Hack's law has it and takes up tributaries
on its way, each half as long as what lies above it; channels get steeper upstream.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.model import MOUTH, RiverNetwork

#: Length of a reach that is aimed at, m, and least number of reaches in the main river.
REACH, LEAST_REACHES = 10_000.0, 3

#: Hack (1957), USGS Professional Paper 294-B: length of the main river, 1.4 A**0.6 in
#: miles and square miles.
_HACK, _HACK_EXPONENT, _MILE = 1.4, 0.6, 1609.344

#: Slope of a channel falls with the area drained to this power (Kirby & Whipple 2012,
#: J. Struct. Geol. 44, 54-75); where channels begin, here 1 km2 (Montgomery & Dietrich
#: 1992, Science 255, 826-830, find 0.001 to 1 km2), it is that of the ground.
_CONCAVITY, _CHANNEL_HEAD = 0.45, 1e6

#: No channel is flatter.
_LEAST_SLOPE = 1e-4

#: Bank-full width and depth, m, as factor and power of the area drained, km2: all of
#: the United States, Bieger et al. (2015), J. Am. Water Resour. Assoc. 51, 842-858. The
#: law of the global maps, made for large rivers, would give a third of the width.
_WIDTH, _DEPTH = (2.70, 0.352), (0.30, 0.213)

#: Layers of the floodplains; height grows as the square of the share of area below.
_LAYERS, _POWER = 10, 2.0


def main_river(area: float) -> float:
    """Return the length of a basin's main river, m, by Hack's law.

    Parameters
    ----------
    area : float
        Of the basin, m2.

    Returns
    -------
    float
        m.

    Examples
    --------
    >>> round(main_river(587.7e6) / 1e3)
    58
    """
    return _HACK * (area / _MILE**2) ** _HACK_EXPONENT * _MILE


def stem_and_tributaries(reaches: int) -> np.ndarray:
    """Return where each reach of a river with tributaries flows to.

    Above each reach of the main river, a tributary joins that is half as long as what
    is left of the main river, rounded down; tributaries have theirs in the same way.

    Parameters
    ----------
    reaches : int
        Of the main river.

    Returns
    -------
    numpy.ndarray of int
        Position of the next reach, which comes before; -1 at the outlet, which is 0.

    Examples
    --------
    >>> stem_and_tributaries(4).tolist()
    [-1, 0, 1, 2, 0, 1]
    """
    down: list[int] = []

    def grow(length: int, into: int) -> None:
        stem = []
        for _ in range(length):
            stem.append(len(down))
            down.append(into)
            into = stem[-1]
        for i in range(length - 1):
            if side := (length - 1 - i) // 2:
                grow(side, stem[i])

    grow(reaches, MOUTH)
    return np.array(down, np.int64)


def basin_network(area: float, slope: float) -> RiverNetwork:
    """Draw the rivers of a basin, and one more reach below its gauge.

    The last reach takes no runoff: it keeps the water level at the end of the network
    away from the gauge.

    Parameters
    ----------
    area : float
        Of the basin, m2; unit catchments share it equally.
    slope : float
        Mean slope of the ground, 1.

    Returns
    -------
    RiverNetwork
        With all that a run needs, upstream first. ``runoff_share`` is the share of the
        basin's runoff in each catchment; the last but one holds the gauge.

    Raises
    ------
    InputError
        If a number is not above zero.
    """
    if not (area > 0 and slope > 0):
        raise InputError(
            "a basin's rivers need an area and a slope above zero, got "
            f"{area:g} m2 and {slope:g}"
        )
    reaches = max(round(main_river(area) / REACH), LEAST_REACHES)
    # Upstream first: the outlet, grown first, comes last, and then the reach below.
    grown = stem_and_tributaries(reaches)
    n = grown.size
    down = np.append(n - 1 - grown[::-1], MOUTH)
    down[n - 1] = n
    share = np.append(np.full(n, 1.0 / n), 0.0)
    bare = RiverNetwork(xr.Dataset({"downstream": ("catchment", down)}))
    drained = bare.accumulate(share) * area
    length = np.full(n + 1, main_river(area) / reaches)
    fall = np.maximum(slope * (drained / _CHANNEL_HEAD) ** -_CONCAVITY, _LEAST_SLOPE)
    elevation = np.zeros(n + 1)
    for i in range(n - 1, -1, -1):
        elevation[i] = elevation[down[i]] + fall[i] * length[i]
    unit = np.full(n + 1, area / n)
    relief = slope * unit / length / 2.0
    layers = np.arange(1, _LAYERS + 1) / _LAYERS
    columns = {
        "area": (unit, "m2"),
        "river_length": (length, "m"),
        "river_width": (_WIDTH[0] * (drained / 1e6) ** _WIDTH[1], "m"),
        "river_depth": (_DEPTH[0] * (drained / 1e6) ** _DEPTH[1], "m"),
        "elevation": (elevation, "m"),
        "downstream_distance": (length, "m"),
        "upstream_area": (drained, "m2"),
        "channel_slope": (fall, "1"),
        "runoff_share": (share, "1"),
    }
    data = xr.Dataset(
        {
            "downstream": ("catchment", down),
            "floodplain_height": (
                ("catchment", "layer"),
                relief[:, None] * layers**_POWER,
                {"units": "m"},
            ),
            **{
                name: ("catchment", values, {"units": units})
                for name, (values, units) in columns.items()
            },
        }
    )
    return RiverNetwork(data)
