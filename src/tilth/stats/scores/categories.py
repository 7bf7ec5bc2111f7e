"""Scores of forecasts in ordered classes: ranked probabilities and their skill."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import xarray as xr
from numba import njit

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.stats.scores.skill import check_dims, check_members, mean_pair

#: How far the probabilities of a forecast may add up to another number than one: sums
#: of single-precision shares stay within it, percentages do not.
SUM_TOLERANCE = 1e-4


def category_probabilities(
    ensemble: xr.DataArray,
    edges: xr.DataArray,
    *,
    member_dim: str = "member",
    edge_dim: str = "edge",
    category_dim: str = "category",
) -> xr.DataArray:
    """Share of the members in each class between edges.

    A value on an edge belongs to the class above it: with the edges e1 and e2, below is
    x < e1, near e1 <= x < e2 and above x >= e2.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Values of the members along `member_dim`. Members that are missing do not count.
    edges : xarray.DataArray
        Rising edges along `edge_dim` in the ensemble's units, K - 1 for K classes; it
        may have any of the other dimensions. Edges of the model's own climate make the
        shares calibrated in the mean; those of the observations do not.
    member_dim, edge_dim, category_dim : str, optional
        Names of the dimensions.

    Returns
    -------
    xarray.DataArray
        Shares that add up to one, with `category_dim` last in the place of
        `member_dim`; class 0 is the lowest. NaN where an edge or every member is
        missing.

    Raises
    ------
    InputError
        If a dimension is missing or the coordinates differ.
    KernelError
        If edges fall.

    Examples
    --------
    >>> import xarray as xr
    >>> members = xr.DataArray([0.0, 1.0, 2.5, 9.0], dims="member")
    >>> edges = xr.DataArray([1.0, 3.0], dims="edge")
    >>> category_probabilities(members, edges).values
    array([0.25, 0.5 , 0.25])
    """
    return apply_kernel(
        _shares,
        ensemble,
        edges,
        core_dims=[[member_dim], [edge_dim]],
        output_dims=[[category_dim]],
        output_sizes={category_dim: _size(edges, edge_dim, "edges") + 1},
    ).rename("probability")


def observed_category(
    observed: xr.DataArray, edges: xr.DataArray, *, edge_dim: str = "edge"
) -> xr.DataArray:
    """Class in which a value falls, by the rule of `category_probabilities`.

    Parameters
    ----------
    observed : xarray.DataArray
        Values.
    edges : xarray.DataArray
        Rising edges along `edge_dim`, in the same units.
    edge_dim : str, optional
        Name of the dimension.

    Returns
    -------
    xarray.DataArray
        0 for the lowest class; NaN where the value or an edge is missing. Comparing a
        missing value with an edge gives False, hence a class: this does not.

    Raises
    ------
    InputError
        If the dimension is missing or the coordinates differ.
    KernelError
        If edges fall.

    Examples
    --------
    >>> import xarray as xr
    >>> values = xr.DataArray([0.0, 1.0, float("nan")], dims="time")
    >>> observed_category(values, xr.DataArray([1.0, 3.0], dims="edge")).values
    array([ 0.,  1., nan])
    """
    return apply_kernel(_category, observed, edges, core_dims=[[], [edge_dim]]).rename(
        "category"
    )


def rps(
    probabilities: xr.DataArray,
    observed: xr.DataArray,
    *,
    category_dim: str = "category",
    members: int | None = None,
) -> xr.DataArray:
    r"""Ranked probability score of forecasts in K ordered classes.

    .. math:: \mathrm{RPS} = \sum_{k=1}^{K} (P_k - O_k)^2

    with the cumulative probabilities forecast :math:`P_k` and observed :math:`O_k`
    (0 or 1), not divided by K - 1. A forecast of thirds has 5/9, 2/9, 5/9 in three
    classes.

    Parameters
    ----------
    probabilities : xarray.DataArray
        Along `category_dim`, adding up to one; it may lack dimensions that `observed`
        has, as a climatology does.
    observed : xarray.DataArray
        Class that was observed, 0 for the lowest, as `observed_category` gives; or,
        with the dimension `category_dim`, one in the place of that class and zero
        elsewhere. All zero is nothing observed.
    category_dim : str, optional
        Name of the dimension of the classes.
    members : int, optional
        Where the probabilities are shares of so many members: give the fair score,
        :math:`\mathrm{RPS} - \sum_k P_k (1 - P_k) / (M - 1)`, whose mean is that of an
        ensemble without end (Ferro 2014). It can be negative for one case.

    Returns
    -------
    xarray.DataArray
        0 is perfect, K - 1 the worst; NaN where the observation or any probability is
        missing. A sum that skips what is missing would give numbers there.

    Raises
    ------
    InputError
        If a dimension is missing, coordinates differ or there is one member.
    KernelError
        If probabilities do not add up to one or a class does not exist.

    References
    ----------
    Epstein (1969), J. Appl. Meteorol. 8, 985-987. Murphy (1971), J. Appl. Meteorol. 10,
    155-156. Ferro (2014), Q. J. R. Meteorol. Soc. 140, 1917-1923.

    Examples
    --------
    >>> import xarray as xr
    >>> thirds = xr.DataArray([1 / 3] * 3, dims="category")
    >>> rps(thirds, xr.DataArray([0.0, 1.0], dims="time")).round(3).values
    array([0.556, 0.222])
    """
    check_members(members)
    _size(probabilities, category_dim, "probabilities")
    if category_dim in observed.dims:
        try:
            xr.align(probabilities, observed, join="exact", copy=False)
        except ValueError as error:
            raise InputError(
                "the forecast and the observation are of different cases or name the "
                f"classes along {category_dim!r} differently: reindex one to the other"
            ) from error
        observed = apply_kernel(
            _category_of_indicator, observed, core_dims=[[category_dim]]
        )
    return apply_kernel(
        _rps,
        probabilities,
        observed,
        core_dims=[[category_dim], []],
        options={"members": members or 0},
    ).rename("rps")


def rpss(
    forecast: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: str | Iterable[Hashable] | None = None,
    weights: xr.DataArray | None = None,
    members: int | None = None,
    categories: int | Sequence[float] = 3,
) -> xr.Dataset:
    r"""Ranked probability skill, with what the size of the ensemble costs beside it.

    .. math::

        \mathrm{RPSS} = 1 - \overline{\mathrm{RPS}} / \overline{\mathrm{RPS}_c} ,
        \qquad
        \mathrm{RPSS}_D = 1 - \overline{\mathrm{RPS}} /
        (\overline{\mathrm{RPS}_c} + D)

    Members drawn from the climate itself have the RPSS :math:`-D / \mathrm{RPS}_c`, not
    zero: see `ensemble_penalty`.

    Parameters
    ----------
    forecast, reference : xarray.DataArray
        Their ranked probability scores, case by case, as `rps` gives, not the fair
        ones. A case where either is missing is left out of both means.
    dim : str or sequence of str, optional
        What to average over before the ratio is taken; by default everything.
    weights : xarray.DataArray, optional
        Weight of a case, such as the cosine of the latitude.
    members : int, optional
        How many members the shares of the forecast are of.
    categories : int or sequence of float, default 3
        Number of equally likely classes, or their climatological probabilities.

    Returns
    -------
    xarray.Dataset
        ``rpss``; ``rpss_d`` and ``members``, NaN where no members were given;
        ``cases``, how many were averaged; the two means ``rps`` and ``rps_reference``.

    Raises
    ------
    InputError
        If a dimension does not exist, the cases differ, or `members` or `categories`
        mean nothing.

    References
    ----------
    Müller, Appenzeller, Doblas-Reyes & Liniger (2005), J. Climate 18, 1513-1523.
    Weigel, Liniger & Appenzeller (2007), Mon. Weather Rev. 135, 118-124, eq. 16.

    Examples
    --------
    >>> import xarray as xr
    >>> ours, climate = (xr.DataArray(x, dims="t") for x in ([0.3, 0.4], [0.5, 0.5]))
    >>> found = rpss(ours, climate, members=9)
    >>> round(float(found.rpss), 3), round(float(found.rpss_d), 3)
    (0.3, 0.363)
    """
    penalty = np.nan if members is None else ensemble_penalty(members, categories)
    mean, reference_mean = mean_pair(forecast, reference, dim=dim, weights=weights)
    both = forecast.notnull() & reference.notnull()
    divisor = reference_mean.where(reference_mean > 0.0)
    return xr.Dataset(
        {
            "rpss": 1.0 - mean / divisor,
            "rpss_d": 1.0 - mean / (divisor + penalty),
            "members": np.nan if members is None else float(members),
            "cases": both.sum(check_dims(both, dim)),
            "rps": mean,
            "rps_reference": reference_mean,
        }
    )


def ensemble_penalty(members: int, categories: int | Sequence[float] = 3) -> float:
    r"""RPS that a reliable ensemble without skill has above that of its climate.

    .. math:: D = \frac{1}{M} \sum_{k=1}^{K-1} C_k (1 - C_k)

    with the cumulative climatological probabilities :math:`C_k`; for K equally likely
    classes :math:`(K^2 - 1) / (6 K M)`, for three 4/(9 M).

    Parameters
    ----------
    members : int
        M, at least one.
    categories : int or sequence of float, default 3
        Number of equally likely classes, or their probabilities.

    Returns
    -------
    float
        D, a number without a unit.

    Raises
    ------
    InputError
        If there is no member, there are fewer than two classes, or probabilities do not
        add up to one.

    References
    ----------
    Weigel, Liniger & Appenzeller (2007), Mon. Weather Rev. 135, 118-124, eq. 14.

    Examples
    --------
    >>> round(ensemble_penalty(9), 5), round(ensemble_penalty(51), 4)
    (0.04938, 0.0087)
    """
    if members < 1:
        raise InputError(f"an ensemble has at least one member, got {members}")
    if isinstance(categories, (int, np.integer)):
        classes = np.full(max(categories, 0), 1.0 / max(categories, 1))
    else:
        classes = np.asarray(categories, float)
    if classes.size < 2 or (classes < 0).any() or abs(classes.sum() - 1.0) > 1e-6:
        raise InputError(
            "categories are two or more equally likely classes (a number) or "
            f"probabilities that add up to one, got {categories}"
        )
    below = np.cumsum(classes)[:-1]
    return float((below * (1.0 - below)).sum() / members)


def _size(array: xr.DataArray, dim: str, what: str) -> int:
    if dim not in array.dims:
        raise InputError(
            f"the {what} have no dimension {dim!r}; they have "
            f"{', '.join(map(str, array.dims)) or 'none'}"
        )
    return array.sizes[dim]


def _rows(array: np.ndarray) -> np.ndarray:
    """Return an array of rows of its last axis."""
    return np.ascontiguousarray(array, float).reshape(-1, array.shape[-1])


def _shares(ensemble: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Kernel of `category_probabilities`."""
    _check_edges(edges)
    found = _count_rows(_rows(ensemble), _rows(edges))
    return found.reshape((*ensemble.shape[:-1], edges.shape[-1] + 1))


def _category(observed: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Kernel of `observed_category`."""
    _check_edges(edges)
    below = observed[..., None] >= edges
    known = np.isfinite(observed) & np.isfinite(edges).all(axis=-1)
    return np.where(known, below.sum(axis=-1), np.nan)


def _check_edges(edges: np.ndarray) -> None:
    falls = np.diff(edges, axis=-1) < 0
    if falls.any():
        first = edges[falls.any(axis=-1)][0]
        raise InputError(f"edges must rise along their dimension, got {first}")


def _category_of_indicator(indicator: np.ndarray) -> np.ndarray:
    """Position of the one in each row; NaN where there is none or any is missing."""
    values = np.asarray(indicator, float)
    total = values.sum(axis=-1)
    known = np.isfinite(total) & (total != 0.0)
    single = ((values == 0.0) | (values == 1.0)).all(axis=-1) & (total == 1.0)
    if (known & ~single).any():
        first = values[known & ~single][0]
        raise InputError(
            "an observation is one in the place of one class and zero elsewhere, got "
            f"{first}"
        )
    return np.where(known, values.argmax(axis=-1), np.nan)


def _rps(
    probabilities: np.ndarray, observed: np.ndarray, *, members: int
) -> np.ndarray:
    """Kernel of `rps`."""
    rows, classes = _rows(probabilities), np.ascontiguousarray(observed, float).ravel()
    found, wrong = _rps_rows(rows, classes, members, SUM_TOLERANCE)
    if wrong >= 0:
        raise InputError(
            f"probabilities {rows[wrong]} with the class {classes[wrong]:g} observed: "
            "probabilities are shares between 0 and 1 (not percent) that add up to "
            f"one, and a class is a whole number from 0 to {rows.shape[-1] - 1}"
        )
    return found.reshape(observed.shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_rows(ensemble, edges):  # pragma: no cover - compiled
    """Shares of the members of each row between its edges."""
    n, size = ensemble.shape
    last = edges.shape[1]
    shares = np.zeros((n, last + 1))
    for i in range(n):
        present = 0
        for j in range(size):
            value = ensemble[i, j]
            if np.isnan(value):
                continue
            k = 0
            while k < last and value >= edges[i, k]:
                k += 1
            shares[i, k] += 1.0
            present += 1
        known = present > 0
        for k in range(last):
            known = known and not np.isnan(edges[i, k])
        for k in range(last + 1):
            shares[i, k] = shares[i, k] / present if known else np.nan
    return shares


@njit(cache=True, nogil=True, error_model="numpy")
def _rps_rows(p, observed, members, tolerance):  # pragma: no cover - compiled
    """Scores of rows of probabilities, and a row that is wrong, or -1."""
    n, size = p.shape
    scores = np.full(n, np.nan)
    wrong = -1
    for i in range(n):
        total, worst = 0.0, 0.0
        for k in range(size):
            total += p[i, k]
            worst = min(worst, p[i, k])
        if np.isnan(total):
            continue
        if abs(total - 1.0) > tolerance or worst < -tolerance:
            wrong = i
            continue
        seen = observed[i]
        if np.isnan(seen):
            continue
        if seen < 0 or seen > size - 1 or seen != np.floor(seen):
            wrong = i
            continue
        below, score = 0.0, 0.0
        for k in range(size - 1):
            below += p[i, k]
            score += (below - (1.0 if k >= seen else 0.0)) ** 2
            if members > 1:
                score -= below * (1.0 - below) / (members - 1)
        scores[i] = score
    return scores, wrong
