"""Fick's law as a regression: flux on soil CO2, per soil, and the gaps it fills.

A soil has one conductance, so flux rises in proportion to the difference between
soil and free air CO2. The slope differs between soils: pooling them destroys the
law, and `fick_regression` refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tilth.chambers.soil.diffusion import millington_quirk, soil_conductance
from tilth.core.constants import STANDARD_ATMOSPHERE
from tilth.core.errors import InputError
from tilth.stats.lines import LineFit
from tilth.stats.regression import deming, ols, theil_sen

#: Ways to lay a line through the pairs.
_METHODS: dict[str, Callable[..., LineFit]] = {
    "ols": ols,
    "theil_sen": theil_sen,
    "deming": deming,
}


def fick_regression(
    pairs: pd.DataFrame,
    *,
    soil: str = "soil",
    by: str | None = None,
    pool: bool = False,
    method: str = "ols",
    error_ratio: float | None = None,
    block_days: int = 7,
) -> pd.DataFrame:
    r"""Fit flux on the CO2 difference between soil and free air, per soil.

    .. math:: F = m\,(C_{soil} - C_{air}) + c

    Standard errors come from leaving out one block of days at a time (delete-one
    jackknife), because the pots of one day and neighbouring days are not
    independent.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Columns ``time``, ``flux`` (umol m-2 s-1), ``gradient``
        (:math:`C_{soil} - C_{air}`, umol mol-1) and `soil`. Rows with a missing
        number are left out. Mask clogged pots first (`clogged_mask`).
    soil : str
        Column that names the soil of each row.
    by : str, optional
        Column to fit by; the soil itself by default.
    pool : bool
        Allow groups that mix soils. The result then says how many soils a group
        holds and how probable it is that one line serves them all.
    method : {'ols', 'theil_sen', 'deming'}
        Ordinary least squares; Theil-Sen; Deming, which allows for error in the
        gradient too.
    error_ratio : float, optional
        For Deming: variance of the errors of the flux over that of the gradient's,
        (umol m-2 s-1)2 / (umol mol-1)2; by default the ratio of the variances of
        the data, which gives the reduced major axis.
    block_days : int
        Length of the blocks of the jackknife, days.

    Returns
    -------
    pandas.DataFrame
        One row per group: ``n``, ``r``, ``slope``, ``slope_se``, ``intercept``,
        ``intercept_se``, ``residual_sd``, ``intercept_slope_covariance``, ``soils``,
        ``p_one_line`` (NaN for one soil). Fewer than three rows, or a constant
        gradient, give NaN.

    Raises
    ------
    InputError
        If a group mixes soils and `pool` is not set, or the method is unknown.
    """
    if method not in _METHODS:
        raise InputError(f"no method {method!r}; there are {', '.join(_METHODS)}")
    by = by or soil
    _require_columns(pairs, ["time", "flux", "gradient", soil, by])
    rows = pairs.dropna(subset=["flux", "gradient", "time"])
    mixed = rows.groupby(by)[soil].nunique()
    mixed = mixed[mixed > 1]
    if len(mixed) and not pool:
        raise InputError(
            f"{by} {mixed.index[0]} mixes {mixed.iloc[0]} soils: each soil has its "
            "own conductance, one line through all of them says nothing; fit per "
            "soil, or set pool=True to have it reported"
        )
    table = {
        group: _line_through(part, soil, method, error_ratio, block_days)
        for group, part in rows.groupby(by)
    }
    result = pd.DataFrame.from_dict(table, orient="index")
    result.index.name = by
    return result.astype({"n": int, "soils": int}) if len(result) else result


def _line_through(
    rows: pd.DataFrame,
    soil: str,
    method: str,
    error_ratio: float | None,
    block_days: int,
) -> dict[str, float]:
    """Fit one group and return its row of the table."""
    x, y = rows["gradient"].to_numpy(float), rows["flux"].to_numpy(float)
    row = dict.fromkeys(
        (
            *("r", "slope", "slope_se", "intercept", "intercept_se", "residual_sd"),
            "intercept_slope_covariance",
        ),
        np.nan,
    )
    row |= {"n": len(x), "soils": rows[soil].nunique(), "p_one_line": np.nan}
    if len(x) < 3 or np.ptp(x) == 0 or (method == "deming" and np.ptp(y) == 0):
        return row
    options = {}
    if method == "deming":
        options["error_ratio"] = error_ratio or np.var(y) / np.var(x)
    fit = _METHODS[method](x, y, **options)
    row |= {
        "intercept": fit.intercept,
        "slope": fit.slope,
        "r": fit.correlation,
        "residual_sd": fit.residual_sd,
    }
    blocks = day_blocks(rows["time"], block_days)
    left_out = [
        (part.intercept, part.slope)
        for part in (
            _METHODS[method](x[blocks != b], y[blocks != b], **options)
            for b in np.unique(blocks)
            if (blocks != b).sum() >= 3 and np.ptp(x[blocks != b]) > 0
        )
    ]
    count = len(left_out)
    if count > 1:
        spread = np.std(np.array(left_out), axis=0) * np.sqrt(count - 1.0)
        row["intercept_se"], row["slope_se"] = (float(s) for s in spread)
        both = np.cov(np.array(left_out).T, ddof=0)
        row["intercept_slope_covariance"] = float(both[0, 1] * (count - 1.0))
    if row["soils"] > 1:
        row["p_one_line"] = _probability_of_one_line(x, y, rows[soil].to_numpy())
    return row


def _probability_of_one_line(x: np.ndarray, y: np.ndarray, soils: np.ndarray) -> float:
    """Return the p value of the F test of one line against one per soil."""
    from scipy.stats import f as f_distribution

    def residual_sum(part: np.ndarray) -> float:
        if part.sum() < 3 or np.ptp(x[part]) == 0:
            return float(((y[part] - y[part].mean()) ** 2).sum())
        return ols(x[part], y[part]).residual_sd ** 2 * (part.sum() - 2)

    names = np.unique(soils.astype(str))
    apart = sum(residual_sum(soils.astype(str) == name) for name in names)
    together = residual_sum(np.ones(len(x), bool))
    extra, rest = 2 * (len(names) - 1), len(x) - 2 * len(names)
    if rest <= 0 or apart <= 0:
        return float("nan")
    statistic = (together - apart) / extra / (apart / rest)
    return float(f_distribution.sf(statistic, extra, rest))


def day_blocks(time, days: int) -> np.ndarray:
    """Return the number of the block of consecutive days that each time falls into.

    Parameters
    ----------
    time : array_like of datetime64
        UTC.
    days : int
        Length of a block, days.

    Returns
    -------
    numpy.ndarray of int
        Block of each time, counted from the day of the first.

    Examples
    --------
    >>> day_blocks(["2023-07-01", "2023-07-02 23:00", "2023-07-03"], 2)
    array([0, 0, 1])
    """
    if days < 1:
        raise InputError(f"a block has at least one day, got {days}")
    stamps = pd.DatetimeIndex(pd.to_datetime(time, format="ISO8601")).to_numpy(
        "datetime64[D]"
    )
    number = stamps.astype("int64")
    return (number - number.min()) // int(days)


def fick_predictor(
    soil_co2,
    air_co2,
    *,
    temperature=20.0,
    pressure=STANDARD_ATMOSPHERE,
    air_filled=None,
    porosity=None,
):
    r"""Flux per unit of inverse depth, the predictor that carries the moisture.

    .. math:: X = \rho\,D_0(T, P)\,\xi(\varepsilon)\,(C_{soil} - C_{air}),
              \qquad F = X/z + c

    Parameters
    ----------
    soil_co2, air_co2 : array_like
        CO2 in the soil and above it, umol mol-1.
    temperature, pressure : array_like
        Soil temperature, degC, and air pressure, Pa.
    air_filled, porosity : array_like, optional
        Air-filled and total porosity, m3 m-3, for the relative diffusivity of
        Millington and Quirk (1961). Without them the diffusivity of free air is
        taken, and the fitted "depth" swallows the constant factor.

    Returns
    -------
    numpy.ndarray
        Predictor, umol m-1 s-1.

    Raises
    ------
    InputError
        If only one of the two porosities is given or they are impossible.
    """
    if (air_filled is None) != (porosity is None):
        raise InputError("give both air_filled and porosity, or neither")
    relative = 1.0 if air_filled is None else millington_quirk(air_filled, porosity)
    conductance = soil_conductance(relative, 1.0, temperature, pressure)
    return conductance * (np.asarray(soil_co2, float) - np.asarray(air_co2, float))


@dataclass(frozen=True)
class FickFill:
    """A fitted law for one soil that predicts the flux where it was not measured.

    Attributes
    ----------
    inverse_depth : float
        Slope on the predictor of `fick_predictor`, m-1.
    intercept : float
        Flux at no gradient, umol m-2 s-1.
    spread : tuple of float
        Error of a prediction: ``spread[0] + spread[1] * |flux|``, umol m-2 s-1.
    quantile : float
        Half width of the interval over the spread.
    level : float
        Nominal coverage of the interval.
    n : int
        Rows fitted.
    """

    inverse_depth: float
    intercept: float
    spread: tuple[float, float]
    quantile: float
    level: float
    n: int

    def predict(self, predictor) -> pd.DataFrame:
        """Return ``flux``, ``flux_low`` and ``flux_high``, umol m-2 s-1."""
        x = np.asarray(predictor, float)
        flux = self.intercept + self.inverse_depth * x
        half = self.quantile * _error_scale(flux, self.spread)
        return pd.DataFrame(
            {"flux": flux, "flux_low": flux - half, "flux_high": flux + half}
        )


def fit_fick_fill(
    predictor,
    flux,
    time,
    *,
    level: float = 0.95,
    block_days: int = 3,
) -> FickFill:
    r"""Fit the gap filler of one soil.

    Least squares of flux on `fick_predictor`. The interval is cross-conformal:
    each block of days is predicted by a fit without it, the absolute errors are
    scaled by :math:`a + b|F|` (chamber fluxes scatter in proportion to their
    size), and the half width is their quantile. No distribution is assumed, and
    errors that last for a block do not make the interval too narrow.

    Parameters
    ----------
    predictor, flux : array_like
        One soil; umol m-1 s-1 and umol m-2 s-1. Rows with NaN are left out.
    time : array_like of datetime64
        UTC.
    level : float
        Nominal coverage.
    block_days : int
        Length of the left-out blocks, days.

    Returns
    -------
    FickFill

    Raises
    ------
    InputError
        If fewer than ten rows or four blocks of days are left.

    References
    ----------
    Vovk (2015), Annals of Mathematics and Artificial Intelligence 74, 9-28.
    """
    x, y, blocks = _usable(predictor, flux, time, block_days)
    if len(x) < 10 or len(np.unique(blocks)) < 4:
        raise InputError(
            f"a gap filler needs 10 rows in 4 blocks of {block_days} days, got "
            f"{len(x)} rows in {len(np.unique(blocks))}; shorten block_days or take "
            "a longer record"
        )
    line = ols(x, y)
    predicted = np.empty_like(y)
    for block in np.unique(blocks):
        out = blocks == block
        fit = ols(x[~out], y[~out])
        predicted[out] = fit.intercept + fit.slope * x[out]
    error = np.abs(y - predicted)
    spread = _fit_error_scale(predicted, error)
    scaled = np.sort(error / _error_scale(predicted, spread))
    rank = min(int(np.ceil(level * (len(scaled) + 1))), len(scaled)) - 1
    half_width = float(scaled[rank])
    return FickFill(line.slope, line.intercept, spread, half_width, level, len(x))


def validate_fick_fill(
    predictor,
    flux,
    time,
    *,
    level: float = 0.95,
    block_days: int = 3,
) -> pd.Series:
    """Score the gap filler on blocks of days it has not seen.

    Every block of days is left out in turn, fit and interval are made from the
    rest, and the left-out fluxes are compared with the prediction and with the
    plain mean of the rest.

    Parameters
    ----------
    predictor, flux, time, level, block_days
        As for `fit_fick_fill`.

    Returns
    -------
    pandas.Series
        ``n``, ``blocks``, ``rmse``, ``rmse_of_mean`` (umol m-2 s-1), ``skill``
        (1 - MSE / MSE of the mean: below zero it is worse than the mean),
        ``bias``, ``coverage`` and ``level``.

    Raises
    ------
    InputError
        If too few rows or blocks are left for `fit_fick_fill`.
    """
    x, y, blocks = _usable(predictor, flux, time, block_days)
    stamps = pd.DatetimeIndex(pd.to_datetime(time, format="ISO8601"))
    keep = np.isfinite(np.asarray(predictor, float)) & np.isfinite(
        np.asarray(flux, float)
    )
    stamps = stamps[keep]
    predicted = pd.DataFrame(
        np.nan, index=range(len(y)), columns=["flux", "flux_low", "flux_high"]
    )
    mean = np.empty_like(y)
    for block in np.unique(blocks):
        out = blocks == block
        model = fit_fick_fill(
            x[~out], y[~out], stamps[~out], level=level, block_days=block_days
        )
        predicted.loc[out] = model.predict(x[out]).to_numpy()
        mean[out] = y[~out].mean()
    error, naive = y - predicted["flux"], y - mean
    inside = (y >= predicted["flux_low"]) & (y <= predicted["flux_high"])
    return pd.Series(
        {
            "n": float(len(y)),
            "blocks": float(len(np.unique(blocks))),
            "rmse": float(np.sqrt((error**2).mean())),
            "rmse_of_mean": float(np.sqrt((naive**2).mean())),
            "skill": float(1.0 - (error**2).mean() / (naive**2).mean()),
            "bias": float(-error.mean()),
            "coverage": float(inside.mean()),
            "level": level,
        }
    )


def _usable(predictor, flux, time, block_days):
    """Return the rows with numbers, and their blocks of days."""
    x, y = np.asarray(predictor, float), np.asarray(flux, float)
    keep = np.isfinite(x) & np.isfinite(y)
    if not keep.any():
        raise InputError("no row has both a flux and a predictor")
    stamps = pd.DatetimeIndex(pd.to_datetime(time, format="ISO8601"))[keep]
    return x[keep], y[keep], day_blocks(stamps, block_days)


def _fit_error_scale(flux: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Fit ``error = a + b |flux|`` with both coefficients not negative."""
    from scipy.optimize import nnls

    (constant, share), _ = nnls(np.c_[np.ones_like(flux), np.abs(flux)], error)
    return float(constant), float(share)


def _error_scale(flux: np.ndarray, spread: tuple[float, float]) -> np.ndarray:
    """Return the expected absolute error of a prediction, never zero."""
    return np.maximum(spread[0] + spread[1] * np.abs(flux), 1e-12)


def _require_columns(table: pd.DataFrame, names: list[str]) -> None:
    """Raise unless the table has the columns."""
    missing = sorted(set(names) - set(table.columns))
    if missing:
        raise InputError(
            f"the table of pairs needs the columns {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}"
        )
