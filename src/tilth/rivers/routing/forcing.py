"""What drives a run: runoff, evaporation, infiltration and the sea, checked.

Values are means of intervals that begin at their time. They are brought to the
network's order by the identifiers of its catchments and to the model's units; what
cannot be is refused with where it is and the way out. Values are looked at where they
are used, block by block, so that nothing must fit in memory at once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY, WATER_DENSITY
from tilth.core.errors import InputError, UnitsError
from tilth.core.units import convert_values
from tilth.rivers.network.model import MOUTH, RiverNetwork
from tilth.rivers.routing.alignment import aligned, expanded, rows_of
from tilth.rivers.routing.times import end_time, step_length, when

_log = logging.getLogger(__name__)

#: Most runoff that can be, kg m-2 s-1 (305 mm in 42 minutes fell in Holt, Missouri, in
#: 1947: WMO archive of extremes), and most dew or frost that runoff can be less than
#: none, as some land models give it.
_MOST_RUNOFF, _MOST_DEW = 0.15, 2e-4

#: Most that flows into a catchment where volumes are given, m3 s-1, more than any
#: river: beside its runoff it may be a river from beyond the edge of a map.
_MOST_INFLOW = 1e6

#: Most that open water evaporates or ground takes up, m s-1: 30 mm a day at a hot and
#: windy place, coarse sand's conductivity of some metres a day.
_MOST_LOSS = {"evaporation": 4e-7, "infiltration": 1e-4}

#: No sea stands further than that from the bank at the mouth, m: the highest tides
#: rise 16 m, the rest is for coarse elevations.
_MOST_SEA = 50.0

#: Mean runoff of a region below this is dry beyond the driest desert, mm per year.
_LEAST_RUNOFF = 1e-2

_SPELLED = "m3 s-1 per catchment, or kg m-2 s-1, mm day-1, m s-1 and the like per area"


@dataclass(frozen=True)
class Input:
    """One forcing in the network's order, and how its numbers become the model's.

    Parameters
    ----------
    name : str
        Such as ``"runoff"``.
    values : array
        ``(time, catchment)`` as they were given, in memory or on Dask.
    factor : numpy.ndarray
        ``(catchment,)``, from the values to the model's units.
    units : str
        Of the values.
    time : numpy.ndarray
        Beginnings of the intervals.
    ids : numpy.ndarray
        Identifiers of the catchments.
    area : numpy.ndarray or None
        Of the catchments, m2, where the model's units are a volume and it is known.
    per_area : bool
        Whether the values are per area, and the model's units a volume.
    """

    name: str
    values: Any
    factor: np.ndarray
    units: str
    time: np.ndarray
    ids: np.ndarray
    area: np.ndarray | None = None
    per_area: bool = False

    @property
    def lazy(self) -> bool:
        """Whether the values are on Dask."""
        return not isinstance(self.values, np.ndarray)

    def at(self, step: int) -> np.ndarray:
        """Return the numbers of one time in the model's units.

        Parameters
        ----------
        step : int
            Number of the time, from 0.

        Returns
        -------
        numpy.ndarray
            ``(catchment,)``, float64.
        """
        return np.asarray(self.values[step], float) * self.factor

    def subset(self, positions: np.ndarray) -> Input:
        """Return the forcing of some catchments.

        Parameters
        ----------
        positions : array of int
            Which, by position.

        Returns
        -------
        Input
            In the order of the positions.
        """
        return replace(
            self,
            values=self.values[:, positions],
            factor=self.factor[positions],
            ids=self.ids[positions],
            area=None if self.area is None else self.area[positions],
        )


def _input(
    name: str,
    data: xr.DataArray,
    factor: Any,
    area: np.ndarray | None = None,
    per_area: bool = False,
) -> Input:
    """Return aligned data as an input."""
    return Input(
        name=name,
        values=data.data,
        factor=np.broadcast_to(factor, data.sizes["catchment"]),
        units=str(data.attrs["units"]),
        time=data["time"].values,
        ids=data["catchment"].values,
        area=area,
        per_area=per_area,
    )


def runoff_input(
    data: xr.DataArray, network: RiverNetwork, name: str = "runoff"
) -> Input:
    """Return runoff in the network's order, to be taken in m3 s-1.

    Parameters
    ----------
    data : xarray.DataArray
        ``(time, catchment)`` in m3 s-1, or per area (kg m-2 s-1, mm day-1, m s-1):
        then times the network's ``area``.
    network : RiverNetwork
        Catchments of the data by their identifiers.
    name : "runoff" or "base_runoff"
        What it is.

    Returns
    -------
    Input
        Not yet checked: see `check_values`.

    Raises
    ------
    InputError
        If catchments are missing or unknown, or dimensions are others.
    UnitsError
        If units are absent or of another kind.
    """
    values = aligned(data, network, name)
    units = _units(values, name, _SPELLED)
    area = network.data["area"].values if "area" in network.data else None
    try:
        volume = float(convert_values(1.0, units, "m3 s-1"))
    except UnitsError:
        network.require("area")
        factor = _rate(units, name, _SPELLED) * network.data["area"].values
        return _input(name, values, factor, area, per_area=True)
    return _input(name, values, volume, area)


def loss_input(
    data: xr.DataArray, network: RiverNetwork, time: xr.DataArray, name: str
) -> Input:
    """Return evaporation or infiltration in the network's order, in m s-1.

    Parameters
    ----------
    data : xarray.DataArray
        Rate over water or flooded ground in m s-1, mm day-1 or kg m-2 s-1, with the
        dimensions time and catchment, or one of them, or none.
    network : RiverNetwork
        Catchments of the data by their identifiers.
    time : xarray.DataArray
        Of the runoff.
    name : "evaporation" or "infiltration"
        What it is.

    Returns
    -------
    Input
        Not yet checked: see `check_values`.

    Raises
    ------
    InputError
        If catchments are missing or unknown, or times are not those of the runoff.
    UnitsError
        If units are absent or of another kind.
    """
    values = aligned(data, network, name, time)
    if not np.array_equal(values["time"].values, time.values):
        raise InputError(
            f"{name} is given from {when(values['time'].values[0])} at "
            f"{values.sizes['time']} times, runoff from {when(time.values[0])} at "
            f"{time.size}: give both at the same times"
        )
    spelled = "a rate such as mm day-1, kg m-2 s-1 or m s-1"
    rate = _rate(_units(values, name, spelled), name, spelled)
    return _input(name, values, rate)


def sea_input(
    data: xr.DataArray | float, network: RiverNetwork, time: xr.DataArray
) -> tuple[np.ndarray, int]:
    """Return the sea level at the terminals, and its pieces in a step of the runoff.

    Parameters
    ----------
    data : xarray.DataArray or float
        Height of the sea above the bank of each mouth in m, one number for all or
        with the dimensions time and catchment, or one of them; every mouth must be
        there. The times are those of the runoff, or finer in equal pieces, and may
        begin before and end after them; a level holds from its time to the next.
    network : RiverNetwork
        Its terminals: mouths, and inland ends that know no sea.
    time : xarray.DataArray
        Of the runoff.

    Returns
    -------
    numpy.ndarray
        ``(time, terminal)`` in m, zero at inland ends; terminals by position.
    int
        How many rows belong to one step of the runoff.

    Raises
    ------
    InputError
        If a mouth is missing, levels have gaps or cannot be, or times do not fit.
    UnitsError
        If units are absent or of another kind.
    """
    terminals = network.terminals
    mouths = terminals[network.downstream[terminals] == MOUTH]
    columns = np.searchsorted(terminals, mouths)
    if not isinstance(data, xr.DataArray):
        data = xr.DataArray(float(data), attrs={"units": "m"})
    if "time" in data.dims:
        within = (data["time"] >= time.values[0]) & (data["time"] < end_time(time))
        data = data.isel(time=within.values)
    own = data["time"] if "time" in data.dims else time
    data = expanded(data, network.ids[mouths], own, "sea_level")
    rows = rows_of(data, network.ids[mouths], "sea_level", extra=True)
    units = _units(data, "sea_level", "m")
    levels = convert_values(np.asarray(data.values, float)[:, rows], units, "m")
    pieces = _pieces(own, time)
    wrong = ~(np.abs(levels) <= _MOST_SEA)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        bad = levels[row, column]
        what = (
            "has a gap: fill it, as by interpolation in time"
            if np.isnan(bad)
            else f"is {bad:g} m, credible is -{_MOST_SEA:g} to {_MOST_SEA:g}: mm or cm?"
        )
        raise InputError(
            f"sea_level at catchment {network.ids[mouths[column]]} at "
            f"{when(own.values[row])} {what} ({int(wrong.sum())} values like it)"
        )
    result = np.zeros((levels.shape[0], terminals.size))
    result[:, columns] = levels
    return result, pieces


def check_values(given: Input) -> None:
    """Raise unless a forcing's values can be; looks at all of them.

    Parameters
    ----------
    given : Input
        In memory.

    Raises
    ------
    InputError
        If values have gaps, are negative where they must not be (losses; runoff
        further below zero than dew), or larger than nature's.
    """
    low, high = _limits(given)
    values, total = given.values, 0.0
    for first in range(0, values.shape[0], 64):
        numbers = values[first : first + 64].astype(float) * given.factor
        wrong = ~((numbers >= low) & (numbers <= high) & np.isfinite(numbers))
        if wrong.any():
            _refuse(given, first, wrong, low, high)
        total += float(numbers.sum(axis=1).sum())
    if given.name != "runoff" or given.area is None or not values.size:
        return
    rate = total / (values.shape[0] * given.area.sum())
    year = rate * 1000.0 * 365.25 * SECONDS_PER_DAY
    if 0.0 < year < _LEAST_RUNOFF:
        _log.warning(
            "runoff is %.2g mm per year on average, drier than any desert: are its "
            "units those of its values, %s? kg m-2 s-1 is 86400 times mm day-1",
            year,
            given.units,
        )


def _limits(given: Input) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most that can be at each catchment, model's units."""
    every = np.ones(given.ids.size)
    if given.name in _MOST_LOSS:
        return 0.0 * every, _MOST_LOSS[given.name] * every
    if given.area is None:
        return -np.inf * every, _MOST_INFLOW * every
    least = -_MOST_DEW / WATER_DENSITY * given.area
    if given.per_area:
        return least, _MOST_RUNOFF / WATER_DENSITY * given.area
    return least, _MOST_INFLOW * every


def _refuse(
    given: Input, first: int, wrong: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    """Raise for the first value that cannot be, in the units it was given in."""
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    place = f"at catchment {given.ids[column]} at {when(given.time[first + row])}"
    bad = float(given.values[first + row, column])
    if np.isnan(bad):
        gaps = int(np.isnan(given.values).sum())
        raise InputError(
            f"{given.name} has {gaps} gaps of {given.values.size} values, the first "
            f"{place}: a river cannot wait for them; interpolate in time, or fill "
            "with 0 where there is no land"
        )
    least, most = (float(x[column] / given.factor[column]) for x in (low, high))
    if bad < least:
        hint = (
            "condensation on water belongs to the runoff; here clip it to 0"
            if given.name in _MOST_LOSS
            else "runoff below zero is at most some dew; is its sign or a fill value "
            "wrong?"
        )
    else:
        hint = "look for a fill value"
        rate = _MOST_RUNOFF if given.per_area else 0.0
        rate = _MOST_LOSS.get(given.name, rate / WATER_DENSITY) * WATER_DENSITY
        for factor, meant in ((86400.0, "mm day-1"), (3600.0, "mm per hour")):
            if bad / factor <= rate:
                hint = (
                    f"values in {meant}, but the units say {given.units!r}? Then "
                    "correct the attribute"
                )
                break
    raise InputError(
        f"{given.name} is {bad:g} {given.units} {place}, credible is {least:.3g} to "
        f"{most:.3g}: {hint} ({int(wrong.sum())} values like it there)"
    )


def _pieces(own: xr.DataArray, time: xr.DataArray) -> int:
    """Return how many times of the sea lie in one step of the runoff."""
    if own.size < 2:
        raise InputError(
            f"sea_level has {own.size} times within the run, which begins "
            f"{when(time.values[0])} and ends {when(end_time(time))}"
        )
    if np.array_equal(own.values, time.values):
        return 1
    coarse, fine = step_length(time), step_length(own, "sea_level")
    pieces = round(coarse / fine)
    fits = pieces >= 1 and abs(pieces * fine - coarse) < 1e-3
    if not fits or own.size != pieces * time.size or own.values[0] != time.values[0]:
        raise InputError(
            f"sea_level is given at {own.size} times from {when(own.values[0])}, "
            f"every {fine:g} s; the runoff at {time.size} from "
            f"{when(time.values[0])}, every {coarse:g} s: give the sea over the same "
            "time, in steps that divide the runoff's"
        )
    return pieces


def _rate(units: str, name: str, spelled: str) -> float:
    """Return the factor from units of a rate per area to m s-1."""
    try:
        return float(convert_values(1.0, units, "m s-1"))
    except UnitsError:
        pass
    try:
        return float(convert_values(1.0, units, "kg m-2 s-1")) / WATER_DENSITY
    except UnitsError as error:
        raise UnitsError(f"{name} is in {units!r}, it must be {spelled}") from error


def _units(data: xr.DataArray, name: str, spelled: str) -> str:
    """Return the units of data, or say how to give them."""
    units = data.attrs.get("units")
    if units is None:
        raise UnitsError(
            f"{name} has no 'units' attribute: set {name}.attrs['units'] to {spelled}"
        )
    return str(units)
