r"""The generalised extreme value distribution: fits, quantiles, likelihood intervals.

Sign of the shape as Hosking & Wallis (1997) and scipy have it,

.. math:: F(x) = \exp\left(-[1 - k (x - \xi) / \alpha]^{1/k}\right):

with :math:`k > 0` there is an upper bound, with :math:`k < 0` a heavy tail. Coles
(2001) writes the same number with the other sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError

#: Least number of maxima a distribution is fitted to: ten years of record, as England
#: et al. (2019), Bulletin 17C, USGS Techniques and Methods 4-B5, ask for.
LEAST_MAXIMA = 10

#: Largest size of the shape that a fit may give: beyond, moments or the likelihood
#: have no maximum (Hosking 1985; Smith 1985).
LARGEST_SHAPE = 0.95

#: Below this reduced variate a value is impossible: exp(-exp(700)).
_LEAST_VARIATE = -700.0

#: Shapes below this size are taken as zero, the Gumbel distribution.
_GUMBEL = 1e-7


@dataclass(frozen=True)
class GEV:
    """A generalised extreme value distribution, or an array of them.

    Parameters
    ----------
    location, scale : float or numpy.ndarray
        Of the maxima, in their units.
    shape : float or numpy.ndarray
        Hosking & Wallis' k: positive with an upper bound, negative with a heavy tail.
    """

    location: Any
    scale: Any
    shape: Any

    def quantile(self, probability: npt.ArrayLike) -> np.ndarray:
        """Return the value that a maximum stays below with a given probability.

        Parameters
        ----------
        probability : array_like
            0 to 1, broadcast against the parameters.

        Returns
        -------
        numpy.ndarray
            In the units of the location.

        Examples
        --------
        >>> round(float(GEV(100.0, 30.0, 0.0).quantile(0.99)), 2)
        238.0
        """
        return self.location + self.scale * _reduced(
            np.asarray(probability, float), self.shape
        )

    def level(self, period: npt.ArrayLike) -> np.ndarray:
        """Return the level that is exceeded once in `period` blocks on average.

        Parameters
        ----------
        period : array_like
            Return period in blocks (years), above 1.

        Returns
        -------
        numpy.ndarray
            In the units of the location.

        Raises
        ------
        InputError
            If a period is not above 1.
        """
        return self.quantile(1.0 - 1.0 / _period(period))

    def log_likelihood(self, maxima: npt.ArrayLike) -> float:
        """Return the log-likelihood of maxima under a single distribution.

        Parameters
        ----------
        maxima : array_like, shape (n,)
            Without missing values.

        Returns
        -------
        float
            The sum over all; minus infinity where a value is impossible.
        """
        z = (np.asarray(maxima, float) - self.location) / self.scale
        if abs(self.shape) >= _GUMBEL:  # y, the reduced variate of Hosking & Wallis
            inner = 1.0 - self.shape * z
            if inner.min() <= 0.0:
                return -np.inf
            z = np.log(inner) / -self.shape
        if z.min() < _LEAST_VARIATE:
            return -np.inf
        terms = (1.0 - self.shape) * z + np.exp(-z)
        return -float(terms.sum() + z.size * np.log(self.scale))


def l_moments(maxima: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return the sample L-moments: location, scale and the ratio of skewness.

    Unbiased probability-weighted moments of the ascending values
    :math:`b_r = n^{-1} \sum_j \binom{j-1}{r} \binom{n-1}{r}^{-1} x_j`, and from them
    :math:`l_1 = b_0,\ l_2 = 2 b_1 - b_0,\ t_3 = (6 b_2 - 6 b_1 + b_0) / l_2`.

    Parameters
    ----------
    maxima : array_like, shape (..., n)
        At least three; missing values are NaN and left out.

    Returns
    -------
    l1, l2, t3 : numpy.ndarray
        Without the last axis; NaN where there are fewer than three values.

    References
    ----------
    Hosking & Wallis (1997), Regional Frequency Analysis, eqs. 2.59-2.61.

    Examples
    --------
    >>> [round(float(x), 6) for x in l_moments([1.0, 2.0, 3.0, 4.0])]
    [2.5, 0.833333, 0.0]
    """
    x = np.sort(np.asarray(maxima, float), axis=-1)  # missing ones last
    present = np.isfinite(x)
    n = present.sum(axis=-1, keepdims=True).astype(float)
    n = np.where(n >= 3.0, n, np.nan)
    x = np.where(present, x, 0.0)
    rank = np.arange(x.shape[-1], dtype=float)
    b0 = (x / n).sum(axis=-1)
    b1 = (x * rank / (n * (n - 1.0))).sum(axis=-1)
    b2 = (x * rank * (rank - 1.0) / (n * (n - 1.0) * (n - 2.0))).sum(axis=-1)
    l2 = 2.0 * b1 - b0
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = l2 > 1e-12 * abs(b0)  # less is the rounding of equal values
        return b0, l2, np.where(varied, (6.0 * b2 - 6.0 * b1 + b0) / l2, np.nan)


def fit_gev(
    maxima: npt.ArrayLike, method: Literal["l_moments", "likelihood"] = "l_moments"
) -> GEV:
    """Fit the distribution to block maxima.

    Parameters
    ----------
    maxima : array_like, shape (..., n)
        Annual maxima of any unit; missing values are NaN and left out.
    method : {"l_moments", "likelihood"}
        L-moments are steadier in short records, and fast; the likelihood is what
        intervals by profile belong to.

    Returns
    -------
    GEV
        Parameters without the last axis; NaN where fewer than `LEAST_MAXIMA` values
        are there or all are the same.

    Raises
    ------
    InputError
        If no series can have as many, or the method is another one.

    References
    ----------
    Hosking, Wallis & Wood (1985), Technometrics 27, 251-261. Hosking & Wallis (1997),
    Regional Frequency Analysis, section A.8.
    """
    x = np.asarray(maxima, float)
    if method not in ("l_moments", "likelihood"):
        raise InputError(f"no method {method!r}: 'l_moments' or 'likelihood'")
    if not x.ndim or x.shape[-1] < LEAST_MAXIMA:
        raise InputError(
            f"a distribution of maxima needs at least {LEAST_MAXIMA} of them, got "
            f"{x.shape[-1] if x.ndim else 1}: use a longer record, or count events "
            "above a threshold with event_frequency"
        )
    count = np.isfinite(x).sum(axis=-1)
    fit = _by_l_moments(np.where((count >= LEAST_MAXIMA)[..., None], x, np.nan))
    if method == "l_moments":
        return fit
    rows = x.reshape(-1, x.shape[-1])
    starts = np.stack([np.ravel(p) for p in (fit.location, fit.scale, fit.shape)], -1)
    found = [
        _by_likelihood(row[np.isfinite(row)], start)
        for row, start in zip(rows, starts, strict=True)
    ]
    parameters = np.array(found).reshape(*x.shape[:-1], 3)
    return GEV(*(_scalar(parameters[..., i]) for i in range(3)))


def profile_interval(
    maxima: npt.ArrayLike, period: float, *, level: float = 0.90
) -> tuple[float, float, float]:
    r"""Return a return level with its interval by profile likelihood.

    The interval holds all levels :math:`z` for which the likelihood, maximised over
    the other two parameters, is not worse than the best by more than
    :math:`\chi^2_1(\mathrm{level}) / 2`. It is as skewed as the tail asks for.

    Parameters
    ----------
    maxima : array_like, shape (n,)
        Annual maxima; missing values are NaN and left out.
    period : float
        Return period in blocks (years), above 1.
    level : float, optional
        Probability of the interval.

    Returns
    -------
    estimate, lower, upper : float
        In the units of the maxima; infinite above where the likelihood sets no bound.

    Raises
    ------
    InputError
        If there are too few maxima, they do not vary, or a number is impossible.

    References
    ----------
    Coles (2001), An Introduction to Statistical Modeling of Extreme Values, 2.6.6 and
    3.3.4.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri

    x = np.asarray(maxima, float)
    if x.ndim != 1 or not 0.0 < level < 1.0:
        raise InputError(
            f"a profile is of one series and a level between 0 and 1, got the shape "
            f"{x.shape} and {level:g}"
        )
    x = x[np.isfinite(x)]
    best = fit_gev(x, "likelihood")
    if not np.isfinite(best.shape):
        raise InputError(f"{x.size} maxima that are all the same have no distribution")
    estimate = float(best.level(period))
    allowed = best.log_likelihood(x) - 0.5 * float(chdtri(1.0, 1.0 - level))
    start = np.array([best.scale, best.shape])

    def excess(z: float) -> float:
        return _profiled(x, z, float(_period(period)), start) - allowed

    spread = max(float(best.scale), 1e-9 * abs(estimate))
    limits = []
    for sign in (-1.0, 1.0):
        inside, width = estimate, 0.5 * spread
        for _ in range(40):
            outside = estimate + sign * width
            if excess(outside) < 0.0:
                limits.append(brentq(excess, inside, outside, xtol=1e-3 * spread))
                break
            inside, width = outside, 1.7 * width
        else:
            limits.append(sign * np.inf)
    return estimate, float(limits[0]), float(limits[1])


def _profiled(x: np.ndarray, z: float, period: float, start: np.ndarray) -> float:
    """Return the log-likelihood maximised over scale and shape at a fixed level."""
    from scipy.optimize import minimize

    unit = start[0]

    y = -math.log(-math.log1p(-1.0 / period))

    def loss(p: np.ndarray) -> float:
        scale, shape = unit * math.exp(p[0]), float(p[1])
        if abs(shape) > LARGEST_SHAPE:
            return np.inf
        reduced = -math.expm1(-shape * y) / shape if abs(shape) >= _GUMBEL else y
        return -GEV(z - scale * reduced, scale, shape).log_likelihood(x)

    # A far level needs a wide scale: without it no value may be possible at all.
    widths = [0.0, np.log(1.0 + abs(z - x.mean()) / unit)]
    starts = [np.array([w, k]) for w in widths for k in (start[1], -0.1)]
    first = min(starts, key=loss)
    if not np.isfinite(loss(first)):
        return -np.inf
    found = minimize(
        loss, first, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4}
    )
    return -float(found.fun)


def _by_likelihood(x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the parameters of the greatest likelihood."""
    from scipy.optimize import minimize

    if not np.isfinite(start).all():
        return np.full(3, np.nan)
    location, unit, shape = start

    def loss(p: np.ndarray) -> float:
        if abs(p[2]) > LARGEST_SHAPE:
            return np.inf
        fit = GEV(location + unit * p[0], unit * math.exp(p[1]), float(p[2]))
        return -fit.log_likelihood(x)

    # From the L-moments, or from a Gumbel tail where those make a value impossible.
    starts = [np.array([0.0, w, k]) for w in (0.0, 0.5) for k in (shape, -0.05)]
    found = minimize(
        loss,
        min(starts, key=loss),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000},
    )
    p = found.x
    return np.array([location + unit * p[0], unit * np.exp(p[1]), p[2]])


def _by_l_moments(x: np.ndarray) -> GEV:
    """Return the distribution of the sample's L-moments (Hosking & Wallis A.52-56)."""
    from scipy.special import gamma

    l1, l2, t3 = l_moments(x)
    c = 2.0 / (3.0 + t3) - np.log(2.0) / np.log(3.0)
    k = np.clip(7.8590 * c + 2.9554 * c * c, -LARGEST_SHAPE, LARGEST_SHAPE)
    for _ in range(
        5
    ):  # the approximation is good to 9e-4, Newton's step doubles digits
        k = np.where(abs(k) < 1e-6, 1e-6, k)
        e2, e3 = 2.0**-k, 3.0**-k
        ratio = 2.0 * (1.0 - e3) / (1.0 - e2) - 3.0
        slope = (
            2.0
            * (np.log(3.0) * e3 * (1.0 - e2) - np.log(2.0) * e2 * (1.0 - e3))
            / (1.0 - e2) ** 2
        )
        k = np.clip(k - (ratio - t3) / slope, -LARGEST_SHAPE, LARGEST_SHAPE)
    k = np.where(abs(k) < 1e-6, 1e-6, k)
    g = gamma(1.0 + k)
    scale = l2 * k / ((1.0 - 2.0**-k) * g)
    location = l1 - scale * (1.0 - g) / k
    return GEV(_scalar(location), _scalar(scale), _scalar(k))


def _reduced(probability: np.ndarray, shape: npt.ArrayLike) -> np.ndarray:
    """Return the quantile of the distribution of location 0 and scale 1."""
    k = np.asarray(shape, float)
    gumbel = abs(k) < _GUMBEL
    with np.errstate(divide="ignore"):
        y = -np.log(-np.log(probability))
    # expm1 keeps the digits where the shape is small.
    with np.errstate(over="ignore", invalid="ignore"):
        curved = -np.expm1(-k * y) / np.where(gumbel, 1.0, k)
    return np.where(gumbel, y, curved)


def _period(period: npt.ArrayLike) -> np.ndarray:
    """Return return periods, refused where they are not above one block."""
    periods = np.asarray(period, float)
    if not (periods > 1.0).all():
        raise InputError(
            f"a return period is above 1 block (year), got {periods}: a level that is "
            "exceeded every year has none"
        )
    return periods


def _scalar(array: np.ndarray) -> Any:
    """Return a float for a single distribution, the array for several."""
    return float(array) if np.ndim(array) == 0 else array
