r"""Loads on cells and polygons, exact beside and inside them.

The response to a uniform load over a region is an integral along its border, of a
function without a singular point (`tilth.loading.green.cap_response`). A piece of the
border no longer than its distance from the place is taken by Gauss's rule; longer ones
are halved, so that the work grows with the logarithm of the nearness only.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numba
import numpy as np

from tilth.core.errors import InputError
from tilth.loading.geometry import Places
from tilth.loading.green import COMPONENTS, SHORTEST, GreenFunctions, cap_response
from tilth.loading.lookup import cubic_weights, half_angles, stacked

_GAUSS, _WEIGHTS = np.polynomial.legendre.leggauss(6)

#: Pieces of a border are not halved below this share of the sphere's radius: 6 mm.
_SHORTEST_PIECE = 1e-9


class CapTable(NamedTuple):
    """Cap responses over the chord, at the distances of `tilth.loading.lookup`.

    Parameters
    ----------
    values : numpy.ndarray, shape (nodes, 3)
        Vertical, horizontal and geoid, m kg-1 per steradian and radian.
    area : float
        Square of the Earth's radius, m2.
    """

    values: np.ndarray
    area: float


def cap_table(green: GreenFunctions) -> CapTable:
    """Tabulate the cap responses of an Earth for `region_matrix`.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.

    Returns
    -------
    CapTable
        Looked up with a relative error below 1e-7.
    """
    chord = 2.0 * np.sin(half_angles())
    columns = [np.asarray(cap_response(green, chord, c)) / chord for c in COMPONENTS]
    return CapTable(stacked(columns), float(green.radius) ** 2)


def region_matrix(
    at: Places, lat: np.ndarray, lon: np.ndarray, begins: np.ndarray, table: CapTable
) -> np.ndarray:
    r"""Return the displacement of places by 1 kg m-2 on each region.

    .. math::

        u = a^2 \oint F_u \, d\varphi, \qquad
        (e, n) = -a^2 \oint F_v \, (\sin\varphi, \cos\varphi) \, d\varphi

    with the azimuth :math:`\varphi` under which the place sees the border.

    Parameters
    ----------
    at : Places
        Where; inside, outside or on the border of the regions.
    lat, lon : numpy.ndarray, shape (v,)
        Corners of the regions' borders one after another, degrees; between two of them
        latitude goes linearly with longitude. A ring is closed by itself. The interior
        lies to the left (counter-clockwise seen from above); a ring the other way
        around is a hole and counts negative.
    begins : numpy.ndarray of int, shape (m + 1,)
        Where each region begins among the corners, and the number of corners.
    table : CapTable
        Of the Earth.

    Returns
    -------
    numpy.ndarray, shape (n, 4, m)
        East, north, up and geoid, m per kg m-2.

    Raises
    ------
    InputError
        If a region has fewer than three corners or reaches over half the globe.
    """
    count = np.diff(begins)
    if (count < 3).any():
        which = int(np.flatnonzero(count < 3)[0])
        raise InputError(
            f"region {which} has {count[which]} corners: a border needs three"
        )
    for first, last in itertools.pairwise(begins):
        reach = np.abs(np.diff(np.append(lon[first:last], lon[first]))).max()
        if reach >= 180.0:
            raise InputError(
                f"the border of a region goes from one corner to the next over "
                f"{reach:g} degrees of longitude: write longitudes so that they go on "
                "across the date line, and cut a region that holds a pole"
            )
    result = np.empty((at.up.shape[0], 4, count.size))
    _regions(
        at.up,
        at.east,
        at.north,
        np.radians(lat),
        np.radians(lon),
        np.asarray(begins, np.int64),
        *table,
        result,
    )
    return result


@numba.njit(cache=True)
def _project(lat, lon, up, east, north, far):
    """Return a point in stereographic projection from a place, or its antipode."""
    x = np.cos(lat) * np.cos(lon) - up[0]
    y = np.cos(lat) * np.sin(lon) - up[1]
    z = np.sin(lat) - up[2]
    square = x * x + y * y + z * z  # c^2; 1 + cos(gamma) = 2 - c^2 / 2
    scale = 4.0 / square if far else 4.0 / (4.0 - square)
    return (
        scale * (x * east[0] + y * east[1] + z * east[2]),
        scale * (x * north[0] + y * north[1] + z * north[2]),
    )


@numba.njit(cache=True)
def _piece(x0, y0, xm, ym, x1, y1, values, far, total):
    """Add the integral along an arc through three points, a parabola, by Gauss's rule.

    An arc of the border that is short against its distance is a parabola to within the
    third power of what it turns.
    """
    for k in range(_GAUSS.size):
        t = _GAUSS[k]
        wa, wb, wc = t * (t - 1.0) / 2.0, 1.0 - t * t, t * (t + 1.0) / 2.0
        x = wa * x0 + wb * xm + wc * x1
        y = wa * y0 + wb * ym + wc * y1
        da, db, dc = t - 0.5, -2.0 * t, t + 0.5
        dx = da * x0 + db * xm + dc * x1
        dy = da * y0 + db * ym + dc * y1
        square = x * x + y * y
        if square == 0.0:
            continue
        if far:
            chord = 4.0 / np.sqrt(4.0 + square)
        else:
            chord = max(2.0 * np.sqrt(square / (4.0 + square)), SHORTEST)
        i, va, vb, vc, vd = cubic_weights(chord)
        # Counter-clockwise as x east, y north; cos and sin of the azimuth below.
        turned = _WEIGHTS[k] * (x * dy - y * dx) / square
        distance = np.sqrt(square)
        for c in range(3):
            value = chord * (
                va * values[i - 1, c]
                + vb * values[i, c]
                + vc * values[i + 1, c]
                + vd * values[i + 2, c]
            )
            if far:  # from the antipode on, where the integrand has its singular point
                value -= 2.0 * values[-1, c]
            value *= turned
            if c == 0:
                total[2] += value
            elif c == 1:
                total[0] -= value * x / distance
                total[1] -= value * y / distance
            else:
                total[3] += value


@numba.njit(cache=True)
def _edge(lat0, lon0, lat1, lon1, up, east, north, values, far, total):
    """Add the integral along one edge, halved where it is near."""
    stack = np.empty((64, 2))
    stack[0, 0], stack[0, 1] = 0.0, 1.0
    depth = 1
    dlat, dlon = lat1 - lat0, lon1 - lon0
    while depth > 0:
        depth -= 1
        low, high = stack[depth, 0], stack[depth, 1]
        middle = (low + high) / 2.0
        x0, y0 = _project(lat0 + low * dlat, lon0 + low * dlon, up, east, north, far)
        xm, ym = _project(
            lat0 + middle * dlat, lon0 + middle * dlon, up, east, north, far
        )
        x1, y1 = _project(lat0 + high * dlat, lon0 + high * dlon, up, east, north, far)
        length = np.hypot(x1 - xm, y1 - ym) + np.hypot(xm - x0, ym - y0)
        near = min(np.hypot(x0, y0), np.hypot(xm, ym), np.hypot(x1, y1))
        # How far the arc bends off its chord, which a parabola takes up to a share.
        bend = np.hypot(xm - (x0 + x1) / 2.0, ym - (y0 + y1) / 2.0)
        fine = length <= 0.7 * near and bend <= 0.02 * length
        if (fine or length < _SHORTEST_PIECE) or depth > 61:
            _piece(x0, y0, xm, ym, x1, y1, values, far, total)
        else:
            stack[depth, 0], stack[depth, 1] = middle, high
            stack[depth + 1, 0], stack[depth + 1, 1] = low, middle
            depth += 2


@numba.njit(cache=True, nogil=True)
def _regions(up, east, north, lat, lon, begins, values, area, result):
    """Write the response of each place to each region."""
    total = np.empty(4)
    for i in range(up.shape[0]):
        for j in range(begins.size - 1):
            total[:] = 0.0
            corner = begins[j]
            toward = np.cos(lat[corner]) * (
                np.cos(lon[corner]) * up[i, 0] + np.sin(lon[corner]) * up[i, 1]
            )
            far = toward + np.sin(lat[corner]) * up[i, 2] < 0.0
            for k in range(begins[j], begins[j + 1]):
                after = k + 1 if k + 1 < begins[j + 1] else begins[j]
                _edge(
                    lat[k],
                    lon[k],
                    lat[after],
                    lon[after],
                    up[i],
                    east[i],
                    north[i],
                    values,
                    far,
                    total,
                )
            for c in range(4):
                result[i, c, j] = area * total[c]
