"""The one way in and out of every adjustment method: settings, fit, apply, save.

A method is a frozen dataclass of its settings. Fitted, it becomes an `Adjuster`, which
holds the method and a table of what was learnt, and adjusts any period of the model::

    adjuster = QDM(kind="*", group=DayWindow(31)).fit(observed, modelled)
    future = adjuster.apply(scenario)
"""

from __future__ import annotations

import abc
import dataclasses
import json
import os
from typing import Any, Literal, TypeVar

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.model import stamp
from tilth.forcing.adjust.checks import check_steps, check_training, usual_step
from tilth.forcing.adjust.groups import DayWindow, require_dates
from tilth.forcing.split import ATTRIBUTE, training_periods
from tilth.forcing.variables import convert_forcing

#: How a difference between two climates is measured: as a sum or as a ratio.
Kind = Literal["+", "*"]

#: Attribute of a table: the usual step observed, seconds.
_STEP = "training_step"

_ZERO_IS_A_CONVENTION = ("deg", "celsius", "fahrenheit")
_SelfMethod = TypeVar("_SelfMethod", bound="Method")


class Method(abc.ABC):
    """Settings of an adjustment method, a frozen dataclass; `fit` puts them to work.

    A method implements `train` and `adjust`. Both get arrays in the units of the
    observations, with ``time`` and without coordinates that are no dimension, and must
    give a result that does not depend on how Dask chunks the other dimensions.
    """

    @abc.abstractmethod
    def train(self, observed: xr.DataArray, modelled: xr.DataArray) -> xr.Dataset:
        """Return the table of what the method learns from a period of both.

        Parameters
        ----------
        observed, modelled : xarray.DataArray
            Same units; each with its own ``time``.

        Returns
        -------
        xarray.Dataset
            Whatever `adjust` needs, lazy where an input is.
        """

    @abc.abstractmethod
    def adjust(self, table: xr.Dataset, target: xr.DataArray) -> xr.DataArray:
        """Return the adjusted values of a period of the model.

        Parameters
        ----------
        table : xarray.Dataset
            What `train` returned.
        target : xarray.DataArray
            Model values with ``time``, in the units of the observations.

        Returns
        -------
        xarray.DataArray
            With the dimensions of the target, in any order.
        """

    def fit(self, observed: xr.DataArray, modelled: xr.DataArray) -> Adjuster:
        """Learn from a period for which there are observations and model values.

        The two need not have the same calendar, length or days: only their
        distributions are compared.

        Parameters
        ----------
        observed : xarray.DataArray
            Observations with ``time`` and any other dimensions; ``units`` required;
            missing values are NaN.
        modelled : xarray.DataArray
            The model over the training period, in any units that convert to those of
            the observations. The dimensions besides ``time`` have the same coordinates;
            one that only the model has, such as ``member``, gets its own fit along it.

        Returns
        -------
        Adjuster
            Ready to `Adjuster.apply`; lazy where an input is.

        Raises
        ------
        InputError
            If ``time`` or units are absent, or the places, the months (where all days
            are one group) or the time steps of the two differ.
        """
        units = _units_of(observed)
        check_kind(getattr(self, "kind", "+"), units, str(observed.name or "observed"))
        bare = _bare(observed, units), _bare(modelled, units)
        check_training(observed, modelled, getattr(self, "group", "none"))
        table = self.train(*bare)
        table.attrs = {
            **table.attrs,
            "units": units,
            ATTRIBUTE: training_periods(observed["time"]),
            "training_observed": describe_period(observed["time"]),
            "training_modelled": describe_period(modelled["time"]),
            _STEP: usual_step(observed["time"]),
        }
        return Adjuster(self, table)

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON can hold."""
        return {
            field.name: str(value) if isinstance(value, DayWindow) else value
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            for value in [getattr(self, field.name)]
        }

    @classmethod
    def from_settings(cls: type[_SelfMethod], settings: dict[str, Any]) -> _SelfMethod:
        """Return the method of such settings.

        Parameters
        ----------
        settings : dict
            As `settings` returns them.

        Returns
        -------
        Method
            Equal to the one they came from.
        """
        return cls(**settings)


@dataclasses.dataclass(frozen=True)
class Adjuster:
    """A fitted method: adjusts any period of the model it was fitted to.

    Parameters
    ----------
    method : Method
        The settings.
    table : xarray.Dataset
        What was learnt, per place and group of days, with the training periods and
        the units in its attributes.
    """

    method: Method
    table: xr.Dataset

    def apply(self, target: xr.DataArray) -> xr.DataArray:
        """Adjust a period of the model.

        Methods that rank the target within itself (QDM, CDF-t, ISIMIP3) and DQM, which
        takes its trend, need one period of about 30 years at a time: see
        `tilth.forcing.adjust.periods.apply_by_periods` for a long series.

        Parameters
        ----------
        target : xarray.DataArray
            The model, with ``time`` and the other dimensions it was fitted with; may
            have more, such as ``member``. In units that convert.

        Returns
        -------
        xarray.DataArray
            With the dimensions, coordinates, name and type of the target, in the units
            of the observations; attributes tell the method and what it was trained on.

        Raises
        ------
        InputError
            If ``time`` or units are absent, places or the time step differ from those
            of the fit, or a group of days in the target had none in training.
        """
        prepared = _bare(target, self.table.attrs["units"])
        check_steps(self.table.attrs.get(_STEP, np.nan), target["time"], "the target")
        result = self.method.adjust(self.table, prepared)
        extra = [str(dim) for dim in result.dims if dim not in target.dims]
        result = result.transpose(*extra, *target.dims)
        if np.issubdtype(target.dtype, np.floating):
            result = result.astype(target.dtype)
        result = result.assign_coords(target.coords).rename(target.name)
        result.attrs = {**target.attrs, **self.provenance()}
        return result

    def provenance(self) -> dict[str, str]:
        """Return the attributes a result carries: units, method, training periods."""
        return {
            "units": self.table.attrs["units"],
            "adjustment_method": type(self.method).__name__,
            "adjustment_settings": json.dumps(self.method.settings()),
            ATTRIBUTE: self.table.attrs[ATTRIBUTE],
            "training_observed": self.table.attrs["training_observed"],
            "training_modelled": self.table.attrs["training_modelled"],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write method and table to a NetCDF file that `read_adjuster` reads.

        Parameters
        ----------
        path : path
            Where; it appears when it is complete.

        Raises
        ------
        InputError
            If the folder does not exist.
        """
        table = self.table.assign_attrs(self.provenance())
        write_netcdf(stamp(table, f"fitted {type(self.method).__name__}"), path)


def read_adjuster(path: str | os.PathLike[str]) -> Adjuster:
    """Read what `Adjuster.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Adjuster
        Gives the same values as the one saved.

    Raises
    ------
    InputError
        If there is no such file, or it is something else.
    """
    import tilth.forcing.adjust as methods

    table = read_netcdf(path, "a fitted adjustment")
    name = str(table.attrs.get("adjustment_method", ""))
    method = getattr(methods, name, None) if name in methods.__all__ else None
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise InputError(
            f"{path} holds no fitted adjustment (adjustment_method is {name!r}): "
            "give a file that Adjuster.save wrote"
        )
    settings = json.loads(table.attrs["adjustment_settings"])
    return Adjuster(method.from_settings(settings), table)


def describe_period(times: xr.DataArray) -> str:
    """Say in one line what a training period was.

    Parameters
    ----------
    times : xarray.DataArray
        Its times, shape (time,), in any order.

    Returns
    -------
    str
        First and last day, number of time steps, calendar, and the years, as in
        ``"1950-01-01 to 1951-12-31, 730 steps, noleap, years 1950-1951"``.

    Raises
    ------
    InputError
        If there is none, or they are not dates.

    Examples
    --------
    >>> days = xr.date_range("1950-12-01", "1953-02-28", calendar="noleap",
    ...                      use_cftime=True)
    >>> times = xr.DataArray(days, dims="time")
    >>> describe_period(times[(times.dt.year != 1952).values])
    '1950-12-01 to 1953-02-28, 455 steps, noleap, years 1950-1951, 1953'
    """
    if times.size == 0:
        raise InputError("the training period has no time step: check the selection")
    require_dates(times)
    first, last = (str(t.dt.strftime("%Y-%m-%d").values) for t in _ends(times))
    years = np.unique(times.dt.year.values)
    starts = years[np.insert(np.diff(years) > 1, 0, True)]
    stops = years[np.append(np.diff(years) > 1, True)]
    spans = [
        f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, stops, strict=True)
    ]
    return (
        f"{first} to {last}, {times.size} steps, {times.dt.calendar}, "
        f"years {', '.join(spans)}"
    )


def check_kind(kind: str, units: str, name: str) -> None:
    """Raise unless changes of a variable can be measured in this way.

    Parameters
    ----------
    kind : {"+", "*"}
        Sum or ratio.
    units : str
        Of the variable.
    name : str
        Its name, for the message.

    Raises
    ------
    InputError
        If the kind is neither, or is a ratio where zero is a convention.
    """
    if kind not in ("+", "*"):
        raise InputError(f"kind must be '+' or '*', got {kind!r}")
    if kind == "*" and units.strip().lower().startswith(_ZERO_IS_A_CONVENTION):
        raise InputError(
            f"{name} is in {units}, whose zero is a convention: ratios mean nothing; "
            "use kind='+'"
        )


def _ends(times: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the earliest and the latest time."""
    values = times.values
    return times[int(np.argmin(values))], times[int(np.argmax(values))]


def _units_of(data: xr.DataArray) -> str:
    units = data.attrs.get("units")
    if units is None:
        name = data.name or "observed"
        raise InputError(
            f"{name} has no 'units' attribute: set it, for example "
            f"{name}.attrs['units'] = 'degC'"
        )
    return str(units)


def _bare(data: xr.DataArray, units: str) -> xr.DataArray:
    """Return the data in these units, with time last and no other coordinates."""
    if "time" not in data.dims or "time" not in data.coords:
        raise InputError(
            f"{data.name or 'the array'} needs the dimension time with its coordinate; "
            f"it has {', '.join(map(str, data.dims))}"
        )
    converted = convert_forcing(data, units)
    return converted.reset_coords(drop=True).transpose(..., "time")
