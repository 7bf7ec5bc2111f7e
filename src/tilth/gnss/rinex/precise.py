"""Where satellites are, between the epochs of precise orbits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import xarray as xr
from numba import njit

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.gnss.rinex.kepler import ROTATION

#: Positions that a polynomial goes through: 11, of order 10, keep the rounding of the
#: file between epochs of 15 minutes (Schenewerk 2003, GPS Solutions 6, 265).
NODES = 11


class PreciseOrbits:
    """Orbits of SP3 files, interpolated by polynomials of order 10.

    Positions are turned to a frame that does not rotate, interpolated there through
    the `NODES` nearest epochs and turned back. Before the first epoch of a file and
    after its last, where polynomials run away, they are used for one interval and no
    further: give the files of the days before and after.

    Parameters
    ----------
    positions : xarray.Dataset or sequence of them
        Of `tilth.gnss.rinex.sp3.read_sp3`. Where several have an epoch of a
        satellite, the first that has it counts.

    Raises
    ------
    InputError
        If these are no positions, or fewer than `NODES` epochs.
    """

    def __init__(self, positions: xr.Dataset | Sequence[xr.Dataset]) -> None:
        tables = [positions] if isinstance(positions, xr.Dataset) else list(positions)
        if not tables:
            raise InputError("precise orbits need at least one table of positions")
        for table in tables:
            require_variables(
                table, ("position", "time", "satellite"), "a table of precise orbits"
            )
        joined = tables[0]["position"]
        for table in tables[1:]:
            joined = joined.combine_first(table["position"])
        joined = joined.sortby("time").transpose("time", "satellite", "axis")
        if joined.sizes["time"] < NODES:
            raise InputError(
                f"precise orbits need {NODES} epochs or more, got "
                f"{joined.sizes['time']}: give a whole day"
            )
        self.satellite = joined["satellite"].values.astype("int64")
        # Relative to the first epoch, so that turning keeps all digits.
        self._begin = float(joined["time"].values[0])
        time = joined["time"].values - self._begin
        x, y, z = np.moveaxis(joined.values, -1, 0)
        angle = ROTATION[0] * time[:, None]
        still = np.stack(
            [
                x * np.cos(angle) - y * np.sin(angle),
                x * np.sin(angle) + y * np.cos(angle),
                z,
            ],
            axis=-1,
        )
        self._tracks = [_track(time, still[:, k]) for k in range(self.satellite.size)]

    #: SP3 files tell no GLONASS channels.
    glonass_channels: Mapping[int, int] = MappingProxyType({})

    def states(
        self, satellite: npt.ArrayLike, time: npt.ArrayLike
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return where satellites are and how they move.

        Parameters
        ----------
        satellite : array_like of int, shape (n)
            Their numbers.
        time : array_like, shape (n)
            Seconds of GPS time.

        Returns
        -------
        position, velocity : numpy.ndarray, shape (n, 3)
            Earth-centred earth-fixed, m and m s-1; NaN where no epochs are near.
        """
        wanted = np.asarray(satellite, "int64")
        moment = np.asarray(time, float) - self._begin
        out = np.full((wanted.size, 6), np.nan)
        for one, (nodes, positions) in zip(self.satellite, self._tracks, strict=True):
            rows = np.flatnonzero(wanted == one)
            if rows.size and nodes.size >= NODES:
                found = np.full((rows.size, 6), np.nan)
                _interpolate(moment[rows], nodes, positions, found)
                out[rows] = found
        return out[:, :3], out[:, 3:]


def _track(time: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs that a satellite has, and its positions."""
    there = np.isfinite(position).all(axis=1)
    return time[there], np.ascontiguousarray(position[there])


@njit(cache=True)
def _interpolate(time, nodes, positions, out):  # pragma: no cover - compiled
    """Fill positions and velocities of one satellite, turned with the earth."""
    weight, slope = np.empty(NODES), np.empty(NODES)
    interval = np.diff(nodes).min()
    rotation = ROTATION[0]
    for i in range(time.size):
        t = time[i]
        at = np.searchsorted(nodes, t)
        left = nodes[at - 1] if at > 0 else nodes[0] - interval
        right = nodes[at] if at < nodes.size else nodes[-1] + interval
        # Outside, and within gaps, a polynomial is a guess.
        if not (left <= t <= right) or right - left > 2.5 * interval:
            continue
        first = min(max(at - (NODES + 1) // 2, 0), nodes.size - NODES)
        for j in range(NODES):
            product, change = 1.0, 0.0
            for k in range(NODES):
                if k == j:
                    continue
                width = nodes[first + j] - nodes[first + k]
                change = change * (t - nodes[first + k]) / width + product / width
                product *= (t - nodes[first + k]) / width
            weight[j], slope[j] = product, change
        x = y = z = u = v = w = 0.0
        for j in range(NODES):
            p = positions[first + j]
            x += weight[j] * p[0]
            y += weight[j] * p[1]
            z += weight[j] * p[2]
            u += slope[j] * p[0]
            v += slope[j] * p[1]
            w += slope[j] * p[2]
        c, s = math.cos(rotation * t), math.sin(rotation * t)
        out[i, 0], out[i, 1], out[i, 2] = c * x + s * y, c * y - s * x, z
        out[i, 3] = c * u + s * v + rotation * out[i, 1]
        out[i, 4] = c * v - s * u - rotation * out[i, 0]
        out[i, 5] = w
