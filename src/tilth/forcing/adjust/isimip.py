"""ISIMIP3: parametric mapping that keeps trends, with settings for each variable."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.adjuster import Method
from tilth.forcing.adjust.draws import cell_identities
from tilth.forcing.adjust.groups import (
    DayWindow,
    Grouping,
    TimeGroups,
    as_grouping,
    day_of_common_year,
    group_times,
)
from tilth.forcing.adjust.isimip_steps import (
    Sample,
    VariableSettings,
    adjust_window,
    upper_bound_cycle,
)
from tilth.forcing.adjust.tables import label_groups, require_trained
from tilth.forcing.variables import convert_forcing


def _shares(units: str, annual_upper_bound: bool = False) -> VariableSettings:
    """Return the settings of a variable that is a share between 0 and 1."""
    return VariableSettings(
        units,
        "bounded",
        lower_bound=0.0,
        lower_threshold=1e-4,
        upper_bound=1.0,
        upper_threshold=0.9999,
        annual_upper_bound=annual_upper_bound,
    )


#: Variable (CMIP short name) -> its settings: Lange (2019), table 1; variables with two
#: bounds are mapped empirically, as in version 2 of the method and later.
VARIABLE_SETTINGS: dict[str, VariableSettings] = {
    "tas": VariableSettings("K", "additive", "normal", detrend=True),
    "pr": VariableSettings(
        "mm day-1", "mixed", "gamma", lower_bound=0.0, lower_threshold=0.1
    ),
    "hurs": VariableSettings(
        "%",
        "bounded",
        lower_bound=0.0,
        lower_threshold=0.01,
        upper_bound=100.0,
        upper_threshold=99.99,
        frequencies=False,
    ),
    "sfcWind": VariableSettings(
        "m s-1", "mixed", "weibull", lower_bound=0.0, lower_threshold=0.01
    ),
    "rsds": _shares("W m-2", annual_upper_bound=True),
    "rlds": VariableSettings("W m-2", "additive", "normal", detrend=True),
    "psl": VariableSettings("Pa", "additive", "normal", detrend=True),
    "tasrange": VariableSettings(
        "K", "mixed", "rice", lower_bound=0.0, lower_threshold=0.01
    ),
    "tasskew": _shares("1"),
}


@dataclass(frozen=True)
class ISIMIP3(Method):
    """Trend-preserving parametric quantile mapping after ISIMIP3.

    Significant trends are taken out; the simulated change of every quantile is carried
    over to the observations, as a difference, a ratio or between bounds; the target is
    mapped onto these pseudo-future observations by fitted distributions (empirically
    where they do not fit), and the number of dry days and the like by itself; trends
    are put back. Settings of each variable are in `VARIABLE_SETTINGS`.

    It follows the equations of the paper and is not a copy of its program: missing
    values are left out rather than imputed, the target is adjusted as one period (give
    it about 30 years at a time), and the likelihood of single events is not adjusted.

    Parameters
    ----------
    variable : str
        A name of `VARIABLE_SETTINGS`. Lowest and highest temperature of the day go by
        way of tasrange and tasskew: `range_and_skew`, `lowest_and_highest`.
    group : DayWindow or {"none", "month"}
        Days that share a distribution; 31 days as published.
    seed : int
        Of the random numbers beyond thresholds, which depend on it and on the place.

    Raises
    ------
    InputError
        If the variable has no settings.

    References
    ----------
    Lange (2019), Geoscientific Model Development 12, 3055-3070.
    """

    variable: str
    group: Grouping = DayWindow(31)  # noqa: RUF009  frozen
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        if self.variable not in VARIABLE_SETTINGS:
            extremes = (
                ": adjust tas, tasrange and tasskew, see range_and_skew"
                if self.variable in ("tasmin", "tasmax")
                else f": there are {', '.join(VARIABLE_SETTINGS)}"
            )
            raise InputError(f"ISIMIP3 has no settings for {self.variable!r}{extremes}")

    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return both series themselves: fits depend on the target, too."""
        groups = (
            group_times(observed["time"], self.group),
            group_times(modelled["time"], self.group),
        )
        settings_in(self.variable, str(observed.attrs["units"]))
        table = xr.Dataset(
            {
                "observed": observed.rename(time="time_observed"),
                "modelled": modelled.rename(time="time_modelled"),
            }
        )
        for name in table:
            table[name].attrs = {}
        return label_groups(table, groups)

    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the adjusted target."""
        times = (table["time_observed"], table["time_modelled"], target["time"])
        groups = tuple(group_times(t, self.group) for t in times)
        require_trained(table, groups[2])
        return apply_kernel(
            _adjust_kernel,
            table["observed"].drop_vars("time_observed"),
            table["modelled"].drop_vars("time_modelled"),
            target,
            cell_identities(target),
            core_dims=[("time_observed",), ("time_modelled",), ("time",), ()],
            output_dims=[("time",)],
            options={
                "groups": groups,
                "years": tuple(t.dt.year.values for t in times),
                "days": tuple(day_of_common_year(t) for t in times),
                "settings": settings_in(self.variable, table.attrs["units"]),
                "seed": self.seed,
            },
        )


def settings_in(variable: str, units: str) -> VariableSettings:
    """Return the settings of a variable with bounds and thresholds in other units.

    Parameters
    ----------
    variable : str
        A name of `VARIABLE_SETTINGS`.
    units : str
        Units of the data.

    Returns
    -------
    VariableSettings
        In these units; where values are scaled by an upper bound, fractions of it.

    Raises
    ------
    UnitsError
        If the units are of another kind.

    Examples
    --------
    >>> settings_in("hurs", "1").upper_threshold
    0.9999
    """
    settings = VARIABLE_SETTINGS[variable]
    limits = {
        name: value
        for name in (
            "lower_bound",
            "lower_threshold",
            "upper_bound",
            "upper_threshold",
        )
        for value in [getattr(settings, name)]
        if value is not None
    }
    numbers = xr.DataArray(
        list(limits.values()),
        dims="limit",
        name=variable,
        # Of temperature only ranges have limits.
        attrs={
            "units": settings.units,
            "units_metadata": "temperature: difference",
        },
    )
    converted = convert_forcing(numbers, units).values.tolist()
    if settings.annual_upper_bound:
        return replace(settings, units=units)
    return replace(settings, units=units, **dict(zip(limits, converted, strict=True)))


def range_and_skew(
    mean: xr.DataArray, lowest: xr.DataArray, highest: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the daily range of temperature and where in it the mean lies.

    Parameters
    ----------
    mean, lowest, highest : xarray.DataArray
        Temperatures of a day, all in the same units.

    Returns
    -------
    tasrange : xarray.DataArray
        Highest less lowest, K.
    tasskew : xarray.DataArray
        (mean - lowest) / range, 0 to 1; 1/2 where the range is zero, and a mean outside
        the range counts as its nearer end.

    Raises
    ------
    InputError
        If the units differ.
    """
    units = {str(x.attrs.get("units")) for x in (mean, lowest, highest)}
    if len(units) > 1:
        raise InputError(
            f"temperatures are in {', '.join(sorted(units))}: convert them to the same "
            "units first"
        )
    span = (highest - lowest).clip(min=0.0).rename("tasrange")
    span.attrs = {"units": "K", "units_metadata": "temperature: difference"}
    share = ((mean - lowest) / span.where(span > 0.0)).clip(0.0, 1.0)
    share = share.where(~(span == 0.0), 0.5).where(mean.notnull()).rename("tasskew")
    share.attrs = {"units": "1"}
    return span, share


def lowest_and_highest(
    mean: xr.DataArray, span: xr.DataArray, skew: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return lowest and highest temperature of the day from range and skew.

    The inverse of `range_and_skew`: lowest <= mean <= highest by construction.

    Parameters
    ----------
    mean : xarray.DataArray
        Mean temperature, degC or K.
    span : xarray.DataArray
        tasrange, K.
    skew : xarray.DataArray
        tasskew, 0 to 1.

    Returns
    -------
    tasmin, tasmax : xarray.DataArray
        In the units of `mean`.
    """
    lowest = (mean - skew * span).rename("tasmin")
    highest = (lowest + span).rename("tasmax")
    units = {"units": mean.attrs["units"]} if "units" in mean.attrs else {}
    lowest.attrs, highest.attrs = dict(units), dict(units)
    return lowest, highest


def _adjust_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    target: np.ndarray,
    cells: np.ndarray,
    groups: tuple[TimeGroups, ...],
    years: tuple[np.ndarray, ...],
    days: tuple[np.ndarray, ...],
    settings: VariableSettings,
    seed: int,
) -> np.ndarray:
    """Return the adjusted target, shape (..., time)."""
    result = np.empty(target.shape)
    for place in np.ndindex(target.shape[:-1]):
        series = [observed[place], modelled[place], target[place]]
        bound = np.ones(target.shape[-1])
        if settings.annual_upper_bound:
            series, bound = _scaled(series, days)
        result[place] = bound * _adjust_series(
            series, groups, years, settings, [seed, int(cells[place])]
        )
    return result


def _scaled(
    series: list[np.ndarray], days: tuple[np.ndarray, ...]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Divide each series by its upper bound; also return the target's adjusted one.

    The observed bound changes by the ratio that the simulated one does. Where it is
    zero, in polar night, all shares are zero.
    """
    cycles = [
        upper_bound_cycle(x, day) for x, day in zip(series, days, strict=True)
    ]  # fmt: skip
    shares = []
    for x, day, cycle in zip(series, days, cycles, strict=True):
        top = cycle[day]
        share = np.divide(x, top, out=np.zeros_like(x), where=top > 0.0)
        shares.append(np.where(np.isfinite(x), np.clip(share, 0.0, 1.0), np.nan))
    observed, modelled, target = cycles
    change = np.divide(target, modelled, out=np.ones(365), where=modelled > 0.0)
    return shares, (observed * change)[days[2]]


def _adjust_series(
    series: list[np.ndarray],
    groups: tuple[TimeGroups, ...],
    years: tuple[np.ndarray, ...],
    settings: VariableSettings,
    seed: list[int],
) -> np.ndarray:
    """Adjust one target series, group by group; NaN where a group has no values."""
    result = np.full(series[2].size, np.nan)
    of_target = groups[2]
    for group, (start, stop) in enumerate(of_target.own):
        if start == stop:
            continue
        samples, present = [], np.zeros(0, int)
        for x, of, year in zip(series, groups, years, strict=True):
            days = of.order[slice(*of.window[group])]
            present = np.flatnonzero(np.isfinite(x[days]))
            samples.append(Sample(x[days[present]], year[days[present]]))
        if any(sample.values.size == 0 for sample in samples):
            continue
        # `present` is now that of the target: find its own days among those present.
        first = of_target.window[group, 0]
        own = np.arange(start, stop) - first
        wanted = np.searchsorted(present, own)
        there = (wanted < present.size) & np.isin(own, present)
        steps = of_target.order[start:stop][there]
        if steps.size:
            result[steps] = adjust_window(
                (samples[0], samples[1], samples[2]),
                wanted[there],
                settings,
                np.random.default_rng([*seed, group]),
            )
    return result
