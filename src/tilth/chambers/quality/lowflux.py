"""The plain rule "drop what is below 0.1" with what it does to a mean, and its cure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import log_ndtr

from tilth.core.errors import InputError
from tilth.core.flags import add_flag
from tilth.core.model import require_variables
from tilth.core.units import convert

#: Threshold of the fleet's analysis, umol m-2 s-1 (Paessler et al. 2024).
LOW_FLUX = 0.1


def flag_low_flux(
    fluxes: xr.Dataset, *, variable: str = "flux", limit: float = LOW_FLUX
) -> xr.Dataset:
    """Flag fluxes below the threshold of the plain rule.

    The rule stands in for the physical tests (`quality.flag_closures`) where only
    fluxes are left. It also removes true low fluxes, so that means come out too
    high: use `mean_with_low_fluxes` to see by how much.

    Parameters
    ----------
    fluxes : xarray.Dataset
        With `variable` and ``closure_flag`` on ``closure``.
    variable : str
        Flux to judge.
    limit : float
        Threshold, umol m-2 s-1.

    Returns
    -------
    xarray.Dataset
        ``low_flux`` raised in ``closure_flag``.
    """
    require_variables(fluxes, [variable, "closure_flag"], "the low-flux rule")
    low = convert(fluxes[variable], "umol m-2 s-1") < limit
    return fluxes.assign(closure_flag=add_flag(fluxes["closure_flag"], "low_flux", low))


def mean_with_low_fluxes(
    flux,
    *,
    limit: float = LOW_FLUX,
    blocks=None,
    distribution: Literal["lognormal", "normal"] = "lognormal",
) -> pd.DataFrame:
    """Mean flux with and without the low ones, and as if they were only censored.

    Three answers side by side:

    ``all``
        the plain mean;
    ``above_limit``
        the mean without fluxes below the limit, too high where they were real;
    ``censored``
        the mean of the distribution that fits the fluxes above the limit *and* the
        number below it, whose values are not trusted (`censored_mean`). Right where
        the low ones are real but too small to measure. Pots that failed must be
        taken out before: no distribution can tell them from low fluxes.

    Parameters
    ----------
    flux : array_like
        Night fluxes, umol m-2 s-1; NaN is left out.
    limit : float
        Threshold, umol m-2 s-1.
    blocks : array_like, optional
        What each flux belongs to that is not independent (night, pot); standard
        errors then come from leaving out one block at a time. Without it fluxes
        count as independent, which they seldom are.
    distribution : {'lognormal', 'normal'}
        Of the fluxes. Between nights and pots fluxes are lognormal (positive and
        scattering in proportion); use the normal where noise dominates.

    Returns
    -------
    pandas.DataFrame
        Rows ``all``, ``above_limit``, ``censored``; columns ``mean``, ``se``
        (umol m-2 s-1), ``n`` (fluxes that enter by their value) and ``n_below``.

    Raises
    ------
    InputError
        If the limit is not positive for a lognormal distribution.
    """
    values = np.asarray(flux, float)
    keep = np.isfinite(values)
    labels = np.arange(len(values)) if blocks is None else np.asarray(blocks)
    values, labels = values[keep], labels[keep]
    below = values < limit

    def plain(part: np.ndarray) -> float:
        return float(part.mean()) if len(part) else np.nan

    def above(part: np.ndarray) -> float:
        return plain(part[part >= limit])

    def censored(part: np.ndarray) -> float:
        return censored_mean(part, limit=limit, distribution=distribution)[0]

    table = {
        "all": (plain, len(values)),
        "above_limit": (above, int((~below).sum())),
        "censored": (censored, int((~below).sum())),
    }
    rows = {}
    for name, (estimate, n) in table.items():
        se = np.nan
        if name == "censored" and blocks is None:
            mean, se = censored_mean(values, limit=limit, distribution=distribution)
        else:
            mean = estimate(values)
            if blocks is None and n > 1:
                used = values if name == "all" else values[~below]
                se = float(used.std(ddof=1) / np.sqrt(n))
            elif blocks is not None:
                se = _left_out_se(estimate, values, labels)
        rows[name] = {"mean": mean, "se": se, "n": n, "n_below": int(below.sum())}
    return pd.DataFrame.from_dict(rows, orient="index").astype(
        {"n": int, "n_below": int}
    )


def _left_out_se(estimate, values: np.ndarray, labels: np.ndarray) -> float:
    """Return the delete-one-block jackknife standard error."""
    left_out = np.array(
        [estimate(values[labels != b]) for b in pd.unique(pd.Series(labels))]
    )
    left_out = left_out[np.isfinite(left_out)]
    if len(left_out) < 2:
        return float("nan")
    return float(left_out.std() * np.sqrt(len(left_out) - 1.0))


def censored_mean(
    values,
    *,
    limit: float = LOW_FLUX,
    distribution: Literal["lognormal", "normal"] = "lognormal",
) -> tuple[float, float]:
    r"""Mean of a distribution known above a limit and by number below it.

    Maximum likelihood of the left-censored normal (Tobin 1958) of :math:`y = F` or
    :math:`y = \ln F`, in Olsen's parameters :math:`h = 1/\sigma, a = \mu/\sigma`,
    where it has one maximum:

    .. math:: \ell = n_{+} \ln h - \tfrac12\sum_{+}(h y_i - a)^2
                     + n_{-} \ln\Phi(h L - a)

    The mean is :math:`\mu`, or :math:`e^{\mu + \sigma^2/2}` of the lognormal.

    Parameters
    ----------
    values : array_like
        Values; those below the limit enter by their number only.
    limit : float
        Limit :math:`L`.
    distribution : {'lognormal', 'normal'}
        What the values follow.

    Returns
    -------
    tuple of float
        Mean and standard error; NaN if fewer than three values, or no two
        different ones, are above the limit.

    Raises
    ------
    InputError
        If the limit is not positive for the lognormal, or the distribution is
        unknown.

    References
    ----------
    Tobin (1958), Econometrica 26, 24-36. Olsen (1978), Econometrica 46, 1211-1215.

    Examples
    --------
    >>> mean, se = censored_mean([0.05, 0.3, 0.5, 0.4, 0.6, 0.2])
    >>> round(mean, 2)
    0.37
    """
    if distribution not in ("lognormal", "normal"):
        raise InputError(
            f"no distribution {distribution!r}; there are lognormal and normal"
        )
    if distribution == "lognormal" and limit <= 0:
        raise InputError(
            f"a lognormal needs a positive limit, got {limit}: negative fluxes have "
            "no logarithm; choose distribution='normal'"
        )
    x = np.asarray(values, float)
    x = x[np.isfinite(x)]
    seen, missed = x[x >= limit], int((x < limit).sum())
    logs = distribution == "lognormal"
    y, bound = (np.log(seen), np.log(limit)) if logs else (seen, limit)
    if len(y) < 3 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    # Scaled so that the iteration meets numbers near one whatever the unit.
    shift, scale = y.mean(), y.std()
    a, h, information = _olsen((y - shift) / scale, (bound - shift) / scale, missed)
    mu, sigma = shift + scale * a / h, scale / h
    gradient_mu = scale * np.array([1.0 / h, -a / h**2])
    mean, gradient = mu, gradient_mu
    if logs:
        mean = np.exp(mu + sigma**2 / 2.0)
        gradient = mean * (gradient_mu + np.array([0.0, -(scale**2) / h**3]))
    variance = gradient @ np.linalg.solve(information, gradient)
    return float(mean), float(np.sqrt(variance))


def _olsen(y: np.ndarray, bound: float, missed: int) -> tuple[float, float, np.ndarray]:
    """Maximise the censored likelihood by damped Newton steps; it is concave."""
    n, total, squares = len(y), y.sum(), (y * y).sum()

    def likelihood(a: float, h: float) -> float:
        inside = n * np.log(h) - 0.5 * (h * h * squares - 2 * a * h * total + n * a * a)
        return inside + missed * log_ndtr(h * bound - a)

    a, h = 0.0, 1.0
    for _ in range(100):
        z = h * bound - a
        hazard = np.exp(-0.5 * z * z - 0.5 * np.log(2 * np.pi) - log_ndtr(z))
        bend = -hazard * (z + hazard)
        slope = np.array(
            [
                h * total - n * a - missed * hazard,
                n / h - h * squares + a * total + missed * bound * hazard,
            ]
        )
        curvature = np.array(
            [
                [-n + missed * bend, total - missed * bound * bend],
                [
                    total - missed * bound * bend,
                    -n / h**2 - squares + missed * bound**2 * bend,
                ],
            ]
        )
        step = -np.linalg.solve(curvature, slope)
        size, now = 1.0, likelihood(a, h)
        while h + size * step[1] <= 0 or (
            likelihood(a + size * step[0], h + size * step[1]) < now - 1e-12 * abs(now)
        ):
            size /= 2.0
            if size < 1e-8:
                break
        a, h = a + size * step[0], h + size * step[1]
        if np.abs(step).max() < 1e-10:
            break
    return a, h, -curvature
