"""Why an arc gives no height, and what to keep in mind about one that does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.flags import FlagTable
from tilth.gnss.reflectometry.arcs import LONGEST_GAP
from tilth.gnss.reflectometry.settings import Settings

#: Reasons to reject an arc; zero is an accepted arc.
QUALITY = FlagTable(
    {
        "few_samples": "too few samples of the satellite, of its signal or between the "
        "elevations, or too few elevations to fit the trend",
        "unknown_channel": "the frequency of this GLONASS slot is not known",
        "coarse_ratio": "ratios are in steps of 6 dB, the digits of RINEX 2",
        "azimuth_outside": "the arc does not lie in the azimuths asked for",
        "low_end_missing": "the arc ends too far above the lowest elevation",
        "high_end_missing": "the arc ends too far below the highest elevation",
        "long_duration": "the arc lasts too long",
        "near_height_limit": "the height is within 0.1 m of the limits of the search",
        "low_amplitude": "the amplitude is too small",
        "low_peak": "the peak is too low beside the noise",
    }
)

#: What an arc bears although it may be accepted.
WARNINGS = FlagTable(
    {
        "missing_neighbour": "the arc meets the end of the day, and the day before or "
        "after was not given: part of it may be missing",
        "rounded_ratio": "ratios are rounded to 1 dB or half of it",
        "beyond_nyquist": "heights up to the highest asked for cannot be told apart at "
        "this sampling",
        "assumed_channel": "the GLONASS channel is the usual one of the slot, not that "
        "of the day's own files",
        "unknown_second_band": "the file does not tell whether this is L2C or L2 P(Y), "
        "whose heights differ",
    }
)

#: A height this close to the limits of the search is no peak, m. As in gnssrefl.
LIMIT_MARGIN = 0.10

#: Steps of ratios that are of no use, and that are noted, dB.
_COARSE, _ROUNDED = 6.0, 0.5


def quality_flags(measured: Mapping[str, np.ndarray], settings: Settings) -> np.ndarray:
    """Return the reasons to reject each arc.

    Parameters
    ----------
    measured : mapping of str to numpy.ndarray, shape (arc)
        ``few_samples`` (bool), ``wavelength`` (m, NaN if unknown), ``resolution``
        (dB), ``azimuth_inside`` (bool), ``elevation_min`` and ``elevation_max``
        (degrees), ``duration`` (minutes), ``reflector_height`` (m), ``amplitude``,
        ``required_amplitude`` and ``peak_to_noise``. NaN where there is no value.
    settings : Settings
        The limits.

    Returns
    -------
    numpy.ndarray of int32, shape (arc)
        Of `QUALITY`; every reason that holds is raised.
    """
    lowest, highest = settings.elevations
    height = measured["reflector_height"]
    near = np.minimum(
        np.abs(height - settings.min_height), np.abs(height - settings.max_height)
    )
    peak = measured["peak_to_noise"]
    unknown = np.isnan(measured["wavelength"])
    few = measured["few_samples"] & ~unknown
    there = ~(few | unknown)
    return QUALITY.variable(
        {
            "few_samples": few,
            "unknown_channel": unknown,
            "coarse_ratio": measured["resolution"] >= _COARSE,
            "azimuth_outside": there & ~measured["azimuth_inside"],
            "low_end_missing": measured["elevation_min"] - lowest > settings.end_gap,
            "high_end_missing": highest - measured["elevation_max"] > settings.end_gap,
            "long_duration": measured["duration"] >= settings.max_duration,
            "near_height_limit": near < LIMIT_MARGIN,
            "low_amplitude": there
            & ~(measured["amplitude"] > measured["required_amplitude"]),
            "low_peak": there & ~(peak > settings.peak_to_noise),
        },
        few.shape,
    )


def warning_flags(
    measured: Mapping[str, np.ndarray],
    settings: Settings,
    *,
    has_previous: bool,
    has_following: bool,
) -> np.ndarray:
    """Return what is to be kept in mind about each arc.

    Parameters
    ----------
    measured : mapping of str to numpy.ndarray, shape (arc)
        ``first_second`` and ``last_second`` of the satellite's arc (s of the day),
        ``resolution`` (dB), ``nyquist_height`` (m), ``assumed_channel`` and
        ``unknown_second_band``
        (bool).
    settings : Settings
        Of the analysis.
    has_previous, has_following : bool
        Whether the days before and after were given.

    Returns
    -------
    numpy.ndarray of int32, shape (arc)
        Of `WARNINGS`.
    """
    begins = measured["first_second"] <= LONGEST_GAP
    ends = measured["last_second"] >= SECONDS_PER_DAY - LONGEST_GAP
    resolution = measured["resolution"]
    return WARNINGS.variable(
        {
            "missing_neighbour": (begins & (not has_previous))
            | (ends & (not has_following)),
            "rounded_ratio": (resolution >= _ROUNDED) & (resolution < _COARSE),
            "beyond_nyquist": measured["nyquist_height"] < settings.max_height,
            "assumed_channel": measured["assumed_channel"],
            "unknown_second_band": measured["unknown_second_band"],
        },
        begins.shape,
    )
