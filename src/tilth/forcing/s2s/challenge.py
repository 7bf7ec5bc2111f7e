"""The scorer of the WMO's sub-seasonal challenge of 2021, step by step."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.s2s.alignment import lead_windows
from tilth.forcing.s2s.terciles import CATEGORIES
from tilth.stats.scores import rps

__all__ = [
    "CHALLENGE_WINDOWS",
    "LEADERBOARD",
    "challenge_periods",
    "challenge_score",
    "dry_mask",
]

#: Period -> first day and the day before which it ends.
CHALLENGE_WINDOWS = {"weeks 3-4": (14.0, 28.0), "weeks 5-6": (28.0, 42.0)}

#: Final RPSS of the challenge (s2s-ai-challenge.github.io, 2021), in its order.
LEADERBOARD = {
    "CRIM/ECCC": 0.0459475,
    "BSC": 0.0288718,
    "UConn": 0.00620681,
    "KIT-ETH-UBern": 0.00236371,
    "Specq": 0.000467425,
    "climatology": 0.0,
    "recalibrated ECMWF": -0.00158017,
    "ECMWF": -0.0301,
    "alpin": -0.598,
    "ylabaiers": -0.756598,
    "kjhall01": -0.9918,
}

#: RPS given to a forecast that is missing where an observation is there: the worst.
_PENALTY = 2.0
#: Limits of the skill of one cell.
_LIMITS = (-10.0, 1.0)
_SOUTHERNMOST = -60.0
#: Lower edge of the rain of 14 days, kg m-2: of the code, and of the prose (1 mm/day).
_DRY = {"code": 0.01, "prose": 14.0}
_DIMS = ("category", "forecast_time", "lead_time", "latitude", "longitude")


def challenge_periods(field: xr.DataArray, variable: str) -> xr.DataArray:
    """Aggregate a daily forecast to the two periods of the challenge.

    Parameters
    ----------
    field : xarray.DataArray
        Along ``lead`` in days: of ``t2m`` the value of each day, of ``tp`` the total
        since the start.
    variable : {"t2m", "tp"}
        Which of the two it is.

    Returns
    -------
    xarray.DataArray
        Mean of days 14-27 and 28-41; or the total of 28 days less that of 14, and of
        42 less that of 28.

    Raises
    ------
    InputError
        If it is another variable, or leads are missing.
    """
    if variable not in ("t2m", "tp"):
        raise InputError(f"the challenge has t2m and tp, got {variable!r}")
    method = "mean" if variable == "t2m" else "accumulated"
    return lead_windows(field, CHALLENGE_WINDOWS, method=method)


def dry_mask(edges: xr.DataArray, rule: str = "code") -> xr.DataArray:
    """Return where rain is scored: not in deserts, by either rule of the challenge.

    Parameters
    ----------
    edges : xarray.DataArray
        Observed terciles of the rain of 14 days, kg m-2, along ``edge`` and
        ``lead_time``.
    rule : {"code", "prose"}
        What the challenge's code does: keep a cell and week whose lower edge at the
        first lead is above 0.01 kg m-2 in 14 days. Or what its pages say: leave out
        where the lower edge is below 1 mm per day, lead by lead.

    Returns
    -------
    xarray.DataArray of bool
        True where rain is scored. Of the code's rule without ``lead_time``.

    Raises
    ------
    InputError
        If the rule is another one.
    """
    if rule not in _DRY:
        raise InputError(f'the rule is "code" or "prose", got {rule!r}')
    lower = edges.isel(edge=0, drop=True)
    if rule == "code":
        return lower.isel(lead_time=0, drop=True) > _DRY[rule]
    return lower >= _DRY[rule]


def challenge_score(
    forecast: xr.Dataset, observed: xr.Dataset, *, dry: xr.DataArray | None = None
) -> xr.Dataset:
    r"""Score tercile probabilities as the challenge did.

    Per cell, lead and variable the ratio of means over the starts (Weigel et al. 2007),

    .. math::

        \mathrm{RPSS} = 1 - \overline{\mathrm{RPS}} / \overline{\mathrm{RPS}_c}

    with the sums of `tilth.stats.scores.rps` (not over K - 1), thirds as climatology
    and RPS = 2 where an observation is there and the forecast is missing; cut off at
    -10 and 1; averaged from 90 N to 60 S; then over leads and variables.

    Parameters
    ----------
    forecast : xarray.Dataset
        Variables (``t2m``, ``tp``) with the dimensions ``category`` (below, near and
        above normal), ``forecast_time``, ``lead_time``, ``latitude`` and
        ``longitude``.
    observed : xarray.Dataset
        The same: one in the place of the category that came, zero elsewhere, NaN
        where nothing was observed (the sea).
    dry : xarray.DataArray of bool, optional
        Of `dry_mask`: where ``tp`` is scored; both sets are masked.

    Returns
    -------
    xarray.Dataset
        ``rpss`` of every cell; ``rpss_mean`` of every lead and variable; ``score``,
        the number of the leaderboard; ``score_by_area``. The challenge averages over
        the latitudes of every meridian first, and then over meridians, so that a
        meridian with little land counts as much as any; by area it would not.

    Raises
    ------
    InputError
        If variables, dimensions, coordinates or categories are not those of the
        challenge, or not the same in both.
    KernelError
        If probabilities do not add up to one.

    Notes
    -----
    The challenge's data are not needed for this arithmetic, and its leaderboard
    cannot be recomputed without them.

    References
    ----------
    Weigel, Liniger & Appenzeller (2007), Mon. Weather Rev. 135, 118-124. Vitart et
    al. (2022), Bull. Am. Meteorol. Soc. 103, E2878-E2886.
    """
    names = _check(forecast, observed)
    cells = xr.concat(
        [_cell_skill(forecast[name], observed[name], dry, name) for name in names],
        xr.DataArray(names, dims="variable", name="variable"),
        coords="minimal",
        compat="override",
    )
    latitude = cells["latitude"]
    area = latitude.copy(data=np.cos(np.deg2rad(latitude.values)))
    north = cells.where(latitude >= _SOUTHERNMOST)
    meridians = north.weighted(area).mean("latitude")
    mean = meridians.mean("longitude")
    by_area = north.weighted(area).mean(["latitude", "longitude"])
    return xr.Dataset(
        {
            "rpss": cells,
            "rpss_mean": mean,
            "score": mean.mean(["variable", "lead_time"]),
            "score_by_area": by_area.mean(["variable", "lead_time"]),
        },
        attrs={"reference": "thirds", "missing_forecast": f"RPS {_PENALTY:g}"},
    )


def _cell_skill(
    forecast: xr.DataArray,
    observed: xr.DataArray,
    dry: xr.DataArray | None,
    name: str,
) -> xr.DataArray:
    """Return the skill of every cell and lead of one variable."""
    if name == "tp" and dry is not None:
        forecast, observed = forecast.where(dry), observed.where(dry)
    ours, theirs = (
        x.drop_vars("category").transpose(..., "category") for x in (forecast, observed)
    )
    score = rps(ours, theirs)
    usual = rps(xr.full_like(ours, 1 / 3), theirs)
    score = score.where(score.notnull() | usual.isnull(), _PENALTY)
    ratio = score.mean("forecast_time") / usual.mean("forecast_time")
    return (1.0 - ratio).clip(*_LIMITS)


def _check(forecast: xr.Dataset, observed: xr.Dataset) -> list[str]:
    """Return the variables to score; raise where the two do not belong together."""
    names = [name for name in ("t2m", "tp") if name in forecast]
    if not names or any(name not in observed for name in names):
        raise InputError(
            "the challenge scores t2m and tp: the forecast has "
            f"{', '.join(map(str, forecast.data_vars)) or 'nothing'}, the observations "
            f"{', '.join(map(str, observed.data_vars)) or 'nothing'}"
        )
    for what, data in (("forecast", forecast), ("observations", observed)):
        for name in names:
            if set(data[name].dims) != set(_DIMS):
                raise InputError(
                    f"{name} of the {what} needs the dimensions {', '.join(_DIMS)}, it "
                    f"has {', '.join(map(str, data[name].dims))}"
                )
        given = tuple(map(str, data["category"].values))
        if given != CATEGORIES:
            raise InputError(
                f"the categories of the {what} are {', '.join(given)}; in this order "
                f"they must be {', '.join(CATEGORIES)}"
            )
    try:
        xr.align(forecast[names], observed[names], join="exact", copy=False)
    except ValueError as error:
        raise InputError(
            "forecast and observations are not on the same starts, leads and cells: "
            "a start that is left out would not be penalised"
        ) from error
    return names
