"""Is the spread of an ensemble right: ranks of what came, spread against error."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr
from scipy import special

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.stats.scores.skill import check_dims

#: Increments and multipliers of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def observed_rank(
    ensemble: xr.DataArray,
    observed: xr.DataArray,
    *,
    member_dim: str = "member",
    seed: int = 0,
) -> xr.DataArray:
    """Rank of the observation among the members, ties broken at random.

    Where t members are equal to the observation, as dry ones are on a dry day, its rank
    is drawn from the t + 1 places among them. Counting them all below or above would
    make a calibrated ensemble of rainfall look biased. The draw belongs to the case's
    own place in the whole array, so that chunks and the order of the dimensions change
    nothing.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Values of the members along `member_dim`.
    observed : xarray.DataArray
        Same units; it must share the coordinates.
    member_dim : str, optional
        Name of the dimension of the members.
    seed : int, optional
        Of the draws.

    Returns
    -------
    xarray.DataArray
        0, below all of the M members, to M, above all; -1 where the observation or any
        member is missing: ranks among fewer members are not comparable.

    Raises
    ------
    InputError
        If a dimension is missing or coordinates differ.

    Examples
    --------
    >>> import xarray as xr
    >>> members = xr.DataArray([3.0, 1.0, 2.0], dims="member")
    >>> int(observed_rank(members, xr.DataArray(2.5)))
    2
    """
    sizes = {**observed.sizes, **ensemble.sizes}
    loop = {str(dim): n for dim, n in sizes.items() if dim != member_dim}
    strides, places, step = [], [], 1
    for dim in sorted(loop):
        places.append(xr.DataArray(np.arange(loop[dim]), dims=dim))
        strides.append(step)
        step *= loop[dim]
    return apply_kernel(
        _ranks,
        ensemble,
        observed,
        *places,
        core_dims=[[member_dim], [], *([] for _ in places)],
        output_dtypes=(np.int32,),
        options={"strides": tuple(strides), "seed": seed},
    ).rename("rank")


def rank_histogram(
    ensemble: xr.DataArray,
    observed: xr.DataArray,
    *,
    member_dim: str = "member",
    dim: str | Iterable[Hashable] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Count how often the observation has each rank among the members.

    Flat for a calibrated ensemble; a U where its spread is too small, a hill where it
    is too large, a slope where it is biased. Flatness is needed, not enough: biases of
    opposite sign cancel.

    Parameters
    ----------
    ensemble, observed, member_dim, seed
        As in `observed_rank`.
    dim : str or sequence of str, optional
        What to count over; by default everything.

    Returns
    -------
    xarray.Dataset
        ``count`` along ``rank``, 0 to M; ``left_out``, cases where the observation or
        a member is missing; the seed is an attribute.

    Raises
    ------
    InputError
        If a dimension is missing or coordinates differ.

    References
    ----------
    Hamill (2001), Mon. Weather Rev. 129, 550-560.

    Examples
    --------
    >>> import xarray as xr
    >>> members = xr.DataArray([[1.0, 2.0], [1.0, 2.0]], dims=("day", "member"))
    >>> seen = xr.DataArray([0.0, 3.0], dims="day")
    >>> rank_histogram(members, seen)["count"].values
    array([1, 0, 1])
    """
    ranks = observed_rank(ensemble, observed, member_dim=member_dim, seed=seed)
    dims = check_dims(ranks, dim)
    places = np.arange(ensemble.sizes[member_dim] + 1)
    counts = xr.concat(
        [(ranks == place).sum(dims) for place in places],
        dim=xr.IndexVariable("rank", places),
    )
    return xr.Dataset(
        {
            "count": counts.transpose(..., "rank"),
            "left_out": (ranks < 0).sum(dims),
        },
        attrs={"seed": seed},
    )


def rank_flatness(counts: xr.DataArray, *, rank_dim: str = "rank") -> xr.Dataset:
    r"""How far a rank histogram is from flat.

    .. math:: \chi^2 = \sum_k (n_k - e)^2 / e , \qquad e = N / (M + 1)

    and :math:`\delta = \chi^2 / M`, the distance over that of a calibrated ensemble
    (Candille & Talagrand 2005): about 1 when calibrated, whatever N.

    Parameters
    ----------
    counts : xarray.DataArray
        As `rank_histogram` gives.
    rank_dim : str, optional
        Name of the dimension of the ranks.

    Returns
    -------
    xarray.Dataset
        ``chi_squared``, ``p_value`` (of a flat histogram, M degrees of freedom) and
        ``delta``; NaN where nothing was counted. The p-value takes the cases as
        independent: neighbouring days and cells are not, and it is then too small.

    Raises
    ------
    InputError
        If there are fewer than two ranks.

    References
    ----------
    Candille & Talagrand (2005), Q. J. R. Meteorol. Soc. 131, 2131-2150, eq. 13.

    Examples
    --------
    >>> import xarray as xr
    >>> found = rank_flatness(xr.DataArray([30, 10, 20], dims="rank"))
    >>> float(found.chi_squared), float(found.delta)
    (10.0, 5.0)
    """
    size = counts.sizes.get(rank_dim, 0)
    if size < 2:
        raise InputError(
            f"a rank histogram has two ranks or more along {rank_dim!r}, got {size}"
        )
    total = counts.sum(rank_dim)
    expected = (total / size).where(total > 0)
    distance = ((counts - expected) ** 2).sum(rank_dim, skipna=False) / expected
    p_value = apply_kernel(
        _chi_squared_tail, distance, core_dims=[[]], options={"freedom": size - 1}
    )
    return xr.Dataset(
        {
            "chi_squared": distance,
            "p_value": p_value,
            "delta": distance / (size - 1),
        }
    )


def spread_error(
    ensemble: xr.DataArray,
    observed: xr.DataArray,
    *,
    member_dim: str = "member",
    dim: str | Iterable[Hashable] | None = None,
    weights: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Spread of an ensemble against the error of its mean.

    .. math::

        \mathrm{spread}^2 = \overline{\frac{M + 1}{M} s^2} , \qquad
        \mathrm{error}^2 = \overline{(\bar x - y)^2}

    with the variance :math:`s^2` of the members (M - 1 in its divisor). The factor is
    for the mean of M members being itself uncertain: with it, a calibrated ensemble of
    any size has the ratio 1. The mean of the variances is taken, not that of the
    standard deviations, which is smaller (Fortin et al. 2014).

    Parameters
    ----------
    ensemble : xarray.DataArray
        Values of the members along `member_dim`; members that are missing do not count.
    observed : xarray.DataArray
        Same units; it must share the coordinates.
    member_dim : str, optional
        Name of the dimension of the members.
    dim : str or sequence of str, optional
        What to average over; by default everything.
    weights : xarray.DataArray, optional
        Weight of a case, such as the cosine of the latitude.

    Returns
    -------
    xarray.Dataset
        ``spread`` and ``error`` in the units of the ensemble, ``ratio`` of spread over
        error (below 1: too confident), ``cases``. A bias is part of the error. Cases
        with fewer than two members or no observation are left out.

    Raises
    ------
    InputError
        If a dimension does not exist or the cases differ.

    References
    ----------
    Fortin, Abaza, Anctil & Turcotte (2014), J. Hydrometeorol. 15, 1708-1713, eq. 15.

    Examples
    --------
    >>> import xarray as xr
    >>> members = xr.DataArray([[1.0, 3.0], [2.0, 4.0]], dims=("day", "member"))
    >>> found = spread_error(members, xr.DataArray([4.0, 1.0], dims="day"))
    >>> round(float(found.spread), 3), float(found.error)
    (1.732, 2.0)
    """
    try:
        ensemble, observed = xr.align(ensemble, observed, join="exact", copy=False)
    except ValueError as error:
        raise InputError(
            "the ensemble and the observations are of different cases: reindex one to "
            "the other first, so that no case is lost unseen"
        ) from error
    check_dims(ensemble, member_dim)
    count = ensemble.count(member_dim)
    squared_error = (ensemble.mean(member_dim) - observed) ** 2
    variance = ensemble.var(member_dim, ddof=1) * (count + 1) / count.where(count > 1)
    known = squared_error.notnull() & variance.notnull()
    dims = check_dims(known, dim)
    parts = [part.where(known) for part in (variance, squared_error)]
    if weights is not None:
        means = [part.weighted(weights).mean(dims) for part in parts]
    else:
        means = [part.mean(dims) for part in parts]
    spread, size = (mean**0.5 for mean in means)
    return xr.Dataset(
        {
            "spread": spread,
            "error": size,
            "ratio": spread / size.where(size > 0),
            "cases": known.sum(dims),
        }
    )


def _chi_squared_tail(value: np.ndarray, *, freedom: int) -> np.ndarray:
    return special.chdtrc(freedom, value)


def _ranks(
    ensemble: np.ndarray,
    observed: np.ndarray,
    *places: np.ndarray,
    strides: tuple[int, ...],
    seed: int,
) -> np.ndarray:
    """Kernel of `observed_rank`."""
    seen = observed[..., None]
    below = (ensemble < seen).sum(axis=-1)
    ties = (ensemble == seen).sum(axis=-1)
    where = np.zeros(observed.shape, np.uint64)
    for place, stride in zip(places, strides, strict=True):
        where += place.astype(np.uint64) * np.uint64(stride)
    ranks = below + np.floor(_uniform(where, seed) * (ties + 1)).astype(int)
    known = np.isfinite(ensemble).all(axis=-1) & np.isfinite(observed)
    return np.where(known, ranks, -1)


def _uniform(place: np.ndarray, seed: int) -> np.ndarray:
    """Return a number in [0, 1) per place: SplitMix64 of the place, seeded."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is meant
        start = _scrambled(np.asarray(seed % 2**64, np.uint64) + _GOLDEN)
        bits = _scrambled(start + (place + np.uint64(1)) * _GOLDEN)
    return (bits >> np.uint64(11)) * 2.0**-53


def _scrambled(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[1]
    return bits ^ (bits >> np.uint64(31))
