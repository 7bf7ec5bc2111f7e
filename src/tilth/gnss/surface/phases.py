"""Phase of the reflected signal over a reflector of known height, arc by arc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.gnss.gps_time import gps_to_utc

if TYPE_CHECKING:
    from tilth.gnss.reflectometry.arcs import Arcs

#: Azimuths within this of a track's belong to it, degrees. As in gnssrefl.
TRACK_WIDTH = 3.0

#: Arcs of a year that a track must have. gnssrefl asks for 30 to 100.
FEWEST_ARCS = 30


@dataclass(frozen=True)
class Tracks:
    """Paths that a satellite repeats every day, and the height over each.

    Parameters
    ----------
    satellite : numpy.ndarray of int, shape (track,)
        Number of the satellite.
    azimuth : numpy.ndarray, shape (track,)
        Degrees, clockwise.
    height : numpy.ndarray, shape (track,)
        Reflector height held fixed while phases are fitted, m.

    Raises
    ------
    InputError
        If the columns differ in length, or a height is not positive.
    """

    satellite: np.ndarray
    azimuth: np.ndarray
    height: np.ndarray

    def __post_init__(self) -> None:
        sizes = {
            np.shape(self.satellite),
            np.shape(self.azimuth),
            np.shape(self.height),
        }
        if len(sizes) != 1 or not (np.asarray(self.height) > 0).all():
            raise InputError(
                "tracks need a satellite, an azimuth and a positive height each"
            )

    def find(self, satellite: int, azimuth: float) -> int | None:
        """Return the track of an arc.

        Parameters
        ----------
        satellite : int
            Its number.
        azimuth : float
            Of the arc, degrees.

        Returns
        -------
        int or None
            The nearest track of the satellite within 3 degrees; None for none.
        """
        own = np.flatnonzero(self.satellite == satellite)
        if not own.size:
            return None
        away = np.abs(_turn(self.azimuth[own] - azimuth))
        best = int(np.argmin(away))
        return int(own[best]) if away[best] <= TRACK_WIDTH else None


def read_tracks(path: str | os.PathLike[str]) -> Tracks:
    """Read the tracks that gnssrefl keeps for the fit of phases.

    Parameters
    ----------
    path : path
        Such as ``mchl_phaseRH_L2.txt``: number, height (m), satellite, azimuth
        (degrees), and more that is not read.

    Returns
    -------
    Tracks
        Of the file.

    Raises
    ------
    InputError
        If the file is something else.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
        words = [line.split("%")[0].split()[:4] for line in lines]
        rows = np.array([line for line in words if line], float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds no tracks: {error}") from error
    if rows.ndim != 2 or rows.shape[1] < 4:
        raise InputError(
            f"{path} holds no tracks: rows of number, height, satellite and azimuth "
            "are needed"
        )
    return Tracks(rows[:, 2].astype(int), rows[:, 3], rows[:, 1])


def track_heights(heights: xr.Dataset, fewest: int = FEWEST_ARCS) -> Tracks:
    """Find the tracks of a station, and the mean height over each.

    Arcs of a satellite are one track where, ordered by azimuth around the circle, each
    lies within 3 degrees of the next.

    Parameters
    ----------
    heights : xarray.Dataset
        Along ``arc``, of one signal and about a year: ``satellite``, ``azimuth``
        (degrees), ``reflector_height`` (m) and, if known, ``quality_flag``, of which
        only zero is used.
    fewest : int
        Arcs that a track must have.

    Returns
    -------
    Tracks
        By satellite and azimuth.

    Raises
    ------
    InputError
        If no track has as many arcs.
    """
    names = ("satellite", "azimuth", "reflector_height")
    require_variables(heights, names, "arcs of a year")
    good = np.isfinite(heights["reflector_height"].values)
    if "quality_flag" in heights:
        good &= heights["quality_flag"].values == 0
    satellite, azimuth, height = (heights[name].values[good] for name in names)
    found: list[tuple[int, float, float]] = []
    for one in np.unique(satellite):
        own = satellite == one
        angle, metres = azimuth[own] % 360.0, height[own]
        order = np.argsort(angle)
        angle, metres = angle[order], metres[order]
        gap = np.diff(angle, append=angle[0] + 360.0)
        # Begin after the widest gap, so that no track is cut at north.
        shift = int(np.argmax(gap)) + 1
        angle, metres = np.roll(angle, -shift), np.roll(metres, -shift)
        breaks = np.flatnonzero(np.roll(gap, -shift)[:-1] > TRACK_WIDTH) + 1
        for group in np.split(np.arange(angle.size), breaks):
            if group.size >= fewest:
                first = angle[group[0]]
                middle = first + _turn(angle[group] - first).mean()
                found.append((int(one), middle % 360.0, metres[group].mean()))
    if not found:
        raise InputError(
            f"no satellite has {fewest} arcs within {TRACK_WIDTH:g} degrees: soil "
            "moisture needs months of data on each track"
        )
    columns = [np.array(column) for column in zip(*found, strict=True)]
    return Tracks(*columns)


def fit_phase(
    elevation: npt.ArrayLike,
    residual: npt.ArrayLike,
    height: float,
    wavelength: float,
) -> tuple[float, float, float]:
    r"""Amplitude and phase of the reflected signal by least squares.

    .. math:: \delta = A \sin\left(\frac{4 \pi H}{\lambda} \sin e + \phi\right)
       = a \sin x + b \cos x, \qquad A = \sqrt{a^2 + b^2},\;
       \phi = \operatorname{atan2}(b, a)

    With H held fixed the problem is linear and needs no first guess.

    Parameters
    ----------
    elevation : array_like, shape (sample,)
        Apparent elevation, degrees.
    residual : array_like, shape (sample,)
        Signal-to-noise ratio less the direct signal, V/V.
    height : float
        Reflector height of the track, m.
    wavelength : float
        m.

    Returns
    -------
    amplitude : float
        V/V, positive.
    phase : float
        Degrees, from 0 up to 360.
    phase_se : float
        Standard error of the phase by the scatter about the fit, degrees.

    Raises
    ------
    InputError
        If there are fewer than four samples.

    References
    ----------
    Chew et al. (2014), IEEE Trans. Geosci. Remote Sens. 52, 537-543.
    """
    y = np.asarray(residual, float)
    if y.size < 4:
        raise InputError(f"a phase needs four samples or more, got {y.size}")
    x = 4.0 * np.pi * height / wavelength * np.sin(np.radians(elevation))
    columns = np.column_stack([np.sin(x), np.cos(x)])
    normal = columns.T @ columns
    a, b = np.linalg.solve(normal, columns.T @ y)
    amplitude = float(np.hypot(a, b))
    left = y - columns @ (a, b)
    covariance = np.linalg.inv(normal) * (left @ left) / (y.size - 2)
    across = np.array([-b, a]) / amplitude**2
    se = float(np.degrees(np.sqrt(across @ covariance @ across)))
    return amplitude, float(np.degrees(np.arctan2(b, a)) % 360.0), se


def arc_phases(
    arcs: Arcs,
    tracks: Tracks,
    date: np.datetime64,
    signal: int = 20,
    *,
    accepted: npt.ArrayLike | None = None,
) -> xr.Dataset:
    """Fit the phase of every arc of a day that follows a track.

    Parameters
    ----------
    arcs : tilth.gnss.reflectometry.arcs.Arcs
        Of the day.
    tracks : Tracks
        Of the station and signal.
    date : numpy.datetime64
        The day, in GPS time.
    signal : int
        Which signal; soil moisture is calibrated for 20 (GPS L2C).
    accepted : array_like of bool, shape (arc,), optional
        Arcs that are used, such as those whose height was accepted; all by default.

    Returns
    -------
    xarray.Dataset
        Along ``arc``: ``time`` (UTC), ``satellite``, ``track``, ``azimuth`` (degrees,
        at the lowest elevation), ``phase``, ``phase_se`` (degree), ``amplitude`` (V/V),
        ``reflector_height`` held fixed (m), ``observations``.
    """
    rows = []
    used = (arcs.signal == signal) & arcs.enough
    if accepted is not None:
        used &= np.asarray(accepted, bool)
    for i in np.flatnonzero(used):
        own = arcs.samples(int(i))
        elevation = arcs.elevation[own]
        azimuth = float(arcs.azimuth[own][np.argmin(elevation)])
        track = tracks.find(int(arcs.satellite[i]), azimuth)
        if track is None:
            continue
        height = float(tracks.height[track])
        amplitude, phase, se = fit_phase(
            elevation, arcs.residual[own], height, float(arcs.wavelength[i])
        )
        second = float(arcs.second[own].mean())
        if not 0.0 <= second < SECONDS_PER_DAY:
            continue  # it belongs to a neighbouring day
        rows.append(
            (second, int(arcs.satellite[i]), track, azimuth, phase, se, amplitude,
             height, elevation.size)
        )  # fmt: skip
    table = np.array(rows, float).reshape(-1, 9)
    nanoseconds = np.rint(table[:, 0] * 1e9).astype("int64").astype("timedelta64[ns]")
    names = {
        "satellite": ("1", int),
        "track": ("1", int),
        "azimuth": ("degree", float),
        "phase": ("degree", float),
        "phase_se": ("degree", float),
        "amplitude": ("V V-1", float),
        "reflector_height": ("m", float),
        "observations": ("1", int),
    }
    data: dict[str, tuple] = {
        name: ("arc", table[:, k].astype(kind), {"units": units})
        for k, (name, (units, kind)) in enumerate(names.items(), start=1)
    }
    time = gps_to_utc(np.asarray(date, "datetime64[ns]") + nanoseconds)
    return xr.Dataset({"time": ("arc", time), **data}, attrs={"signal": signal})


def _turn(angle: npt.ArrayLike) -> np.ndarray:
    """Return angles between -180 and 180 degrees."""
    return (np.asarray(angle, float) + 180.0) % 360.0 - 180.0
