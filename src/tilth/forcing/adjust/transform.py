"""CDF-t: the observed distribution, transformed as the model's changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.adjuster import Kind, Method
from tilth.forcing.adjust.draws import (
    MODELLED,
    OBSERVED,
    TARGET,
    cell_identities,
    uniform_draws,
)
from tilth.forcing.adjust.groups import Grouping, TimeGroups, as_grouping, group_times
from tilth.forcing.adjust.quantiles import (
    by_batches,
    correction,
    factors_by_rank,
    finite_rows,
    group_quantiles,
    group_ranks,
    node_probabilities,
)
from tilth.forcing.adjust.tables import (
    TRAINING_DIMS,
    label_groups,
    require_trained,
    split_times,
)


@dataclass(frozen=True)
class CDFt(Method):
    r"""CDF-transform, with stochastic zeros for what is often exactly zero.

    The transformation that takes the modelled distribution of the training period to
    the observed one is applied to the modelled distribution of the target period:

    .. math:: G(x) = F_o(F_h^{-1}(F_s(x))), \qquad s' = G^{-1}(F_s(s))
              = F_s^{-1}(F_h(F_o^{-1}(F_s(s)))) .

    Modelled values are first shifted (or scaled) by the bias of the mean in training,
    for :math:`F_h` says nothing of observed values beyond its range; what still lies
    beyond gets the simulated change of the outermost quantile. Both are done at
    `quantiles` nodes, between which the correction is linear in probability.

    Stochastic singularity removal (Vrac et al. 2016): zeros are replaced by numbers
    drawn evenly between zero and the smallest positive value of the training period,
    and what comes out below that value is zero again; so the number of dry days is
    transformed like any other quantile.

    Parameters
    ----------
    kind : {"+", "*"}
        Whether the mean bias is a difference or a ratio.
    quantiles : int
        Number of nodes.
    group : {"none", "month"} or DayWindow
        Days that share a distribution.
    stochastic_zeros : bool, optional
        Whether zeros are made stochastic; by default they are, for ratios, and for
        differences they never are.
    ratio_cap : float
        Largest ratio, of means and of quantiles.
    seed : int
        Of the numbers in place of zeros, which depend on it and on the place.

    Raises
    ------
    InputError
        If the number of nodes is below two, or zeros are stochastic with differences.

    References
    ----------
    Michelangeli, Vrac & Loukos (2009), Geophysical Research Letters 36, L11708;
    Vrac, Noel & Vautard (2016), J. Geophysical Research 121, 5237-5258.
    """

    kind: Kind = "+"
    quantiles: int = 100
    group: Grouping = "none"
    stochastic_zeros: bool | None = None
    ratio_cap: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        if self.stochastic_zeros is None:
            object.__setattr__(self, "stochastic_zeros", self.kind == "*")
        if self.quantiles < 2:
            raise InputError(f"quantiles must be 2 or more, got {self.quantiles}")
        if self.stochastic_zeros and self.kind == "+":
            raise InputError(
                "stochastic_zeros are for ratios (kind='*'), whose zero means nothing "
                "fell: leave them out with kind='+'"
            )

    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return the quantiles of both in every group of days."""
        arrays, groups = split_times(observed, modelled, self.group)
        nodes = apply_kernel(
            _train_kernel,
            *arrays,
            cell_identities(modelled),
            core_dims=[*TRAINING_DIMS, ()],
            output_dims=[("group", "quantile"), ("group", "quantile"), ()],
            output_dtypes=(float, float, float),
            output_sizes={
                "group": len(groups[0].labels),
                "quantile": self.quantiles,
            },
            options={
                "groups": groups,
                "ratio": self.kind == "*",
                "seed": self.seed if self.stochastic_zeros else None,
                "n": self.quantiles,
            },
        )
        names = ("observed_quantiles", "modelled_quantiles", "smallest")
        table = xr.Dataset(dict(zip(names, nodes, strict=True)))
        return label_groups(table, groups).assign_coords(
            quantile=node_probabilities(self.quantiles)
        )

    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the transformed target."""
        groups = group_times(target["time"], self.group)
        require_trained(table, groups)
        return apply_kernel(
            _adjust_kernel,
            target,
            table["observed_quantiles"],
            table["modelled_quantiles"],
            table["smallest"],
            cell_identities(target),
            core_dims=[("time",), *([("group", "quantile")] * 2), (), ()],
            output_dims=[("time",)],
            options={
                "groups": groups,
                "kind": self.kind,
                "cap": self.ratio_cap,
                "seed": self.seed if self.stochastic_zeros else None,
            },
        )


def smallest_positive(*rows: np.ndarray) -> np.ndarray:
    """Return the smallest value above zero of several series of each place.

    Parameters
    ----------
    *rows : numpy.ndarray, shape (rows, time)
        NaN where missing; times may differ.

    Returns
    -------
    numpy.ndarray, shape (rows,)
        Zero where nothing is positive.
    """
    found = np.full(len(rows[0]), np.inf)
    for values in rows:
        positive = np.where(values > 0.0, values, np.inf)
        found = np.minimum(found, positive.min(axis=-1, initial=np.inf))
    return np.where(np.isfinite(found), found, 0.0)


def scatter_zeros(
    rows: np.ndarray, below: np.ndarray, cells: np.ndarray, seed: int, purpose: int
) -> np.ndarray:
    """Replace values below a threshold by random numbers, evenly from 0 up to it.

    Parameters
    ----------
    rows : numpy.ndarray, shape (rows, time)
        Series; NaN stays.
    below : numpy.ndarray, shape (rows,)
        The threshold of each row.
    cells : numpy.ndarray of uint64, shape (rows,)
        Identities of the places.
    seed, purpose : int
        Of the draws, see `tilth.forcing.adjust.draws`.

    Returns
    -------
    numpy.ndarray
        Same shape.
    """
    draws = 1.0 - uniform_draws(seed, cells, rows.shape[-1], purpose)  # never zero
    return np.where(rows < below[:, None], draws * below[:, None], rows)


def transformed_nodes(
    observed: np.ndarray,
    modelled: np.ndarray,
    target: np.ndarray,
    kind: str,
    cap: float,
    smallest: float = 0.0,
) -> np.ndarray:
    """Return what takes the quantiles of a target to those of its CDF-transform.

    Parameters
    ----------
    observed, modelled, target : numpy.ndarray, shape (nodes,)
        Quantiles at `node_probabilities`, rising, without gaps.
    kind : {"+", "*"}
        Difference, or ratio.
    cap : float
        Largest ratio.
    smallest : float
        Of ratios, below which values stand for zero and are not scaled.

    Returns
    -------
    numpy.ndarray, shape (nodes,)
        Differences or ratios, mean bias included.
    """
    p = node_probabilities(observed.size)
    mean = [np.array(x.mean()) for x in (observed, modelled)]
    bias = float(correction(mean[0], mean[1], kind, cap))
    if kind == "+":
        h, s = modelled + bias, target + bias
    else:
        # Zero has no bias: what stands for it must stay below the smallest value.
        h, s = (
            np.where(x < smallest, x, np.maximum(x * bias, smallest))
            for x in (modelled, target)
        )
    result = np.interp(np.interp(observed, h, p), p, s)
    for beyond, end in ((observed < h[0], 0), (observed > h[-1], -1)):
        change = float(correction(s[end], h[end], kind, cap))
        moved = observed + change if kind == "+" else observed * change
        result = np.where(beyond, moved, result)
    return correction(result, target, kind, cap)


def _train_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    cells: np.ndarray,
    groups: tuple[TimeGroups, TimeGroups],
    ratio: bool,
    seed: int | None,
    n: int,
) -> tuple[np.ndarray, ...]:
    """Return quantiles of both, shape (..., groups, nodes), and smallest values."""
    p = node_probabilities(n)

    def work(
        observed: np.ndarray, modelled: np.ndarray, cells: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        o, h = finite_rows(observed, ratio), finite_rows(modelled, ratio)
        smallest = np.zeros(len(o))
        if seed is not None:
            smallest = smallest_positive(o, h)
            o = scatter_zeros(o, smallest, cells, seed, OBSERVED)
            h = scatter_zeros(h, smallest, cells, seed, MODELLED)
        return (
            group_quantiles(o, groups[0], p),
            group_quantiles(h, groups[1], p),
            smallest,
        )

    return by_batches(work, cells.shape, observed, modelled, cells)


def _adjust_kernel(
    target: np.ndarray,
    observed: np.ndarray,
    modelled: np.ndarray,
    smallest: np.ndarray,
    cells: np.ndarray,
    groups: TimeGroups,
    kind: str,
    cap: float,
    seed: int | None,
) -> np.ndarray:
    """Return the transformed target, shape (..., time)."""
    p = node_probabilities(observed.shape[-1])

    def work(
        target: np.ndarray,
        o: np.ndarray,
        h: np.ndarray,
        smallest: np.ndarray,
        cells: np.ndarray,
    ) -> tuple[np.ndarray]:
        rows = finite_rows(target, kind == "*")
        if seed is not None:
            rows = scatter_zeros(rows, smallest, cells, seed, TARGET)
        s = group_quantiles(rows, groups, p)
        factors = np.full(s.shape, np.nan)
        for place in np.ndindex(s.shape[:2]):
            nodes = o[place], h[place], s[place]
            if all(np.isfinite(x[0]) for x in nodes):
                limit = float(smallest[place[0]])
                factors[place] = transformed_nodes(*nodes, kind, cap, limit)
        ranks = group_ranks(rows, groups)
        steps = factors_by_rank(
            ranks, factors, groups.first, groups.second, groups.weight
        )
        if kind == "+":
            return (rows + steps,)
        wet = rows * steps
        return (np.where(wet < smallest[:, None], 0.0, wet),)

    arrays = (target, observed, modelled, smallest, cells)
    return by_batches(work, cells.shape, *arrays)[0]
