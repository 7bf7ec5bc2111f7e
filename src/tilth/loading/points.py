"""Displacements by many point masses: ten million pairs a second on one core."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from tilth.loading.geometry import Places
from tilth.loading.green import COMPONENTS, SHORTEST, GreenFunctions, point_response
from tilth.loading.lookup import cubic_weights, half_angles, stacked


class PairTable(NamedTuple):
    """Point responses times the chord, at the distances of `tilth.loading.lookup`.

    Parameters
    ----------
    values : numpy.ndarray, shape (nodes, 3)
        Vertical, horizontal (over the cosine of half the distance) and geoid, m kg-1.
    """

    values: np.ndarray


def pair_table(green: GreenFunctions) -> PairTable:
    """Tabulate the Green's functions of an Earth for `sum_points`.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.

    Returns
    -------
    PairTable
        From 0.6 m to the antipode; looked up with a relative error below 1e-7.
    """
    half_angle = half_angles()
    chord = 2.0 * np.sin(half_angle)
    columns = [
        np.asarray(point_response(green, chord, component)) * chord
        for component in COMPONENTS
    ]
    half = np.maximum(np.cos(half_angle), 1e-300)
    columns[1] = columns[1] / half
    columns[1][-1] = 2.0 * columns[1][-2] - columns[1][-3]  # 0/0 at the antipode
    return PairTable(stacked(columns))


def sum_points(
    at: Places, sources: np.ndarray, masses: np.ndarray, table: PairTable
) -> np.ndarray:
    """Return the displacement of places by point masses.

    Parameters
    ----------
    at : Places
        Where.
    sources : numpy.ndarray, shape (m, 3)
        Unit vectors of the masses; nearer to a place than 0.6 m they are taken there.
    masses : numpy.ndarray, shape (m, k)
        kg; columns are separate loads (months, say).
    table : PairTable
        Of the Earth.

    Returns
    -------
    numpy.ndarray, shape (n, 4, k)
        East, north, up and geoid, m.
    """
    result = np.zeros((at.up.shape[0], 4, masses.shape[1]))
    _sum_points(at.up, at.east, at.north, sources, masses, *table, result)
    return result


def point_matrix(at: Places, sources: np.ndarray, table: PairTable) -> np.ndarray:
    """Return the displacement of places by 1 kg at each source.

    Parameters
    ----------
    at : Places
        Where.
    sources : numpy.ndarray, shape (m, 3)
        Unit vectors.
    table : PairTable
        Of the Earth.

    Returns
    -------
    numpy.ndarray, shape (n, 4, m)
        East, north, up and geoid, m kg-1.
    """
    result = np.empty((at.up.shape[0], 4, sources.shape[0]))
    _matrix(at.up, at.east, at.north, sources, *table, result)
    return result


@numba.njit(cache=True, inline="always", fastmath={"contract", "arcp"})
def _pair(up, east, north, source, values):
    """Return the displacement of one place by 1 kg at one source."""
    dx = source[0] - up[0]
    dy = source[1] - up[1]
    dz = source[2] - up[2]
    chord = np.sqrt(dx * dx + dy * dy + dz * dz)
    chord = min(max(chord, SHORTEST), 2.0)
    i, wa, wb, wc, wd = cubic_weights(chord)
    a, b, c, d = values[i - 1], values[i], values[i + 1], values[i + 2]
    inverse = 1.0 / chord
    vertical = (wa * a[0] + wb * b[0] + wc * c[0] + wd * d[0]) * inverse
    # Times cos(gamma/2), over sin(gamma) = c cos(gamma/2): nothing to divide by zero.
    away = (wa * a[1] + wb * b[1] + wc * c[1] + wd * d[1]) * inverse * inverse
    geoid = (wa * a[2] + wb * b[2] + wc * c[2] + wd * d[2]) * inverse
    to_east = dx * east[0] + dy * east[1] + dz * east[2]
    to_north = dx * north[0] + dy * north[1] + dz * north[2]
    return -away * to_east, -away * to_north, vertical, geoid


@numba.njit(cache=True, nogil=True)
def _sum_points(up, east, north, sources, masses, values, result):
    """Add up over the masses for each place."""
    for i in range(up.shape[0]):
        for j in range(sources.shape[0]):
            e, n, u, g = _pair(up[i], east[i], north[i], sources[j], values)
            for k in range(masses.shape[1]):
                mass = masses[j, k]
                result[i, 0, k] += e * mass
                result[i, 1, k] += n * mass
                result[i, 2, k] += u * mass
                result[i, 3, k] += g * mass


@numba.njit(cache=True, nogil=True)
def _matrix(up, east, north, sources, values, result):
    """Write the response of each place to each source."""
    for i in range(up.shape[0]):
        for j in range(sources.shape[0]):
            e, n, u, g = _pair(up[i], east[i], north[i], sources[j], values)
            result[i, 0, j], result[i, 1, j] = e, n
            result[i, 2, j], result[i, 3, j] = u, g
