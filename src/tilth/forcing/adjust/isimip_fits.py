"""Distributions that a window of days is fitted with: normal, gamma, Weibull, Rice.

Maximum likelihood in closed form or by a few steps of Newton's or of the
expectation-maximisation method; all but the normal have a fixed lower end (location).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

_STEPS = 30  # of Newton's method; quadratic, a handful is needed


@dataclass(frozen=True)
class Fitted:
    """A fitted distribution.

    Parameters
    ----------
    cdf : callable
        Values in their own units -> probabilities.
    quantile : callable
        Probabilities -> values.
    parameters : tuple of float
        Shape (where there is one) and scale, or mean and standard deviation; of the
        Rice distribution the shift and the spread.
    """

    cdf: Callable[[np.ndarray], np.ndarray]
    quantile: Callable[[np.ndarray], np.ndarray]
    parameters: tuple[float, ...]

    def distance(self, values: np.ndarray) -> float:
        """Return the Kolmogorov-Smirnov distance to the values.

        Parameters
        ----------
        values : numpy.ndarray
            The sample.

        Returns
        -------
        float
            Largest difference of the two distribution functions, 0 to 1.
        """
        p = self.cdf(np.sort(values))
        n = p.size
        steps = np.arange(n + 1) / n
        return float(max((steps[1:] - p).max(), (p - steps[:-1]).max()))


def fit_normal(values: np.ndarray, location: float = 0.0) -> Fitted | None:
    """Fit a normal distribution.

    Parameters
    ----------
    values : numpy.ndarray
        The sample, without gaps.
    location : float
        Not used; here for the common signature.

    Returns
    -------
    Fitted or None
        None where the sample has no spread.
    """
    mean, spread = float(values.mean()), float(values.std())
    if not spread > 0.0:
        return None
    return Fitted(
        lambda x: special.ndtr((x - mean) / spread),
        lambda p: mean + spread * special.ndtri(p),
        (mean, spread),
    )


def fit_gamma(values: np.ndarray, location: float = 0.0) -> Fitted | None:
    r"""Fit a gamma distribution above a location.

    The shape solves :math:`\ln k - \psi(k) = \ln \bar x - \overline{\ln x}`
    (Thom 1958, Monthly Weather Review 86), begun from Minka's approximation.

    Parameters
    ----------
    values : numpy.ndarray
        The sample, above `location`.
    location : float
        Lower end.

    Returns
    -------
    Fitted or None
        None where the sample has no spread.
    """
    x = values - location
    mean = float(x.mean())
    gap = np.log(mean) - float(np.log(x).mean())
    if not (np.isfinite(gap) and gap > 1e-12):
        return None
    k = (3.0 - gap + np.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(_STEPS):
        step = (np.log(k) - special.digamma(k) - gap) / (
            1.0 / k - special.polygamma(1, k)
        )
        k = max(k - step, k / 2.0)
        if abs(step) < 1e-10 * k:
            break
    shape, scale = float(k), mean / float(k)
    return Fitted(
        lambda v: special.gammainc(shape, np.maximum(v - location, 0.0) / scale),
        lambda p: location + scale * special.gammaincinv(shape, p),
        (shape, scale),
    )


def fit_weibull(values: np.ndarray, location: float = 0.0) -> Fitted | None:
    r"""Fit a Weibull distribution above a location.

    The shape solves
    :math:`1/c = \sum x^c \ln x / \sum x^c - \overline{\ln x}`.

    Parameters
    ----------
    values : numpy.ndarray
        The sample, above `location`.
    location : float
        Lower end.

    Returns
    -------
    Fitted or None
        None where the sample has no spread.
    """
    x = values - location
    logs = np.log(x)
    logs -= logs.max()  # of x over its largest: no power overflows
    spread = float(logs.std())
    if not (np.isfinite(spread) and spread > 1e-9):
        return None
    mean = float(logs.mean())
    c = np.pi / np.sqrt(6.0) / spread  # by the moments of ln x
    for _ in range(_STEPS):
        powers = np.exp(c * logs)
        total = powers.sum()
        first = (powers * logs).sum() / total
        second = (powers * logs**2).sum() / total
        step = (1.0 / c + mean - first) / (-1.0 / c**2 - (second - first**2))
        c = max(c - step, c / 2.0)
        if abs(step) < 1e-10 * c:
            break
    shape = float(c)
    scale = float(x.max() * np.exp(c * logs).mean() ** (1.0 / c))
    return Fitted(
        lambda v: -np.expm1(-((np.maximum(v - location, 0.0) / scale) ** shape)),
        lambda p: location + scale * (-np.log1p(-p)) ** (1.0 / shape),
        (shape, scale),
    )


def fit_rice(values: np.ndarray, location: float = 0.0) -> Fitted | None:
    r"""Fit a Rice distribution above a location.

    The length of a two-dimensional normal vector shifted by :math:`\nu` with spread
    :math:`\sigma`. Expectation-maximisation: :math:`\nu \leftarrow \overline{x
    I_1/I_0(x \nu / \sigma^2)}`, :math:`\sigma^2 \leftarrow (\overline{x^2} -
    \nu^2) / 2`.

    Parameters
    ----------
    values : numpy.ndarray
        The sample, above `location`.
    location : float
        Lower end.

    Returns
    -------
    Fitted or None
        None where the sample has no spread.
    """
    x = values - location
    square = float((x**2).mean())
    variance = float(x.var())
    if not variance > 1e-12 * square:
        return None
    shift = float(np.sqrt(max(square - 2.0 * variance, 0.01 * square)))
    largest = float(np.sqrt(square)) * (1.0 - 1e-9)

    def better(nu: float) -> float:
        argument = 2.0 * x * nu / (square - nu**2)
        return float((x * special.i1e(argument) / special.i0e(argument)).mean())

    for _ in range(_STEPS):
        # Steffensen: two steps of the method, then to where their series leads.
        one = better(shift)
        two = better(one)
        bend = two - 2.0 * one + shift
        new = shift - (one - shift) ** 2 / bend if abs(bend) > 0.0 else two
        if not 0.0 < new < largest:
            new = two
        done = abs(new - shift) < 1e-9 * largest
        shift = new
        if done:
            break
    nu, sigma = shift, float(np.sqrt((square - shift**2) / 2.0))
    offset = (nu / sigma) ** 2
    return Fitted(
        lambda v: special.chndtr(
            (np.maximum(v - location, 0.0) / sigma) ** 2, 2.0, offset
        ),
        lambda p: location + sigma * np.sqrt(special.chndtrix(p, 2.0, offset)),
        (nu, sigma),
    )


#: Name -> how it is fitted: sample and location in, a `Fitted` or None out.
FITS: dict[str, Callable[[np.ndarray, float], Fitted | None]] = {
    "normal": fit_normal,
    "gamma": fit_gamma,
    "weibull": fit_weibull,
    "rice": fit_rice,
}
