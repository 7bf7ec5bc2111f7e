"""Regression on the ensemble: a mean and a spread that past errors bear out."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import xarray as xr
from scipy import special

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.s2s.climatology import pooled_rows
from tilth.forcing.s2s.training import StartGroups, start_groups

__all__ = [
    "NormalRegression",
    "normal_categories",
    "normal_members",
    "predictive_normal",
]

#: Pairs below which there is no regression: a slope and two variances need some.
_FEWEST = 6


@dataclass(frozen=True)
class NormalRegression:
    """Settings of the regression on mean and variance of the ensemble.

    Parameters
    ----------
    transform : {"none", "cube root"}
        Under which the values are taken as normal: temperature as it is, totals of
        precipitation by their cube root, with what is below zero at zero.
    shrink : bool, default True
        Draw both slopes towards zero by the share of their F statistic that chance
        alone gives, 1 - 1/F (van Houwelingen & le Cessie 1990); with few years a
        slope that is not shrunk makes forecasts worse than none.

    Raises
    ------
    InputError
        If the transform is another one.
    """

    transform: str = "none"
    shrink: bool = True

    def __post_init__(self) -> None:
        if self.transform not in ("none", "cube root"):
            raise InputError(
                f'the transform is "none" or "cube root", got {self.transform!r}'
            )

    def forward(self, values: xr.DataArray) -> xr.DataArray:
        """Return values as the regression takes them."""
        if self.transform == "none":
            return values
        return xr.apply_ufunc(
            np.cbrt, values.clip(min=0.0), dask="allowed", keep_attrs=True
        )

    def backward(self, values: xr.DataArray) -> xr.DataArray:
        """Return values in their own units again; never below zero for a root."""
        return values if self.transform == "none" else values.clip(min=0.0) ** 3


def predictive_normal(
    hindcast: xr.DataArray,
    observed: xr.DataArray,
    forecast: xr.DataArray | None = None,
    settings: NormalRegression | None = None,
    *,
    window: float | None = None,
    leave_out: str = "year",
    member_dim: str = "member",
) -> xr.Dataset:
    r"""Return the normal distribution that errors of other years' starts bear out.

    Of the mean m and variance v of the members (transformed), lead by lead,

    .. math::

        y \sim N(a + b\,m,\ f\,(c + d\,v)), \qquad
        f = 1 + \frac{1}{n} + \frac{(m - \bar m)^2}{\sum (m_i - \bar m)^2} ,

    the model of Gneiting et al. (2005), its coefficients from moments instead of the
    least CRPS, so that a whole globe of cells is fitted in minutes: a and b by least
    squares with b >= 0, c and d by least squares of the squared residuals (times
    n / (n - 2)) on v with c, d >= 0; f is what the uncertainty of a and b adds.

    Parameters
    ----------
    hindcast : xarray.DataArray
        Along ``start``, `member_dim` and any others, in memory or on Dask.
    observed : xarray.DataArray
        As `align_observations` lays them out for `hindcast`, in its units.
    forecast : xarray.DataArray, optional
        Other starts, with the dimensions of `hindcast`; by default the hindcasts
        themselves, each without its own year.
    settings : NormalRegression, optional
        Without transform, shrunk, by default.
    window, leave_out : optional
        As in `start_groups`.
    member_dim : str
        Dimension of the members; their number may differ in `forecast`.

    Returns
    -------
    xarray.Dataset
        ``mean`` and ``sd`` (transformed) and the slope ``b``, along the dimensions of
        `forecast` without members; NaN where fewer than six pairs are known.

    Raises
    ------
    InputError
        If dimensions or coordinates do not agree, or nothing is left for a start.

    References
    ----------
    Gneiting, Raftery, Westveld & Goldman (2005), Mon. Weather Rev. 133, 1098-1118,
    eq. 2. van Houwelingen & le Cessie (1990), Stat. Med. 9, 1303-1325.
    """
    settings = NormalRegression() if settings is None else settings
    aim = hindcast if forecast is None else forecast
    model, starts = pooled_rows(settings.forward(hindcast), member_dim)
    truth, _ = pooled_rows(settings.forward(observed), None)
    wanted, targets = pooled_rows(settings.forward(aim), member_dim)
    groups = start_groups(starts, targets, window=window, leave_out=leave_out)
    renamed = {"training start": "target start", "pooled member": "target member"}
    found = apply_kernel(
        _fitted,
        model,
        truth.isel({"pooled member": 0}),
        wanted.rename(renamed),
        core_dims=[
            ("training start", "pooled member"),
            ("training start",),
            ("target start", "target member"),
        ],
        output_dims=[("target start",)] * 3,
        output_dtypes=(float,) * 3,
        options={"groups": groups, "shrink": settings.shrink},
    )
    rest = [name for name in aim.dims if name != member_dim]
    named = {
        name: part.rename({"target start": "start"})
        .assign_coords(start=targets.values)
        .transpose(*rest)
        for name, part in zip(("mean", "sd", "slope"), found, strict=True)
    }
    about = {"transform": settings.transform, "training": groups.description}
    return xr.Dataset(named, attrs={**about, "settings": str(settings)})


def normal_categories(
    predictive: xr.Dataset, edges: xr.DataArray, settings: NormalRegression
) -> xr.DataArray:
    r"""Return the probability of each category of a predictive distribution.

    .. math:: P_k = \Phi((e_k - \mu) / \sigma)

    Parameters
    ----------
    predictive : xarray.Dataset
        Of `predictive_normal`.
    edges : xarray.DataArray
        Observed edges along ``edge``, in the units of the observations.
    settings : NormalRegression
        Those of the prediction.

    Returns
    -------
    xarray.DataArray
        Along ``category`` (last), with the sum 1; NaN where mean or edge is.
    """
    bounds = settings.forward(edges)
    scaled = (bounds - predictive["mean"]) / predictive["sd"].clip(min=1e-12)
    below = xr.apply_ufunc(
        special.ndtr, scaled, dask="parallelized", output_dtypes=[float]
    )
    parts = [
        below.isel(edge=0, drop=True),
        below.diff("edge").isel(edge=0, drop=True).clip(min=0.0),
        1.0 - below.isel(edge=-1, drop=True),
    ]
    stacked = xr.concat(parts, "category").transpose(..., "category")
    return stacked.rename("probability").assign_attrs(units="1")


def normal_members(
    predictive: xr.Dataset,
    forecast: xr.DataArray,
    settings: NormalRegression,
    *,
    member_dim: str = "member",
) -> xr.DataArray:
    """Return members of the predictive distribution in the order of the raw ones.

    Member with rank r of M takes the quantile (r - 1/2) / M, so that the dependence
    between cells and leads stays that of the model (ensemble copula coupling).

    Parameters
    ----------
    predictive : xarray.Dataset
        Of `predictive_normal` for `forecast`.
    forecast : xarray.DataArray
        The raw members.
    settings : NormalRegression
        Those of the prediction.
    member_dim : str
        Dimension of the members.

    Returns
    -------
    xarray.DataArray
        As `forecast`, in the units of the observations; NaN where it is.

    References
    ----------
    Schefzik, Thorarinsdottir & Gneiting (2013), Stat. Sci. 28, 616-640.
    """
    score = apply_kernel(
        _normal_scores,
        forecast,
        core_dims=[(member_dim,)],
        output_dims=[(member_dim,)],
    )
    values = settings.backward(predictive["mean"] + predictive["sd"] * score)
    back = values.transpose(*forecast.dims).assign_coords(forecast.coords)
    return back.rename(forecast.name).assign_attrs(
        forecast.attrs, adjusted_by=predictive.attrs["settings"]
    )


def _normal_scores(members: np.ndarray) -> np.ndarray:
    """Return the normal quantile of the rank of each member; ties by their order."""
    known = np.isfinite(members)
    order = np.argsort(np.where(known, members, np.inf), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    share = np.where(known, (rank + 0.5) / count, 0.5)
    return np.where(known, special.ndtri(share), np.nan)


def _fitted(
    model: np.ndarray,
    truth: np.ndarray,
    wanted: np.ndarray,
    *,
    groups: StartGroups,
    shrink: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation and slope for every target; loop axes first."""
    shape = wanted.shape[:-1]
    rows = int(np.prod(shape[:-1], dtype=int))
    mean, sd, slope = _regressions(
        model.reshape(rows, *model.shape[-2:]).astype(float),
        truth.reshape(rows, truth.shape[-1]).astype(float),
        wanted.reshape(rows, *wanted.shape[-2:]).astype(float),
        groups.group,
        groups.offsets,
        groups.members,
        shrink,
    )
    return mean.reshape(shape), sd.reshape(shape), slope.reshape(shape)


@numba.njit(cache=True, nogil=True)
def _moments(members):
    """Mean and variance of the members that are known; NaN without one."""
    total, count = 0.0, 0
    for x in members:
        if np.isfinite(x):
            total += x
            count += 1
    if count == 0:
        return np.nan, np.nan
    mean, square = total / count, 0.0
    for x in members:
        if np.isfinite(x):
            square += (x - mean) ** 2
    return mean, square / (count - 1) if count > 1 else 0.0


@numba.njit(cache=True, nogil=True)
def _slope(x, y, n, shrink):
    """Slope of y on x, none below zero, shrunk; and the mean and spread of x."""
    mx, my = x[:n].mean(), y[:n].mean()
    sxx, sxy, syy = 0.0, 0.0, 0.0
    for i in range(n):
        sxx += (x[i] - mx) ** 2
        sxy += (x[i] - mx) * (y[i] - my)
        syy += (y[i] - my) ** 2
    if not (sxx > 0.0 and sxy > 0.0):
        return 0.0, mx, my, sxx
    slope = sxy / sxx
    rest = max(syy - slope * sxy, 0.0)
    if shrink:
        # 1 - 1/F with F = explained / (rest / (n - 2)).
        slope *= max(0.0, 1.0 - rest / (n - 2.0) / (slope * sxy))
    return slope, mx, my, sxx


@numba.njit(cache=True, nogil=True)
def _regressions(model, truth, wanted, group, offsets, members, shrink):
    """Fit each set of starts of each row, and apply it to the targets it is of."""
    rows, starts, _ = model.shape
    targets = wanted.shape[1]
    mean = np.full((rows, targets), np.nan)
    sd, slope = mean.copy(), mean.copy()
    x, v, y, z = np.empty((4, starts))
    centre, spread = np.empty((2, starts))
    for r in range(rows):
        for s in range(starts):
            centre[s], spread[s] = _moments(model[r, s])
        for g in range(offsets.size - 1):
            n = 0
            for i in range(offsets[g], offsets[g + 1]):
                s = members[i]
                if np.isfinite(centre[s]) and np.isfinite(truth[r, s]):
                    x[n], v[n], y[n] = centre[s], spread[s], truth[r, s]
                    n += 1
            if n < _FEWEST:
                continue
            b, mx, my, sxx = _slope(x, y, n, shrink)
            for i in range(n):
                z[i] = (y[i] - my - b * (x[i] - mx)) ** 2 * n / (n - 2.0)
            d, mv, mz, _ = _slope(v, z, n, shrink)
            if mv > 0.0:
                d = min(d, mz / mv)
            for t in range(targets):
                if group[t] != g:
                    continue
                m, w = _moments(wanted[r, t])
                if not np.isfinite(m):
                    continue
                mean[r, t] = my + b * (m - mx)
                factor = 1.0 + 1.0 / n
                if b > 0.0:
                    factor += (m - mx) ** 2 / sxx
                sd[r, t] = np.sqrt(factor * (mz + d * (w - mv)))
                slope[r, t] = b
    return mean, sd, slope
