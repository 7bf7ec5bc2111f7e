r"""MIDAS: velocity as the median of slopes over one year.

Pairs of epochs one year apart have the same season: each gives a slope that steps,
seasons and outliers can spoil only where they fall between or on the two. The median
over all pairs is the velocity. Slopes farther from it than two robust standard
deviations, :math:`\sigma = 1.4826\,\mathrm{MAD}`, are dropped, median and deviation are
taken again, and

.. math:: s = 3 \cdot 1.2533 \, \frac{\sigma}{\sqrt{N / 4}}

is the standard error: 1.2533 makes that of a median from that of a mean, an epoch is in
four of N pairs at most, and three is what correlated noise asks for (Blewitt et al.
2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.positions.series import (
    COMPONENTS,
    POSITION_LIMIT,
    decimal_year,
    usable,
)

#: Two epochs are a year apart if they are to within this, yr.
TOLERANCE = 0.001

#: Standard errors beyond these are no measurements, m.
HORIZONTAL_LIMIT, VERTICAL_LIMIT = 0.03, 0.1

#: Slopes are trimmed this many robust standard deviations from the median.
_TRIM = 2.0

#: Standard deviation of a normal distribution over its median absolute deviation.
_MAD_TO_SIGMA = 1.4826

#: Standard error of a median over that of a mean, sqrt(pi / 2).
_MEDIAN_TO_MEAN = 1.2533

#: Pairs an epoch is in, at most; and the factor that correlated noise asks for.
_PAIRS_PER_EPOCH, _CORRELATED = 4.0, 3.0

#: Decimal years have this many digits in the files of NGL.
_DIGITS = 4


@dataclass(frozen=True)
class MidasVelocity:
    """Velocity of one component.

    Parameters
    ----------
    velocity, se : float
        Median slope and its standard error, in units of position per year.
    spread : float
        Robust standard deviation of the slopes that are left.
    pairs, kept : int
        Pairs of epochs, and those left after trimming.
    """

    velocity: float
    se: float
    spread: float
    pairs: int
    kept: int

    @property
    def trimmed(self) -> float:
        """Share of the slopes that were dropped."""
        return 1.0 - self.kept / self.pairs


def midas_pairs(
    years: np.ndarray, steps: Sequence[float] | np.ndarray = ()
) -> np.ndarray:
    """Pair epochs that are a year apart, as near as there are, across no step.

    Forward in time, an epoch is paired with the one a year later; where there is none,
    with the next one after it that has not been a partner yet. The same is done
    backward. Pairs across a step are left out.

    Parameters
    ----------
    years : array_like, shape (epoch,)
        Decimal years, increasing.
    steps : sequence of float
        Decimal years of steps, in any order.

    Returns
    -------
    numpy.ndarray of int, shape (pair, 2)
        Positions of the earlier and the later epoch: those found forward, then those
        found backward.

    Raises
    ------
    InputError
        If the years do not increase or a step is not a number.

    Examples
    --------
    >>> midas_pairs([2000.0, 2000.5, 2001.0, 2001.6]).tolist()
    [[0, 2], [1, 3], [1, 3], [0, 2]]
    """
    times = np.ascontiguousarray(years, float)
    if times.ndim != 1 or not np.all(np.diff(times) > 0):
        raise InputError(
            "MIDAS needs epochs in one dimension that increase and are finite: sort "
            "them and drop repeated ones"
        )
    at = np.sort(np.asarray(steps, float).ravel())
    if not np.isfinite(at).all():
        raise InputError(f"steps need decimal years, got {list(steps)}")
    if times.size < 2:
        return np.empty((0, 2), np.int64)
    forward = _forward_pairs(times, at, TOLERANCE)
    backward = _forward_pairs(-times[::-1], -at[::-1], TOLERANCE)
    return np.concatenate([forward, (times.size - 1 - backward)[:, ::-1]])


@numba.njit(cache=True)
def _forward_pairs(times, steps, tolerance):
    """Return the pairs found forward in time."""
    count = times.size
    pairs = np.empty((count, 2), np.int64)
    found, partner, step, ahead = 0, 0, 0, 0
    for i in range(count):
        if times[i] > times[count - 1] + tolerance - 1.0:
            break
        while step < steps.size and times[i] >= steps[step] + tolerance:
            step += 1
        bounded = step < steps.size
        if bounded and times[i] > steps[step] + tolerance - 1.0:
            continue
        last = steps[step] - tolerance if bounded else np.inf
        # Epochs before the first that is a year later only push the partner along.
        ahead = max(ahead, i + 1)
        while ahead < count and times[ahead] - times[i] - 1.0 < -tolerance:
            ahead += 1
        for j in range(ahead, count):
            if times[j] > last:
                break
            partner = max(partner, j)
            if times[j] - times[i] - 1.0 < tolerance:
                pairs[found, 0], pairs[found, 1] = i, j
                found += 1
                break
            if times[partner] > last:
                partner = 0
                continue
            pairs[found, 0], pairs[found, 1] = i, partner
            found += 1
            partner += 1
            if partner == count:
                partner = 0
            break
    return pairs[:found]


def median_slope(slopes: np.ndarray) -> MidasVelocity:
    """Return the trimmed median of slopes with its standard error.

    Parameters
    ----------
    slopes : array_like, shape (pair,)
        Units of position per year.

    Returns
    -------
    MidasVelocity

    Raises
    ------
    InputError
        If there are none.
    """
    given = np.asarray(slopes, float)
    if not given.size:
        raise InputError(
            "no two epochs are a year apart without a step between them: MIDAS needs "
            "more than a year of positions"
        )
    middle, sigma = _median_and_spread(given)
    # With no spread at all, as in a series without noise, every slope stays.
    kept = given[np.abs(given - middle) < _TRIM * sigma] if sigma > 0 else given
    middle, sigma = _median_and_spread(kept)
    se = _CORRELATED * _MEDIAN_TO_MEAN * sigma
    se /= np.sqrt(kept.size / _PAIRS_PER_EPOCH)
    return MidasVelocity(middle, float(se), sigma, given.size, kept.size)


def _median_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the robust standard deviation."""
    middle = float(np.median(values))
    return middle, float(_MAD_TO_SIGMA * np.median(np.abs(values - middle)))


def midas(
    years: np.ndarray,
    positions: np.ndarray,
    steps: Sequence[float] | np.ndarray = (),
) -> list[MidasVelocity]:
    """Return the MIDAS velocity of each component of a series.

    Parameters
    ----------
    years : array_like, shape (epoch,)
        Decimal years, increasing.
    positions : array_like, shape (epoch,) or (epoch, component)
        In any unit of length; NaN is missing in all components of the epoch.
    steps : sequence of float
        Decimal years of steps.

    Returns
    -------
    list of MidasVelocity
        One per component, in the unit of the positions per year.

    Raises
    ------
    InputError
        If shapes do not fit, years do not increase or no pair is left.

    References
    ----------
    Blewitt, Kreemer, Hammond & Gazeaux (2016), J. Geophys. Res. 121, 2054-2068.
    """
    times = np.asarray(years, float)
    values = np.asarray(positions, float)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != times.size:
        raise InputError(
            f"{times.size} epochs need positions of as many rows, got the shape "
            f"{values.shape}"
        )
    there = np.isfinite(values).all(axis=1) & np.isfinite(times)
    times, values = times[there], values[there]
    first, second = midas_pairs(times, steps).T
    slopes = (values[second] - values[first]) / (times[second] - times[first])[:, None]
    return [median_slope(column) for column in slopes.T]


def usable_epochs(positions: xr.Dataset) -> np.ndarray:
    """Return which epochs MIDAS takes: near the reference and well determined.

    Parameters
    ----------
    positions : xarray.Dataset
        As `tilth.gnss.positions.position_series` returns them.

    Returns
    -------
    numpy.ndarray of bool, shape (time,)
        Those within 99.9 m of the reference and with standard errors of at most
        0.03 m (east, north) and 0.1 m (up), as in the original program.
    """
    good = np.ones(positions.sizes["time"], bool)
    for name in COMPONENTS:
        good &= np.abs(positions[name].values) <= POSITION_LIMIT
        se = f"{name}_se"
        if se in positions:
            limit = VERTICAL_LIMIT if name == "up" else HORIZONTAL_LIMIT
            good &= ~(positions[se].values > limit)
    return good


def step_years(steps: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Return dates of steps as decimal years of those days' noons, as NGL prints them.

    Parameters
    ----------
    steps : sequence of datetime64, or of float
        Dates; decimal years stay as they are.

    Returns
    -------
    numpy.ndarray of float, shape (step,)
        Of four digits, sorted.

    Raises
    ------
    InputError
        If they are neither.

    Examples
    --------
    >>> step_years([np.datetime64("2015-07-27")]).tolist()
    [2015.5674]
    """
    try:
        given = np.asarray(steps)
        if given.dtype.kind == "M":
            noon = given.astype("datetime64[D]") + np.timedelta64(12, "h")
            given = np.round(decimal_year(noon), _DIGITS)
        return np.sort(given.astype(float).ravel())
    except (TypeError, ValueError) as error:
        raise InputError(
            f"steps need dates (datetime64) or decimal years, got {steps}"
        ) from error


def midas_velocity(
    positions: xr.Dataset, steps: Sequence[Any] | np.ndarray = ()
) -> xr.Dataset:
    """Return the MIDAS velocity of a station.

    Parameters
    ----------
    positions : xarray.Dataset
        As `tilth.gnss.positions.position_series` returns them, in m. Rows that are
        flagged, and those that the method does not take, are left out.
    steps : sequence of datetime64, or of float
        Dates, or decimal years, of steps.

    Returns
    -------
    xarray.Dataset
        Along ``component``: ``velocity``, ``velocity_se`` and ``slope_spread`` in
        m yr-1, ``trimmed`` the share of slopes dropped; attributes ``epochs`` and
        ``pairs``.

    Raises
    ------
    InputError
        If fewer than two epochs are usable or no pair is left.
    """
    rows = usable(positions)
    good = usable_epochs(rows)
    if good.sum() < 2:
        raise InputError(
            f"{int(good.sum())} of {good.size} epochs can be used: positions beyond "
            f"{POSITION_LIMIT} m or with standard errors above {HORIZONTAL_LIMIT} m "
            f"({VERTICAL_LIMIT} m for up) are no measurements; check the units"
        )
    rows = rows.isel(time=good)
    # What is a year apart depends on the four digits that the files print.
    there = "decimal_year" in rows.coords
    years = rows["decimal_year"].values if there else decimal_year(rows["time"].values)
    columns = np.column_stack([rows[name].values for name in COMPONENTS])
    found = midas(np.round(years, _DIGITS), columns, step_years(steps))
    rate = {"units": "m yr-1"}
    return xr.Dataset(
        {
            "velocity": ("component", [v.velocity for v in found], rate),
            "velocity_se": ("component", [v.se for v in found], rate),
            "slope_spread": ("component", [v.spread for v in found], rate),
            "trimmed": ("component", [v.trimmed for v in found], {"units": "1"}),
        },
        {"component": list(COMPONENTS)},
        {
            "method": "MIDAS (Blewitt et al. 2016)",
            "epochs": int(good.sum()),
            "pairs": found[0].pairs,
            "station": positions.attrs.get("station", ""),
        },
    )
