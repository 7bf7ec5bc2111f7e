"""Quantile mapping lead by lead: the model's climate at a lead onto the observed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.quantiles import (
    correction,
    factors_by_value,
    node_probabilities,
)
from tilth.forcing.s2s.climatology import pooled_rows
from tilth.forcing.s2s.terciles import QUANTILE_RULES, group_quantiles
from tilth.forcing.s2s.training import StartGroups, start_groups

__all__ = ["QuantileMapping", "map_quantiles"]


@dataclass(frozen=True)
class QuantileMapping:
    """Settings of a mapping of quantiles, lead by lead.

    Parameters
    ----------
    kind : {"+", "*"}
        Differences of quantiles (temperature) or ratios (precipitation).
    quantiles : int, default 20
        Nodes; between them the correction is linear in the value, outside constant.
        No more than the years times the starts in the window can tell apart.
    ratio_cap : float, default 10
        Largest ratio, where the model's quantile is near zero and the observed not.

    Raises
    ------
    InputError
        If a setting is out of its range.
    """

    kind: str = "+"
    quantiles: int = 20
    ratio_cap: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in ("+", "*"):
            raise InputError(f'the kind is "+" or "*", got {self.kind!r}')
        if self.quantiles < 1:
            raise InputError(f"at least one quantile is needed, got {self.quantiles}")
        if not (self.ratio_cap >= 1.0 and math.isfinite(self.ratio_cap)):
            raise InputError(f"the cap of ratios is 1 or more, got {self.ratio_cap}")

    @property
    def transform(self) -> str:
        """Transform under which values are mapped: none."""
        return "none"


def map_quantiles(
    hindcast: xr.DataArray,
    observed: xr.DataArray,
    forecast: xr.DataArray | None = None,
    settings: QuantileMapping | None = None,
    *,
    window: float | None = None,
    leave_out: str = "year",
    member_dim: str = "member",
) -> xr.DataArray:
    r"""Map every member by the quantiles of other years' starts, lead by lead.

    .. math::

        x' = x + F_o^{-1}(q) - F_h^{-1}(q) \quad \text{or} \quad
        x' = x\,F_o^{-1}(q) / F_h^{-1}(q), \qquad q = F_h(x)

    with the distribution :math:`F_h` of all members and :math:`F_o` of the
    observations, over the starts of `start_groups`.

    Parameters
    ----------
    hindcast : xarray.DataArray
        Along ``start``, `member_dim` and any others, in memory or on Dask.
    observed : xarray.DataArray
        As `align_observations` lays them out for `hindcast`, in its units.
    forecast : xarray.DataArray, optional
        Other starts, with the dimensions of `hindcast`; by default the hindcasts
        themselves, each without its own year.
    settings : QuantileMapping, optional
        Additive with twenty nodes by default.
    window, leave_out : optional
        As in `start_groups`.
    member_dim : str
        Dimension of the members.

    Returns
    -------
    xarray.DataArray
        `forecast` mapped, its dimensions in its order. NaN where it is, and where
        training knows fewer than three values.

    Raises
    ------
    InputError
        If dimensions or coordinates do not agree, or nothing is left for a start.

    References
    ----------
    Panofsky & Brier (1968), Some Applications of Statistics to Meteorology. Wood,
    Maurer, Kumar & Lettenmaier (2002), J. Geophys. Res. 107, 4429 (lead by lead).
    """
    settings = QuantileMapping() if settings is None else settings
    aim = hindcast if forecast is None else forecast
    model, starts = pooled_rows(hindcast, member_dim)
    truth, _ = pooled_rows(observed, None)
    wanted, targets = pooled_rows(aim, member_dim)
    groups = start_groups(starts, targets, window=window, leave_out=leave_out)
    target_dims = ("target start", "target member")
    mapped = apply_kernel(
        _mapped,
        model,
        truth.rename({"pooled member": "single"}),
        wanted.rename(
            {
                "training start": target_dims[0],
                "pooled member": target_dims[1],
            }
        ),
        core_dims=[
            ("training start", "pooled member"),
            ("training start", "single"),
            target_dims,
        ],
        output_dims=[target_dims],
        options={"groups": groups, "settings": settings},
    )
    named = mapped.rename({target_dims[0]: "start", target_dims[1]: member_dim})
    along = {
        name: c
        for name, c in aim.coords.items()
        if name not in named.coords and {"start", member_dim} & set(c.dims)
    }
    named = named.transpose(*aim.dims).assign_coords(along).rename(aim.name)
    return named.assign_attrs(
        aim.attrs, adjusted_by=f"{settings}, {groups.description}"
    )


def _mapped(
    model: np.ndarray,
    truth: np.ndarray,
    wanted: np.ndarray,
    *,
    groups: StartGroups,
    settings: QuantileMapping,
) -> np.ndarray:
    """Return the values mapped; loop axes first."""
    nodes = node_probabilities(settings.quantiles)
    constants = QUANTILE_RULES["linear"]

    def quantiles(values: np.ndarray) -> np.ndarray:
        rows = values.reshape(-1, *values.shape[-2:]).astype(float)
        return group_quantiles(rows, groups.offsets, groups.members, nodes, *constants)

    theirs, ours = quantiles(model), quantiles(truth)
    factors = correction(ours, theirs, settings.kind, settings.ratio_cap)
    values = wanted.astype(float).reshape(-1, wanted.shape[-2] * wanted.shape[-1])
    group = np.repeat(groups.group, wanted.shape[-1])
    found = factors_by_value(
        values, theirs, factors, group, group, np.zeros(group.size)
    )
    result = values + found if settings.kind == "+" else values * found
    return result.reshape(wanted.shape)
