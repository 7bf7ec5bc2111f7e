"""Weather, stores, fluxes and variants of the emulator: what all its forms share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tilth.core.errors import InputError

Array = Any

#: Snow water equivalent of full cover, mm (MATSIRO; kg m-2).
FULL_COVER = 100.0

#: Snow below this counts as none where the switch is sharp, mm.
NO_SNOW = 1e-3

#: The exponents of the logistic curves are cut here, so that nothing overflows.
LOGISTIC_LIMIT = 30.0


class Forcing(NamedTuple):
    """Weather of a day; every field (cell) or, for a run, (time, cell).

    ``rain`` and ``snowfall`` in mm day-1, ``temperature`` in K, ``humidity`` (specific)
    in kg kg-1, ``pressure`` in Pa.
    """

    rain: Array
    snowfall: Array
    temperature: Array
    humidity: Array
    pressure: Array


class State(NamedTuple):
    """The stores, mm, every field (cell); ``deep`` stays zero unless closed."""

    snow: Array
    soil: Array
    wetland: Array
    deep: Array


class Fluxes(NamedTuple):
    """What left a column in a day, mm day-1, every field (cell).

    ``losses`` is the water that the factors :math:`a`, :math:`c` and :math:`d` take
    away: interception and sublimation in the closed variant.
    """

    surface_runoff: Array
    base_runoff: Array
    evaporation: Array
    losses: Array


@dataclass(frozen=True)
class Variant:
    """Which form of the equations is meant.

    Parameters
    ----------
    implicit : bool
        The implicit scheme instead of the published explicit one.
    closed : bool
        A deep store takes what drains; only with `implicit`.
    frost_width : float
        Width of the switch :math:`H(T)` at 0 degC, K; zero for a sharp one.
    snow_depth : float
        Snow that lowers evaporation to 1/e, mm; zero for a sharp switch.
    """

    implicit: bool = True
    closed: bool = False
    frost_width: float = 0.5
    snow_depth: float = 2.0

    def __post_init__(self) -> None:
        if self.closed and not self.implicit:
            raise InputError(
                "the closed variant needs the implicit scheme: set implicit=True"
            )


#: The variants by name.
VARIANTS = {
    "published": Variant(implicit=False, frost_width=0.0, snow_depth=0.0),
    "smooth": Variant(implicit=False),
    "implicit": Variant(),
    "closed": Variant(closed=True),
}
