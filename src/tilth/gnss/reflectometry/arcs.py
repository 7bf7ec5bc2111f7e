"""Arcs: the passes of a satellite, one per signal, rid of the direct signal."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numba import njit

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError
from tilth.gnss.reflectometry.settings import Settings
from tilth.gnss.reflectometry.signals import (
    BANDS,
    SPEED_OF_LIGHT,
    sends,
    signal_of,
    wavelength,
)
from tilth.gnss.reflectometry.snr_days import (
    channels_of,
    check_day,
    date_of,
    second_band,
)

#: Seconds without a sample that end an arc.
LONGEST_GAP = 600.0

#: Samples that an arc of a satellite, those of a signal (more than), and those between
#: the elevations must have. As in gnssrefl.
FEWEST_OF_SATELLITE, FEWEST_OF_SIGNAL, FEWEST_BETWEEN = 20, 20, 15

#: Hours of the neighbouring days that are joined to a day.
NEIGHBOUR_HOURS = 2.0

#: A ratio must exceed this, dB-Hz.
_LOWEST_RATIO = 1.0

#: Carriers that gnssrefl has otherwise, Hz: its grid is met with them only.
_PEER_CARRIERS = {206: 1278.70e6}


@dataclass(frozen=True)
class Arcs:
    """Arcs of a day and the samples of each, one after the other.

    Parameters
    ----------
    satellite, signal : numpy.ndarray of int, shape (arc)
        Their numbers.
    wavelength : numpy.ndarray, shape (arc)
        m; NaN where it is not known.
    enough : numpy.ndarray of bool, shape (arc)
        Whether there are samples enough; other arcs have none.
    first_second, last_second : numpy.ndarray, shape (arc)
        Ends of the satellite's arc before elevations are cut, s of the day.
    starts : numpy.ndarray of int, shape (arc + 1)
        Where the samples of each arc begin, and where the last ones end.
    elevation, azimuth, second, residual : numpy.ndarray, shape (sample)
        Apparent elevation and azimuth (degrees), second of the day, and what the
        polynomial leaves of the ratio (V/V, or dB).
    """

    satellite: np.ndarray
    signal: np.ndarray
    wavelength: np.ndarray
    enough: np.ndarray
    first_second: np.ndarray
    last_second: np.ndarray
    starts: np.ndarray
    elevation: np.ndarray
    azimuth: np.ndarray
    second: np.ndarray
    residual: np.ndarray

    def samples(self, arc: int) -> slice:
        """Return where the samples of an arc are.

        Parameters
        ----------
        arc : int
            Its place.

        Returns
        -------
        slice
            Into ``elevation``, ``azimuth``, ``second`` and ``residual``.
        """
        return slice(int(self.starts[arc]), int(self.starts[arc + 1]))


def cut_arcs(
    day: xr.Dataset,
    settings: Settings,
    *,
    previous: xr.Dataset | None = None,
    following: xr.Dataset | None = None,
) -> Arcs:
    """Cut a day into arcs and take the direct signal away.

    In this order, on which the numbers depend: what is above the horizon is joined with
    the nearest two hours of the neighbouring days; elevations are raised by refraction;
    samples outside `Settings.detrend_elevations` go; a satellite's samples are cut
    where more than ten minutes lack and where it turns; of each signal samples above
    1 dB-Hz become V/V; a polynomial in elevation over the whole arc is subtracted; and
    `Settings.elevations` are kept.

    Parameters
    ----------
    day : xarray.Dataset
        Of `tilth.gnss.reflectometry.snr_days.snr_day`.
    settings : Settings
        Of the analysis.
    previous, following : xarray.Dataset, optional
        The days before and after, where there are.

    Returns
    -------
    Arcs
        One for each signal of each pass that has at least one sample, those with too
        few of them included; passes of the neighbouring days included.

    Raises
    ------
    InputError
        If a table is not that of a day, or the days do not follow each other.
    """
    check_day(day)
    date = date_of(day)
    joined = _joined(day, previous, following, settings)
    satellite, second, elevation, azimuth, ratios = joined
    elevation = settings.refraction.apparent_elevation(elevation, date)
    kept = (elevation >= settings.detrend_elevations[0]) & (
        elevation <= settings.detrend_elevations[1]
    )
    if settings.interval is not None:
        kept &= second % settings.interval == 0
    if settings.exclude:
        kept &= ~np.isin(satellite, settings.exclude)
    places = np.flatnonzero(kept)
    places = places[np.lexsort((second[places], satellite[places]))]
    same = (np.diff(satellite[places]) == 0) & (np.diff(second[places]) == 0)
    places = np.delete(places, np.flatnonzero(same) + 1)
    satellite, second = satellite[places], second[places]
    elevation, azimuth = elevation[places], azimuth[places]
    ratios = np.ascontiguousarray(ratios[:, places])
    bounds = _segments(satellite, second, elevation)
    waves = _waves(np.unique(satellite), settings, day)
    bands = np.array([BANDS.index(signal_of(code).band) for code in settings.signals])
    low, high = settings.elevations
    rows, starts, numbers, values = _residuals(
        bounds, satellite, second, elevation, azimuth, ratios, waves, bands,
        low, high, settings.trend_order, settings.decibel,
    )  # fmt: skip
    which = rows[:, 1].astype(np.int64)
    number = rows[:, 0].astype(np.int64)
    return Arcs(
        satellite=number,
        signal=np.array(settings.signals, np.int64)[which],
        wavelength=waves[which, number],
        enough=rows[:, 2] > 0,
        first_second=rows[:, 3],
        last_second=rows[:, 4],
        starts=starts,
        elevation=elevation[numbers],
        azimuth=azimuth[numbers],
        second=second[numbers],
        residual=values,
    )


def _joined(
    day: xr.Dataset,
    previous: xr.Dataset | None,
    following: xr.Dataset | None,
    settings: Settings,
) -> tuple[np.ndarray, ...]:
    """Return columns of a day with the nearest hours of its neighbours."""
    parts = []
    near = NEIGHBOUR_HOURS * 3600.0
    for other, days in ((previous, -1), (day, 0), (following, 1)):
        if other is None:
            continue
        if days:
            check_day(other)
            _require_neighbour(day, other, days)
        second = other["second"].values
        elevation = other["elevation"].values
        kept = elevation > 0
        if days < 0:
            kept &= second >= SECONDS_PER_DAY - near
        elif days > 0:
            kept &= second <= near
        parts.append(
            (
                other["satellite"].values[kept].astype(np.int64),
                second[kept] + days * SECONDS_PER_DAY,
                elevation[kept],
                other["azimuth"].values[kept],
                np.array([other[band].values[kept] for band in BANDS]),
            )
        )
    return tuple(np.concatenate(some, axis=-1) for some in zip(*parts, strict=True))


def _require_neighbour(day: xr.Dataset, other: xr.Dataset, days: int) -> None:
    """Raise unless the other day is of this station and lies beside this one."""
    wanted = date_of(day) + datetime.timedelta(days=days)
    if date_of(other) != wanted or other.attrs["station"] != day.attrs["station"]:
        raise InputError(
            f"the day {'after' if days > 0 else 'before'} {day.attrs['date']} of "
            f"{day.attrs['station']} is {wanted}, got {other.attrs['date']} of "
            f"{other.attrs['station']}"
        )


def _waves(satellites: np.ndarray, settings: Settings, day: xr.Dataset) -> np.ndarray:
    """Return wavelengths (signal, satellite), m: zero where it does not send."""
    date, channels = date_of(day), channels_of(day)
    semicodeless = second_band(day, "second_band_semicodeless")
    waves = np.zeros((len(settings.signals), 400))
    for place, code in enumerate(settings.signals):
        for number in map(int, satellites):
            told = sends(number, code, date)
            if number in semicodeless and code in (2, 20):
                told = code == 2
            if told:
                length = wavelength(number, code, channels)
                waves[place, number] = np.nan if length is None else length
        if settings.peak == "grid" and code in _PEER_CARRIERS:
            waves[place, waves[place] > 0] = SPEED_OF_LIGHT / _PEER_CARRIERS[code]
    return waves


@njit(cache=True, nogil=True)
def _segments(satellite, second, elevation):  # pragma: no cover - compiled
    """Return beginnings and ends of passes, shape (pass, 2).

    Whether a satellite turns is told from three samples, also where the third comes
    hours later: the last sample of a pass then stands alone. gnssrefl does the same.
    """
    n = satellite.size
    bounds = np.empty((n, 2), np.int64)
    count, start = 0, 0
    for i in range(n):
        ends = i == n - 1 or satellite[i + 1] != satellite[i]
        if not ends:
            ends = second[i + 1] - second[i] > LONGEST_GAP
        if not ends and i + 2 < n and satellite[i + 2] == satellite[i]:
            now = np.sign(elevation[i + 1] - elevation[i])
            ends = now != np.sign(elevation[i + 2] - elevation[i + 1])
        if ends:
            bounds[count, 0] = start
            bounds[count, 1] = i + 1
            count += 1
            start = i + 1
    return bounds[:count].copy()


@njit(cache=True, nogil=True)
def _residuals(
    bounds, satellite, second, elevation, azimuth, ratios, waves, bands,
    low, high, order, decibel,
):  # fmt: skip  # pragma: no cover - compiled
    """Return arcs, where their samples begin, the samples' places and residuals."""
    most = 0
    for s in range(bounds.shape[0]):
        for b in range(bands.size):
            if waves[b, satellite[bounds[s, 0]]] != 0.0:
                most += bounds[s, 1] - bounds[s, 0]
    rows = np.empty((bounds.shape[0] * bands.size, 5))
    starts = np.zeros(rows.shape[0] + 1, np.int64)
    places = np.empty(most, np.int64)
    values = np.empty(most)
    z, y, at = np.empty(most), np.empty(most), np.empty(most, np.int64)
    count, filled = 0, 0
    for s in range(bounds.shape[0]):
        first, last = bounds[s, 0], bounds[s, 1]
        for b in range(bands.size):
            wave = waves[b, satellite[first]]
            if wave == 0.0:
                continue
            n = 0
            for i in range(first, last):
                ratio = ratios[bands[b], i]
                if ratio > _LOWEST_RATIO:
                    z[n], at[n] = elevation[i], i
                    y[n] = ratio if decibel else 10.0 ** (ratio / 20.0)
                    n += 1
            if n == 0:
                continue
            rows[count, 0], rows[count, 1], rows[count, 2] = satellite[first], b, 0.0
            rows[count, 3], rows[count, 4] = second[first], second[last - 1]
            good = last - first >= FEWEST_OF_SATELLITE and n > FEWEST_OF_SIGNAL
            if good and not np.isnan(wave) and detrend(z[:n], y[:n], order):
                begin = filled
                for i in range(n):
                    if low < elevation[at[i]] <= high:
                        places[filled], values[filled] = at[i], y[i]
                        filled += 1
                if filled - begin >= FEWEST_BETWEEN:
                    rows[count, 2] = 1.0
                else:
                    filled = begin
            count += 1
            starts[count] = filled
    return (
        rows[:count].copy(),
        starts[: count + 1].copy(),
        places[:filled].copy(),
        values[:filled].copy(),
    )


@njit(cache=True, nogil=True)
def detrend(z, y, order):  # pragma: no cover - compiled
    """Subtract a polynomial in z from y, in place.

    The polynomials are Legendre's on the range of z, whose equations are well posed.

    Parameters
    ----------
    z, y : numpy.ndarray, shape (sample)
        Elevation and ratio.
    order : int
        Of the polynomial.

    Returns
    -------
    bool
        False where z takes too few values; then y is as it was.
    """
    n, m = z.size, order + 1
    low, high = z.min(), z.max()
    if high <= low:
        return False
    basis = np.empty((m, n))
    for i in range(n):
        u = 2.0 * (z[i] - low) / (high - low) - 1.0
        basis[0, i] = 1.0
        if m > 1:
            basis[1, i] = u
        for k in range(2, m):
            basis[k, i] = (
                (2 * k - 1) * u * basis[k - 1, i] - (k - 1) * basis[k - 2, i]
            ) / k
    normal, right = np.empty((m, m)), np.empty(m)
    for j in range(m):
        right[j] = np.dot(basis[j], y)
        for k in range(j + 1):
            normal[j, k] = np.dot(basis[j], basis[k])
    # Cholesky: the lower triangle becomes its own root.
    for j in range(m):
        for k in range(j + 1):
            total = normal[j, k]
            for i in range(k):
                total -= normal[j, i] * normal[k, i]
            if j > k:
                normal[j, k] = total / normal[k, k]
            elif total <= 1e-9 * n:
                return False
            else:
                normal[j, j] = np.sqrt(total)
    for j in range(m):
        for k in range(j):
            right[j] -= normal[j, k] * right[k]
        right[j] /= normal[j, j]
    for j in range(m - 1, -1, -1):
        for k in range(j + 1, m):
            right[j] -= normal[k, j] * right[k]
        right[j] /= normal[j, j]
    for k in range(m):
        for i in range(n):
            y[i] -= right[k] * basis[k, i]
    return True
