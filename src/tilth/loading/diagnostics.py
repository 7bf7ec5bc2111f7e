r"""How far and how large a load is, from one station's three components.

Beside a load the ground moves toward it up to half as much as it moves down; right
under its middle, not at all sideways. The ratio of horizontal to vertical therefore
tells the distance in sizes of the load, and the horizontal points to it: toward mass
that is added, away from mass that is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.loading.discs import disc_response
from tilth.loading.green import GreenFunctions

#: Distances in radii of the disc between which a ratio is turned into a distance.
_NEAREST, _FARTHEST = 1.001, 30.0


def wahr_ratio(green: GreenFunctions, distance: Any, radius: Any) -> np.ndarray:
    r"""Return the ratio of horizontal to vertical displacement by a disc.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth; at hundreds of kilometres the frame matters.
    distance : array_like
        Of the place from the centre, m.
    radius : array_like
        Of the disc, m.

    Returns
    -------
    numpy.ndarray
        :math:`|V/U|`.

    References
    ----------
    Wahr, Khan, van Dam, Liu, van Angelen, van den Broeke & Meertens (2013), Journal of
    Geophysical Research: Solid Earth 118, 1795-1806.
    """
    a = float(green.radius)
    moved = disc_response(green, np.asarray(distance) / a, np.asarray(radius) / a)
    return np.abs(np.asarray(moved.away) / np.asarray(moved.up))


def observed_ratio(moved: xr.Dataset) -> xr.Dataset:
    r"""Return the ratio of horizontal to vertical of stations, and where it points.

    .. math::

        \rho = \frac{\sqrt{e^2 + n^2}}{|u|}, \qquad
        \sigma_\rho^2 = \frac{e^2 \sigma_e^2 + n^2 \sigma_n^2}{(e^2 + n^2) u^2}
            + \rho^2 \frac{\sigma_u^2}{u^2}

    Parameters
    ----------
    moved : xarray.Dataset
        ``east``, ``north``, ``up`` with ``_se``, all in one unit. Horizontals need to
        be of a stable plate, and rebound after the ice age taken off.

    Returns
    -------
    xarray.Dataset
        ``ratio`` and ``ratio_se`` (first order: of little use below three standard
        errors of the horizontal), ``azimuth`` and ``azimuth_se`` (degrees from north,
        clockwise) of the load: against the horizontal where the ground rises, along it
        where it sinks.
    """
    names = ("east", "north", "up")
    require_variables(moved, [*names, *(f"{n}_se" for n in names)], "the displacement")
    east, north, up = (moved[n] for n in names)
    se = [moved[f"{n}_se"] for n in names]
    square = east**2 + north**2
    ratio = square**0.5 / abs(up)
    along = (east**2 * se[0] ** 2 + north**2 * se[1] ** 2) / square
    across = (north**2 * se[0] ** 2 + east**2 * se[1] ** 2) / square
    ratio_se = (along / up**2 + ratio**2 * se[2] ** 2 / up**2) ** 0.5
    turn = 1.0 - 2.0 * (up > 0.0)
    azimuth = xr.apply_ufunc(_azimuth, turn * east, turn * north)
    azimuth_se = (across / square) ** 0.5 * (180.0 / np.pi)
    degrees = {"units": "degree"}
    return xr.Dataset(
        {
            "ratio": ratio.assign_attrs(units="1"),
            "ratio_se": ratio_se.assign_attrs(units="1"),
            "azimuth": azimuth.assign_attrs(degrees),
            "azimuth_se": azimuth_se.assign_attrs(degrees),
        }
    )


def distance_of_ratio(green: GreenFunctions, ratio: Any, radius: float) -> np.ndarray:
    """Return how far from a disc's centre its load makes some ratio.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.
    ratio : array_like
        Of horizontal to vertical.
    radius : float
        Of the disc that the load is taken for, m.

    Returns
    -------
    numpy.ndarray
        m, the nearest from beside the border to thirty radii; NaN for ratios that no
        place there has: lower ones are above the load, higher ones no answer to it.

    Raises
    ------
    InputError
        If the radius is not above 0.
    """
    if not radius > 0.0:
        raise InputError(f"the radius of a load is above 0 m, got {radius:g}")
    tried = radius * np.geomspace(_NEAREST, _FARTHEST, 400)
    curve = wahr_ratio(green, tried, radius)
    wanted = np.asarray(ratio, float)
    highest = np.maximum.accumulate(curve)
    after = np.searchsorted(highest, wanted)
    k = np.clip(after, 1, tried.size - 1)
    share = (wanted - curve[k - 1]) / np.where(
        curve[k] == curve[k - 1], 1.0, curve[k] - curve[k - 1]
    )
    far = tried[k - 1] + share * (tried[k] - tried[k - 1])
    return np.where((after > 0) & (after < tried.size), far, np.nan)


def _azimuth(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Return directions from north, clockwise, degrees."""
    return np.degrees(np.arctan2(east, north)) % 360.0
