"""Thaw settlement: seasons that follow Stefan's law, and the trend beneath them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.gnss.surface.elevation import THAW
from tilth.gnss.surface.memory import CorrelatedFit, correlated_fit
from tilth.gnss.surface.seasons import degree_days
from tilth.gnss.surface.thaw_days import design_columns, known_of_days, left_out

#: Change of apparent height from dry soil to wet, m, that is assumed where moisture is
#: not given: dry soil seems lower. An assumption, for want of one measured at the site.
MOISTURE_RANGE = 0.02

#: Residuals beyond this many robust standard deviations are left out.
_LIMIT = 5.0

#: Scatter of days that is never taken for smaller, m: no antenna does better.
_LEAST_SCATTER = 5e-4


@dataclass(frozen=True, eq=False)
class ThawFit:
    """Seasons and trend of a surface over thawing ground.

    Parameters
    ----------
    parameters : pandas.DataFrame
        By name: ``value``, ``se``, ``unit``.
    degrees_of_freedom : float
        Of the trend: seasons less two, since errors of whole seasons are estimated.
    noise : dict of str to float
        Standard deviations (m) of the parts of the errors; days of memory.
    years : xarray.Dataset
        Along ``year``: ``subsidence`` and ``subsidence_se`` (m, at the end of thaw),
        ``thaw_total`` (K day), ``days`` used.
    series : xarray.Dataset
        Along ``time``: ``surface_change``, ``fitted``, ``seasonal``, ``residual`` (m)
        and ``quality_flag``.
    moisture_bias : float
        Largest bias of the trend by soil that became drier or wetter, m yr-1: its
        whole range over the record. Zero where moisture took part in the fit.
    antenna : str
        What the antenna was taken to do.
    """

    parameters: pd.DataFrame
    degrees_of_freedom: float
    noise: dict[str, float]
    years: xr.Dataset
    series: xr.Dataset
    moisture_bias: float
    antenna: str

    @property
    def trend(self) -> float:
        """Secular change of the surface, m yr-1; NaN with fewer than three seasons."""
        return self._parameter("trend", "value")

    @property
    def trend_se(self) -> float:
        """Standard error of the trend, m yr-1."""
        return self._parameter("trend", "se")

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return an interval that holds the trend with a given probability.

        Parameters
        ----------
        level : float
            Probability.

        Returns
        -------
        (float, float)
            Ends, m yr-1, by Student's t.
        """
        half = stats.t.ppf(0.5 + level / 2.0, self.degrees_of_freedom) * self.trend_se
        return float(self.trend - half), float(self.trend + half)

    def to_dataset(self) -> xr.Dataset:
        """Return everything as one dataset, for a file.

        Returns
        -------
        xarray.Dataset
            ``series`` and ``years`` with parameters and noise as attributes.
        """
        found = xr.merge([self.series, self.years])
        found.attrs = {"antenna": self.antenna, "moisture_bias": self.moisture_bias}
        for name, row in self.parameters.iterrows():
            found.attrs[str(name)] = float(row["value"])
            found.attrs[f"{name}_se"] = float(row["se"])
            found.attrs[f"{name}_units"] = str(row["unit"])
        found.attrs |= {f"noise_{name}": x for name, x in self.noise.items()}
        return found

    def _parameter(self, name: str, column: str) -> float:
        if name not in self.parameters.index:
            return float("nan")
        return float(self.parameters[column][name])


def fit_thaw(
    change: xr.Dataset,
    temperature: xr.DataArray,
    *,
    amplitude: str = "shared",
    freeze_up: bool = False,
    refrozen: float = 0.5,
    moisture: xr.DataArray | None = None,
    snow: xr.DataArray | None = None,
    steps: Sequence[str | np.datetime64] = (),
    noise: str = "ar1",
    southern: bool = False,
) -> ThawFit:
    r"""Fit thaw settlement: seasons by Stefan's law, a trend, and errors that remember.

    .. math:: z(t) = z_0 + v\,(t - t_0)
       - D_y \sqrt{I_t / \hat I} + F \sqrt{I_f / \hat I} + \ldots

    with thaw index :math:`I_t` and, in freeze-up, freeze index :math:`I_f`. With a
    shared amplitude :math:`\hat I` is the mean of the seasons' totals and D the same
    in every year, so that warm summers sink further; else each year has its own D, at
    its own total.

    Parameters
    ----------
    change : xarray.Dataset
        Of `tilth.gnss.surface.elevation.surface_change`.
    temperature : xarray.DataArray
        Of the air, daily means along ``time`` without gaps, with units.
    amplitude : {"shared", "yearly"}
        Of the subsidence.
    freeze_up : bool
        Whether days of freeze-up take part, until the layer has frozen again.
    refrozen : float
        Freeze index over that of the thaw at which it has. By Stefan's law this is the
        ratio of the conductivities of thawed and frozen ground.
    moisture : xarray.DataArray, optional
        Soil moisture along ``time``, m3 m-3: its effect on heights is then one more
        coefficient.
    snow : xarray.DataArray of bool, optional
        Along ``time``: days with snow on the ground, which are left out.
    steps : sequence of datetime64
        First days with another antenna or radome: each has its own offset.
    noise : {"ar1", "flicker", "white"}
        Of the residuals: white, with memory of days and scatter of years; white and
        flicker; white alone, which is too sure of itself.
    southern : bool
        Whether years go from July to June.

    Returns
    -------
    ThawFit
        Trend with its interval, subsidence of each year, noise, series.

    Raises
    ------
    InputError
        If a season has no temperature, days are too few, or an option is unknown.

    References
    ----------
    Liu & Larson (2018), Cryosphere 12, 477-489. Hu et al. (2018), Geophys. Res. Lett.
    45, 5581-5589 (thaw and freeze-up). Liu et al. (2012), J. Geophys. Res. 117, F01005.
    """
    require_variables(change, ("time", "surface_change"), "changes of the surface")
    if amplitude not in ("shared", "yearly"):
        raise InputError(f"amplitude is 'shared' or 'yearly', got {amplitude!r}")
    if not refrozen > 0:
        raise InputError(f"refrozen is {refrozen}: a ratio of indices is positive")
    air = degree_days(temperature, southern=southern)
    rows = known_of_days(change, air, moisture, snow)
    flags = left_out(rows, freeze_up, refrozen, moisture is not None)
    used = ~np.any(list(flags.values()), axis=0)
    outlier = np.zeros(used.size, bool)
    for _ in range(3):
        kept = used & ~outlier
        design = design_columns(rows, kept, air, amplitude, freeze_up, steps)
        fit = _fitted(rows, design, kept, noise)
        residual = rows["z"].to_numpy() - design.to_numpy() @ fit.coefficients
        scale = 1.4826 * np.median(np.abs(residual[kept]))
        far = used & (np.abs(residual) > _LIMIT * max(scale, _LEAST_SCATTER))
        if (far == outlier).all():
            break
        outlier = far
    flags["outlier"] = outlier
    seasons = np.unique(rows["season"].to_numpy()[kept])
    se = np.sqrt(np.diag(fit.covariance))
    names = [str(name) for name in design.columns]
    parameters = pd.DataFrame(
        {
            "value": fit.coefficients,
            "se": se,
            "unit": ["m yr-1" if name == "trend" else "m" for name in names],
        },
        index=names,
    )
    season = [k for k, name in enumerate(names) if name.startswith(("subsid", "heave"))]
    series = xr.Dataset(
        {
            "surface_change": change["surface_change"],
            "fitted": ("time", design.to_numpy() @ fit.coefficients),
            "seasonal": (
                "time",
                design.to_numpy()[:, season] @ fit.coefficients[season],
            ),
            "residual": ("time", np.where(kept, residual, np.nan)),
            "quality_flag": ("time", THAW.variable(flags, used.shape), THAW.attrs()),
        },
        {"time": change["time"]},
    )
    for name in ("fitted", "seasonal", "residual"):
        series[name].attrs["units"] = "m"
    span = np.ptp(rows["years"].to_numpy()[kept])
    return ThawFit(
        parameters,
        float(max(seasons.size - 2 - len(steps), 1)),
        fit.noise,
        _by_year(parameters, seasons, air, rows, kept, amplitude),
        series,
        0.0 if moisture is not None else MOISTURE_RANGE / max(span, 1.0),
        str(change.attrs.get("antenna", "taken to stand still")),
    )


def _fitted(
    rows: pd.DataFrame, design: pd.DataFrame, kept: np.ndarray, noise: str
) -> CorrelatedFit:
    """Fit the days that are kept."""
    trended = "trend" in design
    groups = rows["season"].to_numpy()[kept] if trended else np.zeros(kept.sum())
    # With a level for each season, or one alone, seasons have no scatter of their own.
    return correlated_fit(
        rows["z"].to_numpy()[kept],
        design.to_numpy()[kept],
        rows["day"].to_numpy()[kept],
        groups,
        rows["weight"].to_numpy()[kept],
        noise,
    )


def _by_year(
    parameters: pd.DataFrame,
    seasons: np.ndarray,
    air: xr.Dataset,
    rows: pd.DataFrame,
    kept: np.ndarray,
    amplitude: str,
) -> xr.Dataset:
    """Return the subsidence of each season at the end of its thaw."""
    totals = pd.Series(air["thaw_total"].values, air["year"].values)[seasons]
    if amplitude == "shared":
        scale = np.sqrt(totals.to_numpy() / totals.mean())
        sunk = parameters.loc["subsidence", ["value", "se"]].to_numpy(float)
        value, se = sunk[0] * scale, sunk[1] * scale
    else:
        names = [f"subsidence_{int(year)}" for year in seasons]
        value, se = parameters.loc[names, ["value", "se"]].to_numpy(float).T
    days = [int((kept & (rows["season"].to_numpy() == year)).sum()) for year in seasons]
    return xr.Dataset(
        {
            "subsidence": ("year", value, {"units": "m"}),
            "subsidence_se": ("year", se, {"units": "m"}),
            "thaw_total": ("year", totals.to_numpy(), {"units": "K day"}),
            "days": ("year", days, {"long_name": "days of the season in the fit"}),
        },
        {"year": seasons.astype(int)},
    )
