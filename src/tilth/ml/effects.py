"""Accumulated local effects: what a feature does to predictions, others being alike.

Unlike partial dependence it never asks the model about rows that cannot be, such as a
warm leaf in cold air: differences are taken within a bin, from the rows that lie in it
(Apley & Zhu 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.ml.learners import Learner, check_table, fresh

__all__ = [
    "Effect",
    "EffectSurface",
    "accumulated_effect",
    "accumulated_surface",
    "refit_band",
]


@dataclass(frozen=True)
class Effect:
    """The effect of one feature on predictions, at the edges of its bins.

    Parameters
    ----------
    edges : numpy.ndarray, shape (k + 1)
        Values of the feature.
    effect : numpy.ndarray, shape (k + 1)
        Centred: its mean over the rows is zero. In units of the prediction.
    rows : numpy.ndarray of int, shape (k)
        Number of rows in each bin.
    step_se : numpy.ndarray, shape (k)
        Standard error of the mean difference across each bin, of a given model; what
        another sample would teach the model is left to `refit_band`.
    low, high : numpy.ndarray, shape (k + 1), or None
        Ends of the band of `refit_band`.
    """

    edges: np.ndarray
    effect: np.ndarray
    rows: np.ndarray
    step_se: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __call__(self, values: npt.ArrayLike) -> np.ndarray:
        """Return the effect between the edges, and that of the ends beyond them."""
        return np.interp(np.asarray(values, float), self.edges, self.effect)


@dataclass(frozen=True)
class EffectSurface:
    """The joint effect of two features beyond the sum of their own effects.

    Parameters
    ----------
    edges : (numpy.ndarray, numpy.ndarray)
        Values of the two features.
    effect : numpy.ndarray, shape (k + 1, m + 1)
        In units of the prediction; its mean over the rows is zero.
    rows : numpy.ndarray of int, shape (k, m)
        Number of rows in each cell.
    """

    edges: tuple[np.ndarray, np.ndarray]
    effect: np.ndarray
    rows: np.ndarray


def accumulated_effect(
    predict: Callable[[np.ndarray], Any],
    features: npt.ArrayLike,
    column: int,
    *,
    bins: int = 20,
    edges: npt.ArrayLike | None = None,
) -> Effect:
    r"""Accumulate the local effect of one feature.

    With edges :math:`z_0 \dots z_K`,

    .. math::

        g_k = g_{k-1} + \frac{1}{n_k} \sum_{i:\, z_{k-1} < x_{ij} \le z_k}
        f(z_k, x_{i,-j}) - f(z_{k-1}, x_{i,-j}),

    less the mean :math:`\sum_k n_k (g_{k-1} + g_k) / 2n`. Two predictions per row.

    Parameters
    ----------
    predict : callable
        Rows (n, p) -> predictions (n).
    features : array_like, shape (n, p)
        Rows to average over.
    column : int
        The feature.
    bins : int, default 20
        Number of bins with equal numbers of rows; fewer where values repeat.
    edges : array_like, optional
        Edges to use instead; rows beyond them are left out.

    Returns
    -------
    Effect
        At the edges.

    Raises
    ------
    InputError
        If the feature has one value only.

    References
    ----------
    Apley & Zhu (2020), J. R. Stat. Soc. B 82, 1059-1086, eq. 15-16.
    """
    x, _ = check_table(features)
    limits = _edges(x[:, column], bins, edges, column)
    place, inside = _bin_of(x[:, column], limits)
    x, place = x[inside], place[inside]
    low, high = x.copy(), x.copy()
    low[:, column], high[:, column] = limits[place], limits[place + 1]
    both = np.ravel(predict(np.concatenate([low, high])))
    change = both[len(x) :] - both[: len(x)]
    count = np.bincount(place, minlength=limits.size - 1)
    filled = np.maximum(count, 1)
    step = np.bincount(place, change, minlength=count.size) / filled
    square = np.bincount(place, (change - step[place]) ** 2, minlength=count.size)
    spread = np.where(count > 1, square / np.maximum(count - 1, 1), np.nan)
    accumulated = np.concatenate([[0.0], np.cumsum(step)])
    mean = np.sum(count * (accumulated[:-1] + accumulated[1:]) / 2) / count.sum()
    return Effect(limits, accumulated - mean, count, np.sqrt(spread / filled))


def accumulated_surface(
    predict: Callable[[np.ndarray], Any],
    features: npt.ArrayLike,
    columns: tuple[int, int],
    *,
    bins: int = 10,
    edges: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    fill: bool = True,
) -> EffectSurface:
    """Accumulate the local interaction of two features.

    Second differences of the prediction over each cell of the two features, averaged
    over the rows in it, summed along both, less the first-order effects that this
    surface has itself, centred (Apley & Zhu 2020, eq. 17-20). Four predictions per
    row. Zero where the two do not interact.

    Parameters
    ----------
    predict : callable
        Rows (n, p) -> predictions (n).
    features : array_like, shape (n, p)
        Rows to average over.
    columns : (int, int)
        The two features.
    bins : int, default 10
        Number of bins of each.
    edges : (array_like, array_like), optional
        Edges to use instead.
    fill : bool, default True
        Whether a cell without rows takes the difference of the nearest cell that has
        some (distance in ranks). Otherwise its corners become NaN in the result, and
        it counts as zero.

    Returns
    -------
    EffectSurface
        At the corners of the cells.
    """
    x, _ = check_table(features)
    if columns[0] == columns[1]:
        raise InputError(f"a surface needs two features, got column {columns[0]} twice")
    given = (None, None) if edges is None else edges
    limits = [_edges(x[:, c], bins, e, c) for c, e in zip(columns, given, strict=True)]
    found = [_bin_of(x[:, c], z) for c, z in zip(columns, limits, strict=True)]
    inside = found[0][1] & found[1][1]
    x, i, j = x[inside], found[0][0][inside], found[1][0][inside]
    corners = []
    for a, b in ((1, 1), (0, 1), (1, 0), (0, 0)):
        rows = x.copy()
        rows[:, columns[0]] = limits[0][i + a]
        rows[:, columns[1]] = limits[1][j + b]
        corners.append(rows)
    f11, f01, f10, f00 = np.ravel(predict(np.concatenate(corners))).reshape(4, len(x))
    shape = (limits[0].size - 1, limits[1].size - 1)
    cell = np.ravel_multi_index((i, j), shape)
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    change = (f11 - f01) - (f10 - f00)
    total = np.bincount(cell, change, minlength=count.size).reshape(shape)
    mean = total / np.maximum(count, 1)
    if fill and not count.all():
        mean = _nearest(mean, count)
    surface = np.zeros((shape[0] + 1, shape[1] + 1))
    surface[1:, 1:] = mean.cumsum(axis=0).cumsum(axis=1)
    surface = surface - _own_effect(surface, count, 0) - _own_effect(surface, count, 1)
    middle = surface[1:, 1:] + surface[:-1, 1:] + surface[1:, :-1] + surface[:-1, :-1]
    surface -= np.sum(count * middle) / 4 / count.sum()
    if not fill:
        surface[_bare_corners(count)] = np.nan
    return EffectSurface((limits[0], limits[1]), surface, count)


def refit_band(
    learner: Learner,
    features: npt.ArrayLike,
    target: npt.ArrayLike,
    column: int,
    *,
    bins: int = 20,
    refits: int = 100,
    confidence: float = 0.95,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Effect:
    """Accumulate a feature's effect with a band from models of resampled rows.

    A band from the scatter within bins knows nothing of the model's own uncertainty.
    Here the learner is fitted anew to bootstrap samples, and each fit's effect is
    taken at the same edges.

    Parameters
    ----------
    learner : Learner
        Fitted anew, from its settings.
    features : array_like, shape (n, p)
        Rows.
    target : array_like, shape (n)
        What is learnt.
    column : int
        The feature.
    bins : int, default 20
        Number of bins.
    refits : int, default 100
        Number of bootstrap samples.
    confidence : float, default 0.95
        Of the pointwise band between percentiles.
    groups : array_like, shape (n), optional
        Whole groups are drawn, such as days or plants: rows of one group are no
        independent evidence.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    Effect
        That of the learner on all rows, with ``low`` and ``high``.
    """
    x, y = check_table(features, target)
    limits = _edges(x[:, column], bins, None, column)
    whole = accumulated_effect(
        fresh(learner).fit(x, y).predict, x, column, edges=limits
    )
    label = (
        np.arange(y.size)
        if groups is None
        else np.unique(np.asarray(groups), return_inverse=True)[1]
    )
    members = [np.flatnonzero(label == k) for k in range(label.max() + 1)]
    if len(members) < 2:
        raise InputError("there is one group only: nothing to resample")
    rng = np.random.default_rng(seed)
    curves = np.empty((refits, limits.size))
    for k in range(refits):
        drawn = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[d] for d in drawn])
        fitted = fresh(learner).fit(x[rows], y[rows])
        curves[k] = accumulated_effect(fitted.predict, x, column, edges=limits).effect
    tail = (1 - confidence) / 2
    low, high = np.quantile(curves, [tail, 1 - tail], axis=0)
    return Effect(limits, whole.effect, whole.rows, whole.step_se, low, high)


def _edges(
    values: np.ndarray, bins: int, given: npt.ArrayLike | None, column: int
) -> np.ndarray:
    """Return the edges of bins: values of the rows, each once."""
    if given is not None:
        limits = np.asarray(given, float)
        if limits.ndim != 1 or limits.size < 2 or not (np.diff(limits) > 0).all():
            raise InputError(f"edges must increase, and be two at least: {limits}")
        return limits
    if bins < 1:
        raise InputError(f"at least one bin is needed, got {bins}")
    shares = np.linspace(0.0, 1.0, bins + 1)
    limits = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    if limits.size < 2:
        raise InputError(
            f"column {column} has the value {values[0]:g} in every row: a feature that "
            "does not vary has no effect to show"
        )
    return limits


def _bin_of(values: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's bin (open below, closed above), and whether it is in one."""
    place = np.searchsorted(limits, values, side="left") - 1
    place[values == limits[0]] = 0  # the lowest value belongs to the first bin
    inside = (values >= limits[0]) & (values <= limits[-1])
    return np.clip(place, 0, limits.size - 2), inside


def _own_effect(surface: np.ndarray, count: np.ndarray, axis: int) -> np.ndarray:
    """Return the first-order effect that a surface has along one axis."""
    if axis == 1:
        return _own_effect(surface.T, count.T, 0).T
    steps = np.diff(surface, axis=0)
    rows = np.maximum(count.sum(axis=1), 1)
    mean = np.sum(count * (steps[:, 1:] + steps[:, :-1]) / 2, axis=1) / rows
    return np.concatenate([[0.0], np.cumsum(mean)])[:, None]


def _nearest(mean: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Give cells without rows the value of the nearest one that has some."""
    from scipy.spatial import KDTree

    # Bins hold equal numbers of rows: steps in bins, scaled, are steps in ranks.
    place = np.argwhere(np.ones_like(count)) / np.array(count.shape)
    filled = count.ravel() > 0
    _, at = KDTree(place[filled]).query(place)
    return mean.ravel()[filled][at].reshape(mean.shape)


def _bare_corners(count: np.ndarray) -> np.ndarray:
    """Return the corners that touch no cell with rows."""
    touched = np.zeros((count.shape[0] + 1, count.shape[1] + 1), bool)
    for a in (slice(None, -1), slice(1, None)):
        for b in (slice(None, -1), slice(1, None)):
            touched[a, b] |= count > 0
    return ~touched
