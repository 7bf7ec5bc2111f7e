"""Settings of an analysis of reflected signals, and those of gnssrefl read as ours."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.refraction import Air, Climate, Refraction
from tilth.gnss.reflectometry.signals import signal_of

#: Number of a model of refraction in gnssrefl -> model and whether it has seasons.
_MODELS = {
    0: ("none", False),
    1: ("bennett", False),
    2: ("bennett", True),
    3: ("ulich", False),
    4: ("ulich", True),
}


@dataclass(frozen=True)
class Settings:
    """How reflector heights are found. The defaults are those of gnssrefl 4.2.3.

    Parameters
    ----------
    signals : tuple of int
        Numbers of signals; each is worked on by itself.
    elevations : (float, float)
        Elevations of the periodogram, degrees: above the first, up to the second.
    detrend_elevations : (float, float)
        Elevations over which the direct signal is fitted, degrees.
    azimuths : tuple of (float, float)
        Ranges, degrees, clockwise, such as ``((300, 360), (0, 90))`` or ``((-60,
        90),)``, for the mean azimuth of an arc.
    trend_order : int
        Order of the polynomial in elevation that takes the direct signal away.
    decibel : bool
        Whether ratios stay in dB-Hz; by default they become volts per volt.
    min_height, max_height : float
        Heights searched, m.
    height_step : float
        Spacing of the heights, m.
    peak : {"parabola", "grid"}
        The height between the steps, by a coarse search, a fine one and a parabola; or
        the very numbers of gnssrefl, with its grid and its carrier of Galileo E6.
    noise_heights : (float, float), optional
        Heights over which the noise is averaged, m; those searched by default.
    required_amplitude : float or mapping of int to float
        For all signals, or for each, in the unit of the ratios.
    peak_to_noise : float
        Amplitude over noise that an arc must exceed.
    end_gap : float
        Largest part of the elevations that an arc may lack at either end, degrees.
    max_duration : float
        An arc lasts less, minutes.
    interval : float, optional
        Only seconds of the day that are multiples of it are used.
    exclude : tuple of int
        Satellites that are left out.
    refraction : Refraction
        Model and air; by default Bennett's at sea level.

    Raises
    ------
    InputError
        If a setting cannot be, or does not go with another.
    """

    signals: tuple[int, ...] = (1, 20, 5)
    elevations: tuple[float, float] = (5.0, 25.0)
    detrend_elevations: tuple[float, float] = (5.0, 30.0)
    azimuths: tuple[tuple[float, float], ...] = ((0.0, 360.0),)
    trend_order: int = 4
    decibel: bool = False
    min_height: float = 0.5
    max_height: float = 8.0
    height_step: float = 0.005
    peak: str = "parabola"
    noise_heights: tuple[float, float] | None = None
    required_amplitude: float | Mapping[int, float] = 5.0
    peak_to_noise: float = 2.8
    end_gap: float = 2.0
    max_duration: float = 75.0
    interval: float | None = None
    exclude: tuple[int, ...] = ()
    refraction: Refraction = field(default_factory=Refraction)

    def __post_init__(self) -> None:
        for code in self.signals:
            signal_of(code)
        if not self.signals or len(set(self.signals)) < len(self.signals):
            raise InputError(
                f"signals are named once each, at least one; got {self.signals}"
            )
        for name in ("elevations", "detrend_elevations"):
            low, high = getattr(self, name)
            if not 0 <= low < high <= 90:
                raise InputError(
                    f"{name} are ({low}, {high}): they rise, from 0 to 90 degrees"
                )
        if not 0 < self.min_height < self.max_height:
            raise InputError(
                f"heights from {self.min_height} to {self.max_height} m: they are "
                "positive and rise"
            )
        if self.max_height - self.min_height < 5.0:
            raise InputError(
                f"heights from {self.min_height} to {self.max_height} m: noise is told "
                "from a peak only over 5 m or more"
            )
        if not 0 < self.height_step <= 0.05:
            raise InputError(
                f"height_step is {self.height_step} m: it is positive and at most 0.05"
            )
        if self.peak not in ("parabola", "grid"):
            raise InputError(f"peak is 'parabola' or 'grid', got {self.peak!r}")
        if not 0 <= self.trend_order <= 8:
            raise InputError(f"trend_order is {self.trend_order}: it is 0 to 8")
        if self.interval is not None and self.interval <= 0:
            raise InputError(f"interval is {self.interval} s: it is positive")
        low, high = self.noise_range
        if not 0 < low < high <= self.max_height:
            raise InputError(
                f"noise_heights are ({low}, {high}) m: they rise, up to max_height"
            )
        for first, last in self.azimuths:
            if not 0 < last - first <= 360:
                raise InputError(
                    f"azimuths from {first} to {last}: they go clockwise, by up to 360 "
                    "degrees; write ((300, 420),) or ((-60, 60),) across north"
                )

    @property
    def noise_range(self) -> tuple[float, float]:
        """Heights over which the noise is averaged, m."""
        return self.noise_heights or (self.min_height, self.max_height)

    def amplitude_for(self, signal: int) -> float:
        """Return the amplitude that arcs of a signal must exceed.

        Parameters
        ----------
        signal : int
            Its number.

        Returns
        -------
        float
            In the unit of the ratios.

        Raises
        ------
        InputError
            If amplitudes are given by signal and this one has none.
        """
        if not isinstance(self.required_amplitude, Mapping):
            return float(self.required_amplitude)
        try:
            return float(self.required_amplitude[signal])
        except KeyError:
            raise InputError(
                f"required_amplitude has no value for the signal {signal}"
            ) from None


def read_settings(
    path: str | os.PathLike[str],
    air: str | os.PathLike[str] | Air | None = None,
    **changes: Any,
) -> Settings:
    """Read the settings that gnssrefl keeps for a station.

    Parameters
    ----------
    path : path
        The JSON file, such as ``mchl.json``.
    air : path or Air, optional
        gnssrefl's file of air around the station, such as ``mchl_refr.txt``, or air
        itself; by default the standard atmosphere at the station's height.
    **changes
        Settings that are to be otherwise.

    Returns
    -------
    Settings
        With the same meaning.

    Raises
    ------
    InputError
        If the file is something else, or asks for what is not done here.
    """
    try:
        told = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds no settings: {error}") from error
    absent = {"freqs", "e1", "e2", "minH", "maxH", "lat", "lon", "ht"} - set(told)
    if absent:
        raise InputError(f"{path} lacks {', '.join(sorted(absent))}")
    if told.get("ellist"):
        raise InputError(
            f"{path} lists ranges of elevations (ellist): make one run of each"
        )
    number = told.get("refr_model", 1) if told.get("refraction", True) else 0
    if number not in _MODELS:
        raise InputError(
            f"{path} asks for the model of refraction {number}; there are "
            f"{', '.join(map(str, _MODELS))}"
        )
    model, seasonal = _MODELS[number]
    signals = tuple(told["freqs"])
    edges = told.get("azval2") or [0, 360]
    wanted: dict[str, Any] = {
        "signals": signals,
        "elevations": (told["e1"], told["e2"]),
        "detrend_elevations": tuple(told.get("pele", (5, 30))),
        "azimuths": tuple(zip(edges[::2], edges[1::2], strict=True)),
        "trend_order": told.get("polyV", 4),
        "min_height": told["minH"],
        "max_height": told["maxH"],
        "height_step": told.get("desiredP", 0.005),
        "noise_heights": tuple(told["NReg"]) if told.get("NReg") else None,
        "required_amplitude": dict(zip(signals, told["reqAmp"], strict=False))
        if "reqAmp" in told
        else 5.0,
        "peak_to_noise": told.get("PkNoise", 2.8),
        "end_gap": told.get("ediff", 2.0),
        "max_duration": told.get("delTmax", 75.0),
        "interval": told.get("dec") or None,
        "exclude": tuple(told.get("exclude_satellites") or ()),
    }
    if "refraction" not in changes:
        surroundings: Air | Climate
        if isinstance(air, Air):
            surroundings = air
        elif air is not None:
            surroundings = Climate.read(air, told["lat"], told["lon"], told["ht"])
        else:
            surroundings = Air.standard((told.get("Hortho") or [told["ht"]])[0])
        has_seasons = isinstance(surroundings, Climate)
        wanted["refraction"] = Refraction(model, surroundings, seasonal and has_seasons)
    return Settings(**(wanted | changes))
