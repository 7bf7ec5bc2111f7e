"""Choices between processes that a run is compiled for."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.core.errors import InputError
from tilth.land.model.state import LAYERS


@dataclass(frozen=True)
class Settings:
    """Choices between processes; the first of each is MATSIRO's.

    Parameters
    ----------
    snow_cover : {"simple", "ssnowd"}
        Square root of the snow mass (Takata et al. 2003), or a lognormal distribution
        of its depth (Liston 2004, Nitta et al. 2014).
    soil_freezing : {"instant", "curve"}
        All water freezes at 0 degC, or along the soil's retention curve.
    stomata : {"ball_berry", "medlyn"}
        Ball, Woodrow & Berry (1987) or Medlyn et al. (2011).
    snow_drain : {"instant", "gravity"}
        Water leaves the snow at once, or as a wave (Colbeck 1972).
    layers : tuple of float
        Thickness of the soil layers from the top, m.
    """

    snow_cover: str = "simple"
    soil_freezing: str = "instant"
    stomata: str = "ball_berry"
    snow_drain: str = "instant"
    layers: tuple[float, ...] = LAYERS

    def __post_init__(self) -> None:
        for name, known in (
            ("snow_cover", ("simple", "ssnowd")),
            ("soil_freezing", ("instant", "curve")),
            ("stomata", ("ball_berry", "medlyn")),
            ("snow_drain", ("instant", "gravity")),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name}={getattr(self, name)!r} is not known: choose "
                    f"{' or '.join(map(repr, known))}"
                )
        if len(self.layers) < 2 or min(self.layers) <= 0.0:
            raise InputError(
                f"layers={self.layers}: give at least two soil layers of positive "
                "thickness in m, from the top"
            )
