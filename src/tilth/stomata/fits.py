"""Closures of stomatal conductance fitted to leaves, with standard errors.

Two of the three are straight lines in disguise, so they are solved exactly and not
searched for. A fit takes plain arrays in the units of gas-exchange systems; see
`tilth.stomata.observations` for what must not be fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import least_squares
from scipy.stats import t as student

from tilth.core.errors import InputError

__all__ = [
    "LEAST_DEFICIT",
    "StomatalFit",
    "fit_ball_berry",
    "fit_leuning",
    "fit_medlyn",
]

#: Diffusivity of water vapour over that of carbon dioxide in air. Medlyn et al. (2011).
RATIO = 1.6

#: Deficit below which Medlyn's closure, which grows without limit there, is not to be
#: fitted, kPa. Fitting practice is 0.05 to 0.1.
LEAST_DEFICIT = 0.05


@dataclass(frozen=True)
class StomatalFit:
    """A fitted closure.

    Parameters
    ----------
    closure : {"medlyn", "ball_berry", "leuning"}
        Which one.
    names, units : tuple of str
        Of its parameters.
    values, standard_errors : numpy.ndarray
        Of its parameters; the error of a fixed one is NaN.
    residual_sum : float
        Sum of squared residuals, mol2 m-4 s-2.
    total_sum : float
        Sum of squared deviations from the mean conductance.
    rows, free : int
        Numbers of observations and of parameters that were fitted.
    fixed : dict of str to float
        Numbers of the closure that were not fitted.
    covariance : numpy.ndarray
        Of the free parameters, in their order.
    """

    closure: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    standard_errors: np.ndarray
    residual_sum: float
    total_sum: float
    rows: int
    free: int
    covariance: np.ndarray
    fixed: dict[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """Return a parameter by name."""
        return float(self.values[self.names.index(name)])

    @property
    def rmse(self) -> float:
        """Root of the mean squared residual, mol m-2 s-1 (not of the freedoms)."""
        return float(np.sqrt(self.residual_sum / self.rows))

    @property
    def r_squared(self) -> float:
        """Share of the variance explained; below zero where the mean does better."""
        return 1.0 - self.residual_sum / self.total_sum

    def table(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return parameters with errors, limits and the p-value of being zero.

        Parameters
        ----------
        confidence : float, default 0.95
            Of the limits, by Student's distribution.
        """
        freedom = self.rows - self.free
        error = self.standard_errors
        width = student.ppf(0.5 + confidence / 2, freedom) * error
        return pd.DataFrame(
            {
                "parameter": self.names,
                "value": self.values,
                "se": error,
                "low": self.values - width,
                "high": self.values + width,
                "p": 2 * student.sf(np.abs(self.values / error), freedom),
                "units": self.units,
            }
        )

    def predict(
        self,
        assimilation: npt.ArrayLike,
        surface_co2: npt.ArrayLike,
        driver: npt.ArrayLike,
    ) -> np.ndarray:
        """Return the conductance that the fit gives.

        Parameters
        ----------
        assimilation : array_like
            Net, umol m-2 s-1.
        surface_co2 : array_like
            umol mol-1.
        driver : array_like
            Deficit in kPa, or, of Ball-Berry, humidity at the surface (0 to 1).

        Returns
        -------
        numpy.ndarray
            mol m-2 s-1.
        """
        carbon = np.asarray(assimilation, float) / np.asarray(surface_co2, float)
        dryness = np.asarray(driver, float)
        if self.closure == "ball_berry":
            return self["g0"] + self["g1"] * carbon * dryness
        if self.closure == "medlyn":
            power = 1.0 - self.fixed["gk"]
            return self["g0"] + RATIO * (1 + self["g1"] / dryness**power) * carbon
        open_share = np.asarray(assimilation, float) / (
            np.asarray(surface_co2, float) - self.fixed["compensation"]
        )
        return self["g0"] + self["a1"] * open_share / (1 + dryness / self["D0"])


def fit_medlyn(
    conductance: npt.ArrayLike,
    assimilation: npt.ArrayLike,
    surface_co2: npt.ArrayLike,
    deficit: npt.ArrayLike,
    *,
    g0: float | None = None,
    gk: float = 0.5,
) -> StomatalFit:
    r"""Fit the unified stomatal optimisation model.

    .. math:: g_s = g_0 + 1.6 \left(1 + \frac{g_1}{D^{1 - g_k}}\right) \frac{A}{C_s}

    Linear in :math:`g_0` and :math:`g_1`: regression of
    :math:`g_s - 1.6 A / C_s` on :math:`1.6 A / (C_s D^{1-g_k})` gives what a search
    would find.

    Parameters
    ----------
    conductance : array_like
        For water vapour, mol m-2 s-1.
    assimilation : array_like
        Net, umol m-2 s-1.
    surface_co2 : array_like
        At the leaf surface, umol mol-1.
    deficit : array_like
        Leaf to air, kPa; at least `LEAST_DEFICIT`.
    g0 : float, optional
        Fixed, mol m-2 s-1; by default fitted.
    gk : float, default 0.5
        Of the exponent of the deficit.

    Returns
    -------
    StomatalFit
        Parameters ``g0`` (mol m-2 s-1) and ``g1`` (kPa^(1 - gk)).

    Raises
    ------
    InputError
        If a number is missing, too few rows are there, or nothing varies.

    References
    ----------
    Medlyn et al. (2011), Global Change Biology 17, 2134-2144, eq. 11; corrigendum
    (2012) 18, 3476; Medlyn et al. (2017), New Phytologist 216, 758-769.
    """
    gs, a, cs, d = _columns(
        conductance=conductance,
        assimilation=assimilation,
        surface_co2=surface_co2,
        deficit=deficit,
    )
    if (d < LEAST_DEFICIT).any():
        raise InputError(
            f"{(d < LEAST_DEFICIT).sum()} deficits are below {LEAST_DEFICIT} kPa, "
            "where Medlyn's closure grows without limit: leave these rows out "
            "(tilth.stomata.usable does)"
        )
    base = RATIO * a / cs
    slope = base / d ** (1.0 - gk)
    units = ("mol m-2 s-1", "kPa^0.5" if gk == 0.5 else f"kPa^{1 - gk:g}")
    return _line(
        "medlyn", gs, gs - base, slope, intercept=g0, units=units, fixed={"gk": gk}
    )


def fit_ball_berry(
    conductance: npt.ArrayLike,
    assimilation: npt.ArrayLike,
    surface_co2: npt.ArrayLike,
    humidity: npt.ArrayLike,
    *,
    g0: float | None = None,
) -> StomatalFit:
    r"""Fit the Ball-Berry model.

    .. math:: g_s = g_0 + g_1 \frac{A\,h_s}{C_s}

    Parameters
    ----------
    conductance : array_like
        For water vapour, mol m-2 s-1.
    assimilation : array_like
        Net, umol m-2 s-1.
    surface_co2 : array_like
        At the leaf surface, umol mol-1.
    humidity : array_like
        At the leaf surface, relative to saturation at leaf temperature, 0 to 1.
    g0 : float, optional
        Fixed, mol m-2 s-1; by default fitted.

    Returns
    -------
    StomatalFit
        Parameters ``g0`` (mol m-2 s-1) and ``g1``.

    Raises
    ------
    InputError
        If a number is missing, humidity is in percent, or nothing varies.

    References
    ----------
    Ball, Woodrow & Berry (1987), Progress in Photosynthesis Research IV, 221-224.
    """
    gs, a, cs, hs = _columns(
        conductance=conductance,
        assimilation=assimilation,
        surface_co2=surface_co2,
        humidity=humidity,
    )
    if hs.max() > 1.2:
        raise InputError(
            f"humidity is a share from 0 to 1, but reaches {hs.max():g}: divide "
            "percent by 100"
        )
    units = ("mol m-2 s-1", "1")
    return _line("ball_berry", gs, gs, a * hs / cs, intercept=g0, units=units)


def fit_leuning(
    conductance: npt.ArrayLike,
    assimilation: npt.ArrayLike,
    surface_co2: npt.ArrayLike,
    deficit: npt.ArrayLike,
    *,
    compensation: float = 42.75,
) -> StomatalFit:
    r"""Fit Leuning's model.

    .. math:: g_s = g_0 + \frac{a_1 A}{(C_s - \Gamma)(1 + D / D_0)}

    Parameters
    ----------
    conductance : array_like
        For water vapour, mol m-2 s-1.
    assimilation : array_like
        Net, umol m-2 s-1.
    surface_co2 : array_like
        At the leaf surface, umol mol-1.
    deficit : array_like
        Leaf to air, kPa.
    compensation : float, default 42.75
        CO2 compensation point, umol mol-1: of Rubisco at 25 degC (Bernacchi et al.
        2001).

    Returns
    -------
    StomatalFit
        Parameters ``g0`` (mol m-2 s-1), ``a1`` and ``D0`` (kPa). Where the deficit
        hardly varies, ``a1`` and ``D0`` hide each other and their errors say so.

    Raises
    ------
    InputError
        If a number is missing, or carbon dioxide is not above the compensation point.

    References
    ----------
    Leuning (1995), Plant, Cell & Environment 18, 339-355, eq. 4.
    """
    gs, a, cs, d = _columns(
        conductance=conductance,
        assimilation=assimilation,
        surface_co2=surface_co2,
        deficit=deficit,
    )
    if cs.min() <= compensation:
        raise InputError(
            f"surface_co2 falls to {cs.min():g} umol mol-1, not above the compensation "
            f"point of {compensation:g}: leave these rows out"
        )
    share = a / (cs - compensation)
    _enough(gs.size, 3)

    def residual(free: np.ndarray) -> np.ndarray:
        return free[0] + free[1] * share / (1 + d * free[2]) - gs

    # In 1 / D0 the model is nearly linear, and an insensitive leaf is at zero.
    start = np.array([max(gs.min(), 0.0), 1.6 * 4.0, 1.0])
    found = least_squares(residual, start, x_scale=[0.1, 10.0, 1.0], xtol=1e-14)
    slope = found.jac
    rss = float(np.sum(found.fun**2))
    covariance = _covariance(slope, rss, gs.size)
    g0, a1, sensitivity = found.x
    # To D0 = 1 / s, by the chain rule.
    turn = np.diag([1.0, 1.0, -1.0 / sensitivity**2 if sensitivity else np.nan])
    covariance = turn @ covariance @ turn
    return StomatalFit(
        "leuning",
        ("g0", "a1", "D0"),
        ("mol m-2 s-1", "1", "kPa"),
        np.array([g0, a1, 1.0 / sensitivity if sensitivity else np.inf]),
        np.sqrt(np.diag(covariance)),
        rss,
        float(np.sum((gs - gs.mean()) ** 2)),
        gs.size,
        3,
        covariance,
        {"compensation": compensation},
    )


def _line(
    closure: str,
    conductance: np.ndarray,
    response: np.ndarray,
    slope: np.ndarray,
    *,
    intercept: float | None,
    units: tuple[str, str],
    fixed: dict[str, float] | None = None,
) -> StomatalFit:
    """Fit response = g0 + g1 slope, with g0 free or fixed."""
    free = [slope] if intercept is not None else [np.ones_like(slope), slope]
    design = np.stack(free, axis=1)
    _enough(slope.size, len(free))
    if np.linalg.matrix_rank(design) < len(free):
        raise InputError(
            f"the driver of {closure} is {slope[0]:g} in every row: with nothing that "
            "varies g0 and g1 cannot be told apart; fix g0, or give more light levels"
        )
    wanted = response if intercept is None else response - intercept
    beta, *_ = np.linalg.lstsq(design, wanted, rcond=None)
    rss = float(np.sum((wanted - design @ beta) ** 2))
    covariance = _covariance(design, rss, slope.size)
    errors = np.sqrt(np.diag(covariance))
    if intercept is not None:
        beta, errors = np.array([intercept, beta[0]]), np.array([np.nan, errors[0]])
    return StomatalFit(
        closure,
        ("g0", "g1"),
        units,
        beta,
        errors,
        rss,
        float(np.sum((conductance - conductance.mean()) ** 2)),
        slope.size,
        len(free),
        covariance,
        dict(fixed or {}),
    )


def _covariance(design: np.ndarray, rss: float, rows: int) -> np.ndarray:
    """Return the covariance of least squares, by the freedoms that are left."""
    return rss / (rows - design.shape[1]) * np.linalg.pinv(design.T @ design)


def _enough(rows: int, free: int) -> None:
    if rows <= free:
        raise InputError(
            f"{rows} observations for {free} parameters: one more at least is needed"
        )


def _columns(**given: Any) -> list[np.ndarray]:
    """Return columns of numbers of one length, in units that are credible."""
    columns = {
        name: np.asarray(values, float).ravel() for name, values in given.items()
    }
    sizes = {name: values.size for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"columns of different lengths: {sizes}")
    for name, values in columns.items():
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            raise InputError(
                f"{name} is missing in {wrong.size} rows, the first is row {wrong[0]}: "
                "leave them out"
            )
    assimilation, co2 = columns["assimilation"], columns["surface_co2"]
    if assimilation.size and np.abs(assimilation).max() < 1e-2:
        raise InputError(
            f"assimilation is at most {np.abs(assimilation).max():g}: it is wanted in "
            "umol m-2 s-1, and looks like mol m-2 s-1"
        )
    if co2.size and co2.min() < 10:
        raise InputError(
            f"surface_co2 falls to {co2.min():g}: it is wanted in umol mol-1"
            + (", and looks like mol mol-1" if co2.max() < 0.1 else "")
        )
    return list(columns.values())
