"""Scores of forecasts by lead and site, and the tests of one forecast against another.

What ``tilth score`` computes, apart from files and printing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tilth.core.calendars import calendar_day
from tilth.core.errors import InputError
from tilth.core.progress import track
from tilth.forcing.s2s.alignment import (
    align_observations,
    lead_days,
    valid_times,
)
from tilth.stats import (
    block_bootstrap,
    cluster_bootstrap,
    diebold_mariano,
    false_discovery,
    paired_t,
)
from tilth.stats.scores import crps_both, score_sums, scores_from_sums, spread_error

#: Scores of every lead and site with their units (None: of the forecast) and meaning.
MEANING = {
    "cases": ("1", "starts that have forecast and observation"),
    "members": ("1", "members M, mean over the cases"),
    "crps": (None, "CRPS of these M members"),
    "crps_fair": (None, "fair CRPS, as of an ensemble without end"),
    "crps_climatology": (None, "CRPS of the climatology"),
    "correlation": ("1", "correlation of the ensemble mean"),
    "kge": ("1", "Kling-Gupta efficiency of the ensemble mean, 2012"),
    "rmse": (None, "root mean square error of the ensemble mean"),
    "bias": (None, "ensemble mean less observed"),
    "spread_error": ("1", "spread over error of the ensemble mean"),
}

#: Values of climatologies kept in memory at a time.
_AT_ONCE = 4_000_000


def cases(forecast: xr.DataArray, observed: xr.DataArray) -> xr.Dataset:
    """Score every start, lead and site.

    Parameters
    ----------
    forecast : xarray.DataArray, dimensions (start, lead, member, site)
        Members.
    observed : xarray.DataArray, dimensions (start, lead, site)
        As `align_observations` lays them out.

    Returns
    -------
    xarray.Dataset
        ``crps``, ``crps_fair``, ``members``, ``mean`` (of the ensemble) and
        ``observed``, NaN where either is missing.
    """
    bare = observed.drop_vars("valid_time", errors="ignore")
    found = crps_both(forecast, bare).transpose("start", "lead", "site")
    known = found["crps"].notnull()
    return found.assign(
        mean=forecast.mean("member").where(known),
        observed=bare.where(known),
        members=found["members"].where(known),
    )


def climatology(
    daily: xr.DataArray, start: xr.DataArray, lead: xr.DataArray, window: float
) -> tuple[xr.DataArray, str]:
    """Score the observations of other years as a forecast.

    For every start and lead the members are all observed days within `window` days
    of the date that is forecast, in every year but that one.

    Parameters
    ----------
    daily : xarray.DataArray, dimensions (time, site)
        Observations.
    start, lead : xarray.DataArray
        Of the forecasts.
    window : float
        Days before and after.

    Returns
    -------
    xarray.DataArray, dimensions (start, lead, site)
        CRPS; NaN where no other year has such a date.
    str
        What the climatology is, in words.

    Raises
    ------
    InputError
        If all observations are of one year.
    """
    aligned = align_observations(daily, start, lead).drop_vars("valid_time")
    aligned = aligned.transpose("start", "lead", "site")
    values = daily.transpose("time", "site").values
    result = xr.full_like(aligned, np.nan, dtype=float)
    valid = valid_times(start, lead)
    (days, circle), years = calendar_day(daily["time"]), daily["time"].dt.year.values
    if np.unique(years).size < 2:
        raise InputError(
            f"all observations are of {years[0]}: a climatology needs other years"
        )
    around: dict[int, np.ndarray] = {}  # day of the year -> observed days near it
    for i in track(range(lead.size), "climatology"):
        target = xr.DataArray(valid.isel(lead=i).values, dims="start")
        taken = []
        for day, year in zip(
            calendar_day(target)[0], target.dt.year.values, strict=True
        ):
            if day not in around:
                apart = np.abs(days - day)
                near = np.minimum(apart, circle - apart) <= window
                around[day] = np.flatnonzero(near)
            taken.append(around[day][years[around[day]] != year])
        most = max([1, *(members.size for members in taken)])
        step = max(1, _AT_ONCE // (most * daily.sizes["site"]))
        for k in range(0, start.size, step):
            some = taken[k : k + step]
            # Starts differ in how many days they may take: the rest is missing.
            drawn = np.full((len(some), daily.sizes["site"], most), np.nan)
            for row, members in zip(drawn, some, strict=True):
                row[:, : members.size] = values[members].T
            seen = aligned[k : k + step, i].values
            result[k : k + step, i] = crps_both(
                xr.DataArray(drawn, dims=("start", "site", "member")),
                xr.DataArray(seen, dims=("start", "site")),
            )["crps"].values
    return result, (
        f"observed dates within {window:g} days, the forecast's own year left out; "
        f"{years.min()}-{years.max()}"
    )


def by_site(
    scored: xr.Dataset, forecast: xr.DataArray, reference: xr.DataArray | None
) -> xr.Dataset:
    """Return the scores of every lead and site over the starts.

    Parameters
    ----------
    scored : xarray.Dataset
        Of `cases`.
    forecast : xarray.DataArray
        The members.
    reference : xarray.DataArray, optional
        CRPS of the climatology.

    Returns
    -------
    xarray.Dataset, dimensions (lead, site)
        Variables `MEANING`, where they exist.
    """
    along = ("lead", "site")
    pair = [scored[name].transpose(*along, "start").values for name in
            ("mean", "observed")]  # fmt: skip
    shift = np.nan_to_num(np.nanmean(pair[1])) if np.isfinite(pair[1]).any() else 0.0
    found = scores_from_sums(score_sums(pair[0] - shift, pair[1] - shift), shift)
    result = xr.Dataset(coords={name: scored[name] for name in along})
    result["cases"] = scored["crps"].notnull().sum("start")
    for name in ("members", "crps", "crps_fair"):
        result[name] = scored[name].mean("start")
    if reference is not None:
        both = reference.where(scored["crps"].notnull())
        result["crps_climatology"] = both.mean("start")
    for name in ("correlation", "kge", "rmse", "bias"):
        result[name] = along, found[name]
    if forecast.sizes["member"] > 1:
        spread = spread_error(forecast, scored["observed"], dim="start")
        result["spread_error"] = spread["ratio"].transpose(*along)
    units = forecast.attrs.get("units")
    for key in list(result):
        name = str(key)
        of_name, meaning = MEANING[name]
        kind = of_name or units
        result[name].attrs = {"long_name": meaning} | ({"units": kind} if kind else {})
    return result


def skill_by_lead(
    scored: xr.Dataset, reference: xr.DataArray, *, level: float, seed: int
) -> xr.Dataset:
    """Return the skill over the climatology by lead, with an interval over months.

    Parameters
    ----------
    scored : xarray.Dataset
        Of `cases`.
    reference : xarray.DataArray
        CRPS of the climatology.
    level : float
        Probability of the interval.
    seed : int
        Of its bootstrap.

    Returns
    -------
    xarray.Dataset, dimension (lead)
        ``crpss`` and ``crpss_fair`` (ratios of means over sites and starts), with
        ``lower`` and ``upper`` of the latter; NaN with fewer than two months.
    """
    starts = scored["start"].dt.strftime("%Y-%m").values
    sums = {}
    for name in ("crps", "crps_fair"):
        both = scored[name].notnull() & reference.notnull()
        sums[name] = [
            x.where(both).sum("site").transpose("lead", "start").values
            for x in (scored[name], reference)
        ]
    once = np.ones((1, starts.size))
    out = {name: _ratio(np.stack(pair), once)[..., 0] for name, pair in sums.items()}
    limits = np.full((2, scored.sizes["lead"]), np.nan)
    if np.unique(starts).size > 1:
        pair = np.stack(sums["crps_fair"] if np.isfinite(out["crps_fair"]).any()
                        else sums["crps"])  # fmt: skip
        drawn = block_bootstrap(
            pair,
            starts,
            lambda x, w: np.stack([_ratio(x, w)] * 2),
            level=level,
            seed=seed,
        )
        limits = np.stack([drawn.lower[0], drawn.upper[0]])
    return xr.Dataset(
        {
            "crpss": ("lead", out["crps"]),
            "crpss_fair": ("lead", out["crps_fair"]),
            "lower": ("lead", limits[0]),
            "upper": ("lead", limits[1]),
        },
        {"lead": scored["lead"]},
    )


def _ratio(pair: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return one less the ratio of weighted sums, (lead, draws)."""
    ours, theirs = pair @ weights.T
    return 1.0 - np.divide(
        ours, theirs, out=np.full_like(ours, np.nan), where=theirs > 0
    )


def compared(
    first: xr.Dataset,
    second: xr.Dataset,
    sites: tuple[xr.Dataset, xr.Dataset],
    clusters: np.ndarray | None,
    *,
    level: float,
    seed: int,
) -> dict[str, xr.Dataset]:
    """Test a forecast against another on the same cases, lead by lead.

    Parameters
    ----------
    first, second : xarray.Dataset
        Of `cases`, of the same starts, leads and sites.
    sites : tuple of xarray.Dataset
        Of `by_site`, of both.
    clusters : numpy.ndarray, optional
        Basin of each site.
    level : float
        Chance of a false alarm, such as 0.05.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to xarray.Dataset
        Per score (``crps_fair``, ``kge``, ``correlation``, ``rmse``), along ``lead``:
        ``difference`` (first less second, mean over sites), ``lower``, ``upper``,
        ``p_paired_t``, ``p_clusters`` and ``significant`` (false discoveries among
        the leads held down); for ``crps_fair`` also ``p_starts`` (Diebold-Mariano of
        the mean over sites) and ``sites_significant`` (share of sites, false
        discoveries among sites and leads held down).
    """
    found = {}
    for name in ("crps_fair", "kge", "correlation", "rmse"):
        a, b = (x[name].transpose("lead", "site").values for x in sites)
        if not (np.isfinite(a) & np.isfinite(b)).any():
            continue
        plain = paired_t(a, b, level=1.0 - level)
        best = plain
        out = {"p_paired_t": ("lead", np.atleast_1d(plain.p_value))}
        if clusters is not None:
            best = cluster_bootstrap(a, b, clusters, level=1.0 - level, seed=seed)
            out["p_clusters"] = ("lead", np.atleast_1d(best.p_value))
        held = false_discovery(best.p_value, level=level, correlated=False)
        out |= {
            "difference": ("lead", best.difference),
            "lower": ("lead", best.lower),
            "upper": ("lead", best.upper),
            "significant": ("lead", held.significant),
        }
        found[name] = xr.Dataset(out, {"lead": first["lead"]})
    if "crps_fair" in found:
        found["crps_fair"] = found["crps_fair"].assign(
            _over_starts(first, second, level)
        )
    return found


def _over_starts(first: xr.Dataset, second: xr.Dataset, level: float) -> dict[str, Any]:
    """Return Diebold-Mariano tests of the mean over sites, and of every site."""
    leads = lead_days(first["lead"])
    step = _spacing(first["start"])
    a, b = (
        x["crps_fair"].transpose("lead", "site", "start").values
        for x in (first, second)
    )
    pooled = np.full(leads.size, np.nan)
    single = np.full(a.shape[:2], np.nan)
    for i, lead in enumerate(leads):
        horizon = int(lead // step) + 1
        both = np.isfinite(a[i]) & np.isfinite(b[i])
        some = both.any(axis=0)
        if some.sum() > 2 * horizon:
            means = [
                np.where(both, x[i], 0.0).sum(0)[some] / both.sum(0)[some]
                for x in (a, b)
            ]
            pooled[i] = diebold_mariano(*means, horizon=horizon).p_value
        for k in np.flatnonzero(both.sum(axis=1) > 2 * horizon):
            pair = [x[i, k][both[k]] for x in (a, b)]
            single[i, k] = diebold_mariano(*pair, horizon=horizon).p_value
    made = np.isfinite(single).sum(axis=1)
    held = false_discovery(single, level=level).significant.sum(axis=1)
    share = np.where(made > 0, held / np.maximum(made, 1), np.nan)
    return {"p_starts": ("lead", pooled), "sites_significant": ("lead", share)}


def _spacing(start: xr.DataArray) -> float:
    """Return the usual distance of starts, days."""
    values = start.values
    if values.size < 2:
        return np.inf
    gaps = np.diff(values)
    if gaps.dtype.kind == "m":
        return float(np.median(gaps / np.timedelta64(1, "D")))
    return float(np.median([gap.total_seconds() / 86400.0 for gap in gaps]))
