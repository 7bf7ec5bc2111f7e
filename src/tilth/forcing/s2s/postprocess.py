"""Tercile forecasts from hindcasts: each start by the starts of other years."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.s2s.blend import blend_weights, blended
from tilth.forcing.s2s.mapping import QuantileMapping, map_quantiles
from tilth.forcing.s2s.regression import (
    NormalRegression,
    normal_categories,
    predictive_normal,
)
from tilth.forcing.s2s.terciles import CATEGORIES, tercile_edges
from tilth.stats.scores import category_probabilities, observed_category

__all__ = [
    "METHODS",
    "MemberCount",
    "Training",
    "blend_forecast",
    "tercile_forecast",
]


@dataclass(frozen=True)
class MemberCount:
    """Settings of the plainest forecast: the share of the members in each category.

    Parameters
    ----------
    edges : {"model", "observed"}
        Terciles of the model's own climate at the lead, which take its bias and
        spread out; or those of the observations, with which a biased model speaks of
        another climate.

    Raises
    ------
    InputError
        If the edges are others.
    """

    edges: str = "model"

    def __post_init__(self) -> None:
        if self.edges not in ("model", "observed"):
            raise InputError(f'edges are "model" or "observed", got {self.edges!r}')


@dataclass(frozen=True)
class Training:
    """Which starts a forecast is learnt from, and how edges are drawn.

    Parameters
    ----------
    window : float, optional
        Days between dates around the year, as in `start_groups`; any by default.
    leave_out : {"year", "half year", "none"}
        As in `start_groups`.
    rule : str, default "linear"
        Quantile rule of `tercile_edges`.
    """

    window: float | None = None
    leave_out: str = "year"
    rule: str = "linear"

    @property
    def choice(self) -> dict[str, Any]:
        """Arguments of `start_groups`."""
        return {"window": self.window, "leave_out": self.leave_out}


#: Name -> settings: the methods the command line knows.
METHODS: dict[str, MemberCount | NormalRegression | QuantileMapping] = {
    "raw": MemberCount("observed"),
    "model-edges": MemberCount("model"),
    "mapping": QuantileMapping("+"),
    "mapping-ratio": QuantileMapping("*"),
    "regression": NormalRegression(),
    "regression-root": NormalRegression("cube root"),
}


def tercile_forecast(
    hindcast: xr.DataArray,
    observed: xr.DataArray,
    forecast: xr.DataArray | None = None,
    method: MemberCount | NormalRegression | QuantileMapping | None = None,
    *,
    training: Training | None = None,
    member_dim: str = "member",
) -> xr.Dataset:
    """Return probabilities of the terciles, each start without its own year.

    Parameters
    ----------
    hindcast : xarray.DataArray
        Along ``start``, `member_dim` and any others (``lead``, cells), in memory or
        on Dask; aggregated to the periods that are meant, see `lead_windows`.
    observed : xarray.DataArray
        As `align_observations` lays them out for `hindcast`, in its units.
    forecast : xarray.DataArray, optional
        Real-time starts with the dimensions of `hindcast`; by default the hindcasts
        themselves, which can then be scored.
    method : MemberCount, QuantileMapping or NormalRegression, optional
        Counted against the model's own edges by default.
    training : Training, optional
        All starts of other years by default.
    member_dim : str
        Dimension of the members.

    Returns
    -------
    xarray.Dataset
        ``probability`` along the dimensions of the forecast without members and
        ``category``; ``edges``, the observed terciles it is about; and for hindcasts
        ``observed_category``. The attributes say how it was made.

    Raises
    ------
    InputError
        If units, dimensions or coordinates do not agree, or nothing is left for a
        start.
    """
    how = MemberCount() if method is None else method
    learnt = Training() if training is None else training
    aim = hindcast if forecast is None else forecast
    _check_units(hindcast, observed, aim)
    starts = aim["start"].reset_coords(drop=True)
    truth = observed.drop_vars("valid_time", errors="ignore")
    ours = tercile_edges(truth, starts, rule=learnt.rule, **learnt.choice)
    edges = ours.drop_vars("edge")
    options = {**learnt.choice, "member_dim": member_dim}
    if isinstance(how, NormalRegression):
        normal = predictive_normal(hindcast, truth, aim, how, **options)
        shares = normal_categories(normal, edges, how)
    elif isinstance(how, QuantileMapping):
        mapped = map_quantiles(hindcast, truth, aim, how, **options)
        shares = category_probabilities(mapped, edges, member_dim=member_dim)
    elif how.edges == "model":
        theirs = tercile_edges(hindcast, starts, rule=learnt.rule, **options)
        bare = theirs.drop_vars("edge")
        # Probabilities against the model's edges speak of the observed categories
        # only where these have edges.
        shares = category_probabilities(aim, bare, member_dim=member_dim)
        shares = shares.where(edges.notnull().all("edge"))
    else:
        shares = category_probabilities(aim, edges, member_dim=member_dim)
    bare = shares.drop_vars("valid_time", errors="ignore")
    order = [name for name in aim.dims if name != member_dim]
    result = xr.Dataset(
        {
            "probability": bare.transpose(*order, "category")
            .assign_coords(category=list(CATEGORIES))
            .drop_attrs(deep=False)
            .assign_attrs(units="1", long_name="probability of the category"),
            "edges": ours,
        },
        attrs={
            "method": str(how),
            "training": ours.attrs["climatology"],
            "quantile_rule": learnt.rule,
            "members": aim.sizes[member_dim],
        },
    )
    if forecast is None:
        result["observed_category"] = observed_category(truth, edges).transpose(*order)
    return result


def blend_forecast(
    hindcasts: xr.Dataset,
    forecast: xr.Dataset | None = None,
    *,
    training: Training | None = None,
    pool: tuple[str, ...] = (),
    weights: xr.DataArray | None = None,
    caution: float = 1.0,
) -> xr.Dataset:
    """Draw a tercile forecast towards climatology as far as hindcasts call for it.

    Parameters
    ----------
    hindcasts : xarray.Dataset
        Of `tercile_forecast`, with the observed categories.
    forecast : xarray.Dataset, optional
        Of `tercile_forecast` for real-time starts; the hindcasts by default.
    training : Training, optional
        The one both were made with.
    pool, weights, caution : optional
        As in `blend_weights`.

    Returns
    -------
    xarray.Dataset
        The forecast with the blended ``probability`` and the ``weight`` it has.
    """
    learnt = Training() if training is None else training
    aim = hindcasts if forecast is None else forecast
    weight = blend_weights(
        hindcasts["probability"],
        hindcasts["observed_category"],
        aim["start"],
        pool=pool,
        weights=weights,
        caution=caution,
        **learnt.choice,
    )
    result = aim.assign(weight=weight)
    result["probability"] = blended(aim["probability"], weight)
    return result.assign_attrs(method=f"{aim.attrs['method']}, blended")


def _check_units(
    hindcast: xr.DataArray, observed: xr.DataArray, aim: xr.DataArray
) -> None:
    """Raise unless all three say the same units, or none."""
    said = [array.attrs.get("units") for array in (hindcast, observed, aim)]
    if len(set(said)) > 1:
        raise InputError(
            f"hindcasts are in {said[0]!r}, observations in {said[1]!r} and forecasts "
            f"in {said[2]!r}: convert them to the same units first "
            "(tilth.core.units.convert)"
        )
