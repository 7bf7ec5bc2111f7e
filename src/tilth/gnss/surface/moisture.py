"""Soil moisture by the phase of reflected signals, less what plants do to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables

#: Percent of volume per degree of phase, GPS L2C, bare soil, upper 5 cm. Chew et al.
#: (2014).
SLOPE = 1.48

#: Degrees of phase per unit of normalised amplitude times `SLOPE`. Chew et al. (2016).
_VEGETATION = 50.25

#: Phase that bare soil has before it counts as wet, degrees. Chew et al. (2016).
_OFFSET = 2.0

#: Days over which the amplitude is smoothed.
_WINDOW = 30

#: Doys between which soil is driest, exclusive: north and south of the equator.
DRY = {"north": (180, 273), "south": (330, 45)}

#: Share of the days of the dry season that are taken as the driest.
_DRIEST = 0.15

#: Limits of the change of phase: plants make it larger, and so does little rain.
_LIMITS = {"usual": (-20.0, 60.0), "dense": (-30.0, 100.0)}


def daily_phases(
    phases: xr.Dataset,
    *,
    vegetation: str = "usual",
    required: int = 10,
    fewest: int = 30,
) -> xr.Dataset:
    """Mean change of phase per day over all tracks.

    Each track is counted from its own driest days and its own strongest amplitudes: a
    change of phase is less the median of the largest fifth of the phases, with the sign
    turned, and then less the median of the smallest fifth of these; amplitudes are
    divided by the mean of the largest 15 %.

    Parameters
    ----------
    phases : xarray.Dataset
        Along ``arc``, of months: ``time``, ``track``, ``phase`` (degree) and
        ``amplitude``, as of `tilth.gnss.surface.phases.arc_phases`.
    vegetation : {"usual", "dense"}
        Dense plants move phases further, so that wider limits are kept.
    required : int
        Arcs that a day must have.
    fewest : int
        Arcs that a track must have.

    Returns
    -------
    xarray.Dataset
        Along ``time`` (noon): ``phase``, ``phase_sd`` and ``phase_se`` (degree),
        ``amplitude`` (1), ``count``.

    Raises
    ------
    InputError
        If no track or no day has enough arcs.

    References
    ----------
    Chew et al. (2016), GPS Solutions 20, 525-537.
    """
    require_variables(phases, ("time", "track", "phase", "amplitude"), "phases of arcs")
    if vegetation not in _LIMITS:
        raise InputError(f"vegetation is 'usual' or 'dense', got {vegetation!r}")
    low, high = _LIMITS[vegetation]
    rows = pd.DataFrame(
        {name: phases[name].values for name in ("time", "track", "phase", "amplitude")}
    ).dropna()
    kept = []
    for _, own in rows.groupby("track"):
        if len(own) < fewest:
            continue
        change = -(own["phase"] - np.median(_largest(own["phase"], 0.2)))
        known = change > -20.0 if vegetation == "usual" else change > low
        own, change = own[known], change[known]
        change = change.where(change <= 340.0, change - 360.0)
        known = (change > low) & (change < high)
        own, change = own[known], change[known]
        if not len(own):
            continue
        change = change - np.median(-_largest(-change, 0.2))
        strength = own["amplitude"] / _largest(own["amplitude"], 0.15).mean()
        kept.append(own.assign(phase=change, amplitude=strength))
    if not kept:
        raise InputError(
            f"no track has {fewest} arcs: soil moisture is a change on each track and "
            "needs months of data, not days"
        )
    all_of = pd.concat(kept)
    all_of = all_of[(all_of["phase"] > -10.0) & (all_of["amplitude"] > 0.65)]
    noon = all_of["time"].dt.floor("D") + pd.Timedelta("12h")
    days = all_of.groupby(noon)
    table = pd.DataFrame(
        {
            "phase": days["phase"].mean(),
            "phase_sd": days["phase"].std(),
            "amplitude": days["amplitude"].mean(),
            "count": days["phase"].count(),
        }
    )
    table = table[table["count"] >= required]
    if table.empty:
        raise InputError(f"no day has {required} arcs on tracks that are known")
    table["phase_se"] = table["phase_sd"] / np.sqrt(table["count"])
    return xr.Dataset(
        {
            name: (
                "time",
                table[name].to_numpy(),
                {"units": "degree" if name.startswith("phase") else "1"},
            )
            for name in map(str, table.columns)
        },
        {"time": table.index.to_numpy()},
    )


def vegetation_phase(amplitude: npt.ArrayLike) -> np.ndarray:
    r"""Part of the change of phase that plants cause, by the amplitude they take away.

    .. math:: \phi_v = \frac{50.25}{1.48} (\bar A - 1)

    with amplitudes smoothed over thirty days, fifteen before and fourteen after, and
    mirrored at the ends.

    Parameters
    ----------
    amplitude : array_like, shape (time,)
        Normalised amplitude of each day, at least thirty of them.

    Returns
    -------
    numpy.ndarray
        Degrees; negative where plants stand.

    Raises
    ------
    InputError
        If there are fewer than thirty days or one is NaN.

    References
    ----------
    Chew et al. (2016), GPS Solutions 20, 525-537.
    """
    value = np.asarray(amplitude, float)
    n = _WINDOW
    if value.ndim != 1 or value.size < n or not np.isfinite(value).all():
        raise InputError(
            f"the effect of plants needs {n} days of amplitude or more, none missing; "
            f"got shape {value.shape}"
        )
    padded = np.concatenate([value[n - 1 : 0 : -1], value, value[-2 : -n - 1 : -1]])
    smooth = np.convolve(padded, np.full(n, 1.0 / n), "valid")
    # The window reaches one sample further back than ahead.
    smooth = smooth[n // 2 - 1 : n // 2 - 1 + value.size]
    return (smooth - 1.0) * _VEGETATION / SLOPE


def soil_moisture(
    daily: xr.Dataset,
    *,
    hemisphere: str | None = None,
    dry_days: tuple[int, int] | None = None,
    driest: float = 0.05,
    vegetation: bool = True,
    max_order: int = 2,
) -> xr.Dataset:
    r"""Volumetric soil moisture of the upper 5 cm by daily changes of phase.

    .. math:: \theta = \theta_\min +
       \frac{1.48\,(\phi - \phi_v - 2) - b(t)}{100}

    The level b is a polynomial through one point a year: the mean of the lowest 15 % of
    the dry season. It is relative: soil that never dries to `driest` is too low by the
    difference.

    Parameters
    ----------
    daily : xarray.Dataset
        Along ``time``: ``phase`` (degree), ``amplitude`` (1) and, if known,
        ``phase_se``.
    hemisphere : {"north", "south"}, optional
        Sets the dry season: days 181-272, or from day 331 and up to day 44.
    dry_days : (int, int), optional
        Days of the year between which soil is driest, both exclusive, in place of
        those of the hemisphere; the first may be the larger one, across new year.
    driest : float
        Moisture of the driest days, m3 m-3: that of the soil's texture.
    vegetation : bool
        Whether the effect of plants is removed.
    max_order : int
        Highest order of the polynomial: one of order n - 1 through the points of n
        years swings far beyond them.

    Returns
    -------
    xarray.Dataset
        Along ``time``: ``soil_moisture``, ``soil_moisture_se`` where the phase's is
        known, ``level`` (m3 m-3), ``vegetation_phase`` (degree).

    Raises
    ------
    InputError
        If neither hemisphere nor days are given, the dry season holds no day, or there
        are too few days.

    References
    ----------
    Chew et al. (2014), IEEE Trans. Geosci. Remote Sens. 52, 537-543; (2016), GPS
    Solutions 20, 525-537.
    """
    require_variables(daily, ("time", "phase", "amplitude"), "daily phases")
    if dry_days is None:
        if hemisphere not in DRY:
            raise InputError(
                "the dry season needs hemisphere='north' or 'south', or dry_days; got "
                f"{hemisphere!r}: the wrong one shifts the level by several hundredths"
            )
        dry_days = DRY[hemisphere]
    known = daily.dropna("time", subset=["phase", "amplitude"])
    plants = vegetation_phase(known["amplitude"].values)
    if not vegetation:
        plants = np.zeros_like(plants)
    percent = SLOPE * (known["phase"].values - plants - _OFFSET)
    time = pd.DatetimeIndex(known["time"].values)
    base = _level(time, percent, dry_days, max_order)
    units = {"units": "m3 m-3"}
    about = {**units, "standard_name": "volume_fraction_of_condensed_water_in_soil"}
    found = xr.Dataset(
        {
            "soil_moisture": ("time", driest + (percent - base) / 100.0, about),
            "level": ("time", base / 100.0, units),
            "vegetation_phase": ("time", plants, {"units": "degree"}),
        },
        {"time": known["time"]},
        {"dry_days": f"{dry_days[0]}-{dry_days[1]}", "slope_percent_per_degree": SLOPE},
    )
    if "phase_se" in known:
        se = SLOPE * known["phase_se"].values / 100.0
        found["soil_moisture_se"] = "time", se, units
    return found


def _level(
    time: pd.DatetimeIndex,
    percent: np.ndarray,
    dry_days: tuple[int, int],
    max_order: int,
) -> np.ndarray:
    """Return the level of each day by the driest of each calendar year."""
    first, last = dry_days
    day = time.day_of_year.to_numpy()
    dry = (day > first) & (day < last)
    if first > last:
        dry = (day > first) | (day < last)
    years = (time.year + (time.day_of_year - 1) / 365.25).to_numpy()
    nodes = []
    for year in np.unique(time.year):
        own = np.flatnonzero(dry & (time.year == year))
        if own.size:
            lowest = own[np.argsort(percent[own], kind="stable")]
            share = round(_DRIEST * own.size) or own.size
            lowest = lowest[:share]
            nodes.append((years[lowest].mean(), percent[lowest].mean()))
    if not nodes:
        raise InputError(
            f"no day lies between the days {first} and {last} of the year: the driest "
            "soil of the season sets the level"
        )
    at, value = np.array(nodes).T
    order = min(len(nodes) - 1, max_order)
    middle = at.mean()
    line = np.polynomial.Polynomial.fit(at - middle, value, order, domain=[-1, 1])
    # Beyond the first and last node the level of these holds.
    return line(np.clip(years, at.min(), at.max()) - middle)


def _largest(values: npt.ArrayLike, share: float) -> np.ndarray:
    """Return the largest values, at least one."""
    ordered = np.sort(np.asarray(values, float))
    return ordered[-max(round(share * ordered.size), 1) :]
