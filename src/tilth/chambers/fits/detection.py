"""The smallest flux a closure can tell from zero, and the curvature it supports."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from tilth.core.errors import InputError


def time_spread(n, interval):
    r"""Spread of evenly spaced times, the lever arm of a slope.

    .. math:: \sqrt{S_{xx}} = \Delta t \sqrt{n (n^2 - 1) / 12}

    Parameters
    ----------
    n : int or array_like
        Number of samples.
    interval : float or array_like
        Time between samples, in s.

    Returns
    -------
    float or numpy.ndarray
        sqrt(sum (t - mean t)^2), in s.
    """
    n = np.asarray(n, float)
    return interval * np.sqrt(n * (n * n - 1.0) / 12.0)


def minimum_detectable_flux(precision, spread, amount, confidence=0.95):
    r"""Flux that a straight-line fit can tell from zero.

    .. math:: MDF = z_{1-\alpha/2}\,\frac{\sigma}{\sqrt{S_{xx}}}\,\phi

    Parameters
    ----------
    precision : float or array_like
        Standard deviation of one reading, in umol mol-1.
    spread : float or array_like
        sqrt(Sxx) of the sampling times, in s (`time_spread`).
    amount : float or array_like
        Moles of air per area, in mol m-2.
    confidence : float
        Two-sided confidence level.

    Returns
    -------
    float or numpy.ndarray
        Minimum detectable flux in umol m-2 s-1.

    Examples
    --------
    An SCD30 (10 ppm taken as white noise) read every 3 s for 180 s in a pot
    chamber: 0.31 umol m-2 s-1.

    >>> spread = time_spread(61, 3.0)
    >>> round(float(minimum_detectable_flux(10.0, spread, 6.48)), 2)
    0.31
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    return z * precision / spread * amount


def precision_over_time(precision, duration, amount):
    r"""Give the detection limit as goFlux does: precision over measurement time.

    .. math:: MDF = \frac{p}{t}\,\phi

    It knows neither the number of samples nor a confidence level; kept for
    comparison with published tables.

    Parameters
    ----------
    precision : float
        Instrument precision in umol mol-1.
    duration : float
        Length of the measurement in s.
    amount : float
        Moles of air per area in mol m-2.

    Returns
    -------
    float
        Detection limit in umol m-2 s-1.
    """
    return precision / duration * amount


def kappa_max(linear_flux, detection_limit, duration):
    r"""Largest curvature the data support.

    .. math:: \kappa_{max} = \frac{|F_{lin}|}{F_{detect}\,t}

    The published rule uses the signed flux, so that an uptake could never be
    curved; the magnitude is meant.

    Parameters
    ----------
    linear_flux : float or array_like
        Flux of the straight line.
    detection_limit : float or array_like
        Smallest detectable flux, same unit.
    duration : float or array_like
        Length of the measurement, in s.

    Returns
    -------
    float or numpy.ndarray
        Upper limit of k in s-1.

    References
    ----------
    Hueppi et al. (2018), PLoS ONE 13:e0200876, eq. 3.
    """
    return np.abs(linear_flux) / (detection_limit * duration)


def simulated_detection_limit(
    times, concentration, precision, amount=1.0, *, n_simulations=1000, seed=0
):
    """Estimate the detection limit by fitting simulated closures without a flux.

    The 97.5 % quantile of the fluxes that the exponential fit reports for pure
    noise around a constant concentration.

    Parameters
    ----------
    times : (n,) array_like
        Sampling times from closing, in s.
    concentration : float
        Ambient concentration, in umol mol-1.
    precision : float
        Standard deviation of one reading, in umol mol-1.
    amount : float
        Moles of air per area, in mol m-2.
    n_simulations : int
        Number of simulated closures.
    seed : int
        Seed of the noise.

    Returns
    -------
    float
        Detection limit in umol m-2 s-1.

    References
    ----------
    Hueppi et al. (2018), function ``f.detect`` (there: HMR where it converges, the
    straight line where it does not; here the bounded fit, which is the line where
    there is no curvature).
    """
    from tilth.chambers.fits.fitting import COLUMNS, fit_closures

    times = np.asarray(times, float)
    noise = np.random.default_rng(seed).normal(
        concentration, precision, (n_simulations, times.size)
    )
    everywhere = np.broadcast_to(times, noise.shape).copy()
    rows, _ = fit_closures(
        everywhere,
        noise,
        np.full(n_simulations, -np.inf),
        np.full(n_simulations, np.inf),
        np.zeros(n_simulations, bool),
        0.0,
        np.full(n_simulations, np.nan),
        np.full(n_simulations, np.nan),
        np.inf,
        True,
        False,
    )
    return float(np.quantile(rows[:, COLUMNS.index("hm_slope")], 0.975) * amount)
