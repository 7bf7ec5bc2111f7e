r"""One curvature for many closures of the same pot.

How fast a chamber saturates is a matter of the chamber and the soil under it, not of
the single closure: k of Hutchinson & Mosier's curve is nearly the same from cycle to
cycle. One noisy closure cannot tell it, and either takes a line, which is too low, or
a curve, which is too uncertain. A week of closures tells it well. With k known the
curve is as precise as a line, and unbiased.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numba import njit

from tilth.chambers.air import as_fitted
from tilth.chambers.closures import check_closures
from tilth.chambers.fits.exponential import delay, even_step, project
from tilth.chambers.fits.points import select_points
from tilth.chambers.fits.settings import FluxSettings, fit_window
from tilth.chambers.flags import is_doubted
from tilth.core.errors import InputError
from tilth.core.model import require_text, require_variables, stamp
from tilth.core.units import convert

#: Values of k tried, as k times the length of the longest closure: from a curve that
#: falls 0.05 % short of its line to one that is over in a fifth of the closure.
_SPANS = np.geomspace(1e-3, 20.0, 60)

#: Fewer closures than this do not pool: their common curvature says too little.
MIN_CLOSURES = 20


def share_kappa(
    closures: xr.Dataset,
    gas: str = "co2",
    *,
    by: str = "pot",
    days: float = 7.0,
    settings: FluxSettings | None = None,
) -> xr.Dataset:
    r"""Estimate one rate k for all closures of a pot within some days.

    With the residual sum of closure i at a given k, its linear parameters fitted, and
    its residual variance at the group's k,

    .. math:: \chi^2(k) = \sum_i \frac{RSS_i(k)}{s_i^2}, \qquad
              se(\ln k) = \left(\tfrac12\,\frac{d^2\chi^2}{d(\ln k)^2}\right)^{-1/2} .

    Closures that a flag puts in doubt do not take part, but get their group's k.

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset with ``time`` and the text coordinate `by`; flag it first
        (`flag_closures`): a stuck chamber has no curvature to share.
    gas : str
        Variable to fit.
    by : str
        Coordinate of what shares its curvature.
    days : float
        Length of the periods; the soil's moisture changes k slowly.
    settings : FluxSettings, optional
        Window and response of the sensor, as for `fluxes`.

    Returns
    -------
    xarray.Dataset
        With ``shared_kappa`` (s-1) and ``shared_kappa_se`` (standard error of its
        logarithm); NaN where fewer than `MIN_CLOSURES` closures share. Then
        ``fluxes(..., FluxSettings(models=("pooled",), select="pooled"))``.

    Raises
    ------
    InputError
        If `by` or ``time`` is missing or the identifiers are not text.

    Examples
    --------
    >>> from tilth.chambers import FluxSettings, fluxes, simulate_closures
    >>> closures = simulate_closures(200, flux=1.0, k=0.001, noise=2.0, seed=1)
    >>> closures = closures.assign_coords(
    ...     pot=("closure", ["9.2.B"] * 200),
    ...     time=("closure", pd.date_range("2023-07-03", periods=200, freq="10min")),
    ... )
    >>> shared = share_kappa(closures)
    >>> settings = FluxSettings(models=("pooled",), select="pooled")
    >>> round(float(fluxes(shared, "co2", settings)["flux"].mean()), 1)
    1.0
    """
    settings = settings or FluxSettings()
    check_closures(closures, gas)
    require_variables(closures, [by, "time"], "sharing a curvature")
    require_text(closures[by])
    if not days > 0:
        raise InputError(f"days must be positive, got {days}")
    fitted = as_fitted(closures, gas)
    elapsed = np.ascontiguousarray(convert(fitted["elapsed"], "s").to_numpy(), float)
    value = np.ascontiguousarray(fitted[gas].to_numpy(), float)
    start, end = (w.to_numpy() for w in fit_window(fitted, settings))
    length = float(np.max(elapsed, where=elapsed <= end[:, None], initial=1.0))
    log_k = np.log(_SPANS / length)
    sums, n = _residual_sums(
        elapsed, value, start, end, settings.response, np.exp(log_k)
    )
    sound = ~is_doubted(closures["closure_flag"]).to_numpy() & (n > 4)
    # A held reading fits every rate alike and perfectly: it says nothing of any.
    sound &= np.min(sums, axis=1, initial=np.inf) > 0.0

    stamps = pd.DatetimeIndex(closures["time"].to_numpy())
    period = (stamps - stamps.min()) // pd.Timedelta(days=days)
    groups = pd.factorize(pd.MultiIndex.from_arrays([closures[by].values, period]))[0]
    kappa, error = np.full((2, len(groups)), np.nan)
    for group in np.unique(groups):
        members = groups == group
        own = members & sound
        if own.sum() >= MIN_CLOSURES:
            kappa[members], error[members] = _pool(sums[own], n[own], log_k)
    shared = closures.copy(deep=False)
    shared["shared_kappa"] = (
        "closure",
        kappa,
        {"units": "s-1", "long_name": f"rate shared by the closures of a {by}"},
    )
    shared["shared_kappa_se"] = (
        "closure",
        error,
        {"units": "1", "long_name": "standard error of the logarithm of shared_kappa"},
    )
    return stamp(shared, f"chambers.share_kappa gas={gas} by={by} days={days}")


def _pool(sums: np.ndarray, n: np.ndarray, log_k: np.ndarray) -> tuple[float, float]:
    """Minimise the weighted sum of residual sums; return k and the error of log k."""
    # The variances belong to the k that is sought: two rounds settle them.
    best = int(np.argmin(np.log(sums).sum(0)))
    for _ in range(2):
        variance = sums[:, best] / (n - 3)
        chi2 = (sums / variance[:, None]).sum(0)
        best = int(np.argmin(chi2))
    if best in (0, len(log_k) - 1):
        # No curvature to be seen, or all over at once: the end of the range, whose
        # error is that a step away would be no worse by one.
        rise = np.abs(chi2 - chi2[best])
        near = np.flatnonzero(rise > 1.0)
        reach = abs(log_k[near] - log_k[best]).min() if near.size else np.ptp(log_k)
        return float(np.exp(log_k[best])), float(reach)
    low, mid, high = chi2[best - 1 : best + 2]
    step = log_k[1] - log_k[0]
    bend = (low - 2.0 * mid + high) / step**2
    offset = 0.5 * (low - high) / (low - 2.0 * mid + high) * step
    return float(np.exp(log_k[best] + offset)), float(np.sqrt(2.0 / bend))


@njit(cache=True, nogil=True, error_model="numpy")
def _residual_sums(time, value, start, end, tau, rates):
    """Residual sum of every closure at every rate, and its number of points."""
    m, samples = time.shape
    sums = np.full((m, rates.size), np.nan)
    count = np.zeros(m, np.int64)
    t, c = np.empty(samples), np.empty(samples)
    lag, g = np.empty(samples), np.empty(samples)
    for i in range(m):
        n = select_points(time[i], value[i], start[i], end[i], t, c)[0]
        count[i] = n
        if n < 4:
            continue
        delay(t, n, tau, lag)
        dt = even_step(t, n)
        for j in range(rates.size):
            sums[i, j] = project(t, c, lag, tau, dt, n, rates[j], False, g)[2]
    return sums, count
