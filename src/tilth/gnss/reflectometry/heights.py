"""Heights of the antenna above the reflector: one for each arc of a day."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numba import njit

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.model import stamp
from tilth.gnss.gps_time import gps_to_utc
from tilth.gnss.reflectometry.arcs import Arcs, cut_arcs
from tilth.gnss.reflectometry.periodogram import fine_peak, grid_peak, height_error
from tilth.gnss.reflectometry.quality import (
    QUALITY,
    WARNINGS,
    quality_flags,
    warning_flags,
)
from tilth.gnss.reflectometry.settings import Settings
from tilth.gnss.reflectometry.signals import SIGNALS, signal_of
from tilth.gnss.reflectometry.snr_days import channels_of, second_band

#: What is measured of an arc, in the order of the columns of `_measure`.
_MEASURED = (
    "mean_second", "azimuth", "mean_azimuth", "elevation_min", "elevation_max",
    "duration", "elevation_rate", "edot_factor", "nyquist_height", "reflector_height",
    "reflector_height_se", "amplitude", "noise",
)  # fmt: skip

#: Variables of a table of arcs -> units and long name.
_ABOUT = {
    "gps_hour": ("h", "hour of the day in GPS time, middle of the arc"),
    "rise": ("1", "1 where the satellite rises, -1 where it sets, 0 unknown"),
    "azimuth": ("degree", "azimuth at the lowest elevation"),
    "elevation_min": ("degree", "lowest apparent elevation"),
    "elevation_max": ("degree", "highest apparent elevation"),
    "observations": ("1", "number of samples"),
    "duration": ("minute", "length of the arc"),
    "edot_factor": ("h", "tangent of elevation over its rate"),
    "nyquist_height": ("m", "largest height that the sampling tells apart"),
    "reflector_height": ("m", "height of the antenna above the reflector"),
    "reflector_height_se": ("m", "standard error of the height"),
    "amplitude": ("1", "amplitude of the reflection, V/V"),
    "peak_to_noise": ("1", "amplitude over the mean of the periodogram"),
}


def reflector_heights(
    day: xr.Dataset,
    *,
    previous: xr.Dataset | None = None,
    following: xr.Dataset | None = None,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Find the height of the antenna above the reflector, for every arc of a day.

    Parameters
    ----------
    day : xarray.Dataset
        Of `tilth.gnss.reflectometry.snr_files.read_snr` or `snr_day`.
    previous, following : xarray.Dataset, optional
        The days before and after. Without them arcs across midnight are cut short and
        bear the warning ``missing_neighbour``.
    settings : Settings, optional
        How; by default those of `Settings`.

    Returns
    -------
    xarray.Dataset
        Along ``arc``, in the order of time, every signal of every pass whose mean time
        lies in the day: ``satellite`` and ``signal`` (numbers), ``signal_name``,
        ``time`` (UTC) and ``gps_hour``, ``rise``, ``azimuth`` (degrees),
        ``elevation_min``, ``elevation_max``, ``observations``, ``duration`` (minutes),
        ``edot_factor`` (h), ``nyquist_height``, ``reflector_height``,
        ``reflector_height_se`` (m), ``amplitude``, ``peak_to_noise``,
        ``quality_flag`` (zero for an accepted arc, else the reasons) and
        ``warning_flag``. Arcs with too few samples have no height.

    Raises
    ------
    InputError
        If a table is not that of a day, or the days do not follow each other.

    References
    ----------
    Larson (2016), WIREs Water 3, 775-787, doi:10.1002/wat2.1167. Roesler and Larson
    (2018), GPS Solutions 22, 80, doi:10.1007/s10291-018-0744-8.
    """
    chosen = settings or Settings()
    columns = arc_columns(day, chosen, previous=previous, following=following)
    table = arc_table(columns, str(day.attrs["station"]), chosen)
    return stamp(table, f"reflector heights of {day.attrs['date']}")


def accepted(arcs: xr.Dataset) -> xr.Dataset:
    """Return the arcs that nothing speaks against.

    Parameters
    ----------
    arcs : xarray.Dataset
        Of `reflector_heights`.

    Returns
    -------
    xarray.Dataset
        Those whose ``quality_flag`` is zero.
    """
    return arcs.isel(arc=np.flatnonzero(arcs["quality_flag"].values == 0))


def arc_columns(
    day: xr.Dataset,
    settings: Settings,
    *,
    previous: xr.Dataset | None = None,
    following: xr.Dataset | None = None,
) -> dict[str, np.ndarray]:
    """Return the columns of the table of arcs of a day as plain arrays.

    Parameters
    ----------
    day : xarray.Dataset
        Of `tilth.gnss.reflectometry.snr_days.snr_day`.
    settings : Settings
        Of the analysis.
    previous, following : xarray.Dataset, optional
        The days before and after.

    Returns
    -------
    dict of str to numpy.ndarray, shape (arc)
        As `arc_table` takes them, in the order of time.
    """
    arcs = cut_arcs(day, settings, previous=previous, following=following)
    found = _measured(arcs, settings)
    begin = np.datetime64(day.attrs["date"], "ns")
    middle = 0.5 * (arcs.first_second + arcs.last_second)
    second = np.where(arcs.enough, found["mean_second"], middle)
    bands = [signal_of(int(code)).band for code in arcs.signal]
    steps = {band: day[band].attrs.get("resolution", 0.0) for band in set(bands)}
    known = channels_of(day)
    centred = (arcs.signal == 101) | (arcs.signal == 102)
    slots = np.isin(arcs.satellite % 100, list(known))
    inside = np.zeros(second.size, bool)
    for first, last in settings.azimuths:
        inside |= (found["mean_azimuth"] - first) % 360.0 <= last - first
    needed = {code: settings.amplitude_for(code) for code in settings.signals}
    found |= {
        "few_samples": ~arcs.enough,
        "wavelength": arcs.wavelength,
        "resolution": np.array([steps[band] for band in bands], float),
        "azimuth_inside": inside,
        "required_amplitude": np.array([needed[int(c)] for c in arcs.signal], float),
        "peak_to_noise": found["amplitude"] / found["noise"],
        "first_second": arcs.first_second,
        "last_second": arcs.last_second,
        "assumed_channel": centred & ~slots,
        "unknown_second_band": np.isin(arcs.signal, (2, 20))
        & np.isin(arcs.satellite, list(second_band(day, "second_band_unknown"))),
    }
    columns = {
        "satellite": arcs.satellite.astype("int16"),
        "signal": arcs.signal.astype("int16"),
        "time": gps_to_utc(begin + np.rint(1e9 * second).astype("timedelta64[ns]")),
        "gps_hour": second / 3600.0,
        "rise": np.sign(np.nan_to_num(found["elevation_rate"])).astype("int8"),
        "observations": np.diff(arcs.starts).astype("int32"),
        "quality_flag": quality_flags(found, settings),
        "warning_flag": warning_flags(
            found,
            settings,
            has_previous=previous is not None,
            has_following=following is not None,
        ),
    }
    columns |= {name: found[name] for name in _ABOUT if name not in columns}
    today = np.flatnonzero((second >= 0) & (second < SECONDS_PER_DAY))
    order = np.lexsort((arcs.signal[today], arcs.satellite[today], second[today]))
    return {name: values[today[order]] for name, values in columns.items()}


def arc_table(
    columns: dict[str, np.ndarray], station: str, settings: Settings
) -> xr.Dataset:
    """Make the table of arcs of plain columns.

    Parameters
    ----------
    columns : dict of str to numpy.ndarray, shape (arc)
        Of `arc_columns`; of several days one after the other.
    station : str
        Name of the station.
    settings : Settings
        Of the analysis; its main numbers become attributes.

    Returns
    -------
    xarray.Dataset
        As `reflector_heights` describes it.
    """
    codes = sorted(set(settings.signals))
    names = {code: SIGNALS[code].name for code in codes}
    about: dict[str, dict[str, Any]] = {
        name: {"units": units, "long_name": text}
        for name, (units, text) in _ABOUT.items()
    }
    if settings.decibel:
        about["amplitude"] = {"units": "dB", "long_name": "amplitude of the reflection"}
    about["satellite"] = {"long_name": "number of the satellite"}
    about["signal"] = {
        "long_name": "number of the signal",
        "flag_values": np.array(codes, "int16"),
        "flag_meanings": " ".join(names[code].replace(" ", "_") for code in codes),
    }
    about["time"] = {"long_name": "middle of the arc, UTC", "standard_name": "time"}
    about["quality_flag"] = QUALITY.attrs() | {"long_name": "reasons to reject the arc"}
    about["warning_flag"] = WARNINGS.attrs() | {"long_name": "what the arc bears"}
    table = xr.Dataset(
        {
            name: ("arc", values, about[name])
            for name, values in columns.items()
            if name != "time"
        },
        coords={
            "time": ("arc", columns["time"], about["time"]),
            "signal_name": (
                "arc",
                np.array([names[int(code)] for code in columns["signal"]], object),
                {"long_name": "name of the signal"},
            ),
        },
    )
    table.attrs = {
        "station": station,
        "elevations": list(map(float, settings.elevations)),
        "heights": [float(settings.min_height), float(settings.max_height)],
        "refraction": settings.refraction.model,
        "peak": settings.peak,
    }
    return table


def _measured(arcs: Arcs, settings: Settings) -> dict[str, np.ndarray]:
    """Return what is measured of every arc; NaN where samples are too few."""
    # The product, and not a function of degrees: gnssrefl's grid hangs on the last bit.
    sine = np.sin(arcs.elevation * np.pi / 180.0)
    table = _measure(
        arcs.starts, arcs.wavelength, arcs.elevation, sine, arcs.azimuth, arcs.second,
        arcs.residual, settings.peak == "grid", settings.min_height,
        settings.max_height, settings.height_step, *settings.noise_range,
        settings.trend_order,
    )  # fmt: skip
    return dict(zip(_MEASURED, table, strict=True))


@njit(cache=True, nogil=True)
def _measure(
    starts, wavelength, elevation, sine, azimuth, second, residual, on_grid,
    min_height, max_height, height_step, noise_low, noise_high, order,
):  # fmt: skip  # pragma: no cover - compiled
    """Return what is measured of every arc, shape (quantity, arc)."""
    table = np.full((13, wavelength.size), np.nan)
    for k in range(wavelength.size):
        first, last = starts[k], starts[k + 1]
        if last == first:
            continue
        e, t = elevation[first:last], second[first:last]
        middle = t.mean()
        radians = e * np.pi / 180.0
        away = t - middle
        rate = np.dot(away, radians - radians.mean()) / np.dot(away, away)
        turned = azimuth[first:last] * np.pi / 180.0
        mean = np.arctan2(np.sin(turned).mean(), np.cos(turned).mean())
        x = sine[first:last] / (wavelength[k] / 2.0)
        y = residual[first:last] - residual[first:last].mean()
        if on_grid:
            height, amplitude, noise = grid_peak(
                x, y, min_height, max_height, height_step, noise_low, noise_high
            )
        else:
            height, amplitude, noise = fine_peak(
                x, y, min_height, max_height, height_step, noise_low, noise_high
            )
        table[0, k] = middle
        table[1, k] = azimuth[first + np.argmin(e)]
        table[2, k] = mean * 180.0 / np.pi
        table[3, k], table[4, k] = e.min(), e.max()
        table[5, k] = (t[-1] - t[0]) / 60.0
        table[6, k] = rate
        table[7, k] = np.tan(radians).mean() / (rate * 3600.0)
        table[8, k] = 0.5 / np.median(np.abs(np.diff(x)))
        table[9, k], table[11, k], table[12, k] = height, amplitude, noise
        table[10, k] = height_error(x, y, height, e, order)
    return table
