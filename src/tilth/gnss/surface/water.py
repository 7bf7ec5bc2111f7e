"""Level of a lake or the sea, by arcs during which the water moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import linalg, sparse
from scipy.interpolate import BSpline

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables

#: Reasons to leave an arc out of the level.
WATER = FlagTable(
    {
        "not_accepted": "the arc's height was not accepted",
        "outlier": "the height is far from the level of the other arcs",
    }
)

#: Residuals beyond this many robust standard deviations are left out.
_LIMIT = 4.0

#: Fits until no arc is left out any more, at most.
_ROUNDS = 10

#: Weight of the smoothness that holds the curve where no arc is, over that of an arc.
_STIFFNESS = 1e-4

#: Values of the curve whose errors are found at once.
_TOGETHER = 1000


def water_level(
    arcs: xr.Dataset,
    *,
    knots: float = 3.0,
    interval: float = 1.0,
    antenna: float | None = None,
) -> xr.Dataset:
    r"""Level of water that moves while a satellite rises or sets.

    A water surface that moves changes the frequency that the height is taken from: the
    height of an arc is

    .. math:: H_i = h(t_i) + \dot e_i\, \frac{dh}{dt}(t_i), \qquad
       \dot e = \frac{\tan e}{de/dt} .

    The curve h is a cubic spline; its coefficients enter both terms linearly, so that
    curve and correction come out of one least-squares fit, and no first guess of the
    tide is needed.

    Parameters
    ----------
    arcs : xarray.Dataset
        Along ``arc``: ``time``, ``reflector_height`` (m), ``edot_factor`` (h) and, if
        known, ``quality_flag``, of which only zero is used.
    knots : float
        Hours between the knots: three follow a tide; a lake without tides needs a day
        or more.
    interval : float
        Hours between the values of the curve that are returned.
    antenna : float, optional
        Height of the antenna above the datum, m; the level is then above it. Without
        it the level is minus the height of the antenna above the water.

    Returns
    -------
    xarray.Dataset
        Along ``arc``: ``time_of_arc``, ``corrected_height``, ``correction`` (m, added
        to the height), ``quality_flag``. Along ``time``: ``water_level`` and
        ``water_level_se`` (m), NaN where no arc lies within one distance of knots.

    Raises
    ------
    InputError
        If there are too few arcs, or distances are not positive.

    References
    ----------
    Larson, Ray, Nievinski & Freymueller (2013), IEEE Geosci. Remote Sens. Lett. 10,
    1200-1204 (the rate's effect). Larson, Ray & Williams (2017), J. Atmos. Oceanic
    Technol. 34, 295-307.
    """
    names = ("time", "reflector_height", "edot_factor")
    require_variables(arcs, names, "arcs over water")
    if not (knots > 0 and interval > 0):
        raise InputError(
            f"knots every {knots} h and values every {interval} h: both are positive"
        )
    stamps = pd.DatetimeIndex(arcs["time"].values)
    height = arcs["reflector_height"].values.astype(float)
    factor = arcs["edot_factor"].values.astype(float)
    known = np.isfinite(height) & np.isfinite(factor)
    if "quality_flag" in arcs:
        known &= arcs["quality_flag"].values == 0
    if known.sum() < 8:
        raise InputError(
            f"{known.sum()} accepted arcs: a water level needs eight or more"
        )
    begin = stamps[known].min().floor("h")
    hours = (stamps - begin) / pd.Timedelta("1h")
    hours = hours.to_numpy()
    last = hours[known].max()
    # Even knots, three beyond either end: the penalty then leaves straight lines alone.
    ends = knots * np.arange(-3.0, np.ceil(last / knots) + 4.0)
    design, slope = _splines(ends, np.clip(hours, 0.0, last))
    rows = (design + sparse.diags_array(factor) @ slope).tocsr()
    used = known.copy()
    for _ in range(_ROUNDS):
        fit = _fit(rows[used], height[used])
        residual = height - rows @ fit[0]
        scale = 1.4826 * np.median(np.abs(residual[used]))
        kept = known & (np.abs(residual) <= max(_LIMIT * scale, 1e-9))
        if (kept == used).all():
            break
        used = kept
    coefficients, factorised = fit
    variance = (residual[used] ** 2).sum() / max(used.sum() - coefficients.size, 1)
    grid = np.arange(0.0, last + 1e-9, interval)
    curve, _ = _splines(ends, grid)
    se = np.sqrt(variance * _variances(curve, factorised))
    near = _nearest(grid, np.sort(hours[used])) <= knots
    zero = 0.0 if antenna is None else antenna
    correction = -factor * (slope @ coefficients)
    flag = WATER.variable(
        {"not_accepted": ~known, "outlier": known & ~used}, known.shape
    )
    metres = {"units": "m"}
    time = (begin + pd.to_timedelta(grid, "h")).to_numpy()
    return xr.Dataset(
        {
            "time_of_arc": ("arc", arcs["time"].values),
            "corrected_height": ("arc", height + correction, metres),
            "correction": ("arc", correction, metres),
            "quality_flag": ("arc", flag, WATER.attrs()),
            "water_level": (
                "time",
                np.where(near, zero - curve @ coefficients, np.nan),
                metres,
            ),
            "water_level_se": ("time", np.where(near, se, np.nan), metres),
        },
        {"time": time},
        {"datum": "the antenna" if antenna is None else "that of its height"},
    )


def _splines(ends: np.ndarray, at: np.ndarray) -> tuple[Any, Any]:
    """Return cubic splines and their slopes per hour, shape (time, spline), sparse."""
    cubic = BSpline.design_matrix(at, ends, 3)
    square = BSpline.design_matrix(at, ends[1:-1], 2)
    size = ends.size - 4
    rise = sparse.diags_array([-np.ones(size - 1), np.ones(size - 1)], offsets=[0, 1],
                              shape=(size - 1, size))  # fmt: skip
    scale = sparse.diags_array(3.0 / (ends[4:-1] - ends[1:-4]))
    return cubic, square @ scale @ rise


def _fit(rows: Any, values: np.ndarray) -> tuple[np.ndarray, tuple]:
    """Return coefficients and the factorised normal matrix, which is banded."""
    size = rows.shape[1]
    bend = sparse.diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2],
                              shape=(size - 2, size))  # fmt: skip
    normal = (rows.T @ rows + _STIFFNESS * bend.T @ bend).todia()
    banded = np.zeros((4, size))
    for k in range(4):
        banded[3 - k, k:] = normal.diagonal(k)
    factorised = (linalg.cholesky_banded(banded), False)
    return linalg.cho_solve_banded(factorised, rows.T @ values), factorised


def _variances(curve: Any, factorised: tuple) -> np.ndarray:
    """Return the variance of each value of the curve for arcs of variance one."""
    found = []
    for first in range(0, curve.shape[0], _TOGETHER):
        part = curve[first : first + _TOGETHER].toarray()
        solved = linalg.cho_solve_banded(factorised, part.T)
        found.append(np.einsum("ij,ji->i", part, solved))
    return np.concatenate(found)


def _nearest(at: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return how far the nearest of the ordered values is from each place."""
    right = np.searchsorted(ordered, at).clip(1, ordered.size - 1)
    return np.minimum(np.abs(at - ordered[right - 1]), np.abs(at - ordered[right]))
