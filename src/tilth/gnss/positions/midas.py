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

import numba
import numpy as np
import xarray as xr

from tilth.core.errors import InputError

#: Two epochs are a year apart if they are to within this, yr.
TOLERANCE = 0.001

#: Positions and standard errors beyond these are no measurements, m.
POSITION_LIMIT, HORIZONTAL_LIMIT, VERTICAL_LIMIT = 99.9, 0.03, 0.1

#: Slopes are trimmed this many robust standard deviations from the median.
_TRIM = 2.0

#: Standard deviation of a normal distribution over its median absolute deviation.
_MAD_TO_SIGMA = 1.4826

#: Standard error of a median over that of a mean, sqrt(pi / 2).
_MEDIAN_TO_MEAN = 1.2533

#: Pairs an epoch is in, at most; and the factor that correlated noise asks for.
_PAIRS_PER_EPOCH, _CORRELATED = 4.0, 3.0

_COMPONENTS = ("east", "north", "up")


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


def midas_pairs(years: np.ndarray, steps: Sequence[float] = ()) -> np.ndarray:
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
    years: np.ndarray, positions: np.ndarray, steps: Sequence[float] = ()
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
    """Return which epochs MIDAS takes: finite, near the reference, well determined.

    Parameters
    ----------
    positions : xarray.Dataset
        Daily positions with ``east``, ``north``, ``up`` and, where known, their
        standard errors ``east_se``, ``north_se``, ``up_se``, all in m.

    Returns
    -------
    numpy.ndarray of bool, shape (time,)
    """
    good = np.ones(positions.sizes["time"], bool)
    for name in _COMPONENTS:
        good &= np.abs(positions[name].values) <= POSITION_LIMIT
        se = f"{name}_se"
        if se in positions:
            limit = VERTICAL_LIMIT if name == "up" else HORIZONTAL_LIMIT
            good &= ~(positions[se].values > limit)
    return good


def printed_years(time: np.ndarray) -> np.ndarray:
    r"""Return the decimal years that NGL prints for days: four digits.

    .. math:: 2000 + (\mathrm{MJD} - 51544) / 365.25

    with MJD the day's number. Whether two epochs are "a year apart" depends on the
    rounding.

    Parameters
    ----------
    time : array_like of datetime64, shape (epoch,)
        Any moment of the days.

    Returns
    -------
    numpy.ndarray of float, shape (epoch,)

    Examples
    --------
    >>> printed_years(np.array(["2014-04-02T12:00"], "datetime64[ns]"))
    array([2014.2505])
    """
    days = np.asarray(time).astype("datetime64[D]") - np.datetime64("2000-01-01", "D")
    return np.round(2000.0 + days.astype(float) / 365.25, 4)


def midas_velocity(
    positions: xr.Dataset, steps: Sequence[float] | np.ndarray = ()
) -> xr.Dataset:
    """Return the MIDAS velocity of a station.

    Parameters
    ----------
    positions : xarray.Dataset
        Daily positions along ``time``: ``east``, ``north``, ``up``, with standard
        errors where known, in m.
    steps : sequence of float or of datetime64
        Decimal years or dates of steps.

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
    good = usable_epochs(positions)
    if good.sum() < 2:
        raise InputError(
            f"{int(good.sum())} of {good.size} epochs are usable: positions beyond "
            f"{POSITION_LIMIT} m or with standard errors above {HORIZONTAL_LIMIT} m "
            f"({VERTICAL_LIMIT} m for up) are no measurements; check the units"
        )
    years = printed_years(positions["time"].values[good])
    at = np.asarray(steps)
    if at.dtype.kind == "M":
        at = printed_years(at)
    columns = np.column_stack([positions[name].values[good] for name in _COMPONENTS])
    found = midas(years, columns, list(at))
    rate = {"units": "m yr-1"}
    return xr.Dataset(
        {
            "velocity": ("component", [v.velocity for v in found], rate),
            "velocity_se": ("component", [v.se for v in found], rate),
            "slope_spread": ("component", [v.spread for v in found], rate),
            "trimmed": ("component", [v.trimmed for v in found], {"units": "1"}),
        },
        {"component": list(_COMPONENTS)},
        {
            "method": "MIDAS (Blewitt et al. 2016)",
            "epochs": int(good.sum()),
            "pairs": found[0].pairs,
            "station": positions.attrs.get("station", ""),
        },
    )
