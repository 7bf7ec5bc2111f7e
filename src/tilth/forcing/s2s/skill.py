"""Skill of tercile forecasts over climatology, and how sure it is between years."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.stats.resampling import block_bootstrap
from tilth.stats.scores import rps, rpss

__all__ = ["score_terciles", "skill_interval"]


def score_terciles(
    forecast: xr.Dataset,
    *,
    dim: tuple[str, ...] = ("start",),
    weights: xr.DataArray | None = None,
    members: int | None = None,
) -> xr.Dataset:
    """Return the ranked probability skill of hindcasts over a climatology of thirds.

    Parameters
    ----------
    forecast : xarray.Dataset
        With ``probability`` and ``observed_category``, of `tercile_forecast`.
    dim : tuple of str
        What is averaged before the ratio is taken.
    weights : xarray.DataArray, optional
        Of what is averaged, such as the cosine of the latitude.
    members : int, optional
        How many members the probabilities are shares of; leave out for those of a
        regression, which has no penalty of the ensemble's size.

    Returns
    -------
    xarray.Dataset
        As `tilth.stats.scores.rpss` gives it.

    Raises
    ------
    InputError
        If there are no observed categories, as in a real-time forecast.
    """
    return rpss(*_cases(forecast), dim=dim, weights=weights, members=members)


def skill_interval(
    forecast: xr.Dataset,
    *,
    dim: tuple[str, ...] = ("start",),
    weights: xr.DataArray | None = None,
    level: float = 0.90,
    draws: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return the interval of the skill when whole years are drawn again.

    Starts of one year share their season's weather and cells share their storms:
    drawn one by one they would give intervals that are far too narrow.

    Parameters
    ----------
    forecast : xarray.Dataset
        As in `score_terciles`.
    dim : tuple of str
        What is averaged before the ratio is taken; ``start`` is among it.
    weights : xarray.DataArray, optional
        Of what is averaged.
    level, draws, seed : optional
        As in `tilth.stats.block_bootstrap`.

    Returns
    -------
    xarray.Dataset
        ``lower`` and ``upper`` limit of the RPSS, along what is not averaged; the
        attribute ``years`` counts what was drawn from.

    Raises
    ------
    InputError
        If ``start`` is not averaged, or there are fewer than two years.
    """
    if "start" not in dim:
        raise InputError(f"years are drawn along start, which is not among {dim}")
    score, usual = _cases(forecast)
    both = score.notnull() & usual.notnull()
    weigh = xr.ones_like(score) if weights is None else weights
    rest = [name for name in dim if name != "start"]
    parts = [
        (part.where(both) * weigh).sum(rest).transpose(..., "start")
        for part in (score, usual)
    ]

    def ratio(values: np.ndarray, times: np.ndarray) -> np.ndarray:
        ours, theirs = values @ times.T
        return 1.0 - np.divide(
            ours, theirs, out=np.full_like(ours, np.nan), where=theirs > 0.0
        )

    found = block_bootstrap(
        np.stack([part.values for part in parts]),
        score["start"].dt.year.values,
        ratio,
        draws=draws,
        level=level,
        seed=seed,
    )
    shape = parts[0].isel(start=0, drop=True)
    return xr.Dataset(
        {
            "lower": shape.copy(data=found.lower),
            "upper": shape.copy(data=found.upper),
        },
        attrs={"level": level, "draws": draws, "seed": seed, "years": found.blocks},
    )


def _cases(forecast: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the scores of a forecast and of thirds, case by case."""
    if "observed_category" not in forecast:
        raise InputError(
            "a forecast is scored where the observed_category is known: this one is "
            "of real time"
        )
    probability = forecast["probability"].drop_vars("category", errors="ignore")
    observed = forecast["observed_category"]
    return rps(probability, observed), rps(xr.full_like(probability, 1 / 3), observed)
