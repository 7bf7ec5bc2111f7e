"""One day of signal-to-noise ratios at a station: the table everything begins with."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import flag_masks, is_flagged
from tilth.core.model import require_variables
from tilth.gnss.reflectometry.signals import BANDS

#: Attributes of the columns of a day.
_COLUMNS = {
    "satellite": {"long_name": "number of the satellite", "units": "1"},
    "elevation": {"long_name": "elevation of the satellite", "units": "degree"},
    "azimuth": {"long_name": "azimuth of the satellite, clockwise", "units": "degree"},
    "second": {"long_name": "second of the day in GPS time", "units": "s"},
}

#: Steps that receivers and converters round signal-to-noise ratios to, dB, from the
#: coarsest: RINEX 2 keeps no more than a digit from 1 to 9 where it has no S column.
_STEPS = (6.0, 1.0, 0.5, 0.25, 0.1)


def snr_day(
    satellite: npt.ArrayLike,
    elevation: npt.ArrayLike,
    azimuth: npt.ArrayLike,
    second: npt.ArrayLike,
    snr: Mapping[str, npt.ArrayLike],
    *,
    station: str,
    date: datetime.date | str,
    elevation_rate: npt.ArrayLike | None = None,
    glonass_channels: Mapping[int, int] | None = None,
) -> xr.Dataset:
    """Make the table of one day of signal-to-noise ratios.

    Parameters
    ----------
    satellite : array_like of int, shape (observation)
        Numbers of satellites (see `tilth.gnss.reflectometry.signals`).
    elevation, azimuth : array_like, shape (observation)
        Of the satellite, geometric, not corrected for refraction, degrees.
    second : array_like, shape (observation)
        Second of the day in GPS time, 0 to 86400; rising for each satellite.
    snr : mapping of str to array_like, shape (observation)
        Band (one of `BANDS`) -> signal-to-noise ratio, dB-Hz; zero or NaN where there
        is none.
    station : str
        Name of the station.
    date : datetime.date or str
        The day, in GPS time, such as ``"2025-01-11"``.
    elevation_rate : array_like, shape (observation), optional
        Change of elevation, degree s-1. Nothing here needs it; files have it.
    glonass_channels : mapping of int to int, optional
        GLONASS slot -> frequency channel on that day, where the receiver told.

    Returns
    -------
    xarray.Dataset
        Along ``observation``: ``satellite``, ``elevation``, ``azimuth``, ``second``,
        all six bands (dB-Hz, NaN for none), with ``resolution`` (dB) as an attribute
        of each that has values: the step its numbers are rounded to. Attributes
        ``station``, ``date`` and ``glonass_channels`` ("1:1 2:-4").

    Raises
    ------
    InputError
        If columns differ in length, a band is unknown, or angles, seconds, satellites
        or ratios are beyond what they can be.
    """
    numbers = np.asarray(satellite)
    columns = {
        "elevation": np.asarray(elevation, float),
        "azimuth": np.asarray(azimuth, float),
        "second": np.asarray(second, float),
    }
    unknown = set(snr) - set(BANDS)
    if unknown:
        raise InputError(
            f"no band {', '.join(sorted(unknown))}; there are {', '.join(BANDS)}"
        )
    ratios = {name: np.asarray(values, float) for name, values in snr.items()}
    rate = {} if elevation_rate is None else {"rate": np.asarray(elevation_rate, float)}
    for name, values in {**columns, **ratios, **rate}.items():
        if values.shape != numbers.shape or numbers.ndim != 1:
            raise InputError(
                f"{name} has the shape {values.shape}, satellite {numbers.shape}: all "
                "columns of a day need one value per observation"
            )
    _require_within(numbers, 1, 399, "satellite")
    _require_within(columns["elevation"], -90, 90, "elevation")
    _require_within(columns["azimuth"], -180, 360, "azimuth")
    _require_within(columns["second"], 0, 86400, "second")
    day = xr.Dataset(
        {
            "satellite": (
                "observation",
                numbers.astype("int16"),
                _COLUMNS["satellite"],
            ),
            **{
                name: ("observation", values, _COLUMNS[name])
                for name, values in columns.items()
            },
        },
        attrs={"station": station, "date": _iso(date)},
    )
    for name in BANDS:
        about: dict[str, object] = {
            "long_name": f"signal-to-noise ratio, band {name[1]}",
            "units": "dB-Hz",
        }
        values = ratios.get(name, np.zeros(numbers.size))
        values = np.where(values > 0, values, np.nan)
        _require_within(values, 0, 99, name)
        step = snr_resolution(values)
        if step is not None:
            about["resolution"] = step
        day[name] = ("observation", values, about)
    if rate:
        about = {"long_name": "change of elevation", "units": "degree s-1"}
        day["elevation_rate"] = ("observation", rate["rate"], about)
    if glonass_channels:
        day.attrs["glonass_channels"] = " ".join(
            f"{slot}:{channel}" for slot, channel in sorted(glonass_channels.items())
        )
    return day


def snr_resolution(values: npt.ArrayLike) -> float | None:
    """Return the step that signal-to-noise ratios are rounded to.

    Parameters
    ----------
    values : array_like
        Signal-to-noise ratios, dB-Hz; NaN for none.

    Returns
    -------
    float or None
        The coarsest of 6, 1, 0.5, 0.25 and 0.1 dB of which all are multiples; 0 where
        none is; None without values.

    Examples
    --------
    >>> snr_resolution([44.0, 45.0, 39.0]), snr_resolution([44.1, 45.7, float("nan")])
    (1.0, 0.1)
    """
    there = np.asarray(values, float)
    there = there[np.isfinite(there)]
    if not there.size:
        return None
    for step in _STEPS:
        # A first look at a few rows spares the whole of a fine column.
        for part in (there[:200], there):
            ratio = part / step
            if (np.abs(ratio - np.rint(ratio)) > 1e-6 / step).any():
                break
        else:
            return step
    return 0.0


def check_day(day: xr.Dataset) -> None:
    """Raise unless this is the table of a day.

    Parameters
    ----------
    day : xarray.Dataset
        Of `snr_day`, or read from a file.

    Raises
    ------
    InputError
        If a column or an attribute is missing.
    """
    what = "a day of signal-to-noise ratios"
    require_variables(day, (*_COLUMNS, *BANDS), what)
    absent = [name for name in ("station", "date") if name not in day.attrs]
    if absent:
        raise InputError(f"{what} needs the attribute {' and '.join(absent)}")


def date_of(day: xr.Dataset) -> datetime.date:
    """Return the day of a table of one day.

    Parameters
    ----------
    day : xarray.Dataset
        Of `snr_day`.

    Returns
    -------
    datetime.date
        In GPS time.
    """
    return datetime.date.fromisoformat(day.attrs["date"])


def channels_of(day: xr.Dataset) -> dict[int, int]:
    """Return the GLONASS channels that a day knows.

    Parameters
    ----------
    day : xarray.Dataset
        Of `snr_day`.

    Returns
    -------
    dict of int to int
        Slot -> channel; empty where the day says nothing.
    """
    text = str(day.attrs.get("glonass_channels", ""))
    pairs = (word.split(":") for word in text.split())
    return {int(slot): int(channel) for slot, channel in pairs}


def second_band(day: xr.Dataset, meaning: str) -> set[int]:
    """Return GPS satellites whose second band a day's own flags speak of.

    Parameters
    ----------
    day : xarray.Dataset
        Of `snr_day`; with ``quality_flag`` where it was made of RINEX.
    meaning : {"second_band_semicodeless", "second_band_unknown"}
        L2 P(Y) of a satellite that sends L2C; or a file that does not tell which.

    Returns
    -------
    set of int
        Numbers of satellites; empty where the day has no such flags.
    """
    if "quality_flag" not in day or meaning not in flag_masks(day["quality_flag"]):
        return set()
    raised = is_flagged(day["quality_flag"], meaning).values
    return set(np.unique(day["satellite"].values[raised]).tolist())


def _iso(date: datetime.date | str) -> str:
    """Return a day as text, or raise."""
    try:
        return datetime.date.fromisoformat(str(date)).isoformat()
    except ValueError:
        raise InputError(f"a day is written like 2025-01-11, got {date!r}") from None


def _require_within(
    values: np.ndarray, lowest: float, highest: float, name: str
) -> None:
    """Raise at the first value beyond these; NaN only where it is an SNR."""
    wrong = ~((values >= lowest) & (values <= highest))
    if name in BANDS:
        wrong &= ~np.isnan(values)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise InputError(
            f"{name} of observation {i} is {values[i]}: it lies between {lowest} and "
            f"{highest}"
        )
