"""Likelihood of a trajectory in coloured noise, as a function of the noise's shape.

The trajectory's parameters and the overall size of the noise are eliminated: for each
shape they have their best values in closed form. What is left are one angle for each
coloured noise (how the total is shared out) and the free indices and dampings.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from tilth.gnss.positions.covariance import ObservedEpochs
from tilth.gnss.positions.noise import (
    DAMPING_RANGE,
    INDEX_RANGE,
    NoiseModel,
    power_law_filter,
)
from tilth.gnss.positions.series import DAYS_PER_YEAR

#: A share of the noise below this is none: its filter is left out.
_NO_SHARE = 1e-9


@dataclass(frozen=True)
class ShapeTerms:
    """What the likelihood is made of, for one shape of the noise.

    Parameters
    ----------
    squares : float
        Weighted sum of squared residuals, m2, for noise of unit size.
    log_determinant : float
        Of the covariance of unit size.
    log_normal : float
        log|A^T C^-1 A|.
    estimate : numpy.ndarray, shape (parameter)
        Of the trajectory.
    inverse_normal : numpy.ndarray, shape (parameter, parameter)
        (A^T C^-1 A)^-1: covariance of the estimate for noise of unit size.
    """

    squares: float
    log_determinant: float
    log_normal: float
    estimate: np.ndarray
    inverse_normal: np.ndarray


class NoiseShape:
    """Coordinates of a noise's shape: angles, then a free index, then free dampings.

    Parameters
    ----------
    model : NoiseModel
        Which noises, and how they are summed.
    interval : float
        Between epochs, days.
    """

    def __init__(self, model: NoiseModel, interval: float) -> None:
        self.model, self.interval = model, interval
        self.angles = len(model.coloured)
        self.free_index = [i for i, c in enumerate(model.coloured) if c.index is None]
        self.free_damping = [
            i for i, c in enumerate(model.coloured) if c.damping is None
        ]
        low = [0.0] * self.angles + [INDEX_RANGE[0]] * len(self.free_index)
        high = [np.pi / 2] * self.angles + [INDEX_RANGE[1]] * len(self.free_index)
        slow, fast = np.log(DAMPING_RANGE)
        self.low = np.array(low + [slow] * len(self.free_damping))
        self.high = np.array(high + [fast] * len(self.free_damping))

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return int(self.low.size)

    def shares(self, x: np.ndarray) -> np.ndarray:
        """Return the sizes of white and coloured noises, of which squares sum to 1."""
        angles = x[: self.angles]
        sines = np.concatenate([[1.0], np.cumprod(np.sin(angles))])
        return sines * np.append(np.cos(angles), 1.0)

    def indices(self, x: np.ndarray) -> np.ndarray:
        """Return the spectral index of each coloured noise."""
        result = np.array([c.index or 0.0 for c in self.model.coloured])
        result[self.free_index] = x[self.angles : self.angles + len(self.free_index)]
        return result

    def dampings(self, x: np.ndarray) -> np.ndarray:
        """Return the damping of each coloured noise, rad per year."""
        result = np.array([c.damping or 0.0 for c in self.model.coloured])
        result[self.free_damping] = np.exp(x[self.size - len(self.free_damping) :])
        return result

    def natural(self, x: np.ndarray, scale: float) -> np.ndarray:
        """Return what people read: white, amplitudes, free indices, free dampings.

        Parameters
        ----------
        x : numpy.ndarray
            The shape.
        scale : float
            Size of the noise, m.

        Returns
        -------
        numpy.ndarray
            m; m yr^(-k/4); 1; rad per year.
        """
        shares, index = scale * self.shares(x), self.indices(x)
        years = self.interval / DAYS_PER_YEAR
        amplitude = shares[1:] * years ** (-index / 4.0)
        return np.concatenate(
            [
                shares[:1],
                amplitude,
                index[self.free_index],
                self.dampings(x)[self.free_damping],
            ]
        )

    def filters(self, x: np.ndarray, count: int) -> np.ndarray:
        """Return the filters of noise of unit size.

        Parameters
        ----------
        x : numpy.ndarray
            The shape.
        count : int
            Number of epochs.

        Returns
        -------
        numpy.ndarray, shape (filter, count)
            As `tilth.gnss.positions.covariance.whitening_filters` takes them.
        """
        shares = self.shares(x)
        rows = [np.concatenate([[shares[0]], np.zeros(count - 1)])]
        values = zip(shares[1:], self.indices(x), self.dampings(x), strict=True)
        for share, index, damping in values:
            rows.append(share * power_law_filter(count, index, damping, self.interval))
        if self.model.combination == "additive":
            return np.sum(rows, axis=0, keepdims=True)
        return np.array(rows)[shares > _NO_SHARE]


class ShapeLikelihood:
    """Likelihood of observations, maximised over trajectory and size of the noise.

    Parameters
    ----------
    epochs : ObservedEpochs
        When there are observations.
    matrix : numpy.ndarray, shape (observation, parameter)
        Columns of the trajectory.
    values : numpy.ndarray, shape (observation)
        Positions, m.
    shape : NoiseShape
        Coordinates of the noise.
    restricted : bool
        Whether the likelihood is that of what the trajectory leaves over.
    """

    def __init__(
        self,
        epochs: ObservedEpochs,
        matrix: np.ndarray,
        values: np.ndarray,
        shape: NoiseShape,
        restricted: bool,
    ) -> None:
        self.epochs, self.shape, self.restricted = epochs, shape, restricted
        self.size = np.linalg.norm(matrix, axis=0)  # columns of length 1 are safe
        self.columns = np.vstack([(matrix / self.size).T, values])
        self.observations, self.parameters = matrix.shape

    def with_shape(self, shape: NoiseShape) -> ShapeLikelihood:
        """Return the likelihood of the same observations in other noise."""
        other = copy.copy(self)
        other.shape = shape
        return other

    @property
    def freedom(self) -> int:
        """Observations, less the trajectory's parameters if restricted."""
        return self.observations - self.restricted * self.parameters

    def terms(self, x: np.ndarray) -> ShapeTerms:
        """Return the parts of the likelihood at a shape of the noise."""
        filters = self.shape.filters(x, self.epochs.count)
        normal, log_determinant = self.epochs.normal_matrix(filters, self.columns)
        factor = linalg.cho_factor(normal[:-1, :-1], lower=True)
        estimate = linalg.cho_solve(factor, normal[:-1, -1])
        inverse = linalg.cho_solve(factor, np.eye(self.parameters))
        return ShapeTerms(
            float(normal[-1, -1] - normal[:-1, -1] @ estimate),
            log_determinant,
            2.0 * float(np.log(np.diag(factor[0]) * self.size).sum()),
            estimate / self.size,
            inverse / np.outer(self.size, self.size),
        )

    def scale(self, terms: ShapeTerms) -> float:
        """Return the best size of the noise, m."""
        return float(np.sqrt(terms.squares / self.freedom))

    def negative(self, terms: ShapeTerms) -> float:
        """Return minus the log likelihood at the best size, without its constant."""
        value = self.freedom * np.log(self.scale(terms)) + terms.log_determinant / 2.0
        if self.restricted:
            value += terms.log_normal / 2.0
        return float(value)

    def log_likelihood(self, terms: ShapeTerms, scale: float) -> float:
        """Return the full log likelihood of the observations at a size of the noise."""
        n = self.observations
        return -float(
            n * np.log(scale)
            + terms.log_determinant / 2.0
            + terms.squares / scale**2 / 2.0
            + n / 2.0 * np.log(2.0 * np.pi)
        )
