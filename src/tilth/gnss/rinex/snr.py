"""From a receiver's observations to a day of signal-to-noise ratios."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.model import require_variables
from tilth.gnss.reflectometry.signals import (
    BANDS,
    CONSTELLATIONS,
    satellite_name,
    sends,
)
from tilth.gnss.reflectometry.snr_days import snr_day
from tilth.gnss.rinex.orbits import Orbits, look_angles
from tilth.gnss.rinex.times import gps_seconds

#: What can be wrong with a row of a day that was made from RINEX.
ROW_FLAGS = FlagTable(
    {
        "second_band_unknown": "RINEX 2 does not tell whether S2 is L2C or L2 P(Y): "
        "heights of the two differ by centimetres, in proportion to height",
        "second_band_semicodeless": "S2 is L2 P(Y) although the satellite sends L2C: "
        "it will be taken for L2C",
        "rounded": "ratios are rounded to 1 dB or more",
    }
)

#: Constellation -> band -> observables of RINEX 3 and 4 that hold it, the best first:
#: signals with a code that is known before those tracked without; pilot and data
#: together or pilot before data. RINEX 3.05, tables 4 to 16.
PREFERENCES: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {
        "s1": ("S1C", "S1X", "S1L", "S1P", "S1W"),
        "s2": ("S2L", "S2X", "S2S", "S2W", "S2P", "S2C"),
        "s5": ("S5Q", "S5X", "S5I"),
    },
    {"s1": ("S1C", "S1P"), "s2": ("S2C", "S2P")},
    {
        "s6": ("S6C", "S6X", "S6B"),
        "s1": ("S1C", "S1X", "S1B", "S1Z"),
        "s5": ("S5Q", "S5X", "S5I"),
        "s7": ("S7Q", "S7X", "S7I"),
        "s8": ("S8Q", "S8X", "S8I"),
    },
    {
        "s6": ("S6I", "S6X", "S6Q"),
        "s1": ("S1P", "S1X", "S1D"),
        # RINEX 3.02 wrote B1I as band 1.
        "s2": ("S2I", "S2X", "S2Q", "S1I"),
        "s5": ("S5P", "S5X", "S5D"),
        "s7": ("S7I", "S7X", "S7Q", "S7P", "S7D", "S7Z"),
        "s8": ("S8X", "S8P", "S8D"),
    },
)

#: Observables of GPS L2C; S2C of GPS is C/A on L2, which no satellite sends.
_L2C = ("S2L", "S2X", "S2S")

#: An observable counts for a satellite if it has this share of the rows of the most
#: frequent one: less is a receiver that lost it.
_ENOUGH = 0.5

#: Share of rows on other days from which a day must be chosen.
_OTHER_DAYS = 0.01


def rinex_to_snr(
    observations: xr.Dataset,
    orbits: Orbits,
    *,
    position: npt.ArrayLike | None = None,
    station: str | None = None,
    date: datetime.date | str | None = None,
) -> xr.Dataset:
    """Make a day of signal-to-noise ratios from observations and orbits.

    Parameters
    ----------
    observations : xarray.Dataset
        Signal strengths, of `tilth.gnss.rinex.observations.read_observations`.
    orbits : Orbits
        Of that day, of `tilth.gnss.rinex.orbits.open_orbits`.
    position : array_like, shape (3), optional
        Of the antenna, earth-centred earth-fixed, m; else that of the file.
    station : str, optional
        Name; else the first four characters of the file's marker.
    date : datetime.date or str, optional
        The day, of GPS time; needed where more than 1 % of rows lie on another.

    Returns
    -------
    xarray.Dataset
        As `tilth.gnss.reflectometry.snr_days.snr_day` has it, with ``quality_flag``
        (see `ROW_FLAGS`) and the attributes ``observables`` (which made each band),
        ``without_orbit`` and ``other_days`` (rows left out).

    Raises
    ------
    InputError
        If the strengths are digits from 0 to 9 and no dB-Hz, station or position are
        not known, or orbits know none of the satellites.
    """
    require_variables(observations, ("satellite", "time"), "a table of observations")
    name = station or re.sub(r"\W", "", str(observations.attrs.get("station", "")))[:4]
    if not name:
        raise InputError("the file names no station: give station")
    place = observations.attrs.get("position") if position is None else position
    if place is None:
        raise InputError(
            f"the file of {name} has no position of the antenna: give position (x, y, "
            "z in m; tens of m do)"
        )
    _refuse_digits(observations)
    day, others = _one_day(observations, date)
    time = gps_seconds(day["time"].values)
    satellite = day["satellite"].values
    elevation, azimuth, rate = look_angles(orbits, place, satellite, time)
    known = np.isfinite(elevation)
    told = str(day["time"].values[0])[:10]
    if not known.any():
        raise InputError(
            f"the orbits know none of the satellites of {name} on {told}: give SP3 "
            "files or navigation messages of that day"
        )
    columns, chosen, semicodeless = _columns(day, datetime.date.fromisoformat(told))
    kept = known & np.any([np.isfinite(values) for values in columns.values()], axis=0)
    begin = gps_seconds(np.datetime64(told))
    table = snr_day(
        satellite[kept],
        elevation[kept],
        azimuth[kept],
        (time - begin)[kept],
        {band: values[kept] for band, values in columns.items()},
        station=name.lower(),
        date=told,
        elevation_rate=rate[kept],
        glonass_channels=_channels(observations, orbits),
    )
    table.attrs["observables"] = chosen
    table.attrs["without_orbit"] = _per_constellation(satellite[~known])
    table.attrs["other_days"] = others
    _add_flags(table, float(observations.attrs["version"]), semicodeless)
    return table


def choose_observables(observations: xr.Dataset) -> dict[tuple[int, str], str]:
    """Return which observable makes a band of a satellite.

    One per satellite and band for the whole day, so that no arc is a mixture: the
    first of `PREFERENCES` that has at least half as many values as the most frequent.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `tilth.gnss.rinex.observations.read_observations`.

    Returns
    -------
    dict of (int, str) to str
        Satellite and band -> observable.
    """
    satellite = observations["satellite"].values
    old = float(observations.attrs["version"]) < 3
    chosen: dict[tuple[int, str], str] = {}
    for group, bands in enumerate(PREFERENCES):
        of_group = satellite // 100 == group
        if not of_group.any():
            continue
        for band in BANDS:
            names = (f"S{band[1]}",) if old else bands.get(band, ())
            names = tuple(name for name in names if name in observations)
            if not names:
                continue
            counts = np.array(
                [
                    np.bincount(
                        satellite[of_group & np.isfinite(observations[name].values)],
                        minlength=400,
                    )
                    for name in names
                ]
            )
            enough = counts >= np.maximum(_ENOUGH * counts.max(axis=0), 1)
            for one in np.flatnonzero(enough.any(axis=0)):
                chosen[int(one), band] = names[int(np.argmax(enough[:, one]))]
    return chosen


def _columns(
    observations: xr.Dataset, date: datetime.date
) -> tuple[dict[str, np.ndarray], str, np.ndarray]:
    """Return the bands, what made them, and where L2 P(Y) stands in for L2C."""
    satellite = observations["satellite"].values
    chosen = choose_observables(observations)
    columns: dict[str, np.ndarray] = {}
    semicodeless = np.zeros(400, bool)
    said: dict[tuple[int, str], dict[str, int]] = {}
    for band in BANDS:
        values = np.full(satellite.size, np.nan)
        by_name: dict[str, list[int]] = {}
        for (one, of_band), name in chosen.items():
            if of_band == band:
                by_name.setdefault(name, []).append(one)
                row = said.setdefault((one // 100, band), {})
                row[name] = row.get(name, 0) + 1
                if band == "s2" and name in ("S2W", "S2P", "S2C") and one < 100:
                    semicodeless[one] = sends(one, 20, date)
        for name, satellites in by_name.items():
            wanted = np.zeros(400, bool)
            wanted[satellites] = True
            values = np.where(wanted[satellite], observations[name].values, values)
        columns[band] = values
    text = "; ".join(
        f"{CONSTELLATIONS[group]} {band}: "
        + ", ".join(f"{name} of {count}" for name, count in names.items())
        for (group, band), names in sorted(said.items())
    )
    return columns, text, semicodeless


def _add_flags(day: xr.Dataset, version: float, semicodeless: np.ndarray) -> None:
    """Add ``quality_flag`` to the rows of a day."""
    satellite = day["satellite"].values
    second = np.isfinite(day["s2"].values) & (satellite < 100)
    rounded = np.zeros(satellite.size, bool)
    for band in BANDS:
        if day[band].attrs.get("resolution", 0.0) >= 1.0:
            rounded |= np.isfinite(day[band].values)
    flags = ROW_FLAGS.variable(
        {
            "second_band_unknown": second & (version < 3),
            "second_band_semicodeless": second & semicodeless[satellite],
            "rounded": rounded,
        },
        satellite.shape,
    )
    day["quality_flag"] = ("observation", flags, ROW_FLAGS.attrs())


def _refuse_digits(observations: xr.Dataset) -> None:
    """Raise if strengths are digits of 6 dB each, as flags of phases are."""
    names = [str(n) for n in observations.data_vars if str(n).startswith("S")]
    if not names:
        raise InputError(
            "the observations have no signal strengths (observables S..): the digits "
            "beside phases are steps of 6 dB, too coarse for reflections; have the "
            "file converted again with them"
        )
    highest = max(float(observations[name].max()) for name in names)
    if highest <= 9.0:
        raise InputError(
            f"the signal strengths go up to {highest:g}: they are digits from 0 to 9 "
            "in steps of 6 dB, not dB-Hz, too coarse for reflections; have the file "
            "converted again without mapping them"
        )


def _one_day(
    observations: xr.Dataset, date: datetime.date | str | None
) -> tuple[xr.Dataset, int]:
    """Return the rows of one day, and how many are of others."""
    days = observations["time"].values.astype("datetime64[D]")
    found, counts = np.unique(days, return_counts=True)
    if date is None:
        wanted = found[np.argmax(counts)]
        if counts.max() < (1.0 - _OTHER_DAYS) * days.size:
            raise InputError(
                f"the observations are of several days, {found[0]} to {found[-1]}: "
                "give date"
            )
    else:
        wanted = np.datetime64(str(date), "D")
        if wanted not in found:
            raise InputError(
                f"no observation is of {wanted}: they are of {found[0]} to {found[-1]}"
            )
    there = days == wanted
    if there.all():
        return observations, 0
    return observations.isel(observation=there), int((~there).sum())


def _channels(observations: xr.Dataset, orbits: Orbits) -> dict[int, int]:
    """Return GLONASS channels of the file, else of the messages."""
    text = str(observations.attrs.get("glonass_channels", ""))
    pairs = (word.split(":") for word in text.split())
    return {**orbits.glonass_channels, **{int(s): int(c) for s, c in pairs}}


def _per_constellation(satellite: np.ndarray) -> str:
    """Return how many rows each satellite has, as text."""
    names, counts = np.unique(satellite, return_counts=True)
    return " ".join(
        f"{satellite_name(int(one))}:{count}"
        for one, count in zip(names, counts, strict=True)
    )
