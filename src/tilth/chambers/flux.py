"""Fluxes with uncertainty, detection limit and a reasoned choice of the curve."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import xarray as xr
from numba import njit

from tilth.chambers.air import air_moles_per_area, as_fitted, water_vapour
from tilth.chambers.closures import GASES, check_closures
from tilth.chambers.curves import fit_ndfe, fit_quadratic, fit_zhao
from tilth.chambers.fitting import (
    COLUMNS,
    INITIAL_WINDOW,
    fit_closures,
    initial_concentration,
)
from tilth.chambers.flags import FLUX_FLAGS
from tilth.chambers.geometry import AMOUNT_LIMITS
from tilth.chambers.selection import (
    MODELS,
    REASONS,
    RULES,
    choose,
    error_of_choice,
)
from tilth.core.constants import MOLAR_GAS_CONSTANT
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.core.model import require_variables, stamp
from tilth.core.parallel import apply_kernel
from tilth.core.units import convert, parse_units

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
        extra = set(self.models) - set(MODELS)
        if extra:
            raise InputError(f"no model {sorted(extra)}; known: {', '.join(MODELS)}")
        if self.select not in RULES and self.select not in self.fitted:
            raise InputError(
                f"select={self.select!r} is neither a rule ({', '.join(RULES)}) nor "
                f"a fitted model ({', '.join(self.fitted)})"
            )
        if self.precision is not None and not self.precision > 0.0:
            raise InputError(f"precision must be positive, got {self.precision}")
        if self.response < 0.0:
            raise InputError(f"response must not be negative, got {self.response} s")
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
        if self.dead_band is not None and self.dead_band < 0.0:
            raise InputError(f"dead_band must not be negative, got {self.dead_band} s")

    @property
    def fitted(self) -> tuple[str, ...]:
        """All curves that will be fitted, in the order of `MODELS`."""
        always = ("linear", "hm", "licor")
        return tuple(m for m in MODELS if m in always or m in self.models)


def fluxes(
    closures: xr.Dataset, gas: str = "co2", settings: FluxSettings | None = None
) -> xr.Dataset:
    r"""Compute the flux of every closure.

    .. math:: F = \phi \left.\frac{dC'}{dt}\right|_{t_0}, \qquad
              \phi = \frac{V P_0 (1 - w_0)}{R A T_0}

    with C' the dry mole fraction (a wet one is dried point by point first), and
    V, A, P, T, w at closing. For water vapour,
    :math:`F_w = \phi_{moist}\,(dw/dt)/(1-w_0)`. A mass concentration (mg m-3)
    gives a mass flux, :math:`F = (V/A)\,dC/dt`.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset with ``volume`` and ``area`` (`apply_geometry` adds
        them), ``pressure`` and ``temperature``; in memory or chunked along
        ``closure`` (Dask).
    gas : str
        Variable to compute the flux of.
    settings : FluxSettings, optional
        All choices; the defaults otherwise.

    Returns
    -------
    xarray.Dataset
        Along ``closure``: ``flux`` and ``flux_se`` of the chosen ``model`` with
        its ``model_reason``, ``flux_MODEL`` and ``flux_MODEL_se`` of every curve,
        ``mdf`` (minimum detectable flux), ``g_factor``, ``kappa``, ``kappa_max``,
        fit statistics, ``amount`` of air, ``flux_flag`` and the ``closure_flag``
        of the input. Standard errors are those of the fit (``flux_se``: of the
        choice between line and curve too): geometry, gain and sensors are added by
        `tilth.chambers.budget`. A closure without a flux
        is NaN with its reason in ``flux_flag``.

    Raises
    ------
    InputError
        If a variable or a unit is missing, or the geometry is impossible for
        every closure (a mistaken unit).

    References
    ----------
    LI-COR LI-8100A manual, eq. 4-12; Hutchinson & Mosier (1981); Hueppi et al.
    (2018).
    """
    settings = settings or FluxSettings()
    check_closures(closures, gas)
    closures = as_fitted(closures, gas)
    concentration, flux_units, by_mass = _in_flux_units(closures[gas], gas)
    amount = _amount_of_air(closures, gas, settings, by_mass)

    if not by_mass:
        _refuse_impossible(amount)

    inputs = [
        convert(closures["elapsed"], "s").astype(float),
        concentration.astype(float),
        *fit_window(closures, settings),
        is_flagged(closures["closure_flag"], *BLOCKING),
        amount,
        *(_shared(closures, name, settings) for name in ("", "_se")),
    ]
    names = _output_names(settings)
    table = apply_kernel(
        _flux_block,
        *inputs,
        core_dims=[("sample",), ("sample",), *[()] * (len(inputs) - 2)],
        output_dims=[("result",)],
        output_sizes={"result": len(names)},
        options={"settings": settings, "check_amount": not by_mass},
    )
    result = xr.Dataset(
        {name: table.isel(result=i, drop=True) for i, name in enumerate(names)}
    )
    for name in ("time", *_labels(closures)):
        if name in closures.coords:
            result = result.assign_coords({name: closures[name]})
    result["closure_flag"] = closures["closure_flag"]
    result["dead_band"], result["fit_end"] = inputs[2], inputs[3]
    _describe(result, concentration.attrs["units"], flux_units, by_mass, settings)
    result.attrs = {k: v for k, v in closures.attrs.items() if k != "history"}
    if "history" in closures.attrs:
        result.attrs["history"] = closures.attrs["history"]
    result.attrs["sensor_response"] = settings.response
    chosen = {k: v for k, v in asdict(settings).items() if v is not None}
    return stamp(result, f"chambers.fluxes gas={gas} {chosen}")


def _labels(closures: xr.Dataset) -> list[str]:
    """Coordinates on the closures alone that identify them."""
    return [
        str(name)
        for name, coord in closures.coords.items()
        if coord.dims == ("closure",) and name not in ("closure", "time")
    ]


def _in_flux_units(
    concentration: xr.DataArray, gas: str
) -> tuple[xr.DataArray, str, bool]:
    """Return the concentration in its canonical unit, and the unit of its flux."""
    units = str(concentration.attrs.get("units"))
    if not parse_units(units).dimensionless:
        try:
            return convert(concentration, "mg m-3"), "mg m-2 s-1", True
        except InputError as error:
            raise InputError(
                f"{gas} is in {units!r}: a flux needs a mole fraction (umol mol-1, "
                "ppm) or a mass concentration (mg m-3)"
            ) from error
    target = GASES[gas][1] if gas in GASES else "umol mol-1"
    return convert(concentration, target), target.replace("mol-1", "m-2 s-1"), False


def fit_window(
    closures: xr.Dataset, settings: FluxSettings
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return start and end of the fit of every closure, in s after closing."""
    return (
        _window(closures, "dead_band", settings.dead_band, 0.0),
        _window(closures, "fit_end", settings.fit_end, np.inf),
    )


def _shared(closures: xr.Dataset, part: str, settings: FluxSettings) -> xr.DataArray:
    """Rate shared with other closures, or its error; NaN where it is not asked for."""
    if "pooled" not in settings.models:
        nothing = xr.full_like(closures["closure_flag"], np.nan, dtype=float)
        return nothing.rename(f"shared_kappa{part}")
    require_variables(
        closures, [f"shared_kappa{part}"], "the pooled model (share_kappa first)"
    )
    return convert(closures[f"shared_kappa{part}"], "1" if part else "s-1")


def _window(
    closures: xr.Dataset, name: str, setting: float | None, default: float
) -> xr.DataArray:
    """Bound of the fit for each closure: the setting, the variable or the default."""
    if setting is None and name in closures:
        return convert(closures[name], "s").fillna(default).astype(float)
    value = default if setting is None else float(setting)
    bound = xr.full_like(closures["closure_flag"], value, dtype=float).rename(name)
    return bound.drop_attrs()


def _amount_of_air(
    closures: xr.Dataset, gas: str, settings: FluxSettings, by_mass: bool
) -> xr.DataArray:
    """Factor from slope to flux: mol m-2, or m for a mass concentration."""
    require_variables(
        closures, ["volume", "area"], "a closures dataset with its geometry applied"
    )
    volume, area = convert(closures["volume"], "m3"), convert(closures["area"], "m2")
    if by_mass:
        return (volume / area).rename("amount")
    require_variables(
        closures,
        ["pressure", "temperature"],
        "the amount of air in a chamber (no standard atmosphere is assumed)",
    )
    pressure = at_closing(closures, "pressure", "Pa", settings.initial)
    temperature = at_closing(closures, "temperature", "degC", settings.initial)
    vapour = _vapour_at_closing(closures, settings)
    moist = air_moles_per_area(volume, area, pressure, temperature, 0.0, settings.r_gas)
    if gas == "h2o":
        factor = 1.0 / (1.0 - vapour) if settings.water_term else 1.0
        return (moist * factor).rename("amount")
    return (moist * (1.0 - vapour)).rename("amount")


def _refuse_impossible(amount: xr.DataArray) -> None:
    """Raise where the amount of air tells that a unit is wrong throughout."""
    low, high = AMOUNT_LIMITS
    known = amount.isel(closure=slice(0, 1000)).to_numpy()
    known = known[np.isfinite(known)]
    if known.size and not ((known >= low) & (known <= high)).any():
        raise InputError(
            f"the chambers hold {np.median(known):.3g} mol of air per m2 of soil, "
            f"outside {low}..{high}: check the units of volume, area, pressure and "
            "temperature (m3 or cm3? m2 or cm2? Pa or kPa?)"
        )


def _vapour_at_closing(closures: xr.Dataset, settings: FluxSettings):
    """Water vapour at closing, mol mol-1; zero where the data do not tell it."""
    if "initial_h2o" in closures:
        known = convert(closures["initial_h2o"], "1")
        return known.fillna(0.0)
    vapour = water_vapour(closures)
    if vapour is None:
        return 0.0
    with_vapour = closures.assign(vapour=vapour.assign_attrs(units="1"))
    return at_closing(with_vapour, "vapour", "1", settings.initial).fillna(0.0)


def at_closing(
    closures: xr.Dataset, name: str, units: str, method: str = "intercept"
) -> xr.DataArray:
    """Value of a quantity at the moment the chamber closed.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset.
    name : str
        Variable; ``initial_NAME`` is used where the instrument gives it.
    units : str
        Units wanted.
    method : str
        ``intercept``: line through the first 10 s at time zero (LI-COR);
        ``first``: first record at or after closing (goFlux).

    Returns
    -------
    xarray.DataArray
        Along ``closure``.
    """
    if f"initial_{name}" in closures:
        return convert(closures[f"initial_{name}"], units)
    data = convert(closures[name], units)
    if "sample" not in data.dims:
        return data
    return apply_kernel(
        _closing_block,
        convert(closures["elapsed"], "s").astype(float),
        data.astype(float),
        core_dims=[("sample",), ("sample",)],
        options={"window": INITIAL_WINDOW if method == "intercept" else 0.0},
    ).rename(name)


@njit(cache=True, nogil=True)
def _closing_values(time, value, window):
    out = np.full(time.shape[0], np.nan)
    for i in range(time.shape[0]):
        if window > 0.0:
            out[i] = initial_concentration(time[i], value[i], window)[0]
        if np.isnan(out[i]):
            for j in range(time.shape[1]):
                if time[i, j] >= 0.0 and np.isfinite(value[i, j]):
                    out[i] = value[i, j]
                    break
    return out


def _closing_block(time, value, window):
    return _closing_values(
        np.ascontiguousarray(time), np.ascontiguousarray(value), window
    )


def _output_names(settings: FluxSettings) -> list[str]:
    """Columns of `_flux_block`, in order."""
    names = ["flux", "flux_se", "model", "model_reason", "flux_flag"]
    for model in settings.fitted:
        names += [f"flux_{model}", f"flux_{model}_se"]
    return [
        *names, "mdf", "g_factor", "kappa", "kappa_max", "amount", "n_points",
        "n_independent", "autocorrelation", "r2_linear", "rmse_linear", "rmse_hm",
        "mae_linear", "mae_hm", "aicc_linear", "aicc_hm", "c_closing", "c0_linear",
        "c0_hm", "c_inf_hm", "t0_licor", "c_inf_licor", "rmse_licor",
    ]  # fmt: skip


def _flux_block(
    time,
    value,
    start,
    end,
    rejected,
    amount,
    shared_k,
    shared_se,
    *,
    settings: FluxSettings,
    check_amount,
):
    """Fluxes of one block of closures: (closures, samples) -> (closures, results)."""
    time, value = np.ascontiguousarray(time), np.ascontiguousarray(value)
    amount = np.broadcast_to(amount, time.shape[:1])
    start, end, rejected, shared_k, shared_se = (
        np.ascontiguousarray(np.broadcast_to(x, time.shape[:1]))
        for x in (start, end, rejected, shared_k, shared_se)
    )
    kappa_per_slope = np.inf if settings.precision is None else 1 / settings.precision
    rows, flags = fit_closures(
        time, value, start, end, rejected, settings.response, shared_k, shared_se,
        kappa_per_slope,
        settings.nonnegative, settings.autocorrelation,
    )  # fmt: skip
    fit = {name: rows[:, i] for i, name in enumerate(COLUMNS)}
    usable = np.isfinite(fit["linear_slope"])
    if check_amount:
        low, high = AMOUNT_LIMITS
        bad = ~((amount >= low) & (amount <= high))
        flags = flags | np.where(bad, FLUX_FLAGS.bit("bad_geometry"), 0)
        amount = np.where(bad, np.nan, amount)

    slopes: dict[str, tuple[np.ndarray, np.ndarray]] = {
        m: (fit[f"{m}_slope"], fit[f"{m}_slope_se"])
        for m in ("linear", "hm", "licor", "pooled")
        if m in settings.fitted
    }
    _add_curves(slopes, time, value, start, end, usable, settings)
    n = fit["n"]
    parameters = {"linear": 3, "hm": 4}
    with np.errstate(all="ignore"):
        rho = fit["hm_autocorrelation"] if settings.autocorrelation else 0.0 * n
        independent = fit["n_independent"] if settings.autocorrelation else n
        effective = independent * (1.0 - rho) / (1.0 + rho)
        aicc = {
            m: corrected_aic(fit[f"{m}_rss"] / n, effective, k)
            for m, k in parameters.items()
        }
        g_factor = fit["hm_slope"] / fit["linear_slope"]
        rmse = {m: np.sqrt(fit[f"{m}_rss"] / n) for m in ("linear", "hm", "licor")}
        kappa_max = kappa_per_slope * np.abs(fit["linear_slope"])
        z = NormalDist().inv_cdf(0.5 + settings.confidence / 2.0)
        scatter = (
            fit["linear_slope_se"]
            if settings.precision is None
            else settings.precision / fit["time_spread"]
        )
        mdf = z * scatter * amount
        model, reason = choose(
            settings.select, settings.fitted, slopes, aicc, g_factor,
            settings.g_factor_limit, flags, n,
        )  # fmt: skip
        slope = np.full(len(n), np.nan)
        for name, (values, _) in slopes.items():
            here = model == MODELS.index(name)
            slope[here] = values[here]
        slope_se = error_of_choice(slopes, model, reason)
        flux = slope * amount
        outside = (np.abs(g_factor) > settings.g_factor_limit) | (
            g_factor < 1.0 / settings.g_factor_limit
        )
        flags = flags | np.where(outside, FLUX_FLAGS.bit("g_factor"), 0)
        flags = flags | np.where(np.abs(flux) < mdf, FLUX_FLAGS.bit("below_mdf"), 0)
    columns = [flux, slope_se * amount, model, reason, flags]
    for name in settings.fitted:
        columns += [slopes[name][0] * amount, slopes[name][1] * amount]
    columns += [
        mdf, g_factor, fit["hm_k"], kappa_max, amount, n, fit["n_independent"],
        fit["hm_autocorrelation"], fit["linear_r2"], rmse["linear"], rmse["hm"],
        fit["linear_mae"], fit["hm_mae"], aicc["linear"], aicc["hm"],
        fit["c_closing"], fit["linear_c0"], fit["hm_c0"], fit["hm_c_inf"],
        fit["licor_t0"], fit["licor_c_inf"], rmse["licor"],
    ]  # fmt: skip
    return np.column_stack(columns)


def _add_curves(slopes, time, value, start, end, usable, settings):
    """Fit the curves that were asked for beyond the three of the main pass."""
    extra = [m for m in settings.fitted if m not in slopes]
    if not extra:
        return
    with np.errstate(invalid="ignore"):
        inside = (time >= start[:, None]) & (time <= end[:, None]) & usable[:, None]
    t = np.where(inside & np.isfinite(value), time, np.nan)
    c = np.where(np.isfinite(t), value, np.nan)
    for name in extra:
        if name == "robust":
            # Imported here: scipy.stats behind it costs a second of every start.
            from tilth.chambers.robust import fit_robust

            slopes[name] = fit_robust(t, c)
            continue
        fit = {"quadratic": fit_quadratic, "ndfe": fit_ndfe, "zhao": fit_zhao}[name]
        curve = fit(t, c)
        slopes[name] = (
            np.where(usable, curve.slope, np.nan),
            np.where(usable, curve.slope_se, np.nan),
        )


def corrected_aic(mean_square, n, parameters):
    r"""Akaike's criterion with the small-sample correction.

    .. math:: n \ln\frac{RSS}{n} + 2K + \frac{2K(K+1)}{n-K-1}

    Parameters
    ----------
    mean_square : array_like
        RSS / n, in squared units of the data.
    n : array_like
        Number of independent points.
    parameters : int
        K, the fitted parameters and the residual variance.

    Returns
    -------
    numpy.ndarray
        AICc up to a constant shared by models on the same data; infinite where
        there are not more points than parameters allow.

    References
    ----------
    Hurvich & Tsai (1989), Biometrika 76:297.
    """
    k = parameters
    room = n - k - 1.0
    small = np.where(
        room > 0.0, 2.0 * k * (k + 1.0) / np.where(room > 0, room, 1), np.inf
    )
    return n * np.log(mean_square) + 2.0 * k + small


_TEXTS: dict[str, str] = {
    "dead_band": "time after closing at which the fit starts",
    "fit_end": "time after closing at which the fit ends",
    "mdf": "minimum detectable flux",
    "g_factor": "flux of the curve over flux of the line",
    "kappa": "rate constant of the exponential",
    "kappa_max": "largest rate constant the precision supports",
    "amount": "moles of air per soil area at closing",
    "n_points": "points fitted",
    "n_independent": "points that do not repeat the one before",
    "autocorrelation": "lag-1 autocorrelation of the residuals of the exponential",
    "r2_linear": "coefficient of determination of the line",
    "c_closing": "concentration at closing, line through the first 10 s",
    "c0_linear": "concentration of the line at closing",
    "c0_hm": "concentration of the exponential at closing",
    "c_inf_hm": "concentration the exponential tends to",
    "c_inf_licor": "concentration LI-COR's exponential tends to (Cx)",
    "t0_licor": "time at which LI-COR's exponential passes c_closing",
}


def _describe(
    result: xr.Dataset, units: str, flux_units: str, by_mass: bool, settings: Any
) -> None:
    """Give every variable its units, long name and CF attributes, in place."""
    for raw, dtype in (
        ("model", "int8"), ("model_reason", "int8"), ("flux_flag", "int32"),
        ("n_points", "int32"), ("n_independent", "int32"),
    ):  # fmt: skip
        values = result[raw]
        if raw.startswith("n_"):
            values = values.fillna(0)
        result[raw] = values.astype(dtype)
    for name, words in (("model", MODELS), ("model_reason", REASONS)):
        result[name].attrs = {
            "flag_values": np.arange(len(words), dtype="int8"),
            "flag_meanings": " ".join(words),
            "flag_descriptions": "; ".join(f"{k}: {v}" for k, v in words.items())
            if isinstance(words, dict)
            else "",
        }
    result["model"].attrs["long_name"] = "curve whose flux is given"
    result["model_reason"].attrs["long_name"] = "why this curve was chosen"
    result["flux_flag"].attrs = {**FLUX_FLAGS.attrs(), "long_name": "quality of flux"}
    for variable in result.data_vars:
        name = str(variable)
        attrs = result[name].attrs
        if name in ("model", "model_reason", "flux_flag", "closure_flag"):
            continue
        attrs["long_name"] = _TEXTS.get(name, name.replace("_", " "))
        if name.startswith("flux") or name == "mdf":
            attrs["units"] = flux_units
        elif name.startswith(("c_", "c0_", "rmse_", "mae_")):
            attrs["units"] = units
        elif name.startswith("kappa"):
            attrs["units"] = "s-1"
        elif name in ("t0_licor", "dead_band", "fit_end"):
            attrs["units"] = "s"
        elif name == "amount":
            attrs["units"] = "m" if by_mass else "mol m-2"
        else:
            attrs["units"] = "1"
    for name in [str(v) for v in result.data_vars if str(v).endswith("_se")]:
        main = name.removesuffix("_se")
        result[main].attrs["ancillary_variables"] = f"{name} flux_flag"
        result[name].attrs["long_name"] = f"standard error of {main} from the fit" + (
            ", autocorrelation and repeats included" if settings.autocorrelation else ""
        )
