"""Filters that flag closures: night, implausible values, chambers that failed.

Each takes a closures dataset and returns it with bits raised in ``closure_flag``;
nothing is dropped. `flag_closures` runs them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.air import saturation_vapour_pressure, water_vapour
from tilth.chambers.soil.diffusion import CLOGGED_SOIL_CO2
from tilth.core.errors import InputError
from tilth.core.flags import flag_masks
from tilth.core.model import require_variables, stamp
from tilth.core.units import convert, parse_units

#: Light up to which it is night (Paessler et al. 2024), lux.
NIGHT_LIGHT = 10.0

#: Limits of what can be true: variable, unit, lowest, highest, flag.
_PLAUSIBLE = (
    ("temperature", "degC", -60.0, 55.0, "implausible_temperature"),
    ("humidity_temperature", "degC", -60.0, 60.0, "implausible_temperature"),
    ("pressure", "Pa", 30_000.0, 110_000.0, "implausible_pressure"),
    # Capacitive sensors read a little above saturation when wet.
    ("relative_humidity", "%", 0.0, 105.0, "implausible_humidity"),
    ("light", "lux", 0.0, 150_000.0, "implausible_light"),
)

#: End of the range of the fleet's NDIR sensors, umol mol-1 (Sensirion SCD30).
_CO2_SENSOR_LIMIT = 40_000.0


@dataclass(frozen=True)
class Limits:
    """What counts as no change, as ambient and as returned to ambient.

    Attributes
    ----------
    co2_change : float
        Change over the closure below which CO2 stood still, umol mol-1: what the
        firmware of the fleet waits for.
    h2o_change : float
        The same of water vapour, mmol mol-1: half a percent of relative humidity
        at 20 degC, several times the noise of a cheap sensor.
    ambient : float
        Distance from ambient air within which a chamber is at ambient, umol mol-1:
        three standard deviations between sensors after a common calibration
        (14-17 ppm, Paessler et al. 2024).
    recovery : float
        Share of what a closure gathered that may be left at the next closing; a
        flushed chamber keeps less than a hundredth.
    soil_co2 : float
        Soil CO2 above which a pot without flux is clogged, umol mol-1.
    settle : float
        Time after closing not used for the change, s: the response of the sensor.
    longest_gap : float
        Time between closures up to which one tells about the next, s.
    """

    co2_change: float = 5.0
    h2o_change: float = 0.1
    ambient: float = 50.0
    recovery: float = 0.5
    soil_co2: float = CLOGGED_SOIL_CO2
    settle: float = 20.0
    longest_gap: float = 1800.0


def flag_closures(closures: xr.Dataset, limits: Limits | None = None) -> xr.Dataset:
    """Run every filter of this module that the variables at hand allow.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset. Without ``light`` the night filter is left out, without
        ``co2`` as a mole fraction, ``device`` and ``time`` the tests of the lid.
    limits : Limits, optional
        Of the physical tests.

    Returns
    -------
    xarray.Dataset
        With bits raised in ``closure_flag``.
    """
    flagged = flag_implausible(closures)
    if "light" in closures:
        flagged = flag_daylight(flagged)
    if {"co2", "device", "time"} <= set(closures.variables) and _is_mole_fraction(
        closures["co2"]
    ):
        signs = closure_signs(closures, limits)
        flagged = flag_no_exchange(flagged, signs, limits)
        flagged = flag_stuck_closed(flagged, signs, limits)
    return stamp(flagged, f"chambers.flag_closures {limits or Limits()}")


def flag_daylight(closures: xr.Dataset, limit: float = NIGHT_LIGHT) -> xr.Dataset:
    """Flag the closures that were not made in the dark.

    The brightest valid reading of a closure decides. A reading below zero is the
    error code of the sensor, **not darkness**: in the fleet's hourly data of 2023
    hours with -1 lux are single cycles in full daylight, four times as high as the
    nights around them. Such closures get ``light_unknown``, unless the other
    devices at the same time (median of the closures within the same 10 minutes)
    tell whether it was night.

    Parameters
    ----------
    closures : xarray.Dataset
        With ``light`` (closure) or (closure, sample), lux.
    limit : float
        Light up to which it is night, lux.

    Returns
    -------
    xarray.Dataset
        ``daylight`` and ``light_unknown`` raised.
    """
    require_variables(closures, ["light", "closure_flag"], "the night filter")
    reading = convert(closures["light"], "lux")
    valid = (reading.values >= 0) & (reading.values <= 150_000.0)
    light = np.where(valid, reading.values, -np.inf)
    if reading.ndim == 2:
        closed = closures["elapsed"].values >= 0
        light = np.where(closed, light, -np.inf).max(axis=1, initial=-np.inf)
    light = np.where(light >= 0, light, np.nan)
    if "time" in closures.variables:
        stamps = closures["time"].dt.floor("10min").values
        around = pd.Series(light).groupby(stamps).transform("median").to_numpy()
        light = np.where(np.isnan(light), around, light)
    flagged = _raise(closures, "daylight", light > limit)
    return _raise(flagged, "light_unknown", np.isnan(light))


def flag_implausible(closures: xr.Dataset) -> xr.Dataset:
    """Flag closures with a value no instrument can have measured.

    Checks every column that is there, in its units: temperature, pressure,
    relative humidity, water vapour (against saturation), light, every gas (above
    zero; CO2 below the sensor limit of 40,000 umol mol-1) and soil CO2. A column in
    the wrong units, such as a pressure of 972 "Pa", is caught this way too.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset.

    Returns
    -------
    xarray.Dataset
        ``implausible_*`` raised.
    """
    flagged = closures
    for name, units, low, high, flag in _PLAUSIBLE:
        if name in closures:
            values = convert(closures[name], units)
            flagged = _raise(flagged, flag, _any((values < low) | (values > high)))
    if "h2o" in closures:
        water = convert(closures["h2o"], "1")
        wrong = (water < 0) | (water > 1)
        if {"temperature", "pressure"} <= set(closures.variables):
            vapour = saturation_vapour_pressure(
                convert(closures["temperature"], "degC")
            )
            # Five percent for the errors of two sensors near saturation.
            wrong = wrong | (
                water > 1.05 * vapour / convert(closures["pressure"], "Pa")
            )
        flagged = _raise(flagged, "implausible_humidity", _any(wrong))
    for gas in ("co2", "ch4", "n2o"):
        if gas in closures:
            values, highest = closures[gas], np.inf
            if _is_mole_fraction(values):
                values = convert(values, "umol mol-1")
                highest = _CO2_SENSOR_LIMIT if gas == "co2" else 1e6
            wrong = (values <= 0) | (values >= highest)
            flagged = _raise(flagged, "implausible_concentration", _any(wrong))
    if "soil_co2" in closures:
        values = convert(closures["soil_co2"], "umol mol-1")
        wrong = (values <= 0) | (values >= _CO2_SENSOR_LIMIT)
        flagged = _raise(flagged, "implausible_soil_co2", _any(wrong))
    return flagged


def closure_signs(closures: xr.Dataset, limits: Limits | None = None) -> xr.Dataset:
    """Summarise what the physical tests look at, one value per closure.

    Parameters
    ----------
    closures : xarray.Dataset
        With ``co2``, ``device`` and ``time``; better also a humidity. ``ambient_co2``
        (closure) is used as it is where given; otherwise ambient is the median of
        what the other devices read before closing in the same 15 minutes, or, with
        fewer than three devices, of the device's own readings within 12 hours.
    limits : Limits, optional
        Of the physical tests.

    Returns
    -------
    xarray.Dataset
        ``co2_change`` and ``h2o_change`` over the closure with their ``_se``
        (least-squares slope times duration; umol mol-1, mmol mol-1; the latter NaN
        without humidity),
        ``start_co2``, ``end_co2``, ``excess`` (start above ambient, less the usual
        offset of the device) and ``kept`` (share of what the closure before had
        gathered that is still there: 0 after a flush, 1 and more in a chamber that
        stayed closed; for a closure without one before it, what the closure after
        it says; NaN without either).
    """
    limits = limits or Limits()
    require_variables(
        closures, ["co2", "elapsed", "time", "device"], "the tests of the lid"
    )
    t = convert(closures["elapsed"], "s").values
    co2 = convert(closures["co2"], "umol mol-1").values
    valid = np.isfinite(t) & np.isfinite(co2)
    last = np.where(valid, t, -np.inf).max(axis=1, initial=-np.inf)
    pace, pace_se = _slope(t, co2, t >= limits.settle)
    water = water_vapour(closures)
    wetting = wetting_se = np.full(len(pace), np.nan)
    # One humidity per closure says nothing of a change.
    if water is not None and "sample" in water.dims:
        moist = 1e3 * water.transpose("closure", "sample").values
        wetting, wetting_se = _slope(t, moist, t >= 0)
    led = np.any(t < 0, axis=1, keepdims=True)
    early = np.where(led, t <= 0, (t >= 0) & (t <= 10))
    start = _row_median(co2, early)
    end = _row_median(co2, t > last[:, None] - 15.0)
    frame = pd.DataFrame(
        {
            "device": closures["device"].values.astype(str),
            "time": pd.DatetimeIndex(closures["time"].values),
            "start": start,
            "end": end,
            "rise": pace * last,
            "pace": pace,
        }
    )
    if "ambient_co2" in closures:
        frame["ambient"] = convert(closures["ambient_co2"], "umol mol-1").values
    else:
        frame["ambient"] = _ambient(frame)
    usual = (frame["start"] - frame["ambient"]).groupby(frame["device"])
    # A chamber stuck for most of its record must not pass its excess off as offset.
    offset = usual.transform("median").clip(-limits.ambient, limits.ambient)
    frame["excess"] = frame["start"] - frame["ambient"] - offset
    frame["end_excess"] = frame["end"] - frame["ambient"] - offset
    values = {
        "co2_change": (pace * last, "umol mol-1"),
        "co2_change_se": (pace_se * last, "umol mol-1"),
        "h2o_change": (wetting * last, "mmol mol-1"),
        "h2o_change_se": (wetting_se * last, "mmol mol-1"),
        "start_co2": (start, "umol mol-1"),
        "end_co2": (end, "umol mol-1"),
        "excess": (frame["excess"].to_numpy(), "umol mol-1"),
        "kept": (_kept(frame, limits).to_numpy(), "1"),
    }
    return xr.Dataset(
        {name: ("closure", v, {"units": units}) for name, (v, units) in values.items()},
        coords={"closure": closures["closure"]},
    )


def flag_no_exchange(
    closures: xr.Dataset, signs: xr.Dataset, limits: Limits | None = None
) -> xr.Dataset:
    """Flag chambers stuck open and clogged pots, and say where one cannot tell.

    Both show the same: neither CO2 nor water vapour moves, at ambient
    concentration. What tells them apart is the servo (``servo_ok``: 1, 0 or NaN)
    and the soil CO2 (``soil_co2``), where there are any:

    ==============  =============  ====================
    servo           soil CO2       flag
    ==============  =============  ====================
    stalled         any            ``stuck_open``
    worked          any            ``clogged_pot``
    unknown         high           ``clogged_pot``
    unknown         low, unknown   ``open_or_clogged``
    ==============  =============  ====================

    Low soil CO2 clears no pot: a blocked soil fills up within hours to a day, so the
    highest soil CO2 of an unbroken run of such closures speaks for all of it.

    Without a humidity a still CO2 alone is no proof (a low flux does the same):
    then only a stalled servo is.

    Parameters
    ----------
    closures, signs : xarray.Dataset
        Closures and their `closure_signs`.
    limits : Limits, optional
        What counts as no change.

    Returns
    -------
    xarray.Dataset
        ``stuck_open``, ``clogged_pot`` and ``open_or_clogged`` raised.
    """
    limits = limits or Limits()
    nothing = np.full(closures.sizes["closure"], np.nan)
    servo = closures["servo_ok"].values if "servo_ok" in closures else nothing
    soil = nothing
    if "soil_co2" in closures:
        soil = convert(closures["soil_co2"], "umol mol-1").values
        if soil.ndim == 2:  # one reading per sample: their mean
            known = np.isfinite(soil)
            count = known.sum(axis=1)
            total = np.where(known, soil, 0.0).sum(axis=1)
            soil = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        soil = np.where((soil > 0) & (soil <= _CO2_SENSOR_LIMIT), soil, np.nan)
    stalled, worked = servo == 0, servo == 1
    dry_still = _no_change(signs, "h2o_change", limits.h2o_change)
    dry_still = dry_still | (np.isnan(signs["h2o_change"].values) & stalled)
    still = _no_change(signs, "co2_change", limits.co2_change) & dry_still
    still = still & (np.abs(signs["excess"].values) <= limits.ambient)
    soil = _highest_of_run(closures, still, soil, limits.longest_gap)
    clogged = worked | (~stalled & (soil > limits.soil_co2))
    flagged = _raise(closures, "stuck_open", still & stalled)
    flagged = _raise(flagged, "clogged_pot", still & clogged)
    return _raise(flagged, "open_or_clogged", still & ~stalled & ~clogged)


def flag_stuck_closed(
    closures: xr.Dataset, signs: xr.Dataset, limits: Limits | None = None
) -> xr.Dataset:
    """Flag chambers that did not open after the closure before.

    Two things must hold: the air before closing is off ambient by more than
    `Limits.ambient`, and of what had gathered by the end of the closure before,
    more than `Limits.recovery` is still there. A breath of a visitor fulfils the
    first only: it is far more than the flux can have built up since.

    Parameters
    ----------
    closures, signs : xarray.Dataset
        Closures and their `closure_signs`.
    limits : Limits, optional
        What counts as ambient and as returned.

    Returns
    -------
    xarray.Dataset
        ``stuck_closed`` raised.
    """
    limits = limits or Limits()
    away = np.abs(signs["excess"].values) > limits.ambient
    kept = signs["kept"].values > limits.recovery
    return _raise(closures, "stuck_closed", away & kept)


def _highest_of_run(
    closures: xr.Dataset, still: np.ndarray, soil: np.ndarray, longest_gap: float
) -> np.ndarray:
    """Return the highest soil CO2 of the run of still closures that each is in."""
    frame = pd.DataFrame(
        {
            "device": closures["device"].values.astype(str),
            "time": pd.DatetimeIndex(closures["time"].values),
            "still": still,
            "soil": soil,
        }
    ).sort_values(["device", "time"])
    gap = frame["time"].diff() > pd.Timedelta(seconds=longest_gap)
    other = frame["device"] != frame["device"].shift(1)
    run = (gap | other | (frame["still"] != frame["still"].shift(1))).cumsum()
    highest = frame.groupby(run)["soil"].transform("max")
    return highest.where(frame["still"], frame["soil"]).sort_index().to_numpy()


def _kept(frame: pd.DataFrame, limits: Limits) -> pd.Series:
    """Return the share of what a closure gathered that the time after it left."""
    order = frame.sort_values(["device", "time"])
    before = order.groupby("device")[["time", "end_excess", "rise", "pace"]].shift(1)
    gap = (order["time"] - before["time"]).dt.total_seconds()
    near = gap <= limits.longest_gap
    left = order["excess"] - before["end_excess"]
    share = 1.0 + left / before["rise"].where(before["rise"].abs() > 0)
    # Where hardly anything was gathered, the whole excess is what may have stayed.
    hardly = before["rise"].abs() < limits.co2_change
    share = share.where(~hardly, order["excess"] / before["end_excess"])
    # More than the flux can have added since comes from outside, by an open lid.
    reachable = before["end_excess"].abs() + 1.5 * before["pace"].abs() * gap
    outside = order["excess"].abs() > reachable + limits.ambient
    share = share.where(~outside, 0.0).where(near)
    after = share.groupby(order["device"]).shift(-1)
    return share.fillna(after).reindex(frame.index)


def _ambient(frame: pd.DataFrame) -> pd.Series:
    """Return the CO2 of the room at each closure."""
    if frame["device"].nunique() >= 3:
        moment = frame["time"].dt.floor("15min")
        return frame.groupby(moment)["start"].transform("median")
    # A closure whose time is not known has no neighbours, and no ambient air.
    order = frame.dropna(subset="time").sort_values(["device", "time"])
    rolling = (
        order.set_index("time")
        .groupby("device")["start"]
        .rolling("24h", center=True, min_periods=1)
        .median()
    )
    return pd.Series(rolling.to_numpy(), index=order.index).reindex(frame.index)


def _slope(
    t: np.ndarray, values: np.ndarray, use: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares slope of each row and its standard error."""
    use = use & np.isfinite(values) & np.isfinite(t)
    count = use.sum(axis=1)
    n = np.maximum(count, 1)[:, None]
    x, y = np.where(use, t, 0.0), np.where(use, values, 0.0)
    dx = np.where(use, x - x.sum(axis=1, keepdims=True) / n, 0.0)
    dy = np.where(use, y - y.sum(axis=1, keepdims=True) / n, 0.0)
    spread = np.where(count > 2, (dx * dx).sum(axis=1), np.nan)
    spread = np.where(spread > 0, spread, np.nan)
    slope = (dx * dy).sum(axis=1) / spread
    rest = ((dy - slope[:, None] * dx) ** 2).sum(axis=1) / np.maximum(count - 2, 1)
    return slope, np.sqrt(rest / spread)


def _row_median(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Return the median of the chosen values of each row, NaN without any."""
    use = use & np.isfinite(values)
    ordered = np.sort(np.where(use, values, np.inf), axis=1)
    count = use.sum(axis=1)
    rows = np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = 0.5 * (ordered[rows, low] + ordered[rows, high])
    return np.where(count > 0, middle, np.nan)


def _no_change(signs: xr.Dataset, name: str, limit: float) -> np.ndarray:
    """Return where a change is below its limit or within its own noise."""
    noise = 2.0 * signs[f"{name}_se"].values
    return np.abs(signs[name].values) < np.maximum(limit, noise)


def _is_mole_fraction(gas: xr.DataArray) -> bool:
    """Return whether it is no mass concentration."""
    return bool(parse_units(str(gas.attrs.get("units", "1"))).dimensionless)


def _any(where: xr.DataArray) -> np.ndarray:
    """Return where it holds for any sample of a closure."""
    return (where.any("sample") if "sample" in where.dims else where).values


def _raise(closures: xr.Dataset, meaning: str, where: np.ndarray) -> xr.Dataset:
    """Return the dataset with one more flag raised.

    On plain arrays: aligning the text labels of a fleet takes longer than the tests.
    """
    flag = closures["closure_flag"]
    try:
        mask = flag_masks(flag)[meaning]
    except KeyError:
        raise InputError(
            f"closure_flag knows no {meaning!r}: the closures were made by another "
            "version of Tilth; read them again"
        ) from None
    values = (flag.values | np.where(where, mask, 0)).astype("int32")
    return closures.assign(closure_flag=(flag.dims, values, flag.attrs))
