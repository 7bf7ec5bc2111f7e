"""Below, near, above normal: edges from other years, and what falls between them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.s2s.climatology import pooled_rows
from tilth.forcing.s2s.training import StartGroups, start_groups

__all__ = [
    "CATEGORIES",
    "QUANTILE_RULES",
    "TERCILES",
    "group_quantiles",
    "tercile_edges",
]

#: Names along ``category``.
CATEGORIES = ("below normal", "near normal", "above normal")

#: Probabilities of the edges.
TERCILES = (1 / 3, 2 / 3)

#: Rule -> its two plotting constants (Hyndman & Fan 1996, eq. 2, their alpha, beta).
QUANTILE_RULES = {
    "linear": (1.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
}

#: Parts of a rank: what is nearer to a whole rank than this is that rank.
_ROUNDING = 1e-9

#: Values below which there are no terciles.
_FEWEST = 3


def tercile_edges(
    data: xr.DataArray,
    target: xr.DataArray | None = None,
    *,
    window: float | None = None,
    leave_out: str = "year",
    member_dim: str | None = None,
    rule: str = "linear",
) -> xr.DataArray:
    r"""Return the terciles of the starts of other years, lead by lead.

    The quantile p of n sorted values lies at the rank

    .. math:: h = \alpha + p\,(n + 1 - \alpha - \beta),

    linear between two ranks. With the rule ``"linear"`` (:math:`\alpha=\beta=1`, the
    default of NumPy and of the challenge) an edge is one of the values itself where
    (n - 1) / 3 is a whole number (n = 4, 7, 10, 22), and the three categories are
    then not equally full. A value on an edge belongs to the category above it
    (`tilth.stats.scores.category_probabilities`).

    Parameters
    ----------
    data : xarray.DataArray
        Observations laid out by `align_observations`, or hindcasts, along ``start``
        and any others, in memory or on Dask.
    target : xarray.DataArray, dimension (start), optional
        Starts to give them for; those of `data` by default.
    window, leave_out : optional
        As in `start_groups`; ``leave_out="none"`` has the target in its own edges,
        and the skill that comes of it is not that of a forecast.
    member_dim : str, optional
        Dimension pooled with the starts: the model's own edges, which take its bias
        and its spread out of the probabilities.
    rule : {"linear", "hazen", "weibull", "median_unbiased"}
        Quantile rule.

    Returns
    -------
    xarray.DataArray
        With the last dimensions ``start`` and ``edge`` (1/3, 2/3); NaN where fewer
        than three values are known. Attributes say rule, side and training.

    Raises
    ------
    InputError
        If the rule is another one, or nothing is left for a target.

    References
    ----------
    Hyndman & Fan (1996), Am. Stat. 50, 361-365.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> dates = np.array([f"200{k}-01-05" for k in range(1, 8)], "datetime64[ns]")
    >>> data = xr.DataArray(np.arange(7.0), {"start": dates})
    >>> tercile_edges(data, leave_out="none").values[0]
    array([2., 4.])
    """
    if rule not in QUANTILE_RULES:
        raise InputError(
            f"no quantile rule {rule!r}; there are {', '.join(QUANTILE_RULES)}"
        )
    rows, starts = pooled_rows(data, member_dim)
    aim = starts if target is None else target
    groups = start_groups(starts, aim, window=window, leave_out=leave_out)
    edges = apply_kernel(
        _edges,
        rows,
        core_dims=[("training start", "pooled member")],
        output_dims=[("start", "edge")],
        output_sizes={"start": aim.size, "edge": len(TERCILES)},
        options={"groups": groups, "constants": QUANTILE_RULES[rule]},
    )
    named = edges.assign_coords(start=aim.values, edge=list(TERCILES))
    return named.rename(data.name).assign_attrs(
        data.attrs,
        quantile_rule=rule,
        edge_belongs_to="the category above it",
        climatology=groups.description,
    )


def _edges(
    values: np.ndarray, *, groups: StartGroups, constants: tuple[float, float]
) -> np.ndarray:
    """Return the terciles of every target's training values; loop axes first."""
    loop = values.shape[:-2]
    rows = values.reshape(-1, *values.shape[-2:]).astype(float)
    found = group_quantiles(
        rows, groups.offsets, groups.members, np.array(TERCILES), *constants
    )
    return found[:, groups.group].reshape(*loop, groups.group.size, len(TERCILES))


def group_quantiles(
    values: np.ndarray,
    offsets: np.ndarray,
    members: np.ndarray,
    probabilities: np.ndarray,
    alpha: float,
    beta: float,
) -> np.ndarray:
    """Return the quantiles of the numbers of each set of starts, row by row.

    Parameters
    ----------
    values : numpy.ndarray, shape (rows, starts, pooled)
        NaN where missing.
    offsets, members : numpy.ndarray
        Of `StartGroups`.
    probabilities : numpy.ndarray, shape (p,)
        Of the quantiles.
    alpha, beta : float
        Plotting constants, as in `QUANTILE_RULES`.

    Returns
    -------
    numpy.ndarray, shape (rows, groups, p)
        NaN where a set has fewer than three numbers.
    """
    known = np.where(np.isfinite(values), values, np.nan)
    out = np.empty((values.shape[0], offsets.size - 1, probabilities.size))
    for g in range(offsets.size - 1):
        chosen = known[:, members[offsets[g] : offsets[g + 1]]]
        # NumPy's own sort is several times faster than a compiled one; NaN goes last.
        ordered = np.sort(chosen.reshape(values.shape[0], -1), axis=-1)
        out[:, g] = _quantiles(ordered, probabilities, alpha, beta)
    return out


def _quantiles(
    ordered: np.ndarray, probabilities: np.ndarray, alpha: float, beta: float
) -> np.ndarray:
    """Return quantiles of sorted rows, NaN last; shape (rows, p)."""
    n = ordered.shape[-1] - np.isnan(ordered).sum(axis=-1, keepdims=True)
    rank = alpha + probabilities * (n + 1.0 - alpha - beta) - 1.0
    # (n - 1) / 3 must give the value itself, not one part in 1e16 less.
    whole = np.round(rank)
    rank = np.where(np.abs(rank - whole) < _ROUNDING, whole, rank)
    rank = np.clip(rank, 0.0, np.maximum(n - 1.0, 0.0))
    low = rank.astype(int)
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    below, above = (np.take_along_axis(ordered, at, axis=-1) for at in (low, high))
    return np.where(n < _FEWEST, np.nan, below + (rank - low) * (above - below))
