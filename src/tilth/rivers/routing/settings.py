"""What can be set of a routing run, each default with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tilth.core.errors import InputError

__all__ = ["Constants", "Settings"]

#: Steepest slope of the water surface over a floodplain, a bifurcation path, 1. In
#: place of a weir: CaMa-Flood v4, since version 3.90.
STEEPEST_FLOOD_SLOPE = 0.005


class Constants(NamedTuple):
    """Numbers of `Settings` as compiled code takes them; units as there.

    The shares, slopes and distances are plain floats; ``floodplain_flow`` is 0 or 1.
    """

    gravity: float
    floodplain_manning: float
    courant: float
    mouth_distance: float
    flood_slope: float
    backflow_share: float
    path_share: float
    floodplain_flow: int


@dataclass(frozen=True)
class Settings:
    """How water is routed; the defaults are those of CaMa-Flood v4.

    Parameters
    ----------
    flow : "inertial" or "kinematic"
        Local inertial equation (Bates et al. 2010; Yamazaki et al. 2013), or the
        kinematic wave, which knows no backwater and no bifurcations.
    floodplain_flow : bool
        Whether water also moves over the floodplain.
    time_step : float
        Outer step, s: how often the number of sub-steps is found anew. The hour is
        CaMa-Flood's default; the numerics of its 6 arc-minute runs use 600 s.
    steps_by : "basin" or "globe"
        Whether each basin (with those joined to it by paths) takes its own number of
        sub-steps, or all take the largest of them, as CaMa-Flood does.
    gravity : float
        m s-2; CaMa-Flood's 9.8.
    river_manning, floodplain_manning : float
        Manning's n, s m-1/3, of channels the network gives none for, and of
        floodplains (Yamazaki et al. 2011, table 1).
    courant : float
        Share of the time a wave needs to the next catchment that a sub-step may take
        (Bates et al. 2010, eq. 14).
    mouth_distance : float
        Distance over which the surface falls to the sea's at a mouth, m (PDSTMTH).
    least_slope : float
        Smallest slope of a kinematic channel, 1 (PMINSLP).
    backflow_share : float
        Largest share of a catchment's own storage that may flow to it from downstream
        in a sub-step (CaMa-Flood since v4.23).
    path_share : float
        Largest share of the smaller storage that a bifurcation path may carry in a
        sub-step (CaMa-Flood since v4.23).
    groundwater_delay : float
        Residence time of base runoff in a linear store, s; 0 lets it through at once.

    Raises
    ------
    InputError
        If a number cannot be.
    """

    flow: Literal["inertial", "kinematic"] = "inertial"
    floodplain_flow: bool = True
    time_step: float = 3600.0
    steps_by: Literal["basin", "globe"] = "basin"
    gravity: float = 9.8
    river_manning: float = 0.03
    floodplain_manning: float = 0.10
    courant: float = 0.7
    mouth_distance: float = 10_000.0
    least_slope: float = 1e-5
    backflow_share: float = 0.05
    path_share: float = 0.05
    groundwater_delay: float = 0.0

    def __post_init__(self) -> None:
        choices = {
            "flow": ("inertial", "kinematic"),
            "steps_by": ("basin", "globe"),
        }
        for name, allowed in choices.items():
            if (given := getattr(self, name)) not in allowed:
                raise InputError(f"{name} must be one of {allowed}, got {given!r}")
        for name in (
            "time_step",
            "gravity",
            "river_manning",
            "floodplain_manning",
            "courant",
            "mouth_distance",
            "least_slope",
            "backflow_share",
            "path_share",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"{name} must be above zero, got {value}")
        for name in ("courant", "backflow_share", "path_share"):
            if (value := getattr(self, name)) > 1.0:
                raise InputError(
                    f"{name} is a share and at most 1, got {value}: the water would "
                    "leave faster than it is there"
                )
        if not (math.isfinite(self.groundwater_delay) and self.groundwater_delay >= 0):
            raise InputError(
                "groundwater_delay must be zero or a time in s, got "
                f"{self.groundwater_delay}"
            )

    def outer_steps(self, seconds: float) -> int:
        """Return the number of outer steps in an interval; they are of equal length.

        Parameters
        ----------
        seconds : float
            Length of the interval, s.

        Returns
        -------
        int
            The fewest steps that are not longer than `time_step`.

        Raises
        ------
        InputError
            If the interval has no length.
        """
        if not (math.isfinite(seconds) and seconds > 0.0):
            raise InputError(f"an interval needs a length above zero, got {seconds} s")
        return max(1, math.ceil(seconds / self.time_step - 1e-9))

    def constants(self) -> Constants:
        """Return the numbers that the compiled code needs.

        Returns
        -------
        Constants
            Units as in the settings.
        """
        return Constants(
            gravity=float(self.gravity),
            floodplain_manning=float(self.floodplain_manning),
            courant=float(self.courant),
            mouth_distance=float(self.mouth_distance),
            flood_slope=STEEPEST_FLOOD_SLOPE,
            backflow_share=float(self.backflow_share),
            path_share=float(self.path_share),
            floodplain_flow=int(self.floodplain_flow),
        )
