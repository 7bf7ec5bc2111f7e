"""How fluxes are computed: every choice in one place, each default with its source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.chambers.fits.selection import MODELS, RULES
from tilth.core.constants import MOLAR_GAS_CONSTANT
from tilth.core.errors import InputError
from tilth.core.units import convert

#: Closures with one of these flags get no flux: their numbers cannot be trusted.
BLOCKING = ("truncated", "damaged_header", "no_data", "summary_mismatch")


@dataclass(frozen=True)
class FluxSettings:
    """How fluxes are computed; every default has a source.

    Parameters
    ----------
    models : tuple of str
        Curves to fit besides ``linear``, ``hm`` and ``licor``, which come out of
        one pass and are always there: ``pooled`` (the exponential with the rate that
        `share_kappa` found for many closures), ``robust`` (Huber), ``quadratic``,
        ``ndfe``, ``zhao``.
    dead_band : float, optional
        Seconds after closing that are not fitted; overrides the variable
        ``dead_band`` of the closures. Neither: 0. Needed for mixing, and for a slow
        sensor (an SCD30 needs 40 s and more) unless `response` is given.
    fit_end : float, optional
        Seconds after closing at which the fit ends; overrides ``fit_end``.
    response : float
        Response time of the sensor in s (63 % of a step; SCD30 datasheet: 20). The
        delay then is part of the curves, for a sensor that was in equilibrium with
        the open chamber when it closed.
    precision : float, optional
        Standard deviation of one reading, in the unit of `GASES`: umol mol-1 for
        CO2, nmol mol-1 for CH4 and N2O, mmol mol-1 for H2O. Sets the
        detection limit and kappa-max (k <= |slope| / precision; Hueppi 2018 with
        goFlux's detection limit). Without it the limit follows from the scatter
        of each closure, and k is bounded by the length of the closure only.
    select : str
        Rule of choice: ``aicc``, ``kappa_max``, or the name of one model.
    g_factor_limit : float
        Largest |flux_hm / flux_linear| believed under ``aicc``; goFlux's default
        is 2.
    confidence : float
        Two-sided level of the detection limit.
    autocorrelation : bool
        Widen standard errors for AR(1) residuals and repeated readings.
    nonnegative : bool
        Keep the equilibrium concentration of the exponential from going below zero.
    initial : str
        Pressure, temperature and vapour at closing: ``intercept`` of the first
        10 s (LI-COR) or ``first`` record (goFlux).
    water_term : bool
        Water vapour flux with the factor 1/(1-w) (goFlux leaves it out).
    r_gas : float
        Molar gas constant, J mol-1 K-1.
    """

    models: tuple[str, ...] = ()
    dead_band: float | None = None
    fit_end: float | None = None
    response: float = 0.0
    precision: float | None = None
    select: str = "aicc"
    g_factor_limit: float = 2.0
    confidence: float = 0.95
    autocorrelation: bool = True
    nonnegative: bool = True
    initial: str = "intercept"
    water_term: bool = True
    r_gas: float = MOLAR_GAS_CONSTANT

    def __post_init__(self):
        extra = set(self.models) - set(MODELS[1:])
        if extra:
            raise InputError(
                f"no model {sorted(extra)}; known: {', '.join(MODELS[1:])}"
            )
        if self.select not in RULES and self.select not in self.fitted:
            raise InputError(
                f"select={self.select!r} is neither a rule ({', '.join(RULES)}) nor "
                f"a fitted model ({', '.join(self.fitted)})"
            )
        if self.precision is not None and not self.precision > 0.0:
            raise InputError(f"precision must be positive, got {self.precision}")
        undelayed = set(self.models) & {"robust", "quadratic", "ndfe", "zhao"}
        if self.response and undelayed:
            raise InputError(
                "the delay of a sensor is modelled for linear, hm, licor and pooled, "
                f"not for {', '.join(sorted(undelayed))}: drop these or the response"
            )
        if self.initial not in ("intercept", "first"):
            raise InputError(
                f"initial must be 'intercept' or 'first', got {self.initial!r}"
            )
        for name in ("dead_band", "fit_end", "response"):
            value = getattr(self, name)
            if value is not None and not value >= 0.0:
                raise InputError(f"{name} must not be negative, got {value} s")
        if not 0.0 < self.confidence < 1.0:
            raise InputError(
                f"confidence must lie between 0 and 1, got {self.confidence}"
            )
        if not self.g_factor_limit >= 1.0:
            raise InputError(
                f"g_factor_limit must be at least 1, got {self.g_factor_limit}"
            )

    @property
    def fitted(self) -> tuple[str, ...]:
        """All curves that will be fitted, in the order of `MODELS`."""
        always = ("linear", "hm", "licor")
        return tuple(m for m in MODELS if m in always or m in self.models)


def fit_window(
    closures: xr.Dataset, settings: FluxSettings
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return start and end of the fit of every closure, in s after closing."""
    return (
        _window(closures, "dead_band", settings.dead_band, 0.0),
        _window(closures, "fit_end", settings.fit_end, np.inf),
    )


def _window(
    closures: xr.Dataset, name: str, setting: float | None, default: float
) -> xr.DataArray:
    """Bound of the fit for each closure: the setting, the variable or the default."""
    if setting is None and name in closures:
        return convert(closures[name], "s").fillna(default).astype(float)
    value = default if setting is None else float(setting)
    bound = xr.full_like(closures["closure_flag"], value, dtype=float).rename(name)
    return bound.drop_attrs()
