"""All fluxes of one block of closures, as arrays: what runs in memory or on Dask."""

from __future__ import annotations

import numpy as np

from tilth.chambers.fits.curves import fit_ndfe, fit_quadratic, fit_zhao
from tilth.chambers.fits.detection import minimum_detectable_flux
from tilth.chambers.fits.fitting import COLUMNS, fit_closures
from tilth.chambers.fits.selection import MODELS, choose, corrected_aic, error_of_choice
from tilth.chambers.fits.settings import FluxSettings
from tilth.chambers.flags import FLUX_FLAGS
from tilth.chambers.geometry import AMOUNT_LIMITS


def output_names(settings: FluxSettings) -> list[str]:
    """Columns of `flux_block`, in order."""
    pooled = ["kappa_pooled", "c0_pooled"] if "pooled" in settings.fitted else []
    names = ["flux", "flux_se", "model", "model_reason", "flux_flag"]
    for model in settings.fitted:
        names += [f"flux_{model}", f"flux_{model}_se"]
    return [
        *names, "mdf", "g_factor", "kappa", "kappa_max", "amount", "n_points",
        "n_independent", "autocorrelation", "r2_linear", "rmse_linear", "rmse_hm",
        "mae_linear", "mae_hm", "aicc_linear", "aicc_hm", "c_closing", "c0_linear",
        "c0_hm", "c_inf_hm", "t0_licor", "c_inf_licor", "rmse_licor", *pooled,
    ]  # fmt: skip


def flux_block(
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
        scatter = (
            fit["linear_slope_se"]
            if settings.precision is None
            else settings.precision / fit["time_spread"]
        )
        # The scatter is that of the slope: the spread of the times is in it.
        mdf = minimum_detectable_flux(scatter, 1.0, amount, settings.confidence)
        # A negative g-factor is below every limit's inverse.
        outside = (g_factor > settings.g_factor_limit) | (
            g_factor < 1.0 / settings.g_factor_limit
        )
        flags = flags | np.where(outside, FLUX_FLAGS.bit("g_factor"), 0)
        model, reason = choose(settings.select, settings.fitted, slopes, aicc, flags, n)
        slope = np.full(len(n), np.nan)
        for name, (values, _) in slopes.items():
            here = model == MODELS.index(name)
            slope[here] = values[here]
        slope_se = error_of_choice(slopes, model, reason)
        flux = slope * amount
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
    if "pooled" in settings.fitted:
        columns += [shared_k, fit["pooled_c0"]]
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
            from tilth.chambers.fits.robust import fit_robust

            slopes[name] = fit_robust(t, c)
            continue
        fit = {"quadratic": fit_quadratic, "ndfe": fit_ndfe, "zhao": fit_zhao}[name]
        curve = fit(t, c)
        slopes[name] = (
            np.where(usable, curve.slope, np.nan),
            np.where(usable, curve.slope_se, np.nan),
        )
