"""Output of Noah-MP in HRLDAS, to compare with: ALMA names, daily means."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from tilth.core.model import require_variables, stamp

#: Noah-MP name -> ALMA name and units. Its heat fluxes are positive upwards, heat into
#: the soil downwards, as here.
_NAMES = {
    "LH": ("Qle", "W m-2"),
    "HFX": ("Qh", "W m-2"),
    "GRDFLX": ("Qg", "W m-2"),
    "FSA": ("SWnet", "W m-2"),
    "TRAD": ("AvgSurfT", "K"),
    "SNEQV": ("SWE", "kg m-2"),
    "ECAN": ("ECanop", "kg m-2 s-1"),
    "ETRAN": ("TVeg", "kg m-2 s-1"),
    "EDIR": ("ESoil", "kg m-2 s-1"),
    "LAI": ("LAI", "1"),
}

#: Written where there is no value, such as the albedo at night; not marked as such.
_FILL = -9999.0


def read_noahmp(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read output of Noah-MP of one point under ALMA names.

    Records are values of the model step that ends at their time. The accumulated
    runoff becomes the amount since the record before.

    Parameters
    ----------
    path : path
        NetCDF file of HRLDAS with the dimension ``Time``.

    Returns
    -------
    xarray.Dataset
        ``time`` and the variables with units; ``Qs`` and ``Qsb`` in kg m-2 per
        record; ``LWnet`` as gain of the surface.
    """
    with xr.open_dataset(path) as opened:
        source = opened.load()
    require_variables(source, [*_NAMES, "FIRA", "SFCRNOFF", "UGDRNOFF"], "Noah-MP")
    source = source.where(source != _FILL).rename(Time="time")
    variables = {}
    for name, (alma, units) in _NAMES.items():
        variables[alma] = source[name].astype(float).assign_attrs(units=units)
    variables["LWnet"] = (-source["FIRA"].astype(float)).assign_attrs(units="W m-2")
    for name, alma in (("SFCRNOFF", "Qs"), ("UGDRNOFF", "Qsb")):
        amount = source[name].astype(float)
        since = amount.diff("time", label="upper").reindex(time=amount["time"])
        variables[alma] = since.assign_attrs(
            units="kg m-2", long_name="runoff since the record before"
        )
    return stamp(xr.Dataset(variables), "read Noah-MP output", [path])


def daily_means(records: xr.Dataset) -> xr.Dataset:
    """Return daily means of values that are instantaneous and evenly spaced.

    The trapezoidal rule over the day from 0 to 24 h: records at midnight count half
    for either day, so that the diurnal cycle is not shifted.

    Parameters
    ----------
    records : xarray.Dataset
        With ``time`` in even steps that divide a day.

    Returns
    -------
    xarray.Dataset
        Over ``time``, midnight at the beginning of each full day.
    """
    time = records["time"].values
    step = time[1] - time[0]
    per_day = round(np.timedelta64(1, "D") / step)
    first = int(np.argmax(time.astype("datetime64[D]") == time))
    days = (time.size - 1 - first) // per_day
    # Means of neighbouring records stand for the interval between them.
    left = records.isel(time=slice(first, first + days * per_day))
    right = records.isel(time=slice(first + 1, first + days * per_day + 1))
    between = 0.5 * (left + right.assign_coords(time=left["time"]))
    return between.resample(time="1D").mean()
