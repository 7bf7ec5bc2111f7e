"""Least squares whose errors remember: within a summer, and from year to year."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy import linalg, optimize

from tilth.core.errors import InputError

#: Kinds of errors.
KINDS = ("ar1", "flicker", "white")

#: Most days for which flicker noise is found: its matrix is full.
_MOST = 3000

#: Bounds of the logit of the share that remembers, of the logarithm of the days it
#: takes to forget, and of that of the years' variance over the days'.
_BOUNDS = ((-8.0, 8.0), (np.log(0.5), np.log(60.0)), (-14.0, 5.0))

#: Where the search begins: some memory of a week, and years of little or much scatter.
_STARTS = (
    (0.0, np.log(6.0), -3.0),
    (-2.0, np.log(3.0), -0.5),
    (1.5, np.log(15.0), -8.0),
)


class CorrelatedFit(NamedTuple):
    """What `correlated_fit` returns."""

    #: Coefficients, shape (coefficient,).
    coefficients: np.ndarray
    #: Their covariance, shape (coefficient, coefficient).
    covariance: np.ndarray
    #: Standard deviations of the parts of the errors, and days of memory.
    noise: dict[str, float]
    #: Restricted logarithm of the likelihood.
    log_likelihood: float


def correlated_fit(
    values: np.ndarray,
    columns: np.ndarray,
    days: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
    kind: str = "ar1",
) -> CorrelatedFit:
    r"""Fit a linear model by generalised least squares, and its errors by REML.

    The errors of ``"ar1"`` have three parts,

    .. math:: C = \sigma^2 \left[ (1 - f) W + f\, e^{-|t_i - t_j| / \tau}
       + g\, \delta_{g_i g_j} \right] ,

    white ones, ones that forget over :math:`\tau` days, and one that all days of a
    group (a summer) share. Those of ``"flicker"`` are white and flicker noise on every
    day between the first and the last, those of ``"white"`` the first part alone. The
    restricted likelihood, which does not take the coefficients for known, is largest.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        Data.
    columns : numpy.ndarray, shape (n, p)
        Of the model.
    days : numpy.ndarray, shape (n,)
        Time, rising.
    groups : numpy.ndarray of int, shape (n,)
        Which days share an error.
    weights : numpy.ndarray, shape (n,)
        Variance of each white error, relative.
    kind : {"ar1", "flicker", "white"}
        Of the errors.

    Returns
    -------
    CorrelatedFit
        Coefficients, their covariance, the noise.

    Raises
    ------
    InputError
        If the kind is unknown, the columns do not tell the coefficients apart, or
        there are too many days for flicker noise.

    References
    ----------
    Patterson & Thompson (1971), Biometrika 58, 545-554 (restricted likelihood).
    Hosking (1981), Biometrika 68, 165-176 (flicker noise from white).
    """
    n, p = columns.shape
    if kind not in KINDS:
        raise InputError(f"noise is one of {', '.join(KINDS)}, got {kind!r}")
    if n <= p + 3 or np.linalg.matrix_rank(columns / np.abs(columns).max(axis=0)) < p:
        raise InputError(
            f"{n} days do not tell {p} coefficients apart: use more seasons, fewer "
            "steps, or one amplitude for all years"
        )
    table = np.column_stack([values, columns])
    if kind == "white":
        rooted = table / np.sqrt(weights)[:, None]
        log_determinant = np.log(weights).sum()
        found = _solve(rooted.T @ rooted, log_determinant, n)
        return found._replace(noise={"white": found.noise["scale"]})
    if kind == "flicker":
        return _with_flicker(table, days, weights)
    _, member = np.unique(groups, return_inverse=True)
    years = np.zeros((n, member.max() + 1))
    years[np.arange(n), member] = 1.0
    everything = np.column_stack([table, years])
    size = p + 1

    def at(theta: np.ndarray) -> CorrelatedFit:
        share, tau, ratio = _unfold(theta)
        white, log_determinant = _whiten(
            everything, days, (1.0 - share) * weights, share, tau
        )
        products = white.T @ white
        across, within = products[:size, size:], products[size:, size:]
        # Woodbury: an error shared by each group adds a matrix of low rank.
        core = linalg.cho_factor(np.eye(within.shape[0]) + ratio * within, lower=True)
        log_determinant += 2.0 * np.log(np.diag(core[0])).sum()
        inner = products[:size, :size] - ratio * across @ linalg.cho_solve(
            core, across.T
        )
        return _solve(inner, log_determinant, n)

    theta = _largest(lambda theta: at(theta).log_likelihood)
    best = at(theta)
    share, tau, ratio = _unfold(theta)
    scale = best.noise["scale"]
    return best._replace(
        noise={
            "white": scale * np.sqrt(1.0 - share),
            "memory": scale * np.sqrt(share),
            "memory_days": tau,
            "years": scale * np.sqrt(ratio),
        }
    )


def _unfold(theta: np.ndarray) -> tuple[float, float, float]:
    """Return share, days and ratio within their bounds."""
    low, high = np.array(_BOUNDS).T
    a, b, c = np.clip(theta, low, high)
    return 1.0 / (1.0 + np.exp(-a)), float(np.exp(b)), float(np.exp(c))


def _largest(likelihood: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return where the likelihood is largest, from several starts."""
    low, high = np.array(_BOUNDS).T

    def loss(theta: np.ndarray) -> float:
        # Outside the bounds the edge's value, rising, so that the search turns back.
        outside = np.maximum(low - theta, 0.0) + np.maximum(theta - high, 0.0)
        return -likelihood(theta) + float(outside @ outside)

    options = {"xatol": 1e-2, "fatol": 1e-3, "maxiter": 400}
    found = [
        optimize.minimize(loss, start, method="Nelder-Mead", options=options)
        for start in _STARTS
    ]
    return min(found, key=lambda one: one.fun).x


def _solve(products: np.ndarray, log_determinant: float, n: int) -> CorrelatedFit:
    """Return the fit by the whitened products of data and columns."""
    p = products.shape[0] - 1
    # Columns of unlike size (years, steps, ones) are scaled before they are inverted.
    size = np.sqrt(np.diag(products)[1:])
    normal = products[1:, 1:] / np.outer(size, size)
    factor = linalg.cho_factor(normal, lower=True)
    right = products[1:, 0] / size
    coefficients = linalg.cho_solve(factor, right)
    left = max(products[0, 0] - right @ coefficients, 1e-300)
    variance = left / (n - p)
    information = 2.0 * np.log(np.diag(factor[0])).sum() + 2.0 * np.log(size).sum()
    likelihood = -0.5 * (
        (n - p) * (np.log(2.0 * np.pi * variance) + 1.0) + log_determinant + information
    )
    covariance = linalg.cho_solve(factor, np.eye(p)) / np.outer(size, size)
    return CorrelatedFit(
        coefficients / size,
        variance * covariance,
        {"scale": float(np.sqrt(variance))},
        float(likelihood),
    )


def _with_flicker(
    table: np.ndarray, days: np.ndarray, weights: np.ndarray
) -> CorrelatedFit:
    """Fit with white and flicker noise."""
    n = table.shape[0]
    if n > _MOST:
        raise InputError(
            f"{n} days: flicker noise is found for up to {_MOST}; use noise='ar1', "
            "which has no such limit"
        )
    colour = flicker_covariance(days)

    def at(logit: float) -> tuple[CorrelatedFit, float]:
        share = 1.0 / (1.0 + np.exp(-logit))
        factor = np.linalg.cholesky(np.diag((1.0 - share) * weights) + share * colour)
        white = linalg.solve_triangular(factor, table, lower=True)
        log_determinant = 2.0 * np.log(np.diag(factor)).sum()
        return _solve(white.T @ white, log_determinant, n), share

    found = optimize.minimize_scalar(
        lambda logit: -at(logit)[0].log_likelihood, bounds=(-10.0, 6.0),
        method="bounded", options={"xatol": 1e-2},
    )  # fmt: skip
    best, share = at(found.x)
    scale = best.noise["scale"]
    return best._replace(
        noise={
            "white": scale * np.sqrt(1.0 - share),
            "flicker": scale * np.sqrt(share) * 365.25**0.25,
        }
    )


def flicker_covariance(days: np.ndarray) -> np.ndarray:
    r"""Covariance of flicker noise of unit amplitude on some days.

    .. math:: C = \Psi \Psi^T, \qquad
       \psi_0 = 1,\; \psi_i = \psi_{i-1}\,\frac{i - 1/2}{i}

    on all days from the first to the last, whether observed or not.

    Parameters
    ----------
    days : numpy.ndarray, shape (n,)
        Whole days, rising.

    Returns
    -------
    numpy.ndarray, shape (n, n)
        Times the square of the amplitude per day^(1/4).
    """
    place = np.rint(days - days[0]).astype(int)
    length = int(place[-1]) + 1
    steps = np.arange(1, length)
    psi = np.concatenate([[1.0], np.cumprod((steps - 0.5) / steps)])
    rows = np.zeros((place.size, length))
    for row, k in zip(rows, place, strict=True):
        row[: k + 1] = psi[k::-1]
    return rows @ rows.T


@njit(cache=True, nogil=True)
def _whiten(table, days, white, memory, tau):  # pragma: no cover - compiled
    """Divide columns by the root of a covariance, by a Kalman filter of one state."""
    n, m = table.shape
    found = np.empty((n, m))
    mean = np.zeros(m)
    variance, log_determinant = memory, 0.0
    for t in range(n):
        if t > 0:
            kept = np.exp(-(days[t] - days[t - 1]) / tau)
            variance = kept * kept * variance + (1.0 - kept * kept) * memory
            for j in range(m):
                mean[j] *= kept
        total = variance + white[t]
        gain, root = variance / total, np.sqrt(total)
        log_determinant += np.log(total)
        for j in range(m):
            step = table[t, j] - mean[j]
            found[t, j] = step / root
            mean[j] += gain * step
        variance -= gain * variance
    return found, log_determinant
